"""Stanzas that break a rule: each is answered with the error of RFC 6120 8.3 or of its XEP, and the stream goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from chatd.core import ns
from tests.daemon import DOMAIN, OTHER, Daemon
from tests.hostile.bystanders import account
from tests.raw import Raw, RawWebSocket, condition, fresh

LONG = "x" * 1100
ADDRESSES = ["", "@", "@@", f"@{DOMAIN}", "a@", "a@/b", f"a@{DOMAIN}/", "/b", f"a b@{DOMAIN}", f"a@b@{DOMAIN}",
             f"a@{DOMAIN} ", f"{LONG}@{DOMAIN}", f"a@{LONG}", f"a@{DOMAIN}/{LONG}", f"&lt;a&gt;@{DOMAIN}",
             f"\u00ad@{DOMAIN}", f"a@{DOMAIN}/\u202e", "a@b..c", f"\u2163\u212b@{DOMAIN}", "a@[::1", "a@-.-",
             f"a&#x10ffff;@{DOMAIN}"]


@pytest.fixture
def raw(daemon: Daemon, person: str) -> Iterator[Raw]:
    """Somebody who has logged in."""
    with Raw(daemon, "c2s_tls") as raw:
        yield raw.login(person)


def refusal(raw: Raw, stanza: str, tag: str, number: str) -> str:
    """The condition that a stanza with this id is answered with; the stream still works afterwards."""
    raw.send(stanza)
    answer = raw.until(tag, id=number)
    assert answer.get("type") == "error"
    assert raw.ping().get("type") == "result"
    return condition(answer)


@pytest.mark.parametrize("tag", ["message", "presence", "iq"])
def test_bogus_addresses(raw: Raw, tag: str) -> None:
    """What is no address of RFC 7622 is jid-malformed, and nobody is looked for."""
    inner = {"iq": f"<ping xmlns='{ns.PING}'/>", "message": "<body>x</body>", "presence": ""}[tag]
    kind = {"iq": "type='get'", "message": "type='chat'", "presence": ""}[tag]
    for address in ADDRESSES:
        number = fresh()
        stanza = f"<{tag} to='{address}' id='{number}' {kind}>{inner}</{tag}>"
        assert refusal(raw, stanza, tag, number) == "jid-malformed", address


IQS = {
    "no child": ("<iq type='get' id='{}'/>", "bad-request"),
    "two children": (f"<iq type='get' id='{{}}'><ping xmlns='{ns.PING}'/><ping xmlns='{ns.PING}'/></iq>",
                     "bad-request"),
    "no type": (f"<iq id='{{}}'><ping xmlns='{ns.PING}'/></iq>", "bad-request"),
    "a type that is none": (f"<iq type='take' id='{{}}'><ping xmlns='{ns.PING}'/></iq>", "bad-request"),
    "what nobody knows": ("<iq type='get' id='{}'><x xmlns='urn:x'/></iq>", "service-unavailable"),
    "to nobody": (f"<iq type='get' id='{{}}' to='nobody@{DOMAIN}/x'><ping xmlns='{ns.PING}'/></iq>",
                  "service-unavailable"),
    "to another server": (f"<iq type='get' id='{{}}' to='example.org'><ping xmlns='{ns.PING}'/></iq>",
                          "remote-server-not-found"),
    "another bind": (f"<iq type='set' id='{{}}'><bind xmlns='{ns.BIND}'/></iq>", "not-allowed"),
    "somebody else's roster": (f"<iq type='get' id='{{}}' to='alice@{OTHER}'><query xmlns='{ns.ROSTER}'/></iq>",
                               "service-unavailable"),
    "the server's roster": (f"<iq type='get' id='{{}}' to='{DOMAIN}'><query xmlns='{ns.ROSTER}'/></iq>",
                            "service-unavailable"),
    "a password for nobody": ("<iq type='set' id='{}'><query xmlns='jabber:iq:register'><password>x</password></query>"
                              "</iq>", "bad-request"),
    "a contact without address": (f"<iq type='set' id='{{}}'><query xmlns='{ns.ROSTER}'><item/></query></iq>",
                                  "bad-request"),
    "two contacts": (f"<iq type='set' id='{{}}'><query xmlns='{ns.ROSTER}'><item jid='a@b'/><item jid='c@b'/></query>"
                     "</iq>", "bad-request"),
    "a contact that is none": (f"<iq type='set' id='{{}}'><query xmlns='{ns.ROSTER}'><item jid='@@'/></query></iq>",
                               "jid-malformed"),
    "a contact's long name": (f"<iq type='set' id='{{}}'><query xmlns='{ns.ROSTER}'>"
                              f"<item jid='a@b' name='{LONG}'/></query></iq>", "not-acceptable"),
    "a contact's long group": (f"<iq type='set' id='{{}}'><query xmlns='{ns.ROSTER}'><item jid='a@b'>"
                               f"<group>{LONG}</group></item></query></iq>", "not-acceptable"),
    "a contact in a thousand groups": (
        f"<iq type='set' id='{{}}'><query xmlns='{ns.ROSTER}'><item jid='a@b'>"
        + "".join(f"<group>{n}</group>" for n in range(1000)) + "</item></query></iq>", "not-acceptable"),
    "a vCard of 129 KiB": (
        f"<iq type='set' id='{{}}'><vCard xmlns='{ns.VCARD}'><FN>{'x' * 129 * 1024}</FN></vCard></iq>",
        "not-acceptable"),
    "a photo that is no base64": (f"<iq type='set' id='{{}}'><vCard xmlns='{ns.VCARD}'><PHOTO><BINVAL>???</BINVAL>"
                                  "</PHOTO></vCard></iq>", "bad-request"),
    "65 KiB in private": (f"<iq type='set' id='{{}}'><query xmlns='{ns.PRIVATE}'><x xmlns='urn:x'>{'x' * 65 * 1024}</x>"
                          "</query></iq>", "not-acceptable"),
    "nothing in private": (f"<iq type='set' id='{{}}'><query xmlns='{ns.PRIVATE}'/></iq>", "bad-request"),
    "an archive query with a bad time": (
        f"<iq type='set' id='{{}}'><query xmlns='{ns.MAM}'><x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'>"
        f"<value>{ns.MAM}</value></field><field var='start'><value>yesterday</value></field></x></query></iq>",
        "bad-request"),
    "an archive query with a bad page": (
        f"<iq type='set' id='{{}}'><query xmlns='{ns.MAM}'><set xmlns='{ns.RSM}'><max>-7</max></set></query></iq>",
        "bad-request"),
    "an archive page behind nothing": (
        f"<iq type='set' id='{{}}'><query xmlns='{ns.MAM}'><set xmlns='{ns.RSM}'><after>nothing</after></set></query>"
        "</iq>", "item-not-found"),
    "a block of no address": (f"<iq type='set' id='{{}}'><block xmlns='{ns.BLOCKING}'/></iq>", "bad-request"),
    "a block of a bad address": (f"<iq type='set' id='{{}}'><block xmlns='{ns.BLOCKING}'><item jid='@@'/></block></iq>",
                                 "jid-malformed"),
}


@pytest.mark.parametrize("name", IQS)
def test_iqs(raw: Raw, name: str) -> None:
    """An iq that is asked wrongly gets its error."""
    stanza, expected = IQS[name]
    number = fresh()
    assert refusal(raw, stanza.replace("{}", number), "iq", number) == expected


def test_messages_and_presence(raw: Raw) -> None:
    """Nobody there, another server, a type that is none."""
    for to, expected in ((f"nobody@{DOMAIN}", "service-unavailable"), ("a@example.org", "remote-server-not-found"),
                         (DOMAIN, "service-unavailable")):
        number = fresh()
        assert refusal(raw, f"<message to='{to}' id='{number}'><body>x</body></message>", "message", number) == expected
    number = fresh()
    assert refusal(raw, f"<presence id='{number}' type='flying'/>", "presence", number) == "bad-request"
    number = fresh()
    assert refusal(raw, f"<presence id='{number}' type='subscribe'/>", "presence", number) == "not-allowed"


def test_answers_nobody_asked_for(raw: Raw) -> None:
    """Results, errors and errors to errors are dropped, and answered by nobody (RFC 6120 8.3.1)."""
    for to in (f"to='{DOMAIN}'", f"to='nobody@{DOMAIN}'", "to='example.org'", f"to='{raw.jid}-'", "to='@@'"):
        for xml in ("<iq type='result' id='z' {}/>", "<iq type='error' id='z' {}><error/></iq>",
                    "<message type='error' id='z' {}><body>x</body><error/></message>",
                    "<presence type='error' id='z' {}><error/></presence>"):
            raw.send(xml.replace("{}", to))
    number = fresh()
    raw.send(f"<iq type='get' id='{number}' to='{DOMAIN}'><ping xmlns='{ns.PING}'/></iq>")
    while True:
        element = raw.read()
        assert element.get("id") != "z", f"answered: {element.attrib}"
        if element.get("id") == number:
            break


# -- more than fits
def test_a_full_roster(raw: Raw) -> None:
    """The 21st contact is refused where 20 are allowed, however it is added; those there are can be changed."""

    def add(address: str, name: str = "") -> str:
        return condition(raw.ask("set", f"<query xmlns='{ns.ROSTER}'><item jid='{address}' name='{name}'/></query>"))

    assert [add(f"contact{n}@{DOMAIN}") for n in range(20)] == [""] * 20
    assert add(f"contact20@{DOMAIN}") == "resource-constraint"
    assert add(f"contact7@{DOMAIN}", "Seven") == ""
    number = fresh()
    assert refusal(raw, f"<presence id='{number}' type='subscribe' to='more@{OTHER}'/>", "presence",
                   number) == "resource-constraint"
    for n in range(50):
        raw.send(f"<presence type='subscribed' to='early{n}@{DOMAIN}'/>")        # pre-approval, RFC 6121 3.4
    answer = raw.ask("get", f"<query xmlns='{ns.ROSTER}'/>")
    assert len(answer[0]) <= 20


def test_requests_from_everybody(daemon: Daemon, person: str) -> None:
    """Strangers' requests are kept until there are as many again as contacts; the rest is refused, and the account's
    owner still logs in."""
    with Raw(daemon, "c2s_tls").login(account(daemon)) as stranger:
        stranger.send(f"<presence type='subscribe' to='{person}'><status>{'x' * 200_000}</status></presence>")
        stranger.ping()
    with Raw(daemon, "c2s_tls").login(person, presence=False) as owner:
        owner.send("<presence/>")
        request = owner.until("presence", type="subscribe")
        assert owner.ask("get", f"<query xmlns='{ns.ROSTER}'/>")[0].findall("*") == []
        owner.send(f"<presence type='unsubscribed' to='{request.get('from')}'/>")
        owner.ping()


def test_directed_presence_to_everybody(raw: Raw) -> None:
    """Presence to a thousand strangers and one; the thousand and first would have to be remembered (RFC 6121 4.6)."""
    for n in range(1000):
        raw.send(f"<presence to='stranger{n}@{DOMAIN}'/>")
    number = fresh()
    assert refusal(raw, f"<presence id='{number}' to='another@{DOMAIN}'/>", "presence", number) == "resource-constraint"


# -- binding
def test_bind_twice(daemon: Daemon, person: str) -> None:
    """On one stream the second is not-allowed; by another connection the first one gets conflict (RFC 6120 7.7.2.2)."""
    with Raw(daemon) as first, Raw(daemon) as second:
        first.login(person, resource="desk")
        assert condition(first.bind("phone")) == "not-allowed"
        assert first.ping().get("type") == "result"
        second.login(person, resource="desk")
        assert second.jid == f"{person}/desk"
        assert first.stream_error() == "conflict"
        assert second.ping().get("type") == "result"


def test_stanzas_before_bind(daemon: Daemon, person: str) -> None:
    """Authenticated is not bound: not-authorized (RFC 6120 7.1)."""
    for stanza in ("<presence/>", f"<message to='{person}'><body>x</body></message>",
                   f"<iq type='get' id='1'><query xmlns='{ns.ROSTER}'/></iq>"):
        with Raw(daemon) as raw:
            raw.authenticate(person)
            raw.send(stanza)
            assert raw.stream_error() == "not-authorized"


def test_bad_resources(daemon: Daemon, person: str) -> None:
    """A resource that is none can be tried again with a better one."""
    with Raw(daemon) as raw:
        raw.authenticate(person)
        for resource in (LONG, "\u202e", "a\u00adb", "\ufdd0"):
            assert condition(raw.bind(resource)) == "bad-request"
        assert condition(raw.ask("set", f"<bind xmlns='{ns.BIND}'><resource/></bind>")) == ""


def test_too_many_sessions(daemon: Daemon, person: str) -> None:
    """The 33rd client of one account is refused (limits.sessions_per_account), and gets in when one leaves."""
    others: list[Raw] = []
    try:
        for _ in range(32):
            others.append(Raw(daemon, "c2s_tls").login(person, presence=False))
        with Raw(daemon, "c2s_tls") as late:
            late.authenticate(person)
            assert condition(late.bind()) == "resource-constraint"
            others[0].send("</stream:stream>")
            others[0].ended()
            assert condition(late.bind()) == ""
    finally:
        for raw in others:
            raw.close()


def test_pipelining(daemon: Daemon, person: str) -> None:
    """What is sent ahead of an answer is worked off in its order; more than 32 elements ahead end the stream."""
    wanted = f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'/></iq>"
    with Raw(daemon, "c2s_tls") as raw:
        raw.authenticate(person)
        raw.send(wanted + f"<iq type='get' id='p' to='{DOMAIN}'><ping xmlns='{ns.PING}'/></iq>" * 2)
        assert [raw.until("iq").get("id") for _ in range(3)] == ["b", "p", "p"]
    with Raw(daemon, "c2s_tls") as raw:
        raw.open()
        raw.send(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>AGEAYg==</auth>" + "<presence/>" * 40)
        assert raw.stream_error() in ("policy-violation", "not-authorized")


# -- stream management (XEP-0198)
def test_counts_that_lie(daemon: Daemon, person: str) -> None:
    """More acknowledged than was sent, numbers that are none, somebody else's session, a session that never was."""
    for bad in ("h='77'", "h='-1'", "h='4294967296'", "h='x'", ""):
        with Raw(daemon, "c2s_tls") as raw:
            raw.login(person)
            raw.enable()
            raw.send(f"<a xmlns='{ns.SM}' {bad}/>")
            assert raw.stream_error() == ("undefined-condition" if "77" in bad else "policy-violation")
    with Raw(daemon, "c2s_tls") as owner, Raw(daemon, "c2s_tls") as thief:
        owner.login(person)
        token = owner.enable()
        thief.authenticate(account(daemon))
        for previd in (token, "", "never-was", "x" * 1000):
            thief.send(f"<resume xmlns='{ns.SM}' h='0' previd='{previd}'/>")
            refused = condition(thief.until("{%s}failed" % ns.SM))
            assert refused == ("item-not-found" if previd else "bad-request")
        assert thief.bind().get("type") == "result"
        owner.send(f"<enable xmlns='{ns.SM}' resume='true'/>")
        assert condition(owner.until("{%s}failed" % ns.SM)) == "unexpected-request"
        owner.send(f"<resume xmlns='{ns.SM}' h='0' previd='{token}'/>")
        assert condition(owner.until("{%s}failed" % ns.SM)) == "unexpected-request"
        assert owner.ping().get("type") == "result"


# -- slowness
def test_slow_loris(daemon: Daemon, person: str) -> None:
    """Those who open a connection and do not log in in time are cut off, however they keep it busy: by the handshake's
    deadline before TLS is up, afterwards by that for log-in, with connection-timeout where there is a stream."""
    silent, direct = Raw(daemon), _half_handshake(daemon)
    opened, secured, web = Raw(daemon), Raw(daemon, "c2s_tls"), RawWebSocket(daemon)
    authenticated, dripping = Raw(daemon, "c2s_tls"), Raw(daemon, "c2s_tls")
    everybody = (silent, direct, opened, secured, web, authenticated, dripping)
    try:
        for raw in (opened, secured, web):
            raw.open()
        authenticated.authenticate(person)
        dripping.open()
        stop = threading.Event()

        def drip() -> None:
            dripping.send("<auth mechanism='")
            while not stop.wait(0.2):
                try:
                    dripping.send("x")
                except Exception:
                    return

        dripper = threading.Thread(target=drip)
        dripper.start()
        try:
            for raw in (silent, opened, secured, web, authenticated, dripping):
                assert raw.stream_error() == "connection-timeout"
            with pytest.raises(Exception, match="closed|reset"):
                direct.get()
        finally:
            stop.set()
            dripper.join()
    finally:
        for raw in everybody:
            raw.close()


def _half_handshake(daemon: Daemon) -> Raw:
    """A connection to the direct TLS port whose ClientHello never becomes whole."""
    raw = Raw(daemon, "c2s", via=("127.0.0.1", daemon.ports["c2s_tls"]))
    raw.put(bytes.fromhex("16030100c8010000c40303"))
    return raw


def test_too_many_connections(daemon: Daemon) -> None:
    """The 201st connection of one address is refused (limits.connections_per_address); another address gets in."""
    crowd: list[Raw] = []
    try:
        for _ in range(200):
            crowd.append(Raw(daemon, source="127.0.0.9"))
        with Raw(daemon, source="127.0.0.9") as late:
            assert late.stream_error() == "policy-violation"
        with Raw(daemon, source="127.0.0.10") as other:
            other.open()
    finally:
        for raw in crowd:
            raw.reset()
