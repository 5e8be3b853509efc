"""vCards (XEP-0054) and the hash of their photo (XEP-0153)."""
from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatd.interfaces import IVCardStore
from chatd.store.database import Database
from chatd.store.session import Session


@implementer(IVCardStore)
class VCard:
    """See IVCardStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, account_id: int) -> Deferred[bytes | None]:
        """See IVCardStore."""
        return self._database.read(_get, account_id)

    def photo_sha1(self, account_id: int) -> Deferred[str | None]:
        """See IVCardStore."""
        return self._database.read(load_photo_sha1, account_id)

    def set(self, account_id: int, value: bytes, photo_sha1: str | None) -> Deferred[None]:
        """See IVCardStore."""
        return self._database.write(_set, account_id, value, photo_sha1 or "")

    def replace(self, account_id: int, old: bytes | None, value: bytes, photo_sha1: str | None) -> Deferred[bool]:
        """See IVCardStore."""
        return self._database.write(_replace, account_id, old, value, photo_sha1 or "")


def _get(session: Session, account: int) -> bytes | None:
    row = session.one("SELECT value FROM vcard WHERE account = ?", (account,))
    return row[0] if row else None


def load_photo_sha1(session: Session, account: int) -> str | None:
    """See IVCardStore.photo_sha1."""
    row = session.one("SELECT photo_sha1 FROM vcard WHERE account = ?", (account,))
    return row[0] if row else None


def _set(session: Session, account: int, value: bytes, photo_sha1: str) -> None:
    session.run(
        "INSERT INTO vcard (account, value, photo_sha1) VALUES (?, ?, ?) "
        "ON CONFLICT (account) DO UPDATE SET value = excluded.value, photo_sha1 = excluded.photo_sha1",
        (account, value, photo_sha1),
    )


def _replace(session: Session, account: int, old: bytes | None, value: bytes, photo_sha1: str) -> bool:
    # Jobs that write are done one after the other (chatd.store.database), so nothing comes between.
    if _get(session, account) != old:
        return False
    _set(session, account, value, photo_sha1)
    return True
