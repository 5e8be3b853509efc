"""What is said in rooms: groupchat, private messages, subject, history, archive, retraction, invitations, voice."""

from __future__ import annotations

import pytest_twisted

from chatd.core import ns
from chatd.core.stanza import Stanza
from tests.xep.rooms import ROOM, admin, bodies, condition, configure, enter, make, rooms, say, standing
from tests.xep.world import Client, World

RETRACT = "urn:xmpp:message-retract:1"
MODERATE = "urn:xmpp:message-moderate:1"


async def three(**settings: object) -> tuple[World, Client, Client, Client]:
    """A room of ann, who made it, bob and cat."""
    world = await rooms()
    a, b, c = [await world.client(f"{name}@example.com/1") for name in "abc"]
    await make(a, "ann", **settings)
    await enter(b, "bob")
    await enter(c, "cat")
    for one in (a, b, c):
        one.take()
    return world, a, b, c


def stanza_id(message: Stanza) -> str:
    """The one the room gave it."""
    return next(child["id"] for child in message.element.elements() if child.name == "stanza-id")


@pytest_twisted.ensureDeferred
async def test_everybody_hears() -> None:
    """One message, the same for all but its address: id kept, occupant id, stanza id; forged ones are taken out."""
    world, a, b, c = await three()
    await say(b, "hello", inner=f"<stanza-id xmlns='{ns.SID}' by='{ROOM}' id='forged'/>"
                                "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>"
                                f"<x xmlns='{ns.MUC_USER}'><status code='100'/></x>", id_="m1")
    got = [one.take() for one in (a, b, c)]
    assert [len(one) for one in got] == [1, 1, 1]
    for [message], full in zip(got, ("a@example.com/1", "b@example.com/1", "c@example.com/1"), strict=True):
        assert message.attrs == {"to": full, "from": f"{ROOM}/bob", "type": "groupchat", "id": "m1"}
        assert b"forged" not in message.inner and b"status" not in message.inner
        assert message.children.count(f"{ns.SID} stanza-id") == 1
        assert message.children.count("urn:xmpp:occupant-id:0 occupant-id") == 1
    assert len({message.inner for [message] in got}) == 1
    d = await world.client("d@example.com/1")
    await say(d, "from outside")
    assert condition(d.take()[0]) == "not-acceptable"
    await b.send_xml(f"<message to='{ROOM}' type='chat'><body>x</body></message>")
    assert condition(b.take()[0]) == "bad-request"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_occupant_ids() -> None:
    """XEP-0421: the same for a person in a room, under any nickname; another in another room."""
    world, a, b, _ = await three()
    await say(b, "1")
    await b.send_xml(f"<presence to='{ROOM}/rob'/>")
    await say(b, "2")
    one, two = a.take("message")
    mark = next(child["id"] for child in one.element.elements() if child.name == "occupant-id")
    assert mark in two.inner.decode() and len(mark) == 32
    other = "other@conference.example.com"
    await make(b, "bob", other)
    await say(b, "3", other)
    assert mark not in b.take("message")[-1].inner.decode()
    await world.close()


@pytest_twisted.ensureDeferred
async def test_private_messages() -> None:
    """From nickname to nickname; allowed by the setting; nobody there."""
    world, a, b, c = await three()
    await b.send_xml(f"<message to='{ROOM}/cat' type='chat' id='p'><body>psst</body></message>")
    [message] = c.take()
    assert (message.attrs["from"], message.attrs["to"], message.type) == (f"{ROOM}/bob", "c@example.com/1", "chat")
    assert f"{ns.MUC_USER} x" in message.children and a.take() == []
    await b.send_xml(f"<message to='{ROOM}/dan' type='chat'><body>psst</body></message>")
    assert condition(b.take()[0]) == "item-not-found"
    await b.send_xml(f"<message to='{ROOM}/cat' type='groupchat'><body>psst</body></message>")
    assert condition(b.take()[0]) == "bad-request"
    await configure(a, allowpm="moderators")
    b.take()
    await b.send_xml(f"<message to='{ROOM}/cat' type='chat'><body>psst</body></message>")
    assert condition(b.take()[0]) == "forbidden"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_subject() -> None:
    """Moderators change it, others where the setting says so; all hear, later ones see it last."""
    world, a, b, c = await three()
    await b.send_xml(f"<message to='{ROOM}' type='groupchat'><subject>Mice</subject></message>")
    assert condition(b.take()[0]) == "forbidden"
    await a.send_xml(f"<message to='{ROOM}' type='groupchat'><subject>Dust</subject></message>")
    assert b"<subject>Dust</subject>" in c.take()[0].inner
    await configure(a, changesubject=1)
    await b.send_xml(f"<message to='{ROOM}' type='groupchat'><subject>Mice</subject></message>")
    d = await world.client("d@example.com/1")
    last = (await enter(d, "dan"))[-1]
    assert last.attrs["from"] == f"{ROOM}/bob" and b">Mice<" in last.inner and f"{ns.DELAY} delay" in last.children
    await world.close()


@pytest_twisted.ensureDeferred
async def test_history() -> None:
    """The last messages with their delay, no more than asked for and than the setting has."""
    world, a, b, _ = await three(history=3)
    for number in range(5):
        await say(b, f"n{number}")
    d = await world.client("d@example.com/1")
    got = await enter(d, "dan")
    assert bodies(got) == ["n2", "n3", "n4"]
    messages = [stanza for stanza in got if f"{ns.CLIENT} body" in stanza.children]
    assert all(f"{ns.DELAY} delay" in one.children and one.attrs["from"] == f"{ROOM}/bob" for one in messages)
    for limits, expected in (("maxstanzas='1'", ["n4"]), ("maxchars='0'", []), ("seconds='0'", []),
                             ("since='2000-01-01T00:00:00Z'", ["n2", "n3", "n4"]),
                             ("maxstanzas='x'", ["n2", "n3", "n4"])):
        await d.send_xml(f"<presence to='{ROOM}/dan' type='unavailable'/>")
        assert bodies(await enter(d, "dan", inner=f"<history {limits}/>")) == expected, limits
    await world.close()


@pytest_twisted.ensureDeferred
async def test_archive() -> None:
    """XEP-0313: what was said, by the room, to those who may enter; nothing with the hint; off by the setting."""
    world, a, b, _ = await three()
    await say(b, "kept")
    await say(b, "not kept", inner=f"<no-store xmlns='{ns.HINTS}'/>")
    assert bodies(a.take()) == ["kept", "not kept"]
    answer = await b.ask_iq("set", f"<query xmlns='{ns.MAM}' queryid='7'/>", ROOM)
    results = [stanza for stanza in b.take("message") if f"{ns.MAM} result" in stanza.children]
    assert len(results) == 1 and results[0].attrs["from"] == ROOM and b">kept<" in results[0].inner
    assert f'from="{ROOM}/bob"'.encode() in results[0].inner and b" to=" not in results[0].inner
    assert b"complete='true'" in answer.inner
    d = await world.client("d@example.net/1")
    assert (await d.ask_iq("get", f"<query xmlns='{ns.MAM}'/>", ROOM)).type == "result"
    await configure(a, membersonly=1)
    assert condition(await d.ask_iq("set", f"<query xmlns='{ns.MAM}'/>", ROOM)) == "forbidden"
    await configure(a, enablearchiving=0)
    await say(a, "off")
    a.take()
    answer = await a.ask_iq("get", f"<metadata xmlns='{ns.MAM}'/>", ROOM)
    await a.ask_iq("set", f"<query xmlns='{ns.MAM}'/>", ROOM)
    assert len(a.take("message")) == 1 and answer.type == "result"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_take_back() -> None:
    """XEP-0424: by the author, not by others; the archive keeps a tombstone, newcomers see nothing of it."""
    world, a, b, c = await three()
    await say(b, "oops", id_="bad")
    id_ = stanza_id(a.take()[0])
    b.take()
    c.take()
    retract = f"<message to='{ROOM}' type='groupchat' id='back'><retract xmlns='{RETRACT}' id='{id_}'/></message>"
    await c.send_xml(retract)
    assert condition(c.take()[0]) == "forbidden" and b.take() == []
    await b.send_xml(retract)
    assert f"{RETRACT} retract" in a.take()[0].children
    await b.ask_iq("set", f"<query xmlns='{ns.MAM}'/>", ROOM)
    stone, request = [one for one in b.take("message") if f"{ns.MAM} result" in one.children]
    assert b"oops" not in stone.inner and b"<retracted" in stone.inner and b'id="back"' in stone.inner
    assert f"{RETRACT}' id='{id_}'".encode() in request.inner, "as its author sent it"
    d = await world.client("d@example.com/1")
    assert bodies(await enter(d, "dan")) == []
    await world.close()


@pytest_twisted.ensureDeferred
async def test_moderate() -> None:
    """XEP-0425: a moderator takes another's message back; participants cannot; unknown ids are not found."""
    world, a, b, c = await three()
    await say(b, "rude")
    id_ = stanza_id(a.take()[0])
    ask = f"<moderate xmlns='{MODERATE}' id='{id_}'><retract xmlns='{RETRACT}'/><reason>manners</reason></moderate>"
    assert condition(await c.ask_iq("set", ask, ROOM)) == "forbidden"
    c.take()
    assert (await a.ask_iq("set", ask, ROOM)).type == "result"
    [told] = c.take()
    assert told.attrs["from"] == ROOM and f'id="{id_}"'.encode() in told.inner and b"manners" in told.inner
    assert f'by="{ROOM}/ann"'.encode() in told.inner
    assert condition(await a.ask_iq("set", ask.replace(id_, "12345"), ROOM)) == "item-not-found"
    await a.ask_iq("set", f"<query xmlns='{ns.MAM}'/>", ROOM)
    assert b"rude" not in b"".join(one.inner for one in a.take("message"))
    await world.close()


@pytest_twisted.ensureDeferred
async def test_invite() -> None:
    """Mediated, with the password and the reason; into a members-only room it makes a member; declined."""
    world, a, b, c = await three(passwordprotectedroom=0)
    d = await world.client("d@example.net/1")
    invite = (f"<message to='{ROOM}'><x xmlns='{ns.MUC_USER}'><invite to='d@example.net'><reason>come</reason>"
              "</invite></x></message>")
    await b.send_xml(invite)
    [got] = d.take("message")
    assert got.attrs["from"] == ROOM and b"come" in got.inner and f'from="{ROOM}/bob"'.encode() in got.inner
    await d.send_xml(f"<message to='{ROOM}'><x xmlns='{ns.MUC_USER}'><decline to='{ROOM}/bob'><reason>no</reason>"
                     "</decline></x></message>")
    assert b'<decline from="d@example.net">' in b.take()[0].inner
    await configure(a, membersonly=1)
    b.take()
    await b.send_xml(invite)
    assert [condition(one) for one in b.take() if one.type == "error"] in (["forbidden"], ["not-acceptable"])
    await a.send_xml(invite)
    assert len(d.take("message")) == 1
    assert standing((await enter(d, "dan"))[-2]) == ("member", "participant")
    await configure(a, allowinvites=0)
    await d.send_xml(invite.replace("d@example.net", "b@example.com"))
    assert "forbidden" in [condition(one) for one in d.take() if one.type == "error"]
    await world.close()


@pytest_twisted.ensureDeferred
async def test_voice() -> None:
    """A moderated room: visitors are silent, ask, and get a voice from a moderator's form."""
    world, a, b, _ = await three(moderatedroom=1)
    await say(b, "hm")
    assert condition(b.take()[0]) == "forbidden"
    form = f"<x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request" \
           "</value></field>{}</x>"
    await b.send_xml(f"<message to='{ROOM}'>" + form.format("<field var='muc#role'><value>participant</value></field>")
                     + "</message>")
    [asked] = a.take()
    assert b"b@example.com/1" in asked.inner and b">bob<" in asked.inner
    answer = ("<field var='muc#roomnick'><value>bob</value></field>"
              "<field var='muc#request_allow'><value>true</value></field>")
    await a.send_xml(f"<message to='{ROOM}'>" + form.format(answer) + "</message>")
    assert standing(b.take()[0]) == ("none", "participant")
    await say(b, "thanks")
    assert bodies(b.take()) == ["thanks"]
    assert (await admin(a, "<item nick='bob' role='visitor'/>")).type == "result"
    assert standing(b.take()[0]) == ("none", "visitor")
    await world.close()
