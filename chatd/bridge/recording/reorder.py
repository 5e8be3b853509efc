"""Packets of one stream in order: late ones wait for, lost ones given up after a while. Numbers in, items out."""

from __future__ import annotations

from collections.abc import Iterator

from chatd.bridge.rtp import unwrap


class Lost:
    """So many packets are missing here and will not come."""

    __slots__ = ("count",)

    def __init__(self, count: int) -> None:
        self.count = count


class Reorder:
    """`wait_s`: how long a hole may stay open, from the first packet behind it on; `most`: packets held at most.

    `late`: packets that came after their hole was given up, or twice.
    """

    __slots__ = ("late", "_wait_s", "_most", "_next", "_held")

    def __init__(self, wait_s: float, most: int = 4096) -> None:
        self.late = 0
        self._wait_s = wait_s
        self._most = most
        self._next = -1
        # unwrapped number -> (item, when it came), in the order of arrival
        self._held: dict[int, tuple[object, float]] = {}

    def begin(self, sequence: int) -> None:
        """A stream begins with this 16-bit number: nothing before it counts."""
        self._next = sequence + 0x10000
        self._held.clear()

    def put(self, sequence: int, item: object, now: float) -> Iterator[object]:
        """An item with its 16-bit number; None as item: nothing is behind this number, but it is no loss.

        Gives what is in order now; `due` gives what time has made so.
        """
        number = unwrap(sequence, self._next)
        if number < self._next or number in self._held:
            self.late += 1
            return
        if number == self._next:
            self._next += 1
            if item is not None:
                yield item
            if self._held:
                yield from self._run()
            return
        self._held[number] = (item, now)

    def _run(self) -> Iterator[object]:
        while (held := self._held.pop(self._next, None)) is not None:
            self._next += 1
            if held[0] is not None:
                yield held[0]

    def due(self, now: float) -> Iterator[object]:
        """What waited long enough, with a `Lost` for every hole that is given up."""
        while self._held:
            # The oldest came first behind the hole, or behind a later one: then this hole is as old.
            oldest = next(iter(self._held.values()))[1]
            if now - oldest < self._wait_s and len(self._held) <= self._most:
                return
            first = min(self._held)
            yield Lost(first - self._next)
            self._next = first
            yield from self._run()

    def flush(self) -> Iterator[object]:
        """The stream ends: everything that is held."""
        while self._held:
            first = min(self._held)
            if first > self._next:
                yield Lost(first - self._next)
            self._next = first
            yield from self._run()
