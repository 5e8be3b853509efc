"""Which payload type of a section carries a codec: profiles of H.264, VP9 and AV1, and our own numbers for own offers.

A bridge does not recode, so a receiver must have said that it decodes what the publisher sends.
"""

from __future__ import annotations

import attrs

from chatd.bridge.sections import Codec, Section

# RFC 6184 8.1 table 5: (profile_idc, mask and value of profile-iop) -> profile. First match counts.
_H264_PROFILES = (
    ("42", 0x4F, 0x40, "constrained baseline"), ("4d", 0x8F, 0x80, "constrained baseline"),
    ("58", 0xCF, 0xC0, "constrained baseline"), ("42", 0x4F, 0x00, "baseline"), ("58", 0xCF, 0x80, "baseline"),
    ("4d", 0xAF, 0x00, "main"), ("64", 0xFF, 0x0C, "constrained high"), ("64", 0xFF, 0x00, "high"),
)
# Who decodes the first also when it said only one of the others: the profiles are contained in each other.
_H264_DECODED_BY = {
    "constrained baseline": ("constrained baseline", "baseline", "main", "constrained high", "high"),
    "baseline": ("baseline",),
    "main": ("main", "high"),
    "constrained high": ("constrained high", "high"),
    "high": ("high",),
}
# Our numbers: a payload type must mean the same in every section of a bundle (RFC 9143 section 8), so each profile has
# its own. Codec words are those of `codecs.DESCRIBE`; audio has no retransmissions.
_NAMES = {"vp8": "VP8", "vp9": "VP9", "h264": "H264", "av1": "AV1", "opus": "opus"}
_H264_NUMBERS = {
    ("constrained baseline", "1"): 102, ("constrained baseline", "0"): 104, ("baseline", "1"): 106,
    ("baseline", "0"): 108, ("main", "1"): 112, ("main", "0"): 114, ("constrained high", "1"): 116,
    ("constrained high", "0"): 118, ("high", "1"): 120, ("high", "0"): 122,
}
_PROFILE_NUMBERS = {
    ("vp9", "0"): 98, ("vp9", "1"): 35, ("vp9", "2"): 100, ("vp9", "3"): 37,
    ("av1", "0"): 45, ("av1", "1"): 39, ("av1", "2"): 41,
}
_FEEDBACK = ("goog-remb", "ccm fir", "nack", "nack pli")
OPUS_FMTP = "minptime=10;useinbandfec=1"


def h264_profile(codec: Codec) -> str:
    """The profile's name by profile-level-id, "" for one that is not in the table. Missing: baseline (RFC 6184 8.1)."""
    text = codec.parameters().get("profile-level-id", "42000a").lower()
    try:
        idc, iop = text[:2], int(text[2:4], 16)
    except ValueError:
        return ""
    return next((name for known, mask, value, name in _H264_PROFILES if idc == known and iop & mask == value), "")


def packetization_mode(codec: Codec) -> str:
    """RFC 6184 8.1: 0 if it is not said."""
    return codec.parameters().get("packetization-mode", "0")


def profile(codec: Codec) -> str:
    """VP9's profile-id (RFC 9628 section 6) or AV1's profile, 0 if it is not said."""
    return codec.parameters().get("profile-id" if codec.word == "vp9" else "profile", "0")


def choose_codec(section: Section, mime_type: str, like: Codec | None = None) -> Codec | None:
    """The section's payload type for a MIME type ("video/VP8", any case), None if it has none.

    `like`: what the publisher sends. H.264 then needs its packetization-mode and a profile that contains its profile
    (RFC 6184 8.2.2; the same profile is preferred), VP9 and AV1 the same profile. None means what most decoders take:
    H.264 constrained baseline in packetization-mode 1, VP9 and AV1 profile 0; or else the first that is offered.
    """
    kind, _, word = mime_type.lower().partition("/")
    offered = [codec for codec in section.codecs if codec.word == word] if kind == section.kind else []
    if word == "h264":
        return _choose_h264(offered, like)
    if word in ("vp9", "av1"):
        wanted = profile(like) if like is not None else "0"
        same = next((codec for codec in offered if profile(codec) == wanted), None)
        return same if same is not None or like is not None else next(iter(offered), None)
    return next(iter(offered), None)


def _choose_h264(offered: list[Codec], like: Codec | None) -> Codec | None:
    if like is None:
        def rank(codec: Codec) -> tuple[bool, bool]:
            return packetization_mode(codec) != "1", h264_profile(codec) != "constrained baseline"

        return min(offered, key=rank, default=None)
    mode = packetization_mode(like)
    for name in _H264_DECODED_BY.get(h264_profile(like), ()):
        for codec in offered:
            if packetization_mode(codec) == mode and h264_profile(codec) == name:
                return codec
    return None


def own_codec(mime_type: str, like: Codec | None = None) -> Codec:
    """Our own payload types for an own offer; `like`: what the publisher sends (its profile and format parameters).

    ValueError: a codec or profile that is not forwarded.
    """
    word = mime_type.lower().partition("/")[2]
    if word not in _NAMES:
        raise ValueError(f"{mime_type} is not forwarded")
    if word == "opus":
        return Codec(111, "opus", 48000, 2, OPUS_FMTP)
    fmtp = like.fmtp if like is not None else ""
    if word == "h264" and not fmtp:
        fmtp = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
    codec = Codec(96, _NAMES[word], 90000, 1, without(fmtp, "x-google-start-bitrate"), None, "", _FEEDBACK)
    number: int | None = 96
    if word == "h264":
        number = _H264_NUMBERS.get((h264_profile(codec), packetization_mode(codec)))
    elif word in ("vp9", "av1"):
        number = _PROFILE_NUMBERS.get((word, profile(codec)))
    if number is None:
        raise ValueError(f"{mime_type} of this profile is not forwarded: {fmtp}")
    return attrs.evolve(codec, payload_type=number, rtx=number + 1, rtx_fmtp=f"apt={number}")


def without(fmtp: str, *keys: str) -> str:
    """Format parameters less those named; the others as they were, in their order."""
    parts = (part.strip() for part in fmtp.split(";"))
    return ";".join(part for part in parts if part and part.partition("=")[0].strip().lower() not in keys)
