"""Which web pages may open a stream: the Origin header (RFC 6454 7), for WebSocket (RFC 6455 10.2) and BOSH (CORS).

A page's script may connect if the page came from the same host as the request goes to, whatever the port (5280 and
5281 are one site), from the host of the public URL, or from an origin the site has named; "*" names all.
Programs that are no browsers send no Origin and may always.  Streams log in by SASL and never by cookies, so a
foreign page gains nothing that a program would not have; the check keeps a page from guessing passwords through the
browsers of its visitors.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

import attrs
from twisted.web.http import Request

__all__ = ["Origins"]


@attrs.frozen
class Origins:
    """named: origins as browsers write them ("https://mail.example.com"), or "*".  host: of the public URL, or ""."""

    named: frozenset[str]
    host: str = ""

    @classmethod
    def of(cls, named: Iterable[str], public_url: str = "") -> Origins:
        """From the settings."""
        return cls(frozenset(origin.rstrip("/").lower() for origin in named), urlsplit(public_url).hostname or "")

    def refused(self, request: Request) -> bool:
        """Does the request come from a page that may not?"""
        origin = request.getHeader(b"origin")
        host = request.getRequestHostname().decode("latin-1")
        return origin is not None and not self.may(origin.decode("latin-1"), host)

    def may(self, origin: str, asked_host: str) -> bool:
        """May a page of `origin` connect, when it asks for `asked_host` (the Host header without the port)?"""
        origin = origin.strip().lower()
        if "*" in self.named or origin in self.named:
            return True
        try:
            parts = urlsplit(origin)
            host = parts.hostname
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and bool(host) and host in (asked_host.strip("[]").lower(), self.host)
