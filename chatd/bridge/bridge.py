"""One bridge process: settings, media port, rooms, and the clocks that keep them going.

    bridge = await Bridge.start(settings)
    bridge.rooms, bridge.port, bridge.settings, bridge.keys
    await bridge.stop()
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import time
import weakref
from typing import TYPE_CHECKING

from livekit.protocol import egress as E
from livekit.protocol import rtc as R

from chatd.bridge import joining
from chatd.bridge.egresses import Egresses
from chatd.bridge.port import Port
from chatd.bridge.rooms import Rooms
from chatd.bridge.settings import Settings
from chatd.bridge.webhooks import Webhooks

if TYPE_CHECKING:
    from chatd.bridge.participant import Participant
    from chatd.bridge.tokens import Grants

log = logging.getLogger(__name__)

TICK_S = 0.5
# LiveKit's rhythm: a token of ten minutes every five.
REFRESH_S, REFRESHED_TTL_S = 300.0, 600.0
TRIAL_TURN_S = 60


class Bridge:
    """See the module. `connections`: WebSockets that are open; `is_draining`: nobody new is let in; `webhooks`: None
    if nobody wants them; `egresses`: None where nothing is recorded.
    """

    def __init__(self, settings: Settings, port: Port) -> None:
        self.settings = settings
        self.keys = settings.keys
        self.port = port
        self.rooms = Rooms(settings.limits)
        self.webhooks: Webhooks | None = None
        if settings.webhooks is not None:
            key = settings.webhooks.key
            self.webhooks = Webhooks(settings.webhooks.urls, key, settings.keys[key])
            self.webhooks.listen(self.rooms)
        self.egresses: Egresses | None = None
        self.connections = 0
        self.is_draining = False
        self.sif_trailer = joining.random_trailer()
        self.lag_s = 0.0
        self._task = asyncio.get_running_loop().create_task(self._run())

    @classmethod
    async def start(cls, settings: Settings) -> Bridge:
        """Open the media port. OSError if it cannot be had."""
        port = await Port.open(settings.address, settings.port, settings.announce)
        bridge = cls(settings, port)
        await bridge._set_up_recordings()
        return bridge

    async def _set_up_recordings(self) -> None:
        """Without a folder that can be written to there are no recordings, but meetings."""
        if self.settings.recordings is None:
            return
        egresses = Egresses(self.settings.recordings, self.settings.limits, self.port.now, self._tell_of_egress)
        try:
            await egresses.start()
        except OSError as error:
            log.error("there will be no recordings: %s: %s", self.settings.recordings, error.strerror)
            return
        self.egresses = egresses

    def _tell_of_egress(self, name: str, info: E.EgressInfo) -> None:
        if self.webhooks is not None:
            self.webhooks.egress(name, info)

    async def stop(self) -> None:
        """Tell everybody to join anew, and end."""
        self.is_draining = True
        self._task.cancel()
        self.rooms.close()
        # The good-byes have to be written: sockets close when they are.
        for _ in range(50):
            if not self.connections:
                break
            await asyncio.sleep(0.02)
        if self.egresses is not None:
            await self.egresses.close()
        self.port.close()
        if self.webhooks is not None:
            await self.webhooks.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK_S
            await asyncio.sleep(TICK_S)
            self.lag_s = max(0.0, loop.time() - due)
            self.rooms.tick()

    def ice_servers(self, grants: Grants) -> list[R.ICEServer]:
        """The TURN server with credentials that coturn takes (its REST API: HMAC-SHA1 of "expiry:name").

        Whoever may neither send nor receive here only tries the way, and has no use for a relay afterwards.
        """
        turn = self.settings.turn
        if turn is None:
            return []
        permission = grants.permission()
        is_trial = not permission.can_publish and not permission.can_subscribe
        ttl_s = min(turn.ttl_s, TRIAL_TURN_S) if is_trial else turn.ttl_s
        username = "%d:%s" % (time.time() + ttl_s, grants.identity)
        digest = hmac.new(turn.secret.encode(), username.encode(), hashlib.sha1).digest()
        return [R.ICEServer(urls=list(turn.urls), username=username, credential=base64.b64encode(digest).decode())]

    def watch_token(self, participant: Participant) -> None:
        """Give the participant fresh tokens while it is there."""
        loop = asyncio.get_running_loop()
        # The timer must not keep one who has left, with all that waited for it.
        who = weakref.ref(participant)

        def refresh() -> None:
            participant = who()
            if participant is not None and not participant.is_closed:
                participant.tell(refresh_token=participant.fresh_token(self.keys, REFRESHED_TTL_S))
                loop.call_later(REFRESH_S, refresh)

        loop.call_later(REFRESH_S, refresh)

    def health(self) -> dict[str, object]:
        """One report: see control.py."""
        figures = self.port.figures()
        dropped = {**dict(self.port.dropped), **dict(self.rooms.dropped)}
        return {**self.rooms.counts(), "loop_lag_ms": round(self.lag_s * 1000, 1),
                "packets_in": figures["received"], "packets_out": figures["forwarded"],
                "refused": figures["refused"], "dropped": dropped, "connections": self.connections}

