"""Nodes of accounts: made, set, emptied, deleted; subscribed to by who asks; published on by others. XEP-0060."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail

from chatd.core import ns
from chatd.core.stanza import Stanza
from tests.xep import pep_kit
from tests.xep.pep_kit import (
    ALICE,
    BOB,
    TUNE,
    befriend,
    condition,
    events,
    form,
    ids,
    items,
    listen,
    owner,
    publication,
    publish,
    pubsub,
)
from tests.xep.world import Client, World


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    """Nodes on every account."""
    made = await pep_kit.open_world()
    yield made
    await made.close()


async def configure(client: Client, node: str, **values: str | list[str]) -> Stanza:
    """Sends the form."""
    return await client.ask_iq("set", owner(f"<configure node='{node}'>{form('node_config', **values)}</configure>"))


async def subscribe(client: Client, node: str, to: str = ALICE, address: str = BOB, verb: str = "subscribe") -> Stanza:
    """Asks for a subscription, or for the end of one."""
    return await client.ask_iq("set", pubsub(f"<{verb} node='{node}' jid='{address}'/>"), to=to)


@pytest_twisted.ensureDeferred
async def test_made_and_set(world: World) -> None:
    """Created with settings, read and changed by the form; what cannot be is refused and changes nothing."""
    alice = await world.client(ALICE + "/a")
    given = form("node_config", access_model="open", title="T")
    made = pubsub(f"<create node='{TUNE}'/><configure>{given}</configure>")
    assert (await alice.ask_iq("set", made)).element.pubsub.create["node"] == TUNE
    assert condition(await alice.ask_iq("set", made)) == ["conflict"]
    [node] = await world.store.pep.nodes(alice.s.account.id)
    assert dict(node.settings) == {"access": "open", "title": "T"}
    answer = await alice.ask_iq("get", owner(f"<configure node='{TUNE}'/>"))
    values = {field["var"]: str(field.value) for field in answer.element.pubsub.configure.x.elements()}
    assert values["FORM_TYPE"] == f"{ns.PUBSUB}#node_config" and values["pubsub#access_model"] == "open"
    for wrong in ({"access_model": "all"}, {"max_items": "0"}, {"max_items": "-1"}, {"max_items": "9" * 20},
                  {"persist_items": "maybe"}, {"node_type": "collection"}, {"title": "x" * 1025},
                  {"roster_groups_allowed": [str(number) for number in range(51)]}):
        answer = await configure(alice, TUNE, **wrong)
        assert condition(answer) == ["not-acceptable"] and f"pubsub#{next(iter(wrong))}".encode() in answer.inner
    assert await world.store.pep.nodes(alice.s.account.id) == [node]
    assert (await configure(alice, TUNE, access_model="whitelist", unheard_of="1")).type == "result"
    assert (await world.store.pep.nodes(alice.s.account.id))[0].config["access"] == "whitelist"
    cancelled = f"<configure node='{TUNE}'><x xmlns='jabber:x:data' type='cancel'/></configure>"
    assert (await alice.ask_iq("set", owner(cancelled))).type == "result"
    assert (await alice.ask_iq("set", owner(f"<configure node='{TUNE}'/>"))).type == "result"
    assert (await world.store.pep.nodes(alice.s.account.id))[0].settings == {}
    assert (await alice.ask_iq("get", owner("<default/>"))).element.pubsub.default.x["type"] == "form"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("order", ["fails first", "fails last", "both fail"])
async def test_one_of_two_first_publications_fails(world: World, monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    """What the other one brought into the store is a node, whichever comes back first; what nobody did is none."""
    alice = await world.client(ALICE + "/a")
    publishing, write = world.modules["pep"].publishing, world.store.pep.publish        # type: ignore[attr-defined]
    gates: list[Deferred[None]] = []

    def held(*arguments: Any) -> Deferred[None]:
        gates.append(Deferred())
        return gates[-1].addCallback(lambda _: write(*arguments))

    monkeypatch.setattr(world.store.pep, "publish", held)
    waiting = [Deferred.fromCoroutine(publishing.publish(alice.s.account, TUNE, [(name, b"<t xmlns='urn:t'/>")]))
               for name in ("lost", "kept")]
    await world.settle()
    for number in (1, 0) if order == "fails last" else (0, 1):
        is_kept = number == 1 and order != "both fail"
        gates[number].callback(None) if is_kept else gates[number].errback(OSError("no disk"))
        if is_kept:
            assert await waiting[number] == ["kept"]
        else:
            with pytest.raises(OSError):
                await waiting[number]
    monkeypatch.undo()
    if order == "both fail":
        assert condition(await items(alice, TUNE)) == ["item-not-found"]
        await publish(alice, TUNE, "kept")
    assert ids(await items(alice, TUNE)) == ["kept"]
    assert publishing._foundings == {}


@pytest_twisted.ensureDeferred
async def test_a_node_that_could_not_be_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not there, and can be made the next time."""
    alice = await world.client(ALICE + "/a")
    create = pubsub(f"<create node='{TUNE}'/>")
    monkeypatch.setattr(world.store.pep, "save", lambda *_: fail(OSError("no disk")))
    assert condition(await alice.ask_iq("set", create)) == ["internal-server-error"]
    monkeypatch.undo()
    assert (await alice.ask_iq("set", create)).type == "result"


@pytest_twisted.ensureDeferred
async def test_fewer_items(world: World) -> None:
    """Those too many go when the node is set so."""
    alice = await world.client(ALICE + "/a")
    await publish(alice, TUNE, *"abc", max_items="3")
    await configure(alice, TUNE, max_items="2")
    assert ids(await items(alice, TUNE)) == ["b", "c"]
    await configure(alice, TUNE, persist_items="0")
    assert ids(await items(alice, TUNE)) == []


@pytest_twisted.ensureDeferred
async def test_what_others_are_told_of_a_node(world: World) -> None:
    """Emptied, set otherwise, deleted, as its settings have it; items without their content; nothing at all."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    await befriend(alice, bob)
    await publish(alice, TUNE, "1")
    await listen(bob, TUNE)
    events(bob)
    assert (await alice.ask_iq("set", owner(f"<purge node='{TUNE}'/>"))).type == "result"
    assert events(bob) == [(ALICE, TUNE, [("purge", "")])]
    assert ids(await items(alice, TUNE)) == []
    await configure(alice, TUNE, deliver_payloads="0")
    await publish(alice, TUNE, "2")
    [message] = bob.take("message")
    assert message.element.event.items.item["id"] == "2" and message.element.event.items.item.children == []
    await configure(alice, TUNE, notify_config="1", notification_type="normal")
    [message] = bob.take("message")
    assert message.type == "normal" and message.element.event.configuration["node"] == TUNE
    await configure(alice, TUNE, deliver_notifications="0")
    await publish(alice, TUNE, "3")
    await alice.ask_iq("set", owner(f"<purge node='{TUNE}'/>"))
    assert events(bob) == []
    await configure(alice, TUNE, deliver_notifications="1", notify_config="0")
    assert (await alice.ask_iq("set", owner(f"<delete node='{TUNE}'/>"))).type == "result"
    assert events(bob) == [(ALICE, TUNE, [("delete", "")])]
    assert condition(await items(alice, TUNE)) == ["item-not-found"]


@pytest_twisted.ensureDeferred
async def test_items_that_are_not_kept(world: World) -> None:
    """They are told and forgotten."""
    alice = await world.client(ALICE + "/a")
    await listen(alice, TUNE)
    answer = await publish(alice, TUNE, "", persist_items="0")
    [(_, _, [(kind, id_)])] = events(alice)
    assert kind == "item" and id_ == answer.pubsub.publish.item["id"] and len(id_) >= 16
    assert ids(await items(alice, TUNE)) == [] and len(await world.store.pep.nodes(alice.s.account.id)) == 1
    assert condition(await alice.ask_iq("set", owner(f"<purge node='{TUNE}'/>"))) == [
        "feature-not-implemented", "unsupported"]


@pytest_twisted.ensureDeferred
async def test_subscribed_by_oneself(world: World) -> None:
    """Without capabilities, and for a bare address as well; told the last item at once; ended by either side."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    await publish(alice, TUNE, "1", access_model="open")
    answer = await subscribe(bob, TUNE)
    told = answer.element.pubsub.subscription
    assert (told["node"], told["jid"], told["subscription"], told["subid"]) == (TUNE, BOB, "subscribed", BOB)
    assert events(bob) == [(ALICE, TUNE, [("item", "1")])]
    await publish(alice, TUNE, "2")
    assert events(bob) == [(ALICE, TUNE, [("item", "2")])]
    assert (await subscribe(bob, TUNE, address=BOB + "/b")).type == "result"
    mine = (await bob.ask_iq("get", pubsub("<subscriptions/>"), to=ALICE)).element.pubsub.subscriptions
    assert [one["jid"] for one in mine.elements()] == [BOB, BOB + "/b"]
    listed = await alice.ask_iq("get", owner(f"<subscriptions node='{TUNE}'/>"))
    assert [one["jid"] for one in listed.element.pubsub.subscriptions.elements()] == [BOB, BOB + "/b"]
    assert (await subscribe(bob, TUNE, verb="unsubscribe", address=BOB + "/b")).type == "result"
    assert condition(await subscribe(bob, TUNE, verb="unsubscribe", address=BOB + "/b")) == [
        "unexpected-request", "not-subscribed"]
    events(bob)
    ended = f"<subscriptions node='{TUNE}'><subscription jid='{BOB}' subscription='none'/></subscriptions>"
    assert (await alice.ask_iq("set", owner(ended))).type == "result"
    [message] = bob.take("message")
    assert message.element.event.subscription["subscription"] == "none"
    await publish(alice, TUNE, "3")
    assert events(bob) == []
    assert condition(await alice.ask_iq("set", owner(ended))) == ["not-acceptable"], "nobody is subscribed unasked"


@pytest_twisted.ensureDeferred
async def test_who_may_read_no_more_is_no_subscriber(world: World) -> None:
    """XEP-0163 7.1: when the contact is one no more."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    await befriend(alice, bob)
    await publish(alice, TUNE, "1")
    await subscribe(bob, TUNE)
    events(bob)
    await alice.send_xml(f"<presence to='{BOB}' type='unsubscribed'/>")
    await publish(alice, TUNE, "2")
    assert events(bob) == []
    await world.settle()
    assert [dict(node.subscriptions) for node in await world.store.pep.nodes(alice.s.account.id)] == [{}]


@pytest_twisted.ensureDeferred
async def test_a_subscription_the_owner_decides(world: World) -> None:
    """By the form of XEP-0060 8.6, or by the list; until then nothing is told."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    carol = await world.client("carol@example.com/c")
    await publish(alice, TUNE, "1", access_model="authorize")
    for client in (bob, carol):
        answer = await subscribe(client, TUNE, address=client.s.jid.bare)
        assert answer.element.pubsub.subscription["subscription"] == "pending"
        assert condition(await subscribe(client, TUNE, address=client.s.jid.bare)) == [
            "not-authorized", "pending-subscription"]
        assert condition(await items(client, TUNE, ALICE)) == ["not-authorized", "not-subscribed"]
    asked = alice.take("message")[0].element.x
    assert {field["var"]: str(field.value) for field in asked.elements() if field.name == "field"} == {
        "FORM_TYPE": f"{ns.PUBSUB}#subscribe_authorization", "pubsub#node": TUNE, "pubsub#subscriber_jid": BOB,
        "pubsub#allow": "0"}
    filled = form("subscribe_authorization", node=TUNE, subscriber_jid=BOB, allow="1")
    await carol.send_xml(f"<message to='{ALICE}'>{filled}</message>")
    assert condition(await items(bob, TUNE, ALICE)) == ["not-authorized", "not-subscribed"], "not hers to decide"
    await alice.send_xml(f"<message to='{ALICE}'>{filled}</message>")
    granted, last = bob.take("message")
    assert granted.element.event.subscription["subscription"] == "subscribed"
    assert last.element.event.items.item["id"] == "1"
    assert ids(await items(bob, TUNE, ALICE)) == ["1"]
    refused = "<subscription jid='carol@example.com' subscription='none'/>"
    await alice.ask_iq("set", owner(f"<subscriptions node='{TUNE}'>{refused}</subscriptions>"))
    await publish(alice, TUNE, "2")
    assert events(bob) == [(ALICE, TUNE, [("item", "2")])]
    [message] = carol.take("message")
    assert message.element.event.subscription["subscription"] == "none"


@pytest_twisted.ensureDeferred
async def test_others_publish(world: World) -> None:
    """Whom the owner lets, or everybody where he says so; named as publishers; they take back only their own."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    await publish(alice, TUNE, "1", access_model="open", max_items="5")
    other = publication(TUNE, "2")
    assert condition(await bob.ask_iq("set", other, to=ALICE)) == ["forbidden"]
    standing = f"<affiliations node='{TUNE}'><affiliation jid='{BOB}' affiliation='%s'/></affiliations>"
    assert (await alice.ask_iq("set", owner(standing % "publisher"))).type == "result"
    assert (await bob.ask_iq("set", other, to=ALICE)).type == "result"
    mine = (await bob.ask_iq("get", pubsub("<affiliations/>"), to=ALICE)).element.pubsub.affiliations
    assert [(one["node"], one["affiliation"]) for one in mine.elements()] == [(TUNE, "publisher")]
    listed = (await alice.ask_iq("get", owner(f"<affiliations node='{TUNE}'/>"))).element.pubsub.affiliations
    assert {one["jid"]: one["affiliation"] for one in listed.elements()} == {ALICE: "owner", BOB: "publisher"}
    await alice.ask_iq("set", owner(standing % "none"))
    await configure(alice, TUNE, publish_model="open")
    assert (await bob.ask_iq("set", publication(TUNE, "3"), to=ALICE)).type == "result"
    found = (await items(alice, TUNE)).element.pubsub.items
    assert [one.getAttribute("publisher") for one in found.elements()] == [None, BOB, BOB]
    for one, kind in (("1", "error"), ("3", "result")):
        answer = await bob.ask_iq("set", pubsub(f"<retract node='{TUNE}'><item id='{one}'/></retract>"), to=ALICE)
        assert answer.type == kind
    assert condition(await bob.ask_iq("set", publication("urn:new", "1"), to=ALICE)) == ["service-unavailable"]
    for wrong in (standing % "king", standing.replace(BOB, "@@") % "member",
                  standing.replace(BOB, ALICE) % "none", standing.replace(BOB, ALICE) % "outcast"):
        assert (await alice.ask_iq("set", owner(wrong))).type == "error", wrong


@pytest_twisted.ensureDeferred
async def test_gone_with_the_account(world: World) -> None:
    """Nothing of what it published is left."""
    alice = await world.client(ALICE + "/a")
    await publish(alice, TUNE, "1")
    number = alice.s.account.id
    alice.s.close()
    world.router.accounts.forget(ALICE)
    await world.store.accounts.delete(number)
    assert await world.store.pep.count(number) == (0, 0, 0)
