"""When a result is there: what comes behind a stanza waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

__all__ = ["is_done", "takes_time"]


def is_done(result: Deferred[Any]) -> bool:
    """Has it fired, and does it wait for no other one?"""
    return result.called and not result.paused and not isinstance(result.result, Deferred)


def takes_time(result: Deferred[Any], failed: Callable[[Failure], None]) -> bool:
    """Is it not done yet?  `failed` gets its failure, also one that is there already, which who only looks after what
    takes time would never hear of."""
    result.addErrback(failed)
    return not is_done(result)
