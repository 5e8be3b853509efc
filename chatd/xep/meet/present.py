"""What lasts as long as a meeting is held: who was let in or put out, who moderates, who may more than others.

It is kept over a restart of the daemon, because people come back then; and it is forgotten when the meeting has been
empty for a while, or was ended.  The people in it are bare addresses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from chatd.core.meeting import SOURCES

__all__ = ["Present"]

_PEOPLE: Final = ("admitted", "moderators", "removed", "sources")


@attrs.define
class Present:
    """since_ms: when it began, 0 while it has not.  is_locked: nobody new comes in.  admitted: have been in, or were
    let in.  moderators: guests who were made one.  removed: put out for good; sources: where those came from who were
    guests.  exceptions: what single people may."""

    since_ms: int = 0
    is_locked: bool = False
    admitted: set[str] = attrs.field(factory=set)
    moderators: set[str] = attrs.field(factory=set)
    removed: set[str] = attrs.field(factory=set)
    sources: set[str] = attrs.field(factory=set)
    exceptions: dict[str, dict[str, bool]] = attrs.field(factory=dict)

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Present:
        """As `kept` gave it; what is missing is empty."""
        people = {name: set(kept.get(name, ())) for name in _PEOPLE}
        exceptions = {bare: {word: bool(may) for word, may in words.items() if word in SOURCES}
                      for bare, words in dict(kept.get("exceptions", {})).items()}
        return cls(since_ms=int(kept.get("since", 0)), is_locked=bool(kept.get("locked")), exceptions=exceptions,
                   **people)

    def kept(self) -> dict[str, Any]:
        """For the store."""
        found: dict[str, Any] = {name: sorted(getattr(self, name)) for name in _PEOPLE}
        found |= {"since": self.since_ms, "locked": self.is_locked, "exceptions": self.exceptions}
        return {name: value for name, value in found.items() if value}

    def may(self, bare: str, rule: tuple[str, ...]) -> tuple[str, ...]:
        """What a participant may do under this rule."""
        own = self.exceptions.get(bare)
        if not own:
            return rule
        return tuple(word for word in SOURCES if own.get(word, word in rule))
