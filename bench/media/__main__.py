"""bench/media/run: rows of meetings, both servers in turn, a table and every figure as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

HOST = "198.18.0.1"  # RFC 2544: for benchmarks; exists only in this process's own network namespace
RESULTS = Path(__file__).parent.parent / "results"
GENERATOR_CORE = 1
GENERATOR_LIMIT = 0.9
GOAL_PER_CORE = 60_000


class Row(NamedTuple):
    """`clients` in a room, of which `publishers` publish; `speed`: times the ordinary rate of a publisher."""

    name: str
    clients: int
    publishers: int
    speed: int = 1


ROWS = (Row("1 → 10", 11, 1), Row("1 → 30", 31, 1), Row("1 → 50", 51, 1), Row("mesh of 10", 10, 10),
        Row("saturation, 1 → 50", 51, 1, 12), Row("saturation, mesh of 10", 10, 10, 8))


def own_namespace(module: str = "bench.media") -> None:
    """Run on (`module` from its beginning) in a network namespace of our own: media never touches a real interface.
    Needs root.
    """
    if os.environ.get("CHATD_BENCH_NAMESPACE"):
        return
    if os.geteuid():
        sys.exit("bench/media/run needs root for a network namespace of its own (unshare -n)")
    os.environ["CHATD_BENCH_NAMESPACE"] = "1"
    command = (
        f"ip link set lo up && ip link add bench0 type veth peer name bench1 && ip addr add {HOST}/24 dev bench0 && "
        'ip link set bench0 up && ip link set bench1 up && exec "$@"'
    )
    os.execvp(
        "unshare", ["unshare", "-n", "sh", "-c", command, "sh", sys.executable, "-m", module, *sys.argv[1:]]
    )


async def measure(server: Any, row: Row, seconds: float) -> dict[str, Any]:
    """One row on one server."""
    from bench.media import client as c

    await server.start()
    clients = [c.Client(HOST, is_sampled=i in (row.publishers, row.clients - 1)) for i in range(row.clients)]
    drained = list(clients)
    server._receiving_task = drained.extend
    loop = asyncio.get_running_loop()
    publishing: list[c.Client] = []
    reporting: list[c.Client] = []
    stopped = False
    behind = 0.0

    async def work() -> None:
        """Drain every 10 ms; frames, sounds, reports and checks when they are due."""
        nonlocal behind
        start, tick = loop.time(), 0
        while not stopped:
            for each in drained:
                each.receive()
            if publishing:
                # 100 ticks a second: sound in every second, a frame in every fourth; publishers take turns.
                for i, publisher in enumerate(publishing):
                    for _ in range(row.speed):
                        if not (tick + i) % 2:
                            publisher.sound()
                        if not (tick + i) % 4:
                            publisher.frame()
            if tick % 2 == 0:
                for i, each in enumerate(reporting):
                    if (tick // 2 + i) % 50 == 0:
                        each.report(time.time())
                    if (tick // 2 + i) % 250 == 0:
                        each.check()
            tick += 1
            behind = loop.time() - start - tick * 0.01
            if behind > 1:
                start = loop.time() - tick * 0.01
            await asyncio.sleep(max(0.0, -behind))

    worker = asyncio.ensure_future(work())
    try:
        receivers = await server.join(clients, clients[:row.publishers])
        reporting.extend(set(clients) | set(receivers))
        publishing.extend(clients[:row.publishers])
        await asyncio.sleep(2.5)
        emitted = sum(p.emitted for p in publishing)
        before, cpu, own, at = (
            [(r.packets, r.holes, r.broken) for r in receivers],
            server.cpu_s(),
            time.process_time(),
            loop.time(),
        )
        await asyncio.sleep(seconds)
        passed = loop.time() - at
        cpu, own = server.cpu_s() - cpu, time.process_time() - own
        got = [(r.packets - b[0], r.holes - b[1], r.broken - b[2]) for r, b in zip(receivers, before, strict=True)]
        packets = sum(entry[0] for entry in got)
        # What publishers really sent: on a busy machine the generator may not keep up with its own plan.
        copies = len(receivers) if row.publishers == 1 else row.clients - 1
        due = (sum(p.emitted for p in publishing) - emitted) * copies
        return {
            "server": server.name,
            "row": row.name,
            "packets_per_s": packets / passed,
            "due": packets / max(1, due),
            "us_per_packet": cpu / max(1, packets) * 1e6,
            "core": cpu / passed,
            "generator": own / passed,
            "holes": sum(e[1] for e in got),
            "broken": sum(e[2] for e in got),
            "feedback": sum(p.feedback for p in publishing),
            "remarks": await server.remarks(),
        }
    finally:
        stopped = True
        await worker
        for each in drained:
            each.close()
        await server.stop()


def table(results: list[dict[str, Any]]) -> str:
    """Medians, ratio, goal."""
    lines = [
        "| row | server | forwarded/s | of what was offered | µs a packet | a core | generator | goal |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        cost = {}
        for name in ("chatd", "janus"):
            found = [r for r in results if r["row"] == row.name and r["server"] == name]
            if not found:
                continue
            mid = {key: statistics.median(r[key] for r in found)
                   for key in ("packets_per_s", "due", "us_per_packet", "core", "generator")}
            cost[name] = mid["us_per_packet"]
            goal = ""
            if name == "janus" and "chatd" in cost:
                goal = "reached: %.2f of Janus" % (cost["chatd"] / cost["janus"])
                if cost["chatd"] >= cost["janus"]:
                    goal = "MISSED: %.2f of Janus" % (cost["chatd"] / cost["janus"])
            elif row.speed > 1 and name == "chatd":
                rate = 1e6 / mid["us_per_packet"]
                goal = f"{'reached' if rate >= GOAL_PER_CORE else 'MISSED'}: {rate:,.0f} a second and core"
            note = " (generator at its limit)" if mid["generator"] > GENERATOR_LIMIT else ""
            lines.append(
                "| %s | %s | %s | %.0f %% | %.1f | %.0f %% | %.0f %%%s | %s |"
                % (
                    row.name,
                    name,
                    f"{mid['packets_per_s']:,.0f}",
                    100 * mid["due"],
                    mid["us_per_packet"],
                    100 * mid["core"],
                    100 * mid["generator"],
                    note,
                    goal,
                )
            )
    return "\n".join(lines)


def main() -> None:
    """Parse, run, print, keep."""
    parser = argparse.ArgumentParser(prog="bench/media/run")
    parser.add_argument("--only", default="chatd,janus", help="servers, by comma")
    parser.add_argument("--rows", default="", help="only rows whose name has one of these words, by comma")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--quick", action="store_true", help="one round of 3 seconds: a look, not a result")
    options = parser.parse_args()
    if "janus" in options.only and shutil.which("janus") is None:
        if os.geteuid():
            sys.exit("install Debian's package janus, or say --only chatd")
        subprocess.run(
            ["sh", "-c", "apt-get update -q && RUNLEVEL=1 apt-get install -y -q --no-install-recommends janus"],
            check=True,
        )
    own_namespace()
    from bench.media.servers import Bridge, Janus

    os.sched_setaffinity(0, {GENERATOR_CORE})
    kinds = [kind for kind in (Bridge, Janus) if kind.name in options.only.split(",")]
    words = [word for word in options.rows.split(",") if word]
    rows = [row for row in ROWS if not words or any(word in row.name for word in words)]
    results = []
    for number in range(1 if options.quick else options.rounds):
        for row in rows:
            # They take turns in who comes first.
            for kind in kinds if number % 2 == 0 else reversed(kinds):
                result = asyncio.run(measure(kind(HOST), row, 3.0 if options.quick else options.seconds))
                results.append(result | {"round": number})
                print(
                    f"{result['row']:24} {result['server']:6} {result['packets_per_s']:9,.0f}/s "
                    f"{100 * result['due']:4.0f} % "
                    f"{result['us_per_packet']:6.1f} µs {100 * result['core']:4.0f} % of a core, generator "
                    f"{100 * result['generator']:3.0f} %; holes {result['holes']}, broken {result['broken']}, "
                    f"feedback {result['feedback']}; {result['remarks']}",
                    file=sys.stderr,
                    flush=True,
                )
    print(table(results))
    RESULTS.mkdir(exist_ok=True)
    name = time.strftime("media-%Y%m%d-%H%M%S")
    (RESULTS / f"{name}.json").write_text(json.dumps(results, indent=1))
    (RESULTS / f"{name}.md").write_text(table(results) + "\n")


if __name__ == "__main__":
    main()
