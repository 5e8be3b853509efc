"""Data messages (chat, RPC, streams …): one DataPacket comes in on a channel and goes out on that of the same label.

The sender's identity and the kind are set here, whatever the packet says. Contents are nobody's business here.
"""

from __future__ import annotations

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


class DataIn:
    """What one participant sends. `last_sequence`: of its reliable messages, told to it when it resumes."""

    def __init__(self, participant: Participant) -> None:
        self._participant = participant
        self.last_sequence = 0
        limits, now = participant.room.rooms.limits, participant.room.rooms.now()
        self._bytes = Bucket(limits.data_bytes_per_second, limits.data_burst_bytes, now)
        self._messages = Bucket(limits.data_messages_per_second, limits.data_message_burst, now)

    def received(self, label: str, data: bytes) -> None:
        """A message of a channel. What cannot or must not go on is dropped and counted."""
        participant = self._participant
        room, rooms = participant.room, participant.room.rooms
        if label not in KINDS or participant.is_closed:
            rooms.count("data channel")
            return
        now = rooms.now()
        if not self._messages.take(1, now) or not self._bytes.take(len(data), now):
            rooms.count("data rate")
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
        send(room, packet, label, participant)


def send(room: Room, packet: M.DataPacket, label: str, sender: Participant | None = None) -> None:
    """Send a packet to those it names, or to everybody but its sender; from the server API `sender` is None."""
    packet.kind = KINDS[label]
    identities = set(packet.destination_identities)
    sids: set[str] = set()
    if packet.HasField("user"):
        identities |= set(packet.user.destination_identities)
        sids = set(packet.user.destination_sids)
    data = packet.SerializeToString()
    for participant in _receivers(room, identities, sids):
        if participant is not sender and not participant.negotiation.send_data(label, data):
            room.rooms.count("data not delivered")


def _receivers(room: Room, identities: set[str], sids: set[str]) -> Iterable[Participant]:
    people = list(room.participants.values())
    if not identities and not sids:
        return people
    return [p for p in people if p.identity in identities or p.sid in sids]
