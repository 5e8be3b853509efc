"""Where to connect, for those who know only the domain: XEP-0156 host-meta, as XRD and as JSON.

Both forms list the WebSocket (RFC 7395) and the BOSH (XEP-0124/0206) address. Where the settings name the addresses of
this machine, the JSON says all that XEP-0487 knows, so that clients and servers need not ask DNS. Any site may read
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import quoteattr

import attrs
from twisted.web.http import Request
from twisted.web.resource import Resource

from chatd.core.host_meta import C2S_TLS, S2S_TLS, link, written
from chatd.core.jid import ascii_domain
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


@attrs.frozen
class Ways:
    """What XEP-0487 says besides. ips: of this machine. host: its name. domains: those with a certificate of their own.
    tls: (relation, port) of each way with TLS from the start."""

    ips: tuple[str, ...]
    host: str
    domains: frozenset[str]
    tls: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, settings: Any) -> Ways | None:
        """Of the daemon's settings; None where not everybody could come by what is listed, and so has to ask DNS."""
        listen, tls = settings.listen, []
        for rel, addresses, is_wanted in ((C2S_TLS, listen.c2s_tls, True),
                                          (S2S_TLS, listen.s2s_tls, settings.has_federation)):
            port = next((address.port for address in addresses if not address.is_loopback), None)
            if port is not None:
                tls.append((rel, port))
            elif is_wanted:
                return None
        names = frozenset(ascii_domain(domain.name) for domain in settings.domains)
        server = settings.server
        return cls(server.addresses, ascii_domain(server.host), names, tuple(tls)) if server.addresses else None

    def name(self, asked: str) -> str:
        """The name to ask TLS for by who asked for this name of the web site."""
        name = asked.rpartition(":")[0].lower() if re.search(r":[0-9]+\Z", asked) else asked.lower()
        return name if name in self.domains else self.host


class HostMeta(Resource):
    """One of the two documents."""

    isLeaf = True

    def __init__(self, public_url: str, websocket_path: str, bosh_path: str, *, as_json: bool,
                 ways: Ways | None = None) -> None:
        """`public_url` as in `base_url`; an empty path leaves that way of connecting out."""
        super().__init__()
        self.public_url = public_url
        self.paths = {REL_WEBSOCKET: websocket_path, REL_XBOSH: bosh_path}
        self.as_json = as_json
        self.ways = ways

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
            return self._json(links, request.getHeader("host") or "")
        request.setHeader(b"Content-Type", b"application/xrd+xml; charset=utf-8")
        lines = "".join(f"  <Link rel={quoteattr(rel)} href={quoteattr(href)}/>\n" for rel, href in links)
        return f'<?xml version="1.0" encoding="utf-8"?>\n<XRD xmlns="{XRD}">\n{lines}</XRD>\n'.encode()

    def _json(self, links: Iterable[tuple[str, str]], asked: str) -> bytes:
        ways = self.ways
        if ways is None:
            return written([{"rel": rel, "href": href} for rel, href in links], is_complete=False)
        # The web server is asked for by its address's own name, the others by one that their certificate is for.
        found = [link(rel, ways.ips, urlsplit(href).hostname or ways.host, href=href) for rel, href in links]
        name = ways.name(asked)
        return written([*found, *(link(rel, ways.ips, name, port=port) for rel, port in ways.tls)], is_complete=True)
