"""`chatctl export --rooms FILE`, and `chatctl import` of such a file: rooms, a JSON object in each line.

The first line says what it is; then comes each room, followed by the messages of its archive (docs/migration.md).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TextIO

import attrs

from chatd.ctl.client import Refused, ask
from chatd.server.control import REQUEST_BYTES

__all__ = ["FORMAT", "RoomImport", "is_rooms_file", "write_rooms"]

FORMAT: Final = "chatd rooms 1"
_BATCH: Final = 250
_BATCH_BYTES: Final = 400_000
_LINE_MOST: Final = REQUEST_BYTES // 2


def is_rooms_file(file: Path) -> bool:
    """Does it begin as such a file does?"""
    try:
        with file.open("rb") as opened:
            return opened.read(1) == b"{"
    except OSError:
        return False


def write_rooms(file: TextIO, socket: Path, domain: str | None, counts: Counter[str]) -> None:
    """Writes all rooms, or those of a domain; counts "rooms" and "messages"."""
    def line(value: dict[str, Any]) -> None:
        file.write(json.dumps(value, ensure_ascii=False) + "\n")

    line({"format": FORMAT})
    rows = ask(socket, "room list", {"domain": domain} if domain else {})
    for row in sorted(rows, key=lambda row: row["room"].partition("@")[::-1]):
        try:
            line(ask(socket, "export room", {"room": row["room"]}))
        except Refused as error:
            if error.condition != "item-not-found":
                raise
            continue                        # it has ended meanwhile
        counts["rooms"] += 1
        after, is_first = "", True
        while is_first or after:
            page = ask(socket, "export room-archive", {"room": row["room"], "after": after})
            for message in page["messages"]:
                line({"message": message})
            counts["messages"] += len(page["messages"])
            after, is_first = page["after"], False


@attrs.define
class RoomImport:
    """One run. counts: "rooms", "messages". skipped: reasons. left_out: rooms, and why. broken: why it ended early."""

    socket: Path
    is_dry: bool
    counts: Counter[str]
    skipped: Counter[str]
    left_out: list[tuple[str, str]]
    broken: str = ""
    _room: str = ""
    _waiting: list[Any] = attrs.field(factory=list)
    _bytes: int = 0

    def take(self, file: Path) -> None:
        """All rooms of a file."""
        for number, value in self._values(file):
            if number == 1:
                if value.get("format") != FORMAT:
                    self.broken = f"{file}: it is not a file of rooms that this version knows"
                    return
            elif "room" in value:
                self._end()
                self._begin(value)
            elif "message" in value and self._room:
                self._add(value["message"])
        if not self.broken:
            self._end()

    def _values(self, file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
        number = 1
        try:
            with file.open(encoding="utf-8") as opened:
                while line := opened.readline(_LINE_MOST):
                    value = json.loads(line)
                    if not isinstance(value, dict):
                        raise ValueError("a line is no object")
                    yield number, value
                    number += 1
        except OSError as error:
            self.broken = f"{file}: {error.strerror}"
        except ValueError:
            self.broken = f"{file}, line {number}: it is no JSON object, or too long"

    def _begin(self, value: dict[str, Any]) -> None:
        try:
            answer = ask(self.socket, "import room", {**value, "dry": self.is_dry})
        except Refused as error:
            self.left_out.append((str(value["room"])[:500], error.text))
            return
        self._room = answer["room"]
        self.skipped.update(answer["skipped"])

    def _add(self, message: Any) -> None:
        self._waiting.append(message)
        self._bytes += len(json.dumps(message))
        if len(self._waiting) >= _BATCH or self._bytes > _BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        if self.is_dry or not waiting:
            self.counts["messages"] += len(waiting)
            return
        answer = ask(self.socket, "import room-archive", {"room": self._room, "messages": waiting})
        self.counts["messages"] += answer["kept"]
        if answer["skipped"]:
            self.skipped["a message of a room is damaged"] += answer["skipped"]

    def _end(self) -> None:
        if self._room:
            self._flush()
            if not self.is_dry:
                ask(self.socket, "import room-done", {"room": self._room})
            self.counts["rooms"] += 1
            self._room = ""
