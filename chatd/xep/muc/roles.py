"""Roles: the one that somebody enters with, what comes with another one, and which are kept: XEP-0045 5.1, 8.3, 8.4.

Voice that a moderator gave or took is kept for the next visit, so that nobody gets it (back) by entering anew.  Who was
made a moderator is so for this visit.
"""

from __future__ import annotations

from attrs import evolve

from chatd.core.muc import Affiliate, default_role
from chatd.xep.muc.presence_broadcast import hide, others_for
from chatd.xep.muc.room import Occupant, Room

__all__ = ["kept_role", "re_role", "role_of", "set_role"]


def role_of(room: Room, bare: str) -> str:
    """The role that this person has on entering; "none" for an outcast."""
    known = room.affiliates.get(bare)
    return default_role(room.affiliation(bare), room.config["moderated"], known.role if known is not None else "")


def set_role(room: Room, occupant: Occupant, role: str, reason: str = "", actor: str = "") -> None:
    """Gives an occupant another role and shows it to those who may see it."""
    former, shown = occupant.role, room.config["broadcast"]
    if former in shown and role not in shown:
        hide(room, occupant)
    occupant.role = role
    room.show(occupant, reason=reason, actor=actor)
    if role == "moderator" and former != role and room.config["whois"] != "anyone":
        for seat in occupant.seats.values():        # who moderates sees real addresses (XEP-0045 7.2.4)
            room.send(others_for(room, occupant, seat))


def kept_role(room: Room, bare: str, role: str) -> Affiliate | None:
    """What is to be kept of this person who was given that role; None where that changes nothing."""
    if role not in ("visitor", "participant"):
        return None
    known = room.affiliates.get(bare, Affiliate(bare))
    usual = default_role(room.affiliation(bare), room.config["moderated"])
    kept = "" if role == usual else role
    return evolve(known, role=kept) if kept != known.role else None


def re_role(room: Room) -> None:
    """The room has become moderated, or is so no longer: everybody but the moderators has the role of a newcomer."""
    for occupant in list(room.occupants.values()):
        if occupant.role != "moderator":
            role = role_of(room, occupant.jid)
            if role not in (occupant.role, "none"):
                set_role(room, occupant, role)
