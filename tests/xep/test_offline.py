"""Offline messages, XEP-0160 with 0203 and 0198: nothing lost, nothing twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.task import Clock

from chatd.core.stanza import Stanza
from chatd.xep import offline
from chatd.xep.archive import Archive
from chatd.xep.message import Messages
from chatd.xep.offline import Offline
from chatd.xep.presence import Presence
from chatd.xep.roster import Roster
from tests.xep.world import Client, World

ALICE, BOB = "alice@example.com", "bob@example.net"


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    """Messages and offline storage; five messages an account."""
    made = await World.open(Roster, Presence, Messages, Offline)
    made.apis["offline"].clock = Clock()
    yield made
    await made.close()


async def away(world: World) -> None:
    """Bob has an account and is not there."""
    bob = await world.client(BOB + "/b", available=False)
    bob.s.close()
    await world.settle()


async def say(client: Client, *texts: str) -> None:
    """Chat messages to Bob."""
    for text in texts:
        await client.send_xml(f"<message to='{BOB}' type='chat' id='{text}'><body>{text}</body></message>")


async def arrive(world: World, resource: str = "b", presence: str = "<presence/>", **how: Any) -> Client:
    """Bob comes, and takes what waits."""
    bob = await world.client(f"{BOB}/{resource}", available=False, **how)
    await bob.send_xml(presence)
    await world.settle()
    return bob


async def waiting(world: World) -> list[str]:
    """Ids of what is in the store for Bob."""
    row = await world.store.accounts.get("bob", "example.net")
    rows = await world.store.offline.load(row.id)
    return [stanza.decode().split('id="')[1].split('"')[0] for _, _, stanza in rows]


def texts(stanzas: list[Stanza]) -> list[str]:
    """Bodies of the messages."""
    return [str(stanza.element.body) for stanza in stanzas if stanza.name == "message"]


async def look(world: World) -> None:
    """The time comes to look whether a page was acknowledged, and what follows is done."""
    clock: Any = world.apis["offline"].clock
    clock.advance(10)
    clock.advance(0)
    await world.settle()


@pytest_twisted.ensureDeferred
async def test_kept_and_handed_over_once(world: World) -> None:
    """In order, as they were sent, with the time they came; then they are gone."""
    alice = await world.client(ALICE + "/a")
    await away(world)
    await say(alice, "one", "two", "three")
    assert alice.take() == [] and await waiting(world) == ["one", "two", "three"]
    bob = await arrive(world)
    got = bob.take("message")
    assert texts(got) == ["one", "two", "three"]
    first = got[0].element
    assert (first["from"], first["to"], first["type"], first["id"]) == (ALICE + "/a", BOB, "chat", "one")
    assert first.delay["from"] == "example.net" and first.delay["stamp"].endswith("Z")
    assert await waiting(world) == []
    again = await arrive(world, "again")
    assert texts(again.take()) == []


@pytest_twisted.ensureDeferred
async def test_only_to_a_priority_that_is_not_negative(world: World) -> None:
    """RFC 6121 8.5.2.2.1; when it is raised they come."""
    alice = await world.client(ALICE + "/a")
    await away(world)
    await say(alice, "x")
    bob = await arrive(world, presence="<presence><priority>-1</priority></presence>")
    assert texts(bob.take()) == []
    await bob.send_xml("<presence><priority>0</priority></presence>")
    assert texts(bob.take()) == ["x"]


@pytest_twisted.ensureDeferred
async def test_what_is_not_kept(world: World) -> None:
    """Section 3: chat states and headlines vanish, what asks not to be kept is refused."""
    alice = await world.client(ALICE + "/a")
    await away(world)
    state = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
    await alice.send_xml(f"<message to='{BOB}' type='chat'>{state}</message>")
    await alice.send_xml(f"<message to='{BOB}' type='chat'>{state}<no-store xmlns='urn:xmpp:hints'/></message>")
    await alice.send_xml(f"<message to='{BOB}' type='headline'><body>x</body></message>")
    assert alice.take() == []
    secret = "<body>x</body><no-store xmlns='urn:xmpp:hints'/>"
    await alice.send_xml(f"<message to='{BOB}' type='chat' id='n'>{secret}</message>")
    [error] = alice.take()
    assert error.id == "n" and b"service-unavailable" in error.inner
    assert await waiting(world) == []


@pytest_twisted.ensureDeferred
async def test_the_limit(world: World) -> None:
    """limits.offline_messages: the sixth is refused, also when the count was not known before."""
    alice = await world.client(ALICE + "/a")
    await away(world)
    await say(alice, *"12345")
    assert alice.take() == []
    await say(alice, "6")
    [error] = alice.take()
    assert error.id == "6" and b"service-unavailable" in error.inner
    world.router.accounts.forget(BOB)
    await say(alice, "7")           # taken while it is counted
    await say(alice, "8")
    assert [stanza.id for stanza in alice.take()] == ["8"]
    bob = await arrive(world)
    assert len(texts(bob.take())) == 6
    bob.s.close()
    await say(alice, "9")
    assert alice.take() == [] and await waiting(world) == ["9"]


@pytest_twisted.ensureDeferred
async def test_no_limit_reached_with_the_archive(world: World) -> None:
    """What the archive has is not refused; what is handed over carries its id there."""
    world.start(Archive)
    alice = await world.client(ALICE + "/a")
    await away(world)
    await say(alice, *"123456")
    assert alice.take() == []
    bob = await arrive(world)
    got = bob.take("message")
    assert texts(got) == list("12345")
    archived = await bob.ask_iq("set", "<query xmlns='urn:xmpp:mam:2'/>")
    assert archived.type == "result"
    ids = [stanza.element.result["id"] for stanza in bob.take("message")]
    assert [stanza.element.elements("urn:xmpp:sid:0", "stanza-id").__next__()["id"] for stanza in got] == ids[:5]


@pytest_twisted.ensureDeferred
async def test_deleted_when_acknowledged(world: World) -> None:
    """XEP-0198: not before; a client that dies first leaves them to the next one, once."""
    alice = await world.client(ALICE + "/a")
    await away(world)
    await say(alice, "one", "two")
    bob = await arrive(world, smacks=True)
    assert texts(bob.take()) == ["one", "two"]
    assert await waiting(world) == ["one", "two"]
    bob.s.close()
    await world.settle()
    assert await waiting(world) == ["one", "two"], "given back, and kept anew"
    again = await arrive(world, "again", smacks=True)
    got = again.take("message")
    assert texts(got) == ["one", "two"]
    assert len(list(got[0].element.elements("urn:xmpp:delay", "delay"))) == 1, "the first delay still says when"
    smacks: Any = again.s.smacks
    await look(world)
    assert await waiting(world) == ["one", "two"]
    smacks.acknowledge(len(smacks.unacknowledged()))
    await look(world)
    assert again.s.account.state["offline"].session is None
    assert await waiting(world) == []
    again.s.close()
    await world.settle()
    assert await waiting(world) == []


@pytest_twisted.ensureDeferred
async def test_page_by_page(world: World, monkeypatch: Any) -> None:
    """The next page goes when the one before is acknowledged."""
    monkeypatch.setattr(offline, "_PAGE_ROWS", 2)
    alice = await world.client(ALICE + "/a")
    await away(world)
    await say(alice, *"12345")
    bob = await arrive(world, smacks=True)
    smacks: Any = bob.s.smacks
    queue: Any = bob.s.account.state["offline"]
    sent = 0
    for page, left in (("12", 3), ("34", 1), ("5", 0)):
        assert "".join(texts(bob.take())) == page
        await look(world)
        assert bob.take() == [], "not before the page is acknowledged"
        sent += len(smacks.unacknowledged())
        smacks.acknowledge(sent)
        await look(world)
        assert len(await waiting(world)) == left
    assert queue.session is None and queue.count == 0


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("end", ["", "before it went out", "after"])
async def test_who_takes_less_than_is_sent_and_acknowledges_nothing(world: World, monkeypatch: Any, end: str) -> None:
    """The next page waits until this one has gone out; where it never does, it stays in the store."""
    monkeypatch.setattr(offline, "_PAGE_ROWS", 2)
    alice = await world.client(ALICE + "/a")
    await away(world)
    await say(alice, *"12345")
    bob = await world.client(BOB + "/b", available=False)
    stream: Any = bob.s.stream
    stream.is_congested = True
    await bob.send_xml("<presence/>")
    await look(world)
    assert texts(bob.take()) == list("12") and len(await waiting(world)) == 5
    if end:
        stream.is_congested = end != "after"
        bob.s.close()
        assert len(await waiting(world)) == (5 if stream.is_congested else 3)
        return
    stream.is_congested = False
    for _ in range(3):
        await look(world)
    assert texts(bob.take()) == list("345") and await waiting(world) == []


@pytest_twisted.ensureDeferred
async def test_only_a_page_is_in_memory(world: World, monkeypatch: Any) -> None:
    """What waits is read as it is handed out, in order and once, also what came while it was; a store that cannot
    delete makes none come twice."""
    monkeypatch.setattr(offline, "_PAGE_BYTES", 1)
    alice = await world.client(ALICE + "/a")
    await away(world)
    await say(alice, *"123")
    read: list[int] = []
    load, delete = world.store.offline.load, world.store.offline.delete

    def loaded(*arguments: Any) -> Any:
        return load(*arguments).addCallback(lambda rows: read.append(len(rows)) or rows)

    monkeypatch.setattr(world.store.offline, "load", loaded)
    monkeypatch.setattr(world.store.offline, "delete", lambda *_: None)
    bob = await arrive(world)
    assert texts(bob.take()) == list("123") and read == [1, 1, 1, 0]
    assert bob.s.account.state["offline"].session is None
    monkeypatch.setattr(world.store.offline, "delete", delete)
    bob.s.close()
    world.router.accounts.forget(BOB)
    read.clear()
    again = await arrive(world, smacks=True)
    smacks: Any = again.s.smacks
    assert texts(again.take()) == ["1"] and read == [1], "the next is read when this one is acknowledged"
    await again.send_xml("<presence><priority>-1</priority></presence>")
    await say(alice, "4")
    await again.send_xml("<presence/>")
    sent = 0
    for _ in range(4):
        sent += len(smacks.unacknowledged())
        smacks.acknowledge(sent)
        await look(world)
    assert texts(again.take()) == list("234") and await waiting(world) == []
    assert again.s.account.state["offline"].count == 0


@pytest_twisted.ensureDeferred
async def test_two_at_once(world: World) -> None:
    """The second does not get what the first is being given; when the first dies, it does."""
    alice = await world.client(ALICE + "/a")
    await away(world)
    await say(alice, "one")
    bob = await arrive(world, smacks=True)
    phone = await arrive(world, "phone")
    assert texts(bob.take()) == ["one"] and texts(phone.take()) == []
    bob.s.close()
    await world.settle()
    assert texts(phone.take()) == ["one"] and await waiting(world) == []


@pytest_twisted.ensureDeferred
async def test_gone_while_the_store_reads(world: World) -> None:
    """Everything is still there for the next one."""
    alice = await world.client(ALICE + "/a")
    await away(world)
    await say(alice, "one")
    bob = await world.client(BOB + "/b", available=False)
    for event in bob.framer.feed(b"<presence/>"):
        bob.s.receive(event)        # type: ignore[arg-type]
    bob.s.close()
    await world.settle()
    assert bob.take("message") == [] and await waiting(world) == ["one"]
    assert texts((await arrive(world)).take()) == ["one"]


@pytest_twisted.ensureDeferred
async def test_forged_delay(world: World) -> None:
    """XEP-0203 5: nobody else says that a message waited at our domain; what others say of themselves stays."""
    alice = await world.client(ALICE + "/a")
    bob = await arrive(world)
    delays = "".join(f"<delay xmlns='urn:xmpp:delay' from='{by}' stamp='2002-09-10T23:08:25Z'/>"
                     for by in ("example.net", " EXAMPLE.net", "muc.example.net"))
    await alice.send_xml(f"<message to='{BOB}'><body>x</body>{delays}</message>")
    [got] = bob.take("message")
    assert [delay["from"] for delay in got.element.elements("urn:xmpp:delay", "delay")] == ["muc.example.net"]


@pytest_twisted.ensureDeferred
async def test_a_damaged_row_is_dropped(world: World) -> None:
    """One that cannot be read does not keep the others."""
    alice = await world.client(ALICE + "/a")
    await away(world)
    await say(alice, "one")
    row = await world.store.accounts.get("bob", "example.net")
    world.store.offline.append(row.id, world.store.new_id(10**12), b"<message xmlns='jabber:client'><body>", 10**12)
    await say(alice, "two")
    bob = await arrive(world)
    assert texts(bob.take()) == ["one", "two"]


@pytest_twisted.ensureDeferred
async def test_stop_leaves_the_rest_in_the_store(world: World) -> None:
    """A daemon that ends in the middle hands out again what was not acknowledged."""
    alice = await world.client(ALICE + "/a")
    await away(world)
    await say(alice, "one")
    bob = await arrive(world, smacks=True)
    queue: Any = bob.s.account.state["offline"]
    assert queue.session is bob.s
    world.modules["offline"].stop()
    assert queue.session is None and queue.look is None
    assert await waiting(world) == ["one"]
