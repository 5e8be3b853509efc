"""Accounts and their password verifiers."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatd.core.accounts import AccountExists, AccountRow, LoadedAccount, Verifier
from chatd.interfaces import IAccountStore
from chatd.store.archive import Archive, load_prefs
from chatd.store.blocking import load_blocked
from chatd.store.database import Database
from chatd.store.lazy import LazyWrites
from chatd.store.roster import load_roster
from chatd.store.session import Row, Session
from chatd.store.vcard import load_photo_sha1

COLUMNS = (
    "SELECT a.id, a.local, a.domain, a.disabled, a.created_ms, a.last_login_ms, "
    "v.mechanism, v.salt, v.iterations, v.stored_key, v.server_key "
    "FROM account a LEFT JOIN verifier v ON v.account = a.id "
)

TOUCH = "UPDATE account SET last_login_ms = ? WHERE id = ?"


@implementer(IAccountStore)
class Accounts:
    """See IAccountStore."""

    def __init__(self, database: Database, lazily: LazyWrites, archive: Archive, gone: set[int]) -> None:
        """gone: told of each account that is deleted."""
        self._database = database
        self._lazily = lazily
        self._archive = archive
        self._gone = gone

    def create(self, local: str, domain: str, verifiers: Mapping[str, Verifier], now: float) -> Deferred[int]:
        """See IAccountStore."""
        return self._database.write(_create, local, domain, dict(verifiers), round(now * 1000))

    def get(self, local: str, domain: str, fresh: bool = False) -> Deferred[AccountRow | None]:
        """See IAccountStore."""
        if fresh:
            self._lazily.flush()
        return self._database.read(_get, local, domain)

    def load(self, local: str, domain: str) -> Deferred[LoadedAccount | None]:
        """See IAccountStore."""
        return self._database.read(_load, local, domain)

    def list(self, domain: str | None = None) -> Deferred[list[AccountRow]]:
        """See IAccountStore."""
        self._lazily.flush()
        return self._database.read(_list, domain)

    def set_verifiers(self, account_id: int, verifiers: Mapping[str, Verifier]) -> Deferred[None]:
        """See IAccountStore."""
        return self._database.write(_set_verifiers, account_id, dict(verifiers))

    def set_disabled(self, account_id: int, disabled: bool) -> Deferred[None]:
        """See IAccountStore."""
        return self._database.write(_set_disabled, account_id, disabled)

    def touch(self, account_id: int, now: float) -> None:
        """See IAccountStore."""
        self._lazily.write("account", TOUCH, account_id, (round(now * 1000), account_id))

    def delete(self, account_id: int) -> Deferred[bool]:
        """See IAccountStore."""
        return Deferred.fromCoroutine(self._delete(account_id))

    async def _delete(self, account_id: int) -> bool:
        self._gone.add(account_id)
        existed = await self._database.write(_delete, account_id)
        await self._finish_delete(account_id)
        return existed

    async def _finish_delete(self, account_id: int) -> None:
        await self._archive.delete_through(account_id)
        await self._database.write(_forget, account_id)

    async def resume_deletes(self) -> None:
        """Go on with what was interrupted. Called when the store is opened."""
        for account_id in await self._database.read(_gone):
            await self._finish_delete(account_id)


def _create(
    session: Session, local: str, domain: str, verifiers: dict[str, Verifier], created_ms: int
) -> int:
    row = session.one(
        "INSERT INTO account (local, domain, created_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING id",
        (local, domain, created_ms),
    )
    if row is None:
        raise AccountExists(f"{local}@{domain} exists already")
    account: int = row[0]
    _insert_verifiers(session, account, verifiers)
    return account


def _insert_verifiers(session: Session, account: int, verifiers: dict[str, Verifier]) -> None:
    for mechanism, verifier in verifiers.items():
        session.run(
            "INSERT INTO verifier (account, mechanism, salt, iterations, stored_key, server_key) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (account, mechanism, verifier.salt, verifier.iterations, verifier.stored_key, verifier.server_key),
        )


def _rows(found: list[Row]) -> list[AccountRow]:
    """One AccountRow of the rows of each account; they stand together."""
    accounts: dict[int, AccountRow] = {}
    for id, local, domain, disabled, created_ms, login_ms, mechanism, *verifier in found:
        if id not in accounts:
            login = None if login_ms is None else login_ms / 1000
            accounts[id] = AccountRow(id, local, domain, bool(disabled), created_ms / 1000, login, {})
        if mechanism is not None:
            accounts[id].verifiers[mechanism] = Verifier(*verifier)
    return list(accounts.values())


def _get(session: Session, local: str, domain: str) -> AccountRow | None:
    rows = _rows(session.all(COLUMNS + "WHERE a.domain = ? AND a.local = ?", (domain, local)))
    return rows[0] if rows else None


def _load(session: Session, local: str, domain: str) -> LoadedAccount | None:
    session.begin_read()
    try:
        row = _get(session, local, domain)
        if row is None:
            return None
        version, items = load_roster(session, row.id)
        blocked = frozenset(load_blocked(session, row.id))
        return LoadedAccount(row, version, tuple(items), blocked, load_prefs(session, row.id),
                             load_photo_sha1(session, row.id) or "")
    finally:
        session.rollback()


def _list(session: Session, domain: str | None) -> list[AccountRow]:
    where, values = ("", ()) if domain is None else ("WHERE a.domain = ? ", (domain,))
    return _rows(session.all(f"{COLUMNS} {where} ORDER BY a.domain, a.local", values))


def _set_verifiers(session: Session, account: int, verifiers: dict[str, Verifier]) -> None:
    session.run("DELETE FROM verifier WHERE account = ?", (account,))
    session.run("DELETE FROM fast_token WHERE account = ?", (account,))     # who had the old password has to go
    _insert_verifiers(session, account, verifiers)


def _set_disabled(session: Session, account: int, disabled: bool) -> None:
    session.run("UPDATE account SET disabled = ? WHERE id = ?", (int(disabled), account))
    if disabled:
        session.run("DELETE FROM fast_token WHERE account = ?", (account,))


def _delete(session: Session, account: int) -> bool:
    """The account and all that refers to it; the archive follows in slices."""
    session.run("INSERT INTO account_gone (account) VALUES (?) ON CONFLICT DO NOTHING", (account,))
    session.run("DELETE FROM offline WHERE account = ?", (account,))
    return session.run("DELETE FROM account WHERE id = ?", (account,)) > 0


def _gone(session: Session) -> list[Any]:
    return [account for (account,) in session.all("SELECT account FROM account_gone")]


def _forget(session: Session, account: int) -> None:
    session.run("DELETE FROM account_gone WHERE account = ?", (account,))
