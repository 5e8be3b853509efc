"""A stream over WebSocket as messages: one element each, <open/> and <close/>; frames are not looked at here."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chatd.server.websocket import WebSocketStream
from tests.server.fake_site import DOMAIN, SM, PaperTransport, Site, bind, bodies, message, plain

FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"
OPEN = f"<open xmlns='{FRAMING}' to='{DOMAIN}' version='1.0'/>"
CLOSE = f"<close xmlns='{FRAMING}'/>"
ALICE = f"alice@{DOMAIN}"


class PaperChannel:
    """What a stream needs of autobahn: it keeps the messages."""

    def __init__(self, site: Site, is_secured: bool = True) -> None:
        self.transport = PaperTransport("192.0.2.60")
        self.messages: list[str] = []
        self.is_closed = False
        self.pings = 0
        self.site = site
        self.stream = WebSocketStream(site.streams, "192.0.2.60", self)        # type: ignore[arg-type]
        assert self.stream.begin()
        self.stream.negotiate(is_secured)
        self.transport.registerProducer(self.stream, True)

    def put(self, xml: bytes) -> None:
        if xml and not self.is_closed:
            self.messages.append(xml.decode())

    def close(self) -> None:
        self.is_closed = True

    def sendPing(self) -> None:
        self.pings += 1

    def say(self, xml: str | bytes, is_binary: bool = False) -> list[str]:
        """One message; gives those that came back."""
        self.stream.heard_s = self.site.clock.seconds()
        self.stream.message(xml.encode() if isinstance(xml, str) else xml, is_binary)
        return self.heard()

    def heard(self) -> list[str]:
        said, self.messages = self.messages, []
        return said

    def log_in(self, local: str = "alice", resource: str = "ws") -> PaperChannel:
        self.say(OPEN)
        assert "<success" in self.say(as_websocket(plain(local)))[0]
        self.say(OPEN)
        assert "<jid>" in self.say(as_websocket(bind(resource)))[0]
        return self


def as_websocket(xml: str) -> str:
    """Each element names its namespace."""
    return re.sub(r"^<(iq|message|presence)\b", r"<\1 xmlns='jabber:client'", xml)


def test_log_in() -> None:
    site = Site()
    channel = PaperChannel(site)
    opened, features = channel.say(OPEN)
    assert opened.startswith(f"<open xmlns='{FRAMING}' from='{DOMAIN}' id='") and opened.endswith("/>")
    assert features.startswith("<stream:features xmlns:stream='http://etherx.jabber.org/streams'>")
    assert "starttls" not in features and "PLUS" not in features and "PLAIN" in features
    other = PaperChannel(site).log_in()
    assert site.session("alice", "ws").stream is other.stream


def test_what_is_sent_names_its_namespace() -> None:
    site = Site()
    channel, bob = PaperChannel(site).log_in(), site.tcp().log_in("bob")
    bob.write(message(f"{ALICE}/ws", "hi"))
    (said,) = channel.heard()
    assert said.startswith('<message xmlns="jabber:client" ') and bodies(said) == ["hi"]
    bob.write("<presence/>")
    channel.say(as_websocket(message(f"bob@{DOMAIN}", "ho")))
    said = bob.read()
    assert bodies(said) == ["ho"] and "xmlns" not in said.partition("<message")[2]


def test_no_password_without_tls() -> None:
    assert "PLAIN" not in PaperChannel(Site(), is_secured=False).say(OPEN)[1]


MESSAGES = [
    ("two", "<presence xmlns='jabber:client'/><presence xmlns='jabber:client'/>", "bad-format"),
    ("none", "", "bad-format"),
    ("blanks", "  ", "bad-format"),
    ("blank first", " <presence xmlns='jabber:client'/>", "bad-format"),
    ("half of one", "<message xmlns='jabber:client'><body>", "not-well-formed"),
    ("an unfinished tag", "<message xmlns='jabber:client'", "not-well-formed"),
    ("one and a half", "<presence xmlns='jabber:client'/><message", "not-well-formed"),
    ("one and text", "<presence xmlns='jabber:client'/>text", "bad-format"),
    ("text", "hello", "bad-format"),
    ("an end tag", "</stream>", "not-well-formed"),
    ("an end tag that could be ours", "<presence xmlns='jabber:client'/></stream>", "not-well-formed"),
    ("no namespace", "<presence/>", "invalid-namespace"),
    ("another namespace", "<presence xmlns='jabber:server'/>", "invalid-namespace"),
    ("a stream header", "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>", "not-well-formed"),
    ("a declaration", "<?xml version='1.0'?><presence xmlns='jabber:client'/>", "not-well-formed"),
    ("a comment", "<!-- x -->", "restricted-xml"),
    ("a dtd", "<!DOCTYPE x>", "not-well-formed"),
    ("an entity", "<message xmlns='jabber:client'>&x;</message>", "restricted-xml"),
    ("not utf-8", b"<message xmlns='jabber:client'>\xff</message>", "not-well-formed"),
    ("open again", OPEN, "policy-violation"),
    ("depth", "<message xmlns='jabber:client'>" + "<x>" * 70 + "</x>" * 70 + "</message>", "policy-violation"),
]


@pytest.mark.parametrize(("xml", "condition"), [case[1:] for case in MESSAGES], ids=[case[0] for case in MESSAGES])
def test_a_message_is_one_element(xml: Any, condition: str) -> None:
    site = Site()
    channel, bob = PaperChannel(site).log_in(), site.tcp().log_in("bob")
    said = channel.say(xml)
    assert len(said) == 2 and said[1] == CLOSE, "the error and the end, a message each"
    assert said[0].startswith('<stream:error xmlns:stream="http://etherx.jabber.org/streams"><' + condition), said
    assert channel.is_closed and site.session("alice", "ws") is None
    assert bob.read() == "" and not bob.is_ended


def test_a_binary_message() -> None:
    channel = PaperChannel(Site()).log_in()
    assert "<bad-format " in channel.say("<presence xmlns='jabber:client'/>", is_binary=True)[0]


def test_before_open() -> None:
    said = PaperChannel(Site()).say("<presence xmlns='jabber:client'/>")
    assert said[0].startswith("<open ") and "<bad-format " in said[1] and said[2] == CLOSE


def test_hosts() -> None:
    said = PaperChannel(Site()).say(OPEN.replace(DOMAIN, "nowhere.test"))
    assert said[0].startswith("<open ") and "<host-unknown " in said[1] and said[2] == CLOSE


def test_sizes_before_and_after_log_in() -> None:
    channel = PaperChannel(Site(stanza_bytes=50_000, preauth_stanza_bytes=5_000))
    assert channel.stream.max_bytes == 5_000
    channel.log_in()
    assert channel.stream.max_bytes == 50_000
    said = channel.say(as_websocket(message(ALICE, "x" * 50_000)))
    assert "<policy-violation " in said[0]


def test_the_client_closes() -> None:
    site = Site()
    channel = PaperChannel(site).log_in()
    assert channel.say(CLOSE) == [CLOSE]
    assert channel.is_closed and site.session("alice", "ws") is None
    channel.stream.lost()
    assert not site.streams.open


def test_the_client_closes_before_log_in() -> None:
    channel = PaperChannel(Site())
    channel.say(OPEN)
    assert channel.say(CLOSE) == [CLOSE] and channel.is_closed


def test_the_server_closes() -> None:
    site = Site()
    channel = PaperChannel(site).log_in()
    site.session("alice", "ws").close()
    assert channel.heard() == [CLOSE] and not channel.is_closed
    channel.say("<presence xmlns='jabber:client'/>")
    assert not channel.is_closed
    channel.say(CLOSE)
    assert channel.is_closed
    silent = PaperChannel(site).log_in()
    site.session("alice", "ws").close()
    site.clock.advance(3)
    assert silent.is_closed


def test_shutdown() -> None:
    site = Site()
    channel = PaperChannel(site).log_in()
    site.streams.shutdown()
    error, close = channel.heard()
    assert "<system-shutdown " in error and close == CLOSE and channel.is_closed


def test_pings() -> None:
    site = Site()
    channel = PaperChannel(site).log_in()
    site.clock.advance(10)
    site.clock.advance(10)
    assert channel.pings == 0
    for _ in range(7):
        site.clock.advance(10)
    assert channel.pings == 7 and not channel.transport.is_aborted
    site.clock.advance(10)
    assert channel.transport.is_aborted


def test_an_answer_to_a_ping_is_enough() -> None:
    site = Site()
    channel = PaperChannel(site).log_in()
    for _ in range(60):
        site.clock.advance(10)
        if channel.pings:
            channel.pings = 0
            channel.stream.heard_s = site.clock.seconds()
    assert not channel.transport.is_aborted


def test_resumption_from_tcp_to_websocket_and_back() -> None:
    site = Site()
    bob, wire = site.tcp().log_in("bob"), site.tcp().log_in()
    wire.write("<presence/>")
    said = wire.write(f"<enable xmlns='{SM}' resume='true'/>")
    previd = said.split(" id='")[1].split("'")[0]
    wire.cut()
    bob.write(message(ALICE, "1"))
    channel = PaperChannel(site)
    channel.say(OPEN)
    channel.say(plain("alice"))
    channel.say(OPEN)
    said = channel.say(f"<resume xmlns='{SM}' previd='{previd}' h='0'/>")
    assert said[0].startswith("<resumed ") and bodies(said[1]) == ["1"]
    assert 'xmlns="jabber:client"' in said[1] and len(said) == 3
    channel.stream.lost()
    again = site.tcp()
    again.authenticate()
    back = again.write(f"<resume xmlns='{SM}' previd='{previd}' h='0'/>")
    assert bodies(back) == ["1"] and 'xmlns="jabber:client"' not in back
