"""Entering, leaving, changing the nickname, showing presence: XEP-0045 7.1, 7.2, 7.6, 7.7, 7.14.

Whoever may not enter gets the error of the first rule that is broken; the rules have files of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.muc_config import is_logged
from chatd.core.stanza import Stanza
from chatd.xep.muc.history import load_history, past
from chatd.xep.muc.max_users import check_users
from chatd.xep.muc.members_only import check_member
from chatd.xep.muc.nick import check_nick, locked_nick
from chatd.xep.muc.password import check_password
from chatd.xep.muc.presence_broadcast import others_for
from chatd.xep.muc.rate import charge
from chatd.xep.muc.register import show_requests
from chatd.xep.muc.roles import role_of
from chatd.xep.muc.room import OCCUPANT_ID, Occupant, Room, Seat, item_xml, user_xml
from chatd.xep.muc.subject import subject_of
from chatd.xep.muc.vcard import room_presence

if TYPE_CHECKING:
    from chatd.xep.muc.service import Conference

__all__ = ["leave", "take_presence", "tell_not_there"]

_MUC_X: Final = f"{ns.MUC} x"
_SEATS_MOST: Final = 32


def take_presence(room: Room, stanza: Stanza, from_: JID, to: JID) -> Deferred[Any] | None:
    """Presence to a room or an address in it; raises StanzaError."""
    kind = stanza.attrs.get("type")
    occupant = room.seats.get(from_.full)
    if kind == "unavailable":
        return leave(room, occupant, from_.full, stanza) if occupant is not None else None
    if kind == "error":
        # What the room sent could not be delivered: that client is gone.
        return leave(room, occupant, from_.full, None, 333) if occupant is not None else None
    if kind == "subscribe":
        room.service.router.back(Stanza("presence", {"from": room.bare, "to": from_.bare, "type": "unsubscribed"}))
    if kind is not None:
        return None                             # XEP-0045 17.3: neither enters nor leaves
    if not to.resource:
        raise StanzaError("jid-malformed", "modify",
                          text="Entering a room takes a nickname: room@service/nickname.")
    is_entering = _MUC_X in stanza.children
    if occupant is None:
        if not is_entering:
            tell_not_there(room.service, from_, to, room.affiliation(from_.bare))
            return None
        return Deferred.fromCoroutine(_enter(room, stanza, from_, to.resource))
    charge(room, from_.bare, len(room.seats))
    if occupant.nick != to.resource:
        _change_nick(room, occupant, to.resource)
    if is_entering:                             # the client has lost track and enters again
        return Deferred.fromCoroutine(_sit_down(room, occupant, stanza, from_))
    seat = occupant.seats.pop(from_.full)       # the one shown is the last
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
    codes = []
    own = locked_nick(room, bare)
    if own and own != nick:
        nick = own
        codes.append(210)                       # XEP-0045 7.10
    check_nick(room, nick, bare)
    occupant = room.occupants.get(nick)
    charge(room, bare, 2 * len(room.seats) + 1)
    if occupant is None:
        check_users(room, bare)
        occupant = Occupant(nick, f"{room.bare}/{nick}", bare, role_of(room, bare), room.mark_of(bare))
    elif len(occupant.seats) >= _SEATS_MOST:
        raise StanzaError("resource-constraint", "wait", text="Too many of your clients are in this room.")
    await _sit_down(room, occupant, stanza, from_, *codes)


async def _sit_down(room: Room, occupant: Occupant, stanza: Stanza, from_: JID, *codes: int) -> None:
    """All that a client gets to see on entering (XEP-0045 7.1): the others, itself, what was said, the subject."""
    if room.history is None:
        await load_history(room)
    service = room.service
    seat = Seat(from_.full, service.session_of(from_), cleaned(stanza))
    room.occupants[occupant.nick] = occupant
    room.seats[from_.full] = occupant
    occupant.seats.pop(from_.full, None)
    occupant.seats[from_.full] = seat
    greeting = room_presence(room)
    if greeting is not None:
        room.send([(seat, greeting.addressed(seat.full))])
    room.send(others_for(room, occupant, seat))
    room.show(occupant, joined=seat, joined_codes=[*_codes(room), *codes], joined_id=stanza.id)
    then = [(seat, message.addressed(seat.full)) for message in past(room, stanza, int(service.now() * 1000))]
    then.append((seat, subject_of(room).addressed(seat.full)))
    room.send(then)
    if room.is_at_least(occupant.jid, "admin"):
        show_requests(room, seat)


def _codes(room: Room) -> list[int]:
    """What whoever enters is warned of: XEP-0045 7.2.3, 7.2.12, 10.1.1."""
    codes = [100] if room.config["whois"] == "anyone" else []
    if is_logged(room.config):
        codes.append(170)
    if room.locked:
        codes.append(201)
    return codes


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
    # A room that was never set up ends with that (XEP-0045 10.1.3).
    also = "<destroy/>" if room.locked and len(room.occupants) == 1 else ""
    room.show_gone(occupant, codes, shown=shown, also=also)
    room.remove(occupant)
    return room.service.left(room)


def _change_nick(room: Room, occupant: Occupant, nick: str) -> None:
    """XEP-0045 7.6, up to the presence under the new nickname: all clients of the occupant have it."""
    own = locked_nick(room, occupant.jid)
    if own and own != nick:
        raise StanzaError("not-acceptable", text=f"Your nickname in this room is {own}.")
    check_nick(room, nick, occupant.jid)
    if nick in room.occupants:
        raise StanzaError("conflict", text="You are in the room under this nickname, too.")
    room.show_gone(occupant, (303,), nick=nick, role=occupant.role)
    del room.occupants[occupant.nick]
    occupant.nick, occupant.address = nick, f"{room.bare}/{nick}"
    room.occupants[nick] = occupant


def tell_not_there(service: Conference, from_: JID, to: JID, affiliation: str = "none") -> None:
    """A client believes that it is in the room, perhaps since before a restart: it learns that it is not (7.2.17)."""
    item = item_xml(affiliation, "none", reason="You are not in this room.")
    stanza = Stanza("presence", {"from": to.full, "to": from_.full, "type": "unavailable"},
                    user_xml(item, (110, 307, 333)).encode(), (f"{ns.MUC_USER} x",))
    service.router.back(stanza)
