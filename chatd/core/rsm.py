"""Result Set Management, XEP-0059 1.0: the <set/> of a request and of its answer.

Item ids are text here; what they mean is the caller's business.
"""
from __future__ import annotations

import attrs
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.xish import domish

NS = "http://jabber.org/protocol/rsm"
NUMBER_MAX = 2**31 - 1


@attrs.frozen
class PageRequest:
    """What a client asked: max (None: the server chooses), before ("" is the last page, 2.5), after, index."""

    max: int | None = None
    before: str | None = None
    after: str | None = None
    index: int | None = None


def parse(parent: domish.Element) -> PageRequest | None:
    """The request inside `parent`, None if it has no <set/>.

    Both before and after may be given: the page then ends before the one and lies behind the other.
    Refuses with StanzaError bad-request: two sets, an element given twice, a number that is none, an empty
    <after/>, or index beside before or after (they name different pages).
    """
    sets = [child for child in parent.elements() if child.name == "set" and child.uri == NS]
    if not sets:
        return None
    if len(sets) > 1:
        raise StanzaError("bad-request", text="A request holds one <set/>.")
    found: dict[str, str] = {}
    for child in sets[0].elements():
        if child.uri != NS or child.name not in ("max", "before", "after", "index"):
            continue
        if child.name in found:
            raise StanzaError("bad-request", text=f"<{child.name}/> is given twice.")
        found[child.name] = str(child).strip()
    if "index" in found and ("before" in found or "after" in found):
        raise StanzaError("bad-request", text="<index/> stands alone: <before/> and <after/> name other pages.")
    if found.get("after") == "":
        raise StanzaError("bad-request", text="<after/> needs an id.")
    return PageRequest(_number(found, "max"), found.get("before"), found.get("after"), _number(found, "index"))


def _number(found: dict[str, str], name: str) -> int | None:
    if name not in found:
        return None
    text = found[name]
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise StanzaError("bad-request", text=f"<{name}/> holds a whole number.")
    return min(int(text), NUMBER_MAX)


def result_bytes(first: str | None, last: str | None, count: int | None = None,
                 index: int | None = None) -> bytes:
    """The <set/> of an answer. first and last are None for an empty page; count and index are optional (2.6)."""
    parts = [f"<set xmlns='{NS}'>"]
    if first is not None and last is not None:
        position = "" if index is None else f" index='{index}'"
        parts.append(f"<first{position}>{domish.escapeToXml(first)}</first>"
                     f"<last>{domish.escapeToXml(last)}</last>")
    if count is not None:
        parts.append(f"<count>{count}</count>")
    parts.append("</set>")
    return "".join(parts).encode()
