"""Last activity (XEP-0012)."""
from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatd.interfaces import ILastStore
from chatd.store.database import Database
from chatd.store.session import Session


@implementer(ILastStore)
class Last:
    """See ILastStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, account_id: int) -> Deferred[tuple[int, str] | None]:
        """See ILastStore."""
        return self._database.read(_get, account_id)

    def set(self, account_id: int, stamp_ms: int, status: str) -> Deferred[None]:
        """See ILastStore."""
        return self._database.write(_set, account_id, stamp_ms, status)


def _get(session: Session, account: int) -> tuple[int, str] | None:
    row = session.one("SELECT stamp_ms, status FROM last WHERE account = ?", (account,))
    return (row[0], row[1]) if row else None


def _set(session: Session, account: int, stamp_ms: int, status: str) -> None:
    session.run(
        "INSERT INTO last (account, stamp_ms, status) VALUES (?, ?, ?) "
        "ON CONFLICT (account) DO UPDATE SET stamp_ms = excluded.stamp_ms, status = excluded.status",
        (account, stamp_ms, status),
    )
