"""Links between two servers that are cut again and again: nothing is lost, nothing comes twice, the order is kept."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.integration.abroad import HERE, THERE, Authority, Country, Names, countries
from tests.raw import CLIENT, Raw
from tests.relay import Fate, Relay

ROMEO, JULIET = f"romeo@{HERE}", f"juliet@{THERE}"


class Cuts:
    """What becomes of each connection: behind the handshake some thousand bytes this or that way, then its end."""

    def __init__(self, seed: int, how: tuple[str, ...]) -> None:
        self._chance = random.Random(seed)
        self._how = how

    def __call__(self) -> Fate:
        chance = self._chance
        fate = Fate(how=chance.choice(self._how))
        if chance.random() < 0.5:
            fate.up = chance.randint(8_000, 14_000)
        else:
            fate.down = chance.randint(8_000, 14_000)
        return fate


class Talk(threading.Thread):
    """One sends numbered messages to the other, who notes what comes.  ahead: sent beyond what has arrived."""

    def __init__(self, sender: Raw, receiver: Raw, count: int, ahead: int = 30) -> None:
        super().__init__(daemon=True)
        self.sender, self.receiver, self.count, self.ahead = sender, receiver, count, ahead
        self.came: list[str] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        sent = 0
        try:
            while len(self.came) < self.count:
                while sent < min(self.count, len(self.came) + self.ahead):
                    self.sender.message(self.receiver.jid.partition("/")[0], f"{sent} {'m' * 150}")
                    sent += 1
                message = self.receiver.until("message")
                assert message.get("type") == "chat", ET.tostring(message)
                self.came.append((message.findtext(CLIENT + "body") or "").partition(" ")[0])
        except BaseException as error:
            self.error = error


def talk(here: Country, there: Country, count: int) -> None:
    with (Raw(here, timeout_s=60).login(ROMEO) as romeo, Raw(there, timeout_s=60).login(JULIET) as juliet):
        ways = [Talk(romeo, juliet, count), Talk(juliet, romeo, count)]
        # Who speaks first opens the connection that both then use.
        romeo.message(JULIET, "hello")
        assert juliet.body() == "hello"
        for way in ways:
            way.start()
        for way in ways:
            way.join(240)
            assert way.error is None, way.error
            assert way.came == [str(number) for number in range(count)]
        # Nothing is on its way any more.
        for person in (romeo, juliet):
            person.ping()
        romeo.message(JULIET, "the end")
        assert juliet.body() == "the end"


@pytest.mark.parametrize(("count", "seed"), [(150, 1), pytest.param(1500, 2, marks=pytest.mark.long)])
def test_cut_links_lose_and_double_nothing(tmp_path: Path, count: int, seed: int) -> None:
    authority = Authority(tmp_path)
    with Names() as dns:
        made = [Country(tmp_path / domain, domain, authority, dns, direct=False) for domain in (HERE, THERE)]
        here, there = made
        with Relay(("127.0.0.1", there.ports["s2s"]), Cuts(seed, ("reset", "close", "silent"))) as relay:
            dns.serve(THERE, relay.address[1])
            with countries(*made):
                talk(here, there, count)
            assert relay.cuts >= 1
            assert sum(country.log.read_text().count("goes on where it was cut") for country in made) >= relay.cuts
            for country in made:
                assert not country.logged("Traceback"), country.log.read_text()[-4000:]
