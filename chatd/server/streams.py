"""What all streams of clients share, whatever carries them: limits, log-in back-off, the sweep, the shutdown.

One `ClientStreams` a daemon.  TCP, WebSocket and BOSH (`c2s`, `websocket`, `bosh`) are handed it and ask it for
everything that is not theirs alone.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from chatd.core import ns
from chatd.core.errors import StanzaError, StreamError
from chatd.core.hooks import Request
from chatd.core.jid import JID
from chatd.core.limits import Backoff
from chatd.core.negotiation import Terms
from chatd.core.sasl_anonymous import MECHANISM as ANONYMOUS
from chatd.interfaces import ITokens
from chatd.server.fast import FastTokens
from chatd.server.stream_management import ResumableSessions

if TYPE_CHECKING:
    from chatd.server.router import Router
    from chatd.server.stream import ClientStream

__all__ = ["GOODBYE_S", "SWEEP_S", "ClientStreams", "Counts", "source_of"]

log = Logger()

SWEEP_S: Final = 10.0
"""How often each stream is looked over: who owes an acknowledgement, who has fallen silent."""
SWEEP_SLICES: Final = 40
"""In so many parts: thousands of clients asked at once would all answer at once, and others would wait for that."""
GOODBYE_S: Final = 3.0
"""How long a peer has for its own end after ours."""

#: Wrong passwords are counted three times: for the account from this address, which is the guesser or the phone with
#: an old password and waits long; for the address, behind which a whole office may sit; and for the account, whose
#: owner must not be locked out by somebody who guesses from everywhere.
_PAIR_BACKOFF: Final[dict[str, Any]] = {"free": 5, "first_s": 1.0, "longest_s": 300.0}
_ADDRESS_BACKOFF: Final[dict[str, Any]] = {"free": 20, "first_s": 1.0, "longest_s": 60.0}
_ACCOUNT_BACKOFF: Final[dict[str, Any]] = {"free": 20, "first_s": 1.0, "longest_s": 15.0}


@attrs.define
class Counts:
    """What the metrics show; plain integers, because they stand in the path of every stanza.

    stanzas_in, stanzas_out: first-level elements received after log-in, and stanzas sent.  log_ins,
    log_ins_failed: SASL exchanges.  visits: those by ANONYMOUS that succeeded.  resumed, resume_failed: XEP-0198.
    refused: connections above the limit of their address.
    """

    stanzas_in: int = 0
    stanzas_out: int = 0
    log_ins: int = 0
    log_ins_failed: int = 0
    visits: int = 0
    resumed: int = 0
    resume_failed: int = 0
    refused: int = 0


@lru_cache(maxsize=4096)
def source_of(address: str) -> str:
    """Whom an IP address stands for where connections and attempts are counted.

    Whoever has one IPv6 address has a whole /64 of them (RFC 6177), so that is counted as one.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Network((parsed, 64), strict=False))
    return address


class ClientStreams:
    """The streams of clients of this daemon.

    router: the Router.  settings: of the daemon; `server.host`, `limits` and `auth` are read.  auth: an
    IAuthentication.  clock: time and timed calls.  secret: the site's, for the salts of unknown accounts.
    token: fresh random text for stream ids, nonces, resources and session ids.

    tokens: the ITokens with which people sign on from Webmail, None without.
    """

    def __init__(self, router: Router, settings: Any, auth: Any, clock: IReactorTime, secret: bytes,
                 token: Callable[[], str] = lambda: secrets.token_urlsafe(18)) -> None:
        self.router = router
        self.auth = auth
        self.tokens: ITokens | None = None
        router.visits.secret = secret
        self.clock = clock
        self.seconds = clock.seconds
        self.token = token
        self.secret = secret
        self.counts = Counts()
        self.open: set[ClientStream] = set()
        self.is_closing = False
        self.addresses: Counter[str] = Counter()
        self._pair_backoff = Backoff(**_PAIR_BACKOFF)
        self._address_backoff = Backoff(**_ADDRESS_BACKOFF)
        self._account_backoff = Backoff(**_ACCOUNT_BACKOFF)
        self._emptied: Deferred[None] | None = None
        self._sweeping = LoopingCall.withCount(self.sweep)
        self._swept: list[ClientStream] = []
        self._slice = 0
        self._sweeping.clock = clock
        self._token_days = 0
        self.invitations: Any = None            # an IInvitations, where people may make accounts
        self.fast = FastTokens(router.store.fast, secret, router.now, lambda: self._token_days)
        self.reload(settings)
        self.resumable = ResumableSessions(self)
        for target in ("account", "domain"):
            router.hooks.iqs[target, "set", f"{ns.BIND} bind"] = (_bind_again, True)
            router.hooks.iqs[target, "set", f"{ns.SESSION} session"] = (_establish, True)

    def reload(self, settings: Any) -> None:
        """Takes over changed settings; streams that are up keep the limits they began with."""
        self.limits = settings.limits
        hooks = self.router.hooks

        def features(domain: str) -> bytes:
            return b"".join([feature(domain) for feature in hooks.stream_features])

        auth = self.auth
        self._token_days = settings.auth.token_days
        self.terms = Terms(
            host=settings.server.host, domains=self.router.domains, secret=self.secret, token=self.token,
            features=features, has_verifiers=getattr(auth, "has_verifiers", True),
            has_plain=getattr(auth, "has_plain", True), iterations=settings.auth.scram_iterations,
            without_scram=getattr(auth, "without_scram", frozenset()), visits=self.router.visits.domains,
            has_tokens=self._token_days > 0, without_tokens=getattr(auth, "elsewhere", frozenset()),
            inline=lambda: hooks.bind_vars,
            may_register=lambda domain: self.invitations is not None and self.invitations.may_register(domain))
        # BOSH repeats what was lost by itself.
        self.terms_bosh = attrs.evolve(
            self.terms, has_sm=False, inline=lambda: [var for var in hooks.bind_vars if var != ns.SM])

    # -- life
    def start(self) -> None:
        """Begins the sweep."""
        if not self._sweeping.running:
            self._sweeping.start(SWEEP_S / SWEEP_SLICES, now=False)

    def shutdown(self) -> Deferred[None]:
        """Tells every client system-shutdown and ends every session, those that wait to be resumed too.

        What their clients had not acknowledged goes back to the router, and so to the offline messages.
        Fires when the last carrier has gone, or after GOODBYE_S.
        """
        self.is_closing = True
        if self._sweeping.running:
            self._sweeping.stop()
        error = StreamError("system-shutdown", "The server is being shut down.")
        for stream in list(self.open):
            stream.shut(error)
        self.resumable.shutdown()
        done: Deferred[None] = Deferred()
        if not self.open:
            done.callback(None)
            return done
        self._emptied = done
        late = self.clock.callLater(GOODBYE_S, self._give_up)

        def ended(_: None) -> None:
            if late.active():
                late.cancel()

        return done.addCallback(ended)

    def _give_up(self) -> None:
        for stream in list(self.open):
            stream.abort()
        self._gone()

    def _gone(self) -> None:
        done, self._emptied = self._emptied, None
        if done is not None:
            done.callback(None)

    def sweep(self, slices: int = SWEEP_SLICES) -> None:
        """Looks over so many parts of the streams; each comes once in SWEEP_SLICES."""
        now = self.seconds()
        for _ in range(min(slices, SWEEP_SLICES)):
            if not self._slice:
                self._swept = list(self.open)
            begin, end = (len(self._swept) * at // SWEEP_SLICES for at in (self._slice, self._slice + 1))
            self._slice = (self._slice + 1) % SWEEP_SLICES
            for stream in self._swept[begin:end]:
                try:
                    stream.look_over(now)
                except Exception:
                    # One stream must not end the sweep of all others.
                    log.failure("{stream!r} could not be looked over", stream=stream)

    # -- who is connected
    def begin(self, stream: ClientStream) -> bool:
        """A carrier is there; False where its address has too many, and then it is not counted."""
        source = stream.source
        if self.is_closing or self.addresses.get(source, 0) >= self.limits.connections_per_address:
            self.counts.refused += 1
            return False
        self.addresses[source] += 1
        self.open.add(stream)
        return True

    def end(self, stream: ClientStream) -> None:
        """A carrier is gone."""
        if stream not in self.open:
            return
        self.open.discard(stream)
        source = stream.source
        self.addresses[source] -= 1
        if self.addresses[source] <= 0:
            del self.addresses[source]
        if not self.open:
            self._gone()

    # -- log-ins
    def must_wait(self, source: str, account: str) -> float:
        """Seconds until this source may try to log in to this account (bare address), 0 for now."""
        now = self.seconds()
        return max(self._pair_backoff.wait(f"{source} {account}", now),
                   self._address_backoff.wait(source, now), self._account_backoff.wait(account, now))

    def may_try_token(self, source: str) -> bool:
        """Is this source not known for guesses?"""
        return self._address_backoff.wait(source, self.seconds()) <= 0

    def token_failed(self, source: str) -> None:
        """A token of an invitation that is none counts as a wrong password does."""
        self._address_backoff.failed(source, self.seconds())

    def log_in_failed(self, stream: ClientStream, jid: JID | None, condition: str, reason: str,
                      mechanism: str) -> None:
        """A SASL exchange failed; a wrong password, or a name that is none, counts. A pass cannot be guessed."""
        self.counts.log_ins_failed += 1
        if condition == "not-authorized" and mechanism != ANONYMOUS:
            now, source = self.seconds(), stream.source
            self._address_backoff.failed(source, now)
            if jid is not None:
                self._pair_backoff.failed(f"{source} {jid.bare}", now)
                self._account_backoff.failed(jid.bare, now)
        log.info("log-in of {jid} from {address} failed: {condition} ({reason}, {mechanism})",
                 jid=jid.bare if jid is not None else "?", address=stream.address, condition=condition,
                 reason=reason, mechanism=mechanism or "no mechanism")

    def log_in_succeeded(self, stream: ClientStream, jid: JID) -> None:
        """The right password: the past is forgotten."""
        self.counts.log_ins += 1
        self._pair_backoff.succeeded(f"{stream.source} {jid.bare}")
        self._address_backoff.succeeded(stream.source)
        self._account_backoff.succeeded(jid.bare)


def _bind_again(request: Request) -> None:
    """RFC 6120 7.1: one resource a stream."""
    raise StanzaError("not-allowed", text="This stream has its resource already.")


def _establish(request: Request) -> None:
    """RFC 3921 3: answered, and without meaning since RFC 6121."""
