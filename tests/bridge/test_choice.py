"""Layer choice, bandwidth, speakers, quality: tables."""

from __future__ import annotations

import pytest

from chatd.bridge import quality as q
from chatd.bridge.estimator import Estimator, Prober
from chatd.bridge.layers import NONE, Demand, Rate, Size, allocate, choose, rank_for_size
from chatd.bridge.speakers import LevelMeter, Speakers

SIZES = [Size(320, 180), Size(640, 360), Size(1280, 720)]


@pytest.mark.parametrize("width, height, rank", [
    (1, 1, 0), (320, 180, 0), (321, 180, 1), (180, 320, 0), (640, 360, 1), (641, 361, 2), (4000, 3000, 2), (360, 640, 1),
])
def test_the_smallest_layer_that_fills_the_tile(width: int, height: int, rank: int) -> None:
    assert rank_for_size(SIZES, width, height) == rank


@pytest.mark.parametrize("live, wanted, allowed, rank", [
    ([], 2, 2, NONE), ([0, 1, 2], 2, 2, 2), ([0, 1, 2], 1, 2, 1), ([0, 1, 2], 2, 0, 0), ([0, 2], 1, 2, 0), ([1, 2], 0, 2, 1),
    ([0, 1], 2, 2, 1), ([0, 1, 2], 2, NONE, NONE),
])
def test_choose(live: list[int], wanted: int, allowed: int, rank: int) -> None:
    assert choose(live, wanted, allowed) == rank


COSTS = [(0, 150_000), (1, 500_000), (2, 1_700_000)]


@pytest.mark.parametrize("budget, demands, given", [
    (10e6, [Demand(COSTS, 2, NONE)], [2]),
    (160e3, [Demand(COSTS, 2, 2)], [NONE]),
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
    if budget == 160e3:
        demands = [demands[0]._replace(current=NONE)]
    assert allocate(budget, demands) == given


def test_a_rate_follows_what_passes_and_ends_with_it() -> None:
    rate = Rate()
    for i in range(300):
        rate.add(1250, i * 0.01)
    assert rate.value(3.0) == pytest.approx(1_000_000, rel=0.05)
    assert rate.value(4.5) == 0.0


def test_remb_and_loss_limit_whichever_is_lower() -> None:
    line = Estimator()
    assert line.available(0) is None
    line.remb(2_000_000, 1)
    assert line.available(1) == 2_000_000
    line.reported(0.5, 1_000_000, 2)
    assert line.available(2) == pytest.approx(750_000)
    for second in range(3, 20):
        line.reported(0.0, 700_000, second)
        line.remb(2_000_000, second)
    assert 750_000 < line.available(20) <= 2_000_000  # type: ignore[operator]
    line = Estimator()
    line.remb(1, 0)
    assert line.available(0) == 30_000
    assert line.available(100) is None


def test_probing_waits_for_calm_ends_with_success_and_grows_rare_with_failures() -> None:
    prober = Prober()

    def starts(available: float, until: float, loss: float = 0.0) -> list[float]:
        found, probing = [], False
        now = 0.0
        while now < until:
            rate = prober.rate(600_000, 150_000, available, loss, now)
            if rate and not probing:
                found.append(now)
            probing = bool(rate)
            now += 0.2
        return found

    times = starts(200_000, 120)
    pauses = [b - a for a, b in zip(times, times[1:], strict=False)]
    assert 3 <= times[0] < 4 and pauses == sorted(pauses) and max(pauses) > 20
    assert prober.rate(600_000, 150_000, 700_000, 0, 130) == 0
    assert prober.rate(0, 150_000, 700_000, 0, 130) == 0
    prober = Prober()
    assert starts(200_000, 60, loss=0.2) == []


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
