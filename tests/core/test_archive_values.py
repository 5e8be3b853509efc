"""Archive queries, pages, metadata and preferences as XML and back (XEP-0313, XEP-0441, XEP-0059)."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.words.xish import domish

from chatd.core import rsm
from chatd.core.archive import (
    FORM,
    PAGE_DEFAULT,
    PAGE_MAX,
    PREFS_MAX,
    ArchivePage,
    ArchivePrefs,
    ArchiveQuery,
    ArchiveRow,
    ItemNotFound,
    fin_bytes,
    metadata_bytes,
    parse_id,
    parse_prefs,
    parse_query,
    prefs_bytes,
    result_bytes,
)
from chatd.core.errors import StanzaError
from chatd.core.stanza import parse_element

FORM_TYPE = "<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>"


def query(inner: str = "", attributes: str = "") -> domish.Element:
    return parse_element(f"<query xmlns='urn:xmpp:mam:2' {attributes}>{inner}</query>".encode())


def form(*fields: tuple[str, ...], form_type: str = FORM_TYPE, kind: str = "submit") -> str:
    body = "".join(f"<field var='{var}'>" + "".join(f"<value>{value}</value>" for value in values) + "</field>"
                   for var, *values in fields)
    return f"<x xmlns='jabber:x:data' type='{kind}'>{form_type}{body}</x>"


def page(inner: str) -> str:
    return f"<set xmlns='http://jabber.org/protocol/rsm'>{inner}</set>"


@pytest.mark.parametrize("inner,wanted", [
    ("", ArchiveQuery()),
    (form(), ArchiveQuery()),
    (form(("with", "Juliet@Capulet.lit")), ArchiveQuery("juliet@capulet.lit")),
    (form(("with", "juliet@capulet.lit/Balcony")), ArchiveQuery("juliet@capulet.lit/Balcony")),
    (form(("with", ""), ("start",)), ArchiveQuery()),
    (form(("start", "2010-06-07T00:00:00Z"), ("end", "2010-07-07T13:23:54Z")),
     ArchiveQuery(start_ms=1275868800000, end_ms=1278509034000)),
    (form(("after-id", "7"), ("before-id", "9")), ArchiveQuery(after_id=7, before_id=9)),
    (form(("ids", "3", "1", "3")), ArchiveQuery(ids=(3, 1))),
    (form(("include-groupchat", "false")), ArchiveQuery()),
    (page("<max>10</max>"), ArchiveQuery(max=10)),
    (form(("{urn:xmpp:fulltext:0}fulltext", " Grüße  an BJÖRN an ")), ArchiveQuery(words=("grusse", "an", "bjorn"))),
    (form(("{urn:xmpp:fulltext:0}fulltext", " ")), ArchiveQuery()),
    (page("<max>0</max>"), ArchiveQuery(max=0)),
    ("<set xmlns='urn:other'><max>7</max></set><x xmlns='urn:other'/><set/>", ArchiveQuery()),
    ("<y xmlns='jabber:x:data'/><y xmlns='http://jabber.org/protocol/rsm'/>", ArchiveQuery()),
    (page("<max>100000</max>"), ArchiveQuery(max=PAGE_MAX)),
    (page(""), ArchiveQuery(max=PAGE_DEFAULT)),
    (page("<max>10</max><before/>"), ArchiveQuery(max=10, before="")),
    (page("<before>12</before>"), ArchiveQuery(before=12)),
    (page("<after>12</after>") + "<flip-page/>", ArchiveQuery(after=12, flip=True)),
    (form(("after-id", "5")) + page("<before/><after>12</after>"), ArchiveQuery(before="", after_id=12)),
    (form(("after-id", "50")) + page("<before/><after>12</after>"), ArchiveQuery(before="", after_id=50)),
])
def test_query(inner: str, wanted: ArchiveQuery) -> None:
    assert parse_query(query(inner)) == (None, wanted)


def test_queryid() -> None:
    assert parse_query(query("", "queryid='f27'"))[0] == "f27"


@pytest.mark.parametrize("inner,condition", [
    (form(form_type=""), "bad-request"), (form(kind="form"), "bad-request"), (form() + form(), "bad-request"),
    (form(form_type=FORM_TYPE.replace("mam:2", "mam:1")), "bad-request"),
    (form(("start", "yesterday")), "bad-request"), (form(("start", "1", "2")), "bad-request"),
    (form(("with", "a@b"), ("with", "c@d")), "bad-request"), (form(("", "x")), "bad-request"),
    (form(("with", "a@@b")), "jid-malformed"), (form(("include-groupchat", "maybe")), "bad-request"),
    (form(("{http://example.com/}search", "x")), "feature-not-implemented"),
    (form(("ids", "abc")), "item-not-found"), (form(("before-id", "0")), "item-not-found"),
    (form(("after-id", "-5")), "item-not-found"), (form(("after-id", "9" * 30)), "item-not-found"),
    (form(("ids", *map(str, range(1, 300)))), "not-acceptable"),
    (form(("{urn:xmpp:fulltext:0}fulltext", "x" * 257)), "not-acceptable"),
    (form(("{urn:xmpp:fulltext:0}fulltext", " ".join("abcdefghijklm"))), "not-acceptable"),
    (page("<after>x</after>"), "item-not-found"), (page("<before>x</before>"), "item-not-found"),
    (page("<index>3</index>"), "feature-not-implemented"), (page("<max>x</max>"), "bad-request"),
    (page("<max>-1</max>"), "bad-request"), (page("<max>1</max><max>1</max>"), "bad-request"),
    (page("<after/>"), "bad-request"), (page("") + page(""), "bad-request"),
    (page("<index>1</index><after>1</after>"), "bad-request")])
def test_query_refused(inner: str, condition: str) -> None:
    with pytest.raises(StanzaError) as caught:
        parse_query(query(inner))
    assert caught.value.condition == condition


@pytest.mark.parametrize("text", ["", "0", "01", "-1", "1.0", "\u0661", "9223372036854775808", "x" * 5000])
def test_ids_that_cannot_be_ours(text: str) -> None:
    with pytest.raises(ItemNotFound):
        parse_id(text)
    assert parse_id("9223372036854775807") == 2**63 - 1


def test_the_form_announces_what_is_understood() -> None:
    fields = [field["var"] for field in parse_element(FORM).x.elements()]
    assert fields == ["FORM_TYPE", "with", "start", "end", "before-id", "after-id", "ids",
    "include-groupchat", "{urn:xmpp:fulltext:0}fulltext"]


def test_answers() -> None:
    rows = (ArchiveRow(3, 1278803305000, b'<message xmlns="jabber:client"><body>a</body></message>'),
            ArchiveRow(9, 1278803306000, b'<message xmlns="jabber:client"/>'))
    answer = ArchivePage(rows, complete=False, count=20, index=4)
    assert answer.in_order(ArchiveQuery()) == rows and answer.in_order(ArchiveQuery(flip=True)) == rows[::-1]
    assert fin_bytes(answer) == (
        b"<fin xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><first index='4'>3</first>"
        b"<last>9</last><count>20</count></set></fin>")
    assert fin_bytes(ArchivePage()) == (
        b"<fin xmlns='urn:xmpp:mam:2' complete='true'><set xmlns='http://jabber.org/protocol/rsm'></set></fin>")
    result = parse_element(result_bytes(rows[0], "q<'1"))
    assert (result["id"], result["queryid"]) == ("3", "q<'1")
    assert result.forwarded.delay["stamp"] == "2010-07-10T23:08:25.000Z"
    assert str(result.forwarded.message.body) == "a" and result.forwarded.message.uri == "jabber:client"
    assert parse_element(result_bytes(rows[0], None)).getAttribute("queryid") is None
    assert metadata_bytes(None) == b"<metadata xmlns='urn:xmpp:mam:2'/>"
    bounds = parse_element(metadata_bytes((3, 0, 9, 1000)))
    assert [(end.name, end["id"], end["timestamp"]) for end in bounds.elements()] == [
        ("start", "3", "1970-01-01T00:00:00.000Z"), ("end", "9", "1970-01-01T00:00:01.000Z")]


def test_prefs_round_trip() -> None:
    prefs = ArchivePrefs("roster", ("a@b", "c@d/e"), ("f@g",))
    assert parse_prefs(parse_element(prefs_bytes(prefs))) == prefs
    assert prefs_bytes(ArchivePrefs()) == (
        b"<prefs xmlns='urn:xmpp:mam:2' default='always'><always></always><never></never></prefs>")
    assert parse_prefs(parse_element(b"<prefs xmlns='urn:xmpp:mam:2' default='never'/>")) == ArchivePrefs("never")


@pytest.mark.parametrize("xml,condition", [
    ("<prefs xmlns='urn:xmpp:mam:2'/>", "bad-request"),
    ("<prefs xmlns='urn:xmpp:mam:2' default='x'/>", "bad-request"),
    ("<prefs xmlns='urn:xmpp:mam:2' default='never'><always><jid>@</jid></always></prefs>", "jid-malformed"),
    ("<prefs xmlns='urn:xmpp:mam:2' default='never'><never>"
     + "".join(f"<jid>a{n}@b</jid>" for n in range(PREFS_MAX + 1)) + "</never></prefs>", "not-acceptable")])
def test_prefs_refused(xml: str, condition: str) -> None:
    with pytest.raises(StanzaError) as caught:
        parse_prefs(parse_element(xml.encode()))
    assert caught.value.condition == condition


def test_prefs_take_what_is_theirs() -> None:
    jids = "".join(f"<jid>a{n}@b</jid>" for n in range(PREFS_MAX))
    prefs = parse_prefs(parse_element((
        f"<prefs xmlns='urn:xmpp:mam:2' default='never'><always>{jids}<jid xmlns='urn:x'>@</jid><x>@</x></always>"
        "<never xmlns='urn:x'><jid>@</jid></never></prefs>").encode()))
    assert len(prefs.always) == PREFS_MAX and prefs.never == ()


def test_rsm_alone() -> None:
    assert rsm.parse(query()) is None
    assert rsm.parse(query(page("<max> 5 </max><index>3</index>"))) == rsm.PageRequest(5, index=3)
    assert rsm.parse(query(page("<other/><x xmlns='urn:x'/>"))) == rsm.PageRequest()
    assert rsm.result_bytes("a&b", "c", 0) == (
        b"<set xmlns='http://jabber.org/protocol/rsm'><first>a&amp;b</first><last>c</last><count>0</count></set>")


FIELDS = st.tuples(st.sampled_from(["with", "start", "end", "before-id", "after-id", "ids", "odd", ""]),
                   st.sampled_from(["", "a@b", "a@@b", "5", "0", "2010-06-07T00:00:00Z", "x"]))
PARTS = st.tuples(st.sampled_from(["max", "before", "after", "index"]), st.sampled_from(["", "1", "x", "0"]))


@given(st.lists(FIELDS, max_size=4), st.none() | st.lists(PARTS, max_size=3))
def test_any_query_is_parsed_or_refused(fields: list[tuple[str, str]], parts: list[tuple[str,
str]] | None) -> None:
    inner = form(*fields) if fields else ""
    if parts is not None:
        inner += page("".join(f"<{name}>{value}</{name}>" for name, value in parts))
    try:
        _, wanted = parse_query(query(inner))
    except StanzaError as error:
        assert error.condition in ("bad-request", "jid-malformed", "item-not-found",
        "feature-not-implemented")
    else:
        assert 0 <= wanted.max <= PAGE_MAX
        assert wanted.before is None or wanted.after is None
