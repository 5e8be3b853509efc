"""What is done to a server, in which order: the phases of one round."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import attrs

from bench import processes
from bench.generator import Answer, Generator
from bench.servers import Server

FAN_GROUP = 20  # accounts that all know each other
FAN_ACCOUNTS = 100
FAN_RATE = 50  # presence changes a second, each for FAN_GROUP - 1 contacts
ROOM_DELIVERIES = 2000  # a second, in all rooms together, at the fixed rate
MAX_LOGINS_AT_ONCE = 16
MAX_ENTERING_AT_ONCE = 16
WARM_UP_LOGINS = 20
GENERATOR_LIMIT = 0.85  # of its core


@attrs.frozen
class Rooms:
    """So many rooms of so many occupants each."""

    number: int
    size: int

    @property
    def occupants(self) -> int:
        """In all of them."""
        return self.number * self.size

    @property
    def phase(self) -> str:
        """What the names of their phases end with."""
        return f"{self.number}x{self.size}"

    @property
    def rate(self) -> float:
        """Messages a second in all of them, at the fixed rate."""
        return ROOM_DELIVERIES / self.size

    @property
    def speakers(self) -> int:
        """So many of each room keep a message on its way at saturation."""
        return self.size // 10

    def __str__(self) -> str:
        return f"{self.number} room{'s' if self.number > 1 else ''} of {self.size}"


ROOMS = (Rooms(1, 100), Rooms(20, 20))


@attrs.frozen
class Plan:
    """The size of a round.

    sessions: idle sessions for log-ins and memory; pairs: who chats; rates_off, rates_on: messages/s
    without and with the archive; warm_s, seconds: of each measurement; settle_s: quiet before memory is read;
    rooms: group chat, and room_warm_s and room_seconds of each of its measurements; people: all the rest.
    """

    sessions: int = 1000
    pairs: int = 100
    rates_off: tuple[int, ...] = (400, 1000)
    rates_on: tuple[int, ...] = (100, 400, 1000)
    warm_s: float = 1.0
    seconds: float = 4.0
    settle_s: float = 4.0
    people: bool = True
    rooms: tuple[Rooms, ...] = ROOMS
    room_warm_s: float = 0.5
    room_seconds: float = 2.0

    @property
    def chatters(self) -> int:
        """How many accounts chat."""
        return 2 * self.pairs

    @property
    def lonely(self) -> int:
        """How many accounts have one contact: the chatters and those that only sit there."""
        return max(self.sessions + self.sessions % 2, self.chatters)

    @property
    def accounts(self) -> int:
        """All accounts: behind the lonely ones come those with many contacts. Occupants are the first of all."""
        return max([self.lonely + FAN_ACCOUNTS, *(rooms.occupants for rooms in self.rooms)])


@attrs.frozen
class Measurement:
    """One phase on one server in one round; `answer` is the load generator's, or what the bench found."""

    server: str
    archive: bool
    phase: str
    round: int
    answer: Answer
    invalid: str = ""


Record = Callable[[Measurement], None]


def say(text: str) -> None:
    """Progress, to standard error."""
    print(text, file=sys.stderr, flush=True)


def prepare(server: Server, loadgen: Path, core: int, cache: Path, plan: Plan) -> None:
    """First start: accounts, then subscriptions through the protocol; the folder is then a template."""
    server.start(first=True)
    try:
        generator = Generator(loadgen, core, server, cache)
        try:
            _require(generator.ask(f"login 0 {plan.accounts} {MAX_LOGINS_AT_ONCE}"), plan.accounts)
            _require(generator.ask(f"befriend 0 {plan.lonely} 2"), plan.lonely)
            _require(generator.ask(f"befriend {plan.lonely} {FAN_ACCOUNTS} {FAN_GROUP}"), FAN_ACCOUNTS)
            generator.ask(f"logout 0 {plan.accounts}")
        finally:
            generator.close()
    finally:
        server.stop()


def _require(answer: Answer, count: int) -> None:
    if answer["count"] != count:
        raise RuntimeError(f"{answer['what']}: {answer['count']} of {count}: {answer}")


def run_round(
    server: Server,
    template: Path,
    loadgen: Path,
    core: int,
    cache: Path,
    plan: Plan,
    number: int,
    record: Record,
) -> None:
    """All phases, without or with the archive as `server` says itself; people and rooms on a fresh instance each."""
    for is_wanted, phases in ((plan.people, _Round.people), (plan.rooms, _Round.rooms)):
        if not is_wanted:
            continue
        if server.folder.exists():
            shutil.rmtree(server.folder)
        shutil.copytree(template, server.folder)
        server.start()
        try:
            generator = Generator(loadgen, core, server, cache)
            try:
                one = _Round(server, generator, plan, number, record)
                phases(one)
            finally:
                generator.close()
        finally:
            server.stop()
        one.check_archive()
        shutil.rmtree(server.folder)


class _Round:
    def __init__(self, server: Server, generator: Generator, plan: Plan, number: int, record: Record) -> None:
        self._server, self._generator, self._plan = server, generator, plan
        self._number, self._record = number, record
        self._sent = 0
        self._said = 0
        self._archive_us = 0.0

    def people(self) -> None:
        """Log-in, memory, messages, presence."""
        if self._server.archive:
            self.with_archive()
        else:
            self.without_archive()

    def without_archive(self) -> None:
        plan = self._plan
        # A few, so that what a server loads on first use is not charged to the sessions.
        self._generator.ask(f"login 0 {WARM_UP_LOGINS} {MAX_LOGINS_AT_ONCE}")
        self._generator.ask(f"logout 0 {WARM_UP_LOGINS}")
        before = self._memory()
        self._measure("login", f"login 0 {plan.lonely} {MAX_LOGINS_AT_ONCE}")
        self._keep("idle", {"pss_kib": (self._memory() - before) / plan.lonely, "base_kib": before})
        if plan.lonely > plan.chatters:
            self._generator.ask(f"logout {plan.chatters} {plan.lonely - plan.chatters}")
        self._quiet()
        self._messages(plan.rates_off)
        self._measure("presence", f"presence 0 {plan.chatters} 2 {plan.warm_s} {plan.seconds}")
        self._generator.ask(f"logout 0 {plan.chatters}")
        self._generator.ask(f"login {plan.lonely} {FAN_ACCOUNTS} {MAX_LOGINS_AT_ONCE}")
        fan, tail = f"{plan.lonely} {FAN_ACCOUNTS} {FAN_GROUP}", f"{plan.warm_s} {plan.seconds}"
        self._measure("fan-out-rate", f"presence-rate {fan} {FAN_RATE} {tail}")
        self._measure("fan-out", f"presence {fan} {tail}")

    def with_archive(self) -> None:
        plan = self._plan
        self._generator.ask(f"login 0 {plan.chatters} {MAX_LOGINS_AT_ONCE}")
        before = self._generator.ask("cpu")["server_s"]
        self._messages(plan.rates_on)
        # What a server puts off (indexes, checkpoints) is part of the price.
        time.sleep(plan.settle_s)
        self._archive_us = (self._generator.ask("cpu")["server_s"] - before) * 1e6 / self._sent

    def rooms(self) -> None:
        """Those who enter, and group chat at a fixed rate and at saturation."""
        ask, plan, form = self._generator.ask, self._plan, self._server.room_form()
        tail = f"{plan.room_warm_s} {plan.room_seconds}"
        for number, rooms in enumerate(plan.rooms):
            if number:
                ask(f"logout 0 {plan.rooms[number - 1].occupants}")
            who = f"0 {rooms.occupants}"
            _require(ask(f"login {who} {MAX_LOGINS_AT_ONCE}"), rooms.occupants)
            self._measure(f"enter-{rooms.phase}", f"enter {who} {rooms.size} {MAX_ENTERING_AT_ONCE} {form}")
            self._measure(f"room-rate-{rooms.phase}", f"groupchat-rate {who} {rooms.size} {rooms.rate} {tail}")
            self._measure(f"room-{rooms.phase}", f"groupchat {who} {rooms.size} {rooms.speakers} {tail}")

    def check_archive(self) -> None:
        """Two rows a message, one for each side, or one for the room.

        If a few are lost, the table says so; many do not count.
        """
        if not self._server.archive:
            return
        if self._said:
            phase, sent, due = "archived-rooms", self._said, self._said
            rows = self._server.archived_rows_of_rooms()
        else:
            phase, sent, due = "archived", self._sent, 2 * self._sent
            rows = self._server.archived_rows()
        lost = due - rows
        invalid = f"{rows} rows for {sent} messages" if abs(lost) > 0.01 * due else ""
        answer = {"rows": rows, "sent": sent, "lost": lost}
        self._keep(phase, answer if self._said else {**answer, "server_us": self._archive_us}, invalid)

    def _messages(self, rates: tuple[int, ...]) -> None:
        plan = self._plan
        self._measure("messages", f"messages {plan.pairs} {plan.warm_s} {plan.seconds}")
        for rate in rates:
            self._measure(f"rate-{rate}", f"rate {plan.pairs} {rate} {plan.warm_s} {plan.seconds}")

    def _quiet(self) -> None:
        time.sleep(self._plan.settle_s)  # the log-outs have their own aftermath
        before = self._generator.ask("cpu")["server_s"]
        time.sleep(self._plan.settle_s)
        spent = self._generator.ask("cpu")["server_s"] - before
        self._keep("quiet", {"server_ms_per_s": spent * 1e3 / self._plan.settle_s})

    def _memory(self) -> int:
        time.sleep(self._plan.settle_s)
        return processes.pss_kib(self._server.pids())

    def _measure(self, phase: str, command: str) -> None:
        answer = self._generator.ask(command)
        if command.startswith("groupchat"):
            self._said += answer["sent"]
        elif answer["what"] in ("messages", "rate"):
            self._sent += answer["sent"]
        self._keep(phase, answer, complaint(answer))

    def _keep(self, phase: str, answer: Answer, invalid: str = "") -> None:
        found = Measurement(self._server.name, self._server.archive, phase, self._number, answer, invalid)
        shown = ("server_us", "per_s", "p99_ms", "pss_kib", "server_ms_per_s", "lost")
        text = " ".join(f"{key}={answer[key]:.1f}" for key in shown if key in answer)
        say(f"  {self._server.name:14} {phase:16} {text} {invalid and 'INVALID: ' + invalid}")
        self._record(found)


def complaint(answer: Answer) -> str:
    """Why a measurement must not count, or "": everything sent must have arrived exactly once, in order."""
    wrong = ("missing", "doubled", "disordered", "malformed", "login_failed", "disconnected", "stanza_errors")
    found = [f"{answer[key]} {key}" for key in (*wrong, "unacked_sessions") if answer.get(key)]
    # At a fixed rate that is overload, which is a result.
    if answer["what"] in ("messages", "presence", "groupchat", "enter") and not answer.get("count"):
        found.append("nothing delivered")
    if answer.get("generator_busy", 0) > GENERATOR_LIMIT:
        found.append("the load generator was the limit")
    return ", ".join(found)
