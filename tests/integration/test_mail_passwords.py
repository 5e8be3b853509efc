"""People who log in with their mail password: a daemon with a domain whose passwords a real Dovecot knows."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from slixmpp.exceptions import IqError

from chatd.core import ns
from tests.daemon import DOMAIN, OTHER, PASSWORD, ROOT, Daemon, running
from tests.dovecot import Dovecot, mail_server
from tests.integration.slix import Client
from tests.raw import Raw, RawWebSocket, condition

ALICE, BOB, ODD = f"alice@{OTHER}", f"bob@{OTHER}", f"r&d@{OTHER}"
USERS = {ALICE: "pw-alice", BOB: "pw-bob", ODD: "pw-rd"}


@pytest.fixture(scope="module")
def mail() -> Iterator[Dovecot]:
    with mail_server(USERS) as server:
        yield server


@pytest.fixture(scope="module")
def daemon(mail: Dovecot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """other.example has its passwords from the mail server, chat.example is as ever."""
    extra = (f'[[domain.auth]]\nkind = "imap"\nurl = "imap://localhost:{mail.imap}"\nca = "{mail.certificate}"\n'
             "timeout_s = 20\ncache_s = 600\n")
    with running(Path(tmp_path_factory.mktemp("mail")), f"kim@{DOMAIN}", extra=extra) as daemon:
        yield daemon


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


def refusal(daemon: Daemon, address: str, password: str, source: str = "127.0.0.30") -> str:
    """"" or why a log-in fails."""
    with Raw(daemon, "c2s_tls", source=source) as raw:
        raw.open(OTHER)
        return condition(raw.auth(address, password))


def accounts(daemon: Daemon) -> list[str]:
    return [row["jid"] for row in daemon.ctl("user", "list", OTHER)["result"]]


def check(daemon: Daemon, *words: str, stdin: str = "") -> tuple[int, Any]:
    done = subprocess.run([sys.executable, "-m", "chatd.ctl", "--config", str(daemon.config), "--json", *words],
                          input=stdin, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout)


def test_the_first_log_in_makes_the_account(daemon: Daemon) -> None:
    """However the address is written, it is one account; before, and for a wrong password, there is none."""
    assert accounts(daemon) == []
    assert refusal(daemon, ALICE, "pw-bob") == "not-authorized"
    assert refusal(daemon, f"nobody@{OTHER}", "pw-alice") == "not-authorized"
    assert check(daemon, "user", "check-password", ALICE, stdin="pw-alice\n")[0] == 0
    assert accounts(daemon) == []
    for address in ("Alice@Other.Example", ALICE):
        with Raw(daemon, "c2s_tls") as raw:
            raw.login(address, "pw-alice")
            assert raw.jid.startswith(f"{ALICE}/")
    assert refusal(daemon, ODD, "pw-rd") == ""
    with RawWebSocket(daemon) as web:
        web.login(f"r\\26d@{OTHER}", "pw-rd")
        assert web.jid.startswith(f"r\\26d@{OTHER}/")
    assert accounts(daemon) == [ALICE, f"r\\26d@{OTHER}"]


def test_chat_and_roster_of_accounts_made_so(daemon: Daemon) -> None:
    async def test() -> None:
        async with Client(daemon, ALICE, "pw-alice") as alice, Client(daemon, BOB, "pw-bob") as bob:
            alice.send_message(mto=BOB, mbody="hello", mtype="chat")
            assert (await bob.text("hello"))["from"].bare == ALICE
            with pytest.raises(IqError):
                await alice.ask("get", "<vCard xmlns='vcard-temp'/>", f"nobody@{OTHER}")

    run(test())


def test_what_is_offered(daemon: Daemon) -> None:
    """SCRAM where chatd knows all passwords, PLAIN alone where the mail server does, and at the host of both."""

    def offered(to: str) -> list[str]:
        with Raw(daemon, "c2s_tls") as raw:
            features = raw.open(to)
            return [one.text or "" for one in features.iter(f"{{{ns.SASL}}}mechanism")]

    assert offered(OTHER) == ["PLAIN"] == offered("xmpp.example")
    assert "SCRAM-SHA-256" in offered(DOMAIN)
    with Raw(daemon, "c2s_tls") as raw:
        raw.login(f"kim@{DOMAIN}", PASSWORD)


def test_disabled_here_is_refused_with_the_right_password(daemon: Daemon) -> None:
    assert refusal(daemon, BOB, "pw-bob") == ""
    daemon.ctl("user", "disable", BOB)
    assert refusal(daemon, BOB, "pw-bob") == "account-disabled"
    assert refusal(daemon, BOB, "x") == "not-authorized"
    daemon.ctl("user", "enable", BOB)
    assert refusal(daemon, BOB, "pw-bob") == ""


@pytest.mark.long
def test_guessing_is_slowed_down_before_the_mail_server_is_asked(daemon: Daemon, mail: Dovecot) -> None:
    for _ in range(6):
        assert refusal(daemon, BOB, "guess", "127.0.0.31") == "not-authorized"
    assert refusal(daemon, BOB, "pw-bob", "127.0.0.31") == "temporary-auth-failure"
    assert refusal(daemon, BOB, "pw-bob", "127.0.0.32") == ""


def test_a_new_mail_password_counts_at_once_and_a_dead_server_is_no_wrong_password(
        daemon: Daemon, mail: Dovecot) -> None:
    def people(code: int) -> dict[str, Any]:
        found, answer = check(daemon, "check")
        (one,) = [finding for finding in answer["result"] if finding["subject"] == "people"]
        assert one["grade"] == ("ok" if code == 0 else "error"), one
        return dict(one)

    assert "ready" in people(0)["text"]
    assert refusal(daemon, ALICE, "pw-alice") == ""
    mail.set_users({**USERS, ALICE: "new-one"})
    assert refusal(daemon, ALICE, "new-one") == ""
    assert refusal(daemon, ALICE, "pw-alice") == "not-authorized"
    assert refusal(daemon, ALICE, "new-one") == ""
    mail.stop()
    try:
        assert refusal(daemon, ALICE, "new-one") == ""                      # remembered
        assert refusal(daemon, ALICE, "pw-alice") == "temporary-auth-failure"
        assert refusal(daemon, f"who@{OTHER}", "x") == "temporary-auth-failure"
        assert "refused" in people(1)["text"]
        code, answer = check(daemon, "user", "check-password", BOB, stdin="x\n")
        assert code == 1 and "cannot be said now" in answer["text"]
        assert refusal(daemon, f"kim@{OTHER}", "x", "127.0.0.33") == "temporary-auth-failure"
    finally:
        mail.start()
    assert refusal(daemon, ALICE, "pw-alice") == "not-authorized"
    log = daemon.log.read_text()
    assert "could not be checked" in log and "Traceback" not in log
    assert not any(secret in log for secret in (*USERS.values(), "new-one"))
