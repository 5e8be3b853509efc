"""Which layer a packet of a peer belongs to: SSRCs learnt from header extensions and SDP, retransmissions put back in
place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from chatd.bridge import rtp
from chatd.bridge.incoming import Layer

if TYPE_CHECKING:
    from chatd.bridge.forward import Publication

# A peer may invent SSRCs of retransmissions; more than these are not kept.
MOST_REPAIRS = 256


class Routes:
    """Owned by a transport. `layers`: SSRC -> layer, for the hot path; `count(reason)` for what is dropped."""

    def __init__(self, count: Callable[[str], None]) -> None:
        self.layers: dict[int, Layer] = {}
        self._count = count
        self._publications: dict[str, Publication] = {}
        self._by_ssrc: dict[int, Publication] = {}
        self._repairs: dict[int, Layer] = {}
        self._announced_rtx: dict[int, int] = {}
        self._passed_on: list[tuple[int, str]] = []
        self._mid_id = self._rid_id = self._repaired_id = 0

    def set_extensions(self, ids: Mapping[str, int]) -> None:
        """Header extension ids by URI."""
        self._mid_id, self._rid_id = ids.get(rtp.MID, 0), ids.get(rtp.RID, 0)
        self._repaired_id = ids.get(rtp.REPAIRED_RID, 0)
        self._passed_on = [(ids[uri], uri) for uri in rtp.PASSED_ON if uri in ids]
        for layer in self.layers.values():
            layer.passed_on = self._passed_on

    def add(self, publication: Publication, mid: str, rids: Sequence[str], ssrcs: Iterable[int],
            rtx: Mapping[int, int]) -> None:
        """A section of the SDP; see Transport.receive."""
        if mid:
            self._publications[mid] = publication
        if not rids:
            for ssrc in ssrcs:
                if ssrc not in rtx:
                    self._by_ssrc[ssrc] = publication
        self._announced_rtx.update(rtx)

    def publications(self) -> set[Publication]:
        """All that are received."""
        return set(self._publications.values()) | set(self._by_ssrc.values())

    def unusual(self, packet: rtp.Packet, now: float) -> None:
        """Not a known SSRC with its media payload type: a retransmission, the first of a stream, or something nobody
        wants.
        """
        repaired = self._repairs.get(packet.ssrc)
        if repaired is not None:
            _repair(repaired, packet, now)
            return
        layer = self._identify(packet)
        if layer is None:
            self._count("unknown ssrc")
        elif packet.payload_type == layer.publication.rtx_payload_type:
            self._repairs[packet.ssrc] = layer
            if len(self._repairs) > MOST_REPAIRS:
                del self._repairs[next(iter(self._repairs))]
            _repair(layer, packet, now)
        elif packet.payload_type == layer.publication.payload_type:
            layer.receive(packet, now)
        else:
            self._count("payload type")

    def _identify(self, packet: rtp.Packet) -> Layer | None:
        """The layer of a new SSRC: by mid and rid (RFC 8843 9.2, RFC 8852), else by the SSRCs of the SDP. Latched."""
        known = self.layers.get(packet.ssrc) or self.layers.get(self._announced_rtx.get(packet.ssrc, -1))
        if known is not None:
            return known
        mid = packet.extensions.get(self._mid_id)
        if mid:
            publication = self._publications.get(mid.decode("ascii", "replace"))
        else:
            publication = self._by_ssrc.get(packet.ssrc)
        if publication is None:
            return None
        if packet.payload_type == publication.rtx_payload_type:
            rid = packet.extensions.get(self._repaired_id, b"").decode("ascii", "replace")
            return next((layer for layer in publication.layers if layer.rid == rid), None)
        if packet.payload_type != publication.payload_type:
            return None
        rid = packet.extensions.get(self._rid_id, b"").decode("ascii", "replace") if publication.rids else ""
        layer = publication.layer_for(packet.ssrc, rid, self._passed_on)
        if layer is None:
            return None
        for old in [ssrc for ssrc, owner in self.layers.items() if owner is layer]:
            del self.layers[old]
        self.layers[packet.ssrc] = layer
        return layer

    def forget(self, publication: Publication) -> None:
        """It has ended."""
        self._publications = {k: p for k, p in self._publications.items() if p is not publication}
        self._by_ssrc = {k: p for k, p in self._by_ssrc.items() if p is not publication}
        for table in (self.layers, self._repairs):
            for ssrc in [ssrc for ssrc, layer in table.items() if layer.publication is publication]:
                del table[ssrc]


def _repair(layer: Layer, packet: rtp.Packet, now: float) -> None:
    inner = rtp.unwrap_rtx(packet, layer.publication.payload_type, layer.ssrc)
    # Padding probes repeat what is here already: only what is missing counts.
    if inner is not None and layer.reception.is_missing(inner.sequence):
        layer.receive(inner, now)
