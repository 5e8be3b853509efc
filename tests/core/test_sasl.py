"""The receiving side of SASL, against the RFCs' own examples and against scramp as a foreign client."""
from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
import scramp
from hypothesis import given, settings
from hypothesis import strategies as st

from chatd.core import sasl
from chatd.core.accounts import Verifier
from chatd.core.sasl import Challenge, CheckPassword, Exchange, Failure, FindAccount, Success

DOMAINS = frozenset({"example.com", "mynewdomain.com"})
SECRET = b"site secret"


def make_verifier(password: str, salt: bytes, iterations: int, algorithm: str) -> Verifier:
    """RFC 5802 3, written down independently of the daemon."""
    salted = hashlib.pbkdf2_hmac(algorithm, password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", algorithm)
    return Verifier(salt, iterations, hashlib.new(algorithm, client_key).digest(),
                    hmac.digest(salted, b"Server Key", algorithm))


def exchange(mechanism: str, default: str | None = "example.com", bindings: dict[str, bytes] | None = None,
             nonce: str = "servernonce0123456789") -> Exchange:
    return Exchange(mechanism, DOMAINS, default, bindings or {}, nonce, SECRET)


RFC_5802 = (
    "SCRAM-SHA-1", "sha1", "QSXCR+Q6sek8bf92", "3rfcNHYJY1ZVvWVs7j",
    b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
    b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")
RFC_7677 = (
    "SCRAM-SHA-256", "sha256", "W22ZaJ0SNY7soEsUEjb6gQ==", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


@pytest.mark.parametrize("example", [RFC_5802, RFC_7677])
def test_the_example_of_the_rfc(example) -> None:
    mechanism, algorithm, salt, nonce, first, server_first, final, server_final = example
    ex = exchange(mechanism, nonce=nonce)
    assert ex.start(first) == FindAccount("user", "example.com", mechanism)
    step = ex.account(make_verifier("pencil", base64.b64decode(salt), 4096, algorithm))
    assert step == Challenge(server_first)
    assert ex.respond(final) == Success("user", "example.com", server_final)


def play(client: scramp.ScramClient, ex: Exchange, verifier: Verifier | None, disabled: bool = False):
    """scramp logs in; the last step, and scramp's own check of the server's signature."""
    step = ex.start(client.get_client_first().encode())
    if not isinstance(step, FindAccount):
        return step
    step = ex.account(verifier, disabled)
    assert isinstance(step, Challenge)
    client.set_server_first(step.data.decode())
    step = ex.respond(client.get_client_final().encode())
    if isinstance(step, Success):
        assert step.additional is not None
        client.set_server_final(step.additional.decode())
    return step


BINDING = {"tls-server-end-point": b"e" * 32, "tls-exporter": b"x" * 32}


@pytest.mark.parametrize("base,algorithm", [("SCRAM-SHA-1", "sha1"), ("SCRAM-SHA-256", "sha256")])
@pytest.mark.parametrize("plus", [False, True])
@pytest.mark.parametrize("username", ["john", "john@mynewdomain.com", "J\u00f6hn", "JOHN"])
def test_a_foreign_client_logs_in(base: str, algorithm: str, plus: bool, username: str) -> None:
    name = base + "-PLUS" * plus
    verifier = make_verifier("s3cret", b"0123456789abcdef", 4096, algorithm)
    client = scramp.ScramClient(
        [name], username, "s3cret",
        channel_binding=("tls-server-end-point", BINDING["tls-server-end-point"]) if plus else None)
    step = play(client, exchange(name, bindings=BINDING if plus else None), verifier)
    local = "j\u00f6hn" if "\u00f6" in username else "john"
    domain = "mynewdomain.com" if "@" in username else "example.com"
    assert isinstance(step, Success) and (step.local, step.domain) == (local, domain)


def client_messages(first: str, password: str, server_first: bytes, cbind_input: bytes,
                    algorithm: str = "sha256") -> bytes:
    """The client-final-message for a server-first-message, for what scramp cannot do (tls-exporter, mischief)."""
    fields = dict(part.split("=", 1) for part in server_first.decode().split(","))
    salted = hashlib.pbkdf2_hmac(algorithm, password.encode(), base64.b64decode(fields["s"]),
    int(fields["i"]))
    key = hmac.digest(salted, b"Client Key", algorithm)
    without = f"c={base64.b64encode(cbind_input).decode()},r={fields['r']}"
    message = f"{first.split(',', 2)[2]},{server_first.decode()},{without}".encode()
    signature = hmac.digest(hashlib.new(algorithm, key).digest(), message, algorithm)
    proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
    return f"{without},p={base64.b64encode(proof).decode()}".encode()


def scram(first: str, cbind_input: bytes, mechanism: str = "SCRAM-SHA-256-PLUS", password: str = "s3cret",
          verifier: bool = True, bindings: dict[str, bytes] = BINDING, disabled: bool = False,
          default: str | None = "example.com"):
    ex = exchange(mechanism, default, bindings)
    step = ex.start(first.encode())
    if not isinstance(step, FindAccount):
        return step
    step = ex.account(make_verifier("s3cret", b"0123456789abcdef", 4096, "sha256") if verifier else None,
                      disabled)
    assert isinstance(step, Challenge)
    return ex.respond(client_messages(first, password, step.data, cbind_input))


def test_tls_exporter() -> None:
    first = "p=tls-exporter,,n=john,r=abc"
    assert isinstance(scram(first, b"p=tls-exporter,," + b"x" * 32), Success)
    assert scram(first, b"p=tls-exporter,," + b"y" * 32) == Failure("not-authorized", "binding-mismatch")


@pytest.mark.parametrize("first,mechanism,bindings,reason", [
    ("y,,n=john,r=abc", "SCRAM-SHA-256", BINDING, "downgrade"),
    ("n,,n=john,r=abc", "SCRAM-SHA-256-PLUS", BINDING, "plus-without-binding"),
    ("y,,n=john,r=abc", "SCRAM-SHA-256-PLUS", BINDING, "plus-without-binding"),
    ("p=tls-unique,,n=john,r=abc", "SCRAM-SHA-256-PLUS", BINDING, "binding-type"),
    ("p=tls-exporter,,n=john,r=abc", "SCRAM-SHA-256", BINDING, "binding-not-plus"),
])
def test_channel_binding_rules(first: str, mechanism: str, bindings: dict[str, bytes], reason: str) -> None:
    assert scram(first, b"", mechanism, bindings=bindings) == Failure("not-authorized", reason)


def test_y_is_fine_where_the_server_cannot_bind() -> None:
    assert isinstance(scram("y,,n=john,r=abc", b"y,,", "SCRAM-SHA-256", bindings={}), Success)


def test_a_changed_flag_is_noticed() -> None:
    """Somebody who turns the 'n' of the first message into another flag cannot forge the final one."""
    assert scram("n,,n=john,r=abc", b"y,,", "SCRAM-SHA-256") == Failure("not-authorized", "binding-mismatch")


@pytest.mark.parametrize("authzid,condition", [
    ("john@example.com", None), ("JOHN@example.com", None), ("", None), ("john", "invalid-authzid"),
    ("juliet@example.com", "invalid-authzid"), ("john@example.com/res", "invalid-authzid"),
    ("@", "invalid-authzid")])
def test_authzid(authzid: str, condition: str | None) -> None:
    header = f"n,{'a=' + authzid if authzid else ''},"
    step = scram(header + "n=john,r=abc", header.encode(), "SCRAM-SHA-256")
    assert (step.condition if isinstance(step, Failure) else None) == condition
    plain = exchange("PLAIN").start(f"{authzid}\0john\0pw".encode())
    assert (plain.condition if isinstance(plain, Failure) else None) == condition


@pytest.mark.parametrize("default,username,reason", [
    (None, "john", "no-domain"), ("example.com", "john@elsewhere.net", "foreign-domain"),
    ("example.com", "john@example.com/x", "foreign-domain"), ("example.com", "jo\x07hn", "bad-username"),
    ("example.com", "@example.com", "bad-username"), (None, "example.com@", "bad-username")])
def test_usernames_refused(default: str | None, username: str, reason: str) -> None:
    assert scram(f"n,,n={username},r=abc", b"n,,", "SCRAM-SHA-256", default=default) == Failure(
        "not-authorized", reason)


@pytest.mark.parametrize("message", [
    b"", b"n", b"n,,", b"n,,n=john", b"n,,r=abc,n=john", b"n,,n=john,x=abc", b"n,,x=john,r=abc",
    b"n,,m=x,n=john,r=abc", b"n,john,n=john,r=abc",
    b"n,,n=jo=hn,r=abc", b"n,,n=,r=abc", b"n,,n=john,r=", b"n,,n=john,r=a\x01b", b"\xff\xfe",
    b"x,,n=john,r=abc", b"n,a==,n=john,r=abc", b"n,,n=" + b"j" * 9000 + b",r=abc"])
def test_malformed_first_messages(message: bytes) -> None:
    step = exchange("SCRAM-SHA-1").start(message)
    assert isinstance(step, Failure) and step.condition == "malformed-request"


@pytest.mark.parametrize("message,condition", [
    (b"", "malformed-request"), (b"c=biws,r=abc", "malformed-request"),
    (b"c=biws,p=AAAA", "malformed-request"), (b"c=bi ws,r=abcservernonce0123456789,p=AAAA",
    "malformed-request"), (b"c=biws,r=abcservernonce0123456789,p=AAA", "malformed-request"),
    (b"c=biws,r=abcservernonce0123456789,m=x,p=AAAA", "malformed-request"),
    (b"c=biws,r=abcservernonce0123456789,p=AAAA", "not-authorized"),
    (b"c=biws,r=abcothernonce,p=AAAA", "not-authorized")])
def test_malformed_final_messages(message: bytes, condition: str) -> None:
    ex = exchange("SCRAM-SHA-1")
    assert isinstance(ex.start(b"n,,n=john,r=abc"), FindAccount)
    assert isinstance(ex.account(make_verifier("s3cret", b"0123456789abcdef", 4096, "sha1")), Challenge)
    step = ex.respond(message)
    assert isinstance(step, Failure) and step.condition == condition
    assert ex.respond(message).condition == "malformed-request"  # type: ignore[union-attr]


def test_an_unknown_account_looks_like_one_with_another_password() -> None:
    """Same salt every time, as many steps, same condition; another salt for another account or mechanism."""
    def salt_of(user: str, mechanism: str = "SCRAM-SHA-256") -> str:
        ex = exchange(mechanism)
        ex.start(f"n,,n={user},r=abc".encode())
        step = ex.account(None)
        assert isinstance(step, Challenge)
        _, salt, iterations = step.data.decode().split(",")
        assert iterations == f"i={sasl.ITERATIONS}" and len(base64.b64decode(salt[2:])) == 16
        return salt

    assert salt_of("ghost") == salt_of("ghost") == salt_of("GHOST@example.com")
    assert len({salt_of("ghost"), salt_of("ghost2"), salt_of("ghost", "SCRAM-SHA-1")}) == 3
    unknown = scram("n,,n=ghost,r=abc", b"n,,", "SCRAM-SHA-256", verifier=False)
    wrong = scram("n,,n=john,r=abc", b"n,,", "SCRAM-SHA-256", password="wrong")
    assert unknown.condition == wrong.condition == "not-authorized"


def test_disabled_is_told_only_to_who_knows_the_password() -> None:
    right = scram("n,,n=john,r=abc", b"n,,", "SCRAM-SHA-256", disabled=True)
    wrong = scram("n,,n=john,r=abc", b"n,,", "SCRAM-SHA-256", password="wrong", disabled=True)
    assert (right.condition, wrong.condition) == ("account-disabled", "not-authorized")
    for known, condition in ((True, "account-disabled"), (False, "not-authorized")):
        ex = exchange("PLAIN")
        assert ex.start(b"\0john\0pw") == CheckPassword("john", "example.com", "pw")
        step = ex.password_checked(known, disabled=True)
        assert isinstance(step, Failure) and step.condition == condition


def test_commas_and_equals_signs_in_names() -> None:
    """RFC 5802 5.1."""
    assert exchange("SCRAM-SHA-1").start(b"n,,n=a=2Cb=3Dc,r=abc") == FindAccount(
        "a,b=c", "example.com", "SCRAM-SHA-1")


def test_plain() -> None:
    ex = exchange("PLAIN")
    assert ex.start(None) == Challenge(b"")
    assert ex.respond("\0john@mynewdomain.com\0p\u00e4ss".encode()) == CheckPassword(
        "john", "mynewdomain.com", "p\u00e4ss")
    assert ex.password_checked(True) == Success("john", "mynewdomain.com")
    for message in (b"", b"john\0pw", b"\0john\0", b"\0\0pw", b"\0john\0p\0w", b"\0john\0\xff"):
        step = exchange("PLAIN").start(message)
        assert isinstance(step, Failure) and step.condition == "malformed-request"


def test_abort_and_refuse() -> None:
    ex = exchange("SCRAM-SHA-1")
    ex.start(b"n,,n=john,r=abc")
    assert ex.refuse("temporary-auth-failure").condition == "temporary-auth-failure"
    assert exchange("PLAIN").abort() == Failure("aborted", "client")
    with pytest.raises(ValueError):
        ex.refuse("no-such-condition")


def test_we_may_not_call_it_out_of_order() -> None:
    ex = exchange("SCRAM-SHA-1")
    with pytest.raises(RuntimeError):
        ex.account(None)
    ex.start(None)
    with pytest.raises(RuntimeError):
        ex.start(None)
    with pytest.raises(RuntimeError):
        ex.password_checked(True)
    for name in ("EXTERNAL", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-512", "scram-sha-1"):
        with pytest.raises(ValueError):
            exchange(name)


def test_no_secret_in_a_repr() -> None:
    ex = exchange("PLAIN")
    assert "hunter2" not in repr(ex.start(b"\0john\0hunter2")) + repr(ex)


def test_mechanisms() -> None:
    assert sasl.mechanisms(()) == ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN")
    assert sasl.mechanisms(BINDING)[:2] == ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS")
    assert sasl.mechanisms(BINDING, has_verifiers=False) == ("PLAIN",)
    assert "PLAIN" not in sasl.mechanisms(BINDING, has_plain=False)


@pytest.mark.parametrize("text", ["A", "AA", "AAA", "AA=", "AA==A", "AA==AAAA", "A A=", "A*==", "====", "==",
                                  "QR==", "\u00e9===", "AA\n=="])
def test_base64_is_strict(text: str) -> None:
    assert sasl.decode(text) is None


@given(st.binary(max_size=80))
def test_base64_round_trip(data: bytes) -> None:
    assert sasl.decode(sasl.encode(data)) == data


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(("SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "PLAIN")),
       st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([
           b"n,,n=john,r=abc", b"p=tls-exporter,,n=john,r=abc", b"\0john\0pw",
           b"c=biws,r=abcservernonce0123456789,p=AAAA"])), max_size=4))
def test_whatever_the_client_sends_gives_a_step(mechanism: str, messages: list[bytes]) -> None:
    """Any bytes lead to a step and never to an exception; and never to Success without the password."""
    ex = exchange(mechanism, bindings=BINDING)
    step = ex.start(None)
    for message in messages:
        step = ex.respond(message)
        if isinstance(step, FindAccount):
            step = ex.account(make_verifier("s3cret", b"0123456789abcdef", 4096, "sha256"))
        elif isinstance(step, CheckPassword):
            step = ex.password_checked(False)
        assert isinstance(step, Challenge | Failure)
        if isinstance(step, Failure):
            assert step.condition in sasl.CONDITIONS
