"""Answers that are ready only later: a coroutine makes the body, and nobody may be there any more when it is."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.server import NOT_DONE_YET

from chatd.web.errors import error_body

__all__ = ["answer_later"]

log = Logger()


def answer_later(request: Any, answer: Coroutine[Any, Any, bytes], what: str) -> int:
    """What a resource's render method gives back.

    answer: gives the body, and has set status and headers by then. what: it is called so in the log, where a failure is
    noted that it did not answer itself; whoever asked gets a 500.
    """
    gone: list[object] = []
    request.notifyFinish().addErrback(gone.append)

    async def send() -> None:
        try:
            body = await answer
        except Exception:
            log.failure("{what} failed", what=what)
            body = error_body(request, 500)
        if not gone:
            request.write(body)
            request.finish()

    Deferred.fromCoroutine(send()).addErrback(
        lambda failure: log.failure("an answer could not be sent", failure=failure))
    return NOT_DONE_YET
