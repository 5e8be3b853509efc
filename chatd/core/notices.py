"""What all accounts of a domain are told by those who administer it (XEP-0133 4.21 to 4.25)."""

from __future__ import annotations

from typing import Final

import attrs

__all__ = ["MOTD", "TEXT_MOST", "WELCOME", "Notice"]

MOTD: Final = "motd"
"""The message of the day: each account is told once, now or when it comes online, until it is taken back."""
WELCOME: Final = "welcome"
"""Each new account finds it waiting."""
TEXT_MOST: Final = 8192
"""Characters."""


@attrs.frozen
class Notice:
    """One of a domain. kind: MOTD or WELCOME. stamp_ms: when it was set; correcting it changes only its text."""

    domain: str
    kind: str
    text: str
    stamp_ms: int
