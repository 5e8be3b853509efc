"""What happens during a recording, one JSON object a line, appended and never changed: after a crash everything up to
the last whole line is known. `manifest.fold` makes the manifest of it.

Every line has `event` and `at`, seconds since the recording began:

    started      id, room, room_sid, time (Unix seconds)
    participant  sid, identity, name            joined, or was there; left: sid
    track        sid, participant, kind, source, codec, name, file, width, height, stream
    refused      sid, participant, kind, source, reason
    segment      sid, pts, ssrc, rtp            segments.Segment, in milliseconds and seconds
    report       sid, ssrc, rtp, ntp            clocks.Report
    pace         sid, ssrc, rtp, late           clocks.Pace
    muted        sid, muted
    rotation     sid, pts, degrees              the picture is to be turned clockwise by so much
    gap          sid, from, to (pts), reason, packets
    written      sid, pts, frames, octets       how far the file is, now and then and at the end
    untrack      sid                            unpublished
    layout       layout
    stopped      reason, error
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

NAME = "journal.jsonl"
# A journal of a day's meeting of fifty is 100 MB; a larger one is not ours.
MOST_BYTES = 1 << 30


class Journal:
    """Appends to `directory`/journal.jsonl, which must not exist. OSError where it cannot be written."""

    def __init__(self, directory: Path) -> None:
        self._descriptor = os.open(
            directory / NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        self._lines: list[bytes] = []

    def add(self, event: str, at: float, **fields: Any) -> None:
        """Note an event; it is in the file after the next `flush`."""
        line = json.dumps({"event": event, "at": round(at, 4), **fields}, ensure_ascii=False, separators=(",", ":"))
        self._lines.append(line.encode("utf-8", "replace") + b"\n")

    def flush(self) -> None:
        """Write what was added. A line that could be written in part only ends the journal with OSError."""
        if self._lines:
            data, self._lines = b"".join(self._lines), []
            if os.write(self._descriptor, data) != len(data):
                raise OSError(28, os.strerror(28))

    def close(self) -> None:
        """Write what was added and bring it to the disk."""
        if self._descriptor < 0:
            return
        descriptor = self._descriptor
        try:
            self.flush()
            os.fsync(descriptor)
        finally:
            self._descriptor = -1
            os.close(descriptor)


def read(directory: Path) -> list[dict[str, Any]]:
    """All whole lines of a recording's journal; a torn or foreign one is left out. OSError if there is none."""
    path = directory / NAME
    if path.stat().st_size > MOST_BYTES:
        raise OSError(27, os.strerror(27), str(path))
    found = []
    with path.open("rb") as lines:
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and isinstance(entry.get("event"), str):
                found.append(entry)
    return found
