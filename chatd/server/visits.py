"""Visits: sessions that may go to meetings and to nothing else on this server.

A guest has no account: her address is random, of a domain of its own, and kept by a pass, so that she is the same
person after a reload. A ticket, asked for in a full session, lets the meeting page come in the name of an account
without its password. Both sign in by ANONYMOUS over WebSocket.

Nothing is open to a visit but what stands here: its stanzas never reach the router, so no module has to know that there
are visits. `Visits` is what the sessions have instead of it; `_GuestDomain` is what others meet at the addresses of
guests.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from chatd.core import ns
from chatd.core.errors import StanzaError, StreamError
from chatd.core.jid import JID, InvalidJID
from chatd.core.passes import make_pass, read_pass
from chatd.core.stamp import format_stamp
from chatd.core.stanza import STANZA_NAMES, Stanza, attribute
from chatd.interfaces import IService, IVisits
from chatd.server.session import Session

if TYPE_CHECKING:
    from chatd.core.accounts import AccountRow
    from chatd.server.router import Router
    from chatd.server.stream import ClientStream

__all__ = ["GUEST_S", "IDLE_S", "TICKET_S", "Visits"]

log = Logger()

GUEST_S: Final = 24 * 3600
"""How long a guest is the same one."""
TICKET_S: Final = 12 * 3600
IDLE_S: Final = 600.0
"""How long a visit may last that is neither in a meeting nor waits to be let in."""
_SESSIONS_MOST: Final = 8           # of one visitor
_ROOMS_MOST: Final = 8              # one session is in
_IQ_TYPES: Final = frozenset({"get", "set", "result", "error"})


@attrs.frozen
class _Place:
    """Where visits to a domain may go: `service`, a domain. accounts: the domain whose accounts may come by ticket.
    takes_guests: also those without an account. most: sessions at a time."""

    accounts: str
    service: str
    takes_guests: bool
    most: int


@attrs.define(eq=False)
class Visitor:
    """Who visits, for as long as there is a session. sources: whom their addresses stand for (`source_of`). state:
    since when which session has been idle."""

    jid: JID
    place: _Place
    is_guest: bool
    sessions: dict[str, Session] = attrs.field(factory=dict)
    sources: set[str] = attrs.field(factory=set)
    state: dict[str, Any] = attrs.field(factory=dict)

    @property
    def bare(self) -> str:
        """The bare address."""
        return self.jid.bare


@implementer(IVisits)
class Visits:
    """All visits of this daemon. `secret` is the site's; without it nobody gets in.

    domains: where people sign in to visit. sessions: by full address.
    """

    def __init__(self, router: Router) -> None:
        self._router = router
        self.clock: IReactorTime = router.clock
        self.secret = b""
        self.domains: dict[str, _Place] = {}
        self.sessions: dict[str, Session] = {}
        self._visitors: dict[tuple[str, str], Visitor] = {}

    # -- what a module asks for
    def open(self, domain: str, accounts: str, service: str, takes_guests: bool, most: int) -> Callable[[], None]:
        """See IVisits."""
        close = self._router.serve(domain, _GuestDomain(self, service))
        self.domains[domain] = _Place(accounts, service, takes_guests, most)

        def end() -> None:
            del self.domains[domain]
            close()
            for session in list(self.sessions.values()):
                if _visitor(session).place.service == service:
                    session.close(StreamError("system-shutdown", "Meetings are switched off."))

        return end

    def find(self, full: str) -> Session | None:
        """See IVisits."""
        return self.sessions.get(full)

    def of(self, bare: str) -> list[Session]:
        """See IVisits."""
        return [session for session in self.sessions.values() if session.account.bare == bare]

    def look_over(self, wanted: Container[str]) -> None:
        """See IVisits."""
        for session in list(self.sessions.values()):
            visitor = _visitor(session)
            # Not `directed`: that has every meeting the session asked to be let into.
            if session.full in wanted:
                visitor.state.pop(session.full, None)
            elif visitor.state.setdefault(session.full, self.clock.seconds()) + IDLE_S < self.clock.seconds():
                session.close(StreamError("policy-violation", "You have not been in a meeting for a while."))

    def sources(self, bare: str) -> frozenset[str]:
        """See IVisits."""
        found = [visitor.sources for (_, address), visitor in self._visitors.items() if address == bare]
        return frozenset().union(*found)

    def ticket(self, jid: JID) -> Deferred[tuple[str, int]]:
        """See IVisits."""
        return Deferred.fromCoroutine(self._ticket(jid))

    async def _ticket(self, jid: JID) -> tuple[str, int]:
        row = await self._router.store.accounts.get(jid.local, jid.domain)
        if row is None or row.disabled:
            raise StanzaError("not-allowed", text="Only accounts of this server get tickets.")
        expires = int(self._router.now()) + TICKET_S
        return make_pass(self.secret, "ticket", jid.bare, expires, _fingerprint(row)), expires

    def give(self, kind: str, subject: str, seconds: int) -> str:
        """See IVisits."""
        return make_pass(self.secret, kind, subject, int(self._router.now()) + seconds)

    def taken(self, kind: str, given: str) -> str | None:
        """See IVisits."""
        found = read_pass(given, kind)
        return found.subject if found is not None and found.is_good(self.secret, self._router.now()) else None

    # -- what the log-in asks for
    def admit(self, domain: str, given: str) -> Deferred[JID | None]:
        """Who comes to `domain` with this pass; None where it is not good. Fails with StanzaError
        resource-constraint where there are too many."""
        return Deferred.fromCoroutine(self._admit(domain, given))

    async def _admit(self, domain: str, given: str) -> JID | None:
        place = self.domains[domain]
        if sum(_visitor(session).place is place for session in self.sessions.values()) >= place.most:
            raise StanzaError("resource-constraint", "wait")
        now = self._router.now()
        ticket = read_pass(given, "ticket")
        if ticket is not None:
            return await self._by_ticket(ticket, place, now)
        if not place.takes_guests:
            return None
        guest = read_pass(given, "guest")
        if guest is None:
            return JID.of(secrets.token_hex(10), domain)
        if not guest.is_good(self.secret, now):
            return None
        jid = JID.parse(guest.subject)
        return jid if jid.domain == domain else None

    async def _by_ticket(self, ticket: Any, place: _Place, now: float) -> JID | None:
        try:
            jid = JID.parse(ticket.subject)
        except InvalidJID:
            return None
        row = await self._router.store.accounts.get(jid.local, jid.domain)
        is_good = row is not None and not row.disabled and ticket.is_good(self.secret, now, _fingerprint(row))
        return jid if is_good and jid.domain == place.accounts else None

    def begin(self, domain: str, jid: JID, stream: ClientStream) -> Session:
        """A session of this bare address on that stream; raises StanzaError. The resource is ours to choose: it
        is none that a client of the account has."""
        place = self.domains.get(domain)
        if place is None:
            raise StanzaError("not-allowed", text="Meetings are switched off.")
        visitor = self._visitors.get((domain, jid.bare))
        if visitor is None:
            visitor = Visitor(jid, place, jid.domain == domain)
            self._visitors[domain, jid.bare] = visitor
        elif len(visitor.sessions) >= _SESSIONS_MOST:
            asleep = next((session for session in visitor.sessions.values() if session.stream is None), None)
            if asleep is None:
                raise StanzaError("resource-constraint", text="Too many connections of one visitor.")
            asleep.close()
            self._visitors[domain, jid.bare] = visitor
        full = jid.with_resource(f"meet-{secrets.token_urlsafe(12)}")
        # A session sees of router and account only what these two have; that is the point.
        session = Session(full, visitor, self, stream)      # type: ignore[arg-type]
        visitor.sessions[full.resource] = session
        visitor.sources.add(stream.source)
        self.sessions[full.full] = session
        return session

    # -- what a session has of its router
    def from_session(self, session: Session, stanza: Stanza) -> Deferred[Any] | None:
        """A first-level element of a visit. Raises StreamError; what goes anywhere else is refused."""
        claimed = stanza.attrs.get("from")
        if claimed is not None and claimed not in (session.full, session.account.bare):
            raise StreamError("invalid-from", "the from address is not this session's")
        if stanza.name not in STANZA_NAMES:
            hook = self._router.hooks.elements.get(f"{stanza.ns} {stanza.name}") if stanza.ns == ns.SM else None
            if hook is None:
                raise StreamError("unsupported-stanza-type", f"<{stanza.name}/> is not known here")
            hook(session, stanza)
            return None
        stanza.attrs["from"] = session.full
        try:
            self._pass_on(session, stanza)
        except StanzaError as error:
            self._router.answer(stanza, error)
        return None

    def _pass_on(self, session: Session, stanza: Stanza) -> None:
        address = stanza.attrs.get("to")
        try:
            to = JID.parse(address) if address is not None else None
        except InvalidJID:
            del stanza.attrs["to"]
            raise StanzaError("jid-malformed") from None
        kind = stanza.attrs.get("type")
        if stanza.name == "iq" and (kind not in _IQ_TYPES or not stanza.attrs.get("id") or (
                kind in ("get", "set") and len(stanza.children) != 1)):
            raise StanzaError("bad-request", text="an iq has a type, an id and, to ask, one child")
        service = _visitor(session).place.service
        if to is None or to.domain != service:
            self._elsewhere(session, stanza, to)
            return
        stanza.attrs["to"] = to.full
        if stanza.name == "presence":
            self._remember(session, to, kind)
        if not stanza.may_be_answered and stanza.name != "presence":
            return                      # nobody asks a visit anything
        self._router.services[service].receive(stanza, to)

    def _remember(self, session: Session, to: JID, kind: str | None) -> None:
        """Which rooms must hear that the session has ended."""
        rooms = session.directed = session.directed if session.directed is not None else set()
        if kind == "unavailable":
            rooms.discard(to.bare)
        elif kind is None:
            if len(rooms) >= _ROOMS_MOST and to.bare not in rooms:
                raise StanzaError("resource-constraint", "wait", text="You are in too many meetings.")
            rooms.add(to.bare)

    def _elsewhere(self, session: Session, stanza: Stanza, to: JID | None) -> None:
        """What is not for a meeting: next to nothing."""
        if stanza.name == "presence" or not stanza.may_be_answered:
            return
        visitor = _visitor(session)
        is_ours = to is None or to.full == visitor.bare or (to.full == to.domain and to.domain in self.domains)
        asked = (stanza.attrs.get("type"), stanza.payload)
        if stanza.name == "iq" and is_ours:
            if asked in (("get", f"{ns.PING} ping"), ("set", f"{ns.SESSION} session")):
                self._router.back(stanza.result())
                return
            if asked == ("get", f"{ns.MEET} guest") and visitor.is_guest:
                self._router.back(stanza.result(self._guest(visitor)))
                return
        raise StanzaError("service-unavailable")

    def _guest(self, visitor: Visitor) -> bytes:
        expires = int(self._router.now()) + GUEST_S
        token = make_pass(self.secret, "guest", visitor.bare, expires)
        return (f'<guest xmlns="{ns.MEET}" token="{attribute(token)}" '
                f'expires="{format_stamp(expires * 1000)}"/>').encode()

    def undelivered(self, session: Session, stanza: Stanza) -> None:
        """What a visit did not get before it ended: a room's archive has what matters."""

    def session_ended(self, session: Session) -> None:
        """Called once by each session, when it is over: its rooms hear of it."""
        self.sessions.pop(session.full, None)
        visitor = _visitor(session)
        visitor.sessions.pop(session.jid.resource, None)
        visitor.state.pop(session.full, None)
        if not visitor.sessions:
            for key in [key for key, one in self._visitors.items() if one is visitor]:
                del self._visitors[key]
        service = self._router.services.get(visitor.place.service)
        for address in sorted(session.directed or ()):
            if service is not None:
                gone = Stanza("presence", {"from": session.full, "to": address, "type": "unavailable"})
                service.receive(gone, JID.parse(address))
        self._router.hooks.tell("visit.ended", session)


@implementer(IService)
class _GuestDomain:
    """What others meet at the addresses of guests: silence, unless they are the meetings' rooms."""

    def __init__(self, visits: Visits, service: str) -> None:
        self._visits = visits
        self._service = service

    def receive(self, stanza: Stanza, to: JID) -> None:
        """See IService."""
        router = self._visits._router
        if JID.parse(stanza.attrs["from"]).domain != self._service:
            if stanza.name != "presence":
                router.answer(stanza, StanzaError("service-unavailable"))
            return
        for session in self._sessions(to):
            session.deliver(stanza)

    def _sessions(self, to: JID) -> Iterable[Session]:
        if to.resource:
            found = self._visits.find(to.full)
            return [found] if found is not None else []
        return self._visits.of(to.bare)


def _visitor(session: Session) -> Visitor:
    visitor: Any = session.account
    assert isinstance(visitor, Visitor)
    return visitor


def _fingerprint(row: AccountRow) -> str:
    """Another one for another password."""
    kept = sorted((name, verifier.stored_key) for name, verifier in row.verifiers.items())
    return hashlib.sha256(repr((row.id, kept)).encode()).hexdigest()
