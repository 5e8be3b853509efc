"""Roles, affiliations, settings, registration, service discovery, pings, hats, picture: XEP-0045 6, 8, 9, 10."""

from __future__ import annotations

import pytest_twisted

from chatd.core import ns
from tests.xep.rooms import (
    OWNER,
    ROOM,
    admin,
    codes,
    condition,
    configure,
    enter,
    item,
    make,
    nicks,
    rooms,
    say,
    standing,
    user,
)
from tests.xep.test_muc_talking import three

REGISTER = "jabber:iq:register"


@pytest_twisted.ensureDeferred
async def test_kick() -> None:
    """307 with reason and actor; the kicked may come back; participants and strangers may not kick."""
    world, a, b, c = await three()
    assert condition(await b.ask_iq("set", "<query xmlns='http://jabber.org/protocol/muc#admin'>"
                                           "<item nick='cat' role='none'/></query>", ROOM)) == "forbidden"
    assert (await admin(a, "<item nick='bob' role='none'><reason>shush</reason></item>")).type == "result"
    [gone] = b.take("presence")
    assert codes(gone) == ["110", "307"] and gone.type == "unavailable"
    assert [str(part.name) for part in item(gone).elements()] == ["actor", "reason"]
    assert nicks(c.take(), "unavailable") == ["bob"]
    assert "bob" in nicks(await enter(b, "bob"))
    assert condition(await admin(a, "<item nick='dan' role='none'/>")) == "item-not-found"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_ban() -> None:
    """301; stays out, also with a new nickname; the list; let in again."""
    world, a, b, c = await three()
    await admin(a, "<item jid='b@example.com' affiliation='outcast'><reason>spam</reason></item>")
    assert codes(b.take("presence")[-1]) == ["110", "301"] and nicks(c.take(), "unavailable") == ["bob"]
    assert condition((await enter(b, "rob"))[0]) == "forbidden"
    answer = await admin(a, "<item affiliation='outcast'/>", "get")
    assert b'jid="b@example.com"' in answer.inner and b"spam" in answer.inner
    assert condition(await admin(c, "<item affiliation='outcast'/>", "get")) == "forbidden"
    await admin(a, "<item jid='b@example.com' affiliation='none'/>")
    assert "bob" in nicks(await enter(b, "bob"))
    assert condition(await admin(a, "<item jid='a@example.com' affiliation='outcast'/>")) == "conflict"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_affiliations() -> None:
    """Members, admins, owners: who may make whom, what the role becomes, and the last owner stays."""
    world, a, b, c = await three()
    await admin(a, "<item jid='b@example.com' affiliation='admin'/>")
    first, *others = b.take("presence")
    assert standing(first) == ("admin", "moderator")
    assert [item(one)["jid"] for one in others] == ["a@example.com/1", "c@example.com/1"], "moderators see addresses"
    assert condition(await admin(b, "<item jid='a@example.com' affiliation='none'/>")) == "forbidden"
    assert condition(await admin(b, "<item jid='a@example.com' affiliation='outcast'/>")) == "not-allowed"
    assert condition(await admin(b, "<item jid='c@example.com' affiliation='admin'/>")) == "forbidden"
    assert (await admin(b, "<item jid='c@example.com' affiliation='member'/>")).type == "result"
    assert standing(c.take("presence")[-1]) == ("member", "participant")
    assert condition(await admin(c, "<item jid='d@example.com' affiliation='member'/>")) == "forbidden"
    assert condition(await admin(a, "<item jid='a@example.com' affiliation='none'/>")) == "conflict"
    both = "<item jid='c@example.com' affiliation='owner'/><item jid='a@example.com' affiliation='none'/>"
    assert (await admin(a, both)).type == "result"
    assert standing(a.take("presence")[-1]) == ("none", "participant")
    await configure(c, membersonly=1)
    a.take()
    await admin(c, "<item jid='b@example.com' affiliation='none'/>")
    assert codes(b.take("presence")[-1]) == ["110", "321"]
    await world.close()


@pytest_twisted.ensureDeferred
async def test_lists() -> None:
    """Of roles to moderators, of members by the setting; nonsense is refused."""
    world, a, b, _ = await three()
    answer = await admin(a, "<item role='participant'/>", "get")
    assert answer.inner.count(b"<item ") == 2 and b'jid="b@example.com/1"' in answer.inner
    assert condition(await admin(b, "<item role='participant'/>", "get")) == "forbidden"
    assert condition(await admin(b, "<item affiliation='owner'/>", "get")) == "forbidden"
    await configure(a, whois="anyone")
    assert b"a@example.com" in (await admin(b, "<item affiliation='owner'/>", "get")).inner
    await configure(a, getmemberlist=["moderator"])
    assert condition(await admin(b, "<item affiliation='owner'/>", "get")) == "forbidden"
    for nonsense in ("<item/>", "<item role='king'/>", "<item affiliation='none'/>", ""):
        assert condition(await admin(a, nonsense, "get")) == "bad-request"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_moderators() -> None:
    """Given and taken by admins; not taken from an admin; a moderator does not kick who stands above."""
    world, a, b, c = await three()
    await admin(a, "<item nick='bob' role='moderator'/>")
    assert standing(b.take("presence")[0]) == ("none", "moderator")
    assert condition(await admin(b, "<item nick='ann' role='none'/>")) == "not-allowed"
    assert condition(await admin(b, "<item nick='cat' role='moderator'/>")) == "not-allowed"
    assert (await admin(b, "<item nick='cat' role='none'/>")).type == "result"
    assert condition(await admin(a, "<item nick='ann' role='participant'/>")) == "not-allowed"
    await admin(a, "<item nick='bob' role='participant'/>")
    assert standing(b.take("presence")[-1]) == ("none", "participant")
    assert codes(c.take("presence")[-1]) == ["110", "307"]
    await world.close()


@pytest_twisted.ensureDeferred
async def test_settings() -> None:
    """The form, what a change tells, what is refused; only owners."""
    world, a, b, _ = await three()
    form = await a.ask_iq("get", f"<query xmlns='{OWNER}'/>", ROOM)
    for var in ("roomname", "persistentroom", "membersonly", "whois", "presencebroadcast"):
        assert f'var="muc#roomconfig_{var}"'.encode() in form.inner
    assert condition(await b.ask_iq("get", f"<query xmlns='{OWNER}'/>", ROOM)) == "forbidden"
    await configure(a, roomdesc="x", whois="anyone")
    told = b.take()
    assert codes(told[0]) == ["104", "172"] and told[0].type == "groupchat"
    assert {item(one).getAttribute("jid") for one in told if one.name == "presence"} >= {"a@example.com/1"}
    for wrong in ({"whois": "nobody"}, {"persistentroom": "maybe"}, {"history": "many"}, {"history": "101"},
                  {"presencebroadcast": ["king"]}, {"roomname": "x" * 2000}):
        assert condition(await configure(a, **wrong)) == "not-acceptable", wrong
    await world.close()


@pytest_twisted.ensureDeferred
async def test_hidden_presence() -> None:
    """muc#roomconfig_presencebroadcast: who is not to be shown sees the others, and hears them."""
    world, a, b, c = await three(presencebroadcast=["moderator"])
    assert nicks(await enter(c, "cat")) == ["ann", "cat"]
    assert nicks(b.take()) == [] and nicks(a.take()) == []
    await say(b, "here")
    assert len(c.take("message")) == 1
    await world.close()


@pytest_twisted.ensureDeferred
async def test_destroy() -> None:
    """Everybody is told where to go; nothing stays; the address is free again."""
    world, a, b, _ = await three()
    await say(b, "last words")
    a.take()
    b.take()
    destroy = (f"<query xmlns='{OWNER}'><destroy jid='new@conference.example.com'><reason>moved</reason>"
               "</destroy></query>")
    assert condition(await b.ask_iq("set", destroy, ROOM)) == "forbidden"
    await a.ask_iq("set", destroy, ROOM)
    [gone] = b.take()
    assert [part.name for part in user(gone)] == ["item", "destroy", "status"] and b"moved" in gone.inner
    assert b'jid="new@conference.example.com"' in gone.inner
    assert await world.store.rooms.load() == []
    got = await enter(b, "bob")
    assert "201" in codes(got[0]) and standing(got[0])[0] == "owner" and len(got) == 2
    await world.close()


@pytest_twisted.ensureDeferred
async def test_register() -> None:
    """In an open room at once: the nickname is kept for its owner; seen by x-roomuser-item."""
    world, a, b, c = await three()
    form = ("<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/"
            "muc#register</value></field><field var='muc#register_roomnick'><value>{}</value></field></x>")
    ask = f"<query xmlns='{REGISTER}'>{{}}</query>"
    assert b"muc#register_roomnick" in (await b.ask_iq("get", ask.format(""), ROOM)).inner
    assert condition(await b.ask_iq("set", ask.format(form.format("cat")), ROOM)) == "conflict"
    assert condition(await b.ask_iq("set", ask.format(form.format("")), ROOM)) == "bad-request"
    assert (await b.ask_iq("set", ask.format(form.format("bert")), ROOM)).type == "result"
    assert standing(b.take("presence")[-1])[0] == "member"
    assert b"<registered/>" in (await b.ask_iq("get", ask.format(""), ROOM)).inner
    info = await b.ask_iq("get", f"<query xmlns='{ns.DISCO_INFO}' node='x-roomuser-item'/>", ROOM)
    assert b'name="bert"' in info.inner
    c.take()
    await c.send_xml(f"<presence to='{ROOM}/bert'/>")
    assert condition(c.take()[0]) == "conflict"
    await b.ask_iq("set", ask.format("<remove/>"), ROOM)
    await c.send_xml(f"<presence to='{ROOM}/bert'/>")
    assert c.take()[-1].type is None
    await world.close()


@pytest_twisted.ensureDeferred
async def test_ask_to_become_a_member() -> None:
    """Members-only: the moderators get a form, also those who come later; granted, the applicant gets in."""
    world, a, _, _ = await three(membersonly=0)
    await configure(a, membersonly=1)
    a.take()
    d = await world.client("d@example.net/1")
    form = ("<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/"
            "muc#register</value></field>{}</x>")
    nick = "<field var='muc#register_roomnick'><value>dan</value></field>"
    await d.ask_iq("set", f"<query xmlns='{REGISTER}'>{form.format(nick)}</query>", ROOM)
    [request] = a.take("message")
    assert b"d@example.net" in request.inner and b"muc#register_allow" in request.inner
    assert condition((await enter(d, "dan"))[0]) == "registration-required", "not before somebody says yes"
    await a.send_xml(f"<presence to='{ROOM}/ann' type='unavailable'/>")
    assert any(b"muc#register_allow" in one.inner for one in await enter(a, "ann"))
    grant = ("<field var='muc#jid'><value>d@example.net</value></field>"
             "<field var='muc#register_allow'><value>1</value></field>")
    await a.send_xml(f"<message to='{ROOM}'>{form.format(grant)}</message>")
    told, invited = d.take("message")
    assert codes(told) == ["101"] and item(told)["affiliation"] == "member" and b"<invite" in invited.inner
    assert standing((await enter(d, "dan"))[1]) == ("member", "participant")
    await world.close()


@pytest_twisted.ensureDeferred
async def test_discovery() -> None:
    """The domain lists the service, the service the public rooms, a room its features and occupants."""
    world, a, _, _ = await three(roomname="Attic", publicroom=1)
    items = f"<query xmlns='{ns.DISCO_ITEMS}'/>"
    info = f"<query xmlns='{ns.DISCO_INFO}'/>"
    assert b'jid="conference.example.com"' in (await a.ask_iq("get", items, "example.com")).inner
    assert ns.MUC.encode() in (await a.ask_iq("get", info, "conference.example.com")).inner
    listed = await a.ask_iq("get", items, "conference.example.com")
    assert f'<item jid="{ROOM}" name="Attic"/>'.encode() in listed.inner
    told = (await a.ask_iq("get", info, ROOM)).inner
    for feature in ("muc_public", "muc_open", "muc_unmoderated", "muc_unsecured", "muc_semianonymous",
                    "muc_persistent", ns.MAM, "urn:xmpp:occupant-id:0", "urn:xmpp:message-moderate:1"):
        assert f'var="{feature}"'.encode() in told, feature
    assert (await a.ask_iq("get", items, ROOM)).inner.count(b"<item ") == 3
    await configure(a, publicroom=0)
    assert b"<item" not in (await a.ask_iq("get", items, "conference.example.com")).inner
    d = await world.client("d@example.net/1")
    assert b"<item" not in (await d.ask_iq("get", items, ROOM)).inner
    assert condition(await d.ask_iq("get", info, "none@conference.example.com")) == "item-not-found"
    assert condition(await d.ask_iq("get", "<x xmlns='y'/>", ROOM)) == "service-unavailable"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_iqs_between_occupants() -> None:
    """Ping of oneself is answered by the room (XEP-0410), others' questions go to the client and back."""
    world, a, b, _ = await three()
    ping = f"<ping xmlns='{ns.PING}'/>"
    assert (await b.ask_iq("get", ping, f"{ROOM}/bob")).type == "result"
    d = await world.client("d@example.net/1")
    assert condition(await d.ask_iq("get", ping, f"{ROOM}/bob")) == "not-acceptable"
    assert condition(await b.ask_iq("get", ping, f"{ROOM}/dan")) == "item-not-found"
    await b.send_xml(f"<iq type='get' id='v1' to='{ROOM}/ann'><query xmlns='{ns.VERSION}'/></iq>")
    [asked] = a.take()
    assert asked.attrs["from"] == f"{ROOM}/bob" and asked.attrs["to"] == "a@example.com/1"
    await a.send_xml(f"<iq type='result' id='{asked.id}' to='{ROOM}/bob'><query xmlns='{ns.VERSION}'/></iq>")
    [answer] = b.take()
    assert answer.attrs == {"type": "result", "id": "v1", "from": f"{ROOM}/ann", "to": "b@example.com/1"}
    await a.send_xml(f"<iq type='result' id='{asked.id}' to='{ROOM}/bob'/>")
    assert b.take() == [], "once"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_hats() -> None:
    """XEP-0317: made, given, seen, listed and taken by admins; over a restart in the store."""
    world, a, b, c = await three()

    def command(word: str, **values: str) -> str:
        fields = "".join(f"<field var='hats#{var}'><value>{value}</value></field>" for var, value in values.items())
        form = (f"<x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:hats:commands</value>"
                f"</field>{fields}</x>") if values else ""
        return (f"<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:hats:commands:{word}'>{form}"
                "</command>")

    assert b'status="executing"' in (await a.ask_iq("set", command("create"), ROOM)).inner
    assert condition(await b.ask_iq("set", command("create"), ROOM)) == "forbidden"
    await a.ask_iq("set", command("create", title="Host", uri="urn:x:host", hue="120.5"), ROOM)
    c.take()
    assert b'var="hats#hash"' in (await c.ask_iq("get", f"<query xmlns='{ns.DISCO_INFO}'/>", ROOM)).inner
    await a.ask_iq("set", command("assign", jid="b@example.com", uri="urn:x:host"), ROOM)
    [seen] = c.take("presence")
    assert b'<hat uri="urn:x:host" title="Host" hue="120.5"/>' in seen.inner
    assert b">b@example.com<" in (await a.ask_iq("set", command("list-assigned"), ROOM)).inner
    [row] = await world.store.rooms.load()
    assert row.hats["urn:x:host"]["worn"] == ["b@example.com"]
    assert condition(await a.ask_iq("set", command("assign", jid="b@example.com", uri="no"), ROOM)) == "item-not-found"
    await a.ask_iq("set", command("destroy", uri="urn:x:host"), ROOM)
    assert b"<hats" not in c.take("presence")[-1].inner
    await world.close()


@pytest_twisted.ensureDeferred
async def test_picture() -> None:
    """Owners set the room's vCard; its hash is in the room's presence and in disco."""
    world, a, b, _ = await three()
    card = f"<vCard xmlns='{ns.VCARD}'><PHOTO><TYPE>image/png</TYPE><BINVAL>aGVsbG8=</BINVAL></PHOTO></vCard>"
    sha1 = b"aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"      # of "hello"
    assert condition(await b.ask_iq("set", card, ROOM)) == "forbidden"
    assert (await a.ask_iq("set", card, ROOM)).type == "result"
    assert any(sha1 in one.inner for one in b.take("presence"))
    assert b"aGVsbG8=" in (await b.ask_iq("get", f"<vCard xmlns='{ns.VCARD}'/>", ROOM)).inner
    d = await world.client("d@example.com/1")
    first = (await enter(d, "dan"))[0]
    assert first.attrs["from"] == ROOM and sha1 in first.inner
    assert sha1 in (await d.ask_iq("get", f"<query xmlns='{ns.DISCO_INFO}'/>", ROOM)).inner
    await world.close()


@pytest_twisted.ensureDeferred
async def test_a_crowd_that_comes_at_once() -> None:
    """Those who enter while the room is being made wait for that, in order, and hear what is said after."""
    world = await rooms()
    a = await world.client("a@example.com/1")
    for event in a.framer.feed(f"<presence to='{ROOM}/ann'><x xmlns='{ns.MUC}'/></presence><message to='{ROOM}' "
                               "type='groupchat'><body>first</body></message>".encode()):
        a.s.receive(event)
    await world.settle()
    assert [one.name for one in a.take()] == ["presence", "message", "message"]
    await make(a, "ann", "second@conference.example.com")
    await world.close()
