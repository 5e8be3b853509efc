"""Reports of abuse (XEP-0377) as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

__all__ = ["ABUSE", "FORWARD", "MESSAGES_MOST", "SPAM", "TEXT_MOST", "ReportRow", "word_of"]

SPAM: Final = "urn:xmpp:reporting:spam"
ABUSE: Final = "urn:xmpp:reporting:abuse"
FORWARD: Final = ("report-origin", "third-party")
"""Whom the reporter may let the report be passed on to."""
TEXT_MOST: Final = 2000
"""Characters of what the reporter wrote, and of each message kept with it."""
MESSAGES_MOST: Final = 20
"""Messages one report points at."""


@attrs.frozen
class ReportRow:
    """One report. messages: those pointed at, as {"id", "stamp_ms", "body"}. forward: of FORWARD. id: 0 before it is
    kept. reason: a URI."""

    id: int
    stamp_ms: int
    reporter: str
    reported: str
    reason: str
    says: str = ""
    messages: tuple[Mapping[str, object], ...] = ()
    forward: tuple[str, ...] = ()


def word_of(reason: str) -> str:
    """A reason as people say it."""
    return {SPAM: "spam", ABUSE: "abuse"}.get(reason, reason)
