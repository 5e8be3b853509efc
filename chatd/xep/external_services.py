"""External Service Discovery, XEP-0215: where STUN and TURN servers are, and credentials for the latter.

What stands in [media.turn] is told to whoever has an account here. Credentials are made for each request and expire;
nothing of them is kept. There are no pushes (section 3.2): a client asks again before `expires`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.stamp import format_stamp
from chatd.core.stanza import attribute
from chatd.core.turn import Credentials, IceServer, credentials
from chatd.xep.api import Api, Module, Request

__all__ = ["ExternalServices"]


class ExternalServices(Module):
    """XEP-0215: STUN and TURN servers for calls between clients."""

    name = "external_services"
    xep = "0215"
    version = "1.0.0"

    def start(self, api: Api) -> None:
        """Answers both requests; says so only if there is something to tell."""
        super().start(api)
        turn = api.settings.turn
        self._servers = tuple(IceServer.parse(url) for url in turn.urls)
        if self._servers:
            api.on("disco.info", self._features)
        api.iq("get", f"{ns.EXTDISCO} services", self._services, "domain")
        api.iq("get", f"{ns.EXTDISCO} credentials", self._credentials, "domain")

    def _features(self, request: Request, node: str | None) -> tuple[str, ...] | None:
        return None if node or request.to.local else (ns.EXTDISCO,)

    def _services(self, request: Request) -> bytes:
        """Section 3.1, and 3.2 with a type."""
        given = self._for(request)
        kind = request.child.getAttribute("type")
        found = [server for server in self._servers if kind is None or server.type == kind]
        typed = "" if kind is None else f' type="{attribute(kind)}"'
        inner = "".join(_elements(found, given))
        return f'<services xmlns="{ns.EXTDISCO}"{typed}>{inner}</services>'.encode()

    def _credentials(self, request: Request) -> bytes:
        """Section 3.3: of services that are named by host and type, perhaps port."""
        given = self._for(request)
        wanted = [
            (one.getAttribute("host"), one.getAttribute("type"), one.getAttribute("port"))
            for one in request.child.elements(ns.EXTDISCO, "service")
        ]
        if not wanted or any(not host or not kind for host, kind, _ in wanted):
            raise StanzaError("bad-request", text="A service is named by its host and type.")
        found = [
            server for server in self._servers
            if server.is_relay and any(
                (server.host, server.type) == (host, kind) and port in (None, str(server.port))
                for host, kind, port in wanted
            )
        ]
        if not found:
            raise StanzaError("item-not-found", text="There are no credentials for such a service here.")
        return f'<credentials xmlns="{ns.EXTDISCO}">{"".join(_elements(found, given))}</credentials>'.encode()

    def _for(self, request: Request) -> Credentials:
        """Credentials for who asks; strangers get none, because relays cost."""
        if request.session is None:
            raise StanzaError("forbidden")
        turn = self.api.settings.turn
        return credentials(turn.secret, request.from_.bare, self.api.now(), turn.ttl_s)


def _elements(servers: Iterable[IceServer], given: Credentials) -> Iterator[str]:
    for server in servers:
        said = {"host": server.host, "port": str(server.port), "transport": server.transport, "type": server.type}
        if server.is_relay:
            said |= {
                "restricted": "true", "username": given.username, "password": given.password,
                "expires": format_stamp(given.expires * 1000),
            }
        attributes = "".join(f' {name}="{attribute(value)}"' for name, value in said.items())
        yield f"<service{attributes}/>"
