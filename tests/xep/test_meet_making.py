"""Meetings are made by accounts of the domain, found by their id, and end when their time is up."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.meeting import is_meeting_id
from chatd.ctl.output import text_of
from chatd.interfaces import IMediaEngine, IMeetings, IVisits
from tests.xep.media_double import MediaDouble
from tests.xep.meetings import GUESTS, MODULES, SERVICE, Hall, asked, command, enter, entered, ours, refused
from tests.xep.rooms import condition
from tests.xep.world import World

DAY_MS = 86_400_000


def test_the_double_is_one() -> None:
    verifyObject(IMediaEngine, MediaDouble())


@pytest_twisted.ensureDeferred
async def test_made_by_iq() -> None:
    hall = await Hall.open()
    verifyObject(IMeetings, hall.meet)
    verifyObject(IVisits, hall.world.router.visits)
    john = await hall.account("john")
    answer = await john.ask_iq("set", f"<create xmlns='{ns.MEET}' name='Weekly  review' lobby='true'>"
                                      f"<password>swordfish</password></create>", SERVICE)
    made = ours(answer, "meeting")
    assert is_meeting_id(made["id"]) and made["id"].startswith("weekly-review-")
    assert made["room"] == f"{made['id']}@{SERVICE}" and made["link"] == f"https://chat.example.com/meet/{made['id']}"
    assert (made["name"], made["lobby"], made["password"], made["e2ee"]) == ("Weekly review", "true", "true", "false")
    assert not made.hasAttribute("may"), "that is for those inside"
    assert "swordfish" not in answer.inner.decode()
    got = await enter(john, made["room"], "John", "swordfish")
    assert entered(got)
    assert b'affiliation="owner" role="moderator"' in b"".join(stanza.inner for stanza in got)
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_no_two_are_alike() -> None:
    hall = await Hall.open()
    john = await hall.account("john")
    assert len({await hall.make(john) for _ in range(20)}) == 20
    await hall.close()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("inner", "expected"), [
    ("name='x' lobby='maybe'", "bad-request"), ("expires='soon'", "bad-request"),
    ("expires='2020-01-01T00:00:00Z'", "not-acceptable"), (f"name='{'x' * 101}'", "not-acceptable")])
async def test_what_cannot_be_made(inner: str, expected: str) -> None:
    hall = await Hall.open()
    john = await hall.account("john")
    answer = await john.ask_iq("set", f"<create xmlns='{ns.MEET}' {inner}/>", SERVICE)
    assert condition(answer) == expected
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_only_accounts_of_the_domain_make_one() -> None:
    hall = await Hall.open(meetings=1)
    guest = await hall.guest()
    create = f"<create xmlns='{ns.MEET}'/>"
    assert condition(await guest.ask_iq("set", create, SERVICE)) == "not-allowed"
    other = await hall.world.client("eve@example.net/a")
    assert condition(await other.ask_iq("set", create, SERVICE)) == "not-allowed"
    assert condition(await other.ask_iq("get", f"<ticket xmlns='{ns.MEET}'/>", SERVICE)) == "not-allowed"
    john = await hall.account("john")
    await hall.make(john)
    assert condition(await john.ask_iq("set", create, SERVICE)) == "resource-constraint"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_where_nobody_may() -> None:
    hall = await Hall.open(create="nobody")
    john = await hall.account("john")
    assert condition(await john.ask_iq("set", f"<create xmlns='{ns.MEET}'/>", SERVICE)) == "not-allowed"
    made = await hall.meet.create(JID.parse("john@example.com"))
    assert hall.meet.info(made["id"]), "the Webmail may all the same: that is what its key is for"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_presence_makes_none() -> None:
    """Else a name that anybody can guess would be a meeting."""
    hall = await Hall.open()
    john = await hall.account("john")
    for name in ("talk", "talk-" + "a" * 20):
        assert refused(await enter(john, f"{name}@{SERVICE}", "John")) == "item-not-found"
    assert not hall.meet.services[SERVICE].rooms
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_none_is_listed() -> None:
    hall = await Hall.open()
    john = await hall.account("john")
    room = await hall.make(john)
    await enter(john, room, "John")
    items = await john.ask_iq("get", f"<query xmlns='{ns.DISCO_ITEMS}'/>", SERVICE)
    assert room.encode() not in items.inner
    service = await john.ask_iq("get", f"<query xmlns='{ns.DISCO_INFO}'/>", SERVICE)
    assert f'var="{ns.MEET}"'.encode() in service.inner
    about = await john.ask_iq("get", f"<query xmlns='{ns.DISCO_INFO}'/>", room)
    assert f'var="{ns.MEET}"'.encode() in about.inner and b"muc_hidden" in about.inner
    domain = await john.ask_iq("get", f"<query xmlns='{ns.DISCO_ITEMS}'/>", "example.com")
    assert f'jid="{SERVICE}"'.encode() in domain.inner or f"jid='{SERVICE}'".encode() in domain.inner
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_what_the_web_is_told() -> None:
    hall = await Hall.open()
    await hall.account("john")
    made = await hall.meet.create(JID.parse("john@example.com"), "Talk", "p", True)
    assert hall.meet.info(made["id"]) == made
    assert (made["domain"], made["guest_domain"], made["guests"]) == ("example.com", GUESTS, True)
    assert made["password"] is True and made["lobby"] is True and made["since"] is None and made["occupants"] == 0
    assert "p" not in [value for value in made.values() if isinstance(value, str)]
    for id in ("", "talk", made["id"] + "x", made["id"].upper(), "../" + made["id"], made["room"]):
        assert hall.meet.info(id) is None
    with pytest.raises(StanzaError) as caught:
        await hall.meet.create(JID.parse("nobody@example.com"))
    assert caught.value.condition == "item-not-found"
    with pytest.raises(StanzaError):
        await hall.meet.create(JID.parse("john@elsewhere.example"))
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_meetings_survive_a_restart() -> None:
    world = await World.open(*MODULES)
    hall = await Hall.open(world=world)
    john = await hall.account("john")
    room = await hall.make(john, inner="<password>p</password>", e2ee="true")
    await enter(john, room, "John", "p")
    assert await command(john, room, "allow camera='false'/>") == ""
    await john.send_xml(f"<message to='{room}' type='groupchat'><body>kept</body></message>")
    world.modules.pop("meet").stop()
    world.apis.pop("meet").release()
    john.s.directed = None
    hall = await Hall.open(world=world)
    meeting = hall.meeting(room)
    assert meeting.may == ("microphone", "screen", "chat") and meeting.e2ee
    assert meeting.config["password"] == "p" and meeting.creator == "john@example.com"
    again = await hall.account("john", "b")
    got = await enter(again, room, "John", "p")
    assert entered(got) and b"kept" in b"".join(stanza.inner for stanza in got)
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_they_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await World.open(*MODULES)
    clock = [1_800_000_000.0]
    monkeypatch.setattr(world.router, "now", lambda: clock[0])
    hall = await Hall.open(world=world, expire_days=10)
    hall.meet.services[SERVICE].now = lambda: clock[0]
    john = await hall.account("john")
    used, idle = await hall.make(john), await hall.make(john)
    soon = await hall.make(john, expires="2027-01-15T09:00:00Z")      # an hour from then
    clock[0] += 3700
    assert refused(await enter(john, soon, "John")) == "item-not-found", "also before it is swept"
    assert hall.meet.info(JID.parse(soon).local) is None
    await hall.meet._check()
    assert set(hall.meet.services[SERVICE].rooms) == {used, idle}
    clock[0] += 6 * 86_400
    await enter(john, used, "John")
    clock[0] += 5 * 86_400
    await hall.meet._check()
    assert set(hall.meet.services[SERVICE].rooms) == {used}, "nobody is in the other one for 11 days"
    clock[0] += 50 * 86_400
    await hall.meet._check()
    assert used in hall.meet.services[SERVICE].rooms, "somebody is in it"
    await john.send_xml(f"<presence to='{used}/John' type='unavailable'/>")
    clock[0] += 11 * 86_400
    await hall.meet._check()
    assert not hall.meet.services[SERVICE].rooms
    assert await world.store.meetings.load() == []
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_expiring_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A meeting in which something is under way is not deleted under its hands; what comes meanwhile waits for that."""
    hall = await Hall.open()
    service, john = hall.meet.services[SERVICE], await hall.account("john")
    room = await hall.make(john)
    late = service.now() + 400 * 86_400
    monkeypatch.setattr(service, "now", lambda: late)
    under_way: Deferred[None] = Deferred()

    async def job() -> None:
        await under_way

    done = service.run(service.rooms[room], job)
    await hall.meet._check()
    assert room in service.rooms, "its turn comes"
    under_way.callback(None)
    await done
    deleting: Deferred[None] = Deferred()
    delete = service.store.rooms.delete
    monkeypatch.setattr(service.store.rooms, "delete", lambda id: deleting.addCallback(lambda _: delete(id)))
    check = Deferred.fromCoroutine(hall.meet._check())
    john.take()
    await john.send_xml(f"<presence to='{room}/John'><x xmlns='{ns.MUC}'/></presence>")
    assert john.take() == [] and room in service.rooms
    deleting.callback(None)
    await check
    await hall.world.settle()
    assert refused(john.take()) == "item-not-found" and room not in service.rooms
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_the_owner_deletes_one() -> None:
    media = MediaDouble()
    hall = await Hall.open(media)
    john, guest = await hall.account("john"), await hall.guest()
    room = await hall.make(john)
    await enter(john, room, "John")
    await enter(guest, room, "Ada")
    guest.take()
    answer = await john.ask_iq("set", "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>", room)
    assert answer.type == "result"
    assert b"<destroy" in b"".join(stanza.inner for stanza in guest.take())
    assert ("delete", room) in media.asked
    assert refused(await enter(guest, room, "Ada")) == "item-not-found"
    assert condition(await asked(guest, room, "meeting")) == "item-not-found"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_an_account_that_is_deleted_leaves_no_owner_behind() -> None:
    hall = await Hall.open()
    john = await hall.account("john")
    room = await hall.make(john)
    account = john.s.account
    john.s.close(None)
    hall.world.router.hooks.tell("account.deleted", account)
    await hall.world.settle()
    assert room not in hall.meet.services[SERVICE].rooms
    await hall.close()


# As chatd/bridge/inspection.py tells it, through JSON's numbers.
FLOW = {
    "track": "TR_1", "from": "a@b/c", "name": "John", "kind": "video", "source": "camera", "codec": "h264",
    "muted": False, "malformed": 0.0,
    "layers": [{"rank": 1.0, "codec": "h264", "bps": 480_000.0, "packets": 2.0, "since_s": 0.1, "keyframes": 1.0,
                "keyframe_s": 3.2, "asked": 1.0, "loss": 0.0, "size": "640x360", "inside": {}}],
    "to": [{"who": "x", "name": "Ada", "state": "flows", "codec": "h264", "rank": 1.0, "wanted": 2.0, "allowed": 2.0,
            "awaited": None, "bps": 480_000.0, "packets": 1.0, "since_s": 0.1, "asked": 0.0, "resent": 0.0,
            "refused": 0.0, "line_bps": 952_928.0, "is_sure": False, "loss": 0.02, "round_trip_s": 0.1},
           {"who": "y", "name": "Eve", "state": "unbound"}]}


@pytest_twisted.ensureDeferred
async def test_chatctl() -> None:
    hall = await Hall.open(MediaDouble())
    john, guest = await hall.account("john"), await hall.guest()
    room, other = await hall.make(john, "Talk"), await hall.make(john, "Other")
    await enter(john, room, "John")
    await enter(guest, room, "Ada")
    commands = {one.words: one.run for one in hall.world.apis["meet"].commands}
    listed = commands["meeting list"]({})
    assert [row["name"] for row in listed] == ["Talk", "Other"] and listed[0]["occupants"] == 2
    assert commands["meeting list"]({"account": "eve@example.com"}) == []
    id = JID.parse(room).local
    for named in (id, room, f"https://chat.example.com/meet/{id}", f"https://chat.example.com/meet/{id}#key=abc"):
        assert commands["meeting show"]({"meeting": named})["room"] == room
    shown = commands["meeting show"]({"meeting": id})
    assert shown["creator"] == "john@example.com" and len(shown["people"]) == 2 and shown["allowed"]
    for named in ("", "x", f"{id}@meet.example.net", None):
        with pytest.raises(StanzaError):
            commands["meeting show"]({"meeting": named})
    assert await commands["meeting media"]({"meeting": id}) == []
    hall.media.flows = [FLOW]
    comes, goes, stands = await commands["meeting media"]({"meeting": id})
    assert (comes["from"], comes["to"], comes["state"], comes["kbit_s"]) == ("John", "", "comes", 480.0)
    assert (goes["to"], goes["state"], goes["layer"], goes["line_kbit_s"]) == ("Ada", "flows", 1, 952.928)
    assert (stands["to"], stands["state"], stands["layer"], stands["kbit_s"]) == ("Eve", "unbound", None, 0.0)
    table = text_of("meeting media", [comes, goes, stands]).splitlines()
    assert table[2].split() == ["John", "camera", "h264", "Ada", "flows", "1", "480", "0.1", "-", "953", "0.02"]
    hall.media.broken = True
    with pytest.raises(StanzaError):
        await commands["meeting media"]({"meeting": id})
    hall.media.broken = False
    guest.take()
    assert await commands["meeting end"]({"meeting": id}) == {"id": id, "occupants": 2}
    await hall.world.settle()
    assert b"<ended" in b"".join(stanza.inner for stanza in guest.take())
    await commands["meeting delete"]({"meeting": other})
    assert set(hall.meet.services[SERVICE].rooms) == {room}
    await hall.close()

