"""What one identity may ask in a while."""

from __future__ import annotations

import pytest

from chatd.bridge import flood
from chatd.bridge.flood import Flood, Floods
from chatd.bridge.settings import Limits

LIMITS = Limits(messages_per_second=10, message_burst=20, message_bytes_per_second=1000, message_burst_bytes=5000,
                descriptions_per_second=1, description_burst=3, change_bytes_per_second=100, change_burst_bytes=300,
                joins_per_minute=6, join_burst=2)


@pytest.mark.parametrize(("ask", "burst", "after_10_s"), [
    (lambda f, now: f.message(10, now), 20, 20),
    (lambda f, now: f.message(1000, now), 5, 5),
    (lambda f, now: f.description(now), 3, 3),
    (lambda f, now: f.change(100, now), 3, 3),
    (lambda f, now: f.join(now), 2, 1),
])
def test_bursts_and_rates(ask, burst, after_10_s) -> None:
    counts = Flood(LIMITS, 100.0)
    assert sum(ask(counts, 100.0) for _ in range(50)) == burst
    assert sum(ask(counts, 110.0) for _ in range(50)) == after_10_s


def test_a_new_socket_gives_no_new_burst() -> None:
    floods = Floods(LIMITS, lambda: 0.0)
    assert floods.of("blue", "eve") is floods.of("blue", "eve")
    assert floods.of("blue", "eve") is not floods.of("red", "eve")
    assert floods.of("blue", "ann") is not floods.of("blue", "eve")


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flood, "MOST_IDENTITIES", 3)
    floods = Floods(LIMITS, lambda: 0.0)
    kept = floods.of("blue", "eve")
    for name in ("a", "b", "c"):
        floods.of("blue", name)
        assert floods.of("blue", "eve") is kept
    first = floods.of("blue", "a")
    assert len(floods._all) == 3
    assert floods.of("blue", "a") is first
