"""The doors of a running bridge: tokens, join requests, gzip bombs, HTTP that is none, server API garbage."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import random
import time
from typing import Any

import jwt
import pytest
from livekit.protocol import models as M
from livekit.protocol import room as API
from livekit.protocol import rtc as R

from tests.bridge.clients.bridge_process import KEY, SECRET
from tests.bridge.clients.raw_signal import join_request, wrap
from tests.bridge.hostile import House

Compression = R.WrappedJoinRequest.Compression


def made(secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    now = time.time()
    usual = {"iss": KEY, "sub": "eve", "nbf": now, "exp": now + 86_400, "video": {"roomJoin": True, "room": "house"}}
    kept = {name: value for name, value in {**usual, **claims}.items() if value is not ...}
    return jwt.PyJWS().encode(json.dumps(kept).encode(), secret, algorithm=algorithm)


def alg_none() -> str:
    head, body, _ = made().split(".")
    return base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode() + f".{body}."


TOKENS = {
    "none": "", "garbage": "garbage", "forged": made("forged" * 10), "alg none": alg_none(),
    "expired": made(exp=time.time() - 3600), "no exp": made(exp=...), "not yet": made(nbf=time.time() + 3600),
    "unknown key": made(iss="nobody"), "no room": made(video={"roomJoin": True}), "no identity": made(sub=""),
    "no join": made(video={"roomAdmin": True, "room": "house"}), "nested": made(video=json.loads("[" * 90 + "]" * 90)),
    "cut": made()[:-20], "long": "x" * 40_000, "too long for a line": "x" * 100_000,
    "binary": "".join(chr(n) for n in range(1, 256)),
}


@pytest.mark.parametrize("path", ["/rtc/v1", "/rtc/v1/validate", "/rtc", "/rtc/validate"])
def test_tokens(house: House, path: str) -> None:
    async def attack() -> None:
        for name, token in TOKENS.items():
            query = {"access_token": token, "join_request": wrap(join_request())}
            for way in ({"params": query}, {"params": {"join_request": query["join_request"]},
                                           "headers": {"Authorization": "Bearer " + token}}):
                if "headers" in way and not token.isprintable():
                    continue
                headers = {**way.get("headers", {}), "Connection": "Upgrade", "Upgrade": "websocket",
                           "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
                if path.endswith("validate"):
                    headers = way.get("headers", {})
                async with house.session.get(house.bridge.http_url + path, params=way["params"],
                                             headers=headers) as response:
                    text = await response.text()
                    assert response.status in (400, 401), (name, response.status)
                    if name != "too long for a line":
                        assert response.headers["Access-Control-Allow-Origin"] == "*" and text, name
                        assert response.status == (400 if name in ("no room", "no identity") else 401), (name, text)

    house.run(attack())


def test_a_token_is_for_one_room_and_one_identity(house: House) -> None:
    async def attack() -> None:
        # In another room nothing of this one is seen.
        eve = await house.enter(room="elsewhere")
        joined = await eve.next("join")
        assert not joined.other_participants and joined.room.name == "elsewhere"
        await eve.send(subscription=R.UpdateSubscription(
            track_sids=["TR_x"], subscribe=True, participant_tracks=[M.ParticipantTracks(
                participant_sid=house.ann_sid, track_sids=["TR_x"])]))
        await eve.pong()
        await eve.close()
        # Ann's session is resumed by nobody else: not by another identity, not from another room.
        resume = join_request(reconnect=True, participant_sid=house.ann_sid)
        for identity, room in (("eve", house.room), ("ann", "elsewhere"), ("eve", "elsewhere")):
            raw = await house.enter(identity, room, resume)
            assert await raw.ended() == M.DisconnectReason.STATE_MISMATCH

    house.run(attack())


def gzipped(data: bytes) -> str:
    """join_request of gzip data, whatever is inside."""
    wrapped = R.WrappedJoinRequest(compression=Compression.GZIP, join_request=data)
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()


def plain(data: bytes, compression: int = 0) -> str:
    wrapped = R.WrappedJoinRequest(compression=compression, join_request=data)  # type: ignore[arg-type]
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()


GOOD = gzip.compress(join_request().SerializeToString(), mtime=0)
REQUESTS = {
    "no base64": "%%%", "one letter": "A", "no protobuf": base64.b64encode(b"\xff" * 50).decode(),
    "no gzip": gzipped(b"nonsense"), "cut gzip": gzipped(GOOD[:-8]), "cut in the head": gzipped(GOOD[:5]),
    "wrong checksum": gzipped(GOOD[:-8] + b"\0" * 8), "gzip of garbage": gzipped(gzip.compress(b"\xff" * 100)),
    "bomb": gzipped(gzip.compress(b"\0" * 30_000_000)),
    "bomb of text": gzipped(gzip.compress(b"\x0a\x04" * 10_000_000)),
    "bombs in a row": gzipped(gzip.compress(b"\0" * 2_000_000) * 10),
    "bomb in a bomb": gzipped(gzip.compress(gzip.compress(b"\0" * 100_000_000))), "empty gzip": gzipped(b""),
    "plain garbage": plain(b"\xff" * 100), "invalid text": plain(b"\x12\x03\xff\xff\xff"),
    "a length beyond the end": plain(b"\x32\xff\xff\xff\xff\x07"), "deep": plain(b"\x32\x80\x01" * 2000),
}


def test_join_requests(house: House) -> None:
    async def attack() -> None:
        for _ in range(3):
            for name, text in REQUESTS.items():
                query = {"access_token": house.token(), "join_request": text}
                for path in ("/rtc/v1", "/rtc/v1/validate"):
                    async with house.session.get(house.bridge.http_url + path, params=query) as response:
                        assert response.status == 400 and "join_request" in await response.text(), name
        # Whatever else is in the request is bounded too.
        many = [R.AddTrackRequest(cid="c%d" % n, type=M.TrackType.AUDIO) for n in range(5000)]
        request = join_request(add_track_requests=many, metadata="x" * 500_000,
                               participant_attributes={"k%d" % n: "v" * 50 for n in range(2000)})
        raw = await house.enter(request=request)
        await raw.next("join")
        await raw.pong()
        assert raw.count("track_published") <= 16
        await raw.close()

    house.run(attack())


def test_bombs_at_once(house: House) -> None:
    async def attack() -> None:
        async def one(text: str) -> int:
            query = {"access_token": house.token(), "join_request": text}
            async with house.session.get(house.bridge.http_url + "/rtc/v1", params=query) as response:
                return response.status

        answers = await asyncio.gather(*(one(REQUESTS["bomb"]) for _ in range(100)))
        assert set(answers) == {400}

    house.run(attack())


HTTP = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(200), b"GET", b"GET / HTTP/9.9\r\n\r\n",
    b"\r\n" * 2000,
    b"GET /rtc/v1 HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * 200_000, b"G" * 200_000,
    b"GET /rtc/v1 HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 50_000 + b"\r\n",
    b"POST /twirp/livekit.RoomService/ListRooms HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /twirp/livekit.RoomService/ListRooms HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /twirp/livekit.RoomService/ListRooms HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /twirp/livekit.RoomService/ListRooms HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"GET /rtc/v1?access_token=%zz&join_request=%00 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\n\r\n",
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 500, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0" * 5000,
]


def test_http_that_is_none(house: House) -> None:
    async def attack() -> None:
        async def one(data: bytes) -> None:
            reader, writer = await asyncio.open_connection(*house.bridge.http)
            try:
                writer.write(data)
                await writer.drain()
                writer.write_eof()
                await asyncio.wait_for(reader.read(), 20)
            except OSError:
                pass
            finally:
                writer.close()

        for _ in range(3):
            await asyncio.gather(*(one(data) for data in HTTP))

    house.run(attack())


def test_connections_that_say_nothing(house: House) -> None:
    async def attack() -> None:
        held = [await asyncio.open_connection(*house.bridge.http) for _ in range(300)]
        for number, (_, writer) in enumerate(held):
            writer.write(b"GET /rtc/v1?access_token="[:number % 25])
        async with house.session.get(house.bridge.http_url + "/") as response:
            assert await response.text() == "OK"
        for _, writer in held:
            writer.transport.abort()

    house.run(attack())


def test_server_api(house: House) -> None:
    """With and without a token, all methods: no body of these does anything to the room."""
    chance = random.Random(7)
    methods = [method.name for method in API.DESCRIPTOR.services_by_name["RoomService"].methods] + ["Nothing", ""]
    services = ["livekit.RoomService", "livekit.Egress", "livekit.SIP", "x"]
    tokens = ["", "Bearer x", "Bearer " + TOKENS["forged"], "Bearer " + TOKENS["alg none"], "Basic eDp5",
              "Bearer " + house.token("eve", "elsewhere", room_admin=True)]

    async def attack() -> None:
        async def one() -> int:
            path = f"/twirp/{chance.choice(services)}/{chance.choice(methods)}"
            kind = chance.choice(["application/protobuf", "application/json", "text/plain"])
            body = chance.choice([
                chance.randbytes(chance.randrange(200)), b"{" * chance.randrange(100_000),
                json.dumps({"room": house.room, "identity": "ann", "name": house.room, "names": [7]}).encode(),
                API.RoomParticipantIdentity(room=house.room, identity="ann").SerializeToString()])
            headers = {"Authorization": chance.choice(tokens), "Content-Type": kind}
            async with house.session.post(house.bridge.http_url + path, data=body, headers=headers) as response:
                assert "code" in await response.json()
                return response.status

        for _ in range(20):
            answers = await asyncio.gather(*(one() for _ in range(30)))
            assert set(answers) <= {400, 401, 404, 501}, answers

    house.run(attack())
