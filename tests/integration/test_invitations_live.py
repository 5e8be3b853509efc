"""Passwords changed and accounts made by invitation, on a running daemon: by a client, by the page, and never twice."""

from __future__ import annotations

import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from chatd.core import ns
from tests.daemon import DOMAIN, PASSWORD, Daemon, running
from tests.raw import SASL, Raw

ALICE = f"alice@{DOMAIN}"
SETTINGS = '[registration]\ninvitations = "everybody"\nmay_cancel = true\n'
REGISTER = f"<query xmlns='{ns.REGISTER}'><username>{{}}</username><password>{{}}</password></query>"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(Path(tmp_path_factory.mktemp("invitations")), ALICE, extra=SETTINGS) as daemon:
        yield daemon


def condition(answer: ET.Element) -> str:
    assert answer.get("type") == "error", ET.tostring(answer)
    (found,) = [child.tag for child in answer[-1] if child.tag != f"{{{ns.STANZAS}}}text"]
    return found.removeprefix(f"{{{ns.STANZAS}}}")


def invited(daemon: Daemon, *more: str) -> str:
    """The token of a new invitation."""
    page: str = daemon.ctl("invite", DOMAIN, *more)["result"]["page"]
    return page.rpartition("/")[2]


def before_log_in(daemon: Daemon) -> Raw:
    raw = Raw(daemon, "c2s_tls")
    features = raw.open()
    assert features.find("{%s}register" % ns.IBR_TOKEN) is not None
    return raw


def preauth(raw: Raw, token: str) -> ET.Element:
    return raw.ask("set", f"<preauth xmlns='{ns.PREAUTH}' token='{token}'/>", DOMAIN)


def test_a_new_password(daemon: Daemon) -> None:
    """XEP-0077 3.3: one's own only; the old one is over, the session is not."""
    daemon.add(f"carol@{DOMAIN}")
    with Raw(daemon, "c2s_tls").login(f"carol@{DOMAIN}") as carol:
        assert carol.ask("get", f"<query xmlns='{ns.REGISTER}'/>")[0].find("{%s}registered" % ns.REGISTER) is not None
        assert condition(carol.ask("set", REGISTER.format("alice", "x"), DOMAIN)) == "forbidden"
        assert condition(carol.ask("set", REGISTER.format("carol", ""), DOMAIN)) == "bad-request"
        assert condition(carol.ask("set", REGISTER.format("carol", "\N{PILE OF POO}"), DOMAIN)) == "not-acceptable"
        assert carol.ask("set", REGISTER.format("carol", "a new one"), DOMAIN).get("type") == "result"
        assert carol.ping().get("type") == "result"
        with Raw(daemon, "c2s_tls") as again:
            again.open()
            assert again.auth(f"carol@{DOMAIN}").tag == SASL + "failure"
        with Raw(daemon, "c2s_tls").login(f"carol@{DOMAIN}", "a new one"):
            pass
        mixed = f"<query xmlns='{ns.REGISTER}'><remove/><username>carol</username></query>"
        assert condition(carol.ask("set", mixed, DOMAIN)) == "bad-request"
        carol.send(f"<iq type='set' id='bye'><query xmlns='{ns.REGISTER}'><remove/></query></iq>")
        assert carol.until("iq", id="bye").get("type") == "result"
        assert carol.stream_error() == "not-authorized"
    assert f"carol@{DOMAIN}" not in str(daemon.ctl("user", "list"))


def test_an_account_by_a_client(daemon: Daemon) -> None:
    """XEP-0445: the token first; every refusal; then logged in on the very stream, and the token is used up."""
    token = invited(daemon)
    with before_log_in(daemon) as raw:
        assert condition(raw.ask("set", REGISTER.format("dave", "pw"), DOMAIN)) == "not-allowed"
        assert condition(preauth(raw, "guess")) == "item-not-found"
        assert preauth(raw, token).get("type") == "result"
        assert raw.ask("get", f"<query xmlns='{ns.REGISTER}'/>", DOMAIN).get("type") == "result"
        assert condition(raw.ask("set", REGISTER.format("", ""), DOMAIN)) == "not-acceptable"
        for name, wanted in (("alice", "conflict"), ("a b", "jid-malformed")):
            assert condition(raw.ask("set", REGISTER.format(name, "pw"), DOMAIN)) == wanted
        assert raw.ask("set", REGISTER.format("dave", "pw"), DOMAIN).get("type") == "result"
        assert raw.auth(f"dave@{DOMAIN}", "pw").tag == SASL + "success"
    with before_log_in(daemon) as raw:
        assert condition(preauth(raw, token)) == "item-not-found"
    assert daemon.ctl("invite", "--list", DOMAIN)["result"] == []


def test_a_name_is_kept(daemon: Daemon) -> None:
    token, other = invited(daemon, "--name", "erin"), invited(daemon)
    for used, name, wanted in ((other, "erin", "conflict"), (token, "frank", "not-acceptable")):
        with before_log_in(daemon) as raw:
            preauth(raw, used)
            assert condition(raw.ask("set", REGISTER.format(name, "pw"), DOMAIN)) == wanted
    with before_log_in(daemon) as raw:
        preauth(raw, token)
        assert raw.ask("set", REGISTER.format("erin", "pw"), DOMAIN).get("type") == "result"


def command(raw: Raw, node: str) -> dict[str, str]:
    answer = raw.ask("set", f"<command xmlns='{ns.COMMANDS}' node='{node}'/>", DOMAIN)
    fields = answer.iter("{%s}field" % ns.DATA)
    return {field.attrib["var"]: field.findtext("{%s}value" % ns.DATA) or "" for field in fields}


def roster(raw: Raw) -> dict[str, str]:
    items = raw.ask("get", f"<query xmlns='{ns.ROSTER}'/>")[0]
    return {item.attrib["jid"]: item.attrib["subscription"] for item in items}


def test_a_friend_is_invited(daemon: Daemon) -> None:
    """XEP-0401: the inviter sees the new contact at once; somebody with an account comes by XEP-0379."""
    with Raw(daemon, "c2s_tls").login(ALICE) as alice:
        roster(alice)
        given = command(alice, "urn:xmpp:invite#invite")
        found = re.fullmatch(rf"xmpp:{re.escape(ALICE)}\?roster;preauth=([^;]+);ibr=y", given["uri"])
        assert found is not None and given["landing-url"].endswith("/invite/" + found[1]) and given["expire"]
        with before_log_in(daemon) as raw:
            preauth(raw, found[1])
            assert raw.ask("set", REGISTER.format("gina", "pw"), DOMAIN).get("type") == "result"
        push = alice.until("iq", type="set")
        assert push[0][0].attrib["jid"] == f"gina@{DOMAIN}" and push[0][0].attrib["subscription"] == "both"
        with Raw(daemon, "c2s_tls").login(f"gina@{DOMAIN}", "pw") as gina:
            assert roster(gina) == {ALICE: "both"}
        daemon.add(f"hugo@{DOMAIN}")
        token = command(alice, "urn:xmpp:invite#invite")["landing-url"].rpartition("/")[2]
        with Raw(daemon, "c2s_tls").login(f"hugo@{DOMAIN}") as hugo:
            roster(hugo)
            hugo.send(f"<presence to='{ALICE}' type='subscribed'/>")
            hugo.send(f"<presence to='{ALICE}' type='subscribe'><preauth xmlns='{ns.PREAUTH}' token='{token}'/>"
                      "</presence>")
            while roster(hugo).get(ALICE) != "both":
                hugo.ping()
        assert roster(alice)[f"hugo@{DOMAIN}"] == "both"


def test_who_was_sent_away_brings_nobody_in(daemon: Daemon) -> None:
    daemon.add(f"ines@{DOMAIN}")
    with Raw(daemon, "c2s_tls").login(f"ines@{DOMAIN}") as ines:
        token = command(ines, "urn:xmpp:invite#invite")["landing-url"].rpartition("/")[2]
    daemon.ctl("user", "disable", f"ines@{DOMAIN}")
    with before_log_in(daemon) as raw:
        assert condition(preauth(raw, token)) == "item-not-found"
    assert fetch(daemon, token)[0] == 404
    daemon.ctl("user", "enable", f"ines@{DOMAIN}")
    with before_log_in(daemon) as raw:
        assert preauth(raw, token).get("type") == "result"


def fetch(daemon: Daemon, token: str, language: str = "en", **form: str) -> tuple[int, str]:
    data = urllib.parse.urlencode(form).encode() if form else None
    request = urllib.request.Request(f"https://127.0.0.1:{daemon.ports['https']}/invite/{token}", data,
                                     {"Accept-Language": language})
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(request, context=context, timeout=20) as answer:
            assert answer.headers["Cache-Control"] == "no-store"
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_page(daemon: Daemon) -> None:
    """It says who invites, makes the account, tells what is wrong, and is nobody's a second time."""
    token = invited(daemon)
    code, page = fetch(daemon, token, "de-DE,de;q=0.9")
    assert code == 200 and "Konto anlegen" in page and f"xmpp:{DOMAIN}?register;preauth={token}" in page
    good: dict[str, Any] = {"name": "ivy", "password": PASSWORD, "again": PASSWORD}
    for form, wanted in (({**good, "again": "x"}, 400), ({**good, "name": ""}, 400), ({**good, "name": "alice"}, 409),
                         ({**good, "name": "<b>"}, 400)):
        code, page = fetch(daemon, token, **form)
        assert code == wanted and "role='alert'" in page and "<b>" not in page
    code, page = fetch(daemon, token, **good)
    assert code == 200 and f"ivy@{DOMAIN}" in page
    with Raw(daemon, "c2s_tls").login(f"ivy@{DOMAIN}"):
        pass
    code, page = fetch(daemon, token, "fr", **good)
    assert code == 404 and "pas valable" in page
    assert token not in daemon.log.read_text()


def test_off_unless_told(tmp_path: Path) -> None:
    """Nothing is offered, and a client that tries all the same is cut as ever."""
    with running(tmp_path, ALICE) as daemon:
        with Raw(daemon, "c2s_tls") as raw:
            assert raw.open().find("{%s}register" % ns.IBR_TOKEN) is None
            raw.send(f"<iq type='set' id='p'><preauth xmlns='{ns.PREAUTH}' token='x'/></iq>")
            assert raw.stream_error() == "not-authorized"
        with Raw(daemon, "c2s_tls").login(ALICE) as alice:
            asked = f"<command xmlns='{ns.COMMANDS}' node='urn:xmpp:invite#invite'/>"
            assert condition(alice.ask("set", asked, DOMAIN)) == "forbidden"
            gone = f"<query xmlns='{ns.REGISTER}'><remove/></query>"
            assert condition(alice.ask("set", gone, DOMAIN)) == "not-allowed"
