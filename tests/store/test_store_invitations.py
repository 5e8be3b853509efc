"""Invitations: found by the digest, taken once, swept when their time is over."""
from __future__ import annotations

from typing import Any

import pytest_twisted
from twisted.internet.defer import gatherResults

from chatd.core.invitations import InvitationRow, digest_of


def row(token: str, created_ms: int = 1000, domain: str = "example.com") -> InvitationRow:
    return InvitationRow(digest_of(token), domain, "john", "alice@example.com", created_ms, created_ms + 5000)


@pytest_twisted.ensureDeferred
async def test_life(place: Any) -> None:
    store = await place.open()
    await store.invitations.add(row("a"))
    await store.invitations.add(row("b", 2000))
    await store.invitations.add(row("c", 2000, "other.example"))
    assert await store.invitations.list("example.com") == [row("a"), row("b", 2000)]
    assert await store.invitations.get(digest_of("a")) == row("a")
    assert await store.invitations.get(digest_of("x")) is None
    both = await gatherResults([store.invitations.take(digest_of("a")), store.invitations.take(digest_of("a"))])
    assert both == [row("a"), None]
    await store.invitations.add(row("d", 8000))
    assert await store.invitations.list("example.com") == [row("d", 8000)]
