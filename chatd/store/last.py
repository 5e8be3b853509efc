"""Last activity (XEP-0012)."""
from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatd.interfaces import ILastStore
from chatd.store.database import Database
from chatd.store.lazy import LazyWrites
from chatd.store.session import Session

# Part of a batch, so it must not fail when the account is just gone.
SET = (
    "INSERT INTO last (account, stamp_ms, status) "
    "SELECT ?, ?, ? WHERE EXISTS (SELECT 1 FROM account WHERE id = ?) "
    "ON CONFLICT (account) DO UPDATE SET stamp_ms = excluded.stamp_ms, status = excluded.status"
)


@implementer(ILastStore)
class Last:
    """See ILastStore."""

    def __init__(self, database: Database, lazily: LazyWrites) -> None:
        self._database = database
        self._lazily = lazily

    def get(self, account_id: int) -> Deferred[tuple[int, str] | None]:
        """See ILastStore."""
        self._lazily.flush()
        return self._database.read(_get, account_id)

    def set(self, account_id: int, stamp_ms: int, status: str) -> None:
        """See ILastStore."""
        self._lazily.write("last", SET, account_id, (account_id, stamp_ms, status, account_id))


def _get(session: Session, account: int) -> tuple[int, str] | None:
    row = session.one("SELECT stamp_ms, status FROM last WHERE account = ?", (account,))
    return (row[0], row[1]) if row else None
