"""What accounts publish, over every database."""

from __future__ import annotations

import pytest
import pytest_twisted

from chatd.core.jid import JID
from chatd.core.pubsub import Item, Node, Published, TooMuch
from chatd.core.roster import RosterItem
from chatd.store import StoreError

MOST = 10_000


async def two(place):
    store = await place.open()
    return store, *[await store.accounts.create(name, "example.org", {}, 1.0) for name in ("john", "jane")]


def item(id_: str, payload: bytes = b"<x xmlns='urn:x'/>", publisher: str = "john@example.org") -> Item:
    return Item(id_, payload, publisher)


@pytest_twisted.ensureDeferred
async def test_nodes(place):
    store, john, jane = await two(place)
    assert await store.pep.nodes(john) == []
    first = Node("urn:a", {"access": "open", "groups": ["\u00e4"]}, {"jane@example.org": "member"},
                 {"jane@example.org": "subscribed"})
    await store.pep.save(john, first, 1)
    await store.pep.save(john, Node("urn:b"), 1)
    assert await store.pep.nodes(john) == [first, Node("urn:b")]
    changed = Node("urn:a", {"access": "whitelist"})
    await store.pep.save(john, changed, 1)
    await store.pep.delete(john, "urn:b")
    await store.pep.delete(john, "never there")
    assert await store.pep.nodes(john) == [changed]
    assert (await store.pep.nodes(john))[0].config["access"] == "whitelist"
    assert await store.pep.nodes(jane) == []


@pytest_twisted.ensureDeferred
async def test_items_in_order(place):
    store, john, jane = await two(place)
    node = Node("urn:a")
    await store.pep.publish(john, node, [item("1", bytes(range(256))), item("2")], 3, MOST)
    await store.pep.publish(john, node, [item("1", b"<new/>", "jane@example.org")], 3, MOST)
    assert await store.pep.items(john, "urn:a") == [item("2"), item("1", b"<new/>", "jane@example.org")]
    assert await store.pep.ids(john, "urn:a") == ["2", "1"]
    await store.pep.publish(john, node, [item("3"), item("4")], 3, MOST)
    assert await store.pep.ids(john, "urn:a") == ["1", "3", "4"], "the oldest has gone"
    assert [one.id for one in await store.pep.items(john, "urn:a", most=2)] == ["3", "4"]
    assert [one.id for one in await store.pep.items(john, "urn:a", ["4", "1", "9"])] == ["1", "4"]
    assert await store.pep.items(john, "urn:a", []) == []
    await store.pep.save(john, node, 1)
    assert await store.pep.ids(john, "urn:a") == ["4"], "fewer are kept from now on"
    assert await store.pep.items(jane, "urn:a") == []


@pytest_twisted.ensureDeferred
async def test_retract_and_purge(place):
    store, john, _ = await two(place)
    await store.pep.publish(john, Node("urn:a"), [item("1"), item("2"), item("3")], 9, MOST)
    assert await store.pep.retract(john, "urn:a", ["2", "9", "2"]) == ["2"]
    assert await store.pep.ids(john, "urn:a") == ["1", "3"]
    await store.pep.purge(john, "urn:a")
    assert await store.pep.ids(john, "urn:a") == [] and len(await store.pep.nodes(john)) == 1


@pytest_twisted.ensureDeferred
async def test_bytes_are_bounded_for_the_account_as_a_whole(place):
    store, john, jane = await two(place)
    await store.pep.publish(john, Node("urn:a"), [item("1", b"x" * 600)], 9, 1000)
    with pytest.raises(TooMuch):
        await store.pep.publish(john, Node("urn:b"), [item("1", b"x" * 401)], 9, 1000)
    assert [node.name for node in await store.pep.nodes(john)] == ["urn:a"], "nothing of it stayed"
    await store.pep.publish(john, Node("urn:b"), [item("1", b"x" * 400)], 9, 1000)
    assert await store.pep.count(john) == (2, 2, 1000)
    await store.pep.publish(jane, Node("urn:b"), [item("1", b"x" * 1000)], 9, 1000)
    await store.pep.publish(john, Node("urn:a"), [item("1", b"x" * 10), item("2", b"x" * 90)], 9, 1000)
    assert await store.pep.count(john) == (2, 3, 500)
    await store.pep.retract(john, "urn:a", ["2"])
    await store.pep.purge(john, "urn:b")
    assert await store.pep.count(john) == (2, 1, 10)
    await store.pep.publish(john, Node("urn:a"), [item("3", b"x" * 1000)], 1, 1000)
    assert await store.pep.count(john) == (2, 1, 1000), "what it replaced does not count"


@pytest_twisted.ensureDeferred
async def test_last_items(place):
    store, john, _ = await two(place)
    for name in ("urn:a", "urn:b", "urn:c"):
        await store.pep.publish(john, Node(name), [item("1"), item(name)], 9, MOST)
    await store.pep.purge(john, "urn:c")
    assert await store.pep.last(john, ["urn:a", "urn:b", "urn:c", "urn:d"]) == [
        ("urn:a", item("urn:a")), ("urn:b", item("urn:b"))]
    assert await store.pep.last(john, []) == []


@pytest_twisted.ensureDeferred
async def test_last_items_of_contacts(place):
    """Only of those whose roster lets the reader see them, with the groups the reader has there."""
    store, john, jane = await two(place)
    other = await store.accounts.create("john", "example.net", {}, 1.0)
    node = Node("urn:a", {"access": "roster", "groups": ["Friends"]})
    for account in (john, jane, other):
        await store.pep.publish(account, node, [item("1"), item("2")], 9, MOST)
    reader = JID.parse("reader@example.org/phone")
    await store.roster.save(john, RosterItem(reader.bare, subscription="both", groups=("Friends", "B")))
    await store.roster.save(jane, RosterItem(reader.bare, subscription="to"))
    await store.roster.save(other, RosterItem(reader.bare, subscription="from"))
    found = await store.pep.last_of("example.org", ["john", "jane", "nobody"], reader, ["urn:a", "urn:b"])
    assert found == [Published("john@example.org", ("Friends", "B"), node, item("2"))]
    assert [one.owner for one in await store.pep.last_of("example.net", ["john"], reader, ["urn:a"])] == [
        "john@example.net"]
    assert await store.pep.last_of("example.org", [], reader, ["urn:a"]) == []
    both = await store.pep.last_of("example.org", ["john", "jane"], reader, ["urn:a"], ["jane", "nobody"])
    assert [(one.owner, one.groups) for one in both] == [
        ("jane@example.org", ()), ("john@example.org", ("Friends", "B"))]
    await store.roster.remove(jane, reader.bare)
    assert len(await store.pep.last_of("example.org", ["jane"], reader, ["urn:a"], ["jane"])) == 1
    await store.blocking.add(jane, [reader.bare])
    assert await store.pep.last_of("example.org", ["jane"], reader, ["urn:a"], ["jane"]) == []
    for address in (reader.bare, reader.full, "example.org", "example.org/phone"):
        await store.blocking.add(john, [address])
        assert await store.pep.last_of("example.org", ["john"], reader, ["urn:a"]) == [], address
        await store.blocking.remove(john, [address])
    await store.blocking.add(john, ["example.net", "other@example.org", reader.bare + "/pc"])
    assert len(await store.pep.last_of("example.org", ["john"], reader, ["urn:a"])) == 1


@pytest_twisted.ensureDeferred
async def test_lasting_and_gone_with_the_account(place):
    store, john, jane = await two(place)
    await store.pep.publish(john, Node("urn:a"), [item("1")], 9, MOST)
    await store.pep.publish(jane, Node("urn:a"), [item("1")], 9, MOST)
    if place.is_lasting:
        store = await place.reopen()
        assert await store.pep.ids(john, "urn:a") == ["1"]
    await store.accounts.delete(john)
    assert await store.pep.count(john) == (0, 0, 0) and await store.pep.count(jane) == (1, 1, 18)


@pytest_twisted.ensureDeferred
async def test_an_unknown_account_publishes_nothing(place):
    store = await place.open()
    with pytest.raises(StoreError):
        await store.pep.publish(4711, Node("urn:a"), [item("1")], 9, MOST)
