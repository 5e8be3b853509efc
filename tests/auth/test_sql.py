"""Passwords of real databases: SQLite, PostgreSQL and MariaDB; right, wrong, away, and hostile input."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from chatd.auth.sql import SqlPasswords
from chatd.core.errors import Unavailable
from chatd.outside.sql import Database
from chatd.settings.people import AuthSource
from tests.auth.test_hashes import PASSWORD, STORED
from tests.auth.test_imap import checker, verdict
from tests.mariadb import mariadb_server
from tests.postgresql import Cluster, postgres_binaries

TABLE = "CREATE TABLE users (address VARCHAR(200), domain VARCHAR(100), password VARCHAR(300))"
QUERY = "SELECT password FROM users WHERE address = {address} AND address LIKE '%@%'"
USERS = [("alice@mail.example", STORED[3]), ("r&d@mail.example", STORED[3]), ("twin@mail.example", STORED[3]),
         ("twin@mail.example", STORED[3]), ("plain@mail.example", "{PLAIN}x"), ("none@mail.example", None),
         ("empty@mail.example", ""), ("o'brien@mail.example", STORED[3])]


class Place:
    """One database. url: as in the settings; away and back: it is stopped and started."""

    def __init__(self, url: str, away: Any, back: Any) -> None:
        self.url, self.away, self.back = url, away, back


def fill(connection: Any, mark: str) -> None:
    cursor = connection.cursor()
    cursor.execute(TABLE)
    cursor.executemany(f"INSERT INTO users (address, domain, password) VALUES ({mark}, 'mail.example', {mark})", USERS)
    connection.commit()
    connection.close()


def sqlite(folder: Path) -> Iterator[Place]:
    path = folder / "users.sqlite"
    fill(sqlite3.connect(path), "?")
    aside = folder / "aside"
    yield Place(f"sqlite:{path}", lambda: path.rename(aside), lambda: aside.rename(path))


def postgresql(folder: Path) -> Iterator[Place]:
    binaries = postgres_binaries()
    assert binaries, "PostgreSQL is missing: apt-get install postgresql (tests/debian-packages)"
    place = Path(tempfile.mkdtemp(prefix="chatd-pg-", dir="/tmp"))
    cluster = Cluster(binaries, place)
    try:
        fill(cluster.connect(), "%s")
        yield Place(f"postgresql://chatd@/postgres?host={place}", cluster.stop, cluster.start)
    finally:
        cluster.stop()
        shutil.rmtree(place, ignore_errors=True)


def mariadb(folder: Path) -> Iterator[Place]:
    with mariadb_server() as server:
        connection = server.connect()
        connection.select_db("mail")
        fill(connection, "%s")
        yield Place(server.url, server.stop, server.start)


@pytest.fixture(scope="module", params=[sqlite, postgresql, mariadb], ids=lambda made: made.__name__)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from request.param(tmp_path_factory.mktemp("sql"))


def passwords(place: Place, query: str = QUERY, **more: Any) -> SqlPasswords:
    source = AuthSource(kind="sql", database=place.url, query=query, timeout_s=5)
    return SqlPasswords(Database(place.url, timeout_s=5, **more), source, reactor)


@pytest_twisted.ensureDeferred
async def test_right_and_wrong(place: Place) -> None:
    asked = passwords(place)
    try:
        assert await asked.check("nobody@mail.example", PASSWORD) is False
        assert await asked.check("alice@mail.example", PASSWORD) is True
        assert await asked.check("alice@mail.example", "x") is False
        assert await asked.check("nobody@mail.example", PASSWORD) is False
        assert await asked.check("twin@mail.example", PASSWORD) is False  # who of both?
        assert await asked.check("none@mail.example", PASSWORD) is False
        assert await asked.check("empty@mail.example", PASSWORD) is False
        assert await verdict(checker(asked), "r\\26d@mail.example", PASSWORD) == "right"
        assert await verdict(checker(asked), "o\\27brien@mail.example", PASSWORD) == "right"
        assert "{PLAIN}" in await verdict(checker(asked), "plain@mail.example", "x")
        await asked.probe()
    finally:
        asked.stop()


HOSTILE = ["' OR '1'='1", "alice@mail.example' --", "%", "alice@mail.example\0", "%(address)s", "{address}", ":address",
           "alice@mail.example'; DROP TABLE users; --", "\\", "x" * 5000, "\U0001f600@mail.example"]


@pytest_twisted.ensureDeferred
async def test_nothing_slips_into_the_query(place: Place) -> None:
    asked = passwords(place)
    try:
        for login in HOSTILE:
            assert await verdict(checker(asked), login, PASSWORD) != "right", login
        assert await asked.check("alice@mail.example", PASSWORD) is True
    finally:
        asked.stop()


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_said(place: Place) -> None:
    """Neither a database that is away nor a query that is wrong makes anybody's password wrong; writing is refused."""
    for query in ("SELECT nothing FROM users WHERE address = {address}", "SELECT {address} FROM nowhere", "nonsense",
                  "SELECT address, domain FROM users WHERE address = {address}",
                  "DELETE FROM users WHERE address = {address}"):
        asked = passwords(place, query)
        try:
            assert (await verdict(checker(asked), "alice@mail.example", PASSWORD)).startswith("mail: "), query
        finally:
            asked.stop()
    asked = passwords(place)
    try:
        place.away()
        try:
            with pytest.raises(Unavailable):
                await asked.check("alice@mail.example", PASSWORD)
        finally:
            place.back()
        assert await asked.check("alice@mail.example", PASSWORD) is True
    finally:
        asked.stop()


def test_nothing_secret_is_told() -> None:
    database = Database("postgresql://chatd:topsecret@db.example:5432/mail?sslmode=verify-full", "topsecret")
    assert str(database) == "postgresql://db.example/mail"
    assert "topsecret" not in repr(database)
    assert str(Database("mysql://chatd:topsecret@/mail?host=/run/db.sock")) == "mysql:///run/db.sock/mail"
