"""RTCP as a forwarding bridge needs it, both ways (RFC 3550 section 6, RFC 4585, RFC 5104, REMB, transport-wide
feedback).

`parse` never raises: it gives what could be read and whether the rest was malformed. aiortc's own parser is not used:
it drops the padded compound packets with transport-wide feedback that Chromium sends.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

SR, RR, SDES, BYE, RTPFB, PSFB = 200, 201, 202, 203, 205, 206
MASK16, MASK32 = 0xFFFF, 0xFFFFFFFF

BLOCK = struct.Struct("!IIIIII")
SENDER = struct.Struct("!IQIII")


class ReportBlock:
    """What a receiver says of one SSRC: `fraction` lost of 256 since its last report, `jitter` in clock ticks."""

    __slots__ = ("ssrc", "fraction", "lost", "highest", "jitter", "last_sr", "delay")

    def __init__(
        self, ssrc: int, fraction: int, lost: int, highest: int, jitter: int, last_sr: int, delay: int
    ) -> None:
        self.ssrc, self.fraction, self.lost, self.highest = ssrc, fraction, lost, highest
        self.jitter, self.last_sr, self.delay = jitter, last_sr, delay


class SenderReport:
    """RFC 3550 6.4.1: at the 64-bit NTP time `ntp` the stream's clock stood at `timestamp`."""

    __slots__ = ("ssrc", "ntp", "timestamp", "packets", "octets", "blocks")

    def __init__(self, ssrc: int, ntp: int, timestamp: int, packets: int, octets: int,
                 blocks: Sequence[ReportBlock] = ()) -> None:
        self.ssrc, self.ntp, self.timestamp = ssrc, ntp, timestamp
        self.packets, self.octets, self.blocks = packets, octets, blocks


class ReceiverReport:
    """RFC 3550 6.4.2."""

    __slots__ = ("blocks",)

    def __init__(self, blocks: Sequence[ReportBlock]) -> None:
        self.blocks = blocks


class Nack:
    """RFC 4585 6.2.1: sequence numbers of `media` that its receiver misses."""

    __slots__ = ("media", "sequences")

    def __init__(self, media: int, sequences: list[int]) -> None:
        self.media, self.sequences = media, sequences


class KeyframeRequest:
    """PLI (RFC 4585 6.3.1) or FIR (RFC 5104 4.3.1) for the SSRC `media`."""

    __slots__ = ("media",)

    def __init__(self, media: int) -> None:
        self.media = media


class Remb:
    """The receiver estimates that it can take `bitrate` bits a second over all its streams."""

    __slots__ = ("bitrate",)

    def __init__(self, bitrate: int) -> None:
        self.bitrate = bitrate


class Bye:
    """RFC 3550 6.6: these SSRCs have ended."""

    __slots__ = ("ssrcs",)

    def __init__(self, ssrcs: Sequence[int]) -> None:
        self.ssrcs = ssrcs


AnyRtcp = SenderReport | ReceiverReport | Nack | KeyframeRequest | Remb | Bye


def parse(data: bytes) -> tuple[list[AnyRtcp], bool]:
    """Read a compound (or reduced-size, RFC 5506) packet: what was understood, and whether all of it was well formed.

    Kinds that nobody here needs (SDES, APP, XR, transport-wide feedback) are skipped and count as well formed.
    """
    found: list[AnyRtcp] = []
    at, size = 0, len(data)
    if not size:
        return found, False
    while at < size:
        if at + 4 > size:
            return found, False
        first, kind, words = struct.unpack_from("!BBH", data, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2 or end > size:
            return found, False
        stop = end
        if first & 0x20:
            # Padding is counted by the last byte and is at most the whole body (RFC 3550 6.4.1).
            padding = data[end - 1] if words else 0
            if not padding or padding > 4 * words:
                return found, False
            stop = end - padding
        if not _one(data[at + 4:stop], first & 31, kind, found):
            return found, False
        at = end
    return found, True


def _one(body: bytes, count: int, kind: int, found: list[AnyRtcp]) -> bool:
    size = len(body)
    if kind == SR:
        if size < 24 + 24 * count:
            return False
        ssrc, ntp, timestamp, packets, octets = SENDER.unpack_from(body)
        found.append(SenderReport(ssrc, ntp, timestamp, packets, octets, _blocks(body, 24, count)))
    elif kind == RR:
        if size < 4 + 24 * count:
            return False
        found.append(ReceiverReport(_blocks(body, 4, count)))
    elif kind == BYE:
        if size < 4 * count:
            return False
        found.append(Bye(struct.unpack_from("!%dI" % count, body)))
    elif kind == RTPFB and count == 1:
        if size < 12 or size % 4:
            return False
        sequences = []
        for at in range(8, size, 4):
            first, mask = struct.unpack_from("!HH", body, at)
            sequences.append(first)
            if mask:
                sequences += [(first + i + 1) & MASK16 for i in range(16) if mask >> i & 1]
        found.append(Nack(int.from_bytes(body[4:8], "big"), sequences))
    elif kind == PSFB and count == 1:
        if size < 8:
            return False
        found.append(KeyframeRequest(int.from_bytes(body[4:8], "big")))
    elif kind == PSFB and count == 4:
        if size < 16 or size % 8:
            return False
        found += [KeyframeRequest(int.from_bytes(body[at:at + 4], "big")) for at in range(8, size, 8)]
    elif kind == PSFB and count == 15 and body[8:12] == b"REMB":
        if size < 16:
            return False
        word = int.from_bytes(body[12:16], "big")
        found.append(Remb((word & 0x3FFFF) << (word >> 18 & 63)))
    return True


def _blocks(body: bytes, at: int, count: int) -> list[ReportBlock]:
    blocks = []
    for i in range(count):
        ssrc, loss, highest, jitter, last_sr, delay = BLOCK.unpack_from(body, at + 24 * i)
        lost = loss & 0xFFFFFF
        blocks.append(ReportBlock(ssrc, loss >> 24, lost - (lost >> 23 << 24), highest, jitter, last_sr, delay))
    return blocks


# -- writing

def _packet(count: int, kind: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def write_block(block: ReportBlock) -> bytes:
    """One report block in its wire form; `lost` is clamped to 24 bits with a sign."""
    lost = max(-0x800000, min(0x7FFFFF, block.lost)) & 0xFFFFFF
    return BLOCK.pack(
        block.ssrc,
        block.fraction << 24 | lost,
        block.highest & MASK32,
        block.jitter & MASK32,
        block.last_sr,
        block.delay & MASK32,
    )


def sender_report(report: SenderReport) -> bytes:
    """An SR without report blocks, ours are sent apart."""
    return _packet(0, SR, SENDER.pack(report.ssrc, report.ntp, report.timestamp & MASK32, report.packets & MASK32,
                                      report.octets & MASK32))


def receiver_report(sender: int, blocks: Sequence[ReportBlock]) -> bytes:
    """An RR with at most 31 blocks (the count has five bits)."""
    return _packet(len(blocks[:31]), RR, struct.pack("!I", sender) + b"".join(write_block(b) for b in blocks[:31]))


def nack(sender: int, media: int, sequences: Iterable[int]) -> bytes:
    """A generic NACK; `sequences` ascending (mod 2^16) make the shortest packet."""
    entries: list[list[int]] = []
    for sequence in sequences:
        if entries and 0 < (step := (sequence - entries[-1][0]) & MASK16) <= 16:
            entries[-1][1] |= 1 << (step - 1)
        else:
            entries.append([sequence & MASK16, 0])
    return _packet(1, RTPFB, struct.pack("!II", sender, media) + b"".join(struct.pack("!HH", *e) for e in entries))


def pli(sender: int, media: int) -> bytes:
    """Picture loss indication: please send a keyframe."""
    return _packet(1, PSFB, struct.pack("!II", sender, media))


def fir(sender: int, media: int, number: int) -> bytes:
    """Full intra request number `number` (mod 256), for those that negotiated no PLI."""
    return _packet(4, PSFB, struct.pack("!IIII", sender, 0, media, (number & 255) << 24))


def remb(sender: int, bitrate: int, ssrcs: Sequence[int]) -> bytes:
    """Receiver estimated maximum bitrate; the mantissa has 18 bits."""
    exponent = max(0, bitrate.bit_length() - 18)
    word = len(ssrcs) << 24 | exponent << 18 | bitrate >> exponent
    return _packet(15, PSFB, struct.pack("!II4sI", sender, 0, b"REMB", word) + struct.pack("!%dI" % len(ssrcs), *ssrcs))


def transport_feedback(sender: int, media: int, arrivals: dict[int, float], count: int) -> bytes:
    """Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).

    `arrivals`: unwrapped transport-wide sequence number -> arrival in seconds of any steady clock; must not be empty,
    and the caller keeps the span of the numbers below 2^16. `count`: number of this feedback packet (mod 256). Deltas
    are counted in ticks of 250 µs; one that does not fit into 16 bits (8 s) is cut.
    """
    base = min(arrivals)
    total = max(arrivals) - base + 1
    reference = int(arrivals[base] // 0.064)
    ticks = reference * 256
    symbols = bytearray(total)
    deltas = []
    for number in sorted(arrivals):
        delta = round(arrivals[number] * 4000) - ticks
        if 0 <= delta <= 255:
            symbols[number - base] = 1
            deltas.append(bytes((delta,)))
        else:
            delta = max(-32768, min(32767, delta))
            symbols[number - base] = 2
            deltas.append(struct.pack("!h", delta))
        ticks += delta
    body = struct.pack("!IIHHI", sender, media, base & MASK16, total, (reference & 0xFFFFFF) << 8 | count & 255)
    body += _status_chunks(symbols) + b"".join(deltas)
    return _packet(15, RTPFB, body + bytes(-len(body) & 3))


def _status_chunks(symbols: bytearray) -> bytes:
    """Section 3.1.2: runs of more than seven equal symbols as run length chunks, the rest seven two-bit symbols a
    chunk.
    """
    chunks = []
    at, total = 0, len(symbols)
    while at < total:
        symbol = symbols[at]
        run = at + 1
        while run < total and symbols[run] == symbol and run - at < 8191:
            run += 1
        if run - at > 7 or run == total:
            chunks.append(symbol << 13 | run - at)
            at = run
            continue
        word = 0xC000
        for place, value in enumerate(symbols[at:at + 7]):
            word |= value << (12 - 2 * place)
        chunks.append(word)
        at += 7
    return struct.pack("!%dH" % len(chunks), *chunks)
