"""What waits for another domain, when it is tried again, and when it goes back to who sent it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from chatd.server.s2s.attempt import Attempt, NoWay
from chatd.server.s2s.federation import ATTEMPTS_MOST
from chatd.server.s2s.finding import Endpoint
from chatd.server.s2s.link import ALL_BYTES_MOST, BYTES_MOST
from chatd.settings import S2S
from tests.server.fake_site import DOMAIN
from tests.server.paper_federation import PEER, Abroad, PaperStream


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Abroad:
    return Abroad(monkeypatch)


def sent(stream: PaperStream) -> list[str | None]:
    return [stanza.id for stanza in stream.sent]


def refused(site: Abroad, number: int = -1) -> None:
    site.attempts[number].done.errback(NoWay("remote-server-timeout", "refused"))


def test_what_waits_goes_in_order_and_then_directly(site: Abroad) -> None:
    for number in range(3):
        site.send(str(number))
    assert len(site.attempts) == 1
    stream = PaperStream()
    site.attempts[0].done.callback(stream)
    site.send("3")
    assert sent(stream) == ["0", "1", "2", "3"] and site.federation.remotes[PEER].waiting == 0


def test_each_domain_of_ours_has_its_own_connection(site: Abroad) -> None:
    site.send("a")
    site.send("b", from_="bob@other.test/x")
    assert [(attempt.local, attempt.remote) for attempt in site.attempts] == [
        ("example.test", PEER), ("other.test", PEER)]


def test_a_domain_never_reached_gives_back_at_once_and_is_left_alone_for_a_while(site: Abroad) -> None:
    site.send("1")
    refused(site)
    assert site.errors() == [("1", "remote-server-timeout")]
    site.send("2")
    assert len(site.attempts) == 1 and len(site.answers) == 2, "a pause"
    site.clock.advance(1.1)
    site.send("3")
    assert len(site.attempts) == 2


def test_pauses_grow_and_what_waits_stays_for_a_domain_that_was_there(site: Abroad) -> None:
    site.send("0")
    first = PaperStream()
    site.attempts[0].done.callback(first)
    first.link.lost(first, [])
    site.send("1")
    times = []
    for _ in range(5):
        refused(site)
        before, number = site.clock.seconds(), len(site.attempts)
        while len(site.attempts) == number:
            site.clock.advance(0.25)
        times.append(site.clock.seconds() - before)
    assert times == [1.0, 2.0, 4.0, 8.0, 16.0] and not site.answers
    stream = PaperStream()
    site.attempts[-1].done.callback(stream)
    assert sent(stream) == ["1"]


def test_pauses_do_not_grow_while_they_are_there_and_the_line_is_cut(site: Abroad) -> None:
    site.send("0")
    for _ in range(5):
        site.attempts[-1].was_reached = True
        refused(site)
        number = len(site.attempts)
        site.clock.advance(1.1)
        assert len(site.attempts) == number + 1 and not site.answers


@pytest.mark.parametrize("is_believed", [False, True])
def test_who_believed_us_before_the_end_was_reached(is_believed: bool) -> None:
    attempt = Attempt(Abroad(exceptions={PEER: {"address": "192.0.2.9:5269"}}).federation, DOMAIN, PEER)
    attempt.done.addErrback(lambda _: None)
    stream: Any = SimpleNamespace(endpoint=Endpoint("192.0.2.9", 5269, False, PEER), is_authenticated=is_believed)
    assert attempt.connected(stream)
    attempt.stream_failed(stream, "the connection was cut")
    assert attempt.was_reached is is_believed


def test_what_has_waited_too_long_goes_back_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch, queue_s=20)
    site.send("0")
    stream = PaperStream()
    site.attempts[0].done.callback(stream)
    stream.link.lost(stream, [])
    site.send("1")
    refused(site)
    site.clock.pump([5] * 4)
    assert site.errors() == [("1", "remote-server-timeout")]
    assert b"refused" in site.answers[0].inner


def test_what_was_not_acknowledged_goes_first_over_the_next_connection(site: Abroad) -> None:
    for number in range(3):
        site.send(str(number))
    first = PaperStream()
    site.attempts[0].done.callback(first)
    first.link.lost(first, first.sent[1:])
    site.send("3")
    second = PaperStream()
    site.attempts[-1].done.callback(second)
    assert sent(second) == ["1", "2", "3"]


def test_too_much_for_one_domain_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch, queue_stanzas=10)
    for number in range(12):
        site.send(str(number))
    assert site.errors() == [("10", "resource-constraint"), ("11", "resource-constraint")]


def test_what_a_slow_connection_does_not_take_waits_with_the_link(site: Abroad) -> None:
    site.send("0")
    stream = PaperStream(room=2)
    site.attempts[0].done.callback(stream)
    for number in range(1, 5):
        site.send(str(number))
    assert sent(stream) == ["0", "1"]
    stream.room = 10
    stream.link.flush()
    assert sent(stream) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(("s2s", "is_refused"), [
    ({"block": ("peer.test",)}, True), ({"block": ("test",)}, True), ({"block": ("eer.test",)}, False),
    ({"allow": ("friend.test",)}, True), ({"allow": ("peer.test",)}, False)])
def test_lists(monkeypatch: pytest.MonkeyPatch, s2s: dict[str, Any], is_refused: bool) -> None:
    site = Abroad(monkeypatch, **s2s)
    site.send("0")
    assert (site.errors() == [("0", "not-allowed")]) is is_refused
    assert bool(site.attempts) is not is_refused


def test_a_reload_that_blocks_gives_back_what_waits(site: Abroad) -> None:
    site.send("0")
    site.settings.s2s = S2S(block=(PEER,))
    site.federation.reload(site.settings)
    assert site.errors() == [("0", "not-allowed")]


def test_the_pauses_of_a_domain_never_reached_grow_too(site: Abroad) -> None:
    for pause in (1, 2, 4, 8):
        site.send("x")
        refused(site)
        number = len(site.attempts)
        site.clock.pump([pause * 0.9])
        site.send("x")
        assert len(site.attempts) == number, pause
        site.clock.pump([pause * 0.2])
    assert len(site.attempts) == 4 and len(site.answers) == 8


def test_too_many_attempts_at_a_time_wait(site: Abroad) -> None:
    site.federation.attempting = ATTEMPTS_MOST
    site.send("0")
    site.clock.pump([0.5] * 4)
    assert not site.attempts
    site.federation.attempting = 0
    site.clock.pump([0.5] * 4)
    assert len(site.attempts) == 1 and not site.answers


def test_guests_never_leave(site: Abroad) -> None:
    site.send("0", from_="somebody@guest.example.test/x")
    assert site.errors() == [("0", "not-allowed")] and not site.attempts


def test_the_end_gives_back_what_waits(site: Abroad) -> None:
    site.send("0")
    site.federation.stop()
    assert site.errors() == [("0", "remote-server-timeout")]


def test_what_makes_them_close_again_and_again_goes_back(site: Abroad) -> None:
    site.send("poison")
    for _ in range(4):
        stream = PaperStream()
        site.attempts[-1].done.callback(stream)
        assert sent(stream) == ["poison"]
        stream.link.lost(stream, stream.sent)
        site.clock.advance(1.1)
    assert site.errors() == [("poison", "remote-server-timeout")]
    site.send("later")
    stream = PaperStream()
    site.attempts[-1].done.callback(stream)
    assert sent(stream) == ["later"]


def test_a_count_without_news_is_no_reason_to_send_it_for_ever(site: Abroad) -> None:
    """As a server says it that closes over what it cannot take: what it has, which is nothing, and an error."""
    for body in ("poison", "later"):
        site.send(body)
    for _ in range(4):
        stream = PaperStream()
        site.attempts[-1].done.callback(stream)
        assert sent(stream) == ["poison", "later"]
        stream.link.acknowledged(0)
        stream.link.lost(stream, stream.sent, is_counted=True)
        site.clock.pump([1.1] * 8)
    assert site.errors() == [("poison", "remote-server-timeout")]
    stream = PaperStream()
    site.attempts[-1].done.callback(stream)
    assert sent(stream) == ["later"] and len(site.answers) == 1


def test_what_is_too_large_for_them_goes_back_at_once(site: Abroad) -> None:
    """Which id and body are together here."""
    most = site.federation.stanza_bytes
    site.send("x" * (most // 3))
    assert not site.answers and len(site.attempts) == 1
    site.send("x" * (most // 2))
    assert [kind for _, kind in site.errors()] == ["policy-violation"] and site.federation.waiting_bytes < most


def test_restarts_in_a_row_are_no_reason_as_long_as_something_is_acknowledged(site: Abroad) -> None:
    for number in range(6):
        site.send(str(number))
        stream = PaperStream()
        site.attempts[-1].done.callback(stream)
        stream.link.acknowledged(1)
        stream.link.lost(stream, stream.sent[-1:])
        site.clock.advance(1.1)
    assert not site.answers


def test_what_waits_is_bounded_in_bytes_for_one_domain_and_for_all(site: Abroad) -> None:
    large, count = "x" * (1 << 20), BYTES_MOST >> 20
    site.federation.limits = attrs.evolve(site.federation.limits, stanza_bytes=2 << 20)
    for _ in range(count):
        site.send(large)
    assert site.errors()[-1:] == [(large, "resource-constraint")] and len(site.answers) == 1
    for number in range(ALL_BYTES_MOST // BYTES_MOST + 1):
        for _ in range(count - 1):
            site.send(large, to=f"juliet@other{number}.test")
    assert 0 < ALL_BYTES_MOST - site.federation.waiting_bytes < 2 << 20 and len(site.answers) > 2
    site.federation.stop()
    assert site.federation.waiting_bytes == 0


def test_bytes_that_wait_are_counted_back(site: Abroad) -> None:
    site.send("0")
    first = PaperStream()
    site.attempts[0].done.callback(first)
    assert site.federation.waiting_bytes == 0
    first.link.lost(first, first.sent)
    assert site.federation.waiting_bytes == site.federation.remotes[PEER].waiting_bytes > 0
    site.attempts[-1].done.callback(PaperStream())
    assert site.federation.waiting_bytes == site.federation.remotes[PEER].waiting_bytes == 0


def test_what_has_waited_too_long_goes_back_from_behind_what_was_sent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Abroad(monkeypatch, queue_s=20)
    stream = PaperStream(room=1)
    site.send("sent")
    site.attempts[0].done.callback(stream)
    site.send("waits")
    site.clock.pump([5] * 3)
    stream.link.lost(stream, stream.sent)
    site.clock.pump([5] * 2)
    assert site.errors() == [("waits", "remote-server-timeout")] and site.federation.remotes[PEER].waiting == 1
