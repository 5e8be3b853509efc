"""The router: every stanza passes here, to an account, a domain, or somewhere else.

Addresses are checked, `from` is stamped, and what no module answers gets the standard's error
(RFC 6120 8.2, 10).  Messages and presence have a module each (RFC 6121), registered by `take`; iqs
are found by one dictionary look-up.  Domains that are not accounts' (components, wokkel services
in this process, other servers) hang on wokkel's router.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import chatd.compat  # noqa: F401  (before wokkel)

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from wokkel.component import Router as ComponentRouter
from zope.interface import implementer

from chatd.core.blocking import blocks
from chatd.core.errors import StanzaError, StreamError
from chatd.core.hooks import ANSWERED, Hooks, Request
from chatd.core.jid import JID, InvalidJID
from chatd.core.stanza import STANZA_NAMES, Stanza
from chatd.interfaces import IRemote, IRouter, IService
from chatd.server.accounts import Account, Accounts
from chatd.server.session import Session
from chatd.server.visits import Visits

__all__ = ["Router"]

log = Logger()

_IQ_TYPES: Final = frozenset({"get", "set", "result", "error"})

#: From a session of ours: (session, stanza, to).  From elsewhere: (stanza, from, to).
FromSession = Callable[[Session, Stanza, JID], Deferred[Any] | None]
FromElsewhere = Callable[[Stanza, JID, JID], Deferred[Any] | None]


@implementer(IRouter)
class Router:
    """Routes for all domains of this process.  `clock` and `now` are the reactor's and the wall's."""

    def __init__(self, domains: Iterable[str], store: Any, clock: IReactorTime, now: Callable[[], float]) -> None:
        self.domains = frozenset(domains)
        self.store = store
        self.clock = clock
        self.now = now
        self.hooks = Hooks()
        self.accounts = Accounts(store, lambda account: self.hooks.tell("account.loaded", account))
        self.components = ComponentRouter()
        self.services: dict[str, IService] = {}
        self.visits = Visits(self)
        self.remote: IRemote | None = None
        self._kinds: dict[str, tuple[FromSession, FromElsewhere]] = {"iq": (self._own_iq, self._iq)}
        self._undelivered: dict[str, Callable[[Session, Stanza], None]] = {"iq": self._undelivered_iq}

    def take(self, name: str, from_session: FromSession, from_elsewhere: FromElsewhere,
             undelivered: Callable[[Session, Stanza], None]) -> None:
        """Gives the stanzas of this name to a module."""
        self._kinds[name] = (from_session, from_elsewhere)
        self._undelivered[name] = undelivered

    def serve(self, domain: str, service: IService) -> Callable[[], None]:
        """All stanzas to `domain`, which has no accounts, go to `service`; gives what ends that.  ValueError: taken."""
        if domain in self.domains or domain in self.services:
            raise ValueError(f"{domain} is served already")
        self.services[domain] = service

        def end() -> None:
            del self.services[domain]

        return end

    # -- in
    def from_session(self, session: Session, stanza: Stanza) -> Deferred[Any] | None:
        """A first-level element of a client.  Raises StreamError; a refused stanza is answered."""
        attrs = stanza.attrs
        claimed = attrs.get("from")
        if claimed is not None and claimed != session.full and not self._is_own(session, claimed):
            raise StreamError("invalid-from", "the from address is not this session's")   # RFC 6120 8.1.2.1
        kind = self._kinds.get(stanza.name) if stanza.name in STANZA_NAMES else None
        if kind is None:
            self._element(session, stanza)
            return None
        attrs["from"] = session.full
        address = attrs.get("to")
        if address is None:
            to = session.account.jid
        else:
            try:
                to = JID.parse(address)
            except InvalidJID:
                del attrs["to"]
                self.answer(stanza, StanzaError("jid-malformed"))
                return None
            attrs["to"] = to.full
        try:
            result = kind[0](session, stanza, to)
        except StanzaError as error:
            self.answer(stanza, error)
            return None
        if result is not None:
            result.addErrback(self._refused, stanza)
        return result

    def route(self, stanza: Stanza, from_: JID | None = None, to: JID | None = None) -> Deferred[Any] | None:
        """A stanza of the daemon's own, or from another server, with `from` and `to`."""
        try:
            from_ = from_ or JID.parse(stanza.attrs["from"])
            to = to or JID.parse(stanza.attrs["to"])
            if to.domain not in self.domains:
                self.route_out(stanza, to)
                return None
            result = self._kinds[stanza.name][1](stanza, from_, to)
        except StanzaError as error:
            self.answer(stanza, error)
            return None
        except (KeyError, InvalidJID):
            log.error("not routed: {stanza!r}", stanza=stanza)
            return None
        if result is not None:
            result.addErrback(self._refused, stanza)
        return result

    def route_out(self, stanza: Stanza, to: JID) -> None:
        """To a domain that is not ours; raises StanzaError where nobody serves it."""
        service = self.services.get(to.domain)
        if service is not None:
            service.receive(stanza, to)
            return
        xmlstream = self.components.routes.get(to.domain)
        if xmlstream is not None:
            xmlstream.send(stanza.element)
        elif self.remote is not None:
            self.remote.send(stanza, to)
        else:
            raise StanzaError("remote-server-not-found", text=f"{to.domain} cannot be reached from here")

    def _is_own(self, session: Session, claimed: str) -> bool:
        try:
            return JID.parse(claimed).full in (session.full, session.account.bare)
        except InvalidJID:
            return False

    def _element(self, session: Session, element: Stanza) -> None:
        hook = self.hooks.elements.get(f"{element.ns} {element.name}")
        if hook is None:
            raise StreamError("unsupported-stanza-type", f"<{element.name}/> is not known here")
        hook(session, element)

    # -- answers
    def answer(self, stanza: Stanza, error: StanzaError) -> None:
        """The stanza's error answer, to whom it came from; never to an error or a result (RFC 6120 8.3.1)."""
        if stanza.may_be_answered and "from" in stanza.attrs:
            self.back(stanza.error(error))

    def back(self, stanza: Stanza) -> None:
        """Delivers an answer: straight to a session of ours, or by its address.

        It waits for what was written to the store before it, as every delivery does, so that
        nothing overtakes.
        """
        self.store.then(self._back, stanza)

    def _back(self, error: Exception | None, stanza: Stanza) -> None:
        to = JID.parse(stanza.attrs["to"])
        account = self.accounts.find(to.bare)
        session = account.sessions.get(to.resource) if account is not None else None
        if session is None:
            session = self.visits.find(to.full)
        if session is not None:
            session.deliver(stanza)
        elif to.domain not in self.domains:
            try:
                self.route_out(stanza, to)
            except StanzaError:
                log.debug("no way back for {stanza!r}", stanza=stanza)

    def _refused(self, failure: Any, stanza: Stanza) -> None:
        """A handler's Deferred failed: refusals are answered, anything else is our fault and logged once."""
        if failure.check(StanzaError):
            self.answer(stanza, failure.value)
        elif failure.check(StreamError):
            return failure      # type: ignore[no-any-return]
        else:
            log.failure("{stanza!r}", failure=failure, stanza=stanza)
            self.answer(stanza, StanzaError("internal-server-error"))
        return None

    def undelivered(self, session: Session, stanza: Stanza) -> None:
        """A session ended before its client had this."""
        try:
            self._undelivered[stanza.name](session, stanza)
        except StanzaError as error:
            self.answer(stanza, error)

    def _undelivered_iq(self, session: Session, stanza: Stanza) -> None:
        if stanza.type in ("get", "set"):
            raise StanzaError("service-unavailable")

    # -- iq, RFC 6120 8.2.3 and RFC 6121 8.5
    def _own_iq(self, session: Session, stanza: Stanza, to: JID) -> Deferred[Any] | None:
        self._check_iq(stanza)
        for hook in self.hooks.events.get("iq.out", ()):
            hook(session.account, to)
        if to.domain not in self.domains:
            self.store.then(self._out_after_store, stanza, to)
            return None
        return self._iq_to(stanza, session.jid, to, session)

    def _out_after_store(self, error: Exception | None, stanza: Stanza, to: JID) -> None:
        try:
            self.route_out(stanza, to)
        except StanzaError as refused:
            self.answer(stanza, refused)

    def _iq(self, stanza: Stanza, from_: JID, to: JID) -> Deferred[Any] | None:
        self._check_iq(stanza)
        return self._iq_to(stanza, from_, to, None)

    def _check_iq(self, stanza: Stanza) -> None:
        kind = stanza.attrs.get("type")
        if kind not in _IQ_TYPES or not stanza.attrs.get("id") or (
                kind in ("get", "set") and len(stanza.children) != 1):
            raise StanzaError("bad-request", text="an iq has a type, an id and, to ask, one child")

    def _iq_to(self, stanza: Stanza, from_: JID, to: JID, session: Session | None) -> Deferred[Any] | None:
        if to.resource and to.local:
            self._iq_to_session(stanza, from_, to, session)
            return None
        kind = stanza.attrs["type"]
        if kind in ("result", "error"):
            self.hooks.tell("iq.answered", stanza, from_, to)
            return None
        found = self.hooks.iqs.get(("account" if to.local else "domain", kind, stanza.payload))
        if found is None:
            raise StanzaError("service-unavailable")
        hook, own = found
        is_own = from_.bare == to.bare
        if to.local and own and not is_own:
            raise StanzaError("service-unavailable")
        if not to.local or (is_own and session is not None):
            return self._ask(hook, Request(stanza, from_, to, session, session.account if session else None))
        account = self.accounts.load(to)
        if not isinstance(account, Deferred):
            return self._ask_account(account, hook, Request(stanza, from_, to, session, None))
        return account.addCallback(self._ask_account, hook, Request(stanza, from_, to, session, None))

    def _ask_account(self, account: Account | None, hook: Callable[[Request], Any],
                     request: Request) -> Deferred[Any] | None:
        if account is None or _is_blocked(account, request.from_):
            raise StanzaError("service-unavailable")
        request.account = account
        return self._ask(hook, request)

    def _ask(self, hook: Callable[[Request], Any], request: Request) -> Deferred[Any] | None:
        try:
            result = hook(request)
        except (StanzaError, StreamError):
            raise
        except Exception:
            log.failure("{stanza!r}", stanza=request.stanza)
            raise StanzaError("internal-server-error") from None
        if isinstance(result, Deferred):
            return result.addCallback(self._answered, request)
        self._answered(result, request)
        return None

    def _answered(self, result: Any, request: Request) -> None:
        if result is ANSWERED:
            return
        stanza = request.stanza
        if isinstance(result, Stanza):
            self.back(result)
        else:
            self.back(stanza.result(result or b""))

    def _iq_to_session(self, stanza: Stanza, from_: JID, to: JID, sender: Session | None) -> None:
        account = self.accounts.find(to.bare)
        session = account.sessions.get(to.resource) if account is not None else None
        if session is None or account is None or _is_blocked(account, from_):
            raise StanzaError("service-unavailable")        # RFC 6121 8.5.3.2.3
        found = self.hooks.iqs.get(("resource", stanza.attrs["type"], stanza.payload))
        if found is not None:
            found[0](Request(stanza, from_, to, sender, account))
        self.store.then(self._deliver, session, stanza)

    def _deliver(self, error: Exception | None, session: Session, stanza: Stanza) -> None:
        session.deliver(stanza)

    # -- sessions
    def session_ended(self, session: Session) -> None:
        """Called once by each session, when it is over."""
        self.hooks.tell("session.closed", session)
        self.accounts.detach(session.account, session)


def _is_blocked(account: Account, from_: JID) -> bool:
    """Does the account not want to hear of this address (XEP-0191)?  Of itself it always does."""
    return bool(account.blocked) and from_.bare != account.bare and blocks(account.blocked, from_)
