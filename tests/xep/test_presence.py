"""Presence and subscriptions between two accounts: RFC 6121 3 and 4."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_twisted

from chatd.core import ns
from chatd.core.stanza import Stanza
from chatd.xep.message import Messages
from chatd.xep.presence import Presence
from chatd.xep.roster import Roster
from tests.xep.world import Client, World

ALICE, BOB = "alice@example.com", "bob@example.net"
QUERY = "<query xmlns='jabber:iq:roster'>"


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    """Roster, presence and messages."""
    made = await World.open(Messages, Roster, Presence)
    yield made
    await made.close()


async def interested(world: World, address: str) -> Client:
    """A client that has asked for its roster and is available."""
    client = await world.client(address, available=False)
    await client.ask_iq("get", "<query xmlns='jabber:iq:roster'/>")
    await client.send_xml("<presence/>")
    client.take()
    return client


async def befriend(one: Client, other: Client) -> None:
    """Mutual subscription."""
    for a, b in ((one, other), (other, one)):
        await a.send_xml(f"<presence to='{b.s.account.bare}' type='subscribe'/>")
        await b.send_xml(f"<presence to='{a.s.account.bare}' type='subscribed'/>")
    one.take()
    other.take()


def types(client: Client) -> list[tuple[str | None, str]]:
    """(type, from) of the presence received."""
    return [(s.type, s.attrs["from"]) for s in client.take("presence")]


@pytest_twisted.ensureDeferred
async def test_subscribe_and_be_approved(world: World) -> None:
    """The whole way of RFC 6121 3.1: request, pushes, approval, presence."""
    alice = await interested(world, ALICE + "/a")
    bob = await interested(world, BOB + "/b")
    await alice.send_xml(f"<presence to='{BOB}/ignored' type='subscribe' id='s1'><status>hi</status></presence>")
    [push] = alice.take()
    assert b"ask='subscribe'" in push.inner and b"subscription='none'" in push.inner
    [request] = bob.take()
    assert (request.type, request.attrs["from"], request.attrs["to"]) == ("subscribe", ALICE, BOB)
    assert b"<status>hi</status>" in request.inner
    await bob.send_xml(f"<presence to='{ALICE}' type='subscribed'/>")
    [push] = bob.take()
    assert b"subscription='from'" in push.inner
    kinds = [(s.name, s.type) for s in alice.got]
    assert kinds == [("iq", "set"), ("presence", "subscribed"), ("presence", None)]
    assert b"subscription='to'" in alice.got[0].inner
    assert alice.got[2].attrs["from"] == BOB + "/b"


@pytest_twisted.ensureDeferred
async def test_a_request_waits_for_who_is_away(world: World) -> None:
    """RFC 6121 3.1.3: it is kept, survives, and is shown at each log-in until answered."""
    alice = await interested(world, ALICE + "/a")
    first = await world.client(BOB + "/b", available=False)
    first.s.close()
    await alice.send_xml(f"<presence to='{BOB}' type='subscribe'/>")
    for _ in range(2):
        bob = await world.client(BOB + "/b", available=False)
        await bob.send_xml("<presence/>")
        assert ("subscribe", ALICE) in types(bob)
        bob.s.close()
    bob = await world.client(BOB + "/b", available=False)
    roster = await bob.ask_iq("get", "<query xmlns='jabber:iq:roster'/>")
    assert b"alice" not in roster.inner, "a request alone is not in the roster"
    await bob.send_xml(f"<presence to='{ALICE}' type='unsubscribed'/>")
    bob.s.close()
    bob = await world.client(BOB + "/b", available=False)
    await bob.send_xml("<presence/>")
    assert ("subscribe", ALICE) not in types(bob)


@pytest_twisted.ensureDeferred
async def test_broadcast_probe_and_unavailable(world: World) -> None:
    """Contacts see available, changes and unavailable; a newcomer gets what is there."""
    alice = await interested(world, ALICE + "/a")
    bob = await interested(world, BOB + "/b")
    await befriend(alice, bob)
    await alice.send_xml("<presence><show>away</show><priority>5</priority></presence>")
    assert alice.s.priority == 5
    [seen] = bob.take("presence")
    assert (seen.attrs["from"], seen.attrs["to"]) == (ALICE + "/a", BOB)
    assert b"<show>away</show>" in seen.inner
    [own] = alice.take("presence")
    assert own.attrs["from"] == ALICE + "/a"
    second = await world.client(BOB + "/phone", available=False)
    await second.send_xml("<presence/>")
    assert sorted(types(second), key=str) == sorted([
        (None, ALICE + "/a"), (None, BOB + "/b"), (None, BOB + "/phone")], key=str)
    bob.take()
    alice.take()
    await alice.send_xml("<presence type='unavailable'><status>bye</status></presence>")
    [gone] = bob.take("presence")
    assert gone.type == "unavailable" and b"bye" in gone.inner
    bob.s.close()
    await world.settle()
    assert ("unavailable", BOB + "/b") in types(second)
    assert types(alice) == [], "alice is not available, so she is told nothing"


@pytest_twisted.ensureDeferred
async def test_a_stranger_sees_nothing(world: World) -> None:
    """Without a subscription no presence, no probe answer but unsubscribed (RFC 6121 4.3.2)."""
    alice = await interested(world, ALICE + "/a")
    bob = await interested(world, BOB + "/b")
    await alice.send_xml("<presence><show>dnd</show></presence>")
    assert bob.take() == []
    await bob.send_xml(f"<presence to='{ALICE}' type='probe'/>")
    assert types(bob) == []


@pytest_twisted.ensureDeferred
async def test_directed_presence_is_withdrawn(world: World) -> None:
    """RFC 6121 4.6: who got it directly is told when the session goes."""
    alice = await interested(world, ALICE + "/a")
    bob = await interested(world, BOB + "/b")
    await alice.send_xml(f"<presence to='{BOB}/b'/>")
    assert types(bob) == [(None, ALICE + "/a")]
    alice.s.close()
    await world.settle()
    assert types(bob) == [("unavailable", ALICE + "/a")]


@pytest_twisted.ensureDeferred
async def test_who_has_gone_does_not_come_back(world: World) -> None:
    """Presence that waited for a stanza before it, while the client closed: nobody would ever see it go again."""
    alice, bob = await interested(world, ALICE + "/a"), await interested(world, BOB + "/b")
    await befriend(alice, bob)
    alice.s.close()
    await world.settle()
    bob.take()
    alice = await world.client(ALICE + "/a", available=False)
    for xml in ("<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='x@example.com'/></query></iq>",
                "<presence/>", f"<presence to='{BOB}'/>", f"<message to='{BOB}' id='m'><body>bye</body></message>"):
        for event in alice.framer.feed(xml.encode()):
            assert isinstance(event, Stanza)
            alice.s.receive(event)
    alice.s.close()
    await world.settle()
    assert [stanza.name for stanza in bob.take()] == ["message"], "what was said is said"
    assert alice.s.presence is None and not alice.s.directed


@pytest_twisted.ensureDeferred
async def test_who_is_shown_to_some_is_hidden_from_the_others(world: World) -> None:
    """RFC 6121 4.6: contacts hear nothing of a client that only showed itself to somebody else, not even its end;
    whom it did show itself to sees it go when it says so."""
    alice, bob = await interested(world, ALICE + "/a"), await interested(world, BOB + "/b")
    await befriend(alice, bob)
    eve = await world.client("eve@example.com/e")
    hidden = await world.client(ALICE + "/hidden", available=False)
    for ends in ("<presence type='unavailable'/>", ""):
        await hidden.send_xml("<presence to='eve@example.com'/>")
        assert types(eve) == [(None, ALICE + "/hidden")]
        if ends:
            await hidden.send_xml(ends)
        else:
            hidden.s.close()
            await world.settle()
        assert types(eve) == [("unavailable", ALICE + "/hidden")]
    assert bob.take() == alice.take() == []


@pytest_twisted.ensureDeferred
async def test_cancelling_both_ways(world: World) -> None:
    """RFC 6121 3.2 and 3.3: the contact sees the session go; rosters follow."""
    alice = await interested(world, ALICE + "/a")
    bob = await interested(world, BOB + "/b")
    await befriend(alice, bob)
    await alice.send_xml(f"<presence to='{BOB}' type='unsubscribed'/>")
    kinds = [(s.name, s.type) for s in bob.take()]
    assert kinds == [("iq", "set"), ("presence", "unsubscribed"), ("presence", "unavailable")]
    [push] = alice.take("iq")
    assert b"subscription='to'" in push.inner
    await alice.send_xml(f"<presence to='{BOB}' type='unsubscribe'/>")
    assert b"subscription='none'" in alice.take("iq")[0].inner
    assert world.router.accounts.find(BOB).roster[ALICE].subscription == "none"   # type: ignore[union-attr]


@pytest_twisted.ensureDeferred
async def test_pre_approval(world: World) -> None:
    """RFC 6121 3.4: the request of an approved contact is granted without a question."""
    alice = await interested(world, ALICE + "/a")
    bob = await interested(world, BOB + "/b")
    await bob.send_xml(f"<presence to='{ALICE}' type='subscribed'/>")
    [push] = bob.take("iq")
    assert b"approved='true'" in push.inner
    assert alice.take() == []
    await alice.send_xml(f"<presence to='{BOB}' type='subscribe'/>")
    assert [s.type for s in bob.take("presence")] == []
    assert ("subscribed", BOB) in types(alice)


@pytest_twisted.ensureDeferred
async def test_removing_a_contact_ends_both_subscriptions(world: World) -> None:
    """RFC 6121 2.5.2."""
    alice = await interested(world, ALICE + "/a")
    bob = await interested(world, BOB + "/b")
    await befriend(alice, bob)
    answer = await alice.ask_iq("set", f"{QUERY}<item jid='{BOB}' subscription='remove'/></query>")
    assert answer.type == "result"
    [push] = [s for s in alice.take("iq") if b"remove" in s.inner]
    assert BOB.encode() in push.inner
    assert world.router.accounts.find(BOB).roster[ALICE].subscription == "none"   # type: ignore[union-attr]
    assert [s.type for s in bob.take("presence")] == ["unsubscribe", "unsubscribed", "unavailable"]
    answer = await alice.ask_iq("set", f"{QUERY}<item jid='{BOB}' subscription='remove'/></query>")
    assert answer.has(ns.CLIENT, "error") and b"item-not-found" in answer.inner


@pytest_twisted.ensureDeferred
async def test_what_is_refused(world: World) -> None:
    """Priorities, types, oneself, servers, and accounts that are not there."""
    alice = await interested(world, ALICE + "/a")
    for xml, condition in (
            ("<presence><priority>200</priority></presence>", b"bad-request"),
            ("<presence><priority>x</priority></presence>", b"bad-request"),
            ("<presence type='nonsense'/>", b"bad-request"),
            (f"<presence to='{ALICE}' type='subscribe'/>", b"not-allowed"),
            ("<presence to='example.net' type='subscribe'/>", b"not-allowed"),
            ("<presence to='x@elsewhere.example' type='subscribe'/>", b"remote-server-not-found"),
            ("<presence to='a b@example.com' type='subscribe'/>", b"jid-malformed")):
        alice.take()
        await alice.send_xml(xml)
        [error] = alice.take("presence")
        assert error.type == "error" and condition in error.inner, xml
    await alice.send_xml("<presence to='nobody@example.com' type='subscribe'/>")
    assert ("unsubscribed", "nobody@example.com") in types(alice)


@pytest_twisted.ensureDeferred
async def test_a_full_roster_takes_no_more(world: World) -> None:
    """The limit counts, and what is there can still be changed."""
    alice = await interested(world, ALICE + "/a")
    for number in range(20):
        await alice.ask_iq("set", f"{QUERY}<item jid='c{number}@example.com'/></query>")
    for stanza in ("<presence to='more@example.com' type='subscribe'/>",):
        alice.take()
        await alice.send_xml(stanza)
        assert b"resource-constraint" in alice.take("presence")[0].inner
    answer = await alice.ask_iq("set", f"{QUERY}<item jid='more@example.com'/></query>")
    assert b"resource-constraint" in answer.inner
    answer = await alice.ask_iq("set", f"{QUERY}<item jid='c3@example.com' name='Three'/></query>")
    assert answer.type == "result"


@pytest_twisted.ensureDeferred
async def test_roster_versions(world: World) -> None:
    """RFC 6121 2.6: nothing new, what is new, and everything."""
    alice = await interested(world, ALICE + "/a")
    full = await alice.ask_iq("get", "<query xmlns='jabber:iq:roster' ver=''/>")
    assert b"ver='" in full.inner
    await alice.ask_iq("set", f"{QUERY}<item jid='{BOB}' name='Bob'><group>Friends</group></item></query>")
    version = world.router.accounts.find(ALICE).roster_version      # type: ignore[union-attr]
    same = await alice.ask_iq("get", f"<query xmlns='jabber:iq:roster' ver='{version}'/>")
    assert same.type == "result" and same.inner == b""
    await alice.ask_iq("set", f"{QUERY}<item jid='carol@example.com'/></query>")
    await alice.ask_iq("set", f"{QUERY}<item jid='{BOB}' subscription='remove'/></query>")
    alice.take()
    newer = await alice.ask_iq("get", f"<query xmlns='jabber:iq:roster' ver='{version}'/>")
    assert newer.inner == b""
    pushed = b"".join(stanza.inner for stanza in alice.take("iq"))
    assert b"carol@example.com" in pushed and b"remove" in pushed and BOB.encode() in pushed
    plain = await alice.ask_iq("get", "<query xmlns='jabber:iq:roster'/>")
    assert b"ver=" not in plain.inner and b"carol" in plain.inner and BOB.encode() not in plain.inner


@pytest_twisted.ensureDeferred
async def test_a_roster_belongs_to_its_account(world: World) -> None:
    """Nobody reads or writes another's."""
    alice = await interested(world, ALICE + "/a")
    await interested(world, BOB + "/b")
    for kind in ("get", "set"):
        answer = await alice.ask_iq(kind, f"{QUERY}<item jid='x@example.com'/></query>", to=BOB)
        assert b"service-unavailable" in answer.inner


@pytest_twisted.ensureDeferred
async def test_rosters_survive_in_the_store(world: World) -> None:
    """What memory holds is what a restart would read."""
    alice = await interested(world, ALICE + "/a")
    bob = await interested(world, BOB + "/b")
    await befriend(alice, bob)
    for client in (alice, bob):
        account = client.s.account
        version, items = await world.store.roster.load(account.id)
        assert {item.jid: item for item in items} == account.roster
        assert version == account.roster_version


@pytest_twisted.ensureDeferred
async def test_a_deleted_account_leaves_no_subscription(world: World) -> None:
    """Its contacts are told, and see it go."""
    alice = await interested(world, ALICE + "/a")
    bob = await interested(world, BOB + "/b")
    await befriend(alice, bob)
    account = alice.s.account
    alice.s.close()
    await world.store.accounts.delete(account.id)
    world.router.accounts.forget(ALICE)
    world.router.hooks.tell("account.deleted", account)
    await world.settle()
    assert {"unsubscribe", "unsubscribed"} <= {stanza.type for stanza in bob.take("presence")}
    assert world.router.accounts.find(BOB).roster[ALICE].subscription == "none"   # type: ignore[union-attr]


@pytest_twisted.ensureDeferred
async def test_of_a_huge_request_only_the_request_is_kept(world: World) -> None:
    """What a stranger sends must not stay in memory and store until it is answered."""
    alice = await interested(world, ALICE + "/a")
    bob = await interested(world, BOB + "/b")
    await alice.send_xml(f"<presence to='{BOB}' type='subscribe' id='s'><status>{'x' * 9000}</status></presence>")
    assert [stanza.type for stanza in bob.take("presence")] == ["subscribe"]
    kept = world.router.accounts.find(BOB).roster[ALICE].pending_in     # type: ignore[union-attr]
    assert kept is not None and len(kept) < 200 and b"subscribe" in kept
