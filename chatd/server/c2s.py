"""Clients over TCP: STARTTLS on 5222 (RFC 6120 5, required by RFC 7590), TLS from the start on 5223 (XEP-0368).

A connection is one object, the protocol, and a framer.  Once a resource is bound the way of a stanza is: the
transport's bytes, the framer, the session; and back: the stanza's bytes, the transport, which sends at the end of the
reactor's turn.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IAddress, IDelayedCall, IHandshakeListener, IPushProducer
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from chatd.core.errors import StreamError
from chatd.core.framing import Framer, StreamEnd
from chatd.core.stanza import Stanza
from chatd.core.stream_xml import Wire
from chatd.server.stream import ClientStream
from chatd.server.streams import GOODBYE_S

if TYPE_CHECKING:
    from chatd.server.streams import ClientStreams

__all__ = ["BINDINGS", "C2SFactory", "TCPStream"]

log = Logger()

BINDINGS: Final = ("tls-exporter", "tls-server-end-point")
"""Channel binding types for SCRAM -PLUS (RFC 9266, RFC 5929), the better first."""

# The kernel finds peers that are gone without a word: a keepalive every 5 minutes, and no acknowledgement of what
# was sent for 2 minutes ends the connection.  No timer of ours runs for an idle session.
_SOCKET_OPTIONS: Final = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 300),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 30),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 4),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 120_000),
)


@implementer(IHandshakeListener, IPushProducer)
class TCPStream(ClientStream):
    """A client's connection; a Twisted protocol.

    contexts: TLS contexts for <starttls/>, None on a port where TLS comes first.
    """

    __slots__ = ("_contexts", "_framer", "_goodbye", "connected", "transport")

    wire = Wire.TCP

    def __init__(self, streams: ClientStreams, address: str, contexts: Any) -> None:
        super().__init__(streams, address)
        self._contexts = contexts
        self._framer = self._new_framer(streams.limits.preauth_stanza_bytes)
        self._goodbye: IDelayedCall | None = None
        self.transport: Any = None
        self.connected = 0

    def _new_framer(self, max_bytes: int) -> Framer:
        return Framer(max_bytes, self.streams.limits.depth)

    # -- Twisted's calls
    def makeConnection(self, transport: Any) -> None:
        """The connection is there; on a direct TLS port its handshake is not."""
        self.connected = 1
        self.transport = transport
        _set_options(transport)
        may_stay = self.begin()
        if may_stay:
            transport.registerProducer(self, True)
        if self._contexts is not None:
            self.negotiate(is_secured=False)
        if not may_stay:
            self.close(StreamError("policy-violation", "Too many connections from your address."))

    def handshakeCompleted(self) -> None:
        """TLS is up."""
        if self.login is not None and not self.is_closing:
            self.login.tls_started({kind: data for kind in BINDINGS if (data := self.transport.channel_binding(kind))})

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the client."""
        if self.is_closing:
            self._wait_for_end(data)
            return
        streams = self.streams
        self.heard_s = now = streams.seconds()
        events = self._framer.feed(data)
        count = len(events)
        if count:
            streams.counts.stanzas_in += count
            self.take(events)
        self.spend(count, len(data), now)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self.connected = 0
        goodbye, self._goodbye = self._goodbye, None
        if goodbye is not None and goodbye.active():
            goodbye.cancel()
        self.lost()

    # -- as a stream
    def send_stanza(self, stanza: Stanza) -> None:
        """See IClientStream."""
        self.streams.counts.stanzas_out += 1
        self.transport.write(stanza.to_bytes())

    def send(self, xml: bytes) -> None:
        """See IClientStream."""
        self.transport.write(xml)

    def _stop_reading(self) -> None:
        self.transport.pauseProducing()

    def _read_again(self) -> None:
        self.transport.resumeProducing()

    def start_tls(self) -> None:
        """Begins the handshake."""
        self._framer = self._new_framer(self.streams.limits.preauth_stanza_bytes)
        contexts, self._contexts = self._contexts, None
        self.transport.startTLS(contexts)

    def admit(self) -> None:
        """Larger stanzas are welcome, also where no new header comes (XEP-0388)."""
        self._framer.max_bytes = self.streams.limits.stanza_bytes

    def restart(self) -> None:
        """A new stream, with a framer of its own."""
        self._framer = self._new_framer(self.streams.limits.stanza_bytes)

    def _finish(self, error: StreamError | None) -> None:
        transport = self.transport
        if transport.producer is not None:
            transport.unregisterProducer()
        if self._held:
            transport.resumeProducing()             # to see the peer's end
        if error is not None or self.peer_ended:
            transport.loseConnection()
        else:
            self._goodbye = self.streams.clock.callLater(GOODBYE_S, transport.loseConnection)

    def _wait_for_end(self, data: bytes) -> None:
        """After our end only the peer's matters (RFC 6120 4.4)."""
        if self._goodbye is not None and any(
                isinstance(event, StreamEnd | StreamError) for event in self._framer.feed(data)):
            self.transport.loseConnection()

    def abort(self) -> None:
        """Cuts the connection."""
        self._over()
        self.transport.abortConnection()

    # -- the transport's buffer, IPushProducer
    def pauseProducing(self) -> None:
        """The client takes less than it is sent."""
        self.congested(self.transport.waiting_bytes)

    def resumeProducing(self) -> None:
        """It has caught up."""
        self.uncongested()

    def stopProducing(self) -> None:
        """The connection is gone; `connectionLost` says so too."""


def _set_options(transport: Any) -> None:
    try:
        handle = transport.socket
        for level, name, value in _SOCKET_OPTIONS:
            option = getattr(socket, name, None)
            if option is not None:
                handle.setsockopt(level, option, value)
    except (AttributeError, OSError):
        log.debug("no keepalive for {transport!r}", transport=transport)


class C2SFactory(Factory):
    """Makes the streams of a port.

    contexts: for a STARTTLS port, what `<starttls/>` is answered with (Certificates.contexts); None for a port
    whose connections begin with TLS.
    """

    noisy = False

    def __init__(self, streams: ClientStreams, contexts: Any = None) -> None:
        self.streams = streams
        self.contexts = contexts

    def buildProtocol(self, addr: IAddress | None) -> TCPStream:      # type: ignore[override]
        """The stream of a new connection."""
        return TCPStream(self.streams, str(getattr(addr, "host", addr)), self.contexts)
