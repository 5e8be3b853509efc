"""The tree of everything chatd answers over HTTP, and the twisted.web Site around it.

``/`` log-in page and panel · ``/config.json`` what the page must know · ``/.well-known/host-meta[.json]``
XEP-0156 · ``/healthz`` · ``/metrics`` · and what other rooms mount, such as ``/xmpp-websocket`` and
``/http-bind``. One Site serves the TLS and the plain listener alike: what is secure is asked of each request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs
from prometheus_client import CollectorRegistry
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.web import server
from twisted.web.resource import IResource, Resource

from chatd.core.limits import TokenBuckets
from chatd.core.uploads import UPLOADS_PATH
from chatd.web.errors import ErrorPage
from chatd.web.headers import SecurityHeaders
from chatd.web.health import Check, Health
from chatd.web.hostmeta import HostMeta, Ways
from chatd.web.metrics import LOOPBACK, Metrics
from chatd.web.panel import PanelConfig
from chatd.web.proxies import TrustedProxies, is_loopback
from chatd.web.request import PanelChannel, PanelRequest, TakesBody
from chatd.web.static import StaticFiles

WEBSOCKET_PATH = "/xmpp-websocket"
BOSH_PATH = "/http-bind"
STATIC_DIR = Path(__file__).with_name("static")
"""Where the build puts the browser files."""


class HttpSettings(Protocol):
    """The `http` part of the settings, as far as this room reads it."""

    @property
    def public_url(self) -> str:
        """The address people open."""

    @property
    def trusted_proxies(self) -> tuple[str, ...]:
        """Whose forwarding headers are believed."""


class NamedDomain(Protocol):
    """A domain of the settings."""

    @property
    def name(self) -> str:
        """Its name."""


class SiteSettings(Protocol):
    """What this room reads of the settings."""

    @property
    def http(self) -> HttpSettings:
        """[http]."""

    @property
    def domains(self) -> tuple[NamedDomain, ...]:
        """Every [[domain]]."""


@attrs.frozen
class WebLimits:
    """How much a stranger may take.

    `body_bytes`: largest request body, which is held in memory (BOSH bodies are the largest there are).
    `request_s`: seconds a request may take to arrive whole. `idle_s`: seconds a kept-alive connection may be
    quiet.
    """

    body_bytes: int = 1_048_576
    request_s: float = 30.0
    idle_s: float = 75.0


class Root(StaticFiles):
    """The files at the root; children mounted by `put` go before them."""

    def put(self, path: str, resource: IResource) -> None:
        """Mount `resource` at `path` ("/a" or "/a/b").

        Raises ValueError for a path that is not absolute or is taken.
        """
        if not path.startswith("/") or path == "/":
            raise ValueError(f"{path!r} is no path to mount at; write /name")
        *folders, name = path[1:].encode("ascii").split(b"/")
        parent: Any = self
        for folder in folders:
            if folder not in parent.children:
                parent.putChild(folder, _Folder())
            parent = parent.children[folder]
        if name in parent.children:
            raise ValueError(f"{path} is mounted twice")
        parent.putChild(name, resource)


class _Folder(Resource):
    """A step on the way to something mounted; nothing by itself."""

    def getChild(self, path: bytes, request: server.Request) -> IResource:
        return ErrorPage(404)

    def render(self, request: server.Request) -> bytes:
        return ErrorPage(404).render(request)


class PanelSite(server.Site):
    """The protocol factory for both HTTP listeners."""

    # The channel itself, not Twisted's switch to HTTP/2, which is not offered here.
    protocol = PanelChannel  # type: ignore[assignment]
    requestFactory = PanelRequest
    displayTracebacks = False
    noisy = False
    _log = Logger()

    def __init__(
        self,
        resource: IResource,
        *,
        reactor: IReactorTime,
        proxies: TrustedProxies,
        headers: SecurityHeaders,
        limits: WebLimits,
        long_lines: Sequence[str] = (),
        bodies: Mapping[str, TakesBody] | None = None,
    ) -> None:
        """`resource` is the root; `long_lines`, `bodies`: see make_site; the others are as their classes say."""
        super().__init__(resource, timeout=limits.idle_s, reactor=reactor, parsePOSTFormSubmission=False)
        self.proxies = proxies
        self.headers = headers
        self.limits = limits
        self._refusals = TokenBuckets(1.0, 20.0)
        # How a request line for one of these begins: with the path itself or something below it.
        self.long_lines = tuple(f"GET {path}{end}".encode("ascii") for path in long_lines for end in "?/ ")
        self.bodies = {f"{path}/".encode("ascii"): resource for path, resource in (bodies or {}).items()}

    def startFactory(self) -> None:
        """Twisted would write an access log in its own form, query strings included; ours is `log`."""

    def stopFactory(self) -> None:
        """Nothing was opened."""

    def getResourceFor(self, request: server.Request) -> IResource:
        """Find the resource; refusals in Twisted's own English become ours."""
        found = super().getResourceFor(request)
        if type(found).__module__ in ("twisted.web.resource", "twisted.web.pages"):
            code = getattr(found, "code", None) or getattr(found, "_code", None)
            if code is not None:
                return ErrorPage(code)
        return found

    def log(self, request: Any) -> None:
        """Say what was asked, without the query string: people's words and tokens may stand there."""
        self._log.emit(
            LogLevel.warn if request.code >= 500 else LogLevel.debug,
            "{address} {method} {path} {code} {size}",
            address=_host(request),
            method=request.method.decode("ascii", "backslashreplace"),
            path=self.shown_path(request.path or b""),
            code=request.code,
            size=request.sentLength,
        )

    def log_refusal(self, request: Any, method: bytes, path: bytes, code: int) -> None:
        """Say what was refused before all of it had come; who does so again and again does not fill the log."""
        address = _host(request)
        if not self._refusals.is_too_fast(address, self.reactor.seconds()):
            self._log.info("{address} {method} {path} was refused before its end: {code}", address=address,
                           method=method.decode("ascii", "backslashreplace"),
                           path=self.shown_path(path.partition(b"?")[0]), code=code)

    def shown_path(self, path: bytes) -> str:
        """A path as the log may have it: below one whose bodies are streamed, addresses are for those who have them."""
        for prefix in (*self.bodies, b"/invite/"):
            if path.startswith(prefix):
                path = prefix + b"..."
        return path.decode("ascii", "backslashreplace")


def _host(request: server.Request) -> str:
    address: IAddress = request.getClientAddress()
    return str(getattr(address, "host", address))


def make_site(
    settings: SiteSettings,
    static_dir: Path,
    mounts: Mapping[str, IResource],
    *,
    reactor: IReactorTime,
    checks: Mapping[str, Check] | None = None,
    registry: CollectorRegistry | None = None,
    headers: SecurityHeaders | None = None,
    limits: WebLimits | None = None,
    long_lines: Sequence[str] = (),
    bodies: Mapping[str, TakesBody] | None = None,
    ways: Ways | None = None,
) -> PanelSite:
    """Build the site that the TLS and the plain listener serve.

    `settings`: the daemon's. `static_dir`: the built browser files (usually STATIC_DIR). `mounts`: resources
    of other rooms by path; host-meta lists the WebSocket and BOSH only if they are among them. `checks`: for
    /healthz.
    `registry`: adds /metrics for this machine only. `reactor`: for time limits. `headers`, `limits`: instead
    of the defaults. `long_lines`: paths whose requests may have heads of LONG_HEAD bytes. `bodies`:
    resources among the mounts, by path, that take the bodies of requests as they come; below these paths the log
    tells no more of an address. `ways`: what host-meta.json says besides (XEP-0487). Raises ValueError for paths
    mounted twice and unreadable proxies.
    """
    root = Root(static_dir)
    public_url = settings.http.public_url or ""
    websocket = WEBSOCKET_PATH if WEBSOCKET_PATH in mounts else ""
    bosh = BOSH_PATH if BOSH_PATH in mounts else ""
    for path, as_json in (("/.well-known/host-meta", False), ("/.well-known/host-meta.json", True)):
        root.put(path, HostMeta(public_url, websocket, bosh, as_json=as_json, ways=ways))
    files = f"{public_url}{UPLOADS_PATH}/" if UPLOADS_PATH in mounts else ""
    root.put("/config.json", PanelConfig([domain.name for domain in settings.domains], websocket, bosh, files))
    root.put("/healthz", Health(checks or {}, reactor))
    if registry is not None:
        root.put("/metrics", Metrics(registry))
    for path, resource in mounts.items():
        root.put(path, resource)
    return PanelSite(
        root,
        reactor=reactor,
        proxies=TrustedProxies.of(settings.http.trusted_proxies),
        headers=headers or SecurityHeaders(),
        limits=limits or WebLimits(),
        long_lines=long_lines,
        bodies=bodies,
    )


def make_metrics_site(
    registry: CollectorRegistry, listen_host: str, *, reactor: IReactorTime, allowed: tuple[str, ...] = ()
) -> PanelSite:
    """Build the site of a listener for /metrics alone.

    `listen_host` is the address it listens on. On loopback only this machine may read. Anywhere else the site
    says who may by `allowed` (addresses, networks); raises ValueError if it does not.
    """
    if not is_loopback(listen_host) and not allowed:
        raise ValueError(f"/metrics on {listen_host} would be open to everybody; say who may read it")
    root = Root(Path("/nonexistent"))
    root.put("/metrics", Metrics(registry, (*LOOPBACK, *allowed)))
    return PanelSite(root, reactor=reactor, proxies=TrustedProxies(), headers=SecurityHeaders(), limits=WebLimits(1024))
