"""Rooms that are made, left, given up, shut down; accounts that are deleted; what one person may make a room do."""

from __future__ import annotations

from typing import Any

import pytest_twisted

from chatd.core import ns
from chatd.core.muc_config import HISTORY_MOST
from chatd.core.stanza import Stanza
from chatd.xep.muc.history import History
from chatd.xep.muc.muc import Muc
from chatd.xep.muc.nick import key_of
from tests.xep.rooms import (
    ROOM,
    admin,
    bodies,
    codes,
    condition,
    configure,
    enter,
    make,
    nicks,
    rooms,
    say,
    standing,
    user,
)
from tests.xep.test_muc_talking import three
from tests.xep.world import Client, World


def service(world: World) -> Any:
    """The one of example.com."""
    return world.modules["muc"].services["conference.example.com"]  # type: ignore[attr-defined]


async def restart(world: World) -> None:
    """The module ends and begins again with what the store has."""
    world.modules.pop("muc").stop()
    world.apis.pop("muc").release()
    world.start(Muc)
    await world.settle()


# -- rooms that nobody has configured
@pytest_twisted.ensureDeferred
async def test_locked() -> None:
    """10.1.1, 7.2.10: for everybody else it is not there yet, whatever he asks; its maker is told when it ends."""
    world = await rooms()
    a, b = await world.client("a@example.com/1"), await world.client("b@example.com/1")
    await enter(a, "ann")
    info = f"<query xmlns='{ns.DISCO_INFO}'/>"
    assert condition(await b.ask_iq("get", info, ROOM)) == "item-not-found"
    assert (await a.ask_iq("get", info, ROOM)).type == "result"
    await say(b, "hello")
    assert condition(b.take()[0]) == "item-not-found"
    assert b"<item" not in (await b.ask_iq("get", f"<query xmlns='{ns.DISCO_ITEMS}'/>", "conference.example.com")).inner
    a.take()
    await a.send_xml(f"<presence to='{ROOM}/ann' type='unavailable'/>")
    [gone] = a.take()
    assert [part.name for part in user(gone)] == ["item", "destroy", "status"] and codes(gone) == ["110"]
    await world.close()


@pytest_twisted.ensureDeferred
async def test_locked_rooms_do_not_outlive_the_daemon() -> None:
    """What nobody has opened is not open after a restart."""
    world = await rooms()
    a, b = await world.client("a@example.com/1"), await world.client("b@example.com/1")
    await enter(a, "ann")
    await restart(world)
    assert await world.store.rooms.load() == []
    assert "201" in codes((await enter(b, "bob"))[0])
    await world.close()


@pytest_twisted.ensureDeferred
async def test_given_up() -> None:
    """13.6: a room that stays unconfigured for half an hour ends; others do not."""
    world = await rooms()
    a, b = await world.client("a@example.com/1"), await world.client("b@example.com/1")
    await enter(a, "ann")
    await make(b, "bob", "cellar@conference.example.com")
    a.take()
    real = service(world).now
    for minutes, left in ((29, 2), (31, 1)):
        service(world).now = lambda minutes=minutes: real() + minutes * 60
        world.modules["muc"]._look()                                # type: ignore[attr-defined]
        await world.settle()
        assert len(await world.store.rooms.load()) == left
    assert b"<destroy>" in a.take("presence")[0].inner and b.take("presence") == []
    await world.close()


@pytest_twisted.ensureDeferred
async def test_the_service_ends() -> None:
    """11.2: 332 for everybody about himself; rooms stay."""
    world, a, b, c = await three()
    world.router.hooks.tell("server.stopping")
    await world.settle()
    for client, nick in ((a, "ann"), (b, "bob"), (c, "cat")):
        [gone] = client.take()
        assert nicks([gone], "unavailable") == [nick] and codes(gone) == ["110", "332"]
    await restart(world)
    assert standing((await enter(a, "ann"))[0]) == ("owner", "moderator")
    await world.close()


@pytest_twisted.ensureDeferred
async def test_names_of_rooms() -> None:
    """A bound, and the normal form of addresses: whatever the case, it is the same room."""
    world = await rooms()
    a, b = await world.client("a@example.com/1"), await world.client("b@example.com/1")
    assert condition((await enter(a, "ann", f"{'x' * 129}@conference.example.com"))[0]) == "not-acceptable"
    await make(a, "ann", f"{'X' * 128}@conference.example.com")
    assert nicks(await enter(b, "bob", f"{'x' * 128}@Conference.Example.COM")) == ["ann", "bob"]
    await world.close()


@pytest_twisted.ensureDeferred
async def test_presence_of_no_kind_enters() -> None:
    """17.3: probes and subscriptions neither enter nor leave; a subscription is declined."""
    world, a, b, _ = await three()
    d = await world.client("d@example.com/1")
    for kind in ("probe", "subscribe", "subscribed", "unsubscribe", "unsubscribed"):
        for client in (b, d):
            await client.send_xml(f"<presence to='{ROOM}/bob' type='{kind}'/>")
    assert nicks(a.take()) == [] and nicks(b.take(), "unavailable") == []
    assert "bob" in service(world).rooms[ROOM].occupants and "d@example.com/1" not in service(world).rooms[ROOM].seats
    await world.close()


@pytest_twisted.ensureDeferred
async def test_entering_anew_under_another_nickname() -> None:
    """7.2.1: the client has lost track; the others see the change, it gets everything, with its own id."""
    world, a, b, _ = await three()
    await say(a, "before")
    for one in (a, b):
        one.take()
    await b.send_xml(f"<presence to='{ROOM}/rob' id='again'><show>away</show><x xmlns='{ns.MUC}'/></presence>")
    old, new = a.take("presence")
    assert codes(old) == ["303"] and new.attrs["from"] == f"{ROOM}/rob" and b"away" in new.inner and new.id is None
    got = b.take()
    assert nicks(got) == ["ann", "cat", "rob"] and bodies(got) == ["before"] and "170" in codes(got[-3])
    assert got[-3].id == "again"
    await world.close()


# -- accounts that are deleted
async def delete(world: World, client: Client) -> None:
    """As chatctl does."""
    account = client.s.account
    client.s.end()
    await world.store.accounts.delete(account.id)
    world.router.accounts.forget(account.bare)
    world.router.hooks.tell("account.deleted", account)
    await world.settle()


@pytest_twisted.ensureDeferred
async def test_what_a_deleted_account_leaves() -> None:
    """Nothing: no affiliation, nickname, ban, hat; whoever gets the address has another occupant id."""
    world, a, b, _ = await three()

    def command(word: str, **values: str) -> str:
        fields = "".join(f"<field var='hats#{var}'><value>{value}</value></field>" for var, value in values.items())
        return (f"<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:hats:commands:{word}'>"
                f"<x xmlns='{ns.DATA}' type='submit'>{fields}</x></command>")

    await a.ask_iq("set", command("create", title="Host", uri="urn:x:host"), ROOM)
    await a.ask_iq("set", command("assign", jid="b@example.com", uri="urn:x:host"), ROOM)
    await admin(a, "<item jid='b@example.com' affiliation='admin' nick='Bert'/>")
    await say(b, "mine")
    mark = next(child["id"] for child in a.take("message")[-1].element.elements() if child.name == "occupant-id")
    await delete(world, b)
    [row] = await world.store.rooms.load()
    assert [one.jid for one in row.affiliates] == ["a@example.com"] and row.hats["urn:x:host"]["worn"] == []
    b = await world.client("b@example.com/1")
    own = (await enter(b, "bob"))[-3]
    assert standing(own) == ("none", "participant") and mark not in own.inner.decode() and b"<hats" not in own.inner
    await world.close()


@pytest_twisted.ensureDeferred
async def test_a_room_without_its_owner() -> None:
    """The admins own it then; without any, people keep their room; what is nobody's and empty ends."""
    world = await rooms()
    a, b = await world.client("a@example.com/1"), await world.client("b@example.com/1")
    others = [f"{name}@conference.example.com" for name in ("used", "empty")]
    for room in (ROOM, *others):
        await make(a, "ann", room)
    await admin(a, "<item jid='b@example.com' affiliation='admin'/><item jid='c@example.com' affiliation='admin'/>")
    await enter(b, "bob", others[0])
    await delete(world, a)
    left = {row.local: {one.jid: one.affiliation for one in row.affiliates} for row in await world.store.rooms.load()}
    assert left == {"attic": {"b@example.com": "owner", "c@example.com": "owner"}, "used": {}}
    await world.close()


# -- what one person may make a room do
def stop_time(world: World) -> float:
    """For the rooms it is always this moment, however slow the machine is."""
    moment: float = service(world).now()
    service(world).now = lambda: moment
    return moment


@pytest_twisted.ensureDeferred
async def test_floods() -> None:
    """Messages, presence and entering count; the others are not held up; after a while one may go on."""
    world = await rooms(deliveries=100)
    a, b, c = [await world.client(f"{name}@example.com/1") for name in "abc"]
    began = stop_time(world)
    await make(a, "ann")
    await enter(b, "bob")
    await enter(c, "cat")
    c.take()
    for _ in range(400):
        await b.send_xml(f"<message to='{ROOM}' type='groupchat'><body>x</body></message>"
                         f"<presence to='{ROOM}/bob'/>")
        if any(one.type == "error" for one in b.take()):
            break
    else:
        raise AssertionError("no end")
    assert len(c.take()) > 300, "a second's worth and more came through"
    await say(b, "more")
    assert condition(b.take("message")[-1]) == "resource-constraint"
    await b.send_xml(f"<presence to='{ROOM}/bob' type='unavailable'/>")
    assert condition((await enter(b, "bob"))[-1]) == "resource-constraint", "leaving does not help"
    await say(a, "it is quiet now")
    assert bodies(c.take())[-1] == "it is quiet now"
    service(world).now = lambda: began + 20
    assert "bob" in nicks(await enter(b, "bob"))
    await world.close()


@pytest_twisted.ensureDeferred
async def test_large_messages_count_as_several() -> None:
    """And the largest room can be written to: what makes the bucket overflow is let through."""
    world = await rooms(deliveries=100)
    a = await world.client("a@example.com/1")
    stop_time(world)
    await make(a, "ann")
    await say(a, "x" * 60_000)
    room = service(world).rooms[ROOM]
    assert 30 < room.spent["a@example.com"][0] < 40
    room.spent["a@example.com"] = (999.0, room.spent["a@example.com"][1])
    await say(a, "y" * 60_000)
    assert len(bodies(a.take())) == 2
    await say(a, "z")
    assert condition(a.take()[-1]) == "resource-constraint"
    await world.close()


def test_the_history_in_memory_is_bounded() -> None:
    """In number and in bytes; the last message is always there."""
    history = History()
    for number in range(HISTORY_MOST + 50):
        history.append((number, number, Stanza("message", {}, b"x")))
    assert [one[0] for one in reversed(history)] == list(range(HISTORY_MOST + 49, 49, -1))
    for number in range(30):
        history.append((1000 + number, 0, Stanza("message", {}, b"x" * 200_000)))
    assert len(history) == 5
    history.append((2000, 0, Stanza("message", {}, b"x" * 3_000_000)))
    assert [one[0] for one in reversed(history)] == [2000]
    history.forget(2000)
    history.append((2001, 0, Stanza("message", {}, b"x")))
    assert len(history) == 1


@pytest_twisted.ensureDeferred
async def test_nicknames_that_look_alike() -> None:
    """13.6: case, width, spaces and what cannot be seen make no other nickname; one's own may be changed so."""
    world, _, b, c = await three()
    for nick in ("Bob", "BOB", "bob ", "b\uff4fb", "bob\u3000"):
        await c.send_xml(f"<presence to='{ROOM}/{nick}'/>")
        assert condition(c.take("presence")[-1]) == "conflict", nick
    for nick in (" ", "\u3000\u00a0", "   "):
        await c.send_xml(f"<presence to='{ROOM}/{nick}'/>")
        assert condition(c.take()[-1]) == "jid-malformed", nick
    await c.send_xml(f"<presence to='{ROOM}/{'x' * 257}'/>")
    assert condition(c.take()[-1]) == "not-acceptable"
    await b.send_xml(f"<presence to='{ROOM}/Bob'/>")
    assert nicks(c.take()) == ["Bob"]
    assert key_of("Stra\u00dfe") == key_of("STRASSE") and key_of("a\u200db") == key_of("ab")
    await world.close()


@pytest_twisted.ensureDeferred
async def test_closing_the_last_door() -> None:
    """Members-only set from outside: a temporary room that is emptied by that ends."""
    world, a, b, c = await three(persistentroom=0)
    await a.send_xml(f"<presence to='{ROOM}/ann' type='unavailable'/>")
    assert (await configure(a, membersonly=1)).type == "result"
    assert codes(b.take("presence")[-1]) == ["110", "322"]
    assert await world.store.rooms.load() == []
    await world.close()
