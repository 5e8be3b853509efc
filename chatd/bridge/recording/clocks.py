"""All tracks on one time axis, afterwards, from what sender reports said. Numbers in, numbers out.

A sender report says at which time of its sender's wall clock (NTP, RFC 3550 6.4.1) the track's timestamps stood where.
The tracks of one participant share that clock, so sound and picture meet to the millisecond. Clocks of different
participants may be hours apart: each is moved by what its fastest reports took to get here, so that everybody is
placed as if all lines had no queues.

With the whole recording at hand, every offset is taken from the reports around it, not from those before it alone.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from statistics import median
from typing import NamedTuple

from chatd.bridge.recording.segments import Segment

# Clocks of computers drift by less than this against each other.
MOST_DRIFT = 200e-6
WINDOW_S = 30.0
# A stretch without a report of its own uses its stream's nearest report, unless that contradicts its time of arrival.
PLAUSIBLE_S = 1.0
# Reports of one stream differ by less. More is a clock that stood still: a sound card or a program lost samples.
STEP_S = 0.03
# What comes late for less than this is a queue or a busy machine; a clock that lost time does not find it again.
QUEUE_S = 3.0
MOST_PACES = 40
# Reports around one that are asked whether it can be true.
AROUND = 6
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


class Pace(NamedTuple):
    """From a stream's own time `rtp_s` on (until the next of these) its quickest packets came `late_s` after it, by the
    recording's clock: how far the two are apart means nothing, that it changes does.
    """

    ssrc: int
    rtp_s: float
    late_s: float


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


class Heard:
    """All that was heard of one track's clocks: `reports` and `paces`, as they came. Ready to be asked often."""

    def __init__(self, reports: Sequence[Report], paces: Sequence[Pace] = ()) -> None:
        self._reports: dict[int, list[Report]] = {}
        self._paces: dict[int, list[tuple[float, float]]] = {}
        for report in sorted(reports, key=lambda report: report.at):
            self._reports.setdefault(report.ssrc, []).append(report)
        for pace in sorted(paces, key=lambda pace: pace.rtp_s):
            self._paces.setdefault(pace.ssrc, []).append((pace.rtp_s, pace.late_s))
        self._paces = {ssrc: _without_queues(entries) for ssrc, entries in self._paces.items()}

    def reports(self, ssrc: int, at: float, until: float) -> tuple[list[Report], list[Report]]:
        """The stream's reports that came in this time, and some around its beginning."""
        same = self._reports.get(ssrc, [])
        first = bisect_left(same, at, key=lambda report: report.at)
        last = bisect_left(same, until, key=lambda report: report.at)
        return same[first:last], same[max(0, first - 5):first + 5]

    def paces(self, ssrc: int, rtp_s: float, until_s: float) -> list[tuple[float, float]]:
        """The stream's paces in this stretch of its own time."""
        same = self._paces.get(ssrc, [])
        return same[bisect_left(same, (rtp_s, -1e18)):bisect_left(same, (until_s, -1e18))]


def measure(segment: Segment, heard: Heard, sender: SenderClock, following: Segment | None = None) -> SegmentClock:
    """The clock of a segment; `following`: the next one, if there is one.

    Without any report that fits, or with reports that cannot be true, it is the time of arrival.
    """
    pts_ms, ssrc, rtp_s, at = segment
    own, around = heard.reports(ssrc, at, following.at if following is not None else float("inf"))
    if not own and around and sender:
        expected = at - sender.offset(at) - rtp_s
        best = min(around, key=lambda report: abs(report.ntp - report.rtp_s - expected))
        if abs(best.ntp - best.rtp_s - expected) < PLAUSIBLE_S:
            own = [best]
    until_s = rtp_s + (following.pts_ms - pts_ms) / 1000 if following is not None else float("inf")
    paces = heard.paces(ssrc, rtp_s, until_s)
    own = _believed(own, paces)
    offsets = [report.ntp - report.rtp_s for report in own]
    known: list[tuple[float, float]] = []
    for i, report in enumerate(own):
        if known and report.rtp_s <= known[-1][0]:
            continue
        near = [offset for offset in offsets[max(0, i - 2):i + 3] if abs(offset - offsets[i]) < STEP_S]
        known.append((report.rtp_s, median(near) + sender.offset(report.at)))
    # What the stream's own time is to be moved by, at points of it.
    moved = _with_steps(known, paces)
    points = [(pts_ms + (x - rtp_s) * 1000, x + y - (pts_ms / 1000 + x - rtp_s)) for x, y in moved]
    if not points or abs(points[0][1] + pts_ms / 1000 - at) > MOST_DELAY_S:
        return SegmentClock(pts_ms, [(pts_ms, at - pts_ms / 1000)], False)
    return SegmentClock(pts_ms, points, True)


def _without_queues(paces: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Without what lasted less than QUEUE_S: the larger of the least lateness shortly before and shortly after.

    So a clock that stands still stays a sharp step, and a queue is no hill.
    """
    starts = [x for x, _ in paces]
    found: list[tuple[float, float]] = []
    for i, x in enumerate(starts):
        # A sender whose timestamps jump about may have any number in one stretch.
        first = max(0, i - MOST_PACES, bisect_right(starts, x - QUEUE_S) - 1)
        last = min(i + MOST_PACES, bisect_left(starts, x + QUEUE_S))
        level = max(min(v for _, v in paces[first:i + 1]), min(v for _, v in paces[i:last]))
        if not found or level != found[-1][1]:
            found.append((x, level))
    return found


def _believed(reports: list[Report], paces: list[tuple[float, float]]) -> list[Report]:
    """Without those whose sender was held up when it wrote them: they say that the stream's clock is behind, though
    others say that it is not, and packets did not come later either.
    """
    if not paces:
        return reports
    starts = [x for x, _ in paces]

    def pace(x: float) -> float:
        return paces[max(0, bisect_right(starts, x) - 1)][1]

    entries = [(report.ntp - report.rtp_s, pace(report.rtp_s)) for report in reports]
    found = []
    for i, report in enumerate(reports):
        offset, late = entries[i]
        near = entries[max(0, i - AROUND):i + AROUND + 1]
        if offset <= min(other + max(0.0, late - other_late) for other, other_late in near) + STEP_S:
            found.append(report)
    return found


def _with_steps(known: list[tuple[float, float]], paces: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Between two reports that do not agree, the step is where packets began to come later (or earlier) for good."""
    if not known or not paces:
        return known
    starts, late = [x for x, _ in paces], [y for _, y in paces]

    def pace(x: float) -> float:
        return late[max(0, bisect_right(starts, x) - 1)]

    found: list[tuple[float, float]] = []
    first, last = known[0], known[-1]
    # Before the first report: what came earlier, compared with how it came around that report.
    around = min(pace(first[0]), pace(first[0] + 2.0))
    before = [(x, first[1] - (around - y if around - y > STEP_S else 0.0)) for x, y in paces if x < first[0]]
    found += _stairs(before, first)
    for (x, y), (next_x, next_y) in zip(known, known[1:], strict=False):
        found.append((x, y))
        if abs(next_y - y) <= STEP_S:
            continue
        inside = paces[bisect_right(starts, x):bisect_left(starts, next_x)]
        base, level, steps = pace(x), y, []
        for (at, value), least in zip(inside, _least_from(inside), strict=True):
            # A queue makes packets late for a while only: what stays is the clock.
            if next_y > y:
                level = min(next_y, max(level, y + least - base))
            else:
                level = max(next_y, min(level, y + value - base))
            steps.append((at, level))
        found += _stairs(steps, (next_x, next_y), y) if steps else []
    found.append(last)
    behind = paces[bisect_right(starts, last[0]):]
    base = pace(last[0])
    for (at, _), least in zip(behind, _least_from(behind), strict=True):
        level = last[1] + least - base if least - base > STEP_S else last[1]
        if abs(level - found[-1][1]) > STEP_S:
            found += [(at - 0.001, found[-1][1]), (at, level)]
    return [entry for i, entry in enumerate(found) if not i or entry[0] > found[i - 1][0]]


def _least_from(entries: list[tuple[float, float]]) -> list[float]:
    """For each the least value from there on."""
    return list(accumulate((value for _, value in reversed(entries)), min))[::-1]


def _stairs(steps: list[tuple[float, float]], end: tuple[float, float],
            start: float | None = None) -> list[tuple[float, float]]:
    """Level between steps, and up to the value at the end."""
    found: list[tuple[float, float]] = []
    level = start
    for at, value in steps:
        if level is not None and value != level:
            found.append((at - 0.001, level))
        if value != level:
            found.append((at, value))
        level = value
    if level is not None and level != end[1]:
        found.append((end[0] - 0.001, level))
    return found


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
