"""LiveKit's protobuf messages to the values of chatd.core.media, and back where something is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from livekit.protocol import egress, models, webhook

from chatd.core.media import (
    Grants,
    MediaEvent,
    MediaParticipant,
    MediaRoom,
    MediaTrack,
    Recording,
    RecordingFile,
)

__all__ = ["event_of", "participant_of", "permission_of", "recording_of", "room_of", "track_of"]

_NANO: Final = 1e9


def room_of(room: models.Room) -> MediaRoom:
    """Return a room."""
    return MediaRoom(
        sid=room.sid,
        name=room.name,
        created=_seconds(room.creation_time_ms, room.creation_time),
        metadata=room.metadata,
        participants=room.num_participants,
        publishers=room.num_publishers,
        max_participants=room.max_participants,
        is_recorded=room.active_recording,
    )


def track_of(track: models.TrackInfo) -> MediaTrack:
    """Return a track."""
    return MediaTrack(
        sid=track.sid,
        kind=_word(models.TrackType, track.type),
        source=_word(models.TrackSource, track.source),
        name=track.name,
        is_muted=track.muted,
        width=track.width,
        height=track.height,
        mime_type=track.mime_type,
    )


def participant_of(participant: models.ParticipantInfo) -> MediaParticipant:
    """Return a participant."""
    reason = _word(models.DisconnectReason, participant.disconnect_reason)
    return MediaParticipant(
        sid=participant.sid,
        identity=participant.identity,
        name=participant.name,
        metadata=participant.metadata,
        attributes=dict(participant.attributes),
        state=_word(models.ParticipantInfo.State, participant.state),
        joined=_seconds(participant.joined_at_ms, participant.joined_at),
        tracks=tuple(track_of(track) for track in participant.tracks),
        is_hidden=participant.permission.hidden,
        reason="" if reason == "unknown_reason" else reason,
    )


def recording_of(info: egress.EgressInfo) -> Recording:
    """Return a recording."""
    files: Iterable[egress.FileInfo] = info.file_results or ([info.file] if info.HasField("file") else [])
    return Recording(
        id=info.egress_id,
        room=info.room_name,
        status=_word(egress.EgressStatus, info.status).removeprefix("egress_"),
        started=info.started_at / _NANO,
        ended=info.ended_at / _NANO,
        files=tuple(
            RecordingFile(path=file.location or file.filename, size_bytes=file.size, duration_s=file.duration / _NANO)
            for file in files
        ),
        error=info.error,
        details=info.details,
    )


def event_of(event: webhook.WebhookEvent) -> MediaEvent:
    """Return what a webhook tells."""
    return MediaEvent(
        id=event.id,
        kind=event.event,
        created=float(event.created_at),
        room=room_of(event.room) if event.HasField("room") else None,
        participant=participant_of(event.participant) if event.HasField("participant") else None,
        track=track_of(event.track) if event.HasField("track") else None,
        recording=recording_of(event.egress_info) if event.HasField("egress_info") else None,
    )


def permission_of(grants: Grants) -> models.ParticipantPermission:
    """Return grants as a participant who is in a room has them."""
    return models.ParticipantPermission(
        can_publish=grants.may_publish,
        can_subscribe=grants.may_subscribe,
        can_publish_data=grants.may_publish_data,
        can_publish_sources=[source.upper() for source in grants.sources],
        can_update_metadata=grants.may_update_own_metadata,
        hidden=grants.is_hidden,
    )


def _word(enumeration: object, number: int) -> str:
    """Return the name of a value in lower case; of one that is newer than our definitions, its number."""
    try:
        return str(enumeration.Name(number)).lower()  # type: ignore[attr-defined]
    except ValueError:
        return str(number)


def _seconds(milliseconds: int, seconds: int) -> float:
    return milliseconds / 1000 if milliseconds else float(seconds)
