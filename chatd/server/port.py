"""Listening ports and outgoing connections whose transport is tls.SocketTLS.

`TLSPort` listens, plain first (STARTTLS, HTTP behind a proxy) or TLS at once (direct TLS, HTTPS). `Listener` is the
same as a service. `connect()` is reactor.connectTCP with our transport, for s2s.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.protocol import ClientFactory
from twisted.python.failure import Failure

from chatd.server.tls import ClientConnection, ServerConnection, SocketTLS, Times
from chatd.server.turn import turn_of

#: Clients the kernel keeps for us while handshakes are being made (it takes no more than net.core.somaxconn).
BACKLOG = 4096

#: Clients accepted in one turn at most; Twisted's own number grows without end under load.
ACCEPTS_PER_TURN = 50


class TLSPort(tcp.Port):
    """A listening TCP port; with a context each connection begins with TLS, without one it begins plain."""

    transport_class: type[SocketTLS] = ServerConnection

    def __init__(
        self,
        port: int,
        factory: IProtocolFactory,
        context: Any = None,
        interface: str = "",
        reactor: Any = None,
        times: Times | None = None,
        backlog: int = BACKLOG,
    ) -> None:
        """Make it; `startListening()` opens it (CannotListenError if the address is taken).

        `context`: an SSL.Context or an object whose `getContext()` gives the one to use for each new connection.
        `times`: the deadlines of its connections.
        """
        super().__init__(port, factory, backlog, interface, reactor)
        self.context = context
        self.times = times
        self._type = "TCP" if context is None else "TLS"

    def transport(self, *arguments: Any) -> SocketTLS:  # type: ignore[override]
        """Make the transport of a client just accepted; called by Port.doRead as tcp.Server would be."""
        connection = self.transport_class(*arguments)
        if self.times is not None:
            connection.times = self.times
        connection.setTcpNoDelay(True)  # a turn's writes go out in one piece, there is nothing to wait for
        if self.context is not None:
            connection.startTLS(self.context)
        return connection

    def doRead(self) -> None:
        """Accept a bounded number of clients, none while many handshakes wait."""
        if not turn_of(self.reactor).handshakes.hold(self):
            super().doRead()
            self.numberAccepts = min(self.numberAccepts, ACCEPTS_PER_TURN)

    def _getLogPrefix(self, factory: Any) -> str:
        prefix = super()._getLogPrefix(factory)
        return prefix if self.context is None else f"{prefix} (TLS)"

    def connectionLost(self, reason: Failure) -> None:
        """Close it."""
        turn_of(self.reactor).handshakes.release(self)
        super().connectionLost(reason)


class Listener(Service):
    """A TLSPort that opens when the application starts (before it gives up root) and closes when it stops."""

    def __init__(self, port: TLSPort) -> None:
        self.port = port
        self._open = False

    def privilegedStartService(self) -> None:
        """Open the port; CannotListenError if the address is taken."""
        self._listen()

    def startService(self) -> None:
        """Open the port unless that was done already."""
        super().startService()
        self._listen()

    def stopService(self) -> Deferred[None] | None:
        """Accept no more; the connections that are up are their protocols' matter."""
        super().stopService()
        self._open = False
        return self.port.stopListening()

    def _listen(self) -> None:
        if not self._open:
            self.port.startListening()
            self._open = True


class Connector(tcp.Connector):
    """tcp.Connector with our transport; `context` begins TLS at once, for `server_name`."""

    context: Any = None
    server_name: str | None = None
    times: Times | None = None

    def _makeTransport(self) -> Any:
        connection = ClientConnection(self.host, self.port, self.bindAddress, self, self.reactor)
        if self.times is not None:
            connection.times = self.times
        return connection

    def buildProtocol(self, addr: Any) -> IProtocol | None:
        """Build the protocol; called when the connection is there and before the protocol hears of it."""
        protocol = super().buildProtocol(addr)
        if protocol is not None and self.context is not None:
            connection: Any = self.transport
            connection.connected = 1
            connection.startTLS(self.context, server_name=self.server_name)
        return protocol


def connect(
    reactor: Any,
    host: str,
    port: int,
    factory: ClientFactory,
    context: Any = None,
    server_name: str | None = None,
    timeout_s: float = 30.0,
    times: Times | None = None,
    bind_address: tuple[str, int] | None = None,
) -> Connector:
    """Open a connection as reactor.connectTCP does and give its connector.

    `host`: an address or a name; `context`: direct TLS from the start, else plain (startTLS later); `server_name`:
    for SNI; `timeout_s`: for the TCP connection alone. Failures are told to the factory (clientConnectionFailed).
    """
    connector = Connector(host, port, factory, timeout_s, bind_address, reactor)
    connector.context, connector.server_name, connector.times = context, server_name, times
    connector.connect()
    return connector
