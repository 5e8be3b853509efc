"""What comes back as an error: those who cannot be reached leave the room (XEP-0045 11.1, 18.1.2)."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred

from chatd.core import ns
from chatd.core.jid import JID
from chatd.core.stanza import Stanza
from chatd.xep.muc.entering import leave
from chatd.xep.muc.forgery import honest
from chatd.xep.muc.private import may_write
from chatd.xep.muc.rate import charge
from chatd.xep.muc.room import Occupant, Room

__all__ = ["condition_of", "take_error"]

#: Conditions that say: there is nobody.  service-unavailable is what servers say of a client that has gone.
_NOBODY: Final = frozenset({"gone", "item-not-found", "recipient-unavailable", "redirect", "remote-server-not-found",
                            "remote-server-timeout", "service-unavailable"})


def condition_of(stanza: Stanza) -> str:
    """The condition of an error (RFC 6120 8.3.3), "" for none."""
    for child in stanza.element.elements():
        if child.name == "error":
            return next((str(part.name) for part in child.elements() if part.uri == ns.STANZAS), "")
    return ""


def take_error(room: Room, occupant: Occupant, stanza: Stanza, from_: JID, to: JID) -> Deferred[Any] | None:
    """A message of type error of an occupant's client, in answer to one that the room sent there.

    Raises StanzaError where this person makes the room send too much; leaving was paid for on entering.
    """
    if condition_of(stanza) in _NOBODY:
        return leave(room, occupant, from_.full, None, 333)
    target = room.occupants.get(to.resource) if to.resource else None
    if target is not None and may_write(room, occupant, target):
        # Whoever wrote the private message hears of it.
        charge(room, occupant.jid, len(target.seats))
        told = honest(stanza, room.bare).readdressed(from_=occupant.address, to=None)
        room.send([(seat, told.addressed(seat.full)) for seat in target.seats.values()])
    return None
