"""The epoll reactor without two costs that a message pays and nobody asks for.

Twisted wraps every event into a logging context (`callWithLogger`), which chatd does not use: its log lines name the
session themselves. And a turn that has written something ends here with a plain call instead of a timed one. Together
they save a fifth of a relayed message (docs/decisions.md).

It leans on names of Twisted that are not promised; `lean_contract()` lists those that are missing, and `install()`
then takes Twisted's own reactor. tests/server/test_tls_contract.py names each.
"""

from __future__ import annotations

import sys
from select import EPOLLIN
from typing import Final

from twisted.internet import epollreactor, posixbase
from twisted.internet.base import ReactorBase
from twisted.internet.error import ConnectionFdescWentAway, ReactorAlreadyInstalledError
from twisted.internet.main import installReactor
from twisted.logger import Logger

from chatd.server.turn import Turn

log = Logger()

_GONE: Final = ConnectionFdescWentAway("File descriptor lost")



class _OwnTurn(Turn):
    """A turn whose reactor ends it without being asked."""

    def _schedule(self) -> None:
        pass

    def end(self) -> None:
        """Flush; if that led to new writes, see to it that the reactor does not wait before it flushes them."""
        if self._is_expected:
            self.flush()
            if self._is_expected:
                self.reactor.callLater(0, _nothing)


class TurnReactor(epollreactor.EPollReactor):
    """EPollReactor that ends its turns itself."""

    def __init__(self) -> None:
        super().__init__()
        self.chatd_turn = _OwnTurn(self)

    def runUntilCurrent(self) -> None:
        """Run the timed calls that are due, then end the turn; called before each wait."""
        super().runUntilCurrent()
        self.chatd_turn.end()

    def stop(self) -> None:
        """Stop, without waiting for an event first if it was asked for while the turn was being flushed."""
        super().stop()
        self.wakeUp()

    def doPoll(self, timeout: float | None) -> None:
        """Wait at most `timeout` seconds (None: for ever) and hand out what happened."""
        selectables, read_or_write = self._selectables, self._doReadOrWrite
        for fd, event in self._poller.poll(-1 if timeout is None else timeout, len(selectables)):
            selectable = selectables.get(fd)
            if selectable is None:
                continue
            try:
                if event != EPOLLIN:
                    read_or_write(selectable, fd, event)
                    continue
                # Most of the time there is something to read and that is all; then this does the same in less.
                try:
                    why = selectable.doRead() if selectable.fileno() != -1 else _GONE
                except BaseException as error:
                    log.failure("Unexpected error while reading from {selectable!r}", selectable=selectable)
                    why = error
                if why:
                    self._disconnectSelectable(selectable, why, True)
            except Exception:  # a protocol's connectionLost; what it read or wrote is caught already
                log.failure("Unexpected error in an event of {selectable!r}", selectable=selectable)

    doIteration = doPoll


def lean_contract() -> list[str]:
    """Name each unpromised thing TurnReactor needs that this Twisted does not have."""
    missing = [
        f"{owner.__name__}.{name}"
        for owner, name in (
            (ReactorBase, "runUntilCurrent"), (ReactorBase, "wakeUp"), (ReactorBase, "timeout"),
            (posixbase._PollLikeMixin, "_doReadOrWrite"), (epollreactor.EPollReactor, "doPoll"),
            (posixbase.PosixReactorBase, "_disconnectSelectable"),
        )
        if not hasattr(owner, name)
    ]
    # Instance attributes: their names stand in the code that makes them.
    made = epollreactor.EPollReactor.__init__.__code__.co_names
    return missing + [f"EPollReactor.{name}" for name in ("_poller", "_selectables") if name not in made]


def install() -> bool:
    """Make it the reactor of this process; says whether it is.

    It is not if another was installed already (as in the tests) or if Twisted does not keep the contract: then
    the process has, or gets, an ordinary one, and everything works all the same.
    """
    installed = sys.modules.get("twisted.internet.reactor")
    if installed is not None:
        return isinstance(installed, TurnReactor)
    if lean_contract():
        return False
    try:
        installReactor(TurnReactor())
    except ReactorAlreadyInstalledError:
        return False
    return True


def _nothing() -> None:
    pass
