"""A trial of the way to the media server, for somebody who has the link and is not in the meeting: docs/protocol.md 8.

The token opens an empty room of its own for half a minute, in which nothing can be sent or received: enough to find out
whether this network lets UDP, TCP or a relay through. Whoever was removed for good gets none; one person has few at a
time, and so have all together, because guests cost nothing to make.
"""

from __future__ import annotations

import secrets
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatd.core.errors import StanzaError
from chatd.core.media import Grants, MediaError
from chatd.core.stanza import text
from chatd.xep.meet import state

if TYPE_CHECKING:
    from chatd.xep.meet.meeting import Meeting
    from chatd.xep.muc.service import Ask

__all__ = ["ALL_MOST", "PERSON_MOST", "TRIAL_S", "Trials"]

log = Logger()

TRIAL_S: Final = 30
"""How long the room of a trial is there, and the token good."""
PERSON_MOST: Final = 9
"""How many one person has at a time: three runs of three ways."""
ALL_MOST: Final = 120

_NOTHING: Final = Grants(may_publish=False, may_subscribe=False, may_publish_data=False, is_hidden=True)


class Trials:
    """The trials that are under way at one service.  engine: what carries the media; clock: an IReactorTime."""

    def __init__(self, engine: Any, clock: Any) -> None:
        self._engine = engine
        self.clock = clock
        self._of: Counter[str] = Counter()
        self._ends: dict[str, Any] = {}

    def token(self, ask: Ask, meeting: Meeting) -> bytes:
        """A <trial/>.  Raises StanzaError forbidden, resource-constraint, service-unavailable."""
        bare = ask.from_.bare
        if self._engine is None:
            raise StanzaError("service-unavailable", text="This site has no sound and picture.")
        if bare in meeting.present.removed or meeting.affiliation(bare) == "outcast":
            raise StanzaError("forbidden", text="You were removed from this meeting.")
        if self._of[bare] >= PERSON_MOST or len(self._ends) >= ALL_MOST:
            raise StanzaError("resource-constraint", "wait", text=f"Wait for {TRIAL_S} seconds.")
        name = f"trial-{secrets.token_urlsafe(12)}"
        try:
            token = self._engine.access_token(name, name, _NOTHING, ttl_s=float(TRIAL_S))
            url = self._engine.url
        except MediaError as error:
            raise StanzaError("service-unavailable", "wait", text=error.text) from None
        self._of[bare] += 1
        self._ends[name] = self.clock.callLater(TRIAL_S, self._end, name, bare)
        return state.element("trial", {"url": url, "expires": state.stamp(meeting.now_ms + TRIAL_S * 1000)},
                             text(token)).encode()

    def _end(self, name: str, bare: str) -> None:
        del self._ends[name]
        self._of[bare] -= 1
        if not self._of[bare]:
            del self._of[bare]
        Deferred.fromCoroutine(self._delete(name)).addErrback(
            lambda failure: log.failure("the room of a trial could not be deleted", failure=failure))

    async def _delete(self, name: str) -> None:
        try:
            await self._engine.delete_room(name)
        except MediaError as error:
            if error.code != "not_found":       # nobody came: there was none
                log.debug("the room of a trial could not be deleted: {reason}", reason=str(error))

    def close(self) -> None:
        """Nothing is to happen any more; empty rooms end by themselves."""
        for end in self._ends.values():
            end.cancel()
        self._ends.clear()
        self._of.clear()
