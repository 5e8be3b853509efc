"""Participants of a running bridge that misbehave: frames, messages, descriptions, floods. Others notice nothing."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
from livekit.protocol import models as M
from livekit.protocol import rtc as R

from tests.bridge.clients.bridge_process import BridgeProcess
from tests.bridge.clients.raw_signal import Raw, description, join_request, own_offer, section
from tests.bridge.clients.sdk import Sdk
from tests.bridge.hostile import House

OFFER = (Path(__file__).with_name("offers") / "chromium-screen.sdp").read_bytes().decode()


def everything() -> list[R.SignalRequest]:
    """A request of every kind, empty and filled with what fits nothing."""
    found = []
    for field in R.SignalRequest.DESCRIPTOR.oneofs_by_name["message"].fields:
        empty, filled = R.SignalRequest(), R.SignalRequest()
        if field.message_type is None:
            setattr(empty, field.name, 0)
            setattr(filled, field.name, -(2**63))
        else:
            getattr(empty, field.name).SetInParent()
            fill(getattr(filled, field.name))
        found += [empty, filled]
    return found


def fill(message: Any, depth: int = 0) -> None:
    for field in message.DESCRIPTOR.fields:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        if field.message_type is not None:
            if depth < 2:
                inner = getattr(message, field.name)
                fill(inner.add() if field.is_repeated else inner, depth + 1)
            continue
        value: Any = {
            field.CPPTYPE_STRING: "\u202e☃" * 40, field.CPPTYPE_BOOL: True, field.CPPTYPE_ENUM: 77,
            field.CPPTYPE_UINT32: 2**32 - 1, field.CPPTYPE_UINT64: 2**64 - 1, field.CPPTYPE_INT32: -(2**31),
            field.CPPTYPE_INT64: -(2**63), field.CPPTYPE_FLOAT: float("nan"), field.CPPTYPE_DOUBLE: float("inf"),
        }[field.cpp_type]
        if field.type == field.TYPE_BYTES:
            value = b"\xff" * 40
        if field.is_repeated:
            getattr(message, field.name).extend([value] * 50)
        else:
            setattr(message, field.name, value)


async def gone(raw: Raw) -> None:
    """It has been sent away, or never came to be."""
    async with asyncio.timeout(20):
        while not raw.socket.closed:
            await asyncio.sleep(0.02)


def test_every_request_with_nothing_and_with_nonsense(house: House) -> None:
    async def attack() -> None:
        for request in everything():
            eve = await house.enter(can_update_own_metadata=True)
            await eve.next("join")
            for _ in range(2):
                await eve.socket.send_bytes(request.SerializeToString())
            await eve.socket.send_bytes(R.SignalRequest(ping=1).SerializeToString())
            name = request.WhichOneof("message")
            if name in ("offer", "answer", "leave"):
                await gone(eve)
            else:
                await eve.next("pong")
            await eve.close()

    house.run(attack())


FRAMES: list[bytes | str] = [
    b"\xff" * 50, b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x02\x12\xff", "", "{", "7", "null", "{" * 10_000,
    '{"offer":' * 5000, '{"offer": 7}', '{"offer": {"sdp": 7}}', '{"ping": "99999999999999999999"}', '{"ping": 1e400}',
    "\u202e", json.dumps({"offer": {"sdp": "x" * 1000}}),
]
# Read as messages with nothing in them that is known.
EMPTY = ["[]", '"x"', "{}", '{"addTrack": {"type": "NOTHING"}}', b"", b"\xf8\x07\x01"]


def test_frames_that_are_no_messages(house: House) -> None:
    async def attack() -> None:
        for frame in FRAMES:
            eve = await house.enter()
            await eve.next("join")
            await (eve.socket.send_str(frame) if isinstance(frame, str) else eve.socket.send_bytes(frame))
            assert await eve.ended() == M.DisconnectReason.STATE_MISMATCH, frame
        eve = await house.enter()
        await eve.next("join")
        for empty in EMPTY:
            await (eve.socket.send_str(empty) if isinstance(empty, str) else eve.socket.send_bytes(empty))
            await eve.pong()
        await eve.close()
        chance = random.Random(5)
        good = [request.SerializeToString() for request in everything() if request.WhichOneof("message") != "leave"]
        for _ in range(150):
            eve = await house.enter()
            data = bytearray(chance.choice(good))
            for _ in range(chance.randrange(1, 6)):
                if data:
                    data[chance.randrange(len(data))] = chance.randrange(256)
            await eve.socket.send_bytes(bytes(data[:chance.randrange(len(data) + 1)]))
            await eve.close()

    house.run(attack())


WEBSOCKET = [
    b"\x00" * 1000, b"\x83\x80\0\0\0\0", b"\xf2\x85\0\0\0\0hello", b"\x82\xff" + b"\xff" * 8 + b"\0" * 4,
    b"\x82\xff\x7f" + b"\xff" * 7 + b"\0" * 4, b"\x02\x81\0\0\0\0x" * 5000, b"\x89\xfe\x01\x00\0\0\0\0" + b"x" * 256,
    b"\x81\x82\0\0\0\0\xff\xff", b"\x88\x81\0\0\0\0x", b"\x88\x82\0\0\0\0\x00\x00", b"\x82\x05hello",
    b"\x89\x80\0\0\0\0" * 5000, b"\xc2\x85\0\0\0\0\xff\xff\xff\xff\xff", b"\x80\x80\0\0\0\0",
]


def test_bytes_that_are_no_websocket(house: House) -> None:
    async def attack() -> None:
        async def one(data: bytes) -> None:
            eve = await house.enter(room="elsewhere")
            await eve.next("join")
            transport = eve.socket.get_extra_info("socket")
            assert transport is not None
            writer = eve.socket._writer
            writer.transport.write(data)
            await asyncio.sleep(0.3)
            writer.transport.abort()

        await asyncio.gather(*(one(data) for data in WEBSOCKET for _ in range(3)))

    house.run(attack())


def test_messages_that_are_too_large(house: House) -> None:
    async def attack() -> None:
        for size in (1 << 20, (1 << 20) + 1, 8 << 20):
            for send in (lambda eve, size=size: eve.socket.send_bytes(b"\0" * size),
                         lambda eve, size=size: eve.socket.send_str("x" * size)):
                eve = await house.enter()
                await eve.next("join")
                try:
                    await send(eve)
                except ConnectionError:
                    pass
                await gone(eve)

    house.run(attack())


def descriptions() -> list[str]:
    """What is no offer, nearly one, or more than one."""
    chance = random.Random(3)
    lines = OFFER.split("\r\n")
    found = ["", "v=0", "x" * 100_000, OFFER[:5000], OFFER * 3, OFFER.replace("m=video", "m=hologram"),
             OFFER.replace("a=mid:1", "a=mid:0"), OFFER.replace("\r\n", "\n\r"), OFFER.replace("actpass", "holdconn"),
             re.sub("a=ice-ufrag:.*", "a=ice-ufrag:" + "x" * 300, OFFER), re.sub("a=fingerprint.*", "", OFFER),
             re.sub("a=fingerprint.*", "a=fingerprint:sha-256 " + ":".join(["FF"] * 20), OFFER),
             OFFER.replace("a=rtpmap:96 VP8/90000", "a=rtpmap:96 VP8/0"), OFFER.replace("opus/48000/2", "opus/1/99"),
             OFFER.replace("a=sendonly", "a=sendrecv").replace("a=recvonly", "a=sendrecv"),
             re.sub("a=extmap:([0-9]+)", "a=extmap:1", OFFER), OFFER.replace("webrtc-datachannel", "x" * 30),
             own_offer(*[section("video", "recvonly")] * 398), own_offer(*[section("audio", "sendonly", "c")] * 398)]
    for _ in range(60):
        cut = lines[:]
        for _ in range(chance.randrange(1, 30)):
            at = chance.randrange(len(cut))
            what = chance.randrange(4)
            if what == 0:
                del cut[at]
            elif what == 1:
                cut.insert(at, cut[chance.randrange(len(cut))])
            elif what == 2:
                cut[at] = cut[at][:chance.randrange(len(cut[at]) + 1)]
            elif cut[at]:
                place = chance.randrange(len(cut[at]))
                cut[at] = cut[at][:place] + chr(chance.randrange(32, 300)) + cut[at][place + 1:]
        found.append("\r\n".join(cut))
    return found


def test_descriptions(house: House) -> None:
    """Each as the first offer, as a later one, with tracks announced, as the answer to nothing."""
    async def attack() -> None:
        async def one(number: int, text: str) -> None:
            request = join_request(publisher_offer=R.SessionDescription(type="offer", sdp=text, id=1))
            eve = await house.enter(request=request if number % 2 else None)
            tracks = [R.AddTrackRequest(cid=cid, type=kind, name="x") for cid, kind in (
                ("c", M.TrackType.AUDIO), ("d", M.TrackType.VIDEO))]
            try:
                for track in tracks:
                    await eve.send(add_track=track)
                await eve.send(offer=description(text, 2))
                await eve.send(offer=description(OFFER, 3))
                await eve.send(offer=description(text, 4))
                await eve.send(answer=description(text, 5))
            except ConnectionError:
                pass
            await gone(eve)

        for first in range(0, len(texts), 10):
            await asyncio.gather(*(one(first + n, text) for n, text in enumerate(texts[first:first + 10])))

    texts = descriptions()
    house.run(attack())


def flooded(house: House, message: Callable[[int], R.SignalRequest], count: int = 3000, many: int = 1,
            **grants: Any) -> None:
    """Send as fast as it goes; who does is sent away, or slowed down, but the bridge goes on."""
    async def attack() -> None:
        async def one(number: int) -> None:
            eve = await house.enter(**grants)
            await eve.next("join")
            try:
                for n in range(count):
                    await eve.socket.send_bytes(message(n).SerializeToString())
            except (ConnectionError, aiohttp.ClientError):
                pass
            await gone(eve)
            assert [m.leave.reason for m in eve.got if m.HasField("leave")] in (
                [M.DisconnectReason.PARTICIPANT_REMOVED], []), eve.got[-1]

        async with house.session.get(house.bridge.http_url + "/") as response:
            assert response.status == 200
        await asyncio.gather(*(one(number) for number in range(many)))

    house.run(attack())


def test_a_flood_of_pings(house: House) -> None:
    flooded(house, lambda n: R.SignalRequest(ping_req=R.Ping(timestamp=n)), 20_000, 3)


def test_a_flood_of_offers(house: House) -> None:
    flooded(house, lambda n: R.SignalRequest(offer=description(OFFER.replace("Z", "%d" % n), n)), 3000)


def test_a_flood_of_huge_offers(house: House) -> None:
    big = own_offer(*[section("video", "recvonly") + "\na=x:" + "y" * 2300] * 399)
    flooded(house, lambda n: R.SignalRequest(offer=description(big.replace("abcd", "ab%06d" % n), n)), 400)


def test_a_flood_of_metadata(house: House) -> None:
    flooded(house, lambda n: R.SignalRequest(update_metadata=R.UpdateParticipantMetadata(
        metadata="%d" % n + "m" * 60_000)), 3000, can_update_own_metadata=True)


def test_a_flood_of_tracks(house: House) -> None:
    flooded(house, lambda n: R.SignalRequest(add_track=R.AddTrackRequest(
        cid="c%d" % n, type=M.TrackType.AUDIO, name="n" * 1000)), 3000)


def test_a_flood_of_subscriptions(house: House) -> None:
    sids = ["TR_%d" % n for n in range(5000)]
    flooded(house, lambda n: R.SignalRequest(subscription=R.UpdateSubscription(
        track_sids=sids, subscribe=n % 2 == 0)), 3000)


def test_floods_of_mute_and_of_settings(house: House) -> None:
    house.run(_mute(house))
    flooded(house, lambda n: R.SignalRequest(track_setting=R.UpdateTrackSettings(
        track_sids=["TR_%d" % (n * k) for k in range(2000)], width=n, height=2**32 - 1, fps=n)), 2000)


async def _mute(house: House) -> None:
    eve = await house.enter()
    await eve.next("join")
    await eve.send(add_track=R.AddTrackRequest(cid="c1", type=M.TrackType.AUDIO))
    sid = (await eve.next("track_published")).track.sid
    await eve.send(offer=description(own_offer(section("audio", "sendonly", "c1"))))
    await eve.next("answer")
    try:
        for n in range(5000):
            await eve.send(mute=R.MuteTrackRequest(sid=sid, muted=n % 2 == 0))
    except (ConnectionError, aiohttp.ClientError):
        pass
    await gone(eve)


def test_joins_without_end(house: House) -> None:
    """New identities, one identity against itself, sockets cut at every moment."""
    async def attack() -> None:
        async def one(identity: str, cut: float) -> None:
            try:
                eve = await house.enter(identity)
                await asyncio.sleep(cut)
                transport = eve.socket._writer.transport
                if transport is not None:
                    transport.abort()
            except (aiohttp.ClientError, ConnectionError):
                pass

        for turn in range(8):
            await asyncio.gather(*(one("eve%d" % (n if turn % 2 else 0), n % 5 / 100) for n in range(30)))
        # One that leaves orderly gets rid of what is left of its name.
        for n in range(30):
            try:
                eve = await house.enter("eve%d" % n)
            except aiohttp.WSServerHandshakeError as error:
                # eve0 has come too often.
                assert error.status == 429
                continue
            await eve.send(leave=R.LeaveRequest())
            await gone(eve)

    house.run(attack())


def test_many_that_do_not_read(house: House) -> None:
    async def attack() -> None:
        held: list[aiohttp.ClientWebSocketResponse] = []
        for _ in range(20):
            eve = await house.enter()
            await eve.next("join")
            eve._task.cancel()
            held.append(eve.socket)
        # Something for them not to read.
        mallory = await house.enter("mallory", can_update_own_metadata=True)
        for n in range(200):
            await mallory.send(update_metadata=R.UpdateParticipantMetadata(metadata="%d" % n + "m" * 2000))
            await asyncio.sleep(0.02)
        await mallory.close()
        for socket in held:
            socket._writer.transport.abort()

    house.run(attack())


def test_a_flood_of_data() -> None:
    """By a real client's channels; what is too much is dropped and counted, and others still get theirs."""
    bridge = BridgeProcess(limits={"data_messages_per_second": 20, "data_message_burst": 100})
    try:
        ann, ben, eve = (Sdk(bridge, name) for name in ("ann", "ben", "eve"))
        for n in range(1000):
            # Nobody waits for these answers.
            eve.tell(id=-1 - n, op="data", text="y" * 1000, topic="flood")
        bridge.health(lambda report: report["dropped"].get("data rate", 0) > 500)
        ann.do("data", text="still here", topic="honest")
        ben.wait_for(lambda e: e["event"] == "data" and e["text"] == "still here")
        assert sum(e["event"] == "data" and e["topic"] == "flood" for e in ben.events) < 500
        for one in (ann, ben, eve):
            one.leave()
    finally:
        assert bridge.stop() == 0
