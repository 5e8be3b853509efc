"""Rosters and their versions, over every database."""

from __future__ import annotations

import attrs
import pytest
import pytest_twisted

from chatd.core.roster import RosterItem
from chatd.store import StoreError
from chatd.store.roster import REMOVALS_KEPT

FULL = RosterItem("a@example.org", "Änne \"x\" <y>", "from", True, b"<presence type='subscribe'/>", True,
                  ("Friends", "日本"), True)
HIDDEN = RosterItem("h@example.org", pending_in=b"<presence/>", listed=False)


async def account(store, local="john"):
    return await store.accounts.create(local, "example.org", {}, 1.0)


@pytest_twisted.ensureDeferred
async def test_a_roster_that_never_was_is_empty(place):
    store = await place.open()
    john = await account(store)
    assert await store.roster.load(john) == (0, [])
    assert await store.roster.changes_since(john, 0) == []
    assert await store.roster.remove(john, "a@example.org") == 0


@pytest_twisted.ensureDeferred
async def test_items_come_back_as_they_were_saved(place):
    store = await place.open()
    john = await account(store)
    assert await store.roster.save(john, HIDDEN) == 1
    assert await store.roster.save(john, FULL) == 2
    assert await store.roster.load(john) == (2, [FULL, HIDDEN])
    changed = attrs.evolve(FULL, subscription="both", ask=False, pending_in=None, groups=(), name="")
    assert await store.roster.save(john, changed) == 3
    assert await store.roster.load(john) == (3, [changed, HIDDEN])


@pytest_twisted.ensureDeferred
async def test_rosters_of_two_accounts_are_apart(place):
    store = await place.open()
    john, jane = await account(store), await account(store, "jane")
    await store.roster.save(john, FULL)
    assert await store.roster.load(jane) == (0, [])
    assert await store.roster.remove(jane, FULL.jid) == 0
    assert await store.roster.load(john) == (1, [FULL])


@pytest_twisted.ensureDeferred
async def test_changes_since_a_version(place):
    store = await place.open()
    john = await account(store)
    a, b, c = (RosterItem(f"{name}@example.org") for name in "abc")
    for item in (a, b, c):
        await store.roster.save(john, item)
    b2 = attrs.evolve(b, name="B")
    assert await store.roster.save(john, b2) == 4
    assert await store.roster.remove(john, a.jid) == 5

    assert await store.roster.changes_since(john, 0) == [c, b2, a.jid]
    assert await store.roster.changes_since(john, 3) == [b2, a.jid]
    assert await store.roster.changes_since(john, 4) == [a.jid]
    assert await store.roster.changes_since(john, 5) == []
    assert await store.roster.changes_since(john, 6) is None, "a version that never was"
    assert await store.roster.changes_since(john, -1) is None

    await store.roster.save(john, a)
    assert await store.roster.changes_since(john, 4) == [a], "back again, no longer removed"
    assert await store.roster.remove(john, "nobody@example.org") == 6, "nothing happened, nothing changes"


@pytest_twisted.ensureDeferred
async def test_removals_are_forgotten_in_the_end_and_then_the_whole_roster_is_needed(place):
    store = await place.open()
    john = await account(store)
    for number in range(REMOVALS_KEPT + 1):
        await store.roster.save(john, RosterItem(f"{number}@example.org"))
    start = REMOVALS_KEPT + 1
    for number in range(REMOVALS_KEPT):
        await store.roster.remove(john, f"{number}@example.org")
    assert len(await store.roster.changes_since(john, start)) == REMOVALS_KEPT
    await store.roster.remove(john, f"{REMOVALS_KEPT}@example.org")
    assert await store.roster.changes_since(john, start) is None
    assert len(await store.roster.changes_since(john, start + 1)) == REMOVALS_KEPT
    kept = await store._database.read(lambda session: session.one("SELECT count(*) FROM roster_removed"))
    assert kept == (REMOVALS_KEPT,), "and no more is kept than can be told"


@pytest_twisted.ensureDeferred
async def test_an_unknown_account_has_no_roster(place):
    store = await place.open()
    with pytest.raises(StoreError):
        await store.roster.save(4711, FULL)
    assert await store.roster.load(4711) == (0, [])


@pytest_twisted.ensureDeferred
async def test_a_read_sees_the_write_called_before_it(place):
    store = await place.open()
    john = await account(store)
    for number in range(20):
        saving = store.roster.save(john, RosterItem(f"{number}@example.org"))
        version, items = await store.roster.load(john)
        assert (version, len(items)) == (number + 1, number + 1)
        await saving


@pytest_twisted.ensureDeferred
async def test_a_roster_survives_the_store(lasting):
    store = await lasting.open()
    john = await account(store)
    await store.roster.save(john, FULL)
    store = await lasting.reopen()
    assert await store.roster.load(john) == (1, [FULL])
    assert await store.roster.save(john, HIDDEN) == 2
