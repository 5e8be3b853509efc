"""Signalling message by message: exact answers, refusals, limits, and what real clients never send."""

from __future__ import annotations

import asyncio
import base64
import functools
import inspect
import json
import time

import jwt
import pytest
from livekit.protocol import models as M
from livekit.protocol import rtc as R

from chatd.bridge import bridge as bridge_module
from chatd.bridge import dynacast, inspection, tokens
from chatd.bridge.forward import HIGH, NONE
from tests.bridge.clients.bridge_process import KEY, SECRET
from tests.bridge.clients.raw_signal import (
    AUDIO,
    VIDEO,
    Raw,
    description,
    join_request,
    own_offer,
    publish,
    running,
    section,
    wrap,
)

Reason = M.DisconnectReason
Refusal = R.RequestResponse.Reason


def scenario(**settings):
    """Run a coroutine with a bridge in this process as its argument."""
    def decorate(test):
        @functools.wraps(test)
        def run(*args, **kwargs):
            async def inner():
                async with running(**settings) as server:
                    await test(*args, server=server, **kwargs)
            asyncio.run(asyncio.wait_for(inner(), 40))
        # What pytest is to give it: all but the server.
        signature = inspect.signature(test)
        run.__signature__ = signature.replace(
            parameters=[value for name, value in signature.parameters.items() if name != "server"])
        return run
    return decorate


# -- joining


@scenario()
async def test_a_join_says_all_that_clients_need(server):
    ann = await server.join("ann", name="Ann", metadata="m", attributes={"a": "b"})
    join = ann.got[0].join
    assert join.room.name == "room" and join.room.sid.startswith("RM_") and join.room.num_participants == 1
    own = join.participant
    assert own.sid.startswith("PA_") and (own.identity, own.name, own.metadata) == ("ann", "Ann", "m")
    assert dict(own.attributes) == {"a": "b"} and own.state == M.ParticipantInfo.State.JOINED and own.version
    assert own.permission.can_publish and own.permission.can_subscribe and own.permission.can_publish_data
    assert (join.ping_interval, join.ping_timeout) == (5, 15)
    assert not join.subscriber_primary and join.server_info.version and join.server_version
    assert {c.mime for c in join.enabled_publish_codecs} == {
        "audio/opus", "video/VP8", "video/VP9", "video/H264", "video/AV1"}
    assert not join.other_participants and not join.ice_servers
    ben = await server.join("ben")
    assert [p.identity for p in ben.got[0].join.other_participants] == ["ann"]
    update = await ann.next("update")
    assert [(p.identity, p.state) for p in update.participants] == [("ben", M.ParticipantInfo.State.JOINED)]


@scenario(turn={"urls": ["turn:192.0.2.9:3478?transport=udp"], "secret": "s" * 20, "ttl_s": 600})
async def test_a_turn_server_is_told_with_credentials_for_a_while(server):
    import base64
    import hashlib
    import hmac

    ann = await server.join("ann")
    [turn] = ann.got[0].join.ice_servers
    expiry, _, name = turn.username.partition(":")
    assert name == "ann" and 500 < int(expiry) - time.time() < 700
    digest = hmac.new(b"s" * 20, turn.username.encode(), hashlib.sha1).digest()
    assert turn.credential == base64.b64encode(digest).decode() and list(turn.urls) == [
        "turn:192.0.2.9:3478?transport=udp"]


@scenario(turn={"urls": ["turn:192.0.2.9:3478?transport=udp"], "secret": "s" * 20, "ttl_s": 600})
async def test_who_can_only_try_the_way_has_the_relay_for_a_minute(server):
    nothing, little = {"can_publish": False, "can_subscribe": False}, {"can_publish": False}
    for grants, least, most in ((nothing, 50, 61), (little, 500, 700)):
        peer = await server.join("ben", **grants)
        [turn] = peer.got[0].join.ice_servers
        assert least < int(turn.username.partition(":")[0]) - time.time() < most


def token(claims, secret=SECRET, **more):
    # Some are made when tests are collected, and used much later.
    return jwt.encode({"iss": KEY, "exp": time.time() + 86_400, **claims, **more}, secret, "HS256")


GOOD = {"sub": "ann", "video": {"roomJoin": True, "room": "room"}}


@pytest.mark.parametrize(("text", "status", "said"), [
    ("", 401, "permissions denied"),
    ("x.y.z", 401, "invalid"),
    (token(GOOD, "another-secret-another-secret-xx"), 401, "signature"),
    (token(GOOD, exp=time.time() - 3600), 401, "expired"),
    (token({**GOOD, "video": {"room": "room"}}), 401, "permissions denied"),
    (token({**GOOD, "video": {"roomJoin": True}}), 400, "room"),
    (token({**GOOD, "sub": ""}), 400, "identity"),
    (token(GOOD, iss="nobody"), 401, "key"),
])
@scenario()
async def test_bad_tokens_are_refused_before_the_upgrade_and_by_validate(text, status, said, server):
    query = {"access_token": text, "join_request": wrap(join_request())}
    for path in ("/rtc/v1", "/rtc", "/rtc/v1/validate", "/rtc/validate"):
        async with server.session.get(server.http_url + path, params=query) as response:
            assert response.status == status and said in await response.text()
            assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert not len(server.bridge.rooms)


@scenario()
async def test_a_good_request_is_valid_and_makes_nothing(server):
    query = {"access_token": server.token("ann"), "join_request": wrap(join_request())}
    async with server.session.get(server.http_url + "/rtc/v1/validate", params=query) as response:
        assert (response.status, await response.text()) == (200, "success")
    async with server.session.get(server.http_url + "/rtc/v1", params=query) as response:
        assert response.status == 400, "no WebSocket"
    assert not len(server.bridge.rooms)


BOMB = wrap(R.JoinRequest(metadata="x" * (2 << 20)))


@pytest.mark.parametrize("text", [
    "", "!", "AAAA", "A" * 5, BOMB, wrap(join_request())[:-9],
    base64.b64encode(R.WrappedJoinRequest(
        compression=R.WrappedJoinRequest.Compression.GZIP, join_request=b"not gzip").SerializeToString()).decode(),
])
@scenario()
async def test_join_requests_that_cannot_be_read(text, server):
    query = {"access_token": server.token("ann"), "join_request": text}
    async with server.session.get(server.http_url + "/rtc/v1/validate", params=query) as response:
        assert response.status == 400, await response.text()
    assert not len(server.bridge.rooms)


@scenario(limits={"rooms": 1, "participants": 2, "connections": 3})
async def test_full(server):
    async def status(identity, room="room"):
        query = {"access_token": server.token(identity, room), "join_request": wrap(join_request())}
        async with server.session.get(server.http_url + "/rtc/v1/validate", params=query) as response:
            return response.status, await response.text()

    await server.join("ann")
    assert (await status("ben", "other"))[0] == 503
    await server.join("ben")
    assert await status("cat") == (429, "the room is full")
    assert (await status("ann"))[0] == 200, "who is in may come again"
    server.bridge.is_draining = True
    assert (await status("ann"))[0] == 503


@scenario()
async def test_text_frames_are_answered_in_kind(server):
    ann = await server.join("ann")
    await ann.socket.send_str(json.dumps({"pingReq": {"timestamp": "7"}}))
    assert (await ann.next("pong_resp")).last_ping_timestamp == 7
    await ann.socket.send_str(json.dumps({"addTrack": {"cid": "c", "type": "AUDIO", "whoKnows": 1}}))
    assert (await ann.next("track_published")).cid == "c"
    assert ann.kinds == ["BINARY", "TEXT", "TEXT"]


@scenario()
async def test_both_pings(server):
    ann = await server.join("ann")
    await ann.send(ping=1)
    assert abs((await ann.next("pong")) - time.time() * 1000) < 5000
    await ann.send(ping_req=R.Ping(timestamp=123, rtt=5))
    pong = await ann.next("pong_resp")
    assert pong.last_ping_timestamp == 123 and abs(pong.timestamp - time.time() * 1000) < 5000


# -- what is not understood


@pytest.mark.parametrize("frame", [b"\xff\xff\xff", b"\x0a\xff", "{", "5", '{"offer": 5}', "x" * 100,
                                   '{"pingReq":' * 500])
@scenario()
async def test_a_message_that_cannot_be_read_ends_the_session(frame, server):
    ann, ben = await server.join("ann"), await server.join("ben")
    await (ann.socket.send_bytes if isinstance(frame, bytes) else ann.socket.send_str)(frame)
    assert await ann.ended() == Reason.STATE_MISMATCH
    gone = await ben.next("update", lambda u: u.participants[0].state == M.ParticipantInfo.State.DISCONNECTED)
    assert gone.participants[0].identity == "ann"
    assert server.bridge.health()["dropped"]["signal message"] == 1
    await ben.pong()


@scenario(limits={"message_bytes": 5000})
async def test_a_message_that_is_too_large_ends_the_connection(server):
    ann, ben = await server.join("ann"), await server.join("ben")
    await ann.socket.send_bytes(b"x" * 6000)
    await asyncio.wait_for(ann._task, 10)
    await ben.pong()


@pytest.mark.parametrize("text", [
    "", "v=0", own_offer().replace("a=fingerprint", "a=nothing"), own_offer("m=audio x y z"), "\0" * 100,
    own_offer(section("audio", "sendonly", "c")).replace("m=audio", "m=audio 9 RTP/AVP 0\r\nm=audio"),
])
@scenario()
async def test_a_bad_description_ends_the_session(text, server):
    ann, ben = await server.join("ann"), await server.join("ben")
    await ann.send(offer=description(text))
    assert await ann.ended() == Reason.STATE_MISMATCH
    await ben.pong()


@scenario()
async def test_a_bad_description_in_the_join_request_ends_the_session(server):
    ann = await server.join("ann", request=join_request(publisher_offer=description("v=0")))
    assert await ann.ended() == Reason.STATE_MISMATCH


@scenario()
async def test_an_answer_to_nothing_ends_the_session(server):
    ann = await server.join("ann")
    await ann.send(answer=R.SessionDescription(type="answer", sdp=own_offer()))
    assert await ann.ended() == Reason.STATE_MISMATCH


@scenario()
async def test_unknown_and_needless_messages_are_ignored(server):
    ann = await server.join("ann")
    await ann.socket.send_bytes(b"")
    # Field 900, a message: something newer than our definitions.
    await ann.socket.send_bytes(b"\xa2\x38\x02\x08\x01")
    await ann.send(trickle=R.TrickleRequest(candidateInit="{"))
    await ann.send(sync_state=R.SyncState())
    await ann.send(simulate=R.SimulateScenario(server_leave=True))
    await ann.send(mute=R.MuteTrackRequest(sid="TR_nothing", muted=True))
    await ann.send(subscription=R.UpdateSubscription(track_sids=["TR_nothing"], subscribe=True))
    await ann.send(track_setting=R.UpdateTrackSettings(track_sids=["TR_nothing"], disabled=True))
    await ann.send(update_layers=R.UpdateVideoLayers(track_sid="TR_nothing"))
    await ann.send(publish_data_track_request=R.PublishDataTrackRequest())
    refused = await ann.next("request_response")
    assert refused.reason == Refusal.UNSUPPORTED_TYPE and refused.HasField("publish_data_track")
    await ann.pong()


@scenario(limits={"messages_per_second": 10, "message_burst": 50})
async def test_who_floods_is_sent_away_and_others_stay(server):
    ann, ben = await server.join("ann"), await server.join("ben")
    for _ in range(70):
        await ann.send(ping=1)
    assert await ann.ended() == Reason.PARTICIPANT_REMOVED
    assert 30 < ann.count("pong") <= 51
    await ben.pong()


@scenario()
async def test_who_does_not_read_is_cut_off_and_others_stay(server):
    ann, ben = await server.join("ann"), await server.join("ben")
    ann.stop_reading()
    for number in range(2100):
        # Each is told to everybody.
        server.bridge.rooms.get("room").set_metadata("%d" % number + "x" * 20000)
        if not number % 50:
            await ben.next("room_update", lambda u, text=f"{number}x": u.room.metadata.startswith(text))
    await ben.next("room_update", lambda u: u.room.metadata.startswith("2099x"))
    people = server.bridge.rooms.get("room").participants
    while people["ann"].signal is not None:
        await asyncio.sleep(0.01)
    assert not people["ann"].outbox
    again = Raw(await server.open("/rtc/v1", access_token=server.token("ann"), join_request=wrap(resume(ann.sid))))
    assert (await again.next("leave")).action == R.LeaveRequest.Action.RECONNECT
    await ben.pong()


# -- tracks


@scenario(limits={"tracks": 2})
async def test_add_track_is_answered_at_once_or_refused(server):
    ann = await server.join("ann")
    request = R.AddTrackRequest(
        cid="cam", type=VIDEO, name="n", source=M.TrackSource.CAMERA, width=1280, height=720,
        layers=[M.VideoLayer(quality=M.VideoQuality.LOW, width=320, height=180)],
        simulcast_codecs=[R.SimulcastCodec(codec="vp8", cid="cam")])
    await ann.send(add_track=request)
    published = await ann.next("track_published")
    info = published.track
    assert published.cid == "cam" and info.sid.startswith("TR_") and info.mime_type == "video/VP8"
    assert (info.name, info.source, info.width, info.height, info.stream) == (
        "n", M.TrackSource.CAMERA, 1280, 720, "camera")
    assert [layer.width for layer in info.layers] == [320] and info.codecs[0].cid == "cam"
    await ann.send(add_track=request)
    assert (await ann.next("track_published")).track.sid == info.sid, "asked twice"
    for bad, reason in (
        (R.AddTrackRequest(cid="d", type=M.TrackType.DATA), Refusal.UNSUPPORTED_TYPE),
        (R.AddTrackRequest(type=AUDIO), Refusal.INVALID_REQUEST),
        (R.AddTrackRequest(cid="e", type=VIDEO, sid="TR_nothing"), Refusal.NOT_FOUND),
    ):
        await ann.send(add_track=bad)
        refused = await ann.next("request_response")
        assert refused.reason == reason and refused.add_track == bad
    await ann.send(add_track=R.AddTrackRequest(cid="mic", type=AUDIO))
    await ann.next("track_published")
    await ann.send(add_track=R.AddTrackRequest(cid="more", type=AUDIO))
    assert (await ann.next("request_response")).reason == Refusal.LIMIT_EXCEEDED
    await ann.send(add_track=R.AddTrackRequest(cid="x" * 5000, type=AUDIO))
    assert await ann.ended() == Reason.STATE_MISMATCH


@pytest.mark.parametrize(("grants", "allowed"), [
    ({"can_publish": False}, []),
    ({"can_publish_sources": ["microphone"]}, ["MICROPHONE"]),
    ({"can_publish_sources": ["camera", "screen_share"]}, ["CAMERA", "SCREEN_SHARE"]),
    ({}, ["CAMERA", "MICROPHONE", "SCREEN_SHARE"]),
])
@scenario()
async def test_what_may_be_published(grants, allowed, server):
    ann = await server.join("ann", **grants)
    for name in ("CAMERA", "MICROPHONE", "SCREEN_SHARE"):
        source = M.TrackSource.Value(name)
        await ann.send(add_track=R.AddTrackRequest(
            cid=name, type=AUDIO if name == "MICROPHONE" else VIDEO, source=source))
        if name in allowed:
            assert (await ann.next("track_published")).cid == name
        else:
            refused = await ann.next("request_response")
            assert refused.reason == Refusal.NOT_ALLOWED and refused.add_track.cid == name


@scenario()
async def test_a_track_is_announced_when_its_section_is_answered(server):
    ann, ben = await server.join("ann"), await server.join("ben")
    await ann.send(add_track=R.AddTrackRequest(cid="mic", type=AUDIO, source=M.TrackSource.MICROPHONE))
    sid = (await ann.next("track_published")).track.sid
    await ben.pong()
    assert not any(p.tracks for m in ben.got for p in m.update.participants)
    # Another section comes with it, which nobody announced: nothing is received there.
    await ann.send(offer=description(own_offer(section("audio", "sendonly", "mic"), section("video", "sendonly", "?"))))
    answer = await ann.next("answer")
    assert answer.id == 1 and "a=recvonly" in answer.sdp.split("m=")[2] and "a=inactive" in answer.sdp.split("m=")[3]
    update = await ben.next("update", lambda u: u.participants[0].tracks)
    assert [(t.sid, t.mid) for t in update.participants[0].tracks] == [(sid, "0")]
    cat = await server.join("cat")
    assert [t.sid for p in cat.got[0].join.other_participants for t in p.tracks] == [sid]
    await ann.send(offer=description(own_offer(section("audio", "inactive"), section("video", "inactive")), 2))
    await ben.next("update", lambda u: not u.participants[0].tracks)


@scenario()
async def test_sections_are_asked_for_bound_and_used_again(server):
    ann = await server.join("ann", request=join_request(publisher_offer=description(own_offer())))
    await ann.next("answer")
    ben = await server.join("ben")
    first = await publish(ben, "one")
    need = await ann.next("media_sections_requirement")
    assert (need.num_audios, need.num_videos) == (1, 0)
    await ann.send(offer=description(own_offer(section("audio", "recvonly"), section("audio", "recvonly")), 2))
    answer = await ann.next("answer")
    assert answer.id == 2 and dict(answer.mid_to_track_id) == {"0": first.sid}
    assert f"a=msid:{ben.sid}|screen {first.sid}" in answer.sdp
    assert (await ben.next("track_subscribed")).track_sid == first.sid
    # It ends: an offer is asked for, so that the section can be inactive; after that it is used for the next.
    await ben.send(offer=description(own_offer(section("audio", "inactive")), 2))
    assert (await ann.next("media_sections_requirement")).num_audios == 0
    await ben.send(add_track=R.AddTrackRequest(cid="two", type=AUDIO))
    await ben.next("track_published")
    await ben.send(offer=description(own_offer(section("audio", "inactive"), section("audio", "sendonly", "two")), 3))
    await ben.next("answer", lambda a: a.id == 3)
    await ann.send(offer=description(own_offer(section("audio", "recvonly"), section("audio", "recvonly")), 3))
    answer = await ann.next("answer")
    assert list(answer.mid_to_track_id) == ["1"] and "a=inactive" in answer.sdp.split("m=")[2]
    await ann.send(offer=description(own_offer(section("audio", "recvonly"), section("audio", "recvonly")), 4))
    assert list((await ann.next("answer")).mid_to_track_id) == ["1"]
    server.bridge.rooms.get("room").remove(
        server.bridge.rooms.get("room").participants["ben"], Reason.PARTICIPANT_REMOVED)
    assert await ben.ended() == Reason.PARTICIPANT_REMOVED
    await ann.next("media_sections_requirement")


@scenario()
async def test_a_requirement_is_not_repeated_while_it_is_waited_for(server):
    ann = await server.join("ann", request=join_request(publisher_offer=description(own_offer())))
    for n in range(4):
        await publish(await server.join(f"p{n}"), "c")
    total = 0
    while total < 4:
        total += (await ann.next("media_sections_requirement")).num_audios
    await asyncio.sleep(0.3)
    assert sum(m.media_sections_requirement.num_audios for m in ann.got) == 4
    await ann.send(offer=description(own_offer(*[section("audio", "recvonly")] * 4), 2))
    assert len((await ann.next("answer", lambda a: a.id == 2)).mid_to_track_id) == 4


@scenario()
async def test_who_decodes_none_of_the_codecs_is_told(server):
    ann = await server.join("ann", request=join_request(
        publisher_offer=description(own_offer(section("video", "recvonly", codec="H264")))))
    await ann.next("answer")
    ben = await server.join("ben")
    info = await publish(ben, "cam", "video", source=M.TrackSource.CAMERA)
    await ann.next("media_sections_requirement")
    await ann.send(offer=description(own_offer(section("video", "recvonly", codec="H264")), 2))
    refused = await ann.next("subscription_response")
    assert (refused.track_sid, refused.err) == (info.sid, M.SubscriptionError.SE_CODEC_UNSUPPORTED)
    await ann.pong()
    assert ann.count("media_sections_requirement") == 1


@scenario()
async def test_auto_subscribe_off_and_chosen_subscriptions(server):
    ben = await server.join("ben")
    info = await publish(ben, "one")
    receive = description(own_offer(section("audio", "recvonly")))
    ann = await server.join("ann", request=join_request(False, publisher_offer=receive))
    assert not (await ann.next("answer")).mid_to_track_id
    await ann.send(subscription=R.UpdateSubscription(track_sids=[info.sid], subscribe=True))
    await ann.next("media_sections_requirement")
    await ann.send(offer=description(receive.sdp, 2))
    assert dict((await ann.next("answer")).mid_to_track_id) == {"0": info.sid}
    await ann.send(subscription=R.UpdateSubscription(
        participant_tracks=[M.ParticipantTracks(participant_sid=ben.sid, track_sids=[info.sid])], subscribe=False))
    await ann.next("media_sections_requirement")
    await ann.send(offer=description(receive.sdp, 3))
    assert not (await ann.next("answer")).mid_to_track_id


@scenario()
async def test_who_may_not_subscribe_gets_nothing_until_it_may(server):
    await publish(await server.join("ben"), "one")
    receive = description(own_offer(section("audio", "recvonly")))
    ann = await server.join("ann", request=join_request(publisher_offer=receive), can_subscribe=False)
    assert not (await ann.next("answer")).mid_to_track_id
    own = server.bridge.rooms.get("room").participants["ann"]
    changed = M.ParticipantPermission()
    changed.CopyFrom(own.permission)
    changed.can_subscribe = True
    own.update(permission=changed)
    update = await ann.next("update", lambda u: u.participants[0].identity == "ann")
    assert update.participants[0].permission.can_subscribe
    await ann.next("media_sections_requirement")
    await ann.send(offer=description(receive.sdp, 2))
    assert (await ann.next("answer")).mid_to_track_id


@scenario()
async def test_permission_to_publish_is_taken_away(server):
    ann, ben = await server.join("ann"), await server.join("ben")
    info = await publish(ann, "mic", source=M.TrackSource.MICROPHONE)
    await ben.next("update", lambda u: u.participants[0].tracks)
    own = server.bridge.rooms.get("room").participants["ann"]
    own.update(permission=M.ParticipantPermission(can_subscribe=True))
    assert (await ann.next("track_unpublished")).track_sid == info.sid
    await ben.next("update", lambda u: not u.participants[0].tracks)
    # The client has not stopped yet: nothing of it is taken.
    await ann.send(offer=description(own_offer(section("audio", "sendonly", "mic")), 2))
    assert "a=inactive" in (await ann.next("answer")).sdp.split("m=")[2]
    await ann.send(add_track=R.AddTrackRequest(cid="again", type=AUDIO, source=M.TrackSource.MICROPHONE))
    assert (await ann.next("request_response")).reason == Refusal.NOT_ALLOWED


@scenario()
async def test_a_publisher_chooses_who_may_subscribe(server):
    ben = await server.join("ben")
    info = await publish(ben, "one")
    receive = description(own_offer(section("audio", "recvonly")))
    people = {}
    for name in ("ann", "cat"):
        people[name] = await server.join(name, request=join_request(publisher_offer=receive))
        assert (await people[name].next("answer")).mid_to_track_id
    await ben.send(subscription_permission=R.SubscriptionPermission(
        track_permissions=[R.TrackPermission(participant_identity="ann", track_sids=[info.sid])]))
    told = await people["cat"].next("subscription_permission_update")
    assert (told.track_sid, told.participant_sid, told.allowed) == (info.sid, ben.sid, False)
    await people["cat"].next("media_sections_requirement")
    await people["ann"].pong()
    assert not people["ann"].count("subscription_permission_update")
    await ben.send(subscription_permission=R.SubscriptionPermission(all_participants=True))
    assert (await people["cat"].next("subscription_permission_update")).allowed


@scenario()
async def test_hidden_participants_are_seen_by_nobody(server):
    ann = await server.join("ann")
    spy = await server.join("spy", hidden=True)
    assert [p.identity for p in spy.got[0].join.other_participants] == ["ann"]
    ben = await server.join("ben")
    assert [p.identity for p in ben.got[0].join.other_participants] == ["ann"]
    await publish(spy, "mic")
    await ann.pong()
    assert not [p for m in ann.got for p in m.update.participants if p.identity == "spy"]
    assert not ann.count("media_sections_requirement")
    room = server.bridge.rooms.get("room")
    assert room.info().num_participants == 2 and len(room.participants) == 3
    # It hears what others do.
    assert [p for m in spy.got for p in m.update.participants if p.identity == "ben"]
    shown = M.ParticipantPermission()
    shown.CopyFrom(room.participants["spy"].permission)
    shown.hidden = False
    room.participants["spy"].update(permission=shown)
    seen = await ann.next("update", lambda u: u.participants[0].identity == "spy")
    assert len(seen.participants[0].tracks) == 1
    shown.hidden = True
    room.participants["spy"].update(permission=M.ParticipantPermission(hidden=True))
    await ann.next("update", lambda u: (u.participants[0].identity, u.participants[0].state) == (
        "spy", M.ParticipantInfo.State.DISCONNECTED))


# -- what participants say of themselves


@scenario(limits={"metadata_bytes": 1000})
async def test_own_metadata_needs_a_grant_and_is_bounded(server):
    ann = await server.join("ann", can_update_own_metadata=True, attributes={"old": "1"})
    ben = await server.join("ben")
    await ann.send(update_metadata=R.UpdateParticipantMetadata(
        metadata="m", name="N", attributes={"old": "", "new": "2"}, request_id=5))
    assert (await ann.next("request_response")).request_id == 5
    for one in (ann, ben):
        mine = [p for m in one.got for p in m.update.participants if p.identity == "ann"][-1]
        if one is ben:
            mine = (await ben.next("update", lambda u: u.participants[0].name == "N")).participants[0]
        assert (mine.metadata, mine.name, dict(mine.attributes)) == ("m", "N", {"new": "2"})
    for request in ({"metadata": "x" * 1001}, {"attributes": {"k": "x" * 999}}, {"name": "n" * 1001}):
        await ann.send(update_metadata=R.UpdateParticipantMetadata(request_id=6, **request))
        refused = await ann.next("request_response")
        assert (refused.request_id, refused.reason) == (6, Refusal.LIMIT_EXCEEDED)
    await ben.send(update_metadata=R.UpdateParticipantMetadata(metadata="mine", request_id=7))
    assert (await ben.next("request_response")).reason == Refusal.NOT_ALLOWED


@scenario()
async def test_mute_is_told_to_others_and_by_the_server_to_the_publisher(server):
    ann, ben = await server.join("ann"), await server.join("ben")
    info = await publish(ann, "mic", source=M.TrackSource.MICROPHONE)
    await ann.send(mute=R.MuteTrackRequest(sid=info.sid, muted=True))
    await ben.next("update", lambda u: u.participants[0].tracks and u.participants[0].tracks[0].muted)
    await ann.send(mute=R.MuteTrackRequest(sid=info.sid, muted=False))
    await ben.next("update", lambda u: u.participants[0].tracks and not u.participants[0].tracks[0].muted)
    assert server.bridge.rooms.get("room").participants["ann"].mute(info.sid, True).muted
    muted = await ann.next("mute")
    assert (muted.sid, muted.muted) == (info.sid, True)
    await ben.next("update", lambda u: u.participants[0].tracks[0].muted)


# -- coming back and leaving


def resume(sid):
    return join_request(reconnect=True, participant_sid=sid)


@scenario()
async def test_a_resume_begins_with_reconnect_and_everybody(server):
    ann, ben = await server.join("ann"), await server.join("ben")
    ann.vanish()
    room = server.bridge.rooms.get("room")
    while room.participants["ann"].signal is not None:
        await asyncio.sleep(0.01)
    await ben.send(leave=R.LeaveRequest())
    await server.join("cat")
    # Old messages of the time between come after it, in order.
    again = await server.join("ann", request=resume(ann.sid), first="reconnect")
    people = await again.next("update", lambda u: len(u.participants) > 1)
    assert {p.identity for p in people.participants} == {"ann", "cat"}
    assert (await again.next("room_update")).room.name == "room"
    assert room.participants["ann"].sid == ann.sid
    await again.send(offer=description(own_offer(ufrag="newer")))
    await again.next("answer")


@pytest.mark.parametrize(("sid", "identity", "room"), [
    ("PA_unknown", "ann", "room"), ("", "nobody", "room"), ("", "ann", "elsewhere")])
@scenario()
async def test_a_resume_of_nobody_is_sent_to_join_anew(sid, identity, room, server):
    ann = await server.join("ann")
    again = Raw(await server.open("/rtc/v1", access_token=server.token(identity, room),
                                  join_request=wrap(resume(sid or ann.sid))))
    leave = await again.next("leave")
    assert (leave.reason, leave.action) == (Reason.STATE_MISMATCH, R.LeaveRequest.Action.RECONNECT)
    assert again.got[0].WhichOneof("message") == "leave"
    await asyncio.wait_for(again._task, 10)
    await ann.pong()
    assert server.bridge.rooms.get("elsewhere") is None


@scenario()
async def test_a_resume_takes_over_from_a_socket_that_looks_open(server):
    ann = await server.join("ann")
    again = await server.join("ann", request=resume(ann.sid), first="reconnect")
    await asyncio.wait_for(ann._task, 10)
    await again.pong()
    assert len(server.bridge.rooms.get("room").participants) == 1


@scenario(limits={"resume_s": 1})
async def test_leaving_and_vanishing(server):
    ann, ben, cat = [await server.join(name) for name in ("ann", "ben", "cat")]
    await ben.send(leave=R.LeaveRequest(reason=Reason.CLIENT_INITIATED))
    gone = await ann.next("update", lambda u: u.participants[0].state == M.ParticipantInfo.State.DISCONNECTED)
    assert (gone.participants[0].identity, gone.participants[0].disconnect_reason) == ("ben", Reason.CLIENT_INITIATED)
    cat.vanish()
    gone = await ann.next("update", lambda u: u.participants[0].state == M.ParticipantInfo.State.DISCONNECTED)
    assert (gone.participants[0].identity, gone.participants[0].disconnect_reason) == ("cat", Reason.SIGNAL_CLOSE)


@scenario()
async def test_a_second_join_ends_the_first_with_a_new_sid(server):
    first, ben = await server.join("ann"), await server.join("ben")
    second = await server.join("ann")
    assert await first.ended() == Reason.DUPLICATE_IDENTITY and second.sid != first.sid
    gone = await ben.next("update", lambda u: u.participants[0].sid == first.sid)
    assert gone.participants[0].state == M.ParticipantInfo.State.DISCONNECTED
    assert (await ben.next("update")).participants[0].sid == second.sid
    await second.pong()


@scenario()
async def test_rooms_that_end_tell_everybody(server):
    ann = await server.join("ann", "one")
    ben = await server.join("ben", "two")
    server.bridge.rooms.delete("one")
    leave = await ann.next("leave")
    assert (leave.reason, leave.action) == (Reason.ROOM_DELETED, R.LeaveRequest.Action.DISCONNECT)
    stopping = asyncio.ensure_future(server.bridge.stop())
    leave = await ben.next("leave")
    assert (leave.reason, leave.action) == (Reason.SERVER_SHUTDOWN, R.LeaveRequest.Action.RECONNECT)
    await stopping


@scenario(limits={"departure_timeout_s": 1})
async def test_a_room_ends_some_time_after_the_last_has_left(server):
    seen = []
    server.bridge.rooms.listen(lambda event: seen.append(event.name))
    ann = await server.join("ann")
    await ann.send(leave=R.LeaveRequest())
    await asyncio.wait_for(ann._task, 10)
    assert server.bridge.rooms.get("room") is not None
    while server.bridge.rooms.get("room") is not None:
        await asyncio.sleep(0.05)
    assert seen == ["room_started", "participant_connection_aborted", "room_finished"]


@scenario()
async def test_fresh_tokens(monkeypatch, server):
    monkeypatch.setattr(bridge_module, "REFRESH_S", 0.05)
    ann = await server.join("ann", metadata="first")
    server.bridge.rooms.get("room").participants["ann"].update(metadata="second")
    fresh = await ann.next("refresh_token")
    grants = tokens.verify(fresh, server.bridge.keys, time.time())
    grants.check_join()
    assert (grants.identity, grants.room, grants.metadata) == ("ann", "room", "second")
    await ann.next("refresh_token")


# -- what the media half finds out


def receiving(server, who):
    """Who receives: the only subscription of a participant."""
    [entry] = server.bridge.rooms.get("room").participants[who].subscriptions.entries.values()
    return entry


async def pair(server):
    """Ann receives Ben's picture."""
    ann = await server.join("ann", request=join_request(
        publisher_offer=description(own_offer(section("video", "recvonly")))))
    await ann.next("answer")
    ben = await server.join("ben")
    info = await publish(ben, "cam", "video", source=M.TrackSource.CAMERA, width=1280, height=720, layers=[
        M.VideoLayer(quality=n, width=320 << n, height=180 << n) for n in range(3)])
    await ann.next("media_sections_requirement")
    await ann.send(offer=description(own_offer(section("video", "recvonly")), 2))
    assert dict((await ann.next("answer")).mid_to_track_id) == {"0": info.sid}
    return ann, ben, info


@scenario()
async def test_a_picture_that_the_line_has_no_room_for_is_told_as_paused(server):
    ann, _, info = await pair(server)
    media = receiving(server, "ann").media
    # The line's own judgement does not come between.
    media.transport.line.share = lambda now: None
    media.allowed = NONE
    [state] = (await ann.next("stream_state_update")).stream_states
    assert (state.track_sid, state.state) == (info.sid, R.StreamState.PAUSED)
    media.allowed = HIGH
    [state] = (await ann.next("stream_state_update")).stream_states
    assert (state.track_sid, state.state) == (info.sid, R.StreamState.ACTIVE)
    # Switched off by the viewer is not paused by the line.
    await ann.send(track_setting=R.UpdateTrackSettings(track_sids=[info.sid], disabled=True))
    await ann.pong()
    media.allowed = NONE
    await asyncio.sleep(1.1)
    assert ann.count("stream_state_update") == 2


@pytest.mark.parametrize(("settings", "wanted", "paused"), [
    (R.UpdateTrackSettings(), 0, False),
    (R.UpdateTrackSettings(quality=M.VideoQuality.MEDIUM), 1, False),
    (R.UpdateTrackSettings(quality=M.VideoQuality.HIGH), 2, False),
    (R.UpdateTrackSettings(disabled=True), 2, True),
    (R.UpdateTrackSettings(width=300, height=160), 0, False),
    (R.UpdateTrackSettings(width=641, height=361), 2, False),
    (R.UpdateTrackSettings(width=400, height=225, quality=M.VideoQuality.HIGH), 1, False),
    (R.UpdateTrackSettings(width=5000, height=5000), 2, False),
])
@scenario()
async def test_track_settings(settings, wanted, paused, server):
    ann, ben, info = await pair(server)
    settings.track_sids.append(info.sid)
    await ann.send(track_setting=settings)
    await ann.pong()
    media = receiving(server, "ann").media
    assert (media.wanted, media.is_paused) == (wanted, paused)
    # The same holds for what is said before the track is bound.
    await ann.send(subscription=R.UpdateSubscription(track_sids=[info.sid]))
    await ann.next("media_sections_requirement")
    await ann.send(subscription=R.UpdateSubscription(track_sids=[info.sid], subscribe=True))
    await ann.send(track_setting=settings)
    for number in (3, 4):
        await ann.send(offer=description(own_offer(section("video", "recvonly")), number))
        await ann.next("answer")
    media = receiving(server, "ann").media
    assert (media.wanted, media.is_paused) == (wanted, paused)


@scenario()
async def test_nothing_of_a_track_that_the_server_muted_is_passed_on(server):
    ann, _, info = await pair(server)
    ben = server.bridge.rooms.get("room").participants["ben"]
    assert not receiving(server, "ann").media.is_paused
    ben.mute(info.sid, True)
    assert receiving(server, "ann").media.is_paused
    await ann.send(track_setting=R.UpdateTrackSettings(track_sids=[info.sid], quality=M.VideoQuality.HIGH))
    await ann.pong()
    assert receiving(server, "ann").media.is_paused
    ben.set_muted(ben.tracks[info.sid], False)
    assert not receiving(server, "ann").media.is_paused


@scenario()
async def test_dynacast_tells_more_at_once_and_less_after_a_while(monkeypatch, server):
    monkeypatch.setattr(dynacast, "DELAY_S", 1.2)
    ann, ben, info = await pair(server)
    await ann.send(track_setting=R.UpdateTrackSettings(track_sids=[info.sid], quality=M.VideoQuality.LOW))
    started = time.monotonic()

    async def told():
        update = await ben.next("subscribed_quality_update")
        assert update.track_sid == info.sid
        [codec] = update.subscribed_codecs
        assert codec.codec == "vp8" and list(codec.qualities) == list(update.subscribed_qualities)
        return [q.enabled for q in codec.qualities]

    assert await told() == [True, False, False] and time.monotonic() - started > 1
    await ann.send(track_setting=R.UpdateTrackSettings(track_sids=[info.sid], quality=M.VideoQuality.MEDIUM))
    await ann.pong()
    await ben.pong()
    assert ben.count("subscribed_quality_update") == 2
    await ann.send(track_setting=R.UpdateTrackSettings(track_sids=[info.sid], disabled=True))
    # Changed its mind in time: nothing is told.
    await asyncio.sleep(0.3)
    await ann.send(track_setting=R.UpdateTrackSettings(track_sids=[info.sid], quality=M.VideoQuality.MEDIUM))
    await asyncio.sleep(1.8)
    assert ben.count("subscribed_quality_update") == 2
    await ann.send(leave=R.LeaveRequest())
    await ben.next("subscribed_quality_update", lambda u: len(u.subscribed_codecs) == 1)
    assert not any(q.enabled for q in ben.got[-1].subscribed_quality_update.subscribed_qualities)


@scenario()
async def test_a_participant_out_of_reach_is_shown_as_lost_to_others(server):
    ann, ben = await server.join("ann"), await server.join("ben")
    own = server.bridge.rooms.get("room").participants["ann"]
    own.media_connected()
    await ben.next("connection_quality", lambda u: u.updates[0].quality == M.ConnectionQuality.EXCELLENT)
    own.negotiation.is_silent = lambda: True
    lost = await ben.next("connection_quality")
    assert (lost.updates[0].participant_sid, lost.updates[0].quality) == (ann.sid, M.ConnectionQuality.LOST)
    own.negotiation.is_silent = lambda: False
    back = await ben.next("connection_quality")
    assert back.updates[0].quality == M.ConnectionQuality.EXCELLENT
    await ann.pong()
    assert M.ConnectionQuality.LOST not in [u.quality for m in ann.got for u in m.connection_quality.updates]
    # Who comes later is told what is known.
    await server.join("cat")
    late = server.bridge.rooms.get("room").participants["cat"]
    late.media_connected()
    assert late.outbox[-1].name in ("connection_quality", "speakers_changed")


@pytest.mark.parametrize("how", ["failed", "closed"])
@scenario()
async def test_who_has_lost_its_media_is_sent_to_join_anew(how, server):
    ann, ben = await server.join("ann"), await server.join("ben")
    server.bridge.rooms.get("room").participants["ann"].media_lost(how)
    leave = await ann.next("leave")
    assert (leave.reason, leave.action) == (Reason.MEDIA_FAILURE, R.LeaveRequest.Action.RECONNECT)
    await ben.next("update", lambda u: u.participants[0].state == M.ParticipantInfo.State.DISCONNECTED)


@scenario(limits={"resume_s": 60})
async def test_who_has_lost_its_socket_and_its_media_is_gone_at_once(server):
    people = {name: await server.join(name) for name in ("ann", "ben", "cat")}
    room = server.bridge.rooms.get("room")
    for name, first in (("ann", "socket"), ("ben", "media")):
        one = room.participants[name]
        if first == "media":
            one.negotiation.is_lost = True
        people[name].vanish()
        while one.signal is not None:
            await asyncio.sleep(0.01)
        if first == "socket":
            assert name in room.participants
            one.media_lost("closed")
        assert name not in room.participants
    await people["cat"].pong()


@scenario(limits={"messages_per_second": 10, "message_burst": 50})
async def test_pings_of_the_websocket_are_answered_and_counted(server):
    ann = await server.join("ann")
    await ann.socket.ping(b"x")
    await ann.pong()
    for _ in range(60):
        await ann.socket.ping()
    assert await ann.ended() == Reason.PARTICIPANT_REMOVED


@scenario()
async def test_a_client_that_adds_no_sections_is_not_asked_for_ever(server):
    ann = await server.join("ann", request=join_request(publisher_offer=description(own_offer())))
    await ann.next("answer")
    await publish(await server.join("ben"), "mic")
    await ann.next("media_sections_requirement")
    for number in range(2, 20):
        await ann.send(offer=description(own_offer(), number))
        await ann.next("answer", lambda a, number=number: a.id == number)
    await ann.pong()
    assert 3 < ann.count("media_sections_requirement") <= 6
    # It is still served when it does.
    await ann.send(offer=description(own_offer(section("audio", "recvonly")), 50))
    assert len((await ann.next("answer", lambda a: a.id == 50)).mid_to_track_id) == 1


@scenario()
async def test_a_session_that_has_grown_too_many_sections_begins_anew(server):
    ann = await server.join("ann")
    await ann.send(offer=description(own_offer(*[section("audio", "recvonly")] * 360)))
    await ann.next("answer")
    leave = await ann.next("leave")
    assert leave.action == R.LeaveRequest.Action.RECONNECT


# -- the older mode


@scenario()
async def test_the_older_mode_offers_at_once_and_one_at_a_time(server):
    ann = await server.join("ann", single=False)
    assert ann.got[0].join.subscriber_primary
    first = await ann.next("offer")
    assert first.type == "offer" and "m=application" in first.sdp and not first.mid_to_track_id
    infos = [await publish(await server.join(f"p{n}"), "mic") for n in range(3)]
    await asyncio.sleep(0.3)
    assert ann.count("offer") == 1, "the first is not answered yet"
    await ann.send(answer=answer_to(first))
    second = await ann.next("offer")
    assert second.id == first.id + 1
    assert sorted(second.mid_to_track_id.values()) == sorted(info.sid for info in infos)
    # An answer to something else changes nothing; one without audio refuses all, and that is said.
    await ann.send(answer=answer_to(first))
    await ann.send(answer=answer_to(second, rejects=True))
    refused = {(await ann.next("subscription_response")).track_sid for _ in infos}
    assert refused == {info.sid for info in infos}
    await ann.pong()
    assert ann.count("offer") == 2


def answer_to(offer, rejects=False):
    """What a client would answer; `rejects`: no track of it."""
    lines, bundled = [], []
    for part in offer.sdp.split("m=")[1:]:
        kind = part.split()[0]
        mid = next(line for line in part.split("\r\n") if line.startswith("a=mid:"))
        transport = ["a=ice-ufrag:abcd", "a=ice-pwd:" + "p" * 24, "a=setup:active",
                     "a=fingerprint:sha-256 " + ":".join(["AB"] * 32)]
        if kind == "application":
            lines += ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", mid, *transport, "a=sctp-port:5000"]
        else:
            numbers = part.split("\r\n")[0].split()[3:]
            lines += ["m=%s %d UDP/TLS/RTP/SAVPF %s" % (kind, 0 if rejects else 9, " ".join(numbers)), mid, *transport,
                      *(line for line in part.split("\r\n") if line.startswith(("a=rtpmap:", "a=fmtp:"))), "a=recvonly"]
        if not rejects or kind == "application":
            bundled.append(mid.removeprefix("a=mid:"))
    head = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE " + " ".join(bundled)]
    return R.SessionDescription(type="answer", id=offer.id, sdp="\r\n".join([*head, *lines]) + "\r\n")


@scenario()
async def test_in_the_older_mode_nothing_is_sent_before_the_answer(server):
    """A section that is not there yet would lose the keyframe, or take it for a stream that nobody named."""
    ann = await server.join("ann", single=False)
    await ann.send(answer=answer_to(await ann.next("offer")))
    ben = await server.join("ben")
    info = await publish(ben, "cam", "video", source=M.TrackSource.CAMERA)
    offer = await ann.next("offer")
    assert dict(offer.mid_to_track_id) == {"0": info.sid}
    entry = receiving(server, "ann")
    assert entry.media.is_paused and inspection.state(entry, 0) == "offered"
    # The publisher goes on meanwhile.
    assert server.bridge.rooms.get("room").participants["ben"].dynacast._wanted(
        entry.track) == {"vp8": frozenset({0, 1, 2})}
    await ann.send(track_setting=R.UpdateTrackSettings(track_sids=[info.sid], quality=M.VideoQuality.HIGH))
    await ann.pong()
    assert entry.media.is_paused, "whatever it says of the track"
    await ann.send(answer=answer_to(offer))
    await ann.pong()
    assert not entry.media.is_paused and inspection.state(entry, 0) == "connecting"


@scenario()
async def test_how_media_flow_is_told_to_the_room_s_admin(server):
    ann, _, info = await pair(server)

    async def flows(room="room", **grants):
        token = server.token("", room, room_join=False, **grants)
        async with server.session.post(server.http_url + "/twirp/chatd.Media/ListFlows", json={"room": "room"},
                                       headers={"Authorization": "Bearer " + token}) as answer:
            return answer.status, await answer.json()

    status, found = await flows(room_admin=True)
    [track] = found["tracks"]
    assert status == 200 and (track["track"], track["from"], track["source"]) == (info.sid, "ben", "camera")
    [way] = track["to"]
    assert (way["who"], way["state"], way["codec"], way["packets"]) == ("ann", "connecting", "vp8", 0)
    await ann.send(track_setting=R.UpdateTrackSettings(track_sids=[info.sid], disabled=True))
    await ann.pong()
    assert (await flows(room_admin=True))[1]["tracks"][0]["to"][0]["state"] == "hidden"
    for others in ({"room": "other", "room_admin": True}, {"room_list": True}):
        assert (await flows(**others))[0] == 401


async def recode(ben):
    """Ben's next offer, in which his camera comes in another codec."""
    await ben.send(offer=description(own_offer(section("video", "sendonly", "cam", codec="VP9")), 2))
    await ben.next("answer")


@scenario()
async def test_who_had_a_codec_that_is_replaced_gets_the_new_one(server):
    """LiveKit's SDKs name no codec: an offer made while they publish has VP8 first, the one after it the real one."""
    both = own_offer(section("video", "recvonly"), section("video", "recvonly", codec="VP9"))
    ann = await server.join("ann", request=join_request(publisher_offer=description(both)))
    await ann.next("answer")
    ben = await server.join("ben")
    info = await publish(ben, "cam", "video", source=M.TrackSource.CAMERA)
    await ann.next("media_sections_requirement")
    await ann.send(offer=description(both, 2))
    assert dict((await ann.next("answer")).mid_to_track_id) == {"0": info.sid}
    first = receiving(server, "ann").media
    await recode(ben)
    assert first.is_closed
    update = await ann.next("update", lambda u: u.participants[0].tracks[0].mime_type == "video/VP9")
    assert [track.sid for track in update.participants[0].tracks] == [info.sid]
    await ann.next("media_sections_requirement")
    await ann.send(offer=description(both, 3))
    answer = await ann.next("answer")
    assert dict(answer.mid_to_track_id) == {"1": info.sid} and "VP9" in answer.sdp.split("m=")[3]
    second = receiving(server, "ann").media
    assert second.publication.codec == "vp9" and not second.is_closed and not second.is_paused
    # Whatever ends a publication, nobody stays bound to it.
    second.close()
    await ann.next("media_sections_requirement")
    assert receiving(server, "ann").media is None


@scenario()
async def test_who_had_a_codec_that_is_replaced_gets_the_new_one_in_the_older_mode(server):
    ann = await server.join("ann", single=False)
    await ann.send(answer=answer_to(await ann.next("offer")))
    ben = await server.join("ben")
    info = await publish(ben, "cam", "video", source=M.TrackSource.CAMERA)
    await ann.send(answer=answer_to(await ann.next("offer")))
    await recode(ben)
    offer = await ann.next("offer")
    assert list(offer.mid_to_track_id.values()) == [info.sid] and "VP9" in offer.sdp and "VP8" not in offer.sdp
    await ann.send(answer=answer_to(offer))
    await ann.pong()
    media = receiving(server, "ann").media
    assert media.publication.codec == "vp9" and not media.is_closed and not media.is_paused


@scenario()
async def test_a_resume_in_the_older_mode_offers_anew(server):
    ann = await server.join("ann", single=False)
    first = await ann.next("offer")
    await ann.send(answer=answer_to(first))
    await ann.pong()
    again = Raw(await server.open("/rtc", access_token=server.token("ann"), reconnect="1", sid=ann.sid))
    await again.next("reconnect")
    offer = await again.next("offer")

    def ufrag(text):
        return text.split("a=ice-ufrag:")[1].split()[0]

    assert ufrag(offer.sdp) != ufrag(first.sdp)
    # The other mode's socket cannot take over.
    other = Raw(await server.open("/rtc/v1", access_token=server.token("ann"), join_request=wrap(resume(ann.sid))))
    assert (await other.next("leave")).action == R.LeaveRequest.Action.RECONNECT
