"""meet.DOMAIN: the rooms of one domain that are meetings.

The room code of chatd.xep.muc does what it does for every room; here is what comes before it, and what is asked of us.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.meeting import NAME_MOST, PASSWORD_MOST, TOKEN_BYTES, MeetingRow, is_meeting_id, meeting_id
from chatd.core.muc import Affiliate, RoomRow
from chatd.core.muc_config import DEFAULTS
from chatd.core.stamp import InvalidStamp, format_stamp, parse_stamp
from chatd.core.stanza import Stanza
from chatd.interfaces import ISession
from chatd.xep.archive import bounded
from chatd.xep.meet import lobby, state
from chatd.xep.meet.announcing import SENDER, answer_for_sender
from chatd.xep.meet.media import get_media
from chatd.xep.meet.meeting import Meeting, meeting_of
from chatd.xep.meet.moderation import BESIDE, COMMANDS, config_changed, moderator_of, raise_hand, truth
from chatd.xep.meet.owning import end_from_outside, list_meetings
from chatd.xep.meet.recording import Recordings, forget, get_recordings, record
from chatd.xep.meet.talking import check_message, without_ours
from chatd.xep.meet.trial import Trials
from chatd.xep.muc import admin, hats, owner, register
from chatd.xep.muc.room import Room
from chatd.xep.muc.service import Ask, Conference

if TYPE_CHECKING:
    from chatd.xep.api import Api
    from chatd.xep.meet.lobby import Knock

__all__ = ["Meetings"]

log = Logger()

_MUC_X: Final = f"{ns.MUC} x"
_KNOCK: Final = f"{register.REGISTER} query"
_OWNER: Final = f"{owner.OWNER} query"
_OF_ROOM: Final = frozenset({f"{admin.ADMIN} query", _OWNER, f"{hats.COMMANDS} command"})
"""What guests have no business with, moderators or not: lists of real addresses, settings."""
_READ: Final = frozenset({f"{ns.MAM} query", f"{ns.MAM} metadata"})


class Meetings(Conference):
    """The meetings of one domain.  engine: what carries the media, None without."""

    features = (ns.MEET,)

    def __init__(self, domain: str, api: Api, engine: Any, recordings: Recordings) -> None:
        muc = api.modules["muc"].api.options
        accounts = domain.partition(".")[2]
        super().__init__(domain, attrs.evolve(api, options={**muc, **api.options}), self._nobody_by_presence, bounded)
        self.title = "Meetings"
        self.accounts_domain = accounts
        self.guest_domain = f"guest.{accounts}"
        self.public_url: str = getattr(getattr(api.settings, "http", None), "public_url", "")
        self.engine = engine
        self.recordings = recordings
        self.trials = Trials(engine, self.clock)
        self.expire_days: int = api.options["expire_days"]
        self.takes_guests: bool = api.options["guests"]
        self._meetings_most: int = api.options["meetings"]
        self._everybody_creates = api.options["create"] == "everybody"
        self._knocks: dict[str, list[tuple[Meeting, Knock]]] = {}

    def _nobody_by_presence(self, from_: JID) -> StanzaError:
        return StanzaError("item-not-found", text="There is no such meeting, or not any more.")

    # -- life
    def open_meetings(self, rooms: list[RoomRow], rows: Mapping[int, MeetingRow]) -> None:
        """The meetings as the store has them; what came before that is taken up now."""
        for room in rooms:
            row = rows.get(room.id)
            if row is not None:
                # A knock ends with its session, so none is left from before.
                kept = tuple(one for one in room.affiliates if not one.pending)
                meeting = Meeting(self, attrs.evolve(room, affiliates=kept), row)
                self.rooms[meeting.bare] = meeting
        self.open([])

    def shut_down(self) -> None:
        """See Conference.  The media server, if it is another one, goes on: people come back in a moment."""
        self.engine = None
        super().shut_down()

    def close(self) -> None:
        """Nothing is to happen any more."""
        for room in self.rooms.values():
            meeting_of(room).rest()
        self.trials.close()

    def meeting(self, id: str) -> Meeting | None:
        """The meeting of this id; None where there is none, or its time is up."""
        room = self.rooms.get(f"{id}@{self.domain}") if is_meeting_id(id) else None
        if room is None or room.is_gone or meeting_of(room).is_expired():
            return None
        return meeting_of(room)

    def left(self, room: Room) -> Deferred[Any] | None:
        """A meeting stays, also when it is empty."""
        if not room.occupants:
            room.history = None
        return None

    async def end(self, room: Room) -> None:
        """Deletes a meeting with all that belongs to it."""
        meeting = meeting_of(room)
        meeting.rest()
        lobby.open_lobby(meeting, "ended")
        meeting.media.close()
        for row in self.recordings.of(meeting):
            self.recordings.delete(row.id)
        await super().end(room)

    async def expire(self) -> None:
        """Deletes the meetings whose time is up."""
        for room in list(self.rooms.values()):
            # One that is busy is not forgotten: its turn is the next time, if nobody has come in by then.
            if room.queue is None and not room.is_gone and meeting_of(room).is_expired():
                log.info("The meeting {room} has expired.", room=room.bare)
                await self.run(room, partial(self.end, room)).addErrback(
                    lambda failure: log.failure("a meeting whose time is up could not be deleted", failure=failure))

    def save(self, meeting: Meeting, values: dict[str, Any]) -> None:
        """Keeps some of what the store has of a meeting."""
        self.store.meetings.save(meeting.id, values).addErrback(
            lambda failure: log.failure("a meeting could not be kept", failure=failure))

    # -- making one
    def may_make(self, bare: str) -> None:
        """Raises StanzaError where this account has made enough."""
        made = sum(meeting_of(room).creator == bare for room in self.rooms.values())
        if made >= self._meetings_most:
            raise StanzaError("resource-constraint", "wait", text=f"You have {made} meetings: delete one first.")

    async def make(self, creator: JID, name: str = "", password: str = "", lobby: bool = False, e2ee: bool = False,
                   expires_ms: int = 0) -> Meeting:
        """Makes a meeting.  Raises StanzaError not-acceptable, resource-constraint."""
        name = " ".join(name.split())
        now_ms = int(self.now() * 1000)
        if len(name) > NAME_MOST or len(password) > PASSWORD_MOST:
            raise StanzaError("not-acceptable", text=(
                f"A name has at most {NAME_MOST} characters, a password {PASSWORD_MOST}."))
        if expires_ms and expires_ms <= now_ms:
            raise StanzaError("not-acceptable", text="The meeting would have expired already.")
        self.may_make(creator.bare)
        config = {"name": name, "public": False, "invites": False, "member_list": ["moderator"], "history": 50,
                  "logging": False, "members_only": lobby, "protected": bool(password), "password": password}
        config = {key: value for key, value in config.items() if value != DEFAULTS[key]}
        local, secret = meeting_id(name, secrets.token_bytes(TOKEN_BYTES)), secrets.token_bytes(32)
        row = MeetingRow(0, creator.bare, now_ms, expires_ms, e2ee)
        row = attrs.evolve(row, room=await self.store.meetings.create(local, self.domain, secret, config, row))
        room = RoomRow(row.room, local, self.domain, secret, True, config,
                       affiliates=(Affiliate(creator.bare, "owner"),), created_ms=now_ms)
        meeting = Meeting(self, room, row)
        self.rooms[meeting.bare] = meeting
        return meeting

    def link(self, id: str) -> str:
        """The link of a meeting."""
        return f"{self.public_url}/meet/{id}"

    def is_guest(self, bare: str) -> bool:
        """Has this person no account?"""
        return bare.endswith(f"@{self.guest_domain}")

    # -- who waits
    def remember_knock(self, meeting: Meeting, made: Knock) -> None:
        """Somebody waits, or waits anew."""
        self.forget_knock_of(meeting, made.bare)
        meeting.waiting[made.bare] = made
        self._knocks.setdefault(made.full, []).append((meeting, made))

    def forget_knock_of(self, meeting: Meeting, bare: str) -> bool:
        """This person waits no longer; False where she did not."""
        found = meeting.waiting.pop(bare, None)
        if found is not None:
            self.forget_knock(found)
        return found is not None

    def forget_knock(self, made: Knock) -> None:
        """This one is answered."""
        left = [pair for pair in self._knocks.pop(made.full, []) if pair[1] is not made]
        if left:
            self._knocks[made.full] = left

    def present_or_waiting(self) -> Iterator[str]:
        """The full addresses of all clients that are in a meeting or wait to be let in."""
        yield from self._knocks
        for room in self.rooms.values():
            yield from room.seats

    def session_ended(self, full: str) -> None:
        """Whoever leaves for good waits no longer."""
        for meeting, made in self._knocks.pop(full, []):
            lobby.withdraw(meeting, made.bare)

    # -- in
    def session_of(self, jid: JID) -> ISession | None:
        """As Conference has it, with visits."""
        found: ISession | None = self.router.visits.find(jid.full)
        return found or super().session_of(jid)

    def _take(self, stanza: Stanza, from_: JID, to: JID) -> Deferred[Any] | None:
        if not to.local:
            return self._ask_service(stanza, from_)
        if to.local == SENDER:
            answer = answer_for_sender(stanza)
            return self._answer(answer, stanza) if answer is not None else None
        room = self.rooms.get(to.bare)
        if room is None:
            return super()._take(stanza, from_, to)
        meeting = meeting_of(room)
        if meeting.is_expired():
            return self._nowhere(room, stanza, from_, to)
        if stanza.name == "message":
            return self._take_message(meeting, stanza, from_, to)
        if stanza.name == "presence":
            stanza = without_ours(stanza)
            is_entering = stanza.attrs.get("type") is None and _MUC_X in stanza.children and to.resource
            if is_entering and from_.full not in room.seats:
                if self.is_guest(from_.bare) and not self.takes_guests:
                    raise StanzaError("forbidden", text="This site takes no guests.")
                meeting.check_entry(from_.bare, to.resource)
        return super()._take(stanza, from_, to)

    def _take_message(self, meeting: Meeting, stanza: Stanza, from_: JID, to: JID) -> Deferred[Any] | None:
        occupant = meeting.seats.get(from_.full)
        form = _form(stanza) if not to.resource else None
        if form is not None and lobby.is_answer(form):
            return Deferred.fromCoroutine(lobby.answer_form(meeting, occupant, form))
        checked = check_message(meeting, occupant, stanza, from_, to)
        return super()._take(checked, from_, to) if checked is not None else None

    # -- iqs to a meeting
    def _iq(self, room: Room, stanza: Stanza, from_: JID, to: JID) -> Deferred[Any] | None:
        kind, payload = stanza.attrs.get("type", ""), stanza.payload
        if kind not in ("get", "set") or len(stanza.children) != 1:
            return super()._iq(room, stanza, from_, to)
        meeting = meeting_of(room)
        if to.resource:
            self._check_relay(meeting, stanza, from_, to)
            return super()._iq(room, stanza, from_, to)
        ask = Ask(room, stanza, from_, room.seats.get(from_.full))
        space, _, name = payload.partition(" ")
        if space == ns.MEET:
            return self._ours(ask, meeting, kind, name)
        if payload == _KNOCK:
            answer = lobby.knock if kind == "set" else lobby.get_registration
            return self._answer(answer(ask, meeting), stanza)
        if self.is_guest(from_.bare):
            _check_guest(ask, payload)
        if payload == _OWNER and kind == "set":
            return self._answer(self._configure(ask, meeting), stanza)
        return super()._iq(room, stanza, from_, to)

    def _ours(self, ask: Ask, meeting: Meeting, kind: str, name: str) -> Deferred[Any] | None:
        stanza = ask.stanza
        if kind == "get":
            if name == "meeting":
                viewer = ask.occupant.role if ask.occupant is not None else ""
                return self._answer(state.meeting_xml(meeting, viewer).encode(), stanza)
            if name == "media":
                return self._answer(get_media(ask, meeting), stanza)
            if name == "trial":
                return self._answer(self.trials.token(ask, meeting), stanza)
            if name == "recordings":
                return self._answer(get_recordings(ask, meeting), stanza)
        elif name == "hand":
            return self._answer(raise_hand(ask, meeting), stanza)
        elif name == "forget":
            return self._answer(forget(ask, meeting), stanza)
        elif name == "end" and ask.occupant is None:
            return self._answer(end_from_outside(ask, meeting), stanza)
        elif name in COMMANDS:
            return self._answer(_nothing(COMMANDS[name](ask, meeting, moderator_of(ask))), stanza)
        elif name in BESIDE or name == "record":
            do = BESIDE.get(name, record)
            beside = self._answer(_nothing(do(ask, meeting, moderator_of(ask))), stanza)
            if beside is not None:
                beside.addErrback(self._refused, stanza)
            return None
        raise StanzaError("service-unavailable")

    async def _configure(self, ask: Ask, meeting: Meeting) -> bytes:
        """The owner's form, or <destroy/>; the meeting takes over what it says."""
        content = await owner.set_owner(ask)
        if not meeting.is_gone:
            config_changed(meeting)
        return content

    def _check_relay(self, meeting: Meeting, stanza: Stanza, from_: JID, to: JID) -> None:
        """Visitors ask nobody but the room, and nobody asks a guest."""
        occupant, target = meeting.seats.get(from_.full), meeting.occupants.get(to.resource)
        is_self_ping = stanza.payload == f"{ns.PING} ping" and occupant is not None and occupant is target
        is_visit = self.router.visits.find(from_.full) is not None
        if not is_self_ping and occupant is not None and (is_visit or (
                target is not None and self.is_guest(target.jid))):
            raise StanzaError("service-unavailable")

    # -- iqs to the service
    def _ask_service(self, stanza: Stanza, from_: JID) -> Deferred[Any] | None:
        asked = (stanza.attrs.get("type"), stanza.payload)
        if stanza.name == "iq" and asked == ("set", f"{ns.MEET} create"):
            return self._answer(self._create(stanza, from_), stanza)
        if stanza.name == "iq" and asked == ("get", f"{ns.MEET} meetings"):
            return self._answer(list_meetings(self, from_, self._everybody_creates), stanza)
        if stanza.name == "iq" and asked == ("get", f"{ns.MEET} ticket"):
            return self._answer(self._ticket(from_), stanza)
        self._of_service(stanza)
        return None

    async def _create(self, stanza: Stanza, from_: JID) -> bytes:
        if from_.domain != self.accounts_domain or not self._everybody_creates:
            raise StanzaError("not-allowed", text="You may not make meetings here.")
        child = next(stanza.element.elements())
        try:
            expires_ms = parse_stamp(child["expires"]) if child.hasAttribute("expires") else 0
        except InvalidStamp:
            raise StanzaError("bad-request", text="expires is a time such as 2026-12-24T00:00:00Z.") from None
        password = "".join(str(part) for part in child.elements() if part.name == "password" and part.uri == ns.MEET)
        meeting = await self.make(
            from_, child.getAttribute("name") or "", password, truth(child, "lobby") or False,
            truth(child, "e2ee") or False, expires_ms)
        return state.meeting_xml(meeting).encode()

    async def _ticket(self, from_: JID) -> bytes:
        if from_.domain != self.accounts_domain:
            raise StanzaError("not-allowed", text="Only accounts of this domain get tickets.")
        ticket, expires = await self.router.visits.ticket(from_)
        return state.element("ticket", {"expires": format_stamp(expires * 1000)}, state.text(ticket)).encode()


def _check_guest(ask: Ask, payload: str) -> None:
    """Raises StanzaError forbidden for what is not for guests, or not for those outside."""
    if payload in _OF_ROOM:
        raise StanzaError("forbidden", text="Guests use the meeting's own controls.")
    if payload in _READ and ask.occupant is None:
        raise StanzaError("forbidden", text="Guests read what is said while they are in the meeting.")


def _form(stanza: Stanza) -> domish.Element | None:
    """The submitted form in a message, if there is one."""
    if f"{ns.DATA} x" not in stanza.children:
        return None
    return next((child for child in stanza.element.elements() if child.uri == ns.DATA and child.name == "x"
                 and child.getAttribute("type") == "submit"), None)


async def _nothing(done: Any) -> bytes:
    await done
    return b""
