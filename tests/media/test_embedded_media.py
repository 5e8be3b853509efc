"""The embedded engine whole, with two real bridge processes: rooms are where their names say, and are found there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater

from chatd.core.media import MediaError, MediaEvent
from chatd.media.service import EmbeddedMedia, make_media
from chatd.settings import Domain, Http, Media, Server, Settings
from tests.bridge.peer import own_address


def settings(folder: Path, **media: Any) -> Settings:
    return Settings(
        path=folder / "chatd.toml", server=Server(host="localhost", state_dir=folder),
        domains=(Domain(name="example.com", certificate=folder / "c", key=folder / "k"),),
        http=Http(public_url="https://chat.example"), media=Media(address=own_address(), port=0, **media))


async def until(holds: Any, what: str) -> None:
    for _ in range(600):
        if holds():
            return
        await deferLater(reactor, 0.05)
    raise AssertionError(f"it never came to that: {what}")


@pytest_twisted.async_yield_fixture
async def media(tmp_path: Path) -> AsyncIterator[EmbeddedMedia]:
    import time

    made = make_media(settings(tmp_path, processes=2, spare=False), b"x" * 32, lambda request: True, reactor, time.time)
    assert isinstance(made, EmbeddedMedia)
    made.startService()
    yield made
    await made.stopService()


@pytest_twisted.ensureDeferred
async def test_rooms_over_two_processes(media: EmbeddedMedia) -> None:
    engine = media.engine
    assert engine is not None
    assert (engine.name, engine.url) == ("embedded", "wss://chat.example")
    with pytest.raises(MediaError) as refused:
        await engine.list_rooms()
    assert refused.value.code == "unavailable"
    await until(lambda: all(one.ready for one in media.bridges.all), "both serve")
    told: list[MediaEvent] = []
    engine.listen(told.append)
    names = [f"room {number}" for number in range(12)]
    for name in names:
        await engine.create_room(name, metadata=name)
    await until(lambda: sum(one.health.get("rooms", 0) for one in media.bridges.all) == 12, "twelve rooms are told of")
    assert all(one.health["rooms"] for one in media.bridges.all), "both have some"
    assert sorted(room.name for room in await engine.list_rooms()) == sorted(names)
    assert [room.name for room in await engine.list_rooms(["room 3", "none"])] == ["room 3"]
    assert (await engine.update_room_metadata("room 7", "new")).metadata == "new"
    assert await engine.delete_room("room 5") is True and await engine.delete_room("room 5") is False
    await until(lambda: any(event.kind == "room_finished" for event in told), "the webhook comes")
    assert [event.room.name for event in told if event.kind == "room_finished" and event.room] == ["room 5"]

    first = media.bridges.all[0]
    mine = first.health["rooms"]
    first._kill("the test wants it")
    await until(lambda: first.ready is not None and first.restarts == 1, "another one serves")
    await until(lambda: any(event.kind == "engine_restarted" for event in told), "who listens is told")
    left = {room.name for room in await engine.list_rooms()}
    assert len(left) < 12 and mine, "what it had is gone, the other one's rooms are there"
    assert (await engine.create_room("room 5")).name == "room 5"


def test_engines_by_their_names(tmp_path: Path) -> None:
    off = make_media(settings(tmp_path, engine="off"), b"x" * 32, lambda request: True, reactor, lambda: 0.0)
    assert off.engine is None and off.mounts() == {} and off.status() == {"engine": "off"}
    given = SimpleNamespace(url="wss://lk.example", api_key="k", api_secret="s" * 40)
    other = make_media(settings(tmp_path, engine="livekit", **vars(given)), b"x" * 32, lambda request: True, reactor,
                       lambda: 0.0)
    assert other.engine is not None and (other.engine.name, other.engine.url) == ("livekit", "wss://lk.example")
    assert list(other.mounts()) == ["/livekit-webhook"] and given.api_secret not in repr(other.engine.key)
