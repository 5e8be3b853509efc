"""All that has to do with other domains, in one place: policy, links, connections, keys, time.

One `Federation` a daemon.  The router hands it what is for a domain that is not served here (`send`); streams hand what
comes to the router.  Which names are ours to send from: the domains, and the services on their own names (rooms,
components), but never that of guests.
"""

from __future__ import annotations

import secrets
import socket
from collections import Counter
from collections.abc import Callable
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Final

import attrs
from OpenSSL import SSL
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from chatd.core import dialback
from chatd.core.dialback import Dialback
from chatd.core.errors import StanzaError, StreamError
from chatd.core.federation import Policy
from chatd.core.jid import JID
from chatd.core.stanza import Stanza
from chatd.interfaces import IRemote
from chatd.server.s2s.attempt import Attempt, NoWay
from chatd.server.s2s.finding import Finder
from chatd.server.s2s.host_meta import HostMetaFinder
from chatd.server.s2s.link import Link, Remote, wants_to_know
from chatd.server.s2s.outgoing import Outgoing, dialback_key
from chatd.server.s2s.resumption import Resumable
from chatd.server.s2s.stream import ServerStream
from chatd.server.s2s.trust import Trust
from chatd.server.streams import source_of

if TYPE_CHECKING:
    from chatd.server.certificates import Certificates
    from chatd.server.router import Router

__all__ = ["Counts", "Federation"]

log = Logger()

SWEEP_S: Final = 5.0
_REMOTES_MOST: Final = 10_000
"""Other domains at a time: somebody who writes to ever new ones must not fill the memory."""
ATTEMPTS_MOST: Final = 200
"""Attempts to reach others at a time; further ones wait, or are not made for a stranger who asks for them."""
_ASKING_MOST: Final = ATTEMPTS_MOST // 2
"""Of them for strangers who are to be asked back: whoever sends many of them does not keep our people from writing."""
_REMEMBERED_S: Final = 600.0
"""How long it is known that a domain could not be reached."""
VERIFY_S: Final = 30.0
_BYTES_TIMES: Final = 2
"""A client's stanza grows on its way, by its sender's address and what rooms and archives add: the other server is not
to be the one that finds it too large."""
_DEPTH_MORE: Final = 16
"""Archives wrap what they give."""
_BYTES_BESIDES: Final = 500
"""A stanza's names, at most."""
_ESCAPED_MOST: Final = 6
"""Bytes that a character of an attribute can take."""
_ENDED: Final = NoWay("remote-server-timeout", "The server was shut down before this could be sent.")
_random = SystemRandom()

# A server that is gone without a word is found by the kernel.
_SOCKET_OPTIONS: Final = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 120),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 30),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 4),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 60_000),
)


@attrs.define
class Counts:
    """What the metrics show. refused: peers that were not whom they claimed to be, and connections beyond a limit."""

    stanzas_in: int = 0
    stanzas_out: int = 0
    refused: int = 0
    returned: int = 0


@implementer(IRemote)
class Federation:
    """See the module.

    settings: the daemon's. certificates: ours. resolver: twisted's IResolver. clock: the reactor. secret: the site's,
    for dialback keys.
    """

    uses_bidi = True

    def __init__(self, router: Router, settings: Any, certificates: Certificates, resolver: Any, clock: Any,
                 secret: bytes, token: Callable[[], str] = lambda: secrets.token_hex(16)) -> None:
        self.router = router
        self.certificates = certificates
        self.finder = Finder(resolver)
        self.host_meta = HostMetaFinder(self)
        self.clock = clock
        self.secret = secret.hex()
        self.token = token
        self.chance: Callable[[], float] = _random.random
        self.counts = Counts()
        self.remotes: dict[str, Remote] = {}
        self.open: set[ServerStream] = set()
        self.resumable = Resumable(self)
        self.attempting = 0             # attempts under way
        self.waiting_bytes = 0          # of what waits for all domains
        self.is_stopping = False
        self._addresses: Counter[str] = Counter()
        self._sweeping = LoopingCall(self.sweep)
        self._sweeping.clock = clock
        self.reload(settings)

    def reload(self, settings: Any) -> None:
        """Takes over changed settings; who is not welcome any more is disconnected."""
        self.limits = settings.limits
        self.settings = settings.s2s
        self.policy = Policy.of(settings.s2s)
        self.trust = Trust(settings.s2s.authorities)
        for stream in list(self.open):
            if why := stream.refusal():
                stream.close(StreamError("policy-violation", why))
        for domain, remote in list(self.remotes.items()):
            if why := self.policy.refuses(domain):
                del self.remotes[domain]
                for link in remote.links.values():
                    link.stop(NoWay("not-allowed", why))

    # -- life
    def start(self) -> None:
        """The router has a way out from now on."""
        self.router.remote = self
        self._sweeping.start(SWEEP_S, now=False)

    def give_back(self) -> None:
        """The daemon is about to stop: what waits for a server that is away goes back while its senders are there."""
        for remote in list(self.remotes.values()):
            for link in remote.links.values():
                if link.stream is None:
                    link.stop(_ENDED)

    def stop(self) -> None:
        """Nothing more goes out, and all connections are closed."""
        if self._sweeping.running:
            self._sweeping.stop()
        for remote in self.remotes.values():
            for link in remote.links.values():
                link.flush()
        self.is_stopping = True
        self.router.remote = None
        for stream in list(self.open):
            stream.close(StreamError("system-shutdown", "The server is being shut down."))
        for remote in list(self.remotes.values()):
            for link in remote.links.values():
                link.stop(_ENDED)

    def sweep(self) -> None:
        """Looks over all streams and links."""
        now = self.clock.seconds()
        for stream in list(self.open):
            stream.look_over(now)
        self.resumable.look_over(now)
        for domain, remote in list(self.remotes.items()):
            for local, link in list(remote.links.items()):
                link.look_over(now)
                if link.is_idle and now > remote.again_s + _REMEMBERED_S:
                    del remote.links[local]
            if not remote.links and not remote.was_reached:
                del self.remotes[domain]

    # -- who is who
    def hosts(self, name: str) -> bool:
        """Is this name ours towards other servers?  Guests' is not: they never leave."""
        router = self.router
        if name in router.domains:
            return True
        is_service = name in router.services or (bool(name) and name in router.components.routes)
        return is_service and name not in router.visits.domains

    @property
    def stanza_bytes(self) -> int:
        """The largest stanza, in bytes, either way."""
        return _BYTES_TIMES * self.limits.stanza_bytes

    @property
    def depth(self) -> int:
        """How deep what comes may nest."""
        return self.limits.depth + _DEPTH_MORE

    @property
    def is_busy(self) -> bool:
        """Are so many being tried that further ones have to wait?"""
        return self.attempting >= ATTEMPTS_MOST

    def context(self, local: str, protocols: tuple[bytes, ...] = ()) -> SSL.Context:
        """For a connection in the name of `local`."""
        return self.certificates.outgoing(local, protocols, self.trust)

    # -- out
    def send(self, stanza: Stanza, to: JID) -> None:
        """To another domain; raises StanzaError where there is no way."""
        from_ = JID.parse(stanza.attrs["from"])
        if not self.hosts(from_.domain):
            raise StanzaError("not-allowed", text="Guests reach meetings here and nobody elsewhere.")
        if self._is_too_large(stanza):
            # The other server would close the connection over it, again and again.
            raise StanzaError("policy-violation", "modify", text="It is too large for another server.")
        self.link(from_.domain, to.domain).send(stanza)

    def _is_too_large(self, stanza: Stanza) -> bool:
        at_most = len(stanza.inner) + _ESCAPED_MOST * sum(map(len, stanza.attrs.values())) + _BYTES_BESIDES
        return at_most > self.stanza_bytes and len(stanza.to_bytes()) > self.stanza_bytes

    def link(self, local: str, domain: str) -> Link:
        """The way from a domain of ours to another; raises StanzaError."""
        remote = self.remotes.get(domain)
        if remote is None:
            if why := self.policy.refuses(domain):
                raise StanzaError("not-allowed", text=why)
            if len(self.remotes) >= _REMOTES_MOST:
                self._forget_one()
            remote = self.remotes[domain] = Remote(domain)
        link = remote.links.get(local)
        if link is None:
            if why := self.policy.refuses(domain):
                raise StanzaError("not-allowed", text=why)
            link = remote.links[local] = Link(self, remote, local)
        return link

    def is_there(self, domain: str) -> None:
        """The domain has connected to us: whatever pauses need not."""
        remote = self.remotes.get(domain)
        if remote is not None:
            remote.again_s = 0.0
            for link in remote.links.values():
                link.hurry()

    def came_anew(self, stream: ServerStream) -> None:
        """They have begun a connection that we may answer on, and that does not go on where another was."""
        link = self._link_of(stream)
        if link is not None:
            link.remote.is_managed = True
            link.came_anew(stream)

    def counted(self, former: ServerStream) -> None:
        """They have said how much they have got over a connection that was cut."""
        link = self._link_of(former)
        if link is not None:
            link.counted(former)

    def _link_of(self, stream: ServerStream) -> Link | None:
        remote = self.remotes.get(stream.remote)
        return remote.links.get(stream.local) if remote is not None else None

    def _forget_one(self) -> None:
        for domain, remote in self.remotes.items():
            if all(link.is_idle for link in remote.links.values()):
                del self.remotes[domain]
                return
        raise StanzaError("resource-constraint", "wait", text="Too many other servers are being talked to.")

    def return_to_sender(self, stanza: Stanza, error: StanzaError) -> None:
        """What could not be sent."""
        self.counts.returned += 1
        if wants_to_know(stanza, JID.parse(stanza.attrs["to"])):
            self.router.answer(stanza, error)

    # -- connections
    def begin(self, stream: ServerStream) -> bool:
        """A connection is there; False where its address has too many."""
        self.open.add(stream)
        if stream.is_outgoing:
            return True
        source = source_of(stream.address)
        self._addresses[source] += 1
        if self._addresses[source] > self.limits.connections_per_address or self.is_stopping:
            self.counts.refused += 1
            return False
        return True

    def gone(self, stream: ServerStream) -> None:
        """A connection is gone."""
        if stream in self.open:
            self.open.discard(stream)
            if not stream.is_outgoing:
                source = source_of(stream.address)
                self._addresses[source] -= 1
                if self._addresses[source] <= 0:
                    del self._addresses[source]

    def keep_alive(self, transport: Any) -> None:
        """Has the kernel look after a connection."""
        try:
            for level, name, value in _SOCKET_OPTIONS:
                option = getattr(socket, name, None)
                if option is not None:
                    transport.socket.setsockopt(level, option, value)
        except (AttributeError, OSError):
            log.debug("no keepalive for {transport!r}", transport=transport)

    # -- dialback
    def verified(self, asked: Dialback) -> bytes:
        """The answer to a <db:verify/>: is this key ours? (XEP-0220 2.2.2)"""
        if not self.hosts(asked.to):
            return dialback.refusal(asked, "item-not-found")
        try:
            key = dialback_key(self.secret, asked.from_, asked.to, asked.id)
        except ValueError:
            return dialback.verdict(asked, "invalid")
        is_ours = secrets.compare_digest(key.encode(), asked.key.encode())
        return dialback.verdict(asked, "valid" if is_ours else "invalid")

    def verify(self, local: str, remote: str, id_: str, key: str) -> Deferred[str]:
        """Asks `remote` whether it has given out this key for our stream (XEP-0220 2.1.2): valid, invalid or error.

        Over the connection that is up, or, where there is none or nothing comes back on it, over one of its own: a
        server that has crashed connects again long before we know that our connection to it is dead.  Fails where it
        cannot be asked.
        """
        found = self.remotes.get(remote)
        link = found.links.get(local) if found is not None else None
        if link is not None and isinstance(link.stream, Outgoing) and not link.stream.is_closing:
            return link.stream.ask_verify(local, remote, id_, key).addErrback(
                lambda _: self._verify_anew(local, remote, id_, key))
        return self._verify_anew(local, remote, id_, key)

    def _verify_anew(self, local: str, remote: str, id_: str, key: str) -> Deferred[str]:
        if self.attempting >= _ASKING_MOST:
            return fail(ConnectionError("too many servers are being asked at the moment"))
        attempt = Attempt(self, local, remote, asks_only=True)

        def ready(stream: Outgoing) -> Deferred[str]:
            late = self.clock.callLater(VERIFY_S, stream.abort, "it does not answer")

            def over(result: Any) -> Any:
                if late.active():
                    late.cancel()
                stream.close()
                return result

            return stream.ask_verify(local, remote, id_, key).addBoth(over)

        return attempt.start().addCallback(ready)

    # -- what is going on
    def status(self) -> dict[str, Any]:
        """For `chatctl status`."""
        return {
            "in": sum(1 for stream in self.open if not stream.is_outgoing and stream.is_authenticated),
            "out": sum(1 for stream in self.open if stream.is_outgoing and stream.is_authenticated),
            "waiting": sum(remote.waiting for remote in self.remotes.values()),
        }
