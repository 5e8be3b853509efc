"""XEP-0198 on live streams: acknowledgements after the disk, resumption, and links cut at every place."""

from __future__ import annotations

import random
import re

import pytest
from twisted.internet.defer import Deferred

from chatd.core.errors import StreamError
from chatd.core.smacks import ASK_EVERY
from chatd.server.streams import SWEEP_SLICES
from tests.server.fake_site import DOMAIN, END, OTHER, SM, Site, Wire, bind, bodies, message

ENABLE = f"<enable xmlns='{SM}' resume='true'/>"
ASK = f"<r xmlns='{SM}'/>"
STEPS = pytest.mark.parametrize("step", [1 << 20, 1], ids=["whole", "bytewise"])
ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"


def ack(h: int) -> str:
    return f"<a xmlns='{SM}' h='{h}'/>"


def resume(previd: str, h: int) -> str:
    return f"<resume xmlns='{SM}' previd='{previd}' h='{h}'/>"


def enabled(wire: Wire) -> str:
    """Switches it on; gives the SM-ID."""
    found = re.search(r"<enabled xmlns='[^']+' id='([^']+)' resume='true' max='\d+'/>", wire.write(ENABLE))
    assert found
    return found.group(1)


def counted(xml: str) -> int:
    """Of the <a/> in it, or of <resumed/>."""
    found = re.findall(r"<(?:a|resumed) [^>]*h='(\d+)'", xml)
    assert len(found) == 1, xml
    return int(found[0])


# -- acknowledgements of the server

@STEPS
def test_counting(step: int) -> None:
    site = Site()
    wire = site.tcp(step).log_in()
    wire.write("<presence/>")
    enabled(wire)
    assert counted(wire.write(ASK)) == 0, "what came before does not count"
    wire.write("<presence/>" + message(BOB, "1") + "<iq type='get' id='p'><x xmlns='urn:none'/></iq>")
    assert counted(wire.write(ASK)) == 3
    assert counted(wire.write(ASK)) == 3, "requests do not count"
    assert "<not-allowed " in wire.write(bind("x"))
    assert counted(wire.write(ASK)) == 4


def test_no_acknowledgement_before_the_disk_has_it() -> None:
    site = Site()
    wire = site.tcp().log_in()
    enabled(wire)
    site.store.is_disk_slow = True
    assert wire.write(message(BOB, "1") + ASK) == ""
    # One more, in the next batch: the count that was asked for must not take it in.
    assert wire.write(message(BOB, "2")) == ""
    site.store.written()
    assert counted(wire.read()) == 1


def test_a_request_does_not_overtake_a_stanza_that_waits() -> None:
    site = Site()
    wire = site.tcp().log_in()
    enabled(wire)
    site.store.is_look_up_slow = True
    assert wire.write(message(BOB, "1") + "<presence/>" + ASK) == "", "bob is being looked up"
    for _ in range(3):
        site.store.found()
    assert counted(wire.read()) == 2


def test_stanzas_that_wait_when_it_is_enabled_do_not_count() -> None:
    site = Site()
    wire = site.tcp().log_in()
    site.store.is_look_up_slow = True
    wire.write(message(BOB, "1") + "<presence/>" + ENABLE + "<presence/>" + ASK)
    for _ in range(3):
        site.store.found()
    assert counted(wire.read()) == 1


# -- acknowledgements of the client

def test_the_server_asks() -> None:
    site = Site()
    wire, bob = site.tcp().log_in(), site.tcp().log_in("bob")
    wire.write("<presence/>")
    enabled(wire)
    for number in range(ASK_EVERY):
        assert ASK not in wire.read()
        bob.write(message(ALICE, str(number)))
    assert wire.read().endswith(ASK), "after a few stanzas"
    wire.write(ack(ASK_EVERY))
    bob.write(message(ALICE, "last"))
    assert ASK not in wire.read()
    site.clock.advance(10)
    assert wire.read() == ASK, "when it is quiet"
    site.clock.advance(10)
    assert wire.read() == ""
    wire.write(ack(ASK_EVERY + 1))
    assert len(site.session().smacks) == 0


def test_who_acknowledged_just_now_is_not_asked_by_the_sweep() -> None:
    site = Site()
    wire, bob = site.tcp().log_in(), site.tcp().log_in("bob")
    wire.write("<presence/>")
    enabled(wire)
    bob.write(message(ALICE, "1"))
    wire.write(ack(1))
    bob.write(message(ALICE, "2"))
    wire.read()
    site.clock.advance(5)
    site.streams.sweep()
    assert wire.read() == ""
    site.clock.advance(4)
    site.streams.sweep()
    assert wire.read() == ASK, "a little later it is"


def test_a_client_that_answers_nothing_is_cut_and_may_come_back() -> None:
    site = Site()
    wire, bob = site.tcp().log_in(), site.tcp().log_in("bob")
    wire.write("<presence/>")
    previd = enabled(wire)
    bob.write(message(ALICE, "1"))
    for _ in range(6):
        site.clock.advance(10)
    assert not wire.transport.is_aborted
    wire.write(" ")
    site.clock.advance(10)
    assert not wire.transport.is_aborted, "it has been heard of meanwhile"
    for _ in range(6):
        site.clock.advance(10)
    assert wire.transport.is_aborted
    wire.cut()
    again = site.tcp()
    again.authenticate()
    assert bodies(again.write(resume(previd, 0))) == ["1"]


def test_a_client_that_answers_the_first_of_two_requests_only() -> None:
    site = Site()
    wire, bob = site.tcp().log_in(), site.tcp().log_in("bob")
    wire.write("<presence/>")
    enabled(wire)
    bob.write("".join(message(ALICE, str(number)) for number in range(2 * ASK_EVERY)))
    assert wire.read().count(ASK) == 2
    wire.write(ack(ASK_EVERY))
    site.clock.advance(10)
    assert wire.read() == ASK, "something is still owed"
    for _ in range(7):
        site.clock.advance(10)
    assert wire.transport.is_aborted


def test_an_idle_client_is_left_alone() -> None:
    site = Site()
    wire = site.tcp().log_in()
    enabled(wire)
    for _ in range(360):
        site.clock.advance(10)
    assert wire.read() == "" and not wire.transport.is_aborted


@pytest.mark.parametrize("wrong", [ack(1), "<a xmlns='urn:xmpp:sm:3'/>", "<a xmlns='urn:xmpp:sm:3' h='-1'/>",
                                   "<a xmlns='urn:xmpp:sm:3' h='4294967296'/>"])
def test_wrong_acknowledgements(wrong: str) -> None:
    site = Site()
    wire = site.tcp().log_in()
    enabled(wire)
    said = wire.write(wrong)
    assert "<stream:error>" in said and wire.is_ended
    if wrong == ack(1):
        assert "<handled-count-too-high " in said and "<undefined-condition " in said


def test_the_queue_is_bounded() -> None:
    site = Site(resume_stanzas=10)
    wire, bob = site.tcp().log_in(), site.tcp().log_in("bob")
    wire.write("<presence/>")
    enabled(wire)
    for number in range(11):
        bob.write(message(ALICE, str(number)))
    said = wire.read()
    assert "<resource-constraint " in said and wire.is_ended
    assert site.kept_bodies() == [str(number) for number in range(11)], "nothing is lost"


# -- enabling

def test_enabling_twice_or_too_early_or_resuming_too_late() -> None:
    site = Site()
    early = site.tcp()
    early.authenticate()
    assert "<unexpected-request " in early.write(ENABLE)
    wire = site.tcp().log_in()
    previd = enabled(wire)
    assert "<unexpected-request " in wire.write(ENABLE)
    assert "<unexpected-request " in wire.write(resume(previd, 0))
    assert not wire.is_ended
    assert "<stream:error>" in site.tcp().log_in("bob").write(ASK)


def test_without_resumption() -> None:
    site = Site()
    wire, bob = site.tcp().log_in(), site.tcp().log_in("bob")
    wire.write("<presence/>")
    assert wire.write(f"<enable xmlns='{SM}'/>") == f"<enabled xmlns='{SM}'/>"
    bob.write(message(ALICE, "1"))
    wire.cut()
    assert site.session() is None
    assert site.kept_bodies() == ["1"]


def test_the_client_may_ask_for_less_time() -> None:
    site = Site(resume_s=300)
    wire = site.tcp().log_in()
    assert "max='20'" in wire.write(f"<enable xmlns='{SM}' resume='1' max='20'/>")
    wire.cut()
    site.clock.advance(19)
    assert site.session() is not None
    site.clock.advance(2)
    assert site.session() is None
    other = site.tcp().log_in()
    assert "max='300'" in other.write(f"<enable xmlns='{SM}' resume='true' max='99999'/>")


def test_a_site_without_resumption() -> None:
    site = Site(resume_s=0)
    wire = site.tcp().log_in()
    assert wire.write(ENABLE) == f"<enabled xmlns='{SM}'/>"


# -- resumption

@STEPS
def test_resumption(step: int) -> None:
    site = Site()
    wire, bob = site.tcp(step).log_in(), site.tcp().log_in("bob")
    wire.write("<presence/>")
    previd = enabled(wire)
    session = site.session()
    wire.write("<presence><show>away</show></presence>")
    wire.read()
    bob.write(message(ALICE, "seen") + message(ALICE, "not seen"))
    assert bodies(wire.read()) == ["seen", "not seen"]
    wire.cut()
    assert site.session() is session and site.streams.resumable.hibernating == 1
    bob.write(message(ALICE, "meanwhile"))
    again = site.tcp(step)
    again.authenticate()
    said = again.write(resume(previd, 2))           # its own presence and "seen"
    assert said.startswith(f"<resumed xmlns='{SM}' h='1' previd='{previd}'/>")
    assert bodies(said) == ["not seen", "meanwhile"] and said.endswith(ASK)
    assert site.session() is session and session.stream is again.stream
    assert again.stream.login is None
    bob.write(message(ALICE, "live"))
    assert bodies(again.read()) == ["live"]
    again.write(ack(5))
    assert len(session.smacks) == 0
    assert counted(again.write(message(f"{BOB}/here", "back") + ASK)) == 2
    assert bodies(bob.read()) == ["back"]
    site.clock.advance(400)
    assert site.session() is session, "the time to come back does not run any more"
    assert site.streams.counts.resumed == 1


def test_resuming_while_the_former_stream_is_there() -> None:
    site = Site()
    wire, bob = site.tcp().log_in(), site.tcp().log_in("bob")
    wire.write("<presence/>")
    previd = enabled(wire)
    bob.write(message(ALICE, "1"))
    again = site.tcp()
    again.authenticate()
    said = again.write(resume(previd, 0))
    assert said.startswith("<resumed ") and bodies(said) == ["1"]
    assert "<conflict " in wire.read() and wire.is_ended
    wire.write(message(BOB, "from the dead"))
    wire.cut()
    assert bodies(bob.read()) == []
    assert site.session().stream is again.stream


def test_resumption_waits_for_what_the_former_stream_brought() -> None:
    site = Site()
    wire = site.tcp().log_in()
    previd = enabled(wire)
    site.store.is_disk_slow = True
    wire.write(message(BOB, "1"))
    again = site.tcp()
    site.store.is_look_up_slow = False
    again.authenticate()
    assert again.write(resume(previd, 0)) == ""
    assert again.write(message(BOB, "ahead")) == "", "sent ahead of the answer: held"
    site.store.written()
    assert counted(again.read()) == 1
    assert counted(again.write(ASK)) == 2


def test_two_that_resume_at_once() -> None:
    site = Site()
    wire = site.tcp().log_in()
    previd = enabled(wire)
    wire.write(message(BOB, "1"))
    wire.cut()
    one, two = site.tcp(), site.tcp()
    one.authenticate()
    two.authenticate()
    site.store.is_disk_slow = True
    assert one.write(resume(previd, 0)) == two.write(resume(previd, 0)) == ""
    site.store.written()
    assert counted(one.read().split("<stream:error")[0]) == 1 and one.is_ended
    assert counted(two.read()) == 1 and not two.is_ended
    assert site.session().stream is two.stream


def test_a_client_that_leaves_while_it_resumes() -> None:
    site = Site()
    wire = site.tcp().log_in()
    previd = enabled(wire)
    wire.cut()
    one = site.tcp()
    one.authenticate()
    site.store.is_disk_slow = True
    one.write(resume(previd, 0))
    one.cut()
    site.store.written()
    assert site.session().stream is None
    two = site.tcp()
    two.authenticate()
    assert "<resumed " in two.write(resume(previd, 0))


def test_a_session_that_ends_while_it_is_resumed() -> None:
    site = Site(resume_s=30)
    wire = site.tcp().log_in()
    previd = enabled(wire)
    wire.cut()
    one = site.tcp()
    one.authenticate()
    site.store.is_disk_slow = True
    one.write(resume(previd, 0))
    site.clock.advance(31)
    site.store.written()
    assert "<item-not-found " in one.read()


def test_too_late() -> None:
    site = Site()
    wire, bob = site.tcp().log_in(), site.tcp().log_in("bob")
    wire.write("<presence/>")
    previd = enabled(wire)
    wire.write(message(BOB, "1") + message(BOB, "2"))
    bob.write(message(ALICE, "kept"))
    wire.cut()
    site.clock.advance(301)
    assert site.session() is None and site.kept_bodies()[-1] == "kept"
    again = site.tcp()
    again.authenticate()
    said = again.write(resume(previd, 0))
    assert f"<failed xmlns='{SM}' h='2'>" in said and "<item-not-found " in said, "the count is still known"
    assert "<jid>" in again.write(bind("new")), "and it may go on with a new session"
    assert site.streams.counts.resume_failed == 1


@pytest.mark.parametrize("previd", ["nonsense", "token-000000000000000001", ""])
def test_no_such_session(previd: str) -> None:
    wire = Site().tcp()
    wire.authenticate()
    assert "<failed " in wire.write(resume(previd, 0)) and not wire.is_ended


def test_another_account_cannot_resume() -> None:
    site = Site()
    wire = site.tcp().log_in()
    previd = enabled(wire)
    wire.write(message(BOB, "1"))
    wire.cut()
    thief = site.tcp()
    thief.authenticate("bob")
    said = thief.write(resume(previd, 0))
    assert "<item-not-found " in said and "h=" not in said
    site.clock.advance(301)
    assert "h=" not in thief.write(resume(previd, 0)), "nor learn the count of an ended one"
    namesake = site.tcp()
    namesake.secure()
    assert OTHER != DOMAIN and site.session() is None


def test_acknowledging_too_much_when_resuming() -> None:
    site = Site()
    wire = site.tcp().log_in()
    previd = enabled(wire)
    wire.cut()
    again = site.tcp()
    again.authenticate()
    assert "<handled-count-too-high " in again.write(resume(previd, 7)) and again.is_ended
    again.cut()
    assert site.session() is not None
    honest = site.tcp()
    honest.authenticate()
    assert "<resumed " in honest.write(resume(previd, 0))


def test_a_closed_stream_is_not_resumed() -> None:
    site = Site()
    wire = site.tcp().log_in()
    previd = enabled(wire)
    wire.write(END)
    wire.cut()
    assert site.session() is None
    again = site.tcp()
    again.authenticate()
    assert "<item-not-found " in again.write(resume(previd, 0))


def test_shutdown_keeps_what_was_not_acknowledged() -> None:
    site = Site()
    here, asleep, bob = site.tcp().log_in(), site.tcp().log_in("carol"), site.tcp().log_in("bob")
    for wire in (here, asleep):
        wire.write("<presence/>")
        enabled(wire)
    asleep.cut()
    bob.write(message(ALICE, "1") + message(f"carol@{DOMAIN}", "2"))
    site.streams.shutdown()
    assert sorted(site.kept_bodies()) == ["1", "2"]
    assert len(site.streams.resumable) == 0


def test_a_stream_error_of_the_client_ends_the_session() -> None:
    site = Site()
    wire, bob = site.tcp().log_in(), site.tcp().log_in("bob")
    wire.write("<presence/>")
    enabled(wire)
    bob.write(message(ALICE, "1"))
    assert "<not-well-formed " in wire.write("</message>")
    assert site.session() is None and site.kept_bodies() == ["1"]


def test_the_modules_hear_of_it() -> None:
    site = Site()
    heard: list[str] = []
    for event in ("session.bound", "session.resumed", "session.closed"):
        site.router.hooks.on(event, lambda session, event=event: heard.append(event), 0)
    wire = site.tcp().log_in()
    previd = enabled(wire)
    wire.cut()
    again = site.tcp()
    again.authenticate()
    again.write(resume(previd, 0))
    site.session().close(StreamError("conflict"))
    assert heard == ["session.bound", "session.resumed", "session.closed"]


# -- links cut anywhere

class Phone:
    """A client that keeps the rules of XEP-0198 over a link that may be cut at any byte."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.wire = site.tcp(address="192.0.2.7").log_in()
        self.wire.write("<presence/>")
        self.wire.read()
        self.previd = enabled(self.wire)
        self.handled = 0                    # of the server's stanzas
        self.received: list[str] = []
        self.unacknowledged: list[str] = []
        self.acknowledged = 0

    def take(self, said: str) -> None:
        """Everything whole in what the server said; a stanza cut in two was not received."""
        for whole in re.findall(r"<(?:message|presence)\b.*?</message>|<presence[^>]*/>|<r [^>]*/>|<a [^>]*/>", said):
            if whole.startswith("<a "):
                self.acked(counted(whole))
            elif whole.startswith("<r "):
                if not self.wire.is_cut:
                    self.wire.write(ack(self.handled))
            else:
                self.handled += 1
                self.received += bodies(whole)

    def acked(self, h: int) -> None:
        del self.unacknowledged[:h - self.acknowledged]
        self.acknowledged = h

    def send(self, text: str, cut_after: int | None = None) -> None:
        stanza = message(BOB, text)
        self.unacknowledged.append(stanza)
        whole = stanza + ASK
        if cut_after is None or cut_after >= len(whole):
            self.take(self.wire.write(whole))
        else:
            self.wire.write(whole[:cut_after])
            self.wire.cut()

    def come_back(self) -> None:
        self.wire.cut() if not self.wire.is_cut else None
        self.wire = self.site.tcp(address="192.0.2.7")
        self.wire.authenticate()
        said = self.wire.write(resume(self.previd, self.handled))
        assert said.startswith("<resumed "), said
        resumed, _, rest = said.partition("/>")
        self.acked(counted(resumed))
        self.take(rest)
        for stanza in list(self.unacknowledged):
            self.wire.write(stanza)
        self.take(self.wire.write(ASK))


def test_a_thousand_cuts_lose_and_double_nothing() -> None:
    """The issue's own sentence: over 1,000 random cuts, in both directions, with the disk fast or slow."""
    chance = random.Random(198)
    site = Site(stanzas_per_second=1_000_000, stanzas_burst=1_000_000, bytes_per_second=1 << 30, bytes_burst=1 << 30)
    bob = site.tcp().log_in("bob")
    bob.write("<presence/>")
    bob.read()
    phone = Phone(site)
    to_bob: list[str] = []
    at_bob: list[str] = []
    to_phone: list[str] = []
    for number in range(1000):
        for part in range(chance.randrange(3)):
            text = f"b{number}.{part}"
            to_phone.append(text)
            bob.write(message(ALICE, text))
        said = phone.wire.read()
        phone.take(said[:chance.randrange(len(said) + 1)] if chance.random() < 0.5 else said)
        if chance.random() < 0.3:
            site.store.is_disk_slow = True
        text = f"p{number}"
        to_bob.append(text)
        phone.send(text, chance.choice([None, chance.randrange(len(message(BOB, text)) + len(ASK) + 1)]))
        if chance.random() < 0.5:
            phone.wire.cut() if not phone.wire.is_cut else None
        site.store.written()
        if not phone.wire.is_cut:
            phone.wire.read()               # was on its way when the link went
        phone.come_back()
        at_bob += bodies(bob.read())
    assert at_bob == to_bob
    assert phone.received == to_phone
    assert len(site.session().smacks) == 0
    assert site.streams.counts.resumed == 1000


def test_a_sweep_looks_at_each_stream_once_and_in_parts():
    site = Site()

    class Looked:
        def __init__(self):
            self.times = 0

        def look_over(self, now):
            self.times += 1

    for many in (3, 100):
        streams = [Looked() for _ in range(many)]
        site.streams.open = set(streams)
        site.streams.sweep(1)
        assert sum(stream.times for stream in streams) <= many // SWEEP_SLICES + 1
        for _ in range(SWEEP_SLICES - 1):
            site.streams.sweep(1)
        assert {stream.times for stream in streams} == {1}


def test_the_last_words_of_who_leaves_at_once_arrive() -> None:
    """They stand behind what takes its time, and behind an <r/> that nobody waits for any more."""
    site = Site()
    bob = site.tcp().log_in("bob")
    bob.write("<presence/>")
    alice = site.tcp().log_in()
    enabled(alice)
    answer: Deferred[bytes] = Deferred()
    site.router.hooks.iqs["domain", "get", "x y"] = (lambda request: answer, False)
    bob.read()
    alice.write(f"<iq type='get' to='{DOMAIN}' id='1'><y xmlns='x'/></iq>{ASK}" + message(BOB, "one") + ASK
                + ack(0) + message(BOB, "two") + END)
    assert alice.is_ended and bodies(bob.read()) == []
    answer.callback(b"")
    assert bodies(bob.read()) == ["one", "two"]
