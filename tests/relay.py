"""A TCP relay that breaks connections where a test wants it: after so many bytes this way or that way."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable

import attrs

#: Server sides of silently broken connections that are kept open; the oldest goes when there are more.
_DEAD_MOST = 20


@attrs.define
class Fate:
    """How one connection ends.

    up, down: bytes that pass from the client and to it before it is cut; None for no limit.  how: "reset" (both sides
    see a reset), "close" (both see an orderly end of TCP), or "silent" (the client sees a reset, the server nothing,
    as when a phone changes its network).
    """

    up: int | None = None
    down: int | None = None
    how: str = "reset"


class Relay(threading.Thread):
    """Listens on a port of 127.0.0.1 (`address`) and passes on to `target`.

    fate: asked for each connection.  cuts: how many have been cut.
    """

    def __init__(self, target: tuple[str, int], fate: Callable[[], Fate]) -> None:
        super().__init__(daemon=True)
        self.cuts = 0
        self._target = target
        self._fate = fate
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._pairs: dict[socket.socket, tuple[socket.socket, socket.socket, Fate]] = {}
        self._dead: deque[socket.socket] = deque()
        self._is_to_mute = False
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)

    def __enter__(self) -> Relay:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.send(b"x")
        self.join(10)
        self._wake.close()

    def mute(self) -> None:
        """What is connected now stays open and passes nothing any more; who connects from now on is passed on."""
        self._is_to_mute = True
        self._wake.send(b"m")

    def run(self) -> None:
        """Passes bytes until it is told to stop."""
        try:
            while True:
                for key, _ in self._selector.select():
                    if key.fileobj is self._woken:
                        if self._woken.recv(1) != b"m":
                            return
                        self._be_mute()
                        break
                    if key.fileobj is self._listener:
                        self._accept()
                    elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._pairs:
                        self._pass(key.fileobj)
        finally:
            for sock in (*self._pairs, *self._dead, self._listener, self._woken):
                sock.close()
            self._selector.close()

    def _be_mute(self) -> None:
        for sock in self._pairs:
            self._selector.unregister(sock)
            self._dead.append(sock)
        self._pairs.clear()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(self._target)
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(sock, selectors.EVENT_READ)
        self._pairs[client] = self._pairs[server] = (client, server, self._fate())

    def _pass(self, source: socket.socket) -> None:
        client, server, fate = self._pairs[source]
        try:
            data = source.recv(65536)
            if not data:
                self._drop(client, server, "close")
                return
            left = fate.up if source is client else fate.down
            (server if source is client else client).sendall(data[:left])
        except OSError:
            self._drop(client, server, "reset")
            return
        if left is None:
            return
        left -= len(data)
        if source is client:
            fate.up = left
        else:
            fate.down = left
        if left <= 0:
            self.cuts += 1
            self._drop(client, server, fate.how)

    def _drop(self, client: socket.socket, server: socket.socket, how: str) -> None:
        for sock in (client, server):
            self._selector.unregister(sock)
            del self._pairs[sock]
        for sock in (client, server):
            if sock is server and how == "silent":
                self._dead.append(server)
                if len(self._dead) > _DEAD_MOST:
                    self._dead.popleft().close()
                continue
            if how != "close":
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
