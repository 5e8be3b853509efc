"""twisted.web and autobahn on our port: HTTPS with keep-alive, a large file, an upload, a WebSocket."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import ssl

import pytest
import pytest_twisted
from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from twisted.web.static import Data, File

from chatd.server.certificates import HTTPS, Certificates
from chatd.server.port import Listener, TLSPort
from tests.server.tls_kit import exactly, in_thread, pem, tcp

__all__ = ["pem"]  # fixture

LARGE = os.urandom(1 << 20) * 8


class Upload(Resource):
    """Answers with the hash of what it got."""

    def render_POST(self, request):
        body = request.content.read()
        reactor.callLater(0, self.answer, request, hashlib.sha256(body).hexdigest().encode())
        return NOT_DONE_YET

    def answer(self, request, text):
        request.write(text)
        request.finish()


class Secure(Resource):
    def render_GET(self, request):
        return b"%d %s" % (request.isSecure(), request.getClientAddress().host.encode())


class WebSocketEcho(WebSocketServerProtocol):
    def connectionMade(self):
        # autobahn's own asks TLS for a channel id and believes no transport but Twisted's (see server/websocket.py).
        self.peer = "test"
        self._connectionMade()

    def onConnect(self, request):
        return "xmpp"

    def onMessage(self, payload, isBinary):
        self.sendMessage(payload, isBinary)


@pytest.fixture(params=["tls", "plain"])
def site(request, pem, tmp_path):
    """A site on a port of each kind; gives (port number, context of a client or None)."""
    (tmp_path / "large").write_bytes(LARGE)
    root = Resource()
    root.putChild(b"hello", Data(b"hello", "text/plain"))
    root.putChild(b"large", File(str(tmp_path / "large")))
    root.putChild(b"upload", Upload())
    root.putChild(b"secure", Secure())
    factory = WebSocketServerFactory()
    factory.protocol = WebSocketEcho
    root.putChild(b"ws", WebSocketResource(factory))
    client = None
    server = None
    if request.param == "tls":
        server = Certificates("localhost", [pem]).contexts(HTTPS)
        client = ssl.create_default_context(cafile=str(pem.certificate))
        client.set_alpn_protocols(["http/1.1"])
    port = TLSPort(0, Site(root), server, "127.0.0.1", reactor)
    listener = Listener(port)
    listener.privilegedStartService()
    listener.startService()
    yield port.getHost().port, client
    listener.stopService()


def connection(site) -> http.client.HTTPConnection:
    number, context = site
    c = http.client.HTTPConnection("127.0.0.1", number, timeout=10)
    c.sock = tcp(number)
    if context is not None:
        c.sock = context.wrap_socket(c.sock, server_hostname="localhost")
    return c


def get(c, path) -> bytes:
    c.request("GET", path)
    answer = c.getresponse()
    assert answer.status == 200
    return answer.read()


@pytest_twisted.ensureDeferred
async def test_many_requests_on_one_connection(site):
    def client():
        c = connection(site)
        first = c.sock
        for _ in range(50):
            assert get(c, "/hello") == b"hello"
        assert get(c, "/secure") == b"%d 127.0.0.1" % (site[1] is not None)
        assert c.sock is first
        c.close()

    await in_thread(client)


@pytest_twisted.ensureDeferred
async def test_a_large_file_is_streamed_whole(site):
    def client():
        c = connection(site)
        for _ in range(2):
            assert hashlib.sha256(get(c, "/large")).digest() == hashlib.sha256(LARGE).digest()
        c.close()

    await in_thread(client)


@pytest_twisted.ensureDeferred
async def test_pipelined_requests_are_answered_in_order(site):
    def client():
        c = connection(site)
        c.sock.sendall(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n" * 30)
        out = b""
        while out.count(b"\r\n\r\nhello") < 30:
            data = c.sock.recv(65536)
            assert data, "ended early"
            out += data
        c.close()

    await in_thread(client)


@pytest_twisted.ensureDeferred
async def test_an_upload_and_a_closed_connection(site):
    def client():
        c = connection(site)
        c.request("POST", "/upload", body=LARGE, headers={"Connection": "close"})
        assert c.getresponse().read().decode() == hashlib.sha256(LARGE).hexdigest()
        c.close()

    await in_thread(client)


@pytest_twisted.ensureDeferred
async def test_a_client_that_goes_away_in_the_middle_of_a_file(site):
    def client():
        for _ in range(5):
            c = connection(site)
            c.request("GET", "/large")
            c.sock.recv(1000)
            c.sock.close()
        c = connection(site)
        assert get(c, "/hello") == b"hello"
        c.close()

    await in_thread(client)


@pytest_twisted.ensureDeferred
async def test_a_websocket_is_upgraded_and_echoes(site):
    def client():
        s = connection(site).sock
        s.sendall(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: xmpp\r\n\r\n"
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            data = s.recv(1)
            assert data, head
            head += data
        assert b" 101 " in head
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        for text in (b"<open/>", b"x" * 120):
            s.sendall(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text)  # masked with zeros
            assert exactly(s, 2 + len(text)) == bytes([0x81, len(text)]) + text
        s.sendall(bytes([0x88, 0x82]) + bytes(4) + b"\x03\xe8")
        assert exactly(s, 4)[:2] == b"\x88\x02"
        with contextlib.suppress(OSError):
            s.recv(10)
        s.close()

    await in_thread(client)
