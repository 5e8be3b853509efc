"""The older mode (/rtc): two peer connections. On the publisher connection the client offers, on the subscriber
connection the bridge does, and opens the data channels for what it sends.

One offer of ours is in flight at a time; what changes meanwhile goes into the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from livekit.protocol import rtc as R

from chatd.bridge import answer, sdp
from chatd.bridge.data import LOSSY, RELIABLE
from chatd.bridge.negotiation import Connection, Negotiation
from chatd.bridge.subscriptions import Entry
from chatd.bridge.tracks import MIME_TYPES, Encoding

if TYPE_CHECKING:
    from chatd.bridge.participant import Participant
    from chatd.bridge.port import Port

# A client that does not answer an offer for so long will not.
PATIENCE_S = 20.0


@attrs.define(eq=False)
class Slot:
    """One section of our offers; never removed, used again. `entry`: the track it sends."""

    mid: str
    kind: str
    entry: Entry | None = None


class Double(Negotiation):
    """See the module."""

    is_single = False

    def __init__(self, participant: Participant, port: Port) -> None:
        super().__init__(participant, port)
        self._publisher: Connection | None = None
        self._subscriber = Connection(port)
        transport = self._subscriber.transport
        transport.on_state(self._changed)
        transport.on_data(participant.data.received)
        transport.open_channel(RELIABLE)
        transport.open_channel(LOSSY, False, 0)
        self._slots: list[Slot] = []
        self._offer_id = 0
        self._offered_at: float | None = None
        self._is_stale = False

    def _publisher_changed(self, state: str) -> None:
        if state != "connected":
            self._changed(state)

    # -- the client's offers

    def offered(self, description: R.SessionDescription) -> None:
        """On the publisher connection."""
        offer = sdp.parse(description.sdp)
        if self._publisher is None:
            self._publisher = Connection(self.port)
            self._publisher.transport.on_state(self._publisher_changed)
            self._publisher.transport.on_data(self.participant.data.received)
        self._publisher.heard(offer)
        plans, fresh = self._publish(offer, self._publisher.transport)
        text = answer.write_answer(offer, self._publisher.local(), plans)
        self.participant.tell(answer=R.SessionDescription(type="answer", sdp=text, id=description.id))
        for track in fresh:
            self.participant.publish(track)

    # -- our offers

    def begin(self) -> None:
        """The client counts as connected when the subscriber connection is up: offer even without tracks."""
        self._negotiate()

    def resumed(self) -> None:
        """ICE of the subscriber connection is ours to restart."""
        self._subscriber.transport.restart_ice()
        self._offered_at = None
        self._negotiate()

    def _negotiate(self) -> None:
        if self._offered_at is not None:
            self._is_stale = True
            return
        self._is_stale = False
        self._place()
        self._offer_id += 1
        self._offered_at = self.participant.room.rooms.now()
        sections, mids = [], {}
        for slot in self._slots:
            send = None
            if slot.entry is not None:
                # A reused section keeps its first track id in the browser: the stream id has to name the track.
                send = attrs.evolve(self._plan(slot.entry), stream="%s|%s" % (
                    slot.entry.track.participant.sid, slot.entry.track.sid))
                mids[slot.mid] = slot.entry.track.sid
            sections.append(answer.OfferSection(slot.mid, slot.kind, send))
        self.participant.tell(offer=R.SessionDescription(
            type="offer", sdp=answer.write_offer(self._subscriber.local(), sections), id=self._offer_id,
            mid_to_track_id=mids))

    def _place(self) -> None:
        """Give every wanted track a section, an unused one if there is one."""
        entries = self.participant.subscriptions.entries
        for slot in self._slots:
            held = slot.entry
            if held is not None and (entries.get(held.track.sid) is not held or held.mid != slot.mid):
                slot.entry = None
        for entry in self.participant.subscriptions.unbound():
            found = self._own(entry)
            if found is None:
                # Until another codec of it comes.
                self.participant.subscriptions.refuse(entry)
                continue
            slot = next((s for s in self._slots if s.entry is None and s.kind == entry.track.kind), None)
            if slot is None:
                slot = Slot(str(len(self._slots)), entry.track.kind)
                self._slots.append(slot)
            slot.entry = entry
            # What came before the answer would be lost on a section that is not there yet, the keyframe with it.
            entry.bind(self._subscriber.transport, slot.mid, *found, is_held=True)

    @staticmethod
    def _own(entry: Entry) -> tuple[Encoding, sdp.Codec] | None:
        """The first codec of the track that the client may take and that we have numbers for."""
        for encoding in entry.track.encodings:
            if encoding.publication is not None and not entry.is_untakeable(encoding.word):
                try:
                    return encoding, answer.own_codec(MIME_TYPES[encoding.word], encoding.codec)
                except ValueError:
                    # A profile that nobody uses.
                    entry.untakeable.add(encoding.word)
        return None

    def answered(self, description: R.SessionDescription) -> None:
        """The client's answer to our offer."""
        if self._offered_at is None or description.id not in (0, self._offer_id):
            # To an offer that was replaced by a resume.
            return
        given = sdp.parse(description.sdp)
        self._offered_at = None
        self._subscriber.heard(given, is_answer=True)
        bound = []
        for slot in self._slots:
            entry, section = slot.entry, given.section(slot.mid)
            if entry is None or not entry.mid:
                continue
            codec = None
            if section is not None and section.is_receiving and entry.encoding is not None:
                codec = sdp.choose_codec(section, MIME_TYPES[entry.encoding.word], entry.encoding.codec)
            if codec is None:
                slot.entry = None
                self._refused(entry)
            else:
                entry.renumber(codec)
                bound.append(entry)
        self._tell_published(bound)
        if self._is_stale or self.participant.subscriptions.unbound():
            self._negotiate()

    def _refused(self, entry: Entry) -> None:
        """The client does not take this codec; perhaps it takes another."""
        track = entry.track
        if entry.encoding is not None:
            entry.untakeable.add(entry.encoding.word)
        entry.unbind()
        if all(entry.is_untakeable(e.word) for e in track.encodings if e.publication is not None):
            self.participant.subscriptions.refuse(entry)

    def released(self, mid: str) -> None:
        """The next offer has it inactive."""
        if mid:
            self.renegotiate()

    # -- the rest

    def send_data(self, label: str, data: bytes) -> bool:
        """On the channels that we opened."""
        return self._subscriber.transport.send_data(label, data)

    def quality(self) -> int:
        """The worse of the two."""
        own = self._subscriber.transport.quality()
        return own if self._publisher is None else min(own, self._publisher.transport.quality())

    def is_silent(self) -> bool:
        """By the connection that is always there."""
        return self._subscriber.transport.is_silent(self.port.now())

    def tick(self, now: float) -> None:
        """Nothing can change while an offer is not answered: then the client has to begin anew."""
        if self._offered_at is not None and now - self._offered_at > PATIENCE_S and self.participant.signal is not None:
            self._offered_at = None
            self.participant.media_lost("failed")

    def close(self) -> None:
        """End both connections."""
        super().close()
        self._subscriber.transport.close()
        if self._publisher is not None:
            self._publisher.transport.close()
