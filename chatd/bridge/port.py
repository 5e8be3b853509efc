"""The one media port of a bridge process: UDP, and TCP on the same number (RFC 4571 framing, RFC 6544), for all its
peers.

    port = await Port.open("0.0.0.0", 7882, announce=["203.0.113.5"])
    transport = port.transport()
    port.close()

Datagrams are told apart by their first byte (RFC 7983): 0–3 STUN, 20–63 DTLS, 128–191 RTP and RTCP. A check that is
signed with a transport's password makes its source address that transport's; everything from unknown addresses is
dropped and counted in `dropped`. Everything that one wake-up of the loop forwards goes out in few system calls
(`sendmmsg`).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from aiortc import RTCCertificate

from chatd.bridge import stun
from chatd.bridge.incoming import Profile
from chatd.bridge.sendmmsg import Address, Outbox
from chatd.bridge.tcp import TcpPath, listen
from chatd.bridge.transport import Transport

if TYPE_CHECKING:
    from chatd.bridge.incoming import Layer

# Some 900 packets of video: a quarter of a second of a busy core. What waits longer is too late anyway.
BUFFER_BYTES = 2 << 20
# Datagrams taken in one wake-up, so that timers and signalling get their turn.
BATCH = 64
TICK_S = 0.02
# A peer behind a changing NAT shows several addresses; more than these are not kept, nor more TCP connections.
MOST_ADDRESSES = 16

log = logging.getLogger(__name__)


class UdpPath:
    """Where one peer's datagrams come from."""

    __slots__ = ("host", "port", "address", "key", "_owner", "is_closed")

    def __init__(self, owner: Port, key: tuple[str, int]) -> None:
        self._owner = owner
        self.key = key
        self.host, self.port = key
        self.address: Address | None = Address(*key)
        self.is_closed = False

    def send(self, data: bytes) -> bool:
        """Send one datagram at once; False if the kernel does not take it."""
        return self._owner.send(data, self.key)


Path = UdpPath | TcpPath


class Port:
    """See the module. To be made by `open`. `outbox` is shared by all transports; `incomplete` and `arrived` are
    looked at by the clock.

    `received`: datagrams and TCP frames; `dropped`: reason -> how many; `outbox.sent`, `outbox.lost`: media packets
    out.
    """

    def __init__(self, sock: socket.socket, announce: Sequence[str], clock: Callable[[], float]) -> None:
        self.now = clock
        self.certificate = RTCCertificate.generateCertificate()
        prints = self.certificate.getFingerprints()
        self.fingerprint = next(p.value for p in prints if p.algorithm == "sha-256")
        self.announce = list(announce)
        self.transports: set[Transport] = set()
        self.incomplete: set[Layer] = set()
        self.arrived: set[Transport] = set()
        self.dropped: Counter[str] = Counter()
        self.received = 0
        self._socket = sock
        self.number: int = sock.getsockname()[1]
        self.outbox = Outbox(sock.fileno(), 28 if sock.family == socket.AF_INET6 else 16)
        self._ufrags: dict[str, Transport] = {}
        self._by_address: dict[tuple[str, int], Transport] = {}
        self._paths: dict[tuple[str, int], UdpPath] = {}
        self._profiles: dict[tuple[tuple[str, int], ...], Profile] = {}
        self._server: asyncio.Server | None = None
        # Oldest first.
        self._tcp_paths: dict[TcpPath, None] = {}
        self._later: list[Callable[[], None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._ticks = 0
        self._loop: asyncio.AbstractEventLoop

    @classmethod
    async def open(cls, address: str, port_number: int, announce: Sequence[str] = (),
                   loop: asyncio.AbstractEventLoop | None = None, with_tcp: bool = True,
                   clock: Callable[[], float] = time.monotonic) -> Port:
        """Bind UDP and TCP on `port_number` (0: any free one, see `number`). OSError if that cannot be.

        `announce`: numeric addresses for candidates; without them the bound one. `address` "::" serves IPv4 as well.
        """
        running = loop or asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for attempt in range(10):
            sock = _bind(address, port_number, family)
            port = cls(sock, announce or [address], clock)
            port._loop = running
            if not with_tcp:
                break
            try:
                port._server = await listen(port, address, port.number)
                break
            except OSError:
                # Any free UDP port need not be a free TCP port: another try, unless the number was asked for.
                sock.close()
                if port_number or attempt == 9:
                    raise
        running.add_reader(sock.fileno(), port._readable)
        port._timer = running.call_later(TICK_S, port._tick)
        return port

    def transport(self) -> Transport:
        """A new peer connection with fresh credentials."""
        made = Transport(self)
        self.transports.add(made)
        return made

    def candidates(self) -> list[str]:
        """Host candidates for each announced address: UDP first, then passive TCP (RFC 6544 4.5)."""
        lines = []
        for i, host in enumerate(self.announce):
            # RFC 8445 5.1.2.1: type preference 126 for host, TCP below all UDP.
            lines.append("candidate:%d 1 udp %d %s %d typ host generation 0"
                         % (i + 1, (126 << 24) + ((65535 - i) << 8) + 255, host, self.number))
        if self._server is not None:
            for i, host in enumerate(self.announce):
                lines.append("candidate:%d 1 tcp %d %s %d typ host tcptype passive generation 0"
                             % (i + 101, (90 << 24) + ((65535 - i) << 8) + 255, host, self.number))
        return lines

    def figures(self) -> dict[str, int | dict[str, int]]:
        """Counters for health reports: in, forwarded, refused by the kernel, dropped and why."""
        return {"transports": len(self.transports), "received": self.received, "forwarded": self.outbox.sent,
                "refused": self.outbox.lost, "dropped": dict(self.dropped)}

    def close(self) -> None:
        """Close everything; transports are closed without their peers being told more than the kernel takes at once."""
        for transport in list(self.transports):
            transport.close()
        if self._timer is not None:
            self._timer.cancel()
        if self._server is not None:
            self._server.close()
        for path in list(self._tcp_paths):
            path.close()
        self._loop.remove_reader(self._socket.fileno())
        # DTLS says good-bye in tasks of its own; they get one turn of the loop.
        self._loop.call_later(0.1, self._socket.close)

    # -- in

    def _readable(self) -> None:
        receive = self._socket.recvfrom
        known = self._by_address
        now = self.now()
        try:
            for _ in range(BATCH):
                data, address = receive(2048)
                self.received += 1
                if len(data) < 2:
                    continue
                first = data[0]
                if 127 < first < 192:
                    transport = known.get(address[:2])
                    if transport is None:
                        self.dropped["unknown address"] += 1
                    elif 191 < data[1] < 224:
                        transport.received_rtcp(data, now)
                    else:
                        transport.received_rtp(data, now)
                else:
                    self._control(data, address[:2])
        except BlockingIOError:
            pass
        except OSError as error:
            # An ICMP answer to an earlier datagram shows up here (ECONNREFUSED): not about what is read.
            self.dropped["socket: %s" % error.strerror] += 1
        if self.outbox.used:
            self.outbox.flush()
        if self._later:
            self._run_later()

    def _control(self, data: bytes, key: tuple[str, int]) -> None:
        first = data[0]
        if first < 4:
            request = stun.parse(data)
            transport = self._ufrags.get(request.ufrag) if request is not None else None
            if request is None or transport is None:
                self.dropped["stun"] += 1
                return
            path = self._paths.get(key) or UdpPath(self, key)
            answer = transport.checked(request, path)
            if answer is None:
                self.dropped["stun signature"] += 1
            else:
                path.send(answer)
        elif 19 < first < 64 and (transport := self._by_address.get(key)) is not None:
            transport.received_dtls(data)
        else:
            self.dropped["unknown address"] += 1

    def received_frame(self, data: bytes, path: TcpPath) -> bool:
        """A frame of a TCP connection; False if the connection is to be closed: it began with no valid check."""
        self.received += 1
        if len(data) < 2:
            return path.transport is not None
        first, transport = data[0], path.transport
        if first < 4:
            request = stun.parse(data)
            named = self._ufrags.get(request.ufrag) if request is not None else None
            answer = None
            if request is not None and named is not None and transport in (None, named):
                answer = named.checked(request, path)
            if answer is None:
                self.dropped["stun"] += 1
                return transport is not None
            path.send(answer)
        elif transport is None:
            self.dropped["unknown address"] += 1
            return False
        elif 19 < first < 64:
            transport.received_dtls(data)
        elif 127 < first < 192:
            if 191 < data[1] < 224:
                transport.received_rtcp(data, self.now())
            else:
                transport.received_rtp(data, self.now())
            if self.outbox.used:
                self.outbox.flush()
            if self._later:
                self._run_later()
        return True

    def send(self, data: bytes, key: tuple[str, int]) -> bool:
        """One datagram at once, for STUN, DTLS and RTCP."""
        try:
            self._socket.sendto(data, key)
        except OSError:
            self.dropped["not sent"] += 1
            return False
        return True

    # -- for transports

    def count(self, reason: str) -> None:
        """Something of a peer's was dropped."""
        self.dropped[reason] += 1

    def profile(self, ids: Mapping[str, int]) -> Profile:
        """The shared profile for these extension ids."""
        key = tuple(sorted(ids.items()))
        made = self._profiles.get(key)
        if made is None:
            if len(self._profiles) > 1000:
                self._profiles.clear()
            made = self._profiles[key] = Profile(dict(ids))
        return made

    def later(self, function: Callable[[], None]) -> None:
        """Run after the packets at hand: what changes the lists that they are forwarded by."""
        self._later.append(function)

    def _run_later(self) -> None:
        functions, self._later = self._later, []
        for function in functions:
            function()

    def know_ufrag(self, ufrag: str, transport: Transport) -> None:
        """Checks for this ufrag are the transport's."""
        self._ufrags[ufrag] = transport

    def forget_ufrag(self, ufrag: str) -> None:
        """No longer."""
        self._ufrags.pop(ufrag, None)

    def know_path(self, path: Path, transport: Transport) -> None:
        """A signed check came this way."""
        if isinstance(path, TcpPath):
            self._know_connection(path, transport)
            return
        key = path.key
        if self._by_address.get(key) is transport:
            return
        self._by_address[key] = transport
        self._paths[key] = path
        transport.addresses.append(key)
        if len(transport.addresses) > MOST_ADDRESSES:
            # The one in use stays.
            old = next(
                k
                for k in transport.addresses
                if transport.path is None or k != (transport.path.host, transport.path.port)
            )
            transport.addresses.remove(old)
            self._forget_address(old, transport)

    def _know_connection(self, path: TcpPath, transport: Transport) -> None:
        if path.transport is not None:
            return
        others = [p for p in self._tcp_paths if p.transport is transport and not p.is_closed]
        if len(others) >= MOST_ADDRESSES:
            next(p for p in others if p is not transport.path).close()
        path.transport = transport
        self._tcp_paths[path] = None

    def _forget_address(self, key: tuple[str, int], transport: Transport) -> None:
        if self._by_address.get(key) is transport:
            del self._by_address[key]
            self._paths.pop(key, None)

    def forget_tcp(self, path: TcpPath) -> None:
        """The connection has ended."""
        self._tcp_paths.pop(path, None)

    def remove(self, transport: Transport) -> None:
        """The transport is closed."""
        self.transports.discard(transport)
        self.arrived.discard(transport)
        for ufrag in transport.credentials:
            self._ufrags.pop(ufrag, None)
        for key in transport.addresses:
            self._forget_address(key, transport)
        for path in [p for p in self._tcp_paths if p.transport is transport]:
            path.close()

    # -- clock

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK_S, self._tick)
        try:
            self._work()
        except Exception:
            # One participant's trouble must not stop everybody's clock.
            log.exception("the media clock")
        if self.outbox.used:
            self.outbox.flush()

    def _work(self) -> None:
        now = self.now()
        self._ticks += 1
        if self._later:
            self._run_later()
        if self.incomplete:
            for layer in list(self.incomplete):
                publisher = layer.publication.transport
                if publisher is None or not layer.reception.missing:
                    self.incomplete.discard(layer)
                else:
                    publisher.ask_missing(layer, now)
        if self.arrived and not self._ticks % 3:
            arrived, self.arrived = self.arrived, set()
            for transport in arrived:
                transport.send_feedback()
        # Work of a second is spread over its ticks, so that fifty peers do not make one long pause.
        for i, transport in enumerate(list(self.transports)):
            turn = (self._ticks + i) % 50
            if not turn % 10:
                transport.look_after_layers(now)
                transport.line.share(now)
            if not turn:
                transport.every_second(now)


def _bind(address: str, number: int, family: socket.AddressFamily) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if address == "::" else 1)
        sock.bind((address, number))
        sock.setblocking(False)
        for forced, plain in ((33, socket.SO_RCVBUF), (32, socket.SO_SNDBUF)):
            # SO_RCVBUFFORCE and SO_SNDBUFFORCE go beyond the system's limit where we may.
            try:
                sock.setsockopt(socket.SOL_SOCKET, forced, BUFFER_BYTES)
            except OSError:
                sock.setsockopt(socket.SOL_SOCKET, plain, BUFFER_BYTES)
    except OSError:
        sock.close()
        raise
    return sock
