"""One track's sound on the recording's time axis, read as it is needed.

Between packets there may be nothing (mute, DTX, loss): silence. A sender's sample clock that runs a little fast or slow
is followed by making blocks longer or shorter by a few samples; only what is farther off than JUMP_S jumps.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

import av
import av.error
import numpy as np

from chatd.bridge.recording.clocks import TrackClock
from chatd.bridge.recording.mixer import RATE, Sound, stretch

JUMP_S = 0.04
# Closer than this is rounding: times in files are whole milliseconds.
NEAR_S = 0.0015
MOST_STRETCH = 3
# A packet that begins so much later than the one before it ended follows on a hole.
HOLE_MS = 5.0
FADE = 240
# An Opus packet of so few bytes says that there is nothing to say (RFC 7587 3.1.3). A decoder that
# did not live through the pause would go on with the last sound.
DTX_BYTES = 2


class SoundTrack:
    """`path`: the track's file; `clock`: its place in time. A file that ends early or cannot be read is silence.

    `read(start, count)`: stereo samples from sample `start` of the recording on; starts must not go back.
    """

    def __init__(self, path: Path, clock: TrackClock) -> None:
        self._clock = clock
        # Blocks and the sample at which each begins, in order, without overlap.
        self._blocks: deque[tuple[int, Sound]] = deque()
        self._end: int | None = None
        self._next_pts_ms = 0.0
        self._container: av.container.InputContainer | None = None
        try:
            self._container = av.open(str(path))
            self._packets = self._container.demux(self._container.streams.audio[0])
        except (av.error.FFmpegError, OSError, IndexError):
            self._close()
        self._resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)

    def read(self, start: int, count: int) -> Sound | None:
        """None if there is nothing but silence."""
        end = start + count
        while self._container is not None and (self._end is None or self._end < end):
            if not self._decode():
                break
        blocks = self._blocks
        while blocks and blocks[0][0] + len(blocks[0][1]) <= start:
            blocks.popleft()
        if not blocks or blocks[0][0] >= end:
            return None
        out = np.zeros((count, 2), np.float32)
        for at, block in blocks:
            if at >= end:
                break
            first, last = max(at, start), min(at + len(block), end)
            out[first - start:last - start] = block[first - at:last - at]
        return out

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self._container is None and not self._blocks

    def _decode(self) -> bool:
        """The next packet; False at the end."""
        try:
            packet = next(self._packets)
        except (StopIteration, av.error.FFmpegError, OSError):
            self._close()
            return False
        if packet.pts is None or packet.time_base is None or packet.size <= DTX_BYTES:
            return True
        try:
            frames = packet.decode()
        except (av.error.FFmpegError, ValueError):
            return True
        pieces = [piece.to_ndarray() for frame in frames for piece in self._resampler.resample(frame)]
        if pieces:
            # Each piece's own time may lack what the decoder cuts off at the very beginning; the packet's does not.
            samples: Sound = np.concatenate(pieces, axis=1).T.astype(np.float32, copy=False)
            self._place(float(packet.pts * packet.time_base) * 1000, samples)
        return True

    def _place(self, pts_ms: float, samples: Sound) -> None:
        wanted = round(self._clock.at(pts_ms) * RATE)
        end = self._end
        follows = abs(pts_ms - self._next_pts_ms) < HOLE_MS
        self._next_pts_ms = pts_ms + len(samples) / RATE * 1000
        if end is None or not follows or abs(wanted - end) > JUMP_S * RATE:
            if end is not None and wanted < end:
                # It overlaps what was there: the earlier sound stays.
                cut = end - wanted
                if cut >= len(samples):
                    return
                samples, wanted = samples[cut:], end
            # Out of silence without a click.
            samples = samples.copy()
            head = samples[:FADE]
            head *= np.linspace(0, 1, len(head), dtype=np.float32)[:, None]
            at = wanted
        else:
            at = end
            # What is to follow begins at `wanted`: this block is made to end nearer to that.
            off = wanted - end
            if abs(off) > NEAR_S * RATE:
                change = max(-MOST_STRETCH, min(MOST_STRETCH, off))
                samples = stretch(samples, len(samples) + change)
        self._blocks.append((at, samples))
        self._end = at + len(samples)

    def _close(self) -> None:
        if self._container is not None:
            self._container.close()
            self._container = None
