"""SQLite: moves the WAL's pages into the database file, beside the writer instead of inside a commit.

SQLite's automatic checkpoint runs inside whichever commit crosses the threshold and holds it up for tens of
milliseconds. Here a reading connection does the work while the writer goes on. That alone never lets the WAL begin
anew under steady load, because there is always a newer commit; so when the WAL has grown past a bound, the writer
itself does the small rest, between two batches.
"""
from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatd.store.database import Database
from chatd.store.session import Session

log = Logger()

PAUSE_S = 1.0
"""From the first commit after a checkpoint to the next one, where much is written meanwhile ..."""
MUCH_ROWS = 1000
"""... which is so much; a commit that comes during a checkpoint waits longer for the disk ..."""
LONGEST_PAUSE_S = 10.0
"""... so that few rows wait that long."""
LONG_WAL_PAGES = 2000
"""A WAL of more pages (4 KiB each) is finished by the writer, so that it begins anew."""


def _checkpoint(session: Session) -> tuple[int, int]:
    """Returns the WAL's length in pages, and how many of them are in the database file."""
    row = session.one("PRAGMA wal_checkpoint(PASSIVE)")
    return (row[1], row[2]) if row else (0, 0)


class Checkpointer:
    """Runs a checkpoint some time after commits."""

    def __init__(self, database: Database, reactor: Any) -> None:
        """reactor: its callLater."""
        self._database = database
        self._reactor = reactor
        self._timer: IDelayedCall | None = None
        self._rows = 0
        self._first_s = 0.0
        self._is_running = False
        self._is_closed = False

    def wrote(self, rows: int) -> None:
        """So many rows were committed."""
        if self._is_running or self._is_closed:
            return
        before, self._rows = self._rows, self._rows + rows
        if self._timer is None:
            self._first_s = self._reactor.seconds()
            self._timer = self._reactor.callLater(LONGEST_PAUSE_S, self._run)
            before = 0
        if before < MUCH_ROWS <= self._rows:
            self._timer.reset(max(0.0, self._first_s + PAUSE_S - self._reactor.seconds()))

    def close(self) -> None:
        """No further checkpoints; SQLite makes the last one when its last connection closes."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run(self) -> None:
        self._timer = None
        self._rows = 0
        self._is_running = True
        self._database.read_beside(_checkpoint).addCallback(self._beside_done).addBoth(self._ended)

    def _beside_done(self, pages: tuple[int, int]) -> Any:
        length, _ = pages
        if length > LONG_WAL_PAGES and not self._is_closed:
            return self._database.write_alone(_checkpoint)
        return None

    def _ended(self, result: Any) -> None:
        self._is_running = False
        if isinstance(result, Failure) and not self._is_closed:
            # The WAL only grows a little longer; the next commit brings the next attempt.
            log.warn("A checkpoint failed: {reason}", reason=result.getErrorMessage())
