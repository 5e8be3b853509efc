"""Streams, sessions, accounts that are connected, and the router between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator

    from twisted.internet.defer import Deferred

    from chatd.core.errors import StanzaError, StreamError
    from chatd.core.jid import JID
    from chatd.core.organisation import Group
    from chatd.core.roster import RosterItem
    from chatd.core.stanza import Stanza

# mypy: disable-error-code="empty-body,misc"


class IClientStream(Interface):
    """A client's stream over TCP, WebSocket or BOSH: what a session needs of it."""

    session = Attribute("The ISession bound to it, or None.")
    address = Attribute("The client's IP address, as text.")
    is_congested = Attribute("It takes less than it is sent.")

    def send_stanza(stanza: Stanza) -> None:
        """Sends a stanza."""

    def send(xml: bytes) -> None:
        """Sends one first-level element that declares its own namespace."""

    def ask() -> None:
        """Asks for an acknowledgement (XEP-0198 <r/>)."""

    def close(error: StreamError | None = None) -> None:
        """Tells the error, if any, and closes the stream."""

    def pause() -> None:
        """Stops reading until `resume`."""

    def resume() -> None:
        """Reads again."""


class ISession(Interface):
    """One bound resource, wherever its stream ends.  See `chatd.server.session.Session`."""

    jid = Attribute("Its full JID.")
    full = Attribute("The same as str.")
    account = Attribute("Its IAccount.")
    smacks = Attribute("Its chatd.core.smacks.StreamManagement, or None.")
    hold = Attribute("A callable (session, stanza) -> bool that may keep a stanza back (XEP-0352), or None.")
    unseen = Attribute("A callable (session, stanza) told of what comes while the client sleeps (XEP-0357), or None.")
    stream = Attribute("Its IClientStream, or None while the stream is cut (XEP-0198).")
    presence = Attribute("The last available presence as Stanza, or None.")
    priority = Attribute("Priority of that presence, -128..127.")
    carbons = Attribute("Message carbons are on (XEP-0280).")
    inactive = Attribute("The client has said that nobody is looking (XEP-0352).")
    interested = Attribute("Has asked for the roster (RFC 6121 2.1.6).")
    directed = Attribute("Addresses that got directed presence: a set, or None.")
    state = Attribute("A dictionary for modules, or None; each uses its own name as key.")
    is_closed = Attribute("Is over for good.")

    def deliver(stanza: Stanza) -> None:
        """Sends a stanza to the client, or queues it until the stream is back."""

    def close(error: StreamError | None = None) -> None:
        """Ends the session and its stream."""


class IAccount(Interface):
    """An account in memory.  See `chatd.server.accounts.Account`."""

    id = Attribute("Its number in the store.")
    jid = Attribute("Its bare JID.")
    bare = Attribute("The same as str.")
    sessions = Attribute("ISession by resource.")
    own = Attribute("What is kept of its roster: RosterItem by bare address; items not `listed` only keep something.")
    roster = Attribute("The same with the people of the organisation's groups in it; to look into, never to change.")
    groups = Attribute("The organisation's groups it is in: a tuple of chatd.core.organisation.Group.")
    groups_version = Attribute("Of the groups as its clients know them, a text; older while they are being told.")
    roster_version = Attribute("Of the last change, an int.")
    blocked = Attribute("Frozen set of blocked addresses (XEP-0191).")
    subscribers = Attribute("Bare addresses that may see its presence.")
    state = Attribute("A dictionary for modules; each uses its own name as key.")

    def set_item(item: RosterItem) -> None:
        """Puts a roster item into memory."""

    def drop_item(jid: str) -> None:
        """Takes one out."""

    def set_groups(groups: tuple[Group, ...]) -> None:
        """It is in these groups of the organisation now."""

    def shares(jid: str) -> bool:
        """Is that person in one of them, too?"""

    def available() -> list[ISession]:
        """Sessions that have sent available presence."""


class IAccounts(Interface):
    """Who is connected where: one dictionary now, several processes later."""

    def find(bare: str) -> IAccount | None:
        """The account, if it is in memory; whoever is online is."""

    def load(jid: JID) -> IAccount | Deferred[Any]:
        """The account, if need be from the store."""

    def online() -> Iterator[IAccount]:
        """Accounts with a session."""

    def known() -> Iterator[IAccount]:
        """All accounts in memory."""


class IService(Interface):
    """What lives on a domain that has no accounts, such as rooms."""

    def receive(stanza: Stanza, to: JID) -> None:
        """A stanza to this domain, with a `from` that can be relied on; answers by itself, raises nothing."""


class IRemote(Interface):
    """The way to other servers."""

    def send(stanza: Stanza, to: JID) -> None:
        """To a domain that is not served here, now or as soon as it is connected; raises StanzaError where it may not
        go there, or there is no way. What comes to nothing later is answered to who sent it."""


class IVisits(Interface):
    """Sessions that may go to meetings and nothing else: guests, and accounts by ticket. See chatd.server.visits."""

    def open(domain: str, accounts: str, service: str, takes_guests: bool, most: int) -> Callable[[], None]:
        """Lets people sign in at `domain` (ANONYMOUS over WebSocket) and reach the domain `service`: accounts of the
        domain `accounts` by ticket and, if it takes guests, everybody. most: sessions at a time. Gives what ends
        that."""

    def find(full: str) -> ISession | None:
        """The session of a visit, by its full address."""

    def of(bare: str) -> Iterable[ISession]:
        """All visits of this visitor."""

    def look_over(wanted: Container[str]) -> None:
        """To be called now and then: ends visits that are idle for long. wanted: the full addresses of those that are
        not, because they are in a meeting or wait to be let in."""

    def sources(bare: str) -> frozenset[str]:
        """The network addresses a visitor comes from, in the form in which they are counted."""

    def ticket(jid: JID) -> Deferred[tuple[str, int]]:
        """A ticket for an account, and when it expires (seconds since 1970). Fails: StanzaError not-allowed."""

    def give(kind: str, subject: str, seconds: int) -> str:
        """A pass of another kind (chatd.core.passes), good for so long."""

    def taken(kind: str, given: str) -> str | None:
        """The subject of such a pass, None where it is not good."""


class IRouter(Interface):
    """Takes stanzas to where they are addressed."""

    accounts = Attribute("The IAccounts.")
    domains = Attribute("Frozen set of the domains served.")

    hooks = Attribute("The chatd.core.hooks.Hooks.")

    def take(name: str, from_session: Callable[[ISession, Stanza, JID], Deferred[None] | None],
             from_elsewhere: Callable[[Stanza, JID, JID], Deferred[None] | None],
             undelivered: Callable[[ISession, Stanza], None]) -> None:
        """Gives all stanzas of this name to a module: from a session of ours (session, stanza, to), from
        elsewhere (stanza, from, to), and what a session could not deliver any more (session, stanza)."""

    services = Attribute("IService by the domain it serves.")

    visits = Attribute("The IVisits.")

    remote = Attribute("The IRemote, None where there are no other servers.")

    def serve(domain: str, service: IService) -> Callable[[], None]:
        """Gives all stanzas to a domain without accounts to a service; gives what takes that back."""

    def route_out(stanza: Stanza, to: JID) -> None:
        """To a domain that is not ours; raises StanzaError remote-server-not-found."""

    def route(stanza: Stanza, from_: JID | None = None, to: JID | None = None) -> Deferred[None] | None:
        """Takes a stanza with `from` and `to` to whom it is for; answers where it cannot be."""

    def answer(stanza: Stanza, error: StanzaError) -> None:
        """Sends a stanza's error answer, unless the stanza must not be answered."""

    def back(stanza: Stanza) -> None:
        """Delivers an answer to whom it is for, after everything written so far is in the store."""
