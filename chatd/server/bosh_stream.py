"""A client's stream over BOSH: XEP-0124 and XEP-0206.

Requests are worked off in the order of their `rid`, those that come early wait.  One that finds nothing to bring back
is held, `hold` of them at most and `wait` seconds at most.  A response is kept until the client's later requests
show that it has arrived; so a request that is repeated gets the same answer, and when a session dies of silence
what its client may not have seen goes back to the router.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from chatd.core.errors import StreamError
from chatd.core.framing import Event, StreamEnd
from chatd.core.stanza import STANZA_NAMES, Stanza
from chatd.core.stream_xml import Wire
from chatd.server import bosh_body
from chatd.server.bosh_body import Body
from chatd.server.stream import OUTPUT_BYTES, ClientStream

if TYPE_CHECKING:
    from chatd.server.session import Session
    from chatd.server.streams import ClientStreams

__all__ = ["Answer", "BoshStream"]

log = Logger()

WAIT_MOST: Final = 60           # seconds a request is held at most; reverse proxies cut longer ones
HOLD_MOST: Final = 2
INACTIVITY_S: Final = 60        # without any request; a laptop's browser may be asleep that long
POLLING_S: Final = 2            # between the empty requests of a client that polls
MAXPAUSE_S: Final = 120
_OWED_BYTES: Final = 1 << 16    # beyond, it fetches less than it is sent
VERSION: Final = (1, 11)


class Answer(Protocol):
    """An HTTP request that waits for its response."""

    def give(self, xml: bytes, code: int = 200) -> None:
        """Sends the response; nothing happens if the client is gone."""


@attrs.define
class _Waiting:
    """A request that has been worked off and not answered."""

    rid: int
    answer: Answer
    since_s: float


class BoshStream(ClientStream):
    """One BOSH session.  `forget` is called with the sid when it is over for good."""

    __slots__ = ("_confirmed", "_early", "_empty_s", "_farewell", "_flushing", "_forget", "_highest", "_idle",
                 "_is_legacy", "_next", "_opening", "_owed", "_owed_bytes", "_owed_stanzas", "_owner",
                 "_pause_s", "_says_ack", "_sent", "_stopped", "_timer", "_waiting", "hold", "is_admitted",
                 "is_secure", "requests", "sid", "wait_s")

    wire = Wire.BOSH

    def __init__(self, streams: ClientStreams, address: str, body: Body, is_secure: bool,
                 forget: Callable[[str], None]) -> None:
        super().__init__(streams, address)
        self.sid = streams.token()
        self.is_secure = is_secure
        self.is_admitted = False
        self.wait_s = min(_or(body.number("wait"), WAIT_MOST), WAIT_MOST)
        self.hold = min(_or(body.number("hold"), 1), HOLD_MOST) if self.wait_s else 0
        self.requests = self.hold + 1
        self._forget = forget
        self._is_legacy = "ver" not in body.attrs
        self._says_ack = body.attrs.get("ack") == "1"
        self._opening: dict[str, str | int | None] | None = self._creation(body)
        self._next = body.rid
        self._highest = body.rid
        self._confirmed = body.rid - 1          # responses up to this one have arrived
        self._early: dict[int, tuple[Body, Answer]] = {}
        self._waiting: deque[_Waiting] = deque()
        self._sent: OrderedDict[int, tuple[bytes, list[Stanza]]] = OrderedDict()
        self._owed: list[bytes] = []            # to be sent with the next response
        self._owed_stanzas: list[Stanza] = []
        self._owed_bytes = 0
        self._owner: Session | None = None      # whose stanzas these are, also when it has let go of the stream
        self._farewell: bytes | None = None
        self._flushing: IDelayedCall | None = None
        self._timer: IDelayedCall | None = None
        self._idle: IDelayedCall | None = None
        self._pause_s = 0
        self._empty_s = 0.0
        self._stopped = False

    def _creation(self, body: Body) -> dict[str, str | int | None]:
        """The attributes of the first response (XEP-0124 7.2, XEP-0206 4)."""
        return {
            "sid": self.sid, "wait": self.wait_s, "requests": self.requests, "hold": self.hold,
            "ver": _version(body.attrs.get("ver")), "polling": POLLING_S if not self.hold else None,
            "inactivity": INACTIVITY_S, "maxpause": MAXPAUSE_S, "from": body.attrs.get("to"),
            "ack": body.rid if self._says_ack else None, "xmpp_version": "1.0", "xmpp_restartlogic": "true"}

    # -- requests
    def request(self, body: Body, answer: Answer, size_bytes: int) -> None:
        """A request of this session, the first included."""
        self._listened()
        streams = self.streams
        self.heard_s = now = streams.seconds()
        rid = body.rid
        if self._farewell is not None:
            self._say_farewell(answer)
        elif rid < self._next:
            self._repeated(rid, answer)
        elif rid >= self._next + self.requests + (body.is_end or "pause" in body.attrs):
            self._break("item-not-found", answer)           # XEP-0124 14.2
        else:
            former = self._early.get(rid)
            self._early[rid] = (body, answer)
            if former is not None:
                former[1].give(bosh_body.write(type="error"))
            self._highest = max(self._highest, rid)
            self._confirm(body)
            self._work()
            self.spend(1 + len(body.stanzas), size_bytes, now)

    def _repeated(self, rid: int, answer: Answer) -> None:
        """XEP-0124 14.3: the client did not get the response, or thinks so."""
        for waiting in self._waiting:
            if waiting.rid == rid:
                former, waiting.answer = waiting.answer, answer
                former.give(bosh_body.write(type="error"))
                return
        kept = self._sent.get(rid)
        if kept is None:
            self._break("item-not-found", answer)
        else:
            answer.give(kept[0])
            self._rest()

    def _confirm(self, body: Body) -> None:
        """A client has no more than `requests` unanswered: so the responses before those have arrived."""
        confirmed = self._highest - self.requests
        said = body.number("ack")
        if said is not None and self._says_ack:
            confirmed = max(confirmed, min(said, self._next - 1))
        self._confirmed = max(self._confirmed, confirmed)

    def _work(self) -> None:
        while not self._stopped and not self.is_closing and self._next in self._early:
            body, answer = self._early.pop(self._next)
            self._next += 1
            self._waiting.append(_Waiting(body.rid, answer, self.streams.seconds()))
            if not self._is_polling_too_fast(body):
                self._take_body(body)
        self._flush()

    def _take_body(self, body: Body) -> None:
        pause = body.pause_s
        events: list[Event]
        if self._opening is not None or body.is_restart:
            events = [body.header]
        elif pause is not None:
            self._away(min(pause, MAXPAUSE_S))
            return
        else:
            self.streams.counts.stanzas_in += len(body.stanzas)
            events = [*body.stanzas]
        if body.is_end:
            events.append(StreamEnd())
        self.take(events)

    def _is_polling_too_fast(self, body: Body) -> bool:
        """XEP-0124 12: empty requests of a client that asks not to be held have a shortest interval."""
        now, before = self.heard_s, self._empty_s
        self._empty_s = now if body.is_empty and not self._owed else 0.0
        if self.hold or not self._empty_s or not before or now - before >= POLLING_S:
            return False
        self._break("policy-violation", None)
        return True

    def _away(self, seconds: int) -> None:
        """XEP-0124 10: all that is held is answered, without payload, and the client may stay away so long."""
        while self._waiting:
            self._give([], [])
        self._pause_s = seconds
        self._rest()

    # -- responses
    def _flush(self) -> None:
        """Answers what can be answered now."""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        if self.is_closing:
            return
        if self._owed and self._waiting:
            owed, stanzas = self._owed, self._owed_stanzas
            self._owed, self._owed_stanzas, self._owed_bytes = [], [], 0
            self._give(owed, stanzas)
        while len(self._waiting) > self.hold and self._opening is None:
            self._give([], [])
        self._rest()

    def _give(self, payload: list[bytes], stanzas: list[Stanza]) -> None:
        """Answers the oldest request."""
        waiting = self._waiting.popleft()
        rid = waiting.rid
        opening, self._opening = self._opening, None
        ack = self._next - 1 if self._says_ack and self._next - 1 > rid else None
        xml = bosh_body.write(payload, **(opening if opening is not None else {"ack": ack}))
        self._keep(rid, xml, stanzas)
        waiting.answer.give(xml)

    def _keep(self, rid: int, xml: bytes, stanzas: list[Stanza]) -> None:
        sent = self._sent
        sent[rid] = (xml, stanzas)
        while len(sent) > self.requests and next(iter(sent)) <= self._confirmed:
            sent.popitem(last=False)
        while len(sent) > self.requests + 2:
            sent.popitem(last=False)

    def gone(self, answer: Answer) -> None:
        """The connection of a request that waits is gone: it is as if answered with nothing, to be repeated."""
        for waiting in self._waiting:
            if waiting.answer is answer:
                self._waiting.remove(waiting)
                if self._opening is None:
                    self._keep(waiting.rid, bosh_body.write(), [])
                break
        self._rest()

    def _rest(self) -> None:
        """Sets the one timer that is needed: until the oldest request must be answered, or until silence is the end.

        Silence began with the last answer, so what we have to say does not lengthen it (XEP-0124 10).
        """
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        clock = self.streams.clock
        if self._waiting and not self.is_closing:
            left = self._waiting[0].since_s + self.wait_s - self.streams.seconds()
            self._timer = clock.callLater(max(0.0, left), self._waited)
            self._pause_s = 0
            self._listened()
        elif self._idle is None and (not self.is_closing or self._farewell is not None):
            self._idle = clock.callLater(self._pause_s or INACTIVITY_S, self._silent)

    def _listened(self) -> None:
        """The client is there."""
        idle, self._idle = self._idle, None
        if idle is not None:
            idle.cancel()

    def _waited(self) -> None:
        self._timer = None
        if self._waiting:
            self._give([], [])
        self._rest()

    def _silent(self) -> None:
        self._idle = None
        self.abort()

    # -- as a stream
    def send_stanza(self, stanza: Stanza) -> None:
        """See IClientStream."""
        self.streams.counts.stanzas_out += 1
        self._owner = self.session or self._owner
        self._owed_stanzas.append(stanza)
        self.send(stanza.to_bytes_ns())

    def send(self, xml: bytes) -> None:
        """See IClientStream.  What one turn of the reactor brings goes out together."""
        if not xml:
            return
        self._owed.append(xml)
        self._owed_bytes += len(xml)
        if self._owed_bytes > OUTPUT_BYTES and not self.is_closing:
            log.info("{stream!r} does not fetch what it is sent: cut", stream=self)
            self.abort()
        elif self._flushing is None and not self.is_closing:
            self._flushing = self.streams.clock.callLater(0, self._flush_later)

    @property
    def is_congested(self) -> bool:
        """See IClientStream."""
        return self._owed_bytes > _OWED_BYTES

    def _flush_later(self) -> None:
        self._flushing = None
        self._flush()

    def admit(self) -> None:
        """Larger stanzas are welcome."""
        self.is_admitted = True

    def _stop_reading(self) -> None:
        self._stopped = True

    def _read_again(self) -> None:
        self._stopped = False
        self._work()

    # -- the end
    def refuse(self, body: Body, answer: Answer, error: StreamError) -> None:
        """A first request that may not be."""
        self._waiting.append(_Waiting(body.rid, answer, self.streams.seconds()))
        self.close(error)

    def broken(self, answer: Answer, error: StreamError) -> None:
        """A request of this session could not be read."""
        self._waiting.append(_Waiting(self._next, answer, self.streams.seconds()))
        self.shut(error)

    def _break(self, condition: str, answer: Answer | None) -> None:
        """The client broke a rule of BOSH: the session ends, and with it the stream."""
        code = bosh_body.HTTP_CODES[condition] if self._is_legacy else 200
        xml = bosh_body.write(type="terminate", condition=condition)
        answers = [waiting.answer for waiting in self._waiting] + ([answer] if answer is not None else [])
        self._waiting.clear()
        log.info("{stream!r} broke a rule of BOSH: {condition}", stream=self, condition=condition)
        self.abort()
        for each in answers:
            each.give(xml, code)

    def _finish(self, error: StreamError | None) -> None:
        """The oldest request gets the end and all that was owed; without one the next request does."""
        waiting, self._waiting = self._waiting, deque()
        waiting.extend(_Waiting(rid, answer, 0.0) for rid, (_, answer) in sorted(self._early.items()))
        self._early.clear()
        if waiting:
            waiting.popleft().answer.give(bosh_body.terminate(error, self._owed))
            for other in waiting:
                other.answer.give(bosh_body.write())
            self._owed_stanzas = []
            if self.peer_ended:
                self._sent.clear()              # the client ended it, so it has what it wanted
        elif not self.streams.is_closing:
            self._farewell = bosh_body.terminate(error)
            self._give_back()
            self._rest()
            return
        self.lost()

    def _say_farewell(self, answer: Answer) -> None:
        farewell, self._farewell = self._farewell, None
        assert farewell is not None
        self.lost()
        answer.give(farewell)

    def abort(self) -> None:
        """Ends it at once; what waits is told so."""
        waiting, self._waiting = self._waiting, deque()
        self._farewell = None
        self.lost()
        for each in waiting:
            each.answer.give(bosh_body.write(type="terminate", condition="item-not-found"))

    def lost(self) -> None:
        """The session is over."""
        self._forget(self.sid)
        for timer in (self._timer, self._idle, self._flushing):
            if timer is not None and timer.active():
                timer.cancel()
        self._timer = self._idle = self._flushing = None
        early, self._early = self._early, {}
        super().lost()
        self._give_back()
        for _, answer in early.values():
            answer.give(bosh_body.write(type="terminate", condition="item-not-found"))

    def _give_back(self) -> None:
        """What the client may not have goes back to the router."""
        stanzas = [stanza for rid, (_, sent) in self._sent.items() if rid > self._confirmed for stanza in sent]
        stanzas += self._owed_stanzas
        self._sent.clear()
        self._owed_stanzas = []
        if self._owner is not None:
            for stanza in stanzas:
                if stanza.name in STANZA_NAMES:
                    self.streams.router.undelivered(self._owner, stanza)


def _or(number: int | None, otherwise: int) -> int:
    return otherwise if number is None else number


def _version(asked: str | None) -> str | None:
    """The lower of both versions (XEP-0124 7.2), None for a client that names none."""
    major, _, minor = (asked or "").partition(".")
    if not (major.isdecimal() and minor.isdecimal() and len(major) < 4 and len(minor) < 4):
        return None
    lower = min((int(major), int(minor)), VERSION)
    return f"{lower[0]}.{lower[1]}"
