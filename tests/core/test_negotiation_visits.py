"""Visits: ANONYMOUS, at their own domain, over WebSocket, and nowhere else."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.negotiation import Admit, Authenticated, AuthFailed, Bind, Close, Negotiation, Send, Terms, Wire
from chatd.core.stanza import Stanza, parse_element

GUESTS = "guest.example.com"
TERMS = Terms(host="xmpp.example", domains=frozenset({"example.com"}), secret=b"s", token=iter(
    f"token{number}" for number in range(1000)).__next__, features=lambda domain: b"<csi xmlns='urn:xmpp:csi:0'/>",
    visits={GUESTS: None})
ADA = JID.parse(f"ada@{GUESTS}")


def element(xml: str) -> Stanza:
    return Stanza.from_element(parse_element(xml.encode()))


def header(to: str = GUESTS) -> Stanza:
    return element(f"<open xmlns='{ns.FRAMING}' to='{to}' version='1.0'/>")


def auth(text: str = "", mechanism: str = "ANONYMOUS") -> Stanza:
    return element(f"<auth xmlns='{ns.SASL}' mechanism='{mechanism}'>{text}</auth>")


def said(actions: list[Any]) -> str:
    return b"".join(action.data for action in actions if isinstance(action, Send)).decode()


def opened(wire: Wire = Wire.WEBSOCKET, to: str = GUESTS) -> tuple[Negotiation, list[Any]]:
    n = Negotiation(TERMS, wire, is_secured=True)
    return n, n.received(header(to))


def test_only_anonymous_is_offered_there_and_nowhere_else() -> None:
    _, actions = opened()
    assert said(actions).count("<mechanism>") == 1 and "<mechanism>ANONYMOUS</mechanism>" in said(actions)
    n, actions = opened(to="example.com")
    assert "ANONYMOUS" not in said(actions) and "PLAIN" in said(actions)
    assert "<invalid-mechanism/>" in said(n.received(auth()))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_no_password_is_taken_there(mechanism: str) -> None:
    n, _ = opened()
    assert "<invalid-mechanism/>" in said(n.received(auth("AGpvaG4AcHc=", mechanism)))


def test_not_over_bosh() -> None:
    n = Negotiation(TERMS, Wire.BOSH, is_secured=True)
    actions = n.opened(header())        # type: ignore[arg-type]
    assert isinstance(actions[-1], Close) and actions[-1].error is not None
    assert actions[-1].error.condition == "host-unknown"


def test_a_whole_visit() -> None:
    n, _ = opened()
    actions = n.received(auth(base64.b64encode(b"guest.pass").decode()))
    assert actions == [Admit(GUESTS, "guest.pass")]
    actions = n.admitted(ADA)
    assert "<success" in said(actions) and Authenticated(ADA, "ANONYMOUS") in actions
    actions = n.received(header())
    assert "bind" in said(actions) and "urn:xmpp:sm:3" in said(actions)
    assert "csi" not in said(actions), "the modules' features are for accounts"
    actions = n.received(element(f"<iq xmlns='{ns.CLIENT}' type='set' id='1'><bind xmlns='{ns.BIND}'>"
                                 "<resource>mine</resource></bind></iq>"))
    assert isinstance(actions[0], Bind)
    assert "/ours</jid>" in said(n.bound(JID.parse(f"ada@{GUESTS}/ours")))
    assert n.is_bound and n.jid is not None and n.jid.resource == "ours"


def test_an_account_by_ticket_stays_at_the_visits_domain() -> None:
    """It is john@example.com, but its stream must not become one of example.com's."""
    n, _ = opened()
    n.received(auth("="))
    n.admitted(JID.parse("john@example.com"))
    actions = n.received(header("example.com"))
    assert isinstance(actions[-1], Close) and actions[-1].error is not None
    assert actions[-1].error.condition == "host-unknown"


def test_an_account_does_not_become_a_visit() -> None:
    n, _ = opened(to="example.com")
    n.received(auth(base64.b64encode(b"\0john\0pw").decode(), "PLAIN"))
    n.password_checked(True)
    actions = n.received(header())
    assert isinstance(actions[-1], Close)


def test_without_initial_response() -> None:
    n, _ = opened()
    assert n.received(auth()) == [Admit(GUESTS, "")]


def test_what_a_client_says_for_a_log_is_no_pass() -> None:
    n, _ = opened()
    assert n.received(auth(base64.b64encode("Ädä".encode()).decode())) == [Admit(GUESTS, "")]


@pytest.mark.parametrize(("answer", "condition"), [
    (lambda n: n.admitted(None), "not-authorized"),
    (lambda n: n.refuse("temporary-auth-failure"), "temporary-auth-failure")])
def test_refused(answer: Any, condition: str) -> None:
    n, _ = opened()
    n.received(auth("="))
    actions = answer(n)
    assert f"<{condition}/>" in said(actions)
    assert any(isinstance(action, AuthFailed) for action in actions)
    assert n.received(auth("=")) == [Admit(GUESTS, "")], "it may be tried again"


def test_too_long() -> None:
    n, _ = opened()
    assert "<malformed-request/>" in said(n.received(auth(base64.b64encode(b"x" * 5000).decode())))


def test_bind_refused() -> None:
    n, _ = opened()
    n.received(auth("="))
    n.admitted(ADA)
    n.received(header())
    n.received(element(f"<iq xmlns='{ns.CLIENT}' type='set' id='1'><bind xmlns='{ns.BIND}'/></iq>"))
    assert "resource-constraint" in said(n.bind_refused(StanzaError("resource-constraint")))
