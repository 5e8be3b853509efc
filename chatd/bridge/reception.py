"""What arrived of one incoming SSRC: highest number, losses, jitter (RFC 3550 6.4.1, A.3, A.8) and what is missing.

Numbers in, numbers out. `missing` feeds NACKs to the publisher; a hole is asked for again until it is filled or too
old.
"""

from __future__ import annotations

from chatd.bridge.rtcp import ReportBlock
from chatd.bridge.rtp import unwrap

# A jump of more is a new start of the stream, not loss.
LARGEST_JUMP = 3000
# More missing at once are not worth asking for: a keyframe is cheaper.
MOST_MISSING = 256
FIRST_NACK_S = 0.01
GIVE_UP_S = 1.0
# However long it took to ask so often: whoever is held up itself would give up what it never asked for.
LEAST_TRIES, MOST_TRIES = 3, 10


class Reception:
    """Statistics of one SSRC; `clock_hz` is its RTP clock, `asks`: whether what is missing will be asked for, so is
    to be kept.

    `recent_loss`: smoothed over some reports, 0…1. `highest` is unwrapped (beyond 16 bits), -1 before the first packet;
    `ended` is the highest of before the last restart.
    """

    __slots__ = ("clock_hz", "base", "highest", "ended", "received", "octets", "jitter", "missing", "recovered",
                 "_transit", "_expected_before", "_received_before", "_asks", "recent_loss")

    def __init__(self, clock_hz: int, asks: bool = True) -> None:
        self.clock_hz = clock_hz
        self._asks = asks
        self.base = 0
        self.highest = self.ended = -1
        self.received = 0
        self.octets = 0
        self.jitter = 0.0
        self.recovered = 0
        self.recent_loss = 0.0
        # unwrapped number -> [since, next time to ask, tries]
        self.missing: dict[int, list[float]] = {}
        self._transit = 0.0
        self._expected_before = 0
        self._received_before = 0

    def arrived(self, sequence: int, timestamp: int, size: int, now: float) -> int:
        """Count a packet. Positive: it is newer than all before, by so many; 0: a late one or a copy; -1: the stream
        restarted.
        """
        self.octets += size
        if self.highest < 0:
            self.highest = self.base = sequence + 0x10000
            self.received = 1
            self._transit = now * self.clock_hz - timestamp
            return 1
        step = (sequence - self.highest + 0x8000 & 0xFFFF) - 0x8000
        self.received += 1
        if step > 0:
            if step > 1:
                if step > LARGEST_JUMP:
                    self._restart(sequence)
                    return -1
                if self._asks and step + len(self.missing) <= MOST_MISSING:
                    for number in range(self.highest + 1, self.highest + step):
                        self.missing[number] = [now, now + FIRST_NACK_S, 0]
            self.highest += step
            transit = now * self.clock_hz - timestamp
            difference = abs(transit - self._transit)
            self._transit = transit
            # The 32-bit timestamp wraps once in 13 hours of video: one outlier, not to be counted.
            if difference < self.clock_hz * 10:
                self.jitter += (difference - self.jitter) / 16
            return step
        if step < -LARGEST_JUMP:
            self._restart(sequence)
            return -1
        if self.missing.pop(self.highest + step, None) is not None:
            self.recovered += 1
        return 0

    def renumber(self) -> None:
        """The next packet begins a stream with other numbers, however near they are."""
        if self.highest >= 0:
            self.ended = self.highest
        self.highest, self.received, self._expected_before, self._received_before = -1, 0, 0, 0
        self.missing.clear()

    def _restart(self, sequence: int) -> None:
        self.ended = self.highest
        self.highest = self.base = sequence + 0x10000
        self.received, self._expected_before, self._received_before = 1, 0, 0
        self.missing.clear()

    def is_missing(self, sequence: int) -> bool:
        """Whether this 16-bit number is known not to have come yet."""
        return unwrap(sequence, self.highest) in self.missing

    def to_ask(self, now: float, round_trip_s: float) -> list[int]:
        """The 16-bit numbers to ask for now, in order. Asking again waits a round trip, at least 40 ms, and longer
        each time.
        """
        asked = []
        gone = []
        for number, hole in self.missing.items():
            if hole[2] >= (LEAST_TRIES if now - hole[0] > GIVE_UP_S else MOST_TRIES):
                gone.append(number)
            elif now >= hole[1]:
                hole[2] += 1
                hole[1] = now + max(0.04, round_trip_s * 1.2) * (1 + hole[2] / 4)
                asked.append(number & 0xFFFF)
        for number in gone:
            del self.missing[number]
        return asked

    @property
    def lost(self) -> int:
        """Packets that should have come and did not, copies counted against them (RFC 3550 A.3)."""
        return self.highest - self.base + 1 - self.received if self.highest >= 0 else 0

    def report(self, ssrc: int, last_sr: int, delay: int) -> ReportBlock:
        """The report block since the last call; `last_sr` and `delay` as RFC 3550 6.4.1 has them."""
        expected = self.highest - self.base + 1
        expected_now = expected - self._expected_before
        lost_now = expected_now - (self.received - self._received_before)
        self._expected_before, self._received_before = expected, self.received
        fraction = min(255, (lost_now << 8) // expected_now) if expected_now > 0 and lost_now > 0 else 0
        self.recent_loss = 0.7 * self.recent_loss + 0.3 * fraction / 256
        return ReportBlock(ssrc, fraction, self.lost, self.highest, int(self.jitter), last_sr, delay)
