"""wokkel's publish-subscribe client, which nobody here wrote, at the nodes of an account."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import chatd.compat  # noqa: F401  (before wokkel)

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish import domish
from wokkel import data_form, pubsub
from wokkel.test.helpers import XmlStreamStub

from chatd.core.stanza import Stanza, parse_element
from tests.xep import pep_kit
from tests.xep.pep_kit import ALICE, TUNE, listen
from tests.xep.world import Client, World


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    """Nodes on every account."""
    made = await pep_kit.open_world()
    yield made
    await made.close()


class Wokkel(pubsub.PubSubClient):
    """Its protocol, over a session of the world."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self.client = client
        self.stub = XmlStreamStub()
        self.xmlstream = self.stub.xmlstream
        self.connectionInitialized()
        self.told: list[Any] = []

    def itemsReceived(self, event: Any) -> None:
        """See wokkel."""
        self.told.append(event)

    deleteReceived = purgeReceived = itemsReceived

    async def do(self, asked: Deferred[Any]) -> Any:
        """Carries the request over and the answer back."""
        iq = self.stub.output.pop()
        await self.client.send_xml(iq.toXml())
        await self.hear()
        return await asked

    async def hear(self) -> None:
        """Hands over what the client got."""
        for stanza in self.client.take():
            self.stub.send(as_received(stanza))


def as_received(stanza: Stanza) -> domish.Element:
    """As wokkel's stream would have parsed it."""
    return parse_element(stanza.to_bytes_ns())


def item(id_: str) -> pubsub.Item:
    """An item of wokkel's."""
    return pubsub.Item(id_, parse_element(b"<tune xmlns='urn:tune'>la</tune>"))


@pytest_twisted.ensureDeferred
async def test_its_requests_and_what_it_makes_of_the_answers(world: World) -> None:
    """Create with a form, publish, read, subscribe, unsubscribe, delete; items and the end of a node are events."""
    client = await world.client(ALICE + "/a")
    await listen(client, TUNE)
    wokkel, service = Wokkel(client), JID(ALICE)
    options = {"pubsub#access_model": "open", "pubsub#max_items": "5"}
    assert await wokkel.do(wokkel.createNode(service, TUNE, options=options)) == TUNE
    await wokkel.do(wokkel.publish(service, TUNE, [item("1"), item("2")]))
    [event] = wokkel.told
    assert (event.sender.full(), event.nodeIdentifier, [one["id"] for one in event.items]) == (ALICE, TUNE, ["1", "2"])
    found = await wokkel.do(wokkel.items(service, TUNE, maxItems=1))
    assert [(one["id"], str(one.tune)) for one in found] == [("2", "la")]
    subscription = await wokkel.do(wokkel.subscribe(service, TUNE, JID(ALICE + "/a")))
    assert (subscription.nodeIdentifier, subscription.state, subscription.subscriber.full()) == (
        TUNE, "subscribed", ALICE + "/a")
    await wokkel.do(wokkel.unsubscribe(service, TUNE, JID(ALICE + "/a")))
    wokkel.told.clear()
    await wokkel.do(wokkel.deleteNode(service, TUNE))
    [event] = wokkel.told
    assert isinstance(event, pubsub.DeleteEvent) and event.nodeIdentifier == TUNE
    with pytest.raises(StanzaError, match="item-not-found"):
        await wokkel.do(wokkel.items(service, TUNE))


@pytest_twisted.ensureDeferred
async def test_it_understands_our_form(world: World) -> None:
    """The settings of a node, with their types and choices."""
    client = await world.client(ALICE + "/a")
    await pep_kit.publish(client, TUNE, "1", access_model="whitelist", max_items="max")
    answer = await client.ask_iq("get", pep_kit.owner(f"<configure node='{TUNE}'/>"))
    form = data_form.findForm(answer.element.pubsub.configure, pubsub.NS_PUBSUB_NODE_CONFIG)
    form.typeCheck()
    assert form["pubsub#access_model"] == "whitelist" and form["pubsub#persist_items"] is True
    assert form["pubsub#max_items"] == "max"
    assert "presence" in [option.value for option in form.fields["pubsub#access_model"].options]
