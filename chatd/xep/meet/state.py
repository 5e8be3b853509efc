"""What a meeting says of itself and of those in it: the elements of docs/protocol.md 3 and 7, and the JSON of 3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.recording_conditions import condition_of
from chatd.core.stamp import format_stamp
from chatd.core.stanza import Stanza, attribute, text
from chatd.xep.muc.room import Occupant

if TYPE_CHECKING:
    from chatd.xep.meet.lobby import Knock
    from chatd.xep.meet.meeting import Meeting

__all__ = ["NO_STORE", "condition", "element", "info", "meeting_xml", "message", "participant_xml", "stamp", "text",
           "waiting_xml"]

NO_STORE = f'<no-store xmlns="{ns.HINTS}"/>'


def element(name: str, attributes: dict[str, Any], inner: str = "") -> str:
    """An element of ours; attributes that are None or "" are left out, truth values written as words."""
    said = "".join(f' {key}="{attribute(_word(value))}"' for key, value in attributes.items()
                   if value is not None and value != "")
    return f'<{name} xmlns="{ns.MEET}"{said}' + (f">{inner}</{name}>" if inner else "/>")


def _word(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def stamp(stamp_ms: int | None) -> str | None:
    """A time as it is written; None stays."""
    return format_stamp(stamp_ms) if stamp_ms is not None else None


def condition(name: str, **attributes: str) -> domish.Element:
    """A condition of our own, to stand inside an error."""
    found = domish.Element((ns.MEET, name))
    for key, value in attributes.items():
        found[key] = value
    return found


def info(meeting: Meeting) -> dict[str, Any]:
    """What somebody with the link may know."""
    config, service = meeting.config, meeting.service
    moderators = sum(one.role == "moderator" for one in meeting.occupants.values())
    return {
        "id": meeting.jid.local, "room": meeting.bare, "link": service.link(meeting.jid.local), "name": config["name"],
        "since": stamp(meeting.since_ms), "occupants": len(meeting.occupants), "moderators": moderators,
        "password": bool(config["protected"]), "lobby": bool(config["members_only"]),
        "locked": meeting.present.is_locked, "e2ee": meeting.e2ee, "recording": meeting.recording_state,
    }


def meeting_xml(meeting: Meeting, viewer: str = "") -> str:
    """<meeting/> for a viewer of this role, "" for somebody outside."""
    facts = info(meeting)
    inner = ""
    if viewer:
        facts |= {"may": " ".join(meeting.may), "can-record": meeting.can_record}
        current = meeting.recording
        if current is not None:
            facts |= {"recording-since": stamp(current.started_ms), "recording-by": current.started_by}
        if viewer == "moderator":
            facts |= {"recording-problem": meeting.recording_problem,
                      "recording-condition": condition_of(meeting.recording_problem)}
        if viewer == "moderator" and meeting.config["protected"]:
            inner = f"<password>{text(meeting.config['password'])}</password>"
    return element("meeting", facts, inner)


def message(meeting: Meeting, inner: str, name: str) -> Stanza:
    """A message of the room itself that is not kept."""
    return Stanza("message", {"from": meeting.bare, "type": "groupchat"}, (inner + NO_STORE).encode(),
                  (f"{ns.MEET} {name}", f"{ns.HINTS} no-store"))


def participant_xml(meeting: Meeting, occupant: Occupant) -> str:
    """<participant/>, which the room puts into an occupant's presence."""
    media = [meeting.identities[full] for full in occupant.seats if full in meeting.identities]
    return element("participant", {
        "guest": meeting.service.is_guest(occupant.jid) or None, "may": " ".join(meeting.may_of(occupant)),
        "hand": stamp(meeting.hands.get(occupant)), "media": " ".join(media)})


def waiting_xml(knocks: list[Knock]) -> str:
    """<waiting/>: who knocks."""
    return element("waiting", {}, "".join(
        f'<knock jid="{attribute(knock.bare)}" nick="{attribute(knock.nick)}" since="{stamp(knock.since_ms)}"'
        + (' guest="true"' if knock.is_guest else "") + "/>" for knock in knocks))
