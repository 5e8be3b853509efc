"""A media room: who is in it, and what everybody is told. `rooms.py` keeps the rooms of the process.

Everything here runs in the loop's thread and never waits. Participants are keyed by identity: there is one of a kind.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable, Iterable, Iterator
from typing import TYPE_CHECKING

from livekit.protocol import models as M
from livekit.protocol import rtc as R

from chatd.bridge.events import Event, Listeners
from chatd.bridge.speakers import Speakers
from chatd.bridge.tracks import FORWARDED, MIME_TYPES, Track, new_sid
from chatd.bridge.wire import Message

if TYPE_CHECKING:
    from chatd.bridge.participant import Participant
    from chatd.bridge.rooms import Rooms

Reason = M.DisconnectReason
log = logging.getLogger(__name__)


class Room:
    """See the module. `participants`: identity -> participant, hidden ones too; `listeners` hear of this room alone.

    `info()` is the room as LiveKit's messages show it.
    """

    def __init__(self, rooms: Rooms, name: str, *, empty_timeout_s: int, departure_timeout_s: int,
                 max_participants: int, metadata: str = "") -> None:
        self.rooms = rooms
        self.name = name
        self.sid = new_sid("RM")
        self.empty_timeout_s = empty_timeout_s
        self.departure_timeout_s = departure_timeout_s
        self.max_participants = max_participants
        self.metadata = metadata
        self.is_recording = False
        self.is_closed = False
        self.created_at = time.time()
        self.participants: dict[str, Participant] = {}
        self.listeners = Listeners()
        self.speakers = Speakers()
        self._told_participants = 0
        # Since when nobody is in it (loop time), and whether anybody ever was.
        self.empty_since: float | None = rooms.now()
        self.was_used = False

    # -- what it is

    def info(self) -> M.Room:
        """A fresh message; `num_participants` counts those who are not hidden."""
        seen = [p for p in self.participants.values() if not p.is_hidden]
        return M.Room(
            sid=self.sid, name=self.name, empty_timeout=self.empty_timeout_s,
            departure_timeout=self.departure_timeout_s, max_participants=self.max_participants,
            creation_time=int(self.created_at), creation_time_ms=int(self.created_at * 1000), metadata=self.metadata,
            num_participants=len(seen), num_publishers=sum(1 for p in seen for _ in list(p.published())[:1]),
            active_recording=self.is_recording,
            enabled_codecs=[M.Codec(mime=MIME_TYPES[word]) for word in FORWARDED],
        )

    def tracks(self) -> Iterator[Track]:
        """All published tracks."""
        for participant in list(self.participants.values()):
            yield from participant.published()

    def track(self, sid: str) -> Track | None:
        """The published track with this sid."""
        return next((track for track in self.tracks() if track.sid == sid), None)

    # -- listeners

    def listen(self, listener: object) -> None:
        """Call `listener(event)` for this room's events; see events.py."""
        self.listeners.add(listener)  # type: ignore[arg-type]

    def unlisten(self, listener: object) -> None:
        """No longer."""
        self.listeners.remove(listener)  # type: ignore[arg-type]

    def happened(self, name: str, participant: Participant | None = None, track: Track | None = None) -> None:
        """Tell the listeners of this room and those of all rooms."""
        event = Event(name, self, participant, track)
        self.listeners.tell(event)
        self.rooms.listeners.tell(event)

    # -- who is in

    def add(self, participant: Participant) -> None:
        """A new participant; one of the same identity has to go first (`remove` with DUPLICATE_IDENTITY)."""
        self.participants[participant.identity] = participant
        self.empty_since = None
        self.was_used = True
        self.announce(participant)

    def remove(self, participant: Participant, reason: Reason,
               action: R.LeaveRequest.Action | None = R.LeaveRequest.Action.DISCONNECT) -> None:
        """End a participant: it gets `leave` with the reason (not with `action` None), the others learn that it is
        gone. Nothing happens if it is gone already.
        """
        if self.participants.get(participant.identity) is not participant:
            return
        del self.participants[participant.identity]
        was_active = participant.was_active
        if action is not None:
            participant.tell(leave=R.LeaveRequest(
                reason=reason, action=action, can_reconnect=action != R.LeaveRequest.Action.DISCONNECT))
        participant.close(reason)
        log.info("%s has left %s: %s", participant.identity, self.name, Reason.Name(reason).lower())
        self.announce(participant)
        self.happened("participant_left" if was_active else "participant_connection_aborted", participant)
        if not self.participants:
            self.empty_since = self.rooms.now()

    def close(self, reason: Reason, action: R.LeaveRequest.Action = (
            R.LeaveRequest.Action.DISCONNECT)) -> None:
        """End the room and everybody in it (ROOM_DELETED, SERVER_SHUTDOWN). `rooms.delete` is what callers want."""
        self.is_closed = True
        for participant in list(self.participants.values()):
            self.remove(participant, reason, action)
        self.happened("room_finished")

    # -- what everybody is told

    def tell(self, but: Participant | None = None, **fields: object) -> None:
        """Send one SignalResponse to all participants but one; it is written once for all."""
        message = Message(R.SignalResponse(**fields))  # type: ignore[arg-type]
        for participant in list(self.participants.values()):
            if participant is not but:
                participant.send(message)

    def announce(self, participant: Participant, to_self: bool = False) -> None:
        """Tell the others what a participant is like now: a hidden one only to itself."""
        update = R.ParticipantUpdate(participants=[participant.info()])
        if not participant.is_hidden:
            self.tell(but=None if to_self else participant, update=update)
        elif to_self:
            participant.tell(update=update)

    def others(self, participant: Participant) -> list[M.ParticipantInfo]:
        """Whom a participant sees."""
        return [p.info() for p in self.participants.values() if p is not participant and not p.is_hidden]

    def set_metadata(self, metadata: str) -> None:
        """The room's metadata; everybody is told."""
        self.metadata = metadata
        self.tell(room_update=R.RoomUpdate(room=self.info()))

    def set_recording(self, is_recording: bool) -> None:
        """The mark that people see while they are recorded."""
        if is_recording != self.is_recording:
            self.is_recording = is_recording
            self.tell(room_update=R.RoomUpdate(room=self.info()))

    # -- tracks

    def published(self, track: Track) -> None:
        """A track has its media section: everybody may have it."""
        self.announce(track.participant)
        self.happened("track_published", track.participant, track)
        for participant in list(self.participants.values()):
            participant.subscriptions.consider(track)

    def unpublished(self, track: Track) -> None:
        """A track ends; the caller closes it afterwards."""
        self.happened("track_unpublished", track.participant, track)
        for participant in list(self.participants.values()):
            participant.subscriptions.drop(track)
        if not track.participant.is_closed:
            # Whoever leaves is announced once, when all its tracks have ended.
            self.announce(track.participant)

    # -- clock

    def tick(self, now: float) -> None:
        """Twice a second: who speaks; how many there are, if that has changed."""
        self._tell_speakers(now)
        seen = sum(1 for p in self.participants.values() if not p.is_hidden)
        if seen != self._told_participants:
            self._told_participants = seen
            self.tell(room_update=R.RoomUpdate(room=self.info()))

    def _tell_speakers(self, now: float) -> None:
        amplitudes: dict[Hashable, float] = {}
        for track in self.tracks():
            if track.kind == "audio" and track.publication is not None:
                amplitude = track.publication.level.take()
                if not track.info.muted and not track.participant.is_hidden:
                    sid = track.participant.sid
                    amplitudes[sid] = max(amplitudes.get(sid, 0.0), amplitude)
        changes = self.speakers.update(amplitudes, now)
        if changes:
            self.tell(speakers_changed=R.SpeakersChanged(speakers=_speakers(changes)))

    def active_speakers(self) -> list[M.SpeakerInfo]:
        """Who speaks now, for somebody who has just come."""
        return _speakers((sid, level, True) for sid, level in self.speakers.active())


def _speakers(changes: Iterable[tuple[object, float, bool]]) -> list[M.SpeakerInfo]:
    return [M.SpeakerInfo(sid=str(sid), level=level, active=active) for sid, level, active in changes]
