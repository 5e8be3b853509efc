"""Nicknames: nobody takes another one's, be it in use or kept for somebody (XEP-0045 7.2.8, 7.6, 7.10, 7.12).

Nicknames that a person could take for each other, because only case, width or spaces differ, are the same one (13.6).
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from chatd.core.errors import StanzaError
from chatd.xep.muc.room import Room

__all__ = ["check_nick", "key_of", "locked_nick", "reserved_by"]

_MOST = 256


@lru_cache(maxsize=8192)
def key_of(nick: str) -> str:
    """What nicknames are compared by; "" for one of which nothing can be seen (17.1)."""
    seen = "".join(letter for letter in unicodedata.normalize("NFKC", nick) if unicodedata.category(letter) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", seen.casefold()).split())


def check_nick(room: Room, nick: str, bare: str) -> None:
    """Raises StanzaError: conflict for a nickname that belongs to somebody else, not-acceptable for one too long,
    jid-malformed for one that nobody sees (17.1)."""
    if len(nick) > _MOST:
        raise StanzaError("not-acceptable", text=f"A nickname has at most {_MOST} characters.")
    key = key_of(nick)
    if not key:
        raise StanzaError("jid-malformed", "modify", text="A nickname has something to be seen.")
    if any(one.jid != bare and key_of(one.nick) == key for one in room.occupants.values()):
        raise StanzaError("conflict", text="Somebody in the room has this nickname.")
    if reserved_by(room, nick) not in (None, bare):
        raise StanzaError("conflict", text="This nickname is kept for somebody else.")


def reserved_by(room: Room, nick: str) -> str | None:
    """The bare address that this nickname is kept for, None for nobody's.  That of a request counts, too."""
    if room.reserved is None:
        room.reserved = {key_of(one.nick): one.jid for one in room.affiliates.values() if one.nick}
    return room.reserved.get(key_of(nick))


def locked_nick(room: Room, bare: str) -> str:
    """The only nickname this person may have here, "" for any (7.10: nicknames are locked down)."""
    if not room.config["lock_nicks"]:
        return ""
    known = room.affiliates.get(bare)
    return known.nick if known is not None and not known.pending else ""
