"""``/upload/TOKEN/NAME``: files that people send one another (XEP-0363), put there once and read by whoever has the
address.

Nothing in a file may act as a page of this server: what a browser would run is only saved, whatever its sender calls
it, and what is shown is in a sandbox. Pages of other sites may show and read files, for addresses are no secret from
whoever was sent them; to put files there they must be allowed to connect here at all (`http.origins`).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_to_bytes
from wsgiref.handlers import format_date_time

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import CACHED
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request

from chatd.core.byteranges import part_of
from chatd.core.uploads import UploadRow, disposition, served_type
from chatd.interfaces import IUploads
from chatd.web.errors import ErrorPage, error_body
from chatd.web.fileparts import send_part
from chatd.web.incoming import InThread
from chatd.web.put import Put
from chatd.web.request import PanelRequest, StreamedBody

__all__ = ["UploadsResource"]

log = Logger()

_GONE: Final = "There is no such file, or not any more. Ask whoever sent it to send it again."
_YEAR_S: Final = 31_536_000
_CORS_S: Final = 7200


class UploadsResource(Resource):
    """/upload. may_put(request): may the page that a request comes from put files here? in_thread: for the disk."""

    def __init__(self, uploads: IUploads, clock: IReactorTime, in_thread: InThread,
                 may_put: Callable[[Request], bool]) -> None:
        super().__init__()
        self._uploads = uploads
        self._clock = clock
        self._in_thread = in_thread
        self._may_put = may_put

    def body(self, request: PanelRequest, method: bytes, path: bytes) -> StreamedBody | None:
        """What takes the body of a PUT as it comes; see `chatd.web.request.TakesBody`."""
        parts = path.partition(b"?")[0].split(b"/")
        if method != b"PUT" or len(parts) != 4 or not all(parts[2:]):
            return None
        token, name = (_text(unquote_to_bytes(part)) for part in parts[2:])
        return Put(request, self._uploads, self._clock, self._in_thread, token, name,
                   lambda: self.allow(request, puts=True))

    def getChild(self, path: bytes, request: Request) -> IResource:
        """The file of this token and name."""
        rest = request.postpath or []
        if len(rest) != 1 or not path:
            return ErrorPage(404, _GONE)
        request.prepath = [*(request.prepath or []), *rest]
        request.postpath = []
        return _File(self, self._uploads, _text(path), _text(rest[0]))

    def render(self, request: Request) -> bytes:
        """The folder itself shows nothing."""
        return error_body(request, 404)

    def allow(self, request: Any, puts: bool) -> None:
        """Say to browsers what other sites' pages may do (CORS; no cookies, nobody is logged in here)."""
        request.responseHeaders.addRawHeader(b"Vary", b"Origin")
        if not puts:
            request.setHeader(b"Access-Control-Allow-Origin", b"*")
            request.setHeader(b"Access-Control-Expose-Headers", b"Content-Length, Content-Range, Content-Disposition")
        elif (origin := request.getHeader(b"origin")) and self._may_put(request):
            request.setHeader(b"Access-Control-Allow-Origin", origin)

    def allow_ahead(self, request: Any) -> None:
        """Answer a browser that asks first (a preflight)."""
        if request.getHeader(b"origin") and self._may_put(request):
            self.allow(request, puts=True)
            request.setHeader(b"Access-Control-Allow-Methods", b"GET, HEAD, PUT, OPTIONS")
            request.setHeader(b"Access-Control-Allow-Headers", b"Authorization, Content-Type")
        else:
            self.allow(request, puts=False)
            request.setHeader(b"Access-Control-Allow-Methods", b"GET, HEAD, OPTIONS")
            request.setHeader(b"Access-Control-Allow-Headers", b"Range")
        request.setHeader(b"Access-Control-Max-Age", b"%d" % _CORS_S)


class _File(Resource):
    """One address."""

    isLeaf = True

    def __init__(self, parent: UploadsResource, uploads: IUploads, token: str, name: str) -> None:
        super().__init__()
        self._parent = parent
        self._uploads = uploads
        self._token = token
        self._name = name

    def render_OPTIONS(self, request: Request) -> bytes:
        """What may be asked here."""
        self._parent.allow_ahead(request)
        request.setHeader(b"Allow", b"GET, HEAD, PUT, OPTIONS")
        request.setResponseCode(204)
        return b""

    def render_PUT(self, request: PanelRequest) -> int | bytes:
        """The body has come whole: it is answered when it is on the disk."""
        if not isinstance(request.body, Put):       # the path was written in a way nobody writes it
            return error_body(request, 400)
        request.body.answer()
        return NOT_DONE_YET

    def render_GET(self, request: Request) -> int:
        """The file, or the one part of it that is asked for."""
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)

        def found(row: UploadRow | None) -> None:
            if gone:
                return
            self._parent.allow(request, puts=False)
            path = self._uploads.folder / self._token
            if row is None or not path.is_file():
                _end(request, error_body(request, 404, _GONE))
            else:
                self._uploads.counts.sent += 1
                _send(request, path, row)

        def failed(failure: Failure) -> None:
            if not gone:
                log.failure("a file could not be sent", failure=failure)
                if request.startedWriting:
                    request.loseConnection()
                else:
                    _end(request, error_body(request, 500))

        self._uploads.find(self._token, self._name).addCallback(found).addErrback(failed)
        return NOT_DONE_YET


def _text(part: bytes) -> str:
    """A part of a path; what is no UTF-8 becomes what no address has."""
    return part.decode("utf-8", "replace")


def _end(request: Request, body: bytes) -> None:
    if request.method != b"HEAD":
        request.write(body)
    request.finish()


def _send(request: Request, path: Path, row: UploadRow) -> None:
    size = path.stat().st_size
    content_type = served_type(row)
    _set_headers(request, row, content_type)
    # What is at an address never changes, so that it is this address is all there is to compare.
    tag = f'"{hashlib.sha256(row.token.encode()).hexdigest()[:20]}"'
    request.setHeader(b"Last-Modified", format_date_time(row.stored_ms // 1000).encode())
    if request.setETag(tag.encode()) is CACHED:
        request.finish()
        return
    asked = request.requestHeaders.getRawHeaders(b"range") or []
    condition = request.getHeader(b"if-range")
    is_one = len(asked) == 1 and condition in (None, tag.encode())
    first, behind = part_of(asked[0].decode("latin-1"), size) if is_one else (0, size)
    if first >= behind and size:
        request.setHeader(b"Content-Range", b"bytes */%d" % size)
        _end(request, error_body(request, 416, "The file has no such part."))
        return
    request.setHeader(b"Content-Type", (content_type + ("; charset=utf-8" if content_type.startswith("text/") else ""))
                      .encode())
    if behind - first < size:
        request.setResponseCode(206)
        request.setHeader(b"Content-Range", b"bytes %d-%d/%d" % (first, behind - 1, size))
    request.setHeader(b"Content-Length", b"%d" % (behind - first))
    if request.method == b"HEAD":
        request.finish()
        return
    send_part(request, path, first, behind - first)


def _set_headers(request: Request, row: UploadRow, content_type: str) -> None:
    left_s = max(0, int(row.expires_ms / 1000 - time.time())) if row.expires_ms else _YEAR_S
    # For the reader's own browser: what stands in between must not keep what may be deleted here.
    request.setHeader(b"Cache-Control", b"private, max-age=%d, immutable" % min(left_s, _YEAR_S))
    request.setHeader(b"Content-Disposition", disposition(row, content_type).encode("ascii"))
    # A picture opened by itself is a page of the browser's own making, which draws it from the same address.
    request.setHeader(b"Content-Security-Policy", b"default-src 'none'; img-src 'self'; media-src 'self'; "
                      b"style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox")
    request.setHeader(b"Cross-Origin-Resource-Policy", b"cross-origin")
    request.setHeader(b"X-Robots-Tag", b"noindex")
    request.setHeader(b"Accept-Ranges", b"bytes")
