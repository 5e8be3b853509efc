"""Mediated invitations and how they are declined: XEP-0045 7.8.2, 9.5.  Direct ones (XEP-0249) pass by the room."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID, InvalidJID
from chatd.core.muc import Affiliate
from chatd.core.stanza import Stanza, attribute, text
from chatd.xep.muc.rate import charge
from chatd.xep.muc.room import Occupant, Room

__all__ = ["send_invitation", "take_invitation"]

_INVITED_MOST: Final = 20
_REMEMBERED_MOST: Final = 1000
_PRICE: Final = 500         # of one invitation, in messages delivered (rate.py)
_USER_X: Final = f"{ns.MUC_USER} x"


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
    charge(room, occupant.jid, _PRICE * len(invited))
    return Deferred.fromCoroutine(_invite(room, occupant, stanza, invited))


async def _invite(room: Room, occupant: Occupant, stanza: Stanza, invited: list[domish.Element]) -> None:
    guests = [(_address(part), part) for part in invited]
    newcomers = [jid.bare for jid, _ in guests if room.affiliation(jid.bare) == "none"]
    is_closed = room.config["members_only"]
    if not room.is_at_least(occupant.jid, "admin"):
        if not room.config["invites"]:
            raise StanzaError("forbidden", text="Only admins may invite to this room.")
        if is_closed and newcomers and not room.config["member_invites"]:
            raise StanzaError("forbidden", text="Only admins may invite new members to this room.")
    for jid, _ in guests:
        await _check_person(room, jid)
    if is_closed and newcomers:
        members = [Affiliate(bare, "member") for bare in newcomers]
        await room.service.store.rooms.set_affiliates(room.id, members)
        room.keep(members)
    inviter = occupant.jid if room.config["whois"] == "anyone" else occupant.address
    for jid, part in guests:
        if room.affiliation(jid.bare) == "outcast":
            continue
        while len(room.invited) >= _REMEMBERED_MOST:
            room.invited.popitem(last=False)
        room.invited[jid.bare] = occupant.jid
        thread = next((child for child in part.elements() if child.name == "continue"), None)
        send_invitation(room, jid, inviter, _reason(part), thread, stanza.id)


async def _check_person(room: Room, jid: JID) -> None:
    """Raises StanzaError item-not-found for an account that is not there (XEP-0045 7.8.2), as a message would get."""
    router = room.service.router
    if jid.domain not in router.domains:
        return
    account = await maybeDeferred(router.accounts.load, jid) if jid.local else None
    if account is None:
        raise StanzaError("item-not-found", text=f"There is no account {jid.bare}.")


def send_invitation(room: Room, to: JID, inviter: str, reason: str = "", thread: domish.Element | None = None,
                    id_: str | None = None) -> None:
    """Invites somebody in the room's name, with its password where it has one."""
    said = f"<reason>{text(reason)}</reason>" if reason else ""
    direct = f' reason="{attribute(reason)}"' if reason else ""
    if thread is not None:
        named = thread.getAttribute("thread") or ""
        said += f'<continue thread="{attribute(named)}"/>' if named else "<continue/>"
        direct += ' continue="true"' + (f' thread="{attribute(named)}"' if named else "")
    password = ""
    if room.config["protected"]:
        password = f"<password>{text(room.config['password'])}</password>"
        direct += f' password="{attribute(room.config["password"])}"'
    inner = f'<x xmlns="{ns.MUC_USER}"><invite from="{attribute(inviter)}">{said}</invite>{password}</x>'
    # For clients that only know XEP-0249; also what keeps the invitation for somebody who is away.
    inner += f'<x xmlns="jabber:x:conference" jid="{attribute(room.bare)}"{direct}/>'
    attributes = {"from": room.bare, "to": to.full, **({"id": id_} if id_ else {})}
    stanza = Stanza("message", attributes, inner.encode(), (_USER_X, "jabber:x:conference x"))
    room.service.router.route(stanza, room.jid, to)


def _decline(room: Room, part: domish.Element, from_: JID) -> None:
    """Tells the inviter, who is known to the room whatever the invited says; nobody else can be written to this way.

    Raises StanzaError item-not-found where nobody in the room has invited the sender, as far as the room remembers.
    """
    inviter = room.invited.pop(from_.bare, None)
    found = room.find_by_jid(inviter) if inviter is not None else []
    if inviter is None or not (found or room.is_at_least(inviter, "member")):
        raise StanzaError("item-not-found", text="Who invited you is not in the room any more.")
    said = f"<reason>{text(_reason(part))}</reason>" if _reason(part) else ""
    inner = f'<x xmlns="{ns.MUC_USER}"><decline from="{attribute(from_.bare)}">{said}</decline></x>'.encode()
    stanza = Stanza("message", {"from": room.bare}, inner, (_USER_X,))
    if found:
        room.send([(seat, stanza.addressed(seat.full)) for one in found for seat in one.seats.values()])
    else:
        room.service.router.route(stanza.addressed(inviter), room.jid, JID.parse(inviter))


def _address(part: domish.Element) -> JID:
    try:
        return JID.parse(part.getAttribute("to") or "")
    except InvalidJID:
        raise StanzaError("jid-malformed", text="The invitation is for no valid address.") from None


def _reason(part: domish.Element) -> str:
    return "".join(str(child) for child in part.elements() if child.name == "reason")[:1024]
