"""Members-only rooms, XEP-0045 7.2.6: only who has a lasting standing gets in; the others may ask by registering."""

from __future__ import annotations

from chatd.core.errors import StanzaError
from chatd.xep.muc.room import Room

__all__ = ["check_member", "expel_others"]


def check_member(room: Room, bare: str) -> None:
    """Raises StanzaError registration-required for anybody else."""
    if room.config["members_only"] and not room.is_at_least(bare, "member"):
        raise StanzaError("registration-required", text="Only members may enter this room.")


def expel_others(room: Room) -> None:
    """The room has become members-only: the others have to go (XEP-0045 10.2, status 322)."""
    for occupant in list(room.occupants.values()):
        if not room.is_at_least(occupant.jid, "member"):
            room.expel(occupant, 322)
