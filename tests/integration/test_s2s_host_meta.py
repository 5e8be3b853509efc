"""Servers found by what a domain's web site says (XEP-0487), and how little that web site can make us do."""

from __future__ import annotations

import os
import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from queue import Queue
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.internet import address, reactor
from twisted.internet.threads import deferToThread

from chatd.server.s2s import host_meta
from chatd.server.s2s.finding import Endpoint, Target
from chatd.server.s2s.host_meta import BYTES_MOST, NOTHING_KEPT_S, HostMetaFinder
from chatd.settings import S2S
from tests.integration.abroad import HERE, THERE, Authority, Country, Names, countries
from tests.integration.foreigners import dns_address
from tests.integration.test_s2s_certificates import arrived, exchange, is_refused
from tests.integration.website import PATH, WebSite, directions


class World:
    """A web site, and who asks it.  now: seconds added to the clock that answers grow old by."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder)
        self.site = WebSite(authority.issue(folder, ["peer.test", "www.peer.test"]))
        self.now = 0.0
        self.looked_up: list[str] = []
        self.settings = S2S(authorities=authority.file, private_addresses=True)
        clock: Any = reactor

        async def endpoints(target: Target) -> list[Endpoint]:
            self.looked_up.append(target.host)
            return [Endpoint("127.0.0.1", target.port, True, target.host)]

        self.finder = HostMetaFinder(SimpleNamespace(      # type: ignore[arg-type]
            clock=SimpleNamespace(seconds=lambda: clock.seconds() + self.now, callLater=clock.callLater,
                                  connectTCP=clock.connectTCP),
            settings=self.settings, finder=SimpleNamespace(endpoints=endpoints)))

    async def found(self, domain: str = "peer.test") -> list[tuple[str, int]]:
        """The servers."""
        return [(target.sni, target.port) for target in await self.finder.targets(domain)]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(tmp_path)
    monkeypatch.setattr(host_meta, "PORT", made.site.server_address[1])
    # "https://name/" leads to the port that stands for 443.
    monkeypatch.setattr("chatd.server.s2s.host_meta.PATH", f":{made.site.server_address[1]}{PATH}")
    with made.site:
        made.site.says(directions(5270, "xmpp.peer.test"))
        yield made


FOUND = [("xmpp.peer.test", 5270)]


@pytest_twisted.ensureDeferred
async def test_it_is_asked_once_and_again_when_it_is_old(world: World) -> None:
    assert await world.found() == FOUND == await world.found()
    assert world.site.asked == [PATH]
    world.site.says(directions(1, "new.peer.test"))
    world.now = 601
    assert await world.found() == [("new.peer.test", 1)]
    world.site.says(b"gone", 404)
    world.now = 1300
    assert await world.found() == [("new.peer.test", 1)], "what is too old is better than nothing"


@pytest_twisted.ensureDeferred
async def test_that_there_is_nothing_is_remembered_too(world: World) -> None:
    world.site.says(b"none", 404)
    assert await world.found() == [] == await world.found()
    assert len(world.site.asked) == 1
    world.site.says(directions(5270, "xmpp.peer.test"))
    world.now = NOTHING_KEPT_S + 1
    assert await world.found() == FOUND


@pytest_twisted.ensureDeferred
async def test_a_redirect_to_another_name_is_followed(world: World) -> None:
    port = world.site.server_address[1]
    redirect = f"https://www.peer.test:{port}/elsewhere"

    def answer(request: Any) -> None:
        if request.path == PATH:
            world.site.says(directions(5270, "xmpp.peer.test"))
            request.send_response(301)
            request.send_header("location", redirect)
            request.send_header("content-length", "0")
            request.end_headers()

    world.site.answer = answer
    assert await world.found() == FOUND
    assert world.looked_up == ["peer.test", "www.peer.test"] and world.site.asked == [PATH, "/elsewhere"]


@pytest.mark.parametrize("to", ["http://www.peer.test:{port}/x", "https://www.peer.test:{other}/x",
                                "https://peer.test:{port}/again", "https://else.test:{port}/x", "ftp://peer.test/x"])
@pytest_twisted.ensureDeferred
async def test_other_redirects_are_not(world: World, to: str) -> None:
    """In the clear, to another port, round and round, to where the certificate is for somebody else."""
    port = world.site.server_address[1]
    world.site.says(directions(5270, "x.test"), 302, location=to.format(port=port, other=port - 1))
    assert await world.found() == [] and len(world.site.asked) <= 3


@pytest.mark.parametrize("how", ["long", "endless", "long head"])
@pytest_twisted.ensureDeferred
async def test_who_says_too_much_is_cut_off(world: World, how: str) -> None:
    padding = b" " * BYTES_MOST
    if how == "long":
        world.site.says(padding + b'{"xmpp": {"ttl": 1}}')
    else:
        def answer(request: Any) -> None:
            request.send_response(200)
            if how == "endless":
                request.end_headers()
            for number in range(1_000_000):
                request.wfile.write(b"x%d: %s\r\n" % (number, padding[:8000]))

        world.site.answer = answer
    began = time.monotonic()
    assert await world.found() == []
    assert time.monotonic() - began < host_meta.FETCH_S - 1


@pytest_twisted.ensureDeferred
async def test_who_says_nothing_is_not_waited_for_long(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_meta, "FETCH_S", 0.3)
    world.site.answer = lambda request: time.sleep(20)
    assert await world.found() == [] and world.site.asked == [PATH]


@pytest.mark.parametrize("how", ["found", "not found", "redirected", "half an answer"])
@pytest_twisted.ensureDeferred
async def test_no_connection_is_left(world: World, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Also where the other side never says goodbye, by TLS or by TCP."""
    ended: Queue[bool] = Queue()
    clock: Any = world.finder._federation.clock
    real: Any = reactor
    port, timers = world.site.server_address[1], []
    answer = found = world.site.answer
    if how == "not found":
        world.site.says(b"none", 404)
        answer = world.site.answer
    elif how == "redirected":
        world.site.says(b"there", 302, location=f"https://peer.test:{port}/there")
        moved = world.site.answer

        def answer(request: Any) -> None:
            (moved if request.path == PATH else found)(request)
    elif how == "half an answer":
        world.site.says(b"{", **{"content-length": "9"})
        answer = world.site.answer

        def call_later(*call: Any) -> Any:
            timers.append(real.callLater(*call))
            return timers[-1]

        clock.callLater = call_later
        monkeypatch.setattr(host_meta._Body, "dataReceived", lambda body, data: timers[0].reset(0))

    def stay(request: Any) -> None:
        answer(request)
        with socket.socket(fileno=os.dup(request.connection.fileno())) as wire:
            wire.settimeout(30)
            try:
                while wire.recv(4096):
                    pass
                ended.put(True)
            except ConnectionError:
                ended.put(True)
            except TimeoutError:
                ended.put(False)

    world.site.answer = stay
    assert await world.found() == (FOUND if how in ("found", "redirected") else [])
    for _ in range(2 if how == "redirected" else 1):
        assert await deferToThread(ended.get, timeout=60), "it is still connected"


@pytest_twisted.ensureDeferred
async def test_nobody_is_asked_when_the_time_is_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several addresses the first keeps us waiting until then."""
    monkeypatch.setattr(host_meta, "FETCH_S", 0.2)
    federation: Any = world.finder._federation
    connect, dialled = federation.clock.connectTCP, []

    class Waiting:
        def getDestination(self) -> Any:
            return address.IPv4Address("TCP", "127.0.0.1", 443)

        def stopConnecting(self) -> None:
            """See IConnector."""

    def connect_tcp(host: str, port: int, factory: Any, **more: Any) -> Any:
        dialled.append(host)
        if len(dialled) > 1:
            return connect(host, port, factory, **more)
        factory.startedConnecting(Waiting())
        return None

    async def endpoints(target: Target) -> list[Endpoint]:
        return [Endpoint("127.0.0.1", target.port, True, target.host)] * 3

    federation.clock.connectTCP, federation.finder.endpoints = connect_tcp, endpoints
    assert await world.found() == []
    assert dialled == ["127.0.0.1"] and not world.site.asked


@pytest_twisted.ensureDeferred
async def test_private_networks_are_closed_to_it(world: World) -> None:
    world.finder._federation.settings = S2S(authorities=world.settings.authorities)
    assert await world.found() == [] and world.looked_up == ["peer.test"] and not world.site.asked


@pytest_twisted.ensureDeferred
async def test_its_certificate_has_to_be_good(world: World, tmp_path: Path) -> None:
    assert await world.found("else.test") == []
    (tmp_path / "other").mkdir()
    world.finder._federation.settings = S2S(
        authorities=Authority(tmp_path / "other").file, private_addresses=True)
    assert await world.found() == [] and not world.site.asked


@pytest_twisted.ensureDeferred
async def test_an_address_is_no_web_site(world: World) -> None:
    assert await world.found("127.0.0.1") == [] == await world.found("[::1]")
    assert not world.looked_up


@pytest.mark.skipif(os.geteuid() != 0, reason="port 443 takes root")
@pytest.mark.parametrize(("s2s", "has_records"), [
    ("", False), pytest.param("", True, marks=pytest.mark.long),
    pytest.param('host_meta = "first"', True, marks=pytest.mark.long),
    pytest.param('host_meta = "off"', False, marks=pytest.mark.long)])
def test_a_server_that_the_web_site_names(tmp_path: Path, s2s: str, has_records: bool) -> None:
    """Its certificate is for its own name alone, which the web site vouches for; without that it proves nothing."""
    authority, web = Authority(tmp_path), (dns_address()[0], 443)
    with Names() as dns:
        here = Country(tmp_path / HERE, HERE, authority, dns, s2s=f"dialback = false\n{s2s}")
        there = Country(tmp_path / THERE, THERE, authority, dns, names=[f"xmpp.{THERE}"])
        if not has_records:
            dns.srv.update({f"_xmpp{kind}-server._tcp.{THERE}": [] for kind in ("", "s")})
        dns.addresses[THERE] = web[0]
        with WebSite(authority.issue(tmp_path, [THERE]), web) as site, countries(here, there):
            site.says(directions(there.ports["s2s_tls"], f"xmpp.{THERE}"))
            out, _ = exchange(here, there)
            if "off" in s2s:
                assert is_refused(out, THERE) and not site.asked
                return
            assert arrived(out) and site.asked == [PATH]
            steps = here.ctl("check", "domain", THERE)["result"]
            assert [step["text"] for step in steps if step["step"] == "host-meta"] == [
                f"xmpp.{THERE}:{there.ports['s2s_tls']} (direct TLS)"], steps


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="port 443 takes root")
@pytest.mark.parametrize("is_pinned", [True, False])
def test_a_key_that_the_web_site_pins(tmp_path: Path, is_pinned: bool) -> None:
    """Whatever its certificate is for and whoever has signed it."""
    (tmp_path / "other").mkdir()
    authority, other, web = Authority(tmp_path), Authority(tmp_path / "other"), (dns_address()[0], 443)
    with Names() as dns:
        here = Country(tmp_path / HERE, HERE, authority, dns, s2s="dialback = false")
        there = Country(tmp_path / THERE, THERE, authority, dns, names=["nobody.example"], signed_by=other)
        dns.srv.update({f"_xmpp{kind}-server._tcp.{THERE}": [] for kind in ("", "s")})
        dns.addresses[THERE] = web[0]
        key = x509.load_pem_x509_certificate((tmp_path / THERE / "nobody.example.crt").read_bytes()).public_key()
        pin = sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
        pins = [b64encode(pin if is_pinned else bytes(32)).decode()]
        with WebSite(authority.issue(tmp_path, [THERE]), web) as site, countries(here, there):
            site.says(directions(there.ports["s2s_tls"], f"xmpp.{THERE}", **{"public-key-pins-sha-256": pins}))
            out, _ = exchange(here, there)
            assert arrived(out) if is_pinned else is_refused(out, "certificate")
