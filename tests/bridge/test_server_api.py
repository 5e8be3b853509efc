"""RoomService of a running bridge, driven by the `livekit-api` package, with Python SDK participants in the rooms."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from livekit import api
from livekit.protocol import models as M

from tests.bridge.clients.bridge_process import KEY, SECRET, until


def call(bridge: Any, name: str, request: Any, secret: str = SECRET) -> Any:
    """One method of livekit-api's RoomService, which makes tokens with just the grants it needs."""
    async def run() -> Any:
        async with api.LiveKitAPI(bridge.http_url, KEY, secret) as server:
            return await getattr(server.room, name)(request)

    return asyncio.run(run())


def fails(bridge: Any, name: str, request: Any, code: str, **more: Any) -> None:
    with pytest.raises(api.TwirpError) as caught:
        call(bridge, name, request, **more)
    assert caught.value.code == code, caught.value


def raw(bridge: Any, method: str, request: Any, video: api.VideoGrants | None) -> tuple[int, bytes]:
    """The same with grants of one's own; None: without a token."""
    import aiohttp

    async def run() -> tuple[int, bytes]:
        headers = {"Content-Type": "application/protobuf"}
        if video is not None:
            token = api.AccessToken(KEY, SECRET).with_identity("api").with_grants(video)
            headers["Authorization"] = "Bearer " + token.to_jwt()
        async with aiohttp.ClientSession() as session:
            url = f"{bridge.http_url}/twirp/livekit.RoomService/{method}"
            async with session.post(url, data=request.SerializeToString(), headers=headers) as response:
                return response.status, await response.read()

    return asyncio.run(run())


def names(bridge: Any) -> list[str]:
    return [room.name for room in call(bridge, "list_rooms", api.ListRoomsRequest()).rooms]


def test_rooms(bridge: Any) -> None:
    made = call(bridge, "create_room", api.CreateRoomRequest(
        name="one", empty_timeout=600, departure_timeout=30, max_participants=7, metadata="m"))
    assert (made.name, made.empty_timeout, made.departure_timeout, made.max_participants, made.metadata) == (
        "one", 600, 30, 7, "m")
    assert made.sid.startswith("RM_") and made.creation_time and made.enabled_codecs
    again = call(bridge, "create_room", api.CreateRoomRequest(name="one", max_participants=8, metadata="other"))
    assert (again.sid, again.max_participants, again.empty_timeout, again.metadata) == (made.sid, 7, 600, "m")
    call(bridge, "create_room", api.CreateRoomRequest(name="two"))
    assert {"one", "two"} <= set(names(bridge))
    some = call(bridge, "list_rooms", api.ListRoomsRequest(names=["two", "none"]))
    assert [room.name for room in some.rooms] == ["two"]
    changed = call(bridge, "update_room_metadata", api.UpdateRoomMetadataRequest(room="one", metadata="n"))
    assert changed.metadata == "n"
    for name in ("one", "two"):
        call(bridge, "delete_room", api.DeleteRoomRequest(room=name))
        assert name not in names(bridge)
        fails(bridge, "delete_room", api.DeleteRoomRequest(room=name), "not_found")


def test_an_empty_room_ends(bridge: Any) -> None:
    call(bridge, "create_room", api.CreateRoomRequest(name="brief", empty_timeout=1))
    assert "brief" in names(bridge)
    until(lambda: "brief" not in names(bridge), what="the room is gone")


@pytest.mark.parametrize(("method", "request_", "code"), [
    ("create_room", api.CreateRoomRequest(), "invalid_argument"),
    ("create_room", api.CreateRoomRequest(name="x" * 300), "resource_exhausted"),
    ("create_room", api.CreateRoomRequest(name="x", metadata="x" * 70000), "invalid_argument"),
    ("create_room", api.CreateRoomRequest(name="x", egress=api.RoomEgress()), "unimplemented"),
    ("update_room_metadata", api.UpdateRoomMetadataRequest(room="none"), "not_found"),
    ("get_participant", api.RoomParticipantIdentity(room="none", identity="a"), "not_found"),
    ("remove_participant", api.RoomParticipantIdentity(room="none", identity="a"), "not_found"),
    ("mute_published_track", api.MuteRoomTrackRequest(room="none", identity="a", muted=True), "not_found"),
    ("update_participant", api.UpdateParticipantRequest(room="none", identity="a"), "not_found"),
    ("update_subscriptions", api.UpdateSubscriptionsRequest(room="none", identity="a"), "not_found"),
    ("send_data", api.SendDataRequest(room="none", data=b"x"), "not_found"),
    ("forward_participant", api.ForwardParticipantRequest(room="a", identity="a", destination_room="b"),
     "unimplemented"),
    ("move_participant", api.MoveParticipantRequest(room="a", identity="a", destination_room="b"), "unimplemented"),
])
def test_refused(bridge: Any, method: str, request_: Any, code: str) -> None:
    fails(bridge, method, request_, code)
    fails(bridge, method, request_, "unauthenticated", secret="wrong" * 10)


def test_grants(bridge: Any) -> None:
    """Every method with no token, with the grants of others, and with roomAdmin of another room."""
    call(bridge, "create_room", api.CreateRoomRequest(name="guarded"))
    who: dict[str, Any] = {"room": "guarded", "identity": "ann"}
    everything: list[tuple[str, Any, dict[str, Any]]] = [
        ("CreateRoom", api.CreateRoomRequest(name="new"), {"room_create": True}),
        ("DeleteRoom", api.DeleteRoomRequest(room="guarded"), {"room_create": True}),
        ("ListRooms", api.ListRoomsRequest(), {"room_list": True}),
        ("UpdateRoomMetadata", api.UpdateRoomMetadataRequest(room="guarded"), {"room_admin": True}),
        ("SendData", api.SendDataRequest(room="guarded"), {"room_admin": True}),
        ("ListParticipants", api.ListParticipantsRequest(room="guarded"), {"room_admin": True}),
        ("GetParticipant", api.RoomParticipantIdentity(**who), {"room_admin": True}),
        ("RemoveParticipant", api.RoomParticipantIdentity(**who), {"room_admin": True}),
        ("MutePublishedTrack", api.MuteRoomTrackRequest(**who), {"room_admin": True}),
        ("UpdateParticipant", api.UpdateParticipantRequest(**who), {"room_admin": True}),
        ("UpdateSubscriptions", api.UpdateSubscriptionsRequest(**who), {"room_admin": True}),
    ]
    all_grants = {"room_create", "room_list", "room_admin", "room_join", "room_record", "ingress_admin"}
    for method, request, needed in everything:
        others: dict[str, Any] = dict.fromkeys(all_grants - set(needed), True)
        for grants in (None, api.VideoGrants(), api.VideoGrants(**others, room="guarded")):
            status, body = raw(bridge, method, request, grants)
            assert status == 401 and b'"unauthenticated"' in body, (method, grants)
        if "room_admin" in needed:
            for room in ("other", ""):
                assert raw(bridge, method, request, api.VideoGrants(room_admin=True, room=room))[0] == 401
    assert "guarded" in names(bridge) and "new" not in names(bridge)
    call(bridge, "delete_room", api.DeleteRoomRequest(room="guarded"))


def test_participants(people: Any) -> None:
    bridge, room = people.bridge, people.room
    ann = people.sdk("ann")
    people.sdk("ben", hidden=True)
    sid = ann.publish("microphone")

    def listed() -> dict[str, Any]:
        answer = call(bridge, "list_participants", api.ListParticipantsRequest(room=room))
        return {participant.identity: participant for participant in answer.participants}

    until(lambda: all(p.state == M.ParticipantInfo.State.ACTIVE for p in listed().values()))
    people_in = listed()
    assert set(people_in) == {"ann", "ben"} and people_in["ben"].permission.hidden
    one = call(bridge, "get_participant", api.RoomParticipantIdentity(room=room, identity="ann"))
    assert [track.sid for track in one.tracks] == [sid] and one.is_publisher
    fails(bridge, "get_participant", api.RoomParticipantIdentity(room=room, identity="cat"), "not_found")

    updated = call(bridge, "update_participant", api.UpdateParticipantRequest(
        room=room, identity="ann", name="Anna", metadata="meta", attributes={"hand": "up", "a": "b"}))
    assert (updated.name, updated.metadata, dict(updated.attributes)) == ("Anna", "meta", {"hand": "up", "a": "b"})
    ann.wait("participant_attributes_changed")
    updated = call(bridge, "update_participant", api.UpdateParticipantRequest(
        room=room, identity="ann", attributes={"a": ""}))
    assert (updated.name, updated.metadata, dict(updated.attributes)) == ("Anna", "meta", {"hand": "up"})
    too_much = {f"k{n}": "v" * 1000 for n in range(70)}
    for change in ({"metadata": "x" * 70000}, {"name": "x" * 300}, {"attributes": too_much}):
        fails(bridge, "update_participant", api.UpdateParticipantRequest(room=room, identity="ann", **change),
              "invalid_argument")

    call(bridge, "remove_participant", api.RoomParticipantIdentity(room=room, identity="ann"))
    ann.wait("disconnected")
    assert set(listed()) == {"ben"}


def test_permissions_are_taken_away(people: Any) -> None:
    ann, ben = people.sdk("ann"), people.sdk("ben")
    sid = ann.publish("microphone")
    ben.wait("track_subscribed", sid)
    call(people.bridge, "update_participant", api.UpdateParticipantRequest(
        room=people.room, identity="ann", permission=M.ParticipantPermission(can_subscribe=True)))
    ben.wait("track_unpublished", sid)
    ann.wait("participant_permissions_changed")


def test_mute(people: Any) -> None:
    ann, ben = people.sdk("ann"), people.sdk("ben")
    sid = ann.publish("microphone")
    ben.wait("track_subscribed", sid)
    ask: Callable[..., Any] = lambda **more: api.MuteRoomTrackRequest(  # noqa: E731
        room=people.room, identity="ann", **more)
    muted = call(people.bridge, "mute_published_track", ask(track_sid=sid, muted=True))
    assert muted.track.sid == sid and muted.track.muted
    ben.wait("track_muted")
    ann.wait("track_muted")
    fails(people.bridge, "mute_published_track", ask(track_sid=sid), "failed_precondition")
    none = call(people.bridge, "mute_published_track", ask(track_sid="TR_none", muted=True))
    assert not none.HasField("track"), "as LiveKit: no error, and no track"


def test_subscriptions(people: Any) -> None:
    ann, ben = people.sdk("ann"), people.sdk("ben", auto_subscribe=False)
    sid = ann.publish("microphone")
    ben.wait("track_published", sid)
    who: dict[str, Any] = {"room": people.room, "identity": "ben"}
    call(people.bridge, "update_subscriptions", api.UpdateSubscriptionsRequest(
        **who, participant_tracks=[M.ParticipantTracks(participant_sid="PA_any", track_sids=[sid])], subscribe=True))
    ben.wait("track_subscribed", sid)
    ben.until_seen("ann/microphone", 20)
    call(people.bridge, "update_subscriptions", api.UpdateSubscriptionsRequest(
        **who, track_sids=[sid], subscribe=False))
    # The SDK makes no event of it: sound stops.
    def heard() -> int:
        return int(ben.frames()["ann/microphone"]["frames"])

    def is_silent() -> bool:
        before = heard()
        time.sleep(0.5)
        return heard() - before < 5

    until(is_silent, what="nothing is heard")
    fails(people.bridge, "update_subscriptions", api.UpdateSubscriptionsRequest(
        **who, track_sids=["TR_%d" % n for n in range(1000)], subscribe=True), "invalid_argument")


def test_data(people: Any) -> None:
    ann, ben = people.sdk("ann"), people.sdk("ben")

    def send(text: str, **more: Any) -> None:
        call(people.bridge, "send_data", api.SendDataRequest(
            room=people.room, data=text.encode(), **{"kind": M.DataPacket.Kind.RELIABLE, **more}))

    # Channels open a moment after joining.
    def is_greeted() -> bool:
        send("hello", topic="greeting")
        return any(event.get("text") == "hello" for event in ann.events)

    until(is_greeted, what="data")
    ben.wait_for(lambda e: e["event"] == "data" and e["text"] == "hello" and e["topic"] == "greeting")
    send("for ben", destination_identities=["ben"])
    send("for all", kind=M.DataPacket.Kind.LOSSY)
    for one in (ann, ben):
        one.wait_for(lambda e: e["event"] == "data" and e["text"] == "for all" and e["sender"] is None)
    assert any(e.get("text") == "for ben" for e in ben.events)
    assert not any(e.get("text") == "for ben" for e in ann.events)
    # livekit-api makes nonces itself.
    for bad in (api.SendDataRequest(room=people.room, data=b"x", nonce=b"short"),
                api.SendDataRequest(room=people.room, data=b"x" * 70000)):
        status, body = raw(people.bridge, "SendData", bad, api.VideoGrants(room_admin=True, room=people.room))
        assert status == 400 and b"invalid_argument" in body
