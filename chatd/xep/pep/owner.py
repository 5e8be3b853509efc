"""The requests of XEP-0060 for who owns a node: chapter 8."""

from __future__ import annotations

from typing import Any

from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.forms import find_form
from chatd.core.jid import JID, InvalidJID
from chatd.core.pubsub import AFFILIATIONS, Node, Reader
from chatd.core.pubsub_config import complete, form_xml, parse_config, usual
from chatd.core.pubsub_errors import refusal
from chatd.core.pubsub_xml import affiliations_xml, owner_xml, subscription_xml
from chatd.core.stanza import attribute
from chatd.interfaces import IAccount
from chatd.xep.api import Request
from chatd.xep.pep.publishing import Publishing
from chatd.xep.pep.requests import node_name

__all__ = ["Owner"]


class Owner:
    """Answers what comes in <pubsub xmlns="http://jabber.org/protocol/pubsub#owner"/>."""

    def __init__(self, publishing: Publishing) -> None:
        self._publishing = publishing
        self._verbs: dict[tuple[str, str], Any] = {
            ("get", "configure"): self._form, ("set", "configure"): self._configure,
            ("get", "affiliations"): self._affiliations, ("set", "affiliations"): self._affiliate,
            ("get", "subscriptions"): self._subscriptions, ("set", "subscriptions"): self._subscribe,
            ("set", "purge"): self._purge, ("set", "delete"): self._delete,
        }

    async def answer(self, request: Request) -> bytes:
        """The result; raises StanzaError."""
        kind = request.stanza.attrs["type"]
        account: Any = request.account
        reader = self._publishing.reader(account, request.from_)
        child = next((one for one in request.child.elements() if one.uri == ns.PUBSUB_OWNER), None)
        if child is None:
            raise StanzaError("bad-request", text="This is no request of publish-subscribe.")
        if (kind, child.name) == ("get", "default"):
            if not reader.is_owner:
                raise StanzaError("service-unavailable")
            return owner_xml(f"<default>{form_xml(complete({}))}</default>")
        verb = self._verbs.get((kind, child.name))
        if verb is None:
            raise StanzaError("bad-request", text="This is no request of publish-subscribe.")
        name = node_name(child)
        node = await self._publishing.node(account, name, reader)
        if not reader.is_owner and node.affiliations.get(reader.bare) != "owner":
            raise StanzaError("forbidden", text="Only its owner may do that.")
        result: bytes = await verb(account, reader, node, child)
        return result

    async def _form(self, account: IAccount, reader: Reader, node: Node, child: domish.Element) -> bytes:
        return owner_xml(f'<configure node="{attribute(node.name)}">{form_xml(node.config)}</configure>')

    async def _configure(self, account: IAccount, reader: Reader, node: Node, child: domish.Element) -> bytes:
        form = find_form(child)
        if form is None:
            # XEP-0060 8.2.4: without a form the defaults are wanted.
            await self._publishing.configure(account, node, complete(usual(node.name)))
        elif form.getAttribute("type") != "cancel":
            await self._publishing.configure(account, node, parse_config(form, node.config))
        return b""

    async def _purge(self, account: IAccount, reader: Reader, node: Node, child: domish.Element) -> bytes:
        if not node.config["persist"]:
            raise refusal("feature-not-implemented", "unsupported", kind="cancel", feature="persistent-items")
        await self._publishing.purge(account, node)
        return b""

    async def _delete(self, account: IAccount, reader: Reader, node: Node, child: domish.Element) -> bytes:
        await self._publishing.delete(account, node)
        return b""

    async def _affiliations(self, account: IAccount, reader: Reader, node: Node, child: domish.Element) -> bytes:
        found = {account.bare: "owner", **node.affiliations}
        return owner_xml(f'<affiliations node="{attribute(node.name)}">{affiliations_xml(found, "jid")}</affiliations>')

    async def _affiliate(self, account: IAccount, reader: Reader, node: Node, child: domish.Element) -> bytes:
        changes: dict[str, str] = {}
        for one in child.elements(ns.PUBSUB_OWNER, "affiliation"):
            bare = _address(one).bare
            standing = one.getAttribute("affiliation")
            if standing not in AFFILIATIONS or bare in changes:
                raise StanzaError("bad-request", text="An affiliation is one of " + ", ".join(AFFILIATIONS) + ".")
            if bare == account.bare:
                raise StanzaError("not-acceptable", text="The account stays the owner of its nodes.")
            changes[bare] = standing
        await self._publishing.affiliate(account, node, changes)
        return b""

    async def _subscriptions(self, account: IAccount, reader: Reader, node: Node, child: domish.Element) -> bytes:
        found = "".join(subscription_xml(address, state) for address, state in sorted(node.subscriptions.items()))
        return owner_xml(f'<subscriptions node="{attribute(node.name)}">{found}</subscriptions>')

    async def _subscribe(self, account: IAccount, reader: Reader, node: Node, child: domish.Element) -> bytes:
        """XEP-0060 8.8.2. Those who have not asked themselves are not subscribed by others."""
        changes: dict[str, str] = {}
        for one in child.elements(ns.PUBSUB_OWNER, "subscription"):
            address, state = _address(one).full, one.getAttribute("subscription")
            if state not in ("none", "subscribed", "pending"):
                raise StanzaError("bad-request", text="A subscription is none, pending or subscribed.")
            if address not in node.subscriptions:
                raise StanzaError("not-acceptable", text=f"{address} has not asked for a subscription.")
            changes[address] = state
        changes = {address: state for address, state in changes.items() if node.subscriptions[address] != state}
        await self._publishing.set_subscriptions(account, node, changes)
        for address, state in changes.items():
            self._publishing.notifying.tell_subscription(account, node.name, address, state)
            if state == "subscribed":
                self._publishing.notifying.last_on_subscribing(account, node, address)
        return b""


def _address(element: domish.Element) -> JID:
    try:
        return JID.parse(element.getAttribute("jid") or "")
    except InvalidJID:
        raise StanzaError("jid-malformed") from None
