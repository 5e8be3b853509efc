"""What is to be read in a presence stanza. RFC 6121 4.7."""

from __future__ import annotations

from typing import Final

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.stanza import Stanza

__all__ = ["parse_priority"]

_PRIORITY: Final = f"{ns.CLIENT} priority"


def parse_priority(stanza: Stanza) -> int:
    """The priority, -128..127, 0 where none is given (4.7.2.3); raises StanzaError bad-request."""
    if _PRIORITY not in stanza.children:
        return 0
    for child in stanza.element.elements():
        if child.name == "priority" and child.uri == ns.CLIENT:
            value = str(child).strip()
            digits = value.removeprefix("-").removeprefix("+")
            if not (digits.isascii() and digits.isdigit() and len(digits) <= 3 and -128 <= int(value) <= 127):
                raise StanzaError("bad-request", text="a priority is a number between -128 and 127")
            return int(value)
    return 0
