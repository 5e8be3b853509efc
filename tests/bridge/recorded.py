"""Recordings for tests without a network, and what to look for in composed files."""

from __future__ import annotations

import time
from pathlib import Path

import av
import numpy as np

from chatd.bridge.recording import journal, manifest
from chatd.bridge.recording.writer import SUFFIX, MediaFile
from tests.bridge.media_source import Encoder, Sound

ZERO_RTP = 1000.0


class Made:
    """A recording's directory, written as a recorder writes it; times are seconds of the recording."""

    def __init__(self, directory: Path, duration_s: float) -> None:
        directory.mkdir()
        self.directory, self.duration_s = directory, duration_s
        self.journal = journal.Journal(directory)
        self.journal.add("started", 0.0, id="EG_made", room="the room", room_sid="RM_made", time=time.time())
        self.files = 0

    def person(self, sid: str, name: str, at: float = 0.0) -> None:
        self.journal.add("participant", at, sid=sid, identity=sid + "@example.org", name=name)

    def _track(self, sid: str, participant: str, codec: str, source: str, at: float, ahead: float, late: float,
               size: tuple[int, int] = (0, 0)) -> MediaFile:
        self.files += 1
        name = "%02d%s" % (self.files, SUFFIX[codec])
        kind = "audio" if codec == "opus" else "video"
        self.journal.add("track", at, sid=sid, participant=participant, kind=kind, source=source, codec=codec, name="",
                         file=name, width=size[0], height=size[1])
        # What was captured at `at` came `late`; its own time axis begins at ZERO_RTP, its owner's clock is `ahead`.
        self.journal.add("segment", at + late, sid=sid, pts=0.0, ssrc=self.files, rtp=ZERO_RTP)
        for n in range(10):
            seen = at + n / 2
            self.journal.add("report", seen, sid=sid, ssrc=self.files, rtp=ZERO_RTP + seen - at,
                             ntp=seen + ahead)
        return MediaFile(self.directory / name, codec, *size)

    def video(self, sid: str, participant: str, *, at: float = 0.0, until: float | None = None, codec: str = "vp8",
              source: str = "camera", size: tuple[int, int] = (320, 180), fps: int = 25, ahead: float = 0.0,
              late: float = 0.3, flashes: tuple[float, ...] = (), luma: int = 60, tail: bytes = b"") -> None:
        """A grey picture, white for 0.2 s at each of `flashes`."""
        until = self.duration_s if until is None else until
        file = self._track(sid, participant, codec, source, at, ahead, late, size)
        encoder = Encoder(codec, *size, fps=fps)
        count = int((until - at) * fps)
        for n in range(count):
            now = at + n / fps
            is_white = any(start <= now + 1e-6 < start + 0.2 for start in flashes)
            file.write(encoder.picture(235 if is_white else luma, not n), n * 1000 / fps, not n)
        file.close()
        self.journal.add("written", self.duration_s, sid=sid, pts=(count - 1) * 1000 / fps, frames=count, octets=1)
        if until < self.duration_s:
            self.journal.add("untrack", until, sid=sid)

    def sound(self, sid: str, participant: str, *, at: float = 0.0, until: float | None = None, ahead: float = 0.0,
              late: float = 0.05, beeps: tuple[float, ...] = (), hz: float = 1000, loudness: float = 0.5,
              source: str = "microphone", skips: tuple[float, float] | None = None) -> None:
        """Silence, with a tone of 0.2 s at each of `beeps`; nothing at all between `skips`."""
        until = self.duration_s if until is None else until
        file = self._track(sid, participant, "opus", source, at, ahead, late)
        sound = Sound()
        count = int((until - at) * 50)
        for n in range(count):
            now = at + n / 50
            is_on = any(start <= now + 1e-6 < start + 0.2 for start in beeps)
            packet = sound.tone(hz, loudness if is_on else 0.0)
            if skips is None or not skips[0] <= now < skips[1]:
                file.write(packet, n * 20, True)
        file.close()
        self.journal.add("written", self.duration_s, sid=sid, pts=(count - 1) * 20, frames=count, octets=1)

    def end(self) -> manifest.Manifest:
        self.journal.add("stopped", self.duration_s, reason="stopped", error="")
        self.journal.close()
        return manifest.recover(self.directory)


class Seen:
    """A composed file, decoded. `times`: of the video frames; `frames`: their grey values; `sound`: mono samples."""

    def __init__(self, path: Path, shrink: int = 4) -> None:
        self.times: list[float] = []
        self.frames: list[np.ndarray] = []
        self.packets: dict[str, list[float]] = {"video": [], "audio": []}
        pieces: list[tuple[float, np.ndarray]] = []
        with av.open(str(path)) as container:
            self.duration_s = container.duration / 1_000_000
            self.codecs = [stream.codec_context.name for stream in container.streams]
            self.size = None
            for packet in container.demux():
                if packet.pts is not None and packet.size:
                    self.packets[packet.stream.type].append(float(packet.pts * packet.time_base))
                for frame in packet.decode():
                    if isinstance(frame, av.VideoFrame):
                        self.size = (frame.width, frame.height)
                        self.times.append(float(frame.pts * frame.time_base))
                        self.frames.append(frame.to_ndarray(format="gray")[::shrink, ::shrink])
                    else:
                        data = frame.to_ndarray()
                        if frame.format.is_packed:
                            data = data.reshape(-1, 2).T
                        pieces.append((float(frame.pts * frame.time_base), data.mean(axis=0)))
        end = max((at + len(data) / 48000 for at, data in pieces), default=0.0)
        self.sound = np.zeros(int(end * 48000) + 48000, np.float32)
        for at, data in pieces:
            start = round(at * 48000)
            if start >= 0:
                self.sound[start:start + len(data)] = data

    def flashes(self, x: float = 0.5, y: float = 0.5, above: int = 180) -> list[float]:
        """When the picture at this place (parts of width and height) becomes white."""
        found, was = [], False
        for at, frame in zip(self.times, self.frames, strict=True):
            is_white = frame[int(y * frame.shape[0]), int(x * frame.shape[1])] > above
            if is_white and not was:
                found.append(at)
            was = is_white
        return found

    def beeps(self, hz: float = 1000, window: int = 240) -> list[float]:
        """When a tone of this pitch begins."""
        count = len(self.sound) // window
        blocks = self.sound[:count * window].reshape(count, window)
        at = np.arange(window) / 48000
        power = np.abs(blocks @ np.exp(-2j * np.pi * hz * at)) / window * 2
        loud = power > 0.05
        # Where another tone breaks off there is a little of everything, for one window.
        loud[:-2] &= loud[1:-1] & loud[2:]
        found = []
        last = -100
        for n in np.flatnonzero(loud):
            if n - last > 20:
                found.append(n * window / 48000)
            last = n
        return found

    def largest_hole_s(self, kind: str) -> float:
        """Between two packets."""
        times = self.packets[kind]
        return max(b - a for a, b in zip(times, times[1:], strict=False))
