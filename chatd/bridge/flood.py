"""What one identity may ask of a bridge in a while, whichever WebSocket it comes by. Numbers only.

Limits are far above what clients do. A description costs milliseconds to read, and a change of a participant goes to
everybody in the room with all that is known of it: so descriptions are counted apart, and changes by their bytes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from chatd.bridge.bucket import Bucket
from chatd.bridge.settings import Limits

# Identities that are remembered, those of the latest joins.
MOST_IDENTITIES = 10_000


class Flood:
    """Counts for one identity. Each method says whether it is still in bounds; what is not is not counted."""

    __slots__ = ("_messages", "_bytes", "_descriptions", "_changes", "_joins")

    def __init__(self, limits: Limits, now: float) -> None:
        self._messages = Bucket(limits.messages_per_second, limits.message_burst, now)
        self._bytes = Bucket(limits.message_bytes_per_second, limits.message_burst_bytes, now)
        self._descriptions = Bucket(limits.descriptions_per_second, limits.description_burst, now)
        self._changes = Bucket(limits.change_bytes_per_second, limits.change_burst_bytes, now)
        self._joins = Bucket(limits.joins_per_minute / 60, limits.join_burst, now)

    def message(self, size: int, now: float) -> bool:
        """A message of so many bytes."""
        return self._messages.take(1, now) and self._bytes.take(size, now)

    def description(self, now: float) -> bool:
        """An offer or an answer."""
        return self._descriptions.take(1, now)

    def change(self, size: int, now: float) -> bool:
        """A change that others are told of in so many bytes each."""
        return self._changes.take(size, now)

    def join(self, now: float) -> bool:
        """A new WebSocket, for a join or a resume."""
        return self._joins.take(1, now)


class Floods:
    """By room and identity; who has not come for long is forgotten, which only gives it its burst back."""

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        self._limits = limits
        self._now = now
        self._all: OrderedDict[tuple[str, str], Flood] = OrderedDict()

    def of(self, room: str, identity: str) -> Flood:
        """The counts of this identity in this room."""
        key = room, identity
        found = self._all.get(key)
        if found is None:
            found = self._all[key] = Flood(self._limits, self._now())
            if len(self._all) > MOST_IDENTITIES:
                self._all.popitem(last=False)
        else:
            self._all.move_to_end(key)
        return found
