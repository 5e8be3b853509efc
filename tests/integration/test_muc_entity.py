"""XEP-0045 6, entity use cases, with slixmpp: what can be learnt of the service and its rooms without entering one."""

from __future__ import annotations

from typing import Any

from chatd.core import ns
from tests.daemon import DOMAIN
from tests.integration.guests import SERVICE, Guest, refused, story
from tests.integration.slix import PATIENCE_S


def form_of(info: Any) -> dict[str, str]:
    """The fields of the extended information."""
    return {field.get("var"): field.findtext(f"{{{ns.DATA}}}value", "")
            for field in info.xml.iter(f"{{{ns.DATA}}}field")}


@story("alice")
async def test_the_service_is_found_among_its_domains_items(room: str, alice: Guest) -> None:
    """6.1"""
    assert SERVICE in await alice.found(DOMAIN)


@story("alice")
async def test_the_service_says_what_it_is(room: str, alice: Guest) -> None:
    """6.2"""
    info = await alice.info(SERVICE)
    assert ("conference", "text") in {identity[:2] for identity in info["identities"]}
    assert {ns.MUC, "http://jabber.org/protocol/muc#stable_id", "urn:xmpp:occupant-id:0"} <= set(info["features"])


@story("alice", "bob")
async def test_public_rooms_are_listed_and_hidden_ones_not(room: str, alice: Guest, bob: Guest) -> None:
    """6.3"""
    hidden, locked = f"hidden-{room}", f"locked-{room}"
    await alice.make(room, "ann", roomname="For all")
    await alice.make(hidden, "ann", publicroom=False)
    await alice.enter(locked, "ann")
    found = await bob.found(SERVICE)
    assert room in found and hidden not in found and locked not in found
    await alice.configure(hidden, publicroom=True)
    assert hidden in await bob.found(SERVICE)


@story("alice", "bob")
async def test_the_list_of_rooms_comes_in_pages(room: str, alice: Guest, bob: Guest) -> None:
    """6.3, XEP-0059"""
    made = [f"{number}-{room}" for number in range(5)]
    for one in made:
        await alice.make(one, "ann")
    pages = []
    iterator = await bob.plugin["xep_0030"].get_items(jid=SERVICE, iterator=True)
    iterator.amount = 2
    async for page in iterator:
        pages.append([str(item[0]) for item in page["disco_items"]["items"]])
    assert len(pages) >= 3 and all(len(page) <= 2 for page in pages)
    listed = [jid for page in pages for jid in page]
    assert len(listed) == len(set(listed)) and set(made) <= set(listed)


@story("alice", "bob")
async def test_a_room_says_what_it_is_like(room: str, alice: Guest, bob: Guest) -> None:
    """6.4: the features change with the settings."""
    await alice.make(room, "ann", roomname="The attic", roomdesc="Where old things are", lang="en")
    alice.muc.set_subject(room, "Dust")
    await alice.next(lambda one: one["subject"] == "Dust")
    info = await bob.info(room)
    assert [(kind, sort, name) for kind, sort, _, name in info["identities"]] == [("conference", "text", "The attic")]
    assert {ns.MUC, "muc_persistent", "muc_public", "muc_open", "muc_unmoderated", "muc_unsecured",
            "muc_semianonymous", "http://jabber.org/protocol/muc#stable_id", ns.MAM, ns.VCARD,
            "http://jabber.org/protocol/muc#self-ping-optimization"} <= set(info["features"])
    form = form_of(info)
    assert form["FORM_TYPE"] == "http://jabber.org/protocol/muc#roominfo"
    assert form["muc#roominfo_description"] == "Where old things are"
    assert form["muc#roominfo_subject"] == "Dust" and form["muc#roominfo_occupants"] == "1"
    assert form["muc#roominfo_lang"] == "en"
    await alice.configure(room, persistentroom=False, publicroom=False, membersonly=True, moderatedroom=True,
                          passwordprotectedroom=True, roomsecret="sesame", whois="anyone")
    features = set((await bob.info(room))["features"])
    assert {"muc_temporary", "muc_hidden", "muc_membersonly", "muc_moderated", "muc_passwordprotected",
            "muc_nonanonymous"} <= features
    assert features.isdisjoint({"muc_persistent", "muc_public", "muc_open", "muc_unmoderated", "muc_unsecured",
                                "muc_semianonymous"})


@story("bob")
async def test_a_room_that_is_not_there_says_so(room: str, bob: Guest) -> None:
    """6.4"""
    assert await refused(bob.info(room)) == "item-not-found"


@story("alice", "bob")
async def test_who_is_in_a_room_is_told_to_occupants_only(room: str, alice: Guest, bob: Guest) -> None:
    """6.5: the list is private, so it is empty for the others."""
    await alice.make(room, "ann")
    assert await bob.found(room) == set()
    await bob.enter(room, "bob")
    assert await bob.found(room) == {f"{room}/ann", f"{room}/bob"}


@story("alice", "bob", "carol")
async def test_an_occupant_is_asked_through_the_room_and_by_occupants_only(
        room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """6.6, 6.7: the answer is that of the client, under its address in the room."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    answer = await bob.plugin["xep_0030"].get_info(jid=f"{room}/ann", timeout=PATIENCE_S, cached=False)
    assert ns.MUC in answer["disco_info"]["features"] and answer["from"].full == f"{room}/ann"
    assert await refused(bob.info(f"{room}/nobody")) == "item-not-found"
    assert await refused(carol.info(f"{room}/ann")) == "bad-request"


@story("alice", "bob")
async def test_the_nickname_kept_for_one_is_told(room: str, alice: Guest, bob: Guest) -> None:
    """7.12: to its owner alone."""
    await alice.make(room, "ann")
    assert list((await bob.info(room, "x-roomuser-item"))["identities"]) == []
    await alice.items(room, f"<item affiliation='member' jid='{bob.boundjid.bare}' nick='robert'/>")
    identities = (await bob.info(room, "x-roomuser-item"))["identities"]
    assert [(kind, sort, name) for kind, sort, _, name in identities] == [("conference", "text", "robert")]
    assert list((await alice.info(room, "x-roomuser-item"))["identities"]) == []
