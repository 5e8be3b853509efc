"""The tunnel to the bridge processes over real connections: a process of the test's own, raw bytes at the other end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

from chatd.web.request import LONG_HEAD
from chatd.web.site import make_site
from chatd.web.tunnel import TUNNEL_PATH, Refused, TunnelLimits, TunnelResource
from tests.web.browser_like import settings

TOKEN = "aaaa.bbbb.cccc"
UPGRADE = ("Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
ACCEPT = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nServer: inner\r\n\r\n"
NO = (b"HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain\r\nAccess-Control-Allow-Origin: *\r\n"
      b"Content-Length: 7\r\n\r\nexpired")


async def until(holds: Callable[[], Any], seconds: float = 20) -> None:
    """Return when it holds."""
    for _ in range(int(seconds / 0.01)):
        if holds():
            return
        await deferLater(reactor, 0.01)
    raise AssertionError("it did not come to that")


class End(Protocol):
    """One end of a connection; keeps what came."""

    transport: Any

    def __init__(self) -> None:
        self.data = b""
        self.is_over = False

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Any = None) -> None:
        self.is_over = True

    def send(self, data: bytes) -> None:
        self.transport.write(data)


class World:
    """A site with a tunnel on a free port; `inner` are the connections that reached the process."""

    def __init__(self, folder: Path, limits: TunnelLimits) -> None:
        self.inner: list[End] = []
        self.is_up = True
        self.may = True
        world = self

        class Inner(Factory):
            def buildProtocol(self, addr: Any) -> End:
                world.inner.append(End())
                return world.inner[-1]

        self.process = reactor.listenTCP(0, Inner(), interface="127.0.0.1")
        self.tunnel = TunnelResource(self, reactor, limits)
        site = make_site(settings("", ("127.0.0.1",)), folder, {TUNNEL_PATH: self.tunnel}, reactor=reactor,
                         long_lines=(TUNNEL_PATH,))
        self.port = reactor.listenTCP(0, site, interface="127.0.0.1")
        self.clients: list[End] = []

    # -- the gate
    def room(self, token: str) -> str:
        if token != TOKEN:
            raise Refused(401, "invalid token")
        return "weekly"

    def address(self, room: str) -> tuple[str, int] | None:
        assert room == "weekly"
        return ("127.0.0.1", self.process.getHost().port) if self.is_up else None

    def may_connect(self, request: Any) -> bool:
        return self.may

    # -- what tests do
    async def connect(self) -> End:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)
        self.clients.append(await connectProtocol(endpoint, End()))
        return self.clients[-1]

    async def ask(self, target: str, *headers: str, method: str = "GET") -> End:
        client = await self.connect()
        lines = [f"{method} {target} HTTP/1.1", "Host: chat.example", *headers, "", ""]
        client.send("\r\n".join(lines).encode("latin-1"))
        return client

    async def answer(self, target: str, *headers: str, method: str = "GET") -> SimpleNamespace:
        """Ask and wait for the whole answer."""
        client = await self.ask(target, *headers, method=method)
        await until(lambda: client.is_over or is_whole(client.data))
        return parsed(client.data)

    async def opened(self) -> tuple[End, End]:
        """A pipe: the client's end and the process's."""
        count = len(self.inner)
        client = await self.ask(f"/rtc/v1?access_token={TOKEN}", *UPGRADE)
        await until(lambda: len(self.inner) > count and self.inner[-1].data.endswith(b"\r\n\r\n"))
        inner = self.inner[-1]
        inner.send(ACCEPT)
        await until(lambda: client.data.endswith(b"\r\n\r\n"))
        client.data = inner.data = b""
        return client, inner


def is_whole(data: bytes) -> bool:
    answer = parsed(data)
    return b"\r\n\r\n" in data and len(answer.body) == int(answer.headers["content-length"])


def parsed(data: bytes) -> SimpleNamespace:
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return SimpleNamespace(code=int(status.split()[1]) if status else 0, headers=headers, body=body)


@pytest.fixture
def limits() -> TunnelLimits:
    return TunnelLimits()


@pytest.fixture
def world(folder: Path, limits: TunnelLimits) -> Iterator[World]:
    world = World(folder, limits)
    yield world

    async def end() -> None:
        for port in (world.port, world.process):
            await maybeDeferred(port.stopListening)
        for connection in (*world.clients, *world.inner):
            if not connection.is_over:
                connection.transport.abortConnection()
        await until(lambda: all(one.is_over for one in (*world.clients, *world.inner)))
        await until(lambda: world.tunnel.connections == 0)

    pytest_twisted.blockon(Deferred.fromCoroutine(end()))


@pytest_twisted.ensureDeferred
async def test_bytes_go_through_as_they_are(world: World) -> None:
    client, inner = await world.opened()
    assert world.tunnel.connections == 1
    every = bytes(range(256)) * 1000
    client.send(every)
    inner.send(every[::-1])
    await until(lambda: len(inner.data) == len(client.data) == len(every))
    assert inner.data == every and client.data == every[::-1]


@pytest_twisted.ensureDeferred
async def test_what_the_process_is_asked(world: World) -> None:
    """The token in one place, the path one of four, no headers but those it needs."""
    await world.ask(f"/rtc/v1?join_request=YWJj&access%5Ftoken={TOKEN}&x=%41+b", *UPGRADE, "Cookie: a=b",
                    "X-Forwarded-For: 198.51.100.9", "Origin: https://chat.example", "Expect: nothing")
    await until(lambda: world.inner and world.inner[0].data.endswith(b"\r\n\r\n"))
    line, *headers = world.inner[0].data.decode().removesuffix("\r\n\r\n").split("\r\n")
    assert line == "GET /rtc/v1?join_request=YWJj&x=%41+b HTTP/1.1"
    assert sorted(header.partition(":")[0] for header in headers) == [
        "authorization", "connection", "host", "origin", "sec-websocket-key", "sec-websocket-version", "upgrade",
        "x-forwarded-for"]
    assert f"authorization: Bearer {TOKEN}" in headers and "x-forwarded-for: 198.51.100.9" in headers


@pytest_twisted.ensureDeferred
async def test_a_token_in_the_header_is_the_token(world: World) -> None:
    """What the query says besides is not passed on, so nobody joins by a token that was not looked at."""
    await world.ask("/rtc?access_token=another.good.one&sid=PA_1", *UPGRADE, f"Authorization: Bearer {TOKEN}")
    await until(lambda: world.inner and world.inner[0].data.endswith(b"\r\n\r\n"))
    assert world.inner[0].data.startswith(b"GET /rtc?sid=PA_1 HTTP/1.1\r\n") and b"another" not in world.inner[0].data


@pytest_twisted.ensureDeferred
async def test_the_answer_of_validate(world: World) -> None:
    client = await world.ask(f"/rtc/v1/validate?access_token={TOKEN}")
    await until(lambda: world.inner and world.inner[0].data.endswith(b"\r\n\r\n"))
    assert b"connection: close" in world.inner[0].data
    world.inner[0].send(NO[:40])
    await deferLater(reactor, 0)
    world.inner[0].send(NO[40:])
    await until(lambda: client.data.endswith(b"expired"))
    answer = parsed(client.data)
    assert answer.code == 401 and answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["content-type"] == "text/plain"
    await until(lambda: world.inner[0].is_over)
    assert world.tunnel.refused == {401: 1}


@pytest_twisted.ensureDeferred
async def test_an_answer_to_the_end_of_the_connection(world: World) -> None:
    client = await world.ask(f"/rtc/validate?access_token={TOKEN}")
    await until(lambda: bool(world.inner))
    world.inner[0].send(b"HTTP/1.1 200 OK\r\n\r\nsucc")
    world.inner[0].send(b"ess")
    world.inner[0].transport.loseConnection()
    await until(lambda: b"success" in client.data)
    assert parsed(client.data).code == 200


@pytest_twisted.ensureDeferred
async def test_a_refused_upgrade_is_no_way_in(world: World) -> None:
    """What follows on the connection is the site's again, not the process's."""
    client = await world.ask(f"/rtc/v1?access_token={TOKEN}", *UPGRADE)
    await until(lambda: bool(world.inner))
    world.inner[0].send(NO)
    await until(lambda: client.data.endswith(b"expired"))
    client.data = b""
    client.send(b"GET /twirp/livekit.RoomService/ListRooms HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: b"\r\n\r\n" in client.data)
    assert parsed(client.data).code == 404 and len(world.inner) == 1


@pytest_twisted.ensureDeferred
async def test_bytes_that_come_early_are_not_lost(world: World) -> None:
    client = await world.ask(f"/rtc?access_token={TOKEN}", *UPGRADE)
    client.send(b"early" * 8000)
    await until(lambda: bool(world.inner))
    world.inner[0].send(ACCEPT + b"at once")
    await until(lambda: client.data.endswith(b"at once"))
    await until(lambda: world.inner[0].data.count(b"early") == 8000)
    assert b"Server:" not in client.data and client.data.startswith(b"HTTP/1.1 101 ")


REFUSED = {
    "no token": ("/rtc/v1", (), 401),
    "an empty token": ("/rtc/v1?access_token=", (), 401),
    "a token of nobody": ("/rtc/v1?access_token=a.b.d", (), 401),
    "a token with a line feed": (f"/rtc/v1?access_token={TOKEN}%0d%0a%0d%0a", (), 401),
    "a token with a blank": (f"/rtc/v1?access_token={TOKEN}%20x", (), 401),
    "another scheme": ("/rtc", (f"Authorization: Basic {TOKEN}",), 401),
    "a header without a token": (f"/rtc?access_token={TOKEN}", ("Authorization: Bearer",), 401),
    "a path below": (f"/rtc/v2?access_token={TOKEN}", (), 404),
    "a path beside": (f"/rtc/../twirp?access_token={TOKEN}", (), 404),
    "a path in hiding": (f"/rtc/%2e%2e/twirp?access_token={TOKEN}", (), 404),
    "a path written otherwise": (f"/%72tc/v1?access_token={TOKEN}", (), 404),
    "a control character": (f"/rtc?access_token={TOKEN}&x=\x01", (), 400),
    "a line feed": (f"/rtc?access_token={TOKEN}&x=\ny", (), 400),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest_twisted.ensureDeferred
async def test_who_is_refused(world: World, name: str) -> None:
    target, headers, code = REFUSED[name]
    answer = await world.answer(target, *headers)
    assert answer.code == code and world.inner == []
    assert TOKEN.encode() not in answer.body
    if code == 401:
        assert answer.headers["access-control-allow-origin"] == "*" and answer.body


@pytest_twisted.ensureDeferred
async def test_pages_of_others(world: World) -> None:
    world.may = False
    answer = await world.answer(f"/rtc/validate?access_token={TOKEN}", "Origin: https://evil.example")
    assert answer.code == 403 and answer.headers["access-control-allow-origin"] == "*" and world.inner == []


@pytest_twisted.ensureDeferred
async def test_other_methods(world: World) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert (await world.answer(f"/rtc?access_token={TOKEN}", method=method)).code in (405, 501)
    assert world.inner == []


@pytest_twisted.ensureDeferred
async def test_while_the_process_is_down(world: World) -> None:
    world.is_up = False
    answer = await world.answer(f"/rtc/v1?access_token={TOKEN}", *UPGRADE)
    assert (answer.code, answer.headers["retry-after"]) == (503, "1")
    world.is_up = True
    port = world.process.getHost().port
    await world.process.stopListening()
    world.address = lambda room: ("127.0.0.1", port)            # its socket is gone, and nobody knows yet
    assert (await world.answer(f"/rtc/v1?access_token={TOKEN}", *UPGRADE)).code == 503
    assert world.tunnel.refused == {503: 2} and world.tunnel.connections == 0


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 banana\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"x" * 20_000,
                                    b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut",
                                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                                    b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000], ids=range(7))
@pytest_twisted.ensureDeferred
async def test_a_process_that_does_not_speak_http(world: World, answer: bytes) -> None:
    client = await world.ask(f"/rtc/v1?access_token={TOKEN}", *UPGRADE)
    await until(lambda: bool(world.inner))
    world.inner[0].send(answer)
    world.inner[0].transport.loseConnection()
    await until(lambda: b"\r\n\r\n" in client.data)
    assert parsed(client.data).code == 503


@pytest.mark.parametrize("limits", [TunnelLimits(answer_s=0.2)])
@pytest_twisted.ensureDeferred
async def test_a_process_that_does_not_answer(world: World) -> None:
    client = await world.ask(f"/rtc/v1?access_token={TOKEN}", *UPGRADE)
    await until(lambda: b"\r\n\r\n" in client.data)
    assert parsed(client.data).code == 503
    await until(lambda: world.inner[0].is_over)


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_before_the_answer(world: World) -> None:
    client = await world.ask(f"/rtc/v1?access_token={TOKEN}", *UPGRADE)
    await until(lambda: bool(world.inner))
    client.transport.abortConnection()
    await until(lambda: world.inner[0].is_over and world.tunnel.connections == 0)


@pytest_twisted.ensureDeferred
async def test_the_end_of_one_is_the_end_of_the_other(world: World) -> None:
    client, inner = await world.opened()
    inner.send(b"last words")
    inner.transport.loseConnection()
    await until(lambda: client.is_over)
    assert client.data == b"last words"
    client, inner = await world.opened()
    client.send(b"my last words")
    client.transport.loseConnection()
    await until(lambda: inner.is_over)
    assert inner.data == b"my last words"
    client, inner = await world.opened()
    inner.transport.abortConnection()
    await until(lambda: client.is_over)
    assert world.tunnel.connections == 0


@pytest.mark.parametrize("limits", [TunnelLimits(per_address=2)])
@pytest_twisted.ensureDeferred
async def test_connections_of_one_address(world: World) -> None:
    first, _ = await world.opened()
    await world.opened()
    assert (await world.answer(f"/rtc/v1?access_token={TOKEN}", *UPGRADE)).code == 429
    first.transport.loseConnection()
    await until(lambda: world.tunnel.connections == 1)
    await world.opened()


@pytest.mark.parametrize("limits", [TunnelLimits(connections=1)])
@pytest_twisted.ensureDeferred
async def test_connections_of_all(world: World) -> None:
    await world.opened()
    answer = await world.answer(f"/rtc/v1?access_token={TOKEN}", "X-Forwarded-For: 198.51.100.9", *UPGRADE)
    assert answer.code == 503


@pytest.mark.parametrize("limits", [TunnelLimits(idle_s=0.3)])
@pytest_twisted.ensureDeferred
async def test_a_client_that_says_nothing(world: World) -> None:
    client, inner = await world.opened()
    await until(lambda: client.is_over and inner.is_over)


class Flood:
    """A producer that writes as much as it may; counts."""

    def __init__(self, end: End) -> None:
        self.end = end
        self.sent = 0
        self.is_paused = False
        end.transport.registerProducer(self, True)
        self.go_on()

    def go_on(self) -> None:
        while not self.is_paused and self.sent < 1 << 30:
            self.end.send(b"x" * 65536)
            self.sent += 65536

    def pauseProducing(self) -> None:
        self.is_paused = True

    def resumeProducing(self) -> None:
        self.is_paused = False
        reactor.callLater(0, self.go_on)

    def stopProducing(self) -> None:
        self.is_paused = True


@pytest.mark.parametrize("who", ["client", "process"])
@pytest_twisted.ensureDeferred
async def test_who_does_not_read_makes_the_other_wait(world: World, who: str) -> None:
    """What is in between is bounded; and when he reads again all of it comes."""
    client, inner = await world.opened()
    deaf, loud = (client, inner) if who == "client" else (inner, client)
    deaf.transport.pauseProducing()
    flood = Flood(loud)
    sent = -1
    while sent != flood.sent:
        sent = flood.sent
        await deferLater(reactor, 0.3)
    assert flood.is_paused and sent < 32 << 20, "the kernel's buffers and ours"
    deaf.transport.resumeProducing()
    await until(lambda: len(deaf.data) > sent)


@pytest_twisted.ensureDeferred
async def test_long_request_lines(world: World) -> None:
    """As LiveKit's clients make them: here only, with a bound, in one piece or in many."""
    long = "j" * (LONG_HEAD - 100)
    for piece in (1 << 20, 1000):
        client = await world.connect()
        count = len(world.inner)
        request = f"GET /rtc/v1?join_request={long}&access_token={TOKEN} HTTP/1.1\r\n".encode()
        request += "\r\n".join(["Host: x", *UPGRADE, "", ""]).encode()
        for start in range(0, len(request), piece):
            client.send(request[start:start + piece])
            await deferLater(reactor, 0)
        await until(lambda count=count: len(world.inner) > count and world.inner[-1].data.endswith(b"\r\n\r\n"))
        assert long.encode() in world.inner[-1].data
        world.inner[-1].send(NO)
        await until(lambda client=client: client.data.endswith(b"expired"))
        client.data = b""
        # The next request of the connection has the usual bound again.
        client.send(f"GET /healthz?{long} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await until(lambda client=client: client.is_over)
        assert client.data == b""
    longer = "j" * (LONG_HEAD + 100)
    for target in (f"/rtc/v1?join_request={longer}", f"/rtcx?{long}", f"/?{long}", f"/http-bind?{long}"):
        client = await world.ask(target)
        await until(lambda client=client: client.is_over)
        assert client.data[:13] in (b"", b"HTTP/1.1 400 "), target


@pytest_twisted.ensureDeferred
async def test_a_token_in_a_long_header(world: World) -> None:
    global_token = "a" * 20_000 + ".b.c"
    world.room = lambda token: "weekly" if token == global_token else ""
    await world.ask("/rtc/v1", *UPGRADE, f"Authorization: Bearer {global_token}")
    await until(lambda: world.inner and world.inner[0].data.endswith(b"\r\n\r\n"))
    client = await world.ask("/healthz", f"Authorization: Bearer {global_token}")
    await until(lambda: client.is_over)
    assert client.data[:13] in (b"", b"HTTP/1.1 400 ")
