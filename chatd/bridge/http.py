"""The bridge's HTTP site, on loopback behind the daemon: LiveKit's signalling, and the server API.

    /rtc/v1            WebSocket, one peer connection       /rtc/v1/validate   would it be accepted?
    /rtc               WebSocket, two peer connections      /rtc/validate      the same
    /twirp/…           the server API: twirp.py, roomservice.py, egress.py; our own ListFlows: inspection.py

A token is checked before the upgrade; refusals are plain HTTP. The browser shows a refusal only if `validate` repeats
it with a CORS header.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from google.protobuf.struct_pb2 import Struct
from livekit.protocol import room as API
from livekit.protocol import rtc as R

from chatd.bridge import egress, inspection, joining, roomservice, tokens
from chatd.bridge.twirp import Twirp, denied

if TYPE_CHECKING:
    from chatd.bridge.bridge import Bridge

log = logging.getLogger(__name__)

CORS = {"Access-Control-Allow-Origin": "*"}
# A join request with an offer and metadata is in the URL.
MOST_LINE = 65536


class Site:
    """The handlers. `app` is to be run by `web.AppRunner(app, **RUNNER)`."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self.app = web.Application()
        self.app.router.add_get("/rtc/v1", self._join)
        self.app.router.add_get("/rtc", self._join)
        self.app.router.add_get("/rtc/v1/validate", self._validate)
        self.app.router.add_get("/rtc/validate", self._validate)
        self.app.router.add_get("/", self._alive)
        self.twirp = Twirp(bridge.keys, count=bridge.rooms.count)
        self.twirp.add(roomservice.DESCRIPTOR, roomservice.RoomService(bridge.rooms))
        self.twirp.add_method("chatd.Media", "ListFlows", API.ListParticipantsRequest, self._flows)
        self.twirp.add(egress.DESCRIPTOR, egress.EgressService(bridge.rooms, bridge.egresses))
        self.twirp.add_to(self.app)

    def _flows(self, request: API.ListParticipantsRequest, grants: tokens.Grants | None) -> Struct:
        """What inspection.py tells of a room, for its admin; LiveKit's API has nothing of the kind."""
        if grants is None or not grants.may_administer(request.room):
            raise denied()
        room = self._bridge.rooms.get(request.room)
        answer = Struct()
        answer.update({"tracks": inspection.tracks(room, self._bridge.port.now()) if room is not None else []})
        return answer

    async def _alive(self, request: web.Request) -> web.Response:
        return web.Response(text="OK")

    def _check(self, request: web.Request) -> tuple[tokens.Grants, R.JoinRequest, bool] | web.Response:
        """The client's grants and request, or why not."""
        bridge = self._bridge
        is_single = request.path.startswith("/rtc/v1")
        header = request.headers.get("Authorization", "")
        text = request.query.get("access_token", "") or header.removeprefix("Bearer ").strip()
        try:
            grants = tokens.verify(text, bridge.keys, time.time())
            grants.check_join()
            join = joining.read_join_request(request.query, is_single)
        except tokens.TokenError as error:
            bridge.rooms.count("token")
            return _refuse(error.status, str(error))
        except joining.BadJoin as error:
            bridge.rooms.count("join request")
            return _refuse(400, str(error))
        refusal = joining.admission(bridge, grants, join)
        if refusal is not None:
            bridge.rooms.count("join refused")
            return _refuse(*refusal)
        return grants, join, is_single

    async def _validate(self, request: web.Request) -> web.Response:
        checked = self._check(request)
        return checked if isinstance(checked, web.Response) else web.Response(text="success", headers=CORS)

    async def _join(self, request: web.Request) -> web.StreamResponse:
        checked = self._check(request)
        if isinstance(checked, web.Response):
            return checked
        grants, rooms = checked[0], self._bridge.rooms
        if not rooms.floods.of(grants.room, grants.identity).join(rooms.now()):
            rooms.count("joins")
            return _refuse(429, "too many connections of this participant")
        websocket = web.WebSocketResponse(
            compress=False, autoping=False, max_msg_size=self._bridge.settings.limits.message_bytes)
        if not websocket.can_prepare(request).ok:
            return _refuse(400, "a WebSocket is expected")
        await websocket.prepare(request)
        self._bridge.connections += 1
        try:
            await joining.serve(self._bridge, websocket, request.transport, *checked)
        except ConnectionError:
            # Gone while it was being answered.
            pass
        finally:
            self._bridge.connections -= 1
        return websocket


def _refuse(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, headers=CORS)


class _BadRequests(logging.Filter):
    """Counts what is no HTTP instead of logging it: aiohttp would write whole request lines, with tokens in them."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is to be logged."""
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError):
            return True
        self._bridge.rooms.count("http request")
        return False


async def listen(bridge: Bridge) -> tuple[web.AppRunner, tuple[str, int]]:
    """Serve on the settings' address; gives the runner (to be cleaned up) and where it listens. OSError: it cannot."""
    server_log = logging.Logger(log.name)
    server_log.parent = log
    server_log.addFilter(_BadRequests(bridge))
    runner = web.AppRunner(Site(bridge).app, access_log=None, handle_signals=False, max_line_size=MOST_LINE,
                           max_field_size=MOST_LINE, shutdown_timeout=1.0, logger=server_log)
    await runner.setup()
    host, number = bridge.settings.http
    site = web.TCPSite(runner, host, number)
    await site.start()
    address = runner.addresses[0]
    return runner, (address[0], address[1])
