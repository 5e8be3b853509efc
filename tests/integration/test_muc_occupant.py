"""XEP-0045 7, occupant use cases, with slixmpp: talking, nicknames, presence, registering, voice, leaving.

How a room is entered is in test_muc_entering.py, how people are invited in test_muc_inviting.py.
"""

from __future__ import annotations

import pytest
from slixmpp.stanza import Message, Presence

from chatd.core import ns
from tests.daemon import DOMAIN
from tests.integration.guests import (
    PLAIN_PLUGINS,
    Guest,
    codes,
    form_fields,
    part,
    real,
    refused,
    standing,
    story,
)
from tests.integration.slix import PATIENCE_S, befriend

REGISTER = "jabber:iq:register"
REGISTER_FORM = "http://jabber.org/protocol/muc#register"


# -- 7.4 messages to everybody
@story("alice", "bob", "carol")
async def test_a_message_goes_to_everybody_under_its_own_id(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """7.4: also back to the sender; what is in it goes along."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await carol.enter(room, "carol")
    sent = bob.make_message(mto=room, mbody="Harpier cries", mtype="groupchat")
    sent["id"] = "my-own-id"
    sent["chat_state"] = "active"
    sent.send()
    for guest in (alice, bob, carol):
        heard = await guest.hear("Harpier cries")
        assert heard["from"].full == f"{room}/bob" and heard["id"] == "my-own-id"
        assert heard["to"].full == guest.boundjid.full and heard["chat_state"] == "active"
        assert heard["stanza_id"]["by"] == room and heard["stanza_id"]["id"]


@story("alice", "bob", "carol")
async def test_who_has_no_voice_or_is_not_there_is_not_heard(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """7.4, 17.2: visitors get forbidden, others not-acceptable; nobody hears it."""
    await alice.make(room, "ann", moderatedroom=True)
    await bob.enter(room, "bob")
    bob.say(room, "let me speak")
    assert await bob.refusal() == "forbidden"
    carol.say(room, "let me in")
    assert await carol.refusal() == "not-acceptable"
    assert [one["body"] for one in await alice.until_said(alice, room) if one["body"]] == []
    carol.say(f"nowhere-{room}", "hello?")
    assert await carol.refusal() == "item-not-found"


@story("alice")
async def test_a_message_to_the_room_needs_its_type(room: str, alice: Guest) -> None:
    """17.2: a chat message to everybody is refused."""
    await alice.make(room, "ann")
    alice.send_message(mto=room, mbody="oops", mtype="chat")
    assert await alice.refusal() == "bad-request"


# -- 7.5 private messages
@story("alice", "bob", "carol")
async def test_a_private_message_reaches_one_occupant_only(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """7.5: from the address in the room, marked as of a room."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await carol.enter(room, "carol")
    alice.send_message(mto=f"{room}/bob", mbody="psst", mtype="chat")
    told = await bob.message_of(f"{room}/ann")
    assert told["body"] == "psst" and told["type"] == "chat" and part(told, ns.MUC_USER, "x") is not None
    assert part(told, "urn:xmpp:occupant-id:0", "occupant-id") is not None
    assert "psst" not in [one["body"] for one in await carol.until_said(alice, room)]
    bob.send_message(mto=f"{room}/ann", mbody="what?", mtype="chat")
    assert (await alice.message_of(f"{room}/bob"))["body"] == "what?"


@story("alice", "bob")
async def test_private_messages_that_cannot_be_sent(room: str, alice: Guest, bob: Guest) -> None:
    """7.5: of the type groupchat, to a nickname nobody has, from somebody who is not there."""
    await alice.make(room, "ann")
    alice.send_message(mto=f"{room}/ann", mbody="x", mtype="groupchat")
    assert await alice.refusal() == "bad-request"
    alice.send_message(mto=f"{room}/nobody", mbody="x", mtype="chat")
    assert await alice.refusal() == "item-not-found"
    bob.send_message(mto=f"{room}/ann", mbody="x", mtype="chat")
    assert await bob.refusal() == "not-acceptable"


@story("alice", "bob")
async def test_a_private_message_gets_to_all_clients_of_an_occupant(room: str, alice: Guest, bob: Guest) -> None:
    """7.2.8, 7.5"""
    await alice.make(room, "ann")
    async with Guest(bob.daemon, "bob") as phone:
        await bob.enter(room, "bob")
        await phone.enter(room, "bob")
        alice.send_message(mto=f"{room}/bob", mbody="to both", mtype="chat")
        for client in (bob, phone):
            told = await client.message_of(f"{room}/ann", lambda one: one["body"])
            assert told["body"] == "to both"
        alice.say(room, "done")
        for client in (bob, phone):
            assert "to both" not in [one["body"] for one in await client.until_heard("done")]


# -- 7.6 nicknames
@story("alice", "bob")
async def test_a_nickname_is_changed(room: str, alice: Guest, bob: Guest) -> None:
    """7.6: the old one goes with 303 and the new one, then the new one comes."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    assert await bob.muc.set_self_nick(room, "rob", timeout=PATIENCE_S) == "rob"
    for guest in (alice, bob):
        gone = await guest.presence(f"{room}/bob", "unavailable")
        assert codes(gone) == ({303, 110} if guest is bob else {303}) and gone["muc"]["item_nick"] == "rob"
        assert standing(gone) == ("none", "participant")
        come = await guest.presence(f"{room}/rob")
        assert codes(come) == ({110} if guest is bob else set()) and standing(come) == ("none", "participant")
    bob.say(room, "it is me")
    assert (await alice.hear("it is me"))["from"].resource == "rob"


@story("alice", "bob")
async def test_a_nickname_that_is_taken_or_kept_is_not_given(room: str, alice: Guest, bob: Guest) -> None:
    """7.6: conflict, and one goes on under the old one."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await alice.items(room, f"<item affiliation='member' jid='carol@{DOMAIN}' nick='caro'/>")
    for taken in ("ann", "caro"):
        bob.send_presence(pto=f"{room}/{taken}")
        assert await bob.refusal() == "conflict"
    bob.say(room, "still bob")
    assert (await alice.hear("still bob"))["from"].resource == "bob"


# -- 7.7 availability
@story("alice", "bob")
async def test_what_one_shows_is_passed_on(room: str, alice: Guest, bob: Guest) -> None:
    """7.7: with role and affiliation; nothing of muc#user that a client makes up (17.3)."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await alice.presence(f"{room}/bob")
    bob.send_presence(pto=f"{room}/bob", pshow="xa", pstatus="gone where the goblins go")
    shown = await alice.presence(f"{room}/bob")
    assert (shown["show"], shown["status"]) == ("xa", "gone where the goblins go")
    assert standing(shown) == ("none", "participant") and real(shown) == bob.boundjid.full
    bob.send_raw(f"<presence to='{room}/bob'><show>dnd</show><x xmlns='{ns.MUC_USER}'>"
                 "<item affiliation='owner' role='moderator'/><status code='104'/></x></presence>")
    shown = await alice.presence(f"{room}/bob")
    assert shown["show"] == "dnd" and standing(shown) == ("none", "participant") and codes(shown) == set()
    assert len(shown.xml.findall(f"{{{ns.MUC_USER}}}x")) == 1


@story("alice", "bob")
async def test_presence_sent_to_friends_does_not_enter_a_room(room: str, alice: Guest, bob: Guest) -> None:
    """17.3: subscriptions and probes at a room do nothing."""
    await alice.make(room, "ann")
    for kind in ("subscribe", "probe", "subscribed"):
        bob.send_raw(f"<presence type='{kind}' to='{room}/bob'/>")
    assert [one for one in await alice.until_said(alice, room) if isinstance(one, Presence)
            and one["from"].resource == "bob"] == []
    assert (await bob.until_told(alice)) == []


# -- 7.10 registering
async def fill_in(who: Guest, room: str, nick: str) -> None:
    """Asks for the form and submits it with this nickname; raises IqError."""
    answer = await who.ask("get", f"<query xmlns='{REGISTER}'/>", room)
    assert form_fields(answer)["FORM_TYPE"] == REGISTER_FORM
    assert "muc#register_roomnick" in form_fields(answer)
    await who.ask("set", f"<query xmlns='{REGISTER}'><x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'><value>"
                         f"{REGISTER_FORM}</value></field><field var='muc#register_roomnick'><value>{nick}</value>"
                         "</field></x></query>", room)


@story("alice", "bob", "carol")
async def test_registering_makes_a_member_with_a_nickname(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """7.10: everybody sees the new affiliation; nobody else gets the nickname."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await alice.presence(f"{room}/bob")
    await fill_in(bob, room, "robert")
    shown = await alice.presence(f"{room}/bob")
    assert standing(shown) == ("member", "participant")
    answer = await bob.ask("get", f"<query xmlns='{REGISTER}'/>", room)
    assert answer["register"]["registered"] and answer["register"]["username"] == "robert"
    assert await refused(carol.enter(room, "robert")) == "conflict"
    assert await refused(fill_in(carol, room, "robert")) == "conflict"
    await bob.ask("set", f"<query xmlns='{REGISTER}'><remove/></query>", room)
    await carol.enter(room, "robert")


@story("alice", "bob", "carol")
async def test_registering_that_cannot_be(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """7.10: no such room, no form, an outcast."""
    assert await refused(bob.ask("get", f"<query xmlns='{REGISTER}'/>", f"nowhere-{room}")) == "item-not-found"
    await alice.make(room, "ann")
    no_form = f"<query xmlns='{REGISTER}'><username>bob</username></query>"
    assert await refused(bob.ask("set", no_form, room)) == "bad-request"
    await alice.muc.set_affiliation(room, "outcast", jid=bob.boundjid.bare, timeout=PATIENCE_S)
    assert await refused(bob.ask("get", f"<query xmlns='{REGISTER}'/>", room)) == "not-allowed"


@story("alice", "bob")
async def test_membership_of_a_closed_room_is_asked_for_and_approved(room: str, alice: Guest, bob: Guest) -> None:
    """7.10, 9.9: the form goes to who decides; with the yes comes the invitation."""
    await alice.make(room, "ann", membersonly=True)
    assert await refused(bob.enter(room, "bob")) == "registration-required"
    await fill_in(bob, room, "bob")
    assert await refused(bob.enter(room, "bob")) == "registration-required"
    asked = await alice.message_of(room, lambda one: part(one, ns.DATA, "x") is not None)
    fields = form_fields(asked)
    assert fields["FORM_TYPE"] == REGISTER_FORM and fields["muc#register_roomnick"] == "bob"
    assert bob.boundjid.bare in fields.values() and "muc#register_allow" in fields
    answer(alice, room, {**fields, "muc#register_allow": "true"})
    await bob.message_of(room, lambda one: part(one, ns.MUC_USER, "x") is not None)
    entered = await bob.enter(room, "bob")
    assert standing(entered.self_presence) == ("member", "participant")


@story("alice", "bob")
async def test_membership_is_asked_for_and_denied(room: str, alice: Guest, bob: Guest) -> None:
    """9.9: also where the form waited until a moderator came."""
    await alice.make(room, "ann", membersonly=True)
    alice.muc.leave_muc(room, "ann")
    await alice.presence(f"{room}/ann", "unavailable")
    await fill_in(bob, room, "bob")
    await alice.enter(room, "ann")
    asked = await alice.message_of(room, lambda one: part(one, ns.DATA, "x") is not None)
    answer(alice, room, {**form_fields(asked), "muc#register_allow": "false"})
    await alice.until_said(alice, room)
    assert await refused(bob.enter(room, "bob")) == "registration-required"


def answer(who: Guest, room: str, fields: dict[str, str]) -> None:
    """Submits a form that came in a message."""
    filled = "".join(f"<field var='{var}'><value>{value}</value></field>" for var, value in fields.items())
    who.send_raw(f"<message to='{room}'><x xmlns='{ns.DATA}' type='submit'>{filled}</x></message>")


# -- 7.11 member list
@story("alice", "bob", "carol")
async def test_the_member_list_is_read_by_those_who_may(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """7.11, 9.5: members of a members-only room without anonymity read it, also outside; strangers do not."""
    await alice.make(room, "ann", membersonly=True, whois="anyone")
    await alice.items(room, f"<item affiliation='member' jid='{bob.boundjid.bare}'/>")
    await bob.enter(room, "bob")
    assert await bob.muc.get_affiliation_list(room, "member", timeout=PATIENCE_S) == [bob.boundjid.bare]
    bob.muc.leave_muc(room, "bob")
    assert await bob.muc.get_affiliation_list(room, "member", timeout=PATIENCE_S) == [bob.boundjid.bare]
    assert await refused(carol.muc.get_affiliation_list(room, "member", timeout=PATIENCE_S)) == "forbidden"


# -- 7.13 voice
@story("alice", "bob")
async def test_voice_is_asked_for_and_given(room: str, alice: Guest, bob: Guest) -> None:
    """7.13, 8.6: the moderators get a form; its yes makes a participant."""
    await alice.make(room, "ann", moderatedroom=True)
    await bob.enter(room, "bob")
    await alice.presence(f"{room}/bob")
    bob.muc.request_voice(room, "participant")
    asked = await alice.message_of(room, lambda one: part(one, ns.DATA, "x") is not None)
    fields = form_fields(asked)
    assert fields["FORM_TYPE"] == "http://jabber.org/protocol/muc#request"
    assert (fields["muc#role"], fields["muc#jid"], fields["muc#roomnick"]) == (
        "participant", bob.boundjid.full, "bob")
    answer(alice, room, {**fields, "muc#request_allow": "true"})
    for guest in (alice, bob):
        assert standing(await guest.presence(f"{room}/bob"))[1] in ("visitor", "participant")
    bob.say(room, "thank you")
    await alice.hear("thank you")


@story("alice", "bob")
async def test_voice_is_asked_for_and_not_given(room: str, alice: Guest, bob: Guest) -> None:
    """8.6"""
    await alice.make(room, "ann", moderatedroom=True)
    await bob.enter(room, "bob")
    bob.muc.request_voice(room, "participant")
    asked = await alice.message_of(room, lambda one: part(one, ns.DATA, "x") is not None)
    answer(alice, room, {**form_fields(asked), "muc#request_allow": "false"})
    await bob.until_said(alice, room)
    bob.say(room, "but")
    assert await bob.refusal() == "forbidden"


# -- 7.14 leaving
@story("alice", "bob")
async def test_leaving_is_seen_by_all_with_the_last_words(room: str, alice: Guest, bob: Guest) -> None:
    """7.14: the role is none then; who left hears nothing more."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    bob.muc.leave_muc(room, "bob", msg="gone where the goblins go")
    for guest in (alice, bob):
        gone = await guest.presence(f"{room}/bob", "unavailable")
        assert codes(gone) == ({110} if guest is bob else set()) and gone["muc"]["role"] == "none"
        assert gone["status"] == "gone where the goblins go"
    alice.say(room, "he is away")
    await alice.hear("he is away")
    assert [one for one in await bob.until_told(alice) if isinstance(one, Message)] == []


@story("alice", "bob")
async def test_logging_out_leaves_the_rooms(room: str, alice: Guest, bob: Guest) -> None:
    """7.14: the server says it on the client's behalf."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await bob.logout()
    assert (await alice.presence(f"{room}/bob", "unavailable"))["muc"]["role"] == "none"


@story("alice")
async def test_a_broken_line_leaves_the_rooms(room: str, alice: Guest) -> None:
    """7.14: of a client that cannot resume its session."""
    await alice.make(room, "ann")
    async with Guest(alice.daemon, "bob", plugins=PLAIN_PLUGINS) as bob:
        await bob.enter(room, "bob")
        await alice.presence(f"{room}/bob")
        bob.cut()
        await alice.presence(f"{room}/bob", "unavailable")


# -- several clients
@story("alice", "bob")
async def test_two_clients_share_one_nickname(room: str, alice: Guest, bob: Guest) -> None:
    """7.2.8: both hear and speak; when one goes the occupant stays until the other goes too."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    async with Guest(bob.daemon, "bob") as phone:
        entered = await phone.enter(room, "bob")
        assert 110 in codes(entered.self_presence) and 201 not in codes(entered.self_presence)
        phone.say(room, "from the phone")
        for guest in (alice, bob, phone):
            assert (await guest.hear("from the phone"))["from"].full == f"{room}/bob"
        phone.muc.leave_muc(room, "bob")
        await phone.presence(f"{room}/bob", "unavailable")
        assert [one for one in await alice.until_said(alice, room)
                if isinstance(one, Presence) and one["type"] == "unavailable"] == []
        bob.say(room, "still here")
        await alice.hear("still here")
    bob.muc.leave_muc(room, "bob")
    await alice.presence(f"{room}/bob", "unavailable")


@story("alice", "bob")
async def test_both_clients_get_the_new_nickname(room: str, alice: Guest, bob: Guest) -> None:
    """7.6, 7.2.8"""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    async with Guest(bob.daemon, "bob") as phone:
        await phone.enter(room, "bob")
        await bob.muc.set_self_nick(room, "rob", timeout=PATIENCE_S)
        assert codes(await phone.presence(f"{room}/bob", "unavailable")) == {110, 303}
        await phone.presence(f"{room}/rob")
        phone.say(room, "me too")
        assert (await alice.hear("me too"))["from"].resource == "rob"


# -- the room does not leak into the rest
@story("alice", "bob")
async def test_friends_in_a_room_stay_friends_outside(room: str, alice: Guest, bob: Guest) -> None:
    """A chat message to the real address does not pass the room."""
    await befriend(alice, bob)
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    alice.send_message(mto=bob.boundjid.bare, mbody="outside", mtype="chat")
    assert (await bob.message_of(alice.boundjid.full))["body"] == "outside"


@pytest.mark.parametrize("nick", [" ", "\u3000", " \u00a0 "])
@story("alice", "bob")
async def test_an_invisible_nickname_is_none(room: str, alice: Guest, bob: Guest, nick: str) -> None:
    """17.1: nothing but spaces, of whatever kind."""
    await alice.make(room, "ann")
    bob.send_raw(f"<presence to='{room}/{nick}'><x xmlns='{ns.MUC}'/></presence>")
    assert await bob.refusal() == "jid-malformed"
