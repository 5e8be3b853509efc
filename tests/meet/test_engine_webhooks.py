"""Webhooks: LiveKit's own receiver and ours agree; what is not signed by the key is never parsed."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any

import pytest
from google.protobuf.json_format import MessageToJson
from livekit.protocol import egress, models, webhook
from twisted.web.test.requesthelper import DummyRequest

from chatd.core.media import MediaEvent
from chatd.meet.engine.tokens import AccessKey
from chatd.meet.engine.webhooks import WebhookResource

KEY = AccessKey("APIchatd", "s" * 40)
NOW = 1_800_000_000.0

EVENT = webhook.WebhookEvent(
    event="participant_joined", id="EV_1", created_at=1_800_000_000,
    room=models.Room(sid="RM_1", name="weekly", num_participants=3, creation_time=1_799_999_000),
    participant=models.ParticipantInfo(
        sid="PA_1", identity="alice", name="Alice", state=models.ParticipantInfo.ACTIVE, attributes={"hat": "host"},
        joined_at_ms=1_799_999_500_250,
        tracks=[models.TrackInfo(sid="TR_1", type=models.VIDEO, source=models.SCREEN_SHARE, muted=True, width=1280,
                                 height=720, mime_type="video/VP8")]))


class Hook:
    """The resource, what it told, and a way to post to it."""

    def __init__(self) -> None:
        self.told: list[MediaEvent] = []
        self.resource = WebhookResource(KEY, self.told.append, lambda: NOW)

    def post(self, body: bytes, token: str | None = None, **claims: Any) -> int:
        if token is None:
            digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
            token = KEY.sign({"sha256": digest, **claims}, NOW, 300)
        request = DummyRequest([b""])
        request.method = b"POST"
        request.content = io.BytesIO(body)
        request.requestHeaders.setRawHeaders("authorization", [token])
        self.resource.render(request)
        return request.responseCode or 200


BODY = MessageToJson(EVENT).encode()


def test_an_event_becomes_values() -> None:
    hook = Hook()
    assert hook.post(BODY) == 200
    (event,) = hook.told
    assert (event.kind, event.id, event.created) == ("participant_joined", "EV_1", 1_800_000_000)
    assert event.room is not None and event.participant is not None and event.recording is None
    assert (event.room.name, event.room.sid, event.room.participants) == ("weekly", "RM_1", 3)
    participant = event.participant
    assert (participant.identity, participant.state, participant.joined) == ("alice", "active", 1_799_999_500.25)
    assert participant.attributes == {"hat": "host"} and participant.reason == ""
    (track,) = participant.tracks
    assert (track.kind, track.source, track.is_muted, track.width) == ("video", "screen_share", True, 1280)


def test_a_recording_that_ended() -> None:
    info = egress.EgressInfo(
        egress_id="EG_1", room_name="weekly", status=egress.EGRESS_COMPLETE, started_at=1_800_000_000 * 10**9,
        ended_at=1_800_000_060 * 10**9,
        file_results=[egress.FileInfo(filename="a.mp4", location="/srv/a.mp4", size=7, duration=60 * 10**9)])
    hook = Hook()
    event = webhook.WebhookEvent(event="egress_ended", id="EV_2", egress_info=info)
    assert hook.post(MessageToJson(event).encode()) == 200
    recording = hook.told[0].recording
    assert recording is not None and recording.is_over and recording.status == "complete"
    assert (recording.started, recording.ended) == (1_800_000_000, 1_800_000_060)
    assert [(file.path, file.size_bytes, file.duration_s) for file in recording.files] == [("/srv/a.mp4", 7, 60)]


def test_the_same_event_is_told_once() -> None:
    """An answer may be lost on its way; then it is sent again."""
    hook = Hook()
    assert [hook.post(BODY), hook.post(BODY)] == [200, 200]
    assert len(hook.told) == 1


def test_values_newer_than_ours() -> None:
    hook = Hook()
    assert hook.post(b'{"event": "moon_rose", "id": "EV_3", "phase": {"full": true}}') == 200
    assert hook.told[0].kind == "moon_rose"


@pytest.mark.parametrize("token", [
    "", "Bearer x", AccessKey("APIchatd", "t" * 40).sign({"sha256": ""}, NOW, 300), KEY.sign({}, NOW, 300),
    KEY.sign({"sha256": base64.b64encode(b"\0" * 32).decode()}, NOW, 300), KEY.sign({"sha256": "é"}, NOW, 300),
    KEY.sign({"sha256": base64.b64encode(hashlib.sha256(BODY).digest()).decode()}, NOW - 3600, 300),
], ids=range(7))
def test_what_is_not_signed_is_refused(token: str) -> None:
    hook = Hook()
    assert hook.post(BODY, token) == 401
    assert hook.told == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'"x"', b"\xff\xfe", b'{"event": 7}', b'{"room": []}',
                                  b'{"createdAt": "soon"}', b'{"room": ' * 5000])
def test_signed_nonsense(body: bytes) -> None:
    hook = Hook()
    assert hook.post(body) == 400
    assert hook.told == []
