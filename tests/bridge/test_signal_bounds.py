"""What one participant's messages may cost the others, and what it may say of itself: without a network."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from indoors import Place
from livekit.protocol import models as M
from livekit.protocol import rtc as R

from chatd.bridge import data, requests
from chatd.bridge.participant import Participant

Source = M.TrackSource


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Timers need one, and it need not run."""
    made = asyncio.new_event_loop()
    asyncio.set_event_loop(made)
    yield made
    asyncio.set_event_loop(None)
    made.close()


def told(participant: Participant, name: str) -> list[Any]:
    return [getattr(m.response, name) for m in participant.outbox if m.name == name]


def test_settings_of_one_track_said_a_thousand_times_are_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place()
    alice, bob = place.joins("alice"), place.joins("bob")
    track = place.publishes(alice)
    looked = []
    monkeypatch.setattr(alice.dynacast, "look", looked.append)
    place.says(bob, track_setting=R.UpdateTrackSettings(track_sids=[track.sid] * 1000, quality=M.VideoQuality.LOW))
    assert looked == [track]


def test_names_of_tracks_that_can_be_none_are_not_remembered() -> None:
    place = Place()
    bob = place.joins("bob")
    place.says(bob, subscription=R.UpdateSubscription(track_sids=["TR_unknown", "x" * 100_000], subscribe=False))
    assert list(bob.subscriptions._chosen) == ["TR_unknown"]


def test_a_list_of_permissions_is_not_searched_for_every_viewer() -> None:
    place = Place()
    alice, bob, carol = place.joins("alice"), place.joins("bob"), place.joins("carol")
    track = place.publishes(alice)
    many = ["TR_%012d" % n for n in range(20_000)]
    place.says(alice, subscription_permission=R.SubscriptionPermission(track_permissions=[
        R.TrackPermission(participant_identity="bob", track_sids=[*many, track.sid]),
        R.TrackPermission(participant_sid=carol.sid, all_tracks=True)]))
    assert track.sid in bob.subscriptions.entries and track.sid in carol.subscriptions.entries
    place.says(alice, subscription_permission=R.SubscriptionPermission(track_permissions=[
        R.TrackPermission(participant_identity="bob", track_sids=many)]))
    assert not bob.subscriptions.entries and not carol.subscriptions.entries
    # In the message's own list every look-up took a millisecond of everybody's time.
    assert alice.subscriptions.sharing._rules["bob"] == frozenset(many)


@pytest.mark.parametrize("more", [
    {"layers": [M.VideoLayer(rid="x" * 100_000)]},
    {"simulcast_codecs": [R.SimulcastCodec(codec="vp8", cid="x" * 100_000)]},
    {"simulcast_codecs": [R.SimulcastCodec(codec="vp8", cid="1", layers=[M.VideoLayer(width=1)] * 20_000)]},
    {"audio_features": [M.AudioTrackFeature.TF_STEREO] * 100_000},
], ids=["rid", "cid of a codec", "layers of a codec", "features"])
def test_a_track_is_described_in_few_words(more: dict[str, Any]) -> None:
    place = Place()
    alice = place.joins("alice")
    with pytest.raises(requests.BadMessage):
        place.says(alice, add_track=R.AddTrackRequest(
            cid="1", type=M.TrackType.VIDEO, source=Source.CAMERA, **more))
    assert not alice.tracks


def test_layers_are_updated_in_few_words() -> None:
    place = Place()
    alice = place.joins("alice")
    track = place.publishes(alice)
    place.says(alice, update_layers=R.UpdateVideoLayers(track_sid=track.sid, layers=[M.VideoLayer(width=320)]))
    assert [layer.width for layer in track.info.layers] == [320]
    with pytest.raises(requests.BadMessage):
        place.says(alice, update_layers=R.UpdateVideoLayers(
            track_sid=track.sid, layers=[M.VideoLayer(rid="x" * 100_000)]))
    assert track.info.ByteSize() < 1000


def test_a_name_is_short_and_metadata_are_counted_in_bytes() -> None:
    place = Place(metadata_bytes=1000)
    alice = place.joins("alice", canUpdateOwnMetadata=True)
    place.says(alice, update_metadata=R.UpdateParticipantMetadata(name="x" * 257, request_id=1))
    assert told(alice, "request_response")[-1].reason == R.RequestResponse.Reason.LIMIT_EXCEEDED
    assert alice.name == ""
    place.says(alice, update_metadata=R.UpdateParticipantMetadata(name="x" * 256, request_id=2))
    assert told(alice, "request_response")[-1].reason == R.RequestResponse.Reason.OK
    # What comes with a join request is held to the same.
    alice.take_request(R.JoinRequest(metadata="\U0001f600" * 251))
    assert alice.metadata == ""
    alice.take_request(R.JoinRequest(participant_attributes={"\U0001f600" * 251: ""}))
    alice.take_request(R.JoinRequest(participant_attributes={"key": "\U0001f600" * 250}))
    assert not alice.attributes
    alice.take_request(R.JoinRequest(metadata="\U0001f600" * 250, participant_attributes={"key": "value", "no": ""}))
    assert alice.metadata == "\U0001f600" * 250 and dict(alice.attributes) == {"key": "value"}
    # Together with what it has.
    alice.take_request(R.JoinRequest(participant_attributes={"more": "x" * 995}))
    assert dict(alice.attributes) == {"key": "value"}


@pytest.mark.parametrize(("kind", "source", "is_allowed"), [
    (M.TrackType.AUDIO, Source.MICROPHONE, False),
    (M.TrackType.AUDIO, Source.CAMERA, False),
    (M.TrackType.VIDEO, Source.CAMERA, True),
    (M.TrackType.VIDEO, Source.SCREEN_SHARE_AUDIO, False),
    (M.TrackType.AUDIO, Source.SCREEN_SHARE_AUDIO, True),
])
def test_who_may_publish_some_sources_only_does_not_hide_another_behind_them(
        kind: Any, source: Any, is_allowed: bool) -> None:
    place = Place()
    alice = place.joins("alice", canPublishSources=["camera", "screen_share_audio"])
    place.says(alice, add_track=R.AddTrackRequest(cid="1", type=kind, source=source))
    assert bool(alice.tracks) == is_allowed
    assert is_allowed or told(alice, "request_response")[-1].reason == R.RequestResponse.Reason.NOT_ALLOWED


def test_whom_the_limit_of_subscriptions_left_without_a_track_gets_it_when_there_is_room() -> None:
    place = Place(subscriptions=1)
    alice, bob, carol = place.joins("alice"), place.joins("bob"), place.joins("carol")
    first, second = place.publishes(alice), place.publishes(carol)
    assert list(bob.subscriptions.entries) == [first.sid]
    alice.end_track(first)
    place.rooms.tick()
    assert list(bob.subscriptions.entries) == [second.sid]


def test_data_that_waited_and_went_do_not_count_as_waiting(loop: asyncio.AbstractEventLoop,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    # One message of 10 KB a second goes out, as many come in; the queue never gets empty.
    monkeypatch.setattr(data, "MOST_WAITING_BYTES", 100_000)
    place = Place(data_bytes_per_second=10_000, data_burst_bytes=1)
    alice, bob = place.joins("alice"), place.joins("bob")
    message = M.DataPacket(user=M.UserPacket(payload=b"x" * 7400)).SerializeToString()

    async def send() -> None:
        for _ in range(3):
            alice.data.received(data.RELIABLE, message)
        for _ in range(60):
            place.now += 1.01
            alice.data._drain()
            assert alice.data._waiting
            alice.data.received(data.RELIABLE, message)

    loop.run_until_complete(send())
    assert not place.rooms.dropped
    assert len(bob.negotiation.data) > 50  # type: ignore[attr-defined]
    alice.close(M.DisconnectReason.CLIENT_INITIATED)


def test_nothing_keeps_a_participant_that_has_left(loop: asyncio.AbstractEventLoop) -> None:
    from chatd.bridge.bridge import Bridge

    async def visit() -> weakref.ref[Participant]:
        place = Place()
        alice = place.joins("alice")
        Bridge.watch_token(place, alice)  # type: ignore[arg-type]
        place.room.remove(alice, M.DisconnectReason.CLIENT_INITIATED)
        return weakref.ref(alice)

    left = loop.run_until_complete(visit())
    gc.collect()
    assert left() is None
