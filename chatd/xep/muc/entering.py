"""Entering, leaving, changing the nickname, showing presence: XEP-0045 7.1, 7.2, 7.6, 7.7, 7.14.

Whoever may not enter gets the error of the first rule that is broken; the rules have files of their own.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.muc import default_role
from chatd.core.stanza import Stanza
from chatd.xep.muc.history import load_history, past
from chatd.xep.muc.max_users import check_users
from chatd.xep.muc.members_only import check_member
from chatd.xep.muc.nick import check_nick
from chatd.xep.muc.password import check_password
from chatd.xep.muc.register import show_requests
from chatd.xep.muc.room import OCCUPANT_ID, Occupant, Room, Seat, item_xml, user_xml
from chatd.xep.muc.subject import subject_of
from chatd.xep.muc.vcard import room_presence

__all__ = ["take_presence"]

_MUC_X: Final = f"{ns.MUC} x"


def take_presence(room: Room, stanza: Stanza, from_: JID, to: JID) -> Deferred[Any] | None:
    """Presence to a room or an address in it; raises StanzaError."""
    kind = stanza.attrs.get("type")
    occupant = room.seats.get(from_.full)
    if kind == "unavailable":
        if occupant is not None:
            return leave(room, occupant, from_.full, stanza)
        return None
    if kind == "error":
        # What the room sent could not be delivered: that client is gone.
        return leave(room, occupant, from_.full, None, 333) if occupant is not None else None
    if kind is not None:
        return None
    if not to.resource:
        raise StanzaError("jid-malformed", text="Entering a room takes a nickname: room@service/nickname.")
    if occupant is None:
        if _MUC_X not in stanza.children:
            _tell_not_there(room, from_, to)
            return None
        return Deferred.fromCoroutine(_enter(room, stanza, from_, to.resource))
    if occupant.nick != to.resource:
        _change_nick(room, occupant, from_.full, stanza, to.resource)
        return None
    if _MUC_X in stanza.children:               # the client has lost track and enters again
        return Deferred.fromCoroutine(_sit_down(room, occupant, stanza, from_, []))
    seat = occupant.seats.pop(from_.full)
    seat.presence = cleaned(stanza)
    occupant.seats[from_.full] = seat
    room.show(occupant)
    return None


def cleaned(stanza: Stanza) -> Stanza:
    """A presence without what only the room may say, and without what only the room should read."""
    return (stanza.without(ns.MUC, "x").without(ns.MUC_USER, "x").without(OCCUPANT_ID, "occupant-id")
            .without("urn:xmpp:hats:0", "hats"))


async def _enter(room: Room, stanza: Stanza, from_: JID, nick: str) -> None:
    bare = from_.bare
    if room.locked and not room.is_at_least(bare, "owner"):
        raise StanzaError("item-not-found", text="This room is being set up; try again later.")
    if room.affiliation(bare) == "outcast":
        raise StanzaError("forbidden", text="You are banned from this room.")
    check_member(room, bare)
    check_password(room, stanza)
    check_nick(room, nick, bare)
    occupant = room.occupants.get(nick)
    if occupant is None:
        check_users(room, bare)
        role = default_role(room.affiliation(bare), room.config["moderated"])
        occupant = Occupant(nick, f"{room.bare}/{nick}", bare, role, room.mark_of(bare))
    elif len(occupant.seats) >= 32:
        raise StanzaError("resource-constraint", "wait", text="Too many of your clients are in this room.")
    codes = [100] if room.config["whois"] == "anyone" else []
    if room.locked:
        codes.append(201)
    await _sit_down(room, occupant, stanza, from_, codes)


async def _sit_down(room: Room, occupant: Occupant, stanza: Stanza, from_: JID, codes: list[int]) -> None:
    """All that a client gets to see on entering (XEP-0045 7.1): the others, itself, what was said, the subject."""
    if room.history is None:
        await load_history(room)
    service = room.service
    seat = Seat(from_.full, service.session_of(from_), cleaned(stanza))
    room.occupants[occupant.nick] = occupant
    room.seats[from_.full] = occupant
    occupant.seats.pop(from_.full, None)
    occupant.seats[from_.full] = seat
    sees = room.sees_addresses(occupant)
    first = []
    greeting = room_presence(room)
    if greeting is not None:
        first.append((seat, greeting.addressed(seat.full)))
    for other in room.occupants.values():
        if other is not occupant and other.role in room.config["broadcast"]:
            real = next(reversed(other.seats)) if sees else ""
            item = item_xml(room.affiliation(other.jid), other.role, real)
            first.append((seat, room.presence(other, item, shown=other.shown).addressed(seat.full)))
    room.send(first)
    room.show(occupant, joined=seat, joined_codes=codes)
    then = [(seat, message.addressed(seat.full)) for message in past(room, stanza, int(service.now() * 1000))]
    then.append((seat, subject_of(room).addressed(seat.full)))
    room.send(then)
    if occupant.role == "moderator":
        show_requests(room, seat)


def leave(room: Room, occupant: Occupant, full: str, stanza: Stanza | None, *codes: int) -> Deferred[Any] | None:
    """One client leaves; the occupant does with the last one."""
    shown = cleaned(stanza) if stanza is not None else None
    seat = occupant.seats[full]
    if len(occupant.seats) > 1:
        room.show_gone(occupant, codes, shown=shown, seats=[seat])
        del occupant.seats[full]
        del room.seats[full]
        room.show(occupant)
        return None
    room.show_gone(occupant, codes, shown=shown)
    room.remove(occupant)
    return room.service.left(room)


def _change_nick(room: Room, occupant: Occupant, full: str, stanza: Stanza, nick: str) -> None:
    """XEP-0045 7.6: all clients of the occupant get the new nickname."""
    check_nick(room, nick, occupant.jid)
    if nick in room.occupants:
        raise StanzaError("conflict", text="You are in the room under this nickname, too.")
    room.show_gone(occupant, (303,), nick=nick, role=occupant.role)
    del room.occupants[occupant.nick]
    occupant.nick, occupant.address = nick, f"{room.bare}/{nick}"
    seat = occupant.seats.pop(full)
    seat.presence = cleaned(stanza)
    occupant.seats[full] = seat
    room.occupants[nick] = occupant
    room.show(occupant)


def _tell_not_there(room: Room, from_: JID, to: JID) -> None:
    """A client believes that it is in the room, perhaps since before a restart: it learns that it is not."""
    item = item_xml(room.affiliation(from_.bare), "none")
    stanza = Stanza("presence", {"from": to.full, "to": from_.full, "type": "unavailable"},
                    user_xml(item, (110, 333)).encode(), (f"{ns.MUC_USER} x",))
    room.service.router.back(stanza)
