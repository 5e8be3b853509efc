"""The build is served whole, compressed and cached, and nothing beside it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from twisted.internet import _producer_helpers
from twisted.internet.task import Clock, Cooperator

from tests.web.browser_like import Connection, ask, site_of

SCRIPT = "/assets/panel.0123456789ab/panel.js"


def test_root_is_the_page_and_is_asked_for_again(folder: Path) -> None:
    answer = ask(site_of(folder), "/")
    assert (answer.code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"<title>Chat</title>" in answer.body
    assert answer.headers["cache-control"] == "no-cache"


def test_query_string_does_not_hide_the_page(folder: Path) -> None:
    assert ask(site_of(folder), "/?from=mail").code == 200


def test_hashed_names_are_kept_for_ever(folder: Path) -> None:
    answer = ask(site_of(folder), SCRIPT)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("br;q=0.5, gzip;q=1.0", "br"),
        ("br;q=nonsense", None),
        ("identity", None),
        ("", None),
        ("*", "br"),
    ],
)
def test_coding_is_negotiated(folder: Path, accept: str, coding: str | None) -> None:
    answer = ask(site_of(folder), SCRIPT, accept_encoding=accept)
    assert answer.headers.get("content-encoding") == coding
    assert int(answer.headers["content-length"]) == len(answer.body)
    if coding == "gzip":
        assert gzip.decompress(answer.body).startswith(b"console.log")


def test_unchanged_file_is_304_and_codings_have_their_own_tags(folder: Path) -> None:
    site = site_of(folder)
    plain, packed = ask(site, SCRIPT), ask(site, SCRIPT, accept_encoding="gzip")
    assert plain.headers["etag"] != packed.headers["etag"]
    again = ask(site, SCRIPT, accept_encoding="gzip", if_none_match=packed.headers["etag"])
    assert (again.code, again.body) == (304, b"")
    assert ask(site, SCRIPT, if_none_match=packed.headers["etag"]).code == 200


def test_head_has_the_length_and_no_body(folder: Path) -> None:
    answer = ask(site_of(folder), SCRIPT, "HEAD")
    assert (answer.code, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) == 1050


def test_big_file_follows_the_reader(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    turns = Cooperator(
        scheduler=lambda step: clock.callLater(1, step), terminationPredicateFactory=lambda: lambda: True
    )
    monkeypatch.setattr(_producer_helpers, "cooperate", turns.cooperate)
    connection = Connection(site_of(folder))
    connection.send(b"GET /assets/panel.0123456789ab/big.wasm HTTP/1.1\r\nhost: a.example\r\n\r\n")
    clock.advance(1)
    first = connection.answer()
    assert first.headers["content-type"] == "application/wasm"
    assert 0 < len(first.body) < 200_000
    connection.channel.pauseProducing()
    clock.advance(1)
    assert connection.transport.value() == b""
    connection.channel.resumeProducing()
    clock.pump([1] * 20)
    assert len(first.body) + len(connection.transport.value()) == 200_000
    connection.transport.clear()
    assert connection.ask("/").code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/assets/../../secret.txt",
        "/assets/%2e%2e%2f%2e%2e%2fsecret.txt",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/.hidden",
        "/link.txt",
        "/assets",
        "/assets/",
        "/assets/panel.0123456789ab/",
        "/index.html/",
        "/assets/panel.0123456789ab/panel.js.gz",
        "/%00",
        "/%ff%fe",
    ],
)
def test_nothing_else_is_reached(folder: Path, path: str) -> None:
    answer = ask(site_of(folder), path)
    assert answer.code == 404
    assert b"secret" not in answer.body and b"panel.js" not in answer.body


def test_unbuilt_panel_says_what_to_do(tmp_path: Path) -> None:
    answer = ask(site_of(tmp_path / "missing"), "/", accept="text/html")
    assert answer.code == 503
    assert b"make ui" in answer.body
