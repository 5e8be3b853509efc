"""How much, how fast: token buckets for what a stream sends, and back-off after failed log-ins.

Time comes in as `now`, seconds of any clock that does not run backwards.
"""
from __future__ import annotations

from collections import OrderedDict

__all__ = ["Backoff", "TokenBucket", "TokenBuckets"]


class TokenBucket:
    """`rate` units a second on average, `burst` at once.

    A bucket may go into debt: what was received has been received, and `take` says how long to stop reading
    (back-pressure; nobody is cut off for being fast).
    """

    __slots__ = ("_last", "_level", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        if rate <= 0 or burst <= 0:
            raise ValueError("a bucket needs a rate and a burst above 0")
        self.rate = rate
        self.burst = burst
        self._level = burst
        self._last = now

    def take(self, amount: float, now: float) -> float:
        """Takes `amount` (0 or more) and gives the seconds to wait until the debt is paid, 0.0 for none."""
        level = self._level
        if now > self._last:
            level += (now - self._last) * self.rate
            if level > self.burst:
                level = self.burst
            self._last = now
        self._level = level = level - amount
        return 0.0 if level >= 0 else -level / self.rate


class TokenBuckets:
    """A TokenBucket for each of many keys, of which the `most` that were used last are kept."""

    def __init__(self, rate: float, burst: float, most: int = 10_000) -> None:
        self._rate = rate
        self._burst = burst
        self._most = most
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def is_too_fast(self, key: str, now: float) -> bool:
        """May this key not do it once more now? What is refused costs nothing."""
        bucket = self._buckets.pop(key, None) or TokenBucket(self._rate, self._burst, now)
        self._buckets[key] = bucket
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        if bucket.take(1, now) <= 0:
            return False
        bucket.take(-1, now)
        return True


class Backoff:
    """Failed log-ins of one kind of key (an address, an account): who has to wait, and how long.

    The first `free` failures cost nothing; each further one doubles the wait, from `first_s` up to
    `longest_s`. A key is forgotten `forget_s` after its last failure, or at once by `succeeded`. Of more
    than `most` keys the one that has been quiet longest goes, so memory is bounded whatever is tried.

    Use one table for addresses and one for accounts, and refuse (temporary-auth-failure) while either says to
    wait. An attempt refused for waiting is not another failure, or nobody could ever get back in while
    somebody else keeps trying; for the same reason keep an account's `longest_s` short and the addresses'
    long.
    """

    def __init__(self, free: int = 5, first_s: float = 1.0, longest_s: float = 300.0,
    forget_s: float = 3600.0,
                 most: int = 10_000) -> None:
        self.free = free
        self.first_s = first_s
        self.longest_s = longest_s
        self.forget_s = forget_s
        self.most = most
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()  # key -> (how many, the last)

    def wait(self, key: str, now: float) -> float:
        """Seconds until this key may try again, 0.0 if it may now."""
        entry = self._failures.get(key)
        if entry is None:
            return 0.0
        count, last = entry
        if now - last >= self.forget_s:
            del self._failures[key]
            return 0.0
        over = count - self.free
        if over <= 0:
            return 0.0
        # The exponent is bounded before it is used: a key may have failed a million times.
        pause = min(self.first_s * 2.0 ** min(over - 1, 60), self.longest_s)
        return max(0.0, last + pause - now)

    def failed(self, key: str, now: float) -> None:
        """One more failure."""
        count, last = self._failures.pop(key, (0, now))
        if now - last >= self.forget_s:
            count = 0
        self._failures[key] = (count + 1, now)
        self._trim(now)

    def succeeded(self, key: str) -> None:
        """The right password: the past is forgotten."""
        self._failures.pop(key, None)

    def _trim(self, now: float) -> None:
        """The order is that of the last failure, so what may go stands in front."""
        while self._failures:
            key, (_, last) = next(iter(self._failures.items()))
            if len(self._failures) <= self.most and now - last < self.forget_s:
                return
            del self._failures[key]

    def __len__(self) -> int:
        return len(self._failures)
