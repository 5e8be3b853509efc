"""Passwords of a real mail server (Dovecot): right, wrong, away, slow, not who it says it is, and hostile ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.mail.imap4 import IAccount, IMAP4Server, MemoryAccount
from zope.interface import implementer

from chatd.auth.imap import ImapPasswords
from chatd.auth.outside import OutsideChecker
from chatd.auth.remembered import Remembered
from chatd.core.errors import Unavailable
from chatd.outside.tls import Server
from chatd.selfsigned import write_pair
from tests.dovecot import Dovecot, mail_server

ODD = 'p"w\\ {3}\u00fc\u20ac%&'
LONG = "x" * 300
USERS = {"alice@mail.example": "pw-alice", "r&d@mail.example": "pw-rd", "odd@mail.example": ODD,
         "long@mail.example": LONG}


@pytest.fixture(scope="module")
def mail() -> Iterator[Dovecot]:
    with mail_server(USERS) as server:
        yield server


def passwords(mail: Dovecot, scheme: str = "imaps", host: str = "localhost", ca: Path | None = None) -> ImapPasswords:
    port = mail.imaps if scheme == "imaps" else mail.imap
    return ImapPasswords(Server.of(f"{scheme}://{host}:{port}", False, ca or mail.certificate), reactor, 5)


def checker(asked: Any, seconds: float = 300, timeout_s: float = 5, now: Callable[[], float] = lambda: 0.0,
            iterations: int = 0, connections: int = 4) -> OutsideChecker:
    remembered = Remembered(seconds, now, deferToThread, iterations)
    return OutsideChecker("mail", asked, "{address}", remembered, connections, timeout_s, reactor, bool(iterations))


async def verdict(asked: OutsideChecker, jid: str, password: str) -> str:
    try:
        assert await asked.requestAvatarId(UsernamePassword(jid.encode(), password.encode())) == jid.encode()
    except UnauthorizedLogin:
        return "wrong"
    except Unavailable as error:
        return str(error)
    return "right"


@pytest.mark.parametrize("scheme", ["imaps", "imap"])
@pytest_twisted.ensureDeferred
async def test_right_and_wrong(mail: Dovecot, scheme: str) -> None:
    asked = passwords(mail, scheme)
    assert await asked.check("alice@mail.example", "pw-alice") is True
    assert await asked.check("alice@mail.example", "pw-alicf") is False
    assert await asked.check("nobody@mail.example", "pw-alice") is False
    assert await asked.check("odd@mail.example", ODD) is True
    assert await asked.check("long@mail.example", LONG) is True
    await asked.probe()


@pytest_twisted.ensureDeferred
async def test_log_in_where_there_is_no_plain() -> None:
    """By AUTHENTICATE LOGIN with Dovecot, by the command LOGIN with another server (Twisted's)."""
    with mail_server(USERS, mechanisms="login") as mail:
        asked = passwords(mail)
        assert await asked.check("odd@mail.example", ODD) is True
        assert await asked.check("odd@mail.example", ODD + "x") is False
    users = InMemoryUsernamePasswordDatabaseDontUse(odd=ODD.encode(), alice=b"x")

    def build() -> IMAP4Server:
        server = IMAP4Server()
        server.portal = Portal(Mailboxes(), [users])
        return server

    port = reactor.listenTCP(0, Factory.forProtocol(build), interface="127.0.0.1")
    asked = ImapPasswords(Server.of(f"imap://127.0.0.1:{port.getHost().port}", True, None), reactor, 5)
    try:
        assert await asked.check("odd", ODD) is True
        assert await asked.check("odd", ODD + "x") is False
        assert await asked.check("alice", "y\r\n0002 LOGOUT") is False
        assert await asked.check('alice "x', "x") is False
    finally:
        await port.stopListening()


@implementer(IRealm)
class Mailboxes:
    def requestAvatar(self, avatarId: bytes, mind: object, *interfaces: Any) -> Any:
        return IAccount, MemoryAccount(avatarId), lambda: None


@pytest_twisted.ensureDeferred
async def test_the_address_of_the_jid_is_the_mail_address(mail: Dovecot) -> None:
    asked = checker(passwords(mail))
    assert await verdict(asked, "r\\26d@mail.example", "pw-rd") == "right"
    assert await verdict(asked, "r\\26d@mail.example", "pw-alice") == "wrong"


@pytest.mark.parametrize(("jid", "password"), [
    ("alice@mail.example", "pw-alice\0x"), ("alice@mail.example", ""), ("alice@mail.example", "x" * 1024),
    ("al\x01ice@mail.example", "pw-alice"), ("al\r\nice@mail.example", "pw-alice"),
])
@pytest_twisted.ensureDeferred
async def test_what_no_mail_server_would_take_is_not_asked(jid: str, password: str) -> None:
    assert await verdict(checker(Never()), jid, password) == "wrong"


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_not_who_it_should_be(mail: Dovecot, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    write_pair(other, tmp_path / "key.pem", ["localhost"], datetime.now(UTC))
    for scheme in ("imaps", "imap"):
        found = await verdict(checker(passwords(mail, scheme, ca=other)), "alice@mail.example", "pw-alice")
        assert "not trusted" in found
        found = await verdict(checker(passwords(mail, scheme, host="127.0.0.1")), "alice@mail.example", "pw-alice")
        assert "another name" in found or "not trusted" in found
    for text in ("", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        other.write_text(text)
        found = await verdict(checker(passwords(mail, ca=other)), "alice@mail.example", "pw-alice")
        assert "other.pem" in found
    assert mail.log_ins >= 0


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_away_says_nothing_of_passwords() -> None:
    with mail_server(USERS) as mail:
        asked = checker(passwords(mail))
        assert await verdict(asked, "alice@mail.example", "pw-alice") == "right"
        mail.stop()
        assert await verdict(asked, "alice@mail.example", "pw-alice") == "right"        # remembered
        assert "refused" in await verdict(asked, "alice@mail.example", "other")
        assert await verdict(asked, "alice@mail.example", "pw-alice") == "right"        # still
        assert "refused" in await verdict(asked, "odd@mail.example", ODD)


@pytest_twisted.ensureDeferred
async def test_what_is_remembered_is_forgotten(mail: Dovecot) -> None:
    """At a refusal, after its time, and never kept in a form that shows it."""
    now = [0.0]
    with mail_server(USERS) as mail:
        asked = checker(passwords(mail), now=lambda: now[0], iterations=4096)
        assert await verdict(asked, "alice@mail.example", "pw-alice") == "right"
        so_far = mail.log_ins
        assert await verdict(asked, "alice@mail.example", "pw-alice") == "right"
        assert mail.log_ins == so_far
        verifier, _ = await asked.find("alice", "mail.example", "SCRAM-SHA-256")
        assert verifier is not None
        assert "pw-alice" not in repr(vars(asked._remembered))
        mail.set_users({**USERS, "alice@mail.example": "new"})
        assert await verdict(asked, "alice@mail.example", "new") == "right"
        assert await verdict(asked, "alice@mail.example", "pw-alice") == "wrong"
        assert await asked.find("alice", "mail.example", "SCRAM-SHA-256") == (None, False)
        assert await verdict(asked, "alice@mail.example", "new") == "right"
        mail.set_users({**USERS, "alice@mail.example": "newer"})
        assert await verdict(asked, "alice@mail.example", "new") == "right"             # for 300 s
        now[0] = 300.0
        assert await verdict(asked, "alice@mail.example", "new") == "wrong"


class Never:
    """A server nobody may ask."""

    def check(self, login: str, password: str) -> Deferred[bool]:
        raise AssertionError("asked")


class Scripted(Protocol):
    """A server that says its lines, one for each piece it gets; the first as greeting."""

    lines: tuple[bytes, ...] = ()

    def connectionMade(self) -> None:
        self.left = list(self.lines)
        self.dataReceived(b"")

    def dataReceived(self, data: bytes) -> None:
        if self.left:
            self.transport.write(self.left.pop(0).replace(b"TAG", data.split(b" ")[0]))


async def asked_of(*lines: bytes, timeout_s: float = 3, scheme: str = "imap", plain: bool = True) -> str:
    factory = Factory.forProtocol(type("Said", (Scripted,), {"lines": lines}))
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    try:
        server = Server.of(f"{scheme}://127.0.0.1:{port.getHost().port}", plain, None)
        return await verdict(checker(ImapPasswords(server, reactor, timeout_s), timeout_s=timeout_s),
                             "alice@mail.example", "pw-alice")
    finally:
        await port.stopListening()


OFFERS = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n"


@pytest.mark.parametrize(("lines", "says"), [
    ((b"* BYE too busy\r\n",), "greets with BYE too busy"),
    ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), "greets with"),
    ((b"\r\n",), "did not answer in time"),
    ((b"* PREAUTH [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n",), "PREAUTH"),
    ((b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hello\r\n",), "takes no passwords"),
    ((OFFERS, b"TAG NO [UNAVAILABLE] later\r\n"), "answers NO [UNAVAILABLE] later"),
    ((OFFERS, b"TAG BAD what\r\n"), "answers BAD what"),
    ((OFFERS, b"TAG NO\r\n"), "wrong"),
    ((OFFERS, b"TAG NO [AUTHENTICATIONFAILED] no\r\n"), "wrong"),
    ((OFFERS, b"* BYE and gone\r\n"), "did not answer in time"),
    ((OFFERS, b"+ \r\n", b"+ \r\n", b"+ \r\n"), "mail: "),
    ((OFFERS, b"0007 OK\r\n"), "mail: "),
    ((OFFERS, b"* OK {99999999999}\r\n"), "mail: "),
    ((b"* OK hello" + b"x" * 100_000,), "mail: "),
    ((OFFERS,), "did not answer in time"),
    ((), "did not answer in time"),
])
@pytest_twisted.ensureDeferred
async def test_what_odd_servers_say(lines: tuple[bytes, ...], says: str) -> None:
    found = await asked_of(*lines, timeout_s=0.3 if says == "did not answer in time" else 5)
    assert says in found and found != "right"


@pytest_twisted.ensureDeferred
async def test_nobody_in_between_lets_anybody_in() -> None:
    """Answers that come in the clear behind that to STARTTLS are not those of the server (as in RFC 9051 6.2.1)."""
    hello = b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hello\r\n"
    slipped = (b"TAG OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n0002 OK done\r\n0003 OK you are in\r\n"
               b"+ go\r\n0003 OK\r\n")
    assert "slipped in" in await asked_of(hello, slipped, plain=False)
    assert "no STARTTLS" in await asked_of(OFFERS, b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nTAG OK\r\n", plain=False)


@pytest_twisted.ensureDeferred
async def test_a_slow_server_holds_up_only_so_many() -> None:
    """Questions that wait too long, or too many of them, fail at once or in time: none is said to be wrong."""

    class Slow:
        def check(self, login: str, password: str) -> Deferred[bool]:
            return Deferred()

    asked = checker(Slow(), timeout_s=0.3, connections=1)
    answers = [Deferred.fromCoroutine(verdict(asked, "alice@mail.example", "x")) for _ in range(30)]
    found = [await answer for answer in answers]
    assert all("in time" in one or "too many" in one for one in found)
    assert sum("too many" in one for one in found) == 9
