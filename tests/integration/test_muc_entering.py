"""XEP-0045 7.1, 7.2 with slixmpp: how a room is entered, what one gets to see then, and who is not let in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from slixmpp.stanza import Message, Presence

from chatd.core import ns
from tests.integration.guests import Guest, codes, part, real, refused, standing, story
from tests.integration.slix import PATIENCE_S


def enter_raw(who: Guest, address: str, inner: str = "") -> None:
    """Asks to enter, without waiting for an answer."""
    who.send_raw(f"<presence to='{address}'><x xmlns='{ns.MUC}'>{inner}</x></presence>")


# -- 7.1, 7.2.2 what one gets to see
@story("alice", "bob", "carol")
async def test_the_order_of_what_comes(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """7.1: the others, oneself (110), what was said, the subject, then what is new."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await alice.says(room, "first")
    await bob.says(room, "second")
    alice.muc.set_subject(room, "Dust")
    await bob.next(lambda one: one["subject"] == "Dust")
    enter_raw(carol, f"{room}/carol")
    await alice.presence(f"{room}/carol")
    came = await carol.until_said(alice, room)
    shape = [(type(one).__name__, one["from"].resource, one["body"] if isinstance(one, Message) else
              bool(110 in codes(one))) for one in came]
    assert shape == [("Presence", "ann", False), ("Presence", "bob", False), ("Presence", "carol", True),
                     ("Message", "ann", "first"), ("Message", "bob", "second"), ("Message", "ann", "")]
    assert came[-1]["subject"] == "Dust"


@story("alice", "bob", "carol")
async def test_presence_goes_to_all_with_affiliation_and_role(
        room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """7.2.2: one <x/> of muc#user each."""
    await alice.make(room, "ann")
    await alice.items(room, f"<item affiliation='admin' jid='{bob.boundjid.bare}'/>")
    await bob.enter(room, "bob")
    entered = await carol.enter(room, "carol")
    assert {one["from"].resource: standing(one) for one in entered.occupants if 110 not in codes(one)} == {
        "ann": ("owner", "moderator"), "bob": ("admin", "moderator")}
    assert standing(entered.self_presence) == ("none", "participant")
    for guest in (alice, bob):
        shown = await guest.presence(f"{room}/carol")
        assert standing(shown) == ("none", "participant") and codes(shown) == set()
        assert len(shown.xml.findall(f"{{{ns.MUC_USER}}}x")) == 1
        assert part(shown, ns.MUC, "x") is None


@story("alice", "bob", "carol")
async def test_in_a_room_without_anonymity_all_see_the_real_addresses(
        room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """7.2.3: and who enters is told so (100)."""
    await alice.make(room, "ann", whois="anyone")
    await bob.enter(room, "bob")
    entered = await carol.enter(room, "carol")
    assert codes(entered.self_presence) >= {100, 110}
    assert {real(one) for one in entered.occupants} >= {alice.boundjid.full, bob.boundjid.full}
    for guest in (alice, bob):
        shown = await guest.presence(f"{room}/carol")
        assert real(shown) == carol.boundjid.full and 100 not in codes(shown)


@story("alice", "bob", "carol")
async def test_in_a_semi_anonymous_room_moderators_see_the_real_addresses(
        room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """7.2.4"""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    entered = await carol.enter(room, "carol")
    assert 100 not in codes(entered.self_presence)
    assert [real(one) for one in entered.occupants if 110 not in codes(one)] == ["", ""]
    assert real(await alice.presence(f"{room}/carol")) == carol.boundjid.full
    assert real(await bob.presence(f"{room}/carol")) == ""


@story("alice", "bob")
async def test_a_room_with_an_archive_says_so(room: str, alice: Guest, bob: Guest) -> None:
    """7.2.12: status 170 where what is said is kept."""
    await alice.make(room, "ann")
    assert 170 in codes((await bob.enter(room, "bob")).self_presence)
    bob.muc.leave_muc(room, "bob")
    await alice.configure(room, enablearchiving=False)
    assert 170 not in codes((await bob.enter(room, "bob")).self_presence)


@story("alice", "bob")
async def test_entering_anew_gives_everything_anew(room: str, alice: Guest, bob: Guest) -> None:
    """7.2.1: a client that has lost track enters again and gets all, with its new presence for the others."""
    await alice.make(room, "ann")
    await alice.says(room, "once")
    await bob.enter(room, "bob")
    bob.send_raw(f"<presence to='{room}/bob'><show>away</show><x xmlns='{ns.MUC}'/></presence>")
    assert (await alice.next(lambda one: isinstance(one, Presence) and one["show"] == "away"))["from"].resource == "bob"
    came = await bob.until_said(alice, room)
    again = [(type(one).__name__, one["from"].resource) for one in came]
    assert again[-4:] == [("Presence", "ann"), ("Presence", "bob"), ("Message", "ann"), ("Message", "")]


@story("alice", "bob")
async def test_presence_without_the_protocol_does_not_enter(room: str, alice: Guest, bob: Guest) -> None:
    """7.2.17: who is not there, and shows presence, is told that he is not (110, 307, 333)."""
    await alice.make(room, "ann")
    bob.send_presence(pto=f"{room}/bob")
    told = await bob.presence(f"{room}/bob", "unavailable")
    assert codes(told) == {110, 307, 333} and told["muc"]["role"] == "none"
    assert [one for one in await alice.until_said(alice, room) if one["from"].resource == "bob"] == []


# -- 7.2.13 history
async def history(who: Guest, room: str, **limits: Any) -> list[str]:
    """Enters with these limits and leaves again; what was shown."""
    entered = await who.enter(room, who.name, **limits)
    who.muc.leave_muc(room, who.name)
    await who.presence(f"{room}/{who.name}", "unavailable")
    return [one["body"] for one in entered.history]


@story("alice", "bob")
async def test_history_is_limited_as_asked(room: str, alice: Guest, bob: Guest) -> None:
    """7.2.14: maxstanzas, maxchars, seconds, since."""
    await alice.make(room, "ann")
    for number in range(5):
        await alice.says(room, f"n{number}")
    full = await bob.enter(room, "bob")
    assert [one["body"] for one in full.history] == [f"n{number}" for number in range(5)]
    bob.muc.leave_muc(room, "bob")
    assert await history(bob, room, maxstanzas=2) == ["n3", "n4"]
    assert await history(bob, room, maxstanzas=0) == []
    assert await history(bob, room, maxchars=0) == []
    longest = max(len(str(one)) for one in full.history) + 50
    some = await history(bob, room, maxchars=longest * 2)
    assert 1 <= len(some) < 5 and some == [f"n{number}" for number in range(5)][-len(some):]
    assert await history(bob, room, seconds=3600) == [f"n{number}" for number in range(5)]
    assert await history(bob, room, since=datetime.now(UTC) + timedelta(hours=1)) == []
    third = full.history[2]["delay"]["stamp"]
    assert await history(bob, room, since=third) == ["n2", "n3", "n4"]


@story("alice", "bob")
async def test_history_says_when_and_by_whom(room: str, alice: Guest, bob: Guest) -> None:
    """7.2.13: <delay/> of the room; the subject is no part of it; ids are those of the archive."""
    await alice.make(room, "ann")
    alice.muc.set_subject(room, "Old dust")
    alice.muc.set_subject(room, "Dust")
    id_ = await alice.says(room, "hello")
    alice.muc.leave_muc(room, "ann")
    before = datetime.now(UTC) - timedelta(minutes=5)
    entered = await bob.enter(room, "bob")
    assert [one["body"] for one in entered.history] == ["hello"] and not entered.history[0]["subject"]
    shown = entered.history[0]
    assert shown["from"].full == f"{room}/ann" and shown["stanza_id"]["id"] == id_
    assert shown["delay"]["from"].full == room and before < shown["delay"]["stamp"] <= datetime.now(UTC)
    assert entered.subject["subject"] == "Dust"


@story("alice", "bob")
async def test_the_subject_comes_last_also_without_one(room: str, alice: Guest, bob: Guest) -> None:
    """7.2.15: with the time of its change, empty where there is none."""
    await alice.make(room, "ann")
    entered = await bob.enter(room, "bob")
    assert entered.subject.xml.find("{jabber:client}subject") is not None and not entered.subject["subject"]
    bob.muc.leave_muc(room, "bob")
    alice.muc.set_subject(room, "Dust")
    await alice.next(lambda one: one["subject"] == "Dust")
    entered = await bob.enter(room, "bob")
    assert entered.subject["subject"] == "Dust" and entered.subject["from"].full == f"{room}/ann"
    assert entered.subject["delay"]["from"].full == room


# -- who is not let in
@story("bob")
async def test_entering_takes_a_nickname(room: str, bob: Guest) -> None:
    """7.2.1: jid-malformed, also where the room is not there yet."""
    enter_raw(bob, room)
    assert await bob.refusal() == "jid-malformed"


@story("alice", "bob")
async def test_a_nickname_is_needed_in_a_room_that_is_there(room: str, alice: Guest, bob: Guest) -> None:
    """7.2.1"""
    await alice.make(room, "ann")
    enter_raw(bob, room)
    assert await bob.refusal() == "jid-malformed"


@story("alice", "bob")
async def test_a_password_is_needed_and_has_to_be_right(room: str, alice: Guest, bob: Guest) -> None:
    """7.2.5: not-authorized without one and with a wrong one."""
    await alice.make(room, "ann", passwordprotectedroom=True, roomsecret="open sesame & co")
    assert await refused(bob.enter(room, "bob")) == "not-authorized"
    assert await refused(bob.enter(room, "bob", password="open")) == "not-authorized"
    assert await refused(bob.enter(room, "bob", password="")) == "not-authorized"
    entered = await bob.enter(room, "bob", password="open sesame & co")
    assert 110 in codes(entered.self_presence)
    assert "sesame" not in str(await alice.presence(f"{room}/bob"))


@story("alice", "bob", "carol")
async def test_only_members_enter_a_members_only_room(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """7.2.6: registration-required (407)."""
    await alice.make(room, "ann", membersonly=True)
    assert await refused(bob.enter(room, "bob")) == "registration-required"
    await alice.items(room, f"<item affiliation='member' jid='{carol.boundjid.bare}'/>")
    assert standing((await carol.enter(room, "carol")).self_presence) == ("member", "participant")


@story("alice", "bob")
async def test_who_is_banned_does_not_enter(room: str, alice: Guest, bob: Guest) -> None:
    """7.2.7: forbidden (403)."""
    await alice.make(room, "ann")
    await alice.muc.set_affiliation(room, "outcast", jid=bob.boundjid.bare, timeout=PATIENCE_S)
    assert await refused(bob.enter(room, "bob")) == "forbidden"


@story("alice", "bob", "carol")
async def test_a_nickname_in_use_or_kept_is_not_given(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """7.2.8: conflict (409)."""
    await alice.make(room, "ann")
    await alice.items(room, f"<item affiliation='member' jid='{carol.boundjid.bare}' nick='caro'/>")
    assert await refused(bob.enter(room, "ann")) == "conflict"
    assert await refused(bob.enter(room, "caro")) == "conflict"
    assert 110 in codes((await carol.enter(room, "caro")).self_presence)


@story("alice", "bob", "carol", "dora", "emil")
async def test_a_full_room_takes_admins_only(
        room: str, alice: Guest, bob: Guest, carol: Guest, dora: Guest, emil: Guest) -> None:
    """7.2.9: service-unavailable (503)."""
    await alice.make(room, "ann", maxusers="2")
    await bob.enter(room, "bob")
    assert await refused(carol.enter(room, "carol")) == "service-unavailable"
    await alice.items(room, f"<item affiliation='admin' jid='{dora.boundjid.bare}'/>")
    await dora.enter(room, "dora")
    assert await refused(emil.enter(room, "emil")) == "service-unavailable"
    for guest, nick in ((bob, "bob"), (dora, "dora")):
        guest.muc.leave_muc(room, nick)
        await alice.presence(f"{room}/{nick}", "unavailable")
    await carol.enter(room, "carol")


@story("alice", "bob")
async def test_a_locked_room_is_not_there_for_others(room: str, alice: Guest, bob: Guest) -> None:
    """7.2.10: item-not-found (404) until it is configured."""
    await alice.enter(room, "ann")
    assert await refused(bob.enter(room, "bob")) == "item-not-found"
    await alice.configure(room)
    await bob.enter(room, "bob")


@story("bob")
async def test_entering_a_room_that_is_not_there_makes_it(room: str, bob: Guest) -> None:
    """7.2.11, 10.1: 201, and one is its owner."""
    entered = await bob.enter(room, "bob")
    assert codes(entered.self_presence) >= {110, 201} and standing(entered.self_presence) == ("owner", "moderator")
