"""chatctl's commands for accounts, as the daemon carries them out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from chatd.commands import UserCommands
from chatd.core.accounts import AccountExists, AccountRow, FastRow, Verifier
from chatd.core.errors import StreamError
from chatd.core.jid import JID
from chatd.server.control import CommandError, Commands

NOW = 1_700_000_000.0


class AccountStore:
    """Accounts in a dictionary, with the calls of chatd.interfaces.IAccountStore that the commands make."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], AccountRow] = {}

    async def create(self, local: str, domain: str, verifiers: dict[str, Verifier], now: float) -> int:
        if (local, domain) in self.rows:
            raise AccountExists(local, domain)
        number = len(self.rows) + 1
        self.rows[local, domain] = AccountRow(number, local, domain, False, now, None, verifiers)
        return number

    async def get(self, local: str, domain: str, fresh: bool = False) -> AccountRow | None:
        return self.rows.get((local, domain))

    async def list(self, domain: str | None = None) -> list[AccountRow]:
        return [row for row in self.rows.values() if domain in (None, row.domain)]

    def _change(self, number: int, **values: Any) -> None:
        key = next(key for key, row in self.rows.items() if row.id == number)
        self.rows[key] = attrs.evolve(self.rows[key], **values)

    async def set_verifiers(self, number: int, verifiers: dict[str, Verifier]) -> None:
        self._change(number, verifiers=verifiers)

    async def set_disabled(self, number: int, disabled: bool) -> None:
        self._change(number, disabled=disabled)

    async def delete(self, number: int) -> None:
        self.rows = {key: row for key, row in self.rows.items() if row.id != number}


class TokenStore:
    """Of chatd.interfaces.IFastTokenStore what the commands call."""

    def __init__(self) -> None:
        self.rows: dict[int, list[FastRow]] = {}

    async def list(self, number: int) -> list[FastRow]:
        return self.rows.get(number, [])

    async def clear(self, number: int) -> int:
        return len(self.rows.pop(number, []))


@attrs.define
class StoreOfAccounts:
    accounts: AccountStore = attrs.field(factory=AccountStore)
    fast: TokenStore = attrs.field(factory=TokenStore)


@attrs.define(eq=False)
class Session:
    """A session that notes how it was ended."""

    ended: StreamError | None = None

    def close(self, error: StreamError | None = None) -> None:
        self.ended = error


@attrs.define
class Account:
    sessions: dict[str, Session]


class Online:
    """Who is in memory."""

    def __init__(self) -> None:
        self.known: dict[str, Account] = {}
        self.forgotten: list[str] = []

    def find(self, bare: str) -> Account | None:
        return self.known.get(bare)

    def load(self, jid: JID) -> Account:
        return self.known.get(jid.bare) or Account({})

    def forget(self, bare: str) -> None:
        self.forgotten.append(bare)


def make_verifiers(password: str, iterations: int) -> Deferred[Mapping[str, Verifier]]:
    if password == "control\x00":
        raise ValueError("a character that is not allowed")
    verifier = Verifier(b"salt", iterations, password.encode(), b"")
    return succeed({"SCRAM-SHA-256": verifier})


class UserCommandsTest(SynchronousTestCase):
    """A server of two domains, an account in each; alice is online twice."""

    def setUp(self) -> None:
        self.commands = Commands()
        self.store = StoreOfAccounts()
        self.online = Online()
        self.gone: list[Account] = []
        UserCommands(
            store=self.store,
            accounts=self.online,
            make_verifiers=make_verifiers,
            domains=lambda: frozenset({"example.com", "other.example"}),
            iterations=lambda: 4096,
            now=lambda: NOW,
            deleted=self.gone.append,
        ).register(self.commands)
        self.run_("user add", jid="alice@example.com", password="a")
        self.run_("user add", jid="bob@other.example", password="b")
        self.sessions = {"phone": Session(), "desk": Session()}
        self.online.known["alice@example.com"] = Account(dict(self.sessions))

    def run_(self, words: str, **arguments: Any) -> Any:
        return self.successResultOf(self.commands.run(words, arguments))

    def refused(self, words: str, **arguments: Any) -> CommandError:
        return self.failureResultOf(self.commands.run(words, arguments), CommandError).value

    def row(self, local: str, domain: str = "example.com") -> AccountRow | None:
        return self.store.accounts.rows.get((local, domain))

    def test_add(self) -> None:
        self.assertEqual(self.run_("user add", jid="John@Example.COM", password="x"), {"jid": "john@example.com"})
        row = self.row("john")
        assert row is not None
        self.assertEqual(row.verifiers["SCRAM-SHA-256"].stored_key, b"x")
        self.assertEqual(row.verifiers["SCRAM-SHA-256"].iterations, 4096)
        self.assertEqual(row.created, NOW)

    def test_add_what_is_there(self) -> None:
        self.assertEqual(self.refused("user add", jid="alice@example.com", password="x").condition, "conflict")

    def test_addresses_that_cannot_be_accounts(self) -> None:
        for jid, condition in (
            ("example.com", "jid-malformed"),
            ("a b@example.com", "jid-malformed"),
            ("john@example.com/phone", "jid-malformed"),
            ("@example.com", "jid-malformed"),
            ("john@elsewhere.example", "item-not-found"),
        ):
            for words in ("user add", "user show", "user delete"):
                self.assertEqual(self.refused(words, jid=jid, password="x").condition, condition, f"{words} {jid}")

    def test_what_is_missing(self) -> None:
        for arguments in (
            {},
            {"jid": ""},
            {"jid": 3},
            {"jid": "x@example.com"},
            {"jid": "x@example.com", "password": ""},
        ):
            self.assertEqual(self.refused("user add", **arguments).condition, "bad-request", str(arguments))

    def test_a_password_that_cannot_be_used_is_not_repeated(self) -> None:
        error = self.refused("user add", jid="x@example.com", password="control\x00")
        self.assertEqual(error.condition, "not-acceptable")
        self.assertNotIn("control", error.text)

    def test_passwd_leaves_sessions_alone(self) -> None:
        self.run_("user passwd", jid="alice@example.com", password="new")
        row = self.row("alice")
        assert row is not None
        self.assertEqual(row.verifiers["SCRAM-SHA-256"].stored_key, b"new")
        self.assertEqual([session.ended for session in self.sessions.values()], [None, None])

    def test_who_is_not_there(self) -> None:
        for words in ("user passwd", "user disable", "user enable", "user delete", "user show"):
            self.assertEqual(self.refused(words, jid="x@example.com", password="p").condition, "item-not-found", words)

    def test_sign_out_ends_sessions_and_tokens(self) -> None:
        self.store.fast.rows[1] = [FastRow("a", "new", "HT-SHA-256-NONE", b"s", 1, 2, 0, "Paper", "Desk"),
                                   FastRow("b", "new", "HT-SHA-256-NONE", b"s", 1, 2)]
        self.assertEqual(self.run_("user show", jid="alice@example.com")["tokens"], ["Paper on Desk", "a client"])
        result = self.run_("user sign-out", jid="alice@example.com")
        self.assertEqual(result, {"jid": "alice@example.com", "sessions_ended": 2, "tokens_ended": 2})
        self.assertEqual(self.run_("user show", jid="alice@example.com")["tokens"], [])
        self.assertTrue(all(session.ended for session in self.sessions.values()))

    def test_disable_ends_every_session_and_enable_lets_in_again(self) -> None:
        result = self.run_("user disable", jid="alice@example.com")
        self.assertEqual(result, {"jid": "alice@example.com", "sessions_ended": 2})
        for session in self.sessions.values():
            assert session.ended is not None
            self.assertEqual(session.ended.condition, "not-authorized")
        self.assertTrue(self.row("alice").disabled)
        self.assertIn("alice@example.com", self.online.forgotten)
        self.run_("user enable", jid="alice@example.com")
        self.assertFalse(self.row("alice").disabled)

    def test_delete_ends_sessions_and_tells_that_it_is_gone(self) -> None:
        self.assertEqual(self.run_("user delete", jid="alice@example.com")["sessions_ended"], 2)
        self.assertIsNone(self.row("alice"))
        self.assertEqual(self.gone, [self.online.known["alice@example.com"]])
        self.assertTrue(all(session.ended for session in self.sessions.values()))

    def test_list(self) -> None:
        rows = self.run_("user list")
        self.assertEqual([row["jid"] for row in rows], ["alice@example.com", "bob@other.example"])
        self.assertEqual([row["sessions"] for row in rows], [2, 0])
        self.assertEqual([row["jid"] for row in self.run_("user list", domain="other.example")], ["bob@other.example"])
        self.assertEqual(self.refused("user list", domain="elsewhere.example").condition, "item-not-found")

    def test_show_has_nothing_of_the_password(self) -> None:
        self.run_("user passwd", jid="alice@example.com", password="swordfish")
        result = self.run_("user show", jid="alice@example.com")
        self.assertEqual(result["resources"], ["desk", "phone"])
        self.assertNotIn("swordfish", repr(result))
        self.assertNotIn("salt", repr(result))
