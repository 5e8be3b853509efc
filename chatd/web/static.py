"""Serves the built browser files.

The folder is read once, at start: a request is a look-up in a table of names, so no path however written
reaches another file, and there are no listings. Files under ``assets/NAME.HASH/`` have their content in their
name and may be kept for ever; all others are asked for again each time and answered 304 when unchanged.
Beside a file may lie ``.br`` and ``.gz`` forms made by the build; the best one the browser accepts is sent.
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Iterator
from pathlib import Path

import attrs
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure
from twisted.web.http import CACHED
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request

from chatd.web.errors import ErrorPage

SMALL_BYTES = 65_536
"""Up to this size a file is answered in one piece; above it follows the speed of the reader."""

ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
"""Content codings in our order of liking, with the ending of the file that holds them."""

NOT_BUILT = "The browser files have not been built. Run “make ui” where chatd is installed."

_IMMUTABLE = re.compile(r"assets/[^/]+\.[0-9a-f]{8,64}/")
OCTETS = "application/octet-stream"
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".woff": "font/woff",
    ".ttf": "font/ttf",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain; charset=utf-8",
}


@attrs.frozen
class Asset:
    """One file of the build."""

    name: str
    path: Path
    content_type: str
    etag: str
    is_immutable: bool
    variants: tuple[tuple[str, Path], ...]
    """(content coding, file) of the compressed forms, best first."""

    def choose(self, accept_encoding: str) -> tuple[str, Path]:
        """Return (coding or "", file) for an Accept-Encoding header (RFC 9110 12.5.3; q=0 refuses one)."""
        accepted = set(_accepted_codings(accept_encoding))
        for coding, path in self.variants:
            if coding in accepted or "*" in accepted:
                return coding, path
        return "", self.path


def _accepted_codings(header: str) -> Iterator[str]:
    for entry in header.split(","):
        coding, _, parameters = entry.partition(";")
        quality = re.fullmatch(r"\s*q=([01](?:\.[0-9]{0,3})?)\s*", parameters or "q=1")
        if quality is not None and float(quality[1]) > 0:
            yield coding.strip().lower()


def read_assets(folder: Path) -> dict[str, Asset]:
    """Return the files below `folder` by their path from it, written with slashes.

    Links that lead out of the folder and names that begin with a dot are left out.
    """
    root = folder.resolve()
    endings = tuple(ending for _, ending in ENCODINGS)
    assets = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if not path.is_file() or "/." in "/" + name or not path.resolve().is_relative_to(root):
            continue
        if path.suffix in endings and path.with_suffix("").is_file():
            continue
        variants = [(coding, path.with_name(path.name + ending)) for coding, ending in ENCODINGS]
        assets[name] = Asset(
            name=name,
            path=path,
            content_type=_TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or OCTETS,
            etag=hashlib.sha256(path.read_bytes()).hexdigest()[:20],
            is_immutable=_IMMUTABLE.match(name) is not None,
            variants=tuple((coding, file) for coding, file in variants if file.is_file()),
        )
    return assets


class StaticFiles(Resource):
    """The files of one folder; put at the root it also answers ``/`` with its index.html."""

    isLeaf = False

    def __init__(self, folder: Path) -> None:
        """`folder` is the build. A missing folder serves nothing: `is_built` then is False."""
        super().__init__()
        self.assets = read_assets(folder) if folder.is_dir() else {}

    @property
    def is_built(self) -> bool:
        """Tell whether there is a page to show."""
        return "index.html" in self.assets

    def getChild(self, path: bytes, request: Request) -> IResource:
        """Find the file for the whole rest of the path: Twisted calls this for the first segment only."""
        rest = request.postpath or []
        segments = [path, *rest]
        name = b"/".join(segments).decode("utf-8", "replace")
        asset = self.assets.get("index.html" if name == "" else name)
        if asset is None:
            if not self.is_built and name == "":
                return ErrorPage(503, NOT_BUILT)
            return ErrorPage(404)
        request.prepath = [*(request.prepath or []), *rest]
        request.postpath = []
        return AssetResource(asset)


class AssetResource(Resource):
    """Answers for one file."""

    isLeaf = True

    def __init__(self, asset: Asset) -> None:
        """`asset` is what to send."""
        super().__init__()
        self.asset = asset

    def render_GET(self, request: Request) -> bytes | int:
        """Answer with the file, or 304 when the browser has it (RFC 9110 13.1.2). Ranges are not served."""
        asset = self.asset
        coding, path = asset.choose(request.getHeader("accept-encoding") or "")
        if asset.is_immutable:
            request.setHeader(b"Cache-Control", b"public, max-age=31536000, immutable")
        else:
            request.setHeader(b"Cache-Control", b"no-cache")
        if asset.variants:
            request.setHeader(b"Vary", b"Accept-Encoding")
        # One tag per coding: they are different bytes.
        etag = f'"{asset.etag}-{coding}"' if coding else f'"{asset.etag}"'
        if request.setETag(etag.encode("ascii")) is CACHED:
            return b""
        request.setHeader(b"Content-Type", asset.content_type.encode("ascii"))
        if coding:
            request.setHeader(b"Content-Encoding", coding.encode("ascii"))
        size = path.stat().st_size
        request.setHeader(b"Content-Length", b"%d" % size)
        if request.method == b"HEAD":
            return b""
        if size <= SMALL_BYTES:
            return path.read_bytes()
        self._send(path, request)
        return NOT_DONE_YET

    def _send(self, path: Path, request: Request) -> None:
        file = path.open("rb")

        def sent(result: object) -> None:
            file.close()
            # A failure is a reader who went away: nobody is left to answer.
            if not isinstance(result, Failure):
                request.finish()

        FileSender().beginFileTransfer(file, request).addBoth(sent)
