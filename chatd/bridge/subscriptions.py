"""What one participant receives: the tracks it wants and may have, and the media section that each is bound to.

Wanting and binding are apart: a track is wanted as soon as it is published (or asked for), and bound by the next offer
that has a free section (negotiation.py). What the participant said about a track meanwhile is kept and applied then.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from livekit.protocol import models as M
from livekit.protocol import rtc as R

from chatd.bridge import sdp
from chatd.bridge.forward import HIGH, NONE, Subscription

if TYPE_CHECKING:
    from chatd.bridge.participant import Participant
    from chatd.bridge.tracks import Encoding, Track
    from chatd.bridge.transport import Transport

# Choices about tracks that are not there (yet).
MOST_CHOICES = 2000
MOST_RULES = 1000
# Ours have 15 characters.
MOST_SID = 64


class Entry:
    """One wanted track. `mid` is "" while no section is bound; `media` is its packets then, which wait while `is_held`:
    the participant has not answered the offer with the section yet.
    """

    def __init__(self, track: Track) -> None:
        self.track = track
        self.mid = ""
        self.media: Subscription | None = None
        self.encoding: Encoding | None = None
        self.codec: sdp.Codec | None = None
        self.is_disabled = self.is_held = False
        # No codec of the track is among those that the participant decodes; it was told.
        self.is_refused = False
        # Codecs that it did not take when they were offered.
        self.untakeable: set[str] = set()
        self.is_paused_by_line = False
        self._quality = HIGH
        self._size: tuple[int, int] | None = None

    def bind(self, transport: Transport, mid: str, encoding: Encoding, codec: sdp.Codec, *,
             is_held: bool = False) -> None:
        """Send the track on this section, with a new SSRC."""
        assert encoding.publication is not None
        self.unbind()
        self.is_held = is_held
        self.mid, self.encoding, self.codec = mid, encoding, codec
        self.is_refused = self.is_paused_by_line = False
        self.media = Subscription(
            encoding.publication, transport, codec.payload_type, codec.rtx, mid, is_paused=is_held)
        self.apply()

    def renumber(self, codec: sdp.Codec) -> None:
        """The payload types that the participant answered with: now packets may come."""
        self.codec = codec
        if self.media is not None:
            self.media.payload_type, self.media.rtx_payload_type = codec.payload_type, codec.rtx
            if self.is_held:
                self.is_held = False
                self.apply()

    def is_untakeable(self, word: str) -> bool:
        """Whether this codec was refused."""
        return word in self.untakeable

    def unbind(self) -> None:
        """Send no more."""
        if self.media is not None:
            self.media.close()
        self.mid, self.media, self.encoding, self.codec = "", None, None, None
        self.is_held = False

    def set(self, settings: R.UpdateTrackSettings) -> None:
        """The participant's track_setting. LOW is 0 and so not on the wire: without a size, no quality means LOW."""
        self.is_disabled = settings.disabled
        if settings.width and settings.height:
            self._size = (settings.width, settings.height)
        elif not settings.disabled:
            self._size, self._quality = None, min(HIGH, settings.quality)
        self.apply()

    def apply(self) -> None:
        """Tell the packets what is wanted."""
        media = self.media
        if media is None:
            return
        if self.is_held or self.is_disabled or self.track.info.muted:
            media.pause()
        else:
            media.resume()
        if self.track.kind == "video":
            if self._size is not None and media.publication.sizes:
                media.set_size(*self._size)
            else:
                media.set_quality(HIGH if self._size is not None else self._quality)


class Subscriptions:
    """See the module. `entries`: wanted tracks by sid, in the order in which they came."""

    def __init__(self, participant: Participant, wants_all: bool) -> None:
        self.participant = participant
        self.entries: dict[str, Entry] = {}
        self.sharing = Sharing(participant)
        self._wants_all = wants_all
        self._chosen: OrderedDict[str, bool] = OrderedDict()
        # There was no room for a track.
        self._is_short = False

    # -- what is wanted

    def _may_have(self, track: Track) -> bool:
        publisher = track.participant
        return (track.is_published and publisher is not self.participant and not publisher.is_hidden
                and self._chosen.get(track.sid, self._wants_all) and self.participant.permission.can_subscribe
                and publisher.subscriptions.sharing.allows(track, self.participant))

    def consider(self, track: Track) -> None:
        """Something that decides about this track has changed, or it is new."""
        entry = self.entries.get(track.sid)
        if self._may_have(track):
            if entry is None and len(self.entries) >= self.participant.room.rooms.limits.subscriptions:
                self._is_short = True
            elif entry is None:
                self.entries[track.sid] = Entry(track)
                track.participant.dynacast.look(track)
                self.participant.negotiation.renegotiate()
        elif entry is not None:
            self.drop(track)

    def choose(self, sids: Iterable[str], wanted: bool) -> None:
        """Want these tracks or not, whatever auto_subscribe says."""
        tracks = {track.sid: track for track in self.participant.room.tracks()}
        for sid in sids:
            if len(sid) > MOST_SID:
                continue
            if len(self._chosen) >= MOST_CHOICES and sid not in self._chosen:
                self._chosen.popitem(last=False)
            self._chosen[sid] = wanted
            if sid in tracks:
                self.consider(tracks[sid])

    def drop(self, track: Track) -> None:
        """No longer wanted, or ended."""
        entry = self.entries.pop(track.sid, None)
        if entry is not None:
            mid = entry.mid
            entry.unbind()
            track.participant.dynacast.look(track)
            self.participant.negotiation.released(mid)
        if not track.is_published:
            self._chosen.pop(track.sid, None)

    def set(self, settings: R.UpdateTrackSettings) -> None:
        """track_setting: size, quality, whether it is shown at all."""
        for sid in dict.fromkeys(settings.track_sids):
            entry = self.entries.get(sid)
            if entry is not None:
                entry.set(settings)
                entry.track.participant.dynacast.look(entry.track)

    def muted(self, track: Track) -> None:
        """A publisher's track is muted, or no longer."""
        entry = self.entries.get(track.sid)
        if entry is not None:
            entry.apply()

    def close(self) -> None:
        """The participant has left."""
        for entry in list(self.entries.values()):
            entry.unbind()
            entry.track.participant.dynacast.look(entry.track)
        self.entries.clear()

    # -- binding, called by the negotiation

    def unbound(self) -> list[Entry]:
        """Wanted tracks that have no section yet and could have one."""
        return [e for e in self.entries.values() if not e.mid and not e.is_refused]

    def refuse(self, entry: Entry) -> None:
        """The participant decodes none of the track's codecs; a backup codec may come."""
        if not entry.is_refused:
            entry.is_refused = True
            track = entry.track
            self.participant.tell(subscription_response=R.SubscriptionResponse(
                track_sid=track.sid, err=M.SubscriptionError.SE_CODEC_UNSUPPORTED))
            track.participant.dynacast.needs_backup(track)

    def cut(self, track: Track) -> None:
        """A codec of the track has ended, or begins anew: who had it gets what there is now."""
        entry = self.entries.get(track.sid)
        if entry is not None and entry.media is not None and entry.media.is_closed:
            mid = entry.mid
            entry.unbind()
            self.participant.negotiation.released(mid)

    def retry(self, track: Track) -> None:
        """The track comes in another codec as well: who could not have it may try again."""
        entry = self.entries.get(track.sid)
        if entry is not None and entry.is_refused:
            entry.is_refused = False
            self.participant.negotiation.renegotiate()

    # -- clock

    def tick(self) -> None:
        """Twice a second: what there is room for again; what the line allows."""
        if self._is_short and len(self.entries) < self.participant.room.rooms.limits.subscriptions:
            self._is_short = False
            for track in self.participant.room.tracks():
                self.consider(track)
        for entry in list(self.entries.values()):
            # Whatever ended it: a section must not stay with what sends nothing any more.
            self.cut(entry.track)
        self.tell_streams()

    def tell_streams(self) -> None:
        """Which videos have been paused for lack of bandwidth, or go on: told when it changes."""
        changes = []
        for entry in self.entries.values():
            media = entry.media
            if media is None or entry.track.kind != "video":
                continue
            is_paused = media.allowed == NONE and not media.is_paused
            if is_paused != entry.is_paused_by_line:
                entry.is_paused_by_line = is_paused
                changes.append(R.StreamStateInfo(
                    participant_sid=entry.track.participant.sid, track_sid=entry.track.sid,
                    state=R.StreamState.PAUSED if is_paused else R.StreamState.ACTIVE))
        if changes:
            self.participant.tell(stream_state_update=R.StreamStateUpdate(stream_states=changes))


class Sharing:
    """Whom a publisher lets have its tracks (subscription_permission); everybody, until it says otherwise."""

    def __init__(self, participant: Participant) -> None:
        self.participant = participant
        self._is_for_all = True
        # Identity or sid of a viewer -> sids of tracks, None for all.
        self._rules: dict[str, frozenset[str] | None] = {}

    def allows(self, track: Track, viewer: Participant) -> bool:
        """Whether this viewer may have this track."""
        if self._is_for_all:
            return True
        for name in (viewer.identity, viewer.sid):
            if name in self._rules:
                sids = self._rules[name]
                return sids is None or track.sid in sids
        return False

    def set(self, permission: R.SubscriptionPermission) -> None:
        """The publisher's word; viewers for whom it changes something are told."""
        room = self.participant.room
        pairs = [(t, v) for t in self.participant.published() for v in list(room.participants.values())
                 if v is not self.participant]
        before = [self.allows(track, viewer) for track, viewer in pairs]
        self._is_for_all = permission.all_participants
        self._rules = {rule.participant_identity or rule.participant_sid:
                       None if rule.all_tracks else frozenset(rule.track_sids)
                       for rule in list(permission.track_permissions)[:MOST_RULES]}
        for (track, viewer), was_allowed in zip(pairs, before, strict=True):
            is_allowed = self.allows(track, viewer)
            if is_allowed != was_allowed:
                viewer.tell(subscription_permission_update=R.SubscriptionPermissionUpdate(
                    participant_sid=self.participant.sid, track_sid=track.sid, allowed=is_allowed))
                viewer.subscriptions.consider(track)
