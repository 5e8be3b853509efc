"""Frames of one stream from its packets in order: whole ones only, from a keyframe on, and after a loss from the next.

    frames = Frames("vp8", is_video=True)
    for frame in frames.packet(packet): ...
    frames.lost(3)
    frames.waits_for_key     # then somebody should ask the publisher for one
"""

from __future__ import annotations

from typing import Any, NamedTuple

from chatd.bridge.recording import depacketise
from chatd.bridge.rtp import Packet

# A frame of more packets than that is somebody's bad joke.
MOST_PACKETS = 8192


class Frame(NamedTuple):
    """`data` as a container holds it; `timestamp` of RTP, 32 bits; `width` and `height` 0 if the packets do not tell.
    """

    data: bytes
    timestamp: int
    is_key: bool
    width: int
    height: int


class Frames:
    """See the module. `malformed`: frames whose payloads did not fit together; `dropped`: frames without a begin."""

    __slots__ = ("codec", "is_video", "waits_for_key", "malformed", "dropped", "_join", "_payloads", "_first")

    def __init__(self, codec: str) -> None:
        self.codec = codec
        self.is_video = codec != "opus"
        self.waits_for_key = True
        self.malformed = self.dropped = 0
        self._payloads: list[bytes] = []
        self._first: Packet | None = None

    def begin(self) -> None:
        """Another stream (a layer, a restart) begins with a keyframe; what is unfinished is dropped."""
        self._drop()
        self.waits_for_key = self.is_video

    def lost(self, count: int) -> None:
        """So many packets are missing here: video goes on with a keyframe, sound with the next packet."""
        if self._payloads:
            self.dropped += 1
        self.begin()

    def packet(self, packet: Packet) -> list[Frame]:
        """The next packet; gives the frames that end with it or before it (mostly one or none)."""
        if not self.is_video:
            return [Frame(packet.payload, packet.timestamp, True, 0, 0)]
        found: list[Frame] = []
        first = self._first
        if first is not None and packet.timestamp != first.timestamp:
            # The last packet had no marker: with nothing lost between, the frame is whole all the same.
            self._finish(found)
            first = self._first
        if first is None:
            described: Any = packet.described
            if not described.begins or self.waits_for_key and not described.is_key:
                return found
            self._first = packet
        self._payloads.append(packet.payload)
        if packet.marker or len(self._payloads) > MOST_PACKETS:
            self._finish(found)
        return found

    def _finish(self, found: list[Frame]) -> None:
        first, payloads = self._first, self._payloads
        self._first, self._payloads = None, []
        assert first is not None
        described: Any = first.described
        try:
            data = depacketise.join(self.codec, payloads)
        except depacketise.Malformed:
            self.malformed += 1
            self.waits_for_key = True
            return
        self.waits_for_key = False
        found.append(Frame(data, first.timestamp, described.is_key, described.width, described.height))

    def _drop(self) -> None:
        self._first = None
        self._payloads = []
