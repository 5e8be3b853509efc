"""Media sections of one participant: which of its tracks come in on which, and which tracks of others go out.

Here is what both modes of LiveKit's protocol share: the client's offer publishes. `single.py` is the mode with one peer
connection, `double.py` the older one with two.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING

from livekit.protocol import rtc as R

from chatd.bridge import answer, sdp
from chatd.bridge.quality import EXCELLENT
from chatd.bridge.subscriptions import Entry
from chatd.bridge.tracks import MIME_TYPES, Encoding, Track, codec_word

if TYPE_CHECKING:
    from chatd.bridge.participant import Participant
    from chatd.bridge.port import Port
    from chatd.bridge.transport import Transport

log = logging.getLogger(__name__)

# Changes within this time are one negotiation: a join in a room of N costs N of them.
GATHER_S = 0.05
KINDS = ("audio", "video")


class Connection:
    """A transport and the numbers that its descriptions share."""

    def __init__(self, port: Port) -> None:
        self.transport: Transport = port.transport()
        self.remote_ufrag = ""
        self._extensions: dict[str, int] | None = None
        self._session_id = secrets.randbelow(1 << 62)
        self._version = 0

    def heard(self, description: sdp.Offer, is_answer: bool = False) -> None:
        """The client's description: start DTLS with the first; an offer with other ICE credentials than before asks
        for new ones of ours, in an answer they are its answer to ours (RFC 8839 4.4.1.1.1).
        """
        transport = self.transport
        if not self.remote_ufrag:
            transport.start(description.ufrag, description.pwd, description.fingerprint, description.setup)
        elif self.remote_ufrag != description.ufrag and not is_answer:
            transport.restart_ice(description.ufrag, description.pwd)
        if description.extensions != self._extensions:
            transport.set_extensions(description.extensions)
            self._extensions = dict(description.extensions)
        self.remote_ufrag = description.ufrag

    def local(self) -> answer.Local:
        """Our side of the next description."""
        self._version += 1
        transport = self.transport
        return answer.Local(transport.ufrag, transport.pwd, transport.fingerprint, transport.candidates(),
                            self._session_id, self._version)


class Negotiation:
    """See the module. `is_lost`: its media have ended, or never began and cannot any more."""

    is_single = True

    def __init__(self, participant: Participant, port: Port) -> None:
        self.participant = participant
        self.port = port
        self.is_lost = False
        # Sections on which the client sends: mid -> what. None: it has nothing to do with a track of ours.
        self._sending: dict[str, tuple[Track, Encoding] | None] = {}
        self._timer: asyncio.TimerHandle | None = None

    # -- for the participant

    def offered(self, description: R.SessionDescription) -> None:
        """The client's offer; sdp.BadSdp if it cannot be used."""
        raise NotImplementedError

    def answered(self, description: R.SessionDescription) -> None:
        """The client's answer; sdp.BadSdp if it cannot be used or nothing was offered."""
        raise sdp.BadSdp("an answer to no offer")

    def renegotiate(self) -> None:
        """Wanted tracks have changed: negotiate soon."""
        if self._timer is None and not self.participant.is_closed:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self._due)

    def released(self, mid: str) -> None:
        """A subscription's section is free; "" if it had none."""
        raise NotImplementedError

    def begin(self) -> None:
        """The participant has joined without an offer."""

    def resumed(self) -> None:
        """The participant is back on a new WebSocket; it restarts ICE by itself."""

    def track_added(self, track: Track) -> None:
        """AddTrack was accepted; usually its section is in an offer to come."""

    def send_data(self, label: str, data: bytes) -> bool:
        """Send a message on a channel; False if that cannot be."""
        raise NotImplementedError

    def quality(self) -> int:
        """quality.POOR, GOOD or EXCELLENT."""
        return EXCELLENT

    def is_silent(self) -> bool:
        """Whether the participant seems to be out of reach."""
        return False

    def tick(self, now: float) -> None:
        """Twice a second."""

    def close(self) -> None:
        """The participant has left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        if not self.participant.is_closed:
            self._negotiate()

    def _negotiate(self) -> None:
        raise NotImplementedError

    def _changed(self, state: str) -> None:
        """The state of a transport."""
        if state == "connected":
            self.participant.media_connected()
        else:
            self.is_lost = True
            self.participant.media_lost(state)

    # -- publishing, common to both modes

    def _publish(self, offer: sdp.Offer, transport: Transport) -> tuple[dict[str, answer.Plan], list[Track]]:
        """Plans for the sections that the client sends on; tracks that are new. Ends tracks whose section stopped."""
        participant = self.participant
        plans: dict[str, answer.Plan] = {}
        fresh: list[Track] = []
        sending = {s.mid: s for s in offer.sections if s.kind in KINDS and s.is_sending}
        for mid, held in list(self._sending.items()):
            section = sending.get(mid)
            if section is None or held is not None and self._is_replaced(held, section):
                del self._sending[mid]
                if held is not None:
                    self._ended(*held)
        for mid, section in sending.items():
            held = self._sending.get(mid)
            if held is None:
                # A section that was nobody's before is not taken for the next track that happens to come.
                held = participant.claim(section.cid, section.kind, is_exact=mid in self._sending)
            if held is None:
                self._sending[mid] = None
                continue
            track, encoding = held
            if track.sid not in participant.tracks:
                # Ended by the server; the client has not stopped yet.
                self._sending[mid] = None
                continue
            codec = self._incoming_codec(section, encoding)
            if codec is None:
                log.info("%s: no codec of %s is forwarded", participant.identity, track.sid)
                participant.end_track(track)
                continue
            before = encoding.publication
            publication = track.receive(encoding, section, codec)
            transport.receive(publication, mid, section.rids, section.ssrcs, section.rtx_ssrcs)
            self._sending[mid] = held
            plans[mid] = answer.Receive(codec, track.is_stereo, track.has_dtx)
            if before is None:
                fresh.append(track)
            elif before is not publication:
                log.info("%s: %s comes in %s now, not in %s", participant.identity, track.sid, publication.codec,
                         before.codec)
                participant.recoded(track)
        return plans, fresh

    def _is_replaced(self, held: tuple[Track, Encoding], section: sdp.Section) -> bool:
        """Whether a client has put another track into the same section (Firefox and Safari may)."""
        return section.cid != held[1].cid and any(
            encoding.cid == section.cid and not encoding.mid
            for track in self.participant.tracks.values() for encoding in track.encodings if section.cid)

    def _ended(self, track: Track, encoding: Encoding) -> None:
        if encoding is track.encodings[0]:
            self.participant.unpublish(track)
        else:
            track.end_encoding(encoding)
            self.participant.recoded(track)

    @staticmethod
    def _incoming_codec(section: sdp.Section, encoding: Encoding) -> sdp.Codec | None:
        """What AddTrack names, if it is offered (and the same as before); else what the client would like best."""
        if encoding.codec is not None:
            for codec in section.codecs:
                if codec.payload_type == encoding.codec.payload_type and codec.word == encoding.codec.word:
                    return codec
        # The profile that most subscribers decode: Chromium offers H.264 baseline before constrained baseline.
        words = [encoding.word, *(codec_word(codec.name) for codec in section.codecs)]
        found = (sdp.choose_codec(section, MIME_TYPES[word]) for word in words if word)
        return next((codec for codec in found if codec is not None), None)

    # -- sending, common to both modes

    @staticmethod
    def _outgoing(track: Track, section: sdp.Section) -> tuple[Encoding, sdp.Codec] | None:
        """The first codec of the track that this section takes."""
        for encoding in track.encodings:
            if encoding.publication is not None and encoding.codec is not None:
                codec = sdp.choose_codec(section, MIME_TYPES[encoding.word], encoding.codec)
                if codec is not None:
                    return encoding, codec
        return None

    @staticmethod
    def _plan(entry: Entry) -> answer.Send:
        assert entry.media is not None and entry.codec is not None
        track, media = entry.track, entry.media
        return answer.Send(entry.codec, track.msid, track.sid, media.ssrc,
                           None if entry.codec.rtx is None else media.rtx_ssrc, track.participant.identity,
                           track.is_stereo)

    def _tell_published(self, entries: Iterable[Entry]) -> None:
        """Publishers learn that somebody receives their tracks."""
        for entry in entries:
            if not entry.track.is_heard:
                entry.track.is_heard = True
                entry.track.participant.tell(track_subscribed=R.TrackSubscribed(track_sid=entry.track.sid))
