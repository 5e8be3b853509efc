"""Messages in a meeting: who may write, and reactions, which are for the moment and not kept (docs/protocol.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.meeting import fit_emoji
from chatd.core.stanza import Stanza
from chatd.xep.meet import state
from chatd.xep.muc.room import Occupant

if TYPE_CHECKING:
    from chatd.xep.meet.meeting import Meeting

__all__ = ["check_message", "without_ours"]

_REACTION: Final = f"{ns.MEET} reaction"
_REACTIONS: Final = 5
_WITHIN_S: Final = 5.0
_OURS: Final = f"{ns.MEET} "
_USER_X: Final = f"{ns.MUC_USER} x"
_QUIET: Final = frozenset({
    f"{ns.CHAT_STATES} {word}" for word in ("active", "composing", "paused", "inactive", "gone")})


def without_ours(stanza: Stanza) -> Stanza:
    """A stanza without what only the room says; a reaction stays."""
    if not any(child.startswith(_OURS) for child in stanza.children):
        return stanza
    stays = "reaction" if stanza.name == "message" else ""
    return stanza.filtered(lambda child: child.uri != ns.MEET or child.name == stays)


def check_message(meeting: Meeting, occupant: Occupant | None, stanza: Stanza, from_: JID, to: JID) -> Stanza | None:
    """The message as it may go on, None where it has been dealt with.  Raises StanzaError."""
    kind = stanza.attrs.get("type")
    is_visit = meeting.service.router.visits.find(from_.full) is not None
    if kind == "error":
        return None
    if is_visit and _USER_X in stanza.children and kind != "groupchat" and not to.resource:
        raise StanzaError("forbidden", text="Visitors do not invite through the room: give the link on.")
    stanza = without_ours(stanza)
    if occupant is None:
        return stanza                           # the room refuses it
    if _REACTION in stanza.children and kind == "groupchat" and not to.resource:
        return _reaction(meeting, occupant, stanza)
    if kind == "groupchat" or to.resource:
        _check_chat(meeting, occupant, stanza, to)
    return stanza


def _check_chat(meeting: Meeting, occupant: Occupant, stanza: Stanza, to: JID) -> None:
    if occupant.role == "moderator" or "chat" in meeting.may_of(occupant) or _QUIET.issuperset(stanza.children):
        return
    target = meeting.occupants.get(to.resource) if to.resource else None
    if target is not None and target.role == "moderator":
        return
    raise StanzaError("forbidden", text="Chat is for moderators only at the moment.",
                      appCondition=state.condition("denied", what="chat"))


def _reaction(meeting: Meeting, occupant: Occupant, stanza: Stanza) -> Stanza | None:
    """To everybody as it came, without anything else in it."""
    found = ["".join(str(child)) for child in stanza.element.elements() if child.uri == ns.MEET]
    if len(found) != 1 or not fit_emoji(found[0]):
        raise StanzaError("bad-request", text="A reaction is one emoji.",
                          appCondition=state.condition("denied", what="reaction"))
    now = meeting.service.now()
    recent = [at for at in meeting.reactions.get(occupant, []) if now - at < _WITHIN_S]
    if len(recent) >= _REACTIONS:
        return None
    meeting.reactions[occupant] = [*recent, now]
    inner = state.element("reaction", {}, state.text(found[0])) + state.NO_STORE
    attributes = {"from": occupant.address, "type": "groupchat"}
    if "id" in stanza.attrs:
        attributes["id"] = stanza.attrs["id"]
    meeting.announce(Stanza("message", attributes, inner.encode() + occupant.mark, (_REACTION, f"{ns.HINTS} no-store")))
    return None
