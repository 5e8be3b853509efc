"""MEETINGS.md names tests that there are, and every browser test of meetings stands in it."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")
DEFINED = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)
ELSEWHERE = {
    "test_choices_of_another_kind_are_passed_over", "test_every_condition_of_a_recording_has_a_sentence",
    "test_one_that_cannot_begin", "test_other_clients", "test_password_behind_the_lobby", "test_refused_in_words",
    "test_speakers", "test_where_it_cannot_be",
}
"""Tests of corners, and of single functions, that no line of the table is about."""


def test_the_table_is_true() -> None:
    """A test that is renamed or gone takes its line along; a new one gets a line."""
    named = set(NAMED.findall((HERE / "MEETINGS.md").read_text()))
    files = {path.name: path for path in HERE.parent.glob("*/test_*.py")}
    defined = {(name, test) for name in {name for name, _ in named} if name in files
               for test in DEFINED.findall(files[name].read_text())}
    assert len(named) > 60 and named <= defined, named - defined
    ours = {(path.name, test) for path in HERE.glob("test_meeting_*.py") if path.name != "test_meeting_layouts.py"
            for test in DEFINED.findall(path.read_text())}
    assert {test for _, test in ours - named} == ELSEWHERE, {test for _, test in ours - named} ^ ELSEWHERE
