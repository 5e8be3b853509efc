"""One track's file: WebM, or Matroska for H.264, which WebM does not allow. PyAV's muxer; no video codec is opened.

A cluster of at most a second is written with one system call when it ends, so what is on disk is always playable: a
killed process loses the last second and the index at the end, which players and the composer do without.
"""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container

MILLISECOND = Fraction(1, 1000)
CLUSTER_MS = 1000
SUFFIX = {"vp8": ".webm", "vp9": ".webm", "av1": ".webm", "opus": ".webm", "h264": ".mkv"}
# add_mux_stream wants a name that libavcodec knows; an encoder is not opened.
_NAMES = {"vp8": "vp8", "vp9": "vp9", "av1": "av1", "h264": "h264"}

# What making, writing and closing may raise; OSError with its number where the system gave one.
ERRORS = (OSError, av.FFmpegError, ValueError)


class _File:
    """What PyAV writes through; counts."""

    def __init__(self, path: Path) -> None:
        # A name that exists is never overwritten, a link never followed.
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        self.octets = 0

    def write(self, data: bytes) -> int:
        """All of it, or OSError."""
        view = memoryview(data)
        while view:
            written = os.write(self._descriptor, view)
            self.octets += written
            view = view[written:]
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """For the muxer, which fills in length and index at the end."""
        return os.lseek(self._descriptor, offset, whence)

    def tell(self) -> int:
        """Where the next write goes."""
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)

    def close(self) -> None:
        """Close the descriptor."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def sync(self) -> None:
        """Bring the file to the disk."""
        os.fsync(self._descriptor)


class MediaFile:
    """`path` must not exist. One of `ERRORS` if it cannot be made or written to."""

    def __init__(self, path: Path, codec: str, width: int, height: int) -> None:
        self.path = path
        self._file = _File(path)
        self._container = av.open(
            self._file, "w", format="matroska" if path.suffix == ".mkv" else "webm",
            options={"cluster_time_limit": str(CLUSTER_MS), "flush_packets": "1"})
        if codec == "opus":
            # The muxer wants OpusHead; only an encoder makes it. libopus's is small and never gets a frame.
            stream: Any = self._container.add_stream("libopus", rate=48000)
            stream.layout = "stereo"
        else:
            stream = self._container.add_mux_stream(_NAMES[codec], width=width, height=height)
        stream.time_base = MILLISECOND
        self._stream = stream
        self.last_pts = -1

    @property
    def octets(self) -> int:
        """Bytes written so far."""
        return self._file.octets

    def write(self, data: bytes, pts_ms: float, is_key: bool) -> int:
        """One frame; its time in the file is given back: later by a millisecond than the last, if it was not so."""
        pts = max(self.last_pts + 1, round(pts_ms))
        packet = av.Packet(data)
        packet.stream = self._stream
        packet.time_base = MILLISECOND
        packet.pts = packet.dts = pts
        packet.is_keyframe = is_key
        self._container.mux_one(packet)
        self.last_pts = pts
        return pts

    def close(self) -> None:
        """Write length and index, bring it to the disk. If that fails it is closed all the same."""
        try:
            self._container.close()
            self._file.sync()
        finally:
            self._file.close()

    def abandon(self) -> None:
        """Close after an error, as well as it goes."""
        try:
            self._container.close()
        except ERRORS:
            pass
        self._file.close()


def last_pts_ms(path: Path) -> float | None:
    """Where the last whole frame of a file stands, also of one whose writer was killed; None without any."""
    last = None
    try:
        with av.open(str(path)) as container:
            for packet in container.demux(container.streams[0]):
                if packet.pts is not None and packet.time_base is not None and packet.size:
                    last = float(packet.pts * packet.time_base) * 1000
    except (*ERRORS, IndexError):
        pass
    return last
