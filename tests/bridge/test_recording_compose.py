"""Composing: layouts, mixing, one file of several tracks whose sound and pictures meet; the process around it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from chatd.bridge import compose as program
from chatd.bridge.recording import labels, layout, manifest, remux
from chatd.bridge.recording.canvas import Canvas
from chatd.bridge.recording.composer import compose
from chatd.bridge.recording.layout import Rect, arrange, fit, grid
from chatd.bridge.recording.mixer import BLOCK, CEILING, Limiter, stretch
from chatd.bridge.recording.output import Cancelled, ComposeError, Output, Result, place, supported
from tests.bridge.recorded import Made, Seen

AREA = Rect(0, 0, 1280, 720)


# -- layout

def overlap(one: Rect, other: Rect) -> bool:
    return (one.x < other.x + other.width and other.x < one.x + one.width and one.y < other.y + other.height
            and other.y < one.y + one.height)


def check(places: dict[str, Rect], width: int, height: int) -> None:
    found = list(places.values())
    for n, rect in enumerate(found):
        assert all(value % 2 == 0 for value in rect) and rect.width >= 2 and rect.height >= 2
        assert rect.x >= 0 and rect.y >= 0 and rect.x + rect.width <= width and rect.y + rect.height <= height
        assert not any(overlap(rect, other) for other in found[n + 1:])


@pytest.mark.parametrize("name", ["grid", "speaker", "single-speaker", "speaker-dark", "anything"])
@pytest.mark.parametrize("size", [(1280, 720), (720, 1280), (640, 480), (320, 180)])
def test_tiles_never_overlap_or_leave_the_picture(name: str, size: tuple[int, int]) -> None:
    for screens in range(4):
        for people in (0, 1, 2, 3, 4, 5, 7, 10, 17, 30):
            keys = ["p%d" % n for n in range(people)]
            places = arrange(["s%d" % n for n in range(screens)], keys, keys[-1] if keys else None, *size, name)
            check(places, *size)
            if layout.kind(name) != "single-speaker":
                assert len(places) == screens + people


def test_places_are_those_that_people_expect() -> None:
    assert grid(1, AREA) == [Rect(0, 0, 1280, 720)]
    two = grid(2, AREA)
    assert two[0].y == two[1].y and two[0].width == two[1].width == 636
    assert [len({r.y for r in grid(n, AREA)}) for n in (3, 4, 5, 9, 10)] == [2, 2, 2, 3, 3]
    shared = arrange(["s"], ["a", "b", "c"], None, 1280, 720)
    assert shared["s"].width > 4 * shared["a"].width - 60 and shared["a"].x == shared["b"].x > shared["s"].width
    spoken = arrange([], ["a", "b", "c"], "b", 1280, 720, "speaker")
    assert spoken["b"].width > 3 * spoken["a"].width
    assert list(arrange([], ["a", "b"], "b", 1280, 720, "single-speaker")) == ["b"]
    assert list(arrange(["s"], ["a", "b"], "b", 1280, 720, "single-speaker")) == ["s"]
    assert arrange([], [], None, 1280, 720) == {}


@pytest.mark.parametrize("shape", [(1280, 720), (720, 1280), (640, 480), (1, 1), (4000, 10), (10, 4000)])
def test_a_picture_of_any_shape_fits_in_whole(shape: tuple[int, int]) -> None:
    into = Rect(100, 50, 320, 180)
    inner = fit(*shape, into)
    check({"a": inner}, 420, 230)
    assert inner.x >= 100 and inner.y >= 50
    if 16 <= shape[0] <= 2000 and 16 <= shape[1] <= 2000:
        assert abs(inner.width / inner.height - shape[0] / shape[1]) < 0.03
        assert inner.width >= 318 or inner.height >= 178


@pytest.mark.parametrize("name", ["", "Ann", "Борис Петров", "x" * 500, "\n\t\0", "𝕏" * 40, "  a  b  ", "\u202eabc"])
def test_any_name_can_be_drawn(name: str) -> None:
    for size, width in ((12, 40), (28, 400), (20, 2)):
        picture = labels.label(name, size, width)
        assert picture.shape[0] % 2 == 0 and picture.shape[1] % 2 == 0 and picture.shape[1] <= width
    assert labels.placeholder(name, 64, 36).shape == (36, 64)
    assert labels.clean("\x1b[31m" + name).isprintable()


# -- sound

@pytest.mark.parametrize("loudness", [0.1, 0.9, 1.5, 6.0])
def test_the_mix_never_clips_and_quiet_sound_is_untouched(loudness: float) -> None:
    limiter = Limiter()
    at = np.arange(BLOCK * 60) / 48000
    # Quiet, suddenly loud, quiet again.
    envelope = np.where((at > 0.3) & (at < 0.6), loudness, 0.1)
    wave = (envelope * np.sin(2 * np.pi * 220 * at)).astype(np.float32)
    sent = np.repeat(wave[:, None], 2, axis=1)
    got = [limiter.push(sent[n:n + BLOCK]) for n in range(0, len(sent), BLOCK)]
    assert got[0] is None
    out = np.concatenate([block for block in [*got[1:], limiter.flush()] if block is not None])
    assert out.shape == sent.shape and limiter.flush() is None
    assert np.abs(out).max() <= CEILING + 1e-6
    if loudness <= CEILING:
        assert np.array_equal(out, sent)
    else:
        assert np.abs(out[int(0.35 * 48000):int(0.55 * 48000)]).max() > 0.9 * CEILING
        # No click: between neighbours no larger step than the loudest tone itself makes; and loudness comes back.
        assert np.abs(np.diff(out[:, 0])).max() < 2 * np.pi * 220 / 48000 * loudness + 0.02
        assert np.abs(out[-4800:]).max() == pytest.approx(np.abs(sent[-4800:]).max(), rel=0.02)


def test_broken_numbers_are_silence() -> None:
    limiter = Limiter()
    limiter.push(np.full((BLOCK, 2), np.nan, np.float32))
    block = limiter.push(np.full((BLOCK, 2), np.inf, np.float32))
    assert block is not None and not block.any()


def test_stretching_keeps_the_ends() -> None:
    block = np.linspace(0, 1, 960, dtype=np.float32)[:, None].repeat(2, axis=1)
    for length in (957, 960, 963):
        out = stretch(block, length)
        assert len(out) == length and out[0, 0] == 0 and out[-1, 0] == pytest.approx(1)
    assert len(stretch(block[:1], 5)) == 1


# -- a whole file

@pytest.fixture(scope="module")
def meeting(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Three people whose clocks differ, one late, a shared screen from 3 to 5 s; all flash and beep at 2 and 4 s."""
    made = Made(tmp_path_factory.mktemp("made") / "r", 6.0)
    for sid, name, at in (("PA_a", "Ann", 0.0), ("PA_b", "Ben", 0.2), ("PA_c", "Cat", 1.0)):
        made.person(sid, name, at)
    made.video("TR_av", "PA_a", ahead=5000, flashes=(2.0, 4.0), size=(640, 360))
    made.sound("TR_aa", "PA_a", ahead=5000, beeps=(2.0, 4.0))
    made.video("TR_bv", "PA_b", at=0.5, ahead=-99, late=0.9, flashes=(2.0, 4.0), codec="h264")
    made.sound("TR_ba", "PA_b", at=0.3, ahead=-99, late=0.2, beeps=(2.0, 4.0), hz=600)
    made.sound("TR_ca", "PA_c", at=1.0, beeps=(5.0,), hz=300)
    made.video("TR_s", "PA_b", at=3.0, until=5.0, ahead=-99, source="screen_share", size=(640, 400), luma=200, fps=5)
    made.end()
    return made


def load(made: Made) -> manifest.Manifest:
    return manifest.load(made.directory)


@pytest.fixture(scope="module")
def composed(meeting: Made, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Seen, list[float]]:
    parts: list[float] = []
    path = tmp_path_factory.mktemp("out") / "meeting.webm"
    result = compose(load(meeting), meeting.directory, Output(path, 640, 360), parts.append)
    return result, Seen(result.path, 2), parts


def test_everybody_is_in_one_file_without_a_gap(composed: tuple[Result, Seen, list[float]]) -> None:
    result, seen, parts = composed
    assert seen.codecs == ["vp9", "opus"] and seen.size == (640, 360)
    assert result.size == result.path.stat().st_size and result.start_s < 0.1
    assert abs(seen.duration_s - result.duration_s) < 0.1 and abs(result.duration_s - 6.0) < 1.0
    assert seen.largest_hole_s("video") < 0.041 and seen.largest_hole_s("audio") < 0.03
    assert len(seen.times) == round(result.duration_s * 25)
    assert parts == sorted(parts) and parts[-1] == 1.0 and len(parts) > 100
    assert [p.name for p in result.path.parent.iterdir()] == ["meeting.webm"]


def test_flashes_and_beeps_meet(composed: tuple[Result, Seen, list[float]]) -> None:
    result, seen, _ = composed
    first, second = (when - result.start_s for when in (2.0, 4.0))
    # Ann is above on the left, Ben on the right; during the screen share they are in the strip.
    for x, hz in ((0.25, 1000), (0.75, 600)):
        assert seen.flashes(x, 0.2)[0] == pytest.approx(first, abs=0.045)
        beeps = [at for at in seen.beeps(hz) if min(abs(at - first), abs(at - second)) < 0.15]
        assert beeps == [pytest.approx(first, abs=0.02), pytest.approx(second, abs=0.02)]
    assert seen.flashes(0.9, 0.25)[-1] == pytest.approx(second, abs=0.045)
    assert seen.beeps(300)[-1] == pytest.approx(5.0 - result.start_s, abs=0.02)
    # The shared screen fills the left while it is there.
    shared = seen.flashes(0.4, 0.5)
    assert shared[-1] == pytest.approx(3.0 - result.start_s, abs=0.045)


def test_layouts_that_were_asked_for_and_changed_meanwhile(meeting: Made, tmp_path: Path) -> None:
    found = load(meeting)
    found.layouts = [(0.0, "single-speaker"), (4.6, "grid")]
    for track in found.tracks:
        if track.sid == "TR_s":
            track.segments = []
    result = compose(found, meeting.directory, Output(tmp_path / "a.webm", 320, 180, with_audio=True))
    seen = Seen(result.path, 2)
    # Ann beeps first, so she is large: her flash fills the picture.
    assert seen.flashes(0.8, 0.2)[0] == pytest.approx(2.0, abs=0.1)
    last = seen.frames[-5]
    assert abs(int(last[10, 40]) - int(last[10, 120])) < 40 and last.shape == (90, 160)


@pytest.mark.parametrize("suffix", [".mp4", ".ogg"])
def test_other_containers(meeting: Made, tmp_path: Path, suffix: str) -> None:
    if not supported(suffix):
        pytest.skip("this PyAV has no encoder for it")
    result = compose(load(meeting), meeting.directory, Output(tmp_path / ("a" + suffix), 320, 180, 10))
    seen = Seen(result.path)
    assert seen.codecs == (["h264", "aac"] if suffix == ".mp4" else ["opus"])
    assert abs(seen.duration_s - result.duration_s) < 0.15
    assert seen.beeps(300)[-1] == pytest.approx(5.0 - result.start_s, abs=0.03)


def test_only_sound_or_only_picture(meeting: Made, tmp_path: Path) -> None:
    silent = compose(load(meeting), meeting.directory, Output(tmp_path / "a.webm", 320, 180, 10, with_audio=False))
    assert Seen(silent.path).codecs == ["vp9"]
    dark = compose(load(meeting), meeting.directory, Output(tmp_path / "b.webm", with_video=False))
    assert Seen(dark.path).codecs == ["opus"]
    with pytest.raises(ComposeError):
        compose(load(meeting), meeting.directory, Output(tmp_path / "c.webm", with_video=False, with_audio=False))
    with pytest.raises(ComposeError):
        compose(load(meeting), meeting.directory, Output(tmp_path / "c.exe"))


def test_an_existing_file_is_never_overwritten(meeting: Made, tmp_path: Path) -> None:
    (tmp_path / "a.webm").write_text("precious")
    result = compose(load(meeting), meeting.directory, Output(tmp_path / "a.webm", 64, 36, 5))
    assert result.path == tmp_path / "a-2.webm" and (tmp_path / "a.webm").read_text() == "precious"
    (tmp_path / "d").write_text("x")
    assert place(tmp_path / "d", tmp_path / "e") == tmp_path / "e" and not (tmp_path / "d").exists()


def test_cancelled_leaves_nothing(meeting: Made, tmp_path: Path) -> None:
    asked = 0

    def is_cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 20

    with pytest.raises(Cancelled):
        compose(load(meeting), meeting.directory, Output(tmp_path / "a.webm", 64, 36), is_cancelled=is_cancelled)
    assert list(tmp_path.iterdir()) == []


def test_muted_turned_and_frozen_cameras(tmp_path: Path) -> None:
    made = Made(tmp_path / "r", 9.0)
    made.person("PA_a", "")
    made.video("TR_a", "PA_a", until=4.0, size=(320, 180), luma=220)
    made.journal.add("muted", 1.0, sid="TR_a", muted=True)
    made.journal.add("muted", 2.0, sid="TR_a", muted=False)
    made.journal.add("rotation", 3.0, sid="TR_a", pts=3000, degrees=90)
    made.sound("TR_m", "PA_a")
    found = made.end()
    found.track("TR_a").unpublished_s = None
    result = compose(found, made.directory, Output(tmp_path / "a.webm", 320, 180, 10))
    seen = Seen(result.path, 2)

    def at(when: float, x: int) -> int:
        return int(seen.frames[round(when * 10)][20, x])

    assert at(0.5, 10) > 200 and at(1.5, 10) < 80 and at(2.5, 10) > 200
    # Turned by a quarter it is upright: dark at the sides, light in the middle. Then it stands still, then it is gone.
    assert at(3.5, 10) < 40 and at(3.5, 80) > 200
    assert at(5.5, 80) > 200 and at(8.8, 10) < 80


def test_who_is_there_from_the_beginning_is_seen_from_the_beginning(tmp_path: Path) -> None:
    """A camera that was joined has its first whole picture after its sound; nothing is shown of what was hidden."""
    made = Made(tmp_path / "r", 9.0)
    for name, at in (("a", 1.5), ("b", 5.0), ("c", 1.5)):
        made.person(f"PA_{name}", "")
        made.video(f"TR_{name}", f"PA_{name}", at=at, luma=220, size=(320, 180))
        made.sound(f"TM_{name}", f"PA_{name}")
    made.journal.add("muted", 0.0, sid="TR_c", muted=True)
    made.journal.add("muted", 1.0, sid="TR_c", muted=False)
    made.journal.add("rotation", 1.5, sid="TR_a", pts=0, degrees=90)
    found = made.end()
    for name in "abc":
        found.track(f"TR_{name}").published_s = 0.0
    result = compose(found, made.directory, Output(tmp_path / "a.webm", 640, 360, 10))
    seen = Seen(result.path, 2)
    tiles = arrange([], ["a", "b", "c"], None, 640, 360, "grid")

    def at(when: float, name: str) -> int:
        rect = tiles[name]
        return int(seen.frames[round(when * 10)][(rect.y + 20) // 2, (rect.x + rect.width // 2) // 2])

    assert at(0.2, "a") > 200 and at(1.8, "a") > 200, "upright as afterwards"
    assert at(1.0, "b") < 120 and at(2.5, "b") > 200 and at(5.5, "b") > 200, "three seconds before, no more"
    assert at(0.5, "c") < 120 and at(1.2, "c") > 200, "not while it was muted"


def test_a_camera_that_is_changed_is_seen_until_the_other_one_moves(tmp_path: Path) -> None:
    made = Made(tmp_path / "r", 6.0)
    made.person("PA_a", "")
    made.sound("TM_a", "PA_a")
    made.video("TR_old", "PA_a", until=3.0, luma=120, size=(320, 180))
    made.video("TR_new", "PA_a", at=3.0, luma=235, size=(320, 180))
    found = made.end()
    found.track("TR_new").published_s = 1.0
    seen = Seen(compose(found, made.directory, Output(tmp_path / "a.webm", 320, 180, 10)).path, 2)
    old, changing, new = (int(seen.frames[round(when * 10)][20, 80]) for when in (0.5, 2.0, 4.0))
    assert abs(old - changing) < 20 and new > changing + 60


def test_sound_follows_holes_and_a_clock_that_runs_too_fast(tmp_path: Path) -> None:
    made = Made(tmp_path / "r", 8.0)
    made.person("PA_a", "Ann")
    made.sound("TR_a", "PA_a", beeps=(1.0, 3.5, 7.0), skips=(1.5, 3.0))
    found = made.end()
    track = found.track("TR_a")
    # What its file calls 8 s took 8.05 s by the meeting's clock: 6 per mille, far more than crystals do.
    x, y = track.segments[0].points[0]
    track.segments = [track.segments[0]._replace(points=[(0.0, y), (8000.0, y + 0.05)])]
    result = compose(found, made.directory, Output(tmp_path / "a.ogg"))
    beeps = Seen(result.path).beeps(1000)
    for heard, told in zip(beeps, (1.0, 3.5, 7.0), strict=True):
        assert heard == pytest.approx(told * (1 + 0.05 / 8), abs=0.02)


def test_damaged_and_missing_tracks_are_left_out(tmp_path: Path) -> None:
    made = Made(tmp_path / "r", 3.0)
    made.person("PA_a", "Ann")
    made.video("TR_v", "PA_a")
    made.video("TR_w", "PA_a", source="screen_share")
    made.sound("TR_a", "PA_a", beeps=(1.0,))
    made.sound("TR_b", "PA_a", beeps=(2.0,), hz=600)
    found = made.end()
    (made.directory / found.track("TR_v").file).write_bytes(b"no such thing")
    whole = (made.directory / found.track("TR_w").file).read_bytes()
    (made.directory / found.track("TR_w").file).write_bytes(whole[:len(whole) // 2])
    (made.directory / found.track("TR_b").file).unlink()
    result = compose(found, made.directory, Output(tmp_path / "a.webm", 160, 90, 10))
    assert Seen(result.path).beeps(1000) == [pytest.approx(1.0 - result.start_s, abs=0.02)]


def test_nothing_recorded_is_said(tmp_path: Path) -> None:
    made = Made(tmp_path / "r", 1.0)
    with pytest.raises(ComposeError, match="nothing was recorded"):
        compose(made.end(), made.directory, Output(tmp_path / "a.webm"))


def test_the_canvas_draws_only_what_has_changed() -> None:
    canvas = Canvas(320, 180)
    canvas.arrange({"a": Rect(0, 0, 160, 90), "b": Rect(160, 90, 160, 90)})
    frame = av.VideoFrame.from_ndarray(np.full((135, 160), 200, np.uint8), format="yuv420p")
    for _ in range(5):
        canvas.tile("a", "Ann", frame, 1, 0, False)
        canvas.tile("b", "Ben", None, None, 0, False)
    assert canvas.draws == 2
    canvas.tile("a", "Ann", frame, 2, 0, False)
    canvas.tile("nobody", "x", frame, 1, 0, False)
    assert canvas.draws == 3
    picture = canvas.frame().to_ndarray()
    assert picture[10, 100] == 200 and picture[100, 10] < 40
    canvas.border("b", True)
    assert canvas.frame().to_ndarray()[100, 158] == 170
    canvas.border("b", False)
    assert canvas.frame().to_ndarray()[100, 158] < 40


# -- copying

def test_a_track_and_its_sound_are_put_together_without_encoding(tmp_path: Path) -> None:
    for codec, suffix in (("vp8", ".webm"), ("h264", ".mkv"), ("h264", ".mp4")):
        made = Made(tmp_path / (codec + suffix), 4.0)
        made.person("PA_a", "Ann")
        made.video("TR_v", "PA_a", flashes=(2.0,), late=0.7, codec=codec, ahead=3)
        made.sound("TR_a", "PA_a", at=0.5, beeps=(2.0,), late=0.1, ahead=3)
        found = made.end()
        parts: list[float] = []
        result = remux.remux(found, made.directory, tmp_path / ("copy-%s%s" % (codec, suffix)), parts.append)
        seen = Seen(result.path)
        assert seen.codecs == [codec, "opus"] and parts
        assert seen.flashes() == [pytest.approx(2.0 - result.start_s, abs=0.045)]
        assert seen.beeps(1000) == [pytest.approx(2.0 - result.start_s, abs=0.02)]
    assert not remux.may_copy(["vp8"], ".mp4") and not remux.may_copy(["h264"], ".webm")
    with pytest.raises(ComposeError):
        remux.remux(found, made.directory, tmp_path / "x.webm")


# -- the process

class Run:
    """`python -m chatd.bridge.compose`; `events`: what it has said."""

    def __init__(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "chatd.bridge.compose", *arguments],
                                        stdout=subprocess.PIPE, stdin=stdin, text=True,
                                        cwd=Path(__file__).parents[2])
        self.events: list[dict[str, Any]] = []

    def until(self, event: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == event:
                return self.events[-1]
        raise AssertionError(f"it never said {event}: {self.events}")

    def end(self) -> int:
        assert self.process.stdout is not None
        self.events += [json.loads(line) for line in self.process.stdout]
        return self.process.wait(60)


@pytest.fixture
def start() -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def make(*arguments: object, **more: Any) -> Run:
        runs.append(Run(*map(str, arguments), **more))
        return runs[-1]

    yield make
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
        run.process.wait()


@pytest.fixture
def copied(meeting: Made, tmp_path: Path) -> Path:
    """The recording in a directory of its own."""
    directory = tmp_path / "r"
    directory.mkdir()
    for path in meeting.directory.iterdir():
        os.link(path, directory / path.name)
    return directory


SLOW = ("--width", 1920, "--height", 1080, "--fps", 60)


def test_the_process_shows_progress_and_gives_way(copied: Path, start: Callable[..., Run]) -> None:
    run = start(copied / "manifest.json")
    run.until("progress")
    assert os.getpriority(os.PRIO_PROCESS, run.process.pid) >= 15
    assert run.end() == 0
    done = run.events[-1]
    assert done["event"] == "done" and Path(done["file"]) == copied / "meeting.webm"
    assert done["size"] == (copied / "meeting.webm").stat().st_size > 10000
    percents = [event["percent"] for event in run.events if event["event"] == "progress"]
    assert len(percents) > 2 and percents == sorted(percents) and all(0 <= p <= 100 for p in percents)
    assert any(event.get("rest_s") is not None for event in run.events)
    assert json.loads((copied / "progress.json").read_text()) == done


def test_a_killed_process_is_begun_again_and_nobody_sees_half_a_file(copied: Path, start: Callable[..., Run]) -> None:
    run = start(copied, *SLOW)
    run.until("progress")
    run.until("progress")
    run.process.send_signal(signal.SIGKILL)
    assert run.end() == -signal.SIGKILL and not (copied / "meeting.webm").exists()
    again = start(copied, "--width", 64, "--height", 36)
    assert again.end() == 0 and (copied / "meeting.webm").exists()


def test_cancelling_and_a_parent_that_is_gone_end_it(copied: Path, start: Callable[..., Run]) -> None:
    run = start(copied, *SLOW)
    run.until("progress")
    run.process.terminate()
    assert run.end() == 3 and run.events[-1] == {"event": "cancelled"}
    run = start(copied, "--with-parent", *SLOW, stdin=subprocess.PIPE)
    run.until("progress")
    assert run.process.stdin is not None
    run.process.stdin.close()
    assert run.end() == 3
    assert not [p for p in copied.iterdir() if p.suffix == ".part" or p.name == "meeting.webm"]


def test_one_at_a_recording_and_so_many_at_a_time(
    copied: Path, meeting: Made, tmp_path: Path, start: Callable[..., Run]
) -> None:
    slots = tmp_path / "slots"
    slots.mkdir()
    first = start(copied, "--slots", slots, *SLOW)
    first.until("progress")
    same = start(copied, "--slots", slots)
    assert same.end() == 1 and "another process" in same.events[-1]["error"]
    waiting = start(meeting.directory, "--slots", slots, "-o", tmp_path / "second.webm", "--width", 64, "--height", 36)
    waiting.until("waiting")
    assert not (tmp_path / "second.webm").exists()
    first.process.kill()
    assert waiting.end() == 0 and (tmp_path / "second.webm").exists()


def test_what_cannot_be_done_is_said(tmp_path: Path, start: Callable[..., Run]) -> None:
    run = start(tmp_path)
    assert run.end() == 1 and "journal" in run.events[-1]["error"]
    (tmp_path / "manifest.json").write_text("[]")
    run = start(tmp_path / "manifest.json")
    assert run.end() == 1 and "no manifest" in run.events[-1]["error"]
    with pytest.raises(SystemExit):
        program.main([str(tmp_path), "--width", "1"])


def test_memory_does_not_grow_with_the_meeting(tmp_path: Path) -> None:
    """Peak memory of a short meeting and of one five times as long, in processes of their own."""
    peaks = []
    for seconds in (20, 100):
        made = Made(tmp_path / str(seconds), seconds)
        made.person("PA_a", "Ann")
        made.video("TR_v", "PA_a", fps=5)
        made.sound("TR_a", "PA_a")
        made.end()
        code = ("import resource, sys; from chatd.bridge import compose; compose.main(sys.argv[1:]);"
                "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)")
        done = subprocess.run(
            [sys.executable, "-c", code, str(made.directory), "--width", "320", "--height", "180", "--fps", "5"],
            capture_output=True, text=True, timeout=120, check=True, cwd=Path(__file__).parents[2])
        peaks.append(int(done.stdout.splitlines()[-1]))
    assert peaks[1] < peaks[0] * 1.15 + 4096, peaks


def test_there_is_time_to_see_it(copied: Path) -> None:
    """The estimate of the rest is a number that falls."""
    reporter = program.Reporter(copied / "progress.json")
    reporter.begin()
    reporter._began = time.monotonic() - 10
    reporter.progress(0.5)
    said = json.loads((copied / "progress.json").read_text())
    assert said["percent"] == 50 and 9 < said["rest_s"] < 12
