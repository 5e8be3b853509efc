"""The writer's thread, in the place of adbapi's pool of threads.

Twisted's ThreadPool finds an idle thread for each job, through a few queues and locks. Where there is one thread there
is nothing to find, and handing over a job that does nothing takes a quarter less (docs/decisions.md).
"""
from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any

from twisted.python.failure import Failure

Job = tuple[Callable[[bool, Any], object], Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class OneThread:
    """What adbapi asks of a `twisted.python.threadpool.ThreadPool`. Jobs are done in the order they were given."""

    def __init__(self, name: str) -> None:
        """name: the thread's."""
        self._name = name
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._has_ended = False

    def start(self) -> None:
        """Begin with the jobs there are."""
        if self._thread is None:
            self._thread = Thread(target=self._work, name=self._name)
            self._thread.start()

    def stop(self) -> None:
        """Take no further jobs; return when all there are have been done."""
        if self._has_ended:
            return
        self._has_ended = True
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join()

    def callInThreadWithCallback(
        self, onResult: Callable[[bool, Any], object], func: Callable[..., Any], *args: Any, **keywords: Any
    ) -> None:
        """Call func in the thread, then, in the thread too, onResult(True, result) or onResult(False, Failure).

        Nothing is called after `stop`.
        """
        if not self._has_ended:
            self._jobs.put((onResult, func, args, keywords))

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            told, func, args, keywords = job
            result: Any
            try:
                result, succeeded = func(*args, **keywords), True
            except BaseException:
                result, succeeded = Failure(), False
            told(succeeded, result)
            # Else the last job's values would live until the next one comes.
            del job, told, func, args, keywords, result
