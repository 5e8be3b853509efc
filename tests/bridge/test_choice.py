"""Layer choice, bandwidth, speakers, quality: tables."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from chatd.bridge import quality as q
from chatd.bridge.estimator import Estimator, Prober
from chatd.bridge.layers import HIGH, LOW, NONE, Demand, Rate, Size, allocate, choose, rank_for_size
from chatd.bridge.line import Line
from chatd.bridge.rtcp import Remb
from chatd.bridge.speakers import LevelMeter, Speakers

SIZES = [Size(320, 180), Size(640, 360), Size(1280, 720)]


@pytest.mark.parametrize(
    "width, height, rank",
    [
        (1, 1, 0),
        (320, 180, 0),
        (321, 180, 1),
        (180, 320, 0),
        (640, 360, 1),
        (641, 361, 2),
        (4000, 3000, 2),
        (360, 640, 1),
    ],
)
def test_the_smallest_layer_that_fills_the_tile(width: int, height: int, rank: int) -> None:
    assert rank_for_size(SIZES, width, height) == rank


@pytest.mark.parametrize(
    "live, wanted, allowed, rank",
    [
        ([], 2, 2, NONE),
        ([0, 1, 2], 2, 2, 2),
        ([0, 1, 2], 1, 2, 1),
        ([0, 1, 2], 2, 0, 0),
        ([0, 2], 1, 2, 0),
        ([1, 2], 0, 2, 1),
        ([0, 1], 2, 2, 1),
        ([0, 1, 2], 2, NONE, NONE),
    ],
)
def test_choose(live: list[int], wanted: int, allowed: int, rank: int) -> None:
    assert choose(live, wanted, allowed) == rank


COSTS = [(0, 150_000), (1, 500_000), (2, 1_700_000)]


@pytest.mark.parametrize("budget, demands, given", [
    (10e6, [Demand(COSTS, 2, NONE)], [2]),
    (70e3, [Demand(COSTS, 2, NONE)], [NONE]),
    (160e3, [Demand(COSTS, 2, NONE), Demand(COSTS, 2, NONE)], [0, NONE]),
    (180e3, [Demand(COSTS, 2, 2)], [0]),
    (500e3, [Demand(COSTS, 2, 1)], [1]),
    (500e3, [Demand(COSTS, 2, 0)], [0]),
    (1e6, [Demand(COSTS, 2, 2), Demand(COSTS, 2, 2)], [1, 1]),
    (800e3, [Demand(COSTS, 2, 2), Demand(COSTS, 2, 2)], [1, 0]),
    (800e3, [Demand(COSTS, 2, 2), Demand(COSTS, 2, 2, True)], [0, 1]),
    (800e3, [Demand(COSTS, 0, 2), Demand(COSTS, 2, 2)], [0, 1]),
    (800e3, [Demand([], 2, NONE), Demand(COSTS, 1, 1)], [NONE, 1]),
    (2e6, [Demand([(1, 500_000), (2, 1_700_000)], 0, NONE)], [1]),
])
def test_allocate(budget: float, demands: list[Demand], given: list[int]) -> None:
    assert allocate(budget, demands) == given


@pytest.mark.parametrize("budget, demands, given", [
    (70e3, [Demand(COSTS, 2, NONE), Demand(COSTS, 2, 1)], [0, 0]),
    (160e3, [Demand(COSTS, 2, NONE), Demand([], 2, NONE), Demand(COSTS, 2, NONE)], [0, NONE, 0]),
    (800e3, [Demand(COSTS, 2, 2), Demand(COSTS, 2, 2)], [1, 0]),
])
def test_allocate_where_nobody_gets_nothing(budget: float, demands: list[Demand], given: list[int]) -> None:
    assert allocate(budget, demands, may_stop=False) == given


def test_a_rate_follows_what_passes_and_ends_with_it() -> None:
    rate = Rate()
    for i in range(300):
        rate.add(1250, i * 0.01)
    assert rate.value(3.0) == pytest.approx(1_000_000, rel=0.05)
    assert rate.value(4.5) == 0.0


def test_only_an_estimate_that_falls_to_what_is_sent_is_a_limit() -> None:
    line = Estimator()
    for now, remb in enumerate((235_000, 254_000, 274_000)):
        line.remb(remb, 150_000, now)
    line.remb(296_000, 1_700_000, 3)
    assert line.available(3) is None, "it lags behind a layer that has just begun"
    line.remb(250_000, 290_000, 4)
    assert line.available(4) == 250_000
    line.remb(290_000, 150_000, 5)
    assert line.available(5) == 290_000
    line.remb(230_000, 150_000, 6)
    assert line.available(6) == 290_000, "far above what is sent: nothing queues"
    line.remb(1, 150_000, 7)
    assert line.available(7) == 30_000
    line.got_through(500_000)
    assert line.available(8) == 500_000
    assert line.available(100) is None


def test_heavy_loss_is_a_limit_and_light_loss_is_not() -> None:
    line = Estimator()
    for now in range(10):
        line.reported(0.06, 1_000_000, now)
    assert line.available(10) is None and 0.05 < line.loss < 0.061
    line.reported(0.5, 1_000_000, 11)
    assert line.available(11) == pytest.approx(750_000)
    for _ in range(10):
        line.reported(0.05, 150_000, 11.5)
    line.reported(0.15, 150_000, 13)
    assert line.available(13) == pytest.approx(750_000), "a report of a few packets says little"
    line.reported(0.5, 150_000, 12.1)
    assert line.available(12.1) == pytest.approx(750_000), "reports of one congestion count once"


def test_a_falling_estimate_needs_a_witness() -> None:
    """A receiver on a busy computer lowers its estimate, too, but nothing is lost and answers come at once."""
    line = Estimator()
    for now in range(10):
        line.answered(0.02, now)
        line.remb(400_000 - 20_000 * now, 500_000, now)
        assert line.available(now) is None
    line.answered(0.12, 9.5)
    line.reported(0, 500_000, 9.5)
    assert line.available(9.5) == 220_000, "now answers wait as well"
    line = Estimator()
    for now in range(10):
        line.answered(0.3, now)
        line.remb(400_000 - 20_000 * now, 500_000, now)
    assert line.available(9) is None, "it is a long way"
    line.reported(0.08, 500_000, 9.5)
    assert line.available(9.5) == 220_000, "packets are lost"
    line = Estimator()
    line.answered(0.02, 0)
    line.remb(400_000, 500_000, 5)
    line.remb(300_000, 500_000, 6)
    assert line.available(6) == 300_000, "no answers come at all"


def test_probes_that_fail_by_the_estimate_alone_do_not_keep_a_limit() -> None:
    line = Estimator()
    line.answered(0.02, 0)
    line.remb(400_000, 500_000, 0)
    line.reported(0.06, 500_000, 0)
    line.reported(0.06, 500_000, 0)
    line.remb(200_000, 500_000, 1)
    assert line.available(1) == 200_000
    for _ in range(20):
        line.reported(0, 200_000, 2)
    for now in range(10, 70, 10):
        line.answered(0.02, now)
        line.remb(200_000 - 1_000 * now, 150_000, now, padding=200_000)
        assert line.congested_at == now
    assert line.available(60) is not None and line.available(62) is None


def test_a_limit_is_sure_when_packets_are_lost_or_answers_late() -> None:
    line = Estimator()
    line.reported(0.06, 500_000, 0)
    line.remb(500_000, 500_000, 0)
    line.remb(300_000, 500_000, 1)
    assert line.available(1) == 300_000 and not line.is_sure, "a busy computer makes estimates fall as well"
    line.reported(0, 300_000, 2)
    assert not line.is_sure
    line.reported(0.06, 300_000, 3)
    assert not line.is_sure, "many a Wi-Fi loses that much"
    line.reported(0.4, 300_000, 3)
    assert line.is_sure
    line.reported(0, 300_000, 4)
    assert line.is_sure, "as long as the limit stands"
    assert line.available(100) is None and not line.is_sure
    line.remb(300_000, 500_000, 101)
    line.remb(200_000, 500_000, 102)
    line.round_trip_s = 0.9
    line.reported(0, 200_000, 103)
    assert not line.is_sure, "late on the average, because somebody is busy"
    line = Estimator()
    for now in range(6):
        line.answered(0.02, now)
    for now in range(6, 12):
        line.answered(0.9, now)
    line.remb(300_000, 500_000, 11)
    line.remb(200_000, 500_000, 12)
    line.reported(0, 200_000, 12)
    assert line.is_sure


class Camera:
    """A track in one size of 100 kbit/s, as a Line sees it."""

    def __init__(self) -> None:
        self.publication = SimpleNamespace(kind="video", is_screen=False, costs=lambda now: [(0, 100_000)])
        self.repeats = SimpleNamespace(pad=self.pad)
        self.is_paused, self.wanted, self.rank, self.allowed = False, HIGH, LOW, HIGH

    def rate(self, now: float) -> float:
        return 100_000.0

    def allow(self, rank: int, now: float) -> None:
        self.allowed = rank

    def pad(self, octets: int, now: float) -> int:
        return octets


@pytest.mark.parametrize(("lost", "pictures"), [(0.0, 4), (0.5, 2)])
def test_pictures_are_taken_away_only_where_packets_are_lost(lost: float, pictures: int) -> None:
    """Of a line that is only believed to be narrow everybody gets the smallest layer."""
    cameras = [Camera() for _ in range(4)]
    line = Line(dict(enumerate(cameras)))  # type: ignore[arg-type]
    for now, remb in enumerate((400_000, 210_000)):
        line.remb(Remb(remb), now)
    line.estimator.reported(lost, 250_000, 1.5)
    line.share(2)
    assert sum(camera.allowed != NONE for camera in cameras) == pictures


class Sender(Camera):
    """A track in three sizes: gets at once what it is allowed."""

    def __init__(self) -> None:
        super().__init__()
        self.publication.costs = lambda now: COSTS
        self.rank = HIGH

    def rate(self, now: float) -> float:
        return float(dict(COSTS).get(self.rank, 0))

    def allow(self, rank: int, now: float) -> None:
        self.allowed = self.rank = min(rank, HIGH)


def starve(seconds: float, trips: tuple[float, ...], lost: float = 0.0) -> tuple[list[set[int]], float]:
    """What two tracks get, second by second, while answers take these times in turn and the estimate falls whatever is
    sent; then everything is quick, and the estimate grows as it does on an idle line. And how long it took from then
    until both are large.
    """
    senders = [Sender(), Sender()]
    line, remb, seen, now = Line(dict(enumerate(senders))), 3_000_000.0, [], 0.0  # type: ignore[arg-type]
    for _ in range(5):
        line.estimator.answered(0.004, now)
        now += 1
    until = now + seconds
    while now < until + 120:
        is_starving = now < until
        for tick in range(5):
            line.share(now + tick / 5)
        line.estimator.answered(trips[int(now) % len(trips)] if is_starving else 0.004, now)
        line.estimator.reported(lost if is_starving else 0.0, line.sent_rate(now), now)
        sent = line.sent_rate(now)
        remb = max(30_000.0, min(remb * 0.9, 0.85 * sent)) if is_starving else min(1.08 * remb, 1.5 * sent + 100_000)
        line.remb(Remb(int(remb)), now)
        if is_starving:
            seen.append({sender.rank for sender in senders})
        elif all(sender.rank == HIGH for sender in senders):
            return seen, now - until
        now += 1
    return seen, now - until


@pytest.mark.parametrize("trips", [
    (0.9, 0.3, 1.5, 0.2, 0.7, 2.5), (0.004, 0.9, 1.2, 0.004, 2.0), (0.3,), (0.7, 0.75, 0.72, 2.0),
])
def test_on_a_computer_that_starves_nobody_s_picture_is_taken_away(trips: tuple[float, ...]) -> None:
    seen, recovered_s = starve(120, trips)
    assert not any(NONE in ranks for ranks in seen)
    assert recovered_s < 75


def test_where_much_is_lost_pictures_are_taken_away() -> None:
    seen, _ = starve(60, (0.3,), lost=0.3)
    assert NONE in seen[-1]


def test_the_first_estimate_is_of_the_past() -> None:
    line = Estimator()
    line.remb(382_000, 457_000, 5)
    assert line.available(5) is None
    line.remb(412_000, 457_000, 6)
    assert line.available(6) is None, "it grows: it lags behind"
    line.remb(408_000, 457_000, 7)
    assert line.available(7) == 408_000, "it does not"
    line = Estimator()
    line.remb(400_000, 1_000_000, 0)
    assert line.available(0) == 400_000


def probe(takes: float, until: float, is_dark: bool = False) -> tuple[list[float], float]:
    """When probes began on a line that `takes` so much, and when its limit was lifted."""
    line, prober, found, was = Estimator(), Prober(), [], 0.0
    line.remb(200_000, 500_000, 0)
    now = 0.0
    while now < until:
        padding = prober.rate(600_000, 150_000, line, now, is_dark=is_dark)
        if padding and not was:
            found.append(now)
        was = padding
        if 150_000 + padding > takes:
            line.remb(0.85 * takes, 150_000, now, padding)
        elif not padding:
            line.remb(225_000, 150_000, now)
        if (line.available(now) or 1e9) >= 600_000:
            return found, now
        now += 0.2
    return found, 0.0


def test_a_probe_that_gets_through_lifts_the_limit() -> None:
    times, lifted = probe(1_000_000, 100)
    assert 2 <= len(times) <= 3 and 3 <= times[0] < 3.5 and lifted < 9.5, "in growing steps"


def test_probes_that_fail_grow_rare() -> None:
    times, lifted = probe(250_000, 150)
    pauses = [b - a for a, b in zip(times, times[1:], strict=False)]
    assert not lifted and pauses[0] > 4 and max(pauses) > 25 and len(times) < 12


def test_whoever_sees_nothing_does_not_wait_for_rare_probes() -> None:
    times, lifted = probe(250_000, 150, is_dark=True)
    pauses = [b - a for a, b in zip(times, times[1:], strict=False)]
    assert not lifted and pauses[0] > 4 and max(pauses) < 12


def test_a_probe_goes_little_above_the_limit_and_what_got_through_is_on_trial() -> None:
    line, prober = Estimator(), Prober()
    line.remb(400_000, 1_000_000, 0)
    most = max(prober.rate(2_000_000, 300_000, line, 3 + i * 0.2) for i in range(7))
    assert 300_000 + most == pytest.approx(400_000 * Prober.FIRST_FACTOR)
    prober.rate(2_000_000, 300_000, line, 4.6)
    lifted = line.available(4.6)
    assert lifted == pytest.approx(560_000)
    line.remb(700_000, 600_000, 5)
    line.remb(450_000, 600_000, 6)
    line.remb(500_000, 300_000, 7)
    assert not any(prober.rate(2_000_000, 300_000, line, 6.2 + i * 0.2) for i in range(23)), "longer than the first"
    most = max(prober.rate(2_000_000, 300_000, line, 10.8 + i * 0.2) for i in range(7))
    assert 300_000 + most == pytest.approx(450_000 * Prober.CAREFUL_FACTOR), "the receiver's guess is not built upon"


def test_nothing_wanted_nothing_probed() -> None:
    assert Prober().rate(0, 1, Estimator(), 1) == 0


def test_speakers_begin_at_once_end_after_a_second_and_are_told_changes_only() -> None:
    speakers = Speakers()
    loud, quiet = 10 ** (-20 / 20), 10 ** (-70 / 20)
    assert speakers.update({"a": quiet, "b": quiet}, 0) == []
    ((key, level, active),) = speakers.update({"a": loud, "b": quiet}, 0.5)
    assert (key, active) == ("a", True) and 0.2 < level <= 1
    assert speakers.update({"a": loud, "b": quiet}, 1.0) == []
    assert [k for k, _ in speakers.active()] == ["a"]
    told = [speakers.update({"a": 0.0, "b": quiet}, 1.5 + i / 2) for i in range(12)]
    ended = [entry for entry in told if ("a", 0.0, False) in entry]
    assert len(ended) == 1 and told[0] == [] or told[0][0][2]
    speakers.update({"b": loud}, 20)
    assert ("b", 0.0, False) in speakers.update({}, 21)


def test_a_level_meter_counts_missing_packets_as_silence() -> None:
    meter = LevelMeter()
    for _ in range(10):
        meter.heard(20)
    assert meter.take() == pytest.approx(0.1)
    meter.heard(20)
    assert meter.take() == pytest.approx(0.01)
    meter.heard(127)
    assert meter.take() == 0


@pytest.mark.parametrize("loss, trip, jitter, limited, expected", [
    (0, 0.02, 0.002, False, q.EXCELLENT), (0, 0.02, 0.002, True, q.GOOD), (0.08, 0.05, 0.01, False, q.GOOD),
    (0.3, 0.05, 0.01, False, q.POOR), (0, 1.0, 0.05, False, q.POOR),
])
def test_quality(loss: float, trip: float, jitter: float, limited: bool, expected: int) -> None:
    assert q.quality(loss, trip, jitter, limited) == expected
