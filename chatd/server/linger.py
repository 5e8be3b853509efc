"""The quiet end of a connection: our side has said its last word, the peer has not.

close() with unread input in the kernel makes TCP send a reset, which can destroy `</stream:stream>` on its way to
the peer. So the writing side is shut down, and what still comes is read and dropped until the peer ends too, a few
seconds have passed, or it has sent more than anybody would in good faith.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import abstract, main
from twisted.python.failure import Failure

#: What a peer may still send after our end; beyond it the connection is cut.
LINGER_BYTES = 1 << 20


class Linger(abstract.FileDescriptor):
    """Owns a socket whose protocol has already been told of the end, and closes it."""

    def __init__(self, sock: socket.socket, reactor: Any, timeout_s: float) -> None:
        """Shut the writing side of `sock` down and begin to read. `timeout_s`: seconds until it is closed anyway."""
        super().__init__(reactor)
        self.socket = sock
        self.fileno = sock.fileno  # type: ignore[method-assign]
        self._left = LINGER_BYTES
        self._deadline = reactor.callLater(timeout_s, self._close)
        self.connected = 1
        try:
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close()  # the peer is gone already
        else:
            self.startReading()

    def doRead(self) -> Any:
        """Drop what came; the reactor closes us at the end of input."""
        try:
            dropped = self.socket.recv(65536)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        self._left -= len(dropped)
        return None if dropped and self._left > 0 else main.CONNECTION_DONE

    def connectionLost(self, reason: Failure) -> None:
        """Close the socket; called by the reactor at the end of input and when it stops."""
        self._close()

    def logPrefix(self) -> str:
        """What stands in Twisted's own messages."""
        return "Linger"

    def _close(self) -> None:
        if self.connected:
            self.connected, self.disconnected = 0, 1
            if self._deadline.active():
                self._deadline.cancel()
            self.stopReading()
            self.socket.close()
