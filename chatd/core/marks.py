"""What a message carries, read off the names of its direct children in one pass.

The marks are what the decisions of `chatd.core.storable` (XEP-0313, XEP-0160) and `chatd.core.carbons`
(XEP-0280) are made on. A new XEP whose payload is to be stored or copied is one line in `_MARKS`.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from chatd.core import ns

__all__ = ["BODY", "CONTENT", "COPY", "IM", "INVITE", "MUC_USER", "NO_COPY", "NO_PERMANENT_STORE", "NO_STORE",
           "PRIVATE", "STATE", "STORE", "marks_of"]

BODY: Final = 1
CONTENT: Final = 2
"""Worth keeping without a body: end-to-end encrypted, receipts, displayed markers, reactions, calls..."""
STATE: Final = 4
"""A chat state: worth nothing a minute later."""
IM: Final = 8
"""Typical of instant messaging: XEP-0085, XEP-0184, XEP-0333 (XEP-0280 6.1)."""
INVITE: Final = 16
"""A direct invitation to a room (XEP-0249)."""
MUC_USER: Final = 32
"""What a room adds: a mediated invitation, or a private message of an occupant (XEP-0045)."""
NO_STORE: Final = 64
NO_PERMANENT_STORE: Final = 128
NO_COPY: Final = 256
STORE: Final = 512
PRIVATE: Final = 1024
"""XEP-0280 9: no copies of this one."""
COPY: Final = 2048
"""It is itself a carbon copy, or an answer of an archive."""

_MARKS: dict[str, int] = {
    f"{ns.CLIENT} body": BODY,
    f"{ns.SERVER} body": BODY,
    "eu.siacs.conversations.axolotl encrypted": CONTENT,  # XEP-0384 0.3
    "urn:xmpp:omemo:1 encrypted": CONTENT,
    "urn:xmpp:omemo:2 encrypted": CONTENT,
    "urn:xmpp:openpgp:0 openpgp": CONTENT,  # XEP-0373
    "jabber:x:encrypted x": CONTENT,  # XEP-0027
    "jabber:x:oob x": CONTENT,  # XEP-0066
    f"{ns.RECEIPTS} received": CONTENT | IM,
    f"{ns.RECEIPTS} request": IM,
    f"{ns.MARKERS} markable": IM,
    f"{ns.MARKERS} received": CONTENT | IM,
    f"{ns.MARKERS} displayed": CONTENT | IM,
    f"{ns.MARKERS} acknowledged": CONTENT | IM,
    "urn:xmpp:reactions:0 reactions": CONTENT | IM,  # XEP-0444
    "urn:xmpp:message-retract:0 retract": CONTENT | IM,  # XEP-0424
    "urn:xmpp:message-retract:1 retract": CONTENT | IM,
    "urn:xmpp:fasten:0 apply-to": CONTENT | IM,  # XEP-0422
    "urn:xmpp:jingle-message:0 propose": CONTENT | IM,  # XEP-0353
    "urn:xmpp:jingle-message:0 accept": CONTENT | IM,
    "urn:xmpp:jingle-message:0 proceed": CONTENT | IM,
    "urn:xmpp:jingle-message:0 reject": CONTENT | IM,
    "urn:xmpp:jingle-message:0 retract": CONTENT | IM,
    "urn:xmpp:jingle-message:0 finish": CONTENT | IM,
    "jabber:x:conference x": INVITE | CONTENT,
    f"{ns.MUC_USER} x": MUC_USER,
    f"{ns.HINTS} no-store": NO_STORE,
    f"{ns.HINTS} no-permanent-store": NO_PERMANENT_STORE,
    f"{ns.HINTS} no-copy": NO_COPY,
    f"{ns.HINTS} store": STORE,
    f"{ns.CARBONS} private": PRIVATE,
    f"{ns.CARBONS} sent": COPY,
    f"{ns.CARBONS} received": COPY,
    f"{ns.MAM} result": COPY,
    **{f"{ns.CHAT_STATES} {state}": STATE | IM
       for state in ("active", "composing", "paused", "inactive", "gone")},
}
_mark = _MARKS.get


def marks_of(children: Iterable[str]) -> int:
    """The marks of a message whose direct children are these ("NAMESPACE NAME")."""
    marks = 0
    for child in children:
        found = _mark(child)
        if found is not None:
            marks |= found
    return marks
