"""TRAPS.md tells the truth: the tests and files it names exist, and no trap is without a test."""

from __future__ import annotations

import re
from pathlib import Path

from tests.browser.harness import HERE

SOURCES = Path(__file__).resolve().parents[2] / "chatd" / "web" / "ui" / "src"
ROWS = [line.strip("| ").split(" | ") for line in (HERE / "TRAPS.md").read_text().splitlines()
        if line.startswith("| ") and not line.startswith("| trap")]


def test_every_trap_has_a_test_that_exists() -> None:
    wrong = []
    for trap, _, tests in ROWS:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", tests)
        for file, name in named:
            path = HERE / file
            if not path.is_file() or not re.search(rf"^async def {name}\(", path.read_text(), re.MULTILINE):
                wrong.append(f"{file}::{name}")
        if not named and "People.leave" not in tests and tests != "the same":
            wrong.append(f"no test: {trap}")
    assert wrong == [] and len(ROWS) > 15


def test_what_is_done_is_where_it_says() -> None:
    wrong = []
    for _, done, _ in ROWS:
        for file, name in re.findall(r"`(\w+\.(?:js|css))`(?:: `(\w+)`)?", done):
            path = SOURCES / file
            if not path.is_file() or (name and f"function {name}(" not in path.read_text()):
                wrong.append(f"{file}: {name}")
    assert wrong == []
