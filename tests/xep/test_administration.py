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
from chatd.xep.notices import Notices
from chatd.xep.offline import Offline
from chatd.xep.presence import Presence
from chatd.xep.roster import Roster
from tests.xep.world import Client, World

ADMIN, DOMAIN_ADMIN, PERSON = (f"{name}@example.com" for name in ("root", "warden", "alice"))


class Site:
    """A world with administrators, and the commands of chatctl behind it."""

    @classmethod
    async def open(cls) -> Site:
        site = cls()
        site.world = world = await World.open(Roster, Presence, Messages, Offline, Disco, AdhocCommands)
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

        world.start(Notices)
        for offered in world.apis["notices"].commands:
            commands.register(offered.words, offered.run, offered.says)
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
    assert seen == {"root": 26, "warden": 26, "alice": 0}
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
    ("get-user-roster", {"accountjids": ["x@example.com"]}, ("item-not-found",)),
    ("get-user-roster", {"accountjids": [PERSON, ADMIN]}, ("not-acceptable",)),
    ("user-stats", {"accountjid": "x@example.net"}, ("forbidden",)),
    ("set-motd", {"motd": "x" * 8193}, ("not-acceptable",)),
    ("set-welcome", {"welcome": " "}, ("bad-request", "bad-payload")),
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
    ("get-user-roster", {"accountjids": [ADMIN]}),
    ("user-stats", {"accountjid": ADMIN}),
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
async def test_contacts_and_clients_of_an_account() -> None:
    site = await Site.open()
    await site.alice.ask_iq("set", "<query xmlns='jabber:iq:roster'><item jid='romeo@example.net' name='R'>"
                                   "<group>Friends</group></item></query>")
    await site.world.client(f"{PERSON}/phone")
    answer = await run(site.root, "get-user-roster", accountjids=[PERSON])
    form_, item = answer.element.command.x, answer.element.command.x.query.item
    assert (item["jid"], item["name"], str(item.group)) == ("romeo@example.net", "R", "Friends")
    assert [str(field.value) for field in form_.elements() if field.name == "field"] == [ns.ADMIN, PERSON]
    site.alice.address = "192.0.2.7"        # type: ignore[attr-defined]
    site.world.router.accounts.find(PERSON).sessions["phone"].stream = None
    answer = await run(site.root, "user-stats", accountjid=PERSON)
    told = {field["var"]: [str(value) for value in field.elements()] for field in answer.element.command.x.elements()}
    assert told.pop("FORM_TYPE") == [ns.ADMIN]
    assert told == {"accountjid": [PERSON], "ipaddresses": ["192.0.2.7"], "rostersize": ["1"],
                    "onlineresources": ["desk", "phone"]}
    await site.world.close()


@pytest_twisted.ensureDeferred
async def test_who_is_active() -> None:
    """Somebody who is away, whose client nobody looks at, or whose link is cut, is online and idle."""
    site = await Site.open()

    async def values(word: str) -> list[bytes]:
        answer = await (run(site.root, word) if word.endswith("users") else site.root.ask_iq(
            "set", command(f"{ns.ADMIN}#{word}"), "example.com"))
        return re.findall(rb"<value>([^<]*)", answer.inner)[1:]

    assert await values("get-active-users") == [b"alice@example.com", b"root@example.com", b"warden@example.com"]
    await site.alice.send_xml("<presence><show>away</show></presence>")
    assert await values("get-idle-users") == [b"alice@example.com"]
    site.warden.s.inactive = True
    assert [await values(f"get-{kind}-users-num") for kind in ("active", "idle")] == [[b"1"], [b"2"]]
    await site.world.client(f"{PERSON}/phone")
    assert await values("get-active-users") == [b"alice@example.com", b"root@example.com"], "one client is enough"
    site.alice.s.stream = None
    await site.alice.send_xml("<presence/>")
    assert await values("get-idle-users") == [b"warden@example.com"]
    await site.world.close()


def told(client: Client) -> list[tuple[str, str]]:
    """Types and bodies of what came."""
    return [(message.type or "", str(message.element.body)) for message in client.take("message")]


@pytest_twisted.ensureDeferred
async def test_a_message_of_the_day() -> None:
    """Each account once: who is online at once, with all clients; others when they come. Corrected, it is not told
    again to anybody; another is. Nobody of another domain hears of it."""
    site = await Site.open()
    world = site.world
    assert condition(await site.root.ask_iq("set", command(f"{ns.ADMIN}#edit-motd"), "example.com")) == (
        "item-not-found",)
    stranger = await world.client("bob@example.net/x")
    await run(site.root, "set-motd", motd=["Tea &amp;", "cake"])
    assert told(site.alice) == [("headline", "Tea &\ncake")] and told(stranger) == []
    late = await world.client("late@example.com/1", available=False)
    assert told(late) == []
    await late.send_xml("<presence/>")
    assert told(late) == [("headline", "Tea &\ncake")]
    await late.send_xml("<presence type='unavailable'/>")
    await late.send_xml("<presence/>")
    await site.alice.send_xml("<presence type='unavailable'/>")
    await site.alice.send_xml("<presence/>")
    assert told(late) == told(site.alice) == []
    asked = await site.root.ask_iq("set", command(f"{ns.ADMIN}#edit-motd"), "example.com")
    [field] = [field for field in asked.element.command.x.elements() if field.getAttribute("var") == "motd"]
    assert [str(value) for value in field.elements() if value.name == "value"] == ["Tea &", "cake"]
    assert (await run(site.root, "edit-motd", motd="Coffee")).type == "result"
    newest = await world.client("newest@example.com/1", available=False)
    await newest.send_xml("<presence/>")
    assert told(newest) == [("headline", "Coffee")] and told(site.alice) == []
    world.apis["notices"].now = lambda: 4e9
    await run(site.root, "set-motd", motd="Tomorrow")
    assert told(site.alice) == told(newest) == [("headline", "Tomorrow")]
    for account in world.router.accounts.known():
        account.state.pop("notices", None)          # as after a restart: the store knows
    world.modules.pop("notices").stop()
    world.apis.pop("notices").release()
    world.start(Notices)
    await world.settle()
    for client in (site.alice, newest):
        await client.send_xml("<presence type='unavailable'/>")
        await client.send_xml("<presence/>")
        assert told(client) == []
    await world.apis["notices"].commands[2].run({"domain": "example.com"})
    last = await world.client("last@example.com/1", available=False)
    await last.send_xml("<presence/>")
    assert told(last) == []
    await world.close()


@pytest_twisted.ensureDeferred
async def test_nobody_misses_the_message_of_the_day() -> None:
    """Whose client wants no messages, or is gone before it is told, gets it later."""
    site = await Site.open()
    silent = await site.world.client("silent@example.com/1")
    await silent.send_xml("<presence><priority>-1</priority></presence>")
    await run(site.root, "set-motd", motd="Tea")
    late = await site.world.client("late@example.com/1", available=False)
    await late.send_xml("<presence><priority>-5</priority></presence>")
    hasty = await site.world.client("hasty@example.com/1", available=False)
    for event in hasty.framer.feed(b"<presence/><presence type='unavailable'/>"):
        hasty.s.receive(event)
    await site.world.settle()
    assert told(silent) == told(late) == told(hasty) == []
    for client in (silent, late, hasty):
        await client.send_xml("<presence/>")
        assert told(client) == [("headline", "Tea")], client.s.full
    await site.world.close()


@pytest_twisted.ensureDeferred
async def test_a_welcome_message() -> None:
    """It waits for each new account, not for those that were imported, and not after it was taken back."""
    site = await Site.open()
    tell = site.world.router.hooks.tell

    async def new(name: str, *events: str) -> list[tuple[str, str]]:
        await site.world.store.accounts.create(name, "example.com", {}, 0.0)
        for event in events:
            tell(event, f"{name}@example.com")
        await site.world.settle()
        client = await site.world.client(f"{name}@example.com/1", available=False)
        await client.send_xml("<presence/>")
        return told(client)

    assert await new("a", "account.created") == []
    assert (await run(site.root, "set-welcome", welcome="Hello")).type == "result"
    assert await new("b", "account.created") == [("normal", "Hello")]
    assert await new("c", "account.imported", "account.created") == []
    done = await site.root.ask_iq("set", command(f"{ns.ADMIN}#delete-welcome"), "example.com")
    assert b'status="completed"' in done.inner
    assert await new("d", "account.created") == []
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
