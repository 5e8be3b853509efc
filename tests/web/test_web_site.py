"""Headers, refusals, limits and logs of the whole site, byte for byte over one connection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.web.pages import notFound
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from chatd.web.headers import SecurityHeaders
from chatd.web.site import WebLimits
from tests.web.browser_like import Connection, ask, settings, site_of


class Echo(Resource):
    """Answers with who asked, how, and what was sent."""

    isLeaf = True

    def render_GET(self, request) -> bytes:
        return json.dumps([request.getClientAddress().host, request.isSecure()]).encode()

    def render_POST(self, request) -> bytes:
        return request.content.read()


class Broken(Resource):
    isLeaf = True

    def render_GET(self, request) -> bytes:
        raise RuntimeError("the secret inside")


class Slow(Resource):
    isLeaf = True

    def render_GET(self, request) -> int:
        return NOT_DONE_YET


MOUNTS = {"/http-bind": Echo(), "/api/v1/broken": Broken(), "/slow": Slow(), "/foreign": notFound()}


@pytest.fixture
def logged():
    events: list[dict] = []
    globalLogPublisher.addObserver(events.append)  # type: ignore[arg-type]
    yield events
    globalLogPublisher.removeObserver(events.append)  # type: ignore[arg-type]


def test_every_answer_carries_the_security_headers(folder: Path) -> None:
    site = site_of(folder, mounts=MOUNTS)
    for path in ("/", "/nowhere", "/healthz", "/http-bind", "/api/v1/broken"):
        headers = ask(site, path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy and "unsafe-eval'" not in policy.replace("wasm-unsafe-eval'", "")
        assert "script-src 'self' 'unsafe-inline'" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert "camera=(self)" in headers["permissions-policy"]
        assert headers["server"] == "chatd"


def test_named_sites_may_frame_the_panel(folder: Path) -> None:
    site = site_of(folder, headers=SecurityHeaders(frame_ancestors=("'self'", "https://mail.example.com")))
    headers = ask(site, "/").headers
    assert headers["content-security-policy"].endswith("frame-ancestors 'self' https://mail.example.com")
    assert "x-frame-options" not in headers


def test_a_frame_ancestor_cannot_smuggle_directives() -> None:
    with pytest.raises(ValueError, match="cannot frame"):
        SecurityHeaders(frame_ancestors=("https://a.example; script-src *",))


@pytest.mark.parametrize(
    ("host", "tls", "expected"),
    [
        ("chat.example.org", True, "max-age=31536000"),
        ("chat.example.org", False, None),
        ("localhost:5281", True, None),
        ("127.0.0.1:5281", True, None),
    ],
)
def test_hsts_only_over_tls_and_never_for_a_desk(folder: Path, host: str, tls: bool, expected: str | None) -> None:
    answer = ask(site_of(folder), "/", tls=tls, host=host)
    assert answer.headers.get("strict-transport-security") == expected


def test_refusals_are_pages_for_people_and_json_for_programs(folder: Path) -> None:
    site = site_of(folder, mounts=MOUNTS)
    page = ask(site, "/nowhere", accept="text/html,*/*")
    assert page.code == 404 and b"Page not found" in page.body
    program = ask(site, "/nowhere", accept="application/json")
    assert json.loads(program.body) == {
        "error": "Not Found",
        "status": 404,
        "text": "There is nothing at this address.",
    }
    assert json.loads(ask(site, "/foreign").body)["status"] == 404
    assert json.loads(ask(site, "/api").body)["status"] == 404
    assert json.loads(ask(site, "/api/v1/other").body)["status"] == 404


def test_unknown_methods_are_refused_in_words(folder: Path) -> None:
    site = site_of(folder)
    refused = ask(site, "/", "POST", body=b"x")
    assert refused.code == 405 and "GET" in refused.headers["allow"]
    assert ask(site, "/", "BREW").code == 501


def test_a_bug_shows_no_trace(folder: Path, logged: list[dict]) -> None:
    answer = ask(site_of(folder, mounts=MOUNTS), "/api/v1/broken?token=abc", accept="text/html")
    assert answer.code == 500
    assert b"secret" not in answer.body and b"Traceback" not in answer.body
    failures = [event for event in logged if event.get("log_failure")]
    assert len(failures) == 1
    assert "abc" not in str([event.get("path") for event in logged])


def test_the_log_has_no_query_string(folder: Path, logged: list[dict]) -> None:
    ask(site_of(folder), "/?password=hunter2", authorization="Basic aHVudGVyMg==")
    lines = [event for event in logged if event.get("path") is not None]
    assert [(event["method"], event["path"], event["code"]) for event in lines] == [("GET", "/", 200)]
    assert lines[0]["log_level"] is LogLevel.debug
    assert "hunter2" not in str(lines) and "aHVudGVy" not in str(lines)


def test_mounted_twice_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="mounted twice"):
        site_of(folder, mounts={"/healthz": Echo()})
    with pytest.raises(ValueError, match="no path"):
        site_of(folder, mounts={"relative": Echo()})


@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        ("192.0.2.7", {}, ["192.0.2.7", False]),
        ("192.0.2.7", {"x_forwarded_for": "1.2.3.4", "x_forwarded_proto": "https"}, ["192.0.2.7", False]),
        ("127.0.0.1", {"x_forwarded_for": "1.2.3.4", "x_forwarded_proto": "https"}, ["1.2.3.4", True]),
        ("127.0.0.1", {"x_forwarded_for": "6.6.6.6, 1.2.3.4, 10.0.0.9"}, ["1.2.3.4", False]),
        ("127.0.0.1", {"x_forwarded_for": "nonsense"}, ["127.0.0.1", False]),
        ("127.0.0.1", {"x_forwarded_for": "[2001:db8::5]:443"}, ["2001:db8::5", False]),
        ("127.0.0.1", {"x_forwarded_for": "::ffff:1.2.3.4"}, ["1.2.3.4", False]),
        ("127.0.0.1", {"x_forwarded_proto": "https, http"}, ["127.0.0.1", False]),
    ],
)
def test_forwarded_headers_count_from_named_proxies_only(folder: Path, peer, headers, expected) -> None:
    conf = settings("", ("127.0.0.1", "10.0.0.0/8"))
    site = site_of(folder, conf=conf, mounts=MOUNTS)
    assert json.loads(ask(site, "/http-bind", peer=peer, **headers).body) == expected


def test_body_over_the_limit_is_refused_before_it_is_read(folder: Path) -> None:
    site = site_of(folder, mounts=MOUNTS, limits=WebLimits(body_bytes=100))
    assert Connection(site).ask("/http-bind", "POST", body=b"x" * 100).body == b"x" * 100
    connection = Connection(site)
    connection.send(b"POST /http-bind HTTP/1.1\r\nhost: a\r\ncontent-length: 101\r\n\r\n")
    assert connection.answer().code == 413
    assert connection.transport.disconnecting
    connection.send(b"x" * 101)
    assert connection.transport.value() == b""


def test_what_is_refused_before_it_is_read_is_in_the_log(folder: Path) -> None:
    """Without the query, where secrets may be; a flood from one address does not fill the log."""
    lines: list[str] = []

    def observer(event: dict[str, Any]) -> None:
        if event["log_namespace"] == "chatd.web.site.PanelSite" and "refused" in event["log_format"]:
            lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observer)
    try:
        site = site_of(folder, mounts=MOUNTS, limits=WebLimits(body_bytes=100))
        for _ in range(25):
            connection = Connection(site)
            connection.send(b"POST /http-bind?key=secret HTTP/1.1\r\nhost: a\r\ncontent-length: 101\r\n\r\n")
            assert connection.answer().code == 413
    finally:
        globalLogPublisher.removeObserver(observer)
    assert lines == ["192.0.2.7 POST /http-bind was refused before its end: 413"] * 20


def test_chunks_over_the_limit_are_refused(folder: Path) -> None:
    site = site_of(folder, mounts=MOUNTS, limits=WebLimits(body_bytes=100))
    connection = Connection(site)
    connection.send(b"POST /http-bind HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
    connection.send(b"40\r\n" + b"x" * 64 + b"\r\n")
    assert connection.transport.value() == b""
    connection.send(b"40\r\n" + b"x" * 64 + b"\r\n0\r\n\r\n")
    assert connection.answer().code == 413
    assert connection.transport.disconnecting


def test_headers_over_the_limit_are_refused(folder: Path) -> None:
    connection = Connection(site_of(folder))
    connection.send(b"GET / HTTP/1.1\r\n")
    sent = 0
    while not connection.transport.disconnecting:
        connection.send(b"x-%d: %s\r\n" % (sent, b"y" * 200))
        sent += 1
        assert sent < 200
    assert connection.transport.value().startswith(b"HTTP/1.1 400")
    assert connection.transport.disconnecting


def test_one_byte_a_second_is_cut_off(folder: Path) -> None:
    clock = Clock()
    connection = Connection(site_of(folder, clock))
    for byte in b"GET / HTTP/1.1\r\nhost: a.example\r\n":
        connection.send(bytes([byte]))
        clock.advance(1)
    assert connection.transport.disconnecting
    clock.advance(5)
    assert connection.transport.disconnected


def test_a_kept_connection_serves_again_and_then_idles_out(folder: Path) -> None:
    clock = Clock()
    connection = Connection(site_of(folder, clock))
    for _ in range(3):
        assert connection.ask("/").code == 200
        clock.advance(40)
    assert not connection.transport.disconnecting
    clock.advance(40)
    assert connection.transport.disconnecting


def test_a_second_request_has_its_own_time_limit(folder: Path) -> None:
    clock = Clock()
    connection = Connection(site_of(folder, clock))
    assert connection.ask("/").code == 200
    connection.send(b"GET / HT")
    clock.advance(29)
    assert not connection.transport.disconnecting
    connection.send(b"T")
    clock.advance(2)
    assert connection.transport.disconnecting


def test_a_long_poll_is_not_cut_off(folder: Path) -> None:
    clock = Clock()
    connection = Connection(site_of(folder, clock, mounts=MOUNTS))
    connection.send(b"GET /slow HTTP/1.1\r\nhost: a.example\r\n\r\n")
    clock.advance(300)
    assert not connection.transport.disconnecting


def test_nothing_is_left_on_the_clock_after_the_end(folder: Path) -> None:
    from twisted.internet.error import ConnectionDone
    from twisted.python.failure import Failure

    clock = Clock()
    connection = Connection(site_of(folder, clock))
    connection.ask("/")
    connection.channel.connectionLost(Failure(ConnectionDone()))
    assert clock.getDelayedCalls() == []


def test_config_names_domains_and_ways(folder: Path) -> None:
    site = site_of(folder, conf=settings("", (), "example.org", "example.com"), mounts={"/http-bind": Echo()})
    answer = ask(site, "/config.json")
    assert json.loads(answer.body) == {
        "domains": ["example.org", "example.com"],
        "websocket": "",
        "bosh": "/http-bind",
        "files": "",
    }


def test_health_names_what_failed_but_not_why(folder: Path, logged: list[dict]) -> None:
    waiting: Deferred[None] = Deferred()
    checks = {"store": lambda: waiting, "router": lambda: None}
    clock = Clock()
    connection = Connection(site_of(folder, clock, checks=checks))
    connection.send(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
    assert connection.transport.value() == b""
    waiting.callback(None)
    answer = connection.answer()
    assert answer.code == 200
    assert json.loads(answer.body.split(b"\r\n")[1]) == {
        "status": "ok",
        "checks": {"store": "ok", "router": "ok"},
    }
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("check", [lambda: False, lambda: 1 / 0, lambda: Deferred()])
def test_a_failed_or_silent_check_is_503(folder: Path, check) -> None:
    clock = Clock()
    connection = Connection(site_of(folder, clock, checks={"store": check}))
    connection.send(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
    clock.advance(6)
    answer = connection.answer()
    assert answer.code == 503
    assert b'"store": "failed"' in answer.body and b"division" not in answer.body


def test_a_livekit_server_may_be_connected_to(folder: Path) -> None:
    """By WebSocket, and by HTTP to ask why that failed; no other site gets in by it."""
    headers = SecurityHeaders(connect=("wss://livekit.example:7880/path",))
    policy = Connection(site_of(folder, headers=headers)).ask("/").headers["content-security-policy"]
    assert "connect-src 'self' wss://livekit.example:7880 https://livekit.example:7880;" in policy
    assert "connect-src 'self';" in Connection(site_of(folder)).ask("/").headers["content-security-policy"]
