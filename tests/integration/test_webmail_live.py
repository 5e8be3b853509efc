"""Signing on from Webmail against a running daemon: with a token over WebSocket, once or after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import DOMAIN, OTHER, Daemon
from tests.webmail import KEY, ask

EXTRA = f'[[webmail]]\nname = "webmail"\ndomains = ["{DOMAIN}"]\nkey = "{KEY}"\norigins = ["https://webmail.example"]\n'


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    made = Daemon(Path(tmp_path_factory.mktemp("webmail")), EXTRA)
    made.start()
    yield made
    made.kill()


def test_the_first_sign_on_makes_the_account(daemon: Daemon) -> None:
    url = f"http://127.0.0.1:{daemon.ports['http']}"
    code, answer = ask(url, {"address": f"anna@{DOMAIN}", "name": "Anna <&> Arnold", "session": "s1"})
    assert code == 200 and answer["address"] == f"anna@{DOMAIN}"
    assert ask(url, {"address": f"anna@{OTHER}", "session": "s1"})[0] == 403
