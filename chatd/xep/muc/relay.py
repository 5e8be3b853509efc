"""Iqs between occupants, XEP-0045 17.4, and the ping that tells whether one is still in the room (XEP-0410).

A question goes on under an id of the room's, so that the answer finds the client that asked.  vCards are asked of the
account, whoever is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.stanza import Stanza
from chatd.xep.muc.room import Room

if TYPE_CHECKING:
    from chatd.xep.muc.service import Ask

__all__ = ["pass_answer", "pass_question"]

_WAITING_MOST: Final = 100
_OF_ACCOUNT: Final = frozenset({f"{ns.VCARD} vCard"})
_DISCO: Final = frozenset({f"{ns.DISCO_INFO} query", f"{ns.DISCO_ITEMS} query"})


def pass_question(ask: Ask, nick: str) -> bytes | None:
    """An iq get or set to an occupant; the answer's content where the room answers itself.  Raises StanzaError."""
    room, asker = ask.room, ask.occupant
    is_ping = ask.stanza.payload == f"{ns.PING} ping"
    if asker is None:
        if ask.stanza.payload in _DISCO:                         # XEP-0045 6.6
            raise StanzaError("bad-request", text="Only occupants ask other occupants.")
        raise StanzaError("not-acceptable", text="You are not in this room.")
    if is_ping and asker.nick == nick:
        return b""                                              # XEP-0410 4
    target = room.occupants.get(nick)
    if target is None:
        raise StanzaError("item-not-found", text="Nobody in this room has that nickname.")
    service = room.service
    id_ = service.next_id()
    while len(asker.asked) >= _WAITING_MOST:
        asker.asked.popitem(last=False)
    asker.asked[id_] = (ask.from_.full, ask.stanza.attrs["id"], target.jid)
    to = target.jid if ask.stanza.payload in _OF_ACCOUNT else next(reversed(target.seats))
    onward = ask.stanza.readdressed(from_=asker.address, to=to, id=id_)
    service.router.route(onward, JID.parse(asker.address), JID.parse(to))
    return None


def pass_answer(room: Room, stanza: Stanza, from_: JID, to: JID) -> None:
    """A result or an error to an occupant who asked, from who was asked; anything else is dropped."""
    asker = room.occupants.get(to.resource)
    found = asker.asked.get(stanza.attrs.get("id", "")) if asker is not None else None
    if asker is None or found is None or found[2] != from_.bare:
        return
    del asker.asked[stanza.attrs["id"]]
    full, id_, _ = found
    who = room.seats.get(from_.full) or next(iter(room.find_by_jid(from_.bare)), None)
    sender = who.address if who is not None else room.bare
    room.service.router.back(stanza.readdressed(from_=sender, to=full, id=id_))
