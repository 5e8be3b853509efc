"""WebSockets that break RFC 6455 or RFC 7395: a stream error and <close/> where the framing holds, a close frame or a
closed connection where it does not, and an HTTP status where it never began."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from chatd.core import ns
from tests.daemon import DOMAIN, Daemon
from tests.raw import CLIENT, Cut, Raw, RawWebSocket, handshake

PING = f"<iq xmlns='jabber:client' type='get' id='p' to='{DOMAIN}'><ping xmlns='{ns.PING}'/></iq>".encode()


@pytest.fixture
def web(daemon: Daemon, person: str) -> Iterator[RawWebSocket]:
    """Somebody who has logged in from a browser."""
    with RawWebSocket(daemon) as raw:
        yield raw.login(person)


HANDSHAKES = {
    "no upgrade": (handshake(Upgrade="", Connection=""), 426),
    "no subprotocol": (handshake(Sec_WebSocket_Protocol=""), 400),
    "another subprotocol": (handshake(Sec_WebSocket_Protocol="soap"), 400),
    "another version": (handshake(Sec_WebSocket_Version="7"), 400),
    "no key": (handshake(Sec_WebSocket_Key=""), 400),
    "a short key": (handshake(Sec_WebSocket_Key="YWJj"), 400),
    "a page of somebody else": (handshake(Origin="https://evil.example"), 403),
    "a page of nobody": (handshake(Origin="null"), 403),
    "a POST": (handshake().replace(b"GET", b"POST", 1), 405),
}


@pytest.mark.parametrize("name", HANDSHAKES)
def test_handshakes(daemon: Daemon, name: str) -> None:
    """What cannot become a WebSocket gets an HTTP status."""
    request, code = HANDSHAKES[name]
    with Raw(daemon, "https") as raw:
        raw.put(request)
        assert int(raw.get().split()[1]) == code


MESSAGES = {
    "two stanzas": (b"<presence xmlns='jabber:client'/>" * 2, "bad-format"),
    "none": (b"", "bad-format"),
    "blanks": (b"   ", "bad-format"),
    "blanks before": (b" <presence xmlns='jabber:client'/>", "bad-format"),
    "text": (b"hello", "bad-format"),
    "half a stanza": (b"<message xmlns='jabber:client'><body>", "not-well-formed"),
    "a stanza and a half": (b"<presence xmlns='jabber:client'/><message>", "not-well-formed"),
    "an end tag": (b"</stream:stream>", "not-well-formed"),
    "the header of TCP": (f"<?xml version='1.0'?><stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAMS}' "
                          f"to='{DOMAIN}' version='1.0'>".encode(), None),
    "a comment": (b"<!-- hi -->", "restricted-xml"),
    "a DTD": (b"<!DOCTYPE x [<!ENTITY e 'x'>]><presence xmlns='jabber:client'/>", None),
    "an entity": (b"<message xmlns='jabber:client'><body>&lol;</body></message>", "restricted-xml"),
    "no namespace": (b"<presence/>", "invalid-namespace"),
    "a zero byte": (b"<presence xmlns='jabber:client'>\0</presence>", "not-well-formed"),
    "no UTF-8": (b"<presence xmlns='jabber:client'>\xff</presence>", "not-well-formed"),
    "257 KiB": (b"<message xmlns='jabber:client'><body>" + b"x" * 257 * 1024 + b"</body></message>",
                "policy-violation"),
    "a depth bomb": (b"<message xmlns='jabber:client'>" + b"<x>" * 70 + b"</x>" * 70 + b"</message>",
                     "policy-violation"),
    "STARTTLS": (f"<starttls xmlns='{ns.TLS}'/>".encode(), "policy-violation"),
    "what nobody knows": (b"<x xmlns='urn:x'/>", "unsupported-stanza-type"),
    "a forged from": (f"<message xmlns='jabber:client' from='alice@{DOMAIN}'/>".encode(), "invalid-from"),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages(web: RawWebSocket, name: str) -> None:
    """A message that is not exactly one good element (RFC 7395 3.3)."""
    data, expected = MESSAGES[name]
    web.frame(data)
    found = web.stream_error()
    assert found == expected or (expected is None and found in ("not-well-formed", "restricted-xml", "bad-format"))


def test_before_log_in(daemon: Daemon) -> None:
    """10 KiB are the most, and stanzas are not for strangers."""
    for data, expected in ((b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + b"A" * 11_000 + b"</auth>",
                            "policy-violation"), (PING, "not-authorized")):
        with RawWebSocket(daemon) as raw:
            raw.open()
            raw.frame(data)
            assert raw.stream_error() == expected
    with RawWebSocket(daemon) as raw:
        raw.frame(PING)
        assert raw.stream_error() == "bad-format"


def test_binary(web: RawWebSocket) -> None:
    """Messages are text."""
    web.frame(PING, 2)
    assert web.stream_error() == "bad-format"


def test_fragments(web: RawWebSocket) -> None:
    """A message in pieces, a ping between them, is a message (RFC 6455 5.4)."""
    for n, byte in enumerate(PING):
        web.frame(bytes((byte,)), 0 if n else 1, final=n == len(PING) - 1)
        if n == 20:
            web.frame(b"are you there?", 9)
    opcode, payload = web.next_frame()
    assert (opcode, payload) == (10, b"are you there?")
    assert web.until("iq").get("id") == "p"


def test_a_message_in_endless_fragments(web: RawWebSocket) -> None:
    """More of them than a message may have, of whatever size they are."""
    web.frame(b"<message xmlns='jabber:client'>", 1, final=False)
    try:
        for _ in range(5000):
            web.frame(b"", 0, final=False)
    except Cut:
        pass
    assert web.stream_error() == "policy-violation"


def test_a_frame_that_claims_to_be_huge(daemon: Daemon, person: str) -> None:
    """It is refused when it says so, before its bytes come."""
    for length in (300_000, 1 << 40, (1 << 63) - 1):
        with RawWebSocket(daemon) as raw:
            raw.login(person)
            raw.frame(b"<message", length=length)
            assert raw.stream_error() == "policy-violation"


BROKEN_FRAMES = {
    "unmasked": {"payload": PING, "masked": False},
    "reserved bits": {"payload": PING, "bits": 0x40},
    "a reserved opcode": {"payload": PING, "opcode": 3},
    "a reserved control opcode": {"payload": b"", "opcode": 11},
    "a continuation of nothing": {"payload": PING, "opcode": 0},
    "a ping in pieces": {"payload": b"x", "opcode": 9, "final": False},
    "a long ping": {"payload": b"x" * 126, "opcode": 9},
    "a close of one byte": {"payload": b"x", "opcode": 8},
    "a close with a code that is none": {"payload": struct.pack("!H", 1005), "opcode": 8},
    "a length with its first bit set": {"payload": b"", "length": 1 << 63},
}


@pytest.mark.parametrize("name", BROKEN_FRAMES)
def test_broken_frames(web: RawWebSocket, name: str) -> None:
    """What is no WebSocket any more ends with a close frame that says why (RFC 6455 7.4), and the connection."""
    web.frame(**BROKEN_FRAMES[name])    # type: ignore[arg-type]
    try:
        while True:
            opcode, payload = web.next_frame()
            if opcode == 8:
                assert int.from_bytes(payload[:2]) in (1002, 1007)
                return
    except Cut:
        pass


def test_a_flood_of_pings(web: RawWebSocket) -> None:
    """They count as stanzas do: each is answered, nobody else waits."""
    for _ in range(1500):
        web.frame(b"", 9)
    for _ in range(1500):
        assert web.next_frame()[0] == 10


def test_an_end_without_a_word(daemon: Daemon, person: str) -> None:
    """Resets, half a handshake, half a frame: nothing is left of them."""
    for n in range(30):
        raw = RawWebSocket(daemon).login(person)
        if n % 3 == 0:
            raw.put(b"\x81\xfe")
        elif n % 3 == 1:
            raw.frame(b"<message", 1, final=False)
        raw.reset()
    for _ in range(30):
        with Raw(daemon, "http") as plain:
            plain.put(handshake()[:-10])


def test_an_end_in_order(web: RawWebSocket) -> None:
    """<close/> is answered with <close/>, and then the WebSocket with its own (RFC 7395 3.6)."""
    web.send(f"<close xmlns='{ns.FRAMING}'/>")
    opcode, payload = web.next_frame()
    while b"<close" not in payload:
        opcode, payload = web.next_frame()
    opcode, payload = web.next_frame()
    assert (opcode, payload[:2]) == (8, b"\x03\xe8")
    web.frame(payload, 8)
    with pytest.raises(Cut):
        web.get()


def test_without_tls(daemon: Daemon, person: str) -> None:
    """On the plain port no password is taken in the clear, unless a trusted proxy says it has TLS."""
    with RawWebSocket(daemon, "http") as raw:
        features = raw.open()
        offered = [element.text for element in features.iter("{%s}mechanism" % ns.SASL)]
        assert offered and "PLAIN" not in offered
        assert raw.auth(person)[0].tag.endswith("invalid-mechanism")


def test_half_closed(daemon: Daemon, person: str) -> None:
    """A client that ends its side of the TCP connection still gets what it asked for, or at least no harm is done."""
    with RawWebSocket(daemon, "http") as raw:
        raw.open()
        raw.sock.shutdown(socket.SHUT_WR)
        with pytest.raises(Cut):
            while True:
                raw.get()
    with RawWebSocket(daemon).login(person) as other:
        assert other.ping().tag == CLIENT + "iq"
