"""Requests of other programs, such as the Webmail's server: signed with a secret they share with chatd (`[api] keys`).

    Authorization: CHATD-HMAC-SHA256 key="webmail", time="1795370645", nonce="f3Jq0m2nYw8", signature="hY2c…="

The signature is base64 of HMAC-SHA256 over method, path with query, time, nonce and the body's SHA-256, joined by line
feeds (docs/protocol.md). The secret itself never travels, a request cannot be changed, and none is good twice, also
over a restart: nonces are in the store for as long as their time would be taken.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Final

from twisted.internet.defer import Deferred
from twisted.web.http import Request

__all__ = ["SCHEME", "SLACK_S", "Signatures", "Unsigned", "authorization", "sign"]

SCHEME: Final = "CHATD-HMAC-SHA256"
SLACK_S: Final = 300
"""How far the clocks may be apart."""
_PART: Final = re.compile(r'\s*([a-z]+)="([^"]*)"\s*')
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)


class Unsigned(Exception):
    """A request that is not signed as it should be; the text says why, for whoever writes the other program."""


def sign(secret: str, method: str, path: str, time: int, nonce: str, body: bytes) -> str:
    """The signature of a request. path: as sent, with its query."""
    said = "\n".join((method, path, str(time), nonce, hashlib.sha256(body).hexdigest()))
    return base64.b64encode(hmac.digest(secret.encode(), said.encode(), hashlib.sha256)).decode()


def authorization(key: str, secret: str, method: str, path: str, time: int, nonce: str, body: bytes) -> str:
    """The whole header."""
    signature = sign(secret, method, path, time, nonce, body)
    return f'{SCHEME} key="{key}", time="{time}", nonce="{nonce}", signature="{signature}"'


class Signatures:
    """Checks them.

    keys(): the secrets by name as they are now; spend: as IWebmailStore has it; now(): seconds since 1970.
    """

    def __init__(self, keys: Callable[[], Mapping[str, str]], spend: Callable[[str, str, int, int], Deferred[bool]],
                 now: Callable[[], float]) -> None:
        self._keys = keys
        self._spend = spend
        self._now = now

    @property
    def may_anybody(self) -> bool:
        """Is there any key?"""
        return bool(self._keys())

    async def check(self, request: Request, body: bytes) -> str:
        """The name of who asks. Raises Unsigned."""
        given = request.requestHeaders.getRawHeaders(b"authorization") or [b""]
        scheme, _, rest = given[0].decode("latin-1").partition(" ")
        if scheme.upper() != SCHEME:
            raise Unsigned(f"The request needs an Authorization of the scheme {SCHEME}.")
        parts = {}
        for part in rest.split(","):
            match = _PART.fullmatch(part)
            if match is None or match[1] in parts:
                raise Unsigned("The Authorization is not written as it should be.")
            parts[match[1]] = match[2]
        if parts.keys() != {"key", "time", "nonce", "signature"}:
            raise Unsigned("The Authorization has key, time, nonce and signature.")
        if not (parts["time"].isascii() and parts["time"].isdigit() and len(parts["time"]) < 13):
            raise Unsigned("The time is a number of seconds since 1970.")
        if _NONCE.fullmatch(parts["nonce"]) is None:
            raise Unsigned("A nonce has 8 to 64 characters of A-Z a-z 0-9 - _.")
        self._check_signature(request, body, parts)
        await self._check_fresh(parts["key"], int(parts["time"]), parts["nonce"])
        return parts["key"]

    def _check_signature(self, request: Request, body: bytes, parts: Mapping[str, str]) -> None:
        secret = self._keys().get(parts["key"])
        method, path = request.method.decode("latin-1"), request.uri.decode("latin-1")
        # Who does not know a name is not told: an unknown one is checked against a secret nobody has.
        wanted = sign(secret if secret is not None else "\0", method, path, int(parts["time"]), parts["nonce"], body)
        if not hmac.compare_digest(wanted.encode(), parts["signature"].encode()) or secret is None:
            raise Unsigned("The signature is not right.")

    async def _check_fresh(self, key: str, time: int, nonce: str) -> None:
        now = self._now()
        if abs(now - time) > SLACK_S:
            raise Unsigned("The time is too far from this server's.")
        # No [[webmail]] has a name with a blank, so its nonces and those of a key of the same name are apart.
        until_ms = (time + SLACK_S) * 1000 + 1_000
        if not await self._spend(f"api {key}", nonce, until_ms, int(now * 1000)):
            raise Unsigned("This nonce was used before.")
