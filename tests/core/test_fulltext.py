"""Which messages a search finds (XEP-0431), looked at as the bytes they are stored as."""

from __future__ import annotations

import pytest

from chatd.core.fulltext import Seeker, fold, words_of


def message(inner: str, id: str = "m1", from_: str = "a@example.org/pc", kind: str = "chat") -> bytes:
    return f"<message xmlns='jabber:client' from='{from_}' id=\"{id}\" type='{kind}'>{inner}</message>".encode()


def finds(text: str, inner: str) -> bool:
    return Seeker(words_of(text), newest_first=True).finds(message(inner))


@pytest.mark.parametrize(("text", "body", "is_found"), [
    ("noon", "Lunch at noon?", True), ("NOON lunch", "Lunch at noon?", True), ("noon dinner", "Lunch at noon?", False),
    ("noo", "Lunch at noon?", True), ("bjorn", "Grüße an Björn", True), ("BJÖRN", "an bjorn", True),
    ("strasse", "Die Straße", True), ("a&b", "a&amp;b", True), ("<b>", "&lt;b&gt;", True), ("amp", "a&amp;b", False),
    ("会议", "明天的会议改到三点", True), ("%", "fifty", False), ("_", "fifty", False), ("é", "e\u0301te\u0301", True),
    ("ist", "&#304;stanbul", True),
])
def test_words(text: str, body: str, is_found: bool) -> None:
    """All of them, in any order, without case and accents; no sign means more than itself."""
    assert finds(text, f"<body>{body}</body>") is is_found


def test_only_the_text_is_looked_at() -> None:
    """No names of elements, no addresses, no subject; each body of several languages; what CDATA hides."""
    assert not finds("message", "<body>x</body>") and not finds("example", "<body>x</body>")
    assert not finds("secret", "<subject>secret</subject><thread>secret</thread>")
    assert finds("hallo", "<body>hello</body><body xml:lang='de'>Hallo</body>")
    assert finds("a<b", "<body><![CDATA[if a<b]]></body>")
    assert not finds("x", "")


RETRACT = "<retract id='{}' xmlns='urn:xmpp:message-retract:1'/><body>x was taken back</body>"
CORRECT = "<body>{}</body><replace id='{}' xmlns='urn:xmpp:message-correct:0'/>"


def test_the_last_wording_counts() -> None:
    """Corrected and taken back: seen from the newest on; nobody does it to another's messages."""
    seeker = Seeker(("x",), newest_first=True)
    assert not seeker.finds(message(RETRACT.format("m1"), "m9"))
    assert not seeker.finds(message("<body>x one</body>", "m1", "a@example.org/phone"))
    assert seeker.finds(message("<body>x one</body>", "m1", "b@example.org/phone")), "another's"
    assert seeker.finds(message(CORRECT.format("x three", "m2"), "m4"))
    assert not seeker.finds(message(CORRECT.format("x two", "m2"), "m3"))
    assert not seeker.finds(message("<body>x one</body>", "m2"))
    assert not seeker.finds(message(CORRECT.format("without", "m5"), "m6"))
    assert not seeker.finds(message("<body>x one</body>", "m5"))
    in_room = Seeker(("x",), newest_first=True)
    in_room.finds(message(CORRECT.format("x two", "r1"), "r2", "room@c.example.org/ann", "groupchat"))
    assert in_room.finds(message("<body>x</body>", "r1", "room@c.example.org/bob", "groupchat"))
    assert not in_room.finds(message("<body>x</body>", "r1", "room@c.example.org/ann", "groupchat"))
    assert Seeker(("x",), newest_first=False).finds(message(CORRECT.format("x", "m1"), "m2"))


def test_fold_is_stable() -> None:
    for text in ("Straße", "ǅ", "İ", "ﬁn", "Ω", "É"):
        assert fold(fold(text)) == fold(text)
