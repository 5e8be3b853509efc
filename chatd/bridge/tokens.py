"""Access tokens of LiveKit: JWT (RFC 7519), HS256 with an API key's secret. Who comes in, and what it may::

    grants = verify(text, keys, now)        # TokenError, with the status and text that LiveKit's servers answer
    grants.check_join()                     # TokenError: not for joining a room
    grants.may_administer("room"), .may_create, .may_list, .may_record      # for the server API
    text = mint("API key", secret, {"sub": …, "video": {…}}, now, ttl_s)

A secret is compared with nothing here: signatures are compared, in constant time, by PyJWT. A token's claims were
chosen by somebody who has a secret, but they are checked all the same: it may be another service's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import jwt
from livekit.protocol import models as M

# Clocks may differ so much, as with LiveKit's servers.
LEEWAY_S = 60.0
MOST_BYTES = 65536
MOST_IDENTITY = 256
MOST_ROOM_NAME = 256

_DENIED = "permissions denied"
_INVALID = "invalid authorization token"
_OPTIONS: Any = {
    "require": ["exp", "iss"],
    # Looked at here, by the time that is passed in.
    **{"verify_" + name: False for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")},
}
# Grant in the token -> field of ParticipantPermission, and whether it is allowed if nothing is said.
_PERMISSIONS = (
    ("canPublish", "can_publish", True),
    ("canSubscribe", "can_subscribe", True),
    ("canUpdateOwnMetadata", "can_update_metadata", False),
    ("canSubscribeMetrics", "can_subscribe_metrics", False),
    ("hidden", "hidden", False),
    ("recorder", "recorder", False),
    ("agent", "agent", False),
)
_SOURCES: dict[str, Any] = dict(M.TrackSource.items())
_KINDS: dict[str, Any] = dict(M.ParticipantInfo.Kind.items())


class TokenError(Exception):
    """The token does not do. `status`: of the HTTP answer, 401 or 400; the text is for the answer, and has nothing of
    the token in it.
    """

    def __init__(self, text: str, status: int = 401) -> None:
        super().__init__(text)
        self.status = status


@attrs.frozen
class Grants:
    """What a good token says.

    `key`: the API key that signed it. `identity` and `room` may be "" (tokens for the server API), `kind` is a
    ParticipantInfo.Kind. `video`: the grants as LiveKit writes them, types checked. `sha256`: of a webhook's body.
    `expires_at`: Unix time.
    """

    key: str
    identity: str
    video: Mapping[str, Any]
    expires_at: float
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = attrs.field(factory=dict)
    kind: Any = M.ParticipantInfo.Kind.STANDARD
    sha256: str = ""

    @property
    def room(self) -> str:
        """The room it is about, "" for none."""
        return str(self.video.get("room", ""))

    def check_join(self) -> None:
        """TokenError unless it lets its holder join a room under its identity."""
        if not self.video.get("roomJoin"):
            raise TokenError(_DENIED)
        if not self.identity:
            raise TokenError("identity cannot be empty", 400)
        if len(self.identity) > MOST_IDENTITY:
            raise TokenError("participant identity length exceeds limits: max length %d" % MOST_IDENTITY, 400)
        if not self.room:
            raise TokenError("no room name", 400)
        if len(self.room) > MOST_ROOM_NAME:
            raise TokenError("room name length exceeds limits: max length %d" % MOST_ROOM_NAME, 400)

    def may_administer(self, room: str) -> bool:
        """The server API's methods about this room and the people in it (roomAdmin, for this room alone)."""
        return bool(self.video.get("roomAdmin")) and room == self.room

    @property
    def may_create(self) -> bool:
        """Make and delete rooms, whatever their name."""
        return bool(self.video.get("roomCreate"))

    @property
    def may_list(self) -> bool:
        """See which rooms there are."""
        return bool(self.video.get("roomList"))

    @property
    def may_record(self) -> bool:
        """All of the Egress service."""
        return bool(self.video.get("roomRecord"))

    def permission(self) -> M.ParticipantPermission:
        """What the participant may in its room. Nothing said means publishing and subscribing allowed."""
        found = M.ParticipantPermission()
        for grant, field, usual in _PERMISSIONS:
            setattr(found, field, self.video.get(grant, usual))
        found.can_publish_data = self.video.get("canPublishData", found.can_publish)
        found.can_publish_sources.extend(
            _SOURCES.get(source.upper(), M.TrackSource.UNKNOWN)
            for source in self.video.get("canPublishSources", ()))
        return found

    def renewed(self, keys: Mapping[str, str], now: float, ttl_s: float, *, name: str, metadata: str,
                attributes: Mapping[str, str], permission: M.ParticipantPermission) -> str:
        """A token for reconnecting: these grants with what has changed since, good for `ttl_s` or as long as the
        old one, whichever ends later.
        """
        video = {**self.video, "canPublishData": permission.can_publish_data}
        for grant, field, _ in _PERMISSIONS:
            video[grant] = getattr(permission, field)
        video["canPublishSources"] = [M.TrackSource.Name(s).lower() for s in permission.can_publish_sources]
        claims: dict[str, Any] = {"sub": self.identity, "name": name, "metadata": metadata, "video": video,
                                  "attributes": dict(attributes)}
        if self.kind != M.ParticipantInfo.Kind.STANDARD:
            claims["kind"] = M.ParticipantInfo.Kind.Name(self.kind).lower()
        return mint(self.key, keys[self.key], claims, now, max(ttl_s, self.expires_at - now))


def mint(key: str, secret: str, claims: Mapping[str, Any], now: float, ttl_s: float) -> str:
    """A token with these claims, good from now on for `ttl_s`."""
    times = {"nbf": int(now), "exp": int(now + ttl_s)}
    return jwt.encode({**claims, "iss": key, **times}, secret, algorithm="HS256")


def verify(text: str, keys: Mapping[str, str], now: float) -> Grants:
    """Read a token. TokenError: malformed, not signed with HS256 by one of the keys, expired, not good yet."""
    if not text:
        raise TokenError(_DENIED)
    if len(text) > MOST_BYTES:
        raise TokenError(_INVALID + ": it is too long")
    claims = _decode(text, "", {**_OPTIONS, "verify_signature": False})
    key = claims["iss"]
    secret = keys.get(key) if isinstance(key, str) else None
    if not secret:
        raise TokenError("invalid API key")
    claims = _decode(text, secret, _OPTIONS)
    expires_at = _time(claims, "exp")
    if expires_at + LEEWAY_S < now:
        raise TokenError(_INVALID + ": token is expired")
    if "nbf" in claims and _time(claims, "nbf") - LEEWAY_S > now:
        raise TokenError(_INVALID + ": token is not valid yet")
    kind = _of(claims, "kind", str, "").upper()
    return Grants(
        key=key, identity=_of(claims, "sub", str, "") or _of(claims, "jti", str, ""), video=_video(claims),
        expires_at=expires_at, name=_of(claims, "name", str, ""), metadata=_of(claims, "metadata", str, ""),
        attributes=_attributes(claims), sha256=_of(claims, "sha256", str, ""),
        kind=_KINDS.get(kind, M.ParticipantInfo.Kind.STANDARD))


def _decode(text: str, secret: str, options: Any) -> dict[str, Any]:
    try:
        return jwt.decode(text, secret, algorithms=["HS256"], options=options)
    except jwt.MissingRequiredClaimError as error:
        raise TokenError(_INVALID + ": it has no %s" % error.claim) from None
    except jwt.InvalidSignatureError:
        raise TokenError(_INVALID + ": signature is invalid") from None
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        # JSON may be nested too deep, a number too long, a header's value of any type.
        raise TokenError(_INVALID) from None


def _of(claims: Mapping[str, Any], name: str, kind: type, usual: Any) -> Any:
    value = claims.get(name, usual)
    if value is None:
        return usual
    if not isinstance(value, kind):
        raise TokenError(_INVALID + ": %s is not what it should be" % name)
    return value


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims[name]
    # JSON in Python knows Infinity, and True is a number.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e12:
        raise TokenError(_INVALID + ": %s is not a time" % name)
    return float(value)


def _video(claims: Mapping[str, Any]) -> dict[str, Any]:
    video = dict(_of(claims, "video", dict, {}))
    for name in ("room", "destinationRoom"):
        video[name] = _of(video, name, str, "")
    sources = _of(video, "canPublishSources", list, [])
    if not all(isinstance(source, str) for source in sources):
        raise TokenError(_INVALID + ": canPublishSources is not what it should be")
    video["canPublishSources"] = sources
    for name in ("roomJoin", "roomAdmin", "roomCreate", "roomList", "roomRecord", "canPublishData",
                 *(grant for grant, _, _ in _PERMISSIONS)):
        if name in video and video[name] is None:
            del video[name]
        _of(video, name, bool, False)
    return video


def _attributes(claims: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = _of(claims, "attributes", dict, {})
    if not all(isinstance(value, str) for value in found.values()):
        raise TokenError(_INVALID + ": attributes are not what they should be")
    return found
