"""One meeting: a room that also knows who may switch on what, whose hand is up, who waits, and whether it is recorded.

What participants may do follows from the meeting's rule (`may`), from exceptions for single people, and from the role;
`show` is where every change of it comes by, so that is where the media engine hears of it.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, cast

from twisted.internet.interfaces import IDelayedCall

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.meeting import NICK_MOST, SOURCES, MeetingRow, RecordingRow
from chatd.core.muc import Affiliate, RoomRow
from chatd.core.stanza import Stanza
from chatd.xep.meet import state
from chatd.xep.meet.lobby import Knock, show_waiting
from chatd.xep.meet.media import MeetingMedia
from chatd.xep.meet.present import Present
from chatd.xep.muc.room import Occupant, Room, Seat, mark_xml

if TYPE_CHECKING:
    from chatd.xep.meet.service import Meetings

__all__ = ["EMPTY_S", "Meeting", "meeting_of"]

EMPTY_S: Final = 300.0
"""How long an empty meeting remembers who was let in: people come back after a cut, or after a restart of ours."""
_ADMITTED_MOST: Final = 5000
"""So many are remembered to have been in a meeting that is never empty; then only those who are in it."""


class Meeting(Room):
    """See the module's text.

    hands: raised since.  refused: until when who must not knock again.  identities: of the media engine, by full
    address.  waiting: who knocks, by bare address.  recording: the one that runs, None without; recording_problem: what
    became of the last one, where it went wrong.
    """

    features = (ns.MEET,)
    service: Meetings       # type: ignore[assignment]

    def __init__(self, service: Meetings, room: RoomRow, row: MeetingRow) -> None:
        super().__init__(service, room)
        self.creator = row.creator
        self.used_ms = row.used_ms
        self.expires_ms = row.expires_ms
        self.e2ee = row.e2ee
        self.may: tuple[str, ...] = tuple(word for word in SOURCES if word in row.may)
        self.present = Present.read(row.present)
        self.hands: dict[Occupant, int] = {}
        self.identities: dict[str, str] = {}
        self.waiting: dict[str, Knock] = {}
        self.refused: dict[str, float] = {}
        self.reactions: dict[Occupant, list[float]] = {}
        self.recording: RecordingRow | None = None
        self.recording_problem = ""
        self.media = MeetingMedia(self)
        self._forgetting: IDelayedCall | None = None
        if self.present.kept():
            self._forget_later()

    @property
    def since_ms(self) -> int | None:
        """When this meeting began, None while nobody is here.  A few minutes without anybody do not end it."""
        return self.present.since_ms or None if self.occupants else None

    @property
    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return int(self.service.now() * 1000)

    # -- who may what
    def may_of(self, occupant: Occupant) -> tuple[str, ...]:
        """What this occupant may do."""
        if occupant.role == "moderator":
            return SOURCES
        if occupant.role != "participant":
            return ()
        return self.present.may(occupant.jid, self.may)

    def affiliation(self, bare: str) -> str:
        """As Room has it; a guest who was made a moderator is an admin as long as the meeting is held."""
        found = super().affiliation(bare)
        return "admin" if found == "none" and bare in self.present.moderators else found

    def is_at_least(self, bare: str, affiliation: str) -> bool:
        """As Room has it; who was let in, or was in, counts as a member unless banned since."""
        if affiliation == "member" and bare in self.present.admitted:
            return self.affiliation(bare) != "outcast"
        return super().is_at_least(bare, affiliation)

    def keep(self, affiliates: Iterable[Affiliate]) -> None:
        """As Room has it; who is no member any more has to knock where others have to."""
        affiliates = list(affiliates)
        lost = {one.jid for one in affiliates if one.affiliation == "none" and one.jid in self.affiliates
                and self.affiliates[one.jid].affiliation in ("member", "admin", "owner")}
        if self.config["members_only"] and not lost.isdisjoint(self.present.admitted):
            self.present.admitted -= lost
            self.save_present()
        super().keep(affiliates)

    def tells_addresses_to(self, bare: str) -> bool:
        """Not to guests, moderators or not."""
        return not self.service.is_guest(bare)

    def shown_since_ms(self, bare: str) -> int:
        """Guests are shown what was said since this meeting began."""
        if not self.service.is_guest(bare):
            return 0
        return self.present.since_ms or self.now_ms

    def mark_of(self, bare: str) -> bytes:
        """The occupant id: the same for an account's clients and for its visits."""
        digest = hmac.digest(self.secret, bare.encode(), hashlib.sha256)
        return mark_xml(urlsafe_b64encode(digest)[:32].decode())

    def must_knock(self, bare: str) -> bool:
        """Has somebody to let this person in?"""
        if self.is_at_least(bare, "member"):
            return False
        if self.config["members_only"]:
            return True
        sources = self.present.sources
        # Somebody of that network address was put out, who could come again under another name.
        return bool(sources) and self.service.is_guest(bare) and not sources.isdisjoint(
            self.service.router.visits.sources(bare))

    def check_entry(self, bare: str, nick: str) -> None:
        """Raises StanzaError for whoever may not come in, before the room's own rules are asked."""
        if len(nick) > NICK_MOST:
            raise StanzaError("not-acceptable", text=f"A name has at most {NICK_MOST} characters.")
        if bare in self.present.removed:
            raise StanzaError("forbidden", text="You were removed from this meeting.")
        if self.affiliation(bare) in ("admin", "owner", "outcast"):
            return
        if self.present.is_locked and bare not in self.present.admitted:
            raise StanzaError("not-allowed", text="This meeting is locked.", appCondition=state.condition("locked"))
        if self.must_knock(bare):
            raise StanzaError("registration-required", text="A moderator has to let you in: knock.")

    # -- presence
    def presence(self, occupant: Occupant, item: str, codes: Iterable[int] = (), gone: bool = False,
                 shown: Stanza | None = None, also: str = "") -> Stanza:
        """As Room has it, with what belongs to a meeting."""
        stanza = super().presence(occupant, item, codes, gone, shown, also)
        if gone:
            return stanza
        return stanza.added(state.participant_xml(self, occupant).encode(), f"{ns.MEET} participant")

    def show(self, occupant: Occupant, codes: Iterable[int] = (), joined: Seat | None = None,
             joined_codes: Iterable[int] = (), joined_id: str | None = None, reason: str = "", actor: str = "") -> None:
        """As Room has it; somebody new also gets the state of the meeting, and the media engine what has changed."""
        if joined is not None:
            self._entered(occupant)
        super().show(occupant, codes, joined, joined_codes, joined_id, reason, actor)
        if joined is not None:
            self.send([(joined, self._state_for(occupant.role).addressed(joined.full))])
        if occupant.role == "moderator" and self.media.was_less(occupant):
            if joined is None:
                self.publish_to(occupant)
            show_waiting(self, occupant)
        self.media.settle(occupant)

    def _entered(self, occupant: Occupant) -> None:
        if self._forgetting is not None:
            self._forgetting.cancel()
            self._forgetting = None
        if not self.present.since_ms:
            self.present.since_ms = self.now_ms
            self._save({"used_ms": self.now_ms, "present": self.present.kept()})
        knock = self.waiting.pop(occupant.jid, None)
        if knock is not None:
            self.service.forget_knock(knock)
        if occupant.jid not in self.present.admitted:
            if len(self.present.admitted) >= _ADMITTED_MOST:
                self.present.admitted = {one.jid for one in self.occupants.values()}
            self.present.admitted.add(occupant.jid)
            if self.config["members_only"] or self.present.is_locked:
                self.save_present()

    def remove(self, occupant: Occupant) -> None:
        """As Room has it; and the media is cut at once."""
        super().remove(occupant)
        self.hands.pop(occupant, None)
        self.reactions.pop(occupant, None)
        self.media.gone(occupant)
        if not self.find_by_jid(occupant.jid) and self.present.exceptions.pop(occupant.jid, None) is not None:
            self.save_present()
        if not self.occupants:
            self._emptied()

    def expel(self, occupant: Occupant, *codes: int, reason: str = "", actor: str = "") -> None:
        """As Room has it; a guest who is banned was put out for good."""
        if 301 in codes and self.service.is_guest(occupant.jid):
            self.put_out(occupant)
        super().expel(occupant, *codes, reason=reason, actor=actor)

    def refuse_until(self, bare: str, until: float) -> None:
        """This person need not knock again before then."""
        now = self.service.now()
        if len(self.refused) > 1000:
            self.refused = {one: at for one, at in self.refused.items() if at > now}
        self.refused[bare] = until

    def put_out(self, occupant: Occupant) -> None:
        """This guest must not come back, and who comes from the same place has to knock."""
        self.present.removed.add(occupant.jid)
        self.present.sources |= self.service.router.visits.sources(occupant.jid)
        self.present.admitted.discard(occupant.jid)
        self.present.moderators.discard(occupant.jid)
        self.save_present()

    # -- the state of the meeting
    def _state_for(self, role: str) -> Stanza:
        return state.message(self, state.meeting_xml(self, role), "meeting")

    def publish(self) -> None:
        """Tells everybody what the meeting is now."""
        made = {is_moderator: self._state_for("moderator" if is_moderator else "participant")
                for is_moderator in (True, False)}
        self.send([(seat, made[one.role == "moderator"].addressed(seat.full)) for one, seat in self.everyone()])

    def publish_to(self, occupant: Occupant) -> None:
        """Tells one occupant."""
        said = self._state_for(occupant.role)
        self.send([(seat, said.addressed(seat.full)) for seat in occupant.seats.values()])

    @property
    def can_record(self) -> bool:
        """May a moderator record here?"""
        return bool(self.service.recordings.is_on and not self.e2ee)

    @property
    def recording_state(self) -> str:
        """off, starting, on or stopping."""
        words = {"starting": "starting", "recording": "on", "composing": "off"}
        current = self.recording
        if current is None:
            return "off"
        return "stopping" if current.ended_ms and not current.is_over else words.get(current.state, "off")

    # -- life
    def _emptied(self) -> None:
        self.used_ms = self.now_ms
        self._save({"used_ms": self.used_ms})
        if self.recording is not None:
            self.service.recordings.stop(self)
        self._forget_later()

    def _forget_later(self) -> None:
        self._forgetting = self.service.clock.callLater(EMPTY_S, self.forget)

    def forget(self) -> None:
        """The meeting is over: who was let in, put out or made a moderator of the guests is forgotten."""
        self.rest()
        if self.present.kept():
            self.present = Present()
            self.save_present()
        self.refused.clear()

    def rest(self) -> None:
        """Nothing is to happen any more by itself."""
        if self._forgetting is not None and self._forgetting.active():
            self._forgetting.cancel()
        self._forgetting = None

    def is_expired(self) -> bool:
        """Is its time up?  Not while somebody is in it."""
        if self.occupants:
            return False
        if self.expires_ms and self.now_ms >= self.expires_ms:
            return True
        days = self.service.expire_days
        return bool(days) and self.now_ms - self.used_ms >= days * 86_400_000

    def save_present(self) -> None:
        """Keeps what lasts as long as the meeting is held."""
        self._save({"present": self.present.kept()})

    def save_may(self) -> None:
        """Keeps what participants may do."""
        self._save({"may": list(self.may)})

    def _save(self, values: dict[str, Any]) -> None:
        if not self.is_gone:
            self.service.save(self, values)


def meeting_of(room: Room) -> Meeting:
    """A room of this service is a meeting."""
    return cast(Meeting, room)
