"""The files themselves: which may come, which are there, which go. The web moves their bytes (`chatd.web.uploads`).

A file lies in the folder under its token; while it comes, under TOKEN.part. Its row is written before anything of it
lies there and deleted after it has gone, so a crash leaves rows without files, which the sweep deletes when their
time is up, and .part files, which the next start deletes, but no file that nobody knows.
"""

from __future__ import annotations

import hmac
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from zope.interface import implementer

from chatd.core.uploads import UploadCounts, UploadRefused, UploadRow, Usage, clean_type, hashed, is_token, matches
from chatd.interfaces import IUploads

__all__ = ["AT_ONCE", "PART", "SLOT_S", "Files", "Rules"]

log = Logger()

SLOT_S: Final = 300
"""How long a slot waits for its file to begin (XEP-0363 8)."""
SLOWEST: Final = 4096
"""Bytes a second, on average, that a file must come with."""
GRACE_S: Final = 60
AT_ONCE: Final = 4
"""Files of one account that come at a time."""
PART: Final = ".part"
_COMING_MOST: Final = 200
_SWEPT: Final = 200
_MIB: Final = 1024 * 1024


@attrs.frozen
class Rules:
    """What may be sent: the module's options, in bytes. types, forbidden: see `chatd.core.uploads.matches`."""

    file_bytes: int
    quota_bytes: int
    files: int
    days: int
    free_bytes: int
    types: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()

    def refusal(self, name: str, content_type: str) -> str:
        """Why a file of this name and type may not be sent, "" where it may."""
        if matches(name, content_type, self.forbidden) or (self.types and not matches(name, content_type, self.types)):
            return "Files of this kind cannot be sent here."
        return ""


@implementer(IUploads)
class Files:
    """See IUploads. store: the IUploadStore. now: seconds since 1970."""

    def __init__(self, folder: Path, store: Any, rules: Rules, now: Callable[[], float]) -> None:
        self.folder = folder
        self.rules = rules
        self.counts = UploadCounts()
        self.total = Usage(0, 0)
        self._store = store
        self._now = now
        self._coming: dict[str, UploadRow] = {}

    # -- life
    def open(self) -> Deferred[None]:
        """Makes the folder, and clears away what a crash left."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Deferred.fromCoroutine(self._open())

    async def _open(self) -> None:
        found = await deferToThread(lambda: [path.name for path in self.folder.iterdir()])
        tokens = [name for name in found if is_token(name)]
        known = await self._store.known(tokens)
        lost = [name for name in tokens if name not in known]
        # Only of those that were there before the store was asked: others may be coming by now.
        parts = [name for name in found if name.endswith(PART) and is_token(name.removesuffix(PART))
                 and name.removesuffix(PART) not in self._coming]
        await deferToThread(_unlink, [self.folder / name for name in (*lost, *parts)])
        if lost or parts:
            log.info("Removed {count} files that nobody knows from {folder}.", count=len(lost) + len(parts),
                     folder=str(self.folder))
        self.total = await self._store.total()

    @property
    def now_ms(self) -> int:
        """Now, in milliseconds since 1970."""
        return int(self._now() * 1000)

    def has_room(self, size: int) -> bool:
        """Would this file leave enough of the disk to others?"""
        coming = sum(row.bytes for row in self._coming.values())
        try:
            return shutil.disk_usage(self.folder).free - coming - size >= self.rules.free_bytes
        except OSError:
            return False

    # -- coming
    def take(self, token: str, name: str, secret: str, length: int | None,
             content_type: str | None) -> Deferred[UploadRow]:
        """See IUploads."""
        return Deferred.fromCoroutine(self._take(token, name, secret, length, content_type))

    async def _take(self, token: str, name: str, secret: str, length: int | None,
                    content_type: str | None) -> UploadRow:
        try:
            row = await self._store.get(token) if is_token(token) else None
            self._check(row, name, secret, length, content_type)
            if row is None:
                raise AssertionError("unreachable")
            if content_type is not None and not row.type:
                row = attrs.evolve(row, type=clean_type(content_type))
            self._coming[token] = row
        except UploadRefused:
            self.counts.refused += 1
            raise
        until_ms = self.now_ms + 1000 * (GRACE_S + row.bytes // SLOWEST)
        try:
            is_there = await self._store.prolong(token, max(until_ms, row.slot_ms))
        except BaseException:
            self._coming.pop(token, None)
            raise
        if not is_there:
            self._coming.pop(token, None)
            raise UploadRefused(409, "This slot has had its file.")
        return row

    def _check(self, row: UploadRow | None, name: str, secret: str, length: int | None,
               content_type: str | None) -> None:
        # A wrong secret is told nothing about the slot, so that a link to a file tells nothing about who sent it.
        if row is None or row.name != name or not hmac.compare_digest(row.secret, hashed(secret)):
            raise UploadRefused(403, "There is no slot at this address for whoever sent this.")
        if row.stored_ms:
            raise UploadRefused(409, "This slot has had its file.")
        if row.slot_ms <= self.now_ms:
            raise UploadRefused(410, "This slot has expired. Ask for a new one.")
        if row.token in self._coming:
            raise UploadRefused(409, "The file of this slot is being sent already.")
        if length is None:
            raise UploadRefused(411, "The request must say how long the file is.")
        if length != row.bytes:
            raise UploadRefused(413 if length > row.bytes else 400,
                                f"The slot is for {row.bytes} bytes, not for {length}.")
        given = clean_type(content_type) if content_type is not None else ""
        if content_type is not None and not given:
            raise UploadRefused(400, "The Content-Type is none.")
        if row.type and given and given != row.type:
            raise UploadRefused(415, f"The slot is for {row.type}, not for {given}.")
        if given and self.rules.refusal(row.name, given):
            raise UploadRefused(415, self.rules.refusal(row.name, given))
        of_account = sum(other.account == row.account for other in self._coming.values())
        if of_account >= AT_ONCE or len(self._coming) >= _COMING_MOST:
            raise UploadRefused(429, "Too many files are being sent at a time. Please try again in a moment.")
        if not self.has_room(row.bytes):
            raise UploadRefused(507, "The server has no room for files at the moment. Please try again later.")

    def stored(self, row: UploadRow) -> Deferred[bool]:
        """See IUploads."""
        return Deferred.fromCoroutine(self._stored(row))

    async def _stored(self, row: UploadRow) -> bool:
        try:
            is_kept: bool = await self._store.keep(row.token, row.type, self.now_ms)
        finally:
            self._coming.pop(row.token, None)
        if is_kept:
            self.counts.stored += 1
            self.counts.stored_bytes += row.bytes
            self.total = Usage(self.total.files + 1, self.total.bytes + row.bytes)
        return is_kept

    def given_up(self, row: UploadRow) -> None:
        """See IUploads. Its slot is as it was, so that the sender may try again for as long as it was given."""
        if self._coming.pop(row.token, None) is not None:
            self._store.prolong(row.token, row.slot_ms).addErrback(
                lambda failure: log.failure("a slot could not be given back", failure=failure))

    # -- there
    def find(self, token: str, name: str) -> Deferred[UploadRow | None]:
        """See IUploads."""
        return Deferred.fromCoroutine(self._find(token, name))

    async def _find(self, token: str, name: str) -> UploadRow | None:
        row: UploadRow | None = await self._store.get(token) if is_token(token) else None
        if row is None or not row.stored_ms or row.name != name or 0 < row.expires_ms <= self.now_ms:
            return None
        return row

    # -- going
    async def delete(self, rows: Iterable[UploadRow]) -> int:
        """Deletes files and slots; gives how many files these were. A file that is coming finds its slot gone."""
        rows = list(rows)
        await deferToThread(_unlink, [self.folder / row.token for row in rows])
        await self._store.delete([row.token for row in rows])
        # Again: one that came just before its row went.
        await deferToThread(_unlink, [self.folder / row.token for row in rows])
        files = [row for row in rows if row.stored_ms]
        self.counts.deleted += len(files)
        self.total = Usage(max(0, self.total.files - len(files)),
                           max(0, self.total.bytes - sum(row.bytes for row in files)))
        return len(files)

    async def sweep(self) -> int:
        """Deletes what is due; gives how many files these were."""
        deleted = 0
        while True:
            found = await self._store.due(self.now_ms, _SWEPT)
            rows = [row for row in found if row.token not in self._coming]
            deleted += await self.delete(rows)
            if len(found) < _SWEPT or not rows:
                return deleted


def _unlink(paths: Iterable[Path]) -> None:
    """In a thread."""
    for path in paths:
        path.unlink(missing_ok=True)
