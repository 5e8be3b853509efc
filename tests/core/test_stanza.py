"""Stanzas as bytes: reading, addressing, answering."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.words.protocols.jabber.error import StanzaError

from chatd.core import ns
from chatd.core.stanza import Stanza, attribute, is_fit, parse_element, text

INNER = b"<body>hello &amp; bye</body><active xmlns='http://jabber.org/protocol/chatstates'/>"
CHILDREN = ("jabber:client body", "http://jabber.org/protocol/chatstates active")


def message(**attrs: str) -> Stanza:
    """A message of two children."""
    return Stanza("message", attrs, INNER, CHILDREN)


def test_content_is_untouched() -> None:
    """The fresh start tag stands around the very same bytes."""
    stanza = message(to="bob@example.com", id="1")
    assert stanza.to_bytes() == b'<message to="bob@example.com" id="1">' + INNER + b"</message>"
    assert stanza.to_bytes_ns() == (
        b'<message xmlns="jabber:client" to="bob@example.com" id="1">' + INNER + b"</message>")
    assert Stanza("presence", {}).to_bytes() == b"<presence/>"


@given(st.text(st.characters(min_codepoint=32, exclude_categories=("Cs", "Cc")), max_size=20))
def test_attributes_survive(value: str) -> None:
    """Whatever an attribute holds, an XML parser reads the same."""
    stanza = Stanza("iq", {"id": value})
    assert parse_element(stanza.to_bytes_ns())["id"] == value
    assert stanza.addressed(value).element["to"] == value


def test_a_tab_in_an_attribute_survives() -> None:
    """Attribute value normalisation (XML 1.0 3.3.3) must not eat it."""
    assert parse_element(Stanza("iq", {"id": "a\tb\nc"}).to_bytes_ns())["id"] == "a\tb\nc"
    assert attribute("plain") == "plain"


@given(st.text(st.characters(), max_size=20))
def test_what_no_xml_may_have_is_left_out(value: str) -> None:
    """Whatever comes from a command line or a database: no client's stream breaks because of it."""
    found = parse_element(Stanza("iq", {"id": value}, f"<x>{text(value)}</x>".encode(), (f"{ns.CLIENT} x",))
                          .to_bytes_ns())
    kept = "".join(char for char in value if is_fit(char))
    assert found["id"] == kept and str(found.x) == kept.replace("\r", "\n")


def test_addressed_copies_share_the_bytes() -> None:
    """One serialisation for many recipients."""
    stanza = Stanza("presence", {"from": "a@b/c"}, b"<show>away</show>", ("jabber:client show",))
    copy = stanza.addressed("bob@example.com")
    assert copy.to_bytes() == b'<presence to="bob@example.com" from="a@b/c"><show>away</show></presence>'
    assert copy.attrs["to"] == "bob@example.com"
    assert "to" not in stanza.attrs
    assert str(copy.element.show) == "away"


def test_addressed_copies_are_stanzas_of_their_own() -> None:
    """They can be framed for WebSocket, changed into others and answered; what one is made into no other sees."""
    stanza = Stanza("message", {"from": "room@c.d/<nick>", "id": "1"}, b"<body>x</body>", ("jabber:client body",))
    one, other = (stanza.addressed(f"{name}@example.com") for name in ("bob", "eve"))
    assert one.to_bytes_ns() == (b'<message xmlns="jabber:client" to="bob@example.com" from="room@c.d/&lt;nick&gt;" '
                                 b'id="1"><body>x</body></message>')
    assert list(one.attrs) == ["to", "from", "id"]
    assert one.readdressed(to="x@y").to_bytes().startswith(b'<message to="x@y" from=')
    assert one.result().attrs["to"] == "room@c.d/<nick>"
    assert (one.type, one.id, one.payload, one.name, one.ns) == (None, "1", "jabber:client body", "message", ns.CLIENT)
    assert other.attrs["to"] == "eve@example.com" and "to" not in stanza.attrs
    assert stanza.addressed("ignored", b"a&amp;b").to_bytes().startswith(b'<message to="a&amp;b" from=')


def test_element_is_parsed_in_its_namespace() -> None:
    """Children without a namespace are in the stanza's."""
    element = message(type="chat").element
    assert element.uri == ns.CLIENT
    assert str(element.body) == "hello & bye"
    assert [child.uri for child in element.elements()] == [ns.CLIENT, ns.CHAT_STATES]


def test_from_element_and_back() -> None:
    """A stanza made of an element has the same children, attributes and language."""
    element = parse_element(
        b'<message xmlns="jabber:client" xml:lang="de" to="x@y"><body>a &lt; b</body>'
        b'<x xmlns="urn:x"><y/></x></message>')
    stanza = Stanza.from_element(element)
    assert stanza.attrs == {"xml:lang": "de", "to": "x@y"}
    assert stanza.children == ("jabber:client body", "urn:x x")
    again = parse_element(stanza.to_bytes_ns())
    assert str(again.body) == "a < b"
    assert next(again.x.elements()).uri == "urn:x"


def test_without_removes_only_what_is_named() -> None:
    """By name, and by the attribute `by`."""
    own = b'<stanza-id xmlns="urn:xmpp:sid:0" by="me@x" id="1"/>'
    other = b'<stanza-id xmlns="urn:xmpp:sid:0" by="room@x" id="2"/>'
    stanza = Stanza("message", {"id": "a"}, b"<body>x</body>" + own + other,
                    ("jabber:client body", "urn:xmpp:sid:0 stanza-id", "urn:xmpp:sid:0 stanza-id"))
    left = stanza.without(ns.SID, "stanza-id", by="me@x")
    assert left.children == ("jabber:client body", "urn:xmpp:sid:0 stanza-id")
    assert b"room@x" in left.inner and b"me@x" not in left.inner
    assert stanza.without(ns.SID, "stanza-id").children == ("jabber:client body",)
    assert stanza.without("urn:none", "x") is stanza


def test_answers() -> None:
    """Results and errors go back to where the stanza came from, with its id."""
    iq = Stanza("iq", {"type": "get", "id": "7", "from": "a@b/c", "to": "b"}, b"<x xmlns='urn:x'/>", ("urn:x x",))
    assert iq.result().attrs == {"type": "result", "id": "7", "from": "b", "to": "a@b/c"}
    error = iq.error(StanzaError("item-not-found", text="no <such> thing"))
    assert error.attrs == {"type": "error", "id": "7", "from": "b", "to": "a@b/c"}
    parsed = error.element.error
    assert parsed["type"] == "cancel"
    assert [(child.uri, child.name) for child in parsed.elements()] == [
        (ns.STANZAS, "item-not-found"), (ns.STANZAS, "text")]
    assert not error.may_be_answered
    assert iq.may_be_answered


def test_the_log_never_sees_a_body() -> None:
    """The representation has addresses and names only."""
    assert "hello" not in repr(message(to="a@b"))


def test_readdressed() -> None:
    """Copies with attributes set or taken away."""
    stanza = message(to="a@b", type="chat")
    copy = stanza.readdressed(to=None, from_="c@d")
    assert copy.attrs == {"type": "chat", "from": "c@d"}
    assert copy.inner is stanza.inner


@pytest.mark.parametrize("bad", [b"<a>", b"", b"<a/><b/>", b"text"])
def test_parse_element_refuses_what_is_not_one(bad: bytes) -> None:
    """ValueError, nothing else."""
    with pytest.raises(ValueError, match="one element"):
        parse_element(bad)
