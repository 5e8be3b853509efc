"""Signing on from Webmail: ``POST /api/v1/sso`` gives Webmail's server a token for one of its users, ``DELETE`` ends a
session there. docs/webmail.md has the words.

Every request is signed with the key of its Webmail and good once, also over a restart: nonces are in the store for as
long as their time would be taken. What was refused, and why, is in the log, without keys, signatures and tokens.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import attrs
from twisted.logger import Logger
from twisted.web.resource import Resource

from chatd.core.escaping import jid_of_address
from chatd.core.jid import JID, InvalidJID
from chatd.core.limits import TokenBuckets
from chatd.core.webmail import SLACK_S, Webmail, is_nonce, sign
from chatd.interfaces import ITokens, IWebmailStore
from chatd.web.body import json_body, json_object
from chatd.web.errors import error_body
from chatd.web.later import answer_later

__all__ = ["SSO_PATH", "SignOnResource"]

SSO_PATH: Final = "/api/v1/sso"
_BODY_MOST: Final = 8_192
_SESSION_MOST: Final = 512
_NAME_MOST: Final = 256
_NOBODY: Final = "\0" * 32      # the key of a Webmail that is not there: who has none cannot find out its name

log = Logger()


class _Refused(Exception):
    """code: HTTP status. The text is a sentence for whoever writes the Webmail's side."""

    def __init__(self, code: int, text: str, after_s: int = 0) -> None:
        super().__init__(text)
        self.code = code
        self.after_s = after_s


@attrs.frozen
class _Signed:
    """What the headers of a request say, all of the right form."""

    webmail: str
    time: str
    nonce: str
    signature: str


class SignOnResource(Resource):
    """The resource.

    tokens, store: see there. webmails(): those of the settings as they are now. served(): domains with accounts.
    ways: what clients connect to, by its name in the answer. now(): seconds since 1970; seconds(): of a clock that
    never goes back.
    """

    isLeaf = True

    def __init__(self, tokens: ITokens, store: IWebmailStore, webmails: Callable[[], Iterable[Webmail]],
                 served: Callable[[], frozenset[str]], ways: Mapping[str, str], now: Callable[[], float],
                 seconds: Callable[[], float]) -> None:
        super().__init__()
        self._tokens = tokens
        self._store = store
        self._webmails = webmails
        self._served = served
        self._ways = dict(ways)
        self._now = now
        self._seconds = seconds
        # After a restart all panels of a Webmail want a token at once; one person has some tabs at most.
        self._by_webmail = TokenBuckets(200.0, 5_000.0, 100)
        self._by_address = TokenBuckets(0.5, 30.0)
        self._refused = TokenBuckets(1.0, 20.0)

    def render_POST(self, request: Any) -> Any:
        """Gives a token."""
        return self._begin(request, "POST", self._give)

    def render_DELETE(self, request: Any) -> Any:
        """Ends what came from a session of Webmail, or from all of an address."""
        return self._begin(request, "DELETE", self._log_out)

    def _begin(self, request: Any, method: str, act: Callable[[Webmail, Any], Any]) -> Any:
        request.setHeader(b"Cache-Control", b"no-store")
        if request.args or not any(True for _ in self._webmails()):
            return error_body(request, 404)
        return answer_later(request, self._answer(request, method, act), "signing on from Webmail")

    async def _answer(self, request: Any, method: str, act: Callable[[Webmail, Any], Any]) -> bytes:
        address = getattr(request.getClientAddress(), "host", "?")
        name = ""
        try:
            body = request.content.read(_BODY_MOST + 1)
            if len(body) > _BODY_MOST:
                raise _Refused(413, f"The body has more than {_BODY_MOST} bytes.")
            signed = _headers(request)
            webmail = self._webmail_of(signed, method, body)
            name = webmail.name
            await self._check_fresh(webmail, signed)
            answer = await act(webmail, _object(body))
        except _Refused as refused:
            # Who floods us from one address neither fills the log nor gets more than this.
            if not name and self._refused.is_too_fast(address, self._seconds()):
                return error_body(request, 429)
            log.warn("signing on from Webmail {name} was refused to {address}: {code} {reason}",
                     name=name or "(unproved)", address=address, code=refused.code, reason=str(refused))
            if refused.after_s:
                request.setHeader(b"Retry-After", b"%d" % refused.after_s)
            return error_body(request, refused.code, str(refused))
        except Exception:
            log.failure("signing on from Webmail {name} failed", name=name)
            return error_body(request, 503)
        return json_body(request, answer)

    # -- who asks
    def _webmail_of(self, signed: _Signed, method: str, body: bytes) -> Webmail:
        found = next((one for one in self._webmails() if one.name == signed.webmail and one.key), None)
        key = found.key if found is not None else _NOBODY
        wanted = sign(key, method, SSO_PATH, signed.time, signed.nonce, body)
        if not hmac.compare_digest(wanted.encode(), signed.signature.encode()) or found is None:
            raise _Refused(401, "The signature is not right.")
        return found

    async def _check_fresh(self, webmail: Webmail, signed: _Signed) -> None:
        now, time = self._now(), int(signed.time)
        if abs(now - time) > SLACK_S:
            raise _Refused(401, f"The time is more than {SLACK_S} seconds away from this server's.")
        if self._by_webmail.is_too_fast(webmail.name, self._seconds()):
            raise _Refused(429, "This Webmail asks too often.", after_s=5)
        until_ms = (time + SLACK_S) * 1000 + 1_000
        if not await self._store.spend(webmail.name, signed.nonce, until_ms, int(now * 1000)):
            raise _Refused(409, "This nonce was used before.")

    # -- what is asked
    async def _give(self, webmail: Webmail, said: dict[str, Any]) -> dict[str, Any]:
        _only(said, "address", "name", "session")
        jid = self._address(webmail, said)
        session = _session(said)
        name = said.get("name", "")
        if not isinstance(name, str):
            raise _Refused(400, "name is to be a text.")
        if self._by_address.is_too_fast(jid.bare, self._seconds()):
            raise _Refused(429, "Too many tokens for this address.", after_s=2)
        token = await self._tokens.give(webmail, jid, session, _shown(name))
        if token is None:
            raise _Refused(403, "The account of this address is disabled.")
        log.debug("{name} signs on {jid}", name=webmail.name, jid=jid.bare)
        return {"token": token, "address": jid.bare, "expires_in": webmail.token_s, **self._ways}

    async def _log_out(self, webmail: Webmail, said: dict[str, Any]) -> dict[str, Any]:
        _only(said, "address", "session")
        if len(said) != 1:
            raise _Refused(400, "The body has either session or address.")
        if "session" in said:
            tokens, sessions = await self._tokens.log_out(webmail.name, session=_session(said))
        else:
            tokens, sessions = await self._tokens.log_out(webmail.name, jid=self._address(webmail, said))
        log.debug("{name} logs out: {tokens} tokens, {sessions} sessions", name=webmail.name, tokens=tokens,
                  sessions=sessions)
        return {"tokens": tokens, "sessions": sessions}

    def _address(self, webmail: Webmail, said: dict[str, Any]) -> JID:
        address = said.get("address")
        try:
            if not isinstance(address, str) or not address.isprintable():
                raise InvalidJID(address)
            jid = jid_of_address(address)
        except InvalidJID:
            raise _Refused(400, "address is to be an address such as anna@example.org.") from None
        if jid.domain not in webmail.domains or jid.domain not in self._served():
            raise _Refused(403, "This Webmail may not sign on people of this domain.")
        return jid


def _headers(request: Any) -> _Signed:
    """The four headers; each of them once."""
    found = {}
    for name in ("webmail", "time", "nonce", "signature"):
        given = request.requestHeaders.getRawHeaders(f"x-chatd-{name}".encode()) or []
        if len(given) != 1:
            raise _Refused(401, "The request needs X-Chatd-Webmail, -Time, -Nonce and -Signature, each once.")
        found[name] = given[0].decode("latin-1")
    if not (found["time"].isascii() and found["time"].isdigit() and len(found["time"]) <= 12):
        raise _Refused(401, "X-Chatd-Time is to be a number of seconds since 1970.")
    if not is_nonce(found["nonce"]):
        raise _Refused(401, "X-Chatd-Nonce has 16 to 64 characters of A-Z a-z 0-9 - _.")
    return _Signed(**found)


def _object(body: bytes) -> dict[str, Any]:
    try:
        return json_object(body)
    except ValueError as wrong:
        raise _Refused(400, str(wrong)) from None


def _only(said: dict[str, Any], *names: str) -> None:
    if not said.keys() <= set(names):
        raise _Refused(400, f"The body has {', '.join(names)} and nothing else.")


def _shown(name: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in name[:_NAME_MOST]).split())


def _session(said: dict[str, Any]) -> str:
    session = said.get("session")
    if not isinstance(session, str) or not 1 <= len(session) <= _SESSION_MOST or not session.isprintable():
        raise _Refused(400, f"session is to be a text of 1 to {_SESSION_MOST} characters.")
    return session
