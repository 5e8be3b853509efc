"""XEP-0227 as values: the dialects of other servers, and what is damaged."""

from __future__ import annotations

from base64 import b64encode

import pytest

from chatd.core import portable as pie
from chatd.core.accounts import Verifier
from chatd.core.roster import RosterItem
from chatd.core.stanza import parse_element

OWNER = "pat@chat.example"
KEPT = Verifier(b"salt", 4096, b"s" * 20, b"k" * 20)


def base64(value: bytes) -> str:
    return b64encode(value).decode()


def test_a_verifier_there_and_back() -> None:
    xml = pie.verifier_bytes("SCRAM-SHA-1", KEPT)
    assert pie.verifier(parse_element(xml.encode())) == ("SCRAM-SHA-1", KEPT)


@pytest.mark.parametrize(("old", "new"), [
    ("SCRAM-SHA-1", "SCRAM-SHA-512"), (base64(b"s" * 20), base64(b"s" * 19)), (base64(b"salt"), ""), ("4096", "1"),
    ("4096", "many"), (base64(b"k" * 20), "?"),
])
def test_damaged_verifiers(old: str, new: str) -> None:
    xml = pie.verifier_bytes("SCRAM-SHA-1", KEPT).replace(old, new)
    with pytest.raises(pie.Unusable):
        pie.verifier(parse_element(xml.encode()))


def test_ejabberds_way() -> None:
    twice = Verifier(*(base64(part).encode() if isinstance(part, bytes) else part
                       for part in (b"salt", 4096, b"s" * 20, b"k" * 20)))
    xml = pie.verifier_bytes("SCRAM-SHA-1", twice)
    assert pie.verifier(parse_element(xml.encode())) == ("SCRAM-SHA-1", KEPT)
    told = f"{base64(b's' * 20)},{base64(b'k' * 20)},{base64(b'salt')},4096"
    assert pie.ejabberd_verifiers(f"scram:{told}") == {"SCRAM-SHA-1": KEPT}
    assert pie.ejabberd_verifiers(f"scram:sha,{told}") == {"SCRAM-SHA-1": KEPT}
    with pytest.raises(pie.Unusable):
        pie.ejabberd_verifiers(f"scram:sha256,{told}")
    assert pie.ejabberd_verifiers("scram:bled eggs") is None
    assert pie.ejabberd_verifiers("secret") is None


def test_prosodys_requests_have_no_namespace_of_their_own() -> None:
    presence = parse_element(f"<presence xmlns='{pie.PIE}' type='subscribe' from='sam@x.example/there'/>".encode())
    assert pie.kind_of(presence) == "requests"
    who, stanza = pie.pending(presence, OWNER)
    element = parse_element(stanza)
    assert (who, element.uri, element["from"], element["to"]) == ("sam@x.example", "jabber:client", who, OWNER)


def test_privacy_lists_shut_out_addresses() -> None:
    skipped: list[str] = []
    query = parse_element(
        b"<query xmlns='jabber:iq:privacy'><default name='a'/><list name='a'>"
        b"<item type='jid' value='bad@x.example' action='deny' order='1'/>"
        b"<item type='jid' value='half@x.example' action='deny' order='2'><message/></item>"
        b"<item type='jid' value='good@x.example' action='allow' order='3'/></list>"
        b"<list name='b'><item type='jid' value='other@x.example' action='deny' order='1'/></list></query>")
    assert pie.blocked(query, skipped.append) == {"bad@x.example"}
    assert len(skipped) == 1


def test_times_and_sides_of_messages() -> None:
    def one(inner: str) -> pie.Archived:
        xml = f"<result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'>{inner}</forwarded></result>"
        return pie.archived(parse_element(xml.encode()), OWNER, 10**12)

    delay = "<delay xmlns='urn:xmpp:delay' stamp='1970-01-01T00:00:01Z'/>"
    sent = one(f"{delay}<message xmlns='jabber:client' from='{OWNER}/a' to='sam@x.example/b'><body> \t </body>"
               "</message>")
    assert (sent.stamp_ms, sent.with_.full) == (1000, "sam@x.example/b")
    assert b"<body> \t </body>" in sent.stanza
    got = one(f"{delay}<message xmlns='jabber:client' from='sam@x.example/b' to='{OWNER}'/>")
    assert got.with_.full == "sam@x.example/b"
    later = delay.replace("1970", "9000")
    assert one(f"{later}<message xmlns='jabber:client' from='a@x.example'/>").stamp_ms == 10**12
    for wrong in (delay, "<message xmlns='jabber:client' from='a@b@c'/>",
                  f"{delay.replace('1970-01', 'x')}<message xmlns='jabber:client'/>"):
        with pytest.raises(pie.Unusable):
            one(wrong)


def test_what_waits_has_one_time() -> None:
    rows = [(1, 1000, b"<message xmlns='jabber:client'><body>a</body></message>"),
            (2, 1000, b"<message xmlns='jabber:client'><delay xmlns='urn:xmpp:delay' stamp='x'/></message>")]
    assert pie.offline_bytes(rows, "chat.example").count("urn:xmpp:delay") == 2


def test_requests_declare_their_namespace_in_the_file() -> None:
    for kept in (b"<presence type='subscribe' from='q@x.example'/>",
                 b"<presence xmlns='jabber:client' type='subscribe' from='q@x.example'><status>hi</status></presence>"):
        xml = pie.roster_bytes([RosterItem(jid="q@x.example", pending_in=kept, listed=False)])
        user = parse_element(f"<user xmlns='{pie.PIE}'>{xml}</user>".encode())
        query, presence = user.elements()
        assert list(query.elements()) == []
        assert pie.pending(presence, OWNER)[0] == "q@x.example" and presence.uri == "jabber:client"
