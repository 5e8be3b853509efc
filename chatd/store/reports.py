"""What people reported to whoever runs this server (XEP-0377)."""

from __future__ import annotations

import json
from typing import Final

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatd.core.reports import ReportRow
from chatd.interfaces import IReportStore
from chatd.store.database import Database
from chatd.store.session import Session

_COLUMNS: Final = tuple(field.name for field in attrs.fields(ReportRow) if field.name != "id")
_ALL: Final = ", ".join(_COLUMNS)


@implementer(IReportStore)
class Reports:
    """See IReportStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, row: ReportRow, most: int) -> Deferred[int]:
        """See IReportStore."""
        return self._database.write(_add, row, most)

    def list(self, most: int) -> Deferred[list[ReportRow]]:
        """See IReportStore."""
        return self._database.read(_list, most)

    def get(self, id: int) -> Deferred[ReportRow | None]:
        """See IReportStore."""
        return self._database.read(_get, id)

    def delete(self, id: int) -> Deferred[bool]:
        """See IReportStore."""
        return self._database.write(_delete, id)


def _add(session: Session, row: ReportRow, most: int) -> int:
    values = (row.stamp_ms, row.reporter, row.reported, row.reason, row.says, json.dumps(row.messages),
              json.dumps(row.forward))
    marks = ", ".join("?" for _ in _COLUMNS)
    session.run(f"INSERT INTO report ({_ALL}) VALUES ({marks})", values)
    found = session.one("SELECT max(id) FROM report")
    assert found is not None
    session.run("DELETE FROM report WHERE id <= ?", (found[0] - most,))
    return int(found[0])


def _row(found: tuple[object, ...]) -> ReportRow:
    id, stamp_ms, reporter, reported, reason, says, messages, forward = found
    return ReportRow(int(str(id)), int(str(stamp_ms)), str(reporter), str(reported), str(reason), str(says),
                     tuple(json.loads(str(messages))), tuple(json.loads(str(forward))))


def _list(session: Session, most: int) -> list[ReportRow]:
    return [_row(found) for found in session.all(f"SELECT id, {_ALL} FROM report ORDER BY id DESC LIMIT ?", (most,))]


def _get(session: Session, id: int) -> ReportRow | None:
    found = session.one(f"SELECT id, {_ALL} FROM report WHERE id = ?", (id,))
    return _row(found) if found is not None else None


def _delete(session: Session, id: int) -> bool:
    return session.run("DELETE FROM report WHERE id = ?", (id,)) == 1
