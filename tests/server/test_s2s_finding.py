"""What DNS may say of another domain: anything at all, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.names import dns

from chatd.server.s2s.attempt import NoWay
from chatd.server.s2s.finding import Finder, NotFound


class Zone:
    """A resolver; srv: (port, target) of each record at the name _xmpp-server."""

    def __init__(self, *srv: tuple[int, bytes]) -> None:
        self.srv = srv
        self.asked: list[str] = []

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
