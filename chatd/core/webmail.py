"""Signing on from Webmail: how its server signs a request, and what the tokens it gets look like (docs/webmail.md)."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final, Protocol

import attrs

__all__ = [
    "GRANT", "SLACK_S", "Grant", "TokenRow", "Webmail", "hashed", "is_nonce", "is_token", "make_token", "session_hash",
    "sign",
]

SLACK_S: Final = 60
"""How far the clocks of Webmail and chatd may be apart; requests from further away are refused."""
GRANT: Final = "webmail"
"""The key of the Grant in the state of a session that was opened with a token."""
_PREFIX: Final = "chatd-webmail-"
_TOKEN: Final = re.compile(_PREFIX + r"[A-Za-z0-9_-]{43}", re.ASCII)
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)


class Webmail(Protocol):
    """A Webmail of the settings, [[webmail]]."""

    @property
    def name(self) -> str:
        """What it calls itself."""

    @property
    def domains(self) -> tuple[str, ...]:
        """Those whose people it may sign on."""

    @property
    def key(self) -> str:
        """What it signs with."""

    @property
    def origins(self) -> tuple[str, ...]:
        """Where its pages come from."""

    @property
    def token_s(self) -> int:
        """How long a token is good, seconds."""


@attrs.frozen
class Grant:
    """Whom a token lets in. webmail: the name of the Webmail that asked for it; session: the hash of its session;
    ends: how many log-outs there had been when the token was looked up."""

    webmail: str
    session: bytes
    ends: int = attrs.field(default=0, eq=False)


@attrs.frozen
class TokenRow:
    """A token as the store keeps it. hash: of the token; session: see Grant. Times: milliseconds since 1970."""

    hash: bytes
    local: str
    domain: str
    webmail: str
    session: bytes
    created_ms: int
    expires_ms: int


def sign(key: str, method: str, path: str, time: str, nonce: str, body: bytes) -> str:
    """The signature of a request in hexadecimal digits. time: seconds since 1970, as written in the header."""
    said = "\n".join((method, path, time, nonce, hashlib.sha256(body).hexdigest()))
    return hmac.new(key.encode(), said.encode(), hashlib.sha256).hexdigest()


def is_nonce(text: str) -> bool:
    """Is this 16 to 64 characters of A-Z a-z 0-9 - _?"""
    return _NONCE.fullmatch(text) is not None


def make_token(random: str) -> str:
    """The token for 32 random bytes in base64url without padding; ValueError for anything else."""
    token = _PREFIX + random
    if _TOKEN.fullmatch(token) is None:
        raise ValueError("a token has 32 random bytes")
    return token


def is_token(password: str) -> bool:
    """Does what was given as password claim to be a token? No password of a person looks like one."""
    return password.startswith(_PREFIX)


def hashed(token: str) -> bytes:
    """What is stored in place of a token: it has 256 random bits, so one round of SHA-256 is as good as many."""
    return hashlib.sha256(token.encode()).digest()


def session_hash(webmail: str, session: str) -> bytes:
    """What is kept of a session's id: it may be the very cookie that Webmail's own pages are opened with."""
    return hashlib.sha256(f"{webmail}\0{session}".encode()).digest()
