"""Private messages, from one occupant to another: XEP-0045 7.5.

All of the recipient's clients in the room get the same message, with the one id it has in the recipient's archive;
none else does, for they would not know whom it is from (XEP-0280 6.1 leaves them out, too).
"""

from __future__ import annotations

from typing import Final

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.hooks import Message
from chatd.core.jid import JID
from chatd.core.stanza import Stanza
from chatd.xep.muc.forgery import FORGED, honest
from chatd.xep.muc.rate import charge
from chatd.xep.muc.room import OCCUPANT_ID, Occupant, Room, Seat

__all__ = ["may_write", "take_private"]

_USER_X: Final = f"{ns.MUC_USER} x"
_MARK: Final = f"{OCCUPANT_ID} occupant-id"
_ROLES: Final = {
    "anyone": ("visitor", "participant", "moderator"),
    "participants": ("participant", "moderator"),
    "moderators": ("moderator",),
    "none": (),
}


def may_write(room: Room, occupant: Occupant, target: Occupant) -> bool:
    """muc#roomconfig_allowpm; moderators can be written to unless nobody may be."""
    allowed = room.config["private"]
    return occupant.role in _ROLES[allowed] or (target.role == "moderator" and allowed != "none")


def take_private(room: Room, occupant: Occupant, stanza: Stanza, nick: str) -> None:
    """A message to one occupant; raises StanzaError bad-request, item-not-found, forbidden, or what the recipient's
    own rules refuse it with."""
    if stanza.attrs.get("type") == "groupchat":
        raise StanzaError("bad-request", "modify", text="A message to one occupant is not of the type groupchat.")
    target = room.occupants.get(nick)
    if target is None:
        raise StanzaError("item-not-found", text="Nobody in this room has that nickname.")
    if not may_write(room, occupant, target):
        raise StanzaError("forbidden", text="Private messages are not allowed to you in this room.")
    charge(room, occupant.jid, len(target.seats))
    if not FORGED.isdisjoint(stanza.children):
        stanza = honest(stanza, room.bare)
    full = next(reversed(target.seats))
    told = stanza.readdressed(from_=occupant.address, to=full)
    told = told.with_children(told.inner + f'<x xmlns="{ns.MUC_USER}"/>'.encode() + occupant.mark,
                              (*told.children, _USER_X, _MARK))
    told = _received(room, told, occupant, target, full)
    seats = list(target.seats.values())
    room.service.then(_hand_out, room, seats, told.readdressed(to=None), stanza)


def _received(room: Room, told: Stanza, occupant: Occupant, target: Occupant, full: str) -> Stanza:
    """Past the archive and the block list of an account here: the message as its clients are to get it."""
    router = room.service.router
    account = router.accounts.find(target.jid)
    if account is None:
        return told
    message = Message(told, JID.parse(occupant.address), JID.parse(full), None, account)
    for hook in router.hooks.events.get("message.received", ()):
        hook(message)
    return message.stanza


def _hand_out(error: Exception | None, room: Room, seats: list[Seat], told: Stanza, came: Stanza) -> None:
    if error is not None:
        room.service.router.answer(came, StanzaError("internal-server-error", text="could not be stored"))
        return
    for seat in seats:
        room.service.hand(seat, told.addressed(seat.full))
