"""From one domain of ours to one other domain: the connection, what waits for it, and when to try again.

What is sent while no connection is up waits in order.  A server that was reached before is believed to come back: what
waits for it stays until `s2s.queue_s` have passed.  What is for one that has never been reached goes back as soon as
the attempt has failed.  Pauses between attempts are those of the remote domain (`Remote`), whoever sends there.

A connection that was cut and may be resumed (XEP-0198 5) is kept as `former`.  One that we opened we open again at once
and go on where it was; for one of theirs we wait a moment, because only who opened it can resume it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatd.core.errors import StanzaError
from chatd.core.federation import FIRST_RETRY_S, pause_after
from chatd.core.jid import JID
from chatd.core.stanza import Stanza
from chatd.server.s2s.attempt import Attempt, NoWay
from chatd.server.s2s.outgoing import Outgoing
from chatd.server.s2s.stream import ServerStream

if TYPE_CHECKING:
    from chatd.server.s2s.federation import Federation

__all__ = ["Link", "Remote"]

log = Logger()

_LOSSES_MOST: Final = 3
RETURN_S: Final = 20.0
"""How long they may take to resume a connection of theirs, before we open one ourselves."""
BYTES_MOST: Final = 16 << 20
"""That may wait for one domain, besides their number."""
ALL_BYTES_MOST: Final = 128 << 20
"""The same, for all domains."""
_BYTES_BESIDES: Final = 500
"""What a stanza takes besides its content, about."""


class Remote:
    """One other domain: what all links to it share.

    waiting, waiting_bytes: stanzas, of all its links. failures: attempts in a row that failed. again_s: when the next
    may begin. was_reached: it was connected since we run. is_managed: it has used stream management on connections that
    it opened. said: why the last attempt failed.
    """

    def __init__(self, domain: str) -> None:
        self.domain = domain
        self.links: dict[str, Link] = {}
        self.waiting = self.waiting_bytes = 0
        self.failures = 0
        self.again_s = 0.0
        self.was_reached = self.is_managed = False
        self.said = NoWay("remote-server-not-found", f"{domain} cannot be reached.")

    def failed(self, error: NoWay, now: float, chance: float) -> None:
        """An attempt has failed; of several at a time one counts."""
        self.said = error
        if now < self.again_s:
            return
        self.failures += 1
        self.again_s = now + pause_after(self.failures, chance)

    def reached(self) -> None:
        """It is connected."""
        self.failures = 0
        self.again_s = 0.0
        self.was_reached = True


class Link:
    """See the module. stream: where stanzas go, None while none is up. former: the one that was cut and may go on."""

    def __init__(self, federation: Federation, remote: Remote, local: str) -> None:
        self.federation = federation
        self.remote = remote
        self.local = local
        self.stream: ServerStream | None = None
        self.former: ServerStream | None = None
        self.attempt: Attempt | None = None
        self._queue: deque[tuple[Stanza, float]] = deque()      # with the time until which it may wait
        self._unsure: list[Stanza] = []         # sent over `former` and not acknowledged
        self._former_until = 0.0
        self._offered: ServerStream | None = None
        self._retry: IDelayedCall | None = None
        self._is_over = False
        self._losses = 0                # connections in a row that ended before anything was acknowledged

    @property
    def is_idle(self) -> bool:
        """Nothing depends on it."""
        return (self.stream is None and self.attempt is None and not self._queue and self._retry is None
                and self.former is None)

    def __len__(self) -> int:
        return len(self._queue)

    # -- out
    def send(self, stanza: Stanza) -> None:
        """Sends it, or lets it wait; raises StanzaError where it can do neither."""
        stream = self.stream
        if stream is not None and not self._queue and stream.send_stanza(stanza):
            return
        federation = self.federation
        now = federation.clock.seconds()
        if stream is None and not self.remote.was_reached and self.attempt is None and now < self.remote.again_s:
            raise _refusal(self.remote.said)
        remote, size = self.remote, _size(stanza)
        if (remote.waiting >= federation.settings.queue_stanzas or remote.waiting_bytes + size > BYTES_MOST
                or federation.waiting_bytes + size > ALL_BYTES_MOST):
            raise StanzaError("resource-constraint", "wait", text=f"Too much waits for {remote.domain}.")
        self._queue.append((stanza, now + federation.settings.queue_s))
        self._count(stanza, 1)
        if stream is None:
            self._connect()

    def acknowledged(self, news: int) -> None:
        """The other side has counted; news: how many stanzas more than when it did so before."""
        if news:
            self._losses = 0
        self.flush()

    def flush(self) -> None:
        """There is room again, or a connection."""
        queue, stream = self._queue, self.stream
        while queue and stream is not None and stream.send_stanza(queue[0][0]):
            self._count(queue.popleft()[0], -1)

    def _count(self, stanza: Stanza, number: int) -> None:
        size = number * _size(stanza)
        self.remote.waiting += number
        self.remote.waiting_bytes += size
        self.federation.waiting_bytes += size

    # -- connections
    def _connect(self) -> None:
        if self.attempt is not None or self._retry is not None or self.stream is not None:
            return
        former = self.former
        if self._is_over or (former is not None and not former.is_outgoing):
            return
        clock = self.federation.clock
        pause = self.remote.again_s - clock.seconds()
        if self.federation.is_busy:
            pause = max(pause, FIRST_RETRY_S)
        if pause > 0:
            self._retry = clock.callLater(pause, self._again)
            return
        self.attempt = Attempt(self.federation, self.local, self.remote.domain,
                               former=former if isinstance(former, Outgoing) else None)
        self.attempt.start().addCallbacks(self._up, self._failed)

    def _again(self) -> None:
        self._retry = None
        self._go_on()

    def _go_on(self) -> None:
        """Connects if anything waits for it."""
        if self._queue or self.former is not None:
            self._connect()

    def hurry(self) -> None:
        """The other side is there: the pause is over."""
        retry, self._retry = self._retry, None
        if retry is not None and retry.active():
            retry.cancel()
            self._again()

    def _up(self, stream: ServerStream) -> None:
        self.attempt = None
        self.remote.reached()
        self._settle(stream)

    def resumed(self, stream: ServerStream) -> None:
        """They have come back, and go on where their connection was cut."""
        self.remote.reached()
        self._settle(stream)

    def offered(self, stream: ServerStream) -> None:
        """A connection of theirs that we may answer on (XEP-0288)."""
        self.remote.reached()
        if self.former is not None:
            self._offered = stream          # should the former not come back
        elif self.stream is None:
            self._take(stream)

    def came_anew(self, stream: ServerStream) -> None:
        """They have begun anew with `stream`, so they will not resume what they had, which may seem to be up here."""
        current = self.stream
        if current is None or current is stream or current.is_outgoing:
            self._begin_anew(stream, self.former)
        else:
            current.management.probe(lambda: self._begin_anew(stream, current))

    def _begin_anew(self, stream: ServerStream, former: ServerStream | None) -> None:
        if former is not None and former is self.former and not former.is_outgoing:
            self._offered = stream
            self._settle(None)
            self._go_on()
        elif self.former is None and self.stream is None:
            self._take(stream)

    def _settle(self, stream: ServerStream | None) -> None:
        """There is no former connection any more: `stream` goes on where it was, or what it had not acknowledged goes
        first over whatever comes next."""
        former, self.former = self.former, None
        offered, self._offered = self._offered, None
        given_up = self._sort_out(former, stream) if former is not None else []
        if stream is None and offered is not None and not offered.is_closing:
            stream = offered
        if stream is not None:
            self._take(stream)
        # Last, because who hears of it may want to send something.
        self._return(given_up)

    def _sort_out(self, former: ServerStream, stream: ServerStream | None) -> list[Stanza]:
        """Gives what is not sent again."""
        unsure, self._unsure = self._unsure, []
        for one in unsure:
            self._count(one, -1)
        smacks = former.smacks
        left = smacks.unacknowledged() if smacks is not None else []
        given_up: list[Stanza] = []
        if len(left) < len(unsure):
            self._losses = 0
        elif self._losses > _LOSSES_MOST:
            # Nobody has said how much of it they have got, so it may be any of it that makes them close.
            self._losses = 0
            given_up, left = left, []
        if stream is None or stream.is_closing or stream.smacks is not smacks:
            self._put_first(left)
        if smacks is not None and (stream is None or stream.smacks is not smacks):
            smacks.forget()             # the former is kept for its count a while, and they are counted here
        return given_up

    def counted(self, former: ServerStream) -> None:
        """They have said how much they have got over `former`, before any of the rest is sent again."""
        if self.former is not former or former.smacks is None:
            return
        if len(former.smacks) < len(self._unsure):
            self._losses = 0
        elif self._losses > _LOSSES_MOST:
            # It is the first that they do not get past.
            self._losses = 0
            self._return([former.smacks.give_up()])

    def _return(self, stanzas: list[Stanza]) -> None:
        """Sent for ever, it would never let anything else through."""
        for stanza in stanzas:
            self.federation.return_to_sender(stanza, _refusal(self._again_and_again()))

    def _again_and_again(self) -> NoWay:
        return NoWay("remote-server-timeout", f"{self.remote.domain} closed the connection again and again.")

    def _put_first(self, stanzas: list[Stanza]) -> None:
        until = self.federation.clock.seconds() + self.federation.settings.queue_s
        for stanza in reversed(stanzas):
            self._queue.appendleft((stanza, until))
            self._count(stanza, 1)

    def _take(self, stream: ServerStream) -> None:
        if stream.is_closing:
            self.lost(stream, [])
            return
        if self.stream is None:
            self.stream = stream
            stream.link = self
            retry, self._retry = self._retry, None
            if retry is not None and retry.active():
                retry.cancel()
            self.flush()

    def lost(self, stream: ServerStream, unacknowledged: list[Stanza], may_resume: bool = False,
             is_counted: bool = False) -> None:
        """The connection has ended.  Where it cannot be resumed, what it did not acknowledge goes first over the
        next.  is_counted: they have said that they do not have it."""
        if self.stream is stream:
            self.stream = None
        if self._is_over or self.federation.is_stopping:
            return                              # it was sent, and the stream ended in order
        now = self.federation.clock.seconds()
        if unacknowledged:
            self._losses += 1
            if self._losses > 1:
                self.remote.failed(self._again_and_again(), now, self.federation.chance())
            if self._losses > _LOSSES_MOST and not may_resume:
                self._losses = 0
                # It is the first that they do not get past, or, where they have counted nothing, any of it.
                given_up = unacknowledged[:1] if is_counted else unacknowledged
                unacknowledged = unacknowledged[len(given_up):]
                self._return(given_up)
        # Where nothing is open either way, a new connection does as well.
        if may_resume and (unacknowledged or stream.answers_here):
            self.former, self._unsure = stream, unacknowledged
            self._former_until = now + (self._patience(stream) if stream.is_outgoing else RETURN_S)
            for stanza in unacknowledged:
                self._count(stanza, 1)
        else:
            self._put_first(unacknowledged)
        self._go_on()

    def _patience(self, stream: ServerStream) -> float:
        assert stream.smacks is not None
        return min(stream.smacks.resume_s, self.federation.settings.queue_s)

    def _failed(self, failure: Failure) -> None:
        attempt, self.attempt = self.attempt, None
        error = failure.value
        if not isinstance(error, NoWay):
            error = NoWay("internal-server-error", str(error))
        if attempt is not None and attempt.was_reached:
            self.remote.reached()               # cut before it was resumed: who is there is not waited for longer
        self.remote.failed(error, self.federation.clock.seconds(), self.federation.chance())
        log.info("{domain}: {why} (attempt {number})", domain=self.remote.domain, why=str(error).rstrip("."),
                 number=self.remote.failures)
        if self.stream is not None:
            return                              # they connected meanwhile
        if self._offered is not None and not self._offered.is_closing:
            self._settle(None)                  # they reach us, whatever keeps us from reaching them
        elif self.remote.was_reached:
            self._go_on()
        else:
            self.give_back(error)

    # -- what cannot be sent
    def give_back(self, error: NoWay, before: float | None = None) -> None:
        """Returns what waits to who sent it; before: only what may wait until then and no longer."""
        # What was sent once already stands before older ones, so the first is not always the first whose time is over.
        waiting = self._queue
        self._queue = deque(one for one in waiting if before is not None and one[1] > before)
        over = [stanza for stanza, until in waiting if before is None or until <= before]
        for stanza in over:
            self._count(stanza, -1)
        for stanza in over:
            self.federation.return_to_sender(stanza, _refusal(error))

    def look_over(self, now: float) -> None:
        """Now and then: what has waited too long goes back, or another way."""
        if self.former is not None and self.attempt is None and self._former_until <= now:
            self._settle(None)
            self._go_on()
        if any(until <= now for _, until in self._queue):
            said = self.remote.said
            why = f" {said}" if self.remote.failures else ""
            self.give_back(NoWay("remote-server-timeout", f"{self.remote.domain} did not take it in time.{why}"), now)

    def stop(self, why: NoWay) -> None:
        """Nothing goes there any more."""
        self._is_over = True
        retry, self._retry = self._retry, None
        if retry is not None and retry.active():
            retry.cancel()
        if self.attempt is not None:
            self.attempt.cancel(str(why))
        self._offered = None
        self._settle(None)
        self.give_back(why)


def _size(stanza: Stanza) -> int:
    return len(stanza.inner) + _BYTES_BESIDES


def _refusal(error: NoWay) -> StanzaError:
    kind = "wait" if error.condition == "remote-server-timeout" else "cancel"
    return StanzaError(error.condition, kind, text=str(error))


def wants_to_know(stanza: Stanza, to: JID) -> bool:
    """Is the sender told that this could not be sent?  Presence to a contact is not asked for (RFC 6121 4); that to a
    room, and what changes a subscription, is."""
    if not stanza.may_be_answered:
        return False
    if stanza.name != "presence":
        return True
    kind: Any = stanza.attrs.get("type")
    return kind in ("subscribe", "subscribed", "unsubscribe", "unsubscribed") or (kind is None and bool(to.resource))
