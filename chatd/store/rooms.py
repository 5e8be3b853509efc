"""Group chat rooms (XEP-0045): settings, subject, standings.  Their messages are in the archive, under -id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatd.core.muc import Affiliate, RoomRow
from chatd.interfaces import IRoomStore
from chatd.store.archive import Archive
from chatd.store.database import Database
from chatd.store.session import Session

COLUMNS: Final = frozenset({"persistent", "config", "subject", "subject_nick", "subject_ms", "subject_mark", "hats",
                           "vcard"})


@implementer(IRoomStore)
class Rooms:
    """See IRoomStore."""

    def __init__(self, database: Database, archive: Archive, gone: set[int]) -> None:
        """gone: told of the archives of rooms that are deleted."""
        self._database = database
        self._archive = archive
        self._gone = gone

    def load(self) -> Deferred[list[RoomRow]]:
        """See IRoomStore."""
        return self._database.read(_load)

    def create(self, local: str, domain: str, secret: bytes, persistent: bool, now: float) -> Deferred[int]:
        """See IRoomStore."""
        return self._database.write(create_room, local, domain, secret, persistent, round(now * 1000))

    def save(self, room_id: int, values: Mapping[str, Any]) -> Deferred[None]:
        """See IRoomStore."""
        if not values.keys() <= COLUMNS:
            raise ValueError(f"no such columns: {values.keys() - COLUMNS}")
        return self._database.write(save_room, room_id, dict(values))

    def set_affiliates(self, room_id: int, affiliates: list[Affiliate]) -> Deferred[None]:
        """See IRoomStore."""
        return self._database.write(set_affiliates, room_id, list(affiliates))

    def delete(self, room_id: int) -> Deferred[None]:
        """See IRoomStore."""
        return Deferred.fromCoroutine(self._delete(room_id))

    async def _delete(self, room_id: int) -> None:
        self._gone.add(-room_id)
        await self._database.write(_delete, room_id)
        await self._archive.delete_through(-room_id)
        await self._database.write(_forget, room_id)


def _load(session: Session) -> list[RoomRow]:
    session.begin_read()
    try:
        affiliates: dict[int, list[Affiliate]] = {}
        for room, jid, affiliation, nick, reason, pending, role in session.all(
            "SELECT room, jid, affiliation, nick, reason, pending, role FROM room_affiliation ORDER BY room, jid"
        ):
            affiliates.setdefault(room, []).append(Affiliate(jid, affiliation, nick, reason, bool(pending), role))
        return [
            RoomRow(id, local, domain, secret, bool(persistent), json.loads(config), subject, subject_nick, subject_ms,
                    json.loads(hats), vcard, tuple(affiliates.get(id, ())), subject_mark, created_ms)
            for id, local, domain, secret, persistent, config, subject, subject_nick, subject_ms, hats, vcard,
            subject_mark, created_ms in session.all(
                "SELECT id, local, domain, secret, persistent, config, subject, subject_nick, subject_ms, hats, vcard, "
                "subject_mark, created_ms FROM room ORDER BY domain, local"
            )
        ]
    finally:
        session.rollback()


def create_room(session: Session, local: str, domain: str, secret: bytes, persistent: bool, created_ms: int) -> int:
    """A room; gives its id."""
    row = session.one(
        "INSERT INTO room (local, domain, created_ms, secret, persistent, config, subject, subject_nick, "
        "subject_ms, hats) VALUES (?, ?, ?, ?, ?, '{}', '', '', 0, '{}') RETURNING id",
        (local, domain, created_ms, secret, int(persistent)),
    )
    assert row is not None
    number: int = row[0]
    return number


def save_room(session: Session, room: int, values: dict[str, Any]) -> None:
    """Sets columns of a room."""
    for name in ("config", "hats"):
        if name in values:
            values[name] = json.dumps(values[name])
    if "persistent" in values:
        values["persistent"] = int(values["persistent"])
    columns = ", ".join(f"{name} = ?" for name in values)
    session.run(f"UPDATE room SET {columns} WHERE id = ?", (*values.values(), room))


def set_affiliates(session: Session, room: int, affiliates: list[Affiliate]) -> None:
    """Keeps standings; empty ones go."""
    for one in affiliates:
        if one.is_empty:
            session.run("DELETE FROM room_affiliation WHERE room = ? AND jid = ?", (room, one.jid))
            continue
        session.run(
            "INSERT INTO room_affiliation (room, jid, affiliation, nick, reason, pending, role) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (room, jid) DO UPDATE SET affiliation = excluded.affiliation, nick = excluded.nick, "
            "reason = excluded.reason, pending = excluded.pending, role = excluded.role",
            (room, one.jid, one.affiliation, one.nick, one.reason, int(one.pending), one.role),
        )


def _delete(session: Session, room: int) -> None:
    session.run("INSERT INTO account_gone (account) VALUES (?) ON CONFLICT DO NOTHING", (-room,))
    session.run("DELETE FROM room WHERE id = ?", (room,))


def _forget(session: Session, room: int) -> None:
    session.run("DELETE FROM account_gone WHERE account = ?", (-room,))
