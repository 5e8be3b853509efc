"""The end of a turn: calls first, then what was written leaves; over any reactor and over ours."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from twisted.internet.testing import MemoryReactorClock

from chatd.server.turn import Turn


class Connection:
    def __init__(self, happened: list[str], fails: bool = False) -> None:
        self.happened, self.fails = happened, fails

    def flush(self) -> None:
        self.happened.append("flushed")
        if self.fails:
            raise ZeroDivisionError

    def connectionLost(self, reason: Any) -> None:
        self.happened.append(reason.type.__name__)


def test_calls_come_before_what_was_written_leaves() -> None:
    """So what they write leaves in the same turn, and a commit they begin goes on while it is sent."""
    reactor, happened = MemoryReactorClock(), []
    turn = Turn(reactor)
    turn.add(Connection(happened))
    turn.soon(lambda: (happened.append("called"), turn.add(Connection(happened))))
    assert happened == []
    reactor.advance(0)
    assert happened == ["called", "flushed", "flushed"]
    assert not reactor.getDelayedCalls()


def test_each_call_stands_for_itself() -> None:
    reactor, happened = MemoryReactorClock(), []
    turn = Turn(reactor)
    turn.soon(lambda: 1 // 0)
    turn.soon(lambda: turn.soon(lambda: happened.append("in the next turn")))
    turn.add(Connection(happened, fails=True))
    reactor.advance(0)
    assert happened == ["flushed", "ZeroDivisionError", "in the next turn"]


def test_our_reactor_does_not_wait_with_calls_to_be_made() -> None:
    """A call left at the very end of a turn would else be made when something else happens: here, never."""
    code = """
from chatd.server.reactor import install
install()
from twisted.internet import reactor
from chatd.server.turn import turn_of
soon = turn_of(reactor).soon
reactor.callWhenRunning(lambda: soon(lambda: soon(lambda: soon(lambda: (print("done"), reactor.stop())))))
reactor.run()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "done\n" and not done.stderr
