"""Published tracks: what LiveKit calls a TrackInfo, and the media half's publications behind it.

A track begins as an AddTrack request (it has a sid, nobody else knows it) and is published by the offer that has a
sending section for it. It may be sent in two codecs at once (`simulcast_codecs`, a "backup codec"): each is an
`Encoding` with a publication of its own.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs
from livekit.protocol import models as M
from livekit.protocol import rtc as R

from chatd.bridge import codecs, sdp
from chatd.bridge.forward import Publication, Size

if TYPE_CHECKING:
    from chatd.bridge.participant import Participant

_LETTERS = string.ascii_letters + string.digits
MIME_TYPES = {
    "opus": "audio/opus",
    "vp8": "video/VP8",
    "vp9": "video/VP9",
    "h264": "video/H264",
    "av1": "video/AV1",
}
"""What is forwarded: codec word -> MIME type as LiveKit writes it."""

RID_QUALITY = {"q": M.VideoQuality.LOW, "h": M.VideoQuality.MEDIUM, "f": M.VideoQuality.HIGH}


def new_sid(prefix: str) -> str:
    """A fresh identifier: "PA", "RM" or "TR", an underscore and 12 random letters and digits. Clients test prefixes."""
    return prefix + "_" + "".join(secrets.choice(_LETTERS) for _ in range(12))


def codec_word(name: str) -> str:
    """The codec of "vp8", "VP8" or "video/VP8" as a key of `MIME_TYPES`; "" if it is not forwarded."""
    word = name.rpartition("/")[2].lower()
    return word if word in MIME_TYPES else ""


@attrs.define(eq=False)
class Encoding:
    """A track in one codec. `cid` links it to the section of an offer; `mid`, `codec` (the publisher's payload type)
    and `publication` are there from that offer on.
    """

    word: str
    cid: str
    layers: list[M.VideoLayer]
    mid: str = ""
    codec: sdp.Codec | None = None
    publication: Publication | None = None

    def sizes(self, rids: Iterable[str]) -> list[Size]:
        """The announced sizes, one for each rid, or of all layers without rids; empty if they do not fit."""
        by_quality = {layer.quality: Size(layer.width, layer.height) for layer in self.layers}
        rids = list(rids)
        if rids:
            found = [by_quality.get(RID_QUALITY.get(rid, M.VideoQuality.OFF)) for rid in rids]
            return [size for size in found if size is not None] if None not in found else []
        return [by_quality[quality] for quality in sorted(by_quality)]


class Track:
    """One track of a participant.

    `info`: the TrackInfo as everybody sees it, for reading; `kind` "audio" or "video"; `encodings`: the first is the
    preferred codec. `is_published`: the offer has come, others may subscribe.
    """

    def __init__(self, participant: Participant, request: R.AddTrackRequest) -> None:
        self.participant = participant
        self.sid = new_sid("TR")
        self.kind = "audio" if request.type == M.TrackType.AUDIO else "video"
        self.is_published = False
        # Somebody receives it: its publisher was told.
        self.is_heard = False
        wanted = [codec for codec in request.simulcast_codecs if codec_word(codec.codec)]
        self.encodings = [
            Encoding(codec_word(codec.codec), codec.cid or (request.cid if n == 0 else ""),
                     list(codec.layers or request.layers))
            for n, codec in enumerate(wanted)
            if n == 0 or codec.cid
        ] or [Encoding("opus" if self.kind == "audio" else "", request.cid, list(request.layers))]
        # A codec that the publisher can add when somebody needs it.
        self.backup = codec_word(wanted[1].codec) if len(wanted) > 1 else ""
        self.cid = request.cid
        self.info = M.TrackInfo(
            sid=self.sid, type=request.type, name=request.name, muted=request.muted, width=request.width,
            height=request.height, source=request.source, disable_dtx=request.disable_dtx, layers=request.layers,
            stereo=request.stereo, disable_red=True, encryption=request.encryption,
            stream=request.stream or _stream_of(request.source), audio_features=request.audio_features,
            backup_codec_policy=request.backup_codec_policy, packet_trailer_features=request.packet_trailer_features,
        )
        self.describe()

    @property
    def publication(self) -> Publication | None:
        """The media of the preferred codec; None until it is published."""
        return self.encodings[0].publication

    @property
    def codec(self) -> sdp.Codec | None:
        """How the publisher sends the preferred codec; None until it is published."""
        return self.encodings[0].codec

    @property
    def is_screen(self) -> bool:
        """A shared screen's picture."""
        return self.info.source == M.TrackSource.SCREEN_SHARE

    @property
    def is_stereo(self) -> bool:
        """Two channels, said in the older way or the newer."""
        return self.info.stereo or M.AudioTrackFeature.TF_STEREO in self.info.audio_features

    @property
    def has_dtx(self) -> bool:
        """Whether silence may be left out (discontinuous sending)."""
        return not (self.info.disable_dtx or M.AudioTrackFeature.TF_NO_DTX in self.info.audio_features)

    @property
    def is_encrypted(self) -> bool:
        """End-to-end encrypted: payloads mean nothing to the bridge."""
        return self.info.encryption != M.Encryption.NONE

    @property
    def msid(self) -> str:
        """First word of msid on the way to subscribers: the part before "|" must be the publisher's sid."""
        return "%s|%s" % (self.participant.sid, self.info.stream or self.sid)

    def describe(self) -> None:
        """Bring the info's codec fields in line with the encodings."""
        first = self.encodings[0]
        self.info.mime_type = MIME_TYPES.get(first.word, "")
        self.info.mid = first.mid
        publication = first.publication
        self.info.simulcast = bool(publication and len(publication.rids) > 1)
        del self.info.codecs[:]
        for encoding in self.encodings:
            self.info.codecs.append(M.SimulcastCodecInfo(
                mime_type=MIME_TYPES.get(encoding.word, ""), mid=encoding.mid, cid=encoding.cid,
                layers=encoding.layers))

    def publications(self) -> list[Publication]:
        """All codecs that arrive."""
        return [e.publication for e in self.encodings if e.publication is not None]

    def receive(self, encoding: Encoding, section: sdp.Section, codec: sdp.Codec) -> Publication:
        """A section of an offer sends this encoding: make its publication, or follow what has changed.

        Another codec makes another publication. LiveKit's SDKs that name no codec in AddTrack do that: an offer that
        comes while they publish has all codecs in their usual order, the one after it the wanted codec first.
        """
        publication, before = encoding.publication, encoding.codec
        if publication is None or before is None or (before.payload_type, before.word) != (
                codec.payload_type, codec.word):
            if publication is not None:
                publication.close()
            encoding.word = codec.word
            publication = encoding.publication = Publication(
                self.kind, codec.word, codec.payload_type, codec.rtx, is_screen=self.is_screen)
        encoding.codec, encoding.mid = codec, section.mid
        if self.kind == "video":
            publication.sizes = encoding.sizes(section.rids)
        self.describe()
        return publication

    def update_layers(self, layers: Iterable[M.VideoLayer]) -> None:
        """Other sizes, by the publisher's word."""
        for encoding in self.encodings:
            encoding.layers = list(layers)
            if encoding.publication is not None:
                encoding.publication.sizes = encoding.sizes(encoding.publication.rids)
        del self.info.layers[:]
        self.info.layers.extend(layers)
        self.describe()

    def end_encoding(self, encoding: Encoding) -> None:
        """A backup codec is sent no more."""
        if encoding in self.encodings[1:]:
            self.encodings.remove(encoding)
            if encoding.publication is not None:
                encoding.publication.close()
            self.describe()

    def close(self) -> None:
        """Nothing is received any more; all media subscriptions end."""
        self.is_published = False
        for publication in self.publications():
            publication.close()


def _stream_of(source: int) -> str:
    # Tracks of one stream are played in sync.
    return "camera" if source in (M.TrackSource.CAMERA, M.TrackSource.MICROPHONE) else "screen"


FORWARDED = [word for word in MIME_TYPES if word in codecs.DESCRIBE]
