"""[media] put to work: the engine the settings name, with all that belongs to it, as one service of the daemon."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.web.http import Request
from twisted.web.resource import IResource, Resource

from chatd.config import ConfigError, Mistake
from chatd.core.media import MediaEvent
from chatd.media.addresses import to_announce
from chatd.media.bridges import BridgeFigures, Bridges
from chatd.media.line import bridge_level, settings_line
from chatd.meet.engine.engine import Engine, OneServer
from chatd.meet.engine.tokens import AccessKey, BadToken
from chatd.meet.engine.webhooks import WebhookResource
from chatd.settings import Settings
from chatd.web.headers import SecurityHeaders
from chatd.web.proxies import TrustedProxies
from chatd.web.site import PanelSite, WebLimits
from chatd.web.tunnel import TUNNEL_PATH, Refused, TunnelLimits, TunnelResource

__all__ = ["WEBHOOK_PATH", "EmbeddedMedia", "LiveKitMedia", "Media", "NoMedia", "make_media"]

WEBHOOK_PATH = "/livekit-webhook"
Origins = Callable[[Request], bool]


class Media(MultiService):
    """What the daemon knows of its engine. `engine`: an IMediaEngine, or None without one.

    admits(room, identity): whether this participant may connect now, with a token that is good; asked where we can.
    """

    name_of_engine = "off"
    engine: Engine | None = None

    def __init__(self) -> None:
        super().__init__()
        self.admits: Callable[[str, str], bool] = lambda room, identity: True

    def mounts(self) -> dict[str, IResource]:
        """Return what belongs on the web site, by path."""
        return {}

    def collectors(self) -> list[Collector]:
        """Return what belongs to /metrics."""
        return []

    def status(self) -> dict[str, Any]:
        """Return what `chatctl status` shows."""
        return {"engine": self.name_of_engine}

    def reload(self, settings: Settings) -> None:
        """Use settings whose live part has changed."""

    def stopService(self) -> Deferred[Any]:
        """Let go of the engine's connections as well."""
        stopped = super().stopService()
        if self.engine is None:
            return stopped
        return stopped.addCallback(lambda _: self.engine.close() if self.engine is not None else None)


class NoMedia(Media):
    """engine = "off"."""


class LiveKitMedia(Media):
    """engine = "livekit"."""

    name_of_engine = "livekit"

    def __init__(self, settings: Settings, reactor: Any, now: Callable[[], float]) -> None:
        super().__init__()
        media = settings.media
        key = AccessKey(media.api_key, media.api_secret)
        self.engine = Engine("livekit", media.url, key, OneServer(media.url), reactor, now)
        self._webhook = WebhookResource(key, self.engine.tell, now)

    def mounts(self) -> dict[str, IResource]:
        """See Media."""
        return {WEBHOOK_PATH: self._webhook}

    def status(self) -> dict[str, Any]:
        """See Media."""
        assert self.engine is not None
        return {"engine": self.name_of_engine, "url": self.engine.url}


class EmbeddedMedia(Media):
    """engine = "embedded": bridge processes, the tunnel to them, and a way back for their webhooks.

    secret: of the site. may_connect: whether the page a request comes from may connect.
    """

    name_of_engine = "embedded"

    def __init__(
        self, settings: Settings, secret: bytes, may_connect: Origins, reactor: Any, now: Callable[[], float]
    ) -> None:
        super().__init__()
        self._settings = settings
        self._reactor = reactor
        self._now = now
        recordings = recordings_of(settings)
        try:
            recordings.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(settings.path, (Mistake(
                "media.recordings", f"{recordings} cannot be made ({error.strerror})", "a folder the daemon may make"
            ),)) from None
        self.key = AccessKey("chatd-bridge", hmac.new(secret, b"media bridge", hashlib.sha256).hexdigest())
        self.bridges = Bridges(settings.media.processes, self._line, reactor, self._restarted, settings.media.spare)
        self.bridges.setServiceParent(self)
        url = settings.http.public_url.replace("http", "ws", 1)
        self.engine = Engine("embedded", url, self.key, self.bridges, reactor, now)
        self.engine.listen(self._heard)
        self.tunnel = TunnelResource(_Gate(self, may_connect, now), reactor, _limits(settings))
        self._port: Any = None

    def startService(self) -> None:
        """Open the way back first: processes tell of themselves from their first moment on."""
        assert self.engine is not None
        root = Resource()
        root.putChild(WEBHOOK_PATH[1:].encode(), WebhookResource(self.key, self.engine.tell, self._now))
        site = PanelSite(
            root, reactor=self._reactor, proxies=TrustedProxies(), headers=SecurityHeaders(), limits=WebLimits()
        )
        self._port = self._reactor.listenTCP(0, site, interface="127.0.0.1")
        super().startService()

    def stopService(self) -> Deferred[Any]:
        """Processes first, so that their last words arrive."""
        stopped = super().stopService()
        port, self._port = self._port, None
        return stopped.addCallback(lambda _: port.stopListening() if port is not None else None)

    def _line(self, number: int) -> bytes:
        settings = self._settings
        return settings_line(
            number, settings.media, settings.turn, self.key.key, self.key.secret,
            announce=to_announce(settings.media.address, settings.media.announce),
            recordings=recordings_of(settings),
            webhook=f"http://127.0.0.1:{self._port.getHost().port}{WEBHOOK_PATH}",
            log_level=settings.log.level,
        )

    def _heard(self, event: MediaEvent) -> None:
        if event.kind == "room_finished" and event.room is not None:
            self.bridges.room_ended(event.room.name)

    def _restarted(self) -> None:
        assert self.engine is not None
        self.engine.tell(MediaEvent(id="", kind="engine_restarted", created=self._now()))

    def mounts(self) -> dict[str, IResource]:
        """See Media."""
        return {TUNNEL_PATH: self.tunnel}

    def collectors(self) -> list[Collector]:
        """See Media."""
        return [BridgeFigures(self.bridges, self._tunnel_figures)]

    def _tunnel_figures(self) -> Iterator[Metric]:
        tunnel = self.tunnel
        yield GaugeMetricFamily("chatd_tunnels", "Signalling connections to the bridge processes", tunnel.connections)
        yield CounterMetricFamily("chatd_tunnels_opened", "Signalling connections that were accepted", tunnel.passed)
        refused = CounterMetricFamily(
            "chatd_tunnels_refused", "Signalling requests that were refused, by HTTP status", labels=["status"]
        )
        for status, count in sorted(tunnel.refused.items()):
            refused.add_metric([str(status)], count)
        yield refused

    def status(self) -> dict[str, Any]:
        """See Media."""
        return {
            "engine": self.name_of_engine,
            "connections": self.tunnel.connections,
            "processes": self.bridges.status(),
        }

    def reload(self, settings: Settings) -> None:
        """See Media."""
        self._settings = settings
        self.tunnel.limits = _limits(settings)
        for supervisor in self.bridges.all:
            supervisor.command("log_level", level=bridge_level(settings.log.level))


class _Gate:
    """Gate of the tunnel."""

    def __init__(self, media: EmbeddedMedia, may_connect: Origins, now: Callable[[], float]) -> None:
        self._media = media
        self._key = media.key
        self._bridges = media.bridges
        self._now = now
        self.may_connect = may_connect

    def room(self, token: str) -> str:
        """See Gate."""
        try:
            claims = self._key.read(token, self._now())
        except BadToken as error:
            raise Refused(401, str(error)) from None
        if not claims.room:
            raise Refused(401, "no permissions to access the room")
        if not claims.identity:
            raise Refused(400, "participant identity cannot be empty")
        if not self._media.admits(claims.room, claims.identity):
            raise Refused(401, "you are not in this meeting any more")
        return claims.room

    def address(self, room: str) -> tuple[str, int] | None:
        """See Gate."""
        return self._bridges.address(room)


def _limits(settings: Settings) -> TunnelLimits:
    media = settings.media
    return TunnelLimits(
        # People whose link was cut come back before their old connection is gone.
        connections=2 * media.processes * media.process_participants,
        per_address=settings.limits.connections_per_address,
    )


def recordings_of(settings: Settings) -> Path:
    """Return the folder recordings are written to."""
    return settings.media.recordings or settings.server.state_dir / "recordings"


def make_media(
    settings: Settings, secret: bytes, may_connect: Origins, reactor: Any, now: Callable[[], float]
) -> Media:
    """Return the engine that the settings name. Raises ConfigError for a folder that cannot be made."""
    makers: Mapping[str, Callable[[], Media]] = {
        "off": NoMedia,
        "livekit": lambda: LiveKitMedia(settings, reactor, now),
        "embedded": lambda: EmbeddedMedia(settings, secret, may_connect, reactor, now),
    }
    return makers[settings.media.engine]()
