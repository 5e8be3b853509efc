"""Invitations (XEP-0401): names that nobody gets by one, and when they are over. Live in tests/integration."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, maybeDeferred

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.settings import Registration
from chatd.xep.adhoc import AdhocCommands
from chatd.xep.administration import Administration
from chatd.xep.disco import Disco
from chatd.xep.invitations import INVITE, Invitations
from chatd.xep.message import Messages
from chatd.xep.notices import Notices
from chatd.xep.presence import Presence
from chatd.xep.registration import Registration as RegistrationModule
from chatd.xep.roster import Roster
from tests.xep.world import Client, World

ROOT, WARDEN, PERSON = (f"{name}@example.com" for name in ("root", "warden", "alice"))


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    """root administers all domains, warden example.com; of the two only names are there, no accounts."""
    made = await World.open(Roster, Presence, Messages, Disco, AdhocCommands, Notices)
    made.settings.server.admins = (ROOT,)
    made.settings.domain = lambda name: SimpleNamespace(
        admins=(WARDEN,) if name == "example.com" else (), auth=(), password_page="")
    made.settings.domains = (made.settings.domain("example.com"),)
    made.settings.registration = Registration(invitations="admins")
    for kind in (Administration, RegistrationModule, Invitations):
        made.start(kind)

    def perform(words: str, arguments: Any) -> Deferred[Any]:
        assert words == "user add"
        local, _, domain = arguments["jid"].partition("@")
        return maybeDeferred(made.store.accounts.create, local, domain, {}, 0.0)

    made.apis["invitations"].perform = perform
    yield made
    await made.close()


async def token_for(world: World, **more: str) -> str:
    """A new invitation."""
    made = await world.modules["invitations"].make("example.com", **more)       # type: ignore[attr-defined]
    return str(made["page"].rpartition("/")[2])


async def register(world: World, token: str, name: str) -> str:
    """An account by it: its address, or the condition of the refusal."""
    try:
        return str(await world.modules["invitations"].register(token, name, "pw"))      # type: ignore[attr-defined]
    except StanzaError as error:
        return error.condition


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("name", ["root", "warden", "ROOT", " root ", "Root@example.com", "\uff52oot"])
async def test_nobody_becomes_an_administrator_by_a_name(world: World, name: str) -> None:
    """Those of the configuration are taken although they have no account yet, however they are written; the invitation
    is not used up by the attempt."""
    token = await token_for(world)
    assert await register(world, token, name) == "conflict"
    assert await world.store.accounts.get("root", "example.com") is None
    assert await register(world, token, "somebody") == "somebody@example.com"
    assert await register(world, token, "else") == "item-not-found"


@pytest_twisted.ensureDeferred
async def test_who_is_meant_to_be_one_is_invited_by_name(world: World) -> None:
    """By chatctl, or by who administers all; who administers one domain cannot make himself more than that."""
    async def asked(client: Client, username: str) -> str:
        node = f"{INVITE}#create-account"
        answer = await client.ask_iq("set", f"<command xmlns='{ns.COMMANDS}' node='{node}'/>", "example.com")
        session = answer.element.command["sessionid"]
        form = (f"<x xmlns='{ns.DATA}' type='submit'><field var='username'><value>{username}</value></field></x>")
        filled = f"<command xmlns='{ns.COMMANDS}' node='{node}' sessionid='{session}'>{form}</command>"
        answer = await client.ask_iq("set", filled, "example.com")
        if answer.type == "error":
            return str(next(child.name for error in answer.element.elements() if error.name == "error"
                            for child in error.elements()))
        fields = {field.getAttribute("var"): str(field.value) for field in answer.element.command.x.elements()}
        return fields["uri"].partition("preauth=")[2]

    warden, root = await world.client(f"{WARDEN}/desk"), await world.client("root@example.com/desk")
    await world.store.accounts.delete(root.s.account.id)
    assert await asked(warden, "root") == "forbidden"
    assert await asked(warden, "Root") == "forbidden"
    token = await asked(root, "root")
    assert await register(world, token, "other") == "not-acceptable"
    assert await register(world, token, "root") == ROOT
    assert await register(world, await token_for(world, name="kept"), "kept") == "kept@example.com"


@pytest_twisted.ensureDeferred
async def test_when_it_is_over(world: World) -> None:
    """After its days, or when who invited may not log in any more; a name kept for somebody is free again then."""
    alice = await world.client(f"{PERSON}/x")
    by_alice, kept = await token_for(world, inviter=PERSON), await token_for(world, name="john")
    assert await register(world, await token_for(world), "john") == "conflict"
    await world.store.accounts.set_disabled(alice.s.account.id, True)
    assert await register(world, by_alice, "friend") == "item-not-found"
    await world.store.accounts.set_disabled(alice.s.account.id, False)
    assert await register(world, by_alice, "friend") == "friend@example.com"
    later = world.apis["invitations"].now() + 400 * 86400
    world.apis["invitations"].now = lambda: later
    assert await register(world, kept, "john") == "item-not-found"
    assert await register(world, await token_for(world), "john") == "john@example.com"
