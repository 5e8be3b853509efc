"""The manual pages are well formed, and chatctl(1) has every command of the program."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatd.ctl.main import make_parser

PAGES = sorted((Path(__file__).resolve().parents[1] / "man").iterdir())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_mandoc_finds_nothing(page: Path) -> None:
    mandoc = shutil.which("mandoc")
    assert mandoc, "mandoc is missing: apt-get install mandoc (tests/debian-packages)"
    done = subprocess.run([mandoc, "-Tlint", "-Wwarning", str(page)], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert done.returncode == 0


def commands(parser: argparse.ArgumentParser, words: str = "") -> Iterator[str]:
    """Give every command of the parser, such as "user add"."""
    subparsers = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not subparsers:
        yield words
    for action in subparsers:
        for name, below in action.choices.items():
            yield from commands(below, f"{words} {name}".strip())


def test_chatctl_1_has_every_command() -> None:
    text = next(page for page in PAGES if page.name == "chatctl.1").read_text("utf-8")
    written = [line.removeprefix(".It Cm ") for line in text.splitlines() if line.startswith(".It Cm ")]
    for command in commands(make_parser()):
        assert any(item == command or item.startswith(command + " ") for item in written), command


def test_chatd_8_has_the_ports() -> None:
    import attrs

    from chatd.settings import Listen

    text = next(page for page in PAGES if page.name == "chatd.8").read_text("utf-8")
    for field in attrs.fields(Listen):
        assert f".It {field.name} Ta {field.metadata['kind'].port} Ta" in text
