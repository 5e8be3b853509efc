"""docs/compliance.md is true: each test it names exists, and what it calls met is in doap.xml."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.test_doap import listed

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "compliance.md").read_text("utf-8")
#: Rows of XEP-0479 for servers, by category.
ROWS = {"Core": 7, "Web": 1, "IM": 12, "Mobile": 3, "A/V calling": 1}


def rows() -> list[tuple[str, list[str]]]:
    """Category and cells of each row."""
    found, category = [], ""
    for line in PAGE.splitlines():
        if line.startswith("## "):
            category = line.removeprefix("## ")
        elif line.startswith("| ") and not line.startswith("| Feature | "):
            found.append((category, [cell.strip() for cell in line.strip("|").split("|")]))
    return found


def functions(file: Path) -> set[str]:
    """The names of a file's functions."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.parse(file.read_bytes()).body if isinstance(node, kinds)}


def test_every_row_is_there() -> None:
    """As many as the suites have, none twice."""
    names = [(category, cells[0]) for category, cells in rows()]
    assert len(set(names)) == len(names)
    assert {category: sum(one == category for one, _ in names) for category in ROWS} == ROWS


@pytest.mark.parametrize(("category", "cells"), rows(), ids=lambda one: one[0] if isinstance(one, list) else one)
def test_row(category: str, cells: list[str]) -> None:
    """A level, extensions, yes with tests or no without; yes only for what doap.xml lists."""
    _, level, asked, met, proof = cells
    assert level in ("S, A", "A") and met in ("yes", "no")
    tests = [one.strip() for one in proof.split(",") if one.strip()]
    assert bool(tests) == (met == "yes")
    known = {number for number, _ in listed()}
    for number in re.findall(r"XEP-(\d{4})", asked):
        assert met == "no" or number in known, number
    for number in re.findall(r"RFC (\d{4})", asked):
        assert f"rfc{number}" in (ROOT / "doap.xml").read_text("utf-8"), number


def test_an_advanced_server() -> None:
    """As the page says at its beginning."""
    claimed = "an Advanced Server in all" in PAGE
    assert claimed == all(cells[3] == "yes" for _, cells in rows())


def test_the_tests_exist() -> None:
    """All that are named anywhere on the page."""
    named = re.findall(r"(tests/[\w/]+\.py)::(\w+)", PAGE)
    assert named
    for file, name in named:
        assert name in functions(ROOT / file), f"{file}::{name}"
