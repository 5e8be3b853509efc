"""XMPP Ping, XEP-0199: a client asks whether its server is still there."""

from __future__ import annotations

from chatd.core import ns
from chatd.xep.api import Api, Module

__all__ = ["Ping"]


class Ping(Module):
    """XEP-0199: answers pings to a domain (4.2) and to one's own account."""

    name = "ping"
    xep = "0199"
    version = "2.0.1"
    features = (ns.PING,)
    account_features = (ns.PING,)

    def start(self, api: Api) -> None:
        """Answers pings."""
        super().start(api)
        for target in ("domain", "account"):
            api.iq("get", f"{ns.PING} ping", lambda request: None, target)
