"""A visit's stream, of paper: what signing in by ANONYMOUS gives, and what it does not."""

from __future__ import annotations

import base64
from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from chatd.core.accounts import AccountRow, Verifier
from chatd.core.jid import JID
from chatd.core.stanza import Stanza
from chatd.interfaces import IService
from tests.server.fake_site import DOMAIN, SASL, SM, Site, bind, plain
from tests.server.test_websocket_stream import CLOSE, FRAMING, OPEN, PaperChannel, as_websocket

GUESTS, MEET = f"guest.{DOMAIN}", f"meet.{DOMAIN}"
AT_GUESTS = f"<open xmlns='{FRAMING}' to='{GUESTS}' version='1.0'/>"


@implementer(IService)
class Hall:
    """What visits may reach: it keeps what it got."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, str]] = []

    def receive(self, stanza: Stanza, to: JID) -> None:
        """Keeps it."""
        self.got.append((stanza.name, stanza.attrs.get("type", ""), to.full))


def site(most: int = 10, **limits: Any) -> tuple[Site, Hall]:
    """A site whose meetings take visits."""
    made, hall = Site(**limits), Hall()
    made.router.serve(MEET, hall)
    made.router.visits.open(GUESTS, DOMAIN, MEET, True, most)
    return made, hall


def anonymous(given: str = "") -> str:
    """<auth/> by ANONYMOUS."""
    return f"<auth xmlns='{SASL}' mechanism='ANONYMOUS'>{base64.b64encode(given.encode()).decode()}</auth>"


def visit(made: Site, given: str = "") -> PaperChannel:
    """A bound visit."""
    channel = PaperChannel(made)
    channel.say(AT_GUESTS)
    assert "<success" in channel.say(anonymous(given))[0]
    channel.say(AT_GUESTS)
    assert "<jid>" in channel.say(as_websocket(bind("mine")))[0]
    return channel


def test_the_resource_is_ours_to_choose() -> None:
    made, _ = site()
    channel = visit(made)
    assert channel.stream.session is not None
    assert channel.stream.session.jid.resource.startswith("meet-") and channel.stream.session.jid.domain == GUESTS


def test_the_other_way_to_authenticate_is_shut() -> None:
    """XEP-0388 is for accounts: visits are admitted by ANONYMOUS as of RFC 6120 alone."""
    made, _ = site()
    for mechanism in ("ANONYMOUS", "PLAIN", "HT-SHA-256-NONE"):
        channel = PaperChannel(made)
        channel.say(AT_GUESTS)
        answer = channel.say(f"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'>"
                             "<initial-response>AGEAYg==</initial-response></authenticate>")
        assert "<invalid-mechanism" in answer[0] and "<failure" in answer[0], answer
        assert channel.stream.session is None


def test_stanzas_stay_small() -> None:
    """Log-in makes room for large ones, a visit does not."""
    made, _ = site()
    before = PaperChannel(made).stream.max_bytes
    assert visit(made).stream.max_bytes == before < PaperChannel(made).log_in().stream.max_bytes


def test_wrong_passwords_are_not_forgotten_for_it() -> None:
    """Else a guesser would visit between two attempts."""
    made, _ = site()
    for _ in range(30):
        channel = PaperChannel(made)
        channel.say(OPEN)
        channel.say(as_websocket(plain("alice", "wrong")))
        channel.stream.lost()
        made.clock.advance(0.1)
    waits = made.streams.must_wait("192.0.2.60", f"alice@{DOMAIN}")
    assert waits > 0
    visit(made)
    assert made.streams.must_wait("192.0.2.60", f"alice@{DOMAIN}") == waits
    assert made.streams.counts.visits == 1


def test_bad_passes_are_not_counted_as_passwords() -> None:
    """A page whose token has expired must not keep its office from logging in."""
    made, _ = site()
    for _ in range(60):
        channel = PaperChannel(made)
        channel.say(AT_GUESTS)
        assert "<not-authorized/>" in channel.say(anonymous("guest.YQ.1.YQ"))[0]
        channel.stream.lost()
    assert made.streams.must_wait("192.0.2.60", f"alice@{DOMAIN}") == 0


def test_too_many() -> None:
    made, _ = site(most=1)
    visit(made)
    channel = PaperChannel(made)
    channel.say(AT_GUESTS)
    assert "<temporary-auth-failure/>" in channel.say(anonymous())[0]


def test_the_room_hears_of_the_end() -> None:
    """By <close/>, and by a cut without stream management; of a resumable one only when its time is up."""
    made, hall = site()
    for end in ("close", "cut", "late"):
        channel = visit(made)
        if end == "late":
            assert "<enabled" in channel.say(f"<enable xmlns='{SM}' resume='true'/>")[0]
        channel.say(as_websocket(f"<presence to='a@{MEET}/Ada'/>"))
        assert hall.got.pop() == ("presence", "", f"a@{MEET}/Ada")
        channel.say(CLOSE) if end == "close" else channel.stream.lost()
        if end == "late":
            assert hall.got == []
            made.clock.advance(made.streams.limits.resume_s + 1)
        assert hall.got.pop() == ("presence", "unavailable", f"a@{MEET}"), end
    assert made.router.visits.sessions == {}


def test_shutdown_ends_them_too() -> None:
    made, hall = site()
    channel, asleep = visit(made), visit(made)
    asleep.say(f"<enable xmlns='{SM}' resume='true'/>")
    asleep.stream.lost()
    made.streams.shutdown()
    assert "system-shutdown" in "".join(channel.heard())
    assert made.router.visits.sessions == {}


def test_the_client_is_gone_before_the_look_up() -> None:
    """A ticket's account takes its time; nothing is left when nobody waits for it any more."""
    made, _ = site()
    waiting: list[Deferred[Any]] = []

    def get(local: str, domain: str, fresh: bool = False) -> Deferred[Any]:
        waiting.append(Deferred())
        return waiting[-1]

    row = AccountRow(1, "alice", DOMAIN, False, 0.0, None, {"SCRAM-SHA-1": Verifier(b"s", 4096, b"k", b"k")})
    made.store.accounts.get = lambda *_: succeed(row)
    ticket: list[tuple[str, int]] = []
    made.router.visits.ticket(JID.parse(f"alice@{DOMAIN}")).addCallback(ticket.append)
    assert visit(made, ticket[0][0]).stream.session.jid.bare == f"alice@{DOMAIN}"       # type: ignore[union-attr]
    made.store.accounts.get = get
    channel = PaperChannel(made)
    channel.say(AT_GUESTS)
    assert channel.say(anonymous(ticket[0][0])) == []
    channel.stream.lost()
    waiting.pop().callback(row)
    assert len(made.router.visits.sessions) == 1


def test_a_failing_look_up_is_told_as_such() -> None:
    made, _ = site()
    row = AccountRow(1, "alice", DOMAIN, False, 0.0, None, {})
    made.store.accounts.get = lambda *_: succeed(row)
    ticket: list[tuple[str, int]] = []
    made.router.visits.ticket(JID.parse(f"alice@{DOMAIN}")).addCallback(ticket.append)

    def broken(*_: object) -> Deferred[Any]:
        raise RuntimeError("the database is away")

    made.store.accounts.get = broken
    channel = PaperChannel(made)
    channel.say(AT_GUESTS)
    assert "<temporary-auth-failure/>" in channel.say(anonymous(ticket[0][0]))[0]
