"""A session: one bound resource of one account, over whatever stream carries it now.

Its stanzas arrive in order and are worked off in order: one whose answer needs the store makes
those behind it wait.  With stream management (XEP-0198) it outlives its stream: what the client has
not acknowledged stays queued, and goes to the next stream, or back to the router at the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from zope.interface import implementer

from chatd.core.errors import StreamError
from chatd.core.jid import JID
from chatd.core.smacks import StreamManagement
from chatd.core.stanza import STANZA_NAMES, Stanza
from chatd.interfaces import IClientStream, ISession
from chatd.server.done import takes_time

if TYPE_CHECKING:
    from chatd.server.accounts import Account
    from chatd.server.router import Router

__all__ = ["Session"]

_WAITING_MOST: Final = 64       # stanzas held back before the stream is asked to pause

log = Logger()


@implementer(ISession)
class Session:
    """One bound resource.

    presence: the last available presence sent, None when not available.  priority: its priority.
    carbons, inactive, interested: XEP-0280, XEP-0352, roster requested (RFC 6121 2.1.6).
    directed: full or bare addresses that got directed presence (RFC 6121 4.6).
    hold: a callable that may keep a stanza back from an inactive client (0352); True means kept.
    unseen: a callable that is told what is delivered while the stream is gone or the client inactive (0357).
    smacks: XEP-0198 state or None.  state belongs to the modules, each under its own name.
    """

    __slots__ = ("_waiting", "account", "carbons", "directed", "expiry", "full", "hold", "inactive", "interested",
                 "is_closed", "jid", "presence", "priority", "router", "smacks", "state", "stream",
                 "unseen")

    def __init__(self, jid: JID, account: Account, router: Router, stream: IClientStream) -> None:
        self.jid = jid
        self.full = jid.full
        self.account = account
        self.router = router
        self.stream: IClientStream | None = stream
        self.presence: Stanza | None = None
        self.priority = 0
        self.carbons = False
        self.inactive = False
        self.interested = False
        self.directed: set[str] | None = None
        self.hold: Callable[[Session, Stanza], bool] | None = None
        self.smacks: StreamManagement | None = None
        self.expiry: IDelayedCall | None = None
        self.state: dict[str, Any] | None = None
        self.unseen: Callable[[Session, Stanza], None] | None = None
        self.is_closed = False
        self._waiting: deque[Stanza] | None = None

    # -- from the client
    def receive(self, stanza: Stanza) -> None:
        """A first-level element of the bound stream, in order.  Raises StreamError."""
        waiting = self._waiting
        if waiting is not None:
            waiting.append(stanza)
            if len(waiting) == _WAITING_MOST and self.stream is not None:
                self.stream.pause()
            return
        result = self.router.from_session(self, stanza)
        if self.smacks is not None and stanza.name in STANZA_NAMES:
            self.smacks.count()
        if result is not None:
            self._wait(result)

    def _wait(self, result: Deferred[Any]) -> None:
        if takes_time(result, self._failed):
            self._waiting = deque()
            result.addCallback(self._go_on)

    def _go_on(self, _: Any) -> None:
        waiting = self._waiting
        was_full = waiting is not None and len(waiting) >= _WAITING_MOST
        while waiting:
            stanza = waiting.popleft()
            if self.is_closed and (stanza.name not in STANZA_NAMES
                                   or (stanza.name == "presence" and stanza.type is None)):
                # What is between client and stream has no stream any more; and whoever saw somebody come now would
                # never see them go.
                continue
            try:
                result = self.router.from_session(self, stanza)
            except StreamError as error:
                self._break_off(error)
                return
            except Exception:
                log.failure("a stanza of {jid} could not be worked off", jid=self.full)
                self._break_off(StreamError("internal-server-error"))
                return
            if self.smacks is not None and stanza.name in STANZA_NAMES:
                self.smacks.count()
            if result is not None and takes_time(result, self._failed):
                result.addCallback(self._go_on)
                return
        self._waiting = None
        if was_full and self.stream is not None:
            self.stream.resume()

    def _break_off(self, error: StreamError) -> None:
        """What waits behind a fault is not looked at, as if it had not come."""
        self._waiting = None
        self.close(error)

    def _failed(self, failure: Any) -> None:
        if failure.check(StreamError):
            self.close(failure.value)
            return
        log.failure("a stanza of {jid} could not be worked off", failure=failure, jid=self.full)

    # -- to the client
    def deliver(self, stanza: Stanza) -> None:
        """Sends a stanza, or queues it where the stream is gone and may come back."""
        if self.is_closed:
            self.router.undelivered(self, stanza)
            return
        if self.unseen is not None and (self.stream is None or self.inactive):
            self.unseen(self, stanza)
        if self.hold is not None and self.hold(self, stanza):
            return
        stream, smacks = self.stream, self.smacks
        if smacks is None:
            if stream is not None:
                stream.send_stanza(stanza)
            return
        if not smacks.sent(stanza):
            # The client acknowledges nothing although it was asked, or has been away too long.
            self.close(StreamError("resource-constraint", "too many stanzas wait for an acknowledgement"))
            self.router.undelivered(self, stanza)
            return
        if stream is not None:
            stream.send_stanza(stanza)
            if smacks.asks_now:
                smacks.asked()
                stream.ask()

    # -- life
    def lost_stream(self) -> None:
        """The stream ended without having been closed properly, or did; what now depends on 0198."""
        self.stream = None
        smacks = self.smacks
        if self.is_closed:
            return
        if smacks is None or not smacks.may_resume:
            self.end()
        else:
            self.expiry = self.router.clock.callLater(smacks.resume_s, self.end)
            if self.unseen is not None and not self.inactive:
                for stanza in smacks.unacknowledged():      # which may never have arrived
                    self.unseen(self, stanza)

    def take_stream(self, stream: IClientStream) -> None:
        """Another stream goes on with this session (0198 5); the former one, if still there, is closed."""
        former, self.stream = self.stream, stream
        if former is not None:
            former.session = None
            former.close(StreamError("conflict", "the session was resumed on another stream"))
        if self.expiry is not None:
            self.expiry.cancel()
            self.expiry = None

    def close(self, error: StreamError | None = None) -> None:
        """Ends session and stream; `error` is what the client is told."""
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.session = None
            stream.close(error)
        self.end()

    def end(self) -> None:
        """The session is over: presence withdrawn, what was not acknowledged goes back to the router."""
        if self.is_closed:
            return
        if self.expiry is not None and self.expiry.active():
            self.expiry.cancel()
        self.expiry = None
        self.is_closed = True
        self.hold = None
        self.router.session_ended(self)
        if self.smacks is not None:
            queued, self.smacks = self.smacks.unacknowledged(), None
            for stanza in queued:
                if stanza.name in STANZA_NAMES:
                    self.router.undelivered(self, stanza)
