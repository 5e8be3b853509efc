"""Passwords of a real LDAP server (slapd): by search, by template; away, not who it says it is; hostile input."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from ldaptor.protocols import pureldap
from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol

from chatd.auth.ldap import LdapPasswords
from chatd.core.errors import Unavailable
from chatd.outside.ldap import dn_text, filter_text, parse_filter
from chatd.outside.tls import Server
from chatd.selfsigned import write_pair
from chatd.settings.people import AuthSource
from tests.auth.test_imap import checker, verdict
from tests.slapd import PEOPLE, READER, READER_PASSWORD, Slapd, ldap_server, person

USERS = (
    person("alice", "alice@mail.example", "pw-alice")
    + person("bob", "bob@mail.example", "pw-bob")
    + person("twin1", "twin@mail.example", "pw-twin")
    + person("twin2", "twin@mail.example", "pw-twin")
    + person("r&d", "r&d@mail.example", "pw-rd")
    + person("nopass", "nopass@mail.example", "x").replace("userPassword: x\n", "")
)


@pytest.fixture(scope="module")
def ldap() -> Iterator[Slapd]:
    with ldap_server(USERS) as server:
        yield server


def passwords(ldap: Slapd, scheme: str = "ldaps", ca: Path | None = None, **more: Any) -> LdapPasswords:
    port = ldap.ldaps if scheme == "ldaps" else ldap.ldap
    url = f"{scheme}://localhost:{port}"
    source = AuthSource(
        kind="ldap",
        url=url,
        timeout_s=5,
        **({"base": PEOPLE, "bind_dn": READER, "bind_password": READER_PASSWORD} | more),
    )
    return LdapPasswords(Server.of(url, False, ca or ldap.certificate), source, reactor)


@pytest.mark.parametrize("scheme", ["ldaps", "ldap"])
@pytest_twisted.ensureDeferred
async def test_right_and_wrong_by_search(ldap: Slapd, scheme: str) -> None:
    asked = passwords(ldap, scheme)
    assert await asked.check("alice@mail.example", "pw-alice") is True
    assert await asked.check("ALICE@mail.example", "pw-alice") is True
    assert await asked.check("alice@mail.example", "pw-bob") is False
    assert await asked.check("nobody@mail.example", "pw-alice") is False
    assert await asked.check("nopass@mail.example", "x") is False
    assert await asked.check("twin@mail.example", "pw-twin") is False  # who of both?
    assert await verdict(checker(asked), "r\\26d@mail.example", "pw-rd") == "right"
    await asked.probe()


@pytest_twisted.ensureDeferred
async def test_right_and_wrong_by_template(ldap: Slapd) -> None:
    asked = passwords(ldap, base="", bind_dn="", bind_password="", dn=f"uid={{local}},{PEOPLE}")
    assert await asked.check("alice@mail.example", "pw-alice") is True
    assert await asked.check("r&d@mail.example", "pw-rd") is True
    assert await asked.check("alice@mail.example", "x") is False
    assert await asked.check("nobody@mail.example", "x") is False
    assert await asked.check(f"alice,{PEOPLE}@mail.example", "pw-alice") is False
    await asked.probe()


HOSTILE = [
    "*@mail.example",
    "*",
    "alice*@mail.example",
    "alice@mail.example)(uid=*",
    "x)(|(uid=alice)",
    "\\2a",
    "*)(userPassword=*",
    "alice@mail.example\0",
    "x" * 1000,
    "al\u0131ce@mail.example",
    "()",
    "\\",
    "\ud83d\ude00",
]


@pytest.mark.parametrize("login", HOSTILE)
@pytest_twisted.ensureDeferred
async def test_nothing_slips_into_filters_and_names(ldap: Slapd, login: str) -> None:
    login = login.encode("utf-16", "surrogatepass").decode("utf-16")
    assert await passwords(ldap).check(login, "pw-alice") is False
    by_dn = passwords(ldap, base="", bind_dn="", bind_password="", dn=f"uid={{local}},{PEOPLE}")
    assert await by_dn.check(f"{login}@x", "pw-alice") is False


def test_what_is_escaped() -> None:
    assert filter_text("a*(b)\\\0") == "a\\2a\\28b\\29\\5c\\00"
    assert dn_text("a,b=ü") == "a\\2cb\\3d\\c3\\bc"
    assert parse_filter(f"(mail={filter_text('*)(uid=*')})").toWire() == b"\xa3\x10\x04\x04mail\x04\x08*)(uid=*"
    with pytest.raises(Unavailable):
        parse_filter("(mail=")


@pytest_twisted.ensureDeferred
async def test_an_empty_password_lets_nobody_in(ldap: Slapd) -> None:
    """LDAP says yes to whoever gives none (RFC 4513 5.1.2)."""
    with pytest.raises(ValueError):
        await passwords(ldap).check("alice@mail.example", "")
    assert await verdict(checker(passwords(ldap)), "alice@mail.example", "") == "wrong"


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_said(ldap: Slapd, tmp_path: Path) -> None:
    """A wrong certificate, a wrong password of ours, and a server that is away make nobody's password wrong."""
    other = tmp_path / "other.pem"
    write_pair(other, tmp_path / "key.pem", ["localhost"], datetime.now(UTC))
    for scheme in ("ldaps", "ldap"):
        found = await verdict(checker(passwords(ldap, scheme, other)), "alice@mail.example", "pw-alice")
        assert "not trusted" in found
    found = await verdict(checker(passwords(ldap, bind_password="x")), "alice@mail.example", "pw-alice")
    assert READER in found
    asked = passwords(ldap)
    ldap.stop()
    try:
        assert "refused" in await verdict(checker(asked), "alice@mail.example", "pw-alice")
    finally:
        ldap.start()
    assert await asked.check("alice@mail.example", "pw-alice") is True


class Scripted(Protocol):
    """A server that answers each piece it gets with the next of its own."""

    pieces: tuple[bytes, ...] = ()

    def connectionMade(self) -> None:
        self.left = list(self.pieces)

    def dataReceived(self, data: bytes) -> None:
        if self.left:
            message_id = data[data.index(b"\x02") + 2]
            self.transport.write(
                b"".join(
                    part.replace(b"ID", bytes([message_id + number]))
                    for number, part in enumerate(self.left.pop(0).split(b"|"))
                )
            )


STARTED = b"\x30\x0c\x02\x01ID\x78\x07\x0a\x01\x00\x04\x00\x04\x00"
BOUND = b"\x30\x0c\x02\x01ID\x61\x07\x0a\x01\x00\x04\x00\x04\x00"


@pytest.mark.parametrize(
    ("pieces", "plain"),
    [
        ((b"HTTP/1.1 400 no\r\n\r\n",), True),
        ((b"\x30\x84\xff\xff\xff\xff",), True),
        ((b"\x30\x03\x02\x01\x7f",), True),
        ((), True),
        ((STARTED + b"|" + BOUND,), False),
        ((BOUND,), False),
    ],
)
@pytest_twisted.ensureDeferred
async def test_odd_servers_let_nobody_in(
    pieces: tuple[bytes, ...], plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers slipped in before TLS, too: message ids can be foretold."""
    monkeypatch.setattr(pureldap, "next_ldap_message_id", 1)  # of one byte, whatever other tests have asked before
    factory = Factory.forProtocol(type("Said", (Scripted,), {"pieces": pieces}))
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    url = f"ldap://127.0.0.1:{port.getHost().port}"
    source = AuthSource(kind="ldap", url=url, dn="uid={local},dc=x", timeout_s=1)
    try:
        found = await verdict(
            checker(LdapPasswords(Server.of(url, plain, None), source, reactor), timeout_s=1),
            "alice@mail.example",
            "pw-alice",
        )
        assert found.startswith("mail: ")
        assert "slipped in" in found or len(pieces) == 0 or b"|" not in pieces[0]
    finally:
        await port.stopListening()
