"""The server API's client against a server of the test's own: what is sent, what each kind of answer becomes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pytest_twisted
from livekit import api
from livekit.protocol import egress, models, room
from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface.verify import verifyObject

from chatd.core.media import Grants, MediaError
from chatd.interfaces import IMediaEngine
from chatd.meet.engine import engine as engines
from chatd.meet.engine import twirp
from chatd.meet.engine.engine import Engine, OneServer
from chatd.meet.engine.tokens import AccessKey

KEY = AccessKey("APIchatd", "s" * 40)


class Server(Resource):
    """Answers every method by `answer(method, request body)`: a message, a (status, body), or NOT_DONE_YET."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.answer: Callable[[str, bytes], Any] = lambda method, body: b""
        self.asked: list[tuple[str, bytes, Any]] = []

    def render_POST(self, request: Any) -> Any:
        method = request.path.decode().removeprefix("/twirp/livekit.")
        assert request.getHeader("content-type") == "application/protobuf"
        token = request.getHeader("authorization").removeprefix("Bearer ")
        claims = api.TokenVerifier(KEY.key, KEY.secret).verify(token)
        body = request.content.read()
        self.asked.append((method, body, claims.video))
        answer = self.answer(method, body)
        if answer is NOT_DONE_YET:
            return answer
        if isinstance(answer, tuple):
            request.setResponseCode(answer[0])
            return answer[1]
        return answer.SerializeToString()


class Asked:
    """A server with its engine; `sites` are the engine's."""

    def __init__(self) -> None:
        import time

        self.fakes = [Server(), Server()]
        self.ports = [reactor.listenTCP(0, Site(server), interface="127.0.0.1") for server in self.fakes]
        self.urls = [f"http://127.0.0.1:{port.getHost().port}" for port in self.ports]
        self.engine = Engine("livekit", "wss://lk.example", KEY, self, reactor, time.time)

    def server(self, room: str) -> str:
        return self.urls[0]

    def servers(self) -> list[str]:
        return self.urls


@pytest.fixture
def asked() -> Iterator[Asked]:
    asked = Asked()
    yield asked
    pytest_twisted.blockon(asked.engine.close())
    for port in asked.ports:
        pytest_twisted.blockon(maybeDeferred(port.stopListening))


def test_the_interface() -> None:
    verifyObject(IMediaEngine, Engine("livekit", "wss://a", KEY, OneServer("wss://a"), reactor, lambda: 0.0))
    assert OneServer("wss://a:7880/b").server("r") == "https://a:7880/b"
    assert OneServer("ws://a").servers() == ["http://a"]


@pytest_twisted.ensureDeferred
async def test_a_room_is_made(asked: Asked) -> None:
    asked.fakes[0].answer = lambda method, body: models.Room(sid="RM_1", name="weekly")
    made = await asked.engine.create_room("weekly", metadata="m", max_participants=9, empty_timeout_s=60)
    assert (made.sid, made.name) == ("RM_1", "weekly")
    ((method, body, video),) = asked.fakes[0].asked
    request = room.CreateRoomRequest.FromString(body)
    assert (method, request.name, request.metadata, request.max_participants, request.empty_timeout) == (
        "RoomService/CreateRoom", "weekly", "m", 9, 60)
    assert video.room_create and not video.room_admin


@pytest_twisted.ensureDeferred
async def test_what_is_asked_about_a_room_is_granted_for_it_only(asked: Asked) -> None:
    asked.fakes[0].answer = lambda method, body: models.ParticipantInfo(sid="PA_1", identity="alice")
    await asked.engine.update_participant("weekly", "alice", metadata="m", grants=Grants(sources=("microphone",)))
    ((method, body, video),) = asked.fakes[0].asked
    request = room.UpdateParticipantRequest.FromString(body)
    assert list(request.permission.can_publish_sources) == [models.MICROPHONE] and request.permission.can_subscribe
    assert (video.room_admin, video.room, video.room_create, video.room_list) == (True, "weekly", None, None)


@pytest_twisted.ensureDeferred
async def test_all_servers_are_asked_for_rooms(asked: Asked) -> None:
    for number, server in enumerate(asked.fakes):
        server.answer = lambda method, body, number=number: room.ListRoomsResponse(
            rooms=[models.Room(sid=f"RM_{number}", name=f"room {number}")])
    assert [found.name for found in await asked.engine.list_rooms()] == ["room 0", "room 1"]
    await asked.ports[1].stopListening()
    await asked.engine.close()
    assert [found.name for found in await asked.engine.list_rooms()] == ["room 0"]


@pytest_twisted.ensureDeferred
async def test_a_recording_is_stopped_wherever_it_runs(asked: Asked) -> None:
    asked.fakes[0].answer = lambda method, body: (404, b'{"code": "not_found", "msg": "egress does not exist"}')
    asked.fakes[1].answer = lambda method, body: egress.EgressInfo(egress_id="EG_1", status=egress.EGRESS_ENDING)
    assert (await asked.engine.stop_recording("EG_1")).status == "ending"
    asked.fakes[1].answer = asked.fakes[0].answer
    with pytest.raises(MediaError) as refused:
        await asked.engine.stop_recording("EG_2")
    assert refused.value.code == "not_found"


@pytest_twisted.ensureDeferred
async def test_what_is_not_there(asked: Asked) -> None:
    asked.fakes[0].answer = lambda method, body: (404, b'{"code": "not_found", "msg": "no"}')
    engine = asked.engine
    assert await engine.delete_room("r") is False
    assert await engine.remove_participant("r", "a") is False
    assert await engine.get_participant("r", "a") is None
    assert await engine.list_participants("r") == []
    with pytest.raises(MediaError, match="not_found"):
        await engine.update_room_metadata("r", "m")


NOBODYS = (503, b'{"code": "unavailable", "msg": "no response from servers"}')


@pytest.mark.parametrize("what", ["room", "participant"])
@pytest_twisted.ensureDeferred
async def test_what_is_nobodys_is_not_there(asked: Asked, what: str) -> None:
    """LiveKit's servers ask among themselves whose a room or participant is; that nobody answers is no outage."""
    def answer(method: str, body: bytes) -> Any:
        if method == "RoomService/ListRooms":
            return room.ListRoomsResponse(rooms=[models.Room(name="r")] if what == "participant" else [])
        if method == "RoomService/GetParticipant":
            return 404, b'{"code": "not_found", "msg": "participant does not exist"}'
        return NOBODYS

    asked.fakes[0].answer = answer
    asked.fakes[1].answer = lambda method, body: room.ListRoomsResponse()
    engine = asked.engine
    calls = [lambda: engine.mute_track("r", "a", "TR_1"), lambda: engine.update_participant("r", "a", name="b"),
             lambda: engine.update_subscriptions("r", "a", ["TR_1"], True)]
    if what == "room":
        calls += [lambda: engine.send_data("r", b"x"), lambda: engine.update_room_metadata("r", "m")]
    for call in calls:
        with pytest.raises(MediaError) as refused:
            await call()
        assert refused.value.code == "not_found"
    assert await engine.remove_participant("r", "a") is False
    with pytest.raises(MediaError) as away:
        await engine.create_room("r")
    assert away.value.code == "unavailable", "a room that cannot be made is not missing"


@pytest_twisted.ensureDeferred
async def test_an_outage_of_what_is_there(asked: Asked) -> None:
    asked.fakes[1].answer = lambda method, body: room.ListRoomsResponse()
    asked.fakes[0].answer = lambda method, body: {
        "RoomService/ListRooms": room.ListRoomsResponse(rooms=[models.Room(name="r")]),
        "RoomService/GetParticipant": models.ParticipantInfo(identity="a")}.get(method, NOBODYS)
    for call in (lambda: asked.engine.mute_track("r", "a", "TR_1"), lambda: asked.engine.send_data("r", b"x")):
        with pytest.raises(MediaError) as refused:
            await call()
        assert refused.value.code == "unavailable"


@pytest_twisted.ensureDeferred
async def test_a_track_that_is_not_there_is_not_muted(asked: Asked) -> None:
    """LiveKit answers without a track and without an error."""
    asked.fakes[0].answer = lambda method, body: room.MuteRoomTrackResponse()
    with pytest.raises(MediaError, match="not_found"):
        await asked.engine.mute_track("r", "a", "TR_none")


REFUSALS = {
    (401, b'{"code": "unauthenticated", "msg": "permissions denied"}'): "unauthenticated",
    (400, b'{"code": "invalid_argument", "msg": "too long", "meta": {"argument": "7"}}'): "invalid_argument",
    (503, b"<html>the proxy is busy</html>"): "unavailable",
    (403, b""): "permission_denied",
    (404, b"404 page not found"): "bad_route",
    (418, b"[]"): "internal",
    (500, b"[" * 100_000): "unavailable",
    (200, b"\xff\xff\xff"): "internal",
}


@pytest.mark.parametrize("answer", REFUSALS, ids=[f"{code} {body[:9]!r}" for code, body in REFUSALS])
@pytest_twisted.ensureDeferred
async def test_refusals(asked: Asked, answer: tuple[int, bytes]) -> None:
    asked.fakes[0].answer = lambda method, body: answer
    with pytest.raises(MediaError) as refused:
        await asked.engine.create_room("r")
    assert refused.value.code == REFUSALS[answer]
    assert KEY.secret not in str(refused.value)


@pytest_twisted.ensureDeferred
async def test_an_engine_that_is_away(asked: Asked) -> None:
    await asked.ports[0].stopListening()
    with pytest.raises(MediaError) as refused:
        await asked.engine.create_room("r")
    assert refused.value.code == "unavailable"


@pytest_twisted.ensureDeferred
async def test_an_engine_that_says_nothing(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twirp, "TIMEOUT_S", 0.1)
    asked.fakes[0].answer = lambda method, body: NOT_DONE_YET
    with pytest.raises(MediaError) as refused:
        await asked.engine.create_room("r")
    assert refused.value.code == "unavailable" and "in time" in refused.value.text


@pytest_twisted.ensureDeferred
async def test_a_recording_has_longer_to_start(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twirp, "TIMEOUT_S", 0.01)
    monkeypatch.setattr(engines, "EGRESS_S", 0.2)
    asked.fakes[0].answer = lambda method, body: NOT_DONE_YET
    began = reactor.seconds()
    with pytest.raises(MediaError, match="StartRoomCompositeEgress in time"):
        await asked.engine.start_room_recording("r", "r.mp4")
    assert reactor.seconds() - began >= 0.2


@pytest_twisted.ensureDeferred
async def test_an_answer_without_end(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twirp, "MOST_BYTES", 1000)
    asked.fakes[0].answer = lambda method, body: (200, b"x" * 100_000)
    with pytest.raises(MediaError) as refused:
        await asked.engine.create_room("r")
    assert refused.value.code == "internal" and "too long" in refused.value.text


def test_a_listener_that_fails_keeps_nobody_from_an_event() -> None:
    engine = Engine("livekit", "wss://a", KEY, OneServer("wss://a"), reactor, lambda: 0.0)
    heard: list[Any] = []
    engine.listen(lambda event: json.loads("{"))
    ends = engine.listen(heard.append)
    event = engines.MediaEvent(id="1", kind="room_started", created=0.0)
    engine.tell(event)
    ends()
    ends()
    engine.tell(event)
    assert heard == [event]
