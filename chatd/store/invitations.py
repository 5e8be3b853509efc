"""Invitations that wait to be used; of each, only the hash of its token is kept."""
from __future__ import annotations

from typing import Final

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatd.core.invitations import InvitationRow
from chatd.interfaces import IInvitationStore
from chatd.store.database import Database
from chatd.store.session import Session

_COLUMNS: Final = ", ".join(field.name for field in attrs.fields(InvitationRow))


@implementer(IInvitationStore)
class Invitations:
    """See IInvitationStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, row: InvitationRow) -> Deferred[None]:
        """See IInvitationStore."""
        return self._database.write(_add, row)

    def get(self, digest: bytes) -> Deferred[InvitationRow | None]:
        """See IInvitationStore."""
        return self._database.read(_get, digest)

    def take(self, digest: bytes) -> Deferred[InvitationRow | None]:
        """See IInvitationStore."""
        return self._database.write(_take, digest)

    def list(self, domain: str) -> Deferred[list[InvitationRow]]:
        """See IInvitationStore."""
        return self._database.read(_list, domain)


def _add(session: Session, row: InvitationRow) -> None:
    session.run("DELETE FROM invitation WHERE expires_ms < ?", (row.created_ms,))
    marks = ", ".join("?" for _ in attrs.fields(InvitationRow))
    session.run(f"INSERT INTO invitation ({_COLUMNS}) VALUES ({marks})", attrs.astuple(row))


def _get(session: Session, digest: bytes) -> InvitationRow | None:
    found = session.one(f"SELECT {_COLUMNS} FROM invitation WHERE digest = ?", (digest,))
    return InvitationRow(bytes(found[0]), *found[1:]) if found is not None else None


def _take(session: Session, digest: bytes) -> InvitationRow | None:
    row = _get(session, digest)
    session.run("DELETE FROM invitation WHERE digest = ?", (digest,))
    return row


def _list(session: Session, domain: str) -> list[InvitationRow]:
    return [InvitationRow(bytes(digest), *rest) for digest, *rest in session.all(
        f"SELECT {_COLUMNS} FROM invitation WHERE domain = ? ORDER BY created_ms, digest", (domain,))]
