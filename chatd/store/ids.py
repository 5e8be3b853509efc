"""Archive ids: strictly rising 63-bit integers that carry their time.

An id is the time in milliseconds since 1970, shifted by 20 bits, plus a number within that millisecond, which begins
at random and grows by random steps: nobody can guess the next one (XEP-0313 wants that, as does XEP-0359). So rows
sort by id in the order they came, a time is an id's bound (`first_id_of`), and no index over the time is needed.
43 bits of milliseconds last until the year 2248.
"""
from __future__ import annotations

from collections.abc import Callable
from secrets import randbits
from typing import Final

SHIFT = 20
MAX_ID = 2**63 - 1
_FIRST_BITS = 18
_STEP_BITS = 9
"""Room for some 1,500 ids in one millisecond, ten times what a daemon can hand out, before they run into the next."""


def stamp_of(id: int) -> int:
    """The time in an id, milliseconds since 1970."""
    return id >> SHIFT


def first_id_of(stamp_ms: int) -> int:
    """The lowest id of that millisecond, kept inside the range of ids whatever is asked."""
    return min(max(stamp_ms, 0) << SHIFT, MAX_ID)


def last_id_of(stamp_ms: int) -> int:
    """The highest id of that millisecond, kept inside the range of ids whatever is asked."""
    return min((stamp_ms + 1 << SHIFT) - 1, MAX_ID) if stamp_ms >= 0 else -1


class RandomBits:
    """Random bits of the operating system's, which is asked for many at a time: each question is a system call."""

    __slots__ = ("_held", "_left")
    _AT_A_TIME: Final = 2048

    def __init__(self) -> None:
        self._held = 0
        self._left = 0

    def __call__(self, count: int) -> int:
        """So many of them (0 to 2048)."""
        if self._left < count:
            self._held, self._left = randbits(self._AT_A_TIME), self._AT_A_TIME
        bits = self._held & (1 << count) - 1
        self._held >>= count
        self._left -= count
        return bits


class Ids:
    """Gives out ids, each above all it gave before and above `last`.

    When the clock stands still or goes back, ids go on counting from the highest one: order and uniqueness
    matter more than the exact millisecond.
    """

    __slots__ = ("_random", "last")

    def __init__(self, last: int = 0, random: Callable[[int], int] | None = None) -> None:
        """last: the highest id that may have been given out before. random: so many random bits."""
        self.last = last
        self._random = random or RandomBits()

    def new_id(self, stamp_ms: int) -> int:
        """The next id for something that happened at stamp_ms (milliseconds since 1970).

        Raises ValueError for a time before 1970 or after 2248, and when no id is left.
        """
        if not 0 <= stamp_ms <= MAX_ID >> SHIFT:
            raise ValueError(f"{stamp_ms} is no time in milliseconds since 1970")
        wanted = (stamp_ms << SHIFT) + self._random(_FIRST_BITS)
        if wanted <= self.last:
            wanted = self.last + 1 + self._random(_STEP_BITS)
            if wanted > MAX_ID:
                raise ValueError("the ids are used up")
        self.last = wanted
        return wanted
