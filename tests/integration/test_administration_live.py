"""An administrator with an XMPP client (XEP-0050, XEP-0133) runs a domain of a running daemon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chatd.core import ns
from tests.daemon import DOMAIN, Daemon, running
from tests.raw import CLIENT, Cut, Raw

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
