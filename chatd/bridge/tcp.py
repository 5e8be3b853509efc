"""ICE over TCP, passive side (RFC 6544): frames of RFC 4571 on accepted connections. For peers whose network lets no
UDP out.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from chatd.bridge.port import Port
    from chatd.bridge.transport import Transport

FIRST_CHECK_S = 10.0
LARGEST_FRAME = 4096
# About two seconds of a good stream; behind that, packets are dropped instead of being late.
MOST_BUFFERED_BYTES = 512 << 10
MOST_UNKNOWN = 500


class TcpPath(asyncio.Protocol):
    """One connection. `transport`: whose it is, None before its first valid check."""

    def __init__(self, owner: Port, unknown: set[TcpPath]) -> None:
        self._owner = owner
        self._unknown = unknown
        self._buffer = bytearray()
        self._wire: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.transport: Transport | None = None
        self.address = None
        self.host, self.port = "", 0
        self.is_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted: a check has to come soon, and there may be only so many of whom nothing is known."""
        # uvloop's transport is one in all but its class.
        wire = cast(asyncio.Transport, transport)
        self._wire = wire
        peer = wire.get_extra_info("peername") or ("", 0)
        self.host, self.port = peer[0], peer[1]
        if len(self._unknown) >= MOST_UNKNOWN:
            self._owner.count("tcp connections")
            wire.abort()
            return
        self._unknown.add(self)
        self._timer = asyncio.get_running_loop().call_later(FIRST_CHECK_S, self._too_late)

    def _too_late(self) -> None:
        if self.transport is None:
            self._owner.count("tcp silent")
            self.close()

    def data_received(self, data: bytes) -> None:
        """Cut the stream into frames: 16 bits of length, then the packet."""
        self._buffer += data
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 2:
            size = buffer[at] << 8 | buffer[at + 1]
            if size > LARGEST_FRAME:
                self._owner.count("tcp frame")
                self.close()
                return
            if len(buffer) - at - 2 < size:
                break
            frame = bytes(buffer[at + 2:at + 2 + size])
            at += 2 + size
            if not self._owner.received_frame(frame, self):
                self.close()
                return
            if self.transport is not None:
                self._unknown.discard(self)
        del buffer[:at]

    def send(self, data: bytes) -> bool:
        """Frame and write; False, and dropped, if the peer does not keep up."""
        wire = self._wire
        if wire is None or self.is_closed or len(data) > 0xFFFF:
            return False
        if wire.get_write_buffer_size() > MOST_BUFFERED_BYTES:
            self._owner.count("tcp not read")
            return False
        wire.write(len(data).to_bytes(2, "big") + data)
        return True

    def close(self) -> None:
        """Abort the connection."""
        self.is_closed = True
        if self._wire is not None:
            self._wire.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer or `close` ended it."""
        self.is_closed = True
        self._unknown.discard(self)
        self._owner.forget_tcp(self)
        if self._timer is not None:
            self._timer.cancel()


async def listen(owner: Port, address: str, number: int) -> asyncio.Server:
    """Accept connections for a media port; OSError if the number is taken."""
    unknown: set[TcpPath] = set()
    return await asyncio.get_running_loop().create_server(lambda: TcpPath(owner, unknown), address, number)
