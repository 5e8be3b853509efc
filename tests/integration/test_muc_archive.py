"""The archive of a room, XEP-0313 with slixmpp: paging, ids, times, who may read it, what is taken back."""

from __future__ import annotations

from itertools import count
from typing import Any

from slixmpp import JID

from chatd.core import ns
from tests.integration.guests import Guest, part, refused, story
from tests.integration.slix import PATIENCE_S

_serial = count(1)
RETRACT = "urn:xmpp:message-retract:1"


async def page(who: Guest, room: str, **options: Any) -> Any:
    """One page; raises IqError."""
    answer = await who.plugin["xep_0313"].retrieve(jid=room, timeout=PATIENCE_S, **options)
    assert answer["type"] == "result"
    return answer


def messages(answer: Any) -> list[Any]:
    """The archived messages of a page."""
    return [one["mam_result"]["forwarded"]["stanza"] for one in answer["mam"]["results"]]


def ids(answer: Any) -> list[str]:
    """The ids of a page."""
    return [one["mam_result"]["id"] for one in answer["mam"]["results"]]


async def query(who: Guest, room: str, other: Guest, inner: str) -> tuple[Any, list[str]]:
    """The end of a query as it is written here, and the ids that came; `other` is in the room, too."""
    name = f"q{next(_serial)}"
    answer = await who.ask("set", f"<query xmlns='{ns.MAM}' queryid='{name}'>{inner}</query>", room)
    found = [part(one, ns.MAM, "result") for one in await who.until_said(other, room)]
    return answer, [one.get("id", "") for one in found if one is not None and one.get("queryid") == name]


async def fill(who: Guest, room: str, most: int) -> list[str]:
    """Makes a room in which n0, n1, ... were said; the ids that those present were told."""
    await who.make(room, who.name)
    return [await who.says(room, f"n{number}") for number in range(most)]


@story("alice")
async def test_ids_are_those_that_everybody_was_told(room: str, alice: Guest) -> None:
    """XEP-0313 5.1.2, XEP-0359: by the room; what is archived is from the occupant's address."""
    said = await fill(alice, room, 3)
    answer = await page(alice, room)
    assert ids(answer) == said
    assert [(one["from"].full, one["body"], one["type"]) for one in messages(answer)] == [
        (f"{room}/alice", f"n{number}", "groupchat") for number in range(3)]
    for result in answer["mam"]["results"]:
        assert result["from"].full == room and result["mam_result"]["forwarded"]["delay"]["stamp"]
    assert answer["mam_fin"]["complete"] in (True, "true")


@story("alice", "bob")
async def test_pages_forwards_and_backwards(room: str, alice: Guest, bob: Guest) -> None:
    """XEP-0059: nothing twice, nothing left out, the count and the end are told."""
    said = await fill(alice, room, 7)
    await bob.enter(room, "bob")
    first = await page(bob, room, rsm={"max": 3})
    assert ids(first) == said[:3] and first["mam_fin"]["rsm"]["count"] == "7"
    assert first["mam_fin"]["rsm"]["first"] == said[0] and first["mam_fin"]["rsm"]["last"] == said[2]
    second = await page(bob, room, rsm={"max": 3, "after": said[2]})
    assert ids(second) == said[3:6]
    third = await page(bob, room, rsm={"max": 3, "after": said[5]})
    assert ids(third) == said[6:] and third["mam_fin"]["complete"] in (True, "true")
    read = [one["mam_result"]["id"] async for one in bob.plugin["xep_0313"].iterate(jid=room, rsm={"max": 2})]
    assert read == said
    before, backwards = "", list[str]()
    while not backwards or backwards[0] != said[0]:
        answer, found = await query(bob, room, alice, f"<set xmlns='{ns.RSM}'><max>3</max><before>{before}</before>"
                                                      "</set>")
        backwards = found + backwards
        before = answer["mam_fin"]["rsm"]["first"]
    assert backwards == said
    assert await refused(page(bob, room, rsm={"max": 3, "after": "12345"})) == "item-not-found"


@story("alice")
async def test_a_span_of_time(room: str, alice: Guest) -> None:
    """XEP-0313 4.1.2"""
    said = await fill(alice, room, 5)
    answer = await page(alice, room)
    stamps = [one["mam_result"]["forwarded"]["delay"]["stamp"] for one in answer["mam"]["results"]]
    assert ids(await page(alice, room, start=stamps[2])) == said[2:]
    assert ids(await page(alice, room, end=stamps[2])) == said[:3]
    assert ids(await page(alice, room, start=stamps[1], end=stamps[3])) == said[1:4]


@story("alice", "bob")
async def test_what_one_occupant_said(room: str, alice: Guest, bob: Guest) -> None:
    """XEP-0313 4.1.1: with an address in the room."""
    await fill(alice, room, 2)
    await bob.enter(room, "bob")
    id_ = await bob.says(room, "mine")
    assert ids(await page(alice, room, with_jid=f"{room}/bob")) == [id_]
    assert len(ids(await page(alice, room, with_jid=room))) == 3


@story("alice")
async def test_by_ids(room: str, alice: Guest) -> None:
    """XEP-0313 4.1.4: also with bounds; an unknown one is an error."""
    said = await fill(alice, room, 4)

    async def found(fields: str) -> list[str]:
        fields = f"<field var='FORM_TYPE'><value>{ns.MAM}</value></field>{fields}"
        return (await query(alice, room, alice, f"<x xmlns='{ns.DATA}' type='submit'>{fields}</x>"))[1]

    assert await found(f"<field var='ids'><value>{said[0]}</value><value>{said[2]}</value></field>") == [
        said[0], said[2]]
    assert await found(f"<field var='after-id'><value>{said[0]}</value></field>"
                       f"<field var='before-id'><value>{said[3]}</value></field>") == said[1:3]
    assert await refused(found("<field var='ids'><value>1</value></field>")) == "item-not-found"
    fields = (await alice.plugin["xep_0313"].get_fields(jid=room, timeout=PATIENCE_S)).get_fields()
    assert {"start", "end", "with", "ids", "before-id", "after-id"} <= set(fields)


@story("alice")
async def test_the_first_and_the_last(room: str, alice: Guest) -> None:
    """XEP-0313 5.2, metadata."""
    said = await fill(alice, room, 3)
    answer = await alice.plugin["xep_0313"].get_archive_metadata(jid=room, timeout=PATIENCE_S)
    assert answer["mam_metadata"]["start"]["id"] == said[0] and answer["mam_metadata"]["end"]["id"] == said[2]


@story("alice", "bob", "carol")
async def test_who_may_read(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """XEP-0313 3.1: those who are in, members from outside; not strangers to a closed room, not outcasts."""
    said = await fill(alice, room, 2)
    await alice.configure(room, membersonly=True)
    await alice.items(room, f"<item affiliation='member' jid='{bob.boundjid.bare}'/>")
    assert ids(await page(bob, room)) == said
    assert await refused(page(carol, room)) == "forbidden"
    await alice.configure(room, membersonly=False, passwordprotectedroom=True, roomsecret="sesame")
    assert await refused(page(carol, room)) == "forbidden"
    await carol.enter(room, "carol", password="sesame")
    assert ids(await page(carol, room)) == said
    await alice.muc.set_affiliation(room, "outcast", jid=carol.boundjid.bare, timeout=PATIENCE_S)
    await carol.presence(f"{room}/carol", "unavailable")
    assert await refused(page(carol, room)) == "forbidden"
    assert await refused(page(carol, f"nowhere-{room}")) == "item-not-found"


@story("alice", "bob")
async def test_a_subject_is_archived_and_a_private_message_is_not(room: str, alice: Guest, bob: Guest) -> None:
    """XEP-0313 5.1.2"""
    await fill(alice, room, 1)
    await bob.enter(room, "bob")
    alice.muc.set_subject(room, "Dust")
    await bob.next(lambda one: one["subject"] == "Dust")
    alice.send_message(mto=f"{room}/bob", mbody="psst", mtype="chat")
    await bob.next(lambda one: one["body"] == "psst")
    kept = messages(await page(bob, room))
    assert [one["body"] or one["subject"] for one in kept] == ["n0", "Dust"]


@story("alice", "bob", "carol")
async def test_the_archive_gives_no_real_addresses_away(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """XEP-0313 5.1.2: only those who may see them find them there, whatever clients put into their messages."""
    await fill(alice, room, 1)
    await bob.enter(room, "bob")
    await carol.enter(room, "carol")
    bob.send_raw(f"<message to='{room}' type='groupchat'><body>x</body><x xmlns='{ns.MUC_USER}'><item "
                 f"jid='{alice.boundjid.bare}'/></x><stanza-id xmlns='{ns.SID}' by='{room}' id='1'/>"
                 "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/></message>")
    heard = await carol.hear("x")
    for one in (heard, messages(await page(carol, room))[-1]):
        assert alice.boundjid.bare not in str(one) and bob.boundjid.bare not in str(one) and "forged" not in str(one)
    assert heard["stanza_id"]["id"] != "1"
    for_moderator = str(messages(await page(alice, room))[-1])
    assert bob.boundjid.bare in for_moderator and alice.boundjid.bare not in for_moderator
    assert "forged" not in for_moderator


# -- XEP-0424, XEP-0425
@story("alice", "bob")
async def test_a_message_is_taken_back_by_its_author(room: str, alice: Guest, bob: Guest) -> None:
    """XEP-0424 5: all are told, the archive has a tombstone, who comes later is not shown it."""
    said = await fill(alice, room, 2)
    await bob.enter(room, "bob")
    alice.plugin["xep_0424"].send_retraction(room, said[0], mtype="groupchat")
    told = await bob.next(lambda one: part(one, RETRACT, "retract") is not None)
    assert told["from"].full == f"{room}/alice" and told["retract"]["id"] == said[0]
    stones = messages(await page(bob, room))
    assert "n0" not in str(stones[0]) and part(stones[0], RETRACT, "retracted") is not None
    assert stones[0]["from"].full == f"{room}/alice" and stones[1]["body"] == "n1"
    bob.muc.leave_muc(room, "bob")
    shown = [one["body"] for one in (await bob.enter(room, "bob")).history]
    assert "n0" not in shown and "n1" in shown


@story("alice", "bob")
async def test_a_message_is_not_taken_back_by_others(room: str, alice: Guest, bob: Guest) -> None:
    """XEP-0424 7: forbidden."""
    said = await fill(alice, room, 1)
    await bob.enter(room, "bob")
    bob.plugin["xep_0424"].send_retraction(room, said[0], mtype="groupchat")
    assert await bob.refusal() == "forbidden"
    assert messages(await page(bob, room))[0]["body"] == "n0"


@story("alice", "bob")
async def test_the_author_takes_back_under_another_nickname(room: str, alice: Guest, bob: Guest) -> None:
    """XEP-0424 5, XEP-0421: the occupant id says who it is."""
    await fill(alice, room, 1)
    await bob.enter(room, "bob")
    id_ = await bob.says(room, "oops")
    await bob.muc.set_self_nick(room, "rob", timeout=PATIENCE_S)
    bob.plugin["xep_0424"].send_retraction(room, id_, mtype="groupchat")
    await alice.next(lambda one: part(one, RETRACT, "retract") is not None)
    assert "oops" not in str(messages(await page(alice, room))[1])


@story("alice", "bob", "carol")
async def test_a_moderator_takes_a_message_back(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """XEP-0425: all are told by the room, by whom and why; the archive has a tombstone."""
    await fill(alice, room, 1)
    await bob.enter(room, "bob")
    await carol.enter(room, "carol")
    id_ = await bob.says(room, "spam")
    assert "urn:xmpp:message-moderate:1" in (await bob.info(room))["features"]
    assert await refused(carol.plugin["xep_0425"].moderate(JID(room), id_, timeout=PATIENCE_S)) == "forbidden"
    assert await refused(alice.plugin["xep_0425"].moderate(JID(room), "1", timeout=PATIENCE_S)) == "item-not-found"
    await alice.plugin["xep_0425"].moderate(JID(room), id_, "Advertising", timeout=PATIENCE_S)
    for guest in (alice, bob, carol):
        told = await guest.next(lambda one: part(one, RETRACT, "retract") is not None)
        assert told["from"].full == room and told["type"] == "groupchat" and told["retract"]["id"] == id_
        assert told["retract"]["moderated"]["by"] == f"{room}/alice" and told["retract"]["reason"] == "Advertising"
    stone = messages(await page(bob, room))[1]
    assert "spam" not in str(stone) and stone["from"].full == f"{room}/bob"
    retracted = part(stone, RETRACT, "retracted")
    assert retracted is not None and retracted.findtext(f"{{{RETRACT}}}reason") == "Advertising"
    assert retracted.find("{urn:xmpp:message-moderate:1}moderated") is not None
    async with Guest(bob.daemon, "dora") as dora:
        assert "spam" not in [one["body"] for one in (await dora.enter(room, "dora")).history]
