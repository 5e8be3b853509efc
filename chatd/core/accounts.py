"""Accounts as the store gives them: values only.

The verifier is what RFC 5802 section 3 lets a server keep instead of the password: StoredKey and ServerKey
prove knowledge of it, and neither gives it back.
"""
from __future__ import annotations

import attrs

from chatd.core.archive import ArchivePrefs
from chatd.core.roster import RosterItem


class AccountExists(Exception):
    """An account of that name exists in that domain already."""


@attrs.frozen
class Verifier:
    """What is kept of one password for one SCRAM mechanism (RFC 5802 section 3, RFC 7677).

    salt: random bytes. iterations: the PBKDF2 count (4096 or more). stored_key, server_key: as in the RFC,
    20 bytes for SCRAM-SHA-1, 32 bytes for SCRAM-SHA-256. None of it is shown in a repr.
    """

    salt: bytes = attrs.field(repr=False)
    iterations: int
    stored_key: bytes = attrs.field(repr=False)
    server_key: bytes = attrs.field(repr=False)


@attrs.frozen
class AccountRow:
    """One account: `local`@`domain`, both in the normal form of RFC 7622.

    id: its number in the store, never given to another account. disabled: may not log in. created,
    last_login: seconds since 1970, last_login None before the first one. verifiers: by mechanism,
    "SCRAM-SHA-1" and "SCRAM-SHA-256".
    """

    id: int
    local: str
    domain: str
    disabled: bool
    created: float
    last_login: float | None
    verifiers: dict[str, Verifier]

    @property
    def jid(self) -> str:
        """The bare JID."""
        return f"{self.local}@{self.domain}"


@attrs.frozen
class LoadedAccount:
    """What is kept in memory of an account in use, read with one view of the store.

    archive_prefs: None where the account never said what it wants kept.  photo_sha1: of the photo in its vCard
    (XEP-0153), "" without one.
    """

    row: AccountRow
    roster_version: int
    roster: tuple[RosterItem, ...]
    blocked: frozenset[str]
    archive_prefs: ArchivePrefs | None
    photo_sha1: str = ""


@attrs.frozen
class FastRow:
    """One token of an account (XEP-0484) as the store has it; see its table in the schema. Times are milliseconds since
    1970."""

    client: str
    slot: str
    mechanism: str
    seed: bytes = attrs.field(repr=False)
    issued_ms: int
    expires_ms: int
    count: int = 0
    software: str = ""
    device: str = ""
