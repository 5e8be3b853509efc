"""Corners of the TLS transport that no client forces at will, with a scripted SSL object: no socket, no real time."""

from __future__ import annotations

from typing import Any

import pytest
from OpenSSL import SSL
from twisted.internet import interfaces
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock
from zope.interface import implementer

from chatd.server.openssl import RECORD
from chatd.server.tls import LATE_MESSAGES, READ_BYTES_PER_TURN, ClientConnection, ServerConnection, Times
from chatd.server.turn import HANDSHAKES_PER_TURN, HANDSHAKES_WAITING, turn_of

READ, WRITE, CLOSED = SSL.WantReadError(), SSL.WantWriteError(), SSL.ZeroReturnError()
RESET = SSL.SysCallError(104, "ECONNRESET")
FATAL = SSL.Error([("SSL routines", "", "bad record mac")])


class Script:
    """Stands for SSL.Connection: each call takes the next outcome from its list; without one, the usual comes."""

    def __init__(self, context: Any, socket: Any) -> None:
        self.steps: dict[str, list[Any]] = {name: [] for name in ("hello", "recv", "send", "shutdown")}
        self.sent: list[bytes] = []
        self.offered: list[bytes] = []
        self.calls: list[str] = []
        self.state = ""

    def __getattr__(self, name: str) -> Any:
        if name in ("set_accept_state", "set_connect_state", "set_app_data", "set_tlsext_host_name", "set_shutdown"):
            return lambda *arguments: self.calls.append(name)
        raise AttributeError(name)

    def _next(self, name: str, usual: Any) -> Any:
        steps = self.steps[name]
        outcome = steps.pop(0) if steps else usual
        self.calls.append(name)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def do_handshake(self) -> None:
        self._next("hello", None)

    def recv(self, size: int) -> bytes:
        assert size >= RECORD, "less would leave bytes inside OpenSSL"
        return self._next("recv", READ)

    def recv_more(self) -> bytes:
        return self._next("recv", b"")

    def send(self, data: Any) -> int:
        assert len(data), "an empty write is undefined"
        assert len(data) <= RECORD
        self.offered.append(bytes(data))
        n = self._next("send", len(data))
        self.sent.append(bytes(data)[:n])
        return n

    def shutdown(self) -> bool:
        return self._next("shutdown", False)


class Socket:
    """The little that tcp.Connection asks of a socket."""

    def __init__(self, number: int) -> None:
        self.number, self.sent, self.takes, self.closed = number, [], 1 << 30, False

    def setblocking(self, _): ...
    def setsockopt(self, *_): ...
    def shutdown(self, _): ...

    def fileno(self) -> int:
        return self.number

    def send(self, data: Any) -> int:
        data = bytes(data)[: self.takes]
        if data:
            self.sent.append(data)
        return len(data)

    def close(self) -> None:
        self.closed = True


class Log(Protocol):
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def dataReceived(self, data: bytes) -> None:
        self.got.append(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.got.append(reason.type.__name__)


class Quiet(ServerConnection):
    connection_class: Any = Script
    times = Times(handshake_s=30, stall_s=60, linger_s=3)


class World:
    """A reactor without a world, and connections on it."""

    def __init__(self) -> None:
        self.reactor = MemoryReactorClock()
        self.number = 100

    def connection(self, secure: bool = True, up: bool = True, protocol: Any = None, kind: Any = Quiet) -> Any:
        self.number += 1
        protocol = protocol or Log()
        c = kind(Socket(self.number), protocol, ("127.0.0.1", 5), None, 1, self.reactor)
        c.repstr = "test"
        if secure:
            c.startTLS(object())
        protocol.makeConnection(c)
        if secure and up:
            self.readable(c)
            assert c._up
            c._tls.calls.clear()
            self.turn()
        return c

    def turn(self, seconds: float = 0) -> None:
        """One turn, `seconds` later: what it schedules for at once belongs to the next, unlike with Clock.advance."""
        self.reactor.rightNow += seconds
        for call in [call for call in self.reactor.calls if call.getTime() <= self.reactor.rightNow]:
            if call.active():
                self.reactor.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)

    def bursting(self, c: Any) -> None:
        """Make the next read one of a burst."""
        self.readable(c)
        c._tls.calls.clear()

    def readable(self, c: Any) -> None:
        """As the reactor does it."""
        assert c in self.reactor.readers
        self._event(c, c.doRead, True)

    def writable(self, c: Any) -> None:
        assert c in self.reactor.writers
        self._event(c, c.doWrite, False)

    def _event(self, c: Any, act: Any, in_read: bool) -> None:
        why = act()
        if why:
            from twisted.python.failure import Failure

            if in_read and type(why).__name__ == "ConnectionDone":
                c.readConnectionLost(Failure(why))
            else:
                c.connectionLost(Failure(why))

    def reading(self, c: Any) -> bool:
        return c in self.reactor.readers

    def writing(self, c: Any) -> bool:
        return c in self.reactor.writers


@pytest.fixture
def world() -> World:
    return World()


# -- the turn

def test_all_writes_of_a_turn_leave_as_one_record(world):
    c = world.connection()
    for word in (b"a", b"b", b"c"):
        c.write(word)
    c.writeSequence([b"d", b"e"])
    assert c._tls.sent == []
    world.turn()
    assert c._tls.sent == [b"abcde"]
    assert not world.writing(c)


def test_a_plain_connection_gains_from_the_turn_too(world):
    c = world.connection(secure=False)
    for word in (b"a", b"b", b"c"):
        c.write(word)
    world.turn()
    assert c.socket.sent == [b"abc"]


def test_one_connection_that_fails_in_the_flush_takes_no_other_along(world):
    class Raising(Log):
        def resumeProducing(self):
            raise ZeroDivisionError

        def stopProducing(self): ...
        def pauseProducing(self): ...

    bad, good = world.connection(protocol=Raising()), world.connection()
    bad.write(b"x")
    bad.producer, bad.streamingProducer, bad.producerPaused = bad.protocol, True, True
    protocol = bad.protocol
    good.write(b"y")
    world.turn()
    assert good._tls.sent == [b"y"]
    assert protocol.got == ["ZeroDivisionError"]


def test_only_bytes_may_be_written(world):
    c = world.connection()
    with pytest.raises(TypeError):
        c.write("text")
    c.write(b"")
    world.turn()
    assert c._tls.sent == []


# -- writing

def test_a_full_socket_gets_the_same_bytes_again_with_what_was_added(world):
    c = world.connection()
    script = c._tls
    c.write(b"first")
    script.steps["send"] = [WRITE, WRITE]  # the short way and doWrite
    world.turn()
    assert world.writing(c)
    c.write(b" second")
    world.turn()
    assert script.sent == []  # the reactor says when
    world.writable(c)
    assert script.sent == [b"first second"]
    assert script.offered == [b"first", b"first", b"first second"]
    assert not world.writing(c)


def test_much_is_cut_into_records_and_the_turn_is_bounded(world):
    c = world.connection()
    data = bytes(range(256)) * 1000
    c.write(data)
    world.turn()
    assert {len(piece) for piece in c._tls.sent} == {RECORD}
    assert len(b"".join(c._tls.sent)) == c.SEND_LIMIT
    assert world.writing(c)
    script = c._tls
    while world.writing(c):
        world.writable(c)
    assert b"".join(script.sent) == data


def test_records_are_as_small_as_somebody_wants_them(world):
    c = world.connection()
    c.record_bytes = 1000
    c._tls.steps["send"] = [1000, WRITE]
    c.write(b"a" * 600)
    c.write(b"b" * 3000)
    world.turn()
    assert world.writing(c)
    world.writable(c)
    assert [len(piece) for piece in c._tls.sent] == [1000, 1000, 1000, 600]
    assert b"".join(c._tls.sent) == b"a" * 600 + b"b" * 3000
    c.write(b"c" * 1000)
    world.turn()
    assert c._tls.sent[-1] == b"c" * 1000


def test_openssl_taking_less_than_a_record_loses_nothing(world):
    c = world.connection()
    c._tls.steps["send"] = [2]
    c.write(b"abcdef")
    world.turn()
    assert b"".join(c._tls.sent) == b"abcdef"


@pytest.mark.parametrize(("error", "name"), [(RESET, "ConnectionLost"), (FATAL, "TLSFailed")])
@pytest.mark.parametrize("size", [3, 40000])
def test_an_error_while_writing_ends_it_without_a_goodbye(world, error, name, size):
    c = world.connection()
    script, protocol, sock = c._tls, c.protocol, c.socket
    script.steps["send"] = [error]
    c.write(b"x" * size)
    world.turn()
    assert protocol.got == [name]
    assert sock.closed
    assert "shutdown" not in script.calls


def test_after_a_fatal_error_nothing_leaves_in_the_clear(world):
    c = world.connection()
    sock = c.socket
    c._tls.steps["recv"] = [FATAL]
    c.write(b"secret")
    assert c.doRead() is not None  # the reactor would end it now; if it did not:
    c.flush()
    assert sock.sent == []


def test_a_write_that_wants_to_read_waits_for_input_without_spinning(world):
    c = world.connection()
    script = c._tls
    script.steps["send"] = [READ, READ]
    c.write(b"x")
    world.turn()
    assert not world.writing(c)
    world.readable(c)
    world.turn()
    assert script.sent == [b"x"]


# -- reading

def test_a_pause_is_only_a_stop_of_reading(world):
    c = world.connection()
    c.pauseProducing()
    assert not world.reading(c)
    c.resumeProducing()
    assert world.reading(c)


def test_a_lone_message_is_read_with_one_call_and_a_burst_is_joined(world):
    c = world.connection()
    turn_of(world.reactor).number += 5
    c._tls.steps["recv"] = [b"one"]
    world.readable(c)
    assert c._tls.calls == ["recv"]
    c._tls.steps["recv"] = [b"two", b"three", b"four"]
    world.readable(c)  # in the same turn again: a burst
    assert c.protocol.got == [b"one", b"twothreefour"]


def test_a_burst_is_bounded(world):
    c = world.connection()
    world.bursting(c)
    c._tls.steps["recv"] = [b"x" * RECORD] * 100
    world.readable(c)
    assert len(c.protocol.got[0]) == READ_BYTES_PER_TURN


@pytest.mark.parametrize(("end", "name"), [(CLOSED, "ConnectionDone"), (RESET, "ConnectionLost"), (FATAL, "TLSFailed")])
def test_what_came_before_the_end_is_delivered_first(world, end, name):
    c = world.connection()
    world.bursting(c)
    protocol = c.protocol
    c._tls.steps["recv"] = [b"one", b"two", b"three", end]
    world.readable(c)
    assert protocol.got == [b"onetwothree", name]


def test_a_read_that_wants_to_write_comes_back_when_it_can(world):
    """The answer to a KeyUpdate, and the socket is full."""
    c = world.connection()
    script = c._tls
    script.steps["recv"] = [WRITE]
    world.readable(c)
    assert world.writing(c)
    script.steps["recv"] = [b"data"]
    world.writable(c)
    assert c.protocol.got == [b"data"]
    assert not world.writing(c)


def test_a_read_that_wants_to_write_respects_a_pause(world):
    c = world.connection()
    c._tls.steps["recv"] = [WRITE]
    world.readable(c)
    c.pauseProducing()
    c._tls.steps["recv"] = [b"data"]
    world.writable(c)
    assert c.protocol.got == []
    c.resumeProducing()
    world.readable(c)
    assert c.protocol.got == [b"data"]


def test_the_end_found_by_a_read_that_wanted_to_write_is_told_in_the_right_way(world):
    @implementer(interfaces.IHalfCloseableProtocol)
    class Half(Log):
        def readConnectionLost(self):
            self.got.append("read ended")

        def writeConnectionLost(self): ...

    c = world.connection(protocol=Half())
    c._tls.steps["recv"] = [WRITE]
    world.readable(c)
    c._tls.steps["recv"] = [CLOSED]
    world.writable(c)
    assert c.protocol.got == ["read ended"]
    assert c.connected


def test_a_protocol_that_aborts_while_it_reads_hears_of_it_once(world):
    class Aborting(Log):
        def dataReceived(self, data):
            super().dataReceived(data)
            self.transport.write(b"x")
            self.transport.abortConnection()
            self.transport.loseConnection()

    c = world.connection(protocol=Aborting())
    world.bursting(c)
    protocol, script = c.protocol, c._tls
    script.steps["recv"] = [b"a", b"b", CLOSED]
    world.readable(c)
    world.turn()
    assert protocol.got == [b"ab", "ConnectionAborted"]
    assert script.sent == []


# -- the handshake

def test_a_handshake_that_wants_to_write(world):
    c = world.connection(up=False)
    c._tls.steps["hello"] = [WRITE, READ]
    world.readable(c)
    assert world.writing(c)
    world.writable(c)
    assert not world.writing(c)
    assert not c._up
    world.readable(c)
    assert c._up
    assert world.reading(c)


def test_what_is_written_before_the_end_of_the_handshake_waits_for_it(world):
    c = world.connection(up=False)
    script = c._tls
    c.write(b"early")
    world.turn()
    assert "hello" not in script.calls
    assert not world.writing(c)
    world.readable(c)
    world.turn()
    assert script.sent == [b"early"]


def test_a_client_begins_by_itself(world):
    class Client(Quiet):
        is_client = True

    c = world.connection(up=False, kind=Client)
    c._tls.steps["hello"] = [READ]
    assert world.writing(c)
    world.writable(c)
    assert c._tls.calls == ["set_connect_state", "hello"]
    assert not world.writing(c)
    assert ClientConnection.is_client


def test_the_handshake_has_a_deadline(world):
    c = world.connection(up=False)
    protocol = c.protocol
    c._tls.steps["hello"] = [READ]
    world.readable(c)
    world.turn(29)
    assert not c._aborting
    world.turn(2)
    world.turn()
    assert protocol.got == ["ConnectionAborted"]
    assert world.reactor.getDelayedCalls() == []


def test_a_finished_handshake_leaves_no_deadline(world):
    world.connection()
    world.turn()
    assert world.reactor.getDelayedCalls() == []


def test_a_pause_in_the_handshake_takes_effect_after_it(world):
    c = world.connection(up=False)
    c._tls.steps["hello"] = [READ]
    c.pauseProducing()
    world.readable(c)
    world.readable(c)
    assert c._up
    assert not world.reading(c)


@pytest.mark.parametrize("wrote", [True, False])
def test_losing_it_in_the_handshake(world, wrote):
    c = world.connection(up=False)
    script, protocol = c._tls, c.protocol
    if wrote:
        c.write(b"goodbye")
    c.loseConnection()
    world.turn()
    if wrote:
        world.readable(c)
        world.turn()
        assert script.sent == [b"goodbye"]
        assert script.calls[-1] == "shutdown"
        assert protocol.got == ["ConnectionDone"]
    else:
        assert protocol.got == ["ConnectionAborted"]


def test_handshakes_begin_in_bounded_steps_in_the_order_they_came(world):
    waiting = [world.connection(up=False) for _ in range(3 * HANDSHAKES_PER_TURN)]
    for c in waiting:
        world.readable(c)
    begun = [sum(c._up for c in waiting)]
    while begun[-1] < len(waiting):
        world.turn()
        begun.append(sum(c._up for c in waiting))
        assert all(c._up for c in waiting[: begun[-1]])
    assert begun == [HANDSHAKES_PER_TURN * n for n in (1, 2, 3)]
    assert all(world.reading(c) for c in waiting)
    world.turn()
    assert world.reactor.getDelayedCalls() == []


def test_waiting_for_us_does_not_count_against_the_peer(world):
    for _ in range(HANDSHAKES_PER_TURN):
        world.readable(world.connection(up=False))
    late = world.connection(up=False)
    world.readable(late)
    assert not world.reading(late)
    late._handshake_late()
    assert not late._aborting


def test_the_deadline_counts_from_the_turn_we_gave(world):
    for _ in range(HANDSHAKES_PER_TURN):
        world.readable(world.connection(up=False))
    late = world.connection(up=False)
    late._tls.steps["hello"] = [READ]
    world.readable(late)
    world.turn(25)
    assert world.reading(late)
    world.turn(25)
    assert not late._aborting
    world.turn(6)
    assert late._aborting


def test_a_waiting_handshake_may_end_before_its_turn(world):
    for _ in range(HANDSHAKES_PER_TURN):
        world.readable(world.connection(up=False))
    late = world.connection(up=False)
    protocol = late.protocol
    world.readable(late)
    late.abortConnection()
    world.turn()
    world.turn()
    assert protocol.got == ["ConnectionAborted"]


def test_a_handshake_that_fails_in_its_later_turn_ends_that_connection_only(world):
    for _ in range(HANDSHAKES_PER_TURN):
        world.readable(world.connection(up=False))
    bad, worse, good = (world.connection(up=False) for _ in range(3))
    bad._tls.steps["hello"] = [FATAL]
    worse._tls.steps["hello"] = [ZeroDivisionError()]
    protocols = [bad.protocol, worse.protocol]
    for c in (bad, worse, good):
        world.readable(c)
    world.turn()
    assert [p.got for p in protocols] == [["TLSFailed"], ["ZeroDivisionError"]]
    assert good._up


def test_ports_hold_while_many_handshakes_wait(world):
    class Port:
        reading = True

        def stopReading(self):
            self.reading = False

        def startReading(self):
            self.reading = True

    handshakes = turn_of(world.reactor).handshakes
    port, closed = Port(), Port()
    assert not handshakes.hold(port)
    for _ in range(HANDSHAKES_PER_TURN + HANDSHAKES_WAITING):
        world.readable(world.connection(up=False))
    assert handshakes.hold(port)
    assert handshakes.hold(closed)
    handshakes.release(closed)
    assert not port.reading
    for _ in range(HANDSHAKES_WAITING // HANDSHAKES_PER_TURN):
        assert not port.reading
        world.turn()
    assert port.reading
    assert not closed.reading


# -- STARTTLS

def test_what_was_written_before_leaves_in_the_clear_at_once(world):
    c = world.connection(secure=False)
    c.write(b"<proceed/>")
    c.startTLS(object())
    c.write(b"later")
    assert c.socket.sent == [b"<proceed/>"]
    world.turn()
    assert c.socket.sent == [b"<proceed/>"]
    world.readable(c)
    world.turn()
    assert c._tls.sent == [b"later"]


def test_what_the_kernel_did_not_take_yet_leaves_before_tls_begins(world):
    c = world.connection(secure=False)
    c.socket.takes = 0
    c.write(b"<proceed/>")
    world.turn()
    assert world.writing(c)
    c.socket.takes = 100
    c.startTLS(object())
    assert c.socket.sent == [b"<proceed/>"]
    assert not world.writing(c)


def test_a_peer_that_cannot_take_proceed_is_cut(world):
    c = world.connection(secure=False)
    protocol = c.protocol
    c.socket.takes = 3
    c.write(b"<proceed/>")
    c.startTLS(object())
    world.turn()
    assert protocol.got == ["ConnectionAborted"]


def test_a_context_that_cannot_be_had_is_the_callers_error(world):
    class Broken:
        def getContext(self):
            raise ValueError("no certificate")

    c = world.connection(secure=False)
    with pytest.raises(ValueError, match="no certificate"):
        c.startTLS(Broken())
    assert not c.is_secure


# -- the end

def test_close_notify_that_finds_the_socket_full_comes_back(world):
    c = world.connection()
    script, protocol = c._tls, c.protocol
    script.steps["shutdown"] = [WRITE, WRITE]
    c.write(b"last")
    c.loseConnection()
    world.turn()
    assert world.writing(c)
    world.writable(c)
    assert world.writing(c)
    world.writable(c)
    assert script.calls.count("shutdown") == 3
    assert script.sent == [b"last"]
    assert protocol.got == ["ConnectionDone"]


def test_a_half_close_that_finds_the_socket_full_comes_back(world):
    @implementer(interfaces.IHalfCloseableProtocol)
    class Half(Log):
        def writeConnectionLost(self):
            self.got.append("write ended")

        def readConnectionLost(self): ...

    c = world.connection(protocol=Half())
    c._tls.steps["shutdown"] = [WRITE]
    c.loseWriteConnection()
    world.turn()
    assert c.protocol.got == []
    world.writable(c)
    assert c.protocol.got == ["write ended"]
    c.write(b"too late")
    world.turn()
    assert c._tls.sent == []
    assert c.connected


def test_an_end_while_the_goodbye_of_a_half_close_waits(world):
    c = world.connection()
    protocol, script = c.protocol, c._tls
    script.steps["shutdown"] = [WRITE, WRITE]
    c.loseWriteConnection()
    world.turn()
    c.write(b"OpenSSL would call this an error")
    c.loseConnection()
    world.turn()
    assert protocol.got == []
    world.writable(c)
    world.writable(c)
    assert script.calls.count("shutdown") == 3
    assert script.sent == []
    assert protocol.got == ["ConnectionDone"]


@pytest.mark.parametrize("ends", ["full", "broken"])
def test_a_goodbye_that_fails_does_not_keep_the_descriptor(world, ends):
    c = world.connection()
    sock, protocol = c.socket, c.protocol
    c._tls.steps["shutdown"] = [{"full": WRITE, "broken": RESET}[ends]]
    c._tls.steps["recv"] = [CLOSED]
    world.readable(c)  # the peer ends, we answer once
    assert protocol.got == ["ConnectionDone"]
    assert sock.closed
    assert world.reactor.getDelayedCalls() == []


def test_a_peer_that_takes_nothing_has_a_deadline_that_progress_moves(world):
    c = world.connection()
    protocol, script = c.protocol, c._tls
    c.write(b"x" * 100000)
    script.steps["send"] = [WRITE]
    world.turn()
    world.turn(59)
    script.steps["send"] = [RECORD, WRITE]
    world.writable(c)
    world.turn(59)
    assert not c._aborting
    world.turn(2)
    world.turn()
    assert protocol.got == ["ConnectionAborted"]


def test_the_deadline_goes_when_everything_is_taken(world):
    c = world.connection()
    c.write(b"x" * 100)
    c._tls.steps["send"] = [WRITE, WRITE]
    world.turn()
    assert world.reactor.getDelayedCalls()
    world.writable(c)
    assert world.reactor.getDelayedCalls() == []


def test_a_flood_of_late_messages_ends_it_and_a_few_an_hour_do_not(world):
    c = world.connection()
    protocol = c.protocol
    for _ in range(5 * LATE_MESSAGES):
        world.turn(3)
        c.late_message()
    assert not c._aborting
    for _ in range(LATE_MESSAGES + 1):
        c.late_message()
    world.turn()
    assert protocol.got == ["ConnectionAborted"]


def test_an_ended_connection_knows_nothing_and_takes_nothing(world):
    c = world.connection()
    c.abortConnection()
    world.turn()
    c.write(b"x")
    c.loseConnection()
    c.startWriting()
    world.turn()
    assert c.alpn() == b""
    assert c.negotiatedProtocol is None
    assert c.channel_binding("tls-exporter") is None
    assert c.getPeerCertificate() is None
    assert c.tls_version() == ""
    assert c.is_secure
    assert world.reactor.getDelayedCalls() == []
