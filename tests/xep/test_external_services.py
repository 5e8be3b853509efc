"""XEP-0215: services and credentials, for people of this server only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_twisted

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.hooks import Request
from chatd.core.jid import JID
from chatd.core.stamp import parse_stamp
from chatd.core.stanza import Stanza
from chatd.core.turn import credentials
from chatd.xep.disco import Disco
from chatd.xep.external_services import ExternalServices
from chatd.xep.message import Messages
from chatd.xep.presence import Presence
from chatd.xep.roster import Roster
from tests.xep.world import Client, World

ALICE = "alice@example.com/phone"
URLS = ("stun:stun.example.com", "turn:turn.example.com?transport=udp", "turn:turn.example.com:443?transport=tcp",
        "turns:[2001:db8::7]:5349?transport=tcp")


async def opened(*urls: str) -> World:
    made = await World.open(Roster, Presence, Messages, Disco)
    made.settings.turn = SimpleNamespace(urls=urls, secret="swordfish", ttl_s=3600)
    made.start(ExternalServices)
    return made


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    made = await opened(*URLS)
    yield made
    await made.close()


async def ask(client: Client, element: str, to: str = "example.com", kind: str = "get") -> Any:
    return (await client.ask_iq(kind, element.replace(">", f" xmlns='{ns.EXTDISCO}'>", 1), to=to)).element


def services(answer: Any) -> list[dict[str, str]]:
    return [dict(one.attributes) for one in answer.firstChildElement().elements(ns.EXTDISCO, "service")]


@pytest_twisted.ensureDeferred
async def test_all_services(world: World) -> None:
    alice = await world.client(ALICE)
    answer = await ask(alice, "<services></services>")
    found = services(answer)
    assert [(one["type"], one["host"], one["port"], one["transport"]) for one in found] == [
        ("stun", "stun.example.com", "3478", "udp"), ("turn", "turn.example.com", "3478", "udp"),
        ("turn", "turn.example.com", "443", "tcp"), ("turns", "2001:db8::7", "5349", "tcp")]
    assert found[0].keys() == {"type", "host", "port", "transport"}
    for one in found[1:]:
        expires = parse_stamp(one["expires"]) // 1000
        made = credentials("swordfish", "alice@example.com", expires - 3600, 3600)
        assert (one["username"], one["password"], one["restricted"]) == (made.username, made.password, "true")
        assert abs(expires - 3600 - world.apis["external_services"].now()) < 60


@pytest_twisted.ensureDeferred
async def test_services_of_a_type(world: World) -> None:
    alice = await world.client(ALICE)
    answer = await ask(alice, "<services type='turn'></services>")
    assert answer.firstChildElement()["type"] == "turn"
    assert [one["port"] for one in services(answer)] == ["3478", "443"]
    assert services(await ask(alice, "<services type='ftp'></services>")) == []


@pytest_twisted.ensureDeferred
async def test_credentials_of_a_service(world: World) -> None:
    alice = await world.client(ALICE)
    answer = await ask(alice, "<credentials><service host='turn.example.com' type='turn'/></credentials>")
    assert answer.firstChildElement().name == "credentials"
    assert [one["port"] for one in services(answer)] == ["3478", "443"]
    answer = await ask(alice, "<credentials><service host='turn.example.com' type='turn' port='443'/></credentials>")
    (one,) = services(answer)
    assert one["transport"] == "tcp" and one["username"].endswith(":alice@example.com") and one["password"]


@pytest_twisted.ensureDeferred
async def test_refusals(world: World) -> None:
    alice = await world.client(ALICE)
    for inner, condition in (
        ("<service host='other.example.com' type='turn'/>", "item-not-found"),
        ("<service host='turn.example.com' type='turn' port='1'/>", "item-not-found"),
        ("<service host='stun.example.com' type='stun'/>", "item-not-found"),
        ("<service host='turn.example.com'/>", "bad-request"),
        ("<service type='turn'/>", "bad-request"),
        ("", "bad-request"),
    ):
        answer = await ask(alice, f"<credentials>{inner}</credentials>")
        assert answer["type"] == "error" and answer.error.firstChildElement().name == condition, inner
    answer = await ask(alice, "<services></services>", kind="set")
    assert answer["type"] == "error"


@pytest_twisted.ensureDeferred
async def test_strangers_get_none(world: World) -> None:
    """Relays cost: who has no session here is not told of any."""
    stranger, server = JID.parse("eve@elsewhere.example/x"), JID.parse("example.com")
    for name in ("services", "credentials"):
        hook, _ = world.router.hooks.iqs["domain", "get", f"{ns.EXTDISCO} {name}"]
        with pytest.raises(StanzaError) as refused:
            hook(Request(Stanza("iq", {"type": "get"}), stranger, server, None, None))
        assert refused.value.condition == "forbidden"


@pytest_twisted.ensureDeferred
async def test_it_is_told_where_there_is_something_to_tell(world: World) -> None:
    query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    alice = await world.client(ALICE)
    feature = f'var="{ns.EXTDISCO}"'.encode()
    assert feature in (await alice.ask_iq("get", query, to="example.com")).inner
    assert feature not in (await alice.ask_iq("get", query, to="alice@example.com")).inner
    bare = await opened()
    alice = await bare.client(ALICE)
    assert feature not in (await alice.ask_iq("get", query, to="example.com")).inner
    assert services(await ask(alice, "<services></services>")) == []
    await bare.close()
