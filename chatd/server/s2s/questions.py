"""Dialback's questions on one connection with another server (XEP-0220): ours that wait for an answer, and the peer's
that are being looked into.

Who may be asked and what an answer means is for the streams and the `Federation`; here they are counted and timed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from chatd.core import dialback
from chatd.core.dialback import Dialback
from chatd.core.errors import StreamError

if TYPE_CHECKING:
    from chatd.server.s2s.stream import ServerStream

__all__ = ["ANSWER_S", "Questions"]

ANSWER_S: Final = 10.0
"""How long another server may take to answer a <db:verify/> of ours."""
_OF_FRIENDS: Final = 20
"""Dialback questions of a peer under way on one connection."""
_OF_STRANGERS: Final = 2
"""The same as long as it has proved nothing: each makes us ask DNS and connect to where it says."""


class Questions:
    """See the module; of one stream."""

    def __init__(self, stream: ServerStream) -> None:
        self._stream = stream
        self._ours: dict[tuple[str, str, str], Deferred[str]] = {}      # (from, to, id) of a <db:verify/>
        self._theirs: set[tuple[str, str]] = set()                      # of a <db:result/>

    def ask(self, local: str, remote: str, id_: str, key: str) -> Deferred[str]:
        """Sends <db:verify/> (step 2); gives valid, invalid or error; fails where the connection ends before, or
        there is no answer in ANSWER_S."""
        question: Deferred[str] = Deferred()
        self._ours[local, remote, id_] = question

        def unanswered() -> None:
            del self._ours[local, remote, id_]
            question.errback(ConnectionError("there is no answer in time"))

        late = self._stream.federation.clock.callLater(ANSWER_S, unanswered)

        def over(result: Any) -> Any:
            if late.active():
                late.cancel()
            return result

        question.addBoth(over)
        self._stream.transport.write(dialback.key("verify", local, remote, key, id_))
        return question

    def answered(self, answer: Dialback) -> None:
        """What became of a <db:verify/> of ours. What nobody asked is dropped (3.1)."""
        question = self._ours.pop((answer.to, answer.from_, answer.id), None)
        if question is not None:
            question.callback(answer.kind)

    def look_into(self, asked: Dialback, done: Callable[[str], None]) -> None:
        """Finds out whether the key is theirs, and then calls done("valid" or the reason why it is not).

        StreamError policy-violation for too many at once.
        """
        stream, pair = self._stream, (asked.from_, asked.to)
        if pair in self._theirs:
            raise StreamError("policy-violation", "This dialback request is being looked into already.")
        if len(self._theirs) >= (_OF_FRIENDS if stream.is_authenticated else _OF_STRANGERS):
            raise StreamError("policy-violation", "Too many dialback requests at once.")
        self._theirs.add(pair)

        def found(result: Any) -> None:
            self._theirs.discard(pair)
            done(result if isinstance(result, str) else f"error {result.getErrorMessage()}")

        stream.federation.verify(asked.to, asked.from_, stream.id, asked.key).addBoth(found)

    def end(self, why: str) -> None:
        """The connection is gone: nothing of ours will be answered."""
        ours, self._ours = self._ours, {}
        for question in ours.values():
            question.errback(ConnectionError(why))
