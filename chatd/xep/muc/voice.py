"""Asking for voice in a moderated room, and the moderators' answer: XEP-0045 7.13, 8.6."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.muc_config import field_xml, form_values
from chatd.core.stanza import Stanza
from chatd.xep.muc.register import APPROVE, answer_member_form
from chatd.xep.muc.register import FORM as MEMBER_FORM
from chatd.xep.muc.room import Occupant, Room

__all__ = ["take_voice_form"]

_FORM: Final = "http://jabber.org/protocol/muc#request"


def take_voice_form(room: Room, occupant: Occupant, stanza: Stanza) -> Deferred[Any] | None:
    """A submitted form of an occupant: a request for voice, or a moderator's answer; raises StanzaError."""
    form = next(child for child in stanza.element.elements() if child.uri == ns.DATA and child.name == "x")
    if form.getAttribute("type") == "cancel":
        return None
    if _type(form) == MEMBER_FORM:
        return answer_member_form(room, occupant, form_values(form, MEMBER_FORM))
    values = form_values(form, _FORM)
    if occupant.role == "moderator":
        _answer(room, occupant, values)
    elif occupant.role == "visitor":
        _ask(room, occupant)
    return None


def _type(form: domish.Element) -> str:
    for field in form.elements():
        if field.getAttribute("var") == "FORM_TYPE":
            return "".join(str(value) for value in field.elements())
    return ""


def _ask(room: Room, occupant: Occupant) -> None:
    """Shows the request to all moderators."""
    real = next(iter(occupant.seats))
    form = (f'<x xmlns="{ns.DATA}" type="form"><title>Request for voice</title>'
            + field_xml("FORM_TYPE", [_FORM], "hidden")
            + field_xml("muc#role", ["participant"], "text-single", "Role asked for")
            + field_xml("muc#jid", [real], "jid-single", "Address")
            + field_xml("muc#roomnick", [occupant.nick], "text-single", "Nickname")
            + field_xml("muc#request_allow", ["0"], "boolean", APPROVE) + "</x>")
    stanza = Stanza("message", {"from": room.bare}, form.encode(), (f"{ns.DATA} x",))
    room.send([(seat, stanza.addressed(seat.full)) for one, seat in room.everyone() if one.role == "moderator"])


def _answer(room: Room, moderator: Occupant, values: dict[str, list[str]]) -> None:
    if values.get("muc#request_allow", ["0"])[0] not in ("1", "true"):
        return
    target = room.occupants.get("".join(values.get("muc#roomnick", [])))
    if target is None:
        raise StanzaError("item-not-found", text="Who asked is not in the room any more.")
    if target.role == "visitor":
        target.role = "participant"
        room.show(target, actor=moderator.nick)
