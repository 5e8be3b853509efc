"""The <body/> of BOSH as values and bytes: XEP-0124 1.11 section 6 and on, XEP-0206 1.4.  No input or output.

What is left out, both being optional: key sequencing (section 15; it is for sessions without TLS) and several
streams in one session (section 16).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from chatd.core import ns
from chatd.core.errors import StreamError
from chatd.core.framing import StreamStart, parse_document
from chatd.core.stanza import STANZA_NAMES, Stanza, attribute

__all__ = ["RID_MOST", "Body", "parse", "sid_of", "terminate", "write"]

RID_MOST: Final = 9007199254740991          # XEP-0124 14.1: 2**53 - 1
_VERSION: Final = f"{ns.XBOSH} version"
_RESTART: Final = f"{ns.XBOSH} restart"
_SID: Final = re.compile(rb"""\ssid\s*=\s*["']([A-Za-z0-9_-]{1,64})["']""")
#: Stream errors that BOSH has a condition of its own for (XEP-0124 17.2); the others travel inside.
_CONDITIONS: Final = frozenset({"host-gone", "host-unknown", "improper-addressing", "internal-server-error",
                                "system-shutdown"})
#: What clients that name no version understand (XEP-0124 17.1).
HTTP_CODES: Final = {"bad-request": 400, "policy-violation": 403, "item-not-found": 404}


@attrs.frozen
class Body:
    """One request: its number, its session (empty: a new one is wanted), its other attributes and what it carries."""

    rid: int
    sid: str
    attrs: Mapping[str, str]
    stanzas: list[Stanza]

    @property
    def is_restart(self) -> bool:
        """XEP-0206 5: the stream begins anew."""
        return self.attrs.get(_RESTART) in ("true", "1")

    @property
    def is_end(self) -> bool:
        """The client ends the session."""
        return self.attrs.get("type") == "terminate"

    @property
    def pause_s(self) -> int | None:
        """How long the client will be away (section 10), None where it does not say."""
        return self.number("pause")

    @property
    def is_empty(self) -> bool:
        """Asks for what there is, and no more (section 12)."""
        return not (self.stanzas or self.is_restart or self.is_end or "pause" in self.attrs)

    @property
    def header(self) -> StreamStart:
        """The stream header that it stands for."""
        given = {name: self.attrs[name] for name in ("to", "from", "xml:lang") if name in self.attrs}
        given["version"] = self.attrs.get(_VERSION, "1.0")
        return StreamStart("body", ns.HTTPBIND, given, ns.HTTPBIND)

    def number(self, name: str) -> int | None:
        """An attribute that is a number, None where it is absent or none."""
        text = self.attrs.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else None


def sid_of(xml: bytes) -> str:
    """The session a body seems to be for, before it is parsed; "" for a new one."""
    found = _SID.search(xml[:1024])
    return found.group(1).decode("ascii") if found else ""


def parse(xml: bytes, max_bytes: int, max_depth: int) -> Body:
    """Reads a request.  Raises StreamError for XML that is not to be, bad-format for what is no <body/> of BOSH."""
    start, stanzas = parse_document(xml, max_bytes, max_depth)
    if start.name != "body" or start.ns != ns.HTTPBIND:
        raise StreamError("bad-format", "a request carries one <body/> of BOSH")
    body = Body(0, start.attrs.get("sid", ""), start.attrs, [_stanza(stanza) for stanza in stanzas])
    rid = body.number("rid")
    if rid is None or not 0 < rid <= RID_MOST:
        raise StreamError("bad-format", "a request has a number, its 'rid'")
    return attrs.evolve(body, rid=rid)


def _stanza(stanza: Stanza) -> Stanza:
    """XEP-0206 2: many clients name no namespace, and mean jabber:client."""
    if stanza.ns != ns.HTTPBIND or stanza.name not in STANZA_NAMES:
        return stanza
    children = tuple(f"{ns.CLIENT}{child[len(ns.HTTPBIND):]}" if child.startswith(f"{ns.HTTPBIND} ") else child
                     for child in stanza.children)
    return Stanza(stanza.name, stanza.attrs, stanza.inner, children, ns.CLIENT)


def write(payload: Iterable[bytes] = (), **given: str | int | None) -> bytes:
    """A response.  given: its attributes, those that are None left out; `xmpp_version` stands for xmpp:version."""
    said = {name.replace("xmpp_", "xmpp:"): value for name, value in given.items() if value is not None}
    declared = f' xmlns:xmpp="{ns.XBOSH}"' if any(name.startswith("xmpp:") for name in said) else ""
    tag = "".join(f' {name}="{attribute(str(value))}"' for name, value in said.items())
    inner = b"".join(payload)
    start = f'<body xmlns="{ns.HTTPBIND}"{declared}{tag}'.encode()
    return b"%b>%b</body>" % (start, inner) if inner else start + b"/>"


def terminate(error: StreamError | None, payload: Iterable[bytes] = ()) -> bytes:
    """The last response of a session; without an error its end is what both want."""
    if error is None:
        return write(payload, type="terminate")
    if error.condition in _CONDITIONS:
        return write(payload, type="terminate", condition=error.condition)
    told = error.to_bytes(declare=True)
    return write([*payload, told], type="terminate", condition="remote-stream-error")
