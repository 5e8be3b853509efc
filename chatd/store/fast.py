"""Tokens that clients log in with (XEP-0484): a new and a current one for each client of an account.

What stands here is no secret that lets anybody in: that is made of a row's seed and the site's own secret, which is not
in the database.
"""
from __future__ import annotations

from typing import Final

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatd.core.accounts import FastRow
from chatd.interfaces import IFastTokenStore
from chatd.store.database import Database
from chatd.store.session import Session

_COLUMNS: Final = ", ".join(field.name for field in attrs.fields(FastRow))
_CLIENTS_MOST: Final = 50
"""Of one account; the one whose token is the oldest gives way."""


@implementer(IFastTokenStore)
class FastTokens:
    """See IFastTokenStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, local: str, domain: str, client: str) -> Deferred[tuple[int | None, bool, list[FastRow]]]:
        """See IFastTokenStore."""
        return self._database.read(_find, local, domain, client)

    def put(self, account_id: int, row: FastRow) -> Deferred[None]:
        """See IFastTokenStore."""
        return self._database.write(_put, account_id, row)

    def use(self, account_id: int, row: FastRow, count: int | None, is_last: bool) -> Deferred[bool]:
        """See IFastTokenStore."""
        return self._database.write(_use, account_id, row, count, is_last)

    def list(self, account_id: int) -> Deferred[list[FastRow]]:
        """See IFastTokenStore."""
        return self._database.read(_list, account_id)

    def clear(self, account_id: int) -> Deferred[int]:
        """See IFastTokenStore."""
        return self._database.write(_clear, account_id)


def _find(session: Session, local: str, domain: str, client: str) -> tuple[int | None, bool, list[FastRow]]:
    account = session.one("SELECT id, disabled FROM account WHERE domain = ? AND local = ?", (domain, local))
    if account is None:
        return None, False, []
    # The new one first (XEP-0484 5.1).
    rows = session.all(f"SELECT {_COLUMNS} FROM fast_token WHERE account = ? AND client = ? ORDER BY slot DESC",
                       (account[0], client))
    return account[0], bool(account[1]), [FastRow(*row) for row in rows]


def _put(session: Session, account: int, row: FastRow) -> None:
    session.run("DELETE FROM fast_token WHERE expires_ms < ?", (row.issued_ms,))
    session.run("DELETE FROM fast_token WHERE account = ? AND client = ? AND slot = ?",
                (account, row.client, row.slot))
    marks = ", ".join("?" for _ in attrs.fields(FastRow))
    session.run(f"INSERT INTO fast_token (account, {_COLUMNS}) VALUES (?, {marks})", (account, *attrs.astuple(row)))
    clients = session.all("SELECT client FROM fast_token WHERE account = ? GROUP BY client "
                          "ORDER BY max(issued_ms) DESC, client", (account,))
    for (client,) in clients[_CLIENTS_MOST:]:
        session.run("DELETE FROM fast_token WHERE account = ? AND client = ?", (account, client))


def _use(session: Session, account: int, row: FastRow, count: int | None, is_last: bool) -> bool:
    key = (account, row.client, row.slot)
    found = session.one("SELECT seed, count FROM fast_token WHERE account = ? AND client = ? AND slot = ?", key)
    if found is None or bytes(found[0]) != row.seed or (count is not None and count <= found[1]):
        return False
    if is_last:
        session.run("DELETE FROM fast_token WHERE account = ? AND client = ?", (account, row.client))
        return True
    if row.slot == "new":
        session.run("DELETE FROM fast_token WHERE account = ? AND client = ? AND slot = 'current'",
                    (account, row.client))
        session.run("UPDATE fast_token SET slot = 'current' WHERE account = ? AND client = ? AND slot = 'new'",
                    (account, row.client))
    if count is not None:
        session.run("UPDATE fast_token SET count = ? WHERE account = ? AND client = ? AND slot = 'current'",
                    (count, account, row.client))
    return True


def _list(session: Session, account: int) -> list[FastRow]:
    return [FastRow(*row) for row in session.all(
        f"SELECT {_COLUMNS} FROM fast_token WHERE account = ? ORDER BY client, slot", (account,))]


def _clear(session: Session, account: int) -> int:
    return session.run("DELETE FROM fast_token WHERE account = ?", (account,))
