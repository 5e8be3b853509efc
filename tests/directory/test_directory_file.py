"""People from files: both kinds, what is wrong with them, and changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chatd.core.errors import Unavailable
from chatd.directory.file import read_people, stamp_of

DOMAIN = "example.com"


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_csv(tmp_path: Path, between: str) -> None:
    (tmp_path / "p.jpg").write_bytes(b"\xff\xd8\xff..")
    lines = [
        ["\ufeffName", "Address", "Department", "photo", "other"],
        ['"Smith, John"', "john@example.com", "R&D", "p.jpg", "?"],
        ["Müller", "muller", "", "../../etc/passwd", ""],
        ["Far", "far@elsewhere.org", "", "", ""],
        ["No", "", "", "", ""],
    ]
    path = written(tmp_path, "people.csv", "\r\n".join(between.join(line) for line in lines))
    john, muller = read_people(path, DOMAIN)
    assert (john.name, john.jid, john.department, john.photo) == (
        "Smith, John",
        "john@example.com",
        "R&D",
        b"\xff\xd8\xff..",
    )
    assert (muller.name, muller.jid, muller.photo) == ("Müller", "muller@example.com", b"")


def test_json(tmp_path: Path) -> None:
    rows = [{"name": "John", "address": "john", "phone": 3}, {"name": "x"}, {"address": ["x"]}]
    (john,) = read_people(written(tmp_path, "people.json", json.dumps(rows)), DOMAIN)
    assert (john.jid, john.phone) == ("john@example.com", "")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "name,mail\nx,y\n", "no column address"),
        ("a.csv", b"\xff\xfe\x00", "not UTF-8"),
        ("a.csv", "", "no column"),
        ("a.csv", 'address\n"x', "line"),
        ("a.csv", "address\n" + "x" * 200_000, "line"),
        ("a.json", "{", "not JSON"),
        ("a.json", "{}", "not a list"),
        ("a.json", "[1]", "not a list"),
        ("a.json", "[" * 100_000, "not JSON"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, name: str, text: str | bytes, says: str) -> None:
    with pytest.raises(Unavailable, match=says):
        read_people(written(tmp_path, name, text), DOMAIN)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert stamp_of(tmp_path / "none.csv") is None
    with pytest.raises(Unavailable, match="cannot be read"):
        read_people(tmp_path / "none.csv", DOMAIN)
    path = written(tmp_path, "a.csv", "address\n")
    before = stamp_of(path)
    written(tmp_path, "a.csv", "address\na\n")
    assert stamp_of(path) != before
