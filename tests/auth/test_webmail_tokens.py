"""Tokens of Webmail: whom they let in, for how long, and what ends with them; over a real store and our own clock."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.logger import formatEvent, globalLogPublisher
from zope.interface.verify import verifyObject

from chatd.auth.outside import FirstLogins
from chatd.auth.token import Tokens
from chatd.core.jid import JID
from chatd.core.webmail import Grant, hashed, is_token, make_token, session_hash, sign
from chatd.interfaces import ITokens, IWebmailStore
from chatd.settings.webmail import Webmail
from chatd.store import open_store

NOW = 1_795_370_645.0
ANNA = JID.parse("anna@example.org")
EXAMPLE = "0099ffba8a69fad19be62e5adc2bcb7b6113b398e9f3ae066581fa933a4da008"
ROUNDCUBE = Webmail(name="roundcube", domains=("example.org",), key="k" * 32, token_s=300)


class Stream:
    """A session as far as tokens know one."""

    def __init__(self, bare: str) -> None:
        self.bare = bare
        self.jid = JID.parse(f"{bare}/web")
        self.state: dict[str, Any] | None = None
        self.closed: list[str] = []

    def close(self, error: Any = None) -> None:
        self.closed.append(error.condition)


class House:
    """Tokens with what they need."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.now = NOW
        self.webmails = [ROUNDCUBE]
        self.named: list[tuple[str, str]] = []
        self.streams: list[Stream] = []
        accounts: Any = SimpleNamespace(online=lambda: [
            SimpleNamespace(bare=bare, sessions={str(n): s for n, s in enumerate(self.streams) if s.bare == bare})
            for bare in {s.bare for s in self.streams}])
        self.tokens = Tokens(store, accounts, lambda: self.webmails,
                             FirstLogins(store.accounts, lambda: self.now).welcome, lambda: self.now,
                             lambda jid, name: self.named.append((jid.bare, name)))

    def stream(self, bare: str, grant: Grant) -> Stream:
        """A session that began by that token."""
        made = Stream(bare)
        self.streams.append(made)
        self.tokens.began(made, grant)      # type: ignore[arg-type]
        return made


@pytest_twisted.async_yield_fixture
async def house(tmp_path: Any) -> Any:
    from twisted.internet import reactor

    store = await open_store(SimpleNamespace(url="sqlite:t.sqlite", commit_interval_ms=1, durability="normal", pool=1),
                             tmp_path, reactor)
    yield House(store)
    await store.close()


def test_what_a_request_is_signed_with() -> None:
    """The example that docs/webmail.md gives to whoever writes the other side."""
    body = b'{"address": "anna@example.org", "session": "7d0c1a"}'
    assert sign("a-key-of-at-least-32-characters-0123", "POST", "/api/v1/sso", "1795370645", "f3Jq0m2nYw8kVb1x", body) \
        == EXAMPLE


def test_what_a_token_looks_like() -> None:
    assert is_token(make_token("x" * 43)) and not is_token("Correct-Horse 7")
    for wrong in ("", "x" * 42, "x" * 44, "x" * 42 + "=", "x" * 42 + "/"):
        with pytest.raises(ValueError, match="32 random bytes"):
            make_token(wrong)
    assert session_hash("a", "b") != session_hash("ab", "")


@pytest_twisted.ensureDeferred
async def test_the_first_one_makes_the_account(house: House) -> None:
    verifyObject(ITokens, house.tokens)
    verifyObject(IWebmailStore, house.store.webmail)
    token = await house.tokens.give(ROUNDCUBE, ANNA, "s1", "Anna")
    assert (await house.store.accounts.get("anna", "example.org")) is not None
    await house.tokens.give(ROUNDCUBE, ANNA, "s1", "Somebody Else")
    assert house.named == [("anna@example.org", "Anna")], "only when the account is made"
    assert await house.tokens.check("anna", "example.org", token) == (
        Grant("roundcube", session_hash("roundcube", "s1")), False)


@pytest.fixture
def logged() -> Any:
    """What is logged of tokens, as text."""
    events: list[str] = []

    def observer(event: Any) -> None:
        if event["log_namespace"] == "chatd.auth.token":
            events.append(formatEvent(event))

    globalLogPublisher.addObserver(observer)
    yield events
    globalLogPublisher.removeObserver(observer)


@pytest_twisted.ensureDeferred
async def test_a_refused_token_is_in_the_log(house: House, logged: list[str]) -> None:
    """Why, and whose; not the token."""
    token, refused = await house.tokens.give(ROUNDCUBE, ANNA, "s1"), "a token of Webmail for {} was refused: {}"
    for bare in ("bert@example.org", "anna@example.com"):
        await house.tokens.check(*bare.split("@"), token)
        assert logged.pop() == refused.format(bare, "it is one of anna@example.org")
    house.webmails = []
    await house.tokens.check("anna", "example.org", token)
    assert logged.pop().endswith("roundcube may not sign on people of example.org any more")
    house.now += 300
    await house.tokens.check("anna", "example.org", token)
    assert logged.pop() == refused.format("anna@example.org", "it has expired")
    await house.tokens.log_out("roundcube", session="s1")
    await house.tokens.check("anna", "example.org", token)
    assert logged.pop() == refused.format("anna@example.org", "there is no such token, or not any more")
    assert logged == []


@pytest_twisted.ensureDeferred
async def test_a_token_expires(house: House) -> None:
    token = await house.tokens.give(ROUNDCUBE, ANNA, "s1")
    house.now += 299
    assert (await house.tokens.check("anna", "example.org", token))[0] is not None
    house.now += 1
    assert await house.tokens.check("anna", "example.org", token) == (None, False)
    await house.tokens.give(ROUNDCUBE, ANNA, "s1")
    assert await house.store.webmail.find(hashed(token)) is None, "what has expired goes with the next one"


@pytest_twisted.ensureDeferred
async def test_whom_a_token_does_not_let_in(house: House) -> None:
    token = await house.tokens.give(ROUNDCUBE, ANNA, "s1")
    for local, domain, given in (("bert", "example.org", token), ("anna", "example.com", token),
                                 ("anna", "example.org", make_token("x" * 43))):
        assert await house.tokens.check(local, domain, given) == (None, False)
    house.webmails = []
    assert await house.tokens.check("anna", "example.org", token) == (None, False)
    house.webmails = [Webmail(name="roundcube", domains=("example.com",), key="k" * 32)]
    assert await house.tokens.check("anna", "example.org", token) == (None, False)


@pytest_twisted.ensureDeferred
async def test_disabled_accounts(house: House) -> None:
    token = await house.tokens.give(ROUNDCUBE, ANNA, "s1")
    row = await house.store.accounts.get("anna", "example.org")
    await house.store.accounts.set_disabled(row.id, True)
    assert (await house.tokens.check("anna", "example.org", token))[1] is True
    assert await house.tokens.give(ROUNDCUBE, ANNA, "s1") is None
    await house.store.accounts.delete(row.id)
    assert await house.tokens.check("anna", "example.org", token) == (None, False), "it goes with its account"


@pytest_twisted.ensureDeferred
async def test_log_out(house: House) -> None:
    tokens = {session: await house.tokens.give(ROUNDCUBE, ANNA, session) for session in ("s1", "s2")}
    grants = {session: (await house.tokens.check("anna", "example.org", token))[0]
              for session, token in tokens.items()}
    one, two = (house.stream("anna@example.org", grants[session]) for session in ("s1", "s2"))
    by_password = Stream("anna@example.org")
    house.streams.append(by_password)
    assert await house.tokens.log_out("other", session="s1") == (0, 0)
    assert await house.tokens.log_out("roundcube", session="s1") == (1, 1)
    assert (one.closed, two.closed, by_password.closed) == (["not-authorized"], [], [])
    assert await house.tokens.check("anna", "example.org", tokens["s1"]) == (None, False)
    late = house.stream("anna@example.org", grants["s1"])
    assert late.closed == ["not-authorized"], "its log-in was under way"
    assert await house.tokens.log_out("roundcube", jid=JID.parse("bert@example.org")) == (0, 0)
    assert (await house.tokens.log_out("roundcube", jid=ANNA))[0] == 1
    assert two.closed == ["not-authorized"] and by_password.closed == []


@pytest.mark.parametrize("whose", [
    {"webmail": "roundcube", "jid": ANNA}, {"jid": ANNA}, {"webmail": "roundcube"},
    {"webmail": "roundcube", "session": session_hash("roundcube", "s1")}])
@pytest_twisted.ensureDeferred
async def test_a_log_in_that_is_under_way_ends_too(house: House, whose: dict[str, Any]) -> None:
    """Its token was taken, but there is no session yet when the log-out looks for sessions."""
    token = await house.tokens.give(ROUNDCUBE, ANNA, "s1")
    grant, _ = await house.tokens.check("anna", "example.org", token)
    bert = JID.parse("bert@example.org")
    assert await house.tokens.revoke(**({**whose, "jid": bert} if "jid" in whose else {"webmail": "other"})) == (0, 0)
    assert await house.tokens.revoke(**whose) == (1, 0)
    assert house.stream("anna@example.org", grant).closed == ["not-authorized"]
    # Whoever signs on again is let in, also with the same session of Webmail.
    again = await house.tokens.give(ROUNDCUBE, ANNA, "s1")
    grant, _ = await house.tokens.check("anna", "example.org", again)
    assert house.stream("anna@example.org", grant).closed == []


@pytest_twisted.ensureDeferred
async def test_a_token_that_is_being_looked_up_or_made(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log-out comes between question and answer of the store."""
    token = await house.tokens.give(ROUNDCUBE, ANNA, "s1")
    checked = house.tokens.check("anna", "example.org", token)      # asked before the log-out, answered at any time
    await house.tokens.log_out("roundcube", jid=ANNA)
    grant, _ = await checked
    assert grant is None or house.stream("anna@example.org", grant).closed == ["not-authorized"]
    welcome, waiting = house.tokens._welcome, Deferred()
    monkeypatch.setattr(house.tokens, "_welcome", lambda *who: waiting.addCallback(lambda _: welcome(*who)))
    giving = house.tokens.give(ROUNDCUBE, ANNA, "s1")
    await house.tokens.log_out("roundcube", session="s1")
    waiting.callback(None)
    assert await house.tokens.check("anna", "example.org", await giving) == (None, False)


@pytest_twisted.ensureDeferred
async def test_nonces_and_revoking_in_the_store(house: House) -> None:
    store = house.store.webmail
    assert await store.spend("a", "n", 2_000, 1_000) is True
    assert await store.spend("a", "n", 9_000, 1_999) is False
    assert await store.spend("b", "n", 2_000, 1_000) is True
    assert await store.spend("a", "n", 9_000, 2_000) is True, "by then its time would be refused"
    with pytest.raises(ValueError, match="whose"):
        store.revoke()
    await house.tokens.give(ROUNDCUBE, ANNA, "s1")
    assert [row.local for row in await store.list(int(NOW * 1000))] == ["anna"]
    assert await store.list(int(NOW * 1000) + 300_000) == []
    assert await store.revoke(webmail="other") == 0
    assert await store.revoke(webmail="roundcube", address=("anna", "example.org")) == 1
