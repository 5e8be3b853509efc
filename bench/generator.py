"""The load generator as Python sees it: takes commands, answers with JSON (see loadgen/main.c)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from bench.servers.base import Server

Answer = dict[str, Any]


class GeneratorFailed(Exception):
    """The load generator ended or answered something unexpected."""


class Generator:
    """One run of build/bench/loadgen against one server, pinned to a core of its own.

    program: the built loadgen; core: its CPU; server: a started server; cache: a file for salted passwords.
    """

    def __init__(self, program: Path, core: int, server: Server, cache: Path) -> None:
        site = server.site
        self._server = server
        self._process = subprocess.Popen(
            [
                *("taskset", "-c", str(core), str(program)),
                *("127.0.0.1", str(server.port), site.domain, site.password, str(site.accounts), str(cache)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, command: str) -> Answer:
        """Run one command to its end. Raises GeneratorFailed."""
        self._put("pids " + " ".join(map(str, self._server.pids())))
        return self._put(command)

    def _put(self, command: str) -> Answer:
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError as error:
            raise GeneratorFailed(f"{command}: {error}") from error
        if not line:
            raise GeneratorFailed(f"{command}: the generator ended with {self._process.wait()}")
        answer: Answer = json.loads(line)
        if answer["what"] == "error":
            raise GeneratorFailed(str(answer["text"]))
        return answer

    def close(self) -> None:
        """End the generator; its sessions are cut."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
