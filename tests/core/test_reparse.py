"""A tag that comes in pieces is seen with its last byte, whichever expat and Python there are."""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

import pytest

from chatd.core import reparse
from chatd.core.framing import Framer
from chatd.core.stanza import Stanza

HEADER = (
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
    b"to='a.example' version='1.0'>"
)


def test_nothing_is_put_off_after_the_switch() -> None:
    assert not reparse.is_deferring(reparse.switch_off)


@pytest.mark.parametrize("cut", range(1, 62, 4))
def test_a_stanza_in_two_pieces_comes_with_the_second(cut: int) -> None:
    framer = Framer(10_000, 64)
    framer.feed(HEADER)
    stanza = b"<message to='bob@a.example' id='1'><body>hello</body></message>"
    assert framer.feed(stanza[:cut]) == []
    (event,) = framer.feed(stanza[cut:])
    assert isinstance(event, Stanza)


def test_a_python_that_cannot_be_told_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deferring:
        StartElementHandler: Any = None

        def Parse(self, data: bytes, is_final: bool) -> int:
            return 1

    reparse._switch.cache_clear()
    monkeypatch.setattr(expat, "ParserCreate", lambda *arguments: Deferring())
    monkeypatch.setattr(reparse, "_library_switch", lambda: None)
    try:
        with pytest.raises(reparse.CannotSwitchOff, match=r"3\.11\.9"):
            reparse.switch_off(Deferring())
    finally:
        reparse._switch.cache_clear()


def test_another_library_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expat, "EXPAT_VERSION", "expat_0.0.0")
    assert reparse._library_switch() is None
