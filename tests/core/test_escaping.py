"""XEP-0106: mail addresses as JIDs and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.core.escaping import escape, jid_of_address, unescape
from chatd.core.jid import InvalidJID


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("space cadet", "space\\20cadet"),
        ('call me "ishmael"', "call\\20me\\20\\22ishmael\\22"),
        ("at&t guy", "at\\26t\\20guy"),
        ("d'artagnan", "d\\27artagnan"),
        ("/.fanboy", "\\2f.fanboy"),
        ("::foo::", "\\3a\\3afoo\\3a\\3a"),
        ("<foo>", "\\3cfoo\\3e"),
        ("user@host", "user\\40host"),
        ("c:\\net", "c\\3a\\net"),
        ("c:\\\\net", "c\\3a\\\\net"),
        ("c:\\cool stuff", "c\\3a\\cool\\20stuff"),
        ("c:\\5commas", "c\\3a\\5c5commas"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_the_examples_of_section_5(text: str, local: str) -> None:
    assert escape(text) == local
    assert unescape(local) == text


@given(st.text(alphabet=" \"&'/:<>@\\2567abcdef0", max_size=20))
def test_back_and_forth(text: str) -> None:
    assert unescape(escape(text)) == text
    assert not set(escape(text)) & set(" \"&'/:<>@")


@pytest.mark.parametrize(
    ("address", "jid"),
    [
        ("John@Example.com", "john@example.com"),
        (" r&d@example.com ", "r\\26d@example.com"),
        ('"a b"@example.com', "a\\20b@example.com"),
        ("a@b@example.com", "a\\40b@example.com"),
    ],
)
def test_addresses(address: str, jid: str) -> None:
    assert jid_of_address(address).full == jid


@pytest.mark.parametrize("address", ["", "@example.com", "a@", "a", "a\x00@example.com", "x" * 2000 + "@example.com"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(InvalidJID):
        jid_of_address(address)
