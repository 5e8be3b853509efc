"""Who gets a message: the table of RFC 6121 8.5.4, cell by cell."""
from __future__ import annotations

import time

import attrs
import pytest

from chatd.core.errors import StanzaError
from chatd.core.routing import route_message


@attrs.define(eq=False)
class Session:
    name: str
    priority: int = 0
    presence: object | None = "here"


CASES = {
    "none": [],
    "connected": [Session("n", presence=None)],
    "negative": [Session("m", -1)],
    "one": [Session("a", 5), Session("m", -1), Session("n", presence=None)],
    "alone": [Session("a", 0)],
    "more": [Session("a", 5), Session("b", 0), Session("m", -1)],
}
# D: delivered to the one named; A: to all that are not negative; O: kept or refused; S: silence; E: error.
# RFC 6121 8.5.4, its choices made: of several resources all get it, groupchat to a resource that is gone is
# refused (8.5.3.2.1 b). One cell differs from the RFC: a normal message to a resource that is gone goes the way
# of chat instead of being dropped or refused.
TABLE = """
case       address      normal chat groupchat headline error
none       bare         O      O    E         S        S
none       full-other   O      O    E         S        S
connected  bare         O      O    E         S        S
connected  full-match   D      D    D         D        D
negative   bare         O      O    E         S        S
negative   full-match   D      D    D         D        D
negative   full-other   O      O    E         S        S
one        bare         A      A    E         A        S
one        full-match   D      D    D         D        D
one        full-other   A      A    E         S        S
alone      bare         A      A    E         A        S
alone      full-other   A      A    E         S        S
more       bare         A      A    E         A        S
more       full-match   D      D    D         D        D
more       full-other   A      A    E         S        S
"""


def cells():
    head, *rows = (line.split() for line in TABLE.strip().splitlines())
    for case, address, *answers in rows:
        yield from ((case, address, type_, answer) for type_, answer in zip(head[2:], answers, strict=True))


@pytest.mark.parametrize("case,address,type_,answer", list(cells()))
def test_the_table(case: str, address: str, type_: str, answer: str) -> None:
    sessions = {session.name: session for session in CASES[case]}
    named = CASES[case][0] if CASES[case] else None
    resource = {"bare": "", "full-match": named.name if named else "", "full-other": "gone"}[address]
    for spelled in (type_, None, "nonsense") if type_ == "normal" else (type_,):
        if answer == "E":
            with pytest.raises(StanzaError) as caught:
                route_message(spelled, resource, sessions)
            assert caught.value.condition == "service-unavailable"
            continue
        got = route_message(spelled, resource, sessions)
        if answer == "O":
            assert got is None
        elif answer == "S":
            assert got is not None and not got
        else:
            wanted = [named] if answer == "D" else [s for s in CASES[case] if s.presence and s.priority >= 0]
            assert got is not None and list(got) == wanted


def test_the_common_case_costs_less_than_two_microseconds() -> None:
    sessions = {session.name: session for session in CASES["more"][:2]}
    best = 1.0
    for _ in range(20):
        begin = time.perf_counter()
        for _ in range(1000):
            route_message("chat", "", sessions)
            route_message("chat", "a", sessions)
        best = min(best, time.perf_counter() - begin)
    assert best / 2000 < 2e-6
