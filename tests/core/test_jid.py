"""Addresses: RFC 7622."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.core.jid import JID, InvalidJID, ascii_domain


@pytest.mark.parametrize(("written", "local", "domain", "resource"), [
    ("juliet@example.com", "juliet", "example.com", ""),
    ("juliet@example.com/foo", "juliet", "example.com", "foo"),
    ("juliet@example.com/foo bar", "juliet", "example.com", "foo bar"),
    ("juliet@example.com/foo@bar", "juliet", "example.com", "foo@bar"),
    ("juliet@example.com/foo/bar", "juliet", "example.com", "foo/bar"),
    ("foo\\20bar@example.com", "foo\\20bar", "example.com", ""),
    ("fussball@example.com", "fussball", "example.com", ""),
    ("fu\u00dfball@example.com", "fu\u00dfball", "example.com", ""),
    ("\u03c0@example.com", "\u03c0", "example.com", ""),
    ("\u03c3@example.com/\u265a", "\u03c3", "example.com", "\u265a"),
    ("king@example.com/\u265a", "king", "example.com", "\u265a"),
    ("example.com", "", "example.com", ""),
    ("example.com/foobar", "", "example.com", "foobar"),
    ("a.example.com/b@example.net", "", "a.example.com", "b@example.net"),
    ("JULIET@Example.COM.", "juliet", "example.com", ""),
    ("juliet@example.com\u3002", "juliet", "example.com", ""),
    ("juliet@example\uff0ecom\uff61", "juliet", "example.com", ""),
    ("john@xn--mnchen-3ya.example", "john", "m\u00fcnchen.example", ""),
    ("john@[::1]/x", "john", "[::1]", "x"),
    ("john@127.0.0.1", "john", "127.0.0.1", ""),
])
def test_the_examples_of_the_rfc_and_more(written: str, local: str, domain: str, resource: str) -> None:
    """RFC 7622 3.5, table 1, and what a client may type."""
    jid = JID.parse(written)
    assert (jid.local, jid.domain, jid.resource) == (local, domain, resource)
    assert jid.bare == (f"{local}@{domain}" if local else domain)
    assert str(jid) == jid.full == (f"{jid.bare}/{resource}" if resource else jid.bare)


@pytest.mark.parametrize("written", [
    "", "@", "\"juliet\"@example.com", "foo bar@example.com", "@example.com/", "@example.com", "juliet@",
    "juliet@/x", "juliet@example.com/", "henry\u2163@example.com", "\u265a@example.com", "juliet@a..b",
    "a@b@c", "juliet@-a", "juliet@[nonsense]", "juliet@[::1", "a" * 1024 + "@example.com", "a@" + "b" * 1024,
    "juliet@example.com/" + "r" * 1024, "a<b@example.com", "a&b@example.com", "a'b@example.com",
    "juliet@example.com..", "juliet@example.com\u3002.", "juliet@example.com.\uff0e", "juliet@fa\u00df.example..",
    "juliet@example.com/\x00", "x" * 4000, "ju\u200bliet@example.com",
])
def test_what_is_no_address_is_refused(written: str) -> None:
    """RFC 7622 3.5, table 2, sizes, and what does not survive IDNA."""
    with pytest.raises(InvalidJID):
        JID.parse(written)


def test_equal_addresses_are_equal() -> None:
    """The canonical form is what is compared."""
    assert JID.parse("John@EXAMPLE.com/x") == JID.parse("john@example.com/x")
    assert JID.parse("john@example.com/x") != JID.parse("john@example.com/X")
    assert len({JID.parse("A@b"), JID.parse("a@b")}) == 1
    assert JID.of("a", "b", "c").with_resource("d").full == "a@b/d"


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(written: str) -> None:
    """Whatever the text, it parses or raises InvalidJID; what parses is a fixed point."""
    try:
        jid = JID.parse(written)
    except InvalidJID:
        return
    assert JID.parse(jid.full) == jid


@given(st.text(alphabet=".\u3002\uff0e\uff61aA-xn9\u00df\u00e9\u2488_[:]", min_size=1, max_size=12))
def test_a_domain_has_one_form(written: str) -> None:
    """What rules are looked up by does not change when the address is read again, and ends in no dot."""
    try:
        jid = JID.parse(written)
    except InvalidJID:
        return
    assert JID.parse(jid.full) == jid and not jid.domain.endswith(".")


@pytest.mark.parametrize(("domain", "ascii_"), [
    ("example.com", "example.com"), ("fa\u00df.example", "xn--fa-hia.example"), ("\u03c2.example", "xn--3xa.example"),
    ("m\u00fcnchen.example", "xn--mnchen-3ya.example"), ("a_b.example", "a_b.example"), ("[::1]", "[::1]"),
    ("127.0.0.1", "127.0.0.1")])
def test_dns_and_certificates_are_asked_for_the_same_domain(domain: str, ascii_: str) -> None:
    """By IDNA 2003 fa\u00df.example would be fass.example, which is somebody else's."""
    assert ascii_domain(domain) == ascii_ and JID.parse(ascii_).domain == domain
