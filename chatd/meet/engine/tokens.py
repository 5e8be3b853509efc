"""Access tokens of LiveKit: JWT (RFC 7519) signed by HS256 with an API secret.

`iss` is the API key, `sub` the identity, `video` the grants. The server's API takes such tokens as well, with grants
for what is asked; webhooks carry one with the hash of their body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
import jwt

from chatd.core.media import Grants

__all__ = ["AccessKey", "BadToken", "Claims"]

LEEWAY_S: Final = 60.0
"""How far two clocks may differ, as in LiveKit's own servers."""
MOST_BYTES: Final = 65_536
_OPTIONS: Final[Any] = {
    "require": ["exp", "iss"],
    # Looked at here, by a clock that is passed in.
    **{f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")},
}


class BadToken(Exception):
    """A token that is not good; the text says why, without any of the token."""


@attrs.frozen
class Claims:
    """What a good token says. video: the grants as LiveKit writes them (roomJoin, room, …)."""

    identity: str
    video: Mapping[str, Any]
    sha256: str = ""

    @property
    def room(self) -> str:
        """The room it lets its holder join, "" for none."""
        room = self.video.get("room")
        return room if self.video.get("roomJoin") is True and isinstance(room, str) else ""


@attrs.frozen
class AccessKey:
    """An API key and its secret, which is in no repr."""

    key: str
    secret: str = attrs.field(repr=False)

    def access_token(
        self, identity: str, room: str, grants: Grants, now: float, ttl_s: float, *,
        name: str = "", metadata: str = "", attributes: Mapping[str, str] | None = None,
    ) -> str:
        """Return a token to join a room with. Raises ValueError without identity or room."""
        if not identity or not room:
            raise ValueError("a token needs an identity and a room")
        claims: dict[str, Any] = {"sub": identity, "video": video_grants(room, grants)}
        if name:
            claims["name"] = name
        if metadata:
            claims["metadata"] = metadata
        if attributes:
            claims["attributes"] = dict(attributes)
        return self.sign(claims, now, ttl_s)

    def service_token(self, now: float, ttl_s: float = 600.0, **video: Any) -> str:
        """Return a token for the server's API with these grants (roomList=True, …)."""
        return self.sign({"video": video}, now, ttl_s)

    def sign(self, claims: Mapping[str, Any], now: float, ttl_s: float) -> str:
        """Return a token with these claims that is good from now on for ttl_s seconds."""
        times = {"nbf": int(now), "exp": int(now + ttl_s)}
        return jwt.encode({**claims, "iss": self.key, **times}, self.secret, algorithm="HS256")

    def read(self, token: str | bytes, now: float) -> Claims:
        """Return what a token says; raises BadToken unless it is signed by this key and good now."""
        if len(token) > MOST_BYTES:
            raise BadToken("invalid token: it is too long")
        try:
            claims = jwt.decode(token, self.secret, algorithms=["HS256"], options=_OPTIONS)
        except jwt.InvalidSignatureError:
            raise BadToken("invalid token: it was not signed by this server") from None
        except jwt.MissingRequiredClaimError as error:
            raise BadToken(f"invalid token: it has no {error.claim}") from None
        # A nest of brackets is JSON as well, and digits may be too many for a number.
        except (jwt.InvalidTokenError, RecursionError, ValueError):
            raise BadToken("invalid token") from None
        if claims["iss"] != self.key:
            raise BadToken("invalid API key")
        if _time(claims, "exp") + LEEWAY_S < now:
            raise BadToken("invalid token: it has expired")
        if "nbf" in claims and _time(claims, "nbf") - LEEWAY_S > now:
            raise BadToken("invalid token: it is not good yet")
        video, identity, sha256 = claims.get("video", {}), claims.get("sub", ""), claims.get("sha256", "")
        if not (isinstance(video, dict) and isinstance(identity, str) and isinstance(sha256, str)):
            raise BadToken("invalid token: its claims are not what they should be")
        return Claims(identity, video, sha256)


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e12:
        raise BadToken(f"invalid token: {name} is not a time")
    return float(value)


def video_grants(room: str, grants: Grants) -> dict[str, Any]:
    """Return grants as LiveKit writes them; what is not allowed is said, because it counts as allowed otherwise."""
    found: dict[str, Any] = {
        "roomJoin": True,
        "room": room,
        "canPublish": grants.may_publish,
        "canSubscribe": grants.may_subscribe,
        "canPublishData": grants.may_publish_data,
    }
    if grants.sources:
        found["canPublishSources"] = list(grants.sources)
    for name, value in (
        ("canUpdateOwnMetadata", grants.may_update_own_metadata),
        ("hidden", grants.is_hidden),
        ("roomAdmin", grants.is_admin),
    ):
        if value:
            found[name] = True
    return found
