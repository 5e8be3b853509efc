"""chatd and other people's servers, Prosody and ejabberd from Debian: contacts, messages, rooms, archive, a restart."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from slixmpp import JID
from slixmpp.exceptions import IqTimeout

from chatd.core import ns
from tests.integration.abroad import HERE, THERE, Authority, Country, Names, countries
from tests.integration.foreigners import (
    DirectEjabberd,
    Ejabberd,
    Foreigner,
    Prosody,
    StrictProsody,
    abroad,
    dns_address,
)
from tests.integration.rawserver import EVIL, RawServer, showing
from tests.integration.slix import Client, befriend, enter, unlock, write_to_each_other
from tests.integration.test_s2s_meeting import come_by_link
from tests.integration.visitors import API

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ROMEO, JULIET = f"romeo@{HERE}", f"juliet@{THERE}"
PLUGINS = ("xep_0030", "xep_0199", "xep_0198", "xep_0045", "xep_0313", "xep_0059", "xep_0203", "xep_0297", "xep_0359")
KINDS: dict[str, tuple[type[Foreigner], bool]] = {
    "prosody": (Prosody, True), "strict prosody": (StrictProsody, True), "ejabberd": (DirectEjabberd, False),
    "ejabberd by dialback": (Ejabberd, True)}
"""Each with whether our certificate is for TLS servers alone, as those of today are.  Two of them begin with TLS."""


@pytest.fixture(scope="module", params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Country, Any]]:
    """One of them, and a chatd."""
    kind, server_only = KINDS[request.param]
    if missing := kind.missing():
        pytest.skip(missing)
    folder = Path(tmp_path_factory.mktemp("abroad"))
    authority = Authority(folder)
    with Names(dns_address()) as dns, abroad(kind(folder / THERE, THERE, authority, dns)) as there:
        with countries(Country(folder / HERE, HERE, authority, dns, server_only=server_only, extra=API)) as (here,):
            yield here, there


def client(server: Any, address: str) -> Client:
    """With the plugins for rooms."""
    return Client(server, address, plugins=PLUGINS)


def test_contacts_and_messages(pair: tuple[Country, Any]) -> None:
    here, there = pair

    async def play() -> None:
        async with client(here, ROMEO) as romeo, client(there, JULIET) as juliet:
            await befriend(romeo, juliet)
            await write_to_each_other(romeo, juliet, 30, " <&> \u00fc")

    asyncio.run(play())
    assert not here.logged("Traceback")


def test_their_person_in_our_room_and_ours_in_theirs(pair: tuple[Country, Any]) -> None:
    here, there = pair

    async def play() -> None:
        async with client(here, ROMEO) as romeo, client(there, JULIET) as juliet:
            for domain, host, guest in ((HERE, romeo, juliet), (THERE, juliet, romeo)):
                room = f"balcony-{secrets.token_hex(3)}@conference.{domain}"
                await enter(host, room, "host")
                await unlock(host, room)
                await enter(guest, room, "guest")
                guest.send_message(mto=room, mbody=f"hello {room}", mtype="groupchat")
                await host.text(f"hello {room}")
                await guest.text(f"hello {room}")
                host.send_message(mto=room, mbody=f"welcome {room}", mtype="groupchat")
                await guest.text(f"welcome {room}")
                if domain == HERE:
                    assert {f"hello {room}", f"welcome {room}"} <= set(await _archived(guest, jid=JID(room)))

    asyncio.run(play())


def _left(person: Client) -> list[Any]:
    """What it has received and nobody has looked at."""
    return [person.messages.get_nowait() for _ in range(person.messages.qsize())]


def test_what_came_from_abroad_is_in_the_archive(pair: tuple[Country, Any]) -> None:
    here, there = pair
    body = secrets.token_hex(8)

    async def play() -> None:
        async with client(here, ROMEO) as romeo, client(there, JULIET) as juliet:
            juliet.send_message(mto=ROMEO, mbody=body, mtype="chat")
            await romeo.text(body)
            assert body in await _archived(romeo, with_jid=JID(JULIET))

    asyncio.run(play())


async def _archived(person: Client, **where: JID) -> list[str]:
    """What was said, as the archive has it."""
    found = []
    async for result in person["xep_0313"].iterate(**where):
        found.append(result["mam_result"]["forwarded"]["stanza"]["body"])
    return found


def test_the_link_of_a_meeting_brings_their_person_in_as_a_guest(pair: tuple[Country, Any]) -> None:
    come_by_link(*pair)


def test_nobody_else_is_their_domain(pair: tuple[Country, Any], tmp_path: Path) -> None:
    """Theirs is asked whether a key is its own, and says that it is not."""
    here, _ = pair
    with RawServer(here, showing(*Authority(tmp_path).issue(tmp_path, [EVIL])), own=THERE) as server:
        assert "EXTERNAL" not in ElementTree.tostring(server.secured()).decode()
        assert server.dial(THERE) == "invalid"
        server.ended()


async def _answers(romeo: Client) -> bool:
    """Whether the other server answers a ping: it went the way of everything that was sent before it."""
    try:
        await romeo.ask("get", f"<ping xmlns='{ns.PING}'/>", to=THERE)
    except IqTimeout:
        return False
    return True


def test_a_restart_of_theirs_loses_nothing(pair: tuple[Country, Any]) -> None:
    here, there = pair

    async def play() -> None:
        async with client(here, ROMEO) as romeo:
            async with client(there, JULIET) as juliet:
                romeo.send_message(mto=JULIET, mbody="before", mtype="chat")
                await juliet.text("before")
            await asyncio.to_thread(there.stop)
            bodies = [f"meanwhile {number}" for number in range(20)]
            for body in bodies:
                romeo.send_message(mto=JULIET, mbody=body, mtype="chat")
            await romeo.ask("get", f"<ping xmlns='{ns.PING}'/>", to=HERE)       # all of it has left romeo's client
            await asyncio.to_thread(there.start)
            # Behind all of them, once the pause between attempts is over. Who logs in at ejabberd while messages come
            # in from outside may miss one of them.
            async with asyncio.timeout(60):
                while not await _answers(romeo):
                    pass
            async with client(there, JULIET) as juliet:
                # A message may even come twice.
                missing = set(bodies)
                while missing:
                    missing.discard((await asyncio.wait_for(juliet.messages.get(), 60))["body"])
                # Behind every bounce there may be, and before juliet goes: ejabberd bounces what a client has not
                # acknowledged by then, although it was delivered.
                assert await _answers(romeo)
                assert not [message for message in _left(romeo) if message["type"] == "error"]

    asyncio.run(play())


@pytest.mark.long
def test_a_restart_of_ours_is_found_again(pair: tuple[Country, Any]) -> None:
    """However it ended: both ways are there again, whoever writes first."""
    here, there = pair

    async def play() -> None:
        async with client(there, JULIET) as juliet:
            for first in ("ours", "theirs"):
                await asyncio.to_thread(here.kill)
                await asyncio.to_thread(here.start)
                async with client(here, ROMEO) as romeo:
                    ways = [(romeo, juliet, JULIET), (juliet, romeo, ROMEO)]
                    for sender, receiver, to in ways if first == "ours" else reversed(ways):
                        body = secrets.token_hex(8)
                        async with asyncio.timeout(90):
                            await _until_it_came(sender, receiver, to, body)

    asyncio.run(play())


async def _until_it_came(sender: Client, receiver: Client, to: str, body: str) -> None:
    """Their server may learn of our end by the first message only, which comes back then."""
    while True:
        sender.send_message(mto=to, mbody=body, mtype="chat")
        try:
            while (await asyncio.wait_for(receiver.messages.get(), 5))["body"] != body:
                pass
            return
        except TimeoutError:
            continue


def test_check_domain_tells_each_step(pair: tuple[Country, Any]) -> None:
    here, there = pair
    steps = here.ctl("check", "domain", THERE)["result"]
    assert [step["step"] for step in steps if step["ok"]] == [
        "policy", "dns", "tcp", "tls", "certificate", "features", "authentication", "ping"], steps
    assert any("from the start" in step["text"] for step in steps) is there.is_direct, steps
    by_dialback = any("by dialback" in step["text"] for step in steps)
    assert by_dialback is (there.wants_client_usage and here.server_only), steps
