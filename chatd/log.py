"""What the daemon writes about itself: one line an event, for a terminal or as JSON.

Twisted's logging is the source (twisted.logger everywhere in chatd); this is its last station. Habits that
the whole daemon keeps: a password, a token or the body of a message is never given to a logger. As a second
net, a value that comes under one of the names of SECRETS is replaced before the line is made. Control
characters in what peers sent are escaped, so nobody can forge a line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol, TextIO

import attrs
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from zope.interface import implementer

from chatd.settings import Log

SECRETS = frozenset(
    {"password", "passwd", "secret", "token", "credentials", "body", "initial_response", "authzid_raw"}
)
HIDDEN = "[hidden]"
COLOURS = {"debug": "2", "info": "36", "warn": "33", "error": "31", "critical": "1;31"}

_LEVELS = list(LogLevel.iterconstants())


class Output(Protocol):
    """Where lines go: a text stream."""

    def write(self, text: str, /) -> object:
        """Take text."""

    def flush(self) -> object:
        """Hand it on."""


def hide(event: LogEvent) -> LogEvent:
    """Return event without the values that must not be written; the event itself if there is none."""
    found = SECRETS.intersection(event)
    return {**event, **dict.fromkeys(found, HIDDEN)} if found else event


def escape(text: str) -> str:
    """Return text on one line, control characters as their Python escapes."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def message_of(event: LogEvent) -> str:
    """Return the sentence of an event; old-style events of libraries included."""
    if event.get("log_format") is None and "log_failure" in event:
        return str(event.get("why") or event["log_failure"].getErrorMessage())
    return formatEvent(event)


def traceback_of(event: LogEvent) -> str:
    """Return the traceback that belongs to an event, or ""."""
    failure = event.get("log_failure")
    if failure is None:
        return ""
    try:
        return str(failure.getTraceback()).rstrip("\n")
    except Exception as error:
        return f"(no traceback: {error!r})"


def level_of(event: LogEvent) -> str:
    """Return the name of the event's level."""
    return getattr(event.get("log_level"), "name", "info")


def text_line(event: LogEvent, is_coloured: bool = False) -> str:
    """Return an event for a person: local time, level, who says it, what; the traceback below."""
    event = hide(event)
    stamp = datetime.fromtimestamp(event.get("log_time", 0.0)).astimezone()
    level = level_of(event)
    word = f"{level:<8}"
    if is_coloured:
        word = f"\x1b[{COLOURS[level]}m{word}\x1b[0m"
    source = event.get("log_namespace", "-")
    when = f"{stamp:%Y-%m-%d %H:%M:%S}.{stamp.microsecond // 1000:03d}"
    line = f"{when} {word} {source}: {escape(message_of(event))}\n"
    trace = traceback_of(event)
    return line + "".join(f"    {escape(part)}\n" for part in trace.splitlines())


def json_line(event: LogEvent) -> str:
    """Return an event for a program: time (UTC), level, source, text, traceback, and the plain values it
    came with.
    """
    event = hide(event)
    stamp = datetime.fromtimestamp(event.get("log_time", 0.0), UTC)
    line: dict[str, Any] = {
        key: value
        for key, value in event.items()
        if not key.startswith("log_") and (value is None or isinstance(value, (str, int, float, bool)))
    }
    for key in ("time", "isError", "system", "format", "message", "log_text"):
        line.pop(key, None)
    line = {
        "time": stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": level_of(event),
        "source": event.get("log_namespace", "-"),
        "text": message_of(event),
        **line,
    }
    trace = traceback_of(event)
    if trace:
        line["traceback"] = trace
    return json.dumps(line, ensure_ascii=False, allow_nan=False, default=str) + "\n"


@implementer(ILogObserver)
@attrs.define(eq=False)
class Observer:
    """Writes events from a level on; `configure` changes format, level and file while it runs.

    stream: where lines go when no file is configured.
    """

    stream: Output
    _render: Callable[[LogEvent], str] = text_line
    _least: int = _LEVELS.index(LogLevel.info)
    _file: TextIO | None = None

    @classmethod
    def to_stderr(cls, settings: Log) -> Observer:
        """Return an observer for the process's own standard error, before Twisted takes sys.stderr over."""
        observer = cls(sys.stderr)
        observer.configure(settings)
        return observer

    def configure(self, settings: Log) -> None:
        """Use settings from now on; a file is opened anew, so log rotation may move it before a reload.

        Raises OSError when the file cannot be opened; then everything stays as it was.
        """
        former = self._file
        self._file = open(settings.file, "a", encoding="utf-8") if settings.file else None  # noqa: SIM115
        if former is not None:
            former.close()
        is_coloured = self._file is None and bool(getattr(self.stream, "isatty", lambda: False)())
        self._render = json_line if settings.format == "json" else lambda event: text_line(event, is_coloured)
        self._least = _LEVELS.index(LogLevel.lookupByName(settings.level))

    def __call__(self, event: LogEvent) -> None:
        """Write one event; a broken one is written as such, never raised into the code that logged it."""
        level = event.get("log_level", LogLevel.info)
        if event.get("log_namespace") == "log_legacy" and level is LogLevel.info:
            level = LogLevel.debug  # what libraries say of each port and factory
        if level is not None and _LEVELS.index(level) < self._least:
            return
        try:
            line = self._render(event)
        except Exception as error:
            line = f"an event could not be written: {error!r} (format {event.get('log_format')!r})\n"
        output = self._file or self.stream
        try:
            output.write(line)
            output.flush()
        except (OSError, ValueError):
            pass  # A closed terminal or a full disk must not stop the chat; there is nowhere left to say so.
