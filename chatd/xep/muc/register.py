"""Registering with a room: a nickname of one's own, and membership that is asked for: XEP-0045 7.10, 9.9.

In an open room whoever asks becomes a member at once.  In a members-only room the moderators that are there get a
form; the request is kept until somebody answers, and shown again to moderators who enter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import evolve
from twisted.internet.defer import Deferred

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID, InvalidJID
from chatd.core.muc import Affiliate
from chatd.core.muc_config import field_xml, form_values
from chatd.core.stanza import Stanza, text
from chatd.xep.muc.invite import send_invitation
from chatd.xep.muc.nick import check_nick
from chatd.xep.muc.room import Occupant, Room, Seat

if TYPE_CHECKING:
    from chatd.xep.muc.service import Ask

__all__ = ["APPROVE", "FORM", "REGISTER", "answer_member_form", "get_registration", "register", "show_requests"]

REGISTER: Final = "jabber:iq:register"
FORM: Final = "http://jabber.org/protocol/muc#register"
APPROVE: Final = "Shall this be granted?"
_PENDING_MOST: Final = 200


def get_registration(ask: Ask) -> bytes:
    """The form, or that one is registered already."""
    known = ask.room.affiliates.get(ask.from_.bare)
    if known is not None and known.affiliation == "outcast":
        raise StanzaError("forbidden", text="You are banned from this room.")
    if known is not None and known.nick and not known.pending:
        return f'<query xmlns="{REGISTER}"><registered/><username>{text(known.nick)}</username></query>'.encode()
    form = (f'<x xmlns="{ns.DATA}" type="form"><title>{text(ask.room.bare)}</title>'
            "<instructions>The nickname that is to be kept for you.</instructions>"
            + field_xml("FORM_TYPE", [FORM], "hidden")
            + f'<field var="muc#register_roomnick" type="text-single" label="Nickname"><required/>'
              f"<value>{text(known.nick if known else '')}</value></field></x>")
    return f'<query xmlns="{REGISTER}"><instructions>Fill in the form.</instructions>{form}</query>'.encode()


async def register(ask: Ask) -> bytes:
    """Registers, asks for membership, or takes it back (<remove/>).  Raises StanzaError."""
    room, bare = ask.room, ask.from_.bare
    known = room.affiliates.get(bare, Affiliate(bare))
    if known.affiliation == "outcast":
        raise StanzaError("forbidden", text="You are banned from this room.")
    if any(part.name == "remove" for part in ask.child.elements()):
        await _keep(room, evolve(known, nick="", pending=False))
        return b""
    form = next((part for part in ask.child.elements() if part.uri == ns.DATA and part.name == "x"), None)
    if form is None:
        raise StanzaError("bad-request", text="Registration takes the room's form.")
    nick = "".join(form_values(form, FORM).get("muc#register_roomnick", [])).strip()
    try:
        nick = JID.of("", room.jid.domain, nick).resource if nick else ""
    except InvalidJID:
        nick = ""
    if not nick:
        raise StanzaError("bad-request", text="The form asks for a nickname that can be one.")
    check_nick(room, nick, bare)
    if known.affiliation == "none" and room.config["members_only"]:
        if sum(one.pending for one in room.affiliates.values()) >= _PENDING_MOST:
            raise StanzaError("resource-constraint", "wait", text="Too many requests wait for an answer.")
        asked = evolve(known, nick=nick, pending=True)
        await _keep(room, asked)
        room.send([pair for one, seat in room.everyone() if one.role == "moderator"
                   for pair in [(seat, _request(room, asked).addressed(seat.full))]])
        return b""
    affiliation = known.affiliation if known.affiliation != "none" else "member"
    await _keep(room, evolve(known, nick=nick, affiliation=affiliation, pending=False))
    _show_change(room, bare)
    return b""


def show_requests(room: Room, seat: Seat) -> None:
    """What waits for an answer, for a moderator who has just entered."""
    room.send([(seat, _request(room, one).addressed(seat.full)) for one in room.affiliates.values() if one.pending])


def _request(room: Room, asked: Affiliate) -> Stanza:
    form = (f'<x xmlns="{ns.DATA}" type="form"><title>Request for membership</title>'
            + field_xml("FORM_TYPE", [FORM], "hidden")
            + field_xml("muc#register_roomnick", [asked.nick], "text-single", "Nickname")
            + field_xml("muc#jid", [asked.jid], "jid-single", "Address")
            + field_xml("muc#register_allow", ["0"], "boolean", APPROVE) + "</x>")
    return Stanza("message", {"from": room.bare}, form.encode(), (f"{ns.DATA} x",))


def answer_member_form(room: Room, occupant: Occupant, values: dict[str, list[str]]) -> Deferred[Any]:
    """A moderator's answer; raises StanzaError forbidden for anybody else, item-not-found where nobody asked."""
    if occupant.role != "moderator":
        raise StanzaError("forbidden", text="Only moderators decide who becomes a member.")
    asked = room.affiliates.get("".join(values.get("muc#jid", [])))
    if asked is None or not asked.pending:
        raise StanzaError("item-not-found", text="This request has been answered already.")
    allow = values.get("muc#register_allow", ["0"])[0] in ("1", "true")
    return Deferred.fromCoroutine(_answer(room, asked, allow))


async def _answer(room: Room, asked: Affiliate, allow: bool) -> None:
    if not allow:
        await _keep(room, Affiliate(asked.jid))
        return
    await _keep(room, evolve(asked, affiliation="member", pending=False))
    send_invitation(room, JID.parse(asked.jid), room.bare)


async def _keep(room: Room, one: Affiliate) -> None:
    await room.service.store.rooms.set_affiliates(room.id, [one])
    room.keep([one])


def _show_change(room: Room, bare: str) -> None:
    for occupant in room.find_by_jid(bare):
        if occupant.role == "visitor":
            occupant.role = "participant"
        room.show(occupant)
