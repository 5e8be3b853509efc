"""``/rtc``: LiveKit's signalling, passed on to the bridge process that has the room.

A request is let through only with a token that is good; the token also says which room, and so which process. The
request is written anew for the process (its path one of PATHS, its headers those it needs, the token in one place),
and the connection becomes a pipe only when the process has accepted the WebSocket: whatever it answers otherwise goes
back as an ordinary answer. Then bytes go through as they are, each side as fast as the other takes them.

Refusals carry LiveKit's words and, because browsers ask ``/rtc/…/validate`` why they were refused, a CORS header.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final, Protocol
from urllib.parse import unquote_plus

import attrs
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from chatd.web.passage import AWAY, Passage, Refused

__all__ = ["TUNNEL_PATH", "Gate", "Refused", "TunnelLimits", "TunnelResource"]

TUNNEL_PATH: Final = "/rtc"
PATHS: Final = frozenset({b"/rtc", b"/rtc/v1", b"/rtc/validate", b"/rtc/v1/validate"})
HEADERS: Final = (
    b"host", b"user-agent", b"origin", b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-protocol",
    b"sec-websocket-extensions",
)

_TOKEN: Final = re.compile(r"[A-Za-z0-9_=-]+(?:\.[A-Za-z0-9_=-]+){2}")
_QUERY: Final = re.compile(rb"[!-~]*")


class Gate(Protocol):
    """Who is let through, and where to."""

    def room(self, token: str) -> str:
        """Return the room a token lets its holder join. Raises Refused."""

    def address(self, room: str) -> tuple[str, int] | None:
        """Return host and port of the process for a room, None while it is not up."""

    def may_connect(self, request: Request) -> bool:
        """Tell whether the page that asks, if it is one, may."""


@attrs.frozen
class TunnelLimits:
    """connections: at a time; per_address: of one IP address. answer_s: for the process to answer. idle_s: without a
    byte from the client, who sends pings."""

    connections: int = 5000
    per_address: int = 200
    answer_s: float = 10.0
    idle_s: float = 90.0


class TunnelResource(Resource):
    """The resource. `limits` may be replaced while it runs; `refused` counts by status; `open` holds the pipes."""

    isLeaf = True

    def __init__(self, gate: Gate, reactor: Any, limits: TunnelLimits) -> None:
        super().__init__()
        self.gate = gate
        self.reactor = reactor
        self.limits = limits
        self.refused: Counter[int] = Counter()
        self.open: Counter[str] = Counter()
        self.passed = 0

    @property
    def connections(self) -> int:
        """How many there are now."""
        return self.open.total()

    def render_GET(self, request: Any) -> Any:
        """Let through or refuse."""
        address = str(getattr(request.getClientAddress(), "host", ""))
        try:
            path, query, token = _asked(request)
            if not self.gate.may_connect(request):
                raise Refused(403, "Pages of that origin may not connect; see http.origins in chatd.toml(5).")
            room = self.gate.room(token)
            if self.connections >= self.limits.connections:
                raise Refused(503, "too many connections")
            if self.open[address] >= self.limits.per_address:
                raise Refused(429, "too many connections from your address")
            where = self.gate.address(room)
            if where is None:
                raise Refused(503, AWAY)
        except Refused as refusal:
            return self.refuse(request, refusal)
        Passage(self, request, address).begin(where, _head(request, path, query, token, address))
        return NOT_DONE_YET

    def refuse(self, request: Any, refusal: Refused) -> bytes:
        """Set up the answer for somebody who is not let through and return its body."""
        self.refused[refusal.status] += 1
        request.setResponseCode(refusal.status)
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        request.setHeader(b"Access-Control-Allow-Origin", b"*")
        request.setHeader(b"Cache-Control", b"no-store")
        if refusal.status == 503:
            request.setHeader(b"Retry-After", b"1")
        return refusal.text.encode()


def _asked(request: Any) -> tuple[bytes, bytes, str]:
    """Return path, query without the token, and the token: of the header, or of the query. Raises Refused."""
    path, _, query = request.uri.partition(b"?")
    path = path.rstrip(b"/")
    if path not in PATHS:
        raise Refused(404, "there is nothing at this address")
    header = request.getHeader("authorization") or ""
    kept, tokens = [], []
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if unquote_plus(name.decode("latin-1")) == "access_token":
            tokens.append(unquote_plus(value.decode("latin-1")))
        elif part:
            kept.append(part)
    if header:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise Refused(401, "invalid authorization header. Must start with Bearer")
        tokens.insert(0, token.strip())
    if not tokens or not tokens[0]:
        raise Refused(401, "no permissions to access the room")
    # What a decoder of base64 may skip, a line feed above all, must not get into the request we write.
    if not _TOKEN.fullmatch(tokens[0]):
        raise Refused(401, "invalid token")
    if not _QUERY.fullmatch(query):
        raise Refused(400, "invalid query")
    # Under another name either: addresses are logged.
    kept = [part for part in kept
            if tokens[0] not in part.decode("latin-1") and tokens[0] not in unquote_plus(part.decode("latin-1"))]
    return path, b"&".join(kept), tokens[0]


def _head(request: Any, path: bytes, query: bytes, token: str, address: str) -> bytes:
    """Return the request as the process gets it. The values are of one line: twisted.web has seen to that."""
    lines = [b"GET " + path + (b"?" + query if query else b"") + b" HTTP/1.1"]
    for name in HEADERS:
        values = request.requestHeaders.getRawHeaders(name)
        if values:
            lines.append(name + b": " + b", ".join(values))
    lines += [b"authorization: Bearer " + token.encode("latin-1"), b"x-forwarded-for: " + address.encode("ascii")]
    upgrade = request.getHeader("upgrade")
    if upgrade is not None and upgrade.lower() == "websocket":
        lines += [b"connection: Upgrade", b"upgrade: websocket"]
    else:
        lines.append(b"connection: close")
    return b"\r\n".join([*lines, b"", b""])
