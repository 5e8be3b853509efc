"""The site's own style sheet: read again when it changes, empty where there is none."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.web.test.requesthelper import DummyRequest

from chatd.web.sitestyle import SiteStyle


def get(style: SiteStyle) -> bytes:
    request = DummyRequest([b""])
    request.setETag = lambda tag: None      # type: ignore[attr-defined]
    body = style.render_GET(request)        # type: ignore[arg-type]
    assert request.responseHeaders.getRawHeaders(b"content-type") == [b"text/css; charset=utf-8"]
    assert request.responseHeaders.getRawHeaders(b"cache-control") == [b"no-cache"]
    return body


def test_none_is_empty() -> None:
    assert get(SiteStyle(None)) == b""


def test_changes_are_seen_and_what_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "site.css"
    style = SiteStyle(path)
    assert get(style) == b""
    path.write_text(":root { --brand: #800; }")
    assert get(style) == b":root { --brand: #800; }"
    path.write_text(":root { --brand: #080; --on-brand: #fff; }")
    assert get(style) == b":root { --brand: #080; --on-brand: #fff; }"
    with path.open("wb") as file:
        file.truncate(300_000)
    assert get(style).startswith(b":root { --brand: #080;")
    os.unlink(path)
    assert get(style).startswith(b":root { --brand: #080;")
