"""From measurements to a table: medians, the better peer, ratios, targets. Values in, text out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

import attrs

from bench.plan import Rooms

SUBJECT = "chatd"
# A server that delivers less than this share of what it is sent at a fixed rate, and is so many seconds behind with it
# at the end, is overloaded. (A few messages to a hundred each that are just under way are no overload.)
KEEPS_UP = 0.95
BEHIND_S = 0.5


@attrs.frozen
class Row:
    """One line of the table.

    archive, phase, field: which figure; scale: multiplies it; unit: for people; target: the goal as a ratio
    to the better peer (None: shown without a goal); against: the peer the goal names, if not the better
    one; limit: an absolute goal; more: more is better.
    """

    label: str
    archive: bool
    phase: str
    field: str
    unit: str
    scale: float = 1.0
    target: float | None = None
    against: str = ""
    limit: float | None = None
    more: bool = False


def _messages(archive: bool, rates: Iterable[int], target: float, against: str) -> list[Row]:
    rows = []
    for rate in rates:
        name, phase = f"message at {rate}/s", f"rate-{rate}"
        rows += [
            Row(f"{name}: server CPU", archive, phase, "server_us", "µs", target=target, against=against),
            Row(f"{name}: p50", archive, phase, "p50_ms", "ms"),
            Row(f"{name}: p99", archive, phase, "p99_ms", "ms", target=1.0),
        ]
    name = "message at saturation"
    return [
        *rows,
        Row(f"{name}: server CPU", archive, "messages", "server_us", "µs", target=target, against=against),
        Row(f"{name}: delivered", archive, "messages", "per_s", "/s", more=True),
        Row(f"{name}: server busy", archive, "messages", "server_busy", "%", scale=100),
        Row(f"{name}: p50", archive, "messages", "p50_ms", "ms"),
        Row(f"{name}: p99", archive, "messages", "p99_ms", "ms"),
        Row(f"{name}: generator CPU", archive, "messages", "generator_us", "µs"),
    ]


def _group_chat(archive: bool, rooms: Iterable[Rooms]) -> list[Row]:
    found = []
    for one in rooms:
        name, phase = f"{one}, {one.rate:g} messages/s", f"room-rate-{one.phase}"
        found += [
            Row(f"{name}: CPU a delivery", archive, phase, "server_us", "µs", target=1 / 3),
            Row(f"{name}: p50", archive, phase, "p50_ms", "ms"),
            Row(f"{name}: p99", archive, phase, "p99_ms", "ms", target=1.0),
        ]
        name, phase = f"{one} at saturation", f"room-{one.phase}"
        found += [
            Row(f"{name}: CPU a delivery", archive, phase, "server_us", "µs", target=1 / 3),
            Row(f"{name}: delivered", archive, phase, "per_s", "/s", more=True),
            Row(f"{name}: server busy", archive, phase, "server_busy", "%", scale=100),
            Row(f"{name}: p50", archive, phase, "p50_ms", "ms"),
            Row(f"{name}: p99", archive, phase, "p99_ms", "ms"),
            Row(f"{name}: generator CPU", archive, phase, "generator_us", "µs"),
        ]
        name, phase = f"entering {one}", f"enter-{one.phase}"
        found += [
            Row(f"{name}: CPU a presence delivered", archive, phase, "presence_us", "µs"),
            Row(f"{name}: until all is there, p50", archive, phase, "p50_ms", "ms"),
        ]
    return found


def rows(rates_off: Iterable[int], rates_on: Iterable[int], rooms: Sequence[Rooms]) -> list[Row]:
    """The lines of the table, with the goals of the project."""
    return [
        *_messages(False, rates_off, 1 / 3, "ejabberd"),
        *_messages(True, rates_on, 1 / 8, ""),
        Row("all of it and the time after: server CPU", True, "archived", "server_us", "µs", target=1 / 8),
        Row("archive rows lost", True, "archived", "lost", "rows", limit=0),
        Row("presence, 50/s to 19 contacts each: CPU", False, "fan-out-rate", "server_us", "µs", target=1 / 2),
        Row("presence to 19 contacts at saturation: CPU", False, "fan-out", "server_us", "µs", target=1 / 2),
        Row("presence to the only contact at saturation: CPU", False, "presence", "server_us", "µs"),
        Row("log-in: server CPU", False, "login", "server_us", "ms", scale=1e-3, target=1.0),
        Row("log-in: generator CPU", False, "login", "generator_us", "ms", scale=1e-3),
        Row("log-ins", False, "login", "per_s", "/s", more=True),
        Row("idle TLS session: memory (PSS)", False, "idle", "pss_kib", "KiB", target=1.0, limit=67),
        Row("idle with 200 sessions: server CPU", False, "quiet", "server_ms_per_s", "ms/s"),
        Row("the server without sessions: memory (PSS)", False, "idle", "base_kib", "MiB", scale=1 / 1024),
        *_group_chat(False, rooms),
        *_group_chat(True, rooms),
        Row("rooms: archive rows lost", True, "archived-rooms", "lost", "rows", limit=0),
    ]


def is_overloaded(answer: Mapping[str, Any]) -> bool:
    """Whether the server fell behind a fixed rate: cost and latency then say nothing but that."""
    offered = answer.get("offered_per_s") or 0
    if not offered or answer["per_s"] >= KEEPS_UP * offered:
        return False
    behind_s: float = answer["seconds"] * (1 - answer["per_s"] / offered)
    return behind_s > BEHIND_S


def figure(row: Row, server: str, measurements: Iterable[Mapping[str, Any]]) -> float | None:
    """The median over the valid rounds; infinity if overloaded in most of them; None if not measured."""
    values = []
    for found in measurements:
        if (found["server"], found["archive"], found["phase"]) != (server, row.archive, row.phase):
            continue
        value = found["answer"].get(row.field)
        if found["invalid"]:
            continue
        if is_overloaded(found["answer"]):
            values.append(math.inf)
        elif value is not None:
            values.append(value * row.scale)
    # Of an even number the lower median: infinity must not be averaged away, nor a round be lost to it.
    return median(values) if len(values) % 2 else sorted(values)[len(values) // 2 - 1] if values else None


def better_peer(row: Row, figures: Mapping[str, float | None]) -> str | None:
    """The peer with the better figure (overloaded ones do not count), or the one the goal names."""
    peers = {name: value for name, value in figures.items() if name != SUBJECT and value not in (None, math.inf)}
    if row.against:
        return row.against if row.against in peers else None
    if not peers:
        return None
    choose = max if row.more else min
    return choose(peers, key=lambda name: peers[name])  # type: ignore[arg-type, return-value]


def verdict(row: Row, figures: Mapping[str, float | None]) -> tuple[float | None, bool | None]:
    """The ratio of chatd to the peer it is compared with, and whether the goal is reached (None: no goal)."""
    own = figures.get(SUBJECT)
    peer = better_peer(row, figures)
    other = figures[peer] if peer else None
    ratio = own / other if own not in (None, math.inf) and other else None
    if own is None or (row.target is None and row.limit is None):
        return ratio, None
    if own == math.inf:
        return None, False
    reached = []
    if row.target is not None and ratio is not None:
        reached.append(ratio <= row.target)
    elif row.target == 1 and math.inf in figures.values():
        reached.append(True)  # no peer keeps up at all
    if row.limit is not None:
        reached.append(own <= row.limit)
    return ratio, all(reached) if reached else None


def table(lines: Iterable[Row], servers: Mapping[str, str], measurements: Sequence[Mapping[str, Any]]) -> str:
    """The table as Markdown; `servers` maps names to titles, in the order of the columns."""
    heads = ["", *servers.values(), "chatd : peer", "goal", ""]
    body: list[list[str]] = []
    section = ""
    for row in lines:
        figures = {name: figure(row, name, measurements) for name in servers}
        if all(value is None for value in figures.values()):
            continue
        if _section(row) != section:
            section = _section(row)
            body.append([f"**{section}**", *[""] * (len(heads) - 1)])
        ratio, reached = verdict(row, figures)
        body.append(
            [
                f"{row.label}, {row.unit}",
                *(_number(figures[name]) for name in servers),
                f"{ratio:.2f}" if ratio is not None else "",
                _goal(row),
                {True: "reached", False: "MISSED", None: ""}[reached],
            ]
        )
    widths = [max(len(line[i]) for line in [heads, *body]) for i in range(len(heads))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(line, widths) for line in [heads, rule, *body])


def _section(row: Row) -> str:
    archive = f"archive {'on, SQLite' if row.archive else 'off'}"
    if row.phase.startswith(("room", "enter", "archived-rooms")):
        return f"rooms, {archive}"
    return archive if row.archive or row.phase.startswith(("rate", "messages")) else f"other, {archive}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.ljust(width) if place == 0 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return f"| {' | '.join([first, *rest])} |"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    if value == math.inf:
        return "overload"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _goal(row: Row) -> str:
    parts = []
    if row.target is not None:
        parts.append(f"≤ {row.target:.2f} × {row.against or 'better'}")
    if row.limit is not None:
        parts.append(f"≤ {row.limit:g} {row.unit}")
    return ", ".join(parts)


def problems(measurements: Iterable[Mapping[str, Any]]) -> list[str]:
    """One line for each measurement that does not count."""
    return [
        f"round {found['round']}, {found['server']}, archive {'on' if found['archive'] else 'off'}, "
        f"{found['phase']}: {found['invalid']}"
        for found in measurements
        if found["invalid"]
    ]
