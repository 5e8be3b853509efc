"""What owners do: configure a room and destroy it.  XEP-0045 10.1, 10.2, 10.9, namespace muc#owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID, InvalidJID
from chatd.core.muc_config import DEFAULTS, form_xml, parse_config
from chatd.core.stanza import attribute, text
from chatd.xep.muc.members_only import expel_others
from chatd.xep.muc.room import Room

if TYPE_CHECKING:
    from chatd.xep.muc.service import Ask

__all__ = ["OWNER", "destroy", "get_form", "set_owner"]

OWNER: Final = "http://jabber.org/protocol/muc#owner"


def _check(ask: Ask) -> None:
    if not ask.room.is_at_least(ask.from_.bare, "owner"):
        raise StanzaError("forbidden", text="Only owners do this.")


def get_form(ask: Ask) -> bytes:
    """The settings as a form; StanzaError forbidden."""
    _check(ask)
    title = f"Settings of {ask.room.bare}"
    return f'<query xmlns="{OWNER}">{form_xml(ask.room.config, title)}</query>'.encode()


async def set_owner(ask: Ask) -> bytes:
    """A submitted or cancelled form, or <destroy/>; StanzaError forbidden, bad-request, not-acceptable."""
    _check(ask)
    parts = list(ask.child.elements())
    if len(parts) != 1:
        raise StanzaError("bad-request", text="A form or <destroy/>, and one of them.")
    part, room = parts[0], ask.room
    if part.name == "destroy":
        await destroy(room, *_destruction(part))
        return b""
    if part.uri != ns.DATA or part.name != "x":
        raise StanzaError("bad-request", text="A form or <destroy/>.")
    if part.getAttribute("type") == "cancel":
        if room.locked:                                         # XEP-0045 10.1.3
            await destroy(room, "", "", "")
        return b""
    if part.getAttribute("type") != "submit":
        raise StanzaError("bad-request", text="The form is of the type submit.")
    await _configure(room, parse_config(part, room.config))
    return b""


async def _configure(room: Room, config: dict[str, Any]) -> None:
    kept = {key: value for key, value in config.items() if key != "persistent" and value != DEFAULTS[key]}
    await room.service.store.rooms.save(room.id, {"config": kept, "persistent": config["persistent"]})
    old, room.config = room.config, config
    was_locked, room.locked = room.locked, False
    if config["members_only"] and not old["members_only"]:
        expel_others(room)
    if was_locked:
        return
    codes = [104] if any(old[key] != config[key] for key in config if key != "whois") else []
    if old["whois"] != config["whois"]:
        codes.append(172 if config["whois"] == "anyone" else 173)
    if codes:
        room.tell(*codes)
    if old["whois"] != config["whois"]:
        for occupant in room.occupants.values():                # now seen with, or without, the real address
            room.show(occupant)


def _destruction(part: domish.Element) -> tuple[str, str, str]:
    """(the room to go to instead, its password, why), each or "" """
    alternate = part.getAttribute("jid") or ""
    if alternate:
        try:
            alternate = JID.parse(alternate).bare
        except InvalidJID:
            raise StanzaError("jid-malformed", text="The alternate room is no valid address.") from None
    words = {child.name: str(child)[:1024] for child in part.elements()}
    return alternate, words.get("password", ""), words.get("reason", "")


async def destroy(room: Room, alternate: str, password: str, reason: str) -> None:
    """Ends a room: everybody is told where to go instead, and all that is kept of it is deleted."""
    inner = (f"<password>{text(password)}</password>" if password else "") + (
        f"<reason>{text(reason)}</reason>" if reason else "")
    where = f' jid="{attribute(alternate)}"' if alternate else ""
    for occupant in list(room.occupants.values()):
        # Everybody only hears of himself: all are gone now.
        room.show_gone(occupant, also=f"<destroy{where}>{inner}</destroy>", seats=list(occupant.seats.values()))
    for occupant in list(room.occupants.values()):
        room.remove(occupant)
    await room.service.end(room)
