"""chatctl's commands about rooms: list, show, make, configure, destroy, affiliations, occupants.

They may do what an owner may, and wait for their turn in the room like everybody.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from chatd.core.errors import StanzaError
from chatd.core.jid import JID, InvalidJID
from chatd.core.muc import AFFILIATIONS, RoomRow
from chatd.core.muc_config import parse_words, words_of
from chatd.xep.muc.owner import check_config, configure, destroy
from chatd.xep.muc.room import Occupant, Room
from chatd.xep.muc.standing import Change, change_affiliations, check_owners

if TYPE_CHECKING:
    from chatd.xep.api import Api
    from chatd.xep.muc.service import Conference

__all__ = ["RoomCommands", "room_address"]

Arguments = Mapping[str, Any]

#: How `room list` says what is not the usual: a setting, or that it is not so.
_KINDS: Final = (("not public", "hidden"), ("members_only", "members only"), ("moderated", "moderated"),
                 ("protected", "password"), ("not persistent", "temporary"))


class RoomCommands:
    """The commands `room ...`; services: by domain.  All raise StanzaError, which chatctl tells the sysadmin."""

    def __init__(self, services: Mapping[str, Conference]) -> None:
        self._services = services

    def register(self, api: Api) -> None:
        """Offers them all."""
        api.command("room list", self.all_rooms, "list the rooms of a domain, or of all")
        api.command("room show", self.show, "show a room")
        api.command("room create", self.create, "make a room, with its owner and settings as NAME=VALUE")
        api.command("room config", self.config, "show the settings of a room, or change some: NAME=VALUE")
        api.command("room destroy", self.destroy, "end a room with all that is kept of it")
        api.command("room affiliation", self.affiliation, "show who belongs to a room, or change what somebody is")
        api.command("room occupants", self.occupants, "show who is in a room")
        api.command("room kick", self.kick, "put an occupant out of a room")

    # -- reading
    def all_rooms(self, arguments: Arguments) -> list[dict[str, Any]]:
        """`domain`: that of the people or of the rooms; without it, all."""
        domain = arguments.get("domain")
        found = [service for name, service in self._services.items()
                 if domain is None or domain in (name, name.partition(".")[2])]
        if not found:
            raise StanzaError("item-not-found", text=f"{domain!r} is not among this server's domains.")
        return [_summary(room) for service in found for room in sorted(service.rooms.values(), key=_bare)]

    def show(self, arguments: Arguments) -> dict[str, Any]:
        """The room `room`."""
        room = self._room(arguments)
        return {
            **_summary(room),
            "description": room.config["description"],
            "subject": room.subject,
            "created": room.created_ms / 1000,
            "owners": [one.jid for one in room.affiliated("owner")],
            "admins": [one.jid for one in room.affiliated("admin")],
            "members": len(room.affiliated("member")),
            "outcasts": len(room.affiliated("outcast")),
            "requests": sum(one.pending for one in room.affiliates.values()),
            "locked": room.locked,
        }

    def occupants(self, arguments: Arguments) -> list[dict[str, Any]]:
        """Who is in `room` now, with the clients."""
        room = self._room(arguments)
        return [{"nick": one.nick, "jid": one.jid, "role": one.role, "affiliation": room.affiliation(one.jid),
                 "clients": list(one.seats)} for one in room.occupants.values()]

    # -- changing
    def create(self, arguments: Arguments) -> Deferred[dict[str, Any]]:
        """Makes `room` with the owner `owner`; all other arguments are settings.  It stays when nobody is in it."""
        jid, service = room_address(self._services, arguments)
        owner_jid = _person(arguments, "owner")
        if service.rooms.get(jid.bare) is not None:
            raise StanzaError("conflict", text=f"{jid.bare} is there already.")
        row = RoomRow(0, jid.local, jid.domain, secrets.token_bytes(32), True, {},
                      created_ms=int(service.now() * 1000))
        room = Room(service, row, locked=True)
        settings = {name: value for name, value in arguments.items() if name not in ("room", "owner")}
        config = parse_words(settings, room.config)
        check_config(room, config)
        if not config["persistent"]:
            raise StanzaError("not-acceptable", text="A room that does not stay would end at once: nobody is in it.")
        service.rooms[jid.bare] = room

        async def make() -> dict[str, Any]:
            await service.create(jid, owner_jid.bare)
            await configure(room, config)
            return {"room": room.bare, "owner": owner_jid.bare}

        return service.run(room, make)

    def config(self, arguments: Arguments) -> Any:
        """The settings of `room` after these changes, by name."""
        room = self._room(arguments)
        settings = {name: value for name, value in arguments.items() if name != "room"}
        if not settings:
            return words_of(room.config)

        async def change() -> dict[str, Any]:
            config = parse_words(settings, room.config)
            check_config(room, config)
            await configure(room, config)
            return words_of(config)

        return room.service.run(room, change)

    def destroy(self, arguments: Arguments) -> Deferred[dict[str, Any]]:
        """Ends `room`; `reason` and `alternate`, the room to go to instead, are told to those inside."""
        room = self._room(arguments)
        alternate = _address(arguments, "alternate").bare if arguments.get("alternate") else ""
        result = {"room": room.bare, "occupants": len(room.occupants)}
        done = room.service.run(room, partial(destroy, room, alternate, "", str(arguments.get("reason", ""))))
        return done.addCallback(lambda _: result)

    def affiliation(self, arguments: Arguments) -> Any:
        """Who has an affiliation with `room`; with `jid` and `affiliation` what that one has from now on.

        `jid` may be a domain for outcast and none.  The last owner is conflict.
        """
        room = self._room(arguments)
        if "jid" not in arguments:
            return [{"jid": one.jid, "affiliation": one.affiliation, "nick": one.nick, "reason": one.reason,
                     "pending": one.pending} for one in sorted(room.affiliates.values(), key=lambda one: one.jid)
                    if one.affiliation != "none" or one.pending]
        affiliation = str(arguments.get("affiliation", ""))
        if affiliation not in AFFILIATIONS:
            raise StanzaError("bad-request", text="An affiliation is one of " + ", ".join(AFFILIATIONS) + ".")
        is_ban = affiliation in ("outcast", "none")
        who = _address(arguments, "jid") if is_ban else _person(arguments, "jid")
        change = Change(who.bare, affiliation, str(arguments.get("reason", "")))

        async def apply() -> dict[str, Any]:
            if room.affiliation(change.jid) == "owner":
                check_owners(room, [change])
            await change_affiliations(room, [change])
            return {"room": room.bare, "jid": change.jid, "affiliation": affiliation}

        return room.service.run(room, apply)

    def kick(self, arguments: Arguments) -> Deferred[dict[str, Any]]:
        """Puts `nick` out of `room`; `reason` is told to all."""
        room = self._room(arguments)
        nick = str(arguments.get("nick", ""))

        async def put_out() -> dict[str, Any]:
            found: Occupant | None = room.occupants.get(nick)
            if found is None:
                raise StanzaError("item-not-found", text=f"Nobody in {room.bare} has the nickname {nick!r}.")
            room.expel(found, 307, reason=str(arguments.get("reason", "")))
            ended = room.service.left(room)
            if ended is not None:
                await ended
            return {"room": room.bare, "nick": nick, "jid": found.jid}

        return room.service.run(room, put_out)

    # -- arguments
    def _room(self, arguments: Arguments) -> Room:
        jid, service = room_address(self._services, arguments)
        room = service.rooms.get(jid.bare)
        if room is None:
            raise StanzaError("item-not-found", text=f"There is no room {jid.bare}.")
        return room


def room_address(services: Mapping[str, Conference], arguments: Arguments) -> tuple[JID, Conference]:
    """The address in `room`, and its service; raises StanzaError where there can be no room of that address."""
    jid = _address(arguments, "room")
    service = services.get(jid.domain)
    if service is None or not jid.local or jid.resource:
        known = ", ".join(sorted(services))
        raise StanzaError("item-not-found", text=f"{jid} is no address of a room; they are NAME@ one of {known}.")
    if not service.is_open:
        raise StanzaError("resource-constraint", "wait", text="The rooms are still being read.")
    return jid, service


def _address(arguments: Arguments, name: str) -> JID:
    value = arguments.get(name)
    if not isinstance(value, str) or not value:
        raise StanzaError("bad-request", text=f"The command needs {name}.")
    try:
        return JID.parse(value)
    except InvalidJID as error:
        raise StanzaError("jid-malformed", text=f"{value!r} is not an address: {error}.") from None


def _person(arguments: Arguments, name: str) -> JID:
    jid = _address(arguments, name)
    if not jid.local:
        raise StanzaError("jid-malformed", text=f"{jid} is not an address of a person, such as john@example.com.")
    return jid


def _bare(room: Room) -> str:
    return room.bare


def _summary(room: Room) -> dict[str, Any]:
    config = room.config
    kind = [word for key, word in _KINDS if bool(config[key.removeprefix("not ")]) != key.startswith("not ")]
    return {"room": room.bare, "name": config["name"], "occupants": len(room.occupants), "kind": kind}


