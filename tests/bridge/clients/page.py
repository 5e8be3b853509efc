"""Participants with the real livekit-client in Chromium (headless, with its fake camera and microphone).

    chromium = Chromium()                               # one browser for a whole session of tests
    ann = chromium.page(bridge, "ann", {"adaptiveStream": True, "dynacast": True})   # joins; RoomOptions
    ann.publish("camera", width=1280, height=720)       # 3 layers; default 640x360: 2, for a test of many pages
    ann.publish("microphone")                           # also "canvas" (a screen) and "tone" (a screen's sound)
    flow = ann.until_decoded("ben/camera", frames=30)   # what has changed in getStats meanwhile, and the last values
    assert flow["freezeCount"] == 0 and ann.incoming()["ben/camera"]["frameWidth"] == 640
    ann.eval("room.localParticipant.setCameraEnabled(false)")   # also: LK, publication(who, source), tile(who)
    ann.wait("TrackMuted"); ann.close()

The page is livekit_page.html, served by a thread of the test together with the npm package's files.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from tests.bridge.clients.bridge_process import BridgeProcess
from tests.bridge.clients.line_process import Failed, LineProcess
from tests.browser.harness import CHROMIUM, install, node_commands

HERE = Path(__file__).resolve().parent
DIST = HERE / "node_modules" / "livekit-client" / "dist"
# Counters of getStats; everything else is a last value.
COUNTED = (
    "packetsReceived", "packetsLost", "bytesReceived", "nackCount", "pliCount", "firCount", "framesDecoded",
    "framesDropped", "keyFramesDecoded", "freezeCount", "totalFreezesDuration", "concealedSamples",
    "silentConcealedSamples", "totalSamplesReceived", "retransmittedPacketsReceived", "jitterBufferDelay",
    "jitterBufferEmittedCount", "totalAudioEnergy", "totalInterFrameDelay",
)


class _Files(http.server.SimpleHTTPRequestHandler):
    """The page from here, the library from the npm package."""

    def translate_path(self, path: str) -> str:
        name = path.partition("?")[0].strip("/")
        return str((HERE if name.endswith(".html") else DIST) / Path(name).name)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Chromium(LineProcess):
    """See the module. `flags`: more command line switches; `environment`: more variables; `prefix`: a command that runs
    another, such as ("ip", "netns", "exec", "away"). `address`: where the page is served.
    """

    def __init__(self, *flags: str, environment: dict[str, str] | None = None, prefix: tuple[str, ...] = (),
                 address: str = "127.0.0.1") -> None:
        assert Path(CHROMIUM).exists(), f"{CHROMIUM} is missing; apt-get install chromium, or set CHATD_CHROMIUM"
        install(HERE)
        self._site = http.server.ThreadingHTTPServer((address, 0), functools.partial(_Files, directory=str(HERE)))
        threading.Thread(target=self._site.serve_forever, daemon=True).start()
        host = "localhost" if address == "127.0.0.1" else address
        self.page_url = f"http://{host}:{self._site.server_address[1]}/livekit_page.html"
        if host != "localhost":
            # Media devices are for secure origins only.
            flags = (*flags, f"--unsafely-treat-insecure-origin-as-secure=http://{host}:{self._site.server_address[1]}")
        node, _, own_environment = node_commands()
        arguments = json.dumps([list(flags), environment or {}])
        super().__init__([*prefix, *node, str(HERE / "browser.mjs"), arguments], name="chromium", folder=HERE,
                         environment={**os.environ, **own_environment})
        self._pages = 0

    def page(self, bridge: BridgeProcess | None, identity: str, options: dict[str, Any] | None = None, *,
             room: str = "room", token: str = "", url: str = "", joins: bool = True,
             connect: dict[str, Any] | None = None, **grants: Any) -> Page:
        """A tab in a profile of its own that joins the room. `options`: RoomOptions (and "key": end-to-end encryption);
        `connect`: RoomConnectOptions; `grants` as for BridgeProcess.token.
        """
        self._pages += 1
        name = f"{identity}{self._pages}"
        self.ask("page", name=name, url=self.page_url)
        if bridge is not None:
            url, token = url or bridge.url, token or bridge.token(identity, room, **grants)
        page = Page(self, name, identity, url, token, options or {}, connect or {})
        if joins:
            page.join()
        return page

    def stop(self, timeout_s: float = 15.0) -> int:
        self._site.shutdown()
        self._site.server_close()
        return super().stop(timeout_s)


class Page:
    """One participant; see the module."""

    def __init__(self, chromium: Chromium, name: str, identity: str, url: str, token: str, options: dict[str, Any],
                 connect: dict[str, Any]) -> None:
        self._chromium, self._name, self.identity = chromium, name, identity
        self.url, self.token, self.options, self.connect = url, token, options, connect

    def join(self) -> list[str]:
        """Gives the identities of those who are there. Failed with the client's own error if it is refused."""
        return list(self.eval("join(x.url, x.token, x.options, x.connect)", {
            "url": self.url, "token": self.token, "options": self.options, "connect": self.connect}))

    def eval(self, code: str, argument: Any = None) -> Any:
        """An expression in the page, awaited; `argument` is its `x`."""
        return self._chromium.ask("eval", name=self._name, code=code, argument=argument)

    def until(self, code: str, timeout_s: float = 40.0, argument: Any = None) -> Any:
        """Wait until an expression in the page is true, and give it."""
        end = time.monotonic() + timeout_s
        while True:
            answer = self.eval(code, argument)
            if answer:
                return answer
            if time.monotonic() > end:
                raise Failed(f"{self.identity}: never true: {code}; {self._tail()}")
            time.sleep(0.1)

    def publish(self, source: str = "camera", **options: Any) -> str:
        """Gives the track's sid. Options: width, height, fps, and livekit-client's TrackPublishOptions."""
        return str(self.eval("publish(x[0], x[1])", [source, options]))

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """What happened, of one RoomEvent ("TrackSubscribed") or all: {t, event, args}."""
        return [e for e in self.eval("seen") if not name or e["event"] == name]

    def wait(self, name: str, *args: Any, timeout_s: float = 40.0, after: int = 0) -> dict[str, Any]:
        """The first event of this name, from number `after` of all on, that has all `args` among its arguments."""
        return dict(self.until("seen.slice(x[2]).find(e => e.event === x[0] && x[1].every(a => e.args.includes(a)))",
                               timeout_s, [name, list(args), after]))

    def mark(self) -> int:
        """For `wait(…, after=mark)`: only what happens from now on."""
        return int(self.eval("seen.length"))

    def warnings(self) -> list[str]:
        """What livekit-client logged as warning or error."""
        return list(self.eval("warnings"))

    def exceptions(self) -> list[str]:
        return list(self._chromium.ask("log", name=self._name))

    def incoming(self) -> dict[str, dict[str, Any]]:
        """inbound-rtp of getStats by "identity/source"."""
        return dict(self.eval("incoming()"))

    def outgoing(self) -> list[dict[str, Any]]:
        """outbound-rtp of getStats, one for each layer."""
        return list(self.eval("outgoing()"))

    def paths(self) -> list[dict[str, Any]]:
        """The selected candidate pair of each peer connection."""
        return list(self.eval("paths()"))

    def until_decoded(self, key: str, frames: int = 20, timeout_s: float = 45.0,
                      width: int | None = None) -> dict[str, Any]:
        """Wait until `frames` more video frames (audio: so many hundreds of samples) of "identity/source" are decoded,
        all of them `width` wide if that is given. Gives getStats: counters as what was added meanwhile.
        """
        counter = "framesDecoded"
        end = time.monotonic() + timeout_s
        start: dict[str, Any] | None = None
        while True:
            now = self.incoming().get(key)
            if now is not None:
                if "framesDecoded" not in now:
                    counter = "totalSamplesReceived"
                if width is not None and now.get("frameWidth") != width:
                    start = None
                elif start is None or start["ssrc"] != now["ssrc"]:
                    start = now
                elif now.get(counter, 0) - start.get(counter, 0) >= frames * (1 if counter == "framesDecoded" else 100):
                    return {k: v - start.get(k, 0) if k in COUNTED else v for k, v in now.items()}
            if time.monotonic() > end:
                raise Failed(f"{self.identity} has of {key}: {now}; {self._tail()}")
            time.sleep(0.15)

    def until_smooth(self, key: str, frames: int = 20, timeout_s: float = 60.0,
                     width: int | None = None) -> dict[str, Any]:
        """`until_decoded`, until it comes without trouble of the network's: nothing lost, packets in time, (almost) no
        frozen time. At once where there is time for browsers; on a machine that is too busy, a decoder may stop for a
        moment by itself, so one smooth stretch is enough.
        """
        end = time.monotonic() + timeout_s
        while True:
            flow = self.until_decoded(key, frames, max(5.0, end - time.monotonic()), width)
            frozen_s, seen_s = flow["totalFreezesDuration"], max(0.1, flow["totalInterFrameDelay"])
            if flow["packetsLost"] == 0 and flow["jitter"] < 0.15 and frozen_s < 0.3 + 0.1 * seen_s:
                return flow
            if time.monotonic() > end:
                raise Failed(f"{self.identity} never has a smooth {key}: {flow}")

    def _tail(self) -> str:
        return f"events {self.events()[-15:]}; warnings {self.warnings()[-5:]}"

    def offline(self, value: bool) -> None:
        """Cut the page's sockets off, or not; media go on."""
        self._chromium.ask("offline", name=self._name, value=value)

    def leave(self) -> None:
        """Disconnect and close the tab."""
        self.eval("globalThis.room?.disconnect()")
        self.close()

    def close(self) -> None:
        """Close the tab without a word."""
        self._chromium.ask("close", name=self._name)
