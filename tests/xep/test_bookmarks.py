"""Bookmarks in three forms, XEP-0402, XEP-0048 and XEP-0049; read marks, XEP-0490."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.archive import ArchiveQuery
from chatd.core.bookmarks import Bookmark, bookmarks_of
from chatd.core.pubsub import Node
from chatd.xep.archive import Archive
from chatd.xep.bookmarks import Bookmarks
from chatd.xep.displayed import Displayed
from chatd.xep.private import Private
from tests.xep import pep_kit
from tests.xep.pep_kit import ALICE, BOB, befriend, condition, events, ids, items, listen, owner, publish, pubsub
from tests.xep.world import Client, World

ROOM, OTHER = "attic@conference.example.com", "cellar@conference.example.com"
OLD = "storage:bookmarks"
PRIVATE = "<query xmlns='jabber:iq:private'>%s</query>"


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    """All three forms, read marks, and an archive."""
    made = await pep_kit.open_world(Archive, Private, Bookmarks, Displayed)
    yield made
    await made.close()


async def add(client: Client, room: str, inner: str = "<nick>al</nick>",
              head: str = "name='The &amp; attic' autojoin='1'") -> None:
    """As XEP-0402 has it."""
    await publish(client, ns.BOOKMARKS, room, payload=f"<conference xmlns='{ns.BOOKMARKS}' {head}>{inner}</conference>")
    await client.world.settle()


async def private(client: Client) -> domish.Element:
    """The <storage/> of private storage."""
    answer = await client.ask_iq("get", PRIVATE % f"<storage xmlns='{OLD}'/>")
    storage: domish.Element = answer.element.query.storage
    return storage


async def set_private(client: Client, inner: str) -> None:
    """Writes it."""
    assert (await client.ask_iq("set", PRIVATE % f"<storage xmlns='{OLD}'>{inner}</storage>")).type == "result"
    await client.world.settle()


async def old_item(client: Client) -> dict[str, Bookmark]:
    """What the item of XEP-0048 says."""
    answer = await items(client, OLD)
    assert ids(answer) == ["current"]
    return bookmarks_of(answer.element.pubsub.items.item.storage)


@pytest_twisted.ensureDeferred
async def test_new_ones_are_seen_the_old_ways(world: World) -> None:
    """At once, told to those who listen, and gone with a retraction."""
    alice, old = await world.client(ALICE + "/a"), await world.client(ALICE + "/old")
    assert (await private(alice)).children == []
    await listen(old, OLD)
    await add(alice, ROOM)
    await add(alice, OTHER, inner="<password>s&lt;x</password>", head="")
    expected = {ROOM: Bookmark(ROOM, "The & attic", True, "al"), OTHER: Bookmark(OTHER, password="s<x")}
    assert bookmarks_of(await private(alice)) == expected == await old_item(alice)
    assert events(old) == [(ALICE, OLD, [("item", "current")])] * 2
    await alice.ask_iq("set", pubsub(f"<retract node='{ns.BOOKMARKS}' notify='1'><item id='{ROOM}'/></retract>"))
    await world.settle()
    assert list(bookmarks_of(await private(alice))) == list(await old_item(alice)) == [OTHER]
    assert events(old) == [(ALICE, OLD, [("item", "current")])]
    await alice.ask_iq("set", owner(f"<delete node='{ns.BOOKMARKS}'/>"))
    await world.settle()
    assert await old_item(alice) == {} and (await private(alice)).children == []


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("is_private", [True, False])
async def test_a_list_written_the_old_way(world: World, is_private: bool) -> None:
    """What differs is published, what is missing retracted, the rest left alone; what only new clients know stays."""
    alice, new = await world.client(ALICE + "/a"), await world.client(ALICE + "/new")
    await listen(new, ns.BOOKMARKS)
    await add(alice, ROOM, inner="<nick>al</nick><extensions><state xmlns='urn:mine' minimized='1'/></extensions>")
    await add(alice, OTHER)
    events(new)
    listed = (f"<conference jid='{ROOM}' name='Attic'><nick>al</nick></conference>"
              "<conference jid='hall@conference.example.com' autojoin='true'/>"
              "<url name='A page' url='https://example.com/'/>")

    async def write() -> None:
        if is_private:
            await set_private(alice, listed)
        else:
            await publish(alice, OLD, "current", payload=f"<storage xmlns='{OLD}'>{listed}</storage>")
            await world.settle()

    await write()
    assert events(new) == [(ALICE, ns.BOOKMARKS, [("item", ROOM), ("item", "hall@conference.example.com")]),
                           (ALICE, ns.BOOKMARKS, [("retract", OTHER)])]
    found = (await items(alice, ns.BOOKMARKS)).element.pubsub.items
    attic = next(item.conference for item in found.elements() if item["id"] == ROOM)
    assert (attic["name"], attic["autojoin"], str(attic.nick)) == ("Attic", "false", "al")
    assert attic.extensions.state["minimized"] == "1"
    rooms = {ROOM, "hall@conference.example.com"}
    assert set(await old_item(alice)) == rooms == set(bookmarks_of(await private(alice)))
    storage = await private(alice) if is_private else (await items(alice, OLD)).element.pubsub.items.item.storage
    assert storage.url["url"] == "https://example.com/"
    await write()
    assert events(new) == [], "all as it was"


@pytest_twisted.ensureDeferred
async def test_what_was_in_private_storage_before(world: World) -> None:
    """Taken over once, when anybody first asks; an empty list later does not bring it back."""
    number = await world.store.accounts.create("alice", "example.com", {}, 0.0)
    kept = f"<storage xmlns='{OLD}'><conference jid='{ROOM}' autojoin='1'/><url url='https://example.com/'/></storage>"
    await world.store.private.set(number, {f"{OLD} storage": kept.encode()}, 9)
    alice = await world.client(ALICE + "/a")
    assert ids(await items(alice, ns.BOOKMARKS)) == [ROOM]
    assert list(await old_item(alice)) == [ROOM]
    storage = await private(alice)
    assert list(bookmarks_of(storage)) == [ROOM] and storage.url["url"] == "https://example.com/"
    assert {node.name: node.config["access"] for node in await world.store.pep.nodes(number)} == {
        ns.BOOKMARKS: "whitelist", OLD: "whitelist"}
    await alice.ask_iq("set", pubsub(f"<retract node='{ns.BOOKMARKS}'><item id='{ROOM}'/></retract>"))
    await world.settle()
    alice.s.close()
    world.router.accounts.forget(ALICE)
    alice = await world.client(ALICE + "/a")
    assert ids(await items(alice, ns.BOOKMARKS)) == [] and bookmarks_of(await private(alice)) == {}


@pytest_twisted.ensureDeferred
async def test_bookmarks_are_nobody_elses_business(world: World) -> None:
    """No contact reads them, and where the old node is open to others nothing is written there."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    await befriend(alice, bob)
    await listen(bob, ns.BOOKMARKS, OLD)
    await publish(alice, OLD, "current", payload=f"<storage xmlns='{OLD}'/>", access_model="presence")
    events(bob)
    await add(alice, ROOM)
    assert events(bob) == []
    assert condition(await items(bob, ns.BOOKMARKS, ALICE)) == ["not-allowed", "closed-node"]
    assert (await items(bob, OLD, ALICE)).element.pubsub.items.item.storage.children == []


@pytest_twisted.ensureDeferred
async def test_lists_that_make_no_sense(world: World) -> None:
    """Rooms without address, twice the same, another element: nothing breaks, the rest is taken."""
    alice = await world.client(ALICE + "/a")
    await set_private(alice, f"<conference/><conference jid=' '/><conference jid='{ROOM}' name='1'/>"
                             f"<conference jid='{ROOM}' name='2'/><conference jid='{'x' * 2000}'/><other/>")
    assert {room: one.name for room, one in bookmarks_of(await private(alice)).items()} == {ROOM: "2"}
    await publish(alice, OLD, "current", payload="<elsewhat xmlns='urn:x'/>")
    await publish(alice, ns.BOOKMARKS, OTHER, payload="<elsewhat xmlns='urn:x'/>")
    await world.settle()
    assert list(bookmarks_of(await private(alice))) == [ROOM]


@pytest_twisted.ensureDeferred
async def test_account_says_so(world: World) -> None:
    """XEP-0402 5.3, XEP-0490 4.2."""
    alice = await world.client(ALICE + "/a")
    query = (await alice.ask_iq("get", f"<query xmlns='{ns.DISCO_INFO}'/>")).element.query
    assert {f"{ns.BOOKMARKS}#compat", f"{ns.BOOKMARKS}#compat-pep", ns.DISPLAYED_ASSIST} <= {
        one["var"] for one in query.elements(ns.DISCO_INFO, "feature")}


@pytest_twisted.ensureDeferred
async def test_read_marks_in_a_message(world: World) -> None:
    """XEP-0490 4.3: published for the person's own clients, and nowhere in the message, its copies or its archive."""
    alice, phone, bob = [await world.client(one) for one in (ALICE + "/a", ALICE + "/p", BOB + "/b")]
    await befriend(alice, bob)
    await listen(phone, ns.DISPLAYED)
    await listen(bob, ns.DISPLAYED)
    bob.take(), phone.take()
    mark = f"<displayed xmlns='{ns.DISPLAYED}'><stanza-id xmlns='{ns.SID}' by='{ALICE}' id='7'/></displayed>"
    await alice.send_xml(f"<message to='{BOB}' type='chat'><displayed xmlns='{ns.MARKERS}' id='m1'/>{mark}</message>")
    [message] = bob.take("message")
    assert message.children[0] == f"{ns.MARKERS} displayed" and ns.DISPLAYED.encode() not in message.inner
    assert events(phone) == [(ALICE, ns.DISPLAYED, [("item", BOB)])]
    found = (await items(alice, ns.DISPLAYED)).element.pubsub.items.item
    assert found["id"] == BOB and found.displayed.elements().__next__()["id"] == "7"
    rows = await archived(world, alice)
    assert len(rows) == 1 and ns.DISPLAYED.encode() not in rows[0] and ns.MARKERS.encode() in rows[0]
    [node] = await world.store.pep.nodes(alice.s.account.id)
    assert (node.config["access"], node.config["send_last"]) == ("whitelist", "never")
    await world.store.pep.save(alice.s.account.id, Node(ns.DISPLAYED, {"access": "open"}), 9)
    alice.s.account.state.pop("pep")
    other = mark.replace("id='7'", "id='8'")
    await alice.send_xml(f"<message to='{BOB}' type='chat'><body>x</body>{other}</message>")
    assert b'id="8"' not in (await items(alice, ns.DISPLAYED)).inner, "others could read it there"


async def archived(world: World, client: Client) -> list[bytes]:
    """The stanzas in an account's archive."""
    page = await world.store.archive.query(client.s.account.id, ArchiveQuery())
    return [row.stanza for row in page.rows]
