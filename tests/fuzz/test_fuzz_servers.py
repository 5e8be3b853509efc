"""Whatever bytes another server sends, in whatever pieces: its stream answers or ends with a stream error, no exception
leaves it, nothing is delivered but for a pair it has proved, and nobody else notices.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatd.core.errors import STREAM_CONDITIONS, StreamError
from chatd.server.s2s.stream import ServerStream
from tests.server.fake_site import DOMAIN, OTHER
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


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(state=st.sampled_from(STATES), data=INPUT, step=st.sampled_from([1, 7, 1 << 20]))
def test_server_stream(state: str, data: bytes, step: int) -> None:
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
