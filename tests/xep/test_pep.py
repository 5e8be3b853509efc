"""Personal eventing, XEP-0163: publishing, who hears of it, who may read it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_twisted

from chatd.core import ns
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
from tests.xep.world import World


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    """Nodes on every account."""
    made = await pep_kit.open_world()
    yield made
    await made.close()


@pytest_twisted.ensureDeferred
async def test_own_clients_and_contacts_hear_of_it(world: World) -> None:
    """Those who want to, by their capabilities, the publisher's own client among them; a contact's contact does not."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    phone, deaf, carol = [await world.client(one) for one in (ALICE + "/p", BOB + "/d", "carol@example.com/c")]
    await befriend(alice, bob)
    await befriend(bob, carol)
    for client in (alice, phone, bob, carol):
        await listen(client, TUNE)
        client.take()
    deaf.take()
    answer = await publish(alice, TUNE, "1")
    assert answer.pubsub.publish["node"] == TUNE and answer.pubsub.publish.item["id"] == "1"
    for client in (alice, phone, bob):
        [message] = [stanza for stanza in client.got if stanza.name == "message"]
        assert message.type == "headline" and message.attrs["to"] == client.s.full
        assert events(client) == [(ALICE, TUNE, [("item", "1")])]
        assert str(message.element.event.items.item.tune) == "la"
    assert events(deaf) == events(carol) == []


@pytest_twisted.ensureDeferred
async def test_a_hash_is_asked_for_once(world: World) -> None:
    """Who shows the same is not asked; an answer that is not what its hash says holds for its client alone."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b", available=False)
    await listen(alice, TUNE)
    await bob.send_xml(f"<presence>{pep_kit.caps(TUNE)}</presence>")
    assert bob.take("iq") == []
    liar = await world.client("liar@example.com/l", available=False)
    await liar.send_xml(f"<presence>{pep_kit.caps('urn:other')}</presence>")
    [iq] = liar.take("iq")
    await bob.send_xml(f"<presence>{pep_kit.caps('urn:other')}</presence>")
    assert bob.take("iq") == [], "the liar is asked already"
    answer = f"<query xmlns='{ns.DISCO_INFO}'>{pep_kit.description('urn:forged')}</query>"
    await bob.send_xml(f"<iq type='result' id='{iq.id}' to='{iq.attrs['from']}'>{answer}</iq>")
    assert bob.take("iq") == [], "not his to answer"
    await liar.send_xml(f"<iq type='result' id='{iq.id}' to='{iq.attrs['from']}'>{answer}</iq>")
    [asked] = bob.take("iq")
    good = f"<query xmlns='{ns.DISCO_INFO}'>{pep_kit.description('urn:other')}</query>"
    await bob.send_xml(f"<iq type='result' id='{asked.id}' to='{BOB}'>{good}</iq>")
    await publish(bob, "urn:other", "1")
    assert events(bob) == [(BOB, "urn:other", [("item", "1")])]
    await publish(liar, "urn:forged", "1")
    assert events(liar) == [("liar@example.com", "urn:forged", [("item", "1")])], "it is believed for itself"


@pytest_twisted.ensureDeferred
async def test_the_last_item_on_coming(world: World) -> None:
    """To who becomes available, of contacts who are away too; again after having been away; not for later presence."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    await befriend(alice, bob)
    await publish(alice, TUNE, "1")
    await publish(alice, "urn:secret", "1", access_model="whitelist")
    await publish(alice, "urn:quiet", "1", send_last_published_item="never")
    await publish(bob, TUNE, "mine")
    alice.s.close()
    world.router.accounts.forget(ALICE)
    bob.take()
    wanted = (TUNE, "urn:secret", "urn:quiet")
    await listen(bob, *wanted)
    told = [(BOB, TUNE, [("item", "mine")]), (ALICE, TUNE, [("item", "1")])]
    assert events(bob) == told
    await listen(bob, *wanted)
    assert events(bob) == [], "nothing new"
    await bob.send_xml("<presence type='unavailable'/>")
    await listen(bob, *wanted)
    assert events(bob) == told


@pytest_twisted.ensureDeferred
async def test_the_last_item_on_being_let_in(world: World) -> None:
    """As soon as the contact approves; nothing before, and nothing any more after the end of it."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    await publish(alice, TUNE, "1")
    await listen(bob, TUNE)
    assert events(bob) == []
    assert condition(await items(bob, TUNE, ALICE)) == ["service-unavailable"]
    await bob.send_xml(f"<presence to='{ALICE}' type='subscribe'/>")
    await alice.send_xml(f"<presence to='{BOB}' type='subscribed'/>")
    assert events(bob) == [(ALICE, TUNE, [("item", "1")])]
    assert ids(await items(bob, TUNE, ALICE)) == ["1"]
    await alice.send_xml(f"<presence to='{BOB}' type='unsubscribed'/>")
    await publish(alice, TUNE, "2")
    assert events(bob) == []
    assert condition(await items(bob, TUNE, ALICE)) == ["service-unavailable"]


@pytest_twisted.ensureDeferred
async def test_blocked_people_hear_nothing(world: World) -> None:
    """In either direction, and are told of no node (XEP-0191)."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    await befriend(alice, bob)
    await listen(bob, TUNE)
    for blocker, blocked in ((alice, BOB), (bob, ALICE)):
        await blocker.ask_iq("set", f"<block xmlns='{ns.BLOCKING}'><item jid='{blocked}'/></block>")
        events(bob)
        await publish(alice, TUNE, "1")
        assert events(bob) == []
        if blocker is alice:
            assert condition(await items(bob, TUNE, ALICE)) == ["service-unavailable"]
        await bob.send_xml("<presence type='unavailable'/>")
        await listen(bob, TUNE)
        assert events(bob) == []
        await blocker.ask_iq("set", f"<unblock xmlns='{ns.BLOCKING}'/>")
    await publish(alice, TUNE, "2")
    assert events(bob) == [(ALICE, TUNE, [("item", "2")])]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("model", "friend", "mate", "stranger"), [
    ("open", True, True, True), ("presence", True, True, False), ("roster", False, True, False),
    ("whitelist", False, False, False), ("authorize", False, False, False)])
async def test_access_models(world: World, model: str, friend: bool, mate: bool, stranger: bool) -> None:
    """Who reads, who hears, and what the others are told (XEP-0060 6.5.9)."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    carol, dave = await world.client("carol@example.com/c"), await world.client("dave@example.com/d")
    await befriend(alice, bob)
    await befriend(alice, carol)
    item = "<item jid='carol@example.com'><group>Band</group></item>"
    await alice.ask_iq("set", f"<query xmlns='{ns.ROSTER}'>{item}</query>")
    for client in (bob, carol, dave):
        await listen(client, TUNE)
        client.take()
    await publish(alice, TUNE, "1", access_model=model, roster_groups_allowed=["Band", "Choir"])
    refused = {"roster": ["not-authorized", "not-in-roster-group"], "whitelist": ["not-allowed", "closed-node"],
               "authorize": ["not-authorized", "not-subscribed"]}
    for client, may in ((bob, friend), (carol, mate), (dave, stranger)):
        answer = await items(client, TUNE, ALICE)
        heard = [(ALICE, TUNE, [("item", "1")])] if may and client is not dave else []
        assert events(client) == heard
        listed = await client.ask_iq("get", f"<query xmlns='{ns.DISCO_ITEMS}'/>", to=ALICE)
        if client is not dave:
            assert [one["node"] for one in listed.element.query.elements()] == ([TUNE] if may else [])
        if may:
            assert ids(answer) == ["1"]
        elif client is dave and model != "authorize":
            assert condition(answer) == ["service-unavailable"]
        else:
            assert condition(answer) == refused[model]
    assert ids(await items(alice, TUNE)) == ["1"]
    await alice.ask_iq("set", owner(f"<affiliations node='{TUNE}'><affiliation jid='{BOB}' affiliation='member'/>"
                                    "<affiliation jid='carol@example.com' affiliation='outcast'/></affiliations>"))
    assert ids(await items(bob, TUNE, ALICE)) == ["1"]
    assert condition(await items(carol, TUNE, ALICE)) == ["forbidden"]
    await publish(alice, TUNE, "2")
    assert events(bob) == [(ALICE, TUNE, [("item", "2")])] and events(carol) == []


@pytest_twisted.ensureDeferred
async def test_preconditions(world: World) -> None:
    """XEP-0060 7.1.5: they make a node what they say, and later have to be so."""
    alice = await world.client(ALICE + "/a")
    await publish(alice, TUNE, "1", access_model="open", max_items="3", persist_items="true")
    await publish(alice, TUNE, "2", access_model="open", max_items="3")
    await publish(alice, TUNE, "3")
    for wrong in ({"access_model": "presence"}, {"max_items": "max"}, {"max_items": "2"}, {"unheard_of": "1"}):
        answer = await alice.ask_iq("set", publication(TUNE, "4", **wrong))
        assert condition(answer) == ["conflict", "precondition-not-met"], wrong
    assert condition(await alice.ask_iq("set", publication(TUNE, "4", access_model="everybody"))) == ["not-acceptable"]
    assert ids(await items(alice, TUNE)) == ["1", "2", "3"]
    await publish(alice, TUNE, "4")
    assert ids(await items(alice, TUNE)) == ["2", "3", "4"]
    most = world.apis["pep"].options["items"]
    await publish(alice, "urn:many", "1", max_items=str(most + 5))
    await publish(alice, "urn:many", "2", max_items="max")
    assert ids(await items(alice, "urn:many")) == ["1", "2"]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("node", "access", "most"), [
    ("urn:anything", "presence", "1"), ("urn:xmpp:bookmarks:1", "whitelist", "max"),
    ("urn:xmpp:mds:displayed:0", "whitelist", "max"), ("storage:bookmarks", "whitelist", "1"),
    ("eu.siacs.conversations.axolotl.devicelist", "open", "1"), ("urn:xmpp:omemo:2:devices", "open", "1"),
    ("eu.siacs.conversations.axolotl.bundles:12345", "open", "1"), ("urn:xmpp:omemo:2:bundles", "open", "max"),
])
async def test_what_a_node_is_for_makes_its_settings(world: World, node: str, access: str, most: str) -> None:
    """A client that says nothing neither hides its keys nor shows its bookmarks; one that does is obeyed."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    await publish(alice, node, "1")
    answer = await alice.ask_iq("get", owner(f"<configure node='{node}'/>"))
    values = {field["var"]: str(field.value) for field in answer.element.pubsub.configure.x.elements()
              if field.name == "field"}
    assert (values["pubsub#access_model"], values["pubsub#max_items"]) == (access, most)
    assert (await items(bob, node, ALICE)).type == ("result" if access == "open" else "error")
    await alice.ask_iq("set", owner(f"<delete node='{node}'/>"))
    await publish(alice, node, "1", access_model="roster")
    assert condition(await items(bob, node, ALICE)) == ["service-unavailable"]


@pytest_twisted.ensureDeferred
async def test_items_are_read_and_taken_back(world: World) -> None:
    """All, the last few, by id, page by page; retracted with and without a word to the others."""
    alice, phone = await world.client(ALICE + "/a"), await world.client(ALICE + "/p")
    await publish(alice, TUNE, *"abcde", max_items="max")
    await listen(phone, TUNE)
    assert events(phone) == [(ALICE, TUNE, [("item", "e")])]
    assert ids(await items(alice, TUNE)) == list("abcde")
    assert ids(await items(alice, TUNE, attributes=" max_items='2'")) == ["d", "e"]
    assert ids(await items(alice, TUNE, inner="<item id='b'/><item id='z'/><item id='a'/>")) == ["a", "b"]
    assert condition(await items(alice, TUNE, inner="<item id='z'/>")) == ["item-not-found"]
    assert condition(await items(alice, "urn:none")) == ["item-not-found"]
    for page, found in (("<max>2</max>", "ab"), ("<max>2</max><after>b</after>", "cd"), ("<max>0</max>", ""),
                        ("<max>9</max><after>d</after>", "e"), ("<max>2</max><before/>", "de"),
                        ("<max>2</max><before>d</before>", "bc")):
        answer = await items(alice, TUNE, more=f"<set xmlns='{ns.RSM}'>{page}</set>")
        assert ids(answer) == list(found), page
        assert str(answer.element.pubsub.set.count) == "5"
    gone = pubsub(f"<retract node='{TUNE}'><item id='c'/></retract>")
    assert (await alice.ask_iq("set", gone)).type == "result"
    assert events(phone) == [(ALICE, TUNE, [("retract", "c")])]
    assert condition(await alice.ask_iq("set", gone)) == ["item-not-found"]
    await alice.ask_iq("set", owner(f"<configure node='{TUNE}'>{form('node_config', notify_retract='0')}</configure>"))
    for notify, told in (("", []), (" notify='true'", [(ALICE, TUNE, [("retract", "b")])])):
        one = "a" if not notify else "b"
        await alice.ask_iq("set", pubsub(f"<retract node='{TUNE}'{notify}><item id='{one}'/></retract>"))
        assert events(phone) == told
    assert ids(await items(alice, TUNE)) == ["d", "e"]


@pytest_twisted.ensureDeferred
async def test_an_answer_has_bounds(world: World) -> None:
    """The last items that fit, with the count of all; the others page by page."""
    alice = await world.client(ALICE + "/a")
    for number in range(7):
        await publish(alice, TUNE, str(number), max_items="max", payload=f"<x xmlns='urn:x'>{'y' * 190_000}</x>")
    answer = await items(alice, TUNE)
    assert ids(answer) == list("23456") and str(answer.element.pubsub.set.count) == "7"
    answer = await items(alice, TUNE, more=f"<set xmlns='{ns.RSM}'><max>7</max></set>")
    assert ids(answer) == list("01234")


@pytest_twisted.ensureDeferred
async def test_limits(world: World) -> None:
    """Nodes of an account, bytes of an item, bytes of an account: each named when it is reached."""
    small = await pep_kit.open_world(nodes=10, item_bytes=1000, account_bytes=100_000, items=200)
    alice = await small.client(ALICE + "/a")
    for number in range(10):
        await publish(alice, f"urn:{number}", "1")
    answer = await alice.ask_iq("set", publication("urn:more", "1"))
    assert condition(answer) == ["resource-constraint"] and b"modules.pep.nodes" in answer.inner
    assert condition(await alice.ask_iq("set", pubsub("<create node='urn:more'/>"))) == ["resource-constraint"]
    big = f"<x xmlns='urn:x'>{'y' * 970}</x>"
    answer = await alice.ask_iq("set", publication("urn:0", "1", payload=f"<x xmlns='urn:x'>{'y' * 1001}</x>"))
    assert condition(answer) == ["not-acceptable", "payload-too-big"]
    await alice.ask_iq("set", owner(f"<configure node='urn:0'>{form('node_config', max_items='max')}</configure>"))
    for number in range(100):
        answer = await alice.ask_iq("set", publication("urn:0", str(number), payload=big))
        assert answer.type == "result", number
    answer = await alice.ask_iq("set", publication("urn:0", "one-more", payload=big))
    assert condition(answer) == ["resource-constraint"] and b"modules.pep.account_bytes" in answer.inner
    assert len(ids(await items(alice, "urn:0"))) == 100
    await small.close()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("kind", "request_", "expected"), [
    ("set", "<publish node='n'><item id='1'/></publish>", ["bad-request", "payload-required"]),
    ("set", "<publish node='n'><item id='1'><a xmlns='u'/><b xmlns='u'/></item></publish>",
     ["bad-request", "invalid-payload"]),
    ("set", "<publish node='n'/>", ["bad-request", "item-required"]),
    ("set", "<publish><item><a xmlns='u'/></item></publish>", ["bad-request", "nodeid-required"]),
    ("set", f"<publish node='{'n' * 1024}'><item><a xmlns='u'/></item></publish>", ["bad-request"]),
    ("set", f"<publish node='n'><item id='{'i' * 1024}'><a xmlns='u'/></item></publish>", ["bad-request"]),
    ("set", "<publish node='n'>" + "<item><a xmlns='u'/></item>" * 101 + "</publish>",
     ["not-allowed", "max-items-exceeded"]),
    ("set", "<publish node='n'><item><a xmlns='u'/></item></publish><publish-options/>", ["bad-request"]),
    ("set", "<retract node='n'><item id='1'/></retract>", ["item-not-found"]),
    ("set", "<create/>", ["not-acceptable", "nodeid-required"]),
    ("set", "<subscribe node='n' jid='bob@example.net'/>", ["bad-request", "invalid-jid"]),
    ("set", "<subscribe node='n' jid='@@'/>", ["bad-request", "invalid-jid"]),
    ("set", "<subscribe node='n'/>", ["bad-request", "invalid-jid"]),
    ("set", "<unheard-of/>", ["bad-request"]),
    ("set", "", ["bad-request"]),
    ("get", "<publish node='n'/>", ["bad-request"]),
    ("get", "<items/>", ["bad-request", "nodeid-required"]),
    ("get", "<options node='n' jid='alice@example.com'/>", ["feature-not-implemented", "unsupported"]),
])
async def test_refused(world: World, kind: str, request_: str, expected: list[str]) -> None:
    """Requests that are none, with the specification's own conditions; nothing is made of them."""
    alice = await world.client(ALICE + "/a")
    assert condition(await alice.ask_iq(kind, pubsub(request_))) == expected
    assert await world.store.pep.nodes(alice.s.account.id) == []


@pytest_twisted.ensureDeferred
async def test_disco(world: World) -> None:
    """An account says that it has nodes, which ones, what they are, and what is on them."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    await befriend(alice, bob)
    await publish(alice, TUNE, "x&amp;y", title="Tunes")
    for client, to in ((alice, ""), (bob, ALICE)):
        query = (await client.ask_iq("get", f"<query xmlns='{ns.DISCO_INFO}'/>", to=to)).element.query
        identities = [(one["category"], one["type"]) for one in query.elements(ns.DISCO_INFO, "identity")]
        assert identities == [("account", "registered"), ("pubsub", "pep")]
        features = [one["var"] for one in query.elements(ns.DISCO_INFO, "feature")]
        assert {f"{ns.PUBSUB}#publish-options", f"{ns.PUBSUB}#access-whitelist", ns.PUBSUB} <= set(features)
        [item] = (await client.ask_iq("get", f"<query xmlns='{ns.DISCO_ITEMS}'/>", to=to)).element.query.elements()
        assert (item["jid"], item["node"], item["name"]) == (ALICE, TUNE, "Tunes")
        query = (await client.ask_iq("get", f"<query xmlns='{ns.DISCO_INFO}' node='{TUNE}'/>", to=to)).element.query
        assert (query.identity["category"], query.identity["type"]) == ("pubsub", "leaf")
        assert "pubsub#access_model" in [field["var"] for field in query.x.elements()]
        [item] = (await client.ask_iq("get", f"<query xmlns='{ns.DISCO_ITEMS}' node='{TUNE}'/>", to=to)
                  ).element.query.elements()
        assert item["name"] == "x&y"
        answer = await client.ask_iq("get", f"<query xmlns='{ns.DISCO_INFO}' node='urn:none'/>", to=to)
        assert condition(answer) == ["item-not-found"]


@pytest_twisted.ensureDeferred
async def test_strangers_learn_nothing(world: World) -> None:
    """Neither what there is nor whether there is an account, unless a node is for everybody."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    await publish(alice, TUNE, "1")
    await publish(alice, "urn:open", "1", access_model="open")
    for payload in (pubsub(f"<items node='{TUNE}'/>"), pubsub("<items node='urn:none'/>"), pubsub("<subscriptions/>"),
                    pubsub("<affiliations/>"), owner("<default/>"), owner(f"<configure node='{TUNE}'/>"),
                    f"<query xmlns='{ns.DISCO_ITEMS}'/>", f"<query xmlns='{ns.DISCO_ITEMS}' node='{TUNE}'/>"):
        refused = await bob.ask_iq("get", payload, to=ALICE)
        unknown = await bob.ask_iq("get", payload, to="nobody@example.com")
        assert refused.inner == unknown.inner and condition(refused) == ["service-unavailable"], payload
    for payload in (publication(TUNE, "2"), pubsub(f"<subscribe node='{TUNE}' jid='{BOB}'/>"),
                    pubsub("<create node='x'/>"), owner(f"<delete node='{TUNE}'/>")):
        refused = await bob.ask_iq("set", payload, to=ALICE)
        assert condition(refused) == ["service-unavailable"], payload
    assert ids(await items(bob, "urn:open", ALICE)) == ["1"]
    assert condition(await bob.ask_iq("set", publication("urn:open", "2"), to=ALICE)) == ["forbidden"]
    assert condition(await bob.ask_iq("set", owner("<delete node='urn:open'/>"), to=ALICE)) == ["forbidden"]


@pytest_twisted.ensureDeferred
async def test_chatctl(world: World) -> None:
    """A sysadmin sees what there is, and can take a node away."""
    alice = await world.client(ALICE + "/a")
    await publish(alice, TUNE, "1")
    commands = {command.words: command.run for command in world.apis["pep"].commands}
    assert await commands["pep list"]({"address": ALICE}) == [{"node": TUNE, "access": "presence", "items": 1}]
    assert await commands["pep delete"]({"address": ALICE, "node": TUNE}) == {"deleted": TUNE}
    assert await world.store.pep.nodes(alice.s.account.id) == []
    for wrong in ({"address": ALICE, "node": "urn:none"}, {"address": "nobody@example.com"}, {"address": "@"}, {}):
        with pytest.raises(Exception, match="item-not-found|jid-malformed"):
            await commands["pep delete"](wrong)
