"""The archive of a room, XEP-0313: for those in it and its members, and for everybody who may enter if it is open."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

import attrs
from twisted.internet.task import deferLater

from chatd.core import ns
from chatd.core.archive import (
    FORM,
    ArchiveQuery,
    ItemNotFound,
    fin_bytes,
    metadata_bytes,
    parse_query,
    result_bytes,
)
from chatd.core.errors import StanzaError
from chatd.core.muc_config import is_open_archive
from chatd.core.stanza import Stanza
from chatd.xep.muc.addresses import readable
from chatd.xep.muc.room import Seat

if TYPE_CHECKING:
    from chatd.xep.muc.service import Ask

__all__ = ["archive_form", "archive_metadata", "query_archive"]

_ROWS_A_TURN: Final = 50
_AT_ONCE: Final = 8         # pages that one client is sent at a time: it has asked for them of as many rooms, perhaps


def _check(ask: Ask) -> None:
    """Raises StanzaError forbidden for whoever might not enter now (XEP-0313 6.1.3), and for others where the archive
    is for those inside.

    Of a room with a password its owners know it; the others prove that by being inside.
    """
    room, bare = ask.room, ask.from_.bare
    if ask.occupant is not None or room.is_at_least(bare, "owner"):
        return
    if room.is_at_least(bare, "member") and not room.config["protected"]:
        return
    if room.affiliation(bare) == "outcast" or not is_open_archive(room.config):
        raise StanzaError("forbidden", text="This archive is for those who are in the room.")


def _sees_all(ask: Ask) -> bool:
    """May who asks see all real addresses?"""
    bare = ask.from_.bare
    is_moderator = ask.occupant is not None and ask.occupant.role == "moderator"
    return ask.room.tells_addresses_to(bare) and (is_moderator or ask.room.is_at_least(bare, "admin"))


def archive_form(ask: Ask) -> bytes:
    """The fields a query may have."""
    _check(ask)
    return FORM


async def archive_metadata(ask: Ask) -> bytes:
    """The first and the last message."""
    _check(ask)
    return metadata_bytes(await ask.room.service.store.archive.metadata(-ask.room.id))


def _with(ask: Ask, query: ArchiveQuery) -> ArchiveQuery:
    """Whose messages: by nickname (room@service/nickname), by a real address only for who may know it.

    Raises StanzaError forbidden for anybody else.
    """
    wanted = query.with_jid
    if wanted is None:
        return query
    bare, _, nick = wanted.partition("/")
    if bare == ask.room.bare:
        return attrs.evolve(query, with_jid=None, with_resource=nick or None)
    if not _sees_all(ask) and bare != ask.from_.bare:
        raise StanzaError("forbidden", text="Who is who in this room is not for you to know.")
    return attrs.evolve(query, with_jid=bare)


async def query_archive(ask: Ask) -> bytes:
    """Sends one page, then the end; StanzaError resource-constraint for one client's too many at a time."""
    _check(ask)
    asking, full = ask.room.service.asking, ask.from_.full
    if asking.get(full, 0) >= _AT_ONCE:
        raise StanzaError("resource-constraint", "wait", text="One page of the archive after the other, please.")
    asking[full] = asking.get(full, 0) + 1
    try:
        return await _send_page(ask)
    finally:
        asking[full] -= 1
        if not asking[full]:
            del asking[full]


async def _send_page(ask: Ask) -> bytes:
    room, service = ask.room, ask.room.service
    query_id, query = parse_query(ask.child)
    query = _with(ask, query)
    since_ms = room.shown_since_ms(ask.from_.bare)
    if since_ms:
        query = attrs.evolve(query, start_ms=max(query.start_ms or 0, since_ms))
    sees_all, sees_open = _sees_all(ask), (
        room.config["whois"] == "anyone" and room.tells_addresses_to(ask.from_.bare))
    try:
        with service.searches.one(ask.from_.bare) if query.words else nullcontext():
            page = service.bounded(await service.store.archive.query(-room.id, query), query)
    except ItemNotFound:
        raise StanzaError("item-not-found", text="The archive holds no message with that id.") from None
    seat = Seat(ask.from_.full, service.session_of(ask.from_), ask.stanza)
    attributes = {"from": room.bare, "to": seat.full}
    for number, row in enumerate(page.in_order(query), 1):
        if seat.session is not None and seat.session.is_closed:
            break
        row = attrs.evolve(row, stanza=readable(row.stanza, sees_all, sees_open))
        service.hand(seat, Stanza("message", dict(attributes), result_bytes(row, query_id), (f"{ns.MAM} result",)))
        if not number % _ROWS_A_TURN:
            await deferLater(service.clock, 0, lambda: None)
    return fin_bytes(page)
