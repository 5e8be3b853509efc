"""The subject of a room and who may change it: XEP-0045 7.2.15, 8.1."""

from __future__ import annotations

from typing import Final

from chatd.core import ns
from chatd.core.delay import with_delay
from chatd.core.errors import StanzaError
from chatd.core.stanza import Stanza, text
from chatd.xep.muc.room import Occupant, Room

__all__ = ["change_subject", "is_subject", "subject_of"]

_NAME: Final = f"{ns.CLIENT} subject"
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
    return with_delay(stanza, room.bare, room.subject_ms) if room.subject_ms else stanza


async def change_subject(room: Room, occupant: Occupant, stanza: Stanza) -> str:
    """Keeps the subject; raises StanzaError forbidden, or not-acceptable for one too long."""
    if occupant.role != "moderator" and (occupant.role != "participant" or not room.config["change_subject"]):
        raise StanzaError("forbidden", text="Only moderators may change the subject of this room.")
    subject = "".join(str(child) for child in stanza.element.elements() if child.name == "subject")
    if len(subject) > _MOST:
        raise StanzaError("not-acceptable", text=f"A subject has at most {_MOST} characters.")
    service = room.service
    now_ms = int(service.now() * 1000)
    await service.store.rooms.save(room.id, {"subject": subject, "subject_nick": occupant.nick, "subject_ms": now_ms})
    room.subject, room.subject_nick, room.subject_ms = subject, occupant.nick, now_ms
    return subject
