"""One suite over three databases: an SQLite file, SQLite in memory, and a private PostgreSQL.

The PostgreSQL is a cluster of its own in a temporary folder, reached by a Unix socket, gone after the session. It
needs Debian's package `postgresql`; only where that is missing its tests are skipped.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

import attrs
import pytest
import pytest_twisted
from twisted.internet import reactor

from chatd.store import open_store
from chatd.store.schema import SCHEMA_DIR


@attrs.frozen
class StoreSettings:
    """What the store reads of [store]."""

    url: str
    commit_interval_ms: int = 3
    durability: str = "full"
    pool: int = 2


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


@pytest.fixture(scope="session")
def cluster():
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg", reason="psycopg is not installed (pip install 'psycopg[binary]')")
    folder = Path(tempfile.mkdtemp(prefix="chatd-pg-", dir="/tmp"))
    server = Cluster(binaries, folder)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


class Place:
    """Where a test's database is; opens stores over it and closes them afterwards."""

    def __init__(self, kind: str, url: str, folder: Path) -> None:
        self.kind = kind
        self.url = url
        self.folder = folder
        self.is_lasting = kind != "memory"
        self.stores: list = []

    async def open(self, schema_dir: Path = SCHEMA_DIR, **settings):
        store = await open_store(StoreSettings(self.url, **settings), self.folder, reactor, schema_dir)
        self.stores.append(store)
        return store

    async def reopen(self, **settings):
        """Close all and open again: only what is durable is left."""
        await self.close()
        return await self.open(**settings)

    async def close(self) -> None:
        while self.stores:
            await self.stores.pop().close()


def place_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> Place:
    urls = {"sqlite": lambda: "sqlite:chatd.sqlite", "memory": lambda: "sqlite::memory:",
            "postgresql": lambda: request.getfixturevalue("cluster").new_url()}
    return Place(kind, urls[kind](), folder)


@pytest_twisted.async_yield_fixture(params=["sqlite", "memory", "postgresql"])
async def place(request, tmp_path):
    here = place_of(request.param, request, tmp_path)
    yield here
    await here.close()


@pytest_twisted.async_yield_fixture(params=["sqlite", "postgresql"])
async def lasting(request, tmp_path):
    """A place that survives its store."""
    here = place_of(request.param, request, tmp_path)
    yield here
    await here.close()


@pytest_twisted.async_yield_fixture
async def sqlite_place(request, tmp_path):
    here = place_of("sqlite", request, tmp_path)
    yield here
    await here.close()


@pytest_twisted.async_yield_fixture
async def postgres_place(request, tmp_path):
    here = place_of("postgresql", request, tmp_path)
    yield here
    await here.close()


@pytest_twisted.async_yield_fixture
async def elsewhere(request, tmp_path):
    """A function of a kind that gives one more empty place."""
    places: list[Place] = []

    def another(kind):
        folder = tmp_path / f"elsewhere{len(places)}"
        places.append(place_of(kind, request, folder))
        return places[-1]

    yield another
    for here in places:
        await here.close()
