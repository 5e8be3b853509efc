"""Passwords that a mail server's user table knows: one query, and the hash it gives.

The query runs and the hash is checked in threads of their own, as many as connections are allowed, so that a database
that does not answer keeps nobody else waiting. Whoever is not in the table costs as much time as a wrong password.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from chatd.auth.hashes import is_password
from chatd.core.errors import Unavailable
from chatd.outside.sql import Database
from chatd.settings.people import AuthSource

__all__ = ["SqlPasswords"]


class SqlPasswords:
    """Asks one database. `login` of its questions is a mail address."""

    def __init__(self, database: Database, source: AuthSource, reactor: Any) -> None:
        self.database = database
        self._query = source.query
        self._reactor = reactor
        self._size = source.connections
        self._threads: ThreadPool | None = None
        self._example = ""              # a hash as this table has them, for those who are not in it

    def check(self, login: str, password: str) -> Deferred[bool]:
        """Does the table say so? Fails where it cannot be said."""
        return self._in_thread(self._check, login, password)

    def probe(self) -> Deferred[None]:
        """Fires when the query could be asked; fails otherwise."""
        return self._in_thread(self._look_up, "nobody@invalid")

    def stop(self) -> None:
        """Ends the threads."""
        if self._threads is not None:
            self._threads.stop()
            self._threads = None

    def _in_thread(self, call: Any, *args: str) -> Deferred[Any]:
        if self._threads is None:
            self._threads = ThreadPool(0, self._size, "sql")
            self._threads.start()
            self._reactor.addSystemEventTrigger("during", "shutdown", self.stop)
        return deferToThreadPool(self._reactor, self._threads, call, *args)

    def _check(self, login: str, password: str) -> bool:
        stored = self._look_up(login)
        if stored is None:
            if self._example:
                is_password(password, self._example)
            return False
        is_right = is_password(password, stored)
        self._example = stored
        return is_right

    def _look_up(self, login: str) -> str | None:
        """The hash of the one person who is meant; None for nobody, or for several."""
        local, _, domain = login.rpartition("@")
        rows = self.database.rows(self._query, {"address": login, "local": local, "domain": domain}, 2)
        if len(rows) != 1:
            return None
        row = rows[0]
        stored = row["password"] if "password" in row else next(iter(row.values())) if len(row) == 1 else Unavailable
        if stored is Unavailable:
            raise Unavailable("the query gives several columns, and none is called password")
        if isinstance(stored, bytes | bytearray | memoryview):
            stored = bytes(stored).decode("latin-1")
        return stored if isinstance(stored, str) and stored.strip() else None
