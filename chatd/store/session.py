"""What the nouns see of a database connection: a few verbs, the same over both engines.

SQL is written with `?` for a value, in the words both engines know. A Session is used in one thread, for one
job; nothing of it outlives the job.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import attrs

Row = tuple[Any, ...]
Values = Sequence[Any]


@attrs.frozen(eq=False)
class HotInsert:
    """A table that takes rows by group commit (`chatd.store.batch`).

    table, columns: where the values go; the first column is never NULL. types: PostgreSQL's names of their types.
    """

    table: str
    columns: tuple[str, ...]
    types: tuple[str, ...]

    @property
    def width(self) -> int:
        """Values a row."""
        return len(self.columns)


class Session(Protocol):
    """One connection during one job. Errors are those of the DB-API module.

    taken: the exception that says a key is there already.
    """

    taken: type[Exception]

    def begin(self) -> None:
        """Open a transaction that may write."""

    def begin_read(self) -> None:
        """Open a transaction that reads, with one view of the data throughout."""

    def commit(self) -> None:
        """Make the transaction durable."""

    def rollback(self) -> None:
        """Give the transaction up."""

    def run(self, sql: str, values: Values = ()) -> int:
        """Execute one statement; return how many rows it touched."""

    def one(self, sql: str, values: Values = ()) -> Row | None:
        """The first row, or None."""

    def all(self, sql: str, values: Values = ()) -> list[Row]:
        """All rows."""

    def script(self, sql: str) -> None:
        """Execute the statements of a schema file inside the open transaction."""

    def insert(self, into: HotInsert, values: list[Any], again: bool) -> None:
        """Insert rows given as one flat list of values, `into.width` a row.

        again: some may be there already, from an attempt whose outcome is unknown; they are left out.
        """

    def insert_steps(self, rows: int) -> int:
        """How many statements `insert` will need for that many rows (1: it is atomic by itself)."""


def marks(count: int) -> str:
    """`?,?,?`: the place for count values."""
    return ",".join("?" * count)
