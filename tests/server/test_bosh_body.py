"""The <body/> of BOSH: what is read from a request and written to a response."""

from __future__ import annotations

import pytest

from chatd.core.errors import StreamError
from chatd.server.bosh_body import parse, sid_of, terminate, write

BOSH = "http://jabber.org/protocol/httpbind"


def read(xml: str) -> object:
    return parse(xml.encode(), 10_000, 20)


def test_a_first_request() -> None:
    body = parse((f"<body xmlns='{BOSH}' rid='1573741820' to='example.test' hold='1' wait='60' ver='1.6' xml:lang='en' "
                  "xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0'/>").encode(), 10_000, 20)
    assert (body.rid, body.sid, body.number("hold"), body.number("wait")) == (1573741820, "", 1, 60)
    assert body.header.attrs == {"to": "example.test", "xml:lang": "en", "version": "1.0"}
    assert body.is_empty and not body.is_end and not body.is_restart and body.pause_s is None


def test_restart_pause_and_end() -> None:
    body = f"<body xmlns='{BOSH}' rid='2' sid='s' xmlns:x='urn:xmpp:xbosh' %s/>"
    assert parse((body % "x:restart='true'").encode(), 10_000, 20).is_restart
    assert parse((body % "pause='60'").encode(), 10_000, 20).pause_s == 60
    assert parse((body % "type='terminate'").encode(), 10_000, 20).is_end
    for extra in ("x:restart='true'", "pause='60'", "type='terminate'"):
        assert not parse((body % extra).encode(), 10_000, 20).is_empty


def test_stanzas_without_a_namespace_are_a_clients() -> None:
    body = parse((f"<body xmlns='{BOSH}' rid='2' sid='s'><message to='a@b'><body>x</body><y xmlns='urn:y'/></message>"
                  "<iq xmlns='jabber:client' type='get'/><auth xmlns='urn:z'/></body>").encode(), 10_000, 20)
    message, iq, auth = body.stanzas
    assert (message.ns, message.children) == ("jabber:client", ("jabber:client body", "urn:y y"))
    assert message.to_bytes_ns() == (b'<message xmlns="jabber:client" to="a@b"><body>x</body><y xmlns=\'urn:y\'/>'
                                     b"</message>")
    assert iq.ns == "jabber:client" and auth.ns == "urn:z"


@pytest.mark.parametrize(("xml", "condition"), [
    ("", "not-well-formed"),
    ("<body", "not-well-formed"),
    (f"<body xmlns='{BOSH}' rid='1'>", "not-well-formed"),
    (f"<body xmlns='{BOSH}' rid='1'/><body/>", "not-well-formed"),
    ("<body rid='1'/>", "bad-format"),
    (f"<corpse xmlns='{BOSH}' rid='1'/>", "bad-format"),
    (f"<body xmlns='{BOSH}'/>", "bad-format"),
    (f"<body xmlns='{BOSH}' rid='0'/>", "bad-format"),
    (f"<body xmlns='{BOSH}' rid='-1'/>", "bad-format"),
    (f"<body xmlns='{BOSH}' rid='9007199254740992'/>", "bad-format"),
    (f"<body xmlns='{BOSH}' rid='1'>text</body>", "bad-format"),
    (f"<!DOCTYPE x><body xmlns='{BOSH}' rid='1'/>", "restricted-xml"),
    (f"<body xmlns='{BOSH}' rid='1'><!-- --></body>", "restricted-xml"),
    (f"<body xmlns='{BOSH}' rid='1'><m>{'x' * 10_001}</m></body>", "policy-violation"),
    (f"<body xmlns='{BOSH}' rid='1'>{'<m>' * 30}{'</m>' * 30}</body>", "policy-violation"),
])
def test_what_is_no_request(xml: str, condition: str) -> None:
    with pytest.raises(StreamError) as caught:
        read(xml)
    assert caught.value.condition == condition


def test_the_session_is_seen_before_the_xml_is_read() -> None:
    assert sid_of(f"<body xmlns='{BOSH}' rid='1' sid='abc-D_1'/>".encode()) == "abc-D_1"
    assert sid_of(b"<body rid='1'/>") == ""
    assert sid_of(b"<body rid='1'><m sid='x'/>" + b" " * 2000) == "x"       # looked up, and parsed with more care then


def test_responses() -> None:
    assert write() == f'<body xmlns="{BOSH}"/>'.encode()
    assert write([b"<a/>", b"<b/>"], sid='"x"', ack=5, xmpp_version="1.0", ver=None) == (
        f'<body xmlns="{BOSH}" xmlns:xmpp="urn:xmpp:xbosh" sid="&quot;x&quot;" ack="5" xmpp:version="1.0">'
        "<a/><b/></body>").encode()


def test_last_responses() -> None:
    assert terminate(None) == f'<body xmlns="{BOSH}" type="terminate"/>'.encode()
    assert b'condition="host-unknown"/>' in terminate(StreamError("host-unknown", "who?"))
    assert b'condition="system-shutdown"/>' in terminate(StreamError("system-shutdown"))
    said = terminate(StreamError("conflict", "elsewhere"), [b"<message/>"])
    assert b'condition="remote-stream-error"><message/><stream:error xmlns:stream=' in said
    assert b"<conflict " in said and b"elsewhere" in said
