"""Session descriptions of clients, read (RFC 8866, JSEP RFC 9429). Answers are written by `answer.py`::

    offer = sdp.parse(text)                     # BadSdp with a sentence for the peer
    for section in offer.sections: …            # in order; section.mid, .kind, .direction, .codecs, .rids, .cid …
    codec = sdp.choose_codec(section, "video/VP8")

The same `parse` reads an answer of a client (the older mode with two connections). Only what a forwarding bridge
needs is read; attributes not known here are skipped, as RFC 8866 section 5 wants it. Everything is bounded: what is
longer, or has more sections or lines than any client makes, is refused before it is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from chatd.bridge import rtp

MOST_CHARACTERS = 1 << 20
MOST_SECTIONS = 400
MOST_LINE = 4096
# Of one section. Chromium's longest has some 130 lines.
MOST_LINES = 600
MOST_SSRCS = 64
# Simulcast streams of one section; LiveKit's rids are q, h, f.
MOST_RIDS = 3

RID_RANK = {"q": 0, "h": 1, "f": 2}


class BadSdp(Exception):
    """The peer's description cannot be used; the text says why."""


@attrs.frozen
class Codec:
    """One payload type of a section.

    `name` and `fmtp` (format parameters, "" without) as offered, `rtx` the payload type of its retransmissions or
    None, `feedback` the rtcp-fb values, "nack pli" and the like.
    """

    payload_type: int
    name: str
    clock_hz: int
    channels: int = 1
    fmtp: str = ""
    rtx: int | None = None
    rtx_fmtp: str = ""
    feedback: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """The name in lower case: "vp8", "opus", as in `codecs.DESCRIBE`."""
        return self.name.lower()

    def parameters(self) -> dict[str, str]:
        """The fmtp, keys in lower case."""
        raise NotImplementedError


@attrs.frozen
class Section:
    """One m-line with its attributes, as the peer wrote them (directions are the peer's view).

    `kind` "audio", "video", "application" or something unknown; `is_rejected`: port 0 and not bundle-only. `codecs`
    without rtx, red, ulpfec, flexfec, telephone-event, CN. `rids`: simulcast streams it sends, smallest first (q, h,
    f; other names in their order); `offered_rids`: the same in the offered order. `ssrcs`: media SSRCs it sends;
    `rtx_ssrcs`: SSRC of retransmissions -> SSRC repaired. `stream` and `cid`: the two words of msid ("" without).
    `extensions`: URI -> id, only what the bridge supports; `extension_directions`: for those with one ("recvonly").
    `sctp_port`, `max_message_size`: of a data section (0 without; RFC 8841).
    """

    mid: str
    kind: str
    protocol: str
    formats: tuple[str, ...]
    direction: str
    is_rejected: bool
    codecs: tuple[Codec, ...] = ()
    rids: tuple[str, ...] = ()
    offered_rids: tuple[str, ...] = ()
    ssrcs: tuple[int, ...] = ()
    rtx_ssrcs: Mapping[int, int] = attrs.field(factory=dict)
    stream: str = ""
    cid: str = ""
    extensions: Mapping[str, int] = attrs.field(factory=dict)
    extension_directions: Mapping[str, str] = attrs.field(factory=dict)
    sctp_port: int = 0
    max_message_size: int = 0
    ufrag: str = ""
    pwd: str = ""
    fingerprint: str = ""
    setup: str = ""

    @property
    def is_sending(self) -> bool:
        """The peer wants to send here: sendonly or sendrecv."""
        return not self.is_rejected and self.direction in ("sendonly", "sendrecv")

    @property
    def is_receiving(self) -> bool:
        """The peer is ready to receive here: recvonly or sendrecv."""
        return not self.is_rejected and self.direction in ("recvonly", "sendrecv")


@attrs.frozen
class Offer:
    """A whole description. `ufrag`, `pwd`, `fingerprint` ("sha-256 AB:CD:…"), `setup` ("actpass", "active",
    "passive") are of the one bundled transport. `extensions`: URI -> id over all sections, for
    `Transport.set_extensions`. `bundle`: mids of the BUNDLE group. `is_lite`: a=ice-lite.
    """

    sections: tuple[Section, ...]
    ufrag: str
    pwd: str
    fingerprint: str
    setup: str
    extensions: Mapping[str, int]
    bundle: tuple[str, ...] = ()
    is_lite: bool = False
    allows_mixed_extensions: bool = False

    def section(self, mid: str) -> Section | None:
        """The section with this mid."""
        raise NotImplementedError


def parse(text: str) -> Offer:
    """Read an offer or an answer. BadSdp: not SDP, without transport, over a limit, or contradicting itself."""
    raise NotImplementedError


def choose_codec(section: Section, mime_type: str, like: Codec | None = None) -> Codec | None:
    """The section's payload type for a MIME type ("video/VP8", any case), None if it has none.

    `like`: what the publisher sends. H.264 then needs the same profile and packetization-mode (RFC 6184 8.2.2), VP9
    the same profile (RFC 9628 section 6), AV1 the same profile; None means what most decoders take: H.264 constrained
    baseline in packetization-mode 1, VP9 and AV1 profile 0.
    """
    raise NotImplementedError


SUPPORTED = rtp.SUPPORTED_EXTENSIONS
