"""Result Set Management, XEP-0059 1.0: the <set/> of a request and of its answer.

Item ids are text here; what they mean is the caller's business.
"""
from __future__ import annotations

import attrs
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.stanza import text

NUMBER_MAX = 2**31 - 1


@attrs.frozen
class PageRequest:
    """What a client asked: max (None: server's choice), before ("" is the last page, 2.5), after, index."""

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
    sets = [child for child in parent.elements() if child.name == "set" and child.uri == ns.RSM]
    if not sets:
        return None
    if len(sets) > 1:
        raise StanzaError("bad-request", text="A request holds one <set/>.")
    found: dict[str, str] = {}
    for child in sets[0].elements():
        if child.uri != ns.RSM or child.name not in ("max", "before", "after", "index"):
            continue
        if child.name in found:
            raise StanzaError("bad-request", text=f"<{child.name}/> is given twice.")
        found[child.name] = str(child).strip()
    if "index" in found and ("before" in found or "after" in found):
        raise StanzaError("bad-request", text="<index/> stands alone: the others name other pages.")
    if found.get("after") == "":
        raise StanzaError("bad-request", text="<after/> needs an id.")
    return PageRequest(_number(found, "max"), found.get("before"), found.get("after"),
                       _number(found, "index"))


def _number(found: dict[str, str], name: str) -> int | None:
    if name not in found:
        return None
    number = found[name]
    if not (number.isascii() and number.isdigit() and len(number) <= 10):
        raise StanzaError("bad-request", text=f"<{name}/> holds a whole number.")
    return min(int(number), NUMBER_MAX)


def result_bytes(first: str | None, last: str | None, count: int | None = None,
                 index: int | None = None) -> bytes:
    """The <set/> of an answer. first and last are None for an empty page; count, index: optional (2.6)."""
    parts = [f"<set xmlns='{ns.RSM}'>"]
    if first is not None and last is not None:
        position = "" if index is None else f" index='{index}'"
        parts.append(f"<first{position}>{text(first)}</first>"
                     f"<last>{text(last)}</last>")
    if count is not None:
        parts.append(f"<count>{count}</count>")
    parts.append("</set>")
    return "".join(parts).encode()
