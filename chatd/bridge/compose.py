"""`python -m chatd.bridge.compose MANIFEST`: one playable file of a recording, in a process of its own.

It gives way to everything else on the machine (nice 15, idle disk priority). Standard output is JSON lines:

    {"event": "waiting"}                                     for a slot: so many run at a time (--slots, --most)
    {"event": "progress", "percent": 12.3, "rest_s": 40}     twice a second at most
    {"event": "done", "file": "…", "size": 1, "duration_s": 1.0, "start_s": 0.0}
    {"event": "failed", "error": "…"}                        exit status 1
    {"event": "cancelled"}                                   SIGTERM, SIGINT, or the parent is gone; exit status 3

The last of them is also in progress.json beside the manifest. It can be begun again after any end; two at the same
recording do not run at once.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import json
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from chatd.bridge.recording import manifest, remux
from chatd.bridge.recording.composer import compose
from chatd.bridge.recording.output import FORMATS, Cancelled, ComposeError, Output, Result

PROGRESS = "progress.json"
LOCK = "compose.lock"
NICE = 15
REPORT_S = 0.5
LAST_ONE_S = 30.0
# ioprio_set(2): class "idle" for this process.
_IOPRIO = {"x86_64": 251, "aarch64": 30}
_IDLE = 3 << 13


def give_way() -> None:
    """Lowest priority for processor and disk, as far as the system lets us."""
    try:
        os.nice(NICE)
    except OSError:
        pass
    number = _IOPRIO.get(platform.machine())
    if number is not None and sys.platform == "linux":
        try:
            ctypes.CDLL(None).syscall(number, 1, 0, _IDLE)
        except (OSError, AttributeError):
            pass


class Reporter:
    """Says how far it is, on standard output and in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._began = time.monotonic()
        self._said = 0.0

    def say(self, event: str, **fields: Any) -> None:
        """One line."""
        line = json.dumps({"event": event, **fields})
        with contextlib.suppress(OSError):
            os.write(sys.stdout.fileno(), line.encode() + b"\n")
        with contextlib.suppress(OSError):
            draft = self._path.with_name(self._path.name + ".new")
            draft.write_text(line + "\n")
            os.replace(draft, self._path)

    def begin(self) -> None:
        """Work begins now."""
        self._began = time.monotonic()
        self.say("progress", percent=0.0, rest_s=None)

    def progress(self, part: float) -> None:
        """So much is done, 0…1."""
        now = time.monotonic()
        if now - self._said < REPORT_S:
            return
        self._said = now
        passed = now - self._began
        # The very beginning tells too little.
        rest = round(passed / part - passed, 1) if part > 0.02 else None
        self.say("progress", percent=round(part * 100, 1), rest_s=rest)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Whether nobody else has this lock; it ends with the process."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _slot(directory: Path, most: int, reporter: Reporter, stop: threading.Event) -> Iterator[None]:
    """One of `most` slots, when one is free. Cancelled."""
    has_told = False
    while not stop.is_set():
        for n in range(most):
            with _locked(directory / (".compose-%d.lock" % n)) as is_ours:
                if is_ours:
                    yield
                    return
        if not has_told:
            has_told = True
            reporter.say("waiting")
        stop.wait(0.5)
    raise Cancelled


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chatd.bridge.compose", description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path, help="a recording's manifest.json, or its directory")
    parser.add_argument("-o", "--output", type=Path, help="the file to make (.webm, .mp4, .ogg); beside the manifest")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--layout", default="grid", help="grid, speaker or single-speaker")
    parser.add_argument("--audio-only", action="store_true")
    parser.add_argument("--video-only", action="store_true")
    parser.add_argument("--video-bitrate", type=int, default=0, help="bits a second")
    parser.add_argument("--audio-bitrate", type=int, default=0, help="bits a second")
    parser.add_argument("--copy", action="store_true", help="copy the packets of all tracks instead of composing")
    parser.add_argument("--slots", type=Path, help="directory whose locks say how many run at a time")
    parser.add_argument("--most", type=int, default=1, help="so many")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input ends")
    found = parser.parse_args(argv)
    if not (16 <= found.width <= 3840 and 16 <= found.height <= 3840 and 1 <= found.fps <= 60):
        parser.error("the picture has 16 to 3840 pixels a side and 1 to 60 frames a second")
    if found.audio_only and found.video_only:
        parser.error("neither sound nor picture")
    return found


def _work(arguments: argparse.Namespace, reporter: Reporter, stop: threading.Event) -> Result:
    directory = arguments.manifest if arguments.manifest.is_dir() else arguments.manifest.parent
    path = (arguments.output or directory / ("meeting.ogg" if arguments.audio_only else "meeting.webm")).absolute()
    with contextlib.ExitStack() as held:
        end = time.monotonic() + (LAST_ONE_S if arguments.with_parent else 0)
        while not held.enter_context(_locked(directory / LOCK)):
            # That of a parent that was killed is just about to end.
            if time.monotonic() >= end:
                raise ComposeError("another process works on this recording")
            if stop.wait(0.2):
                raise Cancelled
        if arguments.slots is not None:
            held.enter_context(_slot(arguments.slots, max(1, arguments.most), reporter, stop))
        found = manifest.load(arguments.manifest)
        reporter.begin()
        if arguments.copy:
            return remux.remux(found, directory, path, reporter.progress, stop.is_set)
        output = Output(
            path, arguments.width, arguments.height, arguments.fps, arguments.layout,
            with_audio=not arguments.video_only, with_video=not arguments.audio_only and path.suffix != ".ogg",
            video_bitrate=arguments.video_bitrate, audio_bitrate=arguments.audio_bitrate)
        if path.suffix not in FORMATS:
            raise ComposeError("a file ends with %s" % ", ".join(FORMATS))
        return compose(found, directory, output, reporter.progress, stop.is_set)


def main(argv: list[str]) -> int:
    """Do it; gives the exit status."""
    arguments = _arguments(argv)
    give_way()
    av.logging.set_level(None)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if arguments.with_parent:
        def watch() -> None:
            while os.read(0, 4096):
                pass
            stop.set()

        threading.Thread(target=watch, daemon=True).start()
    directory = arguments.manifest if arguments.manifest.is_dir() else arguments.manifest.parent
    reporter = Reporter(directory / PROGRESS)
    try:
        done = _work(arguments, reporter, stop)
    except Cancelled:
        reporter.say("cancelled")
        return 3
    except (ComposeError, manifest.ManifestError, OSError) as error:
        reporter.say("failed", error=str(error))
        return 1
    reporter.say("done", file=str(done.path), size=done.size, duration_s=round(done.duration_s, 3),
                 start_s=round(done.start_s, 3))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
