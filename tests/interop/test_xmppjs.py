"""xmpp.js, a client library that logs in by SASL2 (XEP-0388), Bind 2 (XEP-0386) and FAST (XEP-0484): all in one go,
later with a token, and after a cut with its session as it was."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from tests.browser.harness import install, node_commands
from tests.daemon import DOMAIN, PASSWORD, Daemon, running
from tests.raw import CLIENT, Raw, chat

HERE = Path(__file__).with_name("xmppjs")
PATIENCE_S = 60.0
PAT, SAM = f"pat@{DOMAIN}", f"sam@{DOMAIN}"
AGENT = "1b671a64-40d5-491e-99b0-da01ff1f3341"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    install(HERE)
    with running(Path(tmp_path_factory.mktemp("chatd")), PAT, SAM) as daemon:
        yield daemon


class XmppJs:
    """One such client, in a process of its own: see client.mjs."""

    def __init__(self, daemon: Daemon, service: str) -> None:
        self.service = service.format(**daemon.ports)
        (node, *_), _, environment = node_commands()
        self._process = subprocess.Popen(
            [node, str(HERE / "client.mjs")], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, **environment, "NODE_EXTRA_CA_CERTS": str(daemon.certificate)})
        self._said: queue.Queue[dict[str, Any]] = queue.Queue()
        self._heard: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.put(json.loads(line))

    def do(self, what: str, **values: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **values}).encode() + b"\n")
        self._process.stdin.flush()

    def connect(self, **credentials: Any) -> None:
        self.do("connect", service=self.service, domain=DOMAIN, username="pat", agent=AGENT, **credentials)

    def until(self, event: str) -> dict[str, Any]:
        """The next of this kind, whatever else was said meanwhile; queue.Empty where none comes."""
        while True:
            for said in self._heard:
                if said["event"] == event:
                    self._heard.remove(said)
                    return said
            self._heard.append(self._said.get(timeout=PATIENCE_S))


SERVICES = {"STARTTLS": "xmpp://localhost:{c2s}", "direct TLS": "xmpps://localhost:{c2s_tls}"}


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_from_the_password_to_the_token(daemon: Daemon, service: str) -> None:
    """Bound and managed with the log-in itself; cut, and on again with the token and nothing lost; at the next start
    the token is enough; signed out, it is worth nothing, and the password gives another."""
    with Raw(daemon, "c2s_tls").login(SAM) as sam:
        with XmppJs(daemon, service) as pat:
            pat.connect(password=PASSWORD)
            assert pat.until("tried")["mechanism"].startswith("SCRAM-")
            assert {"bound", "token"} <= set(pat.until("success")["inline"])
            token, jid = pat.until("saved")["token"], pat.until("online")["jid"]
            assert jid.startswith(f"{PAT}/Paper")
            sam.send(chat(jid, "before the cut"))
            assert pat.until("message")["body"] == "before the cut"

            pat.do("cut")
            sam.send(chat(jid, "while it was cut"))
            assert pat.until("tried")["mechanism"] == "HT-SHA-256-NONE"
            success = pat.until("success")["inline"]
            assert "resumed" in success and "bound" not in success
            assert pat.until("message")["body"] == "while it was cut"
            pat.do("send", to=SAM, body="still the same session")
            heard = sam.until("message", **{"from": jid})
            assert heard.findtext(f"{CLIENT}body") == "still the same session"
            pat.do("stop")

        with XmppJs(daemon, service) as pat:
            pat.connect(token=token)
            assert pat.until("tried")["mechanism"] == "HT-SHA-256-NONE"
            assert "bound" in pat.until("success")["inline"]
            jid = pat.until("online")["jid"]
            sam.send(chat(jid, "by the token alone"))
            assert pat.until("message")["body"] == "by the token alone"

        daemon.ctl("user", "sign-out", PAT)
        with XmppJs(daemon, service) as pat:
            pat.connect(token=token, password=PASSWORD)
            assert pat.until("tried")["mechanism"] == "HT-SHA-256-NONE"
            # It is told that the token is worth nothing, and asks for another with the password.
            assert pat.until("tried")["mechanism"].startswith("SCRAM-")
            assert "token" in pat.until("success")["inline"]
            pat.until("online")
