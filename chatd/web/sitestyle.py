"""``/site.css``: the site's own colours over those of the log-in page and the panel (setting http.style).

The file is the sysadmin's and read again when it has changed. Without one there is an empty style sheet, so that the
page need not know.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from twisted.logger import Logger
from twisted.web.http import Request
from twisted.web.resource import Resource

__all__ = ["STYLE_PATH", "SiteStyle"]

log = Logger()

STYLE_PATH: Final = "/site.css"
_BYTES_MOST: Final = 256 * 1024


class SiteStyle(Resource):
    """The resource. path: the file, or None."""

    isLeaf = True

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._body = b""

    def render_GET(self, request: Request) -> bytes:
        """The style sheet as it is now; one that cannot be read changes nothing."""
        request.setHeader(b"Content-Type", b"text/css; charset=utf-8")
        request.setHeader(b"Cache-Control", b"no-cache")
        if self._path is not None:
            self._look(self._path)
        if self._seen is not None and request.setETag(b'"%x-%x"' % self._seen):
            return b""
        return self._body

    def _look(self, path: Path) -> None:
        try:
            found = path.stat()
            stamp = found.st_mtime_ns, found.st_size
            if stamp == self._seen:
                return
            if found.st_size > _BYTES_MOST:
                raise OSError(f"it is larger than {_BYTES_MOST >> 10} KiB")
            self._body, self._seen = path.read_bytes(), stamp
        except OSError as error:
            log.warn("the style sheet {path} (http.style) cannot be read: {error}", path=str(path), error=error)
