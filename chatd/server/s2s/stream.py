"""A connection with another server, either way: bytes to elements, who may say what on it, stream management.

`Incoming` and `Outgoing` negotiate; what both are once they are authenticated is here.  A stanza is taken only for a
pair (their domain, our domain) that has been proved on this very connection (RFC 6120 8.1.1.2, XEP-0220 4).  Stanzas
of one connection are worked off in order.

Stream management (XEP-0198) tells what the other side has. A connection that was cut goes on over the next one where
both sides can (`Link`, `Resumable`); otherwise what was not acknowledged is sent again by the `Link` it belongs to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
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
from chatd.core.smacks import StreamManagement, parse_h
from chatd.core.stanza import STANZA_NAMES, Stanza
from chatd.server.done import is_done
from chatd.server.s2s.questions import Questions
from chatd.server.s2s.trust import doubt
from chatd.server.tls import TLSFailed

if TYPE_CHECKING:
    from chatd.server.s2s.federation import Federation
    from chatd.server.s2s.link import Link

__all__ = ["ACK_S", "ServerStream"]

log = Logger()

ACK_S: Final = 30.0
"""How long a server that was asked for an acknowledgement may say nothing before the connection counts as dead."""
PROBE_S: Final = 5.0
"""The same for one that seems to be given up."""
IDLE_S: Final = 1800.0
"""A connection nobody has used for so long is closed; the next stanza opens another."""
GOODBYE_S: Final = 3.0
RECORD_BYTES: Final = 2048
"""In a TLS record of ours.  A cut takes the record along that it falls into; what is sent again at once would all be in
one, and lost again with the next cut."""
_WAITING_MOST: Final = 64
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
    another was cut.
    """

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
        self.is_closing = self.may_resume = self.is_resuming = False
        self.answers_here = False
        self.is_full = False
        self._is_slow = self._is_secured = False
        self.transport: Any = None
        self.connected = 0
        self.smacks: StreamManagement | None = None
        self.heard_s = self.used_s = now
        self._asked_s = 0.0
        self._has_header = False
        self._framer = Framer(limits.preauth_stanza_bytes, limits.depth)
        self._waiting: deque[tuple[Stanza, JID | None, JID | None]] | None = None
        self._behind: list[Callable[[], None]] = []     # to call when nothing waits any more
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
            self._guarded(self.secured)

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
            self._guarded(self._take, event)
            if self.is_closing or self._framer is not framer:
                break                       # what came behind <starttls/> in the clear counts for nothing
        wait = max(self._stanzas.take(len(events), now), self._bytes.take(len(data), now))
        if wait and self._slowed is None and not self.is_closing:
            self._hold(1)
            self._slowed = self.federation.clock.callLater(wait, self._not_slowed)
        if self._is_slow and self.transport.waiting_bytes > _UNREAD_BYTES:
            self._hold(4)

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
    def _guarded(self, call: Callable[..., None], *arguments: Any) -> None:
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
        self._framer = Framer(max_bytes, self.federation.limits.depth)

    def authenticated(self, remote: str, local: str) -> None:
        """The pair is proved: larger stanzas are welcome, and the time for it is over."""
        self.is_authenticated = True
        self.pairs.add((remote, local))
        self._framer.max_bytes = self.federation.limits.stanza_bytes
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
        if self.is_resuming:
            raise StreamError("policy-violation", "Nothing goes on before it is known how much of it has arrived.")
        attrs["from"], attrs["to"] = from_.full, to.full
        to_client(stanza)
        self.used_s = self.heard_s
        self.federation.counts.stanzas_in += 1
        waiting = self._waiting
        if waiting is not None:
            waiting.append((stanza, from_, to))
            if len(waiting) >= _WAITING_MOST:
                self._hold(2)
            return
        result = self.federation.router.route(stanza, from_, to)
        if self.smacks is not None:
            self.smacks.count()
        if result is not None and not is_done(result):
            self._wait_for(result)

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
        if self.smacks is not None:
            self.smacks.count()
        stanza.attrs["to"] = ours
        to_client(stanza)
        self.federation.router.answer(stanza, StanzaError("jid-malformed"))

    def _wait_for(self, result: Deferred[Any]) -> None:
        self._waiting = self._waiting if self._waiting is not None else deque()
        result.addErrback(self._not_worked_off)
        result.addCallback(self._go_on)

    def _not_worked_off(self, failure: Failure) -> None:
        if failure.check(StreamError):
            self.close(failure.value)       # type: ignore[arg-type]
        else:
            log.failure("a stanza of {stream!r} could not be worked off", failure, stream=self)

    def _go_on(self, _: Any) -> None:
        self._guarded(self._work_off)

    def _work_off(self) -> None:
        waiting = self._waiting
        while waiting:
            stanza, from_, to = waiting.popleft()
            if from_ is None:
                self._answer_request()
                continue
            result = self._route_on(stanza, from_, to)
            if self.smacks is not None:
                self.smacks.count()
            if result is not None and not is_done(result):
                self._wait_for(result)
                return
        self._waiting = None
        self._let(2)
        behind, self._behind = self._behind, []
        for then in behind:
            self.settled(then)

    def _route_on(self, stanza: Stanza, from_: JID, to: JID | None) -> Deferred[Any] | None:
        """A mistake of ours ends the stream; where it has ended, it must not keep what stands behind from being worked
        off, which whoever goes on waits for."""
        try:
            return self.federation.router.route(stanza, from_, to)
        except Exception:
            if not self.is_closing:
                raise
            log.failure("a stanza of {stream!r} could not be worked off", stream=self)
            return None

    # -- stream management, XEP-0198
    def take_sm_request(self, element: Stanza) -> None:
        """<r/>: answered behind the stanzas before it, when what they wrote is on the disk."""
        if self.smacks is None or self.is_resuming:
            raise StreamError("unsupported-stanza-type", "Stream management has not been enabled.")
        if self._waiting is not None:
            self._waiting.append((element, None, None))
            if len(self._waiting) >= _WAITING_MOST:
                self._hold(2)
        else:
            self._answer_request()

    def _answer_request(self) -> None:
        if self.smacks is not None:
            self.federation.router.store.then(self._acknowledge, self.smacks.h)

    def _acknowledge(self, error: Exception | None, h: int) -> None:
        if not self.is_closing:
            self.transport.write(b"<a xmlns='%b' h='%d'/>" % (ns.SM.encode(), h))

    def take_sm_answer(self, element: Stanza) -> None:
        """<a/>."""
        if self.smacks is None or self.is_resuming:
            raise StreamError("unsupported-stanza-type", "Stream management has not been enabled.")
        self.smacks.acknowledge(parse_h(element))
        self._asked_s = 0.0
        if self.link is not None:
            self.link.acknowledged()

    def managed(self, token: str = "", resume_s: int = 0) -> None:
        """Stream management is on from here, both ways."""
        self.smacks = StreamManagement(token, resume_s, self.federation.limits.resume_stanzas)

    def settled(self, then: Callable[[], None]) -> None:
        """Calls it when all that has been taken is worked off and on the disk, also where the connection is gone."""
        if self._waiting is not None:
            self._behind.append(then)
        else:
            self.federation.router.store.then(lambda error: then())

    def go_on(self, smacks: StreamManagement) -> None:
        """The stream goes on where another was cut: what the peer has not got is sent again."""
        self.is_resuming = False
        self.smacks = smacks
        for stanza in smacks.unacknowledged():
            self.transport.write(stanza.to_bytes())
        if smacks.asks_now:
            self.ask()
        log.info("{stream!r} goes on where it was cut", stream=self)

    def _last_count(self) -> None:
        """Before an end in order, so that nothing that was taken is sent again; where that is on the disk."""
        done: list[object] = []
        if self.smacks is not None and not self.is_resuming:
            self.federation.router.store.then(done.append)
            if done:
                self._acknowledge(None, self.smacks.h)

    def ask(self) -> None:
        """<r/>."""
        smacks = self.smacks
        if smacks is not None:
            smacks.asked()
            self._asked_s = self._asked_s or self.federation.clock.seconds()
            self.transport.write(xml.REQUEST)

    def probe(self, gone: Callable[[], None]) -> None:
        """The peer seems to have given it up: asks, cuts it where nothing is heard, and calls `gone` where it has ended
        by then."""
        def look(heard_s: float) -> None:
            if not self.is_closing and self.heard_s == heard_s and not self._held & ~4:
                self.abort("the other server has begun anew")
            if self.is_closing:
                gone()

        self.ask()
        self.federation.clock.callLater(PROBE_S, look, self.heard_s)

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
            self.ask()
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
                self._guarded(done, asked, said)

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
        self._let(1)

    def _hold(self, reason: int) -> None:
        if not self._held and not self.is_closing:
            self.transport.pauseProducing()
        self._held |= reason

    def _let(self, reason: int) -> None:
        held, self._held = self._held, self._held & ~reason
        if held and not self._held and not self.is_closing:
            self.transport.resumeProducing()

    def pauseProducing(self) -> None:
        """The peer takes less than it is sent: soon the rest waits with the link."""
        self._is_slow = True

    def resumeProducing(self) -> None:
        """It has caught up."""
        self.is_full = self._is_slow = False
        self._let(4)
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
        self._last_count()
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
            link.lost(self, self.smacks.unacknowledged() if self.smacks is not None else [], self.may_resume)

    def look_over(self, now: float) -> None:
        """Now and then: asks for acknowledgements, cuts who has stopped to answer, closes what nobody uses."""
        smacks = self.smacks
        if self.is_closing or not self.is_authenticated:
            return
        if smacks is not None and len(smacks):
            if not self._asked_s:
                self.ask()
            elif now - max(self._asked_s, self.heard_s) > ACK_S and not self._held & ~4:
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
    f"{ns.SM} r": ServerStream.take_sm_request,
    f"{ns.SM} a": ServerStream.take_sm_answer,
}
