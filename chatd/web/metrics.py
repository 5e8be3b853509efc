"""``/metrics`` for Prometheus: answers this machine only, unless the site names other networks.

Figures tell a stranger who is busy and when, so a request that came through a proxy is a stranger's too, even
when the proxy runs here.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from twisted.web.http import Request
from twisted.web.resource import Resource

from chatd.web.errors import error_body
from chatd.web.proxies import TrustedProxies

LOOPBACK = ("127.0.0.0/8", "::1/128")


class Metrics(Resource):
    """The /metrics resource."""

    isLeaf = True

    def __init__(self, registry: CollectorRegistry, allowed: Iterable[str] = LOOPBACK) -> None:
        """`registry` holds the figures; `allowed` are the addresses and networks that may read them.

        Raises ValueError for something in `allowed` that is neither.
        """
        super().__init__()
        self.registry = registry
        self.allowed = TrustedProxies.of(allowed)

    def may_read(self, request: Request) -> bool:
        """Tell whether the asker may: an allowed address that did not come through a proxy."""
        if any(request.requestHeaders.hasHeader(name) for name in ("x-forwarded-for", "forwarded")):
            return False
        return self.allowed.trusts(getattr(request.getClientAddress(), "host", ""))

    def render_GET(self, request: Request) -> bytes:
        """Answer in the exposition format the asker accepts; 403 for strangers."""
        if not self.may_read(request):
            return error_body(request, 403)
        encode, content_type = choose_encoder(request.getHeader("accept") or "")
        request.setHeader(b"Content-Type", content_type.encode("ascii"))
        request.setHeader(b"Cache-Control", b"no-store")
        return encode(self.registry)
