"""Dynacast: a publisher is told which layers and codecs of its tracks somebody wants, so that it sends no others.

What is wanted more is told at once; what is wanted less after DELAY_S, since a window that is shown again costs a
keyframe. Clients that were not configured for it ignore all this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import models as M
from livekit.protocol import rtc as R

from chatd.bridge.forward import HIGH

if TYPE_CHECKING:
    from chatd.bridge.participant import Participant
    from chatd.bridge.tracks import Track

DELAY_S = 5.0
QUALITIES = (M.VideoQuality.LOW, M.VideoQuality.MEDIUM, M.VideoQuality.HIGH)
_ALL = frozenset(range(HIGH + 1))


class _Told:
    """What a publisher was told last about a track; `due` when less is wanted since."""

    def __init__(self, words: list[str]) -> None:
        self.wanted = dict.fromkeys(words, _ALL)
        self.due: float | None = None


class Dynacast:
    """For the video tracks of one publisher."""

    def __init__(self, participant: Participant) -> None:
        self._participant = participant
        self._told: dict[str, _Told] = {}

    def watch(self, track: Track) -> None:
        """The track is published, or has one more codec."""
        if track.kind != "video":
            return
        told = self._told.get(track.sid)
        if told is None:
            told = self._told[track.sid] = _Told([track.encodings[0].word])
        for encoding in track.encodings:
            if encoding.publication is not None:
                told.wanted.setdefault(encoding.word, _ALL)
                encoding.publication.on_wanted = lambda publication: self.look(track)
        self.look(track)

    def forget(self, track: Track) -> None:
        """The track has ended."""
        if self._told.pop(track.sid, None) is not None:
            for publication in track.publications():
                publication.on_wanted = None

    def close(self) -> None:
        """The publisher has left."""
        self._told.clear()

    def needs_backup(self, track: Track) -> None:
        """Somebody cannot decode the track: ask for the backup codec that the publisher offered."""
        self.look(track)

    def look(self, track: Track) -> None:
        """Something has changed that may matter."""
        told = self._told.get(track.sid)
        if told is None:
            return
        wanted = self._wanted(track)
        less = {word: ranks for word, ranks in wanted.items() if told.wanted.get(word, frozenset()) - ranks}
        more = {word: ranks for word, ranks in wanted.items() if ranks - told.wanted.get(word, frozenset())}
        if more:
            for word, ranks in more.items():
                told.wanted[word] = told.wanted.get(word, frozenset()) | ranks
            self._tell(track, told)
        if not less:
            told.due = None
        elif told.due is None:
            told.due = self._participant.room.rooms.now() + DELAY_S

    def tick(self, now: float) -> None:
        """Twice a second: tell what has not been wanted for long enough."""
        for sid, told in list(self._told.items()):
            if told.due is not None and now >= told.due:
                told.due = None
                track = self._participant.tracks.get(sid)
                if track is not None:
                    told.wanted = self._wanted(track)
                    self._tell(track, told)

    def _wanted(self, track: Track) -> dict[str, frozenset[int]]:
        found = {e.word: e.publication.wanted_ranks() for e in track.encodings if e.publication is not None}
        for viewer in self._participant.room.participants.values():
            entry = viewer.subscriptions.entries.get(track.sid)
            if entry is None or entry.is_disabled or entry.mid and not entry.is_held:
                continue
            if not entry.is_refused:
                # It is about to begin: not to be switched off under its feet.
                found[(entry.encoding or track.encodings[0]).word] = _ALL
            elif track.backup and track.backup not in found:
                found[track.backup] = _ALL
        return found

    def _tell(self, track: Track, told: _Told) -> None:
        def qualities(ranks: frozenset[int]) -> list[R.SubscribedQuality]:
            return [R.SubscribedQuality(quality=quality, enabled=rank in ranks)
                    for rank, quality in enumerate(QUALITIES)]

        first = track.encodings[0].word
        self._participant.tell(subscribed_quality_update=R.SubscribedQualityUpdate(
            track_sid=track.sid, subscribed_qualities=qualities(told.wanted.get(first, _ALL)),
            subscribed_codecs=[R.SubscribedCodec(codec=word, qualities=qualities(ranks))
                               for word, ranks in told.wanted.items()]))

