"""What a forwarding bridge reads of a video payload: is a keyframe beginning here, which layer is it, where are its
numbers.

VP8: RFC 7741. VP9: RFC 9628. H.264: RFC 6184. AV1: AOM's RTP payload format 1.0. Only descriptors and the cleartext
first bytes are read, so end-to-end encrypted frames pass as LiveKit's clients leave them. `describe` never raises: a
payload too short for what it announces gives a Description with `is_valid` False, and is forwarded or not as the
caller decides.
"""

from __future__ import annotations

from collections.abc import Callable


class Description:
    """What one payload says.

    `is_key`: a decoder can start at this packet. `begins`: first packet of a frame. `ends`: last packet of a frame of
    its spatial layer. `temporal`, `spatial`: layer numbers, 0 if there are none. `picture_id` with `picture_at`
    (offset in the payload) and `picture_wide` (15 bits), `tl0` with `tl0_at`: VP8's numbers, to be continued over
    changes of layers; None without. `switches_up`: a temporal layer may be begun here.
    """

    __slots__ = (
        "is_valid",
        "is_key",
        "begins",
        "ends",
        "temporal",
        "spatial",
        "picture_id",
        "picture_at",
        "picture_wide",
        "tl0",
        "tl0_at",
        "switches_up",
        "width",
        "height",
    )

    def __init__(self) -> None:
        self.is_valid = True
        self.is_key = False
        self.begins = False
        self.ends = False
        self.temporal = 0
        self.spatial = 0
        self.picture_id: int | None = None
        self.picture_at = 0
        self.picture_wide = False
        self.tl0: int | None = None
        self.tl0_at = 0
        self.switches_up = True
        self.width = 0
        self.height = 0


def _invalid() -> Description:
    found = Description()
    found.is_valid = False
    return found


def vp8(payload: bytes, marker: bool) -> Description:
    """RFC 7741 section 4.2 (descriptor) and RFC 6386 section 9.1 (frame header)."""
    found = Description()
    size = len(payload)
    if not size:
        return _invalid()
    first, at = payload[0], 1
    if first & 0x80:
        if at >= size:
            return _invalid()
        has, at = payload[at], at + 1
        if has & 0x80:
            if at >= size:
                return _invalid()
            found.picture_at = at
            if payload[at] & 0x80:
                if at + 1 >= size:
                    return _invalid()
                found.picture_wide = True
                found.picture_id = (payload[at] & 0x7F) << 8 | payload[at + 1]
                at += 2
            else:
                found.picture_id = payload[at]
                at += 1
        if has & 0x40:
            if at >= size:
                return _invalid()
            found.tl0, found.tl0_at = payload[at], at
            at += 1
        if has & 0x30:
            if at >= size:
                return _invalid()
            if has & 0x20:
                found.temporal = payload[at] >> 6
                found.switches_up = bool(payload[at] & 0x20)
            at += 1
    found.begins = bool(first & 0x10) and not first & 7
    found.ends = marker
    if found.begins:
        if at >= size:
            return _invalid()
        found.is_key = not payload[at] & 1
        # 3 bytes frame tag, 3 bytes start code, then 14 bits of width and of height. Encrypted frames keep 10 bytes
        # clear.
        if found.is_key and at + 10 <= size and payload[at + 3:at + 6] == b"\x9d\x01\x2a":
            found.width = (payload[at + 6] | payload[at + 7] << 8) & 0x3FFF
            found.height = (payload[at + 8] | payload[at + 9] << 8) & 0x3FFF
    return found


def vp9(payload: bytes, marker: bool) -> Description:
    """RFC 9628 section 4.2: I P L F B E V Z, then picture id, layer indices, references, scalability structure."""
    found = Description()
    size = len(payload)
    if not size:
        return _invalid()
    first, at = payload[0], 1
    predicted, layered, flexible = bool(first & 0x40), bool(first & 0x20), bool(first & 0x10)
    found.begins, found.ends = bool(first & 8), bool(first & 4)
    if first & 0x80:
        if at >= size:
            return _invalid()
        wide = payload[at] & 0x80
        if wide and at + 1 >= size:
            return _invalid()
        # The picture id is not rewritten: receivers need it only for loss, and one SVC stream is never switched.
        at += 2 if wide else 1
    if layered:
        if at >= size:
            return _invalid()
        index = payload[at]
        found.temporal, found.switches_up = index >> 5, bool(index & 0x10)
        found.spatial = index >> 1 & 7
        at += 1
        if not flexible:
            at += 1
            if at > size:
                return _invalid()
    if flexible and predicted:
        for _ in range(3):
            if at >= size:
                return _invalid()
            more, at = payload[at] & 1, at + 1
            if not more:
                break
    if first & 2:
        if at >= size:
            return _invalid()
        structure, at = payload[at], at + 1
        if structure & 0x10:
            layers = (structure >> 5) + 1
            if at + 4 * layers > size:
                return _invalid()
            last = at + 4 * (layers - 1)
            found.width = payload[last] << 8 | payload[last + 1]
            found.height = payload[last + 2] << 8 | payload[last + 3]
    # A key picture: not predicted from earlier pictures, first packet, lowest layer (section 4.2, P bit).
    found.is_key = not predicted and found.begins and found.spatial == 0
    return found


def h264(payload: bytes, marker: bool) -> Description:
    """RFC 6184: single NAL units, STAP-A (5.7.1) and FU-A (5.8). A keyframe begins with a sequence parameter set."""
    found = Description()
    size = len(payload)
    if not size:
        return _invalid()
    found.ends = marker
    kind = payload[0] & 31
    if kind == 24:
        at = 1
        while at + 2 < size:
            length = payload[at] << 8 | payload[at + 1]
            if not length or at + 2 + length > size:
                return _invalid()
            inner = payload[at + 2] & 31
            found.is_key = found.is_key or inner == 7
            found.begins = found.begins or inner in (1, 5, 7)
            at += 2 + length
    elif kind == 28:
        if size < 2:
            return _invalid()
        inner = payload[1] & 31
        found.begins = bool(payload[1] & 0x80) and inner in (1, 5, 7)
        found.is_key = bool(payload[1] & 0x80) and inner == 7
    else:
        found.begins = 1 <= kind <= 23
        found.is_key = kind == 7
    return found


def _leb128(payload: bytes, at: int) -> tuple[int, int]:
    """A number in AV1's variable length form and where it ends; at most 8 bytes, (-1, at) if cut off."""
    value = 0
    for i in range(8):
        if at + i >= len(payload):
            return -1, at
        value |= (payload[at + i] & 0x7F) << 7 * i
        if not payload[at + i] & 0x80:
            return value, at + i + 1
    return -1, at


def av1(payload: bytes, marker: bool) -> Description:
    """AV1 RTP section 4.4: Z (continues), Y (will continue), W (element count), N (new coded video sequence).

    N marks the first packet of a keyframe's temporal unit. Layers are in the dependency descriptor (`av1dd`), not here.
    """
    found = Description()
    size = len(payload)
    if not size:
        return _invalid()
    first = payload[0]
    found.begins = not first & 0x80
    found.ends = marker
    found.is_key = bool(first & 8) and found.begins
    if first & 0x88 == 0x88:
        return _invalid()  # "If N is 1, Z must be 0"
    count = first >> 4 & 3
    if count != 1:
        length, at = _leb128(payload, 1)
        if length < 0 or at + length > size:
            return _invalid()
    return found


def audio(payload: bytes, marker: bool) -> Description:
    """Any packet of Opus (or another sound codec) can be the first."""
    found = Description()
    found.is_key = found.begins = found.ends = True
    return found


DESCRIBE: dict[str, Callable[[bytes, bool], Description]] = {
    "vp8": vp8,
    "vp9": vp9,
    "h264": h264,
    "av1": av1,
    "opus": audio,
    "red": audio,
    "pcmu": audio,
    "pcma": audio,
    "g722": audio,
}

CLOCK_HZ = {"opus": 48000, "red": 48000, "pcmu": 8000, "pcma": 8000, "g722": 8000}
VIDEO_CLOCK_HZ = 90000


def clock_hz(codec: str) -> int:
    """The RTP clock of a codec by its lower-case name."""
    return CLOCK_HZ.get(codec, VIDEO_CLOCK_HZ)
