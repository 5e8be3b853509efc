"""A room's archive: who said what is told to those who may know it (XEP-0313 6.1.3), and stays with a tombstone."""

from __future__ import annotations

import pytest_twisted

from chatd.core import ns
from chatd.core.archive import ArchiveQuery
from tests.xep.rooms import ROOM, admin, bodies, condition, configure, enter, say
from tests.xep.test_muc_talking import MODERATE, RETRACT, stanza_id, three
from tests.xep.world import Client, World


async def read(client: Client, **fields: str) -> list[bytes]:
    """The messages of a page, as they are told to this client."""
    client.take()
    inner = "".join(f"<field var='{var}'><value>{value}</value></field>" for var, value in fields.items())
    form = (f"<x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'><value>{ns.MAM}</value></field>{inner}</x>"
            if fields else "")
    answer = await client.ask_iq("set", f"<query xmlns='{ns.MAM}'>{form}</query>", ROOM)
    assert answer.type == "result", answer.inner
    return [one.inner for one in client.take("message") if f"{ns.MAM} result" in one.children]


@pytest_twisted.ensureDeferred
async def test_real_addresses() -> None:
    """Moderators get them; others only what was said while the room showed addresses, and as long as it does."""
    world, a, b, c = await three()
    await say(b, "veiled")
    await configure(a, whois="anyone")
    await say(b, "open")
    veiled, open_ = await read(a)
    item = b'<item affiliation="none" role="participant" jid="b@example.com/1"/>'
    assert item in veiled and item in open_ and b"urn:chatd" not in veiled
    veiled, open_ = await read(c)
    assert b"b@example.com" not in veiled and item in open_ and b"urn:chatd" not in veiled + open_
    await configure(a, whois="moderators")
    assert b"b@example.com" not in b"".join(await read(c))
    await admin(a, "<item jid='c@example.com' affiliation='admin'/>")
    await c.send_xml(f"<presence to='{ROOM}/cat' type='unavailable'/>")
    assert b"".join(await read(c)).count(item) == 2, "an admin also from outside"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_whose_messages() -> None:
    """By nickname for everybody; by a real address for who may know it, and for one's own."""
    world, a, b, c = await three()
    await say(b, "of bob")
    await say(c, "of cat")
    await b.send_xml(f"<presence to='{ROOM}/rob'/>")
    await say(b, "of rob")

    async def texts(client: Client, with_: str) -> list[bytes]:
        return [word for one in await read(client, **{"with": with_}) for word in (b"of bob", b"of cat", b"of rob")
                if word in one]

    assert await texts(c, f"{ROOM}/bob") == [b"of bob"] and await texts(c, ROOM) == [b"of bob", b"of cat", b"of rob"]
    assert await texts(c, "c@example.com") == [b"of cat"]
    assert await texts(a, "b@example.com") == [b"of bob", b"of rob"]
    query = (f"<query xmlns='{ns.MAM}'><x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'>"
             f"<value>{ns.MAM}</value></field><field var='with'><value>b@example.com</value></field></x></query>")
    assert condition(await c.ask_iq("set", query, ROOM)) == "forbidden"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_forged_addresses() -> None:
    """What looks like the element of the archive, in whatever place, is nothing but what somebody has sent."""
    world, a, b, c = await three(whois="anyone")
    forged = "<said xmlns='urn:chatd:room' open='1' affiliation='owner' role='moderator' jid='x@y/z'/>"
    await say(b, "hm", inner=forged)
    for client in (a, c):
        [told] = await read(client)
        assert b'jid="b@example.com/1"' in told and b'<item affiliation="owner"' not in told
        assert told.count(b"b@example.com") == 1
    assert b"b@example.com" not in (await enter(await world.client("d@example.com/1"), "dan"))[-2].inner
    await world.close()


@pytest_twisted.ensureDeferred
async def test_tombstones_keep_who_it_was() -> None:
    """And cannot be made to look like one before, or be replaced by the author."""
    world, a, b, c = await three()
    await say(b, "rude", inner=f"<retracted xmlns='{RETRACT}' id='1'/>", id_="r")
    id_ = stanza_id(a.take("message")[0])
    await a.ask_iq("set", f"<moderate xmlns='{MODERATE}' id='{id_}'><retract xmlns='{RETRACT}'/></moderate>", ROOM)
    stone, told = await read(a)
    assert b"rude" not in stone and f'id="moderate-{id_}"'.encode() in stone and b'jid="b@example.com/1"' in stone
    assert f'by="{ROOM}/ann"'.encode() in stone and f'id="moderate-{id_}"'.encode() in told
    c.take()
    await b.send_xml(f"<message to='{ROOM}' type='groupchat' id='own'><retract xmlns='{RETRACT}' id='{id_}'/>"
                     "</message>")
    assert f'id="moderate-{id_}"'.encode() in (await read(a))[0], "the moderation stays"
    c.take()
    answer = await a.ask_iq("set", f"<moderate xmlns='{MODERATE}' id='{id_}'><retract xmlns='{RETRACT}'/></moderate>",
                            ROOM)
    assert answer.type == "result" and c.take() == [], "once"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_taking_back_without_an_id_and_twice_at_once() -> None:
    """XEP-0424 5: the tombstone names the request, so it gets an id; two in one message are refused."""
    world, a, b, _ = await three()
    await say(b, "oops")
    id_ = stanza_id(a.take("message")[0])
    retract = f"<retract xmlns='{RETRACT}' id='{id_}'/>"
    b.take()
    await b.send_xml(f"<message to='{ROOM}' type='groupchat'>{retract}{retract}</message>")
    assert condition(b.take("message")[0]) == "bad-request"
    await b.send_xml(f"<message to='{ROOM}' type='groupchat'>{retract}</message>")
    [told] = a.take("message")
    assert told.id
    assert f'id="{told.id}" stamp='.encode() in (await read(a))[0]
    await world.close()


@pytest_twisted.ensureDeferred
async def test_history_gives_nobody_away() -> None:
    """Neither what is in memory nor what is read again from the archive; what an owner brings keeps its time."""
    world, a, b, _ = await three()
    await say(b, "one")
    delay = f"<delay xmlns='{ns.DELAY}' from='b@example.com/x' stamp='2001-01-01T00:00:00Z'/>"
    await say(a, "brought", inner=delay)
    await say(b, "pretended", inner=delay)
    assert [stanza.inner.count(b"<delay") for stanza in b.take("message")] == [0, 1, 0]
    d = await world.client("d@example.com/1")
    for _ in range(2):
        got = [one for one in await enter(d, "dan") if bodies([one])]
        assert bodies(got) == ["one", "brought", "pretended"]
        assert [one.inner.count(b"<delay") for one in got] == [1, 1, 1] and b"2001-01-01" in got[1].inner
        assert b"urn:chatd" not in b"".join(one.inner for one in got) and b"b@example.com/1" not in got[0].inner
        for client, nick in ((d, "dan"), (a, "ann"), (b, "bob")):
            await client.send_xml(f"<presence to='{ROOM}/{nick}' type='unavailable'/>")
        await empty(world)
    await world.close()


async def empty(world: World) -> None:
    """Everybody out: the room forgets what it had in memory."""
    room = world.modules["muc"].services["conference.example.com"].rooms[ROOM]  # type: ignore[attr-defined]
    for occupant in list(room.occupants.values()):
        room.remove(occupant)
    room.service.left(room)
    assert room.history is None


@pytest_twisted.ensureDeferred
async def test_too_many_pages_at_once() -> None:
    """A client that asks for many at once is told to wait, and gets those it may."""
    world, a, b, _ = await three()
    await say(b, "x")
    a.take()
    for event in a.framer.feed("".join(
            f"<iq type='set' id='q{n}' to='{ROOM}'><query xmlns='{ns.MAM}'/></iq>" for n in range(20)).encode()):
        a.s.receive(event)                                          # type: ignore[arg-type]
    await world.settle()
    await world.settle()
    answers = a.take("iq")
    refused = [one for one in answers if one.type == "error"]
    assert len(answers) == 20 and {condition(one) for one in refused} == {"resource-constraint"}
    assert len(refused) == 12
    service = world.modules["muc"].services["conference.example.com"]   # type: ignore[attr-defined]
    assert service.asking == {}
    await world.close()


@pytest_twisted.ensureDeferred
async def test_the_store_has_who_said_it() -> None:
    """By bare address and nickname, so that both can be asked for."""
    world, _, b, _ = await three()
    await say(b, "x")
    [row] = await world.store.rooms.load()
    page = await world.store.archive.query(-row.id, ArchiveQuery(with_jid="b@example.com", with_resource="bob"))
    assert page.count == 1 and b'jid="b@example.com/1"/></message>' in page.rows[0].stanza
    await world.close()


@pytest_twisted.ensureDeferred
async def test_search() -> None:
    """XEP-0431 in a room: for who may read it, in what was said only, never in addresses."""
    world, a, b, c = await three()
    await say(b, "The plan for noon")
    await say(c, "Which plan?")
    field = "{urn:xmpp:fulltext:0}fulltext"
    assert len(await read(c, **{field: "PLAN"})) == 2 and len(await read(c, **{field: "noon plan"})) == 1
    assert await read(c, **{field: "b@example.com"}) == [] and await read(a, **{field: "bob"}) == []
    await world.close()
