"""Session descriptions of the bridge, written: ICE-lite, one bundle, everything on one port::

    local = Local(ufrag, pwd, fingerprint, candidates, session_id, version)
    text = write_answer(offer, local, {"0": Receive(codec), "1": Send(codec, stream, track, ssrc, rtx_ssrc, cname)})
    text = write_offer(local, [OfferSection("1", "video", Send(own_codec("video/VP8"), …)), …])   # older mode only

Sections without a plan are answered inactive, rejected ones rejected, the data section is always taken. What clients
insist on is said beside each line (measured with livekit-client 2.23 and the Python SDK 1.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from chatd.bridge.sdp import Codec, Offer


@attrs.frozen
class Local:
    """Our side. `fingerprint`: "AB:CD:…" (sha-256, without the word); `candidates`: "candidate:1 1 udp …" texts;
    `session_id`: fixed for the connection; `version`: raised with every description (RFC 9429 5.2.1).
    """

    ufrag: str
    pwd: str
    fingerprint: str
    candidates: Sequence[str]
    session_id: int
    version: int


@attrs.frozen
class Receive:
    """The client sends here. `codec` by `choose_codec`; `is_stereo`, `has_dtx`: of an Opus track's TrackInfo. All
    offered simulcast streams are taken.
    """

    codec: Codec
    is_stereo: bool = False
    has_dtx: bool = True


@attrs.frozen
class Send:
    """We send here. `stream`, `track`: the words of msid, "PA_…|camera" and "TR_…"; `cname`: one per publisher, its
    identity, any text (made harmless here).
    """

    codec: Codec
    stream: str
    track: str
    ssrc: int
    rtx_ssrc: int | None
    cname: str
    is_stereo: bool = False


@attrs.frozen
class Inactive:
    """Nothing flows; the section can be used later."""


Plan = Receive | Send | Inactive


@attrs.frozen
class OfferSection:
    """A section of an own offer; `kind` "audio" or "video", `send` None: inactive."""

    mid: str
    kind: str
    send: Send | None = None


def write_answer(offer: Offer, local: Local, plans: Mapping[str, Plan]) -> str:
    """The answer, with the offer's sections in the offer's order.

    Answering a Receive for a section that does not send, or a Send for one that does not receive, is ValueError.
    """
    raise NotImplementedError


def write_offer(local: Local, sections: Sequence[OfferSection]) -> str:
    """The older mode's offer for the subscriber connection: data section first, mid "data", then `sections`."""
    raise NotImplementedError


def own_codec(mime_type: str, like: Codec | None = None) -> Codec:
    """Our own payload types for an own offer; `like`: what the publisher sends (its profile). ValueError: a codec
    that is not forwarded.
    """
    raise NotImplementedError
