"""Meetings over HTTP: ``/api/v1/meetings`` to make one and to look at one, ``/meet/ID`` for the page.

Making one is for the Webmail's server (`chatd.web.signed`); looking at one needs its id, which is the secret that the
link is. docs/protocol.md has the words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from twisted.logger import Logger
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from chatd.core.errors import StanzaError
from chatd.core.jid import JID, InvalidJID
from chatd.core.limits import TokenBuckets
from chatd.core.stamp import InvalidStamp, parse_stamp
from chatd.core.stanza import is_fit
from chatd.interfaces import IMeetings
from chatd.web.body import json_body, json_object
from chatd.web.errors import ErrorPage, error_body
from chatd.web.later import answer_later
from chatd.web.signed import Signatures, Unsigned
from chatd.web.static import AssetResource, StaticFiles

__all__ = ["MEETINGS_PATH", "PAGE_PATH", "MeetingPage", "MeetingsResource"]

MEETINGS_PATH: Final = "/api/v1/meetings"
PAGE_PATH: Final = "/meet"
_BODY_MOST: Final = 16_384
_STATUS: Final = {"item-not-found": 404, "not-allowed": 403, "resource-constraint": 409, "not-acceptable": 400,
                  "internal-server-error": 500}
_KINDS: Final[Mapping[str, type]] = {
    "account": str, "name": str, "password": str, "lobby": bool, "e2ee": bool, "expires": str}

log = Logger()


class MeetingsResource(Resource):
    """/api/v1/meetings, and a meeting's id below it."""

    def __init__(self, meetings: IMeetings, signatures: Signatures, seconds: Callable[[], float]) -> None:
        """seconds: the time of a clock that is never set."""
        super().__init__()
        self._meetings = meetings
        self._signatures = signatures
        self._seconds = seconds
        self._refused = TokenBuckets(1.0, 20.0)

    def getChild(self, path: bytes, request: Request) -> IResource:
        """The meeting of this id. Pages of other hosts may read the answer too: the id is the secret."""
        request.setHeader(b"Access-Control-Allow-Origin", b"*")
        if request.postpath:
            return ErrorPage(404)
        if not self._meetings.is_open:
            return ErrorPage(503)           # the page asks again; a 404 would send people away
        info = self._meetings.info(path.decode("latin-1"))
        return _Info(info) if info is not None else ErrorPage(404, "There is no such meeting, or not any more.")

    def render_POST(self, request: Any) -> Any:
        """Makes a meeting for an account."""
        if not self._signatures.may_anybody:
            return error_body(request, 404)
        body = request.content.read(_BODY_MOST + 1)
        if len(body) > _BODY_MOST:
            return error_body(request, 413)
        return answer_later(request, self._answer(request, body), "making a meeting")

    async def _answer(self, request: Request, body: bytes) -> bytes:
        try:
            asker = await self._signatures.check(request, body)
        except Unsigned as wrong:
            address = getattr(request.getClientAddress(), "host", "?")
            # Who floods us from one address does not fill the log.
            if self._refused.is_too_fast(address, self._seconds()):
                return error_body(request, 429)
            log.warn("a request for a meeting from {address} was refused: {reason}", address=address, reason=str(wrong))
            return error_body(request, 401, str(wrong))
        try:
            values = _values(body)
        except ValueError as wrong:
            return error_body(request, 400, str(wrong))
        log.info("{asker} makes a meeting for {account}", asker=asker, account=values["account"].bare)
        return await self._make(request, values)

    async def _make(self, request: Request, values: dict[str, Any]) -> bytes:
        try:
            info = await self._meetings.create(**values)
        except StanzaError as error:
            return error_body(request, _STATUS.get(error.condition, 400), error.text or "")
        request.setResponseCode(201)
        request.setHeader(b"Location", str(info["link"]).encode())
        return json_body(request, info)


class _Info(Resource):
    """What one should know before joining."""

    isLeaf = True

    def __init__(self, info: Mapping[str, Any]) -> None:
        super().__init__()
        self._info = info

    def render_GET(self, request: Request) -> bytes:
        """Answers with it."""
        request.setHeader(b"Cache-Control", b"no-store")
        return json_body(request, self._info)


class MeetingPage(Resource):
    """/meet/ID: the same page for every meeting; it finds out by itself which one."""

    def __init__(self, files: StaticFiles, name: str = "meet/index.html") -> None:
        """files: the build; name: the page in it."""
        super().__init__()
        self._files = files
        self._name = name

    def getChild(self, path: bytes, request: Request) -> IResource:
        """The page, or one of its files, which lie beside it in the build."""
        rest = [segment.decode("utf-8", "replace") for segment in request.postpath or ()]
        folder = self._name.rpartition("/")[0]
        wanted = "/".join((folder, path.decode("utf-8", "replace"), *rest))
        asset = self._files.assets.get(wanted)
        if asset is None and not rest and path:
            asset = self._files.assets.get(self._name)
        if asset is None:
            return ErrorPage(404)
        request.prepath = [*(request.prepath or []), *(request.postpath or [])]
        request.postpath = []
        return _FramedPage(asset) if asset.name == self._name else AssetResource(asset)

    def render(self, request: Request) -> bytes:
        """/meet without a meeting."""
        return error_body(request, 404)


class _FramedPage(AssetResource):
    """The page, which the panel shows in a frame of its own."""

    def render(self, request: Any) -> Any:
        """As AssetResource, with headers that allow it."""
        request.site.headers.allow_frame(request)
        return super().render(request)


def _values(body: bytes) -> dict[str, Any]:
    """The arguments of IMeetings.create; ValueError with a sentence for what is wrong."""
    found = json_object(body)
    for name, value in found.items():
        if name not in _KINDS:
            raise ValueError("The body has " + ", ".join(_KINDS) + " and nothing else.")
        if not isinstance(value, _KINDS[name]):
            raise ValueError(f"{name} is to be a {'text' if _KINDS[name] is str else 'truth value'}.")
        if isinstance(value, str) and not is_fit(value):
            raise ValueError(f"{name} has characters that cannot be shown.")
    try:
        account = JID.parse(found.pop("account", ""))
    except InvalidJID:
        raise ValueError("account is an address such as john@example.com.") from None
    if not account.local or account.resource:
        raise ValueError("account is an address such as john@example.com.")
    values: dict[str, Any] = {"account": account, **found}
    if "expires" in values:
        try:
            values["expires_ms"] = parse_stamp(values.pop("expires"))
        except InvalidStamp:
            raise ValueError("expires is a time such as 2026-12-24T00:00:00Z.") from None
    return values
