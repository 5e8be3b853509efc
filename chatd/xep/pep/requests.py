"""The requests of XEP-0060 that anybody may make, as far as a node lets him: chapters 5 to 7."""

from __future__ import annotations

from typing import Any, Final

from twisted.words.xish import domish

from chatd.core import ns, rsm
from chatd.core.errors import StanzaError
from chatd.core.forms import field_xml, find_form, form_values
from chatd.core.jid import JID, InvalidJID
from chatd.core.pubsub import Item, Node, Reader, item_id, may_read, payload_of
from chatd.core.pubsub_config import complete, parse_config, parse_options, usual
from chatd.core.pubsub_errors import refusal
from chatd.core.pubsub_xml import affiliations_xml, items_xml, pubsub_xml, subscription_xml
from chatd.core.stanza import Stanza, attribute
from chatd.interfaces import IAccount
from chatd.xep.api import Request
from chatd.xep.pep.publishing import Publishing

__all__ = ["AUTHORIZE", "Requests", "node_name"]

#: XEP-0060 8.6: the owner is asked whether somebody may subscribe.
AUTHORIZE: Final = f"{ns.PUBSUB}#subscribe_authorization"
_ANSWER_MOST: Final = 1 << 20       # bytes of items in one answer; who wants more asks page by page (XEP-0059)
_AT_ONCE: Final = 100               # items in one publication
_SUBSCRIPTIONS_MOST: Final = 10     # addresses of one person that are subscribed to a node


class Requests:
    """Answers what comes in <pubsub xmlns="http://jabber.org/protocol/pubsub"/>."""

    def __init__(self, publishing: Publishing) -> None:
        self._publishing = publishing
        self._verbs: dict[tuple[str, str], Any] = {
            ("get", "items"): self._items, ("get", "subscriptions"): self._subscriptions,
            ("get", "affiliations"): self._affiliations, ("set", "publish"): self._publish,
            ("set", "retract"): self._retract, ("set", "create"): self._create,
            ("set", "subscribe"): self._subscribe, ("set", "unsubscribe"): self._unsubscribe,
        }

    async def answer(self, request: Request) -> bytes:
        """The result; raises StanzaError."""
        kind = request.stanza.attrs["type"]
        for child in request.child.elements():
            verb = self._verbs.get((kind, child.name)) if child.uri == ns.PUBSUB else None
            if verb is not None:
                account: Any = request.account
                result: bytes = await verb(request, account, self._publishing.reader(account, request.from_), child)
                return result
            if child.uri == ns.PUBSUB and child.name in ("options", "default"):
                raise refusal("feature-not-implemented", "unsupported", kind="cancel", feature="subscription-options")
        raise StanzaError("bad-request", text="This is no request of publish-subscribe.")

    # -- reading
    async def _items(self, request: Request, account: IAccount, reader: Reader, child: domish.Element) -> bytes:
        node = await self._publishing.node(account, node_name(child), reader)
        self._publishing.may_read(account, node, reader)
        wanted = list(dict.fromkeys(item_id(one) for one in child.elements(ns.PUBSUB, "item")))
        if wanted:
            found = await self._publishing.api.store.pep.items(account.id, node.name, wanted)
            if not found:
                raise StanzaError("item-not-found", text="There is no such item.")
            return pubsub_xml(items_xml(node.name, _within(found), account.bare))
        page = rsm.parse(request.child)
        if page is not None:
            return await self._page(account, node, page)
        most = _number(child.getAttribute("max_items"))
        found = await self._publishing.api.store.pep.items(account.id, node.name, None, most)
        sent = _within(found)
        more = b"" if len(sent) == len(found) else rsm.result_bytes(
            sent[0].id, sent[-1].id, len(found), len(found) - len(sent))
        return pubsub_xml(items_xml(node.name, sent, account.bare) + more)

    async def _page(self, account: IAccount, node: Node, page: rsm.PageRequest) -> bytes:
        """XEP-0060 6.5.4: in the order of publication."""
        ids = await self._publishing.api.store.pep.ids(account.id, node.name)
        start, end = 0, len(ids)
        try:
            if page.after is not None:
                start = ids.index(page.after) + 1
            if page.before:
                end = ids.index(page.before)
        except ValueError:
            raise StanzaError("item-not-found", text="There is no item of that id.") from None
        if page.index is not None:
            start = page.index
        most = len(ids) if page.max is None else page.max
        chosen = ids[start:end]
        chosen = chosen[max(0, len(chosen) - most):] if page.before is not None else chosen[:most]
        found = await self._publishing.api.store.pep.items(account.id, node.name, chosen)
        sent = _within(found) if page.before is not None else _within(found[::-1])[::-1]
        first, last = (sent[0].id, sent[-1].id) if sent else (None, None)
        at = ids.index(first) if first is not None and first in ids else None
        return pubsub_xml(items_xml(node.name, sent, account.bare) + rsm.result_bytes(first, last, len(ids), at))

    async def _subscriptions(self, request: Request, account: IAccount, reader: Reader, child: domish.Element) -> bytes:
        """One's own (XEP-0060 5.6): of the bare address and of its resources."""
        only = child.getAttribute("node")
        found = "".join(
            subscription_xml(address, state, node.name)
            for node in (await self._publishing.nodes(account)).values() if not only or node.name == only
            for address, state in node.subscriptions.items() if JID.parse(address).bare == reader.bare)
        self._not_for_strangers(reader, bool(found))
        of = f' node="{attribute(only)}"' if only else ""
        return pubsub_xml(f"<subscriptions{of}>{found}</subscriptions>")

    async def _affiliations(self, request: Request, account: IAccount, reader: Reader, child: domish.Element) -> bytes:
        """One's own (XEP-0060 5.7)."""
        only = child.getAttribute("node")
        found = {node.name: "owner" if reader.is_owner else node.affiliations[reader.bare]
                 for node in (await self._publishing.nodes(account)).values()
                 if (not only or node.name == only) and (reader.is_owner or reader.bare in node.affiliations)}
        self._not_for_strangers(reader, bool(found))
        return pubsub_xml(f"<affiliations>{affiliations_xml(found, 'node')}</affiliations>")

    @staticmethod
    def _not_for_strangers(reader: Reader, has_something: bool) -> None:
        if not (reader.is_owner or reader.sees_presence or has_something):
            raise StanzaError("service-unavailable")

    # -- publishing
    async def _publish(self, request: Request, account: IAccount, reader: Reader, child: domish.Element) -> bytes:
        options = None
        for other in request.child.elements(ns.PUBSUB, "publish-options"):
            options = parse_options(find_form(other))
        elements = list(child.elements(ns.PUBSUB, "item"))
        if len(elements) > _AT_ONCE:
            raise refusal("not-allowed", "max-items-exceeded", text=f"At most {_AT_ONCE} items at once.")
        most = self._publishing.most_item_bytes
        items = [(item_id(one), payload_of(one, most)) for one in elements]
        name = node_name(child)
        if not items:
            node = (await self._publishing.nodes(account)).get(name)
            if node is None or node.config["persist"] or node.config["payloads"]:
                raise refusal("bad-request", "item-required")
        ids = await self._publishing.publish(account, name, items, request.from_, options)
        named = "".join(f'<item id="{attribute(one)}"/>' for one in ids)
        return pubsub_xml(f'<publish node="{attribute(name)}">{named}</publish>')

    async def _retract(self, request: Request, account: IAccount, reader: Reader, child: domish.Element) -> bytes:
        node = await self._publishing.node(account, node_name(child), reader)
        ids = [item_id(one) for one in child.elements(ns.PUBSUB, "item")]
        if not ids or not all(ids):
            raise refusal("bad-request", "item-required")
        if not (reader.is_owner or node.affiliations.get(reader.bare) in ("owner", "publisher")):
            found = await self._publishing.api.store.pep.items(account.id, node.name, ids)
            if not found or any(item.publisher != reader.bare for item in found):
                raise StanzaError("forbidden", text="Only the publisher of an item may take it back.")
        notify = child.getAttribute("notify") in ("1", "true")
        if not await self._publishing.retract(account, node, ids, notify):
            raise StanzaError("item-not-found", text="There is no such item.")
        return b""

    async def _create(self, request: Request, account: IAccount, reader: Reader, child: domish.Element) -> bytes:
        if not reader.is_owner:
            raise StanzaError("service-unavailable" if not reader.sees_presence else "forbidden")
        name = child.getAttribute("node")
        if not name:
            raise refusal("not-acceptable", "nodeid-required")
        config = complete(usual(name))
        for other in request.child.elements(ns.PUBSUB, "configure"):
            form = find_form(other)
            if form is not None:
                config = parse_config(form, config)
        await self._publishing.create(account, name, config)
        return pubsub_xml(f'<create node="{attribute(name)}"/>')

    # -- subscribing
    async def _subscribe(self, request: Request, account: IAccount, reader: Reader, child: domish.Element) -> bytes:
        """XEP-0060 6.1. An address has one subscription at most, so there is nothing to be told apart by an id."""
        address = _own_address(child, request.from_)
        node = await self._publishing.node(account, node_name(child), reader)
        if node.subscriptions.get(address) == "pending":
            raise refusal("not-authorized", "pending-subscription", kind="auth")
        state = "subscribed"
        if node.config["access"] == "authorize" and may_read(node, reader) is not None:
            if node.affiliations.get(reader.bare) == "outcast":
                raise StanzaError("forbidden")
            state, address = "pending", JID.parse(address).bare
            if address in node.subscriptions:
                raise refusal("not-authorized", "pending-subscription", kind="auth")
        else:
            self._publishing.may_read(account, node, reader)
        if address not in node.subscriptions and sum(
                JID.parse(one).bare == reader.bare for one in node.subscriptions) >= _SUBSCRIPTIONS_MOST:
            raise refusal("policy-violation", "too-many-subscriptions")
        await self._publishing.set_subscriptions(account, node, {address: state})
        if state == "pending":
            self._ask_owner(account, node, address)
        else:
            self._publishing.notifying.last_on_subscribing(account, node, address)
        return pubsub_xml(subscription_xml(address, state, node.name))

    def _ask_owner(self, account: IAccount, node: Node, address: str) -> None:
        """XEP-0060 8.6: a form for the owner, who may also answer by the list of subscriptions (8.8)."""
        form = (f'<x xmlns="{ns.DATA}" type="form"><title>A subscription is asked for</title>'
                + field_xml("FORM_TYPE", [AUTHORIZE], "hidden")
                + field_xml("pubsub#node", [node.name], "text-single", "Node")
                + field_xml("pubsub#subscriber_jid", [address], "jid-single", "Address")
                + field_xml("pubsub#allow", ["0"], "boolean", "May this address subscribe?") + "</x>")
        self._publishing.api.send(Stanza("message", {"from": account.bare, "to": account.bare}, form.encode(),
                                         (f"{ns.DATA} x",)))

    def decided(self, account: IAccount, form: domish.Element) -> Any:
        """The owner has filled that form in; None where it is another one."""
        values = form_values(form, AUTHORIZE)
        name, address = ((values.get(f"pubsub#{key}") or [""])[0] for key in ("node", "subscriber_jid"))
        is_allowed = (values.get("pubsub#allow") or ["0"])[0] in ("1", "true")
        return self._decide(account, name, address, is_allowed)

    async def _decide(self, account: IAccount, name: str, address: str, is_allowed: bool) -> None:
        node = (await self._publishing.nodes(account)).get(name)
        if node is None or node.subscriptions.get(address) != "pending":
            return
        state = "subscribed" if is_allowed else "none"
        await self._publishing.set_subscriptions(account, node, {address: state})
        self._publishing.notifying.tell_subscription(account, name, address, state)
        if is_allowed:
            self._publishing.notifying.last_on_subscribing(account, node, address)

    async def _unsubscribe(self, request: Request, account: IAccount, reader: Reader, child: domish.Element) -> bytes:
        address = _own_address(child, request.from_)
        node = await self._publishing.node(account, node_name(child), reader)
        if address not in node.subscriptions:
            raise refusal("unexpected-request", "not-subscribed", kind="cancel")
        if (child.getAttribute("subid") or address) != address:
            raise refusal("not-acceptable", "invalid-subid")
        await self._publishing.set_subscriptions(account, node, {address: "none"})
        return b""


def node_name(child: domish.Element) -> str:
    """The node a request is about."""
    name = child.getAttribute("node")
    if not name:
        raise refusal("bad-request", "nodeid-required")
    return name


def _own_address(child: domish.Element, from_: JID) -> str:
    """Whom to subscribe: the asking address, bare or full (XEP-0060 6.1.3.1)."""
    try:
        address = JID.parse(child.getAttribute("jid") or "")
    except InvalidJID:
        raise refusal("bad-request", "invalid-jid") from None
    if address.bare != from_.bare:
        raise refusal("bad-request", "invalid-jid", text="One subscribes for oneself.")
    return address.full


def _number(text: str | None) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text)):
        raise StanzaError("bad-request", text="max_items is a whole number above 0.")
    return int(text)


def _within(items: list[Item]) -> list[Item]:
    """As many of the last items as one answer may hold, one at least."""
    size, start = 0, len(items)
    while start > 0 and (size + len(items[start - 1].payload) <= _ANSWER_MOST or start == len(items)):
        start -= 1
        size += len(items[start].payload)
    return items[start:]
