"""Private messages in rooms: XEP-0045 7.5, with several clients, archives, block lists and what comes back."""

from __future__ import annotations

import pytest_twisted

from chatd.core import ns
from chatd.core.archive import ArchiveQuery
from chatd.core.stanza import Stanza
from chatd.core.stanza_id import stanza_id
from chatd.xep.blocking import Blocking
from chatd.xep.carbons import Carbons
from tests.xep.rooms import ROOM, bodies, codes, condition, configure, enter, nicks, say
from tests.xep.test_muc_talking import three
from tests.xep.world import Client, World


async def psst(client: Client, nick: str, inner: str = "", kind: str = "chat") -> None:
    """Writes to one occupant."""
    await client.send_xml(f"<message to='{ROOM}/{nick}' type='{kind}' id='p'><body>psst</body>{inner}</message>")


async def kept(world: World, address: str) -> list[bytes]:
    """What an account's archive has."""
    account = world.router.accounts.find(address)
    assert account is not None
    return [row.stanza for row in (await world.store.archive.query(account.id, ArchiveQuery())).rows]


@pytest_twisted.ensureDeferred
async def test_all_clients_of_an_occupant_get_it() -> None:
    """7.2.8: with one id, that of the one copy in the recipient's archive; a client that is not inside does not."""
    world, _, b, c = await three()
    world.start(Carbons)
    c2, c3 = await world.client("c@example.com/2"), await world.client("c@example.com/3")
    await enter(c2, "cat")
    await c3.ask_iq("set", f"<enable xmlns='{ns.CARBONS}'/>")
    c.take()
    await psst(b, "cat", inner=f"<x xmlns='{ns.MUC_USER}'/>")
    [one], [two] = c.take("message"), c2.take("message")
    assert one.inner == two.inner and one.attrs["to"] == "c@example.com/1" and two.attrs["to"] == "c@example.com/2"
    assert one.children.count(f"{ns.MUC_USER} x") == one.children.count("urn:xmpp:occupant-id:0 occupant-id") == 1
    assert c3.take("message") == []
    [archived] = await kept(world, "c@example.com")
    assert f'from="{ROOM}/bob"'.encode() in archived and stanza_id(one, "c@example.com")
    [sent] = await kept(world, "b@example.com")
    assert f'to="{ROOM}/cat"'.encode() in sent
    await world.close()


@pytest_twisted.ensureDeferred
async def test_nothing_of_it_is_in_the_rooms_archive() -> None:
    """XEP-0313 6.1.3."""
    world, a, b, _ = await three()
    await psst(b, "cat")
    await say(b, "to all")
    a.take()
    await a.ask_iq("set", f"<query xmlns='{ns.MAM}'/>", ROOM)
    assert b"psst" not in b"".join(one.inner for one in a.take("message"))
    await world.close()


@pytest_twisted.ensureDeferred
async def test_forged_parts() -> None:
    """No status, no occupant id, no stanza id, no delay of the sender's making."""
    world, _, b, c = await three()
    await psst(b, "cat", inner=f"<x xmlns='{ns.MUC_USER}'><status code='307'/></x>"
                               f"<delay xmlns='{ns.DELAY}' from='{ROOM}' stamp='2001-01-01T00:00:00Z'/>"
                               "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>"
                               f"<stanza-id xmlns='{ns.SID}' by='{ROOM}' id='forged'/>")
    [told] = c.take("message")
    assert b"forged" not in told.inner and b'"307"' not in told.inner and f"{ns.DELAY} delay" not in told.children
    await world.close()


@pytest_twisted.ensureDeferred
async def test_who_may_write_to_whom() -> None:
    """allowpm: moderators are written to all the same, unless nobody may write."""
    world, a, b, c = await three()
    for allowed, to_other, to_moderator, of_moderator in (
            ("anyone", True, True, True), ("participants", True, True, True), ("moderators", False, True, True),
            ("none", False, False, False)):
        await configure(a, allowpm=allowed)
        for sender, nick, recipient, may in ((b, "cat", c, to_other), (b, "ann", a, to_moderator),
                                             (a, "cat", c, of_moderator)):
            for one in (a, b, c):
                one.take()
            await psst(sender, nick)
            assert bodies(recipient.take()) == (["psst"] if may else []), (allowed, nick)
            if not may:
                assert condition(sender.take("message")[-1]) == "forbidden"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_who_blocks_the_room_is_not_written_to() -> None:
    """XEP-0191: the sender gets the answer of somebody who is not there; groupchat is not touched."""
    world, _, b, c = await three()
    world.start(Blocking)
    await c.ask_iq("set", f"<block xmlns='{ns.BLOCKING}'><item jid='{ROOM}/bob'/></block>")
    c.take()
    await psst(b, "cat")
    assert condition(b.take("message")[-1]) == "service-unavailable" and c.take("message") == []
    assert await kept(world, "c@example.com") == []
    await say(b, "to all")
    assert bodies(c.take()) == ["to all"]
    await world.close()


def error(to: str, kind: str, name: str = "message") -> str:
    """An error answer of a client."""
    return (f"<{name} to='{to}' type='error' id='p'><body>psst</body><error type='cancel'>"
            f"<{kind} xmlns='{ns.STANZAS}'/></error></{name}>")


@pytest_twisted.ensureDeferred
async def test_what_comes_back() -> None:
    """An error of the recipient goes to the sender; nobody outside can send one, nor to a nick that is not there."""
    world, a, b, c = await three()
    await psst(b, "cat")
    c.take()
    await c.send_xml(error(f"{ROOM}/bob", "not-acceptable"))
    [told] = b.take("message")
    assert told.attrs["from"] == f"{ROOM}/cat" and condition(told) == "not-acceptable"
    d = await world.client("d@example.com/1")
    for client, to in ((d, f"{ROOM}/bob"), (c, f"{ROOM}/nobody"), (c, ROOM)):
        await client.send_xml(error(to, "not-acceptable"))
    assert a.take() == b.take() == c.take() == d.take() == []
    await world.close()


@pytest_twisted.ensureDeferred
async def test_errors_are_charged() -> None:
    """An error is a private message too: who sends more than the room allows is heard no more, and can still leave."""
    world, a, b, c = await three()
    world.modules["muc"].services["conference.example.com"].deliveries_per_s = 10      # type: ignore[attr-defined]
    for _ in range(500):
        await c.send_xml(error(f"{ROOM}/bob", "not-acceptable"))
    assert 50 <= len(b.take("message")) < 300 and c.take() == []
    await psst(c, "bob")
    assert [condition(one) for one in c.take()] == ["resource-constraint"], "both are paid from one purse"
    await psst(a, "bob")
    assert len(b.take("message")) == 1, "others pay for themselves"
    await c.send_xml(error(ROOM, "recipient-unavailable"))
    assert nicks(a.take("presence"), "unavailable") == ["cat"]
    await world.close()


@pytest_twisted.ensureDeferred
async def test_ghosts() -> None:
    """11.1, 18.1.2: a client to which nothing can be delivered leaves, 333; other errors change nothing."""
    world, a, b, c = await three()
    await c.send_xml(error(ROOM, "not-allowed"))
    assert a.take() == []
    for client, nick, xml in ((c, "cat", error(ROOM, "recipient-unavailable")),
                              (b, "bob", error(f"{ROOM}/ann", "remote-server-timeout"))):
        await client.send_xml(xml)
        [gone] = a.take()
        assert nicks([gone], "unavailable") == [nick] and codes(gone) == ["333"]
    d = await world.client("d@example.com/1")
    await enter(d, "dan")
    a.take()
    await d.send_xml(error(ROOM, "item-not-found", "presence"))
    assert nicks(a.take(), "unavailable") == ["dan"]
    await world.close()


@pytest_twisted.ensureDeferred
async def test_one_client_gone_of_two() -> None:
    """The occupant stays with the other client."""
    world, a, b, c = await three()
    c2 = await world.client("c@example.com/2")
    await enter(c2, "cat")
    a.take()
    await c2.send_xml(error(ROOM, "gone"))
    assert nicks(a.take(), "unavailable") == []
    await say(a, "one")
    assert bodies(c.take()) == ["one"] and c2.take("message") == []
    await world.close()


@pytest_twisted.ensureDeferred
async def test_to_oneself() -> None:
    """To one's own nickname: all of one's clients in the room get it."""
    world, _, b, _ = await three()
    b2 = await world.client("b@example.com/2")
    await enter(b2, "bob")
    b.take()
    await psst(b, "bob")
    got: list[Stanza] = [*b.take("message"), *b2.take("message")]
    assert [one.attrs["from"] for one in got] == [f"{ROOM}/bob"] * 2
    await world.close()
