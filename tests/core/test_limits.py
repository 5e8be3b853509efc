"""Token buckets and back-off, with the clock in our hands."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.core.limits import Backoff, TokenBucket


def test_bucket() -> None:
    bucket = TokenBucket(10, 20, now=100.0)
    assert bucket.take(20, 100.0) == 0.0
    assert bucket.take(5, 100.0) == pytest.approx(0.5)
    assert bucket.take(0, 100.4) == pytest.approx(0.1)
    assert bucket.take(0, 100.5) == 0.0
    assert bucket.take(21, 200.0) == pytest.approx(0.1)
    assert bucket.take(0, 50.0) == pytest.approx(0.1)  # a clock that runs backwards gives nothing
    for rate, burst in ((0, 1), (1, 0), (-1, 1)):
        with pytest.raises(ValueError):
            TokenBucket(rate, burst, 0)


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 3)), min_size=1, max_size=50))
def test_who_waits_as_told_gets_the_rate_and_no_more(steps: list[tuple[float, float]]) -> None:
    bucket = TokenBucket(10, 20, 0.0)
    now = taken = 0.0
    for amount, pause in steps:
        now += pause
        wait = bucket.take(amount, now)
        taken += amount
        now += wait
        assert bucket.take(0, now) < 1e-6
        assert taken <= 20 + 10 * now + 1e-6


def test_backoff_doubles_and_ends() -> None:
    table = Backoff(free=3, first_s=1, longest_s=60, forget_s=1000)
    waits = []
    for _ in range(12):
        table.failed("1.2.3.4", 100.0)
        waits.append(table.wait("1.2.3.4", 100.0))
    assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert table.wait("1.2.3.4", 130.0) == 30 and table.wait("1.2.3.4", 160.0) == 0
    assert table.wait("other", 100.0) == 0
    table.succeeded("1.2.3.4")
    assert table.wait("1.2.3.4", 100.0) == 0 and len(table) == 0


def test_backoff_forgets() -> None:
    table = Backoff(free=0, first_s=10, forget_s=100)
    table.failed("a", 0.0)
    assert table.wait("a", 0.0) == 10
    assert table.wait("a", 100.0) == 0 and len(table) == 0
    table.failed("a", 200.0)
    table.failed("b", 300.0)
    assert len(table) == 1
    table.failed("a", 250.0)
    table.succeeded("b")
    table.failed("a", 350.0)
    assert table.wait("a", 350.0) == 10
    table.failed("b", 1000.0)
    assert len(table) == 1


def test_a_million_failures_are_a_number() -> None:
    table = Backoff(longest_s=300)
    for _ in range(3000):
        table.failed("a", 0.0)
    assert table.wait("a", 0.0) == 300


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 5)), max_size=200))
def test_memory_is_bounded(steps: list[tuple[str, float]]) -> None:
    table = Backoff(free=0, most=4, forget_s=50)
    now = 0.0
    for key, pause in steps:
        now += pause
        table.failed(key, now)
        assert len(table) <= 4
        assert table.wait(key, now) > 0
