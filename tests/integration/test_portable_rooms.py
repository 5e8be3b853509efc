"""`chatctl export --rooms`: from one chatd to another nothing of a room is lost; what cannot be taken over is told."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import DOMAIN, OTHER, Daemon, running
from tests.integration.slix import PLUGINS, Client
from tests.integration.test_portable import call

PAT, SAM = f"pat@{DOMAIN}", f"sam@{DOMAIN}"
TEA, QUIET = f"tea@conference.{DOMAIN}", f"quiet@conference.{OTHER}"
ROOMS = (*PLUGINS, "xep_0045")


async def talk(daemon: Daemon) -> None:
    """Something is said, by two people, and a subject is set."""
    async with Client(daemon, PAT, plugins=ROOMS) as pat, Client(daemon, SAM, plugins=ROOMS) as sam:
        await pat.plugin["xep_0045"].join_muc_wait(TEA, "Pat", timeout=30)
        await sam.plugin["xep_0045"].join_muc_wait(TEA, "Sam <3", timeout=30)
        pat.plugin["xep_0045"].set_subject(TEA, "Milk & sugar")
        for number in range(260):
            (pat, sam)[number % 2].send_message(mto=TEA, mbody=f"<{number}> \t", mtype="groupchat")
        await pat.text("<258> \t")
        await sam.text("<259> \t")
        await pat.ask("set", "<vCard xmlns='vcard-temp'><FN>Tea</FN></vCard>", TEA)


async def archive(client: Client, room: str) -> list[tuple[str, str]]:
    """Ids and texts of a room's archive."""
    found = []
    async for message in client.plugin["xep_0313"].iterate(jid=room, rsm={"max": 100}):
        result = message["mam_result"]
        found.append((result["id"], result["forwarded"]["stanza"]["body"]))
    return found


@pytest.mark.long
def test_from_one_to_another(tmp_path: Path) -> None:
    """What the second one exports is what the first one did; people find their room as they left it."""
    first, second, dump = tmp_path / "first", tmp_path / "second", tmp_path / "rooms.jsonl"
    first.mkdir()
    second.mkdir()
    before: list[Any] = []

    async def look(daemon: Daemon, into: list[Any]) -> None:
        async with Client(daemon, PAT, plugins=ROOMS) as pat:
            await pat.plugin["xep_0045"].join_muc_wait(TEA, "Pat", maxstanzas=0, timeout=30)
            into += await archive(pat, TEA)

    with running(first, PAT, SAM) as daemon:
        daemon.ctl("room", "create", TEA, PAT, "roomname=Tea time", "passwordprotectedroom=true", "roomsecret=hush")
        daemon.ctl("room", "config", TEA, "passwordprotectedroom=false", "roomsecret=")
        daemon.ctl("room", "create", QUIET, f"lee@{OTHER}", "membersonly=true", "publicroom=false")
        daemon.ctl("room", "affiliation", TEA, SAM, "admin", "--reason", "makes the best")
        daemon.ctl("room", "affiliation", TEA, "bad@elsewhere.example", "outcast")
        asyncio.run(asyncio.wait_for(talk(daemon), 120))
        asyncio.run(asyncio.wait_for(look(daemon, before), 120))
        assert len(before) > 260
        said = daemon.ctl("export", "--rooms", str(dump))["result"]
        assert said["rooms"] == 2 and said["messages"] > 260
        assert stat.S_IMODE(dump.stat().st_mode) == 0o600
        refused = call(daemon, "--json", "import", str(dump))
        assert refused.returncode == 1
        assert [one["why"] for one in json.loads(refused.stdout)["result"]["left_out"]] == [
            "There is such a room already."] * 2
        only = tmp_path / "one.jsonl"
        assert daemon.ctl("export", "--rooms", "--domain", OTHER, str(only))["result"]["rooms"] == 1
    with running(second, PAT, SAM) as daemon:
        dry = daemon.ctl("import", "--dry-run", str(dump))["result"]
        assert dry["kept"] == {"messages": said["messages"], "rooms": 2} and daemon.ctl("room", "list")["result"] == []
        done = daemon.ctl("import", str(dump))["result"]
        assert (done["kept"], done["skipped"], done["left_out"], done["error"]) == (dry["kept"], {}, [], "")
        other = tmp_path / "other.jsonl"
        daemon.ctl("export", "--rooms", str(other))
        assert other.read_text() == dump.read_text()
        daemon.stop()
        daemon.start()
        other.unlink()
        daemon.ctl("export", "--rooms", str(other))
        assert other.read_text() == dump.read_text(), "it is in the store"
        shown = daemon.ctl("room", "show", TEA)["result"]
        assert (shown["subject"], shown["owners"], shown["admins"], shown["locked"]) == (
            "Milk & sugar", [PAT], [SAM], False)
        after: list[Any] = []
        asyncio.run(asyncio.wait_for(look(daemon, after), 120))
        assert after == before, "with the same ids"
        asyncio.run(asyncio.wait_for(talk(daemon), 120))


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    """Rooms of other domains, without an owner, damaged settings, messages and lines; the rest is taken over, and what
    broke off lets nobody in."""
    folder, dump = tmp_path / "chatd", tmp_path / "rooms.jsonl"
    folder.mkdir()
    room = {"room": TEA, "secret": "A" * 24, "created_ms": 5, "persistent": True,
            "config": {"name": "Tea", "odd": 1, "max_users": -3, "protected": True},
            "affiliates": [{"jid": PAT, "affiliation": "owner"}, {"jid": "@@", "affiliation": "owner"}, {"jid": SAM,
                           "affiliation": "king"}, 7], "subject": "S"}
    message = f"<message xmlns='jabber:client' from='{TEA}/Pat'><body/></message>"
    good = {"id": "5242880", "stamp_ms": 5, "stanza": message}
    lines: list[Any] = [
        {"format": "chatd rooms 1"},
        {**room, "room": "tea@conference.unknown.example"}, {"message": good},
        {**room, "affiliates": []}, {**room, "secret": "?"}, {**room, "room": "@"}, {**room, "room": DOMAIN},
        room, {"message": good}, {"message": good}, {"message": {**good, "id": "x"}},
        {"message": {**good, "id": "9" * 19}}, {"message": {**good, "id": "5242881", "stanza": "<message>"}},
        {"message": {**good, "id": "5242881", "stanza": "<iq xmlns='jabber:client'/>"}}, {"message": 7},
    ]
    with running(folder, PAT) as daemon:
        def taken(text: str) -> dict[str, Any]:
            dump.write_text(text)
            done = call(daemon, "--json", "import", str(dump))
            assert done.returncode == 1, done
            return dict(json.loads(done.stdout)["result"])

        result = taken("\n".join(map(json.dumps, lines)))
        assert result["kept"] == {"messages": 1, "rooms": 1}
        assert len(result["left_out"]) == 5
        assert result["skipped"] == {
            "a message of a room is damaged": 6, "its password is missing; it is for members only": 1,
            "its setting odd is not known here, or has no value that can be": 1,
            "its setting max_users is not known here, or has no value that can be": 1,
            "somebody's standing is damaged": 3}
        settings = daemon.ctl("room", "config", TEA)["result"]
        assert settings["membersonly"] is True and settings["passwordprotectedroom"] is False
        assert "not a file of rooms" in taken('{"format": "chatd rooms 99"}')["error"]
        other = {**room, "room": f"half@conference.{DOMAIN}"}
        broken = taken("\n".join([json.dumps(lines[0]), json.dumps(other), json.dumps({"message": good}), "{broken"]))
        assert "line 4" in broken["error"]
        assert daemon.ctl("room", "show", f"half@conference.{DOMAIN}")["result"]["locked"] is True
        daemon.stop()
        daemon.start()
        assert [row["room"] for row in daemon.ctl("room", "list")["result"]] == [TEA]
