"""What stands around and behind authentication: making an account before it, resource binding (RFC 6120 7), <session/>,
and where stream management begins (XEP-0198); a part of `chatd.core.negotiation.Negotiation`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from chatd.core import ns
from chatd.core import stream_xml as xml
from chatd.core.errors import StanzaError, StreamError
from chatd.core.jid import JID, InvalidJID
from chatd.core.stanza import Stanza
from chatd.core.stream_table import ERRORS, Action, Bind, Enable, Register, Resume, Send, Terms

__all__ = ["Binding"]


class Binding:
    """What Negotiation has for it."""

    if TYPE_CHECKING:
        terms: Terms
        state: str
        domain: str
        jid: JID | None
        _request: Stanza | None
        _full: JID | None
        _previd: str
        _sm_asked: bool
        _is_encrypted: bool
        _awaits: Callable[[str], bool]
        _release: Callable[[], list[Action]]
        _stanza: Callable[[Stanza], Send]
        _resumed_inline: Callable[[int, JID], list[Action]]
        _not_resumed_inline: Callable[[str, int | None], list[Action]]

    # Our answers

    def bound(self, jid: JID | None = None) -> list[Action]:
        """Answer to Bind: done. jid: the full JID it became, where that is another (RFC 6120 7.6)."""
        if not self._awaits("binding"):
            return []
        request = self._answered()
        self.jid, self.state = jid or self._full, "bound"
        assert self.jid is not None
        return [self._stanza(request.result(xml.bound(self.jid.full))), *self._release()]

    def bind_refused(self, error: StanzaError) -> list[Action]:
        """Answer to Bind: refused (RFC 6120 7.6.2: resource-constraint, ...); it may be tried again."""
        if not self._awaits("binding"):
            return []
        request = self._answered()
        self.state = "unbound"
        return [self._stanza(request.error(error)), *self._release()]

    def resumed(self, h: int, jid: JID) -> list[Action]:
        """Answer to Resume: `jid` (full) goes on here; h: stanzas of the client handled so far."""
        if self.state == "settling":
            return self._resumed_inline(h, jid)
        if not self._awaits("resuming"):
            return []
        self.jid, self.state, self._sm_asked = jid, "bound", True
        return [Send(xml.sm_resumed(h, self._previd)), *self._release()]

    def resume_failed(self, condition: str = "item-not-found", h: int | None = None) -> list[Action]:
        """Answer to Resume: no such session; a new one may be bound (XEP-0198 5)."""
        if self.state == "settling":
            return self._not_resumed_inline(condition, h)
        if not self._awaits("resuming"):
            return []
        self.state = "unbound"
        return [Send(xml.sm_failed(condition, h)), *self._release()]

    def registered(self, answer: Stanza) -> list[Action]:
        """Answer to Register; logging in is the next thing."""
        if not self._awaits("registering"):
            return []
        self.state = "unauthenticated"
        return [self._stanza(answer), *self._release()]

    def sm_enabled(self, id_: str | None, max_s: int | None = None) -> list[Action]:
        """Answer to Enable, at once. id_ None: on, but not to be resumed."""
        if not self._awaits("bound"):
            return []
        return [Send(xml.sm_enabled(id_, max_s))]

    def _answered(self) -> Stanza:
        request, self._request = self._request, None
        assert request is not None
        return request

    # The table's

    def _may_register(self) -> bool:
        return self._is_encrypted and self.domain in self.terms.domains and self.terms.may_register(self.domain)

    def _register(self, request: Stanza) -> list[Action]:
        if not self._may_register() or request.attrs.get("type") not in ("get", "set") or not request.attrs.get("id"):
            raise StreamError("not-authorized", ERRORS["not-authorized"])
        self.state = "registering"
        return [Register(request, self.domain)]

    def _bind(self, request: Stanza) -> list[Action]:
        assert self.jid is not None
        wanted = _resource(request)
        try:
            full = self.jid.with_resource(wanted or self.terms.token())
        except InvalidJID:
            return [self._stanza(request.error(StanzaError(
                "bad-request", type="modify", text="The resource has characters that are not allowed.")))]
        if not request.attrs.get("id"):
            return [self._stanza(request.error(StanzaError("bad-request", text="An iq needs an 'id'.")))]
        self._request, self._full, self.state = request, full, "binding"
        return [Bind(full)]

    def _bind_again(self, request: Stanza) -> list[Action]:
        """RFC 6120 7.1: one resource a stream."""
        return [self._stanza(request.error(StanzaError(
            "not-allowed", text="This stream has its resource already.")))]

    def _session(self, request: Stanza) -> list[Action]:
        return [self._stanza(request.result())]

    def _resume(self, stanza: Stanza) -> list[Action]:
        previd, h = stanza.attrs.get("previd", ""), _count(stanza.attrs.get("h"))
        if not self.terms.has_sm:
            return [Send(xml.sm_failed("feature-not-implemented"))]
        if not previd or h is None:
            return [Send(xml.sm_failed("bad-request"))]
        self._previd, self.state = previd, "resuming"
        return [Resume(previd, h)]

    def _enable(self, stanza: Stanza) -> list[Action]:
        if not self.terms.has_sm:
            return [Send(xml.sm_failed("feature-not-implemented"))]
        if self._sm_asked:
            return [Send(xml.sm_failed("unexpected-request"))]
        self._sm_asked = True
        return [Enable(stanza.attrs.get("resume") in ("true", "1"), _count(stanza.attrs.get("max")))]

    def _sm_too_early(self, stanza: Stanza) -> list[Action]:
        return [Send(xml.sm_failed("unexpected-request"))]

    _sm_too_late = _sm_too_early


def _resource(request: Stanza) -> str:
    """The resource a bind request asks for; "" leaves it to the server (RFC 6120 7.6)."""
    for bind in request.element.elements():
        for child in bind.elements():
            if child.name == "resource" and child.uri == ns.BIND:
                return str(child).strip()
    return ""


def _count(number: str | None) -> int | None:
    """An xs:unsignedInt, None where it is none."""
    if number is None or not (number.isascii() and number.isdigit() and len(number) <= 10):
        return None
    value = int(number)
    return value if value < 2**32 else None
