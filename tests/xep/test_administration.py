"""Ad-hoc commands (XEP-0050) and administration by them (XEP-0133): the forms, who may, every refusal's condition."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, maybeDeferred

from chatd.auth.passwords import make_verifiers
from chatd.commands import UserCommands
from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.server.control import CommandError, Commands
from chatd.xep.adhoc import AdhocCommands
from chatd.xep.administration import Administration
from chatd.xep.disco import Disco
from chatd.xep.message import Messages
from chatd.xep.presence import Presence
from chatd.xep.roster import Roster
from tests.xep.world import Client, World

ADMIN, DOMAIN_ADMIN, PERSON = (f"{name}@example.com" for name in ("root", "warden", "alice"))


class Site:
    """A world with administrators, and the commands of chatctl behind it."""

    @classmethod
    async def open(cls) -> Site:
        site = cls()
        site.world = world = await World.open(Roster, Presence, Messages, Disco, AdhocCommands)
        world.settings.server.admins = (ADMIN,)
        world.settings.domain = lambda name: SimpleNamespace(admins=(DOMAIN_ADMIN,) if name == "example.com" else ())
        commands = Commands()

        async def verifiers(password: str, iterations: int) -> Any:
            return make_verifiers(password, iterations)

        UserCommands(
            store=world.store, accounts=world.router.accounts, make_verifiers=verifiers,
            domains=lambda: world.router.domains, iterations=lambda: 4096, now=lambda: 5.0).register(commands)
        site.done = []

        def perform(words: str, arguments: Any) -> Deferred[Any]:
            def refused(failure: Any) -> None:
                failure.trap(CommandError)
                raise StanzaError(failure.value.condition, text=failure.value.text)

            site.done.append(words)
            if words in ("announce", "shutdown"):
                site.said = arguments
                return maybeDeferred(lambda: {"accounts": 2})
            return commands.run(words, arguments).addErrback(refused)

        world.start(Administration)
        world.apis["administration"].perform = perform
        site.root, site.warden, site.alice = [
            await world.client(f"{bare}/desk") for bare in (ADMIN, DOMAIN_ADMIN, PERSON)]
        return site


def command(node: str, inner: str = "", session: str = "", action: str = "") -> str:
    more = (f" sessionid='{session}'" if session else "") + (f" action='{action}'" if action else "")
    return f"<command xmlns='{ns.COMMANDS}' node='{node}'{more}>{inner}</command>"


def form(kind: str = ns.ADMIN, **values: str | list[str]) -> str:
    fields = "".join(
        f"<field var='{var.replace('_', '-') if var == 'password_verify' else var}'>"
        + "".join(f"<value>{value}</value>" for value in ([given] if isinstance(given, str) else given)) + "</field>"
        for var, given in values.items())
    return (f"<x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'><value>{kind}</value></field>{fields}</x>")


async def begin(client: Client, word: str, to: str = "example.com") -> str:
    answer = await client.ask_iq("set", command(f"{ns.ADMIN}#{word}", action="execute"), to)
    assert answer.type == "result" and b'status="executing"' in answer.inner, answer.inner
    found = re.search(rb'sessionid="([^"]+)"', answer.inner)
    assert found is not None
    return found[1].decode()


async def run(client: Client, word: str, to: str = "example.com", **values: Any) -> Any:
    session = await begin(client, word, to)
    return await client.ask_iq("set", command(f"{ns.ADMIN}#{word}", form(**values), session), to)


def condition(answer: Any) -> tuple[str, ...]:
    assert answer.type == "error", answer.inner
    error = next(child for child in answer.element.elements() if child.name == "error")
    return tuple(child.name for child in error.elements() if child.name != "text")


@pytest_twisted.ensureDeferred
async def test_who_sees_and_may() -> None:
    site = await Site.open()
    ask = f"<query xmlns='{ns.DISCO_ITEMS}' node='{ns.COMMANDS}'/>"
    seen = {name: (await getattr(site, name).ask_iq("get", ask, "example.com")).inner.count(b"<item ")
            for name in ("root", "warden", "alice")}
    assert seen == {"root": 15, "warden": 15, "alice": 0}
    assert (await site.warden.ask_iq("get", ask, "example.net")).inner.count(b"<item ") == 0
    for client, to in ((site.alice, "example.com"), (site.warden, "example.net")):
        answer = await client.ask_iq("set", command(f"{ns.ADMIN}#add-user"), to)
        assert condition(answer) == ("forbidden",)
    info = await site.root.ask_iq("get", f"<query xmlns='{ns.DISCO_INFO}' node='{ns.ADMIN}#add-user'/>", "example.com")
    assert ns.DATA.encode() in info.inner and b'category="automation" type="command-node"' in info.inner
    assert b"server" not in info.inner
    assert condition(await site.alice.ask_iq(
        "get", f"<query xmlns='{ns.DISCO_INFO}' node='{ns.ADMIN}#add-user'/>", "example.com")) == ("item-not-found",)
    assert site.done == []
    await site.world.close()


@pytest_twisted.ensureDeferred
async def test_accounts() -> None:
    """Made, changed, disabled, enabled, disconnected, deleted: each by chatctl's own command."""
    site = await Site.open()
    answer = await run(site.root, "add-user", accountjid="new@example.com", password="p", password_verify="p")
    assert answer.type == "result" and b'status="completed"' in answer.inner and b"can log in" in answer.inner
    assert (await run(site.root, "change-user-password", accountjid="new@example.com", password="q")).type == "result"
    for word in ("disable-user", "reenable-user", "end-user-session"):
        assert (await run(site.root, word, accountjids=[PERSON])).type == "result"
    assert site.alice.closed is not None and site.alice.closed != "open"
    answer = await run(site.root, "delete-user", accountjids=["new@example.com", "nobody@example.com"])
    assert b'<note type="warn">1 deleted. There is no account nobody@example.com.</note>' in answer.inner
    assert site.done == ["user add", "user passwd", "user disable", "user enable", "user end-session", "user delete",
                         "user delete"]
    await site.world.close()


@pytest_twisted.ensureDeferred
async def test_one_session_of_several() -> None:
    site = await Site.open()
    other = await site.world.client(f"{PERSON}/phone")
    assert (await run(site.root, "end-user-session", accountjids=[f"{PERSON}/phone"])).type == "result"
    assert other.closed != "open" and site.alice.closed == "open"
    assert condition(await run(site.root, "end-user-session", accountjids=[f"{PERSON}/none"])) == ("item-not-found",)
    await site.world.close()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("word", "values", "wanted"), [
    ("add-user", {"accountjid": PERSON, "password": "p", "password_verify": "p"}, ("conflict",)),
    ("add-user", {"accountjid": "x@example.com", "password": "p", "password_verify": "q"}, ("not-acceptable",)),
    ("add-user", {"accountjid": "x@example.net", "password": "p", "password_verify": "p"}, ("forbidden",)),
    ("add-user", {"accountjid": "example.com", "password": "p", "password_verify": "p"}, ("jid-malformed",)),
    ("add-user", {"accountjid": "a@@", "password": "p", "password_verify": "p"}, ("jid-malformed",)),
    ("add-user", {"accountjid": "x@example.com"}, ("bad-request", "bad-payload")),
    ("change-user-password", {"accountjid": "x@example.com", "password": "p"}, ("item-not-found",)),
    ("delete-user", {"accountjids": ["x@example.com", "y@example.net"]}, ("forbidden",)),
    ("delete-user", {"accountjids": "x@example.com/desk"}, ("jid-malformed",)),
    ("get-user-lastlogin", {"accountjid": "x@example.com"}, ("item-not-found",)),
    ("add-user", {"accountjid": "x@example.com", "password": "p", "password_verify": "p", "kind": "urn:x"},
     ("bad-request",)),
])
async def test_refusals(word: str, values: dict[str, Any], wanted: tuple[str, ...]) -> None:
    site = await Site.open()
    assert condition(await run(site.root, word, **values)) == wanted
    await site.world.close()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("word", "values"), [
    ("change-user-password", {"accountjid": ADMIN, "password": "p"}),
    ("disable-user", {"accountjids": [PERSON, ADMIN]}),
    ("delete-user", {"accountjids": [ADMIN]}),
    ("end-user-session", {"accountjids": [f"{ADMIN}/desk"]}),
    ("add-user", {"accountjid": ADMIN, "password": "p", "password_verify": "p"}),
])
async def test_who_administers_a_domain_leaves_those_of_all_alone(word: str, values: dict[str, Any]) -> None:
    site = await Site.open()
    assert condition(await run(site.warden, word, **values)) == ("forbidden",)
    assert site.done == [] and site.root.closed == "open"
    await site.world.close()


@pytest_twisted.ensureDeferred
async def test_sessions_of_commands() -> None:
    """XEP-0050 4.4: somebody else's session, an ended one, what cannot be done."""
    site = await Site.open()
    node = f"{ns.ADMIN}#delete-user"

    async def ask(client: Client, inner: str) -> tuple[str, ...]:
        return condition(await client.ask_iq("set", inner, "example.com"))

    session = await begin(site.root, "delete-user")
    assert await ask(site.warden, command(node, form(accountjids=PERSON), session)) == ("bad-request", "bad-sessionid")
    assert await ask(site.root, command(f"{ns.ADMIN}#disable-user", "", session)) == ("bad-request", "bad-sessionid")
    assert await ask(site.root, command(node, "", session, "prev")) == ("bad-request", "bad-action")
    assert await ask(site.root, command(node, "", session, "dance")) == ("bad-request", "malformed-action")
    assert await ask(site.root, command(node, "", session)) == ("bad-request", "bad-payload")
    assert await ask(site.root, command(node, "", "", "complete")) == ("bad-request", "bad-action")
    assert await ask(site.root, command(node, "", "none")) == ("not-allowed", "session-expired")
    assert await ask(site.root, command("nothing")) == ("item-not-found",)
    answer = await site.root.ask_iq("set", command(node, "", session, "cancel"), "example.com")
    assert b'status="canceled"' in answer.inner
    assert await ask(site.root, command(node, "", session, "cancel")) == ("not-allowed", "session-expired")
    assert site.done == []
    await site.world.close()


@pytest_twisted.ensureDeferred
async def test_who_there_is() -> None:
    site = await Site.open()
    await site.world.store.accounts.create("asleep", "example.com", {}, 0.0)
    await run(site.root, "disable-user", accountjids="asleep@example.com")

    async def value(word: str) -> bytes:
        answer = await site.root.ask_iq("set", command(f"{ns.ADMIN}#{word}"), "example.com")
        return re.findall(rb"<value>([^<]*)", answer.inner)[-1]

    assert [await value(f"get-{kind}-users-num") for kind in ("registered", "disabled", "online")] == [b"4", b"1", b"3"]
    answer = await run(site.root, "get-registered-users-list", max_items="25")
    assert answer.inner.count(b"@example.com") == 4
    answer = await run(site.root, "get-online-users-list")
    assert b"asleep" not in answer.inner and answer.inner.count(b"@example.com") == 3
    assert b"asleep@example.com" in (await run(site.root, "get-disabled-users-list", max_items="none")).inner
    assert b"<value>never</value>" in (await run(site.root, "get-user-lastlogin", accountjid=PERSON)).inner
    await site.world.close()


@pytest_twisted.ensureDeferred
async def test_everybody() -> None:
    """Announcements reach the domain that was asked; only who administers all may end the daemon."""
    site = await Site.open()
    assert (await run(site.warden, "announce", announcement=["one", "two"])).type == "result"
    assert site.said == {"domain": "example.com", "text": "one\ntwo"}
    assert condition(await run(site.warden, "shutdown", delay="30")) == ("forbidden",)
    assert (await run(site.root, "shutdown", delay="60", announcement="bye")).type == "result"
    assert site.said == {"delay_s": 60, "text": "bye"}
    await site.world.close()
