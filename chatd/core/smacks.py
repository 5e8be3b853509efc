"""Stream management: what was sent and not yet acknowledged, and how much was handled. XEP-0198.

Counters are modulo 2^32 (XEP-0198 4).  Only stanzas count.  The queue is bounded: a client that
never acknowledges loses its session rather than the server its memory.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from chatd.core.stanza import Stanza

__all__ = ["ASK_EVERY", "StreamManagement", "TooHigh"]

#: An acknowledgement is asked for after so many stanzas; a timer asks for the rest.
ASK_EVERY: Final = 10
_MODULO: Final = 1 << 32


class TooHigh(Exception):
    """The client acknowledges more than it was sent; `h` and `sent` as counters (XEP-0198 4)."""

    def __init__(self, h: int, sent: int) -> None:
        super().__init__(h, sent)
        self.h = h
        self.sent = sent


class StreamManagement:
    """One session's XEP-0198 state, kept over its streams.

    token: its SM-ID, empty where it may not be resumed.  resume_s: seconds it waits for a new stream.
    limit: stanzas that may wait for an acknowledgement.  handled: how many stanzas of the client have
    been handled.  asks_now: time to send <r/>; `asked` clears it.
    """

    __slots__ = ("_acknowledged", "_limit", "_queue", "_since_asked", "asks_now", "handled", "resume_s", "token")

    def __init__(self, token: str, resume_s: float, limit: int) -> None:
        self.token = token
        self.resume_s = resume_s
        self.handled = 0
        self.asks_now = False
        self._limit = limit
        self._queue: deque[Stanza] = deque()
        self._acknowledged = 0
        self._since_asked = 0

    @property
    def may_resume(self) -> bool:
        """The client asked for resumption and was granted it."""
        return bool(self.token)

    def sent(self, stanza: Stanza) -> bool:
        """A stanza goes to the client; False where too many wait and this one was not taken."""
        queue = self._queue
        if len(queue) >= self._limit:
            return False
        queue.append(stanza)
        self._since_asked += 1
        if self._since_asked >= ASK_EVERY:
            self.asks_now = True
        return True

    def asked(self) -> None:
        """An <r/> is on its way."""
        self._since_asked = 0
        self.asks_now = False

    @property
    def wants_answer(self) -> bool:
        """Something waits that no <r/> has asked about yet."""
        return self._since_asked > 0 and bool(self._queue)

    @property
    def waiting(self) -> int:
        """How many stanzas the client has not acknowledged."""
        return len(self._queue)

    def count(self) -> None:
        """A stanza of the client was handled."""
        self.handled = (self.handled + 1) % _MODULO

    def acknowledge(self, h: int) -> int:
        """The client has handled `h` stanzas in all; gives how many that were news.  Raises TooHigh."""
        news = (h - self._acknowledged) % _MODULO
        queue = self._queue
        if news > len(queue):
            raise TooHigh(h, (self._acknowledged + len(queue)) % _MODULO)
        for _ in range(news):
            queue.popleft()
        self._acknowledged = h % _MODULO
        if not queue:
            self.asked()
        return news

    def unacknowledged(self) -> list[Stanza]:
        """What the client may not have, oldest first."""
        return list(self._queue)
