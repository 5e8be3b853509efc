"""Which layer of a track a subscriber gets: from what it wants, what exists and what its line can take. Numbers only.

Layers have ranks: 0 is the smallest. NONE means that nothing is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

NONE = -1
LOW, MEDIUM, HIGH = 0, 1, 2


class Size(NamedTuple):
    """Width and height in pixels of a layer as its publisher announced it."""

    width: int
    height: int


def rank_for_size(sizes: Sequence[Size], width: int, height: int) -> int:
    """The smallest layer that is at least as large as the tile, the largest if none is; `sizes` ascending."""
    for rank, size in enumerate(sizes):
        # A tile may stand upright where the picture lies: the longer sides are compared.
        if max(size) >= max(width, height) and min(size) >= min(width, height):
            return rank
    return max(0, len(sizes) - 1)


def choose(live: Sequence[int], wanted: int, allowed: int) -> int:
    """Of the ranks that arrive now: the highest that is neither above `wanted` nor above `allowed`.

    If all are above, the lowest (better too large than black), unless `allowed` is NONE; NONE if nothing arrives.
    """
    if not live or allowed == NONE or wanted == NONE:
        return NONE
    limit = min(wanted, allowed)
    below = [rank for rank in live if rank <= limit]
    return max(below) if below else min(live)


class Demand(NamedTuple):
    """One track of a subscriber: what each rank costs in bits a second (ascending ranks), the rank it wants, the one
    it has.

    `is_screen`: text must stay readable, so it is served before cameras.
    """

    costs: Sequence[tuple[int, int]]
    wanted: int
    current: int
    is_screen: bool = False


def allocate(
    budget: float, demands: Sequence[Demand], headroom: float = 1.15, *, may_stop: bool = True
) -> list[int]:
    """Share `budget` (bits a second, sound already taken off) among video tracks; returns the allowed rank of each.

    Everybody gets the smallest layer first, in order; then all are raised a rank at a time, screens before cameras. A
    track is raised above what it has only with `headroom` to spare: otherwise it would swing between two layers. The
    first gets its smallest layer even if that needs up to twice the budget: an estimate is not so exact that a black
    tile would be better. `may_stop`: whether others may get nothing; if not, everybody's smallest layer is given,
    whatever it costs.
    """
    given = [NONE] * len(demands)
    spent = 0.0
    order = sorted(range(len(demands)), key=lambda i: not demands[i].is_screen)
    step = 0
    going = True
    while going:
        going = False
        for i in order:
            demand = demands[i]
            ranks = [entry for entry in demand.costs if entry[0] <= demand.wanted] or list(demand.costs[:1])
            if step >= len(ranks) or (step and given[i] != ranks[step - 1][0]):
                continue
            rank, cost = ranks[step]
            before = ranks[step - 1][1] if step else 0
            factor = headroom if rank > demand.current else 1.0
            if i == order[0] and not step:
                factor = 0.5
            if (spent - before + cost) * factor <= budget or not (step or may_stop):
                spent += cost - before
                given[i] = rank
                going = True
        step += 1
    return given


class Rate:
    """Bits a second, from sizes and times, over half-second windows; 0 after a second of silence."""

    __slots__ = ("_since", "_octets", "_rate", "_last")

    def __init__(self) -> None:
        self._since = 0.0
        self._octets = 0
        self._rate = 0.0
        self._last = 0.0

    def add(self, octets: int, now: float) -> None:
        """So many octets at `now` seconds."""
        self._octets += octets
        self._last = now
        passed = now - self._since
        if passed >= 0.5:
            fresh = self._octets * 8 / passed if passed < 2 else self._octets * 8 / 0.5
            # Keyframes make a window large: they are evened out, the first window counts whole.
            self._rate = fresh if not self._rate or passed >= 2 else 0.6 * self._rate + 0.4 * fresh
            self._since, self._octets = now, 0

    def value(self, now: float) -> float:
        """The rate as of `now`."""
        return self._rate if now - self._last < 1.0 else 0.0
