"""Which bridge process a room lives in.

A stable hash says so (rendezvous hashing), hence nothing has to be remembered, and a room is found again after a
restart of the daemon. Only rooms that went elsewhere because their own process would not start are kept in mind, so
that they stay where they are when it does.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

__all__ = ["Placement"]

_REMEMBERED: Final = 10_000


class Placement:
    """The table for `count` processes, by their number."""

    def __init__(self, count: int) -> None:
        self._order: Final = tuple(range(count))
        self._elsewhere: OrderedDict[str, int] = OrderedDict()

    def find(self, room: str, is_failing: Sequence[bool]) -> int:
        """Return the process for a room. is_failing, by number: those that do not come up at all."""
        first = max(self._order, key=lambda number: _weight(number, room))
        found = self._elsewhere.get(room, first)
        if not is_failing[found]:
            return found
        others = [number for number in self._order if not is_failing[number]]
        if not others:
            return found
        found = max(others, key=lambda number: _weight(number, room))
        if found != first:
            self._elsewhere[room] = found
            self._elsewhere.move_to_end(room)
            if len(self._elsewhere) > _REMEMBERED:
                self._elsewhere.popitem(last=False)
        return found

    def room_ended(self, room: str) -> None:
        """A room is over; the next one of that name may be where it belongs."""
        self._elsewhere.pop(room, None)

    def process_ended(self, number: int) -> None:
        """A process has ended, and its rooms with it."""
        for room in [room for room, at in self._elsewhere.items() if at == number]:
            del self._elsewhere[room]


def _weight(number: int, room: str) -> bytes:
    return hashlib.sha256(b"%d %b" % (number, room.encode("utf-8", "surrogatepass"))).digest()
