"""The late index by itself: what is entered when, and how far the mark may go."""

from __future__ import annotations

import pytest
from test_store_batch import Case  # type: ignore[import-not-found]

from chatd.store import late_index
from chatd.store.errors import StoreError
from chatd.store.late_index import ENTRIES, LateIndex
from chatd.store.session import HotInsert

ROWS = HotInsert("archive", ("seq",), ("int8",))


@pytest.fixture
def case(monkeypatch):
    monkeypatch.setattr(late_index, "TAIL_ROWS", 2)
    monkeypatch.setattr(late_index, "SLICE_ROWS", 1)
    return Case()


@pytest.fixture
def index(case):
    return LateIndex(case.batches, 100)


def add(case, index, account):
    seq = index.added(account, seq_id(index), "a@example.org")
    case.batches.insert(ROWS, (seq,))
    return seq


def seq_id(index):
    return index._seq * 1000


def written(case):
    """Numbers that are entered, and the mark that is set, by the batch that is written first."""
    batch = case.writes.begun[0][0]
    entered, mark = [], None
    for what, values in batch.steps:
        if what is ENTRIES:
            entered += values[3 :: ENTRIES.width]
        elif not isinstance(what, HotInsert):
            mark = values[0]
    return entered, mark


def test_rows_over_the_bound_are_entered_account_by_account(case, index):
    for account in (2, 1, 2, 1):
        add(case, index, account)
    case.batches.flush()
    assert written(case) == ([], None), "a row is not entered by its own batch"
    case.writes.succeed()
    case.clock.advance(1)
    assert written(case) == ([102, 104], None), "all of one account, the lowest"
    case.writes.succeed()
    for account in (1, 3):
        add(case, index, account)
    case.batches.flush()
    case.writes.succeed()
    case.clock.advance(1)
    assert written(case) == ([101, 103], None), "then the next account"


def test_the_mark_stays_below_every_row_that_waits_or_moves(case, index):
    for account in (1, 2, 3):
        add(case, index, account)
    case.batches.flush()
    case.writes.succeed()
    for account in (1, 2, 3):  # 101 moves with these
        add(case, index, account)
    case.batches.flush()
    assert written(case)[0] == [101]
    case.writes.succeed()
    for account in (3, 3):
        add(case, index, account)
    case.batches.flush()
    entered, mark = written(case)
    assert entered == [102, 105, 103, 106] and mark is None
    case.writes.succeed()
    case.clock.advance(1)
    entered, mark = written(case)
    assert entered == [104] and mark == 103, "a new cycle began with 104 as the lowest"


def test_entries_that_failed_wait_again_and_hold_the_mark(case, index):
    for account in (1, 2, 3):
        add(case, index, account)
    case.batches.flush()
    add(case, index, 1)
    case.batches.flush()
    case.writes.succeed()  # 101 is put into the batch that collects now
    case.writes.succeed()  # and 104 of the same account waits already
    case.clock.advance(1)
    assert written(case)[0][0] == 101
    case.writes.fail(StoreError("disk full"))
    assert [entry[3] for entry in index._tail[1]] == [101, 104], "in order: the mark looks at the first"
    while True:
        add(case, index, 9)
        case.batches.flush()
        entered, mark = written(case)
        assert mark is None or mark < 101 or 101 in entered
        case.writes.succeed()
        if 101 in entered:
            break
    assert 104 in entered, "together with the later one"


def test_rows_of_a_batch_that_failed_are_never_entered(case, index):
    for account in (1, 2, 3, 4):
        add(case, index, account)
    case.batches.flush()
    case.writes.fail(StoreError("disk full"))
    for account in (1, 2, 3, 4):
        add(case, index, account)
    case.batches.flush()
    case.writes.succeed()
    case.clock.advance(1)
    assert written(case)[0] == [105, 106]
    assert index.accounts() == {1, 2, 3, 4}
