"""Who it is: SASL on a client's stream (RFC 6120 6), a part of `chatd.core.negotiation.Negotiation`.

What is offered, the steps of the exchange, and what becomes of them; the mechanisms themselves are `chatd.core.sasl`
and its neighbours.  The same steps serve log-in in one go (XEP-0388), whose words are others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chatd.core import sasl
from chatd.core import stream_xml as xml
from chatd.core.accounts import Verifier
from chatd.core.errors import StreamError
from chatd.core.jid import JID
from chatd.core.negotiation_sasl2 import ExtensibleLogIn
from chatd.core.sasl import CheckPassword, FindAccount
from chatd.core.sasl_anonymous import MECHANISM as ANONYMOUS
from chatd.core.sasl_anonymous import Admit, AnonymousExchange
from chatd.core.sasl_ht import FindTokens, TokenExchange, UseToken
from chatd.core.stanza import Stanza
from chatd.core.stream_table import Action, Authenticated, AuthFailed, Restart, Send

__all__ = ["LogIn"]


class LogIn(ExtensibleLogIn):
    """What Negotiation has for SASL."""

    if TYPE_CHECKING:
        domain: str
        _failures: int
        _header_sent: bool
        _close: Callable[[StreamError | None], list[Action]]

    # Our answers

    def account(self, verifier: Verifier | None, disabled: bool = False) -> list[Action]:
        """Answer to FindAccount."""
        return self._verified(lambda exchange: exchange.account(verifier, disabled))

    def admitted(self, jid: JID | None) -> list[Action]:
        """Answer to Admit: who comes (a bare address), None for a pass that is not good."""
        return self._verified(lambda exchange: exchange.admitted(jid))

    def password_checked(self, is_right: bool, disabled: bool = False) -> list[Action]:
        """Answer to CheckPassword."""
        return self._verified(lambda exchange: exchange.password_checked(is_right, disabled))

    def refuse(self, condition: str, reason: str = "") -> list[Action]:
        """Answer to FindAccount or CheckPassword: not now (a condition of RFC 6120 6.5)."""
        return self._verified(lambda exchange: exchange.refuse(condition, reason))

    # The exchange

    def _mechanisms(self) -> tuple[str, ...]:
        if self.visit:
            return (ANONYMOUS,)
        # Offered before the user is known, so SCRAM must be good for all who may log in on this stream.
        has_verifiers = self.terms.has_verifiers and self._domains().isdisjoint(self.terms.without_scram)
        return sasl.mechanisms(self._bindings, has_verifiers, self.terms.has_plain)

    def _domains(self) -> frozenset[str]:
        """Whose accounts may log in: addressed to the server's own name, the stream is for those of every domain."""
        terms, domain = self.terms, self.domain
        return frozenset((domain,)) if domain in terms.domains and domain != terms.host else terms.domains

    def _refuse_unencrypted(self, stanza: Stanza) -> list[Action]:
        self._profile_of(stanza)
        return self._sasl_failed("encryption-required", "no-tls", stanza.attrs.get("mechanism", ""))

    def _auth(self, stanza: Stanza) -> list[Action]:
        self._profile_of(stanza)
        mechanism = stanza.attrs.get("mechanism", "")
        if mechanism not in self._mechanisms():
            return self._sasl_failed("invalid-mechanism", "not-offered", "")
        content = _sasl_content(stanza)
        initial = sasl.decode(content) if content else None
        if content and initial is None:
            return self._sasl_failed("incorrect-encoding", "base64", mechanism)
        if mechanism == ANONYMOUS:
            self._exchange = AnonymousExchange(self.visit)
            return self._sasl_step(self._exchange.start(initial))
        self._exchange = exchange = self._new_exchange(mechanism)
        return self._sasl_step(exchange.start(initial))

    def _new_exchange(self, mechanism: str, stream_from: JID | None = None) -> sasl.Exchange:
        terms, domains = self.terms, self._domains()
        return sasl.Exchange(
            mechanism, domains, self._default_domain(domains), self._bindings, terms.token(), terms.secret,
            terms.iterations, sasl.offer(self._mechanisms(), self._bindings), stream_from)

    def _default_domain(self, domains: frozenset[str]) -> str | None:
        """A user name without domain is clear only if there is just one."""
        return self.domain if self.domain in domains else next(iter(domains)) if len(domains) == 1 else None

    def _response(self, stanza: Stanza) -> list[Action]:
        assert self._exchange is not None
        data = self._words.decode(_sasl_content(stanza))
        if data is None:
            return self._sasl_step(self._exchange.refuse("incorrect-encoding", "base64"))
        return self._sasl_step(self._exchange.respond(data))

    def _abort(self, stanza: Stanza) -> list[Action]:
        assert self._exchange is not None
        return self._sasl_step(self._exchange.abort())

    def _unexpected_sasl(self, stanza: Stanza) -> list[Action]:
        """A response or abort without an exchange (RFC 6120 6.5.8)."""
        if self.jid is not None:
            raise StreamError("policy-violation", "This stream is authenticated already.")
        self._profile_of(stanza)
        return self._sasl_failed("malformed-request", "no-exchange", "")

    def _verified(self, answer: Callable[[Any], sasl.Step | UseToken]) -> list[Action]:
        if not self._awaits("examining" if self._asked is not None else "verifying"):
            return []
        assert self._exchange is not None
        return [*self._sasl_step(answer(self._exchange)), *self._release()]

    def _sasl_step(self, step: sasl.Step | Admit | FindTokens | UseToken) -> list[Action]:
        assert self._exchange is not None
        if isinstance(step, sasl.Challenge):
            self.state = "authenticating" if self._asked is None else "exchanging"
            return [Send(self._words.challenge(step.data))]
        if isinstance(step, FindAccount | CheckPassword | Admit | FindTokens | UseToken):
            self.state = "verifying" if self._asked is None else "examining"
            return [step]
        exchange, self._exchange = self._exchange, None
        if isinstance(step, sasl.Failure):
            return self._sasl_failed(step.condition, step.reason, exchange.mechanism, exchange.jid)
        self.jid = exchange.jid
        assert self.jid is not None
        authenticated = Authenticated(self.jid, exchange.mechanism)
        if self._asked is not None:
            token = exchange.token if isinstance(exchange, TokenExchange) else None
            return [authenticated, *self._succeeded(step.additional, token)]
        self.state, self._header_sent = "authenticated", False
        return [Send(xml.success(step.additional)), authenticated, Restart()]

    def _sasl_failed(self, condition: str, reason: str, mechanism: str,
                     jid: JID | None = None) -> list[Action]:
        """RFC 6120 6.4.5: it may be tried again, a few times."""
        self.state = "unsecured" if self.state == "unsecured" else "unauthenticated"
        self._failures += 1
        actions: list[Action] = [Send(self._words.failure(condition)), AuthFailed(condition, reason, mechanism, jid)]
        if self._failures >= self.terms.attempts:
            actions += self._close(StreamError("policy-violation", "Too many attempts to log in."))
        return actions


def _sasl_content(stanza: Stanza) -> str:
    """The text of <auth/> or <response/>; what is no ASCII or has elements comes back as no base64."""
    inner = stanza.inner.strip()
    if not inner:
        return ""
    if stanza.children or not inner.isascii():
        return "*"
    return str(stanza.element) if b"&" in inner or b"<" in inner else inner.decode()
