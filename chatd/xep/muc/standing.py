"""Changes of affiliation, whoever makes them: kept, and shown to those who are in the room.

XEP-0045 9.1 to 9.5, 10.3 to 10.8; who may make them is asked elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.muc import Affiliate, default_role
from chatd.core.stanza import Stanza
from chatd.xep.muc.invite import send_invitation
from chatd.xep.muc.nick import reserved_by
from chatd.xep.muc.roles import set_role
from chatd.xep.muc.room import Occupant, Room, item_xml, user_xml

__all__ = ["Change", "change_affiliations", "check_owners"]

_AFFILIATES_MOST = 10_000
_USER_X = f"{ns.MUC_USER} x"


@attrs.frozen
class Change:
    """The affiliation that a bare address, or a domain, is to have.  nick: kept for it; None: as it was."""

    jid: str
    affiliation: str
    reason: str = ""
    nick: str | None = None


def check_owners(room: Room, changes: Iterable[Change]) -> None:
    """Raises StanzaError conflict where no owner would be left (XEP-0045 10.4)."""
    owners = {one.jid for one in room.affiliated("owner")}
    for change in changes:
        owners.add(change.jid) if change.affiliation == "owner" else owners.discard(change.jid)
    if not owners:
        raise StanzaError("conflict", text="A room needs an owner: make somebody else one first.")


async def change_affiliations(room: Room, changes: list[Change], actor: Occupant | None = None) -> None:
    """Makes all these changes.  actor: the occupant who makes them, None for nobody in the room.

    Raises StanzaError, and then none is made: conflict for a nickname that is kept for somebody else,
    resource-constraint where the lists are full.
    """
    kept = {change.jid: _affiliate(room, change) for change in changes}
    before = {jid: room.affiliation(jid) for jid in kept}
    if len(room.affiliates.keys() | kept.keys()) > _AFFILIATES_MOST:
        raise StanzaError("resource-constraint", "wait", text="The room's lists are full.")
    await room.service.store.rooms.set_affiliates(room.id, list(kept.values()))
    room.keep(kept.values())
    for change in changes:
        _show(room, change, before[change.jid], actor)
    ended = room.service.left(room)
    if ended is not None:
        await ended


def _affiliate(room: Room, change: Change) -> Affiliate:
    known = room.affiliates.get(change.jid, Affiliate(change.jid))
    nick = known.nick if change.nick is None else change.nick
    if change.affiliation in ("none", "outcast"):
        nick = ""
    other = reserved_by(room, nick) if nick else None
    if other is not None and other != change.jid:
        raise StanzaError("conflict", text=f"The nickname {nick[:64]} is kept for somebody else.")
    return Affiliate(change.jid, change.affiliation, nick, change.reason)


def _show(room: Room, change: Change, former: str, actor: Occupant | None) -> None:
    new, reason = change.affiliation, change.reason
    who = actor.nick if actor is not None else ""
    found = room.find_by_jid(change.jid)
    for occupant in found:
        own = room.affiliation(occupant.jid)
        if own == "outcast":
            room.expel(occupant, 301, reason=reason, actor=who)
        elif own == "none" and room.config["members_only"]:
            room.expel(occupant, 321, reason=reason, actor=who)
        elif "@" in change.jid:
            set_role(room, occupant, _role(room, occupant, former, new), reason, who)
    if found or "@" not in change.jid or former == new:
        return
    # Those who may see addresses are told of who is not here, so that their lists are right (XEP-0045 10.3).
    item = item_xml(new, "none", change.jid)
    told = Stanza("message", {"from": room.bare}, user_xml(item).encode(), (_USER_X,))
    room.send([(seat, told.addressed(seat.full)) for one, seat in room.everyone() if room.sees_addresses(one)])
    if new == "outcast":
        return                                      # no courtesy: he hears of it when he comes
    person = JID.parse(change.jid)
    told = Stanza("message", {"from": room.bare, "to": change.jid}, user_xml(item, (101,)).encode(), (_USER_X,))
    room.service.router.route(told, room.jid, person)
    if new == "member" and former == "none" and room.config["members_only"]:
        send_invitation(room, person, actor.address if actor is not None else room.bare, reason)


def _role(room: Room, occupant: Occupant, former: str, new: str) -> str:
    """What the affiliation gives it gives; what goes with a lost one is the usual role of what is left (5.1.3)."""
    usual = default_role(new, room.config["moderated"])
    if usual == "moderator" or former in ("owner", "admin") or (new == "member" and occupant.role == "visitor"):
        return usual
    return occupant.role
