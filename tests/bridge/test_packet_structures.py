"""Packet map, packet cache, reception: tables of numbers in and numbers out."""

from __future__ import annotations

import pytest

from chatd.bridge.packetcache import PacketCache
from chatd.bridge.packetmap import PacketMap
from chatd.bridge.reception import Reception
from chatd.bridge.rtp import Packet


def outs(packets: PacketMap, source: object, sequences: list[int]) -> list[int | None]:
    return [None if (s := packets.find(source, n)) is None else n + s.delta & 0xFFFF for n in sequences]


def test_a_map_moves_numbers_and_refuses_what_came_before_it_began() -> None:
    packets = PacketMap()
    packets.begin("a", 65535, 100, 7)
    assert outs(packets, "a", [65535, 0, 5, 65534]) == [100, 101, 106, None]
    assert packets.find("b", 0) is None
    assert packets.now is not None and packets.now.timestamp_delta == 7


@pytest.mark.parametrize("left_out, sequence, expected", [
    ([5], [4, 5, 6, 7], [4, None, 5, 6]),
    ([5, 6], [4, 5, 6, 7], [4, None, None, 5]),
    ([5, 7], [4, 5, 6, 7, 8], [4, None, 5, None, 6]),
    ([0], [0, 1], [None, 0]),
    ([5, 6, 7, 9], [4, 6, 7, 8, 9, 10], [4, None, None, 5, None, 6]),
])
def test_what_is_left_out_makes_no_hole(left_out: list[int], sequence: list[int], expected: list[int | None]) -> None:
    packets = PacketMap()
    packets.begin("a", 0, 0, 0)
    for number in left_out:
        assert packets.leave_out(number)
    assert outs(packets, "a", sequence) == expected


def test_reverse_undoes_the_map_over_layers_and_holes() -> None:
    packets = PacketMap()
    sent: dict[int, tuple[str, int]] = {}
    out = 65000
    number = {"a": 65400, "b": 100}
    for source, count in (("a", 300), ("b", 50), ("a", 400)):
        packets.begin(source, number[source], out & 0xFFFF, 0)
        for i in range(count):
            n = number[source] & 0xFFFF
            number[source] += 1
            if i % 7 == 5:
                assert packets.leave_out(n)
                continue
            segment = packets.find(source, n)
            assert segment is not None and n + segment.delta & 0xFFFF == out & 0xFFFF
            sent[out & 0xFFFF] = (source, n)
            out += 1
    for number_out in list(sent)[-500:]:
        place = packets.reverse(number_out)
        assert place is not None and (place[0].source, place[1]) == sent[number_out]


def test_a_late_packet_to_be_left_out_changes_nothing() -> None:
    packets = PacketMap()
    packets.begin("a", 10, 10, 0)
    assert not packets.leave_out(5)
    assert outs(packets, "a", [11]) == [11]


def test_pictures_that_are_left_out_move_picture_ids() -> None:
    packets = PacketMap()
    packets.begin("a", 0, 0, 0, picture_delta=3)
    packets.leave_out(4, next_picture=True)
    packets.leave_out(5)
    assert packets.now is not None and packets.now.picture_delta == 2


def test_a_map_keeps_working_over_many_wraps_when_it_is_advanced() -> None:
    packets = PacketMap()
    packets.begin("a", 0, 50, 0)
    for number in range(0, 300_000, 100):
        packets.advance(number & 0xFFFF)
        assert outs(packets, "a", [number & 0xFFFF]) == [number + 50 & 0xFFFF]


def packet(sequence: int) -> Packet:
    return Packet(96, False, sequence, 0, 1, {}, b"x")


def test_a_cache_gives_what_it_still_has() -> None:
    cache = PacketCache(16)
    for number in range(65530, 65560):
        cache.put(packet(number & 0xFFFF))
    assert [n for n in range(65536) if cache.get(n)] == list(range(8, 24))
    cache.clear()
    assert cache.get(20) is None
    with pytest.raises(ValueError, match="power of two"):
        PacketCache(100)


def arrive(reception: Reception, numbers: list[int], now: float = 0.0) -> list[int]:
    return [reception.arrived(number & 0xFFFF, 0, 100, now) for number in numbers]


def test_reception_counts_losses_late_packets_and_restarts() -> None:
    reception = Reception(90000)
    assert arrive(reception, [65534, 65535, 65537, 65536, 65540]) == [1, 1, 2, 0, 3]
    assert reception.lost == 2 and reception.recovered == 1
    assert sorted(n & 0xFFFF for n in reception.missing) == [2, 3]
    assert reception.is_missing(2) and not reception.is_missing(4)
    block = reception.report(7, 1, 2)
    assert (block.ssrc, block.lost, block.highest & 0xFFFF, block.fraction) == (7, 2, 4, 2 * 256 // 7)
    assert reception.report(7, 1, 2).fraction == 0
    assert arrive(reception, [40000]) == [-1]
    assert reception.lost == 0 and not reception.missing


def test_a_hole_is_asked_for_again_with_growing_pauses_and_then_given_up() -> None:
    reception = Reception(90000)
    arrive(reception, [1, 3])
    asked = [t / 1000 for t in range(0, 1500, 10) if reception.to_ask(t / 1000, 0.05)]
    assert asked[0] == pytest.approx(0.01)
    pauses = [b - a for a, b in zip(asked, asked[1:], strict=False)]
    assert pauses == sorted(pauses) and min(pauses) >= 0.06
    assert 4 <= len(asked) <= 10 and not reception.missing


def test_who_is_held_up_asks_all_the_same() -> None:
    reception = Reception(90000)
    arrive(reception, [1, 3])
    # Nobody had time to ask for a long while.
    assert [reception.to_ask(at, 0.05) for at in (5.0, 9.0, 9.01, 12.0, 15.0)] == [[2], [2], [], [2], []]
    assert not reception.missing


def test_jitter_is_rfc_3550s() -> None:
    reception = Reception(8000)
    for i in range(2000):
        reception.arrived(i, 160 * i, 20, 0.02 * i + (0.01 if i % 2 else 0.0))
    assert reception.jitter == pytest.approx(80, rel=0.05)
