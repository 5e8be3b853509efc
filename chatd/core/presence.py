"""What presence says of a resource: its priority. RFC 6121 4.7.2.3."""
from __future__ import annotations

import re

from chatd.core.errors import StanzaError
from chatd.core.stanza import Stanza

__all__ = ["parse_priority"]

_PRIORITY = re.compile(rb"<priority\s*>([^<&]*)</priority\s*>")
_INTEGER = re.compile(r"[+-]?\d{1,9}", re.ASCII)


def parse_priority(stanza: Stanza) -> int:
    """The priority of available presence, -128 to 127; 0 where it names none.

    StanzaError bad-request for what is no such number, or two of them.
    """
    wanted = f"{stanza.ns} priority"
    count = stanza.children.count(wanted)
    if not count:
        return 0
    text = ""
    if count == 1:
        # The usual form is read without parsing the stanza; anything else named so makes it parsed.
        found = _PRIORITY.search(stanza.inner) if stanza.inner.count(b"priority") == 2 else None
        if found is not None:
            text = found[1].decode()
        else:
            text = next(str(child) for child in stanza.element.elements()
                        if child.name == "priority" and child.uri == stanza.ns)
    text = text.strip()
    if _INTEGER.fullmatch(text) and -128 <= int(text) <= 127:
        return int(text)
    raise StanzaError("bad-request", type="modify", text="The priority is one whole number from -128 to 127.")
