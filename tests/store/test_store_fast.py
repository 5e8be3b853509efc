"""Tokens to log in with: two slots a client, used once for all counts, gone with the password and the account."""
from __future__ import annotations

from typing import Any

import attrs
import pytest_twisted

from chatd.core.accounts import FastRow, Verifier

UA = "d4565fa7-4d72-4749-b3d3-740edbf87770"


def row(slot: str = "new", seed: bytes = b"a", issued_ms: int = 1000, client: str = UA) -> FastRow:
    return FastRow(client, slot, "HT-SHA-256-NONE", seed, issued_ms, issued_ms + 10_000, 0, "Paper", "Desk")


@pytest_twisted.ensureDeferred
async def test_slots(place: Any) -> None:
    store = await place.open()
    account = await store.accounts.create("john", "example.com", {}, 1.0)
    assert await store.fast.find("john", "example.com", UA) == (account, False, [])
    assert await store.fast.find("nobody", "example.com", UA) == (None, False, [])
    await store.fast.put(account, row())
    assert await store.fast.find("john", "example.com", UA) == (account, False, [row()])
    assert await store.fast.use(account, row(), None, False)
    current = attrs.evolve(row(), slot="current")
    await store.fast.put(account, row(seed=b"b", issued_ms=2000))
    await store.fast.put(account, row(seed=b"c", issued_ms=3000))       # in place of the one that was not used
    _, _, found = await store.fast.find("john", "example.com", UA)
    assert found == [row(seed=b"c", issued_ms=3000), current]
    assert not await store.fast.use(account, row(seed=b"b"), None, False)
    assert await store.fast.use(account, current, None, False)
    assert await store.fast.use(account, found[0], 4, False)
    _, _, found = await store.fast.find("john", "example.com", UA)
    assert [(each.slot, each.seed, each.count) for each in found] == [("current", b"c", 4)]
    assert not await store.fast.use(account, found[0], 4, False)
    assert not await store.fast.use(account, current, 9, False)
    assert await store.fast.use(account, found[0], 5, True)
    assert await store.fast.list(account) == []


@pytest_twisted.ensureDeferred
async def test_what_takes_them_back(place: Any) -> None:
    store = await place.open()
    account = await store.accounts.create("john", "example.com", {}, 1.0)
    await store.fast.put(account, row())
    assert await store.fast.clear(account) == 1
    await store.fast.put(account, row())
    await store.accounts.set_verifiers(account, {"SCRAM-SHA-1": Verifier(b"s", 4096, b"k", b"k")})
    assert await store.fast.list(account) == []
    await store.fast.put(account, row())
    await store.accounts.set_disabled(account, False)
    assert len(await store.fast.list(account)) == 1
    await store.accounts.set_disabled(account, True)
    assert await store.fast.find("john", "example.com", UA) == (account, True, [])
    await store.fast.put(account, row())
    await store.accounts.delete(account)
    assert await store.fast.find("john", "example.com", UA) == (None, False, [])


@pytest_twisted.ensureDeferred
async def test_bounded_and_swept(place: Any) -> None:
    """Fifty clients an account, and nothing that has expired stays."""
    store = await place.open()
    account = await store.accounts.create("john", "example.com", {}, 1.0)
    for number in range(52):
        await store.fast.put(account, row(issued_ms=1000 + number, client=f"{number:02}"))
    assert [each.client for each in await store.fast.list(account)] == [f"{number:02}" for number in range(2, 52)]
    await store.fast.put(account, row(issued_ms=50_000, client="x"))
    assert [each.client for each in await store.fast.list(account)] == ["x"]


@pytest_twisted.ensureDeferred
async def test_offline_messages_the_archive_has(place: Any) -> None:
    """XEP-0386: those need not be delivered; the others stay."""
    store = await place.open()
    account = await store.accounts.create("john", "example.com", {}, 1.0)
    assert await store.offline.drop_archived(account) == 0
    both, only = store.new_id(1000), store.new_id(1000)
    store.archive.append(account, both, "jim@example.com", "", b"<message/>", 1000)
    store.offline.append(account, both, b"<message/>", 1000)
    store.offline.append(account, only, b"<message/>", 1000)
    await store.barrier()
    await store.archive.metadata(account)       # which enters the row into the index, where that is late
    assert await store.offline.drop_archived(account) == 1
    assert [id for id, _, _ in await store.offline.load(account)] == [only]
