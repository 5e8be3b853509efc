"""A room's vCard, for its picture: XEP-0486.  XEP-0054 is asked of the room, the hash is in its presence (XEP-0153)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.stanza import Stanza, parse_element
from chatd.xep.muc.room import Room
from chatd.xep.vcard import photo_sha1 as sha1_of

if TYPE_CHECKING:
    from chatd.xep.muc.service import Ask

__all__ = ["get_vcard", "photo_sha1", "room_presence", "set_vcard"]

needs = ("vcard",)

_UPDATE_X: Final = f"{ns.VCARD_UPDATE} x"


def photo_sha1(room: Room) -> str:
    """Hexadecimal SHA-1 of the room's picture, "" without one."""
    if room.photo_sha1 is None:
        room.photo_sha1 = sha1_of(parse_element(room.vcard)) if room.vcard else ""
    return room.photo_sha1


def room_presence(room: Room) -> Stanza | None:
    """What the room itself shows: the hash of its picture, None without one."""
    sha1 = photo_sha1(room)
    return _presence(room, sha1) if sha1 else None


def _presence(room: Room, sha1: str) -> Stanza:
    photo = f"<photo>{sha1}</photo>" if sha1 else "<photo/>"
    inner = f'<x xmlns="{ns.VCARD_UPDATE}">{photo}</x>'
    return Stanza("presence", {"from": room.bare}, inner.encode(), (_UPDATE_X,))


def get_vcard(ask: Ask) -> bytes:
    """Everybody may have it; empty where none was set."""
    return ask.room.vcard or f'<vCard xmlns="{ns.VCARD}"/>'.encode()


async def set_vcard(ask: Ask) -> bytes:
    """Owners set it, or take it away with an empty one.

    Raises StanzaError forbidden, not-acceptable where it is too large, bad-request for a picture that is no base64.
    """
    room = ask.room
    if not room.is_at_least(ask.from_.bare, "owner"):
        raise StanzaError("forbidden", text="Only owners may change the picture of this room.")
    vcard: bytes | None = ask.child.toXml().encode() if any(ask.child.elements()) else None
    if vcard is not None and len(vcard) > room.service.limits.vcard_bytes:
        most = room.service.limits.vcard_bytes
        raise StanzaError("not-acceptable", text=f"A vCard has at most {most} bytes (limits.vcard_bytes).")
    sha1 = sha1_of(ask.child)
    await room.service.store.rooms.save(room.id, {"vcard": vcard})
    had = photo_sha1(room)
    room.vcard, room.photo_sha1 = vcard, sha1
    room.tell(104)
    if sha1 != had:
        room.announce(_presence(room, sha1))
    return b""
