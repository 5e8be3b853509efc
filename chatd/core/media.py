"""What the daemon and a media engine tell each other, in words of ours: LiveKit's own types stay in chatd.meet.engine.

Identities, rooms and tracks are LiveKit's: a *room* carries the sound and pictures of one meeting, a *participant* is
one connection of an identity to it, a *track* one microphone, camera or screen. Times are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

__all__ = [
    "SOURCES", "Grants", "MediaError", "MediaEvent", "MediaParticipant", "MediaRoom", "MediaTrack", "Recording",
    "RecordingFile",
]

SOURCES: Final = ("camera", "microphone", "screen_share", "screen_share_audio")
"""What a track can be of; "unknown" besides."""


class MediaError(Exception):
    """The engine refused or could not be asked: `code` is Twirp's word for programs, `text` a sentence.

    Codes that callers may meet: not_found, permission_denied, unauthenticated, invalid_argument, already_exists,
    resource_exhausted, failed_precondition, unimplemented, internal; and unavailable, when it could not be asked.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.text} ({self.code})"


@attrs.frozen(kw_only=True)
class Grants:
    """What a participant may do in its room. sources: of SOURCES, what it may publish; () is all of them."""

    may_publish: bool = True
    sources: tuple[str, ...] = attrs.field(default=())
    may_subscribe: bool = True
    may_publish_data: bool = True
    may_update_own_metadata: bool = False
    is_hidden: bool = False
    is_admin: bool = False

    @sources.validator
    def _known(self, _attribute: object, value: tuple[str, ...]) -> None:
        for source in value:
            if source not in SOURCES:
                raise ValueError(f"{source!r} is not one of {', '.join(SOURCES)}")


@attrs.frozen(kw_only=True)
class MediaTrack:
    """A published track. kind: "audio", "video" or "data". Sizes in pixels, 0 where they are not known."""

    sid: str
    kind: str
    source: str
    name: str = ""
    is_muted: bool = False
    width: int = 0
    height: int = 0
    mime_type: str = ""


@attrs.frozen(kw_only=True)
class MediaParticipant:
    """Somebody in a room. state: "joining", "joined", "active" (media flows) or "disconnected"."""

    sid: str
    identity: str
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = attrs.field(factory=dict)
    state: str = "active"
    joined: float = 0.0
    tracks: tuple[MediaTrack, ...] = ()
    is_hidden: bool = False
    reason: str = ""
    """Why it is disconnected, LiveKit's word in lower case such as "client_initiated"; "" while it is not."""


@attrs.frozen(kw_only=True)
class MediaRoom:
    """A room that exists in the engine. participants: their number, hidden ones left out."""

    sid: str
    name: str
    created: float = 0.0
    metadata: str = ""
    participants: int = 0
    publishers: int = 0
    max_participants: int = 0
    is_recorded: bool = False


@attrs.frozen(kw_only=True)
class RecordingFile:
    """A file of a recording. path: where the engine put it, on its own machine or storage."""

    path: str
    size_bytes: int = 0
    duration_s: float = 0.0


@attrs.frozen(kw_only=True)
class Recording:
    """A recording (LiveKit: egress).

    status: "starting", "active", "ending", "complete", "failed", "aborted" or "limit_reached". error: why it failed.
    details: what the engine adds, such as how far composing has come.
    """

    id: str
    room: str
    status: str
    started: float = 0.0
    ended: float = 0.0
    files: tuple[RecordingFile, ...] = ()
    error: str = ""
    details: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ("complete", "failed", "aborted", "limit_reached")


@attrs.frozen(kw_only=True)
class MediaEvent:
    """Something that happened in the engine.

    kind: room_started, room_finished, participant_joined, participant_left, participant_connection_aborted,
    track_published, track_unpublished, egress_started, egress_updated, egress_ended; others may come. What belongs to
    the kind is set. And one of our own, engine_restarted: a bridge process has ended and another serves in its place;
    the rooms it had are gone without further events, clients join again by themselves.
    """

    id: str
    kind: str
    created: float
    room: MediaRoom | None = None
    participant: MediaParticipant | None = None
    track: MediaTrack | None = None
    recording: Recording | None = None
