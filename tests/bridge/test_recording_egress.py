"""Egress of a running bridge with real Python SDK participants, driven by the `livekit-api` package."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from livekit import api
from livekit.protocol import egress as E

from chatd.bridge import egress
from chatd.bridge.egresses import Egresses
from chatd.bridge.egressjob import STATE
from chatd.bridge.recording import manifest, paths
from chatd.bridge.settings import Limits
from tests.bridge.clients.bridge_process import KEY, SECRET, BridgeProcess, until
from tests.bridge.clients.sdk import Sdk
from tests.bridge.recorded import Seen
from tests.bridge.test_webhooks import Receiver

Status = E.EgressStatus
PERIOD = 2.0


class Hooks(threading.Thread):
    """Receives webhooks in a thread of its own."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.receiver = Receiver()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self.start()
        self._ready.wait(10)

    def run(self) -> None:
        self.url = self._loop.run_until_complete(self.receiver.start())
        self._ready.set()
        self._loop.run_forever()

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.receiver.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)

    def of(self, id_: str) -> list[tuple[str, int]]:
        """(event, status) of one egress, in order."""
        return [(e.event, e.egress_info.status) for e in self.receiver.events if e.egress_info.egress_id == id_]


@pytest.fixture(scope="module")
def hooks() -> Iterator[Hooks]:
    made = Hooks()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings")


def recording_bridge(folder: Path, hooks: Hooks | None = None, **limits: int) -> BridgeProcess:
    more = {"webhooks": {"urls": [hooks.url], "key": KEY}} if hooks is not None else {}
    return BridgeProcess(recordings=str(folder), limits={"recording_free_bytes": 1 << 20, **limits}, **more)


@pytest.fixture(scope="module")
def bridge(folder: Path, hooks: Hooks) -> Iterator[BridgeProcess]:
    """In the place of conftest's: it records. It has to survive all tests."""
    process = recording_bridge(folder, hooks, departure_timeout_s=1)
    yield process
    assert process.process.poll() is None, process.log[-20:]
    assert process.stop() == 0, process.log[-20:]
    wrong = [text for text in process.complaints() if not text.startswith("warning chatd.bridge.egressjob")]
    assert not wrong, wrong


def call(bridge: BridgeProcess, name: str, request: Any) -> Any:
    """One method of livekit-api's Egress service."""
    async def run() -> Any:
        async with api.LiveKitAPI(bridge.http_url, KEY, SECRET) as server:
            return await getattr(server.egress, name)(request)

    return asyncio.run(run())


def fails(bridge: BridgeProcess, name: str, request: Any, code: str, text: str = "") -> None:
    with pytest.raises(api.TwirpError) as caught:
        call(bridge, name, request)
    assert caught.value.code == code and text in caught.value.message, caught.value


def info_of(bridge: BridgeProcess, id_: str) -> Any:
    found, = call(bridge, "list_egress", api.ListEgressRequest(egress_id=id_)).items
    return found


def over(bridge: BridgeProcess, id_: str, timeout_s: float = 300) -> Any:
    """Wait until it has ended. Composing gives way to whatever else the machine does."""
    return until(lambda: (i := info_of(bridge, id_)).status > Status.EGRESS_ENDING and i, timeout_s, "an egress ends")


def start(bridge: BridgeProcess, room: str, path: str, **more: Any) -> str:
    info = call(bridge, "start_room_composite_egress", api.RoomCompositeEgressRequest(
        room_name=room, file_outputs=[api.EncodedFileOutput(filepath=path)], **more))
    assert info.status in (Status.EGRESS_STARTING, Status.EGRESS_ACTIVE) and info.room_name == room
    return str(info.egress_id)


def stop(bridge: BridgeProcess, id_: str) -> Any:
    return call(bridge, "stop_egress", api.StopEgressRequest(egress_id=id_))


def flasher(people: Any, name: str, hz: float, **more: Any) -> Sdk:
    one: Sdk = people.sdk(name, **more)
    one.publish("camera", width=320, height=180, fps=15, flashes=PERIOD)
    one.publish("microphone", frequency=hz, flashes=PERIOD)
    return one


def apart(found: list[float], others: list[float]) -> float:
    """How far moments are from the nearest of others: the median, since what a busy machine delays at the source is
    nobody's fault here. Endless without any.
    """
    if not found or not others:
        return float("inf")
    return statistics.median_low([min(abs(at - other) for other in others) for at in found])


def test_three_people_and_a_shared_screen(people: Any, folder: Path, hooks: Hooks) -> None:
    """The whole of it: recorded, composed, and everything in it where it belongs."""
    bridge, room = people.bridge, people.room
    ann, ben = flasher(people, "ann", 1000), flasher(people, "ben", 600)
    id_ = start(bridge, room, "some/where/{room_name}.webm")
    until(lambda: ann.state()["is_recording"] and ben.state()["is_recording"], what="people see the mark")
    # Cat comes later, shares and unshares, mutes and goes.
    cat = flasher(people, "cat", 1500)
    screen = cat.publish("screen_share", width=640, height=400, fps=5, flashes=PERIOD)
    ann.until_seen("cat/screen_share", 15)
    cat.do("unpublish", source="screen_share")
    ben.do("mute", source="camera")
    time.sleep(2.5)
    assert [i.egress_id for i in call(bridge, "list_egress", api.ListEgressRequest(active=True)).items] == [id_]
    assert stop(bridge, id_).status == Status.EGRESS_ENDING
    until(lambda: not ann.state()["is_recording"], what="the mark is gone")
    info = over(bridge, id_)
    assert info.status == Status.EGRESS_COMPLETE and not info.error and info.room_composite.room_name == room
    file, = info.file_results
    assert file.filename == "some/where/%s.webm" % room and file.location == str(folder / file.filename)
    assert file.size == Path(file.location).stat().st_size and info.file == file
    assert file.ended_at - file.started_at == file.duration > 5e9 and info.ended_at >= file.ended_at - 1e9

    directory = folder / ".tracks" / id_
    found = manifest.load(directory)
    assert found.state == "complete" and {p.name for p in found.participants} == {"Ann", "Ben", "Cat"}
    assert len(found.tracks) == 7 and any(t.is_measured for t in found.tracks)
    assert not [gap for t in found.tracks for gap in t.gaps if gap["reason"] == "loss" and t.kind == "video"]
    share, = found.screen_shares()
    assert share["track"] == screen and share["to_s"] - share["from_s"] > 1.5
    muted, = [t for t in found.tracks if t.muted]
    assert muted.kind == "video" and found.participant(muted.participant).name == "Ben"
    # Nothing of the tracks stays once the file is there.
    assert not [p for p in directory.iterdir() if p.suffix in (".webm", ".mkv")]

    seen = Seen(Path(file.location))
    assert seen.codecs == ["vp9", "opus"] and abs(seen.duration_s - file.duration / 1e9) < 0.1
    assert seen.largest_hole_s("video") < 0.041 and seen.largest_hole_s("audio") < 0.03
    beeps = {hz: seen.beeps(hz) for hz in (1000, 600, 1500)}
    everywhere = [at for at in beeps[1000] if 1 < at < seen.duration_s - 1]
    # Of different people: what their machines take before sound is on its way is in it.
    assert len(everywhere) >= 2 and apart(everywhere, beeps[600]) < 0.25, beeps
    assert apart(beeps[1500], beeps[1000]) < 0.25, beeps
    # Ann is in the upper left corner, be it of a grid or as the large one of two; while a screen is shared she is in
    # the strip.
    white = sorted(seen.flashes(0.2, 0.2, 150) + seen.flashes(0.9, 0.36, 150))
    assert apart(everywhere, white) < 0.08, (everywhere, white)

    events = hooks.of(id_)
    assert events[0] == ("egress_started", Status.EGRESS_STARTING)
    assert events[1] == ("egress_updated", Status.EGRESS_ACTIVE)
    assert ("egress_updated", Status.EGRESS_ENDING) in events
    assert [e for e in events if e[0] == "egress_ended"] == [events[-1]] == [("egress_ended", Status.EGRESS_COMPLETE)]


def test_one_participant_a_track_with_its_sound_and_a_track_alone(people: Any, folder: Path) -> None:
    bridge, room = people.bridge, people.room
    ann, ben = flasher(people, "ann", 1000), flasher(people, "ben", 600)
    tracks = {source: t["sid"] for source, t in ben.state()["others"]["ann"]["tracks"].items()}
    person = call(bridge, "start_participant_egress", api.ParticipantEgressRequest(
        room_name=room, identity="ann", file_outputs=[api.EncodedFileOutput(filepath="p/{publisher_identity}")],
        advanced=api.EncodingOptions(width=320, height=180, framerate=10)))
    both = call(bridge, "start_track_composite_egress", api.TrackCompositeEgressRequest(
        room_name=room, audio_track_id=tracks["microphone"], video_track_id=tracks["camera"],
        file_outputs=[api.EncodedFileOutput(filepath="both.webm")]))
    one = call(bridge, "start_track_egress", api.TrackEgressRequest(
        room_name=room, track_id=tracks["camera"], file=api.DirectFileOutput(filepath="{track_source}-{track_id}")))
    ben.until_seen("ann/camera", 60)
    # They end by themselves: the tracks are over, the participant has gone.
    ann.leave()
    files = {}
    for name, info in (("person", person), ("both", both), ("one", one)):
        done = over(bridge, info.egress_id)
        assert done.status == Status.EGRESS_COMPLETE, done
        files[name] = done.file_results[0]
    assert files["person"].filename == "p/ann.webm"
    assert files["one"].filename == "camera-%s.webm" % tracks["camera"]
    seen = Seen(Path(files["person"].location))
    assert seen.size == (320, 180) and seen.beeps(1000) and not seen.beeps(600)
    for name, codecs in (("both", ["vp8", "opus"]), ("one", ["vp8"])):
        seen = Seen(Path(files[name].location))
        assert sorted(seen.codecs) == sorted(codecs) and seen.size == (320, 180) and len(seen.frames) > 40
        if name == "both":
            beeps = [at for at in seen.beeps(1000) if 0.3 < at < seen.duration_s - 0.5]
            assert apart(beeps, seen.flashes()) < 0.08, (beeps, seen.flashes())


def test_sound_alone_and_a_layout_that_changes(people: Any, folder: Path) -> None:
    bridge, room = people.bridge, people.room
    ann = flasher(people, "ann", 1000)
    sound = start(bridge, room, "only sound", audio_only=True)
    picture = start(bridge, room, "two/", video_only=True, layout="speaker-light")
    changed = call(bridge, "update_layout", api.UpdateLayoutRequest(egress_id=picture, layout="single-speaker"))
    assert changed.room_composite.layout == "single-speaker"
    people.sdk("ben").until_seen("ann/camera", 30)
    # The room ends, and with it what records it.
    asyncio.run(_delete(bridge, room))
    ann.wait("disconnected")
    heard, watched = over(bridge, sound), over(bridge, picture)
    assert heard.status == watched.status == Status.EGRESS_COMPLETE
    assert heard.file_results[0].filename == "only sound.ogg"
    assert Seen(Path(heard.file_results[0].location)).codecs == ["opus"]
    name = watched.file_results[0].filename
    assert name.startswith("two/%s-" % room) and name.endswith(".webm")
    assert Seen(Path(watched.file_results[0].location)).codecs == ["vp9"]
    layouts = [layout for _, layout in manifest.load(folder / ".tracks" / picture).layouts]
    assert layouts == ["speaker", "single-speaker"]
    fails(bridge, "update_layout", api.UpdateLayoutRequest(egress_id=picture, layout="grid"), "failed_precondition")
    fails(bridge, "update_layout", api.UpdateLayoutRequest(egress_id="EG_none"), "not_found")


async def _delete(bridge: BridgeProcess, room: str) -> None:
    async with api.LiveKitAPI(bridge.http_url, KEY, SECRET) as server:
        await server.room.delete_room(api.DeleteRoomRequest(room=room))


def test_what_is_encrypted_from_end_to_end_is_not_recorded(people: Any) -> None:
    bridge, room = people.bridge, people.room
    ann = people.sdk("ann", key="a secret of theirs")
    camera = ann.publish("camera", width=320, height=180)
    ben = people.sdk("ben", key="a secret of theirs")
    ben.until_seen("ann/camera", 10)
    fails(bridge, "start_track_egress", api.TrackEgressRequest(
        room_name=room, track_id=camera, file=api.DirectFileOutput(filepath="x")), "failed_precondition", "encrypted")
    id_ = start(bridge, room, "secret.webm")
    ben.until_seen("ann/camera", 10)
    stop(bridge, id_)
    info = over(bridge, id_)
    assert info.status == Status.EGRESS_FAILED and "encrypted" in info.error and not info.file_results


def test_whoever_is_hidden_meanwhile_is_no_longer_recorded(people: Any, folder: Path) -> None:
    bridge, room = people.bridge, people.room
    flasher(people, "ann", 1000)
    ben = flasher(people, "ben", 600)
    people.sdk("cat").until_seen("ben/camera", 5)
    id_ = start(bridge, room, "hidden.webm")

    def hide(is_hidden: bool) -> None:
        async def run() -> None:
            async with api.LiveKitAPI(bridge.http_url, KEY, SECRET) as server:
                await server.room.update_participant(api.UpdateParticipantRequest(
                    room=room, identity="ben", permission=api.ParticipantPermission(
                        can_publish=True, can_subscribe=True, can_publish_data=True, hidden=is_hidden)))

        asyncio.run(run())

    def events() -> list[str]:
        lines = (folder / ".tracks" / id_ / "journal.jsonl").read_text().splitlines()
        return [line["event"] for line in map(json.loads, lines)]

    until(lambda: events().count("segment") >= 4, what="all four are recorded")
    hide(True)
    until(lambda: events().count("untrack") == 2, what="ben's are not any more")
    hide(False)
    until(lambda: events().count("track") == 6, what="ben's are again")
    ben.leave()
    stop(bridge, id_)
    info = over(bridge, id_)
    assert info.status == Status.EGRESS_COMPLETE
    found = manifest.load(folder / ".tracks" / id_)
    assert len({track.file for track in found.tracks}) == 6 == len({track.sid for track in found.tracks})


def test_a_second_stop_gives_the_file_up(people: Any, folder: Path) -> None:
    bridge, room = people.bridge, people.room
    flasher(people, "ann", 1000)
    id_ = start(bridge, room, "never.webm")
    people.sdk("ben").until_seen("ann/camera", 20)
    with (folder / ".tracks" / ".compose-0.lock").open("w") as slot:
        # Another one is being composed, as far as this one knows.
        fcntl.flock(slot, fcntl.LOCK_EX)
        stop(bridge, id_)
        assert stop(bridge, id_).status == Status.EGRESS_ENDING, "a repeated request is no other wish"
        until(lambda: "waiting" in info_of(bridge, id_).details, what="it waits")
        time.sleep(egress.REPEAT_S)
        stop(bridge, id_)
        info = over(bridge, id_)
    assert info.status == Status.EGRESS_ABORTED and not info.file_results
    assert not list(folder.glob("*never*")) and not list((folder / ".tracks" / id_).glob("*.webm"))
    fails(bridge, "stop_egress", api.StopEgressRequest(egress_id=id_), "failed_precondition", "cannot be stopped")
    fails(bridge, "stop_egress", api.StopEgressRequest(egress_id="EG_none"), "not_found")


BAD_PATHS = [
    "../out.webm", "a/../../out.webm", "/etc/out.webm", ".hidden.webm", "a/.tracks/x.webm", ".tracks/x.webm",
    "link/x.webm", "a\0b.webm", "a\nb.webm", "x" * 600, "x" * 250 + ".webm", "1/2/3/4/5/6/7/8/9.webm", "{nothing}.webm",
    "{track_id}.webm", "alink.webm",
]


def test_requests_that_cannot_be_met(people: Any, folder: Path, tmp_path: Path) -> None:
    bridge, room = people.bridge, people.room
    ann = people.sdk("ann")
    camera = ann.publish("camera", width=320, height=180)
    (folder / "link").symlink_to(tmp_path)
    (folder / "alink.webm").symlink_to(tmp_path / "x.webm")

    def composite(**values: Any) -> Any:
        usual = {"room_name": room, "file_outputs": [api.EncodedFileOutput()]}
        return api.RoomCompositeEgressRequest(**{**usual, **values})

    def bad(code: str, request: Any, text: str = "", name: str = "start_room_composite_egress") -> None:
        fails(bridge, name, request, code, text)

    for path in BAD_PATHS:
        bad("invalid_argument", composite(file_outputs=[api.EncodedFileOutput(filepath=path)]))
    assert list(tmp_path.iterdir()) == [] and not (folder / "a" / ".tracks").exists()
    bad("not_found", composite(room_name="nowhere"))
    bad("invalid_argument", composite(file_outputs=[]))
    bad("invalid_argument", composite(file_outputs=[api.EncodedFileOutput(), api.EncodedFileOutput()]))
    bad("invalid_argument", composite(audio_only=True, video_only=True))
    bad("invalid_argument", composite(advanced=api.EncodingOptions(width=100000)))
    bad("invalid_argument", composite(advanced=api.EncodingOptions(framerate=-3)))
    bad("invalid_argument", composite(advanced=api.EncodingOptions(video_bitrate=1)))
    bad("unimplemented", composite(custom_base_url="https://layouts.example.org"))
    bad("unimplemented", composite(stream_outputs=[api.StreamOutput(urls=["rtmp://127.0.0.1/x"])]))
    bad("unimplemented", composite(segment_outputs=[api.SegmentedFileOutput()]))
    bad("unimplemented", composite(file_outputs=[api.EncodedFileOutput(s3=api.S3Upload(bucket="b"))]))
    bad("unimplemented", composite(file_outputs=[api.EncodedFileOutput(file_type=E.EncodedFileType.MP3)]))
    bad("unimplemented", api.WebEgressRequest(url="https://example.org"), name="start_web_egress")
    bad("unimplemented", api.UpdateStreamRequest(egress_id="EG_x"), name="update_stream")
    bad("not_found", api.ParticipantEgressRequest(
        room_name=room, identity="nobody", file_outputs=[api.EncodedFileOutput()]), name="start_participant_egress")
    bad("not_found", api.TrackEgressRequest(
        room_name=room, track_id="TR_none", file=api.DirectFileOutput()), name="start_track_egress")
    bad("unimplemented", api.TrackEgressRequest(
        room_name=room, track_id=camera, websocket_url="ws://127.0.0.1/"), name="start_track_egress")
    bad("invalid_argument", api.TrackCompositeEgressRequest(
        room_name=room, file_outputs=[api.EncodedFileOutput()]), name="start_track_composite_egress")
    bad("not_found", api.TrackCompositeEgressRequest(
        room_name=room, audio_track_id=camera, file_outputs=[api.EncodedFileOutput()]),
        name="start_track_composite_egress")
    assert not any(i.room_name == room for i in call(bridge, "list_egress", api.ListEgressRequest()).items)
    assert not ann.state()["is_recording"]


def test_only_with_the_grant_to_record(people: Any) -> None:
    import aiohttp

    bridge = people.bridge
    people.sdk("ann")

    async def status(method: str, video: api.VideoGrants | None) -> int:
        headers = {"Content-Type": "application/json"}
        if video is not None:
            token = api.AccessToken(KEY, SECRET).with_identity("api").with_grants(video)
            headers["Authorization"] = "Bearer " + token.to_jwt()
        body = {"room_name": people.room, "egress_id": "EG_x", "file_outputs": [{}]}
        async with aiohttp.ClientSession() as session, session.post(
                f"{bridge.http_url}/twirp/livekit.Egress/{method}", json=body, headers=headers) as response:
            return response.status

    everything_else = api.VideoGrants(room_admin=True, room=people.room, room_create=True, room_list=True,
                                      room_join=True)
    for method in ("StartRoomCompositeEgress", "StartParticipantEgress", "StartTrackCompositeEgress",
                   "StartTrackEgress", "UpdateLayout", "StopEgress", "ListEgress"):
        for video in (None, everything_else):
            assert asyncio.run(status(method, video)) == 401
    assert asyncio.run(status("ListEgress", api.VideoGrants(room_record=True))) == 200


def test_without_a_folder_nothing_is_recorded_and_meetings_go_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broken = {"recordings": str(tmp_path / "file" / "x")}
    for settings, complaint in (({}, ""), (broken, "there will be no recordings")):
        bridge = BridgeProcess(**settings)
        try:
            ann = Sdk(bridge, "ann")
            fails(bridge, "start_room_composite_egress", api.RoomCompositeEgressRequest(
                room_name="room", file_outputs=[api.EncodedFileOutput()]), "unimplemented")
            assert not call(bridge, "list_egress", api.ListEgressRequest()).items
            assert any(complaint in text for text in bridge.complaints()) == bool(complaint)
            ann.leave()
        finally:
            assert bridge.stop() == 0


def test_limits_end_a_recording_with_its_file(tmp_path: Path) -> None:
    bridge = recording_bridge(tmp_path, recordings=1, recording_s=4)
    try:
        ann = Sdk(bridge, "ann")
        ann.publish("camera", width=320, height=180, fps=15, flashes=PERIOD)
        id_ = start(bridge, "room", "a.webm")
        fails(bridge, "start_room_composite_egress", api.RoomCompositeEgressRequest(
            room_name="room", file_outputs=[api.EncodedFileOutput()]), "resource_exhausted")
        info = over(bridge, id_)
        assert info.status == Status.EGRESS_LIMIT_REACHED and "4 s" in info.error and info.file_results[0].size
        assert 2 < Seen(Path(info.file_results[0].location)).duration_s < 6
        ann.leave()
    finally:
        assert bridge.stop() == 0


@pytest.mark.long
def test_a_bridge_that_is_killed_and_one_that_ends_leave_recordings_that_the_next_one_makes(tmp_path: Path) -> None:
    bridge = recording_bridge(tmp_path)
    ann = Sdk(bridge, "ann")
    ann.publish("camera", width=320, height=180, fps=15, flashes=PERIOD)
    ann.publish("microphone", frequency=1000, flashes=PERIOD)
    id_ = start(bridge, "room", "killed.webm")
    ben = Sdk(bridge, "ben")
    ben.until_seen("ann/camera", 60)
    os.kill(bridge.pid, signal.SIGKILL)
    bridge.process.wait()
    for one in (ann, ben):
        one.process.kill()
    assert not (tmp_path / "killed.webm").exists()

    bridge = recording_bridge(tmp_path)
    info = over(bridge, id_)
    assert info.status == Status.EGRESS_COMPLETE and "recovered" in info.details
    seen = Seen(Path(info.file_results[0].location))
    # Up to the last cluster.
    assert seen.duration_s > 2 and seen.beeps(1000)

    ann = Sdk(bridge, "ann")
    ann.publish("camera", width=320, height=180, fps=15, flashes=PERIOD)
    second = start(bridge, "room", "stopped.webm")
    ben = Sdk(bridge, "ben")
    ben.until_seen("ann/camera", 40)
    assert bridge.stop() == 0
    for one in (ann, ben):
        one.process.kill()
    assert not (tmp_path / "stopped.webm").exists()
    assert json.loads((tmp_path / ".tracks" / second / "manifest.json").read_text())["state"] == "complete"

    bridge = recording_bridge(tmp_path)
    try:
        info = over(bridge, second)
        assert info.status == Status.EGRESS_COMPLETE and Seen(Path(info.file_results[0].location)).duration_s > 1.5
        # What is over is known for a while.
        assert info_of(bridge, id_).file_results[0].filename == "killed.webm"
    finally:
        assert bridge.stop() == 0


def test_what_another_process_has_finished_meanwhile_can_be_asked_for(tmp_path: Path) -> None:
    """As where a daemon was killed: its bridge still finishes the recording while the next one has begun."""
    async def scenario() -> None:
        egresses = Egresses(tmp_path, Limits(), time.monotonic)
        await egresses.start()
        assert not egresses.jobs
        directory = egresses.tracks / "EG_other"
        directory.mkdir()
        info = {"egress_id": "EG_other", "status": "EGRESS_COMPLETE", "ended_at": str(time.time_ns())}
        plan = {"path": str(tmp_path / "a.webm"), "how": "compose", "identity": None, "sources": None, "tracks": None,
                "kinds": ["audio"], "layout": "grid", "arguments": []}
        (directory / STATE).write_text(json.dumps({"plan": plan, "info": info}))
        await egresses._take_over()
        assert egresses.jobs["EG_other"].info.status == Status.EGRESS_COMPLETE
        await egresses.close()
        assert directory.is_dir()

    asyncio.run(scenario())


def test_a_composing_process_that_is_killed_is_begun_again(people: Any, folder: Path) -> None:
    bridge, room = people.bridge, people.room
    flasher(people, "ann", 1000)
    id_ = start(bridge, room, "again.webm")
    people.sdk("ben").until_seen("ann/camera", 60)
    stop(bridge, id_)

    def composer() -> int:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    line = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if b"chatd.bridge.compose" in line and id_.encode() in line:
                    return int(entry.name)
        return 0

    os.kill(until(composer, what="a composing process"), signal.SIGKILL)
    info = over(bridge, id_)
    assert info.status == Status.EGRESS_COMPLETE and (folder / "again.webm").stat().st_size == info.file_results[0].size
    assert any("attempt 1" in text for text in bridge.complaints())
    bridge.log[:] = [line for line in bridge.log if "attempt 1" not in line]


GOOD_PATHS = [
    ("a.webm", "a.webm"), ("a/b/c.webm", "a/b/c.webm"), ("", "usual"), ("a/", "a/usual"), ("a//b.webm", "a/b.webm"),
    ("./a.webm", "a.webm"), ("/srv/rec/x/y.webm", "x/y.webm"), ("größe.webm", "größe.webm"), ("a b.webm", "a b.webm"),
]


@pytest.mark.parametrize(("asked", "expected"), GOOD_PATHS)
def test_paths_that_are_fine(asked: str, expected: str) -> None:
    assert paths.inside(Path("/srv/rec"), asked, "usual") == Path("/srv/rec") / expected


def test_placeholders_cannot_add_folders() -> None:
    values = {"room_name": "../../etc/passwd", "room_id": "RM_1", "identity": "..", "other": "a/b\\c:d\n\0é"}
    filled = paths.fill("{room_name}|{room_id}|{identity}|{other}|{time}|{utc}", values, 0.0)
    assert filled.split("|")[1:4] == ["RM_1", "_", "a_b_c_d___"]
    assert filled.endswith("|1970-01-01T000000|19700101000000")
    assert "/" not in filled and not any(part.startswith(".") for part in filled.split("|"))
    with pytest.raises(paths.BadPath):
        paths.fill("{what}", values, 0.0)
