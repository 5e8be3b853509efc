"""Meetings, and the recordings made of them. A meeting's room is in `chatd.store.rooms`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatd.core.meeting import MeetingRow, RecordingRow
from chatd.core.muc import Affiliate
from chatd.interfaces import IMeetingStore
from chatd.store.database import Database
from chatd.store.rooms import create_room, save_room, set_affiliates
from chatd.store.session import Session

COLUMNS: Final = frozenset({"used_ms", "expires_ms", "may", "present"})
_RECORDING: Final = tuple(field.name for field in attrs.fields(RecordingRow))


@implementer(IMeetingStore)
class Meetings:
    """See IMeetingStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> Deferred[list[MeetingRow]]:
        """See IMeetingStore."""
        return self._database.read(_load)

    def create(self, local: str, domain: str, secret: bytes, config: Mapping[str, Any],
               row: MeetingRow) -> Deferred[int]:
        """See IMeetingStore."""
        return self._database.write(_create, local, domain, secret, dict(config), row)

    def save(self, room_id: int, values: Mapping[str, Any]) -> Deferred[None]:
        """See IMeetingStore."""
        if not values.keys() <= COLUMNS:
            raise ValueError(f"no such columns: {values.keys() - COLUMNS}")
        return self._database.write(_save, room_id, dict(values))

    def recordings(self) -> Deferred[list[RecordingRow]]:
        """See IMeetingStore."""
        return self._database.read(_recordings)

    def keep_recording(self, row: RecordingRow) -> Deferred[None]:
        """See IMeetingStore."""
        return self._database.write(_keep_recording, row)

    def delete_recording(self, id: str) -> Deferred[None]:
        """See IMeetingStore."""
        return self._database.write(_delete_recording, id)


def _load(session: Session) -> list[MeetingRow]:
    return [MeetingRow(room, creator, used_ms, expires_ms, bool(e2ee), tuple(json.loads(may)), json.loads(present))
            for room, creator, used_ms, expires_ms, e2ee, may, present in session.all(
                "SELECT room, creator, used_ms, expires_ms, e2ee, may, present FROM meeting ORDER BY room")]


def _create(session: Session, local: str, domain: str, secret: bytes, config: dict[str, Any], row: MeetingRow) -> int:
    room = create_room(session, local, domain, secret, True, row.used_ms)
    save_room(session, room, {"config": config})
    set_affiliates(session, room, [Affiliate(row.creator, "owner")])
    session.run("INSERT INTO meeting (room, creator, used_ms, expires_ms, e2ee, may, present) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (room, row.creator, row.used_ms, row.expires_ms, int(row.e2ee), json.dumps(row.may),
                 json.dumps(dict(row.present))))
    return room


def _save(session: Session, room: int, values: dict[str, Any]) -> None:
    for name in ("may", "present"):
        if name in values:
            values[name] = json.dumps(values[name])
    columns = ", ".join(f"{name} = ?" for name in values)
    session.run(f"UPDATE meeting SET {columns} WHERE room = ?", (*values.values(), room))


def _recordings(session: Session) -> list[RecordingRow]:
    return [RecordingRow(*row) for row in session.all(
        f"SELECT {', '.join(_RECORDING)} FROM recording ORDER BY started_ms, id")]


def _keep_recording(session: Session, row: RecordingRow) -> None:
    columns = ", ".join(_RECORDING)
    marks = ", ".join("?" for _ in _RECORDING)
    changed = ", ".join(f"{name} = excluded.{name}" for name in _RECORDING if name != "id")
    session.run(f"INSERT INTO recording ({columns}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {changed}",
                attrs.astuple(row))


def _delete_recording(session: Session, id: str) -> None:
    session.run("DELETE FROM recording WHERE id = ?", (id,))
