"""Client State Indication, XEP-0352: a client nobody looks at is left in peace.

While a client says that it is inactive, presence and chat states wait: of each sender the last one.  They go out,
in the order they would have had, when the client is active again, and before anything that cannot
wait, since its radio is awake then anyway.  A new or resumed stream begins active (section 5.2).
"""

from __future__ import annotations

from typing import Any, Final

from chatd.core import ns
from chatd.core.marks import BODY, CONTENT, COPY, INVITE, MUC_USER, STATE, STORE, marks_of
from chatd.core.stanza import Stanza
from chatd.xep.api import Api, Module, Option

__all__ = ["ClientState"]

_MATTERS: Final = BODY | CONTENT | STORE | INVITE | MUC_USER
_FORWARDED: Final = ((ns.CARBONS, "sent"), (ns.CARBONS, "received"))
_OF_NO_MATTER: Final = (None, "unavailable")


class ClientState(Module):
    """XEP-0352: `session.hold` while a client is inactive."""

    name = "csi"
    xep = "0352"
    version = "1.0.0"
    options = (
        Option("hold", bool, True, "Whether presence and chat states wait for an inactive client."),
        Option("held", int, 500, "From how many held stanzas on they are sent all the same.", 1, 100_000),
    )

    def start(self, api: Api) -> None:
        """Offers it in the stream features and takes the two elements."""
        super().start(api)
        self._holds = api.options["hold"]
        self._most = api.options["held"]
        api.stream_feature(lambda domain: f'<csi xmlns="{ns.CSI}"/>'.encode())
        api.element(f"{ns.CSI} active", lambda session, element: self._active(session))
        api.element(f"{ns.CSI} inactive", lambda session, element: self._inactive(session))
        api.bind_feature(ns.CSI, active=lambda session, element: self._active(session),
                         inactive=lambda session, element: self._inactive(session))
        api.on("session.resumed", self._active)

    def stop(self) -> None:
        """Nobody is inactive any more."""
        for account in self.api.router.accounts.online():
            for session in account.sessions.values():
                self._active(session)

    def _inactive(self, session: Any) -> None:
        session.inactive = True
        if self._holds and session.hold is None:
            if session.state is None:
                session.state = {}
            session.state["csi"] = {}
            session.hold = self._hold

    def _active(self, session: Any) -> None:
        if session.inactive:
            session.inactive = False
            self.api.hooks.tell("session.active", session)
        if session.hold is not None:
            session.hold = None
            for stanza in session.state.pop("csi").values():
                session.deliver(stanza)

    def _hold(self, session: Any, stanza: Stanza) -> bool:
        """True: kept.  Otherwise whatever was kept has gone out before it."""
        held: dict[tuple[str, str], Stanza] = session.state["csi"]
        if _may_wait(stanza):
            key = (stanza.name, stanza.attrs.get("from", ""))
            held.pop(key, None)                 # at the end, where the newer one belongs
            held[key] = stanza
            if len(held) < self._most:
                return True
            self._flush(session, held)
            return True
        if held:
            self._flush(session, held)
            if session.is_closed:               # a full queue (0198) has ended it in the middle
                session.router.undelivered(session, stanza)
                return True
        return False

    def _flush(self, session: Any, held: dict[tuple[str, str], Stanza]) -> None:
        session.state["csi"] = {}
        session.hold = None
        for stanza in held.values():
            session.deliver(stanza)
        if not session.is_closed:
            session.hold = self._hold


def _may_wait(stanza: Stanza) -> bool:
    """Presence that is no subscription and no error; messages that carry chat states only, also as carbons."""
    if stanza.name == "presence":
        return stanza.attrs.get("type") in _OF_NO_MATTER
    if stanza.name != "message" or stanza.attrs.get("type") == "error":
        return False
    marks = marks_of(stanza.children)
    if marks & COPY:
        return _is_idle_copy(stanza)
    return bool(marks & STATE) and not marks & _MATTERS


def _is_idle_copy(stanza: Stanza) -> bool:
    """A carbon of a chat state; looked into only where it speaks of one and has no body."""
    if ns.CHAT_STATES.encode() not in stanza.inner or b"<body" in stanza.inner:
        return False
    for namespace, name in _FORWARDED:
        for copy in stanza.element.elements(namespace, name):
            for forwarded in copy.elements(ns.FORWARD, "forwarded"):
                for message in forwarded.elements(ns.CLIENT, "message"):
                    marks = marks_of(f"{child.uri} {child.name}" for child in message.elements())
                    return bool(marks & STATE) and not marks & _MATTERS
    return False
