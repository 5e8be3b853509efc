"""A client's stream up to the bound resource: one table, state x event -> what is done. Sans-IO.

RFC 6120 4 to 7, RFC 7590 (TLS required), RFC 7395 (WebSocket), XEP-0170 (order), XEP-0198 3 and 5 (where
<enable/> and <resume/> may stand), RFC 3921 3 (<session/>, answered and without meaning). Log-in, resumption, binding
and more in one go, XEP-0388, is in `chatd.core.negotiation_sasl2`, a part of this machine.

For the one who writes a carrier (TCP, WebSocket, BOSH)::

    n = Negotiation(terms, Wire.TCP, is_secured=False)
    for action in n.opened(stream_start):  # Framer's StreamStart; WebSocket: received(<open/>) does it
    for action in n.received(stanza):      # every first-level element until n.is_bound, then see below
    for action in n.ended():               # the peer's end tag (WebSocket: received(<close/>) does it)
    for action in n.failed(StreamError):   # what the Framer raised, a time-out, the server's shutdown

Each call returns the actions to carry out, in order:

    Send(data)            write; over WebSocket each Send is one frame
    StartTLS()            read nothing more in the clear (drop what is buffered), start TLS, make a new
                          Framer; when the handshake is done call n.tls_started(bindings)
    FindAccount(...)      look the account up, then call n.account(verifier, disabled) or n.refuse(condition)
    CheckPassword(...)    check it, then call n.password_checked(is_right, disabled) or n.refuse(condition)
    Admit(...)            somebody visits (see `visits` below): find out who, then call n.admitted(jid) or n.refuse(...)
    FindTokens(...)       look the client's tokens up, then call n.tokens(...) or n.refuse(condition)
    UseToken(...)         write down that it was used, then call n.token_used(is_good) or n.refuse(condition)
    AuthFailed(...)       an attempt failed: for back-off and the log
    Authenticated(jid)    raise the stanza limit; jid is bare
    Restart()             make a new Framer (TCP: the next header comes); WebSocket, BOSH: nothing to do
    Bind(jid)             bind this full JID, closing an older session of the same resource (RFC 6120 7.7.2.2,
                          policy 2 there: stream error conflict to the older), then call n.bound() or
                          n.bind_refused(StanzaError)
    BindInline(...)       the same while it logs in, with what it asks for: n.bound_inline(xml), n.not_bound(condition)
    IssueToken(...)       make a token, then call n.token_issued(xml), of b"" where there is none
    Register(iq, domain)  answer it, by n.registered(result or error)
    Resume(previd, h)     find that session of n.jid, then call n.resumed(h) and retransmit, or
                          n.resume_failed(condition, h)
    Enable(resume, max_s) switch stream management on, then call n.sm_enabled(id, max_s)
    Deliver(stanza)       the session's (only when n.is_bound)
    Close(error)          the stream is over (error None: orderly); what had to be said has been sent, but over
                          BOSH, where the terminating <body/> carries `error`

The answering calls return actions too, and none when the stream was closed meanwhile. While an answer is due,
what the client pipelines is held here.

Once `n.is_bound` and nothing more was returned to be done, a carrier may let go of it and hand elements straight
to the session. A second bind, <session/>, <enable/> and <resume/> are then the session's to answer, as the rows
of "bound" do. Time-outs, sizes, back-off and the session itself are the carrier's. Illegal calls of ours raise
RuntimeError.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import attrs

from chatd.core import ns, sasl
from chatd.core import stream_xml as xml
from chatd.core.accounts import Verifier
from chatd.core.errors import StanzaError, StreamError
from chatd.core.framing import StreamStart
from chatd.core.jid import JID, InvalidJID
from chatd.core.negotiation_sasl2 import ExtensibleLogIn
from chatd.core.sasl import CheckPassword, FindAccount
from chatd.core.sasl_anonymous import MECHANISM as ANONYMOUS
from chatd.core.sasl_anonymous import Admit, AnonymousExchange
from chatd.core.sasl_ht import FindTokens, TokenExchange, UseToken
from chatd.core.stanza import STANZA_NAMES, Stanza
from chatd.core.stream_table import (
    TABLE,
    Action,
    Authenticated,
    AuthFailed,
    Bind,
    BindInline,
    Close,
    Deliver,
    Enable,
    IssueToken,
    Register,
    Restart,
    Resume,
    Send,
    StartTLS,
    Terms,
)
from chatd.core.stream_xml import Wire

__all__ = [
    "Action", "Admit", "AuthFailed", "Authenticated", "Bind", "BindInline", "CheckPassword", "Close", "Deliver",
    "Enable", "FindAccount", "FindTokens", "IssueToken", "Negotiation", "Register", "Restart", "Resume", "Send",
    "StartTLS", "Terms", "UseToken", "Wire"]

HELD_MOST = 32
"""Elements a client may send ahead of an answer of ours."""

_ERRORS = {
    "policy-violation": "This is not to be sent at this point of the stream.",
    "not-authorized": "Log in and bind a resource first.",
    "bad-format": "A stream begins with its header.",
    "unsupported-stanza-type": "This element is not known here.",
    "invalid-namespace": "Stanzas of a client are in the namespace jabber:client.",
}
_BIND = f"{ns.BIND} bind"
_REGISTER = (f"{ns.REGISTER} query", f"{ns.PREAUTH} preauth")
_SESSION = f"{ns.SESSION} session"
_EVENT_OF = {
    (ns.TLS, "starttls"): "starttls",
    (ns.SASL, "auth"): "auth", (ns.SASL, "response"): "response", (ns.SASL, "abort"): "abort",
    (ns.SASL2, "authenticate"): "authenticate", (ns.SASL2, "response"): "respond", (ns.SASL2, "abort"): "give_up",
    (ns.SM, "enable"): "enable", (ns.SM, "resume"): "resume",
    (ns.FRAMING, "open"): "header", (ns.FRAMING, "close"): "end",
}


class Negotiation(ExtensibleLogIn):
    """One stream. See the module's text for how it is used.

    is_secured: TLS is up already (direct TLS, HTTPS), or a trusted proxy has it. bindings: channel binding
    type -> data of that TLS.
    state: one of STATES. jid: the account's bare JID once authenticated, the full JID once bound. lang: the
    client's xml:lang, None if it named none.

    visit: the domain of Terms.visits that the stream is for, "" for one of accounts. Nothing but ANONYMOUS is offered
    there, and only over WebSocket; who comes by it is known by `jid`, which need not be of that domain.
    """

    def __init__(self, terms: Terms, wire: Wire, is_secured: bool,
                 bindings: Mapping[str, bytes] = MappingProxyType({})) -> None:
        self.terms = terms
        self.wire = wire
        self.state = "secured" if is_secured or wire is not Wire.TCP else "connected"
        self.jid: JID | None = None
        self.lang: str | None = None
        self.domain = ""
        self.visit = ""
        super().__init__()
        self._bindings = bindings
        self._is_encrypted = is_secured
        self._exchange: sasl.Exchange | AnonymousExchange | TokenExchange | None = None
        self._failures = 0
        self._header_sent = False
        self._held: list[tuple[str, Stanza | StreamStart | None]] = []
        self._request: Stanza | None = None
        self._previd = ""
        self._full: JID | None = None
        self._sm_asked = False
        if not is_secured and wire is not Wire.TCP:
            # STARTTLS exists on TCP only (RFC 7395 3.9, XEP-0206 6); without TLS no password is taken.
            self.terms = attrs.evolve(terms, has_plain=False)

    # Events of the peer

    def opened(self, start: StreamStart) -> list[Action]:
        """A stream header. Over BOSH: the attributes to, from, version, xml:lang of a <body/> that opens or
        restarts."""
        return self._event("header", start)

    def received(self, stanza: Stanza) -> list[Action]:
        """A first-level element."""
        return self._event(self._event_of(stanza), stanza)

    def ended(self) -> list[Action]:
        """The peer's end of the stream."""
        return self._event("end", None)

    def failed(self, error: StreamError) -> list[Action]:
        """The stream cannot go on, for a reason the table does not know."""
        return self._close(error) if self.state != "closed" else []

    # Our answers

    def tls_started(self, bindings: Mapping[str, bytes]) -> list[Action]:
        """The handshake is done. bindings: channel binding type -> data."""
        if not self._awaits("securing"):
            return []
        self._bindings, self._is_encrypted = bindings, True
        self.state, self._header_sent = "secured", False
        return []

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

    def bound(self, jid: JID | None = None) -> list[Action]:
        """Answer to Bind: done. jid: the full JID it became, where that is another (RFC 6120 7.6)."""
        if not self._awaits("binding"):
            return []
        request = self._answered()
        self.jid, self.state = jid or self._full, "bound"
        assert self.jid is not None
        return [self._stanza(request.result(xml.bound(self.jid.full))), *self._release()]

    def bind_refused(self, error: StanzaError) -> list[Action]:
        """Answer to Bind: refused (RFC 6120 7.6.2: resource-constraint, ...); it may be tried again."""
        if not self._awaits("binding"):
            return []
        request = self._answered()
        self.state = "unbound"
        return [self._stanza(request.error(error)), *self._release()]

    def resumed(self, h: int, jid: JID) -> list[Action]:
        """Answer to Resume: `jid` (full) goes on here; h: stanzas of the client handled so far."""
        if self.state == "settling":
            return self._resumed_inline(h, jid)
        if not self._awaits("resuming"):
            return []
        self.jid, self.state, self._sm_asked = jid, "bound", True
        return [Send(xml.sm_resumed(h, self._previd)), *self._release()]

    def resume_failed(self, condition: str = "item-not-found", h: int | None = None) -> list[Action]:
        """Answer to Resume: no such session; a new one may be bound (XEP-0198 5)."""
        if self.state == "settling":
            return self._not_resumed_inline(condition, h)
        if not self._awaits("resuming"):
            return []
        self.state = "unbound"
        return [Send(xml.sm_failed(condition, h)), *self._release()]

    def registered(self, answer: Stanza) -> list[Action]:
        """Answer to Register; logging in is the next thing."""
        if not self._awaits("registering"):
            return []
        self.state = "unauthenticated"
        return [self._stanza(answer), *self._release()]

    def sm_enabled(self, id_: str | None, max_s: int | None = None) -> list[Action]:
        """Answer to Enable, at once. id_ None: on, but not to be resumed."""
        if not self._awaits("bound"):
            return []
        return [Send(xml.sm_enabled(id_, max_s))]

    # Looking at the state

    @property
    def is_bound(self) -> bool:
        """The session has the stream."""
        return self.state == "bound"

    @property
    def is_waiting(self) -> bool:
        """An answer of ours is due; reading on may be put off."""
        return self.state in ("securing", "verifying", "examining", "settling", "registering", "binding", "resuming")

    # The table at work

    def _event_of(self, stanza: Stanza) -> str:
        if stanza.ns == ns.CLIENT and stanza.name in STANZA_NAMES:
            if stanza.name == "iq" and stanza.attrs.get("type") == "set":
                if stanza.payload == _BIND:
                    return "bind"
                if stanza.payload == _SESSION:
                    return "session"
            return "register" if stanza.name == "iq" and stanza.payload in _REGISTER else "stanza"
        if stanza.ns == ns.FRAMING and self.wire is not Wire.WEBSOCKET:
            return "element"
        return _EVENT_OF.get((stanza.ns, stanza.name)) or (
            "foreign" if stanza.name in STANZA_NAMES else "element")

    def _event(self, event: str, subject: Stanza | StreamStart | None) -> list[Action]:
        done = TABLE[self.state, event]
        if done == "hold":
            return self._hold(event, subject)
        if done[0] == "!":
            return self._close(StreamError(done[1:], _ERRORS[done[1:]]))
        try:
            return getattr(self, "_" + done)(subject)  # type: ignore[no-any-return]
        except StreamError as error:
            return self._close(error)

    def _hold(self, event: str, subject: Stanza | StreamStart | None) -> list[Action]:
        if len(self._held) >= HELD_MOST:
            return self._close(StreamError("policy-violation", "Too much was sent ahead of an answer."))
        self._held.append((event, subject))
        return []

    def _release(self) -> list[Action]:
        """What was held goes through the table now, until the next answer is due."""
        actions: list[Action] = []
        while self._held and not self.is_waiting:
            actions += self._event(*self._held.pop(0))
        return actions

    def _close(self, error: StreamError | None) -> list[Action]:
        actions: list[Action] = []
        if self.state == "securing":
            pass  # The client reads TLS now; there is nothing it would understand.
        elif error is not None:
            if not self._header_sent:  # RFC 6120 4.9.1.2
                from_ = self.domain or self.terms.host
                actions.append(Send(xml.header(self.wire, self.terms.token(), from_, None)))
            actions.append(Send(xml.error(self.wire, error)))
        if self.state != "securing" and (self._header_sent or error is not None):
            actions.append(Send(xml.footer(self.wire)))
        self.state = "closed"
        self._held.clear()
        return [*(action for action in actions if not isinstance(action, Send) or action.data), Close(error)]

    def _awaits(self, state: str) -> bool:
        """Is this answer of ours due? False once the peer is gone, RuntimeError if it never was."""
        if self.state not in (state, "closed"):
            raise RuntimeError(f"the stream is {self.state!r}, not {state!r}")
        return self.state == state

    def _answered(self) -> Stanza:
        request, self._request = self._request, None
        assert request is not None
        return request

    def _stanza(self, answer: Stanza) -> Send:
        return Send(xml.stanza(self.wire, answer))

    def _ignore(self, subject: object) -> list[Action]:
        return []

    def _end(self, subject: object) -> list[Action]:
        return self._close(None)

    def _deliver(self, stanza: Stanza) -> list[Action]:
        return [Deliver(stanza)]

    # Header and TLS

    def _open(self, start: StreamStart | Stanza) -> list[Action]:
        """RFC 6120 4.7, 4.8, 4.9.1.2; RFC 7395 3.4."""
        given = start.attrs
        if self.wire is Wire.TCP:
            assert isinstance(start, StreamStart)
            if start.ns != ns.STREAMS or start.default_ns != ns.CLIENT:
                raise StreamError("invalid-namespace", "This is a stream of jabber:client.")
            if start.name != "stream":
                raise StreamError("bad-format", "A stream begins with <stream:stream>.")
        self._header_sent = False
        self.lang = given.get("xml:lang") or None
        self._stream_from = _account(given.get("from"))
        domain = self._domain_of(given.get("to"))
        if not _is_version_1(given.get("version")):
            raise StreamError("unsupported-version", "This server speaks XMPP 1.0.")
        self.domain = domain
        self.visit = domain if self._may_visit(domain) else ""
        named = self.jid or self._stream_from
        to = named.bare if named is not None else None
        opening = xml.header(self.wire, self.terms.token(), domain, to)
        self._header_sent = True
        offered, self.state = self._features()
        actions = [Send(opening), Send(xml.features(self.wire, offered))]
        return [action for action in actions if action.data]

    def _domain_of(self, address: str | None) -> str:
        if not address:
            raise StreamError("improper-addressing", "The stream header has no 'to'.")
        try:
            jid = JID.parse(address)
        except InvalidJID:
            raise StreamError("host-unknown", "The stream header's 'to' is no domain.") from None
        # Once authenticated the stream is the account's; before, it may be the server's own name as well.
        if self.visit:
            is_known = jid.domain == self.visit
        elif self.jid is not None:
            is_known = jid.domain in (self.jid.domain, self.terms.host)
        else:
            is_known = jid.domain in self.terms.domains or jid.domain == self.terms.host or self._may_visit(jid.domain)
        if jid.full != jid.domain or not is_known:
            raise StreamError("host-unknown", f"{jid.domain} is not served here.")
        return jid.domain

    def _may_visit(self, domain: str) -> bool:
        return self.wire is Wire.WEBSOCKET and domain in self.terms.visits

    def _features(self) -> tuple[list[bytes], str]:
        """What the header is answered with, and the state that begins."""
        if self.state == "connected":
            return [xml.STARTTLS], "unsecured"
        if self.state == "secured":
            offered = [xml.mechanisms(self._mechanisms())]
            if not self.visit:
                offered += self._extensible(), xml.channel_bindings(self._bindings)
                if self._may_register():
                    offered.append(xml.REGISTER)
            return offered, "unauthenticated"
        return self._features_within(), "unbound"

    def _features_within(self) -> list[bytes]:
        """Of an authenticated stream that has no resource yet."""
        assert self.jid is not None
        sm = [xml.SM] if self.terms.has_sm else []
        if self.visit:
            return [xml.BIND, xml.SESSION, *sm]
        return [xml.BIND, xml.SESSION, *sm, self.terms.features(self.jid.domain)]

    def _start_tls(self, stanza: Stanza) -> list[Action]:
        self.state = "securing"
        return [Send(xml.PROCEED), StartTLS()]

    def _refuse_tls(self, stanza: Stanza) -> list[Action]:
        """RFC 6120 5.4.2.2: the failure, and the stream is closed."""
        return [Send(xml.TLS_FAILURE), *self._close(None)]

    # SASL

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

    # Making an account (XEP-0077, XEP-0445)

    def _may_register(self) -> bool:
        return self._is_encrypted and self.domain in self.terms.domains and self.terms.may_register(self.domain)

    def _register(self, request: Stanza) -> list[Action]:
        if not self._may_register() or request.attrs.get("type") not in ("get", "set") or not request.attrs.get("id"):
            raise StreamError("not-authorized", _ERRORS["not-authorized"])
        self.state = "registering"
        return [Register(request, self.domain)]

    # Resource binding (RFC 6120 7), session, stream management

    def _bind(self, request: Stanza) -> list[Action]:
        assert self.jid is not None
        wanted = _resource(request)
        try:
            full = self.jid.with_resource(wanted or self.terms.token())
        except InvalidJID:
            return [self._stanza(request.error(StanzaError(
                "bad-request", type="modify", text="The resource has characters that are not allowed.")))]
        if not request.attrs.get("id"):
            return [self._stanza(request.error(StanzaError("bad-request", text="An iq needs an 'id'.")))]
        self._request, self._full, self.state = request, full, "binding"
        return [Bind(full)]

    def _bind_again(self, request: Stanza) -> list[Action]:
        """RFC 6120 7.1: one resource a stream."""
        return [self._stanza(request.error(StanzaError(
            "not-allowed", text="This stream has its resource already.")))]

    def _session(self, request: Stanza) -> list[Action]:
        return [self._stanza(request.result())]

    def _resume(self, stanza: Stanza) -> list[Action]:
        previd, h = stanza.attrs.get("previd", ""), _count(stanza.attrs.get("h"))
        if not self.terms.has_sm:
            return [Send(xml.sm_failed("feature-not-implemented"))]
        if not previd or h is None:
            return [Send(xml.sm_failed("bad-request"))]
        self._previd, self.state = previd, "resuming"
        return [Resume(previd, h)]

    def _enable(self, stanza: Stanza) -> list[Action]:
        if not self.terms.has_sm:
            return [Send(xml.sm_failed("feature-not-implemented"))]
        if self._sm_asked:
            return [Send(xml.sm_failed("unexpected-request"))]
        self._sm_asked = True
        return [Enable(stanza.attrs.get("resume") in ("true", "1"), _count(stanza.attrs.get("max")))]

    def _sm_too_early(self, stanza: Stanza) -> list[Action]:
        return [Send(xml.sm_failed("unexpected-request"))]

    _sm_too_late = _sm_too_early


def _is_version_1(version: str | None) -> bool:
    """RFC 6120 4.7.5: 1.0, or a later minor or major of which we answer with 1.0; none at all is 0.0."""
    major, dot, minor = (version or "").partition(".")
    return bool(dot) and major.isdecimal() and minor.isdecimal() and len(major) < 5 and int(major) >= 1


def _account(address: str | None) -> JID | None:
    """What the client calls itself in its header, if that is an address."""
    try:
        return JID.parse(address) if address else None
    except InvalidJID:
        return None


def _sasl_content(stanza: Stanza) -> str:
    """The text of <auth/> or <response/>; what is no ASCII or has elements comes back as no base64."""
    inner = stanza.inner.strip()
    if not inner:
        return ""
    if stanza.children or not inner.isascii():
        return "*"
    return str(stanza.element) if b"&" in inner or b"<" in inner else inner.decode()


def _resource(request: Stanza) -> str:
    """The resource a bind request asks for; "" leaves it to the server (RFC 6120 7.6)."""
    for bind in request.element.elements():
        for child in bind.elements():
            if child.name == "resource" and child.uri == ns.BIND:
                return str(child).strip()
    return ""


def _count(number: str | None) -> int | None:
    """An xs:unsignedInt, None where it is none."""
    if number is None or not (number.isascii() and number.isdigit() and len(number) <= 10):
        return None
    value = int(number)
    return value if value < 2**32 else None
