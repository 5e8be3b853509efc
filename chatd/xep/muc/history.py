"""The last messages of a room, shown to whoever enters: XEP-0045 7.2.13, 7.2.14."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.archive import ArchiveQuery
from chatd.core.delay import DELAY, with_delay
from chatd.core.muc_config import HISTORY_MOST
from chatd.core.stamp import InvalidStamp, parse_stamp
from chatd.core.stanza import Stanza, parse_element
from chatd.core.stanza_id import with_stanza_id
from chatd.xep.muc.addresses import without_address
from chatd.xep.muc.room import Room

__all__ = ["History", "belongs", "load_history", "past"]

_BODY: Final = f"{ns.CLIENT} body"
_READ: Final = HISTORY_MOST * 2
_BYTES_MOST: Final = 1 << 20


class History:
    """What was said last, oldest first: (id, stamp_ms, stanza).  It is in memory, so bounded in number and in bytes."""

    def __init__(self) -> None:
        self._said: deque[tuple[int, int, Stanza]] = deque()
        self._bytes = 0

    def append(self, one: tuple[int, int, Stanza]) -> None:
        """Adds what was just said."""
        self._said.append(one)
        self._bytes += len(one[2].inner)
        while len(self._said) > HISTORY_MOST or (self._bytes > _BYTES_MOST and len(self._said) > 1):
            self._bytes -= len(self._said.popleft()[2].inner)

    def forget(self, row_id: int) -> None:
        """Takes a message out that was taken back (XEP-0424 5)."""
        self._said = deque(one for one in self._said if one[0] != row_id)
        self._bytes = sum(len(stanza.inner) for _, _, stanza in self._said)

    def __reversed__(self) -> Iterator[tuple[int, int, Stanza]]:
        return reversed(self._said)

    def __len__(self) -> int:
        return len(self._said)


def belongs(stanza: Stanza) -> bool:
    """Is this shown to whoever enters later?  What has a text is; changes of the subject and marks are not."""
    return _BODY in stanza.children


async def load_history(room: Room) -> None:
    """Reads what was said last from the archive, once."""
    page = await room.service.store.archive.query(-room.id, ArchiveQuery(before="", max=_READ))
    found = History()
    for row in page.rows:
        stanza = Stanza.from_element(parse_element(without_address(row.stanza)))
        if belongs(stanza):
            found.append((row.id, row.stamp_ms, with_stanza_id(stanza, room.bare, row.id)))
    room.history = found


def past(room: Room, stanza: Stanza, now_ms: int) -> list[Stanza]:
    """What this entering presence wants to see and may, oldest first, each with its delay."""
    limits = _limits(stanza)
    bare = stanza.attrs["from"].partition("/")[0]
    since_ms = max(limits.get("since", 0), room.shown_since_ms(bare))
    if "seconds" in limits:
        since_ms = max(since_ms, now_ms - limits["seconds"] * 1000)
    count = min(limits.get("maxstanzas", HISTORY_MOST), room.config["history"])
    letters = limits.get("maxchars")
    chosen: list[Stanza] = []
    for _, stamp_ms, message in reversed(room.history or History()):
        if len(chosen) >= count or stamp_ms < since_ms:
            break
        # What an owner brought along keeps its own time (XEP-0045 7.9).
        delayed = message if DELAY in message.children else with_delay(message, room.bare, stamp_ms)
        if letters is not None:
            letters -= len(delayed.to_bytes())
            if letters < 0:
                break
        chosen.append(delayed)
    chosen.reverse()
    return chosen


def _limits(stanza: Stanza) -> dict[str, int]:
    """What <history/> says; what makes no sense in it is passed over."""
    found: dict[str, int] = {}
    asked = _history(stanza)
    for name, value in (asked.attributes if asked is not None else {}).items():
        if name in ("maxchars", "maxstanzas", "seconds") and value.isascii() and value.isdigit():
            found[name] = min(int(value[:12]), 2**40)
        elif name == "since":
            try:
                found[name] = parse_stamp(value)
            except InvalidStamp:
                continue
    return found


def _history(stanza: Stanza) -> domish.Element | None:
    for child in stanza.element.elements():
        if child.uri == ns.MUC and child.name == "x":
            for part in child.elements():
                if part.name == "history":
                    return part
    return None
