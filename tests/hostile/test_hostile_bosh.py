"""BOSH that breaks XEP-0124: the condition of its section 17 in a terminating body, or an HTTP status where it is no
request of BOSH at all."""

from __future__ import annotations

import http.client
import random
import ssl
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from chatd.core import ns
from tests.daemon import DOMAIN, Daemon
from tests.hostile.bystanders import account
from tests.raw import CLIENT, ERRORS, SASL, STREAMS, Raw, plain

BODY = "{%s}body" % ns.HTTPBIND
PING = f"<iq xmlns='{ns.CLIENT}' type='get' id='p' to='{DOMAIN}'><ping xmlns='{ns.PING}'/></iq>"
_tls = ssl._create_unverified_context()


class Session:
    """A BOSH session that holds one request; each request has a connection of its own."""

    def __init__(self, daemon: Daemon, port: str = "https") -> None:
        self.address = ("127.0.0.1", daemon.ports[port])
        self.is_secure = port == "https"
        self.rid = random.randrange(1 << 20, 1 << 40)
        self.sid = ""

    def post(self, data: bytes, **headers: str) -> tuple[int, ET.Element | None]:
        """Status and <body/> of a response, None where it has none."""
        connection: Any = (http.client.HTTPSConnection(*self.address, context=_tls, timeout=20) if self.is_secure
                           else http.client.HTTPConnection(*self.address, timeout=20))
        try:
            connection.request("POST", "/http-bind", data, {"Content-Type": "text/xml; charset=utf-8", **headers})
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        return response.status, ET.fromstring(text) if text.startswith(b"<body") else None

    def written(self, inner: str = "", rid: int | None = None, **attributes: str) -> bytes:
        """A request with the next number, or this one; "__" stands for ":"."""
        if rid is None:
            self.rid += 1
            rid = self.rid
        given = {"rid": str(rid), "sid": self.sid, **attributes}
        tag = "".join(f" {name.replace('__', ':')}='{value}'" for name, value in given.items() if value)
        return f"<body xmlns='{ns.HTTPBIND}' xmlns:xmpp='{ns.XBOSH}'{tag}>{inner}</body>".encode()

    def ask(self, inner: str = "", rid: int | None = None, **attributes: str) -> ET.Element:
        """The body that answers a request; it comes when there is something to answer."""
        code, body = self.post(self.written(inner, rid, **attributes))
        assert code == 200 and body is not None and body.tag == BODY
        return body

    def open(self, **attributes: str) -> ET.Element:
        """A new session."""
        given = {"to": DOMAIN, "wait": "10", "hold": "1", "ver": "1.11", "xmpp__version": "1.0", **attributes}
        body = self.ask("", None, **given)
        self.sid = body.get("sid", "")
        return body

    def login(self, address: str) -> Session:
        """A session with a resource."""
        self.open()
        assert self.ask(plain(address)).find(SASL + "success") is not None
        assert self.ask(to=DOMAIN, xmpp__restart="true").find(STREAMS + "features") is not None
        wanted = f"<iq xmlns='{ns.CLIENT}' type='set' id='b'><bind xmlns='{ns.BIND}'/></iq>"
        answer = self.ask(wanted).find(CLIENT + "iq")
        assert answer is not None and answer.get("type") == "result"
        self.jid = answer[0][0].text or ""
        return self

    def works(self) -> bool:
        """Is it still there?"""
        answer = self.ask(PING).find(CLIENT + "iq")
        return answer is not None and answer.get("type") == "result"


def ended(body: ET.Element | None) -> str:
    """The condition of a terminating body; for remote-stream-error that of the stream error in it."""
    assert body is not None and body.get("type") == "terminate"
    condition = body.get("condition", "")
    if condition != "remote-stream-error":
        return condition
    error = body.find(STREAMS + "error")
    assert error is not None
    return f"stream {error[0].tag.removeprefix(ERRORS)}"


NO_REQUESTS = {
    "nothing": b"",
    "text": b"hello",
    "half a body": f"<body xmlns='{ns.HTTPBIND}' rid='1' to='{DOMAIN}'>".encode(),
    "no namespace": f"<body rid='1' to='{DOMAIN}'/>".encode(),
    "another element": f"<head xmlns='{ns.HTTPBIND}' rid='1'/>".encode(),
    "no rid": f"<body xmlns='{ns.HTTPBIND}' to='{DOMAIN}'/>".encode(),
    "a rid that is none": f"<body xmlns='{ns.HTTPBIND}' rid='first' to='{DOMAIN}'/>".encode(),
    "a negative rid": f"<body xmlns='{ns.HTTPBIND}' rid='-5' to='{DOMAIN}'/>".encode(),
    "a rid of 2^53": f"<body xmlns='{ns.HTTPBIND}' rid='9007199254740992' to='{DOMAIN}'/>".encode(),
    "a DTD": f"<!DOCTYPE body [<!ENTITY e 'x'>]><body xmlns='{ns.HTTPBIND}' rid='1' to='&e;'/>".encode(),
    "a comment": f"<!-- x --><body xmlns='{ns.HTTPBIND}' rid='1' to='{DOMAIN}'/>".encode(),
    "something behind it": f"<body xmlns='{ns.HTTPBIND}' rid='1' to='{DOMAIN}'/><body/>".encode(),
    "a depth bomb": f"<body xmlns='{ns.HTTPBIND}' rid='1' to='{DOMAIN}'>{'<x>' * 70}{'</x>' * 70}</body>".encode(),
    "50 KiB before log-in": f"<body xmlns='{ns.HTTPBIND}' rid='1' to='{DOMAIN}'>{'<x/>' * 12_800}</body>".encode(),
    "a stanza of 11 KiB before log-in":
        f"<body xmlns='{ns.HTTPBIND}' rid='1' to='{DOMAIN}'><x>{'x' * 11_000}</x></body>".encode(),
    "zero bytes": bytes(200),
}


@pytest.mark.parametrize("name", NO_REQUESTS)
def test_no_request_of_bosh(daemon: Daemon, name: str) -> None:
    """400, and bad-request for those who read it."""
    code, body = Session(daemon).post(NO_REQUESTS[name])
    assert (code, ended(body)) == (400, "bad-request")


def test_a_megabyte(daemon: Daemon) -> None:
    """More than any body may have is not even read."""
    with Raw(daemon, "http") as raw:
        raw.put(b"POST /http-bind HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n")
        assert raw.get().startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods(daemon: Daemon, method: str) -> None:
    """Only POST and OPTIONS are for BOSH."""
    with Raw(daemon, "http") as raw:
        raw.put(f"{method} /http-bind HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        assert raw.get().split()[1] in (b"405", b"501")


def test_pages_of_somebody_else(daemon: Daemon) -> None:
    """Another origin is refused, before anything is looked at."""
    session = Session(daemon)
    code, body = session.post(session.written(to=DOMAIN, wait="1", hold="1"), Origin="https://evil.example")
    assert (code, body) == (403, None)


@pytest.mark.parametrize("to", ["", "example.org", "@@", f"alice@{DOMAIN}"])
def test_hosts(daemon: Daemon, to: str) -> None:
    """A session for nobody here ends at once."""
    assert ended(Session(daemon).open(to=to)) in ("improper-addressing", "host-unknown")


def test_a_session_that_is_not_there(daemon: Daemon) -> None:
    """item-not-found, whatever the sid looks like."""
    for sid in ("nobody", "x" * 64, "x" * 5000, "../../etc", "&lt;&gt;"):
        session = Session(daemon)
        session.sid = sid
        assert ended(session.ask()) == "item-not-found"


@pytest.mark.parametrize("far", [-1000, -10, 3, 10, 1 << 40])
def test_numbers_out_of_the_window(daemon: Daemon, person: str, far: int) -> None:
    """A rid that is not to be expected ends the session (XEP-0124 14.2)."""
    session = Session(daemon).login(person)
    assert ended(session.ask(PING, rid=session.rid + far)) == "item-not-found"
    assert ended(session.ask(PING)) == "item-not-found"


def test_a_number_again(daemon: Daemon, person: str) -> None:
    """The same request again gets the same answer, and is not worked off twice."""
    session = Session(daemon).login(person)
    note = f"<message xmlns='{ns.CLIENT}' to='{session.jid}' type='chat'><body>once</body></message>"
    session.rid += 1
    first, again = session.ask(note + PING, rid=session.rid), session.ask(note + PING, rid=session.rid)
    assert ET.tostring(first) == ET.tostring(again)
    bodies = [element.text for element in (*first.iter(CLIENT + "body"), *session.ask(PING).iter(CLIENT + "body"))]
    assert bodies == ["once"]
    assert session.works()


BROKEN = {
    "not well-formed": ("<message><body></message>", "stream not-well-formed"),
    "an entity": ("<message xmlns='jabber:client'><body>&lol;</body></message>", "stream restricted-xml"),
    "a processing instruction": ("<?php?>", "stream restricted-xml"),
    "text": ("hello", "stream bad-format"),
    "a forged from": (f"<message xmlns='jabber:client' from='alice@{DOMAIN}'/>", "stream invalid-from"),
    "a message of servers": ("<message xmlns='jabber:server'/>", "stream invalid-namespace"),
    "what nobody knows": ("<x xmlns='urn:x'/>", "stream unsupported-stanza-type"),
    "another log-in": (f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>AGEAYg==</auth>", "stream policy-violation"),
    "STARTTLS": (f"<starttls xmlns='{ns.TLS}'/>", "stream policy-violation"),
    "257 KiB": (f"<message xmlns='jabber:client'><body>{'x' * 257 * 1024}</body></message>", "stream policy-violation"),
    "a depth bomb": ("<message xmlns='jabber:client'>" + "<x>" * 64 + "</x>" * 64 + "</message>",
                     "stream policy-violation"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_in_a_session(daemon: Daemon, person: str, name: str) -> None:
    """The stream's own error, in the body that ends the session."""
    inner, expected = BROKEN[name]
    session = Session(daemon).login(person)
    assert ended(session.ask(inner)) == expected
    assert ended(session.ask()) == "item-not-found"


def test_before_log_in(daemon: Daemon) -> None:
    """Stanzas of strangers."""
    session = Session(daemon)
    session.open()
    assert ended(session.ask(PING)) == "stream not-authorized"


def test_somebody_elses_session(daemon: Daemon, person: str) -> None:
    """A session of TLS is not to be used without it, and guessing its number does not end it."""
    session, thief = Session(daemon).login(person), Session(daemon, "http")
    thief.sid, thief.rid = session.sid, session.rid
    code, _ = thief.post(thief.written(PING))
    assert code == 403
    assert session.works()


def test_more_requests_than_allowed(daemon: Daemon, person: str) -> None:
    """One that came early waits for those before it; when another is beyond the window, both learn of the end."""
    session = Session(daemon).login(person)
    early = session.written(rid=session.rid + 2)
    with Raw(daemon, "https") as raw:
        raw.put(b"POST /http-bind HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(early), early))
        assert ended(session.ask(rid=session.rid + 9)) == "item-not-found"
        answer = raw.get()
        assert b"item-not-found" in answer


def test_sessions_nobody_uses(daemon: Daemon) -> None:
    """A hundred of them are opened and left; they end by themselves when log-in is due."""
    sessions = [Session(daemon) for _ in range(100)]
    for session in sessions:
        session.open()
    # The deadline for log-in ends them; the request that finds out is held until then.
    assert ended(sessions[-1].ask()) in ("stream connection-timeout", "item-not-found")


def test_a_flood(daemon: Daemon, person: str) -> None:
    """A thousand messages in a few bodies: worked off slower, in order, and complete."""
    other = account(daemon)
    session = Session(daemon).login(person)
    with Raw(daemon, "c2s_tls").login(other) as reader:
        for start in range(0, 1000, 250):
            session.ask("".join(
                f"<message xmlns='{ns.CLIENT}' to='{other}' type='chat'><body>{n}</body></message>"
                for n in range(start, start + 250)) + PING)
        assert [reader.body() for _ in range(1000)] == [str(n) for n in range(1000)]
