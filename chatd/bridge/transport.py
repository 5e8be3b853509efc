"""One peer connection: ICE-lite, DTLS and SCTP (aiortc's), routing of RTP and RTCP. `Port.transport()` makes it::

    transport = port.transport()
    transport.ufrag, transport.pwd, transport.fingerprint   # for the answer; fingerprint is the sha-256 text "AB:CD:…"
    transport.candidates()                                  # ["candidate:1 1 udp …", …] without "a="
    transport.on_state(callback)                            # callback("connected" | "closed" | "failed"), each once
    transport.on_data(callback)                             # callback(label: str, data: bytes)
    transport.set_extensions({uri: id, …})                  # what the connection negotiated, rtp.SUPPORTED_EXTENSIONS
    transport.start(ufrag, pwd, "sha-256 AB:CD:…", setup)   # the peer's; setup "active", "passive" or "actpass"
    new_ufrag, new_pwd = transport.restart_ice(ufrag, pwd)  # old credentials go on working until the next restart
    transport.open_channel("_reliable")                     # v0 only: in v1 the client opens them
    transport.send_data("_reliable", data) -> bool          # False while no such channel is open
    transport.quality()                                     # quality.EXCELLENT, GOOD, POOR
    transport.receive(publication, mid=…, rids=…, ssrcs=…, rtx=…)
    transport.close()

`closed`: the peer ended DTLS. `failed`: the handshake failed, no check came in time, or consent ran out (RFC 7675).
After either its owner calls `close()`; after that no callback is made. Packets of peers never raise out of here: what
is malformed is dropped and counted in `port.dropped`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chatd.bridge import rtcp, rtp, stun
from chatd.bridge.dtls import Channels, Dtls
from chatd.bridge.forward import Publication, Subscription
from chatd.bridge.incoming import Layer
from chatd.bridge.line import Line
from chatd.bridge.quality import quality
from chatd.bridge.routes import Routes
from chatd.bridge.sendmmsg import Address
from chatd.bridge.srtp import Inbound, Outbound

if TYPE_CHECKING:
    from chatd.bridge.port import Path, Port

CONNECT_S = 30.0
CONSENT_S = 30.0
SILENT_S = 8.0
# Numbers around the first that one feedback message may tell of.
MOST_ARRIVALS = 2000

log = logging.getLogger(__name__)


class Transport:
    """See the module. `ssrc` is our own as a sender of RTCP; `path` where packets go (None before the first check)."""

    def __init__(self, port: Port) -> None:
        self.port = port
        self.ssrc = secrets.randbelow(0xFFFFFFFE) + 1
        self.ufrag, self.pwd = "", ""
        self.credentials: dict[str, str] = {}
        self.path: Path | None = None
        self.addresses: list[tuple[str, int]] = []
        self.fingerprint = port.fingerprint
        self.state = "new"
        self._is_closed = False
        # For subscriptions: libsrtp's handle, the address for sendmmsg (None with TCP), their header extensions.
        self.handle: Any = None
        self.name: Any = None
        self.profile = port.profile({})
        self.inbound: Inbound | None = None
        self.outbound: Outbound | None = None
        self.subscriptions: dict[int, Subscription] = {}
        self.line = Line(self.subscriptions)
        self._routes = Routes(port.count)
        # The routes' own table, for the hot path.
        self._layers = self._routes.layers
        self._feedback_id = self._level_id = 0
        self._arrivals: dict[int, float] = {}
        self._arrived = self._first_arrived = -1
        self._feedback_ssrc = 0
        self._feedback_count = 0
        self._on_state: Callable[[str], None] = lambda state: None
        self._on_data: Callable[[str, bytes], None] = lambda label, data: None
        self._dtls = Dtls(self._send_dtls, port.certificate)
        self._channels = Channels(self._dtls, lambda label, data: self._on_data(label, data), port.count)
        self._task: asyncio.Task[None] | None = None
        self._made_at = port.now()
        self._checked_at = self._made_at
        self._new_credentials()

    # -- for the signalling

    def candidates(self) -> list[str]:
        """Our ICE candidates as SDP attribute values (RFC 8839 section 5.1)."""
        return self.port.candidates()

    def on_state(self, callback: Callable[[str], None]) -> None:
        """Set who is told "connected", "closed", "failed"."""
        self._on_state = callback

    def on_data(self, callback: Callable[[str, bytes], None]) -> None:
        """Set who gets the messages of all data channels (text messages as UTF-8)."""
        self._on_data = callback

    def set_extensions(self, ids: Mapping[str, int]) -> None:
        """Header extension ids of this connection, by URI; the same for all its sections and both directions."""
        self._feedback_id, self._level_id = ids.get(rtp.TRANSPORT_CC, 0), ids.get(rtp.AUDIO_LEVEL, 0)
        self._routes.set_extensions(ids)
        wanted = (rtp.MID, rtp.ABS_SEND_TIME, *rtp.PASSED_ON)
        self.profile = self.port.profile({uri: ids[uri] for uri in wanted if uri in ids})
        for subscription in self.subscriptions.values():
            subscription.ready()

    def start(self, remote_ufrag: str, remote_pwd: str, remote_fingerprint: str, setup: str = "active") -> None:
        """The peer's description is known: run DTLS as soon as it speaks. A second call changes nothing.

        `remote_fingerprint` as in SDP, "sha-256 AB:CD:…". A lite agent needs the peer's ufrag and pwd for nothing
        (RFC 8445 2.5).
        """
        if self._task is None and self.state == "new":
            self._task = asyncio.get_running_loop().create_task(self._run(remote_fingerprint, setup))

    def restart_ice(self, remote_ufrag: str = "", remote_pwd: str = "") -> tuple[str, str]:
        """New credentials for the answer; the old pair is accepted until the next restart, DTLS and all streams go
        on.
        """
        return self._new_credentials()

    def open_channel(self, label: str, is_ordered: bool = True, most_retransmits: int | None = None) -> None:
        """Open a data channel towards the peer, now or as soon as the association is up."""
        self._channels.open(label, is_ordered, most_retransmits)

    def send_data(self, label: str, data: bytes) -> bool:
        """Send one binary message; False if no channel of this label is open, or its peer does not read."""
        return self._channels.send(label, data)

    def receive(self, publication: Publication, mid: str, rids: Sequence[str] = (), ssrcs: Iterable[int] = (),
                rtx: Mapping[int, int] | None = None) -> None:
        """Take the packets of a section for this publication.

        `rids`: announced simulcast layers, smallest first; `ssrcs`: of the section, when it has no rids; `rtx`: SSRC of
        retransmissions -> SSRC repaired (FID groups). To be called again when an offer changes the section.
        """
        publication.transport = self
        publication.rids = list(rids)
        publication.is_layered = not rids and publication.codec in ("vp9", "av1")
        self._routes.add(publication, mid, rids, ssrcs, rtx or {})

    def quality(self) -> int:
        """The connection quality of this participant, both ways (quality.EXCELLENT, GOOD, POOR)."""
        now = self.port.now()
        loss, jitter = self.line.estimator.loss, 0.0
        for layer in self._layers.values():
            if layer.is_live(now):
                jitter = max(jitter, layer.reception.jitter / layer.reception.clock_hz)
        is_limited = any(s.is_limited for s in self.subscriptions.values())
        return quality(max(loss, self._loss_up()), self.line.estimator.round_trip_s, jitter, is_limited)

    def is_silent(self, now: float) -> bool:
        """Whether a connected peer has stopped checking: probably it is out of reach (clients check every 2.5 s)."""
        return self.state == "connected" and now - self._checked_at > SILENT_S

    def close(self) -> None:
        """End it at once; the peer is told by DTLS. No callback follows."""
        if self._is_closed:
            return
        self._is_closed = True
        self.state = "closed"
        self._on_state = lambda state: None
        self._on_data = lambda label, data: None
        for subscription in list(self.subscriptions.values()):
            subscription.close()
        for publication in self._routes.publications():
            publication.close()
        self.port.outbox.flush()
        self.handle = self.name = None
        task, self._task = self._task, None
        asyncio.get_running_loop().create_task(self._stop(task))

    # -- life

    async def _run(self, fingerprint: str, setup: str) -> None:
        try:
            keys = await asyncio.wait_for(self._dtls.connect(fingerprint, setup, self._ended), CONNECT_S)
        except (TimeoutError, ConnectionError, ValueError):
            keys = None
        if self.state != "new":
            return
        if keys is None:
            self._fail("failed")
            return
        self.inbound, self.outbound = Inbound(keys), Outbound(keys)
        self.handle = self.outbound.handle
        self.state = "connected"
        self._subscribers_ready()
        await self._channels.start()
        self._tell("connected")

    def _ended(self) -> None:
        self._fail("closed")

    def _fail(self, state: str) -> None:
        if self.state in ("new", "connected"):
            self.state = state
            self.handle = None
            self._subscribers_ready()
            self._tell(state)

    def _tell(self, state: str) -> None:
        try:
            self._on_state(state)
        except Exception:
            # The callee's mistake must not end aiortc's or the port's work.
            log.exception("a change of state was not handled")

    async def _stop(self, task: asyncio.Task[None] | None) -> None:
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        try:
            await asyncio.wait_for(self._channels.stop(), 2)
        except Exception as error:
            # aiortc may find its own state closed already; there is nothing left to save.
            log.debug("stopping a transport: %r", error)
        self.port.remove(self)

    def _new_credentials(self) -> tuple[str, str]:
        # ice-char only (RFC 8839 5.4): 24 and 128 bits at least.
        self.ufrag, self.pwd = secrets.token_hex(6), secrets.token_hex(16)
        self.credentials[self.ufrag] = self.pwd
        for old in list(self.credentials)[:-2]:
            del self.credentials[old]
            self.port.forget_ufrag(old)
        self.port.know_ufrag(self.ufrag, self)
        return self.ufrag, self.pwd

    # -- ICE, called by the port

    def checked(self, request: stun.Request, path: Path) -> bytes | None:
        """Answer a connectivity check that names one of our ufrags; None if its signature is wrong."""
        password = self.credentials.get(request.ufrag)
        if password is None or not request.signed_by(password):
            return None
        if request.claims_controlled:
            return stun.role_conflict(request, password)
        self._checked_at = self.port.now()
        self.port.know_path(path, self)
        if self.path is None or self.path.is_closed or (request.nominates and path is not self.path):
            self._take_path(path)
        return stun.success(request, path.host, path.port, password)

    def _take_path(self, path: Path) -> None:
        # Queued datagrams point at the old address's memory.
        self.port.outbox.flush()
        self.path = path
        address = path.address
        self.name = address.pointer if isinstance(address, Address) else None
        self._subscribers_ready()

    def _subscribers_ready(self) -> None:
        now = self.port.now()
        for subscription in self.subscriptions.values():
            subscription.ready()
            subscription.choose(subscription.publication.live_ranks(now), now)

    def received_dtls(self, data: bytes) -> None:
        """A DTLS record from the peer's path."""
        self._dtls.received(data)

    def _send_dtls(self, data: bytes) -> None:
        if self.path is not None:
            self.path.send(data)

    # -- RTP in

    def received_rtp(self, data: bytes, now: float) -> None:
        """An SRTP packet."""
        inbound = self.inbound
        if inbound is None:
            return
        plain = inbound.rtp(data)
        packet = rtp.parse(plain) if plain is not None else None
        if packet is None:
            self.port.count("srtp" if plain is None else "rtp")
            return
        extensions = packet.extensions
        if self._feedback_id and (number := extensions.get(self._feedback_id)) is not None and len(number) == 2:
            self._arrived_at(number[0] << 8 | number[1], packet.ssrc, now)
        layer = self._layers.get(packet.ssrc)
        if layer is None or packet.payload_type != layer.publication.payload_type:
            self._routes.unusual(packet, now)
            return
        if not layer.is_video and (level := extensions.get(self._level_id)):
            layer.publication.level.heard(level[0] & 127)
        layer.receive(packet, now)

    def _arrived_at(self, number: int, ssrc: int, now: float) -> None:
        number = rtp.unwrap(number, self._arrived) if self._arrived >= 0 else number + 0x10000
        arrivals = self._arrivals
        if not arrivals or abs(number - self._first_arrived) > MOST_ARRIVALS:
            # A feedback message spans few numbers, however wildly a peer counts.
            arrivals.clear()
            self._first_arrived = number
        arrivals[number] = now
        self._arrived = number
        self._feedback_ssrc = ssrc
        self.port.arrived.add(self)

    def forget(self, publication: Publication) -> None:
        """The publication has ended."""
        self._routes.forget(publication)

    # -- RTCP

    def received_rtcp(self, data: bytes, now: float) -> None:
        """An SRTCP packet."""
        inbound = self.inbound
        if inbound is None:
            return
        plain = inbound.rtcp(data)
        if plain is None:
            self.port.count("srtcp")
            return
        found, is_whole = rtcp.parse(plain)
        if not is_whole:
            self.port.count("rtcp")
        for item in found:
            if isinstance(item, rtcp.SenderReport):
                if (layer := self._layers.get(item.ssrc)) is not None:
                    layer.reported(item, now)
                self.line.reported(item.blocks, now)
            elif isinstance(item, rtcp.ReceiverReport):
                self.line.reported(item.blocks, now)
            elif isinstance(item, rtcp.Nack):
                if (subscription := self.subscriptions.get(item.media)) is not None:
                    subscription.repeats.answer(item.sequences, now)
            elif isinstance(item, rtcp.KeyframeRequest):
                if (subscription := self.subscriptions.get(item.media)) is not None:
                    subscription.request_keyframe()
            elif isinstance(item, rtcp.Remb):
                self.line.remb(item, now)

    def send_rtp(self, packet: bytes) -> bool:
        """Seal and send one RTP packet; False if that cannot be."""
        path, outbound = self.path, self.outbound
        if path is None or outbound is None:
            return False
        address = path.address
        if isinstance(address, Address):
            return self.port.outbox.add(outbound.handle, address, packet)
        sealed = outbound.rtp(packet)
        return sealed is not None and path.send(sealed)

    def send_rtcp(self, packet: bytes) -> None:
        """Seal and send RTCP; dropped while there is no connection."""
        if self.outbound is not None and self.path is not None and self.state == "connected":
            sealed = self.outbound.rtcp(packet)
            if sealed is not None:
                self.path.send(sealed)

    # -- subscriptions

    def subscribe(self, subscription: Subscription) -> None:
        """A subscription of this peer has been made."""
        self.subscriptions[subscription.ssrc] = subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """It has ended."""
        self.subscriptions.pop(subscription.ssrc, None)

    def _loss_up(self) -> float:
        return max((layer.reception.recent_loss for layer in self._layers.values()), default=0.0)

    # -- timers, called by the port

    def send_feedback(self) -> None:
        """Transport-wide feedback for what arrived since the last."""
        arrivals, self._arrivals = self._arrivals, {}
        if arrivals:
            self._feedback_count += 1
            self.send_rtcp(rtcp.transport_feedback(self.ssrc, self._feedback_ssrc, arrivals, self._feedback_count))

    def ask_missing(self, layer: Layer, now: float) -> None:
        """NACK what the layer misses."""
        sequences = layer.reception.to_ask(now, self.line.estimator.round_trip_s)
        if sequences:
            self.send_rtcp(rtcp.nack(self.ssrc, layer.ssrc, sequences))

    def look_after_layers(self, now: float) -> None:
        """Every 200 ms: repeat keyframe requests that are waited for, see which layers have come or gone."""
        for layer in self._layers.values():
            layer.keyframe_due(now)
        for publication in self._routes.publications():
            publication.retarget(now)

    def every_second(self, now: float) -> None:
        """Receiver reports, the age of maps, consent."""
        since = now - self._checked_at
        if (
            self.state == "new"
            and now - self._made_at > CONNECT_S + 5
            or self.state == "connected"
            and since > CONSENT_S
        ):
            self._fail("failed")
            return
        blocks = []
        for ssrc, layer in self._layers.items():
            if now - layer.last_at < 5:
                report = layer.report
                middle = report.ntp >> 16 & 0xFFFFFFFF if report is not None else 0
                blocks.append(
                    layer.reception.report(ssrc, middle, int((now - layer.report_at) * 65536) if report else 0)
                )
        for start in range(0, len(blocks), 31):
            self.send_rtcp(rtcp.receiver_report(self.ssrc, blocks[start:start + 31]))
        for subscription in self.subscriptions.values():
            if subscription.layer is not None:
                subscription.map.advance(subscription.layer.reception.highest & 0xFFFF)
