"""The two servers: started pinned to a core, joined by clients, stopped."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

from bench.media.client import FINGERPRINT, IDS, OPUS, RTX, VP8, Client

SERVER_CORE = 0


def cpu_s(pid: int) -> float:
    """User + system time of all threads of a process, by the kernel's nanosecond clock (clock_getcpuclockid(3))."""
    return time.clock_gettime(~pid << 3 | 2)


def _ends_with_us() -> None:
    """In the child: its core, and an end when the bench is killed (PR_SET_PDEATHSIG)."""
    os.sched_setaffinity(0, {SERVER_CORE})
    ctypes.CDLL(None).prctl(1, 9)


class Server:
    """What the plan needs of a server."""

    name = ""

    def __init__(self, host: str) -> None:
        self.host = host
        self.process: asyncio.subprocess.Process | None = None

    async def _spawn(self, *command: str, **more: Any) -> asyncio.subprocess.Process:
        self.process = await asyncio.create_subprocess_exec(
            *command, preexec_fn=_ends_with_us, **more)
        return self.process

    def cpu_s(self) -> float:
        """CPU used so far."""
        assert self.process is not None
        return cpu_s(self.process.pid)

    async def stop(self) -> None:
        """End the process."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


class Bridge(Server):
    """chatd's media plane; one connection for both directions."""

    name = "chatd"

    async def start(self) -> None:
        """Start and wait until it listens."""
        process = await self._spawn(sys.executable, "-m", "bench.media.bridge_process", self.host,
                                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        self.there = json.loads(await process.stdout.readline())
        self.ids: dict[Client, int] = {}

    async def ask(self, **asked: Any) -> dict[str, Any]:
        """One command."""
        assert self.process is not None and self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(asked).encode() + b"\n")
        answer: dict[str, Any] = json.loads(await self.process.stdout.readline())
        return answer

    async def join(self, clients: list[Client], publishers: list[Client]) -> list[Client]:
        """Everybody joins; everybody gets all publishers but itself. Returns the clients that receive."""
        for client in clients:
            made = await self.ask(op="join", fingerprint=FINGERPRINT, publishes=client in publishers)
            client.remote, client.remote_ufrag, client.remote_pwd = (
                (self.host, self.there["port"]),
                made["ufrag"],
                made["pwd"],
            )
            self.ids[client] = made["id"]
        await asyncio.gather(*(client.connect("passive", self.there["fingerprint"]) for client in clients))
        for client in clients:
            others = [self.ids[p] for p in publishers if p is not client]
            if others and not (len(publishers) == 1 and client is publishers[0]):
                await self.ask(op="subscribe", id=self.ids[client], to=others)
        return [client for client in clients if publishers != [client]]

    async def remarks(self) -> str:
        """What it dropped."""
        state = await self.ask(op="state")
        return f"dropped {state['dropped']}, not sent {state['lost']}, in the plain path {state['plain']}"


class Janus(Server):
    """Debian's Janus with its video room; ICE-lite, no other plugin or transport, a connection for each direction."""

    name = "janus"

    async def start(self) -> None:
        """Start and wait until it answers."""
        self.folder = Path(tempfile.mkdtemp(prefix="bench-janus"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.number = probe.getsockname()[1]
        library = next(Path("/usr/lib").glob("*/janus"))
        off = [p.name for kind in ("transports", "plugins") for p in (library / kind).glob("*.so")
               if p.name not in ("libjanus_http.so", "libjanus_videoroom.so")]
        (self.folder / "janus.jcfg").write_text(
            'general: { plugins_folder = "%s/plugins" transports_folder = "%s/transports" debug_level = 2 '
            'session_timeout = 0 '
            'log_to_stdout = true }\nnat: { ice_lite = true ice_enforce_list = "%s" }\nmedia: { no_media_timer = 30 }\n'
            'plugins: { disable = "%s" }\ntransports: { disable = "%s" }\n'
            % (library, library, self.host, ",".join(off), ",".join(off))
        )
        (self.folder / "janus.transport.http.jcfg").write_text(
            'general: { http = true port = %d ip = "127.0.0.1" https = false json = "plain" }\n'
            'admin: { admin_http = false }\n'
            % self.number
        )
        (self.folder / "janus.plugin.videoroom.jcfg").write_text("general: { }\n")
        log = open(self.folder / "log", "wb")  # noqa: SIM115  given to the process
        await self._spawn(
            "janus", "-F", str(self.folder), "-C", str(self.folder / "janus.jcfg"), stdout=log, stderr=log
        )
        self.http = aiohttp.ClientSession()
        self.waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        for _ in range(100):
            try:
                self.session = (await self._post("", janus="create"))["data"]["id"]
                break
            except (aiohttp.ClientError, OSError):
                await asyncio.sleep(0.1)
        self.polling = asyncio.ensure_future(self._poll())
        handle = await self._attach()
        await self._ask(
            handle,
            {
                "request": "create",
                "room": 1,
                "publishers": 50,
                "bitrate": 0,
                "videocodec": "vp8",
                "audiocodec": "opus",
                "transport_wide_cc_ext": True,
                "audiolevel_ext": True,
                "notify_joining": False,
            },
        )
        self.feeds: dict[Client, int] = {}

    async def _post(self, path: str, **body: Any) -> dict[str, Any]:
        body.setdefault("transaction", os.urandom(6).hex())
        async with self.http.post(f"http://127.0.0.1:{self.number}/janus{path}", json=body) as answer:
            read: dict[str, Any] = await answer.json(content_type=None)
            if read.get("janus") == "error":
                raise RuntimeError(read["error"]["reason"])
            return read

    async def _poll(self) -> None:
        while True:
            async with self.http.get(f"http://127.0.0.1:{self.number}/janus/{self.session}?maxev=20") as answer:
                for event in await answer.json(content_type=None):
                    future = self.waiting.get(event.get("transaction", ""))
                    if future is not None and not future.done():
                        future.set_result(event)

    async def _attach(self) -> int:
        made = await self._post(f"/{self.session}", janus="attach", plugin="janus.plugin.videoroom")
        handle: int = made["data"]["id"]
        return handle

    async def _ask(self, handle: int, body: dict[str, Any], jsep: dict[str, Any] | None = None) -> dict[str, Any]:
        transaction = os.urandom(6).hex()
        future = self.waiting[transaction] = asyncio.get_running_loop().create_future()
        more = {"jsep": jsep} if jsep else {}
        answer = await self._post(
            f"/{self.session}/{handle}", janus="message", transaction=transaction, body=body, **more
        )
        if answer["janus"] == "ack":
            answer = await asyncio.wait_for(future, 20)
        data = answer.get("plugindata", {}).get("data", {})
        if "error" in data:
            raise RuntimeError(data["error"])
        return answer

    async def join(self, clients: list[Client], publishers: list[Client]) -> list[Client]:
        """As for the bridge; whoever publishes and receives has a second connection, made here."""
        for client in publishers:
            handle = await self._attach()
            joined = await self._ask(handle, {"request": "join", "ptype": "publisher", "room": 1})
            self.feeds[client] = joined["plugindata"]["data"]["id"]
            offer = {"type": "offer", "sdp": sdp(client, [("audio", "0"), ("video", "1")], "sendonly", "actpass")}
            answer = await self._ask(handle, {"request": "publish"}, offer)
            await self._connect(client, answer["jsep"]["sdp"])
        receivers = []
        for client in clients:
            if publishers == [client]:
                continue
            receiver = Client(self.host, client.is_sampled) if client in publishers else client
            receivers.append(receiver)
        owners = [client for client in clients if publishers != [client]]
        for task in self._receiving_task, :
            task(receivers)
        for owner, receiver in zip(owners, receivers, strict=True):
            handle = await self._attach()
            feeds = [{"feed": self.feeds[p]} for p in publishers if p is not owner]
            offered = await self._ask(handle, {"request": "join", "ptype": "subscriber", "room": 1, "streams": feeds})
            text = offered["jsep"]["sdp"]
            lines = re.findall(r"m=(audio|video) .*?a=mid:(\S+)", text, re.S)
            answer = {"type": "answer", "sdp": sdp(receiver, lines, "recvonly", "active")}
            started = asyncio.ensure_future(self._ask(handle, {"request": "start"}, answer))
            await self._connect(receiver, text, "passive")
            await started
        return receivers

    def _receiving_task(self, receivers: list[Client]) -> None:
        """Set by the plan: more clients to be drained."""

    async def _connect(self, client: Client, text: str, setup: str = "") -> None:
        def first(pattern: str) -> str:
            found = re.search(pattern, text)
            if found is None:
                raise RuntimeError("no %s in Janus's SDP" % pattern)
            return found.group(1)

        client.remote = (self.host, int(first(r"a=candidate:\S+ 1 udp \S+ \S+ (\d+) typ host")))
        client.remote_ufrag, client.remote_pwd = first(r"a=ice-ufrag:(\S+)"), first(r"a=ice-pwd:(\S+)")
        await client.connect(setup or first(r"a=setup:(\S+)"), first(r"a=fingerprint:sha-256 (\S+)"))

    async def remarks(self) -> str:
        """Its warnings."""
        lines = (self.folder / "log").read_text(errors="replace").splitlines()
        return f"{len(lines)} log lines"

    async def stop(self) -> None:
        """End it and take its files away."""
        self.polling.cancel()
        await self.http.close()
        await super().stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def sdp(client: Client, sections: list[tuple[str, str]], direction: str, setup: str) -> str:
    """A description as a browser would give it, as far as Janus reads it."""
    text = ("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE %s\r\na=msid-semantic: WMS\r\n"
            % " ".join(mid for _, mid in sections))
    for kind, mid in sections:
        numbers = str(OPUS) if kind == "audio" else f"{VP8} {RTX}"
        text += (
            f"m={kind} 9 UDP/TLS/RTP/SAVPF {numbers}\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=mid:{mid}\r\n"
            f"a=ice-ufrag:{client.ufrag}\r\na=ice-pwd:{client.pwd}\r\na=fingerprint:sha-256 {FINGERPRINT}\r\n"
            f"a=setup:{setup}\r\na={direction}\r\na=rtcp-mux\r\na=rtcp-rsize\r\n"
        )
        for uri, number in IDS.items():
            if ("audio-level" in uri) <= (kind == "audio"):
                text += f"a=extmap:{number} {uri}\r\n"
        if kind == "audio":
            text += f"a=rtpmap:{OPUS} opus/48000/2\r\na=rtcp-fb:{OPUS} transport-cc\r\n"
        else:
            text += f"a=rtpmap:{VP8} VP8/90000\r\n"
            text += "".join(
                f"a=rtcp-fb:{VP8} {fb}\r\n" for fb in ("nack", "nack pli", "ccm fir", "goog-remb", "transport-cc")
            )
            text += f"a=rtpmap:{RTX} rtx/90000\r\na=fmtp:{RTX} apt={VP8}\r\n"
        if direction == "sendonly":
            ssrc = client.audio_ssrc if kind == "audio" else client.video_ssrc
            text += f"a=msid:s t{mid}\r\na=ssrc:{ssrc} cname:bench\r\n"
        text += (f"a=candidate:1 1 udp 2130706431 {client.host} {client.port} typ host\r\na=end-of-candidates\r\n")
    return text
