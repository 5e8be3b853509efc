"""Layers and subscriptions without a network or a clock: what is sent on when streams begin anew, when keyframes are
long in coming, when a codec is replaced.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from chatd.bridge import rtcp
from chatd.bridge.forward import HIGH, LOW, NONE, Subscription
from chatd.bridge.incoming import KEYFRAME_INTERVAL_S, LONGEST_INTERVAL_S
from chatd.bridge.inspection import STATES
from tests.bridge.stage import Stage


@pytest.mark.parametrize("to", [0, 1, 500, 999, 1001, 3000, 20_000, 40_000, 65_535])
def test_a_stream_with_another_ssrc_goes_on_without_a_gap(to: int) -> None:
    """A publisher may take another SSRC for a layer; its numbers are random, so sometimes near the old ones."""
    stage = Stage("q")
    stage.begin("q", 1000, 1000, 5_000_000)
    stage.come("q", is_key=True)
    stage.come("q", count=20)
    stage.begin("q", 2000, to, 90)
    stage.come("q", count=3)
    assert len(stage.viewer.sent) == 21, "the middle of a picture is of no use"
    stage.port.time += 0.5
    stage.look()
    assert 2000 in stage.asked()
    stage.come("q", is_key=True)
    stage.come("q", count=20)
    assert len(stage.viewer.sent) == 42 and set(stage.gaps()) == {1}
    times = [packet.timestamp for packet in stage.viewer.sent]
    steps = [b - a & 0xFFFFFFFF for a, b in zip(times, times[1:], strict=False)]
    assert all(0 < step < 90_000 for step in steps), steps


@pytest.mark.parametrize("to", [20_000, 50_000])
def test_a_stream_that_jumps_goes_on_without_a_gap(to: int) -> None:
    stage = Stage()
    stage.begin("", 1000, 1000)
    stage.come(is_key=True)
    stage.come(count=20)
    stage.numbers[""] = (to, 7)
    stage.come(is_key=True)
    stage.come(count=20)
    assert len(stage.viewer.sent) == 42 and set(stage.gaps()) == {1}


def test_reports_of_before_are_not_told_of_a_stream_that_begins_anew() -> None:
    stage = Stage("q")
    stage.begin("q", 1000, 1000)
    stage.come("q", is_key=True)
    stage.publication.layers[0].reported(rtcp.SenderReport(1000, 1 << 40, 77, 1, 1), stage.port.time)
    assert len(stage.viewer.control) == 1
    stage.begin("q", 2000, 9)
    stage.come("q", is_key=True)
    assert len(stage.viewer.control) == 1, "its time is of the other stream's clock"


def test_who_sees_nothing_takes_a_smaller_layer_when_the_best_gives_no_keyframe() -> None:
    stage = Stage("q", "h", "f")
    for number, rid in enumerate("qhf"):
        stage.begin(rid, number + 1, 100)
    stage.asked()
    for _ in range(4):
        for rid in "qhf":
            stage.come(rid, count=2)
        stage.look()
    assert set(stage.asked()) == {3}, "the best"
    assert not stage.viewer.sent
    for _ in range(4):
        for rid in "qhf":
            stage.come(rid, count=2)
        stage.look()
    assert set(stage.asked()) == {1, 2, 3}, "after a second, all"
    stage.come("h", is_key=True)
    assert len(stage.viewer.sent) == 1 and stage.subscription.rank == 1
    assert [layer.rank for layer in stage.publication.layers if stage.subscription in layer.waiting] == [2]
    stage.come("q", is_key=True)
    assert stage.subscription.rank == 1, "not down again"
    stage.come("f", is_key=True)
    assert stage.subscription.rank == 2 and set(stage.gaps()) == {1}
    assert not any(layer.waiting for layer in stage.publication.layers)


def test_nobody_waits_for_smaller_layers_after_leaving() -> None:
    stage = Stage("q", "h")
    for number, rid in enumerate("qh"):
        stage.begin(rid, number + 1, 100)
    for _ in range(12):
        for rid in "qh":
            stage.come(rid, count=2)
        stage.look()
    assert all(layer.waiting for layer in stage.publication.layers)
    stage.subscription.allow(LOW, stage.port.time)
    assert [bool(layer.waiting) for layer in stage.publication.layers] == [True, False]
    stage.subscription.allow(HIGH, stage.port.time)
    assert all(layer.waiting for layer in stage.publication.layers)
    stage.subscription.pause()
    assert not any(layer.waiting for layer in stage.publication.layers)
    stage.subscription.resume()
    stage.subscription.allow(LOW, stage.port.time)
    stage.come("h", is_key=True)
    assert stage.subscription.layer is None, "its line has no room for this one"
    stage.subscription.allow(NONE, stage.port.time)
    assert not any(layer.waiting for layer in stage.publication.layers)


def test_a_viewer_s_request_is_for_what_it_sees_and_for_what_is_to_come() -> None:
    stage = Stage("q", "f")
    stage.begin("q", 1, 100)
    stage.come("q", is_key=True, count=10)
    stage.begin("f", 2, 100)
    stage.come("f", count=10)
    stage.look()
    assert stage.subscription.layer is not None and stage.subscription.awaited is not None
    stage.port.time += 5
    stage.asked()
    stage.subscription.request_keyframe()
    assert sorted(stage.asked()) == [1, 2]


def test_a_publisher_that_gives_no_keyframe_is_asked_less_and_less_often_but_always() -> None:
    stage = Stage()
    stage.begin("", 1, 100)
    asked_at = []
    for _ in range(1000):
        stage.come()
        stage.look()
        asked_at += [stage.port.time] * len(stage.asked())
    pauses = [b - a for a, b in zip(asked_at, asked_at[1:], strict=False)]
    assert 0.9 * KEYFRAME_INTERVAL_S < pauses[0] < 1 and max(pauses) < LONGEST_INTERVAL_S + 0.1
    assert 12 < len(pauses) < 20 and pauses[-1] > 2.9
    stage.come(is_key=True)
    stage.subscription.request_keyframe()
    stage.port.time += KEYFRAME_INTERVAL_S + 3
    stage.look()
    stage.port.time += KEYFRAME_INTERVAL_S + 0.01
    stage.asked()
    stage.look()
    assert stage.asked() == [1], "often again"


def test_the_manual_has_every_word_for_why_nothing_flows() -> None:
    text = (Path(__file__).resolve().parents[2] / "man" / "chatctl.1").read_text()
    text = text[text.index(".It Cm meeting media"):text.index(".It Cm meeting end")]
    assert {word for word in STATES if f".Em {word}" not in text} == {"flows"}


def test_a_paused_subscription_asks_for_nothing() -> None:
    stage = Stage()
    other = Subscription(stage.publication, stage.viewer, 100, is_paused=True)  # type: ignore[arg-type]
    stage.subscription.close()
    stage.begin("", 1, 100)
    stage.come(is_key=True, count=5)
    stage.look()
    assert not stage.asked() and not stage.viewer.sent and stage.publication.wanted_ranks() == frozenset()
    other.resume()
    assert stage.asked() == [1] and stage.publication.wanted_ranks() == frozenset(range(HIGH + 1))
    stage.come(is_key=True)
    assert len(stage.viewer.sent) == 1
