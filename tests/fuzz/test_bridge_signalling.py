"""Whatever clients and API callers write, every reader of the bridge's signalling gives a value or its own refusal.

What was accepted can be answered; participants of a room that send anything in any order leave it consistent.
CHATD_FUZZ_EXAMPLES sets how many inputs each target gets (100).
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import WSMessage, WSMsgType
from hypothesis import given, settings
from hypothesis import strategies as st
from livekit.protocol import models as M
from livekit.protocol import room as API
from livekit.protocol import rtc as R

from chatd.bridge import answer, joining, negotiation, requests, sdp, signalling, tokens, twirp
from chatd.bridge import settings as bridge_settings
from chatd.bridge.bridge import Bridge
from chatd.bridge.participant import Participant
from tests.bridge.clients.raw_signal import own_offer, section, wrap

EXAMPLES = int(os.environ.get("CHATD_FUZZ_EXAMPLES", "100"))
many = settings(max_examples=EXAMPLES, deadline=None)
OFFERS = [path.read_bytes().decode() for path in sorted(
    (Path(__file__).resolve().parents[1] / "bridge" / "offers").glob("*.sdp"))]
KEY, SECRET = "key", "s" * 64
NOW = 1_800_000_000.0


# -- descriptions

letters = st.one_of(st.text(max_size=12), st.sampled_from([
    "", "0", "-1", "99999999999", "a b", "²", "\u2028", "\r", "\0", "*", ";;", "=", "x" * 300, "sha-256", "send",
    "96"]))


@st.composite
def descriptions(draw: st.DrawFn) -> str:
    """A real one whose lines are changed, cut, repeated, left out, moved."""
    lines = draw(st.sampled_from(OFFERS)).split("\r\n")
    for _ in range(draw(st.integers(0, 8))):
        at = draw(st.integers(0, len(lines) - 1))
        what = draw(st.integers(0, 5))
        if what == 0:
            del lines[at]
            lines = lines or [""]
        elif what == 1:
            lines.insert(at, lines[draw(st.integers(0, len(lines) - 1))])
        elif what == 2:
            name, colon, _ = lines[at].partition(":")
            lines[at] = name + colon + draw(letters)
        elif what == 3:
            words = lines[at].split(" ")
            words[draw(st.integers(0, len(words) - 1))] = draw(letters)
            lines[at] = " ".join(words)
        elif what == 4:
            place = draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:place] + draw(letters) + lines[at][place + 1:]
        else:
            lines[at] = lines[draw(st.integers(0, len(lines) - 1))]
    return draw(st.sampled_from(["\r\n", "\n"])).join(lines)


# What an answer may be made of, whatever the offer says.
LINES = re.compile(
    r"v=0|o=- \d+ \d+ IN IP4 0\.0\.0\.0|s=-|t=0 0|c=IN IP4 0\.0\.0\.0|m=[a-z]+ (0|9) [A-Z/]+( [A-Za-z0-9-]+)+"
    r"|a=(ice-lite|group|msid-semantic|extmap-allow-mixed|mid|ice-ufrag|ice-pwd|ice-options|fingerprint|setup|rtcp-mux"
    r"|rtcp-rsize|rtpmap|rtcp-fb|fmtp|extmap|recvonly|sendonly|inactive|rid|simulcast|msid|ssrc-group|ssrc|candidate"
    r"|end-of-candidates|sctp-port|max-message-size)(:[ -~]*)?")
LOCAL = answer.Local("ourufrag", "ourpasswordOf22charsOr+", ":".join(["AB"] * 32),
                     ["candidate:1 1 udp 1 192.0.2.1 1 typ host"], 1, 1)


@many
@given(descriptions(), st.text(max_size=30), st.text(max_size=30))
def test_descriptions(text: str, stream: str, cname: str) -> None:
    try:
        offer = sdp.parse(text)
    except sdp.BadSdp as error:
        assert str(error).isprintable()
        return
    plans: dict[str, answer.Plan] = {}
    for found in offer.sections:
        for mime_type in ("audio/opus", "video/VP8", "video/H264", "video/VP9", "video/AV1"):
            codec = sdp.choose_codec(found, mime_type)
            if codec is None:
                continue
            assert codec in found.codecs and 0 <= codec.payload_type <= 127
            codec.parameters()
            sdp.choose_codec(found, mime_type, codec)
            if found.is_sending:
                plans[found.mid] = answer.Receive(codec)
            elif found.is_receiving:
                plans[found.mid] = answer.Send(codec, stream, "TR_x", 1, 2, cname)
    written = answer.write_answer(offer, LOCAL, plans)
    assert all(LINES.fullmatch(line) for line in written.split("\r\n")[:-1]), written
    again = sdp.parse(written)
    assert [found.mid for found in again.sections] == [found.mid for found in offer.sections]
    for before, after in zip(offer.sections, again.sections, strict=True):
        assert before.is_rejected == after.is_rejected
        if not before.is_rejected and before.kind != "application":
            wanted = {answer.Receive: "recvonly", answer.Send: "sendonly"}
            assert after.direction == wanted.get(type(plans.get(before.mid)), "inactive")
            assert after.extensions == before.extensions


@many
@given(st.text(max_size=2000))
def test_texts_that_are_no_descriptions(text: str) -> None:
    for candidate in (text, "v=0\r\n" + text, OFFERS[0] + text):
        try:
            sdp.parse(candidate)
        except sdp.BadSdp:
            pass


# -- joining

GOOD_REQUEST = R.JoinRequest(
    client_info=M.ClientInfo(version="1"), connection_settings=R.ConnectionSettings(auto_subscribe=True),
    participant_attributes={"a": "b"}, publisher_offer=R.SessionDescription(type="offer", sdp=OFFERS[0][:500], id=1),
    add_track_requests=[R.AddTrackRequest(cid="c", type=M.TrackType.AUDIO)]).SerializeToString()


def spoilt(good: bytes) -> st.SearchStrategy[bytes]:
    """Some bytes changed, the end cut or grown."""
    changes = st.lists(st.tuples(st.integers(0, max(0, len(good) - 1)), st.integers(0, 255)), max_size=6)

    def apply(parts: tuple[list[tuple[int, int]], int, bytes]) -> bytes:
        data = bytearray(good)
        for at, value in parts[0]:
            if data:
                data[at] = value
        return bytes(data[:max(0, len(data) - parts[1])]) + parts[2]

    return st.tuples(changes, st.integers(0, 8), st.binary(max_size=8)).map(apply)


def wrapped(data: bytes, compression: int) -> str:
    made = R.WrappedJoinRequest(join_request=data)
    made.compression = compression  # type: ignore[assignment]
    return base64.urlsafe_b64encode(made.SerializeToString()).decode()


@many
@given(st.one_of(
    st.text(max_size=100),
    st.binary(max_size=200).map(lambda data: base64.b64encode(data).decode()),
    st.builds(wrapped, spoilt(GOOD_REQUEST), st.integers(0, 3)),
    st.builds(wrapped, spoilt(gzip.compress(GOOD_REQUEST)), st.just(1)),
    spoilt(GOOD_REQUEST).map(lambda data: wrapped(gzip.compress(data), 1)),
), st.dictionaries(st.sampled_from(["protocol", "version", "sid", "reconnect", "auto_subscribe"]),
                   st.text(max_size=30)))
def test_join_requests(text: str, query: dict[str, str]) -> None:
    try:
        assert isinstance(joining.read_join_request({**query, "join_request": text}, True), R.JoinRequest)
    except joining.BadJoin as error:
        assert str(error)
    joining.read_join_request(query, False)


# -- tokens

GOOD_TOKEN = tokens.mint(KEY, SECRET, {"sub": "ann", "video": {"roomJoin": True, "room": "blue"}}, NOW, 600)


@many
@given(st.one_of(st.text(max_size=200), spoilt(GOOD_TOKEN.encode()).map(lambda data: data.decode("latin-1"))))
def test_tokens_that_nobody_signed(text: str) -> None:
    try:
        tokens.verify(text, {KEY: SECRET, "other": "o" * 64}, NOW)
    except tokens.TokenError as error:
        assert error.status == 401 and str(error)
        return
    # Base64 has several texts for one value: what is read is still what was signed.
    assert tokens.verify(text, {KEY: SECRET}, NOW) == tokens.verify(GOOD_TOKEN, {KEY: SECRET}, NOW)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8)
grants = st.dictionaries(st.sampled_from([
    "roomJoin", "room", "roomAdmin", "canPublish", "canPublishSources", "canPublishData", "hidden", "canSubscribe",
    "recorder", "agent", "roomList", "roomCreate"]), json_values | st.booleans() | st.just("blue"))
claims = st.fixed_dictionaries({}, optional={
    "iss": st.just(KEY) | json_values, "exp": st.just(NOW + 60) | json_values, "nbf": st.just(NOW) | json_values,
    "sub": st.just("ann") | json_values, "video": grants | json_values, "name": json_values, "metadata": json_values,
    "attributes": json_values, "kind": json_values, "jti": json_values, "sha256": json_values, "aud": json_values})


@many
@given(claims, st.sampled_from(["HS256", "HS512", "HS384"]))
def test_tokens_with_any_claims(values: dict[str, Any], algorithm: str) -> None:
    text = jwt.PyJWS().encode(json.dumps(values).encode(), SECRET, algorithm=algorithm)
    try:
        found = tokens.verify(text, {KEY: SECRET}, NOW)
    except tokens.TokenError:
        return
    assert algorithm == "HS256" and found.key == KEY and abs(found.expires_at - NOW) < 1e12
    assert isinstance(found.identity, str) and isinstance(found.room, str)
    assert not found.may_administer("another room") or found.room == "another room"
    try:
        found.check_join()
        renewed = found.renewed({KEY: SECRET}, NOW, 60, name="", metadata="", attributes={},
                                permission=found.permission())
        assert tokens.verify(renewed, {KEY: SECRET}, NOW).permission() == found.permission()
    except tokens.TokenError as error:
        assert error.status in (400, 401)


# -- frames and API requests

GOOD_FRAMES = [
    R.SignalRequest(offer=R.SessionDescription(type="offer", sdp="v=0", id=1)),
    R.SignalRequest(add_track=R.AddTrackRequest(cid="c", name="n", layers=[M.VideoLayer(width=1)])),
    R.SignalRequest(subscription=R.UpdateSubscription(track_sids=["TR_x"], subscribe=True)),
    R.SignalRequest(update_metadata=R.UpdateParticipantMetadata(metadata="m", name="n", attributes={"a": "b"})),
    R.SignalRequest(update_layers=R.UpdateVideoLayers(track_sid="TR_x", layers=[M.VideoLayer(width=1)])),
    R.SignalRequest(update_audio_track=R.UpdateLocalAudioTrack(track_sid="TR_x", features=[1])),
    R.SignalRequest(simulate=R.SimulateScenario(node_failure=True)),
    R.SignalRequest(trickle=R.TrickleRequest(candidateInit="{}")),
    R.SignalRequest(sync_state=R.SyncState(track_sids_disabled=["TR_x"])),
    R.SignalRequest(ping_req=R.Ping(timestamp=1)),
]
json_text = json_values.map(json.dumps)


@many
@given(st.one_of(
    st.binary(max_size=200).map(lambda data: (WSMsgType.BINARY, data)),
    st.sampled_from([frame.SerializeToString() for frame in GOOD_FRAMES]).flatmap(spoilt).map(
        lambda data: (WSMsgType.BINARY, data)),
    st.text(max_size=200).map(lambda text: (WSMsgType.TEXT, text)),
    json_text.map(lambda text: (WSMsgType.TEXT, text)),
    st.builds(lambda name, text: (WSMsgType.TEXT, '{"%s": %s}' % (name, text)),
              st.sampled_from([field.json_name for field in R.SignalRequest.DESCRIPTOR.fields]), json_text),
))
def test_frames(frame: tuple[WSMsgType, Any]) -> None:
    try:
        request = signalling.parse(WSMessage(frame[0], frame[1], None))
    except requests.BadMessage:
        return
    assert isinstance(request, R.SignalRequest)
    request.SerializeToString()


@many
@given(st.sampled_from(list(API.DESCRIPTOR.services_by_name["RoomService"].methods)),
       st.binary(max_size=100) | json_text.map(str.encode) | st.builds(
           lambda name, text: ('{"%s": %s}' % (name, text)).encode(),
           st.sampled_from(["name", "room", "identity", "metadata", "permission", "attributes", "egress", "names"]),
           json_text),
       st.sampled_from([twirp.PROTOBUF, twirp.JSON]))
def test_api_requests(method: Any, body: bytes, kind: str) -> None:
    from google.protobuf import message_factory

    try:
        twirp._read(message_factory.GetMessageClass(method.input_type)(), body, kind).SerializeToString()
    except twirp.TwirpError as error:
        assert error.code == "malformed"


# -- a room

NAMES = ["ann", "ben", "cat", "dan"]
names = st.sampled_from(NAMES)
cids = st.sampled_from(["c0", "c1", "c2", ""])
kinds = st.sampled_from(["audio", "video"])
sections = st.lists(st.tuples(
    kinds, st.sampled_from(["sendonly", "recvonly", "inactive", "sendrecv"]), cids,
    st.sampled_from(["", "VP9", "H264", "AV1", "H265", "VP9/90000\na=fmtp:96 profile-id=9;x=",
                     "H264/90000\na=fmtp:96 packetization-mode=1;profile-level-id=f4001f;x=",
                     "H264/90000\na=fmtp:96 packetization-mode=1;profile-level-id=640c1f;x="])), max_size=8)
actions = st.one_of(
    st.tuples(st.just("join"), names, st.booleans(), st.booleans(), st.booleans()),
    st.tuples(st.just("leave"), names),
    st.tuples(st.just("offer"), names, sections, st.sampled_from(["abcd", "efgh"])),
    st.tuples(st.just("real offer"), names, st.integers(0, len(OFFERS) - 1)),
    st.tuples(st.just("answer"), names, st.booleans()),
    st.tuples(st.just("add_track"), names, cids, kinds, st.sampled_from(["", "vp8", "vp9", "h264", "nothing"])),
    st.tuples(st.just("add codec"), names, st.integers(0, 3), cids),
    st.tuples(st.just("layers"), names, st.integers(0, 3), st.integers(0, 2**32 - 1), st.integers(0, 4)),
    st.tuples(st.just("resume"), names, st.booleans(), st.booleans()),
    st.tuples(st.just("mute"), names, st.integers(0, 3), st.booleans()),
    st.tuples(st.just("subscription"), names, st.integers(0, 5), st.booleans()),
    st.tuples(st.just("track_setting"), names, st.integers(0, 5), st.booleans(), st.integers(0, 2**32 - 1)),
    st.tuples(st.just("permission"), names, st.booleans(), st.booleans(), st.booleans()),
    st.tuples(st.just("sharing"), names, st.booleans(), names),
    st.tuples(st.just("remove"), names),
    st.tuples(st.just("data"), names, st.binary(max_size=60)),
    st.tuples(st.just("bytes"), names, st.sampled_from(GOOD_FRAMES).map(
        lambda frame: frame.SerializeToString()).flatmap(spoilt)),
    st.tuples(st.just("tick"), st.floats(0, 30)),
)


class House:
    """One bridge for all examples, a room for each."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.now = self.loop.time()
        self.number = 0

        async def start() -> Bridge:
            bridge = await Bridge.start(bridge_settings.parse(json.dumps({
                "keys": {KEY: SECRET}, "address": "127.0.0.1", "limits": {"join_burst": 10**6}})))
            bridge._task.cancel()
            return bridge

        self.bridge = self.loop.run_until_complete(start())
        self.bridge.rooms.now = lambda: self.now

    async def stop(self) -> None:
        await self.bridge.stop()
        await self._settle()

    @staticmethod
    async def _settle() -> None:
        """Transports end in tasks of their own."""
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)

    def run(self, steps: list[Any]) -> None:
        self.loop.run_until_complete(self._run(steps))

    async def _run(self, steps: list[Any]) -> None:
        self.number += 1
        name = "room %d" % self.number
        # What a timer raises reaches nobody else.
        raised: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda loop, context: raised.append(context))
        try:
            for step in steps:
                try:
                    self._do(name, *step)
                except (requests.BadMessage, requests.TooMuch, sdp.BadSdp) as error:
                    who = self._person(name, step[1])
                    if who is not None:
                        who.refused(str(error))
                # Timers of negotiations that are due at once.
                for _ in range(3):
                    await asyncio.sleep(0)
                assert not raised, raised
                self._check(name)
        finally:
            self.bridge.rooms.delete(name)
        if self.number % 100 == 0:
            await self._settle()
        assert self.bridge.rooms.counts() == {"rooms": 0, "participants": 0, "tracks": 0}

    def _person(self, room: str, identity: str) -> Participant | None:
        found = self.bridge.rooms.get(room)
        return found.participants.get(identity) if found is not None else None

    def _do(self, room: str, action: str, *values: Any) -> None:
        if action == "tick":
            self.now += values[0]
            self.bridge.rooms.tick()
            return
        who = self._person(room, values[0])
        if action == "join":
            identity, is_single, wants_all, is_hidden = values
            video = {"roomJoin": True, "room": room, "hidden": is_hidden, "canUpdateOwnMetadata": True}
            text = tokens.mint(KEY, SECRET, {"sub": identity, "video": video}, time.time(), 60)
            request = joining.read_join_request({"join_request": wrap(R.JoinRequest(
                connection_settings=R.ConnectionSettings(auto_subscribe=wants_all)))}, True)
            joined = joining.join(self.bridge, tokens.verify(text, self.bridge.keys, time.time()), request, is_single)
            joining._first_offer(joined, request)
            return
        if who is None:
            return
        tracks = [track.sid for track in who.room.tracks()] + ["TR_none"]
        own = [*who.tracks, "TR_none"]
        if action == "leave":
            self._ask(who, leave=R.LeaveRequest())
        elif action == "offer":
            texts = [section(kind, direction, cid, codec) for kind, direction, cid, codec in values[1]]
            self._ask(who, offer=R.SessionDescription(type="offer", sdp=own_offer(*texts, ufrag=values[2]), id=1))
        elif action == "real offer":
            self._ask(who, offer=R.SessionDescription(type="offer", sdp=OFFERS[values[1]], id=2))
        elif action == "answer":
            # To our last offer, if there is one, and if this one is honest.
            asked = [m.response.offer for m in who.outbox if m.name == "offer"]
            text = asked[-1].sdp if asked else OFFERS[0]
            text = text.replace("actpass", "active").replace("a=sendonly", "a=recvonly" if values[1] else "a=inactive")
            self._ask(who, answer=R.SessionDescription(type="answer", sdp=text, id=asked[-1].id if asked else 1))
        elif action == "add_track":
            kind = M.TrackType.AUDIO if values[2] == "audio" else M.TrackType.VIDEO
            codecs = [R.SimulcastCodec(codec=values[3], cid=values[1]), R.SimulcastCodec(codec="vp8")]
            self._ask(who, add_track=R.AddTrackRequest(
                cid=values[1], type=kind, simulcast_codecs=codecs if values[3] else []))
        elif action == "add codec":
            self._ask(who, add_track=R.AddTrackRequest(
                cid=values[2], type=M.TrackType.VIDEO, sid=own[values[1] % len(own)]))
        elif action == "layers":
            layer = M.VideoLayer(width=values[2], height=values[2], quality=values[3] % 4)  # type: ignore[arg-type]
            self._ask(who, update_layers=R.UpdateVideoLayers(
                track_sid=own[values[1] % len(own)], layers=[layer] * values[3]))
            self._ask(who, update_video_track=R.UpdateLocalVideoTrack(
                track_sid=own[values[1] % len(own)], width=values[2]))
        elif action == "resume":
            request = R.JoinRequest(reconnect=True, participant_sid=who.sid if values[1] else "PA_x")
            back = joining.resume(self.bridge, who.grants, request, values[2])
            assert back is None or back is who
        elif action == "mute":
            self._ask(who, mute=R.MuteTrackRequest(sid=own[values[1] % len(own)], muted=values[2]))
        elif action == "subscription":
            self._ask(who, subscription=R.UpdateSubscription(
                track_sids=[tracks[values[1] % len(tracks)]], subscribe=values[2]))
        elif action == "track_setting":
            self._ask(who, track_setting=R.UpdateTrackSettings(
                track_sids=[tracks[values[1] % len(tracks)]], disabled=values[2], width=values[3], height=values[3]))
        elif action == "permission":
            who.update(permission=M.ParticipantPermission(
                can_publish=values[1], can_subscribe=values[2], hidden=values[3]))
        elif action == "sharing":
            self._ask(who, subscription_permission=R.SubscriptionPermission(
                all_participants=values[1], track_permissions=[R.TrackPermission(participant_identity=values[2])]))
        elif action == "remove":
            who.room.remove(who, M.DisconnectReason.PARTICIPANT_REMOVED)
        elif action == "data":
            who.data.received("_reliable", values[1])
        elif action == "bytes":
            self._handle(who, signalling.parse(WSMessage(WSMsgType.BINARY, values[1], None)))

    def _ask(self, who: Participant, **fields: Any) -> None:
        self._handle(who, R.SignalRequest(**fields))

    def _handle(self, who: Participant, request: R.SignalRequest) -> None:
        requests.handle(who, request, self.bridge.rooms.floods.of(who.room.name, who.identity))

    def _check(self, name: str) -> None:
        room = self.bridge.rooms.get(name)
        if room is None:
            return
        room.info()
        published = {track.sid: track for track in room.tracks()}
        for who in room.participants.values():
            assert not who.is_closed and who.info().identity == who.identity
            mids = [entry.mid for entry in who.subscriptions.entries.values() if entry.mid]
            assert len(set(mids)) == len(mids), "a section with two tracks"
            for sid, entry in who.subscriptions.entries.items():
                assert published.get(sid) is entry.track, "subscribed to what is not published"
                publisher = entry.track.participant
                assert publisher is not who and not publisher.is_hidden and who.permission.can_subscribe
                assert (entry.media is not None) == bool(entry.mid)
            for message in who.outbox:
                R.SignalResponse.FromString(message.binary)
                if message.name in ("answer", "offer"):
                    sdp.parse(getattr(message.response, message.name).sdp)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    before, negotiation.GATHER_S = negotiation.GATHER_S, 0.0
    made = House()
    yield made
    negotiation.GATHER_S = before
    made.loop.run_until_complete(made.stop())
    made.loop.close()


def test_a_room_of_clients_that_send_anything(house: House) -> None:
    @many
    @given(st.lists(actions, max_size=25))
    def play(steps: list[Any]) -> None:
        # Two who publish are there from the start: else little happens.
        first = [("join", "ann", True, True, False), ("join", "ben", False, True, False)]
        house.run([*first, ("add_track", "ann", "c0", "audio", ""), ("offer", "ann", [
            ("audio", "sendonly", "c0", ""), ("audio", "recvonly", "", ""), ("video", "recvonly", "", "")], "abcd"),
            *steps])

    play()
