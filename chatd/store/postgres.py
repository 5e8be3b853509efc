"""PostgreSQL over psycopg 3: for a site that has one already.

Needs the `postgresql` extra. Tables live in the schema that is first on the user's search_path; no rights beyond
that schema are needed (a backup before an upgrade creates a schema of its own).
"""
from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

from chatd.store.errors import StoreError
from chatd.store.session import HotInsert, Row, Session, Values, marks

try:
    import psycopg
    from psycopg.pq import TransactionStatus
    from psycopg.types.numeric import Int8BinaryDumper
    from psycopg.types.string import BytesBinaryDumper
except ImportError:
    psycopg = None  # type: ignore[assignment]

SMALL_INSERT = 8
"""Up to here one INSERT, above it COPY. psycopg keeps the translation of statements up to 50 values; measured,
COPY costs less than half from 16 rows on."""
CONNECT_TIMEOUT_S = 5
LOCK_TIMEOUT_MS = 10_000
"""How long a statement waits for a lock of another program before it fails."""
SILENT_TIMEOUT_MS = 10_000
"""A server that does not answer TCP for so long counts as gone."""


@lru_cache(maxsize=512)
def translated(sql: str) -> str:
    """psycopg's placeholder. Our SQL holds neither % nor a ? in a literal."""
    return sql.replace("?", "%s")


@lru_cache(maxsize=64)
def insert_sql(into: HotInsert, rows: int) -> str:
    """One statement for that many rows; those that are there already are left out."""
    row = f"({marks(into.width)})"
    return (
        f"INSERT INTO {into.table} ({', '.join(into.columns)}) VALUES {','.join([row] * rows)} "
        "ON CONFLICT DO NOTHING"
    )


class PostgresSession:
    """A Session over one psycopg connection in autocommit mode."""

    __slots__ = ("_conn",)
    taken: type[Exception] = psycopg.errors.UniqueViolation if psycopg else ValueError

    def __init__(self, conn: psycopg.Connection[Row]) -> None:
        self._conn = conn

    def begin(self) -> None:
        """See Session."""
        self._conn.execute("BEGIN")

    def begin_read(self) -> None:
        """See Session."""
        self._conn.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def commit(self) -> None:
        """See Session."""
        self._conn.execute("COMMIT")

    def rollback(self) -> None:
        """See Session."""
        if self._conn.info.transaction_status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN):
            self._conn.execute("ROLLBACK")

    def run(self, sql: str, values: Values = ()) -> int:
        """See Session."""
        return self._conn.execute(translated(sql), values or None).rowcount

    def one(self, sql: str, values: Values = ()) -> Row | None:
        """See Session."""
        return self._conn.execute(translated(sql), values or None).fetchone()

    def all(self, sql: str, values: Values = ()) -> list[Row]:
        """See Session."""
        return self._conn.execute(translated(sql), values or None).fetchall()

    def script(self, sql: str) -> None:
        """See Session. Without values the server takes many statements at once."""
        self._conn.execute(sql)

    def insert(self, into: HotInsert, values: list[Any], again: bool) -> None:
        """See Session."""
        rows = len(values) // into.width
        if rows > SMALL_INSERT and not again:
            self._copy(into, values)
            return
        step = SMALL_INSERT * into.width
        for start in range(0, len(values), step):
            chunk = values[start : start + step]
            self._conn.execute(translated(insert_sql(into, len(chunk) // into.width)), chunk)

    def _copy(self, into: HotInsert, values: list[Any]) -> None:
        width = into.width
        with self._conn.cursor() as cursor:
            with cursor.copy(
                f"COPY {into.table} ({', '.join(into.columns)}) FROM STDIN (FORMAT BINARY)"
            ) as copy:
                copy.set_types(into.types)
                for start in range(0, len(values), width):
                    copy.write_row(values[start : start + width])

    def insert_steps(self, rows: int) -> int:
        """See Session. COPY is one statement."""
        return 1 if rows else 0


class PostgresEngine:
    """One PostgreSQL database, named by a libpq address (postgresql://USER:PASSWORD@HOST/NAME).

    durability "full": a commit returns when the server's disk has it. "normal": synchronous_commit off; a crash
    of the server may lose the last commits (well under a second), never mix them up.
    """

    dialect = "postgresql"
    late_index = False
    has_readers = True
    wants_checkpoints = False
    module = "psycopg"
    error: Any = psycopg.Error if psycopg else ()

    def __init__(self, url: str, durability: str) -> None:
        """url: the libpq address. durability: "full" or "normal". Raises StoreError without psycopg."""
        if psycopg is None:
            raise StoreError("PostgreSQL needs psycopg: pip install 'chatd[postgresql]'.")
        self._url = url
        self._durability = durability
        try:
            known = psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            raise StoreError("store.url is not an address PostgreSQL understands.") from error
        self.where = f"the PostgreSQL database {known.get('dbname', '')} on {known.get('host', 'this machine')}"

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Of psycopg.connect. What the address itself says wins over these defaults, but for autocommit."""
        defaults: dict[str, Any] = {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "tcp_user_timeout": SILENT_TIMEOUT_MS,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "application_name": "chatd",
        }
        known = psycopg.conninfo.conninfo_to_dict(self._url)
        return (self._url,), {
            "autocommit": True,
            **{name: value for name, value in defaults.items() if name not in known},
        }

    def prepare(self) -> None:
        """Nothing: the server is somebody else's."""

    def release(self) -> None:
        """Nothing: the lock went with its connection."""

    def opened_writer(self, conn: psycopg.Connection[Row]) -> None:
        """Settings of the connection that writes, and the lock that keeps a second chatd out.

        Ids are given out in memory, so two daemons would give the same ones. The lock is waited for: after a
        crash the server may need a moment to notice that its client is gone.
        """
        self._opened(conn)
        conn.execute(f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
        try:
            conn.execute("SELECT pg_advisory_lock(hashtext('chatd'), hashtext(current_schema()))")
        except psycopg.errors.LockNotAvailable:
            conn.close()
            raise psycopg.OperationalError("it is in use by another chatd") from None
        if self._durability == "normal":
            conn.execute("SET synchronous_commit = off")

    def opened_reader(self, conn: psycopg.Connection[Row]) -> None:
        """Settings of a connection that reads."""
        self._opened(conn)

    def _opened(self, conn: psycopg.Connection[Row]) -> None:
        # Binary, and one width of integers: the type of a value is part of the key of a prepared statement.
        conn.adapters.register_dumper(int, Int8BinaryDumper)
        conn.adapters.register_dumper(bytes, BytesBinaryDumper)
        conn.execute("SET client_min_messages = warning")
        # The server, too, shall notice soon when we are gone without a word.
        conn.execute("SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3")

    def session(self, conn: psycopg.Connection[Row]) -> Session:
        """The verbs over that connection."""
        return PostgresSession(conn)

    def is_lost(self, conn: psycopg.Connection[Row]) -> bool:
        """The connection is of no more use."""
        return conn.closed

    def reason(self, error: BaseException) -> str:
        """One line for the log, without the values of a row, which PostgreSQL puts into the detail."""
        primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
        return primary or str(error).strip().partition("\n")[0]

    def tables(self, session: Session) -> set[str]:
        """Names of the tables there are."""
        found = session.all("SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = current_schema()")
        return {name for (name,) in found}

    def backup(self, session: Session, version: int) -> str:
        """Copy every table into a schema of its own, `chatd_backup_vN`; return its name.

        Rows and column types are copied, not keys and indexes. One transaction.
        """
        session.begin()
        number, name = 1, f"chatd_backup_v{version}"
        while session.one("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = ?", (name,)):
            number += 1
            name = f"chatd_backup_v{version}_{number}"
        session.run(f"CREATE SCHEMA {name}")
        for table in sorted(self.tables(session)):
            session.run(f'CREATE TABLE {name}."{table}" AS TABLE "{table}"')
        session.commit()
        return f"the schema {name}"

    def references_off(self, session: Session) -> AbstractContextManager[None]:
        """See Engine. Nothing: ALTER TABLE does not rebuild what refers to a table."""
        return nullcontext()

    def check(self, session: Session) -> None:
        """PostgreSQL checks references by itself."""
