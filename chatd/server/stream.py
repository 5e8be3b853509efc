"""One client's stream, whatever carries it: RFC 6120 from the header to the bound resource, then the session.

Before a resource is bound the rules are `chatd.core.negotiation`'s; here its actions are carried out: accounts are
looked up, sessions made, resumed and closed.  After that the negotiation and all that only log-in needed is let
go, and what arrives goes straight to the session.

A carrier is a subclass.  It hands over what came (`take`, `lost`) and says how to write, stop reading and end
(`_write`, `_stop_reading`, `_read_again`, `_finish`, `abort`; TCP also `_start_tls`, `_restart`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from chatd.core import negotiation as steps
from chatd.core import ns
from chatd.core import stream_xml as xml
from chatd.core.errors import StanzaError, StreamError
from chatd.core.framing import Event, StreamEnd, StreamStart
from chatd.core.jid import JID
from chatd.core.limits import TokenBucket
from chatd.core.negotiation import Action, Negotiation
from chatd.core.smacks import parse_h
from chatd.core.stanza import STANZA_NAMES, Stanza
from chatd.core.stream_xml import Wire
from chatd.interfaces import IClientStream
from chatd.server.session import Session
from chatd.server.stream_management import ACK_S, REQUEST
from chatd.server.streams import source_of

if TYPE_CHECKING:
    from chatd.server.accounts import Account
    from chatd.server.streams import ClientStreams

__all__ = ["OUTPUT_BYTES", "ClientStream"]

log = Logger()

_TOUCH_S: Final = 600.0         # the time of an account's last log-in is written down this often at most

# Why a stream is not read at the moment; several reasons may hold at once.
_FOR_SESSION: Final = 1         # its session has enough to work off
_FOR_RATE: Final = 2            # it sent faster than it may
_FOR_OUTPUT: Final = 4          # it does not take what it is sent

OUTPUT_BYTES: Final = 8 << 20
"""What may wait for a client that reads too slowly; beyond it the connection is cut, and the session hibernates."""


@implementer(IClientStream)
class ClientStream:
    """One stream.  `address` is the peer's IP address as text, `source` what it is counted as, `heard_s` when
    something last came of it.

    is_closing: the end has been said, or the carrier is gone; nothing is taken or sent any more.
    """

    __slots__ = ("__weakref__", "_asked_s", "_bytes", "_deadline", "_held", "_negotiation", "_resent", "_slowed",
                 "_stanzas", "address", "heard_s", "is_closing", "peer_ended", "session", "source", "streams")

    wire = Wire.TCP

    def __init__(self, streams: ClientStreams, address: str) -> None:
        limits, now = streams.limits, streams.seconds()
        self.streams = streams
        self.address = address
        self.source = source_of(address)
        self.session: Session | None = None
        self.heard_s = now
        self.is_closing = False
        self.peer_ended = False
        self._negotiation: Negotiation | None = None
        self._deadline: IDelayedCall | None = None
        self._slowed: IDelayedCall | None = None
        self._held = 0
        self._resent = 0
        self._asked_s = 0.0
        self._stanzas = TokenBucket(limits.stanzas_per_second, limits.stanzas_burst, now)
        self._bytes = TokenBucket(limits.bytes_per_second, limits.bytes_burst, now)

    # -- what a carrier is
    def _write(self, data: bytes) -> None:
        """Writes XML of the negotiation: over all carriers but TCP one element."""
        raise NotImplementedError

    def _stop_reading(self) -> None:
        """No more input until `_read_again`."""
        raise NotImplementedError

    def _read_again(self) -> None:
        """Takes input again."""
        raise NotImplementedError

    def _finish(self, error: StreamError | None) -> None:
        """All has been said; closes the carrier, after the peer's own end if that comes soon."""
        raise NotImplementedError

    def abort(self) -> None:
        """Cuts the carrier at once; `lost` follows."""
        raise NotImplementedError

    def send_stanza(self, stanza: Stanza) -> None:
        """See IClientStream."""
        raise NotImplementedError

    def send(self, xml: bytes) -> None:
        """See IClientStream."""
        raise NotImplementedError

    def _start_tls(self) -> None:
        """TCP only: begins TLS, and tells the negotiation when it is up."""
        raise RuntimeError(f"STARTTLS over {self.wire}")

    def _restart(self) -> None:
        """A new header follows; TCP needs a new framer for it."""

    def _admit(self) -> None:
        """The client is authenticated: larger stanzas are welcome."""

    # -- beginning
    def begin(self) -> bool:
        """The carrier is there; log-in must be done in time.  False where the address has too many connections."""
        streams = self.streams
        if not streams.begin(self):
            return False
        self._deadline = streams.clock.callLater(streams.limits.auth_s, self._too_late)
        return True

    def negotiate(self, is_secured: bool, bindings: Mapping[str, bytes] = MappingProxyType({})) -> None:
        """The header may come.  bindings: channel binding type -> data (RFC 5056) of the TLS below."""
        streams = self.streams
        terms = streams.terms_bosh if self.wire is Wire.BOSH else streams.terms
        self._negotiation = Negotiation(terms, self.wire, is_secured, bindings)

    def _too_late(self) -> None:
        self.close(StreamError("connection-timeout", "You did not log in in time."))

    # -- from the client
    def take(self, events: Iterable[Event]) -> None:
        """What the framer made of the input, in order."""
        session: Session | None
        try:
            for event in events:
                session = self.session
                if session is not None and type(event) is Stanza:
                    if event.ns == ns.CLIENT and event.name in STANZA_NAMES:
                        session.receive(event)
                    else:
                        self._take_other(session, event)
                elif self._negotiation is not None:
                    if not self._negotiate(event):
                        return
                elif session is not None:
                    self._take_end(session, event)
                if self.is_closing:
                    return
        except StreamError as error:
            self.shut(error)
        except Exception:
            log.failure("input of {stream!r} could not be worked off", stream=self)
            self.shut(StreamError("internal-server-error"))

    def _negotiate(self, event: Event) -> bool:
        """False: what came behind it in the clear must not be looked at (RFC 6120 5.4.3.3)."""
        n = self._negotiation
        assert n is not None
        if isinstance(event, Stanza):
            self._do(n.received(event))
        elif isinstance(event, StreamStart):
            self._do(n.opened(event))
        elif isinstance(event, StreamEnd):
            self.peer_ended = True
            self._do(n.ended())
        else:
            self._do(n.failed(event))
        return n.state != "securing"

    def _take_end(self, session: Session, event: Event) -> None:
        """The end of a bound stream, by the peer or because of what it sent."""
        if isinstance(event, StreamError):
            raise event
        if isinstance(event, StreamStart):
            raise StreamError("policy-violation", "A stream has one header.")
        self.peer_ended = True
        session.close()

    def _take_other(self, session: Session, element: Stanza) -> None:
        """On a bound stream, what is no stanza of a client."""
        space, name = element.ns, element.name
        if name in STANZA_NAMES:
            raise StreamError("invalid-namespace", "Stanzas of a client are in the namespace jabber:client.")
        if space == ns.SM:
            if name == "a":
                if session.smacks is None:
                    raise StreamError("unsupported-stanza-type", "Stream management has not been enabled.")
                session.smacks.acknowledge(parse_h(element))
                self._asked_s = 0.0
            else:
                session.receive(element)
        elif space == ns.STREAMS and name == "error":
            # The client closes because of something of ours; it will not resume (RFC 6120 4.9.1.1).
            log.info("{jid} closes with a stream error: {conditions}", jid=session.full,
                     conditions=", ".join(child.rpartition(" ")[2] for child in element.children))
            self._take_end(session, StreamEnd())
        elif space in (ns.SASL, ns.TLS, ns.FRAMING):
            raise StreamError("policy-violation", "This is not to be sent at this point of the stream.")
        else:
            session.receive(element)

    # -- the negotiation's actions
    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, steps.Send):
                self._write(action.data)
            else:
                getattr(self, _ACTIONS[type(action)])(action)

    def _do_start_tls(self, action: steps.StartTLS) -> None:
        self._start_tls()

    def _do_restart(self, action: steps.Restart) -> None:
        self._restart()

    def _do_close(self, action: steps.Close) -> None:
        self._end_session()
        self._finished(action.error)

    def _do_deliver(self, action: steps.Deliver) -> None:
        if self.session is not None:
            self.session.receive(action.stanza)

    def _do_enable(self, action: steps.Enable) -> None:
        attrs = {"resume": "true" if action.resume else "false"}
        if action.max_s is not None:
            attrs["max"] = str(action.max_s)
        if self.session is not None:
            self.session.receive(Stanza("enable", attrs, ns_=ns.SM))

    # Log-in
    def _do_find_account(self, action: steps.FindAccount) -> None:
        if self._may_try(action.local, action.domain):
            self.streams.auth.find(action.local, action.domain, action.mechanism).addCallbacks(
                self._found, self._not_looked_up)

    def _do_check_password(self, action: steps.CheckPassword) -> None:
        if self._may_try(action.local, action.domain):
            self.streams.auth.check(action.local, action.domain, action.password).addCallbacks(
                self._checked, self._not_looked_up)

    def _may_try(self, local: str, domain: str) -> bool:
        if self.streams.must_wait(self.source, f"{local}@{domain}") <= 0:
            return True
        assert self._negotiation is not None
        self._do(self._negotiation.refuse("temporary-auth-failure", "backoff"))
        return False

    def _found(self, found: tuple[Any, bool]) -> None:
        if self._negotiation is not None:
            self._go_on(self._negotiation.account, *found)

    def _checked(self, found: tuple[bool, bool]) -> None:
        if self._negotiation is not None:
            self._go_on(self._negotiation.password_checked, *found)

    def _not_looked_up(self, failure: Failure) -> None:
        log.failure("an account could not be looked up", failure=failure)
        if self._negotiation is not None:
            self._go_on(self._negotiation.refuse, "temporary-auth-failure", "lookup")

    def _go_on(self, answer: Any, *arguments: Any) -> None:
        """An answer that came later: what it leads to must not fail outside of `take` either."""
        try:
            self._do(answer(*arguments))
        except StreamError as error:
            self.shut(error)
        except Exception:
            log.failure("{stream!r} could not go on", stream=self)
            self.shut(StreamError("internal-server-error"))

    def _do_failed(self, action: steps.AuthFailed) -> None:
        self.streams.log_in_failed(self, action.jid, action.condition, action.reason, action.mechanism)

    def _do_authenticated(self, action: steps.Authenticated) -> None:
        self.streams.log_in_succeeded(self, action.jid)
        log.debug("{jid} logged in by {mechanism} over {wire} from {address}", jid=action.jid.bare,
                  mechanism=action.mechanism, wire=self.wire.value, address=self.address)
        self._admit()

    # Resource binding, RFC 6120 7
    def _do_bind(self, action: steps.Bind) -> None:
        account = self.streams.router.accounts.load(JID.parse(action.jid.bare))
        if isinstance(account, Deferred):
            account.addCallback(self._bind, action.jid).addErrback(self._not_bound)
        else:
            self._bind(account, action.jid)

    def _not_bound(self, failure: Failure) -> None:
        log.failure("no resource could be bound", failure=failure)
        if self._negotiation is not None and self._negotiation.state == "binding":
            self._go_on(self._negotiation.bind_refused, StanzaError("internal-server-error"))

    def _bind(self, account: Account | None, jid: JID) -> None:
        n, streams = self._negotiation, self.streams
        if n is None or self.is_closing:
            return
        if account is None or account.state.get("disabled"):
            self._go_on(n.bind_refused, StanzaError("not-allowed", text="This account is not to be used."))
            return
        sessions = account.sessions
        older = sessions.get(jid.resource)
        if older is not None:
            older.close(StreamError("conflict", "The same resource was bound by another connection."))
        elif len(sessions) >= streams.limits.sessions_per_account:
            asleep = next((session for session in sessions.values() if session.stream is None), None)
            if asleep is None:
                self._go_on(n.bind_refused, StanzaError(
                    "resource-constraint", text="This account has too many connections."))
                return
            asleep.close()              # a client that comes back without resuming has given it up, most likely
        self.session = session = Session(jid, account, streams.router, self)
        streams.router.accounts.attach(account, session)
        streams.router.hooks.tell("session.bound", session)
        self._touch(account)
        self._go_on(n.bound)
        self._settle()

    def _touch(self, account: Account) -> None:
        now = self.streams.router.now()
        if now - account.state.get("touched", 0.0) >= _TOUCH_S:
            account.state["touched"] = now
            self.streams.router.store.accounts.touch(account.id, now).addErrback(
                lambda failure: log.failure("a log-in could not be noted", failure=failure))

    # Resumption, XEP-0198 5
    def _do_resume(self, action: steps.Resume) -> None:
        self.streams.resumable.resume(self, action.previd, action.h)

    @property
    def bare(self) -> str:
        """The bare address this stream is authenticated as."""
        assert self._negotiation is not None and self._negotiation.jid is not None
        return self._negotiation.jid.bare

    def not_resumed(self, h: int | None) -> None:
        """There is no such session; `h` is what it had handled, if that is known."""
        self.streams.counts.resume_failed += 1
        if self._negotiation is not None:
            self._go_on(self._negotiation.resume_failed, "item-not-found", h)

    def resumed(self, session: Session, h: int, again: list[Stanza]) -> None:
        """`session` goes on here; the client gets `again` once more, before anything it sent ahead is worked off."""
        n = self._negotiation
        assert n is not None
        self.streams.counts.resumed += 1
        self.session = session
        actions = n.resumed(h, session.jid)
        self._do(actions[:1])
        # However much that is: cut off for it, the client could never come back.
        self._resent = sum([len(stanza.inner) for stanza in again])
        for stanza in again:
            self.send_stanza(stanza)
        self._go_on(lambda: actions[1:])
        self._settle()

    def _settle(self) -> None:
        """Lets go of what only log-in needed."""
        if not self.is_closing:
            self._negotiation = None
            self._end_deadline()

    def _end_deadline(self) -> None:
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()

    # -- to the client
    def ask(self) -> None:
        """See IClientStream."""
        if not self._asked_s:
            self._asked_s = self.streams.seconds()
        self.send(REQUEST)

    # -- reading slower
    def spend(self, stanzas: int, size: int, now: float) -> None:
        """Counts input against the limits; beyond them the stream is not read for a while."""
        wait, longer = self._stanzas.take(stanzas, now), self._bytes.take(size, now)
        if (wait or longer) and self._slowed is None and not self.is_closing:
            self._hold(_FOR_RATE)
            self._slowed = self.streams.clock.callLater(max(wait, longer), self._not_slowed)

    def _not_slowed(self) -> None:
        self._slowed = None
        self._let(_FOR_RATE)

    def pause(self) -> None:
        """See IClientStream."""
        self._hold(_FOR_SESSION)

    def resume(self) -> None:
        """See IClientStream."""
        self._let(_FOR_SESSION)

    def _hold(self, reason: int) -> None:
        if not self._held and not self.is_closing:
            self._stop_reading()
        self._held |= reason

    def _let(self, reason: int) -> None:
        held, self._held = self._held, self._held & ~reason
        if held and not self._held and not self.is_closing:
            self._read_again()

    def congested(self, waiting_bytes: int) -> None:
        """The client takes less than it is sent: it is not read until it has taken that, and cut if it never does."""
        if waiting_bytes > OUTPUT_BYTES + self._resent and not self.is_closing:
            log.info("{stream!r} does not take what it is sent: cut", stream=self)
            self.abort()
        elif not self._held & _FOR_OUTPUT:
            self._hold(_FOR_OUTPUT)

    def uncongested(self) -> None:
        """It has taken what waited."""
        self._let(_FOR_OUTPUT)

    # -- the end
    def shut(self, error: StreamError | None) -> None:
        """Ends the stream and the session it carries."""
        if self.session is not None:
            self.session.close(error)
        else:
            self.close(error)

    def close(self, error: StreamError | None = None) -> None:
        """See IClientStream; the session has let go of the stream, or there is none."""
        if self.is_closing:
            return
        n = self._negotiation
        if n is not None:
            self._do(n.failed(error) if error is not None else n.ended())
            return
        if error is not None:
            self._write(xml.error(self.wire, error))
        self._write(xml.footer(self.wire))
        self._finished(error)

    def _end_session(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            session.stream = None
            session.end()

    def _finished(self, error: StreamError | None) -> None:
        if error is not None:
            log.debug("{stream!r} is closed: {condition}: {text}", stream=self, condition=error.condition,
                      text=error.text)
        self._over()
        self._finish(error)

    def _over(self) -> None:
        self.is_closing = True
        self._end_deadline()
        slowed, self._slowed = self._slowed, None
        if slowed is not None:
            slowed.cancel()

    def lost(self) -> None:
        """The carrier is gone, with or without an end before; once."""
        self.streams.end(self)
        self._over()
        n, self._negotiation = self._negotiation, None
        if n is not None:
            n.ended()                   # answers that come later find it closed
        session, self.session = self.session, None
        if session is not None:
            session.lost_stream()

    # -- now and then
    def look_over(self, now: float) -> None:
        """Every SWEEP_S: asks for acknowledgements, and cuts the client that has stopped to answer."""
        session = self.session
        if session is None or session.smacks is None or self.is_closing:
            return
        smacks = session.smacks
        if smacks.may_ask:
            self.ask()
            smacks.asked()
        elif self._asked_s and now - max(self._asked_s, self.heard_s) > ACK_S and len(smacks) and not self._held:
            log.info("{jid} says nothing any more: cut", jid=session.full)
            self.abort()

    def __repr__(self) -> str:
        session, n = self.session, self._negotiation
        who = session.full if session is not None else n.jid.full if n is not None and n.jid is not None else "?"
        return f"<{type(self).__name__} {who} {self.address}>"


_ACTIONS: Final = {
    steps.StartTLS: "_do_start_tls", steps.FindAccount: "_do_find_account",
    steps.CheckPassword: "_do_check_password", steps.AuthFailed: "_do_failed",
    steps.Authenticated: "_do_authenticated", steps.Restart: "_do_restart", steps.Bind: "_do_bind",
    steps.Resume: "_do_resume", steps.Enable: "_do_enable", steps.Deliver: "_do_deliver",
    steps.Close: "_do_close",
}
