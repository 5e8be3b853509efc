"""The life of a bridge process as the daemon sees it, played by a process that is none and a clock that is wound."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from chatd.media import supervisor as module
from chatd.media.process import LOG_LINES, BridgeProcess, command_line, environment
from chatd.media.supervisor import PAUSES_S, QUIET_S, REFUSED_S, SILENT_S, START_S, Supervisor

READY = {"event": "ready", "http": ["127.0.0.1", 4000], "media": ["0.0.0.0", 7882], "pid": 7}
HEALTH = {"event": "health", "rooms": 2, "participants": 5, "tracks": 9, "loop_lag_ms": 0.4}


class Transport:
    """What Twisted gives a process protocol."""

    pid = 7

    def __init__(self, protocol: BridgeProcess) -> None:
        self.protocol = protocol
        self.written = b""
        self.signals: list[str] = []
        self.is_stdin_open = True

    def write(self, data: bytes) -> None:
        self.written += data

    def closeStdin(self) -> None:
        self.is_stdin_open = False

    def signalProcess(self, name: str) -> None:
        if self.protocol.is_over:
            raise ProcessExitedAlready
        self.signals.append(name)


class World:
    """A supervisor with its clock; `lives` are the processes it started."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.lives: list[BridgeProcess] = []
        self.heard: list[str] = []
        self.fails: OSError | None = None
        self.supervisor = Supervisor(
            0, lambda: b'{"keys": {"k": "s"}}', self.spawn, self.clock, lambda: self.heard.append("ready"),
            lambda: self.heard.append("ended"))

    def spawn(self) -> BridgeProcess:
        if self.fails is not None:
            raise self.fails
        process = BridgeProcess()
        process.makeConnection(Transport(process))
        self.lives.append(process)
        return process

    @property
    def process(self) -> Any:
        return self.lives[-1]

    def say(self, **message: Any) -> None:
        self.process.outReceived(json.dumps(message).encode() + b"\n")

    def wait(self, seconds: float) -> None:
        """Time passes second by second, as it does."""
        left = seconds
        while left > 0:
            self.clock.advance(min(left, 1.0))
            left -= 1.0

    def healthy(self, seconds: int) -> None:
        for _ in range(seconds):
            self.say(**HEALTH)
            self.clock.advance(1.0)

    def end(self, code: int | None = None, signal: int | None = None) -> None:
        ended = ProcessDone(0) if code == 0 else ProcessTerminated(code, signal)
        self.process.processEnded(Failure(ended))

    def die(self) -> None:
        self.end(signal=9)


@pytest.fixture
def world() -> World:
    world = World()
    world.supervisor.startService()
    return world


@pytest.fixture
def logged() -> Any:
    events: list[dict[str, Any]] = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def text(events: list[dict[str, Any]]) -> list[str]:
    return [event["log_format"].format(**event) for event in events if event.get("log_format")]


def test_it_gets_its_settings_and_serves(world: World) -> None:
    assert world.process.transport.written == b'{"keys": {"k": "s"}}\n'
    assert world.supervisor.ready is None and world.heard == []
    world.say(**READY)
    assert world.supervisor.ready is not None and world.supervisor.ready.http == ("127.0.0.1", 4000)
    assert world.heard == ["ready"] and world.supervisor.pid == 7
    world.say(**HEALTH)
    assert world.supervisor.health["participants"] == 5


def test_commands(world: World) -> None:
    world.supervisor.command("log_level", level="debug")
    world.say(**READY)
    written = len(world.process.transport.written)
    world.supervisor.command("log_level", level="debug")
    assert json.loads(world.process.transport.written[written:]) == {"command": "log_level", "level": "debug"}


def test_lines_may_come_in_pieces(world: World) -> None:
    line = json.dumps(READY).encode() + b"\n" + json.dumps(HEALTH).encode() + b"\n"
    for byte in line:
        world.process.outReceived(bytes([byte]))
    assert world.supervisor.health["rooms"] == 2


def test_the_first_restart_is_at_once_then_pauses_grow(world: World) -> None:
    pauses = []
    for _ in range(len(PAUSES_S) + 1):
        world.say(**READY)
        world.die()
        before, lives = world.clock.seconds(), len(world.lives)
        while len(world.lives) == lives:
            world.clock.advance(0.5)
        pauses.append(world.clock.seconds() - before - 0.5)
    assert pauses[0] == 0 and pauses[-1] == pauses[-2] == PAUSES_S[-1] - 0.5
    assert pauses == sorted(pauses)
    assert world.heard == ["ready", "ended"] * (len(PAUSES_S) + 1)


def test_a_quiet_time_makes_the_next_restart_a_first_one(world: World) -> None:
    for _ in range(4):
        world.say(**READY)
        world.die()
        world.wait(40)
    world.say(**READY)
    world.healthy(int(QUIET_S) + 1)
    lives = len(world.lives)
    world.die()
    world.clock.advance(0)
    assert len(world.lives) == lives + 1


def test_one_that_never_serves_is_not_started_again_at_once(world: World) -> None:
    assert not world.supervisor.is_failing
    for _ in range(3):
        lives = len(world.lives)
        world.end(code=1)
        world.clock.advance(0.4)
        assert len(world.lives) == lives
        world.wait(40)
        assert len(world.lives) == lives + 1
    assert world.supervisor.is_failing and world.heard == []
    world.say(**READY)
    assert not world.supervisor.is_failing


def test_bad_settings_are_told_in_one_line_and_not_tried_in_a_loop(world: World, logged: Any) -> None:
    world.process.errReceived(b'{"level": "error", "logger": "chatd.bridge", "text": "settings: keys are needed"}\n')
    world.end(code=2)
    assert world.supervisor.is_failing
    assert world.supervisor.trouble == "refuses its settings: settings: keys are needed"
    assert text(logged)[-1] == "bridge 0 refuses its settings: settings: keys are needed; started again in 60 s"
    world.wait(REFUSED_S - 1)
    assert len(world.lives) == 1
    world.wait(2)
    assert len(world.lives) == 2


def test_one_that_is_silent_is_killed_and_replaced(world: World) -> None:
    world.say(**READY)
    world.healthy(5)
    world.wait(SILENT_S - 1)
    assert world.process.transport.signals == []
    world.wait(3)
    assert world.process.transport.signals == ["KILL"]
    assert world.supervisor.ready is None, "nobody is sent to one that is killed"
    assert world.heard == ["ready", "ended"]
    world.die()
    world.clock.advance(0)
    assert len(world.lives) == 2 and world.heard == ["ready", "ended"]


def test_one_that_is_late_is_killed(world: World) -> None:
    world.wait(START_S - 1)
    assert world.process.transport.signals == []
    world.wait(3)
    assert world.process.transport.signals == ["KILL"]


def test_the_daemons_own_silence_is_not_the_bridges(world: World) -> None:
    """After a pause of the whole machine nothing has been read yet."""
    world.say(**READY)
    world.healthy(3)
    world.clock.advance(100)
    world.wait(2)
    assert world.process.transport.signals == []


def test_it_cannot_be_started(world: World) -> None:
    world.say(**READY)
    world.fails = OSError(12, "Cannot allocate memory")
    world.die()
    world.wait(3)
    assert "Cannot allocate memory" in world.supervisor.trouble
    world.fails = None
    world.wait(31)
    world.say(**READY)
    assert world.supervisor.trouble == ""


def test_the_end_is_polite(world: World) -> None:
    world.say(**READY)
    done = world.supervisor.stopService()
    assert done is not None and not world.process.transport.is_stdin_open and not done.called
    world.end(code=0)
    assert done.called and world.clock.getDelayedCalls() == [] and len(world.lives) == 1


def test_the_end_of_one_that_is_only_starting(world: World) -> None:
    done = world.supervisor.stopService()
    assert done is not None and world.process.transport.signals == ["KILL"]
    world.die()
    assert done.called and world.clock.getDelayedCalls() == []


def test_who_does_not_leave_is_killed(world: World) -> None:
    world.say(**READY)
    done = world.supervisor.stopService()
    assert done is not None
    world.clock.advance(module.LEAVE_S)
    assert world.process.transport.signals == ["KILL"] and not done.called
    world.die()
    assert done.called and world.clock.getDelayedCalls() == []


def test_the_end_while_it_waits_to_start_again(world: World) -> None:
    world.end(code=1)
    assert world.supervisor.stopService() is None
    assert world.clock.getDelayedCalls() == []


def test_its_log_is_ours(world: World, logged: Any) -> None:
    for level in ("debug", "info", "warning", "error", "critical"):
        line = {"level": level, "logger": "chatd.bridge.port", "text": f"a {{{level}}} word"}
        world.process.errReceived(json.dumps(line).encode() + b"\n")
    world.process.errReceived(b"Fatal Python error: Segmentation fault\n\n")
    events = logged[-6:]
    assert [event["log_level"].name for event in events] == ["debug", "info", "warn", "error", "critical", "warn"]
    assert {event["log_namespace"] for event in events[:5]} == {"chatd.bridge.port"}
    assert text(events)[1] == "bridge 0: a {info} word"
    assert text(events)[-1] == "bridge 0: Fatal Python error: Segmentation fault"


def test_it_cannot_drown_our_log(world: World, logged: Any) -> None:
    world.process.errReceived(b"word\n" * (LOG_LINES + 50))
    assert len(logged) == LOG_LINES + 1
    world.say(**HEALTH)
    world.process.errReceived(b"another\n")
    assert text(logged)[-1] == "bridge 0: another"
    world.process.errReceived(b"x" * 200_000)
    assert len(logged) < LOG_LINES + 10


@pytest.mark.parametrize("line", [b"", b"[]", b"7", b"{}", b'{"event": "ready"}', b'{"event": "ready", "http": [1]}',
                                  b'{"event": ["x"]}', b"\xff\xfe", b"[" * 50_000, b'{"event": "health"'])
def test_nonsense_on_the_control_pipe(world: World, line: bytes) -> None:
    world.process.outReceived(line + b"\n")
    assert world.supervisor.ready is None and world.heard == []
    world.process.outReceived(b"x" * 100_000)
    world.process.outReceived(b"\n")
    world.say(**READY)
    assert world.heard == ["ready"]


def test_what_it_gets_of_our_environment() -> None:
    found = environment({"PATH": "/bin", "LANG": "C.UTF-8", "PGPASSWORD": "x", "NOTIFY_SOCKET": "y", "HOME": "/root"})
    assert found.keys() - {"PYTHONPATH"} == {"PATH", "LANG", "PYTHONFAULTHANDLER"}
    assert command_line()[1:] == ["-P", "-m", "chatd.bridge"]
