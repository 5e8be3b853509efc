"""Delayed delivery, XEP-0203 2.0: when a stanza really came, and who says so."""

from __future__ import annotations

from typing import Final

from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.jid import JID, InvalidJID
from chatd.core.stamp import format_stamp
from chatd.core.stanza import Stanza, attribute

__all__ = ["DELAY", "is_delayed_by", "with_delay", "without_delay"]

DELAY: Final = f"{ns.DELAY} delay"
"""As it stands in `Stanza.children`: look there first, all else here but `with_delay` parses the stanza."""


def with_delay(stanza: Stanza, by: str, stamp_ms: int) -> Stanza:
    """A copy that says it waited at `by` since then (milliseconds since 1970)."""
    child = f'<delay xmlns="{ns.DELAY}" from="{attribute(by)}" stamp="{format_stamp(stamp_ms)}"/>'
    return stanza.added(child.encode(), DELAY)


def is_delayed_by(stanza: Stanza, by: str) -> bool:
    """Does the stanza say that it waited at `by`? To be believed only after `without_delay`."""
    return DELAY in stanza.children and any(_says(child, by) for child in stanza.element.elements())


def without_delay(stanza: Stanza, by: str) -> Stanza:
    """The stanza without what claims to come from `by`, which has not delayed it yet (XEP-0203 5)."""
    return stanza.filtered(lambda child: not _says(child, by))


def _says(child: domish.Element, by: str) -> bool:
    if child.uri != ns.DELAY or child.name != "delay":
        return False
    claimed = child.getAttribute("from")
    try:
        return claimed is not None and JID.parse(claimed.strip()).full == by
    except InvalidJID:
        return False
