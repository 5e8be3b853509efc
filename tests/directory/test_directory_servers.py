"""People of a real LDAP server and of real databases: what is read, pages, servers that are away, 50,000 of them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from chatd.core.errors import Unavailable
from chatd.core.jid import JID
from chatd.core.people import People
from chatd.directory.directories import Directories
from chatd.directory.ldap import read_ldap
from chatd.directory.sql import read_sql
from chatd.settings import Domain
from chatd.settings.people import DirectorySource
from tests.slapd import BASE, PEOPLE, READER, READER_PASSWORD, Slapd, ldap_server

DOMAIN = "mail.example"
JPEG = "/9j/AAAA"           # the beginning of one, in base64
NAMES = 130


def entry(uid: str, cn: str, mail: str, more: str = "") -> str:
    """An entry in LDIF, in UTF-8."""
    return f"\ndn: uid={uid},{PEOPLE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {cn}\nsn: {cn}\nmail: {mail}\n{more}"


EVERYBODY = (
    entry("anna", "Anna Adams", f"anna@{DOMAIN}",
          f"displayName: Änne Adams\ntitle: Head\ndepartmentNumber: R&D\ntelephoneNumber: +49 1\njpegPhoto:: {JPEG}\n")
    + entry("rd", "Research", f"r&d@{DOMAIN}") + entry("far", "Far", "far@elsewhere.example")
    + entry("two", "Two", "two@elsewhere.example", f"mail: two@{DOMAIN}\n")
    + "".join(entry(f"u{number}", f"Person {number}", f"u{number}@{DOMAIN}") for number in range(NAMES)))


@pytest.fixture(scope="module")
def ldap() -> Iterator[Slapd]:
    with ldap_server(EVERYBODY) as server:
        yield server


def source(ldap: Slapd, **more: Any) -> DirectorySource:
    settings = {"url": f"ldaps://localhost:{ldap.ldaps}", "ca": ldap.certificate, "base": PEOPLE, "bind_dn": READER,
                "bind_password": READER_PASSWORD, "timeout_s": 10, "refresh_s": 10}
    return DirectorySource(kind="ldap", **(settings | more))


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
@pytest_twisted.ensureDeferred
async def test_everybody_of_the_domain_page_by_page(ldap: Slapd, scheme: str) -> None:
    url = f"{scheme}://localhost:{ldap.ldaps if scheme == 'ldaps' else ldap.ldap}"
    people = await read_ldap(source(ldap, url=url), DOMAIN, reactor)
    assert len(people) == NAMES + 3
    found = {person.jid: person for person in people}
    anna = found[f"anna@{DOMAIN}"]
    assert (anna.name, anna.title, anna.department, anna.phone) == ("Änne Adams", "Head", "R&D", "+49 1")
    assert anna.photo.startswith(b"\xff\xd8\xff")
    assert found[f"r\\26d@{DOMAIN}"].address == f"r&d@{DOMAIN}"
    assert f"two@{DOMAIN}" in found


@pytest_twisted.ensureDeferred
async def test_filter_and_attributes_are_the_sites(ldap: Slapd) -> None:
    asked = source(ldap, filter="(&(title=Head)(mail=*@{domain}))",
                   attributes={"name": ("uid",), "photo": (), "phone": ("nothing", "departmentNumber")})
    (anna,) = await read_ldap(asked, DOMAIN, reactor)
    assert (anna.name, anna.photo, anna.phone) == ("anna", b"", "R&D")
    assert await read_ldap(source(ldap), "*)(uid=*", reactor) == []


@pytest_twisted.ensureDeferred
async def test_a_server_that_cannot_be_asked_gives_nobody(ldap: Slapd) -> None:
    for wrong in ({"bind_password": "x"}, {"base": f"ou=none,{BASE}"}, {"filter": "(mail="}):
        with pytest.raises(Unavailable):
            await read_ldap(source(ldap, **wrong), DOMAIN, reactor)


def database(folder: Path) -> Path:
    path = folder / "people.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE people (mail TEXT, full TEXT, unit TEXT, domain TEXT, picture BLOB)")
        connection.executemany("INSERT INTO people VALUES (?, ?, ?, ?, ?)", [
            (f"bob@{DOMAIN}", "Bob B", "Sales", DOMAIN, b"\xff\xd8\xff.."), ("carl", None, None, DOMAIN, b"nonsense"),
            (f"dora@{DOMAIN}", "Dora", "", "other.example", None), (None, "x", "", DOMAIN, None)])
    return path


def test_what_a_query_gives(tmp_path: Path) -> None:
    query = ("SELECT mail AS Address, full AS name, unit AS department, picture AS photo FROM people "
             "WHERE domain = {domain}")
    asked = DirectorySource(kind="sql", database=f"sqlite:{database(tmp_path)}", query=query)
    bob, carl = read_sql(asked, DOMAIN)
    assert (bob.name, bob.department, bob.photo) == ("Bob B", "Sales", b"\xff\xd8\xff..")
    assert (carl.jid, carl.name, carl.photo) == (f"carl@{DOMAIN}", f"carl@{DOMAIN}", b"")
    with pytest.raises(Unavailable, match="no column called address"):
        read_sql(DirectorySource(kind="sql", database=asked.database, query="SELECT full FROM people"), DOMAIN)


class NoStore:
    """The accounts of a domain that has none."""

    class accounts:
        @staticmethod
        async def list(domain: str) -> list[Any]:
            return []


async def until(is_so: Any) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        await deferToThread(time.sleep, 0.05)


@pytest_twisted.ensureDeferred
async def test_sources_are_joined_and_one_that_is_away_changes_nothing(ldap: Slapd, tmp_path: Path) -> None:
    by_sql = DirectorySource(kind="sql", database=f"sqlite:{database(tmp_path)}", refresh_s=10,
                             query="SELECT mail AS address, full AS name FROM people WHERE domain = {domain}")
    domain = Domain(name=DOMAIN, directory=(source(ldap), by_sql))
    directories = Directories([domain], NoStore, deferToThread, reactor)
    changed: list[str] = []
    directories.watch(changed.append)
    await directories.start()
    try:
        await until(lambda: len(list(directories.everybody(DOMAIN))) == NAMES + 5)
        assert [person.jid for person in directories.search(DOMAIN, "adams an", 5)[0]] == [f"anna@{DOMAIN}"]
        assert directories.find(JID.parse(f"bob@{DOMAIN}")) is not None
        assert set(changed) == {DOMAIN}
        ldap.stop()
        (tmp_path / "people.sqlite").unlink()
        for one in directories._sources[DOMAIN]:
            one.due = 0
        await directories._look()
        await until(lambda: all(row["problem"] for row in directories.status()))
        assert len(list(directories.everybody(DOMAIN))) == NAMES + 5
    finally:
        directories.stop()
        if ldap.process is None:
            ldap.start()


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_fifty_thousand_of_an_ldap_server_are_searched_in_fifty_milliseconds() -> None:
    """And reading them keeps the reactor from nothing for long: the longest wait is told, not judged."""
    first = ("Anna", "Bob", "Carla", "Dieter", "Émile", "Françoise", "Günther", "Håkon", "Inés", "José")
    last = ("Müller", "Smith", "García", "Dupont", "Björnsson", "Ødegård", "O'Brien", "Kowalski", "Rossi", "Nguyễn")
    text = "".join(entry(f"p{n}", f"{first[n % 10]} {last[n // 10 % 10]} {n}", f"p{n}@{DOMAIN}") for n in range(50_000))
    with ldap_server(text) as server:
        begun, worst, last_turn = time.monotonic(), 0.0, time.monotonic()
        done: list[Any] = []

        def turn() -> None:
            nonlocal worst, last_turn
            now = time.monotonic()
            worst, last_turn = max(worst, now - last_turn), now
            if not done:
                reactor.callLater(0, turn)

        turn()
        people = await read_ldap(source(server, timeout_s=60), DOMAIN, reactor)
        done.append(True)
        print(f"read in {time.monotonic() - begun:.1f} s, longest wait {1000 * worst:.0f} ms")
    assert len(people) == 50_000
    index = People(people)
    for typed in ("mull", "garcia jos", "4999", "p1 ann", "a b c d e f", "xyz", "obrien", "nguyen han"):
        times = []
        for _ in range(7):
            at = time.perf_counter()
            index.search(typed, 20)
            times.append(time.perf_counter() - at)
        print(f"{typed!r}: {1000 * min(times):.1f} ms")
        assert min(times) < 0.05
