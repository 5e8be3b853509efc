"""The schema: created whole, recognised, upgraded with a copy made before, refused when newer or not ours."""

from __future__ import annotations

import re
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor

from chatd.core.archive import ArchiveQuery
from chatd.core.roster import RosterItem
from chatd.store import NotOurs, SchemaTooNew, StoreError, postgres
from chatd.store.database import Database
from chatd.store.engine import engine_for
from chatd.store.schema import SCHEMA_DIR, ensure, newest_version
from chatd.store.sqlite import statements

NEXT = Path(__file__).with_name("schema_next")
"""A later version, as a change of the schema would look: a column more, one less, a table rebuilt."""

FIRST = Path(__file__).with_name("schema_first")
"""Version 1, whole."""


@pytest.fixture
def next_dir(tmp_path):
    """The schema folder of a chatd one version newer than this one."""
    folder = tmp_path / "schema"
    shutil.copytree(SCHEMA_DIR, folder)
    now = newest_version()
    for engine in ("sqlite", "postgresql"):
        upgrade = (NEXT / f"upgrade.{engine}.sql").read_text()
        (folder / f"upgrade-{now}-to-{now + 1}.{engine}.sql").write_text(upgrade)
        script = (SCHEMA_DIR / f"v{now}.{engine}.sql").read_text()
        for old, new in changes(engine):
            assert script.count(old) == 1, old
            script = script.replace(old, new)
        (folder / f"v{now + 1}.{engine}.sql").write_text(script)
    return folder


def changes(engine):
    """What the next version's whole schema differs in, as (before, after)."""
    parts = re.split(r"^-- (before|after)\n", (NEXT / f"whole.{engine}.sql").read_text(), flags=re.MULTILINE)[1:]
    texts = parts[1::2]
    return list(zip(texts[::2], texts[1::2], strict=True))


def dump_sqlite(session):
    """Tables, columns, indexes and views as SQLite sees them, whatever the words they were made with."""
    found = {}
    for kind, name, sql in session.all("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"):
        columns = session.all(f"SELECT * FROM pragma_table_xinfo('{name}')")
        keys = session.all(f"SELECT * FROM pragma_foreign_key_list('{name}')")
        indexes = [
            (unique, origin, [row[2] for row in session.all(f"SELECT * FROM pragma_index_info('{index}')")])
            for _, index, unique, origin, _ in session.all(f"SELECT * FROM pragma_index_list('{name}')")
        ]
        options = sorted(re.findall(r"STRICT|WITHOUT ROWID|AUTOINCREMENT", sql or ""))
        words = None if kind == "table" else " ".join((sql or "").split())
        found[kind, name] = (columns, keys, sorted(indexes), options, words)
    return found


def dump_postgres(session):
    """The same of PostgreSQL's catalogue."""
    queries = [
        "SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name, is_identity "
        "FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY 1, ordinal_position",
        "SELECT tablename, regexp_replace(indexdef, current_schema() || '[.]', '') FROM pg_indexes "
        "WHERE schemaname = current_schema() ORDER BY 1, 2",
        "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = current_schema()::regnamespace ORDER BY 1, 2",
        "SELECT viewname, definition FROM pg_views WHERE schemaname = current_schema() ORDER BY 1",
    ]
    return [session.all(query) for query in queries]


async def dump(store):
    is_sqlite = store._database.engine.dialect == "sqlite"
    return await store._database.read(dump_sqlite if is_sqlite else dump_postgres)


@pytest_twisted.ensureDeferred
async def test_an_upgraded_database_is_what_a_fresh_one_is(lasting, next_dir, elsewhere):
    store = await lasting.open()
    john = await store.accounts.create("john", "example.org", {}, 1.0)
    await store.roster.save(john, RosterItem("a@example.org", "A"))
    store.archive.append(john, store.new_id(5), "a@example.org", "", b"<message/>", 5)
    before = await dump(store)
    await lasting.close()

    upgraded = await lasting.open(next_dir)
    john_now = await upgraded.accounts.get("john", "example.org")
    assert john_now.id == john, "the data is still there"
    assert (await upgraded.roster.load(john))[1][0].name == "A", "also in the tables that were rebuilt"
    assert (await upgraded.archive.query(john, ArchiveQuery())).count == 1
    after = await dump(upgraded)
    assert after != before

    fresh = await elsewhere(lasting.kind).open(next_dir)
    assert after == await dump(fresh)
    assert await version(fresh) == await version(upgraded) == str(newest_version() + 1)


async def version(store):
    return (await store._database.read(lambda s: s.one("SELECT value FROM meta WHERE name = 'schema'")))[0]


@pytest_twisted.ensureDeferred
async def test_all_upgrades_after_each_other_lead_from_the_first_schema_to_the_newest(lasting, elsewhere):
    here = elsewhere(lasting.kind)
    await create_only(here, FIRST)
    assert await dump(await here.open()) == await dump(await lasting.open())


async def create_only(place, schema_dir):
    """A database of that schema, made and closed without anything of today's store looking at it."""
    engine = engine_for(place.url, place.folder, "full")
    engine.prepare()
    database = Database(engine, reactor, 1)
    await database.write_alone(ensure, engine, schema_dir)
    database.close()


@pytest_twisted.ensureDeferred
async def test_both_engines_have_the_same_tables_and_columns(sqlite_place, postgres_place):
    only_sqlite = {"archive.seq", "archive_index", "archive_mark"}
    names = {}
    for here in (sqlite_place, postgres_place):
        found = await dump(await here.open())
        if here is sqlite_place:
            names[here] = {f"{name}.{column[1]}" for (_, name), value in found.items() for column in value[0]}
        else:
            names[here] = {f"{row[0]}.{row[1]}" for row in found[0]}
    extra = {name for name in names[sqlite_place] - names[postgres_place]
             if name not in only_sqlite and name.split(".")[0] not in only_sqlite | {"archive_with"}}
    assert extra == set()
    assert names[postgres_place] <= names[sqlite_place]


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_every_column_is_explained(engine):
    for path in SCHEMA_DIR.glob(f"v*.{engine}.sql"):
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            if line.startswith("CREATE TABLE"):
                assert lines[number - 1].startswith("--"), f"{path.name}: {line} has no sentence above it"
        assert len(re.findall(r"^CREATE TABLE", "\n".join(lines), re.MULTILINE)) > 5


@pytest_twisted.ensureDeferred
async def test_a_newer_schema_is_refused_and_left_alone(lasting, next_dir):
    await lasting.open(next_dir)
    await lasting.close()
    with pytest.raises(SchemaTooNew) as refusal:
        await lasting.open()
    told = str(refusal.value)
    assert f"schema version {newest_version() + 1}" in told and f"only up to {newest_version()}" in told
    assert "Install the newer chatd again" in told
    store = await lasting.open(next_dir)
    assert await version(store) == str(newest_version() + 1)


@pytest_twisted.ensureDeferred
async def test_sqlite_is_copied_before_an_upgrade(sqlite_place, next_dir):
    store = await sqlite_place.open()
    await store.accounts.create("john", "example.org", {}, 1.0)
    await sqlite_place.close()
    await sqlite_place.open(next_dir)
    now = newest_version()
    copy = sqlite_place.folder / f"chatd.sqlite.backup-v{now}"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    await sqlite_place.close()

    # The copy is a database that works, and a second upgrade does not overwrite it.
    shutil.move(copy, sqlite_place.folder / "chatd.sqlite")
    store = await sqlite_place.open()
    assert await version(store) == str(now)
    assert (await store.accounts.get("john", "example.org")).local == "john"
    await sqlite_place.close()
    copy.write_bytes(b"the copy of an earlier attempt")
    await sqlite_place.open(next_dir)
    assert copy.read_bytes() == b"the copy of an earlier attempt"
    assert (sqlite_place.folder / f"chatd.sqlite.backup-v{now}-2").stat().st_size > 4096
    assert not list(sqlite_place.folder.glob("*.partial"))


@pytest_twisted.ensureDeferred
async def test_postgresql_is_copied_before_an_upgrade(postgres_place, next_dir, cluster):
    store = await postgres_place.open()
    await store.accounts.create("john", "example.org", {}, 1.0)
    await store.accounts.create("jane", "example.org", {}, 1.0)
    await postgres_place.close()
    with cluster.connect() as conn:
        before = {name for (name,) in conn.execute("SELECT nspname FROM pg_namespace")}
    await postgres_place.open(next_dir)
    with cluster.connect() as conn:
        after = {name for (name,) in conn.execute("SELECT nspname FROM pg_namespace")}
        [name] = after - before
        assert name.startswith(f"chatd_backup_v{newest_version()}")
        assert conn.execute(f"SELECT local FROM {name}.account ORDER BY id").fetchall() == [("john",), ("jane",)]
        tables = conn.execute("SELECT count(*) FROM pg_tables WHERE schemaname = %s", (name,)).fetchone()
        assert tables[0] >= 14


@pytest_twisted.ensureDeferred
async def test_an_upgrade_that_fails_changes_nothing(lasting, next_dir):
    store = await lasting.open()
    before = await dump(store)
    await lasting.close()
    now = newest_version()
    for path in next_dir.glob(f"upgrade-{now}-to-*"):
        path.write_text(path.read_text() + "\nINSERT INTO no_such_table VALUES (1);\n")
    with pytest.raises(StoreError):
        await lasting.open(next_dir)
    store = await lasting.open()
    assert await dump(store) == before
    assert await version(store) == str(now)


@pytest_twisted.ensureDeferred
async def test_an_upgrade_whose_script_is_missing_changes_nothing(lasting, next_dir):
    await lasting.open()
    await lasting.close()
    for path in next_dir.glob("upgrade-*"):
        path.unlink()
    with pytest.raises(StoreError, match="not installed completely"):
        await lasting.open(next_dir)
    assert not list(lasting.folder.glob("*backup*"))
    await lasting.open()


@pytest_twisted.ensureDeferred
async def test_a_creation_that_fails_leaves_an_empty_database(lasting, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(SCHEMA_DIR, folder)
    for path in folder.glob("v*"):
        path.write_text(path.read_text() + "\nINSERT INTO no_such_table VALUES (1);\n")
    with pytest.raises(StoreError):
        await lasting.open(folder)
    store = await lasting.open()
    assert await store.accounts.list() == []


@pytest_twisted.ensureDeferred
async def test_a_foreign_database_is_refused(sqlite_place, postgres_place, cluster):
    conn = sqlite3.connect(sqlite_place.folder / "chatd.sqlite")
    conn.execute("CREATE TABLE customers (name TEXT)")
    conn.close()
    with pytest.raises(NotOurs, match="a database of its own"):
        await sqlite_place.open()
    with cluster.connect() as conn:
        conn.execute(f"CREATE TABLE t{cluster.schemas}.meta (name TEXT, value TEXT)")
    with pytest.raises(NotOurs, match="a database of its own"):
        await postgres_place.open()


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_no_database_is_refused(sqlite_place):
    path = sqlite_place.folder / "chatd.sqlite"
    path.write_bytes(b"This is a letter to my grandmother." * 100)
    with pytest.raises(NotOurs, match="no SQLite database"):
        await sqlite_place.open()
    assert path.read_bytes().startswith(b"This is a letter")


@pytest_twisted.ensureDeferred
async def test_only_its_owner_may_read_the_file(sqlite_place):
    store = await sqlite_place.open()
    await store.accounts.create("john", "example.org", {}, 1.0)
    files = list(sqlite_place.folder.glob("chatd.sqlite*"))
    assert len(files) == 4, "with -wal, -shm and -lock"
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


@pytest_twisted.ensureDeferred
async def test_a_second_daemon_is_refused(lasting, monkeypatch):
    monkeypatch.setattr(postgres, "LOCK_TIMEOUT_MS", 100)
    first = await lasting.open()
    with pytest.raises(StoreError, match="in use by another chatd"):
        await lasting.open()
    await first.accounts.create("john", "example.org", {}, 1.0)
    store = await lasting.reopen()
    assert len(await store.accounts.list()) == 1


@pytest_twisted.ensureDeferred
async def test_a_folder_that_cannot_be_made_is_told(sqlite_place):
    (sqlite_place.folder / "file").write_text("")
    sqlite_place.url = "sqlite:file/chatd.sqlite"
    with pytest.raises(StoreError, match="cannot be opened for writing"):
        await sqlite_place.open()


def test_scripts_are_cut_into_their_statements():
    script = "-- a; b\nCREATE TABLE a (b TEXT); -- c;\nCREATE VIEW v AS\n  SELECT ';' AS x;\n-- the end\n"
    assert len(list(statements(script))) == 2
    with pytest.raises(ValueError, match="without an end"):
        list(statements("CREATE TABLE a (b TEXT)"))
