"""One track's picture at any moment of the recording, read as it is needed: one decoder, two frames in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import av.error

from chatd.bridge.recording.manifest import Track

# A camera that sends nothing for so long is shown as its owner's name; a still screen stays.
FREEZE_S = 5.0
# A stream that is joined begins with the next whole picture, which its sender has to be asked for; its sound comes at
# once. For so long at most the first picture is seen before its time rather than nothing.
LEAD_S = 3.0


class PictureTrack:
    """`at(t)` for rising times: the frame that is to be seen, None if none is (not published, muted, ended, cut off).

    `serial` changes with every new frame; `is_early`: what is seen is before its time. A file that ends early or cannot
    be read has no more frames.
    """

    def __init__(self, directory: Path, track: Track) -> None:
        self.track = track
        self.serial = 0
        self.is_early = False
        self._clock = track.clock()
        self._end_s = track.unpublished_s if track.unpublished_s is not None else float("inf")
        self._now: av.VideoFrame | None = None
        self._now_s = 0.0
        self._frames = self._read(directory / track.file)
        self._next = next(self._frames, None)

    def at(self, time_s: float) -> av.VideoFrame | None:
        """See the class."""
        while self._next is not None and self._next[0] <= time_s:
            self._now_s, self._now = self._next
            self.serial += 1
            self._next = next(self._frames, None)
        shown, shown_s = self._now, self._now_s
        self.is_early = shown is None
        if self.is_early and self._next is not None and self.track.published_s <= time_s >= self._next[0] - LEAD_S:
            shown_s, shown = self._next
        if shown is None or time_s > self._end_s + 0.1:
            return None
        if any(start <= time_s < (end if end is not None else float("inf")) for start, end in self.track.muted):
            return None
        if self.track.source != "screen_share" and time_s - shown_s > FREEZE_S:
            return None
        return shown

    def turned(self, time_s: float) -> int:
        """By how many degrees clockwise the picture is to be turned."""
        if self._now is None and self._next is not None:
            time_s = max(time_s, self._next[0])
        return next((degrees for start, degrees in reversed(self.track.rotations) if start <= time_s), 0)

    def _read(self, path: Path) -> Iterator[tuple[float, av.VideoFrame]]:
        try:
            container = av.open(str(path))
        except (av.error.FFmpegError, OSError):
            return
        with container:
            if not container.streams.video:
                return
            stream = container.streams.video[0]
            # One thread a track: the encoder has the rest, and memory stays small.
            stream.codec_context.thread_count = 1
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets)
                except (StopIteration, av.error.FFmpegError, OSError):
                    return
                try:
                    frames = packet.decode()
                except (av.error.FFmpegError, ValueError):
                    continue
                for frame in frames:
                    pts = frame.pts if frame.pts is not None else packet.pts
                    if pts is not None and packet.time_base is not None:
                        yield self._clock.at(float(pts * packet.time_base) * 1000), frame
