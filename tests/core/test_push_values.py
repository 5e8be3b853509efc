"""What is worth a notification, and what it tells."""

from __future__ import annotations

import pytest
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.framing import Framer
from chatd.core.push import TELLS, PushRow, is_worth_it, notification
from chatd.core.stanza import Stanza

BODY = f"{ns.CLIENT} body"
ROW = PushRow("push.example.net", 'a"b', "phone", b"<x xmlns='jabber:x:data'><field var='secret'/></x>")


@pytest.mark.parametrize(("kind", "children", "worth"), [
    ("chat", (BODY,), True),
    (None, (BODY,), True),
    ("chat", ("urn:xmpp:omemo:2 encrypted",), True),
    ("chat", ("urn:xmpp:jingle-message:0 propose",), True),
    ("normal", ("jabber:x:conference x",), True),
    ("normal", (f"{ns.MUC_USER} x",), True),
    ("groupchat", (BODY,), True),
    ("groupchat", (f"{ns.CLIENT} subject",), False),
    ("chat", (f"{ns.CHAT_STATES} composing",), False),
    ("chat", (f"{ns.RECEIPTS} received",), False),
    ("chat", (f"{ns.MARKERS} displayed", f"{ns.HINTS} store"), False),
    ("chat", ("urn:example:game move", f"{ns.HINTS} store"), True),
    ("chat", (f"{ns.MARKERS} displayed",), False),
    ("chat", (f"{ns.CARBONS} sent",), False),
    ("error", (BODY,), False),
    ("headline", (BODY,), False),
    ("chat", (), False),
])
def test_what_people_want_to_hear_of(kind: str | None, children: tuple[str, ...], worth: bool) -> None:
    assert is_worth_it(kind, children) is worth


def told(tells: str, body: str = "<&> hello") -> tuple[domish.Element, dict[str, str]]:
    [stanza] = Framer(100_000, 100, headless=True).feed(
        b'<iq xmlns="jabber:client">' + notification(ROW, 3, "ann@example.org/x", body, tells) + b"</iq>")
    assert isinstance(stanza, Stanza)
    pubsub = stanza.element.pubsub
    return pubsub, {field["var"]: str(field.value) for field in
                    (pubsub.publish.item.notification.x or domish.Element((None, "x"))).elements()}


def test_no_more_is_told_than_may_be() -> None:
    found = [told(tells)[1] for tells in TELLS]
    assert [set(fields) - {"FORM_TYPE"} for fields in found] == [
        set(), {"message-count"}, {"message-count", "last-message-sender"},
        {"message-count", "last-message-sender", "last-message-body"}]
    assert found[3]["last-message-body"] == "<&> hello" and found[3]["message-count"] == "3"
    assert "last-message-body" not in told("text", "")[1]
    assert len(told("text", "x" * 5000)[1]["last-message-body"]) == 200


def test_node_and_options() -> None:
    pubsub, _ = told("count")
    assert pubsub.publish["node"] == 'a"b'
    options = next(pubsub.elements(ns.PUBSUB, "publish-options"))
    assert options.x.field["var"] == "secret"
