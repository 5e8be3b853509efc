"""Stream management on live streams, XEP-0198: <enable/>, <r/>, <a/>, and the sessions that may be resumed.

The counters and the queue are `chatd.core.smacks`.  Here they meet the session, the store and the streams:

- <enable/>, <r/> and <resume/> are worked off in order with the stanzas around them, as elements the session hands to
  the router's hooks.  So no stanza that came before <enable/> is counted, and <r/> never overtakes a stanza that
  still waits for the store.
- An answer to <r/> carries the count of the moment <r/> was reached, and is sent when all rows written until then are
  on the disk.  What failed to be written was answered with an error before, so it is handled as well.
- A session is found by its SM-ID, on TCP and WebSocket alike, by its own account only.  Its former stream, if it
  is still there, is closed with conflict first, and what that one had received is brought to the disk.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from chatd.core import ns
from chatd.core import stream_xml as xml
from chatd.core.errors import StreamError
from chatd.core.smacks import StreamManagement, resume_s_of
from chatd.core.stanza import Stanza
from chatd.core.stream_xml import Wire
from chatd.interfaces import ISession

if TYPE_CHECKING:
    from chatd.server.login import LogIn
    from chatd.server.session import Session
    from chatd.server.stream import ClientStream
    from chatd.server.streams import ClientStreams

__all__ = ["ACK_S", "REQUEST", "ResumableSessions", "Resumption"]

log = Logger()

REQUEST: Final = f"<r xmlns='{ns.SM}'/>".encode()
ACK_S: Final = 60.0
"""How long a client that was asked may say nothing at all before its connection counts as dead."""
_REMEMBERED: Final = 2000
"""Ended sessions whose count is still told with <failed/>."""


class Resumption(Stanza):
    """The place in a session's order behind which everything of its former stream has been worked off."""

    __slots__ = ("given", "session", "stream")

    def __init__(self, stream: ClientStream, session: Session, h: int) -> None:
        super().__init__("resume", {}, ns_=ns.SM)
        self.stream = stream
        self.session = session
        self.given = h


class ResumableSessions:
    """The sessions with stream management, by SM-ID; registers what the router must know of 0198."""

    def __init__(self, streams: ClientStreams) -> None:
        self._streams = streams
        self._router = streams.router
        self._sessions: dict[str, Session] = {}
        self._ended: OrderedDict[str, tuple[str, int]] = OrderedDict()      # SM-ID -> bare address, h
        hooks = streams.router.hooks
        hooks.elements[f"{ns.SM} enable"] = self._enable
        hooks.elements[f"{ns.SM} r"] = self._requested
        hooks.elements[f"{ns.SM} resume"] = self._reached
        hooks.bind_features[f"{ns.SM} enable"] = self._enabled
        hooks.bind_vars += (ns.SM,)
        hooks.on("session.closed", self._closed, 0)
        hooks.on("visit.ended", self._closed, 0)

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def hibernating(self) -> int:
        """How many wait for their client."""
        return sum(session.stream is None for session in self._sessions.values())

    def shutdown(self) -> None:
        """Ends those without a stream; what they hold goes back to the router."""
        for session in list(self._sessions.values()):
            if session.stream is None:
                session.close()

    # -- what the client sends, in order
    def _enable(self, session: Any, element: Stanza) -> None:
        """XEP-0198 3."""
        if session.stream is not None:  # else cut before its turn came: the client never learns, so it is not on
            session.stream.send(self._enabled(session, element))

    def _enabled(self, session: Any, element: Stanza) -> bytes:
        """Switches it on; gives the answer, which while binding stands within <bound/> (XEP-0386 3.2)."""
        if session.stream.wire is Wire.BOSH:
            return xml.sm_failed("feature-not-implemented")
        if session.smacks is not None:
            return xml.sm_failed("unexpected-request")
        limits = self._streams.limits
        resume_s = resume_s_of(element, limits.resume_s)
        token = self._streams.token() if resume_s else ""
        session.smacks = StreamManagement(token, resume_s, limits.resume_stanzas)
        if token:
            self._sessions[token] = session
        return xml.sm_enabled(token or None, resume_s)

    def _requested(self, session: ISession, element: Stanza) -> None:
        """<r/>: the answer waits for the disk."""
        if session.smacks is None:
            raise StreamError("unsupported-stanza-type", "Stream management has not been enabled.")
        self._router.store.then(self._answer, session, session.smacks.h)

    def _answer(self, error: Exception | None, session: ISession, h: int) -> None:
        stream = session.stream
        if stream is not None:
            stream.send(b"<a xmlns='%b' h='%d'/>" % (ns.SM.encode(), h))

    # -- resumption, XEP-0198 5
    def resume(self, stream: ClientStream, account: str, previd: str, h: int, visits: bool = False) -> None:
        """`stream`, authenticated as `account` (bare address), asks for that session; its LogIn is told what became of
        it.  visits: it came in for a visit, and so may only have a visit's session."""
        session = self._sessions.get(previd)
        is_visit = session is not None and session.router is not self._router
        if session is None or session.account.bare != account or is_visit is not visits:
            owner, known = self._ended.get(previd, ("", None))
            _log_in_of(stream).not_resumed(known if owner == account else None)
            return
        if session.stream is not None:
            former, session.stream = session.stream, None
            former.session = None
            former.close(StreamError("conflict", "The session goes on over another connection."))
            session.lost_stream()
        # What was received by then is worked off first, then brought to the disk; only then the count holds.
        session.receive(Resumption(stream, session, h))

    def _reached(self, session: ISession, element: Stanza) -> None:
        if isinstance(element, Resumption):
            self._router.store.then(self._go_on, element)
        elif session.stream is not None:        # a bound client asks to resume: too late (XEP-0198 5)
            session.stream.send(xml.sm_failed("unexpected-request"))

    def _go_on(self, error: Exception | None, asked: Resumption) -> None:
        session, stream = asked.session, asked.stream
        smacks = session.smacks
        if stream.is_closing:
            return                              # it hibernates on until somebody else comes, or its time is up
        if session.is_closed or smacks is None:
            _log_in_of(stream).not_resumed(None)
            return
        if session.stream is not None:          # somebody else was faster; the last to come gets it
            self.resume(stream, session.account.bare, smacks.id, asked.given, session.router is not self._router)
            return
        try:
            again = smacks.resume(asked.given)
        except StreamError as broken:
            stream.close(broken)
            return
        session.take_stream(stream)
        _log_in_of(stream).resumed(session, smacks.h, again)
        if again:
            stream.ask()
            smacks.asked()
        self._router.hooks.tell("session.resumed", session)

    # -- the end
    def _closed(self, session: Any) -> None:
        smacks = session.smacks
        if smacks is None or self._sessions.pop(smacks.id, None) is None:
            return
        self._ended[smacks.id] = (session.account.bare, smacks.h)
        while len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)


def _log_in_of(stream: ClientStream) -> LogIn:
    assert stream.login is not None         # it asks to resume, so it has not got a session
    return stream.login
