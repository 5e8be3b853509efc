"""Signing on from Webmail over HTTP: who may, for whom, how often; every refusal in words and in the log."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from zope.interface import implementer
from zope.interface.verify import verifyObject

from chatd.core.jid import JID
from chatd.core.webmail import SLACK_S, TokenRow, Webmail
from chatd.interfaces import ITokens, IWebmailStore
from chatd.settings.webmail import Webmail as Settings
from chatd.web.sso import SSO_PATH, SignOnResource
from tests.web.browser_like import Answer, ask, site_of
from tests.webmail import KEY, headers

NOW = 1_795_370_645
OTHER_KEY = "another-key-that-is-long-enough-0123"
ANNA = {"address": "anna@example.org", "name": "Anna Arnold", "session": "s1"}
SESSION = "a-session-id-that-is-a-cookie-too"
TOKEN = "chatd-webmail-" + "x" * 43
WAYS = {"websocket": "wss://chat.example.org/xmpp-websocket"}


@implementer(ITokens)
class Tokens:
    """Keeps what it was asked for."""

    def __init__(self) -> None:
        self.given: list[tuple[str, str, str, str]] = []
        self.ended: list[tuple[str, str | None, str | None]] = []
        self.refuses: Any = None

    def give(self, webmail: Webmail, jid: JID, session: str, name: str = "") -> Deferred[str | None]:
        if isinstance(self.refuses, Exception):
            return fail(self.refuses)
        self.given.append((webmail.name, jid.full, session, name))
        return succeed(None if self.refuses else TOKEN)

    def log_out(self, webmail: str, session: str | None = None, jid: JID | None = None) -> Any:
        self.ended.append((webmail, session, None if jid is None else jid.full))
        return succeed((1, 2))

    def check(self, local: str, domain: str, token: str) -> Any:
        raise AssertionError

    def began(self, session: Any, grant: Any) -> None:
        raise AssertionError

    def revoke(self, webmail: str | None = None, session: bytes | None = None, jid: JID | None = None) -> Any:
        raise AssertionError


@implementer(IWebmailStore)
class Store:
    """Nonces in a set."""

    def __init__(self) -> None:
        self.spent: dict[tuple[str, str], int] = {}

    def spend(self, webmail: str, nonce: str, until_ms: int, now_ms: int) -> Deferred[bool]:
        is_new = (webmail, nonce) not in self.spent
        self.spent[webmail, nonce] = until_ms
        return succeed(is_new)

    def add(self, row: TokenRow) -> Any:
        raise AssertionError

    def find(self, hash: bytes) -> Any:
        raise AssertionError

    def list(self, now_ms: int) -> Any:
        raise AssertionError

    def revoke(self, webmail: str | None = None, session: bytes | None = None, address: Any = None) -> Any:
        raise AssertionError


class Site:
    """The site with nothing but this resource."""

    def __init__(self, folder: Path) -> None:
        self.tokens, self.store, self.clock = Tokens(), Store(), Clock()
        self.now = float(NOW)
        self.webmails = [Settings(name="webmail", domains=("example.org", "elsewhere.example"), key=KEY),
                         Settings(name="other", domains=("example.com",), key=OTHER_KEY)]
        resource = SignOnResource(self.tokens, self.store, lambda: self.webmails,
                                  lambda: frozenset(("example.org", "example.com")), WAYS, lambda: self.now,
                                  self.clock.seconds)
        self.site = site_of(folder, self.clock, mounts={SSO_PATH: resource})

    def ask(self, said: Any = ANNA, method: str = "POST", *, peer: str = "192.0.2.7", path: str = SSO_PATH,
            changed: dict[str, str] | None = None, sent: bytes | None = None, **more: str) -> Answer:
        """A request signed as told; changed: headers put in the place of right ones."""
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        signed = headers(body, method, **{"stamp": str(NOW), **more})
        lines = {name.lower().replace("-", "_"): value for name, value in {**signed, **(changed or {})}.items()}
        return ask(self.site, path, method, peer=peer, body=body if sent is None else sent, **lines)


@pytest.fixture
def site(folder: Path) -> Site:
    return Site(folder)


@pytest.fixture
def logged() -> Any:
    """What this room logs, as text; at the end no key, signature, token or session is in it."""
    events: list[str] = []

    def observer(event: Any) -> None:
        if event["log_namespace"] == "chatd.web.sso":
            failure = event.get("log_failure")
            events.append(formatEvent(event) + (f" {failure.value}" if failure is not None else ""))

    globalLogPublisher.addObserver(observer)
    yield events
    globalLogPublisher.removeObserver(observer)
    said = "".join(events)
    assert not any(secret in said for secret in (KEY, OTHER_KEY, TOKEN, SESSION)), said
    assert re.search(r"[0-9a-f]{32}", said) is None, said


def refusals(logged: list[str], code: int) -> list[str]:
    """The lines that tell of refusals with this status; each names the address it came from."""
    found = [line for line in logged if f" was refused to 192.0.2.7: {code} " in line]
    assert len(found) == len([line for line in logged if "refused" in line]), logged
    return found


def test_the_doubles_are_right() -> None:
    verifyObject(ITokens, Tokens())
    verifyObject(IWebmailStore, Store())


def test_a_token(site: Site) -> None:
    answer = site.ask(nonce="0123456789abcdef")
    assert answer.code == 200 and answer.headers["cache-control"] == "no-store"
    assert json.loads(answer.body) == {"token": TOKEN, "address": "anna@example.org", "expires_in": 300, **WAYS}
    assert site.tokens.given == [("webmail", "anna@example.org", "s1", "Anna Arnold")]
    assert site.store.spent == {("webmail", "0123456789abcdef"): (NOW + SLACK_S + 1) * 1000}


@pytest.mark.parametrize(("address", "jid"), [
    ("Anna@Example.ORG", "anna@example.org"), ("r&d@example.org", "r\\26d@example.org"),
    ("o'brien@example.org", "o\\27brien@example.org"), (" anna@example.org ", "anna@example.org")])
def test_mail_addresses(site: Site, address: str, jid: str) -> None:
    answer = site.ask({"address": address, "session": "s"})
    assert json.loads(answer.body)["address"] == jid and site.tokens.given[0][1:] == (jid, "s", "")


@pytest.mark.parametrize("wrong", [
    {"key": OTHER_KEY}, {"name": "other"}, {"name": "nobody"}, {"name": "nobody", "key": "\0" * 32}, {"name": ""},
    {"stamp": str(NOW - SLACK_S - 1)}, {"stamp": str(NOW + SLACK_S + 1)}, {"stamp": "1" * 13}, {"stamp": "-1"},
    {"stamp": "1e9"}, {"nonce": "short"}, {"nonce": "n" * 65}, {"nonce": "0123456789abcde/"}, {"path": "/api/v1/sso/"},
    {"path": "/api/v1/meetings"}, {"sent": b'{"address": "eve@example.org", "session": "s"}'},
    {"changed": {"X-Chatd-Signature": ""}}, {"changed": {"X-Chatd-Signature": "0" * 64}},
    {"changed": {"X-Chatd-Signature": "\xe9" * 64}}, {"changed": {"X-Chatd-Time": "\xb2"}},
    {"changed": {"X-Chatd-Webmail": "other"}}, {"changed": {"X-Chatd-Nonce": "another-nonce-0123"}}])
def test_who_is_not_believed(site: Site, wrong: dict[str, Any], logged: list[str]) -> None:
    if "path" in wrong:
        wrong = {"changed": headers(json.dumps(ANNA).encode(), stamp=str(NOW), path=wrong["path"])}
    answer = site.ask(**wrong)
    assert answer.code == 401, answer
    assert json.loads(answer.body)["text"].endswith(".")
    assert site.tokens.given == [] and site.store.spent == {}
    [line] = refusals(logged, 401)
    assert line.endswith(json.loads(answer.body)["text"])
    assert KEY.encode() not in answer.body


@pytest.mark.parametrize("missing", ["Webmail", "Time", "Nonce", "Signature"])
def test_all_headers_are_needed(site: Site, missing: str, logged: list[str]) -> None:
    body = json.dumps(ANNA).encode()
    lines = {name.lower(): value for name, value in headers(body, stamp=str(NOW)).items() if missing not in name}
    assert ask(site.site, SSO_PATH, "POST", body=body, **lines).code == 401
    assert len(refusals(logged, 401)) == 1


def test_a_request_is_good_once(site: Site, logged: list[str]) -> None:
    assert site.ask(nonce="the-same-one-0123").code == 200
    again = site.ask(nonce="the-same-one-0123")
    assert (again.code, json.loads(again.body)["text"]) == (409, "This nonce was used before.")
    assert site.ask(nonce="the-same-one-0123", method="DELETE", said={"session": "s1"}).code == 409
    assert site.ask({"address": "b@example.com", "session": "s"}, name="other", key=OTHER_KEY,
                    nonce="the-same-one-0123").code == 200, "nonces of another Webmail are its own"
    assert len(refusals(logged, 409)) == 2


def test_a_request_for_one_thing_does_no_other(site: Site, logged: list[str]) -> None:
    body = json.dumps({"session": "s1"}).encode()
    signed = headers(body, "POST", stamp=str(NOW))
    assert site.ask({"session": "s1"}, "DELETE", changed=signed).code == 401
    assert site.tokens.ended == [] and len(refusals(logged, 401)) == 1


@pytest.mark.parametrize("address", ["anna@example.com", "anna@elsewhere.example", "anna@stranger.example"])
def test_people_of_other_domains(site: Site, address: str, logged: list[str]) -> None:
    """Not of this Webmail, not (any more) served here, of neither."""
    for said, method in (({"address": address, "session": "s"}, "POST"), ({"address": address}, "DELETE")):
        answer = site.ask(said, method)
        assert answer.code == 403, answer
    assert site.tokens.given == [] and site.tokens.ended == []
    assert len([one for one in refusals(logged, 403) if "Webmail webmail was refused" in one]) == 2


@pytest.mark.parametrize("body", [
    b"", b"[]", b"{", b"\xff", b'"x"', b"[" * 5_000, {}, {"session": "s"}, {"address": "anna@example.org"},
    ANNA | {"address": 7}, ANNA | {"address": "example.org"}, ANNA | {"address": "@example.org"},
    ANNA | {"address": "an\0na@example.org"}, ANNA | {"address": "\ud800@example.org"},
    ANNA | {"address": "anna@example.org/phone"}, ANNA | {"session": ""}, ANNA | {"session": 7},
    ANNA | {"session": "s" * 513}, ANNA | {"session": "a\nb"}, ANNA | {"session": "\ud800"}, ANNA | {"name": 7},
    ANNA | {"name": None}, ANNA | {"more": 1}, ANNA | {"session": SESSION, "more": SESSION},
    {"address": SESSION, "session": SESSION}])
def test_bodies_that_are_none(site: Site, body: Any, logged: list[str]) -> None:
    answer = site.ask(body)
    assert answer.code == 400, answer
    assert site.tokens.given == [] and len(refusals(logged, 400)) == 1


def test_names_are_one_line_of_text(site: Site) -> None:
    assert site.ask(ANNA | {"name": " Anna\n\ud800\0 Arnold\u202e " + "x" * 400}).code == 200
    assert site.tokens.given[0][3].startswith("Anna Arnold x") and len(site.tokens.given[0][3]) <= 256


def test_too_long(site: Site, logged: list[str]) -> None:
    assert site.ask(b"x" * 8_193).code == 413
    assert len(refusals(logged, 413)) == 1


def test_a_disabled_account(site: Site, logged: list[str]) -> None:
    site.tokens.refuses = True
    answer = site.ask()
    assert answer.code == 403 and "disabled" in json.loads(answer.body)["text"]
    assert "disabled" in refusals(logged, 403)[0]


def test_a_store_that_is_down(site: Site, logged: list[str]) -> None:
    site.tokens.refuses = OSError("the disk")
    answer = site.ask()
    assert answer.code == 503 and b"disk" not in answer.body
    assert any("the disk" in one for one in logged)


def test_log_out(site: Site) -> None:
    answer = site.ask({"session": "s1"}, "DELETE")
    assert (answer.code, json.loads(answer.body)) == (200, {"tokens": 1, "sessions": 2})
    assert site.ask({"address": "anna@example.org"}, "DELETE").code == 200
    assert site.tokens.ended == [("webmail", "s1", None), ("webmail", None, "anna@example.org")]
    for said in ({}, {"session": "s1", "address": "anna@example.org"}, {"name": "Anna"}):
        assert site.ask(said, "DELETE").code == 400


def test_one_address_has_a_rate(site: Site, logged: list[str]) -> None:
    codes = [site.ask(ANNA | {"session": SESSION}).code for _ in range(32)]
    assert codes == [200] * 30 + [429] * 2
    assert len(refusals(logged, 429)) == 2
    assert site.ask(ANNA | {"address": "bert@example.org"}).code == 200
    refused = site.ask()
    assert refused.code == 429 and int(refused.headers["retry-after"]) >= 1
    site.clock.advance(2)
    assert site.ask().code == 200


def test_a_flood_of_nonsense_does_not_fill_the_log_nor_keep_webmail_out(site: Site, logged: list[str]) -> None:
    codes = [site.ask(key=OTHER_KEY).code for _ in range(50)]
    assert codes == [401] * 20 + [429] * 30
    assert len(refusals(logged, 401)) == 20
    assert site.ask().code == 200, "from the same address, but signed"
    assert site.ask(key=OTHER_KEY, peer="192.0.2.8").code == 401


def test_only_where_it_is_wanted(site: Site) -> None:
    assert site.ask(path=SSO_PATH + "?x=1").code == 404
    assert ask(site.site, SSO_PATH).code == 405
    site.webmails = []
    assert site.ask().code == 404
    site.webmails = [Settings(name="webmail", domains=("example.org",), key="")]
    assert site.ask(key="").code == 401, "a key that is not there is none"
