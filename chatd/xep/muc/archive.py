"""The archive of a room, XEP-0313: for everybody who may enter it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.task import deferLater

from chatd.core import ns
from chatd.core.archive import FORM, ItemNotFound, fin_bytes, metadata_bytes, parse_query, result_bytes
from chatd.core.errors import StanzaError
from chatd.core.stanza import Stanza
from chatd.xep.muc.room import Seat

if TYPE_CHECKING:
    from chatd.xep.muc.service import Ask

__all__ = ["archive_form", "archive_metadata", "query_archive"]

_ROWS_A_TURN: Final = 50


def _check(ask: Ask) -> None:
    """Raises StanzaError for whoever may not read: XEP-0313 3.1, as if to enter the room."""
    room, bare = ask.room, ask.from_.bare
    if ask.occupant is not None or room.is_at_least(bare, "member"):
        return
    if room.locked or room.affiliation(bare) == "outcast" or room.config["members_only"] or room.config["protected"]:
        raise StanzaError("forbidden", text="This archive is for those who are in the room.")


def archive_form(ask: Ask) -> bytes:
    """The fields a query may have."""
    _check(ask)
    return FORM


async def archive_metadata(ask: Ask) -> bytes:
    """The first and the last message."""
    _check(ask)
    return metadata_bytes(await ask.room.service.store.archive.metadata(-ask.room.id))


async def query_archive(ask: Ask) -> bytes:
    """Sends one page, then the end."""
    _check(ask)
    room, service = ask.room, ask.room.service
    query_id, query = parse_query(ask.child)
    try:
        page = service.bounded(await service.store.archive.query(-room.id, query), query)
    except ItemNotFound:
        raise StanzaError("item-not-found", text="The archive holds no message with that id.") from None
    seat = Seat(ask.from_.full, service.session_of(ask.from_), ask.stanza)
    attributes = {"from": room.bare, "to": seat.full}
    for number, row in enumerate(page.in_order(query), 1):
        if seat.session is not None and seat.session.is_closed:
            break
        service.hand(seat, Stanza("message", dict(attributes), result_bytes(row, query_id), (f"{ns.MAM} result",)))
        if not number % _ROWS_A_TURN:
            await deferLater(service.clock, 0, lambda: None)
    return fin_bytes(page)
