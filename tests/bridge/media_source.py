"""Encoded media for tests: frames that PyAV encodes, cut into RTP payloads as browsers cut them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import av
import numpy as np

ENCODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9", "h264": "libx264", "av1": "libsvtav1"}
OPTIONS = {
    "vp8": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
    "vp9": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
    "h264": {"tune": "zerolatency", "preset": "ultrafast"},
    "av1": {"preset": "11"},
}


@contextmanager
def ordinary_priority() -> Iterator[None]:
    """SVT-AV1 gives the thread that opens it (this one, if it may) real-time priority and leaves it so.

    Every process that is started later would inherit it, and would keep all others from running.
    """
    policy, param = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, param)


class Encoder:
    """`picture(luma)` gives the encoded frame of one evenly grey picture; `is_key` asks for a keyframe."""

    def __init__(self, codec: str, width: int = 320, height: int = 180, fps: int = 25) -> None:
        av.logging.set_level(None)
        self.codec = codec
        context = av.CodecContext.create(ENCODERS[codec], "w")
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base, context.framerate = Fraction(1, fps), fps
        context.bit_rate = 400_000
        context.gop_size = 100_000
        # Threads of an encoder wait for each other by spinning: on a busy machine a small picture takes them a second.
        context.thread_count = 1
        context.options = OPTIONS[codec]
        self.context = context
        self.size = (width, height)
        self.count = 0

    def picture(self, luma: int, is_key: bool = False) -> bytes:
        width, height = self.size
        plane = np.full((height * 3 // 2, width), 128, np.uint8)
        plane[:height] = luma
        return self.encode(plane, is_key)

    def encode(self, plane: np.ndarray, is_key: bool = False) -> bytes:
        frame = av.VideoFrame.from_ndarray(plane, format="yuv420p")
        frame.pts = self.count
        self.count += 1
        if is_key:
            frame.pict_type = av.video.frame.PictureType.I
        with ordinary_priority():
            packets = self.context.encode(frame)
        return b"".join(bytes(packet) for packet in packets)

    def pictures(self, lumas: list[int]) -> list[bytes]:
        """For encoders that look ahead (AV1): all at once."""
        found = [part for luma in lumas if (part := self.picture(luma))]
        with ordinary_priority():
            return found + [bytes(packet) for packet in self.context.encode()]


class Sound:
    """Opus packets of 20 ms: `tone(hz)` gives the next one; 0 is silence."""

    def __init__(self) -> None:
        context = av.CodecContext.create("libopus", "w")
        context.sample_rate, context.layout, context.format = 48000, "stereo", "flt"
        context.bit_rate = 64_000
        self.context = context
        self.position = 0

    def tone(self, hz: float, loudness: float = 0.5) -> bytes:
        at = (self.position + np.arange(960)) / 48000
        wave = (loudness * np.sin(2 * np.pi * hz * at)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.repeat(wave, 2).reshape(1, -1), format="flt", layout="stereo")
        frame.sample_rate = 48000
        frame.pts = self.position
        frame.time_base = Fraction(1, 48000)
        self.position += 960
        return b"".join(bytes(packet) for packet in self.context.encode(frame))


def payloads(codec: str, frame: bytes, is_key: bool, picture: int = 0, most: int = 500) -> list[bytes]:
    """The RTP payloads of a frame."""
    return {"vp8": _vp8, "vp9": _vp9, "h264": _h264, "av1": _av1, "opus": _opus}[codec](frame, is_key, picture, most)


def _parts(data: bytes, most: int) -> Iterator[bytes]:
    for at in range(0, len(data), most):
        yield data[at:at + most]


def _opus(frame: bytes, is_key: bool, picture: int, most: int) -> list[bytes]:
    return [frame]


def _vp8(frame: bytes, is_key: bool, picture: int, most: int) -> list[bytes]:
    head = bytes((0xE0, 0x80 | picture >> 8 & 0x7F, picture & 255, picture & 255, 0x20))
    return [bytes((0x90 if not i else 0x80,)) + head + part for i, part in enumerate(_parts(frame, most))]


def _vp9(frame: bytes, is_key: bool, picture: int, most: int) -> list[bytes]:
    return vp9_layers([frame], is_key, picture, most)


def vp9_layers(layers: list[bytes], is_key: bool, picture: int, most: int = 500) -> list[bytes]:
    """A picture of several spatial layers, not in flexible mode, as RFC 9628 has it."""
    found = []
    for spatial, frame in enumerate(layers):
        parts = list(_parts(frame, most))
        for i, part in enumerate(parts):
            first = 0x80 | (0 if is_key else 0x40) | 0x20 | (8 if not i else 0) | (4 if i == len(parts) - 1 else 0)
            layer = spatial << 1 | bool(spatial)
            head = bytes((first, 0x80 | picture >> 8 & 0x7F, picture & 255, layer, picture & 255))
            found.append(head + part)
    return found


def _h264(frame: bytes, is_key: bool, picture: int, most: int) -> list[bytes]:
    units = [unit for unit in frame.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit]
    found, small = [], []
    for unit in units:
        if len(unit) < 100 and unit[0] & 31 in (6, 7, 8, 9):
            small.append(unit)
            continue
        if small:
            found.append(b"\x78" + b"".join(len(s).to_bytes(2, "big") + s for s in small))
            small = []
        if len(unit) <= most:
            found.append(unit)
            continue
        parts = list(_parts(unit[1:], most))
        for i, part in enumerate(parts):
            flags = (0x80 if not i else 0) | (0x40 if i == len(parts) - 1 else 0)
            found.append(bytes((unit[0] & 0xE0 | 28, flags | unit[0] & 31)) + part)
    return found


def obus(unit: bytes) -> list[bytes]:
    """A temporal unit's OBUs, each without its size field, without temporal delimiters."""
    found, at = [], 0
    while at < len(unit):
        head = unit[at]
        start = at + (2 if head & 4 else 1)
        size = shift = 0
        while True:
            byte = unit[start]
            start += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        if head >> 3 & 15 != 2:
            extension = unit[at + 1:at + 2] if head & 4 else b""
            found.append(bytes((head & ~2,)) + extension + unit[start:start + size])
        at = start + size
    return found


def _av1(frame: bytes, is_key: bool, picture: int, most: int) -> list[bytes]:
    """One OBU a packet, cut where it is too long (W = 1)."""
    found: list[bytes] = []
    for unit in obus(frame):
        parts = list(_parts(unit, most))
        for i, part in enumerate(parts):
            head = 0x10 | (0x80 if i else 0) | (0x40 if i < len(parts) - 1 else 0)
            head |= 8 if is_key and not found else 0
            found.append(bytes((head,)) + part)
    return found
