"""When the WAL is moved into the database file: soon after much, later after little."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from chatd.store.checkpoint import LONG_WAL_PAGES, LONGEST_PAUSE_S, MUCH_ROWS, PAUSE_S, Checkpointer


class Jobs:
    """Stands for the database: counts who checkpoints, and answers with the WAL's length."""

    def __init__(self, pages: int = 10) -> None:
        self.pages = pages
        self.done: list[str] = []
        self.waiting: Deferred[Any] | None = None

    def read_beside(self, job: Any) -> Deferred[Any]:
        self.done.append("beside")
        return self.waiting or succeed((self.pages, self.pages))

    def write_alone(self, job: Any) -> Deferred[Any]:
        self.done.append("writer")
        return succeed((0, 0))


def case(pages: int = 10) -> tuple[Clock, Jobs, Checkpointer]:
    clock, jobs = Clock(), Jobs(pages)
    return clock, jobs, Checkpointer(jobs, clock)  # type: ignore[arg-type]


def test_little_waits_long() -> None:
    clock, jobs, checkpointer = case()
    for _ in range(9):
        checkpointer.wrote(2)
        clock.advance(LONGEST_PAUSE_S / 10)
    assert jobs.done == []
    clock.advance(LONGEST_PAUSE_S / 10)
    assert jobs.done == ["beside"]
    clock.advance(10 * LONGEST_PAUSE_S)
    assert jobs.done == ["beside"], "nothing was written meanwhile"


def test_much_waits_a_moment_from_the_first_commit() -> None:
    clock, jobs, checkpointer = case()
    checkpointer.wrote(1)
    clock.advance(PAUSE_S * 0.75)
    checkpointer.wrote(MUCH_ROWS)
    assert jobs.done == []
    clock.advance(PAUSE_S * 0.5)
    assert jobs.done == ["beside"]
    checkpointer.wrote(MUCH_ROWS)
    clock.advance(PAUSE_S)
    assert jobs.done == ["beside"] * 2
    checkpointer.wrote(MUCH_ROWS - 1)
    clock.advance(3 * PAUSE_S)
    assert jobs.done == ["beside"] * 2
    checkpointer.wrote(1)
    clock.advance(0)
    assert jobs.done == ["beside"] * 3, "its moment is over already"


def test_a_long_wal_is_finished_by_the_writer() -> None:
    clock, jobs, checkpointer = case(LONG_WAL_PAGES + 1)
    checkpointer.wrote(1)
    clock.advance(LONGEST_PAUSE_S)
    assert jobs.done == ["beside", "writer"]


def test_one_at_a_time_and_none_after_the_end() -> None:
    clock, jobs, checkpointer = case()
    jobs.waiting = Deferred()
    checkpointer.wrote(MUCH_ROWS)
    clock.advance(PAUSE_S)
    checkpointer.wrote(MUCH_ROWS)
    clock.advance(LONGEST_PAUSE_S)
    assert jobs.done == ["beside"]
    jobs.waiting.callback((10, 10))
    checkpointer.wrote(MUCH_ROWS)
    checkpointer.close()
    clock.advance(LONGEST_PAUSE_S)
    checkpointer.wrote(MUCH_ROWS)
    clock.advance(LONGEST_PAUSE_S)
    assert jobs.done == ["beside"] and not clock.getDelayedCalls()
