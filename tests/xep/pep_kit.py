"""What the tests of publish-subscribe need: worlds with it, clients that say what they want to hear of, requests."""

from __future__ import annotations

from typing import Any

from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.entity_caps import hash_of
from chatd.core.stanza import Stanza, parse_element
from chatd.xep.api import Module
from chatd.xep.blocking import Blocking
from chatd.xep.caps.caps import Caps
from chatd.xep.disco import Disco
from chatd.xep.message import Messages
from chatd.xep.pep.pep import Pep
from chatd.xep.presence import Presence
from chatd.xep.roster import Roster
from tests.xep.world import Client, World

ALICE, BOB = "alice@example.com", "bob@example.net"
TUNE = "http://jabber.org/protocol/tune"


async def open_world(*modules: type[Module], **options: Any) -> World:
    """A daemon with personal eventing; options: of [modules.pep]."""
    world = await World.open(Roster, Presence, Messages, Blocking, Disco, Caps)
    world.start(Pep, **options)
    for kind in modules:
        world.start(kind)
    return world


def description(*wanted: str, client: str = "test") -> str:
    """What a client answers to disco#info that wants to hear of these nodes."""
    features = "".join(f"<feature var='{node}+notify'/>" for node in wanted)
    return f"<identity category='client' type='pc' name='{client}'/><feature var='{ns.DISCO_INFO}'/>{features}"


def caps(*wanted: str, client: str = "test") -> str:
    """The element of its presence."""
    query = parse_element(f"<query xmlns='{ns.DISCO_INFO}'>{description(*wanted, client=client)}</query>".encode())
    return f"<c xmlns='{ns.CAPS}' hash='sha-1' node='urn:test' ver='{hash_of(query, 'sha-1')}'/>"


async def listen(client: Client, *wanted: str, name: str = "test") -> None:
    """The client shows capabilities with these wishes, and answers where it is asked what they mean."""
    await client.send_xml(f"<presence>{caps(*wanted, client=name)}</presence>")
    for iq in [stanza for stanza in client.got if stanza.payload == f"{ns.DISCO_INFO} query" and stanza.type == "get"]:
        client.got.remove(iq)
        await client.send_xml(f"<iq type='result' id='{iq.id}' to='{iq.attrs['from']}'><query xmlns='{ns.DISCO_INFO}' "
                              f"node='{iq.element.query['node']}'>{description(*wanted, client=name)}</query></iq>")
    await client.world.settle()


def pubsub(inner: str) -> str:
    """A request."""
    return f"<pubsub xmlns='{ns.PUBSUB}'>{inner}</pubsub>"


def owner(inner: str) -> str:
    """A request of an owner."""
    return f"<pubsub xmlns='{ns.PUBSUB_OWNER}'>{inner}</pubsub>"


def form(form_type: str, **values: str | list[str]) -> str:
    """A submitted form; of the names the part behind pubsub#."""
    fields = "".join(
        f"<field var='pubsub#{name}'>" + "".join(f"<value>{one}</value>" for one in (
            [value] if isinstance(value, str) else value)) + "</field>" for name, value in values.items())
    return (f"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>{ns.PUBSUB}#{form_type}</value>"
            f"</field>{fields}</x>")


def publication(node: str, *ids: str, payload: str = "<tune xmlns='urn:tune'>la</tune>",
                **options: str | list[str]) -> str:
    """A request to publish items of these ids; options: preconditions."""
    items = "".join(f"<item id='{one}'>{payload}</item>" if one else f"<item>{payload}</item>" for one in ids)
    wanted = f"<publish-options>{form('publish-options', **options)}</publish-options>" if options else ""
    return pubsub(f"<publish node='{node}'>{items}</publish>{wanted}")


async def publish(client: Client, node: str, *ids: str, **options: Any) -> domish.Element:
    """Publishes, which works."""
    answer = await client.ask_iq("set", publication(node, *ids, **options))
    assert answer.type == "result", answer.to_bytes()
    return answer.element


async def items(client: Client, node: str, to: str = "", inner: str = "", more: str = "",
                attributes: str = "") -> Stanza:
    """Asks for items."""
    return await client.ask_iq("get", pubsub(f"<items node='{node}'{attributes}>{inner}</items>{more}"), to=to)


def ids(answer: Stanza) -> list[str]:
    """The ids in such an answer."""
    assert answer.type == "result", answer.to_bytes()
    return [item["id"] for item in answer.element.pubsub.items.elements()]


def events(client: Client) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """What the client was told since the last time: from, node, and the kind and id of each; the rest is forgotten."""
    told = []
    for message in client.take("message"):
        for event in message.element.elements(ns.PUBSUB_EVENT, "event"):
            [what] = event.elements()
            inner = [(one.name, one.getAttribute("id") or "") for one in what.elements()]
            told.append((message.attrs["from"], what["node"], inner if what.name == "items" else [(what.name, "")]))
    return told


async def befriend(one: Client, other: Client) -> None:
    """Both see each other's presence."""
    for a, b in ((one, other), (other, one)):
        await a.send_xml(f"<presence to='{b.s.jid.bare}' type='subscribe'/>")
        await b.send_xml(f"<presence to='{a.s.jid.bare}' type='subscribed'/>")
    one.take(), other.take()


def condition(answer: Stanza) -> list[str]:
    """The conditions of an error, the general one and that of publish-subscribe."""
    assert answer.type == "error", answer.to_bytes()
    return [child.name for child in answer.element.error.elements() if child.name != "text"]
