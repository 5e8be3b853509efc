"""Log-in in one go: authentication, then a token, resumption or a resource, all answered with one <success/>.

XEP-0388, with XEP-0386, XEP-0484 and XEP-0198 9 in it; a part of `chatd.core.negotiation.Negotiation`, whose table and
exchanges it uses. In the order of the specifications: the exchange; the new token; resumption, and if that came to
nothing (or was not asked for) binding; then <success/> and the features, without a new header.

After a failed exchange nothing of what was asked for along with it is done. It is offered under TLS only.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from chatd.core import ns, sasl, sasl2, sasl_ht
from chatd.core import stream_xml as xml
from chatd.core.jid import JID, InvalidJID
from chatd.core.sasl2 import Asked
from chatd.core.sasl_ht import FindTokens, Token, TokenExchange, UseToken
from chatd.core.stanza import Stanza
from chatd.core.stream_table import Action, BindInline, IssueToken, Resume, Send, Terms
from chatd.core.stream_xml import Wire

__all__ = ["ExtensibleLogIn"]


class _Rfc6120:
    """The words of the profile in RFC 6120 6; those of XEP-0388 are the module `sasl2`."""

    challenge = staticmethod(xml.challenge)
    failure = staticmethod(xml.failure)
    decode = staticmethod(sasl.decode)


class ExtensibleLogIn:
    """What Negotiation has for XEP-0388."""

    if TYPE_CHECKING:
        terms: Terms
        wire: Wire
        state: str
        visit: str
        jid: JID | None
        _bindings: Mapping[str, bytes]
        _exchange: Any
        _is_encrypted: bool
        _previd: str
        _sm_asked: bool
        _domains: Callable[[], frozenset[str]]
        _mechanisms: Callable[[], tuple[str, ...]]
        _new_exchange: Callable[[str, JID | None], sasl.Exchange]
        _default_domain: Callable[[frozenset[str]], str | None]
        _sasl_step: Callable[[Any], list[Action]]
        _sasl_failed: Callable[..., list[Action]]
        _verified: Callable[[Callable[[Any], Any]], list[Action]]
        _release: Callable[[], list[Action]]
        _awaits: Callable[[str], bool]
        _features_within: Callable[[], list[bytes]]

    def __init__(self) -> None:
        self._words: Any = _Rfc6120
        self._asked: Asked | None = None
        self._stream_from: JID | None = None
        self._additional: bytes | None = None
        self._parts: list[bytes] = []
        self._token_for = ""
        self._may_resume = False

    # Our answers

    def tokens(self, found: Iterable[Token], disabled: bool, now: float) -> list[Action]:
        """Answer to FindTokens. now: seconds since 1970."""
        return self._verified(lambda exchange: exchange.tokens(found, disabled, now))

    def token_used(self, is_good: bool) -> list[Action]:
        """Answer to UseToken. False: it was used by that count before, or is gone meanwhile."""
        return self._verified(lambda exchange: exchange.token_used(is_good))

    def token_issued(self, given: bytes) -> list[Action]:
        """Answer to IssueToken: the XML that gives it, b"" where there is none."""
        if not self._awaits("settling"):
            return []
        self._parts.append(given)
        return self._settle()

    def bound_inline(self, jid: JID, inner: bytes) -> list[Action]:
        """Answer to BindInline: done. inner: what the features say inside <bound/>."""
        if not self._awaits("settling"):
            return []
        self.jid = jid
        self._sm_asked = b"<enabled " in inner
        self._parts.append(sasl2.bound(inner))
        return self._finish("bound")

    def not_bound(self, condition: str, reason: str) -> list[Action]:
        """Answer to BindInline: refused; then it is not logged in either. condition: one of RFC 6120 6.5."""
        if not self._awaits("settling"):
            return []
        jid, self.jid = self.jid, None
        mechanism = self._asked.mechanism if self._asked is not None else ""
        return [*self._sasl_failed(condition, reason, mechanism, jid), *self._release()]

    # What is offered

    def _extensible(self) -> bytes:
        """<authentication/>, nothing without TLS (XEP-0388 4)."""
        names = self._mechanisms()
        if not self._is_encrypted or not names:
            return b""
        return sasl2.authentication(names, self.terms.inline(), self.terms.has_sm, self._token_mechanisms())

    def _token_mechanisms(self) -> tuple[str, ...]:
        terms = self.terms
        if not terms.has_tokens or not self._domains().isdisjoint(terms.without_tokens):
            return ()
        return sasl_ht.mechanisms(self._bindings)

    # The exchange

    def _profile_of(self, stanza: Stanza) -> None:
        """From now on the words of the profile that this element belongs to are spoken."""
        is_new = stanza.ns != ns.SASL
        self._words = sasl2 if is_new else _Rfc6120
        self._asked = Asked(stanza.attrs.get("mechanism", ""), None) if is_new else None

    def _authenticate(self, stanza: Stanza) -> list[Action]:
        self._profile_of(stanza)
        if not self._is_encrypted:
            return self._sasl_failed("encryption-required", "no-tls", "")
        if self.visit:
            return self._sasl_failed("invalid-mechanism", "not-offered", "")
        self._asked = asked = sasl2.parse(stanza)
        self._parts.clear()
        mechanism = asked.mechanism
        initial = None if asked.initial is None else sasl2.decode(asked.initial)
        if asked.initial is not None and initial is None:
            return self._sasl_failed("incorrect-encoding", "base64", mechanism)
        if mechanism in self._token_mechanisms():
            if not asked.is_by_token or not asked.client:
                return self._sasl_failed("malformed-request", "no-fast-or-user-agent", mechanism)
            domains = self._domains()
            self._exchange = TokenExchange(
                mechanism, domains, self._default_domain(domains), self._bindings, asked.client, asked.count,
                asked.is_last, self._stream_from)
        elif mechanism in self._mechanisms():
            self._exchange = self._new_exchange(mechanism, self._stream_from)
        else:
            return self._sasl_failed("invalid-mechanism", "not-offered", "")
        step: sasl.Step | FindTokens | UseToken = self._exchange.start(initial)
        return self._sasl_step(step)

    # What was asked for along with it

    def _succeeded(self, additional: bytes | None, token: Token | None) -> list[Action]:
        """token: the one that was used."""
        asked = self._asked
        assert asked is not None
        self.state = "settling"
        self._additional = additional
        self._may_resume = asked.resume is not None
        offered = self._token_mechanisms()
        wanted = asked.token_for if asked.token_for in offered and asked.client else ""
        if token is not None and token.is_due and not wanted and not asked.is_last:
            wanted = token.mechanism
        self._token_for = wanted
        return self._settle()

    def _settle(self) -> list[Action]:
        """The next thing to be done, or the end."""
        asked, jid = self._asked, self.jid
        assert asked is not None and jid is not None
        if self._token_for:
            wanted, self._token_for = self._token_for, ""
            return [IssueToken(jid, asked.client, wanted, asked.software, asked.device)]
        if self._may_resume:
            self._may_resume = False
            return self._resume_inline(asked.resume or {})
        if asked.tag is not None:
            return [BindInline(self._full_jid(jid, asked.tag, asked.client), asked.client, asked.inline)]
        return self._finish("unbound")

    def _resume_inline(self, given: Mapping[str, str]) -> list[Action]:
        self._previd, h = given.get("previd", ""), given.get("h", "")
        if not self.terms.has_sm:
            return self._not_resumed_inline("feature-not-implemented", None)
        if not self._previd or not (h.isascii() and h.isdigit() and len(h) <= 10 and int(h) < 2**32):
            return self._not_resumed_inline("bad-request", None)
        return [Resume(self._previd, int(h))]

    def _resumed_inline(self, h: int, jid: JID) -> list[Action]:
        """XEP-0386 3.2: a resumed session has its resource, so <bind/> counts for nothing."""
        self.jid, self._sm_asked = jid, True
        self._parts.append(xml.sm_resumed(h, self._previd))
        return self._finish("bound")

    def _not_resumed_inline(self, condition: str, h: int | None) -> list[Action]:
        self._parts.append(xml.sm_failed(condition, h))
        return self._settle()

    def _full_jid(self, jid: JID, tag: str, client: str) -> JID:
        """XEP-0386 3.2.1: the tag, then what the server makes; for the same client and tag always the same."""
        if client:
            seed = f"resource\0{jid.bare}\0{tag}\0{client}".encode()
            made = base64.urlsafe_b64encode(hmac.digest(self.terms.secret, seed, "sha256")[:9]).decode()
        else:
            made = self.terms.token()
        try:
            return jid.with_resource(f"{tag}/{made}" if tag else made)
        except InvalidJID:
            return jid.with_resource(made)

    def _finish(self, state: str) -> list[Action]:
        """<success/>, and at once the features of what the stream is now."""
        assert self.jid is not None
        features = [] if state == "bound" else self._features_within()
        if state == "bound":
            if self.terms.has_sm and not self._sm_asked:
                features.append(xml.SM)
            features.append(self.terms.features(self.jid.domain))
        self.state = state
        said = sasl2.success(self.jid.full, self._additional, self._parts)
        self._asked, self._parts = None, []
        return [Send(said), Send(xml.features(self.wire, features)), *self._release()]
