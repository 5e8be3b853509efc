"""A connection that we open to another server: RFC 6120 from our header to the proved pair.

Its steps, each either done or the reason why there is no way: header, TLS, their certificate, features, bidirectional
(XEP-0288), SASL EXTERNAL (XEP-0178) or dialback (XEP-0220), stream management (XEP-0198).  A connection for a question
only (<db:verify/>) is ready without any proof of ours.  One that comes behind another that was cut asks to go on where
that was (XEP-0198 5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import chatd.compat  # noqa: F401  (before wokkel)

import attrs
from twisted.logger import Logger
from wokkel.server import generateKey

from chatd.core import dialback, ns
from chatd.core import server_xml as xml
from chatd.core.dialback import Dialback
from chatd.core.errors import StreamError
from chatd.core.federation import PeerTerms
from chatd.core.framing import StreamStart
from chatd.core.jid import ascii_domain
from chatd.core.smacks import StreamManagement, parse_h, resume_s_of
from chatd.core.stanza import Stanza
from chatd.server.s2s.finding import Endpoint
from chatd.server.s2s.stream import ServerStream
from chatd.server.s2s.trust import doubt

if TYPE_CHECKING:
    from chatd.server.s2s.attempt import Attempt
    from chatd.server.s2s.federation import Federation

__all__ = ["Outgoing", "dialback_key"]

log = Logger()

_TOKEN_MOST: Final = 1000


def dialback_key(secret: str, receiving: str, originating: str, id_: str) -> str:
    """XEP-0185, by wokkel, which takes ASCII; raises ValueError for a stream id that is not."""
    return str(generateKey(secret, ascii_domain(receiving), ascii_domain(originating), id_))


@attrs.define
class _Offer:
    """What the features said."""

    starttls: bool = False
    external: bool = False
    dialback: bool = False
    bidi: bool = False
    sm: bool = False


class Outgoing(ServerStream):
    """See the module. attempt: what opened it and is told what became of it, as long as that is open.

    asks_only: it is for a <db:verify/>, so nothing of ours has to be proved.
    """

    is_outgoing = True

    def __init__(self, federation: Federation, attempt: Attempt, endpoint: Endpoint, terms: PeerTerms,
                 asks_only: bool) -> None:
        super().__init__(federation, str(endpoint))
        self.local, self.remote = attempt.local, attempt.remote
        self.attempt: Attempt | None = attempt
        self.endpoint = endpoint
        self.terms = terms
        self.asks_only = asks_only
        self._begun_ = self._by_sasl = False
        self._offer = _Offer()
        self._at = "connect"
        self._has_reason = False        # what it fails for says it all; when it was adds nothing

    def _begun(self) -> bool:
        return self._begun_

    def over(self, why: str) -> None:
        """See ServerStream: what it was opened for goes elsewhere."""
        attempt, self.attempt = self.attempt, None
        if attempt is not None:
            attempt.stream_failed(self, why if self._has_reason else f"{why or 'the connection was closed'} "
                                                                     f"{_WHEN[self._at]}")

    def _note(self, step: str, text: str, ok: bool = True) -> None:
        if self.attempt is not None:
            self.attempt.note(step, ok, text)

    def _fail(self, why: str) -> None:
        self._has_reason = True
        self.close(StreamError("policy-violation", why)) if self._begun_ else self.abort(why)

    # -- negotiation
    def connectionMade(self) -> None:
        """The connection is there, unless another was faster."""
        self.federation.begin(self)
        if self.attempt is None or not self.attempt.connected(self):
            self.attempt = None
            self.abort("")
        elif not self.endpoint.is_direct:
            self._open()
        else:
            self._at = "tls"

    def _open(self) -> None:
        self._at = "header"
        self._begun_ = True
        self.transport.write(xml.header(self.local, self.remote))

    def header_came(self, header: StreamStart) -> None:
        """Their answer; an old server has no features behind it."""
        self.id = header.attrs.get("id", "")
        if self._by_sasl and not header.attrs.get("version"):
            raise StreamError("unsupported-version", "Streams have version 1.0 here.")
        self._at = "features"
        if not header.attrs.get("version"):
            self._authenticate()

    def take_stream_error(self, element: Stanza) -> None:
        """See ServerStream."""
        self._has_reason = True
        super().take_stream_error(element)

    def take_features(self, element: Stanza) -> None:
        """<stream:features/>."""
        if self._at != "features":
            if self.is_authenticated:
                return                      # some say them again
            raise StreamError("policy-violation", "Features come after a header.")
        offer = self._offer = _Offer()
        for child in element.element.elements():
            if (child.uri, child.name) == (ns.TLS, "starttls"):
                offer.starttls = True
            elif (child.uri, child.name) == (ns.SASL, "mechanisms"):
                offer.external = any(str(name).strip() == "EXTERNAL" for name in child.elements())
            elif (child.uri, child.name) == (ns.DIALBACK_FEATURES, "dialback"):
                offer.dialback = True
            elif (child.uri, child.name) == (ns.BIDI_FEATURES, "bidi"):
                offer.bidi = True
            elif (child.uri, child.name) == (ns.SM, "sm"):
                offer.sm = True
        if self._by_sasl:
            self._up("our certificate")
        elif not self._is_secured and offer.starttls:
            self._at = "tls"
            self.transport.write(xml.STARTTLS)
        else:
            self._authenticate()

    def take_proceed(self, element: Stanza) -> None:
        """TLS begins."""
        if self._at != "tls" or self._is_secured:
            raise StreamError("policy-violation", "Nobody asked for TLS.")
        self.restart(self.federation.limits.preauth_stanza_bytes)
        self.transport.startTLS(self.federation.context(self.local), server_name=ascii_domain(self.remote))

    def take_tls_failure(self, element: Stanza) -> None:
        """They cannot do TLS after all."""
        self._fail("the other server failed to begin TLS")

    def secured(self) -> None:
        """TLS is up: is it them?"""
        self._is_secured = True
        how = "from the start" if self.endpoint.is_direct else "STARTTLS"
        self._note("tls", f"{self.transport.tls_version()}, {how}")
        self.judge()
        proof = f"it proves that this is {self.remote}"
        instead = "; believed all the same, because DNS leads there" if self.terms.dialback else ""
        self._note("certificate", f"{self.doubt}{instead}" if self.doubt else proof, not self.doubt)
        if self.doubt and not self.terms.dialback:
            self._fail(f"the certificate does not prove that this is {self.remote}: {self.doubt}")
            return
        self._open()

    def what_to_doubt(self) -> str:
        """See ServerStream; what the domain's web site said of its server counts too."""
        return doubt(self.transport.getHandle(), self.remote, self.endpoint.sni, self.endpoint.pins)

    def _authenticate(self) -> None:
        offer = self._offer
        if not self._is_secured and self.terms.encryption:
            self._fail("the other server offers no TLS, which is required here")
            return
        names = [name for name, there in (
            ("SASL EXTERNAL", offer.external), ("dialback", offer.dialback), ("bidirectional streams", offer.bidi),
            ("stream management", offer.sm)) if there]
        self._note("features", ", ".join(names) or "none")
        if self.asks_only:
            self._at = "up"
            self._ready()
            return
        if offer.bidi and self.federation.uses_bidi and not (self.attempt is not None and self.attempt.is_one_way):
            self.answers_here = True
            self.transport.write(xml.BIDI)
        if offer.external and self._is_secured:
            self._at = "external"
            self.transport.write(xml.auth(self.local))
        else:
            self._dial()

    def take_success(self, element: Stanza) -> None:
        """SASL is done."""
        if self._at != "external":
            raise StreamError("policy-violation", "Nobody asked to authenticate.")
        self._by_sasl = True
        self.restart(self.federation.limits.preauth_stanza_bytes)
        self._open()

    def take_sasl_failure(self, element: Stanza) -> None:
        """Our certificate is not enough for them: dialback may be."""
        if self._at != "external":
            raise StreamError("policy-violation", "Nobody asked to authenticate.")
        self._note("authentication", "SASL EXTERNAL was refused; dialback is tried", False)
        self._dial()

    def _dial(self) -> None:
        """XEP-0220 step 1."""
        try:
            key = dialback_key(self.federation.secret, self.remote, self.local, self.id)
        except ValueError:
            raise StreamError("bad-format", "A stream id is ASCII.") from None
        if not self.id:
            raise StreamError("bad-format", "A stream of a server has an id.")
        self._at = "dialback"
        self.transport.write(dialback.key("result", self.local, self.remote, key))

    def dialback_answered(self, answer: Dialback) -> None:
        """See ServerStream; also what became of our key (step 4)."""
        if answer.name == "verify":
            super().dialback_answered(answer)
        elif self._at == "dialback" and (answer.to, answer.from_) == (self.local, self.remote):
            if answer.kind == "valid":
                self._up("dialback")
            else:
                self._fail("the other server asked us back and got no answer that it believes"
                           + (f" ({answer.condition})" if answer.condition else ""))

    def _up(self, by: str) -> None:
        self._at = "managing"
        self.is_authenticated = True
        self._framer.max_bytes = self.federation.stanza_bytes
        if self.answers_here:
            self.pairs.add((self.remote, self.local))
        self._note("authentication", f"we are believed by {by}" + (", one connection for both ways"
                                                                    if self.answers_here else ""))
        log.info("{local} is connected to {remote} at {address}, proved by {by}", local=self.local,
                 remote=self.remote, address=self.address, by=by)
        former = self.attempt.former if self.attempt is not None else None
        may_go_on = former is not None and former.may_resume and self.answers_here == former.answers_here
        if former is not None and may_go_on and self._offer.sm:
            self.is_resuming = True
            former.settled(lambda: self._resume(former))
        else:
            self._enable()

    def _enable(self) -> None:
        if self._offer.sm:
            self.transport.write(xml.ASK_SM)
            self.management.begin(is_confirmed=False)
        self._ready()

    def _resume(self, former: Outgoing) -> None:
        """What came over the former connection is on the disk: how much that was, they are told."""
        assert former.smacks is not None
        if not self.is_closing:
            self.transport.write(xml.resume(former.smacks.id, former.smacks.h))

    def _ready(self) -> None:
        self._at = "up"
        self._in_time()
        attempt, self.attempt = self.attempt, None
        if attempt is not None:
            attempt.stream_ready(self)

    def take_enabled(self, element: Stanza) -> None:
        """Stream management is on, as has been relied on since it was asked for.  What they sent before they knew of it
        does not count."""
        if self.smacks is None or self.counts:
            raise StreamError("unsupported-stanza-type", "Nobody asked for stream management.")
        self.counts = True
        token = element.attrs.get("id", "")
        resume_s = resume_s_of(element, self.federation.limits.resume_s)
        if resume_s and 0 < len(token) <= _TOKEN_MOST:
            self.smacks.id, self.smacks.resume_s = token, resume_s

    def take_resumed(self, element: Stanza) -> None:
        """It goes on where the former was cut, from what they have got."""
        former, smacks = self._asked_to_resume()
        try:
            smacks.resume(parse_h(element))
        except StreamError:
            self._give_up_former()          # their count cannot be: the next connection begins anew
            raise
        self.management.go_on(former)
        self._ready()

    def take_sm_failed(self, element: Stanza) -> None:
        """There is no stream management, or nothing to resume, where they may say how much they had got."""
        if not self.is_resuming:
            self.smacks = None
            return
        former, smacks = self._asked_to_resume()
        self._give_up_former()
        if "h" in element.attrs:
            smacks.acknowledge(parse_h(element))
            self.federation.counted(former)
        self.is_resuming = False
        self._enable()

    def _give_up_former(self) -> None:
        if self.attempt is not None and self.attempt.former is not None:
            self.attempt.former.may_resume = False

    def _asked_to_resume(self) -> tuple[Outgoing, StreamManagement]:
        former = self.attempt.former if self.attempt is not None else None
        if not self.is_resuming or former is None or former.smacks is None:
            raise StreamError("unsupported-stanza-type", "Nobody asked to resume.")
        return former, former.smacks

    def look_over(self, now: float) -> None:
        """See ServerStream; one that only asks is closed by who asked."""
        if not self.asks_only:
            super().look_over(now)


Outgoing.elements = {
    **ServerStream.elements,
    f"{ns.STREAMS} error": Outgoing.take_stream_error,
    f"{ns.STREAMS} features": Outgoing.take_features,
    f"{ns.TLS} proceed": Outgoing.take_proceed,
    f"{ns.TLS} failure": Outgoing.take_tls_failure,
    f"{ns.SASL} success": Outgoing.take_success,
    f"{ns.SASL} failure": Outgoing.take_sasl_failure,
    f"{ns.SM} enabled": Outgoing.take_enabled,
    f"{ns.SM} resumed": Outgoing.take_resumed,
    f"{ns.SM} failed": Outgoing.take_sm_failed,
}

_WHEN: dict[str, Any] = {
    "connect": "while connecting",
    "tls": "while TLS was being set up",
    "header": "when it was to begin the stream",
    "features": "when it was to say what it offers",
    "external": "when we showed our certificate",
    "dialback": "while it was asking us back",
    "managing": "when it was to say how much of what was sent before it has got",
    "up": "after it was up",
}
