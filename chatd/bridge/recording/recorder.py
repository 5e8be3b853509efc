"""One recording of a meeting as the loop sees it.

    recording = Recording(worker, directory, clock=port.now, …)
    await recording.start("EG_…", "room", "RM_…")
    recording.add_participant("PA_…", "alice@example.org", "Alice")
    recording.add_track("TR_…", "PA_…", publication, source="camera", name="", size=(1280, 720))
    recording.set_muted("TR_…", True); recording.remove_track("TR_…"); recording.remove_participant("PA_…")
    manifest = await recording.stop()

`on_ended(reason, error)`: it has to end by itself: "error" (nothing more can be written), "limit" (size, disk); its
owner then calls `stop`. Nothing here waits for the disk.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from chatd.bridge.forward import Publication
from chatd.bridge.recording.desk import Desk, Worker
from chatd.bridge.recording.feed import Feed, Item, Sound
from chatd.bridge.recording.manifest import Manifest
from chatd.bridge.recording.writer import SUFFIX
from chatd.bridge.rtp import Packet

log = logging.getLogger(__name__)

TICK_S = 0.1
# What may wait for the disk: some ten seconds of thirty cameras.
MOST_WAITING_BYTES = 96 << 20


class RecordingError(Exception):
    """The recording could not be begun; the text says why."""


@attrs.frozen
class _Tap:
    """A feed, and the name under which its file is known to the thread and the journal."""

    feed: Feed
    key: str


class Recording:
    """See the module. `clock`: the media port's; `most_octets`, `least_free_octets`: see Desk.

    `manifest` and `error` are there after `stop`; `limit`: which limit ended it.
    """

    def __init__(self, worker: Worker, directory: Path, *, clock: Callable[[], float],
                 on_ended: Callable[[str, str], None], most_octets: int = 1 << 50,
                 least_free_octets: int = 0) -> None:
        self.directory = directory
        self.manifest: Manifest | None = None
        self.error = self.limit = ""
        self.refused: dict[str, str] = {}
        self._worker = worker
        self._clock = clock
        self._on_ended = on_ended
        self._loop = asyncio.get_running_loop()
        self._desk = Desk(directory, partial(self._from_thread, self._failed), most_octets, least_free_octets)
        self._taps: dict[str, _Tap] = {}
        # What has had a file: another one of the same sid has another key.
        self._used: set[str] = set()
        self._names: dict[str, str] = {}
        self._files = 0
        self._zero = 0.0
        self._handed = 0
        self._timer: asyncio.TimerHandle | None = None
        self._state = "new"
        self._stopped: asyncio.Future[None] = self._loop.create_future()

    @property
    def at(self) -> float:
        """Seconds since it began."""
        return self._clock() - self._zero

    @property
    def is_running(self) -> bool:
        """Whether packets are taken."""
        return self._state == "running"

    @property
    def thread_s(self) -> float:
        """Seconds of processor time that the thread has worked for it."""
        return self._desk.busy_s

    async def start(self, id_: str, room: str, room_sid: str) -> None:
        """Make its directory, which must not exist; RecordingError if that cannot be."""
        done: asyncio.Future[str] = self._loop.create_future()
        fields = {"id": id_, "room": room, "room_sid": room_sid, "time": round(time.time(), 3)}
        self._zero = self._clock()
        self._worker.submit(self._desk.open, 0.0, fields, partial(self._from_thread, _resolve, done))
        error = await done
        if error:
            self._state = "over"
            raise RecordingError(error)
        self._state = "running"
        self._tick()

    # -- what is recorded

    def add_participant(self, sid: str, identity: str, name: str) -> None:
        """Somebody is there; again if the name has changed."""
        if self._names.get(sid) != name:
            self._names[sid] = name
            self._note("participant", sid=sid, identity=identity, name=name)

    def remove_participant(self, sid: str) -> None:
        """Somebody has gone."""
        if self._names.pop(sid, None) is not None:
            self._note("left", sid=sid)

    def add_track(self, sid: str, participant: str, publication: Publication, *, source: str, name: str = "",
                  size: tuple[int, int] = (0, 0), is_muted: bool = False, is_encrypted: bool = False) -> str:
        """Record a track from now on. What is given back says why it is not recorded, and is empty if it is.

        Nothing happens if it is recorded already. Another publication under the same sid (the publisher changed the
        codec) ends the first one's file and gets one of its own.
        """
        if not self.is_running or self.has_track(sid, publication):
            return self.refused.get(sid, "")
        reason = ""
        if is_encrypted:
            reason = "it is end-to-end encrypted"
        elif publication.codec not in SUFFIX:
            reason = "its codec %s cannot be recorded" % publication.codec
        if reason:
            self.refused[sid] = reason
            self._note("refused", sid=sid, participant=participant, kind=publication.kind, source=source,
                       reason=reason)
            return reason
        self.remove_track(sid)
        key = sid if sid not in self._used else "%s/%d" % (sid, self._files + 1)
        self._used.add(sid)
        # File names are ours alone: nothing of a peer's is in them.
        self._files += 1
        file = "%02d-%s%s" % (self._files, publication.kind, SUFFIX[publication.codec])
        self._worker.submit(self._desk.add, self.at, key, publication.codec, file, size, {
            "participant": participant, "kind": publication.kind, "source": source, "name": name})
        self._taps[sid] = _Tap(Feed(publication, self._clock()), key)
        if is_muted:
            self.set_muted(sid, True)
        return ""

    def has_track(self, sid: str, publication: Publication) -> bool:
        """Whether this publication of the track is recorded, or refused for good."""
        tap = self._taps.get(sid)
        return sid in self.refused or tap is not None and tap.feed.publication is publication

    def set_muted(self, sid: str, is_muted: bool) -> None:
        """The track is muted, or no longer. Nothing is recorded while it is."""
        tap = self._taps.get(sid)
        if tap is None or tap.feed.is_paused == is_muted:
            return
        self._note("muted", sid=tap.key, muted=is_muted)
        if is_muted:
            tap.feed.pause()
        else:
            tap.feed.resume(self._clock())

    def remove_track(self, sid: str) -> None:
        """The track has ended."""
        tap = self._taps.get(sid)
        if tap is not None:
            self._hand_over()
            del self._taps[sid]
            tap.feed.close()
            self._worker.submit(self._desk.remove, tap.key, self.at)

    def set_layout(self, layout: str) -> None:
        """How it is to be composed from now on."""
        self._note("layout", layout=layout)

    async def stop(self, reason: str = "stopped", error: str = "") -> Manifest | None:
        """End it and wait until everything is on disk. Gives the manifest, None if there is none (see `error`)."""
        if self._state == "running":
            self._state = "stopping"
            if self._timer is not None:
                self._timer.cancel()
            self._hand_over()
            for tap in self._taps.values():
                tap.feed.close()
            self._taps.clear()
            self._worker.submit(self._desk.close, self.at, reason, error or self.error,
                                partial(self._from_thread, self._closed))
        if self._state == "stopping":
            await asyncio.shield(self._stopped)
        return self.manifest

    # -- inside

    def _note(self, event: str, **fields: Any) -> None:
        if self.is_running:
            self._worker.submit(self._desk.note, event, self.at, fields)

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK_S, self._tick)
        self._hand_over()

    def _hand_over(self) -> None:
        batches: list[tuple[str, list[Item]]] = []
        octets = 0
        for tap in self._taps.values():
            # A track that is silent is looked at as well: what it waits for may be due.
            items = tap.feed.take()
            batches.append((tap.key, items))
            octets += sum([len(item.payload) for item in items if type(item) is Packet])
            octets += sum([len(item.packet.payload) for item in items if type(item) is Sound])
        self._handed += octets
        if batches:
            self._worker.submit(self._desk.process, batches, self.at, self._zero, octets,
                                partial(self._from_thread, self._ask))
        if self._handed - self._desk.octets_done > MOST_WAITING_BYTES:
            self._failed("error", "the disk does not keep up")

    def _from_thread(self, call: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:
            log.warning("the loop had ended before a recording")

    def _ask(self, keys: list[str]) -> None:
        now = self._clock()
        for tap in self._taps.values():
            if tap.key in keys:
                tap.feed.request_keyframe(now)

    def _failed(self, reason: str, text: str) -> None:
        if self.is_running and not self.error and not self.limit:
            if reason == "limit":
                self.limit = text
            else:
                self.error = text
            # Nothing more is collected, whenever its owner comes round to `stop`.
            for tap in self._taps.values():
                tap.feed.close()
            self._on_ended(reason, text)

    def _closed(self, found: Manifest | None, error: str) -> None:
        self._state = "over"
        self.manifest, self.error = found, error
        if not self._stopped.done():
            self._stopped.set_result(None)


def _resolve(future: asyncio.Future[str], value: str) -> None:
    if not future.done():
        future.set_result(value)
