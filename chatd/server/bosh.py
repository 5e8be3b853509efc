"""Clients over BOSH: XEP-0124 and XEP-0206, on the HTTP site at /http-bind.

Finds the session of each request; what then happens is `bosh_stream`'s.  Pages of other origins are answered as CORS
(Fetch standard 3.2) wants it, if they may connect at all.  What is no request of BOSH gets an HTTP status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from chatd.core.errors import StreamError
from chatd.server import bosh_body
from chatd.server.bosh_body import Body
from chatd.server.bosh_stream import BoshStream
from chatd.server.origins import Origins

if TYPE_CHECKING:
    from chatd.server.streams import ClientStreams

__all__ = ["BoshResource"]

log = Logger()

CONTENT_TYPE = b"text/xml; charset=utf-8"
_PREFLIGHT_S = b"86400"
_PREAUTH_STANZAS = 4            # a body before log-in holds one or two elements


class _HttpAnswer:
    """One HTTP request whose response is to come."""

    def __init__(self, request: Request) -> None:
        self._request: Request | None = request
        self.stream: BoshStream | None = None
        request.notifyFinish().addErrback(self._gone)

    def give(self, xml: bytes, code: int = 200) -> None:
        """Sends the response; nothing happens if the client is gone."""
        request, self._request = self._request, None
        if request is not None:
            request.setResponseCode(code)
            request.setHeader(b"content-type", CONTENT_TYPE)
            request.setHeader(b"content-length", b"%d" % len(xml))
            request.setHeader(b"cache-control", b"no-store")
            request.write(xml)
            request.finish()

    def _gone(self, reason: Failure) -> None:
        self._request = None
        if self.stream is not None:
            self.stream.gone(self)


class BoshResource(Resource):
    """/http-bind.  origins: whose pages may connect."""

    isLeaf = True

    def __init__(self, streams: ClientStreams, origins: Origins) -> None:
        super().__init__()
        self.streams = streams
        self.origins = origins
        self._sessions: dict[str, BoshStream] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def render_OPTIONS(self, request: Request) -> bytes:
        """May a page of another origin ask? (CORS preflight)"""
        if self._is_welcome(request):
            request.setHeader(b"access-control-allow-methods", b"POST, OPTIONS")
            request.setHeader(b"access-control-allow-headers", b"Content-Type")
            request.setHeader(b"access-control-max-age", _PREFLIGHT_S)
            request.setResponseCode(204)
        else:
            request.setResponseCode(403)
        return b""

    def render_POST(self, request: Request) -> Any:
        """One request."""
        if not self._is_welcome(request):
            return _refused(request, 403, b"Pages of that origin may not connect; see http.origins in chatd.toml(5).\n")
        xml = request.content.read() if request.content is not None else b""
        stream = self._sessions.get(bosh_body.sid_of(xml))
        answer = _HttpAnswer(request)
        if stream is not None and stream.is_secure and not request.isSecure():
            # XEP-0124 20.1: neither an answer nor the end of a session to one who may have overheard its number.
            return _refused(request, 403, b"This session is to be used over HTTPS only.\n")
        try:
            body = self._read(xml, stream)
        except StreamError as error:
            if stream is None:
                log.debug("not a request of BOSH: {condition}: {text}", condition=error.condition, text=error.text)
                answer.give(bosh_body.write(type="terminate", condition="bad-request"), 400)
            else:
                answer.stream = stream
                stream.broken(answer, error)
            return NOT_DONE_YET
        if body.sid and stream is None:
            answer.give(bosh_body.write(type="terminate", condition="item-not-found"))
        elif stream is None:
            self._new(request, body, answer, len(xml))
        else:
            answer.stream = stream
            stream.request(body, answer, len(xml))
        return NOT_DONE_YET

    def _read(self, xml: bytes, stream: BoshStream | None) -> Body:
        limits = self.streams.limits
        if stream is not None and stream.is_admitted:
            return bosh_body.parse(xml, limits.stanza_bytes, limits.depth)
        if len(xml) > limits.preauth_stanza_bytes * _PREAUTH_STANZAS:
            raise StreamError("policy-violation", "This is too much before log-in.")
        return bosh_body.parse(xml, limits.preauth_stanza_bytes, limits.depth)

    def _new(self, request: Request, body: Body, answer: _HttpAnswer, size_bytes: int) -> None:
        address = request.getClientAddress()
        is_secure = request.isSecure()
        stream = BoshStream(self.streams, str(getattr(address, "host", address)), body, is_secure, self._forget)
        may_stay = stream.begin()
        stream.negotiate(is_secure)
        answer.stream = stream
        if self.streams.is_closing:
            stream.refuse(body, answer, StreamError("system-shutdown"))
        elif not may_stay:
            stream.refuse(body, answer, StreamError("policy-violation", "Too many connections from your address."))
        else:
            self._sessions[stream.sid] = stream
            stream.request(body, answer, size_bytes)

    def _forget(self, sid: str) -> None:
        self._sessions.pop(sid, None)

    def _is_welcome(self, request: Request) -> bool:
        origin = request.getHeader(b"origin")
        if origin is None:
            return True
        request.setHeader(b"vary", b"Origin")
        if self.origins.refused(request):
            return False
        request.setHeader(b"access-control-allow-origin", origin)
        return True


def _refused(request: Request, code: int, text: bytes) -> bytes:
    request.setResponseCode(code)
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    return text
