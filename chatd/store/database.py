"""The connections: one that writes, in one thread, and a few that read, over twisted.enterprise.adbapi.

All writing goes through one thread and one connection, so jobs are done in the order they were asked for, and
SQLite, which has one writer at a time, never finds itself busy. Reading has connections of its own and waits for
nobody, with one exception: while a write is under way a read queues behind it, so that whoever writes and
then reads sees what was written.

A lost PostgreSQL connection is opened anew at once and the job repeated, unless it may have been committed. When
that fails too, jobs fail with StoreUnavailable, and connecting is tried again after a pause that doubles.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.enterprise import adbapi
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from chatd.store.engine import Engine
from chatd.store.errors import StoreClosed, StoreError, StoreUnavailable
from chatd.store.one_thread import OneThread

log = Logger()
T = TypeVar("T")

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 15.0


class _Connection(adbapi.Connection):
    """adbapi's wrapper, but a broken connection is thrown away instead of being rolled back."""

    _connection: Any
    _pool: Any

    def rollback(self) -> None:
        """Undo what is open. Called by adbapi when a job has failed."""
        raw = self._connection
        if raw is None:
            return
        if not self._pool.engine.is_lost(raw):
            try:
                self._pool.engine.session(raw).rollback()
                return
            except self._pool.engine.error:
                pass
        self.forget()

    def forget(self) -> None:
        """Close it and take it out of the pool; the next job of this thread opens a new one."""
        raw, self._connection = self._connection, None
        if raw is not None and raw is self._pool.connections.get(self._pool.threadID()):
            self._pool.disconnect(raw)

    def commit(self) -> None:
        """Sessions commit by themselves."""


class _Pool(adbapi.ConnectionPool):
    """adbapi's pool with a pause between attempts to connect that fail."""

    connectionFactory = _Connection

    def __init__(self, engine: Engine, clock: IReactorTime, size: int, opened: Callable[[Any], None],
                 thread: OneThread | None = None) -> None:
        """thread: the only one, where size is 1."""
        args, keywords = engine.arguments()
        self.engine = engine
        self._clock = clock
        self._pause_s = 0.0
        self._not_before = 0.0
        self._thread = thread
        super().__init__(
            engine.module, *args, cp_reactor=clock, cp_min=1, cp_max=size, cp_openfun=opened, **keywords
        )
        self._put_thread()

    def start(self) -> None:
        """See adbapi; called as soon as the reactor runs, which may be before __init__ has ended."""
        self._put_thread()
        super().start()

    def _put_thread(self) -> None:
        if self._thread is not None:
            self.threadpool: Any = self._thread

    def connect(self) -> Any:
        """This thread's connection. Raises StoreUnavailable at once while a pause lasts."""
        conn = self.connections.get(self.threadID())
        if conn is not None:
            return conn
        now = self._clock.seconds()
        if now < self._not_before:
            raise StoreUnavailable(
                f"{self.engine.where} is not reachable; the next attempt is {self._not_before - now:.1f} s away."
            )
        try:
            conn = super().connect()
        except self.engine.error as error:
            self._pause_s = min(max(FIRST_PAUSE_S, self._pause_s * 2), LONGEST_PAUSE_S)
            self._not_before = self._clock.seconds() + self._pause_s
            raise StoreUnavailable(
                f"{self.engine.where} cannot be opened: {self.engine.reason(error)}"
            ) from error
        self._pause_s = 0.0
        return conn

    def disconnect(self, conn: Any) -> None:
        """Close and forget; a broken connection may well fail to close."""
        self.connections.pop(self.threadID(), None)
        try:
            conn.close()
        except self.engine.error:
            pass


class Database:
    """Runs jobs. A job is a function that gets a Session first; it runs in a thread and must not touch
    anything of the main thread.
    """

    def __init__(self, engine: Engine, reactor: Any, readers: int) -> None:
        """reactor: threads, time and shutdown. readers: connections that read (1 or more)."""
        self.engine = engine
        self.before_write: Callable[[], None] = lambda: None
        self._writing = 0
        self._closed = False
        self._writer = _Pool(engine, reactor, 1, engine.opened_writer, OneThread("chatd-store-writer"))
        self._readers = _Pool(engine, reactor, readers, engine.opened_reader) if engine.has_readers else None

    def write(self, job: Callable[..., T], *args: Any) -> Deferred[T]:
        """Run job(session, *args) as one transaction, after all that was asked before. Fires when it is durable.

        Fails with what the job raised (then nothing of it is kept), StoreUnavailable or another StoreError.
        """
        self.before_write()
        self._writing += 1
        done: Deferred[T] = self._run(self._writer, self._transaction, job, args)
        done.addBoth(self._written)
        return done

    def write_alone(self, job: Callable[..., T], *args: Any) -> Deferred[T]:
        """As write, for a job that minds its transactions itself and may be run twice."""
        return self._run(self._writer, self._repeatable, job, args)

    def read(self, job: Callable[..., T], *args: Any) -> Deferred[T]:
        """Run job(session, *args), which only reads. More than one statement wants session.begin_read()."""
        if self._writing:
            self.before_write()
        pool = self._writer if self._readers is None or self._writing else self._readers
        return self._run(pool, self._repeatable, job, args)

    def read_beside(self, job: Callable[..., T], *args: Any) -> Deferred[T]:
        """As read, but never in the writer's thread (in memory there is no other)."""
        return self._run(self._readers or self._writer, self._repeatable, job, args)

    def close(self) -> None:
        """Close the connections; waits for the threads. Whoever calls has waited for the jobs."""
        if not self._closed:
            self._closed = True
            if self._readers is not None:
                self._readers.close()
            # Last, so that SQLite's final checkpoint finds no reader and removes the WAL.
            self._writer.close()
            self.engine.release()

    def _run(self, pool: _Pool, how: Callable[..., T], job: Callable[..., T], args: tuple[Any, ...]) -> Deferred[T]:
        if self._closed:
            return fail(StoreClosed("the store is closed"))
        return pool.runWithConnection(how, job, args)

    def write_begun(self) -> None:
        """A write of the cold kind is under way by other means (in a batch); reads queue behind it."""
        self._writing += 1

    def write_ended(self) -> None:
        """It is not any more."""
        self._writing -= 1

    def _written(self, result: T) -> T:
        self._writing -= 1
        return result

    def _repeatable(self, conn: _Connection, job: Callable[..., T], args: tuple[Any, ...]) -> T:
        """In a thread. Repeats the job once on a new connection."""
        try:
            return job(self.engine.session(conn._connection), *args)
        except self.engine.error as error:
            if not self.engine.is_lost(conn._connection):
                raise self._plain(conn, error) from error
            self._reconnect(conn, error)
        try:
            return job(self.engine.session(conn._connection), *args)
        except self.engine.error as error:
            raise self._plain(conn, error) from error

    def _transaction(self, conn: _Connection, job: Callable[..., T], args: tuple[Any, ...]) -> T:
        """In a thread. Repeats the job once on a new connection, unless it was about to be committed."""
        for attempt in (1, 2):
            session = self.engine.session(conn._connection)
            is_committing = False
            try:
                session.begin()
                result = job(session, *args)
                is_committing = True
                session.commit()
                return result
            except self.engine.error as error:
                if attempt == 2 or is_committing or not self.engine.is_lost(conn._connection):
                    raise self._plain(conn, error) from error
                self._reconnect(conn, error)
        raise AssertionError("unreachable")

    def _reconnect(self, conn: _Connection, error: BaseException) -> None:
        log.warn("The connection to {where} was lost: {reason}", where=self.engine.where,
                 reason=self.engine.reason(error))
        conn.forget()
        conn.reconnect()

    def _plain(self, conn: _Connection, error: BaseException) -> StoreError:
        """The DB-API module's exception as one of ours, without data in its text."""
        kind = StoreUnavailable if self.engine.is_lost(conn._connection) else StoreError
        return kind(f"{self.engine.where}: {self.engine.reason(error)}")
