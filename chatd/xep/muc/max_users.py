"""Rooms with a limited number of occupants, XEP-0045 7.2.9.  Owners and admins always get in."""

from __future__ import annotations

from chatd.core.errors import StanzaError
from chatd.xep.muc.room import Room

__all__ = ["check_users"]


def check_users(room: Room, bare: str) -> None:
    """Raises StanzaError service-unavailable where the room is full."""
    most = min(room.config["max_users"] or room.service.occupants_most, room.service.occupants_most)
    if len(room.occupants) >= most and not room.is_at_least(bare, "admin"):
        raise StanzaError("service-unavailable", "wait", text=f"The room is full: it takes {most} occupants.")
