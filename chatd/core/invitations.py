"""Invitations: their tokens, and the links that carry them (XEP-0401, XEP-0379, XEP-0445)."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

import attrs

__all__ = ["TOKEN_MOST", "InvitationRow", "digest_of", "link_of"]

TOKEN_MOST = 100


@attrs.frozen
class InvitationRow:
    """One invitation, good for one use.

    digest: of its token, which nobody keeps but who was invited. domain: whose. local: the name that an account made by
    it gets, "" for any. inviter: bare address of who becomes a contact, "" for nobody. Times: milliseconds since 1970.
    """

    digest: bytes = attrs.field(repr=False)
    domain: str
    local: str
    inviter: str
    created_ms: int
    expires_ms: int


def digest_of(token: str) -> bytes:
    """What is kept of a token: 24 random bytes need no slow hash."""
    return hashlib.sha256(b"invitation " + token.encode()).digest()


def link_of(row: InvitationRow, token: str, makes_account: bool) -> str:
    """The xmpp: link. makes_account: the domain lets people in by it; otherwise it only makes contacts."""
    if row.inviter and not row.local:
        return f"xmpp:{_path(row.inviter)}?roster;preauth={token}" + (";ibr=y" if makes_account else "")
    name = f"{row.local}@{row.domain}" if row.local else row.domain
    return f"xmpp:{_path(name)}?register;preauth={token}"


def _path(address: str) -> str:
    """RFC 5122 2.2."""
    return quote(address, safe="@!$*.+-_~")
