"""A client that speaks LiveKit's signalling and nothing else: what real clients never send, tests of exact answers.

    async def scenario():
        async with running(limits={"tracks": 2}) as server:         # a bridge in this process; settings.py's keys
            ann = await server.join("ann")                          # keywords: room, request, single, and grants
            await ann.send(add_track=R.AddTrackRequest(cid="c", type=M.AUDIO))
            published = await ann.next("track_published")
            assert await ann.ended() == M.DisconnectReason.STATE_MISMATCH
    asyncio.run(scenario())
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from google.protobuf import json_format
from livekit.protocol import models as M
from livekit.protocol import rtc as R

from chatd.bridge import http, settings
from chatd.bridge.bridge import Bridge
from tests.bridge.clients.bridge_process import KEY, SECRET, BridgeProcess

OFFERS = Path(__file__).resolve().parents[1] / "offers"
ANSWER_S = 10.0


def wrap(request: R.JoinRequest, zipped: bool = True) -> str:
    """The query parameter `join_request`."""
    data = request.SerializeToString()
    wrapped = R.WrappedJoinRequest(
        join_request=gzip.compress(data, mtime=0) if zipped else data,
        compression=R.WrappedJoinRequest.Compression.GZIP if zipped else R.WrappedJoinRequest.Compression.NONE)
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode().rstrip("=")


def join_request(auto_subscribe: bool = True, **fields: Any) -> R.JoinRequest:
    return R.JoinRequest(connection_settings=R.ConnectionSettings(auto_subscribe=auto_subscribe), **fields)


class Raw:
    """One WebSocket. `got`: everything received so far, `kinds`: in which kind of frame ("BINARY", "TEXT")."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.got: list[R.SignalResponse] = []
        self.kinds: list[str] = []
        self.sid = ""
        self._read = 0
        self._new = asyncio.Event()
        self._task = asyncio.ensure_future(self._receive())

    async def _receive(self) -> None:
        async for message in self.socket:
            response = R.SignalResponse()
            if message.type == aiohttp.WSMsgType.TEXT:
                json_format.Parse(message.data, response)
            elif message.type == aiohttp.WSMsgType.BINARY:
                response.ParseFromString(message.data)
            self.got.append(response)
            self.kinds.append(message.type.name)
            self._new.set()
        self._new.set()

    async def send(self, **fields: Any) -> None:
        await self.socket.send_bytes(R.SignalRequest(**fields).SerializeToString())

    async def next(self, name: str, wanted: Callable[[Any], bool] = lambda message: True) -> Any:
        """The next message of this name; what comes before it is skipped (and in `got`)."""
        async def find() -> Any:
            while True:
                while self._read < len(self.got):
                    response = self.got[self._read]
                    self._read += 1
                    if response.WhichOneof("message") == name and wanted(getattr(response, name)):
                        return getattr(response, name)
                assert not self._task.done(), f"closed before {name}; got {[m.WhichOneof('message') for m in self.got]}"
                self._new.clear()
                await self._new.wait()

        try:
            return await asyncio.wait_for(find(), ANSWER_S)
        except TimeoutError:
            raise AssertionError(f"no {name}; got {[m.WhichOneof('message') for m in self.got]}") from None

    async def pong(self) -> None:
        """What was sent before has been handled, and its answers are here."""
        await self.send(ping_req=R.Ping(timestamp=len(self.got) + 1))
        await self.next("pong_resp", lambda pong: True)

    def count(self, name: str) -> int:
        return sum(1 for response in self.got if response.WhichOneof("message") == name)

    async def ended(self) -> int:
        """The reason of the `leave` that ends it; the socket is closed after it."""
        leave = await self.next("leave")
        await asyncio.wait_for(self._task, ANSWER_S)
        return int(leave.reason)

    def vanish(self) -> None:
        """The connection ends by a reset."""
        self.socket._response.connection.transport.abort()

    def stop_reading(self) -> None:
        self._task.cancel()
        self.socket._response.connection.transport.pause_reading()

    async def close(self) -> None:
        await self.socket.close()


class Server:
    """A bridge in this process."""

    def __init__(self, bridge: Bridge, address: tuple[str, int], session: aiohttp.ClientSession) -> None:
        self.bridge, self.session = bridge, session
        self.url = "ws://%s:%d" % address
        self.http_url = "http://%s:%d" % address

    token = BridgeProcess.token

    async def open(self, path: str, **query: str) -> aiohttp.ClientWebSocketResponse:
        return await self.session.ws_connect(self.url + path, params=query, max_msg_size=1 << 22)

    async def join(self, identity: str, room: str = "room", *, request: R.JoinRequest | None = None,
                   single: bool = True, first: str = "join", **grants: Any) -> Raw:
        """Joins, and gives the client after its first message, which has to be `first`."""
        query = {"access_token": self.token(identity, room, **grants)}
        if single:
            query["join_request"] = wrap(request or join_request())
        raw = Raw(await self.open("/rtc/v1" if single else "/rtc", **query))
        message = await raw.next(first)
        assert raw.got[0].WhichOneof("message") == first
        if first == "join":
            raw.sid = message.participant.sid
        return raw


@asynccontextmanager
async def running(**values: Any) -> AsyncIterator[Server]:
    """A bridge in this process, with these settings."""
    line = json.dumps({"keys": {KEY: SECRET}, "address": "127.0.0.1", **values})
    bridge = await Bridge.start(settings.parse(line))
    runner, address = await http.listen(bridge)
    async with aiohttp.ClientSession() as session:
        try:
            yield Server(bridge, address, session)
        finally:
            await bridge.stop()
            await runner.cleanup()


def own_offer(*sections: str, ufrag: str = "abcd") -> str:
    """A small offer: a data section and these; see `section`."""
    print_ = ":".join(["AB"] * 32)
    head = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0",
            "a=group:BUNDLE " + " ".join(["d", *(str(n) for n in range(len(sections)))])]
    transport = [f"a=ice-ufrag:{ufrag}", "a=ice-pwd:" + "p" * 24, "a=fingerprint:sha-256 " + print_, "a=setup:actpass"]
    lines = [*head, "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=mid:d", *transport,
             "a=sctp-port:5000"]
    for number, text in enumerate(sections):
        kind, _, rest = text.partition("\n")
        lines += [kind, "c=IN IP4 0.0.0.0", f"a=mid:{number}", *transport, "a=rtcp-mux", *rest.split("\n")]
    return "\r\n".join(lines) + "\r\n"


def section(kind: str, direction: str, cid: str = "", codec: str = "") -> str:
    """A section for `own_offer`: audio is opus 111, video VP8 96 (or `codec`) with rtx 97."""
    if kind == "audio":
        lines = ["m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10"]
    else:
        lines = ["m=video 9 UDP/TLS/RTP/SAVPF 96 97", f"a=rtpmap:96 {codec or 'VP8'}/90000", "a=rtpmap:97 rtx/90000",
                 "a=fmtp:97 apt=96", "a=rtcp-fb:96 nack"]
    lines += ["a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid", "a=" + direction]
    if cid:
        lines += [f"a=msid:stream {cid}", f"a=ssrc:{hash(cid) & 0x7FFFFFFF} cname:x"]
    return "\n".join(lines)


def description(text: str, number: int = 1) -> R.SessionDescription:
    return R.SessionDescription(type="offer", sdp=text, id=number)


AUDIO, VIDEO = M.TrackType.AUDIO, M.TrackType.VIDEO


async def publish(raw: Raw, cid: str = "c1", kind: str = "audio", **fields: Any) -> M.TrackInfo:
    """AddTrack and the offer for it, as the only track."""
    await raw.send(add_track=R.AddTrackRequest(cid=cid, type=AUDIO if kind == "audio" else VIDEO, **fields))
    published = await raw.next("track_published")
    await raw.send(offer=description(own_offer(section(kind, "sendonly", cid))))
    await raw.next("answer")
    return published.track
