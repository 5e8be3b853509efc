"""Group commit: the rows of many stanzas in one transaction.

The hot path adds rows and goes on; whoever must not speak before the rows are durable leaves a callback. A batch
is written a few milliseconds after its first row, in the writer's thread; the next one collects meanwhile. After
a pause that long there is no crowd to wait for, and the batch is written in the next turn of the reactor.
Batches are committed in the order they were begun, and callbacks are called in the order they were left.

When a commit fails, its callbacks get the error. So do those that were left since, up to the moment the failure
is known: each promises that *all* rows before it are durable, and some now are not.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatd.store.database import Database
from chatd.store.errors import StoreClosed, StoreError
from chatd.store.session import HotInsert, Session

log = Logger()

FULL_BATCH = 512
"""A batch of so many rows does not wait for its time."""

Callback = Callable[..., object]
Soon = Callable[[Callable[[], None]], object]
Step = tuple[HotInsert | str, Any]
"""Rows for a table, all values in one list; or a statement and its values."""


class _Batch:
    """Rows that are committed together. steps are done in order; fills finds the open one of a table."""

    __slots__ = ("callbacks", "failed_before", "fills", "is_due", "is_soon", "outcomes", "rows", "steps", "timer",
                 "tried")

    def __init__(self) -> None:
        self.rows = 0
        self.steps: list[Step] = []
        self.fills: dict[str, list[Any]] = {}
        self.outcomes: list[tuple[Callback, Any]] = []
        self.callbacks: list[tuple[Callback, tuple[Any, ...]]] = []
        self.failed_before: tuple[int, Exception] | None = None
        """So many of the callbacks answer for rows of an earlier batch that failed, with this error."""
        self.timer: IDelayedCall | None = None
        self.is_soon = False
        """It is due when this turn of the reactor ends."""
        self.is_due = False
        self.tried = False


class GroupCommit:
    """The batches of one database."""

    def __init__(self, database: Database, reactor: Any, interval_s: float, soon: Soon | None = None) -> None:
        """reactor: its time. interval_s: how long a batch collects at most (seconds, 0 or more).

        soon: calls something when the present turn of the reactor ends; a timed call of 0 seconds otherwise.
        """
        self._database = database
        self._reactor = reactor
        self._soon = soon or (lambda call: reactor.callLater(0, call))
        self._interval_s = interval_s
        self._last_due_s = -interval_s
        self._collecting = _Batch()
        self._in_flight: deque[_Batch] = deque()
        self._closing = False
        self.number = 0
        """Of the batch that collects; rises with each batch."""
        self.committed: Callable[[int], None] = lambda rows: None
        """Called after each commit that succeeded, with the number of its rows."""
        database.before_write = self.flush

    @property
    def pending(self) -> bool:
        """There are rows that are not durable yet."""
        return bool(self._collecting.rows or self._in_flight)

    def insert(self, into: HotInsert, row: tuple[Any, ...]) -> None:
        """Add one row. Raises StoreClosed once the store closes."""
        batch = self._collecting
        rows = batch.rows
        if not rows or rows == FULL_BATCH - 1:
            self._grow(batch)
        values = batch.fills.get(into.table)
        if values is None:
            values = batch.fills[into.table] = []
            batch.steps.append((into, values))
        values.extend(row)
        batch.rows = rows + 1

    def run(self, table: str, sql: str, values: tuple[Any, ...]) -> None:
        """Add a statement that changes rows of that table: after those added before, before those added later.

        It must do no harm when it is executed twice.
        """
        batch = self._collecting
        if not batch.rows or batch.rows == FULL_BATCH - 1:
            self._grow(batch)
        batch.fills.pop(table, None)
        batch.steps.append((sql, values))
        batch.rows += 1

    def write(self, table: str, sql: str, values: tuple[Any, ...]) -> Deferred[None]:
        """As run, for a write that is not hot but so frequent that it shall share the batch's transaction.

        The statement must not fail for reasons of its own: the whole batch would. Fires when it is durable.
        """
        self.run(table, sql, values)
        self._database.write_begun()
        done: Deferred[None] = Deferred()

        def ended(error: Exception | None) -> None:
            self._database.write_ended()
            done.callback(None) if error is None else done.errback(Failure(error))

        self.then(ended)
        return done

    def outcome(self, callback: Callback, arg: Any) -> None:
        """Call callback(error or None, arg) with what became of the collecting batch itself, which must have rows.

        Called before what `then` left, and whatever became of the batches before it.
        """
        self._collecting.outcomes.append((callback, arg))

    def then(self, callback: Callback, *args: Any) -> None:
        """Call callback(error or None, *args) once all rows added so far are durable, or are known not to be.

        At once if nothing is pending. The callback must not raise; if it does, that is logged.
        """
        if self._collecting.rows:
            self._collecting.callbacks.append((callback, args))
        elif self._in_flight:
            self._in_flight[-1].callbacks.append((callback, args))
        else:
            self._call(callback, None, args)

    def barrier(self) -> Deferred[None]:
        """Fires when all rows added so far are durable; fails if they are not. Does not hurry the batch."""
        done: Deferred[None] = Deferred()
        self.then(lambda error: done.callback(None) if error is None else done.errback(Failure(error)))
        return done

    def flush(self) -> None:
        """Hand the collected rows to the writer now, before whatever is handed to it next."""
        if self._collecting.rows:
            self._submit()

    def close(self) -> Deferred[None]:
        """Refuse further rows; fires when all there are have been tried, successfully or not."""
        self._closing = True
        done: Deferred[None] = Deferred()
        self.flush()
        self.then(lambda error: done.callback(None))
        return done

    def _grow(self, batch: _Batch) -> None:
        """Called before the first row, and before the one that fills the batch."""
        if self._closing:
            raise StoreClosed("the store is closed")
        if not batch.rows:
            if self._reactor.seconds() - self._last_due_s >= self._interval_s:
                batch.is_soon = True
                self._soon(self._turn_ended)
            else:
                batch.timer = self._reactor.callLater(self._interval_s, self._due)
        elif batch.timer is not None:
            # Not in this call: the row that fills the batch is not in it yet, and more may follow in this turn.
            batch.timer.reset(0)

    def _turn_ended(self) -> None:
        if self._collecting.is_soon:            # unless that batch was not waited for
            self._collecting.is_soon = False
            self._due()

    def _due(self) -> None:
        self._last_due_s = self._reactor.seconds()
        self._collecting.is_due = True
        self._collecting.timer = None
        if not self._in_flight:
            self._submit()

    def _submit(self) -> None:
        batch, self._collecting = self._collecting, _Batch()
        self.number += 1
        if batch.timer is not None:
            batch.timer.cancel()
            batch.timer = None
        self._in_flight.append(batch)
        self._database.write_alone(_commit, batch).addCallbacks(
            self._done, self._failed, callbackArgs=(batch,), errbackArgs=(batch,)
        )

    def _done(self, _: None, batch: _Batch) -> None:
        self._finish(batch, None)
        self.committed(batch.rows)

    def _failed(self, failure: Failure, batch: _Batch) -> None:
        error = failure.value
        if not isinstance(error, StoreError):
            log.failure("A batch could not be written.", failure)
            error = StoreError(f"a batch could not be written: {type(error).__name__}")
        log.error("{rows} rows could not be written: {reason}", rows=batch.rows, reason=str(error))
        for later in (*self._in_flight, self._collecting):
            if later is not batch:
                later.failed_before = (len(later.callbacks), error)
        self._finish(batch, error)

    def _finish(self, batch: _Batch, error: Exception | None) -> None:
        """Tell those who wait. The batch stays in flight meanwhile: a callback left by a callback comes last."""
        for told, arg in batch.outcomes:
            self._call(told, error, (arg,))
        count, earlier = batch.failed_before or (0, None)
        left = len(batch.callbacks)
        index = 0
        while index < len(batch.callbacks):
            callback, args = batch.callbacks[index]
            # What is left from now on asks for nothing that has failed unknown to it.
            known = (error if index < left else None) or (earlier if index < count else None)
            self._call(callback, known, args)
            index += 1
        self._in_flight.remove(batch)
        if self._collecting.is_due and not self._in_flight:
            self._submit()

    def _call(self, callback: Callback, error: Exception | None, args: tuple[Any, ...]) -> None:
        try:
            callback(error, *args)
        except Exception:
            log.failure("What waited for a commit has failed.")


def _commit(session: Session, batch: _Batch) -> None:
    """In the writer's thread. May be called again for the same batch when the connection was lost."""
    again, batch.tried = batch.tried, True
    try:
        _write(session, batch, again)
    except session.taken:
        session.rollback()
        _write(session, batch, True)


def _write(session: Session, batch: _Batch, again: bool) -> None:
    """Commit the batch. One that is a single statement is a transaction by itself."""
    if len(batch.steps) == 1 and not again:
        what, values = batch.steps[0]
        if isinstance(what, HotInsert) and session.insert_steps(len(values) // what.width) == 1:
            session.insert(what, values, again)
            return
    session.begin()
    for what, values in batch.steps:
        if isinstance(what, HotInsert):
            session.insert(what, values, again)
        else:
            session.run(what, values)
    session.commit()
