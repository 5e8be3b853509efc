"""A media engine in memory: what was asked of it is in `asked`, and people join it with the tokens it gave."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from chatd.core.media import (
    Grants,
    MediaError,
    MediaEvent,
    MediaParticipant,
    MediaRoom,
    MediaTrack,
    Recording,
    RecordingFile,
)
from chatd.interfaces import IMediaEngine

__all__ = ["MediaDouble"]


@implementer(IMediaEngine)
class MediaDouble:
    """`rooms`: room -> identity -> participant; `grants`: what each identity may do; `broken`: every question fails."""

    name = "embedded"
    url = "wss://chat.example.com"

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.rooms: dict[str, dict[str, MediaParticipant]] = {}
        self.grants: dict[str, Grants] = {}
        self.recordings: dict[str, Recording] = {}
        self.flows: list[dict[str, Any]] = []
        self.broken = False
        self._listeners: list[Callable[[MediaEvent], object]] = []
        self._serial = 0

    def _answer(self, value: Any, *asked: Any) -> Deferred[Any]:
        if asked:
            self.asked.append(asked)
        return self._away() if self.broken else succeed(value)

    def _away(self) -> Deferred[Any]:
        return fail(MediaError("unavailable", "the media server is being started"))

    def access_token(self, identity: str, room: str, grants: Grants, name: str = "", metadata: str = "",
                     attributes: Mapping[str, str] | None = None, ttl_s: float = 600.0) -> str:
        """What it says, readable."""
        return json.dumps({"identity": identity, "room": room, "sources": grants.sources, "name": name,
                           "publish": grants.may_publish, "subscribe": grants.may_subscribe,
                           "data": grants.may_publish_data, "ttl": ttl_s})

    # -- the tests' side
    def join(self, token: str, *sources: str) -> str:
        """Somebody connects with this token and publishes these sources; gives the identity."""
        said = json.loads(token)
        tracks = tuple(MediaTrack(sid=f"TR_{source}_{said['identity']}", kind="video", source=source)
                       for source in sources)
        participant = MediaParticipant(sid=f"PA_{said['identity']}", identity=said["identity"], tracks=tracks)
        self.rooms.setdefault(said["room"], {})[said["identity"]] = participant
        self.grants[said["identity"]] = Grants(may_publish=said["publish"], sources=tuple(said["sources"]),
                                               may_publish_data=said["data"])
        self.tell("participant_joined", room=MediaRoom(sid="RM_1", name=said["room"]), participant=participant)
        return str(said["identity"])

    def tell(self, kind: str, **what: Any) -> None:
        """An event."""
        self._serial += 1
        for callback in list(self._listeners):
            callback(MediaEvent(id=f"EV_{self._serial}", kind=kind, created=0.0, **what))

    def record(self, id: str, status: str, path: str = "", **more: Any) -> None:
        """A recording goes on."""
        files = (RecordingFile(path=path, **more),) if path else ()
        self.recordings[id] = attrs.evolve(self.recordings[id], status=status, files=files)
        kind = "egress_ended" if self.recordings[id].is_over else "egress_updated"
        self.tell(kind, recording=self.recordings[id])

    # -- IMediaEngine
    def create_room(self, name: str, metadata: str = "", max_participants: int = 0, empty_timeout_s: int = 0,
                    departure_timeout_s: int = 0) -> Deferred[MediaRoom]:
        """Not needed."""
        return self._answer(MediaRoom(sid="RM_1", name=name))

    def delete_room(self, name: str) -> Deferred[bool]:
        """Everybody goes."""
        if self.broken:
            return self._away()
        return self._answer(self.rooms.pop(name, None) is not None, "delete", name)

    def list_rooms(self, names: Iterable[str] = ()) -> Deferred[list[MediaRoom]]:
        """Those somebody has joined."""
        return self._answer([MediaRoom(sid="RM_1", name=name) for name in self.rooms])

    def update_room_metadata(self, name: str, metadata: str) -> Deferred[MediaRoom]:
        """Not needed."""
        return self._answer(MediaRoom(sid="RM_1", name=name))

    def list_participants(self, room: str) -> Deferred[list[MediaParticipant]]:
        """Who has joined."""
        return self._answer(list(self.rooms.get(room, {}).values()))

    def get_participant(self, room: str, identity: str) -> Deferred[MediaParticipant | None]:
        """One of them."""
        return self._answer(self.rooms.get(room, {}).get(identity))

    def remove_participant(self, room: str, identity: str) -> Deferred[bool]:
        """Puts one out."""
        if self.broken:
            return self._away()
        return self._answer(self.rooms.get(room, {}).pop(identity, None) is not None, "remove", identity)

    def list_flows(self, room: str) -> Deferred[list[dict[str, Any]]]:
        """What the test put there."""
        return self._answer(self.flows)

    def mute_track(self, room: str, identity: str, track_sid: str, muted: bool = True) -> Deferred[MediaTrack]:
        """Mutes."""
        participant = self.rooms[room][identity]
        tracks = tuple(attrs.evolve(track, is_muted=muted) if track.sid == track_sid else track
                       for track in participant.tracks)
        self.rooms[room][identity] = attrs.evolve(participant, tracks=tracks)
        return self._answer(next(track for track in tracks if track.sid == track_sid), "mute", identity, track_sid)

    def update_participant(self, room: str, identity: str, name: str | None = None, metadata: str | None = None,
                           attributes: Mapping[str, str] | None = None,
                           grants: Grants | None = None) -> Deferred[MediaParticipant]:
        """Other grants."""
        if self.broken:
            return self._away()
        participant = self.rooms.get(room, {}).get(identity)
        if participant is None:
            return fail(MediaError("not_found", "no such participant"))
        if grants is not None:
            self.grants[identity] = grants
        return self._answer(participant, "grant", identity, grants.sources if grants is not None else None)

    def update_subscriptions(self, room: str, identity: str, track_sids: Iterable[str],
                             subscribe: bool) -> Deferred[None]:
        """Not needed."""
        return self._answer(None)

    def send_data(self, room: str, data: bytes, topic: str = "", to: Iterable[str] = (),
                  is_reliable: bool = True) -> Deferred[None]:
        """Not needed."""
        return self._answer(None)

    def start_room_recording(self, room: str, path: str, layout: str = "grid",
                             is_audio_only: bool = False) -> Deferred[Recording]:
        """Begins one."""
        recording = Recording(id=f"EG_{len(self.recordings) + 1}", room=room, status="starting")
        if not self.broken:
            self.recordings[recording.id] = recording
        return self._answer(recording, "record", room, path)

    def start_track_recording(self, room: str, track_sid: str, path: str) -> Deferred[Recording]:
        """Not needed."""
        return self._answer(Recording(id="EG_0", room=room, status="starting"))

    def stop_recording(self, id: str) -> Deferred[Recording]:
        """Ends one."""
        if id not in self.recordings:
            return fail(MediaError("not_found", "no such recording"))
        if not self.recordings[id].is_over:
            self.recordings[id] = attrs.evolve(self.recordings[id], status="ending")
        return self._answer(self.recordings[id], "stop", id)

    def list_recordings(self, room: str = "", is_active: bool = False) -> Deferred[list[Recording]]:
        """All of them."""
        return self._answer(list(self.recordings.values()))

    def listen(self, callback: Callable[[MediaEvent], object]) -> Callable[[], None]:
        """Keeps it."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)
