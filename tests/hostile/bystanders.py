"""Those who must not notice an attack, and the look at the daemon from outside."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

from chatd.ctl.client import ask
from tests.daemon import DOMAIN, PASSWORD, Daemon
from tests.raw import Raw, fresh

PACE_S = 0.005


class Bystanders(threading.Thread):
    """Alice writes, Bob answers, and so on; every round trip is timed. people: them, by default two of this daemon."""

    def __init__(self, daemon: Daemon, *people: Raw) -> None:
        super().__init__(daemon=True)
        self.times: list[float] = []
        self.error: BaseException | None = None
        self._more = threading.Condition()
        self._enough = threading.Event()
        self._people = people or [Raw(daemon).login(account(daemon, name)) for name in ("alice", "bob")]

    def run(self) -> None:
        """Chats until told to stop."""
        alice, bob = self._people
        try:
            while not self._enough.wait(PACE_S):
                began, word = time.monotonic(), fresh("word")
                alice.message(bob.jid, word)
                assert bob.body() == word
                bob.message(alice.jid, word + "!")
                assert alice.body() == word + "!"
                with self._more:
                    self.times.append(time.monotonic() - began)
                    self._more.notify_all()
        except BaseException as error:
            with self._more:
                self.error = error
                self._more.notify_all()
        finally:
            for person in self._people:
                person.close()

    def after(self, count: int) -> list[float]:
        """The round trips since there were `count`, up to one that ends later than now; raises what ended the chat."""
        with self._more:
            aim = len(self.times) + 1
            assert self._more.wait_for(lambda: self.error or len(self.times) >= aim, 30), "nobody chats any more"
            if self.error is not None:
                raise AssertionError("somebody noticed the attack") from self.error
            return self.times[count:]

    def stop(self) -> None:
        """They go home."""
        self._enough.set()
        self.join(30)


class Health:
    """What a daemon takes and what it says."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.process = daemon.process
        assert self.process is not None
        self.pid = self.process.pid

    def resident_bytes(self) -> int:
        """Its memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found.group(1)) * 1024

    def descriptors(self) -> list[str]:
        """What it has open."""
        names = []
        for path in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                names.append(str(path.readlink()))
            except OSError:
                pass            # closed meanwhile
        return names

    def sockets(self) -> int:
        """How many sockets it has open."""
        return sum(name.startswith("socket:") for name in self.descriptors())

    def settled(self, sockets: int, within_s: float = 10.0) -> int:
        """The number of sockets, as soon as it is down to `sockets`: ends of connections take a moment."""
        deadline = time.monotonic() + within_s
        while (count := self.sockets()) > sockets and time.monotonic() < deadline:
            time.sleep(0.05)
        return count

    def complaints(self) -> list[str]:
        """Lines of its log that must not be there."""
        lines = self.daemon.log.read_text().splitlines()
        return [line for line in lines if re.search(r"Traceback|Unhandled|Error\b.*:|exceptions\.", line)]

def account(daemon: Daemon, word: str = "person") -> str:
    """A new account; quicker than by a process of chatctl."""
    address = f"{fresh(word)}@{DOMAIN}"
    ask(daemon.folder / "state" / "chatctl.sock", "user add", {"jid": address, "password": PASSWORD})
    return address


def wait_for_log(daemon: Daemon, text: str, within_s: float = 20.0) -> None:
    """Until the daemon's log says so."""
    deadline = time.monotonic() + within_s
    while text not in daemon.log.read_text():
        assert time.monotonic() < deadline, f"{text!r} is not in the log"
        time.sleep(0.05)
