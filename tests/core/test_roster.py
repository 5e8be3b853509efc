"""Roster items: what a client may set, and how they look on the wire (RFC 6121 2)."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.words.xish import domish

from chatd.core.errors import StanzaError
from chatd.core.roster import (
    GROUPS_MAX,
    NAME_BYTES,
    RosterChange,
    RosterItem,
    apply_change,
    item_bytes,
    parse_roster_set,
    parse_version,
    query_bytes,
)
from chatd.core.stanza import parse_element

ME = "romeo@example.net"


def query(inner: str, attributes: str = "") -> domish.Element:
    return parse_element(f"<query xmlns='jabber:iq:roster' {attributes}>{inner}</query>".encode())


def test_set() -> None:
    change = parse_roster_set(query(
        "<item jid='Juliet@Example.com/balcony' name='Juliet' subscription='both' ask='subscribe' approved='true'>"
        "<group>Friends</group><group xmlns='urn:x'>no</group><x/></item><other/>"), ME)
    assert change == RosterChange("juliet@example.com", False, "Juliet", ("Friends",))
    assert apply_change(None, change) == RosterItem("juliet@example.com", "Juliet", groups=("Friends",))
    hidden = RosterItem("juliet@example.com", pending_in=b"x", listed=False, approved=True, ask=True)
    assert apply_change(hidden, change) == RosterItem(
        "juliet@example.com", "Juliet", "none", True, b"x", True, ("Friends",))
    assert parse_roster_set(query("<item jid='a@b' subscription='remove' name='x'/>"), ME) == RosterChange(
        "a@b", remove=True)


@pytest.mark.parametrize("inner,condition", [
    ("", "bad-request"), ("<item jid='a@b'/><item jid='c@d'/>", "bad-request"), ("<item/>", "bad-request"),
    ("<item jid=''/>", "bad-request"), ("<item xmlns='urn:other' jid='a@b'/>", "bad-request"),
    ("<item jid='a@@b'/>", "jid-malformed"), (f"<item jid='{ME}'/>", "not-allowed"),
    (f"<item jid='{ME}/x'/>", "not-allowed"),
    ("<item jid='a@b'><group>x</group><group>x</group></item>", "bad-request"),
    ("<item jid='a@b'><group/></item>", "not-acceptable"),
    ("<item jid='a@b'><group> </group></item>", "not-acceptable"),
    (f"<item jid='a@b' name='{'x' * (NAME_BYTES + 1)}'/>", "not-acceptable"),
    ("<item jid='a@b'><group>" + "\u00e4" * NAME_BYTES + "</group></item>", "not-acceptable"),
    ("<item jid='a@b'>" + "".join(f"<group>{n}</group>" for n in range(GROUPS_MAX + 1)) + "</item>",
     "not-acceptable")])
def test_refused(inner: str, condition: str) -> None:
    """RFC 6121 2.3.3."""
    with pytest.raises(StanzaError) as caught:
        parse_roster_set(query(inner), ME)
    assert caught.value.condition == condition


def test_on_the_wire() -> None:
    item = RosterItem("j@x", "J & 'Co'", "from", True, b"secret request", True, ("A<B",))
    assert item_bytes(item) == (
        b"<item jid='j@x' subscription='from' name='J &amp; &apos;Co&apos;' ask='subscribe' approved='true'>"
        b"<group>A&lt;B</group></item>")
    assert item_bytes(RosterItem("j@x", groups=("A<B", "C"), organisation=("A<B",))) == (
        b"<item jid='j@x' subscription='none' xmlns:chatd='urn:chatd:directory:0' chatd:organisation='1'>"
        b"<group>A&lt;B</group><group>C</group></item>")
    assert query_bytes([]) == b"<query xmlns='jabber:iq:roster'/>"
    assert query_bytes([RosterItem("a@b", pending_in=b"x", listed=False)], 3) == (
        b"<query xmlns='jabber:iq:roster' ver='3'/>")
    assert query_bytes([RosterItem("a@b"), "c@d"], 4) == (
        b"<query xmlns='jabber:iq:roster' ver='4'><item jid='a@b' subscription='none'/>"
        b"<item jid='c@d' subscription='remove'/></query>")


def test_limits_are_inclusive() -> None:
    groups = "".join(f"<group>{n}</group>" for n in range(GROUPS_MAX - 1))
    longest = "x" * NAME_BYTES
    change = parse_roster_set(query(
        f"<item jid='a@b' name='{longest}'>{groups}<group>{longest}</group></item>"), ME)
    assert change.name == longest and len(change.groups) == GROUPS_MAX


@pytest.mark.parametrize("subscription,sees_us,is_seen", [
    ("none", False, False), ("to", False, True), ("from", True, False), ("both", True, True)])
def test_who_sees_whom(subscription: str, sees_us: bool, is_seen: bool) -> None:
    item = RosterItem("a@b", subscription=subscription)
    assert (item.may_see_us, item.shows_us) == (sees_us, is_seen)


@pytest.mark.parametrize("attributes,version", [
    ("", None), ("ver=''", (0, "")), ("ver='17'", (17, "")), ("ver='x'", (0, "")), ("ver='-1'", (0, "")),
    ("ver='\u0661'", (0, "")), (f"ver='{'9' * 30}'", (0, "")), ("ver='17-0a0b'", (17, "0a0b"))])
def test_version(attributes: str, version: tuple[int, str] | None) -> None:
    assert parse_version(query("", attributes)) == version


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"],
exclude_characters="\ufffe\uffff"),
                max_size=20)


@given(names, st.lists(names.filter(str.strip), max_size=5, unique=True))
def test_what_is_written_can_be_set_again(name: str, groups: list[str]) -> None:
    item = RosterItem("a@b", name, groups=tuple(groups))
    change = parse_roster_set(parse_element(query_bytes([item])), ME)
    assert apply_change(None, change) == item
