"""Whose presence is shown, by role: muc#roomconfig_presencebroadcast (XEP-0045 10.2).

Who is not shown sees the others, and is heard.
"""

from __future__ import annotations

from collections.abc import Collection

from chatd.core.stanza import Stanza
from chatd.xep.muc.room import Occupant, Room, Seat, item_xml

__all__ = ["hide", "hide_roles", "others_for", "show_roles"]


def others_for(room: Room, occupant: Occupant, seat: Seat) -> list[tuple[Seat, Stanza]]:
    """The presence of everybody else, as this occupant may see it, for one of its seats."""
    sees = room.sees_addresses(occupant)
    shown = room.config["broadcast"]
    found = []
    for other in room.occupants.values():
        if other is not occupant and other.role in shown:
            real = next(reversed(other.seats)) if sees else ""
            item = item_xml(room.affiliation(other.jid), other.role, real)
            found.append((seat, room.presence(other, item, shown=other.shown).addressed(seat.full)))
    return found


def hide(room: Room, occupant: Occupant) -> None:
    """The others see this occupant go, who is about to have a role that is not shown."""
    room.show_gone(occupant, seats=[seat for one, seat in room.everyone() if one is not occupant])


def hide_roles(room: Room, roles: Collection[str]) -> None:
    """These roles are about to be shown no more."""
    for occupant in room.occupants.values():
        if occupant.role in roles:
            hide(room, occupant)


def show_roles(room: Room, roles: Collection[str]) -> None:
    """These roles are shown from now on."""
    for occupant in room.occupants.values():
        if occupant.role in roles:
            room.show(occupant)
