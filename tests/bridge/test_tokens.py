"""Access tokens: LiveKit's own library makes and reads them; forged, old, broken and huge ones are refused."""

from __future__ import annotations

import base64
import datetime
import json
import time
from typing import Any

import jwt
import pytest
from livekit import api
from livekit.protocol import models as M

from chatd.bridge import tokens

KEY, SECRET = "APIkey", "s" * 64
KEYS = {KEY: SECRET, "other": "o" * 64}
NOW = time.time()


@pytest.fixture(autouse=True)
def clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """LiveKit's library takes the time when it makes a token, which may be long after this file was read, and the
    tokens that are refused were made.
    """
    if request.node.originalname != "test_refused":
        monkeypatch.setitem(globals(), "NOW", time.time())


def token(secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    usual: dict[str, Any] = {
        "iss": KEY, "sub": "ann", "exp": NOW + 60, "nbf": NOW, "video": {"roomJoin": True, "room": "blue"}}
    kept = {name: value for name, value in {**usual, **claims}.items() if value is not ...}
    # Not jwt.encode: it refuses to write much of what others may send.
    return jwt.PyJWS().encode(json.dumps(kept).encode(), secret, algorithm=algorithm, headers={"typ": "JWT"})


def by_livekit(**grants: Any) -> api.AccessToken:
    made = api.AccessToken(KEY, SECRET).with_identity("ann").with_name("Ann").with_metadata("{}")
    return made.with_attributes({"a": "b"}).with_grants(api.VideoGrants(**grants))


def test_a_token_of_livekits_library() -> None:
    grants = tokens.verify(by_livekit(room_join=True, room="blue").to_jwt(), KEYS, NOW)
    grants.check_join()
    assert (grants.key, grants.identity, grants.name, grants.metadata) == (KEY, "ann", "Ann", "{}")
    assert (grants.room, grants.attributes, grants.kind) == ("blue", {"a": "b"}, M.ParticipantInfo.Kind.STANDARD)
    assert grants.permission() == M.ParticipantPermission(can_publish=True, can_subscribe=True, can_publish_data=True)


def test_everything_else_a_token_can_say() -> None:
    made = by_livekit(
        room_join=True, room="blue", can_publish=True, can_publish_sources=["camera", "screen_share", "smellovision"],
        can_publish_data=False, can_subscribe=False, can_update_own_metadata=True, hidden=True, recorder=True,
        room_admin=True, room_create=True, room_list=True, room_record=True).with_kind("agent")
    grants = tokens.verify(made.to_jwt(), KEYS, NOW)
    assert grants.permission() == M.ParticipantPermission(
        can_publish=True, can_update_metadata=True, hidden=True, recorder=True,
        can_publish_sources=[M.TrackSource.CAMERA, M.TrackSource.SCREEN_SHARE, M.TrackSource.UNKNOWN])
    assert grants.kind == M.ParticipantInfo.Kind.AGENT
    assert grants.may_administer("blue") and not grants.may_administer("red")
    assert grants.may_create and grants.may_list and grants.may_record


def test_data_is_allowed_with_publishing_unless_it_is_said() -> None:
    for publish, data, is_allowed in (
            (False, None, False), (True, None, True), (False, True, True), (True, False, False)):
        video = {"roomJoin": True, "room": "blue", "canPublish": publish, "canPublishData": data}
        assert tokens.verify(token(video=video), KEYS, NOW).permission().can_publish_data is is_allowed


def test_a_token_for_the_server_api_lets_nobody_in() -> None:
    made = api.AccessToken(KEY, SECRET).with_grants(api.VideoGrants(room_list=True))
    grants = tokens.verify(made.to_jwt(), KEYS, NOW)
    assert grants.may_list and not grants.may_create and not grants.may_record and not grants.may_administer("")
    with pytest.raises(tokens.TokenError, match="permissions denied"):
        grants.check_join()


@pytest.mark.parametrize(("claims", "status", "text"), [
    ({"video": {"roomJoin": False, "room": "blue"}}, 401, "permissions denied"),
    ({"video": ...}, 401, "permissions denied"),
    ({"sub": ""}, 400, "identity cannot be empty"),
    ({"sub": "x" * 257}, 400, "identity length exceeds limits"),
    ({"video": {"roomJoin": True}}, 400, "no room name"),
    ({"video": {"roomJoin": True, "room": "x" * 257}}, 400, "room name length"),
])
def test_good_tokens_that_do_not_join(claims: dict[str, Any], status: int, text: str) -> None:
    grants = tokens.verify(token(**claims), KEYS, NOW)
    with pytest.raises(tokens.TokenError, match=text) as caught:
        grants.check_join()
    assert caught.value.status == status


def unsigned(**header: Any) -> str:
    parts = [{"typ": "JWT", **header}, {"iss": KEY, "sub": "ann", "exp": NOW + 60, "video": {"roomJoin": True}}]
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join(texts) + "."


def nested() -> str:
    deep = base64.urlsafe_b64encode(b"[" * 30000).rstrip(b"=").decode()
    return ".".join((token().split(".")[0], deep, "x"))


@pytest.mark.parametrize(("text", "why"), [
    ("", "permissions denied"),
    ("garbage", "invalid authorization token"),
    ("a.b.c", "invalid authorization token"),
    ("\x00\ud800.ü.☃", "invalid authorization token"),
    ("." * 1000, "invalid authorization token"),
    ("x" * 100_000, "too long"),
    (nested(), "invalid authorization token"),
    (token("wrong" * 13), "signature is invalid"),
    (token()[:-4] + "AAAA", "signature is invalid"),
    (token("o" * 64), "signature is invalid"),
    (token(algorithm="HS512"), "invalid authorization token"),
    (unsigned(alg="none"), "invalid authorization token"),
    (unsigned(alg="None"), "invalid authorization token"),
    (unsigned(), "invalid authorization token"),
    (unsigned(alg=["HS256"]), "invalid authorization token"),
    (token(exp=...), "no exp"),
    (token(iss=...), "no iss"),
    (token(iss="stranger"), "invalid API key"),
    (token(iss=""), "invalid API key"),
    (token(iss=None), "no iss"),
    (token(iss=["APIkey"]), "invalid API key"),
    (token(iss={"a": 1}), "invalid API key"),
    (token(iss=7), "invalid API key"),
    (token(exp=NOW - 61), "expired"),
    (token(nbf=NOW + 61), "not valid yet"),
    (token(exp=float("inf")), "exp is not a time"),
    (token(exp=float("nan")), "exp is not a time"),
    (token(exp=True), "exp is not a time"),
    (token(exp="tomorrow"), "exp is not a time"),
    (token(nbf={}), "nbf is not a time"),
    (token(video=[1]), "video"),
    (token(video={"roomJoin": "yes"}), "roomJoin"),
    (token(video={"roomJoin": True, "room": 7}), "room"),
    (token(video={"canPublishSources": [1]}), "canPublishSources"),
    (token(attributes={"a": 1}), "attributes"),
    (token(name=["x"]), "name"),
    (token(metadata={"x": 1}), "metadata"),
])
def test_refused(text: str, why: str) -> None:
    with pytest.raises(tokens.TokenError, match=why) as caught:
        tokens.verify(text, KEYS, NOW)
    assert caught.value.status == 401
    assert "ann" not in str(caught.value) and SECRET not in str(caught.value)


def test_clocks_may_differ_by_a_minute() -> None:
    tokens.verify(token(exp=NOW - 59), KEYS, NOW)
    tokens.verify(token(nbf=NOW + 59), KEYS, NOW)


def test_no_key_signs_for_another() -> None:
    tokens.verify(token("o" * 64, iss="other"), KEYS, NOW)
    with pytest.raises(tokens.TokenError):
        tokens.verify(token(iss="other"), KEYS, NOW)


def test_renewed_tokens_carry_what_has_changed() -> None:
    old = tokens.verify(by_livekit(room_join=True, room="blue", can_publish_sources=["camera"]).with_kind("sip")
                        .with_ttl(datetime.timedelta(seconds=100)).to_jwt(), KEYS, NOW)
    permission = M.ParticipantPermission(can_subscribe=True, can_publish_sources=[M.TrackSource.MICROPHONE])
    text = old.renewed(KEYS, NOW, 600, name="Anna", metadata="m", attributes={"c": "d"}, permission=permission)
    new = tokens.verify(text, KEYS, NOW)
    new.check_join()
    assert (new.identity, new.room, new.name, new.metadata, new.attributes) == ("ann", "blue", "Anna", "m", {"c": "d"})
    assert new.permission() == permission and new.kind == old.kind
    assert abs(new.expires_at - NOW - 600) < 2
    claims = api.TokenVerifier(KEY, SECRET).verify(text)
    assert claims.identity == "ann" and claims.video.room == "blue" and claims.video.can_publish is False


def test_renewing_does_not_shorten_a_life() -> None:
    old = tokens.verify(token(exp=NOW + 5000), KEYS, NOW)
    text = old.renewed(KEYS, NOW, 600, name="", metadata="", attributes={}, permission=old.permission())
    assert abs(tokens.verify(text, KEYS, NOW).expires_at - NOW - 5000) < 2
