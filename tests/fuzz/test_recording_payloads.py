"""Whatever payloads come, a depacketiser gives a frame or refuses them, and no number comes out of the order twice.

CHATD_FUZZ_EXAMPLES sets how many inputs each target gets (300).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bridge"))

from media_source import payloads

from chatd.bridge import codecs, rtp
from chatd.bridge.recording import depacketise, manifest, sizes
from chatd.bridge.recording.frames import Frames
from chatd.bridge.recording.reorder import Lost, Reorder
from chatd.bridge.recording.segments import Segments

EXAMPLES = int(os.environ.get("CHATD_FUZZ_EXAMPLES", "300"))
many = settings(max_examples=EXAMPLES, deadline=None)

H264 = b"\0\0\0\1\x67" + b"s" * 9 + b"\0\0\0\1\x68pp" + b"\0\0\0\1\x65" + b"i" * 300
AV1 = b"\x12\0\x0a\x05seqhd\x32\x96\x01" + b"f" * 150
SEEDS = {
    "vp8": payloads("vp8", b"\x10\x02\x00\x9d\x01\x2a\x40\x01\xb4\x00" + b"v" * 300, True, 5, 120),
    "vp9": payloads("vp9", b"\x82\x49\x83\x42" + b"v" * 300, True, 5, 120),
    "h264": payloads("h264", H264, True, 0, 120),
    "av1": payloads("av1", AV1, True, 0, 60),
    "opus": [b"\xfcabc"],
}


@st.composite
def mutated(draw: st.DrawFn, codec: str) -> list[bytes]:
    """A valid frame's payloads, some changed, cut, repeated, left out or swapped."""
    parts = [bytearray(part) for part in SEEDS[codec]]
    for _ in range(draw(st.integers(0, 4))):
        part = parts[draw(st.integers(0, len(parts) - 1))]
        # Descriptors are at the front: most changes belong there.
        at = draw(st.one_of(st.integers(0, min(8, len(part) - 1)), st.integers(0, len(part) - 1))) if part else 0
        if part:
            part[at] = draw(st.integers(0, 255))
        if draw(st.booleans()):
            del part[draw(st.integers(0, len(part))):]
    found = [bytes(part) for part in parts]
    if draw(st.booleans()):
        found = draw(st.permutations(found))[:draw(st.integers(0, len(found)))]
    return found


@pytest.mark.parametrize("codec", sorted(depacketise.JOIN))
def test_any_payloads(codec: str) -> None:
    @many
    @given(st.one_of(st.lists(st.binary(max_size=60), max_size=6), mutated(codec)))
    def target(parts: list[bytes]) -> None:
        try:
            frame = depacketise.join(codec, parts)
        except depacketise.Malformed:
            return
        # Start codes, sizes and indices are added, and no more than that.
        assert isinstance(frame, bytes) and len(frame) <= 3 * sum(map(len, parts)) + 64

    target()


@pytest.mark.parametrize("codec", sorted(depacketise.JOIN))
def test_any_packets_of_a_stream(codec: str) -> None:
    @many
    @given(st.lists(st.tuples(mutated(codec), st.integers(0, 3), st.booleans(), st.booleans()), max_size=6))
    def target(frames: list[tuple[list[bytes], int, bool, bool]]) -> None:
        taken = Frames(codec)
        timestamp = 0
        for parts, step, marker, loses in frames:
            timestamp += step
            for part in parts:
                packet = rtp.Packet(96, marker and part is parts[-1], 0, timestamp, 1, {}, part)
                packet.described = found = codecs.DESCRIBE[codec](part, packet.marker)
                if part and found.is_valid:
                    # A layer hands on nothing else.
                    for frame in taken.packet(packet):
                        assert frame.data
            if loses:
                taken.lost(1)

    target()


@many
@given(st.sampled_from(["vp8", "vp9", "h264", "av1"]), st.binary(max_size=200))
def test_any_keyframe_has_a_size_or_none(codec: str, data: bytes) -> None:
    width, height = sizes.of_keyframe(codec, data)
    assert width >= 0 and height >= 0


@many
@given(st.lists(st.tuples(st.integers(0, 65535), st.booleans(), st.floats(0, 0.5)), max_size=80))
def test_any_order(arrivals: list[tuple[int, bool, float]]) -> None:
    reorder = Reorder(1.0, most=20)
    reorder.begin(arrivals[0][0] if arrivals else 0)
    now, found = 0.0, []
    for i, (number, empty, step) in enumerate(arrivals):
        now += step
        found += list(reorder.put(number, None if empty else (i, number), now))
        found += list(reorder.due(now))
    found += list(reorder.flush())
    items = [item for item in found if not isinstance(item, Lost)]
    assert len(items) == len({item[0] for item in items})
    assert all(item.count > 0 for item in found if isinstance(item, Lost))


@many
@given(st.lists(st.tuples(st.integers(1, 2), st.integers(0, 0xFFFFFFFF), st.floats(0, 20)), max_size=40))
def test_any_timestamps_stay_near_their_arrival(frames: list[tuple[int, int, float]]) -> None:
    segments = Segments(90000)
    at = last = 0.0
    for ssrc, timestamp, step in frames:
        at += step
        pts, begins = segments.place(ssrc, timestamp, at)
        assert pts >= last or not begins
        last = max(last, pts)
        assert segments.current is not None
        assert abs((pts - segments.current.pts_ms) / 1000 - (at - segments.current.at)) <= 10.001


values = st.one_of(st.none(), st.booleans(), st.integers(-5, 1 << 40), st.floats(allow_nan=False), st.text(max_size=8),
                   st.just("TR_a"), st.just("PA_a"), st.just("../x"), st.just("01-video.webm"))
names = st.sampled_from(["sid", "participant", "kind", "source", "codec", "name", "file", "width", "height", "pts",
                         "ssrc", "rtp", "ntp", "muted", "degrees", "from", "to", "reason", "packets", "frames",
                         "octets", "layout", "error", "identity", "late", "at"])
events = st.sampled_from(["participant", "left", "track", "refused", "segment", "report", "pace", "muted", "rotation",
                          "gap", "written", "untrack", "layout", "stopped", "else"])


@many
@given(st.lists(st.tuples(events, st.dictionaries(names, values, max_size=8)), max_size=12))
def test_any_journal_gives_a_manifest(lines: list[tuple[str, dict[str, object]]]) -> None:
    track = {"event": "track", "at": 1, "sid": "TR_a", "participant": "PA_a", "kind": "video", "source": "camera",
             "codec": "vp8", "name": "", "file": "01-video.webm", "width": 1, "height": 1}
    found = manifest.fold([{"event": "started", "at": 0, "id": "EG_a"}, track,
                           *({"at": 2.0, "sid": "TR_a", **fields, "event": event} for event, fields in lines)])
    assert found.tracks[0].sid == "TR_a" and all("/" not in one.file for one in found.tracks)
    found.to_json()
