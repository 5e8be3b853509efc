"""Clients that are told through their app server that something has come (XEP-0357)."""

from __future__ import annotations

from typing import Final

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatd.core.push import PushRow
from chatd.interfaces import IPushStore
from chatd.store.database import Database
from chatd.store.session import Session

_COLUMNS: Final = tuple(field.name for field in attrs.fields(PushRow))
_ALL: Final = ", ".join(_COLUMNS)


@implementer(IPushStore)
class Push:
    """See IPushStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, account_id: int) -> Deferred[list[PushRow]]:
        """See IPushStore."""
        return self._database.read(_load, account_id)

    def enable(self, account_id: int, row: PushRow) -> Deferred[None]:
        """See IPushStore."""
        return self._database.write(_enable, account_id, row)

    def disable(self, account_id: int, service: str, node: str | None) -> Deferred[None]:
        """See IPushStore."""
        return self._database.write(_disable, account_id, service, node)

    def count(self) -> Deferred[int]:
        """See IPushStore."""
        return self._database.read(_count)


def _load(session: Session, account: int) -> list[PushRow]:
    return [PushRow(*found) for found in session.all(
        f"SELECT {_ALL} FROM push WHERE account = ? ORDER BY enabled_ms, service, node", (account,))]


def _enable(session: Session, account: int, row: PushRow) -> None:
    marks = ", ".join("?" for _ in _COLUMNS)
    session.run(f"INSERT INTO push (account, {_ALL}) VALUES (?, {marks}) ON CONFLICT (account, service, node) "
                "DO UPDATE SET resource = excluded.resource, options = excluded.options, "
                "enabled_ms = excluded.enabled_ms", (account, *attrs.astuple(row)))


def _disable(session: Session, account: int, service: str, node: str | None) -> None:
    one = "" if node is None else " AND node = ?"
    session.run(f"DELETE FROM push WHERE account = ? AND service = ?{one}",
                (account, service) if node is None else (account, service, node))


def _count(session: Session) -> int:
    found = session.one("SELECT count(*) FROM push")
    assert found is not None
    return int(found[0])
