"""One WebSocket of a participant: SignalRequests in, SignalResponses out, strictly in order.

Each message is one frame, protobuf in binary frames or its JSON form in text frames; whoever writes text gets text. A
message that cannot be read, or that breaks a rule, ends the participant's session with a `leave`; it never raises
out of here. What a message means is in `requests.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from livekit.protocol import models as M
from livekit.protocol import rtc as R

from chatd.bridge import requests
from chatd.bridge.sdp import BadSdp

if TYPE_CHECKING:
    from chatd.bridge.participant import Participant

log = logging.getLogger(__name__)

Action = R.LeaveRequest.Action
Reason = M.DisconnectReason
PING_INTERVAL_S, PING_TIMEOUT_S = 5, 15
# Clients speak every PING_INTERVAL_S; whoever is silent for so long is not there.
SILENCE_S = PING_INTERVAL_S + PING_TIMEOUT_S
# How long a client that is told good-bye may take to read it.
FINISH_S = 5.0


def parse(message: WSMessage) -> R.SignalRequest:
    """The request in a frame; requests.BadMessage if there is none."""
    request = R.SignalRequest()
    try:
        if message.type == WSMsgType.BINARY:
            request.ParseFromString(message.data)
        else:
            json_format.Parse(message.data, request, ignore_unknown_fields=True, max_recursion_depth=20)
    except (DecodeError, json_format.ParseError, RecursionError, ValueError) as error:
        raise requests.BadMessage("not a signal request: %s" % type(error).__name__) from None
    return request


class Signal:
    """See the module. `participant.attach(signal)`, then `await signal.run()`."""

    def __init__(self, websocket: web.WebSocketResponse, transport: asyncio.Transport | None,
                 participant: Participant) -> None:
        self._websocket = websocket
        self._transport = transport
        self._participant = participant
        self._is_text = False
        self._is_finishing = False
        self._something = asyncio.Event()
        rooms = participant.room.rooms
        self._heard_at = rooms.now()
        self._flood = rooms.floods.of(participant.room.name, participant.identity)

    # -- for the participant

    def wake(self) -> None:
        """There is something in the outbox."""
        self._something.set()

    def finish(self) -> None:
        """Send what is in the outbox, then close; a client that does not read is cut off."""
        self._is_finishing = True
        self._something.set()
        asyncio.get_running_loop().call_later(2 * FINISH_S, self.abort)

    def abort(self) -> None:
        """Close at once; what is in the outbox stays there."""
        self._is_finishing = True
        self._something.set()
        if self._transport is not None:
            self._transport.abort()

    def tick(self, now: float) -> None:
        """A client that says nothing has gone, whatever its connection says."""
        if now - self._heard_at > SILENCE_S:
            self.abort()

    # -- life

    async def run(self) -> None:
        """Until the socket closes, by whichever side."""
        writer = asyncio.create_task(self._write())
        try:
            await self._read()
        finally:
            if self._is_finishing and not self._websocket.closed:
                await asyncio.wait([writer], timeout=FINISH_S)
            writer.cancel()
            self._participant.detach(self)
            await self._close()

    async def _read(self) -> None:
        rooms = self._participant.room.rooms
        async for message in self._websocket:
            if self._is_finishing:
                return
            self._heard_at = rooms.now()
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT, WSMsgType.PING, WSMsgType.PONG):
                return
            # Pings of the WebSocket's own count like all else that is answered.
            if not self._flood.message(len(message.data), self._heard_at):
                self._refuse("too many messages", Reason.PARTICIPANT_REMOVED)
                return
            if message.type in (WSMsgType.PING, WSMsgType.PONG):
                if message.type == WSMsgType.PING:
                    await self._websocket.pong(message.data)
                continue
            self._is_text = message.type == WSMsgType.TEXT
            self.attempt(self._handle, message)

    def _handle(self, message: WSMessage) -> None:
        requests.handle(self._participant, parse(message), self._flood)

    def attempt(self, handle: Callable[..., None], *values: Any) -> None:
        """Do what the participant asks for; it is sent away where that cannot be read, or breaks a rule."""
        try:
            handle(*values)
        except requests.TooMuch as error:
            self._refuse(str(error), Reason.PARTICIPANT_REMOVED)
        except requests.BadMessage as error:
            self._refuse(str(error))
        except BadSdp as error:
            self._refuse("description: %s" % error)
        except Exception:
            log.exception("a message of %s was not handled", self._participant.identity)
            self._refuse("internal error")

    def _refuse(self, why: str, reason: Reason = Reason.STATE_MISMATCH) -> None:
        self._participant.room.rooms.count("signal message")
        self._participant.refused(why, reason)

    async def _write(self) -> None:
        outbox = self._participant.outbox
        try:
            while True:
                while outbox:
                    if self._participant.signal is not self:
                        # A newer one speaks for it: what waits is not for this socket.
                        return
                    message = outbox[0]
                    if self._is_text:
                        await self._websocket.send_str(message.text)
                    else:
                        await self._websocket.send_bytes(message.binary)
                    # Only now: a socket that breaks leaves it for the next.
                    outbox.took(message)
                if self._is_finishing:
                    await self._websocket.close(code=WSCloseCode.OK)
                    return
                self._something.clear()
                await self._something.wait()
        except (ConnectionError, RuntimeError):
            # Closed; the reader sees it too.
            return

    async def _close(self) -> None:
        if not self._websocket.closed:
            try:
                await asyncio.wait_for(self._websocket.close(), FINISH_S)
            except (TimeoutError, ConnectionError, RuntimeError):
                self.abort()
