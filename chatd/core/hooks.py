"""Who listens to what: the tables between the router and the features.

Events, with what their hooks get and may return
    session.bound(session)                      a resource is bound, nothing received yet
    session.bound.inline(session)               ... while it logged in (XEP-0386); the client knows
    session.resumed(session)                    a stream took a session up again (XEP-0198)
    session.active(session)                     its client is being looked at again (XEP-0352)
    session.closed(session)                     gone for good; its presence has been withdrawn
    visit.ended(session)                        a visit (chatd.server.visits) is over; it has left its rooms
    presence.initial(session)                   first available presence of a session (RFC 6121 4.2)
    presence.sent(session, stanza)              undirected presence, before it is broadcast; may return another
    presence.directed(session, stanza)          available presence for one address; may return another
    presence.received(account, from, stanza)    presence of a contact on another server
    presence.out(account, to)                   presence for one address, of any type; may raise
    iq.out(account, to)                         an iq leaves a session; may raise
    presence.preauth(account, from, stanza)     somebody asks with a token (XEP-0379): Deferred, is it good?
    presence.available(session)                 priority is not negative now, and was or there was none
    presence.shown(account, jid)                a contact may from now on see the account (RFC 6121 3.1)
    message.sent(message)                       a message leaves an account; may raise or change `message`
    message.received(message)                   a message reaches an account; may raise or change it
    message.routed(message, sessions)           delivered to these; who else wants a copy? (0280)
    message.offline(message)                    nobody is there; a hook that keeps it returns True
    organisation.seen(account, jids)            it may see these colleagues from now on; a Deferred is waited for
    blocking.reported(account, jid, report)     somebody was blocked, with a report (0377), an element
    roster.adding(account, jid)                 a contact is about to be added by its owner; may raise
    roster.removed(account, item, types, hide)  a contact is out of the roster; stanzas owed to it
    iq.answered(stanza, from, to)               a result or error for an account or domain of ours
    disco.info(request, node) -> features       strings; a falsy node is the entity itself; None: no such node
    disco.identity(request, node) -> identity   (category, type, name) of a node, or None
    disco.forms(request, node) -> forms         what is said besides (0128): values by field by FORM_TYPE, or None
    disco.items(request, node) -> items         (jid, name, node) triples, likewise
    disco.node(request, kind, node) -> answer   see chatd.xep.disco
    adhoc.commands() -> commands                see chatd.xep.adhoc
    account.loaded(account)                     its state was read from the store
    account.created(jid)                        there is a new one, of this bare address (str)
    account.imported(jid)                       likewise, told right before: it was taken over from elsewhere (0227)
    account.deleted(account)                    it is no more
    account.disabled(jid, is_disabled)          the account may log in no more, or again
    vcard.none(reader, jid) -> vCard            an account has none; bytes for this reader in its place, or None
    server.stopping()                           streams are about to end; what is sent now still reaches clients
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import attrs
from twisted.logger import Logger
from twisted.words.xish import domish

from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.stanza import Stanza

if TYPE_CHECKING:
    from chatd.interfaces import IAccount, ISession

__all__ = ["ANSWERED", "Hooks", "Message", "Request"]

_log = Logger()


class _Answered:
    """What an iq hook returns when it sends the answer itself."""


ANSWERED: Final = _Answered()


@attrs.define
class Request:
    """An iq get or set that a module is to answer.

    `account` is whose address it was sent to: of an account target, its owner; of a domain target,
    the asking local account or None.  `session` is the asking local session, None for a remote one.
    """

    stanza: Stanza
    from_: JID
    to: JID
    session: ISession | None
    account: IAccount | None

    @property
    def child(self) -> domish.Element:
        """The payload, parsed; raises StanzaError bad-request where there is not exactly one."""
        if len(self.stanza.children) != 1:
            raise StanzaError("bad-request", text="an iq has exactly one child")
        return next(self.stanza.element.elements())

    @property
    def is_own(self) -> bool:
        """The account asks about itself."""
        return self.from_.bare == self.to.bare


@attrs.define
class Message:
    """A message on its way from one address to another.

    `account` is whose side is being looked at: the sender's in message.sent, the recipient's in
    message.received.  `session` is the sending local session, or None.  `sent_id` and `received_id`
    are the ids this message has in the sender's and in the recipient's archive, None where it is not
    archived; `stanza` is changed by hooks as it goes (the recipient's carries a stanza-id).  `sent`
    keeps the stanza as the sender's own side may see it.
    """

    stanza: Stanza
    from_: JID
    to: JID
    session: ISession | None
    account: IAccount | None = None
    sent_id: int | None = None
    received_id: int | None = None
    sent: Stanza | None = None


IqHook = Callable[[Request], Any]
BindHook = Callable[["ISession", Stanza], bytes | None]
BindInfo = Callable[["IAccount"], Any]


class Hooks:
    """Who listens to what: filled by the Apis, read by the router."""

    def __init__(self) -> None:
        self.iqs: dict[tuple[str, str, str], tuple[IqHook, bool]] = {}
        self.events: dict[str, tuple[Callable[..., Any], ...]] = {}
        self.elements: dict[str, Callable[[ISession, Stanza], None]] = {}
        self.stream_features: tuple[Callable[[str], bytes], ...] = ()
        self.bind_features: dict[str, BindHook] = {}
        self.bind_vars: tuple[str, ...] = ()
        self.bind_info: tuple[BindInfo, ...] = ()
        self._order: dict[str, list[tuple[int, int, Callable[..., Any]]]] = {}
        self._count = 0

    def on(self, event: str, hook: Callable[..., Any], priority: int) -> None:
        """Adds a hook; among equal priorities the first registered goes first, higher ones go earlier."""
        self._count += 1
        order = self._order.setdefault(event, [])
        order.append((-priority, self._count, hook))
        self._settle(event)

    def off(self, event: str, hook: Callable[..., Any]) -> None:
        """Removes a hook."""
        self._order[event] = [entry for entry in self._order[event] if entry[2] != hook]
        self._settle(event)

    def _settle(self, event: str) -> None:
        self.events[event] = tuple(hook for _, _, hook in sorted(self._order[event], key=lambda e: e[:2]))

    def tell(self, event: str, *arguments: Any) -> None:
        """Calls every hook of an event whose answers do not matter; one that fails does not stop the others."""
        for hook in self.events.get(event, ()):
            try:
                hook(*arguments)
            except Exception:
                _log.failure("hook of {event} failed", event=event)
