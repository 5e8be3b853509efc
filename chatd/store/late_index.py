"""SQLite: the archive's index entries are made later than its rows.

The rows of a commit belong to many accounts. With an ordinary index each of them would change pages all over the
file, and it is the number of changed pages that a commit costs. So rows are appended to `archive` without any
index; which of them have no entry yet is kept in memory. When there are more than TAIL_ROWS of those, each batch also
enters some older ones into `archive_index`: account by account, so that the rows one account has gathered meanwhile
share their pages. A query has its account's entries made first.

`archive_mark` says how far the index surely reaches. What lies behind is entered when the store is opened, so
a crash costs nothing but that.
"""

from __future__ import annotations

from collections import deque

from chatd.store.batch import GroupCommit
from chatd.store.errors import StoreError
from chatd.store.session import HotInsert, Session

TAIL_ROWS = 16_384
"""So many rows may be without an entry. They take about 3 MB; entering them at a start takes part of a second."""
SLICE_ROWS = 128
"""At least so many rows are entered together."""

ENTRIES = HotInsert(
    "archive_index", ("account", "id", "with_bare", "seq"), ("int8", "int8", "text", "int8")
)
Entry = tuple[int, int, str, int]


def enter_rows(session: Session) -> int:
    """Enter all rows behind the mark, when the store is opened; return the highest row number that was used."""
    session.run(
        "INSERT OR IGNORE INTO archive_index (account, id, with_bare, seq) "
        "SELECT account, id, with_bare, seq FROM archive "
        "WHERE seq > (SELECT seq FROM archive_mark) ORDER BY account, id"
    )
    session.run("UPDATE archive_mark SET seq = max(seq, (SELECT coalesce(max(seq), 0) FROM archive))")
    row = session.one("SELECT seq FROM archive_mark")
    return row[0] if row else 0


class LateIndex:
    """Knows which rows are not in the index yet, and enters them."""

    def __init__(self, batches: GroupCommit, last_seq: int) -> None:
        """last_seq: the highest row number in use; all up to it are in the index."""
        self._batches = batches
        self._seq = last_seq
        self._mark = last_seq
        self._fresh: list[Entry] = []
        self._fresh_batch = -1
        self._uncommitted = 0
        """Batches under way that hold rows."""
        self._tail: dict[int, list[Entry]] = {}
        self._tail_rows = 0
        self._moving: dict[int, deque[list[Entry]]] = {}
        """Entries that are being written, oldest first."""
        self._cycle: list[int] = []
        """Accounts whose turn is still to come, the next one last."""

    def added(self, account: int, id: int, with_bare: str) -> int:
        """The number of the row that is put into the collecting batch right after this call."""
        self._seq = seq = self._seq + 1
        batch = self._batches.number
        if self._fresh_batch != batch:
            self._fresh_batch = batch
            self._fresh = []
            self._uncommitted += 1
            self._batches.outcome(self._landed, self._fresh)
        self._fresh.append((account, id, with_bare, seq))
        return seq

    async def complete_for(self, account: int) -> None:
        """Return when the index holds all durable rows of that account, those added just now included.

        Raises StoreError when the entries cannot be written.
        """
        if self._uncommitted:
            self._batches.flush()
            try:
                await self._batches.barrier()
            except StoreError:
                # Rows that could not be written are not there; all others can be found.
                pass
        entries = self._tail.pop(account, None)
        if entries is not None:
            self._tail_rows -= len(entries)
            self._enter([(account, entries)])
        if account in self._moving:
            self._batches.flush()
            await self._batches.barrier()

    def accounts(self) -> set[int]:
        """Accounts that may have rows without an entry."""
        return {*self._tail, *self._moving}

    def _landed(self, error: Exception | None, entries: list[Entry]) -> None:
        """The batch with these rows has ended."""
        self._uncommitted -= 1
        if error is not None:
            return
        tail = self._tail
        for entry in entries:
            known = tail.get(entry[0])
            if known is None:
                tail[entry[0]] = [entry]
            else:
                known.append(entry)
        self._tail_rows += len(entries)
        if self._tail_rows >= TAIL_ROWS + SLICE_ROWS:
            self._enter(self._slice(self._tail_rows - TAIL_ROWS))

    def _slice(self, rows: int) -> list[tuple[int, list[Entry]]]:
        """Take at least so many rows out of the tail, account by account in the order of their numbers."""
        taken = []
        while rows > 0 and self._tail:
            if not self._cycle:
                self._begin_cycle()
            account = self._cycle.pop()
            entries = self._tail.pop(account, None)
            if entries is not None:
                taken.append((account, entries))
                self._tail_rows -= len(entries)
                rows -= len(entries)
        return taken

    def _begin_cycle(self) -> None:
        """All accounts that have rows now get their turn; and the mark moves."""
        self._cycle = sorted(self._tail, reverse=True)
        # Each list is in the order of the numbers; rows that are not committed yet have higher ones.
        lists = [*self._tail.values(), *(parts[0] for parts in self._moving.values())]
        mark = min(entries[0][3] for entries in lists) - 1
        if mark > self._mark:
            self._mark = mark
            self._batches.run("archive_mark", "UPDATE archive_mark SET seq = ?", (mark,))

    def _enter(self, parts: list[tuple[int, list[Entry]]]) -> None:
        """Put entries into the collecting batch."""
        for account, entries in parts:
            self._moving.setdefault(account, deque()).append(entries)
            for entry in entries:
                self._batches.insert(ENTRIES, entry)
        self._batches.outcome(self._entered, parts)

    def _entered(self, error: Exception | None, parts: list[tuple[int, list[Entry]]]) -> None:
        """The batch with these entries has ended. Batches end in their order, so they are the oldest moving."""
        for account, entries in parts:
            moving = self._moving[account]
            moving.popleft()
            if not moving:
                del self._moving[account]
            if error is not None:
                known = self._tail.get(account, [])
                self._tail[account] = sorted(entries + known, key=lambda entry: entry[3])
                self._tail_rows += len(entries)
