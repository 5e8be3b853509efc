"""Connections of other servers that were cut (XEP-0198 5): who may go on with them, and what they are told."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from chatd.server.s2s.link import RETURN_S
from chatd.server.s2s.stream_management import PROBE_S
from tests.server.fake_site import DOMAIN
from tests.server.paper_federation import EXTERNAL, PEER, Abroad, PeerWire, header
from tests.server.test_s2s_streams import SM, ends_with, message

ENABLE = f"<enable xmlns='{SM}' resume='true'/>"


def resume(token: str, h: int = 0) -> str:
    return f"<resume xmlns='{SM}' previd='{token}' h='{h}'/>"


def managed(site: Abroad, *, both_ways: bool = False) -> tuple[PeerWire, str]:
    """A connection that may be resumed, and its SM-ID."""
    wire = proved(site, both_ways)
    said = wire.write(ENABLE)
    assert "resume='true'" in said and "max='300'" in said
    return wire, said.partition(" id='")[2].partition("'")[0]


def proved(site: Abroad, both_ways: bool = False, name: str = PEER) -> PeerWire:
    wire = PeerWire(site.federation, names=(name,))
    wire.secure(from_=name)
    wire.write("<bidi xmlns='urn:xmpp:bidi'/>" if both_ways else " ")
    assert "<success" in wire.write(EXTERNAL)
    wire.write(header(name))
    return wire


def test_the_count_goes_on_over_the_next_connection() -> None:
    site = Abroad()
    wire, token = managed(site)
    wire.write(message(body="0") + message(body="1"))
    wire.stream.connectionLost()
    again = proved(site)
    assert f"<resumed xmlns='{SM}' h='2' previd='{token}'/>" in again.write(resume(token))
    again.write(message(body="2"))
    assert f"<a xmlns='{SM}' h='3'/>" in again.write(f"<r xmlns='{SM}'/>")
    assert site.kept_bodies() == ["0", "1", "2"]


def test_it_is_told_what_had_been_taken_when_that_is_worked_off_and_written() -> None:
    site = Abroad()
    wire, token = managed(site)
    site.store.is_look_up_slow = True
    wire.write(message(body="0") + message(body="1"))
    wire.stream.connectionLost()
    again = proved(site)
    assert again.write(resume(token)) == ""
    site.store.is_disk_slow = True
    while site.store.looking:
        site.store.found()
    assert again.read() == ""
    site.store.written()
    assert "<resumed" in again.read() and site.kept_bodies() == ["0", "1"]


def test_what_was_not_acknowledged_is_sent_again_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch)
    wire, token = managed(site, both_ways=True)
    for body in ("first", "second"):
        site.send(body)
    assert "second" in wire.read()
    wire.stream.connectionLost()
    site.send("third")
    assert not site.attempts, "who opened it comes back"
    said = proved(site, both_ways=True).write(resume(token, 1))
    assert "first" not in said and said.index("<resumed") < said.index("second") < said.index("third")
    assert site.federation.remotes[PEER].waiting_bytes == site.federation.waiting_bytes == 0


def test_a_connection_that_seems_up_is_cut_by_who_resumes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch)
    wire, token = managed(site, both_ways=True)
    site.send("0")
    said = proved(site, both_ways=True).write(resume(token))
    assert wire.transport.is_aborted and said.index("<resumed") < said.index("<body>0")


def test_of_two_that_resume_it_the_later_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch)
    wire, token = managed(site, both_ways=True)
    site.send("0")
    wire.write(message())
    wire.stream.connectionLost()
    site.store.is_disk_slow = True
    first, second = proved(site, both_ways=True), proved(site, both_ways=True)
    assert first.write(resume(token)) == second.write(resume(token)) == ""
    site.store.written()
    site.send("1")
    said = second.read()
    assert first.transport.is_aborted and "h='1'" in said
    assert said.index("<resumed") < said.index("<body>0") < said.index("<body>1") and said.count("<body>") == 2
    assert site.kept_bodies() == ["hi"]


def test_a_mistake_of_ours_behind_the_cut_does_not_keep_it_from_going_on(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad()
    wire, token = managed(site)
    first: Deferred[None] = Deferred()
    results = iter([first])
    monkeypatch.setattr(site.router, "route", lambda stanza, from_, to: next(results))
    wire.write(message() * 3)
    wire.stream.connectionLost()
    again = proved(site)
    assert again.write(resume(token)) == ""
    first.callback(None)
    assert f"<resumed xmlns='{SM}' h='3'" in again.read()


def test_who_does_not_come_back_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch)
    wire, token = managed(site, both_ways=True)
    site.send("0")
    wire.write(message())
    wire.stream.connectionLost()
    site.clock.pump([5] * int(RETURN_S / 5 + 1))
    assert [attempt.remote for attempt in site.attempts] == [PEER]
    assert not len(wire.stream.smacks), "kept once, with the link"
    # Too late for what was sent, but not for the count: nothing they sent has to come twice.
    said = proved(site, both_ways=True).write(resume(token))
    assert f"<failed xmlns='{SM}' h='1'><item-not-found " in said


def test_who_begins_anew_gets_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch)
    wire, _ = managed(site, both_ways=True)
    site.send("0")
    wire.stream.connectionLost()
    assert "<body>0" in proved(site, both_ways=True).write(ENABLE) and not site.attempts


def test_who_begins_anew_is_written_to_there_when_the_former_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch)
    former, _ = managed(site, both_ways=True)
    site.send("0")
    anew, _ = managed(site, both_ways=True)
    assert f"<r xmlns='{SM}'/>" in former.read()
    site.send("1")
    assert "<body>1" in former.read() and anew.read() == ""
    site.clock.advance(PROBE_S)
    said = anew.read()
    assert former.transport.is_aborted and said.index("<body>0") < said.index("<body>1") and not site.attempts


def test_who_has_two_connections_keeps_both(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch)
    first, _ = managed(site, both_ways=True)
    managed(site, both_ways=True)
    site.clock.advance(PROBE_S / 2)
    first.write(f"<a xmlns='{SM}' h='0'/>")
    site.clock.advance(PROBE_S)
    site.send("0")
    assert not first.is_ended and "<body>0" in first.read()


def test_who_begins_anew_and_ends_at_once_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch)
    managed(site, both_ways=True)
    site.send("0")
    anew, _ = managed(site, both_ways=True)
    anew.stream.connectionLost()
    site.clock.advance(PROBE_S)
    assert [attempt.remote for attempt in site.attempts] == [PEER]


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_header_alone_ends_nothing_and_is_sent_nothing(monkeypatch: pytest.MonkeyPatch, is_cut: bool) -> None:
    site = Abroad(monkeypatch)
    wire, token = managed(site, both_ways=True)
    site.send("secret")
    if is_cut:
        wire.stream.connectionLost()
    evil = PeerWire(site.federation, names=("evil.test",))
    evil.secure(from_=PEER)
    evil.write("<bidi xmlns='urn:xmpp:bidi'/>")
    assert "valid" in evil.write(f"<db:result from='evil.test' to='{DOMAIN}'>abc</db:result>")
    assert "<enabled" in evil.write(ENABLE)
    site.clock.advance(PROBE_S)
    assert not wire.transport.is_aborted and not site.attempts and evil.read() == ""
    assert "secret" in proved(site, both_ways=True).write(resume(token))


@pytest.mark.parametrize("both_ways", [False, True])
def test_another_server_cannot_resume_it(both_ways: bool) -> None:
    site = Abroad()
    wire, token = managed(site, both_ways=both_ways)
    wire.write(message())
    wire.stream.connectionLost()
    said = proved(site, both_ways, name="evil.test").write(resume(token))
    assert "<item-not-found" in said and " h=" not in said
    assert "<resumed" in proved(site, both_ways).write(resume(token))


def test_all_pairs_are_proved_again_first(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch)
    wire, token = managed(site)
    wire.stream.authenticated("second.test", DOMAIN)
    wire.stream.connectionLost()
    again = proved(site)
    assert "<item-not-found" in again.write(resume(token))
    again.stream.authenticated("second.test", DOMAIN)
    assert "<resumed" in again.write(resume(token))


@pytest.mark.parametrize(("said", "condition"), [
    (resume("x").replace("h='0'", ""), "policy-violation"), (resume("x", -1), "policy-violation"),
    (ENABLE + ENABLE, "unsupported-stanza-type"), (ENABLE + resume("x"), "unsupported-stanza-type")])
def test_broken_rules_end_the_stream(said: str, condition: str) -> None:
    assert ends_with(proved(Abroad()).write(said), condition)


def test_it_begins_with_proof() -> None:
    wire = PeerWire(Abroad().federation)
    wire.secure()
    assert ends_with(wire.write(resume("x")), "unsupported-stanza-type")


def test_nothing_is_said_before_it_is_known_how_much_has_arrived() -> None:
    site = Abroad()
    wire, token = managed(site)
    wire.write(message())
    wire.stream.connectionLost()
    again = proved(site)
    site.store.is_disk_slow = True
    assert ends_with(again.write(resume(token) + message()), "policy-violation")
    site.store.written()
    assert "<resumed" in proved(site).write(resume(token))


def test_a_count_that_cannot_be_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch)
    wire, token = managed(site, both_ways=True)
    wire.stream.connectionLost()
    assert ends_with(proved(site, both_ways=True).write(resume(token, 5)), "undefined-condition")


def test_it_is_as_the_settings_say() -> None:
    assert proved(Abroad(limits={"resume_s": 0})).write(ENABLE) == f"<enabled xmlns='{SM}'/>"
    assert "max='7'" in proved(Abroad(limits={"resume_s": 7})).write(ENABLE)
    assert "max='5'" in proved(Abroad()).write(ENABLE.replace("/>", " max='5'/>"))


@pytest.mark.parametrize("end", ["</stream:stream>", "<thing xmlns='urn:x'/>"])
def test_an_end_in_order_leaves_the_count(end: str) -> None:
    site = Abroad()
    wire, token = managed(site)
    said = wire.write(message() + end)
    assert "</stream:stream>" in said and wire.is_ended
    wire.stream.connectionLost()
    assert f"<failed xmlns='{SM}' h='1'>" in proved(site).write(resume(token))


def test_the_count_that_is_left_is_of_all_that_had_been_taken() -> None:
    site = Abroad()
    wire, token = managed(site)
    site.store.is_look_up_slow = True
    wire.write(message(body="0") + message(body="1") + "</stream:stream>")
    wire.stream.connectionLost()
    while site.store.looking:
        site.store.found()
    assert f"<failed xmlns='{SM}' h='2'>" in proved(site).write(resume(token)) and site.kept_bodies() == ["0", "1"]


def test_our_end_in_order_comes_with_the_count() -> None:
    site = Abroad()
    wire, _ = managed(site)
    wire.write(message())
    wire.stream.close()
    assert wire.read() == f"<a xmlns='{SM}' h='1'/></stream:stream>"


def test_after_its_time_the_count_is_left() -> None:
    site = Abroad()
    wire, token = managed(site)
    wire.write(message())
    wire.stream.connectionLost()
    site.clock.advance(301)
    site.federation.sweep()
    assert not len(site.federation.resumable)
    assert f"<failed xmlns='{SM}' h='1'>" in proved(site).write(resume(token))


def test_what_waits_to_be_resumed_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatd.server.s2s.resumption.CUT_MOST", 3)
    site = Abroad()
    tokens = []
    for _ in range(5):
        wire, token = managed(site)
        wire.stream.connectionLost()
        tokens.append(token)
    assert site.federation.resumable.waiting == 3
    assert ["<resumed" in proved(site).write(resume(token)) for token in tokens] == [False] * 2 + [True] * 3
