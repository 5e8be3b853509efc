"""A connection that another server has opened: RFC 6120 from its side's header to proved pairs of domains.

In order: its header, TLS (required unless an exception says otherwise), its header again, then SASL EXTERNAL where its
certificate proves its domain (XEP-0178), or dialback (XEP-0220).  More pairs may be proved by dialback at any time.  It
may ask that we answer on the same connection (XEP-0288).
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from chatd.core import dialback, ns
from chatd.core import server_xml as xml
from chatd.core.dialback import Dialback
from chatd.core.errors import StanzaError, StreamError
from chatd.core.federation import PeerTerms
from chatd.core.framing import StreamStart
from chatd.core.stanza import Stanza
from chatd.core.stream_xml import sm_enabled, sm_failed, sm_resumed
from chatd.server.s2s.stream import ServerStream

if TYPE_CHECKING:
    from chatd.server.s2s.federation import Federation
    from chatd.server.s2s.link import Link

__all__ = ["Incoming", "S2SFactory"]

SETTLE_S = 1.0
"""After authentication, until we send on a connection of theirs."""

MANAGE_S: Final = 10.0
"""The same where they have used stream management before: they may be about to resume what we know nothing of any more,
and what is sent before that is not counted."""

PAIRS_MOST: Final = 100
"""Proved on one connection: a certificate may be good for any number of names below one."""

log = Logger()


class Incoming(ServerStream):
    """See the module. contexts: for <starttls/>, None where TLS comes first."""

    is_outgoing = False

    def __init__(self, federation: Federation, address: str, contexts: Any) -> None:
        super().__init__(federation, address)
        self._contexts = contexts
        self._by_sasl = False
        self._settling: IDelayedCall | None = None
        self._manages_until = 0.0

    def connectionMade(self) -> None:
        """See ServerStream."""
        if not self.federation.begin(self):
            self.close(StreamError("policy-violation", "Too many connections from your address."))

    def over(self, why: str) -> None:
        """See ServerStream."""
        self._stop_settling()
        self.federation.resumable.over(self, self.link)

    def _begun(self) -> bool:
        return bool(self.id)

    # -- negotiation
    def header_came(self, header: StreamStart) -> None:
        """Answers it, and says what comes next."""
        said_to, said_from = header.attrs.get("to"), header.attrs.get("from")
        to = dialback.domain_of(said_to) if said_to else ""
        remote = dialback.domain_of(said_from) if said_from else ""
        self.id = self.federation.token()
        self.transport.write(xml.header(to if self.federation.hosts(to) else "", remote, self.id))
        if to and not self.federation.hosts(to):
            raise StreamError("host-unknown", f"{to} is not served here.")
        if remote and self.federation.hosts(remote):
            raise StreamError("invalid-from", f"{remote} is served here; nobody else can be it.")
        if self._by_sasl and remote and remote != self.remote:
            raise StreamError("invalid-from", "The stream goes on for whom it was authenticated.")
        if remote:
            self.remote = remote
            if refusal := self.federation.policy.refuses(remote):
                raise StreamError("policy-violation", refusal)
        self.local = to or self.local
        if self._is_secured and not self._by_sasl:
            self.judge()
            if self.doubt and remote and not self._terms.dialback:
                raise StreamError("not-authorized", f"Your certificate does not prove that you are {remote}: "
                                                    f"{self.doubt}.")
        if header.attrs.get("version"):
            self.transport.write(xml.features(self._features()))
        if self._by_sasl and self.answers_here:
            self._wait_for_management()

    @property
    def _terms(self) -> PeerTerms:
        return self.federation.policy.terms(self.remote)

    def _features(self) -> list[bytes]:
        if self._by_sasl:
            return [xml.SM_OFFERED, xml.DIALBACK_OFFERED]
        if not self._is_secured:
            if self.remote and not self._terms.encryption:
                return [xml.STARTTLS_OFFERED, xml.DIALBACK_OFFERED, xml.BIDI_OFFERED]
            return [xml.STARTTLS_REQUIRED]
        offered = [xml.BIDI_OFFERED, xml.DIALBACK_OFFERED, xml.SM_OFFERED]
        return [xml.EXTERNAL_OFFERED, *offered] if not self.doubt else offered

    def take_starttls(self, element: Stanza) -> None:
        """<starttls/>."""
        if self._contexts is None or not self.id:
            raise StreamError("policy-violation", "TLS is on already.")
        contexts, self._contexts = self._contexts, None
        self.transport.write(f"<proceed xmlns='{ns.TLS}'/>".encode())
        self.restart(self.federation.limits.preauth_stanza_bytes)
        self.transport.startTLS(contexts)

    def secured(self) -> None:
        """The header follows."""
        self._is_secured = True

    def take_auth(self, element: Stanza) -> None:
        """SASL EXTERNAL (XEP-0178 3)."""
        if not self._is_secured or self._by_sasl or not self.remote or not self.local:
            raise StreamError("policy-violation", "This is not the time to authenticate, or nobody knows as whom.")
        try:
            said = b64decode(element.inner.strip(), validate=True) if element.inner.strip() not in (b"", b"=") else b""
            named = dialback.domain_of(said.decode()) if said else self.remote
        except (binascii.Error, UnicodeDecodeError, StreamError):
            named = ""
        if element.attrs.get("mechanism") != "EXTERNAL" or self.doubt or named != self.remote:
            log.info("{stream!r} is not authenticated by its certificate: {why}", stream=self,
                     why=self.doubt or "it asks to be somebody else")
            self.transport.write(xml.AUTH_FAILED)       # it may go on with dialback
            self.federation.counts.refused += 1
            return
        self._by_sasl = True
        self.transport.write(xml.SUCCESS)
        self.restart(self.federation.stanza_bytes)
        self.proved(self.remote, self.local, "its certificate")

    def take_bidi(self, element: Stanza) -> None:
        """XEP-0288: we may answer on this connection, once its pairs are proved."""
        if self.is_authenticated or not (self._is_secured or not self._terms.encryption):
            raise StreamError("policy-violation", "This is to be said before authentication, under TLS.")
        self.answers_here = True

    def proved(self, remote: str, local: str, by: str) -> None:
        """A pair is theirs."""
        log.info("{remote} is connected to {local} from {address}, proved by {by}", remote=remote, local=local,
                 address=self.address, by=by)
        self.remote, self.local = self.remote or remote, self.local or local
        self.authenticated(remote, local)
        self.federation.is_there(remote)
        if self.answers_here and self._settling is None and not self._by_sasl:
            self._wait_for_management()

    @property
    def _may_answer(self) -> bool:
        """They take stanzas on it too, and are who their header says, which a proof of another pair does not show."""
        return self.answers_here and (self.remote, self.local) in self.pairs

    def _wait_for_management(self) -> None:
        """Gives them the time to switch stream management on, so that nothing is sent without it."""
        clock = self.federation.clock
        self._manages_until = clock.seconds() + MANAGE_S
        self._settling = clock.callLater(SETTLE_S, self._settle)

    def _settle(self) -> None:
        """The stream is as it will be: we may answer on it."""
        self._stop_settling()
        if self.link is None and not self.is_closing and self._may_answer:
            try:
                link = self.federation.link(self.local, self.remote)
            except StanzaError:
                return                      # too many others, or not welcome any more: it goes on one way
            clock = self.federation.clock
            is_early = link.remote.is_managed and clock.seconds() < self._manages_until
            if self.smacks is None and (is_early or link.former is not None):
                # They may be about to resume what was cut, which takes the time that their disk takes.
                self._settling = clock.callLater(SETTLE_S, self._settle)
            else:
                link.offered(self)

    def _stop_settling(self) -> None:
        settling, self._settling = self._settling, None
        if settling is not None and settling.active():
            settling.cancel()

    # -- dialback
    def dialback_asked(self, asked: Dialback) -> None:
        """A <db:result/> (2.2.1): who does not show a certificate for the domain is asked back."""
        self._under_tls(asked.from_)
        federation = self.federation
        if not federation.hosts(asked.to):
            self.transport.write(dialback.refusal(asked, "item-not-found"))
            return
        why = federation.policy.refuses(asked.from_)
        if federation.hosts(asked.from_):
            why = f"{asked.from_} is served here; nobody else can be it."
        if why:
            self.transport.write(dialback.refusal(asked, "forbidden", "auth", why))
            return
        if len(self.pairs) >= PAIRS_MOST:
            self.transport.write(dialback.refusal(asked, "resource-constraint", "wait", "This stream has many pairs."))
            return
        if self._is_secured and not self.doubt_about(asked.from_):
            self._dialled(asked, "valid")
        elif not federation.policy.terms(asked.from_).dialback:
            self.transport.write(dialback.refusal(
                asked, "not-authorized", "auth", f"A certificate for {asked.from_} is needed here."))
        else:
            self.look_into(asked, self._dialled)

    def _dialled(self, asked: Dialback, said: str) -> None:
        if said == "valid":
            self.transport.write(dialback.verdict(asked, "valid"))
            self.proved(asked.from_, asked.to, "dialback")
        elif said == "invalid":
            self.federation.counts.refused += 1
            log.warn("{stream!r} is not {domain}: its dialback key is not theirs", stream=self, domain=asked.from_)
            if self.is_authenticated:
                self.transport.write(dialback.refusal(asked, "forbidden", "auth", "The key is not yours."))
            else:
                self.transport.write(dialback.verdict(asked, "invalid"))
                self.close()
        else:
            log.info("{domain} could not be asked whether {stream!r} is theirs: {why}", domain=asked.from_,
                     stream=self, why=said)
            self.transport.write(dialback.refusal(asked, "remote-server-not-found", "cancel", said))

    def _under_tls(self, remote: str) -> None:
        if not self.id:
            raise StreamError("not-authorized", "A stream begins with its header.")
        if not self._is_secured and self.federation.policy.terms(remote).encryption:
            raise StreamError("policy-violation", "TLS is required here.")

    def take_dialback(self, element: Stanza) -> None:
        """See ServerStream; not before TLS."""
        self._under_tls(dialback.domain_of(element.attrs.get("from")))
        super().take_dialback(element)

    # -- stream management
    def take_enable(self, element: Stanza) -> None:
        """XEP-0198 3."""
        self._may_begin()
        token, resume_s = self.federation.resumable.enabled(self, element)
        self.transport.write(sm_enabled(token or None, resume_s))
        self.management.begin(token, resume_s)
        if self._settling is not None:
            self._settle()
        if self._may_answer:
            self.federation.came_anew(self)

    def take_resume(self, element: Stanza) -> None:
        """XEP-0198 5."""
        self._may_begin()
        self.is_resuming = True
        self._stop_settling()
        self.federation.resumable.resume(self, element)

    def _may_begin(self) -> None:
        if not self.is_authenticated or self.smacks is not None or self.is_resuming:
            raise StreamError("unsupported-stanza-type", "Stream management begins once, after authentication.")

    def not_resumed(self, handled: int | None) -> None:
        """What it asked for is not there, or is not theirs; handled: the count, where it is known."""
        self.is_resuming = False
        self.transport.write(sm_failed("item-not-found", handled))
        if self.answers_here:
            self._wait_for_management()

    def resumed(self, former: Incoming, link: Link | None) -> None:
        """It goes on where `former` was cut; link: what was sent over that."""
        assert former.smacks is not None
        self.transport.write(sm_resumed(former.smacks.h, former.smacks.id))
        self.management.go_on(former)
        if link is not None:
            link.resumed(self)
        elif self.answers_here:
            self._settle()


Incoming.elements = {
    **ServerStream.elements,
    f"{ns.DIALBACK} result": Incoming.take_dialback,
    f"{ns.DIALBACK} verify": Incoming.take_dialback,
    f"{ns.TLS} starttls": Incoming.take_starttls,
    f"{ns.SASL} auth": Incoming.take_auth,
    f"{ns.BIDI} bidi": Incoming.take_bidi,
    f"{ns.SM} enable": Incoming.take_enable,
    f"{ns.SM} resume": Incoming.take_resume,
}


class S2SFactory(Factory):
    """Makes the streams of a port; contexts: see Incoming."""

    noisy = False

    def __init__(self, federation: Federation, contexts: Any = None) -> None:
        self.federation = federation
        self.contexts = contexts

    def buildProtocol(self, addr: IAddress | None) -> Incoming:     # type: ignore[override]
        """The stream of a new connection."""
        return Incoming(self.federation, str(getattr(addr, "host", addr)), self.contexts)
