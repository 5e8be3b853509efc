"""LiveKit's RoomService: rooms and their participants, for whoever holds a token with the grants for it.

roomCreate: CreateRoom, DeleteRoom. roomList: ListRooms. roomAdmin of the room: everything else. Hidden participants
are seen here. Not available, and answered so: ForwardParticipant, MoveParticipant, PerformRpc; of CreateRoom: egress.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from livekit.protocol import models as M
from livekit.protocol import room as API

from chatd.bridge import data
from chatd.bridge.rooms import LimitExceeded
from chatd.bridge.twirp import Grants, TwirpError, denied

if TYPE_CHECKING:
    from chatd.bridge.participant import Participant
    from chatd.bridge.room import Room
    from chatd.bridge.rooms import Rooms

DESCRIPTOR = API.DESCRIPTOR.services_by_name["RoomService"]
MOST_NAME = 256


class RoomService:
    """The methods, for `Twirp.add(DESCRIPTOR, RoomService(rooms))`. Each raises TwirpError."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    # -- rooms

    def create_room(self, request: API.CreateRoomRequest, grants: Grants | None) -> M.Room:
        """Make a room before anybody comes. As with LiveKit, one that there is stays as it is, and is given."""
        if grants is None or not grants.may_create:
            raise denied()
        if not request.name:
            raise TwirpError("invalid_argument", "no room name")
        if request.HasField("egress"):
            raise TwirpError("unimplemented", "rooms that record themselves are not available: start an egress")
        self._check_metadata(request.metadata)
        try:
            return self._rooms.create(
                request.name, empty_timeout_s=request.empty_timeout, metadata=request.metadata,
                departure_timeout_s=request.departure_timeout, max_participants=request.max_participants).info()
        except LimitExceeded as error:
            raise TwirpError("resource_exhausted", str(error)) from None

    def list_rooms(self, request: API.ListRoomsRequest, grants: Grants | None) -> API.ListRoomsResponse:
        """All rooms, or those of the given names that exist."""
        if grants is None or not grants.may_list:
            raise denied()
        names = set(request.names)
        return API.ListRoomsResponse(rooms=[room.info() for room in self._rooms if not names or room.name in names])

    def delete_room(self, request: API.DeleteRoomRequest, grants: Grants | None) -> API.DeleteRoomResponse:
        """End a room with everybody in it."""
        if grants is None or not grants.may_create:
            raise denied()
        if not self._rooms.delete(request.room):
            raise _no_room()
        return API.DeleteRoomResponse()

    def update_room_metadata(self, request: API.UpdateRoomMetadataRequest, grants: Grants | None) -> M.Room:
        """Everybody in the room is told."""
        room = self._room(request.room, grants)
        self._check_metadata(request.metadata)
        room.set_metadata(request.metadata)
        return room.info()

    def send_data(self, request: API.SendDataRequest, grants: Grants | None) -> API.SendDataResponse:
        """A data message to everybody, or to those named; without a sender."""
        room = self._room(request.room, grants)
        if len(request.nonce) not in (0, 16):
            raise TwirpError("invalid_argument", "nonce has 16 bytes, if there is one")
        if len(request.data) > data.MOST_BYTES:
            raise TwirpError("invalid_argument", "data has at most %d bytes" % data.MOST_BYTES)
        user = M.UserPacket(
            payload=request.data, destination_sids=request.destination_sids, nonce=request.nonce,
            destination_identities=request.destination_identities)
        if request.HasField("topic"):
            user.topic = request.topic
        packet = M.DataPacket(user=user, destination_identities=request.destination_identities)
        is_lossy = request.kind == M.DataPacket.Kind.LOSSY
        data.send(room, packet, data.LOSSY if is_lossy else data.RELIABLE)
        return API.SendDataResponse()

    # -- participants

    def list_participants(self, request: API.ListParticipantsRequest,
                          grants: Grants | None) -> API.ListParticipantsResponse:
        """Those in a room; nobody is in a room that does not exist."""
        if grants is None or not grants.may_administer(request.room):
            raise denied()
        room = self._rooms.get(request.room)
        people = list(room.participants.values()) if room is not None else []
        return API.ListParticipantsResponse(participants=[participant.info() for participant in people])

    def get_participant(self, request: API.RoomParticipantIdentity, grants: Grants | None) -> M.ParticipantInfo:
        """One of them."""
        return self._participant(request.room, request.identity, grants).info()

    def remove_participant(self, request: API.RoomParticipantIdentity,
                           grants: Grants | None) -> API.RemoveParticipantResponse:
        """Send one away. Its token stays good: who must not come back must not be given another, and this one ends."""
        participant = self._participant(request.room, request.identity, grants)
        participant.room.remove(participant, M.DisconnectReason.PARTICIPANT_REMOVED)
        return API.RemoveParticipantResponse()

    def mute_published_track(self, request: API.MuteRoomTrackRequest,
                             grants: Grants | None) -> API.MuteRoomTrackResponse:
        """Mute a track. People are not unmuted from afar: as with LiveKit's default, that is refused. Without such a
        track the answer has none, as LiveKit's.
        """
        participant = self._participant(request.room, request.identity, grants)
        if not request.muted:
            raise TwirpError("failed_precondition", "remote unmute not enabled")
        return API.MuteRoomTrackResponse(track=participant.mute(request.track_sid, True))

    def update_participant(self, request: API.UpdateParticipantRequest, grants: Grants | None) -> M.ParticipantInfo:
        """Change what is given: "" means unchanged, an attribute with an empty value goes."""
        participant = self._participant(request.room, request.identity, grants)
        if len(request.name) > MOST_NAME:
            raise TwirpError("invalid_argument", "name length exceeds limits: %d" % MOST_NAME)
        self._check_metadata(request.metadata)
        self._check_attributes(participant, request.attributes)
        participant.update(
            name=request.name or None, metadata=request.metadata or None, attributes=request.attributes or None,
            permission=_copy(request.permission) if request.HasField("permission") else None)
        return participant.info()

    def update_subscriptions(self, request: API.UpdateSubscriptionsRequest,
                             grants: Grants | None) -> API.UpdateSubscriptionsResponse:
        """Subscribe one participant to tracks, or end that."""
        participant = self._participant(request.room, request.identity, grants)
        sids = [*request.track_sids, *(sid for tracks in request.participant_tracks for sid in tracks.track_sids)]
        limit = self._rooms.limits.subscriptions
        if len(sids) > limit:
            raise TwirpError("invalid_argument", "at most %d tracks at once" % limit)
        participant.subscribe(sids, request.subscribe)
        return API.UpdateSubscriptionsResponse()

    # -- checks

    def _room(self, name: str, grants: Grants | None) -> Room:
        if grants is None or not grants.may_administer(name):
            raise denied()
        room = self._rooms.get(name)
        if room is None:
            raise _no_room()
        return room

    def _participant(self, room: str, identity: str, grants: Grants | None) -> Participant:
        found = self._room(room, grants).participants.get(identity)
        if found is None:
            raise TwirpError("not_found", "participant does not exist")
        return found

    def _check_metadata(self, metadata: str) -> None:
        limit = self._rooms.limits.metadata_bytes
        if len(metadata.encode()) > limit:
            raise TwirpError("invalid_argument", "metadata size exceeds limits: %d" % limit)

    def _check_attributes(self, participant: Participant, changes: Mapping[str, str]) -> None:
        """All of them together, as they will be."""
        limit = self._rooms.limits.metadata_bytes
        size = sum(len(key.encode()) + len(value.encode())
                   for key, value in {**participant.attributes, **changes}.items())
        if changes and size > limit:
            raise TwirpError("invalid_argument", "attribute size exceeds limits: %d" % limit)


def _no_room() -> TwirpError:
    return TwirpError("not_found", "requested room does not exist")


def _copy(permission: M.ParticipantPermission) -> M.ParticipantPermission:
    """The request's message must not stay alive for one field of it."""
    found = M.ParticipantPermission()
    found.CopyFrom(permission)
    return found
