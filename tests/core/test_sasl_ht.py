"""HT-SHA-256: who has the token gets in, by the very mechanism it was given out for, while it lives."""
from __future__ import annotations

import hmac
from typing import Any

import pytest

from chatd.core.jid import JID
from chatd.core.sasl import Challenge, Failure, Success
from chatd.core.sasl_ht import FindTokens, Token, TokenExchange, UseToken, mechanisms

DOMAINS = frozenset({"example.com"})
CLIENT = "d4565fa7-4d72-4749-b3d3-740edbf87770"
BINDINGS = {"tls-exporter": b"x" * 32, "tls-server-end-point": b"e" * 32}
SECRET = b"fast-secret"


def said(name: bytes = b"john", secret: bytes = SECRET, data: bytes = b"") -> bytes:
    return name + b"\0" + hmac.digest(secret, b"Initiator" + data, "sha256")


def exchange(mechanism: str = "HT-SHA-256-NONE", **more: Any) -> TokenExchange:
    given: dict[str, Any] = {"client": CLIENT, "count": None, "is_last": False}
    return TokenExchange(mechanism, DOMAINS, "example.com", BINDINGS, **(given | more))


def token(mechanism: str = "HT-SHA-256-NONE", secret: bytes = SECRET, expires: float = 1000.0,
          slot: str = "current") -> Token:
    return Token(slot, mechanism, secret, expires)


def test_what_is_offered() -> None:
    assert mechanisms(BINDINGS) == ("HT-SHA-256-EXPR", "HT-SHA-256-ENDP", "HT-SHA-256-NONE")
    assert mechanisms({}) == ("HT-SHA-256-NONE",)
    with pytest.raises(ValueError, match="EXPR"):
        TokenExchange("HT-SHA-256-EXPR", DOMAINS, None, {}, CLIENT, None, False)


@pytest.mark.parametrize(("mechanism", "data"), [
    ("HT-SHA-256-NONE", b""), ("HT-SHA-256-EXPR", b"x" * 32), ("HT-SHA-256-ENDP", b"e" * 32)])
def test_log_in(mechanism: str, data: bytes) -> None:
    """Both sides prove that they have it, with what binds them to this connection."""
    ex = exchange(mechanism, count=7, is_last=True)
    assert ex.start(said(data=data)) == FindTokens("john", "example.com", CLIENT)
    good = token(mechanism)
    assert ex.tokens([token(mechanism, b"other"), good], False, 10.0) == UseToken(
        "john", "example.com", CLIENT, good, 7, True)
    assert ex.token_used(True) == Success("john", "example.com", hmac.digest(SECRET, b"Responder" + data, "sha256"))


def test_without_initial_response() -> None:
    ex = exchange()
    assert ex.start(None) == Challenge(b"")
    assert isinstance(ex.respond(said(b"john@example.com")), FindTokens)


@pytest.mark.parametrize(("tokens", "disabled", "now", "failure"), [
    ([], False, 0, ("not-authorized", "wrong-token")),
    ([token(secret=b"x")], False, 0, ("not-authorized", "wrong-token")),
    ([token("HT-SHA-256-ENDP")], False, 0, ("not-authorized", "other-mechanism")),
    ([token()], False, 1000, ("credentials-expired", "expired")),
    ([token()], True, 0, ("account-disabled", "disabled")),
])
def test_refusals(tokens: list[Token], disabled: bool, now: float, failure: tuple[str, str]) -> None:
    ex = exchange()
    ex.start(said())
    assert ex.tokens(tokens, disabled, now) == Failure(*failure)
    assert isinstance(ex.respond(said()), Failure)


def test_counted_before() -> None:
    ex = exchange(count=1)
    ex.start(said())
    ex.tokens([token()], False, 0)
    assert ex.token_used(False) == Failure("not-authorized", "replayed")


@pytest.mark.parametrize(("data", "condition"), [
    (b"", "malformed-request"), (b"john", "malformed-request"), (b"john\0short", "malformed-request"),
    (b"\0" + b"x" * 32, "malformed-request"), (b"\xff\0" + b"x" * 32, "malformed-request"),
    (b"j" * 9000 + b"\0" + b"x" * 32, "malformed-request"), (said(b"john@foreign.example"), "not-authorized"),
    (said(b"@"), "not-authorized"),
])
def test_hostile_messages(data: bytes, condition: str) -> None:
    step = exchange().start(data)
    assert isinstance(step, Failure) and step.condition == condition


def test_the_header_named_somebody_else() -> None:
    assert exchange(stream_from=JID.parse("jim@example.com")).start(said()) == Failure("not-authorized", "other-from")
    assert isinstance(exchange(stream_from=JID.parse("john@example.com")).start(said()), FindTokens)


def test_wrong_calls() -> None:
    ex = exchange()
    with pytest.raises(RuntimeError):
        ex.tokens([], False, 0)
    with pytest.raises(ValueError, match="no-such"):
        ex.refuse("no-such")
    assert ex.refuse("temporary-auth-failure") == Failure("temporary-auth-failure")
    assert ex.abort() == Failure("aborted", "client")
