"""One playable file of a recording: everybody in a grid or beside the shared screen, their sound mixed.

    result = compose(load(path), path, Output(Path("meeting.webm")), progress=print)

Every track is decoded as the time comes to it, so memory does not grow with the meeting. The file is made under
another name beside its own and gets its name at the end; a run that was cut off can simply be begun again.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import attrs
import av
import av.error
import numpy as np

from chatd.bridge.recording import layout as layouts
from chatd.bridge.recording.canvas import Canvas
from chatd.bridge.recording.manifest import Manifest, Track
from chatd.bridge.recording.mixer import BLOCK, RATE, Limiter, Sound, loudness
from chatd.bridge.recording.output import FORMATS, Cancelled, ComposeError, Output, Result, place, supported
from chatd.bridge.recording.pictures import PictureTrack
from chatd.bridge.recording.sounds import SoundTrack

# Who is louder than that speaks (-42 dB); the border stays for a while.
SPEAKS = 0.008
SPEAKS_S = 0.6
# Another speaker takes the large place after having spoken that long.
CHANGE_S = 1.5
# Sound is mixed so far ahead of the picture: who speaks is known when it is drawn.
AHEAD_S = 0.2
KEYFRAME_S = 4
AFTER_S = 0.5


def compose(found: Manifest, directory: Path, output: Output, progress: Callable[[float], None] = lambda part: None,
            is_cancelled: Callable[[], bool] = lambda: False) -> Result:
    """Make the file; `progress(0…1)` is called often. ComposeError, Cancelled; then nothing is left behind.

    `directory`: where the tracks are.
    """
    draft = output.path.with_name(".%s.%s.part" % (output.path.name, secrets.token_hex(4)))
    try:
        start_s, duration_s = _Composition(found, directory, output, progress, is_cancelled).run(draft)
        with open(draft, "rb") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        return Result(place(draft, output.path), size, start_s, duration_s)
    except (OSError, av.error.FFmpegError) as error:
        raise ComposeError(getattr(error, "strerror", None) or str(error)) from error
    finally:
        draft.unlink(missing_ok=True)


@attrs.define
class _Person:
    """One participant's tile."""

    name: str
    joined_s: float
    left_s: float
    cameras: list[PictureTrack] = attrs.field(factory=list)
    microphones: list[Track] = attrs.field(factory=list)
    loudness: float = 0.0
    spoke_s: float = -100.0
    speaks_since_s: float = 0.0

    def is_there(self, now: float) -> bool:
        """Whether somebody with a camera or a microphone is in the meeting."""
        return self.joined_s <= now < self.left_s and any(
            track.published_s <= now and (track.unpublished_s is None or now < track.unpublished_s)
            for track in [*self.microphones, *(camera.track for camera in self.cameras)])


class _Composition:
    """One run."""

    def __init__(self, found: Manifest, directory: Path, output: Output, progress: Callable[[float], None],
                 is_cancelled: Callable[[], bool]) -> None:
        self._found, self._output = found, output
        self._progress, self._is_cancelled = progress, is_cancelled
        tracks = [track for track in found.tracks if track.has_frames]
        if not tracks:
            raise ComposeError("nothing was recorded" if not found.error else found.error)
        self._start_s = max(0.0, min(track.start_s for track in tracks))
        end_s = max(max(track.end_s for track in tracks) + AFTER_S, self._start_s + AFTER_S)
        # A recording has no longer tracks than itself, whatever its senders' clocks said.
        self._end_s = max(min(end_s, found.duration_s), self._start_s + AFTER_S)
        self._people: dict[str, _Person] = {}
        self._screens: dict[str, PictureTrack] = {}
        self._sounds: list[tuple[str, SoundTrack]] = []
        for one in found.participants:
            left = one.left_s if one.left_s is not None else float("inf")
            self._people[one.sid] = _Person(one.name or one.identity, one.joined_s, left)
        for track in tracks:
            self._add(directory, track)
        self._limiter = Limiter()
        self._speaker: str | None = None
        self._canvas = Canvas(output.width & ~1, output.height & ~1)

    def _add(self, directory: Path, track: Track) -> None:
        person = self._people.setdefault(track.participant, _Person("", track.published_s, float("inf")))
        if track.kind == "audio":
            if track.source != "screen_share_audio":
                person.microphones.append(track)
            if self._output.with_audio:
                key = track.participant if track.source != "screen_share_audio" else ""
                self._sounds.append((key, SoundTrack(directory / track.file, track.clock())))
        elif self._output.with_video:
            picture = PictureTrack(directory, track)
            if track.source == "screen_share":
                self._screens[track.sid] = picture
            else:
                person.cameras.append(picture)

    # -- the run

    def run(self, draft: Path) -> tuple[float, float]:
        """Write the draft; gives where in the recording it begins, and its length."""
        output = self._output
        suffix = output.path.suffix
        if not supported(suffix):
            raise ComposeError("files ending with %s cannot be made here" % (suffix or "nothing"))
        made = FORMATS[suffix]
        with_video = output.with_video and bool(made.video)
        if not with_video and not output.with_audio:
            raise ComposeError("neither sound nor picture was asked for")
        duration = self._end_s - self._start_s
        container = av.open(str(draft), "w", format=made.name,
                            options={"movflags": "+faststart"} if made.name == "mp4" else {})
        with container:
            container.metadata["title"] = self._found.room
            video = self._video_stream(container, made.video, made.options) if with_video else None
            audio: Any = None
            if output.with_audio:
                audio = container.add_stream(made.audio, rate=RATE)
                audio.layout = "stereo"
                audio.bit_rate = output.audio_bitrate or 96_000
            step = 1 / output.fps if video is not None else 0.5
            count = max(1, int(duration / step))
            samples = round(count * step * RATE)
            mixed = written = 0
            for n in range(count):
                if self._is_cancelled():
                    raise Cancelled
                until = min(samples, int(((n + 1) * step + AHEAD_S) * RATE))
                while audio is not None and mixed < until:
                    block = self._mix(mixed)
                    mixed += BLOCK
                    if block is not None:
                        written = self._sound(container, audio, block, written)
                if video is not None:
                    self._draw(self._start_s + n * step)
                    frame = self._canvas.frame()
                    frame.pts, frame.time_base = n, Fraction(1, output.fps)
                    container.mux(video.encode(frame))
                self._progress((n + 1) / (count + 1))
            if audio is not None:
                if (block := self._limiter.flush()) is not None:
                    written = self._sound(container, audio, block, written)
                container.mux(audio.encode(None))
            if video is not None:
                container.mux(video.encode(None))
        self._progress(1.0)
        return self._start_s, count * step

    def _video_stream(self, container: Any, codec: str, options: dict[str, str]) -> Any:
        output = self._output
        stream = container.add_stream(codec, rate=output.fps, options=options)
        stream.width, stream.height, stream.pix_fmt = output.width & ~1, output.height & ~1, "yuv420p"
        # Half a bit for every ten pixels and second of 25 frames: 1.2 Mbit/s at 720p, as an upper bound.
        stream.bit_rate = output.video_bitrate or int(output.width * output.height * output.fps * 0.055)
        stream.codec_context.gop_size = KEYFRAME_S * output.fps
        stream.codec_context.thread_count = min(4, os.cpu_count() or 1)
        return stream

    def _sound(self, container: Any, stream: Any, block: Sound, written: int) -> int:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block.T), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, written, Fraction(1, RATE)
        container.mux(stream.encode(frame))
        return written + len(block)

    def _mix(self, position: int) -> Sound | None:
        """The block of the mix before this one; notes who speaks in this one."""
        begin = position + round(self._start_s * RATE)
        total = np.zeros((BLOCK, 2), np.float32)
        now = begin / RATE
        for key, sound in self._sounds:
            block = sound.read(begin, BLOCK)
            if block is not None:
                total += block
            person = self._people.get(key)
            if person is not None:
                person.loudness = 0.8 * person.loudness + 0.2 * (loudness(block) if block is not None else 0.0)
                if person.loudness > SPEAKS:
                    if now - person.spoke_s > SPEAKS_S:
                        person.speaks_since_s = now
                    person.spoke_s = now
        return self._limiter.push(total)

    # -- the picture

    def _draw(self, now: float) -> None:
        people = {sid: person for sid, person in self._people.items() if person.is_there(now)}
        # `at` of every track, seen or not: time goes on for all.
        cameras = {sid: self._camera(person, now) for sid, person in self._people.items()}
        screens = {sid: frame for sid, track in self._screens.items() if (frame := track.at(now)) is not None}
        layout = next((name for at, name in reversed(self._found.layouts) if at <= now), self._output.layout)
        speakers = {sid for sid, person in people.items() if now - person.spoke_s < SPEAKS_S}
        self._choose(people, speakers, now)
        canvas = self._canvas
        canvas.arrange(layouts.arrange(list(screens), list(people), self._speaker, canvas.width, canvas.height, layout))
        for sid, frame in screens.items():
            track = self._screens[sid]
            canvas.tile(sid, "", frame, track.serial, track.turned(now), True)
        for sid, person in people.items():
            picture, frame = cameras[sid]
            serial = (picture.track.sid, picture.serial) if picture is not None else None
            canvas.tile(sid, person.name, frame, serial, picture.turned(now) if picture is not None else 0, False)
            if self._output.shows_speakers:
                canvas.border(sid, sid in speakers)

    @staticmethod
    def _camera(person: _Person, now: float) -> tuple[PictureTrack | None, av.VideoFrame | None]:
        found: tuple[PictureTrack | None, av.VideoFrame | None] = (None, None)
        for camera in person.cameras:
            frame = camera.at(now)
            # The newest: somebody who changed the camera has both for a moment. One that moves rather than a still.
            if frame is not None and (found[0] is None or found[0].is_early or not camera.is_early):
                found = (camera, frame)
        return found

    def _choose(self, people: dict[str, _Person], speakers: set[str], now: float) -> None:
        if self._speaker not in people:
            self._speaker = None
        if self._speaker in speakers:
            return
        ready = [sid for sid in speakers if now - people[sid].speaks_since_s >= CHANGE_S or self._speaker is None]
        if ready:
            self._speaker = max(ready, key=lambda sid: people[sid].loudness)
