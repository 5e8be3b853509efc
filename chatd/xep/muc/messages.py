"""Messages in a room: to everybody (XEP-0045 7.4) and to one occupant (7.5).

Where many are in a room this is what costs: a message is made and serialised once, goes into the archive and the
history, and is handed to every client when its row is on the disk.  Who gets it is settled when it comes, so it
keeps its place among the presence of those who enter and leave meanwhile.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.marks import BODY, CONTENT, NO_PERMANENT_STORE, NO_STORE, STORE, marks_of
from chatd.core.stanza import Stanza
from chatd.core.stanza_id import STANZA_ID
from chatd.xep.muc.addresses import with_address
from chatd.xep.muc.forgery import FORGED, honest
from chatd.xep.muc.ghosts import take_error
from chatd.xep.muc.history import belongs
from chatd.xep.muc.invite import take_invitation
from chatd.xep.muc.private import take_private
from chatd.xep.muc.rate import charge, message_price
from chatd.xep.muc.retraction import RETRACT, retract_own
from chatd.xep.muc.room import OCCUPANT_ID, Occupant, Room, Seat
from chatd.xep.muc.subject import change_subject, is_subject
from chatd.xep.muc.voice import take_form

__all__ = ["speak", "take_message"]

_USER_X: Final = f"{ns.MUC_USER} x"
_MARK: Final = f"{OCCUPANT_ID} occupant-id"


def take_message(room: Room, stanza: Stanza, from_: JID, to: JID) -> Deferred[Any] | None:
    """A message to a room or to somebody in it; raises StanzaError."""
    kind = stanza.attrs.get("type")
    occupant = room.seats.get(from_.full)
    if kind == "error":
        return take_error(room, occupant, stanza, from_, to) if occupant is not None else None
    if to.resource:
        take_private(room, _occupant(occupant), stanza, to.resource)
        return None
    if kind == "groupchat":
        return _groupchat(room, _occupant(occupant), stanza)
    if _USER_X in stanza.children:
        return take_invitation(room, occupant, stanza, from_)
    if f"{ns.DATA} x" in stanza.children:
        return take_form(room, occupant, stanza, from_)
    _occupant(occupant)
    raise StanzaError("bad-request", "modify", text="A message to everybody in a room has the type groupchat.")


def _occupant(occupant: Occupant | None) -> Occupant:
    if occupant is None:
        raise StanzaError("not-acceptable", "modify", text="You are not in this room.")
    return occupant


def _groupchat(room: Room, occupant: Occupant, stanza: Stanza) -> Deferred[Any] | None:
    charge(room, occupant.jid, message_price(room, len(stanza.inner)))
    if is_subject(stanza):
        return Deferred.fromCoroutine(_subject(room, occupant, stanza))
    if occupant.role == "visitor":
        raise StanzaError("forbidden", text="You have no voice in this room; ask a moderator for it.")
    if RETRACT in stanza.children:
        return Deferred.fromCoroutine(_retract(room, occupant, stanza))
    speak(room, occupant, stanza)
    return None


async def _subject(room: Room, occupant: Occupant, stanza: Stanza) -> None:
    await change_subject(room, occupant, stanza)
    speak(room, occupant, stanza, keep=True)


async def _retract(room: Room, occupant: Occupant, stanza: Stanza) -> None:
    speak(room, occupant, await retract_own(room, occupant, stanza), keep=True)


def speak(room: Room, occupant: Occupant | None, stanza: Stanza, keep: bool = False) -> int:
    """Gives everybody this message of an occupant's client, or of the room itself; its id.

    keep: it is archived whatever is in it.
    """
    service = room.service
    children = stanza.children
    if not FORGED.isdisjoint(children):
        stanza = honest(stanza, room.bare, occupant is not None and room.affiliation(occupant.jid) == "owner")
        children = stanza.children
    sender, mark = (occupant.address, occupant.mark) if occupant is not None else (room.bare, b"")
    attributes = {"from": sender, "type": "groupchat"}
    for name in ("id", "xml:lang"):
        if name in stanza.attrs:
            attributes[name] = stanza.attrs[name]
    stamp_ms = int(service.now() * 1000)
    row_id = service.new_id(stamp_ms)
    inner, names = stanza.inner + mark, (*children, _MARK) if mark else children
    marks = marks_of(children)
    if keep or (marks & (BODY | CONTENT | STORE) and not marks & (NO_STORE | NO_PERMANENT_STORE)):
        if room.config["archive"]:
            row = Stanza("message", attributes, inner, names).to_bytes_ns()
            if occupant is not None:
                row = with_address(room, occupant, stanza.attrs["from"], row)
                service.append(-room.id, row_id, occupant.jid, occupant.nick, row, stamp_ms)
            else:
                service.append(-room.id, row_id, room.bare, "", row, stamp_ms)
        told = Stanza("message", attributes, b'%b%b%d"/>' % (inner, room.id_xml, row_id), (*names, STANZA_ID))
        if room.history is not None and belongs(told):
            room.history.append((row_id, stamp_ms, told))
    else:
        told = Stanza("message", attributes, inner, names)
    seats = [seat for one in room.occupants.values() for seat in one.seats.values()]
    service.then(_hand_out, room, seats, told, stanza)
    return row_id


def _hand_out(error: Exception | None, room: Room, seats: list[Seat], told: Stanza, came: Stanza) -> None:
    if error is not None:
        room.history = None                     # what could not be stored was not said; read again when needed
        room.service.router.answer(came, StanzaError("internal-server-error", text="could not be stored"))
        return
    addressed = told.addressed
    for seat in seats:
        session = seat.session
        if session is not None:
            session.deliver(addressed(seat.full, seat.escaped))
        else:
            room.service.hand(seat, addressed(seat.full, seat.escaped))
