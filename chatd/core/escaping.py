"""Mail addresses as JIDs and back: XEP-0106, for local parts such as o'brien or "a b"."""

from __future__ import annotations

import re
from typing import Final

from chatd.core.jid import JID, InvalidJID

__all__ = ["escape", "jid_of_address", "unescape"]

_CODES: Final = {char: f"\\{ord(char):02x}" for char in " \"&'/:<>@\\"}
_CHARS: Final = {code: char for char, code in _CODES.items()}
_ESCAPED: Final = re.compile(r"\\(?:2[0267f]|3[ace]|40|5c)")


def escape(text: str) -> str:
    """The local part for a text (section 4.2): a backslash only where it would begin an escape sequence."""
    return "".join(
        char if char == "\\" and not _ESCAPED.match(text, at) else _CODES.get(char, char)
        for at, char in enumerate(text)
    )


def unescape(local: str) -> str:
    """The text that a local part stands for (section 4.3)."""
    return _ESCAPED.sub(lambda match: _CHARS[match[0]], local)


def jid_of_address(address: str) -> JID:
    """The account of a mail address such as John@Example.com. Raises InvalidJID."""
    local, _, domain = address.strip().rpartition("@")
    if not local or "/" in domain:
        raise InvalidJID(f"{address!r} is no mail address")
    return JID.of(escape(local.strip('"')), domain)
