"""One time axis for all tracks: what sender reports say, whatever lines and clocks do to them."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from chatd.bridge.recording.clocks import Heard, Pace, Report, SegmentClock, SenderClock, TrackClock, measure
from chatd.bridge.recording.segments import Segment

CAMERA, MICROPHONE = 1, 2


class Sender:
    """A participant: its wall clock is `ahead` of the recording's and runs `drift` too fast; each stream's clock
    stands anywhere; the line takes `delay(at)` seconds.
    """

    def __init__(self, ahead: float, drift: float = 0.0, delay=lambda at: 0.03, skew: float = 0.0) -> None:
        self.ahead, self.drift, self.delay, self.skew = ahead, drift, delay, skew
        self.base = {CAMERA: 4444.0, MICROPHONE: 99.0}

    def ntp(self, at: float) -> float:
        return self.ahead + at * (1 + self.drift)

    def rtp(self, ssrc: int, at: float) -> float:
        # A sound card's crystal is another than the computer's.
        return self.base[ssrc] + at * (1 + self.drift + (self.skew if ssrc == MICROPHONE else 0.0))

    def report(self, ssrc: int, at: float, noise: float = 0.0) -> Report:
        return Report(ssrc, self.rtp(ssrc, at), self.ntp(at + noise), at + self.delay(at))

    def segment(self, ssrc: int, at: float, pts_ms: float = 0.0) -> Segment:
        return Segment(pts_ms, ssrc, self.rtp(ssrc, at), at + self.delay(at))

    def clock(self, ssrc: int, began: float, reports: list[Report]) -> TrackClock:
        both = SenderClock(reports)
        own = [r for r in reports if r.ssrc == ssrc]
        return TrackClock([measure(self.segment(ssrc, began), Heard(own), both)])

    def pts(self, ssrc: int, began: float, at: float) -> float:
        """Where what was captured at `at` stands in the file."""
        return (self.rtp(ssrc, at) - self.rtp(ssrc, began)) * 1000


def reports(sender: Sender, until: float, noise: float = 0.0, seed: int = 1) -> list[Report]:
    chance = random.Random(seed)
    found = [sender.report(CAMERA, 1.0 * n + 0.7, chance.uniform(-noise, noise)) for n in range(int(until))]
    found += [sender.report(MICROPHONE, 5.0 * n + 2.5, chance.uniform(-noise, noise)) for n in range(int(until / 5))]
    return sorted(found, key=lambda r: r.at)


@pytest.mark.parametrize(
    ("sender", "tolerance"),
    [
        (Sender(3_900_000_000.0), 0.001),
        (Sender(-86400.0, drift=50e-6, skew=40e-6), 0.004),
        # A line that is slow for some minutes, and one whose queue swings.
        (Sender(17.0, delay=lambda at: 0.02 + (0.5 if 200 < at < 400 else 0.0)), 0.12),
        (Sender(17.0, delay=lambda at: 0.02 + 0.1 * (int(at * 3) % 5)), 0.025),
    ],
)
def test_sound_and_picture_of_one_participant_meet_and_both_are_where_they_were(
    sender: Sender, tolerance: float
) -> None:
    found = reports(sender, 900, noise=0.004)
    camera, microphone = sender.clock(CAMERA, 0.3, found), sender.clock(MICROPHONE, 0.1, found)
    for at in (1.0, 10.0, 100.0, 300.0, 500.0, 899.0):
        seen, heard = camera.at(sender.pts(CAMERA, 0.3, at)), microphone.at(sender.pts(MICROPHONE, 0.1, at))
        assert abs(seen - heard) < 0.012
        assert abs(seen - at - 0.02) < tolerance + 0.02


def test_participants_whose_clocks_are_hours_apart_are_placed_by_their_fastest_reports() -> None:
    one, other = Sender(5.0, delay=lambda at: 0.02), Sender(-7200.0, delay=lambda at: 0.05 + 0.2 * (int(at) % 3 > 0))
    clocks = [sender.clock(CAMERA, 0.0, reports(sender, 300)) for sender in (one, other)]
    for at in (2.0, 150.0, 299.0):
        seen = [clock.at(sender.pts(CAMERA, 0.0, at)) for clock, sender in zip(clocks, (one, other), strict=True)]
        assert abs(seen[0] - seen[1]) < 0.05


def stalled(stalls: list[tuple[float, float]], queue=lambda at: 0.0, held=lambda at: 0.0) -> tuple[
        SegmentClock, Callable[[float], float]]:
    """A microphone whose clock stands still: at each (when, how long). `queue(at)`: what its line adds; `held(at)`: how
    long its machine was busy before it wrote a report. Gives its clock, and where in the file stands what was heard at
    a time.
    """
    sender = Sender(100.0)

    def rtp(at: float) -> float:
        return 50.0 + at - sum(min(long, max(0.0, at - when)) for when, long in stalls)

    found = [Report(MICROPHONE, rtp(at), sender.ntp(at + held(at)), at + 0.02 + held(at) + queue(at))
             for at in (2.5, 7.5, 12.5, 17.5, 22.5)]
    camera = [sender.report(CAMERA, float(n)) for n in range(25)]
    paces: list[Pace] = []
    for n in range(50):
        # As track.py notes them: windows of half a second of its own time.
        late = min(n / 2 + k / 50 + 0.02 + queue(n / 2 + k / 50) - rtp(n / 2 + k / 50) for k in range(25))
        if not paces or abs(late - paces[-1].late_s) > 0.02:
            paces.append(Pace(MICROPHONE, rtp(n / 2), late))
    clock = measure(Segment(0.0, MICROPHONE, 50.0, 0.02), Heard(found, paces), SenderClock(found + camera))
    return clock, lambda at: (rtp(at) - 50.0) * 1000


STALLS = [
    [], [(4.0, 0.15)], [(9.0, 0.3)], [(9.0, 0.1), (10.5, 0.12), (11.5, 0.1)], [(1.0, 0.2)], [(24.0, 0.2)],
    [(4.0, 0.05), (9.0, 0.05), (14.0, 0.05), (19.0, 0.05)],
]


@pytest.mark.parametrize("stalls", STALLS)
@pytest.mark.parametrize("queue", [lambda at: 0.0, lambda at: 0.2 if 5 < at < 6 or 10 < at < 11 else 0.0])
@pytest.mark.parametrize("held", [
    lambda at: 0.0, lambda at: 0.3 if at == 12.5 else 0.0, lambda at: 0.25 if at == 2.5 else 0.0,
    lambda at: 0.2 if at in (7.5, 12.5, 22.5) else 0.0])
def test_sound_stays_where_it_was_though_samples_were_lost(
    stalls: list, queue: Callable[[float], float], held: Callable[[float], float]
) -> None:
    clock, pts = stalled(stalls, queue, held)
    track = TrackClock([clock])
    for n in range(2, 98):
        at = n / 4
        if any(when - 0.6 < at < when + long + 0.6 for when, long in stalls):
            continue
        assert abs(track.at(pts(at)) - at - 0.02) < 0.035, at


def test_without_reports_it_is_the_time_of_arrival() -> None:
    clock = measure(Segment(2000.0, CAMERA, 50.0, 7.5), Heard([]), SenderClock([]))
    assert not clock.is_measured
    assert TrackClock([clock]).at(2500.0) == pytest.approx(8.0)


def test_a_stretch_without_a_report_of_its_own_takes_the_streams_nearest_unless_its_clock_stood_still() -> None:
    sender = Sender(100.0)
    found = [sender.report(CAMERA, at) for at in (1.0, 2.0, 3.0)]
    both = SenderClock(found)
    # The stream went on: the second segment is a matter of the file only.
    second = Segment(9000.0, CAMERA, sender.rtp(CAMERA, 8.0), 8.33)
    clock = measure(second, Heard(found), both)
    assert clock.is_measured and TrackClock([clock]).at(9000.0) == pytest.approx(8.03, abs=0.001)
    # Its timestamps stood still for five seconds: no old report holds.
    paused = Segment(9000.0, CAMERA, sender.rtp(CAMERA, 3.0), 8.33)
    clock = measure(paused, Heard(found), both)
    assert not clock.is_measured and TrackClock([clock]).at(9000.0) == pytest.approx(8.33)


def test_each_segment_has_the_reports_of_its_own_time() -> None:
    sender = Sender(10.0)
    late = Sender(10.0)
    # Its timestamps stood still for 7 s after the first minute.
    late.base[CAMERA] -= 7.0
    found = [(sender if n < 60 else late).report(CAMERA, float(n)) for n in range(120) if not 60 <= n < 67]
    both = SenderClock(found)
    segments = [sender.segment(CAMERA, 0.0), late.segment(CAMERA, 67.0, 60000.0)]
    heard = Heard(found)
    clock = TrackClock([measure(segments[0], heard, both, segments[1]), measure(segments[1], heard, both)])
    for pts, at in ((0, 0.0), (30000, 30.0), (59000, 59.0), (60000, 67.0), (112000, 119.0)):
        assert clock.at(pts) == pytest.approx(at + 0.03, abs=0.002)


@pytest.mark.parametrize("wild", [1e9, -1e9, 60.0, -60.0])
def test_reports_that_cannot_be_true_are_not_believed(wild: float) -> None:
    sender = Sender(10.0)
    found = [sender.report(CAMERA, float(n)) for n in range(10)]
    found[4] = found[4]._replace(ntp=found[4].ntp + wild)
    clock = measure(sender.segment(CAMERA, 0.0), Heard(found), SenderClock(found))
    for at in (0.0, 5.0, 9.0):
        assert TrackClock([clock]).at(at * 1000) == pytest.approx(at + 0.03, abs=0.01)


def test_a_sender_without_reports_is_no_clock() -> None:
    assert not SenderClock([]) and SenderClock([Report(1, 0.0, 0.0, 0.0)])
