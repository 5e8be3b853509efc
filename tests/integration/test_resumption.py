"""Resumption (XEP-0198 5) over links that break anywhere: nothing is lost, nothing is doubled, the order is kept."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatd.core import ns
from tests.daemon import DOMAIN, Daemon, running
from tests.raw import CLIENT, SM, Cut, Raw, RawWebSocket, chat
from tests.relay import Fate, Relay

AHEAD = 12                      # messages the friend sends beyond what has arrived
MOBILE, FRIEND = f"mobile@{DOMAIN}", f"friend@{DOMAIN}"
PING = f"<iq type='get' id='{{}}' to='{DOMAIN}'><ping xmlns='{ns.PING}'/></iq>"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for this file."""
    limits = "[limits]\nstanzas_per_second = 100000\nstanzas_burst = 100000\n"
    with running(Path(tmp_path_factory.mktemp("resumption")), MOBILE, FRIEND, extra=limits) as daemon:
        yield daemon


class Mobile:
    """A client whose link breaks all the time; it tracks what XEP-0198 wants it to and goes on by itself.

    sent, received: the numbers of all messages, in order.  asked, answered: those of its iqs.
    """

    def __init__(self, daemon: Daemon, port: str, via: tuple[str, int], chance: random.Random,
                 is_inline: bool = False) -> None:
        self.daemon, self.port, self.via = daemon, port, via
        self.is_inline = is_inline              # it resumes while it logs in, by XEP-0388
        self.chance = chance
        self.sent: list[int] = []
        self.received: list[int] = []
        self.asked: list[str] = []
        self.answered: list[str] = []
        self.resumed = 0
        self.news = threading.Condition()
        self._queue: deque[str] = deque()       # stanzas the server has not acknowledged
        self._acknowledged = 0
        self.raw = self._connect().login(MOBILE)
        self.token = self.raw.enable()

    def _connect(self) -> Raw:
        kind = RawWebSocket if self.port == "https" else Raw
        return kind(self.daemon, self.port, via=self.via)

    def burst(self) -> None:
        """Sends a few stanzas, asks for an acknowledgement and reads until it is there; resumes where that breaks."""
        stanzas = []
        for _ in range(self.chance.randint(1, 12)):
            if self.chance.random() < 0.2:
                number = f"q{len(self.asked)}"
                self.asked.append(number)
                stanzas.append(PING.format(number))
            else:
                stanzas.append(chat(FRIEND, f"{len(self.sent)} " + "m" * self.chance.choice((0, 10, 500))))
                self.sent.append(len(self.sent))
        self._queue.extend(stanzas)
        try:
            for stanza in stanzas:
                self.raw.send(stanza)
            self.settle()
        except Cut:
            self.resume()

    def settle(self) -> None:
        """Reads until everything sent is acknowledged."""
        self.raw.request()
        while self._queue:
            self._read()

    def _read(self) -> None:
        element = self.raw.read()
        if element.tag == SM + "a":
            self._acknowledge(int(element.attrib["h"]))
        elif element.tag == SM + "r":
            self.raw.acknowledge()
        elif element.tag == CLIENT + "message":
            body = element.findtext(CLIENT + "body")
            assert body is not None and element.get("type") == "chat", "an error came back"
            with self.news:
                self.received.append(int(body.split()[0]))
                self.news.notify_all()
        elif element.tag == CLIENT + "iq":
            assert element.get("type") == "result"
            self.answered.append(element.attrib["id"])
        else:
            assert element.tag == CLIENT + "presence", element.tag

    def _acknowledge(self, h: int) -> None:
        assert h >= self._acknowledged, "the server's count goes backwards"
        for _ in range(h - self._acknowledged):
            self._queue.popleft()
        self._acknowledged = h

    def resume(self) -> None:
        """Over as many connections as it takes."""
        while True:
            handled = self.raw.handled
            self.raw.close()
            try:
                raw = self._connect()
            except Cut:
                continue
            # What was handled counts for the session, not for the connection.
            raw.handled, self.raw = handled, raw
            try:
                resume = f"<resume xmlns='{ns.SM}' h='{handled}' previd='{self.token}'/>"
                if self.is_inline:
                    (answer,) = [part for part in raw.authenticate2(MOBILE, resume) if part.tag.startswith(SM)]
                else:
                    raw.authenticate(MOBILE)
                    raw.send(resume)
                    answer = raw.until(SM + "resumed", SM + "failed")
                assert answer.tag == SM + "resumed", "the session is gone"
                self.resumed += 1
                self._acknowledge(int(answer.attrib["h"]))
                for stanza in self._queue:
                    raw.send(stanza)
                self.settle()
                return
            except Cut:
                continue


class Friend(threading.Thread):
    """Sends to the mobile as long as not too much is on its way, and takes what comes; its own link is good."""

    def __init__(self, daemon: Daemon, mobile: Mobile) -> None:
        super().__init__(daemon=True)
        self.raw = Raw(daemon, "c2s_tls").login(FRIEND)
        self.mobile = mobile
        self.sent = 0
        self.received: list[int] = []
        self.errors: list[str] = []
        self.is_enough = False
        self._reader = threading.Thread(target=self._read, daemon=True)

    def run(self) -> None:
        """Sends until it is enough."""
        self._reader.start()
        while not self.is_enough:
            with self.mobile.news:
                self.mobile.news.wait_for(lambda: self.is_enough or self.sent - len(self.mobile.received) < AHEAD)
            self.raw.send(chat(self.mobile.raw.jid or MOBILE, f"{self.sent} " + "f" * (self.sent * 37 % 900)))
            self.sent += 1

    def _read(self) -> None:
        try:
            while True:
                message = self.raw.until("message")
                if message.get("type") == "error":
                    self.errors.append(message.findtext(CLIENT + "body") or "")
                    continue
                body = message.findtext(CLIENT + "body") or ""
                if body == "enough":
                    return
                self.received.append(int(body.split()[0]))
        except Cut:
            pass


def fates(chance: random.Random, limit: int, relay: list[Relay]) -> Fate:
    """A cut at a random byte of a random direction: one in four during log-in, the others while messages travel."""
    if not relay or relay[0].cuts >= limit:
        return Fate()
    how = chance.choice(("reset", "reset", "close", "silent"))
    early = chance.random() < 0.25
    if chance.random() < 0.5:
        return Fate(up=int(chance.uniform(1, 1800) if early else 1500 + chance.expovariate(1 / 4000)), how=how)
    return Fate(down=int(chance.uniform(1, 4000) if early else 3500 + chance.expovariate(1 / 8000)), how=how)


@pytest.mark.parametrize(("port", "cuts", "is_inline"), [
    ("c2s", 20, False), ("c2s_tls", 40, False), ("https", 20, False), ("c2s_tls", 20, True),
    pytest.param("c2s", 200, False, marks=pytest.mark.long),
    pytest.param("c2s_tls", 1000, False, marks=pytest.mark.long),
    pytest.param("https", 300, False, marks=pytest.mark.long),
    pytest.param("c2s_tls", 500, True, marks=pytest.mark.long),
    pytest.param("https", 300, True, marks=pytest.mark.long),
])
def test_nothing_lost_nothing_doubled(daemon: Daemon, port: str, cuts: int, is_inline: bool) -> None:
    """Two people write to each other while one of the links is cut again and again."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    relays: list[Relay] = []
    with Relay(("127.0.0.1", daemon.ports[port]), lambda: fates(chance, cuts, relays)) as relay:
        mobile = Mobile(daemon, port, relay.address, random.Random(seed + 1), is_inline)
        jid = mobile.raw.jid
        friend = Friend(daemon, mobile)
        friend.mobile.raw.jid = jid
        friend.start()
        relays.append(relay)
        mobile.raw.reset()                      # from here on links break
        while relay.cuts < cuts:
            mobile.burst()
        # The last link holds.
        friend.is_enough = True
        with mobile.news:
            mobile.news.notify_all()
        friend.join(20)
        try:
            mobile.settle()
        except Cut:
            mobile.resume()
        while len(mobile.received) < friend.sent or len(mobile.answered) < len(mobile.asked):
            mobile._read()
        mobile.raw.message(FRIEND, "enough")
        friend._reader.join(20)
        mobile.raw.ping()
        mobile.raw.acknowledge()                # what is not acknowledged now would wait for the next log-in
        mobile.raw.send("</stream:stream>" if port != "https" else f"<close xmlns='{ns.FRAMING}'/>")
        mobile.raw.ended()
        friend.raw.close()
    print(f"\n{port}, seed {seed}: {relay.cuts} cuts, {mobile.resumed} resumptions, {len(mobile.sent)} messages sent, "
          f"{len(mobile.received)} received, {len(mobile.asked)} requests")
    assert not friend.errors
    assert mobile.resumed > cuts / 10
    assert friend.received == mobile.sent
    assert mobile.received == list(range(friend.sent))
    assert mobile.answered == mobile.asked
