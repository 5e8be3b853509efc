"""A stream over BOSH: order, holding, repeats, silence and the end.  No reactor: requests and answers are values."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from chatd.server.bosh import BoshResource
from chatd.server.bosh_body import parse
from chatd.server.origins import Origins
from tests.server.fake_site import DOMAIN, Site, bind, bodies, message, plain

BOSH = "http://jabber.org/protocol/httpbind"
FIRST = 1000
ALICE = f"alice@{DOMAIN}"


class Reply:
    """One HTTP request: `said` when it was answered."""

    def __init__(self) -> None:
        self.said: str | None = None
        self.code = 0

    def give(self, xml: bytes, code: int = 200) -> None:
        assert self.said is None, "answered twice"
        self.said, self.code = xml.decode(), code

    @property
    def is_open(self) -> bool:
        return self.said is None


class Browser:
    """A BOSH client.  `post` sends the next request; `resource` is the server's."""

    def __init__(self, site: Site, resource: BoshResource | None = None, opening: str = "hold='1' wait='60' ver='1.6'",
                 address: str = "192.0.2.50") -> None:
        self.site = site
        self.resource = resource or BoshResource(site.streams, Origins.of(()))
        self.rid = FIRST
        self.sid = ""
        reply = self._send(f"rid='{FIRST}' to='{DOMAIN}' {opening}", "", address)
        self.opening = reply.said or ""
        found = re.search('sid="([^"]+)"', self.opening)
        self.sid = found.group(1) if found else ""
        self.stream: Any = self.resource._sessions.get(self.sid)

    def _send(self, attrs: str, inner: str, address: str = "192.0.2.50", is_secure: bool = True) -> Reply:
        xml = f"<body xmlns='{BOSH}' xmlns:xmpp='urn:xmpp:xbosh' {attrs}>{inner}</body>".encode()
        reply = Reply()
        body = parse(xml, 262_144, 64)
        stream = self.resource._sessions.get(body.sid)
        if body.sid and stream is None:
            reply.give(b"no such session")
        elif stream is None:
            request = SimpleNamespace(getClientAddress=lambda: SimpleNamespace(host=address),
                                      isSecure=lambda: is_secure)
            self.resource._new(request, body, reply, len(xml))        # type: ignore[arg-type]
        else:
            stream.request(body, reply, len(xml))
        return reply

    def post(self, inner: str = "", attrs: str = "", rid: int | None = None) -> Reply:
        """The next request, or one with another number."""
        if rid is None:
            self.rid += 1
            rid = self.rid
        reply = self._send(f"rid='{rid}' sid='{self.sid}' {attrs}", inner)
        self.site.clock.advance(0)
        return reply

    def log_in(self, local: str = "alice", resource: str = "web") -> Browser:
        assert "<success" in (self.post(plain(local)).said or "")
        assert "xmpp-bind" in (self.post(attrs=f"xmpp:restart='true' to='{DOMAIN}'").said or "")
        assert "<jid>" in (self.post(bind(resource)).said or "")
        return self

    def lose(self, reply: Reply) -> None:
        """The connection of a request goes."""
        self.stream.gone(reply)


def timers(site: Site) -> int:
    """Running ones, without the sweep's."""
    return len(site.clock.getDelayedCalls()) - 1


# -- creation and log-in

def test_creation() -> None:
    browser = Browser(Site(), opening="hold='1' wait='45' ver='1.6' xmpp:version='1.0' xml:lang='de'")
    said = browser.opening
    for expected in ('wait="45"', 'hold="1"', 'requests="2"', 'ver="1.6"', 'inactivity="60"', 'maxpause="120"',
                     f'from="{DOMAIN}"', 'xmpp:version="1.0"', 'xmpp:restartlogic="true"'):
        assert expected in said
    assert "<stream:features xmlns:stream=" in said and "<mechanism>PLAIN" in said and "starttls" not in said
    assert "ack=" not in said and "polling=" not in said


@pytest.mark.parametrize(("asked", "granted"), [
    ("hold='9' wait='9999' ver='9.9'", ('hold="2"', 'wait="60"', 'requests="3"', 'ver="1.11"')),
    ("hold='0' wait='60' ver='1.6'", ('hold="0"', 'requests="1"', 'polling="2"')),
    ("hold='1' wait='0' ver='1.6'", ('hold="0"', 'wait="0"', 'polling="2"')),
    ("ver='1.6'", ('hold="1"', 'wait="60"')),
    ("hold='x' wait='-1' ver='q'", ('hold="1"', 'wait="60"')),
])
def test_what_is_granted(asked: str, granted: tuple[str, ...]) -> None:
    said = Browser(Site(), opening=asked).opening
    for expected in granted:
        assert expected in said


def test_log_in_and_chat() -> None:
    site = Site()
    browser, bob = Browser(site).log_in(), site.tcp().log_in("bob")
    bob.write("<presence/>")
    bob.read()
    held = browser.post(message(f"bob@{DOMAIN}", "hello"))
    assert held.is_open, "nothing to bring back"
    assert bodies(bob.read()) == ["hello"]
    bob.write(message(f"{ALICE}/web", "hi") + message(f"{ALICE}/web", "there"))
    assert held.is_open
    site.clock.advance(0)
    assert bodies(held.said or "") == ["hi", "there"], "what one turn brings comes together"
    assert 'xmlns="jabber:client"' in (held.said or "")
    assert site.session("alice", "web").stream.wire.value == "bosh"


def test_no_password_without_tls() -> None:
    site = Site()
    browser = Browser(site)
    reply = browser._send(f"rid='5' to='{DOMAIN}' ver='1.6'", "", is_secure=False)
    assert "PLAIN" not in (reply.said or "") and "SCRAM-SHA-256<" in (reply.said or "")


@pytest.mark.parametrize(("to", "condition"), [
    ("nowhere.test", "host-unknown"), ("", "improper-addressing"), ("@@", "host-unknown")])
def test_bad_hosts(to: str, condition: str) -> None:
    site = Site()
    browser = Browser(site)
    said = browser._send(f"rid='5' to='{to}' ver='1.6'", "").said or ""
    assert f'type="terminate" condition="{condition}"' in said
    assert len(browser.resource) == 1, "only the other one's"


def test_too_many_connections() -> None:
    site = Site(connections_per_address=1)
    browser = Browser(site)
    said = browser._send(f"rid='5' to='{DOMAIN}' ver='1.6'", "").said or ""
    assert 'condition="remote-stream-error"' in said and "<policy-violation " in said
    browser.post(attrs="type='terminate'")
    assert "sid=" in (browser._send(f"rid='5' to='{DOMAIN}' ver='1.6'", "").said or "")


def test_stanzas_before_log_in() -> None:
    browser = Browser(Site())
    said = browser.post(message(ALICE, "x")).said or ""
    assert 'condition="remote-stream-error"' in said and "<not-authorized " in said
    assert len(browser.resource) == 0


def test_log_in_has_its_time() -> None:
    site = Site(auth_s=20)
    browser = Browser(site)
    held = browser.post()
    site.clock.advance(21)
    assert "<connection-timeout " in (held.said or "") and len(browser.resource) == 0 and timers(site) == 0


# -- holding

def test_a_request_is_held_for_wait_seconds() -> None:
    site = Site()
    browser = Browser(site, opening="hold='1' wait='30' ver='1.6'").log_in()
    held = browser.post()
    site.clock.advance(29.9)
    assert held.is_open
    site.clock.advance(0.2)
    assert held.said == f'<body xmlns="{BOSH}"/>'


def test_one_is_held_and_no_more() -> None:
    browser = Browser(Site()).log_in()
    first, second = browser.post(), browser.post()
    assert first.said == f'<body xmlns="{BOSH}"/>' and second.is_open


def test_what_comes_between_requests_waits_for_the_next() -> None:
    site = Site()
    browser, bob = Browser(site).log_in(), site.tcp().log_in("bob")
    bob.write(message(f"{ALICE}/web", "1"))
    bob.write(message(f"{ALICE}/web", "2"))
    assert bodies(browser.post().said or "") == ["1", "2"]


def test_a_polling_client() -> None:
    site = Site()
    browser, bob = Browser(site, opening="hold='0' ver='1.6'").log_in(), site.tcp().log_in("bob")
    assert browser.post().said == f'<body xmlns="{BOSH}"/>', "answered at once"
    bob.write(message(f"{ALICE}/web", "1"))
    assert bodies(browser.post().said or "") == ["1"], "it brought something, so it was not too soon"
    site.clock.advance(2)
    assert not browser.post().is_open
    site.clock.advance(1)
    assert 'condition="policy-violation"' in (browser.post().said or "")
    assert site.session("alice", "web") is None


# -- order and repeats

def test_requests_are_worked_off_in_order() -> None:
    site = Site()
    browser, bob = Browser(site).log_in(), site.tcp().log_in("bob")
    bob.write("<presence/>")
    bob.read()
    rid = browser.rid
    second = browser.post(message(f"bob@{DOMAIN}", "2"), rid=rid + 2)
    assert second.is_open and bodies(bob.read()) == []
    first = browser.post(message(f"bob@{DOMAIN}", "1"), rid=rid + 1)
    assert bodies(bob.read()) == ["1", "2"]
    assert not first.is_open and second.is_open, "answered in order too"


def test_a_repeated_request_that_is_early() -> None:
    site = Site()
    browser, bob = Browser(site).log_in(), site.tcp().log_in("bob")
    bob.write("<presence/>")
    bob.read()
    rid = browser.rid
    former, again = (browser.post(message(f"bob@{DOMAIN}", "2"), rid=rid + 2) for _ in range(2))
    assert 'type="error"' in (former.said or "") and again.is_open
    browser.post(message(f"bob@{DOMAIN}", "1"), rid=rid + 1)
    assert bodies(bob.read()) == ["1", "2"]


@pytest.mark.parametrize("far", [3, 100, 2 ** 50])
def test_a_number_beyond_the_window(far: int) -> None:
    site = Site()
    browser = Browser(site).log_in()
    held = browser.post()
    said = browser.post(rid=browser.rid + far).said or ""
    assert 'type="terminate" condition="item-not-found"' in said
    assert not held.is_open and site.session("alice", "web") is None and len(browser.resource) == 0
    assert timers(site) == 0


def test_a_number_long_past() -> None:
    browser = Browser(Site()).log_in()
    for _ in range(6):
        browser.post()
    assert 'condition="item-not-found"' in (browser.post(rid=FIRST + 1).said or "")


def test_a_client_without_version_gets_http_codes() -> None:
    browser = Browser(Site(), opening="hold='1' wait='60'").log_in()
    assert browser.post(rid=browser.rid + 50).code == 404


def test_a_repeated_request_gets_the_same_answer() -> None:
    site = Site()
    browser, bob = Browser(site).log_in(), site.tcp().log_in("bob")
    bob.write("<presence/>")
    bob.read()
    first = browser.post(message(f"bob@{DOMAIN}", "once"))
    assert bodies(bob.read()) == ["once"]
    bob.write(message(f"{ALICE}/web", "answer"))
    site.clock.advance(0)
    again = browser.post(message(f"bob@{DOMAIN}", "once"), rid=browser.rid)
    assert again.said == first.said and bodies(again.said or "") == ["answer"]
    assert bodies(bob.read()) == [], "and is not worked off twice"


def test_a_repeated_request_that_is_held() -> None:
    site = Site()
    browser, bob = Browser(site).log_in(), site.tcp().log_in("bob")
    first = browser.post()
    second = browser.post(rid=browser.rid)
    assert 'type="error"' in (first.said or "") and second.is_open, "XEP-0124 14.3"
    bob.write(message(f"{ALICE}/web", "1"))
    site.clock.advance(0)
    assert bodies(second.said or "") == ["1"]


def test_a_lost_connection_loses_nothing() -> None:
    site = Site()
    browser, bob = Browser(site).log_in(), site.tcp().log_in("bob")
    held = browser.post()
    browser.lose(held)
    bob.write(message(f"{ALICE}/web", "1"))
    site.clock.advance(0)
    assert browser.post(rid=browser.rid).said == f'<body xmlns="{BOSH}"/>'
    assert bodies(browser.post().said or "") == ["1"]


# -- silence

def test_silence_ends_the_session() -> None:
    site = Site()
    browser, bob = Browser(site).log_in(), site.tcp().log_in("bob")
    browser.post("<presence/>")
    seen = browser.post()
    bob.write(message(ALICE, "seen"))
    site.clock.advance(0)
    assert bodies(seen.said or "") == ["seen"]
    for _ in range(3):
        browser.post()
    bob.write(message(ALICE, "perhaps"))            # answers the request that is held: did it arrive?
    site.clock.advance(0)
    bob.write(message(ALICE, "not fetched"))
    site.clock.advance(59)
    assert site.session("alice", "web") is not None
    site.clock.advance(2)
    assert site.session("alice", "web") is None
    assert site.kept_bodies() == ["perhaps", "not fetched"], "rather twice than never"
    assert browser.post().said == "no such session" and timers(site) == 0


def test_acknowledged_responses_are_not_given_back() -> None:
    site = Site()
    browser = Browser(site, opening="hold='1' wait='60' ver='1.6' ack='1'").log_in()
    bob = site.tcp().log_in("bob")
    assert f'ack="{FIRST}"' in browser.opening
    browser.post("<presence/>")
    held = browser.post()
    bob.write(message(ALICE, "1"))
    site.clock.advance(0)
    assert bodies(held.said or "") == ["1"]
    browser.post(attrs=f"ack='{browser.rid}'")
    site.clock.advance(60.1)
    site.clock.advance(60.1)
    assert site.session("alice", "web") is None and site.kept_bodies() == []


def test_the_server_acknowledges_when_asked_to() -> None:
    browser = Browser(Site(), opening="hold='1' wait='60' ver='1.6' ack='1'").log_in()
    first, second = browser.post(), browser.post()
    assert f'ack="{browser.rid}"' in (first.said or "") and second.is_open


def test_pause() -> None:
    site = Site()
    browser, bob = Browser(site).log_in(), site.tcp().log_in("bob")
    held = browser.post()
    bob.write(message(f"{ALICE}/web", "1"))
    pausing = browser.post(attrs="pause='100'")
    assert not held.is_open and pausing.said == f'<body xmlns="{BOSH}"/>'
    site.clock.advance(99)
    assert site.session("alice", "web") is not None
    back = browser.post()
    assert back.is_open or bodies(back.said or "") == ["1"]
    site.clock.advance(60.1)
    site.clock.advance(60.1)
    assert site.session("alice", "web") is None, "the next request ends the pause"


def test_a_pause_has_its_most() -> None:
    site = Site()
    browser = Browser(site).log_in()
    browser.post(attrs="pause='100000'")
    site.clock.advance(121)
    assert site.session("alice", "web") is None


# -- the end

def test_the_client_ends_it() -> None:
    site = Site()
    browser, bob = Browser(site).log_in(), site.tcp().log_in("bob")
    bob.write("<presence/>")
    bob.read()
    held = browser.post()
    last = browser.post(message(f"bob@{DOMAIN}", "bye") + "<presence type='unavailable'/>", "type='terminate'")
    assert bodies(bob.read()) == ["bye"]
    assert held.said == f'<body xmlns="{BOSH}" type="terminate"/>' and last.said == f'<body xmlns="{BOSH}"/>'
    assert site.session("alice", "web") is None and len(browser.resource) == 0 and timers(site) == 0


def test_the_end_may_come_in_one_request_more() -> None:
    browser = Browser(Site()).log_in()
    browser.post()
    rid = browser.rid
    browser.stream.pause()
    browser.post(rid=rid + 1)
    browser.post(rid=rid + 2)
    assert browser.post(attrs="type='terminate'", rid=rid + 3).is_open
    browser.stream.resume()
    assert len(browser.resource) == 0


def test_the_server_ends_it() -> None:
    site = Site()
    browser = Browser(site).log_in()
    held = browser.post()
    other = Browser(site, browser.resource).log_in()
    assert "<conflict " in (held.said or "") and 'condition="remote-stream-error"' in (held.said or "")
    assert browser.post().said == "no such session"
    assert site.session("alice", "web") is other.stream.session


def test_the_end_waits_for_a_request() -> None:
    site = Site()
    browser, bob = Browser(site).log_in(), site.tcp().log_in("bob")
    browser.post("<presence/>")
    bob.write(message(ALICE, "not fetched"))
    browser.stream._waiting.clear()
    Browser(site, browser.resource).log_in()
    assert site.kept_bodies() == ["not fetched"]
    assert "<conflict " in (browser.post().said or "")
    assert len(browser.resource) == 1
    assert browser.post().said == "no such session"


def test_a_bad_stanza_ends_the_stream() -> None:
    site = Site()
    browser = Browser(site).log_in()
    said = browser.post("<message xmlns='jabber:server'/>").said or ""
    assert "<invalid-namespace " in said and 'condition="remote-stream-error"' in said
    assert site.session("alice", "web") is None


def test_shutdown() -> None:
    site = Site()
    browser, silent, bob = Browser(site).log_in(), Browser(site).log_in("carol"), site.tcp().log_in("bob")
    silent.post("<presence/>")
    site.clock.advance(59)
    silent.stream._waiting.clear()
    bob.write(message(f"carol@{DOMAIN}", "kept"))
    held = browser.post()
    site.streams.shutdown()
    assert 'condition="system-shutdown"' in (held.said or "")
    assert site.kept_bodies() == ["kept"] and len(browser.resource) == len(silent.resource) == 0
    late = browser._send(f"rid='5' to='{DOMAIN}' ver='1.6'", "")
    assert 'condition="system-shutdown"' in (late.said or "")


def test_no_stream_management() -> None:
    browser = Browser(Site())
    assert "<success" in (browser.post(plain("alice")).said or "")
    assert "urn:xmpp:sm" not in (browser.post(attrs=f"xmpp:restart='true' to='{DOMAIN}'").said or "")
    browser.post(bind("web"))
    assert "<feature-not-implemented " in (browser.post("<enable xmlns='urn:xmpp:sm:3'/>").said or "")


# -- limits

def test_a_fast_client_is_worked_off_slower() -> None:
    site = Site(stanzas_per_second=10, stanzas_burst=20)
    browser, bob = Browser(site).log_in(), site.tcp(address="192.0.2.2").log_in("bob")
    bob.write("<presence/>")
    bob.read()
    browser.post(message(f"bob@{DOMAIN}", "x") * 30)
    assert len(bodies(bob.read())) == 30
    browser.post(message(f"bob@{DOMAIN}", "y"))
    assert bodies(bob.read()) == []
    site.clock.advance(3)
    assert bodies(bob.read()) == ["y"]


def test_a_client_that_fetches_nothing() -> None:
    site = Site(bytes_burst=1 << 30, stanzas_burst=100_000)
    browser, bob = Browser(site).log_in(), site.tcp().log_in("bob")
    browser.post("<presence/>")
    browser.stream._waiting.clear()
    for _ in range(34):
        bob.write(message(ALICE, "x" * 250_000))
    assert site.session("alice", "web") is None and len(browser.resource) == 0
    assert len(site.kept) == 34
