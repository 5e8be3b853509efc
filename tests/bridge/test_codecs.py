"""Payload descriptors: tables of bytes and what they say; a real encoder's packets; segments rewriting VP8."""

from __future__ import annotations

import pytest

from chatd.bridge import codecs
from chatd.bridge.incoming import rewrite
from chatd.bridge.packetmap import Segment


@pytest.mark.parametrize("payload, key, begins, picture, wide, tl0, temporal", [
    (b"\x10\x00", True, True, None, False, None, 0),
    (b"\x10\x01", False, True, None, False, None, 0),
    (b"\x00\x00", False, False, None, False, None, 0),
    (b"\x11\x00", False, False, None, False, None, 0),
    (b"\x90\x80\x05\x00", True, True, 5, False, None, 0),
    (b"\x90\x80\x81\x02\x00", True, True, 258, True, None, 0),
    (b"\x90\xe0\x81\x02\x09\x80\x01", False, True, 258, True, 9, 2),
    (b"\x90\x40\x09\x00", True, True, None, False, 9, 0),
    (b"\x90\x10\x1f\x00", True, True, None, False, None, 0),
])
def test_vp8(
    payload: bytes, key: bool, begins: bool, picture: int | None, wide: bool, tl0: int | None, temporal: int
) -> None:
    found = codecs.vp8(payload, False)
    assert (
        found.is_valid,
        found.is_key,
        found.begins,
        found.picture_id,
        found.picture_wide,
        found.tl0,
        found.temporal,
    ) == (True, key, begins, picture, wide, tl0, temporal)
    for cut in range(len(payload)):
        if begins:
            assert not codecs.vp8(payload[:cut], False).is_valid


def test_a_vp8_keyframe_tells_its_size() -> None:
    found = codecs.vp8(b"\x10\x10\x02\x00\x9d\x01\x2a\x00\x45\xd0\x42rest", False)
    assert (found.width, found.height) == (0x500, 0x2D0)


@pytest.mark.parametrize("payload, key, begins, ends, spatial, temporal, up", [
    (b"\x08data", True, True, False, 0, 0, True),
    (b"\x48data", False, True, False, 0, 0, True),
    (b"\x8c\x81\x02data", True, True, True, 0, 0, True),
    (b"\xac\x05\x23\x01data", False, True, True, 1, 1, False),
    (b"\xac\x05\x30\x01data", True, True, True, 0, 1, True),
    (b"\xfc\x05\x30\x03\x02data", False, True, True, 0, 1, True),
])
def test_vp9(payload: bytes, key: bool, begins: bool, ends: bool, spatial: int, temporal: int, up: bool) -> None:
    found = codecs.vp9(payload, False)
    assert (
        found.is_valid,
        found.is_key,
        found.begins,
        found.ends,
        found.spatial,
        found.temporal,
        found.switches_up,
    ) == (True, key, begins, ends, spatial, temporal, up)


def test_a_vp9_scalability_structure_tells_the_largest_size() -> None:
    found = codecs.vp9(b"\x0a\x30\x01\x40\x00\xb4\x02\x80\x01\x68data", False)
    assert (found.width, found.height) == (640, 360)
    assert not codecs.vp9(b"\x0a\x30\x01\x40", False).is_valid


@pytest.mark.parametrize("payload, key, begins", [
    (b"\x67sps", True, True), (b"\x65idr", False, True), (b"\x41slice", False, True),
    (b"\x78\x00\x02\x67a\x00\x02\x68b", True, True), (b"\x78\x00\x02\x41a", False, True),
    (b"\x7c\x85idr", False, True), (b"\x7c\x05more", False, False), (b"\x7c\x87sps", True, True),
])
def test_h264(payload: bytes, key: bool, begins: bool) -> None:
    found = codecs.h264(payload, True)
    assert (found.is_valid, found.is_key, found.begins, found.ends) == (True, key, begins, True)


@pytest.mark.parametrize("payload", [b"", b"\x78\x00\x09abc", b"\x78\x00\x00abc", b"\x7c"])
def test_broken_h264(payload: bytes) -> None:
    assert not codecs.h264(payload, False).is_valid


@pytest.mark.parametrize("payload, valid, key, begins", [
    (b"\x18\x0aobu", True, True, True), (b"\x10\x32obu", True, False, True), (b"\x90\x32obu", True, False, False),
    (b"\x08\x03abc", True, True, True), (b"\x08\x04abc", False, False, False), (b"\x98\x0a", False, False, False),
    (b"\x00" + b"\x80" * 9, False, False, False), (b"\x00", False, False, False),
])
def test_av1(payload: bytes, valid: bool, key: bool, begins: bool) -> None:
    found = codecs.av1(payload, False)
    assert (found.is_valid, found.is_key and found.is_valid, found.begins and found.is_valid) == (valid, key, begins)


@pytest.mark.parametrize("codec, coder", [("vp8", "libvpx"), ("h264", "libx264")])
def test_a_real_encoders_keyframes_are_found(codec: str, coder: str) -> None:
    import fractions

    import av
    from aiortc.codecs.h264 import H264Encoder
    from aiortc.codecs.vpx import Vp8Encoder

    encoder = Vp8Encoder() if codec == "vp8" else H264Encoder()
    keys, sizes = [], set()
    for i in range(6):
        frame = av.VideoFrame(320, 240, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([i * 20]) * plane.buffer_size)
        frame.pts, frame.time_base = i * 3000, fractions.Fraction(1, 90000)
        payloads, _ = encoder.encode(frame, force_keyframe=i == 4)
        found = [codecs.DESCRIBE[codec](payload, n == len(payloads) - 1) for n, payload in enumerate(payloads)]
        assert all(f.is_valid for f in found) and found[0].begins and found[-1].ends
        if any(f.is_key for f in found):
            keys.append(i)
            sizes.add((found[0].width, found[0].height))
    assert keys == [0, 4]
    if codec == "vp8":
        assert sizes == {(320, 240)}


@pytest.mark.parametrize("payload, segment, expected", [
    (b"\x90\xe0\xff\xff\xff\x00\x01", Segment(None, 0, 0, 0, 1, 1), b"\x90\xe0\x80\x00\x00\x00\x01"),
    (b"\x90\xe0\x80\x05\x09\x00\x01", Segment(None, 0, 0, 0, 0x7FFF, 0xFF), b"\x90\xe0\x80\x04\x08\x00\x01"),
    (b"\x90\x80\x7f\x01", Segment(None, 0, 0, 0, 2, 0), b"\x90\x80\x01\x01"),
    (b"\x10\x01", Segment(None, 0, 0, 0, 2, 3), b"\x10\x01"),
])
def test_vp8_numbers_are_moved(payload: bytes, segment: Segment, expected: bytes) -> None:
    assert rewrite(payload, codecs.vp8(payload, False), segment) == expected
