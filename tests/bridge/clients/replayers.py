"""Participants that replay: each publishes the same pre-encoded 720p simulcast (VP8 in three sizes) and a tone, through
LiveKit's signalling, ICE, DTLS and SRTP of its own, and receives everybody else's smallest layers. A meeting can so be
large without as many encoders.

    crowd = Replayers(bridge, ["eve", "fay"], room)    # joined and sending when it returns
    crowd.stop()["received"]                           # packets that arrived
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import socket
import sys
import time
from typing import Any

import aiohttp
import numpy as np
from aiortc import RTCCertificate
from livekit.protocol import models as M
from livekit.protocol import rtc as R

from bench.media.drain import drain, view
from chatd.bridge import dtls, rtcp, rtp, stun
from chatd.bridge.srtp import Inbound, Outbound
from tests.bridge.clients.bridge_process import ROOT, BridgeProcess
from tests.bridge.clients.line_process import LineProcess
from tests.bridge.media_source import Encoder, Sound, payloads

SIZES = {"q": (320, 180, 120_000), "h": (640, 360, 400_000), "f": (1280, 720, 1_500_000)}
FPS, LOOP, START_S = 25, 75, 90.0
NTP_1900 = 2208988800
EXTENSIONS = {rtp.AUDIO_LEVEL: 1, rtp.ABS_SEND_TIME: 2, rtp.TRANSPORT_CC: 3, rtp.MID: 4, rtp.RID: 10,
              rtp.REPAIRED_RID: 11}


class Replayers(LineProcess):
    """See the module: one process for all of them."""

    def __init__(self, bridge: BridgeProcess, identities: list[str], room: str = "room") -> None:
        super().__init__([sys.executable, "-m", "tests.bridge.clients.replayers"], name="replayers", folder=ROOT)
        self.tell(url=bridge.url, tokens={who: bridge.token(who, room) for who in identities})
        self.wait_for(lambda e: e["event"] == "sending", START_S)

    def leave(self) -> dict[str, Any]:
        """Everybody leaves; what was counted."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        counted = self.wait_for(lambda e: e["event"] == "ended", 20)
        self.process.wait(10)
        return counted


def picture(number: int, width: int, height: int) -> np.ndarray:
    """A grey wave that wanders, with a bar that jumps, as YUV 4:2:0."""
    plane = np.full((height * 3 // 2, width), 128, np.uint8)
    wave = 110 + 90 * np.sin(np.arange(width) / width * 12 + number / 9)
    plane[:height] = wave.astype(np.uint8)
    bar = number * height // LOOP
    plane[bar:bar + height // 12, ::2] = 235
    return plane


def material() -> tuple[dict[str, list[list[bytes]]], list[bytes]]:
    """The RTP payloads of every frame of a loop that begins with a keyframe, for each size; a second of tone."""
    video = {}
    for rid, (width, height, bitrate) in SIZES.items():
        encoder = Encoder("vp8", width, height, FPS)
        encoder.context.bit_rate = bitrate
        video[rid] = [payloads("vp8", encoder.encode(picture(n, width, height), not n), not n, n, 1100)
                      for n in range(LOOP)]
    sound = Sound()
    return video, [sound.tone(330, 0.2) for _ in range(50)]


class Stream:
    """One SSRC."""

    def __init__(self, payload_type: int, clock: int) -> None:
        self.ssrc, self.payload_type, self.clock = secrets.randbelow(1 << 31) + 1, payload_type, clock
        self.sequence, self.base = secrets.randbelow(30000), secrets.randbelow(1 << 31)
        self.packets = self.octets = self.frame = 0
        self.picture = 0


class Replayer:
    def __init__(self, session: aiohttp.ClientSession, url: str, token: str,
                 material: tuple[dict[str, list[list[bytes]]], list[bytes]]) -> None:
        self.session, self.url, self.token = session, url, token
        self.video_material, self.tones = material
        self.ufrag, self.pwd = secrets.token_hex(4), secrets.token_hex(16)
        self.certificate = RTCCertificate.generateCertificate()
        self.fingerprint = next(p.value for p in self.certificate.getFingerprints() if p.algorithm == "sha-256")
        self.sections = ["data"] + ["audio"] * 3 + ["video"] * 3
        self.version = 0
        self.video = {rid: Stream(96, 90000) for rid in SIZES}
        self.audio = Stream(111, 48000)
        self.received = self.broken = 0
        self.twcc = 0
        self.inbound: Inbound | None = None
        self.outbound: Outbound | None = None
        self.remote: tuple[str, int] = ("", 0)
        self.ready = asyncio.Event()
        self.checked = asyncio.Event()
        self.published: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.started = time.monotonic()

    # -- signalling

    async def join(self) -> None:
        request = R.JoinRequest(connection_settings=R.ConnectionSettings(auto_subscribe=True))
        wrapped = R.WrappedJoinRequest(join_request=request.SerializeToString())
        coded = base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()
        self.websocket = await self.session.ws_connect(
            self.url + "/rtc/v1", params={"access_token": self.token, "join_request": coded}, max_msg_size=0)
        self.tasks.append(asyncio.create_task(self._listen()))
        layers = [M.VideoLayer(quality=quality, width=w, height=h, bitrate=rate)
                  for quality, (w, h, rate) in enumerate(SIZES.values())]
        await self.say(add_track=R.AddTrackRequest(cid="mic", type=M.TrackType.AUDIO, name="mic",
                                                   source=M.TrackSource.MICROPHONE, stream="camera"))
        await self.say(add_track=R.AddTrackRequest(
            cid="cam", type=M.TrackType.VIDEO, name="cam", source=M.TrackSource.CAMERA, width=1280, height=720,
            layers=layers, stream="camera", simulcast_codecs=[R.SimulcastCodec(codec="vp8", cid="cam")]))
        self.sections += ["mic", "cam"]
        await self.offer()
        await asyncio.wait_for(self.ready.wait(), 60)

    async def say(self, **fields: Any) -> None:
        await self.websocket.send_bytes(R.SignalRequest(**fields).SerializeToString())

    async def _listen(self) -> None:
        async for frame in self.websocket:
            response = R.SignalResponse.FromString(frame.data)
            kind = response.WhichOneof("message")
            if kind == "answer":
                if self.outbound is None and self.remote[1] == 0:
                    self.tasks.append(asyncio.create_task(self._connect(response.answer.sdp)))
                sids = list(response.answer.mid_to_track_id.values())
                if sids:
                    # As in a grid of ten: the smallest of each.
                    await self.say(track_setting=R.UpdateTrackSettings(track_sids=sids, quality=M.VideoQuality.LOW))
            elif kind == "media_sections_requirement":
                wanted = response.media_sections_requirement
                self.sections += ["audio"] * wanted.num_audios + ["video"] * wanted.num_videos
                await self.offer()
            elif kind == "leave":
                print(json.dumps({"event": "sent away", "reason": str(response.leave)}), flush=True)
    async def ping(self) -> None:
        while True:
            await asyncio.sleep(4)
            await self.say(ping_req=R.Ping(timestamp=int(time.time() * 1000)))

    async def offer(self) -> None:
        self.version += 1
        await self.say(offer=R.SessionDescription(type="offer", sdp=self.sdp(), id=self.version))

    def sdp(self) -> str:
        lines = ["v=0", f"o=- 1 {self.version} IN IP4 127.0.0.1", "s=-", "t=0 0",
                 "a=group:BUNDLE " + " ".join(str(mid) for mid in range(len(self.sections))), "a=extmap-allow-mixed"]
        for mid, kind in enumerate(self.sections):
            common = ["c=IN IP4 0.0.0.0", f"a=ice-ufrag:{self.ufrag}", f"a=ice-pwd:{self.pwd}",
                      f"a=fingerprint:sha-256 {self.fingerprint}", "a=setup:actpass", f"a=mid:{mid}"]
            if kind == "data":
                lines += ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", *common, "a=sctp-port:5000"]
                continue
            is_audio = kind in ("audio", "mic")
            uris = [uri for uri in EXTENSIONS if (uri == rtp.AUDIO_LEVEL) <= is_audio and (
                "rtp-stream-id" not in uri or not is_audio)]
            lines += ["m=audio 9 UDP/TLS/RTP/SAVPF 111" if is_audio else "m=video 9 UDP/TLS/RTP/SAVPF 96 97", *common,
                      *(f"a=extmap:{EXTENSIONS[uri]} {uri}" for uri in uris), "a=rtcp-mux", "a=rtcp-rsize"]
            lines += ["a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;useinbandfec=1"] if is_audio else [
                "a=rtpmap:96 VP8/90000", "a=rtcp-fb:96 nack", "a=rtcp-fb:96 nack pli", "a=rtcp-fb:96 goog-remb",
                "a=rtcp-fb:96 transport-cc", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96"]
            if kind in ("mic", "cam"):
                lines += ["a=sendonly", f"a=msid:camera {kind}"]
                if kind == "cam":
                    lines += [*(f"a=rid:{rid} send" for rid in SIZES), "a=simulcast:send " + ";".join(SIZES)]
                else:
                    lines += [f"a=ssrc:{self.audio.ssrc} cname:replayer"]
            else:
                lines.append("a=recvonly")
        return "\r\n".join(lines) + "\r\n"

    # -- media

    async def _connect(self, sdp: str) -> None:
        said = {line[2:].partition(":")[0]: line.partition(":")[2] for line in sdp.splitlines() if line[:2] == "a="}
        words = next(line.split() for line in sdp.splitlines() if line.startswith("a=candidate:") and " udp " in line)
        self.remote = (words[4], int(words[5]))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.connect(self.remote)
        self.dtls = dtls.Dtls(self.send, self.certificate)
        asyncio.get_running_loop().add_reader(self.socket, self._readable)
        self.remote_ufrag, self.remote_pwd = said["ice-ufrag"], said["ice-pwd"]
        while not self.checked.is_set():
            self.check()
            await asyncio.sleep(0.1)
        keys = await self.dtls.connect(said["fingerprint"], "passive", lambda: None)
        assert keys is not None
        self.inbound, self.outbound = Inbound(keys), Outbound(keys)
        self.ready.set()

    def check(self) -> None:
        self.send(stun.request(os.urandom(12), f"{self.remote_ufrag}:{self.ufrag}", self.remote_pwd))

    def send(self, data: bytes) -> None:
        try:
            self.socket.send(data)
        except (BlockingIOError, ConnectionRefusedError):
            pass

    def _readable(self) -> None:
        for at, size in drain(self.socket.fileno()):
            first, second = view[at], view[at + 1]
            if first >= 128 and not 191 < second < 224:
                self.received += 1
            elif first < 4:
                self.checked.set()
            elif first < 64:
                self.dtls.received(bytes(view[at:at + size]))
            elif self.inbound is not None:
                plain = self.inbound.rtcp(bytes(view[at:at + size]))
                for item in rtcp.parse(plain)[0] if plain else ():
                    if isinstance(item, rtcp.KeyframeRequest):
                        for stream in self.video.values():
                            if stream.ssrc == item.media:
                                stream.frame = 0

    def _emit(self, stream: Stream, mid: str, rid: str, parts: list[bytes], timestamp: int) -> None:
        assert self.outbound is not None
        for i, part in enumerate(parts):
            self.twcc = self.twcc + 1 & 0xFFFF
            stream.sequence = stream.sequence + 1 & 0xFFFF
            extensions = [(4, mid.encode()), (3, self.twcc.to_bytes(2, "big"))]
            extensions += [(10, rid.encode())] if rid else [(1, bytes((0x80 | 30,)))]
            packet = rtp.build(stream.payload_type, bool(rid) and i == len(parts) - 1, stream.sequence, timestamp,
                               stream.ssrc, part, extensions)
            stream.packets += 1
            stream.octets += len(part)
            sealed = self.outbound.rtp(packet)
            assert sealed is not None
            self.send(sealed)

    def now(self, stream: Stream) -> int:
        return stream.base + int((time.monotonic() - self.started) * stream.clock) & 0xFFFFFFFF

    def frame(self) -> None:
        """The next picture in each size."""
        mid = str(self.sections.index("cam"))
        for rid, stream in self.video.items():
            parts = self.video_material[rid][stream.frame]
            stream.frame = (stream.frame + 1) % LOOP
            stream.picture = stream.picture + 1 & 0x7FFF
            number = bytes((0x80 | stream.picture >> 8, stream.picture & 255, stream.picture & 255))
            self._emit(stream, mid, rid, [part[:2] + number + part[5:] for part in parts], self.now(stream))

    def tone(self, number: int) -> None:
        self._emit(self.audio, str(self.sections.index("mic")), "", [self.tones[number % len(self.tones)]],
                   self.now(self.audio))

    def report(self) -> None:
        """Sender reports, and an ICE check."""
        assert self.outbound is not None
        now = time.time() + NTP_1900
        for stream in (*self.video.values(), self.audio):
            report = rtcp.sender_report(rtcp.SenderReport(
                stream.ssrc, int(now * (1 << 32)), self.now(stream), stream.packets, stream.octets))
            sealed = self.outbound.rtcp(report)
            assert sealed is not None
            self.send(sealed)
        self.check()

    async def leave(self) -> None:
        await self.say(leave=R.LeaveRequest())
        for task in self.tasks:
            task.cancel()
        await self.websocket.close()


async def main() -> None:
    loop = asyncio.get_running_loop()
    settings = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    prepared = await loop.run_in_executor(None, material)
    over = loop.run_in_executor(None, sys.stdin.read)
    async with aiohttp.ClientSession() as session:
        crowd = [Replayer(session, settings["url"], token, prepared) for token in settings["tokens"].values()]
        for one in crowd:
            await one.join()
            one.tasks.append(asyncio.create_task(one.ping()))
        print(json.dumps({"event": "sending"}), flush=True)
        begin, step = time.monotonic(), 0
        while not over.done():
            # 100 steps a second; the participants take turns, so that pictures do not come in bursts.
            for number, one in enumerate(crowd):
                if (step + number) % 4 == 0:
                    one.frame()
                if (step + number) % 2 == 0:
                    one.tone((step + number) // 2)
                if (step + number * 13) % 100 == 0:
                    one.report()
            step += 1
            await asyncio.sleep(max(0.0, begin + step / 100 - time.monotonic()))
        for one in crowd:
            await one.leave()
        print(json.dumps({"event": "ended", "received": sum(one.received for one in crowd), "steps": step,
                          "seconds": time.monotonic() - begin}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
