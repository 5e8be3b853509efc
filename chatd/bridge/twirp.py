"""Twirp (protocol version 7) over aiohttp: LiveKit's server API, as protobuf or as JSON::

    twirp = Twirp(keys)
    twirp.add(room.DESCRIPTOR.services_by_name["RoomService"], RoomService(rooms))
    twirp.add_to(app)                           # POST /twirp/livekit.RoomService/CreateRoom

A service is an object with a method per method of its descriptor, in snake_case: `create_room(request, grants)`, plain
or async, returning the answer or raising TwirpError. A method that it lacks is answered `unimplemented`. `grants` are
of the request's access token; None without one, which only means that nothing is allowed.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from aiohttp import web
from google.protobuf import json_format, message_factory
from google.protobuf.message import DecodeError, Message

from chatd.bridge import tokens

log = logging.getLogger(__name__)

PROTOBUF, JSON = "application/protobuf", "application/json"
MOST_BODY = 1 << 20
BODY_S = 30.0
# Twirp's error codes and the HTTP status of each.
STATUS = {
    "canceled": 408, "unknown": 500, "invalid_argument": 400, "malformed": 400, "deadline_exceeded": 408,
    "not_found": 404, "bad_route": 404, "already_exists": 409, "permission_denied": 403, "unauthenticated": 401,
    "resource_exhausted": 429, "failed_precondition": 412, "aborted": 409, "out_of_range": 400, "unimplemented": 501,
    "internal": 500, "unavailable": 503, "dataloss": 500,
}

Grants = tokens.Grants


class TwirpError(Exception):
    """An answer other than success. `code` is one of STATUS; the text is for the caller."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.status = STATUS[code]


def denied() -> TwirpError:
    """What LiveKit answers if the grants do not do."""
    return TwirpError("unauthenticated", "permissions denied")


@attrs.frozen
class _Method:
    request: type[Message]
    handle: Callable[[Any, Grants | None], Any] | None


class Twirp:
    """See the module. `keys`: API key -> secret; `now`: Unix time, for the tokens; `count(reason)` of refusals."""

    def __init__(self, keys: Mapping[str, str], now: Callable[[], float] = time.time,
                 count: Callable[[str], None] = lambda reason: None) -> None:
        self._keys = keys
        self._now = now
        self._count = count
        self._methods: dict[tuple[str, str], _Method] = {}

    def add(self, descriptor: Any, service: object) -> None:
        """Serve the methods of a protobuf ServiceDescriptor."""
        for method in descriptor.methods:
            name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", method.name).lower()
            self._methods[descriptor.full_name, method.name] = _Method(
                message_factory.GetMessageClass(method.input_type), getattr(service, name, None))

    def add_method(self, service: str, name: str, request: type[Message],
                   handle: Callable[[Any, Grants | None], Any]) -> None:
        """Serve one method of a service that has no descriptor."""
        self._methods[service, name] = _Method(request, handle)

    def add_to(self, app: web.Application) -> None:
        """Serve everything below /twirp/."""
        app.router.add_route("*", "/twirp/{path:.*}", self.serve)

    async def serve(self, request: web.Request) -> web.Response:
        """The handler."""
        try:
            return await self._serve(request)
        except TwirpError as error:
            self._count("api " + error.code)
            body = {"code": error.code, "msg": str(error)}
            return web.json_response(body, status=error.status)

    async def _serve(self, request: web.Request) -> web.Response:
        service, _, name = request.match_info["path"].partition("/")
        method = self._methods.get((service, name))
        if method is None or request.method != "POST":
            raise TwirpError("bad_route", "no handler for %s" % request.path[:200])
        kind = request.content_type
        if kind not in (PROTOBUF, JSON):
            raise TwirpError("bad_route", "the content type has to be %s or %s" % (PROTOBUF, JSON))
        grants = self._grants(request)
        asked = _read(method.request(), await _body(request), kind)
        if method.handle is None:
            raise TwirpError("unimplemented", "%s is not available on this server" % name)
        try:
            answer = method.handle(asked, grants)
            if inspect.isawaitable(answer):
                answer = await answer
        except TwirpError:
            raise
        except Exception:
            log.exception("%s failed", name)
            raise TwirpError("internal", "internal error") from None
        if kind == PROTOBUF:
            return web.Response(body=answer.SerializeToString(), content_type=PROTOBUF)
        # Twirp's servers write fields as the .proto file has them, empty ones too.
        text = json_format.MessageToJson(
            answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=None)
        return web.Response(text=text, content_type=JSON)

    def _grants(self, request: web.Request) -> Grants | None:
        header = request.headers.get("Authorization", "")
        if not header:
            return None
        scheme, _, text = header.partition(" ")
        if scheme.lower() != "bearer":
            raise TwirpError("unauthenticated", "invalid authorization header. Must start with Bearer")
        try:
            return tokens.verify(text.strip(), self._keys, self._now())
        except tokens.TokenError as error:
            raise TwirpError("unauthenticated", str(error)) from None


async def _body(request: web.Request) -> bytes:
    """Bounded here and not by the app's limit, whatever Content-Length says."""
    found = bytearray()
    if (request.content_length or 0) > MOST_BODY:
        raise TwirpError("resource_exhausted", "request body too large")
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.content.iter_any():
                found += piece
                if len(found) > MOST_BODY:
                    raise TwirpError("resource_exhausted", "request body too large")
    except TimeoutError:
        raise TwirpError("deadline_exceeded", "the request did not end within %d s" % BODY_S) from None
    return bytes(found)


def _read(message: Message, body: bytes, kind: str) -> Message:
    try:
        if kind == PROTOBUF:
            message.ParseFromString(body)
        else:
            json_format.ParseDict(json.loads(body or b"{}"), message, ignore_unknown_fields=True)
    except (DecodeError, json_format.ParseError, ValueError, TypeError, AttributeError, RecursionError):
        # JSON of another shape than the message's makes ParseDict trip over any of these.
        raise TwirpError("malformed", "the request could not be read as %s" % message.DESCRIPTOR.name) from None
    return message
