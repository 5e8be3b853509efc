"""What is archived, kept for later, copied: each rule with its reason word."""
from __future__ import annotations

import itertools

import pytest

from chatd.core import marks
from chatd.core.archive import ArchivePrefs
from chatd.core.carbons import carbon, may_copy
from chatd.core.marks import marks_of
from chatd.core.stanza import Stanza, parse_element
from chatd.core.storable import may_archive, may_keep_offline, prefs_allow

C = "jabber:client "
BODY, SUBJECT = C + "body", C + "subject"
NO_STORE, STORE = "urn:xmpp:hints no-store", "urn:xmpp:hints store"
NO_PERMANENT, NO_COPY = "urn:xmpp:hints no-permanent-store", "urn:xmpp:hints no-copy"
PRIVATE, ACTIVE = "urn:xmpp:carbons:2 private", "http://jabber.org/protocol/chatstates active"
COMPOSING = "http://jabber.org/protocol/chatstates composing"
RECEIVED, DISPLAYED = "urn:xmpp:receipts received", "urn:xmpp:chat-markers:0 displayed"
OMEMO, MUC = "eu.siacs.conversations.axolotl encrypted", "http://jabber.org/protocol/muc#user x"
INVITE, FORGED = "jabber:x:conference x", "urn:xmpp:carbons:2 sent"
TYPES = (None, "normal", "chat", "groupchat", "headline", "error")


@pytest.mark.parametrize("type_,children,archived,offline", [
    ("chat", (BODY,), "body", "body"), (None, (BODY,), "body", "body"), ("normal", (BODY, ACTIVE), "body",
    "body"),
    ("chat", (COMPOSING,), "!empty", "!empty"), ("normal", (COMPOSING,), "!empty", "!state"),
    ("chat", (), "!empty", "!empty"), ("normal", (SUBJECT,), "!empty", "normal"),
    ("chat", (BODY, NO_STORE), "!hint", "!hint"), ("chat", (BODY, NO_PERMANENT), "!hint", "body"),
    ("chat", (COMPOSING, STORE), "hint", "hint"), ("chat", (STORE, NO_STORE), "!hint", "!hint"),
    ("chat", (RECEIVED,), "content", "content"), ("chat", (DISPLAYED,), "content", "content"),
    ("chat", (OMEMO,), "content", "content"), (None, (INVITE,), "content", "content"),
    (None, (MUC,), "invite", "normal"), ("chat", (MUC,), "!empty", "!empty"),
    ("headline", (BODY,), "!headline", "!headline"), ("headline", (BODY, STORE), "hint", "!headline"),
    ("groupchat", (BODY, STORE), "!groupchat", "!groupchat"), ("error", (BODY, STORE), "!error", "!error"),
    ("chat", (BODY, FORGED), "!copy", "!copy")])
def test_storing(type_: str | None, children: tuple[str, ...], archived: str, offline: str) -> None:
    found = marks_of(children)
    assert may_archive(type_, found) == (archived[0] != "!", archived.lstrip("!"))
    assert may_keep_offline(type_, found) == (offline[0] != "!", offline.lstrip("!"))


@pytest.mark.parametrize("type_,children,received,resource,answer", [
    ("chat", (BODY,), True, "desk", "chat"), ("chat", (COMPOSING,), False, "desk", "chat"),
    (None, (BODY,), True, "desk", "body"), (None, (SUBJECT,), True, "desk", "!not-im"),
    (None, (RECEIVED,), True, "desk", "im"), (None, (INVITE,), True, "desk", "im"),
    (None, (MUC,), True, "", "im"), ("chat", (BODY, MUC), True, "nick", "!muc-pm"),
    ("chat", (BODY, MUC), False, "desk", "chat"), ("groupchat", (BODY,), True, "nick", "!groupchat"),
    ("chat", (BODY, PRIVATE), True, "desk", "!private"), ("chat", (BODY, NO_COPY), False, "desk", "!hint"),
    ("headline", (BODY,), True, "desk", "!headline"), ("error", (BODY,), True, "desk", "error"),
    ("error", (), True, "desk", "!error"), ("error", (BODY, NO_COPY), True, "desk", "error"),
    ("chat", (FORGED,), True, "desk", "!copy")])
def test_copying(type_: str | None, children: tuple[str, ...], received: bool, resource: str,
answer: str) -> None:
    assert may_copy(type_, marks_of(children), received, resource) == (answer[0] != "!", answer.lstrip("!"))


def test_every_combination_is_decided() -> None:
    """All types with all marks: an answer with a reason; what must not be stored or copied never is."""
    single = [1 << bit for bit in range(12)]
    for type_ in TYPES:
        for pair in itertools.combinations(single, 3):
            found = sum(pair)
            archived, kept = may_archive(type_, found), may_keep_offline(type_, found)
            copied = may_copy(type_, found, True, "x")
            assert archived[1] and kept[1] and copied[1]
            if found & marks.NO_STORE or type_ in ("groupchat", "error"):
                assert not archived[0] and not kept[0]
            if found & marks.PRIVATE or type_ == "groupchat":
                assert not copied[0]


@pytest.mark.parametrize("prefs,in_roster,answer", [
    (ArchivePrefs(), False, (True, "default")), (ArchivePrefs("never"), True, (False, "default")),
    (ArchivePrefs("roster"), True, (True, "roster")), (ArchivePrefs("roster"), False, (False, "roster")),
    (ArchivePrefs("never", always=("a@b",)), False, (True, "always")),
    (ArchivePrefs("never", always=("a@b/c",)), False, (True, "always")),
    (ArchivePrefs("never", always=("a@b/d",)), False, (False, "default")),
    (ArchivePrefs("always", never=("a@b",)), True, (False, "never")),
    (ArchivePrefs("always", ("a@b",), ("a@b/c",)), True, (False, "never"))])
def test_prefs(prefs: ArchivePrefs, in_roster: bool, answer: tuple[bool, str]) -> None:
    assert prefs_allow(prefs, "a@b", "a@b/c", in_roster) == answer


def test_the_copy() -> None:
    """XEP-0280, the example of chapter 7."""
    stanza = Stanza("message", {"from": "juliet@capulet.example/balcony",
    "to": "romeo@montague.example/garden",
                                "type": "chat"}, b"<body>What man art thou</body>", (BODY,))
    copy = carbon("received", stanza, "romeo@montague.example").addressed("romeo@montague.example/home")
    assert copy.to_bytes() == (
        b'<message to="romeo@montague.example/home" from="romeo@montague.example" type="chat">'
        b'<received xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0">'
        b'<message xmlns="jabber:client" from="juliet@capulet.example/balcony" to="romeo@montague.example/garden" '
        b'type="chat"><body>What man art thou</body></message></forwarded></received></message>')
    element = parse_element(copy.to_bytes_ns())
    assert element.received.forwarded.message.uri == "jabber:client"
    assert copy.children == ("urn:xmpp:carbons:2 received",)
