"""Accounts in memory: those somebody is signed in to, and the recently used.

An account's roster and block list are read once and then kept while it is of use, so that routing a
stanza between two people who are online asks the database nothing.  All of it is changed only
here in this process: modules change an Account and write the store in one breath.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatd.core.accounts import LoadedAccount
from chatd.core.jid import JID
from chatd.core.organisation import Contacts, Group, version_of
from chatd.core.roster import RosterItem
from chatd.interfaces import IAccount, IAccounts, ISession

__all__ = ["Account", "Accounts"]

_IDLE_KEPT: Final = 5000        # accounts without a session that stay in memory


@implementer(IAccount)
class Account:
    """One account, its sessions by resource and what was read of it.

    `state` belongs to the modules, each under its own name.
    """

    __slots__ = ("_subscribers", "bare", "blocked", "groups", "groups_version", "id", "jid", "own", "roster",
                 "roster_version", "sessions", "state")

    def __init__(self, row_id: int, jid: JID) -> None:
        self.id = row_id
        self.jid = jid
        self.bare = jid.bare
        self.sessions: dict[str, ISession] = {}
        self.own: dict[str, RosterItem] = {}
        self.groups: tuple[Group, ...] = ()
        self.groups_version = ""
        self.roster: Mapping[str, RosterItem] = self.own
        self.roster_version = 0
        self.blocked: frozenset[str] = frozenset()
        self.state: dict[str, Any] = {}
        self._subscribers: tuple[str, ...] | None = None

    def set_item(self, item: RosterItem) -> None:
        """Puts a roster item into memory; the store is the caller's business."""
        self.own[item.jid] = item
        self._subscribers = None

    def drop_item(self, jid: str) -> None:
        """Takes a roster item out of memory."""
        self.own.pop(jid, None)
        self._subscribers = None

    def set_groups(self, groups: tuple[Group, ...]) -> None:
        """The groups of the organisation it is in now."""
        self.groups = groups
        self.groups_version = version_of(groups)
        self.roster = Contacts(self.own, self.bare, groups) if groups else self.own
        self._subscribers = None

    def shares(self, jid: str) -> bool:
        """Is that person in one of the organisation's groups this account is in?"""
        return isinstance(self.roster, Contacts) and self.roster.shares(jid)

    @property
    def subscribers(self) -> tuple[str, ...]:
        """Bare addresses that may see this account's presence (subscription from or both)."""
        if self._subscribers is None:
            roster = self.roster
            self._subscribers = tuple(roster.subscribers() if isinstance(roster, Contacts) else (
                item.jid for item in roster.values() if item.may_see_us))
        return self._subscribers

    def available(self) -> list[ISession]:
        """Sessions that have sent available presence."""
        return [session for session in self.sessions.values() if session.presence is not None]


@implementer(IAccounts)
class Accounts:
    """All accounts of all domains of this process.

    `on_load` is called with each account just read, before anybody else sees it.
    """

    def __init__(self, store: Any, on_load: Callable[[Account], None]) -> None:
        self.store = store
        self.on_load = on_load
        self._known: dict[str, Account] = {}
        self._idle: OrderedDict[str, None] = OrderedDict()
        self._loading: dict[str, list[Deferred[Account | None]]] = {}

    def find(self, bare: str) -> Account | None:
        """The account, if it is in memory."""
        return self._known.get(bare)

    def online(self) -> Iterator[Account]:
        """Those with a session."""
        return (account for account in self._known.values() if account.sessions)

    def load(self, jid: JID) -> Account | Deferred[Any]:
        """The account of this bare address; a Deferred where the store must be asked, of None if there is none."""
        account = self._known.get(jid.bare)
        if account is not None:
            if jid.bare in self._idle:
                self._idle.move_to_end(jid.bare)
            return account
        waiting: Deferred[Account | None] = Deferred()
        others = self._loading.get(jid.bare)
        if others is not None:
            others.append(waiting)
            return waiting
        self._loading[jid.bare] = [waiting]
        self.store.accounts.load(jid.local, jid.domain).addCallback(self._made, jid.bare).addBoth(
            self._loaded, jid.bare)
        return waiting

    @staticmethod
    def _made(found: LoadedAccount | None, bare: str) -> Account | None:
        if found is None:
            return None
        account = Account(found.row.id, JID.parse(bare))
        account.roster_version = found.roster_version
        account.own.update({item.jid: item for item in found.roster})
        account.blocked = found.blocked
        account.state["disabled"] = found.row.disabled
        account.state["archive"] = found.archive_prefs
        account.state["avatar"] = found.photo_sha1
        return account

    def _loaded(self, result: Any, bare: str) -> None:
        if isinstance(result, Account):
            self.on_load(result)
            self._known[bare] = result
            self._rest(result)
        for waiting in self._loading.pop(bare):
            waiting.callback(result)

    def known(self) -> Iterator[Account]:
        """All that are in memory."""
        return iter(self._known.values())

    def attach(self, account: Account, session: ISession) -> None:
        """A session begins."""
        self._known[account.bare] = account
        self._idle.pop(account.bare, None)
        account.sessions[session.jid.resource] = session

    def detach(self, account: Account, session: ISession) -> None:
        """A session has ended."""
        if account.sessions.get(session.jid.resource) is session:
            del account.sessions[session.jid.resource]
            if not account.sessions:
                self._rest(account)

    def forget(self, bare: str) -> None:
        """Drops what is known of an account without sessions: it was changed in the store."""
        if bare in self._idle:
            del self._idle[bare]
            del self._known[bare]

    def _rest(self, account: Account) -> None:
        self._idle[account.bare] = None
        while len(self._idle) > _IDLE_KEPT:
            oldest, _ = self._idle.popitem(last=False)
            del self._known[oldest]
