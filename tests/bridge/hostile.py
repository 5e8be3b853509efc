"""For hostile tests: a running bridge with two honest participants, who have to see each other whatever is done to it.

    def test_x(house):                      # house.bridge, house.room, house.ann, house.ben, house.ann_sid
        house.run(some_coroutine(house))    # an attack; asyncio, with house.session

After each test the same process still serves them: ben goes on seeing ann's camera, and its log has no error.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import aiohttp
from livekit.protocol import rtc as R

from tests.bridge.clients.bridge_process import BridgeProcess
from tests.bridge.clients.raw_signal import Raw, join_request, wrap
from tests.bridge.clients.sdk import Sdk

ATTACK_S = 120.0
# What a process under attack may grow by.
MOST_GROWTH_KB = 150_000


class House:
    """See the module."""

    def __init__(self) -> None:
        self.bridge = BridgeProcess(log_level="info")
        self.room = "house"
        self._numbers = itertools.count()
        self.ann, self.ben = Sdk(self.bridge, "ann", self.room), Sdk(self.bridge, "ben", self.room)
        self.ann_sid = str(self.ben.state()["others"]["ann"]["sid"])
        self.ann.publish("camera", width=160, height=90, fps=10)
        self.ben.until_seen("ann/camera", 5)
        self.before_kb = self.memory_kb()

    def memory_kb(self) -> int:
        lines = Path(f"/proc/{self.bridge.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    def check(self) -> None:
        """The honest ones are served, by the same process, which did not stumble or swell."""
        assert self.bridge.process.poll() is None, self.bridge.log[-20:]
        self.ben.until_seen("ann/camera", 5)
        self.bridge.health(lambda report: report["tracks"] == 1)
        state = self.ben.state()
        assert state["others"]["ann"]["sid"] == self.ann_sid, "ann had to join anew"
        errors = [text for text in self.bridge.complaints() if not text.startswith("warning")]
        assert not errors, errors
        assert self.memory_kb() - self.before_kb < MOST_GROWTH_KB

    def run(self, attack: Awaitable[Any]) -> Any:
        async def bounded() -> Any:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as self.session:
                return await asyncio.wait_for(attack, ATTACK_S)

        return asyncio.run(bounded())

    def token(self, identity: str = "eve", room: str = "", **grants: Any) -> str:
        return self.bridge.token(identity, room or self.room, **grants)

    async def enter(self, identity: str = "", room: str = "", request: R.JoinRequest | None = None,
                    **grants: Any) -> Raw:
        """A hostile participant, by WebSocket only; a new one each time, unless it is named."""
        identity = identity or "eve-%d" % next(self._numbers)
        query = {"access_token": self.token(identity, room, **grants), "join_request": wrap(request or join_request())}
        return Raw(await self.session.ws_connect(self.bridge.url + "/rtc/v1", params=query, max_msg_size=1 << 24))

    def stop(self) -> None:
        self.ann.leave()
        self.ben.leave()
        assert self.bridge.stop() == 0, self.bridge.log[-20:]
