"""Affiliations and roles beyond the plain changes: domains, nicknames, lists, who is told, whose client asks."""

from __future__ import annotations

import pytest_twisted

from chatd.core import ns
from chatd.core.jid import JID
from chatd.core.stanza import Stanza
from tests.xep.rooms import ROOM, admin, codes, condition, configure, enter, item, make, nicks, rooms, say, standing
from tests.xep.test_muc_talking import three

REGISTER = "jabber:iq:register"


def registration(nick: str) -> str:
    """The form with this nickname."""
    return (f"<query xmlns='{REGISTER}'><x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'>"
            "<value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_roomnick'>"
            f"<value>{nick}</value></field></x></query>")


@pytest_twisted.ensureDeferred
async def test_a_domain_is_banned() -> None:
    """9.2: all of it goes and stays out, but who has a standing of his own; it can be let in again."""
    world = await rooms()
    a, b, c = [await world.client(one) for one in ("a@example.net/1", "b@example.com/1", "c@example.com/1")]
    await make(a, "ann")
    await enter(b, "bob")
    await enter(c, "cat")
    await admin(a, "<item jid='c@example.com' affiliation='member'/>")
    b.take()
    c.take()
    for affiliation in ("member", "admin", "owner"):
        assert condition(await admin(a, f"<item jid='example.com' affiliation='{affiliation}'/>")) == "not-acceptable"
    assert (await admin(a, "<item jid='example.com' affiliation='outcast'/>")).type == "result"
    assert codes(b.take("presence")[-1]) == ["110", "301"] and nicks(c.take(), "unavailable") == ["bob"]
    assert condition((await enter(b, "bob"))[0]) == "forbidden"
    assert b'jid="example.com"' in (await admin(a, "<item affiliation='outcast'/>", "get")).inner
    await admin(a, "<item jid='c@example.com' affiliation='none'/>")
    assert codes(c.take("presence")[-1]) == ["110", "301"], "what protected him is gone"
    assert (await admin(a, "<item jid='example.com' affiliation='none'/>")).type == "result"
    assert "bob" in nicks(await enter(b, "bob"))
    a.take()
    assert (await admin(a, "<item jid='example.net' affiliation='outcast'/>")).type == "result"
    assert nicks(a.take(), "unavailable") == [], "an owner does not fall with his domain"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_a_component_is_not_its_domain() -> None:
    """What the room keeps of a component, whose address has no local part, bans nobody; a ban of it does."""
    world, a, _, _ = await three(moderatedroom=1)
    room = world.modules["muc"].services["conference.example.com"].rooms[ROOM]     # type: ignore[attr-defined]
    joining = Stanza("presence", {"from": "bot.example.org", "to": f"{ROOM}/bot"},
                     f"<x xmlns='{ns.MUC}'/>".encode(), (f"{ns.MUC} x",))
    room.service.receive(joining, JID.parse(f"{ROOM}/bot"))
    assert (await admin(a, "<item nick='bot' role='participant'/>")).type == "result"
    assert room.affiliates["bot.example.org"].role == "participant", "kept for the next visit"
    assert room.affiliation("bot.example.org") == room.affiliation("somebody@bot.example.org") == "none"
    assert (await admin(a, "<item jid='bot.example.org' affiliation='outcast'/>")).type == "result"
    assert room.affiliation("bot.example.org") == room.affiliation("somebody@bot.example.org") == "outcast"
    assert "bot" not in room.occupants
    await world.close()


@pytest_twisted.ensureDeferred
async def test_items_that_make_no_sense() -> None:
    """17.4: one thing at a time; all is checked before the first change."""
    world, a, b, _ = await three()
    for wrong, expected in (
            ("<item nick='bob' role='visitor' affiliation='member'/>", "bad-request"),
            ("<item jid='x@y'/>", "bad-request"),
            ("<item jid='x@y' affiliation='king'/>", "bad-request"), ("<item nick='bob' role='king'/>", "bad-request"),
            ("<item jid='@' affiliation='member'/>", "jid-malformed"),
            ("<item affiliation='member'/>", "item-not-found"),
            ("<item jid='x@y' affiliation='member' nick='&#x202e;'/>", "jid-malformed"),
            ("<item jid='x@y' affiliation='member' nick='bob'/>", "conflict"),
            ("<item jid='x@y' affiliation='member'/><item nick='nobody' role='none'/>", "item-not-found"),
            ("<item xmlns='urn:x' jid='x@y' affiliation='member'/>", "bad-request"), ("", "bad-request")):
        assert condition(await admin(a, wrong)) == expected, wrong
    assert [one.affiliates for one in await world.store.rooms.load()][0][0].jid == "a@example.com"
    assert nicks(b.take(), "unavailable") == [] and len((await world.store.rooms.load())[0].affiliates) == 1
    await world.close()


@pytest_twisted.ensureDeferred
async def test_nicknames_that_admins_keep() -> None:
    """9.3, 9.5: given, left out, taken away; nobody else's; lists have them, without a role (17.4)."""
    world, a, b, c = await three()
    await admin(a, "<item jid='b@example.com' affiliation='member' nick='Robert'/>")
    assert condition(await admin(a, "<item jid='c@example.com' affiliation='member' nick='robert'/>")) == "conflict"
    await admin(a, "<item jid='b@example.com' affiliation='member'><reason>still</reason></item>")
    listed = (await admin(a, "<item affiliation='member'/>", "get")).inner
    assert (b'<item affiliation="member" jid="b@example.com" nick="Robert"><reason>still</reason></item>' in listed)
    await admin(a, "<item jid='b@example.com' affiliation='member' nick=''/>")
    assert b"nick=" not in (await admin(a, "<item affiliation='member'/>", "get")).inner
    c.take()
    await c.send_xml(f"<presence to='{ROOM}/Robert'/>")
    assert nicks(c.take()) == ["Robert"]
    await world.close()


@pytest_twisted.ensureDeferred
async def test_who_reads_which_list() -> None:
    """9.5, 10.5, 10.8: by the room's anonymity; a member also from outside."""
    world, a, b, c = await three()
    await admin(a, "<item jid='b@example.com' affiliation='admin'/><item jid='d@example.com' affiliation='member'/>")
    d = await world.client("d@example.com/1")
    everything = ("owner", "admin", "member", "outcast")

    async def readable(*clients: object) -> list[list[str]]:
        found = []
        for client in clients:
            answers = {one: await admin(client, f"<item affiliation='{one}'/>", "get") for one in everything}
            assert all(condition(one) == "forbidden" for one in answers.values() if one.type == "error")
            found.append([one for one in everything if answers[one].type == "result"])
        return found

    assert await readable(a, b, c, d) == [[*everything], ["member", "outcast"], [], []]
    await configure(a, whois="anyone")
    assert await readable(a, b, c, d) == [[*everything], [*everything], [*everything[:3]], [*everything[:3]]]
    await configure(a, getmemberlist=["moderator"])
    assert await readable(a, b, c, d) == [[*everything], [*everything], [], []]
    await world.close()


@pytest_twisted.ensureDeferred
async def test_another_client_of_a_moderator() -> None:
    """8, 9: the right is the person's; for what needs being inside, it counts that one of her clients is."""
    world, a, b, _ = await three()
    a2 = await world.client("a@example.com/2")
    assert b"bob" in (await admin(a2, "<item role='participant'/>", "get")).inner
    assert (await admin(a2, "<item nick='bob' role='visitor'/>")).type == "result"
    assert standing(b.take("presence")[-1]) == ("none", "visitor")
    await a.send_xml(f"<presence to='{ROOM}/ann' type='unavailable'/>")
    assert condition(await admin(a2, "<item nick='bob' role='participant'/>")) == "forbidden"
    assert (await admin(a2, "<item jid='b@example.com' affiliation='member'/>")).type == "result"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_those_outside_are_told() -> None:
    """18.1: 101 to the person, the item to those who may see addresses; not to who is banned."""
    world, a, b, _ = await three()
    d = await world.client("d@example.com/1")
    await admin(a, "<item jid='d@example.com' affiliation='member'/>")
    [told] = d.take("message")
    assert codes(told) == ["101"] and item(told)["affiliation"] == "member" and told.attrs["from"] == ROOM
    assert [item(one)["jid"] for one in a.take("message")] == ["d@example.com"] and b.take("message") == []
    await admin(a, "<item jid='d@example.com' affiliation='member'/>")
    assert d.take() == [], "nothing has changed"
    await admin(a, "<item jid='d@example.com' affiliation='outcast'/>")
    assert d.take() == []
    await world.close()


@pytest_twisted.ensureDeferred
async def test_voice_among_equals() -> None:
    """8.4: a moderator who is a mere member takes no voice from members, but from others."""
    world, a, b, c = await three()
    await admin(a, "<item jid='b@example.com' affiliation='member'/><item jid='c@example.com' affiliation='member'/>")
    await admin(a, "<item nick='bob' role='moderator'/>")
    assert condition(await admin(b, "<item nick='cat' role='visitor'/>")) == "not-allowed"
    await enter(await world.client("d@example.com/1"), "dan")
    assert (await admin(b, "<item nick='dan' role='visitor'/>")).type == "result"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_the_last_one_is_put_out_of_a_temporary_room() -> None:
    """7.14: such a room ends whoever makes it empty."""
    world, a, b, c = await three(persistentroom=0)
    await a.send_xml(f"<presence to='{ROOM}/ann' type='unavailable'/>")
    await c.send_xml(f"<presence to='{ROOM}/cat' type='unavailable'/>")
    assert (await admin(a, "<item jid='b@example.com' affiliation='outcast'/>")).type == "result"
    assert codes(b.take("presence")[-1]) == ["110", "301"]
    assert await world.store.rooms.load() == []
    await world.close()


@pytest_twisted.ensureDeferred
async def test_registering_where_it_gives_voice() -> None:
    """A moderated room: who asks waits for an admin; a moderator who is none has no say."""
    world, a, b, c = await three(moderatedroom=1)
    await admin(a, "<item nick='cat' role='moderator'/>")
    for one in (a, b, c):
        one.take()
    assert (await b.ask_iq("set", registration("bert"), ROOM)).type == "result"
    assert b.take() == c.take() == []
    [request] = a.take("message")
    assert b">bert<" in request.inner and b">b@example.com<" in request.inner
    answer = (f"<message to='{ROOM}'><x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'>"
              "<value>http://jabber.org/protocol/muc#register</value></field><field var='muc#jid'>"
              "<value>b@example.com</value></field><field var='muc#register_allow'><value>{}</value></field></x>"
              "</message>")
    await c.send_xml(answer.format(1))
    assert condition(c.take("message")[0]) == "forbidden"
    await a.send_xml(f"<presence to='{ROOM}/ann' type='unavailable'/>")
    await a.send_xml(answer.format(1))
    assert standing(b.take("presence")[-1]) == ("member", "participant"), "an admin answers from wherever he is"
    await a.send_xml(answer.format(1))
    assert condition(a.take("message")[-1]) == "item-not-found"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_registering_without_the_password() -> None:
    """It must not be a way around it: who is inside becomes a member, who is not asks."""
    world, a, b, _ = await three(passwordprotectedroom=1, roomsecret="sesame")
    d = await world.client("d@example.com/1")
    assert (await d.ask_iq("set", registration("dan"), ROOM)).type == "result"
    assert standing_of(await world.store.rooms.load(), "d@example.com") == ("none", True)
    await enter(b, "bob", inner="<password>sesame</password>")
    assert (await b.ask_iq("set", registration("bob"), ROOM)).type == "result"
    assert standing_of(await world.store.rooms.load(), "b@example.com") == ("member", False)
    await world.close()


def standing_of(rows: list, bare: str) -> tuple[str, bool]:     # type: ignore[type-arg]
    """(affiliation, asks for membership) in the only room there is."""
    [row] = rows
    return next((one.affiliation, one.pending) for one in row.affiliates if one.jid == bare)


@pytest_twisted.ensureDeferred
async def test_registering_no_more() -> None:
    """XEP-0077 3.2: a member is none any more, an owner only has no nickname."""
    world, a, b, _ = await three()
    remove = f"<query xmlns='{REGISTER}'><remove/></query>"
    for client, nick in ((a, "Anna"), (b, "Bert")):
        await client.ask_iq("set", registration(nick), ROOM)
        await client.ask_iq("set", remove, ROOM)
    [row] = await world.store.rooms.load()
    assert [(one.jid, one.affiliation, one.nick) for one in row.affiliates] == [("a@example.com", "owner", "")]
    assert standing(b.take("presence")[-1])[0] == "none"
    await configure(a, membersonly=1)
    assert condition(await b.ask_iq("set", registration("Anna&#x202e;"), ROOM)) == "bad-request"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_forms_of_all_kinds() -> None:
    """A field without a value, a form that is shown and not submitted, another form: none does any harm."""
    world, a, b, c = await three(moderatedroom=1)

    async def send(client: object, form_type: str, fields: str, kind: str = "submit") -> str:
        client.take()                                               # type: ignore[attr-defined]
        await client.send_xml(                                      # type: ignore[attr-defined]
            f"<message to='{ROOM}'><x xmlns='{ns.DATA}' type='{kind}'><field var='FORM_TYPE'><value>{form_type}</value>"
            f"</field>{fields}</x></message>")
        errors = [one for one in client.take() if one.type == "error"]      # type: ignore[attr-defined]
        return condition(errors[0]) if errors else ""

    request = "http://jabber.org/protocol/muc#request"
    assert await send(a, request, "<field var='muc#request_allow'/>") == ""
    assert await send(a, request, "<field var='muc#request_allow'><value>1</value></field>") == "item-not-found"
    assert await send(b, request, "", "form") == "bad-request" and await send(b, request, "", "cancel") == ""
    assert await send(b, "urn:x", "<field var='y'><value>1</value></field>") == "bad-request"
    assert await send(b, request, "<field var='muc#role'><value>participant</value></field>") == ""
    assert await send(b, request, "") == "resource-constraint", "they have just been asked"
    allow = ("<field var='muc#roomnick'><value>{}</value></field><field var='muc#jid'><value>{}</value></field>"
             "<field var='muc#request_allow'><value>true</value></field>")
    assert await send(a, request, allow.format("cat", "b@example.com/1")) == "item-not-found", "another one by now"
    assert await send(c, request, allow.format("cat", "c@example.com/1")) == ""
    await say(c, "did I get it?")
    assert condition(c.take("message")[-1]) == "forbidden", "nobody gives himself voice"
    d = await world.client("d@example.com/1")
    assert await send(d, request, "") == "not-acceptable"
    await world.close()
