"""Blocking, private storage, vCards, last activity, archive preferences: over every database."""

from __future__ import annotations

import pytest
import pytest_twisted

from chatd.core.archive import ArchivePrefs
from chatd.store import StoreError

ODD = "<vCard>\u00e4\U0001f600\r\n</vCard>".encode() + bytes(range(256))


async def two(place):
    store = await place.open()
    return store, *[await store.accounts.create(name, "example.org", {}, 1.0) for name in ("john", "jane")]


@pytest_twisted.ensureDeferred
async def test_blocking(place):
    store, john, jane = await two(place)
    assert await store.blocking.load(john) == set()
    await store.blocking.add(john, ["spam.example", "a@b/c"])
    await store.blocking.add(john, ["spam.example"])
    await store.blocking.add(jane, ["x@example.org"])
    assert await store.blocking.load(john) == {"spam.example", "a@b/c"}
    await store.blocking.remove(john, ["a@b/c", "never@blocked"])
    assert await store.blocking.load(john) == {"spam.example"}
    await store.blocking.clear(john)
    assert await store.blocking.load(john) == set()
    assert await store.blocking.load(jane) == {"x@example.org"}


@pytest_twisted.ensureDeferred
async def test_adding_to_a_block_list_is_all_or_nothing(place):
    store, john, _ = await two(place)
    with pytest.raises(StoreError):
        await store.blocking.add(4711, ["a@b", "c@d"])
    await store.blocking.add(john, [])
    assert await store.blocking.load(john) == set()


@pytest_twisted.ensureDeferred
async def test_private_storage(place):
    store, john, jane = await two(place)
    assert await store.private.get(john, "storage:bookmarks storage") is None
    assert await store.private.set(john, {"storage:bookmarks storage": ODD}, 2)
    assert await store.private.set(john, {"other name": b"<name xmlns='other'/>"}, 2)
    assert not await store.private.set(john, {"third name": b"x", "other name": b"y"}, 2), "more names than allowed"
    assert await store.private.get(john, "other name") == b"<name xmlns='other'/>"
    assert await store.private.get(john, "storage:bookmarks storage") == ODD
    assert await store.private.set(john, {"storage:bookmarks storage": b""}, 2)
    assert await store.private.get(john, "storage:bookmarks storage") == b""
    assert await store.private.get(jane, "other name") is None


@pytest_twisted.ensureDeferred
async def test_vcard(place):
    store, john, jane = await two(place)
    assert (await store.vcard.get(john), await store.vcard.photo_sha1(john)) == (None, None)
    await store.vcard.set(john, ODD, "da39a3ee5e6b4b0d3255bfef95601890afd80709")
    assert await store.vcard.get(john) == ODD
    assert await store.vcard.photo_sha1(john) == "da39a3ee5e6b4b0d3255bfef95601890afd80709"
    await store.vcard.set(john, b"<vCard/>", None)
    assert (await store.vcard.get(john), await store.vcard.photo_sha1(john)) == (b"<vCard/>", "")
    assert await store.vcard.get(jane) is None
    assert await store.vcard.replace(john, b"<vCard/>", ODD, "ff")
    assert not await store.vcard.replace(john, b"<vCard/>", b"late", "") and not await store.vcard.replace(
        john, None, b"late", "")
    assert (await store.vcard.get(john), await store.vcard.photo_sha1(john)) == (ODD, "ff")
    assert not await store.vcard.replace(jane, ODD, b"late", "") and await store.vcard.get(jane) is None
    assert await store.vcard.replace(jane, None, ODD, None) and await store.vcard.photo_sha1(jane) == ""


@pytest_twisted.ensureDeferred
async def test_last(place):
    store, john, jane = await two(place)
    assert await store.last.get(john) is None
    store.last.set(john, 1_700_000_000_123, "gone fishing")
    store.last.set(john, 1_700_000_000_456, "")
    assert await store.last.get(john) == (1_700_000_000_456, "")
    assert await store.last.get(jane) is None
    store.last.set(4711, 1, "")
    assert await store.last.get(4711) is None, "no such account, and no error: it may just have been deleted"


@pytest_twisted.ensureDeferred
async def test_a_read_sees_what_waits_in_a_batch(place):
    store = await place.open(commit_interval_ms=60_000)
    john = await store.accounts.create("john", "example.org", {}, 1.0)
    store.archive.append(john, store.new_id(1), "a@example.org", "", b"<message/>", 1)
    store.last.set(john, 5, "bye")
    store.accounts.touch(john, 7.0)
    assert await store.last.get(john) == (5, "bye")
    assert [row.last_login for row in await store.accounts.list()] == [7.0]
    assert not store.pending


@pytest_twisted.ensureDeferred
async def test_times_are_on_the_disk_after_a_close(place):
    store = await place.open()
    john = await store.accounts.create("john", "example.org", {}, 1.0)
    store.last.set(john, 5, "bye")
    store.accounts.touch(john, 7.0)
    assert not store.pending, "they wait for others' batches"
    await store.close()
    again = await place.open()
    if place.is_lasting:
        assert (await again.accounts.get("john", "example.org")).last_login == 7.0
        assert await again.last.get(john) == (5, "bye")


@pytest_twisted.ensureDeferred
async def test_archive_preferences(place):
    store, john, jane = await two(place)
    assert await store.archive.prefs(john) is None
    prefs = ArchivePrefs("roster", ("a@b", "c@d/e"), ("spam.example",))
    await store.archive.set_prefs(john, prefs)
    assert await store.archive.prefs(john) == prefs
    await store.archive.set_prefs(john, ArchivePrefs("never"))
    assert await store.archive.prefs(john) == ArchivePrefs("never")
    assert await store.archive.prefs(jane) is None


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("write", [
    lambda store: store.private.set(4711, {"a b": b""}, 9),
    lambda store: store.vcard.set(4711, b"", ""),
    lambda store: store.archive.set_prefs(4711, ArchivePrefs()),
])  # fmt: skip
async def test_an_unknown_account_keeps_nothing(place, write):
    store = await place.open()
    with pytest.raises(StoreError):
        await write(store)
