"""Groups of the organisation inside: who is told what when they change, a bit at a time, and what colleagues publish.

What clients see of it is in tests/integration/test_organisation_live.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import defer

from chatd.core import ns
from chatd.core.stanza import Stanza
from chatd.xep.api import Module
from chatd.xep.organisation import OrganisationGroups
from tests.xep import pep_kit
from tests.xep.pep_kit import TUNE, events, listen, publish
from tests.xep.world import Client, World, turn

DOMAIN = "example.com"
ROSTER = f"{ns.ROSTER} query"


class Directories:
    """The people of a domain, as the module sees an IDirectories."""

    def __init__(self) -> None:
        self.departments: dict[str, str] = {}
        self.without_account: set[str] = set()
        self._watching: Callable[[str], None] = lambda domain: None

    def everybody(self, domain: str) -> Iterable[Any]:
        """See IDirectories."""
        return [SimpleNamespace(jid=jid, name=jid.partition("@")[0].title(), department=department)
                for jid, department in self.departments.items()]

    def has_account(self, jid: str) -> bool:
        """See IDirectories."""
        return jid not in self.without_account

    def watch(self, changed: Callable[[str], None]) -> Callable[[], None]:
        """See IDirectories."""
        self._watching = changed
        return lambda: None

    def read(self, **departments: str) -> None:
        """The directory is read, and says this of these people."""
        self.departments.update({f"{name}@{DOMAIN}": said for name, said in departments.items()})
        self._watching(DOMAIN)


class Directory(Module):
    """Stands for the module the groups need."""

    name = "directory"


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    """With a group for each department, of people who publish."""
    made = await pep_kit.open_world()
    made.directories = Directories()
    made.settings.domains = [SimpleNamespace(name=DOMAIN, directory=("some",), groups_by_department=True, group=())]
    made.settings.limits.group_members = 1000
    made.start(Directory)
    made.start(OrganisationGroups)
    yield made
    await made.close()


def pushes(client: Client) -> list[tuple[str, str, str]]:
    """Who was pushed, how, and the version; forgets the rest."""
    found = []
    for iq in client.got:
        if iq.payload == ROSTER and iq.type == "set":
            query = iq.element.query
            found.append((query.item["jid"], query.item["subscription"], query["ver"]))
    client.got.clear()
    return found


async def fetched(client: Client) -> str:
    """The roster's version as the client gets it; from now on it is told of changes."""
    answer = await client.ask_iq("get", f"<query xmlns='{ns.ROSTER}' ver=''/>")
    return str(answer.element.query["ver"])


async def announced(world: World) -> None:
    """Until nobody is left to be told."""
    while world.modules["organisation"]._untold:            # type: ignore[attr-defined]
        await world.settle()
    await world.settle()


@pytest_twisted.ensureDeferred
async def test_colleagues_get_what_was_published_last(world: World) -> None:
    """By the group alone, who is no contact otherwise: at the log-in, and when they become colleagues meanwhile."""
    world.directories.read(ann="Sales", ben="Sales", cat="Board")
    ann = await world.client("ann@example.com/a")
    await publish(ann, TUNE, "of ann")
    await publish(ann, "urn:few", "for few", access_model="roster", roster_groups_allowed=["Board"])
    ann.s.close()
    ben, cat = await world.client("ben@example.com/b"), await world.client("cat@example.com/c")
    await listen(ben, TUNE, "urn:few")
    await listen(cat, TUNE, "urn:few")
    assert events(ben) == [("ann@example.com", TUNE, [("item", "of ann")])]
    assert events(cat) == []
    world.directories.read(ann="Board")
    await announced(world)
    assert sorted(events(cat)) == [("ann@example.com", TUNE, [("item", "of ann")]),
                                   ("ann@example.com", "urn:few", [("item", "for few")])]
    assert events(ben) == []


@pytest_twisted.ensureDeferred
async def test_others_are_served_while_a_large_group_is_told(world: World) -> None:
    """Of many thousand pushes no more than a moment's worth happens between two turns of the reactor."""
    count = 150
    names = [f"p{number}" for number in range(count)]
    clients = [await world.client(f"{name}@{DOMAIN}/x", available=False) for name in names]
    for client in clients:
        client.s.interested = True
        client.s.presence = Stanza("presence", {"from": client.s.full})
    world.directories.read(**dict.fromkeys(names, "All"))
    turns = 0
    while world.modules["organisation"]._untold:            # type: ignore[attr-defined]
        await turn()
        turns += 1
    await world.settle()
    assert all(len(pushes(client)) == count - 1 for client in clients)
    assert turns > 3, "it was all done in one go"


@pytest_twisted.ensureDeferred
async def test_one_more_in_a_large_group_is_one_push_each(world: World) -> None:
    """And groups are compared once, not once for each of their members."""
    names = [f"p{number}" for number in range(60)]
    world.directories.without_account.add(f"p0@{DOMAIN}")
    world.directories.read(**dict.fromkeys(names, "All"))
    clients = [await world.client(f"{name}@{DOMAIN}/x") for name in names[1:]]
    for client in clients:
        client.s.interested = True
    compared: list[Any] = []

    class Counted(dict[str, str]):
        def items(self) -> Any:
            compared.append(self)
            return super().items()

    organisation = world.modules["organisation"]._organisations[DOMAIN]     # type: ignore[attr-defined]
    object.__setattr__(organisation._groups["All"], "members", Counted(organisation._groups["All"].members))
    world.directories.without_account.clear()
    world.router.hooks.tell("account.created", f"p0@{DOMAIN}")
    await announced(world)
    assert [[jid for jid, _, _ in pushes(client)] for client in clients] == [[f"p0@{DOMAIN}"]] * len(clients)
    assert len(compared) <= 2, "once for pushes, once for presence"


@pytest_twisted.ensureDeferred
async def test_versions_while_it_is_told(world: World) -> None:
    """A client that goes away in the middle asks again: only the last push has the version of all, also where the
    owner changes something himself or the directory is read again meanwhile."""
    world.directories.read(ann="Sales", ben="Sales")
    ann = await world.client("ann@example.com/a")
    before = await fetched(ann)
    names = dict.fromkeys([f"p{number}" for number in range(9)], "Sales")
    world.directories.read(**names)
    await ann.send_xml("<iq type='set' id='own'><query xmlns='jabber:iq:roster'><item jid='z@example.net'/>"
                       "</query></iq>")
    world.directories.read(p9="Sales")
    await announced(world)
    told = pushes(ann)
    after = await fetched(ann)
    assert {jid for jid, _, _ in told} == {f"{name}@{DOMAIN}" for name in (*names, "p9")} | {"z@example.net"}
    assert told[-1][2] == after, "the last one has it"
    groups = {version.partition("-")[2] for _, _, version in told[:-1]}
    assert after.partition("-")[2] not in groups and before.partition("-")[2] in groups
    assert (await ann.ask_iq("get", f"<query xmlns='{ns.ROSTER}' ver='{after}'/>")).inner == b""


@pytest_twisted.ensureDeferred
async def test_who_cannot_be_told_keeps_nobody_else_from_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A push, a presence or a hook that fails; his clients ask for the roster again."""
    ann, ben, cat = [await world.client(f"{name}@{DOMAIN}/x") for name in ("ann", "ben", "cat")]
    versions = {client: await fetched(client) for client in (ann, ben, cat)}
    seen: list[str] = []

    def broken_for(call: Callable[[Any, Any], Any], name: str) -> Callable[[Any, Any], Any]:
        def instead(account: Any, what: Any) -> Any:
            if account.bare == f"{name}@{DOMAIN}":
                raise RuntimeError(name)
            return call(account, what)

        return instead

    roster, presence, hooks = world.modules["roster"], world.modules["presence"], world.router.hooks
    monkeypatch.setattr(roster, "push", broken_for(roster.push, "ann"))         # type: ignore[attr-defined]
    monkeypatch.setattr(presence, "show", broken_for(presence.show, "ben"))     # type: ignore[attr-defined]
    hooks.on("organisation.seen", broken_for(lambda account, _: defer.fail(RuntimeError()), ""), priority=1)
    hooks.on("organisation.seen", broken_for(lambda account, _: seen.append(account.bare), "ann"), priority=1)
    world.directories.read(ann="Sales", ben="Sales", cat="Sales")
    await announced(world)
    assert {(client.s.full[:3], presence.attrs["from"][:3]) for client in (ann, ben, cat)
            for presence in client.got if presence.name == "presence"} >= {("ann", "cat"), ("ben", "cat")}
    assert [len(pushes(client)) for client in (ann, ben, cat)] == [0, 2, 2]
    assert seen == [f"cat@{DOMAIN}"]
    for client, version in versions.items():
        answer = await client.ask_iq("get", f"<query xmlns='{ns.ROSTER}' ver='{version}'/>")
        assert answer.inner.count(b"<item ") == 2


@pytest_twisted.ensureDeferred
async def test_it_ends_with_the_module(world: World) -> None:
    """Nobody is told any more once the server stops."""
    names = [f"p{number}" for number in range(40)]
    clients = [await world.client(f"{name}@{DOMAIN}/x") for name in names]
    for client in clients:
        client.s.interested = True
        client.take()
    world.directories.read(**dict.fromkeys(names, "All"))
    world.modules.pop("organisation").stop()
    world.apis.pop("organisation").release()
    for _ in range(5):
        await world.settle()
    assert [pushes(client) for client in clients] == [[]] * len(clients)
