"""Client state, XEP-0352: what waits for an inactive client, and what does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted

from chatd.core.stanza import Stanza
from chatd.xep.carbons import Carbons
from chatd.xep.csi import ClientState
from chatd.xep.message import Messages
from chatd.xep.presence import Presence
from chatd.xep.roster import Roster
from tests.xep.world import Client, World

ALICE, BOB = "alice@example.com", "bob@example.net"
CSI, STATES, CARBONS = "urn:xmpp:csi:0", "http://jabber.org/protocol/chatstates", "urn:xmpp:carbons:2"


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    """Messages, carbons, client states."""
    made = await World.open(Roster, Presence, Messages, Carbons, ClientState)
    yield made
    await made.close()


async def pair(world: World, **how: Any) -> tuple[Client, Client]:
    """Alice, and Bob whose client is inactive."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b", **how)
    await bob.send_xml(f"<inactive xmlns='{CSI}'/>")
    assert bob.s.inactive and bob.take() == []
    return alice, bob


def short(stanzas: list[Stanza]) -> list[str]:
    """A word for each: its first child's name."""
    return [stanza.payload.split()[-1] if stanza.children else stanza.type or stanza.name for stanza in stanzas]


@pytest_twisted.ensureDeferred
async def test_held_until_active(world: World) -> None:
    """The last of each sender, in the order they would have had; then as ever."""
    alice, bob = await pair(world)
    carol = await world.client("carol@example.com/c")
    for text in ("1", "2"):
        await alice.send_xml(f"<presence to='{BOB}/b'><status>{text}</status></presence>")
    await carol.send_xml(f"<presence to='{BOB}/b'/>")
    await alice.send_xml(f"<message to='{BOB}/b' type='chat'><composing xmlns='{STATES}'/></message>"
                         f"<presence to='{BOB}/b'><status>3</status></presence>"
                         f"<message to='{BOB}/b' type='chat'><paused xmlns='{STATES}'/></message>")
    assert bob.take() == []
    await bob.send_xml(f"<active xmlns='{CSI}'/>")
    assert not bob.s.inactive
    got = bob.take()
    assert [stanza.attrs["from"].split("@")[0] for stanza in got] == ["carol", "alice", "alice"]
    assert short(got[1:]) == ["status", "paused"] and b">3<" in got[1].inner
    await alice.send_xml(f"<presence to='{BOB}/b'/>")
    assert len(bob.take()) == 1
    await bob.send_xml(f"<active xmlns='{CSI}'/>")
    assert bob.take() == []


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("important", [
    "<message to='{to}' type='chat'><body>x</body></message>",
    "<message to='{to}' type='chat'><active xmlns='http://jabber.org/protocol/chatstates'/><body>x</body></message>",
    "<message to='{to}' type='chat'><received xmlns='urn:xmpp:receipts' id='1'/></message>",
    "<message to='{to}'><z xmlns='urn:z'/></message>",
    "<iq to='{to}' type='get' id='1'><x xmlns='urn:x'/></iq>",
    "<presence to='{to}' type='error'/>",
])
async def test_important_ones_go_behind_what_waited(world: World, important: str) -> None:
    """Before anything that cannot wait the rest goes out; the client stays inactive."""
    alice, bob = await pair(world)
    await alice.send_xml(f"<presence to='{BOB}/b'/>" + important.format(to=BOB + "/b"))
    got = bob.take()
    assert len(got) == 2 and got[0].name == "presence" and got[0].type is None
    await alice.send_xml(f"<presence to='{BOB}/b'/>")
    assert bob.take() == []


@pytest_twisted.ensureDeferred
async def test_subscriptions_do_not_wait(world: World) -> None:
    """They ask a person."""
    alice, bob = await pair(world)
    await alice.send_xml(f"<presence to='{BOB}' type='subscribe'/>")
    assert [stanza.type for stanza in bob.take("presence")] == ["subscribe"]


@pytest_twisted.ensureDeferred
async def test_carbons(world: World) -> None:
    """A copy of a chat state waits, a copy of a message does not."""
    alice, bob = await pair(world)
    phone = await world.client(BOB + "/phone")
    await bob.ask_iq("set", f"<enable xmlns='{CARBONS}'/>")
    bob.take()
    await phone.send_xml(f"<message to='{ALICE}/a' type='chat'><composing xmlns='{STATES}'/></message>")
    assert bob.take() == []
    await phone.send_xml(f"<message to='{ALICE}/a' type='chat'><active xmlns='{STATES}'/><body>x</body></message>")
    assert short(bob.take()) == ["sent", "sent"]
    await phone.send_xml(f"<message to='{ALICE}/a' type='chat'><active xmlns='{STATES}'/>"
                         "<received xmlns='urn:xmpp:receipts' id='1'/></message>")
    assert short(bob.take()) == ["sent"]


@pytest_twisted.ensureDeferred
async def test_not_too_many(world: World) -> None:
    """At the limit they are sent all the same."""
    module: Any = world.modules["csi"]
    module._most = 3
    _, bob = await pair(world)
    for number in range(7):
        bob.s.deliver(Stanza("presence", {"from": f"c{number}@example.com/x", "to": bob.s.full}))
    assert len(bob.take()) == 6, "two times three; the seventh waits"
    await bob.send_xml(f"<active xmlns='{CSI}'/>")
    assert len(bob.take()) == 1


@pytest_twisted.ensureDeferred
async def test_with_stream_management(world: World) -> None:
    """What waits is not in the queue of 0198 yet; a resumed stream is active and gets it (section 5.2)."""
    alice, bob = await pair(world, smacks=True)
    smacks: Any = bob.s.smacks
    smacks.acknowledge(len(smacks.unacknowledged()))
    await alice.send_xml(f"<presence to='{BOB}/b'/>")
    assert smacks.unacknowledged() == [] and bob.take() == []
    bob.s.lost_stream()
    stream = Client(world, bob.s)
    bob.s.take_stream(stream)       # type: ignore[arg-type]
    world.router.hooks.tell("session.resumed", bob.s)
    assert len(stream.take()) == 1 and not bob.s.inactive and len(smacks.unacknowledged()) == 1


@pytest_twisted.ensureDeferred
async def test_a_full_queue_in_the_middle_loses_nothing(world: World) -> None:
    """The queue of 0198 overflows while what waited goes out: the message that was behind it comes back."""
    alice, bob = await pair(world, smacks=True)
    for number in range(100):
        bob.s.deliver(Stanza("presence", {"from": f"c{number}@example.com/x", "to": bob.s.full}))
    assert not bob.s.is_closed
    await alice.send_xml(f"<message to='{BOB}/b' type='chat' id='m'><body>x</body></message>")
    assert bob.s.is_closed
    [error] = alice.take("message")
    assert error.id == "m" and b"recipient-unavailable" in error.inner


@pytest_twisted.ensureDeferred
async def test_stop_and_feature(world: World) -> None:
    """It is offered; when the module stops nobody is inactive any more."""
    alice, bob = await pair(world)
    assert [feature("example.net") for feature in world.router.hooks.stream_features if b"csi" in feature("x")] == [
        b'<csi xmlns="urn:xmpp:csi:0"/>']
    await alice.send_xml(f"<presence to='{BOB}/b'/>")
    world.modules["csi"].stop()
    assert len(bob.take()) == 1 and bob.s.hold is None and not bob.s.inactive


@pytest_twisted.ensureDeferred
async def test_only_told() -> None:
    """With `hold` off the state is known and nothing waits."""
    world = await World.open(Roster, Presence, Messages)
    world.start(ClientState, hold=False)
    alice, bob = await pair(world)
    await alice.send_xml(f"<presence to='{BOB}/b'/>")
    assert len(bob.take()) == 1 and bob.s.inactive
    await world.close()
