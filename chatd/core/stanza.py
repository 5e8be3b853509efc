"""A stanza that stays bytes until somebody must look inside.

The framer makes one of each first-level element of a stream.  Routing, carbons, stream management
and the archive work on the start tag's attributes, on the names of the direct children and on the
untouched bytes between the tags; `element` parses them for those who must read more.  Delivery
writes a fresh start tag around the same bytes.

Children without a namespace declaration of their own are in the stanza's namespace; so the same
inner bytes are right inside a jabber:client and a jabber:server stream (RFC 6120 4.8.3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final
from xml.sax.saxutils import escape

from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.xish import domish

from chatd.core import ns

__all__ = ["STANZA_NAMES", "Stanza", "attribute", "is_fit", "parse_element", "text"]

STANZA_NAMES: Final = frozenset({"message", "presence", "iq"})

#: What no XML may have (XML 1.0 2.2): it comes from elsewhere, a command line or a database, and is left out, for every
#: client that got it would have to end its stream.
_NONE: Final = "\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff"
_none = re.compile(f"[{_NONE}]")
_special = re.compile(f"[&<>\"'\t\n\r{_NONE}]").search
_ENTITIES: Final = {'"': "&quot;", "'": "&apos;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


def attribute(value: str) -> str:
    """`value` escaped to stand between quotation marks of either kind."""
    return escape(_none.sub("", value), _ENTITIES) if _special(value) else value


def text(value: str) -> str:
    """`value` escaped to stand between tags."""
    return escape(_none.sub("", value)) if _special(value) else value


def is_fit(value: str) -> bool:
    """May `value` stand in XML, every character of it?"""
    return _none.search(value) is None


class Stanza:
    """One first-level element: `name`, `ns`, `attrs` (xml:lang under that very key), `children`
    ("NAMESPACE NAME" of each direct child, in order) and the `inner` bytes.

    Attributes may be changed until the first serialisation, by the one who made or received the
    stanza; after that it is shared and must be left alone (`readdressed` gives a changed copy).
    """

    __slots__ = ("_bytes", "_cut", "_element", "attrs", "children", "inner", "name", "ns")

    def __init__(self, name: str, attrs: dict[str, str], inner: bytes = b"", children: tuple[str, ...] = (),
                 ns_: str = ns.CLIENT) -> None:
        self.name = name
        self.ns = ns_
        self.attrs = attrs
        self.children = children
        self.inner = inner
        self._bytes: bytes | None = None
        self._cut: tuple[bytes, bytes] | None = None        # what comes before and after the `to` of a copy
        self._element: domish.Element | None = None

    @classmethod
    def from_element(cls, element: domish.Element) -> Stanza:
        """The stanza that `element` describes; attributes of foreign namespaces are left out."""
        attrs = {}
        for key, value in element.attributes.items():
            if isinstance(key, tuple):
                if key != (ns.XML, "lang"):
                    continue
                key = "xml:lang"
            elif key == "xmlns":
                continue
            attrs[key] = value
        inner = "".join(text(child) if isinstance(child, str) else child.toXml(defaultUri=element.uri)
                        for child in element.children)
        children = tuple(f"{child.uri} {child.name}" for child in element.elements())
        return cls(element.name, attrs, inner.encode(), children, element.uri)

    # -- reading
    @property
    def type(self) -> str | None:
        """The type attribute, or None."""
        return self.attrs.get("type")

    @property
    def id(self) -> str | None:
        """The id attribute, or None."""
        return self.attrs.get("id")

    @property
    def element(self) -> domish.Element:
        """The whole element, parsed on first use; for reading only."""
        if self._element is None:
            self._element = parse_element(self.to_bytes_ns())
        return self._element

    def forget_element(self) -> None:
        """The content was exchanged before anybody had the stanza: what was parsed of it is out of date."""
        self._element = None
        self._bytes = None

    def has(self, namespace: str, name: str) -> bool:
        """Is there a direct child of this name?"""
        return f"{namespace} {name}" in self.children

    @property
    def payload(self) -> str:
        """ "NAMESPACE NAME" of the first child, or nothing."""
        return self.children[0] if self.children else ""

    # -- writing
    def to_bytes(self) -> bytes:
        """For a stream whose default namespace is this stanza's own."""
        if self._bytes is None:
            self._bytes = self._serialise("")
        return self._bytes

    def to_bytes_ns(self) -> bytes:
        """With a declaration of its own: for WebSocket frames, BOSH bodies and forwarding (0297)."""
        plain = self.to_bytes()
        cut = len(self.name) + 1
        return b'%b xmlns="%b"%b' % (plain[:cut], attribute(self.ns).encode(), plain[cut:])

    def _serialise(self, start: str) -> bytes:
        name, attrs = self.name, self.attrs
        if _special("".join(attrs.values())):
            tag = "".join([f' {key}="{attribute(value)}"' for key, value in attrs.items()])
        else:
            tag = "".join([f' {key}="{value}"' for key, value in attrs.items()])
        if self.inner:
            return f"<{name}{tag}>".encode() + self.inner + f"</{name}>".encode()
        return f"<{name}{tag}/>".encode()

    def readdressed(self, **attrs: str | None) -> Stanza:
        """A copy with these attributes set, or taken away where None; `from_` stands for from."""
        mine = dict(self.attrs)
        for key, value in attrs.items():
            key = key.rstrip("_")
            if value is None:
                mine.pop(key, None)
            else:
                mine[key] = value
        return Stanza(self.name, mine, self.inner, self.children, self.ns)

    def addressed(self, to: str, escaped: bytes | None = None) -> Stanza:
        """A copy of this stanza, which has no `to`, for that address: serialised once for all of them.

        escaped: the address as bytes of XML, where they are at hand (`attribute`).
        """
        return _Addressed(self, to, escaped if escaped is not None else attribute(to).encode())

    def _cut_up(self) -> tuple[bytes, bytes]:
        plain = self.to_bytes()
        at = len(self.name) + 1
        self._cut = cut = (plain[:at] + b' to="', b'"' + plain[at:])
        return cut

    def with_children(self, inner: bytes, children: tuple[str, ...]) -> Stanza:
        """A copy with other content."""
        return Stanza(self.name, dict(self.attrs), inner, children, self.ns)

    def added(self, child: bytes, child_name: str) -> Stanza:
        """A copy with one more child at its end; `child` declares its own namespace."""
        return Stanza(self.name, dict(self.attrs), self.inner + child, (*self.children, child_name), self.ns)

    def without(self, namespace: str, *names: str, by: str | None = None) -> Stanza:
        """A copy without the direct children of these names; with `by`, only those carrying that attribute."""
        if not any(f"{namespace} {name}" in self.children for name in names):
            return self
        return self.filtered(lambda child: child.uri != namespace or child.name not in names
                             or (by is not None and child.getAttribute("by") != by))

    def filtered(self, keeps: Callable[[domish.Element], bool]) -> Stanza:
        """A copy with those direct children only for which this is true; the stanza itself if those are all."""
        element = self.element
        kept = [child for child in element.children if isinstance(child, str) or keeps(child)]
        if len(kept) == len(element.children):
            return self
        cleaned = domish.Element((element.uri, element.name), element.defaultUri, dict(element.attributes))
        cleaned.children = kept
        return Stanza.from_element(cleaned)

    # -- answering
    def result(self, inner: bytes = b"", children: tuple[str, ...] = ()) -> Stanza:
        """The result of this iq (RFC 6120 8.2.3), from whom it was for to whom it came from."""
        return Stanza("iq", self._turned("result"), inner, children, self.ns)

    def error(self, error: StanzaError) -> Stanza:
        """This stanza's error answer (RFC 6120 8.3), without its content."""
        element = error.getElement()
        element.uri = element.defaultUri = self.ns
        inner = element.toXml(defaultUri=self.ns).encode()
        return Stanza(self.name, self._turned("error"), inner, (f"{self.ns} error",), self.ns)

    @property
    def may_be_answered(self) -> bool:
        """An error must never be answered with an error (RFC 6120 8.3.1), nor a result."""
        return self.attrs.get("type") not in ("error", "result")

    def _turned(self, kind: str) -> dict[str, str]:
        mine: Mapping[str, str] = self.attrs
        attrs = {"type": kind}
        if "id" in mine:
            attrs["id"] = mine["id"]
        if "to" in mine:
            attrs["from"] = mine["to"]
        if "from" in mine:
            attrs["to"] = mine["from"]
        return attrs

    def __repr__(self) -> str:
        """For logs: never the content."""
        return f"<{self.name} {self.attrs} {list(self.children)}>"


class _Addressed(Stanza):
    """One of many copies that differ in their `to`, and most of the time are only written and thrown away."""

    __slots__ = ("_common", "_own", "_to", "_to_bytes")

    def __init__(self, common: Stanza, to: str, escaped: bytes) -> None:
        self.name = common.name
        self.ns = common.ns
        self.children = common.children
        self.inner = common.inner
        self._common = common
        self._to = to
        self._to_bytes = escaped
        self._own: dict[str, str] | None = None
        self._cut = None
        self._element = None

    @property
    def attrs(self) -> dict[str, str]:          # type: ignore[override]
        """See Stanza."""
        if self._own is None:
            self._own = {"to": self._to, **self._common.attrs}
        return self._own

    def to_bytes(self) -> bytes:
        """See Stanza.  Not kept: thousands of copies may wait for an acknowledgement."""
        before, after = self._common._cut or self._common._cut_up()
        return before + self._to_bytes + after


def parse_element(xml: bytes) -> domish.Element:
    """The element that `xml` is; it has passed a framer before, so it is well-formed and bounded.

    Raises ValueError where it is not.
    """
    found: list[domish.Element] = []
    stream = domish.elementStream()
    stream.DocumentStartEvent = lambda root: None
    stream.ElementEvent = found.append
    stream.DocumentEndEvent = lambda: None
    try:
        stream.parse(b"<document>" + xml + b"</document>")
    except domish.ParserError as error:
        raise ValueError("not one element") from error
    if len(found) != 1:
        raise ValueError("not one element")
    element = found[0]
    element.parent = None
    return element
