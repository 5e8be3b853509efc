"""Recording: moderators start and stop it, everybody sees that it runs, the file is found by those it belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from chatd.core.jid import JID
from chatd.core.media import Recording, RecordingFile
from chatd.core.meeting import RecordingRow
from chatd.core.passes import make_pass
from tests.xep.media_double import MediaDouble
from tests.xep.meetings import MODULES, SERVICE, Hall, all_ours, asked, command, enter, has_ours, ours
from tests.xep.rooms import OWNER, bodies, condition
from tests.xep.world import Client, World

DAY_MS = 86_400_000


class Studio:
    """A meeting that may be recorded: John owns it, Bob has an account, Ada is a guest."""

    def __init__(self, hall: Hall, media: MediaDouble, room: str, john: Client, bob: Client, ada: Client) -> None:
        self.hall, self.media, self.room = hall, media, room
        self.john, self.bob, self.ada = john, bob, ada
        self.owner = john

    @classmethod
    async def open(cls, folder: Path, **options: Any) -> Studio:
        """Its files are in this folder."""
        world, media = await World.open(*MODULES), MediaDouble()
        world.settings.media = attrs.make_class("Media", ["recordings"])(folder)
        hall = await Hall.open(media, world, **({"recording": True} | options))
        john, bob, ada = await hall.account("john"), await hall.account("bob"), await hall.guest()
        room = await hall.make(john, "Weekly review")
        for client, nick in ((john, "John"), (bob, "Bob"), (ada, "Ada")):
            await enter(client, room, nick)
        for client in (john, bob, ada):
            client.take()
        return cls(hall, media, room, john, bob, ada)

    def states(self, client: Client) -> list[str]:
        """How the recording went, as this client was told."""
        return [one["recording"] for one in all_ours(client.take(), "meeting")]

    async def finish(self, folder: Path, name: str = "", size: int = 1000) -> RecordingRow:
        """The engine has the file ready; it is kept."""
        [row] = [row for row in self.hall.meet.recordings.rows.values() if not row.is_over]
        path = folder / (name or f"{row.id}.webm")
        path.write_bytes(bytes(size))
        self.media.recordings[row.engine_id] = attrs.evolve(self.media.recordings[row.engine_id],
                                                            details="composing: 40 %, about 7 s left")
        self.media.record(row.engine_id, "ending")
        listed = ours(await asked(self.owner, self.room, "recordings"), "recordings").elements()
        assert [(one["state"], one["progress"]) for one in listed if one["id"] == row.id] == [("composing", "40")]
        self.media.record(row.engine_id, "complete", str(path), size_bytes=size, duration_s=734.0)
        await self.hall.world.settle()
        return self.hall.meet.recordings.rows[row.id]


@pytest_twisted.ensureDeferred
async def test_from_start_to_file(tmp_path: Path) -> None:
    s = await Studio.open(tmp_path)
    assert await command(s.john, s.room, "record on='true'/>") == ""
    [asked_for] = [one for one in s.media.asked if one[0] == "record"]
    assert asked_for[1] == s.room and asked_for[2].endswith(".webm")
    assert s.states(s.ada) == ["starting"]
    assert await command(s.john, s.room, "record on='true'/>") == "conflict"
    s.media.record("EG_1", "active")
    await s.hall.world.settle()
    [told] = all_ours(s.ada.take(), "meeting")
    assert told["recording"] == "on" and told["recording-by"] == "John" and told["recording-since"]
    info = s.hall.meet.info(JID.parse(s.room).local)
    assert info is not None and info["recording"] == "on", "and newcomers, before they join"
    assert ours(await asked(await s.hall.guest(), s.room, "meeting"), "meeting")["recording"] == "on"
    newcomer = await s.hall.guest()
    assert all_ours(await enter(newcomer, s.room, "Bea"), "meeting")[0]["recording"] == "on"
    for client in (s.bob, s.ada):
        assert await command(client, s.room, "record on='false'/>") == "forbidden"
    assert await command(s.john, s.room, "record on='false'/>") == ""
    assert ("stop", "EG_1") in s.media.asked
    assert s.states(s.ada)[-1] == "off"
    assert await command(s.john, s.room, "record on='false'/>") == "conflict"
    row = await s.finish(tmp_path)
    assert row.state == "ready" and row.bytes == 1000 and row.duration_ms == 734_000
    [said] = [one for one in s.ada.take() if has_ours(one, "recorded")]
    assert said.attrs["from"] == s.room and "12 min" in bodies([said])[0] and "pass=" not in bodies([said])[0]
    assert ours(said, "recorded")["url"] == f"https://chat.example.com/recordings/{row.id}"
    assert bodies(await enter(newcomer, s.room, "Bea")) == bodies([said]), "it stays in the chat"
    assert await s.hall.world.store.meetings.recordings() == [row]
    await s.hall.close()


@pytest_twisted.ensureDeferred
async def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    """Everybody is told that there will be none, and for good; why, those whom the recordings are for."""
    s = await Studio.open(tmp_path)
    await command(s.john, s.room, "record on='true'/>")
    s.media.record("EG_1", "active")
    await command(s.john, s.room, "record on='false'/>")
    s.media.record("EG_1", "ending")
    await s.hall.world.settle()
    for client in (s.john, s.bob, s.ada):
        client.take()
    reason = "No space left on device: '/srv/recordings/x.webm'"
    s.media.recordings["EG_1"] = attrs.evolve(s.media.recordings["EG_1"], error="no" + reason[2:])
    s.media.record("EG_1", "failed")
    await s.hall.world.settle()
    for client, is_moderator in ((s.john, True), (s.bob, False), (s.ada, False)):
        got = client.take()
        [state] = all_ours(got, "meeting")
        assert state["recording"] == "off"
        assert state.getAttribute("recording-problem") == (reason + "." if is_moderator else None)
        assert state.getAttribute("recording-condition") == ("no-space" if is_moderator else None)
        [said] = [one for one in got if has_ours(one, "recorded")]
        assert bodies([said])[0].startswith("The recording of ") and bodies([said])[0].endswith("could not be made.")
        told = ours(said, "recorded")
        assert told["state"] == "failed" and told["since"] and not told.hasAttribute("url")
        assert not told.hasAttribute("condition"), "not for guests"
        assert reason not in said.inner.decode() and "/srv" not in said.inner.decode()
    newcomer = await s.hall.guest()
    assert len([one for one in await enter(newcomer, s.room, "Bea") if has_ours(one, "recorded")]) == 1, "it stays"
    [listed] = list(ours(await asked(s.john, s.room, "recordings"), "recordings").elements())
    assert (listed["state"], listed["problem"], listed["condition"]) == ("failed", reason + ".", "no-space")
    # Told once; and one that turns up after all is announced.
    s.media.record("EG_1", "failed")
    await s.hall.world.settle()
    assert not any(has_ours(one, "recorded") for one in s.ada.take())
    [row] = s.hall.meet.recordings.rows.values()
    (tmp_path / f"{row.id}.webm").write_bytes(bytes(10))
    s.media.record("EG_1", "complete", f"{row.id}.webm", size_bytes=10, duration_s=61.0)
    await s.hall.world.settle()
    [said] = [one for one in s.ada.take() if has_ours(one, "recorded")]
    assert not ours(said, "recorded").hasAttribute("state") and ours(said, "recorded")["id"] == row.id
    await s.hall.close()


@pytest_twisted.ensureDeferred
async def test_who_gets_the_file(tmp_path: Path) -> None:
    s = await Studio.open(tmp_path)
    await command(s.john, s.room, "record on='true'/>")
    s.media.record("EG_1", "active")
    row = await s.finish(tmp_path)
    await command(s.john, s.room, "moderator nick='Ada' on='true'/>")
    for client in (s.bob, s.ada, await s.hall.guest()):
        assert condition(await asked(client, s.room, "recordings")) == "forbidden"
    outside = await s.hall.account("john", "phone")
    [one] = list(ours(await asked(outside, s.room, "recordings"), "recordings").elements())
    assert (one["id"], one["state"], one["seconds"], one["bytes"], one["type"]) == (
        row.id, "ready", "734", "1000", "video/webm")
    address, _, given = one["url"].partition("?pass=")
    assert address == f"https://chat.example.com/recordings/{row.id}"
    found = s.hall.meet.recording(row.id, given)
    assert found is not None and found[0].read_bytes() == bytes(1000)
    assert found[1].startswith("weekly-review-") and found[1].endswith(".webm")
    visits = s.hall.world.router.visits
    late = make_pass(visits.secret, "recording", row.id, 1_000)
    other = make_pass(visits.secret, "recording", "f" * 32, 4_000_000_000)
    guest = make_pass(visits.secret, "guest", row.id, 4_000_000_000)
    forged = make_pass(b"x" * 32, "recording", row.id, 4_000_000_000)
    for bad in ("", late, other, guest, forged, given[:-1], given + "x"):
        assert s.hall.meet.recording(row.id, bad) is None
    assert s.hall.meet.recording("f" * 32, other) is None
    await command(s.john, s.room, "moderator nick='Bob' on='true'/>")
    assert (await asked(s.bob, s.room, "recordings")).type == "result"
    await s.hall.close()


@pytest_twisted.ensureDeferred
async def test_deleting_one(tmp_path: Path) -> None:
    s = await Studio.open(tmp_path)
    await command(s.john, s.room, "record on='true'/>")
    s.media.record("EG_1", "active")
    [running] = s.hall.meet.recordings.rows
    assert await command(s.john, s.room, f"forget id='{running}'/>") == "conflict"
    row = await s.finish(tmp_path)
    for client in (s.bob, s.ada):
        assert await command(client, s.room, f"forget id='{row.id}'/>") == "forbidden"
    assert await command(s.john, s.room, "forget id='x'/>") == "item-not-found"
    other = await s.hall.make(s.bob)
    await enter(s.bob, other, "Bob")
    assert await command(s.bob, other, f"forget id='{row.id}'/>") == "item-not-found", "another meeting's"
    assert await command(s.john, s.room, f"forget id='{row.id}'/>") == ""
    assert not list(tmp_path.iterdir()) and await s.hall.world.store.meetings.recordings() == []
    await s.hall.close()


@pytest_twisted.ensureDeferred
async def test_deleting_one_that_is_being_made(tmp_path: Path) -> None:
    """The engine may finish it all the same: the file goes when it is there; files of other names stay."""
    s = await Studio.open(tmp_path)
    await command(s.john, s.room, "record on='true'/>")
    s.media.record("EG_1", "active")
    await command(s.john, s.room, "record on='false'/>")
    [id_] = s.hall.meet.recordings.rows
    assert await command(s.john, s.room, f"forget id='{id_}'/>") == "" and not s.hall.meet.recordings.rows
    file, other = tmp_path / f"{id_}.webm", tmp_path / "somebody-elses.webm"
    file.write_bytes(b"x")
    other.write_bytes(b"x")
    s.media.record("EG_1", "complete", str(file), size_bytes=1)
    assert not file.exists()
    # Told while nobody listened: found when the next one is looked after.
    file.write_bytes(b"x")
    await command(s.john, s.room, "record on='true'/>")
    s.media.recordings["EG_9"] = attrs.evolve(s.media.recordings["EG_1"], id="EG_9")
    s.media.recordings["EG_8"] = attrs.evolve(
        s.media.recordings["EG_1"], id="EG_8", files=(RecordingFile(path=str(other), size_bytes=1),))
    await s.hall.meet.recordings.check()
    assert not file.exists() and other.exists()
    s.media.tell("egress_ended", recording=s.media.recordings["EG_8"])
    assert other.exists()
    await s.hall.close()


@pytest_twisted.ensureDeferred
async def test_a_meeting_takes_its_recordings_along(tmp_path: Path) -> None:
    s = await Studio.open(tmp_path)
    await command(s.john, s.room, "record on='true'/>")
    s.media.record("EG_1", "active")
    await s.finish(tmp_path)
    await s.john.ask_iq("set", "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>", s.room)
    assert not list(tmp_path.iterdir()) and not s.hall.meet.recordings.rows
    await s.hall.close()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("way", ["leave", "end"])
async def test_it_stops_with_the_meeting(tmp_path: Path, way: str) -> None:
    s = await Studio.open(tmp_path)
    await command(s.john, s.room, "record on='true'/>")
    s.media.record("EG_1", "active")
    if way == "end":
        await command(s.john, s.room, "end/>")
    else:
        for client in (s.john, s.bob, s.ada):
            assert ("stop", "EG_1") not in s.media.asked
            await client.send_xml(f"<presence to='{s.room}/X' type='unavailable'/>")
    assert ("stop", "EG_1") in s.media.asked
    await s.finish(tmp_path)
    assert "12 min" in bodies(await enter(s.john, s.room, "John"))[0], "the link is there for who comes later"
    await s.hall.close()


@pytest_twisted.ensureDeferred
async def test_what_may_go_wrong(tmp_path: Path) -> None:
    """The engine cannot be asked, or the recording breaks off: everybody is told, and another one can be begun."""
    s = await Studio.open(tmp_path)
    s.media.broken = True
    assert await command(s.john, s.room, "record on='true'/>") == "service-unavailable"
    assert s.states(s.ada) == ["starting", "off"] and not s.hall.meet.recordings.rows
    s.media.broken = False
    await command(s.john, s.room, "record on='true'/>")
    s.media.recordings["EG_1"] = attrs.evolve(s.media.recordings["EG_1"], error="disk full")
    s.media.record("EG_1", "failed")
    await s.hall.world.settle()
    told = all_ours(s.john.take(), "meeting")[-1]
    assert told["recording"] == "off" and told["recording-problem"] == "Disk full."
    await command(s.john, s.room, "record on='true'/>")
    assert not all_ours(s.ada.take(), "meeting")[-1].hasAttribute("recording-problem")
    [first, _] = ours(await asked(s.john, s.room, "recordings"), "recordings").elements()
    assert first["state"] == "failed" and first["problem"] == "Disk full." and not first.hasAttribute("url")
    assert not any(has_ours(stanza, "recorded") for stanza in s.ada.take())
    await s.hall.close()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("path", ["../outside.webm", "/etc/hostname", "nothing.webm", ""])
async def test_only_files_in_the_folder(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    (tmp_path / "outside.webm").write_bytes(b"x")
    s = await Studio.open(folder)
    await command(s.john, s.room, "record on='true'/>")
    s.media.record("EG_1", "complete", path or "x", size_bytes=5)
    await s.hall.world.settle()
    [row] = s.hall.meet.recordings.rows.values()
    assert row.state == "failed" and row.path == ""
    await s.hall.close()


@pytest_twisted.ensureDeferred
async def test_stopped_before_it_had_begun(tmp_path: Path) -> None:
    s = await Studio.open(tmp_path)
    answer: Deferred[Recording] = Deferred()
    s.media.start_room_recording = lambda *_: answer        # type: ignore[method-assign,assignment]
    await s.john.send_xml(f"<iq type='set' id='1' to='{s.room}'><record xmlns='urn:chatd:meet:0' on='true'/></iq>")
    assert await command(s.john, s.room, "record on='false'/>") == ""
    assert s.states(s.ada) == ["starting", "stopping"]
    s.media.recordings["EG_1"] = Recording(id="EG_1", room=s.room, status="starting")
    answer.callback(s.media.recordings["EG_1"])
    await s.hall.world.settle()
    assert ("stop", "EG_1") in s.media.asked
    s.media.record("EG_1", "aborted")
    await s.hall.world.settle()
    assert s.states(s.ada)[-1] == "off"
    await s.hall.close()


@pytest_twisted.ensureDeferred
async def test_the_meeting_is_deleted_before_it_had_begun(tmp_path: Path) -> None:
    """Nobody could stop it any more: so it is stopped, and whoever asked for it is told why."""
    s = await Studio.open(tmp_path)
    answer: Deferred[Recording] = Deferred()
    s.media.start_room_recording = lambda *_: answer        # type: ignore[method-assign,assignment]
    await s.john.send_xml(f"<iq type='set' id='1' to='{s.room}'><record xmlns='urn:chatd:meet:0' on='true'/></iq>")
    gone = await s.john.ask_iq("set", f"<query xmlns='{OWNER}'><destroy/></query>", s.room)
    assert gone.type == "result" and s.hall.meet.recordings.rows == {}
    s.john.take()
    s.media.recordings["EG_1"] = Recording(id="EG_1", room=s.room, status="starting")
    answer.callback(s.media.recordings["EG_1"])
    await s.hall.world.settle()
    assert ("stop", "EG_1") in s.media.asked
    [told] = s.john.take("iq")
    assert (told.id, condition(told)) == ("1", "item-not-found")
    await s.hall.close()


@pytest_twisted.ensureDeferred
async def test_quota(tmp_path: Path) -> None:
    s = await Studio.open(tmp_path, recording_quota_mb=1)
    await command(s.john, s.room, "record on='true'/>")
    s.media.record("EG_1", "active")
    row = await s.finish(tmp_path, size=1 << 20)
    assert await command(s.john, s.room, "record on='true'/>") == "resource-constraint"
    await command(s.john, s.room, f"forget id='{row.id}'/>")
    assert await command(s.john, s.room, "record on='true'/>") == ""
    await s.hall.close()


@pytest_twisted.ensureDeferred
async def test_retention(tmp_path: Path) -> None:
    s = await Studio.open(tmp_path, recording_days=30)
    await command(s.john, s.room, "record on='true'/>")
    s.media.record("EG_1", "active")
    row = await s.finish(tmp_path)
    recordings = s.hall.meet.recordings
    for days, stays in ((29, True), (31, False)):
        recordings._now = lambda days=days: (row.ended_ms + days * DAY_MS) / 1000       # type: ignore[misc]
        await recordings.check()
        assert (row.id in recordings.rows) is stays and bool(list(tmp_path.iterdir())) is stays
    await s.hall.close()


@pytest_twisted.ensureDeferred
async def test_switched_off(tmp_path: Path) -> None:
    s = await Studio.open(tmp_path, recording=False)
    assert await command(s.john, s.room, "record on='true'/>") == "not-allowed"
    await s.hall.close()


@pytest_twisted.ensureDeferred
async def test_after_a_restart(tmp_path: Path) -> None:
    """What the engine still knows goes on; what it has lost is told to have failed; files without a meeting go."""
    s = await Studio.open(tmp_path)
    await command(s.john, s.room, "record on='true'/>")
    s.media.record("EG_1", "active")
    await s.hall.world.settle()
    world, store = s.hall.world, s.hall.world.store.meetings
    (tmp_path / "orphan.webm").write_bytes(b"x")
    (tmp_path / "stays.webm").mkdir()           # what cannot be deleted keeps nobody out
    await store.keep_recording(RecordingRow("0" * 32, f"gone@{SERVICE}", "EG_8", "ready", "orphan.webm"))
    await store.keep_recording(RecordingRow("2" * 32, f"gone@{SERVICE}", "EG_7", "ready", "stays.webm"))
    await store.keep_recording(RecordingRow("1" * 32, s.room, "EG_9", "recording", started_ms=1))
    world.modules.pop("meet").stop()
    world.apis.pop("meet").release()
    s.john.s.directed = None
    s.hall = await Hall.open(s.media, world, recording=True)
    await world.settle()
    assert not (tmp_path / "orphan.webm").exists()
    await s.hall.meet._check()
    await world.settle()
    rows = {row.engine_id: row for row in s.hall.meet.recordings.rows.values()}
    assert set(rows) == {"EG_1", "EG_9"} and rows["EG_1"].state == "recording"
    assert rows["EG_9"].state == "failed" and "restarted" in rows["EG_9"].error
    assert all_ours(await enter(s.john, s.room, "John"), "meeting")[0]["recording"] == "on"
    assert await command(s.john, s.room, "record on='false'/>") == ""
    assert (await s.finish(tmp_path)).state == "ready"
    await s.hall.close()


def told_alone(client: Client) -> list[Any]:
    """What a client was told of recordings by the service, not by the room."""
    found = [one for one in client.take() if has_ours(one, "recorded") and one.type == "chat"]
    assert all(one.attrs["from"] == f"meetings@{SERVICE}" for one in found)
    return found


async def run_through(s: Studio, folder: Path, fails: bool = False) -> None:
    """A recording from beginning to end, without anybody in the meeting at its end."""
    await command(s.john, s.room, "record on='true'/>")
    [row] = [row for row in s.hall.meet.recordings.rows.values() if not row.is_over]
    s.media.record(row.engine_id, "active")
    await s.hall.world.settle()
    for client, nick in ((s.john, "John"), (s.bob, "Bob"), (s.ada, "Ada")):
        await client.send_xml(f"<presence type='unavailable' to='{s.room}/{nick}'/>")
    for client in (s.john, s.bob, s.ada):
        client.take()
    if not fails:
        await s.finish(folder)
        return
    s.media.recordings[row.engine_id] = attrs.evolve(s.media.recordings[row.engine_id], error="No space left on device")
    s.media.record(row.engine_id, "failed")
    await s.hall.world.settle()


@pytest_twisted.ensureDeferred
async def test_moderators_who_have_left_are_told(tmp_path: Path) -> None:
    """Each of them once, and nobody else; the address in it opens nothing by itself."""
    s = await Studio.open(tmp_path)
    anna, guest_moderator = await s.hall.account("anna"), await s.hall.guest()
    await enter(guest_moderator, s.room, "Gina")
    assert await command(s.john, s.room, "moderator nick='Bob' on='true'/>") == ""
    assert await command(s.john, s.room, "moderator nick='Gina' on='true'/>") == ""
    await guest_moderator.send_xml(f"<presence type='unavailable' to='{s.room}/Gina'/>")
    for client in (anna, guest_moderator, s.john, s.bob):
        await client.send_xml("<presence/>")
    await run_through(s, tmp_path)
    [row] = s.hall.meet.recordings.rows.values()
    for client in (s.john, s.bob):
        [said] = told_alone(client)
        told = ours(said, "recorded")
        assert (told["id"], told["room"], told["name"], told["seconds"]) == (row.id, s.room, "Weekly review", "734")
        assert told["url"] == f"https://chat.example.com/recordings/{row.id}" and b"pass=" not in said.inner
        assert "Weekly review" in bodies([said])[0] and f"/meet/{JID.parse(s.room).local}" in bodies([said])[0]
    for client in (s.ada, anna, guest_moderator):
        assert told_alone(client) == [], "no moderator with an account"
    # What the engine says again, and a daemon that begins anew, tell nobody twice.
    s.media.record(row.engine_id, "complete", str(tmp_path / row.path), size_bytes=1000, duration_s=734.0)
    await s.hall.meet.recordings.check()
    await s.hall.world.settle()
    assert told_alone(s.john) == told_alone(s.bob) == []
    await s.hall.close()


@pytest_twisted.ensureDeferred
async def test_who_is_in_the_meeting_is_told_there_only(tmp_path: Path) -> None:
    s = await Studio.open(tmp_path)
    await s.john.send_xml("<presence/>")
    await command(s.john, s.room, "record on='true'/>")
    s.media.record("EG_1", "active")
    await command(s.john, s.room, "record on='false'/>")
    await s.finish(tmp_path)
    said = [one for one in s.john.take() if has_ours(one, "recorded")]
    assert [one.type for one in said] == ["groupchat"]
    await s.hall.close()


@pytest_twisted.ensureDeferred
async def test_who_is_away_finds_it_later(tmp_path: Path) -> None:
    """A recording that failed: it waits in the archive, with the reason as a word."""
    s = await Studio.open(tmp_path)
    await run_through(s, tmp_path, fails=True)
    found = await s.john.ask_iq("set", "<query xmlns='urn:xmpp:mam:2' queryid='q'/>", "")
    assert found.type == "result"
    kept = [one for one in s.john.take() if b"urn:chatd:meet:0" in one.inner and b"mam:2" in one.inner]
    assert len(kept) == 1 and b'condition="no-space"' in kept[0].inner and b'state="failed"' in kept[0].inner
    await s.hall.close()


@pytest_twisted.ensureDeferred
async def test_the_address_that_tells(tmp_path: Path) -> None:
    """It has a name, reads nothing, and nobody makes a meeting of it."""
    s = await Studio.open(tmp_path)
    address = f"meetings@{SERVICE}"
    card = await s.john.ask_iq("get", "<vCard xmlns='vcard-temp'/>", address)
    assert card.type == "result" and b"<FN>Meetings</FN>" in card.inner
    assert condition(await s.john.ask_iq("set", "<vCard xmlns='vcard-temp'/>", address)) == "service-unavailable"
    s.john.take()
    await s.john.send_xml(f"<message to='{address}' type='chat'><active xmlns='http://jabber.org/protocol/chatstates'/>"
                          "</message>")
    await s.john.send_xml(f"<presence to='{address}/John'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
    assert s.john.take() == [] and address not in s.hall.meet.services[SERVICE].rooms
    await s.john.send_xml(f"<message to='{address}' type='chat'><body>Thank you</body></message>")
    [answer] = s.john.take()
    assert condition(answer) == "service-unavailable"
    await s.hall.close()
