"""A daemon whose people and passwords are in a mail server's database or in LDAP: log-in, directory, and both away."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.auth.test_hashes import PASSWORD as SECRET
from tests.auth.test_hashes import STORED
from tests.daemon import DOMAIN, OTHER, Daemon, free_ports, running
from tests.raw import Raw, condition

ALICE, BOB = f"alice@{OTHER}", f"r&d@{OTHER}"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "mail.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE users (address TEXT, name TEXT, unit TEXT, hash TEXT)")
        connection.executemany("INSERT INTO users VALUES (?, ?, ?, ?)", [
            (ALICE, "Alice Adams", "Sales", STORED[0]), (BOB, "Research & Development", "Lab", STORED[3]),
            (f"plain@{OTHER}", "Plain", "", "{PLAIN}secret")])
    return path


@pytest.fixture
def daemon(database: Path, tmp_path: Path) -> Iterator[Daemon]:
    extra = (f'[[domain.auth]]\nkind = "sql"\ndatabase = "sqlite:{database}"\ncache_s = 0\n'
             'query = "SELECT hash FROM users WHERE address = {address}"\n'
             f'[[domain.directory]]\nkind = "sql"\ndatabase = "sqlite:{database}"\n'
             "query = \"SELECT address, name, unit AS department FROM users WHERE address LIKE '%@' || {domain}\"\n")
    with running(tmp_path / "chatd", extra=extra) as daemon:
        yield daemon


def refusal(daemon: Daemon, address: str, password: str) -> str:
    """"" or why a log-in fails."""
    with Raw(daemon, "c2s_tls") as raw:
        raw.open(OTHER)
        return condition(raw.auth(address, password))


def test_people_and_passwords_of_a_database(daemon: Daemon, database: Path) -> None:
    assert refusal(daemon, ALICE, SECRET) == ""
    assert refusal(daemon, BOB, SECRET) == ""
    assert refusal(daemon, ALICE, "wrong") == "not-authorized"
    assert refusal(daemon, f"nobody@{OTHER}", SECRET) == "not-authorized"
    assert refusal(daemon, f"plain@{OTHER}", "secret") == "temporary-auth-failure"
    assert "{PLAIN}" in daemon.log.read_text() or "not accepted" in daemon.log.read_text()
    deadline = time.monotonic() + 30
    while len(found := daemon.ctl("directory", "search", "develop")["result"]) != 1:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert found[0]["jid"] == f"r\\26d@{OTHER}" and found[0]["has_account"] and found[0]["department"] == "Lab"
    database.rename(database.with_suffix(".away"))
    assert refusal(daemon, ALICE, SECRET) == "temporary-auth-failure"
    assert daemon.ctl("directory", "search", "alice")["result"][0]["name"] == "Alice Adams"
    database.with_suffix(".away").rename(database)
    assert refusal(daemon, ALICE, SECRET) == ""


def test_an_ldap_server_that_is_away(tmp_path: Path) -> None:
    """Nobody is told that his password is wrong, and no account is made; other domains are not concerned."""
    (port,) = free_ports(1)
    extra = f'[[domain.auth]]\nkind = "ldap"\nurl = "ldap://127.0.0.1:{port}"\ndn = "uid={{local}},dc=example"\n'
    with running(tmp_path / "chatd", f"ann@{DOMAIN}", extra=extra) as daemon:
        assert refusal(daemon, ALICE, SECRET) == "temporary-auth-failure"
        assert refusal(daemon, f"nobody@{OTHER}", "x") == "temporary-auth-failure"
        assert daemon.ctl("user", "list", OTHER)["result"] == []
        with Raw(daemon, "c2s_tls").login(f"ann@{DOMAIN}"):
            pass
