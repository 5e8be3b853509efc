"""Bytes that are no XMPP: each gets the stream error that RFC 6120 4.9.3 and 11 name, and the stream ends."""

from __future__ import annotations

import pytest

from chatd.core import ns
from tests.daemon import DOMAIN, Daemon
from tests.raw import HEADER, Raw

GOOD = HEADER.format(to=f"'{DOMAIN}'")
LAUGHS = "<!DOCTYPE b [<!ENTITY l0 'ha'>" + "".join(
    f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 10)) + "]>"

HEADERS: dict[str, tuple[str | bytes, str]] = {
    "not XML": (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "not-well-formed"),
    "a TLS handshake": (bytes.fromhex("16030100c8010000c40303") + bytes(190), "unsupported-encoding"),
    "zero bytes": (bytes(4096), "unsupported-encoding"),
    "UTF-16": (GOOD.encode("utf-16"), "unsupported-encoding"),
    "another encoding": (f"<?xml version='1.0' encoding='ISO-8859-1'?>{GOOD}", "unsupported-encoding"),
    "a DTD": (f"<!DOCTYPE stream SYSTEM 'http://localhost/x.dtd'>{GOOD}", "restricted-xml"),
    "a billion laughs": (f"{LAUGHS}{GOOD.replace('version', 'x=&quot;&l9;&quot; version')}", "restricted-xml"),
    "an external entity": (f"<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>{GOOD}<message>&e;</message>",
                           "restricted-xml"),
    "a processing instruction": (f"<?php phpinfo() ?>{GOOD}", "restricted-xml"),
    "a comment": (f"<!-- hello -->{GOOD}", "restricted-xml"),
    "the namespace of servers": (GOOD.replace("jabber:client", "jabber:server"), "invalid-namespace"),
    "another namespace of streams": (GOOD.replace("etherx", "example"), "invalid-namespace"),
    "no default namespace": (GOOD.replace("xmlns='jabber:client'", ""), "invalid-namespace"),
    "another root": (GOOD.replace("stream:stream ", "stream:river "), "bad-format"),
    "an undeclared prefix": (GOOD.replace("xmlns:stream", "xmlns:flow"), "bad-namespace-prefix"),
    "no to": (GOOD.replace(f"to='{DOMAIN}'", ""), "improper-addressing"),
    "another server's name": (GOOD.replace(DOMAIN, "example.org"), "host-unknown"),
    "a to that is no domain": (GOOD.replace(DOMAIN, "a@@b//c"), "host-unknown"),
    "a to with an account": (GOOD.replace(DOMAIN, f"alice@{DOMAIN}"), "host-unknown"),
    "no version": (GOOD.replace("version='1.0'", ""), "unsupported-version"),
    "version 0.9": (GOOD.replace("1.0", "0.9"), "unsupported-version"),
    "a header without end": (GOOD[:-1] + f" x='{'x' * 20_000}", "policy-violation"),
    "ten thousand attributes": (GOOD[:-1] + "".join(f" a{n}=''" for n in range(10_000)), "policy-violation"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers(daemon: Daemon, name: str) -> None:
    """Before anything has been agreed on."""
    data, expected = HEADERS[name]
    with Raw(daemon) as raw:
        raw.send(data)
        assert raw.stream_error() == expected


EARLY: dict[str, tuple[str | bytes, str]] = {
    "a message": ("<message to='alice@chat.example'><body>x</body></message>", "not-authorized"),
    "an iq": (f"<iq type='get' id='1'><query xmlns='{ns.ROSTER}'/></iq>", "not-authorized"),
    "a bind": (f"<iq type='set' id='1'><bind xmlns='{ns.BIND}'/></iq>", "not-authorized"),
    "what nobody knows": ("<fly xmlns='urn:x'/>", "unsupported-stanza-type"),
    "a second header": (f"{GOOD}</stream:stream>", "unsupported-stanza-type"),
    "11 KiB": (f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{'A' * 11_000}</auth>", "policy-violation"),
    "11 KiB without end": (f"<auth xmlns='{ns.SASL}' mechanism='{'A' * 11_000}", "policy-violation"),
    "a depth bomb": ("<auth>" * 65, "policy-violation"),
    "text": ("hello?", "bad-format"),
    "an end that is none": ("</stream>", "not-well-formed"),
}


@pytest.mark.parametrize("name", EARLY)
def test_before_log_in(daemon: Daemon, name: str) -> None:
    """TLS is up, and nobody has logged in: little is allowed, and little of it at a time."""
    data, expected = EARLY[name]
    with Raw(daemon, "c2s_tls") as raw:
        raw.open()
        raw.send(data)
        assert raw.stream_error() == expected


def test_in_the_clear(daemon: Daemon, person: str) -> None:
    """Without TLS there are neither stanzas nor passwords (RFC 7590 3.1); what is slipped in behind <starttls/>, as a
    man in the middle would, is never looked at (RFC 6120 5.4.3.3)."""
    with Raw(daemon) as raw:
        raw.open()
        raw.send("<message to='x'/>")
        assert raw.stream_error() == "policy-violation"
    with Raw(daemon) as raw:
        raw.open()
        assert raw.auth(person)[0].tag.endswith("encryption-required")
        raw.send(f"<starttls xmlns='{ns.TLS}'/>{GOOD}<auth xmlns='{ns.SASL}' mechanism='EXTERNAL'/>")
        raw.until("{%s}proceed" % ns.TLS)
        # The bytes behind it were dropped, and the handshake is as if they had never come.
        raw.secure()
        raw.open()
        assert raw.auth(person).tag.endswith("success")


INSIDE: dict[str, tuple[str | bytes, str | None]] = {
    "tags that cross": ("<message><body></message></body>", "not-well-formed"),
    "an attribute without quotes": ("<message to=x/>", "not-well-formed"),
    "an attribute twice": ("<message to='a' to='b'/>", "not-well-formed"),
    "a zero byte": (b"<message><body>\0</body></message>", "not-well-formed"),
    "a reference to a control character": ("<message><body>&#1;</body></message>", "not-well-formed"),
    "no UTF-8": (b"<message><body>\xff\xfe\xfd</body></message>", "not-well-formed"),
    "half a character": (b"<message><body>\xc3</body></message>", "not-well-formed"),
    "an ampersand": ("<message><body>you & me</body></message>", "not-well-formed"),
    "an entity": ("<message><body>&laugh;</body></message>", "restricted-xml"),
    "an entity in an attribute": ("<message to='&laugh;'/>", "restricted-xml"),
    "a DTD": ("<!DOCTYPE message []><message/>", "not-well-formed"),
    "a comment": ("<message><!-- psst --></message>", "restricted-xml"),
    "a processing instruction": ("<message><?xml-stylesheet href='x'?></message>", "restricted-xml"),
    "a second declaration": ("<?xml version='1.0'?><presence/>", "not-well-formed"),
    "text between stanzas": ("<presence/>hello<presence/>", "bad-format"),
    "CDATA between stanzas": ("<presence/><![CDATA[hello]]><presence/>", "bad-format"),
    "an undeclared prefix": ("<message><x:body>hi</x:body></message>", "bad-namespace-prefix"),
    "a message of servers": ("<message xmlns='jabber:server' to='a'/>", "invalid-namespace"),
    "a message of nobody": ("<message xmlns='' to='a'/>", "invalid-namespace"),
    "what nobody knows": ("<fly xmlns='urn:x'/>", "unsupported-stanza-type"),
    "a header": (f"{GOOD}</stream:stream>", "unsupported-stanza-type"),
    "STARTTLS": (f"<starttls xmlns='{ns.TLS}'/>", "policy-violation"),
    "another log-in": (f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>AGEAYg==</auth>", "policy-violation"),
    "something behind the end": ("</stream:stream><presence/>", None),
    "257 KiB": (f"<message><body>{'x' * 257 * 1024}</body></message>", "policy-violation"),
    "257 KiB without end": (f"<message><body>{'x' * 257 * 1024}", "policy-violation"),
    "257 KiB of a tag": (f"<message to='{'x' * 257 * 1024}", "policy-violation"),
    "257 KiB of blanks in a stanza": (f"<message>{' ' * 257 * 1024}", "policy-violation"),
    "257 KiB of children": (f"<message>{'<x/>' * 66_000}", "policy-violation"),
    "a depth bomb": ("<message>" + "<x>" * 64, "policy-violation"),
    "a large depth bomb": ("<x>" * 80_000, "policy-violation"),
    "a forged from": (f"<message from='alice@{DOMAIN}' to='bob@{DOMAIN}'/>", "invalid-from"),
    "the server's from": (f"<iq from='{DOMAIN}' type='get' id='1'><ping xmlns='{ns.PING}'/></iq>", "invalid-from"),
    "a from that is no address": ("<presence from='@@@'/>", "invalid-from"),
    "an empty from": ("<presence from=''/>", "invalid-from"),
    "an acknowledgement nobody asked for": (f"<a xmlns='{ns.SM}' h='1'/>", "unsupported-stanza-type"),
}


@pytest.mark.parametrize("name", INSIDE)
def test_in_a_session(daemon: Daemon, person: str, name: str) -> None:
    """From somebody who has logged in.  An orderly end with something behind it is an orderly end."""
    data, expected = INSIDE[name]
    with Raw(daemon, "c2s_tls") as raw:
        raw.login(person)
        raw.send(data)
        if expected is None:
            raw.ended()
        else:
            assert raw.stream_error() == expected


def test_byte_by_byte(daemon: Daemon, person: str) -> None:
    """However the bytes are cut, the outcome is the same."""
    with Raw(daemon, "c2s_tls") as raw:
        raw.login(person)
        for byte in f"<message to='{raw.jid}'><body>\u20ac</body></message>".encode():
            raw.put(bytes((byte,)))
        assert raw.body() == "\u20ac"
        for byte in b"<message><body>&x;</body>":
            raw.put(bytes((byte,)))
        assert raw.stream_error() == "restricted-xml"


@pytest.mark.parametrize("size", [0, 1])
def test_the_limit_itself(daemon: Daemon, person: str, size: int) -> None:
    """256 KiB is allowed, one byte more is not."""
    with Raw(daemon, "c2s_tls") as raw:
        raw.login(person)
        shell = f"<message to='{raw.jid}'><body></body></message>"
        body = "x" * (256 * 1024 + size - len(shell))
        raw.send(f"<message to='{raw.jid}'><body>{body}</body></message>")
        if size:
            assert raw.stream_error() == "policy-violation"
        else:
            assert raw.body() == body


def test_what_looks_wrong_and_is_not(daemon: Daemon, person: str) -> None:
    """Blanks between stanzas, CDATA and character references in them, unknown children and attributes."""
    with Raw(daemon, "c2s_tls") as raw:
        raw.login(person)
        raw.send(f" \n\t\r\n <message to='{raw.jid}' x='1' xmlns:p='urn:p' p:y='2'><p:q/><z xmlns='urn:z'/>"
                 "<body>&#x20ac;<![CDATA[<&>]]>&lt;</body></message> \n")
        assert raw.body() == "\u20ac<&><"
