"""The public list of a service's rooms, a page at a time: XEP-0045 6.3, XEP-0059.

Its order is that of the rooms' addresses; it is made when somebody asks and something has changed since.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final

from twisted.words.xish import domish

from chatd.core import rsm
from chatd.core.errors import StanzaError
from chatd.core.stanza import attribute

if TYPE_CHECKING:
    from chatd.xep.muc.service import Conference

__all__ = ["Listing"]

_PAGE_MOST: Final = 500


class Listing:
    """The public rooms of one service."""

    def __init__(self, service: Conference) -> None:
        self._service = service
        self._rooms: list[str] | None = None

    def forget(self) -> None:
        """A room has come or gone, or has other settings."""
        self._rooms = None

    def items(self, query: domish.Element) -> str:
        """The <item/>s that are asked for, and the <set/> where that is not all.

        Raises StanzaError bad-request, and item-not-found for an index beyond the last.  A page behind or before a room
        that is listed no more is that where it would stand.
        """
        service = self._service
        if self._rooms is None:
            self._rooms = sorted(room.bare for room in service.rooms.values()
                                 if room.config["public"] and not room.locked)
        rooms = self._rooms
        asked = rsm.parse(query)
        first, last = _page(rooms, asked)
        page = [service.rooms[bare] for bare in rooms[first:last]]
        items = "".join(_item(room.bare, room.config["name"] or room.jid.local) for room in page)
        if asked is None and len(page) == len(rooms):
            return items
        if not page:
            return rsm.result_bytes(None, None, len(rooms)).decode()
        return items + rsm.result_bytes(page[0].bare, page[-1].bare, len(rooms), first).decode()


def _item(bare: str, name: str) -> str:
    return f'<item jid="{attribute(bare)}" name="{attribute(name)}"/>'


def _page(rooms: list[str], asked: rsm.PageRequest | None) -> tuple[int, int]:
    """The range of the list that is meant (XEP-0059 2)."""
    if asked is None:
        return 0, min(len(rooms), _PAGE_MOST)
    most = min(_PAGE_MOST if asked.max is None else asked.max, _PAGE_MOST)
    least, bound = 0, len(rooms)
    if asked.after is not None:
        least = bisect_right(rooms, asked.after)
    if asked.before:
        bound = bisect_left(rooms, asked.before)
    if asked.index is not None:
        if asked.index > len(rooms):
            raise StanzaError("item-not-found", text=f"There are {len(rooms)} rooms.")
        least = asked.index
    bound = max(bound, least)
    if asked.before is not None:
        return max(least, bound - most), bound
    return least, min(bound, least + most)
