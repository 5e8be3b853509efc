"""What moderators do in a meeting, each by one element of docs/protocol.md 9, and the raised hands of 10.

A rule is checked first, then kept, then shown; the media engine follows what is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID, InvalidJID
from chatd.core.meeting import PASSWORD_MOST, SOURCES
from chatd.core.stanza import attribute
from chatd.xep.meet.lobby import admit, open_lobby, refuse
from chatd.xep.meet.present import Present
from chatd.xep.muc.owner import configure, dismiss
from chatd.xep.muc.rate import charge
from chatd.xep.muc.roles import set_role
from chatd.xep.muc.room import Occupant
from chatd.xep.muc.standing import Change, change_affiliations

if TYPE_CHECKING:
    from chatd.xep.meet.meeting import Meeting
    from chatd.xep.muc.service import Ask

__all__ = ["BESIDE", "COMMANDS", "apply_config", "end_meeting", "raise_hand"]

Do = Callable[["Ask", "Meeting", Occupant], Coroutine[Any, Any, None]]


def moderator_of(ask: Ask) -> Occupant:
    """Who asks, who is to be a moderator in the meeting; StanzaError forbidden for anybody else."""
    occupant = ask.occupant
    if occupant is None or occupant.role != "moderator":
        raise StanzaError("forbidden", text="Only moderators in the meeting may do this.")
    return occupant


def truth(child: domish.Element, name: str) -> bool | None:
    """A truth value, None where it is not said; StanzaError bad-request for anything else."""
    value = child.getAttribute(name)
    if value is None:
        return None
    if value not in ("true", "false", "1", "0"):
        raise StanzaError("bad-request", text=f"{name} is true or false.")
    return value in ("true", "1")


def _must(child: domish.Element, name: str) -> bool:
    value = truth(child, name)
    if value is None:
        raise StanzaError("bad-request", text=f"{child.name} says {name}.")
    return value


def _target(meeting: Meeting, child: domish.Element) -> Occupant | None:
    """Who is meant by `nick`, None where nobody is named; StanzaError item-not-found."""
    nick = child.getAttribute("nick")
    if nick is None:
        return None
    found = meeting.occupants.get(nick)
    if found is None:
        raise StanzaError("item-not-found", text="Nobody in this meeting has that name.")
    return found


def _must_target(meeting: Meeting, child: domish.Element) -> Occupant:
    found = _target(meeting, child)
    if found is None:
        raise StanzaError("bad-request", text=f"{child.name} says nick.")
    return found


# -- sound and picture
async def _mute(ask: Ask, meeting: Meeting, actor: Occupant) -> None:
    source = ask.child.getAttribute("source")
    if source not in ("microphone", "camera", "screen"):
        raise StanzaError("bad-request", text="source is microphone, camera or screen.")
    target = _target(meeting, ask.child)
    found = [target] if target is not None else [
        one for one in meeting.occupants.values() if one.role != "moderator"]
    await meeting.media.mute(found, source)


async def _allow(ask: Ask, meeting: Meeting, actor: Occupant) -> None:
    words = {word: value for word in SOURCES if (value := truth(ask.child, word)) is not None}
    if not words:
        raise StanzaError("bad-request", text="Say what is to be allowed: " + ", ".join(SOURCES) + ".")
    target = _target(meeting, ask.child)
    present = meeting.present
    if target is not None:
        if target.role == "moderator":
            raise StanzaError("not-allowed", text="Moderators may do everything.")
        present.exceptions.setdefault(target.jid, {}).update(words)
        meeting.save_present()
        for occupant in meeting.find_by_jid(target.jid):
            meeting.show(occupant)
        return
    meeting.may = tuple(word for word in SOURCES if words.get(word, word in meeting.may))
    for own in present.exceptions.values():
        for word in words:
            own.pop(word, None)
    present.exceptions = {bare: own for bare, own in present.exceptions.items() if own}
    meeting.save_may()
    meeting.save_present()
    meeting.publish()
    for occupant in list(meeting.occupants.values()):
        if occupant.role != "moderator":
            meeting.show(occupant)


# -- who gets in
async def _lock(ask: Ask, meeting: Meeting, actor: Occupant) -> None:
    meeting.present.is_locked = _must(ask.child, "on")
    meeting.save_present()
    meeting.publish()


async def _lobby(ask: Ask, meeting: Meeting, actor: Occupant) -> None:
    is_on = _must(ask.child, "on")
    if is_on:
        meeting.save_present()                  # who is in, stays in
    await apply_config(meeting, {"members_only": is_on})


async def _password(ask: Ask, meeting: Meeting, actor: Occupant) -> None:
    password = str(ask.child)
    if len(password) > PASSWORD_MOST:
        raise StanzaError("not-acceptable", text=f"A password has at most {PASSWORD_MOST} characters.")
    await apply_config(meeting, {"password": password, "protected": bool(password)})


async def apply_config(meeting: Meeting, changed: dict[str, Any]) -> None:
    """Gives the room these settings, and tells what follows for the meeting."""
    if any(meeting.config[key] != value for key, value in changed.items()):
        await configure(meeting, {**meeting.config, **changed})
    config_changed(meeting)


def config_changed(meeting: Meeting) -> None:
    """The room's settings are others, by whatever way."""
    if not meeting.config["members_only"] and not meeting.present.sources:
        open_lobby(meeting)
    meeting.publish()


async def _admit(ask: Ask, meeting: Meeting, actor: Occupant) -> None:
    await admit(meeting, actor, _jid(ask.child))


async def _refuse(ask: Ask, meeting: Meeting, actor: Occupant) -> None:
    await refuse(meeting, actor, _jid(ask.child))


def _jid(child: domish.Element) -> str:
    try:
        return JID.parse(child["jid"]).bare if child.hasAttribute("jid") else ""
    except InvalidJID:
        raise StanzaError("jid-malformed", text="This is no valid address.") from None


# -- standings
async def _moderator(ask: Ask, meeting: Meeting, actor: Occupant) -> None:
    target, is_on = _must_target(meeting, ask.child), _must(ask.child, "on")
    if meeting.affiliation(target.jid) == "owner":
        if is_on:
            return
        raise StanzaError("not-allowed", text="An owner stays a moderator.")
    if not meeting.service.is_guest(target.jid):
        await change_affiliations(meeting, [Change(target.jid, "admin" if is_on else "member")], actor)
        return
    people = meeting.present.moderators
    people.add(target.jid) if is_on else people.discard(target.jid)
    meeting.save_present()
    for occupant in meeting.find_by_jid(target.jid):
        set_role(meeting, occupant, "moderator" if is_on else "participant", actor=actor.nick)


async def _remove(ask: Ask, meeting: Meeting, actor: Occupant) -> None:
    target = _must_target(meeting, ask.child)
    reason = "".join(str(part) for part in ask.child.elements() if part.name == "reason")[:1024]
    if target.jid == actor.jid:
        raise StanzaError("conflict", text="Nobody removes himself: just leave.")
    if meeting.affiliation(target.jid) == "owner":
        raise StanzaError("not-allowed", text="The owner of a meeting cannot be removed.")
    if not meeting.service.is_guest(target.jid):
        meeting.present.admitted.discard(target.jid)
        await change_affiliations(meeting, [Change(target.jid, "outcast", reason)], actor)
        return
    for occupant in meeting.find_by_jid(target.jid):
        meeting.expel(occupant, 301, reason=reason, actor=actor.nick)


async def _end(ask: Ask, meeting: Meeting, actor: Occupant) -> None:
    end_meeting(meeting, actor.nick)


def end_meeting(meeting: Meeting, by: str) -> None:
    """Puts everybody out and forgets what lasted as long as the meeting was held; the room stays."""
    open_lobby(meeting, "ended")
    if meeting.recording is not None:
        meeting.service.recordings.stop(meeting)
    said = f' by="{attribute(by)}"' if by else ""
    dismiss(meeting, also=f'<ended xmlns="{ns.MEET}"{said}/>')
    meeting.media.close()
    meeting.present = Present()
    meeting.save_present()
    meeting.rest()
    meeting.service.left(meeting)


# -- hands
async def raise_hand(ask: Ask, meeting: Meeting) -> bytes:
    """One's own hand, up or down; moderators also lower others'.  Raises StanzaError."""
    occupant, child = ask.occupant, ask.child
    if occupant is None:
        raise StanzaError("forbidden", text="Only who is in the meeting raises a hand.")
    is_up, is_all = _must(child, "raised"), truth(child, "all") or False
    target = _target(meeting, child) or occupant
    if is_all or target is not occupant:
        moderator_of(ask)
        if is_up:
            raise StanzaError("not-allowed", text="Nobody raises another one's hand.")
    charge(meeting, occupant.jid, len(meeting.seats))
    for one in list(meeting.hands) if is_all else [target]:
        if is_up and one not in meeting.hands:
            meeting.hands[one] = meeting.now_ms
        elif is_up or meeting.hands.pop(one, None) is None:
            continue
        meeting.show(one)
    return b""


COMMANDS: Final[dict[str, Do]] = {
    "allow": _allow, "lock": _lock, "lobby": _lobby, "password": _password, "admit": _admit, "refuse": _refuse,
    "moderator": _moderator, "remove": _remove, "end": _end,
}
"""By the name of the element.  They change the room, so what comes behind them waits."""
BESIDE: Final[dict[str, Do]] = {"mute": _mute}
"""These wait for the media engine, and hold nobody up."""
