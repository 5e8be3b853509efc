"""One request of the tunnel on its way to a bridge process and back; see tunnel.py.

    Passage   asks the process, and gives its client the answer, or makes a pipe of the two connections
    Inner     the connection to the process
    Outer     the client's connection, taken from HTTP
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ClientFactory, connectionDone
from twisted.internet.protocol import Protocol as Wire
from twisted.logger import Logger
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure

if TYPE_CHECKING:
    from chatd.web.tunnel import TunnelResource

__all__ = ["AWAY", "Inner", "Outer", "Passage", "Refused"]

HEAD_BYTES: Final = 16_384
ANSWER_BYTES: Final = 65_536
_FIELD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\Z")
"""A field line (RFC 9110 5.1 and 5.5); a line feed alone would begin another one behind it."""
AWAY: Final = "the media server is being started"

log = Logger()


class Refused(Exception):
    """A client that is not let through: an HTTP status and a sentence, which its user may see."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text


class Passage:
    """One request on its way: asked of the process, then answered, or turned into a pipe."""

    def __init__(self, tunnel: TunnelResource, request: Any, address: str) -> None:
        self._tunnel = tunnel
        self._request: Any = request
        self._address = address
        self._inner: Inner | None = None
        self._late: IDelayedCall | None = None
        self._connector: Any = None
        tunnel.open[address] += 1
        request.notifyFinish().addErrback(lambda _: self._client_left())

    def begin(self, where: tuple[str, int], head: bytes) -> None:
        """Ask the process at `where`."""
        limit = self._tunnel.limits.answer_s
        self._late = self._tunnel.reactor.callLater(limit, self._give_up)
        self._connector = self._tunnel.reactor.connectTCP(*where, _Connecting(self, head), timeout=limit)

    # -- before there is an answer
    def _client_left(self) -> None:
        self._request = None
        if self._connector is not None:
            self._connector.disconnect()
        self._over()

    def _give_up(self) -> None:
        self._late = None
        self.refused("no answer in time")
        self._connector.disconnect()

    def refused(self, why: str) -> None:
        """The process cannot be reached, or does not speak as it should."""
        request, self._request = self._request, None
        if request is None:
            return
        log.warn("A bridge process did not answer: {why}", why=why)
        _finish(request, self._tunnel.refuse(request, Refused(503, AWAY)))
        self._over()

    def answered(self, status: int, headers: dict[bytes, bytes], body: bytes) -> None:
        """It gave an ordinary answer."""
        request, self._request = self._request, None
        if request is None:
            return
        request.setResponseCode(status)
        for name in (b"content-type", b"access-control-allow-origin"):
            if name in headers:
                request.setHeader(name, headers[name])
        request.setHeader(b"cache-control", b"no-store")
        if status >= 400:
            self._tunnel.refused[status] += 1
        _finish(request, body)
        self._over()

    # -- the pipe
    def accepted(self, inner: Inner, head: bytes, rest: bytes) -> bool:
        """It accepted the WebSocket: from now on bytes go through. False if the client has left."""
        request, self._request = self._request, None
        if request is None:
            return False
        self._stop_waiting()
        self._tunnel.passed += 1
        outer = Outer(inner, self._tunnel.limits.idle_s, self._tunnel.reactor, self._over)
        inner.outer = outer
        _take_over(request, outer, head + rest)
        return True

    def _stop_waiting(self) -> None:
        late, self._late = self._late, None
        if late is not None and late.active():
            late.cancel()

    def _over(self) -> None:
        self._stop_waiting()
        counts, address = self._tunnel.open, self._address
        counts[address] -= 1
        if counts[address] <= 0:
            del counts[address]


def _finish(request: Any, body: bytes) -> None:
    request.setHeader(b"content-length", b"%d" % len(body))
    request.write(body)
    request.finish()


class _Connecting(ClientFactory):
    """Makes the connection to a process."""

    noisy = False

    def __init__(self, passage: Passage, head: bytes) -> None:
        self.passage = passage
        self.head = head

    def buildProtocol(self, addr: object) -> Inner:
        return Inner(self.passage, self.head)

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self.passage.refused(reason.getErrorMessage())


class Inner(Wire):
    """The connection to the process: first its answer, then its bytes."""

    transport: Any

    def __init__(self, passage: Passage, head: bytes) -> None:
        self._passage = passage
        self._request = head
        self._buffer = b""
        self._answer: tuple[int, dict[bytes, bytes]] | None = None
        self.outer: Outer | None = None

    def connectionMade(self) -> None:
        """Ask."""
        self.transport.setTcpNoDelay(True)
        self.transport.write(self._request)
        self._request = b""

    def dataReceived(self, data: bytes) -> None:
        """Take bytes."""
        if self.outer is not None:
            self.outer.transport.write(data)
            return
        self._buffer += data
        if self._answer is None:
            self._take_head()
        if self._answer is not None:
            self._take_body(is_end=False)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It has ended: so does the client's connection."""
        if self.outer is not None:
            self.outer.transport.unregisterProducer()
            self.outer.transport.loseConnection()
        elif self._answer is not None:
            self._take_body(is_end=True)
        else:
            self._passage.refused("it closed the connection")

    def _take_head(self) -> None:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            if len(self._buffer) > HEAD_BYTES:
                self._fail("the head of its answer is too long")
            return
        status_line, *lines = head.split(b"\r\n")
        words = status_line.split(b" ", 2)
        if (len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit() or b"\n" in status_line
                or not all(_FIELD.match(line) for line in lines)):
            self._fail("its answer is not HTTP")
            return
        if words[1] == b"101":
            self._buffer = b""
            # What our own answers do not tell either.
            kept = [line for line in lines if not line.lower().startswith((b"server:", b"date:"))]
            if not self._passage.accepted(self, b"\r\n".join([status_line, *kept, b"", b""]), rest):
                self.transport.abortConnection()
            return
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        self._answer = int(words[1]), headers
        self._buffer = rest

    def _take_body(self, is_end: bool) -> None:
        """Answer when the body is there: as long as it says, otherwise to the end of the connection."""
        assert self._answer is not None
        status, headers = self._answer
        length = headers.get(b"content-length", b"")
        if b"transfer-encoding" in headers or len(self._buffer) > ANSWER_BYTES:
            self._fail("its answer is too long")
        elif length.isdigit():
            if len(self._buffer) >= int(length):
                self._passage.answered(status, headers, self._buffer[:int(length)])
                self.transport.loseConnection()
            elif is_end:
                self._passage.refused("its answer was cut")
        elif is_end:
            self._passage.answered(status, headers, self._buffer)

    def _fail(self, why: str) -> None:
        self._passage.refused(why)
        self.transport.abortConnection()


class Outer(Wire, TimeoutMixin):
    """The client's connection, taken from HTTP."""

    transport: Any

    def __init__(self, inner: Inner, idle_s: float, reactor: Any, on_end: Callable[[], None]) -> None:
        self._inner = inner
        self._idle_s = idle_s
        self._reactor = reactor
        self._on_end = on_end

    def callLater(self, delay: float, function: Callable[..., Any]) -> IDelayedCall:
        """TimeoutMixin's clock."""
        return self._reactor.callLater(delay, function)

    def connectionMade(self) -> None:
        """The pipe is laid: who cannot take more makes the other wait."""
        self.transport.registerProducer(self._inner.transport, True)
        self._inner.transport.registerProducer(self.transport, True)
        self.setTimeout(self._idle_s)

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the client."""
        self.resetTimeout()
        self._inner.transport.write(data)

    def timeoutConnection(self) -> None:
        """It says nothing any more."""
        log.debug("A client of the media bridge says nothing any more: cut")
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It has gone: the process is told by the end of its connection."""
        self.setTimeout(None)
        self._inner.transport.unregisterProducer()
        self._inner.transport.loseConnection()
        self._on_end()


def _take_over(request: Any, outer: Outer, first: bytes) -> None:
    """Give the request's connection to `outer`, and send `first` on it.

    twisted.web has no call for that; see chatd.server.websocket, which does the same.
    """
    http = request.channel
    transport, http.transport = http.transport, None
    transport.unregisterProducer()
    transport.protocol = outer
    early, http._dataBuffer = b"".join(http._dataBuffer), []
    outer.makeConnection(transport)
    transport.write(first)
    if early:
        outer.dataReceived(early)
    transport.resumeProducing()
