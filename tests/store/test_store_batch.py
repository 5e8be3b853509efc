"""Group commit: what is in which batch, when it is written, who is told what and in which order."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from chatd.store.batch import FULL_BATCH, GroupCommit
from chatd.store.errors import StoreClosed, StoreError
from chatd.store.session import HotInsert

ROWS = HotInsert("t", ("a", "b"), ("int8", "int8"))
OTHER = HotInsert("u", ("a",), ("int8",))


class Writes:
    """Stands for the database: keeps the batches it is given until the test says how they ended."""

    def __init__(self):
        self.before_write = lambda: None
        self.begun = []

    def write_alone(self, job, batch):
        ended = Deferred()
        self.begun.append((batch, ended))
        return ended

    def succeed(self):
        self.begun.pop(0)[1].callback(None)

    def fail(self, error):
        self.begun.pop(0)[1].errback(error)


class Case:
    def __init__(self, interval_s=0.003):
        self.writes = Writes()
        self.clock = Clock()
        self.batches = GroupCommit(self.writes, self.clock, interval_s)  # type: ignore[arg-type]
        self.told = []

        # Nothing has come for a moment, or the first row would be written in the next turn.
        if interval_s:
            self.batches.insert(ROWS, (0, 0))
            self.clock.advance(0)
            self.writes.succeed()

    def row(self, number):
        self.batches.insert(ROWS, (number, number))

    def then(self, name):
        self.batches.then(lambda error, name: self.told.append((name, error)), name)


def test_a_batch_is_written_its_interval_after_its_first_row():
    case = Case(0.003)
    case.row(1)
    case.clock.advance(0.002)
    case.row(2)
    assert not case.writes.begun
    case.clock.advance(0.001)
    [(batch, _)] = case.writes.begun
    assert batch.steps == [(ROWS, [1, 1, 2, 2])]


def test_after_a_pause_the_first_row_does_not_wait():
    case = Case(0.003)
    case.clock.advance(0.003)
    case.row(1)
    assert not case.writes.begun, "others of the same turn go with it"
    case.row(2)
    case.clock.advance(0)
    assert case.writes.begun[0][0].steps == [(ROWS, [1, 1, 2, 2])]
    case.row(3)
    case.clock.advance(0.002)
    case.writes.succeed()
    assert not case.writes.begun, "what follows closely is collected"
    case.clock.advance(0.001)
    assert len(case.writes.begun) == 1


def test_the_outcome_of_a_batch_is_its_own():
    case = Case()
    error = StoreError("disk full")
    for number in (1, 2):
        case.row(number)
        case.batches.outcome(lambda error, number: case.told.append((number, error)), number)
        case.then(f"then {number}")
        case.batches.flush()
    case.writes.fail(error)
    case.writes.succeed()
    assert case.told == [(1, error), ("then 1", error), (2, None), ("then 2", error)]


def test_a_full_batch_is_written_in_the_next_turn():
    case = Case(1.0)
    for number in range(FULL_BATCH):
        assert not case.writes.begun
        case.row(number)
    case.clock.advance(0)
    assert case.writes.begun[0][0].rows == FULL_BATCH


def test_rows_that_come_while_a_batch_is_written_make_the_next_one():
    case = Case()
    case.row(1)
    case.clock.advance(0.003)
    case.row(2)
    case.clock.advance(0.003)
    case.row(3)
    assert len(case.writes.begun) == 1, "one at a time"
    case.writes.succeed()
    assert [batch.steps for batch, _ in case.writes.begun] == [[(ROWS, [2, 2, 3, 3])]]
    case.writes.succeed()
    assert not case.batches.pending


def test_a_batch_that_is_not_due_yet_waits_for_its_time_after_the_one_before_it():
    case = Case(0.003)
    case.row(1)
    case.clock.advance(0.003)
    case.row(2)
    case.writes.succeed()
    assert not case.writes.begun
    case.clock.advance(0.003)
    assert len(case.writes.begun) == 1


def test_rows_of_one_table_are_one_statement_however_they_are_mixed():
    case = Case()
    for number in (1, 2):
        case.row(number)
        case.batches.insert(OTHER, (number,))
    case.clock.advance(1)
    assert case.writes.begun[0][0].steps == [(ROWS, [1, 1, 2, 2]), (OTHER, [1, 2])]


def test_a_statement_comes_between_the_rows_before_and_after_it():
    case = Case()
    case.row(1)
    case.batches.run("t", "DELETE", (9,))
    case.row(2)
    case.clock.advance(1)
    assert case.writes.begun[0][0].steps == [(ROWS, [1, 1]), ("DELETE", (9,)), (ROWS, [2, 2])]


def test_callbacks_come_in_order_and_not_before_their_rows():
    case = Case()
    case.row(1)
    case.then("a")
    case.then("b")
    case.clock.advance(0.003)
    case.then("c")  # its rows are in the batch being written
    case.row(2)
    case.then("d")
    assert case.told == []
    case.writes.succeed()
    assert case.told == [("a", None), ("b", None), ("c", None)]
    case.clock.advance(0.003)
    case.writes.succeed()
    assert case.told[-1] == ("d", None)


def test_with_nothing_pending_a_callback_comes_at_once():
    case = Case()
    case.then("a")
    assert case.told == [("a", None)]
    assert not case.batches.pending


def test_a_callback_left_by_a_callback_comes_after_those_left_before():
    case = Case()
    case.row(1)
    case.then("first")
    case.batches.then(lambda error: case.then("late"))
    case.then("second")
    case.clock.advance(1)
    case.writes.succeed()
    assert case.told == [("first", None), ("second", None), ("late", None)]


def test_a_row_added_by_a_callback_begins_a_batch_of_its_own():
    case = Case()
    case.row(1)
    case.batches.then(lambda error: (case.row(2), case.then("of 2")))
    case.clock.advance(1)
    case.writes.succeed()
    assert case.batches.pending and case.told == []
    case.clock.advance(1)
    case.writes.succeed()
    assert case.told == [("of 2", None)]


def test_a_failed_commit_is_told_to_all_who_trusted_in_it():
    case = Case()
    error = StoreError("disk full")
    case.row(1)
    case.then("a")
    case.clock.advance(1)
    case.row(2)
    case.then("b")  # promises row 1 too
    case.writes.fail(error)
    assert case.told == [("a", error)]
    case.row(3)
    case.then("c")  # left when the failure was known
    case.clock.advance(1)
    case.writes.succeed()
    assert case.told == [("a", error), ("b", error), ("c", None)]


def test_a_failed_commit_is_told_to_batches_behind_it_in_the_queue():
    case = Case()
    error = StoreError("disk full")
    case.row(1)
    case.batches.flush()
    case.row(2)
    case.then("b")
    case.batches.flush()
    assert len(case.writes.begun) == 2
    case.writes.fail(error)
    case.writes.succeed()
    assert case.told == [("b", error)]


def test_after_a_failure_a_callback_of_a_callback_is_not_told_it_again():
    case = Case()
    case.row(1)
    case.batches.then(lambda error: case.then("late"))
    case.clock.advance(1)
    case.writes.fail(StoreError("disk full"))
    assert case.told == [("late", None)]


def test_a_callback_that_raises_stops_nobody():
    case = Case()
    case.row(1)
    case.batches.then(lambda error: 1 / 0)
    case.then("b")
    case.clock.advance(1)
    case.writes.succeed()
    assert case.told == [("b", None)]
    case.row(2)
    case.clock.advance(1)
    assert case.writes.begun, "and later batches go on"


def test_an_error_that_is_none_of_ours_reaches_callbacks_as_one_of_ours():
    case = Case()
    case.row(1)
    case.then("a")
    case.clock.advance(1)
    case.writes.fail(MemoryError())
    [(_, error)] = case.told
    assert isinstance(error, StoreError)


def test_a_write_of_another_kind_sends_the_batch_ahead():
    case = Case(10)
    case.row(1)
    case.writes.before_write()
    assert len(case.writes.begun) == 1
    case.clock.advance(20)
    assert len(case.writes.begun) == 1, "the timer of the batch that went ahead is off"


def test_barrier_fires_and_fails_with_its_rows():
    case = Case()
    case.row(1)
    outcomes: list = []
    case.batches.barrier().addCallback(outcomes.append)
    case.clock.advance(1)
    case.writes.succeed()
    case.row(2)
    case.batches.barrier().addErrback(lambda failure: outcomes.append(failure.type))
    case.clock.advance(1)
    case.writes.fail(StoreError("disk full"))
    assert outcomes == [None, StoreError]


def test_close_writes_the_rest_and_refuses_more():
    case = Case(10)
    case.row(1)
    case.then("a")
    closed: list = []
    case.batches.close().addCallback(closed.append)
    assert not closed
    with pytest.raises(StoreClosed):
        case.row(2)
    case.writes.succeed()
    assert closed == [None] and case.told == [("a", None)]
    assert not case.clock.getDelayedCalls()


def test_close_ends_also_when_the_rest_cannot_be_written():
    case = Case(10)
    case.row(1)
    closed: list = []
    case.batches.close().addCallback(closed.append)
    case.writes.fail(StoreError("disk full"))
    assert closed == [None]
