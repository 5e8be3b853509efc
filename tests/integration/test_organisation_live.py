"""The organisation's groups in a running daemon: rosters, versions, presence, and what people may do with them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from slixmpp.exceptions import IqError

from chatd.core import ns
from tests.daemon import DOMAIN, Daemon, running
from tests.integration.slix import PLUGINS, Client

ANN, BEN, CAT, DAN = (f"{name}@{DOMAIN}" for name in ("ann", "ben", "cat", "dan"))
HEAD = "name,address,department\n"
ROWS = {ANN: "Ann Adams,ann,Sales\n", BEN: "Ben Björk,ben,Sales\n", CAT: "Cat,cat,\n", DAN: "Dan,dan,Sales\n"}
ITEM = f"{{{ns.ROSTER}}}item"


@pytest.fixture
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Ann and Ben are in Sales, Ann and Cat on the board; Dan is in Sales and has never logged in."""
    folder = Path(tmp_path_factory.mktemp("organisation"))
    (folder / "people.csv").write_text(HEAD + "".join(ROWS.values()))
    domain = ('groups_by_department = true\n[[domain.directory]]\nkind = "file"\npath = "people.csv"\n'
             '[[domain.group]]\nname = "Board"\nmembers = ["ann", "cat@chat.example"]\n')
    with running(folder, ANN, BEN, CAT, domain_extra=domain) as daemon:
        yield daemon


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 120))


class Person(Client):
    """A client that keeps roster pushes as they come."""

    def __init__(self, daemon: Daemon, address: str) -> None:
        super().__init__(daemon, address, plugins=PLUGINS)
        self.pushes: asyncio.Queue[Any] = asyncio.Queue()
        self.add_event_handler("roster_update", lambda iq: iq["type"] == "set" and self.pushes.put_nowait(iq))

    async def fetched(self, version: str = "") -> tuple[dict[str, tuple[str, str, list[str]]] | None, str]:
        """Items as name, subscription, groups; None where nothing has changed; and the version."""
        answer = await self.ask("get", f"<query xmlns='{ns.ROSTER}' ver='{version}'/>")
        query = answer.xml.find(f"{{{ns.ROSTER}}}query")
        if query is None:
            return None, version
        return {item.get("jid"): shown(item) for item in query.iter(ITEM)}, query.get("ver")

    async def pushed(self, jid: str) -> tuple[tuple[str, str, list[str]], str]:
        """The next push about somebody, and its version."""
        while True:
            iq = await asyncio.wait_for(self.pushes.get(), 30)
            item = next(iq.xml.iter(ITEM))
            if item.get("jid") == jid:
                return shown(item), next(iq.xml.iter(f"{{{ns.ROSTER}}}query")).get("ver")


def shown(item: Any) -> tuple[str, str, list[str]]:
    return item.get("name", ""), item.get("subscription"), [str(group.text) for group in item]


def test_everybody_has_them_and_sees_them(daemon: Daemon) -> None:
    async def test() -> None:
        async with Person(daemon, ANN) as ann, Person(daemon, BEN) as ben:
            assert (await ann.presence_of(BEN))["from"].bare == BEN
            assert (await ben.presence_of(ANN))["from"].bare == ANN
            items, version = await ann.fetched()
            assert items == {BEN: ("Ben Björk", "both", ["Sales"]), CAT: ("Cat", "both", ["Board"])}
            assert await ann.fetched(version) == (None, version)
            items, _ = await ben.fetched()
            assert items == {ANN: ("Ann Adams", "both", ["Sales"])}
            last = await ann.ask("get", f"<query xmlns='{ns.LAST}'/>", to=BEN)
            assert last["type"] == "result", "who sees presence may ask since when it is away"

    run(test())


def test_what_people_may_do_with_them(daemon: Daemon) -> None:
    """Name and group them, and nothing else; what they do stays theirs."""

    async def test() -> None:
        async with Person(daemon, ANN) as ann, Person(daemon, BEN) as ben:
            await ann.fetched()
            await ann.update_roster(BEN, name="Benny", groups=["Sales", "Friends"])
            item, version = await ann.pushed(BEN)
            assert item == ("Benny", "both", ["Sales", "Friends"])
            assert await ann.fetched(version) == (None, version)
            with pytest.raises(IqError, match="not-allowed") as refused:
                await ann.del_roster_item(CAT)
            assert "Everybody in Board has this contact" in refused.value.iq["error"]["text"]
            with pytest.raises(IqError, match="not-allowed"):
                await ann.del_roster_item(BEN)
            for kind in ("unsubscribe", "unsubscribed", "subscribe", "subscribed"):
                ann.send_presence_subscription(pto=BEN, ptype=kind)
                assert (await ann.pushed(BEN))[0] == ("Benny", "both", ["Sales", "Friends"])
            ann.send_message(mto=BEN, mbody="still here", mtype="chat")
            assert [one["type"] for one in await ben.nothing_before(ann, "still here")
                    if one["type"].startswith(("subscri", "unsubscri"))] == []
            assert (await ben.fetched())[0] == {ANN: ("Ann Adams", "both", ["Sales"])}

    run(test())
    daemon.stop()
    daemon.start()

    async def later() -> None:
        async with Person(daemon, ANN) as ann:
            assert (await ann.fetched())[0] == {BEN: ("Benny", "both", ["Sales", "Friends"]),
                                               CAT: ("Cat", "both", ["Board"])}

    run(later())


@pytest.mark.long
def test_who_comes_and_who_leaves(daemon: Daemon) -> None:
    """A first log-in, a changed department, a deleted account: rosters, versions and presence follow at once."""
    path = daemon.folder / "people.csv"

    async def test() -> None:
        async with Person(daemon, ANN) as ann, Person(daemon, BEN) as ben:
            _, before = await ann.fetched()
            await ben.fetched()
            await asyncio.to_thread(daemon.add, DAN)
            item, version = await ann.pushed(DAN)
            assert item == ("Dan", "both", ["Sales"]) and version != before
            assert (await ben.pushed(DAN))[0] == item
            async with Person(daemon, DAN) as dan:
                await ann.presence_of(DAN)
                await dan.presence_of(ANN)
                items, _ = await dan.fetched()
                assert items is not None and sorted(items) == [ANN, BEN]
                assert (await ann.fetched(before))[0] is not None, "an old version gets the whole roster"
                await ben.update_roster(DAN, name="Danny", groups=[])
                assert (await ben.pushed(DAN))[0] == ("Danny", "both", ["Sales"])
                path.write_text(HEAD + ROWS[ANN] + ROWS[BEN] + ROWS[CAT] + "Dan,dan,Lab\n")
                assert (await ann.pushed(DAN))[0][1] == "remove"
                assert (await ben.pushed(DAN))[0][1] == "remove"
                assert {(await dan.pushed(jid))[0][1] for jid in (ANN, BEN)} == {"remove"}
                await ann.presence_of(DAN, "unavailable")
                await dan.presence_of(BEN, "unavailable")
                items, _ = await ben.fetched()
                assert items is not None and DAN not in items, "a name given to a colleague goes with the group"
            path.write_text(HEAD + "".join(ROWS.values()))
            assert (await ann.pushed(DAN))[0] == ("Dan", "both", ["Sales"])
            assert (await ben.pushed(DAN))[0] == ("Danny", "both", ["Sales"])
            await asyncio.to_thread(daemon.ctl, "user", "delete", DAN, "--yes")
            assert (await ann.pushed(DAN))[0][1] == "remove"
        groups = (await asyncio.to_thread(daemon.ctl, "directory", "groups"))["result"]
        assert [(row["group"], row["members"]) for row in groups] == [("Board", 2), ("Sales", 2)]

    run(test())


@pytest.mark.long
def test_contacts_by_their_own_wish_stay_when_the_group_goes(daemon: Daemon) -> None:
    """Ben and Cat are friends before they are colleagues and afterwards; removal ends only the friendship."""
    path = daemon.folder / "people.csv"

    async def test() -> None:
        async with Person(daemon, BEN) as ben, Person(daemon, CAT) as cat:
            await ben.fetched()
            await cat.fetched()
            ben.send_presence_subscription(pto=CAT, ptype="subscribe")
            await cat.presence_of(BEN, "subscribe")
            cat.send_presence_subscription(pto=BEN, ptype="subscribed")
            cat.send_presence_subscription(pto=BEN, ptype="subscribe")
            await ben.presence_of(CAT, "subscribe")
            ben.send_presence_subscription(pto=CAT, ptype="subscribed")
            while (await ben.pushed(CAT))[0] != ("", "both", []):
                pass
            while (await cat.pushed(BEN))[0][1] != "both":
                pass
            path.write_text(HEAD + ROWS[ANN] + ROWS[BEN] + "Cat,cat,Sales\n" + ROWS[DAN])
            assert (await ben.pushed(CAT))[0] == ("Cat", "both", ["Sales"])
            await ben.update_roster(CAT, name="Cathy", groups=["Sales", "Friends"])
            path.write_text(HEAD + "".join(ROWS.values()))
            while (item := (await ben.pushed(CAT))[0])[2] != ["Friends"]:
                pass
            assert item == ("Cathy", "both", ["Friends"])
            path.write_text(HEAD + ROWS[ANN] + ROWS[BEN] + "Cat,cat,Sales\n" + ROWS[DAN])
            while (await cat.pushed(BEN))[0] != ("Ben Björk", "both", ["Sales"]):
                pass
            await ben.del_roster_item(CAT)
            while (item := (await ben.pushed(CAT))[0])[2] != ["Sales"]:
                pass
            assert item == ("Cat", "both", ["Sales"])
            cat.send_message(mto=BEN, mbody="bye", mtype="chat")
            await ben.text("bye")

    run(test())
