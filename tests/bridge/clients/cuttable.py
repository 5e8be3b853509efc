"""A relay in front of the bridge's signalling that a test cuts: clients lose their WebSocket, media go on.

    wire = Cuttable(bridge.http)
    ann = people.page("ann", url=wire.url)
    wire.cut()                     # all connections, by a reset to both sides ("silent": the bridge sees nothing)
    wire.is_open = False           # from now on every new connection is reset at once
    wire.close()
"""

from __future__ import annotations

import socket
import struct
import threading

LINGER = struct.pack("ii", 1, 0)


class Cuttable:
    """See the module. `connections`: how many there have been."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self.is_open = True
        self.connections = 0
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = "ws://127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if not self.is_open:
                _reset(client)
                continue
            server = socket.create_connection(self._target)
            pair = (client, server)
            with self._lock:
                self._pairs.add(pair)
            for source, target in (pair, pair[::-1]):
                threading.Thread(target=self._pass, args=(pair, source, target), daemon=True).start()

    def _pass(self, pair: tuple[socket.socket, socket.socket], source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        with self._lock:
            self._pairs.discard(pair)

    def cut(self, how: str = "reset") -> int:
        """Cut all connections; gives how many."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for client, server in pairs:
            _reset(client)
            if how == "reset":
                _reset(server)
        return len(pairs)

    def close(self) -> None:
        self._listener.close()
        self.cut()


def _reset(sock: socket.socket) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
        # Wakes the thread that reads it; the reset goes with the close.
        sock.shutdown(socket.SHUT_RD)
    except OSError:
        pass
    sock.close()
