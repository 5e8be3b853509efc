"""What is said of a recording when it is over: to everybody in the meeting's chat, and to those whom the file is for.

Who moderates the meeting with an account and has left it gets one message of its own, from an address of the service
that is no meeting: a message from the room would look like one from a person in it.  It is a message like any other, so
it is archived, waits for who is away, and wakes sleeping clients.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.meeting import RecordingRow
from chatd.core.recording_conditions import condition_of
from chatd.core.stanza import Stanza, text
from chatd.xep.meet import state
from chatd.xep.muc.messages import speak

if TYPE_CHECKING:
    from chatd.xep.meet.meeting import Meeting

__all__ = ["SENDER", "announce", "announce_failure", "answer_for_sender", "moment", "recorded_xml", "tell_absent"]

SENDER: Final = "meetings"
"""Local part of the address that tells single people.  No meeting is called that: all of them end with a token."""
NICK: Final = "http://jabber.org/protocol/nick"
_VCARD: Final = f"{ns.VCARD} vCard"
_NAME: Final = "Meetings"


def moment(row: RecordingRow) -> datetime:
    """When it began."""
    return datetime.fromtimestamp(row.started_ms / 1000, UTC)


def _facts(meeting: Meeting, row: RecordingRow, days: int, url: str = "") -> dict[str, Any]:
    expires_ms = row.ended_ms + days * 86_400_000 if days and row.ended_ms else None
    return {"id": row.id, "url": url, "seconds": row.duration_ms // 1000 or None, "bytes": row.bytes or None,
            "since": state.stamp(row.started_ms), "expires": state.stamp(expires_ms),
            "type": {".webm": "video/webm", ".mp4": "video/mp4"}.get(Path(row.path).suffix)}


def recorded_xml(meeting: Meeting, row: RecordingRow, days: int, url: str) -> str:
    """<recorded/> with how it goes, for those whom it is for."""
    words = {"starting": "recording", "recording": "recording"}
    return state.element("recorded", _facts(meeting, row, days, url) | {
        "state": words.get(row.state, row.state), "progress": meeting.service.recordings.progress.get(row.id),
        "problem": row.error, "condition": condition_of(row.error)})


def announce(meeting: Meeting, row: RecordingRow, days: int) -> None:
    """Says in the chat, for good, that there is a recording."""
    url = meeting.service.recordings.address(meeting, row, opens=False)
    body = f"Recording of {_when(row)} ({_minutes(row)} min): {url}"
    inner = (f"<body>{text(body)}</body>" + state.element("recorded", _facts(meeting, row, days, url))
             + f'<x xmlns="jabber:x:oob"><url>{text(url)}</url></x>')
    speak(meeting, None, Stanza("message", {"id": f"recorded-{row.id}"}, inner.encode(), (
        f"{ns.CLIENT} body", f"{ns.MEET} recorded", "jabber:x:oob x")), keep=True)


def announce_failure(meeting: Meeting, row: RecordingRow, days: int) -> None:
    """Says in the chat, for good, that there will be no file.  The reason may name files of the server: it is told to
    moderators, in the state and with the list of recordings.
    """
    body = f"The recording of {_when(row)} could not be made."
    inner = f"<body>{text(body)}</body>" + state.element("recorded", _facts(meeting, row, days) | {"state": "failed"})
    speak(meeting, None, Stanza("message", {"id": f"recorded-{row.id}"}, inner.encode(), (
        f"{ns.CLIENT} body", f"{ns.MEET} recorded")), keep=True)


def tell_absent(meeting: Meeting, row: RecordingRow, days: int) -> None:
    """Tells owners and admins of this domain who are not in the meeting what has become of a recording."""
    service = meeting.service
    name = meeting.config["name"]
    what = f"“{name}”" if name else "a meeting"
    facts = _facts(meeting, row, days) | {"room": meeting.bare, "name": name}
    if row.state == "ready":
        facts["url"] = service.recordings.address(meeting, row, opens=False)
        body = (f"The recording of {what} ({_when(row)}, {_minutes(row)} min) is ready. You find it in the chat panel "
                f"under Your meetings, and in the meeting's own chat: {service.link(meeting.jid.local)}")
    else:
        facts |= {"state": "failed", "condition": condition_of(row.error)}
        body = (f"The recording of {what} ({_when(row)}) could not be made. The chat panel says why, under Your "
                "meetings.")
    inner = (f"<body>{text(body)}</body>" + state.element("recorded", facts)
             + f'<nick xmlns="{NICK}">{_NAME}</nick>').encode()
    sender = f"{SENDER}@{service.domain}"
    for one in list(meeting.affiliates.values()):
        to = JID.parse(one.jid)
        if (one.affiliation not in ("owner", "admin") or not to.local or to.domain != service.accounts_domain
                or meeting.find_by_jid(one.jid)):
            continue
        service.router.route(Stanza("message", {
            "from": sender, "to": to.bare, "type": "chat", "id": f"recorded-{row.id}-{row.state}", "xml:lang": "en",
        }, inner, (f"{ns.CLIENT} body", f"{ns.MEET} recorded", f"{NICK} nick")))


def answer_for_sender(stanza: Stanza) -> bytes | None:
    """What that address answers: its name, and to people that nobody reads them.  None: nothing.

    Raises StanzaError service-unavailable.
    """
    if stanza.name == "iq":
        if (stanza.attrs.get("type"), stanza.payload) == ("get", _VCARD):
            return f'<vCard xmlns="{ns.VCARD}"><FN>{_NAME}</FN></vCard>'.encode()
        raise StanzaError("service-unavailable")
    if stanza.name == "message" and f"{ns.CLIENT} body" in stanza.children:
        raise StanzaError("service-unavailable", text="Nobody reads what is written to this address.")
    return None


def _when(row: RecordingRow) -> str:
    return f"{moment(row):%-d %B %Y, %H:%M} UTC"


def _minutes(row: RecordingRow) -> int:
    return max(1, round(row.duration_ms / 60_000))
