"""Accounts of real Prosody and real ejabberd, dumped by their own tools, are taken over by `chatctl import`, and rooms
of Prosody by the script in docs/migration.md."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatd.core import ns
from chatd.core.jid import JID
from chatd.ctl.portable_rooms import FORMAT
from chatd.xep.muc.portable import room_row
from tests.daemon import DOMAIN, ROOT, running
from tests.integration.abroad import Authority, Names
from tests.integration.foreigners import Ejabberd, Foreigner, Prosody, abroad, dns_address
from tests.integration.slix import Client, befriend

JULIET, NURSE, ROOM = f"juliet@{DOMAIN}", f"nurse@{DOMAIN}", f"balcony@conference.{DOMAIN}"
PLUGINS = ("xep_0030", "xep_0199", "xep_0313", "xep_0059", "xep_0203", "xep_0297", "xep_0054", "xep_0049")
MIGRATE = """\
local stores = {{ "accounts", "roster", "vcard", "private", "pep-pubsub", "archive-archive" }}
input {{ type = "internal"; path = "{folder}/data"; hosts = {{ ["{domain}"] = stores }} }}
output {{ type = "xep0227" }}
"""


@pytest.fixture
def names() -> Iterator[Names]:
    """The DNS of these tests."""
    with Names(dns_address()) as names:
        yield names


async def live(server: Foreigner) -> None:
    """Contacts, a card, private data, messages that were read and one that waits."""
    async with Client(server, NURSE, plugins=PLUGINS) as nurse:
        async with Client(server, JULIET, plugins=PLUGINS) as juliet:
            await befriend(juliet, nurse)
            await juliet.ask("set", f"<query xmlns='jabber:iq:roster'><item jid='{NURSE}' name='Nana'><group>Home"
                                    "</group></item></query>")
            await juliet.ask("set", "<vCard xmlns='vcard-temp'><FN>Juliet C.</FN></vCard>")
            await juliet.ask("set", "<query xmlns='jabber:iq:private'><a xmlns='a:prefs'>text</a></query>")
            juliet.send_message(mto=NURSE, mbody="how now \t ", mtype="chat")
            await nurse.text("how now \t ")
            nurse.send_message(mto=JULIET, mbody="madam", mtype="chat")
            await juliet.text("madam")
        await nurse.presence_of(JULIET, "unavailable")
        nurse.send_message(mto=JULIET, mbody="where are you?", mtype="chat")
        await nurse.ask("get", "<ping xmlns='urn:xmpp:ping'/>", DOMAIN)


async def make_room(server: Foreigner) -> None:
    """A room that lasts, for members."""
    async with Client(server, JULIET, plugins=(*PLUGINS, "xep_0045")) as juliet:
        await juliet.plugin["xep_0045"].join_muc_wait(ROOM, "Juliet", timeout=30)
        fields = "".join(f"<field var='muc#roomconfig_{name}'><value>{value}</value></field>" for name, value in (
            ("roomname", "The balcony"), ("persistentroom", "1"), ("membersonly", "1")))
        fields += f"<field var='FORM_TYPE'><value>{ns.MUC}#roomconfig</value></field>"
        form = f"<x xmlns='{ns.DATA}' type='submit'>{fields}</x>"
        await juliet.ask("set", f"<query xmlns='{ns.MUC}#owner'>{form}</query>", ROOM)
        member = f"<item affiliation='member' jid='{NURSE}'/>"
        await juliet.ask("set", f"<query xmlns='{ns.MUC}#admin'>{member}</query>", ROOM)


async def come_back(daemon: Any, is_prosody: bool) -> None:
    """To chatd, with the old password."""
    async with Client(daemon, NURSE, plugins=PLUGINS) as nurse, Client(daemon, JULIET, plugins=PLUGINS) as juliet:
        if not is_prosody:              # its migrator knows no messages that wait; they are in the history
            await juliet.text("where are you?")
        await juliet.presence_of(nurse.boundjid.full)
        item = juliet.client_roster[NURSE]
        assert (item["name"], item["groups"]) == ("Nana", ["Home"])
        card = await nurse.ask("get", "<vCard xmlns='vcard-temp'/>", JULIET)
        assert card.xml.findtext("{vcard-temp}vCard/{vcard-temp}FN") == "Juliet C."
        kept = await juliet.ask("get", "<query xmlns='jabber:iq:private'><a xmlns='a:prefs'/></query>")
        assert kept.xml.findtext(f"{{{ns.PRIVATE}}}query/{{a:prefs}}a") == "text"
        if is_prosody:                  # ejabberd's dump has no history
            texts = [message["mam_result"]["forwarded"]["stanza"]["body"]
                     async for message in juliet.plugin["xep_0313"].iterate()]
            assert texts == ["how now \t ", "madam", "where are you?"]


def taken_over(tmp_path: Path, files: list[Path], is_prosody: bool) -> None:
    """The files into a new chatd, and the rooms of Prosody."""
    folder = tmp_path / "chatd"
    folder.mkdir()
    with running(folder) as daemon:
        done = daemon.ctl("import", *map(str, files))["result"]
        assert (done["left_out"], done["without_password"], done["error"]) == ([], [], "")
        assert done["kept"]["accounts"] == 2 and done["kept"]["contacts"] == 2
        asyncio.run(asyncio.wait_for(come_back(daemon, is_prosody), 120))
        if is_prosody:
            done = daemon.ctl("import", str(tmp_path / "rooms.jsonl"))["result"]
            assert (done["kept"], done["skipped"], done["left_out"]) == ({"rooms": 1}, {}, [])
            shown = daemon.ctl("room", "show", ROOM)["result"]
            assert (shown["owners"], shown["members"], shown["locked"]) == ([JULIET], 1, False)
            settings = daemon.ctl("room", "config", ROOM)["result"]
            assert settings["roomname"] == "The balcony" and settings["membersonly"] is True


def rooms_script(folder: Path) -> Path:
    """The script as the document has it."""
    lua = (ROOT / "docs" / "migration.md").read_text().split("`rooms.lua`")[1].split("```lua\n")[1].split("```")[0]
    script = folder / "rooms.lua"
    script.write_text(lua)
    return script


def rooms_of(folder: Path, files: list[Path]) -> list[dict[str, Any]]:
    """What the script makes of Prosody's files; the first line is not among it."""
    done = subprocess.run(["lua", str(rooms_script(folder)), *map(str, files)], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    (folder / "rooms.jsonl").write_text(done.stdout)
    head, *rooms = map(json.loads, done.stdout.splitlines())
    assert head == {"format": FORMAT}
    return rooms


OLD = """return { ["jid"] = "tea-time@conference.example.com"; ["_affiliations"] = { ["anna@example.com"] = "owner";
  ["bob@example.com"] = "member"; ["spam.example"] = "outcast"; }; ["_affiliation_data"] = { ["bob@example.com"] = {
  ["reserved_nickname"] = "Bobby"; }; }; ["_data"] = { ["name"] = "Tea \\"time\\""; ["persistent"] = true;
  ["description"] = "Milk \\226\\128\\147 sugar"; ["hidden"] = true; ["members_only"] = true; ["password"] = "hush";
  ["whois"] = "anyone"; ["changesubject"] = true; ["history_length"] = 400; ["subject"] = "Cups";
  ["subject_from"] = "tea-time@conference.example.com/Anna/B"; ["subject_time"] = 1700000000; ["archiving"] = false;
  ["presence_broadcast"] = { ["moderator"] = true; ["visitor"] = false; ["none"] = true; }; }; };"""
NEW = """return { ["_jid"] = "attic@conference.example.com"; ["anna@example.com"] = "owner"; ["_data"] = {
  ["persistent"] = true; ["password"] = ""; ["presence_broadcast"] = { }; }; };"""
GONE = """return { ["_jid"] = "gone@conference.example.com"; ["_data"] = { }; };"""


@pytest.mark.skipif(bool(Prosody.missing()), reason=Prosody.missing() or "-")
def test_rooms_of_prosody(tmp_path: Path) -> None:
    """Both ways in which Prosody writes them; nothing that the script says is unknown to the import."""
    files = []
    for name, text in (("tea%2dtime", OLD), ("attic", NEW), ("gone", GONE)):
        files.append(tmp_path / f"{name}.dat")
        files[-1].write_text(text)
    said, skipped = rooms_of(tmp_path, files), []
    tea, attic = [room_row(JID.parse(one["room"]), one, skipped) for one in said]
    assert skipped == [] and (tea.local, attic.local) == ("tea-time", "attic")
    assert tea.config == {
        "name": 'Tea "time"', "description": "Milk \u2013 sugar", "public": False, "members_only": True,
        "password": "hush", "protected": True, "whois": "anyone", "change_subject": True, "history": 100,
        "archive": False, "broadcast": ["moderator"]}
    assert {one.jid: (one.affiliation, one.nick) for one in tea.affiliates} == {
        "anna@example.com": ("owner", ""), "bob@example.com": ("member", "Bobby"), "spam.example": ("outcast", "")}
    assert (tea.subject, tea.subject_nick, tea.subject_ms) == ("Cups", "Anna/B", 1_700_000_000_000)
    assert attic.config == {"broadcast": []} and attic.persistent
    assert [one.jid for one in attic.affiliates] == ["anna@example.com"]
    assert len(tea.secret) == 32 and tea.secret != attic.secret


@pytest.mark.long
@pytest.mark.skipif(bool(Prosody.missing()), reason=Prosody.missing() or "-")
def test_prosody(tmp_path: Path, names: Names) -> None:
    """By prosody-migrator, as docs/migration.md has it."""
    dump, authority = tmp_path / "dump", tmp_path / "authority"
    dump.mkdir()
    authority.mkdir()
    server = Prosody(tmp_path / "prosody", DOMAIN, Authority(authority), names)
    with abroad(server):
        asyncio.run(asyncio.wait_for(live(server), 120))
        asyncio.run(asyncio.wait_for(make_room(server), 60))
    folder = server.folder / "data" / f"conference.{DOMAIN}".replace(".", "%2e") / "config"
    assert [one["room"] for one in rooms_of(tmp_path, list(folder.glob("*.dat")))] == [ROOM]
    config = tmp_path / "migrate.cfg.lua"
    config.write_text(MIGRATE.format(folder=server.folder, domain=DOMAIN))
    # It writes to /var/lib/prosody whatever it is told, so that is another folder for it.
    script = 'mount --bind "$1" /var/lib/prosody && exec prosody-migrator --root --config="$2" input output'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", str(dump), str(config)], capture_output=True,
                          text=True, timeout=120, check=False)
    assert done.returncode == 0 and list(dump.glob("*.xml")), done.stdout + done.stderr
    taken_over(tmp_path, [dump], is_prosody=True)


class Dumped(Ejabberd):
    """Writes its dump when a file asks for it: the node has no name to be called by."""

    def command(self) -> list[str]:
        command = super().command()
        wait = (f'spawn(fun() -> D = fun D() -> case filelib:is_file("{self.folder}/dump.now") of true -> '
                f'ejabberd_piefxis:export_server(<<"{self.folder}/dump">>), '
                f'file:write_file("{self.folder}/dump.done", <<"x">>); '
                "false -> timer:sleep(100), D() end end, D() end).")
        return [*command, "-eval", wait]


@pytest.mark.long
@pytest.mark.skipif(bool(Ejabberd.missing()), reason=Ejabberd.missing() or "-")
def test_ejabberd(tmp_path: Path, names: Names) -> None:
    """What `ejabberdctl export_piefxis` calls."""
    (tmp_path / "authority").mkdir()
    server = Dumped(tmp_path / "ejabberd", DOMAIN, Authority(tmp_path / "authority"), names)
    with abroad(server):
        asyncio.run(asyncio.wait_for(live(server), 120))
        (server.folder / "dump").mkdir()
        (server.folder / "dump.now").touch()
        deadline = time.monotonic() + 60
        while not (server.folder / "dump.done").exists():
            assert time.monotonic() < deadline, "ejabberd wrote no dump"
            time.sleep(0.1)
    files = sorted((server.folder / "dump").glob("*.xml"), key=os.path.getsize)
    main = [file for file in files if b"<server-data" in file.read_bytes()[:500]]
    assert len(main) == 1, files
    taken_over(tmp_path, main, is_prosody=False)
