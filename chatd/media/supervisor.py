"""Keeps one bridge process running: starts it, watches its health, starts it again when it ends.

The first restart comes at once, so that those in meetings are back within a second or two. If it ends again, the pauses
grow; a quiet time makes them short again. A process that is not ready in time, or from which no sign of health comes,
is killed first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from chatd.media.process import BridgeProcess, Ready

__all__ = ["Supervisor"]

START_S: Final = 60.0
"""Until it must be ready; a loaded machine takes seconds to import what media needs."""
SILENT_S: Final = 10.0
"""Without a sign of health, which comes every second."""
LOOK_S: Final = 1.0
PAUSES_S: Final = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
QUIET_S: Final = 60.0
"""So long ready, and the next restart is a first one again."""
REFUSED_S: Final = 60.0
"""Between attempts when it refuses its settings: only a person can change that."""
BAD_SETTINGS: Final = 2
LEAVE_S: Final = 8.0
"""For its goodbyes at the end, then it is killed."""
FAILING: Final = 3
"""Lives in a row without becoming ready."""

log = Logger()

Spawn = Callable[[], BridgeProcess]


class Supervisor(Service):
    """See above. number: of the process; settings: gives the line for it; spawn() gives one that waits for it.

    on_ready(), on_end(): called when it has become ready, and when one that was ready has ended. `restarts` counts
    lives after the first; `trouble` is why it does not run, "" while it does.
    """

    def __init__(
        self, number: int, settings: Callable[[], bytes], spawn: Spawn, clock: Any,
        on_ready: Callable[[], None], on_end: Callable[[], None],
    ) -> None:
        self.title = f"bridge {number}"
        self.number = number
        self._settings = settings
        self._spawn = spawn
        self._clock = clock
        self._on_ready, self._on_end = on_ready, on_end
        self._process: BridgeProcess | None = None
        self._born = self._heard = self._looked = self._since = 0.0
        self._pause = 0
        self._failures = 0
        self._next: IDelayedCall | None = None
        self._look: IDelayedCall | None = None
        self._left: Deferred[None] | None = None
        self._is_killed = False
        self.restarts = 0
        self.trouble = ""

    # -- what others ask
    @property
    def ready(self) -> Ready | None:
        """Where it serves, None while it does not."""
        process = self._process
        return process.ready if process is not None and not self._is_killed else None

    @property
    def health(self) -> dict[str, Any]:
        """Its last figures; none while it does not serve."""
        return self._process.health if self._process is not None and self.ready is not None else {}

    @property
    def pid(self) -> int | None:
        """Its process number."""
        return getattr(self._process.transport, "pid", None) if self._process is not None else None

    @property
    def is_failing(self) -> bool:
        """Whether it does not come up at all, as against one that will be back in a moment."""
        return self.ready is None and self._failures >= FAILING

    @property
    def up_s(self) -> float:
        """How long it has been ready."""
        return self._clock.seconds() - self._since if self.ready is not None else 0.0

    def command(self, name: str, **values: Any) -> None:
        """Send it a command; nobody gets it while it does not serve."""
        if self._process is not None and self.ready is not None:
            self._process.command(name, **values)

    # -- life
    def startService(self) -> None:
        """Start the first life."""
        super().startService()
        self._begin()

    def stopService(self) -> Deferred[None] | None:
        """Let it leave; fires when it is gone, killed if need be."""
        super().stopService()
        for call in (self._next, self._look):
            if call is not None and call.active():
                call.cancel()
        process = self._process
        if process is None:
            return None
        left: Deferred[None] = Deferred()
        self._left = left
        self._next = self._clock.callLater(LEAVE_S, self._kill, "it did not end by itself")
        if process.ready is not None:
            process.leave()
        else:
            self._end()  # it knows nobody to say goodbye to
        return left

    def _begin(self) -> None:
        self._next = None
        self._born = self._heard = self._looked = self._clock.seconds()
        self._is_killed = False
        try:
            self._process = self._spawn()
        except OSError as error:
            self._again(f"cannot be started: {error.strerror or error}", self._next_pause(False))
            return
        self._process.assign(self.title, self._settings(), self._is_ready, self._is_well, self._ended)
        self._look = self._clock.callLater(LOOK_S, self._look_over)

    def _is_ready(self, process: BridgeProcess) -> None:
        self._heard = self._since = self._clock.seconds()
        self._failures = 0
        self.trouble = ""
        ready = process.ready
        assert ready is not None
        log.info(
            "{name} takes media at {host} port {port} after {took:.1f} s", name=self.title, host=ready.media[0],
            port=ready.media[1], took=self._since - self._born,
        )
        self._on_ready()

    def _is_well(self, process: BridgeProcess) -> None:
        self._heard = self._clock.seconds()
        if self._pause and self.ready is not None and self._heard - self._since >= QUIET_S:
            self._pause = 0

    def _look_over(self) -> None:
        """Kill it if it is late or silent."""
        now = self._clock.seconds()
        if now - self._looked > 3 * LOOK_S:
            self._heard = now  # it was we who did not listen
        self._looked = now
        self._look = self._clock.callLater(LOOK_S, self._look_over)
        process = self._process
        if process is None or self._is_killed:
            return
        if process.ready is None and now - self._born > START_S:
            self._kill(f"it was not ready within {START_S:.0f} s")
        elif process.ready is not None and now - self._heard > SILENT_S:
            self._kill(f"it gave no sign of life for {SILENT_S:.0f} s")

    def _kill(self, why: str) -> None:
        process = self._process
        if process is None:
            return
        log.error("{name} is killed: {why}", name=self.title, why=why)
        was_ready = self.ready is not None
        self._end()
        if was_ready and self.running:
            self._on_end()

    def _end(self) -> None:
        self._is_killed = True
        try:
            if self._process is not None:
                self._process.kill()
        except ProcessExitedAlready:
            pass

    def _ended(self, process: BridgeProcess) -> None:
        was_ready = process.ready is not None
        is_told = self._is_killed
        self._process = None
        if self._look is not None and self._look.active():
            self._look.cancel()
        if not self.running:
            if self._next is not None and self._next.active():
                self._next.cancel()
            left, self._left = self._left, None
            if left is not None:
                left.callback(None)
            return
        if was_ready and not is_told:
            self._on_end()
        if was_ready and self._clock.seconds() - self._since >= QUIET_S:
            self._pause = 0
        if not was_ready:
            self._failures += 1
        if process.exit_code == BAD_SETTINGS:
            self._failures = FAILING
            self._again(f"refuses its settings: {process.last_words or 'it did not say why'}", REFUSED_S)
        else:
            self._again(process.ending, self._next_pause(was_ready))

    def _next_pause(self, was_ready: bool) -> float:
        """Return how long to wait; only one that worked is started again at once."""
        self._pause = max(self._pause, 0 if was_ready else 1)
        pause = PAUSES_S[min(self._pause, len(PAUSES_S) - 1)]
        self._pause += 1
        return pause

    def _again(self, what: str, pause: float) -> None:
        self.restarts += 1
        self.trouble = what
        when = f"in {pause:g} s" if pause else "at once"
        log.error("{name} {what}; started again {when}", name=self.title, what=what, when=when)
        self._next = self._clock.callLater(pause, self._begin)
