"""Blocking, XEP-0191: the list, and what goes no longer in or out."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_twisted

from chatd.core.stanza import Stanza
from chatd.xep.archive import Archive
from chatd.xep.blocking import Blocking
from chatd.xep.message import Messages
from chatd.xep.presence import Presence
from chatd.xep.roster import Roster
from chatd.xep.vcard import VCard
from tests.xep.world import Client, World

ALICE, BOB = "alice@example.com", "bob@example.net"
NS = "urn:xmpp:blocking"


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    """All that blocking has to do with."""
    made = await World.open(Roster, Presence, Messages, Archive, VCard, Blocking)
    yield made
    await made.close()


async def friends(world: World) -> tuple[Client, Client]:
    """Alice and Bob, who see each other."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    await alice.send_xml(f"<presence to='{BOB}' type='subscribe'/>")
    await bob.send_xml(f"<presence to='{ALICE}' type='subscribed'/><presence to='{ALICE}' type='subscribe'/>")
    await alice.send_xml(f"<presence to='{BOB}' type='subscribed'/>")
    alice.take(), bob.take()
    return alice, bob


async def command(client: Client, name: str, *jids: str) -> Stanza:
    """Blocks or unblocks."""
    items = "".join(f"<item jid='{jid}'/>" for jid in jids)
    return await client.ask_iq("set", f"<{name} xmlns='{NS}'>{items}</{name}>")


async def blocklist(client: Client) -> list[str]:
    """The list, which also asks for pushes."""
    answer = await client.ask_iq("get", f"<blocklist xmlns='{NS}'/>")
    return [item["jid"] for item in answer.element.blocklist.elements()]


def is_blocked_error(stanza: Stanza) -> bool:
    """Section 3.3's error of what one sends oneself."""
    error = stanza.element.error
    return (stanza.type == "error" and error["type"] == "cancel"
            and {(child.uri, child.name) for child in error.elements()} >= {
                ("urn:ietf:params:xml:ns:xmpp-stanzas", "not-acceptable"), ("urn:xmpp:blocking:errors", "blocked")})


@pytest_twisted.ensureDeferred
async def test_list_and_pushes(world: World) -> None:
    """Kept in the store, pushed to those who asked for the list."""
    alice = await world.client(ALICE + "/a")
    phone, plain = await world.client(ALICE + "/phone"), await world.client(ALICE + "/plain")
    assert await blocklist(alice) == [] == await blocklist(phone)
    for client in (alice, phone, plain):
        client.take()
    assert (await command(alice, "block", "bob@EXAMPLE.net", "spam.example", BOB)).type == "result"
    for client in (alice, phone):
        [push] = client.take("iq")
        assert (push.type, push.attrs["to"]) == ("set", client.s.full)
        assert [item["jid"] for item in push.element.block.elements()] == [BOB, "spam.example"]
    assert plain.take() == []
    assert await blocklist(plain) == [BOB, "spam.example"]
    assert await world.store.blocking.load(alice.s.account.id) == {BOB, "spam.example"}
    assert (await command(phone, "unblock", "spam.example", "never@was.there")).type == "result"
    pushed = [item["jid"] for item in alice.take("iq")[0].element.unblock.elements()]
    assert pushed == ["spam.example", "never@was.there"]
    assert (await command(phone, "unblock")).type == "result"
    assert list(alice.take("iq")[0].element.unblock.elements()) == []
    assert await world.store.blocking.load(alice.s.account.id) == set() == set(alice.s.account.blocked)


@pytest_twisted.ensureDeferred
async def test_refused_commands(world: World) -> None:
    """Nothing to block, no address, oneself, one's server, too many, somebody else's list."""
    alice = await world.client(ALICE + "/a")
    await world.client(BOB + "/b")
    for jids, condition in (((), b"bad-request"), (("@",), b"jid-malformed"), (("",), b"bad-request"),
                            ((ALICE,), b"not-allowed"), (("example.com",), b"not-allowed"),
                            (tuple(f"x{number}@e.example" for number in range(1001)), b"resource-constraint")):
        answer = await command(alice, "block", *jids)
        assert answer.type == "error" and condition in answer.inner, jids
    answer = await alice.ask_iq("get", f"<blocklist xmlns='{NS}'/>", to=BOB)
    assert answer.type == "error"
    assert alice.s.account.blocked == frozenset()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("entry", [ALICE, ALICE + "/a", "example.com"])
async def test_nothing_comes_in(world: World, entry: str) -> None:
    """Messages and iqs get the error of an account that is not there, presence gets nothing (section 3.3)."""
    alice, bob = await friends(world)
    await command(bob, "block", entry)
    bob.take(), alice.take()
    await alice.send_xml(f"<message to='{BOB}' id='1'><body>x</body></message>"
                         f"<message to='{BOB}/b' id='2'><body>x</body></message>")
    errors = alice.take("message")
    assert [stanza.id for stanza in errors] == ["1", "2"]
    assert all(b"service-unavailable" in stanza.inner for stanza in errors)
    for to in (BOB, BOB + "/b"):
        answer = await alice.ask_iq("get", "<vCard xmlns='vcard-temp'/>", to=to)
        assert answer.type == "error" and b"service-unavailable" in answer.inner
    await alice.send_xml(f"<presence to='{BOB}'/><presence to='{BOB}' type='probe'/>"
                         f"<presence to='{BOB}' type='subscribe'/>")
    await alice.send_xml(f"<iq type='result' id='r' to='{BOB}/b'/><message to='{BOB}' type='error'/>")
    await alice.send_xml("<presence><status>new</status></presence>")
    assert [stanza for stanza in bob.take() if stanza.attrs.get("from", "").startswith("alice")] == []
    assert [stanza for stanza in alice.take() if stanza.attrs.get("from", "").startswith("bob")] == []
    answer = await bob.ask_iq("set", "<query xmlns='urn:xmpp:mam:2'/>")
    assert b"<count>0</count>" in answer.inner, "and nothing of it is in his archive"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("entry", [BOB, BOB + "/b", "example.net"])
async def test_nothing_goes_out(world: World, entry: str) -> None:
    """not-acceptable with <blocked/>, for each kind of stanza; results are dropped in silence."""
    alice, bob = await friends(world)
    await command(alice, "block", entry)
    alice.take(), bob.take()
    for stanza in (f"<message to='{BOB}/b' id='e'><body>x</body></message>", f"<presence to='{BOB}/b' id='e'/>",
                   f"<presence to='{BOB}/b' id='e' type='unavailable'/>",
                   f"<iq to='{BOB}/b' type='get' id='e'><x xmlns='urn:x'/></iq>"):
        await alice.send_xml(stanza)
        [error] = alice.take()
        assert error.id == "e" and is_blocked_error(error), error.to_bytes()
    await alice.send_xml(f"<iq to='{BOB}/b' type='result' id='e'/>")
    await alice.send_xml("<presence><status>new</status></presence>")
    assert [stanza for stanza in alice.take() if stanza.type == "error"] == []
    if entry != BOB + "/b":     # a broadcast goes to the contact's bare address: all his resources or none
        assert bob.take() == []
    answer = await alice.ask_iq("set", "<query xmlns='urn:xmpp:mam:2'/>")
    assert b"<count>0</count>" in answer.inner


@pytest_twisted.ensureDeferred
async def test_gone_and_back(world: World) -> None:
    """The contact sees the account leave when it is blocked and come back afterwards; and is asked himself."""
    alice, bob = await friends(world)
    await world.client(ALICE + "/phone")
    alice.take(), bob.take()
    await command(alice, "block", BOB)
    assert sorted((stanza.type, stanza.attrs["from"]) for stanza in bob.take("presence")) == [
        ("unavailable", ALICE + "/a"), ("unavailable", ALICE + "/phone")]
    await bob.send_xml("<presence><status>while blocked</status></presence>")
    assert alice.take("presence") == []
    bob.take()
    await command(alice, "unblock")
    assert sorted((stanza.type, stanza.attrs["from"]) for stanza in bob.take("presence")) == [
        (None, ALICE + "/a"), (None, ALICE + "/phone")]
    [there] = alice.take("presence")
    assert there.attrs["from"] == BOB + "/b" and b"while blocked" in there.inner
    await alice.send_xml(f"<message to='{BOB}'><body>x</body></message>")
    assert len(bob.take("message")) == 1 and alice.take() == []


@pytest_twisted.ensureDeferred
async def test_presence_only_where_it_may_be_seen(world: World) -> None:
    """A stranger is told nothing; one who got directed presence sees it go; an entry that still covers him counts."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    await command(alice, "block", BOB)
    await command(alice, "unblock", BOB)
    assert bob.take() == []
    await alice.send_xml(f"<presence to='{BOB}/b'/>")
    bob.take()
    await command(alice, "block", "example.net")
    assert [stanza.type for stanza in bob.take("presence")] == ["unavailable"]
    await friends_again(alice, bob)
    await command(alice, "block", BOB)
    bob.take()
    await command(alice, "unblock", "example.net")
    assert bob.take() == [], "he is still blocked by his address"


async def friends_again(alice: Client, bob: Client) -> None:
    """Bob may see Alice."""
    await command(alice, "unblock")
    await bob.send_xml(f"<presence to='{ALICE}' type='subscribe'/>")
    await alice.send_xml(f"<presence to='{BOB}' type='subscribed'/>")
    await command(alice, "block", "example.net")
    alice.take(), bob.take()


@pytest_twisted.ensureDeferred
async def test_own_resources_and_server_always(world: World) -> None:
    """An entry that covers oneself or one's server, put there by whatever, does not count."""
    alice, phone = await world.client(ALICE + "/a"), await world.client(ALICE + "/phone")
    account = alice.s.account
    account.blocked = frozenset({"example.com"})
    alice.take()
    await alice.send_xml(f"<message to='{ALICE}/phone'><body>x</body></message>")
    assert len(phone.take("message")) == 1
    await phone.send_xml(f"<iq type='get' id='1' to='{ALICE}/a'><x xmlns='urn:x'/></iq>")
    assert [stanza.id for stanza in alice.take("iq")] == ["1"]
    answer = await alice.ask_iq("get", "<x xmlns='urn:x'/>", to="example.com")
    assert not is_blocked_error(answer)
