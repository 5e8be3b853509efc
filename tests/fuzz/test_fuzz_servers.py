"""Whatever bytes another server sends, in whatever pieces: its stream answers or ends with a stream error, no exception
leaves it, nothing is delivered but for a pair it has proved, and nobody else notices.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatd.core.errors import STREAM_CONDITIONS, StreamError
from chatd.core.federation import PeerTerms
from chatd.server.s2s.finding import Endpoint
from chatd.server.s2s.outgoing import Outgoing
from chatd.server.s2s.stream import ServerStream
from tests.server.fake_site import DOMAIN, OTHER, PaperTransport
from tests.server.paper_federation import EXTERNAL, PEER, Abroad, PeerWire, header

SM = "urn:xmpp:sm:3"
CUT = "stream-00000004"         # the SM-ID of the connection that was cut in the state "cut"
ADDRESSES = [f"juliet@{PEER}/x", PEER, f"eve@else.test/{PEER}", f"alice@{DOMAIN}", f"bob@{DOMAIN}/there", DOMAIN, OTHER,
             f"x@guest.{DOMAIN}", "@", "", "a@b@c"]
ELEMENTS = [
    EXTERNAL, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<bidi xmlns='urn:xmpp:bidi'/>",
    f"<enable xmlns='{SM}'/>", f"<enable xmlns='{SM}' resume='true' max='7'/>", f"<r xmlns='{SM}'/>",
    f"<a xmlns='{SM}' h='0'/>", f"<a xmlns='{SM}' h='7'/>", f"<resume xmlns='{SM}' previd='x' h='0'/>",
    f"<resume xmlns='{SM}' previd='{CUT}' h='0'/>", f"<resume xmlns='{SM}' previd='{CUT}' h='9'/>",
    "<stream:error><reset/></stream:error>", "<stream:features/>", "<message xmlns='jabber:client'/>", "<db:result/>",
    "<db:verify id='x'>k</db:verify>", header(), header("else.test", OTHER), "</stream:stream>"]
STATES = ["connected", "begun", "secured", "unproved", "authenticated", "managed", "cut"]
STEPS = st.sampled_from([1, 7, 1 << 20])
NOISE = [" ", "<", ">", "</", "/>", "&amp;", "&x;", "<!--x-->", "<?x?>", "<!DOCTYPE x>", "<![CDATA[x]]>", "\ufeff",
         "\0", "xmlns='jabber:server'", "<db:", "stream:"]


@st.composite
def stanzas(draw: st.DrawFn) -> str:
    """With addresses of all kinds."""
    name = draw(st.sampled_from(["message", "presence", "iq", "db:result", "db:verify"]))
    attributes = "".join(f" {key}='{draw(st.sampled_from(ADDRESSES))}'" for key in ("from", "to")
                         if draw(st.integers(0, 9)))
    kind = draw(st.sampled_from(
        ["", "get", "set", "error", "result", "subscribe", "probe", "valid", "invalid", "chat"]))
    inner = draw(st.sampled_from(["", "key", "<body>secret</body>", "<ping xmlns='urn:xmpp:ping'/>",
                                  "<body xmlns='jabber:server'>secret</body>", "<error type='cancel'><x/></error>"]))
    return f"<{name}{attributes}{f' type={kind!r}' if kind else ''} id='i'>{inner}</{name}>"


PIECES = st.one_of(stanzas().map(str.encode),
                   st.sampled_from([*ELEMENTS, *NOISE]).map(lambda piece: piece.encode("utf-8", "surrogatepass")),
                   st.binary(max_size=12))
INPUT = st.lists(PIECES, max_size=12).map(b"".join)


@pytest.fixture(autouse=True)
def no_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be logged and answered with internal-server-error fails the test."""
    was = ServerStream.close

    def close(self: ServerStream, error: StreamError | None = None) -> None:
        assert error is None or error.condition != "internal-server-error"
        was(self, error)

    monkeypatch.setattr(ServerStream, "close", close)


def came(drawn: st.DataObject) -> None:
    """Another server has connected."""
    state, data = drawn.draw(st.sampled_from(STATES)), drawn.draw(INPUT)
    step = drawn.draw(STEPS)
    with pytest.MonkeyPatch.context() as patch:
        site = Abroad(patch)
        bob = site.tcp(address="192.0.2.2").log_in("bob", "there")
        bob.write("<presence/>")
        wire = PeerWire(site.federation, names=None if state == "unproved" else (PEER,))
        if state == "begun":
            wire.write(header())
        elif state in ("secured", "unproved"):
            wire.secure()
        elif state != "connected":
            wire.authenticate()
            if state == "managed":
                wire.write(f"<enable xmlns='{SM}'/>")
            elif state == "cut":
                assert CUT in wire.write(f"<enable xmlns='{SM}' resume='true'/>")
                wire.stream.connectionLost()
                wire = PeerWire(site.federation)
                wire.authenticate()
        wire.step = step
        said = wire.write(data)
        for condition in re.findall(r"<stream:error><([a-z-]+) ", said):
            assert condition in STREAM_CONDITIONS
        if "<stream:error>" in said:
            assert wire.is_ended and said.endswith("</stream:stream>")
        senders = set(re.findall(r" from=\"([^\"]*)\"", bob.read()))
        assert all(sender.partition("/")[0].partition("@")[2] in (PEER, DOMAIN) or sender in (PEER, DOMAIN)
                   for sender in senders), senders
        if state not in ("authenticated", "managed", "cut") and not wire.stream.pairs:
            assert not any(PEER in sender for sender in senders)
        assert not bob.is_ended
        wire.stream.connectionLost()
        site.clock.advance(400)
        assert wire.stream not in site.federation.open


class PaperAttempt:
    """What opened a connection; told: what it heard of it."""

    local, remote, is_one_way = DOMAIN, PEER, False

    def __init__(self, former: Outgoing | None) -> None:
        self.former = former
        self.told: list[str] = []

    def connected(self, stream: Outgoing) -> bool:
        """See Attempt, also the others."""
        return True

    def note(self, step: str, ok: bool, text: str) -> None: ...

    def stream_ready(self, stream: Outgoing) -> None:
        self.told.append("ready")

    def stream_failed(self, stream: Outgoing, why: str) -> None:
        self.told.append("failed")


def header_of(id_: str) -> str:
    return header(PEER, DOMAIN).replace(" version", f" id='{id_}' version")


FEATURES = ("<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism>"
            f"</mechanisms><bidi xmlns='urn:xmpp:features:bidi'/><sm xmlns='{SM}'/></stream:features>")
SUCCESS = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
UP = header_of("one") + FEATURES + SUCCESS + header_of("two") + FEATURES
PROVED = f"<db:result from='{PEER}' to='{DOMAIN}' type='valid'/>"
ANSWERS = st.lists(st.one_of(PIECES, st.sampled_from([
    FEATURES, SUCCESS, header_of("two"), PROVED, PROVED.replace("valid", "invalid"), "<stream:features/>",
    "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>",
    "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", f"<enabled xmlns='{SM}' resume='true' id='x' max='9'/>",
    f"<enabled xmlns='{SM}'/>", f"<resumed xmlns='{SM}' previd='old' h='0'/>", f"<resumed xmlns='{SM}' h='3'/>",
    f"<failed xmlns='{SM}' h='1'/>", f"<failed xmlns='{SM}'/>"]).map(str.encode)), max_size=10).map(b"".join)


def connected(drawn: st.DataObject) -> None:
    """We have connected: who opened the connection hears once that it is up or that it failed, and nothing is delivered
    but where both ways were agreed on."""
    begun, data = drawn.draw(st.sampled_from(["", header_of("one"), UP])), drawn.draw(ANSWERS)
    is_resuming, step = drawn.draw(st.booleans()), drawn.draw(STEPS)
    with pytest.MonkeyPatch.context() as patch:
        site = Abroad(patch)
        bob = site.tcp(address="192.0.2.2").log_in("bob", "there")
        bob.write("<presence/>")
        former = None
        if is_resuming:
            former = outgoing(site, PaperAttempt(None))
            former.answers_here = True
            former.management.begin("old", 300)
            former.abort("cut")
        attempt = PaperAttempt(former)
        stream = outgoing(site, attempt)
        for piece in (begun.encode(), data):
            for start in range(0, len(piece), step):
                if not stream.transport.disconnecting:
                    stream.dataReceived(piece[start:start + step])
        senders = set(re.findall(r" from=\"([^\"]*)\"", bob.read()))
        assert all(sender.partition("/")[0].partition("@")[2] in (PEER, DOMAIN) or sender in (PEER, DOMAIN)
                   for sender in senders), senders
        stream.connectionLost()
        site.clock.advance(400)
        assert len(attempt.told) == 1 and stream not in site.federation.open and not bob.is_ended


def outgoing(site: Abroad, attempt: PaperAttempt) -> Outgoing:
    """A connection that stands, under TLS with a good certificate."""
    stream = Outgoing(site.federation, attempt, Endpoint("192.0.2.9", 5270, True, PEER),     # type: ignore[arg-type]
                      PeerTerms(), False)
    stream.judge = lambda: setattr(stream, "doubt", "")     # type: ignore[method-assign]
    transport: Any = PaperTransport("192.0.2.9")
    transport.tls_version = lambda: "TLSv1.3"
    stream.makeConnection(transport)
    stream.handshakeCompleted()
    return stream


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(way=st.sampled_from([came, connected]), drawn=st.data())
def test_server_stream(way: Callable[[st.DataObject], None], drawn: st.DataObject) -> None:
    way(drawn)
