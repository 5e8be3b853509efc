"""The directories of all domains: their sources joined into one index each, made anew in a thread when one changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from operator import eq
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from chatd.core.accounts import AccountRow
from chatd.core.errors import Unavailable
from chatd.core.escaping import unescape
from chatd.core.jid import JID
from chatd.core.people import People, Person, make_person
from chatd.core.vcards import name_of
from chatd.directory.file import read_people, stamp_of
from chatd.directory.sql import database_of, read_sql
from chatd.interfaces import IDirectories
from chatd.outside.tls import Server, reason_of
from chatd.settings import Domain
from chatd.settings.people import DirectorySource

__all__ = ["Directories"]

log = Logger()

_LOOK_S: Final = 5.0
"""How often is looked whether something has changed."""
_AGAIN_S: Final = 60.0
"""After so long a server that could not be asked is asked again."""


@attrs.define
class _Source:
    """One [[domain.directory]]: what it gave last, and when it is to be read again.

    stamp: what changes when the source does, of those that can be looked at for nothing; others are read again after
    refresh_s, and after a failure sooner.
    """

    read: Callable[[], Awaitable[list[Person]]]
    title: str
    stamp: Callable[[], object] = lambda: None
    refresh_s: float = 0
    people: list[Person] = attrs.field(factory=list)
    seen: object = ()
    due: float = 0
    is_busy: bool = False
    problem: str = ""

    def is_due(self, now: float) -> bool:
        """Is it to be read?"""
        return not self.is_busy and (now >= self.due if self.refresh_s else self.stamp() != self.seen)


@implementer(IDirectories)
class Directories:
    """See IDirectories. store: accounts and vCards. in_thread: calls a function in a thread. reactor: keeps time, and
    connects to servers."""

    def __init__(self, domains: Iterable[Domain], store: Any, in_thread: Callable[..., Deferred[Any]],
                 reactor: Any) -> None:
        self._store = store
        self._in_thread = in_thread
        self._reactor = reactor
        self._watchers: list[Callable[[str], object]] = []
        self._made: dict[str, int] = {}
        self._readers = {domain.name: {domain.name, *domain.directory_readers} for domain in domains
                         if domain.directory}
        readers = frozenset[str]().union(*self._readers.values())
        self._known: dict[str, dict[str, str]] = {name: {} for name in readers}
        self._disabled: set[str] = set()
        self._changes = 0
        self._people = {name: People(()) for name in self._readers}
        self._sources = {domain.name: [self._source(domain, one) for one in domain.directory]
                         for domain in domains if domain.directory}
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor

    def _source(self, domain: Domain, source: DirectorySource) -> _Source:
        name = domain.name
        if source.kind == "file" and source.path is not None:
            path: Path = source.path
            return _Source(lambda: self._in_thread(read_people, path, name), str(path), lambda: stamp_of(path))
        if source.kind == "ldap":
            from chatd.directory.ldap import read_ldap  # only who has an LDAP server needs ldaptor

            return _Source(lambda: read_ldap(source, name, self._reactor),
                           str(Server.of(source.url, source.plain, source.ca)), refresh_s=source.refresh_s)
        if source.kind == "sql":
            return _Source(lambda: self._in_thread(read_sql, source, name), str(database_of(source)),
                           refresh_s=source.refresh_s)
        return _Source(lambda: self._in_thread(self._own, name), "chatd's own accounts", lambda: self._changes)

    def _own(self, domain: str) -> list[Person]:
        """People for the accounts there are; named by their vCards."""
        found = (make_person({"address": f"{unescape(jid.rpartition('@')[0])}@{domain}", "name": name}, domain)
                 for jid, name in list(self._known[domain].items()))
        return [person for person in found if person is not None]

    # -- life
    async def start(self) -> None:
        """Reads all for the first time; a source that cannot be read is logged and tried again. Servers are not waited
        for."""
        rows = [row for domain in self._known for row in await self._store.accounts.list(domain)]
        for row in rows:
            self._known[row.domain][row.jid] = ""
            self.account_disabled(row.jid, row.disabled)
        await self._look(is_waiting=True)
        self._looking.start(_LOOK_S, now=False)
        ensureDeferred(self._name(rows)).addErrback(lambda failure: log.failure("names could not be read", failure))

    async def _name(self, rows: list[AccountRow]) -> None:
        """The names that people gave themselves, one after the other: nobody waits for them."""
        for row in rows:
            vcard = await self._store.vcard.get(row.id)
            if vcard is not None and self.has_account(row.jid):
                self.account_changed(row.jid, name_of(vcard))

    def stop(self) -> None:
        """Looks for changes no more."""
        if self._looking.running:
            self._looking.stop()

    def _look(self, is_waiting: bool = False) -> Deferred[None]:
        """Reads what is to be read. is_waiting: fires when that is done, servers excepted; otherwise at once."""
        now = self._reactor.seconds()
        waiting = []
        for domain, sources in self._sources.items():
            due = [source for source in sources if source.is_due(now)]
            for some in ([one for one in due if not one.refresh_s], *([one] for one in due if one.refresh_s)):
                if some:
                    done = ensureDeferred(self._read_all(domain, some))
                    if not some[0].refresh_s:
                        waiting.append(done)
        return ensureDeferred(_all(waiting if is_waiting else []))

    async def _read_all(self, domain: str, sources: list[_Source]) -> None:
        try:
            changed = [await self._read(domain, source) for source in sources]
            if any(changed):
                await self._join(domain)
        except Exception:
            log.failure("the directory of {domain} could not be read", domain=domain)

    async def _join(self, domain: str) -> None:
        """Makes the index anew; of several at a time the last counts."""
        self._made[domain] = number = self._made.get(domain, 0) + 1
        people = [person for source in self._sources[domain] for person in source.people]
        made = await self._in_thread(People, people)
        if number == self._made[domain]:
            self._people[domain] = made
            for watcher in self._watchers:
                watcher(domain)

    async def _read(self, domain: str, source: _Source) -> bool:
        """Has it changed, and was it read? What cannot be read now stays as it was."""
        source.seen, source.is_busy = source.stamp(), True
        source.due = self._reactor.seconds() + min(source.refresh_s, _AGAIN_S)
        try:
            people = await source.read()
        except Exception as error:
            if not source.refresh_s and not isinstance(error, Unavailable):
                raise
            source.problem = reason_of(Failure())
            log.error("the directory of {domain} stays as it was: {title}: {problem}", domain=domain,
                      title=source.title, problem=source.problem)
            return False
        finally:
            source.is_busy = False
        source.problem = ""
        source.due = self._reactor.seconds() + source.refresh_s
        if await self._in_thread(eq, people, source.people):
            return False
        source.people = people
        log.info("{count} people of {domain} in {title}", count=len(people), domain=domain, title=source.title)
        return True

    # -- IDirectories
    def may_search(self, reader: JID, domain: str) -> bool:
        """See IDirectories."""
        return reader.domain in self._readers.get(domain, ())

    def search(self, domain: str, typed: str, most: int) -> tuple[list[Person], bool]:
        """See IDirectories."""
        people = self._people.get(domain)
        return people.search(typed, most) if people is not None else ([], False)

    def find(self, jid: JID) -> Person | None:
        """See IDirectories."""
        people = self._people.get(jid.domain)
        return people.find(jid) if people is not None else None

    def has_account(self, jid: str) -> bool:
        """See IDirectories."""
        return jid in self._known.get(jid.rpartition("@")[2], ())

    def account_changed(self, jid: str, name: str = "") -> None:
        """See IDirectories."""
        known = self._known.get(jid.rpartition("@")[2])
        if known is not None and known.get(jid) != name:
            known[jid] = name
            self._changes += 1

    def may_ask(self, jid: str) -> bool:
        """See IDirectories."""
        return self.has_account(jid) and jid not in self._disabled

    def account_disabled(self, jid: str, is_disabled: bool) -> None:
        """See IDirectories."""
        (self._disabled.add if is_disabled else self._disabled.discard)(jid)

    def account_deleted(self, jid: str) -> None:
        """See IDirectories."""
        self._disabled.discard(jid)
        known = self._known.get(jid.rpartition("@")[2], {})
        if known.pop(jid, None) is not None:
            self._changes += 1

    def everybody(self, domain: str) -> Iterable[Person]:
        """See IDirectories."""
        people = self._people.get(domain)
        return people.by_jid.values() if people is not None else ()

    def watch(self, hook: Callable[[str], object]) -> Callable[[], None]:
        """See IDirectories."""
        self._watchers.append(hook)
        return lambda: self._watchers.remove(hook)

    def status(self) -> list[dict[str, Any]]:
        """See IDirectories."""
        return [{"domain": domain, "from": source.title, "people": len(source.people), "problem": source.problem}
                for domain, sources in self._sources.items() for source in sources]


async def _all(waiting: list[Deferred[None]]) -> None:
    for one in waiting:
        await one
