"""The media room of a meeting: who gets a token for it, and what the media engine is told when something changes.

XMPP decides, the engine follows.  A seat (one client in the room) has an identity of its own there, made when it first
asks for a token and never used again; whatever turns up in the media room under an identity that no seat has is put
out.  So a token that outlives its owner's stay is worth nothing.

All that is asked of the engine for one meeting is asked in order, one thing after the other.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from chatd.core.errors import StanzaError
from chatd.core.media import Grants, MediaError, MediaParticipant
from chatd.core.meeting import SOURCES, grants_for
from chatd.core.stanza import text
from chatd.xep.meet import state
from chatd.xep.muc.room import Occupant

if TYPE_CHECKING:
    from chatd.xep.meet.meeting import Meeting
    from chatd.xep.muc.service import Ask

__all__ = ["TOKEN_S", "MeetingMedia", "get_media"]

log = Logger()

TOKEN_S: Final = 300
"""How long a token lets its holder connect; who is connected gets others from the engine."""
_TRACKS: Final = {
    "microphone": ("microphone",), "camera": ("camera",), "screen": ("screen_share", "screen_share_audio")}


def get_media(ask: Ask, meeting: Meeting) -> bytes:
    """A media token for an occupant's client.  Raises StanzaError forbidden, service-unavailable."""
    occupant = ask.occupant
    if occupant is None:
        raise StanzaError("forbidden", text="Only who is in the meeting gets sound and picture of it.")
    return meeting.media.token(occupant, ask.from_.full).encode()


class MeetingMedia:
    """The media side of one meeting.  Nothing here fails: what the engine refuses is logged, and mended by `check`."""

    def __init__(self, meeting: Meeting) -> None:
        self._meeting = meeting
        self._lock = DeferredLock()
        self._granted: dict[Occupant, tuple[str, ...]] = {}
        self._was_moderator: set[Occupant] = set()
        self._owners: dict[str, Occupant] = {}
        self._changed: set[str] = set()         # identities whose tokens may say something else than holds now
        self._owed: set[str] = set()            # identities of which the engine has not taken in what holds now

    @property
    def _engine(self) -> Any:
        return self._meeting.service.engine

    # -- tokens
    def token(self, occupant: Occupant, full: str) -> str:
        """The <media/> for this client, whose identity everybody then sees in presence."""
        meeting, engine = self._meeting, self._engine
        if engine is None:
            raise StanzaError("service-unavailable", text="This site has no sound and picture.")
        identity = meeting.identities.get(full)
        is_new = identity is None
        if identity is None:
            identity = meeting.identities[full] = secrets.token_urlsafe(12)
            self._owners[identity] = occupant
        may = meeting.may_of(occupant)
        self._granted.setdefault(occupant, may)
        try:
            token = engine.access_token(
                identity, meeting.bare, grants_for(may), name=occupant.nick, ttl_s=float(TOKEN_S))
            url = engine.url
        except MediaError as error:
            raise StanzaError("service-unavailable", "wait", text=error.text) from None
        if is_new:
            meeting.show(occupant)
        return state.element("media", {"url": url, "identity": identity, "expires": state.stamp(
            meeting.now_ms + TOKEN_S * 1000), "e2ee": meeting.e2ee or None}, text(token))

    # -- what changes
    def was_less(self, occupant: Occupant) -> bool:
        """Has this moderator just become one?  Asked once after each change."""
        is_new = occupant not in self._was_moderator
        self._was_moderator.add(occupant)
        return is_new

    def settle(self, occupant: Occupant) -> None:
        """The engine lets an occupant do what she may do now; seats that are gone lose the media."""
        meeting = self._meeting
        if occupant.role != "moderator":
            self._was_moderator.discard(occupant)
        for full in [full for full in meeting.identities if full not in meeting.seats]:
            self._cut(full)
        may = meeting.may_of(occupant)
        if self._granted.get(occupant, may) == may:
            return
        self._granted[occupant] = may
        for full in occupant.seats:
            identity = meeting.identities.get(full)
            if identity is not None:
                self._changed.add(identity)
                self._later(self._grant, identity, grants_for(may))

    def gone(self, occupant: Occupant) -> None:
        """An occupant has left with all her seats, which are out of the room's memory already."""
        self._granted.pop(occupant, None)
        self._was_moderator.discard(occupant)
        for identity, owner in list(self._owners.items()):
            if owner is occupant:
                self._cut(next(full for full, one in self._meeting.identities.items() if one == identity))

    def _cut(self, full: str) -> None:
        self._later(self._remove, self._forget(full))

    def _forget(self, full: str) -> str:
        identity = self._meeting.identities.pop(full)
        self._owners.pop(identity, None)
        self._changed.discard(identity)
        self._owed.discard(identity)
        return identity

    def close(self) -> None:
        """The media room ends, with everybody in it."""
        for full in list(self._meeting.identities):
            self._forget(full)
        self._later(self._delete)

    async def mute(self, occupants: list[Occupant], source: str) -> None:
        """Switches a source off.  Raises StanzaError service-unavailable where the engine cannot be asked."""
        identities = [identity for identity, owner in self._owners.items() if owner in occupants]
        if identities and self._engine is None:
            raise StanzaError("service-unavailable", text="This site has no sound and picture.")
        try:
            for identity in identities:
                await self._in_order(self._mute, identity, source)
        except MediaError as error:
            raise StanzaError("service-unavailable", "wait", text=error.text) from None

    # -- what the engine tells
    def has(self, identity: str) -> bool:
        """Does somebody who is in the meeting have this identity?"""
        return identity in self._owners

    def joined(self, participant: MediaParticipant) -> None:
        """Somebody has turned up in the media room: is it one of ours, and with what it may do now?

        The token may be some minutes old.
        """
        if participant.is_hidden:
            return                              # the engine's own, such as a recorder
        owner = self._owners.get(participant.identity)
        if owner is None:
            log.info("{identity} is not in {room}: put out of its media room", identity=participant.identity,
                     room=self._meeting.bare)
            self._later(self._remove, participant.identity)
        elif participant.identity in self._changed:
            self._later(self._grant_now, participant.identity)

    async def check(self) -> None:
        """Whoever is in the media room without being in the meeting is put out, and who may do something else than the
        engine took in is told to it again: events may have been missed.
        """
        if self._engine is None:
            return
        for participant in await self._engine.list_participants(self._meeting.bare):
            identity = participant.identity
            if identity in self._owed:
                self._later(self._grant_now, identity)
            elif identity not in self._owners and not participant.is_hidden:
                self._later(self._remove, identity)

    # -- asking the engine
    def _later(self, ask: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        if self._engine is not None:
            self._in_order(ask, *arguments).addErrback(self._failed)

    def _in_order(self, ask: Callable[..., Any], *arguments: Any) -> Deferred[None]:
        return self._lock.run(lambda: Deferred.fromCoroutine(ask(*arguments)))

    def _failed(self, failure: Any) -> None:
        error = failure.check(MediaError) and failure.value
        if not error:
            log.failure("the media room of {room} could not be changed", failure=failure, room=self._meeting.bare)
        elif error.code != "not_found":         # what is not there needs no change
            log.warn("the media room of {room} could not be changed: {reason}", room=self._meeting.bare,
                     reason=str(error))

    async def _remove(self, identity: str) -> None:
        await self._engine.remove_participant(self._meeting.bare, identity)

    async def _delete(self) -> None:
        await self._engine.delete_room(self._meeting.bare)

    async def _grant(self, identity: str, grants: Grants) -> None:
        if identity in self._owners:
            self._owed.add(identity)
        await self._engine.update_participant(self._meeting.bare, identity, grants=grants)
        self._owed.discard(identity)

    async def _grant_now(self, identity: str) -> None:
        owner = self._owners.get(identity)
        if owner is not None:
            await self._grant(identity, grants_for(self._granted.get(owner, SOURCES)))

    async def _mute(self, identity: str, source: str) -> None:
        room = self._meeting.bare
        participant = await self._engine.get_participant(room, identity)
        for track in participant.tracks if participant is not None else ():
            if track.source in _TRACKS[source] and not track.is_muted:
                try:
                    await self._engine.mute_track(room, identity, track.sid)
                except MediaError as error:
                    if error.code != "not_found":
                        raise
