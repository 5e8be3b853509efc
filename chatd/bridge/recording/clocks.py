"""All tracks on one time axis, afterwards, from what sender reports said. Numbers in, numbers out.

A sender report says at which time of its sender's wall clock (NTP, RFC 3550 6.4.1) the track's timestamps stood where.
The tracks of one participant share that clock, so sound and picture meet to the millisecond. Clocks of different
participants may be hours apart: each is moved by what its fastest reports took to get here, so that everybody is
placed as if all lines had no queues.

With the whole recording at hand, every offset is taken from the reports around it, not from those before it alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from chatd.bridge.recording.segments import Segment

# Clocks of computers drift by less than this against each other.
MOST_DRIFT = 200e-6
WINDOW_S = 30.0
# A stretch without a report of its own uses its stream's nearest report, unless that contradicts its time of arrival.
PLAUSIBLE_S = 1.0
# Reports that put a segment farther from its arrival than any line takes are made up, or its clock was set meanwhile.
MOST_DELAY_S = 5.0


class Report(NamedTuple):
    """A sender report: `rtp_s` is the stream's own time (segments.py), `ntp` the sender's clock then, `at` when it
    arrived in seconds of the recording.
    """

    ssrc: int
    rtp_s: float
    ntp: float
    at: float


class SenderClock:
    """One participant's wall clock against the recording's: from all reports of all its tracks, in any order."""

    def __init__(self, reports: Sequence[Report]) -> None:
        windows: dict[int, tuple[float, float]] = {}
        for report in reports:
            key = int(report.at // WINDOW_S)
            delay = report.at - report.ntp
            if key not in windows or delay < windows[key][1]:
                windows[key] = (report.at, delay)
        found = [windows[key] for key in sorted(windows)]
        # A window in which all reports were queued shows too much: its neighbours and what a clock may drift bound it.
        self._at: list[float] = []
        self._delay: list[float] = []
        for at, _ in found:
            self._at.append(at)
            self._delay.append(min(d + abs(at - t) * MOST_DRIFT for t, d in found))

    def __bool__(self) -> bool:
        """Whether there was any report."""
        return bool(self._at)

    def offset(self, at: float) -> float:
        """What to add to the sender's clock at this time of the recording; needs a report."""
        return _between(self._at, self._delay, at)


def _between(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """Linear between points, level before the first and behind the last."""
    i = bisect_right(xs, x)
    if i == 0:
        return ys[0]
    if i == len(xs):
        return ys[-1]
    part = (x - xs[i - 1]) / (xs[i] - xs[i - 1])
    return ys[i - 1] + part * (ys[i] - ys[i - 1])


class SegmentClock(NamedTuple):
    """From file time to recording time within one segment: at a point (pts_ms, offset) the recording's clock stood at
    pts_ms / 1000 + offset seconds; linear between points, level outside. `is_measured`: from sender reports.
    """

    pts_ms: float
    points: list[tuple[float, float]]
    is_measured: bool


def measure(segment: Segment, until: float, reports: Sequence[Report], sender: SenderClock) -> SegmentClock:
    """The clock of a segment. `until`: arrival of the next one's first frame; `reports`: the track's, as they arrived.

    Without any report that fits, or with reports that cannot be true, it is the time of arrival.
    """
    pts_ms, ssrc, rtp_s, at = segment
    same = [report for report in reports if report.ssrc == ssrc]
    own = [report for report in same if at <= report.at < until]
    if not own and same and sender:
        expected = at - sender.offset(at) - rtp_s
        best = min(same, key=lambda report: abs(report.ntp - report.rtp_s - expected))
        if abs(best.ntp - best.rtp_s - expected) < PLAUSIBLE_S:
            own = [best]
    offsets = [report.ntp - report.rtp_s for report in own]
    points: list[tuple[float, float]] = []
    for i, report in enumerate(own):
        x = pts_ms + (report.rtp_s - rtp_s) * 1000
        if points and x <= points[-1][0]:
            continue
        # Reports of one stream differ by some milliseconds; the median of five neighbours does not.
        smooth = median(offsets[max(0, i - 2):i + 3])
        points.append((x, report.rtp_s + smooth + sender.offset(report.at) - x / 1000))
    if not points or abs(points[0][1] + pts_ms / 1000 - at) > MOST_DELAY_S:
        return SegmentClock(pts_ms, [(pts_ms, at - pts_ms / 1000)], False)
    return SegmentClock(pts_ms, points, True)


class TrackClock:
    """From file time to recording time of a whole track; `segments` ascending, at least one."""

    def __init__(self, segments: Sequence[SegmentClock]) -> None:
        self._starts = [segment.pts_ms for segment in segments]
        self._segments = [([x for x, _ in s.points], [y for _, y in s.points]) for s in segments]

    def at(self, pts_ms: float) -> float:
        """Seconds since the recording began."""
        # Times in files are rounded to milliseconds.
        i = max(0, bisect_right(self._starts, pts_ms + 0.5) - 1)
        return pts_ms / 1000 + _between(*self._segments[i], pts_ms)
