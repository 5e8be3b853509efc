"""Right passwords remembered for a short while, so that a mail server is not asked at each reconnect of each client.

Kept in memory only, as a salted hash that costs memory and time to try out (scrypt, RFC 7914, 16 MiB), and
forgotten when its time is over, or when the server refuses the account a password.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks

from chatd.auth.passwords import BadPassword, make_verifiers
from chatd.core.accounts import Verifier

__all__ = ["Remembered"]

_MOST: Final = 20_000


@attrs.frozen
class _Kept:
    salt: bytes = attrs.field(repr=False)
    digest: bytes = attrs.field(repr=False)
    until: float
    verifiers: Mapping[str, Verifier] = attrs.field(repr=False)


class Remembered:
    """By bare JID. seconds: how long; seconds_now(): a clock that never goes back. in_thread: see InternalChecker.
    iterations: of SCRAM verifiers that are kept beside, 0 to keep none."""

    def __init__(self, seconds: float, seconds_now: Callable[[], float], in_thread: Callable[..., Deferred[Any]],
                 iterations: int = 0) -> None:
        self._seconds = seconds
        self._now = seconds_now
        self._in_thread = in_thread
        self._iterations = iterations
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    @inlineCallbacks
    def is_right(self, jid: str, password: str) -> Any:
        """Fires with whether this is the password that was right before; False where that is not known."""
        kept = self._fresh(jid)
        if kept is None:
            return False
        digest = yield self._in_thread(_digest, password, kept.salt)
        return hmac.compare_digest(digest, kept.digest)

    @inlineCallbacks
    def keep(self, jid: str, password: str) -> Any:
        """This password is right now."""
        if not self._seconds:
            return
        salt, asked = secrets.token_bytes(16), self._now()
        digest = yield self._in_thread(_digest, password, salt)
        verifiers: Mapping[str, Verifier] = {}
        if self._iterations:
            try:
                verifiers = yield self._in_thread(make_verifiers, password, self._iterations)
            except BadPassword:
                pass                    # a password that SCRAM cannot carry; PLAIN can
        self._kept[jid] = _Kept(salt, digest, asked + self._seconds, verifiers)
        self._kept.move_to_end(jid)
        while len(self._kept) > _MOST or next(iter(self._kept.values())).until <= asked:
            self._kept.popitem(last=False)

    def forget(self, jid: str) -> None:
        """The account was refused a password: the one that is remembered may be old."""
        self._kept.pop(jid, None)

    def verifiers(self, jid: str) -> Mapping[str, Verifier]:
        """The SCRAM verifiers kept, none where there is nothing fresh."""
        kept = self._fresh(jid)
        return kept.verifiers if kept is not None else {}

    def _fresh(self, jid: str) -> _Kept | None:
        kept = self._kept.get(jid)
        if kept is not None and kept.until <= self._now():
            del self._kept[jid]
            return None
        return kept


def _digest(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)
