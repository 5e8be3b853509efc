"""The last packets of one incoming layer, by sequence number, to answer retransmission requests from.

One cache a layer serves all its subscribers: a subscriber's NACK is mapped back to the publisher's numbers
(`packetmap`). So keeping a packet costs one list assignment however many subscribers there are.
"""

from __future__ import annotations

from chatd.bridge.rtp import Packet


class PacketCache:
    """A ring of `size` packets (a power of two up to 65536); 1024 are 1.7 s of a 5.5 Mbit/s stream."""

    __slots__ = ("_ring", "_mask")

    def __init__(self, size: int = 1024) -> None:
        if size & (size - 1) or not 0 < size <= 65536:
            raise ValueError("the size of a packet cache is a power of two")
        self._ring: list[Packet | None] = [None] * size
        self._mask = size - 1

    def put(self, packet: Packet) -> None:
        """Keep a packet; it takes the place of the one `size` numbers before."""
        self._ring[packet.sequence & self._mask] = packet

    def get(self, sequence: int) -> Packet | None:
        """The packet with this 16-bit sequence number, if it is still there."""
        packet = self._ring[sequence & self._mask]
        return packet if packet is not None and packet.sequence == sequence else None

    def clear(self) -> None:
        """Forget all, when a stream starts anew."""
        self._ring = [None] * (self._mask + 1)
