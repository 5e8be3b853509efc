"""Access tokens: LiveKit's own library reads ours and we read its; nothing else passes."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit import api

from chatd.core.media import Grants
from chatd.meet.engine.tokens import AccessKey, BadToken

KEY = AccessKey("APIchatd", "s" * 40)
NOW = 1_800_000_000.0


def token(**grants: Any) -> str:
    return KEY.access_token("alice", "weekly", Grants(**grants), NOW, 600)


def test_livekits_library_reads_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    text = KEY.access_token(
        "alice", "weekly", Grants(sources=("camera", "screen_share"), may_publish_data=False, is_admin=True),
        time.time(), 600, name="Alice", metadata="{}", attributes={"hat": "host"})
    claims = api.TokenVerifier(KEY.key, KEY.secret).verify(text)
    assert (claims.identity, claims.name, claims.metadata, claims.attributes) == (
        "alice", "Alice", "{}", {"hat": "host"})
    video = claims.video
    assert video is not None and video.room_join and video.room == "weekly" and video.room_admin
    assert video.can_publish and video.can_subscribe and not video.can_publish_data
    assert video.can_publish_sources == ["camera", "screen_share"]
    assert not video.hidden and not video.can_update_own_metadata


def test_we_read_livekits() -> None:
    import time

    made = api.AccessToken(KEY.key, KEY.secret).with_identity("bob").with_grants(
        api.VideoGrants(room_join=True, room="weekly")).to_jwt()
    claims = KEY.read(made, time.time())
    assert (claims.identity, claims.room) == ("bob", "weekly")


def test_what_is_not_granted_is_said() -> None:
    """LiveKit takes what is left out for allowed."""
    video = KEY.read(token(may_publish=False, may_subscribe=False, may_publish_data=False), NOW).video
    assert (video["canPublish"], video["canSubscribe"], video["canPublishData"]) == (False, False, False)


def test_a_token_needs_somebody_and_somewhere() -> None:
    for identity, room in (("", "weekly"), ("alice", "")):
        with pytest.raises(ValueError, match="needs"):
            KEY.access_token(identity, room, Grants(), NOW, 600)
    with pytest.raises(ValueError, match="not one of"):
        Grants(sources=("kitchen",))


def test_the_secret_is_not_shown() -> None:
    assert KEY.secret not in repr(KEY)


def test_times() -> None:
    good = token()
    KEY.read(good, NOW + 600)
    KEY.read(good, NOW + 659)
    KEY.read(good, NOW - 59)
    for now, word in ((NOW + 661, "expired"), (NOW - 61, "not good yet")):
        with pytest.raises(BadToken, match=word):
            KEY.read(good, now)


def signed(claims: Any, secret: str = KEY.secret, **header: Any) -> str:
    return jwt.encode(claims, secret, algorithm=header.pop("alg", "HS256"), headers=header or None)


def none_token() -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part({'iss': KEY.key, 'exp': NOW + 60})}."


GOOD = {"iss": KEY.key, "exp": NOW + 60, "sub": "a", "video": {"roomJoin": True, "room": "r"}}


@pytest.mark.parametrize("bad", [
    "", "a.b.c", "....", "é", "a" * 70_000, none_token(),
    signed(GOOD, "t" * 40),
    signed(GOOD, KEY.secret * 2, alg="HS512"),
    signed({**GOOD, "iss": "another"}),
    signed({key: value for key, value in GOOD.items() if key != "exp"}),
    signed({key: value for key, value in GOOD.items() if key != "iss"}),
    signed({**GOOD, "exp": "tomorrow"}), signed({**GOOD, "exp": True}), signed({**GOOD, "exp": 1e300}),
    signed({**GOOD, "nbf": "yesterday"}),
    signed({**GOOD, "video": ["roomJoin"]}), signed({**GOOD, "sub": 7}), signed({**GOOD, "sha256": 7}),
    token()[:-4] + "AAAA",
], ids=lambda text: text[:12])
def test_bad_tokens(bad: str) -> None:
    with pytest.raises(BadToken) as refused:
        KEY.read(bad, NOW)
    assert bad[:20] not in str(refused.value) or not bad


def test_a_nest_of_brackets() -> None:
    payload = base64.urlsafe_b64encode(b"[" * 30_000).rstrip(b"=").decode()
    head, _, _ = token().split(".")
    import hashlib
    import hmac

    mac = hmac.new(KEY.secret.encode(), f"{head}.{payload}".encode(), hashlib.sha256).digest()
    with pytest.raises(BadToken):
        KEY.read(f"{head}.{payload}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}", NOW)


@pytest.mark.parametrize("video", [
    {}, {"room": "r"}, {"roomJoin": False, "room": "r"}, {"roomJoin": "yes", "room": "r"}, {"roomJoin": True},
    {"roomJoin": True, "room": 7}])
def test_tokens_that_let_nobody_in(video: Any) -> None:
    assert KEY.read(signed({**GOOD, "video": video}), NOW).room == ""


@given(st.one_of(st.text(max_size=300), st.binary(max_size=300)))
def test_anything_is_refused_in_words(text: Any) -> None:
    with pytest.raises(BadToken):
        KEY.read(text, NOW)
