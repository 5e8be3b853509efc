"""Where in its file a frame stands: RTP timestamps of one SSRC after another on one axis of milliseconds.

A stream's timestamps begin anywhere, and begin anew with each layer, restart and (in browsers) after a pause without
sending. Each such stretch is a segment: within it distances are the sender's, its beginning is where it arrived. What
the wall clock really was is found out afterwards (`clocks`), from the sender reports that the journal keeps.
"""

from __future__ import annotations

from typing import NamedTuple

from chatd.bridge.rtp import unwrap

# An arrival so much later than the timestamps say: the sender's clock stood still meanwhile. Smaller ones are jitter.
PAUSE_S = 0.4
# Timestamps that run away from the time of arrival are a broken sender's.
DRIFT_S = 10.0


class Segment(NamedTuple):
    """From `pts_ms` in the file on: SSRC, its time `rtp_s` (timestamps unwrapped, in seconds) there, and when its
    first frame arrived, in seconds since the recording began.
    """

    pts_ms: float
    ssrc: int
    rtp_s: float
    at: float


class Segments:
    """`clock_hz`: of the RTP timestamps. `current`: the segment that frames belong to; None before the first.
    `rtp_s`: the last frame's own time.
    """

    __slots__ = ("current", "rtp_s", "_clock_hz", "_timestamps", "_pts", "_at")

    def __init__(self, clock_hz: int) -> None:
        self.current: Segment | None = None
        self._clock_hz = clock_hz
        # SSRC -> its last timestamp, unwrapped
        self._timestamps: dict[int, int] = {}
        self._pts = 0.0
        self.rtp_s = 0.0
        self._at = 0.0

    def seconds(self, ssrc: int, timestamp: int) -> float:
        """An SSRC's 32-bit timestamp on its own unlimited axis; does not move that axis on."""
        near = self._timestamps.get(ssrc)
        # Room for what is older than the first.
        number = timestamp + (1 << 32) if near is None else unwrap(timestamp, near, 32)
        if near is None:
            self._timestamps[ssrc] = number
        return number / self._clock_hz

    def place(self, ssrc: int, timestamp: int, at: float) -> tuple[float, bool]:
        """Where a frame stands in the file, in milliseconds, and whether a segment begins with it.

        `at`: when it arrived. Frames come in the order in which they are to be shown.
        """
        rtp_s = self.seconds(ssrc, timestamp)
        self._timestamps[ssrc] = round(rtp_s * self._clock_hz)
        segment = self.current
        begins = (
            segment is None
            or segment.ssrc != ssrc
            or rtp_s < self.rtp_s
            or at - self._at - (rtp_s - self.rtp_s) > PAUSE_S
            or abs(at - segment.at - (rtp_s - segment.rtp_s)) > DRIFT_S
        )
        if begins:
            pts = self._pts + max(1.0, (at - self._at) * 1000) if segment is not None else 0.0
            self.current = segment = Segment(pts, ssrc, rtp_s, at)
        assert segment is not None
        self._pts = segment.pts_ms + (rtp_s - segment.rtp_s) * 1000
        self.rtp_s, self._at = rtp_s, at
        return self._pts, begins
