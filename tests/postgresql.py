"""A real PostgreSQL for tests: a cluster of its own in a temporary folder, reached by a Unix socket."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote


class Cluster:
    """A private PostgreSQL server. Its processes belong to an ordinary user: the server refuses root."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.binaries = binaries
        self.folder = folder
        self.user = self._ordinary_user()
        self.schemas = 0
        if self.user:
            entry = pwd.getpwnam(self.user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        self.run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "chatd", "-E", "UTF8",
                 "--locale=C.UTF-8", "--no-sync")
        with (folder / "data" / "postgresql.conf").open("a") as config:
            # A crash of the machine is not what is tested here.
            config.write(f"listen_addresses = ''\nunix_socket_directories = '{folder}'\nfsync = off\n"
                         "shared_buffers = 16MB\nmax_connections = 40\n")
        self.start()

    @staticmethod
    def _ordinary_user() -> str | None:
        if os.getuid() != 0:
            return None
        names = {entry.pw_name for entry in pwd.getpwall()}
        return "postgres" if "postgres" in names else "nobody"

    def run(self, program: str, *args: str) -> None:
        command = [str(self.binaries / program), *args]
        if self.user:
            command = ["runuser", "-u", self.user, "--", *command]
        done = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60)
        assert done.returncode == 0, done.stdout.decode(errors="replace")

    def start(self) -> None:
        # -l: without it the server would keep the pipe open that run() reads to its end.
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", "immediate", "stop")

    def connect(self):
        import psycopg

        return psycopg.connect(f"postgresql://chatd@/postgres?host={self.folder}", autocommit=True)

    def new_url(self) -> str:
        """A fresh, empty schema and the address that has it on the search path."""
        self.schemas += 1
        with self.connect() as conn:
            conn.execute(f"CREATE SCHEMA t{self.schemas}")
        options = quote(f"-c search_path=t{self.schemas}", safe="")
        return f"postgresql://chatd@/postgres?host={self.folder}&options={options}"


def postgres_binaries() -> Path | None:
    """Where initdb is: Debian keeps it out of the path."""
    def version(path: Path) -> int:
        return int(path.parent.name) if path.parent.name.isdigit() else 0

    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=version)
    for folder in reversed(found):
        if (folder / "initdb").exists():
            return folder
    in_path = shutil.which("initdb")
    return Path(in_path).parent if in_path else None
