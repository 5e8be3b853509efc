"""The same transport for connections we open: direct TLS, STARTTLS, SNI, verification, failures."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ClientFactory
from twisted.internet.task import deferLater

from chatd.server.certificates import S2S, Certificates, client_context
from chatd.server.port import connect
from chatd.server.tls import Times
from tests.server.tls_kit import Echo, Pem, Served, contexts, descriptors, listening, make_certificate, pem

__all__ = ["contexts", "pem"]  # fixtures


class Opening(Served):
    """Sends what `greeting` says and tells when `wanted` bytes have come."""

    greeting, wanted = b"hello", 5

    def __init__(self):
        super().__init__()
        self.done = Deferred()

    def connectionMade(self):
        self.transport.write(self.greeting)
        super().connectionMade()

    def dataReceived(self, data):
        super().dataReceived(data)
        if len(self.received) == self.wanted:
            self.done.callback(bytes(self.received))


class Factory(ClientFactory):
    noisy = False

    def __init__(self, protocol):
        self.built, self.failed = protocol, Deferred()

    def buildProtocol(self, addr):
        return self.built

    def clientConnectionFailed(self, connector, reason):
        self.failed.callback(reason.type.__name__)


@pytest_twisted.ensureDeferred
async def test_direct_tls_both_ways(pem):
    with listening(Echo, Certificates("localhost", [pem]).contexts(S2S)) as port:
        client = Opening()
        context = client_context(S2S, authorities=pem.certificate)
        connect(reactor, "127.0.0.1", port.number, Factory(client), context, "localhost")
        assert await client.done == b"hello"
        ours, theirs = client.transport, port.built[0].transport
        assert ours.alpn() == theirs.alpn() == b"xmpp-server"
        for kind in ("tls-exporter", "tls-server-end-point"):
            assert ours.channel_binding(kind) == theirs.channel_binding(kind) is not None
        shown = ours.getPeerCertificate().to_cryptography()
        assert shown.subject.rfc4514_string() == "CN=localhost"
        assert ours.getTcpNoDelay()
        assert theirs.getTcpNoDelay()
        ours.loseConnection()
        assert await client.lost == "ConnectionDone"
        assert await port.built[0].lost == "ConnectionDone"


@pytest_twisted.ensureDeferred
async def test_a_large_amount_both_ways(contexts):
    class Large(Opening):
        greeting, wanted = b"0123456789abcdef" * 200000, 3200000

    with listening(Echo, contexts) as port:
        client = Large()
        connect(reactor, "127.0.0.1", port.number, Factory(client), client_context(verify=False))
        assert await client.done == Large.greeting
        client.transport.loseConnection()
        await client.lost


@pytest_twisted.ensureDeferred
async def test_starttls_from_our_side(contexts):
    class Asking(Opening):
        greeting, wanted = b"STARTTLS\n", 10

        def dataReceived(self, data):
            if data == b"GO\n":
                self.transport.startTLS(client_context(verify=False), server_name="localhost")
                self.transport.write(b"in private")
            else:
                super().dataReceived(data)

    with listening(Echo) as port:
        Echo.context = contexts
        client = Asking()
        connect(reactor, "127.0.0.1", port.number, Factory(client))
        assert await client.done == b"in private"
        assert client.transport.is_secure
        client.transport.loseConnection()
        await client.lost


@pytest_twisted.ensureDeferred
async def test_the_name_we_ask_for_chooses_the_certificate(tmp_path):
    one, two = (make_certificate(tmp_path, name) for name in ("one.example", "two.example"))
    with listening(Echo, Certificates("one.example", [one, two]).contexts()) as port:
        client = Opening()
        connect(reactor, "127.0.0.1", port.number, Factory(client), client_context(verify=False), "two.example")
        await client.done
        shown = client.transport.getPeerCertificate().to_cryptography()
        assert shown.subject.rfc4514_string() == "CN=two.example"
        client.transport.loseConnection()
        await client.lost


@pytest_twisted.ensureDeferred
async def test_an_unknown_authority_ends_the_handshake_and_nothing_leaks(contexts, tmp_path):
    other: Pem = make_certificate(tmp_path, "other.example")
    with listening(Served, contexts) as port:
        client = Opening()
        connect(reactor, "127.0.0.1", port.number, Factory(client), client_context(authorities=other.certificate))
        assert await client.lost == "TLSFailed"
        assert await port.built[0].lost in ("TLSFailed", "ConnectionLost")
        assert port.built[0].received == b""


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_silent_has_a_deadline():
    before = descriptors()
    with listening(Served) as port:
        client = Opening()
        connect(
            reactor, "127.0.0.1", port.number, Factory(client), client_context(verify=False),
            times=Times(handshake_s=0.2),
        )
        assert await client.lost == "ConnectionAborted"
    for _ in range(100):
        if descriptors() <= before:
            break
        await deferLater(reactor, 0.01, lambda: None)
    assert descriptors() <= before


@pytest.mark.parametrize("secure", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_refused_connection_is_told_to_the_factory(secure):
    with listening(Served) as port:
        number = port.number
        await port.stopListening()
    factory = Factory(Opening())
    connect(reactor, "127.0.0.1", number, factory, client_context(verify=False) if secure else None)
    assert await factory.failed == "ConnectionRefusedError"
