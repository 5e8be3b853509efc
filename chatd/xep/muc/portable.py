"""Rooms taken out of one server and into another, the daemon's half of `chatctl export --rooms` and `chatctl import`.

XEP-0227 has no place for rooms, so the file is chatd's own (docs/migration.md): a JSON object for each room, and one
for each message of its archive. Everything stays what it was: ids of the archive, by which clients know messages again,
and the key that occupant ids are made with. What the file says is looked at like what comes from a client.

A room that is being imported is locked and does not outlive a restart until all of it is there.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from secrets import token_bytes
from typing import TYPE_CHECKING, Any, Final

import attrs
from twisted.internet.defer import Deferred

from chatd.core.archive import ArchiveQuery
from chatd.core.errors import StanzaError
from chatd.core.jid import JID, InvalidJID
from chatd.core.muc import AFFILIATIONS, Affiliate, RoomRow
from chatd.core.muc_config import DEFAULTS, FIELDS
from chatd.core.stanza import parse_element
from chatd.xep.muc.addresses import speaker_of
from chatd.xep.muc.commands import room_address
from chatd.xep.muc.room import Room

if TYPE_CHECKING:
    from chatd.xep.api import Api
    from chatd.xep.muc.service import Conference

__all__ = ["PortableRooms", "room_row"]

Arguments = Mapping[str, Any]

_PAGE: Final = 250
_AFFILIATES_MOST: Final = 100_000
_TEXT_MOST: Final = 8192
_WHILE_S: Final = 86400.0
"""A locked room that nobody configures ends after a while; one that is imported has a day."""


@attrs.define
class _Arriving:
    """A room that is being imported. row: what it will be. last: the highest id of its archive so far."""

    room: Room
    row: RoomRow
    last: int = 0


class PortableRooms:
    """`room export|import` and their like; services: by domain. All raise StanzaError, which chatctl tells."""

    def __init__(self, services: Mapping[str, Conference]) -> None:
        self._services = services
        self._arriving: dict[str, _Arriving] = {}

    def register(self, api: Api) -> None:
        """Offers them."""
        for words, run, says in (
            ("export room", self._export, "a room without its archive, as `chatctl export --rooms` writes it"),
            ("export room-archive", self._export_archive, "a page of a room's archive; after=ID"),
            ("import room", self._import, "make a room that its archive follows"),
            ("import room-archive", self._import_archive, "take over messages of a room that is being imported"),
            ("import room-done", self._done, "let people into a room that has been imported"),
        ):
            api.command(words, run, says)

    # -- out
    def _export(self, arguments: Arguments) -> dict[str, Any]:
        room = self._room(arguments)
        kept = {key: value for key, value in room.config.items() if key != "persistent" and value != DEFAULTS[key]}
        return {
            "room": room.bare, "created_ms": room.created_ms, "secret": b64encode(room.secret).decode(),
            "persistent": room.config["persistent"], "config": kept, "subject": room.subject,
            "subject_nick": room.subject_nick, "subject_ms": room.subject_ms, "subject_mark": room.subject_mark,
            "hats": room.hats, "vcard": room.vcard.decode() if room.vcard else "",
            "affiliates": [attrs.asdict(one) for _, one in sorted(room.affiliates.items())],
        }

    def _export_archive(self, arguments: Arguments) -> Deferred[dict[str, Any]]:
        room, after = self._room(arguments), arguments.get("after")
        query = ArchiveQuery(max=_PAGE, after=int(after) if after else None)

        def found(page: Any) -> dict[str, Any]:
            rows = [{"id": str(row.id), "stamp_ms": row.stamp_ms, "stanza": row.stanza.decode()} for row in page.rows]
            return {"messages": rows, "after": rows[-1]["id"] if rows and not page.complete else ""}

        done: Deferred[Any] = room.service.store.archive.query(-room.id, query)
        return done.addCallback(found)

    def _room(self, arguments: Arguments) -> Room:
        jid, service = room_address(self._services, arguments)
        room = service.rooms.get(jid.bare)
        if room is None or self._importing(jid.bare) is not None:
            raise StanzaError("item-not-found", text=f"There is no room {jid.bare}.")
        return room

    # -- in
    def _import(self, arguments: Arguments) -> Deferred[dict[str, Any]]:
        return Deferred.fromCoroutine(self._begin(arguments))

    async def _begin(self, arguments: Arguments) -> dict[str, Any]:
        jid, service = room_address(self._services, arguments)
        if jid.bare in service.rooms:
            raise StanzaError("conflict", text="There is such a room already.")
        skipped: list[str] = []
        row = room_row(jid, arguments, skipped)
        if not any(one.affiliation == "owner" for one in row.affiliates):
            raise StanzaError("not-acceptable", text="It has no owner.")
        if not arguments.get("dry"):
            room = Room(service, attrs.evolve(row, persistent=True), locked=True)
            room.created_ms = int((service.now() + _WHILE_S) * 1000)
            service.rooms[jid.bare] = room
            try:
                room.id = await service.store.rooms.create(
                    jid.local, jid.domain, row.secret, False, row.created_ms / 1000)
            except BaseException:
                del service.rooms[jid.bare]
                raise
            self._arriving[jid.bare] = _Arriving(room, row)
        return {"room": jid.bare, "skipped": skipped}

    def _importing(self, bare: str) -> _Arriving | None:
        """The import of a room that is going on. One that broke off is over when its room is."""
        for over in [one for one, arriving in self._arriving.items() if arriving.room.is_gone]:
            del self._arriving[over]
        return self._arriving.get(bare)

    def _found(self, arguments: Arguments) -> _Arriving:
        arriving = self._importing(str(arguments.get("room")))
        if arriving is None:
            raise StanzaError("unexpected-request", text="This room is not being imported.")
        return arriving

    def _import_archive(self, arguments: Arguments) -> Deferred[dict[str, Any]]:
        arriving = self._found(arguments)
        room, service = arriving.room, arriving.room.service
        newest = service.new_id(int(service.now() * 1000))
        taken = 0
        for message in arguments.get("messages", ()):
            try:
                id_, stamp_ms, stanza = int(message["id"]), int(message["stamp_ms"]), str(message["stanza"]).encode()
                element = parse_element(stanza)
                nick = JID.parse(element.getAttribute("from", "")).resource
            except (KeyError, TypeError, ValueError, InvalidJID):
                continue
            if element.name != "message" or not arriving.last < id_ < newest or not 0 <= stamp_ms <= newest >> 20:
                continue
            arriving.last = id_
            service.append(-room.id, id_, speaker_of(stanza) or room.bare, nick, stanza, stamp_ms)
            taken += 1
        return service.store.barrier().addCallback(  # type: ignore[no-any-return]
            lambda _: {"kept": taken, "skipped": len(arguments.get("messages", ())) - taken})

    def _done(self, arguments: Arguments) -> Deferred[dict[str, Any]]:
        return Deferred.fromCoroutine(self._finish(self._found(arguments)))

    async def _finish(self, arriving: _Arriving) -> dict[str, Any]:
        room, row, rooms = arriving.room, arriving.row, arriving.room.service.store.rooms
        await rooms.set_affiliates(room.id, list(row.affiliates))
        await rooms.save(room.id, {
            "config": row.config, "subject": row.subject, "subject_nick": row.subject_nick,
            "subject_ms": row.subject_ms, "subject_mark": row.subject_mark, "hats": row.hats, "vcard": row.vcard,
            "persistent": row.persistent})
        room.config["persistent"], room.created_ms, room.locked = row.persistent, row.created_ms, False
        self._arriving.pop(room.bare, None)
        room.service.listing.forget()
        return {"room": room.bare, "owners": [one.jid for one in room.affiliated("owner")]}


def room_row(jid: JID, said: Arguments, skipped: list[str]) -> RoomRow:
    """A room as the file has it; what cannot be is told in `skipped`. Raises StanzaError where nothing can be made."""
    try:
        # Rooms of other servers come without.
        secret = b64decode(said["secret"], validate=True) if "secret" in said else token_bytes(32)
        created_ms, subject_ms = int(said.get("created_ms", 0)), int(said.get("subject_ms", 0))
    except (TypeError, ValueError):
        raise StanzaError("bad-request", text="This is no room as chatctl export --rooms writes it.") from None
    if not 16 <= len(secret) <= 64 or not (0 <= created_ms < 1 << 43 and 0 <= subject_ms < 1 << 43):
        raise StanzaError("bad-request", text="Its key or its times are damaged.")
    vcard = _text(said, "vcard", 1 << 20).encode() or None
    if vcard is not None:
        try:
            parse_element(vcard)
        except ValueError:
            vcard = None
            skipped.append("its card is damaged")
    hats = said.get("hats")
    return RoomRow(
        0, jid.local, jid.domain, secret, bool(said.get("persistent", True)), _config(said.get("config"), skipped),
        _text(said, "subject"), _text(said, "subject_nick"), subject_ms, hats if isinstance(hats, dict) else {}, vcard,
        _affiliates(said.get("affiliates"), skipped), _text(said, "subject_mark"), created_ms)


def _text(said: Arguments, name: str, most: int = _TEXT_MOST) -> str:
    value = said.get(name, "")
    return value[:most] if isinstance(value, str) else ""


def _config(said: Any, skipped: list[str]) -> dict[str, Any]:
    fields, found = {field.key: field for field in FIELDS}, {}
    for key, value in (said if isinstance(said, dict) else {}).items():
        try:
            found[key] = fields[key].parse(fields[key].words(value))
        except (KeyError, StanzaError):
            skipped.append(f"its setting {key[:50]} is not known here, or has no value that can be")
    if found.get("protected") and not found.get("password"):
        # Nobody else may get in because of that.
        found = {**found, "protected": False, "members_only": True}
        skipped.append("its password is missing; it is for members only")
    return {key: value for key, value in found.items() if key != "persistent" and value != DEFAULTS[key]}


def _affiliates(said: Any, skipped: list[str]) -> tuple[Affiliate, ...]:
    found: dict[str, Affiliate] = {}
    for one in (said if isinstance(said, list) else [])[:_AFFILIATES_MOST]:
        try:
            jid, affiliation = JID.parse(one["jid"]), one.get("affiliation", "none")
            if jid.resource or affiliation not in AFFILIATIONS:
                raise KeyError(affiliation)
        except (AttributeError, KeyError, TypeError, InvalidJID):
            skipped.append("somebody's standing is damaged")
            continue
        role = one.get("role") if one.get("role") in ("visitor", "participant") else ""
        found[jid.bare] = Affiliate(jid.bare, affiliation, _text(one, "nick", 1024), _text(one, "reason"),
                                    one.get("pending") is True, role)
    return tuple(found.values())
