"""Stream management: counters modulo 2**32, the queue, resumption."""
from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.core.errors import StreamError
from chatd.core.smacks import ASK_EVERY, StreamManagement, parse_h
from chatd.core.stanza import Stanza


def message(number: int, size: int = 0) -> Stanza:
    return Stanza("message", {"id": str(number)}, b"x" * size)


def management(token: str = "", limit: int = 2000, limit_bytes: int = 1 << 20) -> StreamManagement:
    return StreamManagement(token, 300, limit, limit_bytes)


def test_acknowledge() -> None:
    sm = management()
    stanzas = [message(n) for n in range(8)]
    assert all(sm.sent(stanza) for stanza in stanzas)
    assert sm.acknowledge(3) == 3 and sm.unacknowledged() == stanzas[3:]
    assert sm.acknowledge(3) == 0
    assert sm.acknowledge(8) == 5 and len(sm) == 0 and sm


@pytest.mark.parametrize("h", [9, 2, 2**32 - 1])
def test_handled_count_too_high_or_backwards(h: int) -> None:
    """XEP-0198 6, with the words of its example."""
    sm = management()
    for n in range(8):
        sm.sent(message(n))
    sm.acknowledge(3)
    with pytest.raises(StreamError) as caught:
        sm.acknowledge(h)
    error = caught.value
    assert error.condition == "undefined-condition"
    assert error.application == f'<handled-count-too-high xmlns="urn:xmpp:sm:3" h="{h}" send-count="8"/>'
    assert error.text == f"You acknowledged {h} stanzas, but I only sent you 8 so far."
    assert len(sm) == 5


def test_asks_now_and_then() -> None:
    sm = management()
    for n in range(ASK_EVERY):
        assert not sm.asks_now
        sm.sent(message(n))
    assert sm.asks_now and sm.may_ask
    sm.asked()
    assert not sm.asks_now and not sm.may_ask
    sm.sent(message(99))
    assert sm.may_ask and not sm.asks_now
    sm.acknowledge(ASK_EVERY + 1)
    assert not sm.may_ask


def test_the_queue_is_bounded_in_stanzas_and_bytes() -> None:
    sm = management(limit=2)
    assert sm.sent(message(1)) and sm.sent(message(2)) and not sm.sent(message(3))
    sm.acknowledge(1)
    assert sm.sent(message(3))
    sm = management(limit_bytes=100)
    assert sm.sent(message(1, 60)) and not sm.sent(message(2, 60)) and sm.sent(message(3, 40))
    sm.acknowledge(1)
    assert sm.sent(message(4, 60))


def test_resume() -> None:
    assert management("id").may_resume and not management().may_resume
    sm = management("id")
    stanzas = [message(n) for n in range(4)]
    for stanza in stanzas:
        sm.sent(stanza)
    sm.count()
    sm.count()
    sm.asked()
    assert sm.resume(1) == stanzas[1:] and sm.handled == 2
    assert sm.asks_now and sm.may_ask and sm.unacknowledged() == stanzas[1:]
    assert sm.resume(4) == [] and not sm.asks_now and not sm.may_ask
    with pytest.raises(StreamError):
        sm.resume(5)


def test_counters_wrap() -> None:
    sm = management()
    sm.handled = sm._acknowledged = 2**32 - 2
    for n in range(4):
        sm.sent(message(n))
        sm.count()
    assert sm.h == 2
    assert sm.acknowledge(2**32 - 1) == 1 and sm.acknowledge(1) == 2 and len(sm) == 1
    with pytest.raises(StreamError):
        sm.acknowledge(3)
    assert sm.acknowledge(2) == 1


@given(st.integers(0, 2**32 - 1), st.lists(st.one_of(st.just("send"), st.integers(-3, 12)), max_size=60))
def test_against_a_plain_list(start: int, steps: list[str | int]) -> None:
    """The queue is always exactly what was sent and not acknowledged, wherever the counters begin."""
    sm = management(limit=20)
    sm._acknowledged = start
    waiting: deque[Stanza] = deque()
    acknowledged = start
    for number, step in enumerate(steps):
        if step == "send":
            stanza = message(number, number)
            assert sm.sent(stanza) == (len(waiting) < 20)
            if len(waiting) < 20:
                waiting.append(stanza)
        elif isinstance(step, int):
            h = (acknowledged + step) % 2**32
            if 0 <= step <= len(waiting):
                assert sm.acknowledge(h) == step
                acknowledged += step
                for _ in range(step):
                    waiting.popleft()
            else:
                with pytest.raises(StreamError):
                    sm.acknowledge(h)
        assert sm.unacknowledged() == list(waiting)
        assert sm._bytes == sum(len(stanza.inner) for stanza in waiting)


@pytest.mark.parametrize("h", ["", "-1", "x", "4294967296", "\u0661", "1.0", " 1"])
def test_h_is_a_number_of_32_bits(h: str) -> None:
    with pytest.raises(StreamError):
        parse_h(Stanza("a", {"h": h}, ns_="urn:xmpp:sm:3"))
    assert parse_h(Stanza("a", {"h": "4294967295"}, ns_="urn:xmpp:sm:3")) == 2**32 - 1
