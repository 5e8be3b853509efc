"""The lobby: who may not simply come in knocks, the moderators see that and answer, and who waits learns the answer.

Knocking is the registration request of XEP-0045 7.10, answering also the form of 9.9; but nothing of it is stored: a
knock ends with the session that made it, and a guest's admission with the meeting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID, InvalidJID
from chatd.core.meeting import NICK_MOST
from chatd.core.muc_config import field_xml, form_values
from chatd.core.stanza import Stanza, text
from chatd.xep.meet import state
from chatd.xep.muc.invite import send_invitation
from chatd.xep.muc.nick import check_nick
from chatd.xep.muc.rate import charge
from chatd.xep.muc.register import FORM, REGISTER
from chatd.xep.muc.room import Occupant, Seat
from chatd.xep.muc.standing import Change, change_affiliations

if TYPE_CHECKING:
    from chatd.xep.meet.meeting import Meeting
    from chatd.xep.muc.service import Ask

__all__ = ["Knock", "admit", "answer_form", "get_registration", "is_answer", "knock", "open_lobby", "refuse",
           "show_waiting", "withdraw"]

_WAITING_MOST: Final = 200
_AGAIN_S: Final = 30.0
_PRICE: Final = 2000.0
"""What a knock costs of what one person may make the room send: it rings at every moderator's."""


@attrs.frozen
class Knock:
    """Somebody who waits.  full: the client that knocked."""

    bare: str
    full: str
    nick: str
    since_ms: int
    is_guest: bool


def get_registration(ask: Ask, meeting: Meeting) -> bytes:
    """The form that asks for a name."""
    _check_may_knock(meeting, ask.from_.bare)
    form = (f'<x xmlns="{ns.DATA}" type="form"><title>{text(meeting.config["name"] or meeting.jid.local)}</title>'
            "<instructions>The name under which you want to come in.</instructions>"
            + field_xml("FORM_TYPE", [FORM], "hidden")
            + field_xml("muc#register_roomnick", [""], "text-single", "Name") + "</x>")
    return f'<query xmlns="{REGISTER}"><instructions>Fill in the form.</instructions>{form}</query>'.encode()


def knock(ask: Ask, meeting: Meeting) -> bytes:
    """Somebody knocks, or stops waiting (<remove/>).  Raises StanzaError."""
    bare = ask.from_.bare
    if any(part.name == "remove" for part in ask.child.elements()):
        withdraw(meeting, bare)
        return b""
    nick = _nick(ask.child, meeting.jid.domain)
    _check_may_knock(meeting, bare)
    check_nick(meeting, nick, bare)
    if meeting.service.now() < meeting.refused.get(bare, 0.0):
        raise StanzaError("resource-constraint", "wait", text="You were not let in; knock again in half a minute.")
    if len(meeting.waiting) >= _WAITING_MOST and bare not in meeting.waiting:
        raise StanzaError("resource-constraint", "wait", text="Too many people wait to be let in.")
    charge(meeting, bare, _PRICE)
    made = Knock(bare, ask.from_.full, nick, meeting.now_ms, meeting.service.is_guest(bare))
    meeting.service.remember_knock(meeting, made)
    _tell_moderators(meeting)
    _show_form(meeting, made, [seat for one, seat in meeting.everyone() if one.role == "moderator"])
    return b""


def _check_may_knock(meeting: Meeting, bare: str) -> None:
    if bare in meeting.present.removed or meeting.affiliation(bare) == "outcast":
        raise StanzaError("forbidden", text="You were removed from this meeting.")
    if not meeting.must_knock(bare):
        raise StanzaError("not-allowed", text="You need not knock: just come in.")


def _nick(query: domish.Element, domain: str) -> str:
    form = next((part for part in query.elements() if part.uri == ns.DATA and part.name == "x"), None)
    if form is None:
        raise StanzaError("bad-request", text="Knocking takes the room's form.")
    nick = "".join(form_values(form, FORM).get("muc#register_roomnick", [])).strip()
    if len(nick) > NICK_MOST:
        raise StanzaError("not-acceptable", text=f"A name has at most {NICK_MOST} characters.")
    try:
        nick = JID.of("", domain, nick).resource if nick else ""
    except InvalidJID:
        nick = ""
    if not nick:
        raise StanzaError("bad-request", text="The form asks for a name.")
    return nick


def withdraw(meeting: Meeting, bare: str) -> None:
    """This person waits no longer."""
    if meeting.service.forget_knock_of(meeting, bare):
        _tell_moderators(meeting)


# -- the moderators' side
def show_waiting(meeting: Meeting, occupant: Occupant) -> None:
    """Who waits, for a moderator who has come in or become one."""
    if meeting.waiting:
        told = state.message(meeting, state.waiting_xml(list(meeting.waiting.values())), "waiting")
        meeting.send([(seat, told.addressed(seat.full)) for seat in occupant.seats.values()])


def _tell_moderators(meeting: Meeting) -> None:
    told = state.message(meeting, state.waiting_xml(list(meeting.waiting.values())), "waiting")
    meeting.send([(seat, told.addressed(seat.full)) for one, seat in meeting.everyone() if one.role == "moderator"])


def _show_form(meeting: Meeting, made: Knock, seats: list[Seat]) -> None:
    """For moderators whose client knows XEP-0045 and nothing of ours."""
    form = (f'<x xmlns="{ns.DATA}" type="form"><title>Somebody knocks</title>'
            + field_xml("FORM_TYPE", [FORM], "hidden")
            + field_xml("muc#register_roomnick", [made.nick], "text-single", "Name")
            + field_xml("muc#jid", [made.bare], "jid-single", "Address")
            + field_xml("muc#register_allow", ["0"], "boolean", "Let this person in?") + "</x>")
    stanza = Stanza("message", {"from": meeting.bare}, form.encode(), (f"{ns.DATA} x",))
    meeting.send([(seat, stanza.addressed(seat.full)) for seat in seats])


def is_answer(form: domish.Element) -> bool:
    """Is this form an answer to a knock?"""
    return any(field.getAttribute("var") == "FORM_TYPE" and "".join(str(part) for part in field.elements()) == FORM
               for field in form.elements())


async def answer_form(meeting: Meeting, occupant: Occupant | None, form: domish.Element) -> None:
    """The form of XEP-0045 9.9, filled in.  Raises StanzaError."""
    if occupant is None or occupant.role != "moderator":
        raise StanzaError("forbidden", text="Only moderators let people in.")
    values = form_values(form, FORM)
    found = meeting.waiting.get("".join(values.get("muc#jid", [])))
    if found is None:
        raise StanzaError("item-not-found", text="This person does not wait any more.")
    await _answer(meeting, [found], values.get("muc#register_allow", ["0"])[0] in ("1", "true"), occupant)


async def admit(meeting: Meeting, occupant: Occupant, jid: str) -> None:
    """Lets one in, or all that wait where jid is "".  Raises StanzaError item-not-found."""
    await _answer(meeting, _meant(meeting, jid), True, occupant)


async def refuse(meeting: Meeting, occupant: Occupant, jid: str) -> None:
    """Lets one, or none of those who wait, come in.  Raises StanzaError item-not-found."""
    await _answer(meeting, _meant(meeting, jid), False, occupant)


def _meant(meeting: Meeting, jid: str) -> list[Knock]:
    if not jid:
        return list(meeting.waiting.values())
    found = meeting.waiting.get(jid)
    if found is None:
        raise StanzaError("item-not-found", text="This person does not wait any more.")
    return [found]


async def _answer(meeting: Meeting, knocks: list[Knock], is_admitted: bool, actor: Occupant) -> None:
    lasting = [Change(one.bare, "member") for one in knocks if is_admitted and not one.is_guest
               and meeting.affiliation(one.bare) == "none"]
    for one in knocks:
        if is_admitted:
            meeting.present.admitted.add(one.bare)
        else:
            meeting.refuse_until(one.bare, meeting.service.now() + _AGAIN_S)
        meeting.service.forget_knock_of(meeting, one.bare)
        tell_outcome(meeting, one, "admitted" if is_admitted else "refused")
    if is_admitted:
        meeting.save_present()
    if knocks:
        _tell_moderators(meeting)
    if lasting:
        # This also sends them the invitation of XEP-0045; guests get theirs here.
        await change_affiliations(meeting, lasting, actor)
    for one in knocks:
        if is_admitted and one.is_guest:
            send_invitation(meeting, JID.parse(one.full), actor.address)


def open_lobby(meeting: Meeting, outcome: str = "admitted") -> None:
    """There is no lobby any more: nobody has to wait.  outcome: what those who do are told."""
    knocks = list(meeting.waiting.values())
    for one in knocks:
        meeting.service.forget_knock_of(meeting, one.bare)
        tell_outcome(meeting, one, outcome)
    if knocks:
        _tell_moderators(meeting)


def tell_outcome(meeting: Meeting, one: Knock, outcome: str) -> None:
    """What became of a knock."""
    inner = state.element("knock", {"outcome": outcome})
    stanza = Stanza("message", {"from": meeting.bare, "to": one.full}, inner.encode(), (f"{ns.MEET} knock",))
    meeting.service.then(_hand, meeting, one.full, stanza)


def _hand(error: Any, meeting: Meeting, full: str, stanza: Stanza) -> None:
    service = meeting.service
    service.hand(Seat(full, service.session_of(JID.parse(full)), stanza), stanza)
