"""The rooms of this process: made when somebody joins or the server API asks, ended when nobody is left for a while."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator

from livekit.protocol import models as M
from livekit.protocol import rtc as R

from chatd.bridge.bucket import Bucket
from chatd.bridge.events import Listener, Listeners
from chatd.bridge.flood import Floods
from chatd.bridge.participant import Participant
from chatd.bridge.room import Room
from chatd.bridge.settings import Limits

MOST_NAME = 256

log = logging.getLogger(__name__)


class LimitExceeded(Exception):
    """One of the process's limits is reached; the text says which."""


class Rooms:
    """Rooms by name. `listeners` hear of all of them (events.py). `now`: the loop's clock, seconds."""

    def __init__(self, limits: Limits, now: Callable[[], float] | None = None) -> None:
        self.limits = limits
        self.now = now or asyncio.get_running_loop().time
        self.listeners = Listeners()
        self.floods = Floods(limits, self.now)
        # Data messages delivered by all: media must go on beside them.
        self.delivered = Bucket(limits.all_data_bytes_per_second, 4 * limits.all_data_bytes_per_second, self.now())
        # What was refused or dropped, and how often; part of the health reports.
        self.dropped: Counter[str] = Counter()
        self._rooms: dict[str, Room] = {}

    def listen(self, listener: Listener) -> None:
        """Call `listener(event)` for every event of every room."""
        self.listeners.add(listener)

    def count(self, reason: str) -> None:
        """Something of a participant's was refused or dropped."""
        self.dropped[reason] += 1

    def __iter__(self) -> Iterator[Room]:
        return iter(list(self._rooms.values()))

    def __len__(self) -> int:
        return len(self._rooms)

    def get(self, name: str) -> Room | None:
        """The room of this name."""
        return self._rooms.get(name)

    def create(self, name: str, *, empty_timeout_s: int = 0, departure_timeout_s: int = 0, max_participants: int = 0,
               metadata: str = "") -> Room:
        """The room of this name, made if it does not exist (then with these values; 0 means the limits' default).

        LimitExceeded: too many rooms, or an empty or too long name.
        """
        room = self._rooms.get(name)
        if room is not None:
            return room
        if not name or len(name) > MOST_NAME:
            raise LimitExceeded("a room's name has 1 to %d characters" % MOST_NAME)
        if len(self._rooms) >= self.limits.rooms:
            raise LimitExceeded("this bridge has no room for more than %d rooms" % self.limits.rooms)
        room = self._rooms[name] = Room(
            self, name, empty_timeout_s=empty_timeout_s or self.limits.empty_timeout_s,
            departure_timeout_s=departure_timeout_s or self.limits.departure_timeout_s,
            max_participants=max_participants, metadata=metadata)
        room.happened("room_started")
        return room

    def delete(self, name: str, reason: M.DisconnectReason = M.DisconnectReason.ROOM_DELETED,
               action: R.LeaveRequest.Action = R.LeaveRequest.Action.DISCONNECT) -> bool:
        """End a room; everybody in it is told why. False if there is none."""
        room = self._rooms.pop(name, None)
        if room is None:
            return False
        room.close(reason, action)
        return True

    def close(self) -> None:
        """The process ends: clients are told to join anew, wherever their URL leads then."""
        for name in list(self._rooms):
            self.delete(name, M.DisconnectReason.SERVER_SHUTDOWN, R.LeaveRequest.Action.RECONNECT)

    def counts(self) -> dict[str, int]:
        """For health reports: rooms, participants, tracks."""
        people = [p for room in self._rooms.values() for p in room.participants.values()]
        return {"rooms": len(self._rooms), "participants": len(people),
                "tracks": sum(1 for p in people for _ in p.published())}

    def tick(self) -> None:
        """Twice a second."""
        now = self.now()
        for room in list(self._rooms.values()):
            clocks: list[Room | Participant] = [room, *room.participants.values()]
            for one in clocks:
                try:
                    one.tick(now)
                except Exception:
                    # One's trouble must not stop everybody's clock.
                    log.exception("a clock in %s", room.name)
            if room.empty_since is not None:
                limit = room.departure_timeout_s if room.was_used else room.empty_timeout_s
                if now - room.empty_since >= limit:
                    self.delete(room.name, M.DisconnectReason.ROOM_CLOSED)
