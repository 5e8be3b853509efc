"""XEP-0045 10, owner use cases, with slixmpp: making a room, who owns it, ending it.

What each setting does is in test_muc_settings.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from slixmpp.exceptions import PresenceError
from slixmpp.stanza import Presence

from chatd.core import ns
from tests.daemon import DOMAIN, Daemon, running
from tests.integration.guests import (
    OWNER,
    PLAIN_PLUGINS,
    Guest,
    actor_and_reason,
    codes,
    part,
    refused,
    standing,
    story,
    variable,
)
from tests.integration.slix import PATIENCE_S


# -- 10.1 making a room
@story("alice", "bob")
async def test_an_instant_room(room: str, alice: Guest, bob: Guest) -> None:
    """10.1.2: an empty form takes it as it comes, and it is open."""
    entered = await alice.enter(room, "ann")
    assert codes(entered.self_presence) >= {110, 201} and standing(entered.self_presence) == ("owner", "moderator")
    await alice.ask("set", f"<query xmlns='{OWNER}'><x xmlns='{ns.DATA}' type='submit'/></query>", room)
    assert 201 not in codes((await bob.enter(room, "bob")).self_presence)


@story("alice", "bob")
async def test_a_reserved_room(room: str, alice: Guest, bob: Guest) -> None:
    """10.1.3: the form is filled in first; nobody gets in before."""
    await alice.enter(room, "ann")
    form = await alice.muc.get_room_config(room, timeout=PATIENCE_S)
    assert form["type"] == "form"
    fields = form.get_fields()
    assert form.get_values()["FORM_TYPE"] == ["http://jabber.org/protocol/muc#roomconfig"]
    expected = ("roomname", "roomdesc", "lang", "enablearchiving", "changesubject", "allowinvites", "allowpm",
                "maxusers", "presencebroadcast", "getmemberlist", "publicroom", "persistentroom", "moderatedroom",
                "membersonly", "passwordprotectedroom", "roomsecret", "whois")
    assert {variable(name) for name in expected} <= set(fields)
    assert all(field["label"] for var, field in fields.items() if field["type"] not in ("hidden", "fixed"))
    assert await refused(bob.enter(room, "bob")) == "item-not-found"
    await alice.configure(room, roomname="A Dark Cave", moderatedroom=True)
    assert standing((await bob.enter(room, "bob")).self_presence) == ("none", "visitor")


@story("alice", "bob")
async def test_settings_that_cannot_be(room: str, alice: Guest, bob: Guest) -> None:
    """10.1.3: not-acceptable, the room stays locked and as it was; a form of something else is a bad request."""
    await alice.enter(room, "ann")
    for wrong in ({"passwordprotectedroom": True, "roomsecret": ""}, {"maxusers": "many"}, {"whois": "nobody"}):
        assert await refused(alice.configure(room, **wrong)) == "not-acceptable", wrong
    assert await refused(bob.enter(room, "bob")) == "item-not-found"
    other = (f"<query xmlns='{OWNER}'><x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'><value>other</value>"
             "</field><field var='muc#roomconfig_roomname'><value>x</value></field></x></query>")
    assert await refused(alice.ask("set", other, room)) == "bad-request"
    assert (await alice.settings(room))["muc#roomconfig_roomname"] == ""


@story("alice", "bob")
async def test_making_a_room_is_cancelled(room: str, alice: Guest, bob: Guest) -> None:
    """10.1.3: the room is destroyed."""
    await alice.enter(room, "ann")
    await alice.muc.cancel_config(room, timeout=PATIENCE_S)
    await alice.presence(f"{room}/ann", "unavailable")
    assert 201 in codes((await bob.enter(room, "bob")).self_presence)


@story("alice", "bob")
async def test_an_owner_who_goes_before_configuring_leaves_no_room(room: str, alice: Guest, bob: Guest) -> None:
    """10.1.3"""
    await alice.enter(room, "ann")
    alice.muc.leave_muc(room, "ann")
    await alice.presence(f"{room}/ann", "unavailable")
    assert await refused(alice.info(room)) == "item-not-found"
    async with Guest(alice.daemon, "carol", plugins=PLAIN_PLUGINS) as carol:
        await carol.enter(room, "carol")
        carol.cut()
        entered = None
        while entered is None:                  # the daemon may not have seen the end of the line yet
            try:
                entered = await bob.enter(room, "bob")
            except PresenceError as error:
                assert error.condition == "item-not-found"
    assert 201 in codes(entered.self_presence)


@pytest.fixture(scope="module")
def closed_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One on which people make no rooms."""
    folder = Path(tmp_path_factory.mktemp("closed"))
    with running(folder, f"alice@{DOMAIN}", extra='[modules.muc]\ncreate = "nobody"\n') as made:
        yield made


def test_nobody_makes_rooms_where_that_is_not_allowed(closed_daemon: Daemon) -> None:
    """10.1.1: not-allowed."""

    @story("alice")
    async def test_it(room: str, alice: Guest) -> None:
        assert await refused(alice.enter(room, "ann")) == "not-allowed"

    test_it(daemon=closed_daemon)


# -- 10.2 configuring later
@story("alice", "bob", "carol")
async def test_the_form_is_for_owners(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """10.2: forbidden for admins and strangers, to read and to submit."""
    await alice.make(room, "ann", roomname="Cave")
    await alice.items(room, f"<item affiliation='admin' jid='{bob.boundjid.bare}'/>")
    await bob.enter(room, "bob")
    for who in (bob, carol):
        assert await refused(who.muc.get_room_config(room, timeout=PATIENCE_S)) == "forbidden"
        assert await refused(who.configure(room)) == "forbidden"
    assert (await alice.settings(room))["muc#roomconfig_roomname"] == "Cave"


@story("alice", "bob")
async def test_configuring_is_cancelled(room: str, alice: Guest, bob: Guest) -> None:
    """10.2: everything stays."""
    await alice.make(room, "ann", roomname="Cave")
    before = await alice.settings(room)
    await alice.muc.cancel_config(room, timeout=PATIENCE_S)
    assert await alice.settings(room) == before
    await bob.enter(room, "bob")


# -- 10.3 to 10.5 owners
@story("alice", "bob", "carol")
async def test_ownership_is_given_and_taken(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """10.3, 10.4: all see it, with the reason; a new owner is a moderator and may do everything."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await carol.enter(room, "carol")
    await alice.muc.set_affiliation(room, "owner", jid=bob.boundjid.full, reason="A worthy witch", timeout=PATIENCE_S)
    for guest in (alice, bob, carol):
        shown = await guest.next(lambda one: isinstance(one, Presence) and one["from"].resource == "bob"
                                 and standing(one)[0] == "owner")
        assert standing(shown) == ("owner", "moderator") and actor_and_reason(shown)[1] == "A worthy witch"
    await bob.configure(room, roomname="Bob's")
    await bob.muc.set_affiliation(room, "admin", jid=alice.boundjid.bare, timeout=PATIENCE_S)
    for guest in (alice, bob, carol):
        shown = await guest.next(lambda one: isinstance(one, Presence) and one["from"].resource == "ann"
                                 and standing(one)[0] == "admin")
        assert standing(shown)[1] == "moderator"
    assert await refused(alice.settings(room)) == "forbidden"


@story("alice", "bob")
async def test_the_last_owner_stays(room: str, alice: Guest, bob: Guest) -> None:
    """10.4, 10.5: conflict; with another owner one may go."""
    await alice.make(room, "ann")
    for affiliation in ("admin", "member", "none"):
        assert await refused(alice.muc.set_affiliation(room, affiliation, jid=alice.boundjid.bare,
                                                       timeout=PATIENCE_S)) == "conflict"
    await alice.muc.set_affiliation(room, "owner", jid=bob.boundjid.bare, timeout=PATIENCE_S)
    await alice.muc.set_affiliation(room, "none", jid=alice.boundjid.bare, timeout=PATIENCE_S)
    assert await bob.muc.get_affiliation_list(room, "owner", timeout=PATIENCE_S) == [bob.boundjid.bare]


@story("alice", "bob", "carol")
async def test_the_owner_list_is_read_and_changed_by_owners(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """10.5"""
    await alice.make(room, "ann")
    await alice.items(room, f"<item affiliation='admin' jid='{bob.boundjid.bare}'/>")
    await bob.enter(room, "bob")
    await alice.muc.send_affiliation_list(room, [(f"emil@{DOMAIN}", "owner")], timeout=PATIENCE_S)
    listed = await alice.listed(room, "<item affiliation='owner'/>")
    assert {(one["jid"], one["affiliation"]) for one in listed} == {
        (alice.boundjid.bare, "owner"), (f"emil@{DOMAIN}", "owner")}
    for who in (bob, carol):
        assert await refused(who.muc.set_affiliation(room, "owner", jid=who.boundjid.bare,
                                                     timeout=PATIENCE_S)) == "forbidden"
        assert await refused(who.muc.set_affiliation(room, "none", jid=alice.boundjid.bare,
                                                     timeout=PATIENCE_S)) == "forbidden"
    assert await refused(carol.muc.get_affiliation_list(room, "owner", timeout=PATIENCE_S)) == "forbidden"


# -- 10.6 to 10.8 admins
@story("alice", "bob", "carol")
async def test_admins_are_made_and_unmade(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """10.6, 10.7: all see it, with the reason; the role goes with it."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await carol.enter(room, "carol")
    await alice.muc.set_affiliation(room, "admin", jid=bob.boundjid.bare, reason="A worthy witch", timeout=PATIENCE_S)
    for guest in (alice, bob, carol):
        shown = await guest.next(lambda one: isinstance(one, Presence) and standing(one)[0] == "admin")
        assert standing(shown) == ("admin", "moderator") and actor_and_reason(shown)[1] == "A worthy witch"
    await alice.muc.set_affiliation(room, "none", jid=bob.boundjid.bare, reason="Not so", timeout=PATIENCE_S)
    for guest in (alice, bob, carol):
        shown = await guest.next(lambda one: isinstance(one, Presence) and one["from"].resource == "bob"
                                 and standing(one)[0] == "none")
        assert standing(shown) == ("none", "participant") and actor_and_reason(shown)[1] == "Not so"


@story("alice", "bob")
async def test_those_inside_are_told_of_an_affiliation_of_somebody_outside(
        room: str, alice: Guest, bob: Guest) -> None:
    """10.3, 10.6: a message of the room to those who may see addresses."""
    await alice.make(room, "ann")
    await alice.muc.set_affiliation(room, "admin", jid=bob.boundjid.bare, timeout=PATIENCE_S)
    told = await alice.message_of(room, lambda one: one["muc"]["affiliation"] == "admin")
    assert told["muc"]["jid"] == bob.boundjid.bare


@story("alice", "bob", "carol")
async def test_the_admin_list_is_read_and_changed_by_owners(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """10.8"""
    await alice.make(room, "ann")
    await alice.muc.send_affiliation_list(room, [(bob.boundjid.bare, "admin"), (f"emil@{DOMAIN}", "admin")],
                                          timeout=PATIENCE_S)
    assert set(await alice.muc.get_affiliation_list(room, "admin", timeout=PATIENCE_S)) == {
        bob.boundjid.bare, f"emil@{DOMAIN}"}
    for who in (bob, carol):
        assert await refused(who.muc.send_affiliation_list(
            room, [(carol.boundjid.bare, "admin")], timeout=PATIENCE_S)) == "forbidden"
    await alice.muc.send_affiliation_list(room, [(bob.boundjid.bare, "none")], timeout=PATIENCE_S)
    assert await alice.muc.get_affiliation_list(room, "admin", timeout=PATIENCE_S) == [f"emil@{DOMAIN}"]


# -- 10.9 destroying
@story("alice", "bob", "carol")
async def test_an_owner_destroys_a_room(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """10.9: each occupant is told once, of himself only, why and where to go; the room is gone."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await carol.enter(room, "carol")
    other = f"other-{room}"
    await alice.ask("set", f"<query xmlns='{OWNER}'><destroy jid='{other}'><password>sesame</password><reason>Macbeth "
                           "doth come.</reason></destroy></query>", room)
    for guest in (alice, bob, carol):
        nick = "ann" if guest is alice else guest.name
        gone = await guest.next(lambda one: isinstance(one, Presence) and one["type"] == "unavailable")
        assert gone["from"].full == f"{room}/{nick}" and standing(gone)[1] == "none"
        destroyed = gone.xml.find(f"{{{ns.MUC_USER}}}x/{{{ns.MUC_USER}}}destroy")
        assert destroyed is not None and destroyed.get("jid") == other
        assert destroyed.findtext(f"{{{ns.MUC_USER}}}reason") == "Macbeth doth come."
        assert destroyed.findtext(f"{{{ns.MUC_USER}}}password") == "sesame"
    assert await refused(carol.info(room)) == "item-not-found"
    assert room not in await carol.found(f"conference.{DOMAIN}")
    assert [one for one in await carol.until_told(bob) if isinstance(one, Presence)] == []
    assert 201 in codes((await carol.enter(room, "carol")).self_presence)


@story("alice", "bob")
async def test_a_room_is_destroyed_by_its_owners_only(room: str, alice: Guest, bob: Guest) -> None:
    """10.9: forbidden for the others."""
    await alice.make(room, "ann")
    await alice.items(room, f"<item affiliation='admin' jid='{bob.boundjid.bare}'/>")
    assert await refused(bob.muc.destroy(room, "mine", timeout=PATIENCE_S)) == "forbidden"
    await bob.enter(room, "bob")
    alice.muc.leave_muc(room, "ann")
    await alice.muc.destroy(room, timeout=PATIENCE_S)          # also from outside
    gone = await bob.presence(f"{room}/bob", "unavailable")
    assert gone.xml.find(f"{{{ns.MUC_USER}}}x/{{{ns.MUC_USER}}}destroy") is not None
    assert part(gone, ns.MUC, "x") is None


@story("alice")
async def test_nothing_of_a_destroyed_room_is_in_a_new_one(room: str, alice: Guest) -> None:
    """10.9: neither history nor members, settings or archive."""
    await alice.make(room, "ann", roomname="Old", moderatedroom=True)
    await alice.items(room, f"<item affiliation='member' jid='bob@{DOMAIN}'/>")
    await alice.says(room, "old words")
    await alice.muc.destroy(room, timeout=PATIENCE_S)
    entered = await alice.make(room, "ann")
    assert entered.history == [] and not entered.subject["subject"]
    assert await alice.muc.get_affiliation_list(room, "member", timeout=PATIENCE_S) == []
    assert (await alice.settings(room))["muc#roomconfig_roomname"] == ""
    page = await alice.plugin["xep_0313"].retrieve(jid=room, timeout=PATIENCE_S)
    assert list(page["mam"]["results"]) == []
