"""A real MariaDB for tests, in a folder of its own, reached by a Unix socket."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class MariaDB:
    """One server; `url` is a database in it. Its processes belong to an ordinary user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "socket"
        self.url = f"mysql://chatd:secret@/mail?host={self.socket}"
        self.user = ["--user=nobody"] if os.getuid() == 0 else []
        if self.user:
            os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
        self.process: subprocess.Popen[bytes] | None = None
        scripts = [Path(f"/usr/share/mysql/mysql_system_tables{more}.sql").read_text() for more in ("", "_data")]
        done = subprocess.run([program(), *self._options(), "--bootstrap"], capture_output=True, check=False,
                              input="\n".join(("CREATE DATABASE mysql;", "USE mysql;", *scripts)), text=True)
        assert done.returncode == 0, done.stderr

    def _options(self) -> list[str]:
        data = self.folder / "data"
        if not data.exists():
            data.mkdir()
            if self.user:
                os.chown(data, pwd.getpwnam("nobody").pw_uid, -1)
        return ["--no-defaults", f"--datadir={data}", f"--socket={self.socket}", "--skip-networking",
                "--innodb-flush-log-at-trx-commit=2", *self.user]

    def start(self) -> None:
        """Returns when it answers."""
        with (self.folder / "out").open("ab") as out:
            self.process = subprocess.Popen([program(), *self._options()], stdout=out, stderr=out)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "out").read_text()
            try:
                self.connect().close()
                return
            except Exception:
                time.sleep(0.1)
        raise AssertionError((self.folder / "out").read_text())

    def connect(self) -> Any:
        """As root, without a database."""
        import pymysql

        return pymysql.connect(user="root", unix_socket=str(self.socket), autocommit=True, charset="utf8mb4")

    def run(self, *commands: str) -> None:
        """Runs SQL as root, in the database mail where there is one."""
        with self.connect() as connection, connection.cursor() as cursor:
            for command in commands:
                cursor.execute(command)

    def stop(self) -> None:
        """Ends it, by force: an orderly end waits for connections. What was written is there after the next start."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(60)
            self.process = None


def program() -> str:
    """Where it is; Debian has it where only root looks."""
    found = shutil.which("mariadbd", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    assert found, "MariaDB is missing: apt-get install mariadb-server-core (tests/debian-packages)"
    return found


@contextmanager
def mariadb_server() -> Iterator[MariaDB]:
    """A running server with an empty database mail, and a user chatd who may read it."""
    folder = Path(tempfile.mkdtemp(prefix="mariadb", dir="/tmp"))
    server = MariaDB(folder)
    try:
        server.start()
        server.run("CREATE DATABASE mail", "CREATE USER chatd@localhost IDENTIFIED BY 'secret'",
                   "GRANT SELECT ON mail.* TO chatd@localhost")
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
