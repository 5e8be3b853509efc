"""Message carbons, XEP-0280 1.0: which messages are copied, and the copy.

Who gets the copies (resources with carbons on that did not get the message itself) is the caller's.
"""
from __future__ import annotations

from typing import Literal

from chatd.core import ns
from chatd.core.marks import BODY, CONTENT, COPY, IM, INVITE, MUC_USER, NO_COPY, PRIVATE
from chatd.core.stanza import Stanza

__all__ = ["carbon", "may_copy"]

_OPEN = {direction: f'<{direction} xmlns="{ns.CARBONS}"><forwarded xmlns="{ns.FORWARD}">'.encode()
         for direction in ("sent", "received")}
_CLOSE = {direction: f"</forwarded></{direction}>".encode() for direction in ("sent", "received")}
_CHILDREN = {direction: (f"{ns.CARBONS} {direction}",) for direction in ("sent", "received")}


def may_copy(type_: str | None, marks: int, is_received: bool, from_resource: str) -> tuple[bool, str]:
    """Is a message eligible for carbons (XEP-0280 6.1)? The answer, and a word that says why.

    is_received: seen from the recipient's side. from_resource: the resource of its 'from'. Whether an error
    answers an eligible message cannot be known later; one that still carries the message is taken for such.
    """
    if marks & PRIVATE:
        return False, "private"
    if marks & COPY:
        return False, "copy"
    if type_ == "groupchat":
        return False, "groupchat"
    if type_ == "error":
        return (True, "error") if marks & (BODY | IM | CONTENT) else (False, "error")
    if marks & NO_COPY:
        return False, "hint"
    if is_received and from_resource and marks & MUC_USER:
        return False, "muc-pm"  # the room has sent it to each of the occupant's resources itself
    if type_ == "chat":
        return True, "chat"
    if marks & (IM | INVITE | MUC_USER):
        return True, "im"
    if type_ == "headline":
        return False, "headline"
    return (True, "body") if marks & BODY else (False, "not-im")


def carbon(direction: Literal["sent", "received"], stanza: Stanza, owner: str) -> Stanza:
    """The copy of `stanza` for the account `owner` (bare JID), still without 'to': give each resource its
    own by `addressed(full)`, which serialises it only once (XEP-0280 7, 8)."""
    attrs = {"from": owner}
    if "type" in stanza.attrs:
        attrs["type"] = stanza.attrs["type"]
    inner = _OPEN[direction] + stanza.to_bytes_ns() + _CLOSE[direction]
    return Stanza("message", attrs, inner, _CHILDREN[direction])
