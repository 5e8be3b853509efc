"""The tap: a publication's packets for a recording, taken as one more subscriber takes them.

It always wants the best layer. The loop does no more than append packets to a list; every so often the list goes to
the recording's thread (`take`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from chatd.bridge import layers, rtp
from chatd.bridge.layers import HIGH, NONE
from chatd.bridge.rtcp import SenderReport
from chatd.bridge.sink import await_layer, settle, settled

if TYPE_CHECKING:
    from chatd.bridge.forward import Publication
    from chatd.bridge.incoming import Layer


class Begin(NamedTuple):
    """Packets of this SSRC follow, from this number on, the first of which came at `now` (the port's clock)."""

    ssrc: int
    sequence: int
    now: float


class Nothing(NamedTuple):
    """There is nothing behind this number: padding, or a payload that is none."""

    sequence: int


class Turned(NamedTuple):
    """The picture is to be turned clockwise by so many degrees from now on (3GPP TS 26.114 7.4.5, CVO)."""

    degrees: int


class Reported(NamedTuple):
    """A sender report came at `now` (the port's clock)."""

    report: SenderReport
    now: float


class Sound(NamedTuple):
    """A packet of sound and when it came (the port's clock): its clock is watched by that (clocks.Pace)."""

    packet: rtp.Packet
    now: float


Item = rtp.Packet | Sound | Begin | Nothing | Turned | Reported


class Feed:
    """A sink (sink.py) of `publication` until `close`."""

    __slots__ = ("publication", "wanted", "is_paused", "is_plain", "layer", "awaited", "dark_since", "is_closed",
                 "_items", "_degrees")

    def __init__(self, publication: Publication, now: float) -> None:
        self.publication = publication
        self.wanted = HIGH
        self.is_paused = self.is_plain = self.is_closed = False
        self.layer: Layer | None = None
        self.awaited: Layer | None = None
        self.dark_since: float | None = None
        self._items: list[Item] = []
        self._degrees = 0
        publication.subscriptions.add(self)
        publication.wants_changed()
        publication.retarget(now)

    def take(self) -> list[Item]:
        """What came since the last call."""
        items, self._items = self._items, []
        return items

    def pause(self) -> None:
        """Take nothing until `resume`: the track is muted, whatever its publisher may send."""
        if not self.is_paused:
            self.is_paused = True
            self.leave()
            self.publication.wants_changed()

    def resume(self, now: float) -> None:
        """Go on, from a keyframe."""
        if self.is_paused and not self.is_closed:
            self.is_paused = False
            self.publication.wants_changed()
            self.publication.retarget(now)

    def request_keyframe(self, now: float) -> None:
        """A packet is lost: ask the publisher, as often as its layers allow."""
        # What is recorded now matters as much as what is to come: the larger layer's keyframe may be long in coming.
        for layer in (self.layer, self.awaited):
            if layer is not None:
                layer.request_keyframe(now)

    # -- as a sink

    def choose(self, live: Sequence[int], now: float) -> None:
        """Aim at the best layer; one stream with layers inside is taken whole."""
        publication = self.publication
        if self.is_closed or self.is_paused or not publication.layers:
            return
        rank = NONE
        if publication.is_layered:
            target: Layer | None = publication.layers[0]
        else:
            rank = layers.choose(live, HIGH, HIGH)
            target = next((layer for layer in publication.layers if layer.rank == rank), None)
            if rank == NONE:
                if self.layer is not None or self.awaited is not None:
                    return
                target = publication.layers[0]
        if target is self.layer:
            await_layer(self, None, now)
        elif target is not self.awaited:
            await_layer(self, target, now)
        if self.layer is None and rank != NONE:
            settle(self, rank, now)

    def switch(self, layer: Layer, packet: rtp.Packet, now: float) -> None:
        """A keyframe of a better layer, or the first one."""
        if self.layer is not None:
            self.layer.subscriptions.remove(self)
            self.layer.regroup()
        layer.waiting.discard(self)
        if self.awaited is layer or self.awaited is not None and self.awaited.rank < layer.rank:
            await_layer(self, None, now)
        settled(self)
        self.layer = layer
        layer.subscriptions.append(self)
        layer.regroup()
        self._items.append(Begin(layer.ssrc, packet.sequence, now))
        if layer.report is not None:
            self._items.append(Reported(layer.report, layer.report_at))

    def send(self, packet: rtp.Packet, carried: list[tuple[str, bytes]] | None, send_time: bytes) -> None:
        """Keep a packet."""
        layer = self.layer
        if layer is not None and not layer.is_video:
            self._items.append(Sound(packet, layer.last_at))
            return
        if carried:
            for uri, value in carried:
                if uri == rtp.VIDEO_ORIENTATION and value:
                    # The two low bits are counted in quarters of a turn clockwise (TS 26.114 7.4.5).
                    degrees = 90 * (value[0] & 3)
                    if degrees != self._degrees:
                        self._degrees = degrees
                        self._items.append(Turned(degrees))
        self._items.append(packet)

    def leave_out(self, sequence: int, next_picture: bool) -> None:
        """Padding."""
        self._items.append(Nothing(sequence))

    def restarted(self, layer: Layer) -> None:
        """The layer begins anew: so does the file's segment, by `switch`."""
        if self.layer is layer:
            self.leave()

    def leave(self) -> None:
        """The layer is no longer for us."""
        await_layer(self, None, 0.0)
        settled(self)
        if self.layer is not None:
            self.layer.subscriptions.remove(self)
            self.layer.regroup()
            self.layer = None

    def tell_report(self, report: SenderReport, now: float) -> None:
        """Keep a sender report."""
        self._items.append(Reported(report, now))

    def close(self) -> None:
        """Take no more."""
        if not self.is_closed:
            self.is_closed = True
            self.leave()
            self.publication.subscriptions.discard(self)
            self.publication.wants_changed()
