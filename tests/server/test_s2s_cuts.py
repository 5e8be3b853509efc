"""Connections with other servers that are cut again and again, theirs and ours (XEP-0198): what is sent again, what
goes back, and what counts."""

from __future__ import annotations

import re

import pytest

from chatd.server.s2s.incoming import MANAGE_S, SETTLE_S
from chatd.server.s2s.link import RETURN_S
from tests.server.paper_federation import PEER, Abroad, OurWire, PeerWire
from tests.server.test_s2s_resumption import managed, proved, resume
from tests.server.test_s2s_streams import SM, message

ENABLED = f"<enabled xmlns='{SM}' id='their-token' resume='true' max='300'/>"
ASKED = f"<r xmlns='{SM}'/>"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Abroad:
    return Abroad(monkeypatch)


def bodies(said: str) -> list[str]:
    return re.findall("<body>([^<]*)</body>", said)


def cut_four_times(site: Abroad) -> str:
    """A connection of theirs over which three were sent and none of them counted; gives its SM-ID."""
    wire, token = managed(site, both_ways=True)
    for body in ("0", "1", "2"):
        site.send(body)
    for _ in range(3):
        wire.stream.connectionLost()
        wire = proved(site, both_ways=True)
        assert bodies(wire.write(resume(token))) == ["0", "1", "2"]
    wire.stream.connectionLost()
    return token


def counted(site: Abroad) -> int:
    return site.federation.remotes[PEER].waiting


# -- theirs
def test_what_has_arrived_before_the_last_cut_does_not_go_back(site: Abroad) -> None:
    token = cut_four_times(site)
    assert not site.answers and counted(site) == 3
    assert bodies(proved(site, both_ways=True).write(resume(token, 2))) == ["2"]
    assert not site.answers and counted(site) == 0


def test_what_they_never_get_past_goes_back_and_the_rest_goes_on(site: Abroad) -> None:
    token = cut_four_times(site)
    wire = proved(site, both_ways=True)
    assert bodies(wire.write(resume(token))) == ["1", "2"]
    assert site.errors() == [("0", "remote-server-timeout")] and counted(site) == 0
    site.send("3")
    assert bodies(wire.read()) == ["3"]
    wire.write(f"<a xmlns='{SM}' h='3'/>")
    assert not wire.is_ended and not len(wire.stream.smacks), "what went back is of no count"


def test_where_nobody_says_what_has_arrived_all_goes_back(site: Abroad) -> None:
    cut_four_times(site)
    site.clock.pump([5] * int(RETURN_S / 5 + 1))
    assert [id_ for id_, _ in site.errors()] == ["0", "1", "2"] and counted(site) == 0


def test_a_server_that_may_be_resuming_is_sent_nothing_before_it_has(site: Abroad) -> None:
    wire, token = managed(site, both_ways=True)
    wire.stream.close()
    wire.stream.connectionLost()
    again = proved(site, both_ways=True)
    site.clock.advance(SETTLE_S * 3)
    site.send("waits")
    assert again.read() == ""
    assert f"<failed xmlns='{SM}' h='0'>" in again.write(resume(token))
    site.clock.advance(SETTLE_S * 3)
    assert again.read() == ""
    assert bodies(again.write(f"<enable xmlns='{SM}'/>")) == ["waits"]
    assert len(again.stream.smacks) == 1


@pytest.mark.parametrize("had_it", [False, True])
def test_who_uses_no_stream_management_is_answered_all_the_same(site: Abroad, had_it: bool) -> None:
    if had_it:
        managed(site, both_ways=True)[0].stream.close()
    wire = proved(site, both_ways=True)
    site.send("waits")
    for _ in range(int((MANAGE_S if had_it else 0) / SETTLE_S)):
        assert wire.read() == ""
        site.clock.advance(SETTLE_S)
    site.clock.advance(SETTLE_S)
    assert bodies(wire.read()) == ["waits"]


def test_who_closes_over_what_it_cannot_take_gets_the_rest(site: Abroad) -> None:
    """It says what it has, and why it closes; nothing can be resumed."""
    for body in ("poison", "later"):
        site.send(body)
    for attempt in range(4):
        wire = OurWire(site.federation)
        assert bodies(wire.believe()) == ["poison", "later"], attempt
        wire.write(f"<enabled xmlns='{SM}'/><a xmlns='{SM}' h='0'/><stream:error><policy-violation xmlns="
                   "'urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>")
        assert wire.is_ended
    assert site.errors() == [("poison", "remote-server-timeout")]
    wire = OurWire(site.federation)
    assert bodies(wire.believe()) == ["later"]


# -- ours
def up(site: Abroad) -> OurWire:
    wire = OurWire(site.federation)
    assert "<enable " in wire.believe()
    wire.write(ENABLED)
    return wire


def cut(wire: PeerWire | OurWire) -> None:
    wire.stream.connectionLost()


def test_what_they_send_before_they_know_of_stream_management_is_not_counted(site: Abroad) -> None:
    wire = OurWire(site.federation)
    wire.believe()
    wire.write(message(body="early") + ENABLED + message(body="counted"))
    assert f"<a xmlns='{SM}' h='1'/>" in wire.write(ASKED) and site.kept_bodies() == ["early", "counted"]


def test_what_they_send_before_they_know_that_we_resume_is_taken_and_not_counted(site: Abroad) -> None:
    wire = up(site)
    wire.write(message(body="counted"))
    site.send("0")
    cut(wire)
    again = OurWire(site.federation, wire.stream)
    assert again.believe() == f"<resume xmlns='{SM}' previd='their-token' h='1'/>"
    again.write(message(body="early"))
    assert not again.is_ended
    assert bodies(again.write(f"<resumed xmlns='{SM}' previd='their-token' h='0'/>")) == ["0"]
    assert f"<a xmlns='{SM}' h='1'/>" in again.write(ASKED) and site.kept_bodies() == ["counted", "early"]


@pytest.mark.parametrize(("answer", "returned", "sent"), [
    ("<resumed xmlns='{SM}' previd='their-token' h='0'/>", ["0"], ["1", "2"]),
    ("<resumed xmlns='{SM}' previd='their-token' h='1'/>", [], ["1", "2"]),
    ("<failed xmlns='{SM}' h='0'/>", ["0"], ["1", "2"]), ("<failed xmlns='{SM}' h='3'/>", [], []),
    ("<failed xmlns='{SM}'/>", ["0", "1", "2"], [])])
def test_our_connection_is_cut_again_and_again(site: Abroad, answer: str, returned: list[str], sent: list[str]) -> None:
    wire = up(site)
    for body in ("0", "1", "2"):
        site.send(body)
    for _ in range(3):
        cut(wire)
        former, wire = wire.stream, OurWire(site.federation, wire.stream)
        wire.believe()
        assert bodies(wire.write(f"<resumed xmlns='{SM}' previd='their-token' h='0'/>")) == ["0", "1", "2"]
        assert former.smacks is wire.stream.smacks
    cut(wire)
    assert not site.answers and counted(site) == 3
    wire = OurWire(site.federation, wire.stream)
    wire.believe()
    said = wire.write(answer.format(SM=SM))
    assert [id_ for id_, _ in site.errors()] == returned and bodies(said) == sent
    assert counted(site) == site.federation.waiting_bytes == 0


def test_nothing_that_nobody_asked_for_is_enabled(site: Abroad) -> None:
    assert "unsupported-stanza-type" in up(site).write(ENABLED)
