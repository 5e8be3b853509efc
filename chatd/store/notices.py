"""What all accounts of a domain are told, and who has been (XEP-0133)."""
from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatd.core.notices import Notice
from chatd.interfaces import INoticeStore
from chatd.store.database import Database
from chatd.store.session import Session


@implementer(INoticeStore)
class Notices:
    """See INoticeStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Deferred[list[Notice]]:
        """See INoticeStore."""
        return self._database.read(_all)

    def set(self, notice: Notice) -> Deferred[None]:
        """See INoticeStore."""
        return self._database.write(_set, notice)

    def delete(self, domain: str, kind: str) -> Deferred[None]:
        """See INoticeStore."""
        return self._database.write(_delete, domain, kind)

    def told(self, account_id: int, stamp_ms: int) -> Deferred[bool]:
        """See INoticeStore."""
        return self._database.write(_told, account_id, stamp_ms)

    def not_told(self, account_id: int, stamp_ms: int) -> Deferred[None]:
        """See INoticeStore."""
        return self._database.write(_not_told, account_id, stamp_ms)


def _all(session: Session) -> list[Notice]:
    rows = session.all("SELECT domain, kind, text, stamp_ms FROM notice ORDER BY domain, kind")
    return [Notice(*row) for row in rows]


def _set(session: Session, notice: Notice) -> None:
    session.run(
        "INSERT INTO notice (domain, kind, text, stamp_ms) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (domain, kind) DO UPDATE SET text = excluded.text, stamp_ms = excluded.stamp_ms",
        (notice.domain, notice.kind, notice.text, notice.stamp_ms),
    )


def _delete(session: Session, domain: str, kind: str) -> None:
    session.run("DELETE FROM notice WHERE domain = ? AND kind = ?", (domain, kind))


def _told(session: Session, account: int, stamp_ms: int) -> bool:
    return bool(session.run(
        "INSERT INTO notice_told (account, stamp_ms) SELECT ?, ? WHERE EXISTS (SELECT 1 FROM account WHERE id = ?) "
        "ON CONFLICT (account) DO UPDATE SET stamp_ms = excluded.stamp_ms "
        "WHERE notice_told.stamp_ms < excluded.stamp_ms",
        (account, stamp_ms, account),
    ))


def _not_told(session: Session, account: int, stamp_ms: int) -> None:
    session.run("DELETE FROM notice_told WHERE account = ? AND stamp_ms = ?", (account, stamp_ms))
