"""What files are made of recordings: their formats, their names, what may go wrong. Light: the bridge imports it."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import av


class ComposeError(Exception):
    """There is no file; the text says why."""


class Cancelled(Exception):
    """Somebody wanted no file."""


@attrs.frozen
class Output:
    """What is to be made. `path` ends with .webm, .mp4 or .ogg; it is never overwritten, a number is put behind it.

    `video_bitrate`, `audio_bitrate`: bits a second, 0 for what suits the size. `layout`: before any that the recording
    itself notes.
    """

    path: Path
    width: int = 1280
    height: int = 720
    fps: int = 25
    layout: str = "grid"
    with_audio: bool = True
    with_video: bool = True
    video_bitrate: int = 0
    audio_bitrate: int = 0
    shows_speakers: bool = True


@attrs.frozen
class Result:
    """The file; `start_s`: where in the recording it begins."""

    path: Path
    size: int
    start_s: float
    duration_s: float


@attrs.frozen
class Format:
    """A container and its encoders; `video` "" without pictures."""

    name: str
    video: str
    options: dict[str, str]
    audio: str


# By the ending of the name. VP9 in WebM is free of licences and small; MP4 is for players that know nothing else, if
# this PyAV has the encoders.
FORMATS = {
    ".webm": Format("webm", "libvpx-vp9", {
        "deadline": "realtime", "cpu-used": "8", "row-mt": "1", "tile-columns": "1", "lag-in-frames": "0",
        "crf": "33"}, "libopus"),
    ".mp4": Format("mp4", "libx264", {"preset": "veryfast", "crf": "24"}, "aac"),
    ".ogg": Format("ogg", "", {}, "libopus"),
}


def supported(suffix: str) -> bool:
    """Whether this PyAV can make files with this ending."""
    made = FORMATS.get(suffix)
    return made is not None and all(_encodes(name) for name in (made.video, made.audio) if name)


def _encodes(name: str) -> bool:
    try:
        av.Codec(name, "w")
    except ValueError:
        return False
    return True


def place(draft: Path, path: Path) -> Path:
    """Give a finished file its name, or the name with a number if something has it already. OSError, ComposeError."""
    for n in range(1, 10000):
        name = path if n == 1 else path.with_name("%s-%d%s" % (path.stem, n, path.suffix))
        try:
            os.link(draft, name)
        except FileExistsError:
            continue
        draft.unlink()
        return name
    raise ComposeError("there are too many files of this name")
