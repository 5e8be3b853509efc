"""The table of a client's stream: its states, what may come in each, and what is done then.

RFC 6120 4 to 7, RFC 7590, RFC 7395, XEP-0170, XEP-0198, XEP-0388. Two rules: nothing but `TABLE` says what an event
does in a state, and every state has an entry for every event. `chatd.core.negotiation` is the machine that
runs it, and its text explains the actions.
"""
from __future__ import annotations

from collections.abc import Callable, Container, Iterable

import attrs

from chatd.core import sasl
from chatd.core.errors import StreamError
from chatd.core.jid import JID
from chatd.core.sasl import CheckPassword, FindAccount
from chatd.core.sasl_anonymous import Admit
from chatd.core.sasl_ht import FindTokens, UseToken
from chatd.core.stanza import Stanza


@attrs.frozen
class Terms:
    """What one server offers its clients; the same for all streams of a listener.

    host: the server's own name. domains: whose accounts live here. secret: the site's, for the salts of
    unknown accounts. token: gives fresh random text (18 bytes or more, printable ASCII without comma) for
    stream ids, nonces and resources. features: the modules' features for a domain, offered after
    authentication (csi, rosterver, pre-approval, caps). has_verifiers, has_plain: what the accounts' back
    ends can check. without_scram: the domains whose passwords another server knows.
    has_sm: stream management is offered. attempts: failed log-ins after which the stream is closed (RFC 6120 6.4.5).
    iterations: shown for unknown accounts; the count real verifiers are made with.
    visits: the domains at which people come in by ANONYMOUS (chatd.server.visits); looked at anew each time.
    has_tokens: clients may have tokens to log in with (XEP-0484). without_tokens: but not those of these domains, of
    whose changed passwords nobody tells us. may_register: accounts of that domain can be made (XEP-0445). inline: the
    features a client may ask for while it binds (XEP-0386).
    """

    host: str
    domains: frozenset[str]
    secret: bytes = attrs.field(repr=False)
    token: Callable[[], str]
    features: Callable[[str], bytes] = lambda domain: b""
    has_verifiers: bool = True
    has_plain: bool = True
    without_scram: frozenset[str] = frozenset()
    has_sm: bool = True
    attempts: int = 5
    iterations: int = sasl.ITERATIONS
    visits: Container[str] = ()
    has_tokens: bool = False
    without_tokens: frozenset[str] = frozenset()
    inline: Callable[[], Iterable[str]] = tuple
    may_register: Callable[[str], bool] = lambda domain: False


@attrs.frozen
class Send:
    """Write these bytes."""

    data: bytes


@attrs.frozen
class StartTLS:
    """Start TLS now."""


@attrs.frozen
class AuthFailed:
    """One attempt failed. jid: who the client said it is, None before it did. reason: a word for the log."""

    condition: str
    reason: str
    mechanism: str
    jid: JID | None


@attrs.frozen
class Authenticated:
    """The client is this account (bare JID)."""

    jid: JID
    mechanism: str


@attrs.frozen
class Restart:
    """A new stream begins on the same connection."""


@attrs.frozen
class Bind:
    """Bind this full JID."""

    jid: JID


@attrs.frozen
class BindInline:
    """Bind this full JID while it logs in (XEP-0386). client: the id of its user agent, "" for none; former sessions of
    the same one end. asked: the elements of the features to switch on."""

    jid: JID
    client: str
    asked: tuple[Stanza, ...]


@attrs.frozen
class IssueToken:
    """Give the client a new token (XEP-0484). software, device: what it says of itself."""

    jid: JID
    client: str
    mechanism: str
    software: str
    device: str


@attrs.frozen
class Register:
    """Answer this iq of somebody who wants to make an account (XEP-0077, XEP-0445)."""

    stanza: Stanza
    domain: str


@attrs.frozen
class Resume:
    """Take up the session previd, of which the client has handled h stanzas (modulo 2**32)."""

    previd: str
    h: int


@attrs.frozen
class Enable:
    """Switch stream management on. resume: the client wants to be able to resume. max_s: it names a time."""

    resume: bool
    max_s: int | None


@attrs.frozen
class Deliver:
    """A stanza, or an element like <r/>, for the session."""

    stanza: Stanza


@attrs.frozen
class Close:
    """The stream is over."""

    error: StreamError | None


Action = (Send | StartTLS | FindAccount | CheckPassword | Admit | FindTokens | UseToken | AuthFailed | Authenticated
          | Restart | Bind | BindInline | IssueToken | Register | Resume | Enable | Deliver | Close)

STATES = (
    "connected",        # nothing received, no TLS
    "unsecured",        # header exchanged, STARTTLS offered
    "securing",         # <proceed/> sent, TLS not yet up
    "secured",          # TLS is up, its header has not come
    "unauthenticated",  # mechanisms offered
    "authenticating",   # a SASL exchange waits for the client
    "verifying",        # ... or for us
    "registering",      # a request for an account waits for us
    "exchanging",       # a SASL exchange of XEP-0388 waits for the client
    "examining",        # ... or for us
    "settling",         # it succeeded; what was asked for along with it is being done
    "authenticated",    # success sent, the next header has not come
    "unbound",          # binding offered
    "binding",          # a bind request waits for us
    "resuming",         # a resume request waits for us
    "bound",            # the session has the stream
    "closed")
EVENTS = ("header", "end", "starttls", "auth", "response", "abort", "authenticate", "respond", "give_up",
          "register", "bind", "session", "enable", "resume", "stanza", "element", "foreign")

# What is done: the name of a method (its leading underscore left out), or a stream error as "!condition".
_BY_EVENT = {
    "header": "!policy-violation",          # a second header nobody asked for
    "end": "end",
    "starttls": "refuse_tls",               # RFC 6120 5.4.2.2
    "auth": "!policy-violation",
    "response": "unexpected_sasl",
    "abort": "unexpected_sasl",
    "authenticate": "!policy-violation",    # XEP-0388 5.10: once is enough
    "respond": "unexpected_sasl",
    "give_up": "unexpected_sasl",
    "register": "!not-authorized",
    "bind": "!not-authorized",              # RFC 6120 4.9.3.12
    "session": "!not-authorized",
    "enable": "sm_too_early",               # XEP-0198 3
    "resume": "sm_too_early",
    "stanza": "!not-authorized",
    "element": "!unsupported-stanza-type",
    "foreign": "!invalid-namespace",
}
_NO_HEADER = {event: "!bad-format" for event in EVENTS if event not in ("header", "end")} | {"header": "open"}
_HOLD = {event: "hold" for event in EVENTS if event != "end"}
_SILENCE = {event: "!policy-violation" for event in EVENTS if event != "end"}     # XEP-0388 2.4: cut who says more
_BY_STATE: dict[str, dict[str, str]] = {
    "connected": _NO_HEADER,
    "unsecured": {"starttls": "start_tls", "auth": "refuse_unencrypted", "authenticate": "refuse_unencrypted",
                  **dict.fromkeys(("register", "bind", "session", "stanza"), "!policy-violation")},     # RFC 7590 3.1
    # Whatever comes between <starttls/> and the handshake was slipped in by somebody.
    "securing": _SILENCE,
    "secured": _NO_HEADER,
    "unauthenticated": {"auth": "auth", "authenticate": "authenticate", "register": "register"},
    "registering": _HOLD,
    "authenticating": {"response": "response", "abort": "abort",
                       **dict.fromkeys(("respond", "give_up"), "!policy-violation")},
    "verifying": _HOLD,
    "exchanging": _SILENCE | {"respond": "response", "give_up": "abort"},
    "examining": _SILENCE | {"give_up": "hold"},
    "settling": _SILENCE,
    "authenticated": _NO_HEADER,
    "unbound": {"bind": "bind", "resume": "resume"},
    "binding": _HOLD,
    "resuming": _HOLD,
    "bound": {"bind": "bind_again", "session": "session", "enable": "enable", "resume": "sm_too_late",
              "register": "deliver", "stanza": "deliver", "element": "deliver"},
    "closed": dict.fromkeys(EVENTS, "ignore"),
}
ERRORS = {
    "policy-violation": "This is not to be sent at this point of the stream.",
    "not-authorized": "Log in and bind a resource first.",
    "bad-format": "A stream begins with its header.",
    "unsupported-stanza-type": "This element is not known here.",
    "invalid-namespace": "Stanzas of a client are in the namespace jabber:client.",
}
"""What is said with the conditions of the table."""

TABLE: dict[tuple[str, str], str] = {
    (state, event): _BY_STATE[state].get(event, _BY_EVENT[event]) for state in STATES for event in EVENTS}
