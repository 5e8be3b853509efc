"""Registering with a room: a nickname of one's own, and membership that is asked for: XEP-0045 7.10, 9.9, XEP-0077.

Where membership gives nothing but the nickname, whoever asks becomes a member at once.  Where it gives entry or voice
(members-only, moderated; with a password, for who is not in the room), the admins decide: those who are in the room get
a form, and the request is kept until somebody answers, and shown to admins who enter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import evolve
from twisted.internet.defer import Deferred

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID, InvalidJID
from chatd.core.muc import Affiliate
from chatd.core.muc_config import field_xml, form_values, says_yes
from chatd.core.stanza import Stanza, text
from chatd.xep.muc.nick import check_nick
from chatd.xep.muc.rate import charge
from chatd.xep.muc.room import Occupant, Room, Seat
from chatd.xep.muc.standing import Change, change_affiliations

if TYPE_CHECKING:
    from chatd.xep.muc.service import Ask

__all__ = ["FORM", "REGISTER", "answer_request", "get_registration", "register", "show_requests"]

REGISTER: Final = "jabber:iq:register"
FORM: Final = "http://jabber.org/protocol/muc#register"
_APPROVE: Final = "Allow this person to become a member?"
_PENDING_MOST: Final = 200


def _known(ask: Ask) -> Affiliate:
    """What the room keeps of who asks; StanzaError not-allowed for an outcast."""
    if ask.room.affiliation(ask.from_.bare) == "outcast":
        raise StanzaError("not-allowed", text="You are banned from this room.")
    return ask.room.affiliates.get(ask.from_.bare, Affiliate(ask.from_.bare))


def get_registration(ask: Ask) -> bytes:
    """The form, or that one is registered already."""
    known = _known(ask)
    if known.nick and not known.pending:
        return f'<query xmlns="{REGISTER}"><registered/><username>{text(known.nick)}</username></query>'.encode()
    form = (f'<x xmlns="{ns.DATA}" type="form"><title>{text(ask.room.bare)}</title>'
            "<instructions>The nickname that is to be kept for you.</instructions>"
            + field_xml("FORM_TYPE", [FORM], "hidden")
            + field_xml("muc#register_roomnick", [known.nick], "text-single", "Nickname", is_required=True) + "</x>")
    return f'<query xmlns="{REGISTER}"><instructions>Fill in the form.</instructions>{form}</query>'.encode()


async def register(ask: Ask) -> bytes:
    """Registers, asks for membership, or takes it back (<remove/>).  Raises StanzaError."""
    room, bare = ask.room, ask.from_.bare
    known = _known(ask)
    if any(part.name == "remove" for part in ask.child.elements()):
        await _remove(room, known)
        return b""
    nick = _wanted_nick(ask)
    check_nick(room, nick, bare)
    charge(room, bare, len(room.seats))
    if known.affiliation == "none" and _is_asked_for(ask):
        if sum(one.pending for one in room.affiliates.values()) >= _PENDING_MOST:
            raise StanzaError("resource-constraint", "wait", text="Too many requests wait for an answer.")
        asked = evolve(known, nick=nick, pending=True)
        await _keep(room, asked)
        request = _request(room, asked)
        room.send([(seat, request.addressed(seat.full)) for one, seat in room.everyone()
                   if room.is_at_least(one.jid, "admin")])
    elif known.affiliation == "none":
        await change_affiliations(room, [Change(bare, "member", nick=nick)])
    else:
        await _keep(room, evolve(known, nick=nick, pending=False))
    return b""


def _wanted_nick(ask: Ask) -> str:
    """The nickname in the form; StanzaError bad-request where there is none."""
    form = next((part for part in ask.child.elements() if part.uri == ns.DATA and part.name == "x"), None)
    if form is None or form.getAttribute("type") != "submit":
        raise StanzaError("bad-request", text="Registration takes the room's form.")
    wanted = "".join(form_values(form, FORM).get("muc#register_roomnick", [])).strip()
    try:
        if wanted:
            return JID.of("", ask.room.jid.domain, wanted).resource
    except InvalidJID:
        pass
    raise StanzaError("bad-request", text="The form asks for a nickname that can be one.")


def _is_asked_for(ask: Ask) -> bool:
    """Do the admins decide?"""
    config = ask.room.config
    return bool(config["members_only"] or config["moderated"] or (config["protected"] and ask.occupant is None))


async def _remove(room: Room, known: Affiliate) -> None:
    """Who was a member is none any more; admins and owners only lose the nickname."""
    if known.affiliation == "member":
        await change_affiliations(room, [Change(known.jid, "none")])
    else:
        await _keep(room, evolve(known, nick="", pending=False))


async def _keep(room: Room, one: Affiliate) -> None:
    await room.service.store.rooms.set_affiliates(room.id, [one])
    room.keep([one])


# -- the admins' side, XEP-0045 9.9
def show_requests(room: Room, seat: Seat) -> None:
    """What waits for an answer, for an admin who has just entered."""
    room.send([(seat, _request(room, one).addressed(seat.full)) for one in room.affiliates.values() if one.pending])


def _request(room: Room, asked: Affiliate) -> Stanza:
    form = (f'<x xmlns="{ns.DATA}" type="form"><title>Request for membership</title>'
            "<instructions>To let this person become a member, say yes below and submit; to skip it, cancel."
            "</instructions>"
            + field_xml("FORM_TYPE", [FORM], "hidden")
            + field_xml("muc#register_roomnick", [asked.nick], "text-single", "Nickname")
            + field_xml("muc#jid", [asked.jid], "jid-single", "Address")
            + field_xml("muc#register_allow", ["0"], "boolean", _APPROVE) + "</x>")
    return Stanza("message", {"from": room.bare}, form.encode(), (f"{ns.DATA} x",))


def answer_request(room: Room, occupant: Occupant | None, bare: str, values: dict[str, list[str]]) -> Deferred[Any]:
    """The answer of `bare`, an admin wherever he is.

    Raises StanzaError forbidden for anybody else, item-not-found where nobody asked.
    """
    if not room.is_at_least(bare, "admin"):
        raise StanzaError("forbidden", text="Only admins decide who becomes a member.")
    asked = room.affiliates.get("".join(values.get("muc#jid", [])))
    if asked is None or not asked.pending:
        raise StanzaError("item-not-found", text="This request has been answered already.")
    if says_yes(values, "muc#register_allow"):
        return Deferred.fromCoroutine(change_affiliations(room, [Change(asked.jid, "member")], occupant))
    return Deferred.fromCoroutine(_keep(room, evolve(asked, nick="", pending=False)))
