"""Session descriptions of the bridge, written: ICE-lite, one bundle, everything on one port::

    local = Local(ufrag, pwd, fingerprint, candidates, session_id, version)
    text = write_answer(offer, local, {"0": Receive(codec), "1": Send(codec, stream, track, ssrc, rtx_ssrc, cname)})
    text = write_offer(local, [OfferSection("1", "video", Send(own_codec("video/VP8"), …)), …])   # older mode only

Sections without a plan are answered inactive, rejected ones rejected, the data section is always taken. What clients
insist on is said beside each line (seen with livekit-client 2.23 in Chromium and the Python SDK 1.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import attrs

from chatd.bridge import rtp
from chatd.bridge.codecchoice import OPUS_FMTP, own_codec, without
from chatd.bridge.sdp import Codec, Offer, Section

__all__ = ["Inactive", "Local", "OfferSection", "Plan", "Receive", "Send", "own_codec", "write_answer", "write_offer"]

# livekit-client refuses to send more than this at once if the answer says so, and the bridge forwards no more.
MAX_MESSAGE_SIZE = 65536
DATA_MID = "data"
PROTOCOL = "UDP/TLS/RTP/SAVPF"
# What the bridge answers and uses, as far as the peer offered it. We estimate for those who send to us (transport-cc),
# those we send to estimate for us (goog-remb), so no transport-wide numbers are written on the way out.
RECEIVED_FEEDBACK = ("transport-cc", "ccm fir", "nack", "nack pli")
SENT_FEEDBACK = ("goog-remb", "ccm fir", "nack", "nack pli")
# Our ids in own offers, equal in all sections (RFC 9143 section 8); one-byte headers hold them.
OWN_EXTENSIONS = {
    rtp.MID: 1, rtp.ABS_SEND_TIME: 2, rtp.AUDIO_LEVEL: 3, rtp.VIDEO_ORIENTATION: 4, rtp.PLAYOUT_DELAY: 5,
    rtp.DEPENDENCY_DESCRIPTOR: 6,
}
_AUDIO_ONLY = (rtp.AUDIO_LEVEL,)
_VIDEO_ONLY = (rtp.VIDEO_ORIENTATION, rtp.PLAYOUT_DELAY, rtp.DEPENDENCY_DESCRIPTOR)
_OPPOSITE = {"sendonly": "/recvonly", "recvonly": "/sendonly"}
_UNFIT = re.compile(r"[^A-Za-z0-9!#$%&'*+.^_`{|}~@:-]")


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
    identity. In `stream` and `cname` what does not fit is replaced, so both may be of clients; `track` is ours.
    `rtx_ssrc` is not used if the codec has no rtx here. `is_stereo`: told in own offers only.
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

    ValueError: a plan for a mid that is not there, cannot be used, or goes the other way.
    """
    for mid in plans.keys() - {section.mid for section in offer.sections}:
        raise ValueError(f"no section {mid}")
    setup = "active" if offer.setup == "passive" else "passive"
    live = [section.mid for section in offer.sections if not section.is_rejected]
    lines = _head(local, live, offer.allows_mixed_extensions)
    candidates: Sequence[str] = local.candidates
    for section in offer.sections:
        plan = plans.get(section.mid, Inactive())
        if section.is_rejected:
            if not isinstance(plan, Inactive):
                raise ValueError(f"section {section.mid} cannot be used")
            lines += [f"m={section.kind} 0 {section.protocol} {' '.join(section.formats)}", "c=IN IP4 0.0.0.0",
                      f"a=mid:{section.mid}", "a=inactive"]
            continue
        if section.kind == "application":
            lines += _data(local, section.mid, section.protocol, setup)
        else:
            lines += _media(section, plan, local, setup)
        # Of a bundle, one section's candidates are all there is (RFC 9143 7.3.4).
        lines += [f"a={candidate}" for candidate in candidates] + (["a=end-of-candidates"] if candidates else [])
        candidates = ()
    return "\r\n".join(lines) + "\r\n"


def write_offer(local: Local, sections: Sequence[OfferSection]) -> str:
    """The older mode's offer for the subscriber connection: data section first, mid "data", then `sections`."""
    lines = _head(local, [DATA_MID, *(section.mid for section in sections)], True)
    lines += _data(local, DATA_MID, "UDP/DTLS/SCTP", "actpass")
    lines += [f"a={candidate}" for candidate in local.candidates] + ["a=end-of-candidates"]
    for section in sections:
        send = section.send
        codec = send.codec if send else own_codec("audio/opus" if section.kind == "audio" else "video/VP8")
        fmtp = codec.fmtp
        if send and send.is_stereo and codec.word == "opus":
            # By the first livekit-client knows, by the second its decoder.
            fmtp = ";".join((without(fmtp, "stereo", "sprop-stereo"), "stereo=1", "sprop-stereo=1"))
        others = _VIDEO_ONLY if section.kind == "audio" else _AUDIO_ONLY
        lines += [f"m={section.kind} 9 {PROTOCOL} {_numbers(codec)}", *_transport(local, section.mid, "actpass"),
                  "a=rtcp-mux", "a=rtcp-rsize", *_codec(codec, fmtp, SENT_FEEDBACK)]
        lines += [f"a=extmap:{number} {uri}" for uri, number in OWN_EXTENSIONS.items() if uri not in others]
        lines += _sent(send) if send else ["a=inactive"]
    return "\r\n".join(lines) + "\r\n"


def _head(local: Local, bundled: Iterable[str], allows_mixed: bool) -> list[str]:
    head = ["v=0", f"o=- {local.session_id} {local.version} IN IP4 0.0.0.0", "s=-", "t=0 0", "a=ice-lite",
            "a=group:BUNDLE " + " ".join(bundled), "a=msid-semantic: WMS *"]
    # Room for ids above 14 and for AV1's descriptors beside short ones.
    return [*head, "a=extmap-allow-mixed"] if allows_mixed else head


def _transport(local: Local, mid: str, setup: str) -> list[str]:
    return ["c=IN IP4 0.0.0.0", f"a=mid:{mid}", f"a=ice-ufrag:{local.ufrag}", f"a=ice-pwd:{local.pwd}",
            "a=ice-options:ice2", f"a=fingerprint:sha-256 {local.fingerprint}", f"a=setup:{setup}"]


def _data(local: Local, mid: str, protocol: str, setup: str) -> list[str]:
    return [f"m=application 9 {protocol} webrtc-datachannel", *_transport(local, mid, setup), "a=sctp-port:5000",
            f"a=max-message-size:{MAX_MESSAGE_SIZE}"]


def _media(section: Section, plan: Plan, local: Local, setup: str) -> list[str]:
    codec = _idle_codec(section) if isinstance(plan, Inactive) else plan.codec
    # One codec and its rtx: the peer cannot choose another. Payload types are the peer's.
    lines = [f"m={section.kind} 9 {section.protocol} {_numbers(codec)}", *_transport(local, section.mid, setup),
             "a=rtcp-mux", "a=rtcp-rsize"]
    # A sender takes its parameters from the remote description, so what it offered is said again,
    # x-google-start-bitrate included.
    fmtp = codec.fmtp
    if codec.word == "opus":
        fmtp = _opus(fmtp, plan)
    lines += _codec(codec, fmtp, SENT_FEEDBACK if isinstance(plan, Send) else RECEIVED_FEEDBACK)
    # The same set in every section, whatever its direction: Chromium offers a later section only what all earlier ones
    # of its kind accepted, and fails to publish simulcast without the rid extension.
    for uri in rtp.SUPPORTED_EXTENSIONS:
        if uri in section.extensions:
            direction = _OPPOSITE.get(section.extension_directions.get(uri, ""), "")
            lines.append(f"a=extmap:{section.extensions[uri]}{direction} {uri}")
    if isinstance(plan, Send):
        if not section.is_receiving:
            raise ValueError(f"section {section.mid} does not receive")
        return lines + _sent(plan)
    if isinstance(plan, Inactive):
        return [*lines, "a=inactive"]
    if not section.is_sending:
        raise ValueError(f"section {section.mid} does not send")
    lines.append("a=recvonly")
    # Without these lines Chromium sends only the smallest layer, without complaint.
    lines += [f"a=rid:{rid} recv" for rid in section.offered_rids]
    if section.has_simulcast and section.offered_rids:
        lines.append("a=simulcast:recv " + ";".join(section.offered_rids))
    return lines


def _idle_codec(section: Section) -> Codec:
    usual = "opus" if section.kind == "audio" else "vp8"
    return next((codec for codec in section.codecs if codec.word == usual), section.codecs[0])


def _opus(fmtp: str, plan: Plan) -> str:
    """RFC 7587 7: what we say is what we like to receive. A client's own stereo=1 (livekit-client writes it into all
    its sections, to receive stereo) must not come back, or a mono microphone is sent as stereo. Sections in which
    nothing is received look like the usual one: one payload type has one meaning in a bundle.
    """
    parts = [without(fmtp or OPUS_FMTP, "stereo", "sprop-stereo", "usedtx")]
    if not isinstance(plan, Receive) or plan.has_dtx:
        parts.append("usedtx=1")
    if isinstance(plan, Receive) and plan.is_stereo:
        parts.append("stereo=1")
    return ";".join(part for part in parts if part)


def _numbers(codec: Codec) -> str:
    return f"{codec.payload_type}" if codec.rtx is None else f"{codec.payload_type} {codec.rtx}"


def _codec(codec: Codec, fmtp: str, feedback: Iterable[str]) -> list[str]:
    channels = f"/{codec.channels}" if codec.channels > 1 else ""
    lines = [f"a=rtpmap:{codec.payload_type} {codec.name}/{codec.clock_hz}{channels}"]
    usable = ("transport-cc",) if codec.word == "opus" else feedback
    lines += [f"a=rtcp-fb:{codec.payload_type} {value}" for value in feedback
              if value in codec.feedback and value in usable]
    lines += [f"a=fmtp:{codec.payload_type} {fmtp}"] if fmtp else []
    if codec.rtx is not None:
        lines += [f"a=rtpmap:{codec.rtx} rtx/{codec.clock_hz}", f"a=fmtp:{codec.rtx} {codec.rtx_fmtp}"]
    return lines


def _sent(send: Send) -> list[str]:
    if not send.track or _UNFIT.search(send.track):
        raise ValueError("the second word of an msid has to be a token")
    msid = f"{_UNFIT.sub('_', send.stream)[:64] or '-'} {send.track}"
    cname = _UNFIT.sub("_", send.cname)[:64] or "-"
    ssrcs = [send.ssrc]
    lines = ["a=sendonly", f"a=msid:{msid}"]
    if send.codec.rtx is not None and send.rtx_ssrc is not None:
        ssrcs.append(send.rtx_ssrc)
        lines.append(f"a=ssrc-group:FID {send.ssrc} {send.rtx_ssrc}")
    for ssrc in ssrcs:
        lines += [f"a=ssrc:{ssrc} cname:{cname}", f"a=ssrc:{ssrc} msid:{msid}"]
    return lines
