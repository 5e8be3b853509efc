"""Writes nobody waits for: when an account logged in last, when it was there last.

They are remembered, the newest of each kind and account, and go to the disk together every few seconds, with
whatever batch is due; so a log-in costs no commit of its own. What a crash loses is a time of a few seconds ago.
"""
from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from chatd.store.batch import GroupCommit

log = Logger()

LAZY_S = 5.0


class LazyWrites:
    """Statements of which only the last one for each key counts. See the module's text."""

    def __init__(self, batches: GroupCommit, reactor: Any) -> None:
        self._batches = batches
        self._reactor = reactor
        self._waiting: dict[tuple[str, str, int], tuple[Any, ...]] = {}
        self._timer: IDelayedCall | None = None

    def write(self, table: str, sql: str, key: int, values: tuple[Any, ...]) -> None:
        """Execute sql on that table with these values, within LAZY_S; it takes the place of what waits for key.

        It must not fail for reasons of its own, and do no harm when it is executed twice.
        """
        self._waiting[table, sql, key] = values
        if self._timer is None:
            self._timer = self._reactor.callLater(LAZY_S, self._due)

    def flush(self) -> None:
        """Put what waits into the batch that collects."""
        if self._timer is not None:
            self._timer.cancel()
            self._due()

    def _due(self) -> None:
        self._timer = None
        waiting, self._waiting = self._waiting, {}
        for (table, sql, _), values in waiting.items():
            self._batches.write(table, sql, values).addErrback(
                lambda failure: log.warn("A time was not kept: {reason}", reason=failure.getErrorMessage()))
