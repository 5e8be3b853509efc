"""A recording's thread: here files are written, away from the loop. One thread serves all recordings of a process.

What the loop hands over are calls in order; nothing here ever waits for the loop.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from chatd.bridge.recording import journal, manifest, writer
from chatd.bridge.recording.feed import Item
from chatd.bridge.recording.journal import Journal
from chatd.bridge.recording.track import TrackFile

log = logging.getLogger(__name__)

FREE_S = 5.0


class Worker:
    """Runs calls in a thread, in order. `start` before the first, `stop` ends it after what is queued."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, call: Callable[..., None], *args: Any) -> None:
        """Run it as soon as the calls before it are done; what it raises is logged."""
        if self._thread is None:
            # A daemon: a disk that never answers must not keep the process alive.
            self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
            self._thread.start()
        self._calls.put((call, args))

    def stop(self, timeout_s: float = 10.0) -> None:
        """Wait until everything is done, no longer than `timeout_s`."""
        if self._thread is not None:
            self._calls.put(None)
            self._thread.join(timeout_s)
            self._thread = None

    def _run(self) -> None:
        while (entry := self._calls.get()) is not None:
            call, args = entry
            try:
                call(*args)
            except Exception:
                log.exception("a recording's call failed")


class Desk:
    """One recording as its thread sees it. All methods are run by the worker, but `octets_done`, which anybody reads.

    `on_failed(reason, text)`: called once, in the thread, when writing has to end: reason "error" or "limit".
    `most_octets`: of all its files; `least_free_octets`: to be left on the file system.
    """

    def __init__(self, directory: Path, on_failed: Callable[[str, str], None], most_octets: int,
                 least_free_octets: int) -> None:
        self.directory = directory
        self.octets_done = 0
        self.busy_s = 0.0
        self._on_failed = on_failed
        self._most_octets = most_octets
        self._least_free = least_free_octets
        self._journal: Journal | None = None
        self._tracks: dict[str, TrackFile] = {}
        self._finished_octets = 0
        self._free_at = -FREE_S
        self._is_over = False
        self._error = ""

    def open(self, at: float, fields: dict[str, Any], done: Callable[[str], None]) -> None:
        """Make the directory and the journal; `done(error text)`, empty if all is well."""
        try:
            self.directory.mkdir(parents=True, mode=0o750)
            self._journal = Journal(self.directory)
            self._journal.add("started", at, **fields)
            self._journal.flush()
            manifest.write(self.directory, manifest.fold(journal.read(self.directory), is_over=False))
        except OSError as error:
            done(_text(error))
            return
        done("")

    def note(self, event: str, at: float, fields: dict[str, Any]) -> None:
        """A line in the journal."""
        if self._journal is not None and not self._is_over:
            self._journal.add(event, at, **fields)
            self._attempt(self._journal.flush)

    def add(self, at: float, sid: str, codec: str, file: str, size: tuple[int, int], fields: dict[str, Any]) -> None:
        """A track begins."""
        if self._journal is not None and not self._is_over and sid not in self._tracks:
            self._tracks[sid] = TrackFile(sid, codec, self.directory / file, self._journal, size)
            self.note("track", at, {"sid": sid, "codec": codec, "file": file, "width": size[0], "height": size[1],
                                    **fields})

    def process(self, batches: Sequence[tuple[str, list[Item]]], at: float, offset: float, octets: int,
                ask: Callable[[list[str]], None]) -> None:
        """What the feeds collected. `octets`: how much it is; `ask(sids)`: whose publishers owe a keyframe."""
        began = time.thread_time()
        wanting = []
        if self._journal is not None and not self._is_over:
            for sid, items in batches:
                track = self._tracks.get(sid)
                if track is None:
                    continue
                self._attempt(track.process, items, at, offset)
                if track.wants_keyframe:
                    wanting.append(sid)
                # Lets the loop have the interpreter, if it waits for it.
                time.sleep(0)
            self._attempt(self._journal.flush)
            self._look(at)
        self.octets_done += octets
        self.busy_s += time.thread_time() - began
        if wanting:
            ask(wanting)

    def _look(self, at: float) -> None:
        """Quota and room on the disk."""
        octets = self._finished_octets + sum(track.octets for track in self._tracks.values())
        if octets > self._most_octets:
            self._fail("limit", "the recording has reached its limit of %d MB" % (self._most_octets >> 20))
        elif at - self._free_at >= FREE_S and not self._is_over:
            self._free_at = at
            try:
                system = os.statvfs(self.directory)
            except OSError:
                return
            if system.f_bavail * system.f_frsize < self._least_free:
                self._fail("limit", "there is less than %d MB left on the disk" % (self._least_free >> 20))

    def remove(self, sid: str, at: float) -> None:
        """A track has ended."""
        track = self._tracks.pop(sid, None)
        if track is not None and not self._is_over:
            self._attempt(track.close, at)
            self._finished_octets += track.octets
            self.note("untrack", at, {"sid": sid})

    def close(self, at: float, reason: str, error: str, done: Callable[[manifest.Manifest | None, str], None]) -> None:
        """The recording ends; `done(manifest or None, error)` when all is on disk as well as it could be."""
        error = error or self._error
        for sid in list(self._tracks):
            track = self._tracks.pop(sid)
            if self._is_over:
                track.abandon()
            else:
                self._attempt(track.close, at)
        error = error or self._error
        self._is_over = True
        found = None
        if self._journal is not None:
            try:
                self._journal.add("stopped", at, reason=reason, error=error)
                self._journal.close()
            except OSError as trouble:
                error = error or _text(trouble)
            try:
                found = manifest.fold(journal.read(self.directory))
                if error:
                    found.state, found.error = "failed", error
                manifest.write(self.directory, found)
            except (OSError, manifest.ManifestError) as trouble:
                error = error or _text(trouble)
            except Exception as trouble:
                # Whoever waits for the end must see one.
                log.exception("a recording could not be ended")
                error = error or "internal error: %r" % trouble
        done(found, error)

    def _attempt(self, call: Callable[..., None], *args: Any) -> None:
        if self._is_over:
            return
        try:
            call(*args)
        except writer.ERRORS as error:
            self._fail("error", _text(error))
        except Exception as error:
            # A mistake of ours, or bytes that nobody thought of: this recording ends, the meeting does not.
            log.exception("a recording failed")
            self._fail("error", "internal error: %r" % error)

    def _fail(self, reason: str, text: str) -> None:
        if reason == "error":
            self._is_over = True
            self._error = text
        self._on_failed(reason, text)


def _text(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)
