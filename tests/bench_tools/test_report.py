"""The bench's arithmetic, and that its load generator compiles and answers."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench import ready, report
from bench.plan import Rooms, complaint
from bench.servers.base import free_port

CPU = report.Row("cpu", False, "rate-400", "server_us", "µs", target=1 / 3, against="ejabberd")
P99 = report.Row("p99", False, "rate-400", "p99_ms", "ms", target=1.0)


def found(server: str, number: int = 1, invalid: str = "", phase: str = "rate-400", **answer: Any) -> dict[str, Any]:
    return {
        "server": server, "archive": False, "phase": phase, "round": number, "invalid": invalid, "answer": answer,
    }  # fmt: skip


def test_the_figure_is_the_median_of_the_rounds() -> None:
    rounds = [found("chatd", n, server_us=value) for n, value in enumerate([120.0, 900.0, 110.0])]
    assert report.figure(CPU, "chatd", rounds) == 120.0


def test_invalid_rounds_and_other_phases_do_not_count() -> None:
    rounds = [
        found("chatd", 1, server_us=100.0),
        found("chatd", 2, invalid="3 missing", server_us=1.0),
        found("chatd", 3, phase="messages", server_us=1.0),
        {**found("chatd", 4, server_us=1.0), "archive": True},
    ]
    assert report.figure(CPU, "chatd", rounds) == 100.0
    assert report.figure(CPU, "prosody", rounds) is None


def test_a_server_that_falls_behind_is_overloaded() -> None:
    behind = found("prosody", server_us=50.0, per_s=300.0, offered_per_s=400.0, seconds=4.0)
    keeping_up = found("prosody", server_us=60.0, per_s=399.0, offered_per_s=400.0, seconds=4.0)
    assert report.figure(CPU, "prosody", [behind, behind, keeping_up]) == math.inf
    assert report.figure(CPU, "prosody", [behind, keeping_up, keeping_up]) == 60.0
    assert report.figure(CPU, "prosody", [behind, keeping_up]) == 60.0
    stuck = found("prosody", per_s=0.0, offered_per_s=400.0, seconds=4.0)
    assert report.figure(CPU, "prosody", [stuck]) == math.inf


def test_what_is_just_under_way_is_no_overload() -> None:
    """In two seconds a room of a hundred gets forty messages: two that are on their way at the end are 5 %."""
    room = {"offered_per_s": 2000.0, "seconds": 2.0}
    assert not report.is_overloaded({**room, "per_s": 1850.0})
    assert report.is_overloaded({**room, "per_s": 1450.0})


def test_saturation_is_not_overload() -> None:
    assert not report.is_overloaded({"per_s": 300.0, "offered_per_s": 0.0})


def test_the_goal_may_name_its_peer() -> None:
    figures = {"prosody": 200.0, "ejabberd": 300.0, "chatd": 100.0}
    assert report.better_peer(CPU, figures) == "ejabberd"
    assert report.better_peer(P99, figures) == "prosody"
    ratio, reached = report.verdict(CPU, figures)
    assert ratio == pytest.approx(1 / 3)
    assert reached is True
    assert report.verdict(CPU, {**figures, "chatd": 101.0})[1] is False


def test_more_may_be_better() -> None:
    row = report.Row("log-ins", False, "login", "per_s", "/s", more=True)
    assert report.better_peer(row, {"prosody": 200.0, "ejabberd": 300.0, "chatd": 400.0}) == "ejabberd"


def test_an_overloaded_peer_is_no_yardstick() -> None:
    figures = {"prosody": math.inf, "ejabberd": 20.0, "chatd": 10.0}
    assert report.verdict(P99, figures) == (0.5, True)
    assert report.verdict(P99, {**figures, "ejabberd": math.inf}) == (None, True)
    assert report.verdict(CPU, {**figures, "ejabberd": math.inf}) == (None, None)
    assert report.verdict(P99, {**figures, "chatd": math.inf}) == (None, False)


def test_an_absolute_limit_counts_beside_the_ratio() -> None:
    row = report.Row("memory", False, "idle", "pss_kib", "KiB", target=1.0, limit=67)
    assert report.verdict(row, {"prosody": 90.0, "chatd": 60.0})[1] is True
    assert report.verdict(row, {"prosody": 90.0, "chatd": 70.0})[1] is False
    assert report.verdict(row, {"prosody": 50.0, "chatd": 60.0})[1] is False
    assert report.verdict(row, {"chatd": 60.0})[1] is True


def test_the_table_shows_figures_ratio_and_verdict() -> None:
    rounds = [found("ejabberd", server_us=340.0), found("chatd", server_us=102.0)]
    text = report.table([CPU, P99], {"ejabberd": "ejabberd", "chatd": "chatd"}, rounds)
    line = next(line for line in text.splitlines() if "cpu" in line)
    assert [cell.strip() for cell in line.split("|")[1:-1]] == [
        "cpu, µs", "340", "102", "0.30", "≤ 0.33 × ejabberd", "reached",
    ]  # fmt: skip
    assert "p99" not in text, "a row without any figure is left out"


def test_rooms_have_sections_of_their_own() -> None:
    one = Rooms(20, 20)
    rounds = [
        {**found(server, phase="room-20x20", server_us=value, per_s=9.0), "archive": archive}
        for server, value in (("ejabberd", 90.0), ("chatd", 20.0))
        for archive in (False, True)
    ]
    text = report.table(report.rows([400], [100], [one]), {"ejabberd": "ejabberd", "chatd": "chatd"}, rounds)
    lines = [line.split("|")[1].strip() for line in text.splitlines()[2:]]
    assert lines[0] == "**rooms, archive off**" and "**rooms, archive on, SQLite**" in lines
    assert lines[1] == "20 rooms of 20 at saturation: CPU a delivery, µs"
    assert text.count("reached") == 2 and "MISSED" not in text


def test_everything_must_arrive_exactly_once() -> None:
    clean = {"what": "messages", "count": 10, "missing": 0, "doubled": 0, "generator_busy": 0.3}
    assert complaint(clean) == ""
    assert complaint({**clean, "missing": 2, "doubled": 1}) == "2 missing, 1 doubled"
    assert complaint({**clean, "unacked_sessions": 1}) == "1 unacked_sessions"
    assert complaint({**clean, "count": 0}) == "nothing delivered"
    assert complaint({**clean, "what": "rate", "count": 0}) == "", "overload is a result"
    assert complaint({**clean, "generator_busy": 0.95}) == "the load generator was the limit"


def test_the_load_generator_compiles_and_answers(tmp_path: Path) -> None:
    program = tmp_path / "loadgen"
    ready.build(program)
    built = program.stat().st_mtime_ns
    ready.build(program)
    assert program.stat().st_mtime_ns == built, "built again although nothing changed"
    # Nobody listens there: the log-ins fail, the generator says so and lives on.
    done = subprocess.run(
        [program, "127.0.0.1", str(free_port()), "bench.test", "secret", "4"],
        input="login 0 2 2\nnonsense\ncpu\ngroupchat 0 4 2 1 1 1\nquit\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    answers = done.stdout.splitlines()
    assert '"what":"login","count":0,' in answers[0] and '"login_failed":2' in answers[0]
    assert '"what":"error"' in answers[1]
    assert '"what":"cpu"' in answers[2]
    assert '"what":"error"' in answers[3], "nobody is in a room"
