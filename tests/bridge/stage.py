"""A publisher of one video track and one viewer, without a network or a clock: packets in, packets out.

    stage = Stage("q", "f"); stage.begin("q", 1000, sequence=7)
    stage.come("q", is_key=True, count=3)       # pictures of one packet
    stage.picture("q", is_key=True)             # one picture of several packets, as its codec cuts it
    stage.viewer.sent; stage.asked()            # what the viewer got; for which SSRCs keyframes were asked
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from chatd.bridge import rtcp, rtp
from chatd.bridge.forward import Publication, Subscription
from chatd.bridge.incoming import Profile
from chatd.bridge.sendmmsg import SLOTS


class Quick:
    """An outbox as far as the hot path needs it; `sealed` stands for libsrtp, and keeps what it is given."""

    def __init__(self) -> None:
        self.used = 0
        self.buffers = [bytearray(2200) for _ in range(SLOTS)]
        self.memory = self.buffers
        self.lengths = [[0] for _ in range(SLOTS)]
        self.headers = [SimpleNamespace(msg_name=None) for _ in range(SLOTS)]

    @staticmethod
    def sealed(handle: Any, memory: bytearray, length: list[int]) -> int:
        packet = rtp.parse(bytes(memory[:length[0]]))
        assert packet is not None
        handle.sent.append(packet)
        return 0

    def flush(self) -> None:
        self.used = 0


class Clockwork:
    """A port as far as it is needed: time stands until it is moved."""

    def __init__(self) -> None:
        self.time = 100.0
        self.outbox = Quick()
        self.incomplete: set[Any] = set()
        self._later: list[Any] = []

    def now(self) -> float:
        return self.time

    def later(self, function: Any) -> None:
        self._later.append(function)

    def run_later(self) -> None:
        functions, self._later = self._later, []
        for function in functions:
            function()


class Wire:
    """A transport as far as it is needed: keeps what is sent. Without an address (`name`) every packet takes the way of
    `Subscription.send`, with one the ordinary ones that of `Layer._fan_out`.
    """

    def __init__(self, port: Clockwork, ids: Mapping[str, int] | None = None, *, is_quick: bool = False) -> None:
        self.port, self.ssrc = port, 1
        self.profile = Profile(dict(ids or {}))
        self.handle: Any = self
        self.name = "somewhere" if is_quick else None
        self.sent: list[rtp.Packet] = []
        self.control: list[Any] = []
        self.subscriptions: dict[int, Subscription] = {}

    def subscribe(self, subscription: Subscription) -> None:
        self.subscriptions[subscription.ssrc] = subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        self.subscriptions.pop(subscription.ssrc)

    def send_rtp(self, data: bytes) -> bool:
        packet = rtp.parse(data)
        assert packet is not None
        self.sent.append(packet)
        return True

    def send_rtcp(self, data: bytes) -> None:
        self.control += rtcp.parse(data)[0]

    def forget(self, publication: Publication) -> None:
        pass


class Stage:
    """See the module. `ids`: header extensions of the viewer; `is_quick`: it is served by the hot path; further
    keywords are the subscription's.
    """

    def __init__(self, *rids: str, codec: str = "vp8", ids: Mapping[str, int] | None = None, is_quick: bool = False,
                 **options: Any) -> None:
        self.codec = codec
        self.port = Clockwork()
        self.publisher, self.viewer = Wire(self.port), Wire(self.port, ids, is_quick=is_quick)
        self.publication = Publication("video", codec, 96)
        self.publication.transport = self.publisher  # type: ignore[assignment]
        self.publication.rids = list(rids)
        self.publication.is_layered = not rids and codec in ("vp9", "av1")
        self.passed_on: list[tuple[int, str]] = []
        self.subscription = Subscription(self.publication, self.viewer, 100, **options)  # type: ignore[arg-type]
        self.numbers: dict[str, tuple[int, int]] = {}
        self.count = 0

    def begin(self, rid: str, ssrc: int, sequence: int, timestamp: int = 0) -> None:
        """A stream of this SSRC begins; its numbers go on from these."""
        self.publication.layer_for(ssrc, rid, self.passed_on)
        self.numbers[rid] = (sequence, timestamp)

    def come(self, rid: str = "", *, is_key: bool = False, count: int = 1) -> None:
        """Pictures of one packet each arrive, 40 ms apart."""
        for _ in range(count):
            # A descriptor that begins a frame, then the frame: the lowest bit says that it is no keyframe (RFC 7741).
            self._arrive(rid, [b"\x10" + (b"\x00" if is_key else b"\x01") + bytes(20)])

    def picture(self, rid: str = "", *, is_key: bool = False, parts: int = 3, lose: Sequence[int] = (),
                extensions: Mapping[int, bytes] | None = None) -> list[rtp.Packet]:
        """A picture of several packets arrives, without those in `lose`, which are given back. `extensions`: of its
        first packet.
        """
        return self._arrive(rid, payloads(self.codec, is_key, self.count, parts), lose, extensions)

    def late(self, packet: rtp.Packet, rid: str = "") -> None:
        """A lost packet arrives after all."""
        self._layer(rid).receive(packet, self.port.time)
        self.port.run_later()

    def padding(self, rid: str = "") -> None:
        """A packet with nothing in it: its sender tries what the line takes."""
        self._arrive(rid, [b""])

    def _layer(self, rid: str) -> Any:
        return next(layer for layer in self.publication.layers if layer.rid == rid)

    def _arrive(self, rid: str, parts: Sequence[bytes], lose: Sequence[int] = (),
                extensions: Mapping[int, bytes] | None = None) -> list[rtp.Packet]:
        layer = self._layer(rid)
        sequence, timestamp = self.numbers[rid]
        lost = []
        for i, payload in enumerate(parts):
            carried = dict(extensions or {}) if not i else {}
            packet = rtp.Packet(96, i == len(parts) - 1, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, layer.ssrc, carried,
                                payload)
            sequence += 1
            if i in lose:
                lost.append(packet)
            else:
                layer.receive(packet, self.port.time)
        self.numbers[rid] = (sequence, timestamp + 3600)
        self.count += 1
        self.port.run_later()
        self.port.time += 0.04
        return lost

    def look(self) -> None:
        """What the port does every 200 ms."""
        for layer in self.publication.layers:
            layer.keyframe_due(self.port.time)
        self.publication.retarget(self.port.time)

    def asked(self) -> list[int]:
        """The SSRCs for which keyframes were asked since the last time."""
        found = [item.media for item in self.publisher.control if isinstance(item, rtcp.KeyframeRequest)]
        self.publisher.control.clear()
        return found

    def gaps(self) -> list[int]:
        """Steps between the sequence numbers that the viewer got."""
        numbers = [packet.sequence for packet in self.viewer.sent]
        return [b - a & 0xFFFF for a, b in zip(numbers, numbers[1:], strict=False)]

    def steps(self) -> list[int]:
        """Steps between the timestamps that the viewer got, from -2^31 on."""
        times = [packet.timestamp for packet in self.viewer.sent]
        return [(b - a + (1 << 31) & 0xFFFFFFFF) - (1 << 31) for a, b in zip(times, times[1:], strict=False)]


def payloads(codec: str, is_key: bool, number: int, parts: int) -> list[bytes]:
    """One picture as its codec's RTP format cuts it; its parts tell their place in their last byte."""
    return [_part(codec, is_key, number, i, parts) + bytes([i]) for i in range(parts)]


def _part(codec: str, is_key: bool, number: int, i: int, parts: int) -> bytes:
    begins, ends = not i, i == parts - 1
    if codec == "vp8":
        # X, S; then I and L with 15 bits of picture id and TL0PICIDX.
        return struct.pack("!BBHB", 0x80 | begins << 4, 0xC0, 0x8000 | number & 0x7FFF, number & 255) + bytes(
            [not is_key if begins else 0x55])
    if codec == "vp9":
        # I, P, B, E.
        first = 0x80 | (not is_key) << 6 | begins << 3 | ends << 2
        return bytes([first, 0x80 | number >> 8 & 0x7F, number & 255, 0x55])
    if codec == "h264":
        if is_key and begins:
            # STAP-A: sequence and picture parameter set, as encoders send them before each IDR.
            return b"\x78\0\4\x67\x42\0\x1f\0\2\x68\xce"
        # FU-A of an IDR slice, or of another one.
        first, kind = (1 if is_key else 0), (5 if is_key else 1)
        return bytes([0x7C, (i == first) << 7 | ends << 6 | kind, 0x55])
    # AV1: Z, Y, W=1, N.
    return bytes([(not begins) << 7 | (not ends) << 6 | 0x10 | (is_key and begins) << 3, 0x32, 0x55])
