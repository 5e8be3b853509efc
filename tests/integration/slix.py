"""slixmpp clients against a real daemon: each test is a coroutine run by asyncio, the daemon another process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from xml.etree import ElementTree as ET

import slixmpp
from slixmpp.xmlstream import ET as SET

from chatd.core import ns
from tests.daemon import PASSWORD, Daemon

PATIENCE_S = 15.0
PLUGINS = ("xep_0030", "xep_0199", "xep_0198", "xep_0280", "xep_0313", "xep_0059", "xep_0352", "xep_0092", "xep_0202",
           "xep_0012", "xep_0054", "xep_0153", "xep_0049", "xep_0191", "xep_0203", "xep_0115", "xep_0085", "xep_0184",
           "xep_0359", "xep_0334", "xep_0297")


class Client(slixmpp.ClientXMPP):
    """A client with an inbox per kind of stanza; `async with` logs in and out."""

    def __init__(self, daemon: Daemon, address: str, password: str = PASSWORD, *, direct_tls: bool = False,
                 plugins: tuple[str, ...] = PLUGINS, mechanism: str | None = None, presence: bool = True,
                 keep_alive: bool = True) -> None:
        super().__init__(address, password, sasl_mech=mechanism)
        self.daemon = daemon
        self.direct_tls = direct_tls
        self.with_presence = presence
        self.enable_direct_tls = direct_tls
        self.enable_starttls = not direct_tls
        self.enable_plaintext = False
        self.whitespace_keepalive = keep_alive
        self.ca_certs = str(daemon.certificate)
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        self.presences: asyncio.Queue[Any] = asyncio.Queue()
        self.failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.auto_authorize = None
        self.auto_subscribe = False
        for plugin in plugins:
            self.register_plugin(plugin)
        self.add_event_handler("message", self.messages.put_nowait)
        self.add_event_handler("message_error", self.messages.put_nowait)
        self.add_event_handler("groupchat_message", self.messages.put_nowait)
        for kind in ("presence_available", "presence_away", "presence_chat", "presence_dnd", "presence_xa",
                     "presence_unavailable", "presence_subscribe", "presence_subscribed",
                     "presence_unsubscribe", "presence_unsubscribed", "presence_error"):
            self.add_event_handler(kind, self.presences.put_nowait)
        for event in ("failed_all_auth", "stream_error"):
            self.add_event_handler(event, self._fail)

    def _fail(self, event: Any) -> None:
        if not self.failed.done():
            self.failed.set_result(event)

    async def __aenter__(self) -> Client:
        await self.login()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.logout()

    async def login(self) -> None:
        """Until the session has begun; raises AssertionError where log-in is refused."""
        started = asyncio.ensure_future(self.wait_until("session_start", PATIENCE_S))
        port = self.daemon.ports["c2s_tls" if self.direct_tls else "c2s"]
        self.connect("127.0.0.1", port)
        done, _ = await asyncio.wait({started, self.failed}, return_when=asyncio.FIRST_COMPLETED)
        if started not in done:
            started.cancel()
            raise AssertionError(f"log-in failed: {self.failed.result()}")
        await started
        if self.with_presence:
            await self.get_roster()
            self.send_presence()
            await self.presence_of(self.boundjid.full)

    async def logout(self) -> None:
        """An orderly end."""
        with suppress(Exception):
            await asyncio.wait_for(self.disconnect(wait=1.0), 5)

    def cut(self) -> None:
        """The link breaks without a word."""
        self.transport.abort()

    # -- waiting
    async def message(self, matches: Callable[[Any], bool] = lambda _: True) -> Any:
        """The next message for which this is true; others are dropped."""
        return await _next(self.messages, matches)

    async def text(self, body: str) -> Any:
        """The message of this body."""
        return await self.message(lambda stanza: stanza["body"] == body)

    async def presence_of(self, address: str, kind: str = "available") -> Any:
        """The next presence of this type from this address, bare or full."""
        return await _next(self.presences, lambda p: address in (p["from"].full, p["from"].bare) and (
            p["type"] == kind or (kind == "available" and p["type"] in p.showtypes)))

    async def nothing_before(self, other: Client, body: str) -> list[Any]:
        """What came before a message of `other` that is sent now: so that "nothing came" needs no time to pass."""
        other.send_message(mto=self.boundjid.full, mbody=body, mtype="chat")
        got: list[Any] = []
        while True:
            stanza = await asyncio.wait_for(self.messages.get(), PATIENCE_S)
            if stanza["body"] == body:
                return got
            got.append(stanza)

    async def ask(self, kind: str, xml: str, to: str | None = None) -> Any:
        """An iq with this payload; its result, or slixmpp's IqError."""
        iq = self.make_iq(ito=to, itype=kind)
        iq.append(SET.fromstring(xml))
        return await iq.send(timeout=PATIENCE_S)


async def _next(queue: asyncio.Queue[Any], matches: Callable[[Any], bool]) -> Any:
    async def look() -> Any:
        while True:
            stanza = await queue.get()
            if matches(stanza):
                return stanza

    return await asyncio.wait_for(look(), PATIENCE_S)


async def befriend(one: Client, other: Client) -> None:
    """Mutual subscription, seen to be done by both."""
    for a, b in ((one, other), (other, one)):
        a.send_presence_subscription(pto=b.boundjid.bare, ptype="subscribe")
        await b.presence_of(a.boundjid.bare, "subscribe")
        b.send_presence_subscription(pto=a.boundjid.bare, ptype="subscribed")
        await a.presence_of(b.boundjid.bare, "subscribed")
        await a.presence_of(b.boundjid.full)


async def write_to_each_other(one: Client, other: Client, count: int, more: str = "") -> None:
    """Messages both ways at the same time, all of which arrive as they were written."""
    ways = [(one, other, "to"), (other, one, "fro")]
    for number in range(count):
        for sender, receiver, word in ways:
            sender.send_message(mto=receiver.boundjid.bare, mbody=f"{word} {number}{more}", mtype="chat")
    for number in range(count):
        for _, receiver, word in ways:
            await receiver.text(f"{word} {number}{more}")


async def enter(person: Client, room: str, nick: str) -> None:
    """A room, XEP-0045 7.2."""
    presence = person.make_presence(pto=f"{room}/{nick}")
    presence.append(ET.fromstring(f"<x xmlns='{ns.MUC}'/>"))
    presence.send()
    await person.presence_of(f"{room}/{nick}")


async def unlock(person: Client, room: str) -> None:
    """XEP-0045 10.1.2, an instant room; where it is not locked it does no harm."""
    await person.ask("set", f"<query xmlns='{ns.MUC}#owner'><x xmlns='jabber:x:data' type='submit'/></query>", to=room)


def children(stanza: Any) -> list[str]:
    """Tags of the stanza's children."""
    xml: ET.Element = stanza.xml
    return [child.tag for child in xml]
