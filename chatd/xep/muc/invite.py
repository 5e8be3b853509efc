"""Mediated invitations and how they are declined: XEP-0045 7.8.2.  Direct ones (XEP-0249) pass by the room."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID, InvalidJID
from chatd.core.muc import Affiliate
from chatd.core.stanza import Stanza, attribute, text
from chatd.xep.muc.room import Occupant, Room

__all__ = ["send_invitation", "take_invitation"]

_INVITED_MOST = 20


def take_invitation(room: Room, occupant: Occupant | None, stanza: Stanza, from_: JID) -> Deferred[Any] | None:
    """An <x/> of muc#user with <invite/>s or a <decline/>; raises StanzaError."""
    parts = [part for child in stanza.element.elements() if child.uri == ns.MUC_USER and child.name == "x"
             for part in child.elements()]
    declined = [part for part in parts if part.name == "decline"]
    if declined:
        _decline(room, declined[0], from_)
        return None
    invited = [part for part in parts if part.name == "invite"]
    if not invited or len(invited) > _INVITED_MOST:
        raise StanzaError("bad-request", text=f"An invitation is for 1 to {_INVITED_MOST} people.")
    if occupant is None:
        raise StanzaError("not-acceptable", text="Only who is in the room may invite to it.")
    return Deferred.fromCoroutine(_invite(room, occupant, invited))


async def _invite(room: Room, occupant: Occupant, invited: list[domish.Element]) -> None:
    is_admin = room.is_at_least(occupant.jid, "admin")
    if not is_admin and not room.config["invites"]:
        raise StanzaError("forbidden", text="Only admins may invite to this room.")
    guests = [(_address(part), part) for part in invited]
    newcomers = [jid.bare for jid, _ in guests if room.affiliation(jid.bare) == "none"]
    if room.config["members_only"] and newcomers:
        if not is_admin:
            raise StanzaError("forbidden", text="Only admins may invite new members to this room.")
        members = [Affiliate(bare, "member") for bare in newcomers]         # XEP-0045 7.8.2
        await room.service.store.rooms.set_affiliates(room.id, members)
        room.keep(members)
    for jid, part in guests:
        if room.affiliation(jid.bare) != "outcast":
            thread = next((child for child in part.elements() if child.name == "continue"), None)
            send_invitation(room, jid, occupant.address if room.config["whois"] != "anyone" else occupant.jid,
                            _reason(part), thread)


def send_invitation(room: Room, to: JID, inviter: str, reason: str = "", thread: domish.Element | None = None) -> None:
    """Invites somebody in the room's name, with its password where it has one."""
    said = f"<reason>{text(reason)}</reason>" if reason else ""
    if thread is not None:
        said += f'<continue thread="{attribute(thread.getAttribute("thread") or "")}"/>'
    password = f"<password>{text(room.config['password'])}</password>" if room.config["protected"] else ""
    inner = f'<x xmlns="{ns.MUC_USER}"><invite from="{attribute(inviter)}">{said}</invite>{password}</x>'
    # For clients that only know XEP-0249; also what keeps the invitation for somebody who is away.
    inner += f'<x xmlns="jabber:x:conference" jid="{attribute(room.bare)}"/>'
    stanza = Stanza("message", {"from": room.bare, "to": to.full}, inner.encode(),
                    (f"{ns.MUC_USER} x", "jabber:x:conference x"))
    room.service.router.route(stanza, room.jid, to)


def _decline(room: Room, part: domish.Element, from_: JID) -> None:
    """Tells the inviter, who may be named by the address in the room or, in open ones, by the real one."""
    to = _address(part)
    said = f"<reason>{text(_reason(part))}</reason>" if _reason(part) else ""
    inner = f'<x xmlns="{ns.MUC_USER}"><decline from="{attribute(from_.bare)}">{said}</decline></x>'.encode()
    stanza = Stanza("message", {"from": room.bare}, inner, (f"{ns.MUC_USER} x",))
    found = room.occupants.get(to.resource) if to.bare == room.bare else next(iter(room.find_by_jid(to.bare)), None)
    if found is None:
        raise StanzaError("item-not-found", text="Who invited you is not in the room any more.")
    room.send([(seat, stanza.addressed(seat.full)) for seat in found.seats.values()])


def _address(part: domish.Element) -> JID:
    try:
        return JID.parse(part.getAttribute("to") or "")
    except InvalidJID:
        raise StanzaError("jid-malformed", text="The invitation is for no valid address.") from None


def _reason(part: domish.Element) -> str:
    return "".join(str(child) for child in part.elements() if child.name == "reason")[:1024]
