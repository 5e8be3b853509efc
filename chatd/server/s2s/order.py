"""What another server sends on one connection is worked off in order: stanzas, and what stands between them.

A stanza may take its time, mostly that of the disk.  What comes behind it waits here, and is worked off even where the
connection is gone meanwhile, because it has been taken.  Where much waits, nothing more is read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatd.core.errors import StreamError
from chatd.server.done import takes_time

if TYPE_CHECKING:
    from chatd.server.s2s.stream import ServerStream

__all__ = ["Order"]

log = Logger()

_WAITING_MOST: Final = 64
_Work = Callable[[], "Deferred[Any] | None"]


class Order:
    """See the module; of one stream.  Works raise what ends the stream, and give what those behind them wait for."""

    def __init__(self, stream: ServerStream) -> None:
        self._stream = stream
        self._waiting: deque[_Work] | None = None       # None: nothing takes its time
        self._behind: list[Callable[[], None]] = []     # to call when nothing waits any more

    def take(self, work: _Work) -> None:
        """Does it, now or behind what waits."""
        waiting = self._waiting
        if waiting is None:
            self._wait_for(work())
            return
        waiting.append(work)
        if len(waiting) >= _WAITING_MOST:
            self._stream.hold(self._stream.BEHIND)

    def settled(self, then: Callable[[], None]) -> None:
        """Calls it when all that has been taken is worked off and on the disk, also where the connection is gone."""
        if self._waiting is not None:
            self._behind.append(then)
        else:
            self._stream.federation.router.store.then(lambda error: then())

    def _wait_for(self, result: Deferred[Any] | None) -> bool:
        if result is None or not takes_time(result, self._failed):
            return False
        if self._waiting is None:
            self._waiting = deque()
        result.addCallback(self._go_on)
        return True

    def _failed(self, failure: Failure) -> None:
        if failure.check(StreamError):
            self._stream.close(failure.value)       # type: ignore[arg-type]
        else:
            log.failure("a stanza of {stream!r} could not be worked off", failure, stream=self._stream)

    def _go_on(self, _: Any) -> None:
        stream, is_through = self._stream, False

        def work_off() -> None:
            nonlocal is_through
            self._work_off()
            is_through = True

        while not is_through:
            stream.guarded(work_off)
            if not is_through and stream.smacks is not None and self._waiting is not None:
                # The stream ends by a mistake of ours.  What stands behind it is not counted, so it will come again.
                self._waiting.clear()

    def _work_off(self) -> None:
        waiting = self._waiting
        while waiting:
            if self._wait_for(waiting.popleft()()):
                return
        self._waiting = None
        self._stream.let(self._stream.BEHIND)
        behind, self._behind = self._behind, []
        for then in behind:
            self.settled(then)
