"""Recordings of tracks that real peers send to a port: every codec, loss, layers, mutes, trouble with the disk."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from media_source import Encoder, Sound, payloads
from peer import IDS, Peer, own_address

from chatd.bridge import codecs, rtcp, rtp
from chatd.bridge.forward import Publication
from chatd.bridge.port import Port
from chatd.bridge.recording import journal, manifest
from chatd.bridge.recording.desk import Worker
from chatd.bridge.recording.feed import Begin
from chatd.bridge.recording.recorder import Recording, RecordingError
from chatd.bridge.recording.track import TrackFile

VIDEO, AUDIO = 11, 44
NTP_EPOCH = 2_208_988_800


class Stage:
    """A port, one peer that publishes a camera and a microphone, and a recording of them."""

    def __init__(self, directory: Path, codec: str = "vp8", rids: tuple[str, ...] = (), **limits) -> None:
        self.directory, self.codec, self.rids, self.limits = directory, codec, rids, limits
        self.ended: list[tuple[str, str]] = []
        self.sequences = {VIDEO: 65500, VIDEO + 1: 300, AUDIO: 10}
        self.pictures = 0
        self.lost: set[int] = set()

    async def __aenter__(self) -> Stage:
        host = own_address()
        self.port = await Port.open(host, 0)
        transport = self.port.transport()
        transport.set_extensions(IDS)
        self.peer = await Peer(transport, host, self.port.number).connect()
        self.camera = Publication("video", self.codec, 96, 97)
        self.microphone = Publication("audio", "opus", 111)
        ssrcs = [] if self.rids else [VIDEO]
        transport.receive(self.camera, "1", list(self.rids), ssrcs)
        transport.receive(self.microphone, "2", ssrcs=[AUDIO])
        self.worker = Worker()
        self.recording = Recording(self.worker, self.directory, clock=self.port.now,
                                   on_ended=lambda *how: self.ended.append(how), **self.limits)
        await self.recording.start("EG_test", "the room", "RM_test")
        self.recording.add_participant("PA_a", "a@example.org", "Ann")
        self.add()
        return self

    def add(self) -> None:
        assert self.recording.add_track("TR_v", "PA_a", self.camera, source="camera", size=(320, 180)) == ""
        assert self.recording.add_track("TR_a", "PA_a", self.microphone, source="microphone") == ""

    async def __aexit__(self, *args) -> None:
        await self.recording.stop()
        self.worker.stop()
        self.peer.transport.close()
        await asyncio.sleep(0)
        await self.peer.close()
        self.port.close()
        await asyncio.sleep(0.12)

    def video(self, frame: bytes, is_key: bool, at: float, ssrc: int = VIDEO, extensions=(), lose=()) -> None:
        """A frame captured at `at` seconds."""
        parts = payloads(self.codec, frame, is_key, self.pictures, 300)
        self.pictures += 1
        more = [(IDS[rtp.MID], b"1"), *extensions]
        for i, part in enumerate(parts):
            number = self.sequences[ssrc] & 0xFFFF
            self.sequences[ssrc] += 1
            if i in lose:
                self.lost.add(number)
                continue
            self.peer.send_rtp(96, number, int(at * 90000) + 0xFFFF0000 & 0xFFFFFFFF, ssrc, part,
                               i == len(parts) - 1, more)

    def sound(self, packet: bytes, at: float) -> None:
        self.peer.send_rtp(111, self.sequences[AUDIO] & 0xFFFF, int(at * 48000) & 0xFFFFFFFF, AUDIO, packet, False,
                           [(IDS[rtp.MID], b"2")])
        self.sequences[AUDIO] += 1

    def report(self, ssrc: int, at: float, now: float = 0.0, ahead: float = 1000.0) -> None:
        """A sender report of what was captured at `at`, which is `now`, by a clock that is `ahead`."""
        clock = 48000 if ssrc == AUDIO else 90000
        base = 0 if ssrc == AUDIO else 0xFFFF0000
        ntp = int(((now or time.time()) + NTP_EPOCH + ahead) * 4294967296)
        self.peer.send_rtcp(rtcp.sender_report(rtcp.SenderReport(ssrc, ntp, int(at * clock) + base & 0xFFFFFFFF, 1, 1)))

    async def settle(self, holds) -> None:
        await self.peer.until(holds, 15)

    def written(self, key: str = "TR_v") -> int:
        track = self.recording._desk._tracks.get(key)
        return track.frames_written if track is not None else -1


def run(scenario) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60))


def noise() -> bytes:
    """A keyframe of some 70 KB: few of them fill what is to become full."""
    plane = np.random.default_rng(1).integers(0, 255, (270, 320), np.uint8)
    return Encoder("vp8").encode(plane, True)


def read(path: Path, decoder: str = "") -> tuple[list[float], list[av.VideoFrame]]:
    """Times of a file's packets in seconds, and its decoded frames."""
    with av.open(str(path)) as container:
        stream = container.streams[0]
        times, frames = [], []
        for packet in container.demux(stream):
            if packet.size:
                times.append(float(packet.pts * packet.time_base))
            frames += packet.decode()
        return times, frames


@pytest.mark.parametrize("codec", ["vp8", "vp9", "h264", "av1"])
def test_a_track_is_written_as_it_came_and_plays(codec: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Stage(tmp_path / "r", codec) as stage:
            encoder, tone = Encoder(codec), Sound()
            frames = encoder.pictures([40 + n for n in range(50)]) if codec == "av1" else [
                encoder.picture(40 + n, not n) for n in range(50)]
            for n, frame in enumerate(frames):
                stage.video(frame, not n, n / 25)
                stage.sound(tone.tone(440), n * 0.02)
                if n % 10 == 5:
                    stage.report(VIDEO, n / 25)
                    stage.report(AUDIO, n * 0.02)
                await asyncio.sleep(0.002)
            await stage.settle(lambda: stage.written() >= 49 and stage.written("TR_a") == 50)
            stage.recording.remove_track("TR_a")
            found = await stage.recording.stop()
        assert found is not None and found.state == "complete" and found.error == ""
        video, audio = found.track("TR_v"), found.track("TR_a")
        assert video.file.endswith(".mkv" if codec == "h264" else ".webm") and video.frames == 50
        assert audio.unpublished_s is not None and video.is_measured and audio.is_measured
        times, pictures = read(tmp_path / "r" / video.file)
        assert len(times) == len(pictures) == 50
        assert [round(b - a, 3) for a, b in zip(times, times[1:], strict=False)] == [0.04] * 49
        assert pictures[0].width == 320 and abs(int(pictures[-1].to_ndarray()[50, 50]) - 89) < 8
        times, sounds = read(tmp_path / "r" / audio.file)
        assert len(times) == 50 and sum(s.samples for s in sounds) >= 47000
        assert [p.identity for p in found.participants] == ["a@example.org"]
        again = manifest.load(tmp_path / "r" / "manifest.json")
        assert again == found
        assert os.stat(tmp_path / "r" / video.file).st_mode & 0o007 == 0
    run(scenario)


def test_what_is_lost_and_sent_again_is_in_the_file_in_its_place(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Stage(tmp_path / "r") as stage:
            # Made before: who encodes in the loop that answers is late with its answers on a busy machine.
            encoder = Encoder("vp8", 640, 360)
            frames = [encoder.picture(40 + n, not n) for n in range(60)]
            sent: dict[int, bytes] = {}
            for n, frame in enumerate(frames):
                before = stage.sequences[VIDEO]
                parts = payloads("vp8", frame, not n, n, 300)
                for i, part in enumerate(parts):
                    sent[before + i & 0xFFFF] = rtp.build(
                        96, i == len(parts) - 1, before + i, n * 3600 + 0xFFFF0000 & 0xFFFFFFFF, VIDEO, part)
                lose = (1,) if n % 7 == 3 and len(parts) > 1 else (0,) if n == 20 else ()
                stage.video(frame, not n, n / 25, lose=lose)
                await asyncio.sleep(0.003)
                for item in [r for r in stage.peer.reports if isinstance(r, rtcp.Nack)]:
                    for number in item.sequences:
                        stage.peer.send(stage.peer.outbound.rtp(sent[number]))
                stage.peer.reports.clear()

            def answer() -> bool:
                for item in [r for r in stage.peer.reports if isinstance(r, rtcp.Nack)]:
                    for number in item.sequences:
                        stage.peer.send(stage.peer.outbound.rtp(sent[number]))
                stage.peer.reports.clear()
                return stage.written() == 60

            await stage.settle(answer)
            found = await stage.recording.stop()
        assert stage.lost, "the test loses nothing"
        times, pictures = read(tmp_path / "r" / found.track("TR_v").file)
        assert [round(t * 25) for t in times] == list(range(60)) and len(pictures) == 60
        assert found.track("TR_v").gaps == []
    run(scenario)


def test_a_bridge_that_is_held_up_waits_for_what_is_sent_again_as_long_as_any(tmp_path: Path) -> None:
    encoder, packets = Encoder("vp8"), []
    for n in range(5):
        for part in payloads("vp8", encoder.picture(40 * n, not n), not n, n, 3000):
            packet = rtp.Packet(96, True, n, n * 3600, VIDEO, {}, part)
            packet.described = codecs.vp8(part, True)
            packets.append(packet)
    assert len(packets) == 5
    lines = journal.Journal(tmp_path)
    track = TrackFile("TR_v", "vp8", tmp_path / "v.webm", lines, (320, 180))
    track.process([Begin(VIDEO, 0, 0.0), packets[0], packets[2]], 0.1, 0.0)
    # Five seconds in which the loop had no time; then it finds packets in the order in which they came.
    track.process([packets[3]], 5.1, 0.0)
    track.process([packets[4]], 5.2, 0.0)
    assert track.frames_written == 1 and not track.wants_keyframe
    track.process([packets[1]], 5.3, 0.0)
    assert track.frames_written == 5
    # What never comes is given up all the same.
    lost = rtp.Packet(96, True, 6, 6 * 3600, VIDEO, {}, packets[4].payload)
    lost.described = packets[4].described
    track.process([lost], 5.4, 0.0)
    at = 5.4
    while not track._frames.waits_for_key:
        at += 0.1
        track.process([], at, 0.0)
        assert at < 7.5
    assert at > 6.4
    track.close(at)
    lines.close()


def test_after_a_loss_for_good_a_keyframe_is_asked_for_and_the_hole_is_noted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Stage(tmp_path / "r") as stage:
            encoder = Encoder("vp8")
            # At the pace of their own clock, as a camera's: how long the hole is is judged.
            started = time.monotonic()
            for n in range(10):
                await asyncio.sleep(max(0.0, started + n / 25 - time.monotonic()))
                stage.video(encoder.picture(40 + n, not n), not n, n / 25)
            await stage.settle(lambda: stage.written() == 10)
            before = time.monotonic()
            encoder.picture(50)
            stage.video(encoder.picture(51), False, 11 / 25, lose=(0,))
            n = 12
            # Nobody will decode these: one is enough, and a busy machine has time for it.
            other = encoder.picture(52)
            stage.peer.reports.clear()

            def asked() -> bool:
                nonlocal n
                while time.monotonic() >= started + n / 25:
                    stage.video(other, False, n / 25)
                    n += 1
                return any(isinstance(r, rtcp.KeyframeRequest) and r.media == VIDEO for r in stage.peer.reports)

            await stage.settle(asked)
            assert time.monotonic() - before > 1.0, "retransmissions are to be waited for"
            held = stage.written()
            late = time.monotonic() - (started + n / 25)
            for i in range(5):
                stage.video(encoder.picture(40, not i), not i, (n + i) / 25)
            await stage.settle(lambda: stage.written() == held + 5)
            found = await stage.recording.stop()
        assert held == 10
        times, pictures = read(tmp_path / "r" / found.track("TR_v").file)
        assert len(pictures) == 15
        gap, = found.track("TR_v").gaps
        assert gap["reason"] == "loss" and gap["packets"] == 1
        # By the camera's clock, or by that of its arrival if it was held up.
        assert gap["to_s"] - gap["from_s"] == pytest.approx((n - 9) / 25, abs=0.06 + max(0.0, late))
    run(scenario)


def test_the_best_layer_is_recorded_and_every_change_begins_a_segment(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Stage(tmp_path / "r", rids=("q", "f")) as stage:
            small, large = Encoder("vp8", 160, 90), Encoder("vp8", 320, 180)
            assert stage.camera.wanted_ranks() == frozenset({0, 1, 2})

            def both(n: int, key: bool, with_large: bool) -> None:
                stage.video(small.picture(60, key), key, n / 25, VIDEO, [(IDS[rtp.RID], b"q")])
                if with_large:
                    stage.video(large.picture(200, key), key, n / 25 + 777, VIDEO + 1, [(IDS[rtp.RID], b"f")])

            for n in range(10):
                both(n, not n, False)
                await asyncio.sleep(0.01)
            await stage.settle(lambda: stage.written() == 10)
            n = 10
            while stage.recording._taps["TR_v"].feed.layer.rank == 0:
                both(n, n > 10, True)
                n += 1
                await asyncio.sleep(0.02)
            while stage.camera.live_ranks(stage.port.now()) == [0, 1]:
                # The large one stops: back to the small one, from its next keyframe.
                both(n, False, False)
                n += 1
                await asyncio.sleep(0.02)
            while stage.recording._taps["TR_v"].feed.layer.rank == 1:
                both(n, True, False)
                n += 1
                await asyncio.sleep(0.02)
            found = await stage.recording.stop()
        track = found.track("TR_v")
        assert len(track.segments) == 3
        times, pictures = read(tmp_path / "r" / track.file)
        widths = [p.width for p in pictures]
        assert widths[0] == 160 and widths[-1] == 160 and 320 in widths
        assert times == sorted(set(times))
    run(scenario)


def test_sound_and_picture_meet_by_their_reports_however_late_one_of_them_came(tmp_path: Path) -> None:
    """The picture is sent a third of a second after it was taken; the reports tell."""
    async def scenario() -> None:
        async with Stage(tmp_path / "r") as stage:
            encoder, tone = Encoder("vp8"), Sound()
            began = time.time()
            n = 0
            while n < 75:
                at = time.time() - began
                if at < n * 0.04:
                    await asyncio.sleep(0.005)
                    continue
                for i in (0, 1):
                    stage.sound(tone.tone(440), n * 0.04 + i * 0.02)
                late = n - 8
                if late >= 0:
                    stage.video(encoder.picture(40 + late, not late), not late, late * 0.04)
                if n % 25 == 20:
                    now = time.time()
                    stage.report(AUDIO, now - began, now)
                    stage.report(VIDEO, now - began, now)
                n += 1
            await stage.settle(lambda: stage.written() == 67 and stage.written("TR_a") == 150)
            found = await stage.recording.stop()
        video, audio = found.track("TR_v"), found.track("TR_a")
        assert video.is_measured and audio.is_measured
        # Both captured their first at the same moment.
        assert abs(video.start_s - audio.start_s) < 0.02
        assert abs((video.end_s - video.start_s) - 66 * 0.04) < 0.02
    run(scenario)


def test_mutes_turns_and_pauses_are_in_the_manifest(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Stage(tmp_path / "r") as stage:
            encoder = Encoder("vp8")
            for n in range(5):
                stage.video(encoder.picture(40, not n), not n, n / 25)
            await stage.settle(lambda: stage.written() == 5)
            stage.recording.set_muted("TR_v", True)
            stage.recording.set_layout("speaker")
            # Whoever sends while being muted is not heard or seen, here neither.
            before = stage.camera.layers[0].reception.received
            stage.video(encoder.picture(200, True), True, 1.0)
            await stage.settle(lambda: stage.camera.layers[0].reception.received > before)
            assert stage.camera.wanted_ranks() == frozenset()
            stage.recording.set_muted("TR_v", False)
            # The camera was off for ten seconds by its own clock.
            stage.video(encoder.picture(41, True), True, 10.0, extensions=[(IDS[rtp.VIDEO_ORIENTATION], b"\1")])
            stage.video(encoder.picture(42), False, 10.04, extensions=[(IDS[rtp.VIDEO_ORIENTATION], b"\1")])
            await stage.settle(lambda: stage.written() == 7)
            stage.recording.add_participant("PA_a", "a@example.org", "Ann B.")
            stage.recording.remove_participant("PA_a")
            found = await stage.recording.stop()
        track = found.track("TR_v")
        assert [int(p.to_ndarray()[50, 50]) < 100 for p in read(tmp_path / "r" / track.file)[1]] == [True] * 7
        (start, end), = track.muted
        assert 0 <= start <= end <= found.duration_s
        assert [gap["reason"] for gap in track.gaps] == ["nothing came"]
        assert [degrees for _, degrees in track.rotations] == [90]
        assert found.layouts[0][1] == "speaker"
        assert found.participants[0].name == "Ann B." and found.participants[0].left_s is not None
        raw = json.loads((tmp_path / "r" / "manifest.json").read_text())
        assert raw["screen_shares"] == [] and raw["room"] == "the room"
    run(scenario)


def test_encrypted_tracks_and_unknown_codecs_are_refused_with_a_reason(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Stage(tmp_path / "r") as stage:
            one = Publication("video", "vp8", 96)
            said = stage.recording.add_track("TR_e", "PA_a", one, source="screen_share", is_encrypted=True)
            assert "encrypted" in said and one.subscriptions == set()
            other = Publication("audio", "pcmu", 0)
            assert "pcmu" in stage.recording.add_track("TR_p", "PA_a", other, source="microphone")
            assert stage.recording.add_track("TR_e", "PA_a", one, source="screen_share") == said
            found = await stage.recording.stop()
        assert {entry["sid"] for entry in found.refused} == {"TR_e", "TR_p"} and len(found.refused) == 2
        # Nothing was sent on the others: no file, and no place in time.
        assert [track.has_frames for track in found.tracks] == [False, False]
        assert sorted(p.name for p in (tmp_path / "r").iterdir()) == ["journal.jsonl", "manifest.json"]
    run(scenario)


def test_a_track_that_is_published_anew_under_its_sid_gets_a_file_of_its_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Stage(tmp_path / "r") as stage:
            encoder = Encoder("vp8")
            for n in range(3):
                stage.video(encoder.picture(40, not n), not n, n / 25)
            await stage.settle(lambda: stage.written() == 3)
            stage.add()
            stage.camera.close()
            other = Publication("video", "vp8", 96, 97)
            stage.peer.transport.receive(other, "1", [], [VIDEO])
            stage.recording.add_track("TR_v", "PA_a", other, source="camera")
            for n in range(3, 6):
                stage.video(encoder.picture(40, n == 3), n == 3, n / 25)
            await stage.settle(lambda: stage.written("TR_v/3") == 3)
            found = await stage.recording.stop()
        assert [(t.sid, t.frames) for t in found.tracks] == [("TR_v", 3), ("TR_a", 0), ("TR_v/3", 3)]
        assert len({t.file for t in found.tracks}) == 3
    run(scenario)


def test_a_directory_that_cannot_be_made_is_an_error_at_the_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "r").mkdir()
        worker = Worker()
        recording = Recording(worker, tmp_path / "r", clock=time.monotonic, on_ended=lambda *how: None)
        with pytest.raises(RecordingError, match="exists"):
            await recording.start("EG_x", "room", "RM_x")
        assert await recording.stop() is None
        worker.stop()
    run(scenario)


@pytest.mark.parametrize("how", ["write", "journal", "open"])
def test_a_full_disk_ends_the_recording_with_an_error_and_nothing_else(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    async def scenario() -> None:
        async with Stage(tmp_path / "r") as stage:
            encoder = Encoder("vp8")
            if how != "open":
                for n in range(5):
                    stage.video(encoder.picture(40, not n), not n, n / 25)
                await stage.settle(lambda: stage.written() == 5)
            if how == "journal":
                def fails(descriptor: int, data: bytes) -> int:
                    raise OSError(28, "No space left on device")
            else:
                def fails(descriptor: int, data: bytes) -> int:
                    if os.readlink("/proc/self/fd/%d" % descriptor).endswith(".webm"):
                        raise OSError(28, "No space left on device")
                    return real(descriptor, data)

            monkeypatch.setattr(os, "write", fails)
            stage.recording.set_layout("grid")
            n = 5

            def ended() -> bool:
                nonlocal n
                n += 1
                stage.video(encoder.picture(40 + n % 100, n % 25 == 6), n % 25 == 6, n / 25)
                return bool(stage.ended)

            await stage.settle(ended)
            monkeypatch.undo()
            assert stage.ended == [("error", "No space left on device")]
            # The meeting goes on; the publication is no longer tapped.
            assert stage.camera.subscriptions == set() and stage.peer.transport.state == "connected"
            found = await stage.recording.stop()
            assert found is not None and found.state == "failed" and found.error == "No space left on device"
            assert stage.recording.error == "No space left on device"
        assert manifest.load(tmp_path / "r").error == "No space left on device"
    run(scenario)


def test_quota_and_a_disk_that_becomes_full_end_the_recording_in_order(tmp_path: Path) -> None:
    async def scenario(limits: dict[str, int], text: str) -> None:
        async with Stage(tmp_path / text.split()[0], **limits) as stage:
            frame = noise()
            n = 0

            def ended() -> bool:
                nonlocal n
                stage.video(frame, True, n / 25)
                n += 1
                return bool(stage.ended)

            await stage.settle(ended)
            assert stage.ended[0][0] == "limit" and text in stage.ended[0][1] and len(stage.ended) == 1
            found = await stage.recording.stop("limit")
            assert found.state == "complete" and stage.recording.limit == stage.ended[0][1]
            read(stage.directory / found.track("TR_v").file)

    asyncio.run(scenario({"most_octets": 300_000}, "its limit"))
    asyncio.run(scenario({"least_free_octets": 1 << 60}, "left on the disk"))


def test_a_disk_that_stands_still_ends_the_recording_before_memory_does(tmp_path: Path) -> None:
    async def scenario() -> None:
        import threading

        from chatd.bridge.recording import recorder

        async with Stage(tmp_path / "r") as stage:
            gate = threading.Event()
            stage.worker.submit(gate.wait)
            most, recorder.MOST_WAITING_BYTES = recorder.MOST_WAITING_BYTES, 300_000
            try:
                frame = noise()
                n = 0

                def ended() -> bool:
                    nonlocal n
                    stage.video(frame, True, n / 25)
                    n += 1
                    return bool(stage.ended)

                await stage.settle(ended)
            finally:
                recorder.MOST_WAITING_BYTES = most
                gate.set()
            assert stage.ended == [("error", "the disk does not keep up")]
            found = await stage.recording.stop()
            assert found.state == "failed"
    run(scenario)


CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
sys.path.insert(0, os.path.dirname(sys.argv[2]))
from test_recording_tracks import Stage
from media_source import Encoder, Sound

async def main():
    async with Stage(Path(sys.argv[1])) as stage:
        encoder, tone = Encoder("vp8"), Sound()
        for n in range(100):
            stage.video(encoder.picture(40 + n, not n), not n, n / 25)
            stage.sound(tone.tone(440), n * 0.02)
            await asyncio.sleep(0.002)
        await stage.settle(lambda: stage.written() == 100 and stage.written("TR_a") == 100)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def test_a_killed_process_leaves_files_that_play_and_a_journal_that_tells(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path / "r"), __file__], timeout=60,
                          capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    # The last line is torn as well.
    with (tmp_path / "r" / "journal.jsonl").open("ab") as file:
        file.write(b'{"event":"written","at":9')
    assert json.loads((tmp_path / "r" / "manifest.json").read_text())["state"] == "recording"
    found = manifest.load(tmp_path / "r")
    assert found.state == "recovered" and found.participants[0].name == "Ann"
    assert len(journal.read(tmp_path / "r")) > 4
    video, audio = found.track("TR_v"), found.track("TR_a")
    times, pictures = read(tmp_path / "r" / video.file)
    # A hundred frames of 40 ms: clusters of a second, the last of which may be missing.
    assert video.end_s - video.start_s == pytest.approx(times[-1], abs=0.05) and found.duration_s >= video.end_s
    assert 75 <= len(pictures) <= 100 and [round(t * 25) for t in times] == list(range(len(times)))
    assert len(read(tmp_path / "r" / audio.file)[0]) >= 50
    assert json.loads((tmp_path / "r" / "manifest.json").read_text())["state"] == "recovered"
