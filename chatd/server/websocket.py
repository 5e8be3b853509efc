"""Clients over WebSocket: RFC 7395, on the HTTP site at /xmpp-websocket, subprotocol "xmpp".

Each message is one whole element, each way, in a text frame; the stream begins with <open/> and ends with <close/>.
A message that is not exactly one element ends the stream with the error RFC 6120 has for it.  autobahn does the frames;
what a message may weigh is checked here, before a byte of it is kept.  There is no compression (its memory costs
more than the bytes), and no channel binding (browsers know none, and a proxy may end the TLS).

Pings go out when nothing came for PING_S, because reverse proxies cut what is quiet (nginx: 60 s).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.wamp.types import TransportDetails
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from chatd.core import ns
from chatd.core.errors import StreamError
from chatd.core.framing import Event, Framer, StreamEnd
from chatd.core.stanza import Stanza
from chatd.core.stream_xml import Wire
from chatd.server.origins import Origins
from chatd.server.stream import ClientStream
from chatd.server.streams import GOODBYE_S

if TYPE_CHECKING:
    from chatd.server.streams import ClientStreams

__all__ = ["WebSocketResource", "WebSocketStream"]

log = Logger()

PING_S: Final = 25.0
SILENT_S: Final = 90.0
"""Without a pong or anything else for so long the connection is dead; the session hibernates."""
_SLICE: Final = 4096            # autobahn copies the rest of its input for each frame: a small rest bounds that
_PIECES: Final = 1024           # frames of one message
_TEXT: Final = 1
_NORMAL: Final = 1000


@implementer(IPushProducer)
class WebSocketStream(ClientStream):
    """A client's stream in a WebSocket."""

    __slots__ = ("_channel", "_framer", "_goodbye")

    wire = Wire.WEBSOCKET

    def __init__(self, streams: ClientStreams, address: str, channel: Channel) -> None:
        super().__init__(streams, address)
        limits = streams.limits
        self._channel = channel
        self._framer = Framer(limits.preauth_stanza_bytes, limits.depth, headless=True)
        self._goodbye: IDelayedCall | None = None

    @property
    def max_bytes(self) -> int:
        """The largest message at this point of the stream."""
        return self._framer.max_bytes

    # -- from the channel
    def message(self, payload: bytes, is_binary: bool) -> None:
        """One message came whole."""
        if self.is_closing:
            if self._goodbye is not None and b"<close" in payload:
                self._channel.close()
            return
        self.streams.counts.stanzas_in += 1
        self.take(self._element(payload, is_binary))

    def _element(self, payload: bytes, is_binary: bool) -> list[Event]:
        """The one element a message is, or the stream error it deserves (RFC 7395 3.3)."""
        if is_binary:
            return [StreamError("bad-format", "Messages are text.")]
        if payload[:1] != b"<":
            return [StreamError("bad-format", "A message begins with its element.")]
        events = self._framer.feed(payload)
        if events and isinstance(events[-1], StreamError):
            return events[-1:]
        element = events[0] if events else None
        if not isinstance(element, Stanza) or isinstance(events[-1], StreamEnd) or not self._framer.is_idle:
            return [StreamError("not-well-formed", "A message is one whole element.")]
        if len(events) > 1:
            return [StreamError("bad-format", "A message is one element.")]
        if element.ns == ns.FRAMING and element.name == "close":
            return [StreamEnd()]
        return events

    def admit(self) -> None:
        """Larger stanzas are welcome."""
        self._framer.max_bytes = self.streams.limits.stanza_bytes

    # -- as a stream
    def send_stanza(self, stanza: Stanza) -> None:
        """See IClientStream."""
        self.streams.counts.stanzas_out += 1
        self._channel.put(stanza.to_bytes_ns())

    def send(self, xml: bytes) -> None:
        """See IClientStream."""
        self._channel.put(xml)

    def _stop_reading(self) -> None:
        self._channel.transport.pauseProducing()

    def _read_again(self) -> None:
        self._channel.transport.resumeProducing()

    def _finish(self, error: StreamError | None) -> None:
        transport = self._channel.transport
        transport.unregisterProducer()
        if self._held:
            transport.resumeProducing()
        if error is not None or self.peer_ended:
            self._channel.close()
        else:
            self._goodbye = self.streams.clock.callLater(GOODBYE_S, self._channel.close)

    def abort(self) -> None:
        """Cuts the connection."""
        self._channel.transport.abortConnection()

    def lost(self) -> None:
        """The connection is gone."""
        goodbye, self._goodbye = self._goodbye, None
        if goodbye is not None and goodbye.active():
            goodbye.cancel()
        super().lost()

    def look_over(self, now: float) -> None:
        """Pings who is quiet, and cuts who does not answer."""
        silent = now - self.heard_s
        if silent > SILENT_S and not self._held:
            log.debug("{stream!r} says nothing any more: cut", stream=self)
            self.abort()
            return
        if silent > PING_S and not self.is_closing:
            self._channel.sendPing()
        super().look_over(now)

    # -- the transport's buffer, IPushProducer
    def pauseProducing(self) -> None:
        """The client takes less than it is sent."""
        self.congested(getattr(self._channel.transport, "waiting_bytes", 0))

    def resumeProducing(self) -> None:
        """It has caught up."""
        self.uncongested()

    def stopProducing(self) -> None:
        """The connection is gone; `lost` follows."""


class _Quiet:
    """autobahn's log: what peers do wrong is for the debug level only."""

    def __getattr__(self, level: str) -> Any:
        return log.failure if level == "failure" else _ignore

    def warn(self, message: str, **values: Any) -> None:
        log.debug(message, **values)


def _ignore(*_: Any, **__: Any) -> None:
    pass


class Channel(WebSocketServerProtocol):
    """autobahn's side: frames to messages, and back."""

    log = _Quiet()
    stream: WebSocketStream
    _count = 0

    # -- Twisted's calls
    def connectionMade(self) -> None:
        """The HTTP request has been taken over.  (autobahn's own method asks for Twisted's TLS.)"""
        self.peer = self.stream.address
        self._transport_details = TransportDetails()
        self._connectionMade()

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the client."""
        stream = self.stream
        stream.heard_s = now = stream.streams.seconds()
        self._count = 0
        for start in range(0, len(data), _SLICE):
            self._dataReceived(data[start:start + _SLICE])
        stream.spend(self._count, len(data), now)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        super().connectionLost(reason)
        self.stream.lost()

    # -- autobahn's calls
    def onConnect(self, request: Any) -> str:
        """The handshake is in order; WebSocketResource has looked at the rest."""
        return "xmpp"

    def _onOpen(self) -> None:
        pass

    def onMessageBegin(self, isBinary: bool) -> None:
        """A message begins."""
        self._is_binary = isBinary
        self._pieces: list[bytes] = []
        self._size = 0

    def onMessageFrameBegin(self, length: int) -> None:
        """A frame of it begins: too large a message is refused before it is kept."""
        self._count += 1
        self._size += length
        stream = self.stream
        if self._size > stream.max_bytes or len(self._pieces) > _PIECES:
            self._pieces = []
            if not stream.is_closing:
                stream.take([StreamError("policy-violation", f"a stanza may have {stream.max_bytes} bytes")])

    def onMessageFrameData(self, payload: bytes) -> None:
        """Bytes of the frame."""
        if not self.stream.is_closing:
            self._pieces.append(payload)

    def onMessageFrameEnd(self) -> None:
        """The frame is whole."""

    def onMessageEnd(self) -> None:
        """The message is whole, unless it was refused."""
        pieces, self._pieces = self._pieces, []
        if not self.stream.is_closing or self._size <= self.stream.max_bytes:
            self.stream.message(pieces[0] if len(pieces) == 1 else b"".join(pieces), self._is_binary)

    def onPing(self, payload: bytes) -> None:
        """Answers."""
        self._count += 1
        super().onPing(payload)

    def onPong(self, payload: bytes) -> None:
        """`dataReceived` has noted that the client is there."""
        self._count += 1

    # -- the stream's calls
    def put(self, xml: bytes) -> None:
        """Sends a message."""
        if xml and self.state == self.STATE_OPEN:
            self.sendFrame(_TEXT, xml)

    def close(self) -> None:
        """Begins, or answers, the closing handshake of RFC 6455 7."""
        self.sendClose(_NORMAL)


class _Factory(WebSocketServerFactory):
    protocol = Channel
    noisy = False

    def __init__(self, reactor: Any) -> None:
        super().__init__(server=None, reactor=reactor)
        self.setProtocolOptions(
            utf8validateIncoming=False,         # expat does that
            openHandshakeTimeout=0,             # the request is here, whole
            closeHandshakeTimeout=GOODBYE_S,
            failByDrop=False, webStatus=False, tcpNoDelay=True)


class WebSocketResource(Resource):
    """/xmpp-websocket.  origins: whose pages may connect."""

    isLeaf = True

    def __init__(self, streams: ClientStreams, origins: Origins) -> None:
        super().__init__()
        self.streams = streams
        self.origins = origins
        self._factory = _Factory(streams.clock)

    def render_GET(self, request: Request) -> Any:
        """The handshake, RFC 6455 4.2 and RFC 7395 3.1; what is wrong with it is said by an HTTP status."""
        wrong = self._refused(request)
        if wrong is None:
            channel = self._factory.buildProtocol(None)
            address = request.getClientAddress()
            channel.stream = stream = WebSocketStream(
                self.streams, str(getattr(address, "host", address)), channel)
            if stream.begin():
                stream.negotiate(is_secured=request.isSecure())
                _take_over(request, channel)
                return NOT_DONE_YET
            wrong = (429, "Too many connections from your address.")
        request.setResponseCode(wrong[0])
        request.setHeader("content-type", "text/plain; charset=utf-8")
        if wrong[0] == 426:
            request.setHeader("upgrade", "websocket")
        return f"{wrong[1]}\n".encode()

    def _refused(self, request: Request) -> tuple[int, str] | None:
        if "websocket" not in _words(request, "upgrade"):
            return 426, "XMPP over WebSocket (RFC 7395) is spoken here."
        if "xmpp" not in _words(request, "sec-websocket-protocol"):
            return 400, 'The WebSocket subprotocol has to be "xmpp".'
        if self.origins.refused(request):
            return 403, "Pages of that origin may not connect; see http.origins in chatd.toml(5)."
        if self.streams.is_closing:
            return 503, "The server is being shut down."
        return None


def _words(request: Request, header: str) -> list[str]:
    values = request.requestHeaders.getRawHeaders(header) or []
    return [word.strip().lower() for value in values for word in value.split(",")]


def _take_over(request: Request, channel: Channel) -> None:
    """Gives the request's connection to `channel`, which reads the request once more to answer the handshake.

    twisted.web has no call for that; autobahn's own resource does the same, and leaves the HTTP channel behind as
    the transport's producer.
    """
    http: Any = request.channel
    transport, http.transport = http.transport, None
    transport.unregisterProducer()
    transport.protocol = channel
    channel.makeConnection(transport)
    transport.registerProducer(channel.stream, True)
    transport.resumeProducing()
    lines = [b"GET " + request.uri + b" HTTP/1.1"]
    lines += [name + b": " + b",".join(values) for name, values in request.requestHeaders.getAllRawHeaders()]
    channel.dataReceived(b"\r\n".join([*lines, b"", b""]))
