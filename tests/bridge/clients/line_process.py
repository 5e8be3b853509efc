"""A helper process that is told what to do in JSON lines and answers in JSON lines. Blocking calls, any thread, no
event loop: what it says is read by a thread and kept in `events`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ANSWER_S = 60.0


class Failed(AssertionError):
    """What was asked for could not be done; the text is the process's."""


class LineProcess:
    """One such process. `events`: what it said unasked, each a dictionary with "event"; `log`: its standard error."""

    def __init__(self, command: list[str], *, name: str = "", folder: Path | None = None,
                 environment: dict[str, str] | None = None) -> None:
        self.name = name or command[0]
        self.events: list[dict[str, Any]] = []
        self.log: list[str] = []
        self._answers: dict[int, dict[str, Any]] = {}
        self._next_id = 0
        self._changed = threading.Condition()
        self.is_ended = False
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._read, self._read_log)]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if not line.startswith("{"):
                continue
            message = json.loads(line)
            with self._changed:
                if "id" in message:
                    self._answers[message["id"]] = message
                else:
                    self.events.append(message)
                self._changed.notify_all()
        with self._changed:
            self.is_ended = True
            self._changed.notify_all()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))

    def tell(self, **message: Any) -> None:
        """One line to it."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def ask(self, op: str, timeout_s: float = ANSWER_S, **values: Any) -> Any:
        """One request; gives its answer or raises Failed."""
        with self._changed:
            self._next_id += 1
            number = self._next_id
            self.tell(id=number, op=op, **values)
            if not self._changed.wait_for(lambda: number in self._answers or self.is_ended, timeout_s):
                raise Failed(f"{self.name}: no answer to {op} in {timeout_s} s; {self._tail()}")
            if number not in self._answers:
                raise Failed(f"{self.name} has ended; {self._tail()}")
            answer = self._answers.pop(number)
        if "error" in answer:
            raise Failed(f"{self.name}: {op}: {answer['error']}")
        return answer["ok"]

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float = 40.0,
                 after: int = 0) -> dict[str, Any]:
        """The first event from number `after` on that `wanted(event)` accepts, waiting for it if need be."""
        seen = after
        end = time.monotonic() + timeout_s
        with self._changed:
            while True:
                for event in self.events[seen:]:
                    seen += 1
                    if wanted(event):
                        return event
                left = end - time.monotonic()
                if left <= 0 or self.is_ended:
                    raise Failed(f"{self.name}: it never came; {self._tail()}")
                self._changed.wait(left)

    def _tail(self) -> str:
        return f"events {self.events[-12:]}, log {self.log[-8:]}"

    def kill(self) -> None:
        """End it as a crash would."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self, timeout_s: float = 10.0) -> int:
        """Close its standard input and wait for its end; killed if it does not go by itself. Gives the exit status."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
        for thread in self._threads:
            thread.join(5)
        return self.process.returncode
