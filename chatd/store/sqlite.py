"""SQLite: the embedded engine. WAL, one connection that writes, a few that read.

Statements that carry many rows matter here: the sqlite3 module gives up the interpreter's lock for every step of
a statement, and the daemon's busy main thread takes its time to hand it back. A batch is therefore one
statement, whatever its number of rows, and one statement is its own transaction: no BEGIN, no COMMIT.
"""
from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from chatd.store.errors import NotOurs, StoreError
from chatd.store.session import HotInsert, Row, Session, Values, marks

LEAST_VERSION = (3, 37, 0)
"""STRICT tables need 3.37, RETURNING 3.35."""
BUSY_TIMEOUT_S = 10.0
"""How long a connection waits for a lock of another program, such as a backup, before it gives up."""
LARGEST_INSERT = 512
"""Rows of one statement at most; 6 columns stay far below SQLite's 32,766 values."""
CACHE_KIB = 16 * 1024
"""Page cache of the writing connection; a reading one has a quarter."""
WAL_KEPT_BYTES = 64 * 1024 * 1024
"""The WAL file is cut back to this when it starts anew."""


def insert_size(rows: int) -> int:
    """The row count of the statement used for that many rows (at most LARGEST_INSERT).

    29 sizes instead of 512 keep the statement cache small; the places left over are filled with NULL.
    """
    if rows <= 16:
        return rows
    step = 8 if rows <= 64 else 64
    return -(-rows // step) * step


@lru_cache(maxsize=256)
def insert_sql(into: HotInsert, size: int) -> str:
    """One statement for `size` rows, of which those that begin with NULL are left out."""
    row = f"({marks(into.width)})"
    return (
        f"INSERT OR IGNORE INTO {into.table} ({', '.join(into.columns)}) "
        f"SELECT * FROM (VALUES {','.join([row] * size)}) WHERE column1 IS NOT NULL"
    )


def statements(script: str) -> Iterator[str]:
    """The single statements of a script. sqlite3's own executescript would commit first."""
    part = ""
    for line in script.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            yield part
            part = ""
    if any(line.strip() and not line.strip().startswith("--") for line in part.splitlines()):
        raise ValueError(f"a statement without an end: {part.strip()[:80]}")


class SqliteSession:
    """A Session over one sqlite3 connection in autocommit mode."""

    __slots__ = ("_conn",)
    taken: type[Exception] = sqlite3.IntegrityError

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def begin(self) -> None:
        """IMMEDIATE: the lock is taken now, not in the middle."""
        self._conn.execute("BEGIN IMMEDIATE")

    def begin_read(self) -> None:
        """A snapshot begins with its first statement."""
        self._conn.execute("BEGIN")

    def commit(self) -> None:
        """See Session."""
        self._conn.execute("COMMIT")

    def rollback(self) -> None:
        """SQLite ends the transaction by itself on some errors, a full disk among them."""
        if self._conn.in_transaction:
            self._conn.execute("ROLLBACK")

    def run(self, sql: str, values: Values = ()) -> int:
        """See Session."""
        return self._conn.execute(sql, values).rowcount

    def one(self, sql: str, values: Values = ()) -> Row | None:
        """See Session. Reads to the end: a statement left in its middle would hold its snapshot."""
        rows: list[Row] = self._conn.execute(sql, values).fetchall()
        return rows[0] if rows else None

    def all(self, sql: str, values: Values = ()) -> list[Row]:
        """See Session."""
        return self._conn.execute(sql, values).fetchall()

    def script(self, sql: str) -> None:
        """See Session."""
        for statement in statements(sql):
            self._conn.execute(statement)

    def insert(self, into: HotInsert, values: list[Any], again: bool) -> None:
        """See Session."""
        largest = LARGEST_INSERT * into.width
        for start in range(0, len(values), largest):
            chunk = values if len(values) <= largest else values[start : start + largest]
            size = insert_size(len(chunk) // into.width)
            missing = size * into.width - len(chunk)
            if missing:
                chunk = chunk + [None] * missing
            self._conn.execute(insert_sql(into, size), chunk)

    def insert_steps(self, rows: int) -> int:
        """See Session."""
        return -(-rows // LARGEST_INSERT)


class SqliteEngine:
    """One SQLite file, or `:memory:` for tests: a database that lives in its only connection.

    durability "full": a commit returns when the disk has it. "normal": when the operating system has it; a
    crash of the daemon loses nothing, a power cut may lose the last commits, the file stays sound.
    """

    dialect = "sqlite"
    late_index = True
    module = "sqlite3"
    error = sqlite3.Error

    def __init__(self, path: Path | None, durability: str) -> None:
        """path: the file, None for `:memory:`. durability: "full" or "normal"."""
        self.path = path
        self.has_readers = self.wants_checkpoints = path is not None
        self._synchronous = "FULL" if durability == "full" else "NORMAL"
        self._lock: int | None = None
        self.where = f"the SQLite file {path}" if path else "the SQLite database in memory"

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Of sqlite3.connect. Connections stay in their thread, but are closed from the main one."""
        return (str(self.path or ":memory:"),), {
            "timeout": BUSY_TIMEOUT_S,
            "isolation_level": None,
            "check_same_thread": False,
            "cached_statements": 256,
        }

    def prepare(self) -> None:
        """Before the first connection: an SQLite that can do it, and a file only we may read.

        Raises StoreError, also when another process has the store open: row numbers and ids are given out in
        memory, so two would overwrite each other's. (Reading the file by other programs does no harm.)
        """
        if sqlite3.sqlite_version_info < LEAST_VERSION:
            raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old: chatd needs 3.37 or newer.")
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Messages and password verifiers are in it. -wal and -shm inherit the mode.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{self.where} cannot be opened for writing: {error.strerror}.") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise StoreError(f"{self.where} is in use by another chatd.") from error
        self._lock = lock

    def release(self) -> None:
        """After the last connection: let another process have it. The lock also ends with the process."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def opened_writer(self, conn: sqlite3.Connection) -> None:
        """Settings of the connection that writes."""
        self._opened(conn, CACHE_KIB)
        # Checkpoints are the Checkpointer's: the automatic ones would stop the writer for their whole length.
        conn.execute("PRAGMA wal_autocheckpoint = 0")
        conn.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")

    def opened_reader(self, conn: sqlite3.Connection) -> None:
        """Settings of a connection that reads. It may still run a checkpoint."""
        self._opened(conn, CACHE_KIB // 4)
        conn.execute("PRAGMA wal_autocheckpoint = 0")
        conn.execute("PRAGMA query_only = ON")

    def _opened(self, conn: sqlite3.Connection, cache_kib: int) -> None:
        try:
            conn.execute(f"PRAGMA cache_size = -{cache_kib}")
            conn.execute("PRAGMA journal_mode = WAL")
            conn.execute(f"PRAGMA synchronous = {self._synchronous}")
            conn.execute("PRAGMA foreign_keys = ON")
            conn.execute("PRAGMA temp_store = MEMORY")
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
                raise NotOurs(f"{self.where} is no SQLite database; move it away.") from error
            raise

    def session(self, conn: sqlite3.Connection) -> Session:
        """The verbs over that connection."""
        return SqliteSession(conn)

    def is_lost(self, conn: sqlite3.Connection) -> bool:
        """A connection to a file does not get lost."""
        return False

    def reason(self, error: BaseException) -> str:
        """One line for the log."""
        return str(error)

    def tables(self, session: Session) -> set[str]:
        """Names of the tables there are."""
        return {name for (name,) in session.all("SELECT name FROM sqlite_schema WHERE type = 'table'")}

    def backup(self, session: Session, version: int) -> str:
        """Copy the whole database beside the file; return where. Called outside a transaction.

        VACUUM INTO writes a file of its own that needs no WAL. It gets its name when it is complete.
        """
        if self.path is None:
            return "nowhere: it is in memory"
        number, target = 1, self.path.with_name(f"{self.path.name}.backup-v{version}")
        while target.exists():
            number += 1
            target = self.path.with_name(f"{self.path.name}.backup-v{version}-{number}")
        partial = target.with_name(target.name + ".partial")
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        session.run("VACUUM INTO ?", (str(partial),))
        descriptor = os.open(partial, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(partial, target)
        return str(target)

    @contextmanager
    def references_off(self, session: Session) -> Iterator[None]:
        """See Engine. SQLite heeds this only between transactions."""
        session.run("PRAGMA foreign_keys = OFF")
        try:
            yield
        finally:
            session.run("PRAGMA foreign_keys = ON")

    def check(self, session: Session) -> None:
        """After an upgrade, inside its transaction. Raises StoreError if a reference points nowhere."""
        broken = session.all("PRAGMA foreign_key_check")
        if broken:
            raise StoreError(f"{self.where}: after the upgrade, rows of {broken[0][0]} refer to nothing.")
