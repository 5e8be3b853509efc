"""PEP Native Bookmarks, XEP-0402, which clients of every age share: what one keeps as an item a room, another finds in
its private storage (XEP-0049) or in the one item of XEP-0048, and the other way round.

The items of XEP-0402 are the truth. Private storage is answered from them; the item of XEP-0048 follows each
change. A list written the old way is compared with them: what differs is published, what is missing retracted, what is
the same is left alone. What was in private storage before there were items is taken over once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatd.core import ns
from chatd.core.bookmarks import Bookmark, bookmarks_of, item_xml, of_items, others_of, storage_xml
from chatd.core.errors import StanzaError
from chatd.core.pubsub import Item, Node
from chatd.core.pubsub_config import usual
from chatd.core.stanza import parse_element
from chatd.interfaces import IAccount
from chatd.xep.api import Api, Module
from chatd.xep.pep.pep import Pep

__all__ = ["Bookmarks"]

_NAME: Final = f"{ns.BOOKMARKS_OLD} storage"
_CURRENT: Final = "current"     # the item's id, as all clients have it

log = Logger()


class Bookmarks(Module):
    """XEP-0402: one set of bookmarks in three forms."""

    name = "bookmarks"
    xep = "0402"
    version = "1.2.0"
    also = (("0048", "1.2"), ("0411", "1.1.0"))
    account_features = (f"{ns.BOOKMARKS}#compat", f"{ns.BOOKMARKS}#compat-pep", "urn:xmpp:bookmarks-conversion:0")
    needs = ("pep", "private")

    def start(self, api: Api) -> None:
        """Hooks the nodes and private storage."""
        super().start(api)
        pep = api.modules["pep"]
        assert isinstance(pep, Pep)
        self._publishing = pep.publishing
        self._store = api.store.pep
        api.on("pep.loading", self._loading)
        api.on("pep.published", self._published)
        api.on("pep.retracted", lambda account, node, ids, by_us: self._changed(account, node.name))
        api.on("pep.deleted", lambda account, node: self._changed(account, node.name))
        api.on("private.read", self._private_read)
        api.on("private.written", self._private_written)

    # -- from before there were items
    def _loading(self, account: IAccount, nodes: Mapping[str, Node]) -> Any:
        return None if ns.BOOKMARKS in nodes else Deferred.fromCoroutine(self._import(account))

    async def _import(self, account: IAccount) -> list[tuple[Node, list[Item]]]:
        kept = await self.api.store.private.get(account.id, _NAME)
        found = {} if kept is None else bookmarks_of(parse_element(kept))
        if not found:
            return []
        items = [Item(room, item_xml(one), account.bare) for room, one in found.items()]
        old = [Item(_CURRENT, storage_xml(found), account.bare)]
        return [(Node(name, usual(name)), published)
                for name, published in ((ns.BOOKMARKS, items), (ns.BOOKMARKS_OLD, old))]

    # -- XEP-0049
    def _private_read(self, account: IAccount, name: str, value: bytes | None) -> Any:
        return Deferred.fromCoroutine(self._read(account, value)) if name == _NAME else None

    async def _read(self, account: IAccount, value: bytes | None) -> bytes | None:
        await self._publishing.nodes(account)               # what was there before is taken over now
        found = await self._bookmarks(account)
        others = b"" if value is None else others_of(parse_element(value))
        return storage_xml(found, others) if found or others else None

    def _private_written(self, account: IAccount, name: str, value: bytes) -> Any:
        return Deferred.fromCoroutine(self._write(account, value)) if name == _NAME else None

    async def _write(self, account: IAccount, value: bytes) -> bytes:
        storage = parse_element(value)
        await self._take(account, bookmarks_of(storage))
        return storage_xml({}, others_of(storage))

    # -- XEP-0048 and XEP-0402
    def _published(self, account: IAccount, node: Node, items: Sequence[Item], by_us: bool) -> None:
        if node.name == ns.BOOKMARKS:
            self._changed(account, node.name)
        elif node.name == ns.BOOKMARKS_OLD and items and not by_us:
            self._start(account, self._take_item(account, items[-1]))

    async def _take_item(self, account: IAccount, item: Item) -> None:
        storage = parse_element(item.payload)
        if (storage.uri, storage.name) == (ns.BOOKMARKS_OLD, "storage"):
            await self._take(account, bookmarks_of(storage))

    async def _take(self, account: IAccount, wanted: Mapping[str, Bookmark]) -> None:
        """Makes the items what a list says."""
        node = (await self._publishing.nodes(account)).get(ns.BOOKMARKS)
        if node is not None and node.config["access"] != "whitelist":
            raise StanzaError("conflict", text="Others may read the node of the bookmarks.")
        items = await self._store.items(account.id, ns.BOOKMARKS)
        payloads, there = {item.id: item.payload for item in items}, of_items(items)
        changed = [(room, item_xml(one, payloads.get(room))) for room, one in wanted.items() if there.get(room) != one]
        if changed:
            await self._publishing.publish(account, ns.BOOKMARKS, changed)
        gone = [room for room in there if room not in wanted]
        if gone and node is not None:
            await self._publishing.retract(account, node, gone, notify=True, by_us=True)

    async def _bookmarks(self, account: IAccount) -> dict[str, Bookmark]:
        return of_items(await self._store.items(account.id, ns.BOOKMARKS))

    def _changed(self, account: IAccount, name: str) -> None:
        if name == ns.BOOKMARKS:
            self._start(account, self._follow(account))

    async def _follow(self, account: IAccount) -> None:
        """The one item of XEP-0048 becomes what the items are."""
        node = (await self._publishing.nodes(account)).get(ns.BOOKMARKS_OLD)
        if node is not None and node.config["access"] != "whitelist":
            return                                          # others could read there what is nobody's business
        found = await self._bookmarks(account)
        last = await self._store.last(account.id, [ns.BOOKMARKS_OLD])
        old = parse_element(last[0][1].payload) if last else None
        if (bookmarks_of(old) if old is not None else {}) != found:
            xml = storage_xml(found, others_of(old) if old is not None else b"")
            await self._publishing.publish(account, ns.BOOKMARKS_OLD, [(_CURRENT, xml)])

    @staticmethod
    def _start(account: IAccount, work: Any) -> None:
        def failed(failure: Any) -> None:
            if failure.check(StanzaError):
                log.info("The bookmarks of {jid} stay in one form: {reason}", jid=account.bare, reason=failure.value)
            else:
                log.failure("the bookmarks of {jid} stay in one form", failure=failure, jid=account.bare)

        Deferred.fromCoroutine(work).addErrback(failed)
