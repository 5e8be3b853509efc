"""The TLS transport over real sockets, with clients of another make."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import socket
import ssl
import time

import pytest
import pytest_twisted
from OpenSSL import SSL
from twisted.internet import interfaces, reactor
from twisted.internet.task import deferLater
from zope.interface import implementer

from chatd.server.tls import Times
from tests.server.tls_kit import (
    Echo,
    LibSSL,
    Served,
    client_context,
    contexts,
    descriptors,
    exactly,
    exchange,
    in_thread,
    listening,
    pem,
    reset,
    tcp,
    tls,
    until_end,
)

__all__ = ["contexts", "pem"]  # fixtures

GO = b"GO\n"


def pause(seconds: float):
    return deferLater(reactor, seconds, lambda: None)


async def eventually(condition, seconds: float = 5.0):
    """Wait until `condition()` holds; what it looks at is not announced by any event."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not come true"
        await pause(0.01)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
@pytest_twisted.ensureDeferred
async def test_what_is_sent_comes_back_bit_by_bit(contexts, version):
    def client():
        s, r = tls(port.number, version), random.Random(1)
        for i in range(600):
            data = r.randbytes(200000 if i % 100 == 99 else r.randint(1, 4000))
            assert exchange(s, data) == data
        return s.version()

    with listening(Echo, contexts) as port:
        assert await in_thread(client) == {ssl.TLSVersion.TLSv1_3: "TLSv1.3"}.get(version, "TLSv1.2")


@pytest_twisted.ensureDeferred
async def test_a_client_that_wants_small_records_gets_them(contexts):
    data = random.Random(2).randbytes(40000)

    def client():
        c = LibSSL(port.number, fragment=1)
        assert c.send(data[:300])
        assert c.receive(300) == data[:300]
        for i in range(0, 40000, 500):
            assert c.send(data[i:i + 500])
        assert c.receive(40000) == data
        c.close()

    with listening(Echo, contexts) as port:
        await in_thread(client)


class Halting(Served):
    """Echoes, and takes a rest after each piece: what comes meanwhile must wait."""

    def dataReceived(self, data):
        assert not self.resting
        self.transport.write(data)
        self.transport.pauseProducing()
        self.resting = True
        reactor.callLater(0.002, self.go_on)

    resting = False

    def go_on(self):
        self.resting = False
        self.transport.resumeProducing()


@pytest_twisted.ensureDeferred
async def test_a_protocol_that_pauses_loses_nothing(contexts):
    def client():
        s = tls(port.number)
        for size in (1, 1000, 16384, 16385, 100000):
            data = random.Random(size).randbytes(size)
            assert exchange(s, data) == data

    with listening(Halting, contexts) as port:
        await in_thread(client)


class PausedFromTheStart(Served):
    def connectionMade(self):
        self.transport.pauseProducing()
        self.transport.write(b"welcome")
        super().connectionMade()


@pytest_twisted.ensureDeferred
async def test_a_handshake_goes_on_although_the_protocol_is_paused(contexts):
    def client():
        s = tls(port.number)
        s.sendall(b"early")
        assert exactly(s, 7) == b"welcome"
        return s

    with listening(PausedFromTheStart, contexts) as port:
        s = await in_thread(client)
        (served,) = port.built
        await pause(0.05)
        assert served.received == b""
        served.transport.resumeProducing()
        await eventually(lambda: served.received == b"early")
        s.close()


# -- STARTTLS

@pytest_twisted.ensureDeferred
async def test_starttls_in_place(contexts):
    def client():
        s = tcp(port.number)
        s.sendall(b"STARTTLS\n")
        assert s.recv(100) == GO
        s = client_context().wrap_socket(s, server_hostname="localhost")
        data = os.urandom(50000)
        assert exchange(s, data) == data

    with listening(Echo) as port:
        Echo.context = contexts
        await in_thread(client)
        transport = port.built[0].transport
        assert transport.is_secure
        assert interfaces.ISSLTransport.providedBy(transport)


@pytest_twisted.ensureDeferred
async def test_a_hello_in_small_pieces_and_data_behind_the_finished(contexts):
    def client():
        s = tcp(port.number)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.sendall(b"STARTTLS\n")
        assert s.recv(100) == GO
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        c = client_context().wrap_bio(into, out, server_hostname="localhost")
        with contextlib.suppress(ssl.SSLWantReadError):
            c.do_handshake()
        hello = out.read()
        for i in range(0, len(hello), 50):
            s.sendall(hello[i:i + 50])
            time.sleep(0.001)  # so that the pieces arrive apart
        while True:
            into.write(s.recv(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                c.do_handshake()
                break
        c.write(b"hello")
        s.sendall(out.read())  # Finished and the first data in one segment
        while True:
            into.write(s.recv(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                return c.read(100)

    with listening(Echo) as port:
        Echo.context = contexts
        assert await in_thread(client) == b"hello"


@pytest_twisted.ensureDeferred
async def test_nothing_written_after_a_failed_handshake_leaves_in_the_clear(contexts):
    class Talking(Served):
        def connectionMade(self):
            super().connectionMade()
            self.transport.write(b"secret")

    def client():
        s = tcp(port.number)
        s.sendall(b"<stream:stream>\n")
        out = b""
        with contextlib.suppress(ConnectionError):
            while data := s.recv(4096):
                out += data
        return out

    with listening(Talking, contexts) as port:
        assert b"secret" not in await in_thread(client)
        assert await port.built[0].lost == "TLSFailed"


# -- back-pressure and deadlines

class Producing(Served):
    """A streaming producer: `blocks` of 64 KiB as fast as it may, then the end."""

    blocks, pauses, most, on = 150, 0, 0, True

    def connectionMade(self):
        super().connectionMade()
        self.left = self.blocks
        self.transport.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self):
        self.on, t = True, self.transport
        while self.on and self.left:
            self.left -= 1
            t.write(b"z" * 65536)
            self.most = max(self.most, len(t.dataBuffer) - t.offset + t._tempDataLen)
        if not self.left:
            t.unregisterProducer()
            t.loseConnection()

    def pauseProducing(self):
        self.on = False
        self.pauses += 1

    def stopProducing(self):
        self.on, self.left = False, 0


@pytest_twisted.ensureDeferred
async def test_a_slow_reader_bounds_memory_and_gets_everything(contexts):
    def connect():
        return client_context().wrap_socket(
            tcp(port.number, receive_buffer=65536), server_hostname="localhost", suppress_ragged_eofs=False
        )

    with listening(Producing, contexts) as port:
        s = await in_thread(connect)
        served = port.built[0]
        await eventually(lambda: not served.on)
        await pause(0.3)
        cpu = time.process_time()
        await pause(0.3)
        assert time.process_time() - cpu < 0.1, "a stuck connection costs CPU"
        assert len(await in_thread(until_end, s)) == Producing.blocks * 65536
        assert served.most <= 3 * 65536
        assert served.pauses > 5
        assert await served.lost == "ConnectionDone"


@pytest_twisted.ensureDeferred
async def test_a_producer_that_is_not_paused_does_not_make_writing_dear(contexts):
    """Every stream of a client is a producer; what it writes must not take the long way for that."""
    @implementer(interfaces.IHandshakeListener)
    class Telling(Served):
        def handshakeCompleted(self):
            self.transport.registerProducer(self, True)
            self.transport.doWrite = lambda: self.events.append("the long way")
            self.transport.write(b"hello")

        def stopProducing(self):
            self.events.append("stopped")

    with listening(Telling, contexts) as port:
        s = await in_thread(tls, port.number)
        assert await in_thread(s.recv, 100) == b"hello"
        s.close()
        await port.built[0].lost
        assert port.built[0].events[0] == "stopped", port.built[0].events


@pytest.mark.parametrize("secure", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_peer_that_takes_nothing_is_cut(contexts, secure):
    class Endless(Producing):
        blocks = 100000

    with listening(Endless, contexts if secure else None, Times(stall_s=0.3)) as port:
        s = await in_thread(tls if secure else tcp, port.number)
        served = port.built[0]
        assert await served.lost == "ConnectionAborted"
        s.close()


@pytest_twisted.ensureDeferred
async def test_a_peer_that_reads_slowly_is_not_cut(contexts):
    class Few(Producing):
        blocks = 30

    def client():
        s, size = client_context().wrap_socket(tcp(port.number, receive_buffer=65536)), 0
        while data := s.recv(16384):
            size += len(data)
            time.sleep(0.012)  # a second and a half in all, a multiple of the deadline
        return size

    with listening(Few, contexts, Times(stall_s=0.6)) as port:
        assert await in_thread(client) == 30 * 65536


@pytest_twisted.ensureDeferred
async def test_a_silent_peer_is_cut_and_leaves_no_descriptor(contexts):
    before = descriptors()
    with listening(Served, contexts, Times(handshake_s=0.2)) as port:
        silent = [await in_thread(tcp, port.number) for _ in range(20)]
        silent[0].sendall(b"\x16\x03\x01")
        await eventually(lambda: len(port.built) == 20)
        assert descriptors() >= before + 40
        for served in port.built:
            assert await served.lost == "ConnectionAborted"
        for s in silent:
            s.close()
    await eventually(lambda: descriptors() <= before)


# -- the end

@pytest_twisted.ensureDeferred
async def test_lose_connection_delivers_everything_first(contexts):
    def client():
        s = tls(port.number)
        s.sendall(b"BYE\n")
        return len(until_end(s))  # raises unless it ends with close_notify

    with listening(Echo, contexts) as port:
        assert await in_thread(client) == 1000000
        assert await port.built[0].lost == "ConnectionDone"


@pytest_twisted.ensureDeferred
async def test_lose_connection_in_the_handshake_still_delivers(contexts):
    class Hasty(Served):
        def connectionMade(self):
            super().connectionMade()
            self.transport.write(b"too many connections")
            self.transport.loseConnection()

    with listening(Hasty, contexts) as port:
        assert await in_thread(lambda: until_end(tls(port.number))) == b"too many connections"


@pytest_twisted.ensureDeferred
async def test_the_peers_end_is_answered(contexts):
    def client():
        s = tls(port.number)
        s.sendall(b"abc")
        assert exactly(s, 3) == b"abc"
        s.unwrap()  # waits for the answer to its close_notify
        s.close()

    with listening(Echo, contexts) as port:
        await in_thread(client)
        assert await port.built[0].lost == "ConnectionDone"


@pytest_twisted.ensureDeferred
async def test_data_and_the_peers_end_in_one_segment_are_both_answered(contexts):
    def client():
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        c, s = client_context().wrap_bio(into, out, server_hostname="localhost"), tcp(port.number)

        def call(function, *arguments):
            while True:
                try:
                    return function(*arguments)
                except ssl.SSLWantReadError:
                    s.sendall(out.read())
                    into.write(s.recv(65536))

        call(c.do_handshake)
        for _ in range(2):  # read in two turns running, the connection is taken for one that sends bursts
            c.write(b"<m/>")
            s.sendall(out.read())
            assert call(c.read, 100) == b"<m/>"
        c.write(b"</stream:stream>")
        with contextlib.suppress(ssl.SSLWantReadError):
            c.unwrap()
        s.sendall(out.read())
        return call(c.read, 100)

    with listening(Echo, contexts) as port:
        assert await in_thread(client) == b"</stream:stream>"


@pytest_twisted.ensureDeferred
async def test_an_end_without_goodbye_is_a_loss(contexts):
    def client():
        s = tls(port.number)
        s.sendall(b"abc")
        assert exactly(s, 3) == b"abc"
        s.close()

    with listening(Echo, contexts) as port:
        await in_thread(client)
        assert await port.built[0].lost == "ConnectionLost"


@pytest_twisted.ensureDeferred
async def test_our_half_close_leaves_the_peers_direction_open(contexts):
    @implementer(interfaces.IHalfCloseableProtocol)
    class Half(Echo):
        def readConnectionLost(self):
            self.events.append("read ended")
            self.transport.loseConnection()

        def writeConnectionLost(self):
            self.events.append("write ended")

    def client():
        s = tls(port.number)
        s.sendall(b"HALF\n")
        assert exactly(s, 5) == b"last\n"
        assert s.recv(100) == b""
        s.sendall(b"still heard")
        s.unwrap()
        s.close()

    with listening(Half, contexts) as port:
        await in_thread(client)
        served = port.built[0]
        await served.lost
        assert served.received == b"HALF\nstill heard"
        assert served.events == ["write ended", "read ended", "ConnectionDone"]


@pytest.mark.parametrize("secure", [True, False])
@pytest_twisted.ensureDeferred
async def test_the_last_word_arrives_although_the_peer_was_still_talking(contexts, secure):
    class Refusing(Served):
        def dataReceived(self, data):
            if not self.received:
                self.received += data
                self.transport.write(b"</stream:stream>")
                self.transport.loseConnection()

    def client():
        s = tls(port.number) if secure else tcp(port.number)
        s.sendall(b"x")
        with contextlib.suppress(ConnectionError):  # it may be cut while it talks, but must be able to read
            for _ in range(20):
                s.sendall(b"y" * 10000)
                time.sleep(0.002)
        out = exactly(s, 16)
        s.close()
        return out

    before = descriptors()
    with listening(Refusing, contexts if secure else None) as port:
        assert await in_thread(client) == b"</stream:stream>"
    await eventually(lambda: descriptors() <= before)


@pytest_twisted.ensureDeferred
async def test_lingering_has_an_end(contexts):
    before = descriptors()
    with listening(Echo, contexts, Times(linger_s=0.2)) as port:
        s = await in_thread(tls, port.number)
        port.built[0].transport.loseConnection()
        assert await port.built[0].lost == "ConnectionDone"
        assert descriptors() == before + 3  # the port, the client, and the socket that lingers
        await eventually(lambda: descriptors() == before + 2)
        s.close()


# -- bad peers

@pytest_twisted.ensureDeferred
async def test_resets_and_garbage_leave_nothing_behind(contexts):
    def bad():
        for _ in range(100):
            s = tcp(port.number)
            s.sendall(b"\x16\x03\x01\x02\x00\x01")
            reset(s)
        for junk in (
            b"GET / HTTP/1.0\r\n\r\n", random.Random(3).randbytes(4000), b"<stream:stream>",
            b"\x16\x03\x01\xff\xff" + b"a" * 70000,
        ):
            s = tcp(port.number)
            with contextlib.suppress(OSError):
                s.sendall(junk)
                s.shutdown(socket.SHUT_WR)
                while s.recv(4096):
                    pass
            s.close()
        for _ in range(20):
            reset(tls(port.number))

    def good():
        s = tls(port.number)
        assert exchange(s, b"ok") == b"ok"
        s.close()

    before = descriptors()
    with listening(Echo, contexts) as port:
        await in_thread(bad)
        await in_thread(good)
        await eventually(lambda: all(served.events for served in port.built))
        assert len(port.built) >= 125
    await eventually(lambda: descriptors() <= before)


@pytest_twisted.ensureDeferred
async def test_renegotiation_is_refused(contexts):
    def client():
        s = tcp(port.number)
        s.settimeout(None)
        c = SSL.Context(SSL.TLS_CLIENT_METHOD)
        c.set_max_proto_version(SSL.TLS1_2_VERSION)
        k = SSL.Connection(c, s)
        k.set_connect_state()
        k.do_handshake()
        k.send(b"a")
        assert k.recv(1) == b"a"
        k.renegotiate()
        with pytest.raises(SSL.Error, match="no renegotiation"):
            k.do_handshake()

    with listening(Echo, contexts) as port:
        await in_thread(client)


@pytest_twisted.ensureDeferred
async def test_key_updates_are_followed(contexts):
    def client():
        c = LibSSL(port.number)
        for i in range(8):
            assert c.key_update(answer=i % 2 == 1)
            assert c.send(b"%d" % i)
            assert c.receive(1) == b"%d" % i
        c.close()

    with listening(Echo, contexts) as port:
        await in_thread(client)


@pytest.mark.parametrize("answer", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_flood_of_key_updates_is_cut_and_delays_nobody(contexts, answer):
    def flood():
        c, sent = LibSSL(port.number), 0
        while sent < 200000 and c.key_update(answer):
            sent += 1
        c.close()
        return sent

    with listening(Echo, contexts) as port:
        assert await in_thread(flood) < 50000
        assert await port.built[0].lost == "ConnectionAborted"


# -- what TLS knows

@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
@pytest_twisted.ensureDeferred
async def test_channel_bindings_are_equal_on_both_ends(contexts, pem, version):
    class Late(Served):
        early = "?"

        def connectionMade(self):
            self.early = self.transport.channel_binding("tls-exporter")
            super().connectionMade()

    def client():
        s = tcp(port.number)
        s.settimeout(None)
        c = SSL.Context(SSL.TLS_CLIENT_METHOD)
        c.set_max_proto_version(int(version))
        k = SSL.Connection(c, s)
        k.set_connect_state()
        k.do_handshake()
        k.send(b"x")
        return k, k.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")

    with listening(Late, contexts) as port:
        k, exported = await in_thread(client)
        served = port.built[0]
        await eventually(lambda: served.received)
        assert served.early is None
        assert served.transport.channel_binding("tls-exporter") == exported
        der = ssl.PEM_cert_to_DER_cert(pem.certificate.read_text())
        assert served.transport.channel_binding("tls-server-end-point") == hashlib.sha256(der).digest()
        assert served.transport.channel_binding("tls-unique") is None
        assert served.transport.tls_version().startswith("TLSv1.")
        served.transport.abortConnection()
        await served.lost
        assert served.transport.channel_binding("tls-exporter") is None
        k.get_context()


@pytest_twisted.ensureDeferred
async def test_no_exporter_in_tls12_without_extended_master_secret(contexts):
    def client():
        c = client_context(ssl.TLSVersion.TLSv1_2)
        c.options |= 1  # SSL_OP_NO_EXTENDED_MASTER_SECRET, which the ssl module does not name
        s = c.wrap_socket(tcp(port.number), server_hostname="localhost")
        s.sendall(b"x")
        return s

    with listening(Served, contexts) as port:
        s = await in_thread(client)
        served = port.built[0]
        await eventually(lambda: served.received)
        assert served.transport.channel_binding("tls-exporter") is None
        assert served.transport.channel_binding("tls-server-end-point") is not None
        s.close()


@pytest_twisted.ensureDeferred
async def test_the_end_of_the_handshake_is_announced(contexts):
    @implementer(interfaces.IHandshakeListener)
    class Listening(Served):
        def handshakeCompleted(self):
            self.events.append(("handshake", self.transport.alpn(), self.transport.negotiatedProtocol))

    with listening(Listening, contexts) as port:
        s = await in_thread(tls, port.number)
        await eventually(lambda: port.built[0].events)
        assert port.built[0].events == [("handshake", b"xmpp-client", b"xmpp-client")]
        assert port.built[0].transport.getPeerCertificate() is None
        s.close()
