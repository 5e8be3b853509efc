"""Files in the store: slots are given within the quota, had once, and go when their time or their account is up."""

from __future__ import annotations

import attrs
import pytest_twisted
from twisted.internet.defer import gatherResults

from chatd.core.uploads import UploadRow, Usage

NOW = 1_000_000
ROW = UploadRow("a" * 32, 0, b"s" * 32, "très cool.jpg", "image/jpeg", 600, NOW, NOW + 300_000, 0, NOW + 900_000)


async def account_of(store, local="john"):
    return await store.accounts.create(local, "example.org", {}, 0)


@pytest_twisted.ensureDeferred
async def test_a_slot_and_its_file(lasting):
    store = await lasting.open()
    row = attrs.evolve(ROW, account=await account_of(store))
    assert await store.uploads.reserve(row, 10, 10_000, 5) == ""
    store = await lasting.reopen()
    assert await store.uploads.get(row.token) == row
    assert await store.uploads.get("b" * 32) is None
    assert await store.uploads.total() == Usage(0, 0)
    assert await store.uploads.usage(row.account, NOW) == Usage(1, 600)
    assert await store.uploads.prolong(row.token, NOW + 400_000)
    assert await store.uploads.keep(row.token, "image/png", NOW + 5)
    assert not await store.uploads.keep(row.token, "image/png", NOW + 6), "a slot is had once"
    assert not await store.uploads.prolong(row.token, NOW + 500_000)
    store = await lasting.reopen()
    kept = attrs.evolve(row, type="image/png", stored_ms=NOW + 5, slot_ms=NOW + 400_000)
    assert await store.uploads.get(row.token) == kept
    assert await store.uploads.of(row.account) == [kept]
    assert await store.uploads.total() == Usage(1, 600)
    assert await store.uploads.users() == [("john@example.org", Usage(1, 600))]
    await store.uploads.delete([row.token, "b" * 32])
    assert await store.uploads.get(row.token) is None
    assert await store.uploads.total() == Usage(0, 0)


@pytest_twisted.ensureDeferred
async def test_the_quota_counts_files_and_slots_that_are_good(place):
    store = await place.open()
    row = attrs.evolve(ROW, account=await account_of(store))

    def another(letter, made_ms=NOW):
        return attrs.evolve(row, token=letter * 32, made_ms=made_ms, slot_ms=made_ms + 300_000)

    assert await store.uploads.reserve(row, 10, 1_200, 5) == ""
    assert await store.uploads.reserve(another("b"), 10, 1_199, 5) == "bytes"
    assert await store.uploads.reserve(another("b"), 1, 10_000, 5) == "files"
    assert await store.uploads.reserve(another("b"), 10, 10_000, 1) == "slots"
    assert await store.uploads.reserve(another("b"), 10, 1_200, 5) == ""
    assert await store.uploads.reserve(another("c"), 10, 1_200, 5) == "bytes"
    # The slots have expired; somebody else's never counted.
    assert await store.uploads.reserve(another("c", NOW + 300_000), 10, 600, 1) == ""
    other = await account_of(store, "ann")
    assert await store.uploads.reserve(attrs.evolve(another("d"), account=other), 1, 600, 1) == ""


@pytest_twisted.ensureDeferred
async def test_slots_asked_for_at_once_stay_within_the_quota(place):
    store = await place.open()
    account = await account_of(store)
    answers = await gatherResults([
        store.uploads.reserve(attrs.evolve(ROW, account=account, token=f"{number:032}"), 100, 3_000, 100)
        for number in range(20)])
    assert answers.count("") == 5 and answers.count("bytes") == 15
    assert await store.uploads.usage(account, NOW) == Usage(5, 3_000)


@pytest_twisted.ensureDeferred
async def test_what_is_due(place):
    store = await place.open()
    account, gone = await account_of(store), await account_of(store, "gone")
    rows = {
        "slot": attrs.evolve(ROW, token="a" * 32, slot_ms=NOW + 10),
        "good": attrs.evolve(ROW, token="b" * 32, slot_ms=NOW + 11),
        "old": attrs.evolve(ROW, token="c" * 32, expires_ms=NOW + 10),
        "young": attrs.evolve(ROW, token="d" * 32, expires_ms=NOW + 11),
        "ever": attrs.evolve(ROW, token="e" * 32, expires_ms=0),
    }
    for name, row in rows.items():
        assert await store.uploads.reserve(attrs.evolve(row, account=account), 10, 10_000, 10) == ""
        if name not in ("slot", "good"):
            await store.uploads.keep(row.token, "", NOW + 1)
    of_gone = attrs.evolve(ROW, token="f" * 32, account=gone, expires_ms=0)
    await store.uploads.reserve(of_gone, 10, 10_000, 10)
    await store.uploads.keep(of_gone.token, "", NOW + 1)
    assert {row.token for row in await store.uploads.due(NOW + 10, 10)} == {"a" * 32, "c" * 32}
    await store.accounts.delete(gone)
    assert {row.token for row in await store.uploads.due(NOW + 10, 10)} == {"a" * 32, "c" * 32, "f" * 32}
    assert len(await store.uploads.due(NOW + 10, 2)) == 2
    assert await store.uploads.known(["a" * 32, "z" * 32, "f" * 32]) == {"a" * 32, "f" * 32}
    assert await store.uploads.known([]) == set()
    assert await store.uploads.users() == [("john@example.org", Usage(3, 1_800))]
