"""SASL with tokens of this server: HT-SHA-256, the mechanisms of FAST (XEP-0484; draft-schmaus-kitten-sasl-ht).

One message each way. The client proves that it has the token by an HMAC over "Initiator" and the channel binding's
data, the server by one over "Responder". The steps and the calls are those of `chatd.core.sasl.Exchange`, with two
questions of its own: `FindTokens`, answered by `tokens`, and `UseToken`, answered by `token_used`.

A token is good for the mechanism it was given out for, for one client of one account, and for some weeks. What is
kept of it is the store's matter and `chatd.server.fast`'s.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Mapping

import attrs

from chatd.core.jid import JID
from chatd.core.sasl import MESSAGE_BYTES, Challenge, Success, identify
from chatd.core.sasl_attempt import Attempt, Failure

__all__ = ["BINDING", "FindTokens", "Token", "TokenExchange", "UseToken", "mechanisms"]

BINDING = {
    "HT-SHA-256-EXPR": "tls-exporter",
    "HT-SHA-256-ENDP": "tls-server-end-point",
    "HT-SHA-256-NONE": "",
}
"""Mechanism -> the channel binding type it needs, the strongest first. HT-SHA-256-UNIQ is not offered: what it binds to
does not exist in TLS 1.3."""


def mechanisms(bindings: Collection[str]) -> tuple[str, ...]:
    """What to offer on a stream with these channel binding types."""
    return tuple(name for name, kind in BINDING.items() if not kind or kind in bindings)


@attrs.frozen
class Token:
    """One token of a client. slot: "new" until it is used for the first time, then "current". secret: what the client
    has. expires: seconds since 1970. is_due: it is time for another one."""

    slot: str
    mechanism: str
    secret: bytes = attrs.field(repr=False)
    expires: float
    is_due: bool = False


@attrs.frozen
class FindTokens:
    """Look up the tokens of `client` and answer with `tokens`."""

    local: str
    domain: str
    client: str


@attrs.frozen
class UseToken:
    """The client has this token: write down that it was used, and answer with `token_used`.

    count: what the client counts its attempts by, None where it does not. is_last: it is never to be used again.
    """

    local: str
    domain: str
    client: str
    token: Token
    count: int | None
    is_last: bool


class TokenExchange(Attempt):
    """One attempt to authenticate by a token.

    mechanism: one of BINDING that was offered; ValueError otherwise. domains, default_domain, bindings, stream_from: as
    `Exchange` has them. client: the id of the client's user agent. count, is_last: as `UseToken` has them.
    """

    def __init__(self, mechanism: str, domains: Collection[str], default_domain: str | None,
                 bindings: Mapping[str, bytes], client: str, count: int | None, is_last: bool,
                 stream_from: JID | None = None) -> None:
        if mechanism not in mechanisms(bindings):
            raise ValueError(mechanism)
        self.mechanism = mechanism
        self.jid: JID | None = None
        self.token: Token | None = None
        self._domains = domains
        self._default_domain = default_domain
        self._stream_from = stream_from
        self._binding = bindings.get(BINDING[mechanism], b"")
        self._client = client
        self._count = count
        self._is_last = is_last
        self._proof = b""

    def start(self, initial: bytes | None) -> Challenge | FindTokens | Failure:
        """<authenticate/>: initial is None where there was no initial response."""
        self._state = "first"
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, data: bytes) -> FindTokens | Failure:
        """The client's message: its name, a zero octet, its HMAC."""
        if self._state != "first":
            return self._fail("malformed-request", "unexpected-response")
        name, found, proof = data.partition(b"\0")
        if len(data) > MESSAGE_BYTES or not found or not name or len(proof) != 32:
            return self._fail("malformed-request", "ht-syntax")
        try:
            username = name.decode()
        except UnicodeDecodeError:
            return self._fail("malformed-request", "not-utf-8")
        jid = identify(username, "", self._domains, self._default_domain)
        if isinstance(jid, Failure):
            return self._fail(jid.condition, jid.reason)
        if self._stream_from is not None and self._stream_from.bare != jid.bare:
            return self._fail("not-authorized", "other-from")
        self.jid = jid
        self._proof = proof
        self._state = "tokens"
        return FindTokens(jid.local, jid.domain, self._client)

    def tokens(self, found: Iterable[Token], disabled: bool, now: float) -> UseToken | Failure:
        """Answer to FindTokens; none for an account that does not exist. disabled: the account is. now: seconds since
        1970. All are compared, in constant time each, before anything is said."""
        self._expect("tokens")
        assert self.jid is not None
        message = b"Initiator" + self._binding
        right = [token for token in found
                 if hmac.compare_digest(hmac.digest(token.secret, message, "sha256"), self._proof)]
        # For another mechanism it is worth nothing: who asked for channel binding gets it (XEP-0484 3.4).
        fitting = [token for token in right if token.mechanism == self.mechanism]
        if not fitting:
            return self._fail("not-authorized", "other-mechanism" if right else "wrong-token")
        if disabled:
            return self._fail("account-disabled", "disabled")
        good = [token for token in fitting if token.expires > now]
        if not good:
            return self._fail("credentials-expired", "expired")
        self.token = good[0]
        self._state = "using"
        return UseToken(self.jid.local, self.jid.domain, self._client, good[0], self._count, self._is_last)

    def token_used(self, is_good: bool) -> Success | Failure:
        """Answer to UseToken. False: it was counted before (XEP-0484 3.4), or has been taken back meanwhile."""
        self._expect("using")
        assert self.jid is not None and self.token is not None
        if not is_good:
            return self._fail("not-authorized", "replayed")
        self._state = "over"
        return Success(self.jid.local, self.jid.domain,
                       hmac.digest(self.token.secret, b"Responder" + self._binding, "sha256"))
