"""Files that people sent, and slots that wait for one (XEP-0363). The files themselves are the daemon's business."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatd.core.uploads import UploadRow, Usage
from chatd.interfaces import IUploadStore
from chatd.store.database import Database
from chatd.store.session import Session

_COLUMNS: Final = tuple(field.name for field in attrs.fields(UploadRow))
_ALL: Final = ", ".join(_COLUMNS)
_COUNTS: Final = "(stored_ms > 0 OR slot_ms > ?)"
"""A file, or a slot that is still good."""
_AT_ONCE: Final = 500


@implementer(IUploadStore)
class Uploads:
    """See IUploadStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(self, row: UploadRow, files: int, most: int, slots: int) -> Deferred[str]:
        """See IUploadStore."""
        return self._database.write(_reserve, row, files, most, slots)

    def get(self, token: str) -> Deferred[UploadRow | None]:
        """See IUploadStore."""
        return self._database.read(_get, token)

    def prolong(self, token: str, slot_ms: int) -> Deferred[bool]:
        """See IUploadStore."""
        return self._database.write(_prolong, token, slot_ms)

    def keep(self, token: str, type: str, stored_ms: int) -> Deferred[bool]:
        """See IUploadStore."""
        return self._database.write(_keep, token, type, stored_ms)

    def usage(self, account_id: int, now_ms: int) -> Deferred[Usage]:
        """See IUploadStore."""
        return self._database.read(_usage, account_id, now_ms)

    def total(self) -> Deferred[Usage]:
        """See IUploadStore."""
        return self._database.read(_total)

    def users(self) -> Deferred[list[tuple[str, Usage]]]:
        """See IUploadStore."""
        return self._database.read(_users)

    def of(self, account_id: int) -> Deferred[list[UploadRow]]:
        """See IUploadStore."""
        return self._database.read(_of, account_id)

    def due(self, now_ms: int, most: int) -> Deferred[list[UploadRow]]:
        """See IUploadStore."""
        return self._database.read(_due, now_ms, most)

    def known(self, tokens: Iterable[str]) -> Deferred[set[str]]:
        """See IUploadStore."""
        return self._database.read(_known, list(tokens))

    def delete(self, tokens: Iterable[str]) -> Deferred[None]:
        """See IUploadStore."""
        return self._database.write(_delete, list(tokens))


def _reserve(session: Session, row: UploadRow, files: int, most: int, slots: int) -> str:
    usage = _usage(session, row.account, row.made_ms)
    open_slots = session.one("SELECT count(*) FROM upload WHERE account = ? AND stored_ms = 0 AND slot_ms > ?",
                             (row.account, row.made_ms))
    if open_slots is not None and open_slots[0] >= slots:
        return "slots"
    if usage.files >= files:
        return "files"
    if usage.bytes + row.bytes > most:
        return "bytes"
    marks = ", ".join("?" for _ in _COLUMNS)
    session.run(f"INSERT INTO upload ({_ALL}) VALUES ({marks})", attrs.astuple(row))
    return ""


def _row(found: tuple[object, ...]) -> UploadRow:
    return UploadRow(*found)  # type: ignore[arg-type]


def _get(session: Session, token: str) -> UploadRow | None:
    found = session.one(f"SELECT {_ALL} FROM upload WHERE token = ?", (token,))
    return _row(found) if found is not None else None


def _prolong(session: Session, token: str, slot_ms: int) -> bool:
    return session.run("UPDATE upload SET slot_ms = ? WHERE token = ? AND stored_ms = 0", (slot_ms, token)) == 1


def _keep(session: Session, token: str, type: str, stored_ms: int) -> bool:
    return session.run("UPDATE upload SET type = ?, stored_ms = ? WHERE token = ? AND stored_ms = 0",
                       (type, stored_ms, token)) == 1


def _usage(session: Session, account: int, now_ms: int) -> Usage:
    found = session.one(f"SELECT count(*), sum(bytes) FROM upload WHERE account = ? AND {_COUNTS}", (account, now_ms))
    assert found is not None
    return Usage(int(found[0]), int(found[1] or 0))


def _total(session: Session) -> Usage:
    found = session.one("SELECT count(*), sum(bytes) FROM upload WHERE stored_ms > 0")
    assert found is not None
    return Usage(int(found[0]), int(found[1] or 0))


def _users(session: Session) -> list[tuple[str, Usage]]:
    return [(f"{local}@{domain}", Usage(int(files), int(size))) for local, domain, files, size in session.all(
        "SELECT a.local, a.domain, count(*), sum(u.bytes) FROM upload u JOIN account a ON a.id = u.account "
        "WHERE u.stored_ms > 0 GROUP BY a.local, a.domain ORDER BY sum(u.bytes) DESC, a.domain, a.local")]


def _of(session: Session, account: int) -> list[UploadRow]:
    return [_row(found) for found in session.all(
        f"SELECT {_ALL} FROM upload WHERE account = ? ORDER BY made_ms, token", (account,))]


def _due(session: Session, now_ms: int, most: int) -> list[UploadRow]:
    return [_row(found) for found in session.all(
        f"SELECT {_ALL} FROM upload u WHERE (stored_ms = 0 AND slot_ms <= ?) OR (expires_ms > 0 AND expires_ms <= ?) "
        "OR NOT EXISTS (SELECT 1 FROM account a WHERE a.id = u.account) ORDER BY made_ms LIMIT ?",
        (now_ms, now_ms, most))]


def _known(session: Session, tokens: list[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(tokens), _AT_ONCE):
        some = tokens[start:start + _AT_ONCE]
        marks = ", ".join("?" for _ in some)
        found.update(token for (token,) in session.all(f"SELECT token FROM upload WHERE token IN ({marks})", some))
    return found


def _delete(session: Session, tokens: list[str]) -> None:
    for token in tokens:
        session.run("DELETE FROM upload WHERE token = ?", (token,))
