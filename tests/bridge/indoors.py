"""A room without a port and without a network, for tests of what its people say; its clock stands still."""

from __future__ import annotations

from typing import Any

from livekit.protocol import models as M
from livekit.protocol import rtc as R

from chatd.bridge import requests
from chatd.bridge.participant import Participant
from chatd.bridge.room import Room
from chatd.bridge.rooms import Rooms
from chatd.bridge.settings import Limits
from chatd.bridge.tokens import Grants


class Deaf:
    """A negotiation that only keeps the data it is given."""

    is_lost = False

    def __init__(self) -> None:
        self.data: list[bytes] = []

    def send_data(self, label: str, message: bytes) -> bool:
        self.data.append(message)
        return True

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None


class Place:
    """A room without a port, on a clock of its own."""

    def __init__(self, **limits: int) -> None:
        self.now = 100.0
        self.rooms = Rooms(Limits(**limits), lambda: self.now)
        self.room: Room = self.rooms.create("room")

    def joins(self, identity: str, **video: Any) -> Participant:
        grants = Grants("key", identity, {"roomJoin": True, "room": "room", "canPublishSources": [], **video}, 1e12)
        participant = Participant(self.room, grants, True)
        participant.negotiation = Deaf()  # type: ignore[assignment]
        self.room.add(participant)
        return participant

    def says(self, participant: Participant, **fields: Any) -> None:
        flood = self.rooms.floods.of("room", participant.identity)
        requests.handle(participant, R.SignalRequest(**fields), flood)

    def publishes(self, participant: Participant, cid: str = "1", **more: Any) -> Any:
        self.says(participant, add_track=R.AddTrackRequest(**{
            "cid": cid, "type": M.TrackType.VIDEO, "source": M.TrackSource.CAMERA, **more}))
        track = list(participant.tracks.values())[-1]
        participant.publish(track)
        return track
