"""Roles and affiliations, and the lists of them: XEP-0045 8 (moderators) and 9 (admins), namespace muc#admin.

All changes of one request are checked before the first is made.  It is the person who has the right, so it does not
matter which of her clients asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
from twisted.words.xish import domish

from chatd.core.errors import StanzaError
from chatd.core.jid import JID, InvalidJID
from chatd.core.muc import (
    AFFILIATIONS,
    ROLES,
    default_role,
    may_change_affiliation,
    may_change_role,
    role_rank,
)
from chatd.core.stanza import attribute, text
from chatd.xep.muc.nick import check_nick
from chatd.xep.muc.roles import kept_role, set_role
from chatd.xep.muc.room import Occupant, Room, item_xml
from chatd.xep.muc.standing import Change, change_affiliations, check_owners

if TYPE_CHECKING:
    from chatd.core.muc import Affiliate
    from chatd.xep.muc.service import Ask

__all__ = ["ADMIN", "get_list", "set_items"]

ADMIN: Final = "http://jabber.org/protocol/muc#admin"
_ITEMS_MOST: Final = 500

_REFUSED: Final = {
    # of affiliations
    "affiliation": ("forbidden", "Only admins and owners change affiliations."),
    "list": ("forbidden", "Only owners change the lists of admins and owners."),
    "rank": ("not-allowed", "Nobody bans who stands as high as himself, or higher."),
}
_ROLE_REFUSED: Final = {
    "role": ("forbidden", "Only moderators change roles."),
    "rank": ("not-allowed", "This occupant's affiliation is out of your reach."),
    "affiliation": ("not-allowed", "Only admins and owners decide who moderates."),
}


@attrs.frozen
class _RoleChange:
    """The role that an occupant is to have."""

    occupant: Occupant
    role: str
    reason: str


def _actor(ask: Ask) -> Occupant | None:
    """Who asks as an occupant: by this client or, of the same person, the one that may most."""
    if ask.occupant is not None:
        return ask.occupant
    own = ask.room.find_by_jid(ask.from_.bare)
    return max(own, key=lambda one: role_rank[one.role], default=None)


def _items(ask: Ask) -> list[domish.Element]:
    return [part for part in ask.child.elements() if part.name == "item" and part.uri == ADMIN]


# -- lists
def get_list(ask: Ask) -> bytes:
    """Everybody of one affiliation or role.  Raises StanzaError bad-request, forbidden."""
    items = _items(ask)
    if len(items) != 1:
        raise StanzaError("bad-request", text="One list at a time, please.")
    room = ask.room
    affiliation, role = items[0].getAttribute("affiliation"), items[0].getAttribute("role")
    if affiliation in AFFILIATIONS and affiliation != "none" and role is None:
        _check_reader(ask, affiliation)
        found = [_affiliate_xml(one) for one in room.affiliated(affiliation)]
    elif role in ROLES and role != "none" and affiliation is None:
        actor = _actor(ask)
        if actor is None or actor.role != "moderator":
            raise StanzaError("forbidden", text="Only moderators get this list.")
        found = [item_xml(room.affiliation(one.jid), role, next(iter(one.seats)), one.nick)
                 for one in room.occupants.values() if one.role == role]
    else:
        raise StanzaError("bad-request", text="A list is of one affiliation or one role.")
    return f'<query xmlns="{ADMIN}">{"".join(found)}</query>'.encode()


def _affiliate_xml(one: Affiliate) -> str:
    """XEP-0045 17.4: with the nickname kept, without a role."""
    nick = f' nick="{attribute(one.nick)}"' if one.nick else ""
    reason = f"<reason>{text(one.reason)}</reason>" if one.reason else ""
    return f'<item affiliation="{one.affiliation}" jid="{attribute(one.jid)}"{nick}>{reason}</item>'


def _check_reader(ask: Ask, affiliation: str) -> None:
    """Who may read a list of affiliations; StanzaError forbidden for anybody else.

    Where addresses are hidden, only those who may change it: owners that of owners and admins (10.5, 10.8), admins that
    of members and outcasts.  Where they are not, also members, and occupants of the roles that the room's setting names
    (9.5), but never that of outcasts.
    """
    room, bare = ask.room, ask.from_.bare
    if room.is_at_least(bare, "owner" if affiliation in ("owner", "admin") else "admin"):
        return
    if room.config["whois"] == "anyone" and affiliation != "outcast":
        actor = _actor(ask)
        role = default_role(room.affiliation(bare), False) if actor is None else actor.role
        is_inside = actor is not None or room.is_at_least(bare, "member")
        if room.is_at_least(bare, "admin") or (is_inside and role in room.config["member_list"]):
            return
    raise StanzaError("forbidden", text="This list is not for you.")


# -- changes
async def set_items(ask: Ask) -> bytes:
    """Kick, voice, moderators, bans, members, admins, owners.  Raises StanzaError; then nothing has changed."""
    items = _items(ask)
    if not 0 < len(items) <= _ITEMS_MOST:
        raise StanzaError("bad-request", text=f"A change has 1 to {_ITEMS_MOST} items.")
    room = ask.room
    changes = [_parse(room, item) for item in items]
    standings = [change for change in changes if isinstance(change, Change)]
    roles = [change for change in changes if isinstance(change, _RoleChange)]
    for standing in standings:
        _check_standing(ask, standing)
    for role in roles:
        _check_role(ask, role)
    if standings:
        check_owners(room, standings)
    actor = _actor(ask)
    if standings:
        await change_affiliations(room, standings, actor)
    if roles:
        await _change_roles(room, roles, actor)
    return b""


def _parse(room: Room, item: domish.Element) -> Change | _RoleChange:
    affiliation, role = item.getAttribute("affiliation"), item.getAttribute("role")
    nick, address = item.getAttribute("nick"), item.getAttribute("jid")
    reason = "".join(str(part) for part in item.elements() if part.name == "reason")[:1024]
    if affiliation is not None and role is not None:
        raise StanzaError("bad-request", text="An item says an affiliation or a role, not both.")    # 17.4
    there = room.occupants.get(nick) if nick else None
    if affiliation is not None:
        if affiliation not in AFFILIATIONS:
            raise StanzaError("bad-request", text="There is no such affiliation.")
        return _parse_standing(room, affiliation, address, nick, there, reason)
    if role not in ROLES:
        raise StanzaError("bad-request", text="An item says an affiliation or a role.")
    if there is None and not nick and address:
        there = room.seats.get(address)
    if there is None:
        raise StanzaError("item-not-found", text="Nobody in this room has that nickname.")
    return _RoleChange(there, role, reason)


def _parse_standing(room: Room, affiliation: str, address: str | None, nick: str | None, there: Occupant | None,
                    reason: str) -> Change:
    if not address:
        if there is None:
            raise StanzaError("item-not-found", text="Nobody in this room has that nickname.")
        return Change(there.jid, affiliation, reason)
    try:
        jid = JID.parse(address)
        if nick:
            nick = JID.of("", room.jid.domain, nick).resource
    except InvalidJID:
        raise StanzaError("jid-malformed", text="An item names an invalid address.") from None
    if not jid.local and affiliation not in ("outcast", "none"):
        raise StanzaError("not-acceptable", text="A whole domain can be banned, nothing else.")
    if nick and affiliation not in ("outcast", "none"):
        check_nick(room, nick, jid.bare)
    return Change(jid.bare, affiliation, reason, nick)


def _check_standing(ask: Ask, change: Change) -> None:
    room = ask.room
    if change.jid == ask.from_.bare and change.affiliation == "outcast" and room.is_at_least(change.jid, "admin"):
        raise StanzaError("conflict", text="Nobody bans himself.")
    may, word = may_change_affiliation(room.affiliation(ask.from_.bare), room.affiliation(change.jid),
                                       change.affiliation)
    if not may:
        condition, why = _REFUSED[word]
        raise StanzaError(condition, text=why)


def _check_role(ask: Ask, change: _RoleChange) -> None:
    room, actor = ask.room, _actor(ask)
    if actor is None:
        raise StanzaError("forbidden", text="Only moderators in the room change roles.")
    target = change.occupant
    may, word = may_change_role(actor.role, room.affiliation(actor.jid), target.role, room.affiliation(target.jid),
                                change.role)
    if not may:
        condition, why = _ROLE_REFUSED[word]
        raise StanzaError(condition, text=why)


async def _change_roles(room: Room, changes: list[_RoleChange], actor: Occupant | None) -> None:
    kept = [one for change in changes if (one := kept_role(room, change.occupant.jid, change.role)) is not None]
    if kept:
        await room.service.store.rooms.set_affiliates(room.id, kept)
        room.keep(kept)
    who = actor.nick if actor is not None else ""
    for change in changes:
        target = change.occupant
        if room.occupants.get(target.nick) is not target:
            continue                                            # has left meanwhile, or by the item before
        if change.role == "none":
            room.expel(target, 307, reason=change.reason, actor=who)
        else:
            set_role(room, target, change.role, change.reason, who)
    ended = room.service.left(room)
    if ended is not None:
        await ended
