"""chatctl's commands for accounts, as a sysadmin types them, and what the people concerned see of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatd.core import ns
from tests.daemon import DOMAIN, OTHER, PASSWORD, ROOT, Daemon, running
from tests.raw import CLIENT, Raw, RawWebSocket, condition

FRIEND = f"friend@{OTHER}"
DONE, REFUSED, WRONG_USE, NOT_RUNNING = 0, 1, 2, 3


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for this file."""
    with running(Path(tmp_path_factory.mktemp("accounts")), FRIEND) as daemon:
        yield daemon


def chatctl(daemon: Daemon, *words: str, stdin: str = "") -> tuple[int, str, str]:
    """Exit code and what it printed, on both."""
    done = subprocess.run([sys.executable, "-m", "chatd.ctl", "--config", str(daemon.config), *words],
                          input=stdin, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def answer(daemon: Daemon, *words: str, stdin: str = "") -> Any:
    """The result by --json."""
    code, out, err = chatctl(daemon, "--json", *words, stdin=stdin)
    assert code == DONE, err
    found = json.loads(out)
    assert found["ok"] is True
    return found["result"]


def log_in(daemon: Daemon, address: str, password: str) -> str:
    """"" or why a log-in fails."""
    with Raw(daemon, "c2s_tls", source="127.0.0.20") as raw:
        raw.open(address.partition("@")[2])
        return condition(raw.auth(address, password))


def test_the_life_of_an_account(daemon: Daemon) -> None:
    """Added, used, given another password, disabled, enabled, deleted, and added again as somebody new."""
    kim = f"kim@{DOMAIN}"
    assert log_in(daemon, kim, PASSWORD) == "not-authorized"
    assert chatctl(daemon, "user", "add", kim, stdin=PASSWORD + "\n")[0] == DONE
    assert chatctl(daemon, "user", "add", kim, stdin=PASSWORD + "\n")[0] == REFUSED
    assert answer(daemon, "user", "show", kim)["last_login"] is None

    with Raw(daemon).login(kim, resource="desk") as desk, RawWebSocket(daemon).login(kim, resource="web") as web:
        shown = answer(daemon, "user", "show", kim)
        assert (shown["sessions"], shown["resources"]) == (2, ["desk", "web"])
        [listed] = [row for row in answer(daemon, "user", "list", DOMAIN) if row["jid"] == kim]
        assert (listed["sessions"], listed["disabled"]) == (2, False)
        desk.ask("set", f"<query xmlns='{ns.ROSTER}'><item jid='{FRIEND}' name='My friend'/></query>")
        desk.message(FRIEND, "kept")

        # Another password: who is in stays in, and logs in with the new one from now on.
        assert chatctl(daemon, "user", "passwd", kim, stdin="another one 2\n")[0] == DONE
        assert desk.ping().get("type") == "result"
        assert log_in(daemon, kim, PASSWORD) == "not-authorized"
        assert log_in(daemon, kim, "another one 2") == ""

        # Disabled: out at once, and not in again.
        assert answer(daemon, "user", "disable", kim)["sessions_ended"] == 2
        for raw in (desk, web):
            assert raw.stream_error() == "not-authorized"
    assert log_in(daemon, kim, "another one 2") == "account-disabled"
    assert log_in(daemon, kim, "a wrong one") == "not-authorized", "only the owner learns that it is disabled"
    assert answer(daemon, "user", "show", kim)["disabled"] is True
    assert "disabled" in chatctl(daemon, "user", "list", DOMAIN)[1]

    # Enabled: all is as it was.
    assert chatctl(daemon, "user", "enable", kim)[0] == DONE
    with Raw(daemon).login(kim, "another one 2") as again, Raw(daemon).login(FRIEND) as friend:
        assert again.ask("get", f"<query xmlns='{ns.ROSTER}'/>")[0][0].get("name") == "My friend"

        # Deleted: out, not there any more, for nobody.
        assert chatctl(daemon, "user", "delete", kim)[0] == WRONG_USE
        assert answer(daemon, "user", "delete", kim, "--yes")["sessions_ended"] == 1
        assert again.stream_error() == "not-authorized"
        friend.message(kim, "are you there?", "gone")
        refused = friend.until("message", id="gone")
        assert (refused.get("type"), condition(refused)) == ("error", "service-unavailable")
    assert log_in(daemon, kim, "another one 2") == "not-authorized"
    assert chatctl(daemon, "user", "show", kim)[0] == REFUSED

    # The same name again is somebody new: no contacts, no history.
    assert chatctl(daemon, "user", "add", kim, stdin=PASSWORD + "\n")[0] == DONE
    with Raw(daemon).login(kim) as new:
        assert len(new.ask("get", f"<query xmlns='{ns.ROSTER}'/>")[0]) == 0
        new.send(f"<iq type='set' id='mam'><query xmlns='{ns.MAM}'/></iq>")
        assert new.read().tag == CLIENT + "iq"


def test_a_disabled_account_still_gets_its_mail(daemon: Daemon) -> None:
    """What is sent to it meanwhile waits until it is enabled again, like for anybody who is offline."""
    lee = f"lee@{DOMAIN}"
    assert chatctl(daemon, "user", "add", lee, stdin=PASSWORD + "\n")[0] == DONE
    assert chatctl(daemon, "user", "disable", lee)[0] == DONE
    with Raw(daemon).login(FRIEND) as friend:
        friend.message(lee, "for later")
        friend.ping()
    assert chatctl(daemon, "user", "enable", lee)[0] == DONE
    with Raw(daemon).login(lee) as raw:
        assert raw.body() == "for later"


def test_a_session_that_waits_is_ended_too(daemon: Daemon) -> None:
    """A client whose link is cut cannot resume when the account was disabled meanwhile (XEP-0198 5)."""
    max_ = f"max@{DOMAIN}"
    assert chatctl(daemon, "user", "add", max_, stdin=PASSWORD + "\n")[0] == DONE
    raw = Raw(daemon, "c2s_tls").login(max_)
    token = raw.enable()
    raw.reset()
    assert answer(daemon, "user", "disable", max_)["sessions_ended"] == 1
    assert chatctl(daemon, "user", "enable", max_)[0] == DONE
    with Raw(daemon, "c2s_tls") as again:
        again.authenticate(max_)
        again.send(f"<resume xmlns='{ns.SM}' h='0' previd='{token}'/>")
        assert condition(again.until("{%s}failed" % ns.SM)) == "item-not-found"


@pytest.mark.parametrize(("words", "code"), [
    ((), WRONG_USE), (("user",), WRONG_USE), (("user", "fly"), WRONG_USE), (("user", "add"), WRONG_USE),
    (("user", "show", f"nobody@{DOMAIN}"), REFUSED), (("user", "show", "nobody@example.org"), REFUSED),
    (("user", "show", "@@"), REFUSED), (("user", "show", f"a@{DOMAIN}/b"), REFUSED), (("user", "list", "x.y"), REFUSED),
    (("user", "passwd", f"nobody@{DOMAIN}"), WRONG_USE), (("do", "fly"), REFUSED), (("status",), DONE),
    (("user", "list"), DONE), (("check", "--offline"), DONE), (("--config", "/nowhere.toml", "status"), WRONG_USE),
])
def test_exit_codes(daemon: Daemon, words: tuple[str, ...], code: int) -> None:
    """0 done, 1 refused, 2 wrong use; a refusal is one line on standard error, and an object by --json."""
    found, out, err = chatctl(daemon, *words)
    assert found == code, err
    if code == DONE:
        assert err == "" and out
    else:
        assert out == "" and err and "Traceback" not in err
    if code == REFUSED:
        assert err.startswith("chatctl: ") and err.count("\n") == 1
        found, out, err = chatctl(daemon, "--json", *words)
        told = json.loads(out)
        assert (found, err, told["ok"]) == (code, "", False) and told["error"] and told["text"]


def test_check_finds_what_is_wrong(daemon: Daemon) -> None:
    """An expired or foreign certificate is an error, and then the exit code says so."""
    findings = answer(daemon, "check", "--offline")
    assert findings and not [finding for finding in findings if finding["grade"] == "error"]
    text = daemon.config.read_text()
    try:
        daemon.config.write_text(text.replace('key = "key.pem"', 'key = "certificate.pem"'))
        code, out, _ = chatctl(daemon, "--json", "check", "--offline")
        assert code == REFUSED
        assert [finding for finding in json.loads(out)["result"] if finding["grade"] == "error"]
    finally:
        daemon.config.write_text(text)
