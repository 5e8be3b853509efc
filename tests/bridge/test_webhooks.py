"""Webhooks: signed so that LiveKit's own receiver takes them, in order, tried again, bounded; and of real rooms."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from livekit import api
from livekit.protocol import egress as E
from livekit.protocol import models as M
from livekit.protocol import webhook as W

from chatd.bridge import webhooks as module
from chatd.bridge.webhooks import Webhooks
from tests.bridge.clients.bridge_process import KEY, SECRET, BridgeProcess, until
from tests.bridge.clients.sdk import Sdk


class Receiver:
    """An HTTP server that reads webhooks as LiveKit's library does. `answer(event)` gives the status."""

    def __init__(self) -> None:
        self.events: list[W.WebhookEvent] = []
        self.requests = 0
        self.answer: Callable[[W.WebhookEvent], Any] = lambda event: 200
        self._read = api.WebhookReceiver(api.TokenVerifier(KEY, SECRET))
        app = web.Application()
        app.router.add_post("/hook", self._hook)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def start(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = "http://127.0.0.1:%d/hook" % self._runner.addresses[0][1]
        return self.url

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _hook(self, request: web.Request) -> web.Response:
        assert request.content_type == module.CONTENT_TYPE
        self.requests += 1
        event = self._read.receive((await request.read()).decode(), request.headers["Authorization"])
        status = self.answer(event)
        if isinstance(status, Awaitable):
            status = await status
        if status == 200:
            self.events.append(event)
        return web.Response(status=status, headers={"Location": "/hook"} if status == 307 else None)

    def names(self) -> list[str]:
        return [event.event for event in self.events]


def running(test: Callable[[Receiver, Callable[..., Webhooks]], Awaitable[None]]) -> None:
    async def run() -> None:
        receiver = Receiver()
        url = await receiver.start()
        made: list[Webhooks] = []

        def make(*urls: str, pauses_s: tuple[float, ...] = (0.01,) * 3) -> Webhooks:
            made.append(Webhooks(urls or (url,), KEY, SECRET, pauses_s=pauses_s))
            return made[-1]

        try:
            await asyncio.wait_for(test(receiver, make), 60)
        finally:
            for webhooks in made:
                await webhooks.close(0)
            await receiver.stop()

    asyncio.run(run())


async def until_true(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def event(number: int, room: str = "blue") -> W.WebhookEvent:
    return W.WebhookEvent(event="room_started", room=M.Room(name=room, num_participants=number))


def test_signed_and_in_order() -> None:
    async def test(receiver: Receiver, make: Any) -> None:
        webhooks = make()
        for number in range(30):
            webhooks.tell(event(number), "blue")
        webhooks.egress("egress_ended", E.EgressInfo(egress_id="EG_x", room_name="blue"))
        await until_true(lambda: len(receiver.events) == 31)
        assert [found.room.num_participants for found in receiver.events[:30]] == list(range(30))
        last = receiver.events[-1]
        assert (last.event, last.egress_info.egress_id) == ("egress_ended", "EG_x")
        assert last.id.startswith("EV_") and last.created_at and len({found.id for found in receiver.events}) == 31
        await webhooks.close(5)
        assert (webhooks.sent, webhooks.dropped) == (31, 0)

    running(test)


def test_tried_again_and_still_in_order() -> None:
    async def test(receiver: Receiver, make: Any) -> None:
        failing = iter([500, 503, 429, 200, 500] + [200] * 9)
        receiver.answer = lambda found: next(failing)
        webhooks = make()
        for number in range(5):
            webhooks.tell(event(number), "blue")
        await until_true(lambda: len(receiver.events) == 5)
        assert [found.room.num_participants for found in receiver.events] == [0, 1, 2, 3, 4]
        assert webhooks.dropped == 0 and receiver.requests == 9

    running(test)


@pytest.mark.parametrize("status", [400, 401, 404, 307])
def test_a_refusal_is_final(status: int) -> None:
    async def test(receiver: Receiver, make: Any) -> None:
        receiver.answer = lambda found: status if found.room.num_participants == 0 else 200
        webhooks = make()
        webhooks.tell(event(0), "blue")
        webhooks.tell(event(1), "blue")
        await until_true(lambda: len(receiver.events) == 1)
        assert receiver.requests == 2 and webhooks.dropped == 1
        # The next one says that something is missing.
        assert receiver.events[0].num_dropped == 1

    running(test)


def test_a_room_that_has_to_wait_does_not_hold_up_another() -> None:
    async def test(receiver: Receiver, make: Any) -> None:
        gate = asyncio.Event()

        async def slow() -> int:
            await gate.wait()
            return 200

        receiver.answer = lambda found: slow() if found.room.name == "blue" else 200
        webhooks = make()
        for number in range(3):
            webhooks.tell(event(number), "blue")
            webhooks.tell(event(number, "red"), "red")
        await until_true(lambda: len(receiver.events) == 3)
        assert {found.room.name for found in receiver.events} == {"red"}
        gate.set()
        await until_true(lambda: len(receiver.events) == 6)

    running(test)


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 5)

    async def test(receiver: Receiver, make: Any) -> None:
        gate = asyncio.Event()

        async def slow() -> int:
            await gate.wait()
            return 200

        receiver.answer = lambda found: slow()
        webhooks = make()
        for number in range(100):
            webhooks.tell(event(number), "room %d" % (number % 3))
        assert webhooks.dropped == 95
        gate.set()
        await until_true(lambda: len(receiver.events) == 5)
        webhooks.tell(event(7), "blue")
        await until_true(lambda: len(receiver.events) == 6)
        assert sum(found.num_dropped for found in receiver.events) == 95

    running(test)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "nonsense", "http://", "ftp://x/", "http://[::1", "http://\0/"])
def test_addresses_where_nobody_is(url: str) -> None:
    async def test(receiver: Receiver, make: Any) -> None:
        webhooks = make(url)
        webhooks.tell(event(0), "blue")
        await until_true(lambda: webhooks.dropped == 1)

    running(test)


def test_secrets_of_addresses_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def test(receiver: Receiver, make: Any) -> None:
        webhooks = make("http://user:geheim@127.0.0.1:1/x?token=geheim")
        webhooks.tell(event(0), "blue")
        await until_true(lambda: webhooks.dropped == 1)

    running(test)
    assert "127.0.0.1:1/x" in caplog.text and "geheim" not in caplog.text


def test_each_url_gets_everything() -> None:
    async def test(receiver: Receiver, make: Any) -> None:
        other = Receiver()
        try:
            webhooks = make(receiver.url, "http://127.0.0.1:1/", await other.start(), pauses_s=())
            webhooks.tell(event(0), "blue")
            await until_true(lambda: len(receiver.events) == len(other.events) == 1)
        finally:
            await other.stop()

    running(test)


def test_closing_waits_a_little() -> None:
    async def test(receiver: Receiver, make: Any) -> None:
        async def slow() -> int:
            await asyncio.sleep(0.2)
            return 200

        receiver.answer = lambda found: slow()
        webhooks = make()
        webhooks.tell(event(0), "blue")
        await webhooks.close(20)
        assert receiver.names() == ["room_started"] and webhooks.sent == 1
        receiver.answer = lambda found: asyncio.sleep(30, 200)
        late = make()
        late.tell(event(0), "blue")
        late.tell(event(1), "blue")
        await late.close(0.05)
        assert late.dropped == 2

    running(test)


class Listening:
    """A Receiver in a thread of its own, for tests that block."""

    def __enter__(self) -> Listening:
        self.receiver = Receiver()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self.receiver.start(), self._loop).result(20)
        return self

    def __exit__(self, *error: object) -> None:
        asyncio.run_coroutine_threadsafe(self.receiver.stop(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()


def test_a_meeting_with_real_clients() -> None:
    with Listening() as listening:
        bridge = BridgeProcess(webhooks={"urls": [listening.url], "key": KEY}, limits={"departure_timeout_s": 1})
        try:
            ann = Sdk(bridge, "ann", "blue")
            sid = ann.publish("microphone")
            ben = Sdk(bridge, "ben", "blue")
            ben.wait("track_subscribed", sid)
            ann.leave()
            ben.leave()
            found = listening.receiver
            until(lambda: "room_finished" in found.names(), what="the room ends")
        finally:
            assert bridge.stop() == 0
    names = found.names()
    assert names[0] == "room_started" and names[-1] == "room_finished"
    by = {(event.event, event.participant.identity): event for event in found.events}
    published = by["track_published", "ann"]
    assert published.track.sid == sid and published.track.source == M.TrackSource.MICROPHONE
    assert published.participant.sid.startswith("PA_") and published.room.name == "blue"
    assert names.index("participant_joined") < names.index("track_published") < names.index("track_unpublished")
    assert {("participant_joined", "ben"), ("participant_left", "ann"), ("participant_left", "ben"),
            ("track_unpublished", "ann")} <= set(by)
    assert by["participant_left", "ann"].participant.state == M.ParticipantInfo.State.DISCONNECTED
    assert len({event.room.sid for event in found.events}) == 1 and len(names) == 8
