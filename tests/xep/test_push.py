"""Push notifications (XEP-0357) with a clock of the tests' own: who is told beside whom, and that it ends.

What app servers are told, and over which ways, is in tests/integration/test_push_live.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from chatd.core import ns
from chatd.core.jid import JID
from chatd.core.stanza import Stanza
from chatd.xep.csi import ClientState
from chatd.xep.message import Messages
from chatd.xep.offline import Offline
from chatd.xep.presence import Presence
from chatd.xep.push import Push
from chatd.xep.roster import Roster
from tests.xep.world import Client, World

PHONE, LAPTOP, BOB = "alice@example.com/phone", "alice@example.com/laptop", "bob@example.com/b"
APP = "push.example"
PAUSE_S = 5
Opens = Callable[..., Any]


class AppServer:
    """Keeps what it is asked to tell."""

    def __init__(self) -> None:
        self.asked: list[Stanza] = []

    def receive(self, stanza: Stanza, to: JID) -> None:
        """See IService."""
        self.asked.append(stanza)

    def nodes(self) -> list[str]:
        """Who was to be told since the last time."""
        found = [str(stanza.element.pubsub.publish["node"]) for stanza in self.asked]
        self.asked.clear()
        return found


@pytest_twisted.async_yield_fixture
async def opened() -> AsyncIterator[Opens]:
    """Makes a world with an app server; its push notifications run by `clock`. Options are those of the module."""
    worlds: list[World] = []

    async def open_world(**options: Any) -> tuple[World, AppServer, Clock]:
        world = await World.open(Roster, Presence, Messages, Offline, ClientState)
        worlds.append(world)
        app, clock = AppServer(), Clock()
        world.router.serve(APP, app)
        world.start(Push, pause_s=PAUSE_S, **options)
        world.apis["push"].clock = clock
        return world, app, clock

    yield open_world
    for world in worlds:
        await world.close()


async def enable(client: Client, node: str) -> None:
    """The client wants to be told."""
    answer = await client.ask_iq("set", f"<enable xmlns='{ns.PUSH}' jid='{APP}' node='{node}'/>")
    assert answer.type == "result"


async def say(client: Client, body: str) -> None:
    """A message to Alice."""
    await client.send_xml(f"<message to='alice@example.com' type='chat'><body>{body}</body></message>")


async def gone(world: World, *addresses: str, node: str = "phone") -> None:
    """Each of these clients asks to be told and goes."""
    for address in addresses:
        client = await world.client(address)
        await enable(client, node)
        client.s.close()
        await world.settle()


@pytest_twisted.ensureDeferred
async def test_a_client_that_is_gone_is_told_beside_another(opened: Opens) -> None:
    """By default; `beside = false`: only once nobody looks at another client of the account any more."""
    for beside, told in ((True, ["phone"]), (False, [])):
        world, app, _ = await opened(beside=beside)
        await gone(world, PHONE)
        await world.client(LAPTOP)
        bob = await world.client(BOB)
        await say(bob, "one")
        assert app.nodes() == told, f"beside = {beside}"


@pytest_twisted.ensureDeferred
async def test_not_beside_but_when_nobody_looks(opened: Opens) -> None:
    """A laptop that is locked, cut off, without presence or gone is nobody who looks."""
    world, app, clock = await opened(beside=False)
    await gone(world, PHONE)
    bob, laptop = await world.client(BOB), await world.client(LAPTOP, smacks=True)
    await laptop.send_xml(f"<inactive xmlns='{ns.CSI}'/>")
    await say(bob, "locked")
    assert app.nodes() == ["phone"]
    await laptop.send_xml(f"<active xmlns='{ns.CSI}'/>")
    clock.advance(PAUSE_S)
    await say(bob, "in use")
    assert app.nodes() == []
    laptop.s.lost_stream()
    await say(bob, "cut off")
    assert app.nodes() == ["phone"]
    laptop.s.close()
    clock.advance(PAUSE_S)
    await say(bob, "gone")
    assert app.nodes() == ["phone"]
    await world.client(LAPTOP, available=False)
    clock.advance(PAUSE_S)
    await say(bob, "not online yet")
    assert app.nodes() == ["phone"]


@pytest_twisted.ensureDeferred
async def test_nothing_runs_on_after_the_end(opened: Opens) -> None:
    """The pause behind a notification that was answered ends unheard."""
    world, app, clock = await opened()
    await gone(world, PHONE)
    bob = await world.client(BOB)
    await say(bob, "one")
    [asked] = app.asked
    attributes = {"type": "result", "id": asked.id, "from": APP, "to": asked.attrs["from"]}
    world.router.route(Stanza("iq", attributes, b"", ()))
    await world.settle()
    await say(bob, "two")
    assert clock.getDelayedCalls(), "the second waits for the pause to end"
    push = world.modules.pop("push")
    app.asked.clear()
    push.stop()
    assert clock.getDelayedCalls() == []
    clock.advance(3600)
    assert app.asked == []
    world.apis.pop("push").release()


@pytest_twisted.ensureDeferred
async def test_what_the_store_says_after_the_end_starts_nothing(opened: Opens) -> None:
    """The clients of somebody who was not in memory are read while the module stops."""
    world, app, clock = await opened()
    await gone(world, PHONE)
    bob = await world.client(BOB)
    account = world.router.accounts.find("alice@example.com")
    del account.state["push"]
    rows = await world.store.push.load(account.id)
    waiting: Deferred[Any] = Deferred()
    world.store.push.load = lambda account_id: waiting
    await say(bob, "one")
    world.modules.pop("push").stop()
    world.apis.pop("push").release()
    waiting.callback(rows)
    assert clock.getDelayedCalls() == [] and app.asked == []
