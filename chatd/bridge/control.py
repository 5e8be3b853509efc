"""The pipe to the parent process: JSON lines.

Out (standard output): {"event": "ready", "http": [host, port], "media": [host, port], "pid": n}; then every second
{"event": "health", "rooms", "participants", "tracks", "connections", "loop_lag_ms", "packets_in", "packets_out",
"refused", "dropped": {reason: times}}; {"event": "drained"} when the last participant has left after "drain";
{"event": "refused", "command", "text"} for a line that is no command.

In (standard input, after the settings line): {"command": "drain"}: let nobody new in; {"command": "stop"}: end;
{"command": "log_level", "level": "debug"}. End of file is "stop": the parent is gone.

Log lines go to standard error, {"level", "logger", "text"} each.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

from chatd.bridge.settings import LEVELS

if TYPE_CHECKING:
    from chatd.bridge.bridge import Bridge

HEALTH_S = 1.0
MOST_LINE = 1 << 20


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """See the module."""
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return json.dumps({"level": record.levelname.lower(), "logger": record.name, "text": text})


def log_to_stderr(level: str) -> None:
    """Send the log of this process where the parent reads it."""
    target = logging.StreamHandler(sys.stderr)
    target.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [target]
    root.setLevel(level.upper())
    for noisy in ("aioice", "aiortc", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


async def read_stdin() -> asyncio.StreamReader:
    """Standard input as a stream of lines."""
    reader = asyncio.StreamReader(limit=MOST_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


class Control:
    """Talks to the parent. `run` returns when the process is to end."""

    def __init__(self, bridge: Bridge, reader: asyncio.StreamReader) -> None:
        self._bridge = bridge
        self._reader = reader
        self._was_told_drained = False

    def say(self, event: str, **values: Any) -> None:
        """One line out; a parent that does not read is not waited for."""
        line = json.dumps({"event": event, **values}) + "\n"
        try:
            os.write(sys.stdout.fileno(), line.encode())
        except (BlockingIOError, BrokenPipeError):
            pass

    async def run(self) -> str:
        """Until "stop" or the end of standard input; gives the reason."""
        reports = asyncio.create_task(self._report())
        try:
            while True:
                try:
                    line = await self._reader.readline()
                except ValueError:
                    return "a line of the parent was too long"
                if not line:
                    return "the parent is gone"
                if self._obey(line):
                    return "the parent asked for it"
        finally:
            reports.cancel()

    def _obey(self, line: bytes) -> bool:
        """Do what a line says; True to end."""
        try:
            message = json.loads(line)
            command = message["command"]
            if command == "stop":
                return True
            if command == "drain":
                self._bridge.is_draining = True
            elif command == "log_level" and message["level"] in LEVELS:
                logging.getLogger().setLevel(message["level"].upper())
            else:
                raise KeyError(command)
        except (ValueError, KeyError, TypeError):
            self.say("refused", command=line[:200].decode("utf-8", "replace").strip(), text="no such command")
        return False

    async def _report(self) -> None:
        while True:
            self.say("health", **self._bridge.health())
            if self._bridge.is_draining and not self._was_told_drained and not self._bridge.connections:
                self._was_told_drained = True
                self.say("drained")
            await asyncio.sleep(HEALTH_S)
