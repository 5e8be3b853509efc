"""Any bytes give events, of which only the last may be a StreamError, and never another exception.

How they are cut into pieces makes no difference to what comes out.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chatd.core.errors import StreamError
from chatd.core.framing import Framer, StreamEnd, StreamStart, parse_document
from chatd.core.stanza import Stanza

HEADER = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='x'>"
PIECES = [
    HEADER, b"</stream:stream>", b"<message>", b"</message>", b"<message to='a' xmlns='jabber:client'/>",
    b"<presence/>",
    b"<body>", b"</body>", b"<x:y xmlns:x='urn:x'>", b"</x:y>", b"<x:z/>", b"<iq type=\"get\" id='>'>", b"</iq>",
    b"text",
    b" \n", b"&amp;", b"&#60;", b"&x;", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?xml version='1.0'?>", b"<?p?>",
    b"<!DOCTYPE a>",
    b"<", b">", b"/>", b"'", b'"', b"=", b"\x00", b"\xff", b"\xc3", b"\xa9", b"stream:", b"xmlns:", b"<a b='c' b='d'/>",
]
streams = st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join),
                    st.lists(st.sampled_from(PIECES), max_size=25).map(lambda p: HEADER + b"".join(p)))


def feed(framer: Framer, pieces: list[bytes]) -> list[Any]:
    """What comes of the pieces, up to the first error, made comparable."""
    events: list[Any] = []
    for piece in pieces:
        for event in framer.feed(piece):
            assert isinstance(event, StreamStart | Stanza | StreamEnd | StreamError)
            assert not (events and isinstance(events[-1], StreamError)), "nothing comes after an error"
            events.append(event)
        if events and isinstance(events[-1], StreamError):
            break
    for event in events:
        if isinstance(event, Stanza):
            event.element       # noqa: B018  what was framed can be parsed
    return [(e.name, e.ns, e.attrs, e.children, e.inner) if isinstance(e, Stanza) else
            "error" if isinstance(e, StreamError) else e for e in events]


@settings(max_examples=600, deadline=None)
@given(streams, st.booleans())
def test_whole_and_byte_by_byte(data: bytes, headless: bool) -> None:
    """The same events both ways; the last ">" lets a half tag be judged, which waits for its end."""
    whole = feed(Framer(150, 5, headless), [data, b">"])
    single = feed(Framer(150, 5, headless), [data[i:i + 1] for i in range(len(data))] + [b">"])
    assert whole == single


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join) | st.binary(max_size=200))
def test_documents(data: bytes) -> None:
    """A document is taken whole, or refused by a StreamError."""
    try:
        root, stanzas = parse_document(data, 200, 5)
    except StreamError:
        return
    assert isinstance(root, StreamStart)
    assert all(isinstance(stanza, Stanza) for stanza in stanzas)
