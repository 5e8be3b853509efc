"""Connections of other servers that were cut and may go on over another one (XEP-0198 5), by SM-ID.

Who opened a connection resumes it: `Link` does for ours.  Here are those that others opened: up, or cut and waiting.
A connection goes on only over one that has proved all the pairs of the former again, so an SM-ID alone is worth
nothing.  What the former had taken is worked off and on the disk before it is told how much that was.  One that cannot
go on any more is still answered with its count, so that nothing it has taken is sent a second time.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from chatd.core.errors import StreamError
from chatd.core.smacks import parse_h, resume_s_of
from chatd.core.stanza import Stanza

if TYPE_CHECKING:
    from chatd.server.s2s.federation import Federation
    from chatd.server.s2s.incoming import Incoming
    from chatd.server.s2s.link import Link

__all__ = ["Resumable"]

CUT_MOST: Final = 1000
"""Connections that wait to be resumed; the one that has waited longest goes first."""
_REMEMBERED: Final = 2000
"""Ended ones whose count is still told with <failed/>."""


class Resumable:
    """See the module; one a daemon."""

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._streams: dict[str, Incoming] = {}
        self._cut: OrderedDict[str, tuple[Incoming, Link | None, float]] = OrderedDict()   # until when it may go on
        self._ended: OrderedDict[str, tuple[frozenset[tuple[str, str]], int]] = OrderedDict()    # its pairs, its count

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def waiting(self) -> int:
        """How many are cut and may still go on."""
        return len(self._cut)

    def enabled(self, stream: Incoming, element: Stanza) -> tuple[str, int]:
        """Gives the SM-ID of a stream that asks for it with <enable/>, "" where it may not be resumed, and for how
        many seconds it waits once it is cut."""
        resume_s = resume_s_of(element, self._federation.limits.resume_s)
        if not resume_s:
            return "", 0
        token = self._federation.token()
        self._streams[token] = stream
        return token, resume_s

    def over(self, stream: Incoming, link: Link | None) -> None:
        """A connection has ended; link: what was sent over it."""
        smacks = stream.smacks
        if smacks is None or self._streams.get(smacks.id) is not stream:
            return
        if stream.may_resume:
            self._cut[smacks.id] = stream, link, self._federation.clock.seconds() + smacks.resume_s
            while len(self._cut) > CUT_MOST:
                self._end(next(iter(self._cut)))
        else:
            self._end(smacks.id)

    def _end(self, token: str) -> None:
        stream = self._streams.pop(token)
        self._cut.pop(token, None)
        self._remember(token, stream)
        stream.settled(lambda: self._remember(token, stream))       # with what was still being worked off

    def _remember(self, token: str, stream: Incoming) -> None:
        if stream.smacks is not None:
            self._ended[token] = frozenset(stream.pairs), stream.smacks.h
            while len(self._ended) > _REMEMBERED:
                self._ended.popitem(last=False)

    def look_over(self, now: float) -> None:
        """Now and then: those nobody has come back for end."""
        for token in [token for token, (_, _, until) in self._cut.items() if until <= now]:
            self._end(token)

    # -- <resume/>
    def resume(self, stream: Incoming, element: Stanza) -> None:
        """`stream`, proved, asks to go on where another was; it is told later what became of it.  Raises StreamError
        for a count that is none."""
        token, h = element.attrs.get("previd", ""), parse_h(element)
        former = self._streams.get(token)
        if former is None or not self._fits(stream, former):
            self._refuse(stream, token)
        else:
            self._end_first(stream, former, token, h)

    def _refuse(self, stream: Incoming, token: str) -> None:
        pairs, handled = self._ended.get(token, (frozenset(), None))
        stream.not_resumed(handled if pairs and pairs <= stream.pairs else None)

    def _end_first(self, stream: Incoming, former: Incoming, token: str, h: int) -> None:
        if not former.is_closing:
            former.abort("it goes on over another connection")
        former.settled(lambda: self._go_on(stream, former, token, h))

    def _fits(self, stream: Incoming, former: Incoming) -> bool:
        return former is not stream and former.pairs <= stream.pairs and former.answers_here == stream.answers_here

    def _go_on(self, stream: Incoming, former: Incoming, token: str, h: int) -> None:
        """Everything that the former had taken is on the disk."""
        if stream.is_closing:
            return                          # the former waits on
        smacks, (_, link, _) = former.smacks, self._cut.get(token, (None, None, 0.0))
        current = self._streams.get(token)
        if current is None or smacks is None or not self._fits(stream, current):
            self._refuse(stream, token)
        elif current is not former:
            self._end_first(stream, current, token, h)      # another was faster, which they have given up since
        elif link is not None and link.former is not former:
            self._end(token)                # it took too long: what was not acknowledged has gone another way
            stream.not_resumed(smacks.h)
        else:
            try:
                smacks.resume(h)
            except StreamError as broken:
                stream.close(broken)
                return
            self._cut.pop(token, None)
            self._streams[token] = stream
            stream.resumed(former, link)
