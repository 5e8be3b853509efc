"""How chatctl shows answers to people: plain text, one fact a line, tables where there are many of a kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chatd.checks import Finding, Grade

MARKS = {Grade.OK: "ok", Grade.NOTE: "note", Grade.WARNING: "WARNING", Grade.ERROR: "ERROR"}
COLOURS = {Grade.OK: "32", Grade.NOTE: "36", Grade.WARNING: "33", Grade.ERROR: "31"}
TIMES = ("created", "last_login", "started", "used", "expires", "sent", "reported_at")
"""Keys whose numbers are seconds since 1970."""
RATES = ("kbit_s", "line_kbit_s", "since_s", "keyframe_s", "loss")
"""Keys whose numbers are measured, so without more digits than say something."""


def text_of(words: str, result: Any) -> str:
    """Return the text for the result of a command, ending in a line feed; "" for nothing to say."""
    if words == "user list":
        return users_text(result)
    if words == "status":
        return status_text(result)
    if words == "help":
        width = max(map(len, result), default=0)
        return "".join(f"{name:<{width}}  {says}\n" for name, says in result.items())
    if words in TABLES and not isinstance(result, Mapping):
        return rows_text(TABLES[words], result)
    if words in SENTENCES:
        return SENTENCES[words].format_map(result) + "\n"
    return facts_text(result)


SENTENCES = {
    "user add": "{jid} can log in.",
    "user passwd": "{jid} has a new password.",
    "user check-password": "This is the password of {jid}.",
    "user disable": "{jid} is disabled; sessions ended: {sessions_ended}.",
    "user enable": "{jid} can log in again.",
    "invite": "{page}\n{uri}\nGood once, until {expires}.",
    "announce": "Told to the clients of {accounts} accounts.",
    "motd delete": "{domain} has no message of the day any more.",
    "motd edit": "It is corrected; nobody in {domain} is told again.",
    "motd set": "Each account of {domain} is told, once.",
    "motd show": "{text}",
    "welcome delete": "{domain} has no welcome message any more.",
    "welcome set": "Each new account of {domain} is told.",
    "welcome show": "{text}",
    "shutdown": "The daemon ends in {delay_s} s.",
    "user end-session": "Sessions of {jid} ended: {sessions_ended}.",
    "user sign-out": "{jid} is signed out; sessions ended: {sessions_ended}, tokens taken back: {tokens_ended}.",
    "user delete": "{jid} is deleted; sessions ended: {sessions_ended}.",
    "token revoke": "Tokens revoked: {tokens}; sessions ended: {sessions_ended}.",
    "report delete": "Report {number} is forgotten.",
    "room create": "{room} is ready; its owner is {owner}.",
    "room destroy": "{room} is gone; occupants put out: {occupants}.",
    "room affiliation": "{jid} is {affiliation} in {room}.",
    "room kick": "{nick} ({jid}) is out of {room}.",
    "upload delete": "Files deleted: {files}, {bytes} bytes.",
    "meeting end": "{id} has ended; people put out: {occupants}.",
    "meeting delete": "{id} is gone; recordings deleted: {recordings}.",
}

TABLES: Mapping[str, Sequence[str]] = {
    "directory search": ("jid", "name", "department", "has_account"),
    "directory groups": ("domain", "group", "members", "problem"),
    "directory status": ("domain", "from", "people", "problem"),
    "upload list": ("file", "sent", "bytes", "expires", "type", "name"),
    "upload usage": ("jid", "files", "bytes"),
    "invite list": ("name", "inviter", "expires"),
    "meeting list": ("id", "name", "creator", "occupants", "recording", "used"),
    "meeting media": ("from", "source", "codec", "to", "state", "layer", "kbit_s", "since_s", "keyframe_s",
                      "line_kbit_s", "loss"),
    "token list": ("jid", "webmail", "token", "created", "expires"),
    "report list": ("number", "reported_at", "reporter", "reported", "reason", "says"),
    "room list": ("room", "occupants", "kind", "name"),
    "room occupants": ("nick", "role", "affiliation", "clients"),
    "room affiliation": ("jid", "affiliation", "pending", "nick", "reason"),
}
"""What is shown of each row of an answer that is a list."""


def shown(name: str, value: Any) -> str:
    """Return one value as text."""
    if value is None:
        return "never" if name in ("last_login", "expires") else "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in RATES:
        return f"{value:.2g}" if 0 < value < 1 else f"{value:.0f}"
    if name == "bytes":
        return size_text(value)
    if name in TIMES:
        return f"{datetime.fromtimestamp(value).astimezone():%Y-%m-%d %H:%M}"
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(one) for one in value) or "-"
    return plain(value)


def size_text(size: int) -> str:
    """Return a number of bytes as people say it."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def plain(value: Any) -> str:
    """Return a value as text that does nothing to a terminal: names and reasons are written by strangers."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(value))


def facts_text(result: Any) -> str:
    """Return a result of any shape: a mapping as a list of facts, a list line by line."""
    if result is None:
        return ""
    if isinstance(result, Mapping):
        width = max(map(len, result), default=0)
        return "".join(
            f"{name.replace('_', ' '):<{width}}  {shown(name, value)}\n" for name, value in result.items()
        )
    if isinstance(result, Sequence) and not isinstance(result, str):
        return "".join(f"{line}\n" for line in result)
    return f"{result}\n"


def status_text(result: Mapping[str, Any]) -> str:
    """Return what the daemon is doing, its media engine line by line."""
    components = result.get("components")
    if isinstance(components, Mapping):
        said = ", ".join(f"{name} {address or 'is not there'}" for name, address in components.items())
        result = {**result, "components": said}
    federation = result.get("federation")
    if isinstance(federation, Mapping):
        said = ", ".join(f"{name} {number}" for name, number in federation.items())
        result = {**result, "federation": said}
    uploads = result.get("uploads")
    if isinstance(uploads, Mapping):
        result = {**result, "uploads": f"{uploads['files']} files, {size_text(uploads['bytes'])}"}
    media = result.get("media")
    if not isinstance(media, Mapping):
        return facts_text(result)
    facts: dict[str, Any] = {name: value for name, value in result.items() if name != "media"}
    facts["media"] = " ".join(str(media[name]) for name in ("engine", "url") if name in media)
    for process in media.get("processes", ()):
        facts[f"  bridge_{process['process']}"] = bridge_text(process)
    return facts_text(facts)


def bridge_text(process: Mapping[str, Any]) -> str:
    """Return how one bridge process is."""
    if not process["up"]:
        return f"down: it {process['trouble']}" if process["trouble"] else "being started"
    minutes, seconds = divmod(process["up_s"], 60)
    counts = ", ".join(f"{name} {process[name]}" for name in ("rooms", "participants", "tracks", "restarts"))
    return f"{process['media']}, up {minutes} min {seconds} s, {counts}"


def users_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of accounts."""
    if not rows:
        return "There are no accounts; `chatctl user add JID` makes one.\n"
    table = [("ACCOUNT", "SESSIONS", "LAST LOG-IN", "")]
    for row in rows:
        last = shown("last_login", row["last_login"])
        table.append((row["jid"], str(row["sessions"]), last, "disabled" if row["disabled"] else ""))
    return table_text(table)


def rows_text(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a list of rows as a table with these columns, each row a line."""
    if not rows:
        return "There are none.\n"
    lines = [[shown(column, row[column]) for column in columns] for row in rows]
    return table_text([[column.upper() for column in columns], *lines])


def table_text(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells with the cells below each other."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() + "\n"
        for line in lines
    )


def findings_text(findings: Sequence[Finding], is_coloured: bool) -> str:
    """Return what `check` found, by subject, and a last line that sums it up."""
    lines = []
    subject = ""
    for finding in findings:
        if finding.subject != subject:
            subject = finding.subject
            lines.append(f"{subject}\n")
        mark = f"{MARKS[finding.grade]:<7}"
        if is_coloured:
            mark = f"\x1b[{COLOURS[finding.grade]}m{mark}\x1b[0m"
        lines.append(f"  {mark}  {finding.text}\n")
        lines += [f"           {line}\n" for line in finding.advice]
    errors, warnings = (_count(findings, grade) for grade in (Grade.ERROR, Grade.WARNING))
    lines.append(f"{errors}, {warnings}.\n")
    return "".join(lines)


def steps_text(steps: Sequence[Mapping[str, Any]], is_coloured: bool) -> str:
    """Return what `check domain` found, a step a line."""
    lines = []
    for step in steps:
        grade = Grade.OK if step["ok"] else Grade.ERROR if step is steps[-1] else Grade.WARNING
        mark = f"{'ok' if step['ok'] else 'FAILED':<6}"
        if is_coloured:
            mark = f"\x1b[{COLOURS[grade]}m{mark}\x1b[0m"
        lines.append(f"{mark}  {step['step']:<14}  {plain(step['text'])}\n")
    return "".join(lines)


def _count(findings: Sequence[Finding], grade: Grade) -> str:
    number = sum(finding.grade is grade for finding in findings)
    return f"{number or 'no'} {grade.value}{'' if number == 1 else 's'}"
