"""Connections of other servers, byte by byte: who is believed, for which pairs, and what ends a stream."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import capturedLogs

from chatd.core.errors import StreamError
from chatd.core.federation import PeerTerms
from chatd.server.s2s.attempt import NoWay
from chatd.server.s2s.federation import ATTEMPTS_MOST
from chatd.server.s2s.finding import Endpoint
from chatd.server.s2s.incoming import PAIRS_MOST
from chatd.server.s2s.outgoing import Outgoing, dialback_key
from chatd.server.s2s.questions import ANSWER_S
from chatd.server.s2s.stream import GOODBYE_S
from chatd.server.s2s.stream_management import ACK_S
from chatd.settings import S2S
from tests.server.fake_site import DOMAIN, OTHER, PaperTransport
from tests.server.paper_federation import EXTERNAL, PEER, Abroad, PaperStream, PeerWire, header

STEPS = pytest.mark.parametrize("step", [1, 1 << 20])
KEY = f"<db:result from='{PEER}' to='{DOMAIN}'>abc</db:result>"
SM = "urn:xmpp:sm:3"


def message(from_: str = f"juliet@{PEER}/x", to: str = f"alice@{DOMAIN}", body: str = "hi") -> str:
    return f"<message from='{from_}' to='{to}' type='chat'><body>{body}</body></message>"


def ends_with(said: str, condition: str) -> bool:
    return f"<stream:error><{condition} " in said and said.endswith("</stream:stream>")


@STEPS
def test_a_certificate_that_proves_the_domain_is_enough(step: int) -> None:
    site = Abroad()
    alice = site.tcp().log_in()
    alice.write("<presence/>")
    wire = PeerWire(site.federation, step=step)
    assert "<required/>" in wire.write(header())
    wire.write("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    wire.stream.handshakeCompleted()
    assert "<mechanism>EXTERNAL</mechanism>" in wire.write(header())
    assert "<success" in wire.write(EXTERNAL)
    assert f"<sm xmlns='{SM}'/>" in wire.write(header())
    assert wire.write(message()) == ""
    said = alice.read()
    assert "<body>hi</body>" in said and "jabber:server" not in said


@pytest.mark.parametrize(("from_", "to", "condition"), [
    (f"romeo@{OTHER}", f"alice@{DOMAIN}", "invalid-from"),
    ("somebody@else.test", f"alice@{DOMAIN}", "invalid-from"),
    (f"juliet@sub.{PEER}", f"alice@{DOMAIN}", "invalid-from"),
    (f"alice@{DOMAIN}", f"alice@{DOMAIN}", "invalid-from"),
    (f"juliet@{PEER}", f"alice@{OTHER}", "invalid-from"),
    (f"juliet@{PEER}", "somebody@elsewhere.test", "host-unknown"),
    (f"juliet@{PEER}", f"somebody@guest.{DOMAIN}", "host-unknown")])
def test_what_is_of_no_proved_pair_ends_the_stream(from_: str, to: str, condition: str) -> None:
    site = Abroad()
    alice = site.tcp().log_in()
    alice.write("<presence/>")
    wire = PeerWire(site.federation)
    wire.authenticate()
    assert ends_with(wire.write(message(from_, to)), condition)
    assert wire.is_ended and "hi" not in alice.read()


@pytest.mark.parametrize(("xml", "condition"), [
    (f"<message to='alice@{DOMAIN}'/>", "improper-addressing"), (f"<message from='{PEER}'/>", "improper-addressing"),
    ("<message from='@' to='x'/>", "improper-addressing"),
    (f"<message xmlns='jabber:client' from='{PEER}' to='{DOMAIN}'/>", "invalid-namespace"),
    ("<thing xmlns='urn:x'/>", "unsupported-stanza-type"), (f"<a xmlns='{SM}' h='1'/>", "unsupported-stanza-type"),
    ("<!-- x -->", "restricted-xml"), ("<a><b></a>", "not-well-formed"), (header(), "not-well-formed")])
def test_broken_rules_end_the_stream(xml: str, condition: str) -> None:
    wire = PeerWire(Abroad().federation)
    wire.authenticate()
    said = wire.write(xml)
    assert "<stream:error>" in said and said.endswith("</stream:stream>")
    assert condition in said or xml == header()


def test_nothing_before_authentication() -> None:
    for secured in (False, True):
        wire = PeerWire(Abroad().federation)
        wire.secure() if secured else wire.write(header())
        assert ends_with(wire.write(message()), "not-authorized")


def test_an_address_that_is_none_is_told_to_who_wrote_it() -> None:
    site = Abroad()
    wire = PeerWire(site.federation)
    wire.authenticate()
    assert wire.write(message(to="@")) == "" and not wire.is_ended


@pytest.mark.parametrize("from_", [DOMAIN, OTHER])
def test_nobody_else_is_one_of_ours(from_: str) -> None:
    wire = PeerWire(Abroad().federation, names=(from_,))
    assert ends_with(wire.write(header(from_)), "invalid-from")


def test_a_blocked_domain_is_told_so() -> None:
    wire = PeerWire(Abroad(block=(PEER,)).federation)
    assert ends_with(wire.write(header()), "policy-violation")


def test_a_domain_that_is_not_here() -> None:
    for to in ("nowhere.test", f"guest.{DOMAIN}"):
        assert ends_with(PeerWire(Abroad().federation).write(header(to=to)), "host-unknown")


@pytest.mark.parametrize("said", ["=", "cGVlci50ZXN0", "ZWxzZS50ZXN0", "!!", "/w=="])
def test_whom_a_certificate_may_speak_for(said: str) -> None:
    wire = PeerWire(Abroad().federation)
    wire.secure()
    answer = wire.write(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>{said}</auth>")
    assert ("<success" in answer) is (said in ("=", "cGVlci50ZXN0"))


def test_without_a_good_certificate_external_is_neither_offered_nor_taken() -> None:
    wire = PeerWire(Abroad().federation, names=None)
    offered = wire.secure()
    assert "EXTERNAL" not in offered and "urn:xmpp:features:dialback" in offered
    assert "<not-authorized" in wire.write(EXTERNAL) and not wire.stream.pairs


def test_where_dialback_is_off_a_certificate_is_needed() -> None:
    wire = PeerWire(Abroad(dialback=False).federation, names=None)
    assert ends_with(wire.secure(), "not-authorized")
    wire = PeerWire(Abroad(dialback=False, exceptions={PEER: {"dialback": True}}).federation, names=None)
    assert "dialback" in wire.secure()


def test_no_tls_only_for_exceptions() -> None:
    wire = PeerWire(Abroad().federation)
    assert "<required/>" in wire.write(header())
    assert ends_with(wire.write(KEY), "policy-violation")
    wire = PeerWire(Abroad(exceptions={PEER: {"encryption": False}}).federation)
    assert "<required/>" not in wire.write(header())
    assert "stream:error" not in wire.write(KEY)


@pytest.mark.parametrize(("kind", "taken"), [("valid", True), ("invalid", False), ("error", False)])
def test_dialback_asks_who_dns_names(monkeypatch: pytest.MonkeyPatch, kind: str, taken: bool) -> None:
    site = Abroad(monkeypatch)
    wire = PeerWire(site.federation, names=None)
    wire.secure()
    assert wire.write(KEY) == ""
    [attempt] = site.attempts
    assert (attempt.local, attempt.remote, attempt.asks_only) == (DOMAIN, PEER, True)
    asked: list[tuple[str, ...]] = []

    class Asked:
        """The connection to whom DNS names."""

        def ask_verify(self, *arguments: str) -> object:
            from twisted.internet.defer import succeed

            asked.append(arguments)
            return succeed(kind)

        def close(self) -> None:
            pass

        abort = close

    attempt.done.callback(Asked())
    said = wire.read()
    assert asked == [(DOMAIN, PEER, wire.stream.id, "abc")]
    assert ("type='valid'" in said) is taken and ((PEER, DOMAIN) in wire.stream.pairs) is taken
    site.clock.advance(GOODBYE_S)
    assert wire.is_ended is (kind == "invalid")
    if kind == "error":
        assert "remote-server-not-found" in said


def test_our_keys_are_known_again_and_others_are_not() -> None:
    site = Abroad()
    wire = PeerWire(site.federation, names=None)
    wire.secure()
    key = dialback_key(site.federation.secret, PEER, DOMAIN, "their-stream")
    for said, kind in ((key, "valid"), ("x" * 64, "invalid"), (key[:-1], "invalid")):
        answer = wire.write(f"<db:verify from='{PEER}' to='{DOMAIN}' id='their-stream'>{said}</db:verify>")
        assert f"type='{kind}'" in answer
    assert "item-not-found" in wire.write(f"<db:verify from='{PEER}' to='nowhere.test' id='x'>k</db:verify>")


def test_an_answer_nobody_asked_for_proves_nothing() -> None:
    wire = PeerWire(Abroad().federation, names=None)
    wire.secure()
    for name in ("result", "verify"):
        wire.write(f"<db:{name} from='{PEER}' to='{DOMAIN}' id='x' type='valid'/>")
    assert not wire.stream.pairs and ends_with(wire.write(message()), "not-authorized")


def test_acknowledgements_wait_for_the_disk() -> None:
    site = Abroad()
    wire = PeerWire(site.federation)
    wire.authenticate()
    assert "<enabled" in wire.write(f"<enable xmlns='{SM}'/>")
    site.store.is_disk_slow = True
    assert wire.write(message() + f"<r xmlns='{SM}'/>") == ""
    site.store.written()
    assert f"<a xmlns='{SM}' h='1'/>" in wire.read()


def test_order_is_kept_while_an_account_is_read() -> None:
    site = Abroad()
    wire = PeerWire(site.federation)
    wire.authenticate()
    wire.write(f"<enable xmlns='{SM}'/>")
    site.store.is_look_up_slow = True
    wire.write("".join(message(body=str(number)) for number in range(5)) + f"<r xmlns='{SM}'/>")
    assert site.kept_bodies() == []
    while site.store.looking:
        site.store.found()
    assert site.kept_bodies() == ["0", "1", "2", "3", "4"]
    assert f"<a xmlns='{SM}' h='5'/>" in wire.read()


def test_what_came_before_stream_management_is_not_counted_when_it_took_its_time() -> None:
    site = Abroad()
    wire = PeerWire(site.federation)
    wire.authenticate()
    site.store.is_look_up_slow = True
    wire.write(message(body="0") + message(body="1") + f"<enable xmlns='{SM}'/>" + message(body="2"))
    while site.store.looking:
        site.store.found()
    assert f"<a xmlns='{SM}' h='1'/>" in wire.write(f"<r xmlns='{SM}'/>")
    assert site.kept_bodies() == ["0", "1", "2"]


@pytest.mark.parametrize(("error", "condition"), [
    (StreamError("policy-violation", "This is too much."), "policy-violation"), (ValueError("a mistake of ours"), "")])
def test_what_has_failed_at_once_is_heard_of(error: Exception, condition: str) -> None:
    site = Abroad()
    wire = PeerWire(site.federation)
    wire.authenticate()
    site.router.route = lambda stanza, from_, to: fail(error)       # type: ignore[method-assign]
    with capturedLogs() as logs:
        said = wire.write(message())
    assert ends_with(said, condition) if condition else not wire.is_ended
    heard = [event["log_failure"].value for event in logs if event["log_namespace"] == "chatd.server.s2s.order"]
    assert heard == ([] if condition else [error])


def test_answers_go_over_their_connection_where_they_ask_for_it() -> None:
    site = Abroad()
    wire = PeerWire(site.federation)
    offered = wire.secure()
    assert "urn:xmpp:features:bidi" in offered
    wire.write("<bidi xmlns='urn:xmpp:bidi'/>")
    assert "<success" in wire.write(EXTERNAL)
    wire.write(header())
    assert "<enabled" in wire.write(f"<enable xmlns='{SM}'/>")
    site.send("over theirs")
    assert "over theirs" in wire.read()


def test_who_comes_back_is_sent_what_waits_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch)
    site.send("0")
    stream = PaperStream()
    site.attempts[0].done.callback(stream)
    stream.link.lost(stream, [])
    site.send("1")
    site.attempts[-1].done.errback(NoWay("remote-server-timeout", "refused"))
    assert len(site.attempts) == 2, "a pause"
    PeerWire(site.federation).authenticate()
    assert len(site.attempts) == 3


def test_a_half_open_connection_is_noticed_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch)
    wire = PeerWire(site.federation)
    wire.secure()
    wire.write("<bidi xmlns='urn:xmpp:bidi'/>" + EXTERNAL)
    wire.write(header() + f"<enable xmlns='{SM}'/>")
    site.send("into the void")
    wire.read()
    site.clock.pump([5] * int(ACK_S / 5 + 3))
    assert wire.transport.is_aborted
    assert [attempt.remote for attempt in site.attempts] == [PEER]


def test_who_takes_too_long_is_sent_away() -> None:
    site = Abroad(limits={"auth_s": 5})
    wire = PeerWire(site.federation)
    wire.write(header())
    site.clock.advance(6)
    assert ends_with(wire.read(), "connection-timeout")


def test_too_many_connections_of_one_address() -> None:
    site = Abroad(limits={"connections_per_address": 2})
    wires = [PeerWire(site.federation) for _ in range(3)]
    assert [wire.is_ended for wire in wires] == [False, False, True]


def test_sizes_before_and_after_authentication() -> None:
    wire = PeerWire(Abroad().federation)
    assert ends_with(wire.write(header() + "<x>" + "x" * 11_000), "policy-violation")
    wire = PeerWire(Abroad().federation)
    wire.authenticate()
    assert wire.write(message(body="x" * 500_000)) == ""
    assert ends_with(wire.write(message(body="x" * 530_000)), "policy-violation")


def test_what_comes_behind_starttls_in_the_clear_counts_for_nothing() -> None:
    wire = PeerWire(Abroad().federation)
    wire.write(header())
    wire.write("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" + header() + EXTERNAL)
    wire.stream.handshakeCompleted()
    assert not wire.stream.pairs
    assert "EXTERNAL" in wire.write(header())


def test_who_has_proved_nothing_is_asked_back_for_few_domains_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch)
    wire = PeerWire(site.federation, names=None)
    wire.secure()
    said = [wire.write(KEY.replace(PEER, f"x{number}.evil.test")) for number in range(3)]
    assert said[:2] == ["", ""] and ends_with(said[2], "policy-violation")
    assert len(site.attempts) == 2


def test_strangers_who_are_asked_back_leave_attempts_to_our_people(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch)
    site.federation.attempting = ATTEMPTS_MOST // 2
    wire = PeerWire(site.federation, names=None)
    wire.secure()
    assert "type='error'" in wire.write(KEY) and not site.attempts
    site.send("ours")
    assert len(site.attempts) == 1


def test_the_same_key_twice_at_a_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch)
    wire = PeerWire(site.federation, names=None)
    wire.secure()
    assert wire.write(KEY) == "" and ends_with(wire.write(KEY), "policy-violation")
    assert len(site.attempts) == 1


def test_who_does_not_answer_on_the_connection_there_is_is_asked_on_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch)
    attempt = SimpleNamespace(local=DOMAIN, remote=PEER, former=None)
    outgoing = Outgoing(site.federation, attempt, Endpoint("192.0.2.9", 5269, False, PEER),    # type: ignore[arg-type]
                        PeerTerms(), False)
    outgoing.attempt = None
    outgoing.transport = PaperTransport("192.0.2.9")
    site.federation.link(DOMAIN, PEER).stream = outgoing
    wire = PeerWire(site.federation, names=None)
    wire.secure()
    wire.write(KEY)
    assert b"db:verify" in outgoing.transport.value() and not site.attempts
    site.clock.advance(ANSWER_S)
    assert [attempt.asks_only for attempt in site.attempts] == [True] and not wire.is_ended


def test_pairs_of_a_connection_are_bounded() -> None:
    names = tuple(f"x{number}.{PEER}" for number in range(PAIRS_MOST))
    wire = PeerWire(Abroad().federation, names=(PEER, *names))
    wire.authenticate()
    said = [wire.write(KEY.replace(PEER, name)) for name in names]
    assert all("type='valid'" in one for one in said[:-1]) and "resource-constraint" in said[-1]
    assert len(wire.stream.pairs) == PAIRS_MOST


def test_a_mistake_of_ours_behind_a_stanza_that_waited_ends_the_stream() -> None:
    site = Abroad()
    wire = PeerWire(site.federation)
    wire.authenticate()
    first: Deferred[None] = Deferred()
    results = iter([first])
    site.router.route = lambda stanza, from_, to: next(results)     # type: ignore[assignment,method-assign]
    wire.write(message() + message())
    assert not wire.is_ended
    first.callback(None)
    assert ends_with(wire.read(), "internal-server-error")


def test_a_mistake_of_ours_does_not_lose_what_stands_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is counted, it would not be sent again."""
    site = Abroad()
    wire = PeerWire(site.federation)
    wire.authenticate()
    first: Deferred[None] = Deferred()
    routed: list[str] = []

    def route(stanza: Any, from_: Any, to: Any) -> Any:
        routed.append(str(stanza.element.body))
        if routed[-1] == "1":
            raise ValueError("a mistake of ours")
        return first if routed[-1] == "0" else None

    monkeypatch.setattr(site.router, "route", route)
    wire.write("".join(message(body=body) for body in "0123"))
    settled: list[bool] = []
    wire.stream.settled(lambda: settled.append(True))
    first.callback(None)
    assert ends_with(wire.read(), "internal-server-error")
    assert routed == list("0123") and settled == [True]


def test_what_has_fired_and_waits_for_another_is_waited_for() -> None:
    site = Abroad()
    wire = PeerWire(site.federation)
    wire.authenticate()
    later: Deferred[None] = Deferred()
    first: Deferred[Any] = succeed(None).addCallback(lambda _: later)
    results: list[Deferred[Any]] = [first]
    site.router.route = (       # type: ignore[method-assign]
        lambda stanza, from_, to: results.pop(0))       # type: ignore[assignment]
    wire.write(message() + message())
    results.append(succeed(None))
    assert len(results) == 1 and not wire.is_ended
    later.callback(None)
    assert not results and not wire.is_ended


def both_ways(site: Abroad) -> PeerWire:
    """A connection of theirs that we answer on, with stream management."""
    wire = PeerWire(site.federation)
    wire.secure()
    wire.write("<bidi xmlns='urn:xmpp:bidi'/>" + EXTERNAL)
    wire.write(header() + f"<enable xmlns='{SM}'/>")
    return wire


def test_who_takes_little_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two servers that both stopped to read at what they send would wait for each other."""
    site = Abroad(monkeypatch)
    wire = both_ways(site)
    wire.transport.waiting_bytes = 100_000
    wire.stream.pauseProducing()
    site.send("taken")
    assert wire.transport.producerState == "producing" and "taken" in wire.read()
    wire.transport.waiting_bytes = 2 << 20
    site.send("waits with the link")
    wire.write(message())
    assert wire.transport.producerState == "producing" and "waits" not in wire.read()
    wire.transport.waiting_bytes = 0
    wire.stream.resumeProducing()
    assert "waits with the link" in wire.read()


def test_who_reads_nothing_is_not_read_and_cut_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch)
    wire = both_ways(site)
    site.send("0")
    wire.transport.waiting_bytes = 5 << 20
    wire.stream.pauseProducing()
    wire.write(message())
    assert wire.transport.producerState == "paused"
    site.clock.pump([5] * int(ACK_S / 5 + 3))
    assert wire.transport.is_aborted


@pytest.mark.parametrize(("s2s", "condition"), [
    ({"block": ("second.test",)}, "policy-violation"), ({"allow": (PEER,)}, "policy-violation"),
    ({"dialback": False}, "policy-violation"), ({"block": ("third.test",)}, "")])
def test_changed_rules_hold_for_every_pair_of_a_connection(
        monkeypatch: pytest.MonkeyPatch, s2s: dict[str, Any], condition: str) -> None:
    site = Abroad(monkeypatch)
    wire = PeerWire(site.federation)
    wire.authenticate()
    wire.stream.authenticated("second.test", DOMAIN)        # by dialback: the certificate is for PEER alone
    site.settings.s2s = S2S(**s2s)
    site.federation.reload(site.settings)
    assert ends_with(wire.read(), condition) if condition else not wire.is_ended


def test_a_domain_that_needs_tls_from_now_on_is_disconnected_without(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch, exceptions={PEER: {"encryption": False}})
    wire = PeerWire(site.federation, names=None)
    wire.write(header())
    wire.stream.authenticated(PEER, DOMAIN)
    site.federation.reload(site.settings)
    assert not wire.is_ended
    site.settings.s2s = S2S()
    site.federation.reload(site.settings)
    assert ends_with(wire.read(), "policy-violation")


def test_requests_for_acknowledgement_fill_what_waits_too() -> None:
    site = Abroad()
    wire = PeerWire(site.federation)
    wire.authenticate()
    wire.write(f"<enable xmlns='{SM}'/>")
    site.store.is_look_up_slow = True
    wire.write(message() + f"<r xmlns='{SM}'/>" * 64 + message())
    assert wire.transport.producerState == "paused"
