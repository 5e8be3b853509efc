"""What all accounts of a domain are told: one of a kind for each domain, each account once."""
from __future__ import annotations

from typing import Any

import attrs
import pytest_twisted
from twisted.internet.defer import gatherResults

from chatd.core.notices import MOTD, WELCOME, Notice

TEA = Notice("example.com", MOTD, "Tea & <cake>", 1_795_000_000_000)


@pytest_twisted.ensureDeferred
async def test_life(place: Any) -> None:
    store = await place.open()
    hello = Notice("example.com", WELCOME, "Hello", 5)
    await store.notices.set(TEA)
    await store.notices.set(hello)
    await store.notices.set(attrs.evolve(TEA, domain="example.net"))
    coffee = attrs.evolve(TEA, text="Coffee", stamp_ms=TEA.stamp_ms + 1)
    await store.notices.set(coffee)
    assert await store.notices.all() == [coffee, hello, attrs.evolve(TEA, domain="example.net")]
    await store.notices.delete("example.com", MOTD)
    await store.notices.delete("example.com", MOTD)
    assert await store.notices.all() == [hello, attrs.evolve(TEA, domain="example.net")]


@pytest_twisted.ensureDeferred
async def test_each_is_told_once(place: Any) -> None:
    """Of two log-ins at the same moment one tells it; what an account was told goes with it."""
    store = await place.open()
    john = await store.accounts.create("john", "example.com", {}, 1.0)
    both = await gatherResults([store.notices.told(john, 10), store.notices.told(john, 10)])
    assert sorted(both) == [False, True]
    assert not await store.notices.told(john, 9) and await store.notices.told(john, 11)
    assert not await store.notices.told(4711, 11), "nobody"
    await store.notices.not_told(john, 10)
    assert not await store.notices.told(john, 11), "that was another"
    await store.notices.not_told(john, 11)
    assert await store.notices.told(john, 11)
    await store.accounts.delete(john)
    assert not await store.notices.told(john, 12)
