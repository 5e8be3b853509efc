"""Who is told by push, and what was reported, in the store."""

from __future__ import annotations

import attrs
import pytest_twisted

from chatd.core.push import PushRow
from chatd.core.reports import ABUSE, SPAM, ReportRow


@pytest_twisted.ensureDeferred
async def test_push(lasting):
    store = await lasting.open()
    john = await store.accounts.create("john", "example.org", {}, 0)
    ann = await store.accounts.create("ann", "example.org", {}, 0)
    phone = PushRow("push.example.net", "phone", "a", b"<x xmlns='jabber:x:data'/>", 1)
    tablet = PushRow("push.example.net", "tablet", "b", None, 2)
    other = PushRow("other.example.net", "", "c", None, 3)
    for row in (phone, tablet, other):
        await store.push.enable(john, row)
    await store.push.enable(ann, phone)
    store = await lasting.reopen()
    assert await store.push.load(john) == [phone, tablet, other]
    changed = attrs.evolve(phone, options=None, resource="z", enabled_ms=9)
    await store.push.enable(john, changed)
    assert await store.push.load(john) == [tablet, other, changed]
    assert await store.push.count() == 4
    await store.push.disable(john, "push.example.net", "phone")
    await store.push.disable(john, "push.example.net", "phone")
    assert await store.push.load(john) == [tablet, other]
    await store.push.disable(john, "other.example.net", None)
    await store.push.disable(john, "push.example.net", None)
    assert await store.push.load(john) == [] and await store.push.load(ann) == [phone]
    await store.accounts.delete(ann)
    assert await store.push.count() == 0


@pytest_twisted.ensureDeferred
async def test_reports(lasting):
    store = await lasting.open()
    row = ReportRow(0, 5_000, "john@example.org", "spam@example.net", SPAM, "buy \N{PILL}",
                    ({"id": "7", "stamp_ms": 4_000, "body": "now"},), ("report-origin",))
    first = await store.reports.add(row, 100)
    second = await store.reports.add(attrs.evolve(row, reason=ABUSE, says="", messages=(), forward=()), 100)
    store = await lasting.reopen()
    assert [one.id for one in await store.reports.list(10)] == [second, first]
    assert await store.reports.get(first) == attrs.evolve(row, id=first)
    assert [one.id for one in await store.reports.list(1)] == [second]
    third = await store.reports.add(row, 2)
    assert [one.id for one in await store.reports.list(10)] == [third, second], "the oldest goes"
    assert await store.reports.delete(second) and not await store.reports.delete(second)
    assert await store.reports.get(second) is None
