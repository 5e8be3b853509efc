"""`bench/profile`: chatd under one kind of load, watched by py-spy: where does the time go?"""

from __future__ import annotations

import argparse
import collections
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from bench import ready
from bench.__main__ import BUILD, GENERATOR_CORE, make_site
from bench.generator import Answer, Generator
from bench.plan import (
    FAN_ACCOUNTS,
    FAN_GROUP,
    MAX_ENTERING_AT_ONCE,
    MAX_LOGINS_AT_ONCE,
    Plan,
    Rooms,
    prepare,
    say,
)
from bench.servers.chatd import Chatd

WARM_S = 1.0
IDLE = ("Condition.wait ", "wait (threading", "_worker (", "OneThread._work (")  # threads with nothing to do


def main() -> int:
    """Profile as the arguments say."""
    parser = argparse.ArgumentParser(prog="bench/profile", description=__doc__)
    parser.add_argument(
        "load", choices=["messages", "rate", "presence", "login", "groupchat", "groupchat-rate", "enter"]
    )
    parser.add_argument("--commit", help="chatd as of this commit, not as the files are now")
    parser.add_argument("--archive", action="store_true")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--per-second", type=int, default=400, help="of the loads `rate`, `groupchat-rate`")
    parser.add_argument("--size", type=int, default=20, help="occupants of a room (20 rooms; of 100: one)")
    parser.add_argument("--hz", type=int, default=500, help="samples a second")
    parser.add_argument("--native", action="store_true", help="C functions too (slower)")
    parser.add_argument("--top", type=int, default=40)
    arguments = parser.parse_args()

    spy = Path(sys.executable).parent / "py-spy"
    program = str(spy) if spy.exists() else shutil.which("py-spy")
    if not program:
        raise SystemExit("bench/profile needs py-spy: .venv/bin/pip install py-spy")
    plan = Plan(sessions=1000 if arguments.load == "login" else 200)
    ready.allow_descriptors(plan.accounts + 1000)
    ready.build(BUILD / "loadgen")
    with tempfile.TemporaryDirectory(prefix="chatd-bench-") as temporary:
        folder = Path(temporary)
        site = make_site(folder, plan.accounts, arguments.commit)
        server = Chatd(site, folder / "chatd", arguments.archive)
        prepare(server, BUILD / "loadgen", GENERATOR_CORE, folder / "scram", plan)
        server.start()
        try:
            generator = Generator(BUILD / "loadgen", GENERATOR_CORE, server, folder / "scram")
            try:
                stacks = _watch(program, server, generator, plan, arguments)
            finally:
                generator.close()
        finally:
            server.stop()
    _print(stacks.read_text().splitlines(), arguments.top)
    say(f"stacks for flamegraph.pl or speedscope: {stacks}")
    return 0


def _watch(program: str, server: Chatd, generator: Generator, plan: Plan, arguments: argparse.Namespace) -> Path:
    load, seconds = arguments.load, arguments.seconds
    tail = f"{WARM_S} {seconds}"
    rooms = Rooms(1 if arguments.size > 50 else 20, arguments.size)
    who = f"0 {rooms.occupants}"
    enter = f"enter {who} {rooms.size} {MAX_ENTERING_AT_ONCE} {server.room_form()}"
    if load in ("groupchat", "groupchat-rate", "enter"):
        generator.ask(f"login {who} {MAX_LOGINS_AT_ONCE}")
        if load != "enter":
            generator.ask(enter)
    elif load == "presence":
        generator.ask(f"login {plan.lonely} {FAN_ACCOUNTS} {MAX_LOGINS_AT_ONCE}")
    elif load != "login":
        generator.ask(f"login 0 {plan.chatters} {MAX_LOGINS_AT_ONCE}")
    stacks = BUILD / f"profile-{load}{'-archive' if arguments.archive else ''}.txt"
    command = [program, "record", "--pid", str(server.pids()[0]), "--format", "raw", "--output", str(stacks)]
    command += ["--rate", str(arguments.hz), "--duration", str(round(WARM_S + seconds))]
    watcher = subprocess.Popen(
        ["taskset", "-c", str(GENERATOR_CORE), *command, *(["--native"] if arguments.native else [])],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    answers: list[Answer] = []
    if load == "login":
        until = time.monotonic() + WARM_S + seconds
        while time.monotonic() < until:
            answers.append(generator.ask(f"login 0 {plan.lonely} {MAX_LOGINS_AT_ONCE}"))
            generator.ask(f"logout 0 {plan.lonely}")
    elif load == "enter":
        until = time.monotonic() + WARM_S + seconds
        while time.monotonic() < until:
            answers.append(generator.ask(enter))
            generator.ask(f"logout {who}")
            generator.ask(f"login {who} {MAX_LOGINS_AT_ONCE}")
    elif load == "groupchat":
        answers.append(generator.ask(f"groupchat {who} {rooms.size} {rooms.speakers} {tail}"))
    elif load == "groupchat-rate":
        answers.append(generator.ask(f"groupchat-rate {who} {rooms.size} {arguments.per_second} {tail}"))
    elif load == "rate":
        answers.append(generator.ask(f"rate {plan.pairs} {arguments.per_second} {tail}"))
    elif load == "presence":
        answers.append(generator.ask(f"presence {plan.lonely} {FAN_ACCOUNTS} {FAN_GROUP} {tail}"))
    else:
        answers.append(generator.ask(f"messages {plan.pairs} {tail}"))
    watcher.wait()
    for answer in answers:
        say(f"{answer['what']}: {answer['server_us']:.1f} µs of server CPU each, {answer['per_s']:.0f}/s")
    return stacks


def _print(stacks: Iterable[str], top: int) -> None:
    """Own and total share of each function; a raw stack is "outer;…;inner COUNT"."""
    own: collections.Counter[str] = collections.Counter()
    total: collections.Counter[str] = collections.Counter()
    samples = 0
    for line in stacks:
        frames, _, count = line.rpartition(" ")
        functions = [_without_line(frame) for frame in frames.split(";")]
        if functions[-1].startswith(IDLE):
            continue
        samples += int(count)
        own[functions[-1]] += int(count)
        for function in set(functions):
            total[function] += int(count)
    print(f"{samples} samples\n   own  total  function")
    for function, count in own.most_common(top):
        print(f"{count / samples:6.1%} {total[function] / samples:6.1%}  {function}")


def _without_line(frame: str) -> str:
    name, _, place = frame.partition(" (")
    return f"{name} ({place.rpartition(':')[0] or place})" if place else name


if __name__ == "__main__":
    sys.exit(main())
