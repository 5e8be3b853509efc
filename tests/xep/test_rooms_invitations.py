"""Invitations through a room and answers to them: XEP-0045 7.8.2, 9.5."""

from __future__ import annotations

import pytest_twisted

from chatd.core import ns
from tests.xep.rooms import OWNER, ROOM, admin, codes, condition, configure, enter, rooms
from tests.xep.test_muc_talking import three
from tests.xep.world import Client


async def invite(client: Client, *people: str, inner: str = "", id_: str = "i") -> None:
    """Invites these."""
    parts = "".join(f"<invite to='{one}'>{inner}</invite>" for one in people)
    await client.send_xml(f"<message to='{ROOM}' id='{id_}'><x xmlns='{ns.MUC_USER}'>{parts}</x></message>")


async def decline(client: Client, to: str, reason: str = "busy") -> None:
    """Declines an invitation of that one."""
    await client.send_xml(f"<message to='{ROOM}'><x xmlns='{ns.MUC_USER}'><decline to='{to}'><reason>{reason}</reason>"
                          "</decline></x></message>")


@pytest_twisted.ensureDeferred
async def test_both_forms() -> None:
    """With reason, thread and password in the form of either XEP; the id is the sender's; several at once."""
    world, a, _, _ = await three(passwordprotectedroom=1, roomsecret="ses'ame")
    d, e = await world.client("d@example.com/1"), await world.client("e@example.net/1")
    await invite(a, "d@example.com/1", "e@example.net", inner="<reason>a &lt; b</reason><continue thread='t1'/>")
    for client in (d, e):
        [told] = client.take("message")
        assert told.id == "i" and told.attrs["from"] == ROOM
        mediated, direct = [one for one in told.element.elements() if one.name == "x"]
        assert str(mediated.invite.reason) == "a < b"
        assert str(mediated.password) == "ses'ame"
        assert direct.attributes == {"jid": ROOM, "password": "ses'ame", "reason": "a < b", "continue": "true",
                                     "thread": "t1"}
    await enter(d, "dan", inner="<password>ses'ame</password>")
    await world.close()


@pytest_twisted.ensureDeferred
async def test_who_may_invite_whom() -> None:
    """Open rooms: all, or admins; members-only: admins, or members where the room says so, and that makes members."""
    world, a, b, c = await three()
    d = await world.client("d@example.com/1")
    for client in (a, b):
        await invite(client, "d@example.com")
        assert len(d.take("message")) == 1
    assert (await world.store.rooms.load())[0].affiliates[0].jid == "a@example.com"
    assert len((await world.store.rooms.load())[0].affiliates) == 1, "no member by that"
    await configure(a, allowinvites=0)
    b.take()
    await invite(b, "d@example.com")
    assert condition(b.take("message")[-1]) == "forbidden" and d.take("message") == []
    await admin(a, "<item jid='b@example.com' affiliation='member'/>")
    await configure(a, allowinvites=1, membersonly=1)
    b.take()
    await invite(b, "d@example.com")
    assert condition(b.take("message")[-1]) == "forbidden"
    field = "<field var='x-muc#roomconfig_memberinvites'><value>1</value></field>"
    await a.ask_iq("set", f"<query xmlns='{OWNER}'><x xmlns='{ns.DATA}' type='submit'>{field}</x></query>", ROOM)
    await invite(b, "d@example.com")
    assert len(d.take("message")) == 1 and (await enter(d, "dan"))[-2].type is None
    await invite(c, "d@example.com")
    assert condition(c.take("message")[-1]) == "not-acceptable", "he is out since the room is closed"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_who_cannot_be_invited() -> None:
    """Accounts that are not there, no addresses, nobody at all, too many; who is banned is passed over."""
    world, a, b, _ = await three()
    d = await world.client("d@example.com/1")
    for people, expected in ((["nobody@example.com"], "item-not-found"), (["example.com"], "item-not-found"),
                             (["@"], "jid-malformed"), ([], "bad-request"), (["d@example.com"] * 21, "bad-request"),
                             (["d@example.com", "nobody@example.com"], "item-not-found")):
        await invite(b, *people)
        assert condition(b.take("message")[-1]) == expected, people
    assert d.take("message") == [], "none of them if one cannot be"
    await admin(a, "<item jid='d@example.com' affiliation='outcast'/>")
    await invite(b, "d@example.com")
    assert d.take("message") == [] and b.take("message") == []
    await world.close()


@pytest_twisted.ensureDeferred
async def test_a_domain_that_is_invited_is_not_banned() -> None:
    """A member who may invite new ones to a closed room must not shut a whole domain out by that."""
    world, a, b, _ = await three()
    await admin(a, "<item jid='b@example.com' affiliation='member'/>")
    await configure(a, membersonly=1)
    field = "<field var='x-muc#roomconfig_memberinvites'><value>1</value></field>"
    await a.ask_iq("set", f"<query xmlns='{OWNER}'><x xmlns='{ns.DATA}' type='submit'>{field}</x></query>", ROOM)
    await invite(b, "elsewhere.example")
    room = world.modules["muc"].services["conference.example.com"].rooms[ROOM]     # type: ignore[attr-defined]
    assert room.affiliation("elsewhere.example") == "member"
    assert room.affiliation("somebody@elsewhere.example") == "none"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_many_invitations() -> None:
    """They cost as much as a message to a crowd, so nobody pesters the town through a room."""
    world = await rooms(deliveries=1000)
    a = await world.client("a@example.com/1")
    d = await world.client("d@example.com/1")
    await enter(a, "ann")
    await configure(a)
    service = world.modules["muc"].services["conference.example.com"]   # type: ignore[attr-defined]
    moment = service.now()
    service.now = lambda: moment
    for _ in range(40):
        await invite(a, "d@example.com")
    assert len(d.take("message")) == 21
    assert condition(a.take("message")[-1]) == "resource-constraint"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_declining() -> None:
    """The one who invited hears of it, all clients, once; also outside, if he belongs to the room."""
    world, a, b, _ = await three()
    b2, d = await world.client("b@example.com/2"), await world.client("d@example.com/1")
    await enter(b2, "bob")
    await invite(b, "d@example.com")
    for one in (a, b, b2):
        one.take()
    await decline(d, "a@example.com")
    assert a.take() == [], "whoever he says"
    [told], [again] = b.take("message"), b2.take("message")
    assert told.inner == again.inner and b"<decline from=\"d@example.com\"><reason>busy" in told.inner
    await decline(d, f"{ROOM}/bob")
    assert b.take() == [] and condition(d.take("message")[-1]) == "item-not-found"
    await invite(a, "d@example.com")
    await a.send_xml(f"<presence to='{ROOM}/ann' type='unavailable'/>")
    a.take()
    await decline(d, f"{ROOM}/ann")
    [told] = a.take("message")
    assert b"<decline" in told.inner and codes(told) == []
    await world.close()


@pytest_twisted.ensureDeferred
async def test_declining_what_nobody_offered() -> None:
    """Nobody writes to occupants, or finds out who they are, by declining."""
    world, a, b, _ = await three()
    d = await world.client("d@example.com/1")
    for to in ("a@example.com", f"{ROOM}/bob", "nobody@example.com", "@"):
        await decline(d, to, "buy my pills")
        assert condition(d.take("message")[-1]) == "item-not-found"
    assert a.take() == b.take() == []
    await world.close()
