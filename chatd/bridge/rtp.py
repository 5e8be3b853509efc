"""RTP packets: the header, its extensions, RTX (RFC 3550 section 5, RFC 8285, RFC 4588).

Bytes in, values out: `parse` never raises, a malformed packet is None. Payloads belong to `codecs`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
VIDEO_ORIENTATION = "urn:3gpp:video-orientation"
PLAYOUT_DELAY = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
DEPENDENCY_DESCRIPTOR = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"

# What a signalling layer may accept in an answer: everything that is read or written here.
SUPPORTED_EXTENSIONS = (
    MID, RID, REPAIRED_RID, AUDIO_LEVEL, TRANSPORT_CC, ABS_SEND_TIME, VIDEO_ORIENTATION, PLAYOUT_DELAY,
    DEPENDENCY_DESCRIPTOR,
)

# Handed on from publisher to subscriber as they are, if both negotiated them. Everything else is of one hop.
PASSED_ON = (AUDIO_LEVEL, VIDEO_ORIENTATION, PLAYOUT_DELAY, DEPENDENCY_DESCRIPTOR)

HEADER = struct.Struct("!BBHII")
MASK16 = 0xFFFF
MASK32 = 0xFFFFFFFF


def ahead(a: int, b: int) -> bool:
    """Whether 16-bit sequence number `a` is newer than `b` (RFC 1982)."""
    return 0 < (a - b) & MASK16 < 0x8000


def unwrap(value: int, near: int, bits: int = 16) -> int:
    """The unlimited number whose low `bits` are `value` and which is nearest to `near`."""
    half = 1 << (bits - 1)
    return near + ((value - near + half) & ((1 << bits) - 1)) - half


class Packet:
    """One decrypted RTP packet; `payload` is what is between the header with its extensions and the padding."""

    __slots__ = ("payload_type", "marker", "sequence", "timestamp", "ssrc", "extensions", "payload", "described")

    def __init__(self, payload_type: int, marker: bool, sequence: int, timestamp: int, ssrc: int,
                 extensions: dict[int, bytes], payload: bytes) -> None:
        self.payload_type = payload_type
        self.marker = marker
        self.sequence = sequence
        self.timestamp = timestamp
        self.ssrc = ssrc
        self.extensions = extensions
        self.payload = payload
        # Filled by the layer that the packet belongs to: codecs.Description.
        self.described: object = None


def parse(data: bytes) -> Packet | None:
    """Read an RTP packet (RFC 3550 section 5.1); None if a length inside does not fit."""
    size = len(data)
    if size < 12:
        return None
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
    if first >> 6 != 2:
        return None
    at = 12 + 4 * (first & 15)
    extensions: dict[int, bytes] = {}
    if first & 0x10:
        if at + 4 > size:
            return None
        profile = data[at] << 8 | data[at + 1]
        end = at + 4 + 4 * (data[at + 2] << 8 | data[at + 3])
        if end > size:
            return None
        if profile == 0xBEDE:
            _one_byte(data, at + 4, end, extensions)
        elif profile & 0xFFF0 == 0x1000:
            _two_bytes(data, at + 4, end, extensions)
        at = end
    end = size
    if first & 0x20:
        end -= data[-1]
        if not data[-1]:
            return None
    if at > end:
        return None
    return Packet(second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, extensions, data[at:end])


def _one_byte(data: bytes, at: int, end: int, found: dict[int, bytes]) -> None:
    # RFC 8285 4.2: id 0 is padding, id 15 ends the list; an element that runs over the end is left out.
    while at < end:
        head = data[at]
        if head == 0:
            at += 1
            continue
        number, stop = head >> 4, at + 2 + (head & 15)
        if number == 15 or stop > end:
            return
        if number:
            found[number] = data[at + 1:stop]
        at = stop


def _two_bytes(data: bytes, at: int, end: int, found: dict[int, bytes]) -> None:
    # RFC 8285 4.3: id, length, value; the low four bits of the profile ("appbits") say nothing here.
    while at + 1 < end:
        number = data[at]
        if number == 0:
            at += 1
            continue
        stop = at + 2 + data[at + 1]
        if stop > end:
            return
        found[number] = data[at + 2:stop]
        at = stop


def extension_block(elements: Iterable[tuple[int, bytes]]) -> bytes:
    """Header extensions in their one-byte form; b"" if there are none.

    The two-byte form is taken only if a value is longer than 16 bytes (dependency descriptors) or an id above 14.
    """
    listed = [(number, value) for number, value in elements if 0 < number < 256 and len(value) < 256]
    if not listed:
        return b""
    if all(number < 15 and 0 < len(value) <= 16 for number, value in listed):
        body = b"".join(bytes((number << 4 | len(value) - 1,)) + value for number, value in listed)
        profile = 0xBEDE
    else:
        body = b"".join(bytes((number, len(value))) + value for number, value in listed)
        profile = 0x1000
    body += bytes(-len(body) & 3)
    return struct.pack("!HH", profile, len(body) // 4) + body


def build(payload_type: int, marker: bool, sequence: int, timestamp: int, ssrc: int, payload: bytes,
          extensions: Iterable[tuple[int, bytes]] = ()) -> bytes:
    """An RTP packet from its parts."""
    block = extension_block(extensions)
    first = 0x90 if block else 0x80
    head = HEADER.pack(first, payload_type | marker << 7, sequence & MASK16, timestamp & MASK32, ssrc)
    return head + block + payload


def unwrap_rtx(packet: Packet, payload_type: int, ssrc: int) -> Packet | None:
    """The packet inside a retransmission (RFC 4588 section 4); None for a padding probe, which carries none."""
    if len(packet.payload) < 3:
        return None
    original = packet.payload[0] << 8 | packet.payload[1]
    return Packet(payload_type, packet.marker, original, packet.timestamp, ssrc, packet.extensions, packet.payload[2:])


def abs_send_time(now: float) -> bytes:
    """24 bits of fixed-point seconds, 6.18, as the abs-send-time extension wants them."""
    return (int(now * 262144) & 0xFFFFFF).to_bytes(3, "big")
