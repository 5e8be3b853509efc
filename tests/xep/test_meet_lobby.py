"""Who gets in: password, lobby, lock, and who was removed; each side of each of them."""

from __future__ import annotations

import pytest_twisted

from chatd.core import ns
from tests.xep.media_double import MediaDouble
from tests.xep.meetings import (
    FORM,
    REGISTER,
    Hall,
    all_ours,
    asked,
    command,
    enter,
    entered,
    has_ours,
    knock,
    ours,
    refused,
)
from tests.xep.rooms import admin, codes, condition, user
from tests.xep.world import Client


def outcomes(client: Client) -> list[str]:
    """What the room has told of this client's knock."""
    return [one["outcome"] for one in all_ours(client.take(), "knock")]


def waiting(client: Client) -> list[str]:
    """Who waits, by what the moderator was told last."""
    return [one["nick"] for one in all_ours(client.take(), "waiting")[-1].elements()]


@pytest_twisted.ensureDeferred
async def test_password() -> None:
    hall = await Hall.open()
    john, guest = await hall.account("john"), await hall.guest()
    room = await hall.make(john)
    await enter(john, room, "John")
    assert await command(john, room, "password>swordfish</password>") == ""
    assert ours(next(one for one in john.take() if has_ours(one, "meeting")), "meeting")["password"] == "true"
    assert refused(await enter(guest, room, "Ada")) == "not-authorized"
    assert refused(await enter(guest, room, "Ada", "wrong")) == "not-authorized"
    got = await enter(guest, room, "Ada", "swordfish")
    assert entered(got) and "swordfish" not in str(b"".join(one.inner for one in got))
    assert b"<password>swordfish</password>" in (await asked(john, room, "meeting")).inner
    assert await command(guest, room, "password>mine</password>") == "forbidden"
    assert await command(john, room, f"password>{'x' * 101}</password>") == "not-acceptable"
    assert await command(john, room, "password/>") == ""
    assert entered(await enter(await hall.guest(), room, "Bea"))
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_knock_and_be_let_in() -> None:
    hall = await Hall.open()
    john, guest = await hall.account("john"), await hall.guest()
    room = await hall.make(john, lobby="true")
    assert refused(await enter(guest, room, "Ada")) == "registration-required"
    form = await guest.ask_iq("get", f"<query xmlns='{REGISTER}'/>", room)
    assert b"muc#register_roomnick" in form.inner
    assert await knock(guest, room, "Ada") == ""
    assert refused(await enter(guest, room, "Ada")) == "registration-required", "not yet"
    got = await enter(john, room, "John")
    [told] = all_ours(got, "waiting")
    [one] = told.elements()
    assert (one["nick"], one["jid"], one["guest"]) == ("Ada", guest.s.jid.bare, "true") and one["since"]
    bea = await hall.guest()
    assert await knock(bea, room, "Bea") == ""
    got = john.take()
    assert [one["nick"] for one in all_ours(got, "waiting")[-1].elements()] == ["Ada", "Bea"]
    assert any(f"{ns.DATA} x" in stanza.children and b"register_allow" in stanza.inner for stanza in got)
    guest.take()
    assert await command(john, room, f"admit jid='{guest.s.jid.bare}'/>") == ""
    assert waiting(john) == ["Bea"]
    got = guest.take()
    assert [one["outcome"] for one in all_ours(got, "knock")] == ["admitted"]
    assert any("invite" in [part.name for part in user(stanza)] for stanza in got), "and the standard's invitation"
    assert entered(await enter(guest, room, "Ada"))
    assert await command(john, room, f"admit jid='{guest.s.jid.bare}'/>") == "item-not-found"
    assert all_ours(guest.take(), "waiting") == [], "only moderators see who waits"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_refused_one_and_all() -> None:
    hall = await Hall.open()
    john = await hall.account("john")
    guests = [await hall.guest() for _ in range(4)]
    room = await hall.make(john, lobby="true")
    await enter(john, room, "John")
    for number, guest in enumerate(guests):
        assert await knock(guest, room, f"G{number}") == ""
    assert await command(john, room, f"refuse jid='{guests[0].s.jid.bare}'/>") == ""
    assert outcomes(guests[0]) == ["refused"] and waiting(john) == ["G1", "G2", "G3"]
    assert await knock(guests[0], room, "G0") == "resource-constraint", "not at once again"
    assert await command(john, room, f"admit jid='{guests[1].s.jid.bare}'/>") == ""
    assert await command(john, room, "refuse/>") == ""
    assert [outcomes(guest) for guest in guests[1:]] == [["admitted"], ["refused"], ["refused"]]
    assert waiting(john) == []
    assert refused(await enter(guests[2], room, "G2")) == "registration-required"
    hall.meeting(room).refused.clear()
    for guest in (guests[2], guests[3]):
        assert await knock(guest, room, "G") == ("" if guest is guests[2] else "")
    assert await command(john, room, "admit/>") == ""
    assert [outcomes(guest) for guest in guests[2:]] == [["admitted"], ["admitted"]]
    assert await command(john, room, "refuse/>") == "", "nobody waits: nothing to do"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_who_stops_waiting() -> None:
    """By saying so, and by going away; a cut that may be resumed is none."""
    hall = await Hall.open()
    john, ada, bea = await hall.account("john"), await hall.guest(), await hall.guest()
    bob = await hall.account("bob")
    room = await hall.make(john, lobby="true")
    await enter(john, room, "John")
    for client, nick in ((ada, "Ada"), (bea, "Bea"), (bob, "Bob")):
        assert await knock(client, room, nick) == ""
    answer = await ada.ask_iq("set", f"<query xmlns='{REGISTER}'><remove/></query>", room)
    assert answer.type == "result" and waiting(john) == ["Bea", "Bob"]
    bea.s.close(None)
    await hall.world.settle()
    assert waiting(john) == ["Bob"]
    bob.s.close(None)
    await hall.world.settle()
    assert waiting(john) == []
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_only_moderators_answer() -> None:
    hall = await Hall.open()
    john, ada, bea = await hall.account("john"), await hall.guest(), await hall.guest()
    room = await hall.make(john, lobby="true")
    await enter(john, room, "John")
    await knock(ada, room, "Ada")
    await command(john, room, "admit/>")
    await enter(ada, room, "Ada")
    await knock(bea, room, "Bea")
    for client in (ada, bea):
        assert await command(client, room, "admit/>") == "forbidden"
        assert await command(client, room, "lobby on='false'/>") == "forbidden"
    await bea.send_xml(
        f"<message to='{room}'><x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'><value>{FORM}</value></field>"
        f"<field var='muc#jid'><value>{bea.s.jid.bare}</value></field>"
        "<field var='muc#register_allow'><value>1</value></field></x></message>")
    assert condition(bea.take()[-1]) == "forbidden"
    assert refused(await enter(bea, room, "Bea")) == "registration-required"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_the_form_of_the_standard() -> None:
    """A moderator whose client knows nothing of ours."""
    hall = await Hall.open()
    john, bob = await hall.account("john"), await hall.account("bob")
    room = await hall.make(john, lobby="true")
    await enter(john, room, "John")
    assert await knock(bob, room, "Bob") == ""
    answer = (f"<message to='{room}'><x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'><value>{FORM}</value>"
              "</field><field var='muc#jid'><value>bob@example.com</value></field>"
              "<field var='muc#register_allow'><value>true</value></field></x></message>")
    bob.take()
    await john.send_xml(answer)
    assert outcomes(bob) == ["admitted"]
    assert hall.meeting(room).affiliation("bob@example.com") == "member", "an account's admission lasts"
    assert entered(await enter(bob, room, "Bob"))
    john.take()
    await john.send_xml(answer)
    assert condition(john.take()[-1]) == "item-not-found"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_the_lobby_is_switched_on_and_off_with_people_in() -> None:
    hall = await Hall.open()
    john, ada, bea = await hall.account("john"), await hall.guest(), await hall.guest()
    room = await hall.make(john)
    await enter(john, room, "John")
    await enter(ada, room, "Ada")
    ada.take()
    assert await command(john, room, "lobby on='true'/>") == ""
    assert ours([one for one in ada.take() if has_ours(one, "meeting")][-1], "meeting")["lobby"] == "true"
    assert "Ada" in hall.meeting(room).occupants, "who is in, stays in"
    await ada.send_xml(f"<presence to='{room}/Ada' type='unavailable'/>")
    assert entered(await enter(ada, room, "Ada")), "and comes back without knocking"
    assert await knock(ada, room, "Ada") == "not-allowed"
    assert await knock(bea, room, "Bea") == ""
    assert await command(john, room, "lobby on='false'/>") == ""
    assert outcomes(bea) == ["admitted"] and entered(await enter(bea, room, "Bea"))
    assert await command(john, room, "lobby/>") == "bad-request"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_the_owners_form_switches_it_too() -> None:
    hall = await Hall.open()
    john, ada, bea = await hall.account("john"), await hall.guest(), await hall.guest()
    room = await hall.make(john)
    await enter(john, room, "John")
    await enter(ada, room, "Ada")

    async def configure(value: str) -> None:
        answer = await john.ask_iq(
            "set", "<query xmlns='http://jabber.org/protocol/muc#owner'>"
            f"<x xmlns='{ns.DATA}' type='submit'><field var='muc#roomconfig_membersonly'><value>{value}</value></field>"
            "</x></query>", room)
        assert answer.type == "result"

    await configure("1")
    assert "Ada" in hall.meeting(room).occupants
    assert await knock(bea, room, "Bea") == ""
    ada.take()
    await configure("0")
    assert outcomes(bea) == ["admitted"]
    assert ours([one for one in ada.take() if has_ours(one, "meeting")][-1], "meeting")["lobby"] == "false"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_admission_outlives_a_restart_but_not_the_meeting() -> None:
    hall = await Hall.open()
    john, ada = await hall.account("john"), await hall.guest()
    room = await hall.make(john, lobby="true")
    await enter(john, room, "John")
    await knock(ada, room, "Ada")
    await command(john, room, "admit/>")
    await enter(ada, room, "Ada")
    token = ours(await ada.ask_iq("get", f"<guest xmlns='{ns.MEET}'/>", "guest.example.com"), "guest")["token"]
    world = hall.world
    world.modules.pop("meet").stop()
    world.apis.pop("meet").release()
    john.s.directed = None
    hall = await Hall.open(world=world)
    again = await hall.guest(token)
    assert again.s.jid.bare == ada.s.jid.bare and entered(await enter(again, room, "Ada"))
    again.s.close(None)
    await world.settle()
    hall.meeting(room).forget()             # as EMPTY_S later
    await world.settle()
    assert (await world.store.meetings.load())[0].present == {}
    assert refused(await enter(await hall.guest(token), room, "Ada")) == "registration-required"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_an_empty_meeting_is_forgotten_after_a_while() -> None:
    hall = await Hall.open()
    john, ada = await hall.account("john"), await hall.guest()
    room = await hall.make(john)
    await enter(john, room, "John")
    meeting = hall.meeting(room)
    assert meeting._forgetting is None
    await command(john, room, "lock on='true'/>")
    await john.send_xml(f"<presence to='{room}/John' type='unavailable'/>")
    assert meeting._forgetting is not None and meeting._forgetting.active()
    await enter(john, room, "John")
    assert meeting._forgetting is None and meeting.present.is_locked, "somebody came back in time"
    await john.send_xml(f"<presence to='{room}/John' type='unavailable'/>")
    meeting.forget()
    assert not meeting.present.is_locked and meeting._forgetting is None
    assert entered(await enter(ada, room, "Ada"))
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_lock() -> None:
    hall = await Hall.open()
    john, bob, ada, bea = (await hall.account("john"), await hall.account("bob"), await hall.guest(),
                           await hall.guest())
    room = await hall.make(john)
    await enter(john, room, "John")
    await enter(ada, room, "Ada")
    assert await command(ada, room, "lock on='true'/>") == "forbidden"
    assert await command(john, room, "lock on='true'/>") == ""
    got = await enter(bea, room, "Bea")
    assert refused(got) == "not-allowed" and b"<locked" in got[0].inner and ns.MEET.encode() in got[0].inner
    assert refused(await enter(bob, room, "Bob")) == "not-allowed"
    await ada.send_xml(f"<presence to='{room}/Ada' type='unavailable'/>")
    assert entered(await enter(ada, room, "Ada")), "who was in comes back"
    await john.send_xml(f"<presence to='{room}/John' type='unavailable'/>")
    assert entered(await enter(john, room, "John"))
    assert await command(john, room, "lock on='false'/>") == ""
    assert entered(await enter(bea, room, "Bea"))
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_a_removed_account_is_banned() -> None:
    hall = await Hall.open()
    john, bob, ada = await hall.account("john"), await hall.account("bob"), await hall.guest()
    room = await hall.make(john)
    for client, nick in ((john, "John"), (bob, "Bob"), (ada, "Ada")):
        await enter(client, room, nick)
    for client in (bob, ada):
        client.take()
    assert await command(john, room, "remove nick='Bob'><reason>noise</reason></remove>") == ""
    [gone] = [one for one in bob.take("presence") if one.type == "unavailable"]
    assert "301" in codes(gone) and b"noise" in gone.inner
    assert "301" in codes([one for one in ada.take("presence") if one.type == "unavailable"][0])
    assert refused(await enter(bob, room, "Bob")) == "forbidden"
    assert refused(await enter(await hall.account("bob", "b"), room, "Robert")) == "forbidden"
    assert await knock(bob, room, "Bob") == "forbidden"
    assert await command(john, room, "remove nick='Bob'/>") == "item-not-found"
    assert await command(john, room, "remove/>") == "bad-request"
    assert await command(john, room, "remove nick='John'/>") == "conflict"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_a_removed_guest_cannot_come_back_under_another_name() -> None:
    """Neither as the same guest nor as a fresh one: from that address one has to knock from then on."""
    hall = await Hall.open(MediaDouble())
    john, ada = await hall.account("john"), await hall.guest(source="192.0.2.7")
    colleague, other = await hall.guest(source="192.0.2.7"), await hall.guest(source="198.51.100.1")
    room = await hall.make(john)
    for client, nick in ((john, "John"), (ada, "Ada"), (colleague, "Cy")):
        await enter(client, room, nick)
    assert await command(john, room, "remove nick='Ada'/>") == ""
    assert refused(await enter(ada, room, "Ada")) == "forbidden"
    assert await knock(ada, room, "Ada") == "forbidden"
    fresh = await hall.guest(source="192.0.2.7")
    assert refused(await enter(fresh, room, "Eve")) == "registration-required"
    assert await knock(fresh, room, "Eve") == ""
    assert waiting(john) == ["Eve"]
    assert entered(await enter(other, room, "Bea")), "others are not bothered"
    await colleague.send_xml(f"<presence to='{room}/Cy' type='unavailable'/>")
    assert entered(await enter(colleague, room, "Cy")), "nor who was in from the same place"
    assert await command(john, room, "admit/>") == ""
    assert entered(await enter(fresh, room, "Eve"))
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_a_ban_by_another_client_counts_as_much() -> None:
    """muc#admin of a plain XMPP client: kick lets come back, ban does not."""
    hall = await Hall.open()
    john, ada = await hall.account("john"), await hall.guest()
    room = await hall.make(john)
    admin = "http://jabber.org/protocol/muc#admin"
    await enter(john, room, "John")
    await enter(ada, room, "Ada")
    answer = await john.ask_iq("set", f"<query xmlns='{admin}'><item nick='Ada' role='none'/></query>", room)
    assert answer.type == "result" and entered(await enter(ada, room, "Ada"))
    answer = await john.ask_iq("set", f"<query xmlns='{admin}'><item nick='Ada' affiliation='outcast'/></query>", room)
    assert answer.type == "result"
    assert refused(await enter(ada, room, "Ada")) == "forbidden"
    assert refused(await enter(await hall.guest(), room, "Eve")) == "registration-required"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_who_is_banned_while_away_was_in_for_nothing() -> None:
    """That somebody has been in the meeting lets him read what is said there no more, nor see who is in it."""
    hall = await Hall.open()
    john, bob = await hall.account("john"), await hall.account("bob")
    room = await hall.make(john)
    await enter(john, room, "John")
    await enter(bob, room, "Bob")
    await bob.send_xml(f"<presence to='{room}/Bob' type='unavailable'/>")
    questions = [("set", f"<query xmlns='{ns.MAM}'/>"), ("get", f"<query xmlns='{ns.DISCO_ITEMS}'/>")]
    answers = [await bob.ask_iq(*question, room) for question in questions]
    assert answers[0].type == "result" and b"John" in answers[1].inner
    for jid in ("bob@example.com", "example.com"):
        assert (await admin(john, f"<item jid='{jid}' affiliation='outcast'/>", room=room)).type == "result"
        answers = [await bob.ask_iq(*question, room) for question in questions]
        assert condition(answers[0]) == "forbidden" and b"John" not in answers[1].inner
        assert (await admin(john, f"<item jid='{jid}' affiliation='none'/>", room=room)).type == "result"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_who_is_no_member_any_more_knocks() -> None:
    """XEP-0045 9.4, in a meeting with a lobby; where there is none it makes no difference."""
    hall = await Hall.open()
    john, bob = await hall.account("john"), await hall.account("bob")
    room = await hall.make(john)
    await enter(john, room, "John")
    await enter(bob, room, "Bob")
    for is_on, expected in (("true", "registration-required"), ("false", "")):
        assert await command(john, room, f"lobby on='{is_on}'/>") == ""
        for affiliation in ("member", "none"):
            answer = await admin(john, f"<item jid='bob@example.com' affiliation='{affiliation}'/>", room=room)
            assert answer.type == "result"
        got = await enter(bob, room, "Bob")
        assert (refused(got) if expected else "" if entered(got) else "out") == expected
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_names() -> None:
    hall = await Hall.open()
    john, ada = await hall.account("john"), await hall.guest()
    room = await hall.make(john)
    await enter(john, room, "John")
    assert refused(await enter(ada, room, "John")) == "conflict"
    assert refused(await enter(ada, room, "x" * 61)) == "not-acceptable"
    assert entered(await enter(ada, room, "John (2)"))
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_bad_knocks() -> None:
    hall = await Hall.open()
    john, ada = await hall.account("john"), await hall.guest()
    room = await hall.make(john, lobby="true")
    await enter(john, room, "John")
    assert await knock(ada, room, "") == "bad-request"
    assert await knock(ada, room, "x" * 61) == "not-acceptable"
    assert await knock(ada, room, "John") == "conflict"
    for inner in ("", f"<x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'><value>other</value></field></x>"):
        answer = await ada.ask_iq("set", f"<query xmlns='{REGISTER}'>{inner}</query>", room)
        assert condition(answer) == "bad-request"
    assert await knock(ada, room, "Ada") == "" and await knock(ada, room, "Adah") == "", "the last one counts"
    assert waiting(john) == ["Adah"]
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_so_many_wait_at_most() -> None:
    hall = await Hall.open()
    john = await hall.account("john")
    room = await hall.make(john, lobby="true")
    meeting = hall.meeting(room)
    guest = await hall.guest()
    await knock(guest, room, "Ada")
    made = meeting.waiting[guest.s.jid.bare]
    for number in range(199):
        meeting.waiting[f"{number}@guest.example.com"] = made
    assert await knock(await hall.guest(), room, "Bea") == "resource-constraint"
    assert await knock(guest, room, "Ada") == ""
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_full() -> None:
    hall = await Hall.open(occupants=2)
    john, ada, bea = await hall.account("john"), await hall.guest(), await hall.guest()
    room = await hall.make(john)
    await enter(ada, room, "Ada")
    await enter(await hall.guest(), room, "Cy")
    assert refused(await enter(bea, room, "Bea")) == "service-unavailable"
    assert entered(await enter(john, room, "John")), "the owner always gets in"
    await hall.close()
