"""Message archives (XEP-0313): rows in by group commit, pages out.

An archive is ordered by id, and an id carries its time, so bounds of time are bounds of id. What may be asked is
`chatd.core.archive.ArchiveQuery`.
"""
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatd.core.archive import ArchivePage, ArchivePrefs, ArchiveQuery, ArchiveRow, ItemNotFound
from chatd.core.fulltext import Seeker
from chatd.interfaces import IArchiveStore
from chatd.store.batch import GroupCommit
from chatd.store.database import Database
from chatd.store.ids import MAX_ID, first_id_of, last_id_of
from chatd.store.late_index import LateIndex
from chatd.store.session import HotInsert, Session, marks

T = TypeVar("T")

ROWS = HotInsert(
    "archive",
    ("account", "id", "with_bare", "with_resource", "stamp_ms", "stanza"),
    ("int8", "int8", "text", "text", "int8", "bytea"),
)
NUMBERED_ROWS = HotInsert("archive", ("seq", *ROWS.columns), ("int8", *ROWS.types))
"""With the row's number, for the late index of SQLite."""
COUNT_MAX = 10_000
"""Larger results are not counted unless the count is all that is asked for: in an archive of a million rows it
would cost a hundred times the page (measured: 144 ms and 0.3 ms)."""
SEARCH_ROWS = 50_000
"""So many messages one search looks at, some 0.4 s of work; who wants more asks again."""
SEARCH_SLICE = 250
SLICE = 500
"""Rows deleted in one transaction; more would keep the writer from the batches for too long."""


@implementer(IArchiveStore)
class Archive:
    """See IArchiveStore."""

    def __init__(
        self, database: Database, batches: GroupCommit, gone: set[int], late_index: LateIndex | None
    ) -> None:
        """gone: accounts that were deleted; what still comes for them is dropped. late_index: on SQLite."""
        self._database = database
        self._batches = batches
        self._gone = gone
        self._late_index = late_index

    def append(
        self, account_id: int, id: int, with_bare: str, with_resource: str, stanza: bytes, stamp_ms: int
    ) -> None:
        """See IArchiveStore."""
        if account_id in self._gone:
            return
        row = (account_id, id, with_bare, with_resource, stamp_ms, stanza)
        if self._late_index is None:
            self._batches.insert(ROWS, row)
        else:
            seq = self._late_index.added(account_id, id, with_bare)
            self._batches.insert(NUMBERED_ROWS, (seq, *row))

    def query(self, account_id: int, query: ArchiveQuery) -> Deferred[ArchivePage]:
        """See IArchiveStore."""
        if query.words:
            return Deferred.fromCoroutine(self._search(account_id, query))
        return Deferred.fromCoroutine(self._read(account_id, _page, query))

    async def _search(self, account_id: int, query: ArchiveQuery) -> ArchivePage:
        """Slice by slice, so that others' reading comes in between."""
        await self._complete(account_id)
        search = Search(query)
        while not await self._database.read(search.step, account_id):
            pass
        return search.page

    def replace(self, account_id: int, id: int, stanza: bytes) -> Deferred[bool]:
        """See IArchiveStore."""
        return Deferred.fromCoroutine(self._replace(account_id, id, stanza))

    async def _replace(self, account_id: int, id: int, stanza: bytes) -> bool:
        await self._complete(account_id)
        return await self._database.write(_replace, account_id, id, stanza, self._late_index is not None)

    def metadata(self, account_id: int) -> Deferred[tuple[int, int, int, int] | None]:
        """See IArchiveStore."""
        return Deferred.fromCoroutine(self._read(account_id, _metadata))

    def prefs(self, account_id: int) -> Deferred[ArchivePrefs | None]:
        """See IArchiveStore."""
        return self._database.read(load_prefs, account_id)

    def set_prefs(self, account_id: int, prefs: ArchivePrefs) -> Deferred[None]:
        """See IArchiveStore."""
        return self._database.write(_set_prefs, account_id, prefs)

    def expire(self, before_stamp_ms: int) -> Deferred[int]:
        """See IArchiveStore."""
        return Deferred.fromCoroutine(self._expire(before_stamp_ms))

    async def _expire(self, before_stamp_ms: int) -> int:
        bound = first_id_of(before_stamp_ms) - 1
        self._batches.flush()
        await self._batches.barrier()
        accounts = set(await self._database.read(_accounts_with, bound))
        if self._late_index is not None:
            accounts |= self._late_index.accounts()
        deleted = 0
        for account in sorted(accounts):
            deleted += await self.delete_through(account, bound)
        return deleted

    async def delete_through(self, account_id: int, bound: int = MAX_ID) -> int:
        """Delete an account's rows up to that id, slice by slice; return how many there were."""
        await self._complete(account_id)
        deleted = 0
        while True:
            count, is_last = await self._database.write(
                _delete_slice, account_id, bound, self._late_index is not None
            )
            deleted += count
            if is_last:
                return deleted

    async def _complete(self, account_id: int) -> None:
        """Return when all rows of the account that were appended so far are durable and can be found."""
        if self._late_index is not None:
            await self._late_index.complete_for(account_id)
        else:
            self._batches.flush()
            await self._batches.barrier()

    async def _read(self, account_id: int, job: Callable[..., T], *args: Any) -> T:
        await self._complete(account_id)
        return await self._database.read(job, account_id, *args)


def _filters(session: Session, account: int, query: ArchiveQuery) -> tuple[str, list[Any]]:
    """The WHERE of everything a query says but paging. Raises ItemNotFound."""
    where: list[str] = ["account = ?"]
    values: list[Any] = [account]
    named = {id for id in (query.before_id, query.after_id, *query.ids) if id is not None}
    _require(session, account, named)
    if query.with_jid is not None:
        bare, _, resource = query.with_jid.partition("/")
        where.append("with_bare = ?")
        values.append(bare)
        if resource:
            where.append("with_resource = ?")
            values.append(resource)
    if query.with_resource is not None:
        where.append("with_resource = ?")
        values.append(query.with_resource)
    # One bound each way: with several SQLite would seek by one of them and filter by the others.
    low = [] if query.start_ms is None else [first_id_of(query.start_ms)]
    high = [] if query.end_ms is None else [last_id_of(query.end_ms)]
    low += [] if query.after_id is None else [query.after_id + 1]
    high += [] if query.before_id is None else [query.before_id - 1]
    if low:
        where.append("id >= ?")
        values.append(max(low))
    if high:
        where.append("id <= ?")
        values.append(min(high))
    if query.ids:
        where.append(f"id IN ({marks(len(query.ids))})")
        values += query.ids
    return " AND ".join(where), values


def _require(session: Session, account: int, ids: set[int]) -> None:
    """Raise ItemNotFound unless all these ids are in the archive."""
    if any(not 0 < id <= MAX_ID for id in ids):
        raise ItemNotFound
    if ids:
        row = session.one(
            f"SELECT count(*) FROM archive_keys WHERE account = ? AND id IN ({marks(len(ids))})", (account, *ids)
        )
        if row is None or row[0] < len(ids):
            raise ItemNotFound


def _page(session: Session, account: int, query: ArchiveQuery) -> ArchivePage:
    session.begin_read()
    try:
        return _page_of(session, account, query)
    finally:
        session.rollback()


def _page_of(session: Session, account: int, query: ArchiveQuery) -> ArchivePage:
    where, values = _filters(session, account, query)
    has_resource = query.with_resource is not None or (query.with_jid is not None and "/" in query.with_jid)
    keys = "archive_rows" if has_resource else "archive_keys"
    _require(session, account, {id for id in (query.before, query.after) if isinstance(id, int)})
    if query.max <= 0:
        count = _count(session, keys, where, values)
        return ArchivePage((), count == 0, count, None)
    before = query.before if isinstance(query.before, int) else None
    rows = _rows(session, where, values, query.after, before, query.before is not None, query.max + 1)
    is_complete = len(rows) <= query.max
    del rows[query.max :]
    if query.before is not None:
        rows.reverse()
    limited = _count(session, keys, where, values, COUNT_MAX + 1)
    if limited > COUNT_MAX:
        return ArchivePage(tuple(rows), is_complete, None, None)
    index = _count(session, keys, f"{where} AND id < ?", [*values, rows[0].id]) if rows else None
    return ArchivePage(tuple(rows), is_complete, limited, index)


def _rows(session: Session, where: str, values: list[Any], after: int | None, before: int | None, is_backward: bool,
          most: int) -> list[ArchiveRow]:
    """Rows behind one id and ahead of another, in the direction of paging."""
    bounds = list(values)
    if after is not None:
        where += " AND id > ?"
        bounds.append(after)
    if before is not None:
        where += " AND id < ?"
        bounds.append(before)
    found = session.all(
        f"SELECT id, stamp_ms, stanza FROM archive_rows WHERE {where} "
        f"ORDER BY id {'DESC' if is_backward else 'ASC'} LIMIT ?",
        (*bounds, most),
    )
    return [ArchiveRow(*row) for row in found]


class Search:
    """A page of the messages with certain words (XEP-0431), put together slice by slice.

    It ends at SEARCH_ROWS, found or not: its page then says how far it came, and whoever asks goes on from there.
    Where only the count is asked for, none of the messages is kept.
    """

    page: ArchivePage
    """There at the end."""

    def __init__(self, query: ArchiveQuery) -> None:
        self._query = query
        self._most = query.max if query.max > 0 else SEARCH_ROWS
        self._is_backward = query.before is not None
        self._seeker = Seeker(query.words, self._is_backward)
        self._found: list[ArchiveRow] = []
        self._count = 0
        self._looked_at = 0
        self._at: int | None = None

    def step(self, session: Session, account: int) -> bool:
        """Look at the next slice; was it the last? Raises ItemNotFound."""
        session.begin_read()
        try:
            rows = self._slice(session, account)
        finally:
            session.rollback()
        for row in rows:
            self._looked_at += 1
            self._at = row.id
            if self._seeker.finds(row.stanza):
                self._count += 1
                if self._query.max > 0:
                    self._found.append(row)
                if self._count == self._most:
                    break
        is_all = len(rows) < SEARCH_SLICE and (not rows or self._at == rows[-1].id)
        if not is_all and self._looked_at < SEARCH_ROWS and self._count < self._most:
            return False
        if self._query.max <= 0:
            self.page = ArchivePage((), is_all and not self._count, self._count, None)
        else:
            found = self._found[::-1] if self._is_backward else self._found
            self.page = ArchivePage(tuple(found), is_all, reached=None if is_all else self._at)
        return True

    def _slice(self, session: Session, account: int) -> list[ArchiveRow]:
        query = self._query
        after, before = query.after, query.before if isinstance(query.before, int) else None
        if self._at is None:
            _require(session, account, {id for id in (after, before) if id is not None})
            self._where = _filters(session, account, query)
        elif self._is_backward:
            before = self._at
        else:
            after = self._at
        return _rows(session, *self._where, after, before, self._is_backward, SEARCH_SLICE)


def _count(session: Session, keys: str, where: str, values: list[Any], limit: int | None = None) -> int:
    """How many rows match; counting ends at the limit."""
    if limit is None:
        row = session.one(f"SELECT count(*) FROM {keys} WHERE {where}", values)
    else:
        found = f"SELECT 1 FROM {keys} WHERE {where} LIMIT ?"
        row = session.one(f"SELECT count(*) FROM ({found}) AS found", (*values, limit))
    return row[0] if row else 0


def _metadata(session: Session, account: int) -> tuple[int, int, int, int] | None:
    ends = session.all(
        "SELECT id, stamp_ms FROM archive_rows WHERE account = ? AND id IN ("
        "(SELECT min(id) FROM archive_keys WHERE account = ?), (SELECT max(id) FROM archive_keys WHERE account = ?)"
        ") ORDER BY id",
        (account, account, account),
    )
    return (*ends[0], *ends[-1]) if ends else None


def load_prefs(session: Session, account: int) -> ArchivePrefs | None:
    """What one account wants kept, None where it never said."""
    row = session.one("SELECT default_for, always, never FROM archive_prefs WHERE account = ?", (account,))
    return ArchivePrefs(row[0], tuple(json.loads(row[1])), tuple(json.loads(row[2]))) if row else None


def _set_prefs(session: Session, account: int, prefs: ArchivePrefs) -> None:
    session.run(
        "INSERT INTO archive_prefs (account, default_for, always, never) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (account) DO UPDATE SET default_for = excluded.default_for, "
        "always = excluded.always, never = excluded.never",
        (account, prefs.default, json.dumps(prefs.always), json.dumps(prefs.never)),
    )


def _replace(session: Session, account: int, id: int, stanza: bytes, late_index: bool) -> bool:
    if late_index:
        which = "seq = (SELECT seq FROM archive_index WHERE account = ? AND id = ?)"
    else:
        which = "account = ? AND id = ?"
    return session.run(f"UPDATE archive SET stanza = ? WHERE {which}", (stanza, account, id)) > 0


def _accounts_with(session: Session, bound: int) -> list[int]:
    """Accounts, also those being deleted, and rooms (by -id) that have rows up to that id."""
    found = session.all(
        "SELECT id FROM (SELECT id FROM account UNION SELECT account FROM account_gone UNION SELECT -id FROM room) "
        "AS known "
        "WHERE EXISTS (SELECT 1 FROM archive_keys k WHERE k.account = known.id AND k.id <= ?)",
        (bound,),
    )
    return [account for (account,) in found]


def _delete_slice(session: Session, account: int, bound: int, late_index: bool) -> tuple[int, bool]:
    """Delete up to SLICE rows of an account, the oldest first. Returns how many, and whether they were the last."""
    next_slice = session.one(
        "SELECT id FROM archive_keys WHERE account = ? AND id <= ? ORDER BY id LIMIT 1 OFFSET ?",
        (account, bound, SLICE),
    )
    through = bound if next_slice is None else next_slice[0] - 1
    which = (account, through)
    if late_index:
        session.run(
            "DELETE FROM archive WHERE seq IN (SELECT seq FROM archive_index WHERE account = ? AND id <= ?)", which
        )
        count = session.run("DELETE FROM archive_index WHERE account = ? AND id <= ?", which)
    else:
        count = session.run("DELETE FROM archive WHERE account = ? AND id <= ?", which)
    return count, next_slice is None
