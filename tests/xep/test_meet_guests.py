"""Guests: with the link they are in the meeting, and nowhere else; nothing else of the server answers them."""

from __future__ import annotations

import pytest
import pytest_twisted

from chatd.core import ns
from chatd.core.errors import StanzaError, StreamError
from chatd.core.jid import JID
from chatd.core.stanza import Stanza
from chatd.server.visits import IDLE_S
from tests.xep.meetings import (
    GUESTS,
    SERVICE,
    Hall,
    asked,
    command,
    enter,
    entered,
    has_ours,
    knock,
    ours,
    participant,
    refused,
)
from tests.xep.rooms import bodies, condition
from tests.xep.world import Client

VCARD = "<vCard xmlns='vcard-temp'/>"
INFO = f"<query xmlns='{ns.DISCO_INFO}'/>"
ITEMS = f"<query xmlns='{ns.DISCO_ITEMS}'/>"
#: Everything else one could ask of this server, as (type, payload).
QUESTIONS = [
    ("get", INFO), ("get", ITEMS),
    ("get", f"<query xmlns='{ns.ROSTER}'/>"),
    ("set", f"<query xmlns='{ns.ROSTER}'><item jid='john@example.com'/></query>"),
    ("get", VCARD), ("set", VCARD),
    ("get", f"<query xmlns='{ns.LAST}'/>"), ("get", f"<query xmlns='{ns.VERSION}'/>"),
    ("get", f"<time xmlns='{ns.TIME}'/>"),
    ("set", f"<query xmlns='{ns.MAM}'/>"), ("get", f"<query xmlns='{ns.MAM}'/>"),
    ("get", f"<metadata xmlns='{ns.MAM}'/>"),
    ("get", f"<query xmlns='{ns.PRIVATE}'><x xmlns='y'/></query>"),
    ("get", f"<blocklist xmlns='{ns.BLOCKING}'/>"),
    ("set", f"<block xmlns='{ns.BLOCKING}'><item jid='a@b'/></block>"),
    ("set", f"<enable xmlns='{ns.CARBONS}'/>"),
    ("get", "<query xmlns='jabber:iq:register'/>"),
    ("set", "<query xmlns='jabber:iq:register'><password>x</password></query>"),
    ("get", "<query xmlns='jabber:iq:search'/>"),
    ("set", "<query xmlns='jabber:iq:search'><nick>john</nick></query>"),
    ("get", "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='x'/></pubsub>"),
    ("set", "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='x'/></pubsub>"),
    ("get", "<request xmlns='urn:xmpp:http:upload:0' filename='a' size='1'/>"),
    ("set", "<command xmlns='http://jabber.org/protocol/commands' node='x'/>"),
    ("get", "<services xmlns='urn:xmpp:extdisco:2'/>"),
    ("set", "<enable xmlns='urn:xmpp:push:0' jid='p.example' node='n'/>"),
    ("get", f"<ticket xmlns='{ns.MEET}'/>"), ("set", f"<create xmlns='{ns.MEET}'/>"),
    ("get", "<anything xmlns='at-all'/>")]
ELSEWHERE = ["example.com", "john@example.com", "john@example.com/a", "example.net", "conference.example.com",
             "attic@conference.example.com", "attic@conference.example.com/ann", "meet.example.net",
             f"talk-{'a' * 20}@meet.example.net", "guest.example.net", f"other@{GUESTS}", f"other@{GUESTS}/x",
             "elsewhere.example", "somebody@elsewhere.example", "localhost", ""]


async def answered(guest: Client, kind: str, inner: str, to: str) -> str:
    """The condition with which an iq is refused."""
    answer = await guest.ask_iq(kind, inner, to)
    return condition(answer) if answer.type == "error" else "result"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("to", ELSEWHERE)
async def test_nothing_else_answers(to: str) -> None:
    """Every question to everybody else gets service-unavailable, and nobody else gets anything."""
    hall = await Hall.open()
    john = await hall.account("john")
    other = await hall.guest()
    room = await hall.make(john)
    guest = await hall.guest()
    await enter(guest, room, "Ada")
    john.take()
    for kind, inner in QUESTIONS:
        assert await answered(guest, kind, inner, to) == "service-unavailable", inner
    for kind in ("", "type='chat'", "type='groupchat'", "type='headline'"):
        guest.take()
        await guest.send_xml(f"<message {kind} {to and 'to=' + repr(to)}><body>psst</body></message>")
        assert [condition(stanza) for stanza in guest.take()] == ["service-unavailable"]
    for kind in ("", "unavailable", "subscribe", "subscribed", "probe", "unsubscribe"):
        kind = kind and f"type='{kind}'"
        await guest.send_xml(f"<presence {kind} {to and 'to=' + repr(to)}/>")
        await guest.send_xml(f"<presence {kind} {to and 'to=' + repr(to + '/Ada')}><x xmlns='{ns.MUC}'/></presence>")
    assert guest.take() == [] and john.take() == [] and other.take() == []
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_little_more_at_their_own_address() -> None:
    hall = await Hall.open()
    guest = await hall.guest()
    for to in ("", GUESTS, guest.s.jid.bare):
        assert await answered(guest, "get", f"<ping xmlns='{ns.PING}'/>", to) == "result"
        assert await answered(guest, "set", f"<session xmlns='{ns.SESSION}'/>", to) == "result"
        assert await answered(guest, "get", f"<guest xmlns='{ns.MEET}'/>", to) == "result"
        for kind, inner in QUESTIONS:
            assert await answered(guest, kind, inner, to) == "service-unavailable", inner
    for bad in ("@", "a@b@c/", "x" * 4000):
        assert await answered(guest, "get", f"<ping xmlns='{ns.PING}'/>", bad) == "jid-malformed"
    await guest.send_xml("<iq type='get' id='1'/>")
    assert condition(guest.take()[-1]) == "bad-request"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_elements_that_are_none_of_theirs() -> None:
    """What is no stanza is stream management, or ends the stream; a forged sender does, too."""
    hall = await Hall.open()
    guest = await hall.guest()
    with pytest.raises(StreamError) as caught:
        await guest.send_xml(f"<active xmlns='{ns.CSI}'/>")
    assert caught.value.condition == "unsupported-stanza-type"
    with pytest.raises(StreamError) as caught:
        await guest.send_xml(f"<message from='john@example.com' to='x@{SERVICE}'/>")
    assert caught.value.condition == "invalid-from"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_nobody_else_reaches_them() -> None:
    """Neither an account, nor another server, nor another guest, by bare or full address."""
    hall = await Hall.open()
    john, guest, other = await hall.account("john"), await hall.guest(), await hall.guest()
    for sender in (john, other):
        for to in (guest.s.full, guest.s.jid.bare, GUESTS):
            sender.take()
            await sender.send_xml(f"<message to='{to}' type='chat'><body>hi</body></message>")
            assert condition(sender.take("message")[0]) == "service-unavailable"
            assert await answered(sender, "get", INFO, to) == "service-unavailable"
            await sender.send_xml(f"<presence to='{to}' type='subscribe'/>")
            await sender.send_xml(f"<presence to='{to}'/>")
    hall.world.router.route(Stanza("message", {"from": "eve@elsewhere.example", "to": guest.s.full}, b"<body>x</body>",
                                   (f"{ns.CLIENT} body",)))
    hall.world.router.route(Stanza("message", {"from": "room@meet.example.net", "to": guest.s.full}, b"<body>x</body>",
                                   (f"{ns.CLIENT} body",)))
    await hall.world.settle()
    assert guest.take() == []
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_in_a_meeting() -> None:
    """With the link a guest is in, sees and says what all do, and is known for a guest."""
    hall = await Hall.open()
    john, guest = await hall.account("john"), await hall.guest()
    room = await hall.make(john)
    await enter(john, room, "John")
    got = await enter(guest, room, "Ada")
    assert entered(got)
    assert participant(got, "Ada")["guest"] == "true" and not participant(got, "John").hasAttribute("guest")
    assert participant(john.take(), "Ada")["guest"] == "true"
    await guest.send_xml(f"<message to='{room}' type='groupchat'><body>hello</body></message>")
    assert bodies(john.take()) == ["hello"] and bodies(guest.take()) == ["hello"]
    await guest.send_xml(f"<message to='{room}/John' type='chat'><body>psst</body></message>")
    [private] = john.take("message")
    assert private.attrs["from"] == f"{room}/Ada"
    await john.send_xml(f"<message to='{room}/Ada' type='chat'><body>what</body></message>")
    assert bodies(guest.take()) == ["what"]
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_what_guests_may_not_through_the_room() -> None:
    """No invitations, no questions to others' clients, no lists, no settings, no registration, no real addresses."""
    hall = await Hall.open()
    john, bob, guest = await hall.account("john"), await hall.account("bob"), await hall.guest()
    room = await hall.make(john)
    await enter(john, room, "John")
    await enter(guest, room, "Ada")
    john.take()
    for inner in ("<invite to='bob@example.com'/>", "<invite to='x@elsewhere.example'/>",
                  "<decline to='john@example.com'/>"):
        guest.take()
        await guest.send_xml(f"<message to='{room}'><x xmlns='{ns.MUC_USER}'>{inner}</x></message>")
        assert condition(guest.take()[0]) == "forbidden"
    assert bob.take() == [] and john.take() == []
    for kind, inner in QUESTIONS:
        if "register" not in inner:
            assert await answered(guest, kind, inner, f"{room}/John") == "service-unavailable", inner
    assert await answered(guest, "get", f"<ping xmlns='{ns.PING}'/>", f"{room}/Ada") == "result"
    assert await answered(guest, "get", f"<ping xmlns='{ns.PING}'/>", f"{room}/John") == "service-unavailable"
    assert john.take() == []
    admin, owner = (f"http://jabber.org/protocol/muc#{word}" for word in ("admin", "owner"))
    for kind, inner in (
            ("get", f"<query xmlns='{admin}'><item affiliation='owner'/></query>"),
            ("get", f"<query xmlns='{admin}'><item role='moderator'/></query>"),
            ("set", f"<query xmlns='{admin}'><item affiliation='owner' jid='{guest.s.jid.bare}'/></query>"),
            ("set", f"<query xmlns='{admin}'><item role='none' nick='John'/></query>"),
            ("get", f"<query xmlns='{owner}'/>"), ("set", f"<query xmlns='{owner}'><destroy/></query>"),
            ("set", "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:hats:commands:list'/>"),
            ("set", VCARD)):
        assert await answered(guest, kind, inner, room) == "forbidden", inner
    for kind in ("get", "set"):
        inner = "<query xmlns='jabber:iq:register'/>"
        assert await answered(guest, kind, inner, room) in ("not-allowed", "bad-request")
    assert b"john@example.com" not in b"".join(stanza.inner for stanza in await enter(guest, room, "Ada"))
    await john.ask_iq("get", INFO, f"{room}/Ada")
    assert guest.take() == [], "and nobody asks a guest's client"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_a_guest_who_moderates_sees_no_addresses() -> None:
    hall = await Hall.open()
    john, bob, guest = await hall.account("john"), await hall.account("bob"), await hall.guest()
    room = await hall.make(john)
    await enter(john, room, "John")
    await enter(guest, room, "Ada")
    await john.send_xml(f"<message to='{room}' type='groupchat'><body>one</body></message>")
    assert await command(john, room, "moderator nick='Ada' on='true'/>") == ""
    assert entered(await enter(bob, room, "Bob"))
    await guest.ask_iq("set", f"<query xmlns='{ns.MAM}'/>", room)
    everything = b"".join(stanza.inner for stanza in guest.take())
    assert b">one</body>" in everything and b"muc#user" in everything
    assert b"@example.com" not in everything.replace(b"@meet.example.com", b"")
    await bob.send_xml(f"<presence to='{room}/Bob' type='unavailable'/>")
    assert b"bob@example.com" in b"".join(stanza.inner for stanza in john.take()), "the owner does"
    assert b"bob@example.com" not in b"".join(stanza.inner for stanza in guest.take())
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_history_is_that_of_this_meeting() -> None:
    """Guests see what was said since it began, and only while they are in it; members see everything."""
    hall = await Hall.open()
    john, guest = await hall.account("john"), await hall.guest()
    room = await hall.make(john)
    await enter(john, room, "John")
    await john.send_xml(f"<message to='{room}' type='groupchat'><body>last week</body></message>")
    await john.send_xml(f"<presence to='{room}/John' type='unavailable'/>")
    hall.meeting(room).forget()             # nobody is there for five minutes
    query = f"<query xmlns='{ns.MAM}'/>"
    assert await answered(guest, "set", query, room) == "forbidden"
    assert await answered(guest, "get", f"<metadata xmlns='{ns.MAM}'/>", room) == "forbidden"
    await pause()
    assert bodies(await enter(john, room, "John")) == ["last week"]
    await john.send_xml(f"<message to='{room}' type='groupchat'><body>today</body></message>")
    for history in ("", "<history since='2000-01-01T00:00:00Z'/>", "<history maxstanzas='100'/>"):
        assert bodies(await enter(guest, room, "Ada", history=history)) == ["today"]
    guest.take()
    for form in ("", f"<x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'><value>{ns.MAM}</value></field>"
                     "<field var='start'><value>2000-01-01T00:00:00Z</value></field></x>"):
        answer = await guest.ask_iq("set", f"<query xmlns='{ns.MAM}'>{form}</query>", room)
        assert answer.type == "result"
        found = b"".join(stanza.inner for stanza in guest.take())
        assert b"today" in found and b"last week" not in found
    await john.ask_iq("set", query, room)
    assert b"last week" in b"".join(stanza.inner for stanza in john.take())
    await guest.send_xml(f"<presence to='{room}/Ada' type='unavailable'/>")
    assert await answered(guest, "set", query, room) == "forbidden"
    await hall.close()


async def pause() -> None:
    """Until the clock shows another millisecond."""
    from twisted.internet import defer, reactor

    done: defer.Deferred[None] = defer.Deferred()
    reactor.callLater(0.002, done.callback, None)       # type: ignore[attr-defined]
    await done


@pytest_twisted.ensureDeferred
async def test_a_guest_comes_back_as_the_same_one() -> None:
    hall = await Hall.open()
    guest = await hall.guest()
    answer = await guest.ask_iq("get", f"<guest xmlns='{ns.MEET}'/>", GUESTS)
    token = ours(answer, "guest")["token"]
    assert (await hall.guest(token)).s.jid.bare == guest.s.jid.bare
    assert (await hall.guest()).s.jid.bare != guest.s.jid.bare
    visits = hall.world.router.visits
    assert await visits.admit(GUESTS, token[:-2] + ("AA" if token[-2:] != "AA" else "BB")) is None
    assert await visits.admit("guest.example.net", token) is None, "another domain's"
    assert await visits.admit(GUESTS, "anything a client says for a log") is not None
    hall.world.router.now = lambda: 4_000_000_000.0
    assert await visits.admit(GUESTS, token) is None, "expired"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_an_account_by_ticket() -> None:
    """The page is in the meeting as the account, reaches nothing else, and does not show as one of its clients."""
    hall = await Hall.open()
    john = await hall.account("john")
    room = await hall.make(john)
    answer = await john.ask_iq("get", f"<ticket xmlns='{ns.MEET}'/>", SERVICE)
    ticket = str(ours(answer, "ticket"))
    page = await hall.guest(ticket)
    assert page.s.jid.bare == "john@example.com" and page.s.jid.resource != "a"
    got = await enter(page, room, "John")
    assert entered(got) and b'affiliation="owner" role="moderator"' in b"".join(stanza.inner for stanza in got)
    assert not participant(got, "John").hasAttribute("guest")
    assert list(john.s.account.sessions) == ["a"]
    for kind, inner in QUESTIONS:
        if "ticket" not in inner and "create" not in inner:
            assert await answered(page, kind, inner, "example.com") == "service-unavailable", inner
    assert await answered(page, "get", f"<query xmlns='{ns.ROSTER}'/>", "") == "service-unavailable"
    bob = await hall.account("bob")
    for to in ("john@example.com", page.s.full):
        await bob.send_xml(f"<message to='{to}' type='chat'><body>hi</body></message>")
    assert page.take() == []
    assert len(bodies(john.take())) == 2
    assert await answered(page, "get", f"<ticket xmlns='{ns.MEET}'/>", SERVICE) == "result", "and its next one"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_both_clients_of_one_account_are_one_occupant() -> None:
    hall = await Hall.open()
    john, guest = await hall.account("john"), await hall.guest()
    room = await hall.make(john)
    answer = await john.ask_iq("get", f"<ticket xmlns='{ns.MEET}'/>", SERVICE)
    page = await hall.guest(str(ours(answer, "ticket")))
    await enter(john, room, "John")
    await enter(page, room, "John")
    await enter(guest, room, "Ada")
    assert len(hall.meeting(room).occupants) == 2 and len(hall.meeting(room).occupants["John"].seats) == 2
    await guest.send_xml(f"<message to='{room}/John' type='chat'><body>both</body></message>")
    assert bodies(john.take()) == ["both"] and bodies(page.take()) == ["both"]
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_a_ticket_ends_with_the_password_and_with_the_account() -> None:
    hall = await Hall.open()
    john = await hall.account("john")
    answer = await john.ask_iq("get", f"<ticket xmlns='{ns.MEET}'/>", SERVICE)
    ticket = str(ours(answer, "ticket"))
    visits, accounts = hall.world.router.visits, hall.world.store.accounts
    assert await visits.admit(GUESTS, ticket) == JID.parse("john@example.com")
    await hall.world.client("john@example.net/a")
    assert await visits.admit("guest.example.net", ticket) is None
    await accounts.set_disabled(john.s.account.id, True)
    assert await visits.admit(GUESTS, ticket) is None
    await accounts.set_disabled(john.s.account.id, False)
    assert await visits.admit(GUESTS, ticket) is not None
    from chatd.core.accounts import Verifier

    await accounts.set_verifiers(john.s.account.id, {"SCRAM-SHA-1": Verifier(b"salt", 4096, b"x" * 20, b"y" * 20)})
    assert await visits.admit(GUESTS, ticket) is None
    await accounts.delete(john.s.account.id)
    assert await visits.admit(GUESTS, ticket) is None
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_a_site_without_guests() -> None:
    hall = await Hall.open(guests=False)
    visits = hall.world.router.visits
    assert await visits.admit(GUESTS, "") is None
    john = await hall.account("john")
    room = await hall.make(john)
    answer = await john.ask_iq("get", f"<ticket xmlns='{ns.MEET}'/>", SERVICE)
    assert entered(await enter(await hall.guest(str(ours(answer, "ticket"))), room, "John"))
    assert hall.meet.info(JID.parse(room).local)["guests"] is False     # type: ignore[index]
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_bounds() -> None:
    """So many visits, so many of one visitor, so many rooms of one visit."""
    hall = await Hall.open(guest_sessions=12)
    visits = hall.world.router.visits
    first = await hall.guest()
    token = ours(await first.ask_iq("get", f"<guest xmlns='{ns.MEET}'/>", GUESTS), "guest")["token"]
    for _ in range(7):
        await hall.guest(token)
    with pytest.raises(StanzaError) as caught:
        await hall.guest(token)
    assert caught.value.condition == "resource-constraint"
    for _ in range(4):
        await hall.guest()
    with pytest.raises(StanzaError):
        await visits.admit(GUESTS, "")
    john = await hall.account("john")
    for number in range(9):
        room = await hall.make(john)
        got = await enter(first, room, "Ada")
        assert entered(got) is (number < 8), number
    assert refused(got) == "resource-constraint"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_whoever_is_gone_has_left() -> None:
    hall = await Hall.open()
    john, guest = await hall.account("john"), await hall.guest()
    room = await hall.make(john)
    await enter(john, room, "John")
    await enter(guest, room, "Ada")
    john.take()
    guest.s.close(None)
    await hall.world.settle()
    [gone] = john.take("presence")
    assert gone.type == "unavailable" and gone.attrs["from"] == f"{room}/Ada"
    assert hall.world.router.visits.sessions == {} and hall.world.router.visits._visitors == {}
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_idle_visits_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """But not those in a meeting, nor those that wait to be let in; who was refused is idle."""
    hall = await Hall.open()
    visits = hall.world.router.visits
    john, idle, inside, waiting, outside, removed = (await hall.account("john"), *[await hall.guest() for _ in "12345"])
    room, closed = await hall.make(john), await hall.make(john, lobby="true")
    await enter(john, room, "John")
    await enter(inside, room, "Ada")
    assert refused(await enter(outside, closed, "Cleo")) == "registration-required"
    assert entered(await enter(removed, room, "Dora"))
    assert await command(john, room, "remove nick='Dora'/>") == ""
    assert await knock(waiting, closed, "Bea") == ""
    now = [1000.0]
    monkeypatch.setattr(visits, "clock", type("Clock", (), {"seconds": lambda self: now[0]})())
    await hall.meet._check()
    now[0] += IDLE_S / 2
    await hall.meet._check()
    assert idle.closed == outside.closed == removed.closed == "open"
    now[0] += IDLE_S
    await hall.meet._check()
    for gone in (idle, outside, removed):
        assert isinstance(gone.closed, StreamError) and gone.closed.condition == "policy-violation"
    assert inside.closed == waiting.closed == "open"
    await inside.send_xml(f"<presence to='{room}/Ada' type='unavailable'/>")
    await hall.meet._check()
    assert inside.closed == "open", "it was in a meeting until now"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_who_asks_too_often_waits() -> None:
    """Knocking and waving cost: a modified client cannot ring for ever."""
    hall = await Hall.open()
    john, guest = await hall.account("john"), await hall.guest()
    room, closed = await hall.make(john), await hall.make(john, lobby="true")
    await enter(guest, room, "Ada")
    answers = [await knock(guest, closed, f"Ada {number}") for number in range(60)]
    assert answers[:5] == [""] * 5 and answers[-1] == "resource-constraint"
    meeting = hall.meeting(room)
    meeting.service.deliveries_per_s = 1
    answers = [await command(guest, room, f"hand raised='{number % 2 == 0}'/>".lower()) for number in range(40)]
    assert answers[0] == "" and answers[-1] == "resource-constraint"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_nothing_is_left_of_a_module_that_stops() -> None:
    hall = await Hall.open()
    guest = await hall.guest()
    hall.meet.stop()
    hall.world.apis.pop("meet").release()
    del hall.world.modules["meet"]
    assert guest.closed != "open" and hall.world.router.visits.domains == {}
    assert GUESTS not in hall.world.router.services and SERVICE not in hall.world.router.services
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_forged_elements_of_ours() -> None:
    """Neither presence nor messages carry what only the room says."""
    hall = await Hall.open()
    john, guest = await hall.account("john"), await hall.guest()
    room = await hall.make(john)
    await enter(john, room, "John")
    await enter(guest, room, "Ada")
    john.take()
    await guest.send_xml(f"<presence to='{room}/Ada'><participant xmlns='{ns.MEET}' may='everything'/>"
                         "<show>away</show></presence>")
    [shown] = john.take("presence")
    assert shown.children.count(f"{ns.MEET} participant") == 1 and b"everything" not in shown.inner
    assert b"<show>away</show>" in shown.inner
    for name in ("meeting", "waiting", "knock", "recorded", "ended"):
        said = f"<body>x</body><{name} xmlns='{ns.MEET}'/></message>"
        await guest.send_xml(f"<message to='{room}' type='groupchat'>{said}")
        await guest.send_xml(f"<message to='{room}/John' type='chat'>{said}")
        assert [has_ours(stanza, name) for stanza in john.take("message")] == [False, False]
    assert (await asked(guest, room, "nothing")).type == "error"
    await hall.close()
