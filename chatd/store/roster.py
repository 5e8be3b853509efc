"""Rosters, with versions (RFC 6121 2.6)."""
from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatd.core.roster import RosterItem
from chatd.interfaces import IRosterStore
from chatd.store.database import Database
from chatd.store.session import Session

REMOVALS_KEPT = 200
"""Of so many removed contacts an account's roster remembers that they are gone; a client that has missed more
gets the whole roster."""

_ITEM = "jid, name, subscription, ask, pending_in, approved, groups, listed"


@implementer(IRosterStore)
class Roster:
    """See IRosterStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, account_id: int) -> Deferred[tuple[int, list[RosterItem]]]:
        """See IRosterStore."""
        return self._database.read(load_roster, account_id)

    def save(self, account_id: int, item: RosterItem) -> Deferred[int]:
        """See IRosterStore."""
        return self._database.write(_save, account_id, item)

    def remove(self, account_id: int, jid_bare: str) -> Deferred[int]:
        """See IRosterStore."""
        return self._database.write(_remove, account_id, jid_bare)

    def changes_since(self, account_id: int, version: int) -> Deferred[list[RosterItem | str] | None]:
        """See IRosterStore."""
        return self._database.read(_changes_since, account_id, version)


def _item(row: tuple[Any, ...]) -> RosterItem:
    jid, name, subscription, ask, pending_in, approved, groups, listed = row
    return RosterItem(
        jid, name, subscription, bool(ask), pending_in, bool(approved), tuple(json.loads(groups)), bool(listed)
    )


def load_roster(session: Session, account: int) -> tuple[int, list[RosterItem]]:
    """Version and items of one roster."""
    # One statement, so that version and items belong together.
    found = session.all(
        f"SELECT r.version, {', '.join('i.' + column for column in _ITEM.split(', '))} "
        "FROM roster r LEFT JOIN roster_item i ON i.account = r.account WHERE r.account = ? ORDER BY i.jid",
        (account,),
    )
    if not found:
        return 0, []
    return found[0][0], [_item(row[1:]) for row in found if row[1] is not None]


def _next_version(session: Session, account: int) -> int:
    row = session.one(
        "INSERT INTO roster (account, version) VALUES (?, 1) "
        "ON CONFLICT (account) DO UPDATE SET version = roster.version + 1 RETURNING version",
        (account,),
    )
    assert row is not None
    version: int = row[0]
    return version


def _save(session: Session, account: int, item: RosterItem) -> int:
    version = _next_version(session, account)
    session.run("DELETE FROM roster_removed WHERE account = ? AND jid = ?", (account, item.jid))
    session.run(
        f"INSERT INTO roster_item (account, {_ITEM}, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (account, jid) DO UPDATE SET name = excluded.name, subscription = excluded.subscription, "
        "ask = excluded.ask, pending_in = excluded.pending_in, approved = excluded.approved, "
        "groups = excluded.groups, listed = excluded.listed, version = excluded.version",
        (
            account, item.jid, item.name, item.subscription, int(item.ask), item.pending_in,
            int(item.approved), json.dumps(item.groups), int(item.listed), version,
        ),
    )  # fmt: skip
    return version


def _remove(session: Session, account: int, jid: str) -> int:
    if not session.run("DELETE FROM roster_item WHERE account = ? AND jid = ?", (account, jid)):
        row = session.one("SELECT version FROM roster WHERE account = ?", (account,))
        return row[0] if row else 0
    version = _next_version(session, account)
    session.run("INSERT INTO roster_removed (account, jid, version) VALUES (?, ?, ?)", (account, jid, version))
    too_old = session.one(
        "SELECT version FROM roster_removed WHERE account = ? ORDER BY version DESC LIMIT 1 OFFSET ?",
        (account, REMOVALS_KEPT),
    )
    if too_old is not None:
        session.run("DELETE FROM roster_removed WHERE account = ? AND version <= ?", (account, *too_old))
        session.run("UPDATE roster SET floor = ? WHERE account = ?", (*too_old, account))
    return version


def _changes_since(session: Session, account: int, version: int) -> list[RosterItem | str] | None:
    session.begin_read()
    try:
        row = session.one("SELECT version, floor FROM roster WHERE account = ?", (account,))
        current, floor = row or (0, 0)
        if not floor <= version <= current:
            return None
        if version == current:
            return []
        changed: list[tuple[int, RosterItem | str]] = [
            (at, _item(tuple(item)))
            for at, *item in session.all(
                f"SELECT version, {_ITEM} FROM roster_item WHERE account = ? AND version > ?", (account, version)
            )
        ]
        changed += session.all(
            "SELECT version, jid FROM roster_removed WHERE account = ? AND version > ?", (account, version)
        )
        changed.sort(key=lambda change: change[0])
        return [what for _, what in changed]
    finally:
        session.rollback()
