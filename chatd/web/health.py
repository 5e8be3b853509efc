"""``/healthz``: is the daemon able to serve, for load balancers, containers and monitors.

Runs the checks it was given and says "ok" or "failed" for each; why one failed goes to the log, not to the
asker.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

Check = Callable[[], object]
"""Returns anything, or a Deferred of anything; False or an error means failed."""

CHECK_TIMEOUT_S = 5.0


class Health(Resource):
    """The /healthz resource."""

    isLeaf = True
    _log = Logger()

    def __init__(self, checks: Mapping[str, Check], clock: IReactorTime) -> None:
        """`checks` by the name shown to the asker; `clock` bounds each to CHECK_TIMEOUT_S."""
        super().__init__()
        self.checks = dict(checks)
        self.clock = clock

    def _run(self, name: str, check: Check) -> Deferred[bool]:
        def failed(failure: Failure) -> bool:
            reason = failure.getErrorMessage() or str(failure.type)
            self._log.warn("health check {name} failed: {reason}", name=name, reason=reason)
            return False

        done: Deferred[object] = maybeDeferred(check)
        done.addTimeout(CHECK_TIMEOUT_S, self.clock)
        return done.addCallback(lambda answer: answer is not False).addErrback(failed)

    def render_GET(self, request: Request) -> int:
        """Answer 200 when every check holds, otherwise 503; the body names each check."""
        gone: list[bool] = []
        request.notifyFinish().addErrback(lambda _: gone.append(True))
        names = list(self.checks)

        def answer(results: list[bool]) -> None:
            if gone:
                return
            is_well = all(results)
            words = ["ok" if good else "failed" for good in results]
            body = {"status": "ok" if is_well else "failed", "checks": dict(zip(names, words, strict=True))}
            request.setResponseCode(200 if is_well else 503)
            request.setHeader(b"Content-Type", b"application/json")
            request.setHeader(b"Cache-Control", b"no-store")
            request.write(json.dumps(body).encode() + b"\n")
            request.finish()

        gatherResults([self._run(name, check) for name, check in self.checks.items()]).addCallback(answer)
        return NOT_DONE_YET
