"""Participants with the real Python SDK.

    ann = Sdk(bridge, "ann")                        # joins room "room"; keywords: room, token, single, grants…
    ann.publish("camera", simulcast=True, width=1280, height=720); ann.publish("microphone")
    ben.until_seen("ann/camera", frames=20)         # decoded frames since now
    ben.state()["others"]["ann"]["tracks"]["camera"]["sid"]
    ben.wait("track_muted"); ben.leave()

Every method of sdk_participant.py's Participant is there: `ann.do("mute", source="camera")`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any

from tests.bridge.clients.bridge_process import ROOT, BridgeProcess
from tests.bridge.clients.line_process import Failed, LineProcess

# Of inbound-rtp: what tells whether a track that is not seen did not arrive, is not decoded, or is not handed out.
INCOMING = (
    "kind", "mid", "trackIdentifier", "codecId", "packetsReceived", "packetsLost", "retransmittedPacketsReceived",
    "nackCount", "pliCount", "firCount", "framesReceived", "framesDecoded", "keyFramesDecoded", "framesDropped",
    "frameWidth", "frameHeight", "freezeCount", "decoderImplementation",
)

class Sdk(LineProcess):
    """See the module. `joins=False`: only the process; `join()` later. `prefix`: a command that runs another."""

    def __init__(self, bridge: BridgeProcess, identity: str, room: str = "room", *, token: str = "", url: str = "",
                 joins: bool = True, auto_subscribe: bool = True, single: bool = True, dynacast: bool = False,
                 key: str = "", prefix: tuple[str, ...] = (), **grants: Any) -> None:
        self.identity = identity
        self._join = {"url": url or bridge.url, "token": token or bridge.token(identity, room, **grants),
                      "auto_subscribe": auto_subscribe, "single": single, "dynacast": dynacast, "key": key}
        super().__init__([*prefix, sys.executable, "-m", "tests.bridge.clients.sdk_participant"], name=identity,
                         folder=ROOT)
        if joins:
            self.join()

    def join(self) -> dict[str, Any]:
        """Gives the state of the room."""
        return dict(self.ask("join", **self._join))

    def do(self, op: str, **values: Any) -> Any:
        """Any method of Participant."""
        return self.ask(op, **values)

    def publish(self, source: str = "camera", **options: Any) -> str:
        """Gives the track's sid. Options: width, height, fps, codec, simulcast, layers, dtx, red, stereo, bitrate."""
        return str(self.ask("publish", source=source, **options))

    def state(self) -> dict[str, Any]:
        return dict(self.ask("state"))

    def frames(self) -> dict[str, dict[str, Any]]:
        return dict(self.ask("frames"))

    def incoming(self) -> list[dict[str, Any]]:
        """inbound-rtp of the SDK's own statistics: what its WebRTC received and decoded, whatever it handed out."""
        stats = self.do("stats")
        found = [{**part.get("stream", {}), **part.get("received", {}), **part.get("inbound", {})}
                 for side in ("publisher", "subscriber") for entry in stats[side] if (part := entry.get("inboundRtp"))]
        return [{name: one[name] for name in INCOMING if name in one} for one in found]

    def wait(self, name: str, *args: Any, timeout_s: float = 40.0, after: int = 0) -> dict[str, Any]:
        """The first event of this name (from number `after` on) that has all `args` among its arguments."""
        return self.wait_for(lambda e: e["event"] == name and all(arg in e.get("args", []) for arg in args),
                             timeout_s, after)

    def until_seen(self, key: str, frames: int = 10, timeout_s: float = 45.0,
                   size: tuple[int, int] | None = None) -> dict[str, Any]:
        """Wait until `frames` more frames of "identity/source" are decoded (of this size), and give what was seen."""
        end = time.monotonic() + timeout_s
        start: int | None = None
        while True:
            seen = self.frames().get(key)
            fits = seen is not None and (size is None or (seen["width"], seen["height"]) == size)
            if not fits:
                start = None
            elif start is None:
                start = seen["frames"]
            if seen is not None and start is not None and seen["frames"] >= start + frames:
                return seen
            if time.monotonic() > end:
                raise Failed(f"{self.identity} sees of {key}: {seen}; {self._tail()}")
            time.sleep(0.1)

    def until_smooth(self, keys: Iterable[str], gap_s: float = 1.0, seconds: float = 2.0,
                     timeout_s: float = 40.0) -> None:
        """Wait until no two frames of any of these are more than `gap_s` apart for some seconds. At once, on a machine
        that has time for its clients.
        """
        end = time.monotonic() + timeout_s
        keys = list(keys)
        while True:
            self.do("forget_gaps")
            before = self.frames()
            time.sleep(seconds)
            now = self.frames()
            if all(key in before and now[key]["gap_s"] <= gap_s and now[key]["frames"] > before[key]["frames"]
                   for key in keys):
                return
            if time.monotonic() > end:
                raise Failed(f"{self.identity} sees with gaps: {now}")

    def until_still(self, key: str, pause_s: float = 0.5, timeout_s: float = 40.0) -> None:
        """Wait until nothing of "identity/source" arrives. (The SDK has no event for a section that went inactive.)"""
        end = time.monotonic() + timeout_s
        before = -1
        while (now := self.frames()[key]["frames"]) != before:
            if time.monotonic() > end:
                raise Failed(f"{self.identity} still gets {key}")
            before = now
            time.sleep(pause_s)

    def leave(self) -> None:
        """Disconnect; the process ends."""
        self.stop()
