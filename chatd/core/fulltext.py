"""Which archived messages have the words that somebody looks for (XEP-0431).

All words have to be in the text of a message, in any order, each of them anywhere, also inside a longer word. Case and
accents do not matter: "bjorn" finds "Björn". Signs have no special meaning.

Stanzas are looked at as the bytes they are stored as: parsing each of an archive's would take ten times as long.
"""
from __future__ import annotations

import html
import re
import unicodedata
from typing import Final

from twisted.words.protocols.jabber.error import StanzaError

__all__ = ["FIELD", "NAMESPACE", "Seeker", "fold", "words_of"]

NAMESPACE: Final = "urn:xmpp:fulltext:0"
FIELD: Final = f"{{{NAMESPACE}}}fulltext"
TEXT_MOST: Final = 256
"""Characters of what somebody looks for."""
WORDS_MOST: Final = 12

_BODY: Final = re.compile(rb"<body(?:\s[^<>]*)?>([^<]*)</body>")
_CDATA: Final = re.compile(rb"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_FROM: Final = re.compile(rb"""^<message\b[^<>]*?\sfrom=(["'])(.*?)\1""")
_ID: Final = re.compile(rb"""^<message\b[^<>]*?\sid=(["'])(.*?)\1""")
_INSTEAD: Final = re.compile(rb"<(retract|replace)\s[^<>]*>")
_INSTEAD_ID: Final = re.compile(rb"""\sid=(["'])(.*?)\1""")


def fold(text: str) -> str:
    """Text without what does not matter in comparing it: case and accents."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in parts if not unicodedata.combining(sign)).casefold()


def words_of(text: str) -> tuple[str, ...]:
    """The words to look for. Refuses with StanzaError not-acceptable what is too much."""
    if len(text) > TEXT_MOST:
        raise StanzaError("not-acceptable", text=f"A search has at most {TEXT_MOST} characters.")
    words = tuple(dict.fromkeys(filter(None, fold(text).split())))
    if len(words) > WORDS_MOST:
        raise StanzaError("not-acceptable", text=f"A search has at most {WORDS_MOST} words.")
    return words


class Seeker:
    """Looks at one message after the other of one archive, the newest first where it can be told what was corrected or
    taken back later: only the last wording counts (XEP-0308), and what was taken back is not found (XEP-0424)."""

    def __init__(self, words: tuple[str, ...], newest_first: bool) -> None:
        self._words = words
        self._newest_first = newest_first
        self._over: set[tuple[bytes, bytes]] = set()

    def finds(self, stanza: bytes) -> bool:
        """Are all the words in this message?"""
        if (self._over or b"urn:xmpp:message-" in stanza) and self._is_over(stanza):
            return False
        if b"<![CDATA[" in stanza:
            stanza = _CDATA.sub(lambda found: html.escape(found[1].decode(errors="replace")).encode(), stanza)
        bodies = _BODY.findall(stanza)
        if not bodies:
            return False
        body = b"\n".join(bodies)
        text = body.decode(errors="replace")
        text = fold(html.unescape(text) if b"&" in body else text)
        return all(word in text for word in self._words)

    def _is_over(self, stanza: bytes) -> bool:
        """Is it a taking back, or a wording that a later one has replaced?"""
        author = _value(_FROM.search(stanza))
        if b"type='groupchat'" not in stanza and b'type="groupchat"' not in stanza:
            author = author.partition(b"/")[0]
        parts = list(_INSTEAD.finditer(stanza)) if b"urn:xmpp:message-" in stanza else []
        targets = {(author, _value(_INSTEAD_ID.search(part[0]))) for part in parts}
        is_over = bool(self._over & {*targets, (author, _value(_ID.search(stanza)))})
        if self._newest_first:
            self._over |= targets
        return is_over or any(part[1] == b"retract" for part in parts)


def _value(found: re.Match[bytes] | None) -> bytes:
    return found[2] if found else b""
