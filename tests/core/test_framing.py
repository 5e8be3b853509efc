"""Bytes to stanzas: RFC 6120 4 and 11."""

from __future__ import annotations

from typing import Any

import pytest

from chatd.core import framing, ns
from chatd.core.errors import StreamError
from chatd.core.framing import Framer, StreamEnd, StreamStart, parse_document
from chatd.core.stanza import Stanza

HEADER = (b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
          b"xmlns:stream='http://etherx.jabber.org/streams' to='example.com' version='1.0' xml:lang='de'>")
MESSAGE = (b"""<message to='bob@example.com/abc' from="a>b@c" id='m1' type='chat'><body>hello &lt; > there</body>"""
           b"<active xmlns='http://jabber.org/protocol/chatstates'/><origin-id xmlns='urn:xmpp:sid:0' id='x'/>"
           b"</message>")
END = b"</stream:stream>"


def read(data: bytes, step: int = 0, **limits: Any) -> list[Any]:
    """Everything a framer makes of data, in pieces of `step` bytes; up to the first error."""
    framer = Framer(limits.get("max_bytes", 10000), limits.get("max_depth", 10))
    events: list[Any] = []
    for piece in ([data] if not step else [data[i:i + step] for i in range(0, len(data), step)]):
        events += framer.feed(piece)
        if events and isinstance(events[-1], StreamError):
            break
    return events


def plain(events: list[Any]) -> list[Any]:
    """Comparable."""
    return [(e.name, e.ns, e.attrs, e.children, e.inner) if isinstance(e, Stanza) else
            (e.condition,) if isinstance(e, StreamError) else e for e in events]


def test_a_stream() -> None:
    """Header, stanzas with their children, other first-level elements, the end."""
    events = read(HEADER + MESSAGE + b" \n<presence/><r xmlns='urn:xmpp:sm:3'/><presence></presence>"
                  b"<message><body/></message>" + END)
    assert events[0] == StreamStart("stream", ns.STREAMS, {"to": "example.com", "version": "1.0", "xml:lang": "de"},
                                    ns.CLIENT)
    message = events[1]
    assert message.attrs == {"to": "bob@example.com/abc", "from": "a>b@c", "id": "m1", "type": "chat"}
    assert message.children == ("jabber:client body", "http://jabber.org/protocol/chatstates active",
                                "urn:xmpp:sid:0 origin-id")
    assert message.inner == MESSAGE[MESSAGE.index(b"<body>"):-len(b"</message>")]
    assert [(e.name, e.ns, e.inner) for e in events[2:-1]] == [
        ("presence", ns.CLIENT, b""), ("r", ns.SM, b""), ("presence", ns.CLIENT, b""),
        ("message", ns.CLIENT, b"<body/>")]
    assert isinstance(events[-1], StreamEnd)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64])
def test_pieces_make_no_difference(step: int) -> None:
    """Whole, or in pieces of any size."""
    data = HEADER + MESSAGE + b" <iq type='get'>\n <x xmlns='urn:x'>a&#62;b</x></iq>\n\n" + MESSAGE * 3 + END
    assert plain(read(data, step)) == plain(read(data))


def test_blanks_in_a_body_are_kept() -> None:
    """Trailing blanks, tabs and line ends in a message are the sender's."""
    [_, stanza] = read(HEADER + b"<message><body> a\t \r\n b  </body></message>")
    assert stanza.inner == b"<body> a\t \r\n b  </body>"


@pytest.mark.parametrize("data", [
    b"<message xmlns:q='urn:q' q:a='1' xml:lang='en'><q:body/> x</message>",
    b"<message><q:body xmlns:q='urn:q'/></message>",
    b"<c:message xmlns:c='jabber:client'><c:body>x</c:body></c:message>",
])
def test_prefixes_travel_alone(data: bytes) -> None:
    """What is declared outside the content is declared anew."""
    [_, stanza] = read(HEADER + data)
    assert stanza.name == "message" and stanza.ns == ns.CLIENT
    child = next(stanza.element.elements())
    assert child.name == "body"
    assert child.uri in ("urn:q", ns.CLIENT)


def test_prefixes_of_the_header_travel_too() -> None:
    """A client that declares its extensions once, on the stream."""
    header = HEADER[:-1] + b" xmlns:r='urn:xmpp:receipts'>"
    [_, stanza] = read(header + b"<message id='1'><body>a r:b</body><r:request/></message>")
    assert Stanza.has(stanza, ns.RECEIPTS, "request")
    assert [child.uri for child in stanza.element.elements()] == [ns.CLIENT, ns.RECEIPTS]


@pytest.mark.parametrize(("data", "condition"), [
    (b"GET / HTTP/1.1\r\n\r\n", "not-well-formed"),
    (b"\x16\x03\x01\x02\x00\x01\x00", "not-well-formed"),
    (HEADER + b"<!-- x -->", "restricted-xml"),
    (b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>", "restricted-xml"),
    (b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a>", "restricted-xml"),
    (HEADER + b"<!DOCTYPE a>", "not-well-formed"),
    (HEADER + b"<?pi x?>", "restricted-xml"),
    (HEADER + b"<message>&foo;</message>", "restricted-xml"),
    (HEADER + b"foo<message/>", "bad-format"),
    (HEADER + b"<message/> x ", "bad-format"),
    (HEADER + b"<![CDATA[x]]><message/>", "bad-format"),
    (HEADER + b"<a:b/>", "bad-namespace-prefix"),
    (HEADER + b"<message><a></message>", "not-well-formed"),
    (HEADER + b"<message>\x00</message>", "not-well-formed"),
    (HEADER + b"<message>\xff\xfe</message>", "not-well-formed"),
    (HEADER + b"<message a='<'>", "not-well-formed"),
    (HEADER + b"<message a='1' a='2'/>", "not-well-formed"),
    (HEADER + b"</x>", "not-well-formed"),
    (HEADER + END + b"<a/>", "not-well-formed"),
    (b"<?xml version='1.0' encoding='utf-16'?><a>", "unsupported-encoding"),
    (b"<?xml version='1.0' encoding='iso-8859-1'?><a>", "unsupported-encoding"),
    (HEADER.decode().encode("utf-16-le"), "unsupported-encoding"),
    (HEADER.decode().encode("utf-16"), "unsupported-encoding"),
    (b" \x00<\x00a\x00>\x00", "unsupported-encoding"),
    (HEADER + b"<message/>x</stream:stream>", "bad-format"),
    (HEADER + b"<message>" + b"<a>" * 20, "policy-violation"),
    (HEADER + b"<message><body>" + b"a" * 20000, "policy-violation"),
    (HEADER + b"<message><body>" + b"a" * 20000 + b"</body></message>", "policy-violation"),
    (HEADER + b"<message " + b"a" * 20000, "policy-violation"),
    (b"<stream:stream " + b"a='" + b"a" * 20000, "policy-violation"),
])
@pytest.mark.parametrize("step", [0, 1])
def test_a_breach_is_named(data: bytes, condition: str, step: int) -> None:
    """Each has the condition of RFC 6120 4.9.3 that says it, whole or byte by byte."""
    events = read(data, step)
    assert isinstance(events[-1], StreamError)
    assert events[-1].condition == condition


def test_what_came_before_a_breach_is_not_lost() -> None:
    """Stanzas before the fault in the same piece are events before the error."""
    events = read(HEADER + MESSAGE + b"<presence/><!-- x --><presence/>")
    assert [type(e) for e in events] == [StreamStart, Stanza, Stanza, StreamError]


def test_limits_may_change() -> None:
    """Small before authentication, larger after."""
    framer = Framer(200, 10)
    framer.feed(HEADER)
    big = b"<message><body>" + b"x" * 300 + b"</body></message>"
    framer.max_bytes = 1000
    assert len(framer.feed(big)) == 1
    framer.max_bytes = 200
    assert isinstance(framer.feed(big)[-1], StreamError)


def test_the_parser_is_replaced_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a megabyte a fresh parser goes on where the old one was."""
    monkeypatch.setattr(framing, "_PARSER_LIFE", 500)
    framer = Framer(10000, 10)
    framer.feed(HEADER)
    parsers = set()
    for _ in range(20):
        [stanza] = framer.feed(MESSAGE)
        assert stanza.attrs["id"] == "m1" and stanza.ns == ns.CLIENT
        parsers.add(id(framer._parser))
    [half] = framer.feed(MESSAGE + MESSAGE[:50])
    [rest] = framer.feed(MESSAGE[50:])
    assert half.inner == rest.inner
    assert len(parsers) > 1
    assert framer.is_idle
    assert isinstance(framer.feed(END)[-1], StreamEnd)


def test_headless_frames() -> None:
    """RFC 7395: single elements, each with its own declaration."""
    framer = Framer(1000, 10, headless=True)
    [opening] = framer.feed(b'<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="x" version="1.0"/>')
    assert (opening.name, opening.ns, opening.attrs) == ("open", ns.FRAMING, {"to": "x", "version": "1.0"})
    assert framer.is_idle
    [message] = framer.feed(b'<message xmlns="jabber:client"><body>x</body></message>')
    assert message.children == ("jabber:client body",)
    assert not framer.feed(b"<message>") and not framer.is_idle


def test_documents() -> None:
    """A BOSH body and what is not one."""
    root, stanzas = parse_document(
        b"<body rid='1' xmlns='http://jabber.org/protocol/httpbind'><message xmlns='jabber:client'/>"
        b"<iq xmlns='jabber:client'/></body>", 1000, 10)
    assert (root.name, root.ns, root.attrs) == ("body", ns.HTTPBIND, {"rid": "1"})
    assert [stanza.name for stanza in stanzas] == ["message", "iq"]
    assert parse_document(b"<body xmlns='http://jabber.org/protocol/httpbind'/>", 1000, 10)[1] == []
    for bad in (b"", b"<body>", b"<body/><body/>", b"<body><!-- --></body>", b"<body/>x", b"<body>x</body"):
        with pytest.raises(StreamError):
            parse_document(bad, 1000, 10)
