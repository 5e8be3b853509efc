"""Stanza ids, XEP-0359 0.7: the id a message has in somebody's archive, and forged ones taken away."""

from __future__ import annotations

from typing import Final

from chatd.core import ns
from chatd.core.jid import JID, InvalidJID
from chatd.core.stanza import Stanza, attribute

__all__ = ["STANZA_ID", "stanza_id", "with_stanza_id", "without_stanza_id"]

STANZA_ID: Final = f"{ns.SID} stanza-id"
"""As it stands in `Stanza.children`: look there first, all else here parses the stanza."""


def with_stanza_id(stanza: Stanza, by: str, row_id: int) -> Stanza:
    """A copy that carries the id it has in the archive of `by`."""
    return stanza.added(f'<stanza-id xmlns="{ns.SID}" by="{attribute(by)}" id="{row_id}"/>'.encode(), STANZA_ID)


def without_stanza_id(stanza: Stanza, by: str) -> Stanza:
    """The stanza without stanza-ids that claim to be of `by`, however they write it (XEP-0359 3)."""
    return stanza.filtered(lambda child: child.uri != ns.SID or child.name != "stanza-id"
                           or not _is(child.getAttribute("by"), by))


def stanza_id(stanza: Stanza, by: str) -> str | None:
    """The id a stanza has in the archive of `by`, if it says so; trustworthy only after `without_stanza_id`."""
    if STANZA_ID not in stanza.children:
        return None
    for child in stanza.element.elements():
        if child.uri == ns.SID and child.name == "stanza-id" and child.getAttribute("by") == by:
            return child.getAttribute("id")
    return None


def _is(claimed: str | None, bare: str) -> bool:
    try:
        return claimed is not None and (claimed == bare or JID.parse(claimed.strip()).bare == bare)
    except InvalidJID:
        return False
