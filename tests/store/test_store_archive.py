"""Archives, over every database: pages against a plain model, order, expiry, and the late index of SQLite."""

from __future__ import annotations

import random
import weakref

import attrs
import pytest
import pytest_twisted

from chatd.core.archive import ArchivePage, ArchiveQuery, ArchiveRow, ItemNotFound
from chatd.store import StoreError, archive, late_index
from chatd.store import batch as batch_module
from chatd.store.ids import SHIFT

ME, OTHER = 1, 2
A, B = "a@example.org", "b@example.org"


@attrs.frozen
class Kept:
    """One row of the model."""

    id: int
    stamp_ms: int
    with_bare: str
    with_resource: str
    stanza: bytes


def expected(rows: list[Kept], query: ArchiveQuery) -> ArchivePage:
    """What the query has to give, by the plainest of means."""
    ids = {row.id for row in rows}
    for id in (query.before_id, query.after_id, *query.ids, query.before, query.after):
        if id is not None and id != "" and id not in ids:
            raise ItemNotFound

    def matches(row: Kept) -> bool:
        full = f"{row.with_bare}/{row.with_resource}" if row.with_resource else row.with_bare
        return (
            (query.with_jid is None or query.with_jid in (row.with_bare, full))
            and (query.start_ms is None or row.stamp_ms >= query.start_ms)
            and (query.end_ms is None or row.stamp_ms <= query.end_ms)
            and (query.after_id is None or row.id > query.after_id)
            and (query.before_id is None or row.id < query.before_id)
            and (not query.ids or row.id in query.ids)
        )

    matching = sorted((row for row in rows if matches(row)), key=lambda row: row.id)
    paged = [
        row for row in matching
        if (query.after is None or row.id > query.after)
        and (not isinstance(query.before, int) or row.id < query.before)
    ]
    page = paged[: query.max] if query.before is None else paged[max(0, len(paged) - query.max) :]
    if query.max == 0:
        return ArchivePage((), not matching, len(matching), None)
    index = matching.index(page[0]) if page else None
    found = tuple(ArchiveRow(row.id, row.stamp_ms, row.stanza) for row in page)
    return ArchivePage(found, len(page) == len(paged), len(matching), index)


def append(store, account, stamp_ms, with_bare=A, with_resource="", stanza=None) -> Kept:
    id = store.new_id(stamp_ms)
    row = Kept(id, stamp_ms, with_bare, with_resource, stanza or b"<message xmlns='jabber:client' id='%d'/>" % id)
    store.archive.append(account, row.id, row.with_bare, row.with_resource, row.stanza, row.stamp_ms)
    return row


def random_query(dice: random.Random, rows: list[Kept], strangers: list[int]) -> ArchiveQuery:
    def maybe(chance, make):
        return make() if dice.random() < chance else None

    def some_id():
        return dice.choice(strangers) if dice.random() < 0.03 else dice.choice(rows).id

    def some_stamp():
        return dice.choice(rows).stamp_ms + dice.choice([-1, 0, 0, 1])

    return ArchiveQuery(
        with_jid=maybe(0.5, lambda: dice.choice([A, A, B, f"{A}/phone", f"{B}/pc", f"{B}/none", "z@example.org"])),
        start_ms=maybe(0.3, some_stamp),
        end_ms=maybe(0.3, some_stamp),
        before_id=maybe(0.15, some_id),
        after_id=maybe(0.15, some_id),
        ids=tuple({some_id() for _ in range(dice.randint(1, 6))}) if dice.random() < 0.15 else (),
        max=dice.choice([0, 1, 2, 3, 5, 10, 50, 1000]),
        before=maybe(0.4, lambda: dice.choice(["", some_id()])),
        after=maybe(0.4, some_id),
        flip=dice.random() < 0.1,
    )


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("seed", range(3))
async def test_every_page_is_what_a_plain_model_gives(place, seed):
    dice = random.Random(seed)
    store = await place.open()
    rows, strangers = [], [7, -1, 2**63]
    stamp = 1_700_000_000_000
    for _ in range(60):
        stamp += dice.choice([0, 0, 1, 1000])
        row = append(store, ME, stamp, dice.choice([A, A, A, B]), dice.choice(["", "phone", "pc"]))
        rows.append(row)
        strangers.append(append(store, OTHER, stamp, A).id)
    await store.barrier()
    seen = {"pages": 0, "rows": 0, "refused": 0}
    for _ in range(300):
        query = random_query(dice, rows, strangers)
        try:
            wanted = expected(rows, query)
        except ItemNotFound:
            seen["refused"] += 1
            with pytest.raises(ItemNotFound):
                await store.archive.query(ME, query)
            continue
        assert await store.archive.query(ME, query) == wanted, query
        seen["pages"] += 1
        seen["rows"] += len(wanted.rows)
    assert seen["pages"] > 100 and seen["rows"] > 300 and seen["refused"] > 10, "the dice were fair"


@pytest_twisted.ensureDeferred
async def test_pages_one_after_the_other_give_every_row_once(place):
    store = await place.open()
    rows = [append(store, ME, 1000 + number) for number in range(25)]
    forward, query = [], ArchiveQuery(max=4)
    while True:
        page = await store.archive.query(ME, query)
        forward += page.rows
        if page.complete:
            break
        query = ArchiveQuery(max=4, after=page.rows[-1].id)
    assert [row.id for row in forward] == [row.id for row in rows]
    backward: list[ArchiveRow] = []
    query = ArchiveQuery(max=4, before="")
    while True:
        page = await store.archive.query(ME, query)
        backward[:0] = page.rows
        if page.complete:
            break
        query = ArchiveQuery(max=4, before=page.rows[0].id)
    assert backward == forward


@pytest_twisted.ensureDeferred
async def test_a_query_sees_what_was_appended_just_before(place):
    store = await place.open(commit_interval_ms=1000)
    for number in range(1, 6):
        row = append(store, ME, number)
        page = await store.archive.query(ME, ArchiveQuery(max=1, before=""))
        assert (page.rows[0].id, page.count) == (row.id, number)


@pytest_twisted.ensureDeferred
async def test_queries_at_the_same_time_each_see_what_came_before_them(place):
    store = await place.open()
    pages = []
    for number in range(1, 30):
        append(store, ME if number % 2 else OTHER, number)
        pages.append((number, store.archive.query(ME, ArchiveQuery(max=0))))
    for number, page in pages:
        assert (await page).count >= (number + 1) // 2


@pytest_twisted.ensureDeferred
async def test_stanza_bytes_are_untouched(place):
    store = await place.open()
    odd = "<message xmlns='jabber:client'><body>\u00e4\U0001f600 '\"\r\n</body></message>".encode() + b"\0\xff"
    big = b"<message>" + b"x" * 300_000 + b"</message>"
    append(store, ME, 1, stanza=odd)
    append(store, ME, 2, stanza=big)
    assert [row.stanza for row in (await store.archive.query(ME, ArchiveQuery())).rows] == [odd, big]


@pytest_twisted.ensureDeferred
async def test_a_second_row_of_the_same_id_is_dropped_and_spoils_nothing(place):
    store = await place.open()
    errors: list = []
    first = append(store, ME, 1)
    store.archive.append(ME, first.id, B, "", b"<other/>", 1)
    for number in range(2, 20):
        append(store, ME, number)
    store.then(errors.append)
    page = await store.archive.query(ME, ArchiveQuery())
    assert errors == [None]
    assert (page.rows[0].stanza, page.count) == (first.stanza, 19)
    store.archive.append(ME, first.id, B, "", b"<other/>", 1)
    page = await store.archive.query(ME, ArchiveQuery(with_jid=A))
    assert (page.rows[0].stanza, page.count) == (first.stanza, 19)


@pytest_twisted.ensureDeferred
async def test_one_id_may_be_in_two_archives(place):
    store = await place.open()
    id = store.new_id(5)
    store.archive.append(ME, id, A, "", b"<to/>", 5)
    store.archive.append(OTHER, id, B, "", b"<from/>", 5)
    assert (await store.archive.query(ME, ArchiveQuery())).rows == (ArchiveRow(id, 5, b"<to/>"),)
    assert (await store.archive.query(OTHER, ArchiveQuery())).rows == (ArchiveRow(id, 5, b"<from/>"),)


@pytest_twisted.ensureDeferred
async def test_what_is_too_much_is_not_counted_unless_nothing_else_is_asked(place, monkeypatch):
    monkeypatch.setattr(archive, "COUNT_MAX", 10)
    store = await place.open()
    for number in range(10):
        append(store, ME, number, A if number % 2 else B)
    page = await store.archive.query(ME, ArchiveQuery(max=3, before=""))
    assert (page.count, page.index, len(page.rows)) == (10, 7, 3)
    append(store, ME, 11)
    page = await store.archive.query(ME, ArchiveQuery(max=3, before=""))
    assert (page.count, page.index, len(page.rows), page.complete) == (None, None, 3, False)
    assert (await store.archive.query(ME, ArchiveQuery(max=0))).count == 11
    assert (await store.archive.query(ME, ArchiveQuery(with_jid=B, max=1))).count == 5


@pytest_twisted.ensureDeferred
async def test_metadata(place):
    store = await place.open()
    assert await store.archive.metadata(ME) is None
    first = append(store, ME, 10)
    assert await store.archive.metadata(ME) == (first.id, 10, first.id, 10)
    append(store, ME, 20)
    last = append(store, ME, 30)
    append(store, OTHER, 40)
    assert await store.archive.metadata(ME) == (first.id, 10, last.id, 30)


@pytest_twisted.ensureDeferred
async def test_expiry_takes_what_is_older_and_nothing_else(place):
    store = await place.open()
    john = await store.accounts.create("john", "example.org", {}, 1.0)
    jane = await store.accounts.create("jane", "example.org", {}, 1.0)
    for number in range(1300):
        append(store, john, 1000 + number)
    kept = append(store, jane, 3000)
    assert await store.archive.expire(1000) == 0
    assert await store.archive.expire(2200) == 1200
    page = await store.archive.query(john, ArchiveQuery(max=1))
    assert (page.rows[0].stamp_ms, page.count) == (2200, 100)
    assert await store.archive.expire(10_000) == 101
    assert (await store.archive.query(john, ArchiveQuery())).rows == ()
    with pytest.raises(ItemNotFound):
        await store.archive.query(jane, ArchiveQuery(after=kept.id))


@pytest_twisted.ensureDeferred
async def test_rows_that_come_after_an_expiry_are_found(place):
    """Left to itself, SQLite would give the highest row numbers again, and the mark would be above them."""
    store = await place.open()
    john = await store.accounts.create("john", "example.org", {}, 1.0)
    for number in range(10):
        append(store, john, 1000 + number)
    assert await store.archive.expire(5000) == 10
    if place.is_lasting:
        store = await place.reopen()
    row = append(store, john, 6000)
    await store.barrier()
    if place.is_lasting:
        store = await place.reopen()
    assert [found.id for found in (await store.archive.query(john, ArchiveQuery())).rows] == [row.id]


@pytest_twisted.ensureDeferred
async def test_ids_go_on_above_all_that_were_kept(lasting):
    store = await lasting.open()
    await store.accounts.create("john", "example.org", {}, 1.0)
    future = store.new_id(1_900_000_000_000)
    store.offline.append(1, future, b"<message/>", 1)
    store = await lasting.reopen()
    assert store.new_id(1_700_000_000_000) > future
    later = append(store, 1, 1_900_000_000_001).id
    await store.archive.expire(1_900_000_000_002)
    store = await lasting.reopen()
    assert store.new_id(1_700_000_000_000) > later, "also when the row itself has expired"


@pytest_twisted.ensureDeferred
async def test_what_is_not_indexed_yet_is_found_after_a_restart(sqlite_place):
    store = await sqlite_place.open()
    rows = [append(store, ME, number) for number in range(1, 11)]
    await store.barrier()
    indexed = await store._database.read(lambda session: session.one("SELECT count(*) FROM archive_index"))
    assert indexed == (0,), "rows are appended without index entries"
    store = await sqlite_place.reopen()
    page = await store.archive.query(ME, ArchiveQuery(with_jid=A))
    assert [row.id for row in page.rows] == [row.id for row in rows]


def entries(session):
    return session.one("SELECT count(*) FROM archive_index")[0]


def mark(session):
    return session.one("SELECT seq FROM archive_mark")[0]


def hidden(session):
    """Rows without an entry that no start would enter either, because the mark is above them."""
    return session.one(
        "SELECT count(*) FROM archive a WHERE seq <= (SELECT seq FROM archive_mark) "
        "AND NOT EXISTS (SELECT 1 FROM archive_index i WHERE i.account = a.account AND i.id = a.id)"
    )[0]


@pytest_twisted.ensureDeferred
async def test_rows_get_their_entries_when_there_are_many_without(sqlite_place, monkeypatch):
    monkeypatch.setattr(late_index, "TAIL_ROWS", 50)
    monkeypatch.setattr(late_index, "SLICE_ROWS", 10)
    store = await sqlite_place.open()
    dice = random.Random(1)
    rows = {account: [] for account in range(1, 8)}
    for number in range(59):
        account = dice.randint(1, 7)
        rows[account].append(append(store, account, number).id)
    await store.barrier()
    await store.barrier()
    assert await store._database.read(entries) == 0
    account = dice.randint(1, 7)
    rows[account].append(append(store, account, 59).id)
    await store.barrier()  # the sixtieth row
    await store.barrier()  # what it set off
    assert 10 <= await store._database.read(entries) < 35, "about the ten too many, by whole accounts"
    for number in range(60, 1000):
        account = dice.randint(1, 7)
        rows[account].append(append(store, account, number).id)
        if number % 5 == 0:
            await store.barrier()
    await store.barrier()
    await store.barrier()
    assert 930 <= await store._database.read(entries) < 1000
    assert 800 <= await store._database.read(mark) < 960, "the mark follows"
    for account, ids in rows.items():
        page = await store.archive.query(account, ArchiveQuery(max=1000))
        assert [row.id for row in page.rows] == ids


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("seed", range(5))
async def test_every_row_is_found_whatever_fails_and_whenever_it_is_asked_for(sqlite_place, monkeypatch, seed):
    """Appends, queries, failed batches and restarts as they fall; a durable row must never be missing."""
    dice = random.Random(seed)
    monkeypatch.setattr(late_index, "TAIL_ROWS", dice.choice([0, 5, 40]))
    monkeypatch.setattr(late_index, "SLICE_ROWS", dice.choice([1, 10]))
    store = await sqlite_place.open()
    durable: dict[int, list[int]] = {account: [] for account in range(1, 6)}
    failing, failures = [0], 0

    def break_some(store):
        def commit(session, batch):
            failing[0] -= 1
            if failing[0] == 0:
                raise StoreError("a fault made by the test")
            return real(session, batch)

        real = batch_module._commit
        monkeypatch.setattr(batch_module, "_commit", commit)
        return real

    real_commit = break_some(store)
    number = 0

    def ended(error, ids):
        nonlocal failures
        failures += error is not None
        for account, added in ids.items() if error is None else ():
            durable[account] += added

    for _ in range(200):
        event = dice.random()
        if event < 0.75:
            # Faults hit whole batches, so what is durable is told apart by batch.
            ids: dict[int, list[int]] = {}
            for _ in range(dice.randint(1, 12)):
                account, number = dice.randint(1, 5), number + 1
                ids.setdefault(account, []).append(append(store, account, number).id)
            store._batches.outcome(ended, ids)
            if dice.random() < 0.15:
                failing[0] = dice.randint(1, 3)
            if dice.random() < 0.5:
                store._batches.flush()
            else:
                try:
                    await store.barrier()
                except StoreError:
                    pass
            assert await store._database.read(hidden) == 0
        elif event < 0.96:
            account = dice.randint(1, 5)
            try:
                page = await store.archive.query(account, ArchiveQuery(max=10_000))
            except StoreError:
                assert failing[0] <= 0, "the entries could not be made"
                continue
            assert [row.id for row in page.rows] == durable[account]
            assert page.count == len(durable[account]), "and no entry without its row"
        else:
            failing[0] = 0
            store = await sqlite_place.reopen()
    monkeypatch.setattr(batch_module, "_commit", real_commit)
    store = await sqlite_place.reopen()
    for account, kept in durable.items():
        page = await store.archive.query(account, ArchiveQuery(max=10_000))
        assert ([row.id for row in page.rows], page.count) == (kept, len(kept))
    assert failures > 3 and sum(map(len, durable.values())) > 200


@pytest_twisted.ensureDeferred
async def test_queries_use_the_indexes(sqlite_place):
    """A plan that scans a table would be invisible with few rows and ruinous with a million."""
    store = await sqlite_place.open()
    plans = await store._database.read(lambda session: [
        " ".join(row[3] for row in session.all(f"EXPLAIN QUERY PLAN {sql}")) for sql in [
            f"SELECT id, stamp_ms, stanza FROM archive_rows WHERE account=1 AND id > {1 << SHIFT} ORDER BY id LIMIT 9",
            "SELECT id, stamp_ms, stanza FROM archive_rows WHERE account=1 AND with_bare='a' AND id < 5 "
            "ORDER BY id DESC LIMIT 9",
            "SELECT count(*) FROM archive_keys WHERE account=1 AND with_bare='a' AND id <= 5",
            "SELECT count(*) FROM archive_keys WHERE account=1 AND id IN (1, 2)",
            "SELECT max(id) FROM archive_keys WHERE account=1",
        ]
    ])  # fmt: skip
    for plan in plans:
        assert "SCAN" not in plan and "TEMP B-TREE" not in plan, plan
    assert "archive_with (account=? AND with_bare=? AND id<?)" in plans[1]


def body(text: str) -> bytes:
    return f"<message xmlns='jabber:client'><body>{text}</body></message>".encode()


@pytest_twisted.ensureDeferred
async def test_a_search_finds_every_message_with_the_words_once(place, monkeypatch):
    """By pages in both directions, with other filters, over slices that are smaller than a page."""
    monkeypatch.setattr(archive, "SEARCH_SLICE", 7)
    store = await place.open()
    rows = [append(store, ME, 1000 + number, B if number % 5 == 4 else A,
                   stanza=body(f"{'Noon' if number % 3 else 'dusk'} {number}")) for number in range(60)]
    append(store, OTHER, 1000, A, stanza=body("noon"))
    wanted = [row.id for row in rows if b"Noon" in row.stanza]
    for before, step in ((None, 1), ("", -1)):
        found, query = [], ArchiveQuery(words=("noon",), max=9, before=before)
        while True:
            page = await store.archive.query(ME, query)
            found += page.rows[::step]
            if page.complete:
                break
            last = page.rows[-1 if step > 0 else 0].id
            query = attrs.evolve(query, **({"after": last} if step > 0 else {"before": last}))
        assert [row.id for row in found] == wanted[::step]
    page = await store.archive.query(ME, ArchiveQuery(words=("noon",), with_jid=B, start_ms=1010, before=""))
    assert [row.id for row in page.rows] == [
        row.id for row in rows if row.with_bare == B and row.id in wanted and row.stamp_ms >= 1010]
    assert (await store.archive.query(ME, ArchiveQuery(words=("noon",), max=0))).count == len(wanted)
    with pytest.raises(ItemNotFound):
        await store.archive.query(ME, ArchiveQuery(words=("noon",), before=7))


@pytest_twisted.ensureDeferred
async def test_a_search_that_only_counts_keeps_no_messages(place, monkeypatch):
    """However many it finds, there is never more than a slice of them in memory."""
    monkeypatch.setattr(archive, "SEARCH_SLICE", 5)
    store = await place.open()
    for number in range(40):
        append(store, ME, 1000 + number, stanza=body("noon"))
    read, seen, most = archive._rows, [], []

    def rows_of(*arguments):
        most.append(sum(row() is not None for row in seen))
        rows = read(*arguments)
        seen.extend(map(weakref.ref, rows))
        return rows

    monkeypatch.setattr(archive, "_rows", rows_of)
    for before in (None, ""):
        page = await store.archive.query(ME, ArchiveQuery(words=("noon",), max=0, before=before))
        assert page == ArchivePage((), False, 40, None)
    assert len(seen) == 80 and max(most) <= 5


@pytest_twisted.ensureDeferred
async def test_a_search_looks_at_a_bounded_number_of_messages(place, monkeypatch):
    """It says how far it came, and is gone on with from there."""
    monkeypatch.setattr(archive, "SEARCH_SLICE", 4)
    monkeypatch.setattr(archive, "SEARCH_ROWS", 12)
    store = await place.open()
    rows = [append(store, ME, 1000 + number, stanza=body("rare" if number == 3 else "often")) for number in range(30)]
    first = await store.archive.query(ME, ArchiveQuery(words=("rare",), before=""))
    assert first == ArchivePage((), False, None, None, rows[18].id)
    second = await store.archive.query(ME, ArchiveQuery(words=("rare",), before=first.reached))
    assert second == ArchivePage((), False, None, None, rows[6].id)
    third = await store.archive.query(ME, ArchiveQuery(words=("rare",), before=second.reached))
    assert [row.id for row in third.rows] == [rows[3].id] and third.complete
