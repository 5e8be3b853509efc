"""Stream management (XEP-0198) on one connection with another server: what is asked, what is answered, and what is sent
again where another connection was cut.

Counters and queue are `chatd.core.smacks`; they go over to the connection that goes on.  How it begins is for
`Incoming` and `Outgoing`, who may go on where for `Resumable` and `Link`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from chatd.core import ns
from chatd.core import server_xml as xml
from chatd.core.errors import StreamError
from chatd.core.smacks import StreamManagement, parse_h
from chatd.core.stanza import Stanza

if TYPE_CHECKING:
    from chatd.server.s2s.stream import ServerStream

__all__ = ["ACK_S", "PROBE_S", "Management"]

log = Logger()

ACK_S: Final = 30.0
"""How long a server that was asked for an acknowledgement may say nothing before the connection counts as dead."""
PROBE_S: Final = 5.0
"""The same for one that seems to be given up."""


class Management:
    """See the module; of one stream, whose `smacks` is None as long as it is off."""

    def __init__(self, stream: ServerStream) -> None:
        self._stream = stream
        self._asked_s = 0.0             # since when an answer is due
        self._left: int | None = None   # how many they did not have when they counted last

    def begin(self, token: str = "", resume_s: int = 0, is_confirmed: bool = True) -> None:
        """It is on from here: what is sent is counted; what comes too, once it is confirmed that the peer does so."""
        self._stream.counts = is_confirmed
        self._stream.smacks = StreamManagement(token, resume_s, self._stream.federation.limits.resume_stanzas)

    def go_on(self, former: ServerStream) -> None:
        """The stream goes on where `former` was cut: what the peer has not got is sent again."""
        stream, smacks = self._stream, former.smacks
        assert smacks is not None
        stream.federation.counted(former)
        stream.is_resuming, stream.counts = False, True
        stream.smacks = smacks
        for stanza in smacks.unacknowledged():
            stream.transport.write(stanza.to_bytes())
        if smacks.asks_now:
            self.ask()
        log.info("{stream!r} goes on where it was cut", stream=stream)

    # -- <r/> of the peer
    def take_request(self) -> None:
        """<r/>: answered behind the stanzas before it, when what they wrote is on the disk."""
        self._stream.order.take(partial(self._answer, self._on()))

    def _answer(self, smacks: StreamManagement) -> None:
        self._stream.federation.router.store.then(self._acknowledge, smacks.h)

    def _acknowledge(self, error: Exception | None, h: int) -> None:
        if not self._stream.is_closing:
            self._stream.transport.write(b"<a xmlns='%b' h='%d'/>" % (ns.SM.encode(), h))

    def last_count(self) -> None:
        """Before an end in order, so that nothing that was taken is sent again; where that is on the disk."""
        done: list[object] = []
        stream = self._stream
        if stream.smacks is not None and not stream.is_resuming:
            stream.federation.router.store.then(done.append)
            if done:
                self._acknowledge(None, stream.smacks.h)

    # -- ours
    def ask(self) -> None:
        """<r/>."""
        smacks = self._stream.smacks
        if smacks is not None:
            smacks.asked()
            self._asked_s = self._asked_s or self._stream.federation.clock.seconds()
            self._stream.transport.write(xml.REQUEST)

    def take_answer(self, element: Stanza) -> None:
        """<a/>."""
        smacks = self._on()
        news = smacks.acknowledge(parse_h(element))
        self._left = len(smacks)
        self._asked_s = 0.0
        if self._stream.link is not None:
            self._stream.link.acknowledged(news)

    @property
    def is_counted(self) -> bool:
        """Nothing was sent since they counted last, as they do before an end in order."""
        return self._stream.smacks is not None and self._left == len(self._stream.smacks)

    def _on(self) -> StreamManagement:
        smacks = self._stream.smacks
        if smacks is None or self._stream.is_resuming:
            raise StreamError("unsupported-stanza-type", "Stream management has not been enabled.")
        return smacks

    # -- is it alive?
    def probe(self, gone: Callable[[], None]) -> None:
        """The peer seems to have given it up: asks, cuts it where nothing is heard, and calls `gone` where it has ended
        by then."""
        stream = self._stream

        def look(heard_s: float) -> None:
            if not stream.is_closing and stream.heard_s == heard_s and not stream.is_held:
                stream.abort("the other server has begun anew")
            if stream.is_closing:
                gone()

        self.ask()
        stream.federation.clock.callLater(PROBE_S, look, stream.heard_s)

    def look_over(self, now: float) -> bool:
        """Asks where something waits for an acknowledgement; False: the peer was asked, and answers nothing."""
        stream = self._stream
        if stream.smacks is None or not len(stream.smacks):
            return True
        if not self._asked_s:
            self.ask()
            return True
        return now - max(self._asked_s, stream.heard_s) <= ACK_S or stream.is_held
