"""Making, entering and leaving rooms: XEP-0045 7 and 10.1."""

from __future__ import annotations

import pytest_twisted

from chatd.core import ns
from tests.xep.rooms import ROOM, bodies, codes, condition, configure, enter, item, make, nicks, rooms, say, standing


@pytest_twisted.ensureDeferred
async def test_make_a_room() -> None:
    """Its maker owns it; it is locked until the settings are there, also in one go without a form."""
    world = await rooms()
    a, b = await world.client("a@example.com/1"), await world.client("b@example.net/1")
    got = await enter(a, "ann")
    assert codes(got[0]) == ["110", "170", "201"] and standing(got[0]) == ("owner", "moderator")
    assert got[0].attrs["from"] == f"{ROOM}/ann" and [s.name for s in got] == ["presence", "message"]
    assert got[1].payload == f"{ns.CLIENT} subject"
    [refused] = await enter(b, "bob")
    assert condition(refused) == "item-not-found" and refused.attrs["from"] == f"{ROOM}/bob"
    assert (await configure(a)).type == "result"
    got = await enter(b, "bob")
    assert nicks(got) == ["ann", "bob"] and standing(got[1]) == ("none", "participant")
    assert not item(got[0]).hasAttribute("jid"), "visitors do not see real addresses"
    [seen] = a.take("presence")
    assert item(seen)["jid"] == "b@example.net/1" and codes(seen) == [], "moderators do"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_a_room_that_was_not_set_up_goes_with_its_maker() -> None:
    """XEP-0045 10.1.3: cancelled, or left."""
    world = await rooms()
    a = await world.client("a@example.com/1")
    await enter(a, "ann")
    await a.ask_iq("set", f"<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='{ns.DATA}' type='cancel'/>"
                          "</query>", ROOM)
    assert nicks(a.take(), "unavailable") == ["ann"]
    await enter(a, "ann")
    await a.send_xml(f"<presence to='{ROOM}/ann' type='unavailable'/>")
    assert await world.store.rooms.load() == []
    assert codes((await enter(a, "ann"))[0]) == ["110", "170", "201"]
    await world.close()


@pytest_twisted.ensureDeferred
async def test_who_may_not_enter() -> None:
    """Each rule with its error: nickname missing, taken, password, members only, full, banned."""
    world = await rooms()
    a, b = await world.client("a@example.com/1"), await world.client("b@example.net/1")
    await make(a, "ann")
    [refused] = await enter(b, "ann")
    assert condition(refused) == "conflict"
    b.take()
    await b.send_xml(f"<presence to='{ROOM}'><x xmlns='{ns.MUC}'/></presence>")
    assert condition(b.take()[0]) == "jid-malformed"
    assert condition(await configure(a, passwordprotectedroom=1)) == "not-acceptable"
    await configure(a, passwordprotectedroom=1, roomsecret="sesame")
    assert condition((await enter(b, "bob"))[0]) == "not-authorized"
    assert nicks(await enter(b, "bob", inner="<password>sesame</password>")) == ["ann", "bob"]
    await configure(a, passwordprotectedroom=0, membersonly=1)
    assert codes(b.take("presence")[-1]) == ["110", "322"], "put out when the room became members-only"
    assert condition((await enter(b, "bob"))[0]) == "registration-required"
    await configure(a, membersonly=0, maxusers=10)
    many = [await world.client(f"c{number}@example.com/1") for number in range(9)]
    for number, one in enumerate(many):
        await enter(one, f"c{number}")
    assert condition((await enter(b, "bob"))[0]) == "service-unavailable"
    await configure(a, maxusers="none")
    assert "bob" in nicks(await enter(b, "bob"))
    await world.close()


@pytest_twisted.ensureDeferred
async def test_leave() -> None:
    """By presence, by the end of the session; the status text is told."""
    world = await rooms()
    a, b, c = [await world.client(f"{name}@example.com/1") for name in "abc"]
    await make(a, "ann")
    await enter(b, "bob")
    await enter(c, "cat")
    a.take()
    await b.send_xml(f"<presence to='{ROOM}/bob' type='unavailable'><status>bye</status></presence>")
    [gone] = a.take()
    assert gone.type == "unavailable" and standing(gone) == ("none", "none") and b"bye" in gone.inner
    assert codes(b.take("presence")[-1]) == ["110"]
    c.s.end()
    await world.settle()
    assert nicks(a.take(), "unavailable") == ["cat"]
    await say(b, "still here?")
    assert condition(b.take()[0]) == "not-acceptable"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_change_nickname() -> None:
    """303 with the new nickname, then the new presence; not to one that is taken."""
    world = await rooms()
    a, b = await world.client("a@example.com/1"), await world.client("b@example.net/1")
    await make(a, "ann")
    await enter(b, "bob")
    a.take()
    await b.send_xml(f"<presence to='{ROOM}/ann'/>")
    assert condition(b.take()[0]) == "conflict"
    await b.send_xml(f"<presence to='{ROOM}/rob'/>")
    old, new = a.take()
    assert codes(old) == ["303"] and item(old)["nick"] == "rob" and old.attrs["from"].endswith("/bob")
    assert new.attrs["from"].endswith("/rob") and new.type is None
    assert [codes(stanza) for stanza in b.take("presence")] == [["110", "303"], ["110"]]
    await say(b, "hi")
    assert a.take()[0].attrs["from"] == f"{ROOM}/rob"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_one_person_with_two_clients() -> None:
    """Both under one nickname: both hear, one leaves and the other stays."""
    world = await rooms()
    a, b1, b2 = [await world.client(name) for name in ("a@example.com/1", "b@example.com/1", "b@example.com/2")]
    await make(a, "ann")
    await enter(b1, "bob")
    assert nicks(await enter(b2, "bob")) == ["ann", "bob"]
    a.take()
    b1.take()
    await say(b2, "two of me")
    assert bodies(a.take()) == bodies(b1.take()) == bodies(b2.take()) == ["two of me"]
    await b1.send_xml(f"<presence to='{ROOM}/bob' type='unavailable'/>")
    assert nicks(a.take(), "unavailable") == [] and nicks(b1.take(), "unavailable") == ["bob"]
    await say(a, "one")
    assert bodies(b2.take()) == ["one"] and b1.take() == []
    b2.s.end()
    await world.settle()
    assert nicks(a.take(), "unavailable") == ["bob"]
    await world.close()


@pytest_twisted.ensureDeferred
async def test_presence_in_the_room() -> None:
    """Away is told to all; forged elements are taken out; who believes to be in is told the truth."""
    world = await rooms()
    a, b = await world.client("a@example.com/1"), await world.client("b@example.net/1")
    await make(a, "ann", whois="anyone")
    got = await enter(b, "bob")
    assert "100" in codes(got[-2]) and item(got[0])["jid"] == "a@example.com/1"
    a.take()
    await b.send_xml(f"<presence to='{ROOM}/bob'><show>away</show><x xmlns='{ns.MUC_USER}'><item role='moderator' "
                     "affiliation='owner'/></x><occupant-id xmlns='urn:xmpp:occupant-id:0' id='x'/></presence>")
    [seen] = a.take()
    assert b"<show>away</show>" in seen.inner and standing(seen) == ("none", "participant")
    assert seen.inner.count(b"<occupant-id") == 1 and b'id="x"' not in seen.inner
    c = await world.client("c@example.com/1")
    await c.send_xml(f"<presence to='{ROOM}/cat'/>")
    [told] = c.take()
    assert told.type == "unavailable" and codes(told) == ["110", "307", "333"] and b"<reason>" in told.inner
    await c.send_xml("<presence to='nowhere@conference.example.com/cat'/>")
    assert codes(c.take()[0]) == ["110", "307", "333"], "also of a room that ended meanwhile"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_a_room_stays_or_not() -> None:
    """A persistent one keeps settings, subject and owner over a restart; another ends with its last occupant."""
    world = await rooms()
    a = await world.client("a@example.com/1")
    await make(a, "ann", persistentroom=0)
    await a.send_xml(f"<presence to='{ROOM}/ann' type='unavailable'/>")
    assert await world.store.rooms.load() == []
    await make(a, "ann", roomname="Attic", membersonly=1)
    await a.send_xml(f"<message to='{ROOM}' type='groupchat'><subject>Dust</subject></message>")
    await say(a, "before")
    module = world.modules.pop("muc")
    module.stop()
    world.apis.pop("muc").release()
    from chatd.xep.muc.muc import Muc
    world.start(Muc)
    await world.settle()
    got = await enter(a, "ann")
    assert standing(got[0]) == ("owner", "moderator") and codes(got[0]) == ["110"], "members only: not for all to read"
    assert bodies(got) == ["before"] and b">Dust<" in got[-1].inner
    b = await world.client("b@example.com/1")
    assert condition((await enter(b, "bob"))[0]) == "registration-required"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_who_may_make_rooms() -> None:
    """By the options: nobody, or so many."""
    world = await rooms(rooms=1)
    a = await world.client("a@example.com/1")
    await make(a, "ann")
    assert condition((await enter(a, "ann", "two@conference.example.com"))[0]) == "resource-constraint"
    await world.close()
    world = await rooms(create="nobody")
    a = await world.client("a@example.com/1")
    assert condition((await enter(a, "ann"))[0]) == "not-allowed"
    await world.close()
