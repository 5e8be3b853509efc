"""One track on its way from packets to a file, in the recording's thread: order, frames, places in time, the file.

    track = TrackFile(sid, "vp8", path, journal, size=(1280, 720))
    track.process(feed.take(), at, offset)
    track.wants_keyframe          # packets come, but no decoder could use them
    track.close(at)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chatd.bridge.codecs import clock_hz
from chatd.bridge.recording import sizes
from chatd.bridge.recording.feed import Begin, Item, Nothing, Reported, Sound, Turned
from chatd.bridge.recording.frames import Frame, Frames
from chatd.bridge.recording.journal import Journal
from chatd.bridge.recording.reorder import Lost, Reorder
from chatd.bridge.recording.segments import Segments
from chatd.bridge.recording.writer import MediaFile
from chatd.bridge.rtp import Packet

# Video is asked for again for a second (reception.GIVE_UP_S); sound is not, there only the order may be wrong.
WAIT_VIDEO_S = 1.2
WAIT_AUDIO_S = 0.2
# A loop that was held up for longer took nothing meanwhile: what was sent again waits in front of it, too.
MOST_STEP_S = 0.25
# Nothing for so long is noted as a gap. DTX pauses 0.4 s, a still screen sends a picture a second.
STALL_MS = 3000
# A lost packet of sound is 20 ms; only longer holes are worth a line in the journal.
LEAST_GAP_MS = 100
# How many reports of a stream are kept at first, and how often later.
FIRST_REPORTS = 8
REPORT_S = 5.0
WRITTEN_S = 5.0
# How late the quickest sound of so many seconds came is noted, where it has changed by so much: clocks.Pace.
PACE_S = 0.5
PACE_CHANGE_S = 0.01


class TrackFile:
    """`path` is made with the first frame. `size`: as announced, used if the stream does not tell its own.

    Errors of the file system come out of `process` and `close` (writer.ERRORS). `octets`: size of the file so far.
    """

    def __init__(self, sid: str, codec: str, path: Path, journal: Journal, size: tuple[int, int] = (0, 0)) -> None:
        self.sid = sid
        self.codec = codec
        self.path = path
        self.frames_written = 0
        self.wants_keyframe = False
        self._journal = journal
        self._size = size
        self._is_video = codec != "opus"
        self._reorder = Reorder(WAIT_VIDEO_S if self._is_video else WAIT_AUDIO_S)
        self._frames = Frames(codec)
        self._segments = Segments(clock_hz(codec))
        self._file: MediaFile | None = None
        self._ssrc = 0
        # When the first packet of the SSRC came, until its first frame is written.
        self._begun_at: float | None = None
        self._lost = 0
        self._gap_from: int | None = None
        self._reports = 0
        # How long packets have been waited for, without the time in which none could be taken; when last looked.
        self._waited_s = self._looked_at = 0.0
        self._report_at = self._written_at = -100.0
        # SSRC and beginning of a window of its own time, the least lateness in it, and the last that was noted.
        self._window = (0, 0.0)
        self._noted_ssrc = 0
        self._noted_at = -100.0
        self._late_s = self._noted_late_s = 0.0

    @property
    def octets(self) -> int:
        """Bytes in the file."""
        return self._file.octets if self._file is not None else 0

    def process(self, items: Sequence[Item], at: float, offset: float) -> None:
        """Take what a feed collected; `at`: now, in seconds of the recording; `offset`: what the port's clock is
        ahead of that.
        """
        reorder = self._reorder
        self._waited_s += min(MOST_STEP_S, max(0.0, at - self._looked_at))
        self._looked_at = at
        waited_s = self._waited_s
        for item in items:
            if type(item) is Packet:
                for ready in reorder.put(item.sequence, item, waited_s):
                    self._ready(ready, at)
            elif isinstance(item, Sound):
                self._pace(item.packet, item.now - offset)
                for ready in reorder.put(item.packet.sequence, item.packet, waited_s):
                    self._ready(ready, item.now - offset)
            elif isinstance(item, Nothing):
                for ready in reorder.put(item.sequence, None, waited_s):
                    self._ready(ready, at)
            elif isinstance(item, Begin):
                for ready in reorder.flush():
                    self._ready(ready, at)
                reorder.begin(item.sequence)
                self._frames.begin()
                self._ssrc = item.ssrc
                self._begun_at = item.now - offset
                self._reports = 0
            elif isinstance(item, Reported):
                self._report(item, item.now - offset)
            elif isinstance(item, Turned):
                self._journal.add("rotation", at, sid=self.sid, pts=max(0, self._last_pts), degrees=item.degrees)
        for ready in reorder.due(waited_s):
            self._ready(ready, at)
        self.wants_keyframe = self._is_video and bool(items) and self._frames.waits_for_key
        if at - self._written_at > WRITTEN_S:
            self._written(at)

    def close(self, at: float) -> None:
        """The track has ended: write what is held, finish the file."""
        for ready in self._reorder.flush():
            self._ready(ready, at)
        self._written(at)
        if self._file is not None:
            self._file.close()

    def abandon(self) -> None:
        """Close after an error of the file system."""
        if self._file is not None:
            self._file.abandon()

    @property
    def _last_pts(self) -> int:
        return self._file.last_pts if self._file is not None else -1

    def _written(self, at: float) -> None:
        self._written_at = at
        if self._file is not None:
            self._journal.add("written", at, sid=self.sid, pts=self._last_pts, frames=self.frames_written,
                              octets=self.octets)

    def _report(self, item: Reported, at: float) -> None:
        report = item.report
        self._reports += 1
        if self._reports > FIRST_REPORTS and at - self._report_at < REPORT_S:
            return
        self._report_at = at
        self._journal.add("report", at, sid=self.sid, ssrc=report.ssrc,
                          rtp=round(self._segments.seconds(report.ssrc, report.timestamp), 5),
                          ntp=round(report.ntp / 4294967296, 5))

    def _pace(self, packet: Packet, at: float) -> None:
        """Sound whose clock stands still (samples were lost before they were sent) comes later from then on."""
        rtp_s = self._segments.seconds(self._ssrc, packet.timestamp)
        late_s = at - rtp_s
        ssrc, begin = self._window
        if ssrc == self._ssrc and abs(rtp_s - begin) < PACE_S:
            self._late_s = min(self._late_s, late_s)
            return
        is_other = ssrc != self._noted_ssrc or abs(self._late_s - self._noted_late_s) > PACE_CHANGE_S
        if ssrc and is_other and at - self._noted_at >= PACE_S / 2:
            self._noted_ssrc, self._noted_late_s, self._noted_at = ssrc, self._late_s, at
            self._journal.add("pace", at, sid=self.sid, ssrc=ssrc, rtp=round(begin, 5), late=round(self._late_s, 4))
        self._window, self._late_s = (self._ssrc, rtp_s), late_s

    def _ready(self, ready: object, at: float) -> None:
        if isinstance(ready, Lost):
            self._lost += ready.count
            self._frames.lost(ready.count)
            if self._gap_from is None and self._file is not None:
                self._gap_from = self._last_pts
            return
        assert isinstance(ready, Packet)
        for frame in self._frames.packet(ready):
            self._write(frame, at)

    def _write(self, frame: Frame, at: float) -> None:
        if self._begun_at is not None:
            at, self._begun_at = min(at, self._begun_at), None
        pts, begins = self._segments.place(self._ssrc, frame.timestamp, at)
        file = self._file
        if file is None:
            width, height = frame.width, frame.height
            if self._is_video and not (width and height):
                width, height = sizes.of_keyframe(self.codec, frame.data)
            if self._is_video and not (width and height):
                width, height = self._size if all(self._size) else (1280, 720)
            file = self._file = MediaFile(self.path, self.codec, width, height)
            self._lost = 0
        elif self._gap_from is None and pts - file.last_pts > STALL_MS:
            self._gap_from = file.last_pts
        last = file.last_pts
        written = file.write(frame.data, pts, frame.is_key)
        self.frames_written += 1
        segment = self._segments.current
        if begins and segment is not None:
            # Where a place had to move behind the last frame, the segment moves along.
            self._journal.add("segment", segment.at, sid=self.sid, pts=round(max(segment.pts_ms, last + 1), 3),
                              ssrc=segment.ssrc, rtp=round(segment.rtp_s, 5))
        if self._gap_from is not None:
            if self._is_video or written - self._gap_from > LEAST_GAP_MS:
                self._journal.add("gap", at, sid=self.sid, **{"from": self._gap_from, "to": written},
                                  reason="loss" if self._lost else "nothing came", packets=self._lost)
            self._gap_from, self._lost = None, 0
