"""Entity Capabilities, XEP-0115: what this server can do, as one hash in its stream features (section 6.3).

A client that knows the hash need not ask; one that does asks disco with the node NODE#HASH.  What clients
tell of each other in their presence passes through untouched; `clients` reads it for XEP-0163.
"""

from __future__ import annotations

from collections.abc import Iterable

from chatd.core import ns
from chatd.core.entity_caps import verification_string
from chatd.core.stanza import attribute
from chatd.xep.api import Api, Module, Request
from chatd.xep.caps.clients import ClientCaps
from chatd.xep.disco import Disco, Forms, Identity

__all__ = ["Caps"]


class Caps(Module):
    """XEP-0115: the server's own capabilities."""

    name = "caps"
    xep = "0115"
    version = "1.6.0"
    features = (ns.CAPS,)
    needs = ("disco",)

    def start(self, api: Api) -> None:
        """Offers the hash and answers for its node."""
        super().start(api)
        disco = api.modules["disco"]
        assert isinstance(disco, Disco)
        self._disco = disco
        self._node_name = f"https://{api.settings.server.host}/"
        self.clients = ClientCaps(api)
        self._known: dict[str, tuple[tuple[tuple[Identity, ...], tuple[str, ...], Forms], str]] = {}
        api.stream_feature(self._feature)
        api.on("disco.info", self._node)
        api.on("disco.forms", self._node_forms)

    def verification(self, domain: str) -> str:
        """The hash of a domain, made anew only when what it can do has changed."""
        described = (*self._disco.describe(domain), self._disco.forms(domain))
        known = self._known.get(domain)
        if known is None or known[0] != described:
            known = self._known[domain] = (described, verification_string(*described))
        return known[1]

    def _feature(self, domain: str) -> bytes:
        node, ver = attribute(self._node_name), attribute(self.verification(domain))
        return f'<c xmlns="{ns.CAPS}" hash="sha-1" node="{node}" ver="{ver}"/>'.encode()

    def _node(self, request: Request, node: str | None) -> Iterable[str] | None:
        """The features of the node of the hash are those of the domain."""
        if not node or request.to.local or node != f"{self._node_name}#{self.verification(request.to.domain)}":
            return None
        return self._disco.describe(request.to.domain)[1]

    def _node_forms(self, request: Request, node: str | None) -> Forms | None:
        """And so are its forms."""
        return self._disco.forms(request.to.domain) if self._node(request, node) is not None else None
