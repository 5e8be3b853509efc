"""Files that people send (XEP-0363) as values: names and types of strangers made harmless, what is shown and what is
only saved, what the store keeps.
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
import unicodedata
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

import attrs

__all__ = ["ANY_TYPE", "NAME_BYTES", "TOKEN_BYTES", "UPLOADS_PATH", "UploadCounts", "UploadRefused", "UploadRow",
           "Usage", "clean_name", "clean_type", "disposition", "guessed_type", "hashed", "is_shown", "is_token",
           "matches", "path_of", "served_type"]

UPLOADS_PATH: Final = "/upload"
"""Where files are on the web site."""
TOKEN_BYTES: Final = 24
"""Random bytes of an address: nobody guesses 192 bits."""
NAME_BYTES: Final = 200
"""Of a file's name in UTF-8; file systems take 255."""
ANY_TYPE: Final = "application/octet-stream"

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{32}", re.ASCII)
_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}", re.ASCII)
_PERHAPS_HIDDEN: Final = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Categories of what no name needs: controls, marks that turn the direction of writing, halves of characters."""
_PLAIN: Final = re.compile(r"[^A-Za-z0-9 !#$&+.^_`|~()\[\]@,=-]")

_SHOWN: Final = frozenset({
    "image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp",
    "audio/mpeg", "audio/ogg", "audio/opus", "audio/wav", "audio/x-wav", "audio/flac", "audio/mp4", "audio/aac",
    "audio/webm", "audio/x-m4a", "video/mp4", "video/webm", "video/ogg", "video/quicktime",
})
"""What a browser draws or plays without running anything of it; SVG and HTML are not among them and never will be."""
_SAVED: Final = frozenset({
    "application/pdf", "application/zip", "application/gzip", "application/x-7z-compressed", "application/x-tar",
    "application/msword", "application/rtf", "application/epub+zip", "image/heic", "image/heif", "image/tiff",
    "text/plain", "text/csv", "text/calendar", "text/vcard", "text/markdown",
})
_SAVED_FAMILIES: Final = ("application/vnd.openxmlformats-officedocument.", "application/vnd.oasis.opendocument.",
                          "application/vnd.ms-", "audio/", "video/")


@attrs.frozen
class UploadRow:
    """A file, or the slot that waits for one. Times in milliseconds since 1970.

    token: stands in its address, and is the name of the file in the folder. secret: SHA-256 of what a PUT must show.
    type: "" where the sender has not said one. slot_ms: until then the file must begin to come. stored_ms: 0 for a
    slot. expires_ms: 0: never.
    """

    token: str
    account: int
    secret: bytes
    name: str
    type: str
    bytes: int
    made_ms: int
    slot_ms: int
    stored_ms: int = 0
    expires_ms: int = 0


@attrs.frozen
class Usage:
    """What somebody's files take; slots that are still good count with the size they were given for."""

    files: int
    bytes: int


@attrs.define
class UploadCounts:
    """Since the daemon began. stored, sent: files that came, and answers with one; refused: slots and files."""

    stored: int = 0
    stored_bytes: int = 0
    sent: int = 0
    refused: int = 0
    deleted: int = 0


class UploadRefused(Exception):
    """A file may not come. code: the HTTP status; the text is for whoever sends it."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def hashed(secret: str) -> bytes:
    """What is kept of a slot's secret, which is random: one round does."""
    return hashlib.sha256(secret.encode()).digest()


def is_token(text: str) -> bool:
    """Could this be the token of a file?"""
    return _TOKEN.fullmatch(text) is not None


# -- names
def clean_name(name: str) -> str:
    """A file's name that means nothing to file systems, terminals and the direction of writing; never empty.

    The ending is kept, also of a name that is too long, because it tells what opens the file.
    """
    name = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    name = "".join(letter for letter in name if unicodedata.category(letter) not in _PERHAPS_HIDDEN)
    name = " ".join(name.split()).strip(". ")
    return _shortened(name) or "file"


def _shortened(name: str) -> str:
    if len(name.encode()) <= NAME_BYTES:
        return name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending.encode()) > NAME_BYTES // 4:
        stem, dot, ending = name, "", ""
    left = NAME_BYTES - len((dot + ending).encode())
    return stem.encode()[:left].decode("utf-8", "ignore").rstrip(". ") + dot + ending


def path_of(row: UploadRow) -> str:
    """The path of its address, behind the service's own: ASCII only (XEP-0363 5)."""
    return f"{row.token}/{quote(row.name, safe='')}"


def disposition(row: UploadRow, content_type: str) -> str:
    """Content-Disposition (RFC 6266): the name once for everybody and once in full (RFC 8187)."""
    kind = "inline" if is_shown(content_type) else "attachment"
    plain = _PLAIN.sub("_", unicodedata.normalize("NFKD", row.name).encode("ascii", "ignore").decode()).strip()
    if not plain or plain.startswith("."):
        plain = f"file{plain}"
    full = "" if plain == row.name else f"; filename*=UTF-8''{quote(row.name, safe='')}"
    return f'{kind}; filename="{plain}"{full}'


# -- types
def clean_type(text: str) -> str:
    """A media type without its parameters, in small letters; "" for what is none."""
    found = text.partition(";")[0].strip().lower()
    return found if _TYPE.fullmatch(found) else ""


def guessed_type(name: str) -> str:
    """What the ending of a name says."""
    return mimetypes.guess_type(name, strict=True)[0] or ANY_TYPE


def is_shown(content_type: str) -> bool:
    """May a browser show it in place, instead of only saving it?"""
    return content_type in _SHOWN


def served_type(row: UploadRow) -> str:
    """The Content-Type it is sent with: nothing that a browser would run, whatever its sender called it."""
    content_type = row.type or guessed_type(row.name)
    if content_type in _SHOWN or content_type in _SAVED or content_type.startswith(_SAVED_FAMILIES):
        return content_type
    return ANY_TYPE


def matches(name: str, content_type: str, patterns: Iterable[str]) -> bool:
    """Is it of one of these kinds? A pattern is a type ("image/png"), a family ("image/*") or an ending (".exe")."""
    lowered = name.lower()
    return any(
        lowered.endswith(pattern) if pattern.startswith(".")
        else content_type.startswith(pattern[:-1]) if pattern.endswith("/*")
        else content_type == pattern
        for pattern in map(str.lower, patterns)
    )
