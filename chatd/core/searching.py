"""How often people may search an archive (XEP-0431): reading through one is work for the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from chatd.core.errors import StanzaError
from chatd.core.limits import TokenBuckets

__all__ = ["Searches"]

_PER_MINUTE: Final = 30
_AT_ONCE: Final = 20


class Searches:
    """The searches that are under way and those of the last minute, by who asked (a bare address)."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._buckets = TokenBuckets(_PER_MINUTE / 60, _AT_ONCE)
        self._running: set[str] = set()

    @contextmanager
    def one(self, asker: str) -> Iterator[None]:
        """For as long as one search takes. Refuses with StanzaError resource-constraint a second one beside it, and too
        many within a short time."""
        if asker in self._running or self._buckets.is_too_fast(asker, self._now()):
            raise StanzaError("resource-constraint", "wait", text="One search after the other, please.")
        self._running.add(asker)
        try:
            yield
        finally:
            self._running.discard(asker)
