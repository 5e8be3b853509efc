"""One section of a client's session description, read: its codecs, simulcast streams, SSRCs, header extensions.

RFC 8866 (lines), 8829 (m-lines), 5888 (mid), 4588 (rtx), 8851 and 8853 (rid, simulcast), 5576 (SSRCs), 8830 (msid),
8285 (extensions), 8839 (ICE), 8122 (fingerprint), 8841 (data). Whatever may be said again in an answer (mids, rids,
codec names, format parameters) consists of printable ASCII; everything is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import attrs

from chatd.bridge.rtp import SUPPORTED_EXTENSIONS

MOST_LINE = 4096
# Of one section. Chromium's longest has some 130 lines.
MOST_LINES = 600
MOST_SSRCS = 64
# Characters of a section that is remembered; Chromium's are up to 5000.
MOST_CACHED = 8192
# Simulcast streams of one section; LiveKit's rids are q, h, f.
MOST_RIDS = 3

# "*" in a=rtcp-fb.
ALL = -1
DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
RID_RANK = {"q": 0, "h": 1, "f": 2}
MEDIA_PROTOCOLS = frozenset({"UDP/TLS/RTP/SAVPF", "TCP/TLS/RTP/SAVPF", "RTP/SAVPF"})
DATA_PROTOCOLS = frozenset({"UDP/DTLS/SCTP", "TCP/DTLS/SCTP", "DTLS/SCTP"})
# Not media of their own: retransmissions, redundancy, tones, noise.
NOT_MEDIA = frozenset({"rtx", "red", "ulpfec", "flexfec-03", "flexfec", "telephone-event", "cn"})

# What is looked at; everything else is skipped without a look.
_KNOWN = frozenset({
    "mid", "rtpmap", "fmtp", "rtcp-fb", "extmap", "rid", "simulcast", "ssrc", "ssrc-group", "msid", "ice-ufrag",
    "ice-pwd", "ice-lite", "fingerprint", "setup", "group", "extmap-allow-mixed", "bundle-only", "sctp-port", "sctpmap",
    "max-message-size", *DIRECTIONS,
})
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,64}\Z")
_PRINTABLE = re.compile(r"[\x20-\x7e]*\Z")
_MEDIA = re.compile(r"([a-z]{1,16}) ([0-9]{1,5})(?:/[0-9]{1,5})? ([A-Z/]{1,32})((?: [A-Za-z0-9-]{1,32}){1,128})\Z")
_RTPMAP = re.compile(r"([0-9]{1,3}) +([A-Za-z0-9._-]{1,32})/([0-9]{1,7})(?:/([0-9]{1,2}))?\Z")
_EXTMAP = re.compile(r"([0-9]{1,5})(?:/([a-z]{8}))? +([!-~]{1,255})(?: .*)?\Z")
_RID = re.compile(r"([A-Za-z0-9_-]{1,16}) (send|recv)(?: .*)?\Z")
_ICE = re.compile(r"[A-Za-z0-9+/]{4,256}\Z")
_FINGERPRINT = re.compile(r"(sha-256|sha-384|sha-512) ([0-9A-F]{2}(?::[0-9A-F]{2}){31,63})\Z", re.IGNORECASE)

Attributes = dict[str, list[str]]


class BadSdp(Exception):
    """The peer's description cannot be used; the text says why."""


@attrs.frozen
class Codec:
    """One payload type of a section.

    `name` and `fmtp` (format parameters, "" without) as offered, `rtx` the payload type of its retransmissions or
    None with `rtx_fmtp`, `feedback` the rtcp-fb values, "nack pli" and the like.
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
        """The fmtp's pairs, keys in lower case, in order; a value without a key is a key without a value."""
        pairs = (part.strip().partition("=") for part in self.fmtp.split(";"))
        return {key.strip().lower(): value.strip() for key, _, value in pairs if key}


@attrs.frozen
class Section:
    """One m-line with its attributes, as the peer wrote them (directions are the peer's view).

    `kind` "audio", "video", "application" or something unknown. `is_rejected`: it cannot be used: port 0 and not
    bundle-only, outside the BUNDLE group, of a kind or protocol that is not spoken here, a second data section.
    `codecs` without rtx, red, ulpfec, flexfec, telephone-event, CN. `rids`: simulcast streams it sends, smallest first
    (q, h, f; other names in their order); `offered_rids`: the same in the offered order, `has_simulcast`:
    with a=simulcast. `ssrcs`: media SSRCs it sends;
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
    has_simulcast: bool = False
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


def attributes(lines: list[str]) -> Attributes:
    """The a= lines that are known, values by name ([""] for a flag). BadSdp: too many or too long."""
    if len(lines) > MOST_LINES or max(map(len, lines)) > MOST_LINE:
        raise BadSdp(f"over {MOST_LINES} lines in a section, or a line over {MOST_LINE} characters")
    found: Attributes = {}
    for line in lines:
        if line.startswith("a="):
            name, _, value = line[2:].partition(":")
            if name in _KNOWN:
                found.setdefault(name, []).append(value.strip())
    return found


def one(found: Attributes, name: str) -> str:
    """The first value, "" without."""
    values = found.get(name)
    return values[0] if values else ""


def _number(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10) or int(text) > most:
        raise BadSdp(f"a number up to {most} is expected")
    return int(text)


def ice_word(found: Attributes, name: str) -> str:
    """ice-ufrag or ice-pwd, "" without. BadSdp: not of ice-chars."""
    value = one(found, name)
    if value and not _ICE.match(value):
        raise BadSdp(f"a={name} is not of 4 to 256 ice-chars (RFC 8839 5.4)")
    return value


def fingerprint_in(found: Attributes) -> str:
    """"sha-256 AB:CD:…", "" without; sha-256 if there are several. BadSdp: only older hashes."""
    usable = [value for value in found.get("fingerprint", ()) if _FINGERPRINT.match(value)]
    if found.get("fingerprint") and not usable:
        raise BadSdp("no a=fingerprint with sha-256, sha-384 or sha-512 (RFC 8122)")
    algorithm, _, octets = min(usable, default="").partition(" ")
    return f"{algorithm.lower()} {octets.upper()}" if usable else ""


def read_section(block: str) -> Section:
    """One section, without "m=" of its first line. BadSdp: it cannot be read. The result may be shared."""
    # Most sections of an offer are those of the client's offer before. What is larger than any client's is not kept.
    return _read_cached(block) if len(block) <= MOST_CACHED else _read(block)


def _read(block: str) -> Section:
    lines = block.split("\n")
    media = _MEDIA.match(lines[0])
    if media is None:
        raise BadSdp("an m= line that cannot be read")
    kind, port, protocol, formats = media[1], int(media[2]), media[3], tuple(media[4].split())
    found = attributes(lines)
    mid = one(found, "mid")
    if not _TOKEN.match(mid):
        raise BadSdp("a section without a=mid, or with one that is no token (RFC 5888)")
    direction = next((word for word in DIRECTIONS if word in found), "sendrecv")
    is_rejected = port == 0 and "bundle-only" not in found
    section = Section(
        mid, kind, protocol, formats, direction, is_rejected, ufrag=ice_word(found, "ice-ufrag"),
        pwd=ice_word(found, "ice-pwd"), fingerprint=fingerprint_in(found), setup=one(found, "setup"))
    if kind == "application":
        port_text = one(found, "sctp-port") or (one(found, "sctpmap") or "0").split()[0]
        return attrs.evolve(
            section, is_rejected=is_rejected or protocol not in DATA_PROTOCOLS, sctp_port=_number(port_text, 65535),
            max_message_size=_number(one(found, "max-message-size") or "0", 2**32))
    codecs = _codecs(found, formats)
    is_known = kind in ("audio", "video") and protocol in MEDIA_PROTOCOLS and bool(codecs)
    offered_rids = _rids(found)
    rids = tuple(sorted(offered_rids, key=lambda rid: RID_RANK.get(rid, len(RID_RANK))))
    ssrcs, rtx_ssrcs, old_msid = _ssrcs(found)
    stream, _, cid = (one(found, "msid") or old_msid).partition(" ")
    extensions, directions = _extmap(found)
    return attrs.evolve(
        section, is_rejected=is_rejected or not is_known, codecs=codecs, rids=rids, offered_rids=offered_rids,
        has_simulcast="simulcast" in found, ssrcs=ssrcs, rtx_ssrcs=rtx_ssrcs, stream=stream, cid=cid.strip(),
        extensions=extensions, extension_directions=directions)


_read_cached = lru_cache(maxsize=2048)(_read)


def _payload_values(found: Attributes, name: str) -> dict[int, list[str]]:
    """"fmtp" and "rtcp-fb": values by payload type."""
    by_type: dict[int, list[str]] = {}
    for value in found.get(name, ()):
        number, _, rest = value.partition(" ")
        if not _PRINTABLE.match(rest):
            raise BadSdp(f"a={name} may hold printable ASCII only")
        by_type.setdefault(ALL if number == "*" else _number(number, 127), []).append(rest.strip())
    return by_type


def _codecs(found: Attributes, formats: tuple[str, ...]) -> tuple[Codec, ...]:
    """In the order of preference, that of the m-line."""
    names: dict[int, tuple[str, int, int]] = {}
    for value in found.get("rtpmap", ()):
        parts = _RTPMAP.match(value)
        if parts is None:
            raise BadSdp("an a=rtpmap that cannot be read")
        names[_number(parts[1], 127)] = (parts[2], int(parts[3]), int(parts[4] or 1))
    fmtp = {number: values[0] for number, values in _payload_values(found, "fmtp").items()}
    feedback = _payload_values(found, "rtcp-fb")
    repairs: dict[int, int] = {}
    for number, (name, _, _) in names.items():
        apt = re.search(r"(?:^|;) *apt=([0-9]{1,3}) *(?:;|\Z)", fmtp.get(number, "")) if name.lower() == "rtx" else None
        if apt and str(number) in formats:
            repairs.setdefault(int(apt[1]), number)
    codecs: list[Codec] = []
    for word in dict.fromkeys(formats):
        number = int(word) if word.isdigit() and len(word) <= 3 else -1
        if number in names and names[number][0].lower() not in NOT_MEDIA:
            name, clock_hz, channels = names[number]
            rtx = repairs.get(number)
            rtx_fmtp = fmtp[rtx] if rtx is not None else ""
            wanted = (*feedback.get(number, ()), *feedback.get(ALL, ()))
            codecs.append(Codec(number, name, clock_hz, channels, fmtp.get(number, ""), rtx, rtx_fmtp, wanted))
    return tuple(codecs)


def _rids(found: Attributes) -> tuple[str, ...]:
    """Those sent, in the order of a=simulcast if there is one (RFC 8853 5.2: alternatives by comma, paused by ~)."""
    sent: list[str] = []
    for value in found.get("rid", ()):
        parts = _RID.match(value)
        if parts is None:
            raise BadSdp("an a=rid that cannot be read (RFC 8851 section 10)")
        if parts[2] == "send" and parts[1] not in sent:
            sent.append(parts[1])
    words = one(found, "simulcast").split()
    for word, streams in zip(words[::2], words[1::2], strict=False):
        if word == "send":
            order = [stream.split(",")[0].lstrip("~") for stream in streams.split(";")]
            sent = [rid for rid in dict.fromkeys(order) if rid in sent]
    return tuple(sent[:MOST_RIDS])


def _ssrcs(found: Attributes) -> tuple[tuple[int, ...], dict[int, int], str]:
    """SSRCs of media, those of retransmissions, and an msid given with an SSRC (older clients)."""
    all_: dict[int, None] = {}
    old_msid = ""
    for value in found.get("ssrc", ()):
        number, _, rest = value.partition(" ")
        all_[_number(number, 0xFFFFFFFF)] = None
        if rest.startswith("msid:"):
            old_msid = old_msid or rest[5:].strip()
        if len(all_) > MOST_SSRCS:
            raise BadSdp(f"over {MOST_SSRCS} SSRCs in a section")
    rtx: dict[int, int] = {}
    for value in found.get("ssrc-group", ()):
        words = value.split()
        if words[:1] == ["FID"] and len(words) == 3 and len(rtx) < MOST_SSRCS:
            rtx[_number(words[2], 0xFFFFFFFF)] = _number(words[1], 0xFFFFFFFF)
    return tuple(ssrc for ssrc in all_ if ssrc not in rtx), rtx, old_msid


def _extmap(found: Attributes) -> tuple[dict[str, int], dict[str, str]]:
    """RFC 8285 section 5: ids 1 to 14, up to 255 in the two-byte form; 15 is reserved, 4096 on are mere proposals."""
    ids: dict[str, int] = {}
    directions: dict[str, str] = {}
    for value in found.get("extmap", ()):
        parts = _EXTMAP.match(value)
        if parts is None:
            raise BadSdp("an a=extmap that cannot be read")
        number, direction, uri = int(parts[1]), parts[2], parts[3]
        if uri not in SUPPORTED_EXTENSIONS or number == 15 or not 0 < number < 256 or direction == "inactive":
            continue
        ids[uri] = number
        if direction in DIRECTIONS[1:3]:
            directions[uri] = direction
    return ids, directions
