"""STUN and TURN servers (RFC 7064, RFC 7065) and the time-limited credentials of TURN servers with a shared secret.

The username is "EXPIRES:USER", with the time in seconds since 1970; the password is the base64 of its HMAC-SHA1 under
the secret (draft-uberti-behave-turn-rest-00; coturn: use-auth-secret). The server needs no list of users.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

import attrs

__all__ = ["Credentials", "IceServer", "credentials"]

#: STUN: a username has at most 513 bytes (RFC 5389 15.3); some are for the time.
_MOST_USER: Final = 256


@attrs.frozen
class IceServer:
    """A server. type: "stun", "stuns", "turn" or "turns"; transport: "udp" or "tcp"."""

    type: str
    host: str
    port: int
    transport: str

    @classmethod
    def parse(cls, url: str) -> IceServer:
        """Read an address that is known to be right, such as "turn:turn.example.com:3478?transport=tcp"."""
        kind, _, rest = url.partition(":")
        where, _, query = rest.partition("?transport=")
        is_secure = kind.endswith("s")
        host, port = where, ""
        if where.startswith("["):
            host, _, port = where[1:].partition("]")
            port = port.removeprefix(":")
        elif ":" in where:
            host, _, port = where.rpartition(":")
        return cls(kind, host, int(port or (5349 if is_secure else 3478)), query or ("tcp" if is_secure else "udp"))

    @property
    def is_relay(self) -> bool:
        """Whether it needs credentials."""
        return self.type.startswith("turn")


@attrs.frozen
class Credentials:
    """What a client shows to a TURN server until expires (seconds since 1970)."""

    username: str
    password: str = attrs.field(repr=False)
    expires: int


def credentials(secret: str, user: str, now: float, ttl_s: int) -> Credentials:
    """Return credentials for a user, a bare address or any other text; one that is too long becomes its hash."""
    expires = int(now) + ttl_s
    if len(user.encode()) > _MOST_USER:
        user = hashlib.sha256(user.encode()).hexdigest()
    username = f"{expires}:{user}"
    mac = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return Credentials(username, base64.b64encode(mac).decode("ascii"), expires)
