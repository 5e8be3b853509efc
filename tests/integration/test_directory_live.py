"""The directory of a running daemon: who finds whom, by XMPP and HTTP, who cannot be added, and what strangers get."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from slixmpp.exceptions import IqError

from chatd.core import ns
from tests.daemon import DOMAIN, OTHER, Daemon, running
from tests.integration.slix import PLUGINS, Client
from tests.raw import RawWebSocket

ANN, BEN, STRANGER = f"ann@{OTHER}", f"ben@{OTHER}", f"stranger@{DOMAIN}"
NEVER = f"never@{OTHER}"
PEOPLE = f"""name,address,title,department,phone
Ann Adams,{ANN},Head of all,Board,+1 5
Bén Björk,{BEN},,,
Nina Never,{NEVER},,Sales,
Stray Strange,stranger@{DOMAIN},,,
"""
SEARCH = f"{{{ns.SEARCH}}}"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """other.example has a directory, chat.example has none."""
    folder = Path(tmp_path_factory.mktemp("directory"))
    (folder / "people.csv").write_text(PEOPLE)
    extra = '[[domain.directory]]\nkind = "file"\npath = "people.csv"\n[[domain.directory]]\nkind = "internal"\n'
    with running(folder, ANN, BEN, STRANGER, extra=extra) as daemon:
        yield daemon


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


def client(daemon: Daemon, address: str) -> Client:
    return Client(daemon, address, plugins=(*PLUGINS, "xep_0055", "xep_0004"))


def eventually(found: Callable[[], bool], within_s: float = 20) -> None:
    """A changed file is seen some seconds later; there is no event to wait for."""
    deadline = time.monotonic() + within_s
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def get(daemon: Daemon, token: str, **query: str) -> tuple[int, Any]:
    url = f"http://127.0.0.1:{daemon.ports['http']}/api/v1/directory?{urllib.parse.urlencode(query)}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.headers["Cache-Control"] == "no-store"
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, None


async def token_of(asker: Client) -> str:
    answer = await asker.ask("get", f"<token xmlns='{ns.DIRECTORY}'/>", asker.boundjid.domain)
    return str(answer.xml.find(f"{{{ns.DIRECTORY}}}token").text)


def form(words: str) -> str:
    return (
        f"<query xmlns='{ns.SEARCH}'><x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'><value>{ns.SEARCH}"
        f"</value></field><field var='name'><value>{words}</value></field></x></query>"
    )


def test_search_by_xmpp(daemon: Daemon) -> None:
    """By form and by the old fields; disco tells of it."""

    async def test() -> None:
        async with client(daemon, ANN) as ann:
            info = await ann.plugin["xep_0030"].get_info(jid=OTHER)
            assert ns.SEARCH in info["disco_info"]["features"]
            asked = await ann.ask("get", f"<query xmlns='{ns.SEARCH}'/>", OTHER)
            assert asked.xml.find(f"{SEARCH}query/{{{ns.DATA}}}x") is not None
            answer = await ann.ask("set", form("bjork ben"), OTHER)
            values = [value.text for value in answer.xml.iter(f"{{{ns.DATA}}}value")]
            assert values[1:4] == [BEN, "Bén Björk", BEN] and values[-1] == "1"
            answer = await ann.ask("set", form("nina"), OTHER)
            assert [value.text for value in answer.xml.iter(f"{{{ns.DATA}}}value")][-1] == "0"
            answer = await ann.ask("set", f"<query xmlns='{ns.SEARCH}'><nick>ADAMS</nick></query>", OTHER)
            (item,) = answer.xml.iter(f"{SEARCH}item")
            assert item.get("jid") == ANN and item.find(f"{SEARCH}nick").text == "Ann Adams"
            with pytest.raises(IqError, match="not-acceptable"):
                await ann.ask("set", form(" "), OTHER)
            answer = await ann.ask("set", form("stray"), OTHER)
            assert not list(answer.xml.iter(f"{{{ns.DATA}}}item"))  # the file's line of another domain

    run(test())


def test_strangers_and_guests_get_nothing(daemon: Daemon) -> None:
    async def test() -> None:
        async with client(daemon, STRANGER) as stranger:
            for domain in (OTHER, DOMAIN):
                for kind, xml in (
                    ("get", f"<query xmlns='{ns.SEARCH}'/>"),
                    ("set", form("ann")),
                    ("get", f"<token xmlns='{ns.DIRECTORY}'/>"),
                ):
                    with pytest.raises(IqError, match="service-unavailable"):
                        await stranger.ask(kind, xml, domain)
            with pytest.raises(IqError, match="service-unavailable"):
                await stranger.ask("get", "<vCard xmlns='vcard-temp'/>", ANN)
            await stranger.update_roster(NEVER, name="x")  # tells nothing of who is in a directory

    run(test())
    with RawWebSocket(daemon) as guest:
        guest.open(f"guest.{OTHER}")
        assert get(daemon, "", q="ann")[0] == 401
    for token in ("x", "directory.YQ.99999999999.AAAA", "a" * 9000):
        assert get(daemon, token, q="ann")[0] == 401


def test_search_by_http(daemon: Daemon) -> None:
    async def test() -> None:
        async with client(daemon, ANN) as ann:
            token = await token_of(ann)
            ask = asyncio.to_thread
            status, found = await ask(get, daemon, token, q="never nin")
            assert status == 200 and found == {
                "more": False,
                "people": [
                    {
                        "jid": NEVER,
                        "name": "Nina Never",
                        "address": NEVER,
                        "title": "",
                        "department": "Sales",
                        "phone": "",
                        "has_account": False,
                    }
                ],
            }
            status, found = await ask(get, daemon, token, q="adam")
            assert found["people"][0]["has_account"] and found["people"][0]["title"] == "Head of all"
            assert (await ask(get, daemon, token, q="ann", domain=DOMAIN))[0] == 403
            assert (await ask(get, daemon, token, q="ann", domain="elsewhere.example"))[0] == 403
            assert (await ask(get, daemon, token))[0] == 400
            assert (await ask(get, daemon, token, q="x" * 300))[0] == 400
            assert (await ask(get, daemon, token, q="\0'%_*"))[1]["people"] == []
            codes = [(await ask(get, daemon, token, q="a"))[0] for _ in range(90)]
            assert codes[0] == 200
        assert token not in daemon.log.read_text()

    run(test())


def test_a_token_ends_with_the_account(daemon: Daemon) -> None:
    """At once, not with the ten minutes of the token: disabled, enabled again, deleted."""
    cora = f"cora@{OTHER}"
    daemon.add(cora)

    async def test() -> None:
        async with client(daemon, cora) as one:
            token = await token_of(one)
            ask = asyncio.to_thread
            assert (await ask(get, daemon, token, q="ann"))[0] == 200
            assert daemon.ctl("user", "disable", cora)["ok"]
            assert (await ask(get, daemon, token, q="ann"))[0] == 401
            assert daemon.ctl("user", "enable", cora)["ok"]
            assert (await ask(get, daemon, token, q="ann"))[0] == 200
            assert daemon.ctl("user", "delete", "--yes", cora)["ok"]
            assert (await ask(get, daemon, token, q="ann"))[0] == 401

    run(test())


def test_who_has_no_account_cannot_be_added(daemon: Daemon) -> None:
    """Refused with the reason, by roster and by subscription, until there is an account; vCards come from the file."""

    async def test() -> None:
        async with client(daemon, ANN) as ann:
            with pytest.raises(IqError, match="item-not-found") as refused:
                await ann.update_roster(NEVER, name="Nina", groups=["A"])
            assert "Nina Never has never logged in" in refused.value.iq["error"]["text"]
            ann.send_presence_subscription(pto=NEVER, ptype="subscribe")
            error = await ann.presence_of(NEVER, "error")
            assert error["error"]["condition"] == "item-not-found"
            roster = await ann.ask("get", f"<query xmlns='{ns.ROSTER}'/>")
            assert NEVER not in [item.get("jid") for item in roster.xml.iter(f"{{{ns.ROSTER}}}item")]
            await ann.update_roster(BEN, name="Ben")
            vcard = await ann.plugin["xep_0054"].get_vcard(BEN)
            assert vcard["vcard_temp"]["FN"] == "Bén Björk"
            own = await ann.plugin["xep_0054"].get_vcard(ANN)
            assert own["vcard_temp"]["FN"] == "Ann Adams"
            await asyncio.to_thread(daemon.add, NEVER)
            await ann.update_roster(NEVER, name="Nina", groups=["A"])
            await asyncio.to_thread(daemon.ctl, "user", "delete", NEVER, "--yes")

    run(test())


@pytest.mark.long
def test_changes_are_seen(daemon: Daemon) -> None:
    """Of the file, of accounts and of vCards; a file that got broken changes nothing and is told of."""

    def names(typed: str) -> list[str]:
        return [row["name"] for row in daemon.ctl("directory", "search", typed)["result"]]

    def problem() -> str:
        return str(daemon.ctl("directory", "status")["result"][0]["problem"])

    path = daemon.folder / "people.csv"
    path.write_text(PEOPLE + f"Carl Clark,carl@{OTHER},,,\n")
    eventually(lambda: names("clark") == ["Carl Clark"])
    path.write_text("nonsense\n")
    eventually(lambda: "no column address" in problem())
    assert names("clark") == ["Carl Clark"]
    path.write_text(PEOPLE)
    eventually(lambda: names("clark") == [] and problem() == "")
    daemon.add(f"dora@{OTHER}")
    eventually(lambda: names("dora") == [f"dora@{OTHER}"])

    async def test() -> None:
        async with client(daemon, f"dora@{OTHER}") as dora:
            vcard = dora.plugin["xep_0054"].make_vcard()
            vcard["FN"] = "Dora Dóring"
            await dora.plugin["xep_0054"].publish_vcard(vcard)

    run(test())
    eventually(lambda: names("doring") == ["Dora Dóring"])
    daemon.ctl("user", "delete", f"dora@{OTHER}", "--yes")
    eventually(lambda: names("doring") == [])
