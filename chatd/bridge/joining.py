"""How a participant comes in: the request in the URL, a new join, a resume.

In the one-connection mode (/rtc/v1) a WrappedJoinRequest is in the query parameter `join_request`, often with the first
offer in it; in the older mode (/rtc) there are plain query parameters.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import secrets
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiohttp import web
from google.protobuf.message import DecodeError
from livekit.protocol import models as M
from livekit.protocol import rtc as R

from chatd.bridge import requests
from chatd.bridge.double import Double
from chatd.bridge.participant import Participant
from chatd.bridge.rooms import LimitExceeded
from chatd.bridge.signalling import PING_INTERVAL_S, PING_TIMEOUT_S, Signal
from chatd.bridge.single import Single
from chatd.bridge.tracks import FORWARDED, MIME_TYPES
from chatd.bridge.wire import Message

if TYPE_CHECKING:
    from chatd.bridge.bridge import Bridge
    from chatd.bridge.room import Room
    from chatd.bridge.tokens import Grants

log = logging.getLogger(__name__)

SDKS = {number: name.lower() for name, number in M.ClientInfo.SDK.items()}
# The newest protocol that is understood, and a LiveKit version that clients take features from.
PROTOCOL = 16
VERSION = "1.9.0"
# An offer has 14 to 19 KB; gzip may claim anything.
MOST_BYTES = 1 << 20
Action = R.LeaveRequest.Action
Reason = M.DisconnectReason


class BadJoin(Exception):
    """The join request cannot be read; the text says why."""


def read_join_request(query: Mapping[str, str], is_single: bool) -> R.JoinRequest:
    """The request of either mode. BadJoin: missing, malformed or too large."""
    if not is_single:
        return _from_query(query)
    text = query.get("join_request", "")
    if not text:
        raise BadJoin("join_request is required")
    try:
        # Both alphabets, with and without padding.
        text = text.replace("-", "+").replace("_", "/").rstrip("=")
        raw = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        wrapped = R.WrappedJoinRequest()
        wrapped.ParseFromString(raw)
        data = wrapped.join_request
        if wrapped.compression == R.WrappedJoinRequest.Compression.GZIP:
            unpacker = zlib.decompressobj(wbits=31)
            data = unpacker.decompress(data, MOST_BYTES)
            if unpacker.unconsumed_tail or not unpacker.eof:
                raise BadJoin("join_request is larger than %d bytes, or cut off" % MOST_BYTES)
        request = R.JoinRequest()
        request.ParseFromString(data)
    except (binascii.Error, zlib.error, DecodeError, ValueError) as error:
        raise BadJoin("cannot read join_request: %s" % error) from None
    return request


def _from_query(query: Mapping[str, str]) -> R.JoinRequest:
    def is_on(name: str, default: str) -> bool:
        return query.get(name, default) in ("1", "true")

    def number(name: str) -> int:
        text = query.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0

    return R.JoinRequest(
        client_info=M.ClientInfo(version=query.get("version", "")[:64], protocol=number("protocol")),
        connection_settings=R.ConnectionSettings(auto_subscribe=is_on("auto_subscribe", "1"),
                                                 adaptive_stream=is_on("adaptive_stream", "0")),
        reconnect=is_on("reconnect", "0"), participant_sid=query.get("sid", "")[:64])


def server_info() -> M.ServerInfo:
    """The browser refuses to join a server without a version."""
    return M.ServerInfo(edition=M.ServerInfo.Edition.Standard, version=VERSION, protocol=PROTOCOL, node_id="chatd")


def admission(bridge: Bridge, grants: Grants, request: R.JoinRequest) -> tuple[int, str] | None:
    """Why this client may not come in now, as HTTP status and text; None if it may."""
    limits = bridge.settings.limits
    if bridge.connections >= limits.connections:
        return 503, "too many connections"
    if request.reconnect:
        return None
    if bridge.is_draining:
        return 503, "this bridge takes no new participants"
    room = bridge.rooms.get(grants.room)
    if room is None:
        return (503, "too many rooms") if len(bridge.rooms) >= limits.rooms else None
    most = min(limits.participants, room.max_participants or limits.participants)
    if len(room.participants) >= most and grants.identity not in room.participants:
        return 429, "the room is full"
    return None


async def serve(bridge: Bridge, websocket: web.WebSocketResponse, transport: asyncio.Transport | None, grants: Grants,
                request: R.JoinRequest, is_single: bool) -> None:
    """Run an accepted WebSocket to its end."""
    if request.reconnect:
        participant = resume(bridge, grants, request, is_single)
        if participant is None:
            await _leave(websocket, Reason.STATE_MISMATCH, Action.RECONNECT)
            return
    else:
        try:
            participant = join(bridge, grants, request, is_single)
        except LimitExceeded as error:
            # There was room when it was let in.
            log.warning("%s cannot join %s: %s", grants.identity, grants.room, error)
            await _leave(websocket, Reason.JOIN_FAILURE, Action.DISCONNECT)
            return
    signal = Signal(websocket, transport, participant)
    participant.attach(signal)
    try:
        if not participant.is_closed:
            signal.attempt(_first_offer, participant, request)
    finally:
        await signal.run()


async def _leave(websocket: web.WebSocketResponse, reason: Reason, action: Action) -> None:
    leave = R.LeaveRequest(reason=reason, action=action, can_reconnect=action != Action.DISCONNECT)
    await websocket.send_bytes(R.SignalResponse(leave=leave).SerializeToString())
    await websocket.close()


def join(bridge: Bridge, grants: Grants, request: R.JoinRequest, is_single: bool) -> Participant:
    """A new participant; one of the same identity ends."""
    room = bridge.rooms.create(grants.room)
    old = room.participants.get(grants.identity)
    if old is not None:
        room.remove(old, Reason.DUPLICATE_IDENTITY)
    participant = Participant(room, grants, request.connection_settings.auto_subscribe)
    participant.take_request(request)
    participant.negotiation = (Single if is_single else Double)(participant, bridge.port)
    # Everybody else's state before, so that nothing is told twice.
    join_response = R.JoinResponse(
        room=room.info(), participant=participant.info(), other_participants=room.others(participant),
        server_version=VERSION, server_info=server_info(), subscriber_primary=not is_single,
        ping_interval=PING_INTERVAL_S, ping_timeout=PING_TIMEOUT_S, fast_publish=True,
        enabled_publish_codecs=[M.Codec(mime=MIME_TYPES[word]) for word in FORWARDED],
        ice_servers=bridge.ice_servers(grants), sif_trailer=bridge.sif_trailer)
    join_response.room.num_participants += 0 if participant.is_hidden else 1
    participant.tell(join=join_response)
    room.add(participant)
    log.info("%s has joined %s as %s (%s %s, protocol %d%s)", participant.identity, room.name, participant.sid,
             SDKS.get(request.client_info.sdk, "unknown"), request.client_info.version[:20],
             request.client_info.protocol, "" if is_single else ", two connections")
    for track in list(room.tracks()):
        participant.subscriptions.consider(track)
    bridge.watch_token(participant)
    return participant


def _first_offer(participant: Participant, request: R.JoinRequest) -> None:
    """What came with the request itself: tracks to publish, the first offer; in the older mode we offer."""
    for track in list(request.add_track_requests)[:participant.room.rooms.limits.tracks]:
        requests.add_track(participant, track)
    if request.publisher_offer.sdp:
        participant.negotiation.offered(request.publisher_offer)
    elif not request.reconnect:
        participant.negotiation.begin()


def resume(bridge: Bridge, grants: Grants, request: R.JoinRequest, is_single: bool) -> Participant | None:
    """The participant that goes on with a new WebSocket; None if it is not known (any more)."""
    room: Room | None = bridge.rooms.get(grants.room)
    participant = room.participants.get(grants.identity) if room is not None else None
    if room is None or participant is None or participant.negotiation.is_single != is_single:
        return None
    if request.participant_sid and request.participant_sid != participant.sid:
        return None
    response = R.ReconnectResponse(
        ice_servers=bridge.ice_servers(grants), server_info=server_info(),
        last_message_seq=participant.data.last_sequence)
    if participant.outbox.is_overrun:
        room.remove(participant, Reason.SIGNAL_CLOSE, None)
        return None
    participant.outbox.resume(Message(R.SignalResponse(reconnect=response)))
    people = [participant.info(), *room.others(participant)]
    participant.tell(update=R.ParticipantUpdate(participants=people))
    participant.tell(room_update=R.RoomUpdate(room=room.info()))
    participant.negotiation.resumed()
    return participant


def random_trailer() -> bytes:
    """What the browser takes for the mark of frames that the server made up; only end-to-end encryption looks."""
    return secrets.token_bytes(8)
