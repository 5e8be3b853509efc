"""Asking for voice, and the moderators' answer: XEP-0045 7.13, 8.6."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.muc_config import field_xml, form_values, says_yes
from chatd.core.stanza import Stanza
from chatd.xep.muc.register import FORM as MEMBER_FORM
from chatd.xep.muc.register import answer_request
from chatd.xep.muc.roles import kept_role, set_role
from chatd.xep.muc.room import Occupant, Room

__all__ = ["FORM", "take_form"]

FORM: Final = "http://jabber.org/protocol/muc#request"
_APPROVE: Final = "Grant voice to this person?"
_AGAIN_S: Final = 30.0      # before the moderators are asked by the same person again


def take_form(room: Room, occupant: Occupant | None, stanza: Stanza, from_: JID) -> Deferred[Any] | None:
    """A form in a message: an occupant's request for voice, a moderator's answer to it, or an admin's to a request for
    membership; raises StanzaError."""
    form = next(child for child in stanza.element.elements() if child.uri == ns.DATA and child.name == "x")
    if form.getAttribute("type") == "cancel":
        return None
    if form.getAttribute("type") != "submit":
        raise StanzaError("bad-request", "modify", text="A form is sent here to submit it, or to cancel.")
    if _type(form) == MEMBER_FORM:
        return answer_request(room, occupant, from_.bare, form_values(form, MEMBER_FORM))
    if occupant is None:
        raise StanzaError("not-acceptable", "modify", text="You are not in this room.")
    values = form_values(form, FORM)
    if occupant.role == "moderator":
        return _answer(room, occupant, values)
    if occupant.role == "visitor":
        _ask(room, occupant)
    return None


def _type(form: domish.Element) -> str:
    for field in form.elements():
        if field.getAttribute("var") == "FORM_TYPE":
            return "".join(str(value) for value in field.elements())
    return ""


def _ask(room: Room, occupant: Occupant) -> None:
    """Shows the request to all moderators; StanzaError resource-constraint where they were just asked."""
    now = room.service.now()
    if now - occupant.asked_voice < _AGAIN_S:
        raise StanzaError("resource-constraint", "wait", text="The moderators have been asked; give them time.")
    occupant.asked_voice = now
    real = next(iter(occupant.seats))
    form = (f'<x xmlns="{ns.DATA}" type="form"><title>Request for voice</title>'
            "<instructions>To let this person write to everybody, say yes below and submit; to skip it, cancel."
            "</instructions>"
            + field_xml("FORM_TYPE", [FORM], "hidden")
            + field_xml("muc#role", ["participant"], "list-single", "Role asked for",
                        [("participant", "Participant")])
            + field_xml("muc#jid", [real], "jid-single", "Address")
            + field_xml("muc#roomnick", [occupant.nick], "text-single", "Nickname")
            + field_xml("muc#request_allow", ["0"], "boolean", _APPROVE) + "</x>")
    stanza = Stanza("message", {"from": room.bare}, form.encode(), (f"{ns.DATA} x",))
    room.send([(seat, stanza.addressed(seat.full)) for one, seat in room.everyone() if one.role == "moderator"])


def _answer(room: Room, moderator: Occupant, values: dict[str, list[str]]) -> Deferred[Any] | None:
    if not says_yes(values, "muc#request_allow"):
        return None
    target = room.occupants.get("".join(values.get("muc#roomnick", [])))
    real = "".join(values.get("muc#jid", []))
    if target is None or (real and real not in target.seats):       # or somebody else has that nickname now
        raise StanzaError("item-not-found", text="Who asked is not in the room any more.")
    return Deferred.fromCoroutine(_give(room, target, moderator)) if target.role == "visitor" else None


async def _give(room: Room, target: Occupant, moderator: Occupant) -> None:
    kept = kept_role(room, target.jid, "participant")
    if kept is not None:
        await room.service.store.rooms.set_affiliates(room.id, [kept])
        room.keep([kept])
    if target.seats and room.occupants.get(target.nick) is target:
        set_role(room, target, "participant", actor=moderator.nick)
