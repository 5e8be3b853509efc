"""What owners and admins of meetings are told and do from outside: the list of their meetings, and ending one.

docs/protocol.md 9 and 16. Deleting is the room's own <destroy/>, recordings are in `chatd.xep.meet.recording`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.stanza import attribute
from chatd.xep.meet import state
from chatd.xep.meet.meeting import Meeting, meeting_of
from chatd.xep.meet.moderation import end_meeting

if TYPE_CHECKING:
    from chatd.xep.meet.service import Meetings
    from chatd.xep.muc.service import Ask

__all__ = ["LISTED_MOST", "PEOPLE_MOST", "end_from_outside", "list_meetings"]

LISTED_MOST: Final = 200
"""So many meetings one answer lists; those with people in them and those used last come first."""
PEOPLE_MOST: Final = 20
"""So many people of each are named; how many there are is said besides."""
_DAY_MS: Final = 86_400_000


async def list_meetings(service: Meetings, asker: JID, may_make: bool) -> bytes:
    """<meetings/>: whether meetings can be made and held here, and those that `asker` is owner or admin of.

    Raises StanzaError not-allowed for guests and for people of other domains.
    """
    if asker.domain != service.accounts_domain:
        raise StanzaError("not-allowed", text="Only accounts of this domain have meetings here.")
    found = [meeting for room in service.rooms.values()
             if not room.is_gone and (meeting := meeting_of(room)).is_at_least(asker.bare, "admin")
             and not meeting.is_expired()]
    found.sort(key=lambda meeting: (-len(meeting.occupants), -meeting.used_ms))
    return state.element("meetings", {
        "create": may_make, "media": service.engine is not None, "links": service.link(""),
        "complete": len(found) <= LISTED_MOST,
    }, "".join(_listed(meeting, asker.bare) for meeting in found[:LISTED_MOST])).encode()


def _listed(meeting: Meeting, bare: str) -> str:
    people = "".join(f'<person nick="{attribute(nick)}"/>' for nick in sorted(meeting.occupants)[:PEOPLE_MOST])
    return state.element("meeting", {
        **state.info(meeting), "affiliation": meeting.affiliation(bare), "expires": state.stamp(_expires_ms(meeting)),
        "used": state.stamp(meeting.now_ms if meeting.occupants else meeting.used_ms),
        "recordings": len(meeting.service.recordings.of(meeting)) or None}, people)


def _expires_ms(meeting: Meeting) -> int | None:
    """When it is deleted if nobody comes any more, None where it is not."""
    days = meeting.service.expire_days
    used_ms = meeting.now_ms if meeting.occupants else meeting.used_ms
    ends = [meeting.expires_ms or None, used_ms + days * _DAY_MS if days else None]
    return min((end for end in ends if end is not None), default=None)


async def end_from_outside(ask: Ask, meeting: Meeting) -> bytes:
    """<end/> of an owner or admin who is not in the meeting.  Raises StanzaError forbidden for anybody else."""
    bare = ask.from_.bare
    if meeting.service.is_guest(bare) or not meeting.is_at_least(bare, "admin"):
        raise StanzaError("forbidden", text="Only the meeting's owners, admins and moderators may end it.")
    end_meeting(meeting, "")
    return b""
