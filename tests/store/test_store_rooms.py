"""Rooms in the store: settings, standings, archive, deletion."""

from __future__ import annotations

import pytest
import pytest_twisted

from chatd.core.archive import ArchiveQuery
from chatd.core.muc import Affiliate
from chatd.store import StoreError


@pytest_twisted.ensureDeferred
async def test_a_room_comes_back_as_it_was_kept(lasting):
    store = await lasting.open()
    room = await store.rooms.create("attic", "conference.example.org", b"\1key", True, 5.0)
    await store.rooms.save(room, {"config": {"name": "Attic"}, "subject": "Dust", "subject_nick": "jo",
                                  "subject_ms": 7, "subject_mark": "id", "vcard": b"<vCard/>",
                                  "hats": {"u": ["t", []]}})
    await store.rooms.set_affiliates(room, [Affiliate("jo@example.org", "owner", "jo"),
                                            Affiliate("al@example.org", "outcast", reason="noise")])
    await store.rooms.set_affiliates(room, [Affiliate("al@example.org"), Affiliate("bo@example.org", pending=True),
                                            Affiliate("cy@example.org", role="visitor")])
    store = await lasting.reopen()
    [row] = await store.rooms.load()
    assert (row.id, row.local, row.domain, row.secret) == (room, "attic", "conference.example.org", b"\1key")
    assert row.persistent and row.config == {"name": "Attic"} and row.hats == {"u": ["t", []]}
    assert (row.subject, row.subject_nick, row.subject_ms, row.vcard) == ("Dust", "jo", 7, b"<vCard/>")
    assert (row.subject_mark, row.created_ms) == ("id", 5000)
    assert row.affiliates == (Affiliate("bo@example.org", pending=True), Affiliate("cy@example.org", role="visitor"),
                              Affiliate("jo@example.org", "owner", "jo"))
    with pytest.raises(StoreError):
        await store.rooms.create("attic", "conference.example.org", b"x", True, 5.0)
    with pytest.raises(ValueError, match="no such columns"):
        store.rooms.save(room, {"local": "cellar"})


@pytest_twisted.ensureDeferred
async def test_a_room_has_an_archive(lasting):
    store = await lasting.open()
    room = await store.rooms.create("attic", "conference.example.org", b"k", True, 5.0)
    ids = [store.new_id(stamp) for stamp in (1000, 2000, 3000)]
    for one in ids:
        store.archive.append(-room, one, "attic@conference.example.org", "jo", b"<message/>", one >> 20)
    assert await store.archive.replace(-room, ids[1], b"<gone/>")
    assert not await store.archive.replace(-room, 12345, b"<gone/>")
    page = await store.archive.query(-room, ArchiveQuery())
    assert [row.stanza for row in page.rows] == [b"<message/>", b"<gone/>", b"<message/>"]
    store.archive.append(-room, store.new_id(3500), "al@example.org", "al", b"<message/>", 3500)
    for wanted, count in ({"with_resource": "jo"}, 3), ({"with_resource": "al"}, 1), ({"with_resource": "bo"}, 0), (
            {"with_jid": "al@example.org"}, 1), ({"with_jid": "al@example.org", "with_resource": "jo"}, 0):
        page = await store.archive.query(-room, ArchiveQuery(**wanted))
        assert (len(page.rows), page.count) == (count, count), wanted
    assert await store.archive.expire(1500) == 1
    store = await lasting.reopen()
    assert store.new_id(1) > ids[2], "ids rise over restarts, those of rooms too"
    assert (await store.archive.query(-room, ArchiveQuery())).count == 3
    await store.rooms.delete(room)
    assert await store.rooms.load() == []
    assert (await store.archive.query(-room, ArchiveQuery())).count == 0
    store.archive.append(-room, store.new_id(4000), "a@b", "", b"<message/>", 4000)
    assert (await store.archive.query(-room, ArchiveQuery())).count == 0, "nothing comes after the end"
