"""What each SignalRequest does. One function a message, in a table; `handle` looks it up.

BadMessage and sdp.BadSdp end the session; a request that is merely not allowed is answered by `request_response`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from livekit.protocol import models as M
from livekit.protocol import rtc as R

from chatd.bridge.tracks import Encoding, Track, codec_word

if TYPE_CHECKING:
    from chatd.bridge.flood import Flood
    from chatd.bridge.participant import Participant

Refusal = R.RequestResponse.Reason
Reason = M.DisconnectReason
MOST_LAYERS = 3
MOST_CODECS = 4
MOST_TEXT = 1024
MOST_NAME = 256
# What is said of a track is told to everybody, again and again.
MOST_TRACK_BYTES = 16384


class BadMessage(Exception):
    """The message cannot be read or must not be sent by a client; the text says why."""


class TooMuch(Exception):
    """The client floods; the text says with what."""


# What others are told of, with all that is known of the participant.
CHANGES = frozenset({"mute", "update_metadata", "update_audio_track", "update_video_track"})


def handle(participant: Participant, request: R.SignalRequest, flood: Flood) -> None:
    """Do what a request says. TooMuch, BadMessage and BadSdp end the session."""
    name = request.WhichOneof("message")
    if name is None:
        # A message newer than our definitions: as LiveKit, ignored.
        participant.room.rooms.count("unknown request")
        return
    now = participant.room.rooms.now()
    if name in ("offer", "answer") and not flood.description(now):
        raise TooMuch("too many descriptions")
    if name in CHANGES and not flood.change(participant.info().ByteSize() + request.ByteSize(), now):
        raise TooMuch("too many changes")
    handler = HANDLERS.get(name)
    if handler is not None:
        handler(participant, getattr(request, name))


def refuse(participant: Participant, reason: Refusal, text: str, request_id: int = 0, **request: Any) -> None:
    """Answer a request that is not done."""
    participant.tell(request_response=R.RequestResponse(
        request_id=request_id, reason=reason, message=text, **request))


def _offer(participant: Participant, description: R.SessionDescription) -> None:
    participant.negotiation.offered(description)


def _answer(participant: Participant, description: R.SessionDescription) -> None:
    participant.negotiation.answered(description)


def add_track(participant: Participant, request: R.AddTrackRequest) -> None:
    """A client wants to publish, or to add a codec to what it publishes (`sid`)."""
    rooms = participant.room.rooms
    if request.ByteSize() > MOST_TRACK_BYTES or len(request.layers) > MOST_LAYERS or (
            len(request.simulcast_codecs) > MOST_CODECS) or max(
            len(request.cid), len(request.name), len(request.stream)) > MOST_TEXT:
        raise BadMessage("add_track is too long")
    if request.type not in (M.TrackType.AUDIO, M.TrackType.VIDEO):
        refuse(participant, Refusal.UNSUPPORTED_TYPE, "only audio and video tracks", add_track=request)
    elif not request.cid:
        refuse(participant, Refusal.INVALID_REQUEST, "a track needs a cid", add_track=request)
    elif not participant.may_publish(request.source, request.type):
        refuse(participant, Refusal.NOT_ALLOWED, "does not have permission to publish", add_track=request)
    elif request.sid:
        _add_codec(participant, request)
    elif len(participant.tracks) >= rooms.limits.tracks:
        rooms.count("tracks")
        refuse(participant, Refusal.LIMIT_EXCEEDED, "at most %d tracks" % rooms.limits.tracks, add_track=request)
    else:
        known = next((t for t in participant.pending if t.cid == request.cid), None)
        if known is not None:
            # Asked twice: the same answer.
            participant.tell(track_published=R.TrackPublishedResponse(cid=known.cid, track=known.info))
            return
        track = Track(participant, request)
        participant.add_track(track)
        participant.negotiation.track_added(track)


def _add_codec(participant: Participant, request: R.AddTrackRequest) -> None:
    track = participant.tracks.get(request.sid)
    if track is None or not track.backup or len(track.encodings) > 1:
        refuse(participant, Refusal.NOT_FOUND, "no such track, or no other codec of it was offered", add_track=request)
        return
    track.encodings.append(Encoding(track.backup, request.cid, list(request.layers)))
    track.describe()
    participant.tell(track_published=R.TrackPublishedResponse(cid=request.cid, track=track.info))


def _mute(participant: Participant, request: R.MuteTrackRequest) -> None:
    track = participant.tracks.get(request.sid)
    if track is not None:
        participant.set_muted(track, request.muted)


def _subscription(participant: Participant, request: R.UpdateSubscription) -> None:
    sids = list(request.track_sids) + [sid for tracks in request.participant_tracks for sid in tracks.track_sids]
    participant.subscribe(sids[:1000], request.subscribe)


def _track_setting(participant: Participant, request: R.UpdateTrackSettings) -> None:
    participant.subscriptions.set(request)


def _subscription_permission(participant: Participant, request: R.SubscriptionPermission) -> None:
    participant.subscriptions.sharing.set(request)


def _update_layers(participant: Participant, request: R.UpdateVideoLayers) -> None:
    if request.ByteSize() > MOST_TRACK_BYTES:
        raise BadMessage("update_layers is too long")
    track = participant.tracks.get(request.track_sid)
    if track is not None and track.kind == "video" and len(request.layers) <= MOST_LAYERS:
        track.update_layers(request.layers)


def _update_audio_track(participant: Participant, request: R.UpdateLocalAudioTrack) -> None:
    track = participant.tracks.get(request.track_sid)
    if track is not None and len(request.features) <= 20:
        del track.info.audio_features[:]
        track.info.audio_features.extend(request.features)
        if track.is_published:
            participant.changed()


def _update_video_track(participant: Participant, request: R.UpdateLocalVideoTrack) -> None:
    track = participant.tracks.get(request.track_sid)
    if track is not None:
        track.info.width, track.info.height = request.width, request.height
        if track.is_published:
            participant.changed()


def _update_metadata(participant: Participant, request: R.UpdateParticipantMetadata) -> None:
    number = request.request_id
    if not participant.permission.can_update_metadata:
        refuse(participant, Refusal.NOT_ALLOWED, "does not have permission to update own metadata", number)
        return
    attributes = {**participant.attributes, **request.attributes}
    size = sum(len(key.encode()) + len(value.encode()) for key, value in attributes.items())
    most = participant.room.rooms.limits.metadata_bytes
    if max(size, len(request.metadata.encode())) > most or len(attributes) > 1000:
        refuse(participant, Refusal.LIMIT_EXCEEDED, "at most %d bytes" % most, number)
        return
    if len(request.name) > MOST_NAME:
        refuse(participant, Refusal.LIMIT_EXCEEDED, "a name has at most %d characters" % MOST_NAME, number)
        return
    # The client sends what it had for what it does not change, "" if it had nothing.
    participant.update(name=request.name or None, metadata=request.metadata or None, attributes=request.attributes)
    refuse(participant, Refusal.OK, "", number)


def _ping(participant: Participant, stamp: int) -> None:
    participant.tell(pong=int(time.time() * 1000))


def _ping_req(participant: Participant, ping: R.Ping) -> None:
    participant.tell(pong_resp=R.Pong(last_ping_timestamp=ping.timestamp, timestamp=int(time.time() * 1000)))


def _leave(participant: Participant, request: R.LeaveRequest) -> None:
    participant.room.remove(participant, Reason.CLIENT_INITIATED, None)


def _unsupported(name: str, **fields: str) -> Callable[[Participant, Any], None]:
    def answer(participant: Participant, request: Any) -> None:
        kept = {name: request} if name else {}
        refuse(participant, Refusal.UNSUPPORTED_TYPE, "not offered by this server", **kept)

    return answer


def _ignored(participant: Participant, request: Any) -> None:
    """ICE-lite needs no candidates of clients; state was kept here; simulations are for LiveKit's own tests."""


HANDLERS: dict[str, Callable[[Participant, Any], None]] = {
    "offer": _offer,
    "answer": _answer,
    "add_track": add_track,
    "mute": _mute,
    "subscription": _subscription,
    "track_setting": _track_setting,
    "subscription_permission": _subscription_permission,
    "update_layers": _update_layers,
    "update_audio_track": _update_audio_track,
    "update_video_track": _update_video_track,
    "update_metadata": _update_metadata,
    "ping": _ping,
    "ping_req": _ping_req,
    "leave": _leave,
    "trickle": _ignored,
    "sync_state": _ignored,
    "simulate": _ignored,
    "update_data_subscription": _ignored,
    "publish_data_track_request": _unsupported("publish_data_track"),
    "unpublish_data_track_request": _unsupported("unpublish_data_track"),
    "store_data_blob_request": _unsupported(""),
    "get_data_blob_request": _unsupported(""),
}
assert set(HANDLERS) <= {field.name for field in R.SignalRequest.DESCRIPTOR.fields}
assert codec_word("video/VP8") == "vp8"
