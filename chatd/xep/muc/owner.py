"""What owners do: configure a room and destroy it.  XEP-0045 10.1, 10.2, 10.9, namespace muc#owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID, InvalidJID
from chatd.core.muc_config import DEFAULTS, PEOPLE, form_xml, is_logged, parse_config, parse_people
from chatd.core.stanza import attribute, text
from chatd.xep.muc.members_only import expel_others
from chatd.xep.muc.presence_broadcast import hide_roles, show_roles
from chatd.xep.muc.roles import re_role
from chatd.xep.muc.room import Occupant, Room
from chatd.xep.muc.standing import Change, change_affiliations, check_owners

if TYPE_CHECKING:
    from chatd.xep.muc.service import Ask

__all__ = ["OWNER", "check_config", "configure", "destroy", "dismiss", "get_form", "set_owner"]

OWNER: Final = "http://jabber.org/protocol/muc#owner"
#: Settings whose change has status codes of its own.
_PRIVACY: Final = frozenset({"whois", "archive", "logging"})


def _check(ask: Ask) -> None:
    if not ask.room.is_at_least(ask.from_.bare, "owner"):
        raise StanzaError("forbidden", text="Only owners do this.")


def get_form(ask: Ask) -> bytes:
    """The settings as a form; StanzaError forbidden."""
    _check(ask)
    room = ask.room
    people = {affiliation: [one.jid for one in room.affiliated(affiliation)] for affiliation in PEOPLE}
    return f'<query xmlns="{OWNER}">{form_xml(room.config, f"Settings of {room.bare}", people)}</query>'.encode()


async def set_owner(ask: Ask) -> bytes:
    """A submitted or cancelled form, or <destroy/>; StanzaError forbidden, bad-request, not-acceptable, conflict."""
    _check(ask)
    parts = list(ask.child.elements())
    if len(parts) != 1:
        raise StanzaError("bad-request", text="A form or <destroy/>, and one of them.")
    part, room = parts[0], ask.room
    if part.name == "destroy" and part.uri == OWNER:
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
    config = parse_config(part, room.config)
    check_config(room, config)
    changes = _people(room, parse_people(part))
    if changes:
        check_owners(room, changes)
    await configure(room, config)
    if changes:
        await change_affiliations(room, changes, ask.occupant)
    return b""


def check_config(room: Room, config: dict[str, Any]) -> None:
    """Raises StanzaError not-acceptable for what this service does not give any room."""
    most = room.service.occupants_most
    if config["max_users"] > most and config["max_users"] != room.config["max_users"]:
        raise StanzaError("not-acceptable", text=f"A room takes at most {most} occupants here.")


def _people(room: Room, lists: dict[str, list[str]]) -> list[Change]:
    """What the whole lists of owners and admins in a form change (XEP-0045 10.2).

    Who is not in his list any more is an admin, if he was an owner and the form says nothing of admins, otherwise a
    member, so that he does not lose a members-only room as well.
    """
    wanted: dict[str, str] = {}
    for affiliation in ("admin", "owner"):                      # who is in both is an owner
        for one in room.affiliated(affiliation) if affiliation in lists else ():
            wanted[one.jid] = "admin" if affiliation == "owner" and "admin" not in lists else "member"
    for affiliation in ("admin", "owner"):
        wanted |= dict.fromkeys(lists.get(affiliation, ()), affiliation)
    if "owner" not in lists:                                    # the list of admins makes no owner an admin
        wanted = {jid: new for jid, new in wanted.items() if room.affiliation(jid) != "owner"}
    return [Change(jid, new) for jid, new in wanted.items() if room.affiliation(jid) != new]


async def configure(room: Room, config: dict[str, Any]) -> None:
    """Gives a room this complete config, and those inside what follows from it."""
    kept = {key: value for key, value in config.items() if key != "persistent" and value != DEFAULTS[key]}
    await room.service.store.rooms.save(room.id, {"config": kept, "persistent": config["persistent"]})
    old = room.config
    hide_roles(room, set(old["broadcast"]) - set(config["broadcast"]))
    room.config = config
    room.service.listing.forget()
    was_locked, room.locked = room.locked, False
    if config["members_only"] and not old["members_only"]:
        expel_others(room)
    if config["moderated"] != old["moderated"]:
        re_role(room)
    show_roles(room, set(config["broadcast"]) - set(old["broadcast"]))
    if was_locked:
        return
    _tell_changes(room, old)
    ended = room.service.left(room)
    if ended is not None:
        await ended


def _tell_changes(room: Room, old: dict[str, Any]) -> None:
    """XEP-0045 10.2.1."""
    config = room.config
    codes = [104] if any(old[key] != config[key] for key in config if key not in _PRIVACY) else []
    if is_logged(old) != is_logged(config):
        codes.append(170 if is_logged(config) else 171)
    elif (old["archive"], old["logging"]) != (config["archive"], config["logging"]) and not codes:
        codes.append(104)
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
    dismiss(room, also=f"<destroy{where}>{inner}</destroy>")
    await room.service.end(room)


def dismiss(room: Room, *codes: int, also: str = "") -> None:
    """Everybody is put out and hears of that, but not of the others: all are gone now (XEP-0045 10.9, 11.2)."""
    gone: list[Occupant] = list(room.occupants.values())
    for occupant in gone:
        room.show_gone(occupant, codes, also=also, seats=list(occupant.seats.values()))
    for occupant in gone:
        room.remove(occupant)
