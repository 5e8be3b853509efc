"""What DNS may say of another domain: anything at all, and what becomes of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.error import ConnectionRefusedError, NoRouteError
from twisted.internet.task import Clock
from twisted.names import dns
from twisted.names.cache import CacheResolver
from twisted.python.failure import Failure

from chatd.server.s2s.attempt import ATTEMPT_S, STAGGER_S, NoWay
from chatd.server.s2s.finding import Endpoint, Finder, NotFound, is_public, system_resolver
from tests.server.fake_site import PaperTransport
from tests.server.paper_federation import Abroad


class Zone:
    """A resolver; srv: (port, target) of each record at the name _xmpp-server."""

    def __init__(self, *srv: tuple[int, bytes]) -> None:
        self.srv = srv
        self.asked: list[str] = []

    def lookupAddress(self, name: str, timeout: Any) -> Deferred[Any]:
        """See IResolver."""
        return succeed(([], [], []))

    lookupIPV6Address = lookupAddress

    def lookupService(self, name: str, timeout: Any) -> Deferred[Any]:
        """See IResolver."""
        self.asked.append(name)
        records = []
        for port, target in self.srv if name.startswith("_xmpp-") else ():
            record = dns.Record_SRV(0, 0, port, b"x")
            record.target = dns.Name()
            record.target.name = target
            records.append(dns.RRHeader(name, dns.SRV, payload=record))
        return succeed((records, [], []))


def targets(zone: Zone, domain: str = "peer.test") -> list[tuple[str, int]]:
    found: list[Any] = []
    ensureDeferred(Finder(zone).targets(domain)).addBoth(found.append)
    if not isinstance(found[0], list):
        found[0].raiseException()
    return [(target.host, target.port) for target in found[0]]


def test_a_target_that_is_no_host_name_is_left_out() -> None:
    assert targets(Zone((1, b"a\x01b.test"), (2, b"\xff.test"), (3, b"a b"), (4, b"xmpp_1.PEER-x.test."))) == [
        ("xmpp_1.peer-x.test", 4)]


@pytest.mark.parametrize("target", [b"a\x01b.test", b"\xc3\xa9.test", b""])
def test_no_usable_target_is_no_server(target: bytes) -> None:
    with pytest.raises(NotFound):
        targets(Zone((5269, target)))


def test_dns_is_asked_for_the_domain_of_the_address() -> None:
    zone = Zone()
    targets(zone, "fa\u00df.test")
    assert sorted(zone.asked) == ["_xmpp-server._tcp.xn--fa-hia.test", "_xmpps-server._tcp.xn--fa-hia.test"]


def test_what_people_are_told_is_always_xml() -> None:
    assert str(NoWay("remote-server-timeout", "it is for a\x01\x1b[2J\ufffe\u202eb, not for you")) == (
        "it is for a[2Jb, not for you")


@pytest.mark.parametrize(("address", "public"), [
    ("8.8.8.8", True), ("2a01:4f8::1", True), ("::ffff:8.8.8.8", True), ("64:ff9b::808:808", True),
    ("127.0.0.1", False), ("10.1.2.3", False), ("169.254.169.254", False), ("0.0.0.0", False), ("224.0.0.1", False),
    ("255.255.255.255", False), ("100.64.0.1", False), ("::1", False), ("::", False), ("fe80::1", False),
    ("fd00::1", False), ("ff02::1", False), ("::ffff:127.0.0.1", False), ("64:ff9b::7f00:1", False),
    ("2002:7f00:1::", False)])
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def attempted(monkeypatch: pytest.MonkeyPatch, domain: str, **s2s: Any) -> tuple[list[str], list[str]]:
    """Where it is connected to, and what people are told."""
    site = Abroad(**s2s)
    site.federation.finder = Finder(Zone())
    connected: list[str] = []

    def connect(clock: Any, address: str, port: int, factory: Any, *_: Any) -> None:
        connected.append(f"{address}:{port}")
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError("refused")))

    monkeypatch.setattr("chatd.server.s2s.attempt.connect", connect)
    site.send("0", to=f"x@{domain}")
    return connected, [answer.inner.decode() for answer in site.answers]


@pytest.mark.parametrize("domain", ["127.0.0.1", "[::1]", "10.0.0.7"])
def test_nobody_outside_makes_us_connect_to_our_own_network(monkeypatch: pytest.MonkeyPatch, domain: str) -> None:
    connected, [told] = attempted(monkeypatch, domain)
    assert not connected and "no connection to its server can be made" in told
    connected, [told_of_closed] = attempted(monkeypatch, domain, private_addresses=True)
    assert connected == [f"{domain.strip('[]')}:5269"]
    assert "no connection to its server can be made" in told_of_closed and "refused" not in told_of_closed
    assert attempted(monkeypatch, domain, exceptions={domain: {"address": "10.0.0.7:1"}})[0] == ["10.0.0.7:1"]


def test_a_public_address_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    assert attempted(monkeypatch, "8.8.8.8")[0] == ["8.8.8.8:5269"]


def test_answers_of_dns_are_not_kept_without_bound() -> None:
    assert not [one for one in system_resolver(Clock()).resolvers if isinstance(one, CacheResolver)]


def test_an_attempt_that_hangs_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(private_addresses=True)
    silent = Zone()
    silent.lookupService = lambda name, timeout: Deferred()     # type: ignore[method-assign]
    site.federation.finder = Finder(silent)
    site.send("0", to="x@peer.test")
    site.clock.advance(ATTEMPT_S)
    assert site.errors() == [("0", "remote-server-timeout")] and site.federation.attempting == 0


def test_a_mistake_while_connecting_ends_the_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the clock or another connection has called."""
    site = Abroad(exceptions={"peer.test": {"address": "10.0.0.7:5269"}})
    site.federation.finder = Finder(Zone())
    factories: list[Any] = []
    monkeypatch.setattr("chatd.server.s2s.attempt.connect", lambda *arguments: factories.append(arguments[3]))
    site.send("0", to="x@peer.test")
    [factory] = factories
    factory.attempt._endpoints.append(Endpoint("10.0.0.8", 5269, True, "x"))     # direct TLS needs certificates
    factory.clientConnectionFailed(None, Failure(ConnectionRefusedError("refused")))
    assert site.errors() == [("0", "internal-server-error")] and site.federation.attempting == 0


class Both(Zone):
    """A domain whose server has an address of each family, and another server behind it."""

    def __init__(self) -> None:
        super().__init__((5269, b"one.test"), (5270, b"two.test"))

    def lookupAddress(self, name: str, timeout: Any) -> Deferred[Any]:
        """See IResolver."""
        address = "192.0.2.1" if name.startswith("one") else "192.0.2.2"
        return succeed(([dns.RRHeader(name, dns.A, payload=dns.Record_A(address))], [], []))

    def lookupIPV6Address(self, name: str, timeout: Any) -> Deferred[Any]:
        """See IResolver."""
        return succeed(([dns.RRHeader(name, dns.AAAA, payload=dns.Record_AAAA("2001:db8::1"))], [], []))


class Connects:
    """Stands for `connect`: `tried` are the addresses in order, `factories` theirs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tried: list[str] = []
        self.factories: list[Any] = []
        monkeypatch.setattr("chatd.server.s2s.attempt.connect", self)
        monkeypatch.setattr("chatd.server.s2s.finding._random.randrange", lambda number: 0)

    def __call__(self, clock: Any, address: str, port: int, factory: Any, *_: Any) -> Any:
        self.tried.append(address)
        self.factories.append(factory)
        return SimpleNamespace(state="connecting", stopConnecting=lambda: self.tried.append(f"not {address}"))


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> tuple[Abroad, Connects]:
    connects = Connects(monkeypatch)
    site = Abroad(private_addresses=True)
    site.federation.finder = Finder(Both())
    site.send("0", to="x@peer.test")
    return site, connects


def test_ipv6_comes_first_and_ipv4_a_moment_later(both: tuple[Abroad, Connects]) -> None:
    """Who has IPv6 that leads nowhere notices next to nothing of it."""
    site, connects = both
    assert connects.tried == ["2001:db8::1"]
    site.clock.advance(STAGGER_S)
    assert connects.tried == ["2001:db8::1", "192.0.2.1"]
    transport = PaperTransport("192.0.2.1")
    stream = connects.factories[1].buildProtocol(None)
    stream.makeConnection(transport)
    assert connects.tried[2:] == ["not 2001:db8::1"] and b"to='peer.test'" in transport.value()
    # The other one comes all the same: it is dropped, and the attempt goes on.
    late = PaperTransport("2001:db8::1")
    connects.factories[0].buildProtocol(None).makeConnection(late)
    assert late.is_aborted and not transport.disconnecting and not site.answers


def test_what_is_refused_is_not_waited_for(both: tuple[Abroad, Connects]) -> None:
    site, connects = both
    connects.factories[0].clientConnectionFailed(None, Failure(NoRouteError()))
    assert connects.tried == ["2001:db8::1", "192.0.2.1"]
    connects.factories[1].clientConnectionFailed(None, Failure(ConnectionRefusedError()))
    assert connects.tried[2:] == ["2001:db8::1"], "the next server"
    site.clock.advance(STAGGER_S)
    for factory in connects.factories[2:]:
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
    assert connects.tried[3:] == ["192.0.2.2"] and site.errors() == [("0", "remote-server-timeout")]
