"""One participant of a room: what it is, what it may, what it publishes, and how it is reached.

    participant.identity, .sid, .name, .metadata, .attributes, .permission, .state, .tracks
    participant.info()                                    # M.ParticipantInfo as others see it
    participant.update(name=…, metadata=…, attributes=…, permission=…)     # by itself or by the server API
    participant.mute("TR_…", True)                        # by the server API: it is told, and silenced here
    participant.subscribe(["TR_…"], True)
    participant.room.remove(participant, Reason.PARTICIPANT_REMOVED)

Its WebSocket (`signal`) may be lost and come back: it, its media and its subscriptions go on meanwhile.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from livekit.protocol import models as M
from livekit.protocol import rtc as R

from chatd.bridge.data import DataIn
from chatd.bridge.dynacast import Dynacast
from chatd.bridge.subscriptions import Subscriptions
from chatd.bridge.tracks import Encoding, Track, new_sid
from chatd.bridge.wire import Message, Outbox

if TYPE_CHECKING:
    from chatd.bridge.negotiation import Negotiation
    from chatd.bridge.room import Room
    from chatd.bridge.signalling import Signal
    from chatd.bridge.tokens import Grants

log = logging.getLogger(__name__)

# Of every second, or with a token or credentials in them.
UNLOGGED = ("pong", "pong_resp", "refresh_token", "reconnect")

Info = M.ParticipantInfo
Reason = M.DisconnectReason
Action = R.LeaveRequest.Action
QUALITY_S = 5.0
# From the end of its media to its leave.
FAREWELL_S = 2.0
SCORES = {M.ConnectionQuality.POOR: 2.0, M.ConnectionQuality.GOOD: 3.5, M.ConnectionQuality.EXCELLENT: 4.8,
          M.ConnectionQuality.LOST: 1.0}


# Whether a source gives sound.
SOUNDS = {M.TrackSource.MICROPHONE: True, M.TrackSource.SCREEN_SHARE_AUDIO: True, M.TrackSource.CAMERA: False,
          M.TrackSource.SCREEN_SHARE: False}


class Participant:
    """See the module. Made by `joining.py`, which also sets `negotiation` before it adds it to the room.

    `wants_all`: auto_subscribe. `pending`: tracks that were asked for but have no media section yet.
    """

    negotiation: Negotiation

    def __init__(self, room: Room, grants: Grants, wants_all: bool = True) -> None:
        self.room = room
        self.grants = grants
        self.sid = new_sid("PA")
        self.identity: str = grants.identity
        self.name: str = grants.name
        self.metadata: str = grants.metadata
        self.attributes: dict[str, str] = dict(grants.attributes)
        self.permission: M.ParticipantPermission = grants.permission()
        self.kind = grants.kind
        self.state = Info.State.JOINED
        self.reason = Reason.UNKNOWN_REASON
        self.joined_at = time.time()
        self.was_active = False
        self.version = 1
        self.pending: list[Track] = []
        self.tracks: dict[str, Track] = {}
        self.subscriptions = Subscriptions(self, wants_all)
        self.data = DataIn(self)
        self.dynacast = Dynacast(self)
        self.signal: Signal | None = None
        self.outbox = Outbox()
        self._lost_at: float | None = None
        self._closed_at: float | None = None
        self._quality_at = 0.0
        self._quality: int | None = None
        self.is_closed = False

    # -- what it is

    @property
    def is_hidden(self) -> bool:
        """Nobody else is to see it."""
        return self.permission.hidden

    def published(self) -> Iterator[Track]:
        """Its tracks that others may have."""
        return (track for track in list(self.tracks.values()) if track.is_published)

    def info(self) -> M.ParticipantInfo:
        """A fresh message with all that others may know."""
        tracks = list(self.published())
        return M.ParticipantInfo(
            sid=self.sid, identity=self.identity, name=self.name, metadata=self.metadata, attributes=self.attributes,
            state=self.state, joined_at=int(self.joined_at), joined_at_ms=int(self.joined_at * 1000),
            version=self.version, permission=self.permission, kind=self.kind, is_publisher=bool(tracks),
            disconnect_reason=self.reason, tracks=[track.info for track in tracks])

    def changed(self, to_self: bool = False) -> None:
        """Something that others see has changed: they are told."""
        self.version += 1
        if not self.is_closed:
            self.room.announce(self, to_self)

    # -- what it is told

    def tell(self, **fields: Any) -> None:
        """Send one SignalResponse, now or when its WebSocket is back."""
        self.send(Message(R.SignalResponse(**fields)))

    def send(self, message: Message) -> None:
        """The same, for a message that goes to several."""
        if log.isEnabledFor(logging.DEBUG) and message.name not in UNLOGGED:
            log.debug("%s < %s %s", self.identity, message.name, str(getattr(message.response, message.name))[:300])
        if self.outbox.put(message):
            if self.signal is not None:
                self.signal.wake()
        elif self.signal is not None:
            self.signal.abort()

    def attach(self, signal: Signal) -> None:
        """A WebSocket speaks for it now; an older one is closed."""
        old, self.signal = self.signal, signal
        self._lost_at = None
        if old is not None and old is not signal:
            old.abort()

    def detach(self, signal: Signal) -> None:
        """Its WebSocket has ended; it has `resume_s` to come back, less if its media has ended too."""
        if self.signal is signal:
            self.signal = None
            self._lost_at = self.room.rooms.now()
            if self.negotiation.is_lost:
                self.room.remove(self, Reason.SIGNAL_CLOSE, None)

    # -- what others do to it

    def update(self, *, name: str | None = None, metadata: str | None = None,
               attributes: Mapping[str, str] | None = None, permission: M.ParticipantPermission | None = None) -> None:
        """Set what is given; an attribute with an empty value is removed. Everybody is told, itself included.

        A permission that is taken away ends what it allowed: tracks, subscriptions.
        """
        if name is not None:
            self.name = name
        if metadata is not None:
            self.metadata = metadata
        for key, value in (attributes or {}).items():
            if value:
                self.attributes[key] = value
            else:
                self.attributes.pop(key, None)
        was_hidden = self.is_hidden
        if permission is not None:
            self.permission = M.ParticipantPermission()
            self.permission.CopyFrom(permission)
        self.changed(to_self=True)
        if permission is not None:
            self._enforce(was_hidden)

    def _enforce(self, was_hidden: bool) -> None:
        for track in [*self.tracks.values()]:
            if not self.may_publish(track.info.source, track.info.type):
                self.end_track(track)
        for track in list(self.room.tracks()):
            self.subscriptions.consider(track)
        if was_hidden != self.is_hidden:
            gone = Info(sid=self.sid, identity=self.identity, state=Info.State.DISCONNECTED, version=self.version)
            if self.is_hidden:
                self.room.tell(but=self, update=R.ParticipantUpdate(participants=[gone]))
            for track in list(self.published()):
                for other in list(self.room.participants.values()):
                    other.subscriptions.consider(track)

    def may_publish(self, source: M.TrackSource, type_: M.TrackType) -> bool:
        """Whether its permission allows tracks from this source. Where only some are allowed, the source has to be
        one of such tracks: sound that is called a camera is still heard.
        """
        sources = self.permission.can_publish_sources
        return self.permission.can_publish and (
            not sources or source in sources and SOUNDS.get(source) in (None, type_ == M.TrackType.AUDIO))

    def subscribe(self, sids: Iterable[str], wanted: bool) -> None:
        """What it subscribes to, by its own word or the server API's; unknown sids are remembered."""
        self.subscriptions.choose(sids, wanted)

    def mute(self, sid: str, is_muted: bool) -> M.TrackInfo | None:
        """By the server API: mute one of its tracks; it is told, and others. None if it has no such track."""
        track = self.tracks.get(sid)
        if track is None:
            return None
        self.tell(mute=R.MuteTrackRequest(sid=sid, muted=is_muted))
        self.set_muted(track, is_muted, to_self=True)
        return track.info

    # -- its tracks

    def add_track(self, track: Track) -> None:
        """AddTrack was accepted; the track waits for its section."""
        self.pending.append(track)
        self.tracks[track.sid] = track
        self.tell(track_published=R.TrackPublishedResponse(cid=track.cid, track=track.info))

    def claim(self, cid: str, kind: str, is_exact: bool = False) -> tuple[Track, Encoding] | None:
        """The track that a new sending section of an offer is for: by the second word of its msid, else (unless
        `is_exact`) the oldest of its kind, for browsers that put something else there.
        """
        for track in self.tracks.values():
            for encoding in track.encodings:
                if cid and encoding.cid == cid and not encoding.mid and track.kind == kind:
                    return track, encoding
        for track in () if is_exact else self.pending:
            if track.kind == kind and not track.encodings[0].mid:
                return track, track.encodings[0]
        return None

    def publish(self, track: Track) -> None:
        """Its section has been answered: everybody may have it."""
        if track in self.pending:
            self.pending.remove(track)
        self.version += 1
        if not track.is_published:
            track.is_published = True
            self.room.published(track)
        else:
            # In one more codec: for those who could not have it.
            self.room.announce(self)
            for other in list(self.room.participants.values()):
                other.subscriptions.retry(track)
        self.dynacast.watch(track)

    def recoded(self, track: Track) -> None:
        """A codec of the track has ended, or another is sent in its place: who had it has to be bound anew."""
        if track.is_published:
            self.dynacast.watch(track)
            self.changed()
            for other in list(self.room.participants.values()):
                other.subscriptions.cut(track)

    def unpublish(self, track: Track) -> None:
        """The track has ended."""
        if self.tracks.pop(track.sid, None) is None:
            return
        if track in self.pending:
            self.pending.remove(track)
        was_published, track.is_published = track.is_published, False
        if was_published:
            self.version += 1
            self.room.unpublished(track)
        self.dynacast.forget(track)
        track.close()

    def end_track(self, track: Track) -> None:
        """The server ends the track: its publisher is told to unpublish it."""
        self.unpublish(track)
        self.tell(track_unpublished=R.TrackUnpublishedResponse(track_sid=track.sid))

    def set_muted(self, track: Track, is_muted: bool, to_self: bool = False) -> None:
        """Muted or not, as seen by all; nothing of a muted track is forwarded."""
        if track.info.muted == is_muted:
            return
        track.info.muted = is_muted
        if track.is_published:
            for other in self.room.participants.values():
                other.subscriptions.muted(track)
            self.changed(to_self)
            self.room.happened("track_muted" if is_muted else "track_unmuted", self, track)

    # -- its media

    def media_connected(self) -> None:
        """Its (first) transport is up."""
        if self.state == Info.State.ACTIVE or self.is_closed:
            return
        self.state = Info.State.ACTIVE
        self.changed(to_self=True)
        if not self.was_active:
            self.was_active = True
            self.room.happened("participant_joined", self)
        known = [p.connection_quality() for p in self.room.participants.values() if not p.is_hidden and p.is_rated]
        if known:
            self.tell(connection_quality=R.ConnectionQualityUpdate(updates=known))
        speakers = self.room.active_speakers()
        if speakers:
            self.tell(speakers_changed=R.SpeakersChanged(speakers=speakers))

    def media_lost(self, how: str) -> None:
        """Its transport has ended: "closed" by the peer, or "failed". It has to join anew."""
        if self.is_closed:
            return
        log.debug("%s in %s: media %s", self.identity, self.room.name, how)
        if how == "closed" and self.signal is not None:
            # Most often it is leaving: its word for that may still be on the way.
            self._closed_at = self.room.rooms.now()
        else:
            self.room.remove(self, Reason.MEDIA_FAILURE, Action.RECONNECT)

    def close(self, reason: Reason) -> None:
        """To be called by the room, which has removed it."""
        self.is_closed = True
        self.state, self.reason = Info.State.DISCONNECTED, reason
        self.version += 1
        for track in list(self.tracks.values()):
            self.unpublish(track)
        self.data.close()
        self.subscriptions.close()
        self.dynacast.close()
        self.negotiation.close()
        if self.signal is not None:
            self.signal.finish()

    def refused(self, why: str, reason: Reason = Reason.STATE_MISMATCH) -> None:
        """It has broken a rule: sent away."""
        log.warning("%s in %s is sent away: %s", self.identity, self.room.name, why)
        self.room.remove(self, reason)

    def take_request(self, request: R.JoinRequest) -> None:
        """What a join request asks for beyond the token: own metadata and attributes, if the token allows it."""
        self.client = request.client_info
        attributes = {**self.attributes, **request.participant_attributes}
        attributes = {key: value for key, value in attributes.items() if value}
        size = sum(len(key.encode()) + len(value.encode()) for key, value in attributes.items())
        if not self.permission.can_update_metadata or (
                max(size, len(request.metadata.encode())) > self.room.rooms.limits.metadata_bytes):
            return
        self.metadata = request.metadata or self.metadata
        self.attributes = attributes

    def fresh_token(self, keys: Mapping[str, str], ttl_s: float) -> str:
        """The same grants, for another while; what has changed since is in it."""
        return self.grants.renewed(keys, time.time(), ttl_s, name=self.name, metadata=self.metadata,
                                   attributes=self.attributes, permission=self.permission)

    # -- clock

    def tick(self, now: float) -> None:
        """Twice a second."""
        if self._lost_at is not None and now - self._lost_at > self.room.rooms.limits.resume_s:
            self.room.remove(self, Reason.SIGNAL_CLOSE, None)
            return
        if self._closed_at is not None and now - self._closed_at > FAREWELL_S:
            self.room.remove(self, Reason.MEDIA_FAILURE, Action.RECONNECT)
            return
        self.negotiation.tick(now)
        self.dynacast.tick(now)
        self.subscriptions.tick()
        if self.signal is not None:
            self.signal.tick(now)
        self._tell_quality(now)

    def _tell_quality(self, now: float) -> None:
        if self.state != Info.State.ACTIVE or self.is_hidden:
            return
        is_silent = self.negotiation.is_silent()
        if now - self._quality_at < QUALITY_S and is_silent == (self._quality == M.ConnectionQuality.LOST):
            return
        self._quality_at = now
        quality = M.ConnectionQuality.LOST if is_silent else self.negotiation.quality()
        if quality != self._quality:
            self._quality = quality
            # A browser that is told so of itself begins anew; it will notice, and resume.
            self.room.tell(but=self if is_silent else None, connection_quality=R.ConnectionQualityUpdate(
                updates=[self.connection_quality()]))

    @property
    def is_rated(self) -> bool:
        """Whether its connection's quality is known."""
        return self._quality is not None

    def connection_quality(self) -> R.ConnectionQualityInfo:
        """As told last."""
        quality: Any = M.ConnectionQuality.EXCELLENT if self._quality is None else self._quality
        return R.ConnectionQualityInfo(participant_sid=self.sid, quality=quality, score=SCORES[quality])
