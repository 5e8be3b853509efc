"""A connection with another server, either way: bytes to elements, and who may say what on it.

`Incoming` and `Outgoing` negotiate; what both are once they are authenticated is here.  A stanza is taken only for a
pair (their domain, our domain) that has been proved on this very connection (RFC 6120 8.1.1.2, XEP-0220 4).

Stanzas of one connection are worked off in order (`Order`).  Stream management (`Management`) tells what the other side
has: a connection that was cut goes on over the next one where both sides can (`Link`, `Resumable`); otherwise what was
not acknowledged is sent again by the `Link` it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener, IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from chatd.core import dialback, ns
from chatd.core import server_xml as xml
from chatd.core.dialback import Dialback
from chatd.core.errors import StanzaError, StreamError
from chatd.core.federation import to_client
from chatd.core.framing import Event, Framer, StreamEnd, StreamStart
from chatd.core.jid import JID, InvalidJID
from chatd.core.limits import TokenBucket
from chatd.core.smacks import StreamManagement
from chatd.core.stanza import STANZA_NAMES, Stanza
from chatd.server.s2s.order import Order
from chatd.server.s2s.questions import Questions
from chatd.server.s2s.stream_management import Management
from chatd.server.s2s.trust import doubt
from chatd.server.tls import TLSFailed

if TYPE_CHECKING:
    from chatd.server.s2s.federation import Federation
    from chatd.server.s2s.link import Link

__all__ = ["ServerStream"]

log = Logger()

IDLE_S: Final = 1800.0
"""A connection nobody has used for so long is closed; the next stanza opens another."""
GOODBYE_S: Final = 3.0
RECORD_BYTES: Final = 2048
"""In a TLS record of ours.  A cut takes the record along that it falls into; what is sent again at once would all be in
one, and lost again with the next cut."""
_OUTPUT_BYTES: Final = 1 << 20
"""Waits in a connection before the rest waits with the link."""
_UNREAD_BYTES: Final = 4 << 20
"""Waits in a connection before nothing more is read from it.  Far above the other bound, so that only who asks without
ever reading the answers comes there: two servers that stopped to read at what they send would wait for each other."""


@implementer(IHandshakeListener, IPushProducer)
class ServerStream:
    """A Twisted protocol over SocketTLS.

    local, remote: the domains of the stream header, once known. pairs: (theirs, ours) it may send stanzas for.
    link: what is sent over it, None as long as nothing may be. doubt: what keeps their certificate from proving
    `remote`; None before TLS. is_authenticated: at least one pair is proved. answers_here: stanzas go both ways
    (XEP-0288). may_resume: it was cut, and may go on over another connection. is_resuming: it is about to go on where
    another was cut. smacks: stream management, None while it is off; counts: what comes is counted by both sides.
    """

    # Why nothing more is read from it:
    SLOWED: Final = 1       # it has sent more than it may
    BEHIND: Final = 2       # much of what it has sent waits to be worked off
    UNREAD: Final = 4       # it does not read what it is sent

    is_outgoing: ClassVar[bool]
    elements: ClassVar[dict[str, Callable[..., None]]]

    def __init__(self, federation: Federation, address: str) -> None:
        limits, now = federation.limits, federation.clock.seconds()
        self.federation = federation
        self.address = address
        self.local = self.remote = ""
        self.pairs: set[tuple[str, str]] = set()
        self.link: Link | None = None
        self.id = ""
        self.doubt: str | None = None
        self.is_authenticated = False
        self.is_closing = self.may_resume = self.is_resuming = self.counts = False
        self.answers_here = False
        self.is_full = False
        self._is_slow = self._is_secured = False
        self.transport: Any = None
        self.connected = 0
        self.smacks: StreamManagement | None = None
        self.heard_s = self.used_s = now
        self._has_header = False
        self._framer = Framer(limits.preauth_stanza_bytes, federation.depth)
        self.order = Order(self)
        self.management = Management(self)
        self._questions = Questions(self)
        self._held = 0
        self._slowed: IDelayedCall | None = None
        self._late: IDelayedCall | None = None
        self._goodbye: IDelayedCall | None = None
        self._stanzas = TokenBucket(limits.stanzas_per_second, limits.stanzas_burst, now)
        self._bytes = TokenBucket(limits.bytes_per_second, limits.bytes_burst, now)

    # -- what the two kinds say
    def header_came(self, header: StreamStart) -> None:
        """The peer's stream header; raises StreamError."""
        raise NotImplementedError

    def secured(self) -> None:
        """TLS is up; `doubt` is known where `remote` is."""
        raise NotImplementedError

    def over(self, why: str) -> None:
        """The connection is gone, or about to go; once."""

    # -- Twisted's calls
    def makeConnection(self, transport: Any) -> None:
        """The connection is there."""
        self.connected = 1
        self.transport = transport
        transport.record_bytes = RECORD_BYTES
        self.federation.keep_alive(transport)
        self._late = self.federation.clock.callLater(self.federation.limits.auth_s, self._too_late)
        transport.registerProducer(self, True)
        self.connectionMade()

    def connectionMade(self) -> None:
        """See makeConnection."""

    def handshakeCompleted(self) -> None:
        """TLS is up."""
        if not self.is_closing:
            self.guarded(self.secured)

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the peer."""
        if self.is_closing:
            if self._goodbye is not None and any(
                    isinstance(event, StreamEnd | StreamError) for event in self._framer.feed(data)):
                self.transport.loseConnection()
            return
        self.heard_s = now = self.federation.clock.seconds()
        framer = self._framer
        events = framer.feed(data)
        for event in events:
            self.guarded(self._take, event)
            if self.is_closing or self._framer is not framer:
                break                       # what came behind <starttls/> in the clear counts for nothing
        wait = max(self._stanzas.take(len(events), now), self._bytes.take(len(data), now))
        if wait and self._slowed is None and not self.is_closing:
            self.hold(self.SLOWED)
            self._slowed = self.federation.clock.callLater(wait, self._not_slowed)
        if self._is_slow and self.transport.waiting_bytes > _UNREAD_BYTES:
            self.hold(self.UNREAD)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self.connected = 0
        broken = reason.value
        why = f"TLS failed: {_reason(broken)}" if isinstance(broken, TLSFailed) else "the connection was cut"
        self._end(why, is_cut=True)
        goodbye, self._goodbye = self._goodbye, None
        if goodbye is not None and goodbye.active():
            goodbye.cancel()
        self.federation.gone(self)

    # -- input
    def guarded(self, call: Callable[..., None], *arguments: Any) -> None:
        """Calls it; what it raises ends the stream."""
        try:
            call(*arguments)
        except StreamError as error:
            self.close(error)
        except Exception:
            log.failure("input of {stream!r} could not be worked off", stream=self)
            self.close(StreamError("internal-server-error"))

    def _take(self, event: Event) -> None:
        if type(event) is Stanza:
            if event.ns == ns.SERVER and event.name in STANZA_NAMES:
                self._stanza(event)
                return
            take = self.elements.get(f"{event.ns} {event.name}")
            if take is None:
                if event.name in STANZA_NAMES:
                    raise StreamError("invalid-namespace", "Stanzas of a server are in the namespace jabber:server.")
                raise StreamError("unsupported-stanza-type", f"<{event.name}/> is not known here.")
            take(self, event)
        elif isinstance(event, StreamStart):
            if self._has_header:
                raise StreamError("policy-violation", "A stream has one header.")
            self._has_header = True
            if event.ns != ns.STREAMS or event.name != "stream" or event.default_ns != ns.SERVER:
                raise StreamError("invalid-namespace", "This is for servers: jabber:server in a stream.")
            self.header_came(event)
        elif isinstance(event, StreamError):
            raise event
        else:
            self.peer_closed("the other server closed the stream")

    def peer_closed(self, why: str) -> None:
        """The peer has said its end."""
        self._end(why)
        self.transport.write(xml.FOOTER)
        self.transport.loseConnection()

    def take_stream_error(self, element: Stanza) -> None:
        """The peer closes because of something of ours."""
        conditions = [child.rpartition(" ")[2] for child in element.children]
        said = next((str(child) for child in element.element.elements() if child.name == "text"), "")
        said = "".join(letter for letter in said if letter.isprintable())[:200]
        condition = conditions[0] if conditions else "an error"
        why = f"it says \"{said.rstrip('.')}\" ({condition})" if said else f"it answers {condition}"
        log.info("{stream!r} is closed by the other server: {why}", stream=self, why=why)
        self.peer_closed(why)

    def restart(self, max_bytes: int) -> None:
        """A new header follows."""
        self._has_header = False
        self._framer = Framer(max_bytes, self.federation.depth)

    def authenticated(self, remote: str, local: str) -> None:
        """The pair is proved: larger stanzas are welcome, and the time for it is over."""
        self.is_authenticated = True
        self.pairs.add((remote, local))
        self._framer.max_bytes = self.federation.stanza_bytes
        self._in_time()

    # -- stanzas
    def _stanza(self, stanza: Stanza) -> None:
        attrs = stanza.attrs
        try:
            from_ = JID.parse(attrs["from"])
            to = JID.parse(attrs["to"])
        except KeyError:
            raise StreamError("improper-addressing", "Stanzas of a server have from and to.") from None
        except InvalidJID:
            self._malformed(stanza)
            return
        if (from_.domain, to.domain) not in self.pairs:
            raise self._foreign(from_, to)
        if self.is_resuming and not self.is_outgoing:
            # Where we resume they may have sent it before they knew that; it does not count.
            raise StreamError("policy-violation", "Nothing goes on before it is known how much of it has arrived.")
        attrs["from"], attrs["to"] = from_.full, to.full
        to_client(stanza)
        self.used_s = self.heard_s
        self.federation.counts.stanzas_in += 1
        self.order.take(partial(self._route, stanza, from_, to, self.smacks if self.counts else None))

    def _route(self, stanza: Stanza, from_: JID, to: JID, smacks: StreamManagement | None) -> Deferred[Any] | None:
        """smacks: what counts it, as it was when it came."""
        result = None
        try:
            result = self.federation.router.route(stanza, from_, to)
        except Exception:
            # A mistake of ours ends the stream.  Where it has ended, it must not keep what stands behind from being
            # worked off, which whoever goes on waits for.
            if not self.is_closing:
                raise
            log.failure("a stanza of {stream!r} could not be worked off", stream=self)
        if smacks is not None:
            smacks.count()
        return result

    def _foreign(self, from_: JID, to: JID) -> StreamError:
        """RFC 6120 8.1.1.2, 8.1.2.2: what is not of a proved pair."""
        log.warn("{stream!r} sends as {from_} to {to}: refused", stream=self, from_=from_.domain, to=to.domain)
        if not self.is_authenticated:
            return StreamError("not-authorized", "Authenticate first.")
        if not any(from_.domain == theirs for theirs, _ in self.pairs):
            return StreamError("invalid-from", f"You have not proved to be {from_.domain}.")
        if not self.federation.hosts(to.domain):
            return StreamError("host-unknown", f"{to.domain} is not served here.")
        return StreamError("invalid-from", f"You have not proved to be {from_.domain} for {to.domain}.")

    def _malformed(self, stanza: Stanza) -> None:
        """An address that is none: of the sender it ends the stream, of the recipient it is told to the sender."""
        try:
            from_ = JID.parse(stanza.attrs["from"])
        except InvalidJID:
            raise StreamError("improper-addressing", "The from of a stanza is no address.") from None
        ours = next((ours for theirs, ours in self.pairs if theirs == from_.domain), None)
        if ours is None:
            raise StreamError("invalid-from", f"You have not proved to be {from_.domain}.")
        if self.smacks is not None and self.counts:
            self.smacks.count()
        stanza.attrs["to"] = ours
        to_client(stanza)
        self.federation.router.answer(stanza, StanzaError("jid-malformed"))

    def settled(self, then: Callable[[], None]) -> None:
        """See Order."""
        self.order.settled(then)

    def send_stanza(self, stanza: Stanza) -> bool:
        """To the peer, for a pair that may be sent; False where too much waits for it."""
        smacks = self.smacks
        if self._is_slow and self.transport.waiting_bytes > _OUTPUT_BYTES:
            self.is_full = True
        if self.is_full or self.is_closing or (smacks is not None and not smacks.sent(stanza)):
            return False
        self.used_s = self.federation.clock.seconds()
        self.federation.counts.stanzas_out += 1
        self.transport.write(stanza.to_bytes())
        if smacks is not None and smacks.asks_now:
            self.management.ask()
        return True

    # -- dialback, what both directions do
    def take_dialback(self, element: Stanza) -> None:
        """<db:result/> or <db:verify/>."""
        asked = dialback.read(element)
        if asked.kind:
            self.dialback_answered(asked)
        elif asked.name == "verify":
            self.transport.write(self.federation.verified(asked))
        else:
            self.dialback_asked(asked)

    def dialback_asked(self, asked: Dialback) -> None:
        """The peer wants to prove a pair (XEP-0220 2.2.1); raises StreamError."""
        raise StreamError("unsupported-stanza-type", "Dialback is not expected here.")

    def dialback_answered(self, answer: Dialback) -> None:
        """What became of our <db:verify/>; of a <db:result/>, see Outgoing. What nobody asked is dropped (3.1)."""
        if answer.name == "verify":
            self._questions.answered(answer)

    def look_into(self, asked: Dialback, done: Callable[[Dialback, str], None]) -> None:
        """Finds out whether the key is theirs; see Questions."""
        def found(said: str) -> None:
            if not self.is_closing:
                self.guarded(done, asked, said)

        self._questions.look_into(asked, found)

    def ask_verify(self, local: str, remote: str, id_: str, key: str) -> Deferred[str]:
        """Asks whether a key is theirs; see Questions."""
        return self._questions.ask(local, remote, id_, key)

    # -- TLS
    def judge(self) -> None:
        """Looks at the peer's certificate, now that it is known whom it should be for."""
        self.doubt = self.what_to_doubt() if self.remote else "it has not said who it is"

    def what_to_doubt(self) -> str:
        """What keeps the peer's certificate from proving that it is `remote`."""
        return doubt(self.transport.getHandle(), self.remote)

    def doubt_about(self, domain: str) -> str | None:
        """What keeps the peer's certificate from proving this domain, which may be another than `remote`."""
        if domain == self.remote and self.doubt is not None:
            return self.doubt
        before, self.remote, doubt = self.remote, domain, self.doubt
        self.judge()
        self.remote, self.doubt, found = before, doubt, self.doubt
        return found

    def refusal(self) -> str:
        """Why it must not go on as the rules are now, which may not be those it began with; nothing where it may."""
        policy = self.federation.policy
        for domain in {self.remote, *(theirs for theirs, _ in self.pairs)} - {""}:
            if why := policy.refuses(domain):
                return why
            terms = policy.terms(domain)
            if not self.is_authenticated:
                continue
            if terms.encryption and not self._is_secured:
                return "TLS is required here."
            if not terms.dialback and self._is_secured and self.doubt_about(domain):
                return f"A certificate for {domain} is needed here."
        return ""

    # -- slower
    def _not_slowed(self) -> None:
        self._slowed = None
        self.let(self.SLOWED)

    @property
    def is_held(self) -> bool:
        """Nothing is read from it for reasons of ours, so that its silence says nothing."""
        return bool(self._held & ~self.UNREAD)

    def hold(self, reason: int) -> None:
        """Reads nothing more, until nothing holds it."""
        if not self._held and not self.is_closing:
            self.transport.pauseProducing()
        self._held |= reason

    def let(self, reason: int) -> None:
        """The reason is gone."""
        held, self._held = self._held, self._held & ~reason
        if held and not self._held and not self.is_closing:
            self.transport.resumeProducing()

    def pauseProducing(self) -> None:
        """The peer takes less than it is sent: soon the rest waits with the link."""
        self._is_slow = True

    def resumeProducing(self) -> None:
        """It has caught up."""
        self.is_full = self._is_slow = False
        self.let(self.UNREAD)
        if self.link is not None:
            self.link.flush()

    def stopProducing(self) -> None:
        """The connection is gone; `connectionLost` says so too."""

    # -- the end
    def _in_time(self) -> None:
        late, self._late = self._late, None
        if late is not None and late.active():
            late.cancel()

    def _too_late(self) -> None:
        self._late = None
        self.close(StreamError("connection-timeout", "This took too long."))

    def close(self, error: StreamError | None = None) -> None:
        """Says the end and closes."""
        if self.is_closing:
            return
        if error is not None:
            log.info("{stream!r} is closed: {condition}: {text}", stream=self, condition=error.condition,
                     text=error.text)
        if not self._begun():
            self.transport.write(xml.header(self.local, self.remote, self.federation.token()))
        self.management.last_count()
        if error is not None:
            self.transport.write(error.to_bytes())
        self.transport.write(xml.FOOTER)
        self._end(f"{error.text or error.condition}".rstrip(".") if error is not None else "closed by us")
        if error is not None:
            self.transport.loseConnection()
        else:
            self._goodbye = self.federation.clock.callLater(GOODBYE_S, self.transport.loseConnection)

    def _begun(self) -> bool:
        """Our header has been sent."""
        raise NotImplementedError

    def abort(self, why: str) -> None:
        """Cuts the connection at once."""
        if self.is_authenticated and not self.is_closing:
            log.info("{stream!r} is cut: {why}", stream=self, why=why)
        self._end(why, is_cut=True)
        self.transport.abortConnection()

    def _end(self, why: str, is_cut: bool = False) -> None:
        if self.is_closing:
            return
        self.is_closing = True
        self.may_resume = is_cut and self.smacks is not None and self.smacks.may_resume
        self._in_time()
        slowed, self._slowed = self._slowed, None
        if slowed is not None:
            slowed.cancel()
        if self.transport.producer is not None:
            self.transport.unregisterProducer()
        if self._held:
            self.transport.resumeProducing()
        self._questions.end(why)
        self.over(why)
        link, self.link = self.link, None
        if link is not None:
            link.lost(self, self.smacks.unacknowledged() if self.smacks is not None else [], self.may_resume,
                      self.management.is_counted)

    def look_over(self, now: float) -> None:
        """Now and then: asks for acknowledgements, cuts who has stopped to answer, closes what nobody uses."""
        if self.is_closing or not self.is_authenticated:
            return
        if not self.management.look_over(now):
            self.abort("the other server answers nothing any more")
            return
        if now - self.used_s > IDLE_S:
            self.close()

    def __repr__(self) -> str:
        way = "to" if self.is_outgoing else "from"
        return f"<stream {way} {self.remote or '?'} for {self.local or '?'} {self.address}>"


def _reason(broken: TLSFailed) -> str:
    """OpenSSL's, without what Twisted says of every lost connection."""
    return "; ".join(map(str, broken.args)) or "no reason was given"


ServerStream.elements = {
    f"{ns.STREAMS} error": ServerStream.take_stream_error,
    f"{ns.DIALBACK} result": ServerStream.take_dialback,
    f"{ns.DIALBACK} verify": ServerStream.take_dialback,
    f"{ns.SM} r": lambda stream, element: stream.management.take_request(),
    f"{ns.SM} a": lambda stream, element: stream.management.take_answer(element),
}
