"""The seams of the house: what the rooms know of each other, and no more.

Attributes and methods are documented here once; the classes that implement them say only how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twisted.internet.defer import Deferred

    from chatd.core.errors import StanzaError, StreamError
    from chatd.core.jid import JID
    from chatd.core.roster import RosterItem
    from chatd.core.stanza import Stanza

# mypy: disable-error-code="empty-body,misc"


class IClientStream(Interface):
    """A client's stream over TCP, WebSocket or BOSH: what a session needs of it."""

    session = Attribute("The ISession bound to it, or None.")

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
    roster = Attribute("RosterItem by bare address; items not `listed` only keep a pending subscription.")
    roster_version = Attribute("Of the last change, an int.")
    blocked = Attribute("Frozen set of blocked addresses (XEP-0191).")
    subscribers = Attribute("Bare addresses that may see its presence.")
    state = Attribute("A dictionary for modules; each uses its own name as key.")

    def set_item(item: RosterItem) -> None:
        """Puts a roster item into memory."""

    def drop_item(jid: str) -> None:
        """Takes one out."""

    def available() -> list[ISession]:
        """Sessions that have sent available presence."""


class IAccounts(Interface):
    """Who is connected where: one dictionary now, several processes later."""

    def find(bare: str) -> IAccount | None:
        """The account, if it is in memory; whoever is online is."""

    def load(jid: JID) -> IAccount | Deferred[IAccount | None] | None:
        """The account, if need be from the store."""

    def online() -> Iterator[IAccount]:
        """Accounts with a session."""


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

    def route_out(stanza: Stanza, to: JID) -> None:
        """To a domain that is not ours; raises StanzaError remote-server-not-found."""

    def route(stanza: Stanza, from_: JID | None = None, to: JID | None = None) -> Deferred[None] | None:
        """Takes a stanza with `from` and `to` to whom it is for; answers where it cannot be."""

    def answer(stanza: Stanza, error: StanzaError) -> None:
        """Sends a stanza's error answer, unless the stanza must not be answered."""

    def back(stanza: Stanza) -> None:
        """Delivers an answer to whom it is for, after everything written so far is in the store."""
