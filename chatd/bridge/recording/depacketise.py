"""Frames from RTP payloads, without decoding: what a container file holds of VP8, VP9, H.264, AV1 and Opus.

VP8: RFC 7741 section 4.2. VP9: RFC 9628 section 4.2 and, for several layers in one picture, the superframe of the VP9
bitstream specification, annex B. H.264: RFC 6184 sections 5.6 to 5.8, given as Annex B (start codes). AV1: AOM's RTP
payload format section 4.4, given as a low-overhead OBU stream.

Each function takes all payloads of one frame, in order and without holes, and gives the frame. `Malformed` if they do
not fit together; nothing else is raised, whatever a peer sends. End-to-end encrypted payloads are not for here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

START = b"\0\0\0\1"
# Larger frames do not come from a browser: 4K at the lowest compression is below.
MOST_FRAME_BYTES = 8 << 20
# Units of one frame; a slice or tile each. Each costs many times its size while it is put together.
MOST_UNITS = 4096


class Malformed(Exception):
    """These payloads are no frame."""


def _vp8_start(payload: bytes) -> int:
    """Where the descriptor ends."""
    size = len(payload)
    if not size:
        raise Malformed("an empty payload")
    at = 1
    if payload[0] & 0x80:
        if at >= size:
            raise Malformed("the descriptor is cut off")
        has, at = payload[at], at + 1
        if has & 0x80:
            if at >= size:
                raise Malformed("the descriptor is cut off")
            at += 2 if payload[at] & 0x80 else 1
        at += bool(has & 0x40) + bool(has & 0x30)
    if at >= size:
        raise Malformed("nothing behind the descriptor")
    return at


def vp8(payloads: Sequence[bytes]) -> bytes:
    """A VP8 frame."""
    return b"".join([payload[_vp8_start(payload):] for payload in payloads])


def _vp9_start(payload: bytes) -> int:
    size = len(payload)
    if not size:
        raise Malformed("an empty payload")
    first, at = payload[0], 1
    try:
        if first & 0x80:
            at += 2 if payload[at] & 0x80 else 1
        if first & 0x20:
            # Layer indices; TL0PICIDX follows unless references are named one by one.
            at += 1 if first & 0x10 else 2
        if first & 0x50 == 0x50:
            for _ in range(3):
                at += 1
                if not payload[at - 1] & 1:
                    break
        if first & 2:
            structure, at = payload[at], at + 1
            if structure & 0x10:
                at += 4 * ((structure >> 5) + 1)
            if structure & 8:
                pictures, at = payload[at], at + 1
                for _ in range(pictures):
                    at += 1 + (payload[at] >> 2 & 3)
    except IndexError:
        raise Malformed("the descriptor is cut off") from None
    if at >= size:
        raise Malformed("nothing behind the descriptor")
    return at


def vp9(payloads: Sequence[bytes]) -> bytes:
    """A VP9 frame, or a superframe if the picture has several spatial layers."""
    layers: list[bytearray] = []
    for payload in payloads:
        at = _vp9_start(payload)
        if payload[0] & 8:
            layers.append(bytearray())
        elif not layers:
            raise Malformed("a picture without its begin")
        layers[-1] += payload[at:]
    if not layers:
        raise Malformed("no payloads")
    if len(layers) > 1:
        return superframe(layers)
    return bytes(layers[0])


def superframe(frames: Sequence[bytes | bytearray]) -> bytes:
    """VP9 bitstream specification, annex B: the frames and an index of their sizes. At most eight frames."""
    if not 0 < len(frames) <= 8:
        raise Malformed("%d layers in one picture" % len(frames))
    width = max(1, (max(len(frame) for frame in frames).bit_length() + 7) // 8)
    if width > 4:
        raise Malformed("a layer is too large")
    header = bytes((0xC0 | (width - 1) << 3 | len(frames) - 1,))
    sizes = b"".join(len(frame).to_bytes(width, "little") for frame in frames)
    return b"".join(frames) + header + sizes + header


def h264(payloads: Sequence[bytes]) -> bytes:
    """An H.264 access unit in Annex B form."""
    units: list[bytes] = []
    fragments: list[bytes] | None = None
    for payload in payloads:
        if not payload:
            raise Malformed("an empty payload")
        kind = payload[0] & 31
        if kind == 28:
            if len(payload) < 3:
                raise Malformed("a fragment without content")
            header = payload[1]
            if header & 0x80:
                if fragments is not None:
                    raise Malformed("a fragmented unit begins inside another")
                fragments = [bytes((payload[0] & 0xE0 | header & 31,))]
            elif fragments is None:
                raise Malformed("a fragment without its begin")
            fragments.append(payload[2:])
            if header & 0x40:
                units.append(b"".join(fragments))
                fragments = None
            continue
        if fragments is not None:
            raise Malformed("a fragmented unit without its end")
        if kind == 24:
            at = 1
            while at < len(payload):
                if at + 2 > len(payload):
                    raise Malformed("an aggregate is cut off")
                size = payload[at] << 8 | payload[at + 1]
                at += 2
                if not size or at + size > len(payload):
                    raise Malformed("an aggregate holds less than it announces")
                units.append(payload[at:at + size])
                at += size
                _bound(units)
        elif 1 <= kind <= 23:
            units.append(payload)
        else:
            # STAP-B, MTAP and FU-B belong to the interleaved mode, which nobody in WebRTC may use (RFC 7742 6.2).
            raise Malformed("packets of kind %d are not taken" % kind)
    if fragments is not None:
        raise Malformed("a fragmented unit without its end")
    if not units:
        raise Malformed("no units")
    return START + START.join(units)


def _bound(units: Sequence[bytes | bytearray]) -> None:
    if len(units) > MOST_UNITS:
        raise Malformed("over %d units in a frame" % MOST_UNITS)


def _leb128(data: bytes | bytearray, at: int, end: int) -> tuple[int, int]:
    value = 0
    for i in range(8):
        if at + i >= end:
            raise Malformed("a length is cut off")
        byte = data[at + i]
        value |= (byte & 0x7F) << 7 * i
        if not byte & 0x80:
            return value, at + i + 1
    raise Malformed("a length of more than 8 bytes")


def leb128(value: int) -> bytes:
    """AV1's variable length form of a number."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _elements(payload: bytes) -> list[bytes]:
    """The OBU elements of one packet (section 4.4: W says how many, then the last has no length)."""
    count, at, end = payload[0] >> 4 & 3, 1, len(payload)
    found: list[bytes] = []
    while at < end:
        if count and len(found) == count - 1:
            found.append(payload[at:])
            break
        size, at = _leb128(payload, at, end)
        if at + size > end:
            raise Malformed("an element is cut off")
        found.append(payload[at:at + size])
        at += size
    if count and len(found) != count:
        raise Malformed("%d elements where %d are announced" % (len(found), count))
    return found


def av1(payloads: Sequence[bytes]) -> bytes:
    """An AV1 temporal unit: every OBU with its size, without temporal delimiters and tile lists."""
    units: list[bytearray] = []
    continues = False
    for payload in payloads:
        if len(payload) < 2:
            raise Malformed("an empty payload")
        first = payload[0]
        if bool(first & 0x80) != continues:
            raise Malformed("a fragmented unit without its begin or end")
        for i, element in enumerate(_elements(payload)):
            if i == 0 and continues:
                units[-1] += element
            else:
                units.append(bytearray(element))
        continues = bool(first & 0x40)
        _bound(units)
    if continues:
        raise Malformed("a fragmented unit without its end")
    out = [sized for unit in units if (sized := _with_size(unit))]
    if not out:
        raise Malformed("no units")
    return b"".join(out)


def _with_size(unit: bytearray) -> bytes:
    """AV1 specification section 5.3.2: the header with has_size_field set, the size, the content."""
    if not unit:
        return b""
    head = unit[0]
    if head & 0x80:
        raise Malformed("not an OBU")
    # 2: temporal delimiter, 8: tile list; neither belongs into a file's block (AV1 in Matroska, section 5).
    if head >> 3 & 15 in (2, 8):
        return b""
    at = 2 if head & 4 else 1
    if at > len(unit):
        raise Malformed("an OBU without its extension")
    content = at
    if head & 2:
        size, content = _leb128(unit, at, len(unit))
        if content + size > len(unit):
            raise Malformed("an OBU is cut off")
        body = unit[content:content + size]
    else:
        body = unit[content:]
    return bytes((head | 2,)) + bytes(unit[1:at]) + leb128(len(body)) + bytes(body)


def opus(payloads: Sequence[bytes]) -> bytes:
    """An Opus packet (RFC 7587: one a payload)."""
    if len(payloads) != 1 or not payloads[0]:
        raise Malformed("not one packet")
    return payloads[0]


JOIN: dict[str, Callable[[Sequence[bytes]], bytes]] = {
    "vp8": vp8, "vp9": vp9, "h264": h264, "av1": av1, "opus": opus,
}


def join(codec: str, payloads: Sequence[bytes]) -> bytes:
    """The frame that these payloads make; Malformed if they do not, or if it is unreasonably large."""
    if sum(map(len, payloads)) > MOST_FRAME_BYTES:
        raise Malformed("the frame is too large")
    return JOIN[codec](payloads)
