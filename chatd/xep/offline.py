"""Offline messages, XEP-0160: kept while nobody is there, handed to the first client that is.

A kept message stays in the store until its client has acknowledged it (XEP-0198), or it was written where the
client does not do that; so a crash in between costs nothing but a second copy.  It is handed out with
the time it came (XEP-0203) and with the stanza-id it has in the archive, by which a client that reads
the archive too knows it again.

They are read from the store page by page, each when the one before has been acknowledged, or has gone out to a client
that acknowledges nothing, so that much that waits is never in memory at once.  How many wait is known in memory; where
it is not yet, the store is asked and the message taken meanwhile.
"""

from __future__ import annotations

from typing import Any, Final

import attrs
from twisted.logger import Logger

from chatd.core import ns
from chatd.core.delay import DELAY, is_delayed_by, with_delay, without_delay
from chatd.core.framing import Framer
from chatd.core.marks import BODY, CONTENT, marks_of
from chatd.core.stanza import Stanza
from chatd.core.storable import may_keep_offline
from chatd.interfaces import IAccount, ISession
from chatd.xep.api import Api, Message, Module

__all__ = ["Offline"]

#: A page goes out and is acknowledged before the next one: a session's queue of XEP-0198 is bounded.
_PAGE_ROWS: Final = 100
_PAGE_BYTES: Final = 1 << 20
_LOOK_FIRST_S: Final = 0.05     # how soon to look whether a page was acknowledged; then after twice as long,
_LOOK_LAST_S: Final = 5.0       # up to this
_STORED_MOST: Final = 1 << 30   # what is in the store has passed the limits on its way in
_STORED_DEPTH: Final = 2000

_log = Logger()


@attrs.define(eq=False)
class _Queue:
    """What is known of one account's waiting messages.

    count: how many are in the store, None while unknown; change: by how many it changed while they are counted.
    kept: how many have been put into the store so far.
    session: whom they are handed to, None for nobody.  up_to, handed, last: the id of the last one handed out, how many
    are not deleted yet, and the last of them as it was delivered.  stream: the one that takes them slowly.  has_more:
    there may be another page.  dropping: fires when what the archive has as well is out of the store.
    """

    count: int | None = None
    change: int | None = None
    kept: int = 0
    session: ISession | None = None
    has_more: bool = False
    up_to: int = 0
    handed: int = 0
    last: Stanza | None = None
    stream: Any = None
    dropping: Any = None
    look: Any = None
    look_s: float = _LOOK_FIRST_S

    def changed(self, by: int) -> None:
        """Rows were put into the store or taken out."""
        if self.count is not None:
            self.count = max(0, self.count + by)
        elif self.change is not None:
            self.change += by


class Offline(Module):
    """XEP-0160: messages wait for their recipient."""

    name = "offline"
    xep = "0160"
    version = "1.0.1"
    also = (("0203", "2.0"),)
    features = (ns.MSGOFFLINE, ns.DELAY)

    def start(self, api: Api) -> None:
        """Keeps what finds nobody, and hands it out."""
        super().start(api)
        self._store = api.store.offline
        self._handing: set[_Queue] = set()
        api.on("message.received", self._received, priority=10)
        api.on("message.offline", self._keep)
        api.on("session.bound.inline", self._bound)
        api.on("presence.available", self._available)
        api.on("session.closed", self._closed)

    def stop(self) -> None:
        """Stops handing out; what was not acknowledged stays in the store."""
        for queue in list(self._handing):
            self._rest(queue)

    def _queue(self, account: IAccount) -> _Queue:
        queue: _Queue | None = account.state.get("offline")
        if queue is None:
            queue = account.state["offline"] = _Queue()
        return queue

    # -- in
    def _received(self, message: Message) -> None:
        """Nobody but this server may say that a message waited here (XEP-0203 5)."""
        if DELAY in message.stanza.children:
            message.stanza = without_delay(message.stanza, message.to.domain)

    def _keep(self, message: Message) -> bool | None:
        account: Any = message.account
        stanza = message.stanza
        marks = marks_of(stanza.children)
        if not may_keep_offline(stanza.attrs.get("type"), marks)[0]:
            # A chat state that comes too late is nothing to tell its sender about.
            return None if marks & (BODY | CONTENT) else True
        queue = self._queue(account)
        most = self.api.settings.limits.offline_messages
        if not most or (queue.count is not None and queue.count >= most):
            return None
        stamp_ms = int(self.api.now() * 1000)
        row_id = message.received_id or self.api.store.new_id(stamp_ms)
        self._store.append(account.id, row_id, stanza.to_bytes_ns(), stamp_ms)
        queue.kept += 1
        if queue.count is None and queue.change is None:
            queue.change = 0
            self._store.count(account.id).addCallbacks(
                self._counted, self._not_counted, callbackArgs=(queue,), errbackArgs=(queue,))
        else:
            queue.changed(1)
        return True

    def _counted(self, count: int, queue: _Queue) -> None:
        queue.count, queue.change = count + (queue.change or 0), None

    def _not_counted(self, failure: Any, queue: _Queue) -> None:
        queue.change = None
        _log.failure("offline messages could not be counted", failure=failure)

    # -- out
    def _bound(self, session: ISession) -> None:
        """A client that binds by XEP-0386 reads the archive: what stands there it does not get from here.

        What is in no archive, because its owner wants none, it gets as everybody does.
        """
        queue = self._queue(session.account)
        if queue.session is not None or queue.count == 0 or queue.dropping is not None:
            return
        counts = queue.change is None
        if counts:
            queue.count, queue.change = None, 0
        queue.dropping = self._store.drop_archived(session.account.id).addCallbacks(
            self._dropped, self._not_dropped, callbackArgs=(queue, counts), errbackArgs=(queue, counts))

    def _dropped(self, left: int, queue: _Queue, counts: bool) -> None:
        queue.dropping = None
        if counts:
            self._counted(left, queue)

    def _not_dropped(self, failure: Any, queue: _Queue, counts: bool) -> None:
        queue.dropping = None
        if counts:
            queue.change = None
        _log.failure("offline messages could not be dropped", failure=failure)

    def _available(self, session: ISession) -> None:
        queue = self._queue(session.account)
        if queue.dropping is not None:
            queue.dropping.addCallback(lambda _: None if session.is_closed else self._available(session))
            return
        if queue.session is None and queue.count != 0:
            queue.session = session
            queue.up_to = 0
            self._handing.add(queue)
            self._read(queue, session)

    def _read(self, queue: _Queue, session: ISession) -> None:
        """The next page.  What was handed out is not read again, even if it could not be deleted."""
        self._store.load(session.account.id, queue.up_to, _PAGE_ROWS, _PAGE_BYTES).addCallbacks(
            self._loaded, self._not_loaded, callbackArgs=(queue, session, queue.kept), errbackArgs=(queue, session))

    def _not_loaded(self, failure: Any, queue: _Queue, session: ISession) -> None:
        if queue.session is session:
            self._rest(queue)
        _log.failure("offline messages could not be read", failure=failure)

    def _loaded(self, rows: list[tuple[int, int, bytes]], queue: _Queue, session: ISession, kept: int) -> None:
        if queue.session is not session:
            return                                          # it closed meanwhile
        queue.has_more = len(rows) >= _PAGE_ROWS or sum(len(raw) for _, _, raw in rows) >= _PAGE_BYTES
        if not queue.has_more and queue.change is None and queue.kept == kept:
            queue.count = len(rows)
        self._hand_page(rows, queue, session)

    def _hand_page(self, rows: list[tuple[int, int, bytes]], queue: _Queue, session: ISession) -> None:
        if session.presence is None or session.priority < 0:
            self._rest(queue)                               # it went away in good order; the rest waits on
            return
        framer = Framer(_STORED_MOST, _STORED_DEPTH, headless=True)
        domain = session.jid.domain
        for row_id, stamp_ms, raw in rows:
            if queue.session is not session:
                return
            queue.up_to = row_id
            queue.handed += 1
            stanza: Any = next(iter(framer.feed(raw)), None)
            if not isinstance(stanza, Stanza):
                _log.error("an offline message of {jid} is damaged and dropped", jid=session.account.bare)
                framer = Framer(_STORED_MOST, _STORED_DEPTH, headless=True)
                continue
            if not is_delayed_by(stanza, domain):
                stanza = with_delay(stanza, domain, stamp_ms)
            queue.last = stanza
            session.deliver(stanza)
        if queue.session is session:
            if session.smacks is not None and session.stream is not None:
                session.smacks.asked()
                session.stream.ask()                        # what is acknowledged soon is not kept for a second time
            queue.look_s = _LOOK_FIRST_S
            self._look(queue, session)

    def _look(self, queue: _Queue, session: Any) -> None:
        """Has the page been acknowledged, or else gone out?  Then it is deleted, and the next one follows."""
        queue.look = None
        smacks, stream = session.smacks, session.stream
        if smacks is not None:
            waits = any(stanza is queue.last for stanza in smacks.unacknowledged())
        else:
            waits = stream is not None and stream.is_congested
            queue.stream = stream
        if waits:
            queue.look = self.api.clock.callLater(queue.look_s, self._look, queue, session)
            queue.look_s = min(2 * queue.look_s, _LOOK_LAST_S)
            return
        self._delete(queue, session.account)
        if queue.has_more:
            self._read(queue, session)
        else:
            self._rest(queue)

    def _delete(self, queue: _Queue, account: IAccount) -> None:
        if queue.handed:
            self._store.delete(account.id, queue.up_to)
            queue.changed(-queue.handed)
            queue.handed = 0
            queue.last = None

    def _rest(self, queue: _Queue) -> None:
        """Nobody is being handed anything."""
        self._handing.discard(queue)
        if queue.look is not None and queue.look.active():
            queue.look.cancel()
        queue.look = queue.session = queue.stream = queue.last = None
        queue.handed = 0

    def _closed(self, session: ISession) -> None:
        """What it had not acknowledged comes back by the router and is kept anew, so the old rows go.  Of a client that
        acknowledges nothing, they stay where it did not take what it was sent."""
        queue = session.account.state.get("offline")
        if queue is None or queue.session is not session:
            return
        if session.smacks is not None or queue.stream is None or not queue.stream.is_congested:
            self._delete(queue, session.account)
        self._rest(queue)
        for other in session.account.available():
            if other is not session and other.priority >= 0:
                self._available(other)
                return
