"""One egress: a recording of a room while it lasts, then its file. What it is doing is in an EgressInfo, kept on disk.

    STARTING -> ACTIVE -> ENDING -> COMPLETE, or LIMIT_REACHED with a file, or FAILED, or ABORTED (given up)

`Job.run` goes through all of them; `stop` ends the recording, `give_up` the composing. A process that was killed
leaves the job on disk; `Job.restore` and `run` go on with it: what was recorded is composed.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from livekit.protocol import egress as E
from livekit.protocol import models as M

from chatd.bridge.composing import Composing, ComposingError
from chatd.bridge.events import Event
from chatd.bridge.recording import manifest, paths
from chatd.bridge.recording.output import ComposeError, place
from chatd.bridge.recording.recorder import Recording, RecordingError

if TYPE_CHECKING:
    from chatd.bridge.egresses import Egresses
    from chatd.bridge.room import Room
    from chatd.bridge.tracks import Track

log = logging.getLogger(__name__)

Status = E.EgressStatus
OVER = frozenset({Status.EGRESS_COMPLETE, Status.EGRESS_FAILED, Status.EGRESS_ABORTED, Status.EGRESS_LIMIT_REACHED})
STATE = "egress.json"
LOCK = "owner.lock"
NANO = 1_000_000_000
LOOK_S = 1.0
# Progress is told in webhooks no more often.
TOLD_S = 5.0


@attrs.define
class Plan:
    """What is to be recorded and made of it.

    `path`: the file, below the folder of recordings. `identity`, `sources`, `tracks`: restrict it, None: all.
    `kinds`: "audio", "video". `how`: "compose", "copy" (all tracks into one file as they are), "move" (the one track's
    own file). `arguments`: more for the composing process.
    """

    path: str
    how: str = "compose"
    identity: str | None = None
    sources: list[str] | None = None
    tracks: list[str] | None = None
    kinds: list[str] = attrs.field(factory=lambda: ["audio", "video"])
    layout: str = ""
    arguments: list[str] = attrs.field(factory=list)

    def wants(self, track: Track) -> bool:
        """Whether a track is part of it."""
        # Nobody sees who is hidden, so nobody does afterwards.
        return (track.kind in self.kinds and not track.participant.is_hidden
                and (self.identity is None or track.participant.identity == self.identity)
                and (self.sources is None or source_of(track) in self.sources)
                and (self.tracks is None or track.sid in self.tracks))


def source_of(track: Track) -> str:
    """As manifests have it: camera, microphone, screen_share, screen_share_audio, unknown."""
    try:
        return M.TrackSource.Name(track.info.source).lower()
    except ValueError:
        # Clients may say any number.
        return "unknown"


class Job:
    """See the module. `info`: the EgressInfo, to be read only; `directory`: where the tracks are written."""

    def __init__(self, owner: Egresses, info: E.EgressInfo, plan: Plan, directory: Path) -> None:
        self.info, self.plan, self.directory = info, plan, directory
        self._owner = owner
        self._recording: Recording | None = None
        self._room: Room | None = None
        self._composing: Composing | None = None
        self._ending = asyncio.Event()
        self._reason = ""
        self._error = ""
        self._stopped_at = 0.0
        self._told_at = 0.0
        self._lock = -1

    # -- what others do with it

    @property
    def is_over(self) -> bool:
        """Nothing more will happen to it."""
        return self.info.status in OVER

    @property
    def is_recording(self) -> bool:
        """Whether people in the room are to see the mark."""
        return self.info.status in (Status.EGRESS_STARTING, Status.EGRESS_ACTIVE)

    @property
    def room(self) -> Room | None:
        """The room that is recorded; None once it is not."""
        return self._room

    def stop(self, reason: str, error: str = "") -> None:
        """End the recording: "stopped", "limit", "error", "ended" (what was recorded is over)."""
        if not self._ending.is_set():
            self._reason, self._error = reason, error
            self._stopped_at = time.monotonic()
            self._ending.set()

    @property
    def stopped_s(self) -> float:
        """For how long `stop` has been."""
        return time.monotonic() - self._stopped_at if self._ending.is_set() else 0.0

    async def give_up(self) -> None:
        """There shall be no file: end composing, forget what was recorded."""
        self._reason = "given up"
        self._ending.set()
        if self._composing is not None:
            await self._composing.cancel()

    def set_layout(self, layout: str) -> None:
        """From now on."""
        self.info.room_composite.layout = layout
        if self._recording is not None:
            self._recording.set_layout(layout)
        self._changed()

    # -- its life

    async def record(self, room: Room) -> None:
        """Begin. RecordingError if nothing can be written."""
        self._room = room
        limits = self._owner.limits
        recording = self._recording = Recording(
            self._owner.worker, self.directory, clock=self._owner.clock, on_ended=self._must_end,
            most_octets=limits.recording_bytes, least_free_octets=limits.recording_free_bytes)
        try:
            await recording.start(self.info.egress_id, room.name, room.sid)
            self.lock()
            self._keep()
        except (RecordingError, OSError) as error:
            self._room = None
            await recording.stop("error", str(error))
            raise RecordingError(str(error)) from None
        if self.plan.layout:
            recording.set_layout(self.plan.layout)
        room.listen(self._event)
        self._look()

    async def run(self) -> None:
        """Everything after `record` or `restore`. Does not raise; ends early when it is cancelled."""
        try:
            if self._recording is not None:
                self._set(Status.EGRESS_ACTIVE, started_at=time.time_ns(), details="recording")
                await self._until_ended()
            self._set(Status.EGRESS_ENDING)
            found = await self._finish()
            await self._make(found)
        except asyncio.CancelledError:
            if self._recording is not None:
                await self._finish()
            raise
        except (ComposingError, ComposeError, manifest.ManifestError, paths.BadPath, OSError) as error:
            self._fail(str(error))
        except Exception as error:
            log.exception("egress %s", self.info.egress_id)
            self._fail("internal error: %r" % error)
        finally:
            self._leave()

    async def _until_ended(self) -> None:
        end = time.monotonic() + self._owner.limits.recording_s
        while not self._ending.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), LOOK_S)
            self._look()
            if time.monotonic() > end:
                self.stop("limit", "recordings end after %d s" % self._owner.limits.recording_s)

    async def _finish(self) -> manifest.Manifest:
        """Everything that was recorded is on disk."""
        self._leave()
        recording = self._recording
        if recording is None:
            return await asyncio.to_thread(manifest.load, self.directory)
        error = self._error if self._reason == "error" else ""
        found = await recording.stop(self._reason or "ended", error)
        if found is None:
            raise ComposingError(recording.error or "nothing was recorded")
        return found

    async def _make(self, found: manifest.Manifest) -> None:
        """The file."""
        if self._reason == "given up":
            await self._abort()
            return
        if not any(track.has_frames for track in found.tracks):
            reasons = sorted({str(entry["reason"]) for entry in found.refused})
            why = " (%s)" % "; ".join(reasons) if reasons else ""
            self._fail(self._error or found.error or "nothing was recorded" + why)
            return
        path = Path(self.plan.path)
        try:
            if self.plan.how == "move":
                done = await asyncio.to_thread(self._move, found, path)
            else:
                done = await self._compose(path)
        except ComposingError:
            if self._reason == "given up":
                await self._abort()
                return
            raise
        await self._complete(found, done)

    async def _compose(self, path: Path) -> dict[str, Any]:
        paths.make_room(self._owner.root, path)
        copies = ["--copy"] if self.plan.how == "copy" else []
        self._composing = Composing(
            [str(self.directory), "-o", str(path), *copies, *self.plan.arguments,
             "--slots", str(self._owner.tracks), "--most", str(self._owner.limits.compositions)], self._progress)
        return await self._composing.run()

    def _move(self, found: manifest.Manifest, path: Path) -> dict[str, Any]:
        """The one track's file is the result; it may have another ending than was asked for (H.264 is in Matroska)."""
        track = max((track for track in found.tracks if track.has_frames), key=lambda track: track.octets)
        source = self.directory / track.file
        paths.make_room(self._owner.root, path)
        name = place(source, path.with_suffix(source.suffix))
        return {"file": str(name), "size": name.stat().st_size, "start_s": track.start_s,
                "duration_s": track.end_s - track.start_s}

    # -- while it records

    def _must_end(self, reason: str, error: str) -> None:
        self.stop(reason, error)

    def _look(self) -> None:
        """Whoever and whatever is there and not yet recorded."""
        room, recording = self._room, self._recording
        if room is None or recording is None or not recording.is_running:
            return
        for track in room.tracks():
            if self.plan.wants(track):
                self._add(track)
            else:
                # Its owner has been hidden meanwhile.
                recording.remove_track(track.sid)
        wanted, identity = self.plan.tracks, self.plan.identity
        if room.is_closed or identity is not None and identity not in room.participants or (
                wanted is not None and not any(track.sid in wanted for track in room.tracks())):
            # Perhaps while the recording began, and nobody told us.
            self.stop("ended")

    def _add(self, track: Track) -> None:
        recording, publication = self._recording, track.publication
        if recording is None or publication is None or not self.plan.wants(track):
            return
        participant = track.participant
        recording.add_participant(participant.sid, participant.identity, participant.name)
        recording.add_track(
            track.sid, participant.sid, publication, source=source_of(track), name=track.info.name,
            size=(track.info.width, track.info.height), is_muted=track.info.muted, is_encrypted=track.is_encrypted)

    def _event(self, event: Event) -> None:
        recording = self._recording
        if recording is None:
            return
        if event.name == "track_published" and event.track is not None:
            self._add(event.track)
        elif event.name == "track_unpublished" and event.track is not None:
            recording.remove_track(event.track.sid)
        elif event.name in ("track_muted", "track_unmuted") and event.track is not None:
            recording.set_muted(event.track.sid, event.name == "track_muted")
        elif event.name in ("participant_left", "participant_connection_aborted") and event.participant is not None:
            recording.remove_participant(event.participant.sid)
            if self.plan.identity == event.participant.identity:
                self.stop("ended")
        elif event.name == "room_finished":
            self.stop("ended")
        if event.name == "track_unpublished" and self.plan.tracks:
            self._look()

    def _leave(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.unlisten(self._event)
            self._owner.mark(room)

    # -- what it says

    def _progress(self, event: dict[str, Any]) -> None:
        if event.get("event") == "waiting":
            self._tell_details("waiting for another recording to be composed")
        elif event.get("event") == "progress":
            text = "composing: %d %%" % event.get("percent", 0)
            rest = event.get("rest_s")
            if rest is not None:
                text += ", about %d s left" % max(1, round(rest))
            self._tell_details(text)

    def _tell_details(self, details: str) -> None:
        self.info.details = details
        self.info.updated_at = time.time_ns()
        now = time.monotonic()
        if now - self._told_at >= TOLD_S:
            self._told_at = now
            self._owner.tell("egress_updated", self.info)

    def _set(self, status: int, details: str = "", **fields: Any) -> None:
        self.info.status = status  # type: ignore[assignment]
        self.info.details = details
        for name, value in fields.items():
            setattr(self.info, name, value)
        self._changed()

    def _changed(self) -> None:
        self.info.updated_at = time.time_ns()
        self._keep()
        self._told_at = time.monotonic()
        if self.is_over:
            # Nobody can take it over any more.
            self.close()
        self._owner.tell("egress_ended" if self.is_over else "egress_updated", self.info)
        if self._room is not None:
            self._owner.mark(self._room)

    async def _complete(self, found: manifest.Manifest, done: dict[str, Any]) -> None:
        path = Path(done["file"])
        begin = int((found.started + done["start_s"]) * NANO)
        duration = int(done["duration_s"] * NANO)
        file = E.FileInfo(filename=str(path.relative_to(self._owner.root)), location=str(path), size=done["size"],
                          started_at=begin, ended_at=begin + duration, duration=duration)
        del self.info.file_results[:]
        self.info.file_results.append(file)
        self.info.file.CopyFrom(file)
        details = "recovered after the server had ended" if found.state == "recovered" else ""
        error = self._error or found.error
        await asyncio.to_thread(self._forget)
        if self._reason == "limit":
            self._set(Status.EGRESS_LIMIT_REACHED, details, error=error, ended_at=time.time_ns())
        elif error:
            # What could be saved is there, and so is the reason why it is not all.
            self._set(Status.EGRESS_FAILED, details, error=error, ended_at=time.time_ns())
        else:
            self._set(Status.EGRESS_COMPLETE, details, ended_at=time.time_ns())

    def _fail(self, error: str) -> None:
        log.warning("egress %s of %s failed: %s", self.info.egress_id, self.info.room_name, error)
        self._set(Status.EGRESS_FAILED, error=error, ended_at=time.time_ns())

    async def _abort(self) -> None:
        await asyncio.to_thread(self._forget)
        self._set(Status.EGRESS_ABORTED, ended_at=time.time_ns())

    # -- on disk

    def lock(self) -> bool:
        """Whether no other process has this job; the lock ends with the process."""
        if self._lock < 0:
            descriptor = os.open(self.directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            self._lock = descriptor
        return True

    def close(self) -> None:
        """Let go of it: another process may have it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _keep(self) -> None:
        """As it is now; written by the thread, in order."""
        state = {"plan": attrs.asdict(self.plan),
                 "info": MessageToDict(self.info, preserving_proto_field_name=True)}
        self._owner.worker.submit(self._write, json.dumps(state).encode())

    def _write(self, data: bytes) -> None:
        try:
            manifest.replace(self.directory / STATE, data)
        except OSError as error:
            log.warning("egress %s cannot be kept: %s", self.info.egress_id, error)

    @classmethod
    def restore(cls, owner: Egresses, directory: Path) -> Job | None:
        """A job as another process has left it; None if there is none that can be read, or somebody has it. One that is
        over is nobody's. Reads files: not for the loop's thread.
        """
        try:
            raw = json.loads((directory / STATE).read_bytes())
            info = ParseDict(raw["info"], E.EgressInfo(), ignore_unknown_fields=True)
            plan = Plan(**raw["plan"])
            job = cls(owner, info, plan, directory)
            return job if job.is_over or job.lock() else None
        except (OSError, ValueError, KeyError, TypeError, ParseError):
            return None

    def _forget(self) -> None:
        """The tracks are no longer needed: the file is there, or nobody wants it."""
        for path in list(self.directory.iterdir()):
            if path.suffix in (".webm", ".mkv", ".jsonl"):
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Nobody asks any more."""
        self.close()
        self._owner.worker.submit(shutil.rmtree, self.directory, True)

