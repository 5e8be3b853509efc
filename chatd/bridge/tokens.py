"""Access tokens: JWT by HS256, as LiveKit's clients carry them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import jwt
from livekit.protocol import models as M

LEEWAY_S = 10


class TokenError(Exception):
    """The token is not valid, or does not allow what is asked; the text is for the client."""


@attrs.frozen
class Grants:
    """What a valid token says. `claims`: all of it; `key`: the API key that signed it."""

    claims: Mapping[str, Any]
    key: str

    @property
    def video(self) -> Mapping[str, Any]:
        """The grants proper."""
        return self.claims.get("video") or {}

    @property
    def identity(self) -> str:
        """Who."""
        return str(self.claims.get("sub", ""))

    @property
    def name(self) -> str:
        """For people to read."""
        return str(self.claims.get("name", ""))

    @property
    def metadata(self) -> str:
        """The application's."""
        return str(self.claims.get("metadata", ""))

    @property
    def attributes(self) -> Mapping[str, str]:
        """The application's, by name."""
        return self.claims.get("attributes") or {}

    @property
    def room(self) -> str:
        """The room that it is for."""
        return str(self.video.get("room", ""))

    @property
    def kind(self) -> M.ParticipantInfo.Kind:
        """An ordinary participant, an agent, a recorder."""
        return M.ParticipantInfo.Kind.STANDARD

    def permission(self) -> M.ParticipantPermission:
        """As participants carry it."""
        video = self.video
        return M.ParticipantPermission(
            can_subscribe=video.get("canSubscribe", True), can_publish=video.get("canPublish", True),
            can_publish_data=video.get("canPublishData", True), hidden=video.get("hidden", False),
            can_publish_sources=[getattr(M.TrackSource, s.upper()) for s in video.get("canPublishSources") or []],
            can_update_metadata=video.get("canUpdateOwnMetadata", False))

    def check_join(self) -> None:
        """TokenError unless it allows its bearer to join a room."""
        if not self.video.get("roomJoin") or not self.room or not self.identity:
            raise TokenError("permissions denied")

    def renewed(self, keys: Mapping[str, str], now: float, ttl_s: float, *, name: str, metadata: str,
                attributes: Mapping[str, str], permission: M.ParticipantPermission) -> str:
        """A token of the same grants that is valid for another `ttl_s`."""
        claims = {**self.claims, "name": name, "metadata": metadata, "attributes": dict(attributes),
                  "nbf": int(now), "exp": int(now + ttl_s)}
        return jwt.encode(claims, keys[self.key], "HS256")


def verify(token: str, keys: Mapping[str, str], now: float) -> Grants:
    """The grants of a token; TokenError if it is forged, expired or not for us."""
    try:
        key = jwt.decode(token, options={"verify_signature": False}).get("iss", "")
        claims = jwt.decode(token, keys.get(key, ""), algorithms=["HS256"], leeway=LEEWAY_S)
    except jwt.PyJWTError as error:
        raise TokenError("invalid authorization token: %s" % error) from None
    return Grants(claims, key)
