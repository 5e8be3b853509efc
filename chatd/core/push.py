"""Push notifications (XEP-0357) as values: which client is told, of what, and how much.

What a person wrote leaves the organisation by a push: app servers are run by the makers of apps, and hand what they get
to the makers of telephones. So what is told is the site's choice, from nothing at all to the text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from chatd.core import ns
from chatd.core.marks import BODY, CONTENT, COPY, INVITE, MUC_USER, STATE, STORE, marks_of
from chatd.core.stanza import attribute, text

__all__ = ["TELLS", "PushRow", "is_worth_it", "notification"]

TELLS: Final = ("nothing", "count", "sender", "text")
"""What a notification may say, each with what stands before it."""
SUMMARY: Final = "urn:xmpp:push:summary"
_TEXT_MOST: Final = 200
_QUIET: Final = frozenset({f"{ns.RECEIPTS} received", f"{ns.MARKERS} received", f"{ns.MARKERS} displayed",
                           f"{ns.MARKERS} acknowledged"})
"""What a person is never told of, although it is kept."""


@attrs.frozen
class PushRow:
    """A client that wants to be told. service: the app server's address. node: what it calls the client, "" for
    nothing. resource: of the client that asked. options: its form, to be sent with each notification, or None."""

    service: str
    node: str
    resource: str
    options: bytes | None = None
    enabled_ms: int = 0


def is_worth_it(kind: str | None, children: Iterable[str]) -> bool:
    """Would a person want to be told of a message of this type with these children ("NAMESPACE NAME")?"""
    children = tuple(children)
    marks = marks_of(child for child in children if child not in _QUIET)
    if kind in ("error", "headline") or marks & COPY:
        return False
    if kind == "groupchat":
        return bool(marks & BODY)
    if marks & STORE and not _QUIET.isdisjoint(children):
        marks &= ~STORE                     # what asks to be kept is a receipt
    return bool(marks & (BODY | CONTENT | INVITE | STORE)) or bool(marks & MUC_USER and not marks & STATE)


def notification(row: PushRow, count: int, sender: str, body: str, tells: str) -> bytes:
    """What is published for a client (sections 7, 9). sender, body: of the last message, body "" for none or for an
    encrypted one. tells: of TELLS."""
    how_much = TELLS.index(tells)
    fields = [("FORM_TYPE", SUMMARY)]
    if how_much >= 1:
        fields.append(("message-count", str(count)))
    if how_much >= 2 and sender:
        fields.append(("last-message-sender", sender))
    if how_much >= 3 and body:
        fields.append(("last-message-body", body[:_TEXT_MOST]))
    form = "".join(f'<field var="{name}"{_hidden(name)}><value>{text(value)}</value></field>'
                   for name, value in fields)
    summary = f'<x xmlns="{ns.DATA}" type="submit">{form}</x>' if how_much else ""
    node = f' node="{attribute(row.node)}"' if row.node else ""
    options = b"<publish-options>" + row.options + b"</publish-options>" if row.options else b""
    return (f'<pubsub xmlns="{ns.PUBSUB}"><publish{node}><item><notification xmlns="{ns.PUSH}">{summary}'
            "</notification></item></publish>").encode() + options + b"</pubsub>"


def _hidden(name: str) -> str:
    return ' type="hidden"' if name == "FORM_TYPE" else ""
