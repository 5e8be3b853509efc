"""The store by itself: what an archived row costs, and how long a commit takes, at fixed rates.

    python -m bench.store_rows [--url sqlite:bench.sqlite] [--rates 400,2000,8000,0] [--seconds 10]

A message is two archive rows, one of each side, and a callback left with `then`. A rate of 0 keeps 200 messages on
their way without a pause. CPU is the whole process's, threads and kernel included, less what the same loop costs
without a store.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from chatd.store import open_store

ACCOUNTS = 5000
STANZA = b"<message xmlns='jabber:client'>" + b"x" * 570 + b"</message>"
TURN_S = 0.002
IN_FLIGHT = 200


@attrs.frozen
class StoreSettings:
    url: str
    commit_interval_ms: int
    durability: str
    pool: int = 2


class NoStore:
    """What the loop itself costs."""

    class archive:
        @staticmethod
        def append(*args: Any) -> None:
            """Drop it."""

    def __init__(self) -> None:
        self.last = 0

    def new_id(self, stamp_ms: int) -> int:
        self.last += 1
        return self.last

    def then(self, callback: Any, *args: Any) -> None:
        reactor.callLater(TURN_S, callback, None, *args)


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Load:
    """Messages at a rate (rows/s, 0: as fast as they are committed)."""

    def __init__(self, store: Any, rows_per_s: float, seconds: float) -> None:
        self.store = store
        self.rate = rows_per_s
        self.dice = random.Random(7)
        self.end = time.perf_counter() + seconds
        self.begin = time.perf_counter()
        self.sent = 0
        self.open = 0
        self.latencies: list[float] = []
        self.errors = 0
        self.done: Deferred[None] = Deferred()

    def turn(self) -> None:
        now = time.perf_counter()
        if now >= self.end:
            if not self.open:
                self.done.callback(None)
            else:
                reactor.callLater(TURN_S, self.turn)
            return
        wanted = (now - self.begin) * self.rate / 2 if self.rate else self.sent + IN_FLIGHT - self.open
        while self.sent < wanted:
            self.message()
        reactor.callLater(TURN_S if self.rate else 0, self.turn)

    def message(self) -> None:
        store, stamp = self.store, int(time.time() * 1000)
        a = self.dice.randrange(ACCOUNTS)
        b = (a + 37 * self.dice.randrange(1, 6)) % ACCOUNTS
        store.archive.append(a + 1, store.new_id(stamp), f"user{b:05}@example.org", "phone", STANZA, stamp)
        store.archive.append(b + 1, store.new_id(stamp), f"user{a:05}@example.org", "phone", STANZA, stamp)
        store.then(self.durable, time.perf_counter())
        self.sent += 1
        self.open += 1

    def durable(self, error: Exception | None, since: float) -> None:
        self.latencies.append(time.perf_counter() - since)
        self.errors += error is not None
        self.open -= 1


async def run(store: Any, rate: float, seconds: float) -> tuple[Load, float]:
    load = Load(store, rate, seconds)
    before = cpu_s()
    load.turn()
    await load.done
    return load, cpu_s() - before


async def main(options: argparse.Namespace) -> None:
    folder = Path(options.folder or tempfile.mkdtemp(prefix="chatd-bench-"))
    settings = StoreSettings(options.url, options.interval_ms, options.durability)
    print(f"{options.url} {options.durability}, {options.interval_ms} ms")
    print(" rows/s wanted   rows/s   CPU µs/row   p50 ms   p99 ms   max ms   errors   WAL MiB")
    for rate in [float(text) for text in options.rates.split(",")]:
        _, idle = await run(NoStore(), rate or 8000, min(options.seconds, 3)) if rate else (None, 0.0)
        store = await open_store(settings, folder, reactor)
        load, used = await run(store, rate, options.seconds)
        used -= idle * options.seconds / min(options.seconds, 3)
        await deferLater(reactor, 0.1)
        wal = folder / "bench.sqlite-wal"
        size = wal.stat().st_size / 2**20 if wal.exists() else 0
        await store.close()
        rows, times = load.sent * 2, sorted(load.latencies)
        print(
            f"{rate:14.0f} {rows / options.seconds:8.0f} {used / rows * 1e6:12.1f} {times[len(times) // 2] * 1e3:8.2f}"
            f" {times[int(len(times) * 0.99)] * 1e3:8.2f} {times[-1] * 1e3:8.1f} {load.errors:8} {size:9.1f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="sqlite:bench.sqlite")
    parser.add_argument("--rates", default="400,2000,8000,0")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--interval-ms", type=int, default=3)
    parser.add_argument("--durability", default="full")
    parser.add_argument("--folder")
    given = parser.parse_args()

    def begin() -> None:
        running = Deferred.fromCoroutine(main(given))
        running.addErrback(lambda failure: failure.printTraceback())
        running.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
