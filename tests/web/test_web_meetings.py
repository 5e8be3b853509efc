"""Meetings over HTTP: only signed requests make one, only the link's id shows one, only a pass gives a recording."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import _producer_helpers
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock, Cooperator
from zope.interface import implementer
from zope.interface.verify import verifyObject

from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.interfaces import IMeetings
from chatd.web.headers import SecurityHeaders
from chatd.web.meetings import MEETINGS_PATH, PAGE_PATH, MeetingPage, MeetingsResource
from chatd.web.recordings import RECORDINGS_PATH, RecordingsResource
from chatd.web.signed import SLACK_S, Signatures, authorization
from chatd.web.static import StaticFiles
from tests.web.browser_like import Answer, Connection, ask, site_of

NOW = 1_795_370_645
SECRET = "s" * 32
KEYS = {"webmail": SECRET, "other": "o" * 32}
LINK = "https://chat.example.org/meet/talk-abc"
BODY = {"account": "john@example.org", "name": "Talk"}


@implementer(IMeetings)
class Meetings:
    """Keeps what it was asked for."""

    def __init__(self, file: Path | None = None) -> None:
        self.made: list[dict[str, Any]] = []
        self.file = file
        self.refusal: Exception | None = None
        self.is_open = True

    def create(self, account: JID, name: str = "", password: str = "", lobby: bool = False, e2ee: bool = False,
               expires_ms: int = 0) -> Deferred[dict[str, Any]]:
        """Makes none, says so."""
        if self.refusal is not None:
            return fail(self.refusal)
        self.made.append({"account": account.full, "name": name, "password": password, "lobby": lobby, "e2ee": e2ee,
                          "expires_ms": expires_ms})
        return succeed({"id": "talk-abc", "link": LINK})

    def info(self, id: str) -> dict[str, Any] | None:
        """One there is."""
        return {"id": id, "recording": "on"} if id == "talk-abc" else None

    def admits(self, room: str, identity: str) -> bool:
        """Everybody."""
        return True

    def recording(self, id: str, given: str) -> tuple[Path, str] | None:
        """One there is."""
        return (self.file, "Talk.webm") if self.file is not None and (id, given) == ("0123456789ab", "good") else None


class Site:
    """The site with everything of meetings."""

    def __init__(self, folder: Path, file: Path | None = None, keys: dict[str, str] | None = None) -> None:
        self.meetings = Meetings(file)
        self.now = float(NOW)
        self.spent: dict[tuple[str, str], int] = {}
        signatures = Signatures(lambda: KEYS if keys is None else keys, self.spend, lambda: self.now)
        self.site = site_of(folder, mounts={
            MEETINGS_PATH: MeetingsResource(self.meetings, signatures, lambda: 0.0),
            PAGE_PATH: MeetingPage(StaticFiles(folder)),
            RECORDINGS_PATH: RecordingsResource(self.meetings)})
        self.nonces = 0

    def spend(self, key: str, nonce: str, until_ms: int, now_ms: int) -> Deferred[bool]:
        """As the store does it."""
        self.spent = {one: until for one, until in self.spent.items() if until > now_ms}
        is_new = (key, nonce) not in self.spent
        self.spent.setdefault((key, nonce), until_ms)
        return succeed(is_new)

    def make(self, body: Any = BODY, *, key: str = "webmail", secret: str = SECRET, time: int = NOW, nonce: str = "",
             path: str = MEETINGS_PATH, signed_body: bytes | None = None, method: str = "POST",
             header: str = "") -> Answer:
        """POST with a signature over what is given."""
        self.nonces += 1
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        nonce = nonce or f"nonce-{self.nonces:04}"
        written = authorization(key, secret, method, path, time, nonce, data if signed_body is None else signed_body)
        return ask(self.site, MEETINGS_PATH, "POST", body=data, authorization=header or written)


@pytest.fixture
def site(folder: Path) -> Site:
    return Site(folder)


def test_the_double_is_one() -> None:
    verifyObject(IMeetings, Meetings())


def test_signed(site: Site) -> None:
    answer = site.make(BODY | {"lobby": True, "e2ee": False, "password": "p", "expires": "2027-01-01T00:00:00Z"})
    assert answer.code == 201 and answer.headers["location"] == LINK
    assert json.loads(answer.body) == {"id": "talk-abc", "link": LINK}
    assert site.meetings.made == [{"account": "john@example.org", "name": "Talk", "password": "p", "lobby": True,
                                   "e2ee": False, "expires_ms": 1_798_761_600_000}]


@pytest.mark.parametrize("changed", [
    {"secret": "x" * 32}, {"key": "nobody"}, {"key": "other"}, {"time": NOW + 1_000}, {"time": NOW - SLACK_S - 1},
    {"path": "/api/v1/meetings/"}, {"method": "GET"}, {"signed_body": b"{}"}, {"nonce": "short"}, {"nonce": "n" * 65},
    {"header": "Bearer " + SECRET}, {"header": "CHATD-HMAC-SHA256 key=webmail"}, {"header": "CHATD-HMAC-SHA256 "},
    {"header": f'CHATD-HMAC-SHA256 key="webmail", time="{NOW}", nonce="12345678", signature=""'},
    {"header": f'CHATD-HMAC-SHA256 key="webmail", key="webmail", time="{NOW}", nonce="12345678", signature=""'},
    {"header": 'CHATD-HMAC-SHA256 key="webmail", time="\xb2", nonce="12345678", signature="\xe9"'}])
def test_unsigned(site: Site, changed: dict[str, Any]) -> None:
    answer = site.make(**changed)
    assert answer.code == 401, answer
    assert site.meetings.made == []
    assert SECRET.encode() not in answer.body


def test_without_authorization(site: Site) -> None:
    assert ask(site.site, MEETINGS_PATH, "POST", body=json.dumps(BODY).encode()).code == 401


def test_who_floods_without_a_signature_is_not_heard(site: Site) -> None:
    codes = [site.make(secret="x" * 32).code for _ in range(30)]
    assert codes == [401] * 20 + [429] * 10 and site.make().code == 201


def test_a_request_is_good_once(site: Site) -> None:
    assert site.make(nonce="the-same-one").code == 201
    assert site.make(nonce="the-same-one").code == 401
    assert site.make(nonce="another-one").code == 201
    site.now += SLACK_S - 1
    assert site.make(nonce="the-same-one").code == 401, "as long as it would be in time"
    assert len(site.meetings.made) == 2
    assert site.spent.keys() == {("api webmail", "the-same-one"), ("api webmail", "another-one")}


def test_a_request_is_good_once_over_a_restart(site: Site, folder: Path) -> None:
    assert site.make(nonce="the-same-one").code == 201
    later = Site(folder)
    later.spent = site.spent                # what is in the store
    later.now += SLACK_S
    assert later.make(nonce="the-same-one").code == 401
    later.now += 1
    assert later.make(nonce="the-same-one").code == 401, "when the nonce may be forgotten the time is over"
    assert later.meetings.made == []
    assert later.make(nonce="the-same-one", key="other", secret=KEYS["other"], time=int(later.now)).code == 201


def test_without_keys_nobody_may_ask(folder: Path) -> None:
    site = Site(folder, keys={})
    assert site.make().code == 404
    assert site.make(key="", secret="\0").code == 404


@pytest.mark.parametrize("body", [
    b"", b"[]", b"{", b"\xff", b'"x"', b"[" * 10_000, {}, BODY | {"account": 7}, BODY | {"account": "example.org"},
    BODY | {"account": "john@example.org/phone"}, BODY | {"account": "@"}, BODY | {"lobby": "yes"},
    BODY | {"owner": "x"}, BODY | {"expires": "tomorrow"}, BODY | {"name": None},
    BODY | {"name": "a\x01b"}, BODY | {"password": "\ud800"}])
def test_a_body_that_makes_no_sense(site: Site, body: Any) -> None:
    answer = site.make(body)
    assert answer.code == 400, answer
    assert json.loads(answer.body)["text"]
    assert site.meetings.made == []


def test_too_large(site: Site) -> None:
    assert site.make(BODY | {"name": "x" * 20_000}).code == 413


@pytest.mark.parametrize(("condition", "code"), [
    ("item-not-found", 404), ("resource-constraint", 409), ("not-acceptable", 400), ("not-allowed", 403)])
def test_refused(site: Site, condition: str, code: int) -> None:
    site.meetings.refusal = StanzaError(condition, text="Because.")
    answer = site.make()
    assert answer.code == code and json.loads(answer.body)["text"] == "Because."


def test_a_failure_of_ours(site: Site) -> None:
    site.meetings.refusal = RuntimeError("a secret of the daemon")
    answer = site.make()
    assert answer.code == 500 and b"secret" not in answer.body


def test_what_the_link_shows(site: Site) -> None:
    answer = ask(site.site, f"{MEETINGS_PATH}/talk-abc")
    assert answer.code == 200 and json.loads(answer.body) == {"id": "talk-abc", "recording": "on"}
    assert answer.headers["cache-control"] == "no-store"
    for path in ("/talk", "/", "", "/talk-abc/x", "/%2e%2e", "/talk-abc/"):
        assert ask(site.site, MEETINGS_PATH + path).code in (404, 405), path
    assert ask(site.site, f"{MEETINGS_PATH}/talk-abc", "DELETE").code in (405, 501)


def test_while_the_daemon_starts(site: Site) -> None:
    site.meetings.is_open = False
    assert ask(site.site, f"{MEETINGS_PATH}/talk-abc").code == 503


def test_pages_of_other_hosts_read_it(site: Site) -> None:
    """Also why there is none; only the Webmail's server makes meetings, so nothing of that is said to pages."""
    for path, code in (("/talk-abc", 200), ("/talk", 404)):
        answer = ask(site.site, MEETINGS_PATH + path)
        assert answer.code == code and answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in site.make().headers


def test_the_page(folder: Path) -> None:
    (folder / "meet").mkdir()
    (folder / "meet" / "index.html").write_text("<!doctype html><title>Meeting</title>")
    (folder / "meet" / "app.js").write_text("1")
    site = Site(folder).site
    for path in ("/meet/talk-abc", "/meet/anything"):
        answer = ask(site, path)
        assert answer.code == 200 and b"Meeting" in answer.body
        assert answer.headers["content-type"].startswith("text/html")
    assert ask(site, "/meet/app.js").body == b"1"
    for path in ("/meet", "/meet/", "/meet/a/b", "/meet/..%2findex.html/x"):
        assert ask(site, path).code == 404, path


def test_only_the_page_may_stand_in_a_frame_of_ours(folder: Path) -> None:
    """The panel shows it in a window; nobody else does, and what lies beside it is no page."""
    (folder / "meet").mkdir()
    for name in ("index.html", "app.js"):
        (folder / "meet" / name).write_text("1")
    site = Site(folder)
    page = ask(site.site, "/meet/talk-abc").headers
    assert page["content-security-policy"].endswith("; frame-ancestors 'self'")
    assert page["x-frame-options"] == "SAMEORIGIN"
    beside = ask(site.site, "/meet/app.js").headers
    assert beside["content-security-policy"].endswith("; frame-ancestors 'none'")
    same, other = (one["content-security-policy"].rpartition(";")[0] for one in (page, beside))
    assert "; script-src 'self' 'wasm-unsafe-eval';" in same, "the blurred background"
    assert same.replace(" 'wasm-unsafe-eval'", "") == other
    named = site_of(folder, mounts={PAGE_PATH: MeetingPage(StaticFiles(folder))},
                    headers=SecurityHeaders(frame_ancestors=("https://mail.example.com",)))
    page = ask(named, "/meet/talk-abc").headers
    assert page["content-security-policy"].endswith("; frame-ancestors 'self' https://mail.example.com")
    assert "x-frame-options" not in page


def test_a_page_that_was_not_built(site: Site) -> None:
    assert ask(site.site, "/meet/talk-abc").code == 404


@pytest.fixture
def recorded(folder: Path, tmp_path: Path) -> Site:
    file = tmp_path / "take.webm"
    file.write_bytes(bytes(range(256)) * 8)
    return Site(folder, file)


def test_a_recording(recorded: Site) -> None:
    address = f"{RECORDINGS_PATH}/0123456789ab?pass=good"
    answer = ask(recorded.site, address)
    assert answer.code == 200 and answer.headers["content-type"] == "video/webm" and len(answer.body) == 2048
    assert answer.headers["content-disposition"] == "inline"
    assert "no-store" in answer.headers["cache-control"] and "sandbox" in answer.headers["content-security-policy"]
    for asked, body in (("256-259", bytes(range(4))), ("2046-", b"\xfe\xff"), ("-2", b"\xfe\xff"),
                        ("2047-9999", b"\xff")):
        part = ask(recorded.site, address, range=f"bytes={asked}")
        assert part.code == 206 and part.body == body
        assert part.headers["content-range"].endswith("/2048")
    assert ask(recorded.site, address, range="bytes=2048-").code == 416
    assert ask(recorded.site, address, "HEAD").headers["content-length"] == "2048"
    for asked in ("bytes=-", "bytes=0-1,4-5", "lines=1-2", "bytes=a-b", "bytes=\xb2-\xb3"):
        assert ask(recorded.site, address, range=asked).code == 200
    saved = ask(recorded.site, address + "&download=1")
    assert saved.headers["content-disposition"] == 'attachment; filename="Talk.webm"'


def test_a_large_part_is_sent_as_it_is_taken(recorded: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert recorded.meetings.file is not None
    recorded.meetings.file.write_bytes(b"x" * 100 + bytes(400_000) + b"y" * 100)
    clock = Clock()
    monkeypatch.setattr(_producer_helpers, "cooperate", Cooperator(
        scheduler=lambda go_on: clock.callLater(0.01, go_on), started=True).cooperate)
    connection = Connection(recorded.site)
    connection.send(f"GET {RECORDINGS_PATH}/0123456789ab?pass=good HTTP/1.1\r\nhost: a.example\r\n"
                    "range: bytes=100-400099\r\n\r\n".encode())
    clock.pump([1] * 40)
    answer = connection.answer()
    assert answer.code == 206 and answer.body == bytes(400_000)
    assert connection.ask("/").code == 200, "the connection goes on"


@pytest.mark.parametrize("path", [
    "", "/", "/0123456789ab", "/0123456789ab?pass=", "/0123456789ab?pass=bad", "/0123456789ac?pass=good",
    "/0123456789ab?pass=good&pass=good", "/0123456789ab/x?pass=good", "/../take.webm?pass=good",
    "/%2e%2e/take.webm?pass=good", "/0123456789AB?pass=good", "/0123456789ab/?pass=good"])
def test_no_recording(recorded: Site, path: str) -> None:
    answer = ask(recorded.site, RECORDINGS_PATH + path)
    assert answer.code == 404 and len(answer.body) < 400


def test_a_recording_whose_file_is_gone(recorded: Site) -> None:
    assert recorded.meetings.file is not None
    recorded.meetings.file.unlink()
    assert ask(recorded.site, f"{RECORDINGS_PATH}/0123456789ab?pass=good").code == 404
