"""One incoming layer (one SSRC of a publisher) and the hot path: a packet comes in once and goes out to N subscribers.

`Layer.receive` is run for every packet that reaches the bridge; the inner loop of `_fan_out` for every packet that
leaves it. There a Python attribute costs 2 % of a packet: it works on plain lists and local names, and everything
that is not the ordinary case (a late packet, rewritten VP8 numbers, layers left out, TCP) goes through
`Subscription.send` instead.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, cast

from chatd.bridge import codecs, rtp
from chatd.bridge.av1dd import Templates
from chatd.bridge.layers import Rate
from chatd.bridge.packetcache import PacketCache
from chatd.bridge.packetmap import Segment
from chatd.bridge.reception import Reception
from chatd.bridge.rtcp import SenderReport
from chatd.bridge.sendmmsg import SLOTS, Outbox
from chatd.bridge.srtp import LARGEST_BYTES, protect

if TYPE_CHECKING:
    from chatd.bridge.forward import Publication, Subscription
    from chatd.bridge.sink import Sink

# A keyframe costs as much as a second of video: asking more often than this only makes the stream worse.
KEYFRAME_INTERVAL_S = 0.5
# And one who does not answer, because it is overloaded, is asked less and less often.
LONGEST_INTERVAL_S = 3.0
LIVE_S = 1.0

_packers: dict[int, struct.Struct] = {}


def packer(size: int) -> struct.Struct:
    """RTP header (12 bytes) and `size` bytes behind it, written in one call."""
    made = _packers.get(size)
    if made is None:
        made = _packers[size] = struct.Struct("!BBHII%ds" % size)
    return made


def move_numbers(buffer: bytearray, start: int, found: codecs.Description, segment: Segment) -> None:
    """Move VP8's picture id and TL0PICIDX by the segment's offsets, in a payload that begins at `start`."""
    if found.picture_id is not None:
        picture, at = found.picture_id + segment.picture_delta, start + found.picture_at
        if found.picture_wide:
            buffer[at] = 0x80 | picture >> 8 & 0x7F
            buffer[at + 1] = picture & 0xFF
        else:
            buffer[at] = picture & 0x7F
    if found.tl0 is not None:
        buffer[start + found.tl0_at] = found.tl0 + segment.tl0_delta & 0xFF


def rewrite(payload: bytes, found: codecs.Description, segment: Segment) -> bytes:
    """A payload with VP8's picture id and TL0PICIDX moved by the segment's offsets; the same object if there is
    nothing to do.
    """
    if found.picture_id is None and found.tl0 is None or not (segment.picture_delta or segment.tl0_delta):
        return payload
    changed = bytearray(payload)
    move_numbers(changed, 0, found, segment)
    return bytes(changed)


class Profile:
    """Which header extensions a group of subscribers gets; what they share of a packet is made once.

    `ids`: extension URI -> id as these subscribers negotiated. Interned by the port: clients of one kind share one.
    """

    __slots__ = ("ids", "send_time_id", "first_byte", "tail")

    def __init__(self, ids: dict[str, int]) -> None:
        self.ids = ids
        number = ids.get(rtp.ABS_SEND_TIME, 0)
        self.send_time_id = number if number < 15 else 0
        self.first_byte = 0x80
        self.tail = b""

    def prepare(
        self, payload: bytes, carried: list[tuple[str, bytes]] | None, send_time: bytes, mid: str = ""
    ) -> bytes:
        """Everything behind the 12 bytes of header; `first_byte` is set to go with it."""
        number = self.send_time_id
        if carried or mid or not number:
            elements = [(number, send_time)]
            if mid:
                elements.append((self.ids.get(rtp.MID, 0), mid.encode()))
            if carried:
                elements += [(self.ids.get(uri, 0), value) for uri, value in carried]
            block = rtp.extension_block(elements)
            self.first_byte = 0x90 if block else 0x80
            self.tail = block + payload
        else:
            self.first_byte = 0x90
            self.tail = b"\xbe\xde\0\1" + bytes((number << 4 | 2,)) + send_time + payload
        return self.tail


class Layer:
    """One SSRC of a publication. `rank`: 0 is the smallest of its track's layers.

    `subscriptions`: who gets it now; `waiting`: who wants to, from its next keyframe on. `keyframes` came so far, the
    last at `keyframe_at`; the publisher was `asked` so often for one. `is_keyframe_wanted`: asked for by somebody since
    the last one.
    """

    __slots__ = (
        "publication",
        "ssrc",
        "rid",
        "rank",
        "codec",
        "is_video",
        "cache",
        "reception",
        "rate",
        "rates",
        "subscriptions",
        "waiting",
        "report",
        "report_at",
        "last_at",
        "sent_packets",
        "sent_octets",
        "picture",
        "tl0",
        "timestamp",
        "passed_on",
        "outbox",
        "width",
        "height",
        "_describe",
        "_templates",
        "_groups",
        "_careful",
        "keyframes",
        "keyframe_at",
        "asked",
        "_asked_at",
        "_ask_again_s",
        "is_keyframe_wanted",
    )

    def __init__(self, publication: Publication, ssrc: int, rid: str, rank: int, outbox: Outbox) -> None:
        self.publication = publication
        self.ssrc = ssrc
        self.rid = rid
        self.rank = rank
        self.outbox = outbox
        self.is_video = publication.kind == "video"
        self._describe = codecs.DESCRIBE[publication.codec]
        self.cache = PacketCache(1024 if self.is_video else 128)
        self.reception = Reception(publication.clock_hz, asks=self.is_video)
        self.rate = Rate()
        # Spatial layer -> its rate, for codecs that put several into one stream.
        self.rates: dict[int, Rate] = {}
        self.subscriptions: list[Sink] = []
        self.waiting: set[Sink] = set()
        self.report: SenderReport | None = None
        self.report_at = 0.0
        self.last_at = -10.0
        self.sent_packets = 0
        self.sent_octets = 0
        self.picture = self.tl0 = 0
        self.timestamp = 0
        self.width = self.height = 0
        self.passed_on: list[tuple[int, str]] = []
        self._templates = Templates()
        self._groups: list[tuple[Profile, list[Subscription], bool]] = []
        self._careful: list[Sink] = []
        self.keyframes = self.asked = 0
        self.keyframe_at = self._asked_at = -10.0
        self._ask_again_s = KEYFRAME_INTERVAL_S
        self.is_keyframe_wanted = False

    # -- packets

    def receive(self, packet: rtp.Packet, now: float) -> None:
        """A packet of this SSRC, decrypted; also one that came as a retransmission."""
        payload = packet.payload
        sequence = packet.sequence
        reception = self.reception
        step = reception.arrived(sequence, packet.timestamp, len(payload), now)
        if step <= 0:
            if step < 0:
                self._restart()
            elif self.cache.get(sequence) is not None:
                return
        elif step > 1 and reception.missing:
            self.publication.transport_missing(self)
        self.last_at = now
        if not payload:
            # Padding on the media SSRC probes our line to the publisher; it is nobody else's business.
            if step > 0:
                for subscription in self.subscriptions:
                    subscription.leave_out(sequence, False)
            return
        found = packet.described = self._describe(payload, packet.marker)
        if not found.is_valid:
            self.publication.malformed += 1
            if step > 0:
                for subscription in self.subscriptions:
                    subscription.leave_out(sequence, False)
            return
        if self.publication.codec == "av1":
            self._place(packet, found)
        self.cache.put(packet)
        self.rate.add(len(payload), now)
        if self.is_video:
            if found.is_key:
                self._keyframe(found, now)
            if self.publication.is_layered:
                rate = self.rates.get(found.spatial)
                if rate is None:
                    rate = self.rates[found.spatial] = Rate()
                rate.add(len(payload), now)
        if step:
            self.timestamp = packet.timestamp
            if found.picture_id is not None:
                self.picture = found.picture_id
            if found.tl0 is not None:
                self.tl0 = found.tl0
        if self.waiting and found.is_key and step:
            for subscription in list(self.waiting):
                subscription.switch(self, packet, now)
        if self.subscriptions:
            self._fan_out(packet, now)

    def _place(self, packet: rtp.Packet, found: codecs.Description) -> None:
        """AV1's layers are told by a header extension, also of encrypted frames."""
        for number, uri in self.passed_on:
            if uri == rtp.DEPENDENCY_DESCRIPTOR and number in packet.extensions:
                place = self._templates.read(packet.extensions[number])
                if place is not None:
                    found.begins, found.ends = place.begins, place.ends
                    found.spatial, found.temporal = place.spatial, place.temporal
                    found.is_key = place.is_key and place.spatial == 0

    def _keyframe(self, found: codecs.Description, now: float) -> None:
        self.is_keyframe_wanted = False
        self.keyframes += 1
        self.keyframe_at = now
        self._ask_again_s = KEYFRAME_INTERVAL_S
        if found.width:
            self.width, self.height = found.width, found.height

    def _fan_out(self, packet: rtp.Packet, now: float) -> None:
        send_time = (int(now * 262144) & 0xFFFFFF).to_bytes(3, "big")
        carried = None
        if self.passed_on and packet.extensions:
            extensions = packet.extensions
            carried = [(uri, extensions[number]) for number, uri in self.passed_on if number in extensions]
        payload = packet.payload
        self.sent_packets += 1
        self.sent_octets += len(payload)
        for subscription in self._careful:
            subscription.send(packet, carried, send_time)
        if len(payload) > LARGEST_BYTES - 300:
            return
        sequence, timestamp = packet.sequence, packet.timestamp
        mark = 0x80 if packet.marker else 0
        outbox = self.outbox
        buffers, memory, lengths, headers = outbox.buffers, outbox.memory, outbox.lengths, outbox.headers
        i = outbox.used
        found: Any = packet.described
        for profile, group, is_moved in self._groups:
            tail = profile.prepare(payload, carried, send_time)
            first, size = profile.first_byte, len(tail) + 12
            pack_into = packer(size - 12).pack_into
            for subscription in group:
                segment = subscription.segment
                if sequence - segment.first & 0x8000:
                    outbox.used = i
                    subscription.send(packet, carried, send_time)
                    i = outbox.used
                    continue
                pack_into(buffers[i], 0, first, mark | subscription.payload_type, sequence + segment.delta & 0xFFFF,
                          timestamp + segment.timestamp_delta & 0xFFFFFFFF, subscription.ssrc, tail)
                if is_moved:
                    move_numbers(buffers[i], size - len(payload), found, segment)
                length = lengths[i]
                length[0] = size
                if protect(subscription.handle, memory[i], length):
                    subscription.refused += 1
                    continue
                headers[i].msg_name = subscription.name
                i += 1
                if i == SLOTS:
                    outbox.used = i
                    outbox.flush()
                    i = 0
        outbox.used = i

    def renumber(self, ssrc: int) -> None:
        """The same layer comes with another SSRC, so with other numbers."""
        self.ssrc = ssrc
        self.reception.renumber()
        self._restart()

    def _restart(self) -> None:
        """The publisher began with new numbers: everybody goes on from the next packet that can be decoded."""
        self.cache.clear()
        # Numbers of before say nothing about those that come.
        self.report = None
        for sink in list(self.publication.subscriptions):
            is_fed = sink.layer is self
            sink.restarted(self)
            if is_fed:
                # Not asked for yet: the packet at hand is often a keyframe's.
                self.waiting.add(sink)
                sink.awaited = self

    # -- who gets it

    def regroup(self) -> None:
        """To be called after a subscription came, went or changed what it needs."""
        groups: dict[tuple[int, bool], tuple[Profile, list[Subscription], bool]] = {}
        self._careful = []
        for sink in self.subscriptions:
            if not sink.is_plain:
                self._careful.append(sink)
                continue
            subscription = cast("Subscription", sink)
            profile, segment = subscription.profile, subscription.segment
            is_moved = bool(segment.picture_delta or segment.tl0_delta)
            groups.setdefault((id(profile), is_moved), (profile, [], is_moved))[1].append(subscription)
        self._groups = list(groups.values())

    def is_live(self, now: float) -> bool:
        """Whether a packet came within the last second."""
        return now - self.last_at < LIVE_S

    # -- keyframes and reports

    def request_keyframe(self, now: float) -> None:
        """Ask the publisher for a keyframe: at once, or when enough time since the last request has passed."""
        self.is_keyframe_wanted = True
        self.keyframe_due(now)

    def keyframe_due(self, now: float) -> None:
        """Called often: asks if somebody still waits and it is time."""
        if (self.is_keyframe_wanted or self.waiting) and now - self._asked_at >= self._ask_again_s:
            if self._asked_at > self.keyframe_at:
                self._ask_again_s = min(LONGEST_INTERVAL_S, self._ask_again_s * 1.5)
            self._asked_at = now
            if self.is_video:
                self.asked += 1
                self.publication.ask_keyframe(self)

    def reported(self, report: SenderReport, now: float) -> None:
        """The publisher's sender report: kept to align layers, and told to every subscriber in its own numbers."""
        self.report, self.report_at = report, now
        for subscription in self.subscriptions:
            subscription.tell_report(report, now)
