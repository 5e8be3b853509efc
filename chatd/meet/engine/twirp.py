"""Calls of LiveKit's server API: Twirp v7 over HTTP POST, protobuf both ways, errors as JSON."""

from __future__ import annotations

import json
from typing import Any, Final, TypeVar

from google.protobuf.message import DecodeError, Message
from twisted.internet.defer import CancelledError, Deferred, TimeoutError, ensureDeferred
from twisted.internet.error import ConnectError, ConnectionLost
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone, ResponseFailed
from twisted.web.error import SchemeNotSupported
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from chatd.core.media import MediaError

__all__ = ["Refused", "Twirp"]

TIMEOUT_S: Final = 10.0
MOST_BYTES: Final = 16 * 1024 * 1024
_CONNECTIONS: Final = 4
Answer = TypeVar("Answer", bound=Message)

_AWAY: Final = (ConnectError, ConnectionLost, ResponseFailed, TimeoutError, CancelledError, SchemeNotSupported)


class Refused(MediaError):
    """What the server itself answered, in Twirp's words."""


class Twirp:
    """The client. reactor: for connections and time limits."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = _CONNECTIONS
        self._agent = Agent(reactor, connectTimeout=TIMEOUT_S, pool=self._pool)

    def call(
        self, server: str, method: str, request: Message, kind: type[Answer], token: str, timeout_s: float = 0.0
    ) -> Deferred[Answer]:
        """Call `method` ("RoomService/ListRooms") of the server at an http(s) address; fires with a `kind`.

        Fails with MediaError, "unavailable" where no answer came within timeout_s (0: TIMEOUT_S).
        """
        def silent(_answer: object, _seconds: float) -> Any:
            raise MediaError("unavailable", f"the media engine did not answer {method} in time")

        call = ensureDeferred(self._call(server, method, request, kind, token))
        return call.addTimeout(timeout_s or TIMEOUT_S, self._reactor, silent)

    async def _call(self, server: str, method: str, request: Message, kind: type[Answer], token: str) -> Answer:
        # LiveKit's services are of its own package; with a package before it a method is one of ours.
        package = "" if method.startswith("chatd.") else "livekit."
        uri = f"{server}/twirp/{package}{method}".encode("ascii")
        headers = Headers({
            b"Authorization": [b"Bearer " + token.encode("ascii")],
            b"Content-Type": [b"application/protobuf"],
            b"User-Agent": [b"chatd"],
        })
        try:
            response = await self._agent.request(b"POST", uri, headers, _Body(request.SerializeToString()))
            body = await _read(response)
        except _AWAY as error:
            reason = error.reasons[0].getErrorMessage() if isinstance(error, ResponseFailed) else str(error)
            raise MediaError("unavailable", f"the media engine does not answer: {reason}") from None
        if response.code != 200:
            raise _refusal(response.code, body)
        try:
            return kind.FromString(body)
        except DecodeError:
            raise MediaError("internal", f"the media engine's answer to {method} cannot be read") from None

    def close(self) -> Deferred[None]:
        """Close the connections that are kept."""
        return self._pool.closeCachedConnections()


def _refusal(status: int, body: bytes) -> MediaError:
    """Return what an answer other than 200 means; what is no Twirp error came from something in between."""
    try:
        error = json.loads(body)
        return Refused(str(error["code"]), str(error.get("msg", ""))[:500])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        code = {401: "unauthenticated", 403: "permission_denied", 404: "bad_route", 429: "resource_exhausted"}.get(
            status, "unavailable" if status >= 500 else "internal"
        )
        return MediaError(code, f"the media engine answered with HTTP status {status}")


@implementer(IBodyProducer)
class _Body:
    """A request's body, whole."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.length = len(data)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        consumer.write(self.data)
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


class _Collector(Protocol):
    """Collects a body up to MOST_BYTES."""

    transport: Any

    def __init__(self, done: Deferred[bytes]) -> None:
        self.done = done
        self.pieces: list[bytes] = []
        self.size = 0

    def dataReceived(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > MOST_BYTES:
            self.pieces.clear()
            self.transport.loseConnection()
            return
        self.pieces.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        if self.size > MOST_BYTES:
            self.done.errback(MediaError("internal", "the media engine's answer is too long"))
        elif reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(b"".join(self.pieces))
        else:
            self.done.errback(reason)


def _read(response: Any) -> Deferred[bytes]:
    done: Deferred[bytes] = Deferred(lambda _: collector.transport and collector.transport.loseConnection())
    collector = _Collector(done)
    response.deliverBody(collector)
    return done
