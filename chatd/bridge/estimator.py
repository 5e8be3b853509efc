"""What a subscriber's line can take: from its REMB messages and the loss in its receiver reports. Numbers only.

REMB is the receiver's own delay-based estimate; loss is counted as in Google's congestion control (draft-ietf-rmcat-gcc-02
section 6): under 2 % the limit rises, above 10 % it falls. REMB never exceeds about 1.5 times what arrives, so it cannot tell
that more would fit: `Prober` says when to send padding to find out.
"""

from __future__ import annotations

LOWEST_BPS = 30_000.0
REMB_LIFE_S = 8.0


class Estimator:
    """One subscriber's line. Times are seconds of one steady clock, rates bits a second."""

    __slots__ = ("_remb", "_remb_at", "_loss_limit", "_loss_at", "loss", "round_trip_s")

    def __init__(self) -> None:
        self._remb: float | None = None
        self._remb_at = 0.0
        self._loss_limit: float | None = None
        self._loss_at = 0.0
        self.loss = 0.0
        self.round_trip_s = 0.1

    def remb(self, bitrate: float, now: float) -> None:
        """The receiver's estimate has come in."""
        self._remb, self._remb_at = max(LOWEST_BPS, bitrate), now

    def reported(self, fraction_lost: float, sent: float, now: float) -> None:
        """A receiver report: `fraction_lost` 0…1 of what was sent at the rate `sent`."""
        self.loss = 0.7 * self.loss + 0.3 * fraction_lost
        if fraction_lost > 0.1:
            limit = min(self._loss_limit or sent, sent) if sent else self._loss_limit
            if limit is not None and now - self._loss_at >= 0.3:
                self._loss_limit = max(LOWEST_BPS, limit * (1 - 0.5 * fraction_lost))
                self._loss_at = now
        elif fraction_lost < 0.02 and self._loss_limit is not None:
            passed = min(5.0, max(0.0, now - self._loss_at))
            self._loss_at = now
            self._loss_limit *= 1.08 ** passed
            if self._loss_limit > 3 * max(sent, 1_000_000.0):
                self._loss_limit = None

    def available(self, now: float) -> float | None:
        """The smaller of both limits; None while nothing limits."""
        remb = self._remb if self._remb is not None and now - self._remb_at < REMB_LIFE_S else None
        if remb is None:
            return self._loss_limit
        return remb if self._loss_limit is None else min(remb, self._loss_limit)


class Prober:
    """When to try whether more fits: after a calm time, for a while, less often after each failure.

    `rate` says how much padding to send now, bits a second.
    """

    __slots__ = ("_calm_since", "_until", "_next", "_pause", "_goal")

    FIRST_PAUSE_S = 3.0
    LONGEST_PAUSE_S = 30.0
    LENGTH_S = 1.5

    def __init__(self) -> None:
        self._calm_since = 0.0
        self._until = 0.0
        self._next = 0.0
        self._pause = self.FIRST_PAUSE_S
        self._goal = 0.0

    def rate(self, goal: float, sending: float, available: float | None, loss: float, now: float) -> float:
        """`goal`: total rate that the next better choice of layers needs, 0 if nothing more is wanted.

        `sending` without padding, `available` from the estimator, `loss` 0…1. Returns 0 when not probing.
        """
        if available is None or goal <= 0 or available >= goal:
            if self._until and goal > 0:
                self._pause = self.FIRST_PAUSE_S
            self._until = 0.0
            return 0.0
        if loss > 0.05:
            self._failed(now)
            return 0.0
        if self._until:
            if now >= self._until:
                self._failed(now)
                return 0.0
            # REMB follows what arrives by half as much again, so the rate climbs with the estimate.
            return max(0.0, min(self._goal * 1.1, max(available, sending) * 1.25) - sending)
        if not self._next:
            self._next = now + self._pause
        if now >= self._next:
            self._until, self._goal = now + self.LENGTH_S, goal
        return 0.0

    def _failed(self, now: float) -> None:
        if self._until:
            self._pause = min(self.LONGEST_PAUSE_S, self._pause * 1.6)
        self._until = 0.0
        self._next = now + self._pause
