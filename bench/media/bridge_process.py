"""chatd's media plane in a process of its own for the bench: JSON lines in, JSON lines out."""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop

from bench.media.client import IDS, OPUS, RTX, VP8
from chatd.bridge import dtls
from chatd.bridge.forward import Publication, Subscription
from chatd.bridge.port import Port

dtls.PROFILES[:] = [p for p in dtls.PROFILES if p.openssl_profile == b"SRTP_AEAD_AES_128_GCM"]


async def main(host: str) -> None:
    """Answer commands until stdin ends."""
    loop = asyncio.get_running_loop()
    port = await Port.open(host, 0)
    transports = []
    published: list[list[Publication]] = []
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print(json.dumps({"port": port.number, "fingerprint": port.fingerprint}), flush=True)
    while line := await reader.readline():
        asked = json.loads(line)
        answer: dict[str, object] = {}
        if asked["op"] == "join":
            transport = port.transport()
            transport.set_extensions(IDS)
            transport.start("", "", "sha-256 " + asked["fingerprint"], "active")
            tracks = []
            if asked["publishes"]:
                tracks = [Publication("audio", "opus", OPUS), Publication("video", "vp8", VP8, RTX)]
                for mid, track in zip("01", tracks, strict=True):
                    transport.receive(track, mid)
            transports.append(transport)
            published.append(tracks)
            answer = {"id": len(transports) - 1, "ufrag": transport.ufrag, "pwd": transport.pwd}
        elif asked["op"] == "subscribe":
            transport = transports[asked["id"]]
            made = [Subscription(track, transport, track.payload_type, track.rtx_payload_type, "s%d" % i)
                    for i, owner in enumerate(asked["to"]) for track in published[owner]]
            answer = {"ssrcs": [s.ssrc for s in made]}
        elif asked["op"] == "state":
            answer = {
                "connected": sum(t.state == "connected" for t in transports),
                "dropped": dict(port.dropped),
                "lost": port.outbox.lost,
                "plain": sum(s.is_plain for t in transports for s in t.subscriptions.values()),
            }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
