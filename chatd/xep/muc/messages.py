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
from chatd.core.stanza import Stanza, attribute
from chatd.core.stanza_id import STANZA_ID, without_stanza_id
from chatd.xep.muc.history import belongs
from chatd.xep.muc.invite import take_invitation
from chatd.xep.muc.retraction import RETRACT, retract_own
from chatd.xep.muc.room import OCCUPANT_ID, Occupant, Room, Seat
from chatd.xep.muc.subject import change_subject, is_subject
from chatd.xep.muc.voice import take_voice_form

__all__ = ["speak", "take_message"]

_USER_X: Final = f"{ns.MUC_USER} x"
_MARK: Final = f"{OCCUPANT_ID} occupant-id"
_FORGED: Final = frozenset({_USER_X, _MARK, STANZA_ID, f"{ns.DELAY} delay"})


def take_message(room: Room, stanza: Stanza, from_: JID, to: JID) -> Deferred[Any] | None:
    """A message to a room or to somebody in it; raises StanzaError."""
    kind = stanza.attrs.get("type")
    if kind == "error":
        return None
    occupant = room.seats.get(from_.full)
    if to.resource:
        _private(room, _occupant(occupant), stanza, to.resource)
        return None
    if kind == "groupchat":
        return _groupchat(room, _occupant(occupant), stanza)
    if _USER_X in stanza.children:
        return take_invitation(room, occupant, stanza, from_)
    if f"{ns.DATA} x" in stanza.children:
        return take_voice_form(room, _occupant(occupant), stanza)
    raise StanzaError("bad-request", "modify", text="A message to everybody in a room has the type groupchat.")


def _occupant(occupant: Occupant | None) -> Occupant:
    if occupant is None:
        raise StanzaError("not-acceptable", "modify", text="You are not in this room.")
    return occupant


def _groupchat(room: Room, occupant: Occupant, stanza: Stanza) -> Deferred[Any] | None:
    if is_subject(stanza):
        return Deferred.fromCoroutine(_subject(room, occupant, stanza))
    if occupant.role == "visitor":
        raise StanzaError("forbidden", text="You have no voice in this room; ask a moderator for it.")
    if RETRACT in stanza.children:
        return Deferred.fromCoroutine(_retract(room, occupant, stanza))
    speak(room, occupant.address, occupant.mark, stanza)
    return None


async def _subject(room: Room, occupant: Occupant, stanza: Stanza) -> None:
    await change_subject(room, occupant, stanza)
    speak(room, occupant.address, occupant.mark, stanza, keep=True)


async def _retract(room: Room, occupant: Occupant, stanza: Stanza) -> None:
    await retract_own(room, occupant, stanza)
    speak(room, occupant.address, occupant.mark, stanza, keep=True)


def speak(room: Room, sender: str, mark: bytes, stanza: Stanza, keep: bool = False) -> int:
    """Gives everybody this message from `sender`; mark: its occupant-id, or nothing.  Returns its id.

    keep: it is archived whatever is in it.
    """
    service = room.service
    children = stanza.children
    if not _FORGED.isdisjoint(children):
        stanza = honest(stanza, room.bare)
        children = stanza.children
    attributes = {"from": sender, "type": "groupchat"}
    for name in ("id", "xml:lang"):
        if name in stanza.attrs:
            attributes[name] = stanza.attrs[name]
    stamp_ms = int(service.now() * 1000)
    row_id = service.new_id(stamp_ms)
    said = Stanza("message", attributes, stanza.inner + mark, (*children, _MARK) if mark else children)
    told = said.added(b'<stanza-id xmlns="%b" by="%b" id="%d"/>' % (
        ns.SID.encode(), attribute(room.bare).encode(), row_id), STANZA_ID)
    marks = marks_of(children)
    is_kept = keep or (bool(marks & (BODY | CONTENT | STORE)) and not marks & (NO_STORE | NO_PERMANENT_STORE))
    if is_kept and room.config["archive"]:
        service.append(-room.id, row_id, room.bare, sender[len(room.bare) + 1:], said.to_bytes_ns(), stamp_ms)
    if is_kept and room.history is not None and belongs(told):
        room.history.append((row_id, stamp_ms, told))
    seats = [seat for one in room.occupants.values() for seat in one.seats.values()]
    service.then(_hand_out, room, seats, told if is_kept else said, stanza)
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
            session.deliver(addressed(seat.full))
        else:
            room.service.hand(seat, addressed(seat.full))


def honest(stanza: Stanza, room_bare: str) -> Stanza:
    """A message without what only the room may say of it."""
    if STANZA_ID in stanza.children:
        stanza = without_stanza_id(stanza, room_bare)
    return stanza.without(ns.MUC_USER, "x").without(OCCUPANT_ID, "occupant-id").without(ns.DELAY, "delay")


_PRIVATE_ROLES: Final = {
    "anyone": ("visitor", "participant", "moderator"),
    "participants": ("participant", "moderator"),
    "moderators": ("moderator",),
    "none": (),
}


def _private(room: Room, occupant: Occupant, stanza: Stanza, nick: str) -> None:
    if stanza.attrs.get("type") == "groupchat":
        raise StanzaError("bad-request", "modify", text="A message to one occupant is not of the type groupchat.")
    target = room.occupants.get(nick)
    if target is None:
        raise StanzaError("item-not-found", text="Nobody in this room has that nickname.")
    if occupant.role not in _PRIVATE_ROLES[room.config["private"]] and target.role != "moderator":
        raise StanzaError("forbidden", text="Private messages are not allowed to you in this room.")
    if not _FORGED.isdisjoint(stanza.children):
        stanza = honest(stanza, room.bare)
    told = stanza.readdressed(from_=occupant.address, to=None).added(
        f'<x xmlns="{ns.MUC_USER}"/>'.encode() + occupant.mark, _USER_X)
    # One of the target's clients gets it the ordinary way, past its archive and block list; the others see it too.
    first, *others = reversed(target.seats.values())
    room.service.router.route(told.addressed(first.full), JID.parse(occupant.address), JID.parse(first.full))
    room.send([(seat, told.addressed(seat.full)) for seat in others])
