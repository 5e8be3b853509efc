"""What the service and its rooms say of themselves: XEP-0045 6, 7.12, 18.1.1, service discovery (XEP-0030)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatd.core import ns
from chatd.core.archive import FEATURES as ARCHIVE_FEATURES
from chatd.core.errors import StanzaError
from chatd.core.muc_config import FORM_TYPE, features, field_xml
from chatd.core.stanza import Stanza, attribute
from chatd.xep.muc.hats import COMMANDS, commands_items, hats_hash
from chatd.xep.muc.register import FORM as REGISTER_FORM
from chatd.xep.muc.register import REGISTER
from chatd.xep.muc.retraction import MODERATE, RETRACT_NS
from chatd.xep.muc.room import OCCUPANT_ID
from chatd.xep.muc.vcard import photo_sha1
from chatd.xep.muc.voice import FORM as VOICE_FORM

if TYPE_CHECKING:
    from chatd.xep.muc.service import Ask, Conference

__all__ = ["SELF_PING", "room_info", "room_items", "service_info", "service_items"]

SELF_PING: Final = "http://jabber.org/protocol/muc#self-ping-optimization"
_ROOM_INFO: Final = "http://jabber.org/protocol/muc#roominfo"
_OWN_NICK: Final = "x-roomuser-item"
_TRAFFIC: Final = "http://jabber.org/protocol/muc#traffic"
_BOTH: Final = (ns.DISCO_INFO, ns.DISCO_ITEMS, ns.MUC, ns.PING, OCCUPANT_ID, ns.VCARD,
                "http://jabber.org/protocol/muc#stable_id")
_SERVICE: Final = (*_BOTH, ns.RSM)
_ROOM: Final = (*_BOTH, SELF_PING, REGISTER, REGISTER_FORM, VOICE_FORM, FORM_TYPE, _ROOM_INFO, MODERATE, RETRACT_NS,
                f"{RETRACT_NS}#tombstone", "urn:xmpp:hats:0", "http://jabber.org/protocol/commands",
                "jabber:x:conference", ns.SID)


def _query(space: str, node: str, inner: str) -> bytes:
    named = f' node="{attribute(node)}"' if node else ""
    return f'<query xmlns="{space}"{named}>{inner}</query>'.encode()


def _features(names: list[str]) -> str:
    return "".join(f'<feature var="{attribute(name)}"/>' for name in sorted(names))


def _identity(name: str) -> str:
    return f'<identity category="conference" type="text" name="{attribute(name)}"/>'


def _no_node(stanza: Stanza) -> None:
    if next(stanza.element.elements()).getAttribute("node"):
        raise StanzaError("item-not-found", text="There is no such node.")


def service_info(service: Conference, stanza: Stanza) -> bytes:
    """A domain of rooms."""
    _no_node(stanza)
    return _query(ns.DISCO_INFO, "", _identity(service.title) + _features([*_SERVICE, *service.features]))


def service_items(service: Conference, stanza: Stanza) -> bytes:
    """The public rooms."""
    _no_node(stanza)
    return _query(ns.DISCO_ITEMS, "", service.listing.items(next(stanza.element.elements())))


def _is_insider(ask: Ask) -> bool:
    """Who is in the room, or lastingly belongs to it, may know more of it (XEP-0045 13.4)."""
    return ask.occupant is not None or ask.room.is_at_least(ask.from_.bare, "member")


def room_info(ask: Ask) -> bytes:
    """A room; for the node x-roomuser-item the nickname kept for who asks (XEP-0045 7.12)."""
    node = ask.child.getAttribute("node") or ""
    room = ask.room
    if node == _OWN_NICK:
        known = room.affiliates.get(ask.from_.bare)
        nick = known.nick if known is not None and not known.pending else ""
        return _query(ns.DISCO_INFO, node, _identity(nick) if nick else "")
    if node == _TRAFFIC:
        raise StanzaError("service-unavailable", text="Everything passes this room.")       # XEP-0045 18.1.1
    if node:
        raise StanzaError("item-not-found", text="There is no such node.")
    config = room.config
    names = [*_ROOM, *room.features, *features(config), *(ARCHIVE_FEATURES if config["archive"] else ())]
    return _query(ns.DISCO_INFO, "", _identity(config["name"] or room.jid.local) + _features(names) + _form(ask))


def _form(ask: Ask) -> str:
    """More of it, XEP-0128; what is going on inside only where outsiders could see it by entering."""
    room, config = ask.room, ask.room.config
    may_change = "1" if config["change_subject"] else "0"
    fields = [
        field_xml("FORM_TYPE", [_ROOM_INFO], "hidden"),
        field_xml("muc#roominfo_description", [config["description"]], "text-single", "Description"),
        field_xml("muc#roominfo_lang", [config["language"]], "text-single", "Language"),
        field_xml("muc#roominfo_subjectmod", [may_change], "boolean", "Occupants may change the subject"),
        field_xml("muc#roomconfig_changesubject", [may_change], "boolean", "Occupants may change the subject"),
        # COMPAT(Converse.js, Prosody): these two are not registered, but read.
        field_xml("muc#roominfo_changesubject", [may_change], "boolean", "Occupants may change the subject"),
        field_xml("muc#roomconfig_roomname", [config["name"]], "text-single", "Name"),
        field_xml("muc#maxhistoryfetch", [str(config["history"])], "text-single", "Messages shown on entering"),
    ]
    if _is_insider(ask) or (config["public"] and not config["members_only"] and not config["protected"]):
        fields.append(field_xml("muc#roominfo_subject", [room.subject], "text-single", "Subject"))
        fields.append(field_xml("muc#roominfo_occupants", [str(len(room.occupants))], "text-single", "Occupants"))
        if config["whois"] == "anyone":
            owners = [one.jid for one in room.affiliated("owner")]
            fields.append(field_xml("muc#roominfo_contactjid", owners, "jid-multi", "Owners"))
    if sha1 := photo_sha1(room):
        fields.append(field_xml("muc#roominfo_avatarhash", [sha1], "text-multi", "Picture"))
    if room.hats:
        fields.append(field_xml("hats#hash", [hats_hash(room.hats)], "text-single", "Hats hash"))
    return f'<x xmlns="{ns.DATA}" type="result">{"".join(fields)}</x>'


def room_items(ask: Ask) -> bytes:
    """The occupants, to those who belong to the room: others are not told by default (XEP-0045 6.5, 13.4)."""
    room = ask.room
    node = ask.child.getAttribute("node") or ""
    if node == COMMANDS:
        return _query(ns.DISCO_ITEMS, node, commands_items(room, ask.from_.bare))
    if node:
        return _query(ns.DISCO_ITEMS, node, "")
    return _query(ns.DISCO_ITEMS, "", "".join(
        f'<item jid="{attribute(one.address)}" name="{attribute(one.nick)}"/>' for one in room.occupants.values()
        if one.role in room.config["broadcast"]) if _is_insider(ask) else "")
