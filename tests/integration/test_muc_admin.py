"""XEP-0045 9, admin use cases, with slixmpp: bans, members, moderators.  9.9 is in test_muc_occupant.py."""

from __future__ import annotations

from slixmpp.stanza import Presence

from tests.daemon import DOMAIN
from tests.integration.guests import Guest, actor_and_reason, codes, real, refused, standing, story
from tests.integration.slix import PATIENCE_S
from tests.integration.test_muc_inviting import invited


# -- 9.1 ban
@story("alice", "bob", "carol")
async def test_an_admin_bans(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """9.1: 301 with who and why, for all; the banned one stays out."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await carol.enter(room, "carol")
    await alice.muc.set_affiliation(room, "outcast", jid=bob.boundjid.bare, reason="Treason", timeout=PATIENCE_S)
    for guest in (alice, bob, carol):
        gone = await guest.presence(f"{room}/bob", "unavailable")
        assert codes(gone) == ({301, 110} if guest is bob else {301})
        assert standing(gone) == ("outcast", "none") and actor_and_reason(gone) == ("ann", "Treason")
    assert await refused(bob.enter(room, "bob")) == "forbidden"
    bob.say(room, "but")
    assert await bob.refusal() in ("forbidden", "not-acceptable")


@story("alice", "bob", "carol", "dora")
async def test_who_may_not_ban_whom(room: str, alice: Guest, bob: Guest, carol: Guest, dora: Guest) -> None:
    """9.1: moderators nobody, admins no owner and no admin, nobody himself."""
    await alice.make(room, "ann")
    for guest, nick in ((bob, "bob"), (carol, "carol"), (dora, "dora")):
        await guest.enter(room, nick)
    await alice.items(room, f"<item affiliation='admin' jid='{bob.boundjid.bare}'/>")
    await alice.muc.set_role(room, "carol", "moderator", timeout=PATIENCE_S)

    async def ban(who: Guest, whom: Guest) -> str:
        return await refused(who.muc.set_affiliation(room, "outcast", jid=whom.boundjid.bare, timeout=PATIENCE_S))

    assert await ban(carol, dora) == "forbidden"
    assert await ban(dora, carol) == "forbidden"
    assert await ban(bob, alice) == "not-allowed"
    assert await ban(bob, bob) == "conflict"
    assert await ban(alice, alice) == "conflict"
    await bob.muc.set_affiliation(room, "outcast", jid=carol.boundjid.bare, timeout=PATIENCE_S)
    await carol.presence(f"{room}/carol", "unavailable")


# -- 9.2 ban list
@story("alice", "bob", "carol")
async def test_the_ban_list_is_read_and_changed(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """9.2: addresses with the affiliation, whoever is there; lifting a ban lets one in."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    assert await alice.muc.get_affiliation_list(room, "outcast", timeout=PATIENCE_S) == []
    await alice.muc.send_affiliation_list(room, [(bob.boundjid.bare, "outcast"), (carol.boundjid.bare, "outcast")],
                                          timeout=PATIENCE_S)
    await bob.presence(f"{room}/bob", "unavailable")
    listed = await alice.listed(room, "<item affiliation='outcast'/>")
    assert [(one["jid"], one["affiliation"]) for one in listed] == [
        (bob.boundjid.bare, "outcast"), (carol.boundjid.bare, "outcast")]
    assert all("nick" not in one and "role" not in one for one in listed)
    assert await refused(bob.muc.get_affiliation_list(room, "outcast", timeout=PATIENCE_S)) == "forbidden"
    await alice.muc.send_affiliation_list(room, [(bob.boundjid.bare, "none")], timeout=PATIENCE_S)
    await bob.enter(room, "bob")
    assert await refused(carol.enter(room, "carol")) == "forbidden"


@story("alice", "bob", "carol")
async def test_one_ban_that_cannot_be_stops_all(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """9.2: none of the changes is made."""
    await alice.make(room, "ann")
    await alice.items(room, f"<item affiliation='admin' jid='{bob.boundjid.bare}'/>")
    await bob.enter(room, "bob")
    changes = [(carol.boundjid.bare, "outcast"), (alice.boundjid.bare, "outcast")]
    assert await refused(bob.muc.send_affiliation_list(room, changes, timeout=PATIENCE_S)) == "not-allowed"
    assert await alice.muc.get_affiliation_list(room, "outcast", timeout=PATIENCE_S) == []
    await carol.enter(room, "carol")


@story("alice", "bob")
async def test_a_ban_takes_the_kept_nickname(room: str, alice: Guest, bob: Guest) -> None:
    """9.1"""
    await alice.make(room, "ann")
    await alice.items(room, f"<item affiliation='member' jid='carol@{DOMAIN}' nick='caro'/>")
    assert await refused(bob.enter(room, "caro")) == "conflict"
    await alice.muc.set_affiliation(room, "outcast", jid=f"carol@{DOMAIN}", timeout=PATIENCE_S)
    await bob.enter(room, "caro")


@story("alice", "bob")
async def test_a_whole_domain_is_banned(room: str, alice: Guest, bob: Guest) -> None:
    """9.2: but not those who are members."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await alice.muc.set_affiliation(room, "outcast", jid=DOMAIN, timeout=PATIENCE_S)
    assert codes(await bob.presence(f"{room}/bob", "unavailable")) == {301, 110}
    assert await refused(bob.enter(room, "bob")) == "forbidden"
    await alice.items(room, f"<item affiliation='member' jid='{bob.boundjid.bare}'/>")
    await bob.enter(room, "bob")


# -- 9.3, 9.4 membership
@story("alice", "bob", "carol")
async def test_membership_is_given_and_taken(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """9.3, 9.4: all see it, with the reason; in a moderated room the member has voice."""
    await alice.make(room, "ann", moderatedroom=True)
    await bob.enter(room, "bob")
    await carol.enter(room, "carol")
    await alice.muc.set_affiliation(room, "member", jid=bob.boundjid.bare, reason="A worthy witch", timeout=PATIENCE_S)
    for guest in (alice, bob, carol):
        shown = await guest.next(lambda one: isinstance(one, Presence) and standing(one)[0] == "member")
        assert shown["from"].full == f"{room}/bob" and standing(shown) == ("member", "participant")
        assert actor_and_reason(shown)[1] == "A worthy witch"
        assert real(shown) == (bob.boundjid.full if guest is alice else "")
    await alice.muc.set_affiliation(room, "none", jid=bob.boundjid.bare, reason="Not so", timeout=PATIENCE_S)
    for guest in (alice, bob, carol):
        shown = await guest.next(lambda one: isinstance(one, Presence) and standing(one)[0] == "none")
        assert shown["from"].full == f"{room}/bob" and actor_and_reason(shown)[1] == "Not so"


@story("alice", "bob", "carol")
async def test_who_is_no_member_any_more_leaves_a_members_only_room(
        room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """9.4: 321, at once."""
    await alice.make(room, "ann", membersonly=True)
    await alice.muc.send_affiliation_list(room, [(one.boundjid.bare, "member") for one in (bob, carol)],
                                          timeout=PATIENCE_S)
    await bob.enter(room, "bob")
    await carol.enter(room, "carol")
    await bob.presence(f"{room}/carol")
    await alice.muc.set_affiliation(room, "none", jid=bob.boundjid.bare, timeout=PATIENCE_S)
    for guest in (alice, bob, carol):
        came = await guest.next(lambda one: isinstance(one, Presence) and one["from"].full == f"{room}/bob"
                                and standing(one)[0] == "none")
        assert came["type"] == "unavailable" and codes(came) == ({321, 110} if guest is bob else {321})
    assert await refused(bob.enter(room, "bob")) == "registration-required"


# -- 9.5 member list
@story("alice", "bob", "carol")
async def test_the_member_list_is_read_and_changed(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """9.5: addresses and kept nicknames; an empty nickname takes it away."""
    await alice.make(room, "ann")
    await alice.items(room, f"<item affiliation='member' jid='{bob.boundjid.bare}' nick='robert'/>"
                            f"<item affiliation='member' jid='{carol.boundjid.bare}'/>")
    listed = {one["jid"]: one for one in await alice.listed(room, "<item affiliation='member'/>")}
    assert set(listed) == {bob.boundjid.bare, carol.boundjid.bare}
    assert listed[bob.boundjid.bare]["nick"] == "robert" and "nick" not in listed[carol.boundjid.bare]
    assert all(one["affiliation"] == "member" and "role" not in one for one in listed.values())
    await alice.items(room, f"<item affiliation='member' jid='{bob.boundjid.bare}'/>")
    assert await refused(carol.enter(room, "robert")) == "conflict"
    await alice.items(room, f"<item affiliation='member' jid='{bob.boundjid.bare}' nick=''/>")
    await carol.enter(room, "robert")
    await alice.muc.send_affiliation_list(room, [(carol.boundjid.bare, "none")], timeout=PATIENCE_S)
    assert await alice.muc.get_affiliation_list(room, "member", timeout=PATIENCE_S) == [bob.boundjid.bare]


@story("alice", "bob")
async def test_a_new_member_of_a_members_only_room_is_invited(room: str, alice: Guest, bob: Guest) -> None:
    """9.5: by the room itself, with the password."""
    await alice.make(room, "ann", membersonly=True, passwordprotectedroom=True, roomsecret="sesame")
    await alice.muc.set_affiliation(room, "member", jid=bob.boundjid.bare, timeout=PATIENCE_S)
    told = await invited(bob, room)
    assert "sesame" in str(told)
    await bob.enter(room, "bob", password="sesame")


@story("alice", "bob", "carol")
async def test_only_admins_change_the_member_list(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """9.5"""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await alice.muc.set_role(room, "bob", "moderator", timeout=PATIENCE_S)
    for who in (bob, carol):
        assert await refused(who.muc.set_affiliation(room, "member", jid=carol.boundjid.bare,
                                                     timeout=PATIENCE_S)) == "forbidden"
    await alice.items(room, f"<item affiliation='admin' jid='{bob.boundjid.bare}'/>")
    await bob.muc.set_affiliation(room, "member", jid=carol.boundjid.bare, timeout=PATIENCE_S)


@story("alice", "bob")
async def test_an_affiliation_by_nickname(room: str, alice: Guest, bob: Guest) -> None:
    """9.3: where an admin only knows the nickname."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await alice.muc.set_affiliation(room, "member", nick="bob", timeout=PATIENCE_S)
    assert await alice.muc.get_affiliation_list(room, "member", timeout=PATIENCE_S) == [bob.boundjid.bare]
    assert await refused(alice.muc.set_affiliation(room, "member", nick="nobody", timeout=PATIENCE_S)) == (
        "item-not-found")


# -- 9.6, 9.7 moderators
@story("alice", "bob", "carol")
async def test_an_admin_makes_and_unmakes_moderators(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """9.6, 9.7: all see it, with the reason."""
    await alice.make(room, "ann")
    await alice.items(room, f"<item affiliation='admin' jid='{bob.boundjid.bare}'/>")
    await bob.enter(room, "bob")
    await carol.enter(room, "carol")
    await bob.muc.set_role(room, "carol", "moderator", reason="A worthy witch", timeout=PATIENCE_S)
    for guest in (alice, bob, carol):
        shown = await guest.next(lambda one: one["from"].full == f"{room}/carol" and standing(one)[1] == "moderator")
        assert standing(shown)[0] == "none" and actor_and_reason(shown) == ("bob", "A worthy witch")
    await bob.muc.set_role(room, "carol", "participant", reason="Not so", timeout=PATIENCE_S)
    for guest in (alice, bob, carol):
        shown = await guest.next(lambda one: one["from"].full == f"{room}/carol" and standing(one)[1] == "participant")
        assert actor_and_reason(shown) == ("bob", "Not so")


@story("alice", "bob", "carol", "dora")
async def test_who_may_not_change_moderators(room: str, alice: Guest, bob: Guest, carol: Guest, dora: Guest) -> None:
    """9.7: nobody unmakes admins and owners; moderators make no moderators."""
    await alice.make(room, "ann")
    await alice.items(room, f"<item affiliation='admin' jid='{bob.boundjid.bare}'/>")
    for guest in (bob, carol, dora):
        await guest.enter(room, guest.name)
    await alice.muc.set_role(room, "carol", "moderator", timeout=PATIENCE_S)
    for who, nick in ((bob, "ann"), (alice, "bob"), (alice, "ann")):
        assert await refused(who.muc.set_role(room, nick, "participant", timeout=PATIENCE_S)) == "not-allowed"
    assert await refused(carol.muc.set_role(room, "dora", "moderator", timeout=PATIENCE_S)) in (
        "forbidden", "not-allowed")


# -- 9.8 moderator list
@story("alice", "bob", "carol")
async def test_the_moderator_list_is_read_and_changed(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """9.8"""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await carol.enter(room, "carol")
    await alice.give_roles(room, ("bob", "moderator"), ("carol", "moderator"))
    listed = await alice.listed(room, "<item role='moderator'/>")
    assert {(one["nick"], one["role"], one["affiliation"], one["jid"]) for one in listed} == {
        ("ann", "moderator", "owner", alice.boundjid.full), ("bob", "moderator", "none", bob.boundjid.full),
        ("carol", "moderator", "none", carol.boundjid.full)}
    await alice.give_roles(room, ("carol", "participant"))
    assert await bob.muc.get_roles_list(room, "moderator", timeout=PATIENCE_S) == ["ann", "bob"]
    wrong = (("bob", "participant"), ("ann", "participant"))
    assert await refused(alice.give_roles(room, *wrong)) == "not-allowed"
    assert await alice.muc.get_roles_list(room, "moderator", timeout=PATIENCE_S) == ["ann", "bob"]
