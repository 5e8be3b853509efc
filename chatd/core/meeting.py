"""Meetings as values: names and addresses, who may do what in them, what the store keeps.

The words of `SOURCES` are those of docs/protocol.md; what a media engine makes of them is `grants_for`.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from chatd.core.media import Grants

__all__ = ["NAME_MOST", "NICK_MOST", "PASSWORD_MOST", "SOURCES", "TOKEN_BYTES", "MeetingRow", "RecordingRow",
           "fit_emoji", "grants_for", "is_meeting_id", "meeting_id", "slug"]

SOURCES: Final = ("microphone", "camera", "screen", "chat")
"""What a participant may be allowed, in the order in which it is written."""
NAME_MOST: Final = 100
NICK_MOST: Final = 60
PASSWORD_MOST: Final = 100
TOKEN_BYTES: Final = 13
"""Random bytes of a meeting's token: of their 104 bits, 20 letters carry 100."""
_TOKEN_LETTERS: Final = 20
_SLUG_MOST: Final = 40
_ID: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*-[a-z2-7]{20}", re.ASCII)
_EMOJI_MOST: Final = 16
_MEDIA_SOURCES: Final[Mapping[str, tuple[str, ...]]] = {
    "microphone": ("microphone",), "camera": ("camera",), "screen": ("screen_share", "screen_share_audio")}


@attrs.frozen
class MeetingRow:
    """What is kept of a meeting beside its room. Times in milliseconds since 1970, expires_ms 0 for none.

    may: what participants may do, of SOURCES. present: what lasts until it has been empty for a while.
    """

    room: int
    creator: str
    used_ms: int
    expires_ms: int = 0
    e2ee: bool = False
    may: tuple[str, ...] = SOURCES
    present: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class RecordingRow:
    """A recording. meeting: the room's bare address. engine_id: the media engine's name for it. path: of its file,
    inside the folder of recordings, "" before there is one. state: starting, recording, composing, ready, failed."""

    id: str
    meeting: str
    engine_id: str = ""
    state: str = "starting"
    path: str = ""
    started_ms: int = 0
    ended_ms: int = 0
    bytes: int = 0
    duration_ms: int = 0
    started_by: str = ""
    error: str = ""

    @property
    def is_over(self) -> bool:
        """Nothing will change any more."""
        return self.state in ("ready", "failed")


def slug(name: str) -> str:
    """The part of an id that people can read: small ASCII letters, digits and single hyphens; "meeting" for a name
    that has none of these."""
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode().lower()
    words = "-".join(re.findall(r"[a-z0-9]+", plain))
    return words[:_SLUG_MOST].rstrip("-") or "meeting"


def meeting_id(name: str, random: bytes) -> str:
    """NAME-TOKEN; random: TOKEN_BYTES of them."""
    if len(random) != TOKEN_BYTES:
        raise ValueError(f"{TOKEN_BYTES} random bytes")
    return f"{slug(name)}-{base64.b32encode(random).decode().lower()[:_TOKEN_LETTERS]}"


def is_meeting_id(text: str) -> bool:
    """Could this be a meeting's id?"""
    return len(text) <= _SLUG_MOST + 1 + _TOKEN_LETTERS and _ID.fullmatch(text) is not None


def grants_for(may: Iterable[str]) -> Grants:
    """What the media engine lets somebody do who may this. Nobody sends data by it: chat is the room's."""
    allowed = frozenset(may)
    sources = tuple(source for word, found in _MEDIA_SOURCES.items() if word in allowed for source in found)
    # No sources would mean all of them.
    return Grants(may_publish=bool(sources), sources=sources, may_publish_data=False)


def fit_emoji(text: str) -> bool:
    """May this be a reaction? Something short to look at, but nothing to read: that would be chat."""
    kinds = [unicodedata.category(char) for char in text]
    return 0 < len(text) <= _EMOJI_MOST and not any(kind[0] in "LNZ" or kind == "Cc" for kind in kinds)
