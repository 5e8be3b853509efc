"""Whatever stanzas people send to a room, it answers or refuses, never fails, keeps its books in order, and tells
nobody the real addresses that it does not show.

Four people send stanzas made of the words of XEP-0045 and its neighbours, put together at random; Eve only listens.
CHATD_FUZZ_EXAMPLES sets how many runs there are, a tenth of it (300).
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest
import pytest_twisted
from twisted.logger import LogLevel, globalLogPublisher

from chatd.core import ns
from chatd.core.muc import AFFILIATIONS, ROLES
from chatd.core.muc_config import FIELDS
from chatd.core.stanza import Stanza
from chatd.xep.blocking import Blocking
from chatd.xep.carbons import Carbons
from tests.xep.rooms import ROOM, configure, enter, rooms
from tests.xep.world import Client, World

# A minute of fuzzing (conftest.py) is so many runs.
SECONDS = float(os.environ.get("CHATD_FUZZ_SECONDS", "0"))
RUNS = int(2 * SECONDS) or max(1, int(os.environ.get("CHATD_FUZZ_EXAMPLES", "300")) // 10)
FIRST = int(os.environ.get("CHATD_FUZZ_SEED", "0"))
STEPS = 80
SECRET = "zzsecret"             # in the resource of everybody's real address, and in nothing that is sent

NICKS = ["ann", "bob", "cat", "dan", "Bob", "b\u00f6b", " ", "x" * 300, "a/b", "&<>'\"", "\u202e", "\U0001f600"]
ROOMS = [ROOM, ROOM, ROOM, ROOM, "cellar@conference.example.com", "conference.example.com", f"{'y' * 200}@{'z' * 9}"]
PEOPLE = ["a@example.com", "b@example.com", "c@example.net", "d@example.com", "nobody@example.com", "example.net", "@",
          "", f"{ROOM}/bob", ROOM, "x@remote.example/y"]
SPACES = [ns.MUC, ns.MUC_USER, "http://jabber.org/protocol/muc#admin", "http://jabber.org/protocol/muc#owner", ns.DATA,
          ns.MAM, ns.RSM, ns.PING, ns.DISCO_INFO, ns.DISCO_ITEMS, "jabber:iq:register", ns.VCARD, ns.DELAY, ns.SID,
          "urn:xmpp:occupant-id:0", "urn:xmpp:hats:0", "http://jabber.org/protocol/commands",
          "urn:xmpp:message-retract:1", "urn:xmpp:message-moderate:1", "jabber:x:conference", ns.HINTS,
          "urn:chatd:room", ns.CLIENT, ns.SERVER, ns.STANZAS, "urn:x"]
NAMES = ["x", "query", "item", "invite", "decline", "destroy", "history", "password", "reason", "continue", "actor",
         "status", "field", "value", "set", "max", "before", "after", "ping", "vCard", "PHOTO", "BINVAL", "retract",
         "retracted", "moderate", "moderated", "command", "remove", "subject", "body", "thread", "delay", "stanza-id",
         "occupant-id", "hats", "hat", "said", "no-store", "error", "metadata", "item-not-found", "show", "priority"]
FORM_TYPES = [f"http://jabber.org/protocol/muc#{one}" for one in ("roomconfig", "register", "request", "roominfo")] + [
    ns.MAM, "urn:xmpp:hats:commands", "urn:x"]
VARS = [field.var for field in FIELDS if field.key != "whois"] + [
    "muc#roomconfig_roomowners", "muc#roomconfig_roomadmins", "muc#register_roomnick", "muc#register_allow", "muc#jid",
    "muc#roomnick", "muc#role", "muc#request_allow", "with", "start", "ids", "hats#uri", "hats#title", "hats#jid"]
LISTS = ["muc#roomconfig_roomowners", "muc#roomconfig_roomadmins"]
WORDS = [*AFFILIATIONS, *ROLES, *NICKS, *PEOPLE, "0", "1", "true", "-1", "99999999999999999999",
         "2000-01-01T00:00:00Z", "", " ", "\n", "x" * 2000, "<b>&amp;", "none", "anyone", "submit", "cancel", "form",
         "aGVsbG8=", "QQ=="]
ATTRIBUTES = ["affiliation", "role", "nick", "jid", "to", "from", "type", "code", "node", "var", "id", "by",
              "maxstanzas", "seconds", "since", "maxchars", "action", "thread", "stamp", "uri", "open", "xml:lang"]


class Author:
    """Writes stanzas at random."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.ids = ["1"]

    def some(self, words: list[str]) -> str:
        """One of these."""
        return self.random.choice(words)

    def attributes(self, most: int = 3) -> str:
        """Attributes of an element; an id of a message that was said, now and then."""
        found = {self.some(ATTRIBUTES): self.some(WORDS) for _ in range(self.random.randint(0, most))}
        if "id" in found and self.random.random() < 0.7:
            found["id"] = self.some(self.ids)
        return "".join(f" {name}={quoteattr(value)}" for name, value in found.items())

    def element(self, depth: int = 0) -> str:
        """An element of any name, in any namespace, with anything in it."""
        if self.random.random() < 0.15:
            return self.form()
        name, space = self.some(NAMES), self.some(SPACES)
        prefix = "p:" if self.random.random() < 0.1 else ""
        said = f"xmlns:p='{space}'" if prefix else f"xmlns='{space}'"
        return f"<{prefix}{name} {said}{self.attributes()}>{self.content(depth + 1)}</{prefix}{name}>"

    def content(self, depth: int) -> str:
        """Text and elements, those inside mostly of the namespace around them."""
        parts = []
        for _ in range(self.random.randint(0, 3 if depth < 3 else 0)):
            if self.random.random() < 0.3:
                parts.append(escape(self.some(WORDS)).replace("\0", ""))
            elif self.random.random() < 0.8:
                name = self.some(NAMES)
                parts.append(f"<{name}{self.attributes()}>{self.content(depth + 1)}</{name}>")
            else:
                parts.append(self.element(depth))
        return "".join(parts)

    def form(self) -> str:
        """A data form, mostly one that something here reads."""
        fields = [f"<field var='FORM_TYPE'><value>{self.some(FORM_TYPES)}</value></field>"]
        for _ in range(self.random.randint(0, 4)):
            values = "".join(f"<value>{escape(self.some(WORDS))}</value>" for _ in range(self.random.randint(0, 3)))
            fields.append(f"<field var={quoteattr(self.some(VARS))}>{values}</field>")
        kind = self.some(["submit", "submit", "submit", "cancel", "form", ""])
        return f"<x xmlns='{ns.DATA}' type='{kind}'>{''.join(fields)}</x>"

    def likely(self) -> str:
        """Something that a client does, with good words mostly."""
        nick, person, room = self.some(NICKS[:4]), self.some(PEOPLE[:6]), self.some(ROOMS[:5])
        muc = "http://jabber.org/protocol/muc"
        said, id_ = f"<body>{self.some(NICKS[:4])}</body>", self.some(self.ids)
        item = self.some([
            f"<item nick='{nick}' role='{self.some(list(ROLES))}'/>",
            f"<item jid='{person}' affiliation='{self.some(list(AFFILIATIONS))}'/>",
            f"<item jid='{person}' affiliation='member' nick='{self.some(NICKS[:5])}'><reason>r</reason></item>"])
        field = self.random.choice(FIELDS)
        value = {"boolean": self.some(["0", "1"]), "text-private": "p"}.get(
            field.kind, self.some([one for one, _ in field.choices] or ["7", "de", ""]))
        people = "".join(f"<value>{self.some(PEOPLE[:3])}</value>" for _ in range(self.random.randint(0, 2)))
        var, values = field.var, f"<value>{value}</value>"
        if self.random.random() < 0.15:
            var, values = self.some(LISTS), people
        setting = f"<field var='{var}'>{values}</field>" if field.key != "whois" else ""
        allow = "".join(f"<field var='muc#{end}'><value>{word}</value></field>" for end, word in (
            ("jid", person), ("roomnick", nick), ("register_allow", "1"), ("request_allow", "1")))
        wanted = f"<field var='muc#register_roomnick'><value>{nick}</value></field>"

        def form(kind: str, fields: str) -> str:
            head = f"<field var='FORM_TYPE'><value>{kind}</value></field>"
            return f"<x xmlns='{ns.DATA}' type='submit'>{head}{fields}</x>"

        enter = f"<presence to='{room}/{nick}'><x xmlns='{ns.MUC}'><password>p</password></x></presence>"
        groupchat = f"<message to='{room}' type='groupchat' id='m'>"
        ask = f"<iq type='set' id='l' to='{room}'>"
        return self.some([
            *[enter] * 6, f"<presence to='{room}/{nick}'/>", f"<presence to='{room}/{nick}' type='unavailable'/>",
            *[f"{groupchat}{said}</message>"] * 3, f"{groupchat}<subject>{nick}</subject></message>",
            f"{groupchat}<retract xmlns='urn:xmpp:message-retract:1' id='{id_}'/></message>",
            f"<message to='{room}/{nick}' type='chat'>{said}</message>",
            *[f"{ask}<query xmlns='{muc}#admin'>{item}</query></iq>"] * 6,
            *[f"{ask}<query xmlns='{muc}#owner'>{form(muc + '#roomconfig', setting)}</query></iq>"] * 6,
            f"{ask}<query xmlns='jabber:iq:register'>{form(muc + '#register', wanted)}</query></iq>",
            f"{ask}<query xmlns='jabber:iq:register'><remove/></query></iq>",
            f"<message to='{room}'>{form(muc + '#register', allow)}</message>",
            f"<message to='{room}'>{form(muc + '#request', allow)}</message>",
            f"<message to='{room}'>{form(muc + '#request', '')}</message>",
            f"<message to='{room}'><x xmlns='{ns.MUC_USER}'><invite to='{person}'/></x></message>",
            f"<message to='{room}'><x xmlns='{ns.MUC_USER}'><decline to='{person}'/></x></message>",
            f"{ask}<moderate xmlns='urn:xmpp:message-moderate:1' id='{id_}'>"
            "<retract xmlns='urn:xmpp:message-retract:1'/></moderate></iq>",
            f"{ask}<query xmlns='{ns.MAM}'/></iq>",
            f"<iq type='get' id='l' to='{room}'><query xmlns='{ns.DISCO_INFO}'/></iq>",
            f"<iq type='get' id='l' to='{room}/{nick}'><query xmlns='{ns.VERSION}'/></iq>",
            f"{ask}<query xmlns='{muc}#owner'><destroy/></query></iq>" if self.random.random() < 0.3 else enter,
        ])

    def stanza(self) -> str:
        """A stanza to a room, to somebody in it, or to the service."""
        if self.random.random() < 0.6:
            return self.likely()
        to = self.some(ROOMS)
        if self.random.random() < 0.5:
            to += "/" + self.some(NICKS)
        name = self.some(["presence", "message", "iq", "iq"])
        return getattr(self, name)(quoteattr(to))                   # type: ignore[no-any-return]

    def presence(self, to: str) -> str:
        kind = self.some(["", "", "", "", " type='unavailable'", " type='error'", " type='probe'", " type='subscribe'"])
        enters = f"<x xmlns='{ns.MUC}'>{self.content(1)}</x>" if self.random.random() < 0.6 else ""
        other = self.element() if self.random.random() < 0.3 else ""
        return f"<presence to={to}{kind}>{enters}{other}</presence>"

    def message(self, to: str) -> str:
        kind = self.some([" type='groupchat'"] * 4 + ["", " type='chat'", " type='error'", " type='headline'"])
        inner = "".join(self.some([
            "<body>said</body>", "<subject>s</subject>", self.form(), self.element(),
            f"<x xmlns='{ns.MUC_USER}'><invite{self.attributes()}>{self.content(2)}</invite></x>",
            f"<retract xmlns='urn:xmpp:message-retract:1' id='{self.some(self.ids)}'/>",
            f"<error type='cancel'><{self.some(['gone', 'not-allowed'])} xmlns='{ns.STANZAS}'/></error>",
        ]) for _ in range(self.random.randint(0, 3)))
        named = f" id='m{self.random.randint(0, 9)}'" if self.random.random() < 0.7 else ""
        return f"<message to={to}{kind}{named}>{inner}</message>"

    def iq(self, to: str) -> str:
        kind = self.some(["get", "set", "set", "result", "error"])
        muc = "http://jabber.org/protocol/muc"
        inner = self.some([
            self.element(), f"<query xmlns='{muc}#owner'>{self.form()}</query>",
            f"<query xmlns='{muc}#owner'>{self.some([f'<destroy{self.attributes()}/>', self.form(), self.element()])}"
            "</query>",
            f"<query xmlns='{muc}#admin'>" + "".join(
                f"<item{self.attributes()}>{self.content(3)}</item>" for _ in range(self.random.randint(0, 3)))
            + "</query>",
            f"<query xmlns='{muc}#admin'><item {self.some(['jid', 'nick'])}={quoteattr(self.some(PEOPLE + NICKS))} "
            f"{self.some(['role', 'affiliation'])}='{self.some([*ROLES, *AFFILIATIONS])}'/></query>",
            f"<query xmlns='jabber:iq:register'>{self.some(['<remove/>', self.form(), self.element()])}</query>",
            f"<query xmlns='{ns.MAM}'>{self.some([self.form(), self.element(), ''])}</query>",
            f"<query xmlns='{ns.DISCO_ITEMS}'><set xmlns='{ns.RSM}'>{self.content(2)}</set></query>",
            f"<moderate xmlns='urn:xmpp:message-moderate:1' id='{self.some(self.ids)}'>"
            "<retract xmlns='urn:xmpp:message-retract:1'/></moderate>",
            "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:hats:commands:"
            f"{self.some(['create', 'assign', 'list', 'destroy'])}'>{self.form()}</command>",
            f"<vCard xmlns='{ns.VCARD}'><PHOTO><BINVAL>{self.some(['aGVsbG8=', '?', ''])}</BINVAL></PHOTO></vCard>",
            f"<query xmlns='{ns.DISCO_INFO}'{self.attributes()}/>", f"<ping xmlns='{ns.PING}'/>",
        ])
        return f"<iq to={to} type='{kind}' id='q{self.random.randint(0, 99)}'>{inner}</iq>"


@pytest.fixture(autouse=True)
def faults() -> Iterator[list[Any]]:
    """What was logged as a fault of ours: there is to be none."""
    found: list[Any] = []

    def observe(event: Any) -> None:
        if event.get("log_level") in (LogLevel.error, LogLevel.critical):
            found.append(event.get("log_failure") or event)

    globalLogPublisher.addObserver(observe)
    yield found
    globalLogPublisher.removeObserver(observe)


def check_books(world: World) -> None:
    """Every room knows the same of its occupants in every place, waits for nothing, and belongs to somebody."""
    for service in world.modules["muc"].services.values():          # type: ignore[attr-defined]
        for bare, room in service.rooms.items():
            assert room.bare == bare and room.queue is None and not room.is_gone
            assert room.affiliated("owner"), bare
            seats = {}
            for nick, occupant in room.occupants.items():
                assert occupant.nick == nick and occupant.address == f"{bare}/{nick}" and occupant.seats
                assert nick.strip() and occupant.role in ROLES[1:]
                assert room.affiliation(occupant.jid) != "outcast"
                assert not room.config["members_only"] or room.is_at_least(occupant.jid, "member")
                assert room.affiliation(occupant.jid) not in ("owner", "admin") or occupant.role == "moderator"
                seats |= dict.fromkeys(occupant.seats, occupant)
                assert all(seat.full == full and full.startswith(occupant.jid + "/")
                           for full, seat in occupant.seats.items())
            assert seats == room.seats
            assert room.occupants or (room.config["persistent"] and not room.locked), "an empty temporary room"


def check_told(client: Client, stanza: Stanza, is_eve: bool) -> None:
    """What a client was sent: well-formed, to itself, without what the archive keeps for itself."""
    xml = stanza.to_bytes_ns()
    assert b"internal-server-error" not in xml and stanza.attrs["to"] in (client.s.full, client.s.account.bare)
    assert stanza.element.name == stanza.name
    if b"urn:chatd:room" in xml:
        assert b"open=" not in xml or SECRET.encode() not in xml, "the archive's own element"
    if is_eve:
        assert SECRET.encode() not in xml, xml
        assert stanza.name != "presence" or xml.count(f'xmlns="{ns.MUC_USER}"'.encode()) <= 1


@pytest.mark.parametrize("seed", range(FIRST, FIRST + RUNS))
@pytest_twisted.ensureDeferred
async def test_rooms(seed: int, faults: list[Any]) -> None:
    """One run: a room is made, and then anything happens."""
    author = Author(seed)
    world = await rooms(deliveries=1_000_000)
    world.start(Blocking)
    world.start(Carbons)
    clients = [await world.client(f"{name}@example.{top}/{SECRET}-{name}") for name, top in (
        ("a", "com"), ("b", "com"), ("c", "net"), ("d", "com"))]
    eve = await world.client("eve@example.com/eve")
    await enter(clients[0], "ann")
    await configure(clients[0])
    await enter(clients[1], "bob")
    trail = []
    for _ in range(STEPS):
        await enter(eve, "eve")
        client = author.some(clients)                               # type: ignore[arg-type]
        xml = author.stanza()
        trail.append((client.s.full, xml))                          # type: ignore[attr-defined]
        try:
            await client.send_xml(xml)                              # type: ignore[attr-defined]
            for one in (*clients, eve):
                for stanza in one.take():
                    check_told(one, stanza, one is eve)
                    author.ids += [child["id"] for child in stanza.element.elements() if child.name == "stanza-id"
                                   and child.getAttribute("by") == ROOM][:1]
            assert faults == []
            check_books(world)
        except BaseException:
            print(f"seed {seed}, step {len(trail)}")
            for sender, sent in trail[-4:]:
                print(sender, sent)
            raise
    await world.close()
    assert faults == []
