"""Tokens of FAST (XEP-0484): given out, found again, used.

The secret of a token is an HMAC, under the site's secret, of random bytes that the store keeps: who reads the database
cannot log in with it. A token lives for [auth] token_days; after a tenth of that time the client gets the next one.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed

from chatd.core import sasl2
from chatd.core.accounts import FastRow
from chatd.core.sasl_ht import Token, UseToken
from chatd.core.stream_table import IssueToken

__all__ = ["FastTokens"]

_DAY_MS: Final = 86_400_000
_SEED_BYTES: Final = 24


class FastTokens:
    """store: the IFastTokenStore. secret: the site's. now(): seconds since 1970. days(): how long a token lives."""

    def __init__(self, store: Any, secret: bytes, now: Callable[[], float], days: Callable[[], int]) -> None:
        self._store = store
        self._secret = secret
        self.now = now
        self._days = days

    def secret_of(self, seed: bytes) -> str:
        """What the client has."""
        made = hmac.digest(self._secret, b"fast token " + seed, "sha256")
        return "fast-" + base64.urlsafe_b64encode(made).decode().rstrip("=")

    def find(self, local: str, domain: str,
             client: str) -> Deferred[tuple[int | None, bool, list[tuple[Token, FastRow]]]]:
        """The account's id, whether it is disabled, and the client's tokens."""
        result: Deferred[Any] = self._store.find(local, domain, client)
        return result.addCallback(self._found)

    def _found(self, found: tuple[int | None, bool, list[FastRow]]) -> Any:
        account, disabled, rows = found
        return account, disabled, [(self._token(row), row) for row in rows]

    def _token(self, row: FastRow) -> Token:
        lifetime_ms = row.expires_ms - row.issued_ms
        is_due = self.now() * 1000 - row.issued_ms > lifetime_ms / 10
        return Token(row.slot, row.mechanism, self.secret_of(row.seed).encode(), row.expires_ms / 1000, is_due)

    def use(self, account: int, row: FastRow, asked: UseToken) -> Deferred[bool]:
        """It was used; nothing has to be written for most."""
        if row.slot == "current" and asked.count is None and not asked.is_last:
            return succeed(True)
        result: Deferred[bool] = self._store.use(account, row, asked.count, asked.is_last)
        return result

    def issue(self, account: int, asked: IssueToken) -> Deferred[bytes]:
        """The XML of a new token."""
        issued_ms, seed = int(self.now() * 1000), secrets.token_bytes(_SEED_BYTES)
        row = FastRow(asked.client, "new", asked.mechanism, seed, issued_ms, issued_ms + self._days() * _DAY_MS,
                      software=asked.software, device=asked.device)
        result: Deferred[Any] = self._store.put(account, row)
        return result.addCallback(lambda _: sasl2.token(self.secret_of(seed), row.expires_ms))
