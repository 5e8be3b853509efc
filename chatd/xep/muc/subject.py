"""The subject of a room and who may change it: XEP-0045 7.2.15, 8.1."""

from __future__ import annotations

from typing import Final

from chatd.core import ns
from chatd.core.delay import with_delay
from chatd.core.errors import StanzaError
from chatd.core.stanza import Stanza, text
from chatd.xep.muc.room import OCCUPANT_ID, Occupant, Room, mark_xml

__all__ = ["change_subject", "is_subject", "keep_subject", "subject_of"]

_NAME: Final = f"{ns.CLIENT} subject"
_MARK: Final = f"{OCCUPANT_ID} occupant-id"
_NO_SUBJECT: Final = frozenset({f"{ns.CLIENT} body", f"{ns.CLIENT} thread"})
_MOST: Final = 4096


def is_subject(stanza: Stanza) -> bool:
    """A message with a subject, but neither text nor thread, changes the room's."""
    children = [child.replace(ns.SERVER, ns.CLIENT) for child in stanza.children]
    return _NAME in children and _NO_SUBJECT.isdisjoint(children)


def subject_of(room: Room) -> Stanza:
    """The subject as everybody gets it on entering, also if there is none."""
    sender = f"{room.bare}/{room.subject_nick}" if room.subject_nick else room.bare
    stanza = Stanza("message", {"from": sender, "type": "groupchat"},
                    f"<subject>{text(room.subject)}</subject>".encode(), (_NAME,))
    if room.subject_mark:
        stanza = stanza.added(mark_xml(room.subject_mark), _MARK)
    return with_delay(stanza, room.bare, room.subject_ms) if room.subject_ms else stanza


async def change_subject(room: Room, occupant: Occupant, stanza: Stanza) -> None:
    """Keeps the subject; raises StanzaError forbidden, or not-acceptable for one too long."""
    if occupant.role != "moderator" and (occupant.role != "participant" or not room.config["change_subject"]):
        raise StanzaError("forbidden", text="Only moderators may change the subject of this room.")
    # In several languages: the first is the one that is shown to whoever enters.
    subject = next(str(child) for child in stanza.element.elements() if child.name == "subject")
    await keep_subject(room, subject, occupant)


async def keep_subject(room: Room, subject: str, occupant: Occupant | None) -> None:
    """Keeps the subject that this occupant, or the room itself, has set; not-acceptable if it is too long."""
    if len(subject) > _MOST:
        raise StanzaError("not-acceptable", text=f"A subject has at most {_MOST} characters.")
    service = room.service
    now_ms = int(service.now() * 1000)
    nick, mark = (occupant.nick, occupant.code) if occupant is not None else ("", "")
    await service.store.rooms.save(room.id, {"subject": subject, "subject_nick": nick, "subject_ms": now_ms,
                                             "subject_mark": mark})
    room.subject, room.subject_nick, room.subject_ms, room.subject_mark = subject, nick, now_ms, mark
