"""Receives what a media engine tells: LiveKit's webhooks.

A POST with a `WebhookEvent` in JSON; its Authorization header is a token signed by the API key whose claim sha256 is
the body's hash. Nothing is parsed before both are right. What comes twice, because an answer was lost, is passed on
once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.json_format import Parse, ParseError
from livekit.protocol import webhook
from twisted.logger import Logger
from twisted.web.http import Request
from twisted.web.resource import Resource

from chatd.core.media import MediaEvent
from chatd.meet.engine.tokens import AccessKey, BadToken
from chatd.meet.engine.values import event_of

__all__ = ["WebhookResource"]

log = Logger()
_REMEMBERED: Final = 4096


class WebhookResource(Resource):
    """The resource. tell: gets each event. now: gives seconds since 1970."""

    isLeaf = True

    def __init__(self, key: AccessKey, tell: Callable[[MediaEvent], object], now: Callable[[], float]) -> None:
        super().__init__()
        self._key = key
        self._tell = tell
        self._now = now
        self._told: OrderedDict[str, None] = OrderedDict()

    def render_POST(self, request: Any) -> bytes:
        """Answer 200 for what is ours, 401 for what is not signed by our key, 400 for what cannot be read."""
        body: bytes = request.content.read()
        token = (request.getHeader("authorization") or "").removeprefix("Bearer ")
        try:
            claims = self._key.read(token, self._now())
        except BadToken as error:
            return _refuse(request, 401, str(error))
        found = base64.b64encode(hashlib.sha256(body).digest())
        if not hmac.compare_digest(claims.sha256.encode("utf-8"), found):
            return _refuse(request, 401, "this is not what was signed")
        try:
            event = event_of(Parse(body, webhook.WebhookEvent(), ignore_unknown_fields=True))
        except (ParseError, UnicodeDecodeError, RecursionError, ValueError):
            return _refuse(request, 400, "this is no webhook event")
        if not event.kind:
            return _refuse(request, 400, "this is no webhook event")
        if event.id not in self._told:
            if event.id:
                self._told[event.id] = None
                if len(self._told) > _REMEMBERED:
                    self._told.popitem(last=False)
            self._tell(event)
        return b""


def _refuse(request: Request, code: int, reason: str) -> bytes:
    log.warn("A webhook was refused: {reason}", reason=reason)
    request.setResponseCode(code)
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    return f"{reason}\n".encode()
