"""A minute for each parser: with CHATD_FUZZ_SECONDS=60 every target is run again and again, with other inputs, until
its time is over (the cases of one parametrised target share it). CHATD_FUZZ_PART=0/2 takes every second target only.
`make fuzz` sets both; without them each target runs once.

The inputs follow from CHATD_FUZZ_SEED (0), so that what CI finds is found again; another number, other inputs.
"""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter

import hypothesis.core
import pytest

SEED = int(os.environ.get("CHATD_FUZZ_SEED", "0"))
SECONDS = float(os.environ.get("CHATD_FUZZ_SECONDS", "0"))
PART, _, PARTS = os.environ.get("CHATD_FUZZ_PART", "0/1").partition("/")
# Arithmetic of our own on values that a parser has let through: no parsers, they run once.
NO_PARSERS = {
    "test_a_map_gives_every_outgoing_number_at_most_once_and_reverses_it", "test_reception_stays_bounded",
    "test_transport_feedback_always_has_its_announced_length", "test_any_order",
    "test_any_timestamps_stay_near_their_arrival",
}
_cases: Counter[str] = Counter()


def _target(item: pytest.Item) -> str:
    return f"{item.fspath}::{getattr(item, 'originalname', item.name)}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep this part's targets; count the cases of each."""
    here = [item for item in items if "fuzz" in item.path.parts]
    targets = list(dict.fromkeys(_target(item) for item in here))
    dropped = [item for item in here if targets.index(_target(item)) % int(PARTS) != int(PART)]
    if dropped:
        items[:] = [item for item in items if item not in dropped]
        config.hook.pytest_deselected(items=dropped)
    _cases.update(_target(item) for item in items)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object:
    """Run a target until its time is over."""
    name = pyfuncitem.originalname
    if not SECONDS or name in NO_PARSERS or "_pytest_twisted_mark" in pyfuncitem.obj.__dict__:
        return None
    end = time.monotonic() + SECONDS / _cases[_target(pyfuncitem)]
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    try:
        for number in itertools.count(SEED):
            hypothesis.core.global_force_seed = number
            pyfuncitem.obj(**arguments)
            if time.monotonic() >= end:
                break
    finally:
        hypothesis.core.global_force_seed = None
    return True
