"""Tokens of people who sign on from Webmail, and the nonces of Webmail's requests."""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatd.core.webmail import TokenRow
from chatd.interfaces import IWebmailStore
from chatd.store.database import Database
from chatd.store.errors import StoreError
from chatd.store.session import Row, Session

_ROWS: Final = ("SELECT t.hash, a.local, a.domain, t.webmail, t.session, t.created_ms, t.expires_ms "
                "FROM webmail_token t JOIN account a ON a.id = t.account ")


@implementer(IWebmailStore)
class WebmailTokens:
    """See IWebmailStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def spend(self, webmail: str, nonce: str, until_ms: int, now_ms: int) -> Deferred[bool]:
        """See IWebmailStore."""
        return self._database.write(_spend, webmail, nonce, until_ms, now_ms)

    def add(self, row: TokenRow) -> Deferred[None]:
        """See IWebmailStore."""
        return self._database.write(_add, row)

    def find(self, hash: bytes) -> Deferred[TokenRow | None]:
        """See IWebmailStore."""
        return self._database.read(_find, hash)

    def list(self, now_ms: int) -> Deferred[list[TokenRow]]:
        """See IWebmailStore."""
        return self._database.read(_list, now_ms)

    def revoke(self, webmail: str | None = None, session: bytes | None = None,
               address: tuple[str, str] | None = None) -> Deferred[int]:
        """See IWebmailStore."""
        if webmail is None and session is None and address is None:
            raise ValueError("whose tokens?")
        return self._database.write(_revoke, webmail, session, address)


def _spend(session: Session, webmail: str, nonce: str, until_ms: int, now_ms: int) -> bool:
    session.run("DELETE FROM webmail_nonce WHERE until_ms <= ?", (now_ms,))
    added = session.run("INSERT INTO webmail_nonce (webmail, nonce, until_ms) VALUES (?, ?, ?) "
                        "ON CONFLICT (webmail, nonce) DO NOTHING", (webmail, nonce, until_ms))
    return added == 1


def _add(session: Session, row: TokenRow) -> None:
    session.run("DELETE FROM webmail_token WHERE expires_ms <= ?", (row.created_ms,))
    added = session.run(
        "INSERT INTO webmail_token (hash, account, webmail, session, created_ms, expires_ms) "
        "SELECT ?, id, ?, ?, ?, ? FROM account WHERE local = ? AND domain = ?",
        (row.hash, row.webmail, row.session, row.created_ms, row.expires_ms, row.local, row.domain))
    if added != 1:
        raise StoreError(f"there is no account {row.local}@{row.domain}")


def _row(found: Row) -> TokenRow:
    hash, local, domain, webmail, session, created_ms, expires_ms = found
    return TokenRow(bytes(hash), local, domain, webmail, bytes(session), created_ms, expires_ms)


def _find(session: Session, hash: bytes) -> TokenRow | None:
    found = session.one(_ROWS + "WHERE t.hash = ?", (hash,))
    return _row(found) if found is not None else None


def _list(session: Session, now_ms: int) -> list[TokenRow]:
    return [_row(found) for found in session.all(
        _ROWS + "WHERE t.expires_ms > ? ORDER BY a.domain, a.local, t.created_ms", (now_ms,))]


def _revoke(session: Session, webmail: str | None, webmail_session: bytes | None,
            address: tuple[str, str] | None) -> int:
    wanted: list[str] = []
    values: list[object] = []
    if webmail is not None:
        wanted.append("webmail = ?")
        values.append(webmail)
    if webmail_session is not None:
        wanted.append("session = ?")
        values.append(webmail_session)
    if address is not None:
        wanted.append("account IN (SELECT id FROM account WHERE local = ? AND domain = ?)")
        values.extend(address)
    return session.run(f"DELETE FROM webmail_token WHERE {' AND '.join(wanted)}", values)
