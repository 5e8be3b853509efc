"""Where rooms go: always the same process, unless that does not come up; and then they stay where they are."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from chatd.media.placement import Placement

ROOMS = [f"room {number}" for number in range(3000)]
UP = [False, False, False]


def test_the_same_room_the_same_process() -> None:
    assert [Placement(3).find(room, UP) for room in ROOMS] == [Placement(3).find(room, UP) for room in ROOMS]
    counts = Counter(Placement(3).find(room, UP) for room in ROOMS)
    assert set(counts) == {0, 1, 2} and min(counts.values()) > 900


def test_another_process_takes_only_its_share() -> None:
    before = {room: Placement(3).find(room, UP) for room in ROOMS}
    after = {room: Placement(4).find(room, [False] * 4) for room in ROOMS}
    assert all(after[room] in (before[room], 3) for room in ROOMS)


def test_rooms_of_one_that_does_not_come_up_are_shared_out_and_stay() -> None:
    placement = Placement(3)
    mine = [room for room in ROOMS if placement.find(room, UP) == 1]
    away = {room: placement.find(room, [False, True, False]) for room in mine}
    assert set(away.values()) == {0, 2}
    assert {room: placement.find(room, UP) for room in mine} == away
    placement.room_ended(mine[0])
    assert placement.find(mine[0], UP) == 1
    placement.process_ended(away[mine[1]])
    assert placement.find(mine[1], UP) == 1


def test_one_that_is_full_of_guests_fails_as_well() -> None:
    placement = Placement(3)
    room = next(room for room in ROOMS if placement.find(room, UP) == 1)
    away = placement.find(room, [False, True, False])
    down = [number in (1, away) for number in range(3)]
    assert placement.find(room, down) == ({0, 1, 2} - {1, away}).pop()


def test_all_down() -> None:
    """Somebody has to be asked; he will say that he is not there."""
    assert Placement(2).find("room", [True, True]) in (0, 1)


def test_the_memory_is_bounded() -> None:
    placement = Placement(2)
    for number in range(25_000):
        placement.find(str(number), [True, False])
    assert len(placement._elsewhere) == 10_000


@given(st.text(max_size=50), st.integers(1, 5))
def test_any_name(room: str, count: int) -> None:
    assert 0 <= Placement(count).find(room, [False] * count) < count
