"""Message Archive Management: XEP-0313 with paging (0059), preferences (0441), stanza ids (0359), hints (0334), search
for words (0431).

Every account has one archive.  What it sends and what it receives goes in, as it was sent and received;
the recipient's copy carries the archive's id as its stanza-id, the sender's other clients see theirs on
their carbons.  Deliveries wait for the row (`store.then`), so an id that was handed out exists.

Which messages are kept is decided in `chatd.core.storable`, the language of queries is spoken in
`chatd.core.archive`.  Rooms keep archives of their own.  Somebody else's archive is answered as an
account that does not exist, so nobody learns who has one (XEP-0313 8.1 would also allow forbidden).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import deferLater

from chatd.core import ns
from chatd.core.archive import (
    FEATURES,
    FORM,
    ArchivePage,
    ArchivePrefs,
    ArchiveQuery,
    ItemNotFound,
    fin_bytes,
    metadata_bytes,
    parse_prefs,
    parse_query,
    prefs_bytes,
    result_bytes,
)
from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.marks import marks_of
from chatd.core.searching import Searches
from chatd.core.stanza import Stanza
from chatd.core.stanza_id import STANZA_ID, stanza_id, with_stanza_id, without_stanza_id
from chatd.core.storable import may_archive, prefs_allow
from chatd.interfaces import IAccount, ISession
from chatd.xep.api import Api, Message, Module, Option, Request

__all__ = ["Archive", "bounded"]

_DAY_MS: Final = 86_400_000
_EXPIRE_EVERY_S: Final = 3600.0
_ROWS_A_TURN: Final = 50        # results sent in one turn of the reactor
_PAGE_BYTES: Final = 4 << 20    # a page ends early here: a session's queue of XEP-0198 is bounded too
#: By archive.default of the configuration, for accounts that have not chosen.
_DEFAULTS: Final = {word: ArchivePrefs(word) for word in ("always", "roster", "never")}
_ALWAYS: Final = _DEFAULTS["always"]


class Archive(Module):
    """XEP-0313: the history that every client of an account can read."""

    name = "archive"
    xep = "0313"
    version = "1.1.3"
    also = (("0059", "1.0"), ("0297", "1.0"), ("0334", "1.0.0"), ("0359", "0.7.0"), ("0431", "0.2.0"),
            ("0441", "0.2.0"))
    features = (ns.MAM,)        # COMPAT(profanity 0.13): of disco it asks the domain alone
    account_features = (*FEATURES, ns.SID)
    options = (
        Option("page", int, 250, "How many messages one query may return at most.", 10, 1000),
    )

    def start(self, api: Api) -> None:
        """Hooks messages and answers queries."""
        super().start(api)
        store = api.store
        self._now = api.now
        self._new_id = store.new_id
        self._append = store.archive.append
        self._page_most = api.options["page"]
        self._searches = Searches(api.now)
        api.on("message.sent", self._sent)
        api.on("message.received", self._received)
        api.on("message.offline", self._offline, priority=-10)
        api.iq("get", f"{ns.MAM} query", lambda request: FORM)
        api.iq("set", f"{ns.MAM} query", self._query)
        api.iq("get", f"{ns.MAM} metadata", self._metadata)
        api.iq("get", f"{ns.MAM} prefs", self._get_prefs)
        api.iq("set", f"{ns.MAM} prefs", self._set_prefs)
        api.bind_info(self._metadata_within)
        api.loop(_EXPIRE_EVERY_S, self._expire)
        api.command("archive expire", self._expire_command,
                    "Deletes messages older than `days` from all archives.")

    # -- in
    def _sent(self, message: Message) -> None:
        account: Any = message.account
        stanza = message.stanza
        if STANZA_ID in stanza.children:
            stanza = message.stanza = without_stanza_id(stanza, account.bare)
        if message.to.bare != account.bare:         # what one sends to oneself is kept once, as received
            message.sent_id = self._keep(account, stanza, message.to)

    def _received(self, message: Message) -> None:
        account: Any = message.account
        stanza = message.stanza
        if STANZA_ID in stanza.children:
            stanza = message.stanza = without_stanza_id(stanza, account.bare)
        message.received_id = row_id = self._keep(account, stanza, message.from_)
        if row_id is not None:
            if message.from_.bare == account.bare:
                message.sent_id = row_id
            message.stanza = with_stanza_id(stanza, account.bare, row_id)

    def _keep(self, account: IAccount, stanza: Stanza, other: JID) -> int | None:
        """Puts a message into the archive; its id, or None where it does not belong there."""
        if not may_archive(stanza.attrs.get("type"), marks_of(stanza.children))[0]:
            return None
        prefs = self._prefs(account)
        if prefs is not _ALWAYS:
            item = account.roster.get(other.bare)
            if not prefs_allow(prefs, other.bare, other.full, item is not None and item.listed)[0]:
                return None
        stamp_ms = int(self._now() * 1000)
        row_id: int = self._new_id(stamp_ms)
        self._append(account.id, row_id, other.bare, other.resource, stanza.to_bytes_ns(), stamp_ms)
        account.state["archived"] = row_id
        return row_id

    def _offline(self, message: Message) -> bool | None:
        """What the archive has is not lost, even where offline storage is full or off."""
        if message.received_id is not None:
            return True
        account: Any = message.account
        return True if stanza_id(message.stanza, account.bare) else None

    # -- out
    @inlineCallbacks
    def _query(self, request: Request) -> Any:
        session, account = _asker(request)
        query_id, query = parse_query(request.child, self._page_most)
        try:
            with self._searches.one(account.bare) if query.words else nullcontext():
                page = yield self.api.store.archive.query(account.id, query)
        except ItemNotFound:
            raise StanzaError("item-not-found", text="The archive holds no message with that id.") from None
        page = bounded(page, query)
        attributes = {"from": account.bare, "to": session.full}
        for number, row in enumerate(page.in_order(query), 1):
            if session.is_closed:
                break
            session.deliver(Stanza("message", dict(attributes), result_bytes(row, query_id), (f"{ns.MAM} result",)))
            if not number % _ROWS_A_TURN:
                yield deferLater(self.api.clock, 0, lambda: None)
        return fin_bytes(page)

    def _metadata(self, request: Request) -> Any:
        _, account = _asker(request)
        return self.api.store.archive.metadata(account.id).addCallback(metadata_bytes)

    def _metadata_within(self, account: IAccount) -> Any:
        """For <bound/> (XEP-0386 3.2): how far the archive goes at the moment the resource is bound. What comes later
        reaches the client, what came before does not; so rows added since the store was asked count."""
        def tell(bounds: tuple[int, int, int, int] | None) -> Any:
            def now() -> bytes:
                newest: int = account.state.get("archived", 0)
                if bounds is None or bounds[2] < newest:
                    first = bounds[:2] if bounds is not None else (newest, newest >> 20)
                    return metadata_bytes((*first, newest, newest >> 20) if newest else None)
                return metadata_bytes(bounds)
            return now

        return self.api.store.archive.metadata(account.id).addCallback(tell)

    # -- preferences
    def _prefs(self, account: IAccount) -> ArchivePrefs:
        return account.state.get("archive") or _DEFAULTS[self.api.settings.archive.default]

    def _get_prefs(self, request: Request) -> Any:
        _, account = _asker(request)
        return prefs_bytes(self._prefs(account))

    def _set_prefs(self, request: Request) -> Any:
        _, account = _asker(request)
        prefs = parse_prefs(request.child)

        def kept(_: Any) -> bytes:
            account.state["archive"] = prefs
            return prefs_bytes(prefs)

        return self.api.store.archive.set_prefs(account.id, prefs).addCallback(kept)

    # -- growing old
    def _expire(self) -> Deferred[int] | None:
        days = self.api.settings.archive.retention_days
        return self._expire_older(days) if days else None

    def _expire_older(self, days: int) -> Deferred[int]:
        result: Deferred[int] = self.api.store.archive.expire(int(self._now() * 1000) - days * _DAY_MS)
        return result

    def _expire_command(self, arguments: Mapping[str, Any]) -> Any:
        """{"days": 30} -> {"deleted": 12}; ValueError for what is no number of days."""
        days = int(arguments["days"]) if "days" in arguments else self.api.settings.archive.retention_days
        if days < 1:
            raise ValueError("archive expire needs a number of days, at least 1")
        return self._expire_older(days).addCallback(lambda deleted: {"deleted": deleted})


def _asker(request: Request) -> tuple[ISession, IAccount]:
    """The session and the account that ask; forbidden for anybody but a client of the account."""
    if request.session is None or request.account is None:
        raise StanzaError("forbidden")
    return request.session, request.account


def bounded(page: ArchivePage, query: ArchiveQuery) -> ArchivePage:
    """The page without what is beyond _PAGE_BYTES, counted in the direction of paging; never without any row."""
    backward = query.before is not None
    size = kept = 0
    for row in reversed(page.rows) if backward else page.rows:
        size += len(row.stanza)
        if size > _PAGE_BYTES and kept:
            break
        kept += 1
    cut = len(page.rows) - kept
    if not cut:
        return page
    if not backward:
        return attrs.evolve(page, rows=page.rows[:kept], complete=False)
    index = None if page.index is None else page.index + cut
    return attrs.evolve(page, rows=page.rows[cut:], complete=False, index=index)
