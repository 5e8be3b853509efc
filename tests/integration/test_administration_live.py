"""An administrator with an XMPP client (XEP-0050, XEP-0133) runs a domain of a running daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatd.core import ns
from tests.daemon import DOMAIN, Daemon, running
from tests.integration.slix import PLUGINS, Client
from tests.raw import CLIENT, Cut, Raw

FORMS = (*PLUGINS, "xep_0004", "xep_0050")
ADMIN, ALICE = f"root@{DOMAIN}", f"alice@{DOMAIN}"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running(tmp_path, ADMIN, ALICE, domain_extra=f'admins = ["{ADMIN}"]') as daemon:
        yield daemon


def command(client: Raw, word: str, **values: str) -> str:
    """Runs a command as XEP-0133 has it; what stands in the answer."""
    node = f"{ns.ADMIN}#{word}"
    answer = client.ask("set", f"<command xmlns='{ns.COMMANDS}' node='{node}' action='execute'/>", DOMAIN)
    if values:
        session = answer[0].attrib["sessionid"]
        fields = "".join(f"<field var='{var}'><value>{value}</value></field>" for var, value in values.items())
        answer = client.ask(
            "set", f"<command xmlns='{ns.COMMANDS}' node='{node}' sessionid='{session}'><x xmlns='{ns.DATA}' "
                   f"type='submit'><field var='FORM_TYPE'><value>{ns.ADMIN}</value></field>{fields}</x></command>",
            DOMAIN)
    assert answer.get("type") == "result", answer
    return "".join(answer.itertext())


def test_a_day_of_an_administrator(daemon: Daemon) -> None:
    """What is done by command is done: somebody can log in, is told, is cut off, cannot log in any more."""
    new = f"new@{DOMAIN}"
    with Raw(daemon, "c2s_tls").login(ADMIN) as root:
        command(root, "add-user", accountjid=new, password="first", **{"password-verify": "first"})
        with Raw(daemon, "c2s_tls").login(new, "first") as person:
            assert "2" in command(root, "get-online-users-num")
            command(root, "announce", announcement="Tea is ready.")
            headline = person.until("message", type="headline")
            assert headline.findtext(CLIENT + "body") == "Tea is ready."
            command(root, "change-user-password", accountjid=new, password="second")
            command(root, "end-user-session", accountjids=new)
            assert person.stream_error() == "policy-violation"
        with Raw(daemon, "c2s_tls").login(new, "second") as person:
            command(root, "disable-user", accountjids=new)
            assert person.stream_error() == "not-authorized"
        command(root, "reenable-user", accountjids=new)
        command(root, "delete-user", accountjids=new)
        assert new not in command(root, "get-registered-users-list", max_items="none")
        with Raw(daemon, "c2s_tls").login(ALICE) as alice:
            refused = alice.ask("set", f"<command xmlns='{ns.COMMANDS}' node='{ns.ADMIN}#announce'/>", DOMAIN)
            assert refused.get("type") == "error" and refused.find(f".//{{{ns.STANZAS}}}forbidden") is not None


def test_from_a_client_with_forms(daemon: Daemon) -> None:
    """slixmpp finds the commands, is given each one's form and fills it in; what they do outlives a restart."""
    async def filled(root: Client, word: str, **values: Any) -> Any:
        commands = root.plugin["xep_0050"]
        asked = await commands.send_command(DOMAIN, f"{ns.ADMIN}#{word}")
        if asked["command"]["status"] == "completed":
            return asked["command"]
        assert asked["command"]["status"] == "executing" and "complete" in asked["command"]["actions"]
        form = asked["command"]["form"]
        assert form["type"] == "form" and set(values) <= set(form.get_fields())
        form.reply()
        form.set_values(values)
        answer = await commands.send_command(
            DOMAIN, f"{ns.ADMIN}#{word}", action="complete", payload=form, sessionid=asked["command"]["sessionid"])
        assert answer["command"]["status"] == "completed"
        return answer["command"]

    async def first() -> None:
        async with Client(daemon, ADMIN, plugins=FORMS) as root, Client(daemon, ALICE) as alice:
            listed = await root.plugin["xep_0050"].get_commands(DOMAIN)
            words = {node.rpartition("#")[2] for _, node, _ in listed["disco_items"]["items"]}
            assert len(words) == 26 and {"get-user-roster", "user-stats", "edit-motd", "get-idle-users"} <= words
            await filled(root, "set-motd", motd="Tea at five.")
            assert (await alice.text("Tea at five."))["type"] == "headline"
            await filled(root, "set-welcome", welcome="Hello.")
            alice.send_presence(pshow="away")
            await alice.presence_of(alice.boundjid.full, "away")
            assert (await filled(root, "get-idle-users"))["form"].get_values()["activeuserjids"] == [ALICE]
            assert (await filled(root, "get-active-users-num"))["form"].get_values()["activeusersnum"] == "1"
            statistics = (await filled(root, "user-stats", accountjid=ALICE))["form"].get_values()
            assert statistics["ipaddresses"] in ("127.0.0.1", ["127.0.0.1"]) and statistics["rostersize"] == "0"
            await alice.update_roster(ADMIN, name="The boss")
            roster = await filled(root, "get-user-roster", accountjids=[ALICE])
            [item] = roster.xml.iter(f"{{{ns.ROSTER}}}item")
            assert (item.get("jid"), item.get("name")) == (ADMIN, "The boss")

    asyncio.run(asyncio.wait_for(first(), 30))
    daemon.stop()
    daemon.start()

    async def later() -> None:
        async with Client(daemon, ADMIN, plugins=FORMS) as root:
            edited = await root.plugin["xep_0050"].send_command(DOMAIN, f"{ns.ADMIN}#edit-motd")
            assert edited["command"]["form"].get_values()["motd"] == ["Tea at five."]
            new = f"new@{DOMAIN}"
            await filled(root, "add-user", accountjid=new, password="secret", **{"password-verify": "secret"})
            async with Client(daemon, new, "secret") as person:
                texts = {(await person.messages.get())["body"] for _ in range(2)}
                assert texts == {"Hello.", "Tea at five."}
            await filled(root, "delete-motd")
            await filled(root, "delete-welcome")
        assert daemon.ctl("motd", "set", "--domain", DOMAIN, "by", "hand")["result"] == {"domain": DOMAIN}
        assert daemon.ctl("motd", "show", "--domain", DOMAIN)["result"] == {"text": "by hand"}

    asyncio.run(asyncio.wait_for(later(), 30))


def test_the_end_by_chatctl(daemon: Daemon) -> None:
    """Everybody is told, and the daemon ends in good order."""
    with Raw(daemon, "c2s_tls").login(ALICE) as alice:
        assert daemon.ctl("announce", "one", "two")["result"] == {"accounts": 1}
        assert alice.body() == "one two"
        assert daemon.ctl("shutdown", "good", "night")["result"] == {"delay_s": 0}
        assert alice.body() == "good night"
        with pytest.raises(Cut):
            assert alice.stream_error() == "system-shutdown"
            alice.read()
    assert daemon.process is not None and daemon.process.wait(20) == 0
    daemon.process = None
