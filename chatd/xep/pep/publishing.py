"""What can be done with an account's nodes, for its clients, for others, and for the other modules of the server.

An account's nodes are read once and stay in memory with it, so that whether somebody may do something is answered
without the store; the items stay in the store. A change is in the store before anybody hears of it.

Other modules hook in by these events; `by_us` is true where a module of the server has published
    pep.loading(account, nodes) -> Deferred of [(node, items)] or None      nodes to begin with; the Nodes there are
    pep.published(account, node, items, by_us)
    pep.retracted(account, node, ids, by_us)        items are gone, also all of them at once
    pep.deleted(account, node)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from secrets import token_hex
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger

from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.pubsub import ID_MOST, Item, Node, Reader, TooMuch, may_publish, may_read
from chatd.core.pubsub_config import complete, differing, unmet, usual
from chatd.core.pubsub_errors import refusal
from chatd.core.pubsub_xml import items_xml, retracted_xml
from chatd.core.stanza import attribute
from chatd.interfaces import IAccount
from chatd.xep.api import Api
from chatd.xep.caps.clients import ClientCaps
from chatd.xep.pep.notifying import Notifying

__all__ = ["Publishing"]

_PEOPLE_MOST: Final = 500       # affiliations, and subscriptions, of a node

log = Logger()


@attrs.define(eq=False)
class _Founding:
    """What may bring a new node into the store: how many are at it, and whether one of them did."""

    under_way: int = 0
    is_done: bool = False


class Publishing:
    """The verbs of XEP-0060. Those that are refused raise StanzaError, as the specification has it."""

    def __init__(self, api: Api, clients: ClientCaps) -> None:
        self.api = api
        self.most_items: int = api.options["items"]
        self.most_item_bytes: int = api.options["item_bytes"]
        self._most_nodes: int = api.options["nodes"]
        self._most_bytes: int = api.options["account_bytes"]
        self._store = api.store.pep
        self._foundings: dict[int, _Founding] = {}      # by id() of the Node
        self.notifying = Notifying(self, clients)

    # -- nodes
    def nodes(self, account: IAccount) -> Deferred[dict[str, Node]]:
        """The nodes of an account by name."""
        known: Any = account.state.get("pep")
        if isinstance(known, dict):
            return succeed(known)
        waiting: Deferred[dict[str, Node]] = Deferred()
        if known is not None:
            known.append(waiting)
            return waiting
        account.state["pep"] = known = [waiting]
        Deferred.fromCoroutine(self._load(account)).addBoth(self._loaded, account, known)
        return waiting

    async def _load(self, account: IAccount) -> dict[str, Node]:
        nodes = {node.name: node for node in await self._store.nodes(account.id)}
        for hook in self.api.hooks.events.get("pep.loading", ()):
            for node, items in await maybeDeferred(hook, account, nodes) or ():
                await self._store.publish(account.id, node, items, self._kept(node), self._most_bytes)
                nodes[node.name] = node
        return nodes

    @staticmethod
    def _loaded(result: Any, account: IAccount, waiting: list[Deferred[Any]]) -> None:
        if isinstance(result, dict):
            account.state["pep"] = result
        else:
            del account.state["pep"]
        for one in waiting:
            one.callback(result)

    def reader(self, account: IAccount, jid: JID) -> Reader:
        """Somebody, as this account sees him."""
        if jid.bare == account.bare:
            return Reader(jid.bare, is_owner=True, sees_presence=True)
        item = account.roster.get(jid.bare)
        if item is None:
            return Reader(jid.bare, is_owner=False)
        return Reader(jid.bare, False, item.may_see_us, item.groups)

    async def node(self, account: IAccount, name: str, reader: Reader) -> Node:
        """A node that this reader may know of.

        Strangers are not told what there is, nor whether there is an account at all (see docs/decisions.md), unless
        the node is for everybody, or they may ask to be let in, or have a standing of their own.
        """
        node = (await self.nodes(account)).get(name)
        if reader.is_owner or reader.sees_presence:
            if node is None:
                raise StanzaError("item-not-found", text="There is no such node.")
            return node
        if node is None or not (node.config["access"] in ("open", "authorize") or reader.bare in node.affiliations):
            raise StanzaError("service-unavailable")
        return node

    async def create(self, account: IAccount, name: str, config: Mapping[str, Any]) -> Node:
        """Makes a node; config: complete. Raises conflict where there is one."""
        nodes = await self.nodes(account)
        if name in nodes:
            raise StanzaError("conflict", text="There is a node of this name.")
        node = self._new(nodes, name, config)
        with self._founding(nodes, node, is_new=True):
            await self._store.save(account.id, node, self._kept(node))
        return node

    @contextmanager
    def _founding(self, nodes: dict[str, Node], node: Node, is_new: bool) -> Iterator[bool]:
        """Around what writes a node, and says whether it may be the first to do so.

        A new node is in memory at once, so that nobody makes another of its name; it goes from there if nobody who was
        at it meanwhile could write it.
        """
        founding = self._foundings.setdefault(id(node), _Founding()) if is_new else self._foundings.get(id(node))
        if founding is None:
            yield False
            return
        founding.under_way += 1
        try:
            yield True
            founding.is_done = True
        finally:
            founding.under_way -= 1
            if not founding.under_way:
                del self._foundings[id(node)]
                if not founding.is_done and nodes.get(node.name) is node:
                    del nodes[node.name]

    def _new(self, nodes: dict[str, Node], name: str, config: Mapping[str, Any]) -> Node:
        if not name or len(name.encode()) > ID_MOST:
            raise StanzaError("bad-request", text=f"The name of a node has 1 to {ID_MOST} bytes.")
        if len(nodes) >= self._most_nodes:
            raise StanzaError("resource-constraint", "wait",
                              text=f"An account has at most {self._most_nodes} nodes (modules.pep.nodes).")
        node = nodes[name] = Node(name, differing(config))
        return node

    async def configure(self, account: IAccount, node: Node, config: Mapping[str, Any]) -> None:
        """Gives a node other settings; tells, where they say so."""
        node = await self._change(account, attrs.evolve(node, settings=differing(config)))
        if node.config["notify_config"] and node.config["notify"]:
            self.notifying.tell(account, node, f'<configuration node="{attribute(node.name)}"/>'.encode())

    async def _change(self, account: IAccount, node: Node) -> Node:
        nodes = await self.nodes(account)
        if node.name not in nodes:
            raise StanzaError("item-not-found", text="There is no such node any more.")
        nodes[node.name] = node
        await self._store.save(account.id, node, self._kept(node))
        return node

    async def delete(self, account: IAccount, node: Node) -> None:
        """Deletes a node with its items."""
        (await self.nodes(account)).pop(node.name, None)
        await self._store.delete(account.id, node.name)
        if node.config["notify_delete"] and node.config["notify"]:
            self.notifying.tell(account, node, f'<delete node="{attribute(node.name)}"/>'.encode())
        self.api.hooks.tell("pep.deleted", account, node)

    def _kept(self, node: Node) -> int:
        """Items a node keeps."""
        if not node.config["persist"]:
            return 0
        return min(node.config["max_items"] or self.most_items, self.most_items)

    # -- items
    async def publish(self, account: IAccount, name: str, items: Sequence[tuple[str, bytes]], by: JID | None = None,
                      options: Mapping[str, Any] | None = None) -> list[str]:
        """Publishes items (id, "" for one of our choosing; payload); gives their ids. by: None for the server itself.

        A node that is not there is made, for its owner, with `options` (XEP-0060 7.1.5) beside what is usual; one
        that is there has to meet them. The server's own publishing minds neither options nor who may.
        """
        nodes = await self.nodes(account)
        reader = self.reader(account, by or account.jid)
        node = nodes.get(name)
        is_new = node is None
        if node is None:
            if not reader.is_owner:
                node = await self.node(account, name, reader)
            else:
                node = self._new(nodes, name, complete({**usual(name), **(options or {})}))
        elif by is not None:
            await self.node(account, name, reader)
            self._check(node, reader, options)
        published = [Item(id_ or token_hex(12), payload, reader.bare) for id_, payload in items]
        with self._founding(nodes, node, is_new) as is_first:
            await self._keep(account, node, published, is_first)
        if node.config["notify"]:
            self.notifying.tell(account, node, items_xml(name, published, account.bare, node.config["payloads"]))
        self.api.hooks.tell("pep.published", account, node, published, by is None)
        return [item.id for item in published]

    def _check(self, node: Node, reader: Reader, options: Mapping[str, Any] | None) -> None:
        if not may_publish(node, reader):
            raise StanzaError("forbidden", text="Only its publishers may publish here.")
        wrong = unmet(options or {}, node.config, self.most_items)
        if wrong:
            raise refusal("conflict", "precondition-not-met", text=f"The node has another {wrong}.")

    async def _keep(self, account: IAccount, node: Node, items: Sequence[Item], is_new: bool) -> None:
        most = min(self.most_item_bytes, node.config["max_bytes"])
        if any(len(item.payload) > most for item in items):
            raise refusal("not-acceptable", "payload-too-big", text=f"An item has at most {most} bytes.")
        kept = self._kept(node)
        if not kept or not items:
            if is_new:
                await self._store.save(account.id, node, kept)
            return
        try:
            await self._store.publish(account.id, node, items, kept, self._most_bytes)
        except TooMuch:
            raise refusal("resource-constraint", text=f"An account publishes at most {self._most_bytes} bytes "
                                                      "(modules.pep.account_bytes).", kind="wait") from None

    async def retract(self, account: IAccount, node: Node, ids: Sequence[str], notify: bool = False,
                      by_us: bool = False) -> list[str]:
        """Deletes items; gives the ids of those that were there. notify: tell even where the node's settings do not."""
        gone: list[str] = await self._store.retract(account.id, node.name, ids)
        if gone and node.config["notify"] and (notify or node.config["notify_retract"]):
            self.notifying.tell(account, node, retracted_xml(node.name, gone))
        if gone:
            self.api.hooks.tell("pep.retracted", account, node, gone, by_us)
        return gone

    async def purge(self, account: IAccount, node: Node) -> None:
        """Deletes all items of a node."""
        gone = await self._store.ids(account.id, node.name)
        await self._store.purge(account.id, node.name)
        if node.config["notify"] and node.config["notify_retract"]:
            self.notifying.tell(account, node, f'<purge node="{attribute(node.name)}"/>'.encode())
        self.api.hooks.tell("pep.retracted", account, node, gone, False)

    # -- people
    async def affiliate(self, account: IAccount, node: Node, changes: Mapping[str, str]) -> None:
        """Gives people a standing at a node, by bare address; "none" takes it away."""
        found = {**node.affiliations, **changes}
        found = {jid: standing for jid, standing in found.items() if standing != "none"}
        if len(found) > _PEOPLE_MOST:
            raise StanzaError("resource-constraint", "wait", text=f"A node has at most {_PEOPLE_MOST} affiliations.")
        await self._change(account, attrs.evolve(node, affiliations=found))

    async def set_subscriptions(self, account: IAccount, node: Node, changes: Mapping[str, str]) -> None:
        """Changes states of subscriptions by address; "none" ends one. Who asked for it is told by whoever calls."""
        found = {**node.subscriptions, **changes}
        found = {jid: state for jid, state in found.items() if state != "none"}
        if len(found) > _PEOPLE_MOST:
            raise StanzaError("resource-constraint", "wait", text=f"A node has at most {_PEOPLE_MOST} subscriptions.")
        if found != node.subscriptions:
            await self._change(account, attrs.evolve(node, subscriptions=found))

    def unsubscribe_silently(self, account: IAccount, name: str, address: str) -> None:
        """A subscriber may read no more (XEP-0163 7.1)."""
        nodes = account.state.get("pep")
        node = nodes.get(name) if isinstance(nodes, dict) else None
        if node is not None and address in node.subscriptions:
            Deferred.fromCoroutine(self.set_subscriptions(account, node, {address: "none"})).addErrback(
                lambda failure: log.failure("the subscription of {jid} stays", failure=failure, jid=address))

    def may_read(self, account: IAccount, node: Node, reader: Reader) -> None:
        """Raises where this reader may not."""
        refused = may_read(node, reader)
        if refused is not None:
            raise refused
