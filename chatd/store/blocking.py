"""Blocked addresses (XEP-0191)."""
from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatd.interfaces import IBlockingStore
from chatd.store.database import Database
from chatd.store.session import Session


@implementer(IBlockingStore)
class Blocking:
    """See IBlockingStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, account_id: int) -> Deferred[set[str]]:
        """See IBlockingStore."""
        return self._database.read(load_blocked, account_id)

    def add(self, account_id: int, jids: Iterable[str]) -> Deferred[None]:
        """See IBlockingStore."""
        return self._database.write(_add, account_id, tuple(jids))

    def remove(self, account_id: int, jids: Iterable[str]) -> Deferred[None]:
        """See IBlockingStore."""
        return self._database.write(_remove, account_id, tuple(jids))

    def clear(self, account_id: int) -> Deferred[None]:
        """See IBlockingStore."""
        return self._database.write(_clear, account_id)


def load_blocked(session: Session, account: int) -> set[str]:
    """The addresses one account blocks."""
    return {jid for (jid,) in session.all("SELECT jid FROM blocked WHERE account = ?", (account,))}


def _add(session: Session, account: int, jids: tuple[str, ...]) -> None:
    for jid in jids:
        session.run("INSERT INTO blocked (account, jid) VALUES (?, ?) ON CONFLICT DO NOTHING", (account, jid))


def _remove(session: Session, account: int, jids: tuple[str, ...]) -> None:
    for jid in jids:
        session.run("DELETE FROM blocked WHERE account = ? AND jid = ?", (account, jid))


def _clear(session: Session, account: int) -> None:
    session.run("DELETE FROM blocked WHERE account = ?", (account,))
