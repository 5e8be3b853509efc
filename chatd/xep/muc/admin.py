"""Roles and affiliations, and the lists of them: XEP-0045 8 (moderators) and 9 (admins), namespace muc#admin.

All changes of one request are checked before the first is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID, InvalidJID
from chatd.core.muc import (
    AFFILIATIONS,
    ROLES,
    Affiliate,
    default_role,
    may_change_affiliation,
    may_change_role,
)
from chatd.core.stanza import Stanza
from chatd.xep.muc.invite import send_invitation
from chatd.xep.muc.room import Occupant, Room, item_xml, user_xml

if TYPE_CHECKING:
    from chatd.xep.muc.service import Ask

__all__ = ["ADMIN", "get_list", "set_items"]

ADMIN: Final = "http://jabber.org/protocol/muc#admin"
_ITEMS_MOST: Final = 500
_AFFILIATES_MOST: Final = 10_000


@attrs.frozen
class _Change:
    """One item of a request: the bare address and affiliation, or the occupant and role."""

    jid: JID | None
    affiliation: str
    occupant: Occupant | None
    role: str
    reason: str
    nick: str


def get_list(ask: Ask) -> bytes:
    """Everybody of one affiliation or role.  Raises StanzaError bad-request, forbidden."""
    items = [part for part in ask.child.elements() if part.name == "item"]
    if len(items) != 1:
        raise StanzaError("bad-request", text="One list at a time, please.")
    room, occupant = ask.room, ask.occupant
    affiliation, role = items[0].getAttribute("affiliation"), items[0].getAttribute("role")
    found = []
    if affiliation in AFFILIATIONS and affiliation != "none":
        _check_reader(ask, affiliation)
        found = [item_xml(affiliation, "none" if not room.find_by_jid(one.jid) else room.find_by_jid(one.jid)[0].role,
                          one.jid, one.nick, one.reason) for one in room.affiliated(affiliation)]
    elif role in ROLES and role != "none" and affiliation is None:
        if occupant is None or occupant.role != "moderator":
            raise StanzaError("forbidden", text="Only moderators get this list.")
        found = [item_xml(room.affiliation(one.jid), role, next(iter(one.seats)), one.nick)
                 for one in room.occupants.values() if one.role == role]
    else:
        raise StanzaError("bad-request", text="A list is of one affiliation or one role.")
    return f'<query xmlns="{ADMIN}">{"".join(found)}</query>'.encode()


def _check_reader(ask: Ask, affiliation: str) -> None:
    """Admins read every list; the others those that the room's setting opens to their role, never that of outcasts."""
    room, occupant = ask.room, ask.occupant
    if room.is_at_least(ask.from_.bare, "admin"):
        return
    may = affiliation != "outcast" and occupant is not None and occupant.role in room.config["member_list"]
    # Real addresses are in it, which not everybody may see (XEP-0045 4.2).
    if not may or occupant is None or not (room.sees_addresses(occupant) or room.config["members_only"]):
        raise StanzaError("forbidden", text="This list is not for you.")


async def set_items(ask: Ask) -> bytes:
    """Kick, voice, moderators, bans, members, admins, owners.  Raises StanzaError; then nothing has changed."""
    items = [part for part in ask.child.elements() if part.name == "item"]
    if not 0 < len(items) <= _ITEMS_MOST:
        raise StanzaError("bad-request", text=f"A change has 1 to {_ITEMS_MOST} items.")
    changes = [_parse(ask.room, item) for item in items]
    room = ask.room
    for change in changes:
        _check(ask, change)
    _check_owners(room, changes)
    kept = [_affiliate(room, change) for change in changes if change.jid is not None]
    before = {one.jid: room.affiliation(one.jid) for one in kept}
    if len(room.affiliates) + len(kept) > _AFFILIATES_MOST:
        raise StanzaError("resource-constraint", "wait", text="The room's lists are full.")
    if kept:
        await room.service.store.rooms.set_affiliates(room.id, kept)
        room.keep(kept)
    actor = ask.occupant.nick if ask.occupant is not None else ""
    for change in changes:
        if change.jid is not None:
            _apply_affiliation(room, change.jid.bare, before[change.jid.bare], change, actor)
        elif change.occupant is not None and change.occupant.seats and change.occupant.nick in room.occupants:
            _apply_role(room, change.occupant, change, actor)
    return b""


def _parse(room: Room, item: domish.Element) -> _Change:
    affiliation, role = item.getAttribute("affiliation"), item.getAttribute("role")
    nick, address = item.getAttribute("nick") or "", item.getAttribute("jid")
    reason = "".join(str(part) for part in item.elements() if part.name == "reason")[:1024]
    there = room.occupants.get(nick) if nick else None
    if affiliation is not None:
        if affiliation not in AFFILIATIONS:
            raise StanzaError("bad-request", text="There is no such affiliation.")
        try:
            jid = JID.parse(address) if address else JID.parse(there.jid) if there is not None else None
        except InvalidJID:
            raise StanzaError("jid-malformed", text="An item names an invalid address.") from None
        if jid is None:
            raise StanzaError("item-not-found", text="Nobody in this room has that nickname.")
        return _Change(JID.parse(jid.bare), affiliation, None, "", reason, nick if address else "")
    if role not in ROLES:
        raise StanzaError("bad-request", text="An item says an affiliation or a role.")
    if there is None and address:
        there = room.seats.get(address)
    if there is None:
        raise StanzaError("item-not-found", text="Nobody in this room has that nickname.")
    return _Change(None, "", there, role, reason, "")


def _check(ask: Ask, change: _Change) -> None:
    room, actor = ask.room, room_affiliation(ask)
    if change.jid is not None:
        may, word = may_change_affiliation(actor, room.affiliation(change.jid.bare), change.affiliation)
        if not may:
            raise StanzaError("forbidden" if word == "affiliation" else "not-allowed", text={
                "affiliation": "Only admins and owners change affiliations.",
                "rank": "Only owners change the affiliation of admins and owners."}[word])
        if change.jid.bare == ask.from_.bare and change.affiliation == "outcast":
            raise StanzaError("conflict", text="Nobody bans himself.")
        return
    assert change.occupant is not None
    if ask.occupant is None:
        raise StanzaError("forbidden", text="Only moderators in the room change roles.")
    may, word = may_change_role(ask.occupant.role, actor, change.occupant.role,
                                room.affiliation(change.occupant.jid), change.role)
    if not may:
        raise StanzaError("forbidden" if word == "role" else "not-allowed", text={
            "role": "Only moderators change roles.",
            "rank": "This occupant's affiliation is out of your reach.",
            "affiliation": "Only admins and owners decide who moderates."}[word])


def room_affiliation(ask: Ask) -> str:
    """The standing of who asks."""
    return ask.room.affiliation(ask.from_.bare)


def _check_owners(room: Room, changes: list[_Change]) -> None:
    """A room always has an owner (XEP-0045 10.4)."""
    owners = {one.jid for one in room.affiliated("owner")}
    for change in changes:
        if change.jid is not None:
            owners.add(change.jid.bare) if change.affiliation == "owner" else owners.discard(change.jid.bare)
    if not owners:
        raise StanzaError("conflict", text="A room needs an owner: make somebody else one first.")


def _affiliate(room: Room, change: _Change) -> Affiliate:
    assert change.jid is not None
    known = room.affiliates.get(change.jid.bare, Affiliate(change.jid.bare))
    nick = "" if change.affiliation in ("none", "outcast") else (change.nick or known.nick)
    if any(one.nick == nick and one.jid != known.jid for one in room.affiliates.values()):
        nick = known.nick
    return Affiliate(known.jid, change.affiliation, nick, change.reason)


def _apply_affiliation(room: Room, bare: str, old: str, change: _Change, actor: str) -> None:
    new = change.affiliation
    found = room.find_by_jid(bare)
    for occupant in found:
        if new == "outcast":
            room.expel(occupant, 301, reason=change.reason, actor=actor)
        elif new == "none" and room.config["members_only"]:
            room.expel(occupant, 321, reason=change.reason, actor=actor)
        else:
            usual = default_role(new, room.config["moderated"])
            if usual == "moderator" or old in ("owner", "admin") or (new == "member" and occupant.role == "visitor"):
                occupant.role = usual
            room.show(occupant, reason=change.reason, actor=actor)
    if found:
        return
    # XEP-0045 9.3 and others: who is not here does not show; those who may see addresses are told all the same.
    stanza = Stanza("message", {"from": room.bare}, user_xml(item_xml(new, "none", bare)).encode(), (
        f"{ns.MUC_USER} x",))
    room.send([(seat, stanza.addressed(seat.full)) for one, seat in room.everyone() if room.sees_addresses(one)])
    if new == "member" and old == "none" and room.config["members_only"]:
        send_invitation(room, JID.parse(bare), room.bare, change.reason)


def _apply_role(room: Room, occupant: Occupant, change: _Change, actor: str) -> None:
    if change.role == "none":
        room.expel(occupant, 307, reason=change.reason, actor=actor)
        return
    occupant.role = change.role
    room.show(occupant, reason=change.reason, actor=actor)
