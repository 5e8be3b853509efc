"""Depacketisers, order and places in time of a recording: tables, and what encoders really make."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import av
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from media_source import Encoder, Sound, payloads, vp9_layers

from chatd.bridge import codecs, rtp
from chatd.bridge.recording import depacketise, sizes
from chatd.bridge.recording.depacketise import Malformed, join, leb128, superframe
from chatd.bridge.recording.frames import Frames
from chatd.bridge.recording.reorder import Lost, Reorder
from chatd.bridge.recording.segments import Segments

START = b"\0\0\0\1"

GOOD = [
    # VP8: without and with an extended descriptor, short and long picture id, TL0PICIDX, temporal layer.
    ("vp8", [b"\x10ab", b"\x00cd"], b"abcd"),
    ("vp8", [b"\x90\x80\x05ab"], b"ab"),
    ("vp8", [b"\x90\x80\x85\x01ab"], b"ab"),
    ("vp8", [b"\x90\xe0\x85\x01\x07\x20ab", b"\x80\xe0\x85\x01\x07\x20cd"], b"abcd"),
    ("vp8", [b"\x90\x10\x20ab"], b"ab"),
    ("vp8", [b"\x90\x40\x07ab"], b"ab"),
    # VP9: non-flexible with layer indices, flexible with references, a scalability structure with sizes and pictures.
    ("vp9", [b"\x08ab", b"\x04cd"], b"abcd"),
    ("vp9", [b"\x8c\x05ab"], b"ab"),
    ("vp9", [b"\xac\x85\x01\x00\x07ab"], b"ab"),
    ("vp9", [b"\xfc\x85\x01\x00\x03\x02ab"], b"ab"),
    ("vp9", [b"\x0e\x18\x01\x40\x00\xb4\x02\x08\x01\x04\x01ab"], b"ab"),
    ("vp9", [b"\xac\x05\x00\x01abc", b"\xac\x05\x03\x01de"], b"abcde\xc1\x03\x02\xc1"),
    # H.264: single, aggregated, fragmented.
    ("h264", [b"\x65abc"], START + b"\x65abc"),
    ("h264", [b"\x78\0\2\x67a\0\3\x68bc", b"\x65x"], START + b"\x67a" + START + b"\x68bc" + START + b"\x65x"),
    ("h264", [b"\x7c\x85ab", b"\x7c\x05cd", b"\x7c\x45e"], START + b"\x65abcde"),
    # AV1: one element, two with and without count, a fragment over two packets, a temporal delimiter left out,
    # an OBU with an extension, one with a size of its own.
    ("av1", [b"\x18\x30ab"], b"\x32\x02ab"),
    ("av1", [b"\x20\x02\x30a\x30b"], b"\x32\x01a\x32\x01b"),
    ("av1", [b"\x00\x02\x30a\x02\x30b"], b"\x32\x01a\x32\x01b"),
    ("av1", [b"\x50\x30ab", b"\x90cd"], b"\x32\x04abcd"),
    ("av1", [b"\x20\x01\x10\x30b"], b"\x32\x01b"),
    ("av1", [b"\x10\x34\x28ab"], b"\x36\x28\x02ab"),
    ("av1", [b"\x10\x32\x02ab"], b"\x32\x02ab"),
    ("opus", [b"\xfcab"], b"\xfcab"),
]

BAD = [
    ("vp8", [b""]), ("vp8", [b"\x90"]), ("vp8", [b"\x90\x80"]), ("vp8", [b"\x90\x80\x85\x01"]), ("vp8", [b"\x10"]),
    ("vp9", []), ("vp9", [b""]), ("vp9", [b"\x88\x85"]), ("vp9", [b"\x04ab"]), ("vp9", [b"\x0a"]), ("vp9", [b"\x08"]),
    ("vp9", [b"\x0a\x18\x01\x40"]), ("vp9", [b"\x0cab"] * 9),
    ("h264", []), ("h264", [b""]), ("h264", [b"\x7c\x85"]), ("h264", [b"\x7c\x05cd"]), ("h264", [b"\x7c\x85ab"]),
    ("h264", [b"\x7c\x85ab", b"\x65x"]), ("h264", [b"\x78\0\5ab"]), ("h264", [b"\x78\0\0"]), ("h264", [b"\x78\0"]),
    ("h264", [b"\x79\0\0ab"]), ("h264", [b"\x7c\x85ab", b"\x7c\x85ab"]),
    ("av1", []), ("av1", [b"\x18"]), ("av1", [b"\x90ab"]), ("av1", [b"\x50ab"]), ("av1", [b"\x00\x05ab"]),
    ("av1", [b"\x20\x01\x30"]), ("av1", [b"\x00\x80"]), ("av1", [b"\x10\x80a"]), ("av1", [b"\x10\x32\x05ab"]),
    ("av1", [b"\x10\x10"]), ("av1", [b"\x10\x34"]),
    ("opus", []), ("opus", [b""]), ("opus", [b"a", b"b"]),
]


@pytest.mark.parametrize(("codec", "parts", "frame"), GOOD)
def test_payloads_make_a_frame(codec: str, parts: list[bytes], frame: bytes) -> None:
    assert join(codec, parts) == frame


@pytest.mark.parametrize(("codec", "parts"), BAD)
def test_payloads_that_do_not_fit_are_refused(codec: str, parts: list[bytes]) -> None:
    with pytest.raises(Malformed):
        join(codec, parts)


def test_an_unreasonable_frame_is_refused() -> None:
    with pytest.raises(Malformed):
        join("vp8", [b"\x10" + bytes(1 << 20)] * 9)


@pytest.mark.parametrize(("codec", "payload"), [
    ("av1", b"\0" + b"\x01\x32" * 600), ("av1", bytes(1200)), ("h264", b"\x78" + b"\0\1\x65" * 400)])
def test_a_frame_of_thousands_of_units_is_refused_before_they_are_put_together(codec: str, payload: bytes) -> None:
    assert codec == "av1" or join(codec, [payload] * 10)
    with pytest.raises(Malformed, match="units"):
        join(codec, [payload] * 11)


def test_numbers_and_superframes_have_the_specifications_form() -> None:
    assert [leb128(n) for n in (0, 127, 128, 300)] == [b"\0", b"\x7f", b"\x80\1", b"\xac\2"]
    long = bytes(300)
    assert superframe([long, b"a"])[301:] == b"\xc9\x2c\x01\x01\x00\xc9"


def packets_of(
    codec: str, frames: list[tuple[bytes, bool]], sequence: int = 65530, most: int = 200
) -> list[rtp.Packet]:
    """RTP packets with their descriptions, as a layer hands them on; 25 frames a second."""
    found = []
    for n, (frame, is_key) in enumerate(frames):
        parts = payloads(codec, frame, is_key, n, most)
        for i, part in enumerate(parts):
            marker = i == len(parts) - 1
            packet = rtp.Packet(96, marker, sequence & 0xFFFF, 0xFFFFF000 + 3600 * n & 0xFFFFFFFF, 7, {}, part)
            packet.described = codecs.DESCRIBE[codec](part, marker)
            found.append(packet)
            sequence += 1
    return found


def encoded(codec: str, count: int = 12, keys: tuple[int, ...] = (0,)) -> list[tuple[bytes, bool]]:
    if codec == "opus":
        sound = Sound()
        return [(sound.tone(440), True) for _ in range(count)]
    encoder = Encoder(codec)
    if codec == "av1":
        return [(frame, not n) for n, frame in enumerate(encoder.pictures([20 * n for n in range(count)]))]
    return [(encoder.picture(20 * n, n in keys), n in keys) for n in range(count)]


@pytest.mark.parametrize("codec", ["vp8", "vp9", "h264", "av1", "opus"])
def test_what_an_encoder_makes_comes_out_as_it_went_in(codec: str) -> None:
    sent = encoded(codec)
    frames = Frames(codec)
    got = [frame for packet in packets_of(codec, sent) for frame in frames.packet(packet)]
    assert len(got) == len(sent)
    assert [frame.is_key for frame in got] == [is_key for _, is_key in sent]
    if codec in ("vp8", "vp9", "opus"):
        assert [frame.data for frame in got] == [data for data, _ in sent]
    if codec != "opus":
        assert sizes.of_keyframe(codec, got[0].data) == (320, 180)
        decoder = av.CodecContext.create({"av1": "libdav1d"}.get(codec, codec), "r")
        pictures = [p for frame in got for p in decoder.decode(av.Packet(frame.data))] + decoder.decode()
        assert [(p.width, p.height) for p in pictures] == [(320, 180)] * len(sent)


def test_layers_of_one_picture_make_a_superframe_that_decodes_once() -> None:
    """Two spatial layers of one picture, as an SVC stream has them: the shown one is the last."""
    small, large = Encoder("vp9", 160, 90), Encoder("vp9", 320, 180)
    frame = join("vp9", vp9_layers([small.picture(50, True), large.picture(50, True)], True, 1))
    decoder = av.CodecContext.create("vp9", "r")
    assert [p.width for p in decoder.decode(av.Packet(frame))][-1] == 320


@pytest.mark.parametrize("codec", ["vp8", "vp9", "h264"])
def test_after_a_loss_it_goes_on_with_the_next_keyframe(codec: str) -> None:
    sent = encoded(codec, 12, (0, 8))
    packets = packets_of(codec, sent)
    frames = Frames(codec)
    got = []
    for packet in packets:
        if packet.timestamp == packets[0].timestamp + 3 * 3600 & 0xFFFFFFFF:
            if not frames.waits_for_key:
                frames.lost(1)
            continue
        got += frames.packet(packet)
    times = [(frame.timestamp - packets[0].timestamp & 0xFFFFFFFF) // 3600 for frame in got]
    assert times == [0, 1, 2, 8, 9, 10, 11] and not frames.waits_for_key


def test_nothing_is_taken_before_a_keyframe_and_half_frames_are_left_out() -> None:
    sent = encoded("vp8", 10, (0, 5))
    packets = packets_of("vp8", sent, most=40)
    key = [n for n, packet in enumerate(packets) if packet.described.is_key]
    frames = Frames("vp8")
    # It begins in the middle of the first keyframe.
    got = [frame for packet in packets[1:] for frame in frames.packet(packet)]
    assert len(got) == 5 and got[0].is_key and (got[0].width, got[0].height) == (320, 180)
    # A hole in the middle of a frame: that frame is gone, too.
    frames = Frames("vp8")
    got = []
    for n, packet in enumerate(packets):
        if n == key[1] + 1:
            frames.lost(1)
        else:
            got += frames.packet(packet)
    assert len(got) == 5 and frames.waits_for_key and frames.dropped == 1


def test_a_frame_without_a_marker_ends_with_the_next_timestamp() -> None:
    packets = packets_of("vp8", encoded("vp8", 4))
    for packet in packets:
        packet.marker = False
    frames = Frames("vp8")
    assert len([frame for packet in packets for frame in frames.packet(packet)]) == 3


def test_a_malformed_frame_is_counted_and_needs_a_keyframe() -> None:
    packets = packets_of("h264", encoded("h264", 4), most=60)
    key = [packet for packet in packets if packet.timestamp == packets[0].timestamp]
    frames = Frames("h264")
    key[-1].payload = key[-1].payload[:1] + bytes((key[-1].payload[1] & ~0x40,)) + key[-1].payload[2:]
    got = [frame for packet in packets for frame in frames.packet(packet)]
    assert got == [] and frames.malformed == 1 and frames.waits_for_key


# -- order

def drain(reorder: Reorder, arrivals: list[tuple[int, float]], end: float) -> list[object]:
    found: list[object] = []
    for number, now in arrivals:
        found += reorder.put(number & 0xFFFF, number, now)
        found += reorder.due(now)
    found += reorder.due(end)
    return [("lost", item.count) if isinstance(item, Lost) else item for item in found]


ORDERS = [
    ([(1, 0), (2, 0), (3, 0)], [1, 2, 3]),
    ([(1, 0), (3, 0), (2, 0.1), (4, 0.1)], [1, 2, 3, 4]),
    ([(65535, 0), (65537, 0), (65536, 0.1), (65538, 0.2)], [65535, 65536, 65537, 65538]),
    ([(1, 0), (3, 0), (4, 0.5), (5, 1.1)], [1, ("lost", 1), 3, 4, 5]),
    ([(1, 0), (4, 0), (3, 0.9), (5, 1.1)], [1, ("lost", 1), 3, 4, 5]),
    ([(1, 0), (1, 0), (2, 0), (2, 0), (1, 0)], [1, 2]),
    # A retransmission that comes after the hole was given up is of no use.
    ([(1, 0), (3, 0), (4, 1.1), (2, 1.2), (5, 1.2)], [1, ("lost", 1), 3, 4, 5]),
    ([(1, 0), (3, 0), (6, 0.9), (7, 1.05), (8, 2.0)], [1, ("lost", 1), 3, ("lost", 2), 6, 7, 8]),
]


@pytest.mark.parametrize(("arrivals", "expected"), ORDERS)
def test_packets_come_out_in_order_and_what_is_lost_is_said(
    arrivals: list[tuple[int, float]], expected: list[object]
) -> None:
    reorder = Reorder(1.0)
    reorder.begin(arrivals[0][0] & 0xFFFF)
    assert drain(reorder, arrivals, 1.15 if len(expected) < 7 else 2.0) == expected


def test_numbers_with_nothing_behind_them_are_no_loss() -> None:
    reorder = Reorder(1.0)
    reorder.begin(10)
    found = [item for n, item in ((10, "a"), (12, "c"), (11, None), (13, None), (14, "e"))
             for item in reorder.put(n, item, 0.0)]
    assert found == ["a", "c", "e"]


def test_what_is_held_is_bounded_and_the_end_gives_it_out() -> None:
    reorder = Reorder(1.0, most=10)
    reorder.begin(0)
    found = drain(reorder, [(0, 0.0)] + [(n, 0.0) for n in range(2, 14)], 0.0)
    assert found == [0, ("lost", 1), *range(2, 14)]
    assert list(reorder.put(20, 20, 0.0)) == []
    last = list(reorder.flush())
    assert isinstance(last[0], Lost) and last[0].count == 6 and last[1] == 20


@pytest.mark.parametrize("seed", range(20))
def test_any_shuffling_within_the_wait_is_put_right(seed: int) -> None:
    chance = random.Random(seed)
    numbers = list(range(65000, 65000 + 1500))
    late = {n: n + chance.randrange(0, 60) for n in numbers}
    arrivals = [(n, late[n] / 100) for n in sorted(numbers, key=lambda n: (late[n], n))]
    reorder = Reorder(1.0)
    reorder.begin(numbers[0])
    reorder_first = [(numbers[0], 0.0)] + [a for a in arrivals if a[0] != numbers[0]]
    assert drain(reorder, reorder_first, 1e9) == numbers


# -- places in time

def test_timestamps_wrap_and_streams_follow_one_another_without_going_back() -> None:
    segments = Segments(90000)
    places = []
    for n in range(10):
        places.append(segments.place(1, 0xFFFFF000 + 3600 * n & 0xFFFFFFFF, 5 + 0.04 * n))
    assert [round(pts) for pts, _ in places] == [40 * n for n in range(10)]
    assert [begins for _, begins in places] == [True] + [False] * 9
    # Another layer has timestamps of its own; it goes on where it arrived.
    pts, begins = segments.place(2, 12345, 5.40)
    assert begins and round(pts) == 400
    pts, begins = segments.place(2, 12345 + 3600, 5.44)
    assert not begins and round(pts) == 440


def test_a_clock_that_stood_still_during_a_pause_begins_a_segment_and_jitter_does_not() -> None:
    segments = Segments(48000)
    for n in range(50):
        # Late by up to 0.3 s, then in a bunch.
        segments.place(1, 960 * n, 0.02 * n + (0.3 if 20 <= n < 30 else 0.0))
    assert segments.current.pts_ms == 0
    pts, begins = segments.place(1, 960 * 50, 11.0)
    assert begins and pts == pytest.approx(980 + (11.0 - 0.98) * 1000)
    # The timestamps went on during this pause: one segment.
    pts, begins = segments.place(1, 960 * 50 + 48000 * 20, 31.0)
    assert not begins and pts == pytest.approx(11000 + 20000)
    # Back in time, or away from all reason: a new one, and never backwards.
    assert segments.place(1, 960 * 50, 31.02)[1]
    before = segments.current.pts_ms
    assert segments.place(1, 960 * 50 + 48000 * 3600, 31.04) == (pytest.approx(before + 20), True)


def test_descriptions_and_depacketisers_agree_on_what_is_taken() -> None:
    assert set(depacketise.JOIN) == {"vp8", "vp9", "h264", "av1", "opus"} <= set(codecs.DESCRIBE)
