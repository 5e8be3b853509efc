"""Files' names, types, headers and parts: what strangers write, made harmless."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.core.byteranges import part_of
from chatd.core.uploads import (
    ANY_TYPE,
    NAME_BYTES,
    UploadRow,
    clean_name,
    clean_type,
    disposition,
    is_shown,
    is_token,
    matches,
    path_of,
    served_type,
)


def row(name: str, type: str = "") -> UploadRow:
    return UploadRow("t" * 32, 1, b"", name, type, 1, 0, 0)


@pytest.mark.parametrize(("given", "kept"), [
    ("holiday.jpg", "holiday.jpg"),
    ("très cool.jpg", "très cool.jpg"),
    ("../../etc/passwd", "passwd"),
    ("C:\\Users\\me\\a.txt", "a.txt"),
    ("..", "file"),
    (".", "file"),
    ("", "file"),
    ("/", "file"),
    (".htaccess", "htaccess"),
    ("a\x00b\r\nSet-Cookie: x.png", "abSet-Cookie: x.png"),
    ("invoice\u202egpj.exe", "invoicegpj.exe"),
    ("  many   blanks .pdf ", "many blanks .pdf"),
    ("e\u0301.txt", "\u00e9.txt"),
])
def test_names(given: str, kept: str) -> None:
    assert clean_name(given) == kept


def test_a_long_name_keeps_its_ending() -> None:
    name = clean_name("\U0001f600" * 300 + ".tar.gz")
    assert name.endswith(".gz") and len(name.encode()) <= NAME_BYTES
    assert len(clean_name("x." + "y" * 500).encode()) <= NAME_BYTES


@given(st.text())
def test_any_name_is_harmless(given: str) -> None:
    name = clean_name(given)
    assert name and len(name.encode()) <= NAME_BYTES and clean_name(name) == name
    assert not set(name) & set("/\\\r\n\0") and not name.startswith(".")
    path = path_of(row(name))
    assert path.isascii() and path.count("/") == 1
    header = disposition(row(name), ANY_TYPE)
    assert header.isascii() and header.isprintable() and header.count('"') == 2 and header.startswith("attachment; ")


def test_disposition() -> None:
    assert disposition(row("a.png"), "image/png") == 'inline; filename="a.png"'
    assert disposition(row('tr\u00e8s "cool".png'), ANY_TYPE) == (
        "attachment; filename=\"tres _cool_.png\"; filename*=UTF-8''tr%C3%A8s%20%22cool%22.png")
    assert disposition(row("\u6771\u4eac"), ANY_TYPE) == (
        "attachment; filename=\"file\"; filename*=UTF-8''%E6%9D%B1%E4%BA%AC")


@pytest.mark.parametrize(("name", "type", "served", "shown"), [
    ("a.png", "", "image/png", True),
    ("a.png", "image/png", "image/png", True),
    ("a.svg", "", ANY_TYPE, False),
    ("a.svg", "image/svg+xml", ANY_TYPE, False),
    ("a.png", "image/svg+xml", ANY_TYPE, False),
    ("a.html", "", ANY_TYPE, False),
    ("a.png", "text/html", ANY_TYPE, False),
    ("a.xhtml", "application/xhtml+xml", ANY_TYPE, False),
    ("a.xml", "text/xml", ANY_TYPE, False),
    ("a.js", "text/javascript", ANY_TYPE, False),
    ("a.css", "text/css", ANY_TYPE, False),
    ("a.mht", "multipart/related", ANY_TYPE, False),
    ("a.pdf", "application/pdf", "application/pdf", False),
    ("a.txt", "text/plain", "text/plain", False),
    ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
     "application/vnd.openxmlformats-officedocument.wordprocessingml.document", False),
    ("a.mp4", "video/mp4", "video/mp4", True),
    ("a.bin", "madeup/thing", ANY_TYPE, False),
])
def test_nothing_that_runs_is_served_as_what_it_is(name: str, type: str, served: str, shown: bool) -> None:
    assert (served_type(row(name, type)), is_shown(served_type(row(name, type)))) == (served, shown)


def test_types() -> None:
    assert clean_type("Image/PNG; charset=x") == "image/png"
    for text in ("", "image", "image/", "/png", "a b/c", "image/png\r\nx: y", "*/*"):
        assert clean_type(text) == ""


def test_kinds() -> None:
    assert matches("A.EXE", ANY_TYPE, (".exe",)) and not matches("exe", ANY_TYPE, (".exe",))
    assert matches("a", "video/mp4", ("video/*",)) and not matches("a", "videos/mp4", ("video/*",))
    assert matches("a", "text/html", ("Text/HTML",)) and not matches("a", "text/html", ())


@pytest.mark.parametrize(("asked", "part"), [
    ("bytes=0-", (0, 100)), ("bytes=10-19", (10, 20)), ("bytes=-10", (90, 100)), ("bytes=-1000", (0, 100)),
    ("bytes=90-1000", (90, 100)), ("bytes=99-99", (99, 100)), ("bytes=5-4", (0, 100)), ("bytes=0-1,3-4", (0, 100)),
    ("bytes=-", (0, 100)), ("bytes=\u0661-", (0, 100)), ("chars=0-1", (0, 100)), ("", (0, 100)),
    ("bytes=" + "9" * 30 + "-", (0, 100)),
])
def test_parts(asked: str, part: tuple[int, int]) -> None:
    assert part_of(asked, 100) == part


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=-0", "bytes=500-600"])
def test_parts_that_are_not_there(asked: str) -> None:
    first, behind = part_of(asked, 100)
    assert first >= behind


def test_tokens() -> None:
    assert is_token("aZ0_-" * 6 + "xx")
    assert not any(is_token(text) for text in ("", "a" * 31, "a" * 33, "../" + "a" * 29, "a" * 31 + "/", "é" * 32))
