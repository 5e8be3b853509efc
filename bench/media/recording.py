"""What recording costs: `bench/media/run recording` (python -m bench.media.recording), needs root for a namespace.

A mesh of four, each sending 720p as the media bench does (175 packets of 1100 bytes and 50 of 120 a second), runs
through one bridge process; periods without and with recording take turns. CPU is that of the whole process, thread
and writing included. The recorded files go to a real disk (--directory). It takes a minute and a half.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.media.__main__ import GENERATOR_CORE, HOST, own_namespace

CLIENTS = 4
WAYS: tuple[tuple[str, ...], ...] = (("video",), ("video", "audio"))


async def measure(rounds: int, seconds: float, directory: Path, clients_count: int) -> list[dict[str, Any]]:
    """Every round: nothing, video, video and audio."""
    from bench.media import client as c
    from bench.media.servers import Bridge

    server = Bridge(HOST)
    await server.start()
    clients = [c.Client(HOST) for _ in range(clients_count)]
    loop = asyncio.get_running_loop()
    stopped = False

    async def work() -> None:
        start, tick = loop.time(), 0
        while not stopped:
            for each in clients:
                each.receive()
            for i, each in enumerate(clients):
                if each.outbound is not None:
                    if not (tick + i) % 2:
                        each.sound()
                    if not (tick + i) % 4:
                        each.frame()
                    if (tick + i * 10) % 100 == 0:
                        each.report(time.time())
                    if (tick + i * 10) % 500 == 0:
                        each.check()
            tick += 1
            await asyncio.sleep(max(0.0, start + tick * 0.01 - loop.time()))

    worker = asyncio.ensure_future(work())
    results: list[dict[str, Any]] = []
    try:
        await server.join(clients, clients)
        await server.ask(op="lag")
        await asyncio.sleep(3)
        for n in range(rounds):
            for kinds in ((), *WAYS):
                folder = directory / ("%d%s" % (n, "".join(kinds)))
                if kinds:
                    await server.ask(op="record", directory=str(folder), of=list(range(len(clients))), kinds=kinds)
                await asyncio.sleep(1)
                before = (await server.ask(op="lag"))["received"]
                cpu = server.cpu_s()
                await asyncio.sleep(seconds)
                cpu = server.cpu_s() - cpu
                state = await server.ask(op="lag")
                lags = state["lags"]
                packets = state["received"] - before
                found: dict[str, Any] = {"kinds": kinds, "us": cpu / packets * 1e6, "worst_ms": lags[-1] * 1000,
                                         "p50_ms": lags[len(lags) // 2] * 1000,
                                         "p99_ms": lags[int(len(lags) * 0.99)] * 1000}
                if kinds:
                    found.update(await server.ask(op="stop"))
                    found["thread_us"] = found["thread_s"] / found["octets"] * 1e6 * c.VIDEO_BYTES
                    shutil.rmtree(folder)
                results.append(found)
        return results
    finally:
        stopped = True
        await worker
        for each in clients:
            each.close()
        await server.stop()


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.media.recording")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=7.0)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--directory", type=Path, default=None)
    options = parser.parse_args()
    own_namespace("bench.media.recording")
    os.sched_setaffinity(0, {GENERATOR_CORE})
    directory = Path(tempfile.mkdtemp(prefix="bench-recording", dir=options.directory))
    try:
        results = asyncio.run(measure(options.rounds, options.seconds, directory, options.clients))
    finally:
        shutil.rmtree(directory, ignore_errors=True)

    from bench.media import client as c

    def median(kinds: tuple[str, ...], key: str) -> float:
        return statistics.median(r[key] for r in results if r["kinds"] == kinds)

    # A busy machine slows the generator: what a packet costs is measured, and multiplied by a publisher's rate.
    rate = c.FRAMES_PER_S * c.PACKETS_PER_FRAME + c.SOUNDS_PER_S
    without = median((), "us")
    print("| recorded | µs a received packet, median (all rounds) | more for a participant at 720p | "
          "loop late: half / 99 of 100 |")
    print("|---|---|---|---|")
    for kinds in ((), *WAYS):
        more = (median(kinds, "us") - without) * rate / 1e6
        print("| %s | %.1f (%s) | %s | %.1f / %.1f ms |" % (
            " and ".join(kinds) or "nothing", median(kinds, "us"),
            ", ".join("%.1f" % r["us"] for r in results if r["kinds"] == kinds),
            "%.2f %% of a core" % (more * 100) if kinds else "", median(kinds, "p50_ms"), median(kinds, "p99_ms")))
    for kinds in WAYS:
        print("the recording's thread, %s: %.1f µs for %d bytes written" % (
            " and ".join(kinds), median(kinds, "thread_us"), c.VIDEO_BYTES))
    bad = [r for r in results if r["kinds"] and (r["error"] or r["gaps"])]
    print("gaps or errors in %d of %d recordings" % (len(bad), sum(1 for r in results if r["kinds"])))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
