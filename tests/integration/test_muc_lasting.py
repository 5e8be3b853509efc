"""Rooms over a restart and over kill -9, with slixmpp: what lasts is there again, what is acknowledged is not lost."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

from slixmpp import JID

from tests.daemon import DOMAIN, Daemon, running
from tests.integration.guests import SERVICE, Guest, codes, refused, standing
from tests.integration.slix import PATIENCE_S
from tests.integration.test_muc_archive import RETRACT, ids, messages, page
from tests.integration.test_muc_extras import PICTURE, command, hats, occupant_id

ROOM, TEMPORARY, LOCKED = (f"{name}@{SERVICE}" for name in ("attic", "tent", "building-site"))
ROUNDS = 2
PEOPLE = tuple(f"{name}@{DOMAIN}" for name in ("alice", "bob", "carol"))


def test_a_room_outlasts_an_orderly_restart(tmp_path: Path) -> None:
    """Settings, people and their nicknames, subject, picture, hats, history, archive with its tombstone, occupant ids;
    temporary and unfinished rooms end with the daemon."""
    known: dict[str, str] = {}

    async def before(daemon: Daemon) -> None:
        async with Guest(daemon, "alice") as alice, Guest(daemon, "bob") as bob:
            await alice.make(ROOM, "ann", roomname="The attic", moderatedroom=True, maxusers="30",
                             passwordprotectedroom=True, roomsecret="sesame")
            await alice.items(ROOM, f"<item affiliation='member' jid='{bob.boundjid.bare}' nick='robert'/>"
                                    f"<item affiliation='outcast' jid='carol@{DOMAIN}'><reason>noise</reason></item>")
            await command(alice, ROOM, "create", title="Keeper", uri="x:keeper")
            await command(alice, ROOM, "assign", uri="x:keeper", jid=bob.boundjid.bare)
            vcard = alice.plugin["xep_0054"].make_vcard()
            vcard["PHOTO"]["TYPE"], vcard["PHOTO"]["BINVAL"] = "image/png", PICTURE
            await alice.plugin["xep_0054"].publish_vcard(jid=JID(ROOM), vcard=vcard, timeout=PATIENCE_S)
            entered = await bob.enter(ROOM, "robert", password="sesame")
            known["bob"] = occupant_id(entered.self_presence)
            alice.muc.set_subject(ROOM, "Dust")
            for number in range(5):
                known[f"n{number}"] = await alice.says(ROOM, f"n{number}")
            known["spam"] = await bob.says(ROOM, "spam")
            await alice.plugin["xep_0425"].moderate(JID(ROOM), known["spam"], "no", timeout=PATIENCE_S)
            await alice.make(TEMPORARY, "ann", persistentroom=False)
            await alice.enter(LOCKED, "ann")
            daemon.stop()

    async def after(daemon: Daemon) -> None:
        async with Guest(daemon, "alice") as alice, Guest(daemon, "bob") as bob, Guest(daemon, "carol") as carol:
            for gone in (TEMPORARY, LOCKED):
                assert await refused(bob.info(gone)) == "item-not-found"
            assert await refused(carol.enter(ROOM, "carol", password="sesame")) == "forbidden"
            assert await refused(alice.enter(ROOM, "robert", password="sesame")) == "conflict"
            entered = await bob.enter(ROOM, "robert", password="sesame")
            assert standing(entered.self_presence) == ("member", "participant")
            assert occupant_id(entered.self_presence) == known["bob"]
            assert hats(entered.self_presence) == [("x:keeper", "Keeper")]
            assert entered.subject["subject"] == "Dust" and entered.subject["from"].full == f"{ROOM}/ann"
            said = [one for one in entered.history if one["body"]]
            assert [(one["body"], one["stanza_id"]["id"]) for one in said] == [
                (f"n{number}", known[f"n{number}"]) for number in range(5)]
            owner = await alice.enter(ROOM, "ann", password="sesame")
            assert standing(owner.self_presence) == ("owner", "moderator") and 201 not in codes(owner.self_presence)
            settings = await alice.settings(ROOM)
            assert settings["muc#roomconfig_roomname"] == "The attic" and settings["muc#roomconfig_maxusers"] == "30"
            assert settings["muc#roomconfig_roomsecret"] == "sesame"
            listed = await alice.listed(ROOM, "<item affiliation='outcast'/>")
            assert [one["jid"] for one in listed] == [f"carol@{DOMAIN}"]
            answer = await page(bob, ROOM)
            kept = dict(zip(ids(answer), messages(answer), strict=True))
            assert all(kept[known[f"n{number}"]]["body"] == f"n{number}" for number in range(5))
            stone = kept[known["spam"]]
            assert stone.xml.find(f"{{{RETRACT}}}retracted") is not None and "spam" not in str(stone)
            vcard = await bob.plugin["xep_0054"].get_vcard(JID(ROOM), cached=False, timeout=PATIENCE_S)
            assert base64.b64encode(PICTURE) == base64.b64encode(vcard["vcard_temp"]["PHOTO"]["BINVAL"])

    with running(tmp_path, *PEOPLE) as daemon:
        asyncio.run(asyncio.wait_for(before(daemon), 60))
        daemon.start()
        asyncio.run(asyncio.wait_for(after(daemon), 60))


def test_those_inside_are_told_of_a_shutdown(tmp_path: Path) -> None:
    """XEP-0045 11.2: 332, before the streams are closed."""

    async def run(daemon: Daemon) -> None:
        async with Guest(daemon, "alice") as alice, Guest(daemon, "bob") as bob:
            await alice.make(ROOM, "ann")
            await bob.enter(ROOM, "bob")
            stopped = asyncio.get_running_loop().run_in_executor(None, daemon.stop)
            for guest, nick in ((alice, "ann"), (bob, "bob")):
                gone = await guest.presence(f"{ROOM}/{nick}", "unavailable")
                assert codes(gone) == {110, 332}
            await stopped

    with running(tmp_path, *PEOPLE) as daemon:
        asyncio.run(asyncio.wait_for(run(daemon), 60))


def test_a_kill_loses_nothing_that_was_heard(tmp_path: Path) -> None:
    """kill -9 amid a stream of messages, twice: what came back with an id is in the archive, once, in order."""
    heard: list[tuple[str, str]] = []

    async def talk(daemon: Daemon, round_: int) -> None:
        async with Guest(daemon, "alice") as alice, Guest(daemon, "bob") as bob:
            if round_ == 0:
                await alice.make(ROOM, "ann", roomname="The attic")
                alice.muc.set_subject(ROOM, "Dust")
                await alice.next(lambda one: one["subject"] == "Dust")
            else:
                await alice.enter(ROOM, "ann")
            await bob.enter(ROOM, "bob", maxstanzas=0)
            for number in range(300):
                alice.say(ROOM, f"{round_}-{number}")
            while sum(body.startswith(f"{round_}-") for body, _ in heard) < 100:
                message = await bob.next(lambda one: one["type"] == "groupchat" and one["body"]
                                         and one["body"].startswith(f"{round_}-"))
                heard.append((message["body"], message["stanza_id"]["id"]))
            daemon.kill()
            while not bob.inbox.empty():
                late = bob.inbox.get_nowait()
                if late["body"] and late["body"].startswith(f"{round_}-") and late["type"] == "groupchat":
                    heard.append((late["body"], late["stanza_id"]["id"]))

    async def check(daemon: Daemon) -> None:
        async with Guest(daemon, "bob") as bob:
            assert (await bob.enter(ROOM, "bob")).subject["subject"] == "Dust"
            assert "The attic" in str(await bob.info(ROOM))
            kept = [(one["mam_result"]["forwarded"]["stanza"]["body"], one["mam_result"]["id"])
                    async for one in bob.plugin["xep_0313"].iterate(jid=ROOM, rsm={"max": 100})
                    if one["mam_result"]["forwarded"]["stanza"]["body"]]
            assert len(kept) == len(set(kept)) and set(heard) <= set(kept)
            assert [one for one in kept if one in set(heard)] == heard
            for round_ in range(ROUNDS):
                numbers = [int(body.split("-")[1]) for body, _ in kept if body.startswith(f"{round_}-")]
                assert numbers == list(range(len(numbers))), "a gap, or out of order"

    with running(tmp_path, *PEOPLE) as daemon:
        for round_ in range(ROUNDS):
            asyncio.run(asyncio.wait_for(talk(daemon, round_), 60))
            daemon.start()
        asyncio.run(asyncio.wait_for(check(daemon), 60))
