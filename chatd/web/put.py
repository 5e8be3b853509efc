"""The PUT of one file (XEP-0363 8): taken or refused at its head, written as it comes, answered when it is on the disk.

A sender who is refused hears so at once, without having sent the rest. One who sends nothing for a while, or next to
nothing for long, is cut off, and what came of the file goes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatd.core.uploads import UploadRefused, UploadRow
from chatd.interfaces import IUploads
from chatd.web.errors import error_body
from chatd.web.incoming import IncomingFile, InThread
from chatd.web.request import PanelRequest

__all__ = ["GRACE_S", "SLOWEST", "STALL_S", "Put"]

log = Logger()

STALL_S: Final = 30.0
"""So long nothing may come."""
GRACE_S: Final = 60.0
SLOWEST: Final = 4096
"""Bytes a second, on average, once GRACE_S have passed."""
_DISK: Final = "The server could not write the file. Please try again later."


class Put:
    """See `chatd.web.request.StreamedBody`, and `chatd.web.incoming.Source`. allow(): adds what CORS needs."""

    def __init__(self, request: PanelRequest, uploads: IUploads, clock: IReactorTime, in_thread: InThread, token: str,
                 name: str, allow: Callable[[], None]) -> None:
        self._request = request
        self._uploads = uploads
        self._clock = clock
        self._in_thread = in_thread
        self._token = token
        self._name = name
        self._allow = allow
        self._row: UploadRow | None = None
        self._file: IncomingFile | None = None
        self._waiting: list[bytes] = []
        self._refusal: UploadRefused | None = None
        self._is_whole = self._is_lost = False
        self._received = 0
        self._begun = clock.seconds()

    # -- of the request
    def begin(self, length: int | None) -> None:
        """The head has come: nothing more is read until it is known whether this file may come."""
        scheme, _, secret = self._header(b"authorization").partition(" ")
        self.pause()
        taken: Deferred[UploadRow] = self._uploads.take(
            self._token, self._name, secret.strip() if scheme.lower() == "bearer" else "", length,
            self._header(b"content-type") or None)
        taken.addCallbacks(self._taken, self._not_taken)
        taken.addErrback(lambda failure: log.failure("a file could not be taken", failure=failure))

    def _header(self, name: bytes) -> str:
        """A header of whatever bytes it is made."""
        return (self._request.getHeader(name) or b"").decode("latin-1")

    def chunk(self, data: bytes) -> None:
        """Bytes of the file."""
        if self._refusal is not None or self._is_lost:
            return
        self._received += len(data)
        if self._file is None:
            self._waiting.append(data)      # what came together with the head
            return
        self._request.channel.allow(STALL_S)
        self._file.add(data)
        passed_s = self._clock.seconds() - self._begun
        if passed_s > GRACE_S and self._received < (passed_s - GRACE_S) * SLOWEST:
            self._request.channel.timeoutConnection()

    def answer(self) -> None:
        """All of it has come."""
        self._is_whole = True
        if self._refusal is not None:
            self._refuse(self._refusal)
        elif self._file is not None:
            self._complete(self._file)

    def lost(self) -> None:
        """The connection has ended. Once all has come, `_complete` sees to it."""
        self._is_lost = True
        if self._file is not None and not self._is_whole:
            self._give_up()

    # -- of the file
    def pause(self) -> None:
        """See Source."""
        channel = getattr(self._request, "channel", None)       # Twisted deletes it once the answer has been given
        # Whoever was refused is read from to the end, or he would never hear of it; also while his file is tidied up.
        if channel is not None and not self._is_whole and self._refusal is None:
            channel.allow(None)
            channel.transport.pauseProducing()

    def resume(self) -> None:
        """See Source."""
        channel = getattr(self._request, "channel", None)       # Twisted deletes it once the answer has been given
        if channel is not None and not self._is_whole and self._refusal is None:
            channel.allow(STALL_S)
            channel.transport.resumeProducing()

    def failed(self) -> None:
        """See Source."""
        if not self._is_whole and self._refusal is None:
            log.error("a file could not be written into {folder}", folder=str(self._uploads.folder))
            self._give_up()
            self._refuse(UploadRefused(507, _DISK))

    def _taken(self, row: UploadRow) -> None:
        if self._is_lost:
            self._uploads.given_up(row)
            return
        self._row = row
        path = self._uploads.folder / row.token
        self._file = IncomingFile(path, path.with_name(f"{row.token}.part"), self, self._in_thread)
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            self._file.add(data)
        if self._is_whole:
            self._complete(self._file)

    def _not_taken(self, failure: Failure) -> None:
        self._waiting.clear()
        refusal: Any = failure.value
        if not failure.check(UploadRefused):
            log.failure("a file could not be taken", failure=failure)
            refusal = UploadRefused(500, "The server could not do this. The reason is in its log.")
        self._refuse(refusal)

    def _refuse(self, refusal: UploadRefused) -> None:
        self._refusal = refusal
        if self._is_lost:
            return
        self._allow()
        if not self._is_whole:
            self._request.refuse(refusal.code, refusal.text)
            return
        self._request.write(error_body(self._request, refusal.code, refusal.text))
        self._request.finish()

    def _complete(self, file: IncomingFile) -> None:
        done = file.finish()
        done.addCallback(self._written)
        done.addErrback(self._not_written)
        done.addErrback(lambda failure: log.failure("the end of a file could not be told", failure=failure))

    def _written(self, _: None) -> Deferred[None] | None:
        row = self._row
        assert row is not None
        if self._is_lost:                       # nobody would ever hear of this file
            self._give_up()
            return None
        return self._uploads.stored(row).addCallback(self._kept)

    def _kept(self, is_kept: bool) -> None:
        if not is_kept:
            self._give_up()
            self._refuse(UploadRefused(410, "This slot was taken back. Ask for a new one."))
        elif not self._is_lost:
            self._allow()
            self._request.setResponseCode(201)
            self._request.setHeader(b"Content-Length", b"0")
            self._request.finish()

    def _not_written(self, failure: Failure) -> None:
        log.failure("a file could not be kept", failure=failure)
        self._give_up()
        self._refuse(UploadRefused(507, _DISK))

    def _give_up(self) -> None:
        """Nothing is left of the file; only then may another one come into its slot."""
        file, row, self._file = self._file, self._row, None
        if file is None or row is None:
            return

        def dropped(_: Any) -> None:
            self._uploads.given_up(row)

        file.drop().addCallback(dropped)
