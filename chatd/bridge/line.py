"""The line to one subscriber: its estimate kept, its capacity shared among the tracks, probed for more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from chatd.bridge import layers, rtcp
from chatd.bridge.estimator import Estimator, Prober

if TYPE_CHECKING:
    from chatd.bridge.forward import Subscription

SHARE_S = 0.2


class Line:
    """Owned by a transport; `subscriptions` is the transport's own table, by SSRC."""

    def __init__(self, subscriptions: dict[int, Subscription]) -> None:
        self.estimator = Estimator()
        self._prober = Prober()
        self._subscriptions = subscriptions
        self._padding = 0.0

    def remb(self, item: rtcp.Remb, now: float) -> None:
        """The peer's estimate."""
        self.estimator.remb(item.bitrate, self.sent_rate(now), now, self._padding)

    def reported(self, blocks: Sequence[rtcp.ReportBlock], now: float) -> None:
        """The peer's report blocks: loss weighted by rate, and the round trip."""
        total, weight = 0.0, 0.0
        trips = []
        for block in blocks:
            subscription = self._subscriptions.get(block.ssrc)
            if subscription is None:
                continue
            trip = subscription.round_trip(block, now)
            if trip is not None:
                trips.append(trip)
            rate = subscription.layer.rate.value(now) if subscription.layer is not None else 0.0
            # A stream that has just begun has no rate yet, but its loss counts.
            total += (rate + 1) * block.fraction / 256
            weight += rate + 1
        if trips:
            # The shortest: what took longer may have waited inside one of the two computers.
            self.estimator.answered(min(trips), now)
        if weight:
            self.estimator.reported(total / weight, self.sent_rate(now) + self._padding, now)

    def sent_rate(self, now: float) -> float:
        """Bits a second of all tracks, without padding."""
        return sum(s.rate(now) for s in self._subscriptions.values())

    def share(self, now: float) -> None:
        """Every SHARE_S: decide which layers the line takes, and probe for more."""
        self._padding = 0.0
        video = [s for s in self._subscriptions.values() if s.publication.kind == "video" and not s.is_paused]
        if not video:
            return
        available = self.estimator.available(now)
        if available is None:
            for subscription in video:
                subscription.allow(layers.HIGH, now)
            return
        sound = sum(s.rate(now) for s in self._subscriptions.values() if s.publication.kind == "audio")
        demands = [layers.Demand(s.publication.costs(now), s.wanted, s.rank, s.publication.is_screen) for s in video]
        missing = 0.0
        # What is only guessed to be narrow takes the smallest layers, but nobody's picture altogether.
        given = layers.allocate(available - sound, demands, may_stop=self.estimator.is_sure)
        if self._prober.is_active and given[0] == layers.NONE and demands[0].costs:
            # Padding needs something that is sent: the smallest layer itself is the probe.
            given[0] = demands[0].costs[0][0]
        for subscription, demand, rank in zip(video, demands, given, strict=True):
            step = _next_step(demand, rank)
            # Whoever gets all that it wants is not held back when more begins to arrive.
            subscription.allow(rank if step else layers.HIGH, now)
            if step:
                missing = min(missing or step, step)
        sending = self.sent_rate(now)
        goal = (sending + missing) * 1.2 if missing else 0.0
        is_dark = any(rank == layers.NONE and d.costs for rank, d in zip(given, demands, strict=True))
        self._padding = self._prober.rate(goal, sending, self.estimator, now, is_dark=is_dark)
        if self._padding:
            self._pad(int(self._padding * SHARE_S / 8), video, now)

    def _pad(self, octets: int, video: Iterable[Subscription], now: float) -> None:
        for subscription in video:
            octets -= subscription.repeats.pad(octets, now)
            if octets <= 0:
                return


def _next_step(demand: layers.Demand, rank: int) -> float:
    """What the next rank above `rank` costs more; 0 if there is none that is wanted."""
    above = [r for r, _ in demand.costs if rank < r <= demand.wanted] or (
        [demand.costs[0][0]] if demand.costs and rank < 0 else []
    )
    if not above:
        return 0.0
    costs = dict(demand.costs)
    return max(1.0, costs[above[0]] - costs.get(rank, 0))
