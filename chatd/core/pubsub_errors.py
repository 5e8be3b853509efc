"""Errors that XEP-0060 has beside those of RFC 6120: a stanza error with one more element that says why."""

from __future__ import annotations

from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.errors import StanzaError

__all__ = ["refusal"]


def refusal(condition: str, specific: str = "", text: str = "", kind: str | None = None,
            feature: str = "") -> StanzaError:
    """A StanzaError with a condition of XEP-0060 of its own, such as "closed-node".

    kind: its type, where it is not the condition's usual one.  feature: what "unsupported" names.
    """
    element = None
    if specific:
        element = domish.Element((ns.PUBSUB_ERRORS, specific))
        if feature:
            element["feature"] = feature
    return StanzaError(condition, kind, text=text or None, appCondition=element)
