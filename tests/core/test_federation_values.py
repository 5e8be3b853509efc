"""Policy, pauses, dialback's elements, namespaces, and the order of SRV records."""

from __future__ import annotations

import pytest

from chatd.core import dialback
from chatd.core.errors import StreamError
from chatd.core.federation import LONGEST_RETRY_S, PeerTerms, Policy, pause_after, to_client
from chatd.core.framing import Framer
from chatd.core.stanza import Stanza
from chatd.server.s2s.finding import Target, in_order

HEADER = (b"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "
          b"xmlns:db='jabber:server:dialback'>")


def framed(xml: bytes) -> Stanza:
    element = Framer(10_000, 20).feed(HEADER + xml)[1]
    assert isinstance(element, Stanza)
    return element


def test_what_is_said_of_a_domain_holds_below_it() -> None:
    policy = Policy(block=frozenset({"bad.example"}), exceptions={"old.example": {"encryption": False}})
    assert policy.refuses("bad.example") and policy.refuses("conference.bad.example")
    assert not policy.refuses("notbad.example") and not policy.refuses("example")
    assert policy.terms("x.old.example") == PeerTerms(True, False)
    assert policy.terms("cold.example") == PeerTerms()


def test_block_wins_over_allow() -> None:
    policy = Policy(allow=frozenset({"good.example"}), block=frozenset({"x.good.example"}))
    assert [bool(policy.refuses(name)) for name in ("good.example", "y.good.example", "x.good.example", "else")] == [
        False, False, True, True]


def test_pauses_double_up_to_a_bound() -> None:
    assert [pause_after(number, 0.5) for number in (1, 2, 3)] == [1.0, 2.0, 4.0]
    assert pause_after(10_000, 1.0) <= LONGEST_RETRY_S * 1.25


@pytest.mark.parametrize("xml", [
    b"<message from='a@b' to='c@d'><body>x</body><x xmlns='jabber:x:oob'/></message>",
    b"<message from='a@b' to='c@d'><body xmlns='jabber:server'>x</body><x xmlns='jabber:x:oob'/></message>",
    b"<message xmlns:s='jabber:server' from='a@b' to='c@d'><s:body>x</s:body><x xmlns='jabber:x:oob'/></message>"])
def test_content_follows_to_jabber_client(xml: bytes) -> None:
    stanza = framed(xml)
    to_client(stanza)
    assert stanza.children == ("jabber:client body", "jabber:x:oob x")
    assert b"jabber:server" not in stanza.to_bytes()
    assert [(child.uri, child.name) for child in stanza.element.elements()] == [
        ("jabber:client", "body"), ("jabber:x:oob", "x")]


def test_who_writes_about_jabber_server_may() -> None:
    stanza = framed(b"<message from='a@b' to='c@d'><body>jabber:server &lt;b/&gt;</body></message>")
    to_client(stanza)
    assert stanza.inner == b"<body>jabber:server &lt;b/&gt;</body>"


def test_dialback_there_and_back() -> None:
    asked = dialback.read(framed(dialback.key("verify", "a.example", "b.example", "k&y", "id'1")))
    assert (asked.name, asked.from_, asked.to, asked.key, asked.id, asked.kind) == (
        "verify", "a.example", "b.example", "k&y", "id'1", "")
    answer = dialback.read(framed(dialback.verdict(asked, "valid")))
    assert (answer.from_, answer.to, answer.id, answer.kind) == ("b.example", "a.example", "id'1", "valid")
    error = dialback.read(framed(dialback.refusal(asked, "item-not-found", why="<no>")))
    assert (error.kind, error.condition) == ("error", "item-not-found")


@pytest.mark.parametrize("xml", [
    b"<db:result from='a.example' to='b.example'/>", b"<db:result to='b.example'>k</db:result>",
    b"<db:result from='u@a.example' to='b.example'>k</db:result>", b"<db:other from='a.example' to='b.example'/>",
    b"<db:result from='a.example' to='b.example' type='maybe'/>",
    b"<db:result from='a.example' to='b.example'><x/></db:result>",
    b"<db:result from='a.example' to='b.example'>" + b"k" * 2000 + b"</db:result>"])
def test_dialback_that_is_none(xml: bytes) -> None:
    with pytest.raises(StreamError):
        dialback.read(framed(xml))


def test_srv_records_by_priority_then_by_weighted_chance() -> None:
    low, high = Target("low", 1, False, 20, 0), Target("high", 1, True, 10, 1)
    heavy = Target("heavy", 1, False, 10, 9)
    assert in_order([low, heavy, high], lambda most: most - 1) == [heavy, high, low]
    assert in_order([low, heavy, high], lambda most: 0) == [high, heavy, low]
    assert in_order([], lambda most: 0) == []


def test_without_encryption_and_without_dialback_there_is_nothing() -> None:
    """The rule for all and the exception together may say so, though neither does alone."""
    policy = Policy(dialback=False, exceptions={"old.example": {"encryption": False}})
    assert policy.terms("old.example") == PeerTerms(False, True)
    assert Policy(exceptions={"old.example": {"encryption": False}}).terms("old.example") == PeerTerms(True, False)
