"""What a subscriber's line can take: from its REMB messages and the loss in its receiver reports. Numbers only.

REMB is the receiver's own estimate, made from delays. It grows by 8 % a second at most and not beyond 1.5 times what
arrives, so a low value says nothing by itself: a viewer who has just enlarged a tile would wait half a minute. What
counts is that it *falls* to about what is sent: then packets queue up somewhere (draft-ietf-rmcat-gcc-02 section 5.5:
0.85 of what arrives). But a busy computer makes it fall as well, or stand still, at a line that is idle (measured: at
half of what is sent, for minutes). So a limit needs a witness in the receiver reports: packets that are lost, or
answers that take longer than they have to. Loss counts by itself as there in section 6, above 10 %. A limit once found
stays until `Prober` has seen that more gets through.

On a computer that starves (measured: two cores with a load of 27, nothing lost) answers are late as well, sometimes by
seconds. A late answer still lowers the limit, since a line that fills has to be noticed within a second. But a picture
is taken away altogether only when not one answer of some seconds was quick, which a full line allows none to be.
"""

from __future__ import annotations

import math
from collections import deque

LOWEST_BPS = 30_000.0
LIFE_S = 60.0
# Speaks for a full line; so much, for one that is too narrow for all pictures (Wi-Fi may lose a few per cent always).
SOME_LOSS = 0.02
SURE_LOSS = 0.1
SURE_TRIP_S = 0.8
QUEUE_S = 0.05
WITNESS_S = 2.0
# Of so many seconds the quickest answer counts.
TRIPS_S = 4.0
STAGNATION_S = 0.8
REPORT_S = 1.2


class Estimator:
    """One subscriber's line. Times are seconds of one steady clock, rates bits a second.

    `congested_at`: when it last seemed to be full, `witnessed_at`: when reports bore that out; `proven`: what got
    through at least, or was its limit then; `loss`: smoothed, 0…1; `is_sure`: while it was limited many packets were
    lost, or not one answer came within most of a second, which a busy computer at the other end hardly does.
    """

    __slots__ = ("_remb", "_base", "_base_at", "_limit", "_trips", "_trip_at", "_least_trip", "_suspect", "_suspect_at",
                 "_ends", "congested_at", "witnessed_at", "is_sure", "loss", "proven", "round_trip_s")

    def __init__(self) -> None:
        self._remb: float | None = None
        self._base = self._base_at = 0.0
        self._limit: float | None = None
        self._trips: deque[tuple[float, float]] = deque(maxlen=32)
        self._trip_at, self._least_trip = -LIFE_S, math.inf
        self._suspect, self._suspect_at = 0.0, -LIFE_S
        self._ends = 0.0
        self.congested_at = self.witnessed_at = -LIFE_S
        self.proven = LOWEST_BPS
        self.is_sure = False
        self.loss = 0.0
        self.round_trip_s = 0.1

    def remb(self, bitrate: float, sent: float, now: float, padding: float = 0.0) -> None:
        """The receiver's estimate has come in, while we sent at the rate `sent` and `padding` besides."""
        bitrate = max(LOWEST_BPS, bitrate)
        before, self._remb = self._remb, bitrate
        if before is None:
            # A receiver's first estimate is what arrived in its first seconds, when less was sent: measured, 0.83 of
            # what is sent by then on an idle line. Only far below it is a limit; what stagnates is found next time.
            is_full = bitrate < 0.5 * sent
            self._base, self._base_at = bitrate, now
        else:
            is_full = bitrate < 0.97 * before and bitrate < 1.1 * (sent + padding)
            if padding:
                # It lags behind a probe as behind a new layer: only a fall counts.
                self._base, self._base_at = bitrate, now
            elif now - self._base_at >= STAGNATION_S:
                # Below what is sent and not growing: held down by a full line, not lagging behind.
                is_full = is_full or (bitrate < 0.9 * sent and bitrate < 1.03 * self._base)
                self._base, self._base_at = bitrate, now
        if is_full and (padding or self._is_witnessed(now)):
            self._full(bitrate, now)
        elif is_full:
            self._suspect, self._suspect_at = bitrate, now
        elif self._limit is not None and bitrate > self._limit:
            self._limit = bitrate

    def answered(self, trip: float, now: float) -> None:
        """A packet and the report on it took `trip` seconds there and back."""
        self.round_trip_s += 0.2 * (min(trip, 5.0) - self.round_trip_s)
        self._trip_at = now
        self._trips.append((now, trip))
        # The way may have become longer for good.
        self._least_trip = min(trip, self._least_trip * 1.01 + 0.0005)

    def _quickest(self, now: float) -> float:
        """The quickest answer of the last seconds; 0 without any."""
        return min((trip for at, trip in self._trips if now - at <= TRIPS_S), default=0.0)

    def _is_witnessed(self, now: float) -> bool:
        """Whether reports speak for a full line: by loss, by waiting, or by not coming."""
        return (self.loss > SOME_LOSS or now - self._trip_at > WITNESS_S
                or bool(self._trips) and self._trips[-1][1] > self._least_trip + QUEUE_S)

    def reported(self, fraction_lost: float, sent: float, now: float) -> None:
        """A receiver report: `fraction_lost` 0…1 of what was sent at the rate `sent`."""
        self.loss = 0.7 * self.loss + 0.3 * fraction_lost
        if now - self._suspect_at < WITNESS_S and self._is_witnessed(now):
            self._full(self._suspect, now)
        if self._limit is not None and (self.loss > SURE_LOSS or (
                self._quickest(now) > SURE_TRIP_S and self._is_witnessed(now))):
            self.is_sure = True
        # A report is of the second before it: what was lost before the last cut does not cut once more. A report of a
        # few packets says little, so the smoothed loss has to be high as well.
        if min(fraction_lost, self.loss) > 0.1 and sent and (
                now - self.congested_at >= REPORT_S + self.round_trip_s):
            self._full(min(self._limit or sent, sent) * (1 - 0.5 * fraction_lost), now)

    def _full(self, limit: float, now: float) -> None:
        if self._is_witnessed(now):
            self.witnessed_at = now
        if self._limit is None or self._is_witnessed(now):
            # Probes that fail by the estimate alone do not keep a limit alive for ever.
            self._ends = now + LIFE_S
        self._limit = self.proven = max(LOWEST_BPS, limit)
        self.congested_at, self._suspect_at = now, -LIFE_S

    def got_through(self, rate: float) -> None:
        """So much was sent for a while, and the line did not fill."""
        if self._limit is not None:
            self.proven = max(self.proven, rate)
            self._limit = max(self._limit, rate)

    def available(self, now: float) -> float | None:
        """Bits a second that the line takes; None while nothing is known to limit it."""
        if self._limit is not None and now > self._ends:
            self._limit, self.is_sure = None, False
        return self._limit


class Prober:
    """Whether to send padding now, to see if more fits: after a calm time, for a while, less often after each
    failure.

    It feels its way: the first probe goes little above the limit, each that gets through makes the next one larger. So
    a narrow line is never flooded, and a wide one is found in a few seconds. What got through is on trial for a
    while: a line that fills again soon was too narrow after all, and counts as a failure.
    """

    __slots__ = ("_started", "_next", "_pause", "_goal", "_factor", "_tried", "_ended")

    FIRST_PAUSE_S = 3.0
    SHORT_PAUSE_S = 0.6
    LONGEST_PAUSE_S = 60.0
    DARK_PAUSE_S = 8.0
    LENGTH_S = 1.4
    TRIAL_S = 15.0
    FIRST_FACTOR = 1.4
    CAREFUL_FACTOR = 1.25
    LARGEST_FACTOR = 4.0

    def __init__(self) -> None:
        self._started = 0.0
        self._next = 0.0
        self._pause = self.FIRST_PAUSE_S
        self._goal = 0.0
        self._factor = self.FIRST_FACTOR
        self._tried = 0.0
        self._ended = 0.0

    def rate(self, goal: float, sending: float, line: Estimator, now: float, *, is_dark: bool = False) -> float:
        """Bits a second of padding to be sent now, 0 if none.

        `goal`: total rate that the next better choice of layers needs, 0 if nothing more is wanted; `sending`:
        without padding. `is_dark`: somebody's picture is not sent at all, so failures do not make probes rare. A probe
        that ends without congestion lifts the line's limit.
        """
        self._judge(line, now)
        available = line.available(now)
        if available is None or goal <= 0 or available >= goal:
            self._started = 0.0
            return 0.0
        if self._started:
            # Where nothing is to be seen, a picture is tried whatever an estimate says against it.
            failed_at = line.witnessed_at if is_dark else line.congested_at
            if failed_at >= self._started or line.loss > 0.08:
                self._failed(now)
                return 0.0
            passed = now - self._started
            if passed >= self.LENGTH_S:
                self._started, self._tried, self._ended = 0.0, now, now
                self._factor = min(self.LARGEST_FACTOR, self._factor * 1.6)
                self._next = now + (self.SHORT_PAUSE_S if self._goal < goal else self._pause)
                line.got_through(self._goal)
                return 0.0
            # Half of the way first: a line that cannot take more is not flooded by the whole of it at once.
            missing = self._goal - sending
            return max(0.0, missing if passed > 0.4 else missing / 2)
        if self._next < line.congested_at + self._pause:
            self._next = line.congested_at + self._pause
        due = self._next
        if is_dark:
            due = min(due, max(self._ended, line.congested_at) + self.DARK_PAUSE_S)
        if now >= due:
            # What the receiver believes beyond that is tried first: it is a guess from what little it got.
            self._started, self._goal = now, min(goal, max(available, line.proven * self._factor))
        return 0.0

    @property
    def is_active(self) -> bool:
        """A probe is under way."""
        return self._started > 0

    def _judge(self, line: Estimator, now: float) -> None:
        if not self._tried:
            return
        if line.congested_at > self._tried:
            self._failed(now)
        elif now - self._tried >= self.TRIAL_S:
            self._pause, self._tried = self.FIRST_PAUSE_S, 0.0

    def _failed(self, now: float) -> None:
        self._started = self._tried = 0.0
        self._ended = now
        self._factor = self.CAREFUL_FACTOR
        self._pause = min(self.LONGEST_PAUSE_S, self._pause * 1.6)
        self._next = now + self._pause
