"""IMediaEngine over LiveKit's server API.

Where a room is, the `sites` say: one address for a LiveKit server, that of the right process for the bridge. What is
asked of no room in particular is asked of all sites and put together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol, TypeVar

import attrs
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from livekit.protocol import egress, models
from livekit.protocol import room as rooms
from twisted.internet.defer import Deferred, ensureDeferred, fail
from twisted.logger import Logger
from zope.interface import implementer

from chatd.core.media import (
    Grants,
    MediaError,
    MediaEvent,
    MediaParticipant,
    MediaRoom,
    MediaTrack,
    Recording,
)
from chatd.interfaces import IMediaEngine
from chatd.meet.engine.tokens import AccessKey
from chatd.meet.engine.twirp import Refused, Twirp
from chatd.meet.engine.values import participant_of, permission_of, recording_of, room_of, track_of

__all__ = ["Engine", "OneServer", "Sites"]

log = Logger()
EGRESS_S: Final = 30.0
"""LiveKit starts a recording in a service of its own, which may be slow; one given up too early would run on unseen."""
Answer = TypeVar("Answer", bound=Message)


class Sites(Protocol):
    """Where rooms are."""

    def server(self, room: str) -> str:
        """Return the http(s) address of the server that has, or will have, a room. Raises MediaError unavailable."""

    def servers(self) -> list[str]:
        """Return the addresses of all servers that answer now. Raises MediaError unavailable where none does."""


@attrs.frozen
class OneServer:
    """A LiveKit server or cluster: every room is behind one address. url: as clients have it (wss://…)."""

    url: str

    def server(self, room: str) -> str:
        """See Sites."""
        return "http" + self.url.removeprefix("ws")

    def servers(self) -> list[str]:
        """See Sites."""
        return [self.server("")]


@implementer(IMediaEngine)
class Engine:
    """See IMediaEngine. now: gives seconds since 1970."""

    def __init__(
        self, name: str, url: str, key: AccessKey, sites: Sites, reactor: Any, now: Callable[[], float]
    ) -> None:
        self.name = name
        self.url = url
        self.key = key
        self._sites = sites
        self._now = now
        self._twirp = Twirp(reactor)
        self._listeners: list[Callable[[MediaEvent], object]] = []

    # -- tokens
    def access_token(
        self, identity: str, room: str, grants: Grants, name: str = "", metadata: str = "",
        attributes: Mapping[str, str] | None = None, ttl_s: float = 600.0,
    ) -> str:
        """See IMediaEngine."""
        return self.key.access_token(
            identity, room, grants, self._now(), ttl_s, name=name, metadata=metadata, attributes=attributes
        )

    # -- rooms
    def create_room(
        self, name: str, metadata: str = "", max_participants: int = 0, empty_timeout_s: int = 0,
        departure_timeout_s: int = 0,
    ) -> Deferred[MediaRoom]:
        """See IMediaEngine."""
        request = rooms.CreateRoomRequest(
            name=name, metadata=metadata, max_participants=max_participants, empty_timeout=empty_timeout_s,
            departure_timeout=departure_timeout_s,
        )
        return self._ask(name, "RoomService/CreateRoom", request, models.Room, roomCreate=True).addCallback(room_of)

    def delete_room(self, name: str) -> Deferred[bool]:
        """See IMediaEngine."""
        request = rooms.DeleteRoomRequest(room=name)
        return _found(self._room(name, "DeleteRoom", request, rooms.DeleteRoomResponse, roomCreate=True))

    def list_rooms(self, names: Iterable[str] = ()) -> Deferred[list[MediaRoom]]:
        """See IMediaEngine."""
        return ensureDeferred(self._list_rooms(list(names)))

    async def _list_rooms(self, names: list[str]) -> list[MediaRoom]:
        request = rooms.ListRoomsRequest(names=names)
        answers = await self._all("RoomService/ListRooms", request, rooms.ListRoomsResponse, roomList=True)
        return [room_of(found) for answer in answers for found in answer.rooms]

    def update_room_metadata(self, name: str, metadata: str) -> Deferred[MediaRoom]:
        """See IMediaEngine."""
        request = rooms.UpdateRoomMetadataRequest(room=name, metadata=metadata)
        return self._room(name, "UpdateRoomMetadata", request, models.Room).addCallback(room_of)

    # -- participants
    def list_participants(self, room: str) -> Deferred[list[MediaParticipant]]:
        """See IMediaEngine."""
        request = rooms.ListParticipantsRequest(room=room)
        answer = self._room(room, "ListParticipants", request, rooms.ListParticipantsResponse)
        answer.addCallback(lambda found: [participant_of(participant) for participant in found.participants])
        return answer.addErrback(_unless_not_found, [])

    def get_participant(self, room: str, identity: str) -> Deferred[MediaParticipant | None]:
        """See IMediaEngine."""
        request = rooms.RoomParticipantIdentity(room=room, identity=identity)
        answer = self._room(room, "GetParticipant", request, models.ParticipantInfo)
        return answer.addCallback(participant_of).addErrback(_unless_not_found, None)

    def remove_participant(self, room: str, identity: str) -> Deferred[bool]:
        """See IMediaEngine."""
        request = rooms.RoomParticipantIdentity(room=room, identity=identity)
        return _found(self._participant(room, identity, "RemoveParticipant", request, rooms.RemoveParticipantResponse))

    def mute_track(self, room: str, identity: str, track_sid: str, muted: bool = True) -> Deferred[MediaTrack]:
        """See IMediaEngine."""
        request = rooms.MuteRoomTrackRequest(room=room, identity=identity, track_sid=track_sid, muted=muted)
        answer = self._participant(room, identity, "MutePublishedTrack", request, rooms.MuteRoomTrackResponse)
        return answer.addCallback(_muted)

    def update_participant(
        self, room: str, identity: str, name: str | None = None, metadata: str | None = None,
        attributes: Mapping[str, str] | None = None, grants: Grants | None = None,
    ) -> Deferred[MediaParticipant]:
        """See IMediaEngine."""
        request = rooms.UpdateParticipantRequest(
            room=room, identity=identity, name=name or "", metadata=metadata or "", attributes=dict(attributes or {}),
            permission=None if grants is None else permission_of(grants),
        )
        answer = self._participant(room, identity, "UpdateParticipant", request, models.ParticipantInfo)
        return answer.addCallback(participant_of)

    def update_subscriptions(
        self, room: str, identity: str, track_sids: Iterable[str], subscribe: bool
    ) -> Deferred[None]:
        """See IMediaEngine."""
        request = rooms.UpdateSubscriptionsRequest(
            room=room, identity=identity, track_sids=list(track_sids), subscribe=subscribe
        )
        answer = self._participant(room, identity, "UpdateSubscriptions", request, rooms.UpdateSubscriptionsResponse)
        return answer.addCallback(_nothing)

    def send_data(
        self, room: str, data: bytes, topic: str = "", to: Iterable[str] = (), is_reliable: bool = True
    ) -> Deferred[None]:
        """See IMediaEngine."""
        kind = models.DataPacket.RELIABLE if is_reliable else models.DataPacket.LOSSY
        request = rooms.SendDataRequest(room=room, data=data, kind=kind, destination_identities=list(to))
        if topic:
            request.topic = topic
        return self._room(room, "SendData", request, rooms.SendDataResponse).addCallback(_nothing)

    def list_flows(self, room: str) -> Deferred[list[dict[str, Any]]]:
        """See IMediaEngine."""
        if self.name != "embedded":
            return fail(MediaError("unimplemented", "a LiveKit server does not tell how media flow"))
        request = rooms.ListParticipantsRequest(room=room)
        answer = self._ask(room, "chatd.Media/ListFlows", request, Struct, roomAdmin=True, room=room)
        return answer.addCallback(lambda found: json_format.MessageToDict(found)["tracks"])

    # -- recordings
    def start_room_recording(
        self, room: str, path: str, layout: str = "grid", is_audio_only: bool = False
    ) -> Deferred[Recording]:
        """See IMediaEngine."""
        request = egress.RoomCompositeEgressRequest(
            room_name=room, layout=layout, audio_only=is_audio_only,
            file_outputs=[egress.EncodedFileOutput(filepath=path)],
        )
        return self._record(room, "StartRoomCompositeEgress", request)

    def start_track_recording(self, room: str, track_sid: str, path: str) -> Deferred[Recording]:
        """See IMediaEngine."""
        request = egress.TrackEgressRequest(
            room_name=room, track_id=track_sid, file=egress.DirectFileOutput(filepath=path)
        )
        return self._record(room, "StartTrackEgress", request)

    def _record(self, room: str, method: str, request: Message) -> Deferred[Recording]:
        answer = self._ask(room, f"Egress/{method}", request, egress.EgressInfo, roomRecord=True)
        return answer.addCallback(recording_of)

    def stop_recording(self, id: str) -> Deferred[Recording]:
        """See IMediaEngine."""
        return ensureDeferred(self._stop_recording(id))

    async def _stop_recording(self, id: str) -> Recording:
        request = egress.StopEgressRequest(egress_id=id)
        refused = MediaError("not_found", "there is no such recording")
        for server in self._sites.servers():
            try:
                return recording_of(
                    await self._call(server, "Egress/StopEgress", request, egress.EgressInfo, roomRecord=True)
                )
            except MediaError as error:
                if error.code != "not_found":
                    refused = error
        raise refused

    def list_recordings(self, room: str = "", is_active: bool = False) -> Deferred[list[Recording]]:
        """See IMediaEngine."""
        return ensureDeferred(self._list_recordings(room, is_active))

    async def _list_recordings(self, room: str, is_active: bool) -> list[Recording]:
        request = egress.ListEgressRequest(room_name=room, active=is_active)
        answers = await self._all("Egress/ListEgress", request, egress.ListEgressResponse, roomRecord=True)
        return [recording_of(info) for answer in answers for info in answer.items]

    # -- events
    def listen(self, callback: Callable[[MediaEvent], object]) -> Callable[[], None]:
        """See IMediaEngine."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback) if callback in self._listeners else None

    def tell(self, event: MediaEvent) -> None:
        """Pass an event on; a listener that fails does not keep the others from it."""
        for callback in list(self._listeners):
            try:
                callback(event)
            except Exception:
                log.failure("a listener failed on {kind}", kind=event.kind)

    def close(self) -> Deferred[None]:
        """Let go of the connections."""
        return self._twirp.close()

    # -- asking
    def _room(
        self, name: str, method: str, request: Message, kind: type[Answer], **grants: Any
    ) -> Deferred[Answer]:
        """Ask RoomService about a room that there should be; without other grants as its admin."""
        async def ask() -> Answer:
            try:
                return await self._ask(
                    name, f"RoomService/{method}", request, kind, **(grants or {"roomAdmin": True, "room": name}))
            except Refused as error:
                # LiveKit's servers ask among themselves whose it is: nobody's is "unavailable", after some seconds.
                if error.code != "unavailable" or await self.list_rooms([name]):
                    raise
            raise MediaError("not_found", "requested room does not exist")

        return ensureDeferred(ask())

    def _participant(
        self, room: str, identity: str, method: str, request: Message, kind: type[Answer]
    ) -> Deferred[Answer]:
        """Ask RoomService about a participant, as the room's admin."""
        async def ask() -> Answer:
            try:
                return await self._room(room, method, request, kind)
            except Refused as error:
                if error.code != "unavailable" or await self.get_participant(room, identity) is not None:
                    raise
            raise MediaError("not_found", "participant does not exist")

        return ensureDeferred(ask())

    def _ask(self, name: str, method: str, request: Message, kind: type[Answer], **grants: Any) -> Deferred[Answer]:
        async def ask() -> Answer:
            return await self._call(self._sites.server(name), method, request, kind, **grants)

        return ensureDeferred(ask())

    async def _all(self, method: str, request: Message, kind: type[Answer], **grants: Any) -> list[Answer]:
        """Ask every site; one that cannot be asked has no rooms either, unless it is the only one."""
        calls = [self._call(server, method, request, kind, **grants) for server in self._sites.servers()]
        answers: list[Answer] = []
        failed: MediaError | None = None
        for call in calls:
            try:
                answers.append(await call)
            except MediaError as error:
                failed = error
        if failed is not None and (not answers or failed.code != "unavailable"):
            raise failed
        return answers

    def _call(
        self, server: str, method: str, request: Message, kind: type[Answer], **grants: Any
    ) -> Deferred[Answer]:
        token = self.key.service_token(self._now(), **grants)
        timeout_s = EGRESS_S if method.startswith("Egress/") else 0.0
        return self._twirp.call(server, method, request, kind, token, timeout_s)


def _found(answer: Deferred[Any]) -> Deferred[bool]:
    """Return whether there was what should be gone."""
    return answer.addCallback(lambda _: True).addErrback(_unless_not_found, False)


def _unless_not_found(failure: Any, otherwise: Any) -> Any:
    failure.trap(MediaError)
    if failure.value.code != "not_found":
        return failure
    return otherwise


def _muted(answer: rooms.MuteRoomTrackResponse) -> MediaTrack:
    # LiveKit's servers say nothing against a track that is not there.
    if not answer.HasField("track"):
        raise MediaError("not_found", "track is not found")
    return track_of(answer.track)


def _nothing(_: object) -> None:
    pass
