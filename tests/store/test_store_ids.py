"""Ids rise strictly, whatever the clock does, and carry their time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.store.ids import MAX_ID, SHIFT, Ids, RandomBits, first_id_of, last_id_of, stamp_of

STAMPS = st.integers(0, MAX_ID >> SHIFT)


@given(st.lists(STAMPS, max_size=200), st.integers(0, MAX_ID // 2))
def test_ids_rise_whatever_the_clock_does(stamps, last):
    ids = Ids(last)
    given_out = [last]
    for stamp in stamps:
        try:
            given_out.append(ids.new_id(stamp))
        except ValueError:
            assert given_out[-1] == MAX_ID, "only refused when none is left"
    assert all(low < high for low, high in zip(given_out, given_out[1:], strict=False))
    assert given_out[-1] <= MAX_ID


@given(STAMPS)
def test_an_id_carries_its_time_when_the_clock_goes_on(stamp):
    assert stamp_of(Ids(0 if stamp == 0 else (stamp << SHIFT) - 1).new_id(stamp)) == stamp


@given(st.lists(STAMPS, min_size=1, max_size=50))
def test_ids_go_on_above_the_last_one_after_a_restart(stamps):
    before = Ids()
    last = max((before.new_id(stamp) for stamp in sorted(stamps)), default=0)
    if last < MAX_ID:
        assert Ids(last, lambda bits: 0).new_id(0) == max(last + 1, 0)
        assert Ids(last).new_id(0) > last


@given(STAMPS, STAMPS)
def test_the_bounds_of_a_millisecond_hold_its_ids_and_no_others(stamp, other):
    id = Ids(max(0, (stamp << SHIFT) - 1)).new_id(stamp)
    if stamp:
        assert (first_id_of(other) <= id <= last_id_of(other)) == (stamp == other)


@pytest.mark.parametrize("stamp", [-5, -1, (MAX_ID >> SHIFT) + 1, 10**30])
def test_bounds_outside_the_range_of_ids_stay_inside_it(stamp):
    assert 0 <= first_id_of(stamp) <= MAX_ID
    assert -1 <= last_id_of(stamp) <= MAX_ID


@pytest.mark.parametrize("stamp", [-1, (MAX_ID >> SHIFT) + 1])
def test_a_time_that_has_no_id_is_refused(stamp):
    with pytest.raises(ValueError):
        Ids().new_id(stamp)


def test_no_id_is_left_after_the_highest():
    with pytest.raises(ValueError, match="used up"):
        Ids(MAX_ID).new_id(0)


def test_ids_cannot_be_guessed_from_the_last_one():
    ids = Ids()
    given = [ids.new_id(1_000_000) for _ in range(200)]
    assert len({after - before for before, after in zip(given, given[1:], strict=False)}) > 100
    assert stamp_of(given[-1]) == 1_000_000


def test_random_bits_are_all_used_and_never_too_many() -> None:
    """Buffered or not, each bit is as likely as the other, and none is given twice."""
    bits = RandomBits()
    drawn = [bits(count) for count in (18, 9, 2048, 1, 0, 18) * 500]
    for count, at in ((18, 0), (9, 1), (2048, 2), (1, 3)):
        values = drawn[at::6]
        assert all(0 <= value < 1 << count for value in values)
        ones = sum(value.bit_count() for value in values) / (count * len(values))
        assert abs(ones - 0.5) < 0.15, (count, ones)
    assert len(set(drawn[2::6])) == 500
