"""What happens once per turn of the reactor: calls at its end, flushing what was written, bounding TLS handshakes.

A turn is one round of the reactor: it waits, hands out the events, and runs the timed calls that are due.
Writing at its end instead of in the middle joins small writes into one TLS record and one system call, and
spares the pair of epoll_ctl() with which Twisted learns that a socket is writable (it nearly always is).

Each reactor has one `Turn`; ask `turn_of(reactor)` for it. Nothing here knows about TLS.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

log = Logger()

#: First steps of a handshake (certificate, signature: 1 to 2 ms of CPU each) made in one turn. After a restart all
#: clients come back at once; this bounds how long the sessions that are already up must wait: about 16 ms.
HANDSHAKES_PER_TURN = 8

#: Handshakes waiting for their turn from which on listening ports leave further clients in the kernel's queue.
HANDSHAKES_WAITING = 64


class Flushable(Protocol):
    """What a connection must offer to be on the list of a turn."""

    def flush(self) -> None:
        """Send what is buffered. Whatever it raises ends this connection and no other."""

    def connectionLost(self, reason: Failure) -> None:
        """Take the end of the connection."""


class Shaking(Protocol):
    """What a connection must offer to wait for its handshake."""

    def shake_hands(self) -> None:
        """Make the step that was postponed; called once, unless the connection has ended."""


class Pausable(Protocol):
    """A listening port."""

    def stopReading(self) -> None:
        """Accept no more for now."""

    def startReading(self) -> None:
        """Accept again."""


class Turn:
    """The connections of one reactor that have something to send when the present turn ends.

    `number` counts the turns in which something was sent; a connection that was read in two of them in a row
    is taken for one that sends a burst.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self.reactor = reactor
        self.number = 0
        self.handshakes = Handshakes(reactor)
        self._waiting: list[Flushable] = []
        self._calls: list[Callable[[], None]] = []
        self._is_expected = False

    def soon(self, call: Callable[[], None]) -> None:
        """Call when the turn ends, before what was written in it is sent. Cheaper than a timed call of 0 seconds."""
        self._expect()
        self._calls.append(call)

    def add(self, connection: Flushable) -> None:
        """Flush `connection` when the turn ends. The caller sees to it that it is added once only."""
        if not self._is_expected:
            self._expect()
        self._waiting.append(connection)

    def flush(self) -> None:
        """End the turn: make the calls, then flush every connection on the list, each on its own account."""
        if self._calls:
            calls, self._calls = self._calls, []
            for call in calls:
                try:
                    call()
                except Exception:
                    log.failure("Unexpected error at the end of a turn")
        waiting, self._waiting = self._waiting, []
        self._is_expected = False
        if self._calls:
            self._expect()
        if waiting:
            self.number += 1
        for connection in waiting:
            try:
                connection.flush()
            except Exception:
                # As the reactor does when a protocol raises in an event: say so once, end that connection.
                reason = Failure()
                log.failure("Unexpected error while sending", reason)
                connection.connectionLost(reason)

    def _expect(self) -> None:
        if not self._is_expected:
            self._is_expected = True
            self._schedule()

    def _schedule(self) -> None:
        # A timed call of 0 seconds runs after the events of this round and before the reactor waits again.
        self.reactor.callLater(0, self.flush)


class Handshakes:
    """Lets a bounded number of handshakes begin in each turn; the others wait in the order they came."""

    def __init__(self, reactor: IReactorTime, per_turn: int = HANDSHAKES_PER_TURN) -> None:
        self.reactor = reactor
        self.per_turn = per_turn
        self._begun = 0
        self._turn_ends = False
        self._waiting: deque[Shaking] = deque()
        self._ports: list[Pausable] = []

    def may_begin(self, connection: Shaking) -> bool:
        """Tell whether `connection` may begin now; if not, its `shake_hands` is called in a later turn."""
        if not self._turn_ends:
            self._turn_ends = True
            self.reactor.callLater(0, self._next_turn)
        if self._begun < self.per_turn:
            self._begun += 1
            return True
        self._waiting.append(connection)
        return False

    def hold(self, port: Pausable) -> bool:
        """Stop `port` from accepting if too many handshakes wait; it goes on when none does."""
        if len(self._waiting) < HANDSHAKES_WAITING:
            return False
        port.stopReading()
        self._ports.append(port)
        return True

    def release(self, port: Pausable) -> None:
        """Forget `port`, because it is being closed."""
        if port in self._ports:
            self._ports.remove(port)

    def _next_turn(self) -> None:
        self._turn_ends = False
        self._begun = 0
        while self._waiting and self._begun < self.per_turn:
            self._begun += 1
            connection = self._waiting.popleft()
            try:
                connection.shake_hands()
            except Exception:
                log.failure("Unexpected error in a TLS handshake")
        if self._waiting:
            self._turn_ends = True
            self.reactor.callLater(0, self._next_turn)
        else:
            ports, self._ports = self._ports, []
            for port in ports:
                port.startReading()


def turn_of(reactor: Any) -> Turn:
    """Give the one `Turn` of `reactor` (a provider of IReactorTime), made at the first call."""
    turn = getattr(reactor, "chatd_turn", None)
    if turn is None:
        turn = reactor.chatd_turn = Turn(reactor)
    return turn
