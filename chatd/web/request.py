"""How a request is received: who sent it, how much it may send, how long it may take.

Other rooms serve WebSocket and BOSH below the same site and rely on two answers of the request:
`getClientAddress()` is the person's machine and `isSecure()` tells about the person's own connection, both
also behind a trusted reverse proxy.
"""

from __future__ import annotations

import io
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.error import UnsupportedMethod
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from zope.interface import implementer

from chatd.web.errors import error_body

if TYPE_CHECKING:
    from chatd.web.site import PanelSite

class StreamedBody(Protocol):
    """What takes the body of one request as it comes, where it is too long to be kept in memory."""

    def begin(self, length: int | None) -> None:
        """The head has come, with this Content-Length; None for chunks. It may pause the transport."""

    def chunk(self, data: bytes) -> None:
        """Bytes of the body. When all have come, the resource is rendered as usual and finds `request.body`."""

    def lost(self) -> None:
        """The connection has ended, whatever had come by then."""


class TakesBody(Protocol):
    """A resource that wants the bodies of some requests as they come."""

    def body(self, request: PanelRequest, method: bytes, path: bytes) -> StreamedBody | None:
        """What takes the body; None for one that is kept in memory as usual. The head of `request` has been read."""


LONG_HEAD = 65_536
"""Bytes of a request line below a path of `long_lines`: LiveKit's clients put a token and an offer into it."""


@implementer(IResource)
class _InWords:
    """Wraps the resource of one request: a method it does not know is refused by a page of ours."""

    isLeaf = True

    def __init__(self, resource: Any) -> None:
        self.resource = resource

    def getChildWithDefault(self, name: bytes, request: server.Request) -> Any:
        return self

    def putChild(self, path: bytes, child: Any) -> None:
        raise RuntimeError("a finished resource takes no children")

    def render(self, request: server.Request) -> Any:
        try:
            return self.resource.render(request)
        except UnsupportedMethod as refused:
            allowed = refused.allowedMethods
            if request.method == b"HEAD" and b"GET" in allowed:
                raise
            request.setHeader(b"Allow", b", ".join(allowed))
            return error_body(request, 405 if request.method in server.supportedMethods else 501)


class PanelRequest(server.Request):
    """A request that knows proxies, carries the security headers and is refused in words."""

    site: PanelSite
    channel: Any
    content: Any
    _log = Logger()
    body: StreamedBody | None = None
    _is_refused = False
    _body_bytes = 0

    def gotLength(self, length: int | None) -> None:
        """Begin the body; `length` is the declared size or None for chunks. Too much is refused at once."""
        self.content = io.BytesIO()
        self.body = self.channel.streamed_body(self)
        if self.body is not None:
            self.body.begin(length)
        elif length is not None and length > self.channel.site.limits.body_bytes:
            self.refuse(413)

    def handleContentChunk(self, data: bytes) -> None:
        """Take a piece of the body, up to the limit."""
        if self._is_refused:
            return
        if self.body is not None:
            self.body.chunk(data)
            return
        self._body_bytes += len(data)
        if self._body_bytes > self.channel.site.limits.body_bytes:
            self.refuse(413)
            return
        super().handleContentChunk(data)

    def refuse(self, code: int, text: str = "") -> None:
        """Answer before the body has come, and end the connection: the rest of it is not wanted.

        Headers that were set go along. text: for whoever sent it; without, there is no content.
        """
        self._is_refused = True
        self.content = io.BytesIO()
        self.client = self.channel.getPeer()
        self.channel.site.log_refusal(self, bytes(self.channel._command), bytes(self.channel._path), code)
        body = json.dumps({"error": HTTPStatus(code).phrase, "status": code, "text": text}).encode() if text else b""
        self.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        lines = [b"HTTP/1.1 %d %s" % (code, HTTPStatus(code).phrase.encode()), b"Content-Length: %d" % len(body)]
        if body:
            lines += [b"Content-Type: application/json", b"Cache-Control: no-store", b"X-Content-Type-Options: nosniff"]
        lines += [b"%s: %s" % (name, value) for name, values in self.responseHeaders.getAllRawHeaders()
                  for value in values]
        self.channel.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        # Over TLS their goodbye has to be read; the rest of the body is thrown away.
        self.channel.transport.resumeProducing()
        self.channel.loseConnection()

    def connectionLost(self, reason: Failure) -> None:
        """Tell whoever takes the body, too."""
        body = self.body
        super().connectionLost(reason)
        if body is not None:
            body.lost()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Answer, unless the body has already been refused."""
        if not self._is_refused:
            super().requestReceived(command, path, version)

    def getClientAddress(self) -> IAddress:
        """Return the address of the person's machine (the proxy's port is not theirs, so it is 0 then)."""
        host = getattr(self.client, "host", None)
        if host is None:
            return self.client
        forwarded = self.requestHeaders.getRawHeaders("x-forwarded-for") or []
        client = self.channel.site.proxies.client(host, forwarded)
        if client == host:
            return self.client
        return (IPv6Address if ":" in client else IPv4Address)("TCP", client, 0)

    def isSecure(self) -> bool:
        """Tell whether the person's connection is encrypted, to us or to the trusted proxy."""
        channel = getattr(self, "channel", None)
        if channel is None:
            return False
        secure = channel.isSecure()
        proto = self.getHeader("x-forwarded-proto")
        return bool(channel.site.proxies.is_secure(getattr(self.client, "host", ""), secure, proto))

    def render(self, resrc: Any) -> None:
        """Answer by `resrc`, with the security headers on."""
        self.site.headers.apply(self)
        super().render(_InWords(resrc))

    def processingFailed(self, reason: Failure) -> Failure:
        """Answer a bug with a page that says nothing of it; the log has it."""
        path = self.site.shown_path(self.path or b"")
        self._log.failure("{method} {path} failed", reason, method=_text(self.method), path=path)
        if not self.startedWriting:
            self.site.headers.apply(self)
            self.write(error_body(self, 500))
        self.finish()
        return reason


class PanelChannel(HTTPChannel):
    """HTTP/1.1 with a time limit for the whole of a request, so that nobody can send one byte a minute."""

    MAX_LENGTH = 16_384
    totalHeadersSize = 16_384
    maxHeaders = 100
    abortTimeout = 5

    factory: PanelSite
    _deadline: IDelayedCall | None = None
    _is_lengthened = False

    def connectionMade(self) -> None:
        """Start with the first request's time."""
        self._start_deadline()
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        """Take bytes; the first ones of a further request start its time."""
        if self._deadline is None and not self._handlingRequest:
            self._start_deadline()
        super().dataReceived(data)
        if self._is_lengthened:
            self._is_lengthened = False
            super().dataReceived(b"")

    def lineReceived(self, line: bytes) -> None:
        """Take a line of the head; where much may stand, all lines of it may be long."""
        if self._receivedHeaderSize == 0 and self._may_be_long(line):
            self._lengthen()
        super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """Go on with a long request line where one is allowed; otherwise the connection ends."""
        if self._receivedHeaderSize == 0 and self.MAX_LENGTH < LONG_HEAD and self._may_be_long(line):
            self._lengthen()
            self._buffer = line  # goes on in dataReceived
            self._is_lengthened = True
        else:
            super().lineLengthExceeded(line)

    def _may_be_long(self, line: bytes) -> bool:
        return line.startswith(self.factory.long_lines)

    def _lengthen(self) -> None:
        self.MAX_LENGTH = LONG_HEAD
        self.totalHeadersSize = LONG_HEAD + PanelChannel.totalHeadersSize

    def allContentReceived(self) -> None:
        """The request is complete in time."""
        self._stop_deadline()
        self.MAX_LENGTH = PanelChannel.MAX_LENGTH
        self.totalHeadersSize = PanelChannel.totalHeadersSize
        super().allContentReceived()

    def streamed_body(self, request: PanelRequest) -> StreamedBody | None:
        """What takes the body of a request whose head has just been read, if somebody wants it as it comes."""
        path = bytes(self._path)
        for prefix, resource in self.factory.bodies.items():
            if path.startswith(prefix):
                return resource.body(request, bytes(self._command), path)
        return None

    def allow(self, seconds: float | None) -> None:
        """From now on the request may take so long, instead of what was left; None: as long as it likes."""
        if seconds is None:
            self._stop_deadline()
        elif self._deadline is not None and self._deadline.active():
            self._deadline.reset(seconds)
        else:
            self._deadline = self.callLater(seconds, self._too_slow)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget the time limit."""
        self._stop_deadline()
        super().connectionLost(reason)

    def _start_deadline(self) -> None:
        self._deadline = self.callLater(self.factory.limits.request_s, self._too_slow)

    def _stop_deadline(self) -> None:
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()

    def _too_slow(self) -> None:
        self._deadline = None
        self.timeoutConnection()

    def timeoutConnection(self) -> None:
        """Close a connection that is idle or slow; an unreachable other end is cut after `abortTimeout`."""
        self._stop_deadline()
        self._abortingCall = self.callLater(self.abortTimeout, self.forceAbortClient)
        self.loseConnection()


def _text(value: bytes | None) -> str:
    return (value or b"").decode("ascii", "backslashreplace")
