"""The writer's thread: every job once, in order, its outcome told, until it is stopped."""

from __future__ import annotations

import threading
from typing import Any

from chatd.store.one_thread import OneThread


def test_jobs_are_done_in_order_and_told_in_the_thread() -> None:
    told: list[tuple[bool, Any, str]] = []

    def tell(succeeded: bool, result: Any) -> None:
        told.append((succeeded, result, threading.current_thread().name))

    thread = OneThread("the writer")
    thread.callInThreadWithCallback(tell, lambda: "before it began")
    thread.start()
    thread.start()
    for number in range(100):
        thread.callInThreadWithCallback(tell, lambda a, b: a + b, number, b=1)
    thread.callInThreadWithCallback(tell, int, "no number")
    thread.callInThreadWithCallback(tell, lambda: "after a failure")
    thread.stop()
    thread.stop()
    thread.callInThreadWithCallback(tell, lambda: "too late")
    assert [one[:2] for one in told[:101]] == [(True, "before it began"), *((True, n + 1) for n in range(100))]
    succeeded, failure, _ = told[101]
    assert not succeeded and failure.check(ValueError)
    assert told[102][1] == "after a failure" and len(told) == 103
    assert {name for _, _, name in told} == {"the writer"}


def test_one_that_never_began_ends_too() -> None:
    thread = OneThread("never")
    thread.callInThreadWithCallback(lambda *_: None, print)
    thread.stop()
    assert "never" not in [one.name for one in threading.enumerate()]
