"""The store as a whole: opened, wired, closed."""
from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from chatd.interfaces import IStore
from chatd.store.accounts import Accounts
from chatd.store.archive import Archive
from chatd.store.batch import GroupCommit, Soon
from chatd.store.blocking import Blocking
from chatd.store.checkpoint import Checkpointer
from chatd.store.database import Database
from chatd.store.engine import engine_for
from chatd.store.errors import StoreError
from chatd.store.fast import FastTokens
from chatd.store.ids import Ids
from chatd.store.invitations import Invitations
from chatd.store.last import Last
from chatd.store.late_index import LateIndex, enter_rows
from chatd.store.lazy import LazyWrites
from chatd.store.meetings import Meetings
from chatd.store.notices import Notices
from chatd.store.offline import Offline
from chatd.store.pep import Pep
from chatd.store.private import Private
from chatd.store.push import Push
from chatd.store.reports import Reports
from chatd.store.rooms import Rooms
from chatd.store.roster import Roster
from chatd.store.schema import SCHEMA_DIR, ensure
from chatd.store.session import Session
from chatd.store.uploads import Uploads
from chatd.store.vcard import VCard
from chatd.store.webmail import WebmailTokens

log = Logger()


class StoreSettings(Protocol):
    """What is read of [store] in the configuration (`chatd.settings.Store`)."""

    @property
    def url(self) -> str:
        """ "sqlite:FILE", "sqlite::memory:" or "postgresql://..."."""

    @property
    def commit_interval_ms(self) -> int:
        """How long a batch collects at most."""

    @property
    def durability(self) -> str:
        """ "full" or "normal"."""

    @property
    def pool(self) -> int:
        """Connections that read."""


def open_store(
    settings: StoreSettings, state_dir: Path, reactor: Any, schema_dir: Path = SCHEMA_DIR, soon: Soon | None = None
) -> Deferred[Store]:
    """Open the database that `settings` ([store] of the configuration) names, create or upgrade it.

    state_dir: where a relative SQLite file lives. reactor: threads, time, shutdown. schema_dir: only tests give
    another one. soon: as GroupCommit has it. Fails with StoreError (SchemaTooNew, NotOurs, StoreUnavailable), whose
    text is for the sysadmin.
    """
    return Deferred.fromCoroutine(_open(settings, state_dir, reactor, schema_dir, soon))


async def _open(
    settings: StoreSettings, state_dir: Path, reactor: Any, schema_dir: Path, soon: Soon | None
) -> Store:
    engine = engine_for(settings.url, Path(state_dir), settings.durability)
    engine.prepare()
    database = Database(engine, reactor, settings.pool)
    try:
        await database.write_alone(ensure, engine, schema_dir)
        last_id, last_seq = await database.write(_prepare_archive, engine.late_index)
        store = Store(database, reactor, settings.commit_interval_ms / 1000, last_id, last_seq, soon)
        await store.accounts.resume_deletes()
    except BaseException:
        database.close()
        raise
    return store


def _prepare_archive(session: Session, late_index: bool) -> tuple[int, int]:
    """Complete the archive's index; return the highest id and the highest row number that were given out."""
    last_seq = enter_rows(session) if late_index else 0
    found = [
        session.one(
            "SELECT max(id) FROM (SELECT (SELECT max(id) FROM archive_keys k WHERE k.account = a.id) AS id "
            "FROM (SELECT id FROM account UNION ALL SELECT -id FROM room) AS a) AS newest"
        ),
        session.one("SELECT max(id) FROM offline"),
        session.one("SELECT value FROM meta WHERE name = 'last_id'"),
    ]
    last_id = max((int(row[0]) for row in found if row is not None and row[0] is not None), default=0)
    return last_id, last_seq


def _keep_last_id(session: Session, last_id: int) -> None:
    session.run(
        "INSERT INTO meta (name, value) VALUES ('last_id', ?) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (str(last_id),),
    )


@implementer(IStore)
class Store:
    """See IStore. Made by open_store."""

    def __init__(
        self, database: Database, reactor: Any, interval_s: float, last_id: int, last_seq: int,
        soon: Soon | None = None,
    ) -> None:
        """interval_s: how long a batch collects. last_id, last_seq: the highest id and row number given before."""
        self._database = database
        self._batches = GroupCommit(database, reactor, interval_s, soon)
        self._lazily = LazyWrites(self._batches, reactor)
        self._checkpointer = Checkpointer(database, reactor) if database.engine.wants_checkpoints else None
        if self._checkpointer is not None:
            self._batches.committed = self._checkpointer.wrote
        self._ids = Ids(last_id)
        self._closing: Deferred[None] | None = None
        gone: set[int] = set()
        late_index = LateIndex(self._batches, last_seq) if database.engine.late_index else None
        self.archive = Archive(database, self._batches, gone, late_index)
        self.offline = Offline(database, self._batches, gone)
        self.accounts = Accounts(database, self._lazily, self.archive, gone)
        self.fast = FastTokens(database)
        self.invitations = Invitations(database)
        self.rooms = Rooms(database, self.archive, gone)
        self.meetings = Meetings(database)
        self.roster = Roster(database)
        self.blocking = Blocking(database)
        self.pep = Pep(database)
        self.private = Private(database)
        self.vcard = VCard(database)
        self.last = Last(database, self._lazily)
        self.webmail = WebmailTokens(database)
        self.uploads = Uploads(database)
        self.push = Push(database)
        self.reports = Reports(database)
        self.notices = Notices(database)
        # The hot path calls these often: bound once instead of looked up through self each time.
        self.new_id = self._ids.new_id
        self.then = self._batches.then

    @property
    def pending(self) -> bool:
        """See IStore."""
        return self._batches.pending

    def barrier(self) -> Deferred[None]:
        """See IStore."""
        return self._batches.barrier()

    def close(self) -> Deferred[None]:
        """See IStore."""
        if self._closing is None:
            self._closing = Deferred.fromCoroutine(self._close())
        return self._closing

    async def _close(self) -> None:
        self._lazily.flush()
        await self._batches.close()
        if self._checkpointer is not None:
            self._checkpointer.close()
        try:
            # Also waits for whatever else was asked for before.
            await self._database.write(_keep_last_id, self._ids.last)
        except StoreError as error:
            log.warn("While closing: {reason}", reason=str(error))
        finally:
            self._database.close()
