"""The priority a presence stanza names."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.core.errors import StanzaError
from chatd.core.presence import parse_priority
from chatd.core.stanza import Stanza, parse_element


def presence(inner: str) -> Stanza:
    return Stanza.from_element(parse_element(f"<presence xmlns='jabber:client'>{inner}</presence>".encode()))


def raw(inner: str) -> Stanza:
    """As the framer makes it, the bytes untouched."""
    return Stanza("presence", {}, inner.encode(), presence(inner).children)


@pytest.mark.parametrize("inner,priority", [
    ("", 0), ("<show>away</show>", 0), ("<priority>5</priority>", 5), ("<priority> -1\n</priority>", -1),
    ("<priority>-128</priority>", -128), ("<priority>127</priority><show>dnd</show>", 127),
    ("<priority xml:lang='en'>3</priority>", 3), ("<priority>&#x37;</priority>", 7),
    ("<priority>+2</priority>", 2),
    ("<x xmlns='urn:other'><priority>9</priority></x><priority>4</priority>", 4),
    ("<priority xmlns='urn:other'>9</priority>", 0),
    ("<status>priority priority</status><priority>6</priority>", 6),
    ("<x xmlns='urn:other'><priority>9</priority></x>", 0), ("<priority><![CDATA[8]]></priority>", 8)])
def test_priority(inner: str, priority: int) -> None:
    assert parse_priority(raw(inner)) == priority


@pytest.mark.parametrize("inner", [
    "<priority/>", "<priority>x</priority>", "<priority>128</priority>", "<priority>-129</priority>",
    "<priority>1</priority><priority>1</priority>", "<priority>\u0661</priority>", "<priority>1.0</priority>",
    "<priority>99999999999999999999</priority>"])
def test_no_priority(inner: str) -> None:
    with pytest.raises(StanzaError) as caught:
        parse_priority(raw(inner))
    assert caught.value.condition == "bad-request"


@given(st.integers(-128, 127), st.text(alphabet="ab <>&", max_size=8))
def test_any_number_beside_any_status(number: int, status: str) -> None:
    escaped = status.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert parse_priority(raw(f"<status>{escaped}</status><priority>{number}</priority>")) == number
