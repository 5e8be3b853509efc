"""Asks a domain's web site where its servers are (XEP-0487): one HTTPS request, bounded in every way, and remembered.

Who owns a domain chooses what we are sent to, so it can choose little: HTTPS at port 443 alone, addresses of private
networks only where the settings allow them (looked at when it is connected, so DNS cannot change its mind between), a
certificate for the name that is asked, two redirects, 64 KiB in all, eight seconds.  Nothing is sent but the request,
and no connection is left when the look-up is over: TLS alone would wait for the other side's goodbye without limit.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import Certificate, optionsForClientTLS, platformTrust, trustRootFromCertificates
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import Agent, RedirectAgent, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from chatd.core import host_meta
from chatd.core.host_meta import HostMeta
from chatd.core.jid import ascii_domain
from chatd.server.s2s.finding import Target, TryLater, in_order, is_public

if TYPE_CHECKING:
    from chatd.server.s2s.federation import Federation

__all__ = ["HostMetaFinder"]

log = Logger()

PATH: Final = "/.well-known/host-meta.json"
PORT: Final = 443
FETCH_S: Final = 8.0
_CONNECT_S: Final = 3
BYTES_MOST: Final = 64 << 10
"""Of all answers of one look-up, with their heads."""
_REDIRECTS_MOST: Final = 2
_KEPT_MOST: Final = 1000
KEPT_S: Final = (300.0, 86400.0)
"""The bounds of how long an answer is kept, whatever it says."""
NOTHING_KEPT_S: Final = 600.0
"""How long it is kept that there was none."""


class Refused(Exception):
    """Not an address that is asked."""


class HostMetaFinder:
    """See the module."""

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._kept: OrderedDict[str, tuple[HostMeta | None, float]] = OrderedDict()

    async def targets(self, domain: str) -> list[Target]:
        """The servers of a domain in the order to try them, none where its web site names none."""
        name = ascii_domain(domain)
        found = None if _is_address(name) else await self._look_up(name)
        if found is None:
            return []
        return in_order(Target(way.sni, way.port, True, way.priority, way.weight, way.ips, way.sni, found.pins)
                        for way in found.ways)

    async def _look_up(self, name: str) -> HostMeta | None:
        now = self._federation.clock.seconds()
        before, until = self._kept.get(name, (None, 0.0))
        if now < until:
            return before
        try:
            found = await self._fetch(name)
        except Exception as error:
            log.debug("no host-meta of {name}: {why!r}", name=name, why=error)
            found = None
        # One that is too old is better than none (XEP-0487 4.2).
        kept = found or before
        keep_s = min(max(found.ttl_s, KEPT_S[0]), KEPT_S[1]) if found is not None else NOTHING_KEPT_S
        self._kept[name] = kept, self._federation.clock.seconds() + keep_s
        self._kept.move_to_end(name)
        while len(self._kept) > _KEPT_MOST:
            self._kept.popitem(last=False)
        return kept

    async def _fetch(self, name: str) -> HostMeta | None:
        look_up = _LookUp(self._federation)
        try:
            return await ensureDeferred(self._ask(name, look_up)).addTimeout(FETCH_S, self._federation.clock)
        finally:
            look_up.end()

    async def _ask(self, name: str, look_up: _LookUp) -> HostMeta | None:
        agent = RedirectAgent(Agent.usingEndpointFactory(self._federation.clock, look_up), _REDIRECTS_MOST)
        headers = Headers({b"Accept": [b"application/json"], b"User-Agent": [b"chatd"]})
        response = await agent.request(b"GET", f"https://{name}{PATH}".encode(), headers)
        if response.code != 200:
            return None
        body = _Body()
        response.deliverBody(body)
        return host_meta.read(await body.whole)


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


class _Body(Protocol):
    """Of an answer; whole: fires when all of it is there."""

    def __init__(self) -> None:
        self.whole: Deferred[bytes] = Deferred()
        self._parts: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        """See Protocol."""
        self._parts.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See Protocol; an end of the connection ends what has no length."""
        if self.whole.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.whole.callback(b"".join(self._parts))
        else:
            self.whole.errback(reason)


@implementer(IAgentEndpointFactory)
class _LookUp:
    """Where one look-up connects to, with its redirects, and what it may read."""

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self.bytes_left = BYTES_MOST
        self.connections: set[_BoundedProtocol] = set()

    def end(self) -> None:
        """Ends its connections at once."""
        for connection in list(self.connections):
            connection.abort()

    def endpointForURI(self, uri: Any) -> _Endpoint:
        """See IAgentEndpointFactory; raises Refused for what is not asked."""
        if uri.scheme != b"https" or uri.port != PORT:
            raise Refused(uri.toBytes())
        return _Endpoint(self._federation, self, uri.host.decode("ascii"))


@implementer(IStreamClientEndpoint)
class _Endpoint:
    """A name at port 443, under TLS with a certificate for it."""

    def __init__(self, federation: Federation, look_up: _LookUp, host: str) -> None:
        self._federation = federation
        self._look_up = look_up
        self._host = host

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """See IStreamClientEndpoint."""
        return ensureDeferred(self._connect(protocolFactory))

    async def _connect(self, factory: Any) -> Any:
        federation = self._federation
        try:
            found = await federation.finder.endpoints(Target(self._host, PORT, True))
        except TryLater as error:
            raise Refused(str(error)) from error
        options: Any = optionsForClientTLS(self._host, _authorities(federation))
        why: Exception = Refused(f"{self._host} has no address that may be connected to")
        for one in found:
            if not (federation.settings.private_addresses or is_public(one.address)):
                continue
            kind = TCP6ClientEndpoint if ":" in one.address else TCP4ClientEndpoint
            endpoint = wrapClientTLS(options, kind(federation.clock, one.address, PORT, timeout=_CONNECT_S))
            try:
                bounded: Any = await endpoint.connect(_Bounded(factory, self._look_up))
                return bounded.wrappedProtocol
            except (CancelledError, ConnectingCancelledError):      # the time is over
                raise
            except Exception as error:
                why = error
        raise why


def _authorities(federation: Federation) -> Any:
    file = federation.settings.authorities
    if file is None:
        return platformTrust()
    found = x509.load_pem_x509_certificates(file.read_bytes())
    return trustRootFromCertificates([Certificate.loadPEM(one.public_bytes(Encoding.PEM)) for one in found])


class _BoundedProtocol(ProtocolWrapper):
    """Ends the connection of who says too much."""

    def dataReceived(self, data: bytes) -> None:
        factory: Any = self.factory
        factory.look_up.bytes_left -= len(data)
        if factory.look_up.bytes_left < 0:
            self.abort()
        else:
            super().dataReceived(data)

    def abort(self) -> None:
        """Ends it without a goodbye."""
        self.transport.abortConnection()    # type: ignore[union-attr]


class _Bounded(WrappingFactory):
    """Makes the protocols of one look-up."""

    protocol = _BoundedProtocol
    noisy = False

    def __init__(self, wrapped: Factory, look_up: _LookUp) -> None:
        super().__init__(wrapped)
        self.look_up = look_up

    def registerProtocol(self, made: _BoundedProtocol) -> None:
        """See WrappingFactory: it is connected."""
        super().registerProtocol(made)
        self.look_up.connections.add(made)

    def unregisterProtocol(self, made: _BoundedProtocol) -> None:
        """See WrappingFactory: it is not any more."""
        super().unregisterProtocol(made)
        self.look_up.connections.discard(made)
