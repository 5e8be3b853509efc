"""Multi-User Chat: XEP-0045, with all that belongs to rooms, on conference.DOMAIN of every domain served.

The rooms are in memory with their settings and standings; the store has them too, their messages only it has (but the
last few of rooms somebody is in).
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from twisted.logger import Logger

from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.muc import RoomRow
from chatd.interfaces import IAccount
from chatd.xep.api import Api, Module, Option, Request
from chatd.xep.archive import bounded
from chatd.xep.muc.commands import RoomCommands
from chatd.xep.muc.former_accounts import forget_account, knows
from chatd.xep.muc.portable import PortableRooms
from chatd.xep.muc.room import Room
from chatd.xep.muc.service import Conference

__all__ = ["Muc"]

log = Logger()

_LOOK_EVERY_S: Final = 60.0


class Muc(Module):
    """XEP-0045: group chat rooms."""

    name = "muc"
    xep = "0045"
    version = "1.35.5"
    also = (("0249", "1.2"), ("0317", "0.3.1"), ("0410", "1.1.0"), ("0421", "1.0.1"), ("0424", "0.4.2"),
            ("0425", "0.3.0"), ("0486", "0.1.0"))
    needs = ("archive", "vcard")
    options = (
        Option("create", str, "everybody", "Who may make rooms: everybody with an account here, or nobody.",
               choices=("everybody", "nobody")),
        Option("occupants", int, 1000, "How many people one room takes at most.", 2, 10000),
        Option("deliveries", int, 5000,
               "How many messages a second one person may make one room send, once ten seconds' worth are used up.",
               100, 1000000),
        Option("persistent", bool, True, "Whether a new room stays when everybody has left it."),
        Option("rooms", int, 50, "How many rooms one account may own and still make another.", 1, 100000),
    )

    def start(self, api: Api) -> None:
        """Serves conference.DOMAIN of each domain and reads the rooms."""
        super().start(api)
        self.services = {f"conference.{domain}": Conference(f"conference.{domain}", api, self._may_create, bounded)
                         for domain in api.router.domains}
        for domain, service in self.services.items():
            api.serve(domain, service)
        api.on("disco.items", self._items)
        api.on("account.deleted", self._deleted)
        api.on("server.stopping", self._stopping)
        api.loop(_LOOK_EVERY_S, self._look)
        RoomCommands(self.services).register(api)
        PortableRooms(self.services).register(api)
        self._former: list[str] = []
        api.store.rooms.load().addCallbacks(self._loaded, self._not_loaded)

    def _loaded(self, rows: list[RoomRow]) -> None:
        by_domain: dict[str, list[RoomRow]] = {}
        for row in rows:
            by_domain.setdefault(row.domain, []).append(row)
        for domain, service in self.services.items():
            service.open(by_domain.get(domain, []))
        for bare in self._former:
            self._forget(bare)

    def _not_loaded(self, failure: Any) -> None:
        log.failure("the rooms could not be read: nobody gets into one", failure=failure)

    # -- what happens elsewhere
    def _deleted(self, account: IAccount) -> None:
        if any(not service.is_open for service in self.services.values()):
            self._former.append(account.bare)
        else:
            self._forget(account.bare)

    def _forget(self, bare: str) -> None:
        for service in self.services.values():
            for room in [room for room in service.rooms.values() if knows(room, bare)]:
                service.run(room, partial(forget_account, room, bare)).addErrback(self._not_forgotten, room, bare)

    def _not_forgotten(self, failure: Any, room: Room, bare: str) -> None:
        if not room.is_gone:
            log.failure("{room} still knows {jid}, who is no more", failure, room=room.bare, jid=bare)

    def _stopping(self) -> None:
        for service in self.services.values():
            service.shut_down()

    def _look(self) -> None:
        for service in self.services.values():
            service.give_up()

    def _items(self, request: Request, node: str | None) -> list[tuple[str, str, str]] | None:
        """The service is an item of its domain (XEP-0045 6.1)."""
        if node or request.to.local:
            return None
        service = self.services.get(f"conference.{request.to.domain}")
        return [(service.domain, service.title, "")] if service is not None else None

    def _may_create(self, from_: JID) -> StanzaError | None:
        if self.api.options["create"] == "nobody" or from_.domain not in self.api.router.domains:
            return StanzaError("not-allowed", text="You may not make rooms here.")
        owned = sum(room.affiliation(from_.bare) == "owner" for service in self.services.values()
                    for room in service.rooms.values())
        if owned >= self.api.options["rooms"]:
            return StanzaError("resource-constraint", "wait", text=f"You own {owned} rooms; destroy one first.")
        return None
