"""A room's vCard, for its picture: XEP-0054 asked of the room, the hash in the room's own presence (XEP-0153)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.stanza import Stanza, parse_element
from chatd.xep.muc.room import Room

if TYPE_CHECKING:
    from chatd.xep.muc.service import Ask

__all__ = ["get_vcard", "photo_sha1", "room_presence", "set_vcard"]


def photo_sha1(vcard: bytes | None) -> str:
    """Hexadecimal SHA-1 of the picture, "" without one."""
    for photo in parse_element(vcard).elements() if vcard else ():
        for part in photo.elements() if photo.name == "PHOTO" else ():
            if part.name == "BINVAL":
                try:
                    return hashlib.sha1(base64.b64decode(str(part)), usedforsecurity=False).hexdigest()
                except (ValueError, binascii.Error):
                    return ""
    return ""


def room_presence(room: Room) -> Stanza | None:
    """What the room itself shows: the hash of its picture, None without one."""
    sha1 = photo_sha1(room.vcard)
    if not sha1:
        return None
    inner = f'<x xmlns="{ns.VCARD_UPDATE}"><photo>{sha1}</photo></x>'
    return Stanza("presence", {"from": room.bare}, inner.encode(), (f"{ns.VCARD_UPDATE} x",))


def get_vcard(ask: Ask) -> bytes:
    """Everybody may have it; empty where none was set."""
    return ask.room.vcard or f'<vCard xmlns="{ns.VCARD}"/>'.encode()


async def set_vcard(ask: Ask) -> bytes:
    """Owners set it; raises StanzaError forbidden, or policy-violation where it is too large."""
    room = ask.room
    if not room.is_at_least(ask.from_.bare, "owner"):
        raise StanzaError("forbidden", text="Only owners may change the picture of this room.")
    vcard = ask.child.toXml().encode()
    if len(vcard) > room.service.limits.vcard_bytes:
        raise StanzaError("policy-violation", "modify", text="This picture is too large.")
    await room.service.store.rooms.save(room.id, {"vcard": vcard})
    room.vcard = vcard
    room.tell(104)
    room.announce(room_presence(room) or Stanza("presence", {"from": room.bare}, (
        f'<x xmlns="{ns.VCARD_UPDATE}"><photo/></x>').encode(), (f"{ns.VCARD_UPDATE} x",)))
    return b""
