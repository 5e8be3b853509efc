"""What only the room may say of a message: taken out of what people send (XEP-0045 17.2, XEP-0359 5, XEP-0421 3)."""

from __future__ import annotations

from typing import Final

from chatd.core import ns
from chatd.core.delay import DELAY, without_delay
from chatd.core.stanza import Stanza
from chatd.core.stanza_id import STANZA_ID, without_stanza_id
from chatd.xep.muc.room import OCCUPANT_ID

__all__ = ["FORGED", "honest"]

#: Children of a message that have to be looked at.
FORGED: Final = frozenset({f"{ns.MUC_USER} x", f"{OCCUPANT_ID} occupant-id", STANZA_ID, DELAY})


def honest(stanza: Stanza, room_bare: str, may_delay: bool = False) -> Stanza:
    """A message without what only the room may say of it.

    may_delay: the sender may tell when and by whom something was said before (XEP-0045 7.9, an owner who brings what
    was said elsewhere), but never in the room's name.
    """
    if STANZA_ID in stanza.children:
        stanza = without_stanza_id(stanza, room_bare)
    if DELAY in stanza.children:
        stanza = without_delay(stanza, room_bare) if may_delay else stanza.without(ns.DELAY, "delay")
    return stanza.without(ns.MUC_USER, "x").without(OCCUPANT_ID, "occupant-id")
