"""A router with real modules and a real in-memory store; clients are lists of what they were sent."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import chatd.compat  # noqa: F401

from twisted.internet import defer, reactor

from chatd.core.errors import StreamError
from chatd.core.framing import Framer
from chatd.core.jid import JID
from chatd.core.smacks import StreamManagement
from chatd.core.stanza import Stanza
from chatd.server.router import Router
from chatd.server.session import Session
from chatd.settings import Registration
from chatd.store.store import open_store
from chatd.xep.api import Api, Module

HEADER = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"


class Client:
    """One session: `send` XML, look at `got`."""

    def __init__(self, world: World, session: Session) -> None:
        self.world = world
        self.s = session
        self.got: list[Stanza] = []
        self.closed: StreamError | None | str = "open"
        self.raw: list[bytes] = []
        self.framer = Framer(262144, 64)
        self.framer.feed(HEADER)
        self.session: Session | None = session

    # IClientStream
    is_congested = False

    def send_stanza(self, stanza: Stanza) -> None:
        """Keeps it."""
        self.got.append(stanza)

    def send(self, xml: bytes) -> None:
        """Keeps it."""
        self.raw.append(xml)

    def ask(self) -> None:
        """Counts as sent."""
        self.raw.append(b"<r/>")

    def close(self, error: StreamError | None = None) -> None:
        """Keeps why."""
        self.closed = error

    def pause(self) -> None:
        """Nothing to stop."""

    def resume(self) -> None:
        """Nothing to start."""

    # the test's side
    async def send_xml(self, xml: str) -> None:
        """The client sends this; returns when all of it, and what follows, is done."""
        for event in self.framer.feed(xml.encode()):
            assert isinstance(event, Stanza), event
            self.s.receive(event)
        await self.world.settle()

    def take(self, name: str = "") -> list[Stanza]:
        """What was received since the last time, of this name; the rest is forgotten."""
        got = [stanza for stanza in self.got if not name or stanza.name == name]
        self.got.clear()
        return got

    async def ask_iq(self, kind: str, inner: str, to: str = "", id_: str = "q") -> Stanza:
        """Sends an iq and gives its answer."""
        address = f" to='{to}'" if to else ""
        await self.send_xml(f"<iq type='{kind}' id='{id_}'{address}>{inner}</iq>")
        answers = [stanza for stanza in self.got if stanza.name == "iq" and stanza.id == id_]
        assert len(answers) == 1, self.got
        self.got.remove(answers[0])
        return answers[0]


class World:
    """One daemon's inside, for example.com and example.net."""

    def __init__(self, store: Any, limits: dict[str, Any]) -> None:
        self.store = store
        self.settings = SimpleNamespace(
            limits=SimpleNamespace(**{
                "roster_items": 20, "vcard_bytes": 4096, "private_bytes": 4096, "offline_messages": 5, **limits}),
            archive=SimpleNamespace(default="always", retention_days=0),
            server=SimpleNamespace(host="example.com", admins=()), domain=lambda name: None,
            registration=Registration(),
            http=SimpleNamespace(public_url="https://chat.example.com"),
            turn=SimpleNamespace(urls=(), secret="", ttl_s=3600))
        self.media: Any = None
        self.directories: Any = None
        self.router = Router(["example.com", "example.net"], store, reactor, time.time)
        self.modules: dict[str, Module] = {}
        self.apis: dict[str, Api] = {}

    @classmethod
    async def open(cls, *modules: type[Module], **limits: Any) -> World:
        """With these modules started, in this order."""
        settings = SimpleNamespace(url="sqlite::memory:", durability="full", pool=2, commit_interval_ms=1)
        world = cls(await open_store(settings, Path("."), reactor), limits)
        for kind in modules:
            world.start(kind)
        return world

    def start(self, kind: type[Module], **options: Any) -> Module:
        """Starts one module."""
        module = kind()
        values = {option.name: option.default for option in kind.options} | options
        api = Api(module, self.router.hooks, self.router, self.store, values, self.settings, reactor, time.time,
                  self.modules, self.media, self.directories)
        self.modules[module.name] = module
        self.apis[module.name] = api
        module.start(api)
        return module

    async def close(self) -> None:
        """Stops the modules and the store."""
        for name in reversed(list(self.modules)):
            self.modules[name].stop()
            self.apis[name].release()
        await self.store.close()

    async def settle(self) -> None:
        """Until nothing is left to do: the store has written and the reactor has turned."""
        for _ in range(8):
            await self.store.barrier()
            await self.store.private.get(0, "nothing at-all")       # behind everything asked for before
            await turn()

    async def client(self, address: str, available: bool = True, smacks: bool = False) -> Client:
        """A session of this full address; the account is made where there is none."""
        jid = JID.parse(address)
        account = await defer.maybeDeferred(self.router.accounts.load, jid)
        if account is None:
            await self.store.accounts.create(jid.local, jid.domain, {}, 0.0)
            account = await defer.maybeDeferred(self.router.accounts.load, jid)
        session = Session(jid, account, self.router, None)      # type: ignore[arg-type]
        client = Client(self, session)
        session.stream = client                                 # type: ignore[assignment]
        if smacks:
            session.smacks = StreamManagement("token", 60, 100)
        self.router.accounts.attach(account, session)
        self.router.hooks.tell("session.bound", session)
        if available:
            await client.send_xml("<presence/>")
            client.take()
        return client


def turn() -> defer.Deferred[None]:
    """Fires in the reactor's next turn."""
    done: defer.Deferred[None] = defer.Deferred()
    reactor.callLater(0, done.callback, None)       # type: ignore[attr-defined]
    return done
