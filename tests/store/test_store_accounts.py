"""Accounts and verifiers, over every database."""

from __future__ import annotations

import pytest
import pytest_twisted
from zope.interface.verify import verifyObject

from chatd.core.accounts import AccountExists, AccountRow, LoadedAccount, Verifier
from chatd.core.archive import ArchivePrefs, ArchiveQuery
from chatd.core.roster import RosterItem
from chatd.interfaces import (
    IAccountStore,
    IArchiveStore,
    IBlockingStore,
    ILastStore,
    IOfflineStore,
    IPrivateStore,
    IRosterStore,
    IStore,
    IVCardStore,
)
from chatd.store import StoreError

SHA1 = Verifier(b"salt\0\xff", 4096, b"s" * 20, b"k" * 20)
SHA256 = Verifier(b"pepper", 10_000, b"S" * 32, b"K" * 32)
BOTH = {"SCRAM-SHA-1": SHA1, "SCRAM-SHA-256": SHA256}


@pytest_twisted.ensureDeferred
async def test_the_store_is_what_the_interfaces_say(place):
    store = await place.open()
    verifyObject(IStore, store)
    for interface, noun in [
        (IAccountStore, store.accounts), (IRosterStore, store.roster), (IArchiveStore, store.archive),
        (IOfflineStore, store.offline), (IBlockingStore, store.blocking), (IPrivateStore, store.private),
        (IVCardStore, store.vcard), (ILastStore, store.last),
    ]:
        verifyObject(interface, noun)


@pytest_twisted.ensureDeferred
async def test_an_account_comes_back_as_it_was_made(place):
    store = await place.open()
    id = await store.accounts.create("jöhn", "example.org", BOTH, 1_700_000_000.25)
    row = await store.accounts.get("jöhn", "example.org")
    assert row == AccountRow(id, "jöhn", "example.org", False, 1_700_000_000.25, None, BOTH)
    assert await store.accounts.get("john", "example.org") is None
    assert await store.accounts.get("jöhn", "example.com") is None


@pytest_twisted.ensureDeferred
async def test_an_account_is_loaded_with_all_that_belongs_to_it(place):
    store = await place.open()
    id = await store.accounts.create("john", "example.org", BOTH, 1.0)
    row = await store.accounts.get("john", "example.org")
    assert await store.accounts.load("john", "example.org") == LoadedAccount(row, 0, (), frozenset(), None)
    items = (RosterItem("a@example.org"), RosterItem("b@example.org", pending_in=b"<presence/>", listed=False))
    for item in items:
        await store.roster.save(id, item)
    await store.blocking.add(id, ["spam.example"])
    await store.archive.set_prefs(id, ArchivePrefs("roster"))
    assert await store.accounts.load("john", "example.org") == LoadedAccount(
        row, 2, items, frozenset({"spam.example"}), ArchivePrefs("roster")
    )
    assert await store.accounts.load("jane", "example.org") is None


@pytest_twisted.ensureDeferred
async def test_a_name_is_taken_once_a_domain(place):
    store = await place.open()
    first = await store.accounts.create("john", "example.org", BOTH, 1.0)
    with pytest.raises(AccountExists):
        await store.accounts.create("john", "example.org", {}, 2.0)
    assert (await store.accounts.get("john", "example.org")).verifiers == BOTH
    assert await store.accounts.create("john", "example.com", {}, 3.0) != first


@pytest_twisted.ensureDeferred
async def test_a_new_password_replaces_every_verifier(place):
    store = await place.open()
    id = await store.accounts.create("john", "example.org", BOTH, 1.0)
    await store.accounts.set_verifiers(id, {"SCRAM-SHA-256": SHA1})
    assert (await store.accounts.get("john", "example.org")).verifiers == {"SCRAM-SHA-256": SHA1}
    with pytest.raises(StoreError):
        await store.accounts.set_verifiers(id + 1000, BOTH)


@pytest_twisted.ensureDeferred
async def test_disabled_and_last_login_are_kept(place):
    store = await place.open()
    id = await store.accounts.create("john", "example.org", {}, 1.0)
    await store.accounts.set_disabled(id, True)
    store.accounts.touch(id, 1_700_000_001.5)
    [row] = await store.accounts.list()
    assert (row.disabled, row.last_login) == (True, 1_700_000_001.5)
    await store.accounts.set_disabled(id, False)
    assert not (await store.accounts.get("john", "example.org")).disabled


@pytest_twisted.ensureDeferred
async def test_accounts_are_listed_in_order(place):
    store = await place.open()
    for local, domain in [("b", "z.org"), ("a", "z.org"), ("Z", "z.org"), ("c", "a.org")]:
        await store.accounts.create(local, domain, BOTH, 1.0)
    assert [row.jid for row in await store.accounts.list()] == ["c@a.org", "Z@z.org", "a@z.org", "b@z.org"]
    of_one = await store.accounts.list("z.org")
    assert [row.local for row in of_one] == ["Z", "a", "b"]
    assert all(row.verifiers == BOTH for row in of_one)


async def fill(store, id):
    await store.roster.save(id, RosterItem("a@example.org"))
    await store.roster.save(id, RosterItem("b@example.org"))
    await store.roster.remove(id, "b@example.org")
    await store.blocking.add(id, ["spam.example"])
    await store.private.set(id, {"ns name": b"<x/>"}, 9)
    await store.vcard.set(id, b"<vCard/>", "00")
    store.last.set(id, 1, "bye")
    assert await store.last.get(id) == (1, "bye")
    await store.archive.set_prefs(id, ArchivePrefs("never"))
    for number in range(1, 1203):
        store.archive.append(id, store.new_id(number), "a@example.org", "", b"<message/>", number)
    store.offline.append(id, store.new_id(1), b"<message/>", 1)
    await store.barrier()


async def rows_of(store, id):
    """How many rows of any table name that account."""
    def count(session):
        found = {}
        for table in ("account", "verifier", "roster", "roster_item", "roster_removed", "blocked", "private",
                      "vcard", "last", "offline", "archive_prefs", "archive", "archive_keys", "account_gone"):
            column = "id" if table == "account" else "account"
            found[table] = session.one(f"SELECT count(*) FROM {table} WHERE {column} = ?", (id,))[0]
        return {table: rows for table, rows in found.items() if rows}

    return await store._database.read(count)


@pytest_twisted.ensureDeferred
async def test_a_deleted_account_leaves_nothing_and_takes_nothing_of_others(place):
    store = await place.open()
    john = await store.accounts.create("john", "example.org", BOTH, 1.0)
    jane = await store.accounts.create("jane", "example.org", BOTH, 1.0)
    await fill(store, john)
    await fill(store, jane)
    assert len(await rows_of(store, john)) >= 12
    of_jane = await rows_of(store, jane)

    assert await store.accounts.delete(john) is True

    assert await rows_of(store, john) == {}
    assert await store.accounts.get("john", "example.org") is None
    await store.archive.query(jane, ArchiveQuery())
    assert await rows_of(store, jane) == of_jane | {"archive_keys": 1202}
    assert await store.accounts.delete(john) is False


@pytest_twisted.ensureDeferred
async def test_what_still_comes_for_a_deleted_account_is_dropped(place):
    store = await place.open()
    john = await store.accounts.create("john", "example.org", BOTH, 1.0)
    store.archive.append(john, store.new_id(1), "a@example.org", "", b"<message/>", 1)
    deleted = store.accounts.delete(john)
    store.archive.append(john, store.new_id(2), "a@example.org", "", b"<message/>", 2)
    store.offline.append(john, store.new_id(3), b"<message/>", 3)
    await deleted
    await store.barrier()
    assert await rows_of(store, john) == {}


@pytest_twisted.ensureDeferred
async def test_the_number_of_a_deleted_account_is_not_given_again(place):
    store = await place.open()
    first = await store.accounts.create("john", "example.org", {}, 1.0)
    await store.accounts.delete(first)
    assert await store.accounts.create("john", "example.org", {}, 1.0) > first


@pytest_twisted.ensureDeferred
async def test_an_interrupted_delete_goes_on_at_the_next_start(lasting):
    store = await lasting.open()
    john = await store.accounts.create("john", "example.org", BOTH, 1.0)
    await fill(store, john)
    # The first of the steps only, as if the process had ended behind it.
    from chatd.store import accounts

    await store._database.write(accounts._delete, john)
    assert "archive" in await rows_of(store, john)
    store = await lasting.reopen()
    assert await rows_of(store, john) == {}
