"""Two chatd daemons of different domains: contacts, messages, rooms and meetings across."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import ROOT, free_ports
from tests.integration.abroad import HERE, THERE, Authority, Country, Names, countries
from tests.integration.slix import Client, befriend, enter, unlock, write_to_each_other
from tests.media_daemon import until

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ROOMS = ("xep_0030", "xep_0199", "xep_0045")
ROMEO, JULIET = f"romeo@{HERE}", f"juliet@{THERE}"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Country, Country]]:
    """Good certificates on both sides."""
    folder = Path(tmp_path_factory.mktemp("s2s"))
    authority = Authority(folder)
    with Names() as dns:
        made = [Country(folder / domain, domain, authority, dns) for domain in (HERE, THERE)]
        with countries(*made) as (here, there):
            yield here, there


def test_contacts_and_messages(pair: tuple[Country, Country]) -> None:
    here, there = pair

    async def play() -> None:
        async with Client(here, ROMEO) as romeo, Client(there, JULIET) as juliet:
            await befriend(romeo, juliet)
            await write_to_each_other(romeo, juliet, 60)

    asyncio.run(play())
    assert here.logged(f"is connected to {THERE}") or there.logged(f"is connected to {HERE}")
    assert not here.logged("Traceback"), here.log.read_text()[-4000:]
    assert not there.logged("Traceback"), there.log.read_text()[-4000:]


def test_rooms_across(pair: tuple[Country, Country]) -> None:
    here, there = pair

    async def play() -> None:
        async with Client(here, ROMEO, plugins=ROOMS) as romeo, Client(there, JULIET, plugins=ROOMS) as juliet:
            room = f"balcony@conference.{HERE}"
            await enter(romeo, room, "romeo")
            await unlock(romeo, room)
            await enter(juliet, room, "juliet")
            juliet.send_message(mto=room, mbody="art thou not Romeo?", mtype="groupchat")
            await romeo.text("art thou not Romeo?")
            await juliet.text("art thou not Romeo?")
            # A room is not a person's address, and a private message goes through it.
            romeo.send_message(mto=f"{room}/juliet", mbody="neither", mtype="chat")
            await juliet.text("neither")
            juliet.cut()
            await romeo.presence_of(f"{room}/juliet", "unavailable")

    asyncio.run(play())


def test_a_restart_loses_nothing(pair: tuple[Country, Country]) -> None:
    here, there = pair

    async def play() -> None:
        async with Client(here, ROMEO) as romeo:
            async with Client(there, JULIET) as juliet:
                romeo.send_message(mto=JULIET, mbody="before", mtype="chat")
                await juliet.text("before")
            await asyncio.to_thread(there.kill)
            for number in range(20):
                romeo.send_message(mto=JULIET, mbody=f"meanwhile {number}", mtype="chat")
            await romeo.ask("get", "<ping xmlns='urn:xmpp:ping'/>", to=HERE)
            await asyncio.to_thread(there.start)
            async with Client(there, JULIET) as juliet:
                for number in range(20):
                    await juliet.text(f"meanwhile {number}")
            assert romeo.messages.empty()

    asyncio.run(play())


def test_an_unknown_domain_is_told_at_once(pair: tuple[Country, Country]) -> None:
    here, _ = pair

    async def play() -> None:
        async with Client(here, ROMEO) as romeo:
            romeo.send_message(mto="nobody@nowhere.example", mbody="hello", mtype="chat")
            answer = await romeo.message(lambda stanza: stanza["type"] == "error")
            assert answer["error"]["condition"].startswith("remote-server-")
            assert "nowhere.example" in answer["error"]["text"]

    asyncio.run(play())


def test_check_domain(pair: tuple[Country, Country]) -> None:
    here, _ = pair
    steps = here.ctl("check", "domain", THERE)["result"]
    assert [(step["step"], step["ok"]) for step in steps] == [(name, True) for name in (
        "policy", "dns", "tcp", "tls", "certificate", "features", "authentication", "ping")], steps
    failed = subprocess.run(
        [sys.executable, "-m", "chatd.ctl", "--config", str(here.config), "check", "domain", "nowhere.example"],
        capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert failed.returncode == 1 and "FAILED" in failed.stdout, failed


@pytest.mark.long
def test_check_domain_tells_when_they_do_not_reach_us(pair: tuple[Country, Country]) -> None:
    """What is sent goes out, so nothing but the answer can tell."""
    here, there = pair
    config = there.config.read_text()
    [closed] = free_ports(1)
    exception = f'[s2s]\nexceptions = {{ "{HERE}" = {{ address = "127.0.0.1:{closed}" }} }}\n'
    there.config.write_text(config.replace("[s2s]\n", exception))
    try:
        there.ctl("reload")
        for country in pair:            # no connection that is up already helps
            country.stop()
            country.start()
        done = subprocess.run(
            [sys.executable, "-m", "chatd.ctl", "--config", str(here.config), "check", "domain", THERE],
            capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
        assert done.returncode == 1 and "its way back to" in done.stdout.splitlines()[-1], done
        assert done.stdout.count("FAILED") == 1, done
    finally:
        there.config.write_text(config)
        there.ctl("reload")


def test_check_domain_refuses_what_it_cannot_try(pair: tuple[Country, Country]) -> None:
    here, _ = pair
    for name, said in ((HERE, "is served here"), ("@", "no domain")):
        done = subprocess.run(
            [sys.executable, "-m", "chatd.ctl", "--config", str(here.config), "check", "domain", name],
            capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
        assert done.returncode == 1 and said in done.stderr, done


def test_status_and_metrics_count_connections(pair: tuple[Country, Country]) -> None:
    here, there = pair

    async def play() -> None:
        async with Client(here, ROMEO) as romeo, Client(there, JULIET) as juliet:
            romeo.send_message(mto=JULIET, mbody="counted", mtype="chat")
            await juliet.text("counted")

    asyncio.run(play())
    status = here.ctl("status")["result"]["federation"]
    assert status["in"] + status["out"] >= 1
    # What was said last, at the log-out, may still be on its way.
    until(lambda: here.ctl("status")["result"]["federation"]["waiting"] == 0, "nothing waits for the other server")
    with urllib.request.urlopen(f"http://127.0.0.1:{here.ports['metrics']}/metrics", timeout=20) as answer:
        figures = answer.read().decode()
    assert "chatd_s2s_stanzas_out_total" in figures and 'chatd_s2s_streams{way="in"}' in figures
