"""One attempt to reach a domain: DNS and its web site (XEP-0487), then its servers in order, several addresses at a
time (RFC 8305), then the stream.

Which of the two is asked first, or at all, is a setting (`s2s.host_meta`); the second is asked when the servers that
the first one names could not be reached, or there are none.

The next address is tried when the one before has failed or has said nothing for a moment; whoever is connected first
has the attempt, the others are dropped.  Where its stream comes to nothing, the addresses left are tried.  Each step is
noted, so that `chatctl check domain` can tell what works.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import attrs
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import ConnectionRefusedError, NoRouteError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ClientFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatd.core.jid import ascii_domain
from chatd.server.certificates import S2S
from chatd.server.port import connect
from chatd.server.s2s.finding import Endpoint, NotFound, Target, TryLater, is_public, without_records
from chatd.server.s2s.outgoing import Outgoing
from chatd.server.tls import Times

if TYPE_CHECKING:
    from chatd.server.s2s.federation import Federation

__all__ = ["Attempt", "NoWay", "Note"]

log = Logger()

STAGGER_S: Final = 0.3
CONNECT_S: Final = 15.0
ATTEMPT_S: Final = 180.0
"""All of it, whichever way it hangs."""
_ENDPOINTS_MOST: Final = 12
_TEXT_MOST: Final = 1000
_NO_CONNECTION: Final = "no connection to its server can be made"
"""All that people are told of a failure of TCP; with the address and the reason they could look for open ports."""


class NoWay(Exception):
    """The domain cannot be reached; `condition` is that of a stanza error, the text a sentence.

    The text quotes DNS, certificates and peers, and is sent to people: what XML cannot carry is left out.
    """

    def __init__(self, condition: str, text: str) -> None:
        super().__init__(_printable(text))
        self.condition = condition


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:_TEXT_MOST]


@attrs.frozen
class Note:
    """What one step came to."""

    step: str
    ok: bool
    text: str


class Attempt:
    """See the module. done: fires with the Outgoing that is up, or fails with NoWay.

    asks_only: no proof of ours is wanted. former: the connection that was cut and is to go on over this one.
    is_one_way: they are not asked to answer on this connection. was_reached: they believed us, whatever came then.
    """

    def __init__(self, federation: Federation, local: str, remote: str, asks_only: bool = False,
                 former: Outgoing | None = None, is_one_way: bool = False) -> None:
        self.federation = federation
        self.local = local
        self.remote = remote
        self.asks_only = asks_only
        self.former = former
        self.is_one_way = is_one_way
        self.was_reached = False
        self.terms = federation.policy.terms(remote)
        self.notes: list[Note] = []
        self.done: Deferred[Outgoing] = Deferred()
        self._sources = self._in_turn()
        self._endpoints: list[Endpoint] = []
        self._targets: list[Target] = []
        self._connecting: dict[Any, Endpoint] = {}
        self._stream: Outgoing | None = None
        self._next: IDelayedCall | None = None
        self._late: IDelayedCall | None = None
        self._failures: list[str] = []
        self._tried = 0
        self._is_over = False

    def start(self) -> Deferred[Outgoing]:
        """Begins."""
        self.federation.attempting += 1
        self.done.addBoth(self._ended)
        self._late = self.federation.clock.callLater(ATTEMPT_S, self.cancel, f"{self.remote} cannot be reached: no "
                                                     f"connection came about in {ATTEMPT_S:g} seconds.")
        ensureDeferred(self._find()).addErrback(self._broken)
        return self.done

    def _ended(self, result: Any) -> Any:
        self.federation.attempting -= 1
        late, self._late = self._late, None
        if late is not None and late.active():
            late.cancel()
        return result

    def note(self, step: str, ok: bool, text: str) -> None:
        """Keeps what a step came to."""
        self.notes.append(Note(step, ok, _printable(text)))

    def cancel(self, why: str) -> None:
        """Nobody wants it any more."""
        self._over(NoWay("remote-server-timeout", why))

    # -- DNS
    async def _find(self) -> None:
        """Asks the next who may know, until somebody does."""
        try:
            while self._sources and not self._targets and not self._is_over:
                self._targets = await self._sources.pop(0)()
        except NotFound as error:
            self.note("dns", False, str(error))
            self._over(NoWay("remote-server-not-found", str(error)))
            return
        except TryLater as error:
            self.note("dns", False, str(error))
            self._over(NoWay("remote-server-timeout", str(error)))
            return
        await self._more()

    def _in_turn(self) -> list[Callable[[], Awaitable[list[Target]]]]:
        if self.terms.address:
            return [self._configured]
        order = self.federation.settings.host_meta
        if order == "first":
            return [self._web_site, self._records, self._default]
        return [self._records, *([self._web_site] if order == "fallback" else []), self._default]

    async def _configured(self) -> list[Target]:
        host, _, port = self.terms.address.rpartition(":")
        self.note("dns", True, f"not asked: the configuration names {self.terms.address}")
        return [Target(host.strip("[]"), int(port), False)]

    async def _records(self) -> list[Target]:
        targets = await self.federation.finder.targets(self.remote)
        if targets:
            self.note("dns", True, _places(targets))
            self._sources = [source for source in self._sources if source != self._default]
        return targets

    async def _default(self) -> list[Target]:
        target = without_records(self.remote)
        self.note("dns", True, f"no SRV record, so {target.host}:{target.port} (STARTTLS)")
        return [target]

    async def _web_site(self) -> list[Target]:
        targets = await self.federation.host_meta.targets(self.remote)
        if targets:
            self.note("host-meta", True, _places(targets))
        return targets

    async def _more(self) -> None:
        """Looks up the next server, and tries its addresses."""
        while self._targets and not self._is_over:
            target = self._targets.pop(0)
            try:
                found = await self.federation.finder.endpoints(target)
            except TryLater as error:
                self._failures.append(str(error))
                continue
            if found := self._allowed(target.host, found):
                self._endpoints += found[:_ENDPOINTS_MOST - self._tried]
                self._try_next()
                return
        self._look()

    def _allowed(self, host: str, found: list[Endpoint]) -> list[Endpoint]:
        """Those that we connect to: who owns a domain must not choose ports of our network for us to try."""
        if not found:
            self.note("dns", False, f"{host} has no address")
            self._failures.append(f"{host} has no address in DNS")
        if self.terms.address or self.federation.settings.private_addresses:
            return found
        for endpoint in found:
            if not is_public(endpoint.address):
                self.note("tcp", False, f"{endpoint}: this is the address of a private network, where nobody is "
                                        "connected to (s2s.private_addresses)")
                self._failures.append(_NO_CONNECTION)
        return [endpoint for endpoint in found if is_public(endpoint.address)]

    # -- TCP
    def _try_next(self) -> None:
        """Called by the clock and by connections too, where an exception would leave the attempt without an end."""
        try:
            self._connect_next()
        except Exception:
            self._broken(Failure())

    def _connect_next(self) -> None:
        self._next = None
        if self._is_over or self._stream is not None:
            return
        if not self._endpoints:
            self._look()
            return
        endpoint = self._endpoints.pop(0)
        self._tried += 1
        federation = self.federation
        context = federation.context(self.local, S2S) if endpoint.is_direct else None
        factory = _Factory(self, endpoint)
        self._connecting[factory] = endpoint
        factory.connector = connect(
            federation.clock, endpoint.address, endpoint.port, factory, context,
            endpoint.sni or ascii_domain(self.remote) if context is not None else None,
            CONNECT_S, Times(handshake_s=federation.limits.handshake_s))
        if self._endpoints:
            self._next = federation.clock.callLater(STAGGER_S, self._try_next)

    def connected(self, stream: Outgoing) -> bool:
        """A connection is there; False: another was faster."""
        if self._is_over or self._stream is not None:
            return False
        self._stream = stream
        self._stop_waiting()
        for factory in list(self._connecting):
            if factory.stream is not stream:
                del self._connecting[factory]
                factory.drop()
        self.note("tcp", True, str(stream.endpoint))
        return True

    def failed_to_connect(self, factory: Any, why: str) -> None:
        """One address does not answer."""
        endpoint = self._connecting.pop(factory, None)
        if endpoint is None or self._is_over:
            return
        self.note("tcp", False, f"{endpoint}: {why}")
        self._failures.append(_NO_CONNECTION)
        if self._stream is None:
            self._stop_waiting()
            self._try_next()

    def _stop_waiting(self) -> None:
        waiting, self._next = self._next, None
        if waiting is not None and waiting.active():
            waiting.cancel()

    # -- the stream
    def stream_failed(self, stream: Outgoing, why: str) -> None:
        """The stream came to nothing; other addresses may do better."""
        if self._stream is not stream or self._is_over:
            return
        self._stream = None
        self.was_reached = self.was_reached or stream.is_authenticated
        self.note("stream", False, f"{stream.endpoint}: {why}")
        self._failures.append(f"{stream.endpoint.host}: {why}")
        self._connecting.clear()
        self._try_next()

    def stream_ready(self, stream: Outgoing) -> None:
        """It is up."""
        if not self._is_over:
            self._is_over = True
            self._stop_waiting()
            self.done.callback(stream)

    def _look(self) -> None:
        """Is anything left to try?"""
        if self._is_over or self._stream is not None or self._endpoints or self._connecting:
            return
        if (self._targets or self._sources) and self._tried < _ENDPOINTS_MOST:
            ensureDeferred(self._more() if self._targets else self._find()).addErrback(self._broken)
            return
        # Who got as far as to be connected can tell more.
        told = [why for why in self._failures if why != _NO_CONNECTION] or self._failures
        said = told[-1] if told else "no way was found"
        log.info("{domain} cannot be reached: {notes}", domain=self.remote,
                 notes="; ".join(f"{note.step}: {note.text}" for note in self.notes if not note.ok))
        condition = "remote-server-timeout" if self._tried else "remote-server-not-found"
        self._over(NoWay(condition, f"{self.remote} cannot be reached: {said}."))

    def _over(self, error: NoWay) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._stop_waiting()
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.attempt = None
            stream.abort("")
        for factory in list(self._connecting):
            factory.drop()
        self._connecting.clear()
        self.done.errback(error)

    def _broken(self, failure: Failure) -> None:
        log.failure("{domain} could not be tried", failure, domain=self.remote)
        self._over(NoWay("internal-server-error", f"{self.remote} could not be tried."))


def _why_not_connected(reason: Failure) -> str:
    if reason.check(ConnectionRefusedError):
        return "it refuses the connection: nothing listens there, or a firewall turns it away"
    if reason.check(ConnectTimeout):
        return f"no answer in {CONNECT_S:g} s: a firewall drops it, or the machine is away"
    if reason.check(NoRouteError):
        return "no way leads there from here"
    why = reason.getErrorMessage().rstrip(".")
    return why[:1].lower() + why[1:]


def _places(targets: list[Target]) -> str:
    return "; ".join(
        f"{target.host}:{target.port} ({'direct TLS' if target.is_direct else 'STARTTLS'})" for target in targets)


class _Factory(ClientFactory):
    """Of one connection."""

    noisy = False
    connector: Any = None

    def __init__(self, attempt: Attempt, endpoint: Endpoint) -> None:
        self.attempt = attempt
        self.endpoint = endpoint
        self.stream: Outgoing | None = None

    def buildProtocol(self, addr: Any) -> Outgoing:     # type: ignore[override]
        """See ClientFactory."""
        attempt = self.attempt
        self.stream = Outgoing(attempt.federation, attempt, self.endpoint, attempt.terms, attempt.asks_only)
        return self.stream

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        """See ClientFactory."""
        self.attempt.failed_to_connect(self, _why_not_connected(reason))

    def drop(self) -> None:
        """Another was faster."""
        if self.connector is not None and self.connector.state == "connecting":
            self.connector.stopConnecting()
