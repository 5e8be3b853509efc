"""All egresses of a bridge process: those that run, those that are over for a while, those a dead process has left.

Below the folder of recordings, `.tracks/EG_…/` holds what belongs to one egress (egressjob.py). Several processes share
the folder: whoever has a job's lock owns it.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from livekit.protocol import egress as E

from chatd.bridge.egressjob import STATE, Job, Plan, Status
from chatd.bridge.recording.desk import Worker
from chatd.bridge.recording.recorder import RecordingError
from chatd.bridge.tracks import new_sid

if TYPE_CHECKING:
    from chatd.bridge.room import Room
    from chatd.bridge.settings import Limits

log = logging.getLogger(__name__)

FOLDER = ".tracks"
# What is over can be asked for so long; a failed one's tracks can be composed by hand meanwhile.
KEPT_S = 7 * 86400.0
LOOK_S = 10.0
CLOSE_S = 15.0


class TooMany(Exception):
    """No more at once; the text says how many."""


class Egresses:
    """`root`: the folder of recordings; `clock`: the media port's; `tell(event name, info)`: webhooks.

    `start` before anything else (it takes over what was left behind); `close` at the end.
    """

    def __init__(self, root: Path, limits: Limits, clock: Callable[[], float],
                 tell: Callable[[str, E.EgressInfo], None] = lambda name, info: None) -> None:
        self.root = root.absolute()
        self.tracks = self.root / FOLDER
        self.limits = limits
        self.clock = clock
        self.tell = tell
        self.worker = Worker()
        self.jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Make the folder, go on with what was left behind, and go on looking for such. OSError."""
        await asyncio.to_thread(self.tracks.mkdir, 0o750, True, True)
        await self._take_over()
        self._looking = asyncio.create_task(self._look())

    async def close(self) -> None:
        """The process ends: what is recorded is finished, composing is left to the next process."""
        if self._looking is not None:
            self._looking.cancel()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_S)
        for job in self.jobs.values():
            job.close()
        await asyncio.to_thread(self.worker.stop)

    async def begin(self, room: Room, plan: Plan, request: str, asked: E.RoomCompositeEgressRequest
                    | E.ParticipantEgressRequest | E.TrackCompositeEgressRequest | E.TrackEgressRequest) -> Job:
        """Record a room. `request`: which field of EgressInfo holds what was asked. TooMany, RecordingError."""
        running = sum(1 for job in self.jobs.values() if job.is_recording)
        if running >= self.limits.recordings:
            raise TooMany("no more than %d recordings at a time" % self.limits.recordings)
        id_ = new_sid("EG")
        now = time.time_ns()
        info = E.EgressInfo(egress_id=id_, room_id=room.sid, room_name=room.name, status=Status.EGRESS_STARTING,
                            source_type=E.EgressSourceType.EGRESS_SOURCE_TYPE_SDK, started_at=now, updated_at=now)
        getattr(info, request).CopyFrom(asked)
        job = Job(self, info, plan, self.tracks / id_)
        self.jobs[id_] = job
        try:
            await job.record(room)
        except RecordingError:
            del self.jobs[id_]
            shutil.rmtree(self.tracks / id_, ignore_errors=True)
            raise
        self.tell("egress_started", info)
        self._run(job)
        return job

    def mark(self, room: Room) -> None:
        """Whether people in the room see that they are recorded."""
        room.set_recording(any(job.is_recording and job.room is room for job in self.jobs.values()))

    def _run(self, job: Job) -> None:
        task = asyncio.create_task(job.run())
        id_ = job.info.egress_id
        self._tasks[id_] = task
        task.add_done_callback(lambda _: self._tasks.pop(id_, None))

    # -- what others have left behind

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._take_over()
            except OSError as error:
                log.warning("the folder of recordings: %s", error)

    async def _take_over(self) -> None:
        """Those that nobody has any more, and those that are over, so that they can be asked for: a process whose
        daemon was killed may have finished its own while we were starting.
        """
        for job in await asyncio.to_thread(self._left_behind, set(self.jobs)):
            id_ = job.directory.name
            if id_ in self.jobs:
                job.close()
            elif job.is_over:
                self.jobs[id_] = job
            else:
                log.info("egress %s goes on", id_)
                self.jobs[id_] = job
                self._run(job)
        for id_, job in list(self.jobs.items()):
            if job.is_over and _is_old(job):
                del self.jobs[id_]
                job.remove()

    def _left_behind(self, known: set[str]) -> list[Job]:
        """In a thread of its own: folders may be many, and disks slow."""
        found = []
        for directory in self.tracks.iterdir():
            if directory.name not in known and (directory / STATE).is_file():
                job = Job.restore(self, directory)
                if job is not None:
                    found.append(job)
        return found


def _is_old(job: Job) -> bool:
    return time.time() - job.info.ended_at / 1e9 > KEPT_S
