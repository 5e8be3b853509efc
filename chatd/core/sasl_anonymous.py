"""SASL ANONYMOUS, the receiving side (RFC 4505, XEP-0175): for visits to meetings only.

The one message of a client, RFC 4505's trace, is here the pass under which somebody comes (back), or anything else. The
steps and the calls are those of `chatd.core.sasl.Exchange`.
"""

from __future__ import annotations

import attrs

from chatd.core.jid import JID
from chatd.core.passes import MOST
from chatd.core.sasl import CONDITIONS, Failure, Success

__all__ = ["MECHANISM", "Admit", "AnonymousExchange"]

MECHANISM = "ANONYMOUS"


@attrs.frozen
class Admit:
    """Say who comes to `domain` and answer with `admitted`. given: a pass, or what a client says who has none."""

    domain: str
    given: str = attrs.field(repr=False)


class AnonymousExchange:
    """One attempt to come in at `domain`."""

    mechanism = MECHANISM

    def __init__(self, domain: str) -> None:
        self._domain = domain
        self._state = "initial"
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

    def abort(self) -> Failure:
        """<abort/> (RFC 6120 6.4.4)."""
        return self._fail("aborted", "client")

    def admitted(self, jid: JID | None) -> Success | Failure:
        """Answer to Admit: the bare address, None for a pass that is not good."""
        if self._state != "admission":
            raise RuntimeError(f"SASL exchange is {self._state!r}, not 'admission'")
        if jid is None:
            return self._fail("not-authorized", "pass")
        self.jid = jid
        self._state = "over"
        return Success(jid.local, jid.domain)

    def refuse(self, condition: str, reason: str = "") -> Failure:
        """Not now: a condition of RFC 6120 6.5."""
        if condition not in CONDITIONS:
            raise ValueError(condition)
        return self._fail(condition, reason)

    def _fail(self, condition: str, reason: str) -> Failure:
        self._state = "over"
        return Failure(condition, reason)
