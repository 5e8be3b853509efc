"""From the publisher's numbers to one subscriber's: sequence number, timestamp, VP8 picture id, TL0PICIDX.

A subscriber sees one gapless stream, though the bridge changes layers, leaves packets out (temporal layers, padding)
and pauses. The map is a short list of segments, each with offsets that hold from one incoming packet on. Numbers in,
numbers out: nothing of sockets or codecs.
"""

from __future__ import annotations

from collections import deque

MASK16, MASK32 = 0xFFFF, 0xFFFFFFFF
HISTORY = 128


class Segment:
    """Offsets for the packets of `source` from incoming number `first` on, all to be added (mod their size)."""

    __slots__ = ("source", "first", "delta", "timestamp_delta", "picture_delta", "tl0_delta")

    def __init__(self, source: object, first: int, delta: int, timestamp_delta: int, picture_delta: int = 0,
                 tl0_delta: int = 0) -> None:
        self.source = source
        self.first = first
        self.delta = delta
        self.timestamp_delta = timestamp_delta
        self.picture_delta = picture_delta
        self.tl0_delta = tl0_delta


class PacketMap:
    """The map of one subscription.

    `now` is the newest segment (None before the first `begin`); the hot path reads its offsets directly and calls
    `find` only for packets older than its start.
    """

    __slots__ = ("now", "_past")

    def __init__(self) -> None:
        self.now: Segment | None = None
        # The newest segment is also the last of these.
        self._past: deque[Segment] = deque(maxlen=HISTORY)

    def begin(self, source: object, first: int, first_out: int, timestamp_delta: int, picture_delta: int = 0,
              tl0_delta: int = 0) -> Segment:
        """From now on `source` is sent; its packet `first` gets the number `first_out`."""
        self.now = Segment(
            source, first, (first_out - first) & MASK16, timestamp_delta & MASK32, picture_delta, tl0_delta
        )
        self._past.append(self.now)
        return self.now

    def leave_out(self, sequence: int, next_picture: bool = False) -> bool:
        """The packet `sequence`, the newest of its source, is not sent: what follows moves up by one.

        `next_picture`: a whole picture has been left out with it, so picture ids move up too. False, and nothing
        changes, if it is older than the segment: then the hole stays, and the subscriber may ask for it in vain.
        """
        now = self.now
        if now is None or (sequence - now.first) & MASK16 >= 0x8000:
            return False
        picture = now.picture_delta - next_picture
        if sequence == now.first:
            # Nothing was sent in this segment yet, or only what came before: it starts one later.
            now.first = (sequence + 1) & MASK16
            now.delta = (now.delta - 1) & MASK16
            now.picture_delta = picture
            return True
        self.now = Segment(now.source, (sequence + 1) & MASK16, (now.delta - 1) & MASK16, now.timestamp_delta, picture,
                           now.tl0_delta)
        self._past.append(self.now)
        return True

    def find(self, source: object, sequence: int) -> Segment | None:
        """The segment for a late packet: None if it came before a change of layers or was left out."""
        following: Segment | None = None
        for segment in reversed(self._past):
            if segment.source is not source:
                return None
            if (sequence - segment.first) & MASK16 < 0x8000:
                # As many packets as the offset moved by were not sent, right before the following segment.
                if following is not None:
                    missing = (segment.delta - following.delta) & MASK16
                    if (following.first - sequence) & MASK16 <= missing:
                        return None
                return segment
            following = segment
        return None

    def reverse(self, out: int) -> tuple[Segment, int] | None:
        """Which source and incoming number the outgoing number `out` had; None if it is too long ago."""
        for segment in reversed(self._past):
            if (out - segment.first - segment.delta) & MASK16 < 0x8000:
                return segment, (out - segment.delta) & MASK16
        return None

    def advance(self, highest: int) -> None:
        """Keep the newest segment's start within half the number space behind `highest`; to be called every few
        seconds.
        """
        now = self.now
        if now is not None and 0x4000 < (highest - now.first) & MASK16 < 0x8000:
            now.first = (highest - 0x2000) & MASK16
            self._past.clear()
            self._past.append(now)
