"""Passes: texts that say who may do something until when, signed with the site's secret; nothing of them is stored.

A guest's token, a ticket for the meeting page, the address of a recording. A pass is `kind.subject.expires.signature`,
and kind keeps one sort from serving as another. binding: what must not have changed since, such as a password; it is
part of what is signed, not of the text.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

import attrs

__all__ = ["MOST", "Pass", "make_pass", "read_pass"]

MOST: Final = 4096
"""Characters of a pass; a subject may be an address of 3071 bytes."""
_DIGITS: Final = 12


@attrs.frozen
class Pass:
    """What a pass says. expires: seconds since 1970."""

    kind: str
    subject: str
    expires: int
    signature: bytes = attrs.field(repr=False)

    def is_good(self, secret: bytes, now: float, binding: str = "") -> bool:
        """Is it ours, of that binding, and not expired?"""
        wanted = _signature(secret, self.kind, self.subject, self.expires, binding)
        return hmac.compare_digest(wanted, self.signature) and now < self.expires


def make_pass(secret: bytes, kind: str, subject: str, expires: int, binding: str = "") -> str:
    """A pass as text of the letters A-Z a-z 0-9 . _ -; ValueError for a kind that has others, for a subject with a zero
    byte, and without a secret."""
    if not kind.isascii() or not kind.isalnum() or not secret or "\0" in subject:
        raise ValueError(kind)
    signature = _signature(secret, kind, subject, expires, binding)
    return f"{kind}.{_encode(subject.encode())}.{expires}.{_encode(signature)}"


def read_pass(text: str, kind: str) -> Pass | None:
    """The pass that a text claims to be, unchecked but for its form; None where it is none of that kind."""
    parts = text.split(".") if len(text) <= MOST and text.isascii() else []
    if len(parts) != 4 or parts[0] != kind or not parts[2].isdigit() or len(parts[2]) > _DIGITS:
        return None
    try:
        subject, signature = _decode(parts[1]).decode(), _decode(parts[3])
    except (ValueError, binascii.Error):
        return None
    return Pass(kind, subject, int(parts[2]), signature) if "\0" not in subject else None


def _signature(secret: bytes, kind: str, subject: str, expires: int, binding: str) -> bytes:
    # A zero byte stands in none of the parts but perhaps the last, so that no two different passes are signed alike.
    said = "\0".join(("chatd pass", kind, subject, str(expires), binding)).encode()
    return hmac.digest(secret, said, hashlib.sha256)[:24]


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
