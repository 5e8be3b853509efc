"""XEP-0388 on the machine of a stream: one <authenticate/>, one <success/>, and in between nothing else is heard."""
from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Any

import pytest

from chatd.core import ns, sasl, sasl2
from chatd.core.jid import JID
from chatd.core.negotiation import (
    Authenticated,
    AuthFailed,
    BindInline,
    CheckPassword,
    Close,
    FindAccount,
    FindTokens,
    IssueToken,
    Resume,
    UseToken,
    Wire,
)
from chatd.core.sasl_ht import Token
from tests.core.test_negotiation import Client

UA = "d4565fa7-4d72-4749-b3d3-740edbf87770"
AGENT = f"<user-agent id='{UA}'><software>AwesomeXMPP</software><device>Kiva's Phone</device></user-agent>"
PLAIN = base64.b64encode(b"\0john\0pw").decode()
BIND = "<bind xmlns='urn:xmpp:bind:0'><tag>AwesomeXMPP</tag><enable xmlns='urn:xmpp:sm:3'/></bind>"
RESUME = "<resume xmlns='urn:xmpp:sm:3' previd='abc' h='7'/>"
JOHN = JID.parse("john@example.com")
SILENT = ["<message/>", "<iq type='set' id='a'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", "<x xmlns='u'/>",
          f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'/>", f"<response xmlns='{ns.SASL}'/>",
          f"<abort xmlns='{ns.SASL}'/>", f"<authenticate xmlns='{ns.SASL2}' mechanism='PLAIN'/>"]


def authenticate(mechanism: str = "PLAIN", initial: str | None = PLAIN, more: str = "") -> str:
    response = "" if initial is None else f"<initial-response>{initial}</initial-response>"
    return f"<authenticate xmlns='{ns.SASL2}' mechanism='{mechanism}'>{response}{AGENT}{more}</authenticate>"


def ready(from_: str = "john@example.com", **changed: Any) -> Client:
    client = Client(is_secured=True, **changed)
    client.header(more=f"from='{from_}'")
    return client


def test_what_is_offered() -> None:
    client = Client(is_secured=True, has_tokens=True, inline=lambda: ("urn:xmpp:carbons:2", "urn:xmpp:sm:3"))
    client.n._bindings = {"tls-exporter": b"x"}
    client.header()
    said = client.said()
    assert said.startswith("<?xml")
    offered = said.partition(f"<authentication xmlns='{ns.SASL2}'>")[2].partition("<inline>")[0]
    assert re.findall("<mechanism>([^<]*)", offered) == [
        "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]
    assert said.count("<feature var=") == 2 and f"</bind><sm xmlns='{ns.SM}'/><fast" in said
    assert (f"<fast xmlns='{ns.FAST}'><mechanism>HT-SHA-256-EXPR</mechanism>"
            "<mechanism>HT-SHA-256-NONE</mechanism></fast></inline>") in said
    assert "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/>" in said


@pytest.mark.parametrize(("wire", "is_secured", "is_offered"), [
    (Wire.WEBSOCKET, True, True), (Wire.WEBSOCKET, False, False), (Wire.BOSH, True, True), (Wire.TCP, True, True)])
def test_under_tls_only(wire: Wire, is_secured: bool, is_offered: bool) -> None:
    client = Client(wire, is_secured)
    client.header() if wire is not Wire.WEBSOCKET else client.open()
    assert ("<authentication " in client.said()) is is_offered
    if not is_offered:
        client.send(authenticate("SCRAM-SHA-256"))
        assert f"<encryption-required xmlns='{ns.SASL}'/>" in client.said()


def test_before_starttls() -> None:
    client = Client()
    client.header()
    assert "<authentication" not in client.said()
    client.send(authenticate())
    assert client.said().startswith(f"<failure xmlns='{ns.SASL2}'><encryption-required xmlns='{ns.SASL}'/><text")
    assert client.n.state == "unsecured"


def test_no_tokens_where_another_server_knows_the_passwords() -> None:
    client = ready(has_tokens=True, without_tokens=frozenset({"example.com"}))
    assert "urn:xmpp:fast:0" not in client.said() and "<fast " not in client.said()
    client.send(authenticate("HT-SHA-256-NONE", more=f"<fast xmlns='{ns.FAST}'/>"))
    assert f"<invalid-mechanism xmlns='{ns.SASL}'/>" in client.said()
    other = Client(is_secured=True, has_tokens=True, without_tokens=frozenset({"example.com"}))
    other.header(to="mynewdomain.com")
    assert "HT-SHA-256-NONE" in other.said()


def test_plain_whole() -> None:
    """XEP-0388 6.1, with nothing asked for along with it: binding follows."""
    client = ready()
    client.said()
    assert client.send(authenticate()) == [CheckPassword("john", "example.com", "pw")]
    actions = client.take(client.n.password_checked(True))
    assert actions[0] == Authenticated(JOHN, "PLAIN")
    assert client.said() == (
        f"<success xmlns='{ns.SASL2}'><authorization-identifier>john@example.com</authorization-identifier></success>"
        f"<stream:features><bind xmlns='{ns.BIND}'/><session xmlns='{ns.SESSION}'><optional/></session>"
        f"<sm xmlns='{ns.SM}'/><csi xmlns='urn:xmpp:csi:0'/></stream:features>")
    assert client.n.state == "unbound"
    client.send(authenticate())
    assert client.n.state == "closed" and "policy-violation" in client.said()


def test_bind_along_with_it() -> None:
    client = ready()
    client.send(authenticate(more=BIND))
    client.said()
    (_, bind) = client.take(client.n.password_checked(True))
    assert isinstance(bind, BindInline) and bind.client == UA and [each.name for each in bind.asked] == ["enable"]
    tag, _, made = bind.jid.resource.partition("/")
    assert tag == "AwesomeXMPP" and len(made) == 12 and UA not in bind.jid.full
    client.take(client.n.bound_inline(bind.jid, b"<enabled xmlns='urn:xmpp:sm:3'/>"))
    assert client.said() == (
        f"<success xmlns='{ns.SASL2}'><authorization-identifier>{bind.jid.full}</authorization-identifier>"
        f"<bound xmlns='{ns.BIND2}'><enabled xmlns='urn:xmpp:sm:3'/></bound></success>"
        "<stream:features><csi xmlns='urn:xmpp:csi:0'/></stream:features>")
    assert client.n.is_bound and client.n.jid == bind.jid


def test_the_resource_is_the_clients_own() -> None:
    """The same client and tag get the same resource again, another account or tag another one."""
    def resource(more: str = BIND, secret: bytes = b"s") -> str:
        client = ready(secret=secret)
        client.send(authenticate(more=more))
        (_, bind) = client.n.password_checked(True)
        assert isinstance(bind, BindInline)
        return bind.jid.resource
    assert resource() == resource()
    assert resource().partition("/")[2] not in (resource(secret=b"t").partition("/")[2],
                                                resource(BIND.replace("Awesome", "")).partition("/")[2])
    bad = resource("<bind xmlns='urn:xmpp:bind:0'><tag>\u3000\u0001\u200e</tag></bind>".replace("\u0001", ""))
    assert "/" not in bad and len(bad) == 12
    assert len(resource(BIND.replace("AwesomeXMPP", "x" * 500))) == 64 + 13


def test_resumption_comes_first() -> None:
    client = ready()
    client.send(authenticate(more=BIND + RESUME))
    (_, resume) = client.take(client.n.password_checked(True))
    assert resume == Resume("abc", 7)
    client.said()
    client.take(client.n.resumed(12, JID.parse("john@example.com/desk")))
    assert client.said() == (
        f"<success xmlns='{ns.SASL2}'><authorization-identifier>john@example.com/desk</authorization-identifier>"
        "<resumed xmlns='urn:xmpp:sm:3' h='12' previd='abc'/></success>"
        "<stream:features><csi xmlns='urn:xmpp:csi:0'/></stream:features>")
    assert client.n.is_bound


@pytest.mark.parametrize("resume", [RESUME, RESUME.replace("'7'", "'-1'"), RESUME.replace("previd='abc'", "")])
def test_then_binding(resume: str) -> None:
    """XEP-0386 3.2: <failed/> is told, and the session made."""
    client = ready()
    client.send(authenticate(more=resume + BIND))
    actions = client.n.password_checked(True)
    if actions[1] == Resume("abc", 7):
        actions = client.n.resume_failed("item-not-found", 3)
    bind = actions[-1]
    assert isinstance(bind, BindInline)
    client.said()
    client.take(client.n.bound_inline(bind.jid, b""))
    said = client.said()
    assert said.index("<failed xmlns='urn:xmpp:sm:3'") < said.index(f"<bound xmlns='{ns.BIND2}'/>")
    assert f"<sm xmlns='{ns.SM}'/>" in said


def test_resumption_alone_fails() -> None:
    client = ready()
    client.send(authenticate(more=RESUME))
    client.n.password_checked(True)
    client.take(client.n.resume_failed())
    assert "<item-not-found" in client.said() and client.n.state == "unbound"


def test_no_resource_no_log_in() -> None:
    client = ready()
    client.send(authenticate(more=BIND))
    client.n.password_checked(True)
    client.said()
    (_, failed) = client.take(client.n.not_bound("temporary-auth-failure", "bind"))
    assert isinstance(failed, AuthFailed) and client.n.state == "unauthenticated" and client.n.jid is None
    assert client.said().startswith(f"<failure xmlns='{ns.SASL2}'><temporary-auth-failure xmlns='{ns.SASL}'/>")


def test_a_failed_exchange_does_nothing_else() -> None:
    client = ready(has_tokens=True)
    client.send(authenticate(more=BIND + RESUME + f"<request-token xmlns='{ns.FAST}' mechanism='HT-SHA-256-NONE'/>"))
    client.said()
    actions = client.take(client.n.password_checked(False))
    assert client.said() == f"<failure xmlns='{ns.SASL2}'><not-authorized xmlns='{ns.SASL}'/></failure>"
    assert [type(action) for action in actions[1:]] == [AuthFailed]
    client.send(authenticate())
    client.take(client.n.password_checked(True))
    assert "<bound" not in client.said() and client.n.state == "unbound"


def test_a_token_is_asked_for() -> None:
    client = ready(has_tokens=True)
    client.send(authenticate(more=BIND + f"<request-token xmlns='{ns.FAST}' mechanism='HT-SHA-256-NONE'/>"))
    (_, issue) = client.n.password_checked(True)
    assert issue == IssueToken(JOHN, UA, "HT-SHA-256-NONE", "AwesomeXMPP", "Kiva's Phone")
    given = sasl2.token("fast-x", 0)
    (bind,) = client.n.token_issued(given)
    assert isinstance(bind, BindInline)
    client.said()
    client.take(client.n.bound_inline(bind.jid, b""))
    assert "<token xmlns='urn:xmpp:fast:0' expiry='1970-01-01T00:00:00.000Z' token='fast-x'/>" in client.said()


@pytest.mark.parametrize("more", [
    f"<request-token xmlns='{ns.FAST}' mechanism='HT-SHA-256-EXPR'/>", f"<request-token xmlns='{ns.FAST}'/>"])
def test_no_token_for_what_is_not_offered(more: str) -> None:
    client = ready(has_tokens=True)
    client.send(authenticate(more=more))
    assert len(client.n.password_checked(True)) == 3 and client.n.state == "unbound"


def ht(secret: bytes = b"fast-x", name: bytes = b"john") -> str:
    return base64.b64encode(name + b"\0" + hmac.digest(secret, b"Initiator", "sha256")).decode()


@pytest.mark.parametrize(("is_due", "is_last", "is_renewed"), [
    (False, False, False), (True, False, True), (True, True, False)])
def test_log_in_by_token(is_due: bool, is_last: bool, is_renewed: bool) -> None:
    client = ready(has_tokens=True)
    last = " invalidate='true'" if is_last else ""
    assert client.send(authenticate("HT-SHA-256-NONE", ht(), BIND + f"<fast xmlns='{ns.FAST}' count='3'{last}/>")) == [
        FindTokens("john", "example.com", UA)]
    token = Token("current", "HT-SHA-256-NONE", b"fast-x", 50.0, is_due)
    assert client.n.tokens([token], False, 10.0) == [UseToken("john", "example.com", UA, token, 3, is_last)]
    (_, then) = client.n.token_used(True)
    assert isinstance(then, IssueToken if is_renewed else BindInline)


@pytest.mark.parametrize("text", [
    authenticate("HT-SHA-256-NONE", ht()),
    authenticate("HT-SHA-256-NONE", ht(), f"<fast xmlns='{ns.FAST}'/>").replace(UA, "x"),
])
def test_by_token_it_says_so_and_who_it_is(text: str) -> None:
    client = ready(has_tokens=True)
    client.send(text)
    assert f"<malformed-request xmlns='{ns.SASL}'/>" in client.said()


@pytest.mark.parametrize("more", SILENT)
@pytest.mark.parametrize("where", ["exchanging", "examining", "settling"])
def test_nothing_else_meanwhile(where: str, more: str) -> None:
    """XEP-0388 2.4: whoever says more is cut."""
    client = ready()
    client.send(authenticate(initial=None if where == "exchanging" else PLAIN, more=BIND))
    if where == "settling":
        client.n.password_checked(True)
    assert client.n.state == where
    assert isinstance(client.send(more)[-1], Close) and "policy-violation" in client.said()
    assert client.n.bound_inline(JOHN, b"") == client.n.token_issued(b"") == []


def test_responses_and_abort() -> None:
    client = ready()
    client.send(authenticate(initial=None))
    assert client.said().endswith(f"<challenge xmlns='{ns.SASL2}'></challenge>")
    client.send(f"<response xmlns='{ns.SASL2}'>=</response>")
    assert f"<incorrect-encoding xmlns='{ns.SASL}'/>" in client.said()
    client.send(authenticate(initial=None))
    client.send(f"<abort xmlns='{ns.SASL2}'><text>no</text></abort>")
    assert f"<aborted xmlns='{ns.SASL}'/>" in client.said()
    client.send(f"<response xmlns='{ns.SASL2}'/>")
    assert f"<malformed-request xmlns='{ns.SASL}'/>" in client.said()
    client.send(authenticate("X"))
    assert f"<invalid-mechanism xmlns='{ns.SASL}'/>" in client.said()
    client.send(authenticate(initial="!"))
    assert "Too many attempts" in client.said() and client.n.state == "closed"


def test_an_abort_while_we_look() -> None:
    client = ready()
    client.send(authenticate())
    assert client.send(f"<abort xmlns='{ns.SASL2}'/>") == []
    client.take(client.n.password_checked(False))
    assert f"<malformed-request xmlns='{ns.SASL}'/>" in client.said()


def test_authzid_and_header_must_agree() -> None:
    """XEP-0388 2.3."""
    initial = base64.b64encode(b"john@example.com\0john\0pw").decode()
    other = ready("jim@example.com")
    other.send(authenticate(initial=initial))
    assert f"<invalid-authzid xmlns='{ns.SASL}'/>" in other.said()
    same = ready()
    assert isinstance(same.send(authenticate(initial=initial))[0], CheckPassword)


def test_scram_vouches_for_what_was_offered() -> None:
    """XEP-0474 5.3, and that each profile has its own list."""
    assert base64.b64encode(hashlib.sha1(sasl.offer(
        ("SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"), ("tls-server-end-point", "tls-exporter"))).digest()) == (
            b"G6k/rBLDqgOhRRaCuuatSDFkJ08=")
    assert sasl.offer(("PLAIN", "A"), ()) == b"A\x1ePLAIN"
    client = ready(has_tokens=True)
    said = client.said().partition("<authentication ")[2]
    names = re.findall("<mechanism>([^<]*)", said.partition("<inline>")[0])
    initial = base64.b64encode(b"n,,n=john,r=abc").decode()
    assert client.send(authenticate("SCRAM-SHA-256", initial)) == [FindAccount("john", "example.com", "SCRAM-SHA-256")]
    client.take(client.n.account(None))
    challenge = re.search("<challenge[^>]*>([^<]*)", client.said())
    assert challenge is not None
    wanted = base64.b64encode(hashlib.sha256("\x1e".join(sorted(names)).encode()).digest()).decode()
    assert base64.b64decode(challenge[1]).decode().endswith(f",h={wanted}")


@pytest.mark.parametrize("text", [
    f"<authenticate xmlns='{ns.SASL2}'/>",
    f"<authenticate xmlns='{ns.SASL2}' mechanism='PLAIN'><initial-response><x/></initial-response></authenticate>",
    authenticate(more="<bind xmlns='urn:xmpp:bind:0'>" + "<x xmlns='u'/>" * 100 + "</bind>"),
    authenticate(more=f"<fast xmlns='{ns.FAST}' count='-1'/>" * 2),
    authenticate().replace(UA, "{" + UA[1:]),
])
def test_odd_requests(text: str) -> None:
    """None of them is an exception; lists are bounded."""
    client = ready(has_tokens=True)
    client.send(text)
    if client.n.state == "examining":
        actions = client.n.password_checked(True)
        assert not isinstance(actions[-1], BindInline) or len(actions[-1].asked) == 16
