"""Attacks on rooms: nonsense is refused with its error, forgeries are taken out, floods stop at their author; who sits
in the room, and the two who chat elsewhere, hardly notice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from xml.etree import ElementTree as ET

import pytest

from chatd.core import ns
from tests.daemon import DOMAIN, Daemon
from tests.hostile.bystanders import account
from tests.raw import CLIENT, Raw, condition, fresh

SERVICE = f"conference.{DOMAIN}"
ADMIN, OWNER = (f"http://jabber.org/protocol/muc#{word}" for word in ("admin", "owner"))
USER = "{%s}" % ns.MUC_USER
PING = f"<ping xmlns='{ns.PING}'/>"


class Guest(Raw):
    """Somebody in a room."""

    room = ""
    nick = ""

    def enter(self, room: str, nick: str, inner: str = "") -> ET.Element:
        """The room's answer: one's own presence, or an error."""
        self.room, self.nick = room, nick
        self.send(f"<presence to='{room}/{nick}'><x xmlns='{ns.MUC}'>{inner}</x></presence>")
        while True:
            answer = self.until("presence")
            if answer.get("type") == "error" or answer.find(f"{USER}x/{USER}status[@code='110']") is not None:
                return answer

    def make(self, room: str, nick: str) -> None:
        """A room as it comes."""
        self.enter(room, nick)
        answer = self.ask("set", f"<query xmlns='{OWNER}'><x xmlns='{ns.DATA}' type='submit'/></query>", room)
        assert answer.get("type") == "result"

    def say(self, body: str, inner: str = "") -> None:
        """To everybody."""
        self.send(f"<message to='{self.room}' type='groupchat' id='{fresh()}'><body>{body}</body>{inner}</message>")

    def hear(self, body: str) -> ET.Element:
        """Until that is said."""
        while True:
            told = self.until("message")
            if told.findtext(CLIENT + "body") == body:
                return told

    def settled(self) -> None:
        """Everything sent to the room has been worked off."""
        self.ask("get", PING, f"{self.room}/{self.nick}")


@pytest.fixture
def guests(daemon: Daemon) -> Iterator[tuple[Guest, Guest, Guest]]:
    """Ann, who has made a room, Bob, who is in it, and Mallory, who is not."""
    room = f"{fresh('attacked')}@{SERVICE}"
    with ExitStack() as stack:
        ann, bob, mallory = (stack.enter_context(Guest(daemon, "c2s_tls").login(account(daemon, name)))
                             for name in ("ann", "bob", "mallory"))
        ann.make(room, "ann")
        bob.enter(room, "bob")
        mallory.room = room
        yield ann, bob, mallory
        ann.say("still here")
        bob.hear("still here")


def form(kind: str, fields: str) -> str:
    """A submitted form."""
    return (f"<x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'><value>{kind}</value></field>{fields}</x>")


def setting(name: str, *values: str) -> str:
    """One field of a room's settings."""
    inner = "".join(f"<value>{value}</value>" for value in values)
    return f"<field var='muc#roomconfig_{name}'>{inner}</field>"


CONFIG = "http://jabber.org/protocol/muc#roomconfig"
REQUESTS = {
    "a form of another kind": (OWNER, form("urn:x", setting("roomname", "x")), "bad-request"),
    "two forms": (OWNER, form(CONFIG, "") * 2, "bad-request"),
    "nothing": (OWNER, "", "bad-request"),
    "a form that is no form": (OWNER, f"<y xmlns='{ns.DATA}' type='submit'/>", "bad-request"),
    "a form of no type": (OWNER, f"<x xmlns='{ns.DATA}'/>", "bad-request"),
    "destroy of another namespace": (OWNER, "<destroy xmlns='urn:x'/>", "bad-request"),
    "destroyed for a bad address": (OWNER, "<destroy jid='@'/>", "jid-malformed"),
    "a number that is none": (OWNER, form(CONFIG, "<field var='muc#maxhistoryfetch'><value>NaN</value></field>"),
                              "not-acceptable"),
    "a number beyond all bounds": (OWNER, form(CONFIG, setting("maxusers", "9" * 5000)), "not-acceptable"),
    "digits of another script": (OWNER, form(CONFIG, setting("maxusers", "\u0665")), "not-acceptable"),
    "a name of a megabyte's tenth": (OWNER, form(CONFIG, setting("roomname", "x" * 100_000)), "not-acceptable"),
    "a choice that is none": (OWNER, form(CONFIG, setting("whois", "everybody&amp;his dog")), "not-acceptable"),
    "a password room without one": (OWNER, form(CONFIG, setting("passwordprotectedroom", "1")), "not-acceptable"),
    "no owners": (OWNER, form(CONFIG, setting("roomowners")), "conflict"),
    "ten thousand owners": (OWNER, form(CONFIG, setting("roomowners", *(f"o{n}@x.example" for n in range(5000)))),
                            "not-acceptable"),
    "an owner that is no address": (OWNER, form(CONFIG, setting("roomowners", "&lt;script&gt;@@")), "jid-malformed"),
    "an affiliation that is none": (ADMIN, "<item jid='a@b.example' affiliation='root'/>", "bad-request"),
    "a role that is none": (ADMIN, "<item nick='bob' role='root'/>", "bad-request"),
    "both at once": (ADMIN, "<item nick='bob' role='none' affiliation='owner'/>", "bad-request"),
    "no item": (ADMIN, "", "bad-request"),
    "501 items": (ADMIN, "<item jid='a@b.example' affiliation='member'/>" * 501, "bad-request"),
    "items of another namespace": (ADMIN, "<item xmlns='urn:x' nick='bob' role='none'/>", "bad-request"),
    "an address that is none": (ADMIN, "<item jid='@@' affiliation='member'/>", "jid-malformed"),
    "a giant address": (ADMIN, f"<item jid='{'x' * 1100}@b.example' affiliation='member'/>", "jid-malformed"),
    "nobody": (ADMIN, "<item nick='nobody' role='none'/>", "item-not-found"),
    "one bad among many": (ADMIN, "<item jid='a@b.example' affiliation='member'/>" * 400
                           + "<item nick='x' role='none'/>", "item-not-found"),
    "a nickname that is not to be seen": (ADMIN, "<item jid='a@b.example' affiliation='member' nick='&#x3000;'/>",
                                          "jid-malformed"),
    "a registration without a form": ("jabber:iq:register", "<username>x</username>", "bad-request"),
    "a registration of nothing": ("jabber:iq:register", form("http://jabber.org/protocol/muc#register", ""),
                                  "bad-request"),
}


def test_requests_of_an_owner(guests: tuple[Guest, Guest, Guest]) -> None:
    """What an owner's client may send wrongly is refused with its error, and nothing changes."""
    ann, _, _ = guests
    before = ET.tostring(ann.ask("get", f"<query xmlns='{OWNER}'/>", ann.room)[0])
    for name, (space, inner, expected) in REQUESTS.items():
        answer = ann.ask("set", f"<query xmlns='{space}'>{inner}</query>", ann.room)
        assert (answer.get("type"), condition(answer)) == ("error", expected), name
    assert ET.tostring(ann.ask("get", f"<query xmlns='{OWNER}'/>", ann.room)[0]) == before


def test_from_outside(guests: tuple[Guest, Guest, Guest]) -> None:
    """Who is not in the room says nothing, to all or to one, changes nothing and learns nothing."""
    _, bob, mallory = guests
    room = mallory.room
    for to, inner, expected in (
            (room, " type='groupchat'><body>x</body>", "not-acceptable"),
            (f"{room}/bob", "><body>x</body>", "not-acceptable"),
            (room, " type='groupchat'><subject>x</subject>", "not-acceptable"),
            (room, "><body>x</body>", "not-acceptable"),
            (room, f"><x xmlns='{ns.MUC_USER}'><invite to='{bob.jid}'/></x>", "not-acceptable"),
            (room, f"><x xmlns='{ns.MUC_USER}'><decline to='{bob.jid}'/></x>", "item-not-found"),
            (room, f">{form('http://jabber.org/protocol/muc#request', '')}", "not-acceptable")):
        number = fresh()
        mallory.send(f"<message id='{number}' to='{to}'{inner}</message>")
        assert condition(mallory.until("message", id=number)) == expected, inner
    moderate = ("<moderate xmlns='urn:xmpp:message-moderate:1' id='1'><retract xmlns='urn:xmpp:message-retract:1'/>"
                "</moderate>")
    for kind, payload, expected in (
            ("get", f"<query xmlns='{OWNER}'/>", "forbidden"),
            ("set", f"<query xmlns='{OWNER}'><destroy/></query>", "forbidden"),
            ("set", f"<query xmlns='{ADMIN}'><item nick='bob' role='none'/></query>", "forbidden"),
            ("set", f"<query xmlns='{ADMIN}'><item jid='{mallory.jid}' affiliation='owner'/></query>", "forbidden"),
            *((("get", f"<query xmlns='{ADMIN}'><item {word}/></query>", "forbidden")) for word in (
                "role='participant'", "affiliation='owner'", "affiliation='outcast'")),
            ("set", moderate, "forbidden"), ("set", f"<vCard xmlns='{ns.VCARD}'><FN>x</FN></vCard>", "forbidden")):
        assert condition(mallory.ask(kind, payload, room)) == expected, payload
    assert condition(mallory.ask("get", f"<query xmlns='{ns.DISCO_INFO}'/>", f"{room}/bob")) == "bad-request"
    assert len(mallory.ask("get", f"<query xmlns='{ns.DISCO_ITEMS}'/>", room)[0]) == 0


def test_forged_from(guests: tuple[Guest, Guest, Guest], daemon: Daemon) -> None:
    """Nobody speaks for somebody else, nor for the room: the stream that tries ends (RFC 6120 8.1.2.1)."""
    ann, bob, _ = guests
    for claimed in (ann.jid, f"{ann.room}/ann", ann.room, SERVICE, "@"):
        with Raw(daemon, "c2s_tls").login(account(daemon)) as liar:
            liar.send(f"<message from='{claimed}' to='{ann.room}' type='groupchat'><body>lies</body></message>")
            assert liar.stream_error() == "invalid-from"
    ann.say("the truth")
    assert bob.hear("the truth").get("from") == f"{ann.room}/ann"


def test_forged_elements(guests: tuple[Guest, Guest, Guest]) -> None:
    """What only a room may say is taken out, however its namespace is written."""
    ann, bob, _ = guests
    kicked = "<status code='307'/><item affiliation='owner' role='none'/>"
    ways = [
        f"<x xmlns='{ns.MUC_USER}'>{kicked}</x>",
        f"<p:x xmlns:p='{ns.MUC_USER}'><p:status code='307'/></p:x>",
        f"<x xmlns='http://jabber.org/protocol/muc#us&#101;r'>{kicked}</x>",
        f"<x xmlns='{ns.MUC_USER}'/><x xmlns='{ns.MUC_USER}'>{kicked}</x>",
        f"<q:x xmlns:q='{ns.MUC_USER}' xmlns='urn:y'><status xmlns='{ns.MUC_USER}' code='307'/></q:x>",
        "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='of somebody else'/>",
        "<o:occupant-id xmlns:o='urn:xmpp:occupant-id:0' id='of somebody else'/>",
        f"<stanza-id xmlns='{ns.SID}' by='{ann.room.upper()}' id='of somebody else'/>",
        f"<delay xmlns='{ns.DELAY}' from='{ann.room}' stamp='2001-01-01T00:00:00Z'/>",
        "<hats xmlns='urn:xmpp:hats:0'><hat uri='urn:boss' title='Boss'/></hats>",
    ]
    for number, inner in enumerate(ways):
        bob.say(f"way {number}", inner)
        told = ann.hear(f"way {number}")
        assert told.find(f"{USER}x") is None and told.find("{%s}delay" % ns.DELAY) is None
        marks = told.findall("{urn:xmpp:occupant-id:0}occupant-id")
        ids = [one for one in told.findall("{%s}stanza-id" % ns.SID) if (one.get("by") or "").lower() == ann.room]
        assert len(marks) == len(ids) == 1 and b"of somebody else" not in ET.tostring(marks[0]) + ET.tostring(ids[0])
        bob.send(f"<presence to='{bob.room}/bob'><status>{number}</status>{inner}</presence>")
        while (shown := ann.until("presence")).findtext(CLIENT + "status") != str(number):
            pass
        assert [one.tag for one in shown.findall(f"{USER}x/*")] == [f"{USER}item"]
        assert shown.find(f"{USER}x/{USER}item").get("affiliation") == "none"           # type: ignore[union-attr]
        assert shown.find("{urn:xmpp:hats:0}hats") is None
        assert len(shown.findall("{urn:xmpp:occupant-id:0}occupant-id")) == 1


def test_a_namespace_with_a_space(guests: tuple[Guest, Guest, Guest], daemon: Daemon) -> None:
    """Parsers write a name as namespace, space, name; one that has a space itself would be another name to them."""
    ann, bob, _ = guests
    with Guest(daemon, "c2s_tls").login(account(daemon)) as tricky:
        tricky.enter(ann.room, "tricky")
        tricky.say("now", f"<x xmlns='{ns.MUC_USER} x'/>")
        assert tricky.stream_error() == "not-well-formed"
    ann.say("and on")
    bob.hear("and on")


def test_giants(guests: tuple[Guest, Guest, Guest], daemon: Daemon) -> None:
    """Nicknames, names of rooms, subjects and passwords beyond all measure; the largest message there may be."""
    ann, bob, mallory = guests
    room = mallory.room
    assert condition(mallory.enter(room, "n" * 257)) == "not-acceptable"
    number = fresh()
    mallory.send(f"<presence id='{number}' to='{room}/{'n' * 1100}'><x xmlns='{ns.MUC}'/></presence>")
    assert condition(mallory.until("presence", id=number)) == "jid-malformed"
    assert condition(mallory.enter(f"{'r' * 1000}@{SERVICE}", "m")) == "not-acceptable"
    assert condition(mallory.enter(room, "&#x202e;nna")) == "jid-malformed"
    assert condition(mallory.enter(room, "\uff21nn")) == "conflict", "it looks like Ann's"
    assert mallory.enter(room, "mallory", f"<password>{'p' * 200_000}</password>").get("type") is None
    number = fresh()
    ann.send(f"<message id='{number}' to='{room}' type='groupchat'><subject>{'s' * 5000}</subject></message>")
    assert condition(ann.until("message", id=number)) == "not-acceptable"
    mallory.say("x" * 250_000)
    assert len(bob.hear("x" * 250_000).findtext(CLIENT + "body") or "") == 250_000
    mallory.say("<y>" * 60 + "</y>" * 60)
    bob.until("message")
    with Guest(daemon, "c2s_tls").login(account(daemon)) as late:
        late.enter(room, "late")
        late.settled()


def test_a_flood_of_words(guests: tuple[Guest, Guest, Guest], daemon: Daemon) -> None:
    """One writes as fast as he can: he is told to wait, and the others talk on."""
    ann, bob, mallory = guests
    with ExitStack() as stack:
        for number in range(8):
            stack.enter_context(Guest(daemon, "c2s_tls").login(account(daemon))).enter(ann.room, f"n{number}")
        mallory.enter(ann.room, "mallory")
        mallory.put("".join(f"<message to='{ann.room}' type='groupchat' id='f{n}'><body>flood</body></message>"
                            for n in range(1500)).encode())
        for number in range(5):
            ann.say(f"word {number}")
            bob.hear(f"word {number}")
        refused = 0
        while True:
            told = mallory.until("message")
            refused += told.get("type") == "error"
            assert told.get("type") != "error" or condition(told) == "resource-constraint"
            if told.get("id") == "f1499":
                break
        assert refused > 100


def test_a_flood_of_entering(guests: tuple[Guest, Guest, Guest]) -> None:
    """In and out and in again, and under another name each time: it ends soon, the room works on."""
    ann, bob, mallory = guests
    room = mallory.room
    mallory.put("".join(
        f"<presence to='{room}/m{n}'><x xmlns='{ns.MUC}'/></presence><presence to='{room}/m{n}' type='unavailable'/>"
        f"<presence to='{room}/k{n}'><x xmlns='{ns.MUC}'/></presence><presence to='{room}/l{n}'/>"
        f"<presence to='{room}/l{n}' type='unavailable'/>" for n in range(300)).encode())
    for number in range(5):
        ann.say(f"word {number}")
        bob.hear(f"word {number}")
    mallory.nick = "nobody"
    mallory.settled()


def test_rooms_without_end(daemon: Daemon) -> None:
    """One account makes so many rooms and no more; those it never configured go with it."""
    with Guest(daemon, "c2s_tls").login(account(daemon)) as maker:
        words = []
        for _ in range(52):
            words.append(condition(maker.enter(f"{fresh('many')}@{SERVICE}", "m")))
        assert words == [""] * 50 + ["resource-constraint"] * 2
    with Guest(daemon, "c2s_tls").login(account(daemon)) as other:
        while condition(other.enter(maker.room, "o")):
            pass            # until the daemon has seen the end of the other connection: the address is free then


def test_archives_all_at_once(guests: tuple[Guest, Guest, Guest]) -> None:
    """A hundred pages asked for in one breath: those beyond a few are refused, the others come, nobody waits."""
    ann, bob, mallory = guests
    mallory.enter(mallory.room, "mallory")
    for number in range(60):
        mallory.say(f"{number}" + "x" * 3000)
    mallory.settled()
    mallory.put("".join(f"<iq type='set' id='a{n}' to='{mallory.room}'><query xmlns='{ns.MAM}'><set xmlns='{ns.RSM}'>"
                        "<max>250</max></set></query></iq>" for n in range(100)).encode())
    ann.say("meanwhile")
    bob.hear("meanwhile")
    words = {condition(mallory.until("iq")) for _ in range(100)}
    assert words <= {"", "resource-constraint"} and "" in words


def test_a_deaf_occupant(guests: tuple[Guest, Guest, Guest], daemon: Daemon) -> None:
    """One who reads nothing any more costs what is kept for him; the room talks on."""
    ann, bob, _ = guests
    with Guest(daemon, "c2s_tls", receive_bytes=4096).login(account(daemon)) as deaf:
        deaf.enter(ann.room, "deaf")
        for number in range(60):
            ann.say(f"{number} " + "x" * 20_000)
            bob.hear(f"{number} " + "x" * 20_000)
