"""Where to connect, for clients that know only the domain: XEP-0156 host-meta, as XRD and as JSON.

Both forms list the WebSocket (RFC 7395) and the BOSH (XEP-0124/0206) address. Any site may read them.
"""

from __future__ import annotations

import json
import re
from xml.sax.saxutils import quoteattr

from twisted.web.http import Request
from twisted.web.resource import Resource

from chatd.web.errors import error_body

REL_WEBSOCKET = "urn:xmpp:alt-connections:websocket"
REL_XBOSH = "urn:xmpp:alt-connections:xbosh"
XRD = "http://docs.oasis-open.org/ns/xri/xrd-1.0"

_HOST = re.compile(r"(?:[A-Za-z0-9.\-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


def base_url(request: Request, public_url: str) -> str | None:
    """Return how the asker reaches this server, as scheme://host[:port] without a slash at the end.

    `public_url` is the setting and wins; empty, the request's own Host header is taken. None if that is
    missing or no host name.
    """
    if public_url:
        return public_url.rstrip("/")
    host = request.getHeader("host") or ""
    if not _HOST.fullmatch(host):
        return None
    return f"{'https' if request.isSecure() else 'http'}://{host}"


class HostMeta(Resource):
    """One of the two documents."""

    isLeaf = True

    def __init__(self, public_url: str, websocket_path: str, bosh_path: str, *, as_json: bool) -> None:
        """`public_url` as in `base_url`; an empty path leaves that way of connecting out."""
        super().__init__()
        self.public_url = public_url
        self.paths = {REL_WEBSOCKET: websocket_path, REL_XBOSH: bosh_path}
        self.as_json = as_json

    def links(self, base: str) -> list[tuple[str, str]]:
        """Return (rel, href) pairs for the server at `base` (XEP-0156 section 3)."""
        found = []
        for rel, path in self.paths.items():
            if path:
                # http(s) becomes ws(s): RFC 7395 has its own schemes, BOSH keeps HTTP's.
                root = re.sub("^http", "ws", base) if rel == REL_WEBSOCKET else base
                found.append((rel, root + path))
        return found

    def render_GET(self, request: Request) -> bytes:
        """Answer with the document; 400 when there is no way to know our own address."""
        request.setHeader(b"Access-Control-Allow-Origin", b"*")
        base = base_url(request, self.public_url)
        if base is None:
            return error_body(request, 400)
        request.setHeader(b"Cache-Control", b"max-age=300")
        links = self.links(base)
        if self.as_json:
            request.setHeader(b"Content-Type", b"application/json")
            return json.dumps({"links": [{"rel": rel, "href": href} for rel, href in links]}).encode()
        request.setHeader(b"Content-Type", b"application/xrd+xml; charset=utf-8")
        lines = "".join(f"  <Link rel={quoteattr(rel)} href={quoteattr(href)}/>\n" for rel, href in links)
        return f'<?xml version="1.0" encoding="utf-8"?>\n<XRD xmlns="{XRD}">\n{lines}</XRD>\n'.encode()
