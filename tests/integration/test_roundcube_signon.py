"""The Roundcube plugin's server side: who gets a token for the chat, who does not, and what a log-out ends."""

from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import DOMAIN, Daemon, running
from tests.roundcube import KEY, PLUGIN, Webmail, webmail

pytestmark = pytest.mark.long       # Roundcube is a large package

USERS = {f"alice@{DOMAIN}": "pw-alice", f"bob@{DOMAIN}": "pw-bob", "carol": "pw-carol",
         "dora@elsewhere.example": "pw-dora"}
TOKEN = "/?_task=mail&_action=plugin.chatd.token"


class Visitor:
    """A browser without a screen: cookies, and the request token of Roundcube's pages."""

    def __init__(self, server: Webmail) -> None:
        self.server = server
        context = ssl.create_default_context(cafile=str(server.mail.certificate))
        context.check_hostname = False
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(), urllib.request.HTTPSHandler(context=context))
        self.request_token = ""

    def get(self, path: str, data: dict[str, str] | None = None, **headers: str) -> tuple[int, str, dict[str, str]]:
        """Status, text and headers of an answer; names of headers with _ for -."""
        url = f"https://127.0.0.1:{self.server.ports[0]}{path}"
        request = urllib.request.Request(url, urllib.parse.urlencode(data).encode() if data else None,
                                         {name.replace("_", "-"): value for name, value in headers.items()})
        try:
            with self._opener.open(request, timeout=30) as answer:
                return answer.status, answer.read().decode(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), dict(error.headers)

    def log_in(self, user: str, password: str = "") -> str:
        """Log in; the page after it."""
        found = re.search(r'_token" value="([^"]+)', self.get("/")[1])
        assert found
        page = self.get("/?_task=login", {"_token": found[1], "_task": "login", "_action": "login", "_user": user,
                                          "_pass": password or USERS[user]})[1]
        env = re.search(r'"request_token":"([^"]+)', page)
        assert env, page[:2000]
        self.request_token = env[1]
        return page

    def ask(self, **headers: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Ask for a token as the chat does."""
        status, text, got = self.get(TOKEN, X_Roundcube_Request=self.request_token, **headers)
        return status, json.loads(text), got

    def log_out(self) -> None:
        self.get(f"/?_task=logout&_token={self.request_token}")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    table = f'[[webmail]]\nname = "roundcube"\ndomains = ["{DOMAIN}"]\nkey = "{KEY}"\norigins = ["https://mail.example"]\n'
    with running(tmp_path_factory.mktemp("chatd"), extra=table) as chatd:
        yield chatd


@pytest.fixture(scope="module")
def server(daemon: Daemon) -> Iterator[Webmail]:
    with webmail(USERS) as made:
        yield made


@pytest.fixture
def configure(server: Webmail, daemon: Daemon) -> Callable[..., None]:
    """Writes the plugin's configuration: what works, and the given changes."""

    def write(key: str = KEY, **changes: str) -> None:
        server.know(daemon, **{"url": "'https://chat.home.localhost'"} | changes)
        (server.folder / "key").write_text(f"{key}\n")

    return write


@pytest.fixture
def visitor(server: Webmail, configure: Callable[..., None]) -> Visitor:
    configure()
    return Visitor(server)


def test_every_file_is_php() -> None:
    files = [*PLUGIN.rglob("*.php"), *PLUGIN.rglob("*.inc"), *PLUGIN.rglob("*.php.dist")]
    assert len(files) >= 7
    php = shutil.which("php")
    assert php
    for file in files:
        subprocess.run([php, "-l", str(file)], check=True, capture_output=True)


def test_every_language_has_every_label() -> None:
    labels = {file.name: set(re.findall(r"^ +'(\w+)' ", file.read_text(), re.M))
              for file in (PLUGIN / "localization").glob("*.inc")}
    assert set(labels) == {"en_US.inc", "de_DE.inc", "fr_FR.inc", "es_ES.inc"}
    assert all(one == labels["en_US.inc"] != set() for one in labels.values()), labels


def test_somebody_logged_in_gets_a_token_and_loses_it_with_the_log_out(visitor: Visitor, daemon: Daemon) -> None:
    before = tokens(daemon)
    page = visitor.log_in(f"alice@{DOMAIN}")
    assert KEY not in page
    status, answer, headers = visitor.ask()
    assert (status, answer["address"]) == (200, f"alice@{DOMAIN}"), answer
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Type"].startswith("application/json")
    assert answer["expires_in"] > 0
    assert answer["token"] not in visitor.server.requests() + visitor.server.errors()
    assert len(tokens(daemon)) == len(before) + 1
    visitor.log_out()
    assert tokens(daemon) == before
    # Signed out, the same address gives the log-in page.
    assert "rcmloginuser" in visitor.get(TOKEN, X_Roundcube_Request=visitor.request_token)[1]


def tokens(daemon: Daemon) -> list[dict[str, Any]]:
    return sorted(daemon.ctl("token", "list")["result"], key=lambda one: str(one["token"]))


@pytest.mark.parametrize("headers", [
    {"X_Roundcube_Request": ""}, {"X_Roundcube_Request": "0" * 32}, {"Sec_Fetch_Site": "same-site"},
    {"Sec_Fetch_Site": "cross-site"},
], ids=["no request token", "a wrong one", "a page of the same site", "a page of another site"])
def test_another_sites_page_gets_no_token(visitor: Visitor, headers: dict[str, str]) -> None:
    visitor.log_in(f"alice@{DOMAIN}")
    sent = {"X_Roundcube_Request": visitor.request_token, **headers}
    status, text, _ = visitor.get(TOKEN, **sent)
    assert (status, json.loads(text)) == (403, {"error": "forbidden"})
    # Nor does the token in the address or the body serve, which other pages can send.
    status, text, _ = visitor.get(f"{TOKEN}&_token={visitor.request_token}")
    assert status == 403


def test_people_of_other_domains_are_refused_and_the_log_says_why(visitor: Visitor) -> None:
    visitor.log_in("dora@elsewhere.example")
    status, answer, _ = visitor.ask()
    assert (status, answer) == (403, {"error": "refused"})
    assert "no token for dora@elsewhere.example: HTTP status 403, This Webmail may not" in visitor.server.errors()


def test_a_name_without_domain_is_completed(visitor: Visitor, configure: Callable[..., None]) -> None:
    configure(domain=f"'{DOMAIN}'")
    visitor.log_in("carol")
    assert visitor.ask()[1]["address"] == f"carol@{DOMAIN}"
    configure(domain=f"['127.0.0.1' => '{DOMAIN}']")
    assert visitor.ask()[1]["address"] == f"carol@{DOMAIN}"
    configure(domain=f"['mail.example' => '{DOMAIN}']")
    assert visitor.ask()[:2] == (403, {"error": "refused"})


def test_an_identity_that_people_may_change_is_nobody(visitor: Visitor, configure: Callable[..., None]) -> None:
    visitor.log_in(f"bob@{DOMAIN}")
    configure(address="'identity'")
    with visitor.server.database() as database:
        database.execute("UPDATE identities SET email = ? WHERE email = ?", (f"alice@{DOMAIN}", f"bob@{DOMAIN}"))
    assert visitor.ask()[1]["address"] == f"bob@{DOMAIN}"


@pytest.mark.parametrize(("key", "why"), [
    ("another key of at least 32 characters", "HTTP status 401, The signature is not right"),
    ("short", "has less than 32 characters"),
])
def test_a_wrong_key_gives_nothing_and_is_in_the_log(visitor: Visitor, configure: Callable[..., None], key: str,
                                                     why: str) -> None:
    configure(key=key)
    visitor.log_in(f"alice@{DOMAIN}")
    assert visitor.ask()[:2] == (503, {"error": "unavailable"})
    assert why in visitor.server.errors()
    visitor.log_out()           # nobody is kept in Webmail by that
    assert "rcmloginuser" in visitor.get("/?_task=mail")[1]


def test_the_certificate_of_chatd_is_checked(visitor: Visitor, configure: Callable[..., None], daemon: Daemon) -> None:
    https = f"'https://localhost:{daemon.ports['https']}'"
    visitor.log_in(f"alice@{DOMAIN}")
    configure(api_url=https)
    assert visitor.ask()[:2] == (503, {"error": "unavailable"})
    trusted = Path(shutil.copy(daemon.certificate, visitor.server.folder / "chatd.pem"))
    trusted.chmod(0o644)
    configure(api_url=https, verify=f"'{trusted}'")
    assert visitor.ask()[0] == 200


def test_without_configuration_it_does_nothing(visitor: Visitor, configure: Callable[..., None]) -> None:
    for changes in ({"url": "''"}, {"key_file": "''"}, {"url": "'https://chat.example; script-src *'"}):
        configure(**changes)
        page = visitor.log_in(f"alice@{DOMAIN}")
        assert "embed.js" not in page
        assert "Webmail :: Inbox" in visitor.get("/?_task=mail", Sec_Fetch_Dest="document")[1]
        visitor.log_out()


def test_the_shell_is_for_the_tab_and_roundcube_for_its_frame(visitor: Visitor) -> None:
    assert 'id="webmail"' not in visitor.get("/?_task=mail", Sec_Fetch_Dest="document")[1]
    visitor.log_in(f"alice@{DOMAIN}")
    _, shell, headers = visitor.get("/?_task=mail", Sec_Fetch_Dest="document")
    assert 'id="webmail"' in shell
    assert "no-store" in headers["Cache-Control"]
    assert headers["Vary"] == "Sec-Fetch-Dest"
    assert "script-src 'self' https://chat.home.localhost;" in headers["Content-Security-Policy"]
    assert visitor.request_token not in shell
    assert f"alice@{DOMAIN}" not in shell
    _, page, headers = visitor.get("/?_task=mail", Sec_Fetch_Dest="iframe", Sec_Fetch_Site="same-origin")
    assert 'id="webmail"' not in page
    assert "embed.js" not in page
    assert headers["Vary"] == "Sec-Fetch-Dest"
    for parameters in ("_task=mail&_action=compose&_extwin=1", "_task=mail&_action=show&_uid=1&_framed=1",
                       "_task=mail&_action=list&_remote=1", "_task=mail&_action=viewsource&_uid=1"):
        assert 'id="webmail"' not in visitor.get(f"/?{parameters}", Sec_Fetch_Dest="document")[1]
