"""SASL ANONYMOUS, the receiving side (RFC 4505, XEP-0175): for visits to meetings only.

The one message of a client, RFC 4505's trace, is here the pass under which somebody comes (back), or anything else. The
steps and the calls are those of `chatd.core.sasl.Exchange`.
"""

from __future__ import annotations

import attrs

from chatd.core.jid import JID
from chatd.core.passes import MOST
from chatd.core.sasl import Success
from chatd.core.sasl_attempt import Attempt, Failure

__all__ = ["MECHANISM", "Admit", "AnonymousExchange"]

MECHANISM = "ANONYMOUS"


@attrs.frozen
class Admit:
    """Say who comes to `domain` and answer with `admitted`. given: a pass, or what a client says who has none."""

    domain: str
    given: str = attrs.field(repr=False)


class AnonymousExchange(Attempt):
    """One attempt to come in at `domain`."""

    mechanism = MECHANISM

    def __init__(self, domain: str) -> None:
        self._domain = domain
        self.jid: JID | None = None

    def start(self, initial: bytes | None) -> Failure | Admit:
        """<auth/>: None where there was no initial response, which is nothing to be asked for (XEP-0175 3)."""
        data = initial or b""
        if len(data) > MOST:
            return self._fail("malformed-request", "too-long")
        try:
            given = data.decode("ascii")
        except UnicodeDecodeError:
            given = ""                  # something for a log, as RFC 4505 has it
        self._state = "admission"
        return Admit(self._domain, given)

    def respond(self, data: bytes) -> Failure:
        """<response/>: there is no challenge that it could answer."""
        return self._fail("malformed-request", "unexpected-response")

    def admitted(self, jid: JID | None) -> Success | Failure:
        """Answer to Admit: the bare address, None for a pass that is not good."""
        self._expect("admission")
        if jid is None:
            return self._fail("not-authorized", "pass")
        self.jid = jid
        self._state = "over"
        return Success(jid.local, jid.domain)
