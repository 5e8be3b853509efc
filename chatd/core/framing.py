"""Bytes of a stream in, stanzas out: RFC 6120 4 and 11, by expat.

expat checks well-formedness and tells where each first-level element begins and ends and what its
direct children are called; the content is cut out of the input as it came.  No tree is built.
What RFC 6120 11.1 forbids (comments, processing instructions, DTDs, entities) ends the stream, as
do sizes and depths beyond the limits.  Whatever the bytes, the outcome is a list of events whose last
may be a StreamError; tests/fuzz holds us to it.

expat is handed whole tags only (up to the last ">" there is), so it never keeps a half one, and
gets a successor now and then, since it remembers every name it ever met.
"""

from __future__ import annotations

import re
from typing import Any, Final
from xml.parsers import expat

import attrs

from chatd.core import ns
from chatd.core.errors import StreamError
from chatd.core.reparse import switch_off
from chatd.core.stanza import Stanza, parse_element

__all__ = ["Event", "Framer", "StreamEnd", "StreamStart", "parse_document"]

_START_TAG: Final = re.compile(rb"""<([^\s/>]+)[^>"']*(?:(?:"[^"]*"|'[^']*')[^>"']*)*>""")
_LANG: Final = f"{ns.XML} lang"
_BLANK: Final = b" \t\r\n"
_NO_UTF8: Final = frozenset(b"\x00\xfe\xff")
_PARSER_LIFE: Final = 1 << 20           # bytes one expat parser reads before it is replaced
#: Begins a document of any number of first-level elements, for carriers that have no stream header.
_NO_HEADER: Final = b"<stream>"


@attrs.frozen
class StreamStart:
    """The root element's start tag: its name, namespace, attributes and the default namespace it declares."""

    name: str
    ns: str
    attrs: dict[str, str]
    default_ns: str


@attrs.frozen
class StreamEnd:
    """The root element's end tag."""


#: What a stream consists of; a StreamError is always the last.
Event = StreamStart | Stanza | StreamEnd | StreamError


class Framer:
    """Cuts one stream into events.

    `max_bytes` bounds one first-level element (and the header), `max_depth` the nesting inside one;
    both may be changed while the stream lives.  `headless` is for carriers whose documents are single
    elements (RFC 7395): no StreamStart comes, and elements may follow at once.
    """

    __slots__ = ("_base", "_buffer", "_children", "_default_ns", "_depth", "_end", "_events", "_given", "_header",
                 "_is_over", "_name", "_parser", "_prefixes", "_start", "_tag_attrs", "max_bytes", "max_depth")

    def __init__(self, max_bytes: int, max_depth: int, headless: bool = False) -> None:
        self.max_bytes = max_bytes
        self.max_depth = max_depth
        self._header = b""
        self._prefixes: tuple[bytes, ...] = ()
        self._start_parser()
        if headless:
            self._prime(_NO_HEADER)

    def _start_parser(self) -> None:
        parser: Any = expat.ParserCreate("utf-8", " ", None)      # type: ignore[arg-type]
        parser.buffer_text = False
        switch_off(parser)
        parser.StartElementHandler = self._on_start
        parser.EndElementHandler = self._on_end
        parser.XmlDeclHandler = self._on_declaration
        parser.CommentHandler = parser.ProcessingInstructionHandler = parser.StartDoctypeDeclHandler = _restricted
        parser.EntityDeclHandler = _restricted
        parser.StartNamespaceDeclHandler = self._on_namespace
        self._parser = parser
        self._default_ns = ""
        self._depth = 0
        self._is_over = False
        self._events: list[Event] = []
        self._buffer = b""              # what was given and not yet cut into events
        self._base = 0                  # where in the parser's input the buffer begins
        self._given = 0                 # how much of the input the parser has got
        self._end = 0                   # where the last first-level element, or the header, ended
        self._start = 0
        self._name = ""
        self._tag_attrs: dict[str, str] = {}
        self._children: list[str] = []

    def _prime(self, header: bytes) -> None:
        """Lets a new parser read the header it has not seen."""
        self._buffer = header
        self._parse(header)
        self._events = []
        self._buffer = b""
        self._base = self._end = self._given

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes, in order; nothing is raised.

        Where the peer broke a rule the last event is the StreamError to tell it, and the framer is
        of no further use; what came whole before the fault comes before it.
        """
        try:
            self._cut(data)
        except StreamError as error:
            self._events.append(error)
        events = self._events
        if events:
            self._events = []
        return events

    def _cut(self, data: bytes) -> None:
        if self._given < 4 and not _NO_UTF8.isdisjoint(data[:4]):
            # expat would take it for UTF-16 by its first bytes, whatever encoding it was told
            raise StreamError("unsupported-encoding", "the encoding must be UTF-8")
        if self._buffer:
            self._buffer += data
        else:
            if self._given > _PARSER_LIFE and self._depth == 1 and self._header:
                self._start_parser()
                self._prime(self._header)
            self._base = self._given
            self._buffer = data
        if self._depth:
            whole = self._buffer.rfind(b">") + 1
        else:
            whole = len(self._buffer)           # a header, or something that never will be: told at once
        offset = self._given - self._base
        if whole > offset:
            self._parse(self._buffer[offset:whole] if offset or whole < len(self._buffer) else self._buffer)
        self._keep_rest()

    @property
    def is_idle(self) -> bool:
        """Nothing of an unfinished element has been received."""
        return not self._buffer

    def _parse(self, data: bytes) -> None:
        self._given += len(data)
        try:
            self._parser.Parse(data, False)
        except expat.ExpatError as error:
            if error.code == _UNKNOWN_ENTITY:
                raise StreamError("restricted-xml", "entities are not allowed") from None
            if error.code in _BAD_PREFIX:
                raise StreamError("bad-namespace-prefix", "a namespace prefix is not declared") from None
            if error.code in _BAD_ENCODING:
                raise StreamError("unsupported-encoding", "the encoding must be UTF-8") from None
            raise StreamError("not-well-formed", "the XML is not well-formed") from None

    def _keep_rest(self) -> None:
        """Forgets what has become events, and refuses a rest that is too long or no element."""
        cut = (self._start if self._depth > 1 else self._end) - self._base
        rest = self._buffer[cut:] if cut else self._buffer
        if self._is_over and rest.strip(_BLANK):
            raise StreamError("not-well-formed", "something follows the end of the stream")
        if rest and self._depth == 1:
            begun = rest.lstrip(_BLANK)
            if not begun:
                unseen = self._base + len(self._buffer) - self._given
                if unseen:
                    self._parse(self._buffer[-unseen:])
                rest = begun
            elif begun[:1] != b"<":
                raise StreamError("bad-format", "text between stanzas")
        if len(rest) > self.max_bytes:
            raise _too_big(self.max_bytes)
        self._base += len(self._buffer) - len(rest)
        self._buffer = rest
        if self._depth == 1:
            self._end = self._base

    # -- expat's calls
    def _on_start(self, name: str, attributes: dict[str, str]) -> None:
        depth = self._depth
        self._depth = depth + 1
        if depth == 2:
            self._children.append(name)
        elif depth == 1:
            start = self._parser.CurrentByteIndex
            if start != self._end and self._buffer[self._end - self._base:start - self._base].strip(_BLANK):
                raise StreamError("bad-format", "text between stanzas")
            self._start = start
            self._name = name
            self._tag_attrs = attributes
            self._children = []
        elif depth == 0:
            self._begin(name, attributes)
        elif depth >= self.max_depth:
            raise StreamError("policy-violation", f"elements nest deeper than {self.max_depth}")

    def _on_end(self, name: str) -> None:
        depth = self._depth = self._depth - 1
        if depth == 1:
            stop = self._parser.CurrentByteIndex - self._base
            buffer = self._buffer
            raw = buffer[self._start - self._base:stop]
            tag = _START_TAG.match(raw)
            if tag is None:             # expat has seen a start tag here, so the pattern must
                raise StreamError("internal-server-error", "the stanza could not be cut out")
            if raw[tag.end() - 2:tag.end()] == b"/>":
                after = stop
            else:
                after = buffer.index(b">", stop) + 1
            self._end = self._base + after
            begin = self._start - self._base
            if after - begin > self.max_bytes:
                raise _too_big(self.max_bytes)
            self._events.append(self._stanza(name, tag, buffer[begin:after], raw[tag.end():]))
        elif depth == 0:
            stop = self._parser.CurrentByteIndex - self._base
            if self._buffer[self._end - self._base:stop].strip(_BLANK):
                raise StreamError("bad-format", "text between stanzas")
            if not self._header.endswith(b"/>"):
                self._end = self._base + self._buffer.index(b">", stop) + 1
            self._is_over = True
            self._events.append(StreamEnd())

    def _stanza(self, name: str, tag: re.Match[bytes], xml: bytes, inner: bytes) -> Stanza:
        space, _, local = name.rpartition(" ")
        start_tag = tag.group()
        if b":" in tag.group(1) or b"xmlns:" in start_tag or any(prefix in xml for prefix in self._prefixes):
            # Prefixes declared outside the content: written anew so that it can travel alone.
            return self._standing_alone(xml)
        attributes = self._tag_attrs
        for key in attributes:
            if " " in key:
                attributes = {("xml:lang" if key == _LANG else key): value for key, value in attributes.items()
                              if " " not in key or key == _LANG}
                break
        return Stanza(local, attributes, inner, tuple(self._children), space)

    def _standing_alone(self, xml: bytes) -> Stanza:
        root = self._header[1:].split(None, 1)[0].rstrip(b">")
        document = parse_element(self._header + xml + b"</" + root + b">")
        return Stanza.from_element(next(document.elements()))

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        self._parser.StartNamespaceDeclHandler = None
        space, _, local = name.rpartition(" ")
        start = self._parser.CurrentByteIndex
        tag = _START_TAG.match(self._buffer[start - self._base:])
        if tag is None:
            raise StreamError("not-well-formed", "the XML is not well-formed")
        self._end = start + tag.end()
        self._header = tag.group()
        if len(self._header) > self.max_bytes:
            raise _too_big(self.max_bytes)
        own = {("xml:lang" if key == _LANG else key): value for key, value in attributes.items()}
        self._events.append(StreamStart(local, space, own, self._default_ns))

    def _on_namespace(self, prefix: str | None, uri: str | None) -> None:
        if prefix is None:
            self._default_ns = uri or ""
        else:
            self._prefixes = (*(p for p in self._prefixes if p != f"{prefix}:".encode()), f"{prefix}:".encode())

    def _on_declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "utf8"):
            raise StreamError("unsupported-encoding", "the encoding must be UTF-8")


def parse_document(xml: bytes, max_bytes: int, max_depth: int) -> tuple[StreamStart, list[Stanza]]:
    """A whole document whose root's children are stanzas (a BOSH body); raises StreamError."""
    framer = Framer(max_bytes, max_depth)
    events: list[Any] = framer.feed(xml)
    if events and isinstance(events[-1], StreamError):
        raise events[-1]
    if not events or not isinstance(events[-1], StreamEnd):
        raise StreamError("not-well-formed", "the document is not complete")
    return events[0], events[1:-1]


def _restricted(*_: object) -> None:
    raise StreamError("restricted-xml", "comments, processing instructions, DTDs and entities are not allowed")


def _too_big(limit: int) -> StreamError:
    return StreamError("policy-violation", f"a stanza may have {limit} bytes")


def _codes(*names: str) -> frozenset[int]:
    return frozenset(expat.errors.codes[getattr(expat.errors, name)] for name in names)


_UNKNOWN_ENTITY: Final = expat.errors.codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]
_BAD_PREFIX: Final = _codes("XML_ERROR_UNBOUND_PREFIX")
_BAD_ENCODING: Final = _codes("XML_ERROR_UNKNOWN_ENCODING", "XML_ERROR_INCORRECT_ENCODING")
