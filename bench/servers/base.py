"""What the bench asks of a server: prepare, start, say what it is, stop.

A server runs in the foreground, as a child of the bench, pinned to one core, on a free port of 127.0.0.1,
with all its files in one folder that the bench made. Nothing else on the machine is touched.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import ClassVar

import attrs

from bench import processes

ROOT = Path(__file__).resolve().parent.parent.parent


@attrs.frozen
class Site:
    """What all servers have in common.

    domain: the XMPP domain; certificate, key: PEM files (ECDSA P-256); accounts: how many, named u00000,
    u00001, ...; password: of all of them; iterations: SCRAM iteration count; core: the servers' CPU;
    checkout: where chatd's sources are.
    """

    domain: str
    certificate: Path
    key: Path
    accounts: int
    password: str
    iterations: int
    core: int
    checkout: Path = ROOT


class ServerFailed(Exception):
    """A server did not start, or died; the text has the end of its output."""


class Server:
    """One server. A subclass sets the class attributes and writes its own configuration.

    folder: everything of this instance; archive: whether messages are archived.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    # Variants of one program share the prepared accounts and rosters.
    program: ClassVar[str]
    debian_packages: ClassVar[tuple[str, ...]] = ()

    def __init__(self, site: Site, folder: Path, archive: bool = False) -> None:
        self.site = site
        self.folder = folder
        self.archive = archive
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    # -- for subclasses ------------------------------------------------------------------------------------

    @classmethod
    def missing(cls) -> str | None:
        """Why this server cannot run on this machine, or None."""
        raise NotImplementedError

    @classmethod
    def version(cls) -> str:
        """Name and version of the program."""
        raise NotImplementedError

    def write_accounts(self) -> None:
        """Create the accounts in `folder`, before the first start."""

    def configure(self) -> None:
        """Write the configuration into `folder`; `self.port` and `self.archive` are set."""
        raise NotImplementedError

    def command(self, first: bool) -> list[str]:
        """The command line for a server in the foreground; `first` on the very first start."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """More environment variables for the command."""
        return {}

    def is_prepared(self) -> bool:
        """Whether a first start has done what it has to (create the accounts)."""
        return True

    def room_form(self) -> str:
        """The settings that whoever makes a room submits: "VAR=VALUE VAR=VALUE"."""
        return "muc#roomconfig_persistentroom=1"

    def archived_rows(self) -> int:
        """How many rows the archive of the accounts holds; asked after the server has stopped."""
        raise NotImplementedError

    def archived_rows_of_rooms(self) -> int:
        """How many rows the archive of the rooms holds; asked after the server has stopped."""
        raise NotImplementedError

    # -- for the bench -------------------------------------------------------------------------------------

    def start(self, first: bool = False, timeout_s: float = 120) -> None:
        """Start the server and wait until it listens. Raises ServerFailed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if first:
            self.write_accounts()
        self.port = free_port()
        self.configure()
        with open(self.folder / "output.log", "ab") as output:
            self._process = subprocess.Popen(
                ["taskset", "-c", str(self.site.core), *self.command(first)],
                cwd=self.folder,
                env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout_s
        while not (self._listens() and (not first or self.is_prepared())):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise ServerFailed(f"{self.title} did not start:{self._last_words()}")
            time.sleep(0.1)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def _last_words(self) -> str:
        lines = (self.folder / "output.log").read_text(errors="replace").splitlines()
        return "".join(f"\n    {line}" for line in lines[-12:])

    def pids(self) -> list[int]:
        """The server's process and all its descendants."""
        if self._process is None or self._process.poll() is not None:
            raise ServerFailed(f"{self.title} has ended:{self._last_words()}")
        return processes.tree(self._process.pid)

    def stop(self) -> None:
        """Stop what `start` started: ask, then kill after 20 seconds."""
        if self._process is None:
            return
        pids = processes.tree(self._process.pid)
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        processes.end(pids)
        self._process = None


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def count_rows(database: Path, table: str, where: str = "") -> int:
    """How many rows a table of an SQLite database has for which `where` is true."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table} WHERE {where or 1}").fetchone()[0])


def program_path(name: str) -> str | None:
    """Where an installed program is, /usr/sbin included."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")


def debian_version(package: str) -> str:
    """The version of an installed Debian package, or "unknown"."""
    try:
        done = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
