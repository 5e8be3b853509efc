"""Messages between accounts: RFC 6121 5 and 8.5.

The sender's side looks at a message first, then the recipient's; hooks archive it, refuse it, copy
it.  It reaches the recipient, and is acknowledged to the sender, when everything written because of
it is on the disk: `store.then` keeps the order.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.hooks import Message
from chatd.core.jid import JID
from chatd.core.routing import route_message
from chatd.core.stanza import Stanza
from chatd.interfaces import IAccount, ISession
from chatd.xep.api import Api, Module

__all__ = ["Messages"]

#: Copies and answers to queries: of no use to another resource, or had by it already.
_NOT_REROUTED = frozenset({f"{ns.CARBONS} received", f"{ns.CARBONS} sent", f"{ns.MAM} result"})


class Messages(Module):
    """RFC 6121 5: instant messages."""

    name = "message"

    def start(self, api: Api) -> None:
        """Takes all messages."""
        super().start(api)
        self._router = api.router
        self._accounts = api.router.accounts
        self._domains = api.router.domains
        self._services = api.router.services
        self._events = api.hooks.events
        self._then = api.store.then
        api.take("message", self.from_session, self.from_elsewhere, self.undelivered)

    def from_session(self, session: ISession, stanza: Stanza, to: JID) -> Deferred[Any] | None:
        """A client sends a message; raises StanzaError."""
        message = Message(stanza, session.jid, to, session, session.account)
        for hook in self._events.get("message.sent", ()):
            hook(message)
        message.sent = message.stanza
        if to.domain not in self._domains:
            if stanza.attrs.get("type") == "groupchat" and to.domain in self._services:
                # Nothing was written for the sender; the room waits for its own archive before it speaks.
                self._services[to.domain].receive(message.stanza, to)
            else:
                self._then(self._leave, message)
            return None
        return self._enter(message)

    def from_elsewhere(self, stanza: Stanza, from_: JID, to: JID) -> Deferred[Any] | None:
        """A message of another server, or of our own making."""
        return self._enter(Message(stanza, from_, to, None))

    def _enter(self, message: Message) -> Deferred[Any] | None:
        to = message.to
        if not to.local:
            raise StanzaError("service-unavailable", text="nobody reads messages to this address")
        account = self._accounts.find(to.bare)
        if account is None:
            account = self._accounts.load(to)
            if isinstance(account, Deferred):
                return account.addCallback(self._receive, message)
        self._receive(account, message)
        return None

    def _receive(self, account: IAccount | None, message: Message) -> None:
        if account is None:
            raise StanzaError("service-unavailable")                    # RFC 6121 8.5.1
        message.account = account
        # Before the hooks: what is refused here must not stand in an archive (XEP-0313 6.1).
        sessions = route_message(message.stanza.attrs.get("type"), message.to.resource, account.sessions)
        for hook in self._events.get("message.received", ()):
            hook(message)
        if sessions is None:
            self._keep(message)
        elif sessions:
            self._then(self._deliver, message, sessions)

    def _deliver(self, error: Exception | None, message: Message, sessions: list[ISession]) -> None:
        if error is not None:
            self._router.answer(message.stanza, StanzaError("internal-server-error", text="could not be stored"))
            return
        stanza = message.stanza
        for session in sessions:
            session.deliver(stanza)
        for hook in self._events.get("message.routed", ()):
            hook(message, sessions)

    def _keep(self, message: Message) -> None:
        for hook in self._events.get("message.offline", ()):
            if hook(message):
                self._then(self._deliver, message, [])
                return
        raise StanzaError("service-unavailable")                        # RFC 6121 8.5.2.2.1

    def _leave(self, error: Exception | None, message: Message) -> None:
        try:
            if error is not None:
                raise StanzaError("internal-server-error", text="could not be stored")
            self._router.route_out(message.stanza, message.to)
        except StanzaError as refused:
            self._router.answer(message.stanza, refused)
            return
        for hook in self._events.get("message.routed", ()):
            hook(message, ())

    def undelivered(self, session: ISession, stanza: Stanza) -> None:
        """A session ended before its client acknowledged this (XEP-0198 8): others get it, or it is kept.

        Those that have carbons on had their copy already.
        """
        if stanza.type in ("error", "groupchat", "headline") or not _NOT_REROUTED.isdisjoint(stanza.children):
            return
        account = session.account
        others = [other for other in account.available() if other.priority >= 0 and other is not session]
        if others:
            if not any(other.carbons for other in others):
                self._then(self._deliver_late, others, stanza)
            return
        message = Message(stanza, JID.parse(stanza.attrs["from"]), account.jid, None, account)
        for hook in self._events.get("message.offline", ()):
            if hook(message):
                return
        raise StanzaError("recipient-unavailable")

    def _deliver_late(self, error: Exception | None, sessions: list[ISession], stanza: Stanza) -> None:
        for session in sessions:
            session.deliver(stanza)
