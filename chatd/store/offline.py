"""Messages for somebody who is away (XEP-0160): in by group commit, out when a resource becomes available."""
from __future__ import annotations

from itertools import accumulate
from typing import Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatd.interfaces import IOfflineStore
from chatd.store.batch import GroupCommit
from chatd.store.database import Database
from chatd.store.session import HotInsert, Session

_ROWS_MOST: Final = 2**31
ROWS = HotInsert("offline", ("account", "id", "stamp_ms", "stanza"), ("int8", "int8", "int8", "bytea"))


@implementer(IOfflineStore)
class Offline:
    """See IOfflineStore."""

    def __init__(self, database: Database, batches: GroupCommit, gone: set[int]) -> None:
        """gone: accounts that were deleted; what still comes for them is dropped."""
        self._database = database
        self._batches = batches
        self._gone = gone

    def append(self, account_id: int, id: int, stanza: bytes, stamp_ms: int) -> None:
        """See IOfflineStore."""
        if account_id not in self._gone:
            self._batches.insert(ROWS, (account_id, id, stamp_ms, stanza))

    def delete(self, account_id: int, up_to_id: int) -> None:
        """See IOfflineStore."""
        if account_id not in self._gone:
            self._batches.run(
                ROWS.table, "DELETE FROM offline WHERE account = ? AND id <= ?", (account_id, up_to_id)
            )

    def drop_archived(self, account_id: int) -> Deferred[int]:
        """See IOfflineStore."""
        self._batches.flush()
        return self._batches.barrier().addCallback(lambda _: self._database.write(_drop_archived, account_id))

    def load(self, account_id: int, after_id: int = 0, rows: int | None = None, size_bytes: int | None = None
             ) -> Deferred[list[tuple[int, int, bytes]]]:
        """See IOfflineStore."""
        self._batches.flush()
        return self._batches.barrier().addCallback(
            lambda _: self._database.read(_load, account_id, after_id, rows, size_bytes))

    def count(self, account_id: int) -> Deferred[int]:
        """See IOfflineStore."""
        self._batches.flush()
        return self._batches.barrier().addCallback(lambda _: self._database.read(_count, account_id))


def _load(session: Session, account: int, after: int, rows: int | None, size: int | None
          ) -> list[tuple[int, int, bytes]]:
    """Sizes come first, so that what is too much is not even read."""
    bounds = session.all("SELECT id, length(stanza) FROM offline WHERE account = ? AND id > ? ORDER BY id LIMIT ?",
                         (account, after, _ROWS_MOST if rows is None else rows))
    if not bounds:
        return []
    last = bounds[-1][0]
    if size is not None:
        sums = accumulate(length for _, length in bounds)
        last = next((id for (id, _), total in zip(bounds, sums, strict=True) if total >= size), last)
    return session.all("SELECT id, stamp_ms, stanza FROM offline WHERE account = ? AND id > ? AND id <= ? ORDER BY id",
                       (account, after, last))


def _count(session: Session, account: int) -> int:
    row = session.one("SELECT count(*) FROM offline WHERE account = ?", (account,))
    return row[0] if row else 0


def _drop_archived(session: Session, account: int) -> int:
    """Asks before it writes: most have nothing, and then nothing is written."""
    if _count(session, account):
        session.run("DELETE FROM offline WHERE account = ? AND EXISTS (SELECT 1 FROM archive_keys k "
                    "WHERE k.account = offline.account AND k.id = offline.id)", (account,))
    return _count(session, account)
