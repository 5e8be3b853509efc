"""The panel for pages of Webmail: who may show it in a frame, and that nobody else may."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatd.web.embed import EMBED_PATH, EmbedPage
from chatd.web.headers import SecurityHeaders
from chatd.web.static import StaticFiles
from tests.web.browser_like import Answer, ask, site_of

WEBMAIL = "https://webmail.example.org"


@pytest.fixture
def build(folder: Path) -> Path:
    (folder / "embed").mkdir()
    (folder / "embed" / "index.html").write_text("<!doctype html><title>Panel</title>")
    (folder / "embed.js").write_text("(() => {})();")
    return folder


def answer(build: Path, path: str, *origins: str, **more: str) -> Answer:
    headers = SecurityHeaders(panel_origins=origins)
    site = site_of(build, mounts={EMBED_PATH: EmbedPage(StaticFiles(build))}, headers=headers)
    return ask(site, path, **more)


def ancestors(found: Answer) -> str:
    [policy] = [part.strip() for part in found.headers["content-security-policy"].split(";") if "ancestors" in part]
    return policy.removeprefix("frame-ancestors ")


def test_the_webmails_pages_may_show_it(build: Path) -> None:
    found = answer(build, "/embed?origin=https%3A%2F%2Fwebmail.example.org", WEBMAIL, "http://127.0.0.1:8000")
    assert found.code == 200 and b"Panel" in found.body
    assert ancestors(found) == f"{WEBMAIL} http://127.0.0.1:8000"
    assert "x-frame-options" not in found.headers, "it knows no list, and would forbid what the policy allows"
    assert found.headers["origin-agent-cluster"] == "?1"
    assert "script-src 'self';" in found.headers["content-security-policy"]


def test_all_else_stays_out_of_frames(build: Path) -> None:
    for path in ("/", "/embed.js", "/embed/", "/embed/index.html", "/nowhere"):
        found = answer(build, path, WEBMAIL)
        assert ancestors(found) == "'none'" and found.headers["x-frame-options"] == "DENY", path


def test_without_webmail_there_is_none(build: Path) -> None:
    assert answer(build, "/embed").code == 404
    assert answer(build, "/embed", WEBMAIL, method="POST").code == 405
    assert answer(build, "/embed/more", WEBMAIL).code == 404


def test_meetings_may_be_in_it() -> None:
    """Every page above the meeting's counts for the browser: the panel, and Webmail's above that."""
    alone, framed = SecurityHeaders(), SecurityHeaders(panel_origins=(WEBMAIL,))
    assert alone.framed_policy.endswith(b"frame-ancestors 'self'")
    assert framed.framed_policy.endswith(f"frame-ancestors 'self' {WEBMAIL}".encode())
    assert framed.policy.endswith(b"frame-ancestors 'none'")


@pytest.mark.parametrize("origin", ["https://a.example; script-src *", "https://a.example b", "*; x", ""])
def test_an_origin_is_nothing_but_an_origin(origin: str) -> None:
    with pytest.raises(ValueError, match="cannot frame"):
        SecurityHeaders(panel_origins=(origin,))
