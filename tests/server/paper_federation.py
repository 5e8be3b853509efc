"""Federation without sockets: the site of `fake_site`, other servers whose bytes a test writes by hand, and attempts to
reach them that a test lets succeed or fail."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred

from chatd.core.federation import PeerTerms
from chatd.core.stanza import Stanza
from chatd.server.s2s import link as link_module
from chatd.server.s2s.federation import Federation
from chatd.server.s2s.finding import Endpoint
from chatd.server.s2s.incoming import Incoming, S2SFactory
from chatd.server.s2s.outgoing import Outgoing
from chatd.settings import S2S
from tests.server.fake_site import DOMAIN, PaperWire, Site

PEER = "peer.test"
HEADER = ("<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "
          "xmlns:db='jabber:server:dialback' from='{from_}' to='{to}' version='1.0'>")
EXTERNAL = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>"


def header(from_: str = PEER, to: str = DOMAIN) -> str:
    """What the other server begins with."""
    return HEADER.format(from_=from_, to=to)


class PeerWire(PaperWire):
    """A connection of another server.  names: what its certificate proves; None: it shows none."""

    def __init__(self, federation: Federation, names: tuple[str, ...] | None = (PEER,), step: int = 1 << 20,
                 address: str = "192.0.2.9") -> None:
        stream: Incoming = S2SFactory(federation, "contexts").buildProtocol(IPv4Address("TCP", address, 40000))

        def judge() -> None:
            stream.doubt = "" if stream.remote in (names or ()) else "it is for somebody else"

        stream.judge = judge        # type: ignore[method-assign]
        super().__init__(stream, address, step)
        self.transport.getHandle = lambda: None

    def secure(self, from_: str = PEER, to: str = DOMAIN) -> str:
        """STARTTLS; gives header and features behind it."""
        self.write(header(from_, to))
        assert "<proceed" in self.write("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        self.stream.handshakeCompleted()
        return self.write(header(from_, to))

    def authenticate(self, to: str = DOMAIN) -> str:
        """By certificate; gives the features behind it."""
        self.secure(to=to)
        assert "<success" in self.write(EXTERNAL)
        return self.write(header(to=to))


class PaperAttempt:
    """Stands for `Attempt`; those begun are in `begun`."""

    begun: list[PaperAttempt]
    was_reached = False

    def __init__(self, federation: Federation, local: str, remote: str, asks_only: bool = False,
                 former: Any = None) -> None:
        self.local, self.remote, self.asks_only, self.former = local, remote, asks_only, former
        self.done: Deferred[Any] = Deferred()
        self.begun.append(self)

    def start(self) -> Deferred[Any]:
        """See Attempt."""
        return self.done

    def cancel(self, why: str) -> None:
        """See Attempt."""


class OurWire(PaperWire):
    """A connection that we have opened, without TLS, as the other server sees it.  former: one of ours that was cut.

    It is taken by the link as soon as it is up, as an attempt's would be.
    """

    def __init__(self, federation: Federation, former: Outgoing | None = None) -> None:
        self.link = federation.link(DOMAIN, PEER)
        attempt: Any = SimpleNamespace(
            local=DOMAIN, remote=PEER, former=former, is_one_way=False, note=lambda *what: None,
            connected=lambda stream: True, stream_failed=lambda stream, why: None, stream_ready=self.link._up)
        super().__init__(Outgoing(federation, attempt, Endpoint("192.0.2.9", 5269, False, PEER),
                                  PeerTerms(encryption=False), False), "192.0.2.9")
        self.transport.getHandle = lambda: None

    def believe(self) -> str:
        """As far as our <enable/> or <resume/>, which is given."""
        self.write(header(PEER, DOMAIN).replace(" from=", " id='theirs' from="))
        said = self.write("<stream:features><dialback xmlns='urn:xmpp:features:dialback'/>"
                          "<bidi xmlns='urn:xmpp:features:bidi'/><sm xmlns='urn:xmpp:sm:3'/></stream:features>")
        assert "<bidi " in said and "result" in said, said
        return self.write(f"<db:result from='{PEER}' to='{DOMAIN}' type='valid'/>")


class PaperStream:
    """A connection that is up; `sent` is what went over it."""

    is_closing = False

    def __init__(self, room: int = 1 << 20) -> None:
        self.sent: list[Stanza] = []
        self.room = room
        self.link: Any = None

    def send_stanza(self, stanza: Stanza) -> bool:
        """See ServerStream."""
        if len(self.sent) >= self.room:
            return False
        self.sent.append(stanza)
        return True

    def close(self, error: Any = None) -> None:
        """See ServerStream."""


class Abroad(Site):
    """A site with federation; s2s: settings of [s2s] that differ from the defaults."""

    def __init__(self, monkeypatch: Any = None, limits: dict[str, Any] | None = None, **s2s: Any) -> None:
        super().__init__(**(limits or {}))
        self.settings.s2s = S2S(**s2s)
        numbers = itertools.count(1)
        self.federation = Federation(self.router, self.settings, SimpleNamespace(), None, self.clock, b"site" * 8,
                                     lambda: f"stream-{next(numbers):08}")
        self.federation.chance = lambda: 0.5
        self.federation.start()
        self.attempts: list[PaperAttempt] = []
        made = type("Attempt", (PaperAttempt,), {"begun": self.attempts})
        if monkeypatch is not None:
            monkeypatch.setattr(link_module, "Attempt", made)
            monkeypatch.setattr("chatd.server.s2s.federation.Attempt", made)
        self.answers: list[Stanza] = []

    def send(self, body: str, to: str = f"juliet@{PEER}", from_: str = f"alice@{DOMAIN}/here") -> None:
        """A message of alice's leaves; what comes back is in `answers`."""
        stanza = Stanza("message", {"from": from_, "to": to, "type": "chat", "id": body},
                        f"<body>{body}</body>".encode(), ("jabber:client body",))
        self.router.answer = lambda stanza, error: self.answers.append(stanza.error(error))     # type: ignore
        self.router.route(stanza)

    def errors(self) -> list[tuple[str | None, str]]:
        """(id, condition) of what came back."""
        return [(answer.id, next(child.name for child in next(answer.element.elements()).elements()))
                for answer in self.answers]
