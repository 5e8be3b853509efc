"""kill -9 at any moment: all that was promised is there afterwards, and the database opens clean."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import pytest_twisted

from chatd.core.archive import ArchiveQuery
from chatd.store import late_index

from killed_writer import text_of  # type: ignore[import-not-found]  # isort: skip - beside this file

HERE = Path(__file__).parent


def killed_after(lines: int, url: str, folder: Path) -> dict[str, set[int]]:
    """Let a process write until it has made that many promises, kill it; return all it made."""
    root = str(HERE.parent.parent)
    process = subprocess.Popen(
        [sys.executable, str(HERE / "killed_writer.py"), url, str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": root}, cwd=root,
    )  # fmt: skip
    promised: list[str] = []
    assert process.stdout is not None and process.stderr is not None
    for line in process.stdout:
        promised.append(line.decode())
        if len(promised) >= lines:
            break
    process.send_signal(signal.SIGKILL)
    # What it had written to the pipe before it died was promised too. A line cut in the middle was not.
    promised += process.stdout.read().decode().splitlines(keepends=True)
    complaint = process.stderr.read().decode()
    assert process.wait(10) == -signal.SIGKILL, complaint
    kinds: dict[str, set[int]] = {"m": set(), "o": set(), "r": set()}
    for line in promised:
        if line.endswith("\n"):
            kind, number = line.split()
            kinds[kind].add(int(number))
    return kinds


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("seed", range(4))
async def test_no_promise_is_broken(lasting, seed):
    dice = random.Random(seed)
    store = await lasting.open()
    john = await store.accounts.create("john", "example.org", {}, 1.0)
    promised: dict[str, set[int]] = {"m": set(), "o": set(), "r": set()}
    for _ in range(2):
        await lasting.close()
        made = killed_after(dice.randint(1, late_index.TAIL_ROWS // 2), lasting.url, lasting.folder)
        promised = {kind: promised[kind] | made[kind] for kind in promised}
        store = await lasting.open()

        if lasting.kind == "sqlite":
            check = await store._database.read(lambda session: session.all("PRAGMA integrity_check"))
            assert check == [("ok",)]
        found: dict[int, bytes] = {}
        query = ArchiveQuery(max=1000)
        while True:
            page = await store.archive.query(john, query)
            found.update((row.id, row.stanza) for row in page.rows)
            if page.complete:
                break
            query = ArchiveQuery(max=1000, after=page.rows[-1].id)
        assert promised["m"] <= found.keys()
        assert all(stanza == text_of(id) for id, stanza in found.items())
        waiting = {id: stanza for id, _, stanza in await store.offline.load(john)}
        assert promised["o"] <= waiting.keys()
        assert all(stanza == text_of(id) for id, stanza in waiting.items())
        version, _ = await store.roster.load(john)
        assert version >= max(promised["r"], default=0)
        assert store.new_id(0) > max(found.keys() | waiting.keys())
    assert promised["m"], "something was promised at all"
