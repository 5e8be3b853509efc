"""Nicknames: nobody takes another one's, be it in use or kept for somebody (XEP-0045 7.2.8, 7.10)."""

from __future__ import annotations

from chatd.core.errors import StanzaError
from chatd.xep.muc.room import Room

__all__ = ["check_nick"]

_MOST = 256


def check_nick(room: Room, nick: str, bare: str) -> None:
    """Raises StanzaError: conflict for a nickname that belongs to somebody else, not-acceptable for one too long."""
    if len(nick) > _MOST:
        raise StanzaError("not-acceptable", text=f"A nickname has at most {_MOST} characters.")
    there = room.occupants.get(nick)
    if there is not None and there.jid != bare:
        raise StanzaError("conflict", text="Somebody in the room has this nickname.")
    if any(one.nick == nick and one.jid != bare for one in room.affiliates.values()):
        raise StanzaError("conflict", text="This nickname is kept for somebody else.")
