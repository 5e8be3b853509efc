"""XEP-0045 8, moderator use cases, with slixmpp: subject, kick, voice."""

from __future__ import annotations

from chatd.core import ns
from tests.integration.guests import ADMIN, Guest, actor_and_reason, codes, refused, standing, story
from tests.integration.slix import PATIENCE_S


# -- 8.1 subject
@story("alice", "bob")
async def test_a_moderator_changes_the_subject(room: str, alice: Guest, bob: Guest) -> None:
    """8.1: all are told, by the address of who did it; an empty one takes it away."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    alice.muc.set_subject(room, "Fire Burn and Cauldron Bubble!")
    for guest in (alice, bob):
        told = await guest.next(lambda one: one["subject"] == "Fire Burn and Cauldron Bubble!")
        assert told["from"].full == f"{room}/ann" and told["type"] == "groupchat" and not told["body"]
    alice.send_raw(f"<message to='{room}' type='groupchat'><subject/></message>")
    await bob.next(lambda one: one.xml.find("{jabber:client}subject") is not None and not one["subject"])
    bob.muc.leave_muc(room, "bob")
    assert not (await bob.enter(room, "bob")).subject["subject"]


@story("alice", "bob")
async def test_others_change_the_subject_where_the_room_allows_it(room: str, alice: Guest, bob: Guest) -> None:
    """8.1: forbidden else."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    bob.muc.set_subject(room, "mine")
    assert await bob.refusal() == "forbidden"
    await alice.configure(room, changesubject=True)
    bob.muc.set_subject(room, "mine")
    assert (await alice.next(lambda one: one["subject"] == "mine"))["from"].full == f"{room}/bob"


@story("alice", "bob")
async def test_a_message_with_a_subject_is_a_message(room: str, alice: Guest, bob: Guest) -> None:
    """8.1: only without text and thread it changes the room's."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    alice.send_message(mto=room, mbody="text", msubject="not the room's", mtype="groupchat")
    await bob.hear("text")
    alice.send_raw(f"<message to='{room}' type='groupchat'><subject>nor this</subject><thread>t</thread></message>")
    await bob.until_said(alice, room)
    bob.muc.leave_muc(room, "bob")
    assert not (await bob.enter(room, "bob")).subject["subject"]


# -- 8.2 kick
@story("alice", "bob", "carol")
async def test_a_moderator_kicks(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """8.2: 307 with who and why, for all; one may come back."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await carol.enter(room, "carol")
    await alice.muc.set_role(room, "bob", "none", reason="Avaunt, you cullion!", timeout=PATIENCE_S)
    for guest in (alice, bob, carol):
        gone = await guest.presence(f"{room}/bob", "unavailable")
        assert codes(gone) == ({307, 110} if guest is bob else {307})
        assert standing(gone) == ("none", "none") and actor_and_reason(gone) == ("ann", "Avaunt, you cullion!")
    bob.say(room, "but")
    assert await bob.refusal() == "not-acceptable"
    await bob.enter(room, "bob")


@story("alice", "bob")
async def test_all_clients_of_an_occupant_are_kicked(room: str, alice: Guest, bob: Guest) -> None:
    """8.2, 7.2.8"""
    await alice.make(room, "ann")
    async with Guest(bob.daemon, "bob") as phone:
        await bob.enter(room, "bob")
        await phone.enter(room, "bob")
        await alice.muc.set_role(room, "bob", "none", timeout=PATIENCE_S)
        for client in (bob, phone):
            assert codes(await client.presence(f"{room}/bob", "unavailable")) == {307, 110}


@story("alice", "bob", "carol")
async def test_who_may_not_kick_whom(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """8.2: participants nobody, moderators nobody of a higher affiliation, and nobody who is not there."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await carol.enter(room, "carol")
    assert await refused(bob.muc.set_role(room, "carol", "none", timeout=PATIENCE_S)) == "forbidden"
    await alice.muc.set_role(room, "bob", "moderator", timeout=PATIENCE_S)
    assert await refused(bob.muc.set_role(room, "ann", "none", timeout=PATIENCE_S)) == "not-allowed"
    assert await refused(bob.muc.set_role(room, "nobody", "none", timeout=PATIENCE_S)) == "item-not-found"
    await bob.muc.set_role(room, "carol", "none", timeout=PATIENCE_S)
    await carol.presence(f"{room}/carol", "unavailable")


# -- 8.3, 8.4 voice
@story("alice", "bob")
async def test_voice_is_given_and_taken(room: str, alice: Guest, bob: Guest) -> None:
    """8.3, 8.4: all are told, with the reason."""
    await alice.make(room, "ann", moderatedroom=True)
    await bob.enter(room, "bob")
    await alice.presence(f"{room}/bob")
    await alice.muc.set_role(room, "bob", "participant", reason="A worthy witch indeed!", timeout=PATIENCE_S)
    for guest in (alice, bob):
        shown = await guest.next(lambda one: standing(one)[1] == "participant")
        assert shown["from"].full == f"{room}/bob"
        assert actor_and_reason(shown)[1] == "A worthy witch indeed!"
    bob.say(room, "I speak")
    await alice.hear("I speak")
    await alice.muc.set_role(room, "bob", "visitor", reason="Not so worthy after all!", timeout=PATIENCE_S)
    for guest in (alice, bob):
        shown = await guest.next(lambda one: standing(one)[1] == "visitor")
        assert actor_and_reason(shown)[1] == "Not so worthy after all!"
    bob.say(room, "and now?")
    assert await bob.refusal() == "forbidden"


@story("alice", "bob", "carol")
async def test_voice_is_not_taken_from_those_above(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """8.4: not-allowed; admins and owners always have it."""
    await alice.make(room, "ann")
    await alice.items(room, f"<item affiliation='admin' jid='{bob.boundjid.bare}'/>")
    await bob.enter(room, "bob")
    await carol.enter(room, "carol")
    await alice.muc.set_role(room, "carol", "moderator", timeout=PATIENCE_S)
    for nick in ("ann", "bob"):
        assert await refused(carol.muc.set_role(room, nick, "visitor", timeout=PATIENCE_S)) == "not-allowed"
    assert await refused(alice.muc.set_role(room, "bob", "visitor", timeout=PATIENCE_S)) == "not-allowed"


# -- 8.5 voice list
@story("alice", "bob", "carol")
async def test_the_voice_list_is_read_and_changed(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """8.5: nickname, role, affiliation and full address of each; what is sent back is the difference."""
    await alice.make(room, "ann", moderatedroom=True)
    await bob.enter(room, "bob")
    await carol.enter(room, "carol")
    assert await alice.muc.get_roles_list(room, "participant", timeout=PATIENCE_S) == []
    await alice.give_roles(room, ("bob", "participant"), ("carol", "participant"))
    listed = await alice.listed(room, "<item role='participant'/>")
    assert listed == [
        {"affiliation": "none", "role": "participant", "nick": guest.name, "jid": guest.boundjid.full}
        for guest in (bob, carol)]
    await alice.give_roles(room, ("bob", "visitor"))
    assert await alice.muc.get_roles_list(room, "participant", timeout=PATIENCE_S) == ["carol"]
    assert await alice.muc.get_roles_list(room, "visitor", timeout=PATIENCE_S) == ["bob"]


@story("alice", "bob")
async def test_the_lists_of_roles_are_for_moderators(room: str, alice: Guest, bob: Guest) -> None:
    """8, 8.5: forbidden for the others, also to change."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    assert await refused(bob.muc.get_roles_list(room, "participant", timeout=PATIENCE_S)) == "forbidden"
    assert await refused(bob.give_roles(room, ("ann", "visitor"))) == "forbidden"


@story("alice", "bob", "carol")
async def test_one_wrong_item_of_a_list_stops_all(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """8.5: nothing is changed by halves."""
    await alice.make(room, "ann", moderatedroom=True)
    await bob.enter(room, "bob")
    wrong = (("bob", "participant"), ("nobody", "participant"))
    assert await refused(alice.give_roles(room, *wrong)) == "item-not-found"
    assert await alice.muc.get_roles_list(room, "visitor", timeout=PATIENCE_S) == ["bob"]


@story("alice", "bob")
async def test_requests_that_make_no_sense(room: str, alice: Guest, bob: Guest) -> None:
    """17.4: role and affiliation in one item, neither, unknown words, nothing at all."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    for items in ("<item nick='bob' role='visitor' affiliation='member'/>", "<item nick='bob'/>", "",
                  "<item nick='bob' role='king'/>", f"<item jid='{bob.boundjid.bare}' affiliation='king'/>"):
        assert await refused(alice.items(room, items)) == "bad-request", items
    for item in ("<item/>", "<item role='king'/>", "<item role='visitor'/><item role='participant'/>", ""):
        assert await refused(alice.listed(room, item)) == "bad-request", item
    assert await refused(alice.items(f"nowhere-{room}", "<item nick='bob' role='none'/>")) == "item-not-found"
    assert await refused(alice.ask("set", f"<nonsense xmlns='{ADMIN}'/>", room)) == "service-unavailable"
    assert ns.MUC in (await alice.info(room))["features"]
