"""A peer for media tests: ICE checks, DTLS and SRTP of its own towards a Port, over UDP or TCP; loss is an argument.

It answers nothing by itself: tests say what it sends and look at what it got.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

from aiortc import RTCCertificate

from chatd.bridge import rtcp, rtp, stun
from chatd.bridge.dtls import Dtls
from chatd.bridge.srtp import Inbound, Outbound

CERTIFICATE = RTCCertificate.generateCertificate()
FINGERPRINT = "sha-256 " + next(p.value for p in CERTIFICATE.getFingerprints() if p.algorithm == "sha-256")
IDS = {rtp.MID: 4, rtp.RID: 10, rtp.REPAIRED_RID: 11, rtp.AUDIO_LEVEL: 1, rtp.TRANSPORT_CC: 3, rtp.ABS_SEND_TIME: 2,
       rtp.VIDEO_ORIENTATION: 5}


def own_address() -> str:
    """This machine's own address (UDP `connect` sends nothing); loopback if it has none."""
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.connect(("198.51.100.1", 9))
        return str(probe.getsockname()[0])
    except OSError:
        return "127.0.0.1"
    finally:
        probe.close()


class Peer:
    """One client. `packets`: RTP received, `reports`: RTCP items received; `drops(packet)` loses incoming RTP."""

    def __init__(self, transport, host: str, number: int, tcp: bool = False) -> None:
        self.transport, self.host, self.number, self.is_tcp = transport, host, number, tcp
        self.packets: list[rtp.Packet] = []
        self.reports: list = []
        self.feedback: list[bytes] = []
        self.stun_answers: list[bytes] = []
        self.drops: Callable[[rtp.Packet], bool] = lambda packet: False
        self.changed = asyncio.Event()
        self.dtls = Dtls(self.send, CERTIFICATE)
        self.inbound = self.outbound = None
        self.writer = None
        self.sock = None
        self.send_time = 0
        self.twcc = 0

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        if self.is_tcp:
            reader, self.writer = await asyncio.open_connection(self.host, self.number)
            self.reading = loop.create_task(self._frames(reader))
        else:
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sock.bind((self.host, 0))
            self.sock.setblocking(False)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            loop.add_reader(self.sock, self._readable)

    async def connect(self) -> Peer:
        """Check, then shake hands."""
        await self.open()
        await self.check()
        self.transport.start("abcd", "p" * 24, FINGERPRINT, "active")
        keys = await asyncio.wait_for(
            self.dtls.connect("sha-256 " + self.transport.fingerprint, "passive", lambda: None), 10)
        assert keys is not None
        self.inbound, self.outbound = Inbound(keys), Outbound(keys)
        await self.until(lambda: self.transport.state == "connected")
        return self

    async def check(self, ufrag: str | None = None, pwd: str | None = None) -> None:
        """One signed check with USE-CANDIDATE, until it is answered."""
        ufrag, pwd = ufrag or self.transport.ufrag, pwd or self.transport.pwd
        before = len(self.stun_answers)
        self.send(stun.request(os.urandom(12), ufrag + ":abcd", pwd))
        await self.until(lambda: len(self.stun_answers) > before)

    async def until(self, holds: Callable[[], bool], seconds: float = 5.0) -> None:
        """Wait for a condition; looked at whenever something came in, and every 10 ms."""
        async def loop() -> None:
            while not holds():
                self.changed.clear()
                try:
                    await asyncio.wait_for(self.changed.wait(), 0.01)
                except TimeoutError:
                    pass
        await asyncio.wait_for(loop(), seconds)

    def send(self, data: bytes) -> None:
        if self.is_tcp:
            self.writer.write(len(data).to_bytes(2, "big") + data)
        else:
            self.sock.sendto(data, (self.host, self.number))

    def send_rtp(
        self,
        payload_type: int,
        sequence: int,
        timestamp: int,
        ssrc: int,
        payload: bytes,
        marker: bool = False,
        extensions: list[tuple[int, bytes]] = (),
    ) -> None:
        data = rtp.build(payload_type, marker, sequence, timestamp, ssrc, payload, extensions)
        self.send(self.outbound.rtp(data))

    def send_rtcp(self, data: bytes) -> None:
        self.send(self.outbound.rtcp(data))

    def _readable(self) -> None:
        while True:
            try:
                data = self.sock.recv(4096)
            except (BlockingIOError, ConnectionRefusedError):
                return
            self._got(data)

    async def _frames(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                self._got(await reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass

    def _got(self, data: bytes) -> None:
        first = data[0]
        if first < 4:
            self.stun_answers.append(data)
        elif first < 64:
            self.dtls.received(data)
        elif self.inbound is not None and 191 < data[1] < 224:
            plain = self.inbound.rtcp(data)
            assert plain is not None
            if plain[1] == 205 and plain[0] & 31 == 15:
                self.feedback.append(plain)
            self.reports += rtcp.parse(plain)[0]
        elif self.inbound is not None:
            plain = self.inbound.rtp(data)
            assert plain is not None, "a packet that cannot be opened"
            packet = rtp.parse(plain)
            if not self.drops(packet):
                self.packets.append(packet)
        self.changed.set()

    async def close(self) -> None:
        await self.dtls.stop()
        if self.is_tcp:
            self.reading.cancel()
            self.writer.close()
        else:
            asyncio.get_running_loop().remove_reader(self.sock)
            self.sock.close()


def vp8_payload(picture: int, tl0: int, is_key: bool, temporal: int = 0, begins: bool = True, size: int = 100,
                width: int = 320, height: int = 180) -> bytes:
    """A VP8 payload with a 15-bit picture id, TL0PICIDX and a temporal layer."""
    head = bytes(
        (
            0x80 | (0x10 if begins else 0),
            0xE0,
            0x80 | picture >> 8 & 0x7F,
            picture & 255,
            tl0 & 255,
            temporal << 6 | 0x20,
        )
    )
    if begins:
        head += bytes((0x10 if is_key else 0x11, 0, 0))
        if is_key:
            head += b"\x9d\x01\x2a" + width.to_bytes(2, "little") + height.to_bytes(2, "little")
    return head + bytes(max(0, size - len(head)))
