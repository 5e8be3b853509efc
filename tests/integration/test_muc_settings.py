"""XEP-0045 10.2, 15.5.3 with slixmpp: each setting of a room, what it does, and how those inside hear of it."""

from __future__ import annotations

from typing import Any

import pytest
from slixmpp.stanza import Message, Presence

from chatd.core import ns
from tests.integration.guests import Guest, codes, real, refused, standing, story, variable
from tests.integration.slix import PATIENCE_S


async def told_codes(who: Guest, room: str) -> set[int]:
    """The status codes of the next message of the room itself."""
    told = await who.message_of(room, lambda one: bool(codes(one)))
    assert told["type"] == "groupchat" and not told["body"]
    return codes(told)


@pytest.mark.parametrize(("name", "value", "shown"), [
    ("roomname", "A Dark Cave", "A Dark Cave"),
    ("roomdesc", "The place for all good witches!", "The place for all good witches!"),
    ("lang", "de", "de"),
    ("persistentroom", False, False),
    ("publicroom", False, False),
    ("membersonly", True, True),
    ("moderatedroom", True, True),
    ("maxusers", "30", "30"),
    ("whois", "anyone", "anyone"),
    ("allowinvites", False, False),
    ("changesubject", True, True),
    ("allowpm", "moderators", "moderators"),
    ("presencebroadcast", ["moderator"], ["moderator"]),
    ("getmemberlist", ["moderator"], ["moderator"]),
    ("maxhistoryfetch", "3", "3"),
    ("enablearchiving", False, False),
    ("enablelogging", False, False),
    ("memberinvites", True, True),
    ("locknicks", True, True),
])
@story("alice")
async def test_a_setting_is_kept(room: str, alice: Guest, name: str, value: Any, shown: Any) -> None:
    """10.2: the form shows what was set; the others have stayed."""
    await alice.make(room, "ann")
    before = await alice.settings(room)
    assert before[variable(name)] != shown
    await alice.configure(room, **{name: value})
    assert await alice.settings(room) == {**before, variable(name): shown}


@story("alice", "bob")
async def test_a_setting_left_out_stays(room: str, alice: Guest, bob: Guest) -> None:
    """10.2: and a field nobody knows does no harm."""
    await alice.make(room, "ann", roomname="Cave", moderatedroom=True)
    await alice.ask("set", f"<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='{ns.DATA}' type='submit'>"
                           "<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>"
                           "<field var='muc#roomconfig_roomdesc'><value>Dark</value></field>"
                           "<field var='muc#roomconfig_nonsense'><value>1</value></field></x></query>", room)
    settings = await alice.settings(room)
    assert settings["muc#roomconfig_roomname"] == "Cave" and settings["muc#roomconfig_roomdesc"] == "Dark"
    assert standing((await bob.enter(room, "bob")).self_presence) == ("none", "visitor")


# -- notifications
@story("alice", "bob")
async def test_those_inside_are_told_of_changes(room: str, alice: Guest, bob: Guest) -> None:
    """10.2.1: 104 for most of them, and nothing where nothing has changed."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await alice.configure(room, roomname="Cave")
    for guest in (alice, bob):
        assert await told_codes(guest, room) == {104}
    await alice.configure(room, roomname="Cave")
    assert [one for one in await bob.until_said(alice, room) if codes(one)] == []


@story("alice", "bob")
async def test_those_inside_are_told_who_sees_their_addresses(room: str, alice: Guest, bob: Guest) -> None:
    """10.2.1: 172 and 173; the addresses are shown, or not any more."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await alice.configure(room, whois="anyone")
    assert 172 in await told_codes(bob, room)
    assert real(await bob.presence(f"{room}/ann")) == alice.boundjid.full
    await alice.configure(room, whois="moderators")
    assert 173 in await told_codes(bob, room)
    assert real(await bob.presence(f"{room}/ann")) == ""


@story("alice", "bob")
async def test_those_inside_are_told_whether_the_room_is_archived(room: str, alice: Guest, bob: Guest) -> None:
    """10.2.1: 171 and 170."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await alice.configure(room, enablearchiving=False)
    assert 171 in await told_codes(bob, room)
    await alice.configure(room, enablearchiving=True)
    assert 170 in await told_codes(bob, room)


# -- what they do
@story("alice", "bob", "carol")
async def test_members_only_puts_the_others_out(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """10.2: 322, for all to see."""
    await alice.make(room, "ann")
    await alice.items(room, f"<item affiliation='member' jid='{carol.boundjid.bare}'/>")
    await bob.enter(room, "bob")
    await carol.enter(room, "carol")
    await alice.configure(room, membersonly=True)
    for guest in (alice, bob, carol):
        gone = await guest.presence(f"{room}/bob", "unavailable")
        assert codes(gone) == ({322, 110} if guest is bob else {322}) and gone["muc"]["role"] == "none"
    carol.say(room, "I am a member")
    await alice.hear("I am a member")
    await alice.configure(room, membersonly=False)
    await bob.enter(room, "bob")


@story("alice", "bob", "carol")
async def test_moderated(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """5.1: who comes without an affiliation is a visitor, a member is not."""
    await alice.make(room, "ann", moderatedroom=True)
    await alice.items(room, f"<item affiliation='member' jid='{carol.boundjid.bare}'/>")
    assert standing((await bob.enter(room, "bob")).self_presence)[1] == "visitor"
    assert standing((await carol.enter(room, "carol")).self_presence)[1] == "participant"


@story("alice", "bob", "carol")
async def test_a_password_set_later_concerns_those_who_come(
        room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """10.2: who is in stays."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await alice.configure(room, passwordprotectedroom=True, roomsecret="sesame")
    assert await refused(carol.enter(room, "carol")) == "not-authorized"
    bob.say(room, "still here")
    await alice.hear("still here")
    await carol.enter(room, "carol", password="sesame")


@story("alice", "bob", "carol")
async def test_who_may_send_private_messages(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """allowpm: moderators are reached all the same."""
    await alice.make(room, "ann", allowpm="moderators")
    await bob.enter(room, "bob")
    await carol.enter(room, "carol")
    bob.send_message(mto=f"{room}/carol", mbody="psst", mtype="chat")
    assert await bob.refusal() == "forbidden"
    alice.send_message(mto=f"{room}/carol", mbody="from above", mtype="chat")
    assert (await carol.message_of(f"{room}/ann", lambda one: one["type"] == "chat"))["body"] == "from above"
    await alice.configure(room, allowpm="anyone")
    bob.send_message(mto=f"{room}/carol", mbody="psst", mtype="chat")
    assert (await carol.message_of(f"{room}/bob"))["body"] == "psst"


@story("alice", "bob", "carol")
async def test_who_may_invite(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """allowinvites: forbidden for others than admins."""
    await alice.make(room, "ann", allowinvites=False)
    await bob.enter(room, "bob")
    bob.muc.invite(room, carol.boundjid.bare)
    assert await bob.refusal() == "forbidden"
    alice.muc.invite(room, carol.boundjid.bare)
    await carol.message_of(room)


@story("alice", "bob", "carol")
async def test_members_invite_members_where_they_may(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """memberinvites, 9.5: whom a member invites becomes one."""
    await alice.make(room, "ann", membersonly=True, memberinvites=True)
    await alice.items(room, f"<item affiliation='member' jid='{bob.boundjid.bare}'/>")
    await bob.enter(room, "bob")
    bob.muc.invite(room, carol.boundjid.bare)
    await carol.message_of(room)
    assert standing((await carol.enter(room, "carol")).self_presence)[0] == "member"


@story("alice", "bob")
async def test_who_has_registered_a_nickname_uses_it(room: str, alice: Guest, bob: Guest) -> None:
    """locknicks, 7.10: who asks for another one gets his own (210), and keeps it."""
    await alice.make(room, "ann", locknicks=True)
    await alice.items(room, f"<item affiliation='member' jid='{bob.boundjid.bare}' nick='robert'/>")
    entered = await bob.enter(room, "bob")
    assert entered.self_presence["from"].resource == "robert" and codes(entered.self_presence) >= {110, 210}
    bob.send_presence(pto=f"{room}/rob")
    assert await bob.refusal() == "not-acceptable"


@story("alice", "bob")
async def test_who_may_read_the_archive_from_outside(room: str, alice: Guest, bob: Guest) -> None:
    """enablelogging: of a room that everybody may enter."""
    await alice.make(room, "ann")
    await alice.says(room, "open words")
    page = await bob.plugin["xep_0313"].retrieve(jid=room, timeout=PATIENCE_S)
    assert len(page["mam"]["results"]) == 1
    await alice.configure(room, enablelogging=False)
    assert await refused(bob.ask("set", f"<query xmlns='{ns.MAM}'/>", room)) == "forbidden"
    await bob.enter(room, "bob")
    await bob.ask("set", f"<query xmlns='{ns.MAM}'/>", room)


@story("alice", "bob", "carol")
async def test_owners_and_admins_are_named_in_the_form(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """10.2: the whole lists; who is left out stays a member, all see it, and no room is left without an owner."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await carol.enter(room, "carol")
    await alice.configure(room, roomowners=[alice.boundjid.bare, bob.boundjid.bare], roomadmins=[carol.boundjid.bare])
    for guest in (alice, bob, carol):
        await guest.next(lambda one: isinstance(one, Presence) and one["from"].resource == "bob"
                         and standing(one) == ("owner", "moderator"))
    assert await alice.muc.get_affiliation_list(room, "admin", timeout=PATIENCE_S) == [carol.boundjid.bare]
    await bob.configure(room, roomowners=[bob.boundjid.bare], roomadmins=[])
    await carol.next(lambda one: isinstance(one, Presence) and one["from"].resource == "ann"
                     and standing(one)[0] == "member")
    assert await refused(alice.settings(room)) == "forbidden"
    assert await refused(bob.configure(room, roomowners=[])) == "conflict"
    assert await bob.muc.get_affiliation_list(room, "admin", timeout=PATIENCE_S) == []


@story("alice", "bob", "carol")
async def test_whose_presence_is_shown(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """presencebroadcast: others see nothing of a participant but hear him; he sees himself and the moderators."""
    await alice.make(room, "ann", presencebroadcast=["moderator"])
    entered = await bob.enter(room, "bob")
    assert codes(entered.self_presence) >= {110}
    assert [one["from"].resource for one in entered.occupants if 110 not in codes(one)] == ["ann"]
    entered = await carol.enter(room, "carol")
    assert [one["from"].resource for one in entered.occupants if 110 not in codes(one)] == ["ann"]
    carol.say(room, "can you see me?")
    came = await bob.until_heard("can you see me?")
    assert [one for one in came if isinstance(one, Presence) and one["from"].resource == "carol"] == []
    carol.muc.leave_muc(room, "carol")
    came = await bob.until_said(alice, room)
    assert [one for one in came if isinstance(one, Presence) and one["from"].resource == "carol"] == []


@story("alice", "bob")
async def test_who_may_read_the_member_list(room: str, alice: Guest, bob: Guest) -> None:
    """getmemberlist, in a room without anonymity."""
    await alice.make(room, "ann", whois="anyone", membersonly=True, getmemberlist=["moderator"])
    await alice.items(room, f"<item affiliation='member' jid='{bob.boundjid.bare}'/>")
    await bob.enter(room, "bob")
    assert await refused(bob.muc.get_affiliation_list(room, "member", timeout=PATIENCE_S)) == "forbidden"
    await alice.configure(room, getmemberlist=["moderator", "participant"])
    assert await bob.muc.get_affiliation_list(room, "member", timeout=PATIENCE_S) == [bob.boundjid.bare]


@story("alice", "bob")
async def test_how_much_history_there_is(room: str, alice: Guest, bob: Guest) -> None:
    """maxhistoryfetch: at most, whatever is asked for."""
    await alice.make(room, "ann", maxhistoryfetch="2")
    for number in range(4):
        await alice.says(room, f"n{number}")
    entered = await bob.enter(room, "bob", maxstanzas=50)
    assert [one["body"] for one in entered.history] == ["n2", "n3"]


@story("alice", "bob")
async def test_without_an_archive_nothing_is_kept(room: str, alice: Guest, bob: Guest) -> None:
    """enablearchiving: what was said before is still there."""
    await alice.make(room, "ann")
    await alice.says(room, "kept")
    await alice.configure(room, enablearchiving=False)
    alice.say(room, "not kept")
    await alice.hear("not kept")
    assert ns.MAM not in (await bob.info(room))["features"]
    await alice.configure(room, enablearchiving=True)
    await bob.enter(room, "bob")
    page = await bob.plugin["xep_0313"].retrieve(jid=room, timeout=PATIENCE_S)
    bodies = [one["mam_result"]["forwarded"]["stanza"]["body"] for one in page["mam"]["results"]]
    assert "not kept" not in bodies and "kept" in bodies


@story("alice", "bob")
async def test_a_temporary_room_ends_with_its_last_occupant(room: str, alice: Guest, bob: Guest) -> None:
    """persistentroom: 7.14, with all that was in it; a persistent one stays."""
    lasting = f"lasting-{room}"
    for one, persistent in ((room, False), (lasting, True)):
        await alice.make(one, "ann", persistentroom=persistent, moderatedroom=True)
        await alice.says(one, "words")
        await bob.enter(one, "bob")
        alice.muc.leave_muc(one, "ann")
        await alice.presence(f"{one}/ann", "unavailable")
        assert "muc_moderated" in (await alice.info(one))["features"]
        bob.muc.leave_muc(one, "bob")
        await bob.presence(f"{one}/bob", "unavailable")
    assert await refused(bob.info(room)) == "item-not-found"
    entered = await bob.make(room, "bob")
    assert 201 in codes(entered.self_presence) and entered.history == []
    entered = await bob.enter(lasting, "bob")
    assert standing(entered.self_presence) == ("none", "visitor")
    assert [one["body"] for one in entered.history] == ["words"]


@story("alice", "bob")
async def test_marks_and_states_are_passed_on_but_are_no_history(room: str, alice: Guest, bob: Guest) -> None:
    """17.2: what clients say beside text goes to everybody and is not shown to who comes later."""
    await alice.make(room, "ann")
    state = alice.make_message(mto=room, mtype="groupchat")
    state["chat_state"] = "composing"
    state.send()
    await alice.next(lambda one: isinstance(one, Message) and one["chat_state"] == "composing")
    assert (await bob.enter(room, "bob")).history == []
