"""Twirp: two encodings, errors as Twirp has them, whatever is sent."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from livekit import api
from livekit.protocol import models as M
from livekit.protocol import room as API

from chatd.bridge import roomservice, twirp

KEY, SECRET = "APIkey", "s" * 40


class Rooms:
    """A service with three methods."""

    async def create_room(self, request: API.CreateRoomRequest, grants: twirp.Grants | None) -> M.Room:
        await asyncio.sleep(0)
        return M.Room(name=request.name, empty_timeout=request.empty_timeout)

    def list_rooms(self, request: API.ListRoomsRequest, grants: twirp.Grants | None) -> API.ListRoomsResponse:
        raise TypeError("secret of the house")

    def delete_room(self, request: API.DeleteRoomRequest, grants: twirp.Grants | None) -> API.DeleteRoomResponse:
        if grants is None or not grants.may_create:
            raise twirp.denied()
        raise twirp.TwirpError("failed_precondition", "not today")


Ask = Callable[..., Awaitable[tuple[int, str, bytes]]]


def serving(test: Callable[[Ask], Awaitable[None]]) -> None:
    async def run() -> None:
        app = web.Application()
        made = twirp.Twirp({KEY: SECRET})
        made.add(roomservice.DESCRIPTOR, Rooms())
        made.add_to(app)
        runner = web.AppRunner(app, access_log=None, lingering_time=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        base = "http://127.0.0.1:%d/twirp/" % runner.addresses[0][1]
        async with aiohttp.ClientSession() as session:
            async def ask(path: str = "livekit.RoomService/CreateRoom", body: Any = b"", kind: str = twirp.PROTOBUF,
                          token: str = "", method: str = "POST") -> tuple[int, str, bytes]:
                headers = {"Content-Type": kind, **({"Authorization": token} if token else {})}
                async with session.request(method, base + path, data=body, headers=headers) as response:
                    return response.status, response.content_type, await response.read()

            try:
                await test(ask)
            finally:
                await runner.cleanup()

    asyncio.run(run())


def token(secret: str = SECRET, **grants: Any) -> str:
    return "Bearer " + api.AccessToken(KEY, secret).with_grants(api.VideoGrants(**grants)).to_jwt()


def test_protobuf() -> None:
    async def test(ask: Ask) -> None:
        status, kind, body = await ask(body=API.CreateRoomRequest(name="blue", empty_timeout=7).SerializeToString())
        assert (status, kind, M.Room.FromString(body)) == (200, twirp.PROTOBUF, M.Room(name="blue", empty_timeout=7))

    serving(test)


def test_json_has_names_of_the_proto_file_and_takes_both() -> None:
    async def test(ask: Ask) -> None:
        for field in ("empty_timeout", "emptyTimeout"):
            request = json.dumps({"name": "blü", field: 7, "unheard": {"of": []}})
            status, kind, body = await ask(body=request, kind=twirp.JSON + "; charset=utf-8")
            found = json.loads(body)
            assert (status, kind, found["name"], found["empty_timeout"]) == (200, twirp.JSON, "blü", 7)
            # Empty ones too.
            assert found["num_participants"] == 0
        assert (await ask(body=b"", kind=twirp.JSON))[0] == 200

    serving(test)


@pytest.mark.parametrize(("asked", "status", "code"), [
    ({"path": "livekit.RoomService/Nothing"}, 404, "bad_route"),
    ({"path": "livekit.Nothing/CreateRoom"}, 404, "bad_route"),
    ({"path": "x"}, 404, "bad_route"),
    ({"path": ""}, 404, "bad_route"),
    ({"path": "livekit.RoomService/CreateRoom/more"}, 404, "bad_route"),
    ({"path": "livekit.RoomService/__init__"}, 404, "bad_route"),
    ({"method": "GET"}, 404, "bad_route"),
    ({"method": "PUT"}, 404, "bad_route"),
    ({"kind": "text/plain"}, 404, "bad_route"),
    ({"body": b"\xff\xff\xff"}, 400, "malformed"),
    ({"body": b"\x0a\x02\xff\xff"}, 400, "malformed"),
    ({"body": b"{", "kind": twirp.JSON}, 400, "malformed"),
    ({"body": b"[1]", "kind": twirp.JSON}, 400, "malformed"),
    ({"body": b"7", "kind": twirp.JSON}, 400, "malformed"),
    ({"body": b"null", "kind": twirp.JSON}, 400, "malformed"),
    ({"body": b"\xff", "kind": twirp.JSON}, 400, "malformed"),
    ({"body": b'{"name": {}}', "kind": twirp.JSON}, 400, "malformed"),
    ({"body": b'{"name": 7}', "kind": twirp.JSON}, 400, "malformed"),
    ({"body": b'{"egress": 7}', "kind": twirp.JSON}, 400, "malformed"),
    ({"body": b'{"empty_timeout": -1}', "kind": twirp.JSON}, 400, "malformed"),
    ({"body": b'{"empty_timeout": 1e300}', "kind": twirp.JSON}, 400, "malformed"),
    ({"body": b"[" * 200_000, "kind": twirp.JSON}, 400, "malformed"),
    ({"body": b'{"egress":' * 50_000, "kind": twirp.JSON}, 400, "malformed"),
    ({"body": b"\x0a" + b"\x80" * 100}, 400, "malformed"),
    ({"body": b"x" * (twirp.MOST_BODY + 1)}, 429, "resource_exhausted"),
    ({"path": "livekit.RoomService/MoveParticipant"}, 501, "unimplemented"),
    ({"path": "livekit.RoomService/ListRooms"}, 500, "internal"),
    ({"path": "livekit.RoomService/DeleteRoom"}, 401, "unauthenticated"),
    ({"path": "livekit.RoomService/DeleteRoom", "token": token(room_list=True)}, 401, "unauthenticated"),
    ({"path": "livekit.RoomService/DeleteRoom", "token": token(room_create=True)}, 412, "failed_precondition"),
    ({"token": token("wrong" * 10)}, 401, "unauthenticated"),
    ({"token": "Basic eDp5"}, 401, "unauthenticated"),
    ({"token": "Bearer"}, 401, "unauthenticated"),
    ({"token": "Bearer " + "x" * 5000}, 401, "unauthenticated"),
])
def test_errors(asked: dict[str, Any], status: int, code: str) -> None:
    async def test(ask: Ask) -> None:
        answered, kind, body = await ask(**asked)
        assert (answered, kind) == (status, "application/json"), body
        found = json.loads(body)
        assert found["code"] == code and found["msg"] and "secret of the house" not in found["msg"]
        assert (await ask())[0] == 200

    serving(test)


def test_a_body_without_an_announced_length_is_bounded() -> None:
    async def test(ask: Ask) -> None:
        async def endless() -> Any:
            for _ in range(twirp.MOST_BODY // 65536 + 2):
                yield b"x" * 65536

        status, _, body = await ask(body=endless())
        assert (status, json.loads(body)["code"]) == (429, "resource_exhausted")

    serving(test)


def test_a_body_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twirp, "BODY_S", 0.2)

    async def test(ask: Ask) -> None:
        async def slow() -> Any:
            yield b"\x0a\x04"
            await asyncio.sleep(30)

        started = time.monotonic()
        status, _, body = await ask(body=slow())
        assert (status, json.loads(body)["code"]) == (408, "deadline_exceeded")
        assert time.monotonic() - started < 20

    serving(test)
