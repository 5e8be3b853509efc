"""Service discovery and the hash of it: XEP-0030, XEP-0115; and the small answers: 0199, 0092, 0202."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha1
from typing import Any

import pytest
import pytest_twisted
from twisted.words.xish import domish

import chatd
from chatd.core.entity_caps import verification_string
from chatd.core.stamp import parse_stamp
from chatd.core.stanza import parse_element
from chatd.xep.archive import Archive
from chatd.xep.caps.caps import Caps
from chatd.xep.carbons import Carbons
from chatd.xep.disco import Disco
from chatd.xep.entity_time import EntityTime
from chatd.xep.message import Messages
from chatd.xep.ping import Ping
from chatd.xep.presence import Presence
from chatd.xep.roster import Roster
from chatd.xep.version import Version
from tests.xep.world import Client, World

ALICE, BOB = "alice@example.com", "bob@example.net"
INFO, ITEMS = "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items"


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    """Some modules to speak of."""
    made = await World.open(Roster, Presence, Messages, Archive, Carbons, Disco, Caps, Ping, Version, EntityTime)
    yield made
    await made.close()


async def info(client: Client, to: str, node: str = "") -> domish.Element:
    """The <query/> of an answer."""
    answer = await client.ask_iq("get", f"<query xmlns='{INFO}'{node}/>", to=to)
    assert answer.type == "result", answer.to_bytes()
    query: domish.Element = answer.element.query
    return query


def features(query: domish.Element) -> set[str]:
    """What it says it can."""
    return {feature["var"] for feature in query.elements(INFO, "feature")}


def identities(query: domish.Element) -> list[tuple[str, str]]:
    """What it says it is."""
    return [(one["category"], one["type"]) for one in query.elements(INFO, "identity")]


@pytest_twisted.ensureDeferred
async def test_domain_and_account(world: World) -> None:
    """The attributes of the modules that run, each once, sorted."""
    alice = await world.client(ALICE + "/a")
    query = await info(alice, "example.com")
    assert identities(query) == [("server", "im")]
    listed = [feature["var"] for feature in query.elements(INFO, "feature")]
    assert listed == sorted(set(listed))
    assert {INFO, ITEMS, "urn:xmpp:carbons:2", "urn:xmpp:ping", "http://jabber.org/protocol/caps"} <= set(listed)
    assert "urn:xmpp:mam:2" in listed, "profanity 0.13 asks nobody else"
    assert "urn:xmpp:sid:0" not in listed
    for own in (ALICE, ""):
        query = await info(alice, own)
        assert identities(query) == [("account", "registered")]
        assert {INFO, "urn:xmpp:mam:2", "urn:xmpp:mam:2#extended", "urn:xmpp:sid:0"} <= features(query)
    assert query.getAttribute("node") is None


@pytest_twisted.ensureDeferred
async def test_other_accounts(world: World) -> None:
    """Section 8: those who see its presence are told, others get what a name without account gets."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    for kind in (INFO, ITEMS):
        unknown = await alice.ask_iq("get", f"<query xmlns='{kind}'/>", to="nobody@example.net")
        refused = await alice.ask_iq("get", f"<query xmlns='{kind}'/>", to=BOB)
        assert refused.type == unknown.type == "error" and refused.inner == unknown.inner
    await alice.send_xml(f"<presence to='{BOB}' type='subscribe'/>")
    await bob.send_xml(f"<presence to='{ALICE}' type='subscribed'/>")
    assert identities(await info(alice, BOB)) == [("account", "registered")]
    assert (await bob.ask_iq("get", f"<query xmlns='{INFO}'/>", to=ALICE)).type == "error"


@pytest_twisted.ensureDeferred
async def test_nodes_and_events(world: World) -> None:
    """Modules add features, nodes and items; a node is mirrored; an unknown one is not found."""
    alice = await world.client(ALICE + "/a")
    api = world.apis["disco"]
    api.on("disco.info", lambda request, node: ["urn:node"] if node == "n&1" else None if node else ["urn:more"])
    api.on("disco.items", lambda request, node: [("a@b", "A <1>", "x")] if node == "n&1" else None)
    assert "urn:more" in features(await info(alice, "example.com"))
    query = await info(alice, "example.com", " node='n&amp;1'")
    assert features(query) == {"urn:node"} and query["node"] == "n&1" and identities(query)
    answer = await alice.ask_iq("get", f"<query xmlns='{ITEMS}' node='n&amp;1'/>", to="example.com")
    item = answer.element.query.item
    assert (item["jid"], item["name"], item["node"]) == ("a@b", "A <1>", "x")
    for kind in (INFO, ITEMS):
        answer = await alice.ask_iq("get", f"<query xmlns='{kind}' node='unknown'/>", to="example.com")
        assert b"item-not-found" in answer.inner


@pytest_twisted.ensureDeferred
async def test_items_of_a_domain(world: World) -> None:
    """The components below it."""
    alice = await world.client(ALICE + "/a")
    for host in ("chat.example.com", "chat.example.net", "notexample.com"):
        world.router.components.routes[host] = object()
    answer = await alice.ask_iq("get", f"<query xmlns='{ITEMS}'/>", to="example.com")
    assert [item["jid"] for item in answer.element.query.elements()] == ["chat.example.com"]
    answer = await alice.ask_iq("get", f"<query xmlns='{ITEMS}'/>")
    assert answer.type == "result" and list(answer.element.query.elements()) == []


def test_the_examples_of_the_specification() -> None:
    """XEP-0115 5.2."""
    muc = "http://jabber.org/protocol/muc"
    given = ["http://jabber.org/protocol/caps", INFO, ITEMS, muc]
    assert verification_string([("client", "pc", "Exodus 0.9.1")], given[::-1]) == "QgayPKawpkPSDYmwT/WM94uAlu0="


@pytest_twisted.ensureDeferred
async def test_caps_of_the_server(world: World) -> None:
    """The hash in the stream features is that of what disco answers, plain and by its node."""
    alice = await world.client(ALICE + "/a")
    [offer] = [xml for xml in (offered("example.com") for offered in world.router.hooks.stream_features)
               if b"caps" in xml]
    caps = parse_element(offer)
    assert (caps.uri, caps.name, caps["hash"]) == ("http://jabber.org/protocol/caps", "c", "sha-1")
    for node in ("", f" node='{caps['node']}#{caps['ver']}'"):
        query = await info(alice, "example.com", node)
        text = "".join(f"{one['category']}/{one['type']}//{one['name']}<" for one in query.elements(INFO, "identity"))
        text += "".join(f"{one}<" for one in sorted(features(query)))
        assert b64encode(sha1(text.encode()).digest()).decode() == caps["ver"]
    answer = await alice.ask_iq("get", f"<query xmlns='{INFO}' node='{caps['node']}#other'/>", to="example.com")
    assert b"item-not-found" in answer.inner
    world.apis["disco"].on("disco.info", lambda request, node: None if node else ["urn:more"])
    module: Any = world.modules["caps"]
    assert module.verification("example.com") != caps["ver"], "it follows what changes"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("to", "kind"), [("", "result"), (ALICE, "result"), ("example.com", "result"),
                                          (BOB, "error"), ("nobody@example.com", "error")])
async def test_ping(world: World, to: str, kind: str) -> None:
    """XEP-0199 4: the server and one's own account answer."""
    alice = await world.client(ALICE + "/a")
    await world.client(BOB + "/b")
    answer = await alice.ask_iq("get", "<ping xmlns='urn:xmpp:ping'/>", to=to)
    assert answer.type == kind and (kind == "error" or answer.inner == b"")
    assert answer.attrs.get("from", "") == to


@pytest_twisted.ensureDeferred
async def test_version(world: World) -> None:
    """XEP-0092: name and version, the system only when it is wanted."""
    alice = await world.client(ALICE + "/a")
    query = (await alice.ask_iq("get", "<query xmlns='jabber:iq:version'/>", to="example.com")).element.query
    told = [(child.name, str(child)) for child in query.elements()]
    assert told == [("name", "chatd"), ("version", chatd.__version__)]
    other = await World.open()
    other.start(Version, number=False, system=True)
    bob = await other.client(BOB + "/b", available=False)
    answer = await bob.ask_iq("get", "<query xmlns='jabber:iq:version'/>", to="example.net")
    assert [(child.name, str(child) != "") for child in answer.element.query.elements()] == [
        ("name", True), ("version", False), ("os", True)]
    await other.close()


@pytest_twisted.ensureDeferred
async def test_time(world: World) -> None:
    """XEP-0202: UTC and the offset, as XEP-0082 writes them."""
    alice = await world.client(ALICE + "/a")
    world.apis["entity_time"].now = lambda: 1_000_000_000.25
    answer = await alice.ask_iq("get", "<time xmlns='urn:xmpp:time'/>", to="example.com")
    time = answer.element.time
    assert parse_stamp(str(time.utc)) == 1_000_000_000_250
    tzo = str(time.tzo)
    assert tzo == "Z" or (tzo[0] in "+-" and tzo[3] == ":" and len(tzo) == 6)
