"""When a result is there: what comes behind a stanza waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

__all__ = ["takes_time"]


def takes_time(result: Deferred[Any], failed: Callable[[Failure], None]) -> bool:
    """Has it not fired yet, or does it wait for another one?  `failed` gets its failure, also one that is there
    already, which who only looks after what takes time would never hear of."""
    result.addErrback(failed)
    return not result.called or bool(result.paused) or isinstance(result.result, Deferred)
