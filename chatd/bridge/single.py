"""The mode with one peer connection (/rtc/v1): the client's offer publishes, and brings the sections to send on.

The server never offers, it asks for offers (`media_sections_requirement`): with more sections, or just so that it can
answer anew.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from livekit.protocol import models as M
from livekit.protocol import rtc as R

from chatd.bridge import answer, sdp
from chatd.bridge.negotiation import KINDS, Connection, Negotiation
from chatd.bridge.subscriptions import Entry
from chatd.bridge.tracks import Track

if TYPE_CHECKING:
    from chatd.bridge.participant import Participant
    from chatd.bridge.port import Port

log = logging.getLogger(__name__)

# A client that did not answer a requirement for so long has lost it.
PATIENCE_S = 10.0
MOST_IGNORED = 5
MOST_SECTIONS = sdp.MOST_SECTIONS - 50


def _count(offer: sdp.Offer | None, kind: str) -> int:
    return sum(1 for section in offer.sections if section.kind == kind) if offer is not None else 0


class Single(Negotiation):
    """One peer connection; see the module."""

    def __init__(self, participant: Participant, port: Port) -> None:
        super().__init__(participant, port)
        self._connection = Connection(port)
        self._transport = self._connection.transport
        self._transport.on_state(self._changed)
        self._transport.on_data(participant.data.received)
        self._offer: sdp.Offer | None = None
        # Sections whose track has gone and which have to be inactive in one answer before they are used again.
        self._released: set[str] = set()
        self._asked = [0, 0]
        self._asked_at: float | None = None
        self._ignored = 0

    def offered(self, description: R.SessionDescription) -> None:
        """Answer it, with every wanted track for which it has a free section."""
        participant = self.participant
        offer = sdp.parse(description.sdp)
        self._connection.heard(offer)
        self._follow(offer)
        plans, fresh = self._publish(offer, self._transport)
        bound = self._bind(offer)
        for entry in bound:
            plans[entry.mid] = self._plan(entry)
        text = answer.write_answer(offer, self._connection.local(), plans)
        participant.tell(answer=R.SessionDescription(
            type="answer", sdp=text, id=description.id, mid_to_track_id={e.mid: e.track.sid for e in bound}))
        self._tell_published(bound)
        for track in fresh:
            participant.publish(track)
        if participant.subscriptions.unbound() and self._timer is None:
            self._negotiate()
        if len(offer.sections) > MOST_SECTIONS:
            # Clients never take sections back. Before there are more than can be read, it begins anew, in a moment.
            log.info("%s has %d sections and begins anew", participant.identity, len(offer.sections))
            participant.room.remove(participant, M.DisconnectReason.STATE_MISMATCH, R.LeaveRequest.Action.RECONNECT)

    def _follow(self, offer: sdp.Offer) -> None:
        """See whether the client does what it is asked for: an offer may have crossed the requirement, five in a row
        did not.
        """
        wanted = self._asked_at is not None and any(
            asked and _count(offer, kind) <= _count(self._offer, kind)
            for asked, kind in zip(self._asked, KINDS, strict=True))
        self._ignored = self._ignored + 1 if wanted else 0
        self._offer = offer
        self._asked, self._asked_at = [0, 0], None
        if self._ignored >= MOST_IGNORED:
            self._asked_at = self.participant.room.rooms.now()
            self._asked = [1000, 1000]

    def _bind(self, offer: sdp.Offer) -> list[Entry]:
        """Bind what is wanted to free sections; all bound entries."""
        subscriptions = self.participant.subscriptions
        sections = {s.mid: s for s in offer.sections if s.kind in KINDS}
        for entry in subscriptions.entries.values():
            if entry.mid and (entry.mid not in sections or not sections[entry.mid].is_receiving):
                entry.unbind()
        used = {entry.mid for entry in subscriptions.entries.values()} | self._released | set(self._sending)
        self._released = set()
        free = {kind: [s for s in sections.values() if s.kind == kind and s.mid not in used and s.is_receiving
                       and not s.is_sending] for kind in KINDS}
        for entry in subscriptions.unbound():
            candidates = free[entry.track.kind]
            for section in candidates:
                found = self._outgoing(entry.track, section)
                if found is not None:
                    entry.bind(self._transport, section.mid, *found)
                    candidates.remove(section)
                    break
            else:
                if candidates:
                    subscriptions.refuse(entry)
        return [entry for entry in subscriptions.entries.values() if entry.mid]

    def _negotiate(self) -> None:
        """Ask for an offer, with as many sections as are missing and were not asked for yet."""
        if self._offer is None:
            # The first is on its way; whatever is wanted by then is bound by it.
            return
        unbound = self.participant.subscriptions.unbound()
        if not unbound and not self._released:
            return
        used = {entry.mid for entry in self.participant.subscriptions.entries.values()} | set(self._sending)
        missing = []
        for n, kind in enumerate(KINDS):
            lack = sum(1 for entry in unbound if entry.track.kind == kind)
            free = sum(1 for s in self._offer.sections if s.kind == kind and s.is_receiving and not s.is_sending
                       and s.mid not in used)
            missing.append(max(0, lack - free - self._asked[n]))
        if self._asked_at is not None and not any(missing):
            return
        self._asked = [before + more for before, more in zip(self._asked, missing, strict=True)]
        self._asked_at = self.participant.room.rooms.now()
        self.participant.tell(media_sections_requirement=R.MediaSectionsRequirement(
            num_audios=missing[0], num_videos=missing[1]))

    def released(self, mid: str) -> None:
        """The section is answered inactive next time, and free after that."""
        if mid:
            self._released.add(mid)
            self.renegotiate()

    def track_added(self, track: Track) -> None:
        """Its section may have been offered before it was asked for."""
        if self._offer is not None and any(
                self._sending.get(s.mid, track) is None and s.cid == track.cid for s in self._offer.sections):
            self.participant.tell(media_sections_requirement=R.MediaSectionsRequirement())

    def resumed(self) -> None:
        """What was asked for may never have arrived; the client offers by itself."""
        self._asked, self._asked_at = [0, 0], None

    def send_data(self, label: str, data: bytes) -> bool:
        """On the channel of this label that the client opened."""
        return self._transport.send_data(label, data)

    def quality(self) -> int:
        """Of the one connection."""
        return self._transport.quality()

    def is_silent(self) -> bool:
        """By the one connection."""
        return self._transport.is_silent(self.port.now())

    def tick(self, now: float) -> None:
        """A requirement that nobody answered is repeated."""
        if self._asked_at is not None and now - self._asked_at > PATIENCE_S:
            self.resumed()
            self._negotiate()

    def close(self) -> None:
        """End the connection."""
        super().close()
        self._transport.close()
