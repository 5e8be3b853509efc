"""Stream management, XEP-0198: what was sent and is not acknowledged, how much was handled, resumption.

No clock and no stream: the caller sends, asks (<r/>) and keeps the time a session may be resumed. Counters
are modulo 2**32 (4); only stanzas count. The queue is bounded: a client that never acknowledges loses its
session rather than the server its memory. Where <enable/> and <resume/> may stand is decided in
`chatd.core.negotiation`.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from chatd.core import ns
from chatd.core.errors import StreamError
from chatd.core.stanza import Stanza

__all__ = ["ASK_EVERY", "QUEUE_BYTES", "StreamManagement", "parse_h", "resume_s_of"]

#: An acknowledgement is asked for after so many stanzas; a timer asks for the rest (`may_ask`).
ASK_EVERY: Final = 25
#: Content of all the stanzas that may wait for an acknowledgement: 64 of the largest.
QUEUE_BYTES: Final = 16 << 20
_MODULO: Final = 1 << 32


class StreamManagement:
    """One session's XEP-0198 state, kept over its streams.

    id: its SM-ID, empty where it may not be resumed. resume_s: seconds it waits for a new stream.
    limit, limit_bytes: stanzas, and bytes of their content, that may wait for an acknowledgement.
    handled: how many stanzas of the client have been handled. asks_now: time to send <r/>; `asked` clears it.
    len() is how many stanzas the client has not acknowledged.
    """

    __slots__ = ("_acknowledged", "_bytes", "_limit", "_limit_bytes", "_queue", "_since_asked", "asks_now",
                 "handled", "id", "resume_s")

    def __init__(self, id: str, resume_s: float, limit: int, limit_bytes: int = QUEUE_BYTES) -> None:
        self.id = id
        self.resume_s = resume_s
        self.handled = 0
        self.asks_now = False
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._queue: deque[Stanza] = deque()
        self._bytes = 0
        self._acknowledged = 0
        self._since_asked = 0

    @property
    def may_resume(self) -> bool:
        """The client asked for resumption and was granted it."""
        return bool(self.id)

    # -- what the client sends
    def count(self) -> None:
        """A stanza of the client was handled: the server has taken responsibility for it (4)."""
        self.handled = (self.handled + 1) % _MODULO

    @property
    def h(self) -> int:
        """For <a/>, <resumed/> and <failed/>."""
        return self.handled

    # -- what the client gets
    def sent(self, stanza: Stanza) -> bool:
        """A stanza goes to the client; False where too much waits and this one was not taken."""
        queue = self._queue
        size = self._bytes + len(stanza.inner)
        if len(queue) >= self._limit or size > self._limit_bytes:
            return False
        queue.append(stanza)
        self._bytes = size
        self._since_asked += 1
        if self._since_asked >= ASK_EVERY:
            self.asks_now = True
        return True

    def asked(self) -> None:
        """An <r/> is on its way."""
        self._since_asked = 0
        self.asks_now = False

    @property
    def may_ask(self) -> bool:
        """Something waits that no <r/> has asked about yet."""
        return self._since_asked > 0 and bool(self._queue)

    def __len__(self) -> int:
        return len(self._queue)

    def __bool__(self) -> bool:
        return True  # stream management is on, also while nothing waits

    def acknowledge(self, h: int) -> int:
        """The client has handled `h` stanzas in all (0 to 2**32 - 1); gives how many were news.

        StreamError undefined-condition with <handled-count-too-high/> for more than it was sent, which a number
        that went backwards looks like (6).
        """
        news = (h - self._acknowledged) % _MODULO
        queue = self._queue
        if news > len(queue):
            sent = (self._acknowledged + len(queue)) % _MODULO
            raise StreamError(
                "undefined-condition", f"You acknowledged {h} stanzas, but I only sent you {sent} so far.",
                f'<handled-count-too-high xmlns="{ns.SM}" h="{h}" send-count="{sent}"/>')
        for _ in range(news):
            self._bytes -= len(queue.popleft().inner)
        self._acknowledged = h
        if not queue:
            self.asked()
        return news

    def unacknowledged(self) -> list[Stanza]:
        """What the client may not have, oldest first."""
        return list(self._queue)

    def forget(self) -> None:
        """What waits goes another way; nothing more is sent or resumed."""
        self._queue.clear()
        self._bytes = 0

    def resume(self, h: int) -> list[Stanza]:
        """The client is back and has handled `h` stanzas (5): what to send again, oldest first; it goes on
        waiting for its acknowledgement, which is to be asked for. StreamError as `acknowledge`."""
        self.acknowledge(h)
        self._since_asked = len(self._queue)
        self.asks_now = bool(self._queue)
        return list(self._queue)

    def give_up(self) -> Stanza:
        """Takes the oldest out that the client is known not to have (IndexError: there is none), as if it had not been
        sent: only before anything is sent again."""
        stanza = self._queue.popleft()
        self._bytes -= len(stanza.inner)
        self._since_asked = len(self._queue)
        self.asks_now = bool(self._queue)
        return stanza


def parse_h(stanza: Stanza) -> int:
    """The 'h' of <a/> (xs:unsignedInt); raises StreamError policy-violation where there is none."""
    number = stanza.attrs.get("h", "")
    if number.isascii() and number.isdigit() and len(number) <= 10:
        h = int(number)
        if h < _MODULO:
            return h
    raise StreamError("policy-violation", "<a/> needs an 'h' between 0 and 4294967295.")


def resume_s_of(enable: Stanza, most: int) -> int:
    """For how many seconds what <enable/> begins may be resumed: what it asks for, `most` at most; 0: not at all."""
    if enable.attrs.get("resume") not in ("true", "1"):
        return 0
    text = enable.attrs.get("max") or ""
    return min(int(text), most) if text.isascii() and text.isdigit() and len(text) <= 10 else most
