"""The directories of all domains: their sources joined into one index each, made anew in a thread when one changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from chatd.core.accounts import AccountRow
from chatd.core.errors import Unavailable
from chatd.core.escaping import unescape
from chatd.core.jid import JID
from chatd.core.people import People, Person, make_person
from chatd.core.vcards import name_of
from chatd.directory.file import read_people, stamp_of
from chatd.interfaces import IDirectories
from chatd.settings import Domain

__all__ = ["Directories"]

log = Logger()

_LOOK_S: Final = 5.0
"""How often is looked whether something has changed."""


@attrs.define
class _Source:
    """One [[domain.directory]]: what it gave last, and what of it is known to have changed since."""

    read: Callable[[], list[Person]]
    stamp: Callable[[], object]
    title: str
    people: list[Person] = attrs.field(factory=list)
    seen: object = ()
    problem: str = ""


@implementer(IDirectories)
class Directories:
    """See IDirectories. store: accounts and vCards. in_thread: calls a function in a thread. clock: IReactorTime."""

    def __init__(self, domains: Iterable[Domain], store: Any, in_thread: Callable[..., Deferred[Any]],
                 clock: Any) -> None:
        self._store = store
        self._in_thread = in_thread
        self._readers = {domain.name: {domain.name, *domain.directory_readers} for domain in domains
                         if domain.directory}
        self._known: dict[str, dict[str, str]] = {name: {} for name in self._readers}
        self._changes = 0
        self._people = {name: People(()) for name in self._readers}
        self._sources = {domain.name: [self._source(domain, one) for one in domain.directory]
                         for domain in domains if domain.directory}
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def _source(self, domain: Domain, source: Any) -> _Source:
        if source.kind == "file":
            path: Path = source.path
            return _Source(lambda: read_people(path, domain.name), lambda: stamp_of(path), str(path))
        return _Source(lambda: self._own(domain.name), lambda: self._changes, "chatd's own accounts")

    def _own(self, domain: str) -> list[Person]:
        """People for the accounts there are; named by their vCards."""
        found = (make_person({"address": f"{unescape(jid.rpartition('@')[0])}@{domain}", "name": name}, domain)
                 for jid, name in list(self._known[domain].items()))
        return [person for person in found if person is not None]

    # -- life
    async def start(self) -> None:
        """Reads all for the first time; a source that cannot be read is logged and tried again."""
        rows = [row for domain in self._readers for row in await self._store.accounts.list(domain)]
        for row in rows:
            self._known[row.domain][row.jid] = ""
        await self._look()
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

    def _look(self) -> Deferred[None]:
        return ensureDeferred(self._look_over())

    async def _look_over(self) -> None:
        for domain, sources in self._sources.items():
            try:
                changed = [await self._read(domain, source) for source in sources]
                if any(changed):
                    people = [person for source in sources for person in source.people]
                    self._people[domain] = await self._in_thread(People, people)
            except Exception:
                log.failure("the directory of {domain} could not be read", domain=domain)

    async def _read(self, domain: str, source: _Source) -> bool:
        """Has it changed, and was it read? What cannot be read now stays as it was."""
        stamp = source.stamp()
        if stamp == source.seen:
            return False
        source.seen = stamp
        try:
            source.people = await self._in_thread(source.read)
        except Unavailable as error:
            source.problem = str(error)
            log.error("the directory of {domain} stays as it was: {problem}", domain=domain, problem=error)
            return False
        source.problem = ""
        log.info("{count} people of {domain} in {title}", count=len(source.people), domain=domain, title=source.title)
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

    def account_deleted(self, jid: str) -> None:
        """See IDirectories."""
        known = self._known.get(jid.rpartition("@")[2], {})
        if known.pop(jid, None) is not None:
            self._changes += 1

    def status(self) -> list[dict[str, Any]]:
        """See IDirectories."""
        return [{"domain": domain, "from": source.title, "people": len(source.people), "problem": source.problem}
                for domain, sources in self._sources.items() for source in sources]
