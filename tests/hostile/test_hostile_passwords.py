"""Wrong passwords at speed: who guesses waits, the owner does not, and an office behind one address is not locked out.

Each test comes from addresses of its own (127.0.2.x), because that is what is counted.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import pytest

from tests.daemon import PASSWORD, Daemon
from tests.hostile.bystanders import account
from tests.raw import Cut, Raw, condition

_addresses = (f"127.0.{high}.{low}" for high in range(2, 250) for low in range(1, 250))


def attempts(daemon: Daemon, guesses: int, who: Callable[[int], str], source: Callable[[int], str]) -> list[str]:
    """The answers to so many wrong passwords, as fast as they are taken; a closed stream is followed by another."""
    answers: list[str] = []
    raw: Raw | None = None
    try:
        for n in range(guesses):
            if raw is None:
                raw = Raw(daemon, "c2s_tls", source=source(n))
                raw.open()
            answers.append(condition(raw.auth(who(n), f"guess {n}")))
            if n % 5 == 4:
                assert raw.stream_error() == "policy-violation", "five attempts a stream (RFC 6120 6.4.5)"
                raw.close()
                raw = None
    finally:
        if raw is not None:
            raw.close()
    return answers


def log_in(daemon: Daemon, address: str, source: str) -> str:
    """"" or why the right password is not taken now."""
    with Raw(daemon, "c2s_tls", source=source) as raw:
        raw.open()
        return condition(raw.auth(address, PASSWORD))


def test_one_account_from_one_address(daemon: Daemon, person: str) -> None:
    """After five wrong ones the guesser waits, even with the right password; the owner, elsewhere, and the guesser's
    neighbours at the same address do not."""
    bad, good = next(_addresses), next(_addresses)
    answers = attempts(daemon, 15, lambda n: person, lambda n: bad)
    assert answers[:5] == ["not-authorized"] * 5
    # The first wait is a second, then two; a slow machine may let one more guess through.
    assert answers.count("temporary-auth-failure") >= 8
    assert log_in(daemon, person, bad) == "temporary-auth-failure"
    assert log_in(daemon, person, good) == ""
    assert log_in(daemon, account(daemon), bad) == ""


def test_many_accounts_from_one_address(daemon: Daemon, person: str) -> None:
    """Names tried one after the other, those there are and those there are not: the address waits for all of them."""
    bad, good = next(_addresses), next(_addresses)
    names = itertools.cycle([f"nobody{n}@{person.partition('@')[2]}" for n in range(40)])
    answers = attempts(daemon, 40, lambda n: next(names), lambda n: bad)
    assert answers[:20] == ["not-authorized"] * 20
    assert answers.count("temporary-auth-failure") >= 15
    assert log_in(daemon, person, bad) == "temporary-auth-failure"
    assert log_in(daemon, person, good) == ""


def test_one_account_from_many_addresses(daemon: Daemon, person: str) -> None:
    """A swarm is slowed down as well, and the owner gets in again within the account's longest wait of 15 s."""
    answers = attempts(daemon, 30, lambda n: person, lambda n: next(_addresses))
    assert answers[:20] == ["not-authorized"] * 20
    assert answers.count("temporary-auth-failure") >= 5
    mine, deadline = next(_addresses), time.monotonic() + 20
    while (why := log_in(daemon, person, mine)) != "":
        assert why == "temporary-auth-failure"
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("name", ["nobody@{}", "{}", "a@b", "\ud7ff@{}", "x" * 1000])
def test_names_that_are_none(daemon: Daemon, person: str, name: str) -> None:
    """They fail like wrong passwords do; nobody learns which accounts there are."""
    domain = person.partition("@")[2]
    with Raw(daemon, "c2s_tls", source=next(_addresses)) as raw:
        raw.open()
        assert condition(raw.auth(name.format(domain), PASSWORD)) == "not-authorized"


BROKEN = {
    "no base64": ("PLAIN", "====", "incorrect-encoding"),
    "no fields": ("PLAIN", "YWJj", "malformed-request"),
    "no password": ("PLAIN", "AGEA", "malformed-request"),
    "too many fields": ("PLAIN", "AGEAYgBj", "malformed-request"),
    "no UTF-8": ("PLAIN", "AP8A/w==", "malformed-request"),
    "somebody else's session": ("PLAIN", "Ym9iQGNoYXQuZXhhbXBsZQBhbGljZQB4", "invalid-authzid"),
    "a mechanism of nobody": ("X-MAGIC", "YQ==", "invalid-mechanism"),
    "anonymous": ("ANONYMOUS", "", "invalid-mechanism"),
    "SCRAM of nothing": ("SCRAM-SHA-256", "YQ==", "malformed-request"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_exchanges(daemon: Daemon, name: str) -> None:
    """What is no log-in at all fails as RFC 6120 6.5 says, and counts against nobody."""
    mechanism, initial, expected = BROKEN[name]
    with Raw(daemon, "c2s_tls", source=next(_addresses)) as raw:
        raw.open()
        for _ in range(4):
            raw.send(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{initial}</auth>")
            answer = raw.read()
            assert condition(answer) == expected


def test_a_storm_of_connections(daemon: Daemon) -> None:
    """Handshakes begun and dropped, a hundred at a time: those who are in go on (see `daemon`)."""
    source = next(_addresses)
    for _ in range(3):
        crowd = [Raw(daemon, "c2s", source=source, via=("127.0.0.1", daemon.ports["c2s_tls"])) for _ in range(100)]
        for n, raw in enumerate(crowd):
            if n % 2:
                raw.put(bytes.fromhex("1603010200010001fc0303") + bytes(200))
            else:
                raw.put(b"\x80garbage" * 20)
        for n, raw in enumerate(crowd):
            if n % 3:
                raw.reset()
            else:
                raw.close()
    with Raw(daemon, "c2s_tls", source=source) as raw:
        raw.open()


def test_ends_in_the_middle_of_a_log_in(daemon: Daemon, person: str) -> None:
    """Connections that go while the password is being checked, or the resource bound."""
    source = next(_addresses)
    for n in range(40):
        raw = Raw(daemon, "c2s_tls", source=source)
        try:
            if n % 2:
                raw.authenticate(person)
                raw.send("<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
            else:
                raw.open()
                raw.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>")
            raw.reset()
        except Cut:
            raw.close()
