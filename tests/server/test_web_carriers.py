"""WebSocket and BOSH over real sockets and the real HTTP site: handshakes, frames, HTTP statuses, CORS."""

from __future__ import annotations

import base64
import io
import os
import re
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from scramp import ScramClient
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from chatd.server.bosh import BoshResource
from chatd.server.origins import Origins
from chatd.server.websocket import WebSocketResource
from chatd.web.site import make_site
from tests.server.fake_site import SASL, SM, bind, bodies, message
from tests.server.small_daemon import HTTPS, PASSWORD, Daemon
from tests.server.test_websocket_stream import CLOSE, as_websocket

DOMAIN = "example.test"
BOSH = "http://jabber.org/protocol/httpbind"
OPEN = f"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='{DOMAIN}' version='1.0'/>"
PATIENCE_S = 10.0


@implementer(IPolicyForHTTPS)
class _Trusting:
    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:
        return ssl.CertificateOptions(verify=False)


class Raw(Protocol):
    """A socket: `read(until)` gives what came when `until` says it is enough."""

    def __init__(self) -> None:
        self.data = b""
        self.is_lost = False
        self._waiting: tuple[Callable[[bytes], bool], Deferred[bytes]] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        self._look()

    def connectionLost(self, reason: Any = None) -> None:
        self.is_lost = True
        self._look()

    def _look(self) -> None:
        if self._waiting is not None and (self._waiting[0](self.data) or self.is_lost):
            waiting, self._waiting = self._waiting[1], None
            data, self.data = self.data, b""
            waiting.callback(data)

    def read(self, until: Callable[[bytes], bool]) -> Deferred[bytes]:
        waiting: Deferred[bytes] = Deferred()
        waiting.addTimeout(PATIENCE_S, reactor)
        self._waiting = until, waiting
        self._look()
        return waiting

    def write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


def until(*wanted: bytes) -> Callable[[bytes], bool]:
    return lambda data: all(part in data for part in wanted)


def frame(payload: bytes, opcode: int = 1, fin: bool = True, masked: bool = True, length: int | None = None) -> bytes:
    """A client's frame; `length` may lie."""
    size = len(payload) if length is None else length
    head = bytes([(0x80 if fin else 0) | opcode])
    bit = 0x80 if masked else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + struct.pack("!H", size)
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


class Site:
    """The small daemon with its web ports, and clients for them."""

    def __init__(self, daemon: Daemon, bosh: BoshResource) -> None:
        self.daemon = daemon
        self.bosh = bosh
        self.clients: list[Any] = []
        self.pool = HTTPConnectionPool(reactor)
        self.agent = Agent(reactor, contextFactory=_Trusting(), pool=self.pool)

    async def raw(self, port: str = "http") -> Raw:
        endpoint: Any = TCP4ClientEndpoint(reactor, "127.0.0.1", self.daemon.port(port))
        if port == "https":
            endpoint = wrapClientTLS(ssl.CertificateOptions(verify=False), endpoint)
        protocol = Raw()
        self.clients.append(await connectProtocol(endpoint, protocol))
        return protocol

    async def upgrade(self, *extra: str, port: str = "http") -> tuple[Raw, str]:
        """A WebSocket handshake; gives the answer's head.  A header set to nothing is left out."""
        headers = {"Host": f"localhost:{self.daemon.port(port)}", "Upgrade": "websocket", "Connection": "Upgrade",
                   "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13",
                   "Sec-WebSocket-Protocol": "xmpp"}
        for line in extra:
            name, _, value = line.partition(":")
            headers[name] = value.strip()
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
        raw = await self.raw(port)
        raw.write(f"GET /xmpp-websocket HTTP/1.1\r\n{lines}\r\n".encode())
        return raw, (await raw.read(until(b"\r\n\r\n"))).decode()

    async def post(self, xml: str, *, method: str = "POST", port: str = "https", **headers: str) -> tuple[Any, str]:
        """A request to /http-bind."""
        sent = Headers({name.replace("_", "-"): [value] for name, value in headers.items()})
        scheme = "https" if port == "https" else "http"
        waiting = self.agent.request(
            method.encode(), f"{scheme}://127.0.0.1:{self.daemon.port(port)}/http-bind".encode(), sent,
            FileBodyProducer(io.BytesIO(xml.encode())) if xml else None)
        waiting.addTimeout(PATIENCE_S, reactor)
        response = await waiting
        return response, (await readBody(response)).decode()

    async def websocket(self) -> Talker:
        factory = WebSocketClientFactory(f"wss://localhost:{self.daemon.port('https')}/xmpp-websocket",
                                         protocols=["xmpp"], reactor=reactor)
        factory.protocol = Talker
        factory.setProtocolOptions(openHandshakeTimeout=0)
        endpoint = wrapClientTLS(ssl.CertificateOptions(verify=False),
                                 TCP4ClientEndpoint(reactor, "127.0.0.1", self.daemon.port("https")))
        talker: Talker = await endpoint.connect(factory)
        self.clients.append(talker)
        await talker.is_open
        return talker


class Talker(WebSocketClientProtocol):
    """A WebSocket client of the XMPP kind."""

    def __init__(self) -> None:
        super().__init__()
        self.inbox: DeferredQueue[str] = DeferredQueue()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.inbox.put(payload.decode())

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.inbox.put(f"closed {code}")

    def say(self, xml: str) -> None:
        self.sendMessage(xml.encode())

    async def hear(self) -> str:
        waiting = self.inbox.get()
        waiting.addTimeout(PATIENCE_S, reactor)
        return await waiting

    async def authenticate(self, local: str = "alice") -> None:
        self.say(OPEN)
        assert (await self.hear()).startswith("<open ")
        assert "PLAIN" in await self.hear()
        secret = base64.b64encode(f"\0{local}\0{PASSWORD}".encode()).decode()
        self.say(f"<auth xmlns='{SASL}' mechanism='PLAIN'>{secret}</auth>")
        assert "<success" in await self.hear()
        self.say(OPEN)
        await self.hear()
        assert "xmpp-bind" in await self.hear()

    async def log_in(self, local: str = "alice") -> Talker:
        await self.authenticate(local)
        self.say(as_websocket(bind("ws")))
        assert "<jid>" in await self.hear()
        return self


def with_site(**limits: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The test is a coroutine; it is given a Site."""
    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        async def run(tmp_path: Path) -> None:
            daemon = await Daemon(tmp_path, **limits).start()
            origins = Origins.of(("https://mail.example.test",))
            bosh = BoshResource(daemon.streams, origins)
            site = make_site(daemon.settings, tmp_path, reactor=reactor, mounts={
                "/xmpp-websocket": WebSocketResource(daemon.streams, origins), "/http-bind": bosh})
            daemon.listen("http", site)
            daemon.listen("https", site, daemon.certificates.contexts(HTTPS))
            made = Site(daemon, bosh)
            try:
                await test(made)
            finally:
                for client in made.clients:
                    with suppress(AttributeError):          # Twisted's TLS, if it is closed already
                        client.transport.abortConnection()
                await made.pool.closeCachedConnections()
                await daemon.stop()

        run.__name__ = test.__name__
        run.__doc__ = test.__doc__
        decorated: Callable[..., Any] = pytest_twisted.ensureDeferred(run)
        return decorated

    return decorate


# -- WebSocket

@with_site()
async def test_chat_over_websocket(site: Site) -> None:
    alice, bob = await (await site.websocket()).log_in(), await (await site.websocket()).log_in("bob")
    assert alice.websocket_protocol_in_use == "xmpp"
    bob.say("<presence xmlns='jabber:client'/>")
    await bob.hear()
    alice.say(as_websocket(message(f"bob@{DOMAIN}", "hello")))
    assert bodies(await bob.hear()) == ["hello"]
    big = "x" * 200_000
    bob.say(as_websocket(message(f"alice@{DOMAIN}/ws", big)))
    assert bodies(await alice.hear()) == [big]
    alice.say(CLOSE)
    assert await alice.hear() == CLOSE
    assert await alice.hear() == "closed 1000"
    await site.daemon.streams.shutdown()
    assert "<system-shutdown " in await bob.hear()
    assert await bob.hear() == CLOSE and await bob.hear() == "closed 1000"


@with_site()
async def test_resumption_over_another_carrier(site: Site) -> None:
    alice, bob = await (await site.websocket()).log_in(), await (await site.websocket()).log_in("bob")
    alice.say("<presence xmlns='jabber:client'/>")
    await alice.hear()
    alice.say(f"<enable xmlns='{SM}' resume='true'/>")
    previd = (await alice.hear()).split(" id='")[1].split("'")[0]
    alice.transport.abortConnection()
    assert (await alice.hear()).startswith("closed")
    session = site.daemon.router.accounts.find(f"alice@{DOMAIN}").sessions["ws"]
    while session.stream is not None:
        await deferLater(reactor, 0.01)
    bob.say(as_websocket(message(f"alice@{DOMAIN}", "meanwhile")))
    raw = await _tcp(site, "alice")
    raw.write(f"<resume xmlns='{SM}' previd='{previd}' h='0'/>".encode())
    said = (await raw.read(until(b"</message>", b"<r "))).decode()
    assert said.startswith("<resumed ") and bodies(said) == ["meanwhile"]
    assert session.stream.wire.value == "tcp"
    raw.write(b"</stream:stream>")
    assert b"</stream:stream>" in await raw.read(until(b"</stream:stream>"))


async def _tcp(site: Site, local: str) -> Raw:
    """Direct TLS, up to the authenticated features."""
    endpoint = wrapClientTLS(ssl.CertificateOptions(verify=False),
                             TCP4ClientEndpoint(reactor, "127.0.0.1", site.daemon.port("c2s_tls")))
    raw = Raw()
    await connectProtocol(endpoint, raw)
    header = (f"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='{DOMAIN}' "
              "version='1.0'>").encode()
    raw.write(header)
    await raw.read(until(b"</stream:features>"))
    secret = base64.b64encode(f"\0{local}\0{PASSWORD}".encode()).decode()
    raw.write(f"<auth xmlns='{SASL}' mechanism='PLAIN'>{secret}</auth>".encode())
    await raw.read(until(b"<success"))
    raw.write(header)
    await raw.read(until(b"</stream:features>"))
    return raw


@with_site()
async def test_the_handshake(site: Site) -> None:
    raw, head = await site.upgrade()
    assert head.startswith("HTTP/1.1 101 ") and "Sec-WebSocket-Protocol: xmpp" in head
    assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head and "Extensions" not in head
    raw.write(frame(OPEN.encode()))
    said = await raw.read(until(b"</stream:features>"))
    assert b"SCRAM-SHA-256" in said and b"PLAIN" not in said, "this port has no TLS"


@with_site()
async def test_no_compression(site: Site) -> None:
    _, head = await site.upgrade("Sec-WebSocket-Extensions: permessage-deflate")
    assert head.startswith("HTTP/1.1 101 ") and "deflate" not in head


@with_site()
async def test_handshakes_that_are_refused(site: Site) -> None:
    for header, status in (
        ("Upgrade:", 426), ("Sec-WebSocket-Protocol:", 400), ("Sec-WebSocket-Protocol: soap", 400),
        ("Origin: https://evil.test", 403), ("Origin: null", 403), ("Sec-WebSocket-Version: 7", 400),
        ("Sec-WebSocket-Key: short", 400), ("Connection: close", 400),
    ):
        _, head = await site.upgrade(header)
        assert head.startswith(f"HTTP/1.1 {status} "), (header, head)
    for origin in ("https://mail.example.test", "http://localhost:5280", "https://localhost"):
        _, head = await site.upgrade(f"Origin: {origin}")
        assert head.startswith("HTTP/1.1 101 "), origin
    assert len(site.daemon.streams.open) <= 3 + 3     # those refused by autobahn itself are closing


@with_site(connections_per_address=2)
async def test_connections_of_an_address(site: Site) -> None:
    assert (await site.upgrade())[1].startswith("HTTP/1.1 101 ")
    raw, head = await site.upgrade()
    assert head.startswith("HTTP/1.1 101 ")
    assert (await site.upgrade())[1].startswith("HTTP/1.1 429 ")
    raw.transport.loseConnection()      # type: ignore[union-attr]
    while len(site.daemon.streams.open) > 1:
        await deferLater(reactor, 0.01)
    assert (await site.upgrade())[1].startswith("HTTP/1.1 101 ")


@with_site()
async def test_a_frame_too_large_is_refused_before_it_came(site: Site) -> None:
    raw, _ = await site.upgrade()
    raw.write(frame(OPEN.encode()))
    await raw.read(until(b"</stream:features>"))
    raw.write(frame(b"<auth>", length=1 << 40)[:20])
    said = await raw.read(until(b"<close "))
    assert b"<policy-violation " in said


@with_site()
async def test_frames_in_pieces(site: Site) -> None:
    raw, _ = await site.upgrade()
    data = OPEN.encode()
    for byte in frame(data[:10], fin=False) + frame(b"ping", opcode=9) + frame(data[10:], opcode=0):
        raw.write(bytes([byte]))
    assert b"</stream:features>" in await raw.read(until(b"</stream:features>", b"ping"))
    for piece in (frame(b"<auth>" + b"x" * 5000, fin=False), frame(b"x" * 6000, opcode=0)):
        raw.write(piece)
    assert b"<policy-violation " in await raw.read(until(b"<close "))


@with_site()
async def test_a_message_of_endless_empty_frames(site: Site) -> None:
    raw, _ = await site.upgrade()
    raw.write(frame(b"", fin=False) + frame(b"", opcode=0, fin=False) * 3000)
    assert b"<policy-violation " in await raw.read(until(b"<close "))


@with_site()
async def test_broken_frames_end_the_connection(site: Site) -> None:
    for broken in (frame(OPEN.encode(), masked=False), b"\xf1\x80\x00\x00\x00\x00", frame(b"x" * 200, opcode=9),
                   frame(b"x", opcode=0), frame(b"x", opcode=5)):
        raw, _ = await site.upgrade()
        raw.write(broken)
        said = await raw.read(lambda data: data[:1] == b"\x88")
        assert struct.unpack("!H", said[2:4])[0] == 1002
    while site.daemon.streams.open:
        await deferLater(reactor, 0.05)


@with_site()
async def test_the_socket_ends_without_a_word(site: Site) -> None:
    talker = await (await site.websocket()).log_in()
    talker.transport.abortConnection()
    account = site.daemon.router.accounts.find(f"alice@{DOMAIN}")
    while account.sessions:
        await deferLater(reactor, 0.01)
    assert not site.daemon.streams.open


# -- BOSH

class Poster:
    """A BOSH client over HTTPS."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.rid = 5000
        self.sid = ""

    async def post(self, inner: str = "", attrs: str = "", **options: Any) -> str:
        self.rid += 1
        given = f"xmlns:xmpp='urn:xmpp:xbosh' rid='{self.rid}' sid='{self.sid}' {attrs}"
        _, said = await self.site.post(f"<body xmlns='{BOSH}' {given}>{inner}</body>", **options)
        return said

    async def log_in(self, local: str = "alice") -> Poster:
        _, said = await self.site.post(
            f"<body xmlns='{BOSH}' rid='{self.rid}' to='{DOMAIN}' hold='1' wait='20' ver='1.6'/>")
        self.sid = re.findall('sid="([^"]+)"', said)[0]
        client = ScramClient(["SCRAM-SHA-256"], local, PASSWORD)
        first = base64.b64encode(client.get_client_first().encode()).decode()
        said = await self.post(f"<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256'>{first}</auth>")
        client.set_server_first(base64.b64decode(re.findall("<challenge[^>]*>([^<]+)", said)[0]).decode())
        final = base64.b64encode(client.get_client_final().encode()).decode()
        said = await self.post(f"<response xmlns='{SASL}'>{final}</response>")
        client.set_server_final(base64.b64decode(re.findall("<success[^>]*>([^<]+)", said)[0]).decode())
        assert "xmpp-bind" in await self.post(attrs=f"xmpp:restart='true' to='{DOMAIN}'")
        assert "<jid>" in await self.post(bind("web"))
        return self


@with_site()
async def test_chat_over_bosh(site: Site) -> None:
    alice, bob = await Poster(site).log_in(), await (await site.websocket()).log_in("bob")
    bob.say("<presence xmlns='jabber:client'/>")
    await bob.hear()
    held = Deferred.fromCoroutine(alice.post(message(f"bob@{DOMAIN}", "hello")))
    assert bodies(await bob.hear()) == ["hello"]
    bob.say(as_websocket(message(f"alice@{DOMAIN}/web", "hi")))
    assert bodies(await held) == ["hi"]
    assert 'type="terminate"' in await alice.post(attrs="type='terminate'")
    assert len(site.bosh) == 0


@with_site()
async def test_a_browser_that_goes_away(site: Site) -> None:
    alice = await Poster(site).log_in()
    raw = await site.raw("https")
    body = f"<body xmlns='{BOSH}' rid='{alice.rid + 1}' sid='{alice.sid}'/>"
    raw.write(f"POST /http-bind HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    (stream,) = site.daemon.streams.open
    while not stream._waiting:      # type: ignore[attr-defined]
        await deferLater(reactor, 0.01)
    raw.transport.loseConnection()      # type: ignore[union-attr]
    while stream._waiting:              # type: ignore[attr-defined]
        await deferLater(reactor, 0.01)
    assert await alice.post() == f'<body xmlns="{BOSH}"/>', "repeated: as if answered with nothing"


@with_site()
async def test_what_is_no_request_of_bosh(site: Site) -> None:
    for xml in ("", "hello", "<body", "<body/>", "<!DOCTYPE x><body/>", f"<body xmlns='{BOSH}'/>", "<a>" * 100,
                f"<body xmlns='{BOSH}' rid='1'>{'x' * 50_000}</body>"):
        response, said = await site.post(xml or " ")
        assert response.code == 400 and 'condition="bad-request"' in said, xml
        assert response.headers.getRawHeaders("content-type") == ["text/xml; charset=utf-8"]
    response, _ = await site.post(f"<body xmlns='{BOSH}' rid='1'>{'x' * 2_000_000}</body>")
    assert response.code == 413
    response, said = await site.post(f"<body xmlns='{BOSH}' rid='1' sid='nobody'/>")
    assert response.code == 200 and 'condition="item-not-found"' in said
    response, _ = await site.post("", method="GET")
    assert response.code == 405
    assert len(site.bosh) == 0 and not site.daemon.streams.open


@with_site()
async def test_broken_xml_within_a_session_ends_it(site: Site) -> None:
    alice = await Poster(site).log_in()
    said = await alice.post("<message><unclosed></message>")
    assert 'condition="remote-stream-error"' in said and "<not-well-formed " in said
    assert len(site.bosh) == 0


@with_site()
async def test_a_session_that_began_with_tls_stays_with_it(site: Site) -> None:
    alice = await Poster(site).log_in()
    response, _ = await site.post(f"<body xmlns='{BOSH}' rid='{alice.rid + 1}' sid='{alice.sid}'/>", port="http")
    assert response.code == 403 and len(site.bosh) == 1, "nor is it ended by who overheard its number"


@with_site()
async def test_pages_of_other_origins(site: Site) -> None:
    first = f"<body xmlns='{BOSH}' rid='1' to='{DOMAIN}' ver='1.6'/>"
    response, said = await site.post("", method="OPTIONS", origin="https://mail.example.test")
    assert response.code == 204
    assert response.headers.getRawHeaders("access-control-allow-origin") == ["https://mail.example.test"]
    assert response.headers.getRawHeaders("access-control-allow-methods") == ["POST, OPTIONS"]
    assert response.headers.getRawHeaders("vary") == ["Origin"]
    response, said = await site.post(first, origin="https://mail.example.test")
    assert "sid=" in said
    assert response.headers.getRawHeaders("access-control-allow-origin") == ["https://mail.example.test"]
    for method, xml in (("OPTIONS", ""), ("POST", first)):
        response, said = await site.post(xml, method=method, origin="https://evil.test")
        assert response.code == 403 and "sid=" not in said
        assert response.headers.getRawHeaders("access-control-allow-origin") is None


@pytest.mark.parametrize(("origin", "host", "may"), [
    ("https://mail.example.test", "chat.test", True),
    ("https://MAIL.example.test", "chat.test", True),
    ("http://mail.example.test", "chat.test", False),
    ("https://chat.test", "chat.test", True),
    ("http://chat.test:5280", "chat.test", True),
    ("https://chat.test.evil.test", "chat.test", False),
    ("https://public.test", "127.0.0.1", True),
    ("http://[::1]:5280", "[::1]", True),
    ("null", "chat.test", False),
    ("file://chat.test", "chat.test", False),
    ("https://[bad", "chat.test", False),
    ("", "", False),
])
def test_origins(origin: str, host: str, may: bool) -> None:
    assert Origins.of(["https://mail.example.test/"], "https://public.test:5281/x").may(origin, host) is may
    assert Origins.of(["*"]).may(origin, host)


