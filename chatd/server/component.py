"""Components, XEP-0114: programs of their own on this machine, each serving one domain, such as gateways.

Which there may be is in the settings ([[component]]).  Each of their domains is a service of the router from the start,
so that nobody else can be it; whether its component is there shows only when something is sent.

The protocol has neither TLS nor SASL, so its port is for loopback only (chatd.config.components).
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from chatd.core import component as rules
from chatd.core import ns
from chatd.core.errors import StanzaError, StreamError
from chatd.core.federation import to_client
from chatd.core.framing import Event, Framer, StreamEnd, StreamStart
from chatd.core.jid import JID, InvalidJID
from chatd.core.limits import TokenBucket
from chatd.core.stanza import STANZA_NAMES, Stanza
from chatd.interfaces import IService
from chatd.server.done import takes_time

if TYPE_CHECKING:
    from chatd.core.hooks import Request
    from chatd.server.router import Router

__all__ = ["ComponentFactory", "ComponentStream", "Components"]

log = Logger()

_UNREAD_BYTES: Final = 4 << 20
"""Waits for a component that does not read, before what more is sent to it goes back."""
_CONNECTIONS_MOST: Final = 8
"""Without a handshake, at a time, beside one for each domain."""


@implementer(IService)
class _Domain:
    """One domain of a component, whether it is there or not."""

    def __init__(self, components: Components, name: str, secret: str) -> None:
        self.components = components
        self.name = name
        self.secret = secret
        self.stream: ComponentStream | None = None

    def receive(self, stanza: Stanza, to: JID) -> None:
        """See IService.  It leaves when what was written before it is on the disk, so that nothing overtakes."""
        self.components.router.store.then(self._send, stanza)

    def _send(self, error: Exception | None, stanza: Stanza) -> None:
        if self.stream is None:
            refused = StanzaError("service-unavailable", type="wait", text=f"{self.name} is not running at the moment.")
        elif self.stream.send_stanza(stanza):
            return
        else:
            refused = StanzaError("resource-constraint", type="wait", text=f"{self.name} is busy at the moment.")
        self.components.router.answer(stanza, refused)


class Components:
    """All components. settings: what holds for them and their streams; raises ValueError for a domain that is served
    already."""

    def __init__(self, router: Router, settings: Any, clock: Any) -> None:
        self.router = router
        self.clock = clock
        self.limits = settings.limits
        self.domains = {one.domain: _Domain(self, one.domain, one.secret) for one in settings.components}
        self.strangers: set[ComponentStream] = set()
        self._undo: list[Callable[[], object]] = []

    def start(self) -> None:
        """The domains are theirs from now on."""
        for name, domain in self.domains.items():
            self._undo.append(self.router.serve(name, domain))
        self.router.hooks.on("disco.items", self._items, 0)
        self._undo.append(lambda: self.router.hooks.off("disco.items", self._items))

    def stop(self) -> None:
        """All are told that the server ends."""
        for stream in list(self._streams()):
            stream.close(StreamError("system-shutdown", "The server is being shut down."))
        while self._undo:
            self._undo.pop()()

    def reload(self, limits: Any) -> None:
        """Takes over changed limits, for streams that come."""
        self.limits = limits

    def status(self) -> dict[str, str]:
        """By domain: the address its component is connected from, or nothing."""
        return {name: domain.stream.address if domain.stream else "" for name, domain in self.domains.items()}

    def _streams(self) -> Iterator[ComponentStream]:
        yield from self.strangers
        yield from (domain.stream for domain in self.domains.values() if domain.stream is not None)

    def _items(self, request: Request, node: str | None) -> Iterable[tuple[str, str, str]] | None:
        """The components that are there, below the domain that is asked (XEP-0030 4)."""
        if node or request.to.local:
            return None
        below = "." + request.to.domain
        there = sorted(name for name, domain in self.domains.items() if domain.stream is not None)
        return [(name, "", "") for name in there if name.endswith(below)]


class ComponentStream(Protocol):
    """A component's connection. domain: whose it is, once it has shown that it knows the secret."""

    def __init__(self, components: Components, address: str) -> None:
        limits, now = components.limits, components.clock.seconds()
        self.components = components
        self.address = address
        self.domain: _Domain | None = None
        self.is_closing = False
        self._asked: _Domain | None = None
        self._id = ""
        self._framer = Framer(limits.preauth_stanza_bytes, limits.depth)
        self._stanzas = TokenBucket(limits.stanzas_per_second, limits.stanzas_burst, now)
        self._bytes = TokenBucket(limits.bytes_per_second, limits.bytes_burst, now)
        self._waiting: deque[Stanza] | None = None
        self._held = 0
        self._late: IDelayedCall | None = None
        self._slowed: IDelayedCall | None = None

    # -- Twisted's calls
    def connectionMade(self) -> None:
        """The connection is there; it has `limits.auth_s` to say who it is."""
        components = self.components
        components.strangers.add(self)
        self._late = components.clock.callLater(components.limits.auth_s, self._too_late)
        if len(components.strangers) > _CONNECTIONS_MOST + len(components.domains):
            self.close(StreamError("policy-violation", "Too many connections that have not said who they are."))

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the component."""
        if self.is_closing:
            return
        events = self._framer.feed(data)
        for event in events:
            try:
                self._take(event)
            except StreamError as error:
                self.close(error)
            except Exception:
                log.failure("input of the component {stream!r} could not be worked off", stream=self)
                self.close(StreamError("internal-server-error"))
            if self.is_closing:
                return
        now = self.components.clock.seconds()
        wait = max(self._stanzas.take(len(events), now), self._bytes.take(len(data), now))
        if wait and self._slowed is None:
            self._hold(1)
            self._slowed = self.components.clock.callLater(wait, self._not_slowed)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self._over()

    # -- input
    def _take(self, event: Event) -> None:
        if isinstance(event, Stanza):
            if event.ns == ns.COMPONENT and event.name == "handshake":
                self._handshake(event)
            elif self.domain is None:
                raise StreamError("not-authorized", "A handshake comes first.")
            elif event.ns != ns.COMPONENT or event.name not in STANZA_NAMES:
                raise StreamError("unsupported-stanza-type", f"<{event.name}/> is not known here.")
            elif self._waiting is not None:
                self._waiting.append(event)
            else:
                self._stanza(event)
        elif isinstance(event, StreamStart):
            self._header(event)
        elif isinstance(event, StreamEnd):
            self.close()
        else:
            raise event

    def _header(self, start: StreamStart) -> None:
        if self._id:
            raise StreamError("policy-violation", "A stream has one header.")
        self._id = secrets.token_urlsafe(18)
        name = rules.check_header(start)
        self._asked = self.components.domains.get(name)
        if self._asked is None:
            raise StreamError("host-unknown", f"There is no [[component]] {name} in the settings of this server.")
        self._write(rules.header(name, self._id))

    def _handshake(self, element: Stanza) -> None:
        asked = self._asked
        if asked is None or self.domain is not None:
            raise StreamError("policy-violation", "This is not the time for a handshake.")
        if not rules.shows(element, self._id, asked.secret):
            log.warn("somebody at {address} who does not know its secret wants to be the component {name}",
                     address=self.address, name=asked.name)
            raise StreamError("not-authorized", "The handshake does not show the secret of this component.")
        if asked.stream is not None:
            raise StreamError("conflict", f"{asked.name} is connected already.")
        self._in_time()
        self.components.strangers.discard(self)
        self.domain, asked.stream = asked, self
        self._framer.max_bytes = self.components.limits.stanza_bytes
        self._write(rules.HANDSHAKE)
        log.info("the component {name} is connected from {address}", name=asked.name, address=self.address)

    def _stanza(self, stanza: Stanza) -> None:
        """Routes one; the next ones wait while it is worked off."""
        assert self.domain is not None
        try:
            from_, to = rules.addresses(stanza, self.domain.name)
        except InvalidJID:
            to_client(stanza)
            stanza.attrs["to"] = self.domain.name
            self.components.router.answer(stanza, StanzaError("jid-malformed"))
            return
        to_client(stanza)
        result = self.components.router.route(stanza, from_, to)
        if result is None or not takes_time(result, self._failed):
            return
        if self._waiting is None:
            self._waiting = deque()
            self._hold(2)
        result.addCallback(lambda _: self._work_off())

    def _failed(self, failure: Failure) -> None:
        log.failure("a stanza of {stream!r} could not be worked off", failure, stream=self)

    def _work_off(self) -> None:
        waiting = self._waiting
        while waiting and not self.is_closing:
            try:
                self._waiting = None
                self._stanza(waiting.popleft())
            except StreamError as error:
                self.close(error)
            except Exception:
                log.failure("a stanza of {stream!r} could not be worked off", stream=self)
                self.close(StreamError("internal-server-error"))
            if self._waiting is not None:       # the next one takes its time as well
                self._waiting.extend(waiting)
                return
            self._waiting = waiting
        self._waiting = None
        self._let(2)

    # -- output
    def _write(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(data)

    def send_stanza(self, stanza: Stanza) -> bool:
        """To the component; False where too much waits for it."""
        transport: Any = self.transport
        if self.is_closing or transport.waiting_bytes > _UNREAD_BYTES:
            return False
        transport.write(stanza.to_bytes())
        return True

    def close(self, error: StreamError | None = None) -> None:
        """Tells the error, if any, and closes the connection."""
        if self.is_closing:
            return
        if not self._asked:
            self._write(rules.header("", self._id or secrets.token_urlsafe(18)))
        if error is not None:
            log.info("{stream!r} is closed: {condition} {text}", stream=self, condition=error.condition,
                     text=error.text)
            self._write(error.to_bytes())
        self._write(rules.FOOTER)
        self._over()
        self.transport.loseConnection()                         # type: ignore[union-attr]

    def _over(self) -> None:
        self.is_closing = True
        self._in_time()
        if self._slowed is not None and self._slowed.active():
            self._slowed.cancel()
        self._waiting = None
        self.components.strangers.discard(self)
        if self.domain is not None and self.domain.stream is self:
            self.domain.stream = None
            log.info("the component {name} is gone", name=self.domain.name)

    # -- time
    def _too_late(self) -> None:
        self._late = None
        self.close(StreamError("connection-timeout", "There was no handshake in time."))

    def _in_time(self) -> None:
        late, self._late = self._late, None
        if late is not None and late.active():
            late.cancel()

    def _not_slowed(self) -> None:
        self._slowed = None
        self._let(1)

    def _hold(self, why: int) -> None:
        if not self._held:
            self.transport.pauseProducing()                     # type: ignore[union-attr]
        self._held |= why

    def _let(self, why: int) -> None:
        if self._held:
            self._held &= ~why
            if not self._held and not self.is_closing:
                self.transport.resumeProducing()                # type: ignore[union-attr]

    def __repr__(self) -> str:
        asked = self.domain or self._asked
        return f"<component {asked.name if asked else 'unknown'} from {self.address}>"


class ComponentFactory(Factory):
    """Makes the streams of a port."""

    noisy = False

    def __init__(self, components: Components) -> None:
        self.components = components

    def buildProtocol(self, addr: IAddress | None) -> ComponentStream:     # type: ignore[override]
        """The stream of a new connection."""
        return ComponentStream(self.components, f"{getattr(addr, 'host', addr)}:{getattr(addr, 'port', '')}")
