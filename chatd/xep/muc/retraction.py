"""Taking a message back: by its author (XEP-0424) and by a moderator (XEP-0425).

The archive keeps a tombstone in its place, and whoever enters later is not shown it any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.words.xish import domish

from chatd.core.archive import ArchiveQuery, ArchiveRow, ItemNotFound, parse_id
from chatd.core.errors import StanzaError
from chatd.core.stamp import format_stamp
from chatd.core.stanza import Stanza, attribute, parse_element, text
from chatd.xep.muc.addresses import address_of
from chatd.xep.muc.room import OCCUPANT_ID, Occupant, Room, mark_xml

if TYPE_CHECKING:
    from chatd.xep.muc.service import Ask

__all__ = ["MODERATE", "RETRACT", "RETRACT_NS", "moderate", "retract_own"]

RETRACT_NS: Final = "urn:xmpp:message-retract:1"
RETRACT: Final = f"{RETRACT_NS} retract"
MODERATE: Final = "urn:xmpp:message-moderate:1"


async def retract_own(room: Room, occupant: Occupant, stanza: Stanza) -> Stanza:
    """Puts a tombstone in the place of a message of this occupant; what everybody is to be told.

    Raises StanzaError forbidden for another's message, bad-request for more than one.  A message the archive does not
    have (any more) is no error: the others' clients may still know it.
    """
    if stanza.children.count(RETRACT) > 1:
        raise StanzaError("bad-request", "modify", text="One message is taken back at a time.")
    if not stanza.id:                           # the tombstone has to name it (XEP-0424 5)
        stanza = stanza.readdressed(id=room.service.next_id())
    retract = next(child for child in stanza.element.elements() if child.name == "retract" and child.uri == RETRACT_NS)
    try:
        row = await _row(room, retract.getAttribute("id") or "")
    except ItemNotFound:
        return stanza
    if occupant.mark != _mark(row):
        raise StanzaError("forbidden", text="Only its author or a moderator may take a message back.")
    if not _is_gone(row):
        id_ = attribute(stanza.attrs["id"])
        await _bury(room, row, f'<retracted xmlns="{RETRACT_NS}" id="{id_}" stamp="{_now(room)}"/>')
    return stanza


async def moderate(ask: Ask) -> bytes:
    """A moderator's <moderate/>: everybody is told and the archive gets a tombstone (XEP-0425 3, 4).

    Raises StanzaError: forbidden, bad-request, item-not-found.
    """
    from chatd.xep.muc.messages import speak

    room, occupant, child = ask.room, ask.occupant, ask.child
    if occupant is None or occupant.role != "moderator":
        raise StanzaError("forbidden", text="Only moderators may take back what others said.")
    if not any(part.uri == RETRACT_NS and part.name == "retract" for part in child.elements()):
        raise StanzaError("bad-request", text="What is to be done with the message? Only <retract/> is known here.")
    reason = "".join(str(part) for part in child.elements() if part.name == "reason")[:1024]
    try:
        row = await _row(room, child.getAttribute("id") or "")
    except ItemNotFound:
        raise StanzaError("item-not-found", text="The room's archive has no such message.") from None
    if _is_gone(row):
        return b""                              # somebody was quicker
    said = f"<reason>{text(reason)}</reason>" if reason else ""
    by = attribute(occupant.address)
    moderated = f'<moderated xmlns="{MODERATE}" by="{by}">{occupant.mark.decode()}</moderated>'
    id_ = f"moderate-{row.id}"
    head = f'<retracted xmlns="{RETRACT_NS}" id="{id_}" stamp="{_now(room)}">'
    await _bury(room, row, f"{head}{moderated}{said}</retracted>")
    inner = f'<retract xmlns="{RETRACT_NS}" id="{row.id}">{moderated}{said}</retract>'
    speak(room, None, Stanza("message", {"id": id_}, inner.encode(), (RETRACT,)), keep=True)
    return b""


async def _row(room: Room, id_: str) -> ArchiveRow:
    """The archived message; ItemNotFound for none."""
    number = parse_id(id_) if id_ else 0
    if not number:
        raise ItemNotFound
    page = await room.service.store.archive.query(-room.id, ArchiveQuery(ids=(number,)))
    row: ArchiveRow = page.rows[0]
    return row


def _element(row: ArchiveRow) -> domish.Element:
    return parse_element(row.stanza)


def _is_gone(row: ArchiveRow) -> bool:
    """Is it a tombstone already?  The first one stays: who moderated is not to be hidden by the author.

    Only in a tombstone the occupant id comes first, so nobody makes his message look like one.
    """
    children = [(child.uri, child.name) for child in _element(row).elements()]
    return children[:2] == [(OCCUPANT_ID, "occupant-id"), (RETRACT_NS, "retracted")]


def _mark(row: ArchiveRow) -> bytes:
    """The occupant-id of an archived message, as the room wrote it."""
    for child in _element(row).elements():
        if child.uri == OCCUPANT_ID and child.name == "occupant-id":
            return mark_xml(child.getAttribute("id") or "")
    return b""


async def _bury(room: Room, row: ArchiveRow, tombstone: str) -> None:
    """Only who said it, and that it is gone, stays."""
    old = Stanza.from_element(_element(row))
    attributes = {name: value for name, value in old.attrs.items() if name in ("from", "type", "id")}
    stone = Stanza("message", attributes, _mark(row) + tombstone.encode() + address_of(row.stanza))
    await room.service.store.archive.replace(-room.id, row.id, stone.to_bytes_ns())
    if room.history is not None:
        room.history.forget(row.id)


def _now(room: Room) -> str:
    return format_stamp(int(room.service.now() * 1000))
