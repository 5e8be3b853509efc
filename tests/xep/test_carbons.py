"""Carbons, XEP-0280: who gets a copy of what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted

from chatd.core.stanza import Stanza
from chatd.xep.archive import Archive
from chatd.xep.carbons import Carbons
from chatd.xep.message import Messages
from chatd.xep.presence import Presence
from chatd.xep.roster import Roster
from tests.xep.world import Client, World

ALICE, BOB = "alice@example.com", "bob@example.net"
CARBONS = "urn:xmpp:carbons:2"


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    """Messages, archive and carbons."""
    made = await World.open(Roster, Presence, Messages, Archive, Carbons)
    yield made
    await made.close()


async def client(world: World, address: str, carbons: bool = True) -> Client:
    """A client with carbons on."""
    made = await world.client(address)
    if carbons:
        answer = await made.ask_iq("set", f"<enable xmlns='{CARBONS}'/>")
        assert answer.type == "result"
    made.take()
    return made


def copies(stanzas: list[Stanza]) -> list[tuple[str, Any]]:
    """(direction, the forwarded message) of each; a plain message is ("", itself)."""
    found = []
    for stanza in stanzas:
        if stanza.name != "message":
            continue
        if stanza.payload.startswith(CARBONS):
            wrapper = next(stanza.element.elements())
            found.append((wrapper.name, wrapper.forwarded.message))
        else:
            found.append(("", stanza.element))
    return found


@pytest_twisted.ensureDeferred
async def test_both_sides(world: World) -> None:
    """A message from one of Alice's to one of Bob's: the others of both have it, wrapped as section 7 and 8 say."""
    alice, other = await client(world, ALICE + "/a"), await client(world, ALICE + "/other")
    bob, phone = await client(world, BOB + "/b"), await client(world, BOB + "/phone")
    for one in (alice, other, bob, phone):
        one.take()
    await alice.send_xml(f"<message to='{BOB}/b' type='chat' id='1'><body>hi</body></message>")
    assert copies(alice.take()) == []
    assert [direction for direction, _ in copies(bob.take())] == [""]
    got = other.got[0]
    assert (got.attrs["from"], got.attrs["to"], got.type) == (ALICE, ALICE + "/other", "chat")
    [(direction, sent)] = copies(other.take())
    assert direction == "sent" and (sent["from"], sent["to"], str(sent.body)) == (ALICE + "/a", BOB + "/b", "hi")
    got = phone.got[0]
    assert (got.attrs["from"], got.attrs["to"]) == (BOB, BOB + "/phone")
    [(direction, received)] = copies(phone.take())
    assert direction == "received" and str(received.body) == "hi" and received.uri == "jabber:client"
    ids = {child["by"] for child in sent.elements() if child.name == "stanza-id"}
    assert ids == {ALICE}, "the sender's own archive id, and only that"
    assert {child["by"] for child in received.elements() if child.name == "stanza-id"} == {BOB}


@pytest_twisted.ensureDeferred
async def test_nobody_twice(world: World) -> None:
    """To a bare address all have it already; to oneself there is one copy each; without enabling nothing comes."""
    alice, other = await client(world, ALICE + "/a"), await client(world, ALICE + "/other")
    robot = await client(world, ALICE + "/robot")
    plain = await client(world, ALICE + "/plain", carbons=False)
    bob, phone = await client(world, BOB + "/b"), await client(world, BOB + "/phone")
    await robot.send_xml("<presence><priority>-1</priority></presence>")
    for one in (alice, other, robot, plain, bob, phone):
        one.take()
    await alice.send_xml(f"<message to='{BOB}' type='chat'><body>x</body></message>")
    assert [one for one, _ in copies(bob.take())] == [one for one, _ in copies(phone.take())] == [""]
    assert [one for one, _ in copies(other.take())] == [one for one, _ in copies(robot.take())] == ["sent"]
    assert plain.take() == []
    await alice.send_xml(f"<message to='{ALICE}' type='chat'><body>x</body></message>")
    assert [one for one, _ in copies(other.take())] == [""]
    assert [one for one, _ in copies(robot.take())] == ["sent"]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("attributes", "inner", "copied"), [
    ("type='chat'", "<body>x</body>", True),
    ("", "<body>x</body>", True),
    ("", "<z xmlns='urn:z'/>", False),
    ("type='chat'", "<composing xmlns='http://jabber.org/protocol/chatstates'/>", True),
    ("type='headline'", "<body>x</body>", False),
    ("type='chat'", f"<body>x</body><private xmlns='{CARBONS}'/>", False),
    ("type='chat'", "<body>x</body><no-copy xmlns='urn:xmpp:hints'/>", False),
    ("type='chat'", "<x xmlns='http://jabber.org/protocol/muc#user'/><body>x</body>", None),
])
async def test_which(world: World, attributes: str, inner: str, copied: bool | None) -> None:
    """Section 6; None: the sender's others have it, the recipient's have not (a room's private message)."""
    alice, other = await client(world, ALICE + "/a"), await client(world, ALICE + "/other")
    bob, phone = await client(world, BOB + "/b"), await client(world, BOB + "/phone")
    for one in (alice, other, bob, phone):
        one.take()
    await alice.send_xml(f"<message to='{BOB}/b' {attributes}>{inner}</message>")
    [(direction, original)] = copies(bob.take())
    assert direction == ""
    assert len(copies(other.take())) == (copied is not False)
    assert len(copies(phone.take())) == (copied is True)


@pytest_twisted.ensureDeferred
async def test_off_again_and_never_by_others(world: World) -> None:
    """Enable twice, disable; somebody else's carbons are not to be switched; nor by a full address."""
    alice, other = await client(world, ALICE + "/a"), await client(world, ALICE + "/other")
    assert (await other.ask_iq("set", f"<enable xmlns='{CARBONS}'/>")).type == "result"
    await world.client(BOB + "/b")
    assert (await other.ask_iq("set", f"<enable xmlns='{CARBONS}'/>", to=BOB)).type == "error"
    assert (await other.ask_iq("set", f"<disable xmlns='{CARBONS}'/>", to=ALICE)).type == "result"
    other.take()
    await alice.send_xml(f"<message to='{BOB}/b' type='chat'><body>x</body></message>")
    assert copies(other.take()) == []


@pytest_twisted.ensureDeferred
async def test_to_another_server(world: World) -> None:
    """What leaves is copied to the sender's others when it has left; what cannot leave is not."""
    alice, other = await client(world, ALICE + "/a"), await client(world, ALICE + "/other")
    alice.take(), other.take()
    await alice.send_xml("<message to='x@elsewhere.example' type='chat'><body>x</body></message>")
    assert copies(other.take()) == [] and alice.take()[0].type == "error"
    out: list[Any] = []
    world.router.route_out = lambda stanza, to: out.append(stanza)      # type: ignore[method-assign,assignment]
    await alice.send_xml("<message to='x@elsewhere.example' type='chat'><body>x</body></message>")
    assert len(out) == 1 and b"stanza-id" not in out[0].to_bytes(), "XEP-0313 3.4: no business of others"
    assert [one for one, _ in copies(other.take())] == ["sent"]


@pytest_twisted.ensureDeferred
async def test_forged_copies_are_not_copied(world: World) -> None:
    """A message that claims to be a carbon is delivered, marked as from whom it is, and not copied on."""
    alice, other = await client(world, ALICE + "/a"), await client(world, ALICE + "/other")
    bob, phone = await client(world, BOB + "/b"), await client(world, BOB + "/phone")
    for one in (alice, other, bob, phone):
        one.take()
    forged = (f"<received xmlns='{CARBONS}'><forwarded xmlns='urn:xmpp:forward:0'>"
              f"<message xmlns='jabber:client' from='{BOB}' to='{BOB}'><body>x</body></message></forwarded></received>")
    await alice.send_xml(f"<message to='{BOB}/b' type='chat'>{forged}</message>")
    assert bob.take()[0].attrs["from"] == ALICE + "/a"
    assert phone.take() == [] and other.take() == []


@pytest_twisted.ensureDeferred
async def test_stop(world: World) -> None:
    """When the module stops nobody is left expecting copies."""
    alice = await client(world, ALICE + "/a")
    world.modules["carbons"].stop()
    assert not alice.s.carbons
