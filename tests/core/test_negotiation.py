"""A client's stream up to the bound resource: the table is complete, and each refusal is the RFC's own."""
from __future__ import annotations

import base64
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatd.core import ns
from chatd.core.accounts import Verifier
from chatd.core.errors import STREAM_CONDITIONS, StanzaError, StreamError
from chatd.core.framing import Framer, StreamEnd, StreamStart
from chatd.core.jid import JID
from chatd.core.negotiation import (
    Authenticated,
    AuthFailed,
    Bind,
    CheckPassword,
    Close,
    Deliver,
    Enable,
    FindAccount,
    Negotiation,
    Restart,
    Resume,
    Send,
    StartTLS,
    Terms,
    Wire,
)
from chatd.core.stanza import Stanza, parse_element
from chatd.core.stream_table import EVENTS, STATES, TABLE

PLAIN = base64.b64encode(b"\0john\0pw").decode()
AUTH = f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{PLAIN}</auth>"
BIND = f"<iq type='set' id='b1'><bind xmlns='{ns.BIND}'><resource>desk</resource></bind></iq>"
SESSION = f"<iq type='set' id='s1'><session xmlns='{ns.SESSION}'/></iq>"
STARTTLS = f"<starttls xmlns='{ns.TLS}'/>"
ENABLE = f"<enable xmlns='{ns.SM}' resume='true' max='60'/>"
RESUME = f"<resume xmlns='{ns.SM}' previd='abc' h='7'/>"
MESSAGE = "<message to='juliet@example.com'><body>hi</body></message>"


def terms(**changed: Any) -> Terms:
    count = itertools.count(1)
    given_: dict[str, Any] = {
        "host": "xmpp.host.net", "domains": frozenset({"example.com", "mynewdomain.com"}), "secret": b"s",
        "token": lambda: f"token{next(count)}", "features": lambda domain: b"<csi xmlns='urn:xmpp:csi:0'/>"}
    return Terms(**(given_ | changed))


class Client:
    """Sends XML as a client would, and keeps what the actions say."""

    def __init__(self, wire: Wire = Wire.TCP, is_secured: bool = False, **changed: Any) -> None:
        self.n = Negotiation(terms(**changed), wire, is_secured, changed.pop("bindings", {}))
        self.wire = wire
        self.log: list[Any] = []
        self.sent = b""

    def take(self, actions: list[Any]) -> list[Any]:
        for action in actions:
            if isinstance(action, Send):
                assert action.data
                if self.wire is not Wire.TCP:
                    parse_element(action.data)  # every frame stands alone
                self.sent += action.data
            self.log.append(action)
        return actions

    def header(self, to: str = "example.com", version: str = "1.0", default: str = ns.CLIENT,
               streams: str = ns.STREAMS, name: str = "stream:stream", more: str = "") -> list[Any]:
        self.framer = Framer(10_000, 20)
        text = f"<{name} xmlns='{default}' xmlns:stream='{streams}' version='{version}' {more}"
        return self.feed(text + (f" to='{to}'>" if to else ">"))

    def open(self, to: str = "example.com") -> list[Any]:
        return self.send(f"<open xmlns='{ns.FRAMING}' to='{to}' version='1.0'/>")

    def feed(self, text: str) -> list[Any]:
        actions = []
        for event in self.framer.feed(text.encode()):
            if isinstance(event, StreamStart):
                actions += self.take(self.n.opened(event))
            elif isinstance(event, StreamEnd):
                actions += self.take(self.n.ended())
            else:
                assert isinstance(event, Stanza), event
                actions += self.take(self.n.received(event))
        return actions

    def send(self, text: str) -> list[Any]:
        """One element, with jabber:client as the default namespace."""
        document = Framer(100_000, 20)
        document.feed(f"<stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAMS}'>".encode())
        (stanza,) = document.feed(text.encode())
        assert isinstance(stanza, Stanza)
        return self.take(self.n.received(stanza))

    def said(self) -> str:
        """What was sent since the last call."""
        text, self.sent = self.sent.decode(), b""
        return text

    def log_in(self) -> Client:
        if self.wire is Wire.TCP:
            self.header()
        else:
            self.open()
        assert self.send(AUTH) == [CheckPassword("john", "example.com", "pw")]
        self.take(self.n.password_checked(True))
        if self.wire is Wire.TCP:
            self.header()
        else:
            self.open()
        assert self.n.state == "unbound"
        return self

    def bind(self) -> Client:
        self.log_in()
        assert self.send(BIND) == [Bind(JID.parse("john@example.com/desk"))]
        self.take(self.n.bound())
        self.said()
        return self


def test_the_table_is_complete() -> None:
    assert set(TABLE) == {(state, event) for state in STATES for event in EVENTS}
    for entry in TABLE.values():
        if entry[0] == "!":
            assert entry[1:] in STREAM_CONDITIONS
        else:
            assert entry == "hold" or callable(getattr(Negotiation, "_" + entry))


def test_starttls_scram_bind_whole() -> None:
    """RFC 6120 9.1, as bytes."""
    client = Client()
    client.header(more="from='john@example.com'")
    assert client.said() == (
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
        "xmlns:stream='http://etherx.jabber.org/streams' from='example.com' id='token1' "
        "to='john@example.com' version='1.0' xml:lang='en'>"
        "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
        "</stream:features>")
    assert client.feed(STARTTLS)[-1] == StartTLS()
    assert client.said() == "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    assert client.n.is_waiting
    assert client.n.tls_started({"tls-exporter": b"x" * 32}) == []
    client.header()
    text = client.said()
    mechanisms = text.partition("<mechanisms ")[2].partition("</mechanisms>")[0]
    assert [m.split("<")[0] for m in mechanisms.split("<mechanism>")[1:]] == [
        "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]
    assert "<channel-binding type='tls-exporter'/>" in text and "starttls" not in text
    first = base64.b64encode(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").decode()
    assert client.feed(f"<auth xmlns='{ns.SASL}' mechanism='SCRAM-SHA-256'>{first}</auth>") == [
        FindAccount("user", "example.com", "SCRAM-SHA-256")]
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    client.take(client.n.account(Verifier(salt, 4096, b"k" * 32, b"k" * 32)))
    assert client.said().startswith("<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>")
    final = base64.b64encode(b"c=biws,r=rOprNGfwEbeRWgbNEkqOtoken3,p=" + base64.b64encode(b"p" * 32)).decode()
    assert client.feed(f"<response xmlns='{ns.SASL}'>{final}</response>")[-1] == AuthFailed(
        "not-authorized", "wrong-password", "SCRAM-SHA-256", JID.parse("user@example.com"))
    assert client.said() == "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>"
    client.feed(AUTH)
    assert client.take(client.n.password_checked(True))[1:] == [
        Authenticated(JID.parse("john@example.com"), "PLAIN"), Restart()]
    assert client.said() == "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
    client.header()
    text = client.said()
    assert "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>" in text and "<optional/>" in text
    assert "<sm xmlns='urn:xmpp:sm:3'/><csi xmlns='urn:xmpp:csi:0'/></stream:features>" in text
    assert "to='john@example.com'" in text
    client.feed(BIND)
    client.take(client.n.bound())
    assert client.n.is_bound and client.n.jid == JID.parse("john@example.com/desk")
    answer = parse_element(client.said().encode())
    assert (answer["type"], answer["id"]) == ("result", "b1")
    assert str(answer.bind.jid) == "john@example.com/desk"
    client.feed("</stream:stream>")
    assert client.log[-1] == Close(None) and client.said() == "</stream:stream>"


@pytest.mark.parametrize("wire", [Wire.WEBSOCKET, Wire.BOSH])
def test_other_carriers(wire: Wire) -> None:
    """Every frame stands alone, headers are <open/> (WebSocket) or none (BOSH), no STARTTLS."""
    client = Client(wire, is_secured=True)
    if wire is Wire.BOSH:
        client.open = lambda to="example.com": client.take(client.n.opened(  # type: ignore[method-assign]
            StreamStart("body", ns.HTTPBIND, {"to": to, "version": "1.0"}, ns.HTTPBIND)))
    client.bind()
    client.send(SESSION)
    text = client.said()
    assert 'xmlns="jabber:client"' in text
    if wire is Wire.WEBSOCKET:
        client.send(f"<close xmlns='{ns.FRAMING}'/>")
        assert client.said() == "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"
    else:
        client.take(client.n.ended())
        assert client.said() == ""
    assert client.log[-1] == Close(None)


def test_websocket_error_frames() -> None:
    client = Client(Wire.WEBSOCKET, is_secured=True)
    actions = client.open("nowhere.org")
    assert [a.data.split(b" ")[0] for a in actions[:-1]] == [b"<open", b"<stream:error", b"<close"]
    assert actions[-1].error.condition == "host-unknown"


def error_of(actions: list[Any]) -> str | None:
    last = actions[-1] if actions else None
    return last.error.condition if isinstance(last, Close) and last.error else None


@pytest.mark.parametrize("header,condition", [
    ({"to": "nowhere.org"}, "host-unknown"), ({"to": "a@b@c"}, "host-unknown"),
    ({"to": "john@example.com"}, "host-unknown"), ({"to": ""}, "improper-addressing"),
    ({"version": "0.9"}, "unsupported-version"), ({"version": ""}, "unsupported-version"),
    ({"version": "x"}, "unsupported-version"), ({"default": "jabber:server"}, "invalid-namespace"),
    ({"streams": "urn:other"}, "invalid-namespace"), ({"name": "stream:flood"}, "bad-format"),
    ({"name": "stream"}, "invalid-namespace")])
def test_headers_refused(header: dict[str, str], condition: str) -> None:
    client = Client()
    assert error_of(client.header(**header)) == condition
    text = client.said()
    assert text.startswith("<?xml") and text.endswith("</stream:error></stream:stream>")  # RFC 6120 4.9.1.2
    assert client.n.received(Stanza("message", {})) == []


def test_a_later_version_is_answered_with_ours() -> None:
    client = Client()
    client.header(version="1.1")
    assert "version='1.0'" in client.said() and client.n.state == "unsecured"


@pytest.mark.parametrize("element,condition", [
    (MESSAGE, "policy-violation"), (BIND, "policy-violation"), (SESSION, "policy-violation"),
    ("<flood/>", "unsupported-stanza-type"), ("<message xmlns='jabber:server'/>", "invalid-namespace"),
    ("<stream xmlns='http://etherx.jabber.org/streams'/>", "unsupported-stanza-type")])
def test_before_tls(element: str, condition: str) -> None:
    client = Client()
    client.header()
    assert error_of(client.send(element)) == condition


def test_a_password_before_tls() -> None:
    client = Client()
    client.header()
    actions = client.send(AUTH)
    assert isinstance(actions[1], AuthFailed) and actions[1].condition == "encryption-required"
    assert client.n.state == "unsecured"
    assert client.send(STARTTLS)[-1] == StartTLS()


def test_what_is_slipped_in_before_the_handshake_ends_the_stream() -> None:
    client = Client()
    client.header()
    client.send(STARTTLS)
    client.said()
    assert error_of(client.send(MESSAGE)) == "policy-violation"
    assert client.said() == ""
    assert client.n.tls_started({}) == []
    assert client.n.state == "closed"


@pytest.mark.parametrize("element,condition", [
    (MESSAGE, "not-authorized"), (BIND, "not-authorized"), (SESSION, "not-authorized"),
    ("<iq type='get' id='1'><query xmlns='jabber:iq:auth'/></iq>", "not-authorized")])
def test_before_authentication_and_before_binding(element: str, condition: str) -> None:
    client = Client(is_secured=True)
    client.header()
    assert error_of(client.send(element)) == condition
    if element is not BIND:
        assert error_of(Client(is_secured=True).log_in().send(element)) == condition


def test_starttls_twice() -> None:
    client = Client(is_secured=True)
    client.header()
    client.said()
    assert client.send(STARTTLS)[-1] == Close(None)
    assert client.said() == "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"


@pytest.mark.parametrize("element,condition", [
    (f"<auth xmlns='{ns.SASL}' mechanism='EXTERNAL'>=</auth>", "invalid-mechanism"),
    (f"<auth xmlns='{ns.SASL}'/>", "invalid-mechanism"),
    (f"<auth xmlns='{ns.SASL}' mechanism='SCRAM-SHA-1-PLUS'>=</auth>", "invalid-mechanism"),
    (f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>*</auth>", "incorrect-encoding"),
    (f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'><a/></auth>", "incorrect-encoding"),
    (f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>\u00e4</auth>", "incorrect-encoding"),
    (f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>=</auth>", "malformed-request"),
    (f"<response xmlns='{ns.SASL}'/>", "malformed-request"),
    (f"<abort xmlns='{ns.SASL}'/>", "malformed-request")])
def test_sasl_failures(element: str, condition: str) -> None:
    client = Client(is_secured=True)
    client.header()
    actions = client.send(element)
    assert isinstance(actions[-1], AuthFailed) and actions[-1].condition == condition
    assert f"<{condition}/>" in client.said() and client.n.state == "unauthenticated"
    client.send(AUTH.replace(PLAIN, "&#" + str(ord(PLAIN[0])) + ";" + PLAIN[1:]))
    assert client.n.state == "verifying"


def test_challenge_and_abort() -> None:
    client = Client(is_secured=True)
    client.header()
    client.said()
    client.send(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'/>")
    assert client.said() == "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>=</challenge>"
    client.send(f"<abort xmlns='{ns.SASL}'/>")
    assert "<aborted/>" in client.said()
    client.send(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'/>")
    assert client.send(f"<response xmlns='{ns.SASL}'>{PLAIN}</response>") == [
        CheckPassword("john", "example.com", "pw")]
    assert isinstance(client.take(client.n.refuse("temporary-auth-failure", "back-off"))[-1], AuthFailed)
    assert "Try again in a while" in client.said()


def test_too_many_attempts() -> None:
    client = Client(is_secured=True, attempts=3)
    client.header()
    for attempt in range(3):
        client.send(AUTH)
        actions = client.take(client.n.password_checked(False))
        assert (error_of(actions) == "policy-violation") == (attempt == 2)


def test_an_abort_while_we_look_up_waits_for_us() -> None:
    """So that our late answer can never meet another exchange."""
    client = Client(is_secured=True)
    client.header()
    client.send(AUTH)
    assert client.send(f"<abort xmlns='{ns.SASL}'/>") == []
    assert client.send(AUTH.replace(PLAIN, base64.b64encode(b"\0eve\0x").decode())) == []
    actions = client.take(client.n.password_checked(False))
    assert [action.condition for action in actions if isinstance(action, AuthFailed)] == [
        "not-authorized", "malformed-request"]
    assert actions[-1] == CheckPassword("eve", "example.com", "x")


def test_gone_while_we_look_up() -> None:
    client = Client(is_secured=True)
    client.header()
    client.send(AUTH)
    assert client.take(client.n.ended())[-1] == Close(None)
    assert client.n.password_checked(True) == [] and client.n.failed(StreamError("reset")) == []


@pytest.mark.parametrize("to,username,found", [
    ("example.com", "john", "john@example.com"), ("example.com", "john@example.com", "john@example.com"),
    ("example.com", "john@mynewdomain.com", None), ("xmpp.host.net", "john", None),
    ("xmpp.host.net", "john@mynewdomain.com", "john@mynewdomain.com")])
def test_names_and_full_addresses(to: str, username: str, found: str | None) -> None:
    """People log in as john@mynewdomain.com at xmpp.host.net; a bare `john` there could be anybody."""
    client = Client(is_secured=True)
    client.header(to=to)
    payload = base64.b64encode(f"\0{username}\0pw".encode()).decode()
    actions = client.send(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{payload}</auth>")
    if found is None:
        assert isinstance(actions[-1], AuthFailed) and actions[-1].condition == "not-authorized"
        return
    local, domain = found.split("@")
    assert actions == [CheckPassword(local, domain, "pw")]
    client.n.password_checked(True)
    client.header(to=to)
    assert client.n.state == "unbound"


def test_one_domain_behind_a_host_name() -> None:
    client = Client(is_secured=True, domains=frozenset({"example.com"}))
    client.header(to="xmpp.host.net")
    assert client.send(AUTH) == [CheckPassword("john", "example.com", "pw")]
    client.n.password_checked(True)
    assert error_of(client.header(to="mynewdomain.com")) == "host-unknown"


def test_bind() -> None:
    client = Client(is_secured=True).log_in()
    (action,) = client.send(f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'/></iq>")
    assert action.jid.resource.startswith("token")
    client.said()
    client.take(client.n.bind_refused(StanzaError("resource-constraint")))
    assert "resource-constraint" in client.said() and client.n.state == "unbound"
    long = "x" * 1024
    client.send(BIND.replace("desk", long))
    assert "bad-request" in client.said() and client.n.state == "unbound"
    client.send(BIND.replace("id='b1'", ""))
    assert "bad-request" in client.said() and client.n.state == "unbound"
    client.send(BIND)
    client.take(client.n.bound())
    client.said()
    client.send(BIND)
    assert "not-allowed" in client.said() and client.n.is_bound


def test_session_and_stanzas_once_bound() -> None:
    client = Client(is_secured=True).bind()
    client.send(SESSION)
    answer = parse_element(client.said().encode())
    assert (answer["type"], answer["id"]) == ("result", "s1")
    (action,) = client.send(MESSAGE)
    assert isinstance(action, Deliver) and action.stanza.name == "message"
    (action,) = client.send("<r xmlns='urn:xmpp:sm:3'/>")
    assert isinstance(action, Deliver)
    assert error_of(client.send(AUTH)) == "policy-violation"


def test_what_is_pipelined_behind_a_bind_waits() -> None:
    client = Client(is_secured=True).log_in()
    client.send(BIND)
    assert client.send(SESSION) == client.send("<presence/>") == client.send(MESSAGE) == []
    actions = client.n.bound()
    assert [type(a) for a in actions] == [Send, Send, Deliver, Deliver]
    client = Client(is_secured=True).log_in()
    client.send(BIND)
    for _ in range(40):
        actions = client.send(MESSAGE)
    assert client.n.state == "closed" and any(
        isinstance(a, Close) and a.error and a.error.condition == "policy-violation" for a in client.log)
    assert client.n.bound() == []


def test_stream_management() -> None:
    client = Client(is_secured=True)
    client.header()
    client.said()
    client.send(ENABLE)
    assert "<unexpected-request" in client.said()
    client = Client(is_secured=True).bind()
    assert client.send(ENABLE) == [Enable(True, 60)]
    client.take(client.n.sm_enabled("id1", 300))
    assert client.said() == "<enabled xmlns='urn:xmpp:sm:3' id='id1' resume='true' max='300'/>"
    client.send(ENABLE)
    assert client.said() == ("<failed xmlns='urn:xmpp:sm:3'><unexpected-request "
                             "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
    client.send(RESUME)
    assert "<unexpected-request" in client.said() and client.n.is_bound


def test_resumption() -> None:
    client = Client(is_secured=True).log_in()
    client.said()
    assert client.send(RESUME) == [Resume("abc", 7)]
    assert client.send(MESSAGE) == []
    client.take(client.n.resume_failed(h=3))
    assert client.said().startswith("<failed xmlns='urn:xmpp:sm:3' h='3'><item-not-found ")
    assert error_of(client.log) == "not-authorized"  # the message came before anything was bound
    client = Client(is_secured=True).log_in()
    client.said()
    client.send(RESUME)
    client.send(MESSAGE)
    actions = client.take(client.n.resumed(5, JID.parse("john@example.com/phone")))
    assert isinstance(actions[-1], Deliver) and client.n.is_bound
    assert client.said() == "<resumed xmlns='urn:xmpp:sm:3' h='5' previd='abc'/>"
    client = Client(is_secured=True).log_in()
    client.said()
    for broken in (RESUME.replace("h='7'", ""), RESUME.replace("abc", ""), RESUME.replace("7", "-1"),
                   RESUME.replace("7", "4294967296")):
        client.send(broken)
        assert "<bad-request" in client.said() and client.n.state == "unbound"


def test_answers_nobody_asked_for() -> None:
    client = Client(is_secured=True)
    for call in (lambda: client.n.bound(), lambda: client.n.account(None), lambda: client.n.tls_started({}),
                 lambda: client.n.resumed(1, JID.parse("a@b/c")), lambda: client.n.sm_enabled("x")):
        with pytest.raises(RuntimeError):
            call()


ELEMENTS = (AUTH, BIND, SESSION, STARTTLS, ENABLE, RESUME, MESSAGE, "<flood/>", f"<abort xmlns='{ns.SASL}'/>",
            f"<response xmlns='{ns.SASL}'>{PLAIN}</response>", "<r xmlns='urn:xmpp:sm:3'/>",
            "<iq xmlns='jabber:server'/>", f"<auth xmlns='{ns.SASL}' mechanism='SCRAM-SHA-1'/>",
            f"<open xmlns='{ns.FRAMING}' to='example.com' version='1.0'/>", f"<close xmlns='{ns.FRAMING}'/>")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(Wire)), st.booleans(),
       st.lists(st.sampled_from([*ELEMENTS, "header", "end", "yes", "no", "header", "yes"]), max_size=25))
def test_any_order_of_events(wire: Wire, is_secured: bool, events: list[str]) -> None:
    """Any order of events and answers gives actions, never an exception; a resource is bound only after a
    password was right, and after Close nothing more is done."""
    client = Client(wire, is_secured)
    due: Any = None
    was_right = closed = False
    for event in events:
        if event == "header":
            name, space = {Wire.TCP: ("stream", ns.STREAMS), Wire.BOSH: ("body", ns.HTTPBIND)}.get(
                wire, ("open", ns.FRAMING))
            actions = client.take(client.n.opened(
                StreamStart(name, space, {"to": "example.com", "version": "1.0"}, ns.CLIENT)))
        elif event == "end":
            actions = client.take(client.n.ended())
        elif event in ("yes", "no"):
            answer = event == "yes"
            if isinstance(due, StartTLS):
                actions = client.n.tls_started({})
            elif isinstance(due, CheckPassword):
                was_right = was_right or answer
                actions = client.n.password_checked(answer)
            elif isinstance(due, FindAccount):
                actions = client.n.account(None)
            elif isinstance(due, Bind):
                assert was_right
                actions = client.n.bound() if answer else client.n.bind_refused(StanzaError("not-allowed"))
            elif isinstance(due, Resume):
                assert was_right
                actions = client.n.resumed(1, JID.parse("john@example.com/x")) if answer else (
                    client.n.resume_failed())
            else:
                continue
            due = None
            client.take(actions)
        else:
            actions = client.send(event)
        assert not (closed and actions)
        closed = closed or any(isinstance(a, Close) for a in actions)
        assert closed == (client.n.state == "closed")
        for action in actions:
            assert not isinstance(action, Deliver) or was_right
            if isinstance(action, StartTLS | CheckPassword | FindAccount | Bind | Resume):
                assert due is None and client.n.is_waiting
                due = action
