"""One file of one or two tracks without composing: packets are copied, and put where they were in time.

For a track with its sound as it came; no codec is opened. WebM or Matroska, or MP4 where that allows the codecs.
"""

from __future__ import annotations

import heapq
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error

from chatd.bridge.recording.manifest import Manifest, Track
from chatd.bridge.recording.output import Cancelled, ComposeError, Result, place

CONTAINERS = {
    ".webm": ("webm", {"vp8", "vp9", "av1", "opus"}),
    ".mkv": ("matroska", {"vp8", "vp9", "av1", "h264", "opus"}),
    ".mp4": ("mp4", {"vp9", "av1", "h264", "opus"}),
    ".ogg": ("ogg", {"opus"}),
}
MICROSECOND = Fraction(1, 1_000_000)


def may_copy(codecs: Sequence[str], suffix: str) -> bool:
    """Whether these codecs may be in a file with this ending."""
    return suffix in CONTAINERS and set(codecs) <= CONTAINERS[suffix][1]


def remux(found: Manifest, directory: Path, path: Path, progress: Callable[[float], None] = lambda part: None,
          is_cancelled: Callable[[], bool] = lambda: False) -> Result:
    """Put all tracks of a recording into one file. ComposeError, Cancelled; then nothing is left behind."""
    tracks = [track for track in found.tracks if track.has_frames]
    if not tracks:
        raise ComposeError("nothing was recorded" if not found.error else found.error)
    if not may_copy([track.codec for track in tracks], path.suffix):
        raise ComposeError("files ending with %s cannot hold these codecs" % (path.suffix or "nothing"))
    draft = path.with_name(".%s.%s.part" % (path.name, secrets.token_hex(4)))
    start_s = max(0.0, min(track.start_s for track in tracks))
    length_s = max(0.1, max(track.end_s for track in tracks) - start_s)
    try:
        _copy(tracks, directory, draft, CONTAINERS[path.suffix][0], start_s, length_s, progress, is_cancelled)
        with open(draft, "rb") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        return Result(place(draft, path), size, start_s, length_s)
    except (OSError, av.error.FFmpegError) as error:
        raise ComposeError(getattr(error, "strerror", None) or str(error)) from error
    finally:
        draft.unlink(missing_ok=True)


def _copy(tracks: Sequence[Track], directory: Path, draft: Path, format_: str, start_s: float, length_s: float,
          progress: Callable[[float], None], is_cancelled: Callable[[], bool]) -> None:
    inputs: list[Any] = []
    try:
        with av.open(str(draft), "w", format=format_) as container:
            sources = []
            for track in tracks:
                opened = av.open(str(directory / track.file))
                inputs.append(opened)
                stream = opened.streams[0]
                out = container.add_stream_from_template(stream, opaque=True)
                out.time_base = MICROSECOND
                sources.append(_packets(opened, track, out, start_s))
            last: dict[int, int] = {}
            for at_s, _, packet in heapq.merge(*sources, key=lambda entry: entry[0]):
                if is_cancelled():
                    raise Cancelled
                pts = max(last.get(packet.stream_index, -1) + 1000, round(at_s * 1_000_000))
                last[packet.stream_index] = pts
                packet.time_base = MICROSECOND
                packet.pts = packet.dts = pts
                container.mux_one(packet)
                progress(min(1.0, at_s / length_s))
    finally:
        for opened in inputs:
            opened.close()


def _packets(opened: Any, track: Track, out: Any, start_s: float) -> Iterator[tuple[float, int, Any]]:
    clock = track.clock()
    try:
        for packet in opened.demux(opened.streams[0]):
            if packet.pts is None or not packet.size:
                continue
            at_s = clock.at(float(packet.pts * packet.time_base) * 1000) - start_s
            packet.stream = out
            yield max(0.0, at_s), out.index, packet
    except av.error.FFmpegError:
        # The file of a process that was killed may end in the middle of a packet.
        return
