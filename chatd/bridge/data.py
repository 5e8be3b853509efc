"""Data messages (chat, RPC, streams …): one DataPacket comes in on a channel and goes out on that of the same label.

The sender's identity and the kind are set here, whatever the packet says. Contents are nobody's business here.

What costs is the way out: measured, 0.13 ms of a core for a small message to one receiver, 0.7 ms for one of 15 KB. So
one sender, and all together, may have so much delivered in a second. Beyond that, what was sent reliably waits (a file
arrives, slowly), and what was not is dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from livekit.protocol import models as M

from chatd.bridge.bucket import Bucket

if TYPE_CHECKING:
    from chatd.bridge.participant import Participant
    from chatd.bridge.room import Room

RELIABLE, LOSSY = "_reliable", "_lossy"
KINDS = {RELIABLE: M.DataPacket.Kind.RELIABLE, LOSSY: M.DataPacket.Kind.LOSSY}
# What only a server says.
NOT_FROM_CLIENTS = ("speaker", "metrics")
MOST_BYTES = 65536
# A delivery costs as much as so many bytes more.
DELIVERY_BYTES = 2600
# What one sender may have waiting.
MOST_WAITING_BYTES = 16 << 20
DRAIN_S = 0.05


class DataIn:
    """What one participant sends. `last_sequence`: of its reliable messages, told to it when it resumes."""

    def __init__(self, participant: Participant) -> None:
        self._participant = participant
        self.last_sequence = 0
        limits, now = participant.room.rooms.limits, participant.room.rooms.now()
        self._delivered = Bucket(limits.data_bytes_per_second, limits.data_burst_bytes, now)
        self._messages = Bucket(limits.data_messages_per_second, limits.data_message_burst, now)
        # Who goes on beyond the limit costs even when all of it is dropped.
        self._excess = Bucket(limits.data_messages_per_second, 5 * limits.data_message_burst, now)
        self._waiting: deque[tuple[M.DataPacket, str, int]] = deque()
        self._waiting_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def received(self, label: str, data: bytes) -> None:
        """A message of a channel. What cannot or must not go on is dropped and counted."""
        participant = self._participant
        rooms = participant.room.rooms
        if participant.is_closed:
            return
        now = rooms.now()
        if not self._messages.take(1, now):
            rooms.count("data rate")
            if not self._excess.take(1, now):
                participant.refused("too many data messages", M.DisconnectReason.PARTICIPANT_REMOVED)
            return
        if label not in KINDS:
            rooms.count("data channel")
            return
        if not participant.permission.can_publish_data:
            rooms.count("data not allowed")
            return
        packet = M.DataPacket()
        try:
            if len(data) > MOST_BYTES:
                raise DecodeError
            packet.ParseFromString(data)
        except DecodeError:
            rooms.count("data message")
            return
        if packet.WhichOneof("value") in NOT_FROM_CLIENTS:
            rooms.count("data kind")
            return
        if label == RELIABLE and packet.sequence:
            # After a resume the client sends again what it is not sure of.
            if packet.sequence <= self.last_sequence:
                return
            self.last_sequence = packet.sequence
        sid, identity = ("", "") if participant.is_hidden else (participant.sid, participant.identity)
        packet.participant_sid, packet.participant_identity = sid, identity
        if packet.HasField("user"):
            packet.user.participant_sid, packet.user.participant_identity = sid, identity
        self._pass_on(packet, label, len(data), now)

    def _pass_on(self, packet: M.DataPacket, label: str, size: int, now: float) -> None:
        if not self._waiting and self._may_deliver(now):
            self._deliver(packet, label, now)
        elif label == RELIABLE and self._waiting_bytes + size <= MOST_WAITING_BYTES:
            self._waiting.append((packet, label, size))
            self._waiting_bytes += size
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(DRAIN_S, self._drain)
        else:
            self._participant.room.rooms.count("data rate")

    def _may_deliver(self, now: float) -> bool:
        return self._delivered.has_any(now) and self._participant.room.rooms.delivered.has_any(now)

    def _deliver(self, packet: M.DataPacket, label: str, now: float) -> None:
        cost = send(self._participant.room, packet, label, self._participant)
        self._delivered.spend(cost, now)
        self._participant.room.rooms.delivered.spend(cost, now)

    def _drain(self) -> None:
        self._timer = None
        participant = self._participant
        now = participant.room.rooms.now()
        while self._waiting and not participant.is_closed and self._may_deliver(now):
            packet, label, size = self._waiting.popleft()
            self._waiting_bytes -= size
            self._deliver(packet, label, now)
        if self._waiting and not participant.is_closed:
            self._timer = asyncio.get_running_loop().call_later(DRAIN_S, self._drain)

    def close(self) -> None:
        """The sender has left; what waits goes with it."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def send(room: Room, packet: M.DataPacket, label: str, sender: Participant | None = None) -> int:
    """Send a packet to those it names, or to everybody but its sender; from the server API `sender` is None. Gives
    what that cost, in bytes.
    """
    packet.kind = KINDS[label]
    identities = set(packet.destination_identities)
    sids: set[str] = set()
    if packet.HasField("user"):
        identities |= set(packet.user.destination_identities)
        sids = set(packet.user.destination_sids)
    data = packet.SerializeToString()
    cost = 0
    for participant in _receivers(room, identities, sids):
        if participant is sender:
            continue
        cost += len(data) + DELIVERY_BYTES
        if not participant.negotiation.send_data(label, data):
            room.rooms.count("data not delivered")
    return cost


def _receivers(room: Room, identities: set[str], sids: set[str]) -> Iterable[Participant]:
    people = list(room.participants.values())
    if not identities and not sids:
        return people
    return [p for p in people if p.identity in identities or p.sid in sids]
