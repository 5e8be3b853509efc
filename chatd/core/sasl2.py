"""The XML of the extensible SASL profile: what <authenticate/> asks for, and what is answered.

XEP-0388 2 and 3, with what stands in it: XEP-0386 (bind), XEP-0198 9 (resume), XEP-0484 (tokens). Values and bytes
only; `chatd.core.negotiation_sasl2` knows when. Tasks (<continue/>, <next/>) are not asked for: nothing here needs one.
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Iterable

import attrs
from twisted.words.xish import domish

from chatd.core import ns, sasl
from chatd.core.stamp import format_stamp
from chatd.core.stanza import Stanza, attribute, text
from chatd.core.stream_xml import LANG, SASL_TEXTS

__all__ = ["Asked", "authentication", "bound", "challenge", "decode", "failure", "parse", "success", "token"]

_SAID_MOST = 100
"""Of what a client says of itself, so many characters are kept."""
_TAG_MOST = 64
_INLINE_MOST = 16
"""Features that one <bind/> may ask for."""
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")


@attrs.frozen
class Asked:
    """One <authenticate/>.

    initial: the text of <initial-response/>, None where there is none. client: the id of the user agent, a UUID in its
    usual form, "" without one. software, device: what it says of itself. tag: of <bind/>, None where nothing is to be
    bound. inline: the features asked for with it. resume: the attributes of <resume/>. token_for: the mechanism a
    token is wanted for. is_by_token: there is <fast/>; count, is_last: its count, None without one, and whether the
    token is to be invalid from now on.
    """

    mechanism: str
    initial: str | None
    client: str = ""
    software: str = ""
    device: str = ""
    tag: str | None = None
    inline: tuple[Stanza, ...] = ()
    resume: dict[str, str] | None = None
    token_for: str = ""
    is_by_token: bool = False
    count: int | None = None
    is_last: bool = False


def parse(stanza: Stanza) -> Asked:
    """What an <authenticate/> asks for; of two alike the first counts, and what is not known is left out."""
    parts: dict[tuple[str, str], domish.Element] = {}
    for child in stanza.element.elements():
        parts.setdefault((child.uri, child.name), child)
    initial = parts.get((ns.SASL2, "initial-response"))
    agent = parts.get((ns.SASL2, "user-agent"))
    bind = parts.get((ns.BIND2, "bind"))
    resume = parts.get((ns.SM, "resume"))
    wants = parts.get((ns.FAST, "request-token"))
    fast = parts.get((ns.FAST, "fast"))
    return Asked(
        stanza.attrs.get("mechanism", ""),
        None if initial is None else "" if list(initial.elements()) else str(initial).strip(),
        client="" if agent is None else _uuid(agent.getAttribute("id") or ""),
        software="" if agent is None else _said(agent, ns.SASL2, "software", _SAID_MOST),
        device="" if agent is None else _said(agent, ns.SASL2, "device", _SAID_MOST),
        tag=None if bind is None else _said(bind, ns.BIND2, "tag", _TAG_MOST),
        inline=() if bind is None else tuple(
            Stanza.from_element(child) for child in bind.elements() if child.uri != ns.BIND2)[:_INLINE_MOST],
        resume=None if resume is None else dict(Stanza.from_element(resume).attrs),
        token_for="" if wants is None else wants.getAttribute("mechanism") or "",
        is_by_token=fast is not None,
        count=None if fast is None else _count(fast.getAttribute("count")),
        is_last=fast is not None and fast.getAttribute("invalidate") in ("true", "1"))


def _uuid(given: str) -> str:
    """An id in the usual form of a UUID; what is none identifies nobody (XEP-0388 2.3)."""
    try:
        return str(uuid.UUID(given)) if len(given) == 36 else ""
    except ValueError:
        return ""


def _said(parent: domish.Element, space: str, name: str, most: int) -> str:
    for child in parent.elements():
        if child.uri == space and child.name == name:
            return _INVISIBLE.sub("", str(child))[:most].strip()
    return ""


def _count(given: str | None) -> int | None:
    """0 for what is no positive number: it is never above what was counted before."""
    if given is None:
        return None
    return int(given) if given.isascii() and given.isdigit() and len(given) <= 9 else 0


def decode(content: str) -> bytes | None:
    """base64, None where it is none; here "=" is no empty string (XEP-0388 2.2)."""
    return None if content.strip() == "=" else sasl.decode(content)


# What the server says

def authentication(names: Iterable[str], inline: Iterable[str], has_sm: bool, tokens: Iterable[str]) -> bytes:
    """<authentication/>. names: the mechanisms. inline: features that may be asked for with <bind/>. tokens: mechanisms
    of XEP-0484."""
    mechanisms = "".join(f"<mechanism>{name}</mechanism>" for name in names)
    features = "".join(f"<feature var='{attribute(name)}'/>" for name in inline)
    within = f"<inline>{features}</inline>" if features else ""
    sm = f"<sm xmlns='{ns.SM}'/>" if has_sm else ""
    ht = "".join(f"<mechanism>{name}</mechanism>" for name in tokens)
    fast = f"<fast xmlns='{ns.FAST}'>{ht}</fast>" if ht else ""
    return (f"<authentication xmlns='{ns.SASL2}'>{mechanisms}<inline><bind xmlns='{ns.BIND2}'>{within}</bind>"
            f"{sm}{fast}</inline></authentication>").encode()


def challenge(data: bytes) -> bytes:
    """<challenge/>."""
    return f"<challenge xmlns='{ns.SASL2}'>{_encoded(data)}</challenge>".encode()


def success(jid: str, additional: bytes | None, parts: Iterable[bytes]) -> bytes:
    """<success/>. jid: bare, or full where a resource was bound. additional: the mechanism's last words. parts: what
    came of what was asked for along with it."""
    more = "" if additional is None else f"<additional-data>{_encoded(additional)}</additional-data>"
    head = f"<success xmlns='{ns.SASL2}'>{more}<authorization-identifier>{text(jid)}</authorization-identifier>"
    return head.encode() + b"".join(parts) + b"</success>"


def failure(condition: str) -> bytes:
    """<failure/>, with a condition of RFC 6120 6.5."""
    said = SASL_TEXTS.get(condition, "")
    told = f"<text xml:lang='{LANG}'>{text(said)}</text>" if said else ""
    return f"<failure xmlns='{ns.SASL2}'><{condition} xmlns='{ns.SASL}'/>{told}</failure>".encode()


def bound(inner: bytes) -> bytes:
    """<bound/> (XEP-0386 3.2)."""
    return b"<bound xmlns='" + ns.BIND2.encode() + (b"'>" + inner + b"</bound>" if inner else b"'/>")


def token(secret: str, expires_ms: int) -> bytes:
    """<token/> (XEP-0484 3.3)."""
    return f"<token xmlns='{ns.FAST}' expiry='{format_stamp(expires_ms)}' token='{attribute(secret)}'/>".encode()


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
