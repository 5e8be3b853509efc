"""kill -9 in the middle of a load: for every message acknowledged to its sender (an XEP-0198 `a` covers it), the
recipient's archive, the sender's archive and the offline messages have it after the restart; so has whatever was
handed out before.  The database opens clean, and the restart is quick."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from chatd.core import ns
from tests.daemon import DOMAIN, Daemon, running
from tests.raw import CLIENT, SM, Cut, Raw, chat

SENDERS, RECIPIENTS = 4, ("online", "offline")
WINDOW = 300                    # messages of one sender on their way
PAGE = 250
RESTART_S = 10.0
"""A restart includes starting Python, which is most of it; on a quiet machine it is below 2 s."""
CONFIG = "[limits]\nstanzas_per_second = 100000\nstanzas_burst = 100000\noffline_messages = 1000000\n"
MAM, RSM, FORWARD = ("{%s}" % name for name in (ns.MAM, ns.RSM, ns.FORWARD))


class Sender(threading.Thread):
    """Writes messages to both recipients in turn, until the connection breaks; `acknowledged` of them are safe."""

    def __init__(self, raw: Raw, name: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.raw = raw
        self.sent: list[tuple[str, str]] = []       # recipient, body
        self.acknowledged = 0
        self.first_ack = threading.Event()
        self._name = name
        self._random = random.Random(seed)

    def run(self) -> None:
        """Sends bursts, asks after each, and goes on when not too many are unanswered."""
        raw = self.raw
        asked = 0
        try:
            while True:
                burst = []
                for _ in range(self._random.randint(1, 40)):
                    recipient = RECIPIENTS[len(self.sent) % 2]
                    body = f"{self._name} {len(self.sent)} " + "x" * self._random.choice((0, 20, 200, 3000))
                    self.sent.append((recipient, body))
                    burst.append(chat(f"{recipient}@{DOMAIN}", body, body.partition(" x")[0]))
                raw.send("".join(burst) + f"<r xmlns='{ns.SM}'/>")
                asked += 1
                while asked and (len(self.sent) - self.acknowledged > WINDOW or raw.waiting):
                    answer = raw.until(SM + "a")
                    asked -= 1
                    self.acknowledged = int(answer.attrib["h"])
                    self.first_ack.set()
        except Cut:
            pass
        finally:
            self.first_ack.set()
            raw.close()


class Reader(threading.Thread):
    """Takes what it is handed."""

    def __init__(self, raw: Raw) -> None:
        super().__init__(daemon=True)
        self.raw = raw
        self.bodies: list[str] = []

    def run(self) -> None:
        """Until the connection breaks."""
        try:
            while True:
                self.bodies.append(self.raw.body())
        except Cut:
            self.raw.close()


def archive(raw: Raw, after: str) -> tuple[list[str], str]:
    """The bodies in an archive behind an id, oldest first, and the last id."""
    bodies: list[str] = []
    while True:
        behind = f"<after>{after}</after>" if after else ""
        raw.send(f"<iq type='set' id='mam'><query xmlns='{ns.MAM}'><set xmlns='{ns.RSM}'><max>{PAGE}</max>{behind}"
                 "</set></query></iq>")
        while (element := raw.until("message", "iq")).tag == CLIENT + "message":
            result = element.find(MAM + "result")
            if result is not None:
                bodies.append(result.findtext(f"{FORWARD}forwarded/{CLIENT}message/{CLIENT}body") or "")
                after = result.attrib["id"]
        fin = element.find(MAM + "fin")
        assert fin is not None, ET.tostring(element)
        if fin.get("complete") == "true":
            return bodies, after


def kill_and_look(daemon: Daemon, round_: int, last: dict[str, str], seed: int) -> str:
    """One round; gives a line about it."""
    chance = random.Random(seed)
    reader = Reader(Raw(daemon, "c2s_tls").login(f"online@{DOMAIN}"))
    senders = []
    for n in range(SENDERS):
        raw = Raw(daemon, "c2s_tls").login(f"sender{n}@{DOMAIN}")
        raw.enable()
        senders.append(Sender(raw, f"{round_}-{n}", chance.randrange(1 << 32)))
    for thread in (reader, *senders):
        thread.start()
    for sender in senders:
        assert sender.first_ack.wait(20)
    time.sleep(chance.uniform(0, 0.8))      # a random moment is the point
    daemon.kill()
    for thread in (reader, *senders):
        thread.join(20)
        assert not thread.is_alive()
    began = time.monotonic()
    daemon.start(RESTART_S)
    took = time.monotonic() - began

    safe: dict[str, list[str]] = {recipient: [] for recipient in RECIPIENTS}
    for n, sender in enumerate(senders):
        mine = sender.sent[:sender.acknowledged]
        for recipient, body in mine:
            safe[recipient].append(body)
        with Raw(daemon, "c2s_tls").login(f"sender{n}@{DOMAIN}", presence=False) as raw:
            kept, last[raw.jid.partition("/")[0]] = archive(raw, last.get(f"sender{n}@{DOMAIN}", ""))
        assert kept[:len(mine)] == [body for _, body in mine], "the sender's archive"
        assert kept == [body for _, body in sender.sent[:len(kept)]]
    for recipient in RECIPIENTS:
        address = f"{recipient}@{DOMAIN}"
        with Raw(daemon, "c2s_tls", timeout_s=60).login(address, presence=False) as raw:
            bodies, last[address] = archive(raw, last.get(address, ""))
            check(bodies, safe[recipient], senders, recipient, "the recipient's archive")
            if recipient == "offline":
                raw.send("<presence/>")
                waited = [raw.body() for _ in bodies]
                check(waited, safe[recipient], senders, recipient, "offline messages")
                raw.ping()
            else:
                assert set(reader.bodies) <= set(bodies), "something was handed out that was not on the disk"
    acknowledged = sum(sender.acknowledged for sender in senders)
    return (f"{sum(len(sender.sent) for sender in senders)} sent, {acknowledged} acknowledged, {len(reader.bodies)} "
            f"handed out, restart in {took:.2f} s")


def check(bodies: list[str], safe: list[str], senders: list[Sender], recipient: str, what: str) -> None:
    """Nothing acknowledged is missing, nothing is there twice, and each sender's are in their order."""
    missing = set(safe) - set(bodies)
    assert not missing, f"{what}: {len(missing)} of {len(safe)} are missing, such as {min(missing)[:40]!r}"
    assert len(set(bodies)) == len(bodies), f"{what}: something is there twice"
    for sender in senders:
        mine = [body for to, body in sender.sent if to == recipient]
        there = [body for body in bodies if body.startswith(f"{sender._name} ")]
        assert there == mine[:len(there)], f"{what}: not in order, or with gaps"


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.long)])
def test_nothing_acknowledged_is_lost(tmp_path: Path, rounds: int) -> None:
    """So many times at random moments, each on the database that the last one left."""
    seed = random.randrange(1 << 32)
    print(f"\nseed {seed}")
    with running(tmp_path, extra=CONFIG) as daemon:
        daemon.add(*(f"{name}@{DOMAIN}" for name in (*RECIPIENTS, *(f"sender{n}" for n in range(SENDERS)))))
        last: dict[str, str] = {}
        for round_ in range(rounds):
            print(f"kill {round_ + 1}: {kill_and_look(daemon, round_, last, seed + round_)}")
    with sqlite3.connect(tmp_path / "state" / "chatd.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    log = daemon.log.read_text()
    assert "Traceback" not in log, log[-3000:]
