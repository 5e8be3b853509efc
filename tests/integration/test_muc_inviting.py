"""XEP-0045 7.8, 7.9 and XEP-0249 with slixmpp: inviting through the room and directly, and saying no."""

from __future__ import annotations

from typing import Any

from slixmpp.xmlstream import ET

from chatd.core import ns
from tests.integration.guests import Guest, part, refused, story
from tests.integration.slix import PATIENCE_S


def invitation(stanza: Any) -> ET.Element | None:
    """The <invite/> in a message."""
    found: ET.Element | None = stanza.xml.find(f"{{{ns.MUC_USER}}}x/{{{ns.MUC_USER}}}invite")
    return found


def invite_raw(who: Guest, room: str, inner: str) -> None:
    """<invite/>s as they are written here."""
    who.send_raw(f"<message to='{room}'><x xmlns='{ns.MUC_USER}'>{inner}</x></message>")


async def invited(who: Guest, room: str) -> Any:
    """The next invitation through this room."""
    return await who.message_of(room, lambda one: invitation(one) is not None)


@story("alice", "bob")
async def test_an_invitation_through_the_room(room: str, alice: Guest, bob: Guest) -> None:
    """7.8.2: the room says who invites and why."""
    await alice.make(room, "ann")
    alice.muc.invite(room, bob.boundjid.bare, reason="Hey Hecate, this is the place for all good witches!")
    told = await invited(bob, room)
    found = invitation(told)
    assert found is not None and found.findtext(f"{{{ns.MUC_USER}}}reason") == (
        "Hey Hecate, this is the place for all good witches!")
    assert found.get("from") in (alice.boundjid.bare, alice.boundjid.full, f"{room}/ann") and "to" not in found.attrib
    assert told["type"] in ("normal", "")
    await bob.enter(room, "bob")


@story("alice", "bob")
async def test_an_invitation_brings_the_password(room: str, alice: Guest, bob: Guest) -> None:
    """7.8.2: and it opens the door."""
    await alice.make(room, "ann", passwordprotectedroom=True, roomsecret="sesame")
    alice.muc.invite(room, bob.boundjid.bare)
    told = await invited(bob, room)
    password = told.xml.findtext(f"{{{ns.MUC_USER}}}x/{{{ns.MUC_USER}}}password")
    assert password == "sesame"
    await bob.enter(room, "bob", password=password)


@story("alice", "bob", "carol")
async def test_several_are_invited_at_once(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """7.8.2"""
    await alice.make(room, "ann")
    invite_raw(alice, room, "".join(f"<invite to='{one.boundjid.bare}'/>" for one in (bob, carol)))
    await invited(bob, room)
    await invited(carol, room)


@story("alice", "bob")
async def test_an_invitation_is_declined(room: str, alice: Guest, bob: Guest) -> None:
    """7.8.2: who invited is told so, with the reason."""
    await alice.make(room, "ann")
    alice.muc.invite(room, bob.boundjid.bare)
    found = invitation(await invited(bob, room))
    assert found is not None
    bob.muc.decline(room, found.get("from", ""), reason="Sorry, I'm too busy right now.")
    told = await alice.message_of(room, lambda one: one.xml.find(
        f"{{{ns.MUC_USER}}}x/{{{ns.MUC_USER}}}decline") is not None)
    assert told["muc"]["decline"]["from"].bare == bob.boundjid.bare
    assert told["muc"]["decline"]["reason"] == "Sorry, I'm too busy right now."


@story("alice", "bob")
async def test_a_chat_of_two_goes_on_in_a_room(room: str, alice: Guest, bob: Guest) -> None:
    """7.9: <continue/> with the thread is passed on."""
    await alice.make(room, "ann")
    invite_raw(alice, room, f"<invite to='{bob.boundjid.full}'><continue thread='e0ffe42b'/></invite>")
    found = invitation(await invited(bob, room))
    assert found is not None
    thread = found.find(f"{{{ns.MUC_USER}}}continue")
    assert thread is not None and thread.get("thread") == "e0ffe42b"


@story("alice", "bob", "carol")
async def test_only_admins_invite_to_a_members_only_room(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """7.8.2, 9.5: whom they invite becomes a member."""
    await alice.make(room, "ann", membersonly=True)
    await alice.items(room, f"<item affiliation='member' jid='{bob.boundjid.bare}'/>")
    await bob.enter(room, "bob")
    bob.muc.invite(room, carol.boundjid.bare)
    assert await bob.refusal() == "forbidden"
    assert await refused(carol.enter(room, "carol")) == "registration-required"
    alice.muc.invite(room, carol.boundjid.bare)
    await invited(carol, room)
    await carol.enter(room, "carol")
    assert carol.boundjid.bare in await alice.muc.get_affiliation_list(room, "member", timeout=PATIENCE_S)


@story("alice", "bob")
async def test_inviting_to_an_open_room_makes_no_member(room: str, alice: Guest, bob: Guest) -> None:
    """9.5"""
    await alice.make(room, "ann")
    alice.muc.invite(room, bob.boundjid.bare)
    await invited(bob, room)
    assert await alice.muc.get_affiliation_list(room, "member", timeout=PATIENCE_S) == []


@story("alice", "bob", "carol")
async def test_who_is_outside_does_not_invite(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """7.8.2: only occupants do."""
    await alice.make(room, "ann")
    bob.muc.invite(room, carol.boundjid.bare)
    assert await bob.refusal() == "not-acceptable"
    assert [one for one in await carol.until_told(alice) if invitation(one) is not None] == []


@story("alice")
async def test_an_invitation_for_no_address(room: str, alice: Guest) -> None:
    """7.8.2"""
    await alice.make(room, "ann")
    invite_raw(alice, room, "<invite to='@@'/>")
    assert await alice.refusal() == "jid-malformed"
    invite_raw(alice, room, "")
    assert await alice.refusal() == "bad-request"


@story("alice", "bob")
async def test_a_direct_invitation_goes_past_the_room(room: str, alice: Guest, bob: Guest) -> None:
    """XEP-0249: with the password that the sender gives."""
    await alice.make(room, "ann", passwordprotectedroom=True, roomsecret="sesame")
    alice.plugin["xep_0249"].send_invitation(bob.boundjid.bare, room, password="sesame", reason="come in")
    told = await bob.message_of(alice.boundjid.full)
    found = part(told, "jabber:x:conference", "x")
    assert found is not None
    assert (found.get("jid"), found.get("password"), found.get("reason")) == (room, "sesame", "come in")
    await bob.enter(room, "bob", password="sesame")


@story("alice", "bob")
async def test_an_invitation_waits_for_somebody_who_is_away(room: str, alice: Guest, bob: Guest) -> None:
    """Both ways: they are delivered at the next log-in."""
    await alice.make(room, "ann")
    await bob.logout()
    alice.muc.invite(room, bob.boundjid.bare, reason="through the room")
    alice.plugin["xep_0249"].send_invitation(bob.boundjid.bare, room, reason="directly")
    await alice.says(room, "both are sent")
    async with Guest(bob.daemon, "bob") as again:
        reasons = set()
        for _ in range(2):
            told = await again.next(lambda one: part(one, "jabber:x:conference", "x") is not None)
            reasons.add("through the room" if invitation(told) is not None else "directly")
        assert reasons == {"through the room", "directly"}
