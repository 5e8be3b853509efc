"""What one subscription sends again: answers to the receiver's NACKs, as RTX (RFC 4588) if that was negotiated, and
padding: old packets once more, to see whether the line takes more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from chatd.bridge import rtp
from chatd.bridge.incoming import Layer, rewrite
from chatd.bridge.packetmap import Segment

if TYPE_CHECKING:
    from chatd.bridge.subscription import Subscription

# Retransmissions to one subscription in a second; more would be an amplifier. On a line of known capacity its share.
MOST_OCTETS_PER_S = 400_000
SHARE = 0.25
# Asked again within that time, before the answer can have arrived: it is on its way.
LEAST_PAUSE_S = 0.03
MOST_REMEMBERED = 1000
# How far back padding is looked for.
PADDING_PACKETS = 16


class Repeats:
    """See the module. `sent`: packets that were sent again."""

    __slots__ = ("sent", "_subscription", "_rtx_sequence", "_until", "_octets_left", "_sent_at")

    def __init__(self, subscription: Subscription, first_sequence: int) -> None:
        self.sent = 0
        self._subscription = subscription
        self._rtx_sequence = first_sequence
        # Until when the octets that are left have to do.
        self._until = 0.0
        self._octets_left = 0
        self._sent_at: dict[int, float] = {}

    def answer(self, sequences: Iterable[int], now: float) -> None:
        """The receiver's NACK, from the layer's cache."""
        subscription = self._subscription
        line = subscription.transport.line.estimator
        if now >= self._until:
            # What a thin line has no room for must not be filled with what it lost.
            available = line.available(now)
            octets = MOST_OCTETS_PER_S if available is None else int(available * SHARE / 8)
            self._until, self._octets_left = now + 1.0, octets
        if len(self._sent_at) > MOST_REMEMBERED:
            self._sent_at.clear()
        for out in sequences:
            if self._octets_left <= 0:
                return
            if now - self._sent_at.get(out, -10.0) < max(LEAST_PAUSE_S, line.round_trip_s):
                continue
            place = subscription.map.reverse(out)
            packet = place[0].source.cache.get(place[1]) if place is not None else None  # type: ignore[attr-defined]
            if packet is None or place is None:
                continue
            if subscription.is_limited and place[0].source is not subscription.layer:
                # Of the layer that was too much for the line; the keyframe since then makes it useless.
                continue
            self._octets_left -= len(packet.payload)
            self._sent_at[out] = now
            self._send(packet, place[0], out, now)

    def pad(self, octets: int, now: float) -> int:
        """Send at least so many octets of old packets, if there are as many; returns how many went out."""
        subscription = self._subscription
        layer, sent = subscription.layer, 0
        if layer is None or subscription.rtx_payload_type is None or layer.reception.highest < 0:
            return 0
        for back in range(PADDING_PACKETS):
            packet = layer.cache.get(layer.reception.highest - back & 0xFFFF)
            if sent >= octets or packet is None:
                break
            segment = subscription.map.find(layer, packet.sequence)
            if segment is not None:
                self._send(packet, segment, packet.sequence + segment.delta & 0xFFFF, now)
                sent += len(packet.payload)
        return sent

    def _send(self, packet: rtp.Packet, segment: Segment, out: int, now: float) -> None:
        subscription = self._subscription
        found: Any = packet.described
        payload = rewrite(packet.payload, found, segment)
        marker = subscription.is_marked(packet)
        timestamp = packet.timestamp + segment.timestamp_delta & 0xFFFFFFFF
        carried: list[tuple[str, bytes]] = []
        if isinstance(segment.source, Layer):
            carried = [(uri, packet.extensions[n]) for n, uri in segment.source.passed_on if n in packet.extensions]
        number, payload_type, ssrc = out, subscription.payload_type, subscription.ssrc
        if subscription.rtx_payload_type is not None:
            self._rtx_sequence = self._rtx_sequence + 1 & 0xFFFF
            number, payload_type, ssrc = self._rtx_sequence, subscription.rtx_payload_type, subscription.rtx_ssrc
            payload = out.to_bytes(2, "big") + payload
        profile = subscription.profile
        data = profile.prepare(payload, carried, rtp.abs_send_time(now))
        head = rtp.HEADER.pack(profile.first_byte, payload_type | marker << 7, number, timestamp, ssrc)
        subscription.transport.send_rtp(head + data)
        self.sent += 1
