"""Rooms with slixmpp's own XEP-0045 plugin against the daemon: make, enter, talk, rule, leave, survive a kill."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slixmpp.exceptions import IqError, PresenceError

from chatd.core import ns
from tests.daemon import DOMAIN, Daemon, running
from tests.integration.slix import PATIENCE_S, PLUGINS, Client

ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"
SERVICE = f"conference.{DOMAIN}"
MUC_PLUGINS = (*PLUGINS, "xep_0045", "xep_0249")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for the tests of this file."""
    with running(Path(tmp_path_factory.mktemp("chatd")), ALICE, BOB) as made:
        yield made


def client(daemon: Daemon, address: str) -> Client:
    """One that knows rooms."""
    made = Client(daemon, address, plugins=MUC_PLUGINS)
    made.add_event_handler("groupchat_presence", made.presences.put_nowait)
    made.add_event_handler("groupchat_direct_invite", made.messages.put_nowait)
    return made


async def enter(who: Client, room: str, nick: str, **more: Any) -> Any:
    """Until the room's subject has come."""
    return await who.plugin["xep_0045"].join_muc_wait(room, nick, timeout=PATIENCE_S, **more)


async def configure(who: Client, room: str, **values: Any) -> None:
    """Fetches the form, fills in and submits it."""
    muc = who.plugin["xep_0045"]
    form = await muc.get_room_config(room)
    form["type"] = "submit"
    form.set_values({f"muc#roomconfig_{name}": value for name, value in values.items()})
    await muc.set_room_config(room, form)


async def heard(who: Client, body: str) -> Any:
    """A groupchat message of this body."""
    return await who.message(lambda stanza: stanza["type"] == "groupchat" and stanza["body"] == body)


def test_talk(daemon: Daemon) -> None:
    """Two people in a room: roster of occupants, messages, private ones, subject, nickname, self-ping."""
    room = f"talk@{SERVICE}"

    async def run() -> None:
        async with client(daemon, ALICE) as alice, client(daemon, BOB) as bob:
            await enter(alice, room, "ann")
            await configure(alice, room, roomname="Talk")
            joined = await enter(bob, room, "bob")
            assert {one["muc"]["nick"] for one in joined[2]} >= {"ann"}
            bob.send_message(mto=room, mbody="hello", mtype="groupchat")
            message = await heard(alice, "hello")
            assert message["from"].full == f"{room}/bob"
            await heard(bob, "hello")
            alice.send_message(mto=f"{room}/bob", mbody="psst", mtype="chat")
            assert (await bob.text("psst"))["from"].full == f"{room}/ann"
            await bob.plugin["xep_0199"].send_ping(f"{room}/bob", timeout=PATIENCE_S)
            items = await alice.plugin["xep_0030"].get_items(jid=SERVICE)
            assert room in {item[0] for item in items["disco_items"]["items"]}
            bob.send_presence(pto=f"{room}/rob")
            await alice.presence_of(f"{room}/rob")
            bob.plugin["xep_0045"].leave_muc(room, "rob")
            await alice.presence_of(f"{room}/rob", "unavailable")

    asyncio.run(asyncio.wait_for(run(), 60))


def test_rule(daemon: Daemon) -> None:
    """Kick, ban, members, password, invitation, destruction: each with the plugin's own call."""
    room = f"rule@{SERVICE}"

    async def run() -> None:
        async with client(daemon, ALICE) as alice, client(daemon, BOB) as bob:
            muc = alice.plugin["xep_0045"]
            await enter(alice, room, "ann")
            await configure(alice, room, passwordprotectedroom=True, roomsecret="sesame")
            with pytest.raises(PresenceError) as refused:
                await enter(bob, room, "bob")
            assert refused.value.condition == "not-authorized"
            await enter(bob, room, "bob", password="sesame")
            await muc.set_role(room, "bob", "none")
            await bob.presence_of(f"{room}/bob", "unavailable")
            await muc.set_affiliation(room, "outcast", jid=BOB)
            assert await muc.get_affiliation_list(room, "outcast") == [BOB]
            with pytest.raises(PresenceError) as refused:
                await enter(bob, room, "bob", password="sesame")
            assert refused.value.condition == "forbidden"
            await muc.set_affiliation(room, "none", jid=BOB)
            muc.invite(room, BOB, reason="come back")
            invited = await bob.message(lambda stanza: stanza["from"].full == room)
            assert "come back" in str(invited)
            await enter(bob, room, "bob", password="sesame")
            with pytest.raises(IqError):
                await bob.plugin["xep_0045"].destroy(room, "mine", timeout=PATIENCE_S)
            await muc.destroy(room, "over", timeout=PATIENCE_S)
            gone = await bob.presence_of(f"{room}/bob", "unavailable")
            assert "over" in str(gone)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_over_a_kill(tmp_path: Path) -> None:
    """kill -9: the room, its settings, owner, subject and what everybody heard are there again."""
    room = f"attic@{SERVICE}"

    async def before(daemon: Daemon) -> None:
        async with client(daemon, ALICE) as alice:
            await enter(alice, room, "ann")
            await configure(alice, room, moderatedroom=True)
            alice.send_message(mto=room, msubject="Dust", mtype="groupchat")
            for number in range(20):
                alice.send_message(mto=room, mbody=f"n{number}", mtype="groupchat")
                await heard(alice, f"n{number}")
            daemon.kill()

    async def after(daemon: Daemon) -> None:
        async with client(daemon, BOB) as bob, client(daemon, ALICE) as alice:
            answer = await enter(bob, room, "bob")
            assert answer[0]["muc"]["role"] == "visitor" and answer[1]["subject"] == "Dust"
            assert [message["body"] for message in answer[3]] == [f"n{number}" for number in range(20)]
            answer = await enter(alice, room, "ann")
            assert answer[0]["muc"]["affiliation"] == "owner"
            results = await alice.ask("set", f"<query xmlns='{ns.MAM}'/>", room)
            assert results["type"] == "result"

    with running(tmp_path, ALICE, BOB) as daemon:
        asyncio.run(asyncio.wait_for(before(daemon), 60))
        daemon.start()
        asyncio.run(asyncio.wait_for(after(daemon), 60))
