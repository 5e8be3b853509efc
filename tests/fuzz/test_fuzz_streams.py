"""Whatever bytes a client sends, in whatever pieces: its stream answers or ends with a stream error in its own framing,
no exception leaves it, and nobody else notices.

The input is made of pieces a client could send and of noise, over TCP, WebSocket and BOSH, in every state of the
stream.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatd.core.errors import STREAM_CONDITIONS, StreamError
from chatd.server.bosh_body import parse
from chatd.server.stream import ClientStream
from tests.server.fake_site import END, HEADER, SM, Site, bind, message, plain
from tests.server.test_sasl2_streams import BIND as BIND2
from tests.server.test_sasl2_streams import WANTS, authenticate, by_token
from tests.server.test_websocket_stream import CLOSE, OPEN, PaperChannel, as_websocket

STANZAS = [
    message("bob@example.test", "hi"), message("alice@example.test/here", "me"), "<presence/>",
    "<presence type='unavailable'/>", "<presence to='bob@example.test' type='subscribe'/>",
    "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>", "<iq/>", "<iq type='set' id='x'><a/><b/></iq>",
    "<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>", "<message to='@/'/>",
    "<iq type='set' id='p'><preauth xmlns='urn:xmpp:pars:0' token='x'/></iq>",
    "<iq type='set' id='n'><query xmlns='jabber:iq:register'><username>a</username><password>b</password></query></iq>",
    "<iq type='get'><query xmlns='jabber:iq:register'/></iq>",
    bind("here"), bind("", ""), bind("&#x0;"), bind("x" * 1200),
]
ELEMENTS = [
    plain("alice"), plain("alice", "wrong"), "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='X'/>",
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>biwsbj1hLHI9Yg==</auth>",
    "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>!</response>",
    authenticate(), authenticate("", agent="x"), by_token("fast-x"), authenticate(mechanism="SCRAM-SHA-256-PLUS"),
    authenticate(f"<resume xmlns='{SM}' previd='token-000000000000000003' h='0'/>{BIND2}<bind xmlns='u'/>"),
    "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>", "</authenticate>", "<initial-response>", BIND2,
    "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-1'/>",
    "<response xmlns='urn:xmpp:sasl:2'>biws</response>",
    "<abort xmlns='urn:xmpp:sasl:2'/>", "<next xmlns='urn:xmpp:sasl:2' task='x'/>",
    "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    f"<enable xmlns='{SM}' resume='true'/>", f"<enable xmlns='{SM}' max='x'/>", f"<r xmlns='{SM}'/>",
    f"<a xmlns='{SM}' h='0'/>", f"<a xmlns='{SM}' h='99999999999'/>", f"<a xmlns='{SM}'/>",
    f"<resume xmlns='{SM}' previd='token-000000000000000003' h='0'/>", f"<resume xmlns='{SM}'/>",
    "<active xmlns='urn:xmpp:csi:0'/>", "<thing xmlns='urn:x'/>", "<message xmlns='jabber:server'/>",
    "<stream:error/>", "<x:y/>",
]
NOISE = [" ", "\n", "<", ">", "</", "/>", "&amp;", "&x;", "<!--x-->", "<?x?>", "<!DOCTYPE x>", "]]>", "<![CDATA[x]]>",
         "x", "<message>", "</message>", "\ufeff", "\0", "xmlns='", '"', HEADER, END, OPEN, CLOSE]
PIECES = st.one_of(
    st.sampled_from([*STANZAS, *ELEMENTS, *NOISE]).map(lambda piece: piece.encode("utf-8", "surrogatepass")),
    st.binary(max_size=12))
INPUT = st.lists(PIECES, max_size=12).map(b"".join)
STATES = ["connected", "unsecured", "secured", "exchanging", "authenticated", "bound", "bound2", "managed"]
MANY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True)
def no_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ClientStream would log and answer with internal-server-error fails the test."""
    was = ClientStream.shut

    def shut(self: ClientStream, error: StreamError | None) -> None:
        assert error is None or error.condition != "internal-server-error"
        was(self, error)

    monkeypatch.setattr(ClientStream, "shut", shut)


def tcp(site: Site, state: str) -> Any:
    wire = site.tcp()
    if state == "connected":
        return wire
    if state == "unsecured":
        wire.write(HEADER)
    elif state in ("secured", "exchanging", "bound2"):
        wire.secure()
        if state == "exchanging":
            wire.write("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'/>")
        elif state == "bound2":
            wire.write(authenticate(BIND2 + WANTS.format("HT-SHA-256-NONE")))
    elif state == "authenticated":
        wire.authenticate()
    else:
        wire.log_in()
        if state == "managed":
            wire.write(f"<enable xmlns='{SM}' resume='true'/>")
    return wire


def check_error(said: str) -> None:
    for condition in re.findall(r"<stream:error[^>]*><([a-z-]+) ", said):
        assert condition in STREAM_CONDITIONS


@MANY
@given(state=st.sampled_from(STATES), data=INPUT, step=st.sampled_from([1, 7, 1 << 20]))
def test_tcp(state: str, data: bytes, step: int) -> None:
    site = Site()
    bob = site.tcp(address="192.0.2.2").log_in("bob", "there")
    wire = tcp(site, state)
    wire.step = step
    said = wire.write(data)
    check_error(said)
    if "<stream:error>" in said:
        assert wire.is_ended and said.endswith(END)
    assert not bob.is_ended and site.session("bob", "there") is not None
    wire.cut()
    site.clock.advance(400)
    assert site.streams.open == {bob.stream} and not wire.read()
    assert site.session("alice") is None


@MANY
@given(is_bound=st.booleans(), messages=st.lists(INPUT, max_size=4), is_binary=st.booleans())
def test_websocket(is_bound: bool, messages: list[bytes], is_binary: bool) -> None:
    site = Site()
    bob = site.tcp(address="192.0.2.2").log_in("bob", "there")
    channel = PaperChannel(site)
    if is_bound:
        channel.log_in()
    said: list[str] = []
    for data in messages:
        said += channel.say(as_websocket(data.decode("latin-1")), is_binary)
    for each in said:
        check_error(each)
        assert each.startswith("<") and "xmlns" in each.partition(">")[0]
    if any("<stream:error" in each for each in said):
        assert channel.is_closed and said[-1] == CLOSE
    assert not bob.is_ended and site.session("bob", "there") is not None
    channel.stream.lost()
    site.clock.advance(400)
    assert site.streams.open == {bob.stream}


@MANY
@given(data=INPUT, wraps=st.booleans())
def test_bosh_bodies(data: bytes, wraps: bool) -> None:
    if wraps:
        data = b"<body xmlns='http://jabber.org/protocol/httpbind' rid='1'>" + data + b"</body>"
    try:
        body = parse(data, 10_000, 20)
    except StreamError:
        return
    assert body.rid == 1 and all(stanza.to_bytes_ns() for stanza in body.stanzas)
