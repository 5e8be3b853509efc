"""TLS for Twisted's TCP connections in which OpenSSL reads and writes the socket itself.

Twisted's own TLS is a protocol over two memory buffers and costs about twice as much per message (docs/decisions.md).
`SocketTLS` is a mixin over tcp.Server and tcp.Client: a connection begins plain, and `startTLS(context)` turns it into
TLS in place. A connection that stays plain gains from it too, because both write at the end of the reactor's turn.

Two facts keep it short. A read asks for RECORD bytes, the most a TLS record holds, and OpenSSL's read-ahead is off:
nothing readable ever stays inside OpenSSL, so the level-triggered reactor sees all there is and a pause is merely
"read no more". And what waits in Twisted's buffers is plain text that grows at its end only, which is all that OpenSSL
asks of a write that is tried again (partial writes and moving buffers are on).

Ports and connectors that use it are in port.py, contexts in certificates.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from OpenSSL import SSL
from twisted.internet import error, main, tcp
from twisted.internet.interfaces import IHalfCloseableProtocol, IHandshakeListener, INegotiated
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import alsoProvides

from chatd.server.linger import Linger
from chatd.server.openssl import RECORD, Connection, channel_binding
from chatd.server.turn import turn_of

log = Logger()

#: Input a connection may hand to its protocol in one turn; one that has sent more waits for its next turn.
READ_BYTES_PER_TURN = 65536

#: Post-handshake messages and alerts (KeyUpdate above all) a peer may send in LATE_WINDOW_S; each costs key derivation
#: and, if it asks for one, an answer. RFC 8446 5.5 wants one in some 2**24 records.
LATE_MESSAGES = 32
LATE_WINDOW_S = 60.0

if TYPE_CHECKING:
    _Base = tcp.Connection
else:
    _Base = object


@attrs.frozen
class Times:
    """How long a connection waits for its peer, in seconds."""

    #: From startTLS to the end of the handshake, not counting the time it waits for its turn with us.
    handshake_s: float = 30.0
    #: Without any progress of a peer that does not take what is waiting for it.
    stall_s: float = 60.0
    #: After our end, for the peer's; see linger.py.
    linger_s: float = 3.0


class TLSFailed(error.ConnectionLost):
    """The peer broke TLS or refused what we offered; the text is OpenSSL's reason."""


class SocketTLS(_Base):
    """The transport. Mixed in before tcp.Server or tcp.Client; says `is_client` which side of a handshake it takes."""

    reactor: Any  # IReactorFDSet and IReactorTime
    times = Times()
    is_client = False
    connection_class: type[SSL.Connection] = Connection
    #: Plain text in a TLS record of ours. Of a record that was cut off before its end the peer gets nothing, so who
    #: wants to get on over links that break often sets it lower, before anything is written.
    record_bytes = RECORD

    #: True from startTLS on, for good: what is written then never leaves in the clear.
    is_secure = False

    _tls: Any = None  # the SSL.Connection; None again after a fatal error and at the end
    _context: Any = None  # the first context must outlive the handshake: SNI changes it, OpenSSL calls back into it
    _up = False  # the handshake is done
    _turn: Any = None
    _deadline: Any = None  # of the handshake
    _stall: Any = None  # deadline of a peer that does not read
    _queued = False  # on the turn's list
    _writing = False  # registered for writing with the reactor
    _paused = False
    _shaking_later = False  # waits for its turn among the handshakes
    _goodbye_said = False
    _peer_ended = False
    _read_wants_write = _write_wants_read = False
    _read_in = -9  # the number of the turn of the last read
    _late = 0
    _late_since = 0.0

    # -- from plain to TLS

    def startTLS(self, context: Any, normal: bool = True, server_name: str | None = None) -> None:
        """Begin TLS. What was written before goes out plain at once, what is written from now on after the handshake.

        `context`: an SSL.Context, or anything with `getContext()` (Certificates.contexts()). `normal`: False swaps the
        sides, so that a client takes the server's part. `server_name`: what a client asks for by SNI (RFC 6066 3).
        The protocol must drop what had come in the clear behind `<starttls/>` (RFC 6120 5.4.3.3). A peer that cannot
        take `<proceed/>` now is cut off. Raises what `getContext()` raises.
        """
        get = getattr(context, "getContext", None)
        if get is not None:
            context = get()
        if not self.connected or self._aborting or self.is_secure:
            return
        plain = b"".join([memoryview(self.dataBuffer)[self.offset:], *self._tempDataBuffer])
        self.dataBuffer, self.offset, self._tempDataBuffer, self._tempDataLen = b"", 0, [], 0
        self.stopWriting()
        if plain and super().writeSomeData(plain) != len(plain):
            self.abortConnection()
            return
        self._turn = self._turn or turn_of(self.reactor)
        self.is_secure = True
        self.is_client = self.is_client is bool(normal)
        self._context = context
        self._tls = self.connection_class(context, self.socket)
        if self.is_client:
            self._tls.set_connect_state()
            if server_name:
                self._tls.set_tlsext_host_name(server_name.encode("ascii"))
        else:
            self._tls.set_accept_state()
        alsoProvides(self, INegotiated)
        self.setTcpNoDelay(True)  # else the first data waits for the delayed ACK of the session tickets
        self._deadline = self.reactor.callLater(self.times.handshake_s, self._handshake_late)
        self.startReading()
        if self.is_client:
            self._wait_writable()  # for the ClientHello

    def shake_hands(self) -> None:
        """Make the first step of the handshake, which had been postponed; called by turn.Handshakes."""
        self._shaking_later = False
        if self._tls is None or self._up or self._aborting or not self.connected:
            return
        if self._deadline is not None:
            self._deadline.reset(self.times.handshake_s)  # the wait was ours, not the peer's
        self.startReading()
        try:
            why = self._handshake(admitted=True)
        except Exception:
            reason = Failure()
            log.failure("Unexpected error in a TLS handshake", reason)
            self.connectionLost(reason)
        else:
            if why:
                self.connectionLost(Failure(why))

    _admitted = False

    def _handshake(self, admitted: bool = False) -> Any:
        """Take the handshake a step further; answers as doRead and doWrite do."""
        if self._shaking_later:
            return None
        if not self._admitted and not self.is_client:
            # Only the first step costs a signature. The ClientHello stays in the kernel until it is our turn.
            if not admitted and not self._turn.handshakes.may_begin(self):
                self._shaking_later = True
                self.stopReading()
                return None
            self._admitted = True
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            self.stopWriting()
            return None
        except SSL.WantWriteError:
            self._wait_writable()
            return None
        except SSL.Error as e:
            return self._broken(e)
        self._up = True
        self._tls.set_app_data(self)  # from now on certificates.watch() tells us of late messages
        self._end_deadline()
        self.stopWriting()
        if self._paused or self.disconnecting:
            self.stopReading()
        if self._tempDataBuffer or self.disconnecting or self._writeDisconnecting:
            self.startWriting()
        if IHandshakeListener.providedBy(self.protocol):
            self.protocol.handshakeCompleted()
        return None

    def _handshake_late(self) -> None:
        self._deadline = None
        if self._shaking_later:  # the wait is ours
            self._deadline = self.reactor.callLater(self.times.handshake_s, self._handshake_late)
        else:
            self.abortConnection()

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _broken(self, e: SSL.Error) -> Exception:
        self._tls = None  # after a fatal error OpenSSL must not be asked to say goodbye
        if isinstance(e, SSL.SysCallError):  # a reset, or an end without close_notify
            return main.CONNECTION_LOST
        reasons = [reason for _, _, reason in e.args[0]] if e.args and isinstance(e.args[0], list) else []
        return TLSFailed("; ".join(reasons) or type(e).__name__)

    def late_message(self) -> None:
        """Count a post-handshake message or an alert; called by certificates.watch() from inside OpenSSL."""
        now = self.reactor.seconds()
        if now - self._late_since > LATE_WINDOW_S:
            self._late, self._late_since = 0, now
        self._late += 1
        if self._late > LATE_MESSAGES and self._tls is not None:
            # As if the peer had ended: makes OpenSSL leave its loop although more has come.
            self._tls.set_shutdown(SSL.RECEIVED_SHUTDOWN)
            self.abortConnection()

    # -- the reactor's calls

    def doRead(self) -> Any:
        """Read what has come; called by the reactor. Returns None or the reason why the connection has ended."""
        if not self.is_secure:
            return super().doRead()
        tls = self._tls
        if tls is None:
            return main.CONNECTION_LOST
        if not self._up:
            return self._handshake()
        if self._write_wants_read:
            self._write_wants_read = False
            self.startWriting()
        # To look for more when nothing is there costs more than to compare a number: only a connection that was
        # read in the turn before too is taken for one that sends a burst.
        turn = self._turn.number
        burst = turn - self._read_in <= 1
        self._read_in = turn
        data, why = b"", None
        try:
            data = tls.recv(RECORD)
            if burst and (more := tls.recv_more()):
                pieces = [data, more]
                size = len(data) + len(more)
                data = b""
                try:
                    while size < READ_BYTES_PER_TURN and (more := tls.recv_more()):
                        pieces.append(more)
                        size += len(more)
                finally:
                    data = b"".join(pieces)
        except SSL.WantReadError:
            pass
        except SSL.WantWriteError:
            # OpenSSL wants to answer a KeyUpdate and the socket is full.
            self._read_wants_write = True
            self._wait_writable()
        except SSL.ZeroReturnError:
            self._peer_ended = True
            why = main.CONNECTION_DONE
        except SSL.Error as e:
            why = self._broken(e)
        if data and not self._aborting:
            self.protocol.dataReceived(data)
        if why is main.CONNECTION_DONE and self.connected and not self._aborting:
            self._answer_end()
        return None if self._aborting else why

    def _answer_end(self) -> None:
        # A burst may end with the peer's end: what was answered to it goes out now, there is no later. A protocol
        # that knows half-open connections goes on writing by itself.
        if (self.dataBuffer or self._tempDataBuffer) and not IHalfCloseableProtocol.providedBy(self.protocol):
            self.writeSomeData(b"".join([memoryview(self.dataBuffer)[self.offset:], *self._tempDataBuffer]))

    def doWrite(self) -> Any:
        """Write what waits; called by the reactor and by flush(). Returns None or why the connection has ended."""
        if self.is_secure:
            if not self._up:
                return self._handshake()
            if self._read_wants_write:
                self._read_wants_write = False
                if not self._paused and not self.disconnecting:
                    why = self.doRead()
                    if why is main.CONNECTION_DONE:
                        self.readConnectionLost(Failure(why))
                        why = None
                    if why or not self.connected or self._aborting:
                        return why
        why = super().doWrite()
        if self._write_wants_read:
            self.stopWriting()  # the socket is writable and would wake us for nothing
        return why

    def writeSomeData(self, data: Any) -> Any:
        """Give OpenSSL or the kernel what it takes of `data`; returns the number of bytes or why it has ended."""
        if not self.is_secure:
            sent = super().writeSomeData(data)
        elif self._tls is None:
            return main.CONNECTION_LOST
        else:
            sent = self._send_records(data)
        if self._stall is not None and type(sent) is int and sent:
            self._stall.reset(self.times.stall_s)
        return sent

    def _send_records(self, data: Any) -> Any:
        send = self._tls.send
        sent, end = 0, min(len(data), self.SEND_LIMIT)
        try:
            # SSL_write returns after each record, because partial writes are on.
            view = memoryview(data)
            while sent < end:
                sent += send(view[sent:sent + self.record_bytes])
        except SSL.WantWriteError:
            pass
        except SSL.WantReadError:
            self._write_wants_read = True
        except SSL.Error as e:
            return self._broken(e)
        return sent

    def connectionLost(self, reason: Failure) -> None:
        """End it: called by the reactor, by flush() and by abortConnection()'s timed call."""
        self._end_deadline()
        if reason.check(error.ConnectionDone) and self.connected:
            self._say_goodbye()
            self._lingers = not self._peer_ended
        self._tls = self._context = None  # before the descriptor is closed and its number used again
        super().connectionLost(reason)

    _lingers = False

    def _closeSocket(self, orderly: bool) -> None:
        if orderly and self._lingers:
            Linger(self.socket, self.reactor, self.times.linger_s)
        else:
            super()._closeSocket(orderly)

    # -- the protocol's calls, and what flushes them

    def write(self, data: bytes) -> None:
        """Send `data` at the end of this turn (or after the handshake). TypeError if it is not bytes."""
        if not isinstance(data, bytes):
            raise TypeError("Data must be bytes")
        if not data or not self.connected or self._writeDisconnected:
            return
        self._tempDataBuffer.append(data)
        self._tempDataLen = waiting = self._tempDataLen + len(data)
        if waiting + len(self.dataBuffer) > self.bufferSize:
            self._maybePauseProducer()
        if not self._queued:
            if self._turn is None or self._writing or self._aborting:
                self.startWriting()
            else:
                self._queued = True
                self._turn.add(self)

    def startWriting(self) -> None:
        """Ask to be flushed at the end of this turn; Twisted's own code calls it whenever there is something to do."""
        if self._queued or self._writing or self._aborting or self.disconnected:
            return
        if not self.connected:  # a client that is connecting: the reactor must tell
            self._writing = True
            super().startWriting()
            return
        if self._turn is None:
            self._turn = turn_of(self.reactor)
        self._queued = True
        self._turn.add(self)

    def flush(self) -> None:
        """Send what is buffered; called by the turn. What the kernel does not take waits for the reactor's word."""
        self._queued = False
        if not self.connected or self._aborting or self._writing or (self.is_secure and not self._up):
            return
        # A short way for the usual case: all that waits fits into one record, and nothing else is to be done.
        if (
            0 < self._tempDataLen <= self.record_bytes and not self.dataBuffer and not self.producerPaused
            and not self.disconnecting and not self._writeDisconnecting and not self._read_wants_write
            and self._tls is not None and (self.streamingProducer or self.producer is None)
            and self._sent_one_record()
        ):
            return
        why = self.doWrite()
        if why:
            self.connectionLost(Failure(why))
        elif self.connected and not self._queued and not self._write_wants_read and (
            self.dataBuffer or self._tempDataBuffer
        ):
            self._wait_writable()

    def _sent_one_record(self) -> bool:
        """Send what waits in `_tempDataBuffer`. False: doWrite must see to it."""
        pieces = self._tempDataBuffer
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        try:
            sent = self._tls.send(data)
        except (SSL.WantWriteError, SSL.WantReadError):
            return False  # doWrite offers the same bytes again
        except SSL.Error as e:
            self.connectionLost(Failure(self._broken(e)))
            return True
        self._tempDataBuffer = []
        self._tempDataLen = 0
        if sent == len(data):
            return True
        self.dataBuffer, self.offset = data, sent  # the peer asked for small records (RFC 6066 4)
        return False

    def _wait_writable(self) -> None:
        if self._aborting:
            return
        if not self._writing:
            self._writing = True
            super().startWriting()
        if self._stall is None and self._deadline is None:
            self._stall = self.reactor.callLater(self.times.stall_s, self._stalled)

    def stopWriting(self) -> None:
        """Nothing waits for the socket to become writable any more."""
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        if self._writing:
            self._writing = False
            super().stopWriting()

    def _stalled(self) -> None:
        self._stall = None
        log.info("{peer} takes nothing for {s} s: cut", peer=self.logstr, s=self.times.stall_s)
        self.abortConnection()

    def pauseProducing(self) -> None:
        """Read no more for now; a handshake goes on all the same."""
        self._paused = True
        if not self.is_secure or self._up:
            super().pauseProducing()

    def resumeProducing(self) -> None:
        """Read again."""
        self._paused = False
        if not self._shaking_later:
            super().resumeProducing()

    def loseConnection(self) -> None:
        """End after everything written has been sent. Before the end of a handshake: at once if nothing was written."""
        if self.is_secure and not self._up and self.connected and not self.disconnecting:
            if self._tempDataBuffer:
                self.disconnecting = 1  # the handshake goes on, then the data, then the end
            else:
                self.abortConnection()
            return
        if self._writeDisconnected and self._writing:
            self.disconnecting = 1  # the goodbye of a half-close is still waiting for room
            return
        super().loseConnection()

    def _postLoseConnection(self) -> Any:
        return main.CONNECTION_DONE if self._say_goodbye() else None

    def _closeWriteConnection(self) -> None:
        if not self.is_secure:
            super()._closeWriteConnection()
        elif not self._say_goodbye():
            pass  # doWrite comes here again; nothing may be written any more
        elif (half := IHalfCloseableProtocol(self.protocol, None)) is not None:
            # The socket stays whole: the peer may go on sending, and OpenSSL may have to answer.
            half.writeConnectionLost()

    def _say_goodbye(self) -> bool:
        """Send close_notify once; False if the socket is full and doWrite must come back to it."""
        if self._tls is not None and self._up and not self._goodbye_said:
            try:
                self._tls.shutdown()  # False: ours is sent, the peer's is not here; nobody waits for it
            except SSL.WantWriteError:
                self._wait_writable()
                return False
            except SSL.Error as e:
                log.debug("close_notify to {peer}: {e!r}", peer=self.logstr, e=e)
            self._goodbye_said = True
        return True

    @property
    def waiting_bytes(self) -> int:
        """How much was written and is not sent yet."""
        return len(self.dataBuffer) - self.offset + self._tempDataLen

    # -- what TLS knows

    def alpn(self) -> bytes:
        """Give the protocol chosen by ALPN (RFC 7301), b"" if none was or the handshake is not done."""
        return self._tls.get_alpn_proto_negotiated() if self._up and self._tls is not None else b""

    @property
    def negotiatedProtocol(self) -> bytes | None:
        """The same for Twisted (INegotiated), which says None for none."""
        return self.alpn() or None

    def channel_binding(self, kind: str) -> bytes | None:
        """Give the data of "tls-exporter" or "tls-server-end-point"; None before the handshake or where unsafe."""
        if not self._up or self._tls is None:
            return None
        return channel_binding(self._tls, kind, self.is_client)

    def tls_version(self) -> str:
        """Name the version and cipher, as "TLSv1.3 TLS_AES_256_GCM_SHA384"; "" without TLS."""
        if not self._up or self._tls is None:
            return ""
        return f"{self._tls.get_protocol_version_name()} {self._tls.get_cipher_name()}"

    def getPeerCertificate(self) -> Any:
        """Give the peer's certificate as OpenSSL.crypto.X509 (as Twisted does), None if it showed none."""
        return self._tls.get_peer_certificate() if self._tls is not None else None

    def getHandle(self) -> Any:
        """Give the SSL.Connection, or the socket of a plain connection."""
        return self._tls if self.is_secure else self.socket


class ServerConnection(SocketTLS, tcp.Server):
    """A connection that a port accepted."""


class ClientConnection(SocketTLS, tcp.Client):
    """A connection that we opened; a connector of port.py makes it."""

    is_client = True
