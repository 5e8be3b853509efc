"""A part of a file as the body of an answer: what a player that jumps, or a broken download, asks for (RFC 9110 14)."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure
from twisted.web.server import Request

from chatd.web.static import SMALL_BYTES

__all__ = ["send_part"]


def send_part(request: Request, path: Path, first: int, count: int) -> None:
    """Answers a request, whose headers are set, with `count` bytes of a file from its byte `first` on, and finishes it.

    A large part is read as fast as the reader takes it.  Raises OSError where the file cannot be opened.
    """
    file = path.open("rb")
    file.seek(first)
    if count <= SMALL_BYTES:
        with file:
            request.write(file.read(count))
        request.finish()
        return

    def sent(result: object) -> None:
        file.close()
        if not isinstance(result, Failure):     # else the reader has gone away
            request.finish()

    FileSender().beginFileTransfer(_Rest(file, count), request).addBoth(sent)


class _Rest:
    """A file of which no more than `count` bytes are read."""

    def __init__(self, file: IO[bytes], count: int) -> None:
        self._file = file
        self._count = count

    def read(self, size: int) -> bytes:
        """The next bytes."""
        data = self._file.read(min(size, self._count))
        self._count -= len(data)
        return data
