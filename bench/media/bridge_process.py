"""chatd's media plane in a process of its own for the bench: JSON lines in, JSON lines out."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import uvloop

from bench.media.client import IDS, OPUS, RTX, VP8
from chatd.bridge import dtls
from chatd.bridge.forward import Publication, Subscription
from chatd.bridge.port import Port
from chatd.bridge.recording.desk import Worker
from chatd.bridge.recording.recorder import Recording

dtls.PROFILES[:] = [p for p in dtls.PROFILES if p.openssl_profile == b"SRTP_AEAD_AES_128_GCM"]


async def main(host: str) -> None:
    """Answer commands until stdin ends."""
    loop = asyncio.get_running_loop()
    port = await Port.open(host, 0)
    transports = []
    published: list[list[Publication]] = []
    worker = Worker()
    recording: Recording
    lags: list[float] = []

    async def probe() -> None:
        while True:
            due = loop.time() + 0.01
            await asyncio.sleep(0.01)
            lags.append(max(0.0, loop.time() - due))

    probing = None
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
        elif asked["op"] == "record":
            # Of these publishers, into this directory; "video" or "audio" alone if `kind` says so.
            recording = Recording(worker, Path(asked["directory"]), clock=port.now, on_ended=lambda *how: None)
            await recording.start("EG_bench", "bench", "RM_bench")
            for owner in asked["of"]:
                for track in published[owner]:
                    if track.kind in asked["kinds"]:
                        recording.add_track("TR_%d%s" % (owner, track.kind), "PA_%d" % owner, track,
                                            source="camera", size=(1280, 720))
        elif asked["op"] == "stop":
            found = await recording.stop()
            assert found is not None
            answer = {"frames": sum(t.frames for t in found.tracks), "octets": sum(t.octets for t in found.tracks),
                      "gaps": sum(len(t.gaps) for t in found.tracks), "error": found.error,
                      "thread_s": recording.thread_s}
        elif asked["op"] == "lag":
            probing = probing or asyncio.ensure_future(probe())
            answer = {"lags": sorted(lags), "received": port.received}
            lags.clear()
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
