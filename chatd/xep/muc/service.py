"""One domain of rooms: takes what is addressed to it to the right room, one stanza of a room after the other.

What must ask the store makes the stanzas behind it wait, so that a room never sees itself half changed; only what
reads (the archive) does not hold others up.  Changes that come another way (chatctl, an account that is deleted) wait
in the same line: `run`.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.words.xish import domish
from zope.interface import implementer

from chatd.core import ns
from chatd.core.archive import ArchivePage, ArchiveQuery
from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.muc import Affiliate, RoomRow
from chatd.core.searching import Searches
from chatd.core.stanza import Stanza, attribute
from chatd.interfaces import IService, ISession
from chatd.xep.muc import admin, archive, disco, hats, owner, register, relay, retraction, vcard
from chatd.xep.muc.entering import take_presence, tell_not_there
from chatd.xep.muc.listing import Listing
from chatd.xep.muc.messages import take_message
from chatd.xep.muc.room import Occupant, Room, Seat

if TYPE_CHECKING:
    from chatd.xep.api import Api

__all__ = ["Ask", "Conference"]

log = Logger()

_WAITING_MOST: Final = 1000
_NAME_MOST: Final = 128
_UNCONFIGURED_S: Final = 1800.0
_MUC_X: Final = f"{ns.MUC} x"
_PING: Final = f"{ns.PING} ping"


@attrs.define
class Ask:
    """An iq get or set to a room, with who sent it; occupant: None for somebody who is not in the room."""

    room: Room
    stanza: Stanza
    from_: JID
    occupant: Occupant | None

    @property
    def child(self) -> domish.Element:
        """The payload."""
        return next(self.stanza.element.elements())


#: What answers an iq to a room: the result's content, or a coroutine of it.
Answer = Callable[[Ask], bytes | Coroutine[Any, Any, bytes]]

_ANSWERS: Final[dict[tuple[str, str], Answer]] = {
    ("get", f"{ns.DISCO_INFO} query"): disco.room_info,
    ("get", f"{ns.DISCO_ITEMS} query"): disco.room_items,
    ("get", _PING): lambda ask: b"",
    ("get", f"{admin.ADMIN} query"): admin.get_list,
    ("set", f"{admin.ADMIN} query"): admin.set_items,
    ("get", f"{owner.OWNER} query"): owner.get_form,
    ("set", f"{owner.OWNER} query"): owner.set_owner,
    ("get", f"{register.REGISTER} query"): register.get_registration,
    ("set", f"{register.REGISTER} query"): register.register,
    ("get", f"{ns.VCARD} vCard"): vcard.get_vcard,
    ("set", f"{ns.VCARD} vCard"): vcard.set_vcard,
    ("set", f"{retraction.MODERATE} moderate"): retraction.moderate,
    ("set", f"{hats.COMMANDS} command"): hats.command,
}
#: Those that only read and may take long: they hold nobody up.
_BESIDE: Final[dict[tuple[str, str], Answer]] = {
    ("get", f"{ns.MAM} query"): archive.archive_form,
    ("set", f"{ns.MAM} query"): archive.query_archive,
    ("get", f"{ns.MAM} metadata"): archive.archive_metadata,
}


@implementer(IService)
class Conference:
    """The rooms of one domain.

    may_create(from): None, or the StanzaError that refuses a new room.  bounded(page, query): an archive's page
    without what would be too much to send at once.  features: what disco says of the service besides.
    """

    features: tuple[str, ...] = ()

    def __init__(self, domain: str, api: Api, may_create: Callable[[JID], StanzaError | None],
                 bounded: Callable[[ArchivePage, ArchiveQuery], ArchivePage]) -> None:
        self.domain = domain
        self.title = "Rooms"
        self.router = api.router
        self.store = api.store
        self.clock = api.clock
        self.now = api.now
        self.limits = api.settings.limits
        self.occupants_most: int = api.options["occupants"]
        self.new_persistent: bool = api.options["persistent"]
        self.deliveries_per_s: int = api.options["deliveries"]
        self.then = api.store.then
        self.new_id = api.store.new_id
        self.append = api.store.archive.append
        self.may_create = may_create
        self.bounded = bounded
        self.rooms: dict[str, Room] = {}
        self.listing = Listing(self)
        self.asking: dict[str, int] = {}        # pages of archives that clients are being sent
        self.searches = Searches(api.now)
        self._held: list[tuple[Stanza, JID]] | None = []
        self._serial = 0

    # -- life
    def open(self, rows: list[RoomRow]) -> None:
        """The rooms as the store has them; what came before that is taken up now."""
        for row in rows:
            room = Room(self, row)
            if room.config["persistent"]:
                self.rooms[room.bare] = room
            else:
                # Its occupants went with the former run of the daemon.
                self._delete(row.id)
        self.listing.forget()
        held, self._held = self._held or [], None
        for stanza, to in held:
            self.receive(stanza, to)

    @property
    def is_open(self) -> bool:
        """Are the rooms there, or still being read?"""
        return self._held is None

    def _delete(self, room_id: int) -> None:
        self.store.rooms.delete(room_id).addErrback(lambda failure: log.failure("room not deleted", failure=failure))

    async def create(self, to: JID, owner_bare: str) -> Room:
        """A new room, locked, with its first owner (XEP-0045 10.1).  It stays over a restart once it is configured."""
        room = self.rooms[to.bare]
        try:
            row_id = await self.store.rooms.create(to.local, to.domain, room.secret, False, self.now())
            first = Affiliate(owner_bare, "owner")
            await self.store.rooms.set_affiliates(row_id, [first])
        except BaseException:
            del self.rooms[to.bare]
            raise
        room.id = row_id
        room.keep([first])
        return room

    def left(self, room: Room) -> Deferred[Any] | None:
        """Somebody has left: an empty room forgets its history, and ends if it is not to stay."""
        if room.occupants or room.is_gone:
            return None
        room.history = None
        if room.config["persistent"] and not room.locked:
            return None
        return Deferred.fromCoroutine(self.end(room))

    async def end(self, room: Room) -> None:
        """Deletes a room; until that is done nobody makes another of its address."""
        room.is_gone = True
        self.listing.forget()
        await self.store.rooms.delete(room.id)
        self.rooms.pop(room.bare, None)
        self.listing.forget()

    def give_up(self) -> None:
        """Ends rooms that nobody has configured for long (XEP-0045 13.6)."""
        old_ms = int((self.now() - _UNCONFIGURED_S) * 1000)
        for room in list(self.rooms.values()):
            if room.locked and room.created_ms < old_ms and not room.is_gone:
                done = self.run(room, partial(owner.destroy, room, "", "", "Nobody has configured this room."))
                done.addErrback(lambda failure: log.failure("room not ended", failure=failure))

    def shut_down(self) -> None:
        """Tells everybody that the service ends now (XEP-0045 11.2)."""
        for room in self.rooms.values():
            owner.dismiss(room, 332)

    def run(self, room: Room, job: Callable[[], Coroutine[Any, Any, Any]]) -> Deferred[Any]:
        """Does something with a room when it is its turn; fails with item-not-found if it has ended by then."""
        done: Deferred[Any] = Deferred()

        def start() -> bool:
            if room.is_gone:
                done.errback(StanzaError("item-not-found", text="There is no such room any more."))
                return True
            result = Deferred.fromCoroutine(job())
            result.addCallbacks(done.callback, done.errback)
            return self._is_done(result, room)

        if room.queue is not None:
            room.queue.append(start)
        else:
            start()
        return done

    # -- in
    def receive(self, stanza: Stanza, to: JID) -> None:
        """See IService."""
        if self._held is not None:
            self._held.append((stanza, to))
            return
        from_ = JID.parse(stanza.attrs["from"])
        room = self.rooms.get(to.bare) if to.local else None
        if room is not None and room.queue is not None:
            if len(room.queue) >= _WAITING_MOST:
                self.refuse(stanza, StanzaError("resource-constraint", "wait", text="The room is too busy."))
                return
            room.queue.append(partial(self._work, stanza, from_, to))
            return
        self._work(stanza, from_, to)

    def _work(self, stanza: Stanza, from_: JID, to: JID) -> bool:
        """Works one stanza off; False where its room is busy with it now."""
        try:
            result = self._take(stanza, from_, to)
        except StanzaError as error:
            self.refuse(stanza, error)
            return True
        except Exception:
            log.failure("{stanza!r}", stanza=stanza)
            self.refuse(stanza, StanzaError("internal-server-error"))
            return True
        if result is None:
            return True
        result.addErrback(self._refused, stanza)
        return self._is_done(result, self.rooms.get(to.bare))

    def _is_done(self, result: Deferred[Any], room: Room | None) -> bool:
        """False where it is not: the room is busy with it until it is."""
        if room is None or (result.called and not result.paused):
            return True
        if room.queue is None:
            room.queue = deque()
        result.addCallback(self._done, room)
        return False

    def _done(self, _: Any, room: Room) -> None:
        queue = room.queue or deque()
        while queue:
            if not queue.popleft()():
                return self._hand_over(room, queue)
        room.queue = None
        return None

    def _hand_over(self, room: Room, queue: deque[Callable[[], bool]]) -> None:
        """A room that ended and was made again meanwhile is another one: what waits, waits for that."""
        there = self.rooms.get(room.bare)
        if there is not None and there is not room:
            room.queue = None
            if there.queue is None:
                there.queue = deque()
            there.queue.extend(queue)
            queue.clear()

    def _refused(self, failure: Any, stanza: Stanza) -> None:
        if failure.check(StanzaError):
            self.refuse(stanza, failure.value)
            return
        log.failure("{stanza!r}", failure=failure, stanza=stanza)
        self.refuse(stanza, StanzaError("internal-server-error"))

    def _take(self, stanza: Stanza, from_: JID, to: JID) -> Deferred[Any] | None:
        if not to.local:
            self._of_service(stanza)
            return None
        room = self.rooms.get(to.bare)
        if room is None or (room.locked and not room.is_at_least(from_.bare, "owner")):
            return self._nowhere(room, stanza, from_, to)
        if stanza.name == "message":
            return take_message(room, stanza, from_, to)
        if stanza.name == "presence":
            return take_presence(room, stanza, from_, to)
        return self._iq(room, stanza, from_, to)

    def _nowhere(self, room: Room | None, stanza: Stanza, from_: JID, to: JID) -> Deferred[Any] | None:
        """To a room that is not there, or not for this person yet (XEP-0045 7.2.10)."""
        if stanza.name == "presence":
            if stanza.attrs.get("type") is not None:
                return None
            if _MUC_X not in stanza.children:
                tell_not_there(self, from_, to)
                return None
            if room is None:
                return self._new_room(stanza, from_, to)
        elif to.resource and stanza.payload == _PING and stanza.attrs.get("type") == "get":
            raise StanzaError("not-acceptable", text="You are not in this room.")       # XEP-0410 3
        raise StanzaError("item-not-found", text="There is no such room.")

    def _new_room(self, stanza: Stanza, from_: JID, to: JID) -> Deferred[Any]:
        if not to.resource:
            raise StanzaError("jid-malformed", "modify",
                              text="Entering a room takes a nickname: room@service/nickname.")
        if len(to.local) > _NAME_MOST:
            raise StanzaError("not-acceptable", text=f"The name of a room has at most {_NAME_MOST} characters.")
        refusal = self.may_create(from_)
        if refusal is not None:
            raise refusal
        row = RoomRow(0, to.local, to.domain, secrets.token_bytes(32), self.new_persistent, {},
                      created_ms=int(self.now() * 1000))
        self.rooms[to.bare] = Room(self, row, locked=True)

        async def make() -> None:
            room = await self.create(to, from_.bare)
            try:
                entered = take_presence(room, stanza, from_, to)
                if entered is not None:
                    await entered
            except BaseException:
                await self.end(room)
                raise

        return Deferred.fromCoroutine(make())

    # -- iqs
    def _iq(self, room: Room, stanza: Stanza, from_: JID, to: JID) -> Deferred[Any] | None:
        kind = stanza.attrs.get("type", "")
        if kind in ("get", "set") and ("id" not in stanza.attrs or len(stanza.children) != 1):
            raise StanzaError("bad-request", text="An iq has a type, an id and, to ask, one child.")
        if kind in ("result", "error"):
            relay.pass_answer(room, stanza, from_, to)
            return None
        ask = Ask(room, stanza, from_, room.seats.get(from_.full))
        if to.resource:
            content = relay.pass_question(ask, to.resource)
            if content is not None:
                self.router.back(stanza.result(content))
            return None
        key = (kind, stanza.payload)
        answer = _ANSWERS.get(key)
        if answer is not None:
            return self._answer(answer(ask), stanza)
        answer = _BESIDE.get(key)
        if answer is None:
            raise StanzaError("service-unavailable")
        beside = self._answer(answer(ask), stanza)
        if beside is not None:
            beside.addErrback(self._refused, stanza)
        return None

    def _answer(self, content: bytes | Coroutine[Any, Any, bytes], stanza: Stanza) -> Deferred[Any] | None:
        if isinstance(content, bytes):
            self.router.back(stanza.result(content))
            return None
        result: Deferred[bytes] = Deferred.fromCoroutine(content)
        return result.addCallback(lambda inner: self.router.back(stanza.result(inner)))

    def _of_service(self, stanza: Stanza) -> None:
        if stanza.name == "presence" or not stanza.may_be_answered:
            return
        key = (stanza.attrs.get("type"), stanza.payload)
        if key == ("get", f"{ns.DISCO_INFO} query"):
            content = disco.service_info(self, stanza)
        elif key == ("get", f"{ns.DISCO_ITEMS} query"):
            content = disco.service_items(self, stanza)
        elif key == ("get", _PING):
            content = b""
        else:
            raise StanzaError("service-unavailable")
        self.router.back(stanza.result(content))

    # -- out
    def refuse(self, stanza: Stanza, error: StanzaError) -> None:
        """The error answer, by the room; to presence with the mark by which clients know that it is about a room."""
        if not stanza.may_be_answered or "from" not in stanza.attrs:
            return
        answer = stanza.error(error)
        by = f'<error by="{attribute(stanza.attrs["to"].partition("/")[0])}" '.encode()
        inner, children = answer.inner.replace(b"<error ", by, 1), answer.children
        if stanza.name == "presence":
            inner, children = f'<x xmlns="{ns.MUC}"/>'.encode() + inner, (_MUC_X, *children)
        self.router.back(answer.with_children(inner, children))

    def session_of(self, jid: JID) -> ISession | None:
        """The session of a full address here, None for one elsewhere."""
        account = self.router.accounts.find(jid.bare)
        session: ISession | None = account.sessions.get(jid.resource) if account is not None else None
        return session

    def hand(self, seat: Seat, stanza: Stanza) -> None:
        """Delivers to one client."""
        if seat.session is not None:
            seat.session.deliver(stanza)
            return
        try:
            self.router.route_out(stanza, JID.parse(seat.full))
        except StanzaError as error:
            log.debug("not delivered: {stanza!r}: {error}", stanza=stanza, error=error)

    def next_id(self) -> str:
        """An id for an iq that the room passes on."""
        self._serial += 1
        return f"muc-{self._serial}-{secrets.token_hex(4)}"
