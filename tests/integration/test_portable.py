"""`chatctl export` and `chatctl import`: from one chatd to another nothing of an account is lost, and what cannot be
taken over is told."""

from __future__ import annotations

import asyncio
import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from tests.daemon import DOMAIN, OTHER, PASSWORD, ROOT, Daemon, running
from tests.integration.slix import Client, befriend

PAT, SAM, KIM = f"pat@{DOMAIN}", f"sam@{DOMAIN}", f"kim@{DOMAIN}"
LEE = f"lee@{OTHER}"
PUBSUB = "http://jabber.org/protocol/pubsub"
NICK = "<nick xmlns='http://jabber.org/protocol/nick'>Patty &amp; Co</nick>"
OPEN = (f"<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>"
        f"<value>{PUBSUB}#publish-options</value></field><field var='pubsub#access_model'><value>whitelist</value>"
        "</field></x></publish-options>")


async def live(daemon: Daemon) -> None:
    """A day of which something of every kind stays."""
    async with Client(daemon, PAT) as pat, Client(daemon, SAM) as sam:
        await befriend(pat, sam)
        await pat.ask("set", f"<query xmlns='jabber:iq:roster'><item jid='{SAM}' name='Sam &lt;3'>"
                             "<group>At work</group><group>Friends</group></item></query>")
        for number in range(300):
            pat.send_message(mto=SAM, mbody=f"message {number} \t ", mtype="chat")
        await sam.text("message 299 \t ")
        await pat.ask("set", "<vCard xmlns='vcard-temp'><FN>Pat</FN><PHOTO><TYPE>image/png</TYPE><BINVAL>AAAA"
                             "</BINVAL></PHOTO></vCard>")
        await pat.ask("set", "<query xmlns='jabber:iq:private'><prefs xmlns='a:prefs'><p:x xmlns:p='b' p:y='1'/>"
                             "</prefs></query>")
        await pat.ask("set", "<block xmlns='urn:xmpp:blocking'><item jid='bad@elsewhere.example'/></block>")
        await pat.ask("set", f"<pubsub xmlns='{PUBSUB}'><publish node='http://jabber.org/protocol/nick'>"
                             f"<item id='current'>{NICK}</item></publish>{OPEN}</pubsub>")
        await sam.ask("get", "<ping xmlns='urn:xmpp:ping'/>", DOMAIN)
        sam.send_presence_subscription(pto=KIM, ptype="subscribe")
        sam.send_message(mto=KIM, mbody="when you are back", mtype="chat")
        await sam.ask("get", "<ping xmlns='urn:xmpp:ping'/>", DOMAIN)


def test_from_one_to_another(tmp_path: Path) -> None:
    """What the second one exports is what the first one did; people log in with their passwords and find it all."""
    first, second, dump = tmp_path / "first", tmp_path / "second", tmp_path / "dump.xml"
    first.mkdir()
    second.mkdir()
    with running(first, PAT, SAM, KIM, LEE) as daemon:
        asyncio.run(asyncio.wait_for(live(daemon), 120))
        daemon.ctl("user", "disable", LEE)
        said = daemon.ctl("export", str(dump))["result"]
        assert said["accounts"] == 4 and said["messages"] > 600
        assert stat.S_IMODE(dump.stat().st_mode) == 0o600
        again = call(daemon, "export", str(dump))
        assert again.returncode == 2 and b"is there already" in again.stderr
        refused = call(daemon, "import", str(dump))
        assert refused.returncode == 1 and refused.stdout.count(b"there is such an account already") == 4
    assert PASSWORD not in dump.read_text()
    with running(second) as daemon:
        dry = daemon.ctl("import", "--dry-run", str(dump))["result"]
        assert dry["kept"]["accounts"] == 4 and not daemon.ctl("user", "list")["result"]
        done = daemon.ctl("import", str(dump))["result"]
        assert done["kept"] == dry["kept"]
        assert (done["left_out"], done["skipped"], done["without_password"], done["error"]) == ([], {}, [], "")
        other = tmp_path / "other.xml"
        daemon.ctl("export", str(other))
        assert bare(other) == bare(dump)
        asyncio.run(asyncio.wait_for(_come_back(daemon), 120))
        shown = {row["jid"]: row["disabled"] for row in daemon.ctl("user", "list")["result"]}
        assert shown == {PAT: False, SAM: False, KIM: False, LEE: True}


def bare(file: Path) -> str:
    """An export without what is each server's own: the archive's ids, and how it writes its XML."""
    text = ET.canonicalize(file.read_text(), rewrite_prefixes=True)
    return re.sub(r'(:result (?:xmlns:\w+="[^"]*" )?id=")[0-9]+', r"\1", text)


def call(daemon: Daemon, *words: str) -> subprocess.CompletedProcess[bytes]:
    """chatctl, for people."""
    return subprocess.run([sys.executable, "-m", "chatd.ctl", "--config", str(daemon.config), *words],
                          capture_output=True, cwd=ROOT, timeout=60, check=False)


async def _come_back(daemon: Daemon) -> None:
    async with Client(daemon, PAT) as pat, Client(daemon, SAM) as sam:
        await pat.presence_of(sam.boundjid.full)
        item = pat.client_roster[SAM]
        assert item["name"] == "Sam <3" and set(item["groups"]) == {"At work", "Friends"}
        results: list[Any] = []
        async for message in pat.plugin["xep_0313"].iterate(rsm={"max": 100}):
            results.append(message["mam_result"]["forwarded"]["stanza"]["body"])
        assert [f"message {number} \t " for number in range(300)] == [text for text in results if text]
        async with Client(daemon, KIM) as kim:
            await kim.text("when you are back")
            await kim.presence_of(SAM, "subscribe")


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    """Files that are none, people of other domains, damaged parts: the rest is taken over."""
    folder = tmp_path / "chatd"
    folder.mkdir()
    with running(folder) as daemon:
        bad = tmp_path / "bad.xml"
        for text, said in (
            ("<server-data xmlns='urn:xmpp:pie:0'><host jid='a'>", "not whole XML"),
            ("<html/>", "no XEP-0227 file"),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "document type"),
            (f"<server-data xmlns='urn:xmpp:pie:0'><host jid='{DOMAIN}'><i:include href='../../etc/passwd' "
             "xmlns:i='http://www.w3.org/2001/XInclude'/></host></server-data>", "not below its folder"),
            (f"<server-data xmlns='urn:xmpp:pie:0'><host jid='{DOMAIN}'><user name='x'>" + "<a>" * 300, "too deep"),
        ):
            bad.write_text(text)
            done = call(daemon, "--json", "import", str(bad))
            assert done.returncode == 1 and said in json.loads(done.stdout)["result"]["error"], text
        bad.write_text(f"""<server-data xmlns='urn:xmpp:pie:0'>
            <host jid='unknown.example'><user name='x' password='secret-word'/></host>
            <host jid='{DOMAIN}'><user name='a b' password='secret-word'/>
            <user name='pat' password='secret-word'>
              <scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='SCRAM-SHA-1'><salt>?</salt></scram-credentials>
              <query xmlns='jabber:iq:roster'><item jid='a@b@c'/><item jid='sam@x.example' subscription='odd'/>
                <item jid='kim@x.example' subscription='to'/></query>
              <archive xmlns='urn:xmpp:pie:0#mam'><result xmlns='urn:xmpp:mam:2'/></archive>
              <offline-messages><message xmlns='jabber:client' from='a@b@c'/></offline-messages>
              <something xmlns='else'/></user></host></server-data>""")
        done = call(daemon, "--json", "import", str(bad))
        assert done.returncode == 1 and b"secret-word" not in done.stdout
        result = json.loads(done.stdout)["result"]
        assert {one["jid"] for one in result["left_out"]} == {"x@unknown.example", f"a b@{DOMAIN}"}
        assert result["kept"] == {"accounts": 1, "contacts": 1}
        assert set(result["skipped"]) == {
            "what is kept of a password is damaged", "a contact's address is none",
            "a contact has a state that is not known", "a message of the history is empty",
            "a message is from or to no address", "<something/> of else is not known here"}
        assert daemon.ctl("user", "check-password", PAT, stdin="secret-word\n")
