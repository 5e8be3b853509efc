"""What the service and its rooms say of themselves: XEP-0045 6, service discovery (XEP-0030)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatd.core import ns
from chatd.core.archive import FEATURES as ARCHIVE_FEATURES
from chatd.core.errors import StanzaError
from chatd.core.muc_config import features, field_xml
from chatd.core.stanza import attribute
from chatd.xep.muc.hats import COMMANDS, commands_items, hats_hash
from chatd.xep.muc.register import REGISTER
from chatd.xep.muc.retraction import MODERATE, RETRACT_NS
from chatd.xep.muc.room import OCCUPANT_ID
from chatd.xep.muc.vcard import photo_sha1

if TYPE_CHECKING:
    from chatd.xep.muc.service import Ask, Conference

__all__ = ["SELF_PING", "room_info", "room_items", "service_info", "service_items"]

SELF_PING: Final = "http://jabber.org/protocol/muc#self-ping-optimization"
_SERVICE: Final = (ns.DISCO_INFO, ns.DISCO_ITEMS, ns.MUC, ns.PING, OCCUPANT_ID)
_ROOM: Final = (*_SERVICE, "http://jabber.org/protocol/muc#stable_id", SELF_PING, REGISTER, ns.VCARD, MODERATE,
                RETRACT_NS, f"{RETRACT_NS}#tombstone", "urn:xmpp:hats:0", "http://jabber.org/protocol/commands",
                "jabber:x:conference", ns.SID)


def _query(space: str, node: str, inner: str) -> bytes:
    named = f' node="{attribute(node)}"' if node else ""
    return f'<query xmlns="{space}"{named}>{inner}</query>'.encode()


def _features(names: list[str]) -> str:
    return "".join(f'<feature var="{attribute(name)}"/>' for name in sorted(names))


def service_info(service: Conference) -> bytes:
    """A domain of rooms."""
    return _query(ns.DISCO_INFO, "", f'<identity category="conference" type="text" name="{attribute(service.title)}"/>'
                  + _features(list(_SERVICE)))


def service_items(service: Conference) -> bytes:
    """The public rooms."""
    rooms = sorted((room for room in service.rooms.values() if room.config["public"] and not room.locked),
                   key=lambda room: room.bare)
    return _query(ns.DISCO_ITEMS, "", "".join(
        f'<item jid="{attribute(room.bare)}" name="{attribute(room.config["name"] or room.jid.local)}"/>'
        for room in rooms))


def room_info(ask: Ask) -> bytes:
    """A room; for the node x-roomuser-item the nickname kept for who asks (XEP-0045 7.12)."""
    node = ask.child.getAttribute("node") or ""
    room = ask.room
    if node == "x-roomuser-item":
        known = room.affiliates.get(ask.from_.bare)
        nick = known.nick if known is not None and not known.pending else ""
        identity = f'<identity category="conference" type="text" name="{attribute(nick)}"/>' if nick else ""
        return _query(ns.DISCO_INFO, node, identity)
    if node:
        raise StanzaError("item-not-found", text="There is no such node.")
    config = room.config
    names = [*_ROOM, *features(config), *(ARCHIVE_FEATURES if config["archive"] else ())]
    form = f'<x xmlns="{ns.DATA}" type="result">' + field_xml(
        "FORM_TYPE", ["http://jabber.org/protocol/muc#roominfo"], "hidden") + field_xml(
        "muc#roominfo_description", [config["description"]], "text-single", "Description") + field_xml(
        "muc#roominfo_subject", [room.subject], "text-single", "Subject") + field_xml(
        "muc#roominfo_changesubject", ["1" if config["change_subject"] else "0"], "boolean") + field_xml(
        "muc#roominfo_occupants", [str(len(room.occupants))], "text-single", "Occupants") + field_xml(
        "muc#roominfo_lang", [config["language"]], "text-single", "Language") + field_xml(
        "muc#maxhistoryfetch", [str(config["history"])], "text-single") + field_xml(
        "muc#roominfo_avatarhash", [sha1] if (sha1 := photo_sha1(room.vcard)) else [], "text-multi") + (
        field_xml("hats#hash", [hats_hash(room.hats)], "text-single", "Hats hash") if room.hats else "") + "</x>"
    identity = f'<identity category="conference" type="text" name="{attribute(config["name"] or room.jid.local)}"/>'
    return _query(ns.DISCO_INFO, "", identity + _features(names) + form)


def room_items(ask: Ask) -> bytes:
    """The occupants: to those who are in, and to everybody of a public room (XEP-0045 6.5)."""
    room = ask.room
    node = ask.child.getAttribute("node") or ""
    if node == COMMANDS:
        return _query(ns.DISCO_ITEMS, node, commands_items(room, ask.from_.bare))
    if node:
        return _query(ns.DISCO_ITEMS, node, "")
    shown = ask.occupant is not None or (room.config["public"] and not room.config["members_only"])
    return _query(ns.DISCO_ITEMS, "", "".join(
        f'<item jid="{attribute(one.address)}" name="{attribute(one.nick)}"/>' for one in room.occupants.values()
        if one.role in room.config["broadcast"]) if shown else "")
