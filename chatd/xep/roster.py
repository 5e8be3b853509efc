"""The roster: RFC 6121 2, with versioning (2.6) and the offers of its stream features."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks

from chatd.core import ns, subscription
from chatd.core.errors import StanzaError
from chatd.core.hooks import ANSWERED, Request
from chatd.core.jid import JID
from chatd.core.organisation import version_of
from chatd.core.roster import (
    RosterChange,
    RosterItem,
    apply_change,
    parse_roster_set,
    parse_version,
    query_bytes,
    version_text,
)
from chatd.core.stanza import Stanza
from chatd.interfaces import IAccount
from chatd.xep.api import Api, Module

__all__ = ["Roster"]


class Roster(Module):
    """RFC 6121 2: get, set, remove, push; every change is in the store before anybody hears of it."""

    name = "roster"

    def start(self, api: Api) -> None:
        """Answers roster iqs and offers versioning and pre-approval."""
        super().start(api)
        self._pushes = 0
        self._limit = api.settings.limits.roster_items
        payload = f"{ns.ROSTER} query"
        api.iq("get", payload, self._get)
        api.iq("set", payload, self._set)
        api.stream_feature(lambda domain: f'<ver xmlns="{ns.ROSTERVER}"/><sub xmlns="{ns.PREAPPROVAL}"/>'.encode())

    # -- the client's iqs
    def _get(self, request: Request) -> Any:
        account, session = request.account, request.session
        if session is None or account is None:
            raise StanzaError("forbidden")
        session.interested = True
        version = parse_version(request.child)
        known = version_of(account.groups)      # from now on, whatever is still to be pushed
        if version and version != (0, "") and version == (account.roster_version, known):
            return b""                                      # RFC 6121 2.6.3: nothing has changed
        if version and version[0] and version[1] == known:
            return self.api.store.roster.changes_since(account.id, version[0]).addCallback(
                self._changes, request, account)
        return query_bytes(account.roster.values(), None if version is None else _version(account, known))

    def _changes(self, changes: Iterable[RosterItem | str] | None, request: Request, account: IAccount) -> Any:
        if changes is None:
            return query_bytes(account.roster.values(), _version(account, version_of(account.groups)))
        self.api.router.back(request.stanza.result())
        for change in changes:
            jid = change if isinstance(change, str) else change.jid
            item = account.roster.get(jid, change)
            if isinstance(item, str) or item.listed:
                self._push_to([request.session], item, _version(account, version_of(account.groups)))
        return ANSWERED

    def _set(self, request: Request) -> Any:
        account = request.account
        if account is None or request.session is None:
            raise StanzaError("forbidden")
        change = parse_roster_set(request.child, account.bare)
        item = account.own.get(change.jid)
        if change.remove:
            if account.shares(change.jid) and (item is None or not item.listed):
                group = account.roster[change.jid].groups[0]
                raise StanzaError("not-allowed", text=f"Everybody in {group} has this contact.")
            if item is None or not item.listed:
                raise StanzaError("item-not-found")         # RFC 6121 2.5.3
            return self._remove(account, item)
        if item is None and len(account.own) >= self._limit:
            raise StanzaError("resource-constraint", "wait", text=f"a roster holds {self._limit} contacts")
        if item is None or not item.listed:
            for hook in self.api.hooks.events.get("roster.adding", ()):
                hook(account, JID.parse(change.jid))
        if account.shares(change.jid):
            return self.store(account, self._noted(account, item, change))
        return self.store(account, apply_change(item, change))

    def _noted(self, account: IAccount, item: RosterItem | None, change: RosterChange) -> RosterItem:
        """What a person calls somebody of an organisation's group, and own groups beside it: kept as an item that is
        not listed, unless he is a contact otherwise, so that it goes with the organisation's group."""
        shared = {group.name for group in account.groups if change.jid in group.members}
        own = tuple(group for group in change.groups if group not in shared)
        if item is not None:
            return attrs.evolve(item, name=change.name, groups=own)
        return RosterItem(change.jid, change.name, groups=own, listed=False)

    @inlineCallbacks
    def _remove(self, account: IAccount, item: RosterItem) -> Any:
        """RFC 6121 2.5.2: out of the roster, and the subscriptions in both directions end."""
        types, hide = subscription.removal(item)
        account.drop_item(item.jid)
        account.roster_version = yield self.api.store.roster.remove(account.id, item.jid)
        self.api.hooks.tell("roster.removed", account, item, types, hide)
        self.push(account, item.jid)
        return b""

    # -- for the other modules
    @inlineCallbacks
    def store(self, account: IAccount, item: RosterItem, push: bool = True) -> Any:
        """Keeps an item: in memory at once, in the store, then pushed to the interested resources."""
        account.set_item(item)
        version = yield self.api.store.roster.save(account.id, item)
        account.roster_version = max(account.roster_version, version)
        if push and (item.listed or account.shares(item.jid)):
            self.push(account, item.jid)
        return b""

    def push(self, account: IAccount, jid: str) -> None:
        """Tells the interested resources how somebody stands in the roster now."""
        item = account.roster.get(jid)
        shown = item if item is not None and item.listed else jid
        self._push_to(self._interested(account), shown, _version(account, account.groups_version))

    def drop(self, account: IAccount, jid: str) -> Deferred[Any]:
        """Takes an item away that no client ever saw."""
        account.drop_item(jid)

        def removed(version: int) -> None:
            account.roster_version = max(account.roster_version, version)

        return self.api.store.roster.remove(account.id, jid).addCallback(removed)

    def _interested(self, account: IAccount) -> list[Any]:
        return [session for session in account.sessions.values() if session.interested]

    def _push_to(self, sessions: Iterable[Any], item: RosterItem | str, version: str) -> None:
        query = query_bytes([item], version)
        for session in sessions:
            self._pushes += 1
            attributes = {"type": "set", "id": f"push-{self._pushes}", "to": session.full}
            session.deliver(Stanza("iq", attributes, query, (f"{ns.ROSTER} query",)))


def _version(account: IAccount, groups: str) -> str:
    return version_text(account.roster_version, groups)
