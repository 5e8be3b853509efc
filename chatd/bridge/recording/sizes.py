"""The size of a picture from its keyframe, where the packets do not say it: the container's header wants it.

VP8 says it in its packets, VP9 mostly; H.264 and AV1 say it in their parameter sets, which PyAV's parsers read without
decoding anything.
"""

from __future__ import annotations

import av
import av.error

_PARSERS = {"vp8": "vp8", "h264": "h264", "av1": "libdav1d"}


def of_keyframe(codec: str, data: bytes) -> tuple[int, int]:
    """Width and height, (0, 0) if this keyframe does not tell. Never raises."""
    if codec == "vp9":
        return _vp9(data)
    try:
        parser = av.CodecContext.create(_PARSERS[codec], "r")
        # A parser knows the end of a picture by the beginning of the next: the empty call is the end.
        parser.parse(data)
        parser.parse(b"")
        return int(parser.width or 0), int(parser.height or 0)  # type: ignore[attr-defined]
    except (KeyError, av.error.FFmpegError, ValueError):
        return 0, 0


def _vp9(data: bytes) -> tuple[int, int]:
    """VP9 bitstream specification section 6.2: the uncompressed header of a keyframe."""
    bits = int.from_bytes(data[:20].ljust(20, b"\0"), "big")
    left = 160

    def take(count: int) -> int:
        nonlocal left
        left -= count
        return bits >> left & ((1 << count) - 1)

    marker, low, high = take(2), take(1), take(1)
    profile = high << 1 | low
    if profile == 3:
        take(1)
    shows_existing, is_inter, _shown, _resilient = take(1), take(1), take(1), take(1)
    if marker != 2 or shows_existing or is_inter or take(24) != 0x498342:
        return 0, 0
    if profile >= 2:
        take(1)
    space = take(3)
    if space != 7:
        take(1)
        if profile & 1:
            take(3)
    elif profile & 1:
        take(1)
    return take(16) + 1, take(16) + 1
