"""A token bucket: so many a second on average, so many at once. Numbers only."""

from __future__ import annotations


class Bucket:
    """`rate` a second, at most `burst` saved up; full at `now`."""

    __slots__ = ("rate", "burst", "_left", "_at")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate, self.burst = rate, burst
        self._left, self._at = float(burst), now

    def take(self, amount: float, now: float) -> bool:
        """Take `amount`; False, and nothing is taken, if there is not enough."""
        self._left = min(self.burst, self._left + (now - self._at) * self.rate)
        self._at = now
        if amount > self._left:
            return False
        self._left -= amount
        return True

    def spend(self, amount: float, now: float) -> bool:
        """Take `amount` if anything is left, however little: what follows waits until the debt is paid. False, and
        nothing is taken, while there is one. For amounts that may be larger than `burst`.
        """
        if not self.has_any(now):
            return False
        self._left -= amount
        return True

    def has_any(self, now: float) -> bool:
        """Whether `spend` would take something now."""
        self._left = min(self.burst, self._left + (now - self._at) * self.rate)
        self._at = now
        return self._left > 0
