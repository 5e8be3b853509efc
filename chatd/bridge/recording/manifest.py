"""What a recording consists of, for whoever reads its files: made of the journal, also after a crash.

`fold(entries)` gives a `Manifest`; `write` keeps it as manifest.json beside the files, replaced at once as a whole;
`load` reads it, and makes it anew from the journal if it is missing or from before the end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import attrs

from chatd.bridge.recording import journal
from chatd.bridge.recording.clocks import Heard, Pace, Report, SegmentClock, SenderClock, TrackClock, measure
from chatd.bridge.recording.segments import Segment
from chatd.bridge.recording.writer import last_pts_ms

NAME = "manifest.json"
VERSION = 1


class ManifestError(Exception):
    """There is no manifest here that can be read; the text says why."""


@attrs.define
class Participant:
    """Who was there, in seconds since the recording began."""

    sid: str
    identity: str
    name: str
    joined_s: float
    left_s: float | None = None


@attrs.define
class Track:
    """One file. `start_s`, `end_s`: from its first frame to its last on the recording's axis; `published_s`,
    `unpublished_s`: when it was. `muted`, `gaps`: periods on that axis. `rotations`: (from, degrees clockwise).
    """

    sid: str
    participant: str
    kind: str
    source: str
    codec: str
    name: str
    file: str
    published_s: float
    unpublished_s: float | None = None
    width: int = 0
    height: int = 0
    start_s: float = 0.0
    end_s: float = 0.0
    frames: int = 0
    octets: int = 0
    is_measured: bool = False
    muted: list[tuple[float, float | None]] = attrs.field(factory=list)
    gaps: list[dict[str, Any]] = attrs.field(factory=list)
    rotations: list[tuple[float, int]] = attrs.field(factory=list)
    segments: list[SegmentClock] = attrs.field(factory=list)

    def clock(self) -> TrackClock:
        """From file time to recording time; needs a segment."""
        return TrackClock(self.segments)

    @property
    def has_frames(self) -> bool:
        """Whether anything was recorded."""
        return bool(self.segments)


@attrs.define
class Manifest:
    """`started`: Unix seconds; `state`: "recording", "complete", "failed" (then `error` says why), "recovered" (its
    process was killed).
    """

    id: str
    room: str
    room_sid: str
    started: float
    duration_s: float = 0.0
    state: str = "recording"
    error: str = ""
    participants: list[Participant] = attrs.field(factory=list)
    tracks: list[Track] = attrs.field(factory=list)
    refused: list[dict[str, Any]] = attrs.field(factory=list)
    layouts: list[tuple[float, str]] = attrs.field(factory=list)

    def track(self, sid: str) -> Track | None:
        """The track with this sid."""
        return next((track for track in self.tracks if track.sid == sid), None)

    def participant(self, sid: str) -> Participant | None:
        """The participant with this sid."""
        return next((one for one in self.participants if one.sid == sid), None)

    def screen_shares(self) -> list[dict[str, Any]]:
        """When whose screen was to be seen."""
        return [{"track": t.sid, "participant": t.participant, "from_s": t.start_s, "to_s": t.end_s}
                for t in self.tracks if t.source == "screen_share" and t.has_frames]

    def to_json(self) -> dict[str, Any]:
        """As manifest.json has it."""
        fields = {"version": VERSION, **attrs.asdict(self, recurse=False), "screen_shares": self.screen_shares()}
        for key in ("participants", "tracks"):
            fields[key] = [attrs.asdict(one, recurse=False) for one in fields[key]]
        return fields


class _Pending:
    """What the journal says of a track, before its clocks are known."""

    def __init__(self, track: Track) -> None:
        self.track = track
        self.segments: list[Segment] = []
        self.reports: list[Report] = []
        self.paces: list[Pace] = []
        self.gaps: list[dict[str, Any]] = []
        self.rotations: list[tuple[float, int]] = []
        self.last_pts = 0.0


def fold(entries: Iterable[dict[str, Any]], is_over: bool = True,
         ends: Callable[[str], float | None] = lambda file: None) -> Manifest:
    """The manifest of a journal. `is_over`: nobody writes it any more. ManifestError if it does not begin as one.

    `ends(file)`: where a file's last frame stands; asked where the journal has no end: it is a little behind the files.
    Lines that do not fit are left out: what a crash or a full disk left behind must still be readable.
    """
    found: Manifest | None = None
    pending: dict[str, _Pending] = {}
    for entry in entries:
        if found is None:
            if entry["event"] != "started":
                continue
            found = Manifest(str(entry.get("id", "")), str(entry.get("room", "")), str(entry.get("room_sid", "")),
                             float(entry.get("time", 0)))
            continue
        try:
            _take(found, pending, entry)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
            continue
    if found is None:
        raise ManifestError("the journal has no beginning")
    if found.state == "recording" and is_over:
        found.state = "recovered"
        for one in pending.values():
            # Of what the journal says was written, the last second may not have reached the disk.
            end = ends(one.track.file)
            one.last_pts = one.last_pts if end is None else end
    _place(found, pending)
    if found.state == "recovered":
        found.duration_s = max([found.duration_s, *(track.end_s for track in found.tracks if track.has_frames)])
    for track in found.tracks:
        track.muted = [(a, b if b is not None else found.duration_s) for a, b in track.muted]
    return found


def _take(found: Manifest, pending: dict[str, _Pending], entry: dict[str, Any]) -> None:
    event, at = entry["event"], float(entry["at"])
    found.duration_s = max(found.duration_s, at)
    sid = str(entry.get("sid", ""))
    if event == "participant":
        known = found.participant(sid)
        if known is None:
            found.participants.append(Participant(sid, str(entry["identity"]), str(entry["name"]), at))
        else:
            known.name = str(entry["name"])
    elif event == "left":
        if (known := found.participant(sid)) is not None:
            known.left_s = at
    elif event == "track":
        if Path(entry["file"]).name != entry["file"]:
            raise ValueError("a file elsewhere")
        track = Track(sid, str(entry["participant"]), str(entry["kind"]), str(entry["source"]), str(entry["codec"]),
                      str(entry["name"]), entry["file"], at, width=int(entry["width"]), height=int(entry["height"]))
        if sid not in pending:
            found.tracks.append(track)
            pending[sid] = _Pending(track)
    elif event == "refused":
        found.refused.append({key: entry[key] for key in ("sid", "participant", "kind", "source", "reason")})
    elif event == "layout":
        found.layouts.append((at, str(entry["layout"])))
    elif event == "stopped":
        found.error = str(entry["error"])
        found.state = "failed" if found.error else "complete"
    elif sid in pending:
        _take_of_track(pending[sid], event, at, entry)


def _take_of_track(one: _Pending, event: str, at: float, entry: dict[str, Any]) -> None:
    track = one.track
    if event == "segment":
        segment = Segment(float(entry["pts"]), int(entry["ssrc"]), float(entry["rtp"]), at)
        if one.segments and segment.pts_ms <= one.segments[-1].pts_ms:
            raise ValueError("segments rise")
        one.segments.append(segment)
        one.last_pts = max(one.last_pts, segment.pts_ms)
    elif event == "report":
        one.reports.append(Report(int(entry["ssrc"]), float(entry["rtp"]), float(entry["ntp"]), at))
    elif event == "pace":
        one.paces.append(Pace(int(entry["ssrc"]), float(entry["rtp"]), float(entry["late"])))
    elif event == "muted":
        if entry["muted"]:
            track.muted.append((at, None))
        elif track.muted and track.muted[-1][1] is None:
            track.muted[-1] = (track.muted[-1][0], at)
    elif event == "rotation":
        one.rotations.append((float(entry["pts"]), int(entry["degrees"]) % 360))
    elif event == "gap":
        one.gaps.append({"from": float(entry["from"]), "to": float(entry["to"]), "reason": str(entry["reason"]),
                         "packets": int(entry["packets"])})
    elif event == "written":
        one.last_pts = max(one.last_pts, float(entry["pts"]))
        track.frames, track.octets = int(entry["frames"]), int(entry["octets"])
    elif event == "untrack":
        track.unpublished_s = at


def _place(found: Manifest, pending: dict[str, _Pending]) -> None:
    """Put all tracks on the recording's axis."""
    reports: dict[str, list[Report]] = {}
    for one in pending.values():
        reports.setdefault(one.track.participant, []).extend(one.reports)
    senders = {sid: SenderClock(entries) for sid, entries in reports.items()}
    for one in pending.values():
        track = one.track
        if not one.segments:
            continue
        heard = Heard(one.reports, one.paces)
        track.segments = [measure(segment, heard, senders[track.participant], following)
                          for segment, following in zip(one.segments, [*one.segments[1:], None], strict=True)]
        track.is_measured = all(segment.is_measured for segment in track.segments)
        clock = track.clock()
        track.start_s, track.end_s = clock.at(one.segments[0].pts_ms), clock.at(one.last_pts)
        track.rotations = [(clock.at(pts), degrees) for pts, degrees in one.rotations]
        track.gaps = [{"from_s": clock.at(gap["from"]), "to_s": clock.at(gap["to"]), "reason": gap["reason"],
                       "packets": gap["packets"]} for gap in one.gaps]


# -- files

def replace(path: Path, data: bytes) -> None:
    """Write a file so that it is there as a whole or as it was before. OSError."""
    draft = path.with_name(path.name + ".new")
    with open(draft, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def write(directory: Path, found: Manifest) -> None:
    """Keep manifest.json. OSError."""
    text = json.dumps(found.to_json(), ensure_ascii=False, indent=1)
    replace(directory / NAME, text.encode("utf-8", "replace"))


def recover(directory: Path) -> Manifest:
    """Make manifest.json anew from the journal, of a recording that nobody writes any more."""
    try:
        found = fold(journal.read(directory), ends=lambda file: last_pts_ms(directory / file))
    except OSError as error:
        raise ManifestError("there is no journal to read: %s" % error) from None
    write(directory, found)
    return found


def load(path: Path) -> Manifest:
    """Read a manifest.json (or the one in this directory); made from the journal if it is missing or from before the
    end.
    """
    directory = path if path.is_dir() else path.parent
    try:
        raw = json.loads((directory / NAME).read_bytes())
        if raw["version"] != VERSION:
            raise ManifestError("a manifest of version %s" % raw["version"])
        found = _structure(raw)
    except FileNotFoundError:
        return recover(directory)
    except OSError as error:
        raise ManifestError(str(error)) from None
    except (ValueError, OverflowError, KeyError, TypeError) as error:
        raise ManifestError("%s is no manifest: %r" % (directory / NAME, error)) from None
    return recover(directory) if found.state == "recording" else found


def _structure(raw: dict[str, Any]) -> Manifest:
    def track(entry: dict[str, Any]) -> Track:
        entry = dict(entry)
        if Path(entry["file"]).name != entry["file"]:
            raise ValueError("a file elsewhere")
        entry["segments"] = [SegmentClock(float(pts), [(float(x), float(y)) for x, y in points], bool(known))
                             for pts, points, known in entry["segments"]]
        entry["muted"] = [(a, b) for a, b in entry["muted"]]
        entry["rotations"] = [(at, degrees) for at, degrees in entry["rotations"]]
        return Track(**entry)

    known = {field.name for field in attrs.fields(Manifest)}
    values = {key: value for key, value in raw.items() if key in known}
    values["participants"] = [Participant(**entry) for entry in raw["participants"]]
    values["layouts"] = [(at, layout) for at, layout in raw["layouts"]]
    values["tracks"] = [track(entry) for entry in raw["tracks"]]
    return Manifest(**values)
