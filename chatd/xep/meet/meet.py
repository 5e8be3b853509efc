"""Video meetings: rooms on meet.DOMAIN of every domain served, for accounts and for guests with the link.

docs/protocol.md has what is said; the media engine carries sound and picture, `chatd.server.visits` lets guests in.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from zope.interface import implementer

from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.media import MediaError, MediaEvent
from chatd.core.meeting import is_meeting_id
from chatd.core.muc import RoomRow
from chatd.interfaces import IAccount, IMeetings, ISession
from chatd.xep.api import Api, Module, Option, Request
from chatd.xep.meet import state
from chatd.xep.meet.administration import Administration
from chatd.xep.meet.recording import Recordings
from chatd.xep.meet.service import Meetings
from chatd.xep.muc.former_accounts import forget_account, knows

__all__ = ["Meet"]

log = Logger()

_CHECK_S = 60.0
_SOON_S = 5.0


@implementer(IMeetings)
class Meet(Module):
    """Meetings: docs/protocol.md."""

    name = "meet"
    needs = ("muc", "archive")
    options = (
        Option("create", str, "everybody", "Who may make meetings: everybody with an account here, or nobody.",
               choices=("everybody", "nobody")),
        Option("guests", bool, True, "Whether people without an account may join, with the link."),
        Option("guest_sessions", int, 1000, "How many guests and meeting pages are connected at most.", 1, 100000),
        Option("occupants", int, 200, "How many people one meeting takes at most.", 2, 10000),
        Option("meetings", int, 200, "How many meetings one account may have.", 1, 100000),
        Option("expire_days", int, 180, "A meeting is deleted that many days after its last use; 0: never.", 0, 36500),
        Option("recording", bool, False, "Whether moderators may record."),
        Option("recording_days", int, 90, "A recording is deleted that many days after it was made; 0: never.", 0,
               36500),
        Option("recording_quota_mb", int, 20000, "When all recordings together have that size, none is begun.", 1,
               1000000000),
    )

    def start(self, api: Api) -> None:
        """Serves meet.DOMAIN and guest.DOMAIN of each domain and reads the meetings."""
        super().start(api)
        self._is_stopped = False
        self._soon: Any = None
        self._engine: Any = api.media
        self.recordings = Recordings(api, self._engine)
        self.services = {f"meet.{domain}": Meetings(f"meet.{domain}", api, self._engine, self.recordings)
                         for domain in sorted(api.router.domains)}
        for domain, service in self.services.items():
            api.serve(domain, service)
            api.visit(service.guest_domain, service.accounts_domain, domain, api.options["guests"],
                      api.options["guest_sessions"])
        api.on("disco.items", self._items)
        api.on("session.closed", self._ended)
        api.on("visit.ended", self._ended)
        api.on("account.deleted", self._deleted)
        api.on("server.stopping", self._stopping)
        Administration(self.services).register(api)
        if self._engine is not None:
            api.undo(self._engine.listen(self._event))
        api.loop(_CHECK_S, lambda: Deferred.fromCoroutine(self._check()))
        Deferred.fromCoroutine(self._load()).addErrback(self._not_loaded)

    def stop(self) -> None:
        """Lets go of the meetings."""
        self._is_stopped = True
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        for service in self.services.values():
            service.close()

    async def _load(self) -> None:
        store = self.api.store
        rows = {row.room: row for row in await store.meetings.load()}
        by_domain: dict[str, list[RoomRow]] = {}
        for room in await store.rooms.load():
            by_domain.setdefault(room.domain, []).append(room)
        recordings = await store.meetings.recordings()
        if self._is_stopped:
            return
        for domain, service in self.services.items():
            service.open_meetings(by_domain.get(domain, []), rows)
        self.recordings.open(recordings, self.services)
        if self.recordings.is_unsure:
            self._check_soon()

    def _not_loaded(self, failure: Any) -> None:
        log.failure("the meetings could not be read: nobody gets into one", failure=failure)

    def _items(self, request: Request, node: str | None) -> list[tuple[str, str, str]] | None:
        service = self.services.get(f"meet.{request.to.domain}")
        if node or request.to.local or service is None:
            return None
        return [(service.domain, service.title, "")]

    def _ended(self, session: ISession) -> None:
        for service in self.services.values():
            service.session_ended(session.full)

    def _deleted(self, account: IAccount) -> None:
        """Whoever gets the address later inherits nothing; a meeting that is nobody's then ends when it is empty."""
        for service in self.services.values():
            for room in [room for room in service.rooms.values() if knows(room, account.bare)]:
                service.run(room, partial(forget_account, room, account.bare)).addErrback(
                    lambda failure: log.failure("a meeting still knows an account that is no more", failure=failure))

    def _stopping(self) -> None:
        for service in self.services.values():
            service.shut_down()

    # -- the media engine
    def _event(self, event: MediaEvent) -> None:
        if event.kind == "engine_restarted":
            self.recordings.is_unsure = True
            self._check_soon()
        elif event.recording is not None:
            self.recordings.event(event)
        elif event.kind == "participant_joined" and event.room is not None and event.participant is not None:
            meeting = self._of_media(event.room.name)
            if meeting is not None:
                meeting.media.joined(event.participant)

    def _check_soon(self) -> None:
        """When the engine has had time to begin; again and again as long as it is not known what became of a recording
        that was under way before."""
        if self._soon is None:
            self._soon = self.api.clock.callLater(_SOON_S, self._check_now)

    def _check_now(self) -> None:
        self._soon = None
        Deferred.fromCoroutine(self._check()).addErrback(
            lambda failure: log.failure("the meetings could not be looked over", failure=failure)).addCallback(
            lambda _: self._check_soon() if self.recordings.is_unsure and not self._is_stopped else None)

    def _of_media(self, name: str) -> Any:
        local, _, domain = name.partition("@")
        service = self.services.get(domain)
        return service.meeting(local) if service is not None else None

    async def _check(self) -> None:
        """Now and then: what has expired goes, and what was missed of the media engine is made good."""
        for service in self.services.values():
            await service.expire()
        self.api.router.visits.look_over(
            {full for service in self.services.values() for full in service.present_or_waiting()})
        if self._engine is None:
            return
        for check in (self.recordings.check, self._check_media):
            try:
                await check()
            except MediaError as error:
                log.debug("the media engine could not be asked: {reason}", reason=str(error))

    async def _check_media(self) -> None:
        assert self._engine is not None
        for room in await self._engine.list_rooms():
            meeting = self._of_media(room.name)
            if meeting is not None:
                try:
                    await meeting.media.check()
                except MediaError as error:
                    log.debug("{room} could not be looked over: {reason}", room=room.name, reason=str(error))

    # -- IMeetings
    @property
    def is_open(self) -> bool:
        """See IMeetings."""
        return all(service.is_open for service in self.services.values())

    def create(self, account: JID, name: str = "", password: str = "", lobby: bool = False, e2ee: bool = False,
               expires_ms: int = 0) -> Deferred[dict[str, Any]]:
        """See IMeetings."""
        return Deferred.fromCoroutine(self._create(account, name, password, lobby, e2ee, expires_ms))

    async def _create(self, account: JID, name: str, password: str, lobby: bool, e2ee: bool,
                      expires_ms: int) -> dict[str, Any]:
        service = self.services.get(f"meet.{account.domain}")
        known = await maybeDeferred(self.api.router.accounts.load, account) if service is not None else None
        if service is None or known is None:
            raise StanzaError("item-not-found", text=f"There is no account {account.bare}.")
        return self._info(await service.make(account, name, password, lobby, e2ee, expires_ms), service)

    def info(self, id: str) -> dict[str, Any] | None:
        """See IMeetings."""
        if not is_meeting_id(id):
            return None
        for service in self.services.values():
            meeting = service.meeting(id)
            if meeting is not None:
                return self._info(meeting, service)
        return None

    def _info(self, meeting: Any, service: Meetings) -> dict[str, Any]:
        return {**state.info(meeting), "domain": service.accounts_domain, "guest_domain": service.guest_domain,
                "guests": service.takes_guests, "websocket": "/xmpp-websocket"}

    def admits(self, room: str, identity: str) -> bool:
        """See IMeetings."""
        if room.partition("@")[2] not in self.services:
            return True
        meeting = self._of_media(room)
        return meeting is not None and meeting.media.has(identity)

    def recording(self, id: str, given: str) -> tuple[Path, str] | None:
        """See IMeetings."""
        return self.recordings.file(id, given)
