"""The XML a server writes while a client's stream is negotiated, per carrier.

RFC 6120 4.7 (headers), 4.3.2 (features), 5 (TLS), 6 (SASL); RFC 7395 3 (WebSocket); XEP-0206 (BOSH);
XEP-0198 (stream management); XEP-0440 (channel binding types). Bytes only; what is sent when is decided in
`chatd.core.negotiation`.
"""
from __future__ import annotations

import enum
from collections.abc import Collection, Iterable

from chatd.core import ns
from chatd.core.errors import StreamError
from chatd.core.sasl import encode
from chatd.core.stanza import Stanza, attribute, text

LANG = "en"
"""The language of the texts this server writes (RFC 6120 4.7.4)."""

SASL_TEXTS = {
    "account-disabled": "This account is disabled. Whoever runs this server can enable it again.",
    "encryption-required": "Passwords are taken over TLS only.",
    "invalid-mechanism": "The mechanism was not offered.",
    "temporary-auth-failure": "Logging in is not possible at the moment. Try again in a while.",
}
"""Sentences for whoever reads a SASL failure; a wrong password gets none, and so does an unknown account."""


class Wire(enum.Enum):
    """What carries the stream. On all but TCP every element stands alone and declares its namespaces."""

    TCP = "tcp"
    WEBSOCKET = "websocket"
    BOSH = "bosh"


def header(wire: Wire, id_: str, from_: str, to: str | None) -> bytes:
    """Our half of the stream header. Over BOSH the <body/> says it, so there is none."""
    if wire is Wire.BOSH:
        return b""
    addressed = f" to='{attribute(to)}'" if to else ""
    common = f"from='{attribute(from_)}' id='{attribute(id_)}'{addressed} version='1.0' xml:lang='{LANG}'"
    if wire is Wire.WEBSOCKET:  # RFC 7395 3.4
        return f"<open xmlns='{ns.FRAMING}' {common}/>".encode()
    return (f"<?xml version='1.0'?><stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAMS}' "
            f"{common}>").encode()


def footer(wire: Wire) -> bytes:
    """Our end of the stream (RFC 6120 4.4, RFC 7395 3.6)."""
    if wire is Wire.BOSH:
        return b""
    return b"</stream:stream>" if wire is Wire.TCP else f"<close xmlns='{ns.FRAMING}'/>".encode()


def features(wire: Wire, parts: Iterable[bytes]) -> bytes:
    """<stream:features/> around the features."""
    declared = b"" if wire is Wire.TCP else f" xmlns:stream='{ns.STREAMS}'".encode()
    inner = b"".join(parts)
    return b"<stream:features" + declared + (b">" + inner + b"</stream:features>" if inner else b"/>")


def error(wire: Wire, stream_error: StreamError) -> bytes:
    """<stream:error/>. Over BOSH the <body type='terminate'/> carries it, so the carrier writes it."""
    return b"" if wire is Wire.BOSH else stream_error.to_bytes(declare=wire is not Wire.TCP)


def stanza(wire: Wire, answer: Stanza) -> bytes:
    """A stanza as this carrier needs it."""
    return answer.to_bytes() if wire is Wire.TCP else answer.to_bytes_ns()


STARTTLS = f"<starttls xmlns='{ns.TLS}'><required/></starttls>".encode()
PROCEED = f"<proceed xmlns='{ns.TLS}'/>".encode()
TLS_FAILURE = f"<failure xmlns='{ns.TLS}'/>".encode()
BIND = f"<bind xmlns='{ns.BIND}'/>".encode()
SESSION = f"<session xmlns='{ns.SESSION}'><optional/></session>".encode()
"""RFC 3921 3 is gone from RFC 6121; <optional/> lets those who still know it leave it out."""
REGISTER = f"<register xmlns='{ns.REGISTER_FEATURE}'/><register xmlns='{ns.IBR_TOKEN}'/>".encode()
"""Accounts can be made (XEP-0077 8), by those who were invited (XEP-0445 3)."""
SM = f"<sm xmlns='{ns.SM}'/>".encode()


def mechanisms(names: Iterable[str]) -> bytes:
    """<mechanisms/> (RFC 6120 6.4.1)."""
    inner = "".join(f"<mechanism>{name}</mechanism>" for name in names)
    return f"<mechanisms xmlns='{ns.SASL}'>{inner}</mechanisms>".encode()


def channel_bindings(bindings: Collection[str]) -> bytes:
    """<sasl-channel-binding/> (XEP-0440), nothing where there are no types."""
    types = "".join(f"<channel-binding type='{name}'/>" for name in bindings)
    return f"<sasl-channel-binding xmlns='{ns.SASL_CB}'>{types}</sasl-channel-binding>".encode() if types else b""


def challenge(data: bytes) -> bytes:
    """<challenge/>; an empty one is "=" (RFC 6120 6.4.2)."""
    return f"<challenge xmlns='{ns.SASL}'>{encode(data)}</challenge>".encode()


def success(additional: bytes | None) -> bytes:
    """<success/>, with the mechanism's last words where it has some (RFC 6120 6.4.6)."""
    if additional is None:
        return f"<success xmlns='{ns.SASL}'/>".encode()
    return f"<success xmlns='{ns.SASL}'>{encode(additional)}</success>".encode()


def failure(condition: str) -> bytes:
    """<failure/> (RFC 6120 6.4.5)."""
    said = SASL_TEXTS.get(condition, "")
    told = f"<text xml:lang='{LANG}'>{text(said)}</text>" if said else ""
    return f"<failure xmlns='{ns.SASL}'><{condition}/>{told}</failure>".encode()


def bound(jid: str) -> bytes:
    """Inner XML of the bind result (RFC 6120 7.6.1)."""
    return f"<bind xmlns='{ns.BIND}'><jid>{text(jid)}</jid></bind>".encode()


def sm_enabled(id_: str | None, max_s: int | None) -> bytes:
    """<enabled/>; id_ None: the session cannot be resumed (XEP-0198 3)."""
    resumable = "" if id_ is None else f" id='{attribute(id_)}' resume='true'"
    limit = "" if id_ is None or max_s is None else f" max='{max_s}'"
    return f"<enabled xmlns='{ns.SM}'{resumable}{limit}/>".encode()


def sm_resumed(h: int, previd: str) -> bytes:
    """<resumed/> (XEP-0198 5)."""
    return f"<resumed xmlns='{ns.SM}' h='{h}' previd='{attribute(previd)}'/>".encode()


def sm_failed(condition: str, h: int | None = None) -> bytes:
    """<failed/>; h: what the lost session had handled, where that is known (XEP-0198 5, 6)."""
    counted = "" if h is None else f" h='{h}'"
    return f"<failed xmlns='{ns.SM}'{counted}><{condition} xmlns='{ns.STANZAS}'/></failed>".encode()
