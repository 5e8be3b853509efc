"""Rooms with a limited number of occupants, XEP-0045 7.2.9.  There is some space more for owners and admins."""

from __future__ import annotations

from typing import Final

from chatd.core.errors import StanzaError
from chatd.xep.muc.room import Room

__all__ = ["check_users"]

_MORE: Final = 50


def check_users(room: Room, bare: str) -> None:
    """Raises StanzaError service-unavailable where the room is full."""
    most = min(room.config["max_users"] or room.service.occupants_most, room.service.occupants_most)
    space = most + _MORE if room.is_at_least(bare, "admin") else most
    if len(room.occupants) >= space:
        raise StanzaError("service-unavailable", "wait", text=f"The room is full: it takes {most} occupants.")
