"""What belongs to rooms beside XEP-0045, with slixmpp: occupant ids, self-ping, hats, pictures, iqs."""

from __future__ import annotations

import hashlib
from typing import Any

from slixmpp import JID
from slixmpp.plugins.xep_0410.self_ping import PingStatus
from slixmpp.stanza import Presence

from chatd.core import ns
from tests.integration.guests import Guest, codes, part, refused, story
from tests.integration.slix import PATIENCE_S

OCCUPANT_ID = "urn:xmpp:occupant-id:0"
HATS = "urn:xmpp:hats:0"
PICTURE = bytes.fromhex("89504e470d0a1a0a") + b"not a real picture, but nobody here looks"


def occupant_id(stanza: Any) -> str:
    """The occupant-id in a stanza."""
    found = part(stanza, OCCUPANT_ID, "occupant-id")
    return found.get("id", "") if found is not None else ""


# -- XEP-0421
@story("alice", "bob", "carol")
async def test_an_occupant_has_one_id_in_a_room(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """XEP-0421 3: in presence and messages, under every nickname, for all clients, at the next visit; not elsewhere."""
    await alice.make(room, "ann")
    own = occupant_id((await bob.enter(room, "bob")).self_presence)
    assert own and occupant_id(await alice.presence(f"{room}/bob")) == own
    bob.say(room, "hello")
    assert occupant_id(await alice.hear("hello")) == own
    await bob.muc.set_self_nick(room, "rob", timeout=PATIENCE_S)
    assert occupant_id(await alice.presence(f"{room}/rob")) == own
    async with Guest(bob.daemon, "bob") as phone:
        assert occupant_id((await phone.enter(room, "rob")).self_presence) == own
    bob.muc.leave_muc(room, "rob")
    await alice.presence(f"{room}/rob", "unavailable")
    assert occupant_id((await bob.enter(room, "robert")).self_presence) == own
    assert occupant_id((await carol.enter(room, "bob")).self_presence) not in ("", own)
    await alice.make(f"other-{room}", "ann")
    assert occupant_id((await bob.enter(f"other-{room}", "bob")).self_presence) not in ("", own)


@story("alice", "bob")
async def test_an_occupant_id_is_not_made_up_by_clients(room: str, alice: Guest, bob: Guest) -> None:
    """XEP-0421 3.4: one in what a client sends is taken out; also in private messages."""
    await alice.make(room, "ann")
    own = occupant_id((await bob.enter(room, "bob")).self_presence)
    forged = f"<occupant-id xmlns='{OCCUPANT_ID}' id='forged'/>"
    bob.send_raw(f"<presence to='{room}/bob'><show>away</show>{forged}</presence>")
    bob.send_raw(f"<message to='{room}' type='groupchat'><body>all</body>{forged}</message>")
    bob.send_raw(f"<message to='{room}/ann' type='chat'><body>one</body>{forged}</message>")
    for _ in range(3):
        came = await alice.next(lambda one: one["from"].resource == "bob" and ("away" in str(one) or one["body"]))
        assert "forged" not in str(came) and occupant_id(came) == own


# -- XEP-0410
@story("alice", "bob")
async def test_one_asks_whether_one_is_still_in(room: str, alice: Guest, bob: Guest) -> None:
    """XEP-0410 3: slixmpp's plugin, while in, after a new nickname, after leaving, and never having been in."""
    await alice.make(room, "ann")
    assert "http://jabber.org/protocol/muc#self-ping-optimization" in (await alice.info(room))["features"]
    ping = bob.plugin["xep_0410"].send_self_ping
    assert await refused(bob.plugin["xep_0199"].send_ping(JID(f"{room}/bob"), timeout=PATIENCE_S)) == "not-acceptable"
    await bob.enter(room, "bob")
    assert await ping(JID(f"{room}/bob"), timeout=PATIENCE_S) == PingStatus.JOINED
    await bob.muc.set_self_nick(room, "rob", timeout=PATIENCE_S)
    assert await ping(JID(f"{room}/rob"), timeout=PATIENCE_S) == PingStatus.JOINED
    assert await refused(bob.plugin["xep_0199"].send_ping(JID(f"{room}/bob"), timeout=PATIENCE_S)) == "item-not-found"
    bob.muc.leave_muc(room, "rob")
    await bob.presence(f"{room}/rob", "unavailable")
    assert await ping(JID(f"{room}/rob"), timeout=PATIENCE_S) == PingStatus.DISCONNECTED
    assert await refused(bob.plugin["xep_0199"].send_ping(JID(f"{room}/rob"), timeout=PATIENCE_S)) == "not-acceptable"


@story("alice", "bob")
async def test_each_client_asks_for_itself(room: str, alice: Guest, bob: Guest) -> None:
    """XEP-0410 3: another client of the same person may be in while this one is not."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    async with Guest(bob.daemon, "bob") as phone:
        assert await refused(phone.plugin["xep_0199"].send_ping(JID(f"{room}/bob"), timeout=PATIENCE_S)) == (
            "not-acceptable")
    await bob.plugin["xep_0199"].send_ping(JID(f"{room}/bob"), timeout=PATIENCE_S)


# -- XEP-0317
async def command(who: Guest, room: str, word: str, **fields: str) -> Any:
    """One of the commands on hats, in one step; raises IqError."""
    values = "".join(f"<field var='hats#{name}'><value>{value}</value></field>" for name, value in fields.items())
    form = (f"<x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:hats:commands</value></field>"
            f"{values}</x>")
    return await who.ask("set", f"<command xmlns='http://jabber.org/protocol/commands' action='execute' "
                                f"node='urn:xmpp:hats:commands:{word}'>{form}</command>", room)


def hats(presence: Any) -> list[tuple[str, str]]:
    """(uri, title) of each hat worn in a presence."""
    return [(one["uri"], one["title"]) for one in presence["hats"]]


@story("alice", "bob", "carol")
async def test_hats_are_given_worn_and_taken(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """XEP-0317: in everybody's sight, also for those who come later; clients give themselves none."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    await alice.presence(f"{room}/bob")
    uri = "https://hats.example/teacher"
    await command(alice, room, "create", title="Teacher", uri=uri, hue="120")
    await command(alice, room, "assign", uri=uri, jid=bob.boundjid.bare)
    assert hats(await alice.presence(f"{room}/bob")) == [(uri, "Teacher")]
    entered = await carol.enter(room, "carol")
    assert [hats(one) for one in entered.occupants if one["from"].resource == "bob"] == [[(uri, "Teacher")]]
    bob.send_raw(f"<presence to='{room}/bob'><show>away</show><hats xmlns='{HATS}'><hat uri='x' title='King'/></hats>"
                 "</presence>")
    shown = await carol.next(lambda one: isinstance(one, Presence) and one["show"] == "away")
    assert hats(shown) == [(uri, "Teacher")]
    listed = str(await command(alice, room, "list-assigned"))
    assert bob.boundjid.bare in listed and "Teacher" in listed
    await command(alice, room, "unassign", uri=uri, jid=bob.boundjid.bare)
    assert hats(await carol.presence(f"{room}/bob")) == []
    await command(alice, room, "destroy", uri=uri)
    assert uri not in str(await command(alice, room, "list"))


@story("alice", "bob")
async def test_hats_are_given_by_admins(room: str, alice: Guest, bob: Guest) -> None:
    """XEP-0317: the commands are found by those who may use them, and refused to the others."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    node = "http://jabber.org/protocol/commands"
    items = (await alice.plugin["xep_0030"].get_items(jid=room, node=node, timeout=PATIENCE_S))["disco_items"]["items"]
    assert {f"urn:xmpp:hats:commands:{word}" for word in (
        "create", "destroy", "assign", "unassign", "list", "list-assigned")} <= {item[1] for item in items}
    items = (await bob.plugin["xep_0030"].get_items(jid=room, node=node, timeout=PATIENCE_S))["disco_items"]["items"]
    assert list(items) == []
    assert await refused(command(bob, room, "create", title="King", uri="x:king")) == "forbidden"
    assert await refused(command(alice, room, "assign", uri="x:none", jid=bob.boundjid.bare)) == "item-not-found"


# -- pictures of rooms
@story("alice", "bob", "carol")
async def test_a_room_has_a_picture(room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """XEP-0054, XEP-0153, XEP-0486: set by owners, its hash told to those inside and to those who come."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    vcard = alice.plugin["xep_0054"].make_vcard()
    vcard["PHOTO"]["TYPE"], vcard["PHOTO"]["BINVAL"] = "image/png", PICTURE
    assert await refused(bob.plugin["xep_0054"].publish_vcard(jid=JID(room), vcard=vcard, timeout=PATIENCE_S)) == (
        "forbidden")
    await alice.plugin["xep_0054"].publish_vcard(jid=JID(room), vcard=vcard, timeout=PATIENCE_S)
    sha1 = hashlib.sha1(PICTURE).hexdigest()
    shown = await bob.presence(room)
    assert shown["vcard_temp_update"]["photo"] == sha1
    answer = await carol.plugin["xep_0054"].get_vcard(JID(room), cached=False, timeout=PATIENCE_S)
    assert answer["vcard_temp"]["PHOTO"]["BINVAL"] == PICTURE
    await carol.enter(room, "carol")
    assert (await carol.presence(room))["vcard_temp_update"]["photo"] == sha1
    assert sha1 in str(await carol.info(room))
    empty = alice.plugin["xep_0054"].make_vcard()
    await alice.plugin["xep_0054"].publish_vcard(jid=JID(room), vcard=empty, timeout=PATIENCE_S)
    shown = await bob.presence(room)
    assert not shown["vcard_temp_update"]["photo"]


@story("alice", "bob")
async def test_those_inside_are_told_of_a_new_picture(room: str, alice: Guest, bob: Guest) -> None:
    """XEP-0486: 104."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    vcard = alice.plugin["xep_0054"].make_vcard()
    vcard["PHOTO"]["TYPE"], vcard["PHOTO"]["BINVAL"] = "image/png", PICTURE
    await alice.plugin["xep_0054"].publish_vcard(jid=JID(room), vcard=vcard, timeout=PATIENCE_S)
    assert codes(await bob.message_of(room, lambda one: bool(codes(one)))) == {104}


# -- iqs between occupants
@story("alice", "bob", "carol")
async def test_an_iq_goes_through_the_room_without_real_addresses(
        room: str, alice: Guest, bob: Guest, carol: Guest) -> None:
    """17.4: version, ping and vCard of another occupant; strangers are refused."""
    await alice.make(room, "ann")
    await bob.enter(room, "bob")
    answer = await bob.plugin["xep_0092"].get_version(JID(f"{room}/ann"), timeout=PATIENCE_S)
    assert answer["from"].full == f"{room}/ann" and alice.boundjid.bare not in str(answer)
    await bob.plugin["xep_0199"].send_ping(JID(f"{room}/ann"), timeout=PATIENCE_S)
    vcard = alice.plugin["xep_0054"].make_vcard()
    vcard["FN"] = "Ann Smith"
    await alice.plugin["xep_0054"].publish_vcard(vcard=vcard, timeout=PATIENCE_S)
    answer = await bob.plugin["xep_0054"].get_vcard(JID(f"{room}/ann"), cached=False, timeout=PATIENCE_S)
    assert answer["vcard_temp"]["FN"] == "Ann Smith" and answer["from"].full == f"{room}/ann"
    assert await refused(carol.plugin["xep_0199"].send_ping(JID(f"{room}/ann"), timeout=PATIENCE_S)) == "not-acceptable"
    assert await refused(bob.plugin["xep_0199"].send_ping(JID(f"{room}/nobody"), timeout=PATIENCE_S)) == (
        "item-not-found")
