"""Clients over TCP: log-in, what is refused and how, the limits and the end.  Each byte test also byte by byte."""

from __future__ import annotations

import base64
import re

import pytest
from scramp import ScramClient

from chatd.auth.passwords import make_verifiers
from chatd.server.streams import source_of
from tests.server.fake_site import DOMAIN, END, HEADER, HOST, OTHER, SASL, SM, Site, bind, bodies, message, plain

STEPS = pytest.mark.parametrize("step", [1 << 20, 1], ids=["whole", "bytewise"])


# -- log-in

@STEPS
def test_log_in_over_starttls(step: int) -> None:
    site = Site()
    wire = site.tcp(step)
    features = wire.write(HEADER)
    assert "<starttls" in features and "<required/>" in features and "mechanisms" not in features
    assert f"from='{DOMAIN}'" in features and "version='1.0'" in features
    assert wire.write("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").startswith("<proceed")
    assert wire.transport.is_secure
    wire.stream.handshakeCompleted()
    features = wire.write(HEADER)
    offered = re.findall("<mechanism>([^<]+)", features.partition("</mechanisms>")[0])
    assert offered == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]
    assert "tls-exporter" in features
    assert "<success" in wire.write(plain("alice"))
    features = wire.write(HEADER)
    assert "xmpp-bind" in features and SM in features and "to='alice@example.test'" in features
    assert "<jid>alice@example.test/here</jid>" in wire.write(bind("here"))
    session = site.session()
    assert session.full == "alice@example.test/here"
    assert wire.stream.login is None
    assert site.streams.counts.log_ins == 1
    assert site.store.touched == [1]


def test_log_in_over_direct_tls() -> None:
    wire = Site().tls()
    assert wire.read() == ""
    wire.stream.handshakeCompleted()
    assert "PLUS" in wire.write(HEADER)
    wire.write(plain("alice"))
    wire.write(HEADER)
    assert "<jid>" in wire.write(bind())


@STEPS
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"])
@pytest.mark.parametrize("user", ["alice", "alice@example.test"])
def test_scram(step: int, mechanism: str, user: str) -> None:
    site = Site()
    for name, verifier in make_verifiers("pässword", 4096).items():
        site.auth.verifiers["alice@example.test", name] = verifier
    wire = site.tcp(step)
    wire.secure()
    binding = ("tls-server-end-point", b"bound") if mechanism.endswith("PLUS") else None
    client = ScramClient([mechanism], user, "pässword", channel_binding=binding)
    first = base64.b64encode(client.get_client_first().encode()).decode()
    challenge = wire.write(f"<auth xmlns='{SASL}' mechanism='{mechanism}'>{first}</auth>")
    client.set_server_first(_content("challenge", challenge))
    final = base64.b64encode(client.get_client_final().encode()).decode()
    client.set_server_final(_content("success", wire.write(f"<response xmlns='{SASL}'>{final}</response>")))


def _content(name: str, xml: str) -> str:
    found = re.fullmatch(rf"<{name} xmlns='[^']+'>([^<]+)</{name}>", xml)
    assert found, xml
    return base64.b64decode(found.group(1)).decode()


def test_the_servers_own_name_with_full_addresses() -> None:
    """People of every domain log in at the server's host, by their full address (as eM Client does)."""
    site = Site()
    wire = site.tcp()
    header = HEADER.replace(DOMAIN, HOST)
    assert f"from='{HOST}'" in wire.write(header)
    wire.write("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    wire.stream.handshakeCompleted()
    wire.write(header)
    assert "<not-authorized/>" in wire.write(plain("bob"))          # which of two domains?
    assert "<success" in wire.write(plain(f"bob@{OTHER}"))
    wire.write(header)
    assert f"<jid>bob@{OTHER}/x</jid>" in wire.write(bind("x"))


def test_a_slow_look_up_holds_what_is_sent_ahead() -> None:
    site = Site()
    wire = site.tcp()
    wire.secure()
    site.store.is_look_up_slow = True
    assert wire.write(plain("alice")) == ""
    site.store.found()
    assert "<success" in wire.read()
    wire.write(HEADER)
    assert wire.write(bind("x") + "<presence/>" + message("alice@example.test", "me")) == ""
    for _ in range(3):
        site.store.found()
    said = wire.read()
    assert said.index("<jid>") < said.index("<presence") < said.index("<body>me")


def test_a_client_that_leaves_during_the_look_up() -> None:
    site = Site()
    wire = site.tcp()
    wire.secure()
    site.store.is_look_up_slow = True
    wire.write(plain("alice"))
    wire.cut()
    site.store.found()
    assert wire.read() == "" and not site.streams.open
    other = site.tcp()
    site.store.is_look_up_slow = False
    other.authenticate()
    site.store.is_look_up_slow = True
    other.write(bind("x"))
    other.cut()
    site.store.found()
    site.store.found()
    assert site.session("alice", "x") is None


def test_wrong_password_then_right() -> None:
    wire = Site().tcp()
    wire.secure()
    assert "<failure" in wire.write(plain("alice", "wrong"))
    assert "<success" in wire.write(plain("alice"))


def test_five_wrong_passwords_end_the_stream() -> None:
    wire = Site().tcp()
    wire.secure()
    for _ in range(4):
        assert "<not-authorized/>" in wire.write(plain("alice", "wrong"))
        assert not wire.is_ended
    assert "policy-violation" in wire.write(plain("alice", "wrong"))
    assert wire.is_ended


def test_wrong_passwords_at_speed_have_to_wait() -> None:
    site = Site()

    def attempt(address: str, who: str, password: str) -> str:
        wire = site.tcp(address=address)
        wire.secure()
        said = wire.write(plain(who, password))
        wire.cut()
        return said

    for _ in range(6):
        assert "<not-authorized/>" in attempt("192.0.2.1", "alice", "wrong")
    assert "<temporary-auth-failure/>" in attempt("192.0.2.1", "alice", "secret")
    assert "<success" in attempt("192.0.2.9", "alice", "secret"), "her other place is not locked out"
    assert "<success" in attempt("192.0.2.1", "bob", "secret"), "nor is her office"
    site.clock.advance(1.5)
    assert "<success" in attempt("192.0.2.1", "alice", "secret")


def test_guessing_many_accounts_from_one_address() -> None:
    site = Site()
    for number in range(21):
        wire = site.tcp()
        wire.secure()
        assert "<not-authorized/>" in wire.write(plain(f"person{number}", "wrong"))
        wire.cut()
    wire = site.tcp()
    wire.secure()
    assert "<temporary-auth-failure/>" in wire.write(plain("carol"))


# -- what is refused: the list of bad input

BEFORE_HEADER = [
    ("not xml", "GET / HTTP/1.1\r\n\r\n", "not-well-formed"),
    ("dtd", "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]>", "restricted-xml"),
    ("processing instruction", "<?php x?>", "restricted-xml"),
    ("comment", "<!-- x -->", "restricted-xml"),
    ("encoding", "<?xml version='1.0' encoding='iso-8859-1'?>" + HEADER[21:], "unsupported-encoding"),
    ("namespace of the stream", HEADER.replace("etherx", "other"), "invalid-namespace"),
    ("namespace of the content", HEADER.replace("jabber:client", "jabber:server"), "invalid-namespace"),
    ("no stream", HEADER.replace("stream:stream", "stream:flow"), "bad-format"),
    ("host", HEADER.replace(DOMAIN, "elsewhere.test"), "host-unknown"),
    ("no host", HEADER.replace(f"to='{DOMAIN}'", ""), "improper-addressing"),
    ("version", HEADER.replace("version='1.0'>", ">"), "unsupported-version"),
    ("size", HEADER[:-1] + f" junk='{'x' * 11000}'>", "policy-violation"),
]


@STEPS
@pytest.mark.parametrize(("xml", "condition"), [case[1:] for case in BEFORE_HEADER], ids=[c[0] for c in BEFORE_HEADER])
def test_bad_header(step: int, xml: str, condition: str) -> None:
    wire = Site().tcp(step)
    said = wire.write(xml)
    assert said.startswith("<?xml version='1.0'?><stream:stream "), "an error needs a header before it"
    assert _condition(said) == condition
    assert said.endswith(END) and wire.is_ended


BEFORE_LOG_IN = [
    ("message", message("bob@example.test", "x"), "not-authorized"),
    ("bind", bind(), "not-authorized"),
    ("size", f"<auth xmlns='{SASL}' mechanism='PLAIN'>{'A' * 10240}</auth>", "policy-violation"),
    ("depth", "<x xmlns='y'>" * 80, "policy-violation"),
    ("entity", "<auth>&x;</auth>", "restricted-xml"),
    ("text", "hello", "bad-format"),
    ("second header", HEADER[21:] + END, "unsupported-stanza-type"),
    ("unknown element", "<thing xmlns='urn:x'/>", "unsupported-stanza-type"),
]


@STEPS
@pytest.mark.parametrize(("xml", "condition"), [case[1:] for case in BEFORE_LOG_IN], ids=[c[0] for c in BEFORE_LOG_IN])
def test_bad_input_before_log_in(step: int, xml: str, condition: str) -> None:
    wire = Site().tcp(step)
    wire.secure()
    said = wire.write(xml)
    assert _condition(said) == condition
    assert said.endswith(END) and wire.is_ended


BOUND = [
    ("not well-formed", "<message></presence>", "not-well-formed"),
    ("undeclared prefix", "<x:message/>", "bad-namespace-prefix"),
    ("dtd", "<!DOCTYPE x>", "not-well-formed"),
    ("comment", "<!-- x -->", "restricted-xml"),
    ("processing instruction", "<?x y?>", "restricted-xml"),
    ("entity", "<message to='bob@example.test'><body>&lol;</body></message>", "restricted-xml"),
    ("wrong namespace", "<message xmlns='jabber:server'/>", "invalid-namespace"),
    ("unknown element", "<thing xmlns='urn:x'/>", "unsupported-stanza-type"),
    ("size", f"<message to='bob@example.test'><body>{'x' * 270_000}</body></message>", "policy-violation"),
    ("depth", "<message>" + "<x>" * 80, "policy-violation"),
    ("forged from", "<message from='bob@example.test/x' to='carol@example.test'/>", "invalid-from"),
    ("second header", HEADER[21:] + END, "unsupported-stanza-type"),
    ("log in again", plain("alice"), "policy-violation"),
    ("tls again", "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "policy-violation"),
    ("ack without 0198", f"<a xmlns='{SM}' h='1'/>", "unsupported-stanza-type"),
    ("text", "hello", "bad-format"),
]


@STEPS
@pytest.mark.parametrize(("xml", "condition"), [case[1:] for case in BOUND], ids=[case[0] for case in BOUND])
def test_bad_input_of_a_session(step: int, xml: str, condition: str) -> None:
    site = Site()
    other = site.tcp(address="192.0.2.2").log_in("bob")
    wire = site.tcp().log_in()
    wire.step = step if len(xml) < 50_000 else max(step, 997)
    said = wire.write(xml)
    assert _condition(said) == condition
    assert said.endswith(END) and wire.is_ended
    assert site.session() is None, "its session has ended"
    assert other.read() == "" and not other.is_ended, "no one else notices"
    assert site.session("bob") is not None


def _condition(said: str) -> str:
    found = re.search(r"<stream:error><([a-z-]+) ", said)
    assert found, said
    return found.group(1)


@STEPS
def test_what_comes_behind_starttls_in_the_clear_is_dropped(step: int) -> None:
    """RFC 6120 5.4.3.3: or somebody on the way could slip commands in."""
    site = Site()
    wire = site.tcp(step)
    wire.write(HEADER)
    injected = HEADER + plain("alice") if step > 1 else ""
    said = wire.write("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" + injected)
    assert said.startswith("<proceed") and "success" not in said and said.count("<") == 1
    wire.stream.handshakeCompleted()
    assert "<mechanism>" in wire.write(HEADER)


def test_nothing_but_starttls_in_the_clear() -> None:
    wire = Site().tcp()
    wire.write(HEADER)
    assert "<encryption-required/>" in wire.write(plain("alice"))
    assert _condition(wire.write(bind())) == "policy-violation"


def test_refusals_that_leave_the_stream_up() -> None:
    site = Site()
    wire = site.tcp().log_in()
    assert "<not-allowed " in wire.write(bind("again", "b2"))
    assert "type=\"result\"" in wire.write(
        "<iq type='set' id='s1'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>")
    assert "type=\"result\"" in wire.write(
        "<iq type='set' id='s2' to='example.test'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>")
    assert "<jid-malformed " in wire.write("<message to='a@b@c/@@' id='j'/>")
    assert "<jid-malformed " in wire.write("<iq type='get' id='k' to='@x'><q xmlns='urn:q'/></iq>")
    assert "<bad-request " in wire.write("<iq type='get' id='l'/>")
    assert not wire.is_ended and site.session() is not None


def test_bogus_resources() -> None:
    wire = Site().tcp()
    wire.authenticate()
    assert "<bad-request " in wire.write(bind("x" * 2000))
    assert "<bad-request " in wire.write(bind("a&#x200e;b"))
    assert "<jid>alice@example.test/fine</jid>" in wire.write(bind("fine"))


# -- sessions

def test_the_same_resource_replaces_the_older() -> None:
    site = Site()
    first = site.tcp().log_in()
    second = site.tcp().log_in()
    assert _condition(first.read()) == "conflict"
    assert first.is_ended and not second.is_ended
    first.cut()
    assert site.session() is second.stream.session


def test_sessions_of_an_account_are_bounded() -> None:
    site = Site(sessions_per_account=2)
    one = site.tcp().log_in(resource="one")
    two = site.tcp().log_in(resource="two")
    three = site.tcp()
    three.authenticate()
    assert "<resource-constraint " in three.write(bind("three"))
    two.write(f"<enable xmlns='{SM}' resume='true'/>")
    two.cut()
    assert site.session("alice", "two") is not None
    assert "<jid>" in three.write(bind("three")), "one that only waits to be resumed gives way"
    assert site.session("alice", "two") is None and not one.is_ended


def test_a_disabled_account_is_not_bound() -> None:
    site = Site()
    wire = site.tcp()
    wire.authenticate()
    site.store.rows["alice@example.test"].disabled = True
    assert "<not-allowed " in wire.write(bind())


def test_messages_between_two() -> None:
    site = Site()
    alice, bob = site.tcp().log_in(), site.tcp().log_in("bob")
    bob.write("<presence/>")
    alice.write(message("bob@example.test", "hello &amp; goodbye"))
    said = bob.read()
    assert "<body>hello &amp; goodbye</body>" in said
    assert 'from="alice@example.test/here"' in said and "xmlns=" not in said


# -- limits

def test_connections_of_an_address_are_bounded() -> None:
    site = Site(connections_per_address=2)
    first, second = site.tcp(), site.tcp()
    third = site.tcp()
    assert _condition(third.read()) == "policy-violation" and third.is_ended
    assert site.tls().transport.is_aborted, "no handshake for it"
    assert not site.tcp(address="192.0.2.2").is_ended
    assert site.streams.counts.refused == 2
    third.cut()
    first.cut()
    assert not site.tcp().is_ended
    second.cut()


def test_an_ipv6_network_counts_as_one_address() -> None:
    site = Site(connections_per_address=2)
    for number in (1, 2):
        assert not site.tcp(address=f"2001:db8:1:2::{number}").is_ended
    assert site.tcp(address="2001:db8:1:2:ffff::3").is_ended
    assert not site.tcp(address="2001:db8:1:3::1").is_ended
    assert source_of("::ffff:192.0.2.1") == source_of("192.0.2.1") == "192.0.2.1"
    assert source_of("fe80::1%eth0") == "fe80::/64" and source_of("unix") == "unix"


def test_ten_thousand_stanzas_at_once_are_read_slower() -> None:
    site = Site(stanzas_per_second=100, stanzas_burst=200)
    wire = site.tcp().log_in()
    for _ in range(10):
        wire.write("<presence to='bob@example.test'/>" * 10)
    assert wire.transport.producerState == "producing"
    wire.write("<presence to='bob@example.test'/>" * 400)
    assert wire.transport.producerState == "paused" and not wire.is_ended
    site.clock.advance(1)
    assert wire.transport.producerState == "paused"
    site.clock.advance(2.5)
    assert wire.transport.producerState == "producing", "after the debt is paid"
    assert site.session() is not None


def test_bytes_are_bounded_too() -> None:
    site = Site(bytes_per_second=1000, bytes_burst=10_000)
    wire = site.tcp().log_in()
    wire.write(message("alice@example.test", "x" * 12_000))
    assert wire.transport.producerState == "paused"
    site.clock.advance(10)
    assert wire.transport.producerState == "producing"


def test_a_session_with_enough_to_do_is_not_read() -> None:
    site = Site()
    wire = site.tcp().log_in()
    site.store.is_look_up_slow = True
    wire.write(message("bob@example.test", "first"))            # bob is not in memory
    wire.write("<presence/>" * 70)
    assert wire.transport.producerState == "paused"
    for _ in range(3):
        site.store.found()
    assert wire.transport.producerState == "producing"
    assert site.kept_bodies() == ["first"]


def test_log_in_has_its_time() -> None:
    site = Site(auth_s=60)
    silent, slow, negotiating, bound = site.tcp(), site.tcp(), site.tcp(), site.tcp().log_in()
    slow.write(HEADER[:30])
    negotiating.secure()
    for _ in range(59):
        slow.write(" ")
        site.clock.advance(1)
    assert not silent.is_ended and not slow.is_ended
    site.clock.advance(1.1)
    for wire in (silent, slow, negotiating):
        assert _condition(wire.read()) == "connection-timeout" and wire.is_ended
    assert not bound.is_ended


def test_a_direct_tls_handshake_that_never_ends() -> None:
    site = Site(auth_s=60)
    wire = site.tls()
    site.clock.advance(61)
    assert wire.transport.is_aborted and wire.read() == ""


def test_a_client_that_does_not_take_what_it_is_sent() -> None:
    site = Site()
    wire = site.tcp().log_in()
    wire.transport.waiting_bytes = 70_000
    wire.stream.pauseProducing()
    assert wire.transport.producerState == "paused", "nothing more is taken from it meanwhile"
    wire.stream.resumeProducing()
    assert wire.transport.producerState == "producing"
    wire.transport.waiting_bytes = 9 << 20
    wire.stream.pauseProducing()
    assert wire.transport.is_aborted


def test_two_reasons_to_pause() -> None:
    site = Site(stanzas_per_second=10, stanzas_burst=10)
    wire = site.tcp().log_in()
    wire.write("<presence/>" * 30)
    wire.stream.pauseProducing()
    site.clock.advance(10)
    assert wire.transport.producerState == "paused"
    wire.stream.resumeProducing()
    assert wire.transport.producerState == "producing"


# -- the end

@STEPS
def test_the_client_closes(step: int) -> None:
    site = Site()
    wire = site.tcp(step).log_in()
    assert wire.write(END) == END and wire.is_ended
    assert site.session() is None
    wire.cut()
    assert not site.streams.open and not site.streams.addresses
    assert site.clock.getDelayedCalls() == [site.streams._sweeping.call]


def test_the_client_closes_with_an_error() -> None:
    site = Site()
    wire = site.tcp().log_in()
    error = "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
    assert wire.write(error + END) == END and wire.is_ended


def test_the_server_closes_and_waits_for_the_peer() -> None:
    site = Site()
    wire = site.tcp().log_in()
    site.session().close()
    assert wire.read() == END and not wire.is_ended
    assert wire.write("<message/>") == "" and not wire.is_ended, "nothing is taken any more"
    wire.write(END)
    assert wire.is_ended
    wire.cut()
    impolite = site.tcp().log_in()
    site.session().close()
    site.clock.advance(2.9)
    assert not impolite.is_ended
    site.clock.advance(0.2)
    assert impolite.is_ended


def test_closing_a_paused_stream_lets_it_see_the_end() -> None:
    site = Site(stanzas_per_second=1, stanzas_burst=5)
    wire = site.tcp().log_in()
    wire.write("<presence/>" * 20)
    assert wire.transport.producerState == "paused"
    site.session().close()
    assert wire.transport.producerState == "producing"
    wire.cut()
    assert site.clock.getDelayedCalls() == [site.streams._sweeping.call], "no timer is left behind"


def test_a_cut_link_ends_a_plain_session() -> None:
    site = Site()
    wire, bob = site.tcp().log_in(), site.tcp().log_in("bob")
    wire.write("<presence/>")
    wire.cut()
    assert site.session() is None
    bob.write(message("alice@example.test/here", "late"))
    assert site.kept_bodies() == ["late"]


def test_shutdown() -> None:
    site = Site()
    bound, negotiating = site.tcp().log_in(), site.tcp()
    negotiating.secure()
    handshaking = site.tls()
    done: list[None] = []
    site.streams.shutdown().addCallback(done.append)
    for wire in (bound, negotiating):
        assert _condition(wire.read()) == "system-shutdown" and wire.is_ended
    assert handshaking.transport.is_aborted
    assert site.session() is None and done == []
    for wire in (bound, negotiating, handshaking):
        wire.cut()
    assert done == [None]
    assert site.clock.getDelayedCalls() == []
    assert site.tcp().is_ended, "nobody is taken in any more"


def test_shutdown_does_not_wait_for_ever() -> None:
    site = Site()
    wire = site.tcp().log_in()
    done: list[None] = []
    site.streams.shutdown().addCallback(done.append)
    site.clock.advance(3.1)
    assert done == [None] and wire.transport.is_aborted


def test_a_fault_of_ours_ends_one_stream_only(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    wire, bob = site.tcp().log_in(), site.tcp().log_in("bob")

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(site.router._kinds, "message", (broken, broken))
    assert _condition(wire.write(message("bob@example.test", "x"))) == "internal-server-error"
    assert not bob.is_ended and bodies(bob.read()) == []
