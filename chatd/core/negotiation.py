"""A client's stream up to the bound resource: one table, state x event -> what is done. Sans-IO.

RFC 6120 4 to 7, RFC 7590 (TLS required), RFC 7395 (WebSocket), XEP-0170 (order), XEP-0198 3 and 5 (where
<enable/> and <resume/> may stand), RFC 3921 3 (<session/>, answered and without meaning). Log-in, resumption, binding
and more in one go, XEP-0388, is in `chatd.core.negotiation_sasl2`. That, `negotiation_sasl` (RFC 6120 6) and
`negotiation_binding` (7 and behind it) are parts of this machine: the table here calls what they do.

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

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from chatd.core import ns, sasl
from chatd.core import stream_xml as xml
from chatd.core.errors import StreamError
from chatd.core.framing import StreamStart
from chatd.core.jid import JID, InvalidJID
from chatd.core.negotiation_binding import Binding
from chatd.core.negotiation_sasl import LogIn
from chatd.core.sasl import CheckPassword, FindAccount
from chatd.core.sasl_anonymous import Admit, AnonymousExchange
from chatd.core.sasl_ht import FindTokens, TokenExchange, UseToken
from chatd.core.stanza import STANZA_NAMES, Stanza
from chatd.core.stream_table import (
    ERRORS,
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


class Negotiation(LogIn, Binding):
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
            return self._close(StreamError(done[1:], ERRORS[done[1:]]))
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
