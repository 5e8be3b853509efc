"""What settings of a room do to those inside and to those who come: XEP-0045 10.2 and the rules it names."""

from __future__ import annotations

import pytest_twisted

from chatd.core import ns
from tests.xep.rooms import (
    OWNER,
    ROOM,
    admin,
    bodies,
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
)
from tests.xep.test_muc_talking import three


def people(**lists: list[str]) -> str:
    """A form that only has these lists."""
    fields = "".join(f"<field var='muc#roomconfig_{var}'>{''.join(f'<value>{one}</value>' for one in values)}</field>"
                     for var, values in lists.items())
    return f"<query xmlns='{OWNER}'><x xmlns='{ns.DATA}' type='submit'>{fields}</x></query>"


@pytest_twisted.ensureDeferred
async def test_moderated_and_not_any_more() -> None:
    """Those inside have the role of newcomers at once; who was given voice keeps it, over a visit and a restart."""
    world, a, b, c = await three()
    await configure(a, moderatedroom=1)
    assert standing(b.take("presence")[0]) == ("none", "visitor")
    await say(b, "hm")
    assert condition(b.take("message")[-1]) == "forbidden"
    await admin(a, "<item nick='bob' role='participant'/>")
    b.take()
    await b.send_xml(f"<presence to='{ROOM}/bob' type='unavailable'/>")
    assert standing((await enter(b, "bob"))[-2]) == ("none", "participant"), "kept"
    assert standing((await enter(c, "cat"))[-2]) == ("none", "visitor")
    [row] = await world.store.rooms.load()
    assert {one.jid: one.role for one in row.affiliates} == {"a@example.com": "", "b@example.com": "participant"}
    c.take()
    await configure(a, moderatedroom=0)
    assert standing([one for one in c.take("presence") if one.attrs["from"].endswith("/cat")][0])[1] == "participant"
    await admin(a, "<item nick='cat' role='visitor'/>")
    await c.send_xml(f"<presence to='{ROOM}/cat' type='unavailable'/>")
    assert standing((await enter(c, "cat"))[-2]) == ("none", "visitor"), "nor does coming back give voice back"
    await admin(a, "<item jid='c@example.com' affiliation='member'/>")
    assert standing(c.take("presence")[-1]) == ("member", "participant")
    [row] = await world.store.rooms.load()
    assert {one.jid: one.role for one in row.affiliates}["c@example.com"] == ""
    await world.close()


@pytest_twisted.ensureDeferred
async def test_whose_presence_is_shown_changes() -> None:
    """By the setting, and by a role that is not shown: the others see them go and come; they themselves do not go."""
    world, a, b, c = await three()
    await configure(a, presencebroadcast=["moderator"])
    assert nicks(a.take(), "unavailable") == ["bob", "cat"] and nicks(b.take(), "unavailable") == ["cat"]
    assert nicks(c.take(), "unavailable") == ["bob"]
    await say(b, "still here")
    assert bodies(c.take()) == ["still here"]
    await configure(a, presencebroadcast=["moderator", "participant"])
    assert nicks(c.take()) == ["bob", "cat"]
    a.take()
    b.take()
    await admin(a, "<item nick='bob' role='visitor'/>")
    assert nicks(c.take(), "unavailable") == ["bob"]
    told = b.take("presence")
    assert nicks(told, "unavailable") == [] and standing(told[-1]) == ("none", "visitor")
    await admin(a, "<item nick='bob' role='participant'/>")
    assert nicks(c.take()) == ["bob"]
    await world.close()


@pytest_twisted.ensureDeferred
async def test_owners_and_admins_in_the_form() -> None:
    """XEP-0045 10.2: the whole lists; all see who gains and loses; nobody takes the last owner."""
    world, a, b, c = await three()
    form = await a.ask_iq("get", f"<query xmlns='{OWNER}'/>", ROOM)
    assert b'var="muc#roomconfig_roomowners" type="jid-multi" label="Owners"><value>a@example.com</value>' in form.inner
    await a.ask_iq("set", people(roomadmins=["b@example.com", "d@example.com"]), ROOM)
    assert standing(b.take("presence")[0]) == ("admin", "moderator")
    assert b"d@example.com" in (await admin(a, "<item affiliation='admin'/>", "get")).inner
    assert condition(await a.ask_iq("set", people(roomowners=[]), ROOM)) == "conflict"
    assert condition(await a.ask_iq("set", people(roomowners=["@"]), ROOM)) == "jid-malformed"
    await a.ask_iq("set", people(roomowners=["c@example.com"]), ROOM)
    assert standing(c.take("presence")[-1])[0] in ("owner", "admin")
    [row] = await world.store.rooms.load()
    assert {one.jid: one.affiliation for one in row.affiliates} == {
        "a@example.com": "admin", "b@example.com": "admin", "c@example.com": "owner", "d@example.com": "admin"}
    await c.ask_iq("set", people(roomowners=["c@example.com"], roomadmins=["a@example.com", "c@example.com"]), ROOM)
    [row] = await world.store.rooms.load()
    assert {one.jid: one.affiliation for one in row.affiliates} == {
        "a@example.com": "admin", "b@example.com": "member", "c@example.com": "owner", "d@example.com": "member"}
    b.take()
    await c.ask_iq("set", people(roomadmins=[]), ROOM)
    assert standing(a.take("presence")[-1]) == ("member", "participant")
    await world.close()


@pytest_twisted.ensureDeferred
async def test_settings_that_do_not_come_with_their_people() -> None:
    """A form that is refused because of its lists changes no setting either."""
    world, a, _, _ = await three()
    both = people(roomowners=[], roomname=["Cave"])
    assert condition(await a.ask_iq("set", both, ROOM)) == "conflict"
    [row] = await world.store.rooms.load()
    assert row.config == {}
    await world.close()


@pytest_twisted.ensureDeferred
async def test_the_archive_for_those_inside() -> None:
    """enablelogging: 170 and 171 where everybody may read what is kept, also on entering; then only those inside."""
    world, a, _, _ = await three()
    d = await world.client("d@example.net/1")
    query = f"<query xmlns='{ns.MAM}'/>"
    assert (await d.ask_iq("set", query, ROOM)).type == "result"
    assert "170" in codes((await enter(d, "dan"))[-2])
    await configure(a, enablelogging=0)
    assert codes(d.take("message")[0]) == ["171"]
    await d.send_xml(f"<presence to='{ROOM}/dan' type='unavailable'/>")
    assert condition(await d.ask_iq("set", query, ROOM)) == "forbidden"
    assert "170" not in codes((await enter(d, "dan"))[-2])
    assert (await d.ask_iq("set", query, ROOM)).type == "result"
    a.take()
    await configure(a, membersonly=1)
    assert codes(a.take("message")[0]) == ["104"], "it was closed before"
    await configure(a, enablelogging=1, enablearchiving=0)
    assert codes(a.take("message")[0]) == ["104"]
    await configure(a, enablelogging=1, enablearchiving=1, membersonly=0)
    assert codes(a.take("message")[0]) == ["104", "170"]
    await world.close()


@pytest_twisted.ensureDeferred
async def test_archive_of_a_room_with_a_password() -> None:
    """Being a member does not replace the password; being inside, or owning the room, does."""
    world, a, b, _ = await three()
    await admin(a, "<item jid='d@example.com' affiliation='member'/>")
    await configure(a, passwordprotectedroom=1, roomsecret="sesame")
    query = f"<query xmlns='{ns.MAM}'/>"
    d = await world.client("d@example.com/1")
    a2 = await world.client("a@example.com/2")
    assert condition(await d.ask_iq("set", query, ROOM)) == "forbidden"
    assert (await b.ask_iq("set", query, ROOM)).type == (await a2.ask_iq("set", query, ROOM)).type == "result"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_locked_nicknames() -> None:
    """7.10: whoever registered one has it, whatever he asks for (210); he cannot change it."""
    world, a, b, _ = await three()
    await admin(a, "<item jid='b@example.com' affiliation='member' nick='Robert'/>")
    await configure(a, x=0)
    form = (f"<query xmlns='{OWNER}'><x xmlns='{ns.DATA}' type='submit'><field var='x-muc#roomconfig_locknicks'>"
            "<value>1</value></field></x></query>")
    await a.ask_iq("set", form, ROOM)
    await b.send_xml(f"<presence to='{ROOM}/bob' type='unavailable'/>")
    got = await enter(b, "bob")
    assert got[-2].attrs["from"] == f"{ROOM}/Robert" and "210" in codes(got[-2])
    await b.send_xml(f"<presence to='{ROOM}/rob'/>")
    assert condition(b.take()[-1]) == "not-acceptable"
    assert "210" not in codes((await enter(b, "Robert"))[-2])
    await world.close()


@pytest_twisted.ensureDeferred
async def test_more_than_the_service_gives() -> None:
    """maxusers above the service's own bound."""
    world = await rooms(occupants=50)
    a = await world.client("a@example.com/1")
    await make(a, "ann")
    assert condition(await configure(a, maxusers=100)) == "not-acceptable"
    assert (await configure(a, maxusers=50)).type == "result"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_owners_get_in_where_it_is_full() -> None:
    """7.2.9: so that nobody keeps them out by stuffing the room, but not without end."""
    world, a, b, c = await three(maxusers=10)
    for number in range(7):
        await enter(await world.client(f"n{number}@example.com/1"), f"n{number}")
    d = await world.client("d@example.com/1")
    assert condition((await enter(d, "dan"))[0]) == "service-unavailable"
    await admin(a, "<item jid='d@example.com' affiliation='admin'/>")
    assert "dan" in nicks(await enter(d, "dan"))
    await world.close()


@pytest_twisted.ensureDeferred
async def test_addresses_when_they_are_shown_and_hidden() -> None:
    """172: everybody sees all; 173: moderators only; who becomes a moderator sees all."""
    world, a, b, c = await three()
    await configure(a, whois="anyone")
    shown = b.take("presence")
    assert {item(one).getAttribute("jid") for one in shown} == {f"{name}@example.com/1" for name in "abc"}
    await configure(a, whois="moderators")
    assert {item(one).getAttribute("jid") for one in b.take("presence")} == {None}
    await admin(a, "<item nick='bob' role='moderator'/>")
    own, *others = b.take("presence")
    assert standing(own)[1] == "moderator"
    assert {item(one)["jid"] for one in others} == {"a@example.com/1", "c@example.com/1"}
    await world.close()
