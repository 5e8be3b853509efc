"""Signing on from Webmail against a running daemon: tokens let people in over WebSocket, and end when they should."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatd.core import ns
from tests.daemon import DOMAIN, OTHER, Daemon
from tests.raw import SASL, Raw, RawWebSocket, condition
from tests.webmail import KEY, ask

EXTRA = "".join(f'[[webmail]]\nname = "{name}"\ndomains = ["{domain}"]\nkey = "{name}-{KEY}"\n'
                f'origins = ["https://{name}.example"]\n' for name, domain in (("webmail", DOMAIN), ("second", OTHER)))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    made = Daemon(Path(tmp_path_factory.mktemp("webmail")), EXTRA)
    made.start()
    yield made
    made.kill()


class Webmail:
    """One of the two."""

    def __init__(self, daemon: Daemon, name: str = "webmail") -> None:
        self.daemon = daemon
        self.name = name

    def ask(self, said: dict[str, str], method: str = "POST", **more: str):
        return ask(f"http://127.0.0.1:{self.daemon.ports['http']}", said, method,
                   **{"name": self.name, "key": f"{self.name}-{KEY}", **more})

    def token(self, address: str, session: str = "s1", name: str = "") -> str:
        code, answer = self.ask({"address": address, "session": session, **({"name": name} if name else {})})
        assert code == 200, answer
        return answer["token"]


@pytest.fixture
def webmail(daemon: Daemon) -> Webmail:
    return Webmail(daemon)


def refusal(daemon: Daemon, address: str, password: str, carrier: type[Raw] = RawWebSocket) -> str:
    """The condition a log-in fails with."""
    with carrier(daemon) as stream:
        domain = address.partition("@")[2]
        stream.open(domain)
        if carrier is Raw:
            stream.starttls()
            stream.open(domain)
        answer = stream.auth(address, password)
        assert answer.tag == SASL + "failure", answer.tag
        return condition(answer)


def test_a_person_nobody_knew(daemon: Daemon, webmail: Webmail) -> None:
    """The first sign-on makes the account; the name is in the vCard; the token serves several connections."""
    token = webmail.token(f"Anna@{DOMAIN}", name="Anna <&> Arnold")
    for _ in range(2):
        with RawWebSocket(daemon).login(f"anna@{DOMAIN}", token) as anna:
            vcard = anna.ask("get", f"<vCard xmlns='{ns.VCARD}'/>")
            assert vcard.findtext("{%s}vCard/{%s}FN" % (ns.VCARD, ns.VCARD)) == "Anna <&> Arnold"
    shown = daemon.ctl("user", "show", f"anna@{DOMAIN}")["result"]
    assert shown["mechanisms"] == [] and shown["last_login"]
    assert token not in daemon.log.read_text()
    assert all(token.encode() not in file.read_bytes() for file in (daemon.folder / "state").glob("chatd.sqlite*"))


def test_where_a_token_is_no_good(daemon: Daemon, webmail: Webmail) -> None:
    token = webmail.token(f"bert@{DOMAIN}")
    webmail.token(f"carl@{DOMAIN}")
    assert refusal(daemon, f"carl@{DOMAIN}", token) == "not-authorized"
    assert refusal(daemon, f"bert@{OTHER}", token) == "not-authorized"
    assert refusal(daemon, f"bert@{DOMAIN}", token[:-1] + ("A" if token[-1] != "A" else "B")) == "not-authorized"
    assert refusal(daemon, f"bert@{DOMAIN}", token, Raw) == "not-authorized", "tokens are for pages"
    log = daemon.log.read_text()
    assert f"a token of Webmail for carl@{DOMAIN} was refused: it is one of bert@{DOMAIN}" in log
    assert token not in log


def test_a_token_is_no_password(daemon: Daemon, webmail: Webmail) -> None:
    """Who came by a token cannot set a password that would let him in after Webmail has logged him out."""
    with RawWebSocket(daemon).login(f"fritz@{DOMAIN}", webmail.token(f"fritz@{DOMAIN}")) as fritz:
        for inner in ("<username>fritz</username><password>mine now</password>", "<remove/>"):
            answer = fritz.ask("set", f"<query xmlns='{ns.REGISTER}'>{inner}</query>", DOMAIN)
            assert answer.get("type") == "error" and answer.find(".//{%s}not-allowed" % ns.STANZAS) is not None
    assert daemon.ctl("user", "show", f"fritz@{DOMAIN}")["result"]["mechanisms"] == []


def test_who_may_not_speak_for_a_domain(daemon: Daemon, webmail: Webmail) -> None:
    assert webmail.ask({"address": f"anna@{OTHER}", "session": "s"})[0] == 403
    assert webmail.ask({"address": f"anna@{DOMAIN}", "session": "s"}, name="second")[0] == 401
    assert "signing on from Webmail webmail was refused" in daemon.log.read_text()


def test_log_out_ends_what_came_from_that_session(daemon: Daemon, webmail: Webmail) -> None:
    here, there = webmail.token(f"dora@{DOMAIN}", "here"), webmail.token(f"dora@{DOMAIN}", "there")
    other = Webmail(daemon, "second").token(f"dora@{OTHER}", "here")
    with RawWebSocket(daemon).login(f"dora@{DOMAIN}", here) as one, \
            RawWebSocket(daemon).login(f"dora@{DOMAIN}", here) as two, \
            RawWebSocket(daemon).login(f"dora@{DOMAIN}", there) as three, \
            RawWebSocket(daemon).login(f"dora@{OTHER}", other) as four:
        assert webmail.ask({"session": "here"}, "DELETE") == (200, {"tokens": 1, "sessions": 2})
        assert one.stream_error() == two.stream_error() == "not-authorized"
        assert refusal(daemon, f"dora@{DOMAIN}", here) == "not-authorized"
        three.ask("get", f"<query xmlns='{ns.ROSTER}'/>")
        four.ask("get", f"<query xmlns='{ns.ROSTER}'/>")
        assert webmail.ask({"address": f"dora@{DOMAIN}"}, "DELETE") == (200, {"tokens": 1, "sessions": 1})
        assert three.stream_error() == "not-authorized"
        four.ask("get", f"<query xmlns='{ns.ROSTER}'/>")
        assert webmail.ask({"session": "here"}, "DELETE") == (200, {"tokens": 0, "sessions": 0})


def test_chatctl_lists_and_revokes(daemon: Daemon, webmail: Webmail) -> None:
    token = webmail.token(f"emil@{DOMAIN}")
    with RawWebSocket(daemon).login(f"emil@{DOMAIN}", token) as emil:
        [listed] = daemon.ctl("token", "list", f"emil@{DOMAIN}")["result"]
        assert (listed["jid"], listed["webmail"]) == (f"emil@{DOMAIN}", "webmail")
        assert listed["expires"] - listed["created"] == 300 and listed["token"] not in token
        assert daemon.ctl("token", "revoke", f"emil@{DOMAIN}")["result"] == {"tokens": 1, "sessions_ended": 1}
        assert emil.stream_error() == "not-authorized"
    assert daemon.ctl("token", "list", f"emil@{DOMAIN}")["result"] == []


def test_a_disabled_account(daemon: Daemon, webmail: Webmail) -> None:
    token = webmail.token(f"fritz@{DOMAIN}")
    daemon.ctl("user", "disable", f"fritz@{DOMAIN}")
    assert refusal(daemon, f"fritz@{DOMAIN}", token) == "account-disabled"
    code, answer = webmail.ask({"address": f"fritz@{DOMAIN}", "session": "s"})
    assert code == 403 and "disabled" in answer["text"]


def test_over_a_restart(daemon: Daemon, webmail: Webmail) -> None:
    """Tokens go on for their time; requests are not good a second time."""
    said = {"address": f"gerda@{DOMAIN}", "session": "s"}
    code, answer = webmail.ask(said, nonce="before-the-restart")
    assert code == 200
    daemon.kill()
    daemon.start()
    assert webmail.ask(said, nonce="before-the-restart")[0] == 409
    with RawWebSocket(daemon).login(f"gerda@{DOMAIN}", answer["token"]):
        pass


def test_a_reload_takes_a_webmail_away(daemon: Daemon, webmail: Webmail) -> None:
    second = Webmail(daemon, "second")
    token = second.token(f"hanna@{OTHER}")
    written = daemon.config.read_text()
    daemon.config.write_text(written.replace(f'domains = ["{OTHER}"]', f'domains = ["{DOMAIN}"]'))
    try:
        daemon.ctl("reload")
        assert second.ask({"address": f"hanna@{OTHER}", "session": "s"})[0] == 403
        assert refusal(daemon, f"hanna@{OTHER}", token) == "not-authorized"
    finally:
        daemon.config.write_text(written)
        daemon.ctl("reload")


DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "webmail.md"


def snippet(language: str, begins: str) -> str:
    """The code of that language in the document from that line on, to the end of the function."""
    code = DOCUMENT.read_text().split(f"```{language}\n", 1)[1].split("```")[0]
    found = code[code.index(begins):]
    return found[: found.index("\n}\n") + 3] if language == "php" else code


def test_the_php_of_the_document(daemon: Daemon, tmp_path: Path) -> None:
    php = shutil.which("php")
    assert php, "php is missing: apt-get install php-cli (tests/debian-packages)"
    key = tmp_path / "key"
    key.write_text(f"webmail-{KEY}\n")
    function = snippet("php", "function chatd_request").replace("/etc/webmail/chatd-key", str(key))
    said = f"['address' => 'ida@{DOMAIN}', 'name' => 'Ida', 'session' => 'ida-s']"
    code = (f"const CHATD = 'http://127.0.0.1:{daemon.ports['http']}'; {function}\n"
            f"echo json_encode([chatd_request('POST', {said}), chatd_request('DELETE', ['session' => 'ida-s'])]);")
    done = subprocess.run([php, "-r", code], capture_output=True, text=True, timeout=60, check=True)
    (code_, answer), (gone, ended) = json.loads(done.stdout)
    assert (code_, gone) == (200, 200), done.stdout
    assert json.loads(answer)["address"] == f"ida@{DOMAIN}" and json.loads(ended) == {"tokens": 1, "sessions": 0}


def test_the_python_of_the_document(daemon: Daemon) -> None:
    names: dict[str, Any] = {}
    exec(snippet("python", "import"), names)
    url, key = f"http://127.0.0.1:{daemon.ports['http']}", f"webmail-{KEY}"
    code, answer = names["chatd_request"](url, key, "POST", {"address": f"jan@{DOMAIN}", "session": "s2"})
    assert (code, answer["address"]) == (200, f"jan@{DOMAIN}")
    assert names["chatd_request"](url, "another", "DELETE", {"session": "s2"})[0] == 401
    assert names["chatd_request"](url, key, "DELETE", {"session": "s2"}) == (200, {"tokens": 1, "sessions": 0})
