"""The bridge processes of this daemon as one: where a room is, how they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from chatd.core.media import MediaError
from chatd.media.placement import Placement
from chatd.media.process import BridgeProcess, command_line, environment
from chatd.media.supervisor import Supervisor

__all__ = ["BridgeFigures", "Bridges"]

log = Logger()


SPARE_S: Final = 5.0
"""From a start to the next spare, whose loading would slow down those who come back."""

RESPARE_S: Final = 60.0
"""From the end of an unused spare to the next one."""


class Bridges(MultiService):
    """`count` processes, and what Sites of chatd.meet.engine asks for.

    settings(number): the line for a process. on_restart(): called when one is ready again whose former life had been
    ready, so that whatever was in it is gone. has_spare: one more process waits, all loaded, to take the place of one
    that ended; loading takes longer than all the rest of a start.
    """

    def __init__(
        self, count: int, settings: Callable[[int], bytes], reactor: Any, on_restart: Callable[[], None],
        has_spare: bool = True,
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._on_restart = on_restart
        self._has_spare = has_spare
        self._spare: BridgeProcess | None = None
        self._later: IDelayedCall | None = None
        self._left: list[Deferred[None]] = []
        self._placement = Placement(count)
        self._lost: set[int] = set()
        self.all = [self._supervisor(number, settings) for number in range(count)]

    def _supervisor(self, number: int, settings: Callable[[int], bytes]) -> Supervisor:
        made = Supervisor(
            number, lambda: settings(number), self._take, self._reactor, lambda: self._ready(number),
            lambda: self._ended(number),
        )
        made.setServiceParent(self)
        return made

    # -- life
    def stopService(self) -> Deferred[Any]:
        """Let all processes leave; fires when they are gone, the spare one included."""
        if self._later is not None and self._later.active():
            self._later.cancel()
        gone: Deferred[None] | None = None
        if self._spare is not None:
            gone = Deferred()
            self._left.append(gone)
            self._spare.kill()
        stopped = super().stopService()
        return stopped if gone is None else gatherResults([stopped, gone])

    def _take(self) -> BridgeProcess:
        """Return a process that waits for its settings; raises OSError."""
        spare, self._spare = self._spare, None
        found = spare if spare is not None else self._spawn()
        if self._has_spare:
            if self._later is not None and self._later.active():
                self._later.reset(SPARE_S)
            else:
                self._later = self._reactor.callLater(SPARE_S, self._make_spare)
        return found

    def _make_spare(self) -> None:
        try:
            self._spare = self._spawn()
        except OSError as error:
            log.error("There is no spare bridge: {reason}", reason=error.strerror or error)

    def _spare_ended(self, process: BridgeProcess) -> None:
        self._spare = None
        for left in self._left:
            left.callback(None)
        if not self._left and self.running:
            log.error("The spare bridge {what}", what=process.ending)
            self._later = self._reactor.callLater(RESPARE_S, self._make_spare)

    def _spawn(self) -> BridgeProcess:
        protocol = BridgeProcess(self._spare_ended)
        arguments = command_line()
        # All other descriptors are closed in the child.
        self._reactor.spawnProcess(
            protocol, arguments[0], arguments, env=environment(), path="/", childFDs={0: "w", 1: "r", 2: "r"}
        )
        return protocol

    def _ready(self, number: int) -> None:
        if number in self._lost:
            self._lost.discard(number)
            self._on_restart()

    def _ended(self, number: int) -> None:
        self._placement.process_ended(number)
        self._lost.add(number)

    # -- where rooms are
    def address(self, room: str) -> tuple[str, int] | None:
        """Return host and port of the process for a room; None while that is not up."""
        number = self._placement.find(room, [supervisor.is_failing for supervisor in self.all])
        ready = self.all[number].ready
        return None if ready is None else ready.http

    def server(self, room: str) -> str:
        """See Sites."""
        found = self.address(room)
        if found is None:
            raise MediaError("unavailable", "the media bridge is being started")
        return "http://%s:%d" % found

    def servers(self) -> list[str]:
        """See Sites."""
        found = [supervisor.ready.http for supervisor in self.all if supervisor.ready is not None]
        if not found:
            raise MediaError("unavailable", "the media bridge is being started")
        return ["http://%s:%d" % where for where in found]

    def room_ended(self, room: str) -> None:
        """Forget where a room was."""
        self._placement.room_ended(room)

    # -- how they are
    def status(self) -> list[dict[str, Any]]:
        """Return for each process what `chatctl status` shows."""
        return [
            {
                "process": supervisor.number,
                "pid": supervisor.pid,
                "up": supervisor.ready is not None,
                "trouble": supervisor.trouble,
                "media": "" if supervisor.ready is None else "%s:%d" % supervisor.ready.media,
                "up_s": round(supervisor.up_s),
                "restarts": supervisor.restarts,
                "rooms": supervisor.health.get("rooms", 0),
                "participants": supervisor.health.get("participants", 0),
                "tracks": supervisor.health.get("tracks", 0),
            }
            for supervisor in self.all
        ]


GAUGES = {
    "rooms": "Rooms of a bridge process",
    "participants": "Participants of a bridge process",
    "tracks": "Published tracks of a bridge process",
    "loop_lag_ms": "How late a bridge process gets to what is due, in milliseconds",
}
COUNTERS = {
    "packets_in": "Packets a bridge process received, since it started",
    "packets_out": "Media packets a bridge process sent, since it started",
}


class BridgeFigures(Collector):
    """What Prometheus is told of the bridge processes. extra(): figures of others about media."""

    def __init__(self, bridges: Bridges, extra: Callable[[], Iterable[Metric]] = tuple) -> None:
        self._bridges = bridges
        self._extra = extra

    def collect(self) -> Iterator[Metric]:
        """Give every figure as it is now."""
        label = ["process"]
        up = GaugeMetricFamily("chatd_bridge_up", "Whether a bridge process serves", labels=label)
        restarts = CounterMetricFamily("chatd_bridge_restarts", "Lives of a process after the first", labels=label)
        gauges = {name: GaugeMetricFamily(f"chatd_bridge_{name}", says, labels=label) for name, says in GAUGES.items()}
        counters = {
            name: CounterMetricFamily(f"chatd_bridge_{name}", says, labels=label) for name, says in COUNTERS.items()
        }
        dropped = CounterMetricFamily(
            "chatd_bridge_dropped", "What a bridge process dropped, by reason", labels=[*label, "reason"]
        )
        for supervisor in self._bridges.all:
            number = [str(supervisor.number)]
            up.add_metric(number, float(supervisor.ready is not None))
            restarts.add_metric(number, supervisor.restarts)
            health = supervisor.health
            for name, family in (*gauges.items(), *counters.items()):
                if (value := _number(health.get(name))) is not None:
                    family.add_metric(number, value)
            reasons = health.get("dropped")
            for reason, count in (reasons.items() if isinstance(reasons, dict) else ()):
                if (value := _number(count)) is not None:
                    dropped.add_metric([*number, str(reason)], value)
        yield from (up, restarts, *gauges.values(), *counters.values(), dropped)
        yield from self._extra()


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
