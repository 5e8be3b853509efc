"""Private XML storage (XEP-0049)."""
from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatd.interfaces import IPrivateStore
from chatd.store.database import Database
from chatd.store.session import Session


@implementer(IPrivateStore)
class Private:
    """See IPrivateStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, account_id: int, name: str) -> Deferred[bytes | None]:
        """See IPrivateStore."""
        return self._database.read(_get, account_id, name)

    def all(self, account_id: int) -> Deferred[list[bytes]]:
        """See IPrivateStore."""
        return self._database.read(_all, account_id)

    def set(self, account_id: int, values: Mapping[str, bytes], most: int) -> Deferred[bool]:
        """See IPrivateStore."""
        return self._database.write(_set, account_id, dict(values), most)


def _get(session: Session, account: int, name: str) -> bytes | None:
    row = session.one("SELECT value FROM private WHERE account = ? AND name = ?", (account, name))
    return row[0] if row else None


def _all(session: Session, account: int) -> list[bytes]:
    return [value for (value,) in session.all("SELECT value FROM private WHERE account = ? ORDER BY name", (account,))]


def _set(session: Session, account: int, values: dict[str, bytes], most: int) -> bool:
    there = {name for (name,) in session.all("SELECT name FROM private WHERE account = ?", (account,))}
    if values.keys() - there and len(values.keys() | there) > most:
        return False
    for name, value in values.items():
        session.run(
            "INSERT INTO private (account, name, value) VALUES (?, ?, ?) "
            "ON CONFLICT (account, name) DO UPDATE SET value = excluded.value",
            (account, name, value),
        )
    return True
