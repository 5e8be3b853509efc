"""Real addresses in a room's archive: XEP-0313 6.1.3.

Beside each message stands who said it, in an element that never leaves the archive as it is: those who may see real
addresses get it as the <item/> of muc#user, the others do not get it.  Moderators may; everybody may where the room
showed real addresses both when it was said and when it is read, for what was said under a nickname only is not told
later because the room has changed.
"""

from __future__ import annotations

import re
from typing import Final
from xml.sax.saxutils import unescape

from chatd.core.stanza import attribute
from chatd.xep.muc.room import Occupant, Room, item_xml, user_xml

__all__ = ["address_of", "readable", "speaker_of", "with_address", "without_address"]

_OPEN: Final = b'<said xmlns="urn:chatd:room"'
_CLOSE: Final = b"</message>"
_PARTS: Final = re.compile(
    r'<said xmlns="urn:chatd:room" open="([01])" affiliation="(\w+)" role="(\w+)" jid="([^"]*)"/>')
_ENTITIES: Final = {"&quot;": '"', "&apos;": "'", "&#9;": "\t", "&#10;": "\n", "&#13;": "\r"}


def with_address(room: Room, occupant: Occupant, full: str, stanza: bytes) -> bytes:
    """A message of this occupant's client as the archive is to keep it."""
    is_open = room.config["whois"] == "anyone"
    return stanza[:-len(_CLOSE)] + (
        f'{_OPEN.decode()} open="{int(is_open)}" affiliation="{room.affiliation(occupant.jid)}" role="{occupant.role}" '
        f'jid="{attribute(full)}"/>').encode() + _CLOSE


def _cut(stanza: bytes) -> tuple[bytes, bytes]:
    """An archived message without the address, and the address's element or nothing.

    It is always the last child, where nothing that a person sends can stand.
    """
    at = stanza.rfind(_OPEN)
    if at < 0 or stanza.find(b">", at) + 1 != len(stanza) - len(_CLOSE):
        return stanza, b""
    return stanza[:at] + _CLOSE, stanza[at:-len(_CLOSE)]


def without_address(stanza: bytes) -> bytes:
    """An archived message for those who may not see whose it is."""
    return _cut(stanza)[0]


def address_of(stanza: bytes) -> bytes:
    """The element with the address, for a tombstone in the message's place."""
    return _cut(stanza)[1]


def speaker_of(stanza: bytes) -> str:
    """The bare address of who said an archived message, "" where it is not told."""
    found = _PARTS.fullmatch(_cut(stanza)[1].decode())
    return unescape(found[4], _ENTITIES).partition("/")[0] if found is not None else ""


def readable(stanza: bytes, sees_all: bool, sees_open: bool) -> bytes:
    """An archived message for somebody who sees all real addresses, those said openly, or none."""
    told, said = _cut(stanza)
    found = _PARTS.fullmatch(said.decode())
    if found is None or not (sees_all or (sees_open and found[1] == "1")):
        return told
    item = item_xml(found[2], found[3], unescape(found[4], _ENTITIES))
    return told[:-len(_CLOSE)] + user_xml(item).encode() + _CLOSE
