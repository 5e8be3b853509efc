"""Passwords, the internal checker and the portal, without a reactor."""
from __future__ import annotations

from typing import Any

import pytest
from scramp import ScramClient, ScramMechanism
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from zope.interface import implementer
from zope.interface.verify import verifyObject

from chatd.auth.internal import InternalChecker
from chatd.auth.passwords import BadPassword, check_password, make_verifiers
from chatd.auth.portal import Authentication, Identity, Realm
from chatd.core.accounts import AccountRow, Verifier
from chatd.core.sasl import Challenge, Exchange, FindAccount, Success
from chatd.interfaces import IAccountChecker, IAuthentication, IIdentity

PASSWORD = "I\u00adX s3cret"  # the soft hyphen is mapped to nothing by SASLprep (RFC 4013 3)


def test_verifiers_are_those_of_scramp() -> None:
    verifiers = make_verifiers(PASSWORD, 4096)
    assert set(verifiers) == {"SCRAM-SHA-1", "SCRAM-SHA-256"}
    assert len({verifier.salt for verifier in verifiers.values()}) == 2
    for name, verifier in verifiers.items():
        assert (verifier.salt, verifier.stored_key, verifier.server_key, 4096) == ScramMechanism(
            name).make_auth_info("IX s3cret", 4096, verifier.salt)
    assert make_verifiers(PASSWORD, 4096) != verifiers


@pytest.mark.parametrize("password", ["", "x" * 1024, "a\x07b", "\u0627x"])
def test_passwords_refused(password: str) -> None:
    with pytest.raises(BadPassword):
        make_verifiers(password, 4096)
    assert not check_password(password, make_verifiers("x", 4096))


@pytest.mark.parametrize("iterations", [0, 4095, 10_000_001])
def test_iterations(iterations: int) -> None:
    with pytest.raises(ValueError):
        make_verifiers("x", iterations)


def test_check_password() -> None:
    verifiers = make_verifiers(PASSWORD, 4096)
    assert check_password(PASSWORD, verifiers) and check_password("IX s3cret", verifiers)
    assert not check_password("other", verifiers)
    assert check_password(PASSWORD, {"SCRAM-SHA-1": verifiers["SCRAM-SHA-1"]})
    for nobody in (None, {}):
        assert not check_password(PASSWORD, nobody, 4096)


class FakeAccounts:
    """What the checker uses of an IAccountStore."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], AccountRow] = {}
        self.broken = False

    def add(self, local: str, domain: str, disabled: bool = False,
            verifiers: dict[str, Verifier] | None = None) -> None:
        self.rows[local, domain] = AccountRow(
            len(self.rows), local, domain, disabled, 0.0, None,
            make_verifiers(PASSWORD, 4096) if verifiers is None else verifiers)

    def get(self, local: str, domain: str) -> Deferred[AccountRow | None]:
        return fail(OSError("disk")) if self.broken else succeed(self.rows.get((local, domain)))


@implementer(ICredentialsChecker, IAccountChecker)
class MailChecker:
    """A back end that can only check passwords, as IMAP."""

    credentialInterfaces = InternalChecker.credentialInterfaces
    has_verifiers = False
    keeps_passwords = False

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        if credentials.password == b"mail":
            return succeed(credentials.username)
        return fail(UnauthorizedLogin())

    def find(self, local: str, domain: str, mechanism: str) -> Deferred[tuple[Verifier | None, bool]]:
        return succeed((None, False))


@pytest.fixture
def accounts() -> FakeAccounts:
    fake = FakeAccounts()
    fake.add("john", "example.com")
    fake.add("gone", "example.com", disabled=True)
    fake.add("keyless", "example.com", verifiers={})
    return fake


def checker_for(accounts: FakeAccounts) -> InternalChecker:
    return InternalChecker(accounts, 4096, maybeDeferred)  # type: ignore[arg-type]


def result(deferred: Deferred[Any]) -> Any:
    out: list[Any] = []
    deferred.addBoth(out.append)
    assert out, "no result yet"
    if hasattr(out[0], "raiseException"):
        out[0].raiseException()
    return out[0]


def test_they_are_what_they_say(accounts: FakeAccounts) -> None:
    checker = checker_for(accounts)
    assert verifyObject(ICredentialsChecker, checker) and verifyObject(IAccountChecker, checker)
    assert verifyObject(IAccountChecker, MailChecker())
    assert verifyObject(IAuthentication, Authentication({"example.com": checker}))
    assert verifyObject(IRealm, Realm()) and verifyObject(IIdentity, Identity("john", "example.com"))
    with pytest.raises(NotImplementedError):
        Realm().requestAvatar(b"john@example.com", None)


@pytest.mark.parametrize("local,password,answer", [
    ("john", PASSWORD, (True, False)), ("john", "wrong", (False, False)), ("nobody", PASSWORD, (False, False)),
    ("gone", PASSWORD, (True, True)), ("gone", "wrong", (False, False)), ("keyless", PASSWORD, (False, False)),
    ("john", "", (False, False)), ("john", "\ufffd", (False, False))])
def test_check(accounts: FakeAccounts, local: str, password: str, answer: tuple[bool, bool]) -> None:
    auth = Authentication({"example.com": checker_for(accounts)})
    assert result(auth.check(local, "example.com", password)) == answer


def test_find(accounts: FakeAccounts) -> None:
    auth = Authentication({"example.com": checker_for(accounts)})
    row = accounts.rows["john", "example.com"]
    assert result(auth.find("john", "example.com", "SCRAM-SHA-1")) == (row.verifiers["SCRAM-SHA-1"], False)
    assert result(auth.find("gone", "example.com", "SCRAM-SHA-256"))[1] is True
    assert result(auth.find("keyless", "example.com", "SCRAM-SHA-256")) == (None, False)
    assert result(auth.find("nobody", "example.com", "SCRAM-SHA-256")) == (None, False)
    assert result(auth.find("john", "elsewhere.net", "SCRAM-SHA-256")) == (None, False)
    assert result(auth.check("john", "elsewhere.net", PASSWORD)) == (False, False)


def test_a_broken_back_end_is_not_a_wrong_password(accounts: FakeAccounts) -> None:
    auth = Authentication({"example.com": checker_for(accounts)})
    accounts.broken = True
    for question in (auth.find("john", "example.com", "SCRAM-SHA-1"), auth.check("john", "example.com", PASSWORD)):
        with pytest.raises(OSError):
            result(question)


def test_another_back_end_slots_in(accounts: FakeAccounts) -> None:
    auth = Authentication({"example.com": checker_for(accounts), "mail.example.com": MailChecker()})
    assert auth.has_verifiers and auth.has_plain and auth.without_scram == {"mail.example.com"}
    assert not Authentication({"mail.example.com": MailChecker()}).has_verifiers
    assert result(auth.check("john", "mail.example.com", "mail")) == (True, False)
    assert result(auth.check("john", "mail.example.com", "x")) == (False, False)
    assert result(auth.check("john", "example.com", PASSWORD)) == (True, False)
    assert result(auth.find("john", "mail.example.com", "SCRAM-SHA-1")) == (None, False)


def test_the_portal_gives_identities(accounts: FakeAccounts) -> None:
    auth = Authentication({"example.com": checker_for(accounts)})
    credentials = UsernamePassword(b"john@example.com", PASSWORD.encode())
    interface, avatar, logout = result(auth.portal.login(credentials, None, IIdentity))
    assert interface is IIdentity and avatar.jid == "john@example.com"
    logout()


def test_from_the_password_to_success(accounts: FakeAccounts) -> None:
    """What make_verifiers keeps is enough for a foreign SCRAM client to log in."""
    auth = Authentication({"example.com": checker_for(accounts)})
    for name in ("SCRAM-SHA-1", "SCRAM-SHA-256"):
        client = ScramClient([name], "john", PASSWORD)
        ex = Exchange(name, {"example.com"}, "example.com", {}, "nonce", b"secret")
        step = ex.start(client.get_client_first().encode())
        assert isinstance(step, FindAccount)
        step = ex.account(*result(auth.find(step.local, step.domain, step.mechanism)))
        assert isinstance(step, Challenge)
        client.set_server_first(step.data.decode())
        assert isinstance(ex.respond(client.get_client_final().encode()), Success)
