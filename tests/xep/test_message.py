"""Messages: RFC 6121 5 and 8.5, iqs between sessions, and what a router refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, succeed

from chatd.core.errors import StreamError
from chatd.core.hooks import Message
from chatd.core.stanza import Stanza
from chatd.xep.api import Api, Module
from chatd.xep.message import Messages
from chatd.xep.presence import Presence
from chatd.xep.roster import Roster
from tests.xep.world import World

ALICE, BOB = "alice@example.com", "bob@example.net"


class Keeper(Module):
    """Stands for offline storage."""

    name = "keeper"
    kept: list[Stanza]

    def start(self, api: Api) -> None:
        """Keeps all."""
        self.kept = []
        api.on("message.offline", self.keep)

    def keep(self, message: Message) -> bool:
        """True: kept."""
        self.kept.append(message.stanza)
        return True


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    """Roster, presence and messages."""
    made = await World.open(Messages, Roster, Presence)
    yield made
    await made.close()


def bodies(stanzas: list[Stanza]) -> list[str]:
    """Their texts."""
    return [str(stanza.element.body) for stanza in stanzas if stanza.name == "message"]


@pytest_twisted.ensureDeferred
async def test_to_a_full_address_and_a_bare_one(world: World) -> None:
    """One resource, or all that are there with a priority that is not negative."""
    alice = await world.client(ALICE + "/a")
    desk = await world.client(BOB + "/desk")
    phone = await world.client(BOB + "/phone")
    robot = await world.client(BOB + "/robot", available=False)
    await robot.send_xml("<presence><priority>-1</priority></presence>")
    for client in (desk, phone, robot):
        client.take()
    await alice.send_xml(f"<message to='{BOB}/desk' type='chat' id='1'><body>one</body></message>")
    assert bodies(desk.take()) == ["one"] and phone.take() == [] and robot.take() == []
    await alice.send_xml(f"<message to='{BOB}' type='chat' id='2'><body>two</body></message>")
    [got] = desk.take()
    assert (got.attrs["from"], got.attrs["to"]) == (ALICE + "/a", BOB)
    assert bodies(phone.take()) == ["two"] and robot.take() == []
    await alice.send_xml(f"<message to='{BOB}/robot'><body>beep</body></message>")
    assert bodies(robot.take()) == ["beep"]
    await alice.send_xml(f"<message to='{BOB}/gone' type='chat'><body>late</body></message>")
    assert bodies(desk.take()) == ["late"], "RFC 6121 8.5.3.2.1: as if sent to the bare address"


@pytest_twisted.ensureDeferred
async def test_nobody_there(world: World) -> None:
    """Without storage the sender is told; with it, it is kept; headlines vanish."""
    alice = await world.client(ALICE + "/a")
    bob = await world.client(BOB + "/b", available=False)
    bob.s.close()
    await alice.send_xml(f"<message to='{BOB}' id='1'><body>x</body></message>")
    [error] = alice.take()
    assert error.type == "error" and error.id == "1" and b"service-unavailable" in error.inner
    await alice.send_xml(f"<message to='{BOB}' type='headline'><body>x</body></message>")
    assert alice.take() == []
    keeper = world.start(Keeper)
    await alice.send_xml(f"<message to='{BOB}' id='2'><body>x</body></message>")
    assert alice.take() == []
    assert [stanza.id for stanza in keeper.kept] == ["2"]        # type: ignore[attr-defined]


@pytest_twisted.ensureDeferred
async def test_errors_of_addresses(world: World) -> None:
    """Nobody of that name, no such server, no address at all; never an answer to an error."""
    alice = await world.client(ALICE + "/a")
    for to, condition in (("nobody@example.com", b"service-unavailable"), ("example.com", b"service-unavailable"),
                          ("x@elsewhere.example", b"remote-server-not-found"), ("a b@example.com", b"jid-malformed"),
                          ("@example.com", b"jid-malformed")):
        await alice.send_xml(f"<message to='{to}' id='1'><body>x</body></message>")
        [error] = alice.take()
        assert error.type == "error" and condition in error.inner, to
        await alice.send_xml(f"<message to='{to}' id='1' type='error'/>")
        assert alice.take() == [], to


@pytest_twisted.ensureDeferred
async def test_from_is_the_servers_business(world: World) -> None:
    """RFC 6120 8.1.2.1: one's own address is allowed, another ends the stream."""
    alice = await world.client(ALICE + "/a")
    bob = await world.client(BOB + "/b")
    for own in (ALICE, ALICE + "/a", "ALICE@example.com/a"):
        await alice.send_xml(f"<message from='{own}' to='{BOB}/b'><body>x</body></message>")
        assert [stanza.attrs["from"] for stanza in bob.take()] == [ALICE + "/a"]
    for forged in (BOB, BOB + "/b", "example.com", ALICE + "/other", "not an address@"):
        with pytest.raises(StreamError) as raised:
            await alice.send_xml(f"<message from='{forged}' to='{BOB}/b'><body>x</body></message>")
        assert raised.value.condition == "invalid-from"
    assert bob.take() == []


@pytest_twisted.ensureDeferred
async def test_iqs_reach_sessions_and_come_back(world: World) -> None:
    """RFC 6121 8.5.3: to a full address; the answer is the client's."""
    alice = await world.client(ALICE + "/a")
    bob = await world.client(BOB + "/b")
    await alice.send_xml(f"<iq type='get' id='7' to='{BOB}/b'><x xmlns='urn:x'/></iq>")
    [asked] = bob.take()
    assert asked.attrs["from"] == ALICE + "/a"
    await bob.send_xml(f"<iq type='result' id='7' to='{ALICE}/a'/>")
    [answer] = alice.take()
    assert (answer.type, answer.id, answer.attrs["from"]) == ("result", "7", BOB + "/b")


@pytest_twisted.ensureDeferred
async def test_iqs_nobody_answers(world: World) -> None:
    """Each get or set has exactly one answer (RFC 6120 8.2.3)."""
    alice = await world.client(ALICE + "/a")
    await world.client(BOB + "/b")
    for to in ("", ALICE, BOB, BOB + "/gone", "nobody@example.com", "example.com", "x@elsewhere.example"):
        answer = await alice.ask_iq("get", "<x xmlns='urn:nothing'/>", to=to)
        assert answer.type == "error", to
        assert alice.take() == []
    for bad in ("<iq type='get' id='1'/>", "<iq id='1'><x xmlns='urn:x'/></iq>", "<iq type='odd' id='1'/>",
                "<iq type='set' id='1'><x xmlns='urn:x'/><y xmlns='urn:x'/></iq>",
                "<iq type='get'><x xmlns='u'/></iq>"):
        await alice.send_xml(bad)
        [answer] = alice.take()
        assert b"bad-request" in answer.inner, bad
    await alice.send_xml("<iq type='result' id='1'/><iq type='error' id='1'/>")
    assert alice.take() == []


@pytest_twisted.ensureDeferred
async def test_unknown_first_level_elements_end_the_stream(world: World) -> None:
    """RFC 6120 4.9.3.24."""
    alice = await world.client(ALICE + "/a")
    with pytest.raises(StreamError) as raised:
        await alice.send_xml("<nonsense xmlns='urn:x'/>")
    assert raised.value.condition == "unsupported-stanza-type"


@pytest_twisted.ensureDeferred
async def test_what_a_lost_session_held_goes_on(world: World) -> None:
    """XEP-0198: to the other devices, or to storage; presence and copies do not."""
    keeper = world.start(Keeper)
    alice = await world.client(ALICE + "/a")
    bob = await world.client(BOB + "/b", smacks=True)
    bob.s.smacks.acknowledge(len(bob.s.smacks))     # type: ignore[union-attr,arg-type]
    bob.s.lost_stream()
    assert not bob.s.is_closed
    for number in range(3):
        await alice.send_xml(f"<message to='{BOB}/b' type='chat' id='m{number}'><body>{number}</body></message>")
    await alice.send_xml(f"<presence to='{BOB}/b'/>")
    await alice.send_xml(f"<iq type='get' id='i' to='{BOB}/b'><x xmlns='urn:x'/></iq>")
    assert keeper.kept == [] and alice.take() == []     # type: ignore[attr-defined]
    bob.s.end()
    await world.settle()
    assert [stanza.id for stanza in keeper.kept] == ["m0", "m1", "m2"]      # type: ignore[attr-defined]
    [answer] = alice.take("iq")
    assert b"service-unavailable" in answer.inner


@pytest_twisted.ensureDeferred
async def test_order_is_kept_around_slow_answers(world: World) -> None:
    """A stanza that must ask the store holds back those behind it, of this sender only."""
    alice = await world.client(ALICE + "/a")
    bob = await world.client(BOB + "/b")
    await world.store.accounts.create("carol", "example.com", {}, 0.0)
    keeper = world.start(Keeper)
    await alice.send_xml("<message to='carol@example.com' id='1'><body>x</body></message>"
                         f"<message to='{BOB}/b' id='2'><body>x</body></message>"
                         "<message to='nobody@example.com' id='3'><body>x</body></message>"
                         f"<message to='{BOB}/b' id='4'><body>x</body></message>")
    assert [stanza.id for stanza in bob.take()] == ["2", "4"]
    assert [stanza.id for stanza in keeper.kept] == ["1"]       # type: ignore[attr-defined]
    assert [stanza.id for stanza in alice.take()] == ["3"]


@pytest_twisted.ensureDeferred
async def test_a_mistake_of_ours_behind_a_slow_answer_ends_the_stream(world: World) -> None:
    """Else nothing that the client sends would be looked at any more, and nobody would know."""
    alice = await world.client(ALICE + "/a")

    def fail(message: Message) -> None:
        if message.stanza.id == "bad":
            raise RuntimeError("a mistake")

    world.router.hooks.on("message.sent", fail, 0)
    await alice.send_xml("<message to='nobody@example.com' id='1'><body>x</body></message>"
                         "<message to='nobody@example.com' id='bad'><body>x</body></message>"
                         "<message to='nobody@example.com' id='3'><body>x</body></message>")
    assert isinstance(alice.closed, StreamError) and alice.closed.condition == "internal-server-error"
    assert alice.s.is_closed


@pytest_twisted.ensureDeferred
async def test_order_is_kept_around_answers_in_two_steps(world: World) -> None:
    """A Deferred that has fired with one that has not is not done, behind another one as little as at once."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    second: Deferred[None] = Deferred()
    world.router.hooks.iqs["domain", "get", "x y"] = (lambda request: succeed(b"").addCallback(lambda _: second), False)
    await alice.send_xml("<message to='nobody@example.com' id='1'><body>x</body></message>"
                         "<iq type='get' to='example.com' id='2'><y xmlns='x'/></iq>"
                         f"<message to='{BOB}/b' id='3'><body>x</body></message>")
    assert bob.take() == []
    second.callback(None)
    await world.settle()
    assert [stanza.id for stanza in bob.take()] == ["3"]
