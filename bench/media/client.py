"""One client of the load generator: ICE as the controlling side, DTLS, SRTP; publishes, counts what it gets."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket

from aiortc import RTCCertificate

from bench.media.drain import drain, view
from chatd.bridge import dtls, rtcp, rtp, stun
from chatd.bridge.srtp import Inbound, Outbound

CERTIFICATE = RTCCertificate.generateCertificate()
FINGERPRINT = next(p.value for p in CERTIFICATE.getFingerprints() if p.algorithm == "sha-256")
IDS = {rtp.MID: 4, rtp.AUDIO_LEVEL: 1, rtp.TRANSPORT_CC: 3, rtp.ABS_SEND_TIME: 2}
OPUS, VP8, RTX = 111, 96, 97
VIDEO_BYTES, AUDIO_BYTES = 1100, 120
FRAMES_PER_S, PACKETS_PER_FRAME, SOUNDS_PER_S = 25, 7, 50
# The same cipher for everybody: what is compared is forwarding.
dtls.PROFILES[:] = [p for p in dtls.PROFILES if p.openssl_profile == b"SRTP_AEAD_AES_128_GCM"]


class Client:
    """`is_sampled`: every packet is opened and its numbers are looked at; the others count only."""

    def __init__(self, host: str, is_sampled: bool = False) -> None:
        self.host, self.is_sampled = host, is_sampled
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)
        self.socket.setsockopt(socket.SOL_SOCKET, 32, 4 << 20)
        self.port = self.socket.getsockname()[1]
        self.ufrag, self.pwd = secrets.token_hex(4), secrets.token_hex(16)
        self.remote: tuple[str, int] = ("", 0)
        self.remote_ufrag = self.remote_pwd = ""
        self.dtls = dtls.Dtls(self.send, CERTIFICATE)
        self.inbound: Inbound | None = None
        self.outbound: Outbound | None = None
        self.answered = asyncio.Event()
        self.video_ssrc, self.audio_ssrc = secrets.randbelow(1 << 31), secrets.randbelow(1 << 31)
        self.packets = self.octets = self.rtcp = self.feedback = self.broken = self.holes = 0
        self.highest: dict[int, int] = {}
        self.wants_key = True
        self.emitted = 0
        self._twcc = self._video = self._audio = self._picture = 0

    def send(self, data: bytes) -> None:
        """One datagram."""
        try:
            self.socket.sendto(data, self.remote)
        except BlockingIOError:
            pass

    async def connect(self, setup: str, fingerprint: str) -> None:
        """Check until answered, then shake hands; `setup`: the server's role."""
        for _ in range(50):
            self.check()
            try:
                await asyncio.wait_for(self.answered.wait(), 0.2)
                break
            except TimeoutError:
                continue
        shaking = asyncio.ensure_future(self.dtls.connect("sha-256 " + fingerprint, setup, lambda: None))
        for _ in range(100):
            # libnice wants further checks if the first came before it knew our candidate.
            done, _pending = await asyncio.wait([shaking], timeout=0.3)
            if done:
                break
            self.check()
        keys = shaking.result() if shaking.done() else None
        if keys is None:
            raise RuntimeError("no DTLS with the server")
        self.outbound, self.inbound = Outbound(keys), Inbound(keys)

    def check(self) -> None:
        """An ICE check; also consent, every few seconds."""
        self.send(stun.request(os.urandom(12), f"{self.remote_ufrag}:{self.ufrag}", self.remote_pwd))

    def receive(self) -> None:
        """Everything that waits."""
        for at, size in drain(self.socket.fileno()):
            first = view[at]
            if first > 127:
                if 191 < view[at + 1] < 224:
                    self.rtcp += 1
                    if self.is_sampled or self._video:
                        self._read_rtcp(bytes(view[at:at + size]))
                else:
                    self.packets += 1
                    self.octets += size
                    if self.is_sampled:
                        self._look(bytes(view[at:at + size]))
            elif first > 19:
                self.dtls.received(bytes(view[at:at + size]))
            elif view[at + 1] == 1 and first == 1:
                self.answered.set()
            elif first == 0 and self.remote[1]:
                # A server that is no lite agent checks us as well.
                request = stun.parse(bytes(view[at:at + size]))
                if request is not None:
                    self.send(stun.success(request, *self.remote, self.pwd))

    def _look(self, data: bytes) -> None:
        if self.inbound is None:
            return
        plain = self.inbound.rtp(data)
        packet = rtp.parse(plain) if plain is not None else None
        if packet is None:
            self.broken += 1
            return
        before = self.highest.get(packet.ssrc)
        if before is not None and (packet.sequence - before) & 0xFFFF != 1:
            self.holes += 1
        self.highest[packet.ssrc] = packet.sequence

    def _read_rtcp(self, data: bytes) -> None:
        plain = self.inbound.rtcp(data) if self.inbound is not None else None
        if plain is None:
            return
        self.feedback += 1
        for item in rtcp.parse(plain)[0]:
            if isinstance(item, rtcp.KeyframeRequest):
                self.wants_key = True

    # -- publishing

    def _extensions(self, mid: bytes) -> list[tuple[int, bytes]]:
        self._twcc += 1
        return [(IDS[rtp.TRANSPORT_CC], (self._twcc & 0xFFFF).to_bytes(2, "big")), (IDS[rtp.MID], mid)]

    def _emit(
        self, payload_type: int, marker: bool, sequence: int, timestamp: int, ssrc: int, payload: bytes, mid: bytes
    ) -> None:
        assert self.outbound is not None
        data = self.outbound.rtp(
            rtp.build(payload_type, marker, sequence, timestamp, ssrc, payload, self._extensions(mid))
        )
        if data is not None:
            self.emitted += 1
            self.send(data)

    def frame(self, packets: int = PACKETS_PER_FRAME) -> None:
        """One VP8 frame."""
        self._picture += 1
        is_key, self.wants_key = self.wants_key, False
        for i in range(packets):
            head = bytes(
                (
                    0x90 if not i else 0x80,
                    0xE0,
                    0x80 | self._picture >> 8 & 0x7F,
                    self._picture & 255,
                    self._picture & 255,
                    0x20,
                    0x10 if is_key else 0x11,
                )
            )
            self._emit(VP8, i == packets - 1, self._video, 90000 * self._picture // FRAMES_PER_S, self.video_ssrc,
                       head + bytes(VIDEO_BYTES - len(head)), b"1")
            self._video += 1

    def sound(self) -> None:
        """One Opus packet of 20 ms."""
        self._audio += 1
        self._emit(OPUS, False, self._audio, 960 * self._audio, self.audio_ssrc, bytes(AUDIO_BYTES), b"0")

    def report(self, seconds: float) -> None:
        """Once a second: a receiver report for what is known, and REMB; of publishers a sender report."""
        if self.outbound is None:
            return
        blocks = [rtcp.ReportBlock(ssrc, 0, 0, highest, 5, 0, 0) for ssrc, highest in self.highest.items()]
        data = rtcp.receiver_report(9, blocks) + rtcp.remb(9, 2_000_000_000, list(self.highest) or [9])
        if self._video:
            ntp = int((seconds + 2208988800) * 4294967296) & (1 << 64) - 1
            data = (
                rtcp.sender_report(
                    rtcp.SenderReport(
                        self.video_ssrc,
                        ntp,
                        90000 * self._picture // FRAMES_PER_S,
                        self._video,
                        self._video * VIDEO_BYTES,
                    )
                )
                + data
            )
        sealed = self.outbound.rtcp(data)
        if sealed is not None:
            self.send(sealed)

    def close(self) -> None:
        """No good-bye: the server is stopped anyway."""
        if self.dtls._task is not None:
            self.dtls._task.cancel()
        self.socket.close()
