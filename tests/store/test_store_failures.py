"""What fails is told, leaves nothing half done, and does not stop what comes after it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from chatd.core.accounts import Verifier
from chatd.core.archive import ArchivePrefs, ArchiveQuery
from chatd.core.roster import RosterItem
from chatd.store import StoreClosed, StoreError, StoreUnavailable, database

VERIFIERS = {"SCRAM-SHA-1": Verifier(b"s", 4096, b"k", b"k"), "SCRAM-SHA-256": Verifier(b"s", 4096, b"k", b"k")}


def outcome(store) -> Deferred:
    """Fires with what `then` says: None or the error."""
    told: Deferred = Deferred()
    store.then(told.callback)
    return told


def add(store, account, number, size=10):
    id = store.new_id(number)
    store.archive.append(account, id, "a@example.org", "", b"x" * size, number)
    return id


class FailingSession:
    """A session whose n-th statement fails."""

    def __init__(self, session, countdown, fail):
        self._session = session
        self._countdown = countdown
        self._fail = fail

    def __getattr__(self, name):
        verb = getattr(self._session, name)
        if name not in ("begin", "commit", "run", "one", "all", "insert"):
            return verb

        def counted(*args):
            self._countdown[0] -= 1
            if self._countdown[0] == 0:
                self._fail(self._session)
            return verb(*args)

        return counted


class Faults:
    """Makes the n-th statement from now on fail."""

    def __init__(self, store, monkeypatch):
        self.engine = store._database.engine
        self.countdown = [0]
        self.fail: Callable = self.statement_fails
        real = self.engine.session
        monkeypatch.setattr(
            self.engine, "session", lambda conn: FailingSession(real(conn), self.countdown, self.fail)
        )
    def statement_fails(self, session):
        if self.engine.dialect == "sqlite":
            raise sqlite3.OperationalError("disk I/O error")
        session.run("SELECT 1 FROM no_such_table")

    def connection_breaks(self, session):
        session._conn.pgconn.finish()


async def everything(store, account):
    """A picture of what the store holds."""
    rows = (await store.archive.query(account, ArchiveQuery())).rows
    return (
        await store.accounts.list(), await store.roster.load(account), await store.blocking.load(account),
        await store.archive.prefs(account), await store.offline.load(account), rows,
    )  # fmt: skip


COLD = {
    "create": lambda store, id: store.accounts.create("new", "example.org", VERIFIERS, 2.0),
    "set_verifiers": lambda store, id: store.accounts.set_verifiers(id, VERIFIERS),
    "save": lambda store, id: store.roster.save(id, RosterItem("z@example.org")),
    "remove": lambda store, id: store.roster.remove(id, "a@example.org"),
    "block": lambda store, id: store.blocking.add(id, ["a@b", "c@d"]),
    "set_prefs": lambda store, id: store.archive.set_prefs(id, ArchivePrefs("never")),
}


async def filled(place):
    store = await place.open()
    id = await store.accounts.create("john", "example.org", {"SCRAM-SHA-1": VERIFIERS["SCRAM-SHA-1"]}, 1.0)
    await store.roster.save(id, RosterItem("a@example.org"))
    add(store, id, 1)
    await store.barrier()
    return store, id


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("name", COLD)
async def test_a_write_whose_nth_statement_fails_leaves_all_as_it_was(place, monkeypatch, name):
    store, john = await filled(place)
    faults = Faults(store, monkeypatch)
    before = await everything(store, john)
    failed = 0
    while True:
        faults.countdown[0] = failed + 1
        try:
            await COLD[name](store, john)
            break
        except StoreError:
            faults.countdown[0] = 0
            failed += 1
            assert await everything(store, john) == before
    assert failed >= 2, "begin and commit at least"
    faults.countdown[0] = 0
    assert await everything(store, john) != before


@pytest_twisted.ensureDeferred
async def test_a_batch_whose_nth_statement_fails_is_told_and_the_next_one_is_written(place, monkeypatch):
    store, john = await filled(place)
    faults = Faults(store, monkeypatch)
    failed = 0
    while True:
        before = await everything(store, john)
        faults.countdown[0] = failed + 1
        for number in range(3):
            add(store, john, 10 + number)
        store.offline.append(john, store.new_id(20), b"<message/>", 20)
        store.offline.delete(john, 1)
        error = await outcome(store)
        faults.countdown[0] = 0
        if error is None:
            break
        failed += 1
        assert isinstance(error, StoreError)
        assert await everything(store, john) == before, "nothing of it is there"
        add(store, john, 30)
        assert await outcome(store) is None, "and the store goes on"
    assert failed == 5, "begin, two inserts, a delete, commit"


@pytest_twisted.ensureDeferred
async def test_a_delete_that_fails_anywhere_can_be_repeated(place, monkeypatch):
    store, john = await filled(place)
    faults = Faults(store, monkeypatch)
    failed = 0
    while True:
        faults.countdown[0] = failed + 1
        try:
            await store.accounts.delete(john)
            break
        except StoreError:
            failed += 1
    faults.countdown[0] = 0
    assert failed > 5
    assert await everything(store, john) == ([], (0, []), set(), None, [], ())


@pytest_twisted.ensureDeferred
async def test_a_full_disk_is_told_and_does_not_last(sqlite_place):
    store, john = await filled(sqlite_place)

    def limit(pages):
        return store._database.write_alone(lambda session: session.one(f"PRAGMA max_page_count = {pages}"))

    used = (await store._database.read(lambda session: session.one("PRAGMA page_count")))[0]
    await limit(used + 2)
    before = await everything(store, john)
    for number in range(100):
        add(store, john, 10 + number, 1000)
    error = await outcome(store)
    assert isinstance(error, StoreError) and "full" in str(error) and "chatd.sqlite" in str(error)
    with pytest.raises(StoreError):
        for number in range(1000):
            await store.private.set(john, {f"name {number}": b"x" * 10_000}, 10_000)
    assert (await everything(store, john))[1:] == before[1:], "reading goes on, nothing half is there"
    await limit(1_000_000)
    id = add(store, john, 300)
    assert await outcome(store) is None
    assert (await store.archive.query(john, ArchiveQuery(max=1, before=""))).rows[0].id == id


@pytest_twisted.ensureDeferred
async def test_a_lost_connection_is_replaced_unnoticed(postgres_place, monkeypatch):
    store, john = await filled(postgres_place)
    faults = Faults(store, monkeypatch)
    faults.fail = faults.connection_breaks
    for nth in (1, 2, 3):
        faults.countdown[0] = nth
        await store.roster.save(john, RosterItem(f"{nth}@example.org"))
        faults.countdown[0] = 1
        assert (await store.roster.load(john))[0] == nth + 1
    for rows in (1, 5, 40):
        faults.countdown[0] = 1
        for number in range(rows):
            add(store, john, 10 + number)
        assert await outcome(store) is None
    page = await store.archive.query(john, ArchiveQuery())
    assert page.count == 1 + 1 + 5 + 40


@pytest_twisted.ensureDeferred
async def test_a_batch_that_may_have_been_committed_is_not_doubled(postgres_place, monkeypatch):
    """The connection breaks after the commit and before its answer."""
    store, john = await filled(postgres_place)
    engine = store._database.engine
    real, broken = engine.session, list[int]()

    class CommitsAndBreaks:
        def __init__(self, session):
            self._session = session

        def __getattr__(self, name):
            return getattr(self._session, name)

        def insert(self, *args):
            self._session.insert(*args)
            if not broken:
                broken.append(1)
                self._session._conn.pgconn.finish()
                self._session.run("SELECT 1")

    monkeypatch.setattr(engine, "session", lambda conn: CommitsAndBreaks(real(conn)))
    for number in range(30):
        add(store, john, 10 + number)
    assert await outcome(store) is None
    assert broken
    assert (await store.archive.query(john, ArchiveQuery())).count == 31


@pytest_twisted.ensureDeferred
async def test_a_cold_write_that_may_have_been_committed_is_not_repeated(postgres_place, monkeypatch):
    store, john = await filled(postgres_place)
    faults = Faults(store, monkeypatch)
    faults.fail = faults.connection_breaks
    version, _ = await store.roster.load(john)
    statements = 0
    while True:
        statements += 1
        faults.countdown[0] = statements
        try:
            await store.roster.save(john, RosterItem("z@example.org"))
        except StoreUnavailable:
            break
        version += 1
        assert statements < 20
    assert statements == 5, "begin, version, removed, item; the fifth is the commit"
    assert (await store.roster.load(john))[0] == version, "not done, and not done twice"


@pytest_twisted.ensureDeferred
async def test_postgresql_goes_away_and_comes_back(postgres_place, cluster, monkeypatch):
    monkeypatch.setattr(database, "LONGEST_PAUSE_S", 0.3)
    store, john = await filled(postgres_place)
    cluster.stop()
    try:
        add(store, john, 10)
        assert isinstance(await outcome(store), StoreUnavailable)
        with pytest.raises(StoreUnavailable):
            await store.roster.save(john, RosterItem("z@example.org"))
        with pytest.raises(StoreUnavailable):
            await store.accounts.list()
        with pytest.raises(StoreUnavailable, match="next attempt"):
            for _ in range(3):
                add(store, john, 11)
                await store.barrier()
    finally:
        cluster.start()
    for _ in range(200):
        id = add(store, john, 20)
        if await outcome(store) is None:
            break
        # Nothing tells when a pause between attempts is over.
        await deferLater(reactor, 0.05)
    rows = (await store.archive.query(john, ArchiveQuery())).rows
    assert [row.stamp_ms for row in rows] == [1, 20] and rows[-1].id == id
    assert (await store.roster.load(john))[0] == 1


@pytest_twisted.ensureDeferred
async def test_a_restart_of_postgresql_between_two_writes_is_not_noticed(postgres_place, cluster):
    store, john = await filled(postgres_place)
    cluster.stop()
    cluster.start()
    assert await store.roster.save(john, RosterItem("z@example.org")) == 2
    assert len(await store.accounts.list()) == 1
    cluster.stop()
    cluster.start()
    add(store, john, 10)
    assert await outcome(store) is None


@pytest_twisted.ensureDeferred
async def test_a_postgresql_that_is_not_there_is_told_without_the_password(tmp_path, postgres_place):
    postgres_place.url = f"postgresql://chatd:sesame@/nothing?host={tmp_path}"
    with pytest.raises(StoreUnavailable) as refusal:
        await postgres_place.open()
    assert "nothing" in str(refusal.value) and "sesame" not in str(refusal.value)


@pytest_twisted.ensureDeferred
async def test_close_writes_what_is_pending(lasting):
    store = await lasting.open(commit_interval_ms=1000)
    john = await store.accounts.create("john", "example.org", {}, 1.0)
    add(store, john, 1)
    told, saved = outcome(store), store.roster.save(john, RosterItem("a@example.org"))
    closing = store.close()
    assert store.close() is closing
    await closing
    assert await told is None
    assert await saved == 1
    with pytest.raises(StoreClosed):
        add(store, john, 2)
    with pytest.raises(StoreClosed):
        await store.accounts.list()
    store = await lasting.reopen()
    assert (await store.archive.query(john, ArchiveQuery())).count == 1


@pytest_twisted.ensureDeferred
async def test_close_ends_also_without_a_database(postgres_place, cluster):
    store, john = await filled(postgres_place)
    cluster.stop()
    try:
        add(store, john, 10)
        told = outcome(store)
        await store.close()
        assert isinstance(await told, StoreUnavailable)
    finally:
        cluster.start()


@pytest_twisted.ensureDeferred
async def test_order_of_hot_and_cold_writes_is_the_order_of_the_calls(place):
    store = await place.open(commit_interval_ms=1000)
    john = await store.accounts.create("john", "example.org", {}, 1.0)
    order = []
    add(store, john, 1)
    store.then(lambda error: order.append("first batch"))
    saving = store.roster.save(john, RosterItem("a@example.org"))
    saving.addCallback(lambda _: order.append("roster"))
    add(store, john, 2)
    store.then(lambda error: order.append("second batch"))
    blocking = store.blocking.add(john, ["b@example.org"])
    blocking.addCallback(lambda _: order.append("blocking"))
    await blocking
    assert order == ["first batch", "roster", "second batch", "blocking"]
