"""Whoever takes the packets of a publication: a `Subscription` on its way to a participant, or a recording's feed.

A publication chooses layers for its sinks and a layer feeds those that are in its `subscriptions`. With `is_plain` the
hot path writes to a participant's line itself (a Subscription only); everybody else gets each packet by `send`. So a
recording costs the hot path nothing while nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from chatd.bridge.forward import Publication
    from chatd.bridge.incoming import Layer
    from chatd.bridge.rtcp import SenderReport
    from chatd.bridge.rtp import Packet


# Who has had nothing for so long while something arrives takes a keyframe of any smaller layer as well.
PATIENCE_S = 1.0


class Sink(Protocol):
    """`wanted`: the highest rank it can use; `layer`: what it gets, `awaited`: what it changes to at a keyframe;
    `dark_since`: since when there is something for it, and it gets nothing (None: it is not so).
    """

    publication: Publication
    dark_since: float | None
    wanted: int
    is_paused: bool
    is_plain: bool
    layer: Layer | None
    awaited: Layer | None

    def choose(self, live: Sequence[int], now: float) -> None:
        """Aim at the best of these ranks."""

    def switch(self, layer: Layer, packet: Packet, now: float) -> None:
        """From this packet on (a keyframe's first) `layer` is sent."""

    def send(self, packet: Packet, carried: list[tuple[str, bytes]] | None, send_time: bytes) -> None:
        """A packet of the layer, perhaps a late one; `carried`: header extensions that are handed on."""

    def leave_out(self, sequence: int, next_picture: bool) -> None:
        """There is nothing behind this number."""

    def leave(self) -> None:
        """Take nothing more of the layer."""

    def restarted(self, layer: Layer) -> None:
        """`layer` begins anew with other numbers: leave it if it feeds us, and forget its old ones in any case."""

    def tell_report(self, report: SenderReport, now: float) -> None:
        """The publisher's sender report for the layer."""

    def close(self) -> None:
        """The publication has ended."""


def await_layer(sink: Sink, layer: Layer | None, now: float) -> None:
    """Have `sink` change to `layer` at its next keyframe, which is asked for; None: it changes to nothing any more."""
    if sink.awaited is not None:
        sink.awaited.waiting.discard(sink)
    sink.awaited = layer
    if layer is not None:
        layer.waiting.add(sink)
        layer.keyframe_due(now)


def settle(sink: Sink, rank: int, now: float) -> None:
    """`sink` has nothing, and the keyframe of the layer with this rank, the best for it, is long in coming: any smaller
    one is better than nothing.
    """
    for layer in sink.publication.layers:
        if layer.rank > rank:
            # The line had room for it before.
            layer.waiting.discard(sink)
    if sink.dark_since is None:
        sink.dark_since = now
    elif now - sink.dark_since >= PATIENCE_S:
        for layer in sink.publication.layers:
            if layer.rank < rank and layer.is_live(now) and sink not in layer.waiting:
                layer.waiting.add(sink)
                layer.keyframe_due(now)


def settled(sink: Sink) -> None:
    """Something is sent to `sink`, or nothing is to be: only what it aims at is waited for."""
    if sink.dark_since is not None:
        sink.dark_since = None
        for layer in sink.publication.layers:
            if layer is not sink.awaited:
                layer.waiting.discard(sink)
