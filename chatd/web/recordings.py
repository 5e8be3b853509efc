"""``/recordings/ID``: the file of a recording, for whoever has a pass that the meeting's room gave.

Sent in parts where a browser asks for a part (RFC 9110 14), so that a player can jump. Whether it is not there or the
pass is not good makes no difference to the answer.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request

from chatd.core.byteranges import part_of
from chatd.interfaces import IMeetings
from chatd.web.errors import ErrorPage, error_body
from chatd.web.fileparts import send_part

__all__ = ["RECORDINGS_PATH", "RecordingsResource"]

RECORDINGS_PATH: Final = "/recordings"
_TEXT: Final = ("There is no such recording, or this address has expired. Moderators find a new one in the meeting or "
                "in the chat panel.")
_TYPES: Final = {".webm": "video/webm", ".mkv": "video/x-matroska", ".mp4": "video/mp4", ".ogg": "audio/ogg"}
_ID: Final = re.compile(rb"[0-9a-f]{8,64}")


class RecordingsResource(Resource):
    """/recordings, and a recording's id below it."""

    def __init__(self, meetings: IMeetings) -> None:
        super().__init__()
        self._meetings = meetings

    def getChild(self, path: bytes, request: Request) -> IResource:
        """The recording of this id, if the pass in the query is good."""
        given = request.args.get(b"pass", [b""]) if request.args else [b""]
        if request.postpath or _ID.fullmatch(path) is None or len(given) != 1:
            return ErrorPage(404, _TEXT)
        found = self._meetings.recording(path.decode(), given[0].decode("latin-1"))
        if found is None or not found[0].is_file():
            return ErrorPage(404, _TEXT)
        is_saved = request.args is not None and b"download" in request.args
        return _Recording(found[0], found[1] if is_saved else "")

    def render(self, request: Request) -> bytes:
        """The folder itself shows nothing."""
        return error_body(request, 404)


class _Recording(Resource):
    """One file. saved_as: the name under which a browser is to save it, "" to show it."""

    isLeaf = True

    def __init__(self, path: Path, saved_as: str) -> None:
        super().__init__()
        self._path = path
        self._saved_as = saved_as

    def render_GET(self, request: Request) -> bytes | int:
        """Answers with it, or with the one part that is asked for."""
        size = self._path.stat().st_size
        # An address with a pass in it must stay out of caches, and what is in the file must not act as a page.
        request.setHeader(b"Cache-Control", b"private, no-store")
        request.setHeader(b"Content-Security-Policy", b"default-src 'none'; media-src 'self'; sandbox")
        name = f'; filename="{self._saved_as}"' if self._saved_as else ""
        request.setHeader(b"Content-Disposition", (("attachment" if self._saved_as else "inline") + name).encode())
        request.setHeader(b"Content-Type", _TYPES.get(self._path.suffix, "application/octet-stream").encode())
        request.setHeader(b"Accept-Ranges", b"bytes")
        asked = request.requestHeaders.getRawHeaders(b"range") or []
        first, behind = part_of(asked[0].decode("latin-1"), size) if len(asked) == 1 else (0, size)
        if first >= behind and size:
            request.setHeader(b"Content-Range", b"bytes */%d" % size)
            return error_body(request, 416, "The recording has no such part.")
        if behind - first < size:
            request.setResponseCode(206)
            request.setHeader(b"Content-Range", b"bytes %d-%d/%d" % (first, behind - 1, size))
        request.setHeader(b"Content-Length", b"%d" % (behind - first))
        if request.method == b"HEAD":
            return b""
        send_part(request, self._path, first, behind - first)
        return NOT_DONE_YET
