"""`python -m chatd.bridge` as a test runs it, and the tokens to join it.

    bridge = BridgeProcess()                       # or BridgeProcess(limits={"tracks": 2}, …): settings.py's keys
    bridge.url                                     # "ws://127.0.0.1:…"
    bridge.token("ann", "room", can_publish=False) # an access token; keywords are those of VideoGrants
    bridge.health(lambda h: h["tracks"] == 4)      # waits for a health report
    bridge.stop()

Media are bound to this machine's own address: clients ignore 127.0.0.1.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from livekit import api

from tests.bridge.clients.line_process import Failed, LineProcess
from tests.bridge.peer import own_address

ROOT = Path(__file__).resolve().parents[3]
KEY, SECRET = "devkey", "devsecret-devsecret-devsecret-32"
START_S = 30.0


class BridgeProcess(LineProcess):
    """See the module. `http`: where signalling listens, `media`: host and port of media."""

    def __init__(self, **settings: Any) -> None:
        address = own_address()
        self.settings = {"address": address, "announce": [address], "keys": {KEY: SECRET}, "log_level": "info",
                         **settings}
        super().__init__([sys.executable, "-m", "chatd.bridge"], name="bridge", folder=ROOT,
                         environment={**os.environ, "PYTHONASYNCIODEBUG": ""})
        self.tell(**self.settings)
        ready = self.wait_for(lambda e: e["event"] == "ready", START_S)
        self.http: tuple[str, int] = tuple(ready["http"])
        self.media: tuple[str, int] = tuple(ready["media"])

    @property
    def url(self) -> str:
        return "ws://%s:%d" % self.http

    @property
    def http_url(self) -> str:
        return "http://%s:%d" % self.http

    def token(self, identity: str, room: str = "room", *, name: str | None = None, metadata: str = "",
              attributes: dict[str, str] | None = None, ttl_s: float = 600, secret: str = SECRET, **grants: Any) -> str:
        """An access token. `grants`: of livekit.api.VideoGrants, such as can_publish=False, hidden=True."""
        grants = {"room_join": True, "room": room, **grants}
        token = api.AccessToken(KEY, secret).with_identity(identity).with_name(name or identity.title())
        token = token.with_grants(api.VideoGrants(**grants)).with_ttl(datetime.timedelta(seconds=ttl_s))
        if metadata:
            token = token.with_metadata(metadata)
        if attributes:
            token = token.with_attributes(attributes)
        return str(token.to_jwt())

    def health(self, wanted: Callable[[dict[str, Any]], bool] = lambda h: True,
               timeout_s: float = 20.0) -> dict[str, Any]:
        """The next health report that `wanted` accepts."""
        return self.wait_for(lambda e: e["event"] == "health" and wanted(e), timeout_s, after=len(self.events))

    def flows(self, room: str = "room") -> list[dict[str, Any]]:
        """What the bridge says of a room's tracks and their ways to receivers (chatd/bridge/inspection.py)."""
        request = urllib.request.Request(
            self.http_url + "/twirp/chatd.Media/ListFlows", json.dumps({"room": room}).encode(),
            {"Content-Type": "application/json",
             "Authorization": "Bearer " + self.token("", room, room_join=False, room_admin=True)})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return list(json.load(answer)["tracks"])

    def complaints(self) -> list[str]:
        """What it logged as a warning or an error; a test ends with none it did not ask for."""
        found = []
        for line in self.log:
            try:
                record = json.loads(line)
            except ValueError:
                found.append(line)
                continue
            if record["level"] in ("warning", "error", "critical"):
                found.append(f"{record['level']} {record['logger']}: {record['text']}")
        return found


def until(condition: Callable[[], Any], timeout_s: float = 20.0, what: str = "") -> Any:
    """Ask again and again until the answer is true, and give it."""
    end = time.monotonic() + timeout_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Failed(f"never true: {what or condition}; last answer {answer!r}")
        time.sleep(0.05)
