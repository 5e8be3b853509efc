"""Writes messages as fast as it can and says on stdout which are durable, until it is killed.

Run by test_store_kill.py: python killed_writer.py URL FOLDER. Each line of the output is a promise: "m ID" an archived
message (its text is a function of the id), "o ID" an offline message, "r VERSION" a roster change.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from chatd.core.roster import RosterItem
from chatd.store import open_store


@attrs.frozen
class StoreSettings:
    url: str
    commit_interval_ms: int = 1
    durability: str = "full"
    pool: int = 1


def text_of(id: int) -> bytes:
    """What is stored under an id."""
    return b"<message id='%d'>%s</message>" % (id, b"x" * (id % 1500))


open_rows = [0]
"""Rows handed over and not promised yet; without a bound the batches would only grow."""


def promise(error: Exception | None, kind: str, number: int) -> None:
    open_rows[0] -= 1
    if error is None:
        os.write(1, f"{kind} {number}\n".encode())


async def write(url: str, folder: str) -> None:
    store = await open_store(StoreSettings(url), Path(folder), reactor)
    account = await store.accounts.get("john", "example.org")
    assert account is not None

    def burst() -> None:
        reactor.callLater(0, burst)
        if open_rows[0] > 300:
            return
        open_rows[0] += 21
        now_ms = int(time.time() * 1000)
        for number in range(20):
            id = store.new_id(now_ms)
            store.archive.append(account.id, id, f"{number % 7}@example.org", "", text_of(id), now_ms)
            store.then(promise, "m", id)
        id = store.new_id(now_ms)
        store.offline.append(account.id, id, text_of(id), now_ms)
        store.then(promise, "o", id)

    burst()
    while True:
        version = await store.roster.save(account.id, RosterItem("a@example.org", str(time.time())))
        open_rows[0] += 1
        promise(None, "r", version)


def main() -> None:
    writing = Deferred.fromCoroutine(write(*sys.argv[1:]))
    writing.addErrback(lambda failure: failure.printTraceback(sys.stderr))
    writing.addBoth(lambda _: reactor.stop())


if __name__ == "__main__":
    reactor.callWhenRunning(main)
    reactor.run()
