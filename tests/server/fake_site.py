"""A site without reactor, threads and sockets: clock, store and accounts are of paper, the streams are real.

`Site.tcp()` gives a `Wire`: what its client writes goes in whole or byte by byte, what the server wrote comes out.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from chatd.core.accounts import FastRow, LoadedAccount
from chatd.core.stanza import Stanza
from chatd.server.c2s import C2SFactory, TCPStream
from chatd.server.router import Router
from chatd.server.streams import ClientStreams
from chatd.settings import Auth, Limits, Server
from chatd.xep.api import Api
from chatd.xep.message import Messages
from chatd.xep.presence import Presence
from chatd.xep.roster import Roster

HOST = "xmpp.example.test"
DOMAIN = "example.test"
OTHER = "other.test"
PASSWORD = "secret"
HEADER = ("<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
          "xmlns:stream='http://etherx.jabber.org/streams' to='example.test' version='1.0'>")
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
SM = "urn:xmpp:sm:3"
END = "</stream:stream>"


def plain(local: str, password: str = PASSWORD) -> str:
    """<auth/> by PLAIN."""
    secret = base64.b64encode(f"\0{local}\0{password}".encode()).decode()
    return f"<auth xmlns='{SASL}' mechanism='PLAIN'>{secret}</auth>"


def bind(resource: str = "", id_: str = "bind") -> str:
    """A bind request."""
    inner = f"<resource>{resource}</resource>" if resource else ""
    return f"<iq type='set' id='{id_}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{inner}</bind></iq>"


class PaperStore:
    """What streams and routing ask of the store; `is_disk_slow` keeps callbacks of `then` until `written`."""

    def __init__(self, people: list[str]) -> None:
        self.is_disk_slow = False
        self.is_look_up_slow = False
        self.undone: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self.looking: list[Deferred[None]] = []
        self.touched: list[int] = []
        self._ids = itertools.count(1)
        rows = {address: SimpleNamespace(id=number, disabled=False) for number, address in enumerate(people, 1)}
        self.rows = rows
        self.fast = PaperTokens(self)
        self.accounts = SimpleNamespace(
            load=lambda local, domain: self.look_up(self._loaded(rows.get(f"{local}@{domain}"))),
            touch=lambda id_, now: succeed(self.touched.append(id_)))

    @staticmethod
    def _loaded(row: Any) -> LoadedAccount | None:
        if row is None:
            return None
        return LoadedAccount(row=row, roster_version=0, roster=(), blocked=frozenset(), archive_prefs=None)

    def look_up(self, value: Any) -> Deferred[Any]:
        """A read, which may take its time."""
        if not self.is_look_up_slow:
            return succeed(value)
        waiting: Deferred[Any] = Deferred()
        waiting.addCallback(lambda _: value)
        self.looking.append(waiting)
        return waiting

    def found(self) -> None:
        """The reads are done."""
        looking, self.looking = self.looking, []
        for waiting in looking:
            waiting.callback(None)

    def then(self, callback: Callable[..., Any], *arguments: Any) -> None:
        if self.is_disk_slow or self.undone:
            self.undone.append((callback, arguments))
        else:
            callback(None, *arguments)

    def written(self) -> None:
        """The disk has it."""
        self.is_disk_slow = False
        undone, self.undone = self.undone, []
        for callback, arguments in undone:
            callback(None, *arguments)


class PaperTokens:
    """store.fast, for accounts with these rows."""

    def __init__(self, store: PaperStore) -> None:
        self.store = store
        self.kept: dict[tuple[int, str, str], FastRow] = {}

    def find(self, local: str, domain: str, client: str) -> Deferred[Any]:
        row = self.store.rows.get(f"{local}@{domain}")
        if row is None:
            return self.store.look_up((None, False, []))
        found = [self.kept[key] for slot in ("new", "current") if (key := (row.id, client, slot)) in self.kept]
        return self.store.look_up((row.id, row.disabled, found))

    def put(self, account: int, row: FastRow) -> Deferred[None]:
        self.kept[account, row.client, row.slot] = row
        return self.store.look_up(None)

    def use(self, account: int, row: FastRow, count: int | None, is_last: bool) -> Deferred[bool]:
        known = self.kept.pop((account, row.client, row.slot), None)
        if known is None:
            return self.store.look_up(False)
        is_good = count is None or count > known.count
        if not is_last:
            slot = "current" if is_good else row.slot
            self.kept[account, row.client, slot] = attrs.evolve(
                known, slot=slot, count=count if count is not None and is_good else known.count)
        return self.store.look_up(is_good)


class PaperAuth:
    """Knows one password; verifiers only where a test puts them."""

    has_verifiers = True
    has_plain = True

    def __init__(self, store: PaperStore) -> None:
        self.store = store
        self.verifiers: dict[tuple[str, str], Any] = {}

    def find(self, local: str, domain: str, mechanism: str) -> Deferred[Any]:
        return self.store.look_up((self.verifiers.get((f"{local}@{domain}", mechanism)), False))

    def check(self, local: str, domain: str, password: str) -> Deferred[Any]:
        is_there = f"{local}@{domain}" in self.store.rows
        return self.store.look_up((is_there and password == PASSWORD, False))


class PaperTransport(StringTransport):
    """StringTransport with what ours has on top."""

    def __init__(self, address: str) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", address, 40000))
        self.is_secure = False
        self.waiting_bytes = 0
        self.is_aborted = False
        self.protocol: Any = None

    def startTLS(self, contexts: Any) -> None:
        self.is_secure = True

    def channel_binding(self, kind: str) -> bytes | None:
        return {"tls-exporter": b"exported", "tls-server-end-point": b"bound"}[kind]

    def abortConnection(self) -> None:
        self.is_aborted = True
        self.disconnecting = True


class PaperWire:
    """One connection as its peer sees it.  step: how many bytes go in at once."""

    def __init__(self, stream: Any, address: str, step: int = 1 << 20) -> None:
        self.stream = stream
        self.step = step
        self.transport = PaperTransport(address)
        self.is_cut = False
        stream.makeConnection(self.transport)

    def write(self, xml: str | bytes) -> str:
        """Sends; gives what came back."""
        data = xml.encode() if isinstance(xml, str) else xml
        for start in range(0, len(data), self.step):
            if not self.is_cut:
                self.stream.dataReceived(data[start:start + self.step])
        return self.read()

    def read(self) -> str:
        """What the server wrote since."""
        said = self.transport.value().decode()
        self.transport.clear()
        return said

    def cut(self) -> None:
        """The link is gone."""
        self.is_cut = True
        self.stream.connectionLost()

    @property
    def is_ended(self) -> bool:
        """The server has closed the connection."""
        return self.transport.disconnecting


class Wire(PaperWire):
    """One of a client."""

    def __init__(self, site: Site, stream: TCPStream, address: str, step: int = 1 << 20) -> None:
        self.site = site
        super().__init__(stream, address, step)

    def secure(self) -> str:
        """STARTTLS, up to the mechanisms."""
        assert "<starttls" in self.write(HEADER)
        assert "<proceed" in self.write("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        self.stream.handshakeCompleted()
        return self.write(HEADER)

    def authenticate(self, local: str = "alice") -> str:
        """Up to the features of an authenticated stream."""
        self.secure()
        assert "<success" in self.write(plain(local))
        return self.write(HEADER)

    def log_in(self, local: str = "alice", resource: str = "here") -> Wire:
        """Up to the bound resource."""
        self.authenticate(local)
        assert "<jid>" in self.write(bind(resource))
        return self


class Site:
    """See above.  `limits` are those that differ from the defaults."""

    def __init__(self, people: tuple[str, ...] = ("alice", "bob", "carol"), **limits: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.store = PaperStore([f"{local}@{domain}" for domain in (DOMAIN, OTHER) for local in people])
        self.auth = PaperAuth(self.store)
        self.router = Router((DOMAIN, OTHER), self.store, self.clock, self.clock.seconds)
        self.settings = SimpleNamespace(server=Server(host=HOST), limits=attrs.evolve(Limits(), **limits),
                                        auth=Auth())
        self.modules: dict[str, Any] = {}
        self.kept: list[tuple[str, Stanza]] = []
        for made in (Roster, Presence, Messages):
            module = made()
            self.modules[module.name] = module
            module.start(Api(module, self.router.hooks, self.router, self.store, {}, self.settings, self.clock,
                             self.clock.seconds, self.modules))
        self.router.hooks.on("message.offline", self._keep, 0)
        numbers = itertools.count(1)
        self.streams = ClientStreams(self.router, self.settings, self.auth, self.clock, b"site",
                                     lambda: f"token-{next(numbers):018}")
        self.streams.start()
        self.starttls = C2SFactory(self.streams, "contexts")
        self.direct = C2SFactory(self.streams)

    def _keep(self, message: Any) -> bool:
        self.kept.append((message.account.bare, message.stanza))
        return True

    def kept_bodies(self) -> list[str]:
        """Of the offline messages."""
        return bodies("".join(stanza.to_bytes().decode() for _, stanza in self.kept))

    def tcp(self, step: int = 1 << 20, address: str = "192.0.2.1") -> Wire:
        """A client of 5222."""
        return Wire(self, self.starttls.buildProtocol(IPv4Address("TCP", address, 40000)), address, step)

    def tls(self, step: int = 1 << 20, address: str = "192.0.2.1") -> Wire:
        """A client of 5223, before its handshake."""
        return Wire(self, self.direct.buildProtocol(IPv4Address("TCP", address, 40000)), address, step)

    def session(self, local: str = "alice", resource: str = "here") -> Any:
        """A session, or None."""
        account = self.router.accounts.find(f"{local}@{DOMAIN}")
        return account.sessions.get(resource) if account is not None else None


def bodies(xml: str) -> list[str]:
    """What the messages in it say."""
    return re.findall(r"<body>([^<]*)</body>", xml)


def message(to: str, body: str) -> str:
    """A chat message."""
    return f"<message to='{to}' type='chat'><body>{body}</body></message>"
