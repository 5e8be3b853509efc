"""A daemon small enough for a test: router, store in memory, the modules of RFC 6121, and the ports a test asks for.

Everything is the real thing but the certificates' age; `Daemon.start` listens on free ports of 127.0.0.1.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
from twisted.internet import reactor
from twisted.internet.defer import DeferredList

from chatd.auth.internal import InternalChecker, make_verifiers
from chatd.auth.portal import Authentication
from chatd.selfsigned import write_pair
from chatd.server.c2s import C2SFactory
from chatd.server.certificates import C2S, HTTPS, Certificates
from chatd.server.port import TLSPort
from chatd.server.router import Router
from chatd.server.streams import ClientStreams
from chatd.settings import Auth, Domain, Limits, Server, Settings, Store
from chatd.store import open_store
from chatd.xep.api import Api
from chatd.xep.message import Messages
from chatd.xep.presence import Presence
from chatd.xep.roster import Roster

HOST = "xmpp.example.test"
DOMAINS = ("example.test", "other.test")
PEOPLE = ("alice", "bob", "carol")
PASSWORD = "correct horse"


class Daemon:
    """See above.  `limits` are settings that differ from the defaults."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        domains = []
        for name in DOMAINS:
            certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
            if not certificate.exists():
                write_pair(certificate, key, [name, HOST], datetime.now(UTC))
            domains.append(Domain(name=name, certificate=certificate, key=key))
        self.settings = Settings(
            path=folder / "chatd.toml", server=Server(host=HOST, state_dir=folder), domains=tuple(domains),
            limits=attrs.evolve(Limits(), **limits), store=Store(url="sqlite::memory:", commit_interval_ms=1),
            auth=Auth(scram_iterations=4096))
        self.folder = folder
        self.ports: dict[str, TLSPort] = {}

    async def start(self, modules: tuple[Any, ...] = (Roster, Presence, Messages)) -> Daemon:
        """Opens the store with PEOPLE in every domain, and the two ports for XMPP clients."""
        settings = self.settings
        self.store = await open_store(settings.store, self.folder, reactor)
        verifiers = make_verifiers(PASSWORD, 4096)
        for domain in DOMAINS:
            for local in PEOPLE:
                await self.store.accounts.create(local, domain, verifiers, 0.0)
        self.router = Router(DOMAINS, self.store, reactor, reactor.seconds)
        self.modules: dict[str, Any] = {}
        for made in modules:
            module = made()
            self.modules[module.name] = module
            module.start(Api(module, self.router.hooks, self.router, self.store,
                             {option.name: option.default for option in module.options}, settings, reactor,
                             reactor.seconds, self.modules))
        checker = InternalChecker(self.store.accounts, 4096)
        self.auth = Authentication(dict.fromkeys(DOMAINS, checker))
        self.streams = ClientStreams(self.router, settings, self.auth, reactor, b"of the site")
        self.certificates = Certificates(HOST, settings.domains)
        self.streams.start()
        self.listen("c2s", C2SFactory(self.streams, self.certificates.contexts(C2S, strict=False)))
        self.listen("c2s_tls", C2SFactory(self.streams), self.certificates.contexts(C2S))
        return self

    def listen(self, name: str, factory: Any, context: Any = None) -> None:
        """Opens a port."""
        port = self.ports[name] = TLSPort(0, factory, context, "127.0.0.1", reactor)
        port.startListening()

    def port(self, name: str) -> int:
        """The number of a port."""
        return self.ports[name].getHost().port

    async def stop(self) -> None:
        """Closes everything."""
        await DeferredList([port.stopListening() for port in self.ports.values()])
        await self.streams.shutdown()
        await self.store.close()


__all__ = ["C2S", "DOMAINS", "HOST", "HTTPS", "PASSWORD", "PEOPLE", "Daemon"]
