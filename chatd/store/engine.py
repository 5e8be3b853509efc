"""Which database `store.url` names, and what an engine must be able to do."""
from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from chatd.store.errors import StoreError
from chatd.store.session import Session


class Engine(Protocol):
    """What differs between SQLite and PostgreSQL.

    late_index: the archive's rows get their index entries in rounds (`chatd.store.late_index`).
    has_readers: other connections see the same database. wants_checkpoints: `chatd.store.checkpoint` is for
    it. module: the DB-API module. error: its base exception. where: the database in words, without a
    password. dialect: the word in the names of schema files.
    """

    dialect: str
    late_index: bool
    has_readers: bool
    wants_checkpoints: bool
    module: str
    error: Any
    where: str

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments of the module's connect()."""

    def prepare(self) -> None:
        """Called once before the first connection. Raises StoreError."""

    def release(self) -> None:
        """Called after the last connection has been closed."""

    def opened_writer(self, conn: Any) -> None:
        """Called with the writing connection whenever it is new."""

    def opened_reader(self, conn: Any) -> None:
        """Called with each new reading connection."""

    def session(self, conn: Any) -> Session:
        """The verbs over a connection."""

    def is_lost(self, conn: Any) -> bool:
        """The connection is of no more use."""

    def reason(self, error: BaseException) -> str:
        """One line for the log, without data."""

    def tables(self, session: Session) -> set[str]:
        """Names of the tables there are."""

    def backup(self, session: Session, version: int) -> str:
        """Copy everything before an upgrade from that version; return where the copy is."""

    def references_off(self, session: Session) -> AbstractContextManager[None]:
        """Around an upgrade, outside its transaction: rebuilding a table keeps what refers to it."""

    def check(self, session: Session) -> None:
        """Verify references after an upgrade. Raises StoreError."""


def engine_for(url: str, state_dir: Path, durability: str) -> Engine:
    """The engine of `store.url`.

    "sqlite:FILE" (relative to state_dir), "sqlite::memory:", "postgresql://...". Raises StoreError.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest:
        from chatd.store.sqlite import SqliteEngine

        return SqliteEngine(None if rest == ":memory:" else state_dir / rest, durability)
    if scheme in ("postgresql", "postgres"):
        from chatd.store.postgres import PostgresEngine

        return PostgresEngine(url, durability)
    raise StoreError("store.url names neither an SQLite file nor a PostgreSQL database.")
