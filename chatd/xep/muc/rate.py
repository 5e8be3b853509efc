"""What one person may make a room do: XEP-0045 13.6, denial of service.

A message to a room of a thousand is a thousand messages, so what is counted is what goes out: a bucket that leaks so
many deliveries a second and holds ten seconds' worth.  It is the person's, not the occupant's, so that entering anew
empties none.  A large message counts as several.
"""

from __future__ import annotations

from typing import Final

from chatd.core.errors import StanzaError
from chatd.xep.muc.room import Room

__all__ = ["charge", "message_price"]

_BURST_S: Final = 10.0
_BYTES_A_DELIVERY: Final = 2048


def message_price(room: Room, size_bytes: int) -> float:
    """Of a message of that size to everybody, in deliveries."""
    return len(room.seats) * (1.0 + size_bytes / _BYTES_A_DELIVERY)


def charge(room: Room, bare: str, deliveries: float) -> None:
    """Counts what this person is about to make the room send.

    Raises StanzaError resource-constraint, to wait, where the bucket is full; what made it overflow was still let
    through, so that the largest room can be written to.
    """
    service = room.service
    rate = service.deliveries_per_s
    now = service.now()
    level, since = room.spent.get(bare, (0.0, now))
    level = max(0.0, level - rate * (now - since))
    if level > rate * _BURST_S:
        raise StanzaError("resource-constraint", "wait", text="You say more than the room can tell everybody.")
    if len(room.spent) > 2 * len(room.seats) + 100:
        room.spent = {one: (held, at) for one, (held, at) in room.spent.items() if held > rate * (now - at)}
    room.spent[bare] = (level + deliveries, now)
