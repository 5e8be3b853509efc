"""Server Dialback, XEP-0220: the two elements <db:result/> and <db:verify/>, read and written.

How a key is made is XEP-0185 and wokkel's; who asks whom is `chatd.server.s2s`.
"""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import unescape

import attrs

from chatd.core import ns
from chatd.core.errors import StreamError
from chatd.core.jid import JID, InvalidJID
from chatd.core.stanza import Stanza, attribute, text

__all__ = ["Dialback", "domain_of", "key", "read", "refusal", "verdict"]

_KEY_MOST: Final = 1024


@attrs.frozen
class Dialback:
    """One of the elements: `name` is result or verify.

    from_, to: domains. id: the stream's it is about (verify only). kind: "" for a question, else valid, invalid or
    error. key: of a question. condition: of an error (2.5).
    """

    name: str
    from_: str
    to: str
    id: str
    kind: str
    key: str
    condition: str


def domain_of(address: str | None) -> str:
    """The domain that `address` is, in the normal form; raises StreamError improper-addressing for what is none."""
    try:
        jid = JID.parse(address or "")
    except InvalidJID:
        raise StreamError("improper-addressing", "Servers are addressed by their domain.") from None
    if jid.local or jid.resource:
        raise StreamError("improper-addressing", "Servers are addressed by their domain.")
    return jid.domain


def read(element: Stanza) -> Dialback:
    """What a peer sent; raises StreamError."""
    attributes = element.attrs
    kind = attributes.get("type", "")
    if element.name not in ("result", "verify") or kind not in ("", "valid", "invalid", "error"):
        raise StreamError("unsupported-stanza-type", "Dialback has <result/> and <verify/>, valid, invalid or error.")
    said, condition = "", ""
    if not kind:
        said = unescape(element.inner.decode("utf-8")).strip()
        if element.children or not 0 < len(said) <= _KEY_MOST:
            raise StreamError("bad-format", "A dialback key is text.")
    elif kind == "error":
        condition = _condition(element)
    return Dialback(element.name, domain_of(attributes.get("from")), domain_of(attributes.get("to")),
                    attributes.get("id", ""), kind, said, condition)


def _condition(element: Stanza) -> str:
    for child in element.element.elements():
        if child.name == "error":
            for detail in child.elements():
                if detail.uri == ns.STANZAS and detail.name != "text":
                    return str(detail.name)
    return "undefined-condition"


def key(name: str, from_: str, to: str, said: str, id_: str = "") -> bytes:
    """A question: <db:result/> (step 1) or, with the id of the stream it is about, <db:verify/> (step 2)."""
    return f"<db:{name} from='{attribute(from_)}' to='{attribute(to)}'{_id(id_)}>{text(said)}</db:{name}>".encode()


def verdict(asked: Dialback, kind: str) -> bytes:
    """The answer valid or invalid to a question."""
    return (f"<db:{asked.name} from='{attribute(asked.to)}' to='{attribute(asked.from_)}'{_id(asked.id)} "
            f"type='{kind}'/>").encode()


def refusal(asked: Dialback, condition: str, kind: str = "cancel", why: str = "") -> bytes:
    """The answer "error" to a question (2.5), after which the stream goes on."""
    said = f"<text xmlns='{ns.STANZAS}' xml:lang='en'>{text(why)}</text>" if why else ""
    return (f"<db:{asked.name} from='{attribute(asked.to)}' to='{attribute(asked.from_)}'{_id(asked.id)} type='error'>"
            f"<error type='{kind}'><{condition} xmlns='{ns.STANZAS}'/>{said}</error></db:{asked.name}>").encode()


def _id(id_: str) -> str:
    return f" id='{attribute(id_)}'" if id_ else ""
