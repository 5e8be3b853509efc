"""Meetings in the store: made in one go with their rooms, gone with them; recordings stay until their files went."""

from __future__ import annotations

import attrs
import pytest
import pytest_twisted

from chatd.core.meeting import MeetingRow, RecordingRow
from chatd.core.muc import Affiliate
from chatd.store import StoreError

ROW = MeetingRow(0, "john@example.org", 5_000, 9_000, True, ("microphone", "chat"),
                 {"admitted": ["x@guest.example.org"]})
ADDRESS = ("talk-abc", "meet.example.org")


@pytest_twisted.ensureDeferred
async def test_a_meeting_comes_back_with_its_room(lasting):
    store = await lasting.open()
    room = await store.meetings.create(*ADDRESS, b"key", {"name": "Talk", "public": False}, ROW)
    store = await lasting.reopen()
    [found] = await store.rooms.load()
    assert (found.id, found.local, found.domain, found.persistent) == (room, *ADDRESS, True)
    assert found.config == {"name": "Talk", "public": False} and found.created_ms == 5_000
    assert found.affiliates == (Affiliate("john@example.org", "owner"),)
    assert await store.meetings.load() == [attrs.evolve(ROW, room=room)]
    await store.meetings.save(room, {"used_ms": 6_000, "expires_ms": 0, "may": [], "present": {}})
    store = await lasting.reopen()
    [row] = await store.meetings.load()
    assert (row.used_ms, row.expires_ms, row.may, row.present) == (6_000, 0, (), {})
    with pytest.raises(ValueError, match="no such columns"):
        store.meetings.save(room, {"creator": "eve@example.org"})


@pytest_twisted.ensureDeferred
async def test_all_or_nothing(lasting):
    """A second one of that name leaves nothing behind."""
    store = await lasting.open()
    await store.meetings.create(*ADDRESS, b"key", {}, ROW)
    with pytest.raises(StoreError):
        await store.meetings.create(*ADDRESS, b"key", {}, ROW)
    assert len(await store.rooms.load()) == len(await store.meetings.load()) == 1


@pytest_twisted.ensureDeferred
async def test_a_meeting_is_gone_with_its_room(lasting):
    store = await lasting.open()
    room = await store.meetings.create(*ADDRESS, b"key", {}, ROW)
    await store.rooms.delete(room)
    assert await store.meetings.load() == []


@pytest_twisted.ensureDeferred
async def test_recordings(lasting):
    store = await lasting.open()
    row = RecordingRow("4f2c", "talk-abc@meet.example.org", "EG_1", started_ms=5_000, started_by="John")
    await store.meetings.keep_recording(row)
    await store.meetings.keep_recording(attrs.evolve(row, id="77aa", started_ms=1_000))
    done = attrs.evolve(row, state="ready", path="a/b.webm", ended_ms=9_000, bytes=1 << 40, duration_ms=4_000)
    await store.meetings.keep_recording(done)
    store = await lasting.reopen()
    assert [one.id for one in await store.meetings.recordings()] == ["77aa", "4f2c"]
    assert (await store.meetings.recordings())[1] == done
    await store.meetings.delete_recording("4f2c")
    await store.meetings.delete_recording("4f2c")
    assert [one.id for one in await store.meetings.recordings()] == ["77aa"]
