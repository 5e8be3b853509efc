"""Guests and meeting pages against the real daemon, over real WebSockets: in by the link, and nowhere else."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatd.core import ns
from tests.daemon import DOMAIN, OTHER, Daemon, running
from tests.integration.slix import PATIENCE_S, PLUGINS, Client
from tests.integration.visitors import (
    API,
    GUESTS,
    MEET,
    SERVICE,
    Visitor,
    codes,
    fetch,
    host,
    make,
    page,
    signed,
    ticket,
)
from tests.raw import CLIENT, SASL, SM, Cut, Raw, RawWebSocket, chat, condition

JOHN, BOB = f"john@{DOMAIN}", f"bob@{DOMAIN}"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for the tests of this file."""
    with running(Path(tmp_path_factory.mktemp("chatd")), JOHN, BOB, extra=API) as made:
        yield made


def test_the_whole_way(daemon: Daemon) -> None:
    """The Webmail makes a meeting; a guest looks at the link, comes in and talks; an account reads it later."""
    body = {"account": JOHN, "name": "Weekly review", "password": "swordfish"}
    status, headers, made = fetch(daemon, "/api/v1/meetings", body, signed(body))
    assert status == 201 and headers["location"] == made["link"] and f"/meet/{made['id']}" in made["link"]
    status, _, info = fetch(daemon, f"/api/v1/meetings/{made['id']}")
    assert status == 200 and info["guest_domain"] == GUESTS and info["password"] is True and info["occupants"] == 0
    room = info["room"]
    with Visitor(daemon) as ada, Visitor(daemon, port="http") as bea:
        ada.come()
        assert ada.jid.partition("@")[2].startswith(GUESTS + "/")
        assert ada.enter(room, "Ada") == "not-authorized" and ada.enter(room, "Ada", "tunafish") == "not-authorized"
        assert ada.enter(room, "Ada", "swordfish") == ""
        assert bea.come().enter(room, "Bea", "swordfish") == ""
        bea.send(f"<message to='{room}' type='groupchat'><body>hello</body></message>")
        while ada.until("message").findtext(CLIENT + "body") != "hello":
            pass
        assert fetch(daemon, f"/api/v1/meetings/{made['id']}")[2]["occupants"] == 2

    async def read_later() -> None:
        plugins = (*PLUGINS, "xep_0045")
        async with Client(daemon, JOHN, plugins=plugins) as john:
            muc = john.plugin["xep_0045"]
            joined = await muc.join_muc_wait(room, "John", password="swordfish", timeout=PATIENCE_S)
            assert [one["body"] for one in joined[3]] == ["hello"] or await john.text("hello")
            results = john.plugin["xep_0313"].iterate(jid=room)
            assert [one["mam_result"]["forwarded"]["stanza"]["body"] async for one in results] == ["hello"]

    asyncio.run(asyncio.wait_for(read_later(), 60))


def test_only_signed_requests_make_meetings(daemon: Daemon) -> None:
    body = {"account": JOHN}
    assert fetch(daemon, "/api/v1/meetings", body)[0] == 401
    assert fetch(daemon, "/api/v1/meetings", body, signed(body, secret="x" * 32))[0] == 401
    header = signed(body, nonce="only-once")
    assert [fetch(daemon, "/api/v1/meetings", body, header)[0] for _ in range(2)] == [201, 401]
    assert fetch(daemon, "/api/v1/meetings", {"account": BOB}, signed(body))[0] == 401, "another body"
    other = {"account": f"nobody@{DOMAIN}"}
    assert fetch(daemon, "/api/v1/meetings", other, signed(other))[0] == 404
    assert "0123456789abcdef" not in daemon.log.read_text()


def test_not_over_tcp_nor_bosh(daemon: Daemon) -> None:
    """Neither STARTTLS nor direct TLS nor BOSH know the guests' domain; and accounts get no ANONYMOUS anywhere."""
    for port in ("c2s", "c2s_tls"):
        with Raw(daemon, port) as raw:
            raw.send(raw.header(GUESTS))
            assert raw.stream_error() == "host-unknown"
    body = (f"<body xmlns='{ns.HTTPBIND}' rid='1' to='{GUESTS}' wait='1' hold='1' ver='1.6' xml:lang='en' "
            f"xmpp:version='1.0' xmlns:xmpp='{ns.XBOSH}'/>").encode()
    answer = fetch(daemon, "/http-bind", body, {"Content-Type": "text/xml"})[2]
    assert b"terminate" in answer and b"host-unknown" in answer
    with RawWebSocket(daemon) as raw:
        features = raw.open(DOMAIN)
        assert "ANONYMOUS" not in [one.text for one in features.iter(SASL + "mechanism")]
        raw.send(f"<auth xmlns='{ns.SASL}' mechanism='ANONYMOUS'/>")
        assert condition(raw.until(SASL + "failure")) == "invalid-mechanism"


def test_nothing_else_answers(daemon: Daemon) -> None:
    """A guest in a meeting tries the rest of the server, and another domain; nobody there notices."""
    with host(daemon) as john, Raw(daemon, "c2s_tls") as bob, Visitor(daemon) as ada, Visitor(daemon) as bea:
        bob.login(BOB)
        room = make(john)
        ada.come()
        bea.come()
        assert ada.enter(room, "Ada") == ""
        payloads = [("get", f"<query xmlns='{space}'/>") for space in (
            ns.ROSTER, ns.DISCO_INFO, ns.DISCO_ITEMS, ns.LAST, ns.VERSION, ns.MAM, "jabber:iq:register",
            "jabber:iq:search")]
        payloads += [("set", f"<query xmlns='{space}'/>") for space in (ns.ROSTER, ns.MAM, "jabber:iq:register")]
        payloads += [("get", "<vCard xmlns='vcard-temp'/>"), ("set", "<vCard xmlns='vcard-temp'/>"),
                     ("set", f"<enable xmlns='{ns.CARBONS}'/>"), ("get", f"<blocklist xmlns='{ns.BLOCKING}'/>"),
                     ("get", "<pubsub xmlns='http://jabber.org/protocol/pubsub'/>"),
                     ("get", "<request xmlns='urn:xmpp:http:upload:0' filename='x' size='1'/>"),
                     ("get", "<services xmlns='urn:xmpp:extdisco:2'/>")]
        targets = (DOMAIN, OTHER, BOB, bob.jid, f"conference.{DOMAIN}", f"attic@conference.{DOMAIN}", f"meet.{OTHER}",
                   f"guest.{OTHER}", bea.jid, bea.jid.partition("/")[0], "elsewhere.example", "who@elsewhere.example",
                   "")
        for target in targets:
            for kind, payload in payloads:
                answer = ada.ask(kind, payload, target)
                assert condition(answer) == "service-unavailable", (target, payload)
            if target:
                ada.send(chat(target, "psst", "m1"))
                assert condition(ada.until("message", id="m1")) == "service-unavailable"
                ada.send(f"<presence to='{target}' type='subscribe'/>")
                ada.send(f"<presence to='{target}/Ada'><x xmlns='{ns.MUC}'/></presence>")
        ada.send("<presence/>")
        assert ada.ask("get", f"<ping xmlns='{ns.PING}'/>").get("type") == "result"
        for one in (bob, bea):
            while one.waiting:
                one.read()
            answer = one.ping() if one is bob else one.ask("get", f"<ping xmlns='{ns.PING}'/>")
            assert answer.get("type") == "result"
        assert not [one for one in bea.seen if one.tag in (CLIENT + "message", CLIENT + "presence")]
        assert john.ask("get", f"<query xmlns='{ns.DISCO_INFO}'/>", ada.jid).get("type") == "error"


def test_a_large_stanza_ends_the_visit(daemon: Daemon) -> None:
    with host(daemon) as john, Visitor(daemon) as ada:
        room = make(john)
        ada.come()
        assert ada.enter(room, "Ada") == ""
        ada.send(f"<message to='{room}' type='groupchat'><body>{'x' * 11_000}</body></message>")
        assert ada.stream_error() == "policy-violation"


def test_csi_and_a_second_bind_are_refused(daemon: Daemon) -> None:
    with Visitor(daemon) as ada:
        ada.come()
        answer = ada.ask("set", f"<bind xmlns='{ns.BIND}'/>")
        assert answer.get("type") == "error"
        ada.send(f"<active xmlns='{ns.CSI}'/>")
        assert ada.stream_error() == "unsupported-stanza-type"


def test_a_cut_is_resumed(daemon: Daemon) -> None:
    """Nobody in the room notices, and what was said meanwhile comes after it."""
    with host(daemon) as john:
        room = make(john)
        bob = page(daemon, john, room, "John")
        first = Visitor(daemon).come()
        token = first.token()
        previd = first.enable()
        assert first.enter(room, "Ada") == ""
        bob.until_shown("Ada")
        handled = first.handled
        first.cut()
        bob.send(f"<message to='{room}' type='groupchat'><body>meanwhile</body></message>")
        while bob.until("message").findtext(CLIENT + "body") != "meanwhile":
            pass
        with Visitor(daemon) as stranger:
            stranger.sign_in()
            stranger.open(GUESTS)
            assert stranger.resume(previd, handled).tag == SM + "failed", "another guest's"
        with host(daemon) as again:
            again.send(f"<resume xmlns='{ns.SM}' previd='{previd}' h='0'/>")
            assert again.until(SM + "failed") is not None
        with Visitor(daemon) as second:
            second.sign_in(token)
            second.open(GUESTS)
            assert second.resume(previd, handled).tag == SM + "resumed"
            while second.until("message").findtext(CLIENT + "body") != "meanwhile":
                pass
            second.jid = first.jid
            assert second.ask("get", f"<ping xmlns='{ns.PING}'/>", f"{room}/Ada").get("type") == "result"
        bob.close()


def test_a_visit_does_not_become_a_session(daemon: Daemon) -> None:
    """A ticket opens meetings only, also where it could take up a full session of the same account."""
    with host(daemon) as john:
        full = Raw(daemon, "c2s_tls").login(JOHN, resource="phone")
        previd = full.enable()
        full.reset()
        with Visitor(daemon) as visitor:
            visitor.sign_in(ticket(john))
            visitor.open(GUESTS)
            assert visitor.resume(previd, 0).tag == SM + "failed"
            assert visitor.bind().get("type") == "result"
            assert visitor.jid.startswith(f"{JOHN}/meet-")
            assert condition(visitor.ask("get", f"<query xmlns='{ns.ROSTER}'/>")) == "service-unavailable"
        with Visitor(daemon) as visitor:
            visitor.sign_in(ticket(john))
            visitor.send(visitor.header(DOMAIN))
            assert visitor.stream_error() == "host-unknown"


def test_bad_passes(daemon: Daemon) -> None:
    with host(daemon) as john, Visitor(daemon) as ada:
        good = ada.come().token()
        paper = ticket(john)
        kind, subject, expires, signature = good.split(".")
        other = base64.urlsafe_b64encode(f"eve@{GUESTS}".encode()).decode().rstrip("=")
        bad = [f"{kind}.{other}.{expires}.{signature}", f"{kind}.{subject}.9{expires}.{signature}", good[:-3] + "AAA",
               paper.replace("ticket.", "guest.", 1), good.replace("guest.", "ticket.", 1), paper[:-3] + "AAA"]
        for given in bad:
            with Visitor(daemon) as eve:
                assert condition(eve.sign_in(given)) == "not-authorized", given
        with Visitor(daemon) as again:
            assert again.come(good).jid.partition("/")[0] == ada.jid.partition("/")[0]
        with Visitor(daemon) as eve:
            assert condition(eve.sign_in(paper, f"guest.{OTHER}")) == "not-authorized", "another domain's meetings"
    log = daemon.log.read_text()
    assert signature not in log and paper.split(".")[3] not in log


def test_the_daemon_is_killed_in_a_meeting(tmp_path: Path) -> None:
    """kill -9: everybody comes back as who they were; who was let in need not knock; what was said is there."""
    with running(tmp_path, JOHN) as daemon:
        john = host(daemon)
        room = make(john, lobby="true")
        paper = ticket(john)
        owner = page(daemon, john, room, "John")
        ada = Visitor(daemon).come()
        token = ada.token()
        assert ada.enter(room, "Ada") == "registration-required" and ada.knock(room, "Ada") == ""
        assert [one.attrib["nick"] for one in owner.until_told("waiting")] == ["Ada"]
        assert owner.command(room, "admit/>") == ""
        ada.until_told("knock", outcome="admitted")
        assert ada.enter(room, "Ada") == ""
        ada.send(f"<message to='{room}' type='groupchat'><body>before</body></message>")
        while owner.until("message").findtext(CLIENT + "body") != "before":
            pass
        daemon.kill()
        for one in (john, owner, ada):
            with pytest.raises((Cut, TimeoutError)):
                while True:
                    one.read()
        daemon.start()
        back = Visitor(daemon).come(token)
        assert back.jid.partition("/")[0] == ada.jid.partition("/")[0]
        assert back.enter(room, "Ada") == "", "without knocking"
        assert any(one.findtext(CLIENT + "body") == "before" for one in back.seen), "it is the same meeting"
        owner = Visitor(daemon).come(paper)
        assert owner.enter(room, "John") == ""
        assert any(one.findtext(CLIENT + "body") == "before" for one in owner.seen)
        assert owner.command(room, "lock on='true'/>") == "", "and still a moderator"


def test_chatctl(daemon: Daemon) -> None:
    with host(daemon) as john, Visitor(daemon) as ada:
        room = make(john, "To be ended")
        ada.come()
        assert ada.enter(room, "Ada") == ""
        id = room.partition("@")[0]
        [row] = [row for row in daemon.ctl("meeting", "list", JOHN)["result"] if row["id"] == id]
        assert row["occupants"] == 1 and row["creator"] == JOHN and row["name"] == "To be ended"
        shown = daemon.ctl("meeting", "show", f"https://xmpp.example/meet/{id}")["result"]
        assert shown["room"] == room and any("Ada" in one for one in shown["people"])
        assert daemon.ctl("meeting", "end", id)["result"] == {"id": id, "occupants": 1}
        gone = ada.until("presence", type="unavailable")
        assert 110 in codes(gone) and gone.find(f"{{{ns.MUC_USER}}}x/{MEET}ended") is not None
        daemon.ctl("meeting", "delete", id, "--yes")
        assert ada.enter(room, "Ada") == "item-not-found"
        assert fetch(daemon, f"/api/v1/meetings/{id}")[0] == 404


def test_an_account_that_is_disabled_is_out_of_its_meetings(daemon: Daemon) -> None:
    """Its page as well, which came by a ticket; and the ticket is no good any more."""
    daemon.add(f"eve@{DOMAIN}")
    with host(daemon) as john, host(daemon, "eve") as eve:
        room = make(john)
        paper = ticket(eve)
        visitor = page(daemon, eve, room, "Eve")
        assert daemon.ctl("user", "disable", f"eve@{DOMAIN}")["result"]["sessions_ended"] == 2
        assert visitor.stream_error() == "not-authorized"
    with Visitor(daemon) as again:
        assert condition(again.sign_in(paper)) == "not-authorized"
    assert daemon.ctl("meeting", "show", room)["result"]["people"] == []


def test_nobody_makes_one_by_going_there(daemon: Daemon) -> None:
    with host(daemon) as john, Visitor(daemon) as ada:
        ada.come()
        assert condition(ada.ask("set", f"<create xmlns='{ns.MEET}'/>", SERVICE)) == "not-allowed"
        for one in (john, ada):
            one.send(f"<presence to='party@{SERVICE}/X'><x xmlns='{ns.MUC}'/></presence>")
            assert condition(one.until("presence", type="error")) == "item-not-found"


def test_the_words_of_the_page(daemon: Daemon) -> None:
    """What docs/protocol.md promises of the first answer, as a browser would ask for it."""
    with host(daemon) as john:
        room = make(john, "Größe", e2ee="true")
    id = room.partition("@")[0]
    assert id.startswith("grosse-")
    status, headers, info = fetch(daemon, f"/api/v1/meetings/{id}")
    assert status == 200 and headers["cache-control"] == "no-store"
    assert info == {"id": id, "room": room, "link": f"https://xmpp.example:{daemon.ports['https']}/meet/{id}",
                    "name": "Größe", "since": None, "occupants": 0, "moderators": 0, "password": False, "lobby": False,
                    "locked": False, "e2ee": True, "recording": "off", "domain": DOMAIN, "guest_domain": GUESTS,
                    "guests": True, "websocket": "/xmpp-websocket"}
    assert fetch(daemon, "/api/v1/meetings/meeting-aaaaaaaaaaaaaaaaaaaa")[0] == 404
