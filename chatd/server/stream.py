"""One client's stream, whatever carries it: RFC 6120 from the header to the bound resource, then the session.

Before a resource is bound `login` has it.  After that all that only log-in needed is let go, and what arrives goes
straight to the session.

A carrier is a subclass.  It hands over what came (`take`, `lost`) and says how to write, stop reading and end
(`send`, `_stop_reading`, `_read_again`, `_finish`, `abort`; TCP also `start_tls`, `restart`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from zope.interface import implementer

from chatd.core import ns
from chatd.core import stream_xml as xml
from chatd.core.errors import StreamError
from chatd.core.framing import Event, StreamEnd, StreamStart
from chatd.core.limits import TokenBucket
from chatd.core.smacks import parse_h
from chatd.core.stanza import STANZA_NAMES, Stanza
from chatd.core.stream_xml import Wire
from chatd.interfaces import IClientStream
from chatd.server.login import LogIn
from chatd.server.session import Session
from chatd.server.stream_management import ACK_S, REQUEST
from chatd.server.streams import SWEEP_S, source_of

if TYPE_CHECKING:
    from chatd.server.streams import ClientStreams

__all__ = ["OUTPUT_BYTES", "ClientStream"]

log = Logger()

# Why a stream is not read at the moment; several reasons may hold at once.
_FOR_SESSION: Final = 1         # its session has enough to work off
_FOR_RATE: Final = 2            # it sent faster than it may
_FOR_OUTPUT: Final = 4          # it does not take what it is sent

_RECENT_S: Final = 0.75 * SWEEP_S
"""Who acknowledged something so short a time ago is asked by the next sweep, or after so many more stanzas: a third of
the acknowledgements in a lively room were those that the sweep had asked for."""

OUTPUT_BYTES: Final = 8 << 20
"""What may wait for a client that reads too slowly; beyond it the connection is cut, and the session hibernates."""


@implementer(IClientStream)
class ClientStream:
    """One stream.  `address` is the peer's IP address as text, `source` what it is counted as, `heard_s` when
    something last came of it.

    is_closing: the end has been said, or the carrier is gone; nothing is taken or sent any more.
    """

    __slots__ = ("__weakref__", "_acknowledged_s", "_asked_s", "_bytes", "_held", "_resent", "_slowed", "_stanzas",
                 "address", "heard_s", "is_closing", "login", "peer_ended", "session", "source", "streams")

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
        self.login: LogIn | None = LogIn(self)
        self._slowed: IDelayedCall | None = None
        self._held = 0
        self._resent = 0
        self._asked_s = 0.0
        self._acknowledged_s = 0.0
        self._stanzas = TokenBucket(limits.stanzas_per_second, limits.stanzas_burst, now)
        self._bytes = TokenBucket(limits.bytes_per_second, limits.bytes_burst, now)

    # -- what a carrier is
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
        """See IClientStream; nothing is sent for no bytes."""
        raise NotImplementedError

    def start_tls(self) -> None:
        """TCP only: begins TLS, and tells the negotiation when it is up."""
        raise RuntimeError(f"STARTTLS over {self.wire}")

    def restart(self) -> None:
        """A new header follows; TCP needs a new framer for it."""

    def admit(self) -> None:
        """The client is authenticated: larger stanzas are welcome."""

    # -- beginning
    def begin(self) -> bool:
        """The carrier is there; log-in must be done in time.  False where the address has too many connections."""
        if not self.streams.begin(self):
            return False
        if self.login is not None:
            self.login.set_deadline()
        return True

    def negotiate(self, is_secured: bool) -> None:
        """The header may come."""
        if self.login is not None:
            self.login.negotiate(is_secured, {})

    def settle(self) -> None:
        """The session has the stream: lets go of what only log-in needed."""
        login = self.login
        if login is not None and not self.is_closing:
            login.over()
            self.login = None

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
                elif self.login is not None:
                    if not self.login.take(event):
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
                self._acknowledged_s = self.heard_s
            else:
                session.receive(element)
        elif space == ns.STREAMS and name == "error":
            # The client closes because of something of ours; it will not resume (RFC 6120 4.9.1.1).
            log.info("{jid} closes with a stream error: {conditions}", jid=session.full,
                     conditions=", ".join(child.rpartition(" ")[2] for child in element.children))
            self._take_end(session, StreamEnd())
        elif space in (ns.SASL, ns.SASL2, ns.TLS, ns.FRAMING):
            raise StreamError("policy-violation", "This is not to be sent at this point of the stream.")
        else:
            session.receive(element)

    # -- to the client
    def ask(self) -> None:
        """See IClientStream."""
        if not self._asked_s:
            self._asked_s = self.streams.seconds()
        self.send(REQUEST)

    def send_again(self, stanzas: list[Stanza]) -> None:
        """Sends what the client of a resumed session has not acknowledged."""
        # However much that is: cut off for it, the client could never come back.
        self._resent = sum([len(stanza.inner) for stanza in stanzas])
        for stanza in stanzas:
            self.send_stanza(stanza)

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

    @property
    def is_congested(self) -> bool:
        """See IClientStream."""
        return bool(self._held & _FOR_OUTPUT)

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
        if self.login is not None:
            self.login.close(error)
            return
        if error is not None:
            self.send(xml.error(self.wire, error))
        self.send(xml.footer(self.wire))
        self.finished(error)

    def finished(self, error: StreamError | None) -> None:
        """The end has been said: nothing is taken or sent any more, and the carrier is closed."""
        if error is not None:
            log.debug("{stream!r} is closed: {condition}: {text}", stream=self, condition=error.condition,
                      text=error.text)
        session, self.session = self.session, None
        if session is not None:
            session.stream = None
            session.end()
        self._over()
        self._finish(error)

    def _over(self) -> None:
        self.is_closing = True
        if self.login is not None:
            self.login.over()
        slowed, self._slowed = self._slowed, None
        if slowed is not None:
            slowed.cancel()

    def lost(self) -> None:
        """The carrier is gone, with or without an end before; once."""
        self.streams.end(self)
        self._over()
        login, self.login = self.login, None
        if login is not None:
            login.lost()
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
        if now - self._acknowledged_s < _RECENT_S:
            return
        if smacks.may_ask or (len(smacks) and not self._asked_s):
            self.ask()
            smacks.asked()
        elif self._asked_s and now - max(self._asked_s, self.heard_s) > ACK_S and len(smacks) and not self._held:
            log.info("{jid} says nothing any more: cut", jid=session.full)
            self.abort()

    def __repr__(self) -> str:
        jid = self.session.jid if self.session is not None else self.login.jid if self.login is not None else None
        who = jid.full if jid is not None else "?"
        return f"<{type(self).__name__} {who} {self.address}>"

