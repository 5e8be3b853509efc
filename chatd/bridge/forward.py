"""What is published and who gets it. The media half's interface to the signalling, with `port` and `transport`.

A track of a publisher is a `Publication`; on its way to one participant it is a `Subscription` with its own SSRC::

    publication = Publication("video", "vp8", payload_type=96, rtx_payload_type=97)
    publication.sizes = [Size(320, 180), Size(640, 360), Size(1280, 720)]   # of AddTrack, ascending; may be empty
    publication.on_wanted = lambda publication: ...      # dynacast: publication.wanted_ranks() changed
    transport.receive(publication, mid="3", rids=["q", "h", "f"])              # rids ascending: rank 0, 1, 2
    transport.receive(publication, mid="4", ssrcs=[1234], rtx={5678: 1234})    # without rids: the SSRCs of the section

    subscription = Subscription(publication, viewer_transport, payload_type=96, rtx_payload_type=97, mid="7")
    subscription.ssrc, subscription.rtx_ssrc       # random unless given: for the answer's a=ssrc and FID group
    subscription.set_quality(MEDIUM)               # layers.LOW, MEDIUM, HIGH
    subscription.set_size(640, 360)                # adaptive stream: device pixels of the tile
    subscription.pause(); subscription.resume()
    subscription.close(); publication.close()

Nothing here raises for what peers send. All methods are to be called in the loop's thread. A subscription may be made
before its transport is connected and before its publication sends: packets flow when both are ready, from a keyframe
on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from chatd.bridge import codecs, rtcp
from chatd.bridge.incoming import Layer
from chatd.bridge.layers import HIGH, LOW, MEDIUM, NONE, Size
from chatd.bridge.speakers import LevelMeter
from chatd.bridge.subscription import Subscription

if TYPE_CHECKING:
    from chatd.bridge.sink import Sink
    from chatd.bridge.transport import Transport

__all__ = ["HIGH", "LOW", "MEDIUM", "NONE", "Publication", "Size", "Subscription"]


class Publication:
    """One track that a participant sends, with all its layers.

    `kind` "audio" or "video"; `codec` a key of `codecs.DESCRIBE` ("opus", "vp8", "vp9", "h264", "av1"), KeyError
    otherwise. `payload_type` and `rtx_payload_type` (None: none) are the publisher's numbers. `is_screen`: served
    first when a line is thin. `sizes`: announced sizes of the layers, ascending. `on_wanted(publication)`: the ranks
    that somebody wants have changed. `malformed`: payloads that were dropped.
    """

    def __init__(self, kind: str, codec: str, payload_type: int, rtx_payload_type: int | None = None, *,
                 is_screen: bool = False, sizes: Sequence[Size] = ()) -> None:
        codecs.DESCRIBE[codec]
        self.kind = kind
        self.codec = codec
        self.clock_hz = codecs.clock_hz(codec)
        self.payload_type = payload_type
        self.rtx_payload_type = rtx_payload_type
        self.is_screen = is_screen
        self.sizes = list(sizes)
        self.rids: list[str] = []
        # Spatial layers inside one stream instead of several streams.
        self.is_layered = False
        self.transport: Transport | None = None
        self.layers: list[Layer] = []
        self.subscriptions: set[Sink] = set()
        self.on_wanted: Callable[[Publication], None] | None = None
        self.level = LevelMeter()
        self.malformed = 0
        self._wanted: frozenset[int] = frozenset()

    # -- for the signalling

    def wanted_ranks(self) -> frozenset[int]:
        """The ranks that the publisher needs to send, for dynacast: all up to the highest that somebody unpaused
        wants.
        """
        highest = max((s.wanted for s in self.subscriptions if not s.is_paused), default=NONE)
        return frozenset(range(highest + 1))

    def live_ranks(self, now: float) -> list[int]:
        """The ranks that arrive now, ascending."""
        if self.is_layered and self.layers:
            return sorted(rank for rank, rate in self.layers[0].rates.items() if rate.value(now))
        return sorted(layer.rank for layer in self.layers if layer.is_live(now))

    def costs(self, now: float) -> list[tuple[int, int]]:
        """(rank, bits a second) of what arrives now, ascending; layers inside one stream cost what is below them too.
        """
        if self.is_layered and self.layers:
            total, found = 0.0, []
            for rank, rate in sorted(self.layers[0].rates.items()):
                if value := rate.value(now):
                    total += value
                    found.append((rank, int(total)))
            return found
        return sorted((layer.rank, int(layer.rate.value(now))) for layer in self.layers if layer.is_live(now))

    def close(self) -> None:
        """Unpublished: all subscriptions end, nothing more is received."""
        for subscription in list(self.subscriptions):
            subscription.close()
        if self.transport is not None:
            self.transport.forget(self)
            self.transport = None
        self.layers.clear()

    # -- for the media half

    def layer_for(self, ssrc: int, rid: str, passed_on: list[tuple[int, str]]) -> Layer | None:
        """The layer with this rid, made if it is new; None for a rid that was not announced. A new SSRC takes the old
        one's place.
        """
        if self.rids and rid not in self.rids:
            return None
        assert self.transport is not None
        for layer in self.layers:
            if layer.rid == rid:
                if layer.ssrc != ssrc:
                    layer.renumber(ssrc)
                return layer
        if not self.rids and self.layers:
            return None
        layer = Layer(self, ssrc, rid, self.rids.index(rid) if self.rids else 0, self.transport.port.outbox)
        layer.passed_on = passed_on
        self.layers.append(layer)
        # Its first packet is at hand and often a keyframe: who wants this layer has to wait for it already.
        layer.last_at = self.transport.port.now()
        self.retarget(layer.last_at)
        return layer

    def ask_keyframe(self, layer: Layer) -> None:
        """Send the publisher a PLI."""
        if self.transport is not None:
            self.transport.send_rtcp(rtcp.pli(self.transport.ssrc, layer.ssrc))

    def transport_missing(self, layer: Layer) -> None:
        """Packets are missing: the port's clock asks for them."""
        if self.rtx_payload_type is not None or self.kind == "video":
            if self.transport is not None:
                self.transport.port.incomplete.add(layer)

    def retarget(self, now: float) -> None:
        """Choose every subscription's layer anew."""
        live = self.live_ranks(now)
        for subscription in self.subscriptions:
            subscription.choose(live, now)

    def wants_changed(self) -> None:
        """Tell the signalling if other ranks are wanted than before."""
        wanted = self.wanted_ranks()
        if wanted != self._wanted:
            self._wanted = wanted
            if self.on_wanted is not None:
                self.on_wanted(self)
