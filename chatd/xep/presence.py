"""Presence and its subscriptions: RFC 6121 3 and 4.

What a subscription stanza does to a roster is decided by the table in `chatd.core.subscription`; here
its outcome is carried out.  A broadcast is serialised once and addressed anew for each contact.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger

from chatd.core import ns, subscription
from chatd.core.blocking import blocks
from chatd.core.errors import StanzaError
from chatd.core.jid import JID, InvalidJID
from chatd.core.presence import parse_priority
from chatd.core.roster import RosterItem
from chatd.core.stanza import Stanza, parse_element
from chatd.core.subscription import Action
from chatd.interfaces import IAccount, ISession
from chatd.xep.api import Api, Module
from chatd.xep.roster import Roster

__all__ = ["Presence"]

log = Logger()

_PREAUTH: Final = f"{ns.PREAUTH} preauth"
_SUBSCRIPTION: Final = frozenset(subscription.TYPES)
_REQUEST_MOST: Final = 4096     # bytes of a request kept until it is answered; of a longer one the bare request
_DIRECTED_MOST: Final = 1000    # addresses remembered per session, to tell them that it is gone


class Presence(Module):
    """RFC 6121 3, 4: who may see whom, and who is there."""

    name = "presence"
    needs = ("roster",)

    def start(self, api: Api) -> None:
        """Takes all presence stanzas."""
        super().start(api)
        self._router = api.router
        self._accounts = api.router.accounts
        self._domains = api.router.domains
        self._hooks = api.hooks
        self._then = api.store.then
        roster = api.modules["roster"]
        assert isinstance(roster, Roster)
        self._roster = roster
        api.take("presence", self.from_session, self.from_elsewhere, self.undelivered)
        api.on("session.closed", self._closed)
        api.on("roster.removed", self._removed)
        api.on("account.deleted", self._deleted)

    # -- from a session of ours
    def from_session(self, session: ISession, stanza: Stanza, to: JID) -> Deferred[Any] | None:
        """A client sends presence; raises StanzaError."""
        kind = stanza.attrs.get("type")
        if kind is None or kind == "unavailable":
            if "to" not in stanza.attrs:
                self._undirected(session, stanza, kind is None)
            else:
                self._directed(session, stanza, to, kind is None)
            return None
        for hook in self._hooks.events.get("presence.out", ()):
            hook(session.account, to)
        if kind == "subscribe" and to.bare not in session.account.roster:
            for hook in self._hooks.events.get("roster.adding", ()):
                hook(session.account, to)
        if kind in _SUBSCRIPTION:
            return self._subscription_out(session.account, stanza, to, kind)
        if kind in ("probe", "error"):
            return self._pass(stanza, session.jid, to)
        raise StanzaError("bad-request", text="presence of no known type")

    def _undirected(self, session: ISession, stanza: Stanza, available: bool) -> None:
        first = session.presence is None
        if not available:
            if not first or session.directed:
                self._withdraw(session, stanza)
            return
        priority = parse_priority(stanza)
        for hook in self._hooks.events.get("presence.sent", ()):
            stanza = hook(session, stanza) or stanza
        could_receive = not first and session.priority >= 0
        session.presence, session.priority = stanza, priority
        self._then(self._broadcast, session.account, stanza)
        if first:
            self._probe_contacts(session)
            self._show_requests(session)
            self._hooks.tell("presence.initial", session)
        if priority >= 0 and not could_receive:
            self._hooks.tell("presence.available", session)

    def _withdraw(self, session: ISession, stanza: Stanza) -> None:
        """RFC 6121 4.5, 4.6: unavailable to all who saw the session available, and to nobody else."""
        was_shown, session.presence = session.presence is not None, None
        directed, session.directed = session.directed, None
        account = session.account
        if was_shown:
            self._then(self._broadcast, account, stanza)
        subscribers = account.subscribers if directed and was_shown else ()
        for address in directed or ():
            jid = JID.parse(address)
            if jid.bare not in subscribers:
                self._pass(stanza.addressed(address), session.jid, jid)

    def _directed(self, session: ISession, stanza: Stanza, to: JID, available: bool) -> None:
        """RFC 6121 4.6."""
        for hook in self._hooks.events.get("presence.out", ()):
            hook(session.account, to)
        if available:
            if session.directed is None:
                session.directed = set()
            if len(session.directed) >= _DIRECTED_MOST and to.full not in session.directed:
                raise StanzaError("resource-constraint", "wait", text="too much directed presence")
            session.directed.add(to.full)
            for hook in self._hooks.events.get("presence.directed", ()):
                stanza = hook(session, stanza) or stanza
        elif session.directed is not None:
            session.directed.discard(to.full)
        self._pass(stanza, session.jid, to)

    def _broadcast(self, error: Exception | None, account: IAccount, stanza: Stanza) -> None:
        """To the contacts that may see it and to the account's own sessions (RFC 6121 4.2.2, 4.4.2)."""
        blocked = account.blocked
        sender = JID.parse(stanza.attrs["from"])
        for bare in account.subscribers:
            if blocked and blocks(blocked, JID.parse(bare)):
                continue
            self._to_contact(stanza, sender, bare)
        copy = stanza.addressed(account.bare)
        for session in account.available():
            session.deliver(copy)

    def _to_contact(self, stanza: Stanza, sender: JID, bare: str) -> None:
        contact = self._accounts.find(bare)
        if contact is not None:
            if contact.sessions and not (contact.blocked and blocks(contact.blocked, sender)):
                copy = stanza.addressed(bare)
                for session in contact.available():
                    session.deliver(copy)
            return
        jid = JID.parse(bare)
        if jid.domain not in self._domains:
            self._out(stanza.addressed(bare), jid)

    def _probe_contacts(self, session: ISession) -> None:
        """RFC 6121 4.3: the presence of everybody this account may see, and of its own other sessions."""
        account = session.account
        for other in account.available():
            if other is not session:
                self._then(self._hand, other.presence.addressed(session.full), session)
        for item in account.roster.values():
            if not item.shows_us or (account.blocked and blocks(account.blocked, JID.parse(item.jid))):
                continue
            contact = self._accounts.find(item.jid)
            if contact is not None:
                self._answer_probe(contact, session)
                continue
            jid = JID.parse(item.jid)
            if jid.domain not in self._domains:
                self._out(Stanza("presence", {"from": account.bare, "to": item.jid, "type": "probe"}), jid)

    def _answer_probe(self, contact: IAccount, session: ISession) -> None:
        item = contact.roster.get(session.account.bare)
        if item is None or not item.may_see_us or (contact.blocked and blocks(contact.blocked, session.jid)):
            return
        for other in contact.available():
            self._then(self._hand, other.presence.addressed(session.full), session)

    def _hand(self, error: Exception | None, stanza: Stanza, session: ISession) -> None:
        session.deliver(stanza)

    def _show_requests(self, session: ISession) -> None:
        """Subscription requests that still wait for an answer (RFC 6121 3.1.3)."""
        for item in session.account.roster.values():
            if item.pending_in is not None:
                session.deliver(_request(item, session.account.bare))

    def _closed(self, session: ISession) -> None:
        if session.presence is not None or session.directed:
            self._withdraw(session, Stanza("presence", {"from": session.full, "type": "unavailable"}))

    # -- from elsewhere
    def from_elsewhere(self, stanza: Stanza, from_: JID, to: JID) -> Deferred[Any] | None:
        """Presence of another server, of another account, or made by this daemon."""
        return self._pass(stanza, from_, to)

    def _pass(self, stanza: Stanza, from_: JID, to: JID) -> Deferred[Any] | None:
        if to.domain not in self._domains:
            self._out(stanza, to)
            return None
        if not to.local:
            return None                                         # a domain of ours has no presence
        account = self._accounts.load(to)
        if isinstance(account, Deferred):
            return account.addCallback(self._receive, stanza, from_, to)
        return self._receive(account, stanza, from_, to)

    def _receive(self, account: IAccount | None, stanza: Stanza, from_: JID, to: JID) -> Deferred[Any] | None:
        kind = stanza.attrs.get("type")
        if account is None:
            if kind in ("subscribe", "probe"):                  # RFC 6121 3.1.3, 4.3.2
                self._pass_unsubscribed(to, from_)
            return None
        if from_.bare != account.bare and blocks(account.blocked, from_):
            return None                                         # XEP-0191 5: as if nobody were there
        if kind in _SUBSCRIPTION:
            return self._subscription_in(account, stanza, from_, kind or "")
        if kind in (None, "unavailable") and from_.resource and from_.domain not in self._domains:
            item = account.roster.get(from_.bare)
            if item is not None and item.subscription != "none":
                self._hooks.tell("presence.received", account, from_, stanza)
        if kind == "probe":
            self._probed(account, from_)
        elif to.resource:
            session = account.sessions.get(to.resource)         # RFC 6121 8.5.3.1, 8.5.3.2.2
            if session is not None:
                self._then(self._hand, stanza, session)
        else:
            for session in list(account.available()):           # RFC 6121 8.5.2.1.2
                self._then(self._hand, stanza, session)
        return None

    def _probed(self, account: IAccount, from_: JID) -> None:
        """RFC 6121 4.3.2."""
        item = account.roster.get(from_.bare)
        if from_.bare != account.bare and (item is None or not item.may_see_us):
            self._pass_unsubscribed(account.jid, from_)
            return
        shown = False
        for session in list(account.available()):
            self._pass(session.presence.addressed(from_.full), session.jid, from_)
            shown = True
        if not shown:
            attrs = {"from": account.bare, "to": from_.full, "type": "unavailable"}
            self._pass(Stanza("presence", attrs), account.jid, from_)

    def _pass_unsubscribed(self, from_: JID, to: JID) -> None:
        if to.domain in self._domains:
            account = self._accounts.find(to.bare)
            if account is None:
                return
        self._pass(Stanza("presence", {"from": from_.bare, "to": to.bare, "type": "unsubscribed"}), from_, to)

    # -- subscriptions
    def _subscription_out(self, account: IAccount, stanza: Stanza, to: JID, kind: str) -> Deferred[Any] | None:
        """RFC 6121 3, the sender's side: `from` and `to` become bare."""
        if to.bare == account.bare or (not to.local and to.domain in self._domains):
            raise StanzaError("not-allowed", text="no subscription to oneself or to a server")
        if account.shares(to.bare):
            # The organisation has settled it; the client, which may have shown its wish already, is told how it is.
            self._roster.push(account, to.bare)
            return None
        item = account.own.get(to.bare)
        adds = item is None and kind in ("subscribe", "subscribed")     # a pre-approval is an item too (RFC 6121 3.4)
        if adds and len(account.own) >= self.api.settings.limits.roster_items:
            raise StanzaError("resource-constraint", "wait", text="the roster is full")
        outcome = subscription.outbound(item, to.bare, kind)
        kept = self._keep(account, to.bare, outcome)
        bare = stanza.readdressed(from_=account.bare, to=to.bare)

        def act(_: Any) -> Any:
            passed = self._pass(bare, account.jid, JID.parse(to.bare)) if Action.ROUTE in outcome.actions else None
            if passed is None:
                self._show_or_hide(account, to.bare, outcome.actions)
                return None
            # The contact hears of the approval, or of its end, before it sees presence come or go.
            return passed.addBoth(self._then_show_or_hide, account, to.bare, outcome.actions)

        return kept.addCallback(act)

    def _then_show_or_hide(self, result: Any, account: IAccount, bare: str, actions: Action) -> Any:
        self._show_or_hide(account, bare, actions)
        return result

    def _subscription_in(self, account: IAccount, stanza: Stanza, from_: JID, kind: str) -> Deferred[Any] | None:
        """RFC 6121 3, the contact's side."""
        if kind == "subscribe" and _PREAUTH in stanza.children:
            for hook in self._hooks.events.get("presence.preauth", ()):
                asked: Deferred[Any] = hook(account, from_, stanza)
                return asked.addCallback(self._preauthorised, account, stanza, from_)
        return self._subscription_inward(account, stanza, from_, kind)

    def _preauthorised(self, is_good: bool, account: IAccount, stanza: Stanza, from_: JID) -> Any:
        """XEP-0379 3.4: approved beforehand, and asked in return; a token that is none is no token."""
        def ask(kind: str) -> Any:
            said = Stanza("presence", {"from": account.bare, "to": from_.bare, "type": kind})
            return self._subscription_out(account, said, JID.parse(from_.bare), kind)

        done = maybeDeferred(ask, "subscribed") if is_good else succeed(None)
        done.addCallback(lambda _: self._subscription_inward(account, stanza, from_, "subscribe"))
        return done.addCallback(lambda _: ask("subscribe")) if is_good else done

    def _subscription_inward(self, account: IAccount, stanza: Stanza, from_: JID, kind: str) -> Deferred[Any] | None:
        item = account.own.get(from_.bare)
        stanza = stanza.readdressed(from_=from_.bare, to=account.bare)
        if item is None and kind == "subscribe" and len(account.own) >= 2 * self.api.settings.limits.roster_items:
            raise StanzaError("resource-constraint", "wait", text="too many requests wait there")
        request = stanza.to_bytes()
        if len(request) > _REQUEST_MOST:
            request = Stanza("presence", dict(stanza.attrs)).to_bytes()
        outcome = subscription.inbound(item, from_.bare, kind, request)
        kept = self._keep(account, from_.bare, outcome)

        def act(_: Any) -> Any:
            actions = outcome.actions
            if Action.DELIVER in actions:
                for session in list(account.sessions.values()):
                    # Requests go to those who are available, what changes a subscription to all who know the roster.
                    if session.presence is not None if kind == "subscribe" else session.interested:
                        session.deliver(stanza)
            if Action.REPLY in actions:
                reply = Stanza("presence", {"from": account.bare, "to": from_.bare, "type": "subscribed"})
                self._pass(reply, account.jid, JID.parse(from_.bare))
            self._show_or_hide(account, from_.bare, actions)

        return kept.addCallback(act)

    def _keep(self, account: IAccount, jid: str, outcome: subscription.Outcome) -> Deferred[Any]:
        if not outcome.changed:
            return succeed(None)
        if outcome.item is None:
            return self._roster.drop(account, jid)
        result: Deferred[Any] = self._roster.store(account, outcome.item, push=Action.PUSH in outcome.actions)
        return result

    def _show_or_hide(self, account: IAccount, bare: str, actions: Action) -> None:
        if Action.SHOW in actions:
            self.show(account, bare)
            self._hooks.tell("presence.shown", account, bare)
        if Action.HIDE in actions and not account.shares(bare):
            self.hide(account, bare)

    def show(self, account: IAccount, bare: str) -> None:
        """Somebody may see this account from now on: he gets its presence."""
        self._show(account, bare, (session.presence for session in account.available()))

    def hide(self, account: IAccount, bare: str) -> None:
        """He may see it no more."""
        self._show(account, bare, (
            Stanza("presence", {"from": session.full, "type": "unavailable"}) for session in account.available()))

    def _show(self, account: IAccount, bare: str, stanzas: Iterable[Stanza]) -> None:
        to = JID.parse(bare)
        for stanza in list(stanzas):
            self._pass(stanza.addressed(bare), JID.parse(stanza.attrs["from"]), to)

    def _removed(self, account: IAccount, item: RosterItem, types: tuple[str, ...], hide: bool) -> None:
        """The client took a contact out of its roster: the contact's side follows (RFC 6121 2.5.2)."""
        Deferred.fromCoroutine(self._tell_removed(account, item.jid, types, hide)).addErrback(
            lambda failure: log.failure("{jid} is not told", failure=failure, jid=item.jid))

    def _deleted(self, account: IAccount) -> None:
        """The account is no more: its contacts' subscriptions end, as if it had removed each of them."""
        for item in account.own.values():
            types, hide = subscription.removal(item)
            self._removed(account, item, types, hide)

    async def _tell_removed(self, account: IAccount, bare: str, types: tuple[str, ...], hide: bool) -> None:
        to = JID.parse(bare)
        for kind in types:
            passed = self._pass(Stanza("presence", {"from": account.bare, "to": bare, "type": kind}), account.jid, to)
            if passed is not None:
                await passed
        if hide:
            self._show_or_hide(account, bare, Action.HIDE)

    # -- ways out
    def _out(self, stanza: Stanza, to: JID) -> None:
        """To another server, if there is a way; nobody is told where there is none, unless it was asked for."""
        try:
            self._router.route_out(stanza, to)
        except StanzaError as error:
            if stanza.attrs.get("type") in _SUBSCRIPTION:
                self._pass(stanza.error(error), to, JID.parse(stanza.attrs["from"]))

    def undelivered(self, session: ISession, stanza: Stanza) -> None:
        """Presence that a client did not get is out of date by now; requests are kept with the roster."""


def _request(item: RosterItem, to: str) -> Stanza:
    """The stored request of a contact, as it came."""
    try:
        return Stanza.from_element(parse_element(item.pending_in or b"")).readdressed(to=to)
    except (ValueError, InvalidJID):
        return Stanza("presence", {"from": item.jid, "to": to, "type": "subscribe"})
