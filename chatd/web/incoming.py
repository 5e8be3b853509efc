"""A file on its way in: from the connection to the disk, a piece at a time.

No more of it than `PIECE_BYTES` and what the kernel hands over at once is ever in memory: while a piece is being
written, in a thread, nothing is read from the connection. It lies under another name until all of it is on the disk.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

__all__ = ["PIECE_BYTES", "InThread", "IncomingFile", "Source"]

PIECE_BYTES: Final = 262_144

InThread = Callable[..., Deferred[Any]]
"""`deferToThread` or one like it."""


class Source(Protocol):
    """What bytes come from."""

    def pause(self) -> None:
        """Read nothing more for now."""

    def resume(self) -> None:
        """Read on."""

    def failed(self) -> None:
        """The disk takes no more of it: `finish` will fail."""


class IncomingFile:
    """One file. path: where it is in the end. part: where until then. source: paused while the disk works.

    Jobs in the thread come one after the other. After `drop` nothing of it is left.
    """

    def __init__(self, path: Path, part: Path, source: Source, in_thread: InThread) -> None:
        self._path = path
        self._part = part
        self._source = source
        self._in_thread = in_thread
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._file: IO[bytes] | None = None
        self._is_dropped = False
        self._is_busy = False
        self._problem: BaseException | None = None
        self._work: Deferred[Any] = succeed(None)
        self._do(self._open)

    def add(self, data: bytes) -> None:
        """The next bytes."""
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= PIECE_BYTES and not self._is_busy:
            self._write()

    def finish(self) -> Deferred[None]:
        """That was all: fires when it is on the disk under its name. Fails: OSError, then `drop` it."""
        self._write()
        done = self._do(self._complete)

        def check(_: Any) -> None:
            if self._problem is not None:
                raise self._problem

        return done.addCallback(check)

    def drop(self) -> Deferred[None]:
        """It is not wanted any more, or did not come whole; fires when nothing of it is left."""
        self._is_dropped = True
        self._waiting.clear()
        return self._do(self._remove, even_so=True)

    # -- one job after the other
    def _write(self) -> None:
        pieces, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if pieces:
            self._do(self._write_pieces, pieces)

    def _do(self, job: Callable[..., None], *args: Any, even_so: bool = False) -> Deferred[Any]:
        """Runs a job in the thread when those before it are done; after a failure only those that tidy up."""
        fired: Deferred[Any] = Deferred()

        def start(_: Any) -> Deferred[Any] | None:
            if (self._problem is not None or self._is_dropped) and not even_so:
                return None
            self._is_busy = True
            self._source.pause()
            return self._in_thread(job, *args).addCallbacks(self._did, self._failed)

        self._work.addCallback(start)
        self._work.addCallback(fired.callback)
        return fired

    def _did(self, _: None) -> None:
        self._is_busy = False
        if self._waiting_bytes >= PIECE_BYTES:
            self._write()
        elif not self._is_dropped:
            self._source.resume()

    def _failed(self, failure: Failure) -> None:
        self._is_busy = False
        self._problem = failure.value
        if not self._is_dropped:
            self._source.failed()

    # -- in the thread
    def _open(self) -> None:
        # Never over another one: two senders of one slot must not mix.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.fdopen(os.open(self._part, flags, 0o600), "wb", buffering=0)

    def _write_pieces(self, pieces: list[bytes]) -> None:
        assert self._file is not None
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                rest = rest[self._file.write(rest):]

    def _complete(self) -> None:
        assert self._file is not None
        os.fsync(self._file.fileno())
        self._file.close()
        os.rename(self._part, self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _remove(self) -> None:
        if self._file is not None:
            self._file.close()
            self._part.unlink(missing_ok=True)
            self._path.unlink(missing_ok=True)
