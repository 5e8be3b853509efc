"""One life of a bridge process: what it says on its pipes, from the start to its end.

Settings go in on standard input as one JSON line, because everybody may read arguments and environments. Then its
standard output is the control pipe (JSON lines: ready, health) and its standard error the log (JSON lines, put into
ours). It ends when its standard input does, so it never outlives the daemon.
"""

from __future__ import annotations

import json
import os
import site
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

import chatd

__all__ = ["BridgeProcess", "Ready", "command_line", "environment"]

LINE_BYTES: Final = 65_536
LOG_LINES: Final = 500
"""Lines of log that a process may write between two signs of health; it must not drown ours."""
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
_LEVELS: Final = {
    "debug": LogLevel.debug,
    "info": LogLevel.info,
    "warning": LogLevel.warn,
    "error": LogLevel.error,
    "critical": LogLevel.critical,
}

log = Logger()


@attrs.frozen
class Ready:
    """What a process says when it serves. http: where signalling and API are, on loopback. media: host and port."""

    http: tuple[str, int]
    media: tuple[str, int]


def command_line() -> list[str]:
    """Return the arguments: this Python, and no folder but the ones it has modules in."""
    return [sys.executable, "-P", "-m", "chatd.bridge"]


def environment(ours: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return what the process gets of our environment, and where to find chatd if that is not installed."""
    kept = {name: ours[name] for name in _KEPT if name in ours}
    root = str(Path(chatd.__file__).resolve().parents[1])
    if root not in site.getsitepackages():
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, (root, kept.get("PYTHONPATH"))))
    kept["PYTHONFAULTHANDLER"] = "1"
    return kept


def _nothing(process: BridgeProcess) -> None:
    pass


class BridgeProcess(ProcessProtocol):
    """The protocol: a process that waits for its settings, until `assign` gives it some.

    `name`: for the log; `ready`: what it said, None before; `health`: its last figures; `last_words`: the last thing in
    its log that is at least a warning; `exit_code`: None unless it ended by itself; `signal`: what killed it.
    """

    transport: Any

    def __init__(self, on_end: Callable[[BridgeProcess], None] = _nothing) -> None:
        self.name = "the spare bridge"
        self._on_ready: Callable[[BridgeProcess], None] = _nothing
        self._on_health: Callable[[BridgeProcess], None] = _nothing
        self._on_end = on_end
        self.ready: Ready | None = None
        self.health: dict[str, Any] = {}
        self.last_words = ""
        self.exit_code: int | None = None
        self.signal: int | None = None
        self.is_over = False
        self._out, self._err = b"", b""
        self._lines = 0

    def assign(
        self, name: str, settings: bytes, on_ready: Callable[[BridgeProcess], None],
        on_health: Callable[[BridgeProcess], None], on_end: Callable[[BridgeProcess], None],
    ) -> None:
        """Let it begin. name: such as "bridge 0". settings: the line for it, which is not kept here.

        on_ready, on_health and on_end are called with this object.
        """
        self.name = name
        self._on_ready, self._on_health, self._on_end = on_ready, on_health, on_end
        self.transport.write(settings + b"\n")

    # -- Twisted's calls
    def outReceived(self, data: bytes) -> None:
        """Control lines."""
        *lines, self._out = (self._out + data).split(b"\n")
        for line in lines:
            self._control(line)
        if len(self._out) > LINE_BYTES:
            self._out = b""
            log.error("{name} writes lines without end on its control pipe", name=self.name)

    def errReceived(self, data: bytes) -> None:
        """Log lines; one that is too long is written in pieces."""
        *lines, self._err = (self._err + data).split(b"\n")
        for line in lines:
            self._write(line)
        if len(self._err) > LINE_BYTES:
            self._write(self._err)
            self._err = b""

    def processEnded(self, reason: Failure) -> None:
        """The process is gone and its pipes are read to their end."""
        if self._err:
            self._write(self._err)
        self.exit_code = getattr(reason.value, "exitCode", None)
        self.signal = getattr(reason.value, "signal", None)
        self.is_over = True
        self._on_end(self)

    # -- what it says
    def _control(self, line: bytes) -> None:
        try:
            said = json.loads(line)
            event = said["event"]
            if event == "ready":
                (host, port), (media_host, media_port) = said["http"], said["media"]
                self.ready = Ready((str(host), int(port)), (str(media_host), int(media_port)))
            elif event == "health":
                self.health = said
                self._lines = 0
        except (ValueError, TypeError, KeyError, RecursionError):
            log.error("{name} says what is not understood: {line}", name=self.name, line=repr(line[:200]))
            return
        if event == "ready":
            self._on_ready(self)
        elif event == "health":
            self._on_health(self)

    def _write(self, line: bytes) -> None:
        if not line.strip():
            return
        self._lines += 1
        if self._lines > LOG_LINES:
            if self._lines == LOG_LINES + 1:
                log.warn("{name} logs too much; the rest is dropped for a second", name=self.name)
            return
        level, source, text = LogLevel.warn, "chatd.bridge", line.decode("utf-8", "replace")
        trace = ""
        try:
            said = json.loads(line)
            level = _LEVELS.get(said["level"], LogLevel.warn)
            source, text = str(said["logger"]), str(said["text"])
            trace = str(said.get("traceback") or "")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass  # not from its logger: a warning of Python's, a library's last words
        if level >= LogLevel.warn:
            self.last_words = text
        Logger(source).emit(level, "{bridge}: {line}", bridge=self.name, line=f"{text}\n{trace}" if trace else text)

    # -- what it is told
    def command(self, name: str, **values: Any) -> None:
        """Send it a command (see chatd.bridge.control)."""
        if not self.is_over:
            self.transport.write(json.dumps({"command": name, **values}).encode() + b"\n")

    def leave(self) -> None:
        """Let it say goodbye to everybody and end: the end of its standard input says so."""
        if not self.is_over:
            self.transport.closeStdin()

    def kill(self) -> None:
        """End it at once."""
        if not self.is_over:
            self.transport.signalProcess("KILL")

    @property
    def ending(self) -> str:
        """How it ended, in half a sentence."""
        if self.signal is not None:
            return f"was killed by signal {self.signal}"
        if self.exit_code:
            return f"ended: {self.last_words}" if self.last_words else f"ended with exit code {self.exit_code}"
        return "ended"
