"""Offline messages, over every database."""

from __future__ import annotations

import pytest_twisted

ME, OTHER = 1, 2


def append(store, account, number):
    id = store.new_id(number)
    store.offline.append(account, id, b"<message id='%d'/>" % number, number)
    return id, number, b"<message id='%d'/>" % number


@pytest_twisted.ensureDeferred
async def test_messages_wait_in_order_and_go_up_to_an_id(place):
    store = await place.open()
    assert (await store.offline.load(ME), await store.offline.count(ME)) == ([], 0)
    mine = [append(store, ME, number) for number in range(1, 6)]
    theirs = append(store, OTHER, 6)
    assert await store.offline.load(ME) == mine
    assert await store.offline.count(ME) == 5
    store.offline.delete(ME, mine[2][0])
    assert await store.offline.load(ME) == mine[3:]
    assert await store.offline.load(OTHER) == [theirs]


@pytest_twisted.ensureDeferred
async def test_they_can_be_read_in_pages(place):
    """So many rows, or until so many bytes are reached: one row always comes, however large."""
    store = await place.open()
    mine = [append(store, ME, number) for number in range(10, 16)]
    append(store, OTHER, 16)
    size = len(mine[0][2])
    assert await store.offline.load(ME, rows=2) == mine[:2]
    assert await store.offline.load(ME, mine[1][0], 3) == mine[2:5]
    assert await store.offline.load(ME, mine[4][0], 3) == mine[5:]
    assert await store.offline.load(ME, mine[5][0], 3) == []
    for bytes_, found in ((1, 1), (size, 1), (size + 1, 2), (3 * size, 3), (100 * size, 4)):
        assert await store.offline.load(ME, mine[0][0], 4, bytes_) == mine[1:1 + found], bytes_


@pytest_twisted.ensureDeferred
async def test_rows_and_deletions_of_one_batch_take_effect_in_their_order(place):
    store = await place.open(commit_interval_ms=1000)
    first = append(store, ME, 1)
    bound = first[0] + 2**20
    store.offline.delete(ME, bound)
    second = append(store, ME, 1)
    assert first[0] < second[0] <= bound
    third = append(store, ME, 2)
    assert await store.offline.load(ME) == [second, third]


@pytest_twisted.ensureDeferred
async def test_they_survive_the_store(lasting):
    store = await lasting.open()
    waiting = append(store, ME, 1)
    store = await lasting.reopen()
    assert await store.offline.load(ME) == [waiting]
