"""Links between servers whose middle is gone: both ends stay open, nothing comes through."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.integration.abroad import HERE, THERE, Authority, Country, Names, countries
from tests.integration.slix import Client
from tests.relay import Fate, Relay

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

ROMEO, JULIET = f"romeo@{HERE}", f"juliet@{THERE}"


def test_half_open_links_are_noticed_and_nothing_is_lost(tmp_path: Path) -> None:
    """Both servers write into the void, see that nothing is acknowledged, connect again and send it once more."""
    authority = Authority(tmp_path)
    with Names() as dns:
        made = [Country(tmp_path / domain, domain, authority, dns, direct=False) for domain in (HERE, THERE)]
        here, there = made
        with (Relay(("127.0.0.1", here.ports["s2s"]), Fate) as to_here,
              Relay(("127.0.0.1", there.ports["s2s"]), Fate) as to_there):
            dns.serve(HERE, to_here.address[1])
            dns.serve(THERE, to_there.address[1])
            with countries(*made):
                asyncio.run(_talk(here, there, (to_here, to_there)))
            assert any(country.logged("the other server answers nothing any more") for country in made)
            for country in made:
                assert not country.logged("Traceback"), country.log.read_text()[-4000:]


async def _talk(here: Country, there: Country, relays: tuple[Relay, Relay]) -> None:
    async with Client(here, ROMEO) as romeo, Client(there, JULIET) as juliet:
        romeo.send_message(mto=JULIET, mbody="before", mtype="chat")
        await juliet.text("before")
        juliet.send_message(mto=ROMEO, mbody="before", mtype="chat")
        await romeo.text("before")
        for relay in relays:
            relay.mute()
        for number in range(20):
            romeo.send_message(mto=JULIET, mbody=f"to {number}", mtype="chat")
            juliet.send_message(mto=ROMEO, mbody=f"fro {number}", mtype="chat")
        # In order; none of these came before the void, so none comes twice.
        for number in range(20):
            assert await _next(juliet) == f"to {number}"
            assert await _next(romeo) == f"fro {number}"


async def _next(person: Client) -> str:
    """Half a minute until a server notices, and what it takes to connect again.  What came before the void may not
    have been acknowledged then, so it may come twice."""
    while (message := await asyncio.wait_for(person.messages.get(), 120))["body"] == "before":
        pass
    return str(message["body"])
