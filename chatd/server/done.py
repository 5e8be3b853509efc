"""When a result is there: what comes behind a stanza waits for it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

__all__ = ["is_done"]


def is_done(result: Deferred[Any]) -> bool:
    """Has it fired, and does it wait for no other one?"""
    return result.called and not result.paused and not isinstance(result.result, Deferred)
