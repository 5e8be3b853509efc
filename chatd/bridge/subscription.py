"""One track on its way to one participant; see forward.py for how it is used.

The ordinary packet never comes here: `incoming.Layer` sends it. Here are the choice of layers, the change from one to
another, and all that is not ordinary: late packets, layers left out, TCP, reports. Longer than most files here because
all of it moves the same few numbers, which have one owner.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chatd.bridge import codecs, layers, rtcp, rtp
from chatd.bridge.bucket import Bucket
from chatd.bridge.incoming import Layer, Profile, rewrite
from chatd.bridge.layers import HIGH, NONE
from chatd.bridge.packetmap import PacketMap, Segment
from chatd.bridge.repeats import Repeats
from chatd.bridge.sink import await_layer, settle, settled

if TYPE_CHECKING:
    from chatd.bridge.forward import Publication
    from chatd.bridge.transport import Transport

# The mid extension goes with the first packets of a stream only; the SSRC is in the SDP as well.
ANNOUNCED_PACKETS = 100
# Keyframes for one receiver, who asks again and again: so many at once, then one in so many seconds. Everybody pays.
KEYFRAMES_AT_ONCE = 4
KEYFRAME_EVERY_S = 3.0
_NOWHERE = Segment(None, 0, 0, 0)


class Subscription:
    """One publication on its way to one participant: one SSRC, gapless numbers, whatever layer is inside.

    `payload_type`, `rtx_payload_type` (None: no retransmissions) and `mid` are the receiver's. `wanted`: rank asked
    for by the receiver; `allowed`: rank that its line can take, set by the transport. `refused`: packets that libsrtp
    did not seal; `repeats`: what is sent again; `asked`: how often the receiver wanted a keyframe.
    """

    __slots__ = (
        "publication",
        "transport",
        "ssrc",
        "rtx_ssrc",
        "payload_type",
        "rtx_payload_type",
        "mid",
        "wanted",
        "allowed",
        "is_paused",
        "is_closed",
        "layer",
        "awaited",
        "map",
        "repeats",
        "segment",
        "handle",
        "name",
        "profile",
        "is_plain",
        "refused",
        "asked",
        "packets",
        "octets",
        "max_temporal",
        "max_spatial",
        "_next_spatial",
        "_announce",
        "_mark",
        "_last",
        "_reports",
        "_started",
        "dark_since",
        "_keyframes",
    )

    def __init__(
        self,
        publication: Publication,
        transport: Transport,
        payload_type: int,
        rtx_payload_type: int | None = None,
        mid: str = "",
        ssrc: int | None = None,
        rtx_ssrc: int | None = None,
        *,
        is_paused: bool = False,
    ) -> None:
        self.publication = publication
        self.transport = transport
        self.ssrc = ssrc if ssrc is not None else secrets.randbelow(0x7FFFFFFE) + 1
        self.rtx_ssrc = rtx_ssrc if rtx_ssrc is not None else secrets.randbelow(0x7FFFFFFE) + 1
        self.payload_type = payload_type
        self.rtx_payload_type = rtx_payload_type
        self.mid = mid
        self.wanted = HIGH
        self.allowed = HIGH
        self.is_paused, self.is_closed = is_paused, False
        self.layer: Layer | None = None
        self.awaited: Layer | None = None
        self.map = PacketMap()
        self.segment = _NOWHERE
        self.handle: Any = None
        self.name: Any = None
        self.profile: Profile = transport.profile
        self.is_plain = False
        self.refused = self.asked = 0
        self.packets = self.octets = 0
        self.max_temporal = self.max_spatial = self._next_spatial = 7
        self._announce = ANNOUNCED_PACKETS if mid else 0
        self._mark = (0, 0)
        # Last sequence number, timestamp, picture id and TL0PICIDX sent, and when. Numbers start low: SRTP's rollover
        # counter starts at 0 on both sides, and a first packet near the wrap that gets lost would put them apart (RFC
        # 3711 3.3.1).
        self._last = (secrets.randbelow(0x4000), 0, 0, 0, 0.0)
        self._started = False
        # Since when there is something to send, and nothing is sent; None otherwise.
        self.dark_since: float | None = None
        self._keyframes = Bucket(1 / KEYFRAME_EVERY_S, KEYFRAMES_AT_ONCE, transport.port.now())
        self.repeats = Repeats(self, secrets.randbelow(0x4000))
        self._reports: deque[tuple[int, float]] = deque(maxlen=8)
        publication.subscriptions.add(self)
        transport.subscribe(self)
        self.ready()
        publication.wants_changed()
        publication.retarget(transport.port.now())

    # -- for the signalling

    def set_quality(self, quality: int) -> None:
        """The rank wanted: layers.LOW, MEDIUM or HIGH; of fewer layers HIGH is the largest."""
        self._want(max(0, min(HIGH, quality)))

    def set_size(self, width: int, height: int) -> None:
        """The smallest layer at least as large as a tile of so many device pixels, or the largest."""
        if self.publication.sizes:
            rank = layers.rank_for_size(self.publication.sizes, width, height)
            # Whoever gets the largest there is wants whatever larger one may come.
            self._want(HIGH if rank == len(self.publication.sizes) - 1 else rank)

    def set_temporal(self, layer: int) -> None:
        """The highest temporal layer to be sent (0…7): lower frame rates where the encoder made such layers."""
        self.max_temporal = max(0, min(7, layer))
        self._sort()

    def pause(self) -> None:
        """Send nothing until `resume`."""
        if not self.is_paused:
            self.is_paused = True
            self.leave()
            self.publication.wants_changed()

    def resume(self) -> None:
        """Go on, from a keyframe that is asked for."""
        if self.is_paused and not self.is_closed:
            self.is_paused = False
            self.publication.wants_changed()
            self.publication.retarget(self.transport.port.now())

    def request_keyframe(self) -> None:
        """The receiver needs a keyframe (its PLI, or the signalling's wish)."""
        self.asked += 1
        now = self.transport.port.now()
        # What is shown now matters as much as what is to come: the larger layer's keyframe may be long in coming.
        concerned = [layer for layer in (self.layer, self.awaited) if layer is not None]
        # One who cannot decode at all asks five times a second, and would make everybody's pictures worse.
        if any(layer.is_keyframe_wanted for layer in concerned) or self._keyframes.take(1, now):
            for layer in concerned:
                layer.request_keyframe(now)

    def close(self) -> None:
        """Unsubscribed."""
        if not self.is_closed:
            self.is_closed = True
            self.leave()
            self.publication.subscriptions.discard(self)
            self.transport.unsubscribe(self)
            self.publication.wants_changed()

    @property
    def left_at(self) -> float:
        """When the last layer that was sent ended; 0 before the first."""
        return self._last[4]

    @property
    def is_limited(self) -> bool:
        """Whether the line is what keeps a better layer away."""
        return not self.is_paused and self.allowed < self.wanted

    @property
    def rank(self) -> int:
        """The rank that is sent now, layers.NONE for nothing."""
        if self.layer is None:
            return NONE
        return (
            min(self.max_spatial, max(self.layer.rates, default=0)) if self.publication.is_layered else self.layer.rank
        )

    def rate(self, now: float) -> float:
        """Bits a second that are sent now."""
        if self.layer is None:
            return 0.0
        if self.publication.is_layered:
            return sum(rate.value(now) for spatial, rate in self.layer.rates.items() if spatial <= self.max_spatial)
        return self.layer.rate.value(now)

    def counted(self) -> tuple[int, int]:
        """Packets and payload octets sent so far, as sender reports count them."""
        if self.layer is None:
            return self.packets, self.octets
        return (
            self.packets + self.layer.sent_packets - self._mark[0],
            self.octets + self.layer.sent_octets - self._mark[1],
        )

    # -- choice of layer

    def _want(self, rank: int) -> None:
        if rank != self.wanted:
            self.wanted = rank
            self.publication.wants_changed()
            self.publication.retarget(self.transport.port.now())

    def allow(self, rank: int, now: float) -> None:
        """The line takes layers up to this rank; NONE: nothing at all."""
        if rank != self.allowed:
            self.allowed = rank
            self.choose(self.publication.live_ranks(now), now)

    def choose(self, live: Sequence[int], now: float) -> None:
        """Aim at the best of these ranks; the change itself comes with the next keyframe."""
        if self.is_paused or self.is_closed or self.handle is None:
            return
        if self.allowed == NONE:
            self.leave()
            return
        if self.publication.is_layered:
            self._choose_inside(live, now)
            return
        rank = layers.choose(live, self.wanted, self.allowed)
        target = next((layer for layer in self.publication.layers if layer.rank == rank), None)
        if rank == NONE:
            # Nothing arrives: wait on whatever there is, so that the first packet counts.
            if self.layer is None and self.awaited is None and self.publication.layers:
                await_layer(self, self.publication.layers[0], now)
        elif target is self.layer:
            await_layer(self, None, now)
        elif target is not self.awaited:
            await_layer(self, target, now)
        if self.layer is None and rank != NONE:
            settle(self, rank, now)

    def _choose_inside(self, live: Sequence[int], now: float) -> None:
        if not self.publication.layers:
            return
        layer = self.publication.layers[0]
        if self.layer is not layer and self.awaited is not layer:
            await_layer(self, layer, now)
        rank = layers.choose(live, self.wanted, self.allowed)
        aim = 7 if rank == NONE or rank == max(live) else rank
        if self.publication.codec == "av1" and rtp.DEPENDENCY_DESCRIPTOR not in self.profile.ids:
            # Without the descriptor no receiver can take several spatial layers apart (measured with Chromium).
            aim = 0
        if aim != self._next_spatial:
            self._next_spatial = aim
            if aim > self.max_spatial:
                layer.request_keyframe(now)
            self._sort()

    def leave(self) -> None:
        """Stop sending; remembers where the numbers stand."""
        self._leave(self.layer.reception.highest if self.layer is not None else 0)

    def restarted(self, layer: Layer) -> None:
        """The layer begins anew with other numbers: what was sent of it is over."""
        if self.layer is layer:
            self._leave(layer.reception.ended)
        if self.segment.source is layer:
            # What is asked for again by an old number is in no cache any more, or another packet has that number.
            self.segment, self.map = _NOWHERE, PacketMap()

    def _leave(self, last: int) -> None:
        await_layer(self, None, 0.0)
        settled(self)
        layer = self.layer
        if layer is not None:
            self._remember(layer, last)
            self.layer = None
            layer.subscriptions.remove(self)
            layer.regroup()

    def _remember(self, layer: Layer, last: int) -> None:
        segment = self.segment
        self.packets, self.octets = self.counted()
        self._last = (
            last + segment.delta & 0xFFFF,
            layer.timestamp + segment.timestamp_delta & 0xFFFFFFFF,
            layer.picture + segment.picture_delta & 0x7FFF,
            layer.tl0 + segment.tl0_delta & 0xFF,
            layer.last_at,
        )

    def switch(self, layer: Layer, packet: rtp.Packet, now: float) -> None:
        """From this packet on (a keyframe's first) `layer` is sent; numbers go on where the last layer's ended."""
        before = self.layer
        if before is not None:
            self._remember(before, before.reception.highest)
            before.subscriptions.remove(self)
            before.regroup()
        layer.waiting.discard(self)
        if self.awaited is layer or self.awaited is not None and self.awaited.rank < layer.rank:
            await_layer(self, None, now)
        settled(self)
        found: Any = packet.described
        sequence, timestamp, picture, tl0, at = self._last
        shift = picture_delta = tl0_delta = 0
        if self._started:
            if self.segment.source is layer:
                shift = self.segment.timestamp_delta
            else:
                shift = self._shift(before, layer, packet.timestamp, timestamp, at, now)
            if found.picture_id is not None:
                picture_delta = picture + 1 - found.picture_id & 0x7FFF
            if found.tl0 is not None:
                tl0_delta = tl0 + 1 - found.tl0 & 0xFF
        self._started = True
        self.segment = self.map.begin(layer, packet.sequence, sequence + 1 & 0xFFFF, shift, picture_delta, tl0_delta)
        self.max_spatial = self._next_spatial
        self._mark = (layer.sent_packets, layer.sent_octets)
        self.layer = layer
        layer.subscriptions.append(self)
        self._sort(force=True)
        if layer.report is not None:
            self.tell_report(layer.report, now)

    def _shift(self, before: Layer | None, layer: Layer, timestamp: int, last: int, last_at: float, now: float) -> int:
        """The offset for timestamps of a new layer: by both layers' sender reports if there are, else by the clock.

        The result never goes back behind the last timestamp sent.
        """
        clock_hz = self.publication.clock_hz
        out = last + max(1, int((now - last_at) * clock_hz))
        old, new = before.report if before is not None else None, layer.report
        if old is not None and new is not None:
            elapsed = (new.ntp - old.ntp) / 4294967296 + rtp.unwrap(
                timestamp - new.timestamp & 0xFFFFFFFF, 0, 32
            ) / clock_hz
            aligned = old.timestamp + int(elapsed * clock_hz) + self.segment.timestamp_delta
            ahead = rtp.unwrap(aligned - last & 0xFFFFFFFF, 0, 32)
            if abs(ahead) < 5 * clock_hz:
                out = last + max(1, ahead)
        return out - timestamp & 0xFFFFFFFF

    # -- sending

    def ready(self) -> None:
        """The transport's keys, path or extensions have changed."""
        transport = self.transport
        self.handle = transport.handle
        self.name = transport.name
        self.profile = transport.profile
        self._sort(force=True)

    def _sort(self, force: bool = False) -> None:
        """Whether the hot path can serve this subscription; see incoming.py."""
        plain = (
            self.handle is not None
            and self.name is not None
            and not self._announce
            and self.max_temporal == 7
            and self.max_spatial == 7
            and self._next_spatial == 7
        )
        if plain != self.is_plain or force:
            self.is_plain = plain
            if self.layer is not None:
                self.layer.regroup()

    def leave_out(self, sequence: int, next_picture: bool) -> None:
        """The packet is not for this subscription: what follows moves up."""
        if self.map.leave_out(sequence, next_picture) and self.map.now is not None:
            self.segment = self.map.now

    def send(self, packet: rtp.Packet, carried: list[tuple[str, bytes]] | None, send_time: bytes) -> None:
        """Everything but the ordinary case of `Layer._fan_out`."""
        found: Any = packet.described
        sequence = packet.sequence
        segment: Segment | None = self.segment
        if sequence - self.segment.first & 0x8000:
            segment = self.map.find(self.layer, sequence)
            if segment is None:
                return
        elif self._is_left_out(found):
            self.leave_out(sequence, found.begins)
            return
        assert segment is not None
        marker = self.is_marked(packet)
        payload = rewrite(packet.payload, found, segment)
        mid = ""
        if self._announce:
            mid = self.mid
            self._announce -= 1
        data = self.profile.prepare(payload, carried, send_time, mid)
        head = rtp.HEADER.pack(
            self.profile.first_byte,
            self.payload_type | marker << 7,
            sequence + segment.delta & 0xFFFF,
            packet.timestamp + segment.timestamp_delta & 0xFFFFFFFF,
            self.ssrc,
        )
        if not self.transport.send_rtp(head + data):
            self.refused += 1
        if mid and not self._announce:
            self.transport.port.later(self._sort)

    def is_marked(self, packet: rtp.Packet) -> bool:
        """Whether a picture ends with this packet, as the receiver gets it: without the layers above."""
        found: Any = packet.described
        return packet.marker or bool(found.ends and found.spatial == self.max_spatial and self.publication.is_layered)

    def _is_left_out(self, found: codecs.Description) -> bool:
        """Layers above the chosen ones; a spatial layer is begun with a keyframe, and left at the start of a picture.
        """
        if self._next_spatial != self.max_spatial:
            if (self._next_spatial < self.max_spatial and found.begins and not found.spatial) or found.is_key:
                self.max_spatial = self._next_spatial
                self.transport.port.later(self._sort)
        return found.temporal > self.max_temporal or found.spatial > self.max_spatial

    def tell_report(self, report: rtcp.SenderReport, now: float) -> None:
        """The publisher's sender report in this stream's numbers: NTP time and timestamp stay a pair (lip sync)."""
        packets, octets = self.counted()
        timestamp = report.timestamp + self.segment.timestamp_delta & 0xFFFFFFFF
        self._reports.append((report.ntp >> 16 & 0xFFFFFFFF, now))
        self.transport.send_rtcp(
            rtcp.sender_report(rtcp.SenderReport(self.ssrc, report.ntp, timestamp, packets, octets))
        )

    def round_trip(self, block: rtcp.ReportBlock, now: float) -> float | None:
        """Seconds to the receiver and back by its report block (RFC 3550 6.4.1); None if it names no report of ours."""
        for middle, sent_at in self._reports:
            if middle == block.last_sr and middle:
                return max(0.0, now - sent_at - block.delay / 65536)
        return None
