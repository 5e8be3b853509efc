"""What chatd wants of a media engine, asked of the embedded bridge and of any LiveKit server.

The engine is driven by chatd's own client (IMediaEngine), by LiveKit's `livekit-api` package and by participants with
the Python SDK. The bridge is always tried. A LiveKit server is tried as well where three variables say which; nothing
else is needed, root neither:

    LIVEKIT_URL=ws://127.0.0.1:7880 LIVEKIT_API_KEY=devkey LIVEKIT_API_SECRET=secret make contract

The address may begin with ws, wss, http or https. `livekit-server --dev` will do: where a server has no egress service,
or posts no webhooks to us, what needs it is skipped and says why. For those two there is besides:

    LIVEKIT_WEBHOOK_PORT=7999       its webhook.urls has http://127.0.0.1:7999/ (and webhook.api_key our key)
    LIVEKIT_WEBHOOK_HOST=192.0.2.1  the address of ours that it posts to, where that is not 127.0.0.1
    LIVEKIT_EGRESS_FOLDER=/out      where its egress service may write files, where that is not its working directory

Rooms are named chatd-contract-…; none is left behind. Only what LiveKit documents is expected, and that it happens
within PATIENCE_S.
"""

from __future__ import annotations

import asyncio
import datetime
import functools
import os
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from livekit import api
from livekit.protocol import models
from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.web.server import Site

from chatd.core.media import Grants, MediaError, MediaEvent, MediaParticipant, Recording
from chatd.meet.engine.engine import Engine, OneServer
from chatd.meet.engine.tokens import AccessKey
from chatd.meet.engine.webhooks import WebhookResource
from chatd.settings.kinds import WebSocketAddress
from tests.bridge.clients.bridge_process import KEY, SECRET, BridgeProcess
from tests.bridge.clients.line_process import Failed
from tests.bridge.clients.sdk import Sdk

PATIENCE_S = 30.0
SMALL = {"width": 320, "height": 180}
OUTSIDE = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
ROOMS = f"chatd-contract-{secrets.token_hex(4)}-"
# LiveKit's own key for development is shorter than it should be.
pytestmark = pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")


class Blocking:
    """An engine for code that waits: tests run in a thread of their own, fixtures beside the reactor."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            method = getattr(self._engine, name)
            if threading.current_thread() is threading.main_thread():
                return pytest_twisted.blockon(maybeDeferred(method, *args, **options))
            return blockingCallFromThread(reactor, method, *args, **options)

        return call


def waits(test: Callable[..., None]) -> Callable[..., Any]:
    """A test that waits, in a thread, while the reactor goes on."""
    @functools.wraps(test)
    async def run(**fixtures: Any) -> None:
        await deferToThread(test, **fixtures)

    return pytest_twisted.ensureDeferred(run)


class Server:
    """An engine to ask, through chatd's client (`engine`); as a `bridge` for Sdk it gives address and tokens."""

    def __init__(self, url: str, key: str, secret: str, name: str) -> None:
        self.url, self.name = url, name
        self.key = AccessKey(key, secret)
        self.engine = Blocking(Engine("livekit", url, self.key, OneServer(url), reactor, time.time))
        self.events: list[MediaEvent] = []
        self.is_outside = False
        self.has_webhooks = True
        self.egress_folder = ""

    @property
    def http_url(self) -> str:
        return "http" + self.url.removeprefix("ws")

    def token(self, identity: str, room: str = "room", **grants: Any) -> str:
        """By chatd, as a meeting gives it."""
        return self.engine.access_token(identity, room, Grants(**grants), name=identity.title())

    def api(self, call: Callable[[api.LiveKitAPI], Awaitable[Any]]) -> Any:
        """Ask through livekit-api."""
        async def run() -> Any:
            async with api.LiveKitAPI(self.http_url, self.key.key, self.key.secret) as client:
                return await call(client)

        return asyncio.run(run())

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Ask until the answer is true, and give it; webhooks come in meanwhile."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = condition()
            if answer:
                return answer
            assert time.monotonic() < deadline, f"it never came to that: {what}"
            time.sleep(0.1)

    def participants(self, room: str) -> dict[str, MediaParticipant]:
        return {one.identity: one for one in self.engine.list_participants(room)}

    def has(self, room: str, *identities: str) -> bool:
        found = self.participants(room)
        return set(found) == set(identities) and all(one.state == "active" for one in found.values())

    def record(self, room: str) -> Recording:
        """Start a recording; the test is skipped where an outside server says that nobody there could make it."""
        path = f"{self.egress_folder}/{room}.mp4" if self.egress_folder else f"{room}.mp4"
        try:
            found: Recording = self.engine.start_room_recording(room, path)
        except MediaError as refused:
            if self.is_outside and refused.code in ("internal", "unavailable", "unimplemented"):
                pytest.skip(f"the server has no egress service: {refused.text}")
            raise
        return found


def embedded(webhook: str, folder: Any) -> Iterator[Server]:
    process = BridgeProcess(webhooks={"urls": [webhook], "key": KEY}, recordings=str(folder))
    yield Server(process.url, KEY, SECRET, "embedded")
    assert process.process.poll() is None, process.log[-20:]
    process.stop()


def outside() -> Iterator[Server]:
    missing = [name for name in OUTSIDE if not os.environ.get(name)]
    if missing:
        pytest.fail(f"to name a LiveKit server, set {' and '.join(missing)} as well")
    # As a site writes it into its configuration.
    url, key, secret = (os.environ[name] for name in OUTSIDE)
    server = Server(WebSocketAddress().read(url, Path()), key, secret, "outside")
    server.is_outside = True
    server.has_webhooks = bool(os.environ.get("LIVEKIT_WEBHOOK_PORT"))
    server.egress_folder = os.environ.get("LIVEKIT_EGRESS_FOLDER", "").rstrip("/")
    try:
        server.engine.list_rooms()
    except MediaError as refused:
        pytest.fail(f"the LiveKit server at {server.url} cannot be asked: {refused}")
    yield server


@pytest.fixture(scope="module", params=["embedded", *(["outside"] if any(map(os.environ.get, OUTSIDE)) else [])])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The engine, with a place for its webhooks."""
    is_outside = request.param == "outside"
    key = AccessKey(os.environ.get("LIVEKIT_API_KEY", ""), os.environ.get("LIVEKIT_API_SECRET", ""))
    events: list[MediaEvent] = []
    hook = WebhookResource(key if is_outside else AccessKey(KEY, SECRET), events.append, time.time)
    wanted = int(os.environ.get("LIVEKIT_WEBHOOK_PORT") or 0) if is_outside else 0
    host = os.environ.get("LIVEKIT_WEBHOOK_HOST") if is_outside else None
    port = reactor.listenTCP(wanted, Site(hook), interface=host or "127.0.0.1")
    try:
        address = f"http://127.0.0.1:{port.getHost().port}/"
        life = outside() if is_outside else embedded(address, tmp_path_factory.mktemp("recordings"))
        made = next(life)
        made.events = events
        yield made
        made.until(lambda: not [found.name for found in made.engine.list_rooms() if found.name.startswith(ROOMS)],
                   "no room of ours is left")
        made.engine.close()
        next(life, None)
    finally:
        pytest_twisted.blockon(maybeDeferred(port.stopListening))


@pytest.fixture
def webhooks(server: Server) -> None:
    if not server.has_webhooks:
        pytest.skip("nothing says that the server posts webhooks to us (LIVEKIT_WEBHOOK_PORT)")


@pytest.fixture
def room(server: Server) -> Iterator[str]:
    """A room of the test's own; nobody is in it afterwards."""
    name = ROOMS + secrets.token_hex(6)
    yield name
    server.engine.delete_room(name)


@pytest.fixture
def people(server: Server, room: str) -> Iterator[Callable[..., Sdk]]:
    """people("ann", …) joins the room, unless joins=False."""
    made: list[Sdk] = []

    def join(identity: str, joins: bool = True, **options: Any) -> Sdk:
        made.append(Sdk(server, identity, room, joins=False, **options))  # type: ignore[arg-type]
        if joins:
            made[-1].join()
        return made[-1]

    yield join
    for one in made:
        one.leave()


@waits
def test_a_room_is_made_found_changed_and_deleted(server: Server, room: str) -> None:
    engine = server.engine
    made = engine.create_room(room, metadata="first", max_participants=7, empty_timeout_s=120)
    assert (made.name, made.metadata, made.max_participants) == (room, "first", 7) and made.sid.startswith("RM_")
    assert abs(made.created - time.time()) < 3600
    assert engine.create_room(room).sid == made.sid, "the one there is"
    assert [found.sid for found in engine.list_rooms([room])] == [made.sid]
    listed = server.api(lambda client: client.room.list_rooms(api.ListRoomsRequest(names=[room])))
    assert [found.sid for found in listed.rooms] == [made.sid]
    assert made.sid in {found.sid for found in engine.list_rooms()}
    assert engine.update_room_metadata(room, "second").metadata == "second"
    assert engine.list_participants(room) == []
    assert engine.delete_room(room) is True
    server.until(lambda: engine.list_rooms([room]) == [], "the room is gone")


@waits
def test_a_room_that_is_not_there(server: Server, room: str) -> None:
    engine = server.engine
    assert engine.list_rooms([room]) == []
    assert engine.list_participants(room) == []
    assert engine.get_participant(room, "ann") is None
    assert engine.remove_participant(room, "ann") is False
    assert engine.delete_room(room) is False
    with pytest.raises(MediaError) as refused:
        engine.update_room_metadata(room, "x")
    assert refused.value.code == "not_found"
    for ask in (lambda: engine.send_data(room, b"x"), lambda: engine.mute_track(room, "ann", "TR_none"),
                lambda: engine.update_subscriptions(room, "ann", ["TR_none"], True)):
        with pytest.raises(MediaError) as refused:
            ask()
        assert refused.value.code == "not_found"


@waits
def test_another_key_is_refused(server: Server, room: str) -> None:
    key = AccessKey(server.key.key, "x" * 40)
    eve = Blocking(Engine("livekit", server.url, key, OneServer(server.url), reactor, time.time))
    with pytest.raises(MediaError) as refused:
        eve.create_room(room)
    assert refused.value.code == "unauthenticated"
    eve.close()


@waits
def test_a_token_says_who_comes(server: Server, room: str, people: Callable[..., Sdk]) -> None:
    token = server.engine.access_token(
        "ann", room, Grants(), name="Ann Example", metadata="[1]", attributes={"hat": "host"})
    ann = people("ann", token=token)
    own = ann.state()["own"]
    assert (own["name"], own["metadata"], own["attributes"]) == ("Ann Example", "[1]", {"hat": "host"})
    server.until(lambda: server.has(room, "ann"), "she is in")
    found = server.participants(room)["ann"]
    assert (found.name, found.metadata, dict(found.attributes)) == ("Ann Example", "[1]", {"hat": "host"})
    assert found.sid.startswith("PA_") and abs(found.joined - time.time()) < 3600
    ben = people("ben")
    seen = server.until(lambda: ben.state()["others"].get("ann"), "he sees her")
    assert (seen["sid"], seen["name"], seen["attributes"]) == (found.sid, "Ann Example", {"hat": "host"})


@waits
def test_tokens_of_livekits_library_are_the_same(server: Server, room: str, people: Callable[..., Sdk]) -> None:
    theirs = api.AccessToken(server.key.key, server.key.secret).with_identity("ben").with_grants(
        api.VideoGrants(room_join=True, room=room)).with_ttl(datetime.timedelta(minutes=5)).to_jwt()
    ann, ben = people("ann"), people("ben", token=theirs)
    server.until(lambda: "ben" in ann.state()["others"] and "ann" in ben.state()["others"], "they see each other")


@pytest.mark.parametrize("what", ["no signature of ours", "expired", "not to join"])
@waits
def test_tokens_that_let_nobody_in(server: Server, room: str, people: Callable[..., Sdk], what: str) -> None:
    token = {
        "no signature of ours": AccessKey(server.key.key, "y" * 40).access_token(
            "eve", room, Grants(), time.time(), 60),
        "expired": server.key.access_token("eve", room, Grants(), time.time() - 3600, 60),
        "not to join": server.key.sign({"sub": "eve", "video": {"room": room, "roomList": True}}, time.time(), 60),
    }[what]
    with pytest.raises(Failed):
        people("eve", token=token)
    assert "eve" not in server.participants(room)


@waits
def test_who_publishes_is_seen(server: Server, room: str, people: Callable[..., Sdk]) -> None:
    """Three people; tracks as the engine tells them are those that arrive."""
    everybody = [people(name) for name in ("ann", "ben", "cat")]
    for one in everybody[:2]:
        one.publish("camera", **SMALL)
    everybody[0].publish("microphone")
    for one in everybody[1:]:
        one.until_seen("ann/camera", 10, PATIENCE_S)
        one.until_seen("ann/microphone", 20, PATIENCE_S)
    everybody[0].until_seen("ben/camera", 10, PATIENCE_S)
    server.until(lambda: server.has(room, "ann", "ben", "cat"), "all are active")
    tracks = server.until(lambda: len(found := server.participants(room)["ann"].tracks) == 2 and found, "two tracks")
    assert {(track.kind, track.source) for track in tracks} == {("audio", "microphone"), ("video", "camera")}
    camera = next(track for track in tracks if track.kind == "video")
    assert camera.sid == everybody[2].state()["others"]["ann"]["tracks"]["camera"]["sid"]
    assert camera.mime_type.lower() == "video/vp8" and not camera.is_muted

    def count() -> int:
        return sum(found.participants for found in server.engine.list_rooms([room]))

    server.until(lambda: count() == 3, "the room has three")


@waits
def test_how_media_flow(server: Server, room: str, people: Callable[..., Sdk]) -> None:
    if server.engine.name != "embedded":
        with pytest.raises(MediaError) as caught:
            server.engine.list_flows(room)
        assert caught.value.code == "unimplemented"
        return
    assert server.engine.list_flows(room) == []
    ann, ben = people("ann"), people("ben")
    ann.publish("camera", **SMALL)
    ben.until_seen("ann/camera", 5)
    [track] = server.until(lambda: [
        one for one in server.engine.list_flows(room) if one["layers"] and one["layers"][0]["bps"]], "it comes")
    assert (track["from"], track["name"], track["source"], track["codec"]) == ("ann", "Ann", "camera", "vp8")
    [layer], [way] = track["layers"], track["to"]
    assert layer["keyframes"] >= 1 and layer["packets"] >= way["packets"] > 0
    assert (way["who"], way["state"], way["refused"]) == ("ben", "flows", 0)


@waits
def test_a_track_is_muted_from_afar_but_not_unmuted(server: Server, room: str, people: Callable[..., Sdk]) -> None:
    ann, ben = people("ann"), people("ben")
    sid = ann.publish("microphone")
    ben.wait("track_subscribed", sid, timeout_s=PATIENCE_S)
    assert server.engine.mute_track(room, "ann", sid).is_muted
    ben.wait("track_muted", "ann", timeout_s=PATIENCE_S)
    server.until(lambda: server.participants(room)["ann"].tracks[0].is_muted, "it is told as muted")
    try:
        server.engine.mute_track(room, "ann", sid, muted=False)
        assert server.is_outside, "a setting of LiveKit's allows it, room.enable_remote_unmute"
    except MediaError as refused:
        assert refused.code == "failed_precondition"
    with pytest.raises(MediaError) as missing:
        server.engine.mute_track(room, "ann", "TR_none")
    assert missing.value.code == "not_found"
    ann.do("mute", source="microphone", muted=False)
    ben.wait("track_unmuted", "ann", timeout_s=PATIENCE_S)


@waits
def test_who_is_removed_is_gone(server: Server, room: str, people: Callable[..., Sdk]) -> None:
    ann, ben = people("ann"), people("ben")
    server.until(lambda: server.has(room, "ann", "ben"), "both are in")
    assert server.engine.remove_participant(room, "ann") is True
    ann.wait("disconnected", timeout_s=PATIENCE_S)
    ben.wait("participant_disconnected", "ann", timeout_s=PATIENCE_S)
    server.until(lambda: server.engine.get_participant(room, "ann") is None, "she is not there any more")
    assert server.engine.get_participant(room, "ben") is not None


@waits
def test_the_end_of_a_room_is_the_end_for_all(server: Server, room: str, people: Callable[..., Sdk]) -> None:
    both = [people("ann"), people("ben")]
    assert server.engine.delete_room(room) is True
    for one in both:
        one.wait("disconnected", timeout_s=PATIENCE_S)
    server.until(lambda: server.engine.list_rooms([room]) == [], "the room is gone")


@waits
def test_the_same_identity_again_ends_the_first(server: Server, room: str, people: Callable[..., Sdk]) -> None:
    first = people("ann")
    second = people("ann")
    first.wait("disconnected", timeout_s=PATIENCE_S)
    sid = second.state()["own"]["sid"]

    def sids() -> list[str]:
        return [one.sid for one in server.participants(room).values()]

    server.until(lambda: sids() == [sid], "one is left")


@waits
def test_a_room_takes_no_more_than_it_may(server: Server, room: str, people: Callable[..., Sdk]) -> None:
    server.engine.create_room(room, max_participants=1)
    people("ann")
    with pytest.raises(Failed):
        people("ben")
    assert "ben" not in server.participants(room)


@waits
def test_what_is_told_of_a_participant_changes(server: Server, room: str, people: Callable[..., Sdk]) -> None:
    ann, ben = people("ann"), people("ben")
    server.until(lambda: server.has(room, "ann", "ben"), "both are in")
    changed = server.engine.update_participant(
        room, "ann", name="Annie", metadata="m", attributes={"hand": "up"})
    assert (changed.identity, changed.name) == ("ann", "Annie")

    def told(one: Sdk, who: str) -> bool:
        state = one.state()
        seen = state["own"] if who == "own" else state["others"][who]
        return (seen["name"], seen["metadata"], seen["attributes"].get("hand")) == ("Annie", "m", "up")

    server.until(lambda: told(ben, "ann") and told(ann, "own"), "everybody knows")
    server.engine.update_participant(room, "ann", attributes={"hand": ""})
    server.until(lambda: not ben.state()["others"]["ann"]["attributes"].get("hand"), "an attribute is taken away")
    assert ben.state()["others"]["ann"]["metadata"] == "m", "what is not given stays"
    with pytest.raises(MediaError) as refused:
        server.engine.update_participant(room, "nobody", name="x")
    assert refused.value.code == "not_found"
    with pytest.raises(MediaError) as refused:
        server.engine.update_subscriptions(room, "nobody", ["TR_none"], True)
    assert refused.value.code == "not_found"


@waits
def test_grants(server: Server, room: str, people: Callable[..., Sdk]) -> None:
    """Who may not publish, may not; who may publish sound only, publishes sound only."""
    listener = people("ann", may_publish=False)
    speaker = people("ben", sources=("microphone",))
    hidden = people("cat", is_hidden=True)
    with ThreadPoolExecutor() as pool:              # the SDK gives up after some ten seconds
        refused = [pool.submit(one.publish, "camera", **SMALL) for one in (listener, speaker)]
        assert all(isinstance(one.exception(), Failed) for one in refused)
    speaker.publish("microphone")
    listener.until_seen("ben/microphone", 10, PATIENCE_S)
    hidden.until_seen("ben/microphone", 10, PATIENCE_S)
    assert "cat" not in listener.state()["others"] and "cat" not in speaker.state()["others"]
    assert [track.source for track in server.participants(room)["ben"].tracks] == ["microphone"]
    assert server.participants(room)["ann"].tracks == ()


@waits
def test_grants_are_taken_and_given(server: Server, room: str, people: Callable[..., Sdk]) -> None:
    ann, ben = people("ann"), people("ben")
    sid = ann.publish("camera", **SMALL)
    ben.until_seen("ann/camera", 5, PATIENCE_S)
    server.engine.update_participant(room, "ann", grants=Grants(may_publish=False))
    ben.wait("track_unpublished", sid, timeout_s=PATIENCE_S)
    server.until(lambda: server.participants(room)["ann"].tracks == (), "what was published ends")
    ann.wait("participant_permissions_changed", timeout_s=PATIENCE_S)
    seen = len(ann.events)
    server.engine.update_participant(room, "ann", grants=Grants())
    ann.wait("participant_permissions_changed", timeout_s=PATIENCE_S, after=seen)
    sid = ann.publish("microphone")
    ben.wait("track_subscribed", sid, timeout_s=PATIENCE_S)


@waits
def test_data_to_all_and_to_one(server: Server, room: str, people: Callable[..., Sdk]) -> None:
    ann, ben = people("ann"), people("ben")
    server.until(lambda: server.has(room, "ann", "ben"), "both are in")

    def has(one: Sdk, text: str) -> bool:
        return any(event.get("event") == "data" and event["text"] == text and event["topic"] == "bell"
                   for event in one.events)

    def told(text: str, to: tuple[str, ...], *who: Sdk) -> None:
        # What is sent while a channel is being opened may be lost: it is sent again.
        def sent() -> bool:
            server.engine.send_data(room, text.encode(), topic="bell", to=to)
            return all(has(one, text) for one in who)

        server.until(sent, f"they are told {text}")

    told("to one", ("ben",), ben)
    told("to all", (), ann, ben)
    assert not has(ann, "to one")


@waits
def test_metadata_of_a_room_reach_everybody(server: Server, room: str, people: Callable[..., Sdk]) -> None:
    ann = people("ann")
    server.engine.update_room_metadata(room, "topic")
    server.until(lambda: ann.state()["metadata"] == "topic", "she knows")


@waits
def test_subscriptions_from_afar(server: Server, room: str, people: Callable[..., Sdk]) -> None:
    ann, ben = people("ann"), people("ben")
    sid = ann.publish("camera", **SMALL)
    ben.until_seen("ann/camera", 5, PATIENCE_S)

    def frames() -> int:
        return int(ben.frames()["ann/camera"]["frames"])

    def is_still() -> bool:
        before = frames()
        time.sleep(1.0)
        return frames() == before

    # The SDK makes no event of it: the picture stands still.
    server.engine.update_subscriptions(room, "ben", [sid], False)
    server.until(is_still, "the picture stands still")
    server.engine.update_subscriptions(room, "ben", [sid], True)
    ben.until_seen("ann/camera", 5, PATIENCE_S)


@waits
def test_livekits_client_sees_the_same(server: Server, room: str, people: Callable[..., Sdk]) -> None:
    ann = people("ann")
    ann.publish("camera", **SMALL)
    ours = server.until(lambda: (found := server.participants(room).get("ann")) and found.tracks and found, "she is in")
    theirs: models.ParticipantInfo = server.api(
        lambda client: client.room.get_participant(api.RoomParticipantIdentity(room=room, identity="ann")))
    assert (theirs.sid, theirs.name, theirs.tracks[0].sid) == (ours.sid, ours.name, ours.tracks[0].sid)
    assert theirs.tracks[0].source == models.CAMERA and ours.tracks[0].source == "camera"
    server.api(lambda client: client.room.update_participant(api.UpdateParticipantRequest(
        room=room, identity="ann", metadata="theirs")))
    server.until(lambda: server.participants(room)["ann"].metadata == "theirs", "we see what they changed")


@pytest.mark.usefixtures("webhooks")
@waits
def test_webhooks(server: Server, room: str, people: Callable[..., Sdk]) -> None:
    ann = people("ann")
    sid = ann.publish("camera", **SMALL)

    def kinds() -> list[str]:
        return [event.kind for event in server.events if event.room is not None and event.room.name == room]

    server.until(lambda: "track_published" in kinds(), "it is told that she publishes")
    own = ann.state()["own"]["sid"]
    ann.leave()
    server.until(lambda: "participant_left" in kinds(), "it is told that she left")
    server.engine.delete_room(room)
    server.until(lambda: "room_finished" in kinds(), "it is told that the room is over")
    found = kinds()
    order = ["room_started", "participant_joined", "track_published", "participant_left", "room_finished"]
    assert sorted(order, key=found.index) == order, found
    events = {event.kind: event for event in server.events if event.room is not None and event.room.name == room}
    joined, published = events["participant_joined"].participant, events["track_published"]
    assert joined is not None and (joined.identity, joined.sid) == ("ann", own)
    assert published.track is not None and published.track.sid == sid
    ids = [event.id for event in server.events]
    assert len(ids) == len(set(ids)) and all(ids)


@waits
def test_recordings_are_listed_or_refused_in_words(server: Server, room: str) -> None:
    """A LiveKit server without Redis, and so without an egress service, says so."""
    try:
        assert server.engine.list_recordings(room) == []
    except MediaError as refused:
        assert server.is_outside and refused.text
    with pytest.raises(MediaError):
        server.engine.start_room_recording(room, f"{room}.mp4")
    with pytest.raises(MediaError):
        server.engine.stop_recording("EG_nothing")


@waits
def test_a_recording(server: Server, room: str, people: Callable[..., Sdk]) -> None:
    ann = people("ann")
    ann.publish("camera", **SMALL)
    ann.publish("microphone")
    engine = server.engine
    started = server.record(room)
    assert started.id.startswith("EG_") and started.room == room and not started.is_over

    def now() -> Any:
        return {one.id: one for one in engine.list_recordings(room)}[started.id]

    server.until(lambda: now().status == "active", "it runs")
    assert [one.id for one in engine.list_recordings(room, is_active=True)] == [started.id]
    server.until(lambda: ann.state()["is_recording"], "people are told")
    time.sleep(3.0)  # so that there is something to record
    stopped = engine.stop_recording(started.id)
    assert stopped.id == started.id and stopped.status in ("ending", "complete")
    over = server.until(lambda: (found := now()).is_over and found, "its file is there")
    assert over.status == "complete", over
    (file,) = over.files
    assert file.path and file.size_bytes > 1000 and over.ended >= over.started > 0
    with pytest.raises(MediaError):
        engine.stop_recording(started.id)
    if server.has_webhooks:
        def kinds() -> set[str]:
            return {event.kind for event in server.events
                    if event.recording is not None and event.recording.id == started.id}

        server.until(lambda: {"egress_started", "egress_ended"} <= kinds(), "it is told of")
