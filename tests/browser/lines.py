"""A helper process that is told what to do in JSON lines and answers in JSON lines.

Read in a thread and handed to the reactor, so it works under any reactor and needs no child watching.
"""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, TimeoutError

ANSWER_TIMEOUT_S = 40.0


class LineProcess:
    """One such process. `events` collects what it says unasked; `wait_for` waits for the next."""

    def __init__(self, command: list[str], *, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.events: list[dict[str, Any]] = []
        self._asked: dict[int, Deferred[Any]] = {}
        self._next_id = 0
        self._waiting: list[tuple[Any, Deferred[dict[str, Any]]]] = []
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                reactor.callFromThread(self._received, json.loads(line))  # type: ignore[attr-defined]
        reactor.callFromThread(self._ended)  # type: ignore[attr-defined]

    def _received(self, message: dict[str, Any]) -> None:
        if "id" not in message:
            self.events.append(message)
            for entry in list(self._waiting):
                wanted, waiting = entry
                if wanted(message):
                    self._waiting.remove(entry)
                    waiting.callback(message)
            return
        asked = self._asked.pop(message["id"], None)
        if asked is None:
            return
        if "error" in message:
            asked.errback(AssertionError(message["error"]))
        else:
            asked.callback(message["ok"])

    def _ended(self) -> None:
        for asked in self._asked.values():
            asked.errback(AssertionError("the helper process ended"))
        self._asked.clear()

    def ask(self, op: str, *, answer_s: float = ANSWER_TIMEOUT_S, **values: Any) -> Deferred[Any]:
        """Send one request; the Deferred fires with its answer or fails with AssertionError."""
        self._next_id += 1
        asked: Deferred[Any] = Deferred()
        self._asked[self._next_id] = asked
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": self._next_id, "op": op, **values}) + "\n")
        self._process.stdin.flush()
        return asked.addTimeout(answer_s, reactor)  # type: ignore[arg-type]

    async def wait_for(self, wanted: Any, timeout_s: float = 20.0) -> dict[str, Any]:
        """Wait for an event that `wanted(event)` accepts, one that came already included."""
        for event in self.events:
            if wanted(event):
                return event
        waiting: Deferred[dict[str, Any]] = Deferred()
        self._waiting.append((wanted, waiting))
        try:
            return await waiting.addTimeout(timeout_s, reactor)  # type: ignore[arg-type]
        except TimeoutError as late:
            raise AssertionError(f"it never came; what came: {self.events[-10:]}") from late

    def stop(self) -> None:
        """End the process; kills it if it does not go by itself."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._reader.join(5)
