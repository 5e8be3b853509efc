"""One suite over three databases: an SQLite file, SQLite in memory, and a private PostgreSQL.

The PostgreSQL is a cluster of its own in a temporary folder, reached by a Unix socket, gone after the session. It
needs Debian's package `postgresql`; only where that is missing its tests are skipped.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import attrs
import pytest
import pytest_twisted
from twisted.internet import reactor

from chatd.store import open_store
from chatd.store.schema import SCHEMA_DIR
from tests.postgresql import Cluster, postgres_binaries


@attrs.frozen
class StoreSettings:
    """What the store reads of [store]."""

    url: str
    commit_interval_ms: int = 3
    durability: str = "full"
    pool: int = 2


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
