"""What rooms and their service say of themselves, and to whom: XEP-0045 6, 13.4, 18.1.1; XEP-0410, XEP-0486."""

from __future__ import annotations

import pytest_twisted

from chatd.core import ns
from tests.xep.rooms import ROOM, condition, configure, enter, make, rooms
from tests.xep.test_muc_talking import three
from tests.xep.world import Client

SERVICE = "conference.example.com"
INFO = f"<query xmlns='{ns.DISCO_INFO}'{{}}/>"


async def items(client: Client, page: str = "") -> tuple[list[str], dict[str, str]]:
    """(local parts of the rooms, what the <set/> says)."""
    asked = f"<set xmlns='{ns.RSM}'>{page}</set>" if page else ""
    answer = await client.ask_iq("get", f"<query xmlns='{ns.DISCO_ITEMS}'>{asked}</query>", SERVICE)
    assert answer.type == "result", answer.inner
    query = next(answer.element.elements())
    found = [one["jid"].partition("@")[0] for one in query.elements() if one.name == "item"]
    sets = [one for one in query.elements() if one.uri == ns.RSM]
    parts = [part for one in sets for part in one.elements()]
    told = {part.name: str(part) for part in parts}
    if parts and parts[0].hasAttribute("index"):
        told["index"] = parts[0]["index"]
    return found, told


@pytest_twisted.ensureDeferred
async def test_the_list_by_pages() -> None:
    """XEP-0059: forward, backward, by index, only the count; always right, whatever has changed."""
    world = await rooms()
    a = await world.client("a@example.com/1")
    assert await items(a) == ([], {})
    for name in "dbace":
        await make(a, "ann", f"{name}@{SERVICE}")
    await configure(a, f"d@{SERVICE}", publicroom=0)
    assert await items(a) == (list("abce"), {})
    ends = {"first": f"a@{SERVICE}", "last": f"b@{SERVICE}", "count": "4", "index": "0"}
    assert await items(a, "<max>2</max>") == (list("ab"), ends)
    assert (await items(a, f"<max>2</max><after>b@{SERVICE}</after>"))[0] == list("ce")
    assert (await items(a, f"<max>2</max><after>e@{SERVICE}</after>")) == ([], {"count": "4"})
    assert (await items(a, "<max>2</max><before/>"))[0] == list("ce")
    assert (await items(a, f"<max>2</max><before>c@{SERVICE}</before>"))[0] == list("ab")
    assert (await items(a, f"<max>9</max><before>e@{SERVICE}</before><after>a@{SERVICE}</after>"))[0] == list("bc")
    assert await items(a, "<max>1</max><index>2</index>") == (
        ["c"], {"first": f"c@{SERVICE}", "last": f"c@{SERVICE}", "count": "4", "index": "2"})
    assert await items(a, "<max>0</max>") == ([], {"count": "4"})
    assert (await items(a, f"<max>2</max><after>d@{SERVICE}</after>"))[0] == ["e"], "behind one that is not listed"
    for wrong, expected in (("<index>9</index>", "item-not-found"), ("<max>x</max>", "bad-request"),
                            ("<after/>", "bad-request")):
        answer = await a.ask_iq("get", f"<query xmlns='{ns.DISCO_ITEMS}'><set xmlns='{ns.RSM}'>{wrong}</set></query>",
                                SERVICE)
        assert condition(answer) == expected
    await configure(a, f"d@{SERVICE}", publicroom=1)
    await configure(a, f"a@{SERVICE}", persistentroom=0)
    await a.send_xml(f"<presence to='a@{SERVICE}/ann' type='unavailable'/>")
    assert (await items(a))[0] == list("bcde")
    await world.close()


@pytest_twisted.ensureDeferred
async def test_nodes() -> None:
    """Those there are, and the errors for those there are not."""
    world, a, b, _ = await three()
    for to, node, expected in ((ROOM, "http://jabber.org/protocol/muc#traffic", "service-unavailable"),
                               (ROOM, "x", "item-not-found"), (SERVICE, "x", "item-not-found")):
        assert condition(await b.ask_iq("get", INFO.format(f" node='{node}'"), to)) == expected
    own = await b.ask_iq("get", INFO.format(" node='x-roomuser-item'"), ROOM)
    assert own.inner == f'<query xmlns="{ns.DISCO_INFO}" node="x-roomuser-item"></query>'.encode()
    assert condition(await a.ask_iq("get", f"<query xmlns='{ns.DISCO_ITEMS}' node='x'/>", SERVICE)) == "item-not-found"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_what_outsiders_learn() -> None:
    """13.4: subject and number of occupants only where they might walk in; owners where all see them; no list."""
    world, a, b, _ = await three(roomname="Attic", roomdesc="Dust", lang="de", whois="anyone")
    await a.send_xml(f"<message to='{ROOM}' type='groupchat'><subject>Secret</subject></message>")
    d = await world.client("d@example.net/1")
    inside = (b"Secret", b"muc#roominfo_occupants", b"muc#roominfo_contactjid")
    told = (await d.ask_iq("get", INFO.format(""), ROOM)).inner
    assert all(one in told for one in (b"Attic", b"Dust", b">de<", *inside))
    assert b"<item" not in (await d.ask_iq("get", f"<query xmlns='{ns.DISCO_ITEMS}'/>", ROOM)).inner
    for closed in ({"publicroom": 0}, {"publicroom": 1, "membersonly": 1},
                   {"membersonly": 0, "passwordprotectedroom": 1, "roomsecret": "x"}):
        await configure(a, **closed)
        told = (await d.ask_iq("get", INFO.format(""), ROOM)).inner
        assert b"Attic" in told and not any(one in told for one in inside), closed
        told = (await a.ask_iq("get", INFO.format(""), ROOM)).inner
        assert all(one in told for one in inside)
    await configure(a, whois="moderators", passwordprotectedroom=0)
    assert b"contactjid" not in (await a.ask_iq("get", INFO.format(""), ROOM)).inner
    await world.close()


@pytest_twisted.ensureDeferred
async def test_features() -> None:
    """Of the service and of a room; those of the archive only where there is one."""
    world, a, _, _ = await three()
    both = ("http://jabber.org/protocol/muc#stable_id", ns.VCARD, "urn:xmpp:occupant-id:0", ns.MUC)
    service = (await a.ask_iq("get", INFO.format(""), SERVICE)).inner.decode()
    room = (await a.ask_iq("get", INFO.format(""), ROOM)).inner.decode()
    for feature in both:
        assert f'var="{feature}"' in service and f'var="{feature}"' in room, feature
    for name in ("register", "roomconfig", "roominfo", "request", "self-ping-optimization"):
        assert f'var="http://jabber.org/protocol/muc#{name}"' in room
    assert f'<feature var="{ns.RSM}"/>' in service and f'<feature var="{ns.MAM}"/>' in room
    await configure(a, enablearchiving=0)
    assert f'var="{ns.MAM}"' not in (await a.ask_iq("get", INFO.format(""), ROOM)).inner.decode()
    await world.close()


@pytest_twisted.ensureDeferred
async def test_pings_of_who_is_not_there() -> None:
    """XEP-0410 3: not-acceptable makes a client enter again, item-not-found would not; so also where no room is."""
    world, a, b, _ = await three()
    d = await world.client("d@example.net/1")
    ping = f"<ping xmlns='{ns.PING}'/>"
    for to in (f"{ROOM}/dan", f"{ROOM}/ann", f"nowhere@{SERVICE}/dan"):
        assert condition(await d.ask_iq("get", ping, to)) == "not-acceptable"
    assert condition(await d.ask_iq("get", ping, f"nowhere@{SERVICE}")) == "item-not-found"
    assert condition(await d.ask_iq("get", INFO.format(""), f"{ROOM}/ann")) == "bad-request"
    assert condition(await d.ask_iq("get", "<x xmlns='urn:x'/>", f"{ROOM}/ann")) == "not-acceptable"
    assert (await d.ask_iq("get", ping, SERVICE)).type == (await d.ask_iq("get", ping, ROOM)).type == "result"
    answer = await d.ask_iq("get", ping, f"{ROOM}/ann")
    assert f'by="{ROOM}"'.encode() in answer.inner, "whose error it is"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_answers_of_others() -> None:
    """17.4: only who was asked answers; nobody else can, whatever id he guesses."""
    world, a, b, c = await three()
    await b.send_xml(f"<iq type='get' id='v' to='{ROOM}/ann'><query xmlns='{ns.VERSION}'/></iq>")
    [asked] = a.take("iq")
    await c.send_xml(f"<iq type='result' id='{asked.id}' to='{ROOM}/bob'><query xmlns='{ns.VERSION}'/></iq>")
    assert b.take() == []
    await a.send_xml(f"<iq type='error' id='{asked.id}' to='{ROOM}/bob'><error type='cancel'>"
                     f"<service-unavailable xmlns='{ns.STANZAS}'/></error></iq>")
    [told] = b.take()
    assert told.attrs["from"] == f"{ROOM}/ann" and condition(told) == "service-unavailable"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_the_picture() -> None:
    """XEP-0486: no base64 and too large are refused; an empty vCard takes it away, as all see."""
    world, a, b, _ = await three()
    card = f"<vCard xmlns='{ns.VCARD}'><PHOTO><TYPE>image/png</TYPE><BINVAL>{{}}</BINVAL></PHOTO></vCard>"
    assert condition(await a.ask_iq("set", card.format("?"), ROOM)) == "bad-request"
    assert condition(await a.ask_iq("set", card.format("QUJD" * 40_000), ROOM)) == "not-acceptable"
    await a.ask_iq("set", card.format("aGVs\nbG8="), ROOM)
    assert b"aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d" in b.take("presence")[0].inner
    await a.ask_iq("set", card.format("aGVsbG8="), ROOM)
    assert b.take("presence") == [], "the same picture"
    await a.ask_iq("set", f"<vCard xmlns='{ns.VCARD}'/>", ROOM)
    assert b"<photo/>" in b.take("presence")[0].inner
    assert (await world.store.rooms.load())[0].vcard is None
    assert b"avatarhash" not in (await b.ask_iq("get", INFO.format(""), ROOM)).inner
    d = await world.client("d@example.com/1")
    assert (await enter(d, "dan"))[0].attrs["from"] != ROOM
    await world.close()
