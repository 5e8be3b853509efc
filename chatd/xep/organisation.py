"""The organisation's groups in everybody's roster: by department of the directory, or by [[domain.group]].

Members see each other's presence without having asked. What is kept of a roster is not touched: the groups are laid
over it in memory (`chatd.core.organisation`), so whoever leaves one is gone from the others' rosters at once, unless he
is a contact otherwise. A member may be given another name and groups of one's own beside; taking him out is refused.
Where a change concerns several items, only the last push tells the new version: a client that misses one asks again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs
from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Cooperator, SchedulerStopped
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatd.core.escaping import jid_of_address
from chatd.core.jid import InvalidJID
from chatd.core.organisation import Differences, Group, Organisation, Wish, version_of
from chatd.interfaces import IAccount
from chatd.xep.api import Api, Module
from chatd.xep.presence import Presence
from chatd.xep.roster import Roster

__all__ = ["OrganisationGroups"]

log = Logger()


@attrs.frozen(eq=False)
class _Change:
    """Somebody who is signed in was in the groups `before` and is in `after`."""

    account: IAccount
    before: tuple[Group, ...]
    after: tuple[Group, ...]


class OrganisationGroups(Module):
    """Shared groups, laid over the roster of RFC 6121 2."""

    name = "organisation"
    needs = ("directory", "roster", "presence")

    def start(self, api: Api) -> None:
        """Lays the groups over each roster as it is loaded, and follows the directory."""
        super().start(api)
        roster, presence = api.modules["roster"], api.modules["presence"]
        assert isinstance(roster, Roster) and isinstance(presence, Presence)
        self._roster, self._presence = roster, presence
        self._domains: dict[str, Any] = {}
        self._organisations: dict[str, Organisation] = {}
        self._untold: list[list[_Change]] = []
        api.on("account.loaded", self._loaded)
        if api.directories is None:
            return
        self._cooperator = Cooperator(scheduler=lambda work: api.clock.callLater(0, work))
        api.undo(self._cooperator.stop)
        self._domains = {domain.name: domain for domain in api.settings.domains
                         if domain.directory and (domain.groups_by_department or domain.group)}
        for name in self._domains:
            self._organisations[name] = self._made(name)
        api.undo(api.directories.watch(self._changed))
        api.on("account.created", self._account_changed, priority=-1)       # the directory hears of it before
        api.on("account.deleted", lambda account: self._account_changed(account.bare), priority=-1)
        api.command("directory groups", self._command, "the organisation's groups and how many are in them")

    def _made(self, name: str) -> Organisation:
        directories = self.api.directories
        wishes = _wishes(self._domains[name], directories.everybody(name))
        most = self.api.settings.limits.group_members
        made = Organisation(wishes, most, directories.has_account, self._organisations.get(name))
        for group, count, is_too_large in made.status():
            if is_too_large:
                log.warn("the group {group} of {domain} has {count} members and is in no roster (limits.group_members)",
                         group=group, domain=name, count=count)
        return made

    # -- what changes
    def _loaded(self, account: IAccount) -> None:
        organisation = self._organisations.get(account.jid.domain)
        groups = organisation.of(account.bare) if organisation is not None else ()
        if groups:
            account.set_groups(groups)

    def _changed(self, domain: str) -> None:
        """The people of a directory have changed."""
        if domain in self._domains:
            self._organisations[domain] = self._made(domain)
            self._follow(domain)

    def _account_changed(self, bare: str) -> None:
        domain = bare.rpartition("@")[2]
        organisation = self._organisations.get(domain)
        if organisation is not None and organisation.account_changed(bare):
            self._follow(domain)

    def _follow(self, domain: str) -> None:
        """Brings the rosters in memory up to date, all in one go; who is signed in is told of it bit by bit."""
        organisation = self._organisations[domain]
        changes: list[_Change] = []
        for account in self.api.router.accounts.known():
            if account.jid.domain != domain:
                continue
            before, after = account.groups, organisation.of(account.bare)
            if before != after:
                known = account.groups_version
                account.set_groups(after)
                if account.sessions:
                    account.groups_version = known
                    changes.append(_Change(account, before, after))
        if changes:
            self._untold.append(changes)
            if len(self._untold) == 1:
                self._cooperator.cooperate(self._tell_all()).whenDone().addErrback(self._broke)

    @staticmethod
    def _broke(failure: Failure) -> None:
        if not failure.check(SchedulerStopped):
            log.failure("changes of groups could not be told", failure=failure)

    # -- who is told.  Each step is short, so that others are served between any two of them; a large group has as many
    # pushes and presences as the square of its members who are signed in.
    def _tell_all(self) -> Iterator[Any]:
        try:
            while self._untold:
                changes, differences = self._untold[0], Differences()
                for change in changes:
                    yield from self._guarded(change, self._push(change, differences))
                for change in changes:
                    yield from self._guarded(change, self._show(change, differences))
                self._untold.pop(0)
        finally:
            self._untold.clear()

    @staticmethod
    def _guarded(change: _Change, steps: Iterator[Any]) -> Iterator[Any]:
        """What one of them cannot be told, the others are told nevertheless."""
        try:
            yield from steps
        except Exception:
            log.failure("{jid} is not told all that changed in its groups", jid=change.account.bare)

    def _push(self, change: _Change, differences: Differences) -> Iterator[None]:
        account = change.account
        changed = sorted(differences.of(account.bare, change.before, change.after))
        try:
            for jid in changed[:-1]:
                self._roster.push(account, jid)
                yield
        finally:                                        # also where a push fails: so its clients ask again
            if account.groups == change.after:          # no later change waits to be told
                account.groups_version = version_of(account.groups)
        for jid in changed[-1:]:
            self._roster.push(account, jid)
            yield

    def _show(self, change: _Change, differences: Differences) -> Iterator[Any]:
        account, find = change.account, self.api.router.accounts.find
        seen: list[str] = []
        for jid in sorted(differences.of(account.bare, change.before, change.after)):
            saw, sees = any(jid in group.members for group in change.before), account.shares(jid)
            if saw == sees:
                continue
            if sees:
                seen.append(jid)
            contact = find(jid)
            if contact is None or not contact.sessions:
                continue
            item = account.own.get(jid)
            if sees:
                self._presence.show(account, jid)
            elif item is None or not item.may_see_us:
                self._presence.hide(account, jid)
            yield
        for hook in self.api.hooks.events.get("organisation.seen", ()) if seen else ():
            yield maybeDeferred(hook, account, seen).addErrback(lambda failure: log.failure(
                "{jid} does not get all that its colleagues say", failure=failure, jid=account.bare))

    def _command(self, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [{"domain": domain, "group": name, "members": count, "problem": "too large" if is_too_large else ""}
                for domain, organisation in sorted(self._organisations.items())
                for name, count, is_too_large in organisation.status()]


def _wishes(domain: Any, everybody: Iterable[Any]) -> dict[str, Wish]:
    """Who is to be in which groups. Somebody whom no directory knows is in none."""
    named: dict[str, list[str]] = {}
    for group in domain.group:
        for address in group.members:
            try:
                jid = jid_of_address(address if "@" in address else f"{address}@{domain.name}")
            except InvalidJID:
                continue
            named.setdefault(jid.bare, []).append(group.name)
    wishes: dict[str, Wish] = {}
    for person in everybody:
        groups = list(named.get(person.jid, ()))
        groups += [group.name for group in domain.group
                   if group.everybody or (group.department and group.department == person.department)]
        if domain.groups_by_department and person.department:
            groups.append(person.department)
        if groups:
            wishes[person.jid] = Wish(person.name, tuple(dict.fromkeys(groups)))
    return wishes
