"""Recordings: started and stopped by moderators, made by the media engine, found again in the room and by its pass.

The engine says how a recording goes (`event`); what it says is kept, shown to everybody in the meeting, and announced
in the room's chat when the file is there, or when it is certain that there will be none.  Files live for a number of
days, and all together within a quota.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatd.core.errors import StanzaError
from chatd.core.media import MediaError, MediaEvent, Recording
from chatd.core.meeting import RecordingRow, slug
from chatd.xep.meet import state
from chatd.xep.meet.announcing import announce, announce_failure, moment, recorded_xml, tell_absent
from chatd.xep.meet.moderation import truth
from chatd.xep.muc.room import Occupant

if TYPE_CHECKING:
    from chatd.xep.api import Api
    from chatd.xep.meet.meeting import Meeting
    from chatd.xep.meet.service import Meetings
    from chatd.xep.muc.service import Ask

__all__ = ["PASS_S", "Recordings", "forget", "get_recordings", "record"]

log = Logger()

PASS_S: Final = 3600
"""How long an address of a recording opens it."""
_LOST_MS: Final = 120_000
_MB: Final = 1024 * 1024
_NAME: Final = re.compile(r"[0-9a-f]{32}\.(webm|mp4|mkv)")
_PERCENT: Final = re.compile(r"([0-9]{1,3}) ?%")
_STATES: Final = {"starting": "starting", "active": "recording", "ending": "composing", "complete": "ready",
                  "limit_reached": "ready", "failed": "failed", "aborted": "failed"}


class Recordings:
    """All recordings of this daemon, by id.

    is_on: this site records.  folder: where the engine puts the files.  is_unsure: what was under way may have got
    lost with the engine.
    """

    def __init__(self, api: Api, engine: Any) -> None:
        options = api.options
        self.is_on = bool(options["recording"] and engine is not None)
        self.folder = _folder(api.settings)
        self._engine = engine
        self._store = api.store.meetings
        self._visits = api.router.visits
        self._now = api.now
        self._days: int = options["recording_days"]
        self._quota_mb: int = options["recording_quota_mb"]
        self._services: dict[str, Meetings] = {}
        self.rows: dict[str, RecordingRow] = {}
        self.progress: dict[str, int] = {}      # of composing, per cent
        self.is_unsure = False

    def open(self, rows: list[RecordingRow], services: dict[str, Meetings]) -> None:
        """As the store has them; services: by domain."""
        self._services = services
        self.rows = {row.id: row for row in rows}
        self.is_unsure = any(not row.is_over for row in rows)
        for row in rows:
            meeting = self._meeting(row)
            if meeting is None:
                self.delete(row.id)
            elif not row.is_over and not row.ended_ms and row.state != "composing":
                meeting.recording = row

    def _meeting(self, row: RecordingRow) -> Meeting | None:
        local, _, domain = row.meeting.partition("@")
        service = self._services.get(domain)
        return service.meeting(local) if service is not None else None

    def of(self, meeting: Meeting) -> list[RecordingRow]:
        """Those of one meeting, oldest first."""
        return [row for row in self.rows.values() if row.meeting == meeting.bare]

    @property
    def used_bytes(self) -> int:
        """What all files take."""
        return sum(row.bytes for row in self.rows.values())

    # -- starting and stopping
    async def start(self, meeting: Meeting, by: str) -> None:
        """Begins to record.  Raises StanzaError not-allowed, conflict, resource-constraint, service-unavailable."""
        if not meeting.can_record:
            raise StanzaError("not-allowed", text="This meeting is encrypted from end to end: it cannot be recorded."
                              if meeting.e2ee else "Meetings are not recorded at this site.")
        if meeting.recording is not None:
            raise StanzaError("conflict", text="This meeting is being recorded.")
        if self.used_bytes >= self._quota_mb * _MB:
            raise StanzaError("resource-constraint", text="The space for recordings is used up: delete some first.")
        row = RecordingRow(secrets.token_hex(16), meeting.bare, started_ms=meeting.now_ms, started_by=by)
        meeting.recording, meeting.recording_problem = row, ""
        self.rows[row.id] = row
        meeting.publish()
        ending = "webm" if self._engine.name == "embedded" else "mp4"
        try:
            found = await self._engine.start_room_recording(meeting.bare, f"{row.id}.{ending}", "grid")
        except MediaError as error:
            self.rows.pop(row.id, None)
            meeting.recording = None
            meeting.publish()
            raise StanzaError("service-unavailable", "wait", text=f"The recording could not be started: {error.text}") \
                from None
        if row.id not in self.rows:             # its meeting was deleted meanwhile
            self._stop(attrs.evolve(row, engine_id=found.id))
            raise StanzaError("item-not-found", text="There is no such meeting any more.")
        row = attrs.evolve(self.rows[row.id], engine_id=found.id)
        self._keep(row)
        if meeting.recording is not None and meeting.recording.ended_ms:
            self._stop(row)                     # it was stopped meanwhile
        self._take(row, found)

    def stop(self, meeting: Meeting) -> None:
        """Ends the recording of a meeting; its file comes later."""
        row = meeting.recording
        if row is None or row.ended_ms:
            return
        row = attrs.evolve(self.rows[row.id], ended_ms=meeting.now_ms)
        meeting.recording = row
        self._keep(row)
        meeting.publish()
        if row.engine_id:
            self._stop(row)

    def _stop(self, row: RecordingRow) -> None:
        stopped: Deferred[Recording] = self._engine.stop_recording(row.engine_id)
        stopped.addCallbacks(lambda found: self._take(self.rows.get(row.id, row), found), self._not_stopped)

    def _not_stopped(self, failure: Any) -> None:
        if failure.check(MediaError):           # `check` finds out what has become of it
            log.warn("a recording could not be stopped: {reason}", reason=str(failure.value))
        else:
            log.failure("a recording could not be stopped", failure=failure)

    # -- what the engine tells
    def event(self, event: MediaEvent) -> None:
        """A recording has changed."""
        found = event.recording
        row = next((row for row in self.rows.values() if found is not None and row.engine_id == found.id), None)
        if found is not None and row is not None:
            self._take(row, found)
        elif found is not None:
            self._sweep(found)

    def _take(self, row: RecordingRow, found: Recording) -> None:
        now = _STATES.get(found.status, row.state)
        if row.id not in self.rows or row.state == "ready" or (row.state == "failed" and now != "ready"):
            return                              # one given up for lost may turn up all the same
        percent = _PERCENT.search(found.details) if now == "composing" else None
        if percent is not None:
            self.progress[row.id] = int(percent[1])
        elif now != "composing":
            self.progress.pop(row.id, None)
        file = found.files[0] if found.files else None
        changed = attrs.evolve(row, state=now)
        if now in ("composing", "ready", "failed") and not row.ended_ms:
            changed = attrs.evolve(changed, ended_ms=int(self._now() * 1000))
        if now == "ready" or (now == "failed" and file is not None and file.size_bytes):
            path = self._inside(file.path) if file is not None else None
            if path is not None and file is not None:
                size = file.size_bytes or (self.folder / path).stat().st_size
                changed = attrs.evolve(changed, state="ready", path=path, bytes=size,
                                       duration_ms=int(file.duration_s * 1000))
            else:
                changed = attrs.evolve(changed, state="failed", error="The file is not where this server looks for it.")
        elif now == "failed":
            changed = attrs.evolve(changed, error=_sentence(found.error) or "The recording broke off.")
        if changed.state == "ready":
            changed = attrs.evolve(changed, error="")
        if changed != row:
            kept = self._keep(changed)
            self._show(row, changed)
            if changed.state in ("ready", "failed") and changed.state != row.state:
                # When it is in the store: after a crash the engine may tell it once more, and nobody is told twice.
                kept.addCallback(lambda is_kept: self._tell(changed) if is_kept else None)

    def _show(self, old: RecordingRow, new: RecordingRow) -> None:
        meeting = self._meeting(new)
        if meeting is None:
            return
        if meeting.recording is not None and meeting.recording.id == new.id:
            meeting.recording = new if new.state in ("starting", "recording") else None
            meeting.recording_problem = new.error
            meeting.publish()
        elif meeting.recording is None and new.state == "failed":
            meeting.recording_problem = new.error
            meeting.publish()
        if new.state == "ready" != old.state:
            announce(meeting, new, self._days)
        elif new.state == "failed" != old.state:
            log.warn("the recording {id} of {room} failed: {reason}", id=new.engine_id, room=meeting.bare,
                     reason=new.error)
            announce_failure(meeting, new, self._days)

    def _tell(self, row: RecordingRow) -> None:
        meeting = self._meeting(row)
        if meeting is not None and self.rows.get(row.id) == row:
            tell_absent(meeting, row, self._days)

    def _sweep(self, found: Recording) -> None:
        """The file of a recording that was deleted while it was still being made goes as well.

        An engine does not always give up what it is making; that it is ours is told by its name.
        """
        for file in found.files if found.is_over else ():
            path = self._inside(file.path)
            if path is not None and _NAME.fullmatch(path) and Path(path).stem not in self.rows:
                (self.folder / path).unlink(missing_ok=True)

    def _inside(self, told: str) -> str | None:
        """The path of a file inside the folder, None where it is none there."""
        path = (self.folder / told).resolve()
        folder = self.folder.resolve()
        return str(path.relative_to(folder)) if path.is_relative_to(folder) and path.is_file() else None

    async def check(self) -> None:
        """What the engine tells was perhaps missed, or it has lost a recording; and files that are old enough go."""
        now_ms = int(self._now() * 1000)
        pending = [row for row in self.rows.values() if not row.is_over]
        if pending and self._engine is not None:
            known = {found.id: found for found in await self._engine.list_recordings()}
            ours = {row.engine_id for row in self.rows.values()}
            for found in known.values():
                if found.id not in ours:
                    self._sweep(found)
            for row in pending:
                found = known.get(row.engine_id)
                if found is not None:
                    self._take(row, found)
                elif now_ms - max(row.started_ms, row.ended_ms) > _LOST_MS:
                    self._take(row, Recording(id=row.engine_id, room=row.meeting, status="failed",
                                              error="The media server was restarted meanwhile."))
        self.is_unsure = self.is_unsure and any(not row.is_over for row in self.rows.values())
        for row in list(self.rows.values()):
            if self._days and row.is_over and now_ms - row.ended_ms > self._days * 86_400_000:
                self.delete(row.id)

    # -- looking and deleting
    def delete(self, id: str) -> None:
        """Deletes a recording with its file."""
        row = self.rows.pop(id, None)
        if row is None:
            return
        self.progress.pop(id, None)
        if row.path:
            try:
                (self.folder / row.path).unlink(missing_ok=True)
            except OSError as error:
                # Nobody gets at it any more; its meeting, and all the others, go on all the same.
                log.error("{path} of a recording that is deleted stays: {reason}", path=self.folder / row.path,
                          reason=error.strerror)
        if not row.is_over and row.engine_id and self._engine is not None:
            self._stop(row)
        self._store.delete_recording(id).addErrback(
            lambda failure: log.failure("a recording could not be forgotten", failure=failure))

    def file(self, id: str, given: str) -> tuple[Path, str] | None:
        """See IMeetings.recording."""
        row = self.rows.get(id)
        if row is None or row.state != "ready" or self._visits.taken("recording", given) != id:
            return None
        meeting = self._meeting(row)
        name = slug(meeting.config["name"]) if meeting is not None else "meeting"
        return self.folder / row.path, f"{name}-{moment(row):%Y-%m-%d-%H%M}{Path(row.path).suffix}"

    def address(self, meeting: Meeting, row: RecordingRow, opens: bool) -> str:
        """Where it is found; opens: with a pass."""
        url = f"{meeting.service.public_url}/recordings/{row.id}"
        return f"{url}?pass={self._visits.give('recording', row.id, PASS_S)}" if opens else url

    def _keep(self, row: RecordingRow) -> Deferred[bool]:
        """Fires with whether it is in the store."""
        self.rows[row.id] = row
        kept: Deferred[None] = self._store.keep_recording(row)
        return kept.addCallbacks(lambda _: True, self._not_kept)

    def _not_kept(self, failure: Any) -> bool:
        log.failure("a recording could not be kept", failure=failure)
        return False

    @property
    def days(self) -> int:
        """After how many days they go; 0: never."""
        return self._days


def _folder(settings: Any) -> Path:
    media = getattr(settings, "media", None)
    found = getattr(media, "recordings", None)
    state_dir = getattr(settings.server, "state_dir", Path("."))
    return Path(found) if found is not None else Path(state_dir) / "recordings"


def _sentence(error: str) -> str:
    """What an engine said, as people write it."""
    error = error.strip()
    return error[:1].upper() + error[1:] + ("" if error.endswith((".", "!", "?")) else ".") if error else ""


# -- what people ask
async def record(ask: Ask, meeting: Meeting, actor: Occupant) -> None:
    """<record on=…/> of a moderator."""
    is_on = truth(ask.child, "on")
    if is_on is None:
        raise StanzaError("bad-request", text="record says on.")
    if is_on:
        await meeting.service.recordings.start(meeting, actor.nick)
    elif meeting.recording is None:
        raise StanzaError("conflict", text="This meeting is not being recorded.")
    else:
        meeting.service.recordings.stop(meeting)


def _check_keeper(ask: Ask, meeting: Meeting) -> None:
    bare = ask.from_.bare
    if meeting.service.is_guest(bare) or not meeting.is_at_least(bare, "admin"):
        raise StanzaError("forbidden", text="Recordings are for the meeting's owners and admins.")


def get_recordings(ask: Ask, meeting: Meeting) -> bytes:
    """All recordings of this meeting, each with an address that opens it.  Raises StanzaError forbidden."""
    _check_keeper(ask, meeting)
    found = meeting.service.recordings
    inner = "".join(recorded_xml(meeting, row, found.days, found.address(meeting, row, True) if row.state == "ready"
                                 else "") for row in found.of(meeting))
    return state.element("recordings", {}, inner).encode()


def forget(ask: Ask, meeting: Meeting) -> bytes:
    """Deletes one.  Raises StanzaError forbidden, item-not-found."""
    _check_keeper(ask, meeting)
    id = ask.child.getAttribute("id") or ""
    found = meeting.service.recordings
    if id not in {row.id for row in found.of(meeting)}:
        raise StanzaError("item-not-found", text="This meeting has no such recording.")
    if meeting.recording is not None and meeting.recording.id == id:
        raise StanzaError("conflict", text="This is the recording that runs: stop it first.")
    found.delete(id)
    return b""
